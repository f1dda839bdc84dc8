/*
 * t_outer.c - what is outside the tunnel between two whole peers: families, ports, and ESP with UDP
 * or without. SPDX-License-Identifier: ISC
 */
#include "peers.h"
#include "task/exchanges.h"

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
	net_traffic(n, 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(ike_sa_remote(peer_conn(n, i)->sa)->addr.family, FAMILY_IPV6);
		tunnel_child_rekey(peer_child(n, i, 0), n->now);
		net_run(n, SEC);
		assert_int_equal(peer_child(n, i, 0)->rekeys, 1 + i);
		ike_sa_rekey(peer_conn(n, i)->sa, n->now);
		net_run(n, SEC);
		net_traffic(n, 0);
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
		net_traffic(n, 0);
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
	net_traffic(n, 0);
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

/* ---- ESP without UDP ---- */

/* How the branch's packets came, as the hook below has counted them. */
static struct {
	unsigned raw, udp;
	bool nat;     /* the branch is behind one */
	bool mixed;   /* every second raw packet is put into UDP on the way */
	unsigned all; /* raw packets with `mixed` */
} esp;

static bool note_esp(struct net *n, unsigned from, struct datagram *d)
{
	(void)n;
	if (d->esp) {
		esp.raw += d->from.port == 0 && d->dest.port == 0;
		esp.udp += d->from.port == IKE_PORT_NATT && d->dest.port != 0;
	}
	if (d->esp && esp.mixed && esp.all++ % 2)
		d->from.port = d->dest.port = IKE_PORT_NATT;
	if (from == BRANCH && esp.nat) {
		d->from.addr.b[3] = 77;
		d->from.port = (uint16_t)(d->from.port ? d->from.port + 20000 : 0);
	}
	return true;
}

/* Two peers with these modes; only_udp: the branch cannot do without. */
static struct net *with_encap(enum encap branch, enum encap gw, bool only_udp)
{
	struct options o = options_default();
	struct net *n;

	o.start = START_NONE;
	n = net_new(&o);
	conf_of(n, BRANCH)->encap = branch;
	conf_of(n, GW)->encap = gw;
	n->hook = note_esp;
	if (only_udp)
		tunnel_only_udp(n->peer[BRANCH].tunnel);
	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_run(n, SEC);
	return n;
}

static bool has_sa(struct net *n)
{
	return peer_child(n, BRANCH, 0)->current && peer_child(n, GW, 0)->current;
}

/* All combinations, with a NAT and without: who is heard how, and where there is no CHILD SA. */
static void every_mode_with_every_mode(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 36; i++) {
		enum encap branch = i % 3, gw = i / 3 % 3;
		bool only_udp = i / 18, in_udp, refused;
		struct net *n;

		memset(&esp, 0, sizeof(esp));
		esp.nat = i / 9 % 2;
		in_udp = esp.nat || branch == ENCAP_YES || gw == ENCAP_YES ||
			 (branch == ENCAP_AUTO && only_udp);
		refused = ((branch == ENCAP_NO || gw == ENCAP_NO) && in_udp) ||
			  (branch == ENCAP_NO && only_udp);
		n = with_encap(branch, gw, only_udp);
		if (has_sa(n) == refused)
			fail_msg("case %u: %s", i, refused ? "not refused" : "refused");
		if (!refused) {
			assert_int_equal(ike_sa_in_udp(peer_conn(n, BRANCH)->sa), in_udp);
			assert_int_equal(ike_sa_in_udp(peer_conn(n, GW)->sa), in_udp);
			net_traffic(n, 0);
			assert_true(in_udp ? esp.raw == 0 : esp.udp == 0);
			assert_true(esp.raw + esp.udp >= 2 || esp.nat);
			/* With MOBIKE a NAT may come later, unless that is not allowed. */
			assert_int_equal(ike_sa_local(peer_conn(n, BRANCH)->sa)->port,
					 in_udp || branch == ENCAP_AUTO ? IKE_PORT_NATT : IKE_PORT);
		}
		net_free(n);
	}
}

/* Rekeys of either SA, and a restart, leave ESP as it is. */
static void rekeys_keep_the_form(void **state)
{
	static const enum encap modes[][2] = {
		{ENCAP_YES, ENCAP_YES},
		{ENCAP_YES, ENCAP_AUTO}, /* one side alone claims a NAT */
		{ENCAP_AUTO, ENCAP_YES},
		{ENCAP_AUTO, ENCAP_AUTO},
		{ENCAP_NO, ENCAP_NO}};

	(void)state;
	for (unsigned m = 0; m < ARRAY_SIZE(modes); m++) {
		bool udp = modes[m][0] == ENCAP_YES || modes[m][1] == ENCAP_YES;
		struct net *n;

		memset(&esp, 0, sizeof(esp));
		n = with_encap(modes[m][0], modes[m][1], false);
		for (unsigned i = 0; i < 2; i++) {
			ike_sa_rekey(peer_conn(n, i)->sa, n->now);
			net_run(n, SEC);
			net_traffic(n, 0);
			tunnel_child_rekey(peer_child(n, i, 0), n->now);
			net_run(n, SEC);
			net_traffic(n, 0);
		}
		net_run(n, 10 * SEC);
		assert_int_equal(peer_restart(n, BRANCH), 1);
		net_traffic(n, 0);
		tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
		net_run(n, SEC);
		net_traffic(n, 0);
		assert_true(udp ? esp.raw == 0 : esp.udp == 0);
		net_free(n);
	}
}

/* That we claim a NAT, and so want ESP in UDP, is known after a restart too. */
static void a_claim_outlives_a_restart(void **state)
{
	struct net *n;

	(void)state;
	memset(&esp, 0, sizeof(esp));
	n = with_encap(ENCAP_YES, ENCAP_AUTO, false);
	assert_int_equal(peer_restart(n, BRANCH), 1);
	net_traffic(n, 0);
	tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
	net_run(n, SEC);
	net_traffic(n, 0);
	assert_int_equal(esp.raw, 0);
	net_free(n);
}

/* A peer that stays on port 500 although ESP is in UDP is sent ESP on port 4500: 500 takes none. */
static void esp_never_goes_to_port_500(void **state)
{
	struct net *n = with_encap(ENCAP_NO, ENCAP_AUTO, false);
	struct ike_sa *sa = peer_conn(n, BRANCH)->sa;
	struct endpoint local, remote;

	(void)state;
	assert_int_equal(sa->remote.port, IKE_PORT);
	sa->claims_nat = true;
	ike_sa_esp_ends(sa, &local, &remote);
	assert_int_equal(local.port, IKE_PORT_NATT);
	assert_int_equal(remote.port, IKE_PORT_NATT);
	net_free(n);
}

/* What comes in UDP is taken on an SA without it (2.23), but the peer stays where it is. */
static void both_forms_are_taken(void **state)
{
	struct net *n;

	(void)state;
	memset(&esp, 0, sizeof(esp));
	n = with_encap(ENCAP_AUTO, ENCAP_AUTO, false);
	esp.mixed = true;
	for (unsigned i = 0; i < 10; i++)
		net_traffic(n, 0);
	for (unsigned i = 0; i < 2; i++) {
		const struct tunnel_sa *s = peer_child(n, i, 0)->current;

		assert_int_equal(tunnel_sa_esp(s)->out.dest.remote.port, 0);
		assert_int_equal(ike_sa_remote(peer_conn(n, i)->sa)->port, IKE_PORT_NATT);
	}
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv6_outside),
		cmocka_unit_test(addresses_of_both_families),
		cmocka_unit_test(ports_by_default),
		cmocka_unit_test(ports_of_the_connection),
		cmocka_unit_test(every_mode_with_every_mode),
		cmocka_unit_test(rekeys_keep_the_form),
		cmocka_unit_test(a_claim_outlives_a_restart),
		cmocka_unit_test(esp_never_goes_to_port_500),
		cmocka_unit_test(both_forms_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
