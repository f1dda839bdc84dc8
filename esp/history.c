/* history.c - see history.h. SPDX-License-Identifier: ISC */
#include "history.h"
#include "xalloc.h"

#define RING_START 64

static void ring_free(struct history *h, struct history_ring *r)
{
	h->budget->used -= (uint64_t)r->size * sizeof(struct history_entry);
	free(r->v);
	*r = (struct history_ring){0};
}

void history_fini(struct history *h)
{
	ring_free(h, &h->dense);
	ring_free(h, &h->recent);
	ring_free(h, &h->life);
	h->life_count = 0;
}

uint64_t history_memory(const struct history *h)
{
	return ((uint64_t)h->dense.size + h->recent.size + h->life.size) *
	       sizeof(struct history_entry);
}

/* The first entries of a ring are given beyond the cap too: no SA is ever blind. */
static bool budget_take(struct history *h, uint64_t entries, bool first)
{
	uint64_t bytes = entries * sizeof(struct history_entry);

	if (!first && h->budget->used + bytes > h->budget->cap) {
		h->starved = true;
		return false;
	}
	h->budget->used += bytes;
	return true;
}

/* Rings are powers of two, so that places are found by masking. */
static uint64_t power_of_two(uint64_t n)
{
	return n <= 1 ? 1 : 1ULL << (64 - __builtin_clzll(n - 1));
}

/* Entries that reach history_packets back. */
static uint32_t recent_limit(const struct history *h)
{
	return (uint32_t)power_of_two((h->cfg.packets + h->sample - 1) / h->sample);
}

void history_init(struct history *h, const struct history_config *cfg,
		  struct history_budget *budget, struct rng *rng)
{
	*h = (struct history){.cfg = *cfg, .budget = budget, .rng = rng};
	h->sample = cfg->sample;
	h->phase = rng_below(rng, h->sample);
	h->life_step = 1;
	h->dense.limit = (uint32_t)power_of_two(cfg->window);
	h->recent.limit = recent_limit(h);
	h->life.limit = HISTORY_LIFETIME_MAX;
}

static uint32_t smaller(uint64_t a, uint64_t b)
{
	return (uint32_t)min_u64(a, b);
}

/*
 * The dense ring. It doubles until it has a place for each one of the window; a smaller ring is
 * right as long as it has not been filled, as an entry only ever gives way to one that is a lap
 * ahead.
 */
static struct history_entry *dense_place(const struct history *h, uint64_t number)
{
	return h->dense.size ? &h->dense.v[number & (h->dense.size - 1)] : NULL;
}

static void ring_resize(struct history_ring *r, uint32_t size, uint64_t divisor)
{
	struct history_ring n = {
		.v = xzalloc(size * sizeof(struct history_entry)), .size = size, .limit = r->limit};

	for (uint32_t i = 0; i < r->size; i++) {
		const struct history_entry *e = &r->v[i];
		struct history_entry *to = &n.v[e->number / divisor % size];

		if (e->number > to->number)
			*to = *e;
	}
	free(r->v);
	*r = n;
}

static inline bool may_grow(const struct history *h, const struct history_ring *r)
{
	return r->size < r->limit && !(h->starved && r->size);
}

/* For one that may grow. True when it was made larger: its places have moved. */
static bool ring_grow(struct history *h, struct history_ring *r, uint64_t divisor)
{
	uint32_t size = smaller(r->size ? r->size * 2ULL : RING_START, r->limit);

	if (!budget_take(h, size - r->size, r->size == 0))
		return false;
	ring_resize(r, size, divisor);
	return true;
}

/* Entries are handed over in registers: what was just stored in parts is slow to load whole. */
static void dense_record(struct history *h, struct history_entry e, bool newest)
{
	struct history_entry *to = dense_place(h, e.number);

	while (may_grow(h, &h->dense) && (!to || to->number) && ring_grow(h, &h->dense, 1))
		to = dense_place(h, e.number);
	/*
	 * A late packet does not push out the newer one that has its place in a ring held small.
	 * The newest of all need not look, which would wait for memory.
	 */
	if (to && (newest || e.number > to->number))
		*to = e;
}

static struct history_entry *recent_place(const struct history *h, uint64_t number)
{
	return h->recent.size ? &h->recent.v[number / h->sample % h->recent.size] : NULL;
}

/* With no memory for more entries, half as many of them reach as far: double the step. */
static void recent_thin(struct history *h)
{
	struct history_ring *r = &h->recent;

	if (r->size == 0 || r->size >= r->limit)
		return;
	h->phase += rng_below(h->rng, 2) * h->sample;
	h->sample *= 2;
	r->limit = recent_limit(h);
	for (uint32_t i = 0; i < r->size; i++) {
		if (r->v[i].number % h->sample != h->phase)
			r->v[i].number = 0;
	}
	ring_resize(r, r->size, h->sample);
}

static void recent_record(struct history *h, struct history_entry e)
{
	struct history_entry *to;

	if ((e.number & (h->sample - 1)) != h->phase)
		return;
	to = recent_place(h, e.number);
	while ((!to || to->number) && may_grow(h, &h->recent) &&
	       ring_grow(h, &h->recent, h->sample))
		to = recent_place(h, e.number);
	if (to && to->number && h->starved) {
		recent_thin(h);
		if ((e.number & (h->sample - 1)) != h->phase)
			return;
		to = recent_place(h, e.number);
	}
	if (to && e.number > to->number)
		*to = e;
}

/* The first place in life whose number is not below n. */
static uint32_t life_search(const struct history *h, uint64_t n)
{
	uint32_t lo = 0, hi = h->life_count;

	/* Numbers mostly come in order. */
	if (hi > 0 && h->life.v[hi - 1].number < n)
		return hi;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (h->life.v[mid].number < n)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Doubles the step until there is room; which half stays is drawn, so nobody knows it beforehand.
 */
static void life_thin(struct history *h)
{
	while (h->life_count == h->life.size) {
		uint32_t kept = 0;

		h->life_phase += rng_below(h->rng, 2) * h->life_step;
		h->life_step *= 2;
		for (uint32_t i = 0; i < h->life_count; i++) {
			if ((h->life.v[i].number & (h->life_step - 1)) == h->life_phase)
				h->life.v[kept++] = h->life.v[i];
		}
		h->life_count = kept;
	}
}

static bool life_grow(struct history *h)
{
	uint32_t size = h->life.size ? h->life.size * 2 : RING_START;

	if (!may_grow(h, &h->life) || !budget_take(h, size - h->life.size, h->life.size == 0))
		return false;
	h->life.v = xreallocarray(h->life.v, size, sizeof(struct history_entry));
	h->life.size = size;
	return true;
}

static void life_record(struct history *h, struct history_entry e)
{
	uint32_t at;

	if ((e.number & (h->life_step - 1)) != h->life_phase)
		return;
	if (h->life_count == h->life.size && !life_grow(h)) {
		life_thin(h);
		if ((e.number & (h->life_step - 1)) != h->life_phase)
			return;
	}
	at = life_search(h, e.number);
	memmove(&h->life.v[at + 1], &h->life.v[at], (h->life_count - at) * sizeof(e));
	h->life.v[at] = e;
	h->life_count++;
}

void history_record(struct history *h, uint64_t number, uint32_t tag, uint32_t iv)
{
	struct history_entry e = {.number = number, .tag = tag, .iv = iv};

	dense_record(h, e, number > h->top);
	h->top = max_u64(h->top, number);
	recent_record(h, e);
	life_record(h, e);
}

static enum history_answer answer(const struct history_entry *e, uint64_t number, uint32_t tag,
				  uint32_t *ret_iv)
{
	if (!e || e->number != number)
		return HISTORY_UNKNOWN;
	if (e->tag == tag)
		return HISTORY_SAME;
	*ret_iv = e->iv;
	return HISTORY_OTHER;
}

enum history_answer history_lookup(const struct history *h, uint64_t number, uint32_t tag,
				   uint32_t *ret_iv)
{
	enum history_answer a = answer(dense_place(h, number), number, tag, ret_iv);
	uint32_t at;

	if (a == HISTORY_UNKNOWN)
		a = answer(recent_place(h, number), number, tag, ret_iv);
	if (a != HISTORY_UNKNOWN || (number & (h->life_step - 1)) != h->life_phase)
		return a;
	at = life_search(h, number);
	return at < h->life_count ? answer(&h->life.v[at], number, tag, ret_iv) : HISTORY_UNKNOWN;
}

/* The first number from `number` on that the recent ring keeps. */
static uint64_t next_sampled(const struct history *h, uint64_t number)
{
	uint64_t n = (number & ~(h->sample - 1)) | h->phase;

	return n < number ? n + h->sample : n;
}

bool history_reaches(const struct history *h, uint64_t number, uint64_t top)
{
	uint64_t next = next_sampled(h, number);
	const struct history_entry *e = recent_place(h, next);
	uint32_t at = life_search(h, number);

	/* Numbers that nobody used, as over a forward jump, are remembered nowhere: look, do not
	 * reckon. */
	if (number > top || (e && e->number == next))
		return true;
	e = dense_place(h, number);
	if (e && e->number == number)
		return true;
	return at < h->life_count && h->life.v[at].number - number <= h->sample;
}
