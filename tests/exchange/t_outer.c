/*
 * t_outer.c - what is outside the tunnel between two whole peers: families, ports.
 * SPDX-License-Identifier: ISC
 */
#include "peers.h"
#include "task/exchanges.h"

static void traffic(struct net *n)
{
	uint64_t b = n->peer[BRANCH].delivered, g = n->peer[GW].delivered;

	net_packet(n, BRANCH, 0);
	net_packet(n, GW, 0);
	net_run(n, SEC);
	assert_int_equal(n->peer[BRANCH].delivered, b + 1);
	assert_int_equal(n->peer[GW].delivered, g + 1);
}

/* What the hook has seen. */
static struct {
	unsigned count;
	uint16_t from_lo, from_hi, to_lo, to_hi; /* ports */
} seen;

static void note(uint16_t *lo, uint16_t *hi, uint16_t port)
{
	*lo = seen.count == 0 || port < *lo ? port : *lo;
	*hi = port > *hi ? port : *hi;
}

static bool note_ports(struct net *n, unsigned from, struct datagram *d)
{
	(void)n;
	if (from != BRANCH)
		return true;
	note(&seen.from_lo, &seen.from_hi, d->from.port);
	note(&seen.to_lo, &seen.to_hi, d->dest.port);
	seen.count++;
	return true;
}

static struct conn_conf *conf_of(struct net *n, unsigned i)
{
	return n->peer[i].conf;
}

/* ---- families ---- */

/* Everything that IPv4 has outside works with IPv6: call, rekeys, traffic, DELETE. */
static void ipv6_outside(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.six = true;
	n = net_up(&o);
	traffic(n);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(ike_sa_remote(peer_conn(n, i)->sa)->addr.family, FAMILY_IPV6);
		tunnel_child_rekey(peer_child(n, i, 0), n->now);
		net_run(n, SEC);
		assert_int_equal(peer_child(n, i, 0)->rekeys, 1 + i);
		ike_sa_rekey(peer_conn(n, i)->sa, n->now);
		net_run(n, SEC);
		traffic(n);
	}
	tunnel_child_down(peer_child(n, BRANCH, 0), n->now);
	net_run(n, SEC);
	assert_null(peer_child(n, GW, 0)->current);
	net_free(n);
}

/* Of local_addrs the address of the family that the peer's has is called from, whatever comes
 * first. */
static void addresses_of_both_families(void **state)
{
	(void)state;
	for (unsigned six = 0; six < 2; six++) {
		struct options o = options_default();
		struct conn_conf *c;
		struct net *n;

		o.six = six;
		o.start = START_NONE;
		n = net_new(&o);
		c = conf_of(n, BRANCH);
		c->local_count = 2;
		for (unsigned i = 0; i < 2; i++) {
			c->local[i].port = IKE_PORT;
			assert_int_equal(addr_parse(i == six ? "2001:db8:1::10" : "192.0.2.10",
						    &c->local[i].addr),
					 0);
		}
		tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
		assert_true(addr_eq(&ike_sa_local(peer_conn(n, BRANCH)->sa)->addr,
				    &n->peer[BRANCH].address.addr));
		net_run(n, SEC);
		traffic(n);
		net_free(n);
	}
}

/* ---- ports ---- */

/* By default IKE begins on port 500 and changes to 4500. */
static void ports_by_default(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.start = START_NONE;
	memset(&seen, 0, sizeof(seen));
	n = net_new(&o);
	n->hook = note_ports;
	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_run(n, SEC);
	traffic(n);
	assert_int_equal(seen.from_lo, IKE_PORT);
	assert_int_equal(seen.to_lo, IKE_PORT);
	assert_int_equal(seen.from_hi, IKE_PORT_NATT);
	assert_int_equal(seen.to_hi, IKE_PORT_NATT);
	net_free(n);
}

/* A connection with ports of its own begins on them, stays on them, and is called back on them. */
static void ports_of_the_connection(void **state)
{
	static const uint16_t ports[][2] = {{4500, 4500}, {4500, 14500}, {15500, 4500}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		struct options o = options_default();
		struct conn_conf *c;
		struct net *n;

		o.start = START_NONE;
		memset(&seen, 0, sizeof(seen));
		n = net_new(&o);
		c = conf_of(n, BRANCH);
		c->local_port = ports[i][0];
		c->remote_port = c->remote[0].port = ports[i][1];
		n->hook = note_ports;
		tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
		net_run(n, SEC);
		assert_true(seen.count >= 2);
		assert_int_equal(seen.from_lo, ports[i][0]);
		assert_int_equal(seen.from_hi, ports[i][0]);
		assert_int_equal(seen.to_lo, ports[i][1]);
		assert_int_equal(seen.to_hi, ports[i][1]);
		assert_int_equal(ike_sa_remote(peer_conn(n, GW)->sa)->port, ports[i][0]);
		net_free(n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv6_outside),
		cmocka_unit_test(addresses_of_both_families),
		cmocka_unit_test(ports_by_default),
		cmocka_unit_test(ports_of_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
