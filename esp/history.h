/*
 * history.h - what was received on an inbound SA, by number, tag and IV (doc/recovery.md 2).
 * SPDX-License-Identifier: ISC
 *
 * The window knows that a number was received; the history knows which packet it was, so that the
 * same packet again (a replay) can be told from another packet with the same number (a counter that
 * went back).
 *
 * near: every one of the last history_packets numbers, 8 bytes each, in blocks of 512.
 *
 * head: up to the first 16,383 numbers, kept when the near ring goes on. A standby that was told of
 * no number begins with 1, however many the SA has carried.
 *
 * lifetime: at most 4,096 entries over the lifetime of the SA, at a step that doubles when they are
 * full.
 *
 * A block is allocated when the first packet of its 512 numbers arrives, and says which numbers
 * those are. So an SA without traffic has none, a forward jump clears nothing, and an entry is
 * never taken for that of another number.
 *
 * All histories of a data path share a budget. The first block of each is allocated even beyond it,
 * so that every SA has one. Each SA is entitled to a fair share; those that need more use the rest.
 * When the budget is used up, memory is taken from RETIRED SAs first, then from the largest
 * history, whose reach is halved.
 */
#ifndef MENDIP_HISTORY_H
#define MENDIP_HISTORY_H

#include <sys/queue.h>

#include "base.h"
#include "wire.h"
#include "crypto/random.h"

#define HISTORY_LIFETIME_MAX 4096
#define HISTORY_BLOCK	     512		  /* numbers in a block; a power of two */
#define HISTORY_HEAD	     (32 * HISTORY_BLOCK) /* the head is the numbers below, from 1 */
#define HISTORY_CLASSES	     128 /* size classes in units of a block: four per octave */

LIST_HEAD(history_list, history);

/* The bytes that all histories of a path may use, and lists of them by size. */
struct history_budget {
	uint64_t cap, used;
	uint32_t members; /* histories that have memory, without those of RETIRED SAs */
	struct history_list live[HISTORY_CLASSES];    /* by memory */
	struct history_list retired[HISTORY_CLASSES]; /* of RETIRED SAs */
};

/* All zero: not received. */
struct near_entry {
	uint32_t tag; /* first 32 bits of the ICV */
	uint32_t iv;  /* digest: high word xor low word of the explicit IV */
};

struct near_block {
	uint64_t index; /* number / HISTORY_BLOCK of its numbers */
	struct near_entry *v;
};

struct life_entry {
	uint64_t number;
	uint32_t tag, iv;
};

struct history_config {
	uint32_t window;  /* numbers in the replay window; the near ring never reaches less far */
	uint64_t packets; /* history_packets: how far the near ring reaches */
};

struct history {
	/* touched by each packet: */
	struct near_entry *here; /* entries of the block that was written last; NULL: none */
	uint64_t here_index;	 /* its index */
	uint64_t top;		 /* highest number recorded */
	uint64_t life_step, life_phase;
	/* touched once in 512 packets, or in a life_step: */
	uint64_t floor;		 /* from here on, "no entry" means "not received" */
	uint64_t head_end;	 /* and below this; numbers between are beyond reach */
	struct near_block *ring; /* the blocks, sorted by index, from place `first` on */
	uint32_t room, first, blocks;
	uint64_t blocks_max;	  /* most blocks in the ring, by history_packets */
	struct near_entry **head; /* blocks below floor by index; NULL: none was made */
	uint32_t heads;		  /* blocks in head */
	uint32_t life_size, life_count;
	struct life_entry *life; /* sorted by number */
	struct history_budget *budget;
	struct rng *rng;
	LIST_ENTRY(history) link; /* in the budget's list of its class, when it has any memory */
	bool retired;
};

enum history_answer {
	HISTORY_UNKNOWN, /* the number is beyond reach */
	HISTORY_ABSENT,	 /* within the reach of near ring or head, and surely not received */
	HISTORY_SAME,	 /* received with this tag */
	HISTORY_OTHER,	 /* received with another tag */
};

void history_budget_init(struct history_budget *b, uint64_t cap);
/*
 * Sets another cap, in bytes. If more is in use, memory is taken at once, from RETIRED SAs and then
 * from the largest.
 */
void history_budget_set(struct history_budget *b, uint64_t cap);
/* budget and rng must outlive h, and h must not move. Nothing is allocated yet. */
void history_init(struct history *h, const struct history_config *cfg,
		  struct history_budget *budget, struct rng *rng);
/* Frees all memory of h. */
void history_fini(struct history *h);
/* Call it when the SA is RETIRED: the memory of h is then the first to be taken. */
void history_retire(struct history *h);
/* Frees near ring and head, and all but at most 256 lifetime entries. */
void history_condense(struct history *h);

/* Prefetches the entry that history_record is going to write for this number. */
static inline void history_warm(const struct history *h, uint64_t number)
{
	if (number / HISTORY_BLOCK == h->here_index && h->here)
		__builtin_prefetch(&h->here[number % HISTORY_BLOCK], 1);
}

/*
 * The part of history_record for a number that is not in the block written last, or is sampled for
 * the lifetime entries.
 */
void history_record_slow(struct history *h, uint64_t number, uint32_t tag, uint32_t iv);

/* Remembers a FRESH packet, number >= 1. Allocates at most one block in 512 numbers. */
static inline void history_record(struct history *h, uint64_t number, uint32_t tag, uint32_t iv)
{
	if (number / HISTORY_BLOCK != h->here_index || !h->here ||
	    (number & (h->life_step - 1)) == h->life_phase) {
		history_record_slow(h, number, tag, iv);
		return;
	}
	/* All zero means "not received": a packet that would read so gets another digest. */
	h->here[number % HISTORY_BLOCK] = (struct near_entry){tag, iv | (tag == 0 && iv == 0)};
	h->top = max_u64(h->top, number);
}

/* What is known of the number; with HISTORY_OTHER, *ret_iv is the remembered IV digest. */
enum history_answer history_lookup(const struct history *h, uint64_t number, uint32_t tag,
				   uint32_t *ret_iv);
/* Whether near ring or head covers the number: if they do not have it, it was not received. */
static inline bool history_reaches(const struct history *h, uint64_t number)
{
	return number >= h->floor || number < h->head_end;
}
/* Writes the whole history, in the byte order of this machine. */
void history_save(const struct history *h, struct writer *w);
/*
 * Reads a history into one that history_init has just made. It may take more than the budget has:
 * see history_budget_set. -EBADMSG: it is malformed; only history_fini may follow.
 */
int history_load(struct history *h, struct reader *r) MUST_CHECK;
/* Bytes in use. */
uint64_t history_memory(const struct history *h);

#endif
