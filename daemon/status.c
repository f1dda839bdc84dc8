/* status.c - see status.h. SPDX-License-Identifier: ISC */
#include "status.h"
#include "expiry.h"
#include "totals.h"

#include <stdio.h>
#include <time.h>

static json_t *hex(uint64_t v, int digits)
{
	return json_sprintf("%0*llx", digits, (unsigned long long)v);
}

static double seconds(nsec_t t)
{
	return (double)t / NSEC_PER_SEC;
}

/* Seconds since t, or null if t is 0: it has not happened. */
static json_t *age(nsec_t now, nsec_t t)
{
	return t && t <= now ? json_real(seconds(now - t)) : json_null();
}

/* Seconds until t, or null if t is 0: it will not happen. */
static json_t *until(nsec_t now, nsec_t t)
{
	return t ? json_real(seconds(t > now ? t - now : 0)) : json_null();
}

/* The same of a deadline, but null once its time has come. */
static json_t *until_future(nsec_t now, const struct deadline *d)
{
	return until(now, deadline_is_set(d) && d->at > now ? d->at : 0);
}

static json_t *selectors(const struct ts_list *l)
{
	json_t *a = json_array();
	char s[TS_STRLEN];

	for (unsigned i = 0; i < l->count; i++)
		json_array_append_new(a, json_string(ts_format(&l->ts[i], s)));
	return a;
}

static json_t *count(uint64_t v)
{
	return json_integer((json_int_t)v);
}

static json_t *verdicts(const uint64_t *v)
{
	json_t *o = json_object();

	for (int i = 0; i < VERDICT_COUNT; i++)
		json_object_set_new(o, verdict_name((enum verdict)i),
				    json_integer((json_int_t)v[i]));
	return o;
}

/* What we offer, one string each, in the words of the configuration. */
static json_t *proposals_json(const struct proposal_list *l)
{
	json_t *a = json_array();
	char s[PROPOSAL_STRLEN];

	for (unsigned i = 0; i < l->count; i++) {
		bool is_default = i >= l->default_at && i - l->default_at < l->default_count;

		if (!is_default)
			json_array_append_new(a,
					      json_string(proposal_format(&l->p[i], s, sizeof(s))));
		else if (i == l->default_at)
			json_array_append_new(a, json_string("default"));
	}
	return a;
}

/* The last time that proposals did not fit, or null. */
static json_t *refusal_json(const struct tunnel_refusal *r, nsec_t now)
{
	json_t *o;

	if (!r)
		return json_null();
	o = json_pack("{s:o, s:s, s:s, s:s}", "age", age(now, r->at), "exchange", r->exchange, "by",
		      r->by_peer ? "peer" : "us", "text", r->text);
	if (r->conn)
		json_object_set_new(o, "connection", json_string(r->conn));
	return o;
}

/* The last problem, or null. current: it is still what keeps it down. */
static json_t *problem_json(const struct tunnel_problem *p, bool current, nsec_t now)
{
	if (!p)
		return json_null();
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:i, s:b, s:b}", "kind",
			 ike_problem_name(p->what), "stage", problem_stage_name(problem_stage(p)),
			 "text", p->text, "advice", problem_advice(p->what), "age", age(now, p->at),
			 "since", age(now, p->since), "count", (int)p->count, "current", current,
			 "over", p->over != 0);
}

static json_t *sa_json(const struct tunnel_sa *s, nsec_t now)
{
	const struct esp_sa *sa = tunnel_sa_esp(s);
	char suite[192];
	json_t *o = json_object();

	json_object_set_new(o, "spi_in", hex(s->spi, 8));
	json_object_set_new(o, "spi_out", hex(s->spi_out, 8));
	json_object_set_new(o, "state",
			    json_string(s->retired ? "retired"
					: s->kept  ? "kept"
					: s->ike   ? child_state_name(child_sa_state(s->ike))
						   : "down"));
	json_object_set_new(o, "age", age(now, s->installed));
	json_object_set_new(o, "local_ts", selectors(s->policy.local));
	json_object_set_new(o, "remote_ts", selectors(s->policy.remote));
	json_object_set_new(o, "rekey_in", until(now, s->ike ? child_sa_rekey_at(s->ike) : 0));
	json_object_set_new(o, "expires_in", until(now, s->ike ? child_sa_expires_at(s->ike) : 0));
	if (s->ike)
		json_object_set_new(
			o, "proposal",
			json_string(choice_format(child_sa_choice(s->ike), suite, sizeof(suite))));
	if (!sa)
		return o;
	json_object_set_new(o, "backend", json_string(aead_backend_name(sa->in.key)));
	json_object_set_new(o, "packets_in", json_integer((json_int_t)sa->in.packets));
	json_object_set_new(o, "bytes_in", json_integer((json_int_t)sa->in.bytes));
	json_object_set_new(o, "packets_out", json_integer((json_int_t)sa->out.packets));
	json_object_set_new(o, "bytes_out", json_integer((json_int_t)sa->out.bytes));
	json_object_set_new(o, "replay_protection", json_boolean(!sa->in.unprotected));
	json_object_set_new(o, "number_in", json_integer((json_int_t)sa->in.window.top));
	json_object_set_new(o, "number_out", json_integer((json_int_t)sa->out.number));
	json_object_set_new(o, "last_fresh", age(now, sa->in.last_fresh));
	json_object_set_new(o, "verdicts", verdicts(sa->in.verdicts));
	return o;
}

/* The SA to look at first: one in recovery, then the one in use with the highest detector state. */
static const struct tunnel_sa *worst_sa(const struct tunnel_child *k)
{
	const struct tunnel_sa *s, *worst = k->current;
	int most = -1;

	LIST_FOREACH (s, &k->sas, link) {
		const struct esp_sa *sa = tunnel_sa_esp(s);
		int much = sa ? (s->recovery.state != RECOVERY_IDLE) * 8 +
					   (s->retired ? 0 : 1 + (int)sa->in.detector.state)
			      : -1;

		if (much > most) {
			most = much;
			worst = s;
		}
	}
	return worst;
}

static enum recovery_state recovery_of(const struct tunnel_child *k)
{
	const struct tunnel_sa *worst = worst_sa(k);

	return worst ? worst->recovery.state : RECOVERY_IDLE;
}

static json_t *child_json(const struct tunnel_child *k, nsec_t now)
{
	const struct tunnel_sa *s;
	uint64_t in, out;
	json_t *o = json_object(), *sas = json_array();

	json_object_set_new(o, "name", json_string(k->conf->name));
	if (k->conf->device)
		json_object_set_new(o, "device", json_string(k->conf->device));
	json_object_set_new(o, "state",
			    json_string(k->current				   ? "up"
					: tunnel_child_is_kept(k)		   ? "kept"
					: k->asked_on || tunnel_child_is_wanted(k) ? "starting"
					: tunnel_child_is_trapped(k)		   ? "trapped"
										   : "down"));
	json_object_set_new(o, "wanted", json_boolean(tunnel_child_is_wanted(k)));
	json_object_set_new(o, "traffic_to_backup", json_boolean(k->conn->demoted || k->demoted));
	totals_bytes(k, &in, &out);
	json_object_set_new(o, "bytes_in", count(in));
	json_object_set_new(o, "bytes_out", count(out));
	json_object_set_new(o, "recovery", json_string(recovery_state_name(recovery_of(k))));
	json_object_set_new(o, "rekeys", json_integer((json_int_t)k->rekeys));
	json_object_set_new(o, "failures", json_integer((json_int_t)k->failures));
	json_object_set_new(o, "esp_proposals", proposals_json(&k->conf->proposals));
	json_object_set_new(o, "refusal", refusal_json(k->refusal, now));
	json_object_set_new(o, "last_error",
			    problem_json(k->problem, problem_is_current(k->conn, k), now));
	LIST_FOREACH (s, &k->sas, link)
		json_array_append_new(sas, sa_json(s, now));
	json_object_set_new(o, "sas", sas);
	return o;
}

static json_t *cert_json(const struct cert *c)
{
	int64_t end = cert_not_after(c);
	char subject[IDENT_STRLEN];
	json_t *o = json_object();

	json_object_set_new(o, "subject", json_string(expiry_subject(c, subject)));
	json_object_set_new(o, "ends_in",
			    end == CERT_NO_TIME
				    ? json_null()
				    : json_integer((json_int_t)(end - (int64_t)time(NULL))));
	return o;
}

static json_t *ike_json(const struct ike_sa *sa, nsec_t now)
{
	char e[ENDPOINT_STRLEN], id[IDENT_STRLEN], suite[192];
	json_t *o = json_object();

	json_object_set_new(o, "spi_i", hex(ike_sa_spi_i(sa), 16));
	json_object_set_new(o, "spi_r", hex(ike_sa_spi_r(sa), 16));
	json_object_set_new(o, "role",
			    json_string(ike_sa_is_initiator(sa) ? "initiator" : "responder"));
	json_object_set_new(o, "state", json_string(ike_state_name(ike_sa_state(sa))));
	json_object_set_new(o, "local", json_string(endpoint_format(ike_sa_local(sa), e)));
	json_object_set_new(o, "remote", json_string(endpoint_format(ike_sa_remote(sa), e)));
	json_object_set_new(o, "esp_in_udp", json_boolean(ike_sa_in_udp(sa)));
	json_object_set_new(o, "peer_id", json_string(ident_format(ike_sa_peer_id(sa), id)));
	if (ike_sa_proof(sa) && ike_sa_proof(sa)->chain.count)
		json_object_set_new(o, "peer_certificate", cert_json(ike_sa_proof(sa)->chain.v[0]));
	json_object_set_new(o, "nat",
			    json_string(ike_sa_we_natted(sa)	 ? "local"
					: ike_sa_peer_natted(sa) ? "remote"
								 : "none"));
	json_object_set_new(o, "fragments", json_boolean(ike_sa_fragments(sa)));
	json_object_set_new(o, "fragment_size", json_integer(ike_sa_fragment_size(sa)));
	json_object_set_new(o, "established", age(now, ike_sa_established(sa)));
	json_object_set_new(o, "rekey_in", until(now, ike_sa_rekey_at(sa)));
	json_object_set_new(o, "expires_in", until(now, ike_sa_expires_at(sa)));
	json_object_set_new(o, "last_heard", age(now, ike_sa_last_heard(sa)));
	json_object_set_new(o, "message_id", json_integer(ike_sa_next_id(sa)));
	json_object_set_new(o, "waiting", json_boolean(ike_sa_is_asking(sa)));
	if (ike_sa_choice(sa)->suite)
		json_object_set_new(
			o, "proposal",
			json_string(choice_format(ike_sa_choice(sa), suite, sizeof(suite))));
	if (ike_sa_choice(sa)->suite)
		json_object_set_new(
			o, "key_exchange",
			json_string(choice_format_kex(ike_sa_choice(sa), suite, sizeof(suite))));
	if (*ike_sa_ppk_id(sa))
		json_object_set_new(o, "ppk_id", json_string(ike_sa_ppk_id(sa)));
	return o;
}

bool status_is_named(const struct conn_conf *c, const struct child_conf *k, const char *name)
{
	char full[512];

	if (!name || strcmp(name, c->name) == 0 || strcmp(name, k->name) == 0)
		return true;
	snprintf(full, sizeof(full), "%s/%s", c->name, k->name);
	return strcmp(name, full) == 0;
}

/* Which one of the peers of a connection that several may call. */
static void add_peer(json_t *o, const struct tunnel_conn *c)
{
	char id[IDENT_STRLEN];

	if (c->dynamic)
		json_object_set_new(o, "peer", json_string(ident_format(&c->peer_id, id)));
}

static json_t *conn_json(const struct tunnel_conn *c, const char *name, nsec_t now)
{
	const struct tunnel_child *k;
	const struct ike_sa *sa;
	json_t *o = json_object(), *children = json_array(), *ike = json_array();
	const struct conn_creds *creds = cred_find(ike_credentials(c->tunnel->ike), c->conf->name);
	const struct deadline *back = c->demoted ? &c->trusted : &c->failback;

	json_object_set_new(o, "name", json_string(c->conf->name));
	add_peer(o, c);
	if (creds && creds->chain.count)
		json_object_set_new(o, "certificate", cert_json(creds->chain.v[0]));
	if (c->sa)
		json_array_append_new(ike, ike_json(c->sa, now));
	/* All others: those of rung 3, one too many, and those on their way out. */
	for (sa = ike_first_sa(c->tunnel->ike); sa; sa = ike_next_sa(sa)) {
		if (sa != c->sa && ike_sa_owner(sa) == c)
			json_array_append_new(ike, ike_json(sa, now));
	}
	json_object_set_new(o, "ike_sas", ike);
	json_object_set_new(o, "failures", json_integer(c->failures));
	json_object_set_new(o, "proposals", proposals_json(&c->conf->proposals));
	json_object_set_new(o, "refusal", refusal_json(c->refusal, now));
	json_object_set_new(o, "last_error",
			    problem_json(c->problem, problem_is_current(c, NULL), now));
	json_object_set_new(o, "next_try", until_future(now, &c->retry));
	json_object_set_new(o, "backup",
			    c->backup ? json_string(c->backup->conf->name) : json_null());
	json_object_set_new(o, "traffic_to_backup", json_boolean(c->demoted));
	json_object_set_new(o, "failback_in", until_future(now, back));
	LIST_FOREACH (k, &c->children, link) {
		if (status_is_named(c->conf, k->conf, name))
			json_array_append_new(children, child_json(k, now));
	}
	json_object_set_new(o, "children", children);
	return o;
}

/* Each member is a uint64_t of struct daemon. */
#define IO_COUNTER(name, member)                      \
	{                                             \
		name, offsetof(struct daemon, member) \
	}

static const struct {
	const char *name;
	size_t at;
} io_counters[] = {
	IO_COUNTER("rx_receives", io.rx_receives),
	IO_COUNTER("rx_datagrams", io.rx_datagrams),
	IO_COUNTER("rx_bytes", io.rx_bytes),
	IO_COUNTER("rx_errors", io.rx_errors),
	IO_COUNTER("rx_truncated", io.rx_truncated),
	IO_COUNTER("rx_short", io.rx_short),
	IO_COUNTER("rx_link_local", io.rx_link_local),
	IO_COUNTER("rx_keepalives", io.rx_keepalives),
	IO_COUNTER("tx_sends", io.tx_sends),
	IO_COUNTER("tx_datagrams", io.tx_datagrams),
	IO_COUNTER("tx_bytes", io.tx_bytes),
	IO_COUNTER("tx_errors", io.tx_errors),
	IO_COUNTER("tx_parked", io.tx_parked),
	IO_COUNTER("tx_refused", io.tx_refused),
	IO_COUNTER("tun_read", devices.counters.read),
	IO_COUNTER("tun_bad", devices.counters.bad_headers),
	IO_COUNTER("tun_written", devices.counters.written),
	IO_COUNTER("tun_write_errors", devices.counters.write_errors),
	IO_COUNTER("tun_refused", devices.counters.refused_runs),
};

const char *status_io(const struct daemon *d, unsigned i, uint64_t *ret)
{
	if (i >= ARRAY_SIZE(io_counters))
		return NULL;
	memcpy(ret, (const char *)d + io_counters[i].at, sizeof(*ret));
	return io_counters[i].name;
}

static json_t *io_json(const struct daemon *d)
{
	json_t *o = json_object();
	const char *name;
	uint64_t value;

	for (unsigned i = 0; (name = status_io(d, i, &value)); i++)
		json_object_set_new(o, name, json_integer((json_int_t)value));
	return o;
}

static json_t *drops_json(const struct daemon *d)
{
	json_t *o = json_object();

	for (int i = 0; i < ESP_DROP_COUNT; i++)
		json_object_set_new(o, esp_drop_name((enum esp_drop)i),
				    json_integer((json_int_t)d->tunnel->path->drops[i]));
	return o;
}

static json_t *ike_counters_json(const struct daemon *d)
{
	const uint64_t *v = ike_counters(d->tunnel->ike);
	json_t *o = json_object();

	for (int i = 0; i < IKE_COUNTERS; i++)
		json_object_set_new(o, ike_counter_name((enum ike_counter)i),
				    json_integer((json_int_t)v[i]));
	return o;
}

/* The offloads in use; for TUN those that the device accepts at the moment. */
static json_t *offload_json(const struct daemon *d)
{
	const struct udp_socket *u = &d->udp[UDP_ESP];
	const struct device *of_all = d->devices.all[0];
	char tun[64];

	return json_pack("{s:s,s:b,s:s?,s:b,s:i}", "tun",
			 tun_offloads(&of_all->tun, tun, sizeof(tun)), "udp_segment", u->segment,
			 "udp_segment_why", d->segment_why, "udp_gro", u->group_receive, "mtu",
			 (int)of_all->mtu);
}

/* The children's own devices, without the shared one. */
static json_t *devices_json(const struct daemon *d)
{
	json_t *a = json_array();

	for (uint16_t i = 1; i < d->devices.count; i++) {
		const struct device *v = d->devices.all[i];

		if (v->wanted)
			json_array_append_new(a, json_pack("{s:s,s:s,s:i}", "name", v->tun.name,
							   "link",
							   !v->readable ? "missing"
							   : v->link	? "up"
									: "down",
							   "mtu", (int)v->mtu));
	}
	return a;
}

static void add_daemon(struct daemon *d, json_t *o, nsec_t now)
{
	const struct history_budget *h = &d->tunnel->path->sad.history;

	json_object_set_new(o, "version", json_string(PACKAGE_VERSION));
	json_object_set_new(o, "uptime", json_real(seconds(now - d->started)));
	json_object_set_new(o, "tun", json_string(d->config->fixed.tun));
	json_object_set_new(o, "devices", devices_json(d));
	json_object_set_new(o, "half_open", json_integer(ike_half_open(d->tunnel->ike)));
	json_object_set_new(o, "history_memory", json_integer((json_int_t)h->used));
	json_object_set_new(o, "history_memory_max", json_integer((json_int_t)h->cap));
	json_object_set_new(o, "offload", offload_json(d));
	json_object_set_new(o, "crypto", json_string(aead_in_use()));
	json_object_set_new(o, "key_log",
			    d->config->fixed.key_log ? json_string(d->config->fixed.key_log)
						     : json_null());
	json_object_set_new(o, "io", io_json(d));
	json_object_set_new(o, "verdicts", verdicts(d->tunnel->path->verdicts));
	json_object_set_new(o, "waited", count(d->tunnel->path->waited));
	json_object_set_new(o, "drops", drops_json(d));
	json_object_set_new(o, "ike", ike_counters_json(d));
	json_object_set_new(o, "reloads", json_integer((json_int_t)d->reloads));
	json_object_set_new(o, "reload_error",
			    *d->reload_error ? json_string(d->reload_error) : json_null());
}

static bool has_connection(const struct daemon *d, const struct conn_conf *conf)
{
	const struct tunnel_conn *c;

	LIST_FOREACH (c, &d->tunnel->conns, link) {
		if (c->conf == conf)
			return true;
	}
	return false;
}

/* A configured connection that has no peer yet, as it waits to be called. */
static json_t *answers_json(const struct daemon *d, const struct conn_conf *conf, nsec_t now)
{
	json_t *o = json_object();

	json_object_set_new(o, "name", json_string(conf->name));
	json_object_set_new(o, "answers", json_true());
	json_object_set_new(o, "proposals", proposals_json(&conf->proposals));
	json_object_set_new(o, "last_error",
			    problem_json(tunnel_problem_of(d->tunnel, conf), false, now));
	json_object_set_new(o, "ike_sas", json_array());
	json_object_set_new(o, "children", json_array());
	return o;
}

static void add_answering(const struct daemon *d, json_t *conns, const char *name, nsec_t now)
{
	const struct conn_set *set = ike_conns(d->tunnel->ike);

	for (unsigned i = 0; i < set->count; i++) {
		if ((!name || strcmp(name, set->v[i]->name) == 0) && !has_connection(d, set->v[i]))
			json_array_append_new(conns, answers_json(d, set->v[i], now));
	}
}

json_t *status_json(struct daemon *d, const char *name)
{
	json_t *o = json_object(), *conns = json_array();
	nsec_t now = daemon_now();
	struct tunnel_conn *c;

	LIST_FOREACH (c, &d->tunnel->conns, link) {
		json_t *j = conn_json(c, name, now);

		if (name && strcmp(name, c->conf->name) != 0 &&
		    json_array_size(json_object_get(j, "children")) == 0)
			json_decref(j);
		else
			json_array_insert_new(conns, 0, j);
	}
	add_answering(d, conns, name, now);
	if (name && json_array_size(conns) == 0) {
		json_decref(conns);
		json_decref(o);
		return NULL;
	}
	if (!name) {
		add_daemon(d, o, now);
		json_object_set_new(o, "refusal", refusal_json(d->tunnel->refusal, now));
	}
	json_object_set_new(o, "connections", conns);
	return o;
}

/* ---- switchover ---- */

static void add_option(void *ctx, const char *name, const char *value)
{
	json_object_set_new(ctx, name, json_string(value));
}

static json_t *between(nsec_t from, nsec_t to)
{
	return from && to >= from ? json_real((double)(to - from) / NSEC_PER_MSEC) : json_null();
}

static json_t *record_json(const struct recovery_record *r, nsec_t now)
{
	json_t *o = json_object();

	json_object_set_new(o, "id", count(r->id));
	json_object_set_new(o, "outcome", json_string(r->outcome));
	json_object_set_new(o, "count", count(r->count));
	json_object_set_new(o, "criterion", json_string(criterion_name(r->criterion)));
	json_object_set_new(o, "rung", json_integer(r->rung));
	json_object_set_new(o, "age", age(now, r->first_evidence));
	json_object_set_new(o, "first_number", count(r->first_number));
	json_object_set_new(o, "window_top", count(r->top));
	json_object_set_new(o, "old_spi", hex(r->old_spi, 8));
	json_object_set_new(o, "new_spi", r->new_spi ? hex(r->new_spi, 8) : json_null());
	json_object_set_new(o, "lost", count(r->lost));
	json_object_set_new(o, "unverified", count(r->unverified));
	json_object_set_new(o, "bridged", count(r->bridged));
	json_object_set_new(o, "outage_ms", between(r->outage_from, r->outage_to));
	/* Milliseconds since the first evidence. */
	json_object_set_new(o, "confirmed_ms", between(r->first_evidence, r->confirmed));
	json_object_set_new(o, "delay_ms", json_real((double)r->delay / NSEC_PER_MSEC));
	json_object_set_new(o, "request_ms", between(r->first_evidence, r->request));
	json_object_set_new(o, "response_ms", between(r->first_evidence, r->response));
	json_object_set_new(o, "first_fresh_ms", between(r->first_evidence, r->first_fresh));
	json_object_set_new(o, "sync_ms", between(r->first_evidence, r->sync));
	return o;
}

static json_t *records_json(const struct tunnel_child *k, nsec_t now)
{
	json_t *a = json_array();
	struct tunnel_sa *s;

	LIST_FOREACH (s, &k->sas, link) {
		if (!s->recovery.record.id)
			continue;
		record_figures(s);
		json_array_append_new(a, record_json(&s->recovery.record, now));
	}
	for (unsigned i = 1; k->records && i <= RECORDS_KEPT; i++) {
		const struct recovery_record *r =
			&k->records[(k->record_next + RECORDS_KEPT - i) % RECORDS_KEPT];

		if (r->id)
			json_array_append_new(a, record_json(r, now));
	}
	return a;
}

static json_t *gate_json(const struct tunnel_child *k, nsec_t now)
{
	nsec_t proof = gate_quiet_until(&k->gate, CRITERION_PROOF, now);
	nsec_t hint = gate_quiet_until(&k->gate, CRITERION_COUNT, now);
	json_t *o = json_object();

	for (int i = 0; i < GATE_ANSWERS; i++)
		json_object_set_new(o, gate_answer_name((enum gate_answer)i),
				    json_integer((json_int_t)k->gate.answers[i]));
	json_object_set_new(o, "proof_quiet",
			    proof ? json_real(seconds(proof - now)) : json_null());
	json_object_set_new(o, "pattern_quiet",
			    hint ? json_real(seconds(hint - now)) : json_null());
	return o;
}

static const char *bridge_state(const struct esp_in_sa *in, nsec_t now)
{
	if (!in->bridge_on || in->bridge.size == 0 || in->detect.mode == DETECT_OFF ||
	    in->detect.mode == DETECT_PATTERN)
		return "off";
	if (in->bridge.closed)
		return "closed";
	if (in->phase == ESP_IN_RETIRED && now >= in->drain_until)
		return "ended";
	return in->bridge.open ? "open" : "ready";
}

static json_t *detector_json(const struct tunnel_sa *s, nsec_t now)
{
	const struct esp_sa *sa = tunnel_sa_esp(s);
	const struct detector *t;

	if (!sa)
		return json_null();
	t = &sa->in.detector;
	return json_pack("{s:s,s:s,s:i,s:i,s:o,s:I,s:I,s:b,s:o,s:b,s:s,s:s,s:I,s:I}", "state",
			 detector_state_name(t->state), "criterion", criterion_name(t->criterion),
			 "proofs", (int)t->proofs, "pattern", (int)t->pattern, "first_evidence",
			 age(now, t->first_evidence), "history_bytes",
			 (json_int_t)history_memory(&sa->in.history), "nonce_reuses",
			 (json_int_t)sa->in.nonce_reuses, "key_exposed", sa->in.exposed, "spi_in",
			 hex(s->spi, 8), "retired", s->retired, "recovery",
			 recovery_state_name(s->recovery.state), "bridge",
			 bridge_state(&sa->in, now), "bridged",
			 (json_int_t)sa->in.verdicts[VERDICT_BRIDGED], "missed",
			 (json_int_t)sa->in.missed);
}

static json_t *detectors_json(const struct tunnel_child *k, nsec_t now)
{
	json_t *a = json_array();
	const struct tunnel_sa *s;

	LIST_FOREACH (s, &k->sas, link)
		json_array_append_new(a, detector_json(s, now));
	return a;
}

static json_t *switchover_child(const struct tunnel_conn *c, const struct tunnel_child *k,
				nsec_t now)
{
	json_t *o = json_object(), *options = json_object();
	const struct tunnel_sa *worst = worst_sa(k);

	json_object_set_new(o, "connection", json_string(c->conf->name));
	add_peer(o, c);
	json_object_set_new(o, "name", json_string(k->conf->name));
	json_object_set_new(o, "detector",
			    worst && (k->current || worst->kept) ? detector_json(worst, now)
								 : json_null());
	json_object_set_new(o, "sas", detectors_json(k, now));
	json_object_set_new(o, "recovery", json_string(recovery_state_name(recovery_of(k))));
	json_object_set_new(o, "gate", gate_json(k, now));
	json_object_set_new(o, "recoveries", json_integer((json_int_t)k->recoveries));
	tunnel_options_each(&k->options, add_option, options);
	json_object_set_new(o, "options", options);
	json_object_set_new(o, "records", records_json(k, now));
	return o;
}

json_t *switchover_json(struct daemon *d, const char *name)
{
	json_t *a = json_array();
	nsec_t now = daemon_now();
	struct tunnel_conn *c;
	struct tunnel_child *k;

	LIST_FOREACH (c, &d->tunnel->conns, link) {
		LIST_FOREACH (k, &c->children, link) {
			if (status_is_named(c->conf, k->conf, name))
				json_array_append_new(a, switchover_child(c, k, now));
		}
	}
	if (name && json_array_size(a) == 0) {
		json_decref(a);
		return NULL;
	}
	return json_pack("{s:o}", "children", a);
}
