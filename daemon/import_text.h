/*
 * import_text.h - reads the text of a swanctl.conf. SPDX-License-Identifier: ISC
 *
 * The syntax is that of strongSwan's settings: "NAME = VALUE" up to the end of the line, "NAME {
 * ... }", "NAME : REFERENCE, ... { ... }" with what another section has, "include PATTERN", and
 * comments from # on. A section or option that comes again adds to the one before, or replaces its
 * value.
 */
#ifndef MENDIP_IMPORT_TEXT_H
#define MENDIP_IMPORT_TEXT_H

#include "base.h"

#define IMPORT_ERR	 400
#define IMPORT_NODES_MAX 20000 /* options and sections of all files, with those of references */
#define IMPORT_FILES_MAX 100
#define IMPORT_DEPTH_MAX 12 /* sections within sections; files that include files */

/* A section or an option. */
struct import_node {
	struct import_node *next,
		*first; /* of the same section; its first one, if it is a section */
	char *name;
	char *value; /* NULL: it is a section */
	char *refs;  /* of a section: what it has from others, as it is written; NULL: nothing */
	char *file;  /* where it stands */
	unsigned line;
	bool seen;   /* for import.c: it has been looked at */
	char *given; /* for import.c: what its group is called; NULL: it is not made yet */
};

struct import_tree;
/*
 * Reads the files that an "include PATTERN" in `file` names, by calls of import_add. False with err
 * (IMPORT_ERR bytes).
 */
typedef bool import_include(void *ctx, struct import_tree *t, struct import_node *section,
			    const char *file, const char *pattern, char *err);

struct import_tree {
	struct import_node root; /* its first one is the first section; the rest is empty */
	import_include *include;
	void *ctx; /* of include */
	unsigned nodes, files, depth, included;
};

/*
 * Adds the text of a file to the section (t->root, or the one that the file is included in). False
 * with "FILE:LINE: reason" in err.
 */
bool import_add(struct import_tree *t, struct import_node *section, const char *file,
		const char *text, size_t len, char *err);
/* Gives each section what it has from others. False with err as above. */
bool import_resolve(struct import_tree *t, char *err);
/* The member of the section, or NULL. */
struct import_node *import_find(const struct import_node *section, const char *name);
/* Frees all nodes, and wipes the values, of which some are secrets. */
void import_free(struct import_tree *t);

#endif
