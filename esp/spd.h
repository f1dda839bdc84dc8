/*
 * spd.h - the outbound policy database: finds the child that an inner packet belongs to.
 * SPDX-License-Identifier: ISC
 *
 * Selectors are split into prefixes. A packet is looked up once for each pair of prefix lengths in
 * use (tuple space search), so the cost does not grow with the number of policies, unless their
 * prefixes are equal: those policies, which differ in protocol and ports only, are compared one by
 * one.
 */
#ifndef MENDIP_SPD_H
#define MENDIP_SPD_H

#include "addr.h"
#include "packet/inner.h"

struct sa_ref {
	uint32_t index, gen; /* gen 0: none */
};

struct spd_policy {
	/*
	 * The SA of its packets; none: a trap, or no SA yet. Neither this nor order may change
	 * while the policy is in the database.
	 */
	struct sa_ref sa;
	void *owner;	/* the caller's */
	uint64_t order; /* among equal policies the greater one wins */
	bool trap;	/* a packet that finds no SA is to bring one up */
	/* The caller's; valid as long as the policy is in the database. */
	const struct ts_list *local, *remote;
};

struct spd {
	struct spd_tuple *tuples;
	struct spd_entry **buckets;
	uint32_t tuple_count, bucket_count, entry_count;
	uint64_t generation; /* changes with every policy that comes or goes */
};

/* The last flow that was looked up. */
struct spd_flow {
	struct inner inner;
	struct spd_policy *policy;
	uint64_t generation; /* that of the database at the look-up */
};

#define SPD_PAIRS_MAX 4096 /* of prefixes, of one policy */
/* The number of pairs of prefixes that a policy with these selectors makes; counts no further than
 * one beyond the maximum. */
unsigned spd_pairs(const struct ts_list *local, const struct ts_list *remote);

void spd_init(struct spd *s);
/* Frees the index, not the policies. */
void spd_fini(struct spd *s);
/*
 * Adds a policy, which stays the caller's and must stay in place until spd_remove. -E2BIG if its
 * ranges make more than SPD_PAIRS_MAX pairs of prefixes.
 */
int spd_add(struct spd *s, struct spd_policy *p) MUST_CHECK;
void spd_remove(struct spd *s, struct spd_policy *p);
/*
 * The policy that selects the packet, or NULL. The most specific pair of selectors wins; among
 * equal ones a policy with an SA before one without, then the greatest order.
 */
struct spd_policy *spd_lookup(const struct spd *s, const struct inner *in);

#endif
