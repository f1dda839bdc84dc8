/*
 * net.h - routes and rules (RFC 4301's "protected side"), and what others do to them.
 * SPDX-License-Identifier: ISC
 *
 * Rules lead to tables of our own, in this order (mendipd(8), ROUTING):
 *
 *   5149  our own datagrams, which carry a mark: the main table, so that remote_ts may contain the
 *         peer's address
 *   5150  routes through the tunnels; throw: what the main table has closer
 *   5151  the same prefixes as unreachable, for when a route or the rule above is missing
 *   5152  the main table without its default route
 *   5153  a default route through a tunnel
 *   5154  the same as unreachable
 *
 * What another program removes is made again at once. What is unreachable stays when the daemon
 * dies, and goes when it is stopped.
 */
#ifndef MENDIP_NET_H
#define MENDIP_NET_H

#include "addr.h"
#include "log.h"

#define NET_TABLE	  5150
#define NET_TABLE_BLOCK	  5151
#define NET_TABLE_ALL	  5153
#define NET_TABLE_NOTHING 5154
#define NET_MARK	  0x4d50

/* enum netlink_change tells more closely. */
#define NET_CHANGED_DEVICE    1 /* ours may be down */
#define NET_CHANGED_ADDRESSES 2 /* or devices or routes: what could not be reached may be now */

struct net;

struct net_options {
	const char *tun;  /* name of the device */
	bool routes;	  /* false: others make them, and we none of this */
	bool block;	  /* what is for a tunnel is unreachable without it */
	bool local_first; /* closer routes of the main table go before those of a tunnel */
};

/* Rules are made here. NULL with -errno in *ret_error. */
struct net *net_new(const struct net_options *o, struct log *log, int *ret_error);
/* We are dying: what is there stays for whoever starts again, and blocks until then. */
void net_leave(struct net *n);
/* After net_leave nothing is removed; otherwise all that is ours. */
void net_free(struct net *n);
/* Adds or drops a user of the routes from local to remote; the first adds them, the last removes
 * them. */
void net_route(struct net *n, const struct ts_list *local, const struct ts_list *remote, bool add);
/* Once a turn of the loop: what is to be done once for many calls of net_route. */
void net_settle(struct net *n);
/* Routes in our tables that nobody uses, of one who died before us, go. */
void net_sweep(struct net *n);
/* For the loop: readable when somebody has changed something. */
int net_fd(const struct net *n);
/* Repairs what others have removed; returns bits of NET_CHANGED_. */
unsigned net_changed(struct net *n);
/* Some time after NET_CHANGED_ADDRESSES: exceptions and sources, which look at all there is. */
void net_follow(struct net *n);
/* All of it again: after the device came up. */
void net_repair(struct net *n);
/* Whether the IPv4 address is one of this host's; true where that cannot be told. */
bool net_has_address(const struct addr *a);

#endif
