/*
 * outbound.c - when outbound packets move to a new CHILD SA, and which SAs it replaces.
 * SPDX-License-Identifier: ISC
 *
 * The side that requested it moves at once: the response shows that the peer has it. The side that
 * responded does not know whether the response arrived; while an older SA admits the same, packets
 * stay on that one until the peer is heard on the new one.
 */
#include "backup.h"
#include "beside.h"
#include "child.h"
#include "recovery.h"
#include "tidy.h"
#include "tunnel_sa.h"

#define MOVE_LOOK (500 * NSEC_PER_MSEC)
/* A peer that is heard, and never on the new SA, may have lost the older one. */
#define MOVE_MAX (10 * NSEC_PER_SEC)

/* Rung 2 and 4: the engine has forgotten the older ones that this one stands in for. */
static void replace_forgotten(const struct tunnel_sa *s, nsec_t now)
{
	struct tunnel_sa *o;

	LIST_FOREACH (o, &s->child->sas, link) {
		if (o == s || o->ike || !tunnel_sa_covers(s, o))
			continue;
		if (o->kept)
			tunnel_sa_retire(o, s, now);
		else if (o->recovery.state == RECOVERY_RUNNING)
			recovery_replaced(o, s, now);
	}
}

void tunnel_sa_activate(struct tunnel_sa *s, nsec_t now)
{
	struct tunnel_child *c = s->child;
	struct tunnel *t = c->conn->tunnel;
	struct esp_sa *sa = tunnel_sa_esp(s);
	struct tunnel_sa *old = s->replaces;

	if (s->active || s->retired || !sa)
		return;
	s->policy.sa = sad_ref(sa);
	s->policy.order = backup_order(c, ++t->policy_order);
	s->policy.owner = c;
	if (spd_add(tunnel_child_spd(c), &s->policy) < 0) {
		log_error(t->log, "%s/%s: too many selectors for the policy database",
			  c->conn->conf->name, c->conf->name);
		return;
	}
	s->active = true;
	backup_child_up(c);
	t->ops.route(t->ops.ctx, c->device, s->policy.local, s->policy.remote, true);
	s->replaces = NULL;
	c->current = s;
	hint_silent_arm(s, now);
	if (old) {
		c->rekeys++;
		tunnel_sa_retire(old, s, now);
	}
	replace_forgotten(s, now);
	if (tunnel_sa_twin(s))
		conn_tidy_later(c->conn, now);
}

/*
 * Rung 3: the same selectors came up on another IKE SA, which replaces the older ones of this
 * child, except those on a call of the peer's that is to stay instead.
 */
static void replace_on_takeover(struct tunnel_sa *s, nsec_t now)
{
	struct tunnel_conn *conn = s->child->conn;
	const struct ike_sa *stays;
	struct tunnel_sa *o, *next;

	if (child_sa_ike(s->ike) != conn->beside)
		return;
	stays = conn_which_call(conn);
	for (o = LIST_FIRST(&s->child->sas); o; o = next) {
		next = LIST_NEXT(o, link);
		if (o != s && o->ike && child_sa_ike(o->ike) != conn->beside &&
		    child_sa_ike(o->ike) != stays && tunnel_sa_covers(s, o))
			tunnel_sa_retire(o, s, now);
	}
}

bool tunnel_sa_waits(const struct tunnel_sa *s)
{
	return !s->active && !s->retired && s->ike && !child_sa_voided(s->ike) &&
	       !child_sa_is_replaced(s->ike) && child_sa_state(s->ike) != CHILD_STATE_DELETING;
}

void tunnel_sa_use(struct tunnel_sa *s, nsec_t now)
{
	deadline_clear(&s->child->conn->tunnel->deadlines, &s->move);
	tunnel_sa_activate(s, now);
	if (s->active)
		replace_on_takeover(s, now);
	conn_maybe_take_over(s->child->conn, now);
}

/* The peer has what IKE_AUTH made if it has the IKE SA; other SAs are confirmed one by one. */
static bool peer_has_sa(const struct tunnel_sa *s)
{
	return child_sa_is_initiator(s->ike) ||
	       (child_sa_confirmed(s->ike) && conn_peer_has(child_sa_ike(s->ike)));
}

void tunnel_sa_begin_to_use(struct tunnel_sa *s, nsec_t now)
{
	struct tunnel *t = s->child->conn->tunnel;

	/*
	 * What replaces another waits for CONFIRMED, which comes at once if we asked for it. The
	 * loser of a collision is about to be deleted.
	 */
	if (s->replaces || child_sa_is_replaced(s->ike))
		return;
	if (!peer_has_sa(s) && tunnel_sa_substitute(s)) {
		ike_liveness(child_sa_ike(s->ike), 0, now);
		deadline_set(&t->deadlines, &s->move, now + MOVE_LOOK);
		return;
	}
	tunnel_sa_use(s, now);
}

void tunnel_sa_move_due(struct deadline *d, nsec_t now)
{
	struct tunnel_sa *s = container_of(d, struct tunnel_sa, move);

	if (s->active || s->retired || !s->ike)
		return;
	if (tunnel_sa_waits(s) && (peer_has_sa(s) || !tunnel_sa_substitute(s) ||
				   (now - s->installed >= MOVE_MAX &&
				    ike_sa_last_heard(child_sa_ike(s->ike)) > s->installed)))
		tunnel_sa_use(s, now);
	else
		deadline_set(&s->child->conn->tunnel->deadlines, &s->move, now + MOVE_LOOK);
}

void tunnel_sa_heard(struct tunnel_sa *s, nsec_t now)
{
	if (!s->ike)
		return;
	ike_child_heard(s->ike, now);
	if (s->ike && deadline_is_set(&s->move) && tunnel_sa_waits(s))
		tunnel_sa_use(s, now);
}
