/* scenario_expect.c - what a scenario expects; see scenario.h. SPDX-License-Identifier: ISC */
#include "scenario_run.h"

#define UP_LIMIT (60 * SEC)
#define FLOWS	 20

void scenario_mark(struct scenario *s)
{
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned c = 0; c < CHILDREN; c++)
			s->lost_base[i][c] = net_lost(s->n, i, c);
	}
	s->n->peer[BRANCH].longest_gap = 0;
}

/* Compares `is` with the words from `at` on: "0", "<= 20", "> 3". */
static void compare(struct scenario *s, const struct words *w, unsigned at, uint64_t is)
{
	static const char *const ops[] = {"==", "<", "<=", ">", ">="};
	unsigned op = 0;
	uint64_t n;
	bool ok;

	if (at + 1 < w->count) {
		for (op = 1; op < 5 && strcmp(w->w[at], ops[op]) != 0; op++)
			;
		at++;
	}
	if (op == 5 || at + 1 != w->count)
		scenario_fail(s, "a number is expected, with <, <=, > or >= or nothing before it");
	n = word_number(s, w->w[at]);
	ok = op == 0 ? is == n : op == 1 ? is < n : op == 2 ? is <= n : op == 3 ? is > n : is >= n;
	if (!ok)
		scenario_fail(s, "expected %s %s%s%s, and it is %llu", w->w[1], op ? ops[op] : "",
			      op ? " " : "", w->w[at], (unsigned long long)is);
}

uint64_t lost_since_mark(struct scenario *s, unsigned from, unsigned child)
{
	uint64_t sum = 0;

	for (unsigned c = 0; c < CHILDREN; c++) {
		uint64_t all = net_lost(s->n, from, c);

		if (child == CHILDREN || child == c)
			sum += all - min_u64(s->lost_base[from][c], all);
	}
	return sum;
}

static void lost(struct scenario *s, const struct words *w)
{
	unsigned at = 2, from = GW, child = CHILDREN;

	if (at < w->count && is_peer(w->w[at]))
		from = word_peer(s, w->w[at++]);
	if (at < w->count && is_child(w->w[at]))
		child = word_child(s, w->w[at++]);
	compare(s, w, at, lost_since_mark(s, from, child));
}

static const char *disagreement(struct net *n)
{
	if (!net_is_up(n))
		return "a child is down";
	if (peer_ike_sas(n, BRANCH) != 1 || peer_ike_sas(n, GW) != 1)
		return "not one IKE SA";
	if (peer_child_sas(n, BRANCH) != n->o.children || peer_child_sas(n, GW) != n->o.children)
		return "not one CHILD SA a child";
	return "the sides' SAs differ";
}

static void up(struct scenario *s, const struct words *w)
{
	nsec_t limit = w->count > 2 ? word_time(s, w->w[2]) : UP_LIMIT, end = s->n->now + limit;

	while (!net_agrees(s->n) && s->n->now < end)
		net_run(s->n, 50 * MSEC);
	if (!net_agrees(s->n))
		scenario_fail(s, "not up within %.0f s: %s", (double)limit / SEC,
			      disagreement(s->n));
}

static void mended(struct scenario *s, const struct words *w)
{
	nsec_t limit = w->count > 2 ? word_time(s, w->w[2]) : UP_LIMIT, end = s->n->now + limit;

	while (peer_confirmed(s->n, BRANCH) && s->n->now < end)
		net_run(s->n, 50 * MSEC);
	if (peer_confirmed(s->n, BRANCH))
		scenario_fail(s, "an SA is still CONFIRMED after %.0f s", (double)limit / SEC);
}

/*
 * Packets of each child must arrive in both directions. With "unless given up" the gateway may have
 * no IKE SA any more: it has given up the branch as silent, and without liveness checks (dpd 0s)
 * the branch does not notice that.
 */
static void flows(struct scenario *s, const struct words *w)
{
	struct net *n = s->n;
	uint64_t before[2][CHILDREN];

	if (word_is(w, 2, "unless") && word_is(w, 3, "given") && word_is(w, 4, "up") &&
	    peer_ike_sas(n, GW) == 0)
		return;
	n->loss = n->dup = n->reorder = n->rate[0] = n->rate[1] = 0;
	n->jitter = 0;
	n->cut[0] = n->cut[1] = false;
	net_run(n, SEC / 2); /* packets on the wire arrive */
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned c = 0; c < n->o.children; c++)
			before[i][c] = n->peer[i].flow[c].delivered;
	}
	for (unsigned k = 0; k < FLOWS; k++) {
		for (unsigned c = 0; c < n->o.children; c++) {
			net_packet(n, BRANCH, c);
			net_packet(n, GW, c);
		}
		net_run(n, 5 * MSEC);
	}
	net_run(n, SEC / 2);
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned c = 0; c < n->o.children; c++) {
			uint64_t got = n->peer[i].flow[c].delivered - before[i][c];

			if (got != FLOWS)
				scenario_fail(s, "net%u from the %s: %llu of %u packets arrive", c,
					      i == GW ? "gateway" : "branch",
					      (unsigned long long)got, FLOWS);
		}
	}
}

static const struct recovery_record *record_of(struct scenario *s, const struct words *w,
					       unsigned *at)
{
	const struct recovery_record *r = NULL, *newest = NULL;
	unsigned child = CHILDREN;

	*at = 2;
	if (*at < w->count && is_child(w->w[*at]))
		child = word_child(s, w->w[(*at)++]);
	for (unsigned c = 0; c < s->o.children; c++) {
		if ((child != CHILDREN && child != c) || !peer_child(s->n, BRANCH, c))
			continue;
		r = last_record(s->n, c);
		if (r->id && (!newest || r->id > newest->id))
			newest = r;
	}
	if (!newest)
		scenario_fail(s, "there is no record of a recovery");
	return newest;
}

static void text(struct scenario *s, const char *is, const char *want)
{
	if (strcmp(is, want) != 0)
		scenario_fail(s, "expected \"%s\", and it is \"%s\"", want, is);
}

static void recovered(struct scenario *s, const struct words *w)
{
	unsigned at;
	const struct recovery_record *r = record_of(s, w, &at);

	text(s, r->outcome, "recovered");
	if (word_is(w, at, "rung"))
		compare(s, w, at + 1, r->rung);
}

static void outcome(struct scenario *s, const struct words *w)
{
	char want[128] = "";
	unsigned at;
	const struct recovery_record *r = record_of(s, w, &at);

	for (; at < w->count; at++)
		snprintf(want + strlen(want), sizeof(want) - strlen(want), "%s%s", *want ? " " : "",
			 w->w[at]);
	text(s, r->outcome, want);
}

/* Packets that were not opened may have been lost, too: the record counts them separately. */
static void lost_is_true(struct scenario *s, const struct recovery_record *r, uint64_t lost)
{
	if (lost < r->lost || lost > r->lost + r->unverified)
		scenario_fail(s, "the record says %llu lost and %llu not verified, and it was %llu",
			      (unsigned long long)r->lost, (unsigned long long)r->unverified,
			      (unsigned long long)lost);
}

/* Expectations of a record. Returns false for any other expectation. */
static bool record(struct scenario *s, const struct words *w)
{
	unsigned at;

	if (word_is(w, 1, "recovered")) {
		recovered(s, w);
	} else if (word_is(w, 1, "outcome")) {
		outcome(s, w);
	} else if (word_is(w, 1, "criterion")) {
		const struct recovery_record *r = record_of(s, w, &at);

		text(s, criterion_name(r->criterion), at < w->count ? w->w[at] : "");
	} else if (word_is(w, 1, "rung")) {
		const struct recovery_record *r = record_of(s, w, &at);

		compare(s, w, at, r->rung);
	} else if (word_is(w, 1, "record-lost")) {
		const struct recovery_record *r = record_of(s, w, &at);

		if (!word_is(w, at, "true"))
			compare(s, w, at, r->lost);
		else
			lost_is_true(s, r, lost_since_mark(s, GW, CHILDREN));
	} else if (word_is(w, 1, "request")) {
		const struct recovery_record *r = record_of(s, w, &at);

		text(s, r->request ? "yes" : "no", at < w->count ? w->w[at] : "");
	} else {
		return false;
	}
	return true;
}

static void gate(struct scenario *s, const struct words *w)
{
	words_need(s, w, 4, 5);
	for (unsigned a = 0; a < GATE_ANSWERS; a++) {
		if (word_is(w, 2, gate_answer_name(a))) {
			compare(s, w, 3, peer_gate_answers(s->n, BRANCH, a));
			return;
		}
	}
	scenario_fail(s, "the gate never answers \"%s\"", w->w[2]);
}

static void verdict(struct scenario *s, const struct words *w)
{
	words_need(s, w, 4, 5);
	for (unsigned v = 0; v < VERDICT_COUNT; v++) {
		if (word_is(w, 2, verdict_name(v))) {
			compare(s, w, 3, s->n->peer[BRANCH].tunnel->path->verdicts[v]);
			return;
		}
	}
	scenario_fail(s, "there is no verdict \"%s\"", w->w[2]);
}

static void gap(struct scenario *s, const struct words *w)
{
	const struct peer *p = &s->n->peer[BRANCH];
	nsec_t limit, longest = p->longest_gap;

	words_need(s, w, 3, 3);
	limit = word_time(s, w->w[2]);
	if (s->n->rate[GW])
		longest = max_u64(longest, s->n->now - p->last_delivery);
	if (longest > limit)
		scenario_fail(s, "%.1f ms without a packet", (double)longest / MSEC);
}

static const uint64_t *count_of(struct scenario *s, const struct words *w, uint64_t *ret)
{
	struct net *n = s->n;

	if (word_is(w, 1, "twice"))
		*ret = n->peer[BRANCH].delivered_twice + n->peer[GW].delivered_twice;
	else if (word_is(w, 1, "recoveries"))
		*ret = peer_recoveries(n, BRANCH);
	else if (word_is(w, 1, "rekeys"))
		*ret = peer_rekeys(n, BRANCH);
	else if (word_is(w, 1, "confirmed"))
		*ret = peer_confirmed(n, BRANCH);
	else if (word_is(w, 1, "security"))
		*ret = n->peer[BRANCH].security_events;
	else if (word_is(w, 1, "recovered-records"))
		*ret = peer_records(n, BRANCH, "recovered");
	else if (word_is(w, 1, "tidied"))
		*ret = peer_tidied(n, BRANCH) + peer_tidied(n, GW);
	else if (word_is(w, 1, "ikes"))
		*ret = peer_ike_sas(n, BRANCH);
	else
		return NULL;
	return ret;
}

void scenario_expect(struct scenario *s, const struct words *w)
{
	uint64_t count;

	words_need(s, w, 2, SCENARIO_WORDS);
	if (word_is(w, 1, "lost"))
		lost(s, w);
	else if (word_is(w, 1, "up"))
		up(s, w);
	else if (word_is(w, 1, "mended"))
		mended(s, w);
	else if (word_is(w, 1, "flows"))
		flows(s, w);
	else if (word_is(w, 1, "gate"))
		gate(s, w);
	else if (word_is(w, 1, "verdict"))
		verdict(s, w);
	else if (word_is(w, 1, "gap"))
		gap(s, w);
	else if (word_is(w, 1, "calm") && peer_recoveries(s->n, BRANCH) != 0)
		scenario_fail(s, "a recovery was begun");
	else if (count_of(s, w, &count))
		compare(s, w, 2, count);
	else if (!word_is(w, 1, "calm") && !record(s, w))
		scenario_fail(s, "\"expect %s\" is unknown", w->w[1]);
}
