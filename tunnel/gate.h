/*
 * gate.h - keeps detection from ever rekeying too often (RECOVERY 4). SPDX-License-Identifier: ISC
 *
 * One for each child, over all its SAs. Pure: asked with what the caller knows, it answers.
 */
#ifndef MENDIP_GATE_H
#define MENDIP_GATE_H

#include "options.h"

#define GATE_MAX_REKEYS 16

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

struct gate_allowance {
	nsec_t admitted[GATE_MAX_REKEYS]; /* when; a ring */
	uint32_t next, count;
	nsec_t quiet_until; /* 0: not quiet */
};

struct gate {
	struct gate_allowance proof, pattern;
	uint64_t answers[GATE_ANSWERS];
};

struct gate_facts {
	bool superseded;  /* the SA was replaced through REKEY_SA and its successor won */
	bool in_progress; /* a request of ours or the peer's rekey is under way */
};

/*
 * Asks for a rekey by this criterion. With GATE_ADMITTED the allowance is spent. With GATE_QUIET
 * *ret_until says when it ends, and *ret_began whether this very question began it.
 */
enum gate_answer gate_ask(struct gate *g, const struct tun_options *o, enum criterion c,
			  const struct gate_facts *f, nsec_t now, nsec_t *ret_until,
			  bool *ret_began);
/* When the allowance for the criterion is quiet until; 0: it is not. */
nsec_t gate_quiet_until(const struct gate *g, enum criterion c, nsec_t now);
/* An admission that came to nothing because the peer's own rekey was faster is given back. */
void gate_give_back(struct gate *g, enum criterion c);

#endif
