/*
 * t_seeds.c - a thousand seeds of two peers over a bad wire, with rekeys from both sides at once.
 * SPDX-License-Identifier: ISC
 *
 * MENDIP_SEEDS sets the number of seeds; MENDIP_SEED runs a single one.
 */
#include "peers.h"

#define SEEDS 1000

static bool settled(struct net *n)
{
	return net_is_up(n) && peer_child_sas(n, BRANCH) == 1 && peer_child_sas(n, GW) == 1 &&
	       peer_ike_sas(n, BRANCH) == 1 && peer_ike_sas(n, GW) == 1 &&
	       !peer_conn(n, BRANCH)->sa->outstanding && !peer_conn(n, GW)->sa->outstanding;
}

static void check(bool ok, struct net *n, const char *what)
{
	if (ok)
		return;
	net_print_log(n);
	fail_msg("%s; again with MENDIP_SEED=%llu", what, (unsigned long long)n->o.seed);
}

/* Starts rekeys on both sides, at most two round trips apart. */
static void rekey_both(struct net *n, unsigned what)
{
	for (unsigned i = 0; i < 2; i++) {
		struct tunnel_child *k = peer_child(n, i, 0);
		struct tunnel_conn *c = peer_conn(n, i);

		if ((what & 1) && k && k->current)
			tunnel_child_rekey(k, n->now);
		if ((what & 2) && c && c->sa)
			ike_sa_rekey(c->sa, n->now);
		net_run(n, rng_below(&n->rng.rng, 4 * n->o.delay));
	}
}

static void traffic_flows(struct net *n)
{
	uint64_t before[2];

	n->loss = n->dup = n->reorder = 0;
	n->jitter = 0;
	net_run(n, SEC); /* packets on the wire arrive */
	before[0] = n->peer[0].delivered;
	before[1] = n->peer[1].delivered;
	for (unsigned i = 0; i < 20; i++) {
		net_packet(n, BRANCH, 0);
		net_packet(n, GW, 0);
		net_run(n, 10 * MSEC);
	}
	net_run(n, SEC);
	check(n->peer[0].delivered == before[0] + 20 && n->peer[1].delivered == before[1] + 20, n,
	      "traffic does not flow both ways");
}

static void agree(struct net *n)
{
	struct esp_sa *b = peer_sa(n, BRANCH, 0), *g = peer_sa(n, GW, 0);

	check(b->spi == g->out.spi && g->spi == b->out.spi, n,
	      "the sides disagree on the CHILD SA");
	check(peer_conn(n, BRANCH)->sa->spi_i == peer_conn(n, GW)->sa->spi_i, n,
	      "the sides disagree on the IKE SA");
}

static void one_seed(uint64_t seed)
{
	struct options o = options_default();
	struct net *n;

	o.seed = seed;
	o.delay = 20 * MSEC;
	n = net_new(&o);
	net_until(n, net_is_up, 30 * SEC, "the tunnel comes up");
	n->loss = (unsigned)rng_below(&n->rng.rng, 250);
	n->dup = (unsigned)rng_below(&n->rng.rng, 200);
	n->reorder = (unsigned)rng_below(&n->rng.rng, 200);
	n->jitter = rng_below(&n->rng.rng, 60 * MSEC);
	for (unsigned i = 0; i < 3; i++) {
		rekey_both(n, 1 + (unsigned)rng_below(&n->rng.rng, 3));
		net_packet(n, BRANCH, 0);
		net_packet(n, GW, 0);
		net_run(n, rng_below(&n->rng.rng, 3 * SEC));
	}
	n->loss = 0;
	net_until(n, settled, 120 * SEC, "exactly one CHILD SA pair and one IKE SA");
	agree(n);
	traffic_flows(n);
	net_free(n);
}

static void thousand_seeds(void **state)
{
	const char *count = getenv("MENDIP_SEEDS");
	unsigned seeds = count ? (unsigned)atoi(count) : SEEDS;

	(void)state;
	if (getenv("MENDIP_SEED")) {
		one_seed(seed_from_env(0));
		return;
	}
	for (unsigned i = 1; i <= seeds; i++)
		one_seed(i);
	print_message("# %u seeds: one CHILD SA pair and one IKE SA left in each\n", seeds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(thousand_seeds)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
