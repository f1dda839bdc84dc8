/*
 * child_events.c - the engine's reports of CHILD SAs (struct ike_ops).
 * SPDX-License-Identifier: ISC
 */
#include "backup.h"
#include "beside.h"
#include "child.h"
#include "conn.h"
#include "problem.h"
#include "recovery.h"
#include "tidy.h"
#include "tunnel_sa.h"

/* A child that the peer refused is asked for again after this. */
#define REFUSED_WAIT (10 * NSEC_PER_SEC)
/* For an answer that the peer's DELETE overtook; the peer delivers for some time, too. */
#define OVERTAKEN_WAIT (5 * NSEC_PER_SEC)

static void set_keys(struct tunnel_keys *to, const struct child_keys *keys, bool initiator)
{
	memcpy(to->enc_in, initiator ? keys->enc_r : keys->enc_i, SUITE_MAX_KEY);
	memcpy(to->integ_in, initiator ? keys->integ_r : keys->integ_i, SUITE_MAX_KEY);
	memcpy(to->enc_out, initiator ? keys->enc_i : keys->enc_r, SUITE_MAX_KEY);
	memcpy(to->integ_out, initiator ? keys->integ_i : keys->integ_r, SUITE_MAX_KEY);
}

int tunnel_child_install(void *ctx, struct child_sa *c, const struct child_keys *keys,
			 struct child_sa *replaces, nsec_t now)
{
	struct tunnel *t = ctx;
	struct tunnel_conn *conn = ike_sa_owner(child_sa_ike(c));
	struct tunnel_sa *s;
	int r;

	if (!conn)
		return -ENOENT;
	s = tunnel_sa_new(tunnel_child_of(conn, child_sa_conf(c)), child_sa_local(c),
			  child_sa_remote(c));
	s->ike = c;
	s->spi = child_sa_spi_in(c);
	s->spi_out = child_sa_spi_out(c);
	s->installed = now;
	s->expires = child_sa_conf(c)->life_time ? now + child_sa_conf(c)->life_time : NSEC_NEVER;
	s->replaces = replaces ? child_sa_owner(replaces) : NULL;
	set_keys(&s->keys, keys, child_sa_is_initiator(c));
	r = tunnel_sa_install(s, child_sa_choice(c)->suite, child_sa_choice(c)->esn,
			      child_sa_ike(c), now);
	if (r < 0)
		return r;
	child_sa_set_owner(c, s);
	if (t->ops.child_keys)
		t->ops.child_keys(t->ops.ctx, s);
	esp_installed(t->path, sad_ref(tunnel_sa_esp(s)));
	return 0;
}

/* Where nobody asks for another SA of the child any more, it may be asked for anew. */
static void look_who_asks(struct tunnel_child *k)
{
	if (k->asked_on && !ike_child_is_asked(k->asked_on, k->conf))
		k->asked_on = NULL;
}

static void child_up(struct tunnel_sa *s, nsec_t now)
{
	struct tunnel_child *k = s->child;
	char l[256], r[256], suite[96];

	look_who_asks(k);
	problem_over(k->problem, now);
	k->only_auth = false;
	k->trap.trap = true;
	tunnel_event(k, TUNNEL_EVENT_CHILD, LOG_LEVEL_INFO,
		     "CHILD SA up: SPI in %08x out %08x, %s, %s === %s%s", s->spi, s->spi_out,
		     choice_format(child_sa_choice(s->ike), suite, sizeof(suite)),
		     ts_list_format(s->policy.local, l, sizeof(l)),
		     ts_list_format(s->policy.remote, r, sizeof(r)),
		     s->replaces ? ", replaces another" : "");
	tunnel_sa_begin_to_use(s, now);
}

/*
 * The peer uses after all the SA that its void rekey made: those made in its stead go. One on
 * another IKE SA stays, as it is there to replace this one.
 */
static void replace_others(struct tunnel_sa *s, nsec_t now)
{
	struct tunnel_sa *o, *next;

	for (o = LIST_FIRST(&s->child->sas); o; o = next) {
		next = LIST_NEXT(o, link);
		if (o == s || o->retired || !o->ike ||
		    child_sa_ike(o->ike) != child_sa_ike(s->ike) || !tunnel_sa_covers(s, o))
			continue;
		ike_child_delete(o->ike, now);
		tunnel_sa_retire(o, s, now);
	}
}

/* Outbound packets move; if we requested the SA, a dummy packet tells the peer to move its own. */
static void child_confirmed(struct tunnel_sa *s, nsec_t now)
{
	struct tunnel *t = s->child->conn->tunnel;
	bool ours = child_sa_is_initiator(s->ike);

	if (s->retired) /* what was made in its stead stays */
		return;
	if (child_sa_voided(s->ike))
		replace_others(s, now);
	tunnel_sa_use(s, now);
	if (ours && s->active)
		t->ops.dummy(t->ops.ctx, tunnel_sa_esp(s));
}

/*
 * The newest SA that packets go out on and that admits all that the one that is gone did. If there
 * is none, packets move to one that was waiting to take its place: there is nothing else to send
 * on.
 */
static struct tunnel_sa *stand_in(struct tunnel_child *k, const struct tunnel_sa *gone, nsec_t now)
{
	struct tunnel_sa *s = tunnel_sa_substitute(gone);

	if (s)
		return s;
	LIST_FOREACH (s, &k->sas, link) {
		if (s != gone && tunnel_sa_waits(s) &&
		    (s->replaces == gone || tunnel_sa_covers(s, gone))) {
			tunnel_sa_activate(s, now);
			return s->active ? s : NULL;
		}
	}
	return NULL;
}

/*
 * Deletes SAs that rung 3 has replaced and whose successor is gone or void while they are not: the
 * peer may send on them for ever, and nothing is delivered from them.
 */
static void end_orphans(struct tunnel_child *k, nsec_t now)
{
	struct tunnel_sa *s;

	LIST_FOREACH (s, &k->sas, link) {
		if (s->retired && s->ike && !child_sa_is_replaced(s->ike) &&
		    !tunnel_sa_substitute(s))
			ike_child_delete(s->ike, now);
	}
}

/*
 * The peer has deleted it, and the answer to our rekey of it, which brings its successor, has been
 * overtaken: the peer still delivers what is on its way, and there is nothing else to send on.
 */
static bool is_overtaken(const struct tunnel_sa *s, const struct ike_sa *sa)
{
	return !s->retired && !s->ending && s->active && !s->child->conn->tunnel->closing &&
	       child_sa_state(s->ike) == CHILD_STATE_REKEYING &&
	       ike_child_rekey_is_out(sa, s->child->conf) &&
	       ike_sa_state(sa) == IKE_STATE_ESTABLISHED && ike_sa_owner(sa) == s->child->conn;
}

/* Its IKE SA ends as the peer is silent, and the SA is recovered from while packets come on it. */
static bool may_be_kept(const struct tunnel_sa *s, nsec_t now)
{
	return ike_sa_unanswered(child_sa_ike(s->ike)) && s->recovery.state == RECOVERY_RUNNING &&
	       now < tunnel_sa_kept_until(s) && !s->child->conn->tunnel->closing;
}

static void child_down(struct tunnel_sa *s, const char *why, nsec_t now)
{
	struct tunnel_child *k = s->child;
	struct ike_sa *sa = child_sa_ike(s->ike);
	struct tunnel_sa *by = stand_in(k, s, now);
	enum child_end end = child_sa_end(s->ike);
	bool ending = s->ending, overtaken = !by && is_overtaken(s, sa);
	bool keep = overtaken || (!by && may_be_kept(s, now));

	s->ike = NULL;
	look_who_asks(k);
	/* The answer to a rekey of ours that is out still brings its successor. */
	if (!k->asked_on && ike_sa_owner(sa) == k->conn &&
	    ike_sa_state(sa) == IKE_STATE_ESTABLISHED && ike_child_is_asked(sa, k->conf))
		k->asked_on = sa;
	if (k->current == s)
		k->current = tunnel_sa_newest(k);
	tunnel_event(k, TUNNEL_EVENT_CHILD, LOG_LEVEL_INFO,
		     "CHILD SA down: SPI in %08x out %08x: %s", s->spi, s->spi_out, why);
	if (s->retired) {
		tunnel_sa_drain(s, now);
		end_orphans(k, now);
		conn_drop_spare(k->conn, sa, now);
		return; /* its retirement goes on */
	}
	/* ESP came back and IKE did not: the bridge delivers on, until there is a successor. */
	if (keep) {
		s->kept = true;
		s->overtaken_until = overtaken ? now + OVERTAKEN_WAIT : 0;
		/* Perhaps the answer is not late but lost: the peer is asked for it again. */
		if (overtaken)
			ike_hurry(sa, OVERTAKEN_WAIT, now);
		deadline_set(&k->conn->tunnel->deadlines, &s->end, tunnel_sa_kept_until(s));
		end_orphans(k, now);
		return;
	}
	/* Its successor is up, or on its way. */
	if ((by || s->recovery.state == RECOVERY_RUNNING) && !k->conn->tunnel->closing)
		tunnel_sa_retire(s, by, now);
	else
		tunnel_sa_forget(s);
	end_orphans(k, now);
	if (!by && !ending)
		tunnel_child_ended(k, end);
	backup_child_lost(k);
	/* What is to be kept up and was ended by the peer comes up again. */
	if (tunnel_child_is_wanted(k) && !k->current && conn_established(k->conn))
		conn_ask(k, NULL, now + NSEC_PER_SEC, now);
	conn_drop_spare(k->conn, sa, now);
}

/* Outbound packets leave it at once, if there is another one. */
static void leave(struct tunnel_sa *s, nsec_t now)
{
	const struct tunnel_sa *by = s->active ? tunnel_sa_substitute(s) : NULL;

	if (by)
		tunnel_sa_retire(s, by, now);
}

void tunnel_child_event(void *ctx, struct child_sa *c, enum child_event e, const char *why,
			nsec_t now)
{
	struct tunnel_sa *s = child_sa_owner(c);
	struct tunnel_conn *conn;

	(void)ctx;
	if (!s)
		return;
	conn = s->child->conn;
	switch (e) {
	case CHILD_EVENT_UP: child_up(s, now); break;
	case CHILD_EVENT_CONFIRMED: child_confirmed(s, now); break;
	case CHILD_EVENT_LOST: hint_invalid_spi(s, now); break;
	case CHILD_EVENT_GOING: leave(s, now); break;
	case CHILD_EVENT_KEPT: end_orphans(s->child, now); break;
	case CHILD_EVENT_DOWN:
		child_down(s, why, now);
		conn_tidy_spare(conn, now);
		break;
	}
}

/* A request for the child was refused, for good or for now: it is asked for again later. */
static void ask_after_refusal(struct tunnel_child *k, struct ike_sa *sa, uint16_t notify,
			      nsec_t now)
{
	bool wanted;

	k->not_before = now + REFUSED_WAIT;
	backup_child_refused(k);
	wanted = !k->current && tunnel_child_is_wanted(k);
	if (sa == k->conn->beside)
		conn_ask_missing(k, k->not_before);
	else if (wanted && ike_child_create(sa, k->conf, NULL, k->not_before))
		k->asked_on = sa;
	/* Perhaps only IKE_AUTH can make it: it says nothing of a key exchange. */
	if (notify == NOTIFY_NO_PROPOSAL_CHOSEN && wanted &&
	    k->conn->conf->childless != CHILDLESS_FORCE) {
		k->only_auth = true;
		conn_beside_later(k->conn, now);
	}
}

void tunnel_child_result(void *ctx, struct ike_sa *sa, const struct child_conf *conf,
			 struct child_sa *child, enum ike_result r, uint16_t notify, nsec_t now)
{
	struct tunnel_conn *conn = ike_sa_owner(sa);
	struct tunnel_sa *s = child ? child_sa_owner(child) : NULL;
	struct tunnel_child *k;

	(void)ctx;
	k = conn ? conn_child_of(conn, conf) : NULL;
	if (!k)
		return;
	/* With NOT_FOUND the engine has asked for another one already. After a failed rekey
	 * another request may still be waiting. */
	if (r == IKE_RESULT_NOT_FOUND)
		k->asked_on = sa;
	else if (k->asked_on == sa && !ike_child_is_asked(sa, conf))
		k->asked_on = NULL;
	if (r != IKE_RESULT_OK && r != IKE_RESULT_NOT_FOUND && r != IKE_RESULT_SUPERSEDED)
		k->failures++;
	recovery_result(k, s, r, notify, now);
	conn_maybe_take_over(conn, now);
	/* Where the peer refuses a routine rekey, a new IKE SA replaces the SA before life_time. */
	if (r == IKE_RESULT_REFUSED && s && !s->retired && s->recovery.state == RECOVERY_IDLE)
		recovery_climb(s, CRITERION_REFUSED, "the peer refuses to rekey the CHILD SA", now);
	else if (r == IKE_RESULT_REFUSED || r == IKE_RESULT_TEMPORARY)
		ask_after_refusal(k, sa, notify, now);
	/* However it ended: what is to be kept up and is not there is asked for again. */
	if (tunnel_child_is_wanted(k) && !k->current && !k->asked_on)
		conn_ask(k, NULL, now + NSEC_PER_SEC, now);
	conn_drop_spare(conn, sa, now);
}
