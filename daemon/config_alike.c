/*
 * config_alike.c - children that have the same traffic on the same device.
 * SPDX-License-Identifier: ISC
 *
 * All of them come up, and the one that came up last has all packets (spd.h), which is seldom
 * meant. It is meant between a connection and its backup, and between connections for anyone, whose
 * peers narrow the selectors.
 */
#include "config_read.h"
#include "xalloc.h"

#include <stdio.h>
#include <uthash.h>

struct conf_alike {
	struct conf_alike *next;
	UT_hash_handle hh;
	unsigned conn, child;
	char *place; /* FILE:LINE */
	char *key;   /* its selectors and its device, as text; made by conf_alike_check */
};

void conf_alike_note(struct conf_reader *r, config_setting_t *g)
{
	struct config *c = r->config;
	config_setting_t *children = config_setting_get_member(g, "children");

	for (int i = 0; i < config_setting_length(children); i++) {
		config_setting_t *s = config_setting_get_elem(children, (unsigned)i);
		struct conf_alike *a = xzalloc(sizeof(*a));

		a->conn = c->conns.count - 1;
		a->child = (unsigned)i;
		a->place = xasprintf("%s:%u", r->path, config_setting_source_line(s));
		a->next = c->alike;
		c->alike = a;
	}
}

void conf_alike_free(struct conf_alike *a)
{
	while (a) {
		struct conf_alike *next = a->next;

		free(a->place);
		free(a->key);
		free(a);
		a = next;
	}
}

static const struct child_conf *child_of(const struct config *c, const struct conf_alike *a)
{
	return &c->conns.v[a->conn]->children[a->child];
}

/* The text of all selectors; the caller frees it. */
static char *selectors_text(const struct ts_list *l)
{
	size_t size = (size_t)l->count * TS_STRLEN + 1;
	char *text = xzalloc(size);

	(void)ts_list_format(l, text, size);
	return text;
}

static char *key_of(const struct child_conf *k)
{
	char *local = selectors_text(k->local_ts), *remote = selectors_text(k->remote_ts);
	char *key = xasprintf("%s|%s|%s", k->device ? k->device : "", local, remote);

	free(local);
	free(remote);
	return key;
}

/* b is the backup of a, or the backup of its backup; conf_check_backups has seen that this ends. */
static bool leads_to(const struct config *c, const struct conn_names *names, unsigned a, unsigned b)
{
	const char *next = c->conns.v[a]->backup;

	while (next && a != b) {
		a = (unsigned)conn_names_find(names, next);
		next = c->conns.v[a]->backup;
	}
	return a == b;
}

static bool may_share(const struct config *c, const struct conn_names *names,
		      const struct conf_alike *x, const struct conf_alike *y)
{
	const struct child_conf *k = child_of(c, x);

	if (ts_list_dynamic(k->local_ts) || ts_list_dynamic(k->remote_ts))
		return true;
	if (x->conn == y->conn)
		return false;
	return conn_is_for_anyone(c->conns.v[x->conn]) || conn_is_for_anyone(c->conns.v[y->conn]) ||
	       leads_to(c, names, x->conn, y->conn) || leads_to(c, names, y->conn, x->conn);
}

static void say(struct config *c, const struct conf_alike *a, const struct conf_alike *before)
{
	conf_doubt_at(c, a->place,
		      "connections.%.60s.children.%.60s: connections.%.60s.children.%.60s (%.80s) "
		      "has the same local_ts, remote_ts and device: the packets take the one that "
		      "came up last; remove one, or give it a device%s",
		      c->conns.v[a->conn]->name, child_of(c, a)->name,
		      c->conns.v[before->conn]->name, child_of(c, before)->name, before->place,
		      a->conn == before->conn ? ""
					      : ", or make one connection the backup of the other");
}

void conf_alike_check(struct config *c)
{
	struct conf_alike *seen = NULL, *before, *all = NULL, *a, *next;
	struct conn_names *names = conn_names_new(&c->conns);

	/* In the order of the files. */
	for (a = c->alike; a; a = next) {
		next = a->next;
		a->next = all;
		all = a;
	}
	c->alike = all;
	for (a = all; a; a = a->next) {
		size_t len;

		a->key = key_of(child_of(c, a));
		len = strlen(a->key);
		HASH_FIND(hh, seen, a->key, len, before);
		if (!before)
			HASH_ADD_KEYPTR(hh, seen, a->key, len, a);
		else if (!may_share(c, names, before, a))
			say(c, a, before);
	}
	HASH_CLEAR(hh, seen);
	conn_names_free(names);
}
