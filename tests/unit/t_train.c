/* t_train.c - sealing and opening packets in batches; numbers, lifetimes and IVs.
 * SPDX-License-Identifier: ISC */
#include "esp_fixture.h"

/* Seals one packet of len bytes into the train. */
static enum esp_step add(struct fixture *l, uint32_t len, uint8_t tos)
{
	uint8_t inner[2000];
	struct esp_out o = {.pkt = inner, .len = len};

	fixture_inner(l, GW, inner, len, tos);
	assert_int_equal(esp_route(l->path[GW], &o, l->now), ESP_ROUTE_SEAL);
	return esp_seal(l->path[GW], &o, &l->train, l->now);
}

/* Sends the train; each of its packets must be FRESH and delivered. */
static void send_train(struct fixture *l, unsigned count)
{
	struct fixture_result r = {0};

	assert_int_equal(l->train.count, count);
	esp_train_finish(l->path[GW], &l->train);
	fixture_open(l, ME, l->train.base, l->train.len, l->train.seg, NULL, 0, &r);
	assert_int_equal(r.v[VERDICT_FRESH], count);
	assert_int_equal(r.delivered, count);
	esp_train_reset(&l->train);
	assert_true(l->train.len == 0 && l->train.count == 0 && !l->train.closed);
}

/* A train takes 64 packets of one TOS and length; a shorter one closes it. */
static void test_trains(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct fixture *l = fixture_new(&o);

	(void)state;
	esp_train_init(&l->train, l->out, sizeof(l->out));
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(add(l, 200, 0), ESP_DONE);
	assert_int_equal(add(l, 200, 0), ESP_FULL); /* a batch has 64 */
	assert_true(fixture_sa(l, GW)->out.number ==
		    64); /* the packet that did not fit used no number */
	send_train(l, 64);
	assert_int_equal(add(l, 200, 0), ESP_DONE);
	assert_int_equal(add(l, 300, 0), ESP_FULL); /* longer than the first */
	assert_int_equal(add(l, 200, 4), ESP_FULL); /* another TOS */
	assert_int_equal(add(l, 100, 0), ESP_DONE); /* shorter: closes the train */
	assert_true(l->train.closed);
	assert_int_equal(add(l, 100, 0), ESP_FULL);
	assert_int_equal(add(l, 200, 0), ESP_FULL);
	send_train(l, 2);
	assert_int_equal(add(l, 300, 4), ESP_DONE);
	assert_int_equal(l->train.dest.tos, 4);
	send_train(l, 1);
	fixture_free(l);
}

/* Asserts how a packet of len bytes is routed, the MTU that an ICMP error would have, and the outer
 * DF. */
static void assert_route(struct fixture *l, const uint8_t *inner, uint32_t len, enum esp_route want,
			 uint32_t mtu, bool df)
{
	struct esp_out out = {.pkt = inner, .len = len};

	assert_int_equal(esp_route(l->path[GW], &out, l->now), want);
	if (want == ESP_ROUTE_TOO_BIG)
		assert_int_equal(out.mtu, mtu);
	else
		assert_int_equal(out.dest.df, df);
}

/* The outer DF is the inner one (RFC 4301 8.1); a packet with DF that does not fit is refused
 * (8.2.1). */
static void test_df_v4(void **state)
{
	struct fixture_opt o = FIXTURE_OPT(.mtu = 1000);
	struct fixture *l = fixture_new(&o);
	struct esp_sa *sa = fixture_sa(l, GW);
	uint8_t inner[2000];

	(void)state;
	fixture_inner(l, GW, inner, 1000, 0);
	assert_route(l, inner, 1000, ESP_ROUTE_SEAL, 0, true);
	sa->out.narrow = true;
	assert_route(l, inner, 1000, ESP_ROUTE_SEAL, 0, false);
	fixture_inner(l, GW, inner, 1001, 0);
	assert_route(l, inner, 1001, ESP_ROUTE_TOO_BIG, 1000, false);
	sa->out.narrow = false;
	assert_route(l, inner, 1001, ESP_ROUTE_TOO_BIG, 1000, false);
	inner[6] = 0; /* without DF, the outer packet may be fragmented */
	assert_route(l, inner, 1001, ESP_ROUTE_SEAL, 0, false);
	fixture_inner(l, GW, inner, 500, 0);
	inner[6] = 0;
	assert_route(l, inner, 500, ESP_ROUTE_SEAL, 0, false);
	fixture_inner(l, GW, inner, 2000, 0);
	sa->out.mtu = 0; /* the path MTU is unknown */
	assert_route(l, inner, 2000, ESP_ROUTE_SEAL, 0, true);
	/* links must take 68 bytes (RFC 791): that much is sent, and fragmented outside */
	sa->out.mtu = 40;
	fixture_inner(l, GW, inner, 68, 0);
	assert_route(l, inner, 68, ESP_ROUTE_SEAL, 0, false);
	fixture_inner(l, GW, inner, 40, 0);
	assert_route(l, inner, 40, ESP_ROUTE_SEAL, 0, true);
	fixture_inner(l, GW, inner, 69, 0);
	assert_route(l, inner, 69, ESP_ROUTE_TOO_BIG, 68, false);
	assert_true(l->path[GW]->drops[ESP_DROP_TOO_BIG] == 3);
	fixture_free(l);
}

/* IPv6 packets of 1280 bytes are always sent, fragmented outside if the path is narrower (RFC 4213
 * 3.2.2). */
static void test_df_v6(void **state)
{
	struct fixture_opt o = FIXTURE_OPT(.ts_gw = "fd01::/16", .ts_me = "fd02::/16", .mtu = 1400);
	struct fixture *l = fixture_new(&o);
	struct esp_sa *sa = fixture_sa(l, GW);
	uint8_t inner[2000];

	(void)state;
	fixture_inner6(GW, inner, 1400, 0);
	assert_route(l, inner, 1400, ESP_ROUTE_SEAL, 0, true);
	fixture_inner6(GW, inner, 1401, 0);
	assert_route(l, inner, 1401, ESP_ROUTE_TOO_BIG, 1400, false);
	sa->out.mtu = 900;
	fixture_inner6(GW, inner, 900, 0);
	assert_route(l, inner, 900, ESP_ROUTE_SEAL, 0, true);
	fixture_inner6(GW, inner, 901, 0);
	assert_route(l, inner, 901, ESP_ROUTE_SEAL, 0, false);
	fixture_inner6(GW, inner, 1280, 0);
	assert_route(l, inner, 1280, ESP_ROUTE_SEAL, 0, false);
	fixture_inner6(GW, inner, 1281, 0);
	assert_route(l, inner, 1281, ESP_ROUTE_TOO_BIG, 1280, false);
	fixture_free(l);
}

/* A packet with another DF goes into another train, as a send has one DF. */
static void test_trains_by_df(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct fixture *l = fixture_new(&o);
	uint8_t inner[200];
	struct esp_out out = {.pkt = inner, .len = 200};

	(void)state;
	esp_train_init(&l->train, l->out, sizeof(l->out));
	assert_int_equal(add(l, 200, 0), ESP_DONE);
	assert_true(l->train.dest.df);
	fixture_inner(l, GW, inner, 200, 0);
	inner[6] = 0;
	assert_int_equal(esp_route(l->path[GW], &out, l->now), ESP_ROUTE_SEAL);
	assert_int_equal(esp_seal(l->path[GW], &out, &l->train, l->now), ESP_FULL);
	send_train(l, 1);
	assert_int_equal(esp_seal(l->path[GW], &out, &l->train, l->now), ESP_DONE);
	assert_false(l->train.dest.df);
	fixture_free(l);
}

/* A packet that does not fit the buffer waits for the next train; one that fits no train is
 * dropped. */
static void test_train_without_room(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct fixture *l = fixture_new(&o);

	(void)state;
	esp_train_init(&l->train, l->out, 500);
	assert_int_equal(add(l, 200, 0), ESP_DONE);
	assert_int_equal(add(l, 200, 0), ESP_DONE);
	assert_int_equal(add(l, 20 + 8, 0), ESP_FULL);
	send_train(l, 2);
	assert_int_equal(add(l, 600, 0), ESP_DONE); /* longer than any train */
	assert_int_equal(l->train.count, 0);
	assert_true(l->path[GW]->drops[ESP_DROP_TOO_BIG] == 1);
	fixture_free(l);
}

/* In a receive with repeated packets in any order, each is FRESH exactly once. */
static void test_duplicates_in_a_batch(void **state)
{
	struct fixture_opt o = FIXTURE_OPT(.window = 64);
	struct fixture *l = fixture_new(&o);
	uint8_t all[64][128], batch[64 * 128];

	(void)state;
	for (unsigned round = 0; round < 50; round++) {
		struct fixture_result r = {0};
		bool used[32] = {false};
		unsigned distinct = 0, len = 0;

		for (unsigned i = 0; i < 32; i++) {
			struct fixture_pkt p = fixture_next(l, GW);

			len = p.len;
			memcpy(all[i], p.b, len);
		}
		for (unsigned i = 0; i < 64; i++) {
			unsigned k = (unsigned)fixture_below(&l->rng, 32);

			distinct += !used[k];
			used[k] = true;
			memcpy(batch + i * len, all[k], len);
		}
		fixture_open(l, ME, batch, 64 * len, (uint16_t)len, NULL, 0, &r);
		assert_int_equal(r.v[VERDICT_FRESH], distinct);
		assert_int_equal(r.v[VERDICT_REPLAYED], 64 - distinct);
		assert_int_equal(r.delivered, distinct);
	}
	fixture_free(l);
}

/* A receive of more than 64 datagrams, the last of which is shorter. */
static void test_long_receive(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct fixture *l = fixture_new(&o);
	struct fixture_result r = {0};
	uint8_t b[200 * 100];
	uint32_t seg = 0, at = 0;

	(void)state;
	for (unsigned i = 0; i < 150; i++, at += seg) {
		struct fixture_pkt p = fixture_next(l, GW);

		seg = p.len;
		memcpy(b + at, p.b, seg);
	}
	fixture_open(l, ME, b, at - 1, (uint16_t)seg, NULL, 0, &r);
	assert_int_equal(r.v[VERDICT_FRESH], 149);
	assert_int_equal(r.v[VERDICT_MALFORMED], 1);
	assert_int_equal(r.delivered, 149);
	fixture_free(l);
}

/* Two packets with the same number in one batch: the second one is a proof, though both numbers
 * looked new when the batch began. */
static void rewound_within_a_batch(bool bridge)
{
	struct fixture_opt o = FIXTURE_OPT(.no_bridge = !bridge);
	struct fixture *l = fixture_new(&o);
	struct fixture_result r = {0};
	struct fixture_pkt a, b;
	uint8_t batch[300];

	fixture_seal_number(l, GW, 5, NULL, &a);
	fixture_seal_number(l, GW, 5, NULL, &b);
	memcpy(batch, a.b, a.len);
	memcpy(batch + a.len, b.b, b.len);
	fixture_open(l, ME, batch, a.len + b.len, (uint16_t)a.len, NULL, 0, &r);
	assert_int_equal(r.v[VERDICT_FRESH], 1);
	assert_int_equal(r.v[bridge ? VERDICT_BRIDGED : VERDICT_REWOUND], 1);
	assert_int_equal(r.delivered, bridge ? 2 : 1);
	assert_true(fixture_events(l, ME) & ESP_EVENT_SWITCHOVER);
	fixture_free(l);
}

/* Without and with the bridge. */
static void test_rewound_within_a_batch(void **state)
{
	(void)state;
	rewound_within_a_batch(false);
	rewound_within_a_batch(true);
}

static void exhaust(bool esn)
{
	struct fixture_opt o = FIXTURE_OPT(.esn = esn);
	struct fixture *l = fixture_new(&o);
	uint64_t last = esn ? UINT64_MAX : UINT32_MAX;
	struct esp_out_sa *out = &fixture_sa(l, GW)->out;
	uint8_t inner[48];
	struct fixture_pkt p;

	fixture_inner(l, GW, inner, 48, 0);
	out->number = last - (1 << 28) - 2;
	assert_true(fixture_seal(l, GW, inner, 48, &p));
	assert_false(fixture_events(l, GW) & ESP_EVENT_SEQ_HIGH);
	assert_true(fixture_seal(l, GW, inner, 48, &p));
	assert_true(fixture_events(l, GW) & ESP_EVENT_SEQ_HIGH);
	out->number = last - 2;
	assert_true(fixture_seal(l, GW, inner, 48, &p));
	assert_true(fixture_seal(l, GW, inner, 48, &p));
	assert_int_equal(get_be32(p.b + 4), UINT32_MAX);
	assert_int_equal(fixture_events(l, GW), 0);
	for (unsigned i = 0; i < 3; i++) { /* and never again: the number does not wrap */
		assert_false(fixture_seal(l, GW, inner, 48, &p));
		assert_true(out->number == last);
		assert_true(fixture_events(l, GW) & ESP_EVENT_HARD_LIFETIME);
	}
	assert_true(l->path[GW]->drops[ESP_DROP_EXHAUSTED] == 3);
	esp_train_init(&l->train, l->out, sizeof(l->out));
	esp_seal_dummy(l->path[GW], fixture_sa(l, GW), &l->train, l->now);
	assert_int_equal(l->train.count, 0);
	fixture_free(l);
}

/* After the last sequence number, nothing is sealed any more, with ESN and without. */
static void test_exhaustion(void **state)
{
	(void)state;
	exhaust(false);
	exhaust(true);
}

/* Soft and hard lifetime in packets, outbound and inbound. */
static void test_lifetime_packets(void **state)
{
	struct fixture_opt o = FIXTURE_OPT(.life = {.soft_packets = 5, .hard_packets = 8});
	struct fixture *l = fixture_new(&o);
	uint8_t inner[48];
	struct fixture_pkt p;

	(void)state;
	fixture_inner(l, GW, inner, 48, 0);
	for (unsigned i = 1; i <= 10; i++) {
		bool sent = fixture_seal(l, GW, inner, 48, &p);
		uint32_t out, in = 0;

		assert_int_equal(sent, i <= 8);
		out = fixture_events(l, GW);
		assert_int_equal(!!(out & ESP_EVENT_SOFT_LIFETIME), i == 5);
		assert_int_equal(!!(out & ESP_EVENT_HARD_LIFETIME), i > 8);
		if (!sent)
			continue;
		assert_verdict(fixture_verdict(l, ME, &p), VERDICT_FRESH);
		/* a replay does not count */
		assert_verdict(fixture_verdict(l, ME, &p), VERDICT_REPLAYED);
		in = fixture_events(l, ME);
		assert_int_equal(!!(in & ESP_EVENT_SOFT_LIFETIME), i == 5);
		assert_int_equal(!!(in & ESP_EVENT_HARD_LIFETIME), i == 8);
	}
	fixture_free(l);
}

/* Soft and hard lifetime in bytes. */
static void test_lifetime_bytes(void **state)
{
	struct fixture_opt o = FIXTURE_OPT(.life = {.soft_bytes = 1000, .hard_bytes = 2000});
	struct fixture *l = fixture_new(&o);
	uint8_t inner[100];
	unsigned soft = 0, sent = 0;
	struct fixture_pkt p;

	(void)state;
	fixture_inner(l, GW, inner, 100, 0);
	for (unsigned i = 1; i <= 30; i++) {
		sent += fixture_seal(l, GW, inner, 100, &p);
		if (fixture_events(l, GW) & ESP_EVENT_SOFT_LIFETIME) {
			soft++;
			assert_in_range(i, 9, 10);
		}
	}
	assert_int_equal(soft, 1);
	assert_in_range(sent, 18, 20);
	fixture_free(l);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, 8);
	memcpy(&y, b, 8);
	return x < y ? -1 : x > y;
}

/* No explicit IV is used twice on an SA, whatever its sequence numbers do. */
static void test_ivs_never_repeat(void **state)
{
	const struct suite *s;
	size_t n;

	(void)state;
	s = suite_table(&n);
	for (size_t i = 0; i < n; i++) {
		struct fixture_opt o = FIXTURE_OPT(.suite = s[i].name);
		struct fixture *l = fixture_new(&o);
		static uint64_t iv[20000];

		for (unsigned k = 0; k < ARRAY_SIZE(iv); k++) {
			struct fixture_pkt p;

			if (k % 1000 == 0) /* set back, as by RFC 6311 on a standby */
				fixture_sa(l, GW)->out.number = k / 2;
			p = fixture_next(l, GW);
			memcpy(&iv[k], p.b + 8, 8);
		}
		qsort(iv, ARRAY_SIZE(iv), 8, by_value);
		for (unsigned k = 1; k < ARRAY_SIZE(iv); k++)
			assert_true(iv[k] != iv[k - 1]);
		fixture_free(l);
	}
}

/* Padding is written 16 bytes at a time, but never beyond the packet's end. */
static void test_room_for_padding(void **state)
{
	size_t count;
	const struct suite *s = suite_table(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		for (uint32_t len = 0; len < 64; len++) {
			uint8_t p[256];
			uint32_t size = esp_frame_len(&s[i], len);
			struct esp_layout lay;

			memset(p, 0xee, sizeof(p));
			esp_frame_write(&s[i], p, 1, 1, len, PROTO_IPV4, &lay);
			assert_int_equal(lay.icv + s[i].icv_len, size);
			assert_int_equal(p[size], 0xee);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trains),
		cmocka_unit_test(test_df_v4),
		cmocka_unit_test(test_df_v6),
		cmocka_unit_test(test_trains_by_df),
		cmocka_unit_test(test_train_without_room),
		cmocka_unit_test(test_duplicates_in_a_batch),
		cmocka_unit_test(test_long_receive),
		cmocka_unit_test(test_rewound_within_a_batch),
		cmocka_unit_test(test_exhaustion),
		cmocka_unit_test(test_lifetime_packets),
		cmocka_unit_test(test_lifetime_bytes),
		cmocka_unit_test(test_ivs_never_repeat),
		cmocka_unit_test(test_room_for_padding),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
