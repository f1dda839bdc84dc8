/*
 * draw.h - draws a scenario from a seed: peers, wire, faults and what is under way when they come.
 * SPDX-License-Identifier: ISC
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
	bool mismatch;	  /* one side only has PFS */
	bool senders;	  /* two shared an SA */
	bool few_rekeys;  /* max_rekeys was set to 1 */
	bool proof;	  /* detect = proof, all the time */
	bool loses;	  /* the wire loses packets, or brings them later than the window reaches */
	bool drops;	  /* it loses them, as drawn */
	bool overtakes;	  /* the wire lets a packet overtake the message that makes its SA */
	bool short_lived; /* SAs end soon if they cannot be rekeyed */
	bool far_numbers; /* an SA's numbers jumped to nearly 2^32 */
	bool ids_back;	  /* its message IDs went back: a request again passes for a new one */
	bool ike_fault;	  /* IKE was cut, or its state went back */
	bool beyond_reach; /* a rewind may go further than the history */
	bool nonces;	   /* IVs were repeated */
	bool third_lap;	   /* numbers may have come a third time on one SA */
	bool gone;	   /* the gateway lost an SA, and with it packets */
	bool no_bridge;	   /* what a rewound counter sends is lost until the rekey */
	bool silent_rekey; /* the branch finds out when only it sends */
	bool forgetful;	   /* it may not know of its own rekey, though its requests look so */
	unsigned laps[4];  /* rewinds of the child's SA since it surely was replaced */
};

/* The text is complete with what is expected; the same seed draws the same. */
void draw_scenario(struct draw *d, uint64_t seed);
/*
 * doc/recovery.md, promise: a counter that goes back costs no packet. What it does not promise for:
 * packets that the wire lost, numbers out of the history's reach, repeated nonces, third laps, SAs
 * that are gone or that the peer does not know, and detection by other rules than proof.
 */
bool draw_expects_no_loss(const struct draw *d);

#endif
