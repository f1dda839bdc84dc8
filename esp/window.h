/*
 * window.h - the anti-replay window (RFC 4303 3.4.3, RFC 6479). SPDX-License-Identifier: ISC
 *
 * A bitmap over 64-bit numbers, of exactly the configured size, in a ring of whole words that is a
 * little larger, so that the window moves by clearing words and never by shifting bits.
 */
#ifndef MENDIP_WINDOW_H
#define MENDIP_WINDOW_H

#include "base.h"

#define WINDOW_MIN     32
#define WINDOW_MAX     65536
#define WINDOW_DEFAULT 1024
#define WINDOW_WORD    64 /* bits of a word of the ring */

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

/* Allocates the ring. size in [WINDOW_MIN, 2 * WINDOW_MAX]. */
void window_init(struct window *w, uint32_t size);
/* Frees the ring. */
void window_fini(struct window *w);

static inline uint64_t *window_word(const struct window *w, uint64_t n)
{
	return &w->ring[(n / WINDOW_WORD) & (w->words - 1)];
}

/* Where the number n >= 1 is; moves nothing. */
static inline enum window_place window_place(const struct window *w, uint64_t n)
{
	if (n > w->top)
		return WINDOW_RIGHT;
	if (w->top - n >= w->size)
		return WINDOW_LEFT;
	return *window_word(w, n) >> (n % WINDOW_WORD) & 1 ? WINDOW_TAKEN : WINDOW_FREE;
}

static inline bool window_is_new(enum window_place p)
{
	return p == WINDOW_RIGHT || p == WINDOW_FREE;
}
/* Moves the right edge to n > top; the new places are empty. */
static inline void window_advance(struct window *w, uint64_t n)
{
	uint64_t steps = n / WINDOW_WORD - w->top / WINDOW_WORD;

	if (steps > w->words)
		steps = w->words;
	for (uint64_t i = 0; i < steps; i++)
		*window_word(w, n - i * WINDOW_WORD) = 0;
	w->top = n;
}

/* Marks n, which is new, as received; moves the window if n is right of it. */
static inline void window_commit(struct window *w, uint64_t n)
{
	if (n > w->top)
		window_advance(w, n);
	*window_word(w, n) |= 1ULL << (n % WINDOW_WORD);
}

/*
 * The 64-bit numbers that may have this low half (RFC 4303 A2.2 and doc/recovery.md 1). `number` is
 * the inferred one; `second` is what a rewound sender would have meant, or 0 if there is no second
 * candidate. A second candidate is never new.
 */
struct esn_guess {
	uint64_t number, second;
};
struct esn_guess window_guess(const struct window *w, uint32_t low);

/* The number of a sender that began again at 1; 0 if it is one of the two in g, or cannot be. */
static inline uint64_t window_anew(const struct window *w, uint32_t low, struct esn_guess g)
{
	return w->top >> 32 && g.number != low && g.second != low ? low : 0;
}

#endif
