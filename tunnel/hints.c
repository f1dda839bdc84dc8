/*
 * hints.c - signs of a switchover other than the detector's: traffic on a replaced SA, INVALID_SPI
 * inside the IKE SA, a peer from which nothing comes, and a cluster that says so itself
 * (doc/recovery.md 4 and 5). SPDX-License-Identifier: ISC
 *
 * None of these is a proof. Traffic on a replaced SA, or none at all, leads to a liveness check. If
 * it is answered, the newest SA is rekeyed; if not, rung 3 follows.
 */
#include "child.h"
#include "recovery.h"
#include "tunnel_sa.h"

/* Whether a hint about the SA would begin a recovery now. One that would not is not logged. */
static bool would_be_heard(const struct tunnel_sa *s, enum criterion why, nsec_t now)
{
	const struct tunnel_child *c = s->child;

	return !s->retired && !s->ending && s->ike && s->recovery.state == RECOVERY_IDLE &&
	       c->options.detect.mode != DETECT_OFF && !gate_quiet_until(&c->gate, why, now);
}

/* Asks whether the peer is alive; what follows comes by recovery_answered or recovery_late. */
static bool check_liveness(struct tunnel_sa *s, enum criterion why, nsec_t now)
{
	if (s->check != CRITERION_NONE || !would_be_heard(s, why, now) ||
	    ike_sa_state(child_sa_ike(s->ike)) != IKE_STATE_ESTABLISHED)
		return false;
	s->check = why;
	s->check_on = child_sa_ike(s->ike);
	ike_liveness(s->check_on, IKE_LATE_HINT, now);
	return true;
}

void hint_retired_heard(struct tunnel_sa *s, nsec_t now)
{
	struct tunnel_child *c = s->child;
	struct tunnel_sa *newest = tunnel_sa_substitute(s);
	const struct esp_sa *sa = newest ? tunnel_sa_esp(newest) : NULL;

	if (!sa || newest == s ||
	    now - max_u64(sa->in.last_fresh, newest->installed) < c->options.older_sa_grace)
		return;
	if (check_liveness(newest, CRITERION_OLDER_SA, now))
		tunnel_event(
			c, TUNNEL_EVENT_EVIDENCE, LOG_LEVEL_WARNING,
			"the peer sends on the replaced SPI %08x and nothing on %08x: is it alive?",
			s->spi, newest->spi);
}

void hint_invalid_spi(struct tunnel_sa *s, nsec_t now)
{
	if (!would_be_heard(s, CRITERION_INVALID_SPI, now))
		return;
	tunnel_event(s->child, TUNNEL_EVENT_EVIDENCE, LOG_LEVEL_WARNING,
		     "the peer sent INVALID_SPI for %08x: it has lost the CHILD SA", s->spi_out);
	recovery_confirmed(s, CRITERION_INVALID_SPI, now);
}

void hint_silent_arm(struct tunnel_sa *s, nsec_t now)
{
	struct deadline_heap *h = &s->child->conn->tunnel->deadlines;
	const struct esp_sa *sa = tunnel_sa_esp(s);

	if (s->retired || !s->active || !sa || !s->child->options.silent_rekey) {
		deadline_clear(h, &s->silent);
		return;
	}
	s->silent_out = sa->out.packets;
	deadline_set(h, &s->silent, now + s->child->options.silent_rekey);
}

void hint_silent_due(struct deadline *d, nsec_t now)
{
	struct tunnel_sa *s = container_of(d, struct tunnel_sa, silent);
	const struct esp_sa *sa = tunnel_sa_esp(s);
	bool sent = sa && sa->out.packets != s->silent_out;
	nsec_t heard = sa ? max_u64(sa->in.last_fresh, s->installed) : now;

	if (sent && now - heard >= s->child->options.silent_rekey &&
	    check_liveness(s, CRITERION_SILENT, now))
		tunnel_event(
			s->child, TUNNEL_EVENT_EVIDENCE, LOG_LEVEL_WARNING,
			"nothing has come on SPI %08x for %.0f s while we sent: is the peer alive?",
			s->spi, (double)(now - heard) / NSEC_PER_SEC);
	hint_silent_arm(s, now);
}

/* Notes the sync in the record of the running recovery; without one, in a record of its own. */
static void note_sync(struct tunnel_sa *s, nsec_t now)
{
	static const char outcome[] = "message IDs agreed on anew";
	nsec_t since = now - min_u64(now, s->child->options.quiet);
	struct recovery_record *r;

	if (s->recovery.record.id) {
		s->recovery.record.sync = now;
		return;
	}
	r = record_again(s->child, CRITERION_SYNC, outcome, since);
	if (r) {
		r->sync = now;
		return;
	}
	record_open(s, CRITERION_SYNC, now);
	s->recovery.record.sync = now;
	record_close(s, outcome);
}

void hint_synced(struct tunnel_child *c, const struct ike_sa *sa, uint64_t delta, nsec_t now)
{
	struct tunnel_sa *s;

	LIST_FOREACH (s, &c->sas, link) {
		struct esp_sa *esp = tunnel_sa_esp(s);

		if (!s->ike || child_sa_ike(s->ike) != sa || s->retired || !esp)
			continue;
		tunnel_event(
			c, TUNNEL_EVENT_RECOVERY, LOG_LEVEL_INFO,
			"a member of the peer's cluster took over (RFC 6311): SPI out %08x leaps "
			"by %llu",
			s->spi_out, (unsigned long long)esp_leap(esp, delta));
		note_sync(s, now);
	}
}
