/*
 * tun_child.c - children: CHILD SAs into the SAD and SPD, from installation to the end of their
 * retirement. SPDX-License-Identifier: ISC
 */
#include "tunnel.h"
#include "xalloc.h"

/* A replaced inbound SA still delivers for this long (RFC 7296 2.8.1: packets in flight). */
#define DRAIN	    (5 * NSEC_PER_SEC)
#define DELIVER_MAX (60 * NSEC_PER_SEC) /* until its DELETE is answered */
/* How long an SA without an IKE SA is kept after the last packet on it. */
#define KEPT_LOOK   (60 * NSEC_PER_SEC)
#define RETIRED_MAX 16 /* of one child at a time */
/* A child that the peer refused is asked for again after this. */
#define REFUSED_WAIT (10 * NSEC_PER_SEC)

/* ---- children ---- */

static struct tun_child *find_child(struct tun_conn *c, const struct child_conf *conf)
{
	struct tun_child *k;

	LIST_FOREACH (k, &c->children, link) {
		if (k->conf == conf)
			return k;
	}
	return NULL;
}

struct spd *tun_child_spd(const struct tun_child *k)
{
	return &k->conn->tunnel->path->devices[k->conf->device_index].spd;
}

/* The database has its own lists: a reload may change those of the configuration. */
static void trap_lists(struct tun_child *k, struct ts_list *local, struct ts_list *remote)
{
	free(k->trap_local);
	free(k->trap_remote);
	k->trap.local = k->trap_local = local;
	k->trap.remote = k->trap_remote = remote;
}

/*
 * Packets are to reach the device while the child has no SA. To a device of its own nobody else has
 * to be kept from leaving in clear; its link is up for a child that waits for a packet, and not for
 * one that comes up by itself.
 */
static bool trap_is_routed(const struct tun_child *k)
{
	return k->conf->device_index == 0 || k->conf->start_action == START_TRAP;
}

void tun_child_trap(struct tun_child *k, bool on)
{
	struct tunnel *t = k->conn->tunnel;

	if (on == k->trapped)
		return;
	if (on) {
		trap_lists(k, ts_list_dup(&k->conf->local_ts), ts_list_dup(&k->conf->remote_ts));
		k->trap.owner = k;
		k->trap.trap = true;
		if (spd_add(tun_child_spd(k), &k->trap) < 0)
			return;
	} else {
		spd_remove(tun_child_spd(k), &k->trap);
	}
	k->trapped = on;
	if (trap_is_routed(k))
		t->ops.route(t->ops.ctx, k->conf->device_index, &k->conf->local_ts,
			     &k->conf->remote_ts, on);
}

struct tun_child *tun_child_of(struct tun_conn *c, struct child_conf *conf)
{
	struct tun_child *k = find_child(c, conf), *last;

	if (k)
		return k;
	k = xzalloc(sizeof(*k));
	k->conn = c;
	k->conf = conf;
	k->options = *conf->options;
	LIST_INIT(&k->sas);
	/* In the order of the file: the first one rides along with IKE_AUTH. */
	LIST_FOREACH (last, &c->children, link) {
		if (!LIST_NEXT(last, link))
			break;
	}
	if (last)
		LIST_INSERT_AFTER(last, k, link);
	else
		LIST_INSERT_HEAD(&c->children, k, link);
	return k;
}

/* ---- CHILD SAs ---- */

static void policy_remove(struct tun_sa *s)
{
	struct tunnel *t = s->child->conn->tunnel;

	if (!s->active)
		return;
	s->active = false;
	spd_remove(tun_child_spd(s->child), &s->policy);
	t->ops.route(t->ops.ctx, s->child->conf->device_index, s->policy.local, s->policy.remote,
		     false);
}

/* The newest of the child's SAs that can carry packets. */
static struct tun_sa *newest_live(struct tun_child *c)
{
	struct tun_sa *s;

	LIST_FOREACH (s, &c->sas, link) {
		if (!s->retired && s->ike && s->active)
			return s;
	}
	return NULL;
}

/* A peer that rekeys as fast as it can has RETIRED_MAX, and one more for each further live SA. */
static bool has_too_many(const struct tun_child *c)
{
	const struct tun_sa *s;
	unsigned live = 0, retired = 0;

	LIST_FOREACH (s, &c->sas, link) {
		live += !s->retired;
		retired += s->retired && !s->surplus;
	}
	return retired > RETIRED_MAX + (live ? live - 1 : 0);
}

/* What is still used comes last: 2: by a recovery, 1: it delivers. */
static unsigned use_of(const struct tun_sa *s, nsec_t now)
{
	const struct esp_sa *sa = tun_sa_esp(s);

	if (s->recovery.state != RECOVERY_IDLE)
		return 2;
	return sa && now < sa->in.deliver_until;
}

/* It ends by its deadline, not here: who retires an SA may be walking the list. */
static void end_surplus_retired(struct tun_child *c, nsec_t now)
{
	struct tun_sa *s, *first = NULL;

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

void tun_sa_retire(struct tun_sa *s, const struct tun_sa *by, nsec_t now)
{
	struct tun_child *c = s->child;
	struct tunnel *t = c->conn->tunnel;
	struct esp_sa *sa = tun_sa_esp(s);

	if (s->retired || !sa)
		return;
	s->retired = true;
	s->kept = false;
	s->retired_at = now;
	policy_remove(s);
	sad_retire(&t->path->sad, sa, now + DRAIN);
	secret_wipe(s->keys.enc_out, sizeof(s->keys.enc_out));
	secret_wipe(s->keys.integ_out, sizeof(s->keys.integ_out));
	/* While the peer has not confirmed that it is gone, it may be what the peer sends on. */
	if (s->ike && !sa->in.exposed)
		sa->in.deliver_until = now + DELIVER_MAX;
	deadline_set(&t->deadlines, &s->end, now + c->options.retired_time);
	deadline_clear(&t->deadlines, &s->silent);
	s->check = CRITERION_NONE;
	if (c->current == s)
		c->current = newest_live(c);
	if (by)
		recovery_heir(s, by);
	recovery_replaced(s, by, now);
	end_surplus_retired(c, now);
}

/*
 * An SA without an IKE SA stays while packets come on it: the peer's ESP lives, and its IKE may
 * come back. Nothing but these packets shows that.
 */
static nsec_t kept_until(const struct tun_sa *s)
{
	const struct esp_sa *sa = tun_sa_esp(s);

	if (!sa || sa->in.exposed || s->ending)
		return 0;
	return min_u64(s->expires, sa->in.last_fresh + KEPT_LOOK);
}

static void look_at_kept(struct tun_sa *s, nsec_t now)
{
	if (now < kept_until(s))
		deadline_set(&s->child->conn->tunnel->deadlines, &s->end, kept_until(s));
	else
		tun_sa_forget(s);
}

/*
 * First its history goes. Its keys and window stay until its hard lifetime ends: a standby may be
 * minutes older than the last rekey, and what it sends then still tells of it.
 */
void tun_sa_end(struct deadline *d, nsec_t now)
{
	struct tun_sa *s = container_of(d, struct tun_sa, end);
	struct tun_conn *c = s->child->conn;
	struct esp_sa *sa = tun_sa_esp(s);

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
		s->ike->owner = NULL;
	tun_sa_forget(s);
	conn_free_if_dynamic(c);
}

bool tun_sa_covers(const struct tun_sa *by, const struct tun_sa *s)
{
	return ts_list_within(s->local, by->local) && ts_list_within(s->remote, by->remote);
}

struct tun_sa *tun_sa_heir(const struct tun_sa *s)
{
	struct tun_sa *o;

	LIST_FOREACH (o, &s->child->sas, link) {
		if (o != s && !o->retired && o->ike && o->ike->state != CHILD_STATE_DELETING &&
		    o->active && tun_sa_covers(o, s))
			return o;
	}
	return NULL;
}

void tun_sa_free(struct tun_sa *s)
{
	free(s->local);
	free(s->remote);
	secret_free(s, sizeof(*s));
}

void tun_sa_forget(struct tun_sa *s)
{
	struct tun_child *c = s->child;
	struct tunnel *t = c->conn->tunnel;
	struct tun_sa *o;

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
		c->current = newest_live(c);
	sad_release(&t->path->sad, s->spi);
	tun_sa_free(s);
}

static void set_lifetime(const struct child_conf *conf, struct rng *rng, struct esp_lifetime *l)
{
	/* Limits in bytes and packets get the same jitter as those in time. */
	l->soft_bytes = conf->rekey_bytes - rng_below(rng, conf->rekey_bytes / 10 + 1);
	l->soft_packets = conf->rekey_packets - rng_below(rng, conf->rekey_packets / 10 + 1);
	l->hard_bytes = conf->life_bytes;
	l->hard_packets = conf->life_packets;
}

struct tun_sa *tun_sa_new(struct tun_child *k, const struct ts_list *local,
			  const struct ts_list *remote)
{
	struct tun_sa *s = xzalloc(sizeof(*s));

	s->child = k;
	s->policy.local = s->local = ts_list_dup(local);
	s->policy.remote = s->remote = ts_list_dup(remote);
	s->end.due = tun_sa_end;
	s->move.due = tun_sa_move_due;
	s->silent.due = hint_silent_due;
	s->recovery.timer.due = recovery_timer;
	return s;
}

int tun_sa_install(struct tun_sa *s, const struct suite *suite, bool esn,
		   const struct endpoint *local, const struct endpoint *remote, nsec_t now)
{
	struct tun_child *k = s->child;
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
		.local_ep = *local,
		.remote_ep = *remote,
		.replay_window = k->conf->replay_window,
		.history_packets = k->options.history_packets,
		.verify_rate = k->options.verify_rate,
		.detect = k->options.detect,
		.bridge = k->options.bridge,
		.device = k->conf->device_index,
		.owner = s,
	};
	int r;

	set_lifetime(k->conf, t->rng, &p.life);
	r = sad_install(&t->path->sad, s->spi, &p, now);
	if (r < 0)
		tun_sa_free(s);
	else
		LIST_INSERT_HEAD(&k->sas, s, link);
	return r;
}

static void set_keys(struct tun_keys *to, const struct child_keys *keys, bool initiator)
{
	memcpy(to->enc_in, initiator ? keys->enc_r : keys->enc_i, SUITE_MAX_KEY);
	memcpy(to->integ_in, initiator ? keys->integ_r : keys->integ_i, SUITE_MAX_KEY);
	memcpy(to->enc_out, initiator ? keys->enc_i : keys->enc_r, SUITE_MAX_KEY);
	memcpy(to->integ_out, initiator ? keys->integ_i : keys->integ_r, SUITE_MAX_KEY);
}

int tun_child_install(void *ctx, struct child_sa *c, const struct child_keys *keys,
		      struct child_sa *replaces, nsec_t now)
{
	struct tunnel *t = ctx;
	struct tun_conn *conn = c->ike_sa->owner;
	struct tun_sa *s;
	int r;

	if (!conn)
		return -ENOENT;
	s = tun_sa_new(tun_child_of(conn, c->conf), c->local, c->remote);
	s->ike = c;
	s->spi = c->spi_in;
	s->spi_out = c->spi_out;
	s->installed = now;
	s->expires = c->conf->life_time ? now + c->conf->life_time : NSEC_NEVER;
	s->replaces = replaces ? replaces->owner : NULL;
	set_keys(&s->keys, keys, c->initiator);
	r = tun_sa_install(s, c->choice.suite, c->choice.esn, &c->ike_sa->local, &c->ike_sa->remote,
			   now);
	if (r < 0)
		return r;
	c->owner = s;
	esp_installed(t->path, sad_ref(tun_sa_esp(s)));
	return 0;
}

static void child_up(struct tun_sa *s, nsec_t now)
{
	struct tun_child *k = s->child;
	char l[256], r[256], suite[96];

	/* Another SA of the child may still be asked for. */
	if (k->asked_on && !ike_child_is_asked(k->asked_on, k->conf))
		k->asked_on = NULL;
	k->only_auth = false;
	tun_event(k, TUNNEL_EVENT_CHILD, LOG_LEVEL_INFO,
		  "CHILD SA up: SPI in %08x out %08x, %s, %s === %s%s", s->spi, s->spi_out,
		  choice_format(&s->ike->choice, suite, sizeof(suite)),
		  ts_list_format(s->policy.local, l, sizeof(l)),
		  ts_list_format(s->policy.remote, r, sizeof(r)),
		  s->replaces ? ", replaces another" : "");
	tun_sa_begin_to_use(s, now);
}

/*
 * The peer uses after all what its void rekey made: what was made in its stead goes. Not what is on
 * another IKE SA, which is there to replace this one.
 */
static void replace_others(struct tun_sa *s, nsec_t now)
{
	struct tun_sa *o, *next;

	for (o = LIST_FIRST(&s->child->sas); o; o = next) {
		next = LIST_NEXT(o, link);
		if (o == s || o->retired || !o->ike || o->ike->ike_sa != s->ike->ike_sa ||
		    !tun_sa_covers(s, o))
			continue;
		ike_child_delete(o->ike, now);
		tun_sa_retire(o, s, now);
	}
}

/* Outbound moves; a dummy packet tells the peer to move its own. */
static void child_confirmed(struct tun_sa *s, nsec_t now)
{
	struct tunnel *t = s->child->conn->tunnel;
	bool ours = s->ike->initiator;

	if (s->retired) /* what was made in its stead stays */
		return;
	if (s->ike->voided)
		replace_others(s, now);
	tun_sa_use(s, now);
	if (ours && s->active)
		t->ops.dummy(t->ops.ctx, tun_sa_esp(s));
}

/*
 * The newest SA that carries packets in place of the one that is gone. If there is none, one that
 * was to take its place, which we had not moved to yet: there is nothing else to send on now.
 */
static struct tun_sa *stand_in(struct tun_child *k, const struct tun_sa *gone, nsec_t now)
{
	struct tun_sa *s = tun_sa_heir(gone);

	if (s)
		return s;
	LIST_FOREACH (s, &k->sas, link) {
		if (s != gone && tun_sa_waits(s) &&
		    (s->replaces == gone || tun_sa_covers(s, gone))) {
			tun_sa_activate(s, now);
			return s->active ? s : NULL;
		}
	}
	return NULL;
}

/*
 * SAs that rung 3 has replaced, and whose successor is gone or void while they are not: the peer
 * may send on them for ever, and we do not listen. It is told that they are no more.
 */
static void end_orphans(struct tun_child *k, nsec_t now)
{
	struct tun_sa *s;

	LIST_FOREACH (s, &k->sas, link) {
		if (s->retired && s->ike && !s->ike->successor && !tun_sa_heir(s))
			ike_child_delete(s->ike, now);
	}
}

/* Its IKE SA is about to be gone, as the peer is silent there. */
static bool may_be_kept(const struct tun_sa *s, nsec_t now)
{
	return s->ike->ike_sa->unanswered && s->recovery.state == RECOVERY_RUNNING &&
	       now < kept_until(s) && !s->child->conn->tunnel->closing;
}

static void child_down(struct tun_sa *s, const char *why, nsec_t now)
{
	struct tun_child *k = s->child;
	struct ike_sa *sa = s->ike->ike_sa;
	struct tun_sa *by = stand_in(k, s, now);
	bool keep = !by && may_be_kept(s, now);

	s->ike = NULL;
	/* The answer to a rekey of ours that is out still brings its successor. */
	if (!k->asked_on && sa->owner == k->conn && sa->state == IKE_STATE_ESTABLISHED &&
	    ike_child_is_asked(sa, k->conf))
		k->asked_on = sa;
	if (k->current == s)
		k->current = newest_live(k);
	tun_event(k, TUNNEL_EVENT_CHILD, LOG_LEVEL_INFO, "CHILD SA down: SPI in %08x out %08x: %s",
		  s->spi, s->spi_out, why);
	if (s->retired) {
		struct esp_sa *gone = tun_sa_esp(s);

		if (gone)
			gone->in.deliver_until = min_u64(gone->in.deliver_until, now + DRAIN);
		end_orphans(k, now);
		return; /* its time runs on */
	}
	/* ESP came back and IKE did not: the bridge delivers on, until there is a successor. */
	if (keep) {
		s->kept = true;
		deadline_set(&k->conn->tunnel->deadlines, &s->end, kept_until(s));
		end_orphans(k, now);
		return;
	}
	/* What is being recovered from is known: its successor is on its way. */
	if ((by || s->recovery.state == RECOVERY_RUNNING) && !k->conn->tunnel->closing)
		tun_sa_retire(s, by, now);
	else
		tun_sa_forget(s);
	end_orphans(k, now);
	/* What is to be kept up and was ended by the peer comes up again. */
	if (k->wanted && !k->current && conn_established(k->conn))
		conn_ask(k, NULL, now + NSEC_PER_SEC, now);
	conn_drop_spare(k->conn, sa, now);
}

void tun_child_event(void *ctx, struct child_sa *c, enum child_event e, const char *why, nsec_t now)
{
	struct tunnel *t = ctx;
	struct tun_sa *s = c->owner;
	struct tun_conn *conn;

	if (!s)
		return;
	conn = s->child->conn;
	now = now ? now : t->now;
	switch (e) {
	case CHILD_EVENT_UP: child_up(s, now); break;
	case CHILD_EVENT_CONFIRMED: child_confirmed(s, now); break;
	case CHILD_EVENT_LOST: hint_invalid_spi(s, now); break;
	case CHILD_EVENT_KEPT: end_orphans(s->child, now); break;
	case CHILD_EVENT_DOWN:
		child_down(s, why, now);
		conn_tidy_spare(conn, now);
		break;
	}
}

void tun_child_result(void *ctx, struct ike_sa *sa, const struct child_conf *conf,
		      struct child_sa *child, enum ike_result r, uint16_t notify, nsec_t now)
{
	struct tun_conn *conn = sa->owner;
	struct tun_sa *s = child ? child->owner : NULL;
	struct tun_child *k;

	(void)ctx;
	k = conn ? find_child(conn, conf) : NULL;
	if (!k)
		return;
	/* With NOT_FOUND the engine has asked for another one already; a rekey that came to nothing
	 * has not been what was asked for. */
	if (r == IKE_RESULT_NOT_FOUND)
		k->asked_on = sa;
	else if (k->asked_on == sa && !ike_child_is_asked(sa, conf))
		k->asked_on = NULL;
	if (r != IKE_RESULT_OK && r != IKE_RESULT_NOT_FOUND && r != IKE_RESULT_SUPERSEDED)
		k->failures++;
	recovery_result(k, s, r, notify, now);
	conn_maybe_take_over(conn, now);
	/* A routine rekey that the peer refuses is made by a new IKE SA before life_time ends it.
	 */
	if (r == IKE_RESULT_REFUSED && s && !s->retired && s->recovery.state == RECOVERY_IDLE) {
		recovery_climb(s, CRITERION_REFUSED, "the peer refuses to rekey the CHILD SA", now);
	} else if (r == IKE_RESULT_REFUSED || r == IKE_RESULT_TEMPORARY) {
		k->not_before = now + REFUSED_WAIT;
		if (sa == conn->beside)
			conn_ask_missing(k, k->not_before);
		else if (!k->current && k->wanted &&
			 ike_child_create(sa, k->conf, NULL, k->not_before))
			k->asked_on = sa;
		/* Perhaps only IKE_AUTH can make it: it says nothing of a key exchange. */
		if (notify == NOTIFY_NO_PROPOSAL_CHOSEN && !k->current && k->wanted) {
			k->only_auth = true;
			conn_beside_later(conn, now);
		}
	}
	/* However it ended: what is to be kept up and is not there is asked for again. */
	if (k->wanted && !k->current && !k->asked_on)
		conn_ask(k, NULL, now + NSEC_PER_SEC, now);
	conn_drop_spare(conn, sa, now);
}

nsec_t tun_last_inbound(void *ctx, const struct ike_sa *sa)
{
	const struct child_sa *c;
	nsec_t last = 0;

	(void)ctx;
	LIST_FOREACH (c, &sa->children, link) {
		const struct tun_sa *s = c->owner;
		const struct esp_sa *e = s ? tun_sa_esp(s) : NULL;

		if (e && e->in.last_fresh > last)
			last = e->in.last_fresh;
	}
	return last;
}

bool tun_keep_mapping(void *ctx, const struct ike_sa *sa)
{
	struct tunnel *t = ctx;
	const struct child_sa *c;

	LIST_FOREACH (c, &sa->children, link) {
		struct tun_sa *s = c->owner;
		struct esp_sa *e = s && s->active ? tun_sa_esp(s) : NULL;
		uint64_t before = e ? e->out.packets : 0;

		if (!e)
			continue;
		if (before == s->mapping_out)
			t->ops.dummy(t->ops.ctx, e);
		/* That we have nothing to say is no silence of the peer's. */
		if (s->silent_out == before)
			s->silent_out = e->out.packets;
		s->mapping_out = e->out.packets;
		return true;
	}
	return false;
}

void tun_child_remove(struct tun_child *k)
{
	struct tun_sa *s;

	tun_child_trap(k, false);
	while ((s = LIST_FIRST(&k->sas))) {
		if (s->ike)
			s->ike->owner = NULL;
		tun_sa_forget(s);
	}
	LIST_REMOVE(k, link);
	trap_lists(k, NULL, NULL);
	free(k->records);
	free(k);
}

/* ---- control ---- */

void tunnel_child_up(struct tun_child *c, nsec_t now)
{
	c->wanted = true;
	conn_mend(c->conn, now);
}

bool tunnel_child_is_kept(const struct tun_child *c)
{
	const struct tun_sa *s;

	LIST_FOREACH (s, &c->sas, link) {
		if (s->kept)
			return true;
	}
	return false;
}

void tunnel_child_down(struct tun_child *c, nsec_t now)
{
	struct tun_sa *s;

	c->wanted = c->only_auth = false;
	if (c->asked_on)
		ike_child_cancel(c->asked_on, c->conf);
	if (c->current && c->current->ike)
		ike_child_cancel(c->current->ike->ike_sa, c->conf);
	c->asked_on = NULL;
	LIST_FOREACH (s, &c->sas, link) {
		s->ending = true;
		s->check = CRITERION_NONE;
		recovery_forget(s);
		if (s->ike)
			ike_child_delete(s->ike, now);
		else if (s->kept)
			deadline_set(&c->conn->tunnel->deadlines, &s->end, now);
	}
	if (!conn_wanted(c->conn))
		deadline_clear(&c->conn->tunnel->deadlines, &c->conn->retry);
}

bool tunnel_child_rekey(struct tun_child *c, nsec_t now)
{
	if (!c->current || !c->current->ike)
		return false;
	ike_child_rekey(c->current->ike, 0, now);
	return true;
}

void tunnel_child_reset(struct tun_child *c, nsec_t now)
{
	struct tun_sa *s;

	c->conn->tunnel->now = now;
	gate_reset(&c->gate);
	/* Or the second of several SAs would count as one that an admission did not help. */
	LIST_FOREACH (s, &c->sas, link)
		s->recovery.admitted = false;
	recovery_look_again(c, now);
}

/* Whether an option that the gate counts by has another value. */
static bool gate_differs(const struct tun_options *a, const struct tun_options *b)
{
	return a->max_rekeys != b->max_rekeys || a->per != b->per || a->quiet != b->quiet ||
	       a->jitter != b->jitter || a->detect.mode != b->detect.mode;
}

int tunnel_child_apply(struct tun_child *c, const struct tun_options *o, char *err, nsec_t now)
{
	struct tun_options old = c->options;
	struct tun_sa *s;

	if (tun_options_check(o, c->conf->rekey_time, err) < 0)
		return -EINVAL;
	c->options = *o;
	LIST_FOREACH (s, &c->sas, link) {
		struct esp_sa *sa = tun_sa_esp(s);

		if (sa)
			esp_sa_set_detect(sa, &o->detect, o->verify_rate, o->bridge);
		if (o->silent_rekey != old.silent_rekey)
			hint_silent_arm(s, now);
	}
	if (gate_differs(&old, o))
		tunnel_child_reset(c, now);
	return 0;
}

int tunnel_child_set(struct tun_child *c, const char *name, const char *value, char *err,
		     nsec_t now)
{
	struct tun_options o = c->options;

	if (tun_options_set(&o, name, value, err) < 0)
		return -EINVAL;
	return tunnel_child_apply(c, &o, err, now);
}
