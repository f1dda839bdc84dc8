/*
 * control_peers.h - the two peers of tests/exchange for fuzz_control.c, which cannot include
 * peers.h: the daemon has another struct net. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_FUZZ_CONTROL_PEERS_H
#define MENDIP_FUZZ_CONTROL_PEERS_H

#include "tunnel.h"

struct control_peers;

/*
 * Makes two peers with 1 to 4 children; the branch is the one under control. `up`: the children are
 * up; `rewound`: the gateway has used numbers twice, and the branch has records of that; `alone`:
 * the gateway's datagrams are lost from now on. Events of the branch are passed to `event`, with
 * ctx.
 */
struct control_peers *control_peers_new(unsigned children, bool up, bool rewound, bool alone,
					void (*event)(void *ctx, enum tunnel_event_kind kind,
						      const char *conn, const char *child,
						      const char *text),
					void *ctx);
void control_peers_free(struct control_peers *p);
struct tunnel *control_peers_tunnel(struct control_peers *p);
/* A reload of an unchanged configuration. */
void control_peers_configure(struct control_peers *p, conn_same *same);
nsec_t control_peers_now(const struct control_peers *p);
/* Lets time pass on both sides, which both send packets first. */
void control_peers_run(struct control_peers *p, nsec_t time);

#endif
