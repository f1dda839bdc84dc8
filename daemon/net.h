/*
 * net.h - routes and rules (RFC 4301's "protected side"). SPDX-License-Identifier: ISC
 *
 * Routes to remote_ts are in a table of their own. A rule sends everything there but our own
 * datagrams, which carry a mark, so that remote_ts may contain the peer's own address.
 */
#ifndef MENDIP_NET_H
#define MENDIP_NET_H

#include "addr.h"
#include "log.h"

#define NET_TABLE	5150
#define NET_MARK	0x4d50
#define NET_RULE_MARKED 5149 /* priority: our datagrams use the main table */
#define NET_RULE_TABLE	5150 /* priority: all else may go through the tunnel */

struct net;

/* Rules are made here, and removed by net_free. NULL with -errno in *ret_error. */
struct net *net_new(const char *tun, struct log *log, int *ret_error);
void net_free(struct net *n);
/* Adds or drops a user of the routes from local to remote; the first adds them, the last removes
 * them. */
void net_route(struct net *n, const struct ts_list *local, const struct ts_list *remote, bool add);

#endif
