/* scan.h - what libconfig must not see. SPDX-License-Identifier: ISC */
#ifndef MENDIP_SCAN_H
#define MENDIP_SCAN_H

#include "base.h"

/*
 * Looks over a configuration text for what libconfig 1.5 gets wrong without telling: integers that
 * it would wrap, and @include, which ends the process on a folder. False with the line in *ret_line
 * and a static text in *ret_why.
 */
bool conf_scan(const char *text, size_t len, unsigned *ret_line, const char **ret_why);

/* The value of an option `secret`, as the library would read it. */
struct conf_secret {
	char *text; /* NUL-terminated; owned */
	size_t len;
	size_t shown; /* characters that stand in its place */
};

/* All of a text, in its order. */
struct conf_secrets {
	struct conf_secret *v;
	unsigned count;
};

/*
 * Takes the values of all options `secret` out of a text that conf_scan has passed, and puts as
 * many characters into their places: the library keeps copies of what it reads, and does not
 * cleanse them. Free *ret with conf_secrets_free.
 */
void conf_take_secrets(char *text, size_t len, struct conf_secrets *ret);
/* Cleanses them. */
void conf_secrets_free(struct conf_secrets *s);

#endif
