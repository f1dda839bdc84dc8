/* config_hint.c - see config_hint.h. SPDX-License-Identifier: ISC */
#include "config_hint.h"
#include "scan_text.h"

#include <ctype.h>
#include <stdio.h>

#define DEPTH_MAX 64

/* ---- files of other programs ---- */

static const char
	json[] = "this is JSON: mendip.conf has the form NAME: { OPTION = VALUE; };",
	yaml[] = "this is YAML: mendip.conf has the form NAME: { OPTION = VALUE; };",
	ini[] = "this is an INI file, as those of systemd and WireGuard: mendip.conf has "
		"the form NAME: { OPTION = VALUE; };",
	xml[] = "this is XML or HTML: mendip.conf has the form NAME: { OPTION = VALUE; };",
	ipsec[] = "this is an ipsec.conf of strongSwan or libreswan: write its "
		  "connections anew (mendip.conf(5), EXAMPLES); of swanctl.conf, "
		  "\"mendipctl import FILE\" makes a mendip.conf",
	swanctl[] = "this is a swanctl.conf of strongSwan: \"mendipctl import FILE\" "
		    "makes a mendip.conf of it";

static void skip_blanks(struct scan *s)
{
	while (scan_peek(s, 0) == ' ' || scan_peek(s, 0) == '\t')
		s->at++;
}

static bool is_word(const char *word, size_t len, const char *const *words)
{
	for (; *words; words++) {
		if (strlen(*words) == len && memcmp(word, *words, len) == 0)
			return true;
	}
	return false;
}

/* The first line is a name and a colon, and no brace follows. */
static bool is_yaml(struct scan s)
{
	scan_skip_word(&s);
	if (scan_peek(&s, 0) != ':')
		return false;
	scan_step(&s);
	skip_blanks(&s);
	if (scan_peek(&s, 0) != '\n' && scan_peek(&s, 0) != '#')
		return false;
	scan_skip_space(&s);
	return isalpha((unsigned char)scan_peek(&s, 0)) || scan_peek(&s, 0) == '-';
}

/* By what stands first in it; s is behind spaces and comments. NULL: not recognized. */
static const char *kind_of_file(struct scan s)
{
	static const char *const sections[] = {"config", "conn", "ca", NULL}, *const includes[] = {
										      "include",
										      NULL};
	const char *word = s.at;
	struct scan next = s;

	switch (scan_peek(&s, 0)) {
	case '{': return json;
	case '<': return xml;
	case '-': return scan_peek(&s, 1) == '-' && scan_peek(&s, 2) == '-' ? yaml : NULL;
	case '[':
		scan_step(&next);
		scan_skip_space(&next);
		return isalpha((unsigned char)scan_peek(&next, 0)) ? ini : json;
	default: break;
	}
	scan_skip_word(&next);
	if (is_word(word, (size_t)(next.at - word), sections) &&
	    (scan_peek(&next, 0) == ' ' || scan_peek(&next, 0) == '\t')) {
		skip_blanks(&next);
		return isalnum((unsigned char)scan_peek(&next, 0)) || scan_peek(&next, 0) == '%'
			       ? ipsec
			       : NULL;
	}
	if (is_word(word, (size_t)(next.at - word), includes) && scan_peek(&next, 0) == ' ')
		return swanctl;
	if (is_yaml(s))
		return yaml;
	scan_skip_space(&next);
	return next.at > word && scan_peek(&next, 0) == '{' ? swanctl : NULL;
}

/* ---- what is written otherwise in mendip.conf ---- */

/* Where the walk is. */
struct walk {
	struct scan s;
	char open[DEPTH_MAX]; /* the brackets that are open */
	unsigned opened_in[DEPTH_MAX];
	unsigned depth;
	unsigned long_string; /* line of the first string over several lines; 0: none */
};

/* Whether a value without quotes begins here, as in swanctl.conf; numbers and booleans need none.
 */
static bool is_bare_value(struct scan s)
{
	static const char *const booleans[] = {"true", "false", "TRUE", "FALSE",
					       "True", "False", NULL};
	const char *from = s.at;
	char c = scan_peek(&s, 0);

	if (isalpha((unsigned char)c)) {
		scan_skip_word(&s);
		return !is_word(from, (size_t)(s.at - from), booleans);
	}
	if (!isdigit((unsigned char)c))
		return c == '%';
	while (isalnum((unsigned char)scan_peek(&s, 0)) || scan_peek(&s, 0) == '.')
		s.at++;
	c = scan_peek(&s, 0);
	return c == ':' || c == '%' || (c == '/' && isdigit((unsigned char)scan_peek(&s, 1)));
}

/*
 * Looks at a name, and at what is behind it. The name is not shown: where a quote is missing, it
 * may be a part of a secret.
 */
static bool look_at_name(struct walk *w, unsigned *ret_line, char *why)
{
	const char *what = NULL;
	char next;

	*ret_line = w->s.line;
	scan_skip_word(&w->s);
	scan_skip_space(&w->s);
	next = scan_peek(&w->s, 0);
	if (next == '{')
		what = "between the name of a group and { stands a colon: NAME: { ... };";
	else if (next == '"' || isdigit((unsigned char)next))
		what = "between an option and its value stands =";
	else if (next == '=' || next == ':') {
		scan_step(&w->s);
		scan_skip_space(&w->s);
		*ret_line = w->s.line;
		if (is_bare_value(w->s))
			what = "the value must stand in double quotes (\")";
		else if (scan_peek(&w->s, 0) == ';' || scan_peek(&w->s, 0) == '}')
			what = "an option without a value";
	}
	if (what)
		snprintf(why, HINT_MAX, "%s", what);
	return what != NULL;
}

/* Looks at an opening or closing bracket. */
static bool look_at_bracket(struct walk *w, unsigned *ret_line, char *why)
{
	static const char opening[] = "{[(", closing[] = "}])";
	char c = scan_peek(&w->s, 0);
	const char *close = strchr(closing, c);

	*ret_line = w->s.line;
	scan_step(&w->s);
	if (!close) {
		if (w->depth == DEPTH_MAX)
			return false;
		w->open[w->depth] = c;
		w->opened_in[w->depth++] = *ret_line;
		return false;
	}
	if (w->depth && w->open[w->depth - 1] == opening[close - closing]) {
		w->depth--;
		return false;
	}
	if (w->depth)
		snprintf(why, HINT_MAX, "%c closes nothing here: %c of line %u is still open", c,
			 w->open[w->depth - 1], w->opened_in[w->depth - 1]);
	else
		snprintf(why, HINT_MAX, "%c closes nothing: there is one too many", c);
	return true;
}

/* Whether a value without quotes stands here in [ ]. */
static bool is_bare_item(const struct walk *w)
{
	return w->depth && w->open[w->depth - 1] == '[' && is_bare_value(w->s);
}

/* Looks at the next piece of the text; true: it is wrong. */
static bool look(struct walk *w, unsigned *ret_line, char *why)
{
	char c = scan_peek(&w->s, 0);
	unsigned line = w->s.line;

	if (c == '"') {
		(void)scan_skip_string(&w->s);
		if (w->s.line != line && !w->long_string)
			w->long_string = line;
		return false;
	}
	if (c && strchr("{}[]()", c))
		return look_at_bracket(w, ret_line, why);
	if (isalpha((unsigned char)c) && (w->depth == 0 || w->open[w->depth - 1] == '{'))
		return look_at_name(w, ret_line, why);
	if (is_bare_item(w)) {
		*ret_line = line;
		snprintf(why, HINT_MAX, "each value in [ ] must stand in double quotes (\")");
		return true;
	}
	if (isalnum((unsigned char)c) || c == '*')
		scan_skip_word(&w->s);
	else
		scan_step(&w->s);
	return false;
}

/* Which file of another program it is, with the line in *ret_line; NULL: not recognized. */
static const char *find_kind(const char *text, size_t len, unsigned *ret_line)
{
	struct scan s = {.at = text, .end = text + len, .line = 1};

	scan_skip_space(&s);
	*ret_line = s.line;
	return kind_of_file(s);
}

bool conf_hint_foreign(const char *text, size_t len, unsigned *ret_line, char *why)
{
	unsigned line;
	const char *kind = find_kind(text, len, &line);

	if (kind) {
		*ret_line = line;
		snprintf(why, HINT_MAX, "%s", kind);
	}
	return kind != NULL;
}

bool conf_hint_ipsec(const char *text, size_t len, unsigned *ret_line, char *why)
{
	unsigned line;

	return find_kind(text, len, &line) == ipsec && conf_hint_foreign(text, len, ret_line, why);
}

bool conf_hint(const char *text, size_t len, unsigned *ret_line, char *why)
{
	struct walk w = {.s = {.at = text, .end = text + len, .line = 1}};
	unsigned line;
	bool found = false;

	if (conf_hint_foreign(text, len, ret_line, why))
		return true;
	while (!found && (scan_skip_space(&w.s), w.s.at < w.s.end))
		found = look(&w, &line, why);
	/* What seems wrong behind such a string may be a part of another one. */
	if (w.long_string) {
		*ret_line = w.long_string;
		snprintf(why, HINT_MAX, "%s", SCAN_LONG_STRING);
		return true;
	}
	if (found) {
		*ret_line = line;
		return true;
	}
	if (w.depth) {
		*ret_line = w.opened_in[w.depth - 1];
		snprintf(why, HINT_MAX, "%c is not closed", w.open[w.depth - 1]);
		return true;
	}
	return false;
}
