/* deadline.c - see deadline.h. SPDX-License-Identifier: ISC */
#include "deadline.h"
#include "xalloc.h"

#include <assert.h>

void deadlines_init(struct deadline_heap *h)
{
	*h = (struct deadline_heap){0};
}

void deadlines_fini(struct deadline_heap *h)
{
	for (uint32_t i = 0; i < h->count; i++)
		h->v[i]->place = 0;
	free(h->v);
	*h = (struct deadline_heap){0};
}

static void put_at(struct deadline_heap *h, uint32_t i, struct deadline *d)
{
	h->v[i] = d;
	d->place = i + 1;
}

static void sift_up(struct deadline_heap *h, uint32_t i, struct deadline *d)
{
	while (i > 0 && h->v[(i - 1) / 2]->at > d->at) {
		put_at(h, i, h->v[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	put_at(h, i, d);
}

static void sift_down(struct deadline_heap *h, uint32_t i, struct deadline *d)
{
	for (;;) {
		uint32_t c = 2 * i + 1;

		if (c >= h->count)
			break;
		if (c + 1 < h->count && h->v[c + 1]->at < h->v[c]->at)
			c++;
		if (h->v[c]->at >= d->at)
			break;
		put_at(h, i, h->v[c]);
		i = c;
	}
	put_at(h, i, d);
}

void deadline_clear(struct deadline_heap *h, struct deadline *d)
{
	uint32_t i = d->place;
	struct deadline *last;

	if (i == 0)
		return;
	i--;
	d->place = 0;
	last = h->v[--h->count];
	if (last == d)
		return;
	if (i > 0 && h->v[(i - 1) / 2]->at > last->at)
		sift_up(h, i, last);
	else
		sift_down(h, i, last);
}

void deadline_set(struct deadline_heap *h, struct deadline *d, nsec_t at)
{
	deadline_clear(h, d);
	if (at == NSEC_NEVER)
		return;
	assert(d->due);
	if (h->count == h->cap) {
		h->cap = h->cap ? h->cap * 2 : 16;
		h->v = xreallocarray(h->v, h->cap, sizeof(struct deadline *));
	}
	d->at = at;
	sift_up(h, h->count++, d);
}

nsec_t deadline_next(const struct deadline_heap *h)
{
	return h->count ? h->v[0]->at : NSEC_NEVER;
}

void deadlines_run(struct deadline_heap *h, nsec_t now)
{
	while (h->count > 0 && h->v[0]->at <= now) {
		struct deadline *d = h->v[0];

		deadline_clear(h, d);
		d->due(d, now);
	}
}
