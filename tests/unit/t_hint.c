/* t_hint.c - what is said of a text that libconfig refuses. SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config_hint.h"
#include "scan.h"

#include <stdio.h>

/* The sentences themselves are in tests/docs/wrong_configs.txt. */
static const struct {
	const char *text, *why; /* NULL: nothing */
	unsigned line;
} hints[] = {
	{"", NULL, 0},
	{"a: { b = 1; c = [ \"x\" ]; d = true; e = 1.5; f = 0x1fL; };", NULL, 0},
	{"# {\na = \"{\"; /* [ */", NULL, 0},
	{"a = 1;\nb {\n};", "colon", 2},
	{"connections {\n}", "swanctl.conf", 1},
	{"a: { b = x; };", "double quotes", 1},
	{"a: { b = [ %any ]; };", "double quotes", 1},
	{"a: { b = [ true, 7 ]; }; }", "one too many", 1},
	{"a: { b = 1;\n", "not closed", 1},
	{"a: {\nb = [ 1;\n};", "[ of line 2", 3},
	{"}", "one too many", 1},
	{"a = \"x;\nb = \"y\";", "goes over several lines", 1},
};

static void what_is_recognized(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hints); i++) {
		char why[HINT_MAX] = "";
		unsigned line = 0;
		bool found = conf_hint(hints[i].text, strlen(hints[i].text), &line, why);

		if (found != !!hints[i].why || line != hints[i].line ||
		    (found && !strstr(why, hints[i].why)))
			fail_msg("%s: line %u, %s", hints[i].text, line, why);
	}
}

/* What is wrong before libconfig reads the text. */
static const struct {
	const char *text, *why; /* NULL: nothing */
	unsigned line;
} scanned[] = {
	{"a = [ 1, 2 ]; b = ( { c = 1.5; }, { } );", NULL, 0},
	{"a = \"b\nc.d\";", NULL, 0},
	{"a = 1.e5;\nb = c.e5;", "double quotes", 2}, /* libconfig reads .e5 as a number */
	{"a = 10.1.0.0;", "double quotes", 1},
	{"a = 10.5s;", "directly after a number", 1},
	{"a = [ \"b\",\n c@d ];", "double quotes", 2},
	{"a: { b = \"c\";\n d.e: { }; };", "a name", 2},
	{"a = [ \"b\" # c\n \"d\" ];", "comma is missing", 1},
	{"a = ( { b = \"c\" \"d\"; } );", NULL, 0},
	{"a = @include;", "@include", 1},
	{"a = @b;", "double quotes", 1},
	{"a = [ 1, /* , */ ];", "no comma", 1},
	{"a = 1;\nb = \"c;\nd = \"e.f\";", "goes over several lines", 2},
};

static void what_is_scanned(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(scanned); i++) {
		const char *why = NULL;
		unsigned line;
		bool good = conf_scan(scanned[i].text, strlen(scanned[i].text), &line, &why);

		if (good != !scanned[i].why ||
		    (!good && (line != scanned[i].line || !strstr(why, scanned[i].why))))
			fail_msg("%s: line %u, %s", scanned[i].text, line, why ? why : "");
	}
}

/* What mendipctl import says of a file that it cannot read. */
static void only_ipsec_conf(void **state)
{
	static const char ipsec[] = "# old\nconn gw\n  left=x\n", swanctl[] = "connections {\n}\n";
	char why[HINT_MAX] = "";
	unsigned line = 7;

	(void)state;
	assert_false(conf_hint_ipsec(swanctl, strlen(swanctl), &line, why));
	assert_false(conf_hint_ipsec("", 0, &line, why));
	assert_int_equal(line, 7);
	assert_string_equal(why, "");
	assert_true(conf_hint_ipsec(ipsec, strlen(ipsec), &line, why));
	assert_int_equal(line, 2);
	assert_non_null(strstr(why, "ipsec.conf"));
}

/* Where a quote is missing, any word may be a part of a secret. */
static void nothing_of_the_text_is_shown(void **state)
{
	static const char *const texts[] = {"s = \"a\"hunter2 \"b\";", "s = hunter2;",
					    "s = \"a\"; hunter2 { };", "hunter2 7"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char why[HINT_MAX] = "";
		unsigned line;

		assert_true(conf_hint(texts[i], strlen(texts[i]), &line, why));
		assert_null(strstr(why, "hunter2"));
	}
}

static const struct {
	const char *text, *why; /* NULL: no name stands twice */
	unsigned line;
} twice[] = {
	{"a = 1;\nb = 2;\na = 3;", "a: stands here and in line 1", 3},
	{"a: { x = 1; };\nb: { x = 1; };", NULL, 0},
	{"a: { x = 1; };\nx = 2;", NULL, 0},
	{"a: { b: { }; c = 1;\nb: { }; };", "a.b: stands here and in line 1", 2},
	{"a = ( { x = 1; }, { x = 1; } );", NULL, 0},
	{"a = ( { x = 1;\nx = 1; } );", "x: stands here and in line 1", 2},
	{"a = \"b = 1; b = 2;\"; # b = 1\nb = 1;", NULL, 0},
};

static void names_that_stand_twice(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(twice); i++) {
		char why[HINT_MAX] = "";
		unsigned line = 0;
		bool found = conf_hint_twice(twice[i].text, strlen(twice[i].text), &line, why);

		if (found != !!twice[i].why || line != twice[i].line ||
		    (found && !strstr(why, twice[i].why)))
			fail_msg("%s: line %u, %s", twice[i].text, line, why);
	}
}

/* Long names and many groups are not looked at: there is room for 256 letters and 16 groups. */
static void what_is_too_deep(void **state)
{
	char text[1024], why[HINT_MAX];
	unsigned line;
	size_t at = 0;

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "g: {");
	snprintf(text + at, sizeof(text) - at, "x = 1; x = 2;");
	assert_false(conf_hint_twice(text, strlen(text), &line, why));
	memset(text, 'n', 300);
	strcpy(text + 300, " = 1; a = 1; a = 2;");
	assert_false(conf_hint_twice(text, strlen(text), &line, why));
	memset(text, '{', sizeof(text));
	memcpy(text, "a: ", 3);
	assert_true(conf_hint(text, sizeof(text), &line, why));
	assert_string_equal(why, "{ is not closed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_recognized),
		cmocka_unit_test(what_is_scanned),
		cmocka_unit_test(only_ipsec_conf),
		cmocka_unit_test(nothing_of_the_text_is_shown),
		cmocka_unit_test(names_that_stand_twice),
		cmocka_unit_test(what_is_too_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
