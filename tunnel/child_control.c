/* child_control.c - what an operator asks of a child: up, down, rekey, reset, options.
 * SPDX-License-Identifier: ISC */
#include "backup.h"
#include "child.h"
#include "conn.h"
#include "recovery.h"

void tunnel_child_up(struct tunnel_child *c, nsec_t now)
{
	c->wanted = c->trap.trap = true;
	conn_mend(c->conn, now);
}

void tunnel_child_down(struct tunnel_child *c, nsec_t now)
{
	struct tunnel_sa *s;

	/* Its packets are dropped until `up`, or until the peer brings it up. */
	c->wanted = c->only_auth = c->trap.trap = false;
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
	backup_child_lost(c);
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
