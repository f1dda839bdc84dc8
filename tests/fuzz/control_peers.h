/*
 * control_peers.h - the two engines of tests/exchange for fuzz_control.c, which cannot see peers.h:
 * the daemon has a struct net of its own. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_FUZZ_CONTROL_PEERS_H
#define MENDIP_FUZZ_CONTROL_PEERS_H

#include "tunnel.h"

struct control_peers;

/*
 * What is under control is the branch, with 1 to 4 children. `up`: they are; `rewound`: the gateway
 * has used numbers twice, and there are records of it; `alone`: the gateway is not heard any more.
 * The branch tells `event` what happens, with ctx.
 */
struct control_peers *control_peers_new(unsigned children, bool up, bool rewound, bool alone,
					void (*event)(void *ctx, enum tunnel_event_kind kind,
						      const char *conn, const char *child,
						      const char *text),
					void *ctx);
void control_peers_free(struct control_peers *p);
struct tunnel *control_peers_tunnel(struct control_peers *p);
/* A reload that changes nothing. */
void control_peers_configure(struct control_peers *p, conn_same *same);
nsec_t control_peers_now(const struct control_peers *p);
/* Time passes on both sides, with packets of both. */
void control_peers_run(struct control_peers *p, nsec_t time);

#endif
