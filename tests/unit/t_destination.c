/* t_destination.c - the order of a peer's addresses, by the examples of RFC 6724 10.2 and others.
 * SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "destination.h"

#define MOST 4

/* Addresses with the one of ours that each is reached from ("": there is no way), best first. */
static const struct example {
	const char *what;
	struct {
		const char *addr, *source;
	} v[MOST];
} examples[] = {
	{"matching scope",
	 {{"2001:db8:1::1", "2001:db8:1::2"}, {"198.51.100.121", "169.254.13.78"}}},
	{"matching scope, IPv4",
	 {{"198.51.100.121", "198.51.100.117"}, {"2001:db8:1::1", "fe80::1"}}},
	{"precedence", {{"2001:db8:1::1", "2001:db8:1::2"}, {"10.1.2.3", "10.1.2.4"}}},
	{"smaller scope", {{"fe80::1", "fe80::2"}, {"2001:db8:1::1", "2001:db8:1::2"}}},
	{"matching label",
	 {{"2002:c633:6401::1", "2002:c633:6401::2"}, {"2001:db8:1::1", "fe80::2"}}},
	{"6to4 is worse",
	 {{"2001:db8:1::1", "2001:db8:1::2"}, {"2002:c633:6401::1", "2002:c633:6401::2"}}},
	{"unique local is worse",
	 {{"2001:db8::1", "2001:db8::2"}, {"192.0.2.1", "192.0.2.2"}, {"fd00::1", "fd00::2"}}},
	{"not from unique local", {{"192.0.2.1", "192.0.2.2"}, {"2001:db8::1", "fd00::2"}}},
	{"no way", {{"192.0.2.1", "192.0.2.2"}, {"2001:db8::1", ""}}},
	{"longest prefix",
	 {{"2001:db8:5::1", "2001:db8:5::2"}, {"2001:db8:9::1", "2001:db8:5::2"}}},
	{"loopback", {{"::1", "::1"}, {"127.0.0.1", "127.0.0.1"}}},
};

static struct addr address(const char *text)
{
	struct addr a = {0};

	if (*text)
		assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static unsigned fill(const struct example *e, struct destination *d)
{
	unsigned n = 0;

	for (; n < MOST && e->v[n].addr; n++)
		d[n] = (struct destination){.addr = address(e->v[n].addr),
					    .source = address(e->v[n].source)};
	return n;
}

static void assert_order(const char *what, const struct destination *have,
			 const struct destination *want, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (!addr_eq(&have[i].addr, &want[i].addr))
			fail_msg("%s: place %u", what, i);
	}
}

/* Each example comes out in its order, however it went in. */
static void test_examples(void **state)
{
	struct destination want[MOST], have[MOST];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		unsigned n = fill(&examples[i], want);

		for (unsigned turn = 0; turn < n; turn++) {
			for (unsigned k = 0; k < n; k++)
				have[k] = want[(k + turn) % n];
			destinations_sort(have, n);
			assert_order(examples[i].what, have, want, n);
		}
		for (unsigned k = 0; k < n; k++)
			have[k] = want[n - 1 - k];
		destinations_sort(have, n);
		assert_order(examples[i].what, have, want, n);
	}
}

/* What the rules do not tell apart stays in the order of the answers; names go before rules. */
static void test_order_stays(void **state)
{
	struct destination d[MOST] = {
		{.addr = address("192.0.2.9"), .source = address("192.0.2.2"), .rank = 1},
		{.addr = address("192.0.2.8"), .source = address("192.0.2.2"), .rank = 1},
		{.addr = address("2001:db8::1"), .source = address("2001:db8::2"), .rank = 1},
		{.addr = address("192.0.2.7"), .source = address("192.0.2.2")},
	};
	struct destination want[MOST] = {d[3], d[2], d[0], d[1]};

	(void)state;
	destinations_sort(d, MOST);
	assert_order("names", d, want, MOST);
	destinations_sort(d, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_order_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
