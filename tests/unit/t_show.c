/* t_show.c - what mendipctl prints for people: words, widths, colours. SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "show.h"
#include "show_text.h"

#include <string.h>

/* Single quotes stand for double ones. */
static json_t *parse(const char *text)
{
	char *copy = strdup(text);
	json_error_t e;
	json_t *o;

	for (char *p = copy; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	o = json_loads(copy, 0, &e);
	if (!o)
		fail_msg("%s: %s", e.text, copy);
	free(copy);
	return o;
}

static char *printed(void (*show)(FILE *f, const json_t *o), const char *json)
{
	json_t *o = parse(json);
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	show(f, o);
	fclose(f);
	json_decref(o);
	return text;
}

static void plain(FILE *f, const json_t *o)
{
	show_status(f, o, false);
}

static void coloured(FILE *f, const json_t *o)
{
	show_status(f, o, true);
}

static void times_and_bytes(void **state)
{
	static const struct {
		double seconds;
		const char *text;
	} times[] = {
		{0, "0.0s"},	 {59.94, "59.9s"},  {60, "1m00s"},    {3599, "59m59s"},
		{3600, "1h00m"}, {86399, "23h59m"}, {86400, "1d00h"}, {1e7, "115d17h"},
	};
	static const struct {
		long long bytes;
		const char *text;
	} sizes[] = {
		{0, "0"},	  {999, "999"},		{1000, "1.0K"},
		{9949, "9.9K"},	  {9950, "10K"},	{999499, "999K"},
		{999500, "1.0M"}, {1500000000, "1.5G"}, {INT64_MAX, "9.2E"},
	};
	char t[SHOW_TIME_STRLEN], b[SHOW_BYTES_STRLEN];

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		json_t *v = json_real(times[i].seconds);

		assert_string_equal(show_time(v, t), times[i].text);
		json_decref(v);
	}
	assert_string_equal(show_time(NULL, t), "-");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		assert_string_equal(show_bytes(sizes[i].bytes, b), sizes[i].text);
}

#define HEAD	    "{'version': '1', 'uptime': 300000.0, 'connections': ["
#define SA	    "{'spi_in': '00000001', 'last_fresh': 0.2, 'rekey_in': 3000.0, 'expires_in': 4000.0}"
#define IKE(remote) "{'remote': '" remote "', 'state': 'ESTABLISHED'}"
#define ERROR(kind, current)                                                                       \
	"{'kind': '" kind "', 'text': '192.0.2.1:500: no response', 'advice': 'look', 'age': 1.5," \
	" 'since': 245.0, 'count': 3, 'over': false, 'current': " current "}"
#define CHILD(name, state, recovery, error)                                                      \
	"{'name': '" name "', 'state': '" state "', 'recovery': '" recovery "', 'wanted': true," \
	" 'bytes_in': 12345678, 'bytes_out': 999, 'last_error': " error ", 'sas': [" SA "]}"

/* Each line by itself: what the operator sees, and in which colour. */
static void a_line_for_each_tunnel(void **state)
{
	static const struct {
		const char *conn, *line, *colour;
	} rows[] = {
		{"{'name': 'gw', 'ike_sas': [" IKE("192.0.2.1:4500") "], 'children': [" CHILD(
			 "net", "up", "idle", "null") "]}",
		 "gw/net  up            0.2s    12M    999  50m00s   1h06m  192.0.2.1\n",
		 "\033[32m"},
		{"{'name': 'gw', 'ike_sas': [" IKE("[2001:db8::1]:4500") "], 'children': [" CHILD(
			 "net", "up", "running", "null") "]}",
		 "gw/net  recovering    0.2s    12M    999  50m00s   1h06m  2001:db8::1\n",
		 "\033[33m"},
		/* Its last problem is over as long as it is up. */
		{"{'name': 'gw', 'ike_sas': [], 'children': [" CHILD("net", "up", "idle",
								     ERROR("refused", "true")) "]}",
		 "gw/net  up            0.2s    12M    999  50m00s   1h06m  -\n", "\033[32m"},
		{"{'name': 'gw', 'ike_sas': [], 'children': [" CHILD(
			 "net", "down", "idle", ERROR("selectors-refused", "true")) "]}",
		 "gw/net  DOWN        for 4m05s: selectors-refused: 192.0.2.1:500: no response\n",
		 "\033[1;31m"},
		{"{'name': 'gw', 'ike_sas': [], 'last_error': " ERROR(
			 "no-answer", "true") ", 'children': [" CHILD("net", "starting", "idle",
								      "null") "]}",
		 "gw/net  DOWN        for 4m05s: no-answer: 192.0.2.1:500: no response\n",
		 "\033[1;31m"},
		{"{'name': 'gw', 'ike_sas': [], 'next_try': 0.5, 'children': [" CHILD(
			 "net", "starting", "idle", "null") "]}",
		 "gw/net  starting    next try in 0.5s\n", NULL},
		{"{'name': 'gw', 'ike_sas': [], 'children': [" CHILD("net", "trapped", "idle",
								     "null") "]}",
		 "gw/net  trapped     the next packet starts it\n", NULL},
		{"{'name': 'gw', 'ike_sas': [], 'backup': 'gw2', 'children': [" CHILD(
			 "net", "up", "idle", "null, 'traffic_to_backup': true") "]}",
		 "gw/net  up          its traffic goes by gw2\n", "\033[32m"},
		{"{'name': 'gw', 'ike_sas': [], 'backup': 'gw2', 'children': [" CHILD(
			 "net", "down", "idle", "null, 'traffic_to_backup': true") "]}",
		 "gw/net  down        its traffic goes by gw2\n", NULL},
		{"{'name': 'gw', 'ike_sas': [], 'children': [" CHILD("net", "down", "idle",
								     "null") "]}",
		 "gw/net  down        its packets are dropped until mendipctl up\n", NULL},
		{"{'name': 'fleet', 'answers': true, 'ike_sas': [], 'children': []}",
		 "fleet   waiting     for its peers to call\n", NULL},
		{"{'name': 'fleet', 'answers': true, 'ike_sas': [], 'last_error': " ERROR(
			 "no-proposal", "false") ", 'children': []}",
		 "fleet   waiting     1.5s ago: no-proposal: 192.0.2.1:500: no response\n", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *json = NULL, *text, *colours;

		assert_true(asprintf(&json, HEAD "%s]}", rows[i].conn) > 0);
		text = printed(plain, json);
		colours = printed(coloured, json);
		if (!strstr(text, rows[i].line))
			fail_msg("%s is not in %s", rows[i].line, text);
		assert_null(strchr(text, '\033'));
		if (rows[i].colour)
			assert_non_null(strstr(colours, rows[i].colour));
		else
			assert_null(strchr(colours, '\033'));
		free(json);
		free(text);
		free(colours);
	}
}

/* The first line counts, and the last one says what to do. */
static void the_first_line_counts(void **state)
{
	char *text = printed(
		plain, HEAD "{'name': 'a', 'ike_sas': [], 'children': [" CHILD(
			       "n", "up", "idle",
			       "null") "]}, {'name': 'b', 'ike_sas': [], 'children': "
				       "[" CHILD("n", "down", "idle",
						 ERROR("refused", "true")) "]}, {'name': 'c', "
									   "'ike_sas': [], "
									   "'children': []}]}");

	(void)state;
	assert_ptr_equal(strstr(text, "mendipd 1, up for 3d11h: 1 up, 1 down, 1 others\n"), text);
	assert_non_null(strstr(text, "\nWhat to do about it: mendipctl diagnose NAME\n"));
	free(text);
	text = printed(plain, HEAD "]}");
	assert_string_equal(text, "mendipd 1, up for 3d11h: 0 up, 0 down, 0 others\n");
	free(text);
}

/* What is to be known although every tunnel is up. */
static void warnings_come_first(void **state)
{
	char *text = printed(
		plain,
		"{'version': '1', 'uptime': 1.0, 'reload_error': 'mendip.conf:3: no', 'key_log': "
		"'/k',"
		" 'devices': [{'name': 'ipsec1', 'link': 'missing'}, {'name': 'ipsec2', 'link': "
		"'up'}],"
		" 'connections': [{'name': 'gw', 'certificate': {'subject': 'CN=us', 'ends_in': "
		"864000},"
		" 'ike_sas': [{'peer_certificate': {'subject': 'CN=gw', 'ends_in': -864000}},"
		" {'peer_certificate': {'subject': 'CN=far', 'ends_in': 86400000}}], 'children': "
		"[]}]}");

	(void)state;
	assert_non_null(strstr(text, "THE LAST RELOAD FAILED: mendip.conf:3: no\n"));
	assert_non_null(strstr(text, "KEYS ARE WRITTEN to /k\n"));
	assert_non_null(strstr(text, "TUN device ipsec1: link missing\n"));
	assert_null(strstr(text, "ipsec2"));
	assert_non_null(strstr(text, "gw: our certificate CN=us ends in 10 days\n"));
	assert_non_null(strstr(text, "gw: the peer's certificate CN=gw ended 10 days ago\n"));
	assert_null(strstr(text, "CN=far"));
	free(text);
}

/* In days and hours, as the log has it; and what is said of a certificate that has no end. */
static void certificates_end(void **state)
{
	static const struct {
		const char *ends_in, *warning, *all;
	} rows[] = {
		{"-864000", "CN=us ended 10 days ago\n", "CN=us: ended 10 days ago\n"},
		{"-3600", "CN=us ended 1 hour ago\n", "CN=us: ended 1 hour ago\n"},
		{"0", "CN=us ends in less than an hour\n", "CN=us: ends in less than an hour\n"},
		{"7200", "CN=us ends in 2 hours\n", "CN=us: ends in 2 hours\n"},
		{"2592000", "CN=us ends in 30 days\n", "CN=us: ends in 30 days\n"},
		{"2592001", NULL, "CN=us: ends in 30 days\n"},
		{"null", NULL, "CN=us: says no end\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *json = NULL, *text, *all;

		assert_true(asprintf(&json,
				     HEAD "{'name': 'gw', 'certificate': {'subject': 'CN=us', "
					  "'ends_in': %s}, 'ike_sas': [], 'children': []}]}",
				     rows[i].ends_in) > 0);
		text = printed(plain, json);
		all = printed(show_all, json);
		if (rows[i].warning ? !strstr(text, rows[i].warning) : !!strstr(text, "CN=us"))
			fail_msg("%s: %s", rows[i].ends_in, text);
		if (!strstr(all, rows[i].all))
			fail_msg("%s: %s", rows[i].ends_in, all);
		free(json);
		free(text);
		free(all);
	}
}

static void assert_narrow(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		if (len > SHOW_COLUMNS)
			fail_msg("%zu columns: %.*s", len, (int)len, text);
		text += len + (text[len] == '\n');
	}
}

#define LONG  "a-name-that-is-much-longer-than-a-column-of-the-table-has-place-for"
#define WORDS "one two three four five six seven eight nine ten eleven twelve thirteen fourteen "

/* Whatever a name, an address, or the words of a peer are. */
static void no_line_is_too_long(void **state)
{
	static const char conns[] = HEAD "{'name': '" LONG "', 'ike_sas': [" IKE(
		"[2001:db8:1111:2222:3333:4444:5555:6666]:"
		"4500") "], 'children': [" CHILD(LONG, "up", "idle",
						 "null") "," CHILD("x", "down", "idle",
								   "{'kind': 'refused', 'text': "
								   "'" WORDS WORDS
								   "', 'advice': '" WORDS WORDS
								   "', 'since': 1.0, 'current': "
								   "true}") "]},"
									    "{'name': '" LONG
									    "', 'proposals': "
									    "['" LONG "', '" LONG
									    "'], 'ike_sas': [],"
									    " 'last_error': " ERROR(
										    "no-proposal",
										    "true") ", "
											    "'child"
											    "re"
											    "n': "
											    "[]}]}";
	char *text = printed(plain, conns);

	(void)state;
	assert_narrow(text);
	assert_non_null(strstr(text, "a-name-that-is-much-longer-t..  up "));
	free(text);
	text = printed(show_all, conns);
	assert_narrow(text);
	assert_non_null(strstr(text, "child " LONG ": up"));
	assert_non_null(strstr(text, "NOT UP for 1.0s: refused"));
	free(text);
	text = printed(show_switchover, "{'children': [{'connection': '" LONG
					"', 'name': 'net', 'detector': {'state': 'confirmed'}, "
					"'recoveries': 123456789}]}");
	assert_narrow(text);
	assert_non_null(strstr(text, LONG "/net: confirmed, "));
	free(text);
	text = printed(show_diagnosis, "{'walks': [{'connection': '" LONG
				       "', 'child': 'a-child-with-a-long-name', 'result': "
				       "'failed', 'steps': []}]}");
	assert_narrow(text);
	assert_non_null(strstr(text, "/a-child-with-a-long-name:"));
	free(text);
}

static void watched(FILE *f, const json_t *o)
{
	show_watch(f, json_object_get(o, "status"), json_object_get(o, "switchover"), NULL, 1);
}

#define WATCHED(record)                                                                            \
	"{'status': {'connections': [{'name': '" LONG                                              \
	"', 'children': [" CHILD("net", "up", "idle",                                              \
				 "null") "]}]}, 'switchover': {'children': ["                      \
					 "{'connection': '" LONG "', 'name': 'net', "              \
					 "'detector': {'state': 'confirmed'}, 'records': [" record \
					 "]}]}}"

static void a_live_view_fits(void **state)
{
	static const struct {
		const char *json, *end;
	} rows[] = {
		{WATCHED("{'outcome': 'recovered', 'criterion': 'nonce-reuse', 'lost': 12}"),
		 "confirmed nonce-reuse: 12 lost\n"},
		{WATCHED("{'outcome': 'recovered, no traffic seen', 'criterion': 'time'}"),
		 "confirmed recovered, no traffi\n"},
		{WATCHED(""), "confirmed\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = printed(watched, rows[i].json);

		assert_narrow(text);
		if (!strstr(text, rows[i].end))
			fail_msg("%s: %s", rows[i].end, text);
		free(text);
	}
}

#define PEER(peer, state)                        \
	"{'name': 'fleet', 'peer': '" peer "', " \
	"'children': [" CHILD("net", state, "idle", "null") "]}"
#define CHILD_OF(peer)                                                                  \
	"{'connection': 'fleet', 'peer': '" peer "', 'name': 'net', 'detector': null, " \
	"'records': []}"

/* Of several peers of one connection, each line has the state of its own. */
static void each_peer_is_watched(void **state)
{
	char *text = printed(watched, "{'status': {'connections': [" PEER("a", "up") "," PEER(
					      "b", "kept") "]}, 'switchover': "
							   "{'children': [" CHILD_OF(
								   "b") "," CHILD_OF("a") "]}}");

	(void)state;
	assert_non_null(strstr(text, "fleet/net          kept     00000001       0       0       "
				     "0        0 -        \n"
				     "fleet/net          up       00000001 "));
	free(text);
}

static char *wrapped(const char *text)
{
	char *ret = NULL;
	size_t size;
	FILE *f = open_memstream(&ret, &size);

	show_line(f, 2, "%s", text);
	fclose(f);
	return ret;
}

/* A line of exactly 100 columns is not broken; a word that is longer is left as it is. */
static void lines_are_broken_at_blanks(void **state)
{
	char fits[128], *text;

	(void)state;
	memset(fits, 'x', sizeof(fits));
	fits[48] = ' ';
	fits[98] = '\0';
	text = wrapped(fits);
	assert_int_equal(strcspn(text, "\n"), 100);
	assert_int_equal(strlen(text), 101);
	free(text);
	fits[98] = 'x';
	fits[99] = '\0';
	text = wrapped(fits);
	assert_int_equal(strcspn(text, "\n"), 50);
	assert_memory_equal(strchr(text, '\n'), "\n      x", 8);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_and_bytes),
		cmocka_unit_test(a_line_for_each_tunnel),
		cmocka_unit_test(the_first_line_counts),
		cmocka_unit_test(warnings_come_first),
		cmocka_unit_test(certificates_end),
		cmocka_unit_test(no_line_is_too_long),
		cmocka_unit_test(a_live_view_fits),
		cmocka_unit_test(each_peer_is_watched),
		cmocka_unit_test(lines_are_broken_at_blanks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
