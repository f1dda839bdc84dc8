/*
 * held.c - routes for peers that have not come yet, as nothing may leave in clear until they have.
 * SPDX-License-Identifier: ISC
 *
 * A connection that only responds has no children before its peers come, and cannot initiate. Where
 * start_action asks for a route, the route is there all the same: it leads to the TUN device, where
 * packets without a policy are dropped.
 */
#include "conn.h"
#include "held.h"
#include "xalloc.h"

struct held_route {
	SLIST_ENTRY(held_route) link;
	struct ts_list *local, *remote; /* owned: a reload may free those of the configuration */
};

bool conn_only_answers(const struct conn_conf *conf)
{
	return conn_is_for_anyone(conf) && conf->remote_count == 0 && !conf->names;
}

static void hold(struct tunnel *t, const struct conn_conf *conf, const struct child_conf *child)
{
	struct held_route *h = xzalloc(sizeof(*h));

	h->local = conn_selectors(conf, child->local_ts, true);
	h->remote = conn_selectors(conf, child->remote_ts, false);
	t->ops.route(t->ops.ctx, 0, h->local, h->remote, true);
	SLIST_INSERT_HEAD(&t->held, h, link);
}

static void hold_all(struct tunnel *t, const struct conn_conf *conf)
{
	for (unsigned i = 0; i < conf->child_count; i++) {
		const struct child_conf *child = &conf->children[i];

		/* Routes to a device of its own are left to others, and its link is down. */
		if (child->start_action != START_NONE && !child->device)
			hold(t, conf, child);
	}
}

void held_release(struct tunnel *t, struct held_list *list)
{
	struct held_route *h;

	while ((h = SLIST_FIRST(list))) {
		SLIST_REMOVE_HEAD(list, link);
		t->ops.route(t->ops.ctx, 0, h->local, h->remote, false);
		free(h->local);
		free(h->remote);
		free(h);
	}
}

void held_configure(struct tunnel *t, const struct conn_set *conns)
{
	struct held_list before = t->held;

	/* The old ones go last: what is in both is never without a route. */
	SLIST_INIT(&t->held);
	for (unsigned i = 0; i < conns->count; i++) {
		if (conn_only_answers(conns->v[i]))
			hold_all(t, conns->v[i]);
	}
	held_release(t, &before);
}
