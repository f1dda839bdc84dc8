/* metrics.c - the counters as OpenMetrics text. SPDX-License-Identifier: ISC */
#include "expiry.h"
#include "status.h"
#include "totals.h"
#include "xalloc.h"

#include <stdio.h>

static void family(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# TYPE mendip_%s %s\n# HELP mendip_%s %s\n", name, type, name, help);
}

/* Of a family whose name ends in its unit. */
static void in_unit(FILE *f, const char *name, const char *unit)
{
	fprintf(f, "# UNIT mendip_%s %s\n", name, unit);
}

static void metric(FILE *f, const char *name, const char *help)
{
	family(f, name, "counter", help);
}

/* A counter in a list: its name, and what it counts. */
struct entry {
	const char *name, *text;
};

/* A family with one value per entry; its help says what each entry counts. */
static void counters(FILE *f, const char *name, const char *help, const char *key,
		     const struct entry *entries, const uint64_t *values, unsigned count)
{
	fprintf(f, "# TYPE mendip_%s counter\n# HELP mendip_%s %s", name, name, help);
	for (unsigned i = 0; i < count; i++)
		fprintf(f, "%s %s: %s", i ? ";" : ":", entries[i].name, entries[i].text);
	fputc('\n', f);
	for (unsigned i = 0; i < count; i++)
		fprintf(f, "mendip_%s_total{%s=\"%s\"} %llu\n", name, key, entries[i].name,
			(unsigned long long)values[i]);
}

#define ENTRY(id, name, text) {name, text},
static const struct entry verdicts[] = {FOREACH_VERDICT(ENTRY)};
static const struct entry drops[] = {FOREACH_ESP_DROP(ENTRY)};
static const struct entry ike_counts[] = {FOREACH_IKE_COUNTER(ENTRY)};

/* A label; its value is escaped (OpenMetrics 5.1), as a peer may have chosen parts of it. */
static void label(FILE *f, const char *name, const char *value)
{
	fprintf(f, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			fputc('\\', f);
		fputc(*value == '\n' ? ' ' : *value, f);
	}
	fputc('"', f);
}

/* Families without a total: memory, links, and the features in use. */
static void gauges(struct daemon *d, FILE *f)
{
	const struct history_budget *h = &d->tunnel->path->sad.history;
	char tun[64];

	family(f, "history_bytes", "gauge", "memory of the histories of all SAs");
	fprintf(f, "mendip_history_bytes %llu\n", (unsigned long long)h->used);
	if (d->devices.count > 1)
		family(f, "device_link", "gauge", "whether the link of the device is up");
	for (uint16_t i = 1; i < d->devices.count; i++) {
		const struct device *v = d->devices.all[i];

		if (!v->wanted)
			continue;
		fputs("mendip_device_link{", f);
		label(f, "device", v->tun.name);
		fprintf(f, "} %d\n", v->readable && v->link);
	}
	family(f, "data_path", "info",
	       "what is in use between the daemon, the kernel and the cipher");
	fprintf(f,
		"mendip_data_path_info{tun=\"%s\",udp_segment=\"%d\",udp_gro=\"%d\",crypto=\"%s\"} "
		"1\n",
		tun_offloads(&d->devices.all[0]->tun, tun, sizeof(tun)), d->udp[UDP_ESP].segment,
		d->udp[UDP_ESP].group_receive, aead_in_use());
}

/* ---- what is configured, whoever its peers are ---- */

/* Of all connections of one configuration: how many have an IKE SA, and are to have one. */
struct conn_count {
	const struct conn_conf *conf;
	unsigned up, wanted;
	const struct tunnel_problem *problem; /* one that is there; NULL: none is */
};

static int by_conf(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct conn_count *)a)->conf,
		  y = (uintptr_t)((const struct conn_count *)b)->conf;

	return (x > y) - (x < y);
}

static void count_conn(const struct tunnel_conn *c, struct conn_count *ret)
{
	const struct tunnel_child *k;
	bool wanted = false;

	LIST_FOREACH (k, &c->children, link)
		wanted |= tunnel_child_is_wanted(k);
	ret->wanted += wanted;
	ret->up += c->sa && ike_sa_state(c->sa) == IKE_STATE_ESTABLISHED;
	if (problem_is_current(c, NULL))
		ret->problem = c->problem;
}

/* One for each configuration in set. Thousands of connections are walked once. */
static struct conn_count *count_conns(const struct daemon *d, const struct conn_set *set)
{
	struct conn_count *n = xzalloc((set->count + 1u) * sizeof(*n));
	const struct tunnel_conn *c;

	for (unsigned i = 0; i < set->count; i++)
		n[i].conf = set->v[i];
	qsort(n, set->count, sizeof(*n), by_conf);
	LIST_FOREACH (c, &d->tunnel->conns, link) {
		const struct conn_count key = {.conf = c->conf};
		struct conn_count *of = bsearch(&key, n, set->count, sizeof(*n), by_conf);

		if (of)
			count_conn(c, of);
	}
	return n;
}

/* One sample of a family with a value for each configured connection. */
static void conn_sample(FILE *f, const char *name, const struct conn_conf *conf, unsigned value)
{
	fprintf(f, "mendip_%s{", name);
	label(f, "connection", conf->name);
	fprintf(f, "} %u\n", value);
}

static void connections(const struct daemon *d, FILE *f)
{
	const struct conn_set *set = ike_conns(d->tunnel->ike);
	struct conn_count *n = count_conns(d, set);

	family(f, "connection_up", "gauge",
	       "peers of the connection with an IKE SA; more than 1 where it answers any peer");
	for (unsigned i = 0; i < set->count; i++)
		conn_sample(f, "connection_up", n[i].conf, n[i].up);
	family(f, "connection_wanted", "gauge",
	       "1: this side keeps it up, so that connection_up is to be 1");
	for (unsigned i = 0; i < set->count; i++)
		conn_sample(f, "connection_wanted", n[i].conf, n[i].wanted);
	family(f, "connection_problem", "gauge", "1: this kind of problem keeps it down now");
	for (unsigned i = 0; i < set->count; i++) {
		if (!n[i].problem)
			continue;
		fputs("mendip_connection_problem{", f);
		label(f, "connection", n[i].conf->name);
		fprintf(f, ",kind=\"%s\"} 1\n", ike_problem_name(n[i].problem->what));
	}
	free(n);
}

static void certificate(void *ctx, const char *conn, enum expiry_kind kind, int64_t end)
{
	FILE *f = ctx;

	fputs("mendip_certificate_expiry_timestamp_seconds{", f);
	label(f, "connection", conn);
	fprintf(f, ",kind=\"%s\"} %lld\n", expiry_kind_name(kind), (long long)end);
}

static void certificates(const struct daemon *d, FILE *f)
{
	family(f, "certificate_expiry_timestamp_seconds", "gauge",
	       "when the first of a kind ends: of our own certificates, CAs, the peer's, CRLs");
	in_unit(f, "certificate_expiry_timestamp_seconds", "seconds");
	expiry_ends(d->config->conns.creds, certificate, f);
}

/* A counter of each child: where it is in struct child_figures. */
static const struct {
	const char *name, *unit, *help;
	size_t at;
} figures[] = {
#define FIGURE(name, unit, member, help)                                 \
	{                                                                \
		name, unit, help, offsetof(struct child_figures, member) \
	}
	FIGURE("child_received_packets", "packets", packets_in,
	       "authentic ESP packets of the peer"),
	FIGURE("child_received_bytes", "bytes", bytes_in, "inner bytes in them"),
	FIGURE("child_sent_packets", "packets", packets_out, "ESP packets to the peer"),
	FIGURE("child_sent_bytes", "bytes", bytes_out, "inner bytes in them"),
	FIGURE("child_rekeys", NULL, rekeys, "CHILD SAs that replaced another one"),
	FIGURE("child_failures", NULL, failures, "requests for CHILD SAs that failed"),
	FIGURE("recoveries", NULL, recoveries, "rekeys induced by evidence of a switchover"),
	FIGURE("nonce_reuses", NULL, nonce_reuses, "packets that repeated a nonce"),
};

static void totals_labels(FILE *f, const struct tunnel_totals *a)
{
	label(f, "connection", a->conn);
	fputc(',', f);
	label(f, "child", a->child);
}

static void child_figure(const struct daemon *d, FILE *f, size_t i)
{
	const struct tunnel_totals *a;
	uint64_t v;

	metric(f, figures[i].name, figures[i].help);
	if (figures[i].unit)
		in_unit(f, figures[i].name, figures[i].unit);
	LIST_FOREACH (a, &d->tunnel->totals, link) {
		memcpy(&v, (const char *)&a->all + figures[i].at, sizeof(v));
		fprintf(f, "mendip_%s_total{", figures[i].name);
		totals_labels(f, a);
		fprintf(f, "} %llu\n", (unsigned long long)v);
	}
}

/* The i-th of these bounds, or of none: OpenMetrics has one form for each, 1.0 for 1. */
static const char *bound_text(const double *bounds, unsigned count, unsigned i, char *buf,
			      size_t size)
{
	if (i == count)
		return "+Inf";
	snprintf(buf, size, bounds[i] >= 1 || bounds[i] == 0 ? "%.1f" : "%.3g", bounds[i]);
	return buf;
}

/* Cumulative, as the formats have it: what is at most each bound. */
static void histogram(const struct daemon *d, FILE *f, const char *name, const double *bounds,
		      unsigned count, bool outages)
{
	const struct tunnel_totals *a;
	char bound[32];

	LIST_FOREACH (a, &d->tunnel->totals, link) {
		const uint64_t *v = outages ? a->outages : a->lost;
		uint64_t sum = 0;

		for (unsigned i = 0; i <= count; i++) {
			sum += v[i];
			fprintf(f, "mendip_%s_bucket{", name);
			totals_labels(f, a);
			fprintf(f, ",le=\"%s\"} %llu\n",
				bound_text(bounds, count, i, bound, sizeof(bound)),
				(unsigned long long)sum);
		}
		fprintf(f, "mendip_%s_count{", name);
		totals_labels(f, a);
		fprintf(f, "} %llu\nmendip_%s_sum{", (unsigned long long)sum, name);
		totals_labels(f, a);
		fprintf(f, "} %.9g\n", outages ? a->outage_sum : (double)a->lost_sum);
	}
}

static void gate_answers(const struct daemon *d, FILE *f)
{
	const struct tunnel_totals *a;

	metric(f, "gate_answers", "answers of the gate to evidence of a switchover");
	LIST_FOREACH (a, &d->tunnel->totals, link) {
		for (int i = 0; i < GATE_ANSWERS; i++) {
			fputs("mendip_gate_answers_total{", f);
			totals_labels(f, a);
			fprintf(f, ",answer=\"%s\"} %llu\n", gate_answer_name((enum gate_answer)i),
				(unsigned long long)a->all.gate[i]);
		}
	}
}

/* One sample for each child: its value is that of this member of struct tunnel_totals. */
static void child_gauge(const struct daemon *d, FILE *f, const char *name, const char *help,
			size_t at)
{
	const struct tunnel_totals *a;
	unsigned v;

	family(f, name, "gauge", help);
	LIST_FOREACH (a, &d->tunnel->totals, link) {
		memcpy(&v, (const char *)a + at, sizeof(v));
		fprintf(f, "mendip_%s{", name);
		totals_labels(f, a);
		fprintf(f, "} %u\n", v);
	}
}

static void children(struct daemon *d, FILE *f)
{
	const struct tunnel_totals *a;
	nsec_t now = daemon_now();

	totals_gather(d->tunnel);
	child_gauge(d, f, "child_up", "peers with a CHILD SA of this child",
		    offsetof(struct tunnel_totals, up));
	child_gauge(d, f, "child_wanted", "1: this side keeps it up, so that child_up is to be 1",
		    offsetof(struct tunnel_totals, wanted));
	child_gauge(d, f, "bridges_open",
		    "inbound SAs that deliver numbers used again until their rekey",
		    offsetof(struct tunnel_totals, bridges));
	gate_answers(d, f);
	family(f, "child_last_received_seconds", "gauge",
	       "age of the last packet of the peer; no sample before the first");
	in_unit(f, "child_last_received_seconds", "seconds");
	LIST_FOREACH (a, &d->tunnel->totals, link) {
		if (!a->last_in)
			continue;
		fputs("mendip_child_last_received_seconds{", f);
		totals_labels(f, a);
		fprintf(f, "} %.3f\n", (double)(now - a->last_in) / NSEC_PER_SEC);
	}
	for (size_t i = 0; i < ARRAY_SIZE(figures); i++)
		child_figure(d, f, i);
	family(f, "recovery_outage_seconds", "histogram",
	       "from the last delivery before the evidence to the first one after it");
	in_unit(f, "recovery_outage_seconds", "seconds");
	histogram(d, f, "recovery_outage_seconds", outage_bounds, OUTAGE_BOUNDS, true);
	family(f, "recovery_lost_packets", "histogram",
	       "authentic packets that were not delivered");
	in_unit(f, "recovery_lost_packets", "packets");
	histogram(d, f, "recovery_lost_packets", lost_bounds, LOST_BOUNDS, false);
}

char *metrics_text(struct daemon *d)
{
	const struct esp_path *path = d->tunnel->path;
	const char *name;
	uint64_t value;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		abort();
	counters(f, "esp_verdicts", "inbound ESP packets by verdict", "verdict", verdicts,
		 path->verdicts, VERDICT_COUNT);
	metric(f, "esp_waited", "packets counted as unverified that the bridge delivered later");
	fprintf(f, "mendip_esp_waited_total %llu\n", (unsigned long long)path->waited);
	counters(f, "drops", "packets dropped by reason", "reason", drops, path->drops,
		 ESP_DROP_COUNT);
	metric(f, "io",
	       "calls, packets and bytes between the daemon and the kernel; rx_ has ESP and IKE, "
	       "tx_ ESP alone, but tx_errors both");
	for (unsigned i = 0; (name = status_io(d, i, &value)); i++)
		fprintf(f, "mendip_io_total{what=\"%s\"} %llu\n", name, (unsigned long long)value);
	metric(f, "reloads", "configurations read again");
	fprintf(f, "mendip_reloads_total %llu\n", (unsigned long long)d->reloads);
	metric(f, "reload_failures", "reloads that changed nothing, as the configuration is wrong");
	fprintf(f, "mendip_reload_failures_total %llu\n", (unsigned long long)d->reload_failures);
	family(f, "last_reload_successful", "gauge", "0: the last reload failed");
	fprintf(f, "mendip_last_reload_successful %d\n", *d->reload_error == '\0');
	family(f, "build", "info", "the version that runs");
	fputs("mendip_build_info{version=\"" PACKAGE_VERSION "\"} 1\n", f);
	family(f, "start_time_seconds", "gauge", "when the daemon started, since 1970");
	in_unit(f, "start_time_seconds", "seconds");
	fprintf(f, "mendip_start_time_seconds %lld\n", (long long)d->started_at);
	gauges(d, f);
	counters(f, "ike_messages", "IKE messages by kind of anomaly", "kind", ike_counts,
		 ike_counters(d->tunnel->ike), IKE_COUNTERS);
	connections(d, f);
	certificates(d, f);
	children(d, f);
	fputs("# EOF\n", f);
	fclose(f);
	return text;
}
