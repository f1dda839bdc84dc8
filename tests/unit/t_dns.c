/* t_dns.c - DNS servers of several connections on one device. SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dns.h"
#include "xalloc.h"

#include <stdio.h>

static struct conn_conf *conf_of(const char *name, enum dns_use dns, const char *domain)
{
	struct conn_conf *c = xzalloc(sizeof(*c));

	c->name = xstrdup(name);
	c->refs = 1;
	c->dns = dns;
	if (domain)
		name_list_add(&c->dns_domains, domain);
	return c;
}

static struct cp_config servers(unsigned first, unsigned count)
{
	struct cp_config c = {.dns_count = (uint8_t)count};

	for (unsigned i = 0; i < count; i++)
		c.dns[i] =
			(struct addr){.family = FAMILY_IPV4, .b = {10, 0, 0, (uint8_t)(first + i)}};
	return c;
}

static void expect_set(const struct dns_users *all, uint16_t device, unsigned count, unsigned first,
		       const char *domain, bool for_all)
{
	struct dns_set s;

	dns_get(all, device, &s);
	assert_int_equal(s.server_count, count);
	assert_int_equal(s.domain_count > 0, domain != NULL);
	if (domain) {
		assert_int_equal(s.server[0].b[3], first);
		assert_string_equal(s.domain[0], domain);
	}
	assert_int_equal(s.all, for_all);
}

/* Servers that two connections have are there until the last of them is gone. */
static void put_together(void **state)
{
	struct conn_conf *a = conf_of("a", DNS_RESOLVED, NULL), *same;
	struct conn_conf *b = conf_of("b", DNS_RESOLVED, "example.net");
	const struct cp_config of_a = servers(1, 2), of_b = servers(2, 2);
	struct dns_users all = {0};

	(void)state;
	assert_true(dns_change(&all, a, 3, &of_a, true));
	expect_set(&all, 3, 2, 1, "~.", true);
	expect_set(&all, 2, 0, 0, NULL, false);
	expect_set(&all, 9, 0, 0, NULL, false);
	assert_true(dns_change(&all, b, 5, &of_b, true)); /* the array grows */
	assert_true(dns_change(&all, b, 3, &of_b, true));
	expect_set(&all, 3, 3, 1, "~.", true);
	expect_set(&all, 5, 2, 2, "example.net", false);
	/* As after a reload, with another configuration that is equal. */
	same = conf_of("a", DNS_RESOLVED, NULL);
	conn_unref(a);
	assert_true(dns_change(&all, same, 3, &of_a, false));
	expect_set(&all, 3, 2, 2, "example.net", false);
	assert_false(dns_change(&all, same, 3, &of_a, false));
	assert_true(dns_change(&all, b, 3, &of_b, false));
	expect_set(&all, 3, 0, 0, NULL, false);
	conn_unref(same);
	conn_unref(b);
	dns_fini(&all);
	expect_set(&all, 5, 0, 0, NULL, false);
}

static void not_asked_for(void **state)
{
	struct conn_conf *a = conf_of("a", DNS_NONE, NULL), *b = conf_of("b", DNS_RESOLVED, NULL);
	const struct cp_config some = servers(1, 2), none = {0};
	struct dns_users all = {0};

	(void)state;
	assert_false(dns_change(&all, a, 0, &some, true));
	assert_false(dns_change(&all, b, 0, &none, true));
	expect_set(&all, 0, 0, 0, NULL, false);
	conn_unref(a);
	conn_unref(b);
	dns_fini(&all);
}

static void limits(void **state)
{
	struct dns_users all = {0};
	struct conn_conf *c[4];
	struct dns_set set;
	char text[16];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(c); i++) {
		const struct cp_config some = servers(1 + i * CP_DNS, CP_DNS);

		snprintf(text, sizeof(text), "c%u", i);
		c[i] = conf_of(text, DNS_RESOLVED, NULL);
		for (unsigned k = 0; k < DNS_DOMAINS_MAX; k++) {
			snprintf(text, sizeof(text), "c%u.d%u", i, k);
			name_list_add(&c[i]->dns_domains, text);
		}
		assert_true(dns_change(&all, c[i], 0, &some, true));
		conn_unref(c[i]);
	}
	expect_set(&all, 0, DNS_SERVERS, 1, "c0.d0", false);
	dns_get(&all, 0, &set);
	assert_int_equal(set.servers_left, ARRAY_SIZE(c) * CP_DNS - DNS_SERVERS);
	assert_int_equal(set.domains_left, ARRAY_SIZE(c) * DNS_DOMAINS_MAX - DNS_DOMAINS);
	dns_fini(&all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(put_together),
		cmocka_unit_test(not_asked_for),
		cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
