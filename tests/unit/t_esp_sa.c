/* t_esp_sa.c - an inbound SA: verdicts, budgets and phases. SPDX-License-Identifier: ISC */
#include "esp_fixture.h"

static struct fixture_result open_pkt(struct fixture *l, unsigned side, const struct fixture_pkt *p)
{
	struct fixture_result r = {0};

	fixture_open(l, side, p->b, p->len, 0, NULL, 0, &r);
	return r;
}

/* Only a FRESH packet moves the peer's address and the window; for liveness, a BRIDGED one counts
 * too. */
static void moved_only_by_fresh(bool bridge)
{
	struct fixture_opt o = FIXTURE_OPT(.no_bridge = !bridge);
	struct fixture *l = fixture_new(&o);
	struct endpoint other = {.port = 4501};
	struct fixture_pkt p = fixture_next(l, GW), q;
	struct fixture_result r = {0};

	assert_int_equal(addr_parse("203.0.113.5", &other.addr), 0);
	fixture_open(l, ME, p.b, p.len, 0, NULL, 0, &r);
	assert_int_equal(fixture_events(l, ME), ESP_EVENT_FIRST_FRESH);
	l->now += NSEC_PER_SEC;
	fixture_open(l, ME, p.b, p.len, 0, &other, 0, &r); /* REPLAYED */
	fixture_seal_number(l, GW, 1, NULL, &q);
	fixture_open(l, ME, q.b, q.len, 0, &other, 0, &r); /* REWOUND or BRIDGED */
	q = fixture_next(l, GW);
	q.b[q.len - 1] ^= 1;
	fixture_open(l, ME, q.b, q.len, 0, &other, 0, &r); /* AUTH_FAILED */
	assert_false(fixture_events(l, ME) & ESP_EVENT_MOVED);
	assert_true(fixture_sa(l, ME)->in.last_fresh == NSEC_PER_SEC * (bridge ? 2 : 1));
	assert_true(fixture_sa(l, ME)->in.window.top == 1);
	assert_int_equal(r.v[bridge ? VERDICT_BRIDGED : VERDICT_REWOUND], 1);
	assert_int_equal(r.v[VERDICT_REPLAYED] + r.v[VERDICT_AUTH_FAILED], 2);
	q.b[q.len - 1] ^= 1;
	fixture_open(l, ME, q.b, q.len, 0, &other, 0, &r); /* FRESH */
	assert_true(fixture_events(l, ME) & ESP_EVENT_MOVED);
	assert_true(endpoint_eq(&fixture_sa(l, ME)->in.moved_to, &other));
	assert_true(
		endpoint_eq(&fixture_sa(l, ME)->in.peer, &l->ep[GW])); /* the owner changes it */
	assert_true(fixture_sa(l, ME)->in.last_fresh == l->now);
	fixture_free(l);
}

/* A packet without UDP moves nothing: there is no NAT that could have changed where it comes from.
 */
static void test_moved_only_in_udp(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct fixture *l = fixture_new(&o);
	struct endpoint other = {.port = 0};
	struct fixture_pkt p = fixture_next(l, GW);
	struct fixture_result r = {0};

	(void)state;
	assert_int_equal(addr_parse("203.0.113.5", &other.addr), 0);
	fixture_open(l, ME, p.b, p.len, 0, &other, 0, &r);
	assert_int_equal(r.v[VERDICT_FRESH], 1);
	assert_int_equal(fixture_events(l, ME), ESP_EVENT_FIRST_FRESH);
	fixture_free(l);
}

/* Without and with the bridge. */
static void test_moved_only_by_fresh(void **state)
{
	(void)state;
	moved_only_by_fresh(false);
	moved_only_by_fresh(true);
}

/* With replay_window = 0, a replay is delivered, but does not count for liveness, address or
 * lifetime. */
static void test_unprotected_replays_move_nothing(void **state)
{
	static const size_t replayed[] = {9, 0, 5, 9};
	struct fixture_opt o =
		FIXTURE_OPT(.unprotected = true, .life = {.soft_packets = 11, .hard_packets = 12});
	struct fixture *l = fixture_new(&o);
	struct esp_in_sa *in = &fixture_sa(l, ME)->in;
	struct endpoint other = {.addr = l->ep[GW].addr, .port = 4501};
	struct fixture_result r = {0};
	struct fixture_pkt p[10], q;
	uint64_t bytes;
	nsec_t heard;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = fixture_next(l, GW);
		assert_verdict(fixture_verdict(l, ME, &p[i]), VERDICT_FRESH);
	}
	fixture_events(l, ME);
	bytes = in->bytes;
	heard = in->last_fresh;
	l->now += NSEC_PER_SEC;
	for (size_t i = 0; i < ARRAY_SIZE(replayed); i++) {
		const struct fixture_pkt *again = &p[replayed[i]];

		fixture_open(l, ME, again->b, again->len, 0, &other, 0, &r);
	}
	assert_int_equal(r.delivered, ARRAY_SIZE(replayed));
	assert_int_equal(fixture_events(l, ME), 0);
	assert_true(in->last_fresh == heard && in->packets == 10 && in->bytes == bytes);
	assert_true(endpoint_eq(&in->peer, &l->ep[GW]) && in->window.top == 10);
	/* a new packet does all that */
	q = fixture_next(l, GW);
	fixture_open(l, ME, q.b, q.len, 0, &other, 0, &r);
	assert_int_equal(fixture_events(l, ME), ESP_EVENT_MOVED | ESP_EVENT_SOFT_LIFETIME);
	assert_true(in->last_fresh == l->now && in->packets == 11 && in->bytes > bytes);
	fixture_free(l);
}

/* A packet with a wrong ICV changes nothing, at any number, under every suite, with ESN and
 * without.
 */
static void test_failed_icv_moves_nothing(void **state)
{
	const struct suite *s;
	size_t n;

	(void)state;
	s = suite_table(&n);
	for (size_t i = 0; i < 2 * n; i++) {
		struct fixture_opt o =
			FIXTURE_OPT(.suite = s[i / 2].name, .esn = i & 1, .window = 64, .salt = i);
		struct fixture *l;
		uint64_t before;

		o.detect.mode = i & 1 ? DETECT_BOTH : DETECT_PATTERN;
		l = fixture_new(&o);
		for (unsigned k = 0; k < 300; k++) {
			struct fixture_pkt p = fixture_next(l, GW);

			assert_verdict(fixture_verdict(l, ME, &p), VERDICT_FRESH);
		}
		fixture_events(l, ME);
		before = fixture_fingerprint(fixture_sa(l, ME), true);
		for (unsigned k = 0; k < 600; k++) {
			struct endpoint from = {.addr = l->ep[GW].addr, .port = (uint16_t)k};
			struct fixture_result r = {0};
			struct fixture_pkt p;

			fixture_seal_number(l, GW, 1 + fixture_below(&l->rng, 400), NULL, &p);
			p.b[8 + fixture_below(&l->rng, p.len - 8)] ^=
				(uint8_t)(1 << fixture_below(&l->rng, 8));
			if (fixture_chance(&l->rng, 20))
				put_be32(p.b + 4, (uint32_t)fixture_u64(&l->rng) | 1);
			fixture_open(l, ME, p.b, p.len, 0, &from, 3, &r);
			assert_int_equal(r.v[VERDICT_AUTH_FAILED] + r.v[VERDICT_UNVERIFIED], 1);
			assert_true(fixture_fingerprint(fixture_sa(l, ME), true) == before);
		}
		fixture_free(l);
	}
}

/* An authentic packet that is not new changes nothing but evidence. */
static void test_not_new_moves_only_evidence(void **state)
{
	static const enum detect_mode modes[] = {DETECT_OFF, DETECT_PROOF, DETECT_PATTERN,
						 DETECT_BOTH};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct fixture_opt o = FIXTURE_OPT(.window = 64, .history_packets = 512,
						   .no_bridge = true, .salt = i);
		struct endpoint from = {.port = 9};
		struct fixture *l;
		uint64_t before;

		o.detect.mode = modes[i];
		l = fixture_new(&o);
		for (unsigned k = 0; k < 9000; k++) {
			struct fixture_pkt p = fixture_next(l, GW);

			assert_verdict(fixture_verdict(l, ME, &p), VERDICT_FRESH);
		}
		before = fixture_fingerprint(fixture_sa(l, ME), false);
		l->now += NSEC_PER_SEC;
		for (unsigned k = 0; k < 3000; k++) {
			struct fixture_result r = {0};
			struct fixture_pkt p;

			fixture_seal_number(l, GW, 1 + fixture_below(&l->rng, 9000), NULL, &p);
			fixture_open(l, ME, p.b, p.len, 0, &from, 3, &r);
			assert_int_equal(r.v[VERDICT_FRESH], 0);
			assert_int_equal(r.delivered, 0);
		}
		assert_false(fixture_events(l, ME) & (ESP_EVENT_MOVED | ESP_EVENT_SOFT_LIFETIME));
		fixture_sa(l, GW)->out.number = 9000;
		/* sealing changed the sender's half only */
		assert_true(fixture_fingerprint(fixture_sa(l, ME), false) == before);
		fixture_free(l);
	}
}

/* Every verdict of the table in doc/recovery.md 1, on one SA. */
static void test_every_verdict(void **state)
{
	struct fixture_opt o = FIXTURE_OPT(.window = 64, .history_packets = 64);
	struct fixture *l;
	struct fixture_pkt p, q;
	uint32_t iv;
	uint64_t n;

	(void)state;
	o.detect.mode = DETECT_PATTERN;
	l = fixture_new(&o);
	for (unsigned i = 0; i < 9999; i++) {
		p = fixture_next(l, GW);
		fixture_verdict(l, ME, &p);
	}
	assert_verdict(fixture_verdict(l, ME, &p), VERDICT_REPLAYED);
	fixture_seal_number(l, GW, 9998, NULL, &q);
	q.b[40] ^= 1;
	assert_verdict(fixture_verdict(l, ME, &q),
		       VERDICT_AUTH_FAILED); /* changed ciphertext with the same ICV */
	q.b[40] ^= 1;
	assert_verdict(fixture_verdict(l, ME, &q), VERDICT_REWOUND);
	assert_verdict(fixture_verdict(l, ME, &q), VERDICT_REPLAYED);
	for (n = 2000; history_lookup(&fixture_sa(l, ME)->in.history, n, 0, &iv) != HISTORY_UNKNOWN;
	     n++)
		;
	fixture_seal_number(l, GW, n, NULL, &q);
	q.b[40] ^= 1;
	assert_verdict(fixture_verdict(l, ME, &q), VERDICT_AUTH_FAILED);
	q.b[40] ^= 1;
	assert_verdict(fixture_verdict(l, ME, &q), VERDICT_STALE);
	assert_verdict(fixture_verdict(l, ME, &q), VERDICT_REPLAYED);
	o.detect.mode = DETECT_PROOF;
	esp_sa_set_detect(fixture_sa(l, ME), &o.detect, 20000, true);
	fixture_seal_number(l, GW, n, NULL, &q);
	assert_verdict(fixture_verdict(l, ME, &q), VERDICT_UNVERIFIED);
	fixture_seal_number(l, GW, 9990, NULL, &q);
	q.b[40] ^= 1;
	assert_verdict(fixture_verdict(l, ME, &q), VERDICT_AUTH_FAILED);
	q.b[40] ^= 1;
	assert_verdict(fixture_verdict(l, ME, &q), VERDICT_BRIDGED);
	assert_verdict(fixture_verdict(l, ME, &q), VERDICT_REPLAYED);
	fixture_seal_number(l, GW, 10000, NULL, &q);
	q.b[q.len - 1] ^= 1;
	assert_verdict(fixture_verdict(l, ME, &q), VERDICT_AUTH_FAILED);
	q.b[q.len - 1] ^= 1;
	assert_verdict(fixture_verdict(l, ME, &q), VERDICT_FRESH);
	assert_true(fixture_sa(l, ME)->in.verdicts[VERDICT_REWOUND] == 1);
	fixture_free(l);
}

/* verify_rate limits only packets whose numbers are not remembered, and is refilled over time. */
static void test_verify_rate(void **state)
{
	struct fixture_opt o = FIXTURE_OPT(.window = 64, .history_packets = 64, .verify_rate = 100);
	struct fixture_result r = {0};
	struct fixture *l;
	struct fixture_pkt p;

	(void)state;
	o.detect.mode = DETECT_PATTERN;
	o.detect.packets = 1 << 30;
	o.detect.interval = NSEC_NEVER;
	l = fixture_new(&o);
	fixture_seal_number(l, GW, 1 << 20, NULL, &p);
	fixture_verdict(l, ME, &p);
	for (unsigned i = 1; i <= 1000; i++) {
		fixture_seal_number(l, GW, i, NULL, &p);
		fixture_open(l, ME, p.b, p.len, 0, NULL, 0, &r);
	}
	assert_int_equal(r.v[VERDICT_STALE], 100);
	assert_int_equal(r.v[VERDICT_UNVERIFIED], 900);
	fixture_seal_number(l, GW, 1 << 20, NULL, &p); /* remembered: always opened */
	assert_verdict(fixture_verdict(l, ME, &p), VERDICT_REWOUND);
	l->now += NSEC_PER_SEC / 2;
	memset(&r, 0, sizeof(r));
	for (unsigned i = 1001; i <= 2000; i++) {
		fixture_seal_number(l, GW, i, NULL, &p);
		fixture_open(l, ME, p.b, p.len, 0, NULL, 0, &r);
	}
	assert_int_equal(r.v[VERDICT_STALE], 50);
	o.detect.mode = DETECT_PATTERN;
	esp_sa_set_detect(fixture_sa(l, ME), &o.detect, 0, true);
	fixture_seal_number(l, GW, 3000, NULL, &p);
	assert_verdict(fixture_verdict(l, ME, &p), VERDICT_UNVERIFIED);
	fixture_free(l);
}

/* A RETIRED SA delivers while it drains, then only gives verdicts, and never shows that the peer is
 * alive (doc/recovery.md 4). */
static void test_retired(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct fixture *l = fixture_new(&o);
	struct endpoint other = {.port = 5};
	struct fixture_result r;
	struct fixture_pkt p = fixture_next(l, GW), q;
	uint8_t inner[48];
	nsec_t fresh;

	(void)state;
	fixture_verdict(l, ME, &p);
	fixture_events(l, ME);
	fresh = fixture_sa(l, ME)->in.last_fresh;
	sad_retire(&l->path[ME]->sad, fixture_sa(l, ME), l->now + 5 * NSEC_PER_SEC);
	fixture_inner(l, ME, inner, 48, 0);
	assert_false(fixture_seal(l, ME, inner, 48, &q)); /* the outbound half is gone at once */
	/* its history no longer counts as that of a live SA */
	assert_int_equal(l->path[ME]->sad.history.members, 0);
	l->now += 5 * NSEC_PER_SEC - 1;
	p = fixture_next(l, GW);
	memset(&r, 0, sizeof(r));
	fixture_open(l, ME, p.b, p.len, 0, &other, 0, &r);
	assert_int_equal(r.v[VERDICT_FRESH], 1);
	assert_int_equal(r.delivered, 1);
	assert_int_equal(fixture_events(l, ME), 0);
	l->now += 1;
	p = fixture_next(l, GW);
	memset(&r, 0, sizeof(r));
	fixture_open(l, ME, p.b, p.len, 0, &other, 0, &r);
	assert_int_equal(r.v[VERDICT_FRESH], 1);
	assert_int_equal(r.delivered, 0);
	assert_int_equal(r.drops[ESP_DROP_RETIRED], 1);
	assert_int_equal(fixture_events(l, ME), ESP_EVENT_RETIRED_HEARD);
	assert_true(fixture_sa(l, ME)->in.last_fresh == fresh);
	/* a replay raises no event */
	assert_verdict(fixture_verdict(l, ME, &p), VERDICT_REPLAYED);
	assert_int_equal(fixture_events(l, ME), 0);
	/* a rewind is no switchover here, but shows that the peer still uses the SA */
	fixture_seal_number(l, GW, 1, NULL, &q);
	assert_verdict(fixture_verdict(l, ME, &q), VERDICT_REWOUND);
	assert_int_equal(fixture_events(l, ME), ESP_EVENT_RETIRED_HEARD);
	assert_int_equal(fixture_sa(l, ME)->in.detector.state, DETECTOR_CALM);
	fixture_free(l);
}

/* Seals another plaintext with the number and IV of *first; returns the receiver's verdict. */
static enum verdict reuse_nonce(struct fixture *l, const struct fixture_pkt *first)
{
	struct fixture_pkt p;
	uint8_t text[52];

	memset(text, 0x11, sizeof(text));
	fixture_inner(l, GW, text, 48, 0);
	text[40] ^= 0xff;
	text[48] = 1;
	text[49] = 2;
	text[50] = 2;
	text[51] = PROTO_IPV4;
	fixture_seal_text(l, GW, get_be32(first->b + 4), first->b + 8, text, sizeof(text), &p);
	return fixture_verdict(l, ME, &p);
}

/* Under GCM, nonce reuse exposes the authentication key: later packets prove nothing
 * (doc/recovery.md 2).
 */
static void test_nonce_reuse_gcm(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct fixture *l = fixture_new(&o);
	struct endpoint other = {.port = 5};
	struct fixture_result r = {0};
	struct fixture_pkt first = fixture_next(l, GW), p;
	struct esp_in_sa *in = &fixture_sa(l, ME)->in;

	(void)state;
	in->detect.proof_packets = 1000;
	fixture_verdict(l, ME, &first);
	fixture_events(l, ME);
	assert_verdict(reuse_nonce(l, &first), VERDICT_REWOUND);
	assert_int_equal(fixture_events(l, ME), ESP_EVENT_SWITCHOVER | ESP_EVENT_NONCE_REUSE);
	assert_int_equal(in->detector.criterion, CRITERION_NONCE_REUSE);
	assert_true(in->exposed && in->nonce_reuses == 1);
	/* until there is a successor, packets are delivered, but show neither liveness nor
	 * address */
	p = fixture_next(l, GW);
	l->now += NSEC_PER_SEC;
	fixture_open(l, ME, p.b, p.len, 0, &other, 0, &r);
	assert_int_equal(r.delivered, 1);
	assert_int_equal(fixture_events(l, ME), 0);
	assert_true(in->last_fresh < l->now);
	sad_retire(&l->path[ME]->sad, fixture_sa(l, ME), l->now + 5 * NSEC_PER_SEC);
	p = fixture_next(l, GW);
	r = open_pkt(l, ME, &p);
	assert_int_equal(r.v[VERDICT_FRESH], 1);
	assert_int_equal(r.delivered, 0);
	assert_int_equal(r.drops[ESP_DROP_EXPOSED], 1);
	detector_reset(&in->detector);
	fixture_seal_number(l, GW, 2, NULL, &p);
	assert_verdict(fixture_verdict(l, ME, &p), VERDICT_REWOUND);
	assert_int_equal(in->detector.state, DETECTOR_CALM);
	assert_int_equal(fixture_events(l, ME), 0);
	fixture_free(l);
}

/* On an exposed SA that is RETIRED, packets do not show that the peer still uses it either. */
static void test_exposed_and_retired_proves_nothing(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct fixture *l = fixture_new(&o);
	struct fixture_pkt first = fixture_next(l, GW), p;

	(void)state;
	fixture_verdict(l, ME, &first);
	assert_verdict(reuse_nonce(l, &first), VERDICT_REWOUND);
	sad_retire(&l->path[ME]->sad, fixture_sa(l, ME), l->now);
	fixture_events(l, ME);
	l->now += NSEC_PER_SEC;
	p = fixture_next(l, GW); /* could be from anyone with the key */
	assert_verdict(fixture_verdict(l, ME, &p), VERDICT_FRESH);
	assert_int_equal(fixture_events(l, ME), 0);
	fixture_seal_number(l, GW, 2, NULL, &p);
	assert_verdict(fixture_verdict(l, ME, &p), VERDICT_REWOUND);
	assert_int_equal(fixture_events(l, ME), 0);
	fixture_free(l);
}

/* Under ChaCha20-Poly1305 and AES-CBC, a packet with the same number and IV does not expose the
 * SA. */
static void test_nonce_reuse_others(void **state)
{
	static const char *const names[] = {"chacha20poly1305", "aes256-sha256"};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct fixture_opt o = FIXTURE_OPT(.suite = names[i]);
		struct fixture *l = fixture_new(&o);
		struct fixture_pkt first = fixture_next(l, GW), p;
		const struct esp_in_sa *in = &fixture_sa(l, ME)->in;

		fixture_verdict(l, ME, &first);
		fixture_events(l, ME);
		fixture_seal_number(l, GW, 1, first.b + 8, &p);
		if (memcmp(p.b, first.b, p.len) == 0) { /* same plaintext: bit-identical */
			assert_verdict(fixture_verdict(l, ME, &p), VERDICT_REPLAYED);
			fixture_free(l);
			continue;
		}
		assert_verdict(fixture_verdict(l, ME, &p), VERDICT_REWOUND);
		assert_false(in->exposed);
		fixture_free(l);
	}
}

/* Under ChaCha20-Poly1305, nonce reuse confirms a switchover, but does not expose the SA. */
static void test_chacha_reuse_is_an_event(void **state)
{
	struct fixture_opt o = FIXTURE_OPT(.suite = "chacha20poly1305");
	struct fixture *l = fixture_new(&o);
	struct fixture_pkt first = fixture_next(l, GW);
	const struct esp_in_sa *in = &fixture_sa(l, ME)->in;

	(void)state;
	fixture_verdict(l, ME, &first);
	fixture_events(l, ME);
	assert_verdict(reuse_nonce(l, &first), VERDICT_REWOUND);
	assert_int_equal(fixture_events(l, ME), ESP_EVENT_SWITCHOVER | ESP_EVENT_NONCE_REUSE);
	assert_int_equal(in->detector.criterion, CRITERION_NONCE_REUSE);
	assert_false(in->exposed);
	fixture_free(l);
}

/* Packets that esp_route does not seal are each counted under the reason. */
static void test_routes(void **state)
{
	struct fixture_opt o = FIXTURE_OPT(.mtu = 100);
	struct fixture *l = fixture_new(&o);
	struct esp_path *path = l->path[GW];
	uint8_t inner[200];
	struct esp_out out = {.pkt = inner, .len = 48};

	(void)state;
	fixture_inner(l, GW, inner, 48, 0);
	assert_int_equal(esp_route(path, &out, l->now), ESP_ROUTE_SEAL);
	out.off = (struct pkt_offload){.gso = PKT_GSO_TCP6, .gso_size = 10};
	assert_int_equal(esp_route(path, &out, l->now), ESP_ROUTE_DISCARD);
	out.off = (struct pkt_offload){.needs_csum = true, .csum_start = 47};
	assert_int_equal(esp_route(path, &out, l->now), ESP_ROUTE_DISCARD);
	assert_true(path->drops[ESP_DROP_OFFLOAD] == 2);
	out.off = (struct pkt_offload){0};
	out.len = 47;
	assert_int_equal(esp_route(path, &out, l->now), ESP_ROUTE_DISCARD);
	assert_true(path->drops[ESP_DROP_BAD_INNER] == 1);
	out.len = 48;
	inner[16] = 99;
	assert_int_equal(esp_route(path, &out, l->now), ESP_ROUTE_DISCARD);
	assert_true(path->drops[ESP_DROP_NO_POLICY] == 1);
	fixture_inner(l, GW, inner, 101, 0);
	out.len = 101;
	assert_int_equal(esp_route(path, &out, l->now), ESP_ROUTE_TOO_BIG);
	assert_int_equal(out.mtu, 100);
	inner[6] = 0; /* without DF: sealed whole, the outer packet may be fragmented */
	assert_int_equal(esp_route(path, &out, l->now), ESP_ROUTE_SEAL);
	fixture_inner(l, GW, inner, 48, 0);
	out.len = 48;
	sad_release(&path->sad, l->spi[GW]);
	assert_int_equal(esp_route(path, &out, l->now), ESP_ROUTE_NO_SA);
	assert_ptr_equal(out.policy, &l->policy[GW]);
	assert_true(path->drops[ESP_DROP_NO_SA_YET] == 1);
	fixture_free(l);
}

/* SPIs are never reserved values, unique among the SAs, and references become invalid with their
 * SA. */
static void test_sad(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct fixture *l = fixture_new(&o);
	struct sad *s = &l->path[ME]->sad;
	uint32_t spi[5000];

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		spi[i] = sad_reserve(s);
		assert_true(spi[i] >= 256 && sad_find(s, spi[i])->spi == spi[i]);
	}
	for (unsigned i = 0; i < 5000; i++) {
		struct sa_ref ref = sad_ref(sad_find(s, spi[i]));

		assert_non_null(sad_get(s, ref));
		sad_release(s, spi[i]);
		assert_null(sad_get(s, ref));
		assert_null(sad_find(s, spi[i]));
		sad_release(s, spi[i]); /* a second release does nothing */
	}
	assert_int_equal(s->used, 1);
	for (unsigned i = 0; i < 5000; i++) { /* a slot that is used again gets another SPI */
		uint32_t a = sad_reserve(s);

		assert_true(a >= 256 && a != spi[4999]);
		sad_release(s, a);
		spi[4999] = a;
	}
	assert_null(sad_get(s, (struct sa_ref){0}));
	fixture_free(l);
}

/* Events of an SA are collected; each SA is on the dirty list once, and a released one is not. */
static void test_dirty_list(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct fixture *l = fixture_new(&o);
	struct sad *s = &l->path[ME]->sad;
	struct esp_sa *a = fixture_sa(l, ME), *b = sad_find(s, sad_reserve(s)),
		      *c = sad_find(s, sad_reserve(s));
	uint32_t e = 0;

	(void)state;
	sad_raise(s, a, ESP_EVENT_MOVED);
	sad_raise(s, b, ESP_EVENT_MOVED);
	sad_raise(s, c, ESP_EVENT_SWITCHOVER);
	sad_raise(s, a, ESP_EVENT_SEQ_HIGH);
	sad_release(s, b->spi);
	assert_ptr_equal(sad_take_dirty(s, &e), c);
	assert_int_equal(e, ESP_EVENT_SWITCHOVER);
	assert_ptr_equal(sad_take_dirty(s, &e), a);
	assert_int_equal(e, ESP_EVENT_MOVED | ESP_EVENT_SEQ_HIGH);
	assert_null(sad_take_dirty(s, &e));
	sad_raise(s, a, ESP_EVENT_MOVED);
	assert_ptr_equal(sad_take_dirty(s, &e), a);
	assert_int_equal(e, ESP_EVENT_MOVED);
	fixture_free(l);
}

/* If an SA is released during a receive, its pending packets are dropped. */
static void test_release_within_a_receive(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct fixture *l = fixture_new(&o);
	struct pkt_super s = {.base = l->super, .cap = sizeof(l->super)};
	struct esp_in in = {.base = l->in, .from = l->ep[GW]};

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		struct fixture_pkt p = fixture_next(l, GW);

		memcpy(l->in + in.len, p.b, p.len);
		in.len += p.len;
		in.seg = (uint16_t)p.len;
	}
	assert_int_equal(esp_open(l->path[ME], &in, &s, l->now), ESP_FULL);
	assert_int_equal(s.len, FIXTURE_INNER_LEN);
	sad_release(&l->path[ME]->sad, l->spi[ME]);
	pkt_super_reset(&s);
	assert_int_equal(esp_open(l->path[ME], &in, &s, l->now), ESP_DONE);
	assert_int_equal(s.len, 0);
	fixture_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moved_only_by_fresh),
		cmocka_unit_test(test_moved_only_in_udp),
		cmocka_unit_test(test_unprotected_replays_move_nothing),
		cmocka_unit_test(test_failed_icv_moves_nothing),
		cmocka_unit_test(test_not_new_moves_only_evidence),
		cmocka_unit_test(test_every_verdict),
		cmocka_unit_test(test_verify_rate),
		cmocka_unit_test(test_retired),
		cmocka_unit_test(test_nonce_reuse_gcm),
		cmocka_unit_test(test_exposed_and_retired_proves_nothing),
		cmocka_unit_test(test_nonce_reuse_others),
		cmocka_unit_test(test_chacha_reuse_is_an_event),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_sad),
		cmocka_unit_test(test_dirty_list),
		cmocka_unit_test(test_release_within_a_receive),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
