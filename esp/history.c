/* history.c - see history.h. SPDX-License-Identifier: ISC */
#include "history.h"
#include "xalloc.h"

#define BLOCK_BYTES	     (HISTORY_BLOCK * sizeof(struct near_entry))
#define HEAD_BLOCKS	     (HISTORY_HEAD / HISTORY_BLOCK)
#define RING_START	     4
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
	return (h->blocks + h->heads) * BLOCK_BYTES + h->room * sizeof(*h->ring) +
	       h->life_size * sizeof(*h->life);
}

/* ---- the budget's lists: by memory, so that the largest is found at once ---- */

#define UNIT BLOCK_BYTES

static uint32_t life_units(const struct history *h)
{
	return (uint32_t)((h->life_size * sizeof(*h->life) + UNIT - 1) / UNIT);
}

/*
 * The memory of a history in units, without the array of the ring, which is about a two-hundredth
 * of it.
 */
static uint32_t units(const struct history *h)
{
	return h->blocks + h->heads + life_units(h);
}

/* Classes are a quarter apart at most: a history in a higher class surely has more. n > 0. */
static unsigned class_of(uint32_t n)
{
	unsigned e = 31 - (unsigned)__builtin_clz(n);

	return e < 2 ? n : (e - 1) * 4 + (n >> (e - 2) & 3);
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

/* Every change of a history's memory is made here, except that of the array of the ring. */
static void set_memory(struct history *h, uint32_t blocks, uint32_t heads, uint32_t life_size)
{
	uint64_t before = (h->blocks + h->heads) * BLOCK_BYTES + h->life_size * sizeof(*h->life);

	list_out(h);
	h->blocks = blocks;
	h->heads = heads;
	h->life_size = life_size;
	h->budget->used += (blocks + heads) * BLOCK_BYTES + life_size * sizeof(*h->life) - before;
	list_in(h);
}

/* ---- blocks: ring[first] has the lowest index, ring[first + blocks - 1] the highest ---- */

/* The number of blocks below this index. Mostly there are no gaps, and the first guess is right. */
static uint32_t search(const struct history *h, uint64_t index)
{
	const struct near_block *b;
	uint32_t lo = 0, hi = h->blocks;
	uint64_t guess;

	if (hi == 0)
		return 0;
	b = &h->ring[h->first];
	if (index <= b[0].index)
		return 0;
	guess = index - b[0].index;
	if (guess < hi && b[guess].index == index)
		return (uint32_t)guess;
	hi = (uint32_t)min_u64(hi, guess);
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (b[mid].index < index)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct near_entry *block_of(const struct history *h, uint64_t index)
{
	const struct near_block *b;
	uint32_t at;

	if (index < h->floor / HISTORY_BLOCK)
		return index < h->head_end / HISTORY_BLOCK && h->head ? h->head[index] : NULL;
	at = search(h, index);
	b = at < h->blocks ? &h->ring[h->first + at] : NULL;
	return b && b->index == index ? b->v : NULL;
}

/*
 * Makes a free place behind the last block, and shrinks an array that is less than a quarter full.
 */
static void ring_fit(struct history *h)
{
	uint32_t room = h->room;

	while (room > RING_START && h->blocks < room / 4)
		room /= 2;
	/* An eighth more, so that the blocks are not moved down too often. */
	while (room < h->blocks + h->blocks / 8 + 1)
		room = room ? room * 2 : RING_START;
	if (room == h->room && h->first + h->blocks < room)
		return;
	if (h->blocks)
		memmove(h->ring, h->ring + h->first, h->blocks * sizeof(*h->ring));
	h->first = 0;
	if (room == h->room)
		return;
	h->ring = xreallocarray(h->ring, room, sizeof(*h->ring));
	h->budget->used += room * sizeof(*h->ring);
	h->budget->used -= h->room * sizeof(*h->ring);
	h->room = room;
}

/* Takes the last block off the head; true if that had been made. */
static bool head_pop(struct history *h)
{
	uint64_t last = (h->head_end -= HISTORY_BLOCK) / HISTORY_BLOCK;
	struct near_entry *v = h->head ? h->head[last] : NULL;

	if (v)
		h->head[last] = NULL;
	free(v);
	return v != NULL;
}

/* Ends the head before the block `end`. */
static void head_cut(struct history *h, uint64_t end)
{
	uint32_t gone = 0;

	while (h->head_end / HISTORY_BLOCK > end)
		gone += head_pop(h);
	set_memory(h, h->blocks, h->heads - gone, h->life_size);
}

/* Cuts the head until at most `heads` blocks are made in it. */
static void head_shrink(struct history *h, uint32_t heads)
{
	uint32_t gone = 0;

	while (h->heads - gone > heads)
		gone += head_pop(h);
	set_memory(h, h->blocks, h->heads - gone, h->life_size);
}

/*
 * Where the head ends, in blocks, once the floor is raised to the block `index` and the head may
 * have `most` blocks.
 */
static uint64_t head_grown(const struct history *h, uint64_t index, uint64_t most)
{
	uint64_t end = h->head_end / HISTORY_BLOCK;

	if (end < h->floor / HISTORY_BLOCK) /* numbers are missing between */
		return end;
	return max_u64(end, min_u64(index, min_u64(HEAD_BLOCKS, most)));
}

/*
 * Raises the floor to the block `index`: takes each block below it out of the near ring. The first
 * ones become the head, which may have `head` blocks; one of the others is returned if `keep` is
 * set, and the rest is freed.
 */
static struct near_entry *raise_floor(struct history *h, uint64_t index, uint64_t head, bool keep)
{
	struct near_entry *kept = NULL;
	uint32_t gone = 0, heads = 0;

	if (index <= h->floor / HISTORY_BLOCK)
		return NULL;
	h->head_end = head_grown(h, index, head) * HISTORY_BLOCK;
	h->floor = index * HISTORY_BLOCK;
	for (; gone < h->blocks && h->ring[h->first].index < index; gone++) {
		struct near_block *b = &h->ring[h->first++];

		if (b->v == h->here)
			h->here = NULL;
		if (b->index < h->head_end / HISTORY_BLOCK) {
			if (!h->head)
				h->head = xzalloc(HEAD_BLOCKS * sizeof(*h->head));
			h->head[b->index] = b->v;
			heads++;
		} else if (keep && !kept) {
			kept = b->v;
		} else {
			free(b->v);
		}
	}
	set_memory(h, h->blocks - gone, h->heads + heads, h->life_size);
	if (gone)
		ring_fit(h);
	return kept;
}

/* The index of the oldest block. Only with blocks > 0. */
static uint64_t oldest(const struct history *h)
{
	return h->ring[h->first].index;
}

/* ---- fair memory ---- */

static bool is_free(const struct history_budget *b, uint64_t bytes)
{
	return b->used + bytes <= b->cap;
}

/*
 * Doubles the step until there are fewer than `below` entries. Which half stays is random, so that
 * nobody can know it beforehand.
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
	set_memory(h, h->blocks, h->heads, size);
}

static void life_free(struct history *h)
{
	free(h->life);
	h->life = NULL;
	h->life_count = 0;
	set_memory(h, h->blocks, h->heads, 0);
}

/*
 * raise_floor when memory is short: leaves `left` blocks in the ring, and at most an eighth of that
 * in the head.
 */
static struct near_entry *give_way(struct history *h, uint64_t index, uint32_t left, bool keep)
{
	struct near_entry *v = raise_floor(h, index, left / 8, keep);

	head_shrink(h, left / 8);
	return v;
}

/*
 * Frees half of the lifetime entries if they take more than half as much as the ring; or else half
 * of the head if it is larger than the ring; or else the older half of the blocks in the ring.
 */
static void halve(struct history *h)
{
	uint32_t want = h->blocks / 2;

	if (h->life_size > LIFE_START && life_units(h) * 2 > h->blocks)
		life_shrink(h, h->life_size / 2);
	else if (h->blocks <= 1 || h->heads > h->blocks)
		head_shrink(h, h->heads / 2);
	else
		give_way(h, h->ring[h->first + h->blocks - want - 1].index + 1, want, false);
}

/*
 * A history of the highest class that is above the class of `than` units, or NULL. The cost is the
 * number of classes, however many histories there are.
 */
static struct history *largest(struct history_list *lists, uint64_t than,
			       const struct history *except)
{
	struct history *h;

	for (unsigned i = HISTORY_CLASSES; i-- > 0 && i > class_of((uint32_t)than);) {
		LIST_FOREACH (h, &lists[i], link) {
			if (h != except)
				return h;
		}
	}
	return NULL;
}

/*
 * Frees the oldest block of the ring, or halves h if the ring is smaller than the lifetime entries.
 */
static void shave(struct history *h)
{
	if (h->blocks > 1 && h->blocks >= life_units(h))
		give_way(h, oldest(h) + 1, h->blocks - 1, false);
	else
		halve(h);
}

/* Condenses the history of a RETIRED SA; false if none has more than history_condense leaves. */
static bool take_from_retired(struct history_budget *b, const struct history *except)
{
	struct history *victim = largest(b->retired, LIFE_CONDENSED_UNITS, except);

	if (victim)
		history_condense(victim);
	return victim != NULL;
}

/*
 * Takes memory from another history; false if none has too much. RETIRED SAs come first. A live one
 * gives half if it has more than twice as much as h, so that two do not take from each other for
 * ever, and a block if h has less than its share.
 */
static bool take_from_others(struct history *h)
{
	struct history_budget *b = h->budget;
	uint64_t share = b->cap / UNIT / max_u64(1, b->members), mine = units(h);
	struct history *victim;

	if (take_from_retired(b, h))
		return true;
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

void history_budget_set(struct history_budget *b, uint64_t cap)
{
	struct history *h;

	b->cap = cap;
	while (!is_free(b, 0)) {
		if (take_from_retired(b, NULL))
			continue;
		/* The first block and the first entries of each history may exceed the cap. */
		h = largest(b->live, 2, NULL);
		if (!h)
			return;
		halve(h);
	}
}

/* Makes memory for one more block of h free, by taking from others; false if there is none. */
static bool may_take(struct history *h)
{
	while (!is_free(h->budget, BLOCK_BYTES)) {
		if (!take_from_others(h))
			return false;
	}
	return true;
}

/* ---- the near ring ---- */

static void ring_insert(struct history *h, struct near_block b)
{
	uint32_t at = search(h, b.index);
	struct near_block *p;

	ring_fit(h);
	p = h->ring + h->first + at;
	memmove(p + 1, p, (h->blocks - at) * sizeof(*p));
	*p = b;
	set_memory(h, h->blocks + 1, h->heads, h->life_size);
}

/*
 * Makes a zeroed block for `index`, with memory from the budget or, if there is none, from the
 * oldest block of h. NULL if there is none and the block would be older than those.
 */
static struct near_entry *block_make(struct history *h, uint64_t index)
{
	struct near_entry *v = NULL;

	/* The ring covers as many consecutive indexes as history_packets asks for. */
	if (index >= h->blocks_max)
		v = raise_floor(h, index - h->blocks_max + 1, h->blocks_max / 8 + 1, true);
	while (!v && h->blocks > 0 && !may_take(h)) {
		if (h->heads > h->blocks / 8) {
			head_shrink(h, h->heads - 1);
			continue;
		}
		/* A late packet is not worth a newer block. */
		if (index < oldest(h))
			return NULL;
		v = give_way(h, oldest(h) + 1, h->blocks - 1, true);
	}
	if (v)
		memset(v, 0, BLOCK_BYTES);
	else
		v = xzalloc(BLOCK_BYTES);
	ring_insert(h, (struct near_block){.index = index, .v = v});
	return v;
}

/*
 * Records a late packet below the floor. If its block is not in the head, the head is cut, as it
 * must not say that the packet was not received.
 */
static void head_record(struct history *h, uint64_t number, struct near_entry e)
{
	struct near_entry *v = block_of(h, number / HISTORY_BLOCK);

	if (v)
		v[number % HISTORY_BLOCK] = e;
	else
		head_cut(h, number / HISTORY_BLOCK);
}

static void near_record(struct history *h, uint64_t number, uint32_t tag, uint32_t iv)
{
	struct near_entry *v, e = {tag, iv | (tag == 0 && iv == 0)};
	uint64_t index = number / HISTORY_BLOCK;

	if (number < h->floor) {
		if (number < h->head_end)
			head_record(h, number, e);
		return;
	}
	v = block_of(h, index);
	if (!v)
		v = block_make(h, index);
	if (!v) {
		/* What is not recorded must not read as "not received". */
		raise_floor(h, index + 1, 0, false);
		return;
	}
	v[number % HISTORY_BLOCK] = e;
	h->here = v;
	h->here_index = index;
}

static void near_free(struct history *h)
{
	raise_floor(h, h->top / HISTORY_BLOCK + 1, 0, false);
	head_cut(h, 0);
	free(h->head);
	h->head = NULL;
	h->budget->used -= h->room * sizeof(*h->ring);
	free(h->ring);
	h->ring = NULL;
	h->room = h->first = 0;
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

/* The first place in life whose number is not less than n. */
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

/* The first entries are allocated even beyond the cap. */
static bool life_grow(struct history *h)
{
	uint32_t size = h->life_size ? h->life_size * 2 : LIFE_START;
	uint64_t bytes = (size - h->life_size) * sizeof(*h->life);

	if (size > HISTORY_LIFETIME_MAX || (h->life_size && !is_free(h->budget, bytes)))
		return false;
	h->life = xreallocarray(h->life, size, sizeof(*h->life));
	set_memory(h, h->blocks, h->heads, size);
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

/* ---- save and load ---- */

static void block_save(uint64_t index, const struct near_entry *v, struct writer *w)
{
	wr_be64(w, index);
	wr_bytes(w, v, BLOCK_BYTES);
}

void history_save(const struct history *h, struct writer *w)
{
	wr_be64(w, h->top);
	wr_be64(w, h->floor);
	wr_be64(w, h->head_end);
	wr_be64(w, h->life_step);
	wr_be64(w, h->life_phase);
	wr_be32(w, h->heads);
	for (uint64_t i = 0; h->head && i < HEAD_BLOCKS; i++) {
		if (h->head[i])
			block_save(i, h->head[i], w);
	}
	wr_be32(w, h->blocks);
	for (uint32_t i = 0; i < h->blocks; i++)
		block_save(h->ring[h->first + i].index, h->ring[h->first + i].v, w);
	wr_be32(w, h->life_count);
	wr_bytes(w, h->life, h->life_count * sizeof(*h->life));
}

/*
 * A copy of the entries of the next block; NULL if there is none, or its index is not in [lo, hi).
 */
static struct near_entry *block_load(struct reader *r, uint64_t lo, uint64_t hi,
				     uint64_t *ret_index)
{
	uint64_t index = rd_be64(r);
	const uint8_t *p = rd_bytes(r, BLOCK_BYTES);

	if (!p || index < lo || index >= hi)
		return NULL;
	*ret_index = index;
	return xmemdup(p, BLOCK_BYTES);
}

static int head_load(struct history *h, struct reader *r)
{
	uint32_t count = rd_be32(r);
	uint64_t index = 0, from = 0;

	for (uint32_t i = 0; i < count; i++, from = index + 1) {
		struct near_entry *v = block_load(r, from, h->head_end / HISTORY_BLOCK, &index);

		if (!v)
			return -EBADMSG;
		if (!h->head)
			h->head = xzalloc(HEAD_BLOCKS * sizeof(*h->head));
		h->head[index] = v;
		set_memory(h, h->blocks, h->heads + 1, h->life_size);
	}
	return 0;
}

static int ring_load(struct history *h, struct reader *r)
{
	uint32_t count = rd_be32(r);
	uint64_t index = 0, from = h->floor / HISTORY_BLOCK;

	for (uint32_t i = 0; i < count; i++, from = index + 1) {
		struct near_entry *v = block_load(r, from, h->top / HISTORY_BLOCK + 1, &index);

		if (!v)
			return -EBADMSG;
		ring_insert(h, (struct near_block){.index = index, .v = v});
	}
	return 0;
}

static int life_load(struct history *h, struct reader *r)
{
	uint32_t count = rd_be32(r), size = LIFE_START;
	const uint8_t *p =
		count <= HISTORY_LIFETIME_MAX ? rd_bytes(r, count * sizeof(*h->life)) : NULL;

	if (!p)
		return -EBADMSG;
	if (count == 0)
		return 0;
	while (size < count)
		size *= 2;
	h->life = xreallocarray(NULL, size, sizeof(*h->life));
	set_memory(h, h->blocks, h->heads, size);
	memcpy(h->life, p, count * sizeof(*h->life));
	h->life_count = count;
	for (uint32_t i = 1; i < count; i++) {
		if (h->life[i - 1].number >= h->life[i].number)
			return -EBADMSG;
	}
	return 0;
}

/* The floor is 1 at first, and the start of a block from then on. */
static bool is_sound(const struct history *h)
{
	return h->head_end <= HISTORY_HEAD && h->head_end <= h->floor &&
	       h->head_end % HISTORY_BLOCK == 0 && h->floor > 0 &&
	       (h->floor == 1 || h->floor % HISTORY_BLOCK == 0) && h->life_step > 0 &&
	       (h->life_step & (h->life_step - 1)) == 0 && h->life_phase < h->life_step;
}

int history_load(struct history *h, struct reader *r)
{
	struct history saved = *h;

	saved.top = rd_be64(r);
	saved.floor = rd_be64(r);
	saved.head_end = rd_be64(r);
	saved.life_step = rd_be64(r);
	saved.life_phase = rd_be64(r);
	if (r->bad || !is_sound(&saved))
		return -EBADMSG;
	*h = saved;
	if (head_load(h, r) < 0 || ring_load(h, r) < 0)
		return -EBADMSG;
	return life_load(h, r);
}
