/* t_options.c - options, times, sizes, advice, and the scan of configuration files before libconfig
 * reads them.
 * SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "advise.h"
#include "options.h"
#include "scan.h"
#include "xalloc.h"

#include <stdio.h>

/* Times are parsed and formatted; invalid ones are rejected. */
static void times(void **state)
{
	static const struct {
		const char *text;
		nsec_t ns;
	} good[] = {{"0", 0},
		    {"1s", NSEC_PER_SEC},
		    {"100ms", 100 * NSEC_PER_MSEC},
		    {"4h", 4 * 3600 * NSEC_PER_SEC},
		    {"90", 90 * NSEC_PER_SEC},
		    {"1d", 86400 * NSEC_PER_SEC}};
	static const char *const bad[] = {
		"", "s", "-1s", "1x", "1 s", "1.5s", "99999999999999d", "0x10", "1ss"};
	char buf[32];
	nsec_t t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(parse_time(good[i].text, &t), 0);
		assert_int_equal(t, good[i].ns);
		assert_int_equal(parse_time(format_time(t, buf), &t), 0);
		assert_int_equal(t, good[i].ns);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(parse_time(bad[i], &t), -EINVAL);
}

/* Sizes with binary or decimal units are parsed; invalid ones are rejected. */
static void sizes(void **state)
{
	static const char *const bad[] = {
		"", "K", "-1", "1KB", "1 K", "99999999999999999999", "9999999999999G"};
	uint64_t v;

	(void)state;
	assert_int_equal(parse_size("2M", false, &v), 0);
	assert_int_equal(v, 2097152);
	assert_int_equal(parse_size("140k", true, &v), 0);
	assert_int_equal(v, 140000);
	assert_int_equal(parse_size("4G", false, &v), 0);
	assert_int_equal(v, 1ULL << 32);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(parse_size(bad[i], false, &v), -EINVAL);
}

/* An invalid value is refused with a message, and the options stay as they were. */
static void option_errors_change_nothing(void **state)
{
	static const struct {
		const char *name, *value, *tells;
	} bad[] = {{"detect", "maybe", "off, proof, pattern, both"},
		   {"proof_packets", "0", "from 1"},
		   {"history_sample", "32", "remove the option"},
		   {"interval", "1", NULL},
		   {"max_rekeys", "17", "from 1 to 16"},
		   {"jitter", "1h", "time"},
		   {"bridge", "yes", "neither on nor off"},
		   {"packets", "1000001", "to 1000000"},
		   {"silent_rekey", "2d", "time"},
		   {"nonsense", "1", "no option"}};
	struct tunnel_options o, before;
	char err[OPTION_ERR];

	(void)state;
	tunnel_options_default(&o);
	before = o;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (!bad[i].tells)
			continue;
		assert_int_equal(tunnel_options_set(&o, bad[i].name, bad[i].value, err), -EINVAL);
		assert_non_null(strstr(err, bad[i].tells));
		assert_true(tunnel_options_equal(&o, &before));
	}
}

static void set_each(void *ctx, const char *name, const char *value)
{
	char err[OPTION_ERR];

	assert_int_equal(tunnel_options_set(ctx, name, value, err), 0);
}

/* All options, as tunnel_options_each shows them, can be set again with the same result. */
static void shown_options_can_be_set(void **state)
{
	struct tunnel_options o, copy;
	char err[OPTION_ERR];

	(void)state;
	tunnel_options_default(&o);
	assert_int_equal(tunnel_options_set(&o, "detect", "both", err), 0);
	assert_int_equal(tunnel_options_set(&o, "jitter", "0", err), 0);
	assert_int_equal(tunnel_options_set(&o, "bridge", "off", err), 0);
	assert_int_equal(tunnel_options_set(&o, "silent_rekey", "90s", err), 0);
	assert_false(o.bridge);
	assert_true(o.silent_rekey == 90 * NSEC_PER_SEC);
	assert_int_equal(tunnel_options_set(&o, "history_packets", "4G", err), 0);
	tunnel_options_default(&copy);
	assert_true(copy.bridge && copy.silent_rekey == 0 && copy.history_packets == 2 << 20);
	assert_false(tunnel_options_equal(&o, &copy));
	tunnel_options_each(&o, set_each, &copy);
	assert_true(tunnel_options_equal(&o, &copy));
}

/* `interval` must be shorter than the rekey time. */
static void interval_below_rekey_time(void **state)
{
	struct tunnel_options o;
	char err[OPTION_ERR];

	(void)state;
	tunnel_options_default(&o);
	assert_int_equal(tunnel_options_check(&o, NSEC_PER_SEC, err), -EINVAL);
	assert_non_null(strstr(err, "interval"));
	assert_int_equal(tunnel_options_check(&o, NSEC_PER_SEC + 1, err), 0);
	assert_int_equal(tunnel_options_check(&o, 0, err), 0);
}

/* The advised history covers the packets between two syncs, with a margin. */
static void advice(void **state)
{
	const struct advice_in in = {
		.sync_interval = 10 * NSEC_PER_SEC, .rate = 140000, .tunnels = 1000};
	struct advice_in bad = in;
	struct advice a;

	(void)state;
	assert_int_equal(advise(&in, &a), 0);
	assert_int_equal(a.lost_each, 1400000);
	assert_int_equal(a.lost_all, 1400000000);
	/* 10 s are within reach of the default */
	assert_in_range(a.history_packets, a.lost_each * 5 / 4, 2 << 20);
	assert_int_equal(a.history_packets % 512, 0);
	/* 8 bytes per number, and the lifetime entries of 16 bytes */
	assert_true(a.memory_each == a.history_packets * 8 + 4096 * 16);
	bad.rate = 0;
	assert_int_equal(advise(&bad, &a), -EINVAL);
	bad.rate = UINT64_MAX;
	assert_int_equal(advise(&bad, &a), -EINVAL);
}

static bool scan(const char *text, unsigned *line)
{
	const char *why;

	return conf_scan(text, strlen(text), line, &why);
}

/* conf_scan refuses large integers, @include, and texts that libconfig would read in another
 * way. */
static void scan_refuses(void **state)
{
	unsigned line;

	(void)state;
	assert_true(scan("a = 1; b = \"4294967297 @include\"; # 4294967297\n// 99999999999\n/* "
			 "99999999999 */",
			 &line));
	assert_true(scan("a = 2147483647; b = 1.5e10; c9999999999 = 1;", &line));
	assert_false(scan("a = 1;\nb = 2147483648;", &line));
	assert_int_equal(line, 2);
	assert_false(scan("a = 0x1ffffffff;", &line));
	assert_false(scan("a = 3000000000L;", &line));
	assert_false(scan("\n\n@include \"x\"", &line));
	assert_int_equal(line, 3);
	assert_false(scan("a = 99999999999999999999999999999999999999999999999999;", &line));
	assert_true(scan("a = 12L; b = 0x1fLL; c = 1e-5; d = 2.5E+3; e = 0007", &line));
	/* libconfig may begin a word in the middle of what looks like one */
	assert_false(scan("a = 0secret = \"b\";", &line));
	assert_false(scan("a = 0x1gsecret = \"b\";", &line));
	assert_false(scan("a = 1.5e10secret = \"b\";", &line));
	assert_false(scan("a = .e5secret = \"b\";", &line));
	assert_true(scan("a = .5;", &line));
	assert_false(scan("a = 10s;", &line));
	assert_false(scan("a = \"b\\x00c\";", &line));
	assert_false(scan("a = \"b\\X00c\";", &line));
}

/* A text, what is left of it, and its secrets, separated by "|". */
static const struct {
	const char *text, *left, *secrets;
} takings[] = {
	{"secret = \"abc\";", "secret = \"xxx\";", "abc"},
	{"a { secret : \"abc\" }; b { secret=\"d\\\"e\\x41\\n\\q\" }",
	 "a { secret : \"xxx\" }; b { secret=\"xxxxxxxxxxxx\" }", "abc|d\"eA\n\\q"},
	{"secret = # secret = \"no\"\n \"ab\" /* \"no\" */ \"c\nd\" ;",
	 "secret = # secret = \"no\"\n \"xx\" /* \"no\" */ \"x\nx\" ;", "abc\nd"},
	/* no secrets: within a string or comment, part of a word, not followed by a string */
	{"a = \"secret = \\\"no\\\"\"; // secret = \"no\"\nsecrets = \"no\"; a-secret = \"no\"; "
	 "secret = 5;",
	 "a = \"secret = \\\"no\\\"\"; // secret = \"no\"\nsecrets = \"no\"; a-secret = \"no\"; "
	 "secret = 5;",
	 ""},
	{"secret = \"\"; secret = \"open", "secret = \"\"; secret = \"xxxx", "|open"},
	{"secret = \"\\X41\\X4\\x4\";", "secret = \"xxxxxxxxxx\";", "A\\X4\\x4"},
	{"secret", "secret", ""},
	{"secret = ", "secret = ", ""},
	{"secret = \"a\\", "secret = \"xx", "a\\"},
};

/* conf_take_secrets overwrites secrets with 'x', and nothing else. */
static void secrets_are_taken_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(takings); i++) {
		char *text = xstrdup(takings[i].text), got[100] = "";
		struct conf_secrets s;

		conf_take_secrets(text, strlen(text), &s);
		assert_string_equal(text, takings[i].left);
		for (unsigned k = 0; k < s.count; k++) {
			assert_int_equal(strlen(s.v[k].text), s.v[k].len);
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", k ? "|" : "",
				 s.v[k].text);
		}
		assert_string_equal(got, takings[i].secrets);
		conf_secrets_free(&s);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times),
		cmocka_unit_test(sizes),
		cmocka_unit_test(option_errors_change_nothing),
		cmocka_unit_test(shown_options_can_be_set),
		cmocka_unit_test(interval_below_rekey_time),
		cmocka_unit_test(advice),
		cmocka_unit_test(scan_refuses),
		cmocka_unit_test(secrets_are_taken_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
