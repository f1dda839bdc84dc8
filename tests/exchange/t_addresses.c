/*
 * t_addresses.c - a peer with two addresses, of which one may be dead: which one is called, how
 * soon the other one is, and the way back. SPDX-License-Identifier: ISC
 */
#include "peers.h"

#define FIRST	 0
#define SECOND	 1
#define RATE	 200
#define FAILBACK (60 * SEC)

/* From now on nothing that goes to this address of the gateway, or comes from it, arrives. */
static bool dead[2];

static unsigned which(const struct net *n, const struct addr *a)
{
	return addr_eq(a, &n->peer[GW].also) ? SECOND : FIRST;
}

static bool where_it_lives(struct net *n, unsigned from, struct datagram *d)
{
	return !dead[which(n, from == GW ? &d->from.addr : &d->dest.addr)];
}

static struct options plain(void)
{
	struct options o = options_default();

	o.gw_dpd = 30 * SEC;
	o.start = START_NONE;
	return o;
}

/* The branch knows both addresses, also after a restart. */
static void knows_both(struct net *n, unsigned side)
{
	struct conn_conf *c = n->peer[side].conf;

	/* With MOBIKE they would be two addresses of one gateway, and the IKE SA would stay. */
	c->mobike = false;
	if (side == GW)
		return;
	c->remote[SECOND] = c->remote[FIRST];
	c->remote[SECOND].addr = n->peer[GW].also;
	c->remote_count = 2;
	c->failback = FAILBACK;
}

static struct net *known(const struct options *o)
{
	struct net *n = net_new(o);

	dead[FIRST] = dead[SECOND] = false;
	assert_int_equal(addr_parse("192.0.2.77", &n->peer[GW].also), 0);
	knows_both(n, BRANCH);
	knows_both(n, GW);
	n->conf_made = knows_both;
	n->hook = where_it_lives;
	return n;
}

/* And it begins, with both or with the second one alone alive. */
static struct net *two(const struct options *o, bool first_is_dead)
{
	struct net *n = known(o);

	dead[FIRST] = first_is_dead;
	for (unsigned c = 0; c < o->children; c++)
		tunnel_child_up(peer_child(n, BRANCH, c), n->now);
	return n;
}

static struct net *up(const struct options *o)
{
	struct net *n = two(o, false);

	net_until(n, net_is_up, 10 * SEC, "up");
	n->rate[BRANCH] = n->rate[GW] = RATE;
	net_run(n, SEC);
	return n;
}

/* The address of the gateway that the branch's IKE SA is with. */
static unsigned at(struct net *n)
{
	const struct ike_sa *sa = peer_conn(n, BRANCH)->sa;

	return sa ? which(n, &ike_sa_remote(sa)->addr) : 2;
}

static bool is_at_first(struct net *n)
{
	return net_agrees(n) && at(n) == FIRST;
}

static bool is_used_at_first(struct net *n)
{
	return net_is_up(n) && at(n) == FIRST && ike_sa_established(peer_conn(n, BRANCH)->sa);
}

static bool is_at_second(struct net *n)
{
	return net_is_up(n) && at(n) == SECOND && ike_sa_established(peer_conn(n, BRANCH)->sa);
}

static void the_first_that_answers(void **state)
{
	struct options o = plain();
	struct net *n = up(&o);

	(void)state;
	assert_int_equal(at(n), FIRST);
	net_free(n);
	/* A dead one costs a second, not the time of all retransmissions. */
	n = two(&o, true);
	net_until(n, net_is_up, 1500 * MSEC, "up at the second");
	assert_int_equal(at(n), SECOND);
	net_free(n);
}

/* Both are dead for five minutes: each is called in each pass, and the back-off is between them. */
static void passes(void **state)
{
	struct options o = plain();
	struct net *n = two(&o, true);
	unsigned calls[2] = {0};
	const struct ike_sa *last = NULL, *sa;

	(void)state;
	dead[SECOND] = true;
	for (unsigned i = 0; i < 3000; i++) {
		net_run(n, 100 * MSEC);
		sa = peer_conn(n, BRANCH)->sa;
		if (sa && sa != last)
			calls[which(n, &ike_sa_remote(sa)->addr)]++;
		last = sa;
	}
	assert_in_range(calls[FIRST], 5, 20);
	assert_in_range(calls[SECOND], calls[FIRST] - 1, calls[FIRST]);
	dead[SECOND] = false;
	net_until(n, net_is_up, 120 * SEC, "up");
	net_free(n);
}

/* A gateway that refuses is no dead one: the other one is called at once, too. */
static void refused_by_one(void **state)
{
	struct options o = plain();
	struct net *n;

	(void)state;
	o.psk_gw = "another secret";
	n = two(&o, false);
	net_run(n, 200 * MSEC);
	assert_true(net_logged(n, "AUTHENTICATION_FAILED"));
	assert_true(net_logged(n, "calling 192.0.2.77:500 in 0.0 s"));
	net_free(n);
}

/* The gateway in use dies: the other one has the tunnel after a few seconds. */
static void the_other_one_takes_over(void **state)
{
	struct options o = plain();
	struct net *n;
	uint64_t sent;

	(void)state;
	o.dpd = 5 * SEC;
	n = up(&o);
	dead[FIRST] = true;
	sent = n->peer[GW].delivered;
	/* dpd_delay, five messages in vain, rung 3's random wait, and a second for the first one.
	 */
	net_until(n, is_at_second, o.dpd + 9 * SEC, "at the second");
	net_run(n, SEC);
	assert_true(n->peer[GW].delivered > sent + RATE / 2);
	/* While the first one is dead, looking for it costs nothing. */
	n->peer[BRANCH].longest_gap = n->peer[GW].longest_gap = 0;
	sent = net_lost(n, BRANCH, CHILDREN) + net_lost(n, GW, CHILDREN);
	net_run(n, 3 * FAILBACK);
	assert_int_equal(at(n), SECOND);
	assert_int_equal(net_lost(n, BRANCH, CHILDREN) + net_lost(n, GW, CHILDREN), sent);
	assert_null(peer_conn(n, BRANCH)->beside);
	net_free(n);
}

/* The first address is back: the tunnel returns to it, and no packet is lost. */
static void back_without_a_loss(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 20; seed++) {
		struct options o = plain();
		struct net *n;

		o.seed = seed;
		o.children = 1 + seed % CHILDREN;
		n = two(&o, true);
		net_until(n, is_at_second, 5 * SEC, "at the second");
		n->rate[BRANCH] = n->rate[GW] = RATE;
		dead[FIRST] = false;
		net_run(n, FAILBACK - SEC);
		assert_int_equal(at(n), SECOND);
		net_until(n, is_at_first, FAILBACK / 5, "at the first");
		net_run(n, 30 * SEC);
		assert_true(net_agrees(n));
		assert_int_equal(net_lost(n, BRANCH, CHILDREN) + net_lost(n, GW, CHILDREN), 0);
		assert_int_equal(n->peer[BRANCH].delivered_twice + n->peer[GW].delivered_twice, 0);
		net_free(n);
	}
}

/* The gateway in use dies while a call back to the first one is under way. */
static void dies_while_going_back(void **state)
{
	(void)state;
	for (unsigned after = 0; after < 12; after++) {
		struct options o = plain();
		struct net *n;

		o.seed = after + 1;
		n = two(&o, true);
		net_until(n, is_at_second, 5 * SEC, "at the second");
		n->rate[BRANCH] = n->rate[GW] = RATE;
		dead[FIRST] = false;
		while (!peer_conn(n, BRANCH)->beside)
			net_run(n, MSEC);
		net_run(n, after * MSEC);
		dead[SECOND] = true;
		net_until(n, is_used_at_first, 40 * SEC, "at the first");
		n->rate[BRANCH] = n->rate[GW] = 0;
		net_run(n, SEC);
		net_traffic(n, 0);
		net_free(n);
	}
}

/* Who does not want to go back stays, and so do two addresses of one host name. */
static void stays(void **state)
{
	struct options o = plain();

	(void)state;
	for (unsigned names = 0; names < 2; names++) {
		static struct peer_names both;
		struct net *n = known(&o);
		struct conn_conf *c = n->peer[BRANCH].conf;

		if (names) {
			c->remote_count = 0;
			c->names = &both;
			both.found_count = 2;
			memcpy(both.found, c->remote, 2 * sizeof(c->remote[0]));
		} else {
			c->failback = 0;
		}
		dead[FIRST] = true;
		tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
		net_until(n, is_at_second, 5 * SEC, "at the second");
		dead[FIRST] = false;
		net_run(n, 3 * FAILBACK);
		assert_int_equal(at(n), SECOND);
		c->names = NULL;
		c->remote_count = 2;
		net_free(n);
	}
}

/* The address in use leaves its name, as names rotate: the way back is not forgotten. */
static void name_leads_elsewhere(void **state)
{
	static struct peer_names names = {.count = 2, .found_count = 2, .name_of = {0, 1}};
	struct options o = plain();
	struct net *n = known(&o);
	struct conn_conf *c = n->peer[BRANCH].conf;

	(void)state;
	memcpy(names.found, c->remote, 2 * sizeof(c->remote[0]));
	c->remote_count = 0;
	c->names = &names;
	dead[FIRST] = true;
	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_until(n, is_at_second, 5 * SEC, "at the second");
	dead[FIRST] = false;
	for (unsigned i = 0; i < 6; i++) {
		struct endpoint found[2] = {names.found[0], names.found[1]};

		assert_int_equal(addr_parse(i % 2 ? "192.0.2.98" : "192.0.2.99", &found[1].addr),
				 0);
		tunnel_resolved(n->peer[BRANCH].tunnel, c, found, names.name_of, 2, n->now);
		net_run(n, FAILBACK / 4);
	}
	assert_int_equal(at(n), FIRST);
	c->names = NULL;
	c->remote_count = 2;
	net_free(n);
}

/* An orderly end is followed by a call to the first address, wherever the tunnel was. */
static void begins_with_the_first(void **state)
{
	struct options o = plain();
	struct net *n = two(&o, true);

	(void)state;
	net_until(n, is_at_second, 5 * SEC, "at the second");
	net_run(n, FAILBACK + FAILBACK / 5); /* it is called in vain */
	assert_int_equal(at(n), SECOND);
	dead[FIRST] = false;
	ike_sa_delete(peer_conn(n, GW)->sa, n->now);
	net_run(n, 100 * MSEC);
	net_until(n, is_at_first, 5 * SEC, "at the first");
	net_free(n);
}

/* The tunnel is closed while its silent peer is called at all addresses: that ends, too. */
static void closed_while_calling(void **state)
{
	(void)state;
	for (unsigned after = 0; after < 20; after++) {
		struct options o = plain();
		struct net *n;

		o.dpd = 5 * SEC;
		o.seed = after + 1;
		n = up(&o);
		dead[FIRST] = dead[SECOND] = true;
		while (!peer_conn(n, BRANCH)->beside)
			net_run(n, 10 * MSEC);
		net_run(n, after * 100 * MSEC);
		(void)tunnel_close(n->peer[BRANCH].tunnel, n->now);
		net_run(n, 5 * SEC);
		assert_null(peer_conn(n, BRANCH)->beside);
		net_free(n);
	}
}

/* Answers take 1.6 s: the first pass is in vain, later ones have more time, also on the way back.
 */
static void slow_gateways(void **state)
{
	struct options o = plain();
	struct net *n;

	(void)state;
	o.delay = 800 * MSEC;
	n = two(&o, true);
	net_until(n, is_at_second, 30 * SEC, "at the second");
	dead[FIRST] = false;
	net_until(n, is_used_at_first, 2 * FAILBACK, "at the first");
	net_free(n);
}

/* The peer answers late, when its first address was called in vain: the next time is a new one. */
static void answers_after_all(void **state)
{
	struct options o = plain();
	struct net *n;

	(void)state;
	o.dpd = 5 * SEC;
	n = up(&o);
	dead[FIRST] = dead[SECOND] = true;
	while (peer_conn(n, BRANCH)->called == 0)
		net_run(n, 10 * MSEC);
	dead[FIRST] = false;
	net_run(n, 20 * SEC);
	assert_int_equal(at(n), FIRST);
	assert_int_equal(peer_conn(n, BRANCH)->called, 0);
	assert_null(peer_conn(n, BRANCH)->beside);
	net_free(n);
}

/* The gateway in use dies while a call back to the first one is out, which is dead, too. */
static void dies_beside_a_vain_call(void **state)
{
	struct options o = plain();
	struct net *n;

	(void)state;
	o.dpd = 5 * SEC;
	n = two(&o, true);
	net_until(n, is_at_second, 5 * SEC, "at the second");
	n->rate[BRANCH] = n->rate[GW] = RATE;
	net_run(n, FAILBACK - 8 * SEC);
	dead[SECOND] = true;
	while (!peer_conn(n, BRANCH)->beside)
		net_run(n, 10 * MSEC);
	dead[FIRST] = false;
	net_until(n, is_used_at_first, 15 * SEC, "at the first");
	/* And back again, with the SA that had been silent gone. */
	net_run(n, 2 * FAILBACK);
	assert_int_equal(at(n), FIRST);
	net_free(n);
}

/* A restart of our own forgets nothing of it. */
static void restarted(void **state)
{
	struct options o = plain();
	struct net *n = two(&o, true);

	(void)state;
	net_until(n, is_at_second, 5 * SEC, "at the second");
	dead[FIRST] = false;
	assert_int_equal(peer_restart(n, BRANCH), 1);
	net_until(n, is_at_first, 2 * FAILBACK, "at the first");
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_that_answers),
		cmocka_unit_test(passes),
		cmocka_unit_test(refused_by_one),
		cmocka_unit_test(the_other_one_takes_over),
		cmocka_unit_test(back_without_a_loss),
		cmocka_unit_test(dies_while_going_back),
		cmocka_unit_test(stays),
		cmocka_unit_test(name_leads_elsewhere),
		cmocka_unit_test(begins_with_the_first),
		cmocka_unit_test(closed_while_calling),
		cmocka_unit_test(slow_gateways),
		cmocka_unit_test(answers_after_all),
		cmocka_unit_test(dies_beside_a_vain_call),
		cmocka_unit_test(restarted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
