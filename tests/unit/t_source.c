/* t_source.c - the source of a route, among the addresses of a pretended host.
 * SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "source.h"
#include "xalloc.h"

/* An SA of this host: a source for each family, as a route of each has one. */
struct host {
	struct own_addresses own;
	struct source v4, v6;
};

static void has_addresses(struct host *h, const char *const *texts)
{
	own_addresses_free(&h->own);
	for (; *texts; texts++) {
		struct addr a;

		assert_int_equal(addr_parse(*texts, &a), 0);
		own_addresses_add(&h->own, &a);
	}
	own_addresses_sort(&h->own);
	source_update(&h->v4, &h->own);
	source_update(&h->v6, &h->own);
}

static void begin(struct host *h, const char *const *texts)
{
	*h = (struct host){0};
	source_init(&h->v4, FAMILY_IPV4);
	source_init(&h->v6, FAMILY_IPV6);
	has_addresses(h, texts);
}

static void end(struct host *h)
{
	source_free(&h->v4);
	source_free(&h->v6);
	assert_false(source_has_users(&h->v4) || source_has_users(&h->v6));
	own_addresses_free(&h->own);
}

static struct ts_list *local(const char *a, const char *b)
{
	struct ts_list l = {0};

	assert_int_equal(ts_parse(a, &l.ts[l.count++]), 0);
	if (b)
		assert_int_equal(ts_parse(b, &l.ts[l.count++]), 0);
	return ts_list_dup(&l);
}

static void add(struct host *h, const char *a, const char *b)
{
	struct ts_list *l = local(a, b);

	source_add(&h->v4, &h->own, l);
	source_add(&h->v6, &h->own, l);
	free(l);
}

static bool drop(struct host *h, const char *a, const char *b)
{
	struct ts_list *l = local(a, b);
	bool last = source_drop(&h->v4, &h->own, l);

	assert_int_equal(source_drop(&h->v6, &h->own, l), last);
	free(l);
	return last;
}

static void expect_source(const struct source *s, const char *want)
{
	char text[ADDR_STRLEN];

	assert_string_equal(s->addr.family ? addr_format(&s->addr, text) : "none", want);
}

static const char *const addresses[] = {"192.0.2.1", "10.3.0.1", "10.1.0.1",
					"fd03::1",   "fd01::1",	 NULL};

/* A trap for a dynamic selector takes any address; the CHILD SA has the assigned one. */
static void assigned_before_any_other(void **state)
{
	struct host h;

	(void)state;
	begin(&h, addresses);
	expect_source(&h.v4, "none");
	add(&h, "0.0.0.0/0", "::/0");
	expect_source(&h.v4, "10.1.0.1");
	expect_source(&h.v6, "fd01::1");
	add(&h, "10.3.0.1/32", "fd03::1/128");
	expect_source(&h.v4, "10.3.0.1");
	expect_source(&h.v6, "fd03::1");
	/* A rekey: the new SA comes before the old one goes. */
	add(&h, "10.3.0.1/32", "fd03::1/128");
	assert_false(drop(&h, "10.3.0.1/32", "fd03::1/128"));
	expect_source(&h.v4, "10.3.0.1");
	/* The trap takes what the SA has had, while there is that address. */
	assert_false(drop(&h, "10.3.0.1/32", "fd03::1/128"));
	expect_source(&h.v4, "10.3.0.1");
	assert_false(drop(&h, "10.9.0.0/16", NULL)); /* never added */
	assert_true(drop(&h, "0.0.0.0/0", "::/0"));
	assert_false(drop(&h, "0.0.0.0/0", "::/0"));
	end(&h);
}

/* Whichever comes first; and the address may come later than the SA, and go. */
static void in_any_order(void **state)
{
	static const char *const before[] = {"192.0.2.1", "10.1.0.1", NULL};
	struct host h;

	(void)state;
	begin(&h, before);
	add(&h, "10.3.0.1/32", NULL);
	expect_source(&h.v4, "none");
	add(&h, "0.0.0.0/0", NULL);
	expect_source(&h.v4, "10.1.0.1");
	has_addresses(&h, addresses);
	expect_source(&h.v4, "10.3.0.1");
	has_addresses(&h, before);
	expect_source(&h.v4, "10.1.0.1");
	has_addresses(&h, &addresses[5]);
	expect_source(&h.v4, "none");
	end(&h);
}

static void narrowest_selector(void **state)
{
	struct host h;

	(void)state;
	begin(&h, addresses);
	add(&h, "10.0.0.0/8", "10.3.0.0/16");
	expect_source(&h.v4, "10.3.0.1");
	expect_source(&h.v6, "none");
	end(&h);
	/* Of equal ones the lowest; then it stays, also when one of them goes and comes back. */
	begin(&h, addresses);
	add(&h, "10.3.0.0/16", "10.1.0.0/16");
	expect_source(&h.v4, "10.1.0.1");
	add(&h, "10.0.0.0-10.0.255.255", NULL);
	expect_source(&h.v4, "10.1.0.1");
	end(&h);
	begin(&h, addresses);
	add(&h, "10.3.0.0/16", NULL);
	add(&h, "10.1.0.0/16", NULL);
	expect_source(&h.v4, "10.3.0.1");
	has_addresses(&h, addresses);
	expect_source(&h.v4, "10.3.0.1");
	end(&h);
	/* As many addresses as numbers of 128 bits, with a borrow from the upper half. */
	begin(&h, addresses);
	add(&h, "fd01::-fd03:0:0:1::", "fd02:ffff:ffff:ffff:ffff::-fd03:0:0:1:fffe::");
	expect_source(&h.v6, "fd03::1");
	end(&h);
}

/* When the last user goes and comes back within a turn of the loop, the source does not change. */
static void a_user_comes_back(void **state)
{
	struct host h;

	(void)state;
	begin(&h, addresses);
	add(&h, "10.3.0.1/32", NULL);
	add(&h, "10.0.0.0/8", NULL);
	assert_false(drop(&h, "10.3.0.1/32", NULL));
	assert_true(drop(&h, "10.0.0.0/8", NULL));
	add(&h, "10.0.0.0/8", NULL);
	expect_source(&h.v4, "10.3.0.1");
	assert_true(drop(&h, "10.0.0.0/8", NULL));
	add(&h, "10.1.0.0/16", NULL);
	expect_source(&h.v4, "10.1.0.1");
	assert_true(drop(&h, "10.1.0.0/16", NULL));
	add(&h, "10.2.0.0/16", NULL);
	expect_source(&h.v4, "none");
	end(&h);
}

/* ---- against a model ---- */

#define SELECTORS 24

/* Whether a is within one of the used selectors; *bits is then the longest prefix of them. */
static bool covered(const struct addr *a, const unsigned *uses, unsigned *bits)
{
	bool found = false;

	*bits = 0;
	for (unsigned i = 0; i < SELECTORS; i++) {
		unsigned len = 8 + i;

		/* Selector i is 10.<i>.<i>.<i>/(8 + i): a different one for each, some overlap. */
		if (!uses[i] || (be64toh(a->w[0]) >> (64 - len)) !=
					((0x0a000000ull | i * 0x010101u) >> (32 - len)))
			continue;
		found = true;
		*bits = len > *bits ? len : *bits;
	}
	return found;
}

static struct ts_list *selector(unsigned i)
{
	struct ts_list l = {.count = 1};
	const uint8_t b[4] = {10, (uint8_t)i, (uint8_t)i, (uint8_t)i};
	struct addr a = addr_from_bytes(FAMILY_IPV4, b);
	char text[64], from[ADDR_STRLEN];

	a = addr_masked(&a, (uint8_t)(8 + i));
	(void)snprintf(text, sizeof(text), "%s/%u", addr_format(&a, from), 8 + i);
	assert_int_equal(ts_parse(text, &l.ts[0]), 0);
	return ts_list_dup(&l);
}

static void expect_as_model(const struct host *h, const unsigned *uses, const struct addr *was)
{
	unsigned best = 0, bits;
	const struct addr *want = NULL;

	for (unsigned i = 0; i < h->own.count; i++) {
		const struct addr *a = &h->own.v[i];

		if (!covered(a, uses, &bits) || (want && bits < best))
			continue;
		if (!want || bits > best || addr_eq(a, was))
			want = a;
		best = bits;
	}
	if (want)
		assert_true(addr_eq(&h->v4.addr, want));
	else
		assert_int_equal(h->v4.addr.family, FAMILY_NONE);
}

static void change_addresses(struct host *h, unsigned random)
{
	own_addresses_free(&h->own);
	for (unsigned i = 0; i < SELECTORS; i++) {
		const uint8_t b[4] = {10, (uint8_t)i, (uint8_t)i, (uint8_t)i};
		const struct addr a = addr_from_bytes(FAMILY_IPV4, b);

		if (random >> i & 1)
			own_addresses_add(&h->own, &a);
	}
	own_addresses_sort(&h->own);
	source_update(&h->v4, &h->own);
}

/* After any changes it is what a search of everything would find, and stays if it may. */
static void as_a_whole_search(void **state)
{
	struct host h;
	unsigned uses[SELECTORS] = {0}, count = 0, random = 1;

	(void)state;
	begin(&h, addresses);
	for (unsigned step = 0; step < 20000; step++) {
		const struct addr was = h.v4.addr;
		struct ts_list *l;
		unsigned i;

		random = random * 1664525 + 1013904223;
		i = (random >> 16) % SELECTORS;
		l = selector(i);
		if (random >> 28 == 0) {
			change_addresses(&h, random);
		} else if (random & 1u << 15) {
			source_add(&h.v4, &h.own, l);
			count += uses[i]++ == 0;
		} else {
			bool last = uses[i] == 1 && count == 1;

			assert_int_equal(source_drop(&h.v4, &h.own, l), last);
			if (uses[i])
				count -= --uses[i] == 0;
		}
		free(l);
		if (count)
			expect_as_model(&h, uses, &was);
	}
	end(&h);
}

/* Each child has its own address of this host: with a search of all by all for each, this would
 * take hours. */
static void many_children_of_many_addresses(void **state)
{
	enum { MANY = 10000 };
	struct ts_list *l = local("10.0.0.0/32", NULL);
	struct host h;

	(void)state;
	begin(&h, addresses);
	for (unsigned i = 0; i < MANY; i++) {
		const uint8_t b[4] = {10, 0, (uint8_t)(i >> 8), (uint8_t)i};
		const struct addr a = addr_from_bytes(FAMILY_IPV4, b);

		own_addresses_add(&h.own, &a);
	}
	own_addresses_sort(&h.own);
	for (unsigned i = 0; i < MANY; i++) {
		l->ts[0].lo = l->ts[0].hi = h.own.v[i];
		source_add(&h.v4, &h.own, l);
	}
	expect_source(&h.v4, "10.0.0.0");
	free(l);
	end(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(assigned_before_any_other),
		cmocka_unit_test(in_any_order),
		cmocka_unit_test(narrowest_selector),
		cmocka_unit_test(a_user_comes_back),
		cmocka_unit_test(as_a_whole_search),
		cmocka_unit_test(many_children_of_many_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
