/* show_text.h - the daemon's values as words, and lines of up to SHOW_COLUMNS columns.
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_SHOW_TEXT_H
#define MENDIP_SHOW_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#define SHOW_COLUMNS 100

/* A member of an object that is a text; "-" if it is none. */
const char *show_str(const json_t *o, const char *key);
/* A member that is an integer; 0 if it is none. */
long long show_num(const json_t *o, const char *key);

/*
 * The child in a result of status, borrowed; NULL: it has none such. peer: show_str of the member
 * peer, which is "-" in a connection that has one peer alone.
 */
const json_t *show_find_child(const json_t *status, const char *conn, const char *peer,
			      const char *child);

/*
 * The names in a result of status, as {connection: {child: null}}, owned. A connection that several
 * peers have called is there once.
 */
json_t *show_names(const json_t *status);

#define SHOW_TIME_STRLEN 32

/* Seconds as "12.3s", "4m05s", "2h03m", "3d07h"; "-" if v is no number. Returns text. */
const char *show_time(const json_t *v, char text[SHOW_TIME_STRLEN]);

#define SHOW_BYTES_STRLEN 24

/* "999", "1.5K", "23M", "4.0G": powers of 1000, up to 4 characters. Returns text. */
const char *show_bytes(long long v, char text[SHOW_BYTES_STRLEN]);

/* The texts of an array, with commas between them. The caller frees it. */
char *show_list(const json_t *a);

/*
 * Prints the text, which begins at this column, and a new line. It is broken at blanks, and each
 * further line begins at the same column.
 */
void show_wrapped(FILE *f, unsigned column, const char *text);

/* One paragraph like printf: each line begins after `indent` blanks, further ones after 4 more. */
void show_line(FILE *f, unsigned indent, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The names and values of the counters that are not 0, if there are any. */
void show_counters(FILE *f, unsigned indent, const char *title, const json_t *o);

#endif
