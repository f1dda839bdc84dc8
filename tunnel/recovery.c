/*
 * recovery.c - from evidence to a fresh SA: gate, delay, ladder, record (RECOVERY 4 and 5).
 * SPDX-License-Identifier: ISC
 */
#include "tunnel.h"
#include "xalloc.h"

#include <stdio.h>

/* While the gate says in-progress it is asked again this often, beside the events that end it. */
#define LOOK_AGAIN (250 * NSEC_PER_MSEC)
/* A rekey that the peer asked for keeps ours back for this long at most. */
#define PEER_REKEY_LIMIT (5 * NSEC_PER_SEC)
/* How long the first FRESH packet on the new SA is awaited before the record is closed without it.
 */
#define AWAIT_FRESH (60 * NSEC_PER_SEC)

const char *recovery_state_name(enum recovery_state s)
{
	static const char *const names[] = {"idle", "pending", "delayed", "running", "awaiting"};

	return names[s];
}

static void arm(struct tun_child *c, nsec_t at)
{
	deadline_set(&c->conn->tunnel->deadlines, &c->recovery.timer, at);
}

void recovery_init(struct tun_child *c)
{
	c->recovery = (struct recovery){.timer = {.kind = TDL_RECOVERY}};
}

static void enter(struct tun_child *c, enum recovery_state s)
{
	deadline_clear(&c->conn->tunnel->deadlines, &c->recovery.timer);
	c->recovery.state = s;
}

static struct tun_sa *sa_in_recovery(const struct tun_child *c)
{
	struct tun_sa *s;

	LIST_FOREACH (s, &c->sas, link) {
		if (s->spi == c->recovery.spi)
			return s;
	}
	return NULL;
}

static uint64_t not_delivered(const struct esp_sa *sa)
{
	const uint64_t *v = sa->in.verdicts;

	/* Under ESN an old number that is not remembered looks like a new one whose ICV does not
	 * hold. */
	return v[VERDICT_REWOUND] + v[VERDICT_STALE] + v[VERDICT_UNVERIFIED] +
	       (sa->in.esn ? v[VERDICT_AUTH_FAILED] : 0);
}

/* Packets that did not get through since the evidence began, on the SA that is being replaced. */
static uint64_t lost_so_far(const struct tun_child *c)
{
	const struct tun_sa *s = sa_in_recovery(c);
	const struct esp_sa *sa = s ? tun_sa_esp(s) : NULL;

	return sa ? not_delivered(sa) - c->recovery.lost_base : c->recovery.now.lost;
}

/* The record goes into the ring; state returns to IDLE. */
static void close_record(struct tun_child *c, const char *outcome)
{
	struct recovery *r = &c->recovery;

	r->now.lost = lost_so_far(c);
	r->now.outcome = outcome;
	if (!c->records)
		c->records = xzalloc(RECORDS_KEPT * sizeof(*c->records));
	c->records[c->record_next] = r->now;
	c->record_next = (c->record_next + 1) % RECORDS_KEPT;
	r->now = (struct recovery_record){0};
	r->spi = 0;
	enter(c, RECOVERY_IDLE);
}

static void drop(struct tun_child *c, const char *outcome)
{
	if (c->recovery.state == RECOVERY_IDLE)
		return;
	tun_event(c, TUNNEL_EVENT_RECOVERY, LOG_LEVEL_INFO, "recovery ended: %s", outcome);
	close_record(c, outcome);
}

static void open_record(struct tun_sa *s, enum criterion criterion, nsec_t now)
{
	struct tun_child *c = s->child;
	struct recovery *r = &c->recovery;
	const struct esp_sa *sa = tun_sa_esp(s);

	r->criterion = criterion;
	r->spi = s->spi;
	/* What made the evidence is lost already. */
	r->lost_base = not_delivered(sa) -
		       min_u64(not_delivered(sa),
			       max_u64(sa->in.detector.proofs, sa->in.detector.pattern));
	r->now = (struct recovery_record){
		.id = ++c->conn->tunnel->record_id,
		.first_evidence =
			sa->in.detector.first_evidence ? sa->in.detector.first_evidence : now,
		.confirmed = now,
		.criterion = criterion,
		.first_number = sa->in.detector.first_number,
		.top = sa->in.window.top,
		.old_spi = s->spi,
		.outcome = "running",
	};
}

/* Rung 1. */
static void start(struct tun_child *c, nsec_t now)
{
	struct tun_sa *s = sa_in_recovery(c);

	if (!s || s->retired || !s->ike) {
		drop(c, "superseded");
		return;
	}
	enter(c, RECOVERY_RUNNING);
	c->recovery.now.rung = 1;
	c->recovery.now.request = now;
	c->recoveries++;
	tun_event(c, TUNNEL_EVENT_RECOVERY, LOG_LEVEL_WARNING,
		  "SPI %08x: switchover of the peer shown by %s: rekeying", s->spi,
		  criterion_name(c->recovery.criterion));
	ike_child_rekey(s->ike, true, now);
}

static bool peer_rekeys(const struct tun_child *c, const struct tun_sa *s, nsec_t now)
{
	const struct tun_sa *n;

	LIST_FOREACH (n, &c->sas, link) {
		if (n->replaces == s && n->ike && !n->ike->confirmed &&
		    now - n->installed < PEER_REKEY_LIMIT)
			return true;
	}
	return false;
}

static bool ours_under_way(const struct tun_sa *s)
{
	const struct ike_sa *sa = s->ike->ike_sa;

	return s->ike->state != CHILD_STATE_INSTALLED || sa->outstanding ||
	       sa->state != IKE_STATE_ESTABLISHED;
}

/* All SAs of the child forget their evidence. */
static void reset_detectors(struct tun_child *c)
{
	struct tun_sa *s;

	LIST_FOREACH (s, &c->sas, link) {
		struct esp_sa *sa = tun_sa_esp(s);

		if (sa)
			detector_reset(&sa->in.detector);
	}
}

static void tell_quiet(struct tun_child *c, enum criterion criterion, nsec_t until, bool began,
		       nsec_t now)
{
	char t[32];

	if (!began)
		return;
	tun_event(c, TUNNEL_EVENT_EVIDENCE, LOG_LEVEL_WARNING,
		  criterion == CRITERION_PROOF || criterion == CRITERION_NONCE_REUSE
			  ? "proof again after %u rekeys: rekeying does not help; do two senders "
			    "share the "
			    "peer's SA? Quiet for %s"
			  : "%u rekeys within the allowance: hints are ignored. Quiet for %s",
		  c->options.max_rekeys,
		  format_time((until - now) / NSEC_PER_SEC * NSEC_PER_SEC, t));
}

static void admitted(struct tun_child *c, nsec_t now)
{
	struct recovery *r = &c->recovery;

	r->now.delay = r->criterion == CRITERION_NONCE_REUSE
			       ? 0
			       : rng_below(c->conn->tunnel->rng, c->options.jitter + 1);
	enter(c, RECOVERY_DELAYED);
	if (r->now.delay == 0)
		start(c, now);
	else
		arm(c, now + r->now.delay);
}

/*
 * The gate, asked for the SA in recovery. A request of ours that is outstanding takes over the
 * short timers, and when it is this child's rekey its outcome is the ladder's.
 */
static void ask(struct tun_child *c, nsec_t now)
{
	struct recovery *r = &c->recovery;
	struct tun_sa *s = sa_in_recovery(c);
	struct gate_facts f = {.superseded = !s || s->retired || !s->ike};
	nsec_t until;
	bool began;
	enum gate_answer a;

	if (!f.superseded)
		f.in_progress = peer_rekeys(c, s, now) || ours_under_way(s);
	a = gate_ask(&c->gate, &c->options, r->criterion, &f, now, &until, &began);
	if (r->state == RECOVERY_IDLE || a != GATE_IN_PROGRESS)
		log_info(c->conn->tunnel->log, "%s/%s: evidence by %s, gate: %s",
			 c->conn->conf->name, c->conf->name, criterion_name(r->criterion),
			 gate_answer_name(a));
	switch (a) {
	case GATE_ADMITTED: admitted(c, now); break;
	case GATE_IN_PROGRESS:
		if (r->state != RECOVERY_PENDING && ike_hurry(s->ike->ike_sa, now))
			r->now.request = now;
		enter(c, RECOVERY_PENDING);
		arm(c, now + LOOK_AGAIN);
		break;
	case GATE_QUIET:
		tell_quiet(c, r->criterion, until, began, now);
		close_record(c, "quiet");
		arm(c, until);
		break;
	case GATE_DISABLED:
	case GATE_SUPERSEDED: close_record(c, gate_answer_name(a)); break;
	case GATE_ANSWERS: break;
	}
}

void recovery_confirmed(struct tun_sa *s, enum criterion criterion, nsec_t now)
{
	struct tun_child *c = s->child;
	struct recovery *r = &c->recovery;

	if (r->state == RECOVERY_RUNNING || r->state == RECOVERY_AWAITING) {
		/* Evidence on the SA that replaced it counts for itself; on the old one it is
		 * known. */
		if (r->state != RECOVERY_AWAITING || s->spi == r->now.old_spi)
			return;
		close_record(c, "recovered");
	}
	if (r->state == RECOVERY_DELAYED && criterion != CRITERION_NONCE_REUSE)
		return;
	if (r->state == RECOVERY_DELAYED) { /* a repeated nonce does not wait */
		r->criterion = r->now.criterion = criterion;
		start(c, now);
		return;
	}
	if (r->state == RECOVERY_IDLE)
		tun_event(c, TUNNEL_EVENT_EVIDENCE, LOG_LEVEL_WARNING,
			  "SPI %08x: the peer's numbers went back (%s), window at %llu", s->spi,
			  criterion_name(criterion),
			  (unsigned long long)tun_sa_esp(s)->in.window.top);
	open_record(s, criterion, now);
	ask(c, now);
}

void recovery_ask_again(struct tun_child *c, nsec_t now)
{
	if (c->recovery.escape && c->recovery.state == RECOVERY_IDLE && c->current) {
		/* The peer lives, and sends on an SA that was replaced: give it a new one. */
		c->recovery.escape = false;
		recovery_confirmed(c->current, CRITERION_OLDER_SA, now);
		return;
	}
	if (c->recovery.state == RECOVERY_PENDING)
		ask(c, now);
}

void recovery_timer(struct tun_child *c, nsec_t now)
{
	const struct tun_sa *s = sa_in_recovery(c);
	const struct esp_sa *sa = s ? tun_sa_esp(s) : NULL;

	switch (c->recovery.state) {
	case RECOVERY_IDLE: reset_detectors(c); break;
	case RECOVERY_PENDING: ask(c, now); break;
	case RECOVERY_DELAYED:
		/* A pattern that a FRESH packet refuted meanwhile is dropped; a proof stands. */
		if (c->recovery.criterion != CRITERION_OLDER_SA && sa && !s->retired &&
		    sa->in.detector.state != DETECTOR_CONFIRMED)
			drop(c, "withdrawn");
		else
			start(c, now);
		break;
	case RECOVERY_RUNNING: break;
	case RECOVERY_AWAITING: close_record(c, "recovered, no traffic seen"); break;
	}
}

static void rung(struct tun_child *c, uint8_t n)
{
	if (c->recovery.now.rung < n)
		c->recovery.now.rung = n;
}

void recovery_late(struct tun_child *c, const char *why, nsec_t now)
{
	struct recovery *r = &c->recovery;

	if (r->state != RECOVERY_RUNNING && r->state != RECOVERY_PENDING && !r->escape)
		return;
	r->escape = false;
	if (r->state == RECOVERY_IDLE) {
		if (!c->current)
			return;
		open_record(c->current, CRITERION_OLDER_SA, now);
		r->now.request = now;
		c->recoveries++;
	}
	/* Who only answers cannot call: the peer finds out by its own liveness check. */
	if (c->conn->conf->remote_count == 0) {
		if (r->state != RECOVERY_RUNNING)
			close_record(c, "left to the peer");
		return;
	}
	if (r->state != RECOVERY_RUNNING)
		enter(c, RECOVERY_RUNNING);
	rung(c, 3);
	tun_event(c, TUNNEL_EVENT_RECOVERY, LOG_LEVEL_WARNING,
		  "%s: a new IKE SA is made beside the old one", why);
	conn_beside_later(c->conn, why, now);
}

void recovery_failed(struct tun_child *c, const char *why, nsec_t now)
{
	(void)now;
	if (c->recovery.state != RECOVERY_RUNNING)
		return;
	rung(c, 4);
	c->failures++;
	tun_event(c, TUNNEL_EVENT_RECOVERY, LOG_LEVEL_WARNING,
		  "%s: the connection starts again, for as long as it takes", why);
}

/* How a CREATE_CHILD_SA of ours for this child ended. */
void recovery_result(struct tun_child *c, struct child_sa *made, enum ike_result res,
		     uint16_t notify, nsec_t now)
{
	char why[96];

	(void)made;
	if (c->recovery.state == RECOVERY_PENDING) {
		ask(c, now);
		return;
	}
	if (c->recovery.state != RECOVERY_RUNNING)
		return;
	switch (res) {
	case IKE_RESULT_OK: break; /* recovery_sa_up has seen it */
	case IKE_RESULT_SUPERSEDED: drop(c, "superseded"); break;
	case IKE_RESULT_NOT_FOUND:
		rung(c, 2);
		tun_event(c, TUNNEL_EVENT_RECOVERY, LOG_LEVEL_WARNING,
			  "the peer does not know the CHILD SA: making another one");
		break;
	case IKE_RESULT_GONE:
		/* The peer deleted it while we waited to ask: what replaces it comes by itself. */
		drop(c, "superseded");
		break;
	case IKE_RESULT_TEMPORARY:
	case IKE_RESULT_REFUSED:
	case IKE_RESULT_TIMEOUT:
	case IKE_RESULT_LATE:
		snprintf(why, sizeof(why), "the rekey was refused (%s)",
			 notify ? ike_notify_name(notify) : ike_result_name(res));
		recovery_late(c, why, now);
		/* Who only answers has nothing out any more: it begins anew with the next evidence.
		 */
		if (c->conn->conf->remote_count == 0 && c->recovery.state == RECOVERY_RUNNING) {
			drop(c, "left to the peer");
			arm(c, now + c->options.per);
		}
		break;
	}
}

/* A new CHILD SA is in use. */
void recovery_sa_up(struct tun_child *c, struct tun_sa *s, nsec_t now)
{
	struct recovery *r = &c->recovery;

	r->escape = false;
	switch (r->state) {
	case RECOVERY_IDLE:
	case RECOVERY_AWAITING: return;
	case RECOVERY_PENDING:
	case RECOVERY_DELAYED:
		/* The peer's rekey, or a routine one of ours, was faster. */
		if (s->spi == r->spi)
			return;
		if (r->state == RECOVERY_DELAYED)
			gate_give_back(&c->gate, r->criterion);
		rung(c, 1);
		if (!r->now.request)
			r->now.request = now;
		break;
	case RECOVERY_RUNNING: break;
	}
	r->now.response = now;
	r->now.new_spi = s->spi;
	enter(c, RECOVERY_AWAITING);
	arm(c, now + AWAIT_FRESH);
	tun_event(c, TUNNEL_EVENT_RECOVERY, LOG_LEVEL_INFO,
		  "new SPI %08x is up, rung %u, %.1f ms after the request", s->spi, r->now.rung,
		  (double)(now - r->now.request) / NSEC_PER_MSEC);
}

void recovery_sa_fresh(struct tun_child *c, struct tun_sa *s, nsec_t now)
{
	struct recovery *r = &c->recovery;

	if (r->state != RECOVERY_AWAITING || s->spi != r->now.new_spi)
		return;
	r->now.first_fresh = now;
	r->now.lost = lost_so_far(c);
	tun_event(c, TUNNEL_EVENT_RECOVERY, LOG_LEVEL_INFO,
		  "recovered by %s, rung %u: %llu packets lost, %.1f ms from first evidence to "
		  "first packet",
		  criterion_name(r->now.criterion), r->now.rung, (unsigned long long)r->now.lost,
		  (double)(now - r->now.first_evidence) / NSEC_PER_MSEC);
	close_record(c, "recovered");
}

void recovery_sa_down(struct tun_child *c, struct tun_sa *s, nsec_t now)
{
	struct recovery *r = &c->recovery;

	(void)now;
	if (s->spi == r->spi)
		r->now.lost = lost_so_far(c);
	if (s->spi == r->spi && (r->state == RECOVERY_PENDING || r->state == RECOVERY_DELAYED))
		drop(c, "superseded");
}

/*
 * RECOVERY 4, escape: the peer keeps sending on an SA that was replaced and drained, and nothing on
 * the newest. It may never have learnt of the newest: ask whether it lives.
 */
void recovery_retired_heard(struct tun_sa *s, nsec_t now)
{
	struct tun_child *c = s->child;
	struct tun_sa *newest = c->current;
	const struct esp_sa *sa = newest ? tun_sa_esp(newest) : NULL;

	if (!sa || newest == s || !newest->ike || c->recovery.escape ||
	    c->recovery.state == RECOVERY_RUNNING || c->options.detect.mode == DETECT_OFF)
		return;
	if (now - max_u64(sa->in.last_fresh, newest->installed) < c->options.older_sa_grace)
		return;
	if (gate_quiet_until(&c->gate, CRITERION_OLDER_SA, now) ||
	    newest->ike->ike_sa->state != IKE_STATE_ESTABLISHED)
		return;
	c->recovery.escape = true;
	tun_event(c, TUNNEL_EVENT_EVIDENCE, LOG_LEVEL_WARNING,
		  "the peer sends on the replaced SPI %08x and nothing on %08x: is it alive?",
		  s->spi, newest->spi);
	ike_liveness(newest->ike->ike_sa, true, now);
}
