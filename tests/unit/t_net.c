/* t_net.c - routes of many tunnels, over a pretended kernel. SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net.h"
#include "netlink.h"

#include <linux/rtnetlink.h>

static unsigned lists_of_addresses, lists_of_routes, replaced, warnings;
static bool refuses;		   /* to list anything */
static const char *const *own_now; /* the addresses of the host, up to a NULL */
static char none[1];		   /* stands for the socket */

struct netlink *netlink_new(int *ret_error)
{
	(void)ret_error;
	return (struct netlink *)none;
}

void netlink_free(struct netlink *n)
{
	(void)n;
}

int netlink_fd(const struct netlink *n)
{
	(void)n;
	return -1;
}

unsigned netlink_read(struct netlink *n)
{
	(void)n;
	return NETLINK_ADDRESSES;
}

int netlink_rule_add(struct netlink *n, const struct netlink_rule *r)
{
	(void)n, (void)r;
	return 0;
}

void netlink_rule_delete(struct netlink *n, const struct netlink_rule *r)
{
	(void)n, (void)r;
}

int netlink_route_add(struct netlink *n, const struct netlink_route *r)
{
	(void)n, (void)r;
	return 0; /* it is there */
}

int netlink_route_replace(struct netlink *n, const struct netlink_route *r)
{
	(void)n;
	replaced += r->type == RTN_UNICAST;
	return 1;
}

void netlink_route_delete(struct netlink *n, const struct netlink_route *r)
{
	(void)n, (void)r;
}

int netlink_address_change(struct netlink *n, int ifindex, const struct addr *a, bool add)
{
	(void)n, (void)ifindex, (void)a, (void)add;
	return 0;
}

const char *netlink_error(int r)
{
	(void)r;
	return "";
}

bool netlink_each_route(struct netlink *n, uint8_t family, uint32_t table,
			void (*fn)(void *ctx, const struct netlink_route *r), void *ctx)
{
	(void)n, (void)family, (void)fn, (void)ctx;
	assert_true(table == NETLINK_TABLE_MAIN || table == 0);
	lists_of_routes += table == NETLINK_TABLE_MAIN;
	return !refuses;
}

bool netlink_each_address(struct netlink *n, void (*fn)(void *ctx, const struct addr *a), void *ctx)
{
	(void)n;
	lists_of_addresses++;
	for (const char *const *text = own_now; *text && !refuses; text++) {
		struct addr a;

		assert_int_equal(addr_parse(*text, &a), 0);
		fn(ctx, &a);
	}
	return !refuses;
}

static void count_line(void *ctx, enum log_level level, const char *line)
{
	(void)ctx, (void)line;
	warnings += level == LOG_LEVEL_WARNING;
}

static struct log sink;

static struct net *begin(void)
{
	static const char *const addresses[] = {"10.1.0.1", NULL};
	const struct net_options o = {.tun = "lo", .routes = true, .local_first = true};
	struct net *n;
	int r;

	own_now = addresses;
	refuses = false;
	lists_of_addresses = lists_of_routes = replaced = warnings = 0;
	log_init(&sink, LOG_LEVEL_WARNING, count_line, NULL);
	n = net_new(&o, &sink, &r);
	assert_non_null(n);
	return n;
}

static void route(struct net *n, unsigned number)
{
	struct ts_list local = {.count = 1}, remote = {.count = 1};
	const uint8_t b[4] = {10, 2, (uint8_t)(number >> 8), (uint8_t)number};

	assert_int_equal(ts_parse("10.1.0.0/16", &local.ts[0]), 0);
	assert_int_equal(ts_parse("10.2.0.0/32", &remote.ts[0]), 0);
	remote.ts[0].lo = remote.ts[0].hi = addr_from_bytes(FAMILY_IPV4, b);
	net_route(n, &local, &remote, true);
}

/* The kernel lists its addresses once, however many tunnels come up, and its routes once a turn. */
static void lists_are_few(void **state)
{
	struct net *n = begin();

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		route(n, i);
	net_settle(n);
	net_settle(n);
	assert_int_equal(lists_of_addresses, 1);
	assert_int_equal(lists_of_routes, 2); /* one of each family */
	assert_int_equal(net_changed(n), NET_CHANGED_ADDRESSES);
	net_follow(n);
	assert_int_equal(lists_of_addresses, 2);
	assert_false(net_is_behind(n));
	net_free(n);
}

/* The kernel refuses to list: what is known stays, and all is asked for again, told once. */
static void lists_are_refused(void **state)
{
	static const char *const others[] = {"10.1.0.2", NULL};
	struct net *n = begin();

	(void)state;
	route(n, 1);
	net_settle(n);
	refuses = true;
	own_now = others;
	replaced = 0;
	for (unsigned i = 0; i < 3; i++) {
		net_follow(n);
		assert_true(net_is_behind(n));
		assert_int_equal(warnings, 1);
		assert_int_equal(replaced, 0);
	}
	refuses = false;
	net_follow(n);
	assert_false(net_is_behind(n));
	assert_int_equal(replaced, 1);
	refuses = true;
	route(n, 2);
	net_settle(n);
	assert_true(net_is_behind(n));
	assert_int_equal(warnings, 2);
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_are_few),
		cmocka_unit_test(lists_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
