/* ref_model.c - see ref_model.h. SPDX-License-Identifier: ISC */
#include "ref_model.h"
#include "xalloc.h"

void refset_init(struct refset *s)
{
	*s = (struct refset){0};
}

void refset_fini(struct refset *s)
{
	free(s->v);
	refset_init(s);
}

/* The page with this id, or the empty slot where it would be. */
static struct refset_page *page_slot(const struct refset *s, uint64_t id)
{
	uint64_t at = id * 0x9e3779b97f4a7c15ULL >> 32;

	while (s->v[at & (s->cap - 1)].id && s->v[at & (s->cap - 1)].id != id)
		at++;
	return &s->v[at & (s->cap - 1)];
}

static void refset_grow(struct refset *s)
{
	struct refset old = *s;

	s->cap = old.cap ? old.cap * 2 : 16;
	s->v = xzalloc(s->cap * sizeof(*s->v));
	for (uint32_t i = 0; i < old.cap; i++) {
		if (old.v[i].id)
			*page_slot(s, old.v[i].id) = old.v[i];
	}
	free(old.v);
}

void refset_add(struct refset *s, uint64_t n)
{
	struct refset_page *p;

	if (2 * s->count >= s->cap)
		refset_grow(s);
	p = page_slot(s, n / 4096 + 1);
	if (p->id == 0) {
		p->id = n / 4096 + 1;
		s->count++;
	}
	p->bits[n / 64 % 64] |= 1ULL << (n % 64);
}

bool refset_has(const struct refset *s, uint64_t n)
{
	const struct refset_page *p;

	if (s->cap == 0)
		return false;
	p = page_slot(s, n / 4096 + 1);
	return p->id && (p->bits[n / 64 % 64] >> (n % 64) & 1);
}

void refwindow_init(struct refwindow *w, uint32_t size)
{
	*w = (struct refwindow){.size = size};
	refset_init(&w->taken);
}

void refwindow_fini(struct refwindow *w)
{
	refset_fini(&w->taken);
}

enum window_place refwindow_place(const struct refwindow *w, uint64_t n)
{
	if (n > w->top)
		return WINDOW_RIGHT;
	if (n + w->size <= w->top)
		return WINDOW_LEFT;
	return refset_has(&w->taken, n) ? WINDOW_TAKEN : WINDOW_FREE;
}

void refwindow_commit(struct refwindow *w, uint64_t n)
{
	refset_add(&w->taken, n);
	w->top = max_u64(w->top, n);
}

struct esn_guess ref_guess(uint64_t top, uint32_t size, uint32_t low)
{
	uint64_t bottom = top + 1 >= size ? top + 1 - size : 0;
	uint64_t number = (bottom & ~0xffffffffULL) | low;

	if (number < bottom)
		number += 1ULL << 32;
	return (struct esn_guess){
		.number = number,
		.second = number > top && number >= 1ULL << 32 ? number - (1ULL << 32) : 0};
}

void published_drop(struct published *p, nsec_t now)
{
	if (p->drops++ == 0)
		p->since = now;
	if (p->drops < p->packets && (p->drops < 2 || now - p->since < p->interval))
		return;
	p->confirmed++;
	p->drops = 0;
}

void published_accept(struct published *p)
{
	p->drops = 0;
}
