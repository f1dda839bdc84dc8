/*
 * child.c - children of connections, over all their SAs, and what an operator asks of them.
 * SPDX-License-Identifier: ISC
 */
#include "child.h"
#include "conn.h"
#include "recovery.h"
#include "tunnel_sa.h"
#include "xalloc.h"

struct tunnel_child *conn_child_of(struct tunnel_conn *c, const struct child_conf *conf)
{
	struct tunnel_child *k;

	LIST_FOREACH (k, &c->children, link) {
		if (k->conf == conf)
			return k;
	}
	return NULL;
}

struct spd *tunnel_child_spd(const struct tunnel_child *k)
{
	return &k->conn->tunnel->path->devices[k->device].spd;
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
		trap_lists(k, ts_list_dup(&k->conf->local_ts), ts_list_dup(&k->conf->remote_ts));
		k->trap.owner = k;
		k->trap.trap = true;
		if (spd_add(tunnel_child_spd(k), &k->trap) < 0)
			return;
	} else {
		spd_remove(tunnel_child_spd(k), &k->trap);
	}
	k->trapped = on;
	if (trap_is_routed(k))
		t->ops.route(t->ops.ctx, k->device, &k->conf->local_ts, &k->conf->remote_ts, on);
}

struct tunnel_child *tunnel_child_of(struct tunnel_conn *c, const struct child_conf *conf)
{
	struct tunnel_child *k = conn_child_of(c, conf), *last;
	struct tunnel *t = c->tunnel;

	if (k)
		return k;
	k = xzalloc(sizeof(*k));
	k->conn = c;
	k->conf = conf;
	k->device = conf->device ? t->ops.device(t->ops.ctx, conf->device) : 0;
	k->options = *conf->options;
	LIST_INIT(&k->sas);
	/* In the order of the file: the first one is asked for in IKE_AUTH. */
	LIST_FOREACH (last, &c->children, link) {
		if (!LIST_NEXT(last, link))
			break;
	}
	if (last)
		LIST_INSERT_AFTER(last, k, link);
	else
		LIST_INSERT_HEAD(&c->children, k, link);
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
	trap_lists(k, NULL, NULL);
	free(k->records);
	free(k);
}

/* ---- control ---- */

void tunnel_child_up(struct tunnel_child *c, nsec_t now)
{
	c->wanted = true;
	conn_mend(c->conn, now);
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

void tunnel_child_down(struct tunnel_child *c, nsec_t now)
{
	struct tunnel_sa *s;

	c->wanted = c->only_auth = false;
	if (c->asked_on)
		ike_child_cancel(c->asked_on, c->conf);
	if (c->current && c->current->ike)
		ike_child_cancel(child_sa_ike(c->current->ike), c->conf);
	c->asked_on = NULL;
	LIST_FOREACH (s, &c->sas, link) {
		s->ending = true;
		s->check = CRITERION_NONE;
		recovery_forget(s);
		if (s->ike)
			ike_child_delete(s->ike, now);
		else if (s->kept)
			deadline_set(&c->conn->tunnel->deadlines, &s->end, now);
	}
	if (!conn_wanted(c->conn))
		deadline_clear(&c->conn->tunnel->deadlines, &c->conn->retry);
}

bool tunnel_child_rekey(struct tunnel_child *c, nsec_t now)
{
	if (!c->current || !c->current->ike)
		return false;
	ike_child_rekey(c->current->ike, 0, now);
	return true;
}

void tunnel_child_reset(struct tunnel_child *c, nsec_t now)
{
	struct tunnel_sa *s;

	c->conn->tunnel->now = now;
	gate_reset(&c->gate);
	/* Otherwise the second of several SAs would count as one that an admission did not help. */
	LIST_FOREACH (s, &c->sas, link)
		s->recovery.admitted = false;
	recovery_look_again(c, now);
}

/* Whether an option that the gate counts by has another value. */
static bool gate_differs(const struct tunnel_options *a, const struct tunnel_options *b)
{
	return a->max_rekeys != b->max_rekeys || a->per != b->per || a->quiet != b->quiet ||
	       a->jitter != b->jitter || a->detect.mode != b->detect.mode;
}

int tunnel_child_apply(struct tunnel_child *c, const struct tunnel_options *o, char *err,
		       nsec_t now)
{
	struct tunnel_options old = c->options;
	struct tunnel_sa *s;

	if (tunnel_options_check(o, c->conf->rekey_time, err) < 0)
		return -EINVAL;
	c->options = *o;
	LIST_FOREACH (s, &c->sas, link) {
		struct esp_sa *sa = tunnel_sa_esp(s);

		if (sa)
			esp_sa_set_detect(sa, &o->detect, o->verify_rate, o->bridge);
		if (o->silent_rekey != old.silent_rekey)
			hint_silent_arm(s, now);
	}
	if (gate_differs(&old, o))
		tunnel_child_reset(c, now);
	return 0;
}

int tunnel_child_set(struct tunnel_child *c, const char *name, const char *value, char *err,
		     nsec_t now)
{
	struct tunnel_options o = c->options;

	if (tunnel_options_set(&o, name, value, err) < 0)
		return -EINVAL;
	return tunnel_child_apply(c, &o, err, now);
}
