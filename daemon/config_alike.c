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

#include <uthash.h>

/* A child, and what it is compared by. */
struct alike {
	UT_hash_handle hh;
	unsigned conn, child;
	const char *place; /* FILE:LINE */
	char *key;	   /* its selectors and its device, as text */
	/* Of the first one with this key: the one that was read last, and the one whose backups all
	 * others are that it may share with. */
	struct alike *newest, *top;
};

static const struct child_conf *child_of(const struct config *c, const struct alike *a)
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

/* Those with one key have the same traffic. A connection for anyone is compared with itself alone.
 * The caller frees the key. */
static char *key_of(const struct config *c, const struct alike *a)
{
	const struct child_conf *k = child_of(c, a);
	const struct conn_conf *conn = c->conns.v[a->conn];
	char *local = selectors_text(k->local_ts), *remote = selectors_text(k->remote_ts);
	char *key = xasprintf("%s|%s|%s|%s", k->device ? k->device : "", local, remote,
			      conn_is_for_anyone(conn) ? conn->name : "");

	free(local);
	free(remote);
	return key;
}

/* Each peer has addresses of its own there. */
static bool is_dynamic(const struct child_conf *k)
{
	return ts_list_dynamic(k->local_ts) || ts_list_dynamic(k->remote_ts);
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

static void say(struct config *c, const struct alike *a, const struct alike *before)
{
	conf_doubt_at(c, a->place,
		      "connections.%.60s.children.%.60s: connections.%.60s.children.%.60s (%.80s) "
		      "has the same local_ts, remote_ts and device: the packets take the one that "
		      "came up last; remove one, or give one a device of its own%s",
		      c->conns.v[a->conn]->name, child_of(c, a)->name,
		      c->conns.v[before->conn]->name, child_of(c, before)->name, before->place,
		      a->conn == before->conn ? ""
					      : ", or make one connection the backup of the other");
}

/*
 * A connection has one backup, so the backups of the top one stand in one row: who may share with
 * the top one may share with all of them.
 */
static void compare(struct config *c, const struct conn_names *names, struct alike *first,
		    struct alike *a)
{
	if (a->conn == first->newest->conn)
		say(c, a, first->newest);
	else if (leads_to(c, names, a->conn, first->top->conn))
		first->top = a;
	else if (!leads_to(c, names, first->top->conn, a->conn))
		say(c, a, first->top);
	first->newest = a;
}

static void look_at_child(struct config *c, const struct conn_names *names, struct alike **seen,
			  struct alike *a)
{
	struct alike *first;
	size_t len;

	if (is_dynamic(child_of(c, a)))
		return;
	a->key = key_of(c, a);
	len = strlen(a->key);
	HASH_FIND(hh, *seen, a->key, len, first);
	if (first) {
		compare(c, names, first, a);
	} else {
		a->newest = a->top = a;
		HASH_ADD_KEYPTR(hh, *seen, a->key, len, a);
	}
}

void conf_alike_check(struct config *c)
{
	struct conn_names *names = conn_names_new(&c->conns);
	struct alike *all = xreallocarray(NULL, c->children_at.count, sizeof(*all)), *seen = NULL;
	unsigned count = 0;

	for (unsigned i = 0; i < c->conns.count; i++) {
		for (unsigned k = 0; k < c->conns.v[i]->child_count; k++, count++) {
			all[count] = (struct alike){
				.conn = i, .child = k, .place = c->children_at.v[count]};
			look_at_child(c, names, &seen, &all[count]);
		}
	}
	HASH_CLEAR(hh, seen);
	for (unsigned i = 0; i < count; i++)
		free(all[i].key);
	free(all);
	conn_names_free(names);
}
