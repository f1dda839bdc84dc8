/* scan.c - see scan.h. SPDX-License-Identifier: ISC */
#include "scan.h"
#include "wire.h"
#include "xalloc.h"

#include <ctype.h>

struct scan {
	const char *at, *end;
	unsigned line;
};

static char peek(const struct scan *s, size_t ahead)
{
	return (size_t)(s->end - s->at) > ahead ? s->at[ahead] : '\0';
}

static void step(struct scan *s)
{
	if (*s->at == '\n')
		s->line++;
	s->at++;
}

static void skip_line(struct scan *s)
{
	while (s->at < s->end && *s->at != '\n')
		s->at++;
}

static void skip_comment(struct scan *s)
{
	s->at += 2;
	while (s->at < s->end && !(peek(s, 0) == '*' && peek(s, 1) == '/'))
		step(s);
	if (s->at < s->end)
		s->at += 2;
}

/* The letter of a \x escape; libconfig accepts either case. */
static bool is_hex_escape(char c)
{
	return c == 'x' || c == 'X';
}

/* False for an escaped NUL, which would end libconfig's string early. */
static bool skip_string(struct scan *s)
{
	s->at++;
	while (s->at < s->end && *s->at != '"') {
		if (*s->at == '\\' && s->at + 1 < s->end) {
			if (is_hex_escape(peek(s, 1)) && peek(s, 2) == '0' && peek(s, 3) == '0')
				return false;
			step(s);
		}
		step(s);
	}
	if (s->at < s->end)
		s->at++;
	return true;
}

/* After the digits: nothing, or the suffix of a long integer. */
static bool is_end_of_number(const char *p)
{
	return strcmp(p, "") == 0 || strcmp(p, "L") == 0 || strcmp(p, "LL") == 0;
}

enum number { NUMBER_GOOD, NUMBER_WRAPPED, NUMBER_GLUED };

/*
 * Checks a number literal. libconfig would wrap one that is too large, and it accepts a word
 * directly after the digits, which is never intended and would hide a secret from
 * conf_take_secrets. The value of a floating-point number is not checked.
 */
static enum number check_number(struct scan *s)
{
	const char *start = s->at;
	bool hex = peek(s, 0) == '0' && (peek(s, 1) == 'x' || peek(s, 1) == 'X');
	uint64_t v;
	char *end;
	char buf[40] = "";
	size_t len;

	while (s->at < s->end && (isalnum((unsigned char)*s->at) || strchr("._*", *s->at)))
		s->at++;
	len = (size_t)(s->at - start);
	if (len >= sizeof(buf))
		return NUMBER_WRAPPED;
	memcpy(buf, start, len);
	if (!hex && strpbrk(buf, ".eE") && strspn(buf, "0123456789.eE") == len)
		return NUMBER_GOOD;
	errno = 0;
	/* Base 10 also with a leading zero, as in libconfig. */
	v = strtoull(buf, &end, hex ? 16 : 10);
	if (!is_end_of_number(end))
		return NUMBER_GLUED;
	return errno == 0 && v <= INT32_MAX ? NUMBER_GOOD : NUMBER_WRAPPED;
}

static void skip_word(struct scan *s)
{
	while (s->at < s->end &&
	       (isalnum((unsigned char)*s->at) || *s->at == '_' || *s->at == '-' || *s->at == '*'))
		s->at++;
}

bool conf_scan(const char *text, size_t len, unsigned *ret_line, const char **ret_why)
{
	struct scan s = {.at = text, .end = text + len, .line = 1};

	*ret_line = 1;
	if (memchr(text, 0, len)) {
		*ret_why = "a NUL byte: this is no text file";
		return false;
	}
	while (s.at < s.end) {
		char c = *s.at;

		*ret_line = s.line;
		if (c == '#' || (c == '/' && peek(&s, 1) == '/')) {
			skip_line(&s);
		} else if (c == '/' && peek(&s, 1) == '*') {
			skip_comment(&s);
		} else if (c == '"') {
			*ret_why = "\\x00 would cut the string";
			if (!skip_string(&s))
				return false;
		} else if (c == '@') {
			*ret_why = "@include is not supported: put files into conf.d/ beside "
				   "mendip.conf";
			return false;
		} else if (isdigit((unsigned char)c) || c == '.') { /* libconfig reads .e5 */
			enum number n = check_number(&s);

			*ret_why = n == NUMBER_GLUED
					   ? "letters directly after a number: write a value with "
					     "a unit as a string, such as \"10s\""
					   : "a number above 2147483647 would be wrapped: write it "
					     "as a string with a unit, such as \"4G\"";
			if (n != NUMBER_GOOD)
				return false;
		} else if (isalpha((unsigned char)c) || c == '*') {
			skip_word(&s);
		} else {
			step(&s);
		}
	}
	return true;
}

/* ---- secrets ---- */

static void skip_space(struct scan *s)
{
	for (;;) {
		if (peek(s, 0) == '#' || (peek(s, 0) == '/' && peek(s, 1) == '/'))
			skip_line(s);
		else if (peek(s, 0) == '/' && peek(s, 1) == '*')
			skip_comment(s);
		else if (s->at < s->end && isspace((unsigned char)*s->at))
			step(s);
		else
			return;
	}
}

/* The character that an escape stands for, and its length in the text. */
static char unescape(const char *p, const char *end, size_t *ret_len)
{
	static const char names[] = "nrtf\\\"", values[] = "\n\r\t\f\\\"";
	const char *name = end - p > 1 ? strchr(names, p[1]) : NULL;

	*ret_len = 2;
	if (name && *name)
		return values[name - names];
	*ret_len = 4;
	if (end - p > 3 && is_hex_escape(p[1]) && hex_digit(p[2]) >= 0 && hex_digit(p[3]) >= 0)
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

	while (peek(&s, 0) == '"') {
		(void)skip_string(&s);
		skip_space(&s);
	}
	return (size_t)(s.at - start);
}

/* After the word: = or :, and one or more strings, which libconfig concatenates. */
static void take_value(struct scan *s, struct conf_secrets *ret)
{
	struct conf_secret *one;
	const char *start;

	skip_space(s);
	if (peek(s, 0) != '=' && peek(s, 0) != ':')
		return;
	step(s);
	skip_space(s);
	if (peek(s, 0) != '"')
		return;
	ret->v = xreallocarray(ret->v, ret->count + 1, sizeof(*ret->v));
	one = &ret->v[ret->count++];
	*one = (struct conf_secret){.text = xzalloc(literals_len(*s) + 1)};
	while (peek(s, 0) == '"') {
		start = s->at + 1;
		(void)skip_string(s);
		take_literal(start, s->at[-1] == '"' && s->at - 1 >= start ? s->at - 1 : s->at,
			     one);
		skip_space(s);
	}
}

void conf_take_secrets(char *text, size_t len, struct conf_secrets *ret)
{
	static const char name[] = "secret";
	struct scan s = {.at = text, .end = text + len, .line = 1};
	const char *word;

	*ret = (struct conf_secrets){0};
	while (s.at < s.end) {
		skip_space(&s);
		word = s.at;
		if (peek(&s, 0) == '"')
			(void)skip_string(&s);
		else if (isalnum((unsigned char)peek(&s, 0)) || peek(&s, 0) == '*')
			skip_word(&s);
		else if (s.at < s.end)
			step(&s);
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
