/* show.c - see show.h. SPDX-License-Identifier: ISC */
#include "show.h"

#include <string.h>
#include <time.h>

static const char *str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "-";
}

static long long num(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

/* "12.3s", "4m05s", "2h03m", "3d07h" or "-". */
static const char *ago(const json_t *v, char *buf, size_t size)
{
	double s = json_number_value(v);

	if (!json_is_number(v))
		snprintf(buf, size, "-");
	else if (s < 60)
		snprintf(buf, size, "%.1fs", s);
	else if (s < 3600)
		snprintf(buf, size, "%dm%02ds", (int)s / 60, (int)s % 60);
	else if (s < 86400)
		snprintf(buf, size, "%dh%02dm", (int)s / 3600, (int)s / 60 % 60);
	else
		snprintf(buf, size, "%lldd%02dh", (long long)s / 86400,
			 (int)((long long)s / 3600 % 24));
	return buf;
}

static void show_list(FILE *f, const json_t *a)
{
	const json_t *v;
	size_t i;

	json_array_foreach(a, i, v) fprintf(f, "%s%s", i ? ", " : "", json_string_value(v));
}

/* The names and values of counters that are not 0. */
static void show_counters(FILE *f, const char *title, const json_t *o)
{
	const char *key;
	const json_t *v;
	bool any = false;

	json_object_foreach((json_t *)o, key, v)
	{
		if (json_integer_value(v) == 0)
			continue;
		fprintf(f, "%s%s %lld", any ? ", " : title, key, (long long)json_integer_value(v));
		any = true;
	}
	if (any)
		fputc('\n', f);
}

static void show_sa(FILE *f, const json_t *sa)
{
	char age[32];

	fprintf(f, "      %s SPI in %s out %s, %s, age %s, %s\n", str(sa, "state"),
		str(sa, "spi_in"), str(sa, "spi_out"), str(sa, "proposal"),
		ago(json_object_get(sa, "age"), age, sizeof(age)), str(sa, "backend"));
	fputs("        ", f);
	show_list(f, json_object_get(sa, "local_ts"));
	fputs(" === ", f);
	show_list(f, json_object_get(sa, "remote_ts"));
	fprintf(f,
		"\n        in %lld packets %lld bytes, last %s ago; out %lld packets %lld bytes\n",
		num(sa, "packets_in"), num(sa, "bytes_in"),
		ago(json_object_get(sa, "last_fresh"), age, sizeof(age)), num(sa, "packets_out"),
		num(sa, "bytes_out"));
	if (json_is_false(json_object_get(sa, "replay_protection")))
		fputs("        WARNING: no protection against replays (replay_window = 0)\n", f);
	show_counters(f, "        verdicts: ", json_object_get(sa, "verdicts"));
}

/* "TITLE one, two". */
static void show_offered(FILE *f, const char *title, const json_t *a)
{
	fputs(title, f);
	show_list(f, a);
	fputc('\n', f);
}

/* What keeps it down, for how long, and what to do about it; or what was wrong last, if it may be.
 */
static void show_error(FILE *f, const char *indent, const json_t *e)
{
	char when[32], since[32];
	bool current = json_is_true(json_object_get(e, "current"));

	if (!json_is_object(e) || json_is_true(json_object_get(e, "over")))
		return;
	ago(json_object_get(e, "age"), when, sizeof(when));
	ago(json_object_get(e, "since"), since, sizeof(since));
	if (current)
		fprintf(f, "%sNOT UP for %s: %s, %s ago%s\n", indent, since, str(e, "kind"), when,
			num(e, "count") > 1 ? ", again and again" : "");
	else
		fprintf(f, "%slast problem %s ago: %s\n", indent, when, str(e, "kind"));
	fprintf(f, "%s  %s\n%s  What to do: %s.\n", indent, str(e, "text"), indent,
		str(e, "advice"));
}

/* The traffic does not go where it should go first. */
static void show_other_way(FILE *f, const json_t *c)
{
	const json_t *back = json_object_get(c, "failback_in");
	bool by_backup = json_is_true(json_object_get(c, "traffic_to_backup"));
	char age[32];

	if (by_backup)
		fprintf(f, "  its traffic goes by %s%s%s\n", str(c, "backup"),
			json_is_number(back) ? ", and by itself again in " : "",
			json_is_number(back) ? ago(back, age, sizeof(age)) : "");
	else if (json_is_number(back))
		fprintf(f, "  not at its first address, which is called again in %s\n",
			ago(back, age, sizeof(age)));
}

/* A certificate and the days to its end. */
static void show_certificate(FILE *f, const char *whose, const json_t *c)
{
	long long left = c ? num(c, "ends_in") : 0;

	if (c)
		fprintf(f, "    %s certificate %s: %s %lld days%s\n", whose, str(c, "subject"),
			left < 0 ? "ended" : "ends in", (left < 0 ? -left : left) / 86400,
			left < 0 ? " ago" : "");
}

static void show_connection(FILE *f, const json_t *c)
{
	const json_t *v, *s;
	size_t i, k;
	char age[32];

	fprintf(f, "%s%s%s%s\n", str(c, "name"), json_object_get(c, "peer") ? " with " : "",
		json_object_get(c, "peer") ? str(c, "peer") : "",
		json_is_true(json_object_get(c, "answers")) ? ": waits for its peers to call" : "");
	json_array_foreach(json_object_get(c, "ike_sas"), i, v)
		fprintf(f, "  IKE SA %s: %s to %s (%s), as %s, up %s, %s%s%s%s\n", str(v, "state"),
			str(v, "local"), str(v, "remote"), str(v, "peer_id"), str(v, "role"),
			ago(json_object_get(v, "established"), age, sizeof(age)),
			str(v, "proposal"), json_object_get(v, "ppk_id") ? ", PPK " : "",
			json_object_get(v, "ppk_id") ? str(v, "ppk_id") : "",
			json_is_false(json_object_get(v, "esp_in_udp")) ? ", ESP without UDP" : "");
	show_certificate(f, "our", json_object_get(c, "certificate"));
	json_array_foreach(json_object_get(c, "ike_sas"), i, v)
		show_certificate(f, "the peer's", json_object_get(v, "peer_certificate"));
	if (json_is_number(json_object_get(c, "next_try")))
		fprintf(f, "  not connected, next try in %s\n",
			ago(json_object_get(c, "next_try"), age, sizeof(age)));
	show_error(f, "  ", json_object_get(c, "last_error"));
	show_other_way(f, c);
	show_offered(f, "  IKE proposals: ", json_object_get(c, "proposals"));
	json_array_foreach(json_object_get(c, "children"), i, v)
	{
		fprintf(f, "    child %s%s%s: %s, rekeyed %lld times\n", str(v, "name"),
			json_object_get(v, "device") ? " on " : "",
			json_object_get(v, "device") ? str(v, "device") : "", str(v, "state"),
			num(v, "rekeys"));
		show_offered(f, "      ESP proposals: ", json_object_get(v, "esp_proposals"));
		show_error(f, "      ", json_object_get(v, "last_error"));
		json_array_foreach(json_object_get(v, "sas"), k, s) show_sa(f, s);
	}
}

static void show_offload(FILE *f, const json_t *o, const char *crypto, const json_t *key_log)
{
	const json_t *why = json_object_get(o, "udp_segment_why");

	fprintf(f, "offloads: TUN %s; UDP%s%s%s; MTU %lld; cryptography: %s\n", str(o, "tun"),
		json_is_true(json_object_get(o, "udp_segment")) ? " segment" : "",
		json_is_true(json_object_get(o, "udp_gro")) ? " gro" : "",
		json_is_true(json_object_get(o, "udp_segment")) ||
				json_is_true(json_object_get(o, "udp_gro"))
			? ""
			: " none",
		num(o, "mtu"), crypto);
	if (json_is_string(why))
		fprintf(f, "UDP segment is not used: %s\n", json_string_value(why));
	if (json_is_string(key_log))
		fprintf(f, "KEYS ARE WRITTEN to %s (option key_log)\n", json_string_value(key_log));
}

void show_status(FILE *f, const json_t *o)
{
	const json_t *v;
	char age[32];
	size_t i;

	if (json_object_get(o, "version"))
		fprintf(f, "mendipd %s, up %s, TUN device %s, history %lld of %lld KiB\n",
			str(o, "version"), ago(json_object_get(o, "uptime"), age, sizeof(age)),
			str(o, "tun"), num(o, "history_memory") / 1024,
			num(o, "history_memory_max") / 1024);
	if (json_object_get(o, "offload"))
		show_offload(f, json_object_get(o, "offload"), str(o, "crypto"),
			     json_object_get(o, "key_log"));
	json_array_foreach(json_object_get(o, "devices"), i, v)
		fprintf(f, "TUN device %s: link %s, MTU %lld\n", str(v, "name"), str(v, "link"),
			num(v, "mtu"));
	if (json_is_string(json_object_get(o, "reload_error")))
		fprintf(f, "last reload failed: %s\n", str(o, "reload_error"));
	json_array_foreach(json_object_get(o, "connections"), i, v) show_connection(f, v);
	show_counters(f, "datagrams: ", json_object_get(o, "io"));
	show_counters(f, "verdicts: ", json_object_get(o, "verdicts"));
	show_counters(f, "dropped: ", json_object_get(o, "drops"));
	show_counters(f, "IKE: ", json_object_get(o, "ike"));
}

/* Breaks the text at blanks, so that each line has up to 100 columns and begins at `column`. */
static void wrapped(FILE *f, unsigned column, const char *text)
{
	unsigned at = column;

	while (*text) {
		size_t word = strcspn(text, " ");

		if (at > column && at + word > 100) {
			fprintf(f, "\n%*s", (int)column, "");
			at = column;
		}
		if (at > column)
			fputc(' ', f);
		fprintf(f, "%.*s", (int)word, text);
		at += (unsigned)word + 1;
		text += word;
		text += strspn(text, " ");
	}
	fputc('\n', f);
}

static void show_step(FILE *f, const json_t *s)
{
	fprintf(f, "  %-14s  ", str(s, "stage"));
	if (!json_object_get(s, "text")) {
		fprintf(f, "%s\n", str(s, "result"));
		return;
	}
	fprintf(f, "%-11s  ", str(s, "result"));
	wrapped(f, 31, str(s, "text"));
	if (json_object_get(s, "advice")) {
		fprintf(f, "%31s", "");
		wrapped(f, 31, str(s, "advice"));
	}
}

void show_diagnosis(FILE *f, const json_t *o)
{
	const json_t *w, *s;
	size_t i, k;

	json_array_foreach(json_object_get(o, "walks"), i, w)
	{
		bool child = json_is_string(json_object_get(w, "child"));

		fprintf(f, "%s%s%s: %s\n", str(w, "connection"), child ? "/" : "",
			child ? str(w, "child") : "", str(w, "result"));
		json_array_foreach(json_object_get(w, "steps"), k, s) show_step(f, s);
	}
}

bool diagnosis_failed(const json_t *o)
{
	const json_t *w;
	bool failed = false;
	size_t i;

	json_array_foreach(json_object_get(o, "walks"), i, w) failed |=
		strcmp(str(w, "result"), "failed") == 0;
	return failed;
}

#define MS_STRLEN 32

/* "1.5 ms", and from 10 s on "152.6 s". Returns text. */
static const char *milliseconds(double v, char text[MS_STRLEN])
{
	if (v < 10000)
		snprintf(text, MS_STRLEN, "%.1f ms", v);
	else
		snprintf(text, MS_STRLEN, "%.1f s", v / 1000);
	return text;
}

/* Prints ", TITLE 1.5 ms" if o has the time. */
static void ms(FILE *f, const char *title, const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	char text[MS_STRLEN];

	if (json_is_number(v))
		fprintf(f, ", %s %s", title, milliseconds(json_number_value(v), text));
}

/* One line each, of up to 100 columns: what happened, what it cost, and the times of its steps. */
static void show_record(FILE *f, const json_t *r)
{
	char age[32], text[MS_STRLEN];

	fprintf(f, "    #%lld %s ago: %s; shown by %s", num(r, "id"),
		ago(json_object_get(r, "age"), age, sizeof(age)), str(r, "outcome"),
		str(r, "criterion"));
	if (num(r, "rung"))
		fprintf(f, ", rung %lld", num(r, "rung"));
	if (num(r, "count") > 1)
		fprintf(f, ", %lld times", num(r, "count"));
	fprintf(f, ", SPI %s", str(r, "old_spi"));
	if (json_is_string(json_object_get(r, "new_spi")))
		fprintf(f, " to %s", str(r, "new_spi"));
	fprintf(f, "\n      %lld lost, %lld bridged", num(r, "lost"), num(r, "bridged"));
	if (num(r, "unverified"))
		fprintf(f, ", up to %lld more not verified", num(r, "unverified"));
	ms(f, "outage", r, "outage_ms");
	/* The back-off of the gate; its jitter alone is not shown. */
	if (json_number_value(json_object_get(r, "delay_ms")) >= 1000)
		ms(f, "waited", r, "delay_ms");
	fputc('\n', f);
	if (json_is_number(json_object_get(r, "request_ms"))) {
		fprintf(f, "      after the first evidence: request %s",
			milliseconds(json_number_value(json_object_get(r, "request_ms")), text));
		ms(f, "answer", r, "response_ms");
		ms(f, "first new packet", r, "first_fresh_ms");
		fputc('\n', f);
	}
}

/* One inbound SA. Retired ones only if they recover or have bridged packets. */
static void show_detector(FILE *f, const json_t *d)
{
	bool retired = json_is_true(json_object_get(d, "retired"));

	if (!json_is_object(d) ||
	    (retired && strcmp(str(d, "recovery"), "idle") == 0 && num(d, "bridged") == 0))
		return;
	fprintf(f, "  SPI %s%s: %s", str(d, "spi_in"), retired ? " (retired)" : "",
		str(d, "state"));
	if (strcmp(str(d, "criterion"), "none") != 0)
		fprintf(f, " by %s", str(d, "criterion"));
	fprintf(f, ", %lld proof%s, %lld hint%s, recovery %s\n    bridge %s", num(d, "proofs"),
		num(d, "proofs") == 1 ? "" : "s", num(d, "pattern"),
		num(d, "pattern") == 1 ? "" : "s", str(d, "recovery"), str(d, "bridge"));
	if (num(d, "bridged"))
		fprintf(f, " (%lld)", num(d, "bridged"));
	fprintf(f, ", history %lld KiB\n", num(d, "history_bytes") / 1024);
	if (json_is_true(json_object_get(d, "key_exposed")))
		fputs("    SECURITY: a nonce was used twice; the SA's authentication key is "
		      "exposed\n",
		      f);
}

static void show_gate(FILE *f, const json_t *g)
{
	char age[32];

	fprintf(f,
		"  gate: admitted %lld, disabled %lld, superseded %lld, in-progress %lld, quiet "
		"%lld\n",
		num(g, "admitted"), num(g, "disabled"), num(g, "superseded"), num(g, "in-progress"),
		num(g, "quiet"));
	if (json_is_number(json_object_get(g, "proof_quiet")))
		fprintf(f, "    proofs are ignored for %s more\n",
			ago(json_object_get(g, "proof_quiet"), age, sizeof(age)));
	if (json_is_number(json_object_get(g, "pattern_quiet")))
		fprintf(f, "    hints are ignored for %s more\n",
			ago(json_object_get(g, "pattern_quiet"), age, sizeof(age)));
}

#define COLUMNS 100

static void show_options(FILE *f, const json_t *options)
{
	int at = fprintf(f, "  options:");
	const char *key;
	const json_t *v;

	json_object_foreach((json_t *)options, key, v)
	{
		int need = (int)(strlen(key) + strlen(json_string_value(v)) + 2);

		if (at + need > COLUMNS)
			at = fprintf(f, "\n          ") - 1;
		at += fprintf(f, " %s=%s", key, json_string_value(v));
	}
	fputc('\n', f);
}

static void show_switchover_child(FILE *f, const json_t *c)
{
	const json_t *v;
	size_t i;

	fprintf(f, "%s/%s: ", str(c, "connection"), str(c, "name"));
	if (json_is_object(json_object_get(c, "detector")))
		fprintf(f, "%s, %lld rekeys induced\n",
			str(json_object_get(c, "detector"), "state"), num(c, "recoveries"));
	else
		fprintf(f, "down\n");
	json_array_foreach(json_object_get(c, "sas"), i, v) show_detector(f, v);
	show_gate(f, json_object_get(c, "gate"));
	show_options(f, json_object_get(c, "options"));
	json_array_foreach(json_object_get(c, "records"), i, v) show_record(f, v);
}

void show_switchover(FILE *f, const json_t *o)
{
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(o, "children"), i, v) show_switchover_child(f, v);
}

void show_event(FILE *f, const json_t *o)
{
	const json_t *e = json_object_get(o, "event");
	double t = json_number_value(json_object_get(e, "time"));
	time_t whole = (time_t)t;
	struct tm tm;
	char stamp[32];

	localtime_r(&whole, &tm);
	strftime(stamp, sizeof(stamp), "%H:%M:%S", &tm);
	fprintf(f, "%s.%03d %-10s %s%s%s: %s\n", stamp, (int)((t - (double)whole) * 1000),
		str(e, "kind"), str(e, "connection"),
		json_is_string(json_object_get(e, "child")) ? "/" : "",
		json_is_string(json_object_get(e, "child")) ? str(e, "child") : "", str(e, "text"));
}

/* The newest SA of the child, or NULL. */
static const json_t *newest(const json_t *child)
{
	return json_array_get(json_object_get(child, "sas"), 0);
}

static const json_t *find_child(const json_t *status, const char *conn, const char *child)
{
	const json_t *c, *k;
	size_t i, j;

	json_array_foreach(json_object_get(status, "connections"), i, c)
	{
		json_array_foreach(json_object_get(c, "children"), j, k)
		{
			if (strcmp(str(c, "name"), conn) == 0 && strcmp(str(k, "name"), child) == 0)
				return k;
		}
	}
	return NULL;
}

static double rate(const json_t *now, const json_t *before, const char *key, double seconds)
{
	if (!now || !before || seconds <= 0 ||
	    strcmp(str(now, "spi_in"), str(before, "spi_in")) != 0)
		return 0;
	return (double)(num(now, key) - num(before, key)) / seconds;
}

void show_watch(FILE *f, const json_t *status, const json_t *switchover, const json_t *before,
		double seconds)
{
	const json_t *c, *k, *sa, *old, *last;
	size_t i;

	fprintf(f, "%-24s %-9s %-9s %9s %9s %8s %8s %-9s %s\n", "CHILD", "STATE", "SPI", "IN/s",
		"OUT/s", "REWOUND", "REPLAYED", "DETECTOR", "LAST RECOVERY");
	json_array_foreach(json_object_get(switchover, "children"), i, c)
	{
		char name[64];

		k = find_child(status, str(c, "connection"), str(c, "name"));
		old = before ? newest(find_child(before, str(c, "connection"), str(c, "name")))
			     : NULL;
		sa = newest(k);
		last = json_array_get(json_object_get(c, "records"), 0);
		snprintf(name, sizeof(name), "%s/%s", str(c, "connection"), str(c, "name"));
		fprintf(f, "%-24s %-9s %-9s %9.0f %9.0f %8lld %8lld %-9s ", name,
			k ? str(k, "state") : "-", sa ? str(sa, "spi_in") : "-",
			rate(sa, old, "packets_in", seconds), rate(sa, old, "packets_out", seconds),
			sa ? num(json_object_get(sa, "verdicts"), "rewound") : 0,
			sa ? num(json_object_get(sa, "verdicts"), "replayed") : 0,
			str(json_object_get(c, "detector"), "state"));
		if (last)
			fprintf(f, "%s by %s, %lld lost", str(last, "outcome"),
				str(last, "criterion"), num(last, "lost"));
		fputc('\n', f);
	}
}
