/*
 * t_mobike.c - SAs that move with the addresses of their peers (RFC 4555).
 * SPDX-License-Identifier: ISC
 */
#include "peers.h"
#include "xalloc.h"

#include "sa/paths.h"
#include "task/exchanges.h"

#define RATE 100 /* packets per second, each way */

/* Datagrams arrive only where the other side is now. */
static bool where_it_is(struct net *n, unsigned from, struct datagram *d)
{
	const struct peer *to = &n->peer[!from];

	return addr_eq(&d->dest.addr, to->seen_as.port ? &to->seen_as.addr : &to->address.addr);
}

static struct addr an_address(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static struct addr present; /* of the branch, for is_present */

static bool is_present(const struct addr *a)
{
	return addr_eq(a, &present);
}

/* The branch has this address from now on, and no other. */
static void move_to(struct net *n, const char *text)
{
	present = n->peer[BRANCH].address.addr = an_address(text);
	tunnel_host_changed(n->peer[BRANCH].tunnel, is_present, n->now);
}

static struct ike_sa *ike_of(struct net *n, unsigned i)
{
	return peer_conn(n, i)->sa;
}

/* Our SPI of the branch's CHILD SA. */
static uint32_t child_spi(struct net *n)
{
	return child_sa_spi_in(peer_child(n, BRANCH, 0)->current->ike);
}

/* Whether the peer has the IKE SA with this SPI of the initiator. */
static bool has_sa(struct net *n, unsigned i, uint64_t spi)
{
	struct ike_sa *sa = ike_first_sa(n->peer[i].tunnel->ike);

	while (sa && ike_sa_spi_i(sa) != spi)
		sa = ike_next_sa(sa);
	return sa != NULL;
}

static struct options plain(void)
{
	struct options o = options_default();

	o.gw_dpd = NSEC_NEVER;
	return o;
}

static struct net *up(const struct options *o)
{
	struct net *n = net_up(o);

	n->hook = where_it_is;
	n->rate[BRANCH] = n->rate[GW] = RATE;
	net_run(n, SEC);
	return n;
}

/* Both sides use the branch's present address, for IKE and for ESP. */
static bool has_moved(struct net *n)
{
	const struct addr *a = &n->peer[BRANCH].address.addr;

	return ike_of(n, GW) && ike_of(n, BRANCH) && !ike_sa_is_moving(ike_of(n, BRANCH)) &&
	       addr_eq(&ike_of(n, GW)->remote.addr, a) && peer_sa(n, GW, 0) &&
	       addr_eq(&peer_sa(n, GW, 0)->out.dest.remote.addr, a) &&
	       addr_eq(&ike_of(n, BRANCH)->local.addr, a);
}

/* The IKE SA and the CHILD SA are these, as before the move. */
static void same_sas(struct net *n, uint64_t spi, uint32_t child)
{
	assert_true(has_moved(n));
	assert_int_equal(ike_of(n, BRANCH)->spi_i, spi);
	assert_int_equal(child_spi(n), child);
	assert_true(net_agrees(n));
}

/*
 * The branch gets another address: the SAs stay, and what is lost is what was on its way to the old
 * one, a few round trips of 2 ms.
 */
static void branch_moves(void **state)
{
	struct options o = plain();
	struct net *n = up(&o);
	uint64_t spi = ike_of(n, BRANCH)->spi_i;
	uint32_t child = child_spi(n);

	(void)state;
	move_to(n, "192.0.2.77");
	net_run(n, SEC);
	same_sas(n, spi, child);
	assert_int_equal(n->peer[BRANCH].path_lost, 0);
	assert_in_range(n->peer[GW].path_lost, 0, 2);
	/* The tunnel is mended as before. */
	gw_rewind(n, 0, 50, false);
	net_run(n, 5 * SEC);
	assert_int_equal(peer_recoveries(n, BRANCH), 1);
	assert_int_equal(net_lost(n, GW, 0), 0);
	net_free(n);
}

static unsigned cut_at, cut_from; /* the IKE message of this peer after the move that is changed */
static enum { LOSE, DOUBLE, DELAY } how;

static bool one_changed(struct net *n, unsigned from, struct datagram *d)
{
	if (!where_it_is(n, from, d))
		return false;
	if (d->esp || d->len < IKE_HEADER_LEN || from != cut_from || cut_at == 0 || --cut_at)
		return true;
	if (how == DOUBLE)
		net_inject(n, !from, false, d->p, d->len);
	n->cut_ike[from] = how == DELAY ? n->now + 300 * MSEC : 0;
	return how == DOUBLE;
}

/* Each message of the move, and of the check that follows, is lost, doubled, or held up. */
static void each_message_is_disturbed(void **state)
{
	(void)state;
	for (unsigned from = 0; from < 2; from++) {
		for (unsigned at = 1; at <= 2; at++) {
			for (how = LOSE; how <= DELAY; how++) {
				struct options o = plain();
				struct net *n = up(&o);
				uint64_t spi = ike_of(n, BRANCH)->spi_i;
				uint32_t child = child_spi(n);

				ike_of(n, GW)->peer_natted = false;
				cut_from = from;
				cut_at = at;
				n->hook = one_changed;
				move_to(n, "192.0.2.77");
				net_run(n, 3 * SEC);
				same_sas(n, spi, child);
				assert_in_range(n->peer[GW].path_lost, 0, RATE);
				net_free(n);
			}
		}
	}
}

static void moves_again_before_the_answer(void **state)
{
	struct options o = plain();
	struct net *n = up(&o);
	uint64_t spi = ike_of(n, BRANCH)->spi_i;
	uint32_t child = child_spi(n);

	(void)state;
	move_to(n, "192.0.2.77");
	net_run(n, MSEC / 2); /* the request is on its way */
	move_to(n, "192.0.2.78");
	net_run(n, 3 * SEC);
	same_sas(n, spi, child);
	net_free(n);
}

/* One side without MOBIKE, by its configuration: a new IKE SA takes over, as before. */
static void one_side_has_none(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct options o = plain();
		struct net *n;
		struct conn_conf *c;
		uint64_t spi;

		o.start = START_NONE;
		n = net_new(&o);
		c = peer_conf(n, i);
		c->mobike = false;
		c->children[0].start_action = i == BRANCH ? START_START : START_NONE;
		peer_configure(n, i, c, NULL);
		tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
		net_until(n, net_is_up, 20 * SEC, "up");
		n->hook = where_it_is;
		spi = ike_of(n, BRANCH)->spi_i;
		assert_false(ike_sa_has_mobike(ike_of(n, BRANCH)));
		move_to(n, "192.0.2.77");
		net_run(n, 5 * SEC);
		assert_true(has_moved(n) && net_is_up(n));
		assert_int_not_equal(ike_of(n, BRANCH)->spi_i, spi);
		conn_unref(c);
		net_free(n);
	}
}

/* Of the branch's messages, INFORMATIONAL ones are lost. */
static bool no_information(struct net *n, unsigned from, struct datagram *d)
{
	return where_it_is(n, from, d) &&
	       (from == GW || d->esp || d->len < IKE_HEADER_LEN || d->p[18] != IKE_INFORMATIONAL);
}

/*
 * The peer does not hear us at the new address: after 1.5 s a new IKE SA is made beside. If it
 * hears us after all before that has come, the old one stays.
 */
static void peer_does_not_follow(void **state)
{
	struct options o = plain();
	struct net *n = up(&o);
	uint64_t spi = ike_of(n, BRANCH)->spi_i;

	(void)state;
	n->hook = no_information;
	move_to(n, "192.0.2.77");
	net_run(n, 4 * SEC);
	assert_true(has_moved(n) && net_is_up(n));
	assert_int_not_equal(ike_of(n, BRANCH)->spi_i, spi);
	n->hook = where_it_is;
	net_run(n, 20 * SEC);
	assert_true(net_agrees(n));
	net_free(n);
	n = up(&o);
	spi = ike_of(n, BRANCH)->spi_i;
	n->cut_ike[BRANCH] = n->now + 1600 * MSEC;
	move_to(n, "192.0.2.77");
	net_run(n, 20 * SEC);
	assert_true(has_moved(n) && net_agrees(n));
	net_free(n);
}

static unsigned held; /* ESP packets of the gateway to the new address while the check is open */

static bool check_is_lost(struct net *n, unsigned from, struct datagram *d)
{
	if (from == GW && d->esp)
		held += addr_eq(&d->dest.addr, &n->peer[BRANCH].address.addr);
	/* What the branch sends after its update is the answer to the check. */
	if (from == BRANCH && !d->esp && d->len >= IKE_HEADER_LEN && d->p[19] & IKE_FLAG_RESPONSE)
		return false;
	return where_it_is(n, from, d);
}

/* The gateway sends no ESP to the new address before the peer has answered from there (3.7). */
static void esp_waits_for_the_check(void **state)
{
	struct options o = plain();
	struct net *n;

	(void)state;
	/* Where the branch looks as if behind a NAT, ESP moves with the first fresh packet. */
	o.encap = ENCAP_AUTO;
	n = net_new(&o);
	net_until(n, net_is_up, 20 * SEC, "up");
	n->rate[BRANCH] = n->rate[GW] = RATE;
	net_run(n, SEC);
	assert_false(ike_of(n, GW)->peer_natted);
	held = 0;
	n->hook = check_is_lost;
	move_to(n, "192.0.2.77");
	net_run(n, 400 * MSEC);
	assert_int_equal(held, 0);
	assert_true(addr_eq(&ike_of(n, GW)->remote.addr, &present));
	n->hook = where_it_is;
	net_run(n, 2 * SEC);
	assert_true(has_moved(n));
	net_free(n);
}

/*
 * The peer rekeys the IKE SA, or asks for a CHILD SA, while the check is open: the check goes on,
 * on the new IKE SA, and the CHILD SA waits for it.
 */
static void check_outlives_the_ike_sa(void **state)
{
	struct options o = plain();
	struct net *n = up(&o);

	(void)state;
	ike_of(n, GW)->peer_natted = false;
	move_to(n, "192.0.2.77");
	net_run(n, 3 * MSEC / 2); /* the update has come; the check is on its way */
	ike_sa_rekey(ike_of(n, BRANCH), n->now);
	tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
	net_run(n, 10 * SEC);
	assert_true(has_moved(n) && net_agrees(n));
	net_free(n);
}

/* Set up without a NAT, then behind one: its mapping is kept, and the gateway sends in UDP. */
static void moves_behind_a_nat(void **state)
{
	struct options o = plain();
	struct net *n;

	(void)state;
	o.encap = ENCAP_AUTO;
	n = net_new(&o);
	net_until(n, net_is_up, 20 * SEC, "up");
	assert_int_equal(peer_sa(n, GW, 0)->out.dest.remote.port, 0);
	n->peer[BRANCH].seen_as.addr = an_address("198.51.100.1");
	n->peer[BRANCH].seen_as.port = 2000;
	move_to(n, "10.0.0.7");
	net_run(n, 2 * SEC);
	assert_true(ike_of(n, BRANCH)->we_natted && ike_of(n, GW)->peer_natted);
	assert_true(deadline_is_set(&ike_of(n, BRANCH)->keepalive));
	assert_int_equal(peer_sa(n, GW, 0)->out.dest.remote.port, 2000);
	net_free(n);
}

/* An answer without the cookie closes the IKE SA (3.7). */
static void check_without_the_cookie(void **state)
{
	struct options o = plain();
	struct net *n = up(&o);
	uint64_t spi = ike_of(n, GW)->spi_i;

	(void)state;
	ike_of(n, GW)->peer_natted = false;
	move_to(n, "192.0.2.77");
	net_run(n, 3 * MSEC / 2); /* the gateway has the request; its check is on its way */
	ike_of(n, BRANCH)->mobike = false;
	net_run(n, 100 * MSEC);
	assert_false(has_sa(n, GW, spi));
	net_free(n);
}

/* At an address that its configuration does not have, the gateway refuses; a new IKE SA follows. */
static void address_is_not_acceptable(void **state)
{
	struct options o = plain();
	struct net *n = up(&o);
	struct ike_sa *sa = ike_of(n, BRANCH);
	struct conn_conf *c = (struct conn_conf *)(uintptr_t)ike_of(n, GW)->conn;
	struct endpoint other = sa->remote;
	uint64_t spi = sa->spi_i;

	(void)state;
	c->local[0] = n->peer[GW].address;
	c->local_count = 1;
	n->peer[GW].address.addr = other.addr = an_address("192.0.2.99");
	assert_true(ike_sa_move(sa, &sa->local, &other, n->now));
	net_run(n, 100 * MSEC);
	assert_false(has_sa(n, BRANCH, spi));
	net_free(n);
}

/*
 * The gateway has two addresses and says so. When the one in use is silent, requests go to the
 * other one too, and the SAs move there.
 */
static void gateway_has_another_address(void **state)
{
	struct options o = plain();
	struct conn_conf *c;
	struct net *n;
	uint64_t spi;

	(void)state;
	o.dpd = 10 * SEC;
	o.start = START_NONE;
	n = net_new(&o);
	c = peer_conf(n, GW);
	c->local[0] = n->peer[GW].address;
	c->local[1].addr = an_address("192.0.2.99");
	c->local_count = 2;
	peer_configure(n, GW, c, NULL);
	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_until(n, net_is_up, 20 * SEC, "up");
	spi = ike_of(n, BRANCH)->spi_i;
	n->hook = where_it_is;
	n->peer[GW].address.addr = c->local[1].addr;
	net_run(n, 20 * SEC);
	assert_int_equal(ike_of(n, BRANCH)->spi_i, spi);
	assert_true(addr_eq(&ike_of(n, BRANCH)->remote.addr, &c->local[1].addr));
	assert_true(addr_eq(&peer_sa(n, BRANCH, 0)->out.dest.remote.addr, &c->local[1].addr));
	n->rate[BRANCH] = n->rate[GW] = RATE;
	net_run(n, SEC);
	assert_int_equal(n->peer[BRANCH].path_lost + n->peer[GW].path_lost, 0);
	conn_unref(c);
	net_free(n);
}

/* An answer from an address that nobody has named does not move the SA. */
static void strange_source_of_an_answer(void **state)
{
	struct options o = plain();
	struct net *n;

	(void)state;
	o.dpd = 2 * SEC;
	n = net_up(&o);
	n->peer[GW].seen_as.addr = an_address("198.51.100.7");
	n->peer[GW].seen_as.port = IKE_PORT_NATT;
	net_run(n, 10 * SEC);
	/* Nor when the request was sent so often that other addresses would have had their turn. */
	n->cut_ike[BRANCH] = n->now + 6 * SEC;
	net_run(n, 20 * SEC);
	assert_true(addr_eq(&ike_of(n, BRANCH)->remote.addr, &n->peer[GW].address.addr));
	net_free(n);
}

/*
 * A NAT gives the branch another port while nothing but liveness checks is sent: the branch sees it
 * from their answers, and has the gateway follow (3.8). By themselves they do not move it.
 */
static void mapping_changes(void **state)
{
	struct options o = plain();
	struct net *n;

	(void)state;
	o.dpd = 5 * SEC;
	n = net_new(&o);
	n->peer[BRANCH].seen_as.addr = an_address("198.51.100.1");
	n->peer[BRANCH].seen_as.port = 2000;
	net_until(n, net_is_up, 20 * SEC, "up behind a NAT");
	net_run(n, 12 * SEC);
	n->cut_esp[BRANCH] = NSEC_NEVER; /* the gateway would follow ESP too */
	n->peer[BRANCH].seen_as.port = 2001;
	net_run(n, 6 * SEC);
	assert_int_equal(ike_of(n, GW)->remote.port, 2001);
	assert_int_equal(peer_sa(n, GW, 0)->out.dest.remote.port, 2001);
	net_free(n);
}

/* A rekey of the IKE SA by the gateway leaves the choice of addresses to the branch. */
static void rekeyed_by_the_other_side(void **state)
{
	struct options o = plain();
	struct net *n = up(&o);
	struct endpoint anywhere = {.port = IKE_PORT_NATT};
	uint32_t child = child_spi(n);
	struct ike_sa *old = ike_of(n, GW);

	(void)state;
	ike_sa_rekey(old, n->now);
	net_run(n, SEC);
	assert_ptr_not_equal(ike_of(n, GW), old);
	assert_true(ike_of(n, GW)->initiator);
	assert_false(ike_sa_move(ike_of(n, GW), &anywhere, &ike_of(n, GW)->remote, n->now));
	move_to(n, "192.0.2.77");
	net_run(n, SEC);
	same_sas(n, ike_of(n, BRANCH)->spi_i, child);
	net_free(n);
}

/* The same in the next process of either side. */
static void after_a_restart(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct options o = plain();
		struct net *n = up(&o);
		uint64_t spi = ike_of(n, BRANCH)->spi_i;

		ike_of(n, i)->peer_addrs[0] = an_address("203.0.113.9");
		ike_of(n, i)->peer_addrs[1] = an_address("2001:db8::9");
		ike_of(n, i)->peer_addr_count = 2;
		assert_int_equal(peer_restart(n, i), 1);
		assert_int_equal(ike_of(n, i)->peer_addr_count, 2);
		assert_true(addr_eq(&ike_of(n, i)->peer_addrs[1],
				    &(struct addr[]){an_address("2001:db8::9")}[0]));
		move_to(n, "192.0.2.77");
		net_run(n, SEC);
		same_sas(n, spi, child_spi(n));
		net_free(n);
	}
}

/* A peer that allows no NAT is told of one (3.9); addresses of wrong length are no addresses. */
static void nats_that_are_not_allowed(void **state)
{
	const struct endpoint local = {an_address("192.0.2.1"), 4500},
			      remote = {an_address("192.0.2.2"), 4500};
	uint8_t data[12] = {192, 0, 2,	       2,	   192,	      0,
			    2,	 1, 4500 >> 8, 4500 & 255, 4500 >> 8, 4500 & 255};
	struct ike_payloads p = {.notify_count = 1};
	const struct ike_in in = {.p = &p, .local = &local, .remote = &remote};

	(void)state;
	p.notify[0] = (struct ike_notify_view){.type = NOTIFY_NO_NATS_ALLOWED,
					       .data = {data, sizeof(data)}};
	assert_int_equal(mobike_refuses(&in), 0);
	for (unsigned i = 0; i < sizeof(data); i++) {
		data[i] ^= 1;
		assert_int_equal(mobike_refuses(&in), NOTIFY_UNEXPECTED_NAT_DETECTED);
		data[i] ^= 1;
	}
	p.notify[0].data.len = 11;
	assert_int_equal(mobike_refuses(&in), NOTIFY_UNEXPECTED_NAT_DETECTED);
	p.notify_count = 0;
	assert_int_equal(mobike_refuses(&in), 0);
}

/* The peer's list is bounded, and what is no address is left out. */
static void lists_of_addresses(void **state)
{
	static const uint8_t bytes[16] = {10, 1, 2, 3};
	struct options o = plain();
	struct net *n = up(&o);
	struct ike_sa *sa = ike_of(n, GW);
	struct ike_payloads p = {.notify_count = IKE_MAX_NOTIFIES};

	(void)state;
	for (unsigned i = 0; i < IKE_MAX_NOTIFIES; i++)
		p.notify[i] =
			(struct ike_notify_view){.type = i % 2 ? NOTIFY_ADDITIONAL_IP6_ADDRESS
							       : NOTIFY_ADDITIONAL_IP4_ADDRESS,
						 .data = {bytes, i < 4	 ? i
								 : i % 2 ? 16
									 : 4}};
	paths_read(sa, &p);
	assert_int_equal(sa->peer_addr_count, ARRAY_SIZE(sa->peer_addrs));
	p.notify_count = 4;
	paths_read(sa, &p);
	assert_int_equal(sa->peer_addr_count, 0);
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(branch_moves),
		cmocka_unit_test(each_message_is_disturbed),
		cmocka_unit_test(moves_again_before_the_answer),
		cmocka_unit_test(one_side_has_none),
		cmocka_unit_test(peer_does_not_follow),
		cmocka_unit_test(esp_waits_for_the_check),
		cmocka_unit_test(check_outlives_the_ike_sa),
		cmocka_unit_test(moves_behind_a_nat),
		cmocka_unit_test(check_without_the_cookie),
		cmocka_unit_test(address_is_not_acceptable),
		cmocka_unit_test(gateway_has_another_address),
		cmocka_unit_test(strange_source_of_an_answer),
		cmocka_unit_test(mapping_changes),
		cmocka_unit_test(rekeyed_by_the_other_side),
		cmocka_unit_test(after_a_restart),
		cmocka_unit_test(nats_that_are_not_allowed),
		cmocka_unit_test(lists_of_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
