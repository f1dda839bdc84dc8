/* child.c - children of connections, over all their SAs. SPDX-License-Identifier: ISC */
#include "backup.h"
#include "child.h"
#include "conn.h"
#include "problem.h"
#include "refusal.h"
#include "totals.h"
#include "tunnel_sa.h"
#include "xalloc.h"

struct tunnel_child *conn_child_of(struct tunnel_conn *c, const struct child_conf *conf)
{
	return conf >= c->conf->children && conf < c->conf->children + c->conf->child_count
		       ? c->child_at[conf - c->conf->children]
		       : NULL;
}

bool tunnel_child_is_kept(const struct tunnel_child *c)
{
	const struct tunnel_sa *s;

	LIST_FOREACH (s, &c->sas, link) {
		if (s->kept)
			return true;
	}
	return false;
}

/* The SPD has its own lists: a reload may change those of the configuration. */
static void trap_lists(struct tunnel_child *k, struct ts_list *local, struct ts_list *remote)
{
	free(k->trap_local);
	free(k->trap_remote);
	k->trap.local = k->trap_local = local;
	k->trap.remote = k->trap_remote = remote;
}

/*
 * Whether packets are to reach the device while the child has no SA. On the shared device they are,
 * so that they do not leave in clear. Routes to a device of the child's own are left to others; its
 * link is up for a child that waits for a packet, and not for one that comes up by itself.
 */
static bool trap_is_routed(const struct tunnel_child *k)
{
	return k->device == 0 || k->conf->start_action == START_TRAP;
}

void tunnel_child_trap(struct tunnel_child *k, bool on)
{
	struct tunnel *t = k->conn->tunnel;

	if (on == k->trapped)
		return;
	if (on) {
		trap_lists(k, conn_selectors(k->conn->conf, k->conf->local_ts, true),
			   conn_selectors(k->conn->conf, k->conf->remote_ts, false));
		k->trap.owner = k;
		k->trap.order = backup_order(k, 0);
		k->trap.trap = true;
		if (spd_add(tunnel_child_spd(k), &k->trap) < 0)
			return;
	} else {
		spd_remove(tunnel_child_spd(k), &k->trap);
	}
	k->trapped = on;
	if (trap_is_routed(k))
		t->ops.route(t->ops.ctx, k->device, k->trap_local, k->trap_remote, on);
}

/*
 * NONE: the child is not brought up again. Where start_action made a trap so that nothing leaves in
 * clear, its packets are dropped from now on; one that is to be a trap stays one.
 */
void tunnel_child_ended(struct tunnel_child *k, enum child_end end)
{
	const struct child_conf *conf = k->conf;
	enum end_action a = end == CHILD_END_PEER     ? conf->close_action
			    : end == CHILD_END_SILENT ? conf->dpd_action
						      : END_AUTO;

	conn_assigned_look(k->conn);
	if (a == END_AUTO || k->current || k->conn->tunnel->closing)
		return;
	k->wanted = a == END_START;
	if (a != END_NONE)
		tunnel_child_trap(k, true);
	k->trap.trap = a != END_NONE || conf->start_action == START_TRAP;
}

struct tunnel_child *tunnel_child_of(struct tunnel_conn *c, const struct child_conf *conf)
{
	struct tunnel_child *k = conn_child_of(c, conf);
	struct tunnel *t = c->tunnel;

	if (k)
		return k;
	k = xzalloc(sizeof(*k));
	k->conn = c;
	k->conf = conf;
	k->device = conf->device ? t->ops.device(t->ops.ctx, conf->device) : 0;
	k->options = *conf->options;
	k->totals = totals_join(t, c->conf->name, conf->name);
	LIST_INIT(&k->sas);
	/* In the order of the file: the first one is asked for in IKE_AUTH. */
	if (c->last_child)
		LIST_INSERT_AFTER(c->last_child, k, link);
	else
		LIST_INSERT_HEAD(&c->children, k, link);
	c->last_child = c->child_at[conf - c->conf->children] = k;
	return k;
}

void tunnel_child_remove(struct tunnel_child *k)
{
	struct tunnel_sa *s;

	tunnel_child_trap(k, false);
	while ((s = LIST_FIRST(&k->sas))) {
		if (s->ike)
			child_sa_set_owner(s->ike, NULL);
		tunnel_sa_forget(s);
	}
	LIST_REMOVE(k, link);
	totals_leave(k);
	k->conn->child_at[k->conf - k->conn->conf->children] = NULL;
	if (k->conn->last_child == k)
		k->conn->last_child = NULL; /* all are removed */
	trap_lists(k, NULL, NULL);
	free(k->records);
	refusal_free(k->refusal);
	problem_free(k->problem);
	free(k);
}
