/* classic.c - see classic.h. SPDX-License-Identifier: ISC */
#include "classic.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A line of the text, without its end. */
struct line {
	const char *p;
	size_t len;
};

static struct line next_line(const char **at)
{
	struct line l = {*at, strcspn(*at, "\n")};

	*at += l.len + (l.p[l.len] == '\n');
	return l;
}

static bool begins(struct line l, const char *with)
{
	return strncmp(l.p, with, strlen(with)) == 0;
}

static bool ends(struct line l, const char *with)
{
	size_t len = strlen(with);

	return l.len >= len && memcmp(l.p + l.len - len, with, len) == 0;
}

/* What the samples of a family have behind its name, by the family's "# TYPE" line. */
static const char *suffix_of(struct line type)
{
	return ends(type, " counter") ? "_total" : ends(type, " info") ? "_info" : "";
}

/* "# TYPE NAME ..." or "# HELP NAME ...": the name gets the suffix. */
static void describe(FILE *f, struct line l, const char *suffix)
{
	const size_t start = strlen("# TYPE ");
	size_t name = strcspn(l.p + start, " \n");

	fprintf(f, "%.*s%s", (int)(start + name), l.p, suffix);
	if (begins(l, "# TYPE ") && ends(l, " info"))
		fputs(" gauge\n", f);
	else
		fprintf(f, "%.*s\n", (int)(l.len - start - name), l.p + start + name);
}

char *metrics_classic(const char *text)
{
	const char *suffix = "";
	char *classic = NULL;
	size_t size;
	FILE *f = open_memstream(&classic, &size);

	if (!f)
		abort();
	while (*text) {
		struct line l = next_line(&text);

		if (begins(l, "# TYPE "))
			suffix = suffix_of(l);
		if (begins(l, "# TYPE ") || begins(l, "# HELP "))
			describe(f, l, suffix);
		else if (*l.p != '#')
			fprintf(f, "%.*s\n", (int)l.len, l.p);
	}
	fclose(f);
	return classic;
}
