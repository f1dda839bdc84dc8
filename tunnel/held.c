/*
 * held.c - routes for peers that have not come yet, as nothing may leave in clear until they have.
 * SPDX-License-Identifier: ISC
 *
 * A connection that only answers has no children before its peers come, and nobody to call. Its
 * route is there all the same where start_action asks for one; packets end at the TUN device, where
 * no policy is for them.
 */
#include "tunnel.h"
#include "xalloc.h"

struct held_route {
	LIST_ENTRY(held_route) link;
	struct ts_list *local, *remote; /* owned: a reload may free those of the configuration */
};

bool conn_only_answers(const struct conn_conf *conf)
{
	return (conf->remote_any || ident_is_pattern(&conf->remote_id)) &&
	       conf->remote_count == 0 && !conf->remote_names;
}

static void hold(struct tunnel *t, struct held_list *list, const struct child_conf *child)
{
	struct held_route *h = xzalloc(sizeof(*h));

	h->local = ts_list_dup(&child->local_ts);
	h->remote = ts_list_dup(&child->remote_ts);
	t->ops.route(t->ops.ctx, 0, h->local, h->remote, true);
	LIST_INSERT_HEAD(list, h, link);
}

void held_release(struct tunnel *t, struct held_list *list)
{
	struct held_route *h;

	while ((h = LIST_FIRST(list))) {
		t->ops.route(t->ops.ctx, 0, h->local, h->remote, false);
		LIST_REMOVE(h, link);
		free(h->local);
		free(h->remote);
		free(h);
	}
}

void held_configure(struct tunnel *t, struct conn_conf **conns, unsigned count)
{
	struct held_list before = t->held;

	/* The old ones go last: what is in both is never without a route. */
	if (LIST_FIRST(&before))
		LIST_FIRST(&before)->link.le_prev = &before.lh_first;
	LIST_INIT(&t->held);
	for (unsigned i = 0; i < count; i++) {
		for (unsigned k = 0; conn_only_answers(conns[i]) && k < conns[i]->child_count;
		     k++) {
			const struct child_conf *child = &conns[i]->children[k];

			/* To a device of its own others make routes, and its link says that
			 * nobody is there. */
			if (child->start_action != START_NONE && child->device_index == 0)
				hold(t, &t->held, child);
		}
	}
	held_release(t, &before);
}
