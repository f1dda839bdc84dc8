/* gate.c - see gate.h. SPDX-License-Identifier: ISC */
#include "gate.h"

const char *gate_answer_name(enum gate_answer a)
{
	static const char *const names[] = {
#define X(id, text) text,
		FOREACH_GATE_ANSWER(X)
#undef X
	};
	return names[a];
}

/* Hints have an allowance of their own, so that they cannot spend what proofs need. */
static struct gate_allowance *allowance_of(struct gate *g, enum criterion c)
{
	switch (c) {
	case CRITERION_PROOF:
	case CRITERION_NONCE_REUSE: return &g->proof;
	case CRITERION_NONE:
	case CRITERION_COUNT:
	case CRITERION_TIME:
	case CRITERION_OLDER_SA: return &g->pattern;
	}
	return &g->pattern;
}

static uint32_t admitted_within(const struct gate_allowance *a, nsec_t per, nsec_t now)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < a->count; i++) {
		uint32_t at = (a->next + GATE_MAX_REKEYS - 1 - i) % GATE_MAX_REKEYS;

		n += now - a->admitted[at] < per;
	}
	return n;
}

static void spend(struct gate_allowance *a, nsec_t now)
{
	a->admitted[a->next] = now;
	a->next = (a->next + 1) % GATE_MAX_REKEYS;
	if (a->count < GATE_MAX_REKEYS)
		a->count++;
}

static bool is_quiet(struct gate_allowance *a, const struct tun_options *o, nsec_t now,
		     bool *ret_began)
{
	*ret_began = false;
	if (a->quiet_until && now < a->quiet_until)
		return true;
	if (a->quiet_until) /* over: all starts from zero */
		*a = (struct gate_allowance){0};
	if (admitted_within(a, o->per, now) < o->max_rekeys)
		return false;
	a->quiet_until = nsec_after(now, o->quiet ? o->quiet : 1);
	*ret_began = true;
	return true;
}

static enum gate_answer decide(struct gate *g, const struct tun_options *o, enum criterion c,
			       const struct gate_facts *f, nsec_t now, nsec_t *ret_until,
			       bool *ret_began)
{
	struct gate_allowance *a = allowance_of(g, c);

	*ret_until = 0;
	*ret_began = false;
	if (o->detect.mode == DETECT_OFF)
		return GATE_DISABLED;
	if (f->superseded)
		return GATE_SUPERSEDED;
	if (f->in_progress)
		return GATE_IN_PROGRESS;
	if (is_quiet(a, o, now, ret_began)) {
		*ret_until = a->quiet_until;
		return GATE_QUIET;
	}
	spend(a, now);
	return GATE_ADMITTED;
}

enum gate_answer gate_ask(struct gate *g, const struct tun_options *o, enum criterion c,
			  const struct gate_facts *f, nsec_t now, nsec_t *ret_until,
			  bool *ret_began)
{
	enum gate_answer a = decide(g, o, c, f, now, ret_until, ret_began);

	g->answers[a]++;
	return a;
}

nsec_t gate_quiet_until(const struct gate *g, enum criterion c, nsec_t now)
{
	const struct gate_allowance *a = allowance_of((struct gate *)g, c);

	return a->quiet_until > now ? a->quiet_until : 0;
}

void gate_give_back(struct gate *g, enum criterion c)
{
	struct gate_allowance *a = allowance_of(g, c);

	if (a->count == 0)
		return;
	a->count--;
	a->next = (a->next + GATE_MAX_REKEYS - 1) % GATE_MAX_REKEYS;
}
