/* t_source.c - the source of a route, among the addresses of a pretended host.
 * SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "netlink.h"
#include "source.h"

static const char *const *host; /* its addresses, up to a NULL */

void netlink_each_address(struct netlink *n, void (*fn)(void *ctx, const struct addr *a), void *ctx)
{
	(void)n;
	for (const char *const *text = host; *text; text++) {
		struct addr a;

		assert_int_equal(addr_parse(*text, &a), 0);
		fn(ctx, &a);
	}
}

static struct ts_list *local(const char *a, const char *b)
{
	struct ts_list l = {0};

	assert_int_equal(ts_parse(a, &l.ts[l.count++]), 0);
	if (b)
		assert_int_equal(ts_parse(b, &l.ts[l.count++]), 0);
	return ts_list_dup(&l);
}

static bool change(struct source_users *users, const char *a, const char *b, bool add)
{
	struct ts_list *l = local(a, b);
	bool changed = (add ? source_add : source_drop)(users, l);

	free(l);
	return changed;
}

static void expect_source(const struct source_users *users, uint8_t family, const char *want)
{
	struct addr a = source_find(users, NULL, family);
	char text[ADDR_STRLEN];

	assert_string_equal(a.family ? addr_format(&a, text) : "none", want);
}

static const char *const addresses[] = {"192.0.2.1", "10.1.0.1", "10.3.0.1",
					"fd01::1",   "fd03::1",	 NULL};

/* A trap for a dynamic selector takes any address; the CHILD SA has the assigned one. */
static void assigned_before_any_other(void **state)
{
	struct source_users users = SLIST_HEAD_INITIALIZER(users);

	(void)state;
	host = addresses;
	expect_source(&users, FAMILY_IPV4, "none");
	assert_true(change(&users, "0.0.0.0/0", "::/0", true));
	expect_source(&users, FAMILY_IPV4, "192.0.2.1");
	expect_source(&users, FAMILY_IPV6, "fd01::1");
	assert_true(change(&users, "10.3.0.1/32", "fd03::1/128", true));
	expect_source(&users, FAMILY_IPV4, "10.3.0.1");
	expect_source(&users, FAMILY_IPV6, "fd03::1");
	/* A rekey: the new SA comes before the old one goes. */
	assert_false(change(&users, "10.3.0.1/32", "fd03::1/128", true));
	assert_false(change(&users, "10.3.0.1/32", "fd03::1/128", false));
	expect_source(&users, FAMILY_IPV4, "10.3.0.1");
	assert_true(change(&users, "10.3.0.1/32", "fd03::1/128", false));
	expect_source(&users, FAMILY_IPV4, "192.0.2.1");
	assert_false(change(&users, "10.9.0.0/16", NULL, false)); /* never added */
	source_free(&users);
	assert_true(SLIST_EMPTY(&users));
}

/* Whichever comes first; and the address may come later than the SA. */
static void in_any_order(void **state)
{
	static const char *const before[] = {"192.0.2.1", "10.1.0.1", NULL};
	struct source_users users = SLIST_HEAD_INITIALIZER(users);

	(void)state;
	host = before;
	assert_true(change(&users, "10.3.0.1/32", NULL, true));
	expect_source(&users, FAMILY_IPV4, "none");
	assert_true(change(&users, "0.0.0.0/0", NULL, true));
	expect_source(&users, FAMILY_IPV4, "192.0.2.1");
	host = addresses;
	expect_source(&users, FAMILY_IPV4, "10.3.0.1");
	source_free(&users);
}

static void narrowest_selector(void **state)
{
	struct source_users users = SLIST_HEAD_INITIALIZER(users);

	(void)state;
	host = addresses;
	assert_true(change(&users, "10.0.0.0/8", "10.3.0.0/16", true));
	expect_source(&users, FAMILY_IPV4, "10.3.0.1");
	expect_source(&users, FAMILY_IPV6, "none");
	source_free(&users);
	/* Of equal ones, and of those that are not one within the other, the first address. */
	assert_true(change(&users, "10.3.0.0/16", "10.1.0.0/16", true));
	expect_source(&users, FAMILY_IPV4, "10.1.0.1");
	source_free(&users);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(assigned_before_any_other),
		cmocka_unit_test(in_any_order),
		cmocka_unit_test(narrowest_selector),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
