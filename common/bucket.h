/* bucket.h - a token bucket on the caller's clock. SPDX-License-Identifier: ISC */
#ifndef MENDIP_BUCKET_H
#define MENDIP_BUCKET_H

#include "base.h"

struct bucket {
	uint64_t rate;	/* tokens per second; 0: never any */
	uint64_t burst; /* tokens, at most 2^32 */
	uint64_t level; /* in 10^-9 tokens */
	nsec_t last;	/* time of the last refill; 0: none yet */
};

/* The bucket starts full. */
void bucket_init(struct bucket *b, uint64_t rate, uint64_t burst);
/* Takes one token; false if there is none. A `now` before an earlier one adds no tokens. */
bool bucket_take(struct bucket *b, nsec_t now);
/* Whether bucket_take would take one. */
bool bucket_has(struct bucket *b, nsec_t now);

#endif
