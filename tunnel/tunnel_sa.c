/*
 * tunnel_sa.c - CHILD SAs as the tunnel sees them: in the SAD and SPD, from installation to the end
 * of their retirement. SPDX-License-Identifier: ISC
 */
#include "backup.h"
#include "child.h"
#include "conn.h"
#include "recovery.h"
#include "totals.h"
#include "tunnel_sa.h"
#include "xalloc.h"

/* A replaced inbound SA still delivers for this long (RFC 7296 2.8.1: packets in flight). */
#define DRAIN	    (5 * NSEC_PER_SEC)
#define DELIVER_MAX (60 * NSEC_PER_SEC) /* until its DELETE is answered */
/* How long an SA without an IKE SA is kept after the last packet on it. */
#define KEPT_LOOK   (60 * NSEC_PER_SEC)
#define RETIRED_MAX 16 /* of one child at a time */

static void policy_remove(struct tunnel_sa *s)
{
	struct tunnel *t = s->child->conn->tunnel;

	if (!s->active)
		return;
	s->active = false;
	spd_remove(tunnel_child_spd(s->child), &s->policy);
	t->ops.route(t->ops.ctx, s->child->device, s->policy.local, s->policy.remote, false);
}

struct tunnel_sa *tunnel_sa_newest(struct tunnel_child *c)
{
	struct tunnel_sa *s;

	LIST_FOREACH (s, &c->sas, link) {
		if (!s->retired && s->ike && s->active)
			return s;
	}
	return NULL;
}

/* More are RETIRED than RETIRED_MAX plus one for each further live SA: a peer rekeys at will. */
static bool has_too_many(const struct tunnel_child *c)
{
	const struct tunnel_sa *s;
	unsigned live = 0, retired = 0;

	LIST_FOREACH (s, &c->sas, link) {
		live += !s->retired;
		retired += s->retired && !s->surplus;
	}
	return retired > RETIRED_MAX + (live ? live - 1 : 0);
}

/* How an SA is still used: 2: by a recovery, 1: it delivers. The least used one goes first. */
static unsigned use_of(const struct tunnel_sa *s, nsec_t now)
{
	const struct esp_sa *sa = tunnel_sa_esp(s);

	if (s->recovery.state != RECOVERY_IDLE)
		return 2;
	return sa && now < sa->in.deliver_until;
}

/* It ends by its deadline, not here: a caller that retires SAs may be walking the list. */
static void end_surplus_retired(struct tunnel_child *c, nsec_t now)
{
	struct tunnel_sa *s, *first = NULL;

	if (!has_too_many(c))
		return;
	LIST_FOREACH (s, &c->sas, link) {
		if (!s->retired || s->surplus)
			continue;
		if (!first || use_of(s, now) < use_of(first, now) ||
		    (use_of(s, now) == use_of(first, now) && s->retired_at < first->retired_at))
			first = s;
	}
	first->surplus = true;
	deadline_set(&c->conn->tunnel->deadlines, &first->end, now);
}

void tunnel_sa_retire(struct tunnel_sa *s, const struct tunnel_sa *by, nsec_t now)
{
	struct tunnel_child *c = s->child;
	struct tunnel *t = c->conn->tunnel;
	struct esp_sa *sa = tunnel_sa_esp(s);

	if (s->retired || !sa)
		return;
	s->retired = true;
	s->kept = false;
	s->retired_at = now;
	policy_remove(s);
	sad_retire(&t->path->sad, sa, now + DRAIN);
	secret_wipe(s->keys.enc_out, sizeof(s->keys.enc_out));
	secret_wipe(s->keys.integ_out, sizeof(s->keys.integ_out));
	/* Until the peer has confirmed that it is gone, the peer may send on it. */
	if (s->ike && !sa->in.exposed)
		sa->in.deliver_until = now + DELIVER_MAX;
	deadline_set(&t->deadlines, &s->end, now + c->options.retired_time);
	deadline_clear(&t->deadlines, &s->silent);
	s->check = CRITERION_NONE;
	if (c->current == s)
		c->current = tunnel_sa_newest(c);
	if (by)
		recovery_pass_on(s, by);
	recovery_replaced(s, by, now);
	end_surplus_retired(c, now);
}

nsec_t tunnel_sa_kept_until(const struct tunnel_sa *s)
{
	const struct esp_sa *sa = tunnel_sa_esp(s);

	if (!sa || sa->in.exposed || s->ending)
		return 0;
	if (s->overtaken_until)
		return min_u64(s->expires, s->overtaken_until);
	return min_u64(s->expires, sa->in.last_fresh + KEPT_LOOK);
}

static void look_at_kept(struct tunnel_sa *s, nsec_t now)
{
	struct tunnel_child *k = s->child;
	bool overtaken = s->overtaken_until != 0, by_us = s->ending;

	if (now < tunnel_sa_kept_until(s)) {
		deadline_set(&s->child->conn->tunnel->deadlines, &s->end, tunnel_sa_kept_until(s));
		return;
	}
	tunnel_sa_forget(s);
	/* No answer to our rekey has brought a successor: so it ended by the peer's DELETE. */
	if (!by_us)
		tunnel_child_ended(k, overtaken ? CHILD_END_PEER : CHILD_END_SILENT);
	backup_child_lost(k);
	if (tunnel_child_is_wanted(k))
		conn_mend(k->conn, now);
}

void tunnel_sa_drain(struct tunnel_sa *s, nsec_t now)
{
	struct esp_sa *sa = tunnel_sa_esp(s);

	if (sa)
		sa->in.deliver_until = min_u64(sa->in.deliver_until, now + DRAIN);
}

/*
 * First its history is condensed. Its keys and window stay until its hard lifetime ends: a standby
 * may be minutes older than the last rekey, and what it sends then is still a sign of it.
 */
void tunnel_sa_end(struct deadline *d, nsec_t now)
{
	struct tunnel_sa *s = container_of(d, struct tunnel_sa, end);
	struct tunnel_conn *c = s->child->conn;
	struct esp_sa *sa = tunnel_sa_esp(s);

	if (s->kept) {
		look_at_kept(s, now);
		conn_free_if_dynamic(c);
		return;
	}
	if (!s->condensed && !s->surplus && sa && c->sa && s->expires > now) {
		s->condensed = true;
		history_condense(&sa->in.history);
		if (s->expires != NSEC_NEVER)
			deadline_set(&c->tunnel->deadlines, &s->end, s->expires);
		return;
	}
	if (s->ike) /* its DELETE is not answered yet */
		child_sa_set_owner(s->ike, NULL);
	tunnel_sa_forget(s);
	conn_free_if_dynamic(c);
}

/* Whether both are SAs of one IKE SA that is there. */
static bool have_one_ike_sa(const struct tunnel_sa *a, const struct tunnel_sa *b)
{
	return a->ike && b->ike && child_sa_ike(a->ike) == child_sa_ike(b->ike);
}

bool tunnel_sa_covers(const struct tunnel_sa *by, const struct tunnel_sa *s)
{
	const struct child_conf *conf = s->child->conf;
	/* The address of a dynamic selector may be another one on another IKE SA. */
	bool other = s->child == by->child && !have_one_ike_sa(s, by);

	return ((other && ts_list_dynamic(conf->local_ts)) ||
		ts_list_within(s->local, by->local)) &&
	       ((other && ts_list_dynamic(conf->remote_ts)) ||
		ts_list_within(s->remote, by->remote));
}

struct tunnel_sa *tunnel_sa_substitute(const struct tunnel_sa *s)
{
	struct tunnel_sa *o;

	LIST_FOREACH (o, &s->child->sas, link) {
		if (o != s && !o->retired && o->ike &&
		    child_sa_state(o->ike) != CHILD_STATE_DELETING && o->active &&
		    tunnel_sa_covers(o, s))
			return o;
	}
	return NULL;
}

void tunnel_sa_free(struct tunnel_sa *s)
{
	free(s->local);
	free(s->remote);
	secret_free(s, sizeof(*s));
}

void tunnel_sa_forget(struct tunnel_sa *s)
{
	struct tunnel_child *c = s->child;
	struct tunnel *t = c->conn->tunnel;
	struct tunnel_sa *o;

	policy_remove(s);
	recovery_forget(s);
	deadline_clear(&t->deadlines, &s->end);
	deadline_clear(&t->deadlines, &s->move);
	deadline_clear(&t->deadlines, &s->silent);
	deadline_clear(&t->deadlines, &s->recovery.timer);
	LIST_REMOVE(s, link);
	LIST_FOREACH (o, &c->sas, link) {
		if (o->replaces == s)
			o->replaces = NULL;
	}
	if (c->current == s)
		c->current = tunnel_sa_newest(c);
	totals_add_sa(s);
	sad_release(&t->path->sad, s->spi);
	tunnel_sa_free(s);
}

static void set_lifetime(const struct child_conf *conf, struct rng *rng, struct esp_lifetime *l)
{
	/* Limits in bytes and packets get the same jitter as those in time. */
	l->soft_bytes = rng_jittered(rng, conf->rekey_bytes);
	l->soft_packets = rng_jittered(rng, conf->rekey_packets);
	l->hard_bytes = conf->life_bytes;
	l->hard_packets = conf->life_packets;
}

struct tunnel_sa *tunnel_sa_new(struct tunnel_child *k, const struct ts_list *local,
				const struct ts_list *remote)
{
	struct tunnel_sa *s = xzalloc(sizeof(*s));

	s->child = k;
	s->policy.local = s->local = ts_list_dup(local);
	s->policy.remote = s->remote = ts_list_dup(remote);
	s->end.due = tunnel_sa_end;
	s->move.due = tunnel_sa_move_due;
	s->silent.due = hint_silent_due;
	s->recovery.timer.due = recovery_timer;
	return s;
}

int tunnel_sa_install(struct tunnel_sa *s, const struct suite *suite, bool esn,
		      const struct ike_sa *ike, nsec_t now)
{
	struct tunnel_child *k = s->child;
	struct tunnel *t = k->conn->tunnel;
	struct esp_sa_params p = {
		.spi_out = s->spi_out,
		.suite = suite,
		.esn = esn,
		.enc_in = s->keys.enc_in,
		.integ_in = s->keys.integ_in,
		.enc_out = s->keys.enc_out,
		.integ_out = s->keys.integ_out,
		.local = s->local,
		.remote = s->remote,
		.replay_window = k->conf->replay_window,
		.history_packets = k->options.history_packets,
		.verify_rate = k->options.verify_rate,
		.detect = k->options.detect,
		.bridge = k->options.bridge,
		.device = k->device,
		.owner = s,
	};
	int r;

	ike_sa_esp_ends(ike, &p.local_ep, &p.remote_ep);
	set_lifetime(k->conf, t->rng, &p.life);
	r = sad_install(&t->path->sad, s->spi, &p, now);
	if (r < 0)
		tunnel_sa_free(s);
	else
		LIST_INSERT_HEAD(&k->sas, s, link);
	return r;
}
