/*
 * totals.h - figures of a child that only grow: over rekeys, over reloads, and over the coming and
 * going of the peers of a connection that answers any. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_TOTALS_H
#define MENDIP_TOTALS_H

#include "tunnel.h"

/* Counters of one child, of its SAs and of its recoveries. */
struct child_figures {
	uint64_t packets_in, bytes_in, packets_out, bytes_out;
	uint64_t nonce_reuses;
	uint64_t rekeys, recoveries, failures;
	uint64_t gate[GATE_ANSWERS];
};

/*
 * Upper bounds of the buckets of both histograms. Each count is of the recoveries with at most so
 * much and more than the bound before; the last one is of those beyond all bounds.
 */
#define OUTAGE_BOUNDS 7
extern const double outage_bounds[OUTAGE_BOUNDS]; /* seconds */
#define LOST_BOUNDS 6
extern const double lost_bounds[LOST_BOUNDS]; /* packets */

struct tunnel_totals {
	LIST_ENTRY(tunnel_totals) link;
	char *conn, *child;	   /* names; owned */
	unsigned users;		   /* children that it counts for */
	struct child_figures gone; /* of SAs and children that are gone */
	struct child_figures all;  /* as of totals_gather */
	nsec_t last_in;		   /* the last packet of the peer, likewise; 0: none */
	unsigned up;		   /* children with an SA, likewise */
	unsigned wanted;	   /* children that this side keeps up, likewise */
	unsigned bridges;	   /* open ones, likewise */
	uint64_t outages[OUTAGE_BOUNDS + 1], lost[LOST_BOUNDS + 1];
	double outage_sum; /* seconds */
	uint64_t lost_sum; /* packets */
};

/* Those of a child that begins, which keeps the reference until totals_leave. */
struct tunnel_totals *totals_join(struct tunnel *t, const char *conn, const char *child);
/* The child ends: what it has counted stays. Its SAs are gone. */
void totals_leave(struct tunnel_child *k);
/* The SA ends. */
void totals_add_sa(const struct tunnel_sa *s);
/* Bytes of payload since the child is there, over all of its SAs. */
void totals_bytes(const struct tunnel_child *k, uint64_t *ret_in, uint64_t *ret_out);
/* A recovery has ended. */
void totals_add_recovery(struct tunnel_totals *a, const struct recovery_record *r);
/* Forgets those of children that are not configured any more. */
void totals_configure(struct tunnel *t, const struct conn_set *conns);
void totals_free(struct tunnel *t);
/* Adds up what is live, in t->totals, for reading. */
void totals_gather(struct tunnel *t);

#endif
