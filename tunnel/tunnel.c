/* tunnel.c - CHILD SAs into the SAD and SPD, events into rekeys; see tunnel.h.
 * SPDX-License-Identifier: ISC */
#include "tunnel.h"
#include "xalloc.h"

#include <stdarg.h>
#include <stdio.h>

/* A replaced inbound SA still delivers for this long (RFC 7296 2.8.1: packets in flight). */
#define DRAIN (5 * NSEC_PER_SEC)

void tun_event(struct tun_child *c, enum tunnel_event_kind kind, enum log_level level,
	       const char *fmt, ...)
{
	struct tunnel *t = c->conn->tunnel;
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_line(t->log, level, "%s/%s: %s", c->conn->conf->name, c->conf->name, text);
	t->ops.event(t->ops.ctx, kind, c->conn, c, text);
}

struct esp_sa *tun_sa_esp(const struct tun_sa *s)
{
	return sad_find(&s->child->conn->tunnel->path->sad, s->spi);
}

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

static void trap_set(struct tun_child *k, bool on)
{
	struct tunnel *t = k->conn->tunnel;

	if (on == k->trapped)
		return;
	if (on) {
		k->trap.local = k->conf->local_ts;
		k->trap.remote = k->conf->remote_ts;
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

static struct tun_child *child_of(struct tun_conn *c, struct child_conf *conf)
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
		t->ops.route(t->ops.ctx, &s->policy.local, &s->policy.remote, false);
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
	t->ops.route(t->ops.ctx, &s->policy.local, &s->policy.remote, true);
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
		    ts_list_eq(&o->policy.local, &s->policy.local) &&
		    ts_list_eq(&o->policy.remote, &s->policy.remote))
			tun_sa_retire(o, now);
	}
}

static void forget_sa(struct tun_sa *s)
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

static int op_child_install(void *ctx, struct child_sa *c, const struct child_keys *keys,
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
		.local = &c->local,
		.remote = &c->remote,
		.local_ep = c->ike_sa->local,
		.remote_ep = c->ike_sa->remote,
		.replay_window = c->conf->replay_window,
	};
	int r;

	if (!conn)
		return -ENOENT;
	k = child_of(conn, c->conf);
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
	s->policy.local = c->local;
	s->policy.remote = c->remote;
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

	k->asked = false;
	tun_event(k, TUNNEL_EVENT_CHILD, LOG_LEVEL_INFO,
		  "CHILD SA up: SPI in %08x out %08x, %s, %s === %s%s", s->spi, s->spi_out,
		  choice_format(&s->ike->choice, suite, sizeof(suite)),
		  ts_list_format(&s->policy.local, l, sizeof(l)),
		  ts_list_format(&s->policy.remote, r, sizeof(r)),
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
	forget_sa(s);
	/* What is to be kept up and was ended by the peer comes up again. */
	if (k->wanted && !k->asked && !k->current && !k->conn->tunnel->closing &&
	    k->recovery.state != RECOVERY_RUNNING) {
		struct ike_sa *sa = conn_established(k->conn);

		if (sa) {
			k->asked = true;
			ike_child_create(sa, k->conf, NULL, now + NSEC_PER_SEC);
		}
	}
}

static void op_child_event(void *ctx, struct child_sa *c, enum child_event e, const char *why,
			   nsec_t now)
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

static void op_child_result(void *ctx, struct ike_sa *sa, const struct child_conf *conf,
			    struct child_sa *child, enum ike_result r, uint16_t notify, nsec_t now)
{
	struct tun_conn *conn = sa->owner;
	struct tun_child *k;

	(void)ctx;
	k = conn ? find_child(conn, conf) : NULL;
	if (!k)
		return;
	/* With NOT_FOUND the engine has asked for another one already. */
	k->asked = r == IKE_RESULT_NOT_FOUND;
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
	} else if (r == IKE_RESULT_REFUSED && (sa == conn->beside || (!k->current && k->wanted))) {
		k->asked = true;
		ike_child_create(sa, k->conf, NULL, now + 10 * NSEC_PER_SEC);
	}
}

static void op_ike_event(void *ctx, struct ike_sa *sa, enum ike_sa_event e, struct ike_sa *other,
			 const char *why, nsec_t now)
{
	struct tunnel *t = ctx;

	conn_on_ike_event(t, sa, e, other, why, now ? now : t->now);
}

static void op_send(void *ctx, const struct endpoint *local, const struct endpoint *remote,
		    const uint8_t *p, size_t len)
{
	struct tunnel *t = ctx;

	t->ops.send(t->ops.ctx, local, remote, p, len);
}

static uint32_t op_spi_reserve(void *ctx)
{
	return sad_reserve(&((struct tunnel *)ctx)->path->sad);
}

static void op_spi_release(void *ctx, uint32_t spi)
{
	sad_release(&((struct tunnel *)ctx)->path->sad, spi);
}

static nsec_t op_last_inbound(void *ctx, const struct ike_sa *sa)
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

/* ---- the whole ---- */

struct tunnel *tunnel_new(const struct tunnel_ops *ops, const struct ike_settings *settings,
			  uint64_t history_cap, struct rng *rng, struct log *log)
{
	struct tunnel *t = xzalloc(sizeof(*t));
	const struct ike_ops ike_ops = {
		.ctx = t,
		.send = op_send,
		.spi_reserve = op_spi_reserve,
		.spi_release = op_spi_release,
		.child_install = op_child_install,
		.child_event = op_child_event,
		.child_result = op_child_result,
		.ike_event = op_ike_event,
		.last_inbound = op_last_inbound,
	};

	t->ops = *ops;
	t->rng = rng;
	t->log = log;
	LIST_INIT(&t->conns);
	deadlines_init(&t->deadlines);
	t->path = esp_path_new(history_cap, rng);
	t->ike = ike_new(&ike_ops, settings, rng, log);
	return t;
}

static void child_remove(struct tun_child *k)
{
	struct tun_sa *s;

	trap_set(k, false);
	while ((s = LIST_FIRST(&k->sas))) {
		if (s->ike)
			s->ike->owner = NULL;
		forget_sa(s);
	}
	deadline_clear(&k->conn->tunnel->deadlines, &k->recovery.timer);
	LIST_REMOVE(k, link);
	free(k);
}

static void conn_remove(struct tun_conn *c)
{
	struct tun_child *k;

	while ((k = LIST_FIRST(&c->children)))
		child_remove(k);
	conn_free(c);
}

void tunnel_free(struct tunnel *t)
{
	struct tun_conn *c;

	if (!t)
		return;
	t->closing = true;
	ike_free(t->ike);
	while ((c = LIST_FIRST(&t->conns)))
		conn_remove(c);
	esp_path_free(t->path);
	deadlines_fini(&t->deadlines);
	free(t);
}

static void conn_begin(struct tunnel *t, struct conn_conf *conf, nsec_t now)
{
	struct tun_conn *c;
	bool start = false;

	/* What answers anyone has no peer yet; conn_of_peer makes its instances. */
	if (conf->remote_any || ident_is_pattern(&conf->remote_id)) {
		if (conf->remote_count == 0)
			return;
	}
	c = conn_new(t, conf);
	for (unsigned i = 0; i < conf->child_count; i++) {
		struct tun_child *k = child_of(c, &conf->children[i]);

		if (conf->children[i].start_action != START_NONE)
			trap_set(k, true);
		if (conf->children[i].start_action == START_START)
			start = k->wanted = true;
	}
	if (start)
		conn_connect(c, now);
}

static struct conn_conf *find_conf(struct conn_conf **conns, unsigned count, const char *name)
{
	for (unsigned i = 0; i < count; i++) {
		if (strcmp(conns[i]->name, name) == 0)
			return conns[i];
	}
	return NULL;
}

/* Ends what the connection has; its peer is told. */
static void conn_end(struct tun_conn *c, nsec_t now)
{
	struct ike_sa *sas[2] = {c->sa, c->beside};

	for (unsigned i = 0; i < 2; i++) {
		if (!sas[i])
			continue;
		sas[i]->owner = NULL;
		ike_sa_delete(sas[i], now);
	}
	conn_remove(c);
}

/* The configured connections that stay hand their conf object over: pointers into it are in use. */
void tunnel_configure(struct tunnel *t, struct conn_conf **conns, unsigned count,
		      bool (*same)(const struct conn_conf *a, const struct conn_conf *b),
		      nsec_t now)
{
	struct conn_conf **kept = xreallocarray(NULL, count, sizeof(*kept));
	struct tun_conn *c, *next;

	t->now = now;
	for (unsigned i = 0; i < count; i++)
		kept[i] = conns[i];
	for (c = LIST_FIRST(&t->conns); c; c = next) {
		struct conn_conf *new = find_conf(conns, count, c->conf->name);

		next = LIST_NEXT(c, link);
		if (!new || !same || !same(c->conf, new)) {
			conn_end(c, now);
			continue;
		}
		for (unsigned i = 0; i < count; i++) {
			if (conns[i] == new)
				kept[i] = c->conf;
		}
	}
	ike_set_conns(t->ike, kept, count);
	for (unsigned i = 0; i < count; i++) {
		if (kept[i] == conns[i])
			conn_begin(t, conns[i], now);
	}
	free(kept);
}

void tunnel_receive_ike(struct tunnel *t, const struct endpoint *local,
			const struct endpoint *remote, const uint8_t *p, size_t len, nsec_t now)
{
	t->now = now;
	ike_receive(t->ike, local, remote, p, len, now);
}

static void moved(struct tun_sa *s, struct esp_sa *sa, nsec_t now)
{
	struct tun_child *k;
	struct tun_sa *o;

	sa->in.peer = sa->in.moved_to;
	if (!s->ike || !ike_peer_moved(s->ike->ike_sa, &sa->in.moved_to, now))
		return;
	LIST_FOREACH (k, &s->child->conn->children, link) {
		LIST_FOREACH (o, &k->sas, link) {
			struct esp_sa *e =
				o->ike && o->ike->ike_sa == s->ike->ike_sa ? tun_sa_esp(o) : NULL;

			if (e)
				e->out.dest.remote = sa->in.moved_to;
		}
	}
}

static void nonce_reuse(struct tun_sa *s, const struct esp_sa *sa)
{
	tun_event(s->child, TUNNEL_EVENT_SECURITY, LOG_LEVEL_ERROR,
		  "SECURITY: SPI %08x: the peer used a nonce twice under %s: %s", s->spi,
		  sa->in.suite->name,
		  sa->in.exposed ? "the SA's authentication key is exposed"
				 : "the one-time key of that nonce is exposed");
}

static void handle_events(struct tun_sa *s, struct esp_sa *sa, uint32_t events, nsec_t now)
{
	if (events & ESP_EVENT_MOVED)
		moved(s, sa, now);
	if (events & ESP_EVENT_NONCE_REUSE)
		nonce_reuse(s, sa);
	if (events & ESP_EVENT_FIRST_FRESH) {
		if (s->ike)
			ike_child_heard(s->ike, now);
		recovery_sa_fresh(s->child, s, now);
	}
	if (events & ESP_EVENT_RETIRED_HEARD)
		recovery_retired_heard(s, now);
	if (!s->ike)
		return;
	if (events & ESP_EVENT_SWITCHOVER && sa->in.detector.state == DETECTOR_CONFIRMED)
		recovery_confirmed(s, sa->in.detector.criterion, now);
	if (events & (ESP_EVENT_SOFT_LIFETIME | ESP_EVENT_SEQ_HIGH))
		ike_child_rekey(s->ike, false, now);
	if (events & ESP_EVENT_HARD_LIFETIME)
		ike_child_delete(s->ike, now);
}

static void conn_retry_due(struct tun_conn *c, nsec_t now)
{
	if (!c->dynamic)
		conn_connect(c, now);
	else if (!c->sa && !c->beside)
		conn_remove(c);
}

static void due(struct deadline *d, nsec_t now)
{
	switch ((enum tunnel_deadline)d->kind) {
	case TDL_SA_END: {
		struct tun_sa *s = container_of(d, struct tun_sa, end);

		if (s->ike) /* its DELETE is not answered yet */
			s->ike->owner = NULL;
		forget_sa(s);
		break;
	}
	case TDL_CONN_RETRY: conn_retry_due(container_of(d, struct tun_conn, retry), now); break;
	case TDL_CONN_RUNG3: conn_beside(container_of(d, struct tun_conn, rung3), now); break;
	case TDL_RECOVERY:
		recovery_timer(container_of(d, struct tun_child, recovery.timer), now);
		break;
	}
}

void tunnel_turn(struct tunnel *t, nsec_t now)
{
	struct esp_sa *sa;
	struct deadline *d;
	uint32_t events;

	t->now = now;
	while ((sa = sad_take_dirty(&t->path->sad, &events)))
		handle_events(sa->owner, sa, events, now);
	if (t->path->no_sa_hint) {
		t->path->no_sa_hint = false;
		ike_outsider_hint(t->ike, &t->path->no_sa_from, now);
	}
	while ((d = deadline_pop(&t->deadlines, now)))
		due(d, now);
	ike_tick(t->ike, now);
}

nsec_t tunnel_next_deadline(const struct tunnel *t)
{
	if (t->path->sad.dirty || t->path->no_sa_hint)
		return 0;
	return min_u64(deadline_next(&t->deadlines), ike_next_deadline(t->ike));
}

void tunnel_acquire(struct tunnel *t, const struct spd_policy *policy, const struct inner *in,
		    nsec_t now)
{
	struct tun_child *k = policy->owner;
	struct ts first[2];
	struct ike_sa *sa;

	t->now = now;
	if (!policy->trap || k->asked || k->current)
		return;
	k->asked = true;
	sa = conn_established(k->conn);
	if (!sa) {
		conn_connect(k->conn, now);
		if (!k->conn->sa)
			k->asked = false;
		return;
	}
	first[0] = ts_host(&in->src, in->proto, in->sport);
	first[1] = ts_host(&in->dst, in->proto, in->dport);
	ike_child_create(sa, k->conf, in->ports_known ? first : NULL, now);
}

/* ---- control ---- */

struct tun_conn *tunnel_find_conn(struct tunnel *t, const char *name)
{
	struct tun_conn *c;

	LIST_FOREACH (c, &t->conns, link) {
		if (strcmp(c->conf->name, name) == 0)
			return c;
	}
	return NULL;
}

struct tun_child *tunnel_find_child(struct tunnel *t, const char *name)
{
	const char *slash = strchr(name, '/');
	struct tun_conn *c;
	struct tun_child *k;

	LIST_FOREACH (c, &t->conns, link) {
		size_t len = slash ? (size_t)(slash - name) : 0;

		if (slash &&
		    (strlen(c->conf->name) != len || memcmp(c->conf->name, name, len) != 0))
			continue;
		LIST_FOREACH (k, &c->children, link) {
			if (strcmp(k->conf->name, slash ? slash + 1 : name) == 0)
				return k;
		}
	}
	return NULL;
}

void tunnel_child_up(struct tun_child *c, nsec_t now)
{
	struct ike_sa *sa = conn_established(c->conn);

	c->wanted = true;
	if (c->current || c->asked)
		return;
	c->asked = true;
	if (sa)
		ike_child_create(sa, c->conf, NULL, now);
	else
		conn_connect(c->conn, now);
}

void tunnel_child_down(struct tun_child *c, nsec_t now)
{
	struct tun_sa *s;

	c->wanted = c->asked = false;
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

bool tunnel_close(struct tunnel *t, nsec_t now)
{
	struct ike_sa *sa, *tmp;

	t->closing = true;
	t->now = now;
	HASH_ITER (hh, t->ike->sas, sa, tmp)
		ike_sa_delete(sa, now);
	return HASH_COUNT(t->ike->sas) == 0;
}

void tunnel_resolved(struct tunnel *t, const char *conn, const struct endpoint *remote,
		     unsigned count, nsec_t now)
{
	struct tun_conn *c = tunnel_find_conn(t, conn);

	t->now = now;
	if (!c || count == 0)
		return;
	c->conf->remote_count = (uint8_t)min_u64(count, CONN_MAX_ADDRS);
	memcpy(c->conf->remote, remote, c->conf->remote_count * sizeof(*remote));
	if (!c->sa && conn_wanted(c))
		conn_connect(c, now);
}
