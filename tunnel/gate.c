/* gate.c - see gate.h. SPDX-License-Identifier: ISC */
#include "gate.h"

#define BACKOFF_MAX (30 * NSEC_PER_SEC)

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
	return criterion_is_proof(c) ? &g->proof : &g->hint;
}

/* How many admissions count and are remembered. */
static uint64_t counted(const struct gate_allowance *a)
{
	return min_u64(a->count - a->from, GATE_REMEMBERED);
}

/* The i-th newest admission, from 0. Only for i < counted(a). */
static const struct gate_admission *newest(const struct gate_allowance *a, uint64_t i)
{
	return &a->ring[(a->count - 1 - i) % GATE_REMEMBERED];
}

static uint32_t admitted_within(const struct gate_allowance *a, nsec_t per, nsec_t now)
{
	uint32_t n = 0;

	while (n < counted(a) && now - newest(a, n)->at < per)
		n++;
	return n;
}

/* None of the last n admissions led to an SA that carried anything. */
static bool none_helped(const struct gate_allowance *a, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (newest(a, i)->helped)
			return false;
	}
	return true;
}

static uint64_t spend(struct gate_allowance *a, nsec_t now)
{
	a->ring[a->count++ % GATE_REMEMBERED] = (struct gate_admission){.at = now};
	return a->count;
}

/* No admission counts any more; tickets go on, so that an old one is not taken for a new one. */
static void start_from_zero(struct gate_allowance *a)
{
	a->from = a->count;
	a->quiet_until = 0;
}

/* 1, 2, 4, ... s for those beyond the allowance. */
static nsec_t backoff(uint32_t beyond)
{
	nsec_t wait = NSEC_PER_SEC;

	for (uint32_t i = 0; i < beyond && wait < BACKOFF_MAX; i++)
		wait *= 2;
	return min_u64(wait, BACKOFF_MAX);
}

static void admit(struct gate_allowance *a, const struct tunnel_options *o, enum criterion c,
		  const struct gate_facts *f, nsec_t now, struct gate_reply *r)
{
	uint32_t n;

	if (a->quiet_until && now < a->quiet_until) {
		r->answer = GATE_QUIET;
		r->until = a->quiet_until;
		return;
	}
	if (a->quiet_until) /* over: all starts from zero */
		start_from_zero(a);
	r->answer = GATE_ADMITTED;
	/* One switchover hits all SAs of a child: those older than the last admission are free. */
	if (criterion_is_proof(c) && !f->again && counted(a) && f->installed < newest(a, 0)->at)
		return;
	n = admitted_within(a, o->per, now);
	if (n >= o->max_rekeys && (!criterion_is_proof(c) || none_helped(a, o->max_rekeys))) {
		a->quiet_until = nsec_after(now, o->quiet ? o->quiet : 1);
		r->answer = GATE_QUIET;
		r->until = a->quiet_until;
		r->began = true;
		return;
	}
	if (n >= o->max_rekeys)
		r->backoff = backoff(n - o->max_rekeys);
	r->ticket = spend(a, now);
}

struct gate_reply gate_ask(struct gate *g, const struct tunnel_options *o, enum criterion c,
			   const struct gate_facts *f, nsec_t now)
{
	struct gate_reply r = {0};

	if (o->detect.mode == DETECT_OFF)
		r.answer = GATE_DISABLED;
	else if (f->superseded)
		r.answer = GATE_SUPERSEDED;
	else if (f->in_progress)
		r.answer = GATE_IN_PROGRESS;
	else
		admit(allowance_of(g, c), o, c, f, now, &r);
	g->answers[r.answer]++;
	return r;
}

void gate_helped(struct gate *g, enum criterion c, uint64_t ticket)
{
	struct gate_allowance *a = allowance_of(g, c);

	if (ticket && ticket <= a->count && a->count - ticket < GATE_REMEMBERED)
		a->ring[(ticket - 1) % GATE_REMEMBERED].helped = true;
}

void gate_give_back(struct gate *g, enum criterion c, uint64_t ticket)
{
	struct gate_allowance *a = allowance_of(g, c);

	/* If another one was admitted since, this one stays in its place. */
	if (ticket > a->from && ticket == a->count)
		a->count--;
}

nsec_t gate_quiet_until(const struct gate *g, enum criterion c, nsec_t now)
{
	const struct gate_allowance *a = criterion_is_proof(c) ? &g->proof : &g->hint;

	return a->quiet_until > now ? a->quiet_until : 0;
}

void gate_reset(struct gate *g)
{
	start_from_zero(&g->proof);
	start_from_zero(&g->hint);
}
