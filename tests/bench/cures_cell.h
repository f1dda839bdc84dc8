/*
 * cures_cell.h - the cures, and a switchover with one of them. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_CURES_CELL_H
#define MENDIP_CURES_CELL_H

#include "cures_world.h"

/* Packets/s of the gateway in all; what is rewound follows from it. */
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
	nsec_t at_least; /* a run lasts, so that the criterion can be met */
};

#define CURES 8
extern const struct cure cures[CURES];

struct result {
	bool ended;
	uint64_t rewound;
	uint64_t lost, worst;		/* in all, in the worst tunnel; what was reckoned too */
	uint64_t within;		/* lost within the run */
	double last_s;			/* until the last tunnel flows */
	uint64_t rekeys, ike_up, twice; /* over all branches */
	uint32_t peak;
	double cpu_s, ran_s;
};

/* This build has it. */
bool cure_available(const struct cure *c);
/* The branches do from now on what the cure asks. */
void cure_apply(const struct world *w, const struct cure *c);
/*
 * The switchover: the gateway knows its numbers as they were `age` seconds ago. Runs until all
 * tunnels flow and IKE is calm, for `limit` seconds at most.
 */
struct result cure_measure(struct world *w, const struct cure *c, double age, double limit);

#endif
