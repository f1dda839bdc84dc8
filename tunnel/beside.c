/*
 * beside.c - rung 3: a new IKE SA beside one whose peer does not answer, until it has taken over
 * (doc/recovery.md 5). SPDX-License-Identifier: ISC
 */
#include "addresses.h"
#include "backup.h"
#include "beside.h"
#include "child.h"
#include "conn.h"

#define TAKEOVER_LOOK (2 * NSEC_PER_SEC)
#define HEARD_LATELY  (5 * NSEC_PER_SEC) /* an IKE SA that was heard in this time is alive */
#define RUNG3_DELAY   (2 * NSEC_PER_SEC) /* at random: thousands of tunnels do not call at once */

static bool is_on_rung3(const struct tunnel_sa *s)
{
	return s->recovery.state == RECOVERY_RUNNING && s->recovery.record.rung >= 3;
}

bool conn_is_mending(const struct tunnel_conn *c)
{
	const struct tunnel_child *k;
	const struct tunnel_sa *s;

	if ((c->move_late && c->sa && ike_sa_is_moving(c->sa)) || addresses_going_back(c) ||
	    addresses_silent(c))
		return true;
	LIST_FOREACH (k, &c->children, link) {
		if (k->only_auth)
			return true;
		LIST_FOREACH (s, &k->sas, link) {
			if (is_on_rung3(s))
				return true;
		}
	}
	return false;
}

void conn_beside_later(struct tunnel_conn *c, nsec_t now)
{
	nsec_t wait;

	if (c->beside || deadline_is_set(&c->rung3) || !conn_can_call(c) || c->tunnel->closing)
		return;
	if (c->called)
		wait = 0; /* the next of the peer's addresses */
	else if (c->beside_failures)
		wait = conn_backoff(c, c->beside_failures);
	else
		wait = rng_below(c->tunnel->rng, RUNG3_DELAY + 1);
	deadline_set(&c->tunnel->deadlines, &c->rung3, now + wait);
}

void conn_ask_missing(struct tunnel_child *k, nsec_t at)
{
	if (k->conn->beside)
		conn_ask_missing_on(k, k->conn->beside, at);
}

/* The IKE SA of a CHILD SA that is on rung 3, if the connection still has it, or NULL. */
static struct ike_sa *mended_on(const struct tunnel_conn *c)
{
	const struct tunnel_child *k;
	const struct tunnel_sa *s;

	LIST_FOREACH (k, &c->children, link) {
		LIST_FOREACH (s, &k->sas, link) {
			if (is_on_rung3(s) && s->ike && ike_sa_owner(child_sa_ike(s->ike)) == c)
				return child_sa_ike(s->ike);
		}
	}
	return NULL;
}

/*
 * The peer called while we still waited for an answer on the older IKE SA, and its new one is up:
 * it becomes that of rung 3. A call of ours would make another one, and each side might end a
 * different one.
 */
static bool has_come_beside(struct tunnel_conn *c, nsec_t now)
{
	struct ike_sa *old = mended_on(c), *sa = c->sa;

	if (!old || old == sa || ike_sa_state(sa) != IKE_STATE_ESTABLISHED ||
	    ike_sa_established(sa) < ike_sa_established(old) ||
	    now - ike_sa_last_heard(sa) > HEARD_LATELY)
		return false;
	c->beside = sa;
	c->sa = old;
	conn_maybe_take_over(c, now);
	return true;
}

void conn_beside(struct deadline *d, nsec_t now)
{
	struct tunnel_conn *c = container_of(d, struct tunnel_conn, rung3);
	struct tunnel_child *k;

	if (c->beside || !conn_is_mending(c))
		return;
	if (!c->sa) {
		conn_connect(c, now);
		return;
	}
	if (!c->called)
		addresses_anew_at(c, c->sa);
	if (!has_come_beside(c, now))
		c->beside = conn_initiate(c, true, now);
	if (!c->beside) {
		addresses_anew(c); /* no address was called: the back-off comes first */
		c->beside_failures++;
		conn_beside_later(c, now);
		return;
	}
	LIST_FOREACH (k, &c->children, link) {
		if (k->only_auth)
			ike_begin_with_child(c->beside);
		conn_ask_missing_on(k, c->beside, now);
	}
}

/*
 * A call of ours that the peer has not answered is not needed. Once IKE_AUTH is out the peer may
 * have it, with a child that it sends on: then it goes on.
 */
static void give_up_call(struct tunnel_conn *c, struct ike_sa *ours, const char *why, nsec_t now)
{
	if (!ours || ike_sa_state(ours) != IKE_STATE_INIT_SENT)
		return;
	if (c->sa == ours)
		c->sa = NULL;
	else
		c->beside = NULL; /* crossing is NULL: a call that crosses gives this one up */
	ike_sa_set_owner(ours, NULL);
	conn_unask(c, ours);
	ike_sa_drop(ours, why, now);
}

static bool has_all_children(const struct tunnel_conn *c, const struct ike_sa *sa)
{
	const struct tunnel_child *k;
	const struct tunnel_sa *s;

	LIST_FOREACH (k, &c->children, link) {
		if ((k->asked_on || (tunnel_child_is_wanted(k) && k->current)) &&
		    !conn_uses_child(k, sa, NULL))
			return false;
		LIST_FOREACH (s, &k->sas, link) {
			if (!s->retired && s->ike && child_sa_ike(s->ike) != sa &&
			    !conn_uses_child(k, sa, s))
				return false;
		}
	}
	return true;
}

void conn_maybe_take_over(struct tunnel_conn *c, nsec_t now)
{
	if (c->beside || deadline_is_set(&c->rung3))
		deadline_set(&c->tunnel->deadlines, &c->takeover, now);
}

/* Where the message window is stuck, the DELETE goes out when the peer answers, if it ever does. */
static void end_other(struct tunnel_conn *c, const struct ike_sa *keep, struct ike_sa *sa,
		      nsec_t now)
{
	if (!sa || sa == keep || ike_sa_owner(sa) != c || ike_sa_state(sa) != IKE_STATE_ESTABLISHED)
		return;
	ike_sa_set_owner(sa, NULL);
	conn_unask(c, sa);
	if (c->silent == sa)
		c->silent = NULL;
	ike_sa_delete(sa, now);
}

struct ike_sa *conn_which_call(const struct tunnel_conn *c)
{
	struct ike_sa *theirs = c->crossing, *ours = c->beside;

	return theirs && ike_sa_state(theirs) == IKE_STATE_ESTABLISHED &&
			       ike_sa_spi_i(theirs) > ike_sa_spi_i(ours)
		       ? theirs
		       : ours;
}

bool conn_peer_has(const struct ike_sa *sa)
{
	return ike_sa_is_initiator(sa) || ike_sa_last_heard(sa) > ike_sa_established(sa) ||
	       tunnel_last_inbound(NULL, sa) > ike_sa_established(sa);
}

/*
 * The new IKE SA cannot take over yet. What it lacks is asked for again every TAKEOVER_LOOK,
 * however often this is called.
 */
static void take_over_later(struct tunnel_conn *c, struct ike_sa *sa, nsec_t now)
{
	struct tunnel_child *k;

	if (now - c->missing_asked >= TAKEOVER_LOOK) {
		c->missing_asked = now;
		LIST_FOREACH (k, &c->children, link)
			conn_ask_missing_on(k, sa, max_u64(now, k->not_before));
	}
	deadline_set(&c->tunnel->deadlines, &c->takeover, c->missing_asked + TAKEOVER_LOOK);
}

void conn_take_over(struct deadline *d, nsec_t now)
{
	struct tunnel_conn *c = container_of(d, struct tunnel_conn, takeover);
	struct ike_sa *old = c->sa, *sa = c->beside, *o;

	if (!conn_is_mending(c) && (!sa || ike_sa_state(sa) != IKE_STATE_ESTABLISHED)) {
		deadline_clear(&c->tunnel->deadlines, &c->rung3);
		addresses_anew(c);
		give_up_call(c, sa, "no longer needed: the old IKE SA answers again", now);
		return;
	}
	if (!sa || ike_sa_state(sa) != IKE_STATE_ESTABLISHED)
		return;
	sa = conn_which_call(c);
	if (!conn_peer_has(sa))
		ike_liveness(sa, 0, now);
	if (!has_all_children(c, sa) || !conn_peer_has(sa)) {
		take_over_later(c, sa, now);
		return;
	}
	o = c->beside;
	c->sa = sa;
	c->beside = c->crossing = NULL;
	c->beside_failures = 0;
	addresses_look(c, now);
	backup_up(c, now);
	end_other(c, sa, old, now);
	end_other(c, sa, o, now);
	/* And all others with this peer, which may have made some meanwhile. */
	for (o = ike_first_sa_at(c->tunnel->ike, &ike_sa_remote(sa)->addr); o;
	     o = ike_next_sa_at(o))
		end_other(c, sa, o, now);
	/* The one that stays may need rung 3 by now. */
	if (conn_is_mending(c))
		conn_beside_later(c, now);
}

void conn_ask_no_more(struct tunnel_conn *c, struct ike_sa *ours)
{
	struct tunnel_child *k;

	LIST_FOREACH (k, &c->children, link)
		ike_child_cancel(ours, k->conf);
	conn_unask(c, ours);
}

void conn_on_call(struct tunnel_conn *c, struct ike_sa *sa, nsec_t now)
{
	give_up_call(c, c->sa, "the peer's call came first", now);
	give_up_call(c, c->beside, "the peer's call came first", now);
	if (c->sa && conn_is_mending(c) && !(c->beside && ike_sa_is_initiator(c->beside))) {
		deadline_clear(&c->tunnel->deadlines, &c->rung3);
		c->beside = sa;
		return;
	}
	c->sa = sa;
	c->crossing = c->beside && ike_sa_is_initiator(c->beside) ? sa : NULL;
}
