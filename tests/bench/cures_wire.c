/*
 * cures_wire.c - datagrams on their way: a heap by time of arrival, then by order of sending.
 * SPDX-License-Identifier: ISC
 */
#include "cures_world.h"
#include "xalloc.h"

static bool sooner(const struct datagram *a, const struct datagram *b)
{
	return a->at < b->at || (a->at == b->at && a->order < b->order);
}

void wire_put(struct datagram_heap *h, struct datagram *d)
{
	uint32_t i = h->count;

	if (h->count == h->room) {
		h->room = h->room ? h->room * 2 : 256;
		h->v = xreallocarray(h->v, h->room, sizeof(struct datagram *));
	}
	h->count++;
	for (; i > 0 && sooner(d, h->v[(i - 1) / 2]); i = (i - 1) / 2)
		h->v[i] = h->v[(i - 1) / 2];
	h->v[i] = d;
}

struct datagram *wire_take(struct datagram_heap *h)
{
	struct datagram *first = h->v[0], *d = h->v[--h->count];
	uint32_t i = 0, c;

	while ((c = 2 * i + 1) < h->count) {
		if (c + 1 < h->count && sooner(h->v[c + 1], h->v[c]))
			c++;
		if (!sooner(h->v[c], d))
			break;
		h->v[i] = h->v[c];
		i = c;
	}
	h->v[i] = d;
	return first;
}

void transmit(struct world *w, uint32_t to, bool esp, const struct endpoint *from,
	      const struct endpoint *dest, nsec_t at, const uint8_t *p, size_t len)
{
	struct datagram *d = xzalloc(sizeof(*d) + len);

	d->at = at + WIRE_DELAY;
	d->order = w->order++;
	d->to = to;
	d->esp = esp;
	d->from = *from;
	d->dest = *dest;
	d->len = (uint32_t)len;
	memcpy(d->p, p, len);
	wire_put(&w->wire, d);
}
