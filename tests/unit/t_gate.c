/*
 * t_gate.c - all answers of the gate: allowances, back-off and quiet (doc/recovery.md 4).
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gate.h"

#define SEC NSEC_PER_SEC

struct fixture {
	struct gate gate;
	struct tunnel_options options;
	struct gate_facts facts;
	struct gate_reply reply; /* the last one */
};

/* Every SA that asks is newer than the last admission, like the successor of a rekeyed one. */
static void fixture_init(struct fixture *l)
{
	*l = (struct fixture){.facts.installed = NSEC_NEVER};
	tunnel_options_default(&l->options);
}

static enum gate_answer ask(struct fixture *l, enum criterion c, nsec_t now)
{
	l->reply = gate_ask(&l->gate, &l->options, c, &l->facts, now);
	return l->reply.answer;
}

/* A proof is admitted and its rekey helps; returns the wait before it. */
static nsec_t ask_and_help(struct fixture *l, nsec_t now)
{
	assert_int_equal(ask(l, CRITERION_PROOF, now), GATE_ADMITTED);
	gate_helped(&l->gate, CRITERION_PROOF, l->reply.ticket);
	return l->reply.backoff;
}

/* The first condition that refuses gives the answer; all answers are counted. */
static void order_of_questions(void **state)
{
	struct fixture l;

	(void)state;
	fixture_init(&l);
	l.facts.superseded = l.facts.in_progress = true;
	l.options.detect.mode = DETECT_OFF;
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_DISABLED);
	l.options.detect.mode = DETECT_PROOF;
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_SUPERSEDED);
	l.facts.superseded = false;
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_IN_PROGRESS);
	l.facts.in_progress = false;
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_ADMITTED);
	for (int i = 0; i < GATE_ANSWERS; i++)
		assert_int_equal(l.gate.answers[i], i == GATE_QUIET ? 0 : 1);
}

/* A request that is refused uses up no allowance. */
static void refusals_spend_nothing(void **state)
{
	struct fixture l;

	(void)state;
	fixture_init(&l);
	l.facts.in_progress = true;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_IN_PROGRESS);
		assert_int_equal(l.reply.ticket, 0);
	}
	l.facts.in_progress = false;
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_ADMITTED);
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_QUIET);
}

/* After max_rekeys that did not help, the gate is quiet once, and then starts from zero. */
static void quiet_begins_once_and_ends_from_zero(void **state)
{
	struct fixture l;
	nsec_t t = 10 * SEC;

	(void)state;
	fixture_init(&l);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&l, CRITERION_PROOF, t + (nsec_t)i * SEC), GATE_ADMITTED);
	assert_int_equal(ask(&l, CRITERION_PROOF, t + 3 * SEC), GATE_QUIET);
	assert_true(l.reply.began);
	assert_int_equal(l.reply.until, t + 303 * SEC);
	assert_int_equal(ask(&l, CRITERION_PROOF, t + 302 * SEC), GATE_QUIET);
	assert_false(l.reply.began);
	assert_int_equal(l.reply.until, t + 303 * SEC);
	assert_int_equal(gate_quiet_until(&l.gate, CRITERION_PROOF, t + 302 * SEC), t + 303 * SEC);
	assert_int_equal(gate_quiet_until(&l.gate, CRITERION_PROOF, t + 303 * SEC), 0);
	/* from zero: the whole allowance is available */
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&l, CRITERION_PROOF, t + 303 * SEC), GATE_ADMITTED);
	assert_int_equal(ask(&l, CRITERION_PROOF, t + 303 * SEC), GATE_QUIET);
	assert_true(l.reply.began);
}

/* The same if `per` is longer than `quiet`. */
static void quiet_shorter_than_per(void **state)
{
	struct fixture l;

	(void)state;
	fixture_init(&l);
	l.options.per = 600 * SEC;
	l.options.quiet = 60 * SEC;
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_ADMITTED);
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_QUIET);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&l, CRITERION_PROOF, 61 * SEC), GATE_ADMITTED);
	assert_int_equal(ask(&l, CRITERION_PROOF, 61 * SEC), GATE_QUIET);
}

/* With quiet = 0, one request is refused, and within 1 ms the gate starts from zero. */
static void no_quiet(void **state)
{
	struct fixture l;

	(void)state;
	fixture_init(&l);
	l.options.quiet = 0;
	for (int k = 0; k < 5; k++) {
		nsec_t t = (nsec_t)(k + 1) * SEC;

		for (int i = 0; i < 3; i++)
			assert_int_equal(ask(&l, CRITERION_PROOF, t), GATE_ADMITTED);
		assert_int_equal(ask(&l, CRITERION_PROOF, t), GATE_QUIET);
		assert_true(l.reply.until > t && l.reply.until <= t + NSEC_PER_MSEC);
		/* at the deadline that it gave, the answer is different */
		assert_int_equal(gate_quiet_until(&l.gate, CRITERION_PROOF, l.reply.until), 0);
	}
}

/* The allowance is counted over a sliding time of `per`. */
static void window_slides(void **state)
{
	struct fixture l;

	(void)state;
	fixture_init(&l);
	/* one every 20 s is never more than three within 60 s */
	for (nsec_t i = 1; i < 100; i++) {
		assert_int_equal(ask(&l, CRITERION_PROOF, i * 20 * SEC), GATE_ADMITTED);
		assert_int_equal(l.reply.backoff, 0);
	}
}

/* When each rekey helped, proofs beyond the allowance are not refused, but wait longer and
 * longer. */
static void backoff_of_helped(void **state)
{
	static const nsec_t want[] = {0, 0, 0, 1, 2, 4, 8, 16, 30, 30, 30};
	struct fixture l;
	nsec_t now = 10 * SEC;

	(void)state;
	fixture_init(&l);
	l.options.per = 600 * SEC;
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		nsec_t wait = ask_and_help(&l, now);

		assert_int_equal(wait, want[i] * SEC);
		now += wait + SEC / 10; /* recovered, and rewound again */
	}
	assert_int_equal(l.gate.answers[GATE_QUIET], 0);
	/* no wait after `per` without a proof */
	assert_int_equal(ask_and_help(&l, now + 600 * SEC), 0);
}

/* With the default options, 10,000 failovers 4 s apart are never refused, and wait 30 s at most. */
static void flapping_is_never_refused(void **state)
{
	struct fixture l;
	nsec_t now = 10 * SEC, longest = 0;

	(void)state;
	fixture_init(&l);
	for (unsigned i = 0; i < 10000; i++) {
		nsec_t wait = ask_and_help(&l, now);

		longest = max_u64(longest, wait);
		now += wait + 4 * SEC;
	}
	assert_int_equal(l.gate.answers[GATE_QUIET], 0);
	assert_true(longest <= 30 * SEC);
}

/* With the largest allowance and `per`, the waits are still 1, 2, 4 ... 30 s. */
static void backoff_of_the_largest_allowance(void **state)
{
	static const nsec_t want[] = {1, 2, 4, 8, 16, 30, 30};
	struct fixture l;
	nsec_t now = 10 * SEC;

	(void)state;
	fixture_init(&l);
	l.options.max_rekeys = 16;
	l.options.per = 86400 * SEC;
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(ask_and_help(&l, now), 0);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++, now += 40 * SEC)
		assert_int_equal(ask_and_help(&l, now), want[i] * SEC);
	for (unsigned i = 0; i < 200; i++, now += 40 * SEC)
		assert_int_equal(ask_and_help(&l, now), 30 * SEC);
}

/* One helpful rekey among the last max_rekeys is enough for admission. */
static void one_that_helped(void **state)
{
	struct fixture l;
	uint64_t second;

	(void)state;
	fixture_init(&l);
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_ADMITTED);
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_ADMITTED);
	second = l.reply.ticket;
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_ADMITTED);
	gate_helped(&l.gate, CRITERION_PROOF, second);
	/* the last three are 1 to 3, then 2 to 4, then 3 to 5 */
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_ADMITTED);
	assert_int_equal(l.reply.backoff, SEC);
	assert_int_equal(ask(&l, CRITERION_PROOF, 4 * SEC), GATE_ADMITTED);
	assert_int_equal(l.reply.backoff, 2 * SEC);
	assert_int_equal(ask(&l, CRITERION_PROOF, 8 * SEC), GATE_QUIET);
}

/* A helpful rekey before the last max_rekeys does not count. */
static void helped_long_ago(void **state)
{
	struct fixture l;

	(void)state;
	fixture_init(&l);
	ask_and_help(&l, SEC);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_ADMITTED);
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_QUIET);
	assert_true(l.reply.began);
}

/* gate_helped with no ticket, an unknown one or one of another allowance has no effect. */
static void helped_by_a_wrong_ticket(void **state)
{
	struct fixture l;

	(void)state;
	fixture_init(&l);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_ADMITTED);
	gate_helped(&l.gate, CRITERION_PROOF, 0);
	gate_helped(&l.gate, CRITERION_PROOF, 99);
	gate_helped(&l.gate, CRITERION_COUNT, l.reply.ticket);
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_QUIET);
}

/* Hints and proofs have separate allowances. */
static void hints_cannot_spend_what_proofs_need(void **state)
{
	struct fixture l;

	(void)state;
	fixture_init(&l);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&l, CRITERION_COUNT, SEC), GATE_ADMITTED);
	assert_int_equal(ask(&l, CRITERION_TIME, SEC), GATE_QUIET);
	assert_int_equal(ask(&l, CRITERION_OLDER_SA, SEC), GATE_QUIET);
	assert_int_equal(gate_quiet_until(&l.gate, CRITERION_PROOF, SEC), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&l, i ? CRITERION_PROOF : CRITERION_NONCE_REUSE, SEC),
				 GATE_ADMITTED);
	assert_int_equal(ask(&l, CRITERION_NONCE_REUSE, SEC), GATE_QUIET);
}

/* For hints the gate becomes quiet even if their rekeys helped. */
static void hints_are_quiet_though_they_helped(void **state)
{
	static const enum criterion hints[] = {CRITERION_COUNT, CRITERION_TIME, CRITERION_OLDER_SA};
	struct fixture l;

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(hints); k++) {
		fixture_init(&l);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(ask(&l, hints[k], SEC), GATE_ADMITTED);
			assert_int_equal(l.reply.backoff, 0);
			gate_helped(&l.gate, hints[k], l.reply.ticket);
		}
		assert_int_equal(ask(&l, hints[k], SEC), GATE_QUIET);
		assert_int_equal(l.reply.until, 301 * SEC);
	}
}

/* One switchover affects all SAs of a child: only the first one uses up allowance. */
static void siblings_are_free(void **state)
{
	struct fixture l;

	(void)state;
	fixture_init(&l);
	l.options.max_rekeys = 1;
	l.facts.installed = SEC;
	assert_int_equal(ask(&l, CRITERION_PROOF, 10 * SEC), GATE_ADMITTED);
	assert_true(l.reply.ticket != 0);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(ask(&l, CRITERION_PROOF, 10 * SEC + (nsec_t)i), GATE_ADMITTED);
		assert_int_equal(l.reply.ticket, 0);
		assert_int_equal(l.reply.backoff, 0);
	}
	/* an SA made since then is not part of that switchover */
	l.facts.installed = 11 * SEC;
	assert_int_equal(ask(&l, CRITERION_PROOF, 12 * SEC), GATE_QUIET);
}

/* An SA that asks a second time uses up allowance, as its first rekey did not replace it. */
static void siblings_are_free_once(void **state)
{
	struct fixture l;

	(void)state;
	fixture_init(&l);
	l.facts.installed = SEC;
	assert_int_equal(ask(&l, CRITERION_PROOF, 10 * SEC), GATE_ADMITTED);
	assert_int_equal(ask(&l, CRITERION_PROOF, 10 * SEC), GATE_ADMITTED);
	assert_int_equal(l.reply.ticket, 0);
	l.facts.again = true;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ask(&l, CRITERION_PROOF, 11 * SEC), GATE_ADMITTED);
		assert_true(l.reply.ticket != 0);
	}
	assert_int_equal(ask(&l, CRITERION_PROOF, 11 * SEC), GATE_QUIET);
}

/* Hints of other SAs of the child use up allowance, as a withholder can cause them on all SAs. */
static void hints_of_siblings_spend(void **state)
{
	struct fixture l;

	(void)state;
	fixture_init(&l);
	l.facts.installed = SEC;
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&l, CRITERION_COUNT, 10 * SEC), GATE_ADMITTED);
	assert_int_equal(ask(&l, CRITERION_COUNT, 10 * SEC), GATE_QUIET);
}

/* An admission that is given back is available again. */
static void given_back(void **state)
{
	struct fixture l;
	uint64_t first;

	(void)state;
	fixture_init(&l);
	l.options.max_rekeys = 1;
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_ADMITTED);
	gate_give_back(&l.gate, CRITERION_PROOF, l.reply.ticket);
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_ADMITTED);
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_QUIET);

	/* only the last ticket can be given back */
	fixture_init(&l);
	l.options.max_rekeys = 2;
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_ADMITTED);
	first = l.reply.ticket;
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_ADMITTED);
	gate_give_back(&l.gate, CRITERION_PROOF, first);
	gate_give_back(&l.gate, CRITERION_PROOF, 0);
	gate_give_back(&l.gate, CRITERION_COUNT, l.reply.ticket);
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_QUIET);
}

/* An admission that is given back does not lengthen the next wait. */
static void given_back_ends_its_backoff(void **state)
{
	struct fixture l;

	(void)state;
	fixture_init(&l);
	for (int i = 0; i < 3; i++)
		ask_and_help(&l, SEC);
	assert_int_equal(ask(&l, CRITERION_PROOF, 2 * SEC), GATE_ADMITTED);
	assert_int_equal(l.reply.backoff, SEC);
	gate_give_back(&l.gate, CRITERION_PROOF, l.reply.ticket);
	assert_int_equal(ask(&l, CRITERION_PROOF, 2 * SEC), GATE_ADMITTED);
	assert_int_equal(l.reply.backoff, SEC);
}

/* gate_reset ends back-off and quiet at once. */
static void reset(void **state)
{
	struct fixture l;

	(void)state;
	fixture_init(&l);
	for (int i = 0; i < 4; i++) {
		ask(&l, CRITERION_PROOF, SEC);
		ask(&l, CRITERION_COUNT, SEC);
	}
	assert_int_equal(gate_quiet_until(&l.gate, CRITERION_PROOF, SEC), 301 * SEC);
	assert_int_equal(gate_quiet_until(&l.gate, CRITERION_COUNT, SEC), 301 * SEC);
	gate_reset(&l.gate);
	assert_int_equal(gate_quiet_until(&l.gate, CRITERION_PROOF, SEC), 0);
	assert_int_equal(gate_quiet_until(&l.gate, CRITERION_COUNT, SEC), 0);
	assert_int_equal(l.gate.answers[GATE_QUIET], 2);
	assert_int_equal(l.gate.answers[GATE_ADMITTED], 6);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask_and_help(&l, SEC), 0);
	assert_int_equal(ask_and_help(&l, SEC), SEC);
	gate_reset(&l.gate);
	assert_int_equal(ask_and_help(&l, SEC), 0);
}

/* A ticket from before the reset has no effect on admissions since. */
static void tickets_of_before_a_reset(void **state)
{
	uint64_t old[3];
	struct fixture l;

	(void)state;
	fixture_init(&l);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_ADMITTED);
		old[i] = l.reply.ticket;
	}
	gate_reset(&l.gate);
	/* nor if nothing was admitted since */
	gate_give_back(&l.gate, CRITERION_PROOF, old[2]);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_ADMITTED);
		assert_int_equal(l.reply.backoff, 0);
		for (int k = 0; k < 3; k++) {
			gate_helped(&l.gate, CRITERION_PROOF, old[k]);
			gate_give_back(&l.gate, CRITERION_PROOF, old[k]);
		}
	}
	/* had one helped, there would be a wait; had one been given back, a fourth admission */
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_QUIET);
}

/* max_rekeys = 16. */
static void largest_allowance(void **state)
{
	struct fixture l;

	(void)state;
	fixture_init(&l);
	l.options.max_rekeys = 16;
	for (int i = 0; i < 16; i++)
		assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_ADMITTED);
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_QUIET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_of_questions),
		cmocka_unit_test(refusals_spend_nothing),
		cmocka_unit_test(quiet_begins_once_and_ends_from_zero),
		cmocka_unit_test(quiet_shorter_than_per),
		cmocka_unit_test(no_quiet),
		cmocka_unit_test(window_slides),
		cmocka_unit_test(backoff_of_helped),
		cmocka_unit_test(flapping_is_never_refused),
		cmocka_unit_test(backoff_of_the_largest_allowance),
		cmocka_unit_test(one_that_helped),
		cmocka_unit_test(helped_long_ago),
		cmocka_unit_test(helped_by_a_wrong_ticket),
		cmocka_unit_test(hints_cannot_spend_what_proofs_need),
		cmocka_unit_test(hints_are_quiet_though_they_helped),
		cmocka_unit_test(siblings_are_free),
		cmocka_unit_test(siblings_are_free_once),
		cmocka_unit_test(hints_of_siblings_spend),
		cmocka_unit_test(given_back),
		cmocka_unit_test(given_back_ends_its_backoff),
		cmocka_unit_test(reset),
		cmocka_unit_test(tickets_of_before_a_reset),
		cmocka_unit_test(largest_allowance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
