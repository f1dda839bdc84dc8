/*
 * t_bridge.c - the bridge, the second replay window for numbers that are used again
 * (doc/recovery.md 7): alone against a model, and within whole data paths.
 * SPDX-License-Identifier: ISC
 */
#include "bridge.h"
#include "esp_run.h"
#include "parked.h"

#define TWO32 (1ULL << 32)

/* ---- the bridge alone ---- */

/* Model of doc/recovery.md 7: the right edge, and the set of all numbers taken. */
struct refbridge {
	bool open;
	uint64_t edge;
	uint32_t size;
	struct refset taken;
};

static bool ref_admits(const struct refbridge *m, uint64_t n, bool known)
{
	if (!m->open)
		return known;
	if (n > m->edge)
		return (known || n - m->edge <= m->size) && !refset_has(&m->taken, n);
	return m->edge - n < m->size && !refset_has(&m->taken, n);
}

static void ref_commit(struct refbridge *m, uint64_t n, bool known)
{
	refset_add(&m->taken, n);
	m->open = true;
	if (known)
		m->edge = max_u64(m->edge, n);
}

static uint64_t draw(struct fixture_rng *r, const struct refbridge *m)
{
	uint64_t around = m->edge > 2ULL * m->size ? m->edge - 2ULL * m->size : 1;

	switch (fixture_below(r, 8)) {
	case 0: return m->edge + 1 + fixture_below(r, m->size + 2);
	case 1: return around + fixture_below(r, 4ULL * m->size);
	case 2: return m->edge + m->size + fixture_below(r, 3);
	case 3: return m->edge >= m->size ? m->edge - m->size + 1 + fixture_below(r, 2) : 1;
	case 4:
		if (fixture_below(r, 200) == 0)
			return m->edge + (1ULL << fixture_below(r, 34));
		return m->edge + 1;
	default: return m->edge + 1 + fixture_below(r, 3);
	}
}

static void alone(uint32_t size, uint64_t start, unsigned unknown_percent, uint64_t salt)
{
	struct refbridge m = {.size = size};
	struct bridge b;
	struct fixture_rng r;

	fixture_rng_init(&r, salt);
	bridge_init(&b, size);
	assert_false(bridge_admits(&b, start, false)); /* only a known number opens it */
	for (unsigned i = 0; i < 60000; i++) {
		uint64_t n = m.open ? draw(&r, &m) : start;
		/* whether the first lap received the number is a fixed function of the number */
		bool known = n * 0x9e3779b97f4a7c15ULL % 100 >= unknown_percent || !m.open;
		bool admits = ref_admits(&m, n, known);

		if (bridge_admits(&b, n, known) != admits)
			fail_msg("size %u, edge %llu: %llu (%s) is %sadmitted", size,
				 (unsigned long long)m.edge, (unsigned long long)n,
				 known ? "known" : "unknown", admits ? "not " : "");
		if (!admits)
			continue;
		bridge_commit(&b, n, known);
		ref_commit(&m, n, known);
		assert_false(bridge_admits(&b, n, known));
	}
	bridge_close(&b);
	assert_false(bridge_admits(&b, m.edge + 1, true));
	bridge_fini(&b);
	refset_fini(&m.taken);
}

/* The bridge admits exactly the random numbers that the model admits. */
static void test_alone(void **state)
{
	static const uint32_t sizes[] = {32, 33, 64, 1000, 1024, 65536};
	static const unsigned unknown[] = {0, 10, 60, 95};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(unknown); k++) {
			alone(sizes[i], 1, unknown[k], 100 * i + k);
			alone(sizes[i], 1 + sizes[i] / 2, unknown[k], 100 * i + 10 + k);
			alone(sizes[i], TWO32 - 3, unknown[k], 100 * i + 20 + k);
		}
	}
}

/* With size 0 (no replay window), the bridge admits nothing. */
static void test_no_size(void **state)
{
	struct bridge b;

	(void)state;
	bridge_init(&b, 0);
	assert_false(bridge_admits(&b, 5, true));
	assert_false(bridge_admits(&b, 5, false));
	bridge_fini(&b);
}

/* ---- parked packets ---- */

/* parked_due makes due only the packets that wait for that SA; they are taken oldest first, and
 * those of other SAs stay. */
static void test_waits_for_its_own_sa(void **state)
{
	static const struct sa_ref a = {.index = 1, .gen = 7}, b = {.index = 2, .gen = 7},
				   later = {.index = 1, .gen = 8}, none = {0};
	const struct endpoint from = {.port = 4500};
	struct parked_packet *k;
	struct parked p = {0};

	(void)state;
	assert_false(parked_due(&p, a));
	parked_add(&p, a, false, &from, 0, (const uint8_t *)"1", 1);
	parked_add(&p, b, true, &from, 0, (const uint8_t *)"2", 1);
	parked_add(&p, a, false, &from, 0, (const uint8_t *)"3", 1);
	assert_null(parked_take(&p));
	assert_false(parked_due(&p, later)); /* same index, but a newer SA */
	assert_false(parked_due(&p, none));
	assert_true(parked_due(&p, b));
	k = parked_take(&p);
	assert_true(k->bytes[0] == '2' && k->early);
	assert_null(parked_take(&p));
	assert_true(parked_due(&p, a));
	k = parked_take(&p);
	assert_true(k->bytes[0] == '1' && !k->early);
	assert_int_equal(parked_take(&p)->bytes[0], '3');
	assert_null(parked_take(&p));
	assert_false(parked_due(&p, a));
	parked_fini(&p);
}

/* ---- one SA, number by number ---- */

/* Makes a fixture whose ME has received 1 to top, except the numbers in `lost` (ends with 0). */
static struct fixture *fixture_after(const struct fixture_opt *o, uint64_t top,
				     const uint64_t *lost)
{
	struct fixture *l = fixture_new(o);

	for (uint64_t n = 1; n <= top; n++) {
		struct fixture_pkt p;

		fixture_seal_number(l, GW, n, NULL, &p);
		if (lost && *lost == n)
			lost++;
		else
			assert_verdict(fixture_verdict(l, ME, &p), VERDICT_FRESH);
	}
	fixture_events(l, ME);
	return l;
}

/* Seals a packet under number n on the rewound sender; returns the receiver's verdict. */
static enum verdict again(struct fixture *l, uint64_t n)
{
	struct fixture_pkt p;

	fixture_seal_number(l, GW, n, NULL, &p);
	return fixture_verdict(l, ME, &p);
}

#define assert_bridged(l, n) assert_verdict(again(l, n), VERDICT_BRIDGED)

static const struct bridge *bridge_of(struct fixture *l)
{
	return &fixture_sa(l, ME)->in.bridge;
}

/* Rule (a): a number known with another tag is admitted once, if it is right of the bridge's window
 * or on an empty place in it. */
static void test_known_numbers(void **state)
{
	struct fixture_opt o = FIXTURE_OPT(.window = 64);
	struct fixture *l = fixture_after(&o, 5000, NULL);

	(void)state;
	assert_false(bridge_of(l)->open);
	assert_bridged(l, 2000); /* the proof, which opens the bridge */
	assert_true(bridge_of(l)->open);
	assert_verdict(again(l, 2000), VERDICT_REWOUND); /* place taken: a third lap */
	assert_bridged(l, 1937);			 /* leftmost place of the window */
	assert_verdict(again(l, 1936), VERDICT_REWOUND); /* left of the window */
	assert_bridged(l, 4000);			 /* the sender jumps ahead */
	assert_verdict(again(l, 3936), VERDICT_REWOUND);
	assert_bridged(l, 3937);
	assert_bridged(l, 5000);
	assert_verdict(again(l, 5001), VERDICT_FRESH); /* new to the first window */
	assert_bridged(l, 5001);		       /* second use of a FRESH number */
	assert_true(fixture_sa(l, ME)->in.window.top == 5001);
	fixture_free(l);
}

/* Rule (b): a number that was not received is admitted on an empty place of the bridge's window, or
 * at most the window's size to the right of it. */
static void test_numbers_not_received(void **state)
{
	static const uint64_t lost[] = {1990, 2010, 2064, 2065, 2066, 2129, 2130, 0};
	struct fixture_opt o = FIXTURE_OPT(.window = 64);
	struct fixture *l = fixture_after(&o, 5000, lost);
	uint64_t edge;

	(void)state;
	assert_verdict(again(l, 1990), VERDICT_UNVERIFIED); /* before the proof: parked */
	assert_int_equal(l->path[ME]->waited, 0);
	assert_int_equal(fixture_sa(l, ME)->in.unverified, 1);
	assert_verdict(again(l, 2001), VERDICT_BRIDGED);
	assert_int_equal(l->path[ME]->waited, 1);
	assert_int_equal(fixture_sa(l, ME)->in.unverified, 0); /* the parked packet was delivered */
	edge = bridge_of(l)->window.top;
	assert_bridged(l, 2010);
	assert_verdict(again(l, 2010), VERDICT_UNVERIFIED); /* place taken */
	assert_verdict(again(l, 1990), VERDICT_UNVERIFIED); /* place taken by the parked packet */
	assert_bridged(l, 2064);
	assert_bridged(l, 2065);
	assert_verdict(again(l, 2066), VERDICT_UNVERIFIED); /* too far right of the edge */
	assert_true(bridge_of(l)->window.top == edge);	    /* the edge did not move */
	assert_bridged(l, 2067);
	assert_bridged(l, 2066);
	assert_verdict(again(l, 2065), VERDICT_UNVERIFIED);
	assert_bridged(l, 2068);
	assert_bridged(l, 2129);
	assert_bridged(l, 2130);
	assert_bridged(l, 2200);
	assert_verdict(again(l, 2130), VERDICT_UNVERIFIED); /* left of the window, and taken */
	fixture_free(l);
}

/* With verify_rate = 0, an open bridge still delivers packets whose numbers were not received. */
static void test_no_budget_for_the_bridge(void **state)
{
	struct fixture_opt o = FIXTURE_OPT(.window = 1024);
	uint64_t lost[501];
	struct detector_config c;
	struct fixture *l;

	(void)state;
	for (unsigned i = 0; i < 500; i++)
		lost[i] = 2001 + i;
	lost[500] = 0;
	l = fixture_after(&o, 5000, lost);
	c = o.detect;
	esp_sa_set_detect(fixture_sa(l, ME), &c, 0, true); /* verify_rate = 0 */
	assert_bridged(l, 2000);
	for (uint64_t n = 2001; n <= 2600; n++)
		assert_bridged(l, n);
	fixture_free(l);
}

/* A BRIDGED packet counts for liveness, for the soft and hard lifetime and as evidence. It moves
 * neither the replay window nor the peer's address. */
static void test_what_bridged_moves(void **state)
{
	struct fixture_opt o = FIXTURE_OPT(.life = {.soft_packets = 5001, .hard_packets = 5003});
	struct fixture *l = fixture_after(&o, 5000, NULL);
	struct endpoint other = {.addr = l->ep[GW].addr, .port = 9};
	struct esp_in_sa *in = &fixture_sa(l, ME)->in;
	struct fixture_result r = {0};
	uint64_t bytes = in->bytes;
	struct fixture_pkt p;

	(void)state;
	l->now += NSEC_PER_SEC;
	fixture_seal_number(l, GW, 3000, NULL, &p);
	fixture_open(l, ME, p.b, p.len, 0, &other, 0, &r);
	assert_int_equal(r.v[VERDICT_BRIDGED], 1);
	assert_int_equal(r.delivered, 1);
	assert_int_equal(fixture_events(l, ME), ESP_EVENT_SWITCHOVER | ESP_EVENT_SOFT_LIFETIME);
	assert_string_equal(criterion_name(in->detector.criterion), "proof");
	assert_true(in->detector.first_evidence == l->now && in->detector.first_number == 3000);
	assert_true(in->packets == 5001 && in->bytes > bytes);
	assert_true(in->last_fresh == l->now);
	assert_true(in->before_evidence == l->now - NSEC_PER_SEC);
	assert_true(in->window.top == 5000 && in->missed == 0 && in->bridged == 1);
	assert_true(endpoint_eq(&in->peer, &l->ep[GW]));
	for (uint64_t n = 3001; n < 3003; n++)
		assert_bridged(l, n);
	assert_int_equal(fixture_events(l, ME), ESP_EVENT_HARD_LIFETIME);
	assert_int_equal(in->detector.proofs, 3);
	fixture_free(l);
}

/* With proof_packets = 3, the bridge opens with the first REWOUND packet, and the third
 * confirms. */
static void test_opens_before_the_proof_is_whole(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct fixture *l;

	(void)state;
	o.detect.proof_packets = 3;
	l = fixture_after(&o, 3000, NULL);
	assert_bridged(l, 1500);
	assert_bridged(l, 1501);
	assert_int_equal(fixture_events(l, ME), 0);
	assert_bridged(l, 1502);
	assert_int_equal(fixture_events(l, ME), ESP_EVENT_SWITCHOVER);
	fixture_free(l);
}

/* A second rewind comes before the proof is complete: REWOUND packets behind the bridge count
 * towards the proof, once each. */
static void test_proof_goes_on_behind_it(void **state)
{
	struct fixture_opt o = FIXTURE_OPT(.window = 64);
	struct fixture_pkt p;
	struct fixture *l;

	(void)state;
	o.detect.proof_packets = 3;
	l = fixture_after(&o, 3000, NULL);
	assert_bridged(l, 1500);
	fixture_seal_number(l, GW, 500, NULL, &p);
	assert_verdict(fixture_verdict(l, ME, &p), VERDICT_REWOUND);
	for (unsigned i = 0; i < 5; i++)
		assert_verdict(fixture_verdict(l, ME, &p), VERDICT_REPLAYED);
	assert_false(fixture_events(l, ME) & ESP_EVENT_SWITCHOVER);
	assert_verdict(again(l, 501), VERDICT_REWOUND);
	assert_true(fixture_events(l, ME) & ESP_EVENT_SWITCHOVER);
	/* After the evidence was dealt with, a packet behind the bridge may be a replay and begins
	 * no proof. */
	esp_sa_forget_evidence(fixture_sa(l, ME));
	for (uint64_t n = 502; n < 600; n++)
		assert_verdict(again(l, n), VERDICT_REWOUND);
	assert_false(fixture_events(l, ME) & ESP_EVENT_SWITCHOVER);
	assert_int_equal(fixture_sa(l, ME)->in.detector.proofs, 0);
	fixture_free(l);
}

static void none_under(enum detect_mode mode, bool no_bridge)
{
	struct fixture_opt o = FIXTURE_OPT(.no_bridge = no_bridge);
	struct fixture_result r = {0};
	struct fixture *l;

	o.detect.mode = mode;
	l = fixture_after(&o, 3000, NULL);
	for (uint64_t n = 1500; n < 1600; n++) {
		struct fixture_pkt p;

		fixture_seal_number(l, GW, n, NULL, &p);
		fixture_open(l, ME, p.b, p.len, 0, NULL, 0, &r);
	}
	assert_int_equal(r.v[VERDICT_REWOUND], 100);
	assert_int_equal(r.delivered, 0);
	assert_false(bridge_of(l)->open);
	assert_int_equal(fixture_sa(l, ME)->in.missed, 100);
	fixture_free(l);
}

/* There is no bridge with bridge = "off", nor under detect = "pattern" and "off", which have no
 * proof. */
static void test_none(void **state)
{
	(void)state;
	none_under(DETECT_PROOF, true);
	none_under(DETECT_BOTH, true);
	none_under(DETECT_PATTERN, false);
	none_under(DETECT_OFF, false);
}

/* With replay_window = 0 there is no bridge: all packets are FRESH. */
static void test_none_without_a_window(void **state)
{
	struct fixture_opt o = FIXTURE_OPT(.unprotected = true);
	struct fixture *l = fixture_after(&o, 3000, NULL);

	(void)state;
	for (uint64_t n = 1500; n < 1600; n++)
		assert_verdict(again(l, n), VERDICT_FRESH);
	assert_false(bridge_of(l)->open);
	fixture_free(l);
}

/* Switching the bridge off and on again keeps its window: no packet is delivered twice. */
static void test_off_and_on(void **state)
{
	struct fixture_opt o = FIXTURE_OPT(.window = 64);
	struct fixture *l = fixture_after(&o, 5000, NULL);
	struct esp_sa *sa = fixture_sa(l, ME);
	struct fixture_pkt first[40];

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		fixture_seal_number(l, GW, 2000 + i, NULL, &first[i]);
		assert_verdict(fixture_verdict(l, ME, &first[i]), VERDICT_BRIDGED);
	}
	esp_sa_set_detect(sa, &o.detect, o.verify_rate, false);
	assert_verdict(again(l, 2040), VERDICT_REWOUND);
	esp_sa_set_detect(sa, &o.detect, o.verify_rate, true);
	for (unsigned i = 0; i < 40; i++)
		assert_verdict(fixture_verdict(l, ME, &first[i]), VERDICT_REPLAYED);
	for (uint64_t n = 2000; n < 2040; n++)
		assert_verdict(again(l, n), VERDICT_REWOUND); /* the places are still taken */
	assert_bridged(l, 2041);
	assert_bridged(l, 2040); /* not delivered while the bridge was off */
	assert_verdict(again(l, 1977), VERDICT_REWOUND);
	fixture_free(l);
}

/* Seals another plaintext under number n with the IV of *first; returns the receiver's verdict. */
static enum verdict reuse_nonce(struct fixture *l, const struct fixture_pkt *first)
{
	struct fixture_pkt p;
	uint8_t text[FIXTURE_INNER_LEN + 4] = {0};

	fixture_inner(l, GW, text, FIXTURE_INNER_LEN, 0);
	text[FIXTURE_INNER_LEN - 1] ^= 0xff;
	memcpy(text + FIXTURE_INNER_LEN, (uint8_t[]){1, 2, 2, PROTO_IPV4}, 4);
	fixture_seal_text(l, GW, get_be32(first->b + 4), first->b + 8, text, sizeof(text), &p);
	return fixture_verdict(l, ME, &p);
}

/* A nonce used twice under a combined-mode cipher never opens the bridge, and closes an open one
 * for good. */
static void nonce_reuse(const char *suite, bool open_before)
{
	struct fixture_opt o = FIXTURE_OPT(.suite = suite);
	struct fixture *l = fixture_after(&o, 2000, NULL);
	const struct esp_in_sa *in = &fixture_sa(l, ME)->in;
	struct fixture_pkt first;
	uint64_t missed;

	fixture_seal_number(l, GW, 2001, NULL, &first);
	fixture_verdict(l, ME, &first);
	if (open_before)
		assert_bridged(l, 1000);
	assert_verdict(reuse_nonce(l, &first), VERDICT_REWOUND);
	assert_int_equal(in->nonce_reuses, 1);
	assert_int_equal(in->bridge.open, open_before);
	/* The bridge stays closed after the evidence is dropped and detection is set again; packets
	 * that it would have delivered count as missed. */
	assert_verdict(again(l, 1001), VERDICT_REWOUND);
	esp_sa_forget_evidence(fixture_sa(l, ME));
	esp_sa_set_detect(fixture_sa(l, ME), &o.detect, o.verify_rate, true);
	missed = in->missed;
	for (uint64_t n = 1002; n < 1100; n++)
		assert_verdict(again(l, n), VERDICT_REWOUND);
	assert_int_equal(in->missed - missed, 98);
	fixture_free(l);
}

/* nonce_reuse with both combined-mode ciphers, with the bridge open and not. */
static void test_nonce_reuse(void **state)
{
	(void)state;
	nonce_reuse("aes128gcm16", false);
	nonce_reuse("aes128gcm16", true);
	nonce_reuse("chacha20poly1305", false);
	nonce_reuse("chacha20poly1305", true);
}

/* Under AES-CBC, a repeated IV is no nonce reuse: the packet is BRIDGED. */
static void test_equal_ivs_under_cbc(void **state)
{
	struct fixture_opt o = FIXTURE_OPT(.suite = "aes128-sha256");
	struct fixture *l = fixture_after(&o, 2000, NULL);
	struct fixture_pkt first;

	(void)state;
	fixture_seal_number(l, GW, 2001, NULL, &first);
	fixture_verdict(l, ME, &first);
	fixture_seal_number(l, GW, 1000, first.b + 8, &first);
	assert_verdict(fixture_verdict(l, ME, &first), VERDICT_BRIDGED);
	fixture_free(l);
}

/* On a replaced SA, the bridge delivers until the drain ends, to the nanosecond. */
static void test_ends_with_the_drain(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct fixture *l = fixture_after(&o, 2000, NULL);

	(void)state;
	assert_bridged(l, 1000);
	sad_retire(&l->path[ME]->sad, fixture_sa(l, ME), l->now + 5 * NSEC_PER_SEC);
	l->now += 5 * NSEC_PER_SEC - 1;
	assert_bridged(l, 1001);
	l->now += 1;
	assert_verdict(again(l, 1002), VERDICT_REWOUND);
	fixture_free(l);
}

/* The bridge may also open during the drain, as a switchover can happen while we rekey. */
static void test_opens_within_the_drain(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct fixture *l = fixture_after(&o, 2000, NULL);

	(void)state;
	sad_retire(&l->path[ME]->sad, fixture_sa(l, ME), l->now + 5 * NSEC_PER_SEC);
	for (uint64_t n = 1000; n < 1100; n++)
		assert_bridged(l, n);
	l->now += 5 * NSEC_PER_SEC;
	assert_verdict(again(l, 1100), VERDICT_REWOUND);
	fixture_free(l);
}

/* A number beyond the reach of the near ring is never BRIDGED, even if a lifetime entry has it. */
static void test_never_beyond_reach(void **state)
{
	struct fixture_opt o = FIXTURE_OPT(.history_packets = 1024);
	struct fixture *l = fixture_after(&o, 20000, NULL);
	struct esp_in_sa *in = &fixture_sa(l, ME)->in;
	struct fixture_result r = {0};
	uint64_t n = 5000;

	(void)state;
	for (; !history_reaches(&in->history, n); n++) {
		struct fixture_pkt p;

		fixture_seal_number(l, GW, n, NULL, &p);
		fixture_open(l, ME, p.b, p.len, 0, NULL, 0, &r);
	}
	assert_true(r.v[VERDICT_REWOUND] > 0); /* lifetime entries recognized some */
	assert_int_equal(r.v[VERDICT_BRIDGED], 0);
	assert_int_equal(r.delivered, 0);
	for (; n <= 20000; n++)
		assert_bridged(l, n);
	fixture_free(l);
}

/* ---- the whole receiver against a model ---- */

enum { PACKETS = 12000 };

struct world {
	struct fixture *single, *many; /* same keys; receives of one packet, and of up to 64 */
	uint64_t *number;	       /* number[i]: of packet i */
	struct tape tape;
	/* the model */
	struct refwindow w;
	struct refbridge b;
	uint32_t *first; /* first[n]: 1 + index of the packet that was FRESH under n */
	uint32_t waiting[PARKED_MAX], waiting_count; /* parked before the proof; a ring */
	uint32_t due[PARKED_MAX + 1], due_count;     /* to be delivered now */
	/* packets that `single` and `many` have delivered, in order */
	uint32_t *got[2], got_count[2];
};

static void sink_single(void *ctx, const uint8_t *inner, uint32_t len)
{
	struct world *w = ctx;

	w->got[0][w->got_count[0]++] = get_be32(inner + len - 4);
}

static void sink_many(void *ctx, const uint8_t *inner, uint32_t len)
{
	struct world *w = ctx;

	w->got[1][w->got_count[1]++] = get_be32(inner + len - 4);
}

static void world_init(struct world *w, const struct fixture_opt *o)
{
	*w = (struct world){.single = fixture_new(o), .many = fixture_new(o), .b.size = o->window};
	w->single->sink = sink_single;
	w->many->sink = sink_many;
	w->single->sink_ctx = w->many->sink_ctx = w;
	refwindow_init(&w->w, o->window);
	w->number = calloc(PACKETS, sizeof(*w->number));
	w->first = calloc(PACKETS * 2, sizeof(*w->first));
	for (unsigned i = 0; i < 2; i++) {
		w->got[i] = calloc(PACKETS * 4, sizeof(*w->got[i]));
		assert_non_null(w->got[i]);
	}
	assert_true(w->number && w->first && w->single->spi[ME] == w->many->spi[ME]);
}

static void world_fini(struct world *w)
{
	fixture_free(w->single);
	fixture_free(w->many);
	tape_fini(&w->tape);
	refwindow_fini(&w->w);
	refset_fini(&w->b.taken);
	free(w->number);
	free(w->first);
	free(w->got[0]);
	free(w->got[1]);
}

/* Seals the next packet under the number; returns its index on the tape. */
static uint32_t seal(struct world *w, uint64_t number)
{
	uint8_t text[FIXTURE_INNER_LEN + 4];
	struct fixture_pkt p;

	fixture_inner(w->single, GW, text, FIXTURE_INNER_LEN, 0);
	put_be32(text + FIXTURE_INNER_LEN - 4, (uint32_t)w->tape.count);
	memcpy(text + FIXTURE_INNER_LEN, (uint8_t[]){1, 2, 2, PROTO_IPV4}, 4);
	fixture_seal_text(w->single, GW, number, NULL, text, sizeof(text), &p);
	w->number[w->tape.count] = number;
	tape_add(&w->tape, p.b, p.len);
	return (uint32_t)w->tape.count - 1;
}

static void expect_delivered(struct world *w, uint32_t i)
{
	w->due[w->due_count++] = i;
}

/* The proof has come: admits the parked packets that rule (b) allows, the oldest first. */
static void model_opens(struct world *w)
{
	uint32_t from = w->waiting_count > PARKED_MAX ? w->waiting_count - PARKED_MAX : 0;

	for (uint32_t k = from; k < w->waiting_count; k++) {
		uint32_t i = w->waiting[k % PARKED_MAX];

		if (!ref_admits(&w->b, w->number[i], false))
			continue;
		ref_commit(&w->b, w->number[i], false);
		expect_delivered(w, i);
	}
}

/* What doc/recovery.md 1 and 7 say about an authentic packet i; the packets to deliver go to
 * `due`. */
static enum verdict model_arrives(struct world *w, uint32_t i)
{
	uint64_t n = w->number[i];
	bool known, was_open = w->b.open;

	w->due_count = 0;
	if (window_is_new(refwindow_place(&w->w, n))) {
		refwindow_commit(&w->w, n);
		w->first[n] = i + 1;
		expect_delivered(w, i);
		return VERDICT_FRESH;
	}
	known = w->first[n] != 0;
	if (!known && !was_open)
		w->waiting[w->waiting_count++ % PARKED_MAX] = i;
	if (w->first[n] == i + 1 || !ref_admits(&w->b, n, known))
		return VERDICT_REPLAYED; /* stands for every verdict that delivers nothing */
	ref_commit(&w->b, n, known);
	expect_delivered(w, i);
	if (!was_open)
		model_opens(w);
	return VERDICT_BRIDGED;
}

/* Packet i arrives at `single`: what is delivered must be what the model says, in the same
 * order. */
static void arrive(struct world *w, uint32_t i)
{
	uint32_t before = w->got_count[0];
	struct fixture_result r = {0};
	enum verdict v = model_arrives(w, i);

	fixture_open(w->single, ME, tape_at(&w->tape, i), w->tape.seg, 0, NULL, 0, &r);
	if (w->got_count[0] - before != w->due_count)
		fail_msg("packet %u under %llu: %u are delivered, not %u", i,
			 (unsigned long long)w->number[i], w->got_count[0] - before, w->due_count);
	for (uint32_t k = 0; k < w->due_count; k++)
		assert_int_equal(w->got[0][before + k], w->due[k]);
	if (w->due_count)
		assert_true(r.v[v] >= 1);
	assert_int_equal(r.v[VERDICT_FRESH] + r.v[VERDICT_BRIDGED], w->due_count);
}

static int by_packet(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void differs(const struct world *w, uint32_t i, const char *how)
{
	if (w->first[w->number[i]] != 0)
		fail_msg("packet %u under %llu is delivered only %s", i,
			 (unsigned long long)w->number[i], how);
}

/*
 * Fails unless both receivers delivered the same packets, in any order. Only packets whose number
 * was never FRESH may differ: in a large receive, a late packet may be judged before the window has
 * moved past it, and is then not parked, which leaves a place to another packet.
 */
static void same_delivered(struct world *w)
{
	uint32_t one = 0, many = 0;

	for (unsigned i = 0; i < 2; i++)
		qsort(w->got[i], w->got_count[i], sizeof(w->got[i][0]), by_packet);
	while (one < w->got_count[0] || many < w->got_count[1]) {
		uint32_t x = one < w->got_count[0] ? w->got[0][one] : UINT32_MAX;
		uint32_t y = many < w->got_count[1] ? w->got[1][many] : UINT32_MAX;

		if (x < y)
			differs(w, x, "singly");
		else if (y < x)
			differs(w, y, "in a receive of many");
		one += x <= y;
		many += y <= x;
	}
}

/* The packets that arrived one by one at `single` arrive at `many` in receives of up to 64 packets,
 * with the same result. */
static void arrive_many(struct world *w, const uint32_t *list, size_t count, struct fixture_rng *r)
{
	uint8_t *b = calloc(ESP_BATCH, w->tape.seg);
	size_t at = 0;

	assert_non_null(b);
	while (at < count) {
		uint32_t n = (uint32_t)min_u64(count - at, 1 + fixture_below(r, ESP_BATCH));
		struct fixture_result res = {0};

		for (uint32_t i = 0; i < n; i++)
			memcpy(b + i * w->tape.seg, tape_at(&w->tape, list[at + i]), w->tape.seg);
		fixture_open(w->many, ME, b, n * w->tape.seg, (uint16_t)w->tape.seg, NULL, 0, &res);
		at += n;
	}
	free(b);
	same_delivered(w);
}

struct traffic {
	unsigned loss, replays, rewinds; /* percent; percent; per 10,000 packets */
	bool reorder;
};

/* The next packet to arrive: a new one from the sender, one that was held back, or a replay. */
static uint32_t next_arrival(struct world *w, struct fixture_rng *r, const struct traffic *t,
			     uint64_t *number, uint32_t *held, size_t *held_count)
{
	for (;;) {
		uint32_t i;

		if (w->tape.count && fixture_chance(r, t->replays))
			return (uint32_t)fixture_below(r, w->tape.count);
		if (*held_count && (w->tape.count == PACKETS || fixture_chance(r, 8))) {
			size_t k = fixture_below(r, *held_count);

			i = held[k];
			held[k] = held[--*held_count];
			return i;
		}
		if (w->tape.count == PACKETS)
			return (uint32_t)fixture_below(r, w->tape.count);
		if (*number > 500 && fixture_below(r, 10000) < t->rewinds)
			*number = 1 + fixture_below(r, *number);
		i = seal(w, (*number)++);
		if (fixture_chance(r, t->loss))
			continue;
		if (!t->reorder || !fixture_chance(r, 8) || *held_count == 32)
			return i;
		held[(*held_count)++] = i;
	}
}

static void random_world(uint32_t window, const struct traffic *t, bool many, uint64_t salt)
{
	struct fixture_opt o = FIXTURE_OPT(.window = window, .salt = salt);
	uint32_t *list = calloc(PACKETS + 6000, sizeof(*list)), held[32];
	size_t count = 0, held_count = 0;
	uint64_t number = 1;
	struct world w;
	struct fixture_rng r;

	assert_non_null(list);
	fixture_rng_init(&r, salt);
	world_init(&w, &o);
	while (count < PACKETS + 6000) {
		list[count] = next_arrival(&w, &r, t, &number, held, &held_count);
		arrive(&w, list[count++]);
	}
	if (many)
		arrive_many(&w, list, count, &r);
	world_fini(&w);
	free(list);
}

static void random_worlds(bool many)
{
	static const uint32_t windows[] = {32, 64, 1024};
	static const struct traffic t[] = {
		{.loss = 0, .rewinds = 5},
		{.loss = 10, .rewinds = 5},
		{.loss = 10, .rewinds = 5, .replays = 20, .reorder = true},
		{.loss = 50, .rewinds = 30, .replays = 40, .reorder = true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(windows); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(t); k++)
			random_world(windows[i], &t[k], many, 500 + 10 * i + k);
	}
}

/* Under random loss, reordering, replays and rewinds, the receiver delivers exactly what the model
 * delivers. */
static void test_receiver_against_model(void **state)
{
	(void)state;
	random_worlds(false);
}

/* The same traffic in receives of up to 64 packets: the same packets are delivered. */
static void test_receives_of_many(void **state)
{
	(void)state;
	random_worlds(true);
}

/* ---- whole rewinds: no packet is lost ---- */

struct rewind {
	const char *suite;
	bool esn;
	uint32_t window, batch, reorder;
	uint64_t from;	  /* the sender's first number; 0: 1 */
	uint64_t top, to; /* last number of the first lap; first of the second */
	unsigned loss;	  /* percent of the first lap */
};

static struct fixture_rng loss_rng;
static unsigned loss_percent;
static bool pass_first_lap(struct run *run, uint64_t number, const uint8_t *pkt, uint32_t len)
{
	(void)run;
	(void)pkt;
	(void)len;
	(void)number;
	return !fixture_chance(&loss_rng, loss_percent);
}

/* The sender counts up to `top`, goes back to `to`, and continues to 500 beyond `top`: every packet
 * of the second lap must be delivered. */
static void whole_rewind(const struct rewind *f, uint64_t salt)
{
	struct fixture_opt o =
		FIXTURE_OPT(.suite = f->suite, .esn = f->esn, .window = f->window, .salt = salt);
	struct run run;
	char name[128];

	snprintf(name, sizeof(name), "%s, esn %d, window %u, batch %u, %llu to %llu, loss %u",
		 f->suite, f->esn, f->window, f->batch, (unsigned long long)f->top,
		 (unsigned long long)f->to, f->loss);
	run_init(&run, name, &o);
	run.name = NULL;
	fixture_rng_init(&loss_rng, salt);
	loss_percent = f->loss;
	run.batch = f->batch;
	run.reorder = f->reorder;
	run.pass = pass_first_lap;
	run_set_number(&run, f->from ? f->from : 1);
	run_send(&run, f->top - (f->from ? f->from : 1) + 1);
	run.pass = NULL;
	run.name = name;
	run_assert_calm(&run);
	/* also if the first lap had losses, as packets before the proof are parked */
	run_bridged_rewind(&run, f->to, f->top - f->to + 1 + 500, 0);
	assert_int_equal(run.switchovers, 1);
	run.name = NULL;
	run_fini(&run);
}

static const uint32_t windows[] = {32, 64, 1024, 65536};

/* Rewinds by 1, within the window, beyond it and to number 1, under every suite, with and without
 * ESN, lose no packet. */
static void test_whole_rewinds(void **state)
{
	const struct suite *s;
	size_t n;

	(void)state;
	s = suite_table(&n);
	for (size_t i = 0; i < 2 * n; i++) {
		for (size_t w = 0; w < ARRAY_SIZE(windows); w++) {
			uint64_t top = windows[w] > 4000 ? 68000 : 4000;
			const uint64_t to[] = {top, top - windows[w] / 2,
					       top > windows[w] ? top - windows[w] - 300 : 1, 1};

			/* the largest window with two suites only, as it takes many packets */
			if (windows[w] > 4000 && i / 2 != 0 && i / 2 != n - 1)
				continue;
			for (size_t k = 0; k < ARRAY_SIZE(to); k++) {
				struct rewind f = {.suite = s[i / 2].name,
						   .esn = i & 1,
						   .window = windows[w],
						   .batch = k % 2 ? 1 : 64,
						   .top = top,
						   .to = to[k]};

				whole_rewind(&f, 100 * i + 10 * w + k);
			}
		}
	}
}

/* Rewinds across 2^32, with the window within one subspace and across the boundary, lose no
 * packet. */
static void test_whole_rewinds_across(void **state)
{
	static const uint64_t tops[] = {TWO32 + 99, TWO32 + 5000, TWO32 + 70000};
	static const uint64_t back[] = {TWO32 - 20, TWO32 - 5000, TWO32, TWO32 + 1};

	(void)state;
	for (size_t w = 0; w < ARRAY_SIZE(windows); w++) {
		for (size_t t = 0; t < ARRAY_SIZE(tops); t++) {
			for (size_t k = 0; k < ARRAY_SIZE(back); k++) {
				struct rewind f = {.suite = k % 2 ? "aes256-sha256" : "aes128gcm16",
						   .esn = true,
						   .window = windows[w],
						   .batch = k % 2 ? 64 : 1,
						   .from = TWO32 - 10000,
						   .top = tops[t],
						   .to = back[k]};

				whole_rewind(&f, 9000 + 100 * w + 10 * t + k);
			}
		}
	}
}

/* 10 % of the first lap is lost: the second lap is delivered completely all the same. */
static void rewinds_with_loss(uint32_t batch)
{
	for (size_t w = 0; w < ARRAY_SIZE(windows); w++) {
		for (unsigned k = 0; k < 6; k++) {
			struct rewind f = {.suite = "aes128gcm16",
					   .esn = k & 1,
					   .window = windows[w],
					   .batch = batch,
					   .top = 80000,
					   .to = k < 2 ? 1 : 80000 - 7000 * k,
					   .loss = 10};

			whole_rewind(&f, 20000 + 100 * w + batch + k);
		}
	}
}

/* In receives of 1 and of 7 packets. */
static void test_whole_rewinds_with_loss(void **state)
{
	(void)state;
	rewinds_with_loss(1);
	rewinds_with_loss(7);
}

/* In receives of 64 packets. */
static void test_whole_rewinds_with_loss_in_trains(void **state)
{
	(void)state;
	rewinds_with_loss(64);
}

/* Rewinds lose no packet if both laps are reordered within the window. */
static void test_whole_rewinds_out_of_order(void **state)
{
	static const uint32_t batches[] = {1, 64};

	(void)state;
	for (size_t w = 0; w < ARRAY_SIZE(windows); w++) {
		for (unsigned k = 0; k < 4; k++) {
			struct rewind f = {.suite = "aes128gcm16",
					   .esn = k & 1,
					   .window = windows[w],
					   .batch = batches[k / 2],
					   .reorder = windows[w] < 64 ? 32 : 64,
					   .top = 8000,
					   .to = 3201};

			whole_rewind(&f, 30000 + 10 * w + k);
		}
	}
}

/* A rewind of 10 s at 140,000 packets/s is within reach of the default history, with 0 and 10 %
 * loss. */
static void test_ten_seconds(void **state)
{
	struct rewind f = {.suite = "aes128gcm16",
			   .window = WINDOW_DEFAULT,
			   .batch = 64,
			   .top = 1500000,
			   .to = 100001};

	(void)state;
	whole_rewind(&f, 40000);
	f.loss = 10;
	whole_rewind(&f, 40001);
}

/* After a rewind, all packets of both laps are replayed three times: none is delivered twice. */
static void test_replay_of_all(void **state)
{
	struct fixture_opt o = FIXTURE_OPT(.window = 64);
	struct run run;

	(void)state;
	run_init(&run, NULL, &o);
	run.record = true;
	run_send(&run, 6000);
	run_bridged_rewind(&run, 2001, 4500, 0);
	assert_int_equal(run.delivered, run.sealed);
	for (unsigned k = 0; k < 3; k++) {
		run.batch = k % 2;
		run_play(&run, &run.tape, 0, run.tape.count);
	}
	assert_int_equal(run.twice, 0);
	run_fini(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_no_size),
		cmocka_unit_test(test_waits_for_its_own_sa),
		cmocka_unit_test(test_known_numbers),
		cmocka_unit_test(test_numbers_not_received),
		cmocka_unit_test(test_no_budget_for_the_bridge),
		cmocka_unit_test(test_what_bridged_moves),
		cmocka_unit_test(test_opens_before_the_proof_is_whole),
		cmocka_unit_test(test_proof_goes_on_behind_it),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_none_without_a_window),
		cmocka_unit_test(test_off_and_on),
		cmocka_unit_test(test_nonce_reuse),
		cmocka_unit_test(test_equal_ivs_under_cbc),
		cmocka_unit_test(test_ends_with_the_drain),
		cmocka_unit_test(test_opens_within_the_drain),
		cmocka_unit_test(test_never_beyond_reach),
		cmocka_unit_test(test_receiver_against_model),
		cmocka_unit_test(test_receives_of_many),
		cmocka_unit_test(test_whole_rewinds),
		cmocka_unit_test(test_whole_rewinds_across),
		cmocka_unit_test(test_whole_rewinds_with_loss),
		cmocka_unit_test(test_whole_rewinds_with_loss_in_trains),
		cmocka_unit_test(test_whole_rewinds_out_of_order),
		cmocka_unit_test(test_ten_seconds),
		cmocka_unit_test(test_replay_of_all),
	};

	fixture_seed();
	fixture_fastest();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
