/*
 * t_totals.c - the figures of a child never fall: over rekeys, recoveries, reloads and peers that
 * go. SPDX-License-Identifier: ISC
 */
#include "peers.h"
#include "totals.h"

static const struct tunnel_totals *gathered(struct net *n, unsigned side)
{
	totals_gather(n->peer[side].tunnel);
	assert_non_null(LIST_FIRST(&n->peer[side].tunnel->totals));
	return LIST_FIRST(&n->peer[side].tunnel->totals);
}

/* No figure of `side` is less than before, which is updated. */
static void assert_grows(struct net *n, unsigned side, struct child_figures *before)
{
	const struct child_figures *now = &gathered(n, side)->all;
	const uint64_t *a = (const uint64_t *)before, *b = (const uint64_t *)now;

	for (size_t i = 0; i < sizeof(*now) / sizeof(uint64_t); i++) {
		if (b[i] < a[i])
			net_fail(n, "figure %zu of side %u falls from %llu to %llu", i, side,
				 (unsigned long long)a[i], (unsigned long long)b[i]);
	}
	*before = *now;
}

static void over_rekeys(void **state)
{
	struct options o = options_default();
	struct child_figures before[2] = {0};
	uint64_t in, out;
	struct net *n;

	(void)state;
	o.rekey = 20 * SEC;
	n = net_up(&o);
	n->rate[BRANCH] = n->rate[GW] = 10;
	for (unsigned i = 0; i < 200; i++) {
		net_run(n, SEC);
		assert_grows(n, BRANCH, &before[BRANCH]);
		assert_grows(n, GW, &before[GW]);
	}
	assert_in_range(before[BRANCH].rekeys, 5, 20);
	/* Dummy packets of rekeys count too. */
	assert_in_range(before[BRANCH].packets_in, 1990, 2100);
	assert_in_range(before[GW].packets_out, 1990, 2100);
	assert_true(before[BRANCH].bytes_in > before[BRANCH].packets_in * 20);
	/* There was one peer: the child has all of it. */
	totals_bytes(peer_child(n, BRANCH, 0), &in, &out);
	assert_int_equal(in, before[BRANCH].bytes_in);
	assert_int_equal(out, before[BRANCH].bytes_out);
	assert_in_range(n->now - gathered(n, BRANCH)->last_in, 0, SEC);
	assert_int_equal(gathered(n, BRANCH)->up, 1);
	net_free(n);
}

/* The side that begins keeps its child up, until it is told not to. */
static void what_is_wanted(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	n = net_up(&o);
	assert_int_equal(gathered(n, BRANCH)->wanted, 1);
	assert_int_equal(gathered(n, GW)->wanted, 0);
	tunnel_child_down(peer_child(n, BRANCH, 0), n->now);
	net_run(n, SEC);
	assert_int_equal(gathered(n, BRANCH)->wanted, 0);
	assert_int_equal(gathered(n, BRANCH)->up, 0);
	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_run(n, SEC);
	assert_int_equal(gathered(n, BRANCH)->wanted, 1);
	net_free(n);
}

static bool gw_has_no_connection(struct net *n)
{
	return LIST_EMPTY(&n->peer[GW].tunnel->conns);
}

/* The branch goes, with the connection that the gateway made for it, and comes again. */
static void over_peers_that_go(void **state)
{
	struct options o = options_default();
	struct child_figures before = {0};
	struct net *n;

	(void)state;
	o.gw_any = true;
	n = net_up(&o);
	n->rate[BRANCH] = 10;
	net_run(n, 10 * SEC);
	tunnel_child_rekey(peer_child(n, GW, 0), n->now);
	net_run(n, SEC);
	assert_grows(n, GW, &before);
	assert_int_equal(before.rekeys, 1);
	n->rate[BRANCH] = 0;
	ike_sa_delete(peer_conn(n, BRANCH)->sa, n->now);
	net_run(n, SEC / 10);
	n->cut[BRANCH] = true;
	net_until(n, gw_has_no_connection, 86400 * SEC, "the connection is gone");
	assert_grows(n, GW, &before);
	assert_in_range(before.packets_in, 105, 120);
	assert_int_equal(gathered(n, GW)->users, 0);
	n->cut[BRANCH] = false;
	net_until(n, net_is_up, 200 * SEC, "up again");
	assert_grows(n, GW, &before);
	assert_int_equal(gathered(n, GW)->users, 1);
	net_free(n);
}

static void over_reloads(void **state)
{
	struct options o = options_default();
	struct child_figures before = {0};
	struct conn_conf *conf;
	struct net *n;

	(void)state;
	n = net_up(&o);
	n->rate[BRANCH] = 10;
	net_run(n, 10 * SEC);
	assert_grows(n, BRANCH, &before);
	/* Another configuration of the same name: all is made anew. */
	conf = peer_conf(n, BRANCH);
	peer_configure(n, BRANCH, conf, NULL);
	assert_grows(n, BRANCH, &before);
	conn_unref(n->peer[BRANCH].conf);
	n->peer[BRANCH].conf = conf;
	net_until(n, net_is_up, 20 * SEC, "up again");
	assert_grows(n, BRANCH, &before);
	assert_true(before.packets_out >= 99);
	/* A child that is configured no more is forgotten. */
	conf = peer_conf(n, BRANCH);
	free(conf->children[0].name);
	conf->children[0].name = xstrdup("another");
	peer_configure(n, BRANCH, conf, NULL);
	assert_string_equal(gathered(n, BRANCH)->child, "another");
	assert_null(LIST_NEXT(gathered(n, BRANCH), link));
	conn_unref(n->peer[BRANCH].conf);
	n->peer[BRANCH].conf = conf;
	net_free(n);
}

static uint64_t sum(const uint64_t *v, unsigned count)
{
	uint64_t s = 0;

	for (unsigned i = 0; i < count; i++)
		s += v[i];
	return s;
}

static void recoveries_are_in_both_histograms(void **state)
{
	struct options o = options_default();
	const struct tunnel_totals *a;
	struct net *n;

	(void)state;
	n = net_up(&o);
	n->rate[GW] = 100;
	net_run(n, 10 * SEC);
	gw_rewind(n, 0, 500, false);
	net_run(n, 20 * SEC);
	a = gathered(n, BRANCH);
	assert_int_equal(a->all.recoveries, 1);
	assert_int_equal(a->all.gate[GATE_ADMITTED], 1);
	/* No packet was lost, and the gap is that between two packets. */
	assert_int_equal(sum(a->lost, LOST_BOUNDS + 1), 1);
	assert_int_equal(a->lost[0], 1);
	assert_int_equal(a->lost_sum, 0);
	assert_int_equal(sum(a->outages, OUTAGE_BOUNDS + 1), 1);
	assert_int_equal(a->outages[1], 1); /* more than 1 ms, at most 10 */
	assert_true(a->outage_sum > 0.001 && a->outage_sum < 0.1);
	net_free(n);
}

static void buckets_have_their_bounds(void **state)
{
	struct tunnel_totals a = {0};
	struct recovery_record r = {.outage_from = SEC, .outage_to = 2 * SEC, .lost = 10};

	(void)state;
	totals_add_recovery(&a, &r);
	assert_int_equal(a.outages[3], 1); /* 1 s is within the bound of 1 s */
	assert_int_equal(a.lost[1], 1);
	r.outage_to = 2 * SEC + 1;
	r.lost = 11;
	totals_add_recovery(&a, &r);
	assert_int_equal(a.outages[4], 1);
	assert_int_equal(a.lost[2], 1);
	r.outage_to = 3600 * SEC;
	r.lost = 1000000;
	totals_add_recovery(&a, &r);
	assert_int_equal(a.outages[OUTAGE_BOUNDS], 1);
	assert_int_equal(a.lost[LOST_BOUNDS], 1);
	/* Nothing was delivered since: its outage has no length yet. */
	r.outage_to = 0;
	totals_add_recovery(&a, &r);
	assert_int_equal(sum(a.outages, OUTAGE_BOUNDS + 1), 3);
	assert_int_equal(sum(a.lost, LOST_BOUNDS + 1), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(over_rekeys),
		cmocka_unit_test(what_is_wanted),
		cmocka_unit_test(over_peers_that_go),
		cmocka_unit_test(over_reloads),
		cmocka_unit_test(recoveries_are_in_both_histograms),
		cmocka_unit_test(buckets_have_their_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
