/*
 * t_flow.c - the cache of the last flow, outbound and inbound, is never wrong: a packet that is
 * recognized by its header is treated as if it had been parsed and looked up.
 * SPDX-License-Identifier: ISC
 */
#include "esp_fixture.h"

#define LEN 64

static bool same(const struct inner *a, const struct inner *b)
{
	return addr_eq(&a->src, &b->src) && addr_eq(&a->dst, &b->dst) && a->upper == b->upper &&
	       a->len == b->len && a->l4 == b->l4 && a->sport == b->sport && a->dport == b->dport &&
	       a->proto == b->proto && a->tos == b->tos && a->df == b->df &&
	       a->ports_known == b->ports_known && a->fragment == b->fragment &&
	       a->bare == b->bare && a->plain == b->plain;
}

/* Makes a TCP or UDP packet, usually one that inner_parse accepts and that is plain. */
static void some_packet(struct fixture_rng *r, uint8_t *p)
{
	bool v6 = fixture_chance(r, 50);

	for (unsigned i = 0; i < LEN; i++)
		p[i] = (uint8_t)fixture_u64(r);
	p[0] = v6 ? 0x60 : 0x45;
	if (v6) {
		put_be16(p + 4, (uint16_t)(LEN - 40 - fixture_below(r, 4)));
		p[6] = fixture_chance(r, 50) ? PROTO_TCP : PROTO_UDP;
	} else {
		put_be16(p + 2, (uint16_t)(LEN - fixture_below(r, 4)));
		put_be16(p + 6, fixture_chance(r, 80) ? 0x4000 : (uint16_t)fixture_u64(r));
		p[9] = fixture_chance(r, 50) ? PROTO_TCP : PROTO_UDP;
	}
}

/* inner_next agrees with inner_parse or recognizes nothing; it recognizes the next packet of a
 * flow. */
static void test_next_is_parse(void **state)
{
	unsigned known = 0, other = 0, plain = 0;
	struct fixture_rng r;

	(void)state;
	fixture_rng_init(&r, 4301);
	for (unsigned i = 0; i < 200000; i++) {
		uint8_t p[LEN], q[LEN];
		struct inner first, next, parsed;
		uint32_t len = LEN;
		int ok;

		some_packet(&r, p);
		if (inner_parse(p, LEN, &first) < 0)
			continue;
		memcpy(q, p, LEN);
		for (uint64_t n = fixture_below(&r, 4); n > 0; n--)
			q[fixture_below(&r, 48)] ^= (uint8_t)(1 << fixture_below(&r, 8));
		if (fixture_chance(&r, 20))
			len = (uint32_t)fixture_below(&r, LEN + 1);
		next = first;
		ok = inner_parse(q, len, &parsed);
		if (inner_next(q, len, &next)) {
			known++;
			assert_int_equal(ok, 0);
			assert_true(same(&next, &parsed));
		} else {
			other++;
			assert_true(same(&next, &first));
			/* it may fail, but not for a plain packet of the same flow */
			assert_false(first.plain && ok == 0 && parsed.plain &&
				     inner_same_flow(&first, &parsed));
		}
		plain += first.plain;
	}
	assert_true(known > 40000 && other > 40000 && plain > 100000);
}

/* ---- outbound ---- */

static enum esp_route route(struct fixture *l, const uint8_t *p, uint32_t len, struct esp_out *o)
{
	esp_out_init(o, p, len, 0);
	return esp_route(l->path[GW], o, l->now);
}

/* A policy that is added or removed applies to the next packet of a flow in progress. */
static void test_policies_change(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct fixture *l = fixture_new(&o);
	struct ts_list local = {.count = 1}, remote = {.count = 1};
	struct spd_policy trap = {.trap = true, .local = &local, .remote = &remote, .order = 1};
	struct spd *spd = &l->path[GW]->devices[0].spd;
	struct esp_out out;
	uint8_t p[100];

	(void)state;
	fixture_inner(l, GW, p, sizeof(p), 0);
	assert_int_equal(ts_parse("10.1.0.0/24", &local.ts[0]), 0);
	assert_int_equal(ts_parse("10.2.0.0/24", &remote.ts[0]), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(route(l, p, sizeof(p), &out), ESP_ROUTE_SEAL);
		assert_int_equal(route(l, p, sizeof(p), &out), ESP_ROUTE_SEAL);
		assert_int_equal(spd_add(spd, &trap), 0); /* more specific */
		assert_int_equal(route(l, p, sizeof(p), &out), ESP_ROUTE_NO_SA);
		assert_ptr_equal(out.policy, &trap);
		spd_remove(spd, &trap);
	}
	spd_remove(spd, &l->policy[GW]);
	assert_int_equal(route(l, p, sizeof(p), &out), ESP_ROUTE_DISCARD);
	assert_true(l->path[GW]->drops[ESP_DROP_NO_POLICY] == 1);
	assert_int_equal(route(l, p, sizeof(p), &out), ESP_ROUTE_DISCARD);
	assert_true(l->path[GW]->drops[ESP_DROP_NO_POLICY] == 2);
	assert_int_equal(spd_add(spd, &l->policy[GW]), 0);
	assert_int_equal(route(l, p, sizeof(p), &out), ESP_ROUTE_SEAL);
	fixture_free(l);
}

/* The SA is looked up for each packet, and each packet has its own TOS, DF and length. */
static void test_what_is_the_packets_own(void **state)
{
	struct fixture_opt o = FIXTURE_OPT(.mtu = 200);
	struct fixture *l = fixture_new(&o);
	struct esp_out out;
	uint8_t p[300];

	(void)state;
	fixture_inner(l, GW, p, 100, 0x28);
	assert_int_equal(route(l, p, 100, &out), ESP_ROUTE_SEAL);
	assert_int_equal(out.dest.tos, 0x28);
	fixture_inner(l, GW, p, 150, 0x2b);
	assert_int_equal(route(l, p, 150, &out), ESP_ROUTE_SEAL);
	assert_int_equal(out.dest.tos, 0x2b);
	assert_int_equal(out.plan.len, 150);
	fixture_inner(l, GW, p, 300, 0);
	assert_int_equal(route(l, p, 300, &out), ESP_ROUTE_TOO_BIG);
	assert_int_equal(out.mtu, 200);
	p[6] = 0; /* without DF: may be fragmented */
	assert_int_equal(route(l, p, 300, &out), ESP_ROUTE_SEAL);
	sad_release(&l->path[GW]->sad, l->spi[GW]);
	assert_int_equal(route(l, p, 300, &out), ESP_ROUTE_NO_SA);
	/* not of the flow, and no IP packet */
	p[0] = 0x55;
	assert_int_equal(route(l, p, 300, &out), ESP_ROUTE_DISCARD);
	assert_true(l->path[GW]->drops[ESP_DROP_BAD_INNER] == 1);
	fixture_free(l);
}

/* ---- inbound ---- */

static uint64_t delivered(struct fixture *l, const uint8_t *inner, uint32_t len)
{
	struct fixture_result r = {0};
	struct fixture_pkt pkt;

	assert_true(fixture_seal(l, GW, inner, len, &pkt));
	fixture_open(l, ME, pkt.b, pkt.len, 0, NULL, 0, &r);
	assert_int_equal(r.v[VERDICT_FRESH], 1);
	return r.delivered;
}

/* Each packet is checked against the receiver's traffic selectors, also after one of them was
 * accepted. */
static void test_selectors_hold(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct fixture *l = fixture_new(&o);
	struct esp_sa *sa = fixture_sa(l, ME);
	uint8_t p[100];

	(void)state;
	assert_int_equal(ts_parse("10.2.0.0/16[udp/53]", &sa->local->ts[0]), 0);
	fixture_inner(l, GW, p, sizeof(p), 0);
	put_be16(p + 22, 53);
	assert_int_equal(delivered(l, p, sizeof(p)), 1);
	assert_int_equal(delivered(l, p, sizeof(p)), 1);
	put_be16(p + 22, 54);
	assert_int_equal(delivered(l, p, sizeof(p)), 0);
	put_be16(p + 22, 53);
	assert_int_equal(delivered(l, p, sizeof(p)), 1);
	put_be16(p + 20, 9);
	assert_int_equal(delivered(l, p, sizeof(p)), 1);
	p[9] = PROTO_TCP;
	assert_int_equal(delivered(l, p, sizeof(p)), 0);
	assert_true(l->path[ME]->drops[ESP_DROP_SELECTORS] == 2);
	fixture_free(l);
}

/* An IPv4 packet of the flow with next header IPv6 is dropped. */
static void test_family_is_as_said(void **state)
{
	struct fixture_opt o = FIXTURE_OPT();
	struct fixture *l = fixture_new(&o);
	struct fixture_result r = {0};
	struct fixture_pkt pkt;
	uint8_t text[104] = {0};

	(void)state;
	fixture_inner(l, GW, text, 100, 0);
	assert_int_equal(delivered(l, text, 100), 1);
	memcpy(text + 100, (const uint8_t[]){1, 2, 2, PROTO_IPV6}, 4); /* padding and trailer */
	fixture_seal_text(l, GW, 2, NULL, text, sizeof(text), &pkt);
	fixture_open(l, ME, pkt.b, pkt.len, 0, NULL, 0, &r);
	assert_int_equal(r.v[VERDICT_FRESH], 1);
	assert_int_equal(r.delivered, 0);
	assert_true(l->path[ME]->drops[ESP_DROP_BAD_INNER] == 1);
	fixture_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_next_is_parse),
		cmocka_unit_test(test_policies_change),
		cmocka_unit_test(test_what_is_the_packets_own),
		cmocka_unit_test(test_selectors_hold),
		cmocka_unit_test(test_family_is_as_said),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
