/*
 * fuzz_import.c - makes a mendip.conf of a swanctl.conf; what is made, mendipd takes.
 * SPDX-License-Identifier: ISC
 *
 * "include" reads the input again, from behind a line "---" if there is one. There are no keys, so
 * that connections with certificates are left out.
 */
#include "fuzz.h"
#include "config.h"
#include "import.h"
#include "xalloc.h"

#include <stdio.h>

#define MARK  "7q7q" /* a secret that contains this must not be said */
#define SPLIT "\n---\n"

struct input {
	const char *text, *more;
	size_t len, more_len;
	unsigned lines, said;
	bool only_secret; /* the mark stands in secrets alone */
};

static unsigned lines_of(const char *text, size_t len)
{
	unsigned lines = 1;

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	return lines;
}

static bool on_include(void *ctx, struct import_tree *t, struct import_node *section,
		       const char *file, const char *pattern, char *err)
{
	const struct input *in = ctx;

	hold(strcmp(file, "main") == 0 || strcmp(file, "more") == 0);
	hold(strlen(pattern) <= in->len + in->more_len);
	return import_add(t, section, "more", in->more, in->more_len, err);
}

/* One printable line for a line of a file, without the mark of a secret. */
static void say(void *ctx, const char *file, unsigned line, const char *text)
{
	struct input *in = ctx;
	bool more = strcmp(file, "more") == 0;

	hold(!in->only_secret || !strstr(text, MARK));
	hold(more || strcmp(file, "main") == 0);
	hold(line >= 1 && line <= (more ? lines_of(in->more, in->more_len) : in->lines));
	for (const char *p = text; *p; p++)
		hold(*p >= 0x20 && *p < 0x7f);
	in->said++;
}

static char *find_key(void *ctx, const char *cert)
{
	(void)ctx, (void)cert;
	return NULL;
}

/* Whether the mark stands in values of `secret` only. */
static bool is_only_secret(const struct import_node *section, bool secrets)
{
	for (const struct import_node *n = section->first; n; n = n->next) {
		if (strstr(n->name, MARK) || (n->value && strstr(n->value, MARK) &&
					      !(secrets && strcmp(n->name, "secret") == 0)))
			return false;
		if (!n->value && !is_only_secret(n, secrets || strcmp(n->name, "secrets") == 0))
			return false;
	}
	return true;
}

static void convert(struct import_tree *t, struct input *in)
{
	const struct import_ops ops = {
		.ctx = in, .say = say, .find_key = find_key, .folder = "/nonexistent"};
	char err[CONFIG_ERR], *text, why[IMPORT_ERR] = "";
	struct config *c;
	unsigned said;

	in->only_secret = is_only_secret(&t->root, false);
	text = import_convert(t, &ops, &said, why);
	hold(said == in->said);
	if (!text) {
		hold(strstr(why, "more than"));
		return;
	}
	c = conf_load_text("made", text, err);
	hold(c != NULL);
	conf_free(c);
	secret_free(text, strlen(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *split = memmem(text, size, SPLIT, strlen(SPLIT));
	struct input in = {.text = text, .len = split ? (size_t)(split - text) : size};
	struct import_tree t = {.include = on_include, .ctx = &in};
	char err[IMPORT_ERR] = "";

	in.more = split ? split + strlen(SPLIT) : text;
	in.more_len = split ? size - in.len - strlen(SPLIT) : size;
	in.lines = lines_of(in.text, in.len);
	if (import_add(&t, &t.root, "main", text, in.len, err) && import_resolve(&t, err)) {
		hold(t.nodes <= IMPORT_NODES_MAX);
		convert(&t, &in);
	} else {
		hold(strncmp(err, "main:", 5) == 0 || strncmp(err, "more:", 5) == 0);
		hold(strtoul(err + 5, NULL, 10) >= 1);
	}
	import_free(&t);
	return 0;
}
