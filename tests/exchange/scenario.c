/* scenario.c - reads and runs a scenario; see scenario.h. SPDX-License-Identifier: ISC */
#include "scenario_run.h"

#include <stdlib.h>

/* The running scenario: net_fail() passes only its net. */
static struct scenario *running;

void scenario_fail(struct scenario *s, const char *fmt, ...)
{
	char text[500];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(s->why, SCENARIO_WHY, "%s:%u: %s", s->name, s->line, text);
	longjmp(s->out, 1);
}

void scenario_net_failed(struct net *n, const char *text)
{
	scenario_fail(running, "at %.6f s: %s", (double)(n->now - SEC) / SEC, text);
}

/* ---- words ---- */

void words_need(struct scenario *s, const struct words *w, unsigned least, unsigned most)
{
	if (w->count < least || w->count > most)
		scenario_fail(s, "\"%s\" has too few or too many words", w->w[0]);
}

uint64_t word_number(struct scenario *s, const char *w)
{
	char *end;
	uint64_t v = strtoull(w, &end, 10);

	if (*w < '0' || *w > '9' || *end)
		scenario_fail(s, "\"%s\" is no number", w);
	return v;
}

nsec_t word_time(struct scenario *s, const char *w)
{
	nsec_t t;

	if (parse_time(w, &t) < 0)
		scenario_fail(s, "\"%s\" is no time, such as 200ms or 8s", w);
	return t;
}

bool is_peer(const char *w)
{
	return strcmp(w, "branch") == 0 || strcmp(w, "gw") == 0;
}

unsigned word_peer(struct scenario *s, const char *w)
{
	if (!is_peer(w))
		scenario_fail(s, "\"%s\" is neither branch nor gw", w);
	return strcmp(w, "gw") == 0 ? GW : BRANCH;
}

bool is_child(const char *w)
{
	return strcmp(w, "all") == 0 || strncmp(w, "net", 3) == 0;
}

unsigned word_child(struct scenario *s, const char *w)
{
	uint64_t c;

	if (strcmp(w, "all") == 0)
		return CHILDREN;
	if (!is_child(w))
		scenario_fail(s, "\"%s\" is no child", w);
	c = word_number(s, w + 3);
	if (c >= s->o.children)
		scenario_fail(s, "there is no child %s", w);
	return (unsigned)c;
}

bool word_is(const struct words *w, unsigned i, const char *text)
{
	return i < w->count && strcmp(w->w[i], text) == 0;
}

bool word_on(struct scenario *s, const char *w, const char *yes, const char *no)
{
	if (strcmp(w, yes) != 0 && strcmp(w, no) != 0)
		scenario_fail(s, "\"%s\" is neither %s nor %s", w, yes, no);
	return strcmp(w, yes) == 0;
}

/* ---- lines ---- */

struct lines {
	char *text; /* each line ends with 0 */
	char **v;
	unsigned count;
};

static struct lines lines_of(const char *text)
{
	struct lines l = {.text = xstrdup(text)};
	unsigned room = 0;

	for (char *p = l.text; p;) {
		char *end = strchr(p, '\n');

		if (end)
			*end++ = '\0';
		p[strcspn(p, "#")] = '\0';
		if (l.count == room) {
			room = room ? room * 2 : 64;
			l.v = xreallocarray(l.v, room, sizeof(*l.v));
		}
		l.v[l.count++] = p;
		p = end;
	}
	return l;
}

static void split(struct scenario *s, char *line, struct words *w)
{
	char *save = NULL;

	w->count = 0;
	for (char *p = strtok_r(line, " \t\r", &save); p; p = strtok_r(NULL, " \t\r", &save)) {
		if (w->count == SCENARIO_WORDS)
			scenario_fail(s, "too many words");
		w->w[w->count++] = p;
	}
}

static void command(struct scenario *s, struct words *w)
{
	const char *name;

	s->trying = w->count > 1 && word_is(w, 0, "try");
	if (s->trying)
		memmove(w->w, w->w + 1, --w->count * sizeof(*w->w));
	name = w->w[0];

	if (scenario_setup(s, w))
		return;
	if (!s->n)
		scenario_fail(s, "\"%s\" is unknown, or needs \"up\" before it", name);
	if (strcmp(name, "expect") == 0)
		scenario_expect(s, w);
	else if (strcmp(name, "mark") == 0)
		scenario_mark(s);
	else if (!scenario_act(s, w) && !scenario_attack(s, w))
		scenario_fail(s, "\"%s\" is unknown, or comes before \"up\"", name);
}

struct loop {
	unsigned begin; /* the line after `repeat` */
	uint64_t left;
};

/* Returns the line after the `end` that belongs to the `repeat` in line `at`. */
static unsigned after_end(struct scenario *s, const struct lines *l, unsigned at)
{
	unsigned depth = 0;

	for (; at < l->count; at++) {
		const char *p = l->v[at] + strspn(l->v[at], " \t");

		depth += strncmp(p, "repeat", 6) == 0;
		if (strncmp(p, "end", 3) == 0 && strspn(p + 3, " \t\r") == strlen(p + 3) &&
		    --depth == 0)
			return at + 1;
	}
	scenario_fail(s, "no \"end\" for this");
}

static void run_lines(struct scenario *s, const struct lines *l)
{
	struct loop loop[SCENARIO_DEPTH];
	unsigned depth = 0;

	for (unsigned at = 0; at < l->count;) {
		char copy[512];
		struct words w;

		s->line = at + 1;
		snprintf(copy, sizeof(copy), "%s", l->v[at++]);
		split(s, copy, &w);
		if (w.count == 0)
			continue;
		if (word_is(&w, 0, "repeat")) {
			if (depth == SCENARIO_DEPTH || w.count != 2)
				scenario_fail(s, "repeat N, at most %u deep", SCENARIO_DEPTH);
			loop[depth] = (struct loop){at, word_number(s, w.w[1])};
			if (loop[depth++].left == 0)
				at = after_end(s, l, at - 1), depth--;
		} else if (word_is(&w, 0, "end")) {
			if (depth == 0)
				scenario_fail(s, "\"end\" without \"repeat\"");
			if (--loop[depth - 1].left)
				at = loop[depth - 1].begin;
			else
				depth--;
		} else {
			command(s, &w);
		}
	}
	if (depth)
		scenario_fail(s, "\"repeat\" without \"end\"");
	if (!s->n)
		scenario_fail(s, "the tunnel never comes up: no \"up\"");
}

/* Checks what must hold at the end of every run. */
static void at_the_end(struct scenario *s)
{
	uint64_t twice = s->n->peer[BRANCH].delivered_twice + s->n->peer[GW].delivered_twice;

	if (twice && !s->o.twice_allowed)
		scenario_fail(s, "%llu packets were delivered twice", (unsigned long long)twice);
}

static bool protected_run(struct scenario *s, const struct lines *l)
{
	if (setjmp(s->out))
		return false;
	run_lines(s, l);
	at_the_end(s);
	return true;
}

bool scenario_run(const char *name, const char *text, bool loud, char why[SCENARIO_WHY])
{
	struct lines l = lines_of(text);
	struct scenario *s = xzalloc(sizeof(*s)), *outer = running;
	bool ok;

	s->name = name;
	s->why = why;
	s->esn = true;
	s->o = options_default();
	snprintf(s->suite, sizeof(s->suite), "aes128gcm16");
	snprintf(s->pfs[BRANCH], sizeof(s->pfs[0]), "x25519");
	snprintf(s->pfs[GW], sizeof(s->pfs[0]), "x25519");
	running = s;
	ok = protected_run(s, &l);
	running = outer;
	if (s->n) {
		if (!ok && loud)
			net_print_log(s->n);
		if (loud)
			scenario_report(s, !ok);
		s->n->has_failed |= !ok;
		net_free(s->n);
	}
	tape_clear(&s->recorded);
	tape_clear(&s->held);
	free(l.text);
	free(l.v);
	free(s);
	return ok;
}

char *scenario_read(const char *path)
{
	FILE *f = fopen(path, "r");
	size_t room = 4096, len = 0, got;
	char *text;

	if (!f)
		return NULL;
	text = xzalloc(room);
	while ((got = fread(text + len, 1, room - 1 - len, f)) > 0) {
		len += got;
		if (len + 1 == room)
			text = xreallocarray(text, room *= 2, 1);
	}
	text[len] = '\0';
	fclose(f);
	return text;
}
