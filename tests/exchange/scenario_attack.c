/* scenario_attack.c - adversaries without a key; see scenario.h. SPDX-License-Identifier: ISC */
#include "scenario_run.h"

#define FORGED_LEN 120

static void tape_add(struct tape *t, const struct datagram *d)
{
	if (t->count == t->room) {
		t->room = t->room ? t->room * 2 : 256;
		t->v = xreallocarray(t->v, t->room, sizeof(*t->v));
	}
	t->v[t->count] = *d;
	t->v[t->count++].p = xmemdup(d->p, d->len);
}

void tape_clear(struct tape *t)
{
	for (unsigned i = 0; i < t->count; i++)
		free(t->v[i].p);
	free(t->v);
	*t = (struct tape){0};
}

static bool hook(struct net *n, unsigned from, struct datagram *d)
{
	struct scenario *s = n->hook_ctx;

	if (s->recorded.want && s->recorded.from == from && s->recorded.ike != d->esp) {
		s->recorded.want--;
		tape_add(&s->recorded, d);
	}
	if (s->held.want && s->held.from == from && s->held.ike != d->esp) {
		s->held.want--;
		tape_add(&s->held, d);
		return false;
	}
	return true;
}

static void copy_next(struct scenario *s, const struct words *w, struct tape *t)
{
	words_need(s, w, 3, 4);
	t->ike = word_is(w, 1, "ike");
	t->from = word_peer(s, w->w[w->count - 2]);
	t->want = (unsigned)word_number(s, w->w[w->count - 1]);
	s->n->hook = hook;
	s->n->hook_ctx = s;
}

static void replay(struct scenario *s, const struct words *w)
{
	const struct tape *t = &s->recorded;
	uint64_t times = w->count > 1 ? word_number(s, w->w[1]) : 1;

	words_need(s, w, 1, 2);
	for (uint64_t k = 0; k < times; k++) {
		for (unsigned i = 0; i < t->count; i++)
			net_inject(s->n, !t->from, t->v[i].esp, t->v[i].p, t->v[i].len);
	}
}

static void release(struct scenario *s, const struct words *w)
{
	words_need(s, w, 1, 1);
	for (unsigned i = 0; i < s->held.count; i++)
		net_release(s->n, &s->held.v[i]);
	tape_clear(&s->held);
	net_run(s->n, 0);
}

static void forge(struct scenario *s, const struct words *w)
{
	struct rng *rng = &s->n->rng.rng;
	uint64_t count, number;
	struct esp_sa *sa;

	words_need(s, w, 3, 4);
	sa = peer_sa(s->n, BRANCH, word_child(s, w->w[1]) % CHILDREN);
	count = word_number(s, w->w[2]);
	number = w->count > 3 ? word_number(s, w->w[3]) : 0;
	for (uint64_t i = 0; sa && i < count; i++) {
		uint8_t p[FORGED_LEN];

		rng_fill(rng, p, sizeof(p));
		put_be32(p, sa->spi);
		if (number)
			put_be32(p + 4, (uint32_t)(number + i));
		net_inject(s->n, BRANCH, true, p, sizeof(p));
	}
}

bool scenario_attack(struct scenario *s, const struct words *w)
{
	if (word_is(w, 0, "record"))
		copy_next(s, w, &s->recorded);
	else if (word_is(w, 0, "hold"))
		copy_next(s, w, &s->held);
	else if (word_is(w, 0, "replay"))
		replay(s, w);
	else if (word_is(w, 0, "release"))
		release(s, w);
	else if (word_is(w, 0, "forge"))
		forge(s, w);
	else
		return false;
	return true;
}
