/* t_spd.c - the lookup of policies for inner packets, against a linear search.
 * SPDX-License-Identifier: ISC */
#include "esp_fixture.h"
#include "xalloc.h"

enum { POLICIES = 120 };

/* A random traffic selector in a small part of the address space, so that policies overlap. */
static struct ts some_ts(struct fixture_rng *r, uint8_t family, bool range)
{
	static const uint8_t protos[] = {0, 0, 0, PROTO_TCP, PROTO_UDP, PROTO_ICMP};
	unsigned bits = (unsigned)addr_len(family) * 8, len = bits - (unsigned)fixture_below(r, 7);
	struct ts t = {
		.family = family, .proto = protos[fixture_below(r, 6)], .port_hi = UINT16_MAX};
	unsigned last = (unsigned)addr_len(family) - 1;
	uint8_t b[16] = {10};

	if (fixture_chance(r, 5))
		len = (unsigned)fixture_below(r, 9);
	b[last] = (uint8_t)fixture_below(r, 64);
	t.lo = addr_from_bytes(family, b);
	t.lo = addr_masked(&t.lo, (uint8_t)len);
	t.hi = t.lo;
	for (unsigned i = len; i < bits; i++)
		t.hi.b[i / 8] |= (uint8_t)(0x80 >> i % 8);
	if (range && len > 8) {
		t.hi = t.lo;
		t.hi.b[last] = (uint8_t)(t.lo.b[last] + fixture_below(r, 64));
	}
	if (fixture_chance(r, 10)) { /* OPAQUE */
		t.port_lo = UINT16_MAX;
		t.port_hi = 0;
	} else if (t.proto && fixture_chance(r, 50)) {
		t.port_lo = (uint16_t)fixture_below(r, 4);
		t.port_hi = (uint16_t)(t.port_lo + fixture_below(r, 3));
	}
	return t;
}

/* A policy with its traffic selectors. */
struct owned {
	struct spd_policy p;
	struct ts_list local, remote;
};

static void own(struct owned *o, uint64_t order)
{
	*o = (struct owned){.p = {.order = order, .local = &o->local, .remote = &o->remote}};
}

static void some_policy(struct fixture_rng *r, struct owned *o, uint64_t order)
{
	uint8_t family = fixture_chance(r, 70) ? FAMILY_IPV4 : FAMILY_IPV6;

	own(o, order);
	o->p.sa.gen = (uint32_t)fixture_below(r, 2);
	o->local.count = (uint8_t)(1 + fixture_below(r, 3));
	o->remote.count = (uint8_t)(1 + fixture_below(r, 3));
	for (unsigned i = 0; i < 3; i++) {
		o->local.ts[i] = some_ts(r, family, fixture_chance(r, 30));
		o->remote.ts[i] = some_ts(r, family, fixture_chance(r, 30));
	}
}

static void some_packet(struct fixture_rng *r, struct inner *in)
{
	static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP, 47};
	uint8_t family = fixture_chance(r, 70) ? FAMILY_IPV4 : FAMILY_IPV6, b[16] = {10};
	unsigned last = (unsigned)addr_len(family) - 1;

	*in = (struct inner){.proto = protos[fixture_below(r, 4)],
			     .sport = (uint16_t)fixture_below(r, 6),
			     .dport = (uint16_t)fixture_below(r, 6)};
	in->ports_known = in->proto != 47 && fixture_chance(r, 90);
	if (in->proto == PROTO_ICMP)
		in->dport = in->sport;
	b[last] = (uint8_t)fixture_below(r, 70);
	in->src = addr_from_bytes(family, b);
	b[last] = (uint8_t)fixture_below(r, 70);
	in->dst = addr_from_bytes(family, b);
}

/* The prefix length of the largest aligned block within the range that contains a. */
static unsigned block_len(const struct ts *t, const struct addr *a)
{
	unsigned bits = (unsigned)addr_len(a->family) * 8;

	for (unsigned len = 0; len < bits; len++) {
		struct addr lo = addr_masked(a, (uint8_t)len), hi = lo;

		for (unsigned i = len; i < bits; i++)
			hi.b[i / 8] |= (uint8_t)(0x80 >> i % 8);
		if (memcmp(lo.b, t->lo.b, 16) >= 0 && memcmp(hi.b, t->hi.b, 16) <= 0)
			return len;
	}
	return bits;
}

/* 0: the selector does not match; else the higher, the more specific it is. */
static unsigned selects(const struct ts *t, const struct addr *a, const struct inner *in,
			uint16_t port)
{
	bool any_port = t->port_lo == 0 && t->port_hi == UINT16_MAX;

	if (t->family != a->family || memcmp(a->b, t->lo.b, 16) < 0 ||
	    memcmp(a->b, t->hi.b, 16) > 0)
		return 0;
	if (t->proto && t->proto != in->proto)
		return 0;
	/* Reversed ranges of these tests are OPAQUE. */
	if (!any_port &&
	    (t->port_lo > t->port_hi ? in->ports_known
				     : !in->ports_known || port < t->port_lo || port > t->port_hi))
		return 0;
	return 1 + 4 * block_len(t, a) + (t->proto ? 2 : 0) + (any_port ? 0 : 1);
}

static unsigned weight(const struct spd_policy *p, const struct inner *in)
{
	unsigned best_l = 0, best_r = 0;

	for (unsigned i = 0; i < p->local->count; i++)
		best_l = (unsigned)max_u64(best_l,
					   selects(&p->local->ts[i], &in->src, in, in->sport));
	for (unsigned i = 0; i < p->remote->count; i++)
		best_r = (unsigned)max_u64(best_r,
					   selects(&p->remote->ts[i], &in->dst, in, in->dport));
	return best_l && best_r ? best_l + best_r : 0;
}

static const struct spd_policy *linear(const struct owned *all, const bool *on,
				       const struct inner *in)
{
	const struct spd_policy *best = NULL;
	unsigned best_weight = 0;

	for (unsigned i = 0; i < POLICIES; i++) {
		const struct spd_policy *p = &all[i].p;
		unsigned w = on[i] ? weight(p, in) : 0;

		if (w == 0 || w < best_weight)
			continue;
		if (w == best_weight &&
		    (p->sa.gen != best->sa.gen ? p->sa.gen < best->sa.gen : p->order < best->order))
			continue;
		best = p;
		best_weight = w;
	}
	return best;
}

/* Random policies come and go; each lookup gives the result of the linear search. */
static void test_random_policies(void **state)
{
	static struct owned all[POLICIES];
	unsigned found = 0, none = 0;
	bool on[POLICIES] = {false};
	struct fixture_rng r;
	struct spd s;

	(void)state;
	fixture_rng_init(&r, 1);
	spd_init(&s);
	for (unsigned k = 0; k < 3000; k++) {
		unsigned i = (unsigned)fixture_below(&r, POLICIES);
		struct inner in;

		if (on[i]) {
			spd_remove(&s, &all[i].p);
		} else {
			some_policy(&r, &all[i], k);
			assert_int_equal(spd_add(&s, &all[i].p), 0);
		}
		on[i] = !on[i];
		/* an SA comes or goes without notice to the index */
		all[fixture_below(&r, POLICIES)].p.sa.gen ^= 1;
		for (unsigned j = 0; j < 40; j++) {
			const struct spd_policy *want;

			some_packet(&r, &in);
			want = linear(all, on, &in);
			assert_ptr_equal(spd_lookup(&s, &in), want);
			found += want != NULL;
			none += want == NULL;
		}
	}
	assert_true(found > 10000 && none > 1000);
	for (unsigned i = 0; i < POLICIES; i++) {
		if (on[i])
			spd_remove(&s, &all[i].p);
	}
	assert_int_equal(s.entry_count, 0);
	assert_int_equal(s.tuple_count, 0);
	spd_fini(&s);
}

static void policy(struct owned *o, const char *local, const char *remote, uint64_t order)
{
	own(o, order);
	o->local.count = o->remote.count = 1;
	assert_int_equal(ts_parse(local, &o->local.ts[0]), 0);
	assert_int_equal(ts_parse(remote, &o->remote.ts[0]), 0);
}

static struct inner packet(const char *src, const char *dst)
{
	struct inner in = {.proto = PROTO_UDP, .sport = 5, .dport = 53, .ports_known = true};

	assert_int_equal(addr_parse(src, &in.src), 0);
	assert_int_equal(addr_parse(dst, &in.dst), 0);
	return in;
}

/* The more specific policy is preferred, then one with an SA, then the later one. */
static void test_preference(void **state)
{
	struct owned wide, narrow, later, up;
	struct inner in = packet("10.1.0.1", "10.2.0.1");
	struct spd s;

	(void)state;
	spd_init(&s);
	assert_null(spd_lookup(&s, &in));
	policy(&wide, "10.0.0.0/8", "0.0.0.0/0", 9);
	policy(&narrow, "10.1.0.0/16", "10.2.0.0/16", 1);
	policy(&later, "10.1.0.0/16", "10.2.0.0/16", 2);
	policy(&up, "10.1.0.0/16", "10.2.0.0/16", 0);
	up.p.sa.gen = 1;
	assert_int_equal(spd_add(&s, &wide.p), 0);
	assert_ptr_equal(spd_lookup(&s, &in), &wide.p);
	assert_int_equal(spd_add(&s, &narrow.p), 0);
	assert_ptr_equal(spd_lookup(&s, &in), &narrow.p);
	assert_int_equal(spd_add(&s, &later.p), 0);
	assert_ptr_equal(spd_lookup(&s, &in), &later.p);
	assert_int_equal(spd_add(&s, &up.p), 0);
	assert_ptr_equal(spd_lookup(&s, &in), &up.p);
	spd_remove(&s, &up.p);
	assert_ptr_equal(spd_lookup(&s, &in), &later.p);
	spd_remove(&s, &up.p); /* a second removal does nothing */
	spd_remove(&s, &later.p);
	spd_remove(&s, &narrow.p);
	assert_ptr_equal(spd_lookup(&s, &in), &wide.p);
	spd_fini(&s);
}

/* A policy that needs too many entries is refused, and leaves nothing behind. */
static void test_too_big(void **state)
{
	struct owned p, q;
	struct inner in = packet("10.1.0.1", "10.2.0.1");
	struct spd s;

	(void)state;
	spd_init(&s);
	policy(&p, "0.0.0.1-255.255.255.254", "0.0.0.1-255.255.255.254", 1);
	assert_int_equal(spd_add(&s, &p.p), 0); /* 62 * 62 entries */
	assert_ptr_equal(spd_lookup(&s, &in), &p.p);
	spd_remove(&s, &p.p);
	policy(&q, "0.0.0.1-255.255.255.254", "0.0.0.1-255.255.255.254", 1);
	q.local.count = 2;
	q.local.ts[1] = q.local.ts[0];
	assert_int_equal(spd_add(&s, &q.p), -E2BIG);
	assert_null(spd_lookup(&s, &in));
	assert_int_equal(s.entry_count, 0);
	spd_fini(&s);
}

/* An IPv4 policy never matches an IPv6 packet. */
static void test_families_do_not_mix(void **state)
{
	struct owned p;
	struct inner in = packet("::1", "::2");
	struct spd s;

	(void)state;
	spd_init(&s);
	policy(&p, "0.0.0.0/0", "0.0.0.0/0", 1);
	assert_int_equal(spd_add(&s, &p.p), 0);
	assert_null(spd_lookup(&s, &in));
	in = packet("0.0.0.1", "0.0.0.2");
	assert_ptr_equal(spd_lookup(&s, &in), &p.p);
	spd_fini(&s);
}

/* With 10,000 children, each packet finds its own policy, in an index that has grown with them. */
static void test_many(void **state)
{
	enum { MANY = 10000 };
	struct owned *all = xzalloc(MANY * sizeof(*all));
	struct spd s;

	(void)state;
	spd_init(&s);
	for (unsigned i = 0; i < MANY; i++) {
		char local[32], remote[32];

		snprintf(local, sizeof(local), "10.1.%u.%u", i >> 8, i & 255);
		snprintf(remote, sizeof(remote), "10.2.%u.0/24", i & 255);
		policy(&all[i], local, remote, i);
		assert_int_equal(spd_add(&s, &all[i].p), 0);
	}
	for (unsigned i = 0; i < MANY; i++) {
		char src[32], dst[32];
		struct inner in;

		snprintf(src, sizeof(src), "10.1.%u.%u", i >> 8, i & 255);
		snprintf(dst, sizeof(dst), "10.2.%u.%u", i & 255, i % 251);
		in = packet(src, dst);
		assert_ptr_equal(spd_lookup(&s, &in), &all[i].p);
	}
	assert_int_equal(s.tuple_count, 1);
	assert_int_equal(s.entry_count, MANY);
	assert_true(s.bucket_count >= MANY);
	for (unsigned i = 0; i < MANY; i++)
		spd_remove(&s, &all[i].p);
	assert_int_equal(s.entry_count, 0);
	assert_int_equal(s.tuple_count, 0);
	spd_fini(&s);
	free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_policies),
		cmocka_unit_test(test_preference),
		cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_families_do_not_mix),
		cmocka_unit_test(test_many),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
