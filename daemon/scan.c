/* scan.c - see scan.h. SPDX-License-Identifier: ISC */
#include "scan.h"

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

/* False for an escaped NUL, behind which libconfig's strings end. */
static bool skip_string(struct scan *s)
{
	s->at++;
	while (s->at < s->end && *s->at != '"') {
		if (*s->at == '\\' && s->at + 1 < s->end) {
			if (peek(s, 1) == 'x' && peek(s, 2) == '0' && peek(s, 3) == '0')
				return false;
			step(s);
		}
		step(s);
	}
	if (s->at < s->end)
		s->at++;
	return true;
}

/* A number literal; false when libconfig would wrap it. Floating point is not ours to judge. */
static bool check_number(struct scan *s)
{
	const char *start = s->at;
	bool hex = peek(s, 0) == '0' && (peek(s, 1) == 'x' || peek(s, 1) == 'X');
	uint64_t v;
	char *end;
	char buf[40] = "";
	size_t len;

	while (s->at < s->end && (isalnum((unsigned char)*s->at) || *s->at == '.'))
		s->at++;
	len = (size_t)(s->at - start);
	if (len >= sizeof(buf))
		return false;
	memcpy(buf, start, len);
	if (!hex && strpbrk(buf, ".eE"))
		return true;
	errno = 0;
	/* A leading zero means nothing to libconfig. */
	v = strtoull(buf, &end, hex ? 16 : 10);
	return errno == 0 && v <= INT32_MAX;
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
			*ret_why = "\\x00 ends a string before its end";
			if (!skip_string(&s))
				return false;
		} else if (c == '@') {
			*ret_why = "@include is not supported: put files into conf.d/ beside "
				   "mendip.conf";
			return false;
		} else if (isdigit((unsigned char)c)) {
			*ret_why =
				"a number above 2147483647 would be wrapped: write it as a string "
				"with a unit, such as \"4G\"";
			if (!check_number(&s))
				return false;
		} else if (isalpha((unsigned char)c) || c == '*') {
			skip_word(&s);
		} else {
			step(&s);
		}
	}
	return true;
}
