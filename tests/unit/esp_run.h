/*
 * esp_run.h - one run of traffic, an adversary, and at last a true rewind. SPDX-License-Identifier:
 * ISC
 *
 * doc/recovery.md 6, as far as one path and its detector are concerned. The gateway sends, Mendip
 * receives; a run counts what came of it and prints one row of a table.
 */
#ifndef MENDIP_ESP_RUN_H
#define MENDIP_ESP_RUN_H

#include "esp_fixture.h"
#include "ref_model.h"

#define RUN_PACKET_TIME (100 * NSEC_PER_USEC) /* between two packets of the sender */

/* Recorded packets, all of one length. */
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
	struct tape tape; /* what the adversary recorded, when record is set */
	bool record;
	/* Which packets of the sender go through at once; NULL: all. */
	bool (*pass)(struct run *run, uint64_t number, const uint8_t *pkt, uint32_t len);
	/* What the adversary does before each packet of a rewound sender; NULL: nothing. */
	void (*noise)(struct run *run);
	struct tape held;   /* withheld by pass */
	uint64_t seen;	    /* packets of the sender, for pass */
	uint32_t batch;	    /* packets of one receive; 0: as many as there can be */
	uint32_t reorder;   /* packets are out of order within so many; 0: in order */
	bool bit_identical; /* the same plaintext in every packet; nothing is told apart then */
	/* Each packet of the sender carries its place in the order of sealing. */
	uint8_t *came; /* how often each was delivered */
	uint64_t came_size;
	uint64_t sealed, delivered; /* different ones */
	uint64_t twice;		    /* delivered more than once */
	/* outcome */
	unsigned switchovers;
	enum criterion why;
	struct refwindow window; /* for the rule as published */
	struct published published;
	bool esn;
};

void run_init(struct run *run, const char *name, const struct fixture_opt *opt);
/* Prints the row, unless name is NULL, and frees all. Fails if anything was delivered twice. */
void run_fini(struct run *run);
/* count packets from the sender, through `pass`. */
void run_send(struct run *run, uint64_t count);
/* Any packets on the wire, count of seg bytes back to back, delivered in batches. */
void run_deliver(struct run *run, const uint8_t *b, uint32_t seg, size_t count);
void run_play(struct run *run, const struct tape *t, size_t from, size_t count);
/* Packets of the length of the others, at any number, that nobody sealed. */
void run_forge(struct run *run, uint64_t number_below, size_t count);
/* The next number that the sender uses. */
void run_set_number(struct run *run, uint64_t number);
/* Nothing was confirmed so far. */
void run_assert_calm(const struct run *run);
/* Fails unless the packets sealed from..to-1 (see run->sealed) came, but for `lost` of them. */
void run_assert_came(const struct run *run, uint64_t from, uint64_t to, uint64_t lost);
/*
 * The sender goes back (or elsewhere) to `number` and sends count packets, under noise, all of
 * which are delivered but for `lost`: doc/recovery.md 7.
 */
void run_bridged_rewind(struct run *run, uint64_t number, uint64_t count, uint64_t lost);
/*
 * The sender goes back (or elsewhere) to `number` and counts on, under noise, until the detector is
 * CONFIRMED. Fails the test unless that is so after at most limit packets. Returns their number.
 */
uint64_t run_rewind(struct run *run, uint64_t number, uint64_t limit);
/* The gate asked, and all starts from zero. */
void run_reset(struct run *run);
void run_print_header(void);

#endif
