/*
 * t_assigned.c - addresses that one peer assigns to the other (RFC 7296 2.19), between two whole
 * peers: vips, pools and dynamic selectors. SPDX-License-Identifier: ISC
 */
#include "peers.h"
#include "task/exchanges.h"
#include "xalloc.h"

static struct addr address(const char *s)
{
	struct addr a;

	assert_int_equal(addr_parse(s, &a), 0);
	return a;
}

/* The branch of this configuration asks for an IPv4 address. */
static void ask(struct conn_conf *c)
{
	c->vips[0] = address("0.0.0.0");
	c->vip_count = 1;
	assert_int_equal(ts_parse("dynamic", &c->children[0].local_ts->ts[0]), 0);
}

/* The gateway of this configuration assigns those from 10.1.0.1 on. */
static void offer(struct conn_conf *c, const char *last)
{
	c->pools = xzalloc(sizeof(*c->pools));
	c->pool_count = 1;
	c->pools[0].name = xstrdup("road");
	c->pools[0].lo = address("10.1.0.1");
	c->pools[0].hi = address(last);
	c->pools[0].with.dns[c->pools[0].with.dns_count++] = address("10.2.0.53");
	assert_int_equal(ts_parse("dynamic", &c->children[0].remote_ts->ts[0]), 0);
}

static struct net *new_net(const struct options *o, const char *last)
{
	struct net *n = net_new(o);

	ask(n->peer[BRANCH].conf);
	offer(n->peer[GW].conf, last);
	return n;
}

static struct options quiet(void)
{
	struct options o = options_default();

	o.start = START_NONE;
	o.dpd = 5 * SEC;
	return o;
}

static struct net *up(const struct options *o, const char *last)
{
	struct net *n = new_net(o, last);

	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_until(n, net_is_up, 10 * SEC, "up");
	net_run(n, SEC / 10);
	return n;
}

static void has_address(struct net *n, const char *s)
{
	struct addr a = address(s);

	assert_int_equal(n->peer[BRANCH].addresses, 1);
	assert_true(addr_eq(&n->peer[BRANCH].address_given, &a));
	assert_true(addr_eq(&peer_child(n, BRANCH, 0)->current->policy.local->ts[0].lo, &a));
	if (!n->o.gw_any) /* then it has a connection for each that came */
		assert_true(addr_eq(&peer_child(n, GW, 0)->current->policy.remote->ts[0].hi, &a));
}

/* The address and its DNS server are told, kept over rekeys, and withdrawn at the end. */
static void assigned_kept_and_withdrawn(void **state)
{
	struct options o = quiet();
	struct net *n = up(&o, "10.1.0.9");

	(void)state;
	has_address(n, "10.1.0.1");
	assert_int_equal(n->peer[BRANCH].dns, 1);
	net_traffic(n, 0);
	for (unsigned side = 0; side < 2; side++) {
		ike_sa_rekey(peer_conn(n, side)->sa, n->now);
		net_run(n, SEC);
		tunnel_child_rekey(peer_child(n, side, 0), n->now);
		net_run(n, SEC);
		has_address(n, "10.1.0.1");
		net_traffic(n, 0);
	}
	/* Connected again at once: the same address, as the identity is the same. */
	ike_sa_delete(peer_conn(n, GW)->sa, n->now);
	net_run(n, SEC / 10);
	assert_int_equal(n->peer[BRANCH].addresses, 0);
	net_until(n, net_is_up, 10 * SEC, "up again");
	net_run(n, SEC);
	has_address(n, "10.1.0.1");
	net_traffic(n, 0);
	tunnel_child_down(peer_child(n, BRANCH, 0), n->now);
	ike_sa_delete(peer_conn(n, BRANCH)->sa, n->now);
	net_run(n, SEC);
	assert_int_equal(n->peer[BRANCH].addresses, 0);
	net_free(n);
}

/* Either side connects anew, without having told the other: the identity keeps its address. */
static void same_address_beside_the_old_sa(void **state)
{
	struct options o = quiet();
	struct net *n = up(&o, "10.1.0.9");

	(void)state;
	n->cut[BRANCH] = true;
	ike_sa_drop(peer_conn(n, BRANCH)->sa, "lost", n->now);
	n->cut[BRANCH] = false;
	net_until(n, net_is_up, 10 * SEC, "up again");
	net_run(n, SEC);
	has_address(n, "10.1.0.1");
	net_traffic(n, 0);
	net_free(n);
}

static void set_name(struct net *n, const char *name)
{
	assert_int_equal(ident_parse(name, &n->peer[BRANCH].conf->local_id), 0);
}

/* The branch is lost to the gateway, and another identity calls from there. */
static void another_calls(struct net *n, const char *name)
{
	n->cut[BRANCH] = true;
	ike_sa_drop(peer_conn(n, BRANCH)->sa, "lost", n->now);
	n->cut[BRANCH] = false;
	set_name(n, name);
	net_run(n, 5 * SEC);
}

/* An address that one identity has goes to no other; with none left, there is no child. */
static void no_address_for_two(void **state)
{
	struct options o = quiet();
	struct net *n;

	(void)state;
	o.gw_any = true;
	o.gw_dpd = 30 * SEC;
	n = up(&o, "10.1.0.2");
	has_address(n, "10.1.0.1");
	another_calls(n, "second.example");
	has_address(n, "10.1.0.2");
	/* The same one in other letters takes no second address. */
	another_calls(n, "SECOND.example");
	has_address(n, "10.1.0.2");
	another_calls(n, "third.example");
	assert_null(peer_child(n, BRANCH, 0)->current);
	assert_true(net_logged(n, "INTERNAL_ADDRESS_FAILURE"));
	assert_int_equal(n->peer[BRANCH].addresses, 0);
	/* The gateway gives up the first two as silent: their addresses are free then. */
	net_run(n, 200 * SEC);
	another_calls(n, "fourth.example");
	assert_non_null(peer_child(n, BRANCH, 0)->current);
	assert_int_equal(n->peer[BRANCH].addresses, 1);
	net_free(n);
}

/* Each message of the begin is lost, doubled and late. */
struct watch {
	unsigned count, hit;
	enum { LOSE, DOUBLE, LATE } how;
};

static bool watch_hook(struct net *n, unsigned from, struct datagram *d)
{
	struct watch *w = n->hook_ctx;

	n->o.delay = MSEC;
	if (d->esp || ++w->count != w->hit)
		return true;
	if (w->how == LATE)
		n->o.delay = 3 * SEC;
	if (w->how == DOUBLE)
		net_inject(n, !from, false, d->p, d->len);
	return w->how != LOSE;
}

static void each_message_is_hit(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3 * 4; i++) {
		struct options o = quiet();
		struct watch w = {.hit = i / 3 + 1, .how = i % 3};
		struct net *n;

		o.seed = i + 1;
		n = new_net(&o, "10.1.0.9");
		n->hook = watch_hook;
		n->hook_ctx = &w;
		tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
		net_run(n, 40 * SEC);
		assert_true(net_agrees(n));
		has_address(n, "10.1.0.1");
		net_traffic(n, 0);
		net_free(n);
	}
}

static void new_conf(struct net *n, unsigned side)
{
	/* peer_load reads the configuration anew: as at the beginning. */
	if (side == BRANCH)
		ask(n->peer[BRANCH].conf);
	else
		offer(n->peer[GW].conf, "10.1.0.9");
}

/* The gateway keeps what it assigned over a restart of its own, and so does the branch. */
static void kept_over_a_restart(void **state)
{
	struct options o = quiet();
	struct net *n = up(&o, "10.1.0.9");

	(void)state;
	n->conf_made = new_conf;
	for (unsigned side = 0; side < 2; side++) {
		assert_int_equal(peer_restart(n, side), 1);
		has_address(n, "10.1.0.1");
		net_traffic(n, 0);
		ike_sa_rekey(peer_conn(n, side)->sa, n->now);
		net_run(n, SEC);
		has_address(n, "10.1.0.1");
	}
	/* Both new processes know what they have: another connection gets the same. */
	ike_sa_delete(peer_conn(n, GW)->sa, n->now);
	net_run(n, 10 * SEC);
	has_address(n, "10.1.0.1");
	net_free(n);
}

/* Rung 3 makes an IKE SA beside the old one: the same address, and no moment without. */
static void rung_3_keeps_it(void **state)
{
	struct options o = quiet();
	struct net *n = up(&o, "10.1.0.9");

	(void)state;
	n->rate[GW] = 300;
	net_run(n, 2 * SEC);
	gw_rewind(n, 0, 300, false);
	n->cut_ike[GW] = n->now + 6 * SEC;
	net_run(n, 60 * SEC);
	n->rate[GW] = 0;
	net_run(n, SEC);
	assert_true(net_agrees(n));
	assert_int_equal(peer_confirmed(n, BRANCH), 0);
	has_address(n, "10.1.0.1");
	net_traffic(n, 0);
	net_free(n);
}

/* What was not asked for changes nothing: here the branch does not ask any more when it comes. */
static void unwanted_reply(void **state)
{
	struct options o = quiet();
	struct net *n = new_net(&o, "10.1.0.9");

	(void)state;
	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_run(n, 2 * MSEC + MSEC / 2); /* IKE_AUTH is out */
	n->peer[BRANCH].conf->vip_count = 0;
	net_run(n, SEC);
	assert_int_equal(n->peer[BRANCH].addresses, 0);
	assert_null(ike_sa_config(peer_conn(n, BRANCH)->sa));
	n->peer[BRANCH].conf->vip_count = 1;
	net_free(n);
}

/* A gateway without pools ignores the request; the branch, which needs an address, has no child. */
static void nothing_is_assigned(void **state)
{
	struct options o = quiet();
	struct net *n = net_new(&o);

	(void)state;
	ask(n->peer[BRANCH].conf);
	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_run(n, 3 * SEC);
	assert_null(peer_child(n, BRANCH, 0)->current);
	assert_int_equal(n->peer[BRANCH].addresses, 0);
	assert_int_equal(peer_ike_sas(n, BRANCH), 1);
	assert_int_equal(peer_child_sas(n, GW), 0);
	/* It asks again, on another IKE SA, and not more often than every 10 s. */
	offer(n->peer[GW].conf, "10.1.0.9");
	net_run(n, 15 * SEC);
	assert_int_equal(n->peer[BRANCH].addresses, 1);
	net_free(n);
}

/* Without vips and pools, "dynamic" is the IKE SA's own address, on either side. */
static void dynamic_is_the_outer_address(void **state)
{
	struct options o = quiet();
	struct net *n = net_new(&o);
	struct ts_list *l;

	(void)state;
	assert_int_equal(
		ts_parse("dynamic[47]", &n->peer[BRANCH].conf->children[0].local_ts->ts[0]), 0);
	assert_int_equal(ts_parse("dynamic", &n->peer[GW].conf->children[0].remote_ts->ts[0]), 0);
	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_until(n, net_is_up, 5 * SEC, "up");
	l = peer_child(n, GW, 0)->current->remote;
	assert_int_equal(l->count, 1);
	assert_true(addr_eq(&l->ts[0].lo, &n->peer[BRANCH].address.addr));
	assert_int_equal(l->ts[0].proto, 47);
	net_free(n);
}

/* Two CHILD SAs of one child, whose "dynamic" side is the same, are not one too many. */
static void two_sas_of_a_dynamic_child_stay(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.wide = true;
	o.children = 2;
	n = net_new(&o);
	assert_int_equal(ts_parse("dynamic", &n->peer[BRANCH].conf->children[0].remote_ts->ts[0]),
			 0);
	for (unsigned c = 0; c < 2; c++) {
		struct child_conf *k = &n->peer[GW].conf->children[c];

		assert_int_equal(ts_parse(c ? "dynamic[udp]" : "dynamic[tcp]", &k->local_ts->ts[0]),
				 0);
		assert_int_equal(ts_parse("10.1.0.0/24", &k->remote_ts->ts[0]), 0);
	}
	net_run(n, 60 * SEC);
	assert_int_equal(peer_child_sas(n, BRANCH), 2);
	assert_int_equal(peer_child_sas(n, GW), 2);
	assert_int_equal(peer_tidied(n, BRANCH) + peer_tidied(n, GW), 0);
	net_free(n);
}

/* The DELETE of the old SA arrives before the answer to its rekey, which is taken all the same. */
static void overtaken_rekey(void **state)
{
	struct options o = quiet();
	struct net *n = up(&o, "10.1.0.9");
	const struct ike_fate late = {.from = GW,
				      .exchange = IKE_CREATE_CHILD_SA,
				      .response = true,
				      .count = 1,
				      .copies = 1,
				      .later = 200 * MSEC};
	struct child_sa *old = peer_child(n, GW, 0)->current->ike;

	(void)state;
	n->fate[0] = late;
	tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
	net_run(n, 50 * MSEC);
	ike_child_delete(old, n->now);
	net_run(n, SEC);
	assert_true(
		net_logged(n, "CHILD SA down: SPI in 16b00000 out cd600000: deleted by the peer"));
	assert_false(net_logged(n, "does not match our offer"));
	assert_true(net_logged(n, "CHILD SA up: SPI in 16c00001 out cd700001"));
	assert_true(net_agrees(n));
	has_address(n, "10.1.0.1");
	net_traffic(n, 0);
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(assigned_kept_and_withdrawn),
		cmocka_unit_test(same_address_beside_the_old_sa),
		cmocka_unit_test(no_address_for_two),
		cmocka_unit_test(each_message_is_hit),
		cmocka_unit_test(kept_over_a_restart),
		cmocka_unit_test(rung_3_keeps_it),
		cmocka_unit_test(unwanted_reply),
		cmocka_unit_test(nothing_is_assigned),
		cmocka_unit_test(dynamic_is_the_outer_address),
		cmocka_unit_test(two_sas_of_a_dynamic_child_stay),
		cmocka_unit_test(overtaken_rekey),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
