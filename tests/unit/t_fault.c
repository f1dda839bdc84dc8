/*
 * t_fault.c - senders that really rewind, and networks that only look like it (doc/recovery.md 6).
 * SPDX-License-Identifier: ISC
 *
 * Each rewind is confirmed within a stated number of packets. No benign network confirms anything
 * under `proof`; the same traffic shows how often `pattern` and the published rule are wrong.
 */
#include "esp_run.h"

#define TWO32 (1ULL << 32)

enum iv_kind { IV_OTHER, IV_EQUAL, IV_SAME_HIGH_WORD };

struct fault {
	const char *name;
	uint64_t sent;	     /* numbers 1 to `sent` are used first */
	uint64_t jump, then; /* if jump is not 0: `then` packets from `jump` on */
	uint64_t to, limit;  /* the rewind to `to`, confirmed within `limit` packets */
	bool esn;
	const char *suite;
	enum iv_kind iv;
	enum detect_mode mode; /* 0: DETECT_PROOF */
	uint64_t history_packets;
	enum criterion why; /* 0: CRITERION_PROOF */
};

/* Sets the sender's IVs so that rewound packets repeat them, or do not. */
static void set_ivs(struct run *run, const struct fault *f, bool before)
{
	struct esp_out_sa *o = &fixture_sa(run->l, GW)->out;

	if (f->iv == IV_SAME_HIGH_WORD && before) {
		/* big-endian counter with a constant high word */
		o->iv_mask = 0;
		o->iv_counter = 0xabcdef0100000000ULL;
	}
	/* the IV depends on the number only, as in other implementations */
	if (f->iv == IV_EQUAL && !before)
		o->iv_counter = f->to - 1;
}

static void check_iv_outcome(struct run *run, const struct fault *f)
{
	const struct esp_in_sa *in = &fixture_sa(run->l, ME)->in;
	bool reused = f->iv == IV_EQUAL && in->suite->combined;

	assert_int_equal(in->nonce_reuses, reused);
	assert_int_equal(in->exposed, reused && in->suite->encr == ENCR_AES_GCM_16);
	/* under `both` either may come first, depending on the random phase */
	if (f->mode == DETECT_BOTH && run->why == CRITERION_COUNT)
		return;
	assert_string_equal(criterion_name(run->why), criterion_name(reused ? CRITERION_NONCE_REUSE
								     : f->why ? f->why
									      : CRITERION_PROOF));
}

/* Jumps as the fault says. A jump by 2^32 or more cannot be seen on the wire, so it is made in
 * steps. */
static void jump(struct run *run, const struct fault *f)
{
	if (f->jump == 0)
		return;
	if (f->jump >= f->sent + TWO32) {
		run_set_number(run, TWO32 - 30000);
		run_send(run, 1);
		run_set_number(run, TWO32 + 5);
		run_send(run, 1);
	}
	run_set_number(run, f->jump);
	run_send(run, f->then);
}

static void run_fault(const struct fault *f, uint64_t salt)
{
	struct fixture_opt o = FIXTURE_OPT(.esn = f->esn, .suite = f->suite, .salt = salt,
					   .history_packets = f->history_packets);
	struct run run;
	uint64_t from;
	bool reused;

	o.detect.mode = f->mode ? f->mode : DETECT_PROOF;
	run_init(&run, f->name, &o);
	set_ivs(&run, f, true);
	run_send(&run, f->sent);
	jump(&run, f);
	assert_int_equal(run.r.v[VERDICT_FRESH], run.seen);
	assert_int_equal(run.r.delivered, run.seen);
	run_assert_calm(&run);
	set_ivs(&run, f, false);
	from = run.sealed;
	run_rewind(&run, f->to, f->limit);
	check_iv_outcome(&run, f);
	/* within reach nothing is lost; after nonce reuse there is no bridge */
	reused = fixture_sa(run.l, ME)->in.nonce_reuses > 0;
	if (f->limit == 1) {
		run_send(&run, 700);
		if (!reused)
			run_assert_came(&run, from, run.sealed, 0);
		else
			assert_false(fixture_sa(run.l, ME)->in.bridge.open);
	}
	run_fini(&run);
}

static void run_faults(const struct fault *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		run_fault(&f[i], i);
}

/* Rewinds within the window, beyond it, beyond the history, and to number 1. */
static void test_depths(void **state)
{
	static const struct fault t[] = {
		{"rewind by 1", .sent = 5000, .to = 5000, .limit = 1},
		{"rewind by 1 of 1", .sent = 1, .to = 1, .limit = 1},
		{"rewind in the window", .sent = 5000, .to = 4500, .limit = 1},
		{"rewind to its left edge", .sent = 5000, .to = 3977, .limit = 1},
		{"rewind just beyond it", .sent = 50000, .to = 48976, .limit = 1},
		{"rewind beyond the window", .sent = 300000, .to = 100000, .limit = 1},
		{"rewind beyond history_packets", .sent = 300000, .to = 100000,
		 .limit = 300000 / 2048, .history_packets = 1 << 16},
		{"rewind to number 1", .sent = 300000, .to = 1, .limit = 300000 / 2048,
		 .history_packets = 1 << 16},
		{"rewind to number 1 within history_packets", .sent = 300000, .to = 1, .limit = 1},
		{"the same, both", .sent = 300000, .to = 1, .limit = 64, .history_packets = 1 << 16,
		 .mode = DETECT_BOTH},
	};

	(void)state;
	run_faults(t, ARRAY_SIZE(t));
}

/* Rewinds with ESN, each case of doc/recovery.md 1. */
static void test_esn_cases(void **state)
{
	/* window within one subspace: 2^32 + 100,000; across the boundary: 2^32 + 100 */
	static const struct fault t[] = {
		{"ESN: rewind by 1", .sent = 5000, .esn = true, .to = 5000, .limit = 1},
		{"ESN: left of the window, first subspace", .sent = 50000, .esn = true, .to = 20000,
		 .limit = 1},
		{"ESN: left of the window (Th + 1, then Th)", .sent = 3000, .esn = true,
		 .jump = TWO32 - 50000, .then = 150000, .to = TWO32 + 20000, .limit = 1},
		{"ESN: before the boundary (Th, then Th - 1)", .sent = 3000, .esn = true,
		 .jump = TWO32 - 50000, .then = 150000, .to = TWO32 - 20000, .limit = 1},
		{"ESN: in the window across a boundary, by 1", .sent = 3000, .esn = true,
		 .jump = TWO32 - 50000, .then = 50100, .to = TWO32 + 99, .limit = 1},
		{"ESN: in the window, before the boundary", .sent = 3000, .esn = true,
		 .jump = TWO32 - 50000, .then = 50100, .to = TWO32 - 500, .limit = 1},
		{"ESN: across, between the edges (Th, then Th - 1)", .sent = 3000, .esn = true,
		 .jump = TWO32 - 50000, .then = 50100, .to = TWO32 - 9000, .limit = 1},
		/* the first low numbers are taken for those in the window */
		{"ESN: to number 1 from 2^32 + 3,000", .sent = 30000, .esn = true,
		 .jump = TWO32 - 50000, .then = 53000, .to = 1, .limit = 3000 + 41},
		{"ESN: to number 1 from 2^32 + 99", .sent = 30000, .esn = true,
		 .jump = TWO32 - 50000, .then = 50100, .to = 1, .limit = 100 + 41},
		{"ESN: over the second boundary", .sent = 3000, .esn = true,
		 .jump = 2 * TWO32 - 30000, .then = 30000, .to = 2 * TWO32 - 20000, .limit = 1},
		{"ESN, CBC: before the boundary", .sent = 3000, .esn = true, .jump = TWO32 - 50000,
		 .then = 150000, .to = TWO32 - 20000, .limit = 1, .suite = "aes256-sha512"},
	};
	struct fault f = t[10];

	(void)state;
	run_faults(t, ARRAY_SIZE(t) - 1);
	f.then = 60000;
	run_fault(&f, 10);
}

/* Rewinds with repeated and with new IVs, under every kind of suite. */
static void test_ivs(void **state)
{
	static const struct fault t[] = {
		{"GCM, IVs equal", .sent = 5000, .to = 4500, .limit = 1, .iv = IV_EQUAL},
		{"GCM, IVs equal, beyond the window", .sent = 50000, .to = 20000, .limit = 1,
		 .iv = IV_EQUAL},
		{"GCM, IVs different", .sent = 5000, .to = 4500, .limit = 1},
		{"GCM, big-endian IVs with equal high word", .sent = 5000, .to = 4500, .limit = 1,
		 .iv = IV_SAME_HIGH_WORD},
		{"ChaCha20-Poly1305, IVs equal", .sent = 5000, .to = 4500, .limit = 1,
		 .iv = IV_EQUAL, .suite = "chacha20poly1305"},
		{"ChaCha20-Poly1305, equal high word", .sent = 5000, .to = 4500, .limit = 1,
		 .iv = IV_SAME_HIGH_WORD, .suite = "chacha20poly1305"},
		{"CBC", .sent = 5000, .to = 4500, .limit = 1, .suite = "aes128-sha256"},
		{"CBC beyond the window", .sent = 50000, .to = 20000, .limit = 1,
		 .suite = "aes256-sha384"},
	};

	(void)state;
	run_faults(t, ARRAY_SIZE(t));
}

/* Under `pattern`, 64 distinct packets confirm, in the window and far beyond the history. */
static void test_pattern_where_history_ends(void **state)
{
	static const struct fault t[] = {
		{"pattern, rewind in the window", .sent = 50000, .to = 49500, .limit = 64,
		 .mode = DETECT_PATTERN, .why = CRITERION_COUNT},
		{"pattern, rewind far beyond", .sent = 300000, .to = 1, .limit = 64,
		 .mode = DETECT_PATTERN, .why = CRITERION_COUNT, .history_packets = 4096},
	};

	(void)state;
	run_faults(t, ARRAY_SIZE(t));
}

/* If IV and plaintext are repeated as well, the packets are bit-identical and REPLAYED: a known
 * limit. */
static void test_bit_identical(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct run run;

	(void)state;
	run_init(&run, "IVs equal and plaintexts equal (a documented limit)", &o);
	run.bit_identical = true;
	fixture_sa(run.l, GW)->out.iv_counter = 0;
	run_send(&run, 1000);
	run_set_number(&run, 501);
	fixture_sa(run.l, GW)->out.iv_counter = 500;
	run_send(&run, 500);
	assert_int_equal(run.r.v[VERDICT_REPLAYED], 500);
	run_assert_calm(&run);
	run_fini(&run);
}

/* Two senders use the same SA at once: the second one's first packet confirms, and the bridge
 * delivers both. */
static void test_two_senders(void **state)
{
	static const uint64_t behind[] = {0, 1, 700, 10000};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(behind); i++) {
		static const char *const names[] = {
			"two senders interleaved, in step", "two senders, one behind by 1",
			"two senders, one behind by 700", "two senders, one behind by 10,000"};
		struct fixture_opt o = FIXTURE_OPT();
		struct run run;
		uint64_t n = 0;

		run_init(&run, names[i], &o);
		run_send(&run, 20000);
		while (n < 4000) {
			run_set_number(&run, n & 1 ? 20001 + n / 2 - behind[i] : 20001 + n / 2);
			run_send(&run, 1);
			if (++n == 2) /* the second sender's first packet */
				assert_int_equal(run.switchovers, 1);
		}
		assert_int_equal(run.switchovers, 1);
		run_assert_came(&run, 0, run.sealed, 0); /* both are delivered until the rekey */
		assert_string_equal(criterion_name(run.why), "proof");
		run_fini(&run);
	}
}

/* A fails, B continues 2^20 numbers ahead, and A returns with an older number. */
static void failback(enum detect_mode m, uint64_t reach, uint64_t to, uint64_t limit,
		     const char *name)
{
	struct fixture_opt o = FIXTURE_OPT(.history_packets = reach);
	struct run run;

	o.detect.mode = m;
	run_init(&run, name, &o);
	run_send(&run, 60000);
	run_set_number(&run, 60000 + (1 << 20));
	run_send(&run, 5000);
	run_assert_calm(&run);
	run_rewind(&run, to, limit);
	run_fini(&run);
}

/* A proof confirms the failback. */
static void test_failback(void **state)
{
	(void)state;
	failback(DETECT_PROOF, 0, 59000, 1, "failback A, B, A behind where A was");
	failback(DETECT_BOTH, 0, 59000, 1, "the same, both");
	/* nobody used the numbers after A's last one: only the first number known from B is a proof
	 */
	failback(DETECT_PROOF, 0, 60001, (1 << 20) + 1,
		 "failback A, B, A into numbers that nobody used");
}

/*
 * Under `both`, a failback into unused numbers is confirmed by the pattern beyond reach; within
 * reach, only a known number is a proof.
 */
static void test_failback_both(void **state)
{
	(void)state;
	failback(DETECT_BOTH, 1 << 16, 60001, 64,
		 "failback into numbers that nobody used, both, beyond reach");
	failback(DETECT_BOTH, 0, 60001, (1 << 20) + 1, "the same within reach");
}

/* The order in which a benign network delivers packets. */
struct arrival {
	uint64_t at;
	uint32_t number;
	bool again;
};

static int by_arrival(const void *a, const void *b)
{
	const struct arrival *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

enum benign { REORDER, DUPLICATE, BACKLOG };

/* When packet i arrives, as a position in the stream. BACKLOG: low-priority packets wait for the
 * link. */
static uint64_t arrives(enum benign kind, struct fixture_rng *r, uint32_t i)
{
	switch (kind) {
	case REORDER:
		return i +
		       (fixture_chance(r, 5) ? 33 + fixture_below(r, 300) : fixture_below(r, 4));
	case DUPLICATE: return i + fixture_below(r, 8);
	case BACKLOG: return i % 8000 < 4000 && i % 5 == 0 ? i + 8000 - i % 8000 : i;
	}
	return i;
}

/* Delivers `count` packets one by one in their order of arrival. */
static void benign_network(struct run *run, enum benign kind, uint32_t count)
{
	struct arrival *a = calloc(2 * count, sizeof(*a));
	struct fixture_rng r;
	size_t n = 0;

	assert_non_null(a);
	fixture_rng_init(&r, 7000 + kind);
	for (uint32_t i = 0; i < count; i++) {
		a[n++] = (struct arrival){.at = arrives(kind, &r, i), .number = i};
		if (kind == DUPLICATE && fixture_chance(&r, 10))
			a[n++] = (struct arrival){.at = i + fixture_below(&r, 200), .number = i};
	}
	qsort(a, n, sizeof(*a), by_arrival);
	run->record = true;
	run->pass = NULL;
	for (size_t i = 0; i < n; i++) {
		run->l->now += RUN_PACKET_TIME;
		run_play(run, &run->tape, a[i].number, 1);
		/* the burst is over: 5 s of silence */
		if (kind == BACKLOG && i % 8000 == 7999)
			run->l->now += 5 * NSEC_PER_SEC;
		if (fixture_sa(run->l, ME)->in.detector.state == DETECTOR_CONFIRMED)
			run_reset(run);
	}
	free(a);
}

static bool keep_none(struct run *run, uint64_t number, const uint8_t *pkt, uint32_t len)
{
	(void)run;
	(void)number;
	(void)pkt;
	(void)len;
	return false;
}

static void benign(enum benign kind, enum detect_mode m, const char *name)
{
	struct fixture_opt o = FIXTURE_OPT(.window = kind == DUPLICATE ? 64 : 32);
	struct run run;

	o.detect.mode = m;
	run_init(&run, name, &o);
	run.record = true;
	run.pass = keep_none;
	run_send(&run, 100000);
	benign_network(&run, kind, 100000);
	assert_int_equal(run.r.v[VERDICT_REWOUND], 0);
	assert_int_equal(run.r.v[VERDICT_AUTH_FAILED], 0);
	if (m == DETECT_PROOF) {
		run_assert_calm(&run);
		assert_int_equal(fixture_sa(run.l, ME)->in.detector.state, DETECTOR_CALM);
	}
	run_fini(&run);
}

/* Reordering, duplication and backlog confirm nothing under `proof`. */
static void test_benign(void **state)
{
	(void)state;
	benign(REORDER, DETECT_PROOF, "reordering beyond a window of 32");
	benign(REORDER, DETECT_PATTERN, "the same, pattern: each confirmation is wrong");
	benign(REORDER, DETECT_BOTH, "the same, both: each confirmation is wrong");
	benign(DUPLICATE, DETECT_PROOF, "10 % duplication");
	benign(DUPLICATE, DETECT_PATTERN, "the same, pattern: each confirmation is wrong");
	benign(DUPLICATE, DETECT_BOTH, "the same, both: each confirmation is wrong");
	benign(BACKLOG, DETECT_PROOF, "backlog of low priority after bursts, silence");
	benign(BACKLOG, DETECT_PATTERN, "the same, pattern: each confirmation is wrong");
	benign(BACKLOG, DETECT_BOTH, "the same, both: each confirmation is wrong");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_depths),
		cmocka_unit_test(test_esn_cases),
		cmocka_unit_test(test_ivs),
		cmocka_unit_test(test_pattern_where_history_ends),
		cmocka_unit_test(test_bit_identical),
		cmocka_unit_test(test_two_senders),
		cmocka_unit_test(test_failback),
		cmocka_unit_test(test_failback_both),
		cmocka_unit_test(test_benign),
	};

	fixture_seed();
	run_print_header();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
