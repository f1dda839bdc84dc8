/*
 * history.h - what was received on an inbound SA, by number, tag and IV. SPDX-License-Identifier:
 * ISC
 *
 * The window knows that a number was received; the history knows which packet it was, so that the
 * same packet again (a replay) can be told from another packet with the same number (a counter that
 * went back). Three rings with different reach; each look-up compares the whole number.
 *
 *   dense    one entry for each place of the replay window
 *   recent   every k-th number, reaching history_packets back
 *   lifetime at most 4,096 entries over the SA's whole life, at a step that doubles when full
 *
 * All of them start empty and grow with the traffic, by doubling, out of a budget that all SAs of a
 * path share.
 */
#ifndef MENDIP_HISTORY_H
#define MENDIP_HISTORY_H

#include "base.h"
#include "crypto/random.h"

#define HISTORY_LIFETIME_MAX 4096

/* Bytes that all histories of a path may take. */
struct history_budget {
	uint64_t cap, used;
};

struct history_entry {
	uint64_t number; /* 0: empty, as no packet has number 0 */
	uint32_t tag;	 /* first 32 bits of the ICV */
	uint32_t iv;	 /* digest: high word xor low word of the explicit IV */
};

struct history_ring {
	struct history_entry *v;
	uint32_t size;	/* entries allocated */
	uint32_t limit; /* entries it may grow to */
};

struct history_config {
	uint32_t window;  /* numbers in the replay window */
	uint64_t packets; /* history_packets: reach of the recent ring, at least sample */
	uint32_t sample;  /* history_sample: k, a power of two */
};

struct history {
	struct history_config cfg;
	struct history_budget *budget;
	struct rng *rng;
	struct history_ring dense, recent, life;
	uint64_t top;	     /* highest number recorded */
	uint64_t sample;     /* k in force: more than configured when the budget is spent */
	uint64_t phase;	     /* number % sample that is kept: secret */
	uint32_t life_count; /* entries in life, sorted by number */
	uint64_t life_step, life_phase;
	bool starved; /* the budget refused; stops us from asking again at each packet */
};

enum history_answer {
	HISTORY_UNKNOWN, /* the number is not remembered */
	HISTORY_SAME,	 /* remembered with this tag */
	HISTORY_OTHER,	 /* remembered with another tag */
};

/* budget and rng must outlive h. Nothing is allocated yet. */
void history_init(struct history *h, const struct history_config *cfg,
		  struct history_budget *budget, struct rng *rng);
/* Gives its memory back to the budget. */
void history_fini(struct history *h);
/* Fetches the places that history_record is going to write for this number. */
static inline void history_warm(const struct history *h, uint64_t number)
{
	if (h->dense.size)
		__builtin_prefetch(&h->dense.v[number & (h->dense.size - 1)], 1);
	if ((number & (h->life_step - 1)) == h->life_phase && h->life.size)
		__builtin_prefetch(&h->life.v[h->life_count], 1);
}

/* Remembers a packet that was FRESH. */
void history_record(struct history *h, uint64_t number, uint32_t tag, uint32_t iv);
/* What is known of the number; with HISTORY_OTHER, *ret_iv is the remembered IV digest. */
enum history_answer history_lookup(const struct history *h, uint64_t number, uint32_t tag,
				   uint32_t *ret_iv);
/*
 * Whether a sender that went back to `number` and counts on meets a remembered number within
 * `sample` packets (RECOVERY 3, "both"); no where that is not sure. top: the window's.
 */
bool history_reaches(const struct history *h, uint64_t number, uint64_t top);
/* Bytes in use. */
uint64_t history_memory(const struct history *h);

#endif
