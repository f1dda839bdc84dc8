/* show_text.c - see show_text.h. SPDX-License-Identifier: ISC */
#include "show_text.h"

#include "xalloc.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *show_str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "-";
}

long long show_num(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

const json_t *show_find_child(const json_t *status, const char *conn, const char *peer,
			      const char *child)
{
	const json_t *c, *k;
	size_t i, j;

	json_array_foreach(json_object_get(status, "connections"), i, c)
	{
		if (strcmp(show_str(c, "name"), conn) != 0 ||
		    strcmp(show_str(c, "peer"), peer) != 0)
			continue;
		json_array_foreach(json_object_get(c, "children"), j, k)
		{
			if (strcmp(show_str(k, "name"), child) == 0)
				return k;
		}
	}
	return NULL;
}

json_t *show_names(const json_t *status)
{
	json_t *names = json_object(), *of;
	const json_t *c, *k;
	size_t i, j;

	json_array_foreach(json_object_get(status, "connections"), i, c)
	{
		of = json_object_get(names, show_str(c, "name"));
		if (!of) {
			of = json_object();
			json_object_set_new(names, show_str(c, "name"), of);
		}
		json_array_foreach(json_object_get(c, "children"), j, k)
			json_object_set_new(of, show_str(k, "name"), json_null());
	}
	return names;
}

const char *show_time(const json_t *v, char text[SHOW_TIME_STRLEN])
{
	double exact = json_number_value(v);
	long long s = (long long)exact;

	if (!json_is_number(v))
		snprintf(text, SHOW_TIME_STRLEN, "-");
	else if (exact < 60)
		snprintf(text, SHOW_TIME_STRLEN, "%.1fs", exact);
	else if (s < 3600)
		snprintf(text, SHOW_TIME_STRLEN, "%lldm%02llds", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, SHOW_TIME_STRLEN, "%lldh%02lldm", s / 3600, s / 60 % 60);
	else
		snprintf(text, SHOW_TIME_STRLEN, "%lldd%02lldh", s / 86400, s / 3600 % 24);
	return text;
}

const char *show_bytes(long long v, char text[SHOW_BYTES_STRLEN])
{
	static const char units[] = "KMGTPE";
	double scaled = (double)v;
	const char *unit = units;

	if (v < 1000) {
		snprintf(text, SHOW_BYTES_STRLEN, "%lld", v);
		return text;
	}
	/* What would be printed as 1000 is 1.0 of the next unit. */
	for (scaled /= 1000; scaled >= 999.5; scaled /= 1000)
		unit++;
	snprintf(text, SHOW_BYTES_STRLEN, scaled < 9.95 ? "%.1f%c" : "%.0f%c", scaled, *unit);
	return text;
}

char *show_list(const json_t *a)
{
	char *text = NULL;
	size_t size, i;
	FILE *f = open_memstream(&text, &size);
	const json_t *v;

	if (!f)
		return xstrdup("");
	json_array_foreach(a, i, v) fprintf(f, "%s%s", i ? ", " : "", json_string_value(v));
	fclose(f);
	return text;
}

/* Breaks a text whose first line begins at `at`, and the others at `column`. */
static void wrap(FILE *f, unsigned at, unsigned column, const char *text)
{
	bool first = true;

	while (*text) {
		size_t word = strcspn(text, " ");

		if (!first && at + 1 + word > SHOW_COLUMNS) {
			fprintf(f, "\n%*s", (int)column, "");
			at = column;
			first = true;
		}
		fprintf(f, "%s%.*s", first ? "" : " ", (int)word, text);
		at += (unsigned)word + !first;
		first = false;
		text += word;
		text += strspn(text, " ");
	}
	fputc('\n', f);
}

void show_wrapped(FILE *f, unsigned column, const char *text)
{
	wrap(f, column, column, text);
}

void show_line(FILE *f, unsigned indent, const char *format, ...)
{
	char *text = NULL;
	va_list ap;
	int len;

	va_start(ap, format);
	len = vasprintf(&text, format, ap);
	va_end(ap);
	if (len < 0)
		return;
	fprintf(f, "%*s", (int)indent, "");
	wrap(f, indent, indent + 4, text);
	free(text);
}

void show_counters(FILE *f, unsigned indent, const char *title, const json_t *o)
{
	char *text = NULL;
	size_t size;
	FILE *line = open_memstream(&text, &size);
	const json_t *v;
	const char *key;
	bool any = false;

	if (!line)
		return;
	json_object_foreach((json_t *)o, key, v)
	{
		if (json_integer_value(v) == 0)
			continue;
		fprintf(line, "%s%s %lld", any ? ", " : "", key, (long long)json_integer_value(v));
		any = true;
	}
	fclose(line);
	if (any)
		show_line(f, indent, "%s: %s", title, text);
	free(text);
}
