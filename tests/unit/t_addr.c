/* t_addr.c - addresses, traffic selectors, narrowing and prefixes. SPDX-License-Identifier: ISC */
#include "addr.h"
#include "esp_fixture.h"
#include "saved.h"
#include "wire.h"

/* Addresses and endpoints are parsed and formatted; invalid ones are rejected. */
static void test_addresses(void **state)
{
	static const char *const good[] = {
		"0.0.0.0", "255.255.255.255",	     "10.1.2.3",       "::",
		"::1",	   "2001:db8::ff00:42:8329", "::ffff:10.1.2.3"};
	static const char *const bad[] = {"",		"1",	     "1.2.3", "1.2.3.256",
					  "1.2.3.4 ",	"1.2.3.4/8", "g::1",  "fe80::1%lo",
					  "01.2.3.4.5", "1::2::3"};
	char s[ADDR_STRLEN], e[ENDPOINT_STRLEN];
	struct addr a = {.family = 77}, b;
	struct endpoint ep = {.port = 4500}, eq;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(addr_parse(bad[i], &a), -EINVAL);
	assert_int_equal(a.family, 77);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(addr_parse(good[i], &a), 0);
		assert_string_equal(addr_format(&a, s), good[i]);
		b = addr_from_bytes(a.family, a.b);
		assert_int_equal(addr_cmp(&a, &b), 0);
		assert_int_equal(addr_is_any(&a), i == 0 || i == 3);
	}
	assert_int_equal(addr_parse("192.0.2.1", &ep.addr), 0);
	assert_string_equal(endpoint_format(&ep, e), "192.0.2.1:4500");
	eq = ep;
	assert_true(endpoint_eq(&ep, &eq));
	eq.port++;
	assert_false(endpoint_eq(&ep, &eq));
	assert_int_equal(addr_parse("2001:db8::1", &ep.addr), 0);
	assert_string_equal(endpoint_format(&ep, e), "[2001:db8::1]:4500");
}

/* An endpoint is read as it is written; what is none is refused. */
static void test_endpoints(void **state)
{
	static const char *const same[] = {"192.0.2.1:4500", "[2001:db8::1]:500", "[::]:65535",
					   "0.0.0.0:0"};
	static const char *const bad[] = {"",
					  ":500",
					  "192.0.2.1",
					  "192.0.2.1:",
					  "192.0.2.1:+1",
					  "192.0.2.1:-1",
					  "192.0.2.1: 1",
					  "192.0.2.1:1x",
					  "192.0.2.1:65536",
					  "192.0.2.1:000500",
					  "[192.0.2.1]:1",
					  "::1:500",
					  "[::1:500",
					  "::1]:500",
					  "[]:500",
					  "%any:500",
					  "[::1]500",
					  "192.0.2.1:500:500"};
	struct endpoint e = {.port = 77}, before = e;
	char s[ENDPOINT_STRLEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (endpoint_parse(bad[i], &e) != -EINVAL)
			fail_msg("%s is taken", bad[i]);
		assert_true(endpoint_eq(&e, &before));
	}
	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		assert_int_equal(endpoint_parse(same[i], &e), 0);
		assert_string_equal(endpoint_format(&e, s), same[i]);
	}
}

/* What an address can be: of this host alone, and of no host at all. */
static void test_kinds_of_addresses(void **state)
{
	static const struct {
		const char *text;
		bool loopback, no_host;
	} rows[] = {
		{"127.0.0.1", true, false},
		{"127.255.255.255", true, false},
		{"126.255.255.255", false, false},
		{"128.0.0.0", false, false},
		{"::1", true, false},
		{"::2", false, false},
		{"::ffff:127.0.0.1", false, false},
		{"0.0.0.0", false, true},
		{"0.255.255.255", false, true},
		{"1.0.0.0", false, false},
		{"223.255.255.255", false, false},
		{"224.0.0.0", false, true},
		{"255.255.255.255", false, true},
		{"::", false, true},
		{"feff::1", false, false},
		{"ff00::", false, true},
	};
	struct addr a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(addr_parse(rows[i].text, &a), 0);
		if (addr_is_loopback(&a) != rows[i].loopback ||
		    addr_is_no_host(&a) != rows[i].no_host)
			fail_msg("%s is taken for another thing", rows[i].text);
	}
	assert_false(addr_is_loopback(&(struct addr){0}));
	assert_true(addr_is_no_host(&(struct addr){0}));
}

/* Traffic selectors are parsed and formatted; invalid ones are rejected. */
static void test_selectors_text(void **state)
{
	static const char *const same[] = {"10.1.0.0/16",
					   "10.1.0.1/32",
					   "0.0.0.0/0",
					   "10.0.0.1-10.0.0.9",
					   "10.1.0.0/16[6/80]",
					   "10.1.0.0/16[17/1000-2000]",
					   "10.1.0.0/16[17]",
					   "10.1.0.0/16[0/53]",
					   "10.1.0.0/16[6/opaque]",
					   "10.1.0.0/16[0/opaque]",
					   "10.1.0.0/16[1/8]",
					   "10.1.0.0/16[1/8-11]",
					   "10.1.0.0/16[1/0/3]",
					   "10.1.0.0/16[1/3/4-5/6]",
					   "::/0[58/128]",
					   "dynamic",
					   "dynamic[17/53]",
					   "::/0",
					   "2001:db8::/33",
					   "2001:db8::1-2001:db8::ff[58]"};
	static const char *const other[][2] = {{"10.1.0.1", "10.1.0.1/32"},
					       {"10.1.2.3/16", "10.1.0.0/16"},
					       {"10.1.0.0/16[tcp/80]", "10.1.0.0/16[6/80]"},
					       {"10.1.0.0/16[udp/any]", "10.1.0.0/16[17]"},
					       {"10.0.0.0-10.0.0.255", "10.0.0.0/24"},
					       {"10.1.0.0/16[/53]", "10.1.0.0/16[0/53]"},
					       {"10.1.0.0/16[icmp/2048]", "10.1.0.0/16[1/8/0]"},
					       {"10.1.0.0/16[icmp/0]", "10.1.0.0/16[1/0]"},
					       {"10.1.0.0/16[sctp/5000]", "10.1.0.0/16[132/5000]"},
					       {"10.1.0.0/16[gre]", "10.1.0.0/16[47]"},
					       {"::1[icmpv6]", "::1/128[58]"}};
	static const char *const bad[] = {"",
					  "10.1.0.0/33",
					  "10.1.0.0/-1",
					  "10.1.0.0/",
					  "10.0.0.9-10.0.0.1",
					  "10.0.0.1-::1",
					  "10.0.0.1-10.0.0.3/24",
					  "10.1.0.0/16[",
					  "10.1.0.0/16[]",
					  "10.1.0.0/16[tcp",
					  "10.1.0.0/16[tcp/]",
					  "10.1.0.0/16[tcp/65536]",
					  "10.1.0.0/16[tcp/5-4]",
					  "10.1.0.0/16[256]",
					  "10.1.0.0/16[tcp/1/2]",
					  "10.1.0.0/16[icmp/8/256]",
					  "10.1.0.0/16[icmp/256/0]",
					  "10.1.0.0/16[icmp/9-8]",
					  "10.1.0.0/16[tcp/opaque-5]",
					  "10.1.0.0/16[tcp]x",
					  "dynamics"};
	char s[TS_STRLEN];
	struct ts t, u;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		assert_int_equal(ts_parse(same[i], &t), 0);
		assert_string_equal(ts_format(&t, s), same[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(other); i++) {
		assert_int_equal(ts_parse(other[i][0], &t), 0);
		assert_string_equal(ts_format(&t, s), other[i][1]);
		assert_int_equal(ts_parse(s, &u), 0);
		assert_true(ts_eq(&t, &u));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(ts_parse(bad[i], &t), -EINVAL);
}

static void test_list_format(void **state)
{
	struct ts_list l = {.count = 2};
	char s[64];

	(void)state;
	assert_int_equal(ts_parse("10.1.0.0/16", &l.ts[0]), 0);
	assert_int_equal(ts_parse("::/0", &l.ts[1]), 0);
	assert_string_equal(ts_list_format(&l, s, sizeof(s)), "10.1.0.0/16,::/0");
	for (size_t size = 1; size < 17; size++) { /* shortened to any size, always terminated */
		memset(s, 'x', sizeof(s));
		ts_list_format(&l, s, size);
		assert_int_equal(strlen(s), size - 1);
		assert_int_equal(s[size], 'x');
	}
}

/* A random traffic selector in a small space, so that every member can be tried. */
static struct ts small_ts(struct fixture_rng *r)
{
	static const uint8_t protos[] = {0, 0, 6, 17};
	uint8_t lo = (uint8_t)fixture_below(r, 16), hi = (uint8_t)(lo + fixture_below(r, 16u - lo));
	struct ts t = {.family = FAMILY_IPV4,
		       .proto = protos[fixture_below(r, 4)],
		       .port_lo = (uint16_t)fixture_below(r, 4)};

	t.port_hi = (uint16_t)(t.port_lo + fixture_below(r, 4u - t.port_lo));
	if (fixture_chance(r, 40)) {
		t.port_lo = 0;
		t.port_hi = UINT16_MAX;
	}
	t.lo = addr_from_bytes(FAMILY_IPV4, (uint8_t[]){10, 0, 0, lo});
	t.hi = addr_from_bytes(FAMILY_IPV4, (uint8_t[]){10, 0, 0, hi});
	return t;
}

static bool any_match(const struct ts_list *l, const struct addr *a, uint8_t proto, uint16_t port)
{
	for (unsigned i = 0; i < l->count; i++) {
		if (ts_match(&l->ts[i], a, proto, port))
			return true;
	}
	return false;
}

/* Asserts, for each member of the space, that the narrowed selectors match what both sides match
 * (RFC 7296 2.9).
 */
static void compare_narrowed(const struct ts_list *a, const struct ts_list *b,
			     const struct ts_list *n)
{
	static const uint8_t protos[] = {6, 17, 50};

	for (uint8_t i = 0; i < 18; i++) {
		struct addr x = addr_from_bytes(FAMILY_IPV4, (uint8_t[]){10, 0, 0, i});

		for (unsigned p = 0; p < 3; p++) {
			for (uint16_t port = 0; port < 5; port++)
				assert_int_equal(any_match(n, &x, protos[p], port),
						 any_match(a, &x, protos[p], port) &&
							 any_match(b, &x, protos[p], port));
		}
	}
}

/* Random lists are narrowed to their intersection, without redundant selectors. */
static void test_narrowing(void **state)
{
	struct fixture_rng r;

	(void)state;
	fixture_rng_init(&r, 2);
	for (unsigned k = 0; k < 20000; k++) {
		struct ts_list a = {.count = (uint8_t)(1 + fixture_below(&r, 4))};
		struct ts_list b = {.count = (uint8_t)(1 + fixture_below(&r, 4))},
			       n = {.count = 99};
		struct ts_list none = {0};
		bool some;

		for (unsigned i = 0; i < 4; i++) {
			a.ts[i] = small_ts(&r);
			b.ts[i] = small_ts(&r);
		}
		some = ts_narrow(&a, &b, &n);
		if (!some)
			assert_int_equal(n.count, 99);
		compare_narrowed(&a, &b, some ? &n : &none);
		for (unsigned i = 0; some && i < n.count; i++) {
			for (unsigned j = 0; j < n.count; j++)
				assert_false(i != j && ts_contains(&n.ts[i], &n.ts[j]));
		}
		assert_int_equal(ts_contains(&a.ts[0], &b.ts[0]),
				 ts_intersect(&a.ts[0], &b.ts[0], &n.ts[0]) &&
					 ts_eq(&n.ts[0], &b.ts[0]));
	}
}

/* Traffic selectors of different families have no intersection. */
static void test_narrowing_families(void **state)
{
	struct ts_list a = {.count = 2}, b = {.count = 1}, n;

	(void)state;
	assert_int_equal(ts_parse("0.0.0.0/0", &a.ts[0]), 0);
	assert_int_equal(ts_parse("2001:db8::/32", &a.ts[1]), 0);
	assert_int_equal(ts_parse("::/0", &b.ts[0]), 0);
	assert_true(ts_narrow(&a, &b, &n));
	assert_int_equal(n.count, 1);
	assert_true(ts_eq(&n.ts[0], &a.ts[1]));
	a.count = 1;
	assert_false(ts_narrow(&a, &b, &n));
}

static struct ts parsed(const char *s)
{
	struct ts t;

	assert_int_equal(ts_parse(s, &t), 0);
	return t;
}

/* OPAQUE is a part of "any", and of nothing else (RFC 4301 4.4.1.1). */
static void test_opaque(void **state)
{
	struct ts any = parsed("10.0.0.0/8[tcp]"), opaque = parsed("10.0.0.0/8[tcp/opaque]"),
		  some = parsed("10.0.0.0/8[tcp/0-65534]"), one = parsed("10.0.0.0/8[tcp/443]"), t;

	(void)state;
	assert_true(ts_contains(&any, &opaque) && ts_contains(&opaque, &opaque));
	assert_false(ts_contains(&opaque, &any) || ts_contains(&some, &opaque) ||
		     ts_contains(&one, &opaque) || ts_contains(&opaque, &one));
	assert_true(ts_intersect(&any, &opaque, &t) && ts_eq(&t, &opaque));
	assert_true(ts_intersect(&opaque, &any, &t) && ts_eq(&t, &opaque));
	assert_false(ts_intersect(&some, &opaque, &t) || ts_intersect(&opaque, &one, &t));
	assert_false(ts_match(&opaque, &opaque.lo, 6, 0) ||
		     ts_match(&opaque, &opaque.lo, 6, 65535));
}

/* Selectors that were saved are read again, and not if a range is empty. */
static void test_saved(void **state)
{
	static const char *const texts[] = {"10.1.0.0/16[tcp/opaque]", "fd00::1-fd00::9[udp/7-9]"};
	struct ts_list l = {.count = 2}, got;
	uint8_t b[256];
	struct writer w;
	struct reader r;

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		l.ts[i] = parsed(texts[i]);
	for (unsigned wrong = 0; wrong < 4; wrong++) {
		struct ts_list m = {0};

		ts_list_copy(&m, &l);
		if (wrong == 1)
			m.ts[1].hi.b[15] = 0;
		if (wrong == 2)
			m.ts[1].port_hi = 6;
		if (wrong == 3)
			m.count = 0;
		wr_init(&w, b, sizeof(b));
		ts_list_save(&m, &w);
		rd_init(&r, b, w.len);
		assert_int_equal(ts_list_load(&r, &got), wrong ? -EBADMSG : 0);
		assert_true(wrong || ts_list_eq(&got, &l));
	}
}

static uint64_t low64(const struct addr *a)
{
	return a->family == FAMILY_IPV4 ? get_be32(a->b) : get_be64(a->b + 8);
}

/* Asserts that the prefixes of a range cover it exactly, in order, and are as few as possible. */
static void check_prefixes(const struct addr *lo, const struct addr *hi)
{
	struct prefix p[PREFIX_MAX];
	unsigned bits = (unsigned)addr_len(lo->family) * 8,
		 n = range_prefixes(lo, hi, p, PREFIX_MAX);
	uint64_t at = low64(lo);

	assert_true(n > 0);
	for (unsigned i = 0; i < n; i++) {
		unsigned host = bits - p[i].len;

		assert_true(low64(&p[i].addr) == at);
		assert_true(host >= 64 || at % (1ULL << host) == 0);
		at += host >= 64 ? 0 : 1ULL << host;
		if (i > 0 && p[i].len == p[i - 1].len) /* two of equal length must not be the halves
							* of a shorter one */
			assert_true(low64(&p[i - 1].addr) >> host & 1);
	}
	assert_true(at == low64(hi) + 1 ||
		    (bits == 32 && at == 1ULL << 32 && low64(hi) == UINT32_MAX));
	if (n > 1)
		assert_int_equal(range_prefixes(lo, hi, p, n - 1), 0);
}

/* Random ranges, the whole address space, and the range with the most prefixes. */
static void test_prefixes(void **state)
{
	struct addr lo, hi;
	struct prefix p[PREFIX_MAX];
	struct fixture_rng r;

	(void)state;
	fixture_rng_init(&r, 3);
	for (unsigned k = 0; k < 20000; k++) {
		uint64_t a = fixture_u64(&r) >> fixture_below(&r, 62),
			 b = a + (fixture_u64(&r) >> fixture_below(&r, 64));
		bool v6 = k & 1;
		uint8_t x[16] = {0x20, 1}, y[16] = {0x20, 1};

		if (!v6) {
			a = (uint32_t)a;
			b = a + fixture_below(&r, (1ULL << 32) - a);
		}
		if (b < a)
			continue;
		put_be64(x + 8, a);
		put_be64(y + 8, b);
		lo = addr_from_bytes(v6 ? FAMILY_IPV6 : FAMILY_IPV4, v6 ? x : x + 12);
		hi = addr_from_bytes(v6 ? FAMILY_IPV6 : FAMILY_IPV4, v6 ? y : y + 12);
		check_prefixes(&lo, &hi);
	}
	assert_int_equal(addr_parse("0.0.0.0", &lo), 0);
	assert_int_equal(addr_parse("255.255.255.255", &hi), 0);
	assert_int_equal(range_prefixes(&lo, &hi, p, 1), 1);
	assert_int_equal(p[0].len, 0);
	assert_int_equal(addr_parse("::1", &lo), 0); /* the range with the most prefixes */
	assert_int_equal(addr_parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", &hi), 0);
	assert_int_equal(range_prefixes(&lo, &hi, p, PREFIX_MAX), 254);
}

static void test_masks(void **state)
{
	struct addr a, m;

	(void)state;
	assert_int_equal(addr_parse("255.255.255.255", &a), 0);
	for (unsigned len = 0; len <= 32; len++) {
		m = addr_masked(&a, (uint8_t)len);
		assert_int_equal(get_be32(m.b), len ? UINT32_MAX << (32 - len) : 0);
	}
	m = ts_host(&a, 6, 80).lo;
	assert_int_equal(addr_cmp(&a, &m), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_kinds_of_addresses),
		cmocka_unit_test(test_selectors_text),
		cmocka_unit_test(test_list_format),
		cmocka_unit_test(test_narrowing),
		cmocka_unit_test(test_narrowing_families),
		cmocka_unit_test(test_opaque),
		cmocka_unit_test(test_saved),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_masks),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
