/* totals.c - see totals.h. SPDX-License-Identifier: ISC */
#include "totals.h"
#include "xalloc.h"

const double outage_bounds[OUTAGE_BOUNDS] = {0.001, 0.01, 0.1, 1, 10, 60, 600};
const double lost_bounds[LOST_BOUNDS] = {0, 10, 100, 1000, 10000, 100000};

static struct tunnel_totals *find(const struct tunnel *t, const char *conn, const char *child)
{
	struct tunnel_totals *a;

	LIST_FOREACH (a, &t->totals, link) {
		if (strcmp(a->conn, conn) == 0 && strcmp(a->child, child) == 0)
			return a;
	}
	return NULL;
}

struct tunnel_totals *totals_join(struct tunnel *t, const char *conn, const char *child)
{
	struct tunnel_totals *a = find(t, conn, child);

	if (!a) {
		a = xzalloc(sizeof(*a));
		a->conn = xstrdup(conn);
		a->child = xstrdup(child);
		LIST_INSERT_HEAD(&t->totals, a, link);
	}
	a->users++;
	return a;
}

static void add_sa(struct child_figures *f, const struct tunnel_sa *s)
{
	const struct esp_sa *sa = tunnel_sa_esp(s);

	if (!sa)
		return;
	f->packets_in += sa->in.packets;
	f->bytes_in += sa->in.bytes;
	f->packets_out += sa->out.packets;
	f->bytes_out += sa->out.bytes;
	f->nonce_reuses += sa->in.nonce_reuses;
}

static void add_child(struct child_figures *f, const struct tunnel_child *k)
{
	f->rekeys += k->rekeys;
	f->recoveries += k->recoveries;
	f->failures += k->failures;
	for (int i = 0; i < GATE_ANSWERS; i++)
		f->gate[i] += k->gate.answers[i];
}

void totals_add_sa(const struct tunnel_sa *s)
{
	const struct esp_sa *sa = tunnel_sa_esp(s);
	struct tunnel_totals *a = s->child->totals;

	add_sa(&a->gone, s);
	if (!sa)
		return;
	a->last_in = max_u64(a->last_in, sa->in.last_fresh);
	s->child->gone_in += sa->in.bytes;
	s->child->gone_out += sa->out.bytes;
}

void totals_bytes(const struct tunnel_child *k, uint64_t *ret_in, uint64_t *ret_out)
{
	struct child_figures live = {0};
	const struct tunnel_sa *s;

	LIST_FOREACH (s, &k->sas, link)
		add_sa(&live, s);
	*ret_in = k->gone_in + live.bytes_in;
	*ret_out = k->gone_out + live.bytes_out;
}

void totals_leave(struct tunnel_child *k)
{
	add_child(&k->totals->gone, k);
	k->totals->users--;
	k->totals = NULL;
}

static unsigned bucket_of(const double *bounds, unsigned count, double v)
{
	unsigned i = 0;

	while (i < count && v > bounds[i])
		i++;
	return i;
}

void totals_add_recovery(struct tunnel_totals *a, const struct recovery_record *r)
{
	bool known = r->outage_from && r->outage_to >= r->outage_from;
	double outage = known ? (double)(r->outage_to - r->outage_from) / NSEC_PER_SEC : 0;

	a->lost[bucket_of(lost_bounds, LOST_BOUNDS, (double)r->lost)]++;
	a->lost_sum += r->lost;
	if (!known)
		return;
	a->outages[bucket_of(outage_bounds, OUTAGE_BOUNDS, outage)]++;
	a->outage_sum += outage;
}

static bool is_configured(const struct conn_set *conns, const struct conn_names *names,
			  const struct tunnel_totals *a)
{
	int at = conn_names_find(names, a->conn);
	const struct conn_conf *c = at >= 0 ? conns->v[at] : NULL;

	for (unsigned i = 0; c && i < c->child_count; i++) {
		if (strcmp(c->children[i].name, a->child) == 0)
			return true;
	}
	return false;
}

static void forget(struct tunnel_totals *a)
{
	LIST_REMOVE(a, link);
	free(a->conn);
	free(a->child);
	free(a);
}

void totals_configure(struct tunnel *t, const struct conn_set *conns)
{
	struct conn_names *names = conn_names_new(conns);
	struct tunnel_totals *a, *next;

	for (a = LIST_FIRST(&t->totals); a; a = next) {
		next = LIST_NEXT(a, link);
		if (a->users == 0 && !is_configured(conns, names, a))
			forget(a);
	}
	conn_names_free(names);
}

void totals_free(struct tunnel *t)
{
	while (!LIST_EMPTY(&t->totals))
		forget(LIST_FIRST(&t->totals));
}

static void gather(struct tunnel_child *k)
{
	struct tunnel_totals *a = k->totals;
	const struct tunnel_sa *s;

	add_child(&a->all, k);
	a->up += k->current != NULL;
	a->wanted += tunnel_child_is_wanted(k);
	LIST_FOREACH (s, &k->sas, link) {
		const struct esp_sa *sa = tunnel_sa_esp(s);

		if (!sa)
			continue;
		add_sa(&a->all, s);
		a->last_in = max_u64(a->last_in, sa->in.last_fresh);
		a->bridges += !s->retired && sa->in.bridge_on && sa->in.bridge.open &&
			      !sa->in.bridge.closed;
	}
}

void totals_gather(struct tunnel *t)
{
	struct tunnel_totals *a;
	struct tunnel_conn *c;
	struct tunnel_child *k;

	LIST_FOREACH (a, &t->totals, link) {
		a->all = a->gone;
		a->up = a->wanted = a->bridges = 0;
	}
	LIST_FOREACH (c, &t->conns, link) {
		LIST_FOREACH (k, &c->children, link)
			gather(k);
	}
}
