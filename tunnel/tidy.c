/*
 * tidy.c - ends one of two SAs that do the same (doc/recovery.md 5). SPDX-License-Identifier: ISC
 *
 * Calls or requests of both sides that cross, or an answer that was lost for long, can leave two
 * IKE SAs, or two CHILD SAs with the same selectors. They work, but both would be rekeyed for ever.
 * When nothing has been recovered for a while, one of the two is deleted. Both sides choose the
 * same one, and one side waits longer: so they do not end one each, which would leave none.
 */
#include "beside.h"
#include "child.h"
#include "conn.h"
#include "tidy.h"
#include "tunnel_sa.h"

#define OURS	    (10 * NSEC_PER_SEC)
#define THEIRS	    (30 * NSEC_PER_SEC)
#define LOOK	    NSEC_PER_SEC
#define CROSSED	    (5 * NSEC_PER_SEC) /* a first message, retransmitted, may take this long */
#define MERGE_AGAIN (60 * NSEC_PER_SEC)
#define WAIT_MAX    (3600 * NSEC_PER_SEC) /* with a peer that makes another one each time */

static bool is_in_use(const struct tunnel_sa *s)
{
	return s->active && !s->retired && !s->ending && s->ike &&
	       child_sa_state(s->ike) != CHILD_STATE_DELETING;
}

/* a is live. With unique = "never", each IKE SA has its own. */
static bool are_twins(const struct tunnel_sa *a, const struct tunnel_sa *b)
{
	return a != b && is_in_use(b) && tunnel_sa_covers(a, b) && tunnel_sa_covers(b, a) &&
	       (a->child->conn->conf->unique != UNIQUE_NEVER ||
		child_sa_ike(a->ike) == child_sa_ike(b->ike));
}

struct tunnel_sa *tunnel_sa_twin(const struct tunnel_sa *s)
{
	struct tunnel_sa *o;

	if (!is_in_use(s))
		return NULL;
	LIST_FOREACH (o, &s->child->sas, link) {
		if (are_twins(s, o))
			return o;
	}
	return NULL;
}

/* Neither side is about to change it, and the peer has it. */
static bool is_settled(const struct tunnel_sa *s)
{
	return child_sa_state(s->ike) == CHILD_STATE_INSTALLED && !child_sa_is_replaced(s->ike) &&
	       child_sa_confirmed(s->ike) &&
	       ike_sa_state(child_sa_ike(s->ike)) == IKE_STATE_ESTABLISHED &&
	       s->recovery.state == RECOVERY_IDLE && s->check == CRITERION_NONE;
}

/* The call of a began when b was up, as both sides saw it. */
static bool is_later_call(const struct ike_sa *a, const struct ike_sa *b)
{
	return ike_sa_began(a) > ike_sa_called(b) + CROSSED;
}

/*
 * Of two IKE SAs the one of the later call stays: one side may have made it in the stead of the
 * other; with unique = "keep" it is that of the earlier one. When each was rekeyed does not count,
 * as the answer to that may be late. Of two calls that may have crossed, the one with the higher
 * initiator's SPI stays, as in conn_which_call.
 */
static bool is_better_ike(const struct ike_sa *a, const struct ike_sa *b)
{
	bool keep = ike_sa_conn(a)->unique == UNIQUE_KEEP;

	if (is_later_call(a, b))
		return !keep;
	if (is_later_call(b, a))
		return keep;
	return ike_sa_spi_i(a) > ike_sa_spi_i(b);
}

static uint64_t both_spis(const struct tunnel_sa *s)
{
	return (uint64_t)max_u64(s->spi, s->spi_out) << 32 | min_u64(s->spi, s->spi_out);
}

static bool is_better(const struct tunnel_sa *a, const struct tunnel_sa *b)
{
	if (child_sa_ike(a->ike) != child_sa_ike(b->ike))
		return is_better_ike(child_sa_ike(a->ike), child_sa_ike(b->ike));
	return both_spis(a) > both_spis(b);
}

/* The initiator of the IKE SA that stays goes first. Each further time both wait twice as long. */
static bool is_our_turn(const struct tunnel_conn *c, const struct ike_sa *stays, nsec_t now)
{
	nsec_t wait = ike_sa_is_initiator(stays) ? OURS : THEIRS;

	return now - c->untidy_since >= min_u64(wait << min_u64(c->tidied, 16), WAIT_MAX);
}

static void count_tidied(struct tunnel_conn *c, nsec_t now)
{
	c->tidied = now - c->tidied_at < 2 * WAIT_MAX ? c->tidied + 1 : 1;
	c->tidied_at = now;
}

enum state { DONE, WAITING, UNSETTLED };

/* Ends one of two with the same selectors, if it may go yet. */
static enum state tidy_pair(struct tunnel_sa *a, struct tunnel_sa *b, nsec_t now)
{
	struct tunnel_sa *stays = is_better(a, b) ? a : b, *goes = stays == a ? b : a;
	struct tunnel_child *k = a->child;

	if (!is_settled(a) || !is_settled(b))
		return UNSETTLED;
	if (!is_our_turn(k->conn, child_sa_ike(stays->ike), now))
		return WAITING;
	tunnel_log(k, TUNNEL_EVENT_CHILD, LOG_LEVEL_INFO,
		   "two CHILD SAs for this child: deleting SPI %08x", goes->spi);
	ike_child_delete(goes->ike, now);
	tunnel_sa_retire(goes, stays, now);
	return DONE;
}

/* The worst state of all pairs; *ret_ended: an SA was ended. */
static enum state tidy_children(struct tunnel_conn *c, nsec_t now, bool *ret_ended)
{
	enum state worst = DONE, one;
	struct tunnel_child *k;
	struct tunnel_sa *s;

	LIST_FOREACH (k, &c->children, link) {
		LIST_FOREACH (s, &k->sas, link) {
			struct tunnel_sa *twin = tunnel_sa_twin(s);

			if (!twin)
				continue;
			one = tidy_pair(s, twin, now);
			*ret_ended |= one == DONE;
			worst = one > worst ? one : worst;
		}
	}
	return worst;
}

/*
 * It does the same as another one of the connection, apart from rung 3 (beside.c) and from the
 * collision of two rekeys.
 */
static bool is_one_of_many(const struct tunnel_conn *c, const struct ike_sa *sa)
{
	return ike_sa_owner(sa) == c && sa != c->beside && sa != c->crossing &&
	       ike_sa_state(sa) == IKE_STATE_ESTABLISHED && !ike_sa_unresolved(sa);
}

bool conn_has_spare(const struct tunnel_conn *c)
{
	const struct ike_sa *sa;

	if (!c->sa || c->conf->unique == UNIQUE_NEVER || !is_one_of_many(c, c->sa))
		return false;
	for (sa = ike_first_sa(c->tunnel->ike); sa; sa = ike_next_sa(sa)) {
		if (sa != c->sa && is_one_of_many(c, sa))
			return true;
	}
	return false;
}

/* The IKE SA that stays. The connection has more than one. */
static struct ike_sa *best_ike(const struct tunnel_conn *c)
{
	struct ike_sa *sa, *best = NULL;

	for (sa = ike_first_sa(c->tunnel->ike); sa; sa = ike_next_sa(sa)) {
		if (is_one_of_many(c, sa) && (!best || is_better_ike(sa, best)))
			best = sa;
	}
	return best;
}

/*
 * Asks on the IKE SA that stays for what only the others carry: it is a twin of that then, which
 * goes. A peer that refuses is asked again after a minute, and after twice as long each time.
 */
static void merge_onto(struct tunnel_conn *c, struct ike_sa *stays, nsec_t now)
{
	struct tunnel_child *k;
	struct tunnel_sa *s;
	bool asked = false;

	if (c->merged_at && now - c->merged_at < MERGE_AGAIN << min_u64(c->merges, 6))
		return;
	LIST_FOREACH (k, &c->children, link) {
		LIST_FOREACH (s, &k->sas, link) {
			if (!is_in_use(s) || child_sa_ike(s->ike) == stays ||
			    conn_uses_child(k, stays, s))
				continue;
			if (!ike_child_create_like(stays, k->conf, s->local, s->remote, now))
				continue;
			k->asked_on = k->asked_on ? k->asked_on : stays;
			asked = true;
		}
	}
	if (!asked)
		return;
	log_info(c->tunnel->log, "%s: two IKE SAs: what %016llx lacks is asked for on it",
		 c->conf->name, (unsigned long long)ike_sa_spi_i(stays));
	c->merged_at = now;
	c->merges++;
}

/* One of two IKE SAs goes when it has no children any more; until then the other one gets them. */
static enum state tidy_ike(struct tunnel_conn *c, nsec_t now)
{
	struct ike_sa *sa, *next, *stays = conn_has_spare(c) ? best_ike(c) : NULL;

	/* It stays only if the peer has it: a call that it has forgotten may be the better one. */
	if (stays &&
	    max_u64(ike_sa_last_heard(stays), tunnel_last_inbound(NULL, stays)) < c->untidy_since) {
		ike_liveness(stays, 0, now);
		return WAITING;
	}
	if (stays && is_our_turn(c, stays, now))
		merge_onto(c, stays, now);

	for (sa = ike_first_sa(c->tunnel->ike); sa; sa = ike_next_sa(sa)) {
		if (ike_sa_owner(sa) == c && c->sa && sa != c->sa &&
		    ike_sa_state(sa) == IKE_STATE_ESTABLISHED && !ike_first_child(c->sa) &&
		    (ike_first_child(sa) || is_better_ike(sa, c->sa)))
			c->sa = sa;
	}
	for (sa = ike_first_sa(c->tunnel->ike); sa; sa = next) {
		next = ike_next_sa(sa);
		if (ike_sa_owner(sa) == c && c->sa && is_our_turn(c, c->sa, now))
			conn_drop_spare(c, sa, now);
	}
	return conn_has_spare(c) ? WAITING : DONE;
}

static void look_again(struct tunnel_conn *c, nsec_t now)
{
	deadline_set(&c->tunnel->deadlines, &c->tidy, now + LOOK);
}

void conn_tidy_later(struct tunnel_conn *c, nsec_t now)
{
	if (deadline_is_set(&c->tidy))
		return;
	c->untidy_since = now;
	look_again(c, now);
}

void conn_tidy_spare(struct tunnel_conn *c, nsec_t now)
{
	if (conn_has_spare(c))
		conn_tidy_later(c, now);
}

void conn_tidy(struct deadline *d, nsec_t now)
{
	struct tunnel_conn *c = container_of(d, struct tunnel_conn, tidy);
	enum state children = UNSETTLED, ike = DONE;
	bool ended = false;

	if (!c->beside && !conn_is_mending(c)) {
		children = tidy_children(c, now, &ended);
		ike = tidy_ike(c, now);
	}
	if (ended)
		count_tidied(c, now);
	if (children == UNSETTLED)
		c->untidy_since = now;
	if (children != DONE || ike != DONE)
		look_again(c, now);
}
