/*
 * conn.c - connections: up, beside (rung 3), and up again (rung 4). SPDX-License-Identifier: ISC
 */
#include "tunnel.h"
#include "sa/half_open.h"
#include "xalloc.h"

#define BACKOFF_MIN   (1 * NSEC_PER_SEC)
#define BACKOFF_MAX   (60 * NSEC_PER_SEC)
#define MEND_DELAY    (2 * NSEC_PER_SEC)
#define TAKEOVER_LOOK (2 * NSEC_PER_SEC)
#define HEARD_LATELY  (5 * NSEC_PER_SEC) /* an IKE SA on which it was lives */
#define RUNG3_DELAY   (2 * NSEC_PER_SEC) /* thousands of tunnels do not come at once */

static void retry_due(struct deadline *d, nsec_t now)
{
	struct tun_conn *c = container_of(d, struct tun_conn, retry);

	if (conn_is_over(c))
		conn_remove(c);
	else
		conn_mend(c, now);
}

struct tun_conn *conn_new(struct tunnel *t, struct conn_conf *conf)
{
	struct tun_conn *c = xzalloc(sizeof(*c));

	c->tunnel = t;
	c->conf = conn_ref(conf);
	c->retry.due = retry_due;
	c->rung3.due = conn_beside;
	c->takeover.due = conn_take_over;
	c->tidy.due = conn_tidy;
	LIST_INIT(&c->children);
	LIST_INSERT_HEAD(&t->conns, c, link);
	return c;
}

/* There may be more than `sa` and `beside`: the loser of two calls at once, those being replaced.
 */
void conn_disown(struct tun_conn *c, bool end, nsec_t now)
{
	struct ike_sa *sa, *tmp;

	HASH_ITER (hh, c->tunnel->ike->sas, sa, tmp) {
		if (sa->owner != c)
			continue;
		sa->owner = NULL;
		conn_unask(c, sa);
		if (end)
			ike_sa_delete(sa, now);
	}
	c->sa = c->beside = c->crossing = NULL;
}

void conn_free(struct tun_conn *c)
{
	deadline_clear(&c->tunnel->deadlines, &c->retry);
	deadline_clear(&c->tunnel->deadlines, &c->rung3);
	deadline_clear(&c->tunnel->deadlines, &c->takeover);
	deadline_clear(&c->tunnel->deadlines, &c->tidy);
	LIST_REMOVE(c, link);
	conn_unref(c->conf);
	free(c);
}

void conn_remove(struct tun_conn *c)
{
	struct tun_child *k;

	if (c->tunnel->ike)
		conn_disown(c, false, c->tunnel->now);
	while ((k = LIST_FIRST(&c->children)))
		tun_child_remove(k);
	conn_free(c);
}

struct ike_sa *conn_established(const struct tun_conn *c)
{
	return c->sa && c->sa->state == IKE_STATE_ESTABLISHED ? c->sa : NULL;
}

const struct ident *conn_peer(const struct tun_conn *c)
{
	return c->peer_id.type != ID_NONE ? &c->peer_id : &c->conf->remote_id;
}

bool conn_wanted(const struct tun_conn *c)
{
	const struct tun_child *k;

	LIST_FOREACH (k, &c->children, link) {
		if (k->wanted)
			return true;
	}
	return false;
}

/*
 * A NAT in front of the peer lets nobody in who was not called. Whoever forces UDP encapsulation
 * looks as if it were behind one: a port that was translated tells the two apart.
 */
static bool behind_nat(const struct ike_sa *sa)
{
	return sa->peer_natted && sa->remote.port != IKE_PORT && sa->remote.port != IKE_PORT_NATT;
}

bool conn_can_call(const struct tun_conn *c)
{
	return c->conf->remote_count > 0 || (!c->sa && c->calls_back) ||
	       (c->sa && c->sa->established && !behind_nat(c->sa));
}

static struct ike_sa *initiate(struct tun_conn *c, bool beside, nsec_t now)
{
	struct endpoint local = {.port = IKE_PORT}, remote;
	struct ike_sa *sa;

	if (!conn_can_call(c) || c->tunnel->closing)
		return NULL;
	if (c->conf->local_count)
		local = c->conf->local[0];
	if (c->conf->remote_count) {
		remote = c->conf->remote[c->next_remote % c->conf->remote_count];
	} else {
		/* Who only answers calls back to where the peer was last heard. */
		local = c->sa ? c->sa->local : c->last_local;
		remote = c->sa ? c->sa->remote : c->last_remote;
	}
	sa = ike_initiate(c->tunnel->ike, c->conf, &local, &remote, c->dynamic ? &c->peer_id : NULL,
			  beside, now);
	if (sa)
		sa->owner = c;
	return sa;
}

/* The SA carries packets, or did when its recovery began. */
static bool needs_successor(const struct tun_sa *s)
{
	if (s->ending)
		return false;
	return s->retired || s->kept ? s->recovery.state == RECOVERY_RUNNING : s->active && s->ike;
}

static void ask_on(struct tun_child *k, struct ike_sa *sa, const struct ts *first, nsec_t at)
{
	if (ike_child_create(sa, k->conf, first, at))
		k->asked_on = sa;
}

static bool is_on_rung3(const struct tun_sa *s)
{
	return s->recovery.state == RECOVERY_RUNNING && s->recovery.now.rung >= 3;
}

bool conn_is_mending(const struct tun_conn *c)
{
	const struct tun_child *k;
	const struct tun_sa *s;

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

/*
 * An SA of the child on this IKE SA that admits all that s admits; without s: any. Rather one that
 * we send on. NULL: there is none.
 */
static const struct tun_sa *find_sa(const struct tun_child *k, const struct ike_sa *sa,
				    const struct tun_sa *s)
{
	const struct tun_sa *o, *found = NULL;

	LIST_FOREACH (o, &k->sas, link) {
		if (o->ike && o->ike->ike_sa == sa && !o->retired && (!s || tun_sa_covers(o, s)) &&
		    (!found || o->active))
			found = o;
	}
	return found;
}

static bool has_child(const struct tun_child *k, const struct ike_sa *sa, const struct tun_sa *s)
{
	return find_sa(k, sa, s) != NULL;
}

/* And it does not wait until the peer is known to have it. */
static bool uses_child(const struct tun_child *k, const struct ike_sa *sa, const struct tun_sa *s)
{
	const struct tun_sa *o = find_sa(k, sa, s);

	return o && (o->active || !deadline_is_set(&o->move));
}

/*
 * Asks on the new IKE SA for what it has not yet of the child: what is wanted, and each SA that it
 * is to replace. Whoever took over may know none of them.
 */
static void ask_missing(struct tun_child *k, struct ike_sa *sa, nsec_t at)
{
	struct tun_sa *s;

	LIST_FOREACH (s, &k->sas, link) {
		if (needs_successor(s) && !has_child(k, sa, s) &&
		    ike_child_create_like(sa, k->conf, s->local, s->remote, at))
			k->asked_on = sa;
	}
	if ((k->wanted || k->asked_on) && k->asked_on != sa && !has_child(k, sa, NULL))
		ask_on(k, sa, NULL, at);
}

void conn_connect(struct tun_conn *c, nsec_t now)
{
	struct tun_child *k;

	deadline_clear(&c->tunnel->deadlines, &c->retry);
	if (!c->sa)
		c->sa = initiate(c, false, now);
	if (!c->sa) {
		conn_retry_later(c, "no IKE SA can be made now", now);
		return;
	}
	LIST_FOREACH (k, &c->children, link) {
		if (!k->asked_on && (!k->current || tunnel_child_is_kept(k)))
			ask_missing(k, c->sa, now);
	}
}

void conn_ask(struct tun_child *k, const struct ts *first, nsec_t at, nsec_t now)
{
	struct tun_conn *c = k->conn;

	if (k->asked_on || k->current || c->tunnel->closing)
		return;
	if (!c->sa)
		c->sa = initiate(c, false, now);
	if (c->sa)
		ask_on(k, c->sa, first, at);
}

/* Somebody wants it up, or rung 3 is to bring something. */
static bool is_needed(const struct tun_conn *c)
{
	return conn_wanted(c) || conn_is_mending(c);
}

void conn_mend(struct tun_conn *c, nsec_t now)
{
	if (is_needed(c))
		conn_connect(c, now);
}

void conn_unask(struct tun_conn *c, const struct ike_sa *sa)
{
	struct tun_child *k;
	struct tun_sa *s;

	LIST_FOREACH (k, &c->children, link) {
		if (k->asked_on == sa)
			k->asked_on = NULL;
		LIST_FOREACH (s, &k->sas, link) {
			if (s->check_on == sa)
				s->check = CRITERION_NONE;
		}
	}
}

/* 1, 2, 4, ... s after so many failures in a row, up to a minute; half of it is random. */
static nsec_t backoff(const struct tun_conn *c, unsigned failures)
{
	nsec_t wait = BACKOFF_MIN;

	for (unsigned i = 1; i < failures && wait < BACKOFF_MAX; i++)
		wait *= 2;
	wait = min_u64(wait, BACKOFF_MAX);
	return wait / 2 + rng_below(c->tunnel->rng, wait / 2 + 1);
}

void conn_retry_later(struct tun_conn *c, const char *why, nsec_t now)
{
	nsec_t wait;

	/* Who only answers calls back when a recovery asks for it, by conn_mend. */
	if (c->conf->remote_count == 0 || c->tunnel->closing)
		return;
	wait = backoff(c, c->failures);
	/* The first packet after an orderly end starts it at once; after a failure it waits. */
	c->not_before = c->failures ? now + wait : 0;
	c->failures++;
	c->next_remote++;
	if (!conn_wanted(c))
		return;
	log_info(c->tunnel->log, "%s: %s; next try in %.1f s", c->conf->name, why,
		 (double)wait / NSEC_PER_SEC);
	deadline_set(&c->tunnel->deadlines, &c->retry, now + wait);
}

void conn_beside_later(struct tun_conn *c, nsec_t now)
{
	nsec_t wait;

	if (c->beside || deadline_is_set(&c->rung3) || !conn_can_call(c))
		return;
	wait = c->beside_failures ? backoff(c, c->beside_failures)
				  : rng_below(c->tunnel->rng, RUNG3_DELAY + 1);
	deadline_set(&c->tunnel->deadlines, &c->rung3, now + wait);
}

void conn_ask_missing(struct tun_child *k, nsec_t at)
{
	if (k->conn->beside)
		ask_missing(k, k->conn->beside, at);
}

/* The IKE SA of one that is on rung 3, if the connection still has it, or NULL. */
static struct ike_sa *mended_on(const struct tun_conn *c)
{
	const struct tun_child *k;
	const struct tun_sa *s;

	LIST_FOREACH (k, &c->children, link) {
		LIST_FOREACH (s, &k->sas, link) {
			if (is_on_rung3(s) && s->ike && s->ike->ike_sa->owner == c)
				return s->ike->ike_sa;
		}
	}
	return NULL;
}

/*
 * The peer called while we still waited for an answer on the older IKE SA, and its new one is
 * there: that is what rung 3 makes. A call of ours would be another one, and each side might end
 * one.
 */
static bool has_come_beside(struct tun_conn *c, nsec_t now)
{
	struct ike_sa *old = mended_on(c), *sa = c->sa;

	if (!old || old == sa || sa->state != IKE_STATE_ESTABLISHED ||
	    sa->established < old->established || now - sa->last_heard > HEARD_LATELY)
		return false;
	c->beside = sa;
	c->sa = old;
	conn_maybe_take_over(c, now);
	return true;
}

void conn_beside(struct deadline *d, nsec_t now)
{
	struct tun_conn *c = container_of(d, struct tun_conn, rung3);
	struct tun_child *k;

	if (c->beside || !conn_is_mending(c))
		return;
	if (!c->sa) {
		conn_connect(c, now);
		return;
	}
	if (!has_come_beside(c, now))
		c->beside = initiate(c, true, now);
	if (!c->beside) {
		c->beside_failures++;
		conn_beside_later(c, now);
		return;
	}
	LIST_FOREACH (k, &c->children, link)
		ask_missing(k, c->beside, now);
}

/* A CHILD SA is asked for on this IKE SA. */
static bool is_asked(const struct tun_conn *c, const struct ike_sa *sa)
{
	const struct tun_child *k;

	LIST_FOREACH (k, &c->children, link) {
		if (k->asked_on == sa)
			return true;
	}
	return false;
}

/*
 * When both sides began anew at once, one IKE SA too many is left: it goes with its last child, if
 * no other is on its way there.
 */
void conn_drop_spare(struct tun_conn *c, struct ike_sa *sa, nsec_t now)
{
	if (sa != c->sa && sa != c->beside && sa->owner == c && LIST_EMPTY(&sa->children) &&
	    sa->state == IKE_STATE_ESTABLISHED && !sa->unresolved && !is_asked(c, sa))
		ike_sa_delete(sa, now);
}

/*
 * A call of ours that the peer has not answered is not needed. Once IKE_AUTH is out the peer may
 * have it, with a child that it sends on: then it goes on.
 */
static void give_up_call(struct tun_conn *c, struct ike_sa *ours, const char *why, nsec_t now)
{
	if (!ours || ours->state != IKE_STATE_INIT_SENT)
		return;
	if (c->sa == ours)
		c->sa = NULL;
	else
		c->beside = NULL; /* and none has crossed it: that gives it up */
	ours->owner = NULL;
	conn_unask(c, ours);
	ike_sa_drop(ours, why, now);
}

static bool has_all_children(const struct tun_conn *c, const struct ike_sa *sa)
{
	const struct tun_child *k;
	const struct tun_sa *s;

	LIST_FOREACH (k, &c->children, link) {
		if ((k->asked_on || (k->wanted && k->current)) && !uses_child(k, sa, NULL))
			return false;
		LIST_FOREACH (s, &k->sas, link) {
			if (!s->retired && s->ike && s->ike->ike_sa != sa && !uses_child(k, sa, s))
				return false;
		}
	}
	return true;
}

void conn_maybe_take_over(struct tun_conn *c, nsec_t now)
{
	if (c->beside || deadline_is_set(&c->rung3))
		deadline_set(&c->tunnel->deadlines, &c->takeover, now);
}

/* Where the message window is stuck, the DELETE goes out when the peer answers, if it ever does. */
static void end_other(struct tun_conn *c, const struct ike_sa *keep, struct ike_sa *sa, nsec_t now)
{
	if (!sa || sa == keep || sa->owner != c || sa->state != IKE_STATE_ESTABLISHED)
		return;
	sa->owner = NULL;
	conn_unask(c, sa);
	ike_sa_delete(sa, now);
}

struct ike_sa *conn_which_call(const struct tun_conn *c)
{
	struct ike_sa *theirs = c->crossing, *ours = c->beside;

	return theirs && theirs->state == IKE_STATE_ESTABLISHED && theirs->spi_i > ours->spi_i
		       ? theirs
		       : ours;
}

bool conn_peer_has(const struct ike_sa *sa)
{
	return sa->initiator || sa->last_heard > sa->established ||
	       tun_last_inbound(NULL, sa) > sa->established;
}

/*
 * The new IKE SA is not all that the older one is yet. What is missing is asked for again every
 * TAKEOVER_LOOK, however often this is called.
 */
static void take_over_later(struct tun_conn *c, struct ike_sa *sa, nsec_t now)
{
	struct tun_child *k;

	if (now - c->missing_asked >= TAKEOVER_LOOK) {
		c->missing_asked = now;
		LIST_FOREACH (k, &c->children, link)
			ask_missing(k, sa, max_u64(now, k->not_before));
	}
	deadline_set(&c->tunnel->deadlines, &c->takeover, c->missing_asked + TAKEOVER_LOOK);
}

void conn_take_over(struct deadline *d, nsec_t now)
{
	struct tun_conn *c = container_of(d, struct tun_conn, takeover);
	struct ike_sa *old = c->sa, *sa = c->beside, *o;

	if (!conn_is_mending(c) && (!sa || sa->state != IKE_STATE_ESTABLISHED)) {
		deadline_clear(&c->tunnel->deadlines, &c->rung3);
		give_up_call(c, sa, "the first request was answered after all", now);
		return;
	}
	if (!sa || sa->state != IKE_STATE_ESTABLISHED)
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
	end_other(c, sa, old, now);
	end_other(c, sa, o, now);
	/* And what the peer has made meanwhile, as we did. */
	for (o = addr_index_first(c->tunnel->ike, &sa->remote.addr); o;
	     o = LIST_NEXT(o, address_link))
		end_other(c, sa, o, now);
	/* What stays may need another one by now. */
	if (conn_is_mending(c))
		conn_beside_later(c, now);
}

struct tun_conn *conn_of_peer(struct tunnel *t, const struct ike_sa *sa)
{
	bool anyone = sa->conn->remote_any || ident_is_pattern(&sa->conn->remote_id);
	struct tun_conn *c, *found = NULL;

	LIST_FOREACH (c, &t->conns, link) {
		if (c->conf == sa->conn &&
		    (anyone ? c->dynamic && ident_eq(&c->peer_id, &sa->peer_id) : !c->dynamic))
			found = c;
	}
	if (found || !anyone)
		return found;
	c = conn_new(t, sa->conn);
	c->dynamic = true;
	c->peer_id = sa->peer_id;
	return c;
}

/*
 * Of two calls that crossed ours is the one that goes: what is asked for on it and not out yet
 * would have the peer send on SAs that we are about to end.
 */
static void ask_no_more(struct tun_conn *c, struct ike_sa *ours)
{
	struct tun_child *k;

	LIST_FOREACH (k, &c->children, link)
		ike_child_cancel(ours, k->conf);
	conn_unask(c, ours);
}

/*
 * The peer's new IKE SA beside an older one becomes the one that we ask on. Where rung 3 is waiting
 * to make one, it is that.
 */
static void on_call(struct tun_conn *c, struct ike_sa *sa, nsec_t now)
{
	give_up_call(c, c->sa, "the peer's call came first", now);
	give_up_call(c, c->beside, "the peer's call came first", now);
	if (c->sa && conn_is_mending(c) && !(c->beside && c->beside->initiator)) {
		deadline_clear(&c->tunnel->deadlines, &c->rung3);
		c->beside = sa;
		return;
	}
	c->sa = sa;
	c->crossing = c->beside && c->beside->initiator ? sa : NULL;
}

static void on_up(struct tunnel *t, struct ike_sa *sa, nsec_t now)
{
	struct tun_conn *c = sa->owner;
	bool called = !c; /* neither one of ours nor the successor of one: REKEYED tells of that */

	if (!c) {
		c = conn_of_peer(t, sa);
		if (!c)
			return;
		sa->owner = c;
	}
	c->failures = 0;
	c->peer_id = sa->peer_id;
	deadline_clear(&t->deadlines, &c->retry);
	t->ops.event(t->ops.ctx, TUNNEL_EVENT_CONN, c, NULL, "IKE SA established");
	if (called && c->sa != sa)
		on_call(c, sa, now);
	/* Our own call went on while the peer's came up, took its place, and went again. */
	if (!c->sa)
		c->sa = sa;
	if (sa == c->beside && conn_which_call(c) != sa)
		ask_no_more(c, sa);
	conn_tidy_spare(c, now);
	conn_maybe_take_over(c, now);
	/* What is wanted and does not come with it, from either side, is asked for later. */
	if (is_needed(c))
		deadline_set(&t->deadlines, &c->retry, now + MEND_DELAY);
}

static struct ike_sa *another_sa(const struct tun_conn *c, const struct ike_sa *gone)
{
	const struct tun_child *k;
	const struct tun_sa *s;
	struct ike_sa *sa;

	LIST_FOREACH (k, &c->children, link) {
		LIST_FOREACH (s, &k->sas, link) {
			if (s->ike && s->ike->ike_sa != gone &&
			    s->ike->ike_sa->state == IKE_STATE_ESTABLISHED)
				return s->ike->ike_sa;
		}
	}
	for (sa = addr_index_first(c->tunnel->ike, &gone->remote.addr); sa;
	     sa = LIST_NEXT(sa, address_link)) {
		if (sa != gone && sa->owner == c && sa->state == IKE_STATE_ESTABLISHED)
			return sa;
	}
	return NULL;
}

bool conn_is_over(const struct tun_conn *c)
{
	const struct tun_child *k;

	if (!c->dynamic || c->sa || c->beside)
		return false;
	LIST_FOREACH (k, &c->children, link) {
		if (!LIST_EMPTY(&k->sas))
			return false;
	}
	return true;
}

void conn_free_if_dynamic(struct tun_conn *c)
{
	/* The sweep of the next turn takes it; children may still be in use up the stack. */
	if (conn_is_over(c))
		deadline_set(&c->tunnel->deadlines, &c->retry, c->tunnel->now);
}

/*
 * A connection of %any has nobody to call once its last IKE SA is gone: what would tell of a
 * switchover leads nowhere, and the connection is not to wait for it.
 */
static void end_retired_of_dynamic(struct tun_conn *c, nsec_t now)
{
	struct tun_child *k;
	struct tun_sa *s;

	if (!c->dynamic || c->sa || c->beside)
		return;
	LIST_FOREACH (k, &c->children, link) {
		LIST_FOREACH (s, &k->sas, link) {
			if (s->retired && s->condensed)
				deadline_set(&c->tunnel->deadlines, &s->end, now);
		}
	}
}

static void on_down(struct tun_conn *c, struct ike_sa *sa, const char *why, nsec_t now)
{
	struct tun_child *k;
	bool was_beside = c->beside == sa, was_main = c->sa == sa;

	conn_unask(c, sa);
	if (was_main && sa->established) {
		c->calls_back = !behind_nat(sa);
		c->last_local = sa->local;
		c->last_remote = sa->remote;
	}
	if (was_beside)
		c->beside = NULL;
	if (was_beside || c->crossing == sa)
		c->crossing = NULL;
	if (was_main) {
		c->sa = c->beside;
		c->beside = NULL;
		if (!c->sa)
			c->sa = another_sa(c, sa);
	}
	if (!was_beside && !was_main) {
		if (is_needed(c) && !deadline_is_set(&c->retry))
			deadline_set(&c->tunnel->deadlines, &c->retry, now + MEND_DELAY);
		return;
	}
	c->tunnel->ops.event(c->tunnel->ops.ctx, TUNNEL_EVENT_CONN, c, NULL, why);
	LIST_FOREACH (k, &c->children, link) {
		if (was_beside || !c->sa)
			recovery_failed(k, why, now);
	}
	if (was_beside && c->sa && conn_is_mending(c)) {
		c->beside_failures++;
		conn_beside_later(c, now);
	}
	if (!c->sa)
		conn_retry_later(c, why, now);
	else if (is_needed(c))
		deadline_set(&c->tunnel->deadlines, &c->retry, now + MEND_DELAY);
	conn_tidy_spare(c, now);
	end_retired_of_dynamic(c, now);
	conn_free_if_dynamic(c);
}

/* The ESP SAs of the IKE SA go where it goes. */
static void conn_moved(struct tun_conn *c, const struct ike_sa *sa)
{
	struct tun_child *k;
	struct tun_sa *s;

	LIST_FOREACH (k, &c->children, link) {
		LIST_FOREACH (s, &k->sas, link) {
			struct esp_sa *e = s->ike && s->ike->ike_sa == sa ? tun_sa_esp(s) : NULL;

			if (e)
				e->out.dest.remote = sa->remote;
		}
	}
}

/* What waits for an answer on the old IKE SA waits on the new one, if that is to tell of it. */
static void follow_rekey(struct tun_child *k, const struct ike_sa *from, struct ike_sa *to)
{
	struct tun_sa *s;

	if (k->asked_on == from)
		k->asked_on = to;
	LIST_FOREACH (s, &k->sas, link) {
		if (s->check_on == from && to->watch_answer)
			s->check_on = to;
	}
}

void conn_on_ike_event(struct tunnel *t, struct ike_sa *sa, enum ike_sa_event e,
		       struct ike_sa *other, const char *why, nsec_t now)
{
	struct tun_conn *c = sa->owner;
	struct tun_child *k;

	if (e == IKE_EVENT_UP) {
		on_up(t, sa, now);
		return;
	}
	if (!c)
		return;
	switch (e) {
	case IKE_EVENT_REKEYED:
		other->owner = c;
		if (c->sa == sa)
			c->sa = other;
		if (c->beside == sa || c->crossing == sa)
			c->crossing = NULL; /* their SPIs do not tell any more */
		if (c->beside == sa)
			c->beside = other;
		LIST_FOREACH (k, &c->children, link)
			follow_rekey(k, sa, other);
		break;
	case IKE_EVENT_DOWN: on_down(c, sa, why, now); break;
	case IKE_EVENT_LATE:
		LIST_FOREACH (k, &c->children, link)
			recovery_late(k, sa, why, now);
		break;
	case IKE_EVENT_WENT_BACK:
		LIST_FOREACH (k, &c->children, link)
			recovery_ike_back(k, sa, now);
		break;
	case IKE_EVENT_ANSWERED:
		LIST_FOREACH (k, &c->children, link)
			recovery_answered(k, sa, now);
		break;
	case IKE_EVENT_MOVED: conn_moved(c, sa); break;
	case IKE_EVENT_UP: break;
	}
}
