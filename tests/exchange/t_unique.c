/*
 * t_unique.c - two IKE SAs with the same identities, as after calls of both sides at once, and what
 * `unique` makes of them. SPDX-License-Identifier: ISC
 */
#include "peers.h"

static unsigned established(struct net *n, unsigned side)
{
	const struct ike_sa *sa;
	unsigned count = 0;

	for (sa = n->peer[side].tunnel->ike->sas; sa; sa = sa->hh.next)
		count += sa->state == IKE_STATE_ESTABLISHED;
	return count;
}

static struct options both_start(enum unique unique, unsigned seed)
{
	struct options o = options_default();

	o.gw_calls = o.gw_starts = true;
	o.unique = unique;
	o.seed = seed;
	o.delay = 10 * MSEC;
	return o;
}

/*
 * Both sides start at once, and one message is lost, doubled or late: one IKE SA stays, the same
 * one on both sides, and one CHILD SA.
 */
static void both_start_at_once(void **state)
{
	static const struct ike_fate fates[] = {{.copies = 0},
						{.copies = 2, .later = 30 * MSEC},
						{.copies = 1, .later = 300 * MSEC},
						{.copies = 1, .later = 3 * SEC}};
	unsigned seed = 0;

	(void)state;
	for (unsigned unique = UNIQUE_REPLACE; unique <= UNIQUE_KEEP; unique++) {
		for (unsigned m = 0; m < 8 * ARRAY_SIZE(fates); m++) {
			struct options o = both_start((enum unique)unique, ++seed);
			struct net *n = net_new(&o);
			struct ike_fate f = fates[m / 8];

			f.from = m & 1;
			f.response = m & 2;
			f.exchange = m & 4 ? IKE_AUTH : IKE_SA_INIT;
			f.count = 1;
			n->fate[0] = f;
			net_run(n, 150 * SEC);
			if (!net_agrees(n)) {
				net_print_log(n);
				fail_msg("unique %u, message %u: not one IKE SA and one CHILD SA",
					 unique, m);
			}
			net_free(n);
		}
	}
}

/* Each side starts another child, which the other one does not: both come to one IKE SA. */
static void children_of_both_are_merged(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 4; seed++) {
		struct options o = both_start(UNIQUE_REPLACE, seed);
		struct net *n;

		o.start = START_NONE;
		o.children = 2;
		n = net_new(&o);
		tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
		tunnel_child_up(peer_child(n, GW, 1), n->now);
		net_run(n, SEC);
		assert_int_equal(established(n, BRANCH), 2);
		net_run(n, 150 * SEC);
		if (!net_agrees(n)) {
			net_print_log(n);
			fail_msg("seed %u: not merged", seed);
		}
		net_free(n);
	}
}

/* A later call beside the first one, as of a peer that sends no INITIAL_CONTACT. */
static struct net *called_again(enum unique unique)
{
	struct options o = options_default();
	struct net *n;

	o.unique = unique;
	n = net_up(&o);
	net_run(n, 60 * SEC);
	assert_non_null(ike_initiate(n->peer[BRANCH].tunnel->ike, peer_conn(n, BRANCH)->conf,
				     &peer_conn(n, BRANCH)->sa->local,
				     &peer_conn(n, BRANCH)->sa->remote, NULL, true, n->now));
	net_run(n, SEC);
	return n;
}

static void keep_refuses_the_second(void **state)
{
	struct net *n = called_again(UNIQUE_KEEP);

	(void)state;
	assert_int_equal(established(n, BRANCH), 1);
	assert_int_equal(established(n, GW), 1);
	assert_true(net_is_up(n));
	/* Nor is it a guess of the secret, for which the peer would be shut out. */
	assert_int_equal(ike_counters(n->peer[GW].tunnel->ike)[IKE_COUNT_GUESS], 0);
	net_free(n);
}

static void replace_lets_in_and_never_leaves(void **state)
{
	struct net *n = called_again(UNIQUE_REPLACE);

	(void)state;
	assert_int_equal(established(n, GW), 2);
	net_run(n, 150 * SEC);
	assert_int_equal(established(n, GW), 1);
	assert_true(net_is_up(n));
	net_free(n);
	n = called_again(UNIQUE_NEVER);
	net_run(n, 300 * SEC);
	assert_int_equal(established(n, GW), 2);
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_start_at_once),
		cmocka_unit_test(children_of_both_are_merged),
		cmocka_unit_test(keep_refuses_the_second),
		cmocka_unit_test(replace_lets_in_and_never_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
