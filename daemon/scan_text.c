/* scan_text.c - see scan_text.h. SPDX-License-Identifier: ISC */
#include "scan_text.h"

#include <ctype.h>

void scan_skip_line(struct scan *s)
{
	while (s->at < s->end && *s->at != '\n')
		s->at++;
}

void scan_skip_comment(struct scan *s)
{
	s->at += 2;
	while (s->at < s->end && !(scan_peek(s, 0) == '*' && scan_peek(s, 1) == '/'))
		scan_step(s);
	if (s->at < s->end)
		s->at += 2;
}

bool scan_is_hex_escape(char c)
{
	return c == 'x' || c == 'X';
}

bool scan_skip_string(struct scan *s)
{
	s->at++;
	while (s->at < s->end && *s->at != '"') {
		if (*s->at == '\\' && s->at + 1 < s->end) {
			if (scan_is_hex_escape(scan_peek(s, 1)) && scan_peek(s, 2) == '0' &&
			    scan_peek(s, 3) == '0')
				return false;
			scan_step(s);
		}
		scan_step(s);
	}
	if (s->at < s->end)
		s->at++;
	return true;
}

void scan_skip_word(struct scan *s)
{
	while (s->at < s->end &&
	       (isalnum((unsigned char)*s->at) || *s->at == '_' || *s->at == '-' || *s->at == '*'))
		s->at++;
}

void scan_skip_space(struct scan *s)
{
	for (;;) {
		if (scan_peek(s, 0) == '#' || (scan_peek(s, 0) == '/' && scan_peek(s, 1) == '/'))
			scan_skip_line(s);
		else if (scan_peek(s, 0) == '/' && scan_peek(s, 1) == '*')
			scan_skip_comment(s);
		else if (s->at < s->end && isspace((unsigned char)*s->at))
			scan_step(s);
		else
			return;
	}
}
