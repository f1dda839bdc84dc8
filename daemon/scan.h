/* scan.h - checks and filters a configuration before libconfig reads it.
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_SCAN_H
#define MENDIP_SCAN_H

#include "base.h"

/*
 * Rejects a configuration text that libconfig 1.5 would misread without an error: integers that it
 * would wrap, numbers with letters after them, NUL bytes, also as \x00; @include, which ends the
 * process on a folder; and what it would refuse without saying why: another encoding, typographic
 * quotes, names and
 * addresses without quotes, a comma too many or one too few in a list. False with the line in
 * *ret_line and a static text in *ret_why.
 */
bool conf_scan(const char *text, size_t len, unsigned *ret_line, const char **ret_why);

/* The value of an option `secret`, as libconfig would read it. */
struct conf_secret {
	char *text; /* owned; NUL-terminated */
	size_t len;
	size_t shown; /* length of the placeholder in the text */
};

/* All secrets of a text, in its order. */
struct conf_secrets {
	struct conf_secret *v;
	unsigned count;
};

/*
 * Moves the values of all options `secret` out of a text that conf_scan has accepted, and leaves
 * placeholders of the same length: libconfig keeps copies of what it reads and does not wipe them.
 * Free *ret with conf_secrets_free.
 */
void conf_take_secrets(char *text, size_t len, struct conf_secrets *ret);
/* Wipes and frees them. */
void conf_secrets_free(struct conf_secrets *s);

#endif
