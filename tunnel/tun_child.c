/*
 * tun_child.c - children: CHILD SAs into the SAD and SPD, from installation to the end of their
 * retirement. SPDX-License-Identifier: ISC
 */
#include "tunnel.h"
#include "xalloc.h"

/* A replaced inbound SA still delivers for this long (RFC 7296 2.8.1: packets in flight). */
#define DRAIN	    (5 * NSEC_PER_SEC)
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

/* The database has its own lists: a reload may change those of the configuration. */
static void trap_lists(struct tun_child *k, struct ts_list *local, struct ts_list *remote)
{
	free(k->trap_local);
	free(k->trap_remote);
	k->trap.local = k->trap_local = local;
	k->trap.remote = k->trap_remote = remote;
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
		if (spd_add(&t->path->spd, &k->trap) < 0)
			return;
	} else {
		spd_remove(&t->path->spd, &k->trap);
	}
	k->trapped = on;
	t->ops.route(t->ops.ctx, &k->conf->local_ts, &k->conf->remote_ts, on);
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
	recovery_init(k);
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

	if (s->active)
		spd_remove(&t->path->spd, &s->policy);
	s->active = false;
	if (s->routed)
		t->ops.route(t->ops.ctx, s->policy.local, s->policy.remote, false);
	s->routed = false;
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

/* A peer that rekeys as fast as it can has no more of these than this. */
static void forget_oldest_retired(struct tun_child *c)
{
	struct tun_sa *s, *oldest = NULL;
	unsigned n = 0;

	LIST_FOREACH (s, &c->sas, link) {
		if (s->retired) {
			n++;
			oldest = s;
		}
	}
	if (n <= RETIRED_MAX)
		return;
	if (oldest->ike)
		oldest->ike->owner = NULL;
	tun_sa_forget(oldest);
}

void tun_sa_retire(struct tun_sa *s, nsec_t now)
{
	struct tun_child *c = s->child;
	struct tunnel *t = c->conn->tunnel;
	struct esp_sa *sa = tun_sa_esp(s);

	if (s->retired || !sa)
		return;
	s->retired = true;
	s->replaced_at = now;
	policy_remove(s);
	sa->in.succeeded = true;
	sad_retire(&t->path->sad, sa, now + DRAIN);
	deadline_set(&t->deadlines, &s->end, now + c->options.retired_time);
	if (c->current == s)
		c->current = newest_live(c);
	forget_oldest_retired(c);
}

void tun_sa_activate(struct tun_sa *s, nsec_t now)
{
	struct tun_child *c = s->child;
	struct tunnel *t = c->conn->tunnel;
	struct esp_sa *sa = tun_sa_esp(s);
	struct tun_sa *old = s->replaces;

	if (s->active || s->retired || !sa)
		return;
	s->policy.sa = sad_ref(sa);
	s->policy.order = ++t->policy_order;
	s->policy.owner = c;
	if (spd_add(&t->path->spd, &s->policy) < 0) {
		log_error(t->log, "%s/%s: the selectors are too many for the policy database",
			  c->conn->conf->name, c->conf->name);
		return;
	}
	s->active = s->routed = true;
	t->ops.route(t->ops.ctx, s->policy.local, s->policy.remote, true);
	s->replaces = NULL;
	c->current = s;
	if (old) {
		c->rekeys++;
		tun_sa_retire(old, now);
	}
	recovery_sa_up(c, s, now);
}

/* Rung 3: the same selectors came up on another IKE SA, which replaces the older ones of this
 * child. */
static void replace_on_takeover(struct tun_sa *s, nsec_t now)
{
	struct tun_conn *conn = s->child->conn;
	struct tun_sa *o, *next;

	if (s->ike->ike_sa != conn->beside)
		return;
	for (o = LIST_FIRST(&s->child->sas); o; o = next) {
		next = LIST_NEXT(o, link);
		if (o != s && o->ike && o->ike->ike_sa == conn->sa &&
		    ts_list_eq(o->policy.local, s->policy.local) &&
		    ts_list_eq(o->policy.remote, s->policy.remote))
			tun_sa_retire(o, now);
	}
}

void tun_sa_forget(struct tun_sa *s)
{
	struct tun_child *c = s->child;
	struct tunnel *t = c->conn->tunnel;
	struct tun_sa *o;

	policy_remove(s);
	deadline_clear(&t->deadlines, &s->end);
	LIST_REMOVE(s, link);
	LIST_FOREACH (o, &c->sas, link) {
		if (o->replaces == s)
			o->replaces = NULL;
	}
	if (c->current == s)
		c->current = newest_live(c);
	sad_release(&t->path->sad, s->spi);
	free(s->local);
	free(s->remote);
	free(s);
}

static void set_lifetime(const struct child_conf *conf, struct rng *rng, struct esp_lifetime *l)
{
	/* Limits in bytes and packets get the same jitter as those in time. */
	l->soft_bytes = conf->rekey_bytes - rng_below(rng, conf->rekey_bytes / 10 + 1);
	l->soft_packets = conf->rekey_packets - rng_below(rng, conf->rekey_packets / 10 + 1);
	l->hard_bytes = conf->life_bytes;
	l->hard_packets = conf->life_packets;
}

int tun_child_install(void *ctx, struct child_sa *c, const struct child_keys *keys,
		      struct child_sa *replaces, nsec_t now)
{
	struct tunnel *t = ctx;
	struct tun_conn *conn = c->ike_sa->owner;
	struct tun_child *k;
	struct tun_sa *s;
	struct esp_sa_params p = {
		.spi_out = c->spi_out,
		.suite = c->choice.suite,
		.esn = c->choice.esn,
		.enc_in = c->initiator ? keys->enc_r : keys->enc_i,
		.integ_in = c->initiator ? keys->integ_r : keys->integ_i,
		.enc_out = c->initiator ? keys->enc_i : keys->enc_r,
		.integ_out = c->initiator ? keys->integ_i : keys->integ_r,
		.local = c->local,
		.remote = c->remote,
		.local_ep = c->ike_sa->local,
		.remote_ep = c->ike_sa->remote,
		.replay_window = c->conf->replay_window,
	};
	int r;

	if (!conn)
		return -ENOENT;
	k = tun_child_of(conn, c->conf);
	p.history_packets = k->options.history_packets;
	p.history_sample = k->options.history_sample;
	p.verify_rate = k->options.verify_rate;
	p.detect = k->options.detect;
	set_lifetime(c->conf, t->rng, &p.life);
	s = xzalloc(sizeof(*s));
	p.owner = s;
	r = sad_install(&t->path->sad, c->spi_in, &p, now);
	if (r < 0) {
		free(s);
		return r;
	}
	s->child = k;
	s->ike = c;
	s->spi = c->spi_in;
	s->spi_out = c->spi_out;
	s->policy.local = s->local = ts_list_dup(c->local);
	s->policy.remote = s->remote = ts_list_dup(c->remote);
	s->installed = now;
	s->end.kind = TDL_SA_END;
	s->replaces = replaces ? replaces->owner : NULL;
	LIST_INSERT_HEAD(&k->sas, s, link);
	c->owner = s;
	return 0;
}

static void child_up(struct tun_sa *s, nsec_t now)
{
	struct tun_child *k = s->child;
	char l[256], r[256], suite[96];

	k->asked_on = NULL;
	tun_event(k, TUNNEL_EVENT_CHILD, LOG_LEVEL_INFO,
		  "CHILD SA up: SPI in %08x out %08x, %s, %s === %s%s", s->spi, s->spi_out,
		  choice_format(&s->ike->choice, suite, sizeof(suite)),
		  ts_list_format(s->policy.local, l, sizeof(l)),
		  ts_list_format(s->policy.remote, r, sizeof(r)),
		  s->replaces ? ", replaces another" : "");
	/* What replaces another waits for a sign that the peer has it, unless we asked for it. */
	if (s->replaces)
		return;
	tun_sa_activate(s, now);
	replace_on_takeover(s, now);
	conn_maybe_take_over(k->conn, now);
}

/* Outbound moves; a dummy packet tells the peer to move its own. */
static void child_confirmed(struct tun_sa *s, nsec_t now)
{
	struct tunnel *t = s->child->conn->tunnel;
	bool ours = s->ike->initiator;

	tun_sa_activate(s, now);
	if (ours && s->active)
		t->ops.dummy(t->ops.ctx, tun_sa_esp(s));
}

/* One whose replacement we had not moved to yet: there is nothing else to send on now. */
static void activate_heir(struct tun_child *k, const struct tun_sa *gone, nsec_t now)
{
	struct tun_sa *s;

	LIST_FOREACH (s, &k->sas, link) {
		if (s->replaces == gone && s->ike) {
			tun_sa_activate(s, now);
			return;
		}
	}
}

static void child_down(struct tun_sa *s, const char *why, nsec_t now)
{
	struct tun_child *k = s->child;

	activate_heir(k, s, now);
	recovery_sa_down(k, s, now);
	s->ike = NULL;
	if (k->current == s)
		k->current = newest_live(k);
	tun_event(k, TUNNEL_EVENT_CHILD, LOG_LEVEL_INFO, "CHILD SA down: SPI in %08x out %08x: %s",
		  s->spi, s->spi_out, why);
	if (s->retired)
		return; /* its time runs on */
	if (k->current && k->current != s && !k->conn->tunnel->closing) {
		tun_sa_retire(s, now);
		return;
	}
	tun_sa_forget(s);
	/* What is to be kept up and was ended by the peer comes up again. */
	if (k->wanted && k->recovery.state != RECOVERY_RUNNING && conn_established(k->conn))
		conn_ask(k, NULL, now + NSEC_PER_SEC, now);
}

void tun_child_event(void *ctx, struct child_sa *c, enum child_event e, const char *why, nsec_t now)
{
	struct tunnel *t = ctx;
	struct tun_sa *s = c->owner;

	(void)t;
	if (!s)
		return;
	switch (e) {
	case CHILD_EVENT_UP: child_up(s, now ? now : t->now); break;
	case CHILD_EVENT_CONFIRMED: child_confirmed(s, now); break;
	case CHILD_EVENT_DOWN: child_down(s, why, now ? now : t->now); break;
	}
}

void tun_child_result(void *ctx, struct ike_sa *sa, const struct child_conf *conf,
		      struct child_sa *child, enum ike_result r, uint16_t notify, nsec_t now)
{
	struct tun_conn *conn = sa->owner;
	struct tun_child *k;

	(void)ctx;
	k = conn ? find_child(conn, conf) : NULL;
	if (!k)
		return;
	/* With NOT_FOUND the engine has asked for another one already; a rekey that came to nothing
	 * has not been what was asked for. */
	if (r == IKE_RESULT_NOT_FOUND)
		k->asked_on = sa;
	else if (r != IKE_RESULT_GONE && r != IKE_RESULT_SUPERSEDED && !child)
		k->asked_on = NULL;
	if (r != IKE_RESULT_OK && r != IKE_RESULT_NOT_FOUND && r != IKE_RESULT_SUPERSEDED)
		k->failures++;
	recovery_result(k, child, r, notify, now);
	conn_maybe_take_over(conn, now);
	/* A routine rekey that the peer refuses is made by a new IKE SA before life_time ends it.
	 */
	if (r == IKE_RESULT_REFUSED && child && k->current && k->current->ike == child &&
	    k->recovery.state == RECOVERY_IDLE) {
		k->recovery.escape = true;
		recovery_late(k, "the peer refuses to rekey the CHILD SA", now);
	} else if (r == IKE_RESULT_REFUSED || r == IKE_RESULT_TEMPORARY) {
		k->not_before = now + REFUSED_WAIT;
		if ((sa == conn->beside || (!k->current && k->wanted)) &&
		    ike_child_create(sa, k->conf, NULL, k->not_before))
			k->asked_on = sa;
	}
	/* However it ended: what is to be kept up and is not there is asked for again. */
	if (k->wanted && !k->current && !k->asked_on)
		conn_ask(k, NULL, now + NSEC_PER_SEC, now);
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

void tun_child_remove(struct tun_child *k)
{
	struct tun_sa *s;

	tun_child_trap(k, false);
	while ((s = LIST_FIRST(&k->sas))) {
		if (s->ike)
			s->ike->owner = NULL;
		tun_sa_forget(s);
	}
	deadline_clear(&k->conn->tunnel->deadlines, &k->recovery.timer);
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

void tunnel_child_down(struct tun_child *c, nsec_t now)
{
	struct tun_sa *s;

	c->wanted = false;
	if (c->asked_on)
		ike_child_cancel(c->asked_on, c->conf);
	if (c->current && c->current->ike)
		ike_child_cancel(c->current->ike->ike_sa, c->conf);
	c->asked_on = NULL;
	LIST_FOREACH (s, &c->sas, link) {
		if (s->ike)
			ike_child_delete(s->ike, now);
	}
	if (!conn_wanted(c->conn))
		deadline_clear(&c->conn->tunnel->deadlines, &c->conn->retry);
}

bool tunnel_child_rekey(struct tun_child *c, nsec_t now)
{
	if (!c->current || !c->current->ike)
		return false;
	ike_child_rekey(c->current->ike, false, now);
	return true;
}

int tunnel_child_apply(struct tun_child *c, const struct tun_options *o, char *err)
{
	struct tun_sa *s;

	if (tun_options_check(o, c->conf->rekey_time, err) < 0)
		return -EINVAL;
	c->options = *o;
	LIST_FOREACH (s, &c->sas, link) {
		struct esp_sa *sa = tun_sa_esp(s);

		if (sa)
			esp_sa_set_detect(sa, &o->detect, o->verify_rate);
	}
	return 0;
}

int tunnel_child_set(struct tun_child *c, const char *name, const char *value, char *err)
{
	struct tun_options o = c->options;

	if (tun_options_set(&o, name, value, err) < 0)
		return -EINVAL;
	return tunnel_child_apply(c, &o, err);
}
