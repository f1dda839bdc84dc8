/*
 * beside.h - rung 3: a new IKE SA beside one whose peer does not answer, until it has taken over
 * (doc/recovery.md 5); within tunnel/. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_BESIDE_H
#define MENDIP_BESIDE_H

#include "tunnel.h"

/* Rung 3 is to bring something: a recovery is on it, or a child that only IKE_AUTH can make. */
bool conn_is_mending(const struct tunnel_conn *c);
/* Has rung 3 begin, at random within 2 s, or after the back-off of earlier failures. */
void conn_beside_later(struct tunnel_conn *c, nsec_t now);
/* Of a connection's `rung3`: initiates the new IKE SA. */
deadline_due conn_beside;
/* Asks on the new IKE SA, if there is one, for what it does not have of the child, from `at` on. */
void conn_ask_missing(struct tunnel_child *k, nsec_t at);
/*
 * The peer's new IKE SA beside an older one becomes the one that children are asked for on. If rung
 * 3 is waiting to make one, it is that one.
 */
void conn_on_call(struct tunnel_conn *c, struct ike_sa *sa, nsec_t now);
/*
 * Of two IKE SAs that both sides made at once ours is the one that goes: what was asked for on it
 * and is not out yet would have the peer send on SAs that are about to end.
 */
void conn_ask_no_more(struct tunnel_conn *c, struct ike_sa *ours);
/*
 * The new IKE SA that is to take over: ours; or, where the peer made one meanwhile, that of the two
 * with the higher initiator's SPI. Both sides choose the same one, and neither ends what the other
 * keeps. Only with c->beside.
 */
struct ike_sa *conn_which_call(const struct tunnel_conn *c);
/*
 * The peer surely has the IKE SA. Where it is the initiator, our response to its IKE_AUTH may be
 * lost: until it is heard on the IKE SA, by IKE or by ESP, it sends on the older one.
 */
bool conn_peer_has(const struct ike_sa *sa);
/*
 * To be called after whatever may end rung 3: if the new IKE SA has all children, the old one is
 * deleted. That happens in the next turn, as the engine may be in the middle of a message for it.
 */
void conn_maybe_take_over(struct tunnel_conn *c, nsec_t now);
/* Of a connection's `takeover`: the new IKE SA takes over, or is looked at again later. */
deadline_due conn_take_over;

#endif
