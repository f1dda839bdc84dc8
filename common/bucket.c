/* bucket.c - see bucket.h. SPDX-License-Identifier: ISC */
#include "bucket.h"

void bucket_init(struct bucket *b, uint64_t rate, uint64_t burst)
{
	*b = (struct bucket){.rate = rate, .burst = burst, .level = burst * NSEC_PER_SEC};
}

static void refill(struct bucket *b, nsec_t now)
{
	uint64_t full = b->burst * NSEC_PER_SEC;
	uint64_t passed = now - b->last;

	if (now <= b->last)
		return;
	b->last = now;
	/* Comparing before multiplying keeps a long pause from overflowing. */
	if (b->rate == 0)
		return;
	if (passed > (full - b->level) / b->rate)
		b->level = full;
	else
		b->level += passed * b->rate;
}

bool bucket_has(struct bucket *b, nsec_t now)
{
	if (b->rate == 0)
		return false;
	if (b->last == 0)
		b->last = now;
	refill(b, now);
	return b->level >= NSEC_PER_SEC;
}

bool bucket_take(struct bucket *b, nsec_t now)
{
	if (!bucket_has(b, now))
		return false;
	b->level -= NSEC_PER_SEC;
	return true;
}
