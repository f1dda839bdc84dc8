/*
 * config_hint.h - says what is wrong with a text that libconfig does not read, for config*.c and
 * ctl_import.c. SPDX-License-Identifier: ISC
 *
 * libconfig says "syntax error" for a mendip.conf in which a colon is missing and for a file of
 * another program alike, and "duplicate setting name" without the name.
 */
#ifndef MENDIP_CONFIG_HINT_H
#define MENDIP_CONFIG_HINT_H

#include "base.h"

#define HINT_MAX 400

/*
 * For a text that was refused: which other program's file it is. Writes the sentence to why
 * (HINT_MAX bytes) and its line to *ret_line. False, with both unchanged: it is not recognized.
 */
bool conf_hint_foreign(const char *text, size_t len, unsigned *ret_line, char *why);
/* The same for an ipsec.conf alone. */
bool conf_hint_ipsec(const char *text, size_t len, unsigned *ret_line, char *why);
/* Like conf_hint_foreign, and also what is written otherwise in mendip.conf. */
bool conf_hint(const char *text, size_t len, unsigned *ret_line, char *why);
/*
 * The same for a text in which a name stands twice in one group: which name, and both lines. False:
 * there is none, or it lies in more than 16 groups.
 */
bool conf_hint_twice(const char *text, size_t len, unsigned *ret_line, char *why);

#endif
