/*
 * two_gateways.h - a branch with a connection to each of two gateways, of which one is the backup
 * of the other. SPDX-License-Identifier: ISC
 *
 * One peer plays both gateways, at two addresses and with two identities. The branch's connections
 * are gw1 and gw2, the gateways' are b1 and b2. Packets go from the branch, in its first child.
 */
#ifndef MENDIP_TWO_GATEWAYS_H
#define MENDIP_TWO_GATEWAYS_H

#include "parties.h"

#define FIRST	 0
#define SECOND	 1
#define BOTH	 2
#define RATE	 200
#define FAILBACK (60 * SEC)
#define DPD	 (5 * SEC)

/* Nothing that goes to this gateway, or comes from it, arrives. */
extern bool dead[2];

/* Set it before two_gateways, for that one alone: gw1 has the addresses of both gateways. */
extern bool two_addresses;

/* Each connection has this many children; start: the branch's start_action. Free with net_free. */
struct net *two_gateways(bool has_backup, enum start_action start, unsigned children);
/* The branch reads its configuration anew. */
void branch_configure(struct net *n, bool has_backup);
/* The same in a new process; returns how many connections it took over. */
int branch_restart(struct net *n, bool has_backup);
/* From now on the first gateway takes no new CHILD SA for the first child, or takes one again. */
void takes_children(bool yes);
/* Runs for this time, in which packets go; the gateway that all have gone to, or BOTH. */
unsigned goes_to(struct net *n, nsec_t time);

#endif
