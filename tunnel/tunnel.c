/* tunnel.c - configuration, events of the data path, control, timers; see tunnel.h.
 * SPDX-License-Identifier: ISC */
#include "addresses.h"
#include "backup.h"
#include "child.h"
#include "conn.h"
#include "problem.h"
#include "refusal.h"
#include "held.h"
#include "pool.h"
#include "recovery.h"
#include "totals.h"
#include "tunnel_sa.h"
#include "xalloc.h"

/* ---- what the engine asks of us ---- */

static void op_ike_event(void *ctx, struct ike_sa *sa, enum ike_sa_event e, struct ike_sa *other,
			 const char *why, nsec_t now)
{
	struct tunnel *t = ctx;

	conn_on_ike_event(t, sa, e, other, why, now);
}

static int op_send(void *ctx, const struct endpoint *local, const struct endpoint *remote,
		   const uint8_t *p, size_t len)
{
	struct tunnel *t = ctx;

	return t->ops.send(t->ops.ctx, local, remote, p, len);
}

static int64_t op_wall_clock(void *ctx)
{
	const struct tunnel *t = ctx;

	return t->ops.wall_clock(t->ops.ctx);
}

static void op_synced(void *ctx, struct ike_sa *sa, uint64_t delta, nsec_t now)
{
	struct tunnel_conn *c = ike_sa_owner(sa);
	struct tunnel_child *k;

	(void)ctx;
	if (!c)
		return;
	LIST_FOREACH (k, &c->children, link)
		hint_synced(k, sa, delta, now);
}

static void op_keys(void *ctx, const struct ike_sa *sa, const struct ike_keys *keys)
{
	struct tunnel *t = ctx;

	if (t->ops.ike_keys)
		t->ops.ike_keys(t->ops.ctx, sa, keys);
}

static uint32_t op_spi_reserve(void *ctx)
{
	return sad_reserve(&((struct tunnel *)ctx)->path->sad);
}

static void op_spi_release(void *ctx, uint32_t spi)
{
	sad_release(&((struct tunnel *)ctx)->path->sad, spi);
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
		.child_install = tunnel_child_install,
		.child_admit = tunnel_child_admit,
		.child_event = tunnel_child_event,
		.child_result = tunnel_child_result,
		.ike_event = op_ike_event,
		.refused = tunnel_on_refusal,
		.problem = tunnel_on_problem,
		.synced = op_synced,
		.keys = op_keys,
		.wall_clock = op_wall_clock,
		.last_inbound = tunnel_last_inbound,
		.has_other_way = tunnel_has_other_way,
		.keep_mapping = tunnel_keep_mapping,
		.config_assign = tunnel_config_assign,
	};

	t->ops = *ops;
	t->rng = rng;
	t->log = log;
	LIST_INIT(&t->conns);
	SLIST_INIT(&t->held);
	deadlines_init(&t->deadlines);
	t->path = esp_path_new(history_cap, rng);
	t->ike = ike_new(&ike_ops, settings, rng, log);
	return t;
}

void tunnel_free(struct tunnel *t)
{
	struct tunnel_conn *c;

	if (!t)
		return;
	t->closing = true;
	ike_free(t->ike, t->now);
	t->ike = NULL;
	while ((c = LIST_FIRST(&t->conns)))
		conn_remove(c);
	held_release(t, &t->held);
	refusal_free(t->refusal);
	problems_free(t);
	totals_free(t);
	pools_free(t);
	esp_path_free(t->path);
	deadlines_fini(&t->deadlines);
	free(t);
}

struct tunnel_conn *conn_configured(struct tunnel *t, const struct conn_conf *conf)
{
	struct tunnel_conn *c = conn_new(t, conf);

	HASH_ADD(by_conf, t->configured, conf, sizeof(c->conf), c);
	for (unsigned i = 0; i < conf->child_count; i++) {
		struct tunnel_child *k = tunnel_child_of(c, &conf->children[i]);

		if (conf->children[i].start_action != START_NONE)
			tunnel_child_trap(k, true);
		k->wanted = conf->children[i].start_action == START_START;
	}
	return c;
}

static void conn_begin(struct tunnel *t, const struct conn_conf *conf, nsec_t now)
{
	/* A connection that only responds has no peer yet; conn_of_peer makes one for each. */
	if (!conn_only_answers(conf))
		conn_mend(conn_configured(t, conf), now);
}

static bool ppk_changed(const char *id, const struct psk_store *old, const struct psk_store *new)
{
	return id && *id && !ppk_same(ppk_find(old, id), ppk_find(new, id));
}

/* Why what the IKE SA was authenticated with is not valid any more; NULL: it is. */
static const char *why_revoked(const struct ike_sa *sa, const struct psk_store *old,
			       const struct conn_set *new, char buf[TRUST_WHY_MAX])
{
	if (ppk_changed(ike_sa_ppk_id(sa), old, new->secrets))
		return "its post-quantum key was removed or changed";
	return ike_sa_is_trusted(sa, new->creds, buf) ? NULL : buf;
}

/* The secrets so far, if their change is to end what they were used for; otherwise NULL. */
static const struct psk_store *revocable(const struct tunnel *t)
{
	/* After tunnel_load, which compares, there are none yet. */
	return ike_settings_of(t->ike)->old_secrets_stay ? NULL : ike_secrets(t->ike);
}

/* The peer's secret was removed or changed, or its certificate or key is not trusted any more. */
static bool is_revoked(const struct tunnel_conn *c, const struct conn_set *new)
{
	const struct psk_store *old = revocable(c->tunnel);
	const struct ident *ours = &c->conf->local_id, *peers = conn_peer(c);
	char buf[TRUST_WHY_MAX];
	const char *why;

	if (!old)
		return false;
	if (conn_has_psk(c->conf) &&
	    !psk_same(psk_find(old, ours, peers), psk_find(new->secrets, ours, peers)))
		return true;
	if (ppk_changed(c->conf->ppk_id, old, new->secrets))
		return true;
	why = c->sa ? why_revoked(c->sa, old, new, buf) : NULL;
	if (!why)
		return false;
	log_warn(c->tunnel->log, "%s: the peer is not trusted any more: %s", c->conf->name, why);
	return true;
}

/* Of the further IKE SAs of connections that stay, those that were revoked end. */
static void end_revoked(const struct tunnel *t, const struct conn_set *new)
{
	const struct psk_store *old = revocable(t);
	const struct tunnel_conn *c;
	struct ike_sa *sa, *next;
	char buf[TRUST_WHY_MAX];

	for (sa = old ? ike_first_sa(t->ike) : NULL; sa; sa = next) {
		const char *why;

		next = ike_next_sa(sa);
		c = ike_sa_owner(sa);
		if (!c || sa == c->sa || !ike_sa_established(sa))
			continue;
		why = why_revoked(sa, old, new, buf);
		if (!why)
			continue;
		log_warn(t->log, "%s: the peer of an IKE SA is not trusted any more: %s",
			 c->conf->name, why);
		ike_sa_delete(sa, t->now);
	}
}

struct tunnel_conn *conn_static(const struct tunnel *t, const struct conn_conf *conf)
{
	struct tunnel_conn *c;

	HASH_FIND(by_conf, t->configured, &conf, sizeof(conf), c);
	return c;
}

void conn_end(struct tunnel_conn *c, nsec_t now)
{
	conn_disown(c, true, now);
	conn_remove(c);
}

/*
 * The place in conns of the new configuration of a connection that stays as it is; -1: it has to
 * end.
 */
static int stays_at(const struct tunnel_conn *c, const struct conn_set *conns,
		    const struct conn_names *names, conn_same *same)
{
	int at = conn_names_find(names, c->conf->name);

	if (at < 0 || !same || !same(c->conf, conns->v[at]) || is_revoked(c, conns))
		return -1;
	return at;
}

/* A connection that stays keeps its conf in place of the new one: pointers into it are in use. */
void tunnel_configure(struct tunnel *t, const struct conn_set *conns, conn_same *same, nsec_t now)
{
	struct conn_set kept = conn_set_copy(conns);
	struct conn_names *names = conn_names_new(conns);
	struct tunnel_conn *c, *next;

	t->now = now;
	backups_forget(t);
	for (c = LIST_FIRST(&t->conns); c; c = next) {
		int at = stays_at(c, conns, names, same);

		next = LIST_NEXT(c, link);
		if (at < 0) {
			conn_end(c, now);
			continue;
		}
		/* Several dynamic ones have one configuration. */
		if (kept.v[at] == c->conf)
			continue;
		conn_unref(kept.v[at]);
		kept.v[at] = conn_ref(c->conf);
	}
	end_revoked(t, conns);
	ike_set_conns(t->ike, &kept, same, now);
	for (unsigned i = 0; i < kept.count; i++) {
		if (!conn_static(t, kept.v[i]))
			conn_begin(t, kept.v[i], now);
	}
	backups_configure(t, &kept, names);
	problems_configure(t, &kept);
	totals_configure(t, &kept);
	held_configure(t, conns);
	conn_names_free(names);
	conn_set_fini(&kept);
}

void tunnel_only_udp(struct tunnel *t)
{
	t->only_udp = true;
	ike_only_udp(t->ike);
}

void tunnel_receive_ike(struct tunnel *t, const struct endpoint *local,
			const struct endpoint *remote, const uint8_t *p, size_t len, nsec_t now)
{
	t->now = now;
	ike_receive(t->ike, local, remote, p, len, now);
}

/* A FRESH packet came from another endpoint: the IKE SA decides whether its ESP SAs follow. */
static void moved(struct tunnel_sa *s, struct esp_sa *sa, nsec_t now)
{
	sa->in.peer = sa->in.moved_to;
	if (s->ike)
		(void)ike_peer_moved(child_sa_ike(s->ike), &sa->in.moved_to, now);
}

static void nonce_reuse(struct tunnel_sa *s, const struct esp_sa *sa)
{
	tunnel_event(s->child, TUNNEL_EVENT_SECURITY, LOG_LEVEL_ERROR,
		     "SECURITY: SPI %08x: the peer used a nonce twice under %s: %s", s->spi,
		     sa->in.suite->name,
		     sa->in.exposed ? "the SA's authentication key is exposed"
				    : "the one-time key of that nonce is exposed");
}

static void handle_events(struct tunnel_sa *s, struct esp_sa *sa, uint32_t events, nsec_t now)
{
	if (events & ESP_EVENT_MOVED)
		moved(s, sa, now);
	if (events & ESP_EVENT_NONCE_REUSE)
		nonce_reuse(s, sa);
	if (events & ESP_EVENT_FIRST_FRESH) {
		tunnel_sa_heard(s, now);
		recovery_sa_fresh(s, now);
	}
	if (events & ESP_EVENT_RETIRED_HEARD)
		hint_retired_heard(s, now);
	if (events & ESP_EVENT_SWITCHOVER && s->ike && sa->in.detector.state == DETECTOR_CONFIRMED)
		recovery_confirmed(s, sa->in.detector.criterion, now);
	if (events & ESP_EVENT_THIRD_LAP)
		recovery_third_lap(s, now);
	if (events & ESP_EVENT_HARD_LIFETIME)
		s->expires = now;
	/* It may have to end: tunnel_sa_end looks. */
	if (s->kept && events & (ESP_EVENT_HARD_LIFETIME | ESP_EVENT_NONCE_REUSE))
		deadline_set(&s->child->conn->tunnel->deadlines, &s->end, now);
	/* A recovery may have made the engine forget the CHILD SA. */
	if (!s->ike)
		return;
	if (events & (ESP_EVENT_SOFT_LIFETIME | ESP_EVENT_SEQ_HIGH))
		ike_child_rekey(s->ike, 0, now);
	if (events & ESP_EVENT_HARD_LIFETIME)
		ike_child_delete(s->ike, now);
}

void tunnel_turn(struct tunnel *t, nsec_t now)
{
	struct esp_sa *sa;
	uint32_t events;

	t->now = now;
	while ((sa = sad_take_dirty(&t->path->sad, &events)))
		handle_events(sa->owner, sa, events, now);
	if (t->path->no_sa_hint) {
		t->path->no_sa_hint = false;
		ike_outsider_hint(t->ike, &t->path->no_sa_from, now);
	}
	deadlines_run(&t->deadlines, now);
	ike_tick(t->ike, now);
}

nsec_t tunnel_next_deadline(const struct tunnel *t)
{
	if (t->path->sad.dirty || t->path->no_sa_hint)
		return 0;
	return min_u64(deadline_next(&t->deadlines), ike_next_deadline(t->ike));
}

/*
 * The selector of a packet, for one side (RFC 7296 2.9). Where the packet shows no ports, as a
 * later fragment, it is that for any port, or OPAQUE if only this is what the policy has.
 */
static struct ts first_selector(const struct ts_list *policy, const struct addr *a,
				const struct inner *in, uint16_t port)
{
	struct ts t = ts_host(a, in->proto, port);

	if (in->ports_known)
		return t;
	t.port_lo = UINT16_MAX;
	t.port_hi = 0;
	for (unsigned i = 0; i < policy->count; i++) {
		if (ts_any_port(&policy->ts[i]) && ts_contains(&policy->ts[i], &t)) {
			t.port_lo = 0;
			t.port_hi = UINT16_MAX;
			break;
		}
	}
	return t;
}

void tunnel_acquire(struct tunnel *t, const struct spd_policy *policy, const struct inner *in,
		    nsec_t now)
{
	struct tunnel_child *k = policy->owner;
	struct ts first[2];

	t->now = now;
	/* Packets may come at any rate: after a failure not each of them starts an attempt. */
	if (!policy->trap || k->asked_on || k->current || now < k->not_before ||
	    (!k->conn->sa && now < k->conn->not_before))
		return;
	first[0] = first_selector(policy->local, &in->src, in, in->sport);
	first[1] = first_selector(policy->remote, &in->dst, in, in->dport);
	conn_ask(k, first, now, now);
}

/* ---- control ---- */

struct tunnel_conn *tunnel_find_conn(struct tunnel *t, const char *name)
{
	struct tunnel_conn *c;

	LIST_FOREACH (c, &t->conns, link) {
		if (strcmp(c->conf->name, name) == 0)
			return c;
	}
	return NULL;
}

struct tunnel_child *tunnel_find_child(struct tunnel *t, const char *name)
{
	const char *slash = strchr(name, '/');
	struct tunnel_conn *c;
	struct tunnel_child *k;

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

bool tunnel_close(struct tunnel *t, nsec_t now)
{
	struct ike_sa *sa, *next;

	t->closing = true;
	t->now = now;
	for (sa = ike_first_sa(t->ike); sa; sa = next) {
		next = ike_next_sa(sa);
		ike_sa_delete(sa, now);
	}
	return ike_sa_count(t->ike) == 0;
}

void tunnel_resolved(struct tunnel *t, const struct conn_conf *conf, const struct endpoint *found,
		     const uint8_t *name_of, unsigned count, nsec_t now)
{
	struct tunnel_conn *c;

	t->now = now;
	conn_resolved(conf, found, name_of, count);
	LIST_FOREACH (c, &t->conns, link) {
		if (c->conf != conf || c->dynamic)
			continue;
		if (conn_remote_count(conf) > 0)
			problem_resolved(c, now);
		if (c->sa && ike_sa_state(c->sa) == IKE_STATE_INIT_SENT &&
		    !conn_has_remote(conf, &ike_sa_remote(c->sa)->addr))
			ike_sa_drop(c->sa, "the host name of the peer resolves to another address",
				    now);
		if (!c->sa)
			conn_mend(c, now);
		addresses_look(c, now);
	}
}
