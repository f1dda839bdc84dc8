/* record.c - what a recovery leaves for people to read (doc/recovery.md 5).
 * SPDX-License-Identifier: ISC
 */
#include "recovery.h"
#include "totals.h"
#include "xalloc.h"

void record_open(struct tunnel_sa *s, enum criterion criterion, nsec_t now)
{
	const struct esp_sa *sa = tunnel_sa_esp(s);
	const struct detector *d = &sa->in.detector;

	s->recovery.record = (struct recovery_record){
		.id = ++s->child->conn->tunnel->record_id,
		.first_evidence = d->first_evidence ? d->first_evidence : now,
		.confirmed = now,
		.criterion = criterion,
		.first_number = d->first_number,
		.top = sa->in.window.top,
		.count = 1,
		.old_spi = s->spi,
		.outcome = "running",
	};
	record_figures(s);
}

void record_figures(struct tunnel_sa *s)
{
	const struct esp_sa *sa = tunnel_sa_esp(s);
	struct recovery_record *r = &s->recovery.record;

	if (!sa || !r->id)
		return;
	r->lost = sa->in.missed;
	r->unverified = sa->in.unverified;
	r->bridged = sa->in.bridged;
	r->outage_from = sa->in.before_evidence ? sa->in.before_evidence : sa->in.last_fresh;
	if (sa->in.after_evidence)
		r->outage_to = sa->in.after_evidence;
}

void record_close(struct tunnel_sa *s, const char *outcome)
{
	struct tunnel_child *c = s->child;
	struct recovery_record *r = &s->recovery.record;

	if (!r->id)
		return;
	record_figures(s);
	r->outcome = outcome;
	totals_add_recovery(c->totals, r);
	if (!c->records)
		c->records = xzalloc(RECORDS_KEPT * sizeof(*c->records));
	c->records[c->record_next] = *r;
	c->record_next = (c->record_next + 1) % RECORDS_KEPT;
	*r = (struct recovery_record){0};
}

struct recovery_record *record_again(struct tunnel_child *c, enum criterion criterion,
				     const char *outcome, nsec_t since)
{
	for (unsigned i = 0; c->records && i < RECORDS_KEPT; i++) {
		struct recovery_record *r = &c->records[i];

		if (r->id && r->outcome == outcome && r->confirmed >= since &&
		    criterion_is_proof(r->criterion) == criterion_is_proof(criterion)) {
			r->count++;
			return r;
		}
	}
	return NULL;
}
