/*
 * esp_run.h - a run of traffic with an adversary, which ends in a true rewind.
 * SPDX-License-Identifier: ISC
 *
 * Covers doc/recovery.md 6 as far as one path and its detector are concerned. The gateway sends,
 * Mendip receives; a run counts the results and prints one row of a table.
 */
#ifndef MENDIP_ESP_RUN_H
#define MENDIP_ESP_RUN_H

#include "esp_fixture.h"
#include "ref_model.h"

#define RUN_PACKET_TIME (100 * NSEC_PER_USEC) /* between two packets of the sender */

/* Recorded packets, all of the same length. */
struct tape {
	uint8_t *b;
	uint32_t seg;
	size_t count, cap;
};

void tape_add(struct tape *t, const uint8_t *pkt, uint32_t seg);
void tape_fini(struct tape *t);
uint8_t *tape_at(const struct tape *t, size_t i);

struct run {
	const char *name;
	struct fixture *l;
	struct fixture_result r;
	struct tape tape; /* what the adversary recorded, if `record` is set */
	bool record;
	/* Whether a packet of the sender is delivered at once; NULL: all are. */
	bool (*pass)(struct run *run, uint64_t number, const uint8_t *pkt, uint32_t len);
	/* The adversary's actions before each packet of a rewound sender; NULL: none. */
	void (*noise)(struct run *run);
	struct tape held;   /* packets withheld by `pass` */
	uint64_t seen;	    /* packets sent so far, for `pass` */
	uint32_t batch;	    /* packets per receive; 0: as many as possible */
	uint32_t reorder;   /* packets are shuffled in groups of this size; 0: in order */
	bool bit_identical; /* every plaintext is the same; deliveries are not counted */
	/* Each plaintext contains its index in the order of sealing. */
	uint8_t *came; /* how often each packet was delivered */
	uint64_t came_size;
	uint64_t sealed, delivered; /* distinct packets */
	uint64_t twice;		    /* deliveries beyond the first of each packet */
	/* results */
	unsigned switchovers;
	enum criterion why;
	struct refwindow window; /* for the published rule */
	struct published published;
	bool esn;
};

void run_init(struct run *run, const char *name, const struct fixture_opt *opt);
/* Prints the row, unless name is NULL, and frees everything. Fails if a packet was delivered
 * twice. */
void run_fini(struct run *run);
/* Sends `count` packets from the sender, through `pass`. */
void run_send(struct run *run, uint64_t count);
/* Delivers `count` packets of seg bytes, one after another in b, in batches. */
void run_deliver(struct run *run, const uint8_t *b, uint32_t seg, size_t count);
void run_play(struct run *run, const struct tape *t, size_t from, size_t count);
/* Delivers `count` forged packets with random numbers up to number_below, as long as genuine
 * ones. */
void run_forge(struct run *run, uint64_t number_below, size_t count);
/* Sets the next sequence number of the sender. */
void run_set_number(struct run *run, uint64_t number);
/* Fails if a switchover was confirmed. */
void run_assert_calm(const struct run *run);
/* Fails unless the packets with index from to to - 1 (see run->sealed) were delivered, except
 * `lost` of them. */
void run_assert_came(const struct run *run, uint64_t from, uint64_t to, uint64_t lost);
/*
 * The sender continues from `number` and sends `count` packets, under noise. All of them must be
 * delivered, except `lost` (doc/recovery.md 7).
 */
void run_bridged_rewind(struct run *run, uint64_t number, uint64_t count, uint64_t lost);
/*
 * The sender continues from `number`, under noise, until the detector is CONFIRMED. Fails if that
 * takes more than `limit` packets; returns how many it took.
 */
uint64_t run_rewind(struct run *run, uint64_t number, uint64_t limit);
/* Drops the evidence, as the gate does. */
void run_reset(struct run *run);
void run_print_header(void);

#endif
