/* t_detector.c - the criteria of doc/recovery.md 3, against a model that keeps all packets.
 * SPDX-License-Identifier: ISC */
#include "detector.h"
#include "esp_fixture.h"

static const struct detector_config proof = {
	.mode = DETECT_PROOF, .proof_packets = 1, .packets = 64, .interval = NSEC_PER_SEC};
static const struct detector_config pattern = {
	.mode = DETECT_PATTERN, .proof_packets = 1, .packets = 64, .interval = NSEC_PER_SEC};
static const struct detector_config both = {
	.mode = DETECT_BOTH, .proof_packets = 1, .packets = 64, .interval = NSEC_PER_SEC};

/* Feeds a REWOUND packet as esp_in does: only if the detector does not know it. */
static bool rewound(struct detector *d, const struct detector_config *c, nsec_t now, uint64_t n,
		    uint32_t tag)
{
	return !detector_knows(d, n, tag) &&
	       detector_rewound(d, c, now, n, tag, false) == EVIDENCE_CONFIRMS;
}

static bool stale(struct detector *d, const struct detector_config *c, nsec_t now, uint64_t n,
		  uint32_t tag)
{
	return !detector_knows(d, n, tag) && detector_stale(d, c, now, n, tag) == EVIDENCE_CONFIRMS;
}

/* The names of modes, criteria and states. */
static void test_names(void **state)
{
	enum detect_mode m = DETECT_OFF;

	(void)state;
	for (unsigned i = DETECT_OFF; i <= DETECT_BOTH; i++) {
		assert_int_equal(detect_mode_parse(detect_mode_name(i), &m), 0);
		assert_int_equal(m, i);
	}
	assert_int_equal(detect_mode_parse("Proof", &m), -EINVAL);
	assert_int_equal(m, DETECT_BOTH);
	assert_string_equal(criterion_name(CRITERION_NONCE_REUSE), "nonce-reuse");
	assert_string_equal(detector_state_name(DETECTOR_CONFIRMED), "confirmed");
}

/* With proof_packets = 1, the first REWOUND packet confirms. */
static void test_proof(void **state)
{
	struct detector d;

	(void)state;
	detector_init(&d);
	assert_int_equal(d.state, DETECTOR_CALM);
	assert_true(rewound(&d, &proof, 5, 100, 7));
	assert_int_equal(d.state, DETECTOR_CONFIRMED);
	assert_int_equal(d.criterion, CRITERION_PROOF);
	assert_true(d.first_evidence == 5 && d.first_number == 100);
	assert_true(detector_knows(&d, 100, 7));
	assert_false(detector_knows(&d, 100, 8));
	assert_false(detector_knows(&d, 101, 7));
	/* latched: reported once, and not cleared by a FRESH packet */
	assert_false(rewound(&d, &proof, 6, 101, 7));
	detector_fresh(&d);
	assert_int_equal(d.state, DETECTOR_CONFIRMED);
	assert_true(d.first_evidence == 5);
	detector_fini(&d);
}

/* With proof_packets = 3, three different REWOUND packets confirm. */
static void test_proof_packets(void **state)
{
	struct detector_config c = proof;
	struct detector d;

	(void)state;
	c.proof_packets = 3;
	detector_init(&d);
	assert_false(rewound(&d, &c, 5, 100, 7));
	assert_int_equal(d.state, DETECTOR_SUSPECT);
	for (unsigned i = 0; i < 1000; i++)
		assert_false(rewound(&d, &c, 6, 100, 7));
	detector_fresh(&d); /* does not clear the proofs */
	assert_int_equal(d.state, DETECTOR_SUSPECT);
	assert_false(rewound(&d, &c, 7, 100, 8)); /* same number, other tag: another packet */
	detector_fresh(&d);
	assert_true(rewound(&d, &c, 8, 3, 7));
	assert_int_equal(d.criterion, CRITERION_PROOF);
	assert_true(d.first_evidence == 5);
	detector_fini(&d);
}

/* Packets seen before a reset are still known, so that replays of them prove nothing. */
static void test_reset(void **state)
{
	struct detector d;

	(void)state;
	detector_init(&d);
	assert_true(rewound(&d, &proof, 5, 100, 7));
	detector_reset(&d);
	assert_int_equal(d.state, DETECTOR_CALM);
	assert_int_equal(d.criterion, CRITERION_NONE);
	assert_true(d.first_evidence == 0 && d.proofs == 0 && d.pattern == 0);
	assert_false(rewound(&d, &proof, 6, 100, 7));
	assert_int_equal(d.state, DETECTOR_CALM);
	assert_true(rewound(&d, &proof, 6, 101, 7));
	assert_true(d.first_evidence == 6 && d.first_number == 101);
	detector_fini(&d);
}

/* Under detect = "off" nothing is confirmed, but packets are remembered. */
static void test_off(void **state)
{
	struct detector_config c = proof;
	struct detector d;

	(void)state;
	c.mode = DETECT_OFF;
	detector_init(&d);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(detector_rewound(&d, &c, 5, 100 + i, 7, i == 50), EVIDENCE_NEW);
	assert_int_equal(d.state, DETECTOR_CALM);
	assert_true(d.first_evidence == 0 && d.proofs == 0);
	assert_true(detector_knows(&d, 199, 7)); /* still remembered */
	assert_false(detector_asks(&c, false));
	assert_false(detector_asks(&c, true));
	detector_fini(&d);
}

/* STALE packets count under `pattern`, and under `both` if they are beyond reach. */
static void test_asks(void **state)
{
	(void)state;
	assert_false(detector_asks(&proof, false));
	assert_false(detector_asks(&proof, true));
	assert_true(detector_asks(&pattern, false));
	assert_true(detector_asks(&pattern, true));
	assert_true(detector_asks(&both, false));
	assert_false(detector_asks(&both, true));
}

/* Nonce reuse confirms at once, whatever proof_packets is. */
static void test_nonce_reuse(void **state)
{
	const struct detector_config *all[] = {&proof, &pattern, &both};
	struct detector_config c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct detector d;

		c = *all[i];
		c.proof_packets = 50;
		detector_init(&d);
		assert_int_equal(detector_rewound(&d, &c, 5, 100, 7, true), EVIDENCE_CONFIRMS);
		assert_int_equal(d.criterion, CRITERION_NONCE_REUSE);
		detector_fresh(&d);
		assert_int_equal(d.state, DETECTOR_CONFIRMED);
		detector_fini(&d);
	}
}

/* `packets` distinct STALE packets without a FRESH one in between confirm. */
static void test_count(void **state)
{
	struct detector d;

	(void)state;
	detector_init(&d);
	for (unsigned i = 1; i < 64; i++)
		assert_false(stale(&d, &pattern, 5, 1000 + i, i));
	assert_int_equal(d.state, DETECTOR_SUSPECT);
	detector_fresh(&d); /* a FRESH packet in between starts the count again */
	assert_int_equal(d.state, DETECTOR_CALM);
	assert_true(d.first_evidence == 0);
	for (unsigned i = 1; i < 64; i++)
		assert_false(stale(&d, &pattern, 5, 2000 + i, i));
	assert_true(stale(&d, &pattern, 5, 2064, 64));
	assert_int_equal(d.state, DETECTOR_CONFIRMED);
	assert_int_equal(d.criterion, CRITERION_COUNT);
	detector_fini(&d);
}

/* Under `pattern`, STALE and REWOUND packets count together. */
static void test_count_of_both_kinds(void **state)
{
	struct detector d;

	(void)state;
	detector_init(&d);
	for (unsigned i = 0; i < 63; i++)
		assert_false(i % 2 ? stale(&d, &pattern, 5, 1000 + i, i)
				   : rewound(&d, &pattern, 5, 1000 + i, i));
	assert_true(rewound(&d, &pattern, 5, 3000, 1));
	assert_int_equal(d.criterion, CRITERION_COUNT);
	detector_fini(&d);
}

/* At least 8 STALE packets over `interval`, without a FRESH one in between, confirm. */
static void test_time(void **state)
{
	struct detector d;
	nsec_t now = 5 * NSEC_PER_SEC;

	(void)state;
	detector_init(&d);
	/* long enough, but not eight yet */
	for (unsigned i = 0; i < 7; i++)
		assert_false(stale(&d, &pattern, now + i * NSEC_PER_SEC, 100 + i, i));
	assert_true(stale(&d, &pattern, now + 7 * NSEC_PER_SEC, 107, 7));
	assert_int_equal(d.criterion, CRITERION_TIME);
	detector_reset(&d);
	/* eight, but not long enough; the interval starts with the first one after a FRESH
	 * packet */
	now += 100 * NSEC_PER_SEC;
	assert_false(stale(&d, &pattern, now, 200, 1));
	detector_fresh(&d);
	now += 10 * NSEC_PER_SEC;
	for (unsigned i = 0; i < 30; i++)
		assert_false(stale(&d, &pattern, now + i * NSEC_PER_MSEC, 300 + i, i));
	assert_false(stale(&d, &pattern, now + NSEC_PER_SEC - 1, 400, 1));
	assert_true(stale(&d, &pattern, now + NSEC_PER_SEC, 401, 1));
	detector_fini(&d);
}

/* A FRESH packet drops a confirmed pattern, but no proof. A proof replaces a pattern. */
static void test_pattern_is_dropped_proof_is_not(void **state)
{
	struct detector d;

	(void)state;
	detector_init(&d);
	for (unsigned i = 0; i < 64; i++)
		stale(&d, &both, 5, 1000 + i, i);
	assert_int_equal(d.criterion, CRITERION_COUNT);
	detector_fresh(&d);
	assert_int_equal(d.state, DETECTOR_CALM);
	assert_int_equal(d.criterion, CRITERION_NONE);
	for (unsigned i = 0; i < 64; i++)
		stale(&d, &both, 6, 2000 + i, i);
	assert_int_equal(d.state, DETECTOR_CONFIRMED);
	assert_true(rewound(&d, &both, 7, 50, 1)); /* reported again, as a proof */
	assert_int_equal(d.criterion, CRITERION_PROOF);
	detector_fresh(&d);
	assert_int_equal(d.state, DETECTOR_CONFIRMED);
	for (unsigned i = 0; i < 100; i++)
		assert_false(stale(&d, &both, 7, 9000 + i, i)); /* a pattern does not replace a
								 * proof */
	assert_int_equal(d.criterion, CRITERION_PROOF);
	detector_fini(&d);
}

/* A FRESH packet drops the pattern, but the proofs still count towards proof_packets. */
static void test_proofs_survive_a_dropped_pattern(void **state)
{
	struct detector_config c = both;
	struct detector d;

	(void)state;
	c.proof_packets = 2;
	detector_init(&d);
	assert_false(rewound(&d, &c, 5, 50, 1));
	for (unsigned i = 0; i < 64; i++)
		stale(&d, &c, 6, 2000 + i, i);
	assert_int_equal(d.criterion, CRITERION_COUNT);
	detector_fresh(&d);
	assert_int_equal(d.state, DETECTOR_SUSPECT);
	assert_true(rewound(&d, &c, 7, 51, 1));
	assert_int_equal(d.criterion, CRITERION_PROOF);
	detector_fini(&d);
}

/* Under `both`, REWOUND packets do not count for the pattern. */
static void test_both_counts_no_proofs(void **state)
{
	struct detector_config c = both;
	struct detector d;

	(void)state;
	c.proof_packets = 1000;
	detector_init(&d);
	for (unsigned i = 0; i < 500; i++)
		assert_false(rewound(&d, &c, 5 + i * NSEC_PER_SEC, 50 + i, 1));
	assert_int_equal(d.state, DETECTOR_SUSPECT);
	detector_fini(&d);
}

/* A STALE packet with a high number, released first, must not hide those with lower numbers. */
static void test_poisoned_distinctness(void **state)
{
	static const uint64_t poisons[] = {2000, 1000000, 1ULL << 40, UINT64_MAX - 1};

	(void)state;
	for (size_t p = 0; p < ARRAY_SIZE(poisons); p++) {
		struct detector d;
		unsigned i = 0;

		detector_init(&d);
		assert_false(stale(&d, &pattern, 5, poisons[p], 99));
		while (!stale(&d, &pattern, 5, 500 + i, i))
			assert_in_range(++i, 0, 63);
		detector_fini(&d);
	}
}

/* Replayed STALE packets count once, in any order, however often. */
static void test_stale_replays_count_once(void **state)
{
	struct detector d;
	struct fixture_rng r;

	(void)state;
	fixture_rng_init(&r, 1);
	detector_init(&d);
	for (unsigned k = 0; k < 100000; k++) {
		uint64_t n = 5000 + fixture_below(&r, 63);

		assert_false(stale(&d, &pattern, 5 + k, n, (uint32_t)n));
	}
	assert_int_equal(d.pattern, 63);
	detector_fini(&d);
}

/* With the largest `packets` that may be configured, every distinct packet counts exactly once. */
static void count_exact(uint64_t salt, uint64_t first, uint64_t step)
{
	enum { LARGEST = 1000000 };
	struct detector_config c = pattern;
	uint32_t *tag = malloc(LARGEST * sizeof(*tag));
	struct detector d;
	struct fixture_rng r;

	assert_non_null(tag);
	c.packets = LARGEST;
	c.interval = NSEC_NEVER;
	fixture_rng_init(&r, salt);
	detector_init(&d);
	for (uint32_t i = 0; i < LARGEST; i++) {
		uint64_t again = fixture_below(&r, i);

		tag[i] = (uint32_t)fixture_u64(&r);
		assert_int_equal(detector_stale(&d, &c, 5, first + i * step, tag[i]),
				 i + 1 == LARGEST ? EVIDENCE_CONFIRMS : EVIDENCE_NEW);
		if (d.pattern != i + 1)
			fail_msg("%u distinct ones count as %u", i + 1, d.pattern);
		if (i > 0 && i + 1 < LARGEST)
			assert_int_equal(
				detector_stale(&d, &c, 5, first + again * step, tag[again]),
				EVIDENCE_NONE);
	}
	assert_string_equal(criterion_name(d.criterion), "count");
	detector_fini(&d);
	free(tag);
}

/* Numbers below and above 2^32, in order and 1,000 apart. */
static void test_count_is_exact(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 4; i++)
		count_exact(20 + i, 1 + (i << 31), i == 3 ? 1000 : 1);
}

/* Packets with the same number and different tags all count. */
static void test_one_number_many_packets(void **state)
{
	struct detector_config c = pattern;
	struct detector d;
	struct fixture_rng r;

	(void)state;
	c.packets = 1000;
	c.interval = NSEC_NEVER;
	fixture_rng_init(&r, 24);
	detector_init(&d);
	for (uint32_t i = 0; i < c.packets; i++) {
		/* no two tags are equal; the low bits are random */
		uint32_t tag = i << 22 | (uint32_t)fixture_below(&r, 1 << 22);

		assert_int_equal(detector_stale(&d, &c, 5, 1000, tag),
				 i + 1 == c.packets ? EVIDENCE_CONFIRMS : EVIDENCE_NEW);
	}
	assert_int_equal(d.pattern, c.packets);
	detector_fini(&d);
}

/* 65 packets replayed 40 times, more than the last 64 that are remembered, still count as 65. */
static void test_withheld_replayed(void **state)
{
	struct detector_config c = pattern;
	struct detector d;

	(void)state;
	c.packets = 1000;
	c.interval = NSEC_NEVER;
	detector_init(&d);
	for (unsigned k = 0; k < 40; k++) {
		for (unsigned i = 0; i < 65; i++)
			assert_false(stale(&d, &c, 5 + k, 5000 + i, i));
	}
	assert_int_equal(d.pattern, 65);
	assert_int_equal(d.state, DETECTOR_SUSPECT);
	detector_fini(&d);
}

/* A FRESH packet ends a pattern of any size; the next one starts from zero. */
static void test_fresh_ends_a_large_pattern(void **state)
{
	struct detector_config c = pattern;
	struct detector d;

	(void)state;
	c.packets = 20000;
	c.interval = NSEC_NEVER;
	detector_init(&d);
	for (unsigned k = 0; k < 6; k++) {
		unsigned count = k % 2 ? 19999 : 100;

		for (unsigned i = 0; i < count; i++)
			assert_false(stale(&d, &c, 5, 1000 + i, k));
		assert_int_equal(d.pattern, count);
		detector_fresh(&d);
		assert_int_equal(d.state, DETECTOR_CALM);
		assert_int_equal(d.pattern, 0);
		assert_true(d.first_evidence == 0);
	}
	for (unsigned i = 0; i < 20000; i++)
		assert_int_equal(stale(&d, &c, 5, 50000 + i, 1), i == 19999);
	detector_fini(&d);
}

/* 65 withheld packets replayed 40 times to a whole SA count as 65. */
static void test_withheld_replayed_at_an_sa(void **state)
{
	struct fixture_opt o = FIXTURE_OPT(.no_bridge = true);
	struct fixture_pkt held[65];
	struct fixture *l;

	(void)state;
	o.detect.mode = DETECT_PATTERN;
	o.detect.packets = 1000;
	o.detect.interval = NSEC_NEVER;
	l = fixture_new(&o);
	for (unsigned i = 0; i < 3000; i++) {
		struct fixture_pkt p = fixture_next(l, GW);

		if (i >= 500 && i < 565)
			held[i - 500] = p;
		else
			assert_verdict(fixture_verdict(l, ME, &p), VERDICT_FRESH);
	}
	for (unsigned k = 0; k < 40; k++) {
		for (unsigned i = 0; i < 65; i++)
			fixture_verdict(l, ME, &held[i]);
		l->now += NSEC_PER_SEC;
	}
	assert_int_equal(fixture_sa(l, ME)->in.detector.pattern, 65);
	assert_false(fixture_events(l, ME) & ESP_EVENT_SWITCHOVER);
	assert_int_equal(fixture_sa(l, ME)->in.missed, 65); /* each once */
	fixture_free(l);
}

/* Under `both`, a packet with a number within reach that was never received is late and no hint;
 * beyond reach it is one.
 */
static void withheld_under_both(uint64_t later, bool confirms)
{
	struct fixture_opt o = FIXTURE_OPT(.history_packets = 4096);
	struct fixture_pkt held[96];
	struct fixture *l;

	o.detect.mode = DETECT_BOTH;
	l = fixture_new(&o);
	for (unsigned i = 0; i < 8000 + later; i++) {
		struct fixture_pkt p = fixture_next(l, GW);

		if (i >= 8000 - 96 && i < 8000)
			held[i - 8000 + 96] = p;
		else
			assert_verdict(fixture_verdict(l, ME, &p), VERDICT_FRESH);
	}
	fixture_events(l, ME);
	for (unsigned i = 0; i < 96; i++)
		assert_verdict(fixture_verdict(l, ME, &held[i]),
			       confirms ? VERDICT_STALE : VERDICT_UNVERIFIED);
	assert_int_equal(!!(fixture_events(l, ME) & ESP_EVENT_SWITCHOVER), confirms);
	assert_string_equal(detector_state_name(fixture_sa(l, ME)->in.detector.state),
			    confirms ? "confirmed" : "calm");
	fixture_free(l);
}

/* 96 withheld packets, released within reach and beyond it. */
static void test_both_only_beyond_reach(void **state)
{
	(void)state;
	withheld_under_both(1400, false);
	withheld_under_both(4000, false);
	withheld_under_both(4096 + 2 * HISTORY_BLOCK + 96, true);
}

/* REWOUND and STALE packets are remembered separately: neither displaces the other. */
static void test_proof_apart_from_hints(void **state)
{
	struct detector_config c = pattern;
	struct detector d;

	(void)state;
	c.packets = 1000000;
	c.interval = NSEC_NEVER;
	detector_init(&d);
	for (unsigned i = 0; i < 64; i++)
		detector_rewound(&d, &c, 5, 100 + i, i, false);
	for (unsigned i = 0; i < 5000; i++)
		stale(&d, &c, 5, 9000 + i, i);
	for (unsigned i = 0; i < 64; i++)
		assert_true(detector_knows(&d, 100 + i, i));
	detector_rewound(&d, &c, 5, 9500, 1, false); /* evidence, though the number was STALE */
	assert_int_equal(d.proofs, 65);
	assert_true(detector_knows(&d, 100, 0)); /* no longer among the last 64, but known by its
						  * place */
	detector_rewound(&d, &c, 5, 100 + DETECTOR_SEEN, 7, false);
	assert_false(detector_knows(&d, 100, 0)); /* until another number takes the place */
	assert_true(detector_knows(&d, 101, 1));
	detector_fini(&d);
}

/* Model: all packets ever seen, those since the last FRESH packet, and counts. */
struct model {
	struct {
		uint64_t n;
		uint32_t tag;
		bool proof;
	} seen[20000];
	unsigned count, proofs, pattern;
	nsec_t since;
	struct {
		uint64_t n;
		uint32_t tag;
	} distinct[20000]; /* since the last FRESH packet; `pattern` entries */
	enum criterion why;
	bool suspect;
};

/* Known: among the last 64 of its kind, or the last REWOUND one at the place of its number. */
static bool model_knows(const struct model *m, uint64_t n, uint32_t tag)
{
	unsigned kind[2] = {0, 0};
	bool newest_at_place = true;

	for (unsigned i = m->count; i-- > 0;) {
		bool equal = m->seen[i].n == n && m->seen[i].tag == tag;

		if (kind[m->seen[i].proof]++ < 64 && equal)
			return true;
		if (!m->seen[i].proof || m->seen[i].n % DETECTOR_SEEN != n % DETECTOR_SEEN)
			continue;
		if (newest_at_place && equal)
			return true;
		newest_at_place = false;
	}
	return false;
}

static void model_see(struct model *m, uint64_t n, uint32_t tag, bool is_proof)
{
	m->seen[m->count].n = n;
	m->seen[m->count].tag = tag;
	m->seen[m->count++].proof = is_proof;
}

static enum evidence model_confirms(bool confirms)
{
	return confirms ? EVIDENCE_CONFIRMS : EVIDENCE_NEW;
}

static enum evidence model_pattern(struct model *m, const struct detector_config *c, nsec_t now,
				   uint64_t n, uint32_t tag)
{
	for (unsigned i = 0; i < m->pattern; i++) {
		if (m->distinct[i].n == n && m->distinct[i].tag == tag)
			return EVIDENCE_NONE;
	}
	m->distinct[m->pattern].n = n;
	m->distinct[m->pattern].tag = tag;
	m->suspect = true;
	if (m->pattern++ == 0)
		m->since = now;
	if (m->why != CRITERION_NONE)
		return EVIDENCE_NEW;
	if (m->pattern >= c->packets)
		m->why = CRITERION_COUNT;
	else if (m->pattern >= 8 && now >= m->since + c->interval)
		m->why = CRITERION_TIME;
	return model_confirms(m->why != CRITERION_NONE);
}

static enum evidence model_rewound(struct model *m, const struct detector_config *c, nsec_t now,
				   uint64_t n, uint32_t tag)
{
	model_see(m, n, tag, true);
	m->suspect = true;
	m->proofs++;
	if (c->mode == DETECT_PATTERN)
		return model_pattern(m, c, now, n, tag);
	if (m->proofs < c->proof_packets || m->why == CRITERION_PROOF)
		return EVIDENCE_NEW;
	m->why = CRITERION_PROOF;
	return EVIDENCE_CONFIRMS;
}

static enum evidence model_stale(struct model *m, const struct detector_config *c, nsec_t now,
				 uint64_t n, uint32_t tag)
{
	model_see(m, n, tag, false);
	return model_pattern(m, c, now, n, tag);
}

static void model_fresh(struct model *m)
{
	m->pattern = 0;
	if (m->why == CRITERION_PROOF)
		return;
	m->why = CRITERION_NONE;
	m->suspect = m->proofs > 0;
}

static void compare(const struct detector *d, const struct model *m)
{
	enum detector_state want = m->why != CRITERION_NONE ? DETECTOR_CONFIRMED
				   : m->suspect		    ? DETECTOR_SUSPECT
							    : DETECTOR_CALM;

	assert_string_equal(detector_state_name(d->state), detector_state_name(want));
	assert_string_equal(criterion_name(d->criterion), criterion_name(m->why));
	assert_int_equal(d->proofs, m->proofs);
	assert_int_equal(d->pattern, m->pattern);
}

/* Random STALE and REWOUND packets, with a FRESH one, a jump or a reset now and then. */
static void random_run(struct fixture_rng *r, const struct detector_config *c)
{
	struct model *m = calloc(1, sizeof(*m));
	uint64_t base = 5000;
	nsec_t now = NSEC_PER_SEC;
	struct detector d;

	assert_non_null(m);
	detector_init(&d);
	for (unsigned k = 0; k < 19000; k++) {
		uint64_t n = base + fixture_below(r, 300);
		uint32_t tag = (uint32_t)fixture_below(r, 3);
		unsigned what = (unsigned)fixture_below(r, 1000);
		bool known;

		now += fixture_below(r, c->interval / 20);
		base = fixture_chance(r, 1) ? 1 + fixture_below(r, 20000)
					    : base + fixture_below(r, 3);
		known = model_knows(m, n, tag);
		assert_int_equal(detector_knows(&d, n, tag), known);
		if (what < 15) {
			detector_fresh(&d);
			model_fresh(m);
		} else if (what < 18) {
			detector_reset(&d);
			m->why = CRITERION_NONE;
			m->proofs = m->pattern = 0;
			m->suspect = false;
		} else if (known) {
			continue;
		} else if (what < 100) {
			assert_int_equal(detector_rewound(&d, c, now, n, tag, false),
					 model_rewound(m, c, now, n, tag));
		} else {
			assert_int_equal(detector_stale(&d, c, now, n, tag),
					 model_stale(m, c, now, n, tag));
		}
		compare(&d, m);
	}
	detector_fini(&d);
	free(m);
}

/* With random options, under `pattern` and `both`. */
static void test_random_against_model(void **state)
{
	struct fixture_rng r;

	(void)state;
	fixture_rng_init(&r, 2);
	for (unsigned k = 0; k < 12; k++) {
		struct detector_config c = {.mode = k % 2 ? DETECT_PATTERN : DETECT_BOTH,
					    .proof_packets = 1 + (uint32_t)fixture_below(&r, 8),
					    .packets = 1 + (uint32_t)fixture_below(&r, 100),
					    .interval =
						    NSEC_PER_MSEC * (1 + fixture_below(&r, 3000))};

		random_run(&r, &c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_proof),
		cmocka_unit_test(test_proof_packets),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_asks),
		cmocka_unit_test(test_nonce_reuse),
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_count_of_both_kinds),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_pattern_is_dropped_proof_is_not),
		cmocka_unit_test(test_proofs_survive_a_dropped_pattern),
		cmocka_unit_test(test_both_counts_no_proofs),
		cmocka_unit_test(test_poisoned_distinctness),
		cmocka_unit_test(test_stale_replays_count_once),
		cmocka_unit_test(test_count_is_exact),
		cmocka_unit_test(test_one_number_many_packets),
		cmocka_unit_test(test_withheld_replayed),
		cmocka_unit_test(test_fresh_ends_a_large_pattern),
		cmocka_unit_test(test_withheld_replayed_at_an_sa),
		cmocka_unit_test(test_both_only_beyond_reach),
		cmocka_unit_test(test_proof_apart_from_hints),
		cmocka_unit_test(test_random_against_model),
	};

	fixture_seed();
	fixture_fastest();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
