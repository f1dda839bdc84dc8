/* random.c - see random.h. SPDX-License-Identifier: ISC */
#include "crypto/random.h"

#include <openssl/rand.h>

static void system_fill(struct rng *r, void *p, size_t len)
{
	(void)r;
	if (RAND_priv_bytes(p, (int)len) != 1)
		abort();
}

struct rng rng_system = {.fill = system_fill};

uint64_t rng_u64(struct rng *r)
{
	uint64_t v;

	rng_fill(r, &v, sizeof(v));
	return v;
}

uint64_t rng_below(struct rng *r, uint64_t bound)
{
	uint64_t v, limit;

	if (bound == 0)
		return 0;
	/* Rejecting the uneven tail keeps every value equally likely. */
	limit = UINT64_MAX - UINT64_MAX % bound;
	do {
		v = rng_u64(r);
	} while (v >= limit);
	return v % bound;
}

uint64_t rng_jittered(struct rng *r, uint64_t v)
{
	return v - rng_below(r, v / 10 + 1);
}
