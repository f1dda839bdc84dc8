/* show.c - see show.h. SPDX-License-Identifier: ISC */
#include "show.h"
#include "show_text.h"

#include <string.h>
#include <time.h>

static void show_step(FILE *f, const json_t *s)
{
	fprintf(f, "  %-14s  ", show_str(s, "stage"));
	if (!json_object_get(s, "text")) {
		fprintf(f, "%s\n", show_str(s, "result"));
		return;
	}
	fprintf(f, "%-11s  ", show_str(s, "result"));
	show_wrapped(f, 31, show_str(s, "text"));
	if (json_object_get(s, "advice")) {
		fprintf(f, "%31s", "");
		show_wrapped(f, 31, show_str(s, "advice"));
	}
}

void show_diagnosis(FILE *f, const json_t *o)
{
	const json_t *w, *s;
	size_t i, k;

	json_array_foreach(json_object_get(o, "walks"), i, w)
	{
		bool child = json_is_string(json_object_get(w, "child"));

		show_line(f, 0, "%s%s%s: %s", show_str(w, "connection"), child ? "/" : "",
			  child ? show_str(w, "child") : "", show_str(w, "result"));
		json_array_foreach(json_object_get(w, "steps"), k, s) show_step(f, s);
	}
}

bool diagnosis_failed(const json_t *o)
{
	const json_t *w;
	bool failed = false;
	size_t i;

	json_array_foreach(json_object_get(o, "walks"), i, w) failed |=
		strcmp(show_str(w, "result"), "failed") == 0;
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
	char age[SHOW_TIME_STRLEN], text[MS_STRLEN];

	fprintf(f, "    #%lld %s ago: %s; shown by %s", show_num(r, "id"),
		show_time(json_object_get(r, "age"), age), show_str(r, "outcome"),
		show_str(r, "criterion"));
	if (show_num(r, "rung"))
		fprintf(f, ", rung %lld", show_num(r, "rung"));
	if (show_num(r, "count") > 1)
		fprintf(f, ", %lld times", show_num(r, "count"));
	fprintf(f, ", SPI %s", show_str(r, "old_spi"));
	if (json_is_string(json_object_get(r, "new_spi")))
		fprintf(f, " to %s", show_str(r, "new_spi"));
	fprintf(f, "\n      %lld lost, %lld bridged", show_num(r, "lost"), show_num(r, "bridged"));
	if (show_num(r, "unverified"))
		fprintf(f, ", up to %lld more not verified", show_num(r, "unverified"));
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

	if (!json_is_object(d) || (retired && strcmp(show_str(d, "recovery"), "idle") == 0 &&
				   show_num(d, "bridged") == 0))
		return;
	fprintf(f, "  SPI %s%s: %s", show_str(d, "spi_in"), retired ? " (retired)" : "",
		show_str(d, "state"));
	if (strcmp(show_str(d, "criterion"), "none") != 0)
		fprintf(f, " by %s", show_str(d, "criterion"));
	fprintf(f, ", %lld proof%s, %lld hint%s, recovery %s\n    bridge %s", show_num(d, "proofs"),
		show_num(d, "proofs") == 1 ? "" : "s", show_num(d, "pattern"),
		show_num(d, "pattern") == 1 ? "" : "s", show_str(d, "recovery"),
		show_str(d, "bridge"));
	if (show_num(d, "bridged"))
		fprintf(f, " (%lld)", show_num(d, "bridged"));
	fprintf(f, ", history %lld KiB\n", show_num(d, "history_bytes") / 1024);
	if (json_is_true(json_object_get(d, "key_exposed")))
		fputs("    SECURITY: a nonce was used twice; the SA's authentication key is "
		      "exposed\n",
		      f);
}

static void show_gate(FILE *f, const json_t *g)
{
	char age[SHOW_TIME_STRLEN];

	fprintf(f,
		"  gate: admitted %lld, disabled %lld, superseded %lld, in-progress %lld, quiet "
		"%lld\n",
		show_num(g, "admitted"), show_num(g, "disabled"), show_num(g, "superseded"),
		show_num(g, "in-progress"), show_num(g, "quiet"));
	if (json_is_number(json_object_get(g, "proof_quiet")))
		fprintf(f, "    proofs are ignored for %s more\n",
			show_time(json_object_get(g, "proof_quiet"), age));
	if (json_is_number(json_object_get(g, "pattern_quiet")))
		fprintf(f, "    hints are ignored for %s more\n",
			show_time(json_object_get(g, "pattern_quiet"), age));
}

static void show_options(FILE *f, const json_t *options)
{
	int at = fprintf(f, "  options:");
	const char *key;
	const json_t *v;

	json_object_foreach((json_t *)options, key, v)
	{
		int need = (int)(strlen(key) + strlen(json_string_value(v)) + 2);

		if (at + need > SHOW_COLUMNS)
			at = fprintf(f, "\n          ") - 1;
		at += fprintf(f, " %s=%s", key, json_string_value(v));
	}
	fputc('\n', f);
}

static void show_switchover_child(FILE *f, const json_t *c)
{
	const json_t *v;
	size_t i;

	if (json_is_object(json_object_get(c, "detector")))
		show_line(f, 0, "%s/%s: %s, %lld rekeys induced", show_str(c, "connection"),
			  show_str(c, "name"), show_str(json_object_get(c, "detector"), "state"),
			  show_num(c, "recoveries"));
	else
		show_line(f, 0, "%s/%s: down", show_str(c, "connection"), show_str(c, "name"));
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
		show_str(e, "kind"), show_str(e, "connection"),
		json_is_string(json_object_get(e, "child")) ? "/" : "",
		json_is_string(json_object_get(e, "child")) ? show_str(e, "child") : "",
		show_str(e, "text"));
}

/* The newest SA of the child, or NULL. */
static const json_t *newest(const json_t *child)
{
	return json_array_get(json_object_get(child, "sas"), 0);
}

/* What a result of status has of a child of switchover, or NULL. */
static const json_t *status_of(const json_t *status, const json_t *c)
{
	return show_find_child(status, show_str(c, "connection"), show_str(c, "peer"),
			       show_str(c, "name"));
}

static double rate(const json_t *now, const json_t *before, const char *key, double seconds)
{
	if (!now || !before || seconds <= 0 ||
	    strcmp(show_str(now, "spi_in"), show_str(before, "spi_in")) != 0)
		return 0;
	return (double)(show_num(now, key) - show_num(before, key)) / seconds;
}

#define WATCH_NAME 18 /* columns */

static void show_last(FILE *f, const json_t *r)
{
	bool recovered = strcmp(show_str(r, "outcome"), "recovered") == 0;

	if (recovered)
		fprintf(f, " %s: %lld lost", show_str(r, "criterion"), show_num(r, "lost"));
	else if (r)
		fprintf(f, " %.20s", show_str(r, "outcome"));
}

static void show_watched(FILE *f, const json_t *c, const json_t *child, const json_t *old,
			 double seconds)
{
	const json_t *sa = newest(child), *verdicts = json_object_get(sa, "verdicts");
	char name[64];

	snprintf(name, sizeof(name), "%s/%s", show_str(c, "connection"), show_str(c, "name"));
	if (strlen(name) > WATCH_NAME)
		strcpy(name + WATCH_NAME - 2, "..");
	fprintf(f, "%-18s %-8s %-8s %7.0f %7.0f %7lld %8lld %-9s", name, show_str(child, "state"),
		show_str(sa, "spi_in"), rate(sa, newest(old), "packets_in", seconds),
		rate(sa, newest(old), "packets_out", seconds), show_num(verdicts, "rewound"),
		show_num(verdicts, "replayed"), show_str(json_object_get(c, "detector"), "state"));
	show_last(f, json_array_get(json_object_get(c, "records"), 0));
	fputc('\n', f);
}

void show_watch(FILE *f, const json_t *status, const json_t *switchover, const json_t *before,
		double seconds)
{
	const json_t *c;
	size_t i;

	fprintf(f, "%-18s %-8s %-8s %7s %7s %7s %8s %-9s %s\n", "CHILD", "STATE", "SPI", "IN/s",
		"OUT/s", "REWOUND", "REPLAYED", "DETECTOR", "LAST RECOVERY");
	json_array_foreach(json_object_get(switchover, "children"), i, c)
		show_watched(f, c, status_of(status, c), status_of(before, c), seconds);
}
