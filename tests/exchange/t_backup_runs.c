/*
 * t_backup_runs.c - random histories of a branch with two gateways: after each step the invariants
 * of tunnel_check hold, and at the end the first gateway has the traffic again. MENDIP_RUNS sets
 * their number, and MENDIP_FROM the first one.
 * SPDX-License-Identifier: ISC
 */
#include "two_gateways.h"

#define RUNS  60
#define STEPS 50

static uint64_t random_state;

static unsigned draw(unsigned below)
{
	return (unsigned)(seeded_next(&random_state) >> 32) % below;
}

/* What an operator of the branch does to one of its children. */
static void operate(struct tunnel_child *k, unsigned what, nsec_t now)
{
	switch (what) {
	case 0: tunnel_child_up(k, now); break;
	case 1: tunnel_child_down(k, now); break;
	case 2: (void)tunnel_child_rekey(k, now); break;
	default:
		if (conn_established(k->conn))
			ike_sa_rekey(k->conn->sa, now);
	}
}

/* What a gateway does; it may have no child. */
static void a_gateway_acts(struct net *n, const char *name)
{
	struct tunnel_conn *c = tunnel_find_conn(n->peer[GW].tunnel, name);
	struct tunnel_child *k = c ? LIST_FIRST(&c->children) : NULL;

	if (k && draw(2))
		k = LIST_NEXT(k, link) ? LIST_NEXT(k, link) : k;
	if (k && draw(2))
		tunnel_child_down(k, n->now);
	else if (c && conn_established(c))
		ike_sa_delete(c->sa, n->now);
}

static void one_step(struct net *n, bool *has_backup)
{
	struct tunnel_child *k = child_of(n, BRANCH, draw(3) ? "gw1" : "gw2");

	if (draw(2) && LIST_NEXT(k, link))
		k = LIST_NEXT(k, link);
	switch (draw(8)) {
	case 0: dead[FIRST] = !dead[FIRST]; break;
	case 1: dead[SECOND] = draw(3) == 0; break;
	case 2: takes_children(draw(2)); break;
	case 3:
	case 4: operate(k, draw(4), n->now); break;
	case 5: a_gateway_acts(n, draw(2) ? "b1" : "b2"); break;
	case 6:
		*has_backup = draw(4) != 0;
		if (draw(2))
			(void)branch_restart(n, *has_backup);
		else
			branch_configure(n, *has_backup);
		break;
	default: n->rate[BRANCH] = draw(2) ? RATE / 10 : 0;
	}
}

/* All is well from now on, and what was put down is wanted. */
static void the_end(struct net *n)
{
	struct tunnel_child *k;

	dead[FIRST] = dead[SECOND] = false;
	takes_children(true);
	branch_configure(n, true);
	LIST_FOREACH (k, &child_of(n, BRANCH, "gw1")->conn->children, link)
		tunnel_child_up(k, n->now);
	n->rate[BRANCH] = RATE / 10;
	net_run(n, 600 * SEC);
	assert_int_equal(goes_to(n, 20 * SEC), FIRST);
}

static void histories(void **state)
{
	static const enum start_action starts[] = {START_START, START_TRAP, START_NONE};
	static const nsec_t waits[] = {MSEC,	10 * MSEC, 100 * MSEC, SEC,
				       3 * SEC, 12 * SEC,  40 * SEC,   150 * SEC};
	uint64_t from = number_from_env("MENDIP_FROM", 1),
		 runs = number_from_env("MENDIP_RUNS", RUNS);

	(void)state;
	for (uint64_t seed = from; seed < from + runs; seed++) {
		bool has_backup = true;
		struct net *n;

		random_state = seed;
		two_addresses = draw(4) == 0;
		n = two_gateways(has_backup, starts[draw(3)], 1 + draw(2));
		n->o.seed = seed; /* is printed, if it fails */
		n->rate[BRANCH] = draw(2) ? RATE / 10 : 0;
		for (unsigned i = 0; i < STEPS; i++) {
			one_step(n, &has_backup);
			net_run(n, waits[draw(ARRAY_SIZE(waits))]);
		}
		the_end(n);
		net_free(n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(histories)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
