/*
 * net.h - routes and rules that lead packets into the tunnels, and their repair.
 * SPDX-License-Identifier: ISC
 *
 * Rules, by priority, and the tables that they lead to (mendipd(8), ROUTING):
 *
 *   5149  our own datagrams, which carry a mark: the main table, so that remote_ts may contain the
 *         peer's address
 *   5150  routes through the tunnels; throw routes for more specific routes of the main table
 *   5151  the same prefixes as unreachable, in case a route or the rule above is missing
 *   5152  the main table without its default route
 *   5153  a default route through a tunnel
 *   5154  the same as unreachable
 *
 * Rules and routes that another program removes are made again at once. The unreachable routes stay
 * when the daemon crashes; a regular stop removes them.
 */
#ifndef MENDIP_NET_H
#define MENDIP_NET_H

#include "addr.h"
#include "log.h"

#define NET_TABLE	  5150
#define NET_TABLE_BLOCK	  5151
#define NET_TABLE_ALL	  5153
#define NET_TABLE_NOTHING 5154
#define NET_MARK	  0x4d50 /* SO_MARK of our own datagrams */

/* Result of net_changed, a summary of enum netlink_change. */
#define NET_CHANGED_DEVICE    1 /* our device may be down */
#define NET_CHANGED_ADDRESSES 2 /* or devices or routes: a peer may have become reachable */

struct net;

struct net_options {
	const char *tun;  /* name of the shared device */
	bool routes;	  /* false: no rules and no routes are made */
	bool block;	  /* make the unreachable routes */
	bool local_first; /* more specific routes of the main table win over a tunnel's */
};

/* Makes the rules. Keeps o->tun and log. NULL with -errno in *ret_error; the reason is logged. */
struct net *net_new(const struct net_options *o, struct log *log, int *ret_error);
/* From now on routes and rules stay as they are, for the next process; until then they block. */
void net_leave(struct net *n);
/* Removes all our routes and rules, unless net_leave was called. Accepts NULL. */
void net_free(struct net *n);
/* Adds or drops a user of the routes to the prefixes of remote. The first user makes a route, whose
 * source is an address of this host within the local selectors of its users, if there is one; see
 * source.h. One without a user is removed by net_settle, so that it stays in place when an SA
 * and its successor change within one turn. */
void net_route(struct net *n, const struct ts_list *local, const struct ts_list *remote, bool add);
/* To be called once per turn of the loop, after calls of net_route: removes routes without a user
 * and updates the throw routes. */
void net_settle(struct net *n);
/* Removes routes in our tables that have no user: a process that crashed before us left them. */
void net_sweep(struct net *n);
/* A descriptor for the loop: readable after a change; then net_changed is to be called. */
int net_fd(const struct net *n);
/* Makes again what other programs have removed; returns bits of NET_CHANGED_. */
unsigned net_changed(struct net *n);
/* To be called some time after NET_CHANGED_ADDRESSES: updates throw routes and source addresses,
 * which reads all routes and addresses of this host. */
void net_follow(struct net *n);
/* Whether the kernel did not list what it was asked for: then net_follow is to be called again. */
bool net_is_behind(const struct net *n);
/* Makes all missing rules and routes again, for example after the device came up. */
void net_repair(struct net *n);
/* Adds an address of one host to the device, or removes it; it is no error if it is there, or gone.
 */
void net_address(struct net *n, int ifindex, const struct addr *a, bool add);
/* Whether a is an address of this host; true where that is unknown. */
bool net_has_address(const struct addr *a);

#endif
