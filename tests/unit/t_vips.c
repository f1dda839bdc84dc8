/* t_vips.c - addresses that peers have assigned, on a pretended host. SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "assigned.h"
#include "device.h"
#include "resolved.h"

#include <stdio.h>

static int on_host;	 /* addresses that the device has */
static unsigned changes; /* additions and removals */

void net_address(struct net *n, int ifindex, const struct addr *a, bool add)
{
	(void)n, (void)a;
	assert_true(ifindex > 0);
	on_host += add ? 1 : -1;
	changes++;
}

void resolved_tell(struct resolved *r, uint16_t device, const char *name, const struct dns_set *s)
{
	(void)r, (void)device, (void)name, (void)s;
	fail();
}

void resolved_tell_again(struct resolved *r)
{
	(void)r;
}

void resolved_found(struct resolved *r, uint16_t device, const char *name)
{
	(void)r, (void)device, (void)name;
	fail();
}

void resolved_free(struct resolved *r, bool revert)
{
	(void)r, (void)revert;
}

static void no_log(void *ctx, enum log_level level, const char *line)
{
	(void)ctx, (void)level, (void)line;
}

static void change(struct daemon *d, uint8_t last, bool add)
{
	const struct conn_conf conf = {.name = (char *)(uintptr_t) "gw"};
	const struct cp_config c = {.addr_count = 1,
				    .addr = {{.family = FAMILY_IPV4, .b = {10, 3, 0, last}}}};

	assigned_change(d, &conf, 0, &c, add);
}

/* Otherwise the kernel removes the routes whose source the address is. */
static void one_user_follows_another(void **state)
{
	struct device v = {.tun = {.name = "lo"}}, *all[] = {&v};
	struct daemon d = {.devices = {.all = all, .count = 1}};

	(void)state;
	log_init(&d.log, LOG_LEVEL_ERROR, no_log, NULL);
	change(&d, 1, true);
	assigned_settle(&d);
	assert_int_equal(changes, 1);
	change(&d, 1, false);
	change(&d, 1, true);
	assigned_settle(&d);
	assert_int_equal(changes, 1);
	change(&d, 2, true);
	change(&d, 1, false);
	assert_int_equal(on_host, 2);
	assigned_repair(&d); /* not the one that goes */
	assert_int_equal(changes, 3);
	assigned_settle(&d);
	assert_int_equal(changes, 4);
	/* The device has gone: so has its address. */
	snprintf(v.tun.name, sizeof(v.tun.name), "none");
	change(&d, 2, false);
	assigned_free(&d, true);
	assert_int_equal(changes, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(one_user_follows_another)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
