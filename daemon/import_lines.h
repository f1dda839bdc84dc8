/*
 * import_lines.h - the lines of a configuration while import.c makes it; private to import*.c.
 * SPDX-License-Identifier: ISC
 *
 * Lines belong to parts, and parts to greater ones: a list to a child, a child to a connection.
 * When mendipd would refuse a line, what goes is the line, if the rest means the same without it,
 * or its part.
 */
#ifndef MENDIP_IMPORT_LINES_H
#define MENDIP_IMPORT_LINES_H

#include "import.h"

struct import_line {
	char *text;
	const struct import_node *from; /* what it was made of */
	unsigned part;
	bool alone; /* it can go by itself */
	enum import_place { LINE_PLAIN, LIST_BEGIN, LIST_ITEM, LIST_END } place;
};

struct import_part {
	unsigned parent; /* 0: of the file as a whole */
	bool needed;	 /* the parent goes with it */
	bool gone;
	char *path; /* of a section; NULL: of a list */
};

struct import_word {
	const struct import_node *of;
	unsigned number;
	char *text;
};

struct import_lines {
	const struct import_ops *ops;
	const struct import_node *pools; /* the section of the file, or NULL */
	struct import_line *v;
	unsigned count, depth;	   /* depth: levels of two spaces */
	struct import_part *parts; /* the first one is the file as a whole */
	unsigned part_count, part; /* the part that lines are added to */
	struct import_word *words; /* what is to be said */
	unsigned said;
	bool certificates; /* peers show some */
};

/* For struct import_lines that has its ops and pools, and is zero otherwise. */
void import_lines_init(struct import_lines *l);
/*
 * Begins a part of the present one. path: of the section that it is made of, or NULL, which is
 * copied. Returns the present one, for import_part_end.
 */
unsigned import_part_begin(struct import_lines *l, bool needed, const char *path);
void import_part_end(struct import_lines *l, unsigned before);
/* Adds a line, for which `from` stands; alone: see above. */
void import_line(struct import_lines *l, const struct import_node *from, bool alone,
		 const char *fmt, ...) PRINTF_LIKE(4, 5);
/* The lines "NAME: {" and "};" around those of a group. */
void import_open(struct import_lines *l, const struct import_node *from, const char *name);
void import_close(struct import_lines *l, const struct import_node *from);
/* Notes that something is not carried over. */
void import_say(struct import_lines *l, const struct import_node *n, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
/* The same, for which all of the present part goes, with those that need it. */
void import_leave_out(struct import_lines *l, const struct import_node *n, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
/* The lines that are left, as one text for secret_free. folded: with each list in one line. */
char *import_text(const struct import_lines *l, bool folded);
/*
 * Leaves out what stands in a line of the text that is not folded, and says why, and which section
 * goes with it. False: it is a line of the file.
 */
bool import_refuse(struct import_lines *l, unsigned line, const char *why);
/* Says what was noted, in the order of the files. */
void import_say_all(struct import_lines *l);
void import_lines_free(struct import_lines *l);

#endif
