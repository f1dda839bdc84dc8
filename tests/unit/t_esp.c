/* t_esp.c - whole data paths: packets are sealed on one side and opened on the other.
 * SPDX-License-Identifier: ISC */
#include "esp_fixture.h"
#include "packet/checksum.h"

#define HIGH(n) ((uint64_t)(n) << 32)

/* Writes payload, padding, pad length and next header to text; returns its length. */
static uint32_t text_of(uint8_t *text, const uint8_t *payload, uint32_t len, const uint8_t *pad,
			uint8_t pad_len, uint8_t next)
{
	memcpy(text, payload, len);
	memcpy(text + len, pad, pad_len);
	text[len + pad_len] = pad_len;
	text[len + pad_len + 1] = next;
	return len + pad_len + 2;
}

static struct fixture_result open_pkt(struct fixture *l, unsigned side, const struct fixture_pkt *p)
{
	struct fixture_result r = {0};

	fixture_open(l, side, p->b, p->len, 0, NULL, 0, &r);
	return r;
}

/* Sends packets of many lengths both ways; they must come out unchanged. */
static void round_trip(struct fixture *l, bool v6)
{
	uint8_t inner[1500];
	struct fixture_pkt p;

	for (uint32_t len = v6 ? 48 : 28; len <= 1500; len += len < 80 ? 1 : 97) {
		for (unsigned side = GW; side <= ME; side++) {
			struct fixture_result r;

			if (v6)
				fixture_inner6(side, inner, len, 0);
			else
				fixture_inner(l, side, inner, len, 0);
			assert_true(fixture_seal(l, side, inner, len, &p));
			assert_int_equal(p.len, esp_frame_len(fixture_sa(l, side)->out.suite, len));
			assert_int_equal(get_be32(p.b), l->spi[!side]);
			r = open_pkt(l, !side, &p);
			assert_int_equal(r.v[VERDICT_FRESH], 1);
			assert_int_equal(r.delivered, 1);
			assert_int_equal(r.last_len, len);
			assert_memory_equal(r.last, inner, len);
			assert_verdict(fixture_verdict(l, !side, &p), VERDICT_REPLAYED);
		}
	}
}

/* Every suite, with and without ESN, with IPv4 and IPv6. */
static void test_every_suite(void **state)
{
	const struct suite *s;
	size_t n;

	(void)state;
	s = suite_table(&n);
	assert_true(n >= 8);
	for (size_t i = 0; i < 4 * n; i++) {
		struct fixture_opt o = FIXTURE_OPT(.suite = s[i / 4].name, .esn = i & 1, .salt = i);
		struct fixture *l;

		if (i & 2) {
			o.ts_gw = "fd01::/16";
			o.ts_me = "fd02::/16";
		}
		l = fixture_new(&o);
		if (o.esn) { /* a high half other than 0 must be part of what is authenticated */
			fixture_sa(l, GW)->out.number = HIGH(1) + 70;
			fixture_sa(l, ME)->in.window.top = HIGH(1) + 3;
		}
		round_trip(l, i & 2);
		fixture_free(l);
	}
}

/* The ICV covers the high half of the ESN, which is not transmitted, under each suite. */
static void test_esn_high_half_is_authenticated(void **state)
{
	const struct suite *s;
	size_t n;

	(void)state;
	s = suite_table(&n);
	for (size_t i = 0; i < n; i++) {
		struct fixture_opt o = FIXTURE_OPT(.suite = s[i].name, .esn = true);
		struct fixture *l = fixture_new(&o);
		struct fixture_pkt p;

		fixture_seal_number(l, GW, HIGH(1) + 9, NULL, &p);
		assert_verdict(fixture_verdict(l, ME, &p), VERDICT_AUTH_FAILED);
		fixture_seal_number(l, GW, 9, NULL, &p);
		assert_verdict(fixture_verdict(l, ME, &p), VERDICT_FRESH);
		fixture_free(l);
	}
}

/* Lengths of frames are aligned, minimal, and consistent with each other. */
static void test_layout(void **state)
{
	const struct suite *s;
	size_t n;

	(void)state;
	s = suite_table(&n);
	for (size_t i = 0; i < n; i++) {
		uint32_t fixed = 8u + s[i].iv_len + s[i].icv_len;

		for (uint32_t len = 0; len < 300; len++) {
			uint32_t frame = esp_frame_len(&s[i], len),
				 max = esp_payload_max(&s[i], frame);
			struct esp_layout lay = {0};

			assert_true((frame - fixed) % s[i].block == 0 && frame >= fixed + len + 2);
			assert_true(frame < fixed + len + 2 + s[i].block);
			assert_true(max >= len && esp_frame_len(&s[i], max) == frame);
			assert_true(esp_frame_len(&s[i], max + 1) > frame);
			assert_true(esp_frame_split(&s[i], frame, &lay));
			assert_int_equal(lay.text + lay.text_len, lay.icv);
			assert_int_equal(lay.icv + s[i].icv_len, frame);
			assert_int_equal(esp_frame_split(&s[i], len, &lay),
					 len >= fixed + 2 && (len - fixed) % s[i].block == 0);
		}
	}
}

/* Truncated packets and number 0 are MALFORMED or AUTH_FAILED, and change nothing. */
static void test_malformed(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct fixture *l = fixture_new(&o);
	uint64_t before = fixture_fingerprint(fixture_sa(l, ME), true);
	struct fixture_pkt p = fixture_next(l, GW), cut;

	(void)state;
	for (uint32_t len = 1; len < p.len; len++) {
		cut = p;
		cut.len = len;
		if (len < 34 || (p.len - len) % 4)
			assert_verdict(fixture_verdict(l, ME, &cut), VERDICT_MALFORMED);
		else
			assert_verdict(fixture_verdict(l, ME, &cut), VERDICT_AUTH_FAILED);
	}
	fixture_seal_number(l, GW, 0, NULL, &cut);
	assert_verdict(fixture_verdict(l, ME, &cut), VERDICT_MALFORMED);
	assert_true(fixture_fingerprint(fixture_sa(l, ME), true) == before);
	assert_verdict(fixture_verdict(l, ME, &p), VERDICT_FRESH);
	fixture_free(l);
}

/* A packet with known number and ICV is REPLAYED without being opened, even if it was changed. */
static void test_replays_are_not_opened(void **state)
{
	struct fixture_opt o = FIXTURE_OPT(.suite = "aes128-sha256");
	struct fixture *l = fixture_new(&o);
	struct fixture_pkt p = fixture_next(l, GW);

	(void)state;
	assert_verdict(fixture_verdict(l, ME, &p), VERDICT_FRESH);
	p.b[p.len / 2] ^= 1;
	assert_verdict(fixture_verdict(l, ME, &p), VERDICT_REPLAYED);
	fixture_free(l);
}

/* With ESN, number 2^32, whose low half is 0, is a valid number. */
static void test_zero_low_half(void **state)
{
	struct fixture_opt o = FIXTURE_OPT(.esn = true);
	struct fixture *l = fixture_new(&o);
	struct fixture_pkt p;

	(void)state;
	fixture_seal_number(l, GW, HIGH(1) - 1, NULL, &p);
	assert_verdict(fixture_verdict(l, ME, &p), VERDICT_FRESH);
	fixture_seal_number(l, GW, HIGH(1), NULL, &p);
	assert_verdict(fixture_verdict(l, ME, &p), VERDICT_FRESH);
	assert_true(fixture_sa(l, ME)->in.window.top == HIGH(1));
	fixture_free(l);
}

/* Packets with an unknown SPI are NO_SA, and raise the hint about once per second. */
static void test_unknown_spi(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct fixture *l = fixture_new(&o);
	struct fixture_pkt p = fixture_next(l, GW);
	unsigned hints = 0;

	(void)state;
	put_be32(p.b, l->spi[ME] ^ 1 << 25);
	for (unsigned i = 0; i < 1000; i++, l->now += 10 * NSEC_PER_MSEC) {
		assert_verdict(fixture_verdict(l, ME, &p), VERDICT_NO_SA);
		hints += l->path[ME]->no_sa_hint;
		l->path[ME]->no_sa_hint = false;
	}
	/* within 10 s */
	assert_in_range(hints, 9, 12);
	assert_true(endpoint_eq(&l->path[ME]->no_sa_from, &l->ep[GW]));
	/* an SPI that is only reserved has no SA yet */
	put_be32(p.b, sad_reserve(&l->path[ME]->sad));
	assert_verdict(fixture_verdict(l, ME, &p), VERDICT_NO_SA);
	fixture_free(l);
}

/* Why a FRESH packet with this text is dropped; ESP_DROP_COUNT: it is delivered. */
static enum esp_drop drop_of(struct fixture *l, const uint8_t *text, uint32_t len)
{
	static uint64_t number = 1;
	struct fixture_result r;
	struct fixture_pkt p;
	unsigned d = 0;

	fixture_seal_text(l, GW, number++, NULL, text, len, &p);
	r = open_pkt(l, ME, &p);
	assert_int_equal(r.v[VERDICT_FRESH], 1);
	while (d < ESP_DROP_COUNT && r.drops[d] == 0)
		d++;
	assert_int_equal(r.delivered, d == ESP_DROP_COUNT);
	return (enum esp_drop)d;
}

#define assert_drop(got, want)                                                                     \
	do {                                                                                       \
		enum esp_drop d_ = got;                                                            \
		assert_string_equal(d_ == ESP_DROP_COUNT ? "delivered" : esp_drop_name(d_),        \
				    (want) == ESP_DROP_COUNT ? "delivered" : esp_drop_name(want)); \
	} while (0)

/* Wrong padding, pad length or next header is detected. */
static void test_trailer(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct fixture *l = fixture_new(&o);
	uint8_t inner[48], text[600], pad[256], bad[256];
	uint32_t n;

	(void)state;
	fixture_inner(l, GW, inner, 48, 0);
	for (unsigned i = 0; i < 256; i++)
		bad[i] = pad[i] = (uint8_t)(i + 1);
	for (unsigned len = 2; len < 256; len += 4) { /* all aligned lengths up to 254 */
		n = text_of(text, inner, 48, pad, (uint8_t)len, PROTO_IPV4);
		assert_drop(drop_of(l, text, n), ESP_DROP_COUNT);
		bad[len - 1] ^= 1;
		n = text_of(text, inner, 48, bad, (uint8_t)len, PROTO_IPV4);
		assert_drop(drop_of(l, text, n), ESP_DROP_BAD_TRAILER);
		bad[len - 1] ^= 1;
	}
	n = text_of(text, inner, 48, pad, 2, PROTO_IPV6);
	assert_drop(drop_of(l, text, n), ESP_DROP_BAD_INNER);
	n = text_of(text, inner, 48, pad, 2, PROTO_TCP); /* transport mode is not supported */
	assert_drop(drop_of(l, text, n), ESP_DROP_BAD_TRAILER);
	n = text_of(text, inner, 48, pad, 2, PROTO_IPV4);
	text[n - 2] = 200; /* more padding than text */
	assert_drop(drop_of(l, text, n), ESP_DROP_BAD_TRAILER);
	text[2] = 51;
	text[3] = PROTO_IPV4;
	assert_drop(drop_of(l, text, 4), ESP_DROP_BAD_TRAILER);
	fixture_free(l);
}

/* A dummy packet is dropped, but shows that the peer is alive; TFC padding is accepted. */
static void test_dummy_and_tfc(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct fixture *l = fixture_new(&o);
	uint8_t inner[48], text[600], none[256] = {1, 2, 3, 4};
	struct fixture_result r = {0};
	uint32_t n;

	(void)state;
	esp_train_init(&l->train, l->out, sizeof(l->out));
	assert_int_equal(esp_seal_dummy(l->path[GW], fixture_sa(l, GW), &l->train, l->now),
			 ESP_DONE);
	esp_train_finish(l->path[GW], &l->train);
	fixture_open(l, ME, l->out, l->train.len, l->train.seg, NULL, 0, &r);
	assert_int_equal(r.v[VERDICT_FRESH], 1);
	assert_int_equal(r.drops[ESP_DROP_DUMMY], 1);
	assert_int_equal(r.delivered, 0);
	assert_true(fixture_sa(l, ME)->in.last_fresh == l->now); /* it counts for liveness */
	fixture_free(l);

	l = fixture_new(&o);
	fixture_inner(l, GW, inner, 48, 0);
	n = text_of(text, inner, 48, none, 2, PROTO_NONE); /* dummy packets may have any content */
	assert_drop(drop_of(l, text, n), ESP_DROP_DUMMY);
	/* TFC padding (RFC 4303 2.7) follows the end of the inner packet */
	memset(text, 0xee, sizeof(text));
	memcpy(text, inner, 48);
	text[502] = 0;
	text[503] = PROTO_IPV4;
	assert_drop(drop_of(l, text, 504), ESP_DROP_COUNT);
	fixture_free(l);
}

/* TFC padding is not delivered. */
static void test_tfc_is_cut_off(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct fixture *l = fixture_new(&o);
	uint8_t text[504];
	struct fixture_result r;
	struct fixture_pkt p;

	(void)state;
	memset(text, 0xee, sizeof(text));
	fixture_inner(l, GW, text, 48, 0);
	text[502] = 0;
	text[503] = PROTO_IPV4;
	fixture_seal_text(l, GW, 1, NULL, text, sizeof(text), &p);
	r = open_pkt(l, ME, &p);
	assert_int_equal(r.delivered, 1);
	assert_int_equal(r.last_len, 48);
	fixture_free(l);
}

/* Inner packets outside the traffic selectors, or with a bad header, are dropped. */
static void test_selectors_and_inner(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct fixture *l = fixture_new(&o);
	uint8_t t[64], pad[2] = {1, 2};
	uint32_t n;

	(void)state;
	fixture_inner(l, GW, t, 48, 0);
	n = text_of(t, t, 48, pad, 2, PROTO_IPV4);
	t[12] = 11; /* source is outside */
	assert_drop(drop_of(l, t, n), ESP_DROP_SELECTORS);
	t[12] = 10;
	t[17] = 3; /* destination is outside */
	assert_drop(drop_of(l, t, n), ESP_DROP_SELECTORS);
	memcpy(t + 12, (uint8_t[]){10, 2, 0, 7, 10, 1, 0, 7}, 8); /* reversed direction */
	assert_drop(drop_of(l, t, n), ESP_DROP_SELECTORS);
	fixture_inner(l, GW, t, 48, 0);
	put_be16(t + 2, 49); /* longer than the payload */
	assert_drop(drop_of(l, t, n), ESP_DROP_BAD_INNER);
	put_be16(t + 2, 19);
	assert_drop(drop_of(l, t, n), ESP_DROP_BAD_INNER);
	fixture_inner(l, GW, t, 48, 0);
	t[0] = 0x44;
	assert_drop(drop_of(l, t, n), ESP_DROP_BAD_INNER);
	fixture_inner(l, GW, t, 48, 0);
	assert_drop(drop_of(l, t, n), ESP_DROP_COUNT);
	fixture_free(l);
}

/* Ports of a traffic selector are checked; fragments without ports do not match (RFC 4301
 * 4.4.1.1). */
static void test_port_selectors(void **state)
{
	struct fixture_opt o =
		FIXTURE_OPT(.ts_gw = "10.1.0.0/16[udp]", .ts_me = "10.2.0.0/16[udp/53]");
	struct fixture *l = fixture_new(&o);
	uint8_t t[64], pad[2] = {1, 2};
	uint32_t n;

	(void)state;
	fixture_inner(l, GW, t, 48, 0);
	n = text_of(t, t, 48, pad, 2, PROTO_IPV4);
	assert_drop(drop_of(l, t, n), ESP_DROP_COUNT);
	put_be16(t + 22, 54);
	assert_drop(drop_of(l, t, n), ESP_DROP_SELECTORS);
	put_be16(t + 22, 53);
	t[9] = PROTO_TCP;
	assert_drop(drop_of(l, t, n), ESP_DROP_SELECTORS);
	t[9] = PROTO_UDP;
	put_be16(t + 6, 100); /* a later fragment */
	assert_drop(drop_of(l, t, n), ESP_DROP_SELECTORS);
	fixture_free(l);
}

/* RFC 6040 figure 4; columns: outer not-ECT, ECT(1), ECT(0), CE. 9: dropped. */
static const uint8_t ecn_table[4][4] = {{0, 0, 0, 9}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}};

static void ecn_case(struct fixture *l, bool v6, uint8_t inner_ecn, uint8_t outer)
{
	uint8_t inner[64], want = ecn_table[inner_ecn][outer];
	uint8_t tos = 0xb8 | inner_ecn;
	struct fixture_result r = {0};
	struct fixture_pkt p;

	if (v6)
		fixture_inner6(GW, inner, 64, tos);
	else
		fixture_inner(l, GW, inner, 64, tos);
	assert_true(fixture_seal(l, GW, inner, 64, &p));
	assert_int_equal(l->train.dest.tos, tos); /* normal mode: copied to the outer header */
	fixture_open(l, ME, p.b, p.len, 0, NULL, 0x28 | outer, &r);
	assert_int_equal(r.v[VERDICT_FRESH], 1);
	assert_int_equal(r.drops[ESP_DROP_ECN], want == 9);
	assert_int_equal(r.delivered, want != 9);
	if (want == 9)
		return;
	if (v6) {
		assert_int_equal(r.last[0] << 8 | r.last[1], 0x6000 | (0xb8 | want) << 4);
	} else {
		assert_int_equal(r.last[1], 0xb8 | want);
		assert_int_equal(csum(r.last, 20, 0), 0xffff);
	}
	assert_memory_equal(r.last + 12, inner + 12, 52);
}

/* Each combination of inner and outer ECN, with IPv4 and IPv6. */
static void test_ecn(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 32; i++) {
		struct fixture_opt o = FIXTURE_OPT(.salt = i);
		struct fixture *l;

		if (i & 16) {
			o.ts_gw = "fd01::/16";
			o.ts_me = "fd02::/16";
		}
		l = fixture_new(&o);
		ecn_case(l, i & 16, i & 3, i >> 2 & 3);
		fixture_free(l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_suite),
		cmocka_unit_test(test_esn_high_half_is_authenticated),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_replays_are_not_opened),
		cmocka_unit_test(test_zero_low_half),
		cmocka_unit_test(test_unknown_spi),
		cmocka_unit_test(test_trailer),
		cmocka_unit_test(test_dummy_and_tfc),
		cmocka_unit_test(test_tfc_is_cut_off),
		cmocka_unit_test(test_selectors_and_inner),
		cmocka_unit_test(test_port_selectors),
		cmocka_unit_test(test_ecn),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
