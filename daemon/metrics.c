/* metrics.c - the counters as OpenMetrics text. SPDX-License-Identifier: ISC */
#include "status.h"

#include <stdio.h>

static void family(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# TYPE mendip_%s %s\n# HELP mendip_%s %s\n", name, type, name, help);
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

static void child_labels(FILE *f, const struct tunnel_conn *c, const struct tunnel_child *k)
{
	fputc('{', f);
	label(f, "connection", c->conf->name);
	fputc(',', f);
	label(f, "child", k->conf->name);
}

static void child_metrics(struct daemon *d, FILE *f, const char *name, const char *type,
			  const char *help,
			  void (*each)(FILE *f, const char *name, const struct tunnel_conn *c,
				       const struct tunnel_child *k))
{
	struct tunnel_conn *c;
	struct tunnel_child *k;

	family(f, name, type, help);
	LIST_FOREACH (c, &d->tunnel->conns, link) {
		LIST_FOREACH (k, &c->children, link)
			each(f, name, c, k);
	}
}

static void each_gate(FILE *f, const char *name, const struct tunnel_conn *c,
		      const struct tunnel_child *k)
{
	for (int i = 0; i < GATE_ANSWERS; i++) {
		fprintf(f, "mendip_%s_total", name);
		child_labels(f, c, k);
		fprintf(f, ",answer=\"%s\"} %llu\n", gate_answer_name((enum gate_answer)i),
			(unsigned long long)k->gate.answers[i]);
	}
}

static void each_recovery(FILE *f, const char *name, const struct tunnel_conn *c,
			  const struct tunnel_child *k)
{
	fprintf(f, "mendip_%s_total", name);
	child_labels(f, c, k);
	fprintf(f, "} %llu\n", (unsigned long long)k->recoveries);
}

static void each_bridge(FILE *f, const char *name, const struct tunnel_conn *c,
			const struct tunnel_child *k)
{
	const struct tunnel_sa *s;
	unsigned open = 0;

	LIST_FOREACH (s, &k->sas, link) {
		const struct esp_sa *sa = tunnel_sa_esp(s);

		open += sa && !s->retired && sa->in.bridge_on && sa->in.bridge.open &&
			!sa->in.bridge.closed;
	}
	fprintf(f, "mendip_%s", name);
	child_labels(f, c, k);
	fprintf(f, "} %u\n", open);
}

static void each_nonce(FILE *f, const char *name, const struct tunnel_conn *c,
		       const struct tunnel_child *k)
{
	const struct tunnel_sa *s;
	uint64_t n = 0;

	LIST_FOREACH (s, &k->sas, link)
		n += tunnel_sa_esp(s) ? tunnel_sa_esp(s)->in.nonce_reuses : 0;
	fprintf(f, "mendip_%s_total", name);
	child_labels(f, c, k);
	fprintf(f, "} %llu\n", (unsigned long long)n);
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
	metric(f, "io", "calls, packets and bytes between the daemon and the kernel");
	for (unsigned i = 0; (name = status_io(d, i, &value)); i++)
		fprintf(f, "mendip_io_total{what=\"%s\"} %llu\n", name, (unsigned long long)value);
	metric(f, "reloads", "configurations read again");
	fprintf(f, "mendip_reloads_total %llu\n", (unsigned long long)d->reloads);
	gauges(d, f);
	counters(f, "ike_messages", "IKE messages by kind of anomaly", "kind", ike_counts,
		 ike_counters(d->tunnel->ike), IKE_COUNTERS);
	child_metrics(d, f, "bridges_open", "gauge",
		      "inbound SAs that deliver numbers used again until their rekey", each_bridge);
	child_metrics(d, f, "gate_answers", "counter",
		      "answers of the gate to evidence of a switchover", each_gate);
	child_metrics(d, f, "recoveries", "counter", "rekeys induced by evidence of a switchover",
		      each_recovery);
	child_metrics(d, f, "nonce_reuses", "counter",
		      "packets that repeated a nonce, on SAs that still exist", each_nonce);
	fputs("# EOF\n", f);
	fclose(f);
	return text;
}
