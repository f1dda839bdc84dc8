/* window.c - see window.h. SPDX-License-Identifier: ISC */
#include "window.h"
#include "xalloc.h"

void window_init(struct window *w, uint32_t size)
{
	uint32_t words = 1;

	/* One word more than the window covers, as the top's word is only partly used. */
	while (words * WINDOW_WORD < size + WINDOW_WORD)
		words *= 2;
	*w = (struct window){.size = size, .words = words};
	w->ring = xreallocarray(NULL, words, sizeof(uint64_t));
	memset(w->ring, 0, words * sizeof(uint64_t));
}

void window_fini(struct window *w)
{
	free(w->ring);
	w->ring = NULL;
}

static uint64_t join(uint64_t high, uint32_t low)
{
	return high << 32 | low;
}

struct esn_guess window_guess(const struct window *w, uint32_t low)
{
	uint64_t high = w->top >> 32;
	uint32_t right = (uint32_t)w->top;
	uint32_t left = right - w->size + 1; /* modulo 2^32, as in A2.2 */
	uint64_t before = high > 0 ? join(high - 1, low) : 0;

	if (right >= w->size - 1) { /* the window lies within one subspace */
		if (low < left)
			return (struct esn_guess){join(high + 1, low), join(high, low)};
		return (struct esn_guess){join(high, low), low > right ? before : 0};
	}
	if (high == 0) /* nothing lies before number 0 */
		return (struct esn_guess){low, 0};
	if (low >= left)
		return (struct esn_guess){before, 0};
	return (struct esn_guess){join(high, low), low > right ? before : 0};
}
