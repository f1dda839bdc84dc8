/*
 * gate.h - decides whether evidence of a switchover may lead to a rekey, and when (doc/recovery.md
 * 4). SPDX-License-Identifier: ISC
 *
 * The gate is asked for one inbound SA; its allowances belong to the child, over all its SAs. The
 * caller passes in all that the answer depends on.
 */
#ifndef MENDIP_GATE_H
#define MENDIP_GATE_H

#include "options.h"

#define GATE_REMEMBERED 32 /* admissions; more than max_rekeys and the steps of the back-off */

#define FOREACH_GATE_ANSWER(X)        \
	X(ADMITTED, "admitted")       \
	X(DISABLED, "disabled")       \
	X(SUPERSEDED, "superseded")   \
	X(IN_PROGRESS, "in-progress") \
	X(QUIET, "quiet")

enum gate_answer {
#define X(id, text) GATE_##id,
	FOREACH_GATE_ANSWER(X)
#undef X
		GATE_ANSWERS
};
const char *gate_answer_name(enum gate_answer a);

struct gate_admission {
	nsec_t at;
	bool helped; /* the successor carried a FRESH packet */
};

struct gate_allowance {
	struct gate_admission ring[GATE_REMEMBERED];
	uint64_t count;	    /* of admissions so far: the newest ticket, and the ring's next place */
	uint64_t from;	    /* tickets up to this one count no more */
	nsec_t quiet_until; /* 0: not quiet */
};

struct gate {
	struct gate_allowance proof, hint;
	uint64_t answers[GATE_ANSWERS];
};

struct gate_facts {
	bool superseded;  /* the SA was replaced and its successor won */
	bool in_progress; /* a request of ours or the peer's rekey is under way */
	bool again;	  /* the SA was admitted before, and not replaced */
	nsec_t installed; /* when the SA was made */
};

struct gate_reply {
	enum gate_answer answer;
	/* GATE_ADMITTED */
	nsec_t backoff;	 /* wait before the rekey: earlier ones were many, but helped */
	uint64_t ticket; /* for gate_helped and gate_give_back; 0: nothing was spent */
	/* GATE_QUIET */
	nsec_t until;
	bool began; /* the quiet began with this call */
};

/* Asks for a rekey by this criterion. With GATE_ADMITTED the allowance is spent. */
struct gate_reply gate_ask(struct gate *g, const struct tunnel_options *o, enum criterion c,
			   const struct gate_facts *f, nsec_t now);
/* The rekey of this admission helped: its successor carried a FRESH packet. */
void gate_helped(struct gate *g, enum criterion c, uint64_t ticket);
/* This admission led to no rekey, or another one was faster: undone if it is the newest. */
void gate_give_back(struct gate *g, enum criterion c, uint64_t ticket);
/* The time until which the allowance for the criterion is quiet; 0: it is not. */
nsec_t gate_quiet_until(const struct gate *g, enum criterion c, nsec_t now);
/* Ends back-off and quiet; all starts from zero. Counters stay; older tickets give nothing back. */
void gate_reset(struct gate *g);

#endif
