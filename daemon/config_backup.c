/* config_backup.c - connections that are the backup of another one. SPDX-License-Identifier: ISC */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CHAIN_MAX 8

static int fail(const struct config *c, unsigned at, char *err, const char *what, const char *name)
{
	snprintf(err, CONFIG_ERR, "%.100s: connections.%.60s: backup = \"%.60s\": %s%s%.60s",
		 c->where.v[at], c->conns.v[at]->name, c->conns.v[at]->backup, what,
		 *name ? " " : "", name);
	return -EINVAL;
}

/* Whether the chain of backups from this one on comes to an end. */
static bool ends(const struct config *c, const struct conn_names *names, unsigned at)
{
	for (unsigned i = 0; i <= CHAIN_MAX; i++) {
		const char *next = c->conns.v[at]->backup;
		int to = next ? conn_names_find(names, next) : -1;

		if (to < 0)
			return true;
		at = (unsigned)to;
	}
	return false;
}

/* Another connection has the traffic of the child, on the same device. */
static bool has_traffic_of(const struct conn_conf *b, const struct child_conf *k)
{
	for (unsigned i = 0; i < b->child_count; i++) {
		const struct child_conf *o = &b->children[i];

		if (child_conf_same_device(o, k) && ts_list_eq(o->local_ts, k->local_ts) &&
		    ts_list_eq(o->remote_ts, k->remote_ts))
			return true;
	}
	return false;
}

static int check_one(const struct config *c, const struct conn_names *names, unsigned at, char *err)
{
	const struct conn_conf *p = c->conns.v[at], *b;
	int to = conn_names_find(names, p->backup);

	if (to < 0)
		return fail(c, at, err, "there is no connection of this name", "");
	if (!ends(c, names, at))
		return fail(c, at, err, "the backups go round in a circle, or are more than 8", "");
	b = c->conns.v[to];
	if (conn_is_for_anyone(p) || conn_is_for_anyone(b))
		return fail(c, at, err,
			    "both need one peer: remote_addrs without %any, remote.id without *",
			    "");
	for (unsigned k = 0; k < p->child_count; k++) {
		if (!has_traffic_of(b, &p->children[k]))
			return fail(c, at, err,
				    "it has no child with the local_ts, remote_ts and device of",
				    p->children[k].name);
	}
	return 0;
}

int conf_check_backups(const struct config *c, char *err)
{
	struct conn_names *names = conn_names_new(&c->conns);
	int e = 0;

	for (unsigned i = 0; i < c->conns.count && e == 0; i++) {
		if (c->conns.v[i]->backup)
			e = check_one(c, names, i, err);
	}
	conn_names_free(names);
	return e;
}
