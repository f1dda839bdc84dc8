/* history.c - see history.h. SPDX-License-Identifier: ISC */
#include "history.h"
#include "xalloc.h"

#define BLOCK_BYTES	     (HISTORY_BLOCK * sizeof(struct near_entry))
#define DIR_START	     4
#define LIFE_START	     64
#define LIFE_CONDENSED	     256 /* entries: one unit of memory */
#define LIFE_CONDENSED_UNITS 1

void history_budget_init(struct history_budget *b, uint64_t cap)
{
	*b = (struct history_budget){.cap = cap};
	for (unsigned i = 0; i < HISTORY_CLASSES; i++) {
		LIST_INIT(&b->live[i]);
		LIST_INIT(&b->retired[i]);
	}
}

void history_init(struct history *h, const struct history_config *cfg,
		  struct history_budget *budget, struct rng *rng)
{
	*h = (struct history){.budget = budget, .rng = rng, .floor = 1, .life_step = 1};
	/* One block more than its numbers fill, as the newest block is only partly used. */
	h->blocks_max = max_u64(cfg->packets, cfg->window) / HISTORY_BLOCK + 2;
}

uint64_t history_memory(const struct history *h)
{
	return h->blocks * BLOCK_BYTES + h->dir_size * sizeof(*h->dir) +
	       h->life_size * sizeof(*h->life);
}

/* ---- the budget's lists: by memory, so that the largest is found at once ---- */

#define UNIT BLOCK_BYTES

static uint32_t life_units(const struct history *h)
{
	return (uint32_t)((h->life_size * sizeof(*h->life) + UNIT - 1) / UNIT);
}

/* Memory of a history in units, without its directory. */
static uint32_t units(const struct history *h)
{
	return h->blocks + life_units(h);
}

static unsigned class_of(uint32_t n)
{
	return 31 - (unsigned)__builtin_clz(n);
}

static void list_in(struct history *h)
{
	struct history_list *lists = h->retired ? h->budget->retired : h->budget->live;

	if (units(h) == 0)
		return;
	LIST_INSERT_HEAD(&lists[class_of(units(h))], h, link);
	h->budget->members += !h->retired;
}

static void list_out(struct history *h)
{
	if (units(h) == 0)
		return;
	LIST_REMOVE(h, link);
	h->budget->members -= !h->retired;
}

/* The one place where a history's memory changes, apart from its directory. */
static void set_memory(struct history *h, uint32_t blocks, uint32_t life_size)
{
	uint64_t before = h->blocks * BLOCK_BYTES + h->life_size * sizeof(*h->life);

	list_out(h);
	h->blocks = blocks;
	h->life_size = life_size;
	h->budget->used += blocks * BLOCK_BYTES + life_size * sizeof(*h->life) - before;
	list_in(h);
}

/* ---- blocks ---- */

static struct near_block *place(const struct history *h, uint64_t index)
{
	return h->dir_size ? &h->dir[index & (h->dir_size - 1)] : NULL;
}

static struct near_entry *block_of(const struct history *h, uint64_t index)
{
	const struct near_block *b = place(h, index);

	return b && b->v && b->index == index ? b->v : NULL;
}

/*
 * Nothing below the block `index` is known any more. Takes each block below it out of the
 * directory; returns one of them when `keep` asks for it, and frees the others.
 */
static struct near_entry *raise_floor(struct history *h, uint64_t index, bool keep)
{
	uint64_t first = h->floor / HISTORY_BLOCK;
	struct near_entry *kept = NULL;
	uint32_t gone = 0;

	if (index <= first)
		return NULL;
	/* However far the floor goes, no place is looked at twice. */
	for (uint64_t i = 0; i < min_u64(index - first, h->dir_size); i++) {
		struct near_block *b = &h->dir[(first + i) & (h->dir_size - 1)];

		if (!b->v || b->index >= index)
			continue;
		if (b->v == h->here)
			h->here = NULL;
		if (keep && !kept)
			kept = b->v;
		else
			free(b->v);
		b->v = NULL;
		gone++;
	}
	h->floor = index * HISTORY_BLOCK;
	set_memory(h, h->blocks - gone, h->life_size);
	return kept;
}

/* The index of the oldest block. Only with blocks > 0. */
static uint64_t oldest(const struct history *h)
{
	uint64_t best = UINT64_MAX;

	for (uint64_t i = h->floor / HISTORY_BLOCK; i <= h->top / HISTORY_BLOCK; i++) {
		if (i - h->floor / HISTORY_BLOCK >= h->dir_size)
			break;
		if (block_of(h, i))
			return i;
	}
	for (uint32_t i = 0; i < h->dir_size; i++) {
		if (h->dir[i].v)
			best = min_u64(best, h->dir[i].index);
	}
	return best;
}

/* ---- fair memory ---- */

static bool is_free(const struct history_budget *b, uint64_t bytes)
{
	return b->used + bytes <= b->cap;
}

/*
 * Doubles the step until there are fewer than `below` entries; which half stays is drawn, so that
 * nobody knows it before.
 */
static void life_thin(struct history *h, uint32_t below)
{
	while (h->life_count >= below) {
		uint32_t kept = 0;

		h->life_phase += rng_below(h->rng, 2) * h->life_step;
		h->life_step *= 2;
		for (uint32_t i = 0; i < h->life_count; i++) {
			if ((h->life[i].number & (h->life_step - 1)) == h->life_phase)
				h->life[kept++] = h->life[i];
		}
		h->life_count = kept;
	}
}

/* size > 0. */
static void life_shrink(struct history *h, uint32_t size)
{
	if (h->life_size <= size)
		return;
	life_thin(h, size);
	h->life = xreallocarray(h->life, size, sizeof(*h->life));
	set_memory(h, h->blocks, size);
}

static void life_free(struct history *h)
{
	free(h->life);
	h->life = NULL;
	h->life_count = 0;
	set_memory(h, h->blocks, 0);
}

/* Frees half of the lifetime entries, or where those are few the older half of the blocks. */
static void halve(struct history *h)
{
	uint32_t want = h->blocks / 2;

	if (h->life_size > LIFE_START && life_units(h) * 2 > h->blocks) {
		life_shrink(h, h->life_size / 2);
		return;
	}
	/* There may be gaps between blocks: no step goes over more than half of those that are to
	 * go. */
	while (h->blocks > want && h->blocks > 1)
		raise_floor(h, oldest(h) + max_u64(1, (h->blocks - want) / 2), false);
}

/* The largest of the lists that has more than `than` units, or NULL. */
static struct history *largest(struct history_list *lists, uint64_t than,
			       const struct history * not )
{
	struct history *h;

	for (unsigned i = HISTORY_CLASSES; i-- > 0 && (2ULL << i) > than;) {
		LIST_FOREACH (h, &lists[i], link) {
			if (h != not &&units(h) > than)
				return h;
		}
	}
	return NULL;
}

/* Frees the oldest block. */
static void shave(struct history *h)
{
	if (h->blocks > 1)
		raise_floor(h, oldest(h) + 1, false);
	else
		halve(h);
}

/*
 * Takes memory from another one; false when nobody has too much. RETIRED SAs give all but what
 * history_condense leaves. Live ones give half when they have more than twice as much as h, so that
 * two do not take from each other for ever, and a block when h has less than its share.
 */
static bool take_from_others(struct history *h)
{
	struct history_budget *b = h->budget;
	uint64_t share = b->cap / UNIT / max_u64(1, b->members), mine = units(h);
	struct history *victim = largest(b->retired, LIFE_CONDENSED_UNITS, h);

	if (victim) {
		history_condense(victim);
		return true;
	}
	if (h->retired)
		return false;
	victim = largest(b->live, mine * 2 + 1, h);
	if (victim) {
		halve(victim);
		return true;
	}
	victim = mine < share ? largest(b->live, mine + 2, h) : NULL;
	if (victim)
		shave(victim);
	return victim != NULL;
}

/* Memory for one more block of h, taken from others when none is free. */
static bool may_take(struct history *h)
{
	while (!is_free(h->budget, BLOCK_BYTES)) {
		if (!take_from_others(h))
			return false;
	}
	return true;
}

/* ---- the near ring ---- */

static bool dir_fits(const struct history *h, uint64_t index)
{
	const struct near_block *b = place(h, index);

	return b && (!b->v || b->index == index);
}

/* The directory doubles until the blocks that are kept do not meet in it. */
static void dir_grow(struct history *h, uint64_t index)
{
	while (!dir_fits(h, index)) {
		uint32_t size = h->dir_size ? h->dir_size * 2 : DIR_START;
		struct near_block *dir = xzalloc(size * sizeof(*dir));

		for (uint32_t i = 0; i < h->dir_size; i++) {
			if (h->dir[i].v)
				dir[h->dir[i].index & (size - 1)] = h->dir[i];
		}
		free(h->dir);
		h->budget->used += (size - h->dir_size) * sizeof(*dir);
		h->dir = dir;
		h->dir_size = size;
	}
}

/* A zeroed block for `index`, from the budget or, when there is nothing to be had, from our own. */
static struct near_entry *block_make(struct history *h, uint64_t index)
{
	struct near_entry *v = NULL;

	/* The directory holds as many indexes in a row as history_packets asks for. */
	if (index >= h->blocks_max)
		v = raise_floor(h, index - h->blocks_max + 1, true);
	if (!v && h->blocks > 0 && !may_take(h)) {
		uint64_t from = oldest(h);

		/* A late packet is not worth a newer block. */
		if (index < from)
			return NULL;
		v = raise_floor(h, from + 1, true);
	}
	if (v)
		memset(v, 0, BLOCK_BYTES);
	else
		v = xzalloc(BLOCK_BYTES);
	dir_grow(h, index);
	*place(h, index) = (struct near_block){.index = index, .v = v};
	set_memory(h, h->blocks + 1, h->life_size);
	return v;
}

static void near_record(struct history *h, uint64_t number, uint32_t tag, uint32_t iv)
{
	uint64_t index = number / HISTORY_BLOCK;
	struct near_entry *v;

	if (number < h->floor)
		return;
	v = block_of(h, index);
	if (!v)
		v = block_make(h, index);
	if (!v) {
		/* What is not recorded must not read as "not received". */
		raise_floor(h, index + 1, false);
		return;
	}
	v[number % HISTORY_BLOCK] = (struct near_entry){tag, iv | (tag == 0 && iv == 0)};
	h->here = v;
	h->here_index = index;
}

static void near_free(struct history *h)
{
	raise_floor(h, h->top / HISTORY_BLOCK + 1, false);
	h->budget->used -= h->dir_size * sizeof(*h->dir);
	free(h->dir);
	h->dir = NULL;
	h->dir_size = 0;
}

void history_retire(struct history *h)
{
	if (h->retired)
		return;
	list_out(h);
	h->retired = true;
	list_in(h);
}

/* ---- the lifetime entries ---- */

/* The first place in life whose number is not below n. */
static uint32_t life_search(const struct history *h, uint64_t n)
{
	uint32_t lo = 0, hi = h->life_count;

	/* Numbers mostly come in order. */
	if (hi > 0 && h->life[hi - 1].number < n)
		return hi;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (h->life[mid].number < n)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The first entries are given beyond the cap too. */
static bool life_grow(struct history *h)
{
	uint32_t size = h->life_size ? h->life_size * 2 : LIFE_START;
	uint64_t bytes = (size - h->life_size) * sizeof(*h->life);

	if (size > HISTORY_LIFETIME_MAX || (h->life_size && !is_free(h->budget, bytes)))
		return false;
	h->life = xreallocarray(h->life, size, sizeof(*h->life));
	set_memory(h, h->blocks, size);
	return true;
}

static void life_record(struct history *h, uint64_t number, uint32_t tag, uint32_t iv)
{
	uint32_t at;

	if ((number & (h->life_step - 1)) != h->life_phase)
		return;
	if (h->life_count == h->life_size && !life_grow(h)) {
		life_thin(h, h->life_size);
		if ((number & (h->life_step - 1)) != h->life_phase)
			return;
	}
	at = life_search(h, number);
	memmove(&h->life[at + 1], &h->life[at], (h->life_count - at) * sizeof(*h->life));
	h->life[at] = (struct life_entry){.number = number, .tag = tag, .iv = iv};
	h->life_count++;
}

/* ---- both ---- */

void history_fini(struct history *h)
{
	near_free(h);
	life_free(h);
}

void history_condense(struct history *h)
{
	near_free(h);
	life_shrink(h, LIFE_CONDENSED);
}

void history_record_slow(struct history *h, uint64_t number, uint32_t tag, uint32_t iv)
{
	h->top = max_u64(h->top, number);
	near_record(h, number, tag, iv);
	life_record(h, number, tag, iv);
}

static enum history_answer compare(uint32_t known, uint32_t tag, uint32_t iv, uint32_t *ret_iv)
{
	if (known == tag)
		return HISTORY_SAME;
	*ret_iv = iv;
	return HISTORY_OTHER;
}

static enum history_answer near_lookup(const struct history *h, uint64_t number, uint32_t tag,
				       uint32_t *ret_iv)
{
	const struct near_entry *v = block_of(h, number / HISTORY_BLOCK), *e;

	e = v ? &v[number % HISTORY_BLOCK] : NULL;
	if (!e || (e->tag == 0 && e->iv == 0))
		return HISTORY_ABSENT;
	return compare(e->tag, tag, e->iv, ret_iv);
}

enum history_answer history_lookup(const struct history *h, uint64_t number, uint32_t tag,
				   uint32_t *ret_iv)
{
	uint32_t at;

	if (history_reaches(h, number))
		return near_lookup(h, number, tag, ret_iv);
	if ((number & (h->life_step - 1)) != h->life_phase)
		return HISTORY_UNKNOWN;
	at = life_search(h, number);
	if (at == h->life_count || h->life[at].number != number)
		return HISTORY_UNKNOWN;
	return compare(h->life[at].tag, tag, h->life[at].iv, ret_iv);
}
