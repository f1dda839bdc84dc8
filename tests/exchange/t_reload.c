/*
 * t_reload.c - reloads, host names of the peer, and routes for peers that have not come yet.
 * SPDX-License-Identifier: ISC
 */
#include "peers.h"
#include "xalloc.h"

/*
 * A reload without changes brings a new copy of the configuration: the SAs stay, and no packet is
 * lost, also in later rekeys.
 */
static void reload_keeps_what_is_up(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct options o = options_default();
		struct net *n = net_up(&o);
		const struct tunnel_sa *before = peer_child(n, i, 0)->current;
		const struct conn_conf *again = peer_conf(n, i);

		n->rate[BRANCH] = n->rate[GW] = 100;
		net_run(n, SEC);
		peer_configure(n, i, again, always_same);
		conn_unref(again);
		net_run(n, SEC);
		assert_ptr_equal(peer_child(n, i, 0)->current, before);
		assert_int_equal(peer_ike_sas(n, BRANCH), 1);
		ike_sa_rekey(peer_conn(n, !i)->sa, n->now);
		tunnel_child_rekey(peer_child(n, !i, 0), n->now);
		net_run(n, 10 * SEC);
		assert_true(net_is_up(n));
		assert_int_equal(net_lost(n, BRANCH, 0) + net_lost(n, GW, 0), 0);
		net_free(n);
	}
}

/* ---- host names ---- */

/* A network whose branch knows the gateway by a host name that it has not resolved yet. */
/* All addresses are of the first name. */
static const uint8_t first[CONN_MAX_ADDRS];

static struct net *named(struct conn_conf **ret_conf)
{
	struct options o = options_default();
	struct net *n;
	struct conn_conf *c;

	o.start = START_NONE;
	n = net_new(&o);
	c = peer_conf(n, BRANCH);
	c->remote_count = 0;
	c->names = xzalloc(sizeof(*c->names));
	c->names->name[c->names->count++] = xstrdup("gw.example.net");
	c->children[0].start_action = START_START;
	peer_configure(n, BRANCH, c, NULL);
	*ret_conf = c;
	return n;
}

/* The branch initiates as soon as the name is resolved, and not before. */
static void name_is_resolved(void **state)
{
	struct conn_conf *c;
	struct net *n = named(&c);
	struct endpoint two[2] = {n->peer[GW].address, n->peer[GW].address};

	(void)state;
	net_run(n, 60 * SEC);
	assert_int_equal(n->peer[BRANCH].ike_sent, 0);
	assert_int_equal(addr_parse("192.0.2.99", &two[1].addr), 0);
	tunnel_resolved(n->peer[BRANCH].tunnel, c, two, first, 2, n->now);
	net_run(n, SEC);
	assert_true(net_is_up(n));
	/* The first of its addresses was called. */
	assert_true(addr_eq(&ike_sa_remote(peer_conn(n, BRANCH)->sa)->addr, &two[0].addr));
	conn_unref(c);
	net_free(n);
}

/* At any other address nobody answers. */
static bool only_the_gateway(struct net *n, unsigned from, struct datagram *d)
{
	return from == GW || addr_eq(&d->dest.addr, &n->peer[GW].address.addr);
}

/*
 * The name leads to an address where nobody answers. When it leads to the gateway, the attempt
 * under way ends, and the next one begins at once.
 */
static void name_leads_to_another_address(void **state)
{
	struct conn_conf *c;
	struct net *n = named(&c);
	struct endpoint old = n->peer[GW].address;

	(void)state;
	assert_int_equal(addr_parse("192.0.2.99", &old.addr), 0);
	n->hook = only_the_gateway;
	tunnel_resolved(n->peer[BRANCH].tunnel, c, &old, first, 1, n->now);
	net_run(n, SEC);
	assert_true(addr_eq(&ike_sa_remote(peer_conn(n, BRANCH)->sa)->addr, &old.addr));
	tunnel_resolved(n->peer[BRANCH].tunnel, c, &n->peer[GW].address, first, 1, n->now);
	net_run(n, SEC);
	assert_true(net_is_up(n));
	conn_unref(c);
	net_free(n);
}

/* Addresses of the file come first, then as many of the resolved ones as there is room for. */
static void addresses_are_limited(void **state)
{
	struct conn_conf c = {.remote_count = 2};
	struct peer_names names = {0};
	struct endpoint found[CONN_MAX_ADDRS];
	static const uint8_t name_of[CONN_MAX_ADDRS] = {0, 0, 1};

	(void)state;
	c.names = &names;
	for (unsigned i = 0; i < CONN_MAX_ADDRS; i++)
		found[i] = (struct endpoint){.port = (uint16_t)(100 + i)};
	c.remote[1].port = 7;
	conn_resolved(&c, found, name_of, CONN_MAX_ADDRS);
	assert_int_equal(conn_remote_count(&c), CONN_MAX_ADDRS);
	assert_int_equal(conn_remote(&c, 1)->port, 7);
	assert_int_equal(conn_remote(&c, 2)->port, 100);
	/* Those of one name are one preference, behind all addresses of the file. */
	assert_int_equal(conn_remote_preference(&c, 1), 1);
	assert_int_equal(conn_remote_preference(&c, 2), 2);
	assert_int_equal(conn_remote_preference(&c, 3), 2);
	assert_int_equal(conn_remote_preference(&c, 4), 3);
	assert_int_equal(conn_remote(&c, CONN_MAX_ADDRS - 1)->port, 100 + CONN_MAX_ADDRS - 3);
	conn_resolved(&c, found, first, 1);
	assert_int_equal(conn_remote_count(&c), 3);
}

/* ---- routes ---- */

static void gateway_holds(struct net *n, enum start_action action)
{
	struct conn_conf *c = peer_conf(n, GW);

	c->children[0].start_action = action;
	peer_configure(n, GW, c, NULL);
	conn_unref(c);
}

/*
 * The gateway answers any peer that fits a pattern. With start_action = "trap" the route of the
 * child is there before a peer has come, so that nothing leaves in clear, and after it has gone; a
 * reload without start_action takes the route away.
 */
static void route_is_held(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.gw_any = true;
	o.start = START_NONE;
	n = net_new(&o);
	assert_int_equal(n->peer[GW].routes, 0);
	gateway_holds(n, START_TRAP);
	assert_int_equal(n->peer[GW].routes, 1);
	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_until(n, net_is_up, 20 * SEC, "the peer comes");
	assert_true(n->peer[GW].routes > 1);
	gateway_holds(n, START_TRAP);
	assert_int_equal(n->peer[GW].routes, 1);
	gateway_holds(n, START_NONE);
	assert_int_equal(n->peer[GW].routes, 0);
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reload_keeps_what_is_up),
		cmocka_unit_test(name_is_resolved),
		cmocka_unit_test(name_leads_to_another_address),
		cmocka_unit_test(addresses_are_limited),
		cmocka_unit_test(route_is_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
