/* t_history.c - the history against a model that keeps every number received (doc/recovery.md 2).
 * SPDX-License-Identifier: ISC */
#include "esp_fixture.h"
#include "ref_model.h"

#define BLOCK_BYTES (HISTORY_BLOCK * sizeof(struct near_entry))
#define LIFE_START  (64 * sizeof(struct life_entry)) /* per SA, even beyond the cap */
#define RING_START  (4 * sizeof(struct near_block))
#define FIRST_GRANT (BLOCK_BYTES + LIFE_START + RING_START)
#define MIB	    (1024 * 1024)

/* Tag and IV digest are functions of the number, so that the model needs to keep the numbers
 * only. */
static uint32_t tag_of(uint64_t n)
{
	return (uint32_t)(n * 0x9e3779b97f4a7c15ULL >> 32);
}

static uint32_t iv_of(uint64_t n)
{
	return (uint32_t)(n * 0xbf58476d1ce4e5b9ULL >> 32);
}

struct world {
	struct history h;
	struct history_budget own, *budget;
	struct history_config cfg;
	struct fixture_rng rng;
	struct refset got;
	struct refwindow w; /* only to tell FRESH numbers from others */
	uint64_t used;
};

/* budget NULL: the world gets its own budget, without a limit. */
static void world_init(struct world *w, const struct history_config *cfg,
		       struct history_budget *budget, uint64_t salt)
{
	*w = (struct world){.cfg = *cfg};
	history_budget_init(&w->own, UINT64_MAX);
	w->budget = budget ? budget : &w->own;
	fixture_rng_init(&w->rng, salt);
	history_init(&w->h, cfg, w->budget, &w->rng.rng);
	refset_init(&w->got);
	refwindow_init(&w->w, cfg->window);
}

static void world_fini(struct world *w)
{
	history_fini(&w->h);
	if (w->budget == &w->own) {
		assert_true(w->own.used == 0);
		assert_int_equal(w->own.members, 0);
	}
	refset_fini(&w->got);
	refwindow_fini(&w->w);
}

/* Receives a packet if its number is FRESH; like esp_in, the history records FRESH packets only. */
static bool receive(struct world *w, uint64_t n)
{
	if (!window_is_new(refwindow_place(&w->w, n)))
		return false;
	refwindow_commit(&w->w, n);
	refset_add(&w->got, n);
	history_record(&w->h, n, tag_of(n), iv_of(n));
	w->used++;
	return true;
}

static void receive_up_to(struct world *w, uint64_t n)
{
	while (w->w.top < n)
		receive(w, w->w.top + 1);
}

/* Looks n up with its own tag and with another one, and asserts that both answers are right. True
 * if n is remembered. */
static bool knows(const struct world *w, uint64_t n)
{
	uint32_t iv = ~iv_of(n);
	bool got = refset_has(&w->got, n);
	enum history_answer same = history_lookup(&w->h, n, tag_of(n), &iv), other;

	other = history_lookup(&w->h, n, tag_of(n) ^ 1, &iv);
	if (same == HISTORY_SAME) {
		assert_int_equal(other, HISTORY_OTHER);
		assert_int_equal(iv, iv_of(n));
		assert_true(got);
		return true;
	}
	assert_int_equal(same, other);
	/* "not received" must be answered for numbers within reach only, and never for a received
	 * one */
	assert_int_equal(same == HISTORY_ABSENT, history_reaches(&w->h, n));
	if (got && same == HISTORY_ABSENT)
		fail_msg("%llu was received and reads as \"not received\"", (unsigned long long)n);
	return false;
}

/* The first number that is no longer in the head, if there is enough memory. */
static uint64_t head_end(const struct world *w)
{
	uint64_t blocks = max_u64(w->cfg.packets, w->cfg.window) / HISTORY_BLOCK + 2;

	return min_u64(HISTORY_HEAD, (blocks / 8 + 1) * HISTORY_BLOCK);
}

/* True for numbers that need a definite answer: those in the head, in the window, within
 * history_packets, and right of the window. */
static bool must_answer(const struct world *w, uint64_t n)
{
	return n < head_end(w) || w->w.top - n < max_u64(w->cfg.packets, w->cfg.window) ||
	       n > w->w.top;
}

static void check(const struct world *w, uint64_t n)
{
	bool known = knows(w, n);

	if (!must_answer(w, n))
		return;
	assert_true(history_reaches(&w->h, n));
	if (known != refset_has(&w->got, n))
		fail_msg("%llu of the last %llu at %llu is %s", (unsigned long long)n,
			 (unsigned long long)w->cfg.packets, (unsigned long long)w->w.top,
			 known ? "made up" : "forgotten");
}

/* Checks every number within reach, and some beyond both ends. */
static void check_all(const struct world *w)
{
	uint64_t reach = max_u64(w->cfg.packets, w->cfg.window) + 3 * HISTORY_BLOCK;
	uint64_t top = w->w.top, from = top > reach ? top - reach : 1;

	for (uint64_t n = from; n <= top + 1000; n++)
		check(w, n);
}

static const struct history_config configs[] = {
	{.window = 32, .packets = 1024},    {.window = 33, .packets = 2000},
	{.window = 64, .packets = 511},	    {.window = 64, .packets = 512},
	{.window = 64, .packets = 4096},    {.window = 65, .packets = 30000},
	{.window = 1024, .packets = 1024},  {.window = 1024, .packets = 1 << 16},
	{.window = 65536, .packets = 1024}, {.window = 65536, .packets = 1 << 17},
};

/* The next number to receive: mostly in order, else after a gap, late, at random, or after a
 * jump. */
static uint64_t draw(struct world *w)
{
	uint64_t top = w->w.top, back = fixture_below(&w->rng, w->cfg.window);

	switch (fixture_below(&w->rng, 12)) {
	case 0: return top + 1 + fixture_below(&w->rng, 4);
	case 1:
	case 2: return top > back ? top - back : top + 1;
	case 3: return 1 + fixture_below(&w->rng, top + 1);
	case 4:
		if (fixture_below(&w->rng, 500) == 0)
			return top + (1ULL << fixture_below(&w->rng, 41));
		return top + 1;
	default: return top + 1;
	}
}

/* A number to look up where errors are likely: near the ends of reach, window and head, exactly 2^k
 * ahead, or at random. */
static uint64_t probe(struct world *w)
{
	uint64_t top = w->w.top, reach = max_u64(w->cfg.packets, w->cfg.window);
	uint64_t spread = fixture_below(&w->rng, 600);

	switch (fixture_below(&w->rng, 6)) {
	case 0: return top > spread ? top - spread : 1;
	case 1: return top + 300 > reach + spread ? top + 300 - reach - spread : 1;
	case 2: return top + (1ULL << fixture_below(&w->rng, 41)) - fixture_below(&w->rng, 2);
	case 3: return top > w->cfg.window + spread ? top - w->cfg.window - spread : 1;
	case 4: return 1 + fixture_below(&w->rng, head_end(w) + 600);
	default: return 1 + fixture_below(&w->rng, top);
	}
}

static void random_traffic(const struct history_config *cfg, uint64_t start, uint64_t salt)
{
	uint64_t packets = min_u64(30 * max_u64(cfg->packets, cfg->window), 300000);
	struct world w;

	world_init(&w, cfg, NULL, salt);
	receive(&w, start);
	for (uint64_t i = 0; i < packets; i++) {
		receive(&w, draw(&w));
		check(&w, probe(&w));
		check(&w, probe(&w));
		assert_true(history_memory(&w.h) == w.budget->used);
		if (i % (packets / 5) == 17)
			check_all(&w);
	}
	check_all(&w);
	world_fini(&w);
}

/* The history answers as the model does, from number 1 and across 2^32. */
static void test_random_traffic(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(configs); i++) {
		random_traffic(&configs[i], 1, 10 + i);
		random_traffic(&configs[i], (1ULL << 32) - 5000, 30 + i);
	}
}

/* Counts the packets that a sender which continues from x sends until one has a remembered number;
 * limit + 1 if none of the first `limit` has. */
static uint64_t until_met(const struct world *w, uint64_t x, uint64_t limit)
{
	for (uint64_t i = 0; i < limit; i++) {
		if (knows(w, x + i))
			return i + 1;
	}
	return limit + 1;
}

/*
 * Without loss, the first packet from x on has a remembered number if x is within reach; otherwise
 * one of the first (numbers used / 2,048) packets does.
 */
static void check_guarantee(const struct world *w, uint64_t x)
{
	uint64_t top = w->w.top;
	uint64_t limit = must_answer(w, x) ? 1 : max_u64(top / 2048, 1);

	if (until_met(w, x, limit) > limit)
		fail_msg("from %llu, top %llu: not met within %llu", (unsigned long long)x,
			 (unsigned long long)top, (unsigned long long)limit);
}

/* check_guarantee for random rewinds, at up to 1,000,000 numbers used. */
static void test_guarantee(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(configs); i++) {
		struct world w;
		uint64_t top = 2 + i * 97;

		world_init(&w, &configs[i], NULL, 50 + i);
		while (w.w.top < 1000000) {
			receive_up_to(&w, top);
			for (unsigned k = 0; k < 300; k++)
				check_guarantee(&w, 1 + fixture_below(&w.rng, top));
			check_guarantee(&w, 1);
			check_guarantee(&w, top);
			top += top / 3 + 1;
		}
		world_fini(&w);
	}
}

/* check_guarantee for every possible rewind, with few enough numbers to try them all. */
static void test_guarantee_everywhere(void **state)
{
	static const struct history_config cfg = {.window = 64, .packets = 3000};
	struct world w;

	(void)state;
	world_init(&w, &cfg, NULL, 60);
	for (uint64_t top = 1; top <= 40000; top++) {
		receive(&w, top);
		if (top % 4001 && top != 4096 && top != 4097 && top != 8192 && top != 8193)
			continue;
		for (uint64_t x = 1; x <= top; x++)
			check_guarantee(&w, x);
	}
	world_fini(&w);
}

/* After forward jumps (RFC 6311; some vendors), skipped numbers read as "not received", and
 * received ones are still remembered. */
static void test_forward_jumps(void **state)
{
	static const struct history_config cfg = {.window = 1024, .packets = 1 << 16};

	(void)state;
	for (unsigned bits = 0; bits <= 40; bits++) {
		struct world w;

		world_init(&w, &cfg, NULL, 70 + bits);
		receive_up_to(&w, 200000);
		receive(&w, 200000 + (1ULL << bits));
		check_all(&w);
		receive(&w, 200000 + (1ULL << bits) + 700); /* and once more, over a smaller gap */
		check_all(&w);
		for (uint64_t n = 100000; n < 201000; n++)
			check(&w, n);
		world_fini(&w);
	}
}

/*
 * After a jump beyond the ring, only one block is allocated; the array of blocks never grows beyond
 * what history_packets needs.
 */
static void test_jumps_are_cheap(void **state)
{
	static const struct history_config cfg = {.window = 1024, .packets = 2 << 20};
	uint64_t blocks = cfg.packets / HISTORY_BLOCK + 2, most;
	struct world w;

	(void)state;
	most = 2 * blocks * sizeof(struct near_block) + LIFE_START * 64 +
	       HISTORY_HEAD * sizeof(struct near_entry);
	world_init(&w, &cfg, NULL, 79);
	receive_up_to(&w, 3000000);
	assert_int_equal(w.h.blocks, blocks);
	receive(&w, 1ULL << 40);
	assert_int_equal(w.h.blocks, 1);
	assert_true(w.budget->used <= most + BLOCK_BYTES);
	/* each jump is longer than the ring: only the newest block is ever kept */
	for (unsigned i = 0; i < 2000; i++) {
		receive(&w, w.w.top + (3ULL << 20) + fixture_below(&w.rng, 1ULL << 40));
		assert_int_equal(w.h.blocks, 1);
		check(&w, w.w.top - fixture_below(&w.rng, cfg.packets));
	}
	/* each jump is one block long: every packet gets a block, up to the number of blocks in the
	 * ring */
	for (unsigned i = 0; i < 3 * blocks; i++)
		receive(&w, w.w.top + HISTORY_BLOCK);
	assert_in_range(w.h.blocks, blocks - 1, blocks);
	assert_true(w.budget->used <= most + blocks * BLOCK_BYTES);
	world_fini(&w);
}

/* An entry must not answer for a number that has the same place in another pass of the ring. */
static void test_no_answer_for_other_laps(void **state)
{
	static const struct history_config cfg = {.window = 64, .packets = 2048};
	struct world w;
	uint32_t iv;

	(void)state;
	world_init(&w, &cfg, NULL, 80);
	for (uint64_t n = 5000; n < 30000; n++)
		receive(&w, n);
	for (uint64_t lap = 64; lap < (1ULL << 40); lap *= 2) {
		for (uint64_t n = 29990; n < 30000; n++) {
			/* looks up a number that differs by `lap`, with the tag of the entry at its
			 * place */
			assert_int_equal(history_lookup(&w.h, n + lap, tag_of(n), &iv),
					 HISTORY_ABSENT);
			if (lap > 4096 && lap < n)
				assert_false(history_lookup(&w.h, n - lap, tag_of(n), &iv) ==
					     HISTORY_SAME);
		}
	}
	assert_false(knows(&w, 4999));
	/* one pass of the ring in which only the second number of each block arrives */
	for (uint64_t n = 30000 - 30000 % HISTORY_BLOCK + HISTORY_BLOCK; n < 40000;
	     n += HISTORY_BLOCK)
		receive(&w, n + 1);
	check_all(&w);
	world_fini(&w);
}

/* A tag and an IV digest of all zeros are recorded and found as any other. */
static void test_zero_tag(void **state)
{
	static const struct history_config cfg = {.window = 64, .packets = 1024};
	struct world w;
	uint32_t iv = 1;

	(void)state;
	world_init(&w, &cfg, NULL, 81);
	assert_int_equal(history_lookup(&w.h, 3, 0, &iv), HISTORY_ABSENT);
	for (uint64_t n = 3; n < 90000; n += 7) {
		history_record(&w.h, n, 0, 0);
		assert_int_equal(history_lookup(&w.h, n, 0, &iv), HISTORY_SAME);
		assert_int_equal(history_lookup(&w.h, n, 1, &iv), HISTORY_OTHER);
		assert_int_equal(history_lookup(&w.h, n - 1, 0, &iv), HISTORY_ABSENT);
		assert_int_equal(history_lookup(&w.h, n + 1, 0, &iv), HISTORY_ABSENT);
	}
	history_record(&w.h, 100000, 0, 5);
	assert_int_equal(history_lookup(&w.h, 100000, 7, &iv), HISTORY_OTHER);
	assert_int_equal(iv, 5);
	history_record(&w.h, 100001, 5, 0);
	assert_int_equal(history_lookup(&w.h, 100001, 7, &iv), HISTORY_OTHER);
	assert_int_equal(iv, 0);
	world_fini(&w);
}

/* Memory is 0 before the first packet, small after 10 packets, and grows with the traffic to at
 * most 17 MiB. */
static void test_memory_grows(void **state)
{
	static const struct history_config cfg = {.window = 1024, .packets = 2 << 20};
	uint64_t before = 0;
	struct world w;

	(void)state;
	world_init(&w, &cfg, NULL, 82);
	assert_true(history_memory(&w.h) == 0 && w.budget->used == 0);
	for (uint64_t n = 1; n <= 5000000; n++) {
		receive(&w, n);
		if (n == 10)
			assert_true(w.budget->used == FIRST_GRANT);
		if (n == 2 << 20)
			assert_true(w.budget->used <= 17 * MIB);
		assert_true(w.budget->used >= before);
		before = w.budget->used;
	}
	assert_true(history_memory(&w.h) == w.budget->used && before <= 17 * MIB);
	world_fini(&w);
}

/* The phase of the lifetime entries is random: of 64 histories, some keep odd numbers, some
 * even. */
static void test_life_phase_is_drawn(void **state)
{
	static const struct history_config cfg = {.window = 32, .packets = 1024};
	unsigned odd = 0;

	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		struct world w;

		world_init(&w, &cfg, NULL, 200 + i);
		receive_up_to(&w, 4200);
		assert_true(w.h.life_step == 2);
		odd += w.h.life_phase & 1;
		world_fini(&w);
	}
	assert_in_range(odd, 12, 52);
}

/* ---- the shared memory budget ---- */

/* At the cap, the reach is shorter, the budget is kept, and all answers are still right. */
static void test_cap_of_one(void **state)
{
	static const struct history_config cfg = {.window = 64, .packets = 1 << 18};
	static const uint64_t caps[] = {0, 5000, 20000, 65536 + 3072, 300000};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(caps); i++) {
		struct history_budget budget;
		uint64_t blocks = caps[i] / BLOCK_BYTES, sure;
		struct world w;

		history_budget_init(&budget, caps[i]);
		world_init(&w, &cfg, &budget, 90 + i);
		for (uint64_t n = 1; n <= 500000; n++) {
			receive(&w, n);
			assert_true(budget.used <= max_u64(caps[i], FIRST_GRANT));
			assert_true(budget.used == history_memory(&w.h));
		}
		/* some memory is used by lifetime entries; of the rest, the ring uses at least
		 * half */
		sure = blocks > 4 ? blocks / 2 * HISTORY_BLOCK - HISTORY_BLOCK : 0;
		for (uint64_t n = 500000 - sure; n <= 500000; n++)
			assert_true(knows(&w, n));
		for (unsigned k = 0; k < 2000; k++) {
			uint64_t x = 1 + fixture_below(&w.rng, w.w.top - w.h.life_step);

			assert_true(until_met(&w, x, w.h.life_step) <= w.h.life_step);
		}
		world_fini(&w);
		assert_true(budget.used == 0);
	}
}

/* Late packets for whose block there is no memory must neither evict a newer block nor cause a
 * wrong answer. */
static void test_late_at_the_cap(void **state)
{
	static const struct history_config cfg = {.window = 4096, .packets = 1 << 18};
	struct history_budget budget;
	struct world w;

	(void)state;
	history_budget_init(&budget, 0);
	world_init(&w, &cfg, &budget, 97);
	receive(&w, 10000);
	for (uint64_t n = 9999; n > 10000 - 4096; n--) {
		receive(&w, n);
		assert_true(knows(&w, 10000));
		for (uint64_t late = n; late < n + 1200 && late <= 10000; late += 100)
			knows(&w, late);
	}
	for (uint64_t n = 10000 - 10000 % HISTORY_BLOCK; n <= 10000; n++)
		assert_true(knows(&w, n));
	world_fini(&w);
}

enum { MANY = 1000 };

static uint64_t memory_of_all(const struct world *w, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += history_memory(&w[i].h);
	return sum;
}

static void worlds_init(struct world *w, size_t n, const struct history_config *cfg,
			struct history_budget *b, uint64_t salt)
{
	for (size_t i = 0; i < n; i++)
		world_init(&w[i], cfg, b, salt + i);
}

static void worlds_fini(struct world *w, size_t n)
{
	for (size_t i = 0; i < n; i++)
		world_fini(&w[i]);
	assert_true(w[0].budget->used == 0);
	assert_int_equal(w[0].budget->members, 0);
}

/* How many of the newest numbers, in a row, are within reach. */
static uint64_t reach_of(const struct world *w)
{
	uint64_t n = w->w.top;

	while (n > 0 && history_reaches(&w->h, n))
		n--;
	return w->w.top - n;
}

static void print_spread(const char *what, const struct world *w, size_t n, uint64_t share)
{
	uint64_t least = UINT64_MAX, most = 0;

	for (size_t i = 0; i < n; i++) {
		least = min_u64(least, reach_of(&w[i]));
		most = max_u64(most, reach_of(&w[i]));
	}
	printf("# %s: reach of the smallest %llu, of the largest %llu, a fair share %llu\n", what,
	       (unsigned long long)least, (unsigned long long)most, (unsigned long long)share);
}

/*
 * 1,000 SAs under a tight cap receive their packets one SA after another. An SA that has just
 * received reaches its fair share, of which at least half is ring and the rest lifetime entries.
 * Later it keeps at least half of that, as memory is taken by halving.
 */
static void one_after_another(uint64_t cap, uint64_t packets, uint64_t salt)
{
	static const struct history_config cfg = {.window = 64, .packets = 2 << 20};
	struct world *w = calloc(MANY, sizeof(*w));
	struct history_budget b;
	uint64_t share = min_u64(cap / 2 / MANY / BLOCK_BYTES * HISTORY_BLOCK, packets);

	assert_non_null(w);
	history_budget_init(&b, cap);
	worlds_init(w, MANY, &cfg, &b, salt);
	for (size_t i = 0; i < MANY; i++) {
		receive_up_to(&w[i], packets);
		assert_true(b.used == memory_of_all(w, i + 1));
		assert_true(b.used <= cap + MANY * FIRST_GRANT);
		/* tolerates 2 blocks: one is only partly used, and the arrays of blocks use memory
		 * as well */
		if (reach_of(&w[i]) + 2 * HISTORY_BLOCK < share)
			fail_msg("SA %zu was served and reaches %llu, its share is %llu", i,
				 (unsigned long long)reach_of(&w[i]), (unsigned long long)share);
	}
	print_spread("one after another", w, MANY, share);
	for (size_t i = 0; i < MANY; i++) {
		assert_true(reach_of(&w[i]) + HISTORY_BLOCK >= share / 2);
		assert_true(reach_of(&w[i]) <= 8 * share);
	}
	worlds_fini(w, MANY);
	free(w);
}

/* Each SA gets its fair share, under three caps. */
static void test_one_after_another(void **state)
{
	(void)state;
	one_after_another(32 * MIB, 20000, 1000);
	one_after_another(64 * MIB, 100000, 3000);
	one_after_another(128 * MIB, 9000, 5000);
}

/* 1,000 SAs receive in turn, 100 packets each: every one reaches at least half of its fair
 * share. */
static void test_all_at_once(void **state)
{
	static const struct history_config cfg = {.window = 64, .packets = 2 << 20};
	struct world *w = calloc(MANY, sizeof(*w));
	const uint64_t cap = 48 * MIB;
	uint64_t share = cap / 2 / MANY / BLOCK_BYTES * HISTORY_BLOCK;
	struct history_budget b;

	(void)state;
	assert_non_null(w);
	history_budget_init(&b, cap);
	worlds_init(w, MANY, &cfg, &b, 7000);
	for (unsigned round = 0; round < 200; round++) {
		for (size_t i = 0; i < MANY; i++)
			receive_up_to(&w[i], w[i].w.top + 100);
		assert_true(b.used == memory_of_all(w, MANY));
		assert_true(b.used <= cap + MANY * FIRST_GRANT);
	}
	print_spread("all at once", w, MANY, share);
	for (size_t i = 0; i < MANY; i++)
		assert_true(reach_of(&w[i]) + HISTORY_BLOCK >= share / 2);
	worlds_fini(w, MANY);
	free(w);
}

/* An SA short of memory grows to its full history_packets as soon as other SAs free theirs. */
static void test_given_back_is_available(void **state)
{
	static const struct history_config cfg = {.window = 64, .packets = 100000};
	struct world w[40];
	struct history_budget b;

	(void)state;
	history_budget_init(&b, 2 * MIB);
	worlds_init(w, 40, &cfg, &b, 8000);
	for (unsigned i = 0; i < 40; i++)
		receive_up_to(&w[i], 50000);
	assert_true(reach_of(&w[39]) < 40000); /* short of memory */
	for (unsigned i = 0; i < 39; i++) {
		history_fini(&w[i].h);
		assert_true(b.used == memory_of_all(w + i + 1, 39 - i));
		history_init(&w[i].h, &cfg, &b, &w[i].rng.rng);
	}
	assert_true(b.used == history_memory(&w[39].h));
	receive_up_to(&w[39], 50000 + 100000);
	assert_true(reach_of(&w[39]) >= 100000);
	/* the same when other SAs condense their histories and continue */
	for (unsigned i = 0; i < 3; i++) {
		receive_up_to(&w[i], 200000);
		history_condense(&w[i].h);
	}
	receive_up_to(&w[3], 200000);
	assert_true(reach_of(&w[3]) >= 100000);
	worlds_fini(w, 40);
}

/* Memory is taken from RETIRED SAs, up to all they have, before a live SA loses any. */
static void test_retired_gives_first(void **state)
{
	static const struct history_config cfg = {.window = 64, .packets = 1 << 20};
	struct history_budget b;
	struct world w[4];
	uint64_t live;

	(void)state;
	history_budget_init(&b, 3 * MIB);
	worlds_init(w, 4, &cfg, &b, 8100);
	receive_up_to(&w[0], 150000); /* the largest, and live */
	receive_up_to(&w[1], 60000);
	receive_up_to(&w[2], 100000);
	live = reach_of(&w[0]);
	assert_true(live >= 140000);
	history_retire(&w[1].h);
	history_retire(&w[2].h);
	assert_true(reach_of(&w[1]) >= 59000 &&
		    reach_of(&w[2]) >= 99000); /* retiring frees nothing */
	receive_up_to(&w[3], 150000);
	assert_true(reach_of(&w[0]) == live);
	assert_true(reach_of(&w[3]) >= 149000);
	assert_true(reach_of(&w[1]) == 0 || reach_of(&w[2]) == 0);
	/* a RETIRED SA whose ring was taken still has its lifetime entries */
	assert_true(until_met(&w[2], 1000, 1000) <= 1000);
	/* packets on a RETIRED SA take no memory from live SAs */
	receive_up_to(&w[2], 200000);
	assert_true(reach_of(&w[0]) == live);
	worlds_fini(w, 4);
}

/* Packets recorded on a RETIRED SA take no memory from a live SA, even from a much larger one. */
static void test_retired_takes_nothing(void **state)
{
	static const struct history_config cfg = {.window = 64, .packets = 1 << 20};
	struct history_budget b;
	struct world w[2];
	uint64_t live;

	(void)state;
	history_budget_init(&b, MIB);
	worlds_init(w, 2, &cfg, &b, 8150);
	receive_up_to(&w[0], 200000); /* uses the whole budget */
	receive_up_to(&w[1], 10);
	live = reach_of(&w[0]);
	history_retire(&w[1].h);
	receive_up_to(&w[1], 20000);
	assert_true(reach_of(&w[0]) == live);
	assert_int_equal(w[1].h.blocks, 1);
	assert_true(knows(&w[1], 20000));
	worlds_fini(w, 2);
}

/* Every SA gets its first block, whatever the other SAs have and however small the cap. */
static void test_first_block_beyond_the_cap(void **state)
{
	static const struct history_config cfg = {.window = 64, .packets = 1 << 20};
	struct history_budget b;
	struct world w[50];

	(void)state;
	history_budget_init(&b, 0);
	worlds_init(w, 50, &cfg, &b, 8200);
	for (unsigned i = 0; i < 50; i++) {
		receive_up_to(&w[i], 700 + 100 * i);
		for (uint64_t n = w[i].w.top - w[i].w.top % HISTORY_BLOCK; n <= w[i].w.top; n++)
			assert_true(n == 0 || knows(&w[i], n));
		assert_int_equal(w[i].h.blocks, 1);
	}
	assert_true(b.used == memory_of_all(w, 50) && b.used == 50 * FIRST_GRANT);
	worlds_fini(w, 50);
}

/* Memory beyond the fair shares goes to the SA that needs it: one busy SA among 99 idle ones gets
 * nearly all. */
static void test_the_busy_one_has_the_rest(void **state)
{
	static const struct history_config cfg = {.window = 64, .packets = 2 << 20};
	struct history_budget b;
	struct world w[100];

	(void)state;
	history_budget_init(&b, 8 * MIB);
	worlds_init(w, 100, &cfg, &b, 8300);
	for (unsigned i = 1; i < 100; i++)
		receive_up_to(&w[i], 10);
	receive_up_to(&w[0], 2000000);
	/* the other 99 SAs have about 5 KiB each */
	assert_true(reach_of(&w[0]) >= 7 * MIB / 8);
	for (unsigned i = 1; i < 100; i++)
		assert_true(knows(&w[i], 1) && knows(&w[i], 10));
	worlds_fini(w, 100);
}

/* A lower cap applies at once: memory is taken from RETIRED SAs, then from the largest, and every
 * live SA still remembers its newest number.
 */
static void test_lower_cap(void **state)
{
	static const struct history_config cfg = {.window = 64, .packets = 1 << 20};
	static const uint64_t caps[] = {3 * MIB, 2 * MIB, MIB, 300 * 1024, 0};
	struct history_budget b;
	struct world w[40];

	(void)state;
	history_budget_init(&b, 8 * MIB);
	worlds_init(w, 40, &cfg, &b, 8400);
	for (unsigned i = 0; i < 40; i++)
		receive_up_to(&w[i], i < 30 ? 100 + i : 40000);
	history_retire(&w[39].h);
	for (unsigned i = 0; i < ARRAY_SIZE(caps); i++) {
		history_budget_set(&b, caps[i]);
		assert_true(b.used == memory_of_all(w, 40));
		assert_true(b.used <= max_u64(caps[i], 40 * (FIRST_GRANT + BLOCK_BYTES)));
		assert_true(i > 0 || reach_of(&w[30]) >= 39000);
		assert_true(reach_of(&w[39]) == 0);
		for (unsigned k = 0; k < 39; k++)
			assert_true(knows(&w[k], w[k].w.top));
	}
	worlds_fini(w, 40);
}

/*
 * Blocks that are far apart use no memory for the numbers between them: with history_packets =
 * 2^40, the array of blocks has at most three times as many places as there are blocks, and shrinks
 * with them.
 */
static void test_places_cost_nothing(void **state)
{
	static const struct history_config cfg = {.window = 64, .packets = 1ULL << 40};
	static uint64_t came[5000];
	struct world w;

	(void)state;
	world_init(&w, &cfg, NULL, 81);
	for (unsigned i = 0; i < ARRAY_SIZE(came); i++) {
		came[i] = w.w.top + 1 + fixture_below(&w.rng, 1 << 20);
		receive(&w, came[i]);
		assert_true(w.h.room <= max_u64(4, 3 * w.h.blocks));
	}
	/* looks up each received number, its neighbours, and random numbers */
	for (unsigned i = 0; i < ARRAY_SIZE(came); i++) {
		for (uint64_t n = came[i] > 600 ? came[i] - 600 : 1; n < came[i] + 600; n += 7)
			check(&w, n);
		check(&w, came[i]);
		check(&w, 1 + fixture_below(&w.rng, w.w.top));
	}
	assert_true(w.h.blocks > 4000);
	history_budget_set(w.budget, BLOCK_BYTES * 10);
	assert_in_range(w.h.blocks, 1, 10);
	assert_in_range(w.h.room, w.h.blocks, 40);
	world_fini(&w);
}

/* history_condense frees the ring, keeps 128 to 256 lifetime entries, and recording continues. */
static void test_condense(void **state)
{
	static const struct history_config cfg = {.window = 64, .packets = 1 << 16};
	struct world w;

	(void)state;
	world_init(&w, &cfg, NULL, 98);
	history_condense(&w.h); /* on an empty history */
	assert_true(history_memory(&w.h) == 0);
	receive_up_to(&w, 1000000);
	history_condense(&w.h);
	assert_true(history_memory(&w.h) <= 256 * sizeof(struct life_entry));
	assert_true(history_memory(&w.h) == w.budget->used);
	assert_in_range(w.h.life_count, 128, 256);
	for (uint64_t x = 1; x < 990000; x += 4999)
		assert_true(until_met(&w, x, 1000000 / 128) <= 1000000 / 128);
	history_condense(&w.h); /* a second call changes nothing */
	assert_in_range(w.h.life_count, 128, 256);
	receive_up_to(&w, 1000000 + 3 * HISTORY_BLOCK);
	for (uint64_t n = 1000000 + HISTORY_BLOCK; n <= w.w.top; n++)
		assert_true(knows(&w, n));
	for (uint64_t n = 990000; n <= 1000000 + HISTORY_BLOCK; n++)
		knows(&w, n);
	world_fini(&w);
}

/* One random step on one of the SAs that share a budget. */
static void random_step(struct world *w, size_t n, struct history_budget *b, struct fixture_rng *r,
			const struct history_config *cfg)
{
	struct world *one = &w[fixture_below(r, n)];
	uint64_t run = 1 + fixture_below(r, 6000);
	bool free_enough = b->used + (run / HISTORY_BLOCK + 24) * BLOCK_BYTES <= b->cap;

	switch (fixture_below(r, 20)) {
	case 0: history_retire(&one->h); return;
	case 1:
	case 2: /* the SA is replaced by a new one */
		world_fini(one);
		world_init(one, cfg, b, fixture_u64(r));
		return;
	case 3: history_condense(&one->h); return;
	case 4: receive(one, one->w.top + (1ULL << fixture_below(r, 30))); return;
	case 5:
	case 6:
		for (unsigned i = 0; i < 200; i++)
			receive(one, draw(one));
		return;
	default: break;
	}
	receive_up_to(one, one->w.top + run);
	/* no live SA stays short while there is free memory */
	if (free_enough && !one->h.retired)
		assert_true(reach_of(one) + HISTORY_BLOCK >= min_u64(run, cfg->packets));
}

/* The head still answers after 200,000 numbers, for received numbers and for lost ones. */
static void test_head(void **state)
{
	static const struct history_config cfg = {.window = 64, .packets = 30000};
	struct world w;

	(void)state;
	world_init(&w, &cfg, NULL, 8600);
	for (uint64_t n = 1; n < 200000; n++) {
		if (n % 7)
			receive(&w, n);
	}
	assert_int_equal(head_end(&w), 8 * HISTORY_BLOCK);
	for (uint64_t n = 1; n < 200000; n++)
		check(&w, n);
	assert_false(history_reaches(&w.h, head_end(&w)));
	assert_true(w.h.heads == 8 && w.h.blocks <= cfg.packets / HISTORY_BLOCK + 2);
	world_fini(&w);

	/* a jump soon after the start: most of the head's numbers never arrived */
	world_init(&w, &cfg, NULL, 8601);
	receive_up_to(&w, 700);
	receive(&w, 1ULL << 40);
	for (uint64_t n = 1; n < head_end(&w) + 600; n++)
		check(&w, n);
	assert_int_equal(w.h.heads, 2);
	history_condense(&w.h);
	assert_false(history_reaches(&w.h, 1));
	assert_int_equal(w.h.heads, 0);
	world_fini(&w);
}

/* When memory is short, the head shrinks with the ring, and gives no wrong answer. */
static void test_head_when_memory_is_short(void **state)
{
	static const struct history_config cfg = {.window = 65536, .packets = 65536};
	struct history_budget b;
	struct world w[2];

	(void)state;
	history_budget_init(&b, 40 * BLOCK_BYTES);
	worlds_init(w, 2, &cfg, &b, 8700);
	for (unsigned round = 0; round < 40; round++) {
		struct world *one = &w[round % 2];

		for (unsigned i = 0; i < 2000; i++) {
			uint64_t n = one->w.top + 1;

			/* every fifth packet is late: left of the ring, but within the window */
			if (i % 5 == 0 && n > 4000)
				n = 1 + fixture_below(&one->rng, 8 * HISTORY_BLOCK);
			receive(one, n + (i % 3 == 0));
			assert_true(b.used <= b.cap + 2 * FIRST_GRANT);
		}
		for (unsigned k = 0; k < 2; k++) {
			assert_true(w[k].h.heads <= w[k].h.blocks / 8 + 1);
			for (uint64_t n = 1; n < 9 * HISTORY_BLOCK; n++)
				knows(&w[k], n);
		}
	}
	worlds_fini(w, 2);
}

/* A late packet arrives under a first number for which the head has no block: that number must not
 * read as "not received". */
static void test_late_in_the_head(void **state)
{
	static const struct history_config cfg = {.window = 65536, .packets = 65536};
	struct history_budget b;
	struct world w;

	(void)state;
	history_budget_init(&b, 80 * BLOCK_BYTES);
	world_init(&w, &cfg, &b, 8800);
	receive_up_to(&w, 2 * HISTORY_BLOCK - 1);
	receive(&w, 3 * HISTORY_BLOCK);
	receive_up_to(&w, 60000);
	assert_true(w.h.floor > 3 * HISTORY_BLOCK && history_reaches(&w.h, 2 * HISTORY_BLOCK));
	assert_true(receive(&w, 2 * HISTORY_BLOCK + 7));
	for (uint64_t n = 1; n < 4 * HISTORY_BLOCK; n++)
		knows(&w, n);
	assert_true(knows(&w, 7));
	world_fini(&w);
}

/* Random traffic, retirement, replacement and condensing of 12 SAs with one budget: no answer is
 * wrong, and the budget's count is exact. */
static void test_random_budget(void **state)
{
	static const struct history_config cfg = {.window = 1024, .packets = 20000};
	struct history_budget b;
	struct world w[12];
	struct fixture_rng r;

	(void)state;
	fixture_rng_init(&r, 8400);
	history_budget_init(&b, 1 * MIB);
	worlds_init(w, 12, &cfg, &b, 8500);
	for (unsigned i = 0; i < 6000; i++) {
		random_step(w, 12, &b, &r, &cfg);
		assert_true(b.used == memory_of_all(w, 12));
		for (unsigned k = 0; k < 12; k++) {
			if (w[k].w.top)
				knows(&w[k], probe(&w[k]));
		}
	}
	worlds_fini(w, 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_traffic),
		cmocka_unit_test(test_guarantee),
		cmocka_unit_test(test_guarantee_everywhere),
		cmocka_unit_test(test_forward_jumps),
		cmocka_unit_test(test_jumps_are_cheap),
		cmocka_unit_test(test_no_answer_for_other_laps),
		cmocka_unit_test(test_zero_tag),
		cmocka_unit_test(test_memory_grows),
		cmocka_unit_test(test_life_phase_is_drawn),
		cmocka_unit_test(test_cap_of_one),
		cmocka_unit_test(test_late_at_the_cap),
		cmocka_unit_test(test_one_after_another),
		cmocka_unit_test(test_all_at_once),
		cmocka_unit_test(test_given_back_is_available),
		cmocka_unit_test(test_retired_gives_first),
		cmocka_unit_test(test_retired_takes_nothing),
		cmocka_unit_test(test_first_block_beyond_the_cap),
		cmocka_unit_test(test_the_busy_one_has_the_rest),
		cmocka_unit_test(test_lower_cap),
		cmocka_unit_test(test_places_cost_nothing),
		cmocka_unit_test(test_condense),
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_head_when_memory_is_short),
		cmocka_unit_test(test_late_in_the_head),
		cmocka_unit_test(test_random_budget),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
