/*
 * conn.c - connections to peers, and what happens to them when their IKE SAs come and go.
 * SPDX-License-Identifier: ISC
 */
#include "addresses.h"
#include "backup.h"
#include "beside.h"
#include "child.h"
#include "conn.h"
#include "pool.h"
#include "recovery.h"
#include "problem.h"
#include "refusal.h"
#include "tidy.h"
#include "tunnel_sa.h"
#include "xalloc.h"

#define BACKOFF_MIN (1 * NSEC_PER_SEC)
#define BACKOFF_MAX (60 * NSEC_PER_SEC)
#define MEND_DELAY  (2 * NSEC_PER_SEC)

static void retry_due(struct deadline *d, nsec_t now)
{
	struct tunnel_conn *c = container_of(d, struct tunnel_conn, retry);

	if (conn_is_over(c))
		conn_remove(c);
	else
		conn_mend(c, now);
}

struct tunnel_conn *conn_new(struct tunnel *t, const struct conn_conf *conf)
{
	struct tunnel_conn *c = xzalloc(sizeof(*c));

	c->tunnel = t;
	c->conf = conn_ref(conf);
	c->child_at = xreallocarray(NULL, conf->child_count + 1u, sizeof(struct tunnel_child *));
	memset(c->child_at, 0, (conf->child_count + 1u) * sizeof(struct tunnel_child *));
	c->retry.due = retry_due;
	c->rung3.due = conn_beside;
	c->takeover.due = conn_take_over;
	c->tidy.due = conn_tidy;
	c->call.due = addresses_call_due;
	c->failback.due = addresses_failback;
	c->trusted.due = backup_trusted;
	LIST_INIT(&c->children);
	LIST_INSERT_HEAD(&t->conns, c, link);
	return c;
}

/* There may be more than `sa` and `beside`: the loser of two calls at once, those being replaced.
 */
void conn_disown(struct tunnel_conn *c, bool end, nsec_t now)
{
	struct ike_sa *sa, *next;

	for (sa = ike_first_sa(c->tunnel->ike); sa; sa = next) {
		next = ike_next_sa(sa);
		if (ike_sa_owner(sa) != c)
			continue;
		ike_sa_set_owner(sa, NULL);
		conn_unask(c, sa);
		if (end)
			ike_sa_delete(sa, now);
	}
	c->sa = c->beside = c->crossing = NULL;
	c->silent = NULL;
}

static void conn_free(struct tunnel_conn *c)
{
	deadline_clear(&c->tunnel->deadlines, &c->retry);
	deadline_clear(&c->tunnel->deadlines, &c->rung3);
	deadline_clear(&c->tunnel->deadlines, &c->takeover);
	deadline_clear(&c->tunnel->deadlines, &c->tidy);
	deadline_clear(&c->tunnel->deadlines, &c->call);
	deadline_clear(&c->tunnel->deadlines, &c->failback);
	deadline_clear(&c->tunnel->deadlines, &c->trusted);
	LIST_REMOVE(c, link);
	if (!c->dynamic)
		HASH_DELETE(by_conf, c->tunnel->configured, c);
	free(c->child_at);
	conn_unref(c->conf);
	refusal_free(c->refusal);
	problem_free(c->problem);
	free(c);
}

void conn_remove(struct tunnel_conn *c)
{
	struct tunnel_child *k;

	if (c->tunnel->ike)
		conn_disown(c, false, c->tunnel->now);
	conn_assigned(c, NULL);
	while ((k = LIST_FIRST(&c->children)))
		tunnel_child_remove(k);
	conn_free(c);
}

struct ike_sa *conn_established(const struct tunnel_conn *c)
{
	return c->sa && ike_sa_state(c->sa) == IKE_STATE_ESTABLISHED ? c->sa : NULL;
}

bool conn_wanted(const struct tunnel_conn *c)
{
	const struct tunnel_child *k;

	LIST_FOREACH (k, &c->children, link) {
		if (tunnel_child_is_wanted(k))
			return true;
	}
	return false;
}

/*
 * A peer behind a NAT cannot be called. A peer that forces UDP encapsulation looks as if it were
 * behind one: a port that was translated tells the two apart.
 */
static bool behind_nat(const struct ike_sa *sa)
{
	uint16_t port = ike_sa_remote(sa)->port;

	return ike_sa_peer_natted(sa) && port != IKE_PORT && port != IKE_PORT_NATT &&
	       port != ike_sa_conn(sa)->remote_port;
}

/* It asks us for its address, which our own call would not give it. */
static bool has_to_ask(const struct tunnel_conn *c)
{
	if (!c->conf->pool_count)
		return false;
	for (unsigned i = 0; i < c->conf->child_count; i++) {
		if (ts_list_dynamic(c->conf->children[i].remote_ts))
			return true;
	}
	return false;
}

bool conn_can_call(const struct tunnel_conn *c)
{
	if (has_to_ask(c))
		return false;
	return conn_remote_count(c->conf) > 0 || (!c->sa && c->calls_back) ||
	       (c->sa && ike_sa_established(c->sa) && !behind_nat(c->sa));
}

/*
 * Where we call this address from; without an address the system chooses. To tell whether there is
 * a NAT (RFC 7296 2.23), we have to know which it will choose.
 */
static struct endpoint call_from(const struct tunnel_conn *c, const struct addr *remote)
{
	const struct tunnel_ops *ops = &c->tunnel->ops;
	const struct conn_conf *conf = c->conf;
	struct endpoint from = {.port = (uint16_t)conf->local_port};

	for (unsigned i = 0; i < conf->local_count; i++) {
		if (conf->local[i].addr.family == remote->family)
			return conf->local[i];
	}
	if (conf->encap != ENCAP_YES && ops->source)
		(void)ops->source(ops->ctx, remote, &from.addr);
	return from;
}

struct ike_sa *conn_initiate(struct tunnel_conn *c, bool beside, nsec_t now)
{
	struct endpoint local, remote;
	struct ike_sa *sa;

	if (!conn_can_call(c) || c->tunnel->closing)
		return NULL;
	if (conn_remote_count(c->conf)) {
		remote = *addresses_next(c);
		local = call_from(c, &remote.addr);
	} else {
		/* A connection that only responds initiates to where the peer was last heard. */
		local = c->sa ? *ike_sa_local(c->sa) : c->last_local;
		remote = c->sa ? *ike_sa_remote(c->sa) : c->last_remote;
	}
	sa = ike_initiate(c->tunnel->ike, c->conf, &local, &remote, c->dynamic ? &c->peer_id : NULL,
			  beside, now);
	(void)problem_look_for_way(c, &remote.addr, now);
	if (sa) {
		ike_sa_set_owner(sa, c);
		addresses_called(c, beside, now);
	}
	return sa;
}

/* The SA carries packets, or did when its recovery began. */
static bool needs_successor(const struct tunnel_sa *s)
{
	if (s->ending)
		return false;
	return s->retired || s->kept ? s->recovery.state == RECOVERY_RUNNING : s->active && s->ike;
}

static void ask_on(struct tunnel_child *k, struct ike_sa *sa, const struct ts *first, nsec_t at)
{
	if (ike_child_create(sa, k->conf, first, at))
		k->asked_on = sa;
}

/*
 * An SA of the child on this IKE SA that admits all that s admits; without s: any. One that packets
 * go out on is preferred. NULL: there is none.
 */
static const struct tunnel_sa *find_sa(const struct tunnel_child *k, const struct ike_sa *sa,
				       const struct tunnel_sa *s)
{
	const struct tunnel_sa *o, *found = NULL;

	LIST_FOREACH (o, &k->sas, link) {
		if (o->ike && child_sa_ike(o->ike) == sa && !o->retired &&
		    (!s || tunnel_sa_covers(o, s)) && (!found || o->active))
			found = o;
	}
	return found;
}

static bool has_child(const struct tunnel_child *k, const struct ike_sa *sa,
		      const struct tunnel_sa *s)
{
	return find_sa(k, sa, s) != NULL;
}

bool conn_uses_child(const struct tunnel_child *k, const struct ike_sa *sa,
		     const struct tunnel_sa *s)
{
	const struct tunnel_sa *o = find_sa(k, sa, s);

	return o && (o->active || !deadline_is_set(&o->move));
}

/* Its selectors follow from the IKE SA: those of the old one may not be right on the new one. */
static bool is_dynamic(const struct tunnel_child *k)
{
	return ts_list_dynamic(k->conf->local_ts) || ts_list_dynamic(k->conf->remote_ts);
}

static bool lacks_successor(const struct tunnel_child *k)
{
	const struct tunnel_sa *s;

	LIST_FOREACH (s, &k->sas, link) {
		if (needs_successor(s))
			return true;
	}
	return false;
}

void conn_ask_missing_on(struct tunnel_child *k, struct ike_sa *sa, nsec_t at)
{
	struct tunnel_sa *s;

	LIST_FOREACH (s, &k->sas, link) {
		if (needs_successor(s) && !is_dynamic(k) && !has_child(k, sa, s) &&
		    ike_child_create_like(sa, k->conf, s->local, s->remote, at))
			k->asked_on = sa;
	}
	if ((tunnel_child_is_wanted(k) || k->asked_on || (is_dynamic(k) && lacks_successor(k))) &&
	    k->asked_on != sa && !has_child(k, sa, NULL))
		ask_on(k, sa, NULL, at);
}

void conn_connect(struct tunnel_conn *c, nsec_t now)
{
	struct tunnel_child *k;

	deadline_clear(&c->tunnel->deadlines, &c->retry);
	if (!c->sa)
		c->sa = conn_initiate(c, false, now);
	if (!c->sa) {
		addresses_anew(c); /* no address was called */
		backup_in_vain(c, now);
		conn_retry_later(c, "an IKE SA cannot be initiated now", now);
		return;
	}
	LIST_FOREACH (k, &c->children, link) {
		if (!k->asked_on && (!k->current || tunnel_child_is_kept(k)))
			conn_ask_missing_on(k, c->sa, now);
	}
}

void conn_ask(struct tunnel_child *k, const struct ts *first, nsec_t at, nsec_t now)
{
	struct tunnel_conn *c = k->conn;

	if (k->asked_on || k->current || c->tunnel->closing)
		return;
	if (!c->sa)
		c->sa = conn_initiate(c, false, now);
	if (c->sa)
		ask_on(k, c->sa, first, at);
	else
		backup_in_vain(c, now);
}

/* A child is wanted, or rung 3 is needed. */
static bool is_needed(const struct tunnel_conn *c)
{
	return conn_wanted(c) || conn_is_mending(c);
}

void conn_mend(struct tunnel_conn *c, nsec_t now)
{
	if (is_needed(c))
		conn_connect(c, now);
}

void conn_unask(struct tunnel_conn *c, const struct ike_sa *sa)
{
	struct ike_sa *other = c->sa != sa ? c->sa : NULL;
	struct tunnel_child *k;
	struct tunnel_sa *s;

	LIST_FOREACH (k, &c->children, link) {
		/* A request for it may still be queued on c->sa, and is waited for. */
		if (k->asked_on == sa)
			k->asked_on = other && ike_child_is_asked(other, k->conf) ? other : NULL;
		LIST_FOREACH (s, &k->sas, link) {
			if (s->check_on == sa)
				s->check = CRITERION_NONE;
		}
	}
}

nsec_t conn_backoff(const struct tunnel_conn *c, unsigned failures)
{
	nsec_t wait = BACKOFF_MIN;

	for (unsigned i = 1; i < failures && wait < BACKOFF_MAX; i++)
		wait *= 2;
	wait = min_u64(wait, BACKOFF_MAX);
	return wait / 2 + rng_below(c->tunnel->rng, wait / 2 + 1);
}

void conn_retry_later(struct tunnel_conn *c, const char *why, nsec_t now)
{
	char a[ENDPOINT_STRLEN];
	nsec_t wait = 0;

	/* A connection that only responds initiates when a recovery needs it (conn_mend). */
	if (conn_remote_count(c->conf) == 0 || c->tunnel->closing)
		return;
	if (c->called) {
		c->not_before = now;
	} else {
		wait = conn_backoff(c, c->failures);
		/* The first packet after an orderly end starts it at once; after a failure it
		 * waits. */
		c->not_before = c->failures ? now + wait : 0;
		c->failures++;
		problem_of_end(c, why, now);
	}
	if (!conn_wanted(c))
		return;
	log_info(c->tunnel->log, "%s: %s; calling %s in %.1f s", c->conf->name, why,
		 endpoint_format(addresses_next(c), a), (double)wait / NSEC_PER_SEC);
	deadline_set(&c->tunnel->deadlines, &c->retry, now + wait);
}

/* A CHILD SA is asked for on this IKE SA. */
static bool is_asked(const struct tunnel_conn *c, const struct ike_sa *sa)
{
	const struct tunnel_child *k;

	LIST_FOREACH (k, &c->children, link) {
		if (k->asked_on == sa)
			return true;
	}
	return false;
}

/*
 * When both sides connected again at once, one IKE SA too many is left. It is deleted when its last
 * child is gone and no other is asked for on it.
 */
void conn_drop_spare(struct tunnel_conn *c, struct ike_sa *sa, nsec_t now)
{
	if (sa != c->sa && sa != c->beside && ike_sa_owner(sa) == c && !ike_first_child(sa) &&
	    ike_sa_state(sa) == IKE_STATE_ESTABLISHED && !ike_sa_unresolved(sa) && !is_asked(c, sa))
		ike_sa_delete(sa, now);
}

struct tunnel_conn *conn_of_peer(struct tunnel *t, const struct ike_sa *sa)
{
	struct tunnel_conn *c, *found = NULL;

	if (!conn_is_for_anyone(ike_sa_conn(sa)))
		return conn_static(t, ike_sa_conn(sa));
	LIST_FOREACH (c, &t->conns, link) {
		if (c->conf == ike_sa_conn(sa) && c->dynamic &&
		    ident_eq(&c->peer_id, ike_sa_peer_id(sa)))
			found = c;
	}
	if (found)
		return found;
	c = conn_new(t, ike_sa_conn(sa));
	c->dynamic = true;
	c->peer_id = *ike_sa_peer_id(sa);
	return c;
}

static void on_up(struct tunnel *t, struct ike_sa *sa, nsec_t now)
{
	struct tunnel_conn *c = ike_sa_owner(sa);
	bool called = !c; /* by the peer: ours, and successors of others, have an owner */

	if (!c) {
		c = conn_of_peer(t, sa);
		if (!c)
			return;
		ike_sa_set_owner(sa, c);
	}
	c->failures = 0;
	problem_over(c->problem, now);
	problem_of_conf_over(t, c->conf, now);
	c->peer_id = *ike_sa_peer_id(sa);
	conn_assigned_up(c, sa);
	deadline_clear(&t->deadlines, &c->retry);
	t->ops.event(t->ops.ctx, TUNNEL_EVENT_CONN, c, NULL, "IKE SA established");
	if (called && c->sa != sa)
		conn_on_call(c, sa, now);
	/* The peer's call took the place of this one of ours, and is gone again. */
	if (!c->sa)
		c->sa = sa;
	addresses_anew(c);
	addresses_look(c, now);
	if (sa == c->sa)
		backup_up(c, now);
	if (sa == c->beside && conn_which_call(c) != sa)
		conn_ask_no_more(c, sa);
	conn_tidy_spare(c, now);
	conn_maybe_take_over(c, now);
	/* What is wanted and does not come with it, from either side, is asked for later. */
	if (is_needed(c))
		deadline_set(&t->deadlines, &c->retry, now + MEND_DELAY);
}

static struct ike_sa *another_sa(const struct tunnel_conn *c, const struct ike_sa *gone)
{
	const struct tunnel_child *k;
	const struct tunnel_sa *s;
	struct ike_sa *sa;

	LIST_FOREACH (k, &c->children, link) {
		LIST_FOREACH (s, &k->sas, link) {
			if (s->ike && child_sa_ike(s->ike) != gone &&
			    ike_sa_state(child_sa_ike(s->ike)) == IKE_STATE_ESTABLISHED)
				return child_sa_ike(s->ike);
		}
	}
	for (sa = ike_first_sa_at(c->tunnel->ike, &ike_sa_remote(gone)->addr); sa;
	     sa = ike_next_sa_at(sa)) {
		if (sa != gone && ike_sa_owner(sa) == c &&
		    ike_sa_state(sa) == IKE_STATE_ESTABLISHED)
			return sa;
	}
	return NULL;
}

bool conn_is_over(const struct tunnel_conn *c)
{
	const struct tunnel_child *k;

	if (!c->dynamic || c->sa || c->beside)
		return false;
	LIST_FOREACH (k, &c->children, link) {
		if (!LIST_EMPTY(&k->sas))
			return false;
	}
	return true;
}

void conn_free_if_dynamic(struct tunnel_conn *c)
{
	/* It is not freed here: callers may still be using its children. */
	if (conn_is_over(c))
		deadline_set(&c->tunnel->deadlines, &c->retry, c->tunnel->now);
}

/*
 * Once the last IKE SA of a dynamic connection is gone, packets on its RETIRED SAs start no
 * recovery (hint_retired_heard needs a live SA): they end now, so that the connection need not stay
 * for them.
 */
static void end_retired_of_dynamic(struct tunnel_conn *c, nsec_t now)
{
	struct tunnel_child *k;
	struct tunnel_sa *s;

	if (!c->dynamic || c->sa || c->beside)
		return;
	LIST_FOREACH (k, &c->children, link) {
		LIST_FOREACH (s, &k->sas, link) {
			if (s->retired && s->condensed)
				deadline_set(&c->tunnel->deadlines, &s->end, now);
		}
	}
}

/* Where the connection is called next, whose IKE SA is gone. */
static void another_address(struct tunnel_conn *c, const struct ike_sa *gone)
{
	if (ike_sa_established(gone) && !ike_sa_unanswered(gone)) {
		addresses_anew(c);
		return;
	}
	if (ike_sa_established(gone))
		addresses_anew_at(c, gone);
	(void)addresses_failed(c);
}

/* No IKE SA is up since this one is gone. Of calls in vain a whole pass counts. */
static void without_ike_sa(struct tunnel_conn *c, const struct ike_sa *gone, nsec_t now)
{
	if (ike_sa_established(gone))
		backup_lost(c, now);
	else if (!c->called)
		backup_in_vain(c, now);
}

/* Another IKE SA of the connection takes the place of one that is gone, if it has one. */
static void next_sa(struct tunnel_conn *c, const struct ike_sa *gone)
{
	if (ike_sa_established(gone)) {
		c->calls_back = !behind_nat(gone);
		c->last_local = *ike_sa_local(gone);
		c->last_remote = *ike_sa_remote(gone);
	}
	c->sa = c->beside;
	c->beside = NULL;
	if (!c->sa)
		c->sa = another_sa(c, gone);
}

static void on_down(struct tunnel_conn *c, struct ike_sa *sa, const char *why, nsec_t now)
{
	struct tunnel_child *k;
	bool was_beside = c->beside == sa, was_main = c->sa == sa;
	bool was_back = was_beside && addresses_going_back(c);

	conn_unask(c, sa);
	if (c->silent == sa)
		c->silent = NULL;
	if (was_beside)
		c->beside = NULL;
	if (was_back)
		addresses_failback_failed(c, now);
	if (was_beside || c->crossing == sa)
		c->crossing = NULL;
	if (was_main)
		next_sa(c, sa);
	if (!was_beside && !was_main) {
		if (is_needed(c) && !deadline_is_set(&c->retry))
			deadline_set(&c->tunnel->deadlines, &c->retry, now + MEND_DELAY);
		return;
	}
	c->tunnel->ops.event(c->tunnel->ops.ctx, TUNNEL_EVENT_CONN, c, NULL, why);
	LIST_FOREACH (k, &c->children, link) {
		/* A vain call to a better address is no failure of a recovery. */
		if ((was_beside && !was_back) || !c->sa)
			recovery_failed(k, why, now);
	}
	if (was_beside && c->sa && conn_is_mending(c)) {
		if (!was_back && !addresses_failed(c))
			c->beside_failures++;
		conn_beside_later(c, now);
	}
	if (!c->sa)
		another_address(c, sa);
	if (!conn_established(c))
		without_ike_sa(c, sa, now);
	else if (was_main)
		backup_up(c, now);
	if (conn_established(c)) /* another one has taken its place */
		problem_over(c->problem, now);
	if (!c->sa)
		conn_retry_later(c, why, now);
	else if (is_needed(c))
		deadline_set(&c->tunnel->deadlines, &c->retry, now + MEND_DELAY);
	addresses_look(c, now);
	conn_assigned_look(c);
	conn_tidy_spare(c, now);
	end_retired_of_dynamic(c, now);
	conn_free_if_dynamic(c);
}

/* The ESP SAs of the IKE SA send between the addresses that it has, in UDP or not as it says. */
static void conn_moved(struct tunnel_conn *c, const struct ike_sa *sa)
{
	struct tunnel_child *k;
	struct tunnel_sa *s;

	LIST_FOREACH (k, &c->children, link) {
		LIST_FOREACH (s, &k->sas, link) {
			struct esp_sa *e =
				s->ike && child_sa_ike(s->ike) == sa ? tunnel_sa_esp(s) : NULL;

			if (!e)
				continue;
			ike_sa_esp_ends(sa, &e->out.dest.local, &e->out.dest.remote);
		}
	}
	addresses_look(c, c->tunnel->now);
}

/* What waits for an answer on the old IKE SA waits on the new one, if one is to come there. */
static void follow_rekey(struct tunnel_child *k, const struct ike_sa *from, struct ike_sa *to)
{
	struct tunnel_sa *s;

	if (k->asked_on == from)
		k->asked_on = to;
	LIST_FOREACH (s, &k->sas, link) {
		if (s->check_on == from && ike_sa_watches_answer(to))
			s->check_on = to;
	}
}

/* The peer has not answered in time. Where there is another way, its answer decides. */
static void late(struct tunnel_conn *c, struct ike_sa *sa, nsec_t now)
{
	if (sa != c->sa || !tunnel_has_other_way(NULL, sa))
		return;
	(void)ike_hurry(sa, IKE_LATE_HINT, now);
	addresses_late(c, sa, now);
	backup_late(c, now);
}

void conn_on_ike_event(struct tunnel *t, struct ike_sa *sa, enum ike_sa_event e,
		       struct ike_sa *other, const char *why, nsec_t now)
{
	struct tunnel_conn *c = ike_sa_owner(sa);
	struct tunnel_child *k;

	if (e == IKE_EVENT_UP) {
		on_up(t, sa, now);
		return;
	}
	if (e == IKE_EVENT_DOWN)
		pool_release(t, sa);
	if (!c)
		return;
	switch (e) {
	case IKE_EVENT_REKEYED:
		ike_sa_set_owner(other, c);
		if (c->sa == sa)
			c->sa = other;
		if (c->silent == sa)
			c->silent = NULL;
		if (c->beside == sa || c->crossing == sa)
			c->crossing = NULL; /* their SPIs do not decide any more */
		if (c->beside == sa)
			c->beside = other;
		LIST_FOREACH (k, &c->children, link)
			follow_rekey(k, sa, other);
		backup_answered(c, other);
		conn_tidy_spare(c, now);
		break;
	case IKE_EVENT_DOWN: on_down(c, sa, why, now); break;
	case IKE_EVENT_LATE:
		if (host_move_late(c, sa, now)) {
			late(c, sa, now);
			break;
		}
		LIST_FOREACH (k, &c->children, link)
			recovery_late(k, sa, why, now);
		late(c, sa, now);
		break;
	case IKE_EVENT_WENT_BACK:
		LIST_FOREACH (k, &c->children, link)
			recovery_ike_back(k, sa, now);
		break;
	case IKE_EVENT_ANSWERED:
		LIST_FOREACH (k, &c->children, link)
			recovery_answered(k, sa, now);
		addresses_answered(c, sa, now);
		backup_answered(c, sa);
		break;
	case IKE_EVENT_MOVED:
		conn_moved(c, sa);
		conn_maybe_take_over(c, now);
		break;
	case IKE_EVENT_UP: break;
	}
}
