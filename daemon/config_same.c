/*
 * config_same.c - prints, compares and digests configurations as text. SPDX-License-Identifier: ISC
 *
 * Two configurations are equal if their texts are, so that no option that has a row can be
 * forgotten.
 */
#include "config_option.h"
#include "crypto/hash.h"
#include "xalloc.h"

static void print_child(struct conf_out *out, const struct child_conf *c, bool help)
{
	conf_print_line(out, "%s: {", c->name);
	out->depth++;
	conf_print_options(out, &conf_child_table, c, help);
	out->depth--;
	conf_print_line(out, "};");
}

static void print_conn(struct conf_out *out, const struct conn_conf *c, bool help)
{
	conf_print_line(out, "%s: {", c->name);
	out->depth++;
	conf_print_options(out, &conf_conn_table, c, help);
	conf_print_line(out, "children: {");
	out->depth++;
	for (unsigned i = 0; i < c->child_count; i++)
		print_child(out, &c->children[i], help);
	out->depth--;
	conf_print_line(out, "};");
	out->depth--;
	conf_print_line(out, "};");
}

char *conf_dump(const struct config *c)
{
	char *text = NULL;
	size_t size = 0;
	struct conf_out out = {.f = conf_open_text(&text, &size)};

	conf_print_line(&out, "daemon: {");
	out.depth++;
	conf_print_options(&out, &conf_daemon_table, c, true);
	out.depth--;
	conf_print_line(&out, "};");
	fputs("switchover: ", out.f);
	conf_print_switchover(&out, &c->defaults);
	fputs(";\npools: {\n", out.f);
	for (unsigned i = 0; i < c->pool_count; i++) {
		fputs("  ", out.f);
		conf_print_pool(&out, &c->pools[i]);
		fputc('\n', out.f);
	}
	fputs("};\nconnections: {\n", out.f);
	out.depth++;
	for (unsigned i = 0; i < c->conns.count; i++)
		print_conn(&out, c->conns.v[i], i == 0);
	out.depth--;
	conf_print_line(&out, "};");
	conf_print_line(&out, "# secrets: %u, not shown",
			c->conns.secrets->count + c->conns.secrets->ppk_count +
				c->conns.secrets->eap_count);
	conf_close_text(out.f);
	return text;
}

/* A connection as text for comparison; the caller frees it. */
static char *conn_text(const struct conn_conf *c)
{
	char *text = NULL;
	size_t size = 0;
	struct conf_out out = {.f = conf_open_text(&text, &size), .bare = true};

	print_conn(&out, c, false);
	conf_close_text(out.f);
	return text;
}

bool conf_conn_same(const struct conn_conf *a, const struct conn_conf *b)
{
	char *x = conn_text(a), *y = conn_text(b);
	bool same = strcmp(x, y) == 0;

	free(x);
	free(y);
	return same;
}

/* The post-quantum keys that it may use, each after its identity. */
static void digest_ppks(const struct conn_conf *c, const struct psk_store *secrets, uint8_t *out)
{
	bool any = c->ppk_id && strcmp(c->ppk_id, PPK_ANY) == 0;

	memset(out, 0, 32);
	for (unsigned i = 0; c->ppk_id && secrets && i < secrets->ppk_count; i++) {
		const struct ppk *k = &secrets->ppks[i];
		const struct chunk parts[] = {
			{out, 32}, {(const uint8_t *)k->id, sizeof(k->id)}, {k->secret, k->len}};
		uint8_t d[HASH_MAX_LEN];

		if (!any && strcmp(k->id, c->ppk_id) != 0)
			continue;
		hash_compute(HASH_SHA256, parts, ARRAY_SIZE(parts), d);
		memcpy(out, d, 32);
		secret_wipe(d, sizeof(d));
	}
}

void conf_conn_digest(const struct conn_conf *c, const struct psk_store *secrets,
		      const struct ident *peer, uint8_t *out)
{
	const struct psk *psk =
		secrets && conn_has_psk(c) ? psk_find(secrets, &c->local_id, peer) : NULL;
	char *text = conn_text(c);
	uint8_t d[HASH_MAX_LEN], ppks[32];
	const struct chunk parts[] = {{(const uint8_t *)text, strlen(text) + 1},
				      {ppks, sizeof(ppks)},
				      {psk ? psk->secret : NULL, psk ? psk->len : 0}};

	digest_ppks(c, secrets, ppks);
	hash_compute(HASH_SHA256, parts, ARRAY_SIZE(parts), d);
	memcpy(out, d, 32);
	secret_wipe(d, sizeof(d));
	secret_wipe(ppks, sizeof(ppks));
	free(text);
}

static bool is_fixed(const struct conf_option *o)
{
	return o->at < sizeof(struct config_fixed);
}

static bool same_value(const struct conf_option *o, const void *a, const void *b)
{
	char *x = conf_value(o, a), *y = conf_value(o, b);
	bool same = strcmp(x, y) == 0;

	free(x);
	free(y);
	return same;
}

void conf_keep_fixed(const struct config *old, struct config *new, char *names, size_t size)
{
	const struct conf_option *v = conf_daemon_table.v;
	size_t at = 0;

	*names = '\0';
	for (unsigned i = 0; i < conf_daemon_table.count; i++) {
		if (is_fixed(&v[i]) && !same_value(&v[i], old, new) && at < size)
			at += (size_t)snprintf(names + at, size - at, "%s%s", at ? ", " : "",
					       v[i].name);
		if (is_fixed(&v[i]) && v[i].kind == &conf_text)
			free(*conf_text_at(&v[i], new));
	}
	new->fixed = old->fixed;
	for (unsigned i = 0; i < conf_daemon_table.count; i++) {
		if (is_fixed(&v[i]) && v[i].kind == &conf_text && *conf_text_at(&v[i], new))
			*conf_text_at(&v[i], new) = xstrdup(*conf_text_at(&v[i], new));
	}
}
