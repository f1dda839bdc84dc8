/* import_lines.c - see import_lines.h. SPDX-License-Identifier: ISC */
#include "import_lines.h"
#include "config_option.h"
#include "xalloc.h"

#include <stdarg.h>
#include <stdio.h>

void import_lines_init(struct import_lines *l)
{
	l->parts = xzalloc(sizeof(*l->parts));
	l->part_count = 1;
}

unsigned import_part_begin(struct import_lines *l, bool needed, const char *path)
{
	unsigned before = l->part;

	l->parts = xreallocarray(l->parts, l->part_count + 1, sizeof(*l->parts));
	l->parts[l->part_count] = (struct import_part){
		.parent = before, .needed = needed, .path = path ? xstrdup(path) : NULL};
	l->part = l->part_count++;
	return before;
}

void import_part_end(struct import_lines *l, unsigned before)
{
	l->part = before;
}

/* The part that goes if this one does. */
static unsigned topmost(const struct import_lines *l, unsigned part)
{
	while (part && l->parts[part].needed)
		part = l->parts[part].parent;
	return part;
}

static void drop(struct import_lines *l, unsigned part)
{
	part = topmost(l, part);
	l->parts[part].gone = part != 0;
}

static bool is_gone(const struct import_lines *l, const struct import_line *line)
{
	unsigned part = line->part;

	while (part && !l->parts[part].gone)
		part = l->parts[part].parent;
	return part != 0 || !line->text;
}

static void drop_line(struct import_line *line)
{
	secret_free(line->text, strlen(line->text));
	line->text = NULL;
}

void import_line(struct import_lines *l, const struct import_node *from, bool alone,
		 const char *fmt, ...)
{
	struct import_line *line;
	char *text = NULL;
	size_t size = 0;
	FILE *f = conf_open_text(&text, &size);
	va_list ap;

	fprintf(f, "%*s", (int)l->depth * 2, "");
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	conf_close_text(f);
	l->v = xreallocarray(l->v, l->count + 1, sizeof(*l->v));
	line = &l->v[l->count++];
	*line = (struct import_line){.text = text, .from = from, .part = l->part, .alone = alone};
}

void import_open(struct import_lines *l, const struct import_node *from, const char *name)
{
	import_line(l, from, false, "%s: {", name);
	l->depth++;
}

void import_close(struct import_lines *l, const struct import_node *from)
{
	l->depth--;
	import_line(l, from, false, "};");
}

static void note(struct import_lines *l, const struct import_node *n, const char *fmt, va_list ap)
{
	l->words = xreallocarray(l->words, l->said + 1, sizeof(*l->words));
	l->words[l->said] =
		(struct import_word){.of = n, .number = l->said, .text = conf_printable(fmt, ap)};
	l->said++;
}

void import_say(struct import_lines *l, const struct import_node *n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(l, n, fmt, ap);
	va_end(ap);
}

void import_leave_out(struct import_lines *l, const struct import_node *n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(l, n, fmt, ap);
	va_end(ap);
	drop(l, l->part);
}

static int compare(const void *x, const void *y)
{
	const struct import_word *a = x, *b = y;
	int order = strcmp(a->of->file, b->of->file);

	if (order)
		return order;
	if (a->of->line != b->of->line)
		return a->of->line < b->of->line ? -1 : 1;
	return a->number < b->number ? -1 : 1;
}

void import_say_all(struct import_lines *l)
{
	const struct import_ops *ops = l->ops;

	if (l->said)
		qsort(l->words, l->said, sizeof(*l->words), compare);
	for (unsigned i = 0; i < l->said; i++)
		ops->say(ops->ctx, l->words[i].of->file, l->words[i].of->line, l->words[i].text);
}

/* What stands between a line and the next one. */
static const char *between(const struct import_line *a, const struct import_line *b, bool folded)
{
	if (a->place == LIST_ITEM && b->place == LIST_ITEM)
		return folded ? ", " : ",\n";
	return folded && (a->place == LIST_BEGIN || b->place == LIST_END) ? " " : "\n";
}

char *import_text(const struct import_lines *l, bool folded)
{
	const struct import_line *before = NULL;
	char *text = NULL;
	size_t size = 0;
	FILE *f = conf_open_text(&text, &size);

	for (unsigned i = 0; i < l->count; i++) {
		const struct import_line *line = &l->v[i];
		bool joined = folded && (line->place == LIST_ITEM || line->place == LIST_END);

		if (is_gone(l, line))
			continue;
		if (before)
			fputs(between(before, line, folded), f);
		fputs(joined ? line->text + strspn(line->text, " ") : line->text, f);
		before = line;
	}
	putc('\n', f);
	conf_close_text(f);
	return text;
}

/* What is wrong with one line may cost all of its section: that is said behind the reason. */
static void drop_part(struct import_lines *l, const struct import_line *line)
{
	const char *path = l->parts[topmost(l, line->part)].path;

	if (path)
		import_say(l, line->from, "%s: it is left out", path);
	drop(l, line->part);
}

bool import_refuse(struct import_lines *l, unsigned line, const char *why)
{
	struct import_line *at = NULL, *before;

	for (unsigned i = 0; i < l->count; i++) {
		if (is_gone(l, &l->v[i]))
			continue;
		before = at;
		at = &l->v[i];
		if (--line > 0)
			continue;
		/* libconfig has read the end of the list when it knows the last item. */
		if (at->place == LIST_END && before && before->place == LIST_ITEM)
			at = before;
		if (!at->from)
			return false;
		import_say(l, at->from, "%s", why);
		if (at->alone)
			drop_line(at);
		else
			drop_part(l, at);
		return true;
	}
	return false;
}

void import_lines_free(struct import_lines *l)
{
	for (unsigned i = 0; i < l->count; i++) {
		if (l->v[i].text)
			drop_line(&l->v[i]);
	}
	free(l->v);
	for (unsigned i = 0; i < l->said; i++)
		free(l->words[i].text);
	free(l->words);
	for (unsigned i = 0; i < l->part_count; i++)
		free(l->parts[i].path);
	free(l->parts);
}
