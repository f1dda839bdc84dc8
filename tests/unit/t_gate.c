/* t_gate.c - every answer of the gate, allowances and quiet (RECOVERY 4). SPDX-License-Identifier:
 * ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gate.h"

#define SEC NSEC_PER_SEC

struct lab {
	struct gate gate;
	struct tun_options options;
	struct gate_facts facts;
	nsec_t until;
	bool began;
};

static void lab_init(struct lab *l)
{
	*l = (struct lab){0};
	tun_options_default(&l->options);
}

static enum gate_answer ask(struct lab *l, enum criterion c, nsec_t now)
{
	return gate_ask(&l->gate, &l->options, c, &l->facts, now, &l->until, &l->began);
}

static void order_of_questions(void **state)
{
	struct lab l;

	(void)state;
	lab_init(&l);
	l.facts = (struct gate_facts){.superseded = true, .in_progress = true};
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

static void refusals_spend_nothing(void **state)
{
	struct lab l;

	(void)state;
	lab_init(&l);
	l.facts.in_progress = true;
	for (int i = 0; i < 100; i++)
		assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_IN_PROGRESS);
	l.facts.in_progress = false;
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_ADMITTED);
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_QUIET);
}

static void quiet_begins_once_and_ends_from_zero(void **state)
{
	struct lab l;
	nsec_t t = 10 * SEC;

	(void)state;
	lab_init(&l);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&l, CRITERION_PROOF, t + (nsec_t)i * SEC), GATE_ADMITTED);
	assert_int_equal(ask(&l, CRITERION_PROOF, t + 3 * SEC), GATE_QUIET);
	assert_true(l.began);
	assert_int_equal(l.until, t + 303 * SEC);
	assert_int_equal(ask(&l, CRITERION_PROOF, t + 302 * SEC), GATE_QUIET);
	assert_false(l.began);
	assert_int_equal(gate_quiet_until(&l.gate, CRITERION_PROOF, t + 302 * SEC), t + 303 * SEC);
	/* All starts from zero: the whole allowance is there again. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&l, CRITERION_PROOF, t + 303 * SEC), GATE_ADMITTED);
	assert_int_equal(ask(&l, CRITERION_PROOF, t + 303 * SEC), GATE_QUIET);
	assert_true(l.began);
}

/* Also where the allowance is counted over a longer time than the quiet lasts. */
static void quiet_shorter_than_per(void **state)
{
	struct lab l;

	(void)state;
	lab_init(&l);
	l.options.per = 600 * SEC;
	l.options.quiet = 60 * SEC;
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_ADMITTED);
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_QUIET);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&l, CRITERION_PROOF, 61 * SEC), GATE_ADMITTED);
	assert_int_equal(ask(&l, CRITERION_PROOF, 61 * SEC), GATE_QUIET);
}

static void window_slides(void **state)
{
	struct lab l;

	(void)state;
	lab_init(&l);
	/* One every 20 s never has more than three within 60 s. */
	for (nsec_t i = 1; i < 100; i++)
		assert_int_equal(ask(&l, CRITERION_PROOF, i * 20 * SEC), GATE_ADMITTED);
}

static void hints_cannot_spend_what_proofs_need(void **state)
{
	struct lab l;

	(void)state;
	lab_init(&l);
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

static void given_back(void **state)
{
	struct lab l;

	(void)state;
	lab_init(&l);
	l.options.max_rekeys = 1;
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_ADMITTED);
	gate_give_back(&l.gate, CRITERION_PROOF);
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_ADMITTED);
	assert_int_equal(ask(&l, CRITERION_PROOF, SEC), GATE_QUIET);
}

static void largest_allowance(void **state)
{
	struct lab l;

	(void)state;
	lab_init(&l);
	l.options.max_rekeys = GATE_MAX_REKEYS;
	for (int i = 0; i < GATE_MAX_REKEYS; i++)
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
		cmocka_unit_test(window_slides),
		cmocka_unit_test(hints_cannot_spend_what_proofs_need),
		cmocka_unit_test(given_back),
		cmocka_unit_test(largest_allowance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
