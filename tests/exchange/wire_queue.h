/*
 * wire_queue.h - datagrams on their way, ordered by arrival. SPDX-License-Identifier: ISC
 *
 * A binary heap by (at, order). Its slots are used again, so that a run of millions of packets does
 * not allocate memory for each of them.
 */
#ifndef MENDIP_WIRE_QUEUE_H
#define MENDIP_WIRE_QUEUE_H

#include "addr.h"
#include "xalloc.h"

#define WIRE_SLOT 256 /* bytes; longer datagrams, which are IKE messages, are allocated */

struct datagram {
	nsec_t at;
	uint64_t order;
	uint8_t to;
	bool esp;
	bool counted; /* carries an inner packet, and is not a second copy of it */
	uint8_t child;
	struct endpoint from, dest;
	uint32_t len;
	uint8_t *p;
};

struct wire_slot {
	struct datagram d;
	uint8_t bytes[WIRE_SLOT];
};

struct wire_queue {
	struct wire_slot **heap; /* the first `count` are queued, those up to `made` are free */
	unsigned count, made, room;
};

static inline bool wire_before(const struct wire_slot *a, const struct wire_slot *b)
{
	return a->d.at != b->d.at ? a->d.at < b->d.at : a->d.order < b->d.order;
}

static inline void wire_swap(struct wire_queue *q, unsigned i, unsigned j)
{
	struct wire_slot *s = q->heap[i];

	q->heap[i] = q->heap[j];
	q->heap[j] = s;
}

/* Queues a copy of *d and its bytes. */
static inline void wire_push(struct wire_queue *q, const struct datagram *d)
{
	struct wire_slot *s;
	unsigned i = q->count;

	if (q->count == q->room) {
		q->room = q->room ? q->room * 2 : 64;
		q->heap = (struct wire_slot **)xreallocarray(q->heap, q->room, sizeof(*q->heap));
	}
	if (q->count == q->made)
		q->heap[q->made++] = (struct wire_slot *)xzalloc(sizeof(**q->heap));
	s = q->heap[q->count++];
	s->d = *d;
	s->d.p = d->len > WIRE_SLOT ? (uint8_t *)xmemdup(d->p, d->len) : s->bytes;
	if (d->len <= WIRE_SLOT)
		memcpy(s->bytes, d->p, d->len);
	for (; i > 0 && wire_before(q->heap[i], q->heap[(i - 1) / 2]); i = (i - 1) / 2)
		wire_swap(q, i, (i - 1) / 2);
}

static inline nsec_t wire_next(const struct wire_queue *q)
{
	return q->count ? q->heap[0]->d.at : NSEC_NEVER;
}

/*
 * Takes the first datagram off. The bytes of a short one are copied to `bytes`; free with
 * wire_done.
 */
static inline void wire_pop(struct wire_queue *q, struct datagram *ret, uint8_t bytes[WIRE_SLOT])
{
	const struct wire_slot *s = q->heap[0];
	unsigned i = 0, least = 0;

	*ret = s->d;
	if (ret->len <= WIRE_SLOT)
		ret->p = (uint8_t *)memcpy(bytes, s->bytes, ret->len);
	wire_swap(q, 0, --q->count);
	for (;;) {
		for (unsigned c = 2 * i + 1; c <= 2 * i + 2 && c < q->count; c++) {
			if (wire_before(q->heap[c], q->heap[least]))
				least = c;
		}
		if (least == i)
			break;
		wire_swap(q, i, least);
		i = least;
	}
}

static inline void wire_done(struct datagram *d)
{
	if (d->len > WIRE_SLOT)
		free(d->p);
}

static inline void wire_clear(struct wire_queue *q)
{
	uint8_t bytes[WIRE_SLOT];
	struct datagram d;

	while (q->count) {
		wire_pop(q, &d, bytes);
		wire_done(&d);
	}
}

static inline void wire_fini(struct wire_queue *q)
{
	wire_clear(q);
	while (q->made)
		free(q->heap[--q->made]);
	free(q->heap);
}

#endif
