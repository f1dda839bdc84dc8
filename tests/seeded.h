/*
 * seeded.h - a random number generator (splitmix64) for repeatable runs: the same seed gives the
 * same numbers. Not for secrets. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_TESTS_SEEDED_H
#define MENDIP_TESTS_SEEDED_H

#include <string.h>

#include "base.h"
#include "crypto/random.h"

struct seeded {
	struct rng rng;
	uint64_t state;
};

/* The next number of the sequence. */
static inline uint64_t seeded_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static inline void seeded_fill(struct rng *r, void *p, size_t len)
{
	struct seeded *s = container_of(r, struct seeded, rng);
	uint8_t *b = p;

	while (len > 0) {
		uint64_t v = seeded_next(&s->state);
		size_t n = len < 8 ? len : 8;

		memcpy(b, &v, n);
		b += n;
		len -= n;
	}
}

static inline void seeded_init(struct seeded *s, uint64_t seed)
{
	s->rng.fill = seeded_fill;
	s->state = seed;
}

#endif
