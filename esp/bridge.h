/*
 * bridge.h - a second replay window, for the numbers that a rewound sender uses again
 * (doc/recovery.md 7). SPDX-License-Identifier: ISC
 *
 * It stands beside the first window from the proof of a rewind until the SA ends. It delivers
 * packets that the sender seals with numbers that it has used before, each once, until the rekey.
 *
 * This is safe. The history keeps what the first lap received, so a packet of the first lap is
 * known by its tag and never gets here. A packet of the second lap takes its place in the bridge,
 * and is not admitted once its number is left of the bridge. What was never received is not a
 * replay.
 */
#ifndef MENDIP_BRIDGE_H
#define MENDIP_BRIDGE_H

#include "window.h"

struct bridge {
	/*
	 * Twice the size of the replay window: one half reaches back from the edge, the other half
	 * ahead of it, for numbers that the first lap never received.
	 */
	struct window window;
	uint32_t size;
	bool open;   /* opened once; it is not made anew on the same SA */
	bool closed; /* a nonce was used twice: nothing is admitted any more */
};

/* size: of the replay window. Allocates nothing yet. */
static inline void bridge_init(struct bridge *b, uint32_t size)
{
	*b = (struct bridge){.size = size};
}

void bridge_fini(struct bridge *b);
/* Admits nothing from now on. */
void bridge_close(struct bridge *b);

/*
 * Whether the bridge admits a packet whose ICV was right, whose number is not new to the first
 * window and is within the reach of the history. known: the number was received with another tag;
 * otherwise it was not received at all. Moves nothing. Before the bridge is open it admits known
 * numbers only.
 */
bool bridge_admits(const struct bridge *b, uint64_t number, bool known);

/*
 * Only for a bridge that was opened: whether it has passed this number already, or left it behind.
 */
bool bridge_is_behind(const struct bridge *b, uint64_t number);
/* Takes the place of an admitted number; opens the bridge if it was not open. known: see above. */
void bridge_commit(struct bridge *b, uint64_t number, bool known);

#endif
