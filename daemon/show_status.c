/*
 * show_status.c - the answer to `status`: a line for each tunnel, or all of it.
 * SPDX-License-Identifier: ISC
 */
#include "expiry_text.h"
#include "show.h"
#include "show_text.h"

#include <stdlib.h>
#include <string.h>

#define NAME_COLUMNS 30 /* longer ones are cut; the whole name is in `status NAME` */

/* How a line looks at a glance. */
enum mood { MOOD_PLAIN, MOOD_GOOD, MOOD_CARE, MOOD_BAD, MOODS };

/* What the lines are made of, and how many of each kind there are. */
struct table {
	FILE *f;
	bool colour;
	int name_width;
	unsigned up, down, others;
};

/* ---- a line for each tunnel ---- */

static const char *paint(const struct table *t, enum mood m)
{
	static const char *const codes[MOODS] = {
		[MOOD_PLAIN] = "",
		[MOOD_GOOD] = "\033[32m",
		[MOOD_CARE] = "\033[33m",
		[MOOD_BAD] = "\033[1;31m",
	};

	return t->colour ? codes[m] : "";
}

static const char *plain(const struct table *t, enum mood m)
{
	return t->colour && m != MOOD_PLAIN ? "\033[0m" : "";
}

/* Prints up to `width` bytes of the text, and marks that it goes on. */
static void clipped(FILE *f, const char *text, int width)
{
	if ((int)strlen(text) > width)
		fprintf(f, "%.*s..", width > 2 ? width - 2 : 0, text);
	else
		fputs(text, f);
}

static void line_start(const struct table *t, const char *name, const char *state, enum mood m)
{
	int used = (int)strlen(name);

	clipped(t->f, name, t->name_width);
	used = used < t->name_width ? used : t->name_width;
	fprintf(t->f, "%*s  %s%-10s%s  ", t->name_width - used, "", paint(t, m), state,
		plain(t, m));
}

static void line_of_words(const struct table *t, const char *words)
{
	clipped(t->f, words, SHOW_COLUMNS - t->name_width - 14);
	fputc('\n', t->f);
}

/* The kind and the words of a problem, and for how long. */
static void line_of_problem(const struct table *t, const json_t *e)
{
	char since[SHOW_TIME_STRLEN], words[512];

	snprintf(words, sizeof(words), "for %s: %s: %s",
		 show_time(json_object_get(e, "since"), since), show_str(e, "kind"),
		 show_str(e, "text"));
	line_of_words(t, words);
}

/* The address without its port. */
static void peer_address(const json_t *ike, char *ret, size_t size)
{
	const char *at = show_str(ike, "remote"), *end = strrchr(at, ':');
	const char *begin = *at == '[' ? at + 1 : at;

	if (end && *at == '[')
		end--;
	snprintf(ret, size, "%.*s", end ? (int)(end - begin) : (int)strlen(begin), begin);
}

static void line_of_traffic(const struct table *t, const json_t *conn, const json_t *child)
{
	const json_t *sa = json_array_get(json_object_get(child, "sas"), 0);
	char heard[SHOW_TIME_STRLEN], rekey[SHOW_TIME_STRLEN], end[SHOW_TIME_STRLEN], peer[64];
	char in[SHOW_BYTES_STRLEN], out[SHOW_BYTES_STRLEN];

	peer_address(json_array_get(json_object_get(conn, "ike_sas"), 0), peer, sizeof(peer));
	fprintf(t->f, "%6s  %5s  %5s  %6s  %6s  ",
		show_time(json_object_get(sa, "last_fresh"), heard),
		show_bytes(show_num(child, "bytes_in"), in),
		show_bytes(show_num(child, "bytes_out"), out),
		show_time(json_object_get(sa, "rekey_in"), rekey),
		show_time(json_object_get(sa, "expires_in"), end));
	clipped(t->f, peer, SHOW_COLUMNS - t->name_width - 52);
	fputc('\n', t->f);
}

static bool is_current(const json_t *e)
{
	return json_is_true(json_object_get(e, "current"));
}

/* What keeps the child down: its own problem, or its connection's; NULL: nothing does. */
static const json_t *problem_of(const json_t *conn, const json_t *child)
{
	const json_t *own = json_object_get(child, "last_error");
	const json_t *all = json_object_get(conn, "last_error");

	if (strcmp(show_str(child, "state"), "up") == 0)
		return NULL;
	if (is_current(own))
		return own;
	return is_current(all) && json_is_true(json_object_get(child, "wanted")) ? all : NULL;
}

static void show_tunnel(struct table *t, const json_t *conn, const json_t *child)
{
	const char *state = show_str(child, "state");
	const json_t *problem = problem_of(conn, child);
	bool up = strcmp(state, "up") == 0, kept = strcmp(state, "kept") == 0;
	bool mends = strcmp(show_str(child, "recovery"), "idle") != 0;
	char name[512], next[SHOW_TIME_STRLEN];

	snprintf(name, sizeof(name), "%s/%s", show_str(conn, "name"), show_str(child, "name"));
	t->up += up;
	t->down += !up && problem;
	t->others += !up && !problem;
	if (problem) {
		line_start(t, name, kept ? "kept" : "DOWN", MOOD_BAD);
		line_of_problem(t, problem);
		return;
	}
	line_start(t, name, up && mends ? "recovering" : state,
		   kept || (up && mends) ? MOOD_CARE
		   : up			 ? MOOD_GOOD
					 : MOOD_PLAIN);
	if (json_is_true(json_object_get(child, "traffic_to_backup"))) {
		snprintf(name, sizeof(name), "its traffic goes by %s", show_str(conn, "backup"));
		line_of_words(t, name);
	} else if (up || kept) {
		line_of_traffic(t, conn, child);
	} else if (json_is_number(json_object_get(conn, "next_try"))) {
		snprintf(name, sizeof(name), "next try in %s",
			 show_time(json_object_get(conn, "next_try"), next));
		line_of_words(t, name);
	} else {
		line_of_words(t, strcmp(state, "trapped") == 0 ? "the next packet starts it"
				 : strcmp(state, "down") == 0
					 ? "its packets are dropped until mendipctl up"
					 : "");
	}
}

static void show_waiting(struct table *t, const json_t *conn)
{
	const json_t *e = json_object_get(conn, "last_error");
	char when[SHOW_TIME_STRLEN], words[512];

	t->others++;
	line_start(t, show_str(conn, "name"), "waiting", MOOD_PLAIN);
	if (!json_is_object(e) || json_is_true(json_object_get(e, "over"))) {
		line_of_words(t, "for its peers to call");
		return;
	}
	snprintf(words, sizeof(words), "%s ago: %s: %s", show_time(json_object_get(e, "age"), when),
		 show_str(e, "kind"), show_str(e, "text"));
	line_of_words(t, words);
}

static void measure(struct table *t, const json_t *conns)
{
	const json_t *c, *k;
	size_t i, j;

	t->name_width = (int)strlen("TUNNEL");
	json_array_foreach(conns, i, c)
	{
		int own = (int)strlen(show_str(c, "name"));

		if (own > t->name_width)
			t->name_width = own;
		json_array_foreach(json_object_get(c, "children"), j, k)
		{
			int both = own + 1 + (int)strlen(show_str(k, "name"));

			if (both > t->name_width)
				t->name_width = both;
		}
	}
	if (t->name_width > NAME_COLUMNS)
		t->name_width = NAME_COLUMNS;
}

static void show_tunnels(struct table *t, const json_t *conns)
{
	const json_t *c, *k;
	size_t i, j;

	measure(t, conns);
	if (json_array_size(conns))
		fprintf(t->f, "%-*s  %-10s  %6s  %5s  %5s  %6s  %6s  %s\n", t->name_width, "TUNNEL",
			"STATE", "HEARD", "IN", "OUT", "REKEY", "EXPIRY", "PEER");
	json_array_foreach(conns, i, c)
	{
		json_array_foreach(json_object_get(c, "children"), j, k) show_tunnel(t, c, k);
		if (json_array_size(json_object_get(c, "children")) == 0)
			show_waiting(t, c);
	}
}

static void warn(const struct table *t, const char *what, const char *text)
{
	fprintf(t->f, "%s%s%s", paint(t, MOOD_BAD), what, plain(t, MOOD_BAD));
	show_wrapped(t->f, (unsigned)strlen(what), text);
}

/* "ends in 10 days"; text has EXPIRY_STRLEN bytes. */
static const char *certificate_end(const json_t *cert, char *text)
{
	return json_is_integer(json_object_get(cert, "ends_in"))
		       ? expiry_words(show_num(cert, "ends_in"), text)
		       : "says no end";
}

static void warn_of_certificate(const struct table *t, const json_t *conn, const char *whose,
				const json_t *cert)
{
	char text[768], end[EXPIRY_STRLEN];

	if (!json_is_integer(json_object_get(cert, "ends_in")) ||
	    show_num(cert, "ends_in") > EXPIRY_WARNING)
		return;
	snprintf(text, sizeof(text), "%s: %s certificate %s %s", show_str(conn, "name"), whose,
		 show_str(cert, "subject"), certificate_end(cert, end));
	warn(t, "WARNING: ", text);
}

/* What an operator wants to know although every tunnel is up. */
static void show_warnings(const struct table *t, const json_t *o)
{
	const json_t *c, *v;
	size_t i, k;

	if (json_is_string(json_object_get(o, "reload_error")))
		warn(t, "THE LAST RELOAD FAILED: ", show_str(o, "reload_error"));
	if (json_is_string(json_object_get(o, "key_log")))
		warn(t, "KEYS ARE WRITTEN to ", show_str(o, "key_log"));
	json_array_foreach(json_object_get(o, "devices"), i, v)
	{
		if (strcmp(show_str(v, "link"), "up") != 0)
			fprintf(t->f, "%sTUN device %s: link %s%s\n", paint(t, MOOD_BAD),
				show_str(v, "name"), show_str(v, "link"), plain(t, MOOD_BAD));
	}
	json_array_foreach(json_object_get(o, "connections"), i, c)
	{
		warn_of_certificate(t, c, "our", json_object_get(c, "certificate"));
		json_array_foreach(json_object_get(c, "ike_sas"), k, v) warn_of_certificate(
			t, c, "the peer's", json_object_get(v, "peer_certificate"));
	}
}

void show_status(FILE *f, const json_t *o, bool colour)
{
	struct table t = {.f = f, .colour = colour};
	char age[SHOW_TIME_STRLEN], *lines = NULL;
	size_t size;

	/* The first line counts what follows. */
	t.f = open_memstream(&lines, &size);
	if (!t.f)
		return;
	show_tunnels(&t, json_object_get(o, "connections"));
	fclose(t.f);
	t.f = f;
	fprintf(f, "mendipd %s, up for %s: %u up, %s%u down%s, %u others\n", show_str(o, "version"),
		show_time(json_object_get(o, "uptime"), age), t.up,
		t.down ? paint(&t, MOOD_BAD) : "", t.down, t.down ? plain(&t, MOOD_BAD) : "",
		t.others);
	show_warnings(&t, o);
	fputs(lines, f);
	free(lines);
	if (t.down)
		fputs("What to do about it: mendipctl diagnose NAME\n", f);
}

/* ---- all of it ---- */

static void show_sa(FILE *f, const json_t *sa)
{
	char age[SHOW_TIME_STRLEN], rekey[SHOW_TIME_STRLEN], end[SHOW_TIME_STRLEN];
	char *local = show_list(json_object_get(sa, "local_ts"));
	char *remote = show_list(json_object_get(sa, "remote_ts"));

	show_line(f, 6, "%s SPI in %s out %s, %s, age %s, rekey in %s, expires in %s, %s",
		  show_str(sa, "state"), show_str(sa, "spi_in"), show_str(sa, "spi_out"),
		  show_str(sa, "proposal"), show_time(json_object_get(sa, "age"), age),
		  show_time(json_object_get(sa, "rekey_in"), rekey),
		  show_time(json_object_get(sa, "expires_in"), end), show_str(sa, "backend"));
	show_line(f, 8, "%s === %s", local, remote);
	show_line(f, 8, "in %lld packets %lld bytes, last %s ago; out %lld packets %lld bytes",
		  show_num(sa, "packets_in"), show_num(sa, "bytes_in"),
		  show_time(json_object_get(sa, "last_fresh"), age), show_num(sa, "packets_out"),
		  show_num(sa, "bytes_out"));
	if (json_is_false(json_object_get(sa, "replay_protection")))
		show_line(f, 8, "WARNING: no protection against replays (replay_window = 0)");
	show_counters(f, 8, "verdicts", json_object_get(sa, "verdicts"));
	free(local);
	free(remote);
}

/* "TITLE one, two". */
static void show_offered(FILE *f, unsigned indent, const char *title, const json_t *a)
{
	char *list = show_list(a);

	show_line(f, indent, "%s%s", title, list);
	free(list);
}

/* What keeps it down, for how long, and what to do about it; or what was wrong last, if it may be.
 */
static void show_error(FILE *f, unsigned indent, const json_t *e)
{
	char when[SHOW_TIME_STRLEN], since[SHOW_TIME_STRLEN];

	if (!json_is_object(e) || json_is_true(json_object_get(e, "over")))
		return;
	show_time(json_object_get(e, "age"), when);
	show_time(json_object_get(e, "since"), since);
	if (is_current(e))
		show_line(f, indent, "NOT UP for %s: %s, %s ago%s", since, show_str(e, "kind"),
			  when, show_num(e, "count") > 1 ? ", again and again" : "");
	else
		show_line(f, indent, "last problem %s ago: %s", when, show_str(e, "kind"));
	show_line(f, indent + 2, "%s", show_str(e, "text"));
	show_line(f, indent + 2, "What to do: %s.", show_str(e, "advice"));
}

/* The traffic does not go where it should go first. */
static void show_other_way(FILE *f, const json_t *c)
{
	const json_t *back = json_object_get(c, "failback_in");
	bool by_backup = json_is_true(json_object_get(c, "traffic_to_backup"));
	char age[SHOW_TIME_STRLEN];

	show_time(back, age);
	if (by_backup)
		show_line(f, 2, "its traffic goes by %s%s%s", show_str(c, "backup"),
			  json_is_number(back) ? ", and by itself again in " : "",
			  json_is_number(back) ? age : "");
	else if (json_is_number(back))
		show_line(f, 2, "not at its first address, which is called again in %s", age);
}

static void show_certificate(FILE *f, const char *whose, const json_t *c)
{
	char end[EXPIRY_STRLEN];

	if (c)
		show_line(f, 4, "%s certificate %s: %s", whose, show_str(c, "subject"),
			  certificate_end(c, end));
}

static void show_ike_sa(FILE *f, const json_t *v)
{
	char age[SHOW_TIME_STRLEN], rekey[SHOW_TIME_STRLEN], end[SHOW_TIME_STRLEN];
	const json_t *ppk = json_object_get(v, "ppk_id");

	show_line(f, 2,
		  "IKE SA %s: %s to %s (%s), as %s, up %s, rekey in %s, expires in %s, %s%s%s%s",
		  show_str(v, "state"), show_str(v, "local"), show_str(v, "remote"),
		  show_str(v, "peer_id"), show_str(v, "role"),
		  show_time(json_object_get(v, "established"), age),
		  show_time(json_object_get(v, "rekey_in"), rekey),
		  show_time(json_object_get(v, "expires_in"), end), show_str(v, "proposal"),
		  ppk ? ", PPK " : "", ppk ? show_str(v, "ppk_id") : "",
		  json_is_false(json_object_get(v, "esp_in_udp")) ? ", ESP without UDP" : "");
}

static void show_child(FILE *f, const json_t *c, const json_t *v)
{
	const json_t *s;
	size_t k;

	show_line(f, 4, "child %s%s%s: %s, rekeyed %lld times", show_str(v, "name"),
		  json_object_get(v, "device") ? " on " : "",
		  json_object_get(v, "device") ? show_str(v, "device") : "", show_str(v, "state"),
		  show_num(v, "rekeys"));
	if (json_is_true(json_object_get(v, "traffic_to_backup")) &&
	    !json_is_true(json_object_get(c, "traffic_to_backup")))
		show_line(f, 6, "its traffic goes by %s", show_str(c, "backup"));
	show_offered(f, 6, "ESP proposals: ", json_object_get(v, "esp_proposals"));
	show_error(f, 6, json_object_get(v, "last_error"));
	json_array_foreach(json_object_get(v, "sas"), k, s) show_sa(f, s);
}

static void show_connection(FILE *f, const json_t *c)
{
	char age[SHOW_TIME_STRLEN];
	const json_t *v;
	size_t i;

	show_line(f, 0, "%s%s%s%s", show_str(c, "name"), json_object_get(c, "peer") ? " with " : "",
		  json_object_get(c, "peer") ? show_str(c, "peer") : "",
		  json_is_true(json_object_get(c, "answers")) ? ": waits for its peers to call"
							      : "");
	json_array_foreach(json_object_get(c, "ike_sas"), i, v) show_ike_sa(f, v);
	show_certificate(f, "our", json_object_get(c, "certificate"));
	json_array_foreach(json_object_get(c, "ike_sas"), i, v)
		show_certificate(f, "the peer's", json_object_get(v, "peer_certificate"));
	if (json_is_number(json_object_get(c, "next_try")))
		show_line(f, 2, "not connected, next try in %s",
			  show_time(json_object_get(c, "next_try"), age));
	show_error(f, 2, json_object_get(c, "last_error"));
	show_other_way(f, c);
	show_offered(f, 2, "IKE proposals: ", json_object_get(c, "proposals"));
	json_array_foreach(json_object_get(c, "children"), i, v) show_child(f, c, v);
}

/* The words of struct tun's offloads, as a person says them. */
static void show_tun_offload(FILE *f, const char *words)
{
	static const struct {
		const char *word, *meaning;
	} known[] = {
		{"csum", "checksums"},
		{"tso4", "TCP segments over IPv4"},
		{"tso6", "TCP segments over IPv6"},
		{"uso", "UDP segments"},
	};
	bool any = false;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!strstr(words, known[i].word))
			continue;
		fprintf(f, "%s%s", any ? ", " : "", known[i].meaning);
		any = true;
	}
	if (!any)
		fputs("nothing", f);
}

static void show_offload(FILE *f, const json_t *o)
{
	bool segment = json_is_true(json_object_get(o, "udp_segment"));
	bool gro = json_is_true(json_object_get(o, "udp_gro"));
	const json_t *why = json_object_get(o, "udp_segment_why");
	char *words = NULL;
	size_t size;
	FILE *m = open_memstream(&words, &size);

	if (!m)
		return;
	show_tun_offload(m, show_str(o, "tun"));
	fprintf(m, "; of UDP %s",
		segment && gro ? "sending trains, receiving trains"
		: segment      ? "sending trains"
		: gro	       ? "receiving trains"
			       : "nothing");
	fclose(m);
	show_line(f, 0, "Left to the kernel: of the TUN device %s", words);
	free(words);
	if (json_is_string(why))
		show_line(f, 0, "UDP segment is not used: %s", json_string_value(why));
}

static void show_daemon(FILE *f, const json_t *o)
{
	const json_t *offload = json_object_get(o, "offload"), *v;
	char age[SHOW_TIME_STRLEN];
	size_t i;

	show_line(f, 0,
		  "mendipd %s, up %s, TUN device %s, MTU %lld, history %lld of %lld KiB, "
		  "cryptography: %s",
		  show_str(o, "version"), show_time(json_object_get(o, "uptime"), age),
		  show_str(o, "tun"), show_num(offload, "mtu"),
		  show_num(o, "history_memory") / 1024, show_num(o, "history_memory_max") / 1024,
		  show_str(o, "crypto"));
	show_offload(f, offload);
	if (json_is_string(json_object_get(o, "key_log")))
		show_line(f, 0, "KEYS ARE WRITTEN to %s (option key_log)", show_str(o, "key_log"));
	json_array_foreach(json_object_get(o, "devices"), i, v)
		show_line(f, 0, "TUN device %s: link %s, MTU %lld", show_str(v, "name"),
			  show_str(v, "link"), show_num(v, "mtu"));
	if (json_is_string(json_object_get(o, "reload_error")))
		show_line(f, 0, "last reload failed: %s", show_str(o, "reload_error"));
}

void show_all(FILE *f, const json_t *o)
{
	const json_t *v;
	size_t i;

	if (json_object_get(o, "version"))
		show_daemon(f, o);
	json_array_foreach(json_object_get(o, "connections"), i, v) show_connection(f, v);
	show_counters(f, 0, "datagrams", json_object_get(o, "io"));
	show_counters(f, 0, "verdicts", json_object_get(o, "verdicts"));
	show_counters(f, 0, "dropped", json_object_get(o, "drops"));
	show_counters(f, 0, "IKE", json_object_get(o, "ike"));
}
