/* t_common.c - helpers that all parts use: byte readers and writers, deadlines, token buckets,
 * logging.
 * SPDX-License-Identifier: ISC */
#include "bucket.h"
#include "deadline.h"
#include "esp_fixture.h"
#include "log.h"
#include "wire.h"

/* A reader returns integers and bytes in order, until it is asked for too much. */
static void test_reader(void **state)
{
	static const uint8_t b[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
	struct reader r, part;

	(void)state;
	rd_init(&r, b, sizeof(b));
	assert_int_equal(rd_u8(&r), 1);
	assert_int_equal(rd_be16(&r), 0x0203);
	assert_int_equal(rd_be32(&r), 0x04050607);
	assert_true(rd_be64(&r) == 0x08090a0b0c0d0e0fULL);
	assert_false(rd_done(&r));
	assert_ptr_equal(rd_bytes(&r, 1), b + 15);
	assert_true(rd_done(&r));
	assert_ptr_equal(rd_bytes(&r, 0), b + 16);
	assert_false(r.bad);
	/* after an error the reader stays bad, and returns zeros only */
	assert_int_equal(rd_u8(&r), 0);
	assert_true(r.bad);
	rd_init(&r, b, 3);
	assert_int_equal(rd_be32(&r), 0);
	assert_int_equal(rd_u8(&r), 0);
	assert_null(rd_bytes(&r, 1));
	assert_int_equal(rd_rest(&r).len, 0);
	assert_false(rd_done(&r));
	/* parts of a reader */
	rd_init(&r, b, 8);
	part = rd_part(&r, 3);
	assert_int_equal(rd_be16(&part), 0x0102);
	assert_int_equal(rd_be16(&part), 0);
	assert_true(part.bad && !r.bad);
	assert_int_equal(rd_u8(&r), 4);
	part = rd_part(&r, 5);
	assert_true(part.bad && r.bad);
	rd_init(&r, b, 8);
	rd_u8(&r);
	assert_int_equal(rd_rest(&r).len, 7);
	assert_true(rd_done(&r));
}

/* A reader never leaves its buffer, whatever lengths are asked for (ASan detects it otherwise). */
static void test_reader_stays_inside(void **state)
{
	struct fixture_rng rng;

	(void)state;
	fixture_rng_init(&rng, 1);
	for (unsigned k = 0; k < 20000; k++) {
		size_t len = fixture_below(&rng, 20), used = 0;
		uint8_t *b = malloc(len + 1);
		struct reader r;

		rd_init(&r, b, len);
		memset(b, 1, len);
		for (unsigned i = 0; i < 8; i++) {
			size_t n = fixture_chance(&rng, 5) ? SIZE_MAX - fixture_below(&rng, 3)
							   : fixture_below(&rng, 6);
			const uint8_t *p = rd_bytes(&r, n);

			assert_int_equal(p != NULL, !r.bad);
			if (p)
				used += n;
		}
		assert_true(used + r.left == len);
		free(b);
	}
}

/* A writer writes integers and bytes in order, until the buffer is full. */
static void test_writer(void **state)
{
	static const uint8_t want[] = {1,  2,  3,  4,  5,  6,  7,    8,	  9,
				       10, 11, 12, 13, 14, 15, 0xaa, 0xbb};
	uint8_t b[17], *p;
	struct writer w;

	(void)state;
	memset(b, 0xee, sizeof(b));
	wr_init(&w, b, sizeof(b));
	wr_u8(&w, 1);
	wr_be16(&w, 0x0203);
	wr_be32(&w, 0x04050607);
	wr_be64(&w, 0x08090a0b0c0d0e0fULL);
	wr_bytes(&w, want + 15, 1);
	wr_bytes(&w, NULL, 0);
	p = wr_space(&w, 1);
	assert_non_null(p);
	*p = 0xbb;
	assert_true(!w.bad && w.len == sizeof(want));
	assert_memory_equal(b, want, sizeof(want));
	wr_u8(&w, 9);
	assert_true(w.bad && w.len == sizeof(want));
	/* what does not fit is not written even in part, and nothing follows */
	memset(b, 0xee, sizeof(b));
	wr_init(&w, b, 3);
	wr_be32(&w, 1);
	wr_u8(&w, 1);
	assert_null(wr_space(&w, 0));
	assert_true(w.bad && w.len == 0 && b[0] == 0xee);
}

/* A length field is filled in; more than 65535 is an error. */
static void test_patch_len(void **state)
{
	static uint8_t b[70000];
	struct writer w;

	(void)state;
	wr_init(&w, b, sizeof(b));
	wr_be16(&w, 7);
	wr_be16(&w, 0);
	wr_be32(&w, 5);
	wr_patch_len16(&w, 2, 2);
	assert_int_equal(get_be16(b + 2), 6);
	wr_space(&w, 65535 - 6);
	wr_patch_len16(&w, 2, 2);
	assert_int_equal(get_be16(b + 2), 65535);
	wr_u8(&w, 0);
	wr_patch_len16(&w, 2, 2);
	assert_true(w.bad);
}

/* A deadline, and when it is expected; NSEC_NEVER: not set. */
struct expected {
	struct deadline d;
	nsec_t at;
};

static void expected_due(struct deadline *d, nsec_t now)
{
	struct expected *e = container_of(d, struct expected, d);

	assert_true(e->at <= now && d->at == e->at);
	assert_false(deadline_is_set(d));
	e->at = NSEC_NEVER;
}

/* Compares the heap with a linear search, in 100,000 random steps. */
static void test_deadlines(void **state)
{
	enum { N = 200 };
	static struct expected e[N];
	struct deadline_heap h;
	struct fixture_rng r;
	nsec_t now = 1;

	(void)state;
	fixture_rng_init(&r, 4);
	deadlines_init(&h);
	for (unsigned i = 0; i < N; i++)
		e[i] = (struct expected){.d.due = expected_due, .at = NSEC_NEVER};
	for (unsigned k = 0; k < 100000; k++) {
		unsigned i = (unsigned)fixture_below(&r, N);
		nsec_t least = NSEC_NEVER;

		if (fixture_chance(&r, 30)) {
			deadline_clear(&h, &e[i].d);
			e[i].at = NSEC_NEVER;
		} else {
			e[i].at = fixture_chance(&r, 3) ? NSEC_NEVER : now + fixture_below(&r, 500);
			deadline_set(&h, &e[i].d, e[i].at);
		}
		now += fixture_below(&r, 3);
		deadlines_run(&h, now);
		for (unsigned j = 0; j < N; j++) {
			assert_int_equal(deadline_is_set(&e[j].d), e[j].at != NSEC_NEVER);
			least = min_u64(least, e[j].at);
		}
		assert_true(least > now && deadline_next(&h) == least);
	}
	deadlines_fini(&h);
	for (unsigned j = 0; j < N; j++)
		assert_false(deadline_is_set(&e[j].d));
}

struct ordered {
	struct deadline d;
	struct deadline_heap *heap;
	nsec_t *last;
	unsigned *called;
	nsec_t again; /* set again this long after; 0: not again */
};

static void ordered_due(struct deadline *d, nsec_t now)
{
	struct ordered *o = container_of(d, struct ordered, d);

	assert_true(d->at >= *o->last && d->at <= now);
	*o->last = d->at;
	++*o->called;
	if (o->again)
		deadline_set(o->heap, d, d->at + o->again);
	o->again = 0;
}

/* Deadlines are called in the order of time, including those that are set meanwhile. */
static void test_deadline_order(void **state)
{
	struct ordered o[100];
	struct deadline_heap h;
	struct fixture_rng r;
	nsec_t last = 0;
	unsigned called = 0;

	(void)state;
	fixture_rng_init(&r, 5);
	deadlines_init(&h);
	assert_true(deadline_next(&h) == NSEC_NEVER);
	deadlines_run(&h, NSEC_NEVER - 1);
	for (unsigned i = 0; i < 100; i++) {
		o[i] = (struct ordered){.d.due = ordered_due,
					.heap = &h,
					.last = &last,
					.called = &called,
					.again = i % 4 ? 0 : 20};
		deadline_set(&h, &o[i].d, 1 + fixture_below(&r, 50));
	}
	deadline_set(&h, &o[7].d, 1001);
	deadlines_run(&h, 1000);
	assert_int_equal(called, 99 + 25);
	assert_true(deadline_next(&h) == 1001);
	deadlines_fini(&h);
}

/* A bucket never gives more than burst + rate * time, and does not refuse earlier. */
static void test_bucket(void **state)
{
	static const struct {
		uint64_t rate, burst;
	} t[] = {{1, 1}, {5, 20}, {20000, 20000}, {3, 1}, {1000000000, 4}, {7, 1ULL << 32}};
	struct fixture_rng r;

	(void)state;
	fixture_rng_init(&r, 6);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		nsec_t start = 1 + fixture_below(&r, 1ULL << 60), now = start;
		uint64_t taken = 0, refused = 0;
		struct bucket b;

		bucket_init(&b, t[i].rate, t[i].burst);
		for (unsigned k = 0; k < 200000; k++) {
			bool got = bucket_take(&b, now);
			/* in units of 10^-9 tokens, to avoid rounding */
			__uint128_t allowed = (__uint128_t)t[i].burst * NSEC_PER_SEC +
					      (__uint128_t)t[i].rate * (now - start);

			taken += got;
			refused += !got;
			assert_true((__uint128_t)taken * NSEC_PER_SEC <= allowed);
			/* at the first refusal, all that is allowed has been taken */
			if (!got && refused == 1)
				assert_true((__uint128_t)(taken + 1) * NSEC_PER_SEC > allowed);
			now += fixture_below(&r, 2 * NSEC_PER_SEC / t[i].rate / 4 + 2);
		}
		assert_true(taken >= min_u64(t[i].burst, 1000));
	}
}

/* A bucket with rate 0, refill to the nanosecond, and very long pauses. */
static void test_bucket_edges(void **state)
{
	struct bucket b;

	(void)state;
	bucket_init(&b, 0, 100);
	assert_false(bucket_take(&b, 5));
	bucket_init(&b, 10, 2);
	assert_true(bucket_take(&b, 5) && bucket_take(&b, 5));
	assert_false(bucket_take(&b, 5));
	assert_false(bucket_take(&b, 5 + NSEC_PER_SEC / 10 - 1));
	assert_true(bucket_take(&b, 5 + NSEC_PER_SEC / 10));
	/* after any pause the bucket is just full, and nothing overflows */
	assert_true(bucket_take(&b, UINT64_MAX - 1) && bucket_take(&b, UINT64_MAX - 1));
	assert_false(bucket_take(&b, UINT64_MAX));
}

struct lines {
	unsigned count;
	enum log_level level;
	char last[2000];
};

static void sink(void *ctx, enum log_level level, const char *line)
{
	struct lines *l = ctx;

	l->count++;
	l->level = level;
	snprintf(l->last, sizeof(l->last), "%s", line);
}

/* A message is one line of limited length, and is written if its level is enabled. */
static void test_log(void **state)
{
	struct lines l = {0};
	char big[3000];
	struct log log;
	enum log_level level = LOG_LEVEL_ERROR;

	(void)state;
	log_init(&log, LOG_LEVEL_INFO, sink, &l);
	log_info(&log, "a %d", 5);
	assert_string_equal(l.last, "a 5");
	assert_int_equal(l.level, LOG_LEVEL_INFO);
	log_debug(&log, "b");
	assert_int_equal(l.count, 1);
	log_error(NULL, "nowhere");
	/* control characters from outside cannot begin a new line */
	log_warn(&log, "%s", "x\ny\tz\x1b[2J\x7f\r");
	assert_string_equal(l.last, "x?y?z?[2J??");
	memset(big, 'k', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	log_warn(&log, "%s", big);
	assert_in_range(strlen(l.last), 900, 1000);
	for (unsigned i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
		assert_int_equal(log_level_parse(log_level_name(i), &level), 0);
		assert_int_equal(level, i);
	}
	assert_int_equal(log_level_parse("loud", &level), -EINVAL);
}

/* Messages caused by outsiders are rate-limited. */
static void test_log_outsider(void **state)
{
	struct lines l = {0};
	struct log log;
	nsec_t now = 5;

	(void)state;
	log_init(&log, LOG_LEVEL_INFO, sink, &l);
	for (unsigned i = 0; i < 1000; i++)
		log_outsider(&log, now, LOG_LEVEL_WARNING, "bad packet");
	assert_int_equal(l.count, 20);
	assert_true(log.outsider.suppressed == 980);
	log_info(&log, "our own line"); /* our own messages are not limited */
	assert_string_equal(l.last, "our own line");
	now += NSEC_PER_SEC / 5;
	log_outsider(&log, now, LOG_LEVEL_WARNING, "bad packet");
	assert_int_equal(l.count, 23); /* the number of suppressed messages, and the message */
	assert_string_equal(l.last, "bad packet");
	assert_true(log.outsider.suppressed == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reader),	  cmocka_unit_test(test_reader_stays_inside),
		cmocka_unit_test(test_writer),	  cmocka_unit_test(test_patch_len),
		cmocka_unit_test(test_deadlines), cmocka_unit_test(test_deadline_order),
		cmocka_unit_test(test_bucket),	  cmocka_unit_test(test_bucket_edges),
		cmocka_unit_test(test_log),	  cmocka_unit_test(test_log_outsider),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
