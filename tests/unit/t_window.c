/* t_window.c - the anti-replay window, against RFC 4303 3.4.3 and A2.2.
 * SPDX-License-Identifier: ISC */
#include "esp_fixture.h"
#include "ref_model.h"

static const uint32_t sizes[] = {32, 33, 63, 64, 65, 1000, 1024, 65536};

/* A random number: usually the next one or one near the window, sometimes far to its left. */
static uint64_t draw(struct fixture_rng *r, const struct refwindow *m, unsigned stride,
		     uint64_t floor)
{
	uint64_t back = fixture_below(r, m->size + m->size / 4 + 70);

	switch (fixture_below(r, 8)) {
	case 0:
	case 1:
	case 2: return m->top + 1 + fixture_below(r, stride);
	case 3: return m->top + 1;
	case 4: /* at the left edge */ back = m->size - 2 + fixture_below(r, 4); break;
	case 5:
		if (m->top > floor)
			return floor + fixture_below(r, m->top - floor);
		break;
	default: break;
	}
	return m->top > back + floor ? m->top - back : m->top + 1;
}

static void step(struct window *w, struct refwindow *m, uint64_t n)
{
	enum window_place place = refwindow_place(m, n);

	assert_int_equal(window_place(w, n), place);
	if (!window_is_new(place))
		return;
	window_commit(w, n);
	refwindow_commit(m, n);
	assert_true(w->top == m->top);
	assert_int_equal(window_place(w, n), WINDOW_TAKEN);
}

/* Compares every place of the window, and some beside it. */
static void compare_all(const struct window *w, const struct refwindow *m)
{
	uint64_t from = m->top > m->size + 130ULL ? m->top - m->size - 130 : 1;

	for (uint64_t n = from; n <= m->top + 130; n++)
		assert_int_equal(window_place(w, n), refwindow_place(m, n));
}

/* Random numbers from `start` on, until the ring has wrapped `laps` times. */
static void walk(struct fixture_rng *r, uint32_t size, uint64_t start, unsigned stride,
		 unsigned laps)
{
	struct refwindow m;
	struct window w;
	uint64_t end, look;

	window_init(&w, size);
	refwindow_init(&m, size);
	assert_true(w.words * 64ULL >= size);
	step(&w, &m, start);
	end = start + w.words * 64ULL * laps;
	look = start;
	while (m.top < end) {
		step(&w, &m, draw(r, &m, stride, start > 70000 ? start - 70000 : 0));
		if (m.top >= look) {
			compare_all(&w, &m);
			look = m.top + w.words * 64ULL * laps / 20 + 1;
		}
	}
	window_fini(&w);
	refwindow_fini(&m);
}

/* The window agrees with the model, also across 2^32. */
static void test_random_walk(void **state)
{
	static const uint64_t starts[] = {1, (1ULL << 32) - 50, (3ULL << 32) - 1000,
					  UINT64_MAX / 2};
	struct fixture_rng r;

	(void)state;
	fixture_rng_init(&r, 1);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned stride = sizes[i] > 4096 ? 40 : 3;

		for (size_t j = 0; j < ARRAY_SIZE(starts); j++)
			walk(&r, sizes[i], starts[j], stride, 100);
	}
}

/* Jumps of every order of magnitude, including multiples of the ring's length. */
static void test_jumps(void **state)
{
	struct fixture_rng r;

	(void)state;
	fixture_rng_init(&r, 2);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct refwindow m;
		struct window w;

		window_init(&w, sizes[i]);
		refwindow_init(&m, sizes[i]);
		for (unsigned k = 0; k < 400; k++) {
			uint64_t lap = w.words * 64ULL,
				 jump = 1 + (fixture_u64(&r) >> (8 + fixture_below(&r, 56)));

			if (fixture_chance(&r, 30))
				jump = lap * (1 + fixture_below(&r, 3)) - 65 +
				       fixture_below(&r, 130);
			step(&w, &m, m.top + jump);
			for (unsigned j = 0; j < 20; j++)
				step(&w, &m, draw(&r, &m, 2, 0));
			if (k % 16 == 0)
				compare_all(&w, &m);
		}
		window_fini(&w);
		refwindow_fini(&m);
	}
}

/* The right edge is moved without a packet, as the bridge does: all new places are empty. */
static void test_advance(void **state)
{
	static const uint32_t widths[] = {64, 66, 2048, 2 * WINDOW_MAX};
	struct fixture_rng r;

	(void)state;
	fixture_rng_init(&r, 3);
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		struct refwindow m;
		struct window w;

		window_init(&w, widths[i]);
		refwindow_init(&m, widths[i]);
		for (unsigned k = 0; k < 300; k++) {
			uint64_t by =
				1 + fixture_below(&r, fixture_chance(&r, 10) ? 3ULL * m.size : 70);

			window_advance(&w, m.top + by);
			m.top += by;
			for (unsigned j = 0; j < 20; j++) {
				uint64_t n = m.top - fixture_below(&r, min_u64(m.top, m.size + 5));

				step(&w, &m, n);
			}
			if (k % 60 == 0)
				compare_all(&w, &m);
		}
		window_fini(&w);
		refwindow_fini(&m);
	}
}

/* The window has exactly the configured size. */
static void test_exact_size(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct window w;

		window_init(&w, sizes[i]);
		assert_int_equal(window_place(&w, 1), WINDOW_RIGHT);
		window_commit(&w, 100000);
		assert_int_equal(window_place(&w, 100001), WINDOW_RIGHT);
		assert_int_equal(window_place(&w, 100000), WINDOW_TAKEN);
		assert_int_equal(window_place(&w, 100001 - sizes[i]), WINDOW_FREE);
		assert_int_equal(window_place(&w, 100000 - sizes[i]), WINDOW_LEFT);
		window_fini(&w);
	}
}

static void check_guess(uint64_t top, uint32_t size, uint32_t low)
{
	struct window w = {.top = top, .size = size};
	struct esn_guess want = ref_guess(top, size, low), got = window_guess(&w, low);

	if (got.number != want.number || got.second != want.second)
		fail_msg("top %llu size %u low %u: %llx/%llx, not %llx/%llx",
			 (unsigned long long)top, size, low, (unsigned long long)got.number,
			 (unsigned long long)got.second, (unsigned long long)want.number,
			 (unsigned long long)want.second);
	/* the third candidate: this number in the first subspace, if it is none of the two */
	if (top < 1ULL << 32 || low == want.number || low == want.second)
		assert_int_equal(window_anew(&w, low, got), 0);
	else
		assert_int_equal(window_anew(&w, low, got), low);
}

/* Checks low halves near all edges, and random ones. */
static void check_lows(struct fixture_rng *r, uint64_t top, uint32_t size)
{
	uint32_t right = (uint32_t)top, left = right - size + 1;

	for (uint32_t d = 0; d < 4; d++) {
		check_guess(top, size, right + d);
		check_guess(top, size, right - d);
		check_guess(top, size, left + d);
		check_guess(top, size, left - d);
		check_guess(top, size, d);
		check_guess(top, size, 0U - d);
	}
	for (unsigned i = 0; i < 32; i++)
		check_guess(top, size, (uint32_t)fixture_u64(r));
}

/* window_guess agrees with ref_guess near every boundary. */
static void test_guess_at_boundaries(void **state)
{
	struct fixture_rng r;

	(void)state;
	fixture_rng_init(&r, 3);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (uint64_t epoch = 0; epoch < 6; epoch++) {
			for (int d = -70; d < 70; d++) {
				uint64_t at = epoch << 32;

				check_lows(&r, at + (uint64_t)(int64_t)d + (epoch == 0) * 70ULL,
					   sizes[i]);
				check_lows(&r,
					   at + sizes[i] + (uint64_t)(int64_t)(d < -30 ? -1 : d),
					   sizes[i]);
			}
		}
		for (unsigned k = 0; k < 20000; k++)
			check_lows(&r, fixture_u64(&r) >> (1 + fixture_below(&r, 40)), sizes[i]);
	}
}

/* RFC 4303 A2.2 as written in the RFC, independent of ref_guess; used for Th > 0. */
static uint64_t a22(uint64_t top, uint32_t w, uint32_t seql)
{
	uint32_t th = (uint32_t)(top >> 32), tl = (uint32_t)top, seqh;

	if (tl >= w - 1)
		seqh = seql >= tl - w + 1 ? th : th + 1;
	else
		seqh = seql >= tl - w + 1 ? th - 1 : th;
	return (uint64_t)seqh << 32 | seql;
}

/* window_guess agrees with the text of RFC 4303 A2.2. */
static void test_guess_against_rfc_text(void **state)
{
	struct fixture_rng r;

	(void)state;
	fixture_rng_init(&r, 4);
	for (unsigned k = 0; k < 500000; k++) {
		uint32_t size = sizes[fixture_below(&r, ARRAY_SIZE(sizes))];
		uint64_t top =
			((1 + fixture_below(&r, 9)) << 32) + fixture_below(&r, 3 * size) - size;
		uint32_t low = (uint32_t)(fixture_chance(&r, 50) ? top - fixture_below(&r, 2 * size)
								 : fixture_u64(&r));
		struct window w = {.top = top, .size = size};

		if (top >> 32 == 0)
			continue;
		assert_true(window_guess(&w, low).number == a22(top, size, low));
	}
}

/* Across a boundary of subspaces, the right number is guessed for every packet near the window. */
static void test_guess_over_boundary(void **state)
{
	struct fixture_rng r;

	(void)state;
	fixture_rng_init(&r, 5);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint64_t n = (2ULL << 32) - 2 * sizes[i];
		struct window w;

		window_init(&w, sizes[i]);
		window_commit(&w, n);
		for (unsigned k = 0; k < 4 * sizes[i]; k++) {
			uint64_t meant =
				w.top + 1 + fixture_below(&r, 5) - fixture_below(&r, sizes[i]);

			assert_true(window_guess(&w, (uint32_t)meant).number == meant);
			if (window_is_new(window_place(&w, meant)))
				window_commit(&w, meant);
			else
				window_commit(&w, w.top + 1);
		}
		window_fini(&w);
	}
}

/* A second candidate is never new to the window (doc/recovery.md 1). */
static void test_second_is_never_new(void **state)
{
	struct fixture_rng r;

	(void)state;
	fixture_rng_init(&r, 6);
	for (unsigned k = 0; k < 500000; k++) {
		struct window w = {.size = sizes[fixture_below(&r, ARRAY_SIZE(sizes))]};
		struct esn_guess g;

		w.top = (fixture_below(&r, 4) << 32) + fixture_below(&r, 200000);
		g = window_guess(&w, (uint32_t)fixture_u64(&r));
		if (g.second)
			assert_true(g.second < w.top && w.top - g.second >= w.size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact_size),
		cmocka_unit_test(test_random_walk),
		cmocka_unit_test(test_jumps),
		cmocka_unit_test(test_advance),
		cmocka_unit_test(test_guess_at_boundaries),
		cmocka_unit_test(test_guess_against_rfc_text),
		cmocka_unit_test(test_guess_over_boundary),
		cmocka_unit_test(test_second_is_never_new),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
