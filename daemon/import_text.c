/* import_text.c - see import_text.h. SPDX-License-Identifier: ISC */
#include "import_text.h"
#include "scan_text.h"
#include "xalloc.h"

#include <stdio.h>

struct reader {
	struct scan s;
	struct import_tree *tree;
	const char *file;
	char *err;
};

static bool fail(const struct reader *r, unsigned line, const char *why)
{
	snprintf(r->err, IMPORT_ERR, "%.200s:%u: %s", r->file, line, why);
	return false;
}

static bool too_deep(const struct reader *r, unsigned line, const char *what)
{
	snprintf(r->err, IMPORT_ERR, "%.200s:%u: %s more than %d deep", r->file, line, what,
		 IMPORT_DEPTH_MAX);
	return false;
}

/* ---- nodes ---- */

struct import_node *import_find(const struct import_node *section, const char *name)
{
	struct import_node *n = section->first;

	while (n && strcmp(n->name, name) != 0)
		n = n->next;
	return n;
}

/* Adds a node at the end of the section; NULL: there are too many. */
static struct import_node *add_node(struct import_tree *t, struct import_node *section,
				    const char *name, const char *file, unsigned line)
{
	struct import_node **at = &section->first, *n;

	if (++t->nodes > IMPORT_NODES_MAX)
		return NULL;
	while (*at)
		at = &(*at)->next;
	n = xzalloc(sizeof(*n));
	n->name = xstrdup(name);
	n->file = xstrdup(file);
	n->line = line;
	*at = n;
	return n;
}

static void set_value(struct import_node *n, char *value)
{
	if (n->value)
		secret_free(n->value, strlen(n->value));
	n->value = value;
}

static void free_members(struct import_node *section)
{
	struct import_node *n;

	while ((n = section->first)) {
		section->first = n->next;
		free_members(n);
		set_value(n, NULL);
		free(n->name);
		free(n->given);
		free(n->refs);
		free(n->file);
		free(n);
	}
}

void import_free(struct import_tree *t)
{
	free_members(&t->root);
	t->nodes = 0;
}

/* The node of that name and kind in the section, which is made if there is none. */
static struct import_node *node_of(struct reader *r, struct import_node *section, const char *name,
				   bool value, unsigned line)
{
	struct import_node *n = import_find(section, name);

	if (n && !n->value == value) {
		fail(r, line, "the name is that of an option and of a section");
		return NULL;
	}
	if (!n)
		n = add_node(r->tree, section, name, r->file, line);
	if (!n)
		fail(r, line, "there are too many options");
	return n;
}

/* ---- the text ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool is_end(const struct reader *r)
{
	return r->s.at == r->s.end;
}

/* Over blanks and, with lines, over ends of lines and comments. */
static void skip(struct reader *r, bool lines)
{
	while (!is_end(r)) {
		char c = scan_peek(&r->s, 0);

		if (lines && c == '#')
			scan_skip_line(&r->s);
		else if (is_blank(c) || (lines && c == '\n'))
			scan_step(&r->s);
		else
			return;
	}
}

/* A run of letters that are none of `end`, blanks and ends of lines; the caller frees it. */
static char *read_word(struct reader *r, const char *end)
{
	const char *from = r->s.at;

	while (!is_end(r) && !is_blank(*r->s.at) && *r->s.at != '\n' && !strchr(end, *r->s.at))
		r->s.at++;
	return xasprintf("%.*s", (int)(r->s.at - from), from);
}

/* The text in quotes that begins here is written to out. False: it does not end. */
static bool read_quoted(struct reader *r, FILE *out)
{
	static const char names[] = "nrt", values[] = "\n\r\t";

	for (scan_step(&r->s); !is_end(r) && *r->s.at != '"'; scan_step(&r->s)) {
		const char *name;

		if (*r->s.at != '\\') {
			putc(*r->s.at, out);
			continue;
		}
		scan_step(&r->s);
		if (is_end(r))
			return false;
		name = strchr(names, *r->s.at);
		if (*r->s.at != '\n') /* which an escape removes */
			putc(name ? values[name - names] : *r->s.at, out);
	}
	if (is_end(r))
		return false;
	scan_step(&r->s);
	return true;
}

/* Words and texts in quotes up to the end of the line, with a space between them. */
static bool read_value(struct reader *r, char **ret)
{
	unsigned line = r->s.line, parts = 0;
	char *word, *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	bool ended = true;

	if (!out)
		abort();
	while (skip(r, false), ended && !is_end(r) && !strchr("\n#}", *r->s.at)) {
		if (parts++)
			putc(' ', out);
		if (*r->s.at == '"') {
			ended = read_quoted(r, out);
			continue;
		}
		word = read_word(r, "#}\"");
		fputs(word, out);
		secret_free(word, strlen(word));
	}
	if (fclose(out) != 0)
		abort();
	*ret = text;
	if (ended && strlen(text) == size)
		return true;
	secret_free(text, size);
	return fail(r, line,
		    ended ? "a NUL byte: this is no text file" : "the closing quote is missing");
}

static bool read_members(struct reader *r, struct import_node *section, bool top);

/* Behind the name of a section: what it has from others, and its members. */
static bool read_section(struct reader *r, struct import_node *section, char *name, unsigned line)
{
	struct import_node *n = node_of(r, section, name, false, line);
	const char *from = r->s.at;
	bool ok;

	if (!n)
		return false;
	if (*from == ':') {
		while (!is_end(r) && *r->s.at != '{')
			scan_step(&r->s);
		if (is_end(r))
			return fail(r, line, "{ is missing");
		free(n->refs);
		n->refs = xasprintf("%.*s", (int)(r->s.at - from - 1), from + 1);
	}
	scan_step(&r->s);
	if (++r->tree->depth > IMPORT_DEPTH_MAX)
		return too_deep(r, line, "sections are nested");
	ok = read_members(r, n, false);
	r->tree->depth--;
	return ok;
}

static bool read_include(struct reader *r, struct import_node *section, unsigned line)
{
	struct import_tree *t = r->tree;
	char *pattern, why[IMPORT_ERR];
	bool ok;

	if (!read_value(r, &pattern))
		return false;
	if (t->included >= IMPORT_DEPTH_MAX) {
		free(pattern);
		return too_deep(r, line, "files include each other");
	}
	t->included++;
	ok = t->include(t->ctx, t, section, r->file, pattern, why);
	t->included--;
	free(pattern);
	if (!ok)
		snprintf(r->err, IMPORT_ERR, "%s", why);
	return ok;
}

/* An option, a section or an include, whose name has been read. */
static bool read_member(struct reader *r, struct import_node *section, char *name, unsigned line)
{
	struct import_node *n;
	char *value;
	bool include = strcmp(name, "include") == 0;

	skip(r, !include);
	if (scan_peek(&r->s, 0) == '{' || scan_peek(&r->s, 0) == ':')
		return read_section(r, section, name, line);
	if (include && scan_peek(&r->s, 0) != '=')
		return read_include(r, section, line);
	if (scan_peek(&r->s, 0) != '=')
		return fail(r, line, "behind a name = or { is missing: this is no swanctl.conf");
	scan_step(&r->s);
	if (!read_value(r, &value))
		return false;
	n = node_of(r, section, name, true, line);
	if (n) {
		set_value(n, value);
		n->line = line;
		return true;
	}
	secret_free(value, strlen(value));
	return false;
}

static bool read_members(struct reader *r, struct import_node *section, bool top)
{
	while (skip(r, true), !is_end(r)) {
		unsigned line = r->s.line;
		bool ok;
		char *name;

		if (*r->s.at == '}') {
			scan_step(&r->s);
			return top ? fail(r, line, "} closes nothing") : true;
		}
		name = read_word(r, "#{}:,=\"");
		ok = *name ? read_member(r, section, name, line)
			   : fail(r, line, "a name is missing: this is no swanctl.conf");
		free(name);
		if (!ok)
			return false;
	}
	return top || fail(r, r->s.line, "} is missing at the end");
}

bool import_add(struct import_tree *t, struct import_node *section, const char *file,
		const char *text, size_t len, char *err)
{
	struct reader r = {.s = {.at = text, .end = text + len, .line = 1},
			   .tree = t,
			   .file = file,
			   .err = err};

	if (++t->files > IMPORT_FILES_MAX)
		return fail(&r, 1, "more than 100 files are included");
	if (memchr(text, 0, len))
		return fail(&r, 1, "a NUL byte: this is no text file");
	return read_members(&r, section, true);
}

/* ---- references ---- */

/* The section with the path "connections.gw", of len bytes; NULL: there is none. */
static struct import_node *section_at(struct import_tree *t, const char *path, size_t len)
{
	struct import_node *at = &t->root;

	while (at && len) {
		size_t part = 0;
		struct import_node *n = at->first;

		while (part < len && path[part] != '.')
			part++;
		while (n && !(strlen(n->name) == part && memcmp(n->name, path, part) == 0))
			n = n->next;
		at = n && !n->value ? n : NULL;
		part += part < len;
		path += part;
		len -= part;
	}
	return at == &t->root ? NULL : at;
}

static bool resolve(struct import_tree *t, struct import_node *section, unsigned depth, char *err);

/* Copies what `from` has and `to` has not. */
static bool inherit(struct import_tree *t, struct import_node *to, const struct import_node *from,
		    unsigned depth)
{
	if (depth > IMPORT_DEPTH_MAX || to == from)
		return false;
	for (const struct import_node *n = from->first; n; n = n->next) {
		struct import_node *own = import_find(to, n->name);

		if (own && (own->value || n->value))
			continue;
		if (!own)
			own = add_node(t, to, n->name, n->file, n->line);
		if (!own)
			return false;
		if (n->value)
			set_value(own, xstrdup(n->value));
		else if (!inherit(t, own, n, depth + 1))
			return false;
	}
	return true;
}

/* What the section has from others; they are resolved first. */
static bool resolve_refs(struct import_tree *t, struct import_node *section, unsigned depth,
			 char *err)
{
	struct reader r = {.file = section->file, .err = err};
	char *refs = section->refs;
	const char *at = refs;
	bool ok = true;

	section->refs = NULL; /* one that leads back here ends here */
	while (ok && at[strspn(at, ", \t\r\n")]) {
		struct import_node *from;
		size_t len;

		at += strspn(at, ", \t\r\n");
		len = strcspn(at, ", \t\r\n");
		from = section_at(t, at, len);
		at += len;
		if (!from)
			ok = fail(&r, section->line, "there is no section that is referred to");
		else if (!resolve(t, from, depth + 1, err))
			ok = false;
		else if (!inherit(t, section, from, 0))
			ok = fail(&r, section->line,
				  "references lead in a circle, or to too many options");
		if (from)
			from->seen = true;
	}
	free(refs);
	return ok;
}

static bool resolve(struct import_tree *t, struct import_node *section, unsigned depth, char *err)
{
	if (depth > 2 * IMPORT_DEPTH_MAX) {
		struct reader r = {.file = section->file, .err = err};

		return fail(&r, section->line, "references lead too far");
	}
	if (section->refs && !resolve_refs(t, section, depth, err))
		return false;
	for (struct import_node *n = section->first; n; n = n->next) {
		if (!n->value && !resolve(t, n, depth + 1, err))
			return false;
	}
	return true;
}

bool import_resolve(struct import_tree *t, char *err)
{
	return resolve(t, &t->root, 0, err);
}
