/*
 * addresses.h - which address of its peer a connection calls: the first one of remote_addrs that
 * answers, and later again one that stands before it; within tunnel/. SPDX-License-Identifier: ISC
 *
 * All addresses are called one after the other, each for a short time; that is a pass. Only after a
 * pass in vain there is a back-off.
 */
#ifndef MENDIP_ADDRESSES_H
#define MENDIP_ADDRESSES_H

#include "tunnel.h"

/* The address to call now. The connection has at least one (conn_remote_count). */
const struct endpoint *addresses_next(const struct tunnel_conn *c);
/*
 * A call to it has begun, beside another IKE SA or not: it gets an answer soon, or the next address
 * is called.
 */
void addresses_called(struct tunnel_conn *c, bool beside, nsec_t now);
/* When a connection's `call` is due: a call without an answer ends, if there is another address. */
deadline_due addresses_call_due;
/* The call has failed. True: the next address is to be called at once; false: the pass is over. */
bool addresses_failed(struct tunnel_conn *c);
/* A new pass begins with the most preferred address. */
void addresses_anew(struct tunnel_conn *c);
/* A new pass begins where this IKE SA has its peer, who may be back. */
void addresses_anew_at(struct tunnel_conn *c, const struct ike_sa *sa);
/*
 * The peer did not answer on this IKE SA in time: where it has other addresses, they are called
 * beside, beginning with this one.
 */
void addresses_late(struct tunnel_conn *c, const struct ike_sa *sa, nsec_t now);
/* It answered after all. */
void addresses_answered(struct tunnel_conn *c, const struct ike_sa *sa, nsec_t now);
/* The connection's IKE SA was not answered in time, and has not been since. */
bool addresses_silent(const struct tunnel_conn *c);

/*
 * Call it when the connection's IKE SAs have changed: an IKE SA that has its peer at a less
 * preferred address goes back after a while (the option failback), by a new IKE SA beside.
 */
void addresses_look(struct tunnel_conn *c, nsec_t now);
/* When a connection's `failback` is due: calls a more preferred address, beside. */
deadline_due addresses_failback;
/* The call of addresses_failback, c->beside, is gone. */
void addresses_failback_failed(struct tunnel_conn *c, nsec_t now);
/* Goes back: a call to a more preferred address is under way. */
bool addresses_going_back(const struct tunnel_conn *c);
/* An invariant that does not hold, or NULL; for tunnel_check. */
const char *addresses_check(const struct tunnel_conn *c);

#endif
