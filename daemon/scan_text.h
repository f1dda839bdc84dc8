/*
 * scan_text.h - walks over a text in the syntax of libconfig, piece by piece.
 * SPDX-License-Identifier: ISC
 *
 * For what must be known before libconfig reads the text, or after it has refused it.
 */
#ifndef MENDIP_SCAN_TEXT_H
#define MENDIP_SCAN_TEXT_H

#include "base.h"

/* What is said of the line where a string over several lines begins, if the text is wrong. */
#define SCAN_LONG_STRING \
	"the string that begins here goes over several lines: its closing quote is missing"

struct scan {
	const char *at, *end;
	unsigned line;
};

/* The byte so far ahead, or NUL behind the end. */
static inline char scan_peek(const struct scan *s, size_t ahead)
{
	return (size_t)(s->end - s->at) > ahead ? s->at[ahead] : '\0';
}

/* Goes on by a byte; there is one. */
static inline void scan_step(struct scan *s)
{
	if (*s->at == '\n')
		s->line++;
	s->at++;
}

/* To the end of the line. */
void scan_skip_line(struct scan *s);
/* Behind a comment that begins here with a slash and an asterisk. */
void scan_skip_comment(struct scan *s);
/* The letter of a \x escape; libconfig accepts either case. */
bool scan_is_hex_escape(char c);
/*
 * Behind the string that begins here. False for an escaped NUL, which would end libconfig's string
 * early.
 */
bool scan_skip_string(struct scan *s);
/* Behind the name that begins here. */
void scan_skip_word(struct scan *s);
/* Behind white space and comments. */
void scan_skip_space(struct scan *s);

#endif
