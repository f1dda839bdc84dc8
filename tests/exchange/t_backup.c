/* t_backup.c - where a branch's packets go, of two gateways. SPDX-License-Identifier: ISC */
#include "two_gateways.h"

static const char *const names[] = {"gw1", "gw2"};

static struct net *both_up(void)
{
	struct net *n = two_gateways(true, START_NONE, 1);

	/* The backup last: its policies would be the newer ones. */
	bring_up(n, "gw1");
	bring_up(n, "gw2");
	assert_true(is_up(n, "gw1") && is_up(n, "gw2"));
	n->rate[BRANCH] = RATE;
	return n;
}

static bool first_is_up(struct net *n)
{
	return is_up(n, "gw1");
}

static bool first_is_demoted(struct net *n)
{
	return child_of(n, BRANCH, "gw1")->conn->demoted;
}

/* From now on the first gateway is alive; runs until its tunnel is up. */
static void comes_back(struct net *n)
{
	dead[FIRST] = false;
	net_until(n, first_is_up, 300 * SEC, "up at the first gateway");
}

static void primary_first(void **state)
{
	struct net *n = both_up();

	(void)state;
	assert_int_equal(goes_to(n, 10 * SEC), FIRST);
	/* Rekeys of either change nothing. */
	for (unsigned i = 0; i < 2; i++) {
		tunnel_child_rekey(child_of(n, BRANCH, names[i]), n->now);
		ike_sa_rekey(child_of(n, BRANCH, names[i])->conn->sa, n->now);
		assert_int_equal(goes_to(n, 5 * SEC), FIRST);
	}
	assert_int_equal(net_lost(n, BRANCH, 0), 0);
	net_free(n);
}

/* The primary falls silent: lost is what is sent until that is known, and not one packet more. */
static void silent_primary(void **state)
{
	struct net *n = both_up();
	uint64_t lost;

	(void)state;
	net_run(n, SEC);
	dead[FIRST] = true;
	net_run(n, 2 * DPD + 6 * SEC);
	assert_true(net_logged(
		n, "gw1: the peer does not answer: its traffic goes by gw2, which is up"));
	lost = net_lost(n, BRANCH, 0) + n->peer[BRANCH].path_lost;
	assert_in_range(lost, 1, RATE * (2 * DPD + 6 * SEC) / SEC);
	assert_int_equal(goes_to(n, 200 * SEC), SECOND);
	assert_int_equal(net_lost(n, BRANCH, 0) + n->peer[BRANCH].path_lost, lost);
	/* It is back: it has to be up for a while. */
	comes_back(n);
	assert_int_equal(goes_to(n, FAILBACK - SEC), SECOND);
	net_run(n, SEC);
	assert_int_equal(goes_to(n, 60 * SEC), FIRST);
	assert_int_equal(net_lost(n, BRANCH, 0) + n->peer[BRANCH].path_lost, lost);
	net_free(n);
}

/* Some messages are lost: the answer that comes brings the traffic back at once. */
static void late_answer(void **state)
{
	struct net *n = both_up();

	(void)state;
	net_run(n, SEC);
	dead[FIRST] = true;
	net_until(n, first_is_demoted, 30 * SEC, "demoted");
	assert_int_equal(goes_to(n, SEC), SECOND);
	dead[FIRST] = false;
	net_run(n, 9 * SEC);
	assert_int_equal(goes_to(n, 30 * SEC), FIRST);
	net_free(n);
}

/* The primary is up again, and falls silent before it has its traffic: that stays where it is. */
static void silent_before_it_is_trusted(void **state)
{
	struct net *n = both_up();
	uint64_t lost;

	(void)state;
	net_run(n, SEC);
	ike_sa_delete(tunnel_find_conn(n->peer[GW].tunnel, "b1")->sa, n->now);
	net_run(n, SEC / 10);
	tunnel_child_up(child_of(n, BRANCH, "gw1"), n->now);
	net_until(n, first_is_up, 20 * SEC, "up at the first gateway");
	net_run(n, FAILBACK - 12 * SEC);
	lost = net_lost(n, BRANCH, 0) + n->peer[BRANCH].path_lost;
	dead[FIRST] = true;
	assert_int_equal(goes_to(n, 60 * SEC), SECOND);
	assert_int_equal(net_lost(n, BRANCH, 0) + n->peer[BRANCH].path_lost, lost);
	net_free(n);
}

/* The primary says goodbye, and is not wanted any more: no packet is lost. */
static void orderly_end(void **state)
{
	struct net *n = both_up();

	(void)state;
	net_run(n, SEC);
	tunnel_child_down(child_of(n, BRANCH, "gw1"), n->now);
	assert_int_equal(goes_to(n, 30 * SEC), SECOND);
	assert_int_equal(net_lost(n, BRANCH, 0), 0);
	tunnel_child_up(child_of(n, BRANCH, "gw1"), n->now);
	net_run(n, 5 * SEC);
	assert_int_equal(goes_to(n, 30 * SEC), FIRST);
	/* Deleted by the gateway: no IKE SA was left. */
	ike_sa_delete(tunnel_find_conn(n->peer[GW].tunnel, "b1")->sa, n->now);
	net_run(n, SEC / 10);
	assert_int_equal(goes_to(n, 30 * SEC), SECOND);
	assert_int_equal(net_lost(n, BRANCH, 0), 0);
	net_free(n);
}

/* The backup ends while it has the traffic: the primary has it. */
static void backup_dies(void **state)
{
	struct net *n = both_up();

	(void)state;
	net_run(n, SEC);
	ike_sa_delete(tunnel_find_conn(n->peer[GW].tunnel, "b1")->sa, n->now);
	net_run(n, 5 * SEC);
	assert_int_equal(goes_to(n, SEC), SECOND);
	tunnel_child_down(child_of(n, BRANCH, "gw2"), n->now);
	net_run(n, SEC / 10);
	assert_int_equal(goes_to(n, SEC), FIRST);
	net_free(n);
}

/* The backup falls silent while the primary, which is up again, waits: that has its traffic. */
static void backup_falls_silent(void **state)
{
	struct net *n = both_up();

	(void)state;
	net_run(n, SEC);
	ike_sa_delete(tunnel_find_conn(n->peer[GW].tunnel, "b1")->sa, n->now);
	net_run(n, 5 * SEC);
	assert_int_equal(goes_to(n, SEC), SECOND);
	dead[SECOND] = true;
	net_run(n, 2 * DPD + 6 * SEC);
	assert_int_equal(goes_to(n, SEC), FIRST);
	net_free(n);
}

/* Traps: the first packet starts the primary; where that is in vain, a later one the backup. */
static void traps(void **state)
{
	struct net *n = two_gateways(true, START_TRAP, 1);

	(void)state;
	dead[FIRST] = true;
	n->rate[BRANCH] = 1;
	net_run(n, 5 * SEC);
	assert_false(is_up(n, "gw2"));
	net_run(n, 200 * SEC);
	assert_true(is_up(n, "gw2"));
	assert_int_equal(goes_to(n, 10 * SEC), SECOND);
	net_free(n);
}

/* A backup that is a trap is started when the primary falls silent, not when that is given up. */
static void trap_beside_a_silent_primary(void **state)
{
	struct net *n = two_gateways(true, START_TRAP, 1);

	(void)state;
	n->rate[BRANCH] = RATE;
	net_run(n, SEC);
	assert_true(is_up(n, "gw1") && !is_up(n, "gw2"));
	dead[FIRST] = true;
	net_run(n, 2 * DPD + 6 * SEC);
	assert_int_equal(goes_to(n, SEC), SECOND);
	net_free(n);
}

/* A connection that was never up has its traffic as soon as it is: nothing was down. */
static void calls_in_vain(void **state)
{
	struct net *n = two_gateways(true, START_START, 1);

	(void)state;
	dead[FIRST] = true;
	net_run(n, 200 * SEC);
	n->rate[BRANCH] = RATE;
	assert_int_equal(goes_to(n, SEC), SECOND);
	comes_back(n);
	assert_int_equal(goes_to(n, SEC), FIRST);
	net_free(n);
}

/* A reload makes it a backup, and no backup again; what stays keeps its traffic where it is. */
static void reloaded(void **state)
{
	struct net *n = two_gateways(false, START_NONE, 1);

	(void)state;
	bring_up(n, "gw1");
	bring_up(n, "gw2");
	n->rate[BRANCH] = RATE;
	assert_int_equal(goes_to(n, SEC), SECOND); /* the one that came up last */
	n->rate[BRANCH] = 0;
	branch_configure(n, true);
	net_run(n, SEC);
	bring_up(n, "gw1");
	tunnel_child_rekey(child_of(n, BRANCH, "gw2"), n->now);
	net_run(n, SEC);
	n->rate[BRANCH] = RATE;
	assert_int_equal(goes_to(n, SEC), FIRST);
	dead[FIRST] = true;
	net_run(n, 2 * DPD + 6 * SEC);
	branch_configure(n, true);
	assert_int_equal(goes_to(n, SEC), SECOND);
	dead[FIRST] = false;
	n->rate[BRANCH] = 0;
	branch_configure(n, false);
	net_run(n, SEC);
	bring_up(n, "gw1");
	tunnel_child_rekey(child_of(n, BRANCH, "gw2"), n->now);
	net_run(n, SEC);
	n->rate[BRANCH] = RATE;
	assert_int_equal(goes_to(n, SEC), SECOND); /* the one that was rekeyed last */
	net_free(n);
}

/* The primary is up and refuses the child: that goes by the backup, until it is taken after all. */
static void child_is_refused(void **state)
{
	static const enum start_action starts[] = {START_START, START_TRAP};
	struct net *n;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		n = two_gateways(true, starts[i], 1);
		takes_children(false);
		n->rate[BRANCH] = RATE;
		net_run(n, SEC);
		assert_true(conn_established(tunnel_find_conn(n->peer[BRANCH].tunnel, "gw1")));
		assert_false(is_up(n, "gw1"));
		assert_int_equal(goes_to(n, 100 * SEC), SECOND);
		takes_children(true);
		net_run(n, 12 * SEC);
		assert_true(is_up(n, "gw1"));
		assert_int_equal(goes_to(n, 100 * SEC), FIRST);
		net_free(n);
	}
}

/* One child of the primary's two ends: the backup, which is a trap, has that. */
static void child_is_ended(void **state)
{
	struct net *n = two_gateways(true, START_TRAP, 2);
	struct tunnel_child *k = child_of(n, BRANCH, "gw1");

	(void)state;
	n->rate[BRANCH] = RATE;
	net_run(n, SEC);
	tunnel_child_up(LIST_NEXT(k, link), n->now);
	assert_int_equal(goes_to(n, 5 * SEC), FIRST);
	/* The operator does not want it there, and then does. */
	tunnel_child_down(k, n->now);
	net_run(n, SEC / 10);
	assert_int_equal(goes_to(n, 30 * SEC), SECOND);
	tunnel_child_up(k, n->now);
	net_run(n, SEC / 10);
	assert_int_equal(goes_to(n, 30 * SEC), FIRST);
	/* The gateway does not want it. The backup has an SA already: nothing is lost. */
	takes_children(false);
	tunnel_child_down(child_of(n, GW, "b1"), n->now);
	net_run(n, SEC / 10);
	assert_int_equal(goes_to(n, 30 * SEC), SECOND);
	/* It ends as a whole, and is back without the child. */
	ike_sa_delete(tunnel_find_conn(n->peer[GW].tunnel, "b1")->sa, n->now);
	net_run(n, 5 * SEC);
	assert_int_equal(goes_to(n, 2 * FAILBACK), SECOND);
	takes_children(true);
	net_run(n, 12 * SEC);
	assert_int_equal(goes_to(n, 30 * SEC), FIRST);
	net_free(n);
}

/* A trap waits for packets, which the backup has: it comes up by itself, and has them again. */
static void traps_come_back(void **state)
{
	struct net *n = two_gateways(true, START_TRAP, 1);

	(void)state;
	n->rate[BRANCH] = RATE;
	net_run(n, SEC);
	dead[FIRST] = true;
	net_run(n, 200 * SEC);
	assert_int_equal(goes_to(n, SEC), SECOND);
	comes_back(n);
	net_run(n, FAILBACK + SEC);
	assert_int_equal(goes_to(n, SEC), FIRST);
	/* The gateway ends the child while the backup is up, and takes it again. */
	tunnel_child_down(child_of(n, GW, "b1"), n->now);
	net_run(n, 5 * SEC);
	assert_int_equal(goes_to(n, SEC), FIRST);
	net_free(n);
}

/* A primary that is silent has a child that waits for its first packet. */
static void silent_beside_an_unused_trap(void **state)
{
	(void)state;
	for (unsigned both = 0; both < 2; both++) {
		struct net *n = two_gateways(true, START_TRAP, 2);

		n->rate[BRANCH] = RATE;
		net_run(n, SEC);
		dead[FIRST] = true;
		dead[SECOND] = both;
		net_run(n, 300 * SEC);
		dead[FIRST] = dead[SECOND] = false;
		net_run(n, 300 * SEC);
		assert_int_equal(goes_to(n, SEC), FIRST);
		net_free(n);
	}
}

/* A primary that is not trusted yet is ended by us: its DELETE is out, and then all is closed. */
static void trusted_while_it_ends(void **state)
{
	(void)state;
	for (unsigned closed = 0; closed < 2; closed++) {
		struct net *n = two_gateways(true, START_START, 1);
		struct tunnel_conn *c = child_of(n, BRANCH, "gw1")->conn;

		net_run(n, 5 * SEC);
		n->rate[BRANCH] = RATE;
		ike_sa_delete(tunnel_find_conn(n->peer[GW].tunnel, "b1")->sa, n->now);
		net_run(n, 5 * SEC);
		assert_true(is_up(n, "gw1") && c->demoted == DEMOTED_DOWN);
		dead[FIRST] = true;
		if (closed)
			(void)tunnel_close(n->peer[BRANCH].tunnel, n->now);
		else
			ike_sa_delete(c->sa, n->now);
		net_run(n, 10 * SEC);
		if (!closed)
			assert_int_equal(goes_to(n, 60 * SEC), SECOND);
		net_free(n);
	}
}

/*
 * The first gateway refuses a child, falls silent, is called beside, and answers after all: what
 * was asked for on the call that is given up is asked for on the IKE SA that stays.
 */
static void refused_on_a_call_that_is_given_up(void **state)
{
	(void)state;
	for (unsigned wait = 0; wait < 60; wait++) {
		struct net *n;

		two_addresses = true;
		n = two_gateways(true, START_START, 2);

		takes_children(false);
		dead[SECOND] = true;
		net_run(n, 3 * SEC);
		dead[FIRST] = true;
		net_run(n, 5 * SEC + wait * SEC / 5);
		dead[FIRST] = false;
		for (unsigned i = 0; i < 3000; i++) {
			const struct tunnel_child *k = child_of(n, BRANCH, "gw1");

			net_run(n, 10 * MSEC);
			assert_true(k->asked_on || deadline_is_set(&k->conn->retry));
		}
		net_free(n);
	}
}

/* A reload gives a gateway that waits for packets a backup that has them already. */
static void gets_a_backup_that_is_up(void **state)
{
	struct net *n = two_gateways(false, START_TRAP, 1);

	(void)state;
	bring_up(n, "gw2");
	n->rate[BRANCH] = RATE;
	assert_int_equal(goes_to(n, SEC), SECOND);
	branch_configure(n, true);
	net_run(n, SEC);
	assert_int_equal(goes_to(n, SEC), FIRST);
	net_free(n);
}

/* What was put down stays down, whatever answer is on its way, and the backup has its packets. */
static void put_down(void **state)
{
	struct net *n = both_up();
	struct tunnel_child *k = child_of(n, BRANCH, "gw1");

	(void)state;
	tunnel_child_down(k, n->now);
	net_run(n, SEC);
	takes_children(false);
	tunnel_child_up(k, n->now);
	tunnel_turn(n->peer[BRANCH].tunnel, n->now);
	tunnel_child_down(k, n->now);
	net_run(n, 3 * SEC);
	takes_children(true);
	assert_int_equal(goes_to(n, 60 * SEC), SECOND);
	assert_false(is_up(n, "gw1"));
	net_free(n);
}

/* The same for one child of two, with a trap as backup: it had no SA, or had one. */
static void put_down_alone(void **state)
{
	struct tunnel_child *k;
	struct net *n;

	(void)state;
	for (unsigned had_one = 0; had_one < 2; had_one++) {
		n = two_gateways(true, START_TRAP, 2);
		k = child_of(n, BRANCH, "gw1");
		n->rate[BRANCH] = had_one ? RATE : 0;
		net_run(n, SEC);
		tunnel_child_up(LIST_NEXT(k, link), n->now);
		net_run(n, SEC);
		tunnel_child_down(k, n->now);
		n->rate[BRANCH] = RATE;
		net_run(n, SEC);
		assert_int_equal(goes_to(n, 5 * SEC), SECOND);
		/* The primary connects anew, for its other child; then the backup is ended. */
		ike_sa_delete(tunnel_find_conn(n->peer[GW].tunnel, "b1")->sa, n->now);
		net_run(n, 2 * FAILBACK);
		tunnel_child_down(child_of(n, GW, "b2"), n->now);
		net_run(n, SEC);
		assert_int_equal(goes_to(n, 60 * SEC), SECOND);
		assert_false(is_up(n, "gw1"));
		net_free(n);
	}
}

/* A child that is refused after a restart, too, or by then not. */
static void restarted_while_refused(void **state)
{
	static const enum start_action starts[] = {START_START, START_TRAP};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct net *n = two_gateways(true, starts[i], 1);

		takes_children(false);
		n->rate[BRANCH] = RATE;
		net_run(n, 5 * SEC);
		(void)branch_restart(n, true);
		assert_int_equal(goes_to(n, 30 * SEC), SECOND);
		(void)branch_restart(n, true);
		takes_children(true);
		net_run(n, 12 * SEC);
		assert_int_equal(goes_to(n, 30 * SEC), FIRST);
		net_free(n);
	}
}

/* The primary is dead, and both are kept up. */
static struct net *at_the_second(void)
{
	struct net *n = two_gateways(true, START_START, 1);

	net_run(n, 5 * SEC);
	n->rate[BRANCH] = RATE;
	dead[FIRST] = true;
	net_run(n, 200 * SEC);
	assert_int_equal(goes_to(n, SEC), SECOND);
	return n;
}

/* The primary was to have its traffic soon, and did not outlast the restart: it is not trusted. */
static void restarted_without_the_primary(void **state)
{
	struct net *n = at_the_second();

	(void)state;
	comes_back(n);
	net_run(n, FAILBACK - 20 * SEC);
	dead[FIRST] = true;
	ike_liveness(child_of(n, BRANCH, "gw1")->conn->sa, 0, n->now);
	net_run(n, SEC);
	assert_int_equal(branch_restart(n, true), 1);
	assert_int_equal(goes_to(n, 30 * SEC), SECOND);
	comes_back(n);
	assert_int_equal(goes_to(n, FAILBACK - 5 * SEC), SECOND);
	net_run(n, 10 * SEC);
	assert_int_equal(goes_to(n, 30 * SEC), FIRST);
	net_free(n);
}

/* A restart of our own: the traffic stays where it is, and so does the time until it goes back. */
static void restarted(void **state)
{
	struct net *n = at_the_second();

	(void)state;
	assert_int_equal(branch_restart(n, true), 1);
	assert_int_equal(goes_to(n, 30 * SEC), SECOND);
	/* It is back, and not trusted yet. */
	comes_back(n);
	net_run(n, FAILBACK / 2);
	assert_int_equal(branch_restart(n, true), 2);
	assert_int_equal(goes_to(n, FAILBACK / 4), SECOND);
	net_run(n, FAILBACK / 3);
	assert_int_equal(goes_to(n, 30 * SEC), FIRST);
	net_free(n);
	/* One child of the primary is refused. */
	n = two_gateways(true, START_START, 2);
	takes_children(false);
	net_run(n, 5 * SEC);
	n->rate[BRANCH] = RATE;
	assert_int_equal(goes_to(n, SEC), SECOND);
	assert_int_equal(branch_restart(n, true), 2);
	assert_int_equal(goes_to(n, 30 * SEC), SECOND);
	/* By the time of the restart it has no backup any more. */
	assert_int_equal(branch_restart(n, false), 2);
	takes_children(true);
	net_run(n, 30 * SEC);
	assert_true(is_up(n, "gw1"));
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(primary_first),
		cmocka_unit_test(silent_primary),
		cmocka_unit_test(late_answer),
		cmocka_unit_test(silent_before_it_is_trusted),
		cmocka_unit_test(orderly_end),
		cmocka_unit_test(backup_dies),
		cmocka_unit_test(backup_falls_silent),
		cmocka_unit_test(trap_beside_a_silent_primary),
		cmocka_unit_test(calls_in_vain),
		cmocka_unit_test(traps),
		cmocka_unit_test(child_is_refused),
		cmocka_unit_test(child_is_ended),
		cmocka_unit_test(reloaded),
		cmocka_unit_test(restarted),
		cmocka_unit_test(traps_come_back),
		cmocka_unit_test(silent_beside_an_unused_trap),
		cmocka_unit_test(trusted_while_it_ends),
		cmocka_unit_test(refused_on_a_call_that_is_given_up),
		cmocka_unit_test(gets_a_backup_that_is_up),
		cmocka_unit_test(put_down),
		cmocka_unit_test(put_down_alone),
		cmocka_unit_test(restarted_while_refused),
		cmocka_unit_test(restarted_without_the_primary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
