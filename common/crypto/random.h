/*
 * random.h - where randomness comes from. SPDX-License-Identifier: ISC
 *
 * Code that needs randomness takes a struct rng, so that tests can run whole peers from a seed.
 */
#ifndef MENDIP_RANDOM_H
#define MENDIP_RANDOM_H

#include "base.h"

struct rng {
	/* Fills len bytes; never fails (without randomness the process aborts). */
	void (*fill)(struct rng *r, void *p, size_t len);
};

/* The system's generator (RAND_priv_bytes). */
extern struct rng rng_system;

static inline void rng_fill(struct rng *r, void *p, size_t len)
{
	r->fill(r, p, len);
}

uint64_t rng_u64(struct rng *r);
/* Uniform in [0, bound); 0 if bound is 0. */
uint64_t rng_below(struct rng *r, uint64_t bound);
/* v less a random part of it, at most a tenth: so that many SAs are not rekeyed at once. */
uint64_t rng_jittered(struct rng *r, uint64_t v);

#endif
