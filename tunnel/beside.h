/*
 * beside.h - rung 3: a new IKE SA beside one whose peer does not answer, until it has taken over
 * (doc/recovery.md 5); within tunnel/. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_BESIDE_H
#define MENDIP_BESIDE_H

#include "tunnel.h"

/*
 * A new IKE SA beside is needed: a recovery has reached rung 3, only IKE_AUTH can make a child, the
 * peer does not follow to another address of ours, or is to be called at another one of its own.
 */
bool conn_is_mending(const struct tunnel_conn *c);
/* Starts rung 3 after a random wait of up to 2 s, or after the back-off of earlier failures. */
void conn_beside_later(struct tunnel_conn *c, nsec_t now);
/* When a connection's `rung3` is due: initiates the new IKE SA. */
deadline_due conn_beside;
/* conn_ask_missing_on the new IKE SA, if there is one. */
void conn_ask_missing(struct tunnel_child *k, nsec_t at);
/*
 * The peer has made a new IKE SA beside an older one. If rung 3 is needed and has initiated none,
 * it becomes the new IKE SA of rung 3; otherwise children are asked for on it from now on. A call
 * of ours that had no answer is given up.
 */
void conn_on_call(struct tunnel_conn *c, struct ike_sa *sa, nsec_t now);
/*
 * Of two IKE SAs that both sides made at once, ours is the one that goes. Cancels what was asked
 * for on it: otherwise the peer would send on SAs that are about to end.
 */
void conn_ask_no_more(struct tunnel_conn *c, struct ike_sa *ours);
/*
 * The new IKE SA that is to take over: c->beside, which must be set, or c->crossing if that has the
 * higher initiator's SPI. Both sides choose the same one, so that neither ends what the other
 * keeps.
 */
struct ike_sa *conn_which_call(const struct tunnel_conn *c);
/*
 * The peer is known to have the IKE SA. Where it is the initiator, our response to its IKE_AUTH may
 * be lost: until it is heard on the IKE SA, by IKE or by ESP, it sends on the older one.
 */
bool conn_peer_has(const struct ike_sa *sa);
/*
 * Call it after whatever may end rung 3: if the new IKE SA has all children, the old one is
 * deleted. `takeover` does that, as the engine may be in the middle of a message for the old one.
 */
void conn_maybe_take_over(struct tunnel_conn *c, nsec_t now);
/* When a connection's `takeover` is due: the new IKE SA takes over, or is looked at again later. */
deadline_due conn_take_over;

#endif
