/*
 * recovery.c - one inbound SA from evidence to its successor: gate, delay, ladder (doc/recovery.md
 * 4, 5). SPDX-License-Identifier: ISC
 *
 * Each inbound SA has a state of its own. In every state but IDLE its timer is set, and when that
 * is due an SA that is not replaced yet is looked at again: so no path leaves a CONFIRMED SA
 * without a request under way or a deadline that asks again.
 */
#include "beside.h"
#include "child.h"
#include "conn.h"
#include "recovery.h"

#include <stdio.h>

/* While the gate says in-progress it is asked again this often, besides the events that end it. */
#define LOOK_AGAIN (250 * NSEC_PER_MSEC)
/* A rekey that the peer asked for keeps ours back for this long at most. */
#define PEER_REKEY_LIMIT (5 * NSEC_PER_SEC)
/* How long the first FRESH packet on the new SA is awaited before the record is closed without it.
 */
#define AWAIT_FRESH (60 * NSEC_PER_SEC)
/* A ladder is looked at this often: is anything still under way? */
#define LADDER_LOOK (10 * NSEC_PER_SEC)
/* What looks like a third lap leaves this much of a back-off: a recorder can bring it about. */
#define THIRD_LAP_WAIT (1 * NSEC_PER_SEC)

const char *recovery_state_name(enum recovery_state s)
{
	static const char *const names[] = {"idle",    "pending", "refused",
					    "delayed", "running", "awaiting"};

	return names[s];
}

/* Nothing else writes a recovery's state. */
static void enter(struct tunnel_sa *s, enum recovery_state state, nsec_t until)
{
	struct deadline_heap *h = &s->child->conn->tunnel->deadlines;

	s->recovery.state = state;
	if (state == RECOVERY_IDLE)
		deadline_clear(h, &s->recovery.timer);
	else
		deadline_set(h, &s->recovery.timer, until);
}

/* What was admitted is not begun after all. */
static void give_back(struct tunnel_sa *s)
{
	gate_give_back(&s->child->gate, s->recovery.record.criterion, s->recovery.ticket);
	s->recovery.ticket = 0;
}

/* The recovery ends without having replaced the SA. */
static void drop(struct tunnel_sa *s, const char *outcome)
{
	if (s->recovery.state == RECOVERY_IDLE)
		return;
	if (s->recovery.state != RECOVERY_REFUSED)
		tunnel_event(s->child, TUNNEL_EVENT_RECOVERY, LOG_LEVEL_INFO,
			     "SPI %08x: recovery ended: %s", s->spi, outcome);
	if (s->recovery.state == RECOVERY_DELAYED)
		give_back(s);
	record_close(s, outcome);
	enter(s, RECOVERY_IDLE, 0);
}

static nsec_t late_after(enum criterion c)
{
	return criterion_is_proof(c) ? IKE_LATE_PROOF : IKE_LATE_HINT;
}

static void rung(struct tunnel_sa *s, uint8_t n)
{
	if (s->recovery.record.rung < n)
		s->recovery.record.rung = n;
}

/* The SA that a rekey of the peer's made for s, if nothing shows yet that it has our response. */
static struct tunnel_sa *peer_rekey(const struct tunnel_sa *s)
{
	struct tunnel_sa *n;

	LIST_FOREACH (n, &s->child->sas, link) {
		if (n->replaces == s && n->ike && !child_sa_confirmed(n->ike) &&
		    !child_sa_voided(n->ike))
			return n;
	}
	return NULL;
}

/* The SA is being rekeyed or deleted, or its IKE SA is. */
static bool is_going(const struct tunnel_sa *s)
{
	return child_sa_state(s->ike) != CHILD_STATE_INSTALLED ||
	       ike_sa_state(child_sa_ike(s->ike)) != IKE_STATE_ESTABLISHED;
}

static bool ours_under_way(const struct tunnel_sa *s)
{
	return is_going(s) || ike_sa_is_asking(child_sa_ike(s->ike));
}

/*
 * The peer has asked for a rekey, and nothing shows that it has our response. If that lasts, while
 * the old SA shows a rewind, the member that took over does not know of the new SA: it is void.
 */
static bool peer_is_rekeying(struct tunnel_sa *s, nsec_t now)
{
	struct tunnel_sa *made = peer_rekey(s);

	if (!made)
		return false;
	if (now - made->installed < PEER_REKEY_LIMIT)
		return true;
	tunnel_event(s->child, TUNNEL_EVENT_RECOVERY, LOG_LEVEL_WARNING,
		     "the peer never used its rekey of SPI %08x: the rekey is discarded", s->spi);
	ike_child_void(s->ike, made->ike, now);
	return false;
}

static void ask(struct tunnel_sa *s, nsec_t now);

/*
 * Rung 1; for a CHILD SA that the peer is known not to have, rung 2 at once. If either side has
 * begun to rekey or delete the SA during the delay, the gate is asked again.
 */
static void start(struct tunnel_sa *s, nsec_t now)
{
	struct recovery *r = &s->recovery;
	enum criterion c = r->record.criterion;

	if (s->retired || !s->ike) {
		drop(s, "superseded");
		return;
	}
	if (peer_is_rekeying(s, now) || is_going(s)) {
		give_back(s);
		ask(s, now);
		return;
	}
	enter(s, RECOVERY_RUNNING, now + LADDER_LOOK);
	r->record.request = now;
	s->child->recoveries++;
	tunnel_event(s->child, TUNNEL_EVENT_RECOVERY, LOG_LEVEL_WARNING,
		     "SPI %08x: switchover of the peer shown by %s: rekeying", s->spi,
		     criterion_name(c));
	/* An outstanding request goes before ours. */
	ike_hurry(child_sa_ike(s->ike), late_after(c), now);
	if (c == CRITERION_INVALID_SPI) {
		rung(s, 2);
		s->child->asked_on = child_sa_ike(s->ike);
		ike_child_replace(s->ike, late_after(c), now);
	} else {
		rung(s, 1);
		ike_child_rekey(s->ike, late_after(c), now);
	}
}

static void tell_quiet(struct tunnel_child *c, enum criterion criterion, const struct gate_reply *g,
		       nsec_t now)
{
	char t[32];

	if (!g->began)
		return;
	tunnel_event(
		c, TUNNEL_EVENT_EVIDENCE, LOG_LEVEL_WARNING,
		criterion_is_proof(criterion)
			? "proof again after %u rekeys, and none of them helped; do two senders "
			  "share the peer's SA? Quiet for %s"
			: "%u rekeys within the allowance: hints are ignored. Quiet for %s",
		c->options.max_rekeys,
		format_time((g->until - now) / NSEC_PER_SEC * NSEC_PER_SEC, t));
}

static void admitted(struct tunnel_sa *s, const struct gate_reply *g, nsec_t now)
{
	struct recovery *r = &s->recovery;
	bool at_once = r->record.criterion == CRITERION_NONCE_REUSE;
	nsec_t jitter = rng_below(s->child->conn->tunnel->rng, s->child->options.jitter + 1);

	r->admitted = true;
	r->ticket = g->ticket;
	r->backoff = g->backoff;
	r->record.delay = g->backoff + (at_once ? 0 : jitter);
	if (g->backoff)
		tunnel_event(
			s->child, TUNNEL_EVENT_EVIDENCE, LOG_LEVEL_WARNING,
			"%u switchovers within %.0f s, each mended: this one waits %.1f s; does "
			"the pair flap?",
			s->child->options.max_rekeys, (double)s->child->options.per / NSEC_PER_SEC,
			(double)g->backoff / NSEC_PER_SEC);
	enter(s, RECOVERY_DELAYED, now + r->record.delay);
	if (r->record.delay == 0)
		start(s, now);
}

/* Refusals of one quiet are one record, so that they do not push out those of real recoveries. */
static void refused(struct tunnel_sa *s, const struct gate_reply *g, nsec_t now)
{
	static const char quiet[] = "quiet";
	nsec_t since = g->until - min_u64(g->until, s->child->options.quiet);

	tell_quiet(s->child, s->recovery.record.criterion, g, now);
	if (record_again(s->child, s->recovery.record.criterion, quiet, since))
		s->recovery.record = (struct recovery_record){0};
	else
		record_close(s, quiet);
	enter(s, RECOVERY_REFUSED, g->until);
}

/* Asks the gate for the SA. A request under way takes over the short timers of the ladder. */
static void ask(struct tunnel_sa *s, nsec_t now)
{
	struct recovery *r = &s->recovery;
	struct tunnel_child *c = s->child;
	struct gate_facts f = {.superseded = s->retired || !s->ike,
			       .again = r->admitted,
			       .installed = s->installed};
	struct gate_reply g;

	if (!f.superseded)
		f.in_progress = peer_is_rekeying(s, now) || ours_under_way(s);
	g = gate_ask(&c->gate, &c->options, r->record.criterion, &f, now);
	if (r->state != RECOVERY_PENDING || g.answer != GATE_IN_PROGRESS)
		tunnel_log(c, TUNNEL_EVENT_EVIDENCE, LOG_LEVEL_INFO,
			   "SPI %08x: evidence by %s, gate: %s", s->spi,
			   criterion_name(r->record.criterion), gate_answer_name(g.answer));
	switch (g.answer) {
	case GATE_ADMITTED: admitted(s, &g, now); break;
	case GATE_IN_PROGRESS:
		ike_hurry(child_sa_ike(s->ike), late_after(r->record.criterion), now);
		if (!r->record.request && child_sa_state(s->ike) == CHILD_STATE_REKEYING)
			r->record.request = now;
		enter(s, RECOVERY_PENDING, now + LOOK_AGAIN);
		break;
	case GATE_QUIET: refused(s, &g, now); break;
	case GATE_DISABLED:
	case GATE_SUPERSEDED:
		record_close(s, gate_answer_name(g.answer));
		enter(s, RECOVERY_IDLE, 0);
		break;
	case GATE_ANSWERS: break;
	}
}

/*
 * Whether the criterion begins a recovery, or takes over one under way: a proof takes over from a
 * hint before rung 3, and a repeated nonce from whatever waits. After a refusal each one does.
 */
static bool takes_over(const struct recovery *r, enum criterion c)
{
	switch (r->state) {
	case RECOVERY_IDLE: return true;
	case RECOVERY_PENDING:
	case RECOVERY_DELAYED:
		return c != r->record.criterion &&
		       (c == CRITERION_NONCE_REUSE ||
			(criterion_is_proof(c) && !criterion_is_proof(r->record.criterion)));
	case RECOVERY_REFUSED: return true;
	case RECOVERY_RUNNING:
		return r->record.rung < 3 && criterion_is_proof(c) &&
		       !criterion_is_proof(r->record.criterion);
	case RECOVERY_AWAITING: return false;
	}
	return false;
}

/* A proof shortens the timers of what a hint has begun. */
static void outranked(struct tunnel_sa *s, enum criterion proof, nsec_t now)
{
	struct recovery_record *r = &s->recovery.record;

	r->criterion = proof;
	s->recovery.ticket = 0; /* the hint's allowance stays spent */
	if (s->ike)
		ike_hurry(child_sa_ike(s->ike), late_after(proof), now);
}

void recovery_confirmed(struct tunnel_sa *s, enum criterion criterion, nsec_t now)
{
	struct recovery *r = &s->recovery;

	if (s->retired || s->ending || !tunnel_sa_esp(s) || !takes_over(r, criterion))
		return;
	if (r->state == RECOVERY_RUNNING) {
		outranked(s, criterion, now);
		return;
	}
	if (r->state == RECOVERY_DELAYED)
		give_back(s);
	if (r->state == RECOVERY_IDLE)
		tunnel_event(
			s->child, TUNNEL_EVENT_EVIDENCE, LOG_LEVEL_WARNING,
			criterion_is_proof(criterion)
				? "SPI %08x: the peer's numbers went back (%s), window at %llu"
				: "SPI %08x: the peer seems to have lost state (%s), window at "
				  "%llu",
			s->spi, criterion_name(criterion),
			(unsigned long long)tunnel_sa_esp(s)->in.window.top);
	if (r->record.id)
		r->record.criterion = criterion;
	else
		record_open(s, criterion, now);
	ask(s, now);
}

void recovery_third_lap(struct tunnel_sa *s, nsec_t now)
{
	struct recovery *r = &s->recovery;
	nsec_t left = min_u64(r->backoff, THIRD_LAP_WAIT), at;

	if (r->state != RECOVERY_DELAYED)
		return;
	at = r->timer.at - (r->backoff - left);
	r->backoff = left;
	if (at <= now)
		start(s, now);
	else
		enter(s, RECOVERY_DELAYED, at);
}

/* Whether anything is under way that ends in another SA or in a result. */
static bool under_way(const struct tunnel_sa *s)
{
	const struct tunnel_conn *c = s->child->conn;

	return (s->ike && child_sa_state(s->ike) != CHILD_STATE_INSTALLED) || s->child->asked_on ||
	       c->beside || deadline_is_set(&c->rung3) || deadline_is_set(&c->retry) ||
	       (c->sa && ike_sa_state(c->sa) < IKE_STATE_ESTABLISHED);
}

/* Goes on with the ladder if anything is under way; otherwise the gate is asked again. */
static void look_at_ladder(struct tunnel_sa *s, nsec_t now)
{
	if (s->ike && !s->retired)
		(void)peer_is_rekeying(s, now); /* what is void is not under way */
	if (under_way(s) || s->kept) {
		enter(s, RECOVERY_RUNNING, now + LADDER_LOOK);
		if (!under_way(s))
			conn_mend(s->child->conn, now);
	} else if (s->retired) {
		drop(s, "ended without a successor");
		conn_mend(s->child->conn, now);
	} else {
		ask(s, now);
	}
}

bool recovery_is_stuck(const struct tunnel_sa *s, nsec_t now)
{
	const struct tunnel_conn *c = s->child->conn;

	return s->recovery.state == RECOVERY_RUNNING && s->recovery.timer.at == now + LADDER_LOOK &&
	       !under_way(s) && !s->ending && conn_established(c) && conn_can_call(c);
}

/* A pattern that a FRESH packet refuted while it waited is dropped; a proof stands. */
static bool is_withdrawn(const struct tunnel_sa *s)
{
	const struct esp_sa *sa = tunnel_sa_esp(s);
	enum criterion c = s->recovery.record.criterion;

	return (c == CRITERION_COUNT || c == CRITERION_TIME) && sa &&
	       sa->in.detector.state != DETECTOR_CONFIRMED;
}

/*
 * The criterion that still holds for the SA, where no new evidence may come: behind an open bridge
 * there is none, and with an exposed key nothing is a proof. NONE: all may start from zero.
 */
static enum criterion standing(const struct esp_sa *sa)
{
	if (sa->in.exposed)
		return CRITERION_NONCE_REUSE;
	return sa->in.bridge.open && sa->in.detector.state == DETECTOR_CONFIRMED
		       ? sa->in.detector.criterion
		       : CRITERION_NONE;
}

static void quiet_is_over(struct tunnel_sa *s, nsec_t now)
{
	struct esp_sa *sa = tunnel_sa_esp(s);

	enter(s, RECOVERY_IDLE, 0);
	if (sa && standing(sa) != CRITERION_NONE)
		recovery_confirmed(s, standing(sa), now);
	else if (sa)
		esp_sa_forget_evidence(sa);
}

void recovery_timer(struct deadline *d, nsec_t now)
{
	struct tunnel_sa *s = container_of(d, struct tunnel_sa, recovery.timer);

	switch (s->recovery.state) {
	case RECOVERY_IDLE: break;
	case RECOVERY_REFUSED: quiet_is_over(s, now); break;
	case RECOVERY_PENDING:
		if (is_withdrawn(s))
			drop(s, "withdrawn");
		else
			ask(s, now);
		break;
	case RECOVERY_DELAYED:
		if (is_withdrawn(s))
			drop(s, "withdrawn");
		else
			start(s, now);
		break;
	case RECOVERY_RUNNING: look_at_ladder(s, now); break;
	case RECOVERY_AWAITING:
		record_close(s, "recovered, no traffic seen");
		enter(s, RECOVERY_IDLE, 0);
		break;
	}
}

void recovery_look_again(struct tunnel_child *c, nsec_t now)
{
	struct tunnel_sa *s;

	LIST_FOREACH (s, &c->sas, link) {
		const struct esp_sa *sa = tunnel_sa_esp(s);
		enum criterion why;

		if (s->retired || s->ending || !sa)
			continue;
		why = sa->in.detector.state == DETECTOR_CONFIRMED ? sa->in.detector.criterion
								  : standing(sa);
		if (c->options.detect.mode == DETECT_OFF && s->recovery.state != RECOVERY_RUNNING)
			drop(s, "disabled");
		else if (why != CRITERION_NONE && (s->recovery.state == RECOVERY_IDLE ||
						   s->recovery.state == RECOVERY_REFUSED))
			recovery_confirmed(s, why, now);
		else if (s->recovery.state == RECOVERY_REFUSED)
			enter(s, RECOVERY_IDLE, 0);
		else if (s->recovery.state == RECOVERY_DELAYED)
			ask(s, now); /* by the options of now, without the earlier back-off */
	}
}

void recovery_climb(struct tunnel_sa *s, enum criterion criterion, const char *why, nsec_t now)
{
	struct tunnel_conn *conn = s->child->conn;

	if (s->recovery.state == RECOVERY_AWAITING || s->ending || !tunnel_sa_esp(s))
		return;
	if (s->recovery.state == RECOVERY_DELAYED)
		give_back(s);
	if (!s->recovery.record.id)
		record_open(s, criterion, now);
	if (s->recovery.state != RECOVERY_RUNNING) {
		s->child->recoveries += criterion != CRITERION_REFUSED;
		if (!s->recovery.record.request)
			s->recovery.record.request = now;
	}
	enter(s, RECOVERY_RUNNING, now + LADDER_LOOK);
	if (!conn_can_call(conn)) {
		tunnel_event(s->child, TUNNEL_EVENT_RECOVERY, LOG_LEVEL_WARNING,
			     "%s: the peer is behind a NAT: it must initiate a new IKE SA itself",
			     why);
		return;
	}
	if (s->recovery.record.rung < 3)
		tunnel_event(s->child, TUNNEL_EVENT_RECOVERY, LOG_LEVEL_WARNING,
			     "%s: a new IKE SA is made beside the old one", why);
	rung(s, 3);
	conn_beside_later(conn, now);
}

void recovery_result(struct tunnel_child *c, struct tunnel_sa *s, enum ike_result res,
		     uint16_t notify, nsec_t now)
{
	char why[96];
	struct tunnel_sa *o, *next;

	if (res == IKE_RESULT_OK || res == IKE_RESULT_GONE)
		return; /* recovery_replaced has seen it */
	if (res == IKE_RESULT_NOT_FOUND) {
		if (s && s->recovery.state == RECOVERY_RUNNING)
			rung(s, 2);
		tunnel_event(c, TUNNEL_EVENT_RECOVERY, LOG_LEVEL_WARNING,
			     "the peer does not know the CHILD SA: making another one");
		return;
	}
	/* Another SA came up instead, and replaced all that it covers. */
	if (!s && res == IKE_RESULT_SUPERSEDED)
		return;
	snprintf(why, sizeof(why), "the rekey was refused (%s)",
		 notify ? ike_notify_name(notify) : ike_result_name(res));
	/* Without an SA it is a result of rung 2, for all that the engine has forgotten. */
	for (o = LIST_FIRST(&c->sas); o; o = next) {
		next = LIST_NEXT(o, link);
		if (s ? o != s : o->ike != NULL)
			continue;
		if (o->recovery.state == RECOVERY_RUNNING && res != IKE_RESULT_SUPERSEDED) {
			recovery_climb(o, o->recovery.record.criterion, why, now);
			continue;
		}
		/* The peer's own rekey was faster: ours does not count as one that did not help. */
		if (o->recovery.state == RECOVERY_RUNNING)
			give_back(o);
		else if (o->recovery.state != RECOVERY_PENDING)
			continue;
		ask(o, now);
	}
}

void recovery_replaced(struct tunnel_sa *s, const struct tunnel_sa *by, nsec_t now)
{
	struct recovery *r = &s->recovery;

	switch (r->state) {
	case RECOVERY_IDLE:
	case RECOVERY_AWAITING: return;
	case RECOVERY_REFUSED: enter(s, RECOVERY_IDLE, 0); return;
	case RECOVERY_DELAYED: give_back(s); break;
	case RECOVERY_PENDING:
	case RECOVERY_RUNNING: break;
	}
	if (!by) {
		/* Rung 2 or 3 may still bring a successor. */
		if (r->state != RECOVERY_RUNNING)
			drop(s, "superseded");
		return;
	}
	rung(s, 1);
	/* A rekey that was answered after all, while a new IKE SA was on its way. */
	if (s->ike && by->ike && child_sa_ike(s->ike) == child_sa_ike(by->ike))
		r->record.rung = 1;
	r->record.response = now;
	r->record.new_spi = by->spi;
	if (tunnel_sa_esp(by)) /* it may have carried packets before */
		esp_sa_await_fresh(tunnel_sa_esp(by));
	enter(s, RECOVERY_AWAITING, now + AWAIT_FRESH);
	if (r->record.request)
		tunnel_event(s->child, TUNNEL_EVENT_RECOVERY, LOG_LEVEL_INFO,
			     "new SPI %08x is up, rung %u, %.1f ms after the request", by->spi,
			     r->record.rung, (double)(now - r->record.request) / NSEC_PER_MSEC);
	else
		tunnel_event(s->child, TUNNEL_EVENT_RECOVERY, LOG_LEVEL_INFO,
			     "new SPI %08x is up: another rekey was faster", by->spi);
}

void recovery_pass_on(const struct tunnel_sa *gone, const struct tunnel_sa *by)
{
	struct tunnel_sa *o;

	LIST_FOREACH (o, &gone->child->sas, link) {
		if (o->recovery.state != RECOVERY_AWAITING ||
		    o->recovery.record.new_spi != gone->spi || !tunnel_sa_esp(by))
			continue;
		o->recovery.record.new_spi = by->spi;
		esp_sa_await_fresh(tunnel_sa_esp(by));
	}
}

void recovery_forget(struct tunnel_sa *s)
{
	drop(s, "the CHILD SA is gone");
}

static void recovered(struct tunnel_sa *s, nsec_t now)
{
	struct recovery_record *r = &s->recovery.record;

	record_figures(s); /* for the log, before the record is closed */
	r->first_fresh = now;
	if (!r->outage_to)
		r->outage_to = now;
	gate_helped(&s->child->gate, r->criterion, s->recovery.ticket);
	tunnel_event(
		s->child, TUNNEL_EVENT_RECOVERY, LOG_LEVEL_INFO,
		"recovered by %s, rung %u: %llu packets lost, %llu bridged, %.1f ms from first "
		"evidence to first packet on the new SA",
		criterion_name(r->criterion), r->rung, (unsigned long long)r->lost,
		(unsigned long long)r->bridged, (double)(now - r->first_evidence) / NSEC_PER_MSEC);
	record_close(s, "recovered");
	enter(s, RECOVERY_IDLE, 0);
}

void recovery_sa_fresh(struct tunnel_sa *s, nsec_t now)
{
	struct tunnel_sa *o;

	LIST_FOREACH (o, &s->child->sas, link) {
		if (o->recovery.state == RECOVERY_AWAITING && o->recovery.record.new_spi == s->spi)
			recovered(o, now);
	}
}

/* ---- all SAs of a child ---- */

/* Whether news of the IKE SA is news for this SA, or for what was asked for in its place. */
static bool depends_on(const struct tunnel_sa *s, const struct ike_sa *sa)
{
	return (s->ike ? child_sa_ike(s->ike) : s->child->asked_on) == sa;
}

/* The liveness check on this IKE SA is over; returns why it was made. NONE: there was none. */
static enum criterion take_check(struct tunnel_sa *s, const struct ike_sa *sa)
{
	enum criterion why = s->check;

	if (s->check_on != sa)
		return CRITERION_NONE;
	s->check = CRITERION_NONE;
	return why;
}

void recovery_answered(struct tunnel_child *c, const struct ike_sa *sa, nsec_t now)
{
	struct tunnel_sa *s, *next;

	for (s = LIST_FIRST(&c->sas); s; s = next) {
		enum criterion why = take_check(s, sa);

		next = LIST_NEXT(s, link);
		/* The peer is alive, and yet nothing comes on this SA: it gets a new one. */
		if (why != CRITERION_NONE)
			recovery_confirmed(s, why, now);
		else if (s->recovery.state == RECOVERY_PENDING)
			ask(s, now);
	}
}

void recovery_late(struct tunnel_child *c, const struct ike_sa *sa, const char *why, nsec_t now)
{
	struct tunnel_sa *s;

	LIST_FOREACH (s, &c->sas, link) {
		enum criterion check = take_check(s, sa);
		bool waits = s->recovery.state == RECOVERY_RUNNING ||
			     s->recovery.state == RECOVERY_PENDING;

		if (waits && depends_on(s, sa))
			recovery_climb(s, s->recovery.record.criterion, why, now);
		else if (check != CRITERION_NONE)
			recovery_climb(s, check, why, now);
	}
}

void recovery_ike_back(struct tunnel_child *c, const struct ike_sa *sa, nsec_t now)
{
	struct tunnel_sa *s;

	LIST_FOREACH (s, &c->sas, link) {
		if (!s->retired && s->ike && child_sa_ike(s->ike) == sa)
			recovery_climb(s, CRITERION_IKE_BACK, "the peer's IKE state went back",
				       now);
	}
}

void recovery_failed(struct tunnel_child *c, const char *why, nsec_t now)
{
	struct tunnel_sa *s;

	LIST_FOREACH (s, &c->sas, link) {
		if (s->recovery.state != RECOVERY_RUNNING)
			continue;
		rung(s, 4);
		enter(s, RECOVERY_RUNNING, now + LADDER_LOOK);
		c->failures++;
		tunnel_event(c, TUNNEL_EVENT_RECOVERY, LOG_LEVEL_WARNING,
			     "%s: the connection starts again and retries without limit", why);
	}
}
