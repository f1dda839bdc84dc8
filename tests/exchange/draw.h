/*
 * draw.h - draws a scenario at random from a seed: peers, wire, faults, and the exchanges that are
 * under way when a fault comes. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_DRAW_H
#define MENDIP_DRAW_H

#include "base.h"

#define DRAW_TEXT 8192

struct draw {
	uint64_t state;
	char text[DRAW_TEXT];
	size_t len;
	/* what was drawn, as far as later draws and the expectations need it */
	unsigned children, rate, window;
	bool wide, answers, dpd, benign, esn;
	bool may_move;	   /* the branch called, and may get other addresses (RFC 4555) */
	bool mismatch;	   /* PFS on one side only */
	bool senders;	   /* two senders shared an SA */
	bool few_rekeys;   /* max_rekeys was set to 1 */
	bool proof;	   /* detect = proof, during the whole run */
	bool loses;	   /* packets are lost, or arrive later than the window allows */
	bool drops;	   /* the wire loses packets at random */
	bool overtakes;	   /* packets may overtake the message that makes their SA */
	bool short_lived;  /* SAs soon reach their lifetime if they cannot be rekeyed */
	bool far_numbers;  /* the numbers of an SA jumped to nearly 2^32 */
	bool ids_back;	   /* message IDs went back: a repeated request looks like a new one */
	bool ike_fault;	   /* IKE was cut, or its state went back */
	bool beyond_reach; /* a rewind may go further back than the history */
	bool nonces;	   /* IVs were repeated */
	bool third_lap;	   /* numbers may have come a third time on one SA */
	bool gone;	   /* the gateway lost an SA, and packets with it */
	bool no_bridge;	   /* packets with used numbers are lost until the rekey */
	bool silent_rekey; /* set on the branch, which notices that it alone sends */
	bool forgetful;	   /* the gateway may not know of its rekey, though its requests look so */
	unsigned laps[4];  /* rewinds of the child's SA since it was certainly replaced */
};

/* Draws a scenario, with its expectations; the same seed gives the same text. */
void draw_scenario(struct draw *d, uint64_t seed);
/*
 * Whether no packet may be lost: doc/recovery.md promises that a counter that goes back costs no
 * packet. The promise does not cover packets lost on the wire, numbers beyond the history, repeated
 * nonces, third laps, SAs that are gone or that the peer does not know, and other detection than
 * proof.
 */
bool draw_expects_no_loss(const struct draw *d);

#endif
