/* config_twice.c - which name stands twice in a group. SPDX-License-Identifier: ISC */
#include "config_hint.h"
#include "scan_text.h"
#include "xalloc.h"

#include <ctype.h>
#include <stdio.h>
#include <uthash.h>

#define PATH_ROOM  256
#define GROUPS_MAX 16 /* one within the other */

/* A name with those of the groups around it. */
struct seen {
	UT_hash_handle hh;
	unsigned line;
	char path[];
};

struct walk {
	struct scan s;
	struct seen *seen;
	char path[PATH_ROOM];	/* of the groups that are open, and of the last name */
	size_t len[GROUPS_MAX]; /* of the path of each of them */
	unsigned depth;
	unsigned unnamed; /* groups in lists */
};

static void free_seen(struct seen *all)
{
	struct seen *s, *next;

	HASH_ITER (hh, all, s, next) {
		HASH_DEL(all, s);
		free(s);
	}
}

/* The length of the path of the group that we are in. */
static size_t base_len(const struct walk *w)
{
	return w->depth ? w->len[w->depth - 1] : 0;
}

/* Appends the name to the path of the group. False: it is too long. */
static bool set_name(struct walk *w, const char *name, size_t len)
{
	size_t base = base_len(w);

	if (base + len + 2 > PATH_ROOM)
		return false;
	if (base)
		w->path[base++] = '.';
	memcpy(w->path + base, name, len);
	w->path[base + len] = '\0';
	return true;
}

/* The name that was there before, or NULL, and then it is remembered. */
static const struct seen *remember(struct walk *w, unsigned line)
{
	size_t len = strlen(w->path);
	struct seen *s;

	HASH_FIND(hh, w->seen, w->path, len, s);
	if (s)
		return s;
	s = xzalloc(sizeof(*s) + len + 1);
	memcpy(s->path, w->path, len);
	s->line = line;
	HASH_ADD_KEYPTR(hh, w->seen, s->path, len, s);
	return NULL;
}

/* Opens a group: that of the last name, or one in a list, which gets a name of its own. */
static bool open_group(struct walk *w, bool named)
{
	char name[32];

	if (w->depth == GROUPS_MAX)
		return false;
	if (!named) {
		snprintf(name, sizeof(name), "[%u]", ++w->unnamed);
		if (!set_name(w, name, strlen(name)))
			return false;
	}
	w->len[w->depth++] = strlen(w->path);
	return true;
}

/* Walks on to a name that is there for the second time. NULL: there is none. */
static const struct seen *find(struct walk *w, unsigned *ret_line)
{
	const struct seen *before;
	bool named = false; /* the last piece was NAME: */

	while (scan_skip_space(&w->s), w->s.at < w->s.end) {
		char c = *w->s.at;
		const char *word = w->s.at;
		unsigned line = w->s.line;

		if (c == '"') {
			(void)scan_skip_string(&w->s);
		} else if (isalpha((unsigned char)c) || c == '*') {
			scan_skip_word(&w->s);
			if (!set_name(w, word, (size_t)(w->s.at - word)))
				return NULL;
			scan_skip_space(&w->s);
			named = scan_peek(&w->s, 0) == ':' || scan_peek(&w->s, 0) == '=';
			*ret_line = line;
			if (named && (before = remember(w, line)))
				return before;
			if (named)
				scan_step(&w->s);
			continue;
		} else {
			if (c == '{' && !open_group(w, named))
				return NULL;
			if (c == '}' && w->depth > 0)
				w->depth--;
			if (isdigit((unsigned char)c))
				scan_skip_word(&w->s);
			else
				scan_step(&w->s);
		}
		named = false;
	}
	return NULL;
}

bool conf_hint_twice(const char *text, size_t len, unsigned *ret_line, char *why)
{
	struct walk w = {.s = {.at = text, .end = text + len, .line = 1}};
	unsigned line = 1;
	const struct seen *before = find(&w, &line);

	if (before) {
		*ret_line = line;
		snprintf(why, HINT_MAX, "%.160s: stands here and in line %u: remove or rename one",
			 before->path, before->line);
	}
	free_seen(w.seen);
	return before != NULL;
}
