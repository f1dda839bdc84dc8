/* base.h - what every file uses: integers, small macros, time. SPDX-License-Identifier: ISC */
#ifndef MENDIP_BASE_H
#define MENDIP_BASE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_SIZE(a)		   (sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, mem) ((type *)(void *)((char *)(p)-offsetof(type, mem)))
#define PRINTF_LIKE(f, a)	   __attribute__((format(printf, f, a)))
#define MUST_CHECK		   __attribute__((warn_unused_result))
#define ALWAYS_INLINE		   static inline __attribute__((always_inline))

/* Monotonic time in nanoseconds. Zero is never a real instant: it means "not set". */
typedef uint64_t nsec_t;

#define NSEC_PER_USEC 1000ULL
#define NSEC_PER_MSEC 1000000ULL
#define NSEC_PER_SEC  1000000000ULL
#define NSEC_NEVER    UINT64_MAX

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Returns now + delta, or NSEC_NEVER where that would wrap. */
static inline nsec_t nsec_after(nsec_t now, nsec_t delta)
{
	return delta > NSEC_NEVER - now ? NSEC_NEVER : now + delta;
}

#endif
