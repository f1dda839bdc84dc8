/* bucket.h - a token bucket on the caller's clock. SPDX-License-Identifier: ISC */
#ifndef MENDIP_BUCKET_H
#define MENDIP_BUCKET_H

#include "base.h"

struct bucket {
	uint64_t rate;	/* tokens a second; 0 gives none ever */
	uint64_t burst; /* at most 2^32 */
	uint64_t level; /* nanotokens */
	nsec_t last;	/* 0: never asked; starts full */
};

void bucket_init(struct bucket *b, uint64_t rate, uint64_t burst);
/* Takes one token; false when there is none. now never runs back. */
bool bucket_take(struct bucket *b, nsec_t now);
/* Whether there is one; takes none. */
bool bucket_has(struct bucket *b, nsec_t now);

#endif
