/* t_history.c - what the history remembers, against a set that forgets nothing.
 * SPDX-License-Identifier: ISC */
#include "esp_lab.h"
#include "ref_model.h"

/* Tag and IV digest are functions of the number, so the model only has to keep the numbers. */
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
	struct history_budget budget;
	struct history_config cfg;
	struct lab_rng rng;
	struct refset got;
	struct refwindow w; /* only its window is asked for */
	uint64_t first, used;
};

static void world_init(struct world *w, const struct history_config *cfg, uint64_t cap,
		       uint64_t salt)
{
	*w = (struct world){.budget.cap = cap, .cfg = *cfg};
	lab_rng_init(&w->rng, salt);
	history_init(&w->h, cfg, &w->budget, &w->rng.rng);
	refset_init(&w->got);
	refwindow_init(&w->w, cfg->window);
}

static void world_fini(struct world *w)
{
	history_fini(&w->h);
	assert_true(w->budget.used == 0);
	refset_fini(&w->got);
	refwindow_fini(&w->w);
}

/* A packet arrives; like esp_in, the history only hears of FRESH ones. */
static bool receive(struct world *w, uint64_t n)
{
	if (!window_is_new(refwindow_place(&w->w, n)))
		return false;
	refwindow_commit(&w->w, n);
	refset_add(&w->got, n);
	history_record(&w->h, n, tag_of(n), iv_of(n));
	w->used++;
	if (!w->first)
		w->first = n;
	return true;
}

/* Asks for n in all three ways; true when it is remembered. What it says must be right. */
static bool knows(const struct world *w, uint64_t n)
{
	uint32_t iv = ~iv_of(n);
	enum history_answer same = history_lookup(&w->h, n, tag_of(n), &iv), other;

	other = history_lookup(&w->h, n, tag_of(n) ^ 1, &iv);
	if (same == HISTORY_UNKNOWN) {
		assert_int_equal(other, HISTORY_UNKNOWN);
		return false;
	}
	assert_int_equal(same, HISTORY_SAME);
	assert_int_equal(other, HISTORY_OTHER);
	assert_int_equal(iv, iv_of(n));
	assert_true(refset_has(&w->got, n));
	return true;
}

/* All numbers around the place: nothing is answered for what never came. */
static void check_sound(const struct world *w, uint64_t around)
{
	for (uint64_t n = around > 200 ? around - 200 : 1; n < around + 200; n++)
		knows(w, n);
}

/* Each number of the window that came is known. */
static void check_window(const struct world *w)
{
	uint64_t top = w->w.top, from = top > w->cfg.window ? top - w->cfg.window + 1 : 1;

	for (uint64_t n = from; n <= top; n++) {
		if (refset_has(&w->got, n) && !knows(w, n))
			fail_msg("%llu of the window at %llu is forgotten", (unsigned long long)n,
				 (unsigned long long)top);
	}
}

/* The places the recent ring keeps, by its own phase, are all there as far back as it must reach.
 */
static void check_recent(const struct world *w)
{
	uint64_t top = w->w.top, reach = w->cfg.packets;
	uint64_t from = top > reach ? top - reach + 1 : 1;

	for (uint64_t n = from; n <= top; n++) {
		if (n % w->h.sample == w->h.phase && refset_has(&w->got, n))
			assert_true(knows(w, n));
	}
}

/* How many packets a sender that counts on from x needs to meet a remembered number; limit + 1:
 * more. */
static uint64_t until_met(const struct world *w, uint64_t x, uint64_t limit)
{
	for (uint64_t i = 0; i < limit; i++) {
		if (knows(w, x + i))
			return i + 1;
	}
	return limit + 1;
}

/*
 * RECOVERY 2, when nothing was lost: inside the window with the first packet, within k packets
 * within history_packets, within (numbers used / 2,048) beyond.
 */
static void check_guarantee(const struct world *w, uint64_t x, uint64_t used)
{
	uint64_t top = w->w.top, limit = max_u64(used / 2048, 1);

	if (top - x < w->cfg.packets)
		limit = min_u64(limit, w->cfg.sample);
	if (top - x < w->cfg.window)
		limit = 1;
	if (until_met(w, x, limit) > limit)
		fail_msg("from %llu, top %llu: not met within %llu", (unsigned long long)x,
			 (unsigned long long)top, (unsigned long long)limit);
}

static const struct history_config configs[] = {
	{.window = 32, .packets = 32, .sample = 32},
	{.window = 32, .packets = 1024, .sample = 1},
	{.window = 33, .packets = 2000, .sample = 4},
	{.window = 64, .packets = 4096, .sample = 32},
	{.window = 65, .packets = 100000, .sample = 32},
	{.window = 1000, .packets = 10000, .sample = 16},
	{.window = 1024, .packets = 1 << 16, .sample = 32},
	{.window = 65536, .packets = 1 << 17, .sample = 64},
};

static uint64_t draw(struct world *w)
{
	uint64_t top = w->w.top, back = lab_below(&w->rng, w->cfg.window);

	switch (lab_below(&w->rng, 10)) {
	case 0: return top + 1 + lab_below(&w->rng, 4);
	case 1: return top > back ? top - back : top + 1;
	case 2: return 1 + lab_below(&w->rng, top + 1);
	default: return top + 1;
	}
}

/* Loss, reordering and duplicates, through a hundred laps of the larger ring for small ones. */
static void random_traffic(const struct history_config *cfg, uint64_t start, uint64_t salt)
{
	uint64_t packets = min_u64(100 * max_u64(cfg->packets, 2 * cfg->window), 1500000);
	struct world w;

	world_init(&w, cfg, UINT64_MAX, salt);
	receive(&w, start);
	for (uint64_t i = 0; i < packets; i++) {
		receive(&w, draw(&w));
		if (i % (packets / 10) == 17) {
			check_window(&w);
			check_recent(&w);
			check_sound(&w, start + lab_below(&w.rng, w.w.top - start));
			check_sound(&w, w.w.top);
		}
	}
	assert_true(w.h.sample == cfg->sample);
	world_fini(&w);
}

static void test_random_traffic(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(configs); i++) {
		random_traffic(&configs[i], 1, 10 + i);
		random_traffic(&configs[i], (1ULL << 32) - 5000, 30 + i);
	}
}

static void test_guarantee(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(configs); i++) {
		struct world w;
		uint64_t top = 2 + i * 97;

		world_init(&w, &configs[i], UINT64_MAX, 50 + i);
		while (w.w.top < 2000000) {
			while (w.w.top < top)
				receive(&w, w.w.top + 1);
			for (unsigned k = 0; k < 300; k++)
				check_guarantee(&w, 1 + lab_below(&w.rng, top), top);
			for (unsigned k = 0; k < 100; k++)
				check_guarantee(
					&w, top - lab_below(&w.rng, min_u64(top, 4 * w.cfg.window)),
					top);
			check_guarantee(&w, 1, top);
			check_guarantee(&w, top, top);
			top += top / 3 + 1;
		}
		world_fini(&w);
	}
}

/* Each rewind whatever, at a size where all of them can be tried. */
static void test_guarantee_everywhere(void **state)
{
	static const struct history_config cfg = {.window = 64, .packets = 3000, .sample = 8};
	struct world w;

	(void)state;
	world_init(&w, &cfg, UINT64_MAX, 60);
	for (uint64_t top = 1; top <= 40000; top++) {
		receive(&w, top);
		if (top % 4001 && top != 4096 && top != 4097 && top != 8192 && top != 8193)
			continue;
		for (uint64_t x = 1; x <= top; x++)
			check_guarantee(&w, x, top);
	}
	world_fini(&w);
}

/* RFC 6311 and vendors' counter jumps: what was known before the jump, by number, is known after
 * it. */
static void test_forward_jumps(void **state)
{
	static const uint64_t jumps[] = {100, 1024, 5000, 1 << 16, 1 << 20, 1 << 30, 1ULL << 33};
	static const struct history_config cfg = {.window = 1024, .packets = 1 << 16, .sample = 32};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(jumps); i++) {
		uint64_t old = 200000, kept = 0;
		struct world w;

		world_init(&w, &cfg, UINT64_MAX, 70 + i);
		while (w.w.top < old)
			receive(&w, w.w.top + 1);
		receive(&w, old + jumps[i]);
		/* one packet takes one place of each ring: all that the recent ring had but one is
		 * there */
		for (uint64_t n = old - cfg.packets + 1; n <= old; n++)
			kept += n % 32 == w.h.phase && knows(&w, n);
		assert_true(kept >= cfg.packets / 32 - 1);
		for (unsigned k = 0; k < 200; k++) {
			uint64_t x = 1 + lab_below(&w.rng, old - 200);

			assert_true(until_met(&w, x, old / 2048) <= old / 2048);
		}
		check_window(&w);
		world_fini(&w);
	}
}

/* A lap later the same place of the ring belongs to another number: it must not answer for the old
 * one. */
static void test_no_answer_for_other_laps(void **state)
{
	static const struct history_config cfg = {.window = 64, .packets = 256, .sample = 4};
	struct world w;

	(void)state;
	world_init(&w, &cfg, UINT64_MAX, 80);
	for (uint64_t n = 5000; n < 9000; n++)
		receive(&w, n);
	for (uint64_t lap = 64; lap < (1ULL << 40); lap *= 2) {
		assert_false(knows(&w, 8999 + lap));
		assert_false(knows(&w, 8998 + lap));
		if (lap > 9000)
			assert_false(knows(&w, lap + 8990));
	}
	assert_false(knows(&w, 4999));
	world_fini(&w);
}

/* An all-zero tag is a tag, and number 0 is nobody's. */
static void test_zero_tag(void **state)
{
	static const struct history_config cfg = {.window = 64, .packets = 256, .sample = 4};
	struct world w;
	uint32_t iv = 1;

	(void)state;
	world_init(&w, &cfg, UINT64_MAX, 81);
	assert_int_equal(history_lookup(&w.h, 3, 0, &iv), HISTORY_UNKNOWN);
	history_record(&w.h, 3, 0, 0);
	assert_int_equal(history_lookup(&w.h, 3, 0, &iv), HISTORY_SAME);
	assert_int_equal(history_lookup(&w.h, 3, 1, &iv), HISTORY_OTHER);
	assert_int_equal(iv, 0);
	assert_int_equal(history_lookup(&w.h, 2, 0, &iv), HISTORY_UNKNOWN);
	world_fini(&w);
}

/* All rings grow with the traffic; nothing is there before the first packet, little with few. */
static void test_memory_grows(void **state)
{
	static const struct history_config cfg = {.window = 1024, .packets = 2 << 20, .sample = 32};
	uint64_t before = 0;
	struct world w;

	(void)state;
	world_init(&w, &cfg, UINT64_MAX, 82);
	assert_true(history_memory(&w.h) == 0 && w.budget.used == 0);
	for (uint64_t n = 1; n < 5000000; n++) {
		receive(&w, n);
		assert_true(history_memory(&w.h) == w.budget.used);
		if (n == 10)
			assert_true(w.budget.used <= 3 * 64 * sizeof(struct history_entry));
		assert_true(w.budget.used >= before);
		before = w.budget.used;
	}
	/* 65,536 + 4,096 + 1,024 entries */
	assert_true(before == (65536 + 4096 + 1024) * sizeof(struct history_entry));
	world_fini(&w);
}

/*
 * At the cap the step grows and nothing else breaks: what is answered is right, and a rewound
 * sender still meets a remembered number within the steps in force.
 */
static void test_budget(void **state)
{
	static const struct history_config cfg = {.window = 64, .packets = 1 << 18, .sample = 8};
	static const uint64_t caps[] = {0, 5000, 20000, 65536 + 3072, 300000};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(caps); i++) {
		uint64_t floor = 3 * 64 * sizeof(struct history_entry), last_step = 8;
		struct world w;

		world_init(&w, &cfg, caps[i], 90 + i);
		for (uint64_t n = 1; n <= 1000000; n++) {
			receive(&w, n);
			assert_true(w.budget.used <= max_u64(caps[i], floor));
			assert_true(w.h.sample >= last_step);
			last_step = w.h.sample;
		}
		check_window(&w);
		assert_true(w.h.sample > cfg.sample && w.h.life_step >= 256);
		for (unsigned k = 0; k < 2000; k++) {
			uint64_t back = lab_below(&w.rng, cfg.packets - 2 * w.h.sample);
			uint64_t step = min_u64(w.h.sample, w.h.life_step);

			assert_true(until_met(&w, w.w.top - back, step) <= max_u64(step, 1));
			back = lab_below(&w.rng, w.w.top - w.h.life_step);
			assert_true(until_met(&w, 1 + back, w.h.life_step) <= w.h.life_step);
		}
		world_fini(&w);
	}
}

/* A late packet does not push out the newer one that has its place in a ring that is held small. */
static void test_late_in_a_small_ring(void **state)
{
	static const struct history_config cfg = {.window = 1024, .packets = 1 << 18, .sample = 32};
	struct history_budget budget = {.cap = 0};
	struct lab_rng rng;
	struct history h;
	uint32_t iv;

	(void)state;
	lab_rng_init(&rng, 97);
	history_init(&h, &cfg, &budget, &rng.rng);
	for (uint64_t n = 1; n <= 1000; n++) {
		if (n < 1000 - 127 || n > 1000 - 64)
			history_record(&h, n, 1, 1);
	}
	for (uint64_t n = 1000 - 127; n <= 1000 - 64; n++)
		history_record(&h, n, 1, 1);
	for (uint64_t n = 1000 - 63; n <= 1000; n++)
		assert_int_equal(history_lookup(&h, n, 2, &iv), HISTORY_OTHER);
	history_fini(&h);
}

/* What one SA gives back, another may take; the first entries come beyond the cap too. */
static void test_budget_is_shared(void **state)
{
	static const struct history_config cfg = {.window = 64, .packets = 1 << 16, .sample = 8};
	struct history_budget budget = {.cap = 70000};
	struct lab_rng rng;
	struct history a, b;
	uint32_t iv;

	(void)state;
	lab_rng_init(&rng, 95);
	history_init(&a, &cfg, &budget, &rng.rng);
	for (uint64_t n = 1; n < 100000; n++)
		history_record(&a, n, 1, 1);
	history_init(&b, &cfg, &budget, &rng.rng);
	history_record(&b, 1, 1, 1);
	assert_int_equal(history_lookup(&b, 1, 1, &iv), HISTORY_SAME);
	assert_true(budget.used == history_memory(&a) + history_memory(&b));
	history_fini(&a);
	assert_true(budget.used == history_memory(&b));
	history_fini(&b);
	assert_true(budget.used == 0);
}

/* The phase is drawn for each SA: an attacker who drops every k-th number misses it mostly. */
static void test_phase_is_drawn(void **state)
{
	static const struct history_config cfg = {.window = 32, .packets = 1 << 16, .sample = 32};
	struct history_budget budget = {.cap = UINT64_MAX};
	unsigned seen[32] = {0}, kinds = 0;
	struct lab_rng rng;

	(void)state;
	lab_rng_init(&rng, 96);
	for (unsigned i = 0; i < 1000; i++) {
		struct history h;

		history_init(&h, &cfg, &budget, &rng.rng);
		assert_true(h.phase < 32);
		seen[h.phase]++;
		history_fini(&h);
	}
	for (unsigned i = 0; i < 32; i++)
		kinds += seen[i] > 0;
	assert_int_equal(kinds, 32);
}

/* The lifetime ring's half that stays is drawn as well. */
static void test_life_phase_is_drawn(void **state)
{
	static const struct history_config cfg = {.window = 32, .packets = 32, .sample = 32};
	unsigned odd = 0;

	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		struct world w;

		world_init(&w, &cfg, UINT64_MAX, 200 + i);
		for (uint64_t n = 1; n <= 4200; n++)
			receive(&w, n);
		assert_true(w.h.life_step == 2);
		odd += w.h.life_phase & 1;
		world_fini(&w);
	}
	assert_in_range(odd, 12, 52);
}

/*
 * history.h: whether a sender that went back to `number` meets a remembered number within `sample`
 * packets. It may say no where yes were right (pattern then watches too), but a yes must be true.
 */
static void reaches_is_true(struct world *w, uint64_t limit_back)
{
	unsigned yes = 0;

	for (unsigned k = 0; k < 3000; k++) {
		uint64_t top = w->w.top, x = top - lab_below(&w->rng, min_u64(top, limit_back));

		/* a place of the window that is free is no matter of the history */
		if (!history_reaches(&w->h, x, top) || window_is_new(refwindow_place(&w->w, x)))
			continue;
		yes++;
		if (until_met(w, x, 2 * w->h.sample) > 2 * w->h.sample)
			fail_msg("reaches(%llu, top %llu), but nothing is remembered there",
				 (unsigned long long)x, (unsigned long long)top);
	}
	assert_true(yes > 0);
}

static void test_reaches(void **state)
{
	static const struct history_config cfg = {.window = 64, .packets = 1 << 14, .sample = 16};
	struct world w;

	(void)state;
	world_init(&w, &cfg, UINT64_MAX, 97);
	for (uint64_t n = 1; n <= 300000; n++) {
		receive(&w, n);
		if (n % 29989 == 0)
			reaches_is_true(&w, n);
	}
	assert_false(history_reaches(&w.h, 1000, w.w.top));
	assert_true(history_reaches(&w.h, w.w.top - 63, w.w.top));
	assert_true(history_reaches(&w.h, w.w.top - 10000, w.w.top));
	world_fini(&w);
}

/* The same after a forward jump: the numbers that nobody used are not remembered (failback A, B,
 * A). */
static void test_reaches_over_a_gap(void **state)
{
	static const struct history_config cfg = {.window = 64, .packets = 1 << 14, .sample = 16};
	struct world w;

	(void)state;
	world_init(&w, &cfg, UINT64_MAX, 98);
	for (uint64_t n = 1; n <= 40000; n++)
		receive(&w, n);
	for (uint64_t n = 50000; n <= 50200; n++)
		receive(&w, n);
	reaches_is_true(&w, 12000);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_traffic),
		cmocka_unit_test(test_guarantee),
		cmocka_unit_test(test_guarantee_everywhere),
		cmocka_unit_test(test_forward_jumps),
		cmocka_unit_test(test_no_answer_for_other_laps),
		cmocka_unit_test(test_zero_tag),
		cmocka_unit_test(test_memory_grows),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_late_in_a_small_ring),
		cmocka_unit_test(test_budget_is_shared),
		cmocka_unit_test(test_phase_is_drawn),
		cmocka_unit_test(test_life_phase_is_drawn),
		cmocka_unit_test(test_reaches),
		cmocka_unit_test(test_reaches_over_a_gap),
	};

	lab_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
