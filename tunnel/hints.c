/*
 * hints.c - what tells of a switchover beside the detector: traffic on a replaced SA, INVALID_SPI
 * inside the IKE SA, a peer from which nothing comes, and a cluster that says so itself
 * (doc/recovery.md 4 and 5). SPDX-License-Identifier: ISC
 *
 * None of it is proof. Traffic on a replaced SA, or none at all, leads to a liveness check:
 * answered, the newest SA is rekeyed; unanswered, rung 3.
 */
#include "tunnel.h"

/* Asks whether the peer lives; what follows comes by recovery_answered or recovery_late. */
static bool check_liveness(struct tun_sa *newest, enum criterion why, nsec_t now)
{
	struct tun_child *c = newest->child;

	if (!newest->ike || c->check != CRITERION_NONE || newest->recovery.state != RECOVERY_IDLE ||
	    c->options.detect.mode == DETECT_OFF || gate_quiet_until(&c->gate, why, now) ||
	    newest->ike->ike_sa->state != IKE_STATE_ESTABLISHED)
		return false;
	c->check = why;
	ike_liveness(newest->ike->ike_sa, IKE_LATE_HINT, now);
	return true;
}

void hint_retired_heard(struct tun_sa *s, nsec_t now)
{
	struct tun_child *c = s->child;
	struct tun_sa *newest = c->current;
	const struct esp_sa *sa = newest ? tun_sa_esp(newest) : NULL;

	if (!sa || newest == s ||
	    now - max_u64(sa->in.last_fresh, newest->installed) < c->options.older_sa_grace)
		return;
	if (check_liveness(newest, CRITERION_OLDER_SA, now))
		tun_event(
			c, TUNNEL_EVENT_EVIDENCE, LOG_LEVEL_WARNING,
			"the peer sends on the replaced SPI %08x and nothing on %08x: is it alive?",
			s->spi, newest->spi);
}

void hint_invalid_spi(struct tun_sa *s, nsec_t now)
{
	if (s->retired || !s->ike)
		return;
	tun_event(s->child, TUNNEL_EVENT_EVIDENCE, LOG_LEVEL_WARNING,
		  "the peer says INVALID_SPI of %08x: it has lost the CHILD SA", s->spi_out);
	recovery_confirmed(s, CRITERION_INVALID_SPI, now);
}

void hint_silent_arm(struct tun_sa *s, nsec_t now)
{
	struct deadline_heap *h = &s->child->conn->tunnel->deadlines;
	const struct esp_sa *sa = tun_sa_esp(s);

	if (s->retired || !s->active || !sa || !s->child->options.silent_rekey) {
		deadline_clear(h, &s->silent);
		return;
	}
	s->silent_out = sa->out.packets;
	deadline_set(h, &s->silent, now + s->child->options.silent_rekey);
}

void hint_silent_due(struct tun_sa *s, nsec_t now)
{
	const struct esp_sa *sa = tun_sa_esp(s);
	bool sent = sa && sa->out.packets != s->silent_out;
	nsec_t heard = sa ? max_u64(sa->in.last_fresh, s->installed) : now;

	if (sent && now - heard >= s->child->options.silent_rekey &&
	    check_liveness(s, CRITERION_SILENT, now))
		tun_event(
			s->child, TUNNEL_EVENT_EVIDENCE, LOG_LEVEL_WARNING,
			"nothing has come on SPI %08x for %.0f s while we sent: is the peer alive?",
			s->spi, (double)(now - heard) / NSEC_PER_SEC);
	hint_silent_arm(s, now);
}

void hint_synced(struct tun_child *c, const struct ike_sa *sa, uint64_t delta, nsec_t now)
{
	struct tun_sa *s;

	LIST_FOREACH (s, &c->sas, link) {
		struct esp_sa *esp = tun_sa_esp(s);
		bool recovering = s->recovery.state != RECOVERY_IDLE;

		if (!s->ike || s->ike->ike_sa != sa || s->retired || !esp)
			continue;
		tun_event(c, TUNNEL_EVENT_RECOVERY, LOG_LEVEL_INFO,
			  "a member of the peer's cluster took over (RFC 6311): SPI out %08x leaps "
			  "by %llu",
			  s->spi_out, (unsigned long long)esp_leap(esp, delta));
		if (!recovering)
			record_open(s, CRITERION_SYNC, now);
		s->recovery.now.sync = now;
		if (!recovering)
			record_close(s, "message IDs agreed on anew");
	}
}
