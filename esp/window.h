/*
 * window.h - the anti-replay window (RFC 4303 3.4.3, RFC 6479). SPDX-License-Identifier: ISC
 *
 * A bitmap over 64-bit numbers, of exactly the configured size, in a ring of whole words that is a
 * little larger, so that the window moves by clearing words and never by shifting bits.
 */
#ifndef MENDIP_WINDOW_H
#define MENDIP_WINDOW_H

#include "base.h"

#define WINDOW_MIN 32
#define WINDOW_MAX 65536

struct window {
	uint64_t top;	/* highest number committed; 0: none */
	uint32_t size;	/* numbers in the window */
	uint32_t words; /* in the ring; a power of two */
	uint64_t *ring;
};

enum window_place {
	WINDOW_RIGHT, /* right of the window */
	WINDOW_FREE,  /* an empty place in it */
	WINDOW_TAKEN, /* a place in it that is taken */
	WINDOW_LEFT,  /* left of the window */
};

/* size in [WINDOW_MIN, WINDOW_MAX]. */
void window_init(struct window *w, uint32_t size);
void window_fini(struct window *w);
/* Where the number n >= 1 is; moves nothing. */
enum window_place window_place(const struct window *w, uint64_t n);
static inline bool window_is_new(enum window_place p)
{
	return p == WINDOW_RIGHT || p == WINDOW_FREE;
}
/* Takes the place of n, which is new, moving the window when n is right of it. */
void window_commit(struct window *w, uint64_t n);

/*
 * What a low half of an extended sequence number can mean (RFC 4303 A2.2 and RECOVERY 1).
 * `number` is the inferred one; `second` what a rewound sender would have meant, 0 where there is
 * no second candidate. A second candidate is never new.
 */
struct esn_guess {
	uint64_t number, second;
};
struct esn_guess window_guess(const struct window *w, uint32_t low);

#endif
