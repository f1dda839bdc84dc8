/*
 * cures_cell.h - the cures, and a switchover with one of them. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_CURES_CELL_H
#define MENDIP_CURES_CELL_H

#include "cures_world.h"

/* Packets/s that the gateway sends in all; the sync's age and this rate give the rewind. */
#define ORIGINAL_RATE 140000

#define WINDOW_USUAL  1024
#define WINDOW_WIDE   65536

enum cure_kind { CURE_BRANCH, CURE_GATEWAY_REKEYS };

struct cure {
	const char *name;
	uint32_t window;
	enum cure_kind kind;
	const char *detect, *packets, *interval;
	const char *bridge;
	nsec_t at_least; /* minimum duration of a run, so that the criterion can be met */
};

#define CURES 8
extern const struct cure cures[CURES];

struct result {
	bool ended;
	uint64_t rewound;
	uint64_t lost, worst;		/* in all, in the worst tunnel; estimates included */
	uint64_t within;		/* lost within the run */
	double last_s;			/* until packets flow in all tunnels */
	uint64_t rekeys, ike_up, twice; /* sums over all branches */
	uint32_t peak;
	double cpu_s, ran_s;
};

/* Whether this build has the options of the cure. */
bool cure_available(const struct cure *c);
/* Sets the options of the cure at all branches. */
void cure_apply(const struct world *w, const struct cure *c);
/*
 * Sets the gateway's sequence numbers back to those of `age` seconds ago, and runs until packets
 * flow in all tunnels and no IKE messages are sent, for `limit` seconds at most.
 */
struct result cure_measure(struct world *w, const struct cure *c, double age, double limit);

#endif
