/* t_listen_at.c - where the metrics may be served. SPDX-License-Identifier: ISC */
#include "listen_at.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void ports(void **state)
{
	struct listen_at l;
	char s[ENDPOINT_STRLEN];

	(void)state;
	assert_int_equal(listen_at_parse("127.0.0.1:9500", &l), 0);
	assert_null(l.path);
	assert_string_equal(endpoint_format(&l.at, s), "127.0.0.1:9500");
	assert_int_equal(listen_at_parse("127.255.0.9:65535", &l), 0);
	assert_int_equal(listen_at_parse("[::1]:1", &l), 0);
	assert_int_equal(l.at.addr.family, FAMILY_IPV6);
	assert_int_equal(l.at.port, 1);
}

static void paths(void **state)
{
	char longest[5 + 100 + 2] = "unix:/";
	struct listen_at l;

	(void)state;
	assert_int_equal(listen_at_parse("unix:/run/mendip/metrics", &l), 0);
	assert_string_equal(l.path, "/run/mendip/metrics");
	memset(longest + 6, 'a', 99);
	assert_int_equal(listen_at_parse(longest, &l), 0);
	longest[5 + 100] = 'a';
	assert_int_equal(listen_at_parse(longest, &l), -EINVAL);
}

/* Others could connect, or nobody could say where. */
static void refused(void **state)
{
	static const char *const texts[] = {
		"0.0.0.0:9500",
		"192.0.2.1:9500",
		"[::]:9500",
		"[2001:db8::1]:9500",
		"[::2]:9500",
		"[::ffff:127.0.0.1]:9500",
		"126.0.0.1:9500",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:0",
		"127.0.0.1:65536",
		"127.0.0.1:99999999999",
		"127.0.0.1:009500",
		"127.0.0.1:+1",
		"127.0.0.1:9500x",
		"127.0.0.1: 9500",
		"127.0.0.1:-1",
		"::1:9500",
		"[127.0.0.1]:9500",
		"[::1:9500",
		"::1]:9500",
		"localhost:9500",
		":9500",
		"9500",
		"",
		":",
		"[]:9500",
		"[:9500",
		"unix:",
		"unix:run/metrics",
		"/run/metrics",
		"UNIX:/run",
		"127.0.0.1:9500:9501",
		"[::1]9500",
		"127.0.0.1:75036",
	};
	struct listen_at l = {.path = "as it was"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (listen_at_parse(texts[i], &l) != -EINVAL)
			fail_msg("\"%s\" is taken", texts[i]);
		assert_string_equal(l.path, "as it was");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports),
		cmocka_unit_test(paths),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
