/* scenario_report.c - prints the results of a run; see scenario.h. SPDX-License-Identifier: ISC */
#include "scenario_run.h"

static void say_verdicts(const struct esp_path *p)
{
	const char *comma = "";

	for (unsigned v = 0; v < VERDICT_COUNT; v++) {
		if (!p->verdicts[v])
			continue;
		print_message("%s%s %llu", comma, verdict_name(v),
			      (unsigned long long)p->verdicts[v]);
		comma = ", ";
	}
}

static void say_record(const struct recovery_record *r)
{
	print_message("#   %s, rung %u, %llu bridged: %s", criterion_name(r->criterion), r->rung,
		      (unsigned long long)r->bridged, r->outcome);
	if (r->first_fresh)
		print_message(" after %.1f ms",
			      (double)(r->first_fresh - r->first_evidence) / MSEC);
	print_message("\n");
}

static void say_sas(struct net *n, unsigned i)
{
	const char *name = i == GW ? "gw" : "branch";
	struct ike_sa *ike, *tmp;
	struct tunnel_conn *conn;
	struct tunnel_child *k;
	struct tunnel_sa *s;

	HASH_ITER (hh, n->peer[i].tunnel->ike->sas, ike, tmp)
		print_message("#   %-6s IKE SA %s, %u children\n", name, sa_label(ike),
			      ike->child_count);
	LIST_FOREACH (conn, &n->peer[i].tunnel->conns, link) {
		LIST_FOREACH (k, &conn->children, link) {
			LIST_FOREACH (s, &k->sas, link)
				print_message("#   %-6s %s SPI in %08x out %08x%s%s%s of %s\n",
					      name, k->conf->name, s->spi,
					      tunnel_sa_esp(s) ? tunnel_sa_esp(s)->out.spi : 0,
					      s == k->current ? " current" : "",
					      s->active ? " active" : "",
					      s->retired ? " retired" : "",
					      s->ike ? sa_label(s->ike->ike_sa) : "nothing");
		}
	}
}

void scenario_report(struct scenario *s, bool failed)
{
	const struct recovery_record *r;
	struct net *n = s->n;

	print_message("#   ");
	say_verdicts(n->peer[BRANCH].tunnel->path);
	print_message("; since the mark %llu lost, %llu twice\n",
		      (unsigned long long)lost_since_mark(s, GW, CHILDREN),
		      (unsigned long long)(n->peer[BRANCH].delivered_twice +
					   n->peer[GW].delivered_twice));
	for (unsigned c = 0; c < s->o.children; c++) {
		r = peer_child(n, BRANCH, c) ? last_record(n, c) : NULL;
		if (r && r->id)
			say_record(r);
	}
	for (unsigned i = 0; failed && i < 2; i++)
		say_sas(n, i);
}
