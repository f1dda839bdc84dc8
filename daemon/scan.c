/* scan.c - see scan.h. SPDX-License-Identifier: ISC */
#include "scan.h"
#include "scan_text.h"
#include "wire.h"
#include "xalloc.h"

#include <ctype.h>

/* After the digits: nothing, or the suffix of a long integer. */
static bool is_end_of_number(const char *p)
{
	return strcmp(p, "") == 0 || strcmp(p, "L") == 0 || strcmp(p, "LL") == 0;
}

static const char no_quotes[] = "the value must stand in double quotes (\")",
		  wrapped[] = "a number above 2147483647 would be wrapped: put it in double quotes "
			      "(\"); a size can have a unit, as \"4G\"",
		  glued[] = "letters directly after a number: write a value with a unit as a "
			    "string, such as \"10s\"";

/*
 * What is wrong with the number literal here; NULL: nothing. libconfig would wrap one that is too
 * large, and it accepts a word directly after the digits, which is never intended and would hide a
 * secret from conf_take_secrets. The value of a floating-point number is not checked.
 */
static const char *skip_number(struct scan *s)
{
	const char *start = s->at;
	bool hex = scan_peek(s, 0) == '0' && (scan_peek(s, 1) == 'x' || scan_peek(s, 1) == 'X');
	uint64_t v;
	char *end;
	char buf[40] = "";
	size_t len;

	while (s->at < s->end && (isalnum((unsigned char)*s->at) || strchr("._*", *s->at)))
		s->at++;
	len = (size_t)(s->at - start);
	if (len >= sizeof(buf))
		return wrapped;
	memcpy(buf, start, len);
	if (strchr(buf, '.') != strrchr(buf, '.')) /* an address, or a name such as 1.gw.example */
		return no_quotes;
	if (!hex && strpbrk(buf, ".eE") && strspn(buf, "0123456789.eE") == len)
		return NULL;
	errno = 0;
	/* Base 10 also with a leading zero, as in libconfig. */
	v = strtoull(buf, &end, hex ? 16 : 10);
	if (!is_end_of_number(end))
		return glued;
	return errno == 0 && v <= INT32_MAX ? NULL : wrapped;
}

/* What word processors and browsers put in the place of ASCII. */
static const struct {
	const char *from, *to; /* UTF-8; both and all between */
	const char *why;
} odd_letters[] = {
	{"\xe2\x80\x98", "\xe2\x80\x9f",
	 "a typographic quote, as word processors write it: write a plain one (\")"},
	{"\xc2\xab", "\xc2\xab", "a typographic quote: write a plain one (\")"},
	{"\xc2\xbb", "\xc2\xbb", "a typographic quote: write a plain one (\")"},
	{"\xc2\xa0", "\xc2\xa0", "a no-break space, as web pages have it: write a plain one"},
};

/* What is wrong with the letter here, outside of strings and comments; NULL: nothing. */
static const char *odd_letter(const struct scan *s)
{
	size_t left = (size_t)(s->end - s->at);

	if (*s->at == '\'')
		return "a single quote: strings stand in double quotes (\")";
	if (!((unsigned char)*s->at & 0x80))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(odd_letters); i++) {
		size_t len = strlen(odd_letters[i].from);

		if (left >= len && memcmp(s->at, odd_letters[i].from, len) >= 0 &&
		    memcmp(s->at, odd_letters[i].to, len) <= 0)
			return odd_letters[i].why;
	}
	return "a letter that is not ASCII stands outside of a string: put it in double quotes, or "
	       "remove it";
}

/* What is wrong with the encoding of the text; NULL: nothing. */
static const char *wrong_encoding(const char *text, size_t len)
{
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		return "the file begins with a byte order mark: save it as UTF-8 without one (sed "
		       "-i '1s/^\\xef\\xbb\\xbf//' FILE)";
	if (len >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
		return "the file is UTF-16: save it as UTF-8 (iconv -f UTF-16 -t UTF-8)";
	return memchr(text, 0, len) ? "a NUL byte: this is no text file" : NULL;
}

/* Whether a value is expected: behind = or : of an option, or in a list. */
struct place {
	bool value, list;
};

static void note_place(struct place *p, char c)
{
	if (c == '[' || c == '(')
		*p = (struct place){.value = true, .list = true};
	else if (c == '=' || c == ':')
		p->value = true;
	else if (c && strchr("])};{", c))
		*p = (struct place){0};
	else if (c == '\n')
		p->value = p->list;
}

/* What a letter is that no name can have, and no value without quotes. */
static const char *outside_of_name(const struct place *p)
{
	return p->value ? no_quotes
			: "a name begins with a letter and has letters, digits, - and _ only";
}

static bool is_include(const struct scan *s)
{
	static const char include[] = "@include";

	return (size_t)(s->end - s->at) >= strlen(include) &&
	       memcmp(s->at, include, strlen(include)) == 0;
}

/* Whether the comma here is the last thing in a list. */
static bool is_last_comma(struct scan s)
{
	scan_step(&s);
	scan_skip_space(&s);
	return scan_peek(&s, 0) == ']' || scan_peek(&s, 0) == ')';
}

/* Behind a string; what is wrong with it, or NULL. libconfig joins it with one that follows. */
static const char *skip_string(struct scan *s, const struct place *p)
{
	struct scan next;

	if (!scan_skip_string(s))
		return "\\x00 would cut the string";
	next = *s;
	scan_skip_space(&next);
	return p->list && scan_peek(&next, 0) == '"' ? "a comma is missing between two strings"
						     : NULL;
}

/* Behind a word; what is wrong with the letter there, or NULL. */
static const char *skip_word(struct scan *s, const struct place *p)
{
	scan_skip_word(s);
	return scan_peek(s, 0) == '.' || scan_peek(s, 0) == '@' ? outside_of_name(p) : NULL;
}

/* Behind a letter that is no part of a word, a number or a string; what is wrong with it, or NULL.
 */
static const char *skip_letter(struct scan *s, struct place *p)
{
	const char *why;

	if (*s->at == '@')
		return is_include(s) ? "@include is not supported: put files into conf.d/ beside "
				       "mendip.conf"
				     : outside_of_name(p);
	if (*s->at == ',' && is_last_comma(*s))
		return "no comma stands before the closing bracket: remove it";
	why = odd_letter(s);
	if (!why) {
		note_place(p, *s->at);
		scan_step(s);
	}
	return why;
}

/* Behind the next piece of the text; what is wrong with it, or NULL. */
static const char *skip_piece(struct scan *s, struct place *p)
{
	char c = *s->at;

	if (c == '"')
		return skip_string(s, p);
	if (isdigit((unsigned char)c) || c == '.') /* libconfig reads .e5 */
		return skip_number(s);
	if (isalpha((unsigned char)c) || c == '*')
		return skip_word(s, p);
	if (c == '#' || (c == '/' && scan_peek(s, 1) == '/'))
		scan_skip_line(s);
	else if (c == '/' && scan_peek(s, 1) == '*')
		scan_skip_comment(s);
	else
		return skip_letter(s, p);
	return NULL;
}

bool conf_scan(const char *text, size_t len, unsigned *ret_line, const char **ret_why)
{
	struct scan s = {.at = text, .end = text + len, .line = 1};
	struct place place = {0};
	unsigned long_string = 0; /* line of the first string over several lines; 0: none */

	*ret_line = 1;
	*ret_why = wrong_encoding(text, len);
	while (!*ret_why && s.at < s.end) {
		bool string = *s.at == '"';

		*ret_line = s.line;
		*ret_why = skip_piece(&s, &place);
		if (string && s.line != *ret_line && !long_string)
			long_string = *ret_line;
	}
	/* What seems wrong behind such a string may be a part of another one. */
	if (*ret_why && long_string) {
		*ret_line = long_string;
		*ret_why = SCAN_LONG_STRING;
	}
	return !*ret_why;
}

/* ---- secrets ---- */

/* The character that an escape stands for, and its length in the text. */
static char unescape(const char *p, const char *end, size_t *ret_len)
{
	static const char names[] = "nrtf\\\"", values[] = "\n\r\t\f\\\"";
	const char *name = end - p > 1 ? strchr(names, p[1]) : NULL;

	*ret_len = 2;
	if (name && *name)
		return values[name - names];
	*ret_len = 4;
	if (end - p > 3 && scan_is_hex_escape(p[1]) && hex_digit(p[2]) >= 0 && hex_digit(p[3]) >= 0)
		return (char)(hex_digit(p[2]) << 4 | hex_digit(p[3]));
	*ret_len = 1; /* no escape: the backslash stands for itself */
	return '\\';
}

/* Appends the value of one string literal to *to, and overwrites the literal. */
static void take_literal(const char *start, const char *end, struct conf_secret *to)
{
	char *hide = (char *)start;
	size_t len;

	for (const char *p = start; p < end; p += len) {
		len = 1;
		to->text[to->len++] = *p == '\\' ? unescape(p, end, &len) : *p;
	}
	to->shown += (size_t)(end - start);
	/* Newlines stay, so that later messages name the right line. */
	for (; hide < end; hide++)
		*hide = *hide == '\n' ? '\n' : 'x';
}

/* The most bytes that the values of the string literals from here on can take. */
static size_t literals_len(struct scan s)
{
	const char *start = s.at;

	while (scan_peek(&s, 0) == '"') {
		(void)scan_skip_string(&s);
		scan_skip_space(&s);
	}
	return (size_t)(s.at - start);
}

/* After the word: = or :, and one or more strings, which libconfig concatenates. */
static void take_value(struct scan *s, struct conf_secrets *ret)
{
	struct conf_secret *one;
	const char *start;

	scan_skip_space(s);
	if (scan_peek(s, 0) != '=' && scan_peek(s, 0) != ':')
		return;
	scan_step(s);
	scan_skip_space(s);
	if (scan_peek(s, 0) != '"')
		return;
	ret->v = xreallocarray(ret->v, ret->count + 1, sizeof(*ret->v));
	one = &ret->v[ret->count++];
	*one = (struct conf_secret){.text = xzalloc(literals_len(*s) + 1)};
	while (scan_peek(s, 0) == '"') {
		start = s->at + 1;
		(void)scan_skip_string(s);
		take_literal(start, s->at[-1] == '"' && s->at - 1 >= start ? s->at - 1 : s->at,
			     one);
		scan_skip_space(s);
	}
}

void conf_take_secrets(char *text, size_t len, struct conf_secrets *ret)
{
	static const char name[] = "secret";
	struct scan s = {.at = text, .end = text + len, .line = 1};
	const char *word;

	*ret = (struct conf_secrets){0};
	while (s.at < s.end) {
		scan_skip_space(&s);
		word = s.at;
		if (scan_peek(&s, 0) == '"')
			(void)scan_skip_string(&s);
		else if (isalnum((unsigned char)scan_peek(&s, 0)) || scan_peek(&s, 0) == '*')
			scan_skip_word(&s);
		else if (s.at < s.end)
			scan_step(&s);
		if ((size_t)(s.at - word) == strlen(name) && memcmp(word, name, strlen(name)) == 0)
			take_value(&s, ret);
	}
}

void conf_secrets_free(struct conf_secrets *s)
{
	for (unsigned i = 0; i < s->count; i++)
		secret_free(s->v[i].text, s->v[i].len + 1);
	free(s->v);
	*s = (struct conf_secrets){0};
}
