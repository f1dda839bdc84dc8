/*
 * detector.h - tells a switchover from a replay, by authentic packets. SPDX-License-Identifier: ISC
 *
 * doc/recovery.md 3. One per inbound SA, which passes only packets whose ICV was right.
 */
#ifndef MENDIP_DETECTOR_H
#define MENDIP_DETECTOR_H

#include "base.h"

#define DETECTOR_PAIRS	  64   /* the last (number, tag) of packets that were evidence */
#define DETECTOR_SEEN	  2048 /* places for REWOUND packets beyond those */
#define DETECTOR_TIME_MIN 8    /* distinct packets that `time` needs at least */

#define FOREACH_DETECT_MODE(X) \
	X(OFF, "off")          \
	X(PROOF, "proof")      \
	X(PATTERN, "pattern")  \
	X(BOTH, "both")

enum detect_mode {
#define X(id, text) DETECT_##id,
	FOREACH_DETECT_MODE(X)
#undef X
};

#define FOREACH_CRITERION(X)          \
	X(NONE, "none")               \
	X(PROOF, "proof")             \
	X(NONCE_REUSE, "nonce-reuse") \
	X(COUNT, "count")             \
	X(TIME, "time")               \
	X(OLDER_SA, "older-sa")       \
	X(INVALID_SPI, "invalid-spi") \
	X(SILENT, "silent")           \
	X(IKE_BACK, "ike-went-back")  \
	X(REFUSED, "rekey-refused")   \
	X(SYNC, "sync")

enum criterion {
#define X(id, text) CRITERION_##id,
	FOREACH_CRITERION(X)
#undef X
};

enum detector_state { DETECTOR_CALM, DETECTOR_SUSPECT, DETECTOR_CONFIRMED };

/* True if only a holder of the key can meet the criterion; the others are hints. */
static inline bool criterion_is_proof(enum criterion c)
{
	return c == CRITERION_PROOF || c == CRITERION_NONCE_REUSE;
}

/* What one packet meant to the detector. */
enum evidence {
	EVIDENCE_NONE,	   /* counted before */
	EVIDENCE_NEW,	   /* counted */
	EVIDENCE_CONFIRMS, /* made it CONFIRMED, or a confirmation by pattern one by proof */
};

struct detector_config {
	enum detect_mode mode;
	uint32_t proof_packets; /* REWOUND packets that prove, >= 1 */
	uint32_t packets;	/* of `count`, >= 1 */
	nsec_t interval;	/* of `time` */
};

struct detector_pair {
	uint64_t number;
	uint32_t tag;
	bool used;
};

struct detector_pairs {
	struct detector_pair v[DETECTOR_PAIRS];
	uint32_t next;
};

struct detector {
	enum detector_state state;
	enum criterion criterion;	/* why CONFIRMED */
	uint32_t proofs;		/* distinct REWOUND since the last reset */
	uint32_t pattern;		/* distinct STALE or REWOUND since the last FRESH */
	nsec_t first_evidence;		/* since the last reset; 0: none */
	nsec_t pattern_since;		/* first of `pattern` */
	uint64_t first_number;		/* number of the first evidence */
	struct detector_memory *memory; /* allocated with the first evidence */
};

const char *detect_mode_name(enum detect_mode m);
/* -EINVAL if the name is unknown. */
int detect_mode_parse(const char *s, enum detect_mode *ret) MUST_CHECK;
const char *criterion_name(enum criterion c);
const char *detector_state_name(enum detector_state s);

/* Allocates nothing yet. */
void detector_init(struct detector *d);
void detector_fini(struct detector *d);
/* Whether the packet was evidence before: this one is a replay of it. */
bool detector_knows(const struct detector *d, uint64_t number, uint32_t tag);
/*
 * Whether a STALE packet would count, and so is worth opening. reaches: history_reaches of its
 * number.
 */
bool detector_asks(const struct detector_config *cfg, bool reaches);
/*
 * Takes a REWOUND packet that detector_knows did not know, or a BRIDGED one of a known number. With
 * DETECT_OFF it is remembered, but does not count.
 */
enum evidence detector_rewound(struct detector *d, const struct detector_config *cfg, nsec_t now,
			       uint64_t number, uint32_t tag, bool nonce_reused);
/* Takes a STALE packet that detector_asks asked for and detector_knows did not know. */
enum evidence detector_stale(struct detector *d, const struct detector_config *cfg, nsec_t now,
			     uint64_t number, uint32_t tag);
/* The part of detector_fresh for a detector that has something to forget. */
void detector_fresh_slow(struct detector *d);
/* Takes a FRESH packet, which ends a pattern; proofs stay. */
static inline void detector_fresh(struct detector *d)
{
	if (d->pattern || d->state != DETECTOR_CALM)
		detector_fresh_slow(d);
}
/* Resets all, except that packets that were evidence stay known. */
void detector_reset(struct detector *d);

#endif
