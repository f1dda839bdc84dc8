/*
 * import_option.h - single options and names; private to import*.c. SPDX-License-Identifier: ISC
 *
 * The functions add lines to l for options of swanctl.conf. path: the names of the groups around,
 * for what is said. alone, needed: see import_lines.h.
 */
#ifndef MENDIP_IMPORT_OPTION_H
#define MENDIP_IMPORT_OPTION_H

#include "import_lines.h"

/* NAME = "v"; as libconfig reads it. */
void import_add_text(struct import_lines *l, const struct import_node *n, bool alone,
		     const char *name, const char *v);
/* The next item of a list with commas, without spaces around it, for free(); NULL: there is none.
 */
char *import_next_item(const char **at);
/* NAME = [ "v", ... ]; each item can be refused alone. `before` is what import_begin_list returned.
 */
unsigned import_begin_list(struct import_lines *l, const struct import_node *n, bool needed,
			   const char *name);
void import_add_item(struct import_lines *l, const struct import_node *n, const char *v);
void import_end_list(struct import_lines *l, const struct import_node *n, unsigned before);
/* The same for all items of the option n. */
void import_add_list(struct import_lines *l, const struct import_node *n, bool needed,
		     const char *name);
/* The words that strongSwan takes for yes, and for no. */
bool import_is_yes(const char *v);
bool import_is_no(const char *v);
/* "yes" or "no" for these words, and v itself for others. */
const char *import_switch(const char *v);
/* The option of the section, which is seen now; NULL: there is none. */
struct import_node *import_get(const struct import_node *section, const char *name);
/* The options that have the same name and meaning here and there. */
void import_add_conn_options(struct import_lines *l, const struct import_node *conn);
void import_add_child_options(struct import_lines *l, const struct import_node *child);
/* Whether Mendip does just what the option says, so that it needs no word. */
bool import_is_usual(const struct import_node *n);
/* Says what of the section has not been seen. */
void import_say_rest(struct import_lines *l, const struct import_node *section, const char *path);
/* A name for the group of n, which no other one of the section has; n keeps it. */
const char *import_group_name(struct import_lines *l, struct import_node *n,
			      const struct import_node *section);
/* NAME = "IDENTITY"; in the words of mendip.conf. */
void import_add_identity(struct import_lines *l, const struct import_node *n, const char *name);
/* The name of a file that stands in a folder of swanctl; for free(). */
char *import_file_in(const struct import_lines *l, const char *folder, const char *name);
/* The groups local and remote of a connection; the connection is left out if they cannot be made.
 */
void import_add_sides(struct import_lines *l, const struct import_node *conn, const char *path);

#endif
