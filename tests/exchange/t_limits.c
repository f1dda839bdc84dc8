/*
 * t_limits.c - how much one peer, or somebody without a key, may use. SPDX-License-Identifier: ISC
 */
#include "child.h"
#include "parties.h"
#include "sa/half_open.h"
#include "task/exchanges.h"

/* ---- what one peer may use ---- */

static unsigned lines;

static void count_line(void *ctx, enum log_level level, const char *line)
{
	(void)ctx, (void)line;
	lines += level <= LOG_LEVEL_INFO;
}

static void call_again(struct net *n, const char *conn)
{
	struct tunnel_conn *c = tunnel_find_conn(n->peer[BRANCH].tunnel, conn);

	assert_non_null(ike_initiate(n->peer[BRANCH].tunnel->ike, c->conf, &n->peer[BRANCH].address,
				     &c->conf->remote[0], NULL, true, n->now));
}

static void ike_sas_are_limited(void **state)
{
	struct net *n = quiet_net();

	(void)state;
	gateway(n, &fleet, 1, &for_all, 1);
	callers(n, &b_peer, all_secrets, 1);
	bring_up(n, "b");
	for (unsigned i = 0; i < 60; i++) {
		call_again(n, "b");
		net_run(n, 50 * MSEC);
		assert_in_range(HASH_COUNT(n->peer[GW].tunnel->ike->sas), 1,
				n->peer[GW].tunnel->ike->set.peer_sas + 1);
	}
	assert_true(counter(n, GW, IKE_COUNT_PEER_LIMIT) >= 60 - 8);
	net_free(n);
}

/* Rekeys of IKE SAs are limited, too: a peer may have at most twice peer_sas. */
static void rekeys_of_ike_sas_are_limited(void **state)
{
	struct net *n = quiet_net();
	struct tunnel_conn *c;
	uint64_t spi;

	(void)state;
	gateway(n, &fleet, 1, &for_all, 1);
	callers(n, &b_peer, all_secrets, 1);
	bring_up(n, "b");
	for (unsigned i = 0; i < 2; i++) {
		call_again(n, "b");
		net_run(n, SEC);
	}
	c = tunnel_find_conn(n->peer[BRANCH].tunnel, "b");
	for (unsigned most = 2; most > 0; most--) {
		n->peer[GW].tunnel->ike->set.peer_sas = most;
		spi = c->sa->our_spi;
		ike_sa_rekey(c->sa, n->now);
		net_run(n, 2 * SEC);
		/* There are two other IKE SAs. */
		assert_int_equal(c->sa->our_spi != spi, most == 2);
	}
	net_free(n);
}

/*
 * The gateway's answer to a request for one more CHILD SA of the branch's child, on its newest IKE
 * SA.
 */
static uint16_t on_another_ike_sa(struct net *n, const struct tunnel_child *k)
{
	struct tunnel *gw = n->peer[GW].tunnel;
	struct ike_sa *sa, *newest = gw->ike->sas;

	for (sa = gw->ike->sas; sa; sa = sa->hh.next)
		newest = sa->established > newest->established ? sa : newest;
	return tunnel_child_admit(gw, newest, newest->conn->children, k->conf->remote_ts,
				  k->conf->local_ts, false, NULL, n->now);
}

/*
 * The limit of CHILD SAs leaves space for a recovery, which makes each CHILD SA again on another
 * IKE SA.
 */
static void a_recovery_has_room(void **state)
{
	struct net *n = quiet_net();
	struct tunnel *gw = n->peer[GW].tunnel;
	const struct tunnel_sa *made;

	(void)state;
	gateway(n, &fleet, 1, &for_all, 1);
	callers(n, &b_peer, all_secrets, 1);
	bring_up(n, "b");
	made = LIST_FIRST(&LIST_FIRST(&gw->conns)->children)->current;
	gw->ike->set.peer_children = 1;
	/* On the same IKE SA it exceeds the limit; as the rekey of the existing one it does not. */
	assert_int_equal(on_another_ike_sa(n, child_of(n, BRANCH, "b")), NOTIFY_NO_ADDITIONAL_SAS);
	assert_int_equal(tunnel_child_admit(gw, made->ike->ike_sa, made->child->conf, made->local,
					    made->remote, false, made->ike, n->now),
			 0);
	call_again(n, "b");
	net_run(n, SEC);
	assert_int_equal(on_another_ike_sa(n, child_of(n, BRANCH, "b")), 0);
	net_free(n);
}

/*
 * A peer that creates CHILD SAs as fast as it can: their number and that of log lines are limited.
 */
static void children_and_lines_are_limited(void **state)
{
	struct net *n = quiet_net();
	struct tunnel_child *k;
	struct ike_settings *set = &n->peer[GW].tunnel->ike->set;

	(void)state;
	set->peer_children = 20;
	n->peer[GW].log.sink = count_line;
	lines = 0;
	gateway(n, &fleet, 1, &for_all, 1);
	callers(n, &b_peer, all_secrets, 1);
	bring_up(n, "b");
	k = child_of(n, BRANCH, "b");
	tunnel_child_down(k, n->now); /* it covers all of the others; the IKE SA stays */
	net_run(n, SEC);
	for (unsigned i = 1; i < 1000; i++) {
		struct ts_list local = {.count = 1};
		char ts[32];

		snprintf(ts, sizeof(ts), "10.1.0.%u/32", i % 256);
		assert_int_equal(ts_parse(ts, &local.ts[0]), 0);
		assert_true(ike_child_create_like(k->conn->sa, k->conf, &local, k->conf->remote_ts,
						  n->now));
		net_run(n, 5 * MSEC);
	}
	assert_int_equal(peer_child_sas(n, GW), 20);
	assert_true(counter(n, GW, IKE_COUNT_PEER_LIMIT) > 900);
	assert_in_range(lines, 20, 420);
	/* The limit of traffic selectors: 20 exist, and each of these CHILD SAs adds two. */
	set->peer_children = 100;
	set->peer_routes = 30;
	for (unsigned i = 0; i < 20; i++) {
		struct ts_list local = {.count = 2};

		for (unsigned m = 0; m < 2; m++) {
			char ts[32];

			snprintf(ts, sizeof(ts), "10.1.0.%u/32", 200 + 2 * i + m);
			assert_int_equal(ts_parse(ts, &local.ts[m]), 0);
		}
		assert_true(ike_child_create_like(k->conn->sa, k->conf, &local, k->conf->remote_ts,
						  n->now));
		net_run(n, 5 * MSEC);
	}
	assert_int_equal(peer_child_sas(n, GW), 25);
	/*
	 * On another IKE SA the limit is reached as well: all IKE SAs together may have twice as
	 * many.
	 */
	set->peer_children = 10;
	call_again(n, "b");
	net_run(n, SEC);
	assert_int_equal(on_another_ike_sa(n, k), NOTIFY_NO_ADDITIONAL_SAS);
	net_free(n);
}

/*
 * A peer whose state goes back without end: 3,000 log lines, then 10 per second. Lines about its
 * CHILD SAs are still logged.
 */
static void lines_of_recoveries_are_limited(void **state)
{
	struct net *n = quiet_net();
	struct tunnel_child *k;

	(void)state;
	gateway(n, &fleet, 1, &for_all, 1);
	callers(n, &b_peer, all_secrets, 1);
	bring_up(n, "b");
	k = LIST_FIRST(&LIST_FIRST(&n->peer[GW].tunnel->conns)->children);
	n->peer[GW].log.sink = count_line;
	lines = 0;
	for (unsigned i = 0; i < 100000; i++)
		tunnel_event(k, TUNNEL_EVENT_RECOVERY, LOG_LEVEL_WARNING, "it went back");
	assert_int_equal(lines, 3000);
	tunnel_event(k, TUNNEL_EVENT_CHILD, LOG_LEVEL_INFO, "CHILD SA up");
	assert_int_equal(lines, 3001);
	for (unsigned i = 0; i < 1000; i++) {
		net_run(n, 10 * MSEC);
		tunnel_event(k, TUNNEL_EVENT_EVIDENCE, LOG_LEVEL_WARNING, "it went back");
	}
	/* Each of the 100 lines has one before it that says how many were left out. */
	assert_in_range(lines, 3001 + 100, 3001 + 220);
	net_free(n);
}

/*
 * From the eleventh wrong secret on, an address gets one attempt per second; after that the right
 * secret is accepted.
 */
static void guesses_are_limited(void **state)
{
	const char *const wrong = "a guess";
	struct net *n = quiet_net();
	uint64_t guesses;

	(void)state;
	gateway(n, &fleet, 1, &for_all, 1);
	callers(n, &b_peer, &wrong, 1);
	n->o.delay = MSEC;
	for (unsigned i = 0; i < 2000; i++) {
		call_again(n, "b");
		net_run(n, 10 * MSEC);
	}
	guesses = counter(n, GW, IKE_COUNT_GUESS);
	assert_in_range(guesses, 20, 32);
	assert_true(counter(n, GW, IKE_COUNT_GUESS_LIMIT) > 1000);
	callers(n, &b_peer, all_secrets, 1);
	net_run(n, 120 * SEC); /* until the last of the attempts is given up */
	bring_up(n, "b");
	assert_true(is_up(n, "b"));
	net_free(n);
}

/* ---- long messages ---- */

#define MANY 1500

static size_t answered; /* length of the gateway's last message */

static bool note_answer(struct net *n, unsigned from, struct datagram *d)
{
	(void)n;
	if (from == GW)
		answered += d->len;
	return true;
}

/* A peer deletes MANY CHILD SAs in one message: the response, which names as many, fits as well. */
static void a_long_delete_is_answered(void **state)
{
	static uint8_t text[IKE_MAX_MESSAGE];
	static uint32_t spis[MANY];
	struct net *n = quiet_net();
	struct ike_payloads p;
	struct ike_builder b;
	struct ike_sa *sa;

	(void)state;
	gateway(n, &fleet, 1, &for_all, 1);
	callers(n, &b_peer, all_secrets, 1);
	bring_up(n, "b");
	sa = n->peer[GW].tunnel->ike->sas;
	sa->fragments = false; /* so that the length is that of one message */
	for (unsigned i = 0; i < MANY; i++) {
		struct child_sa *c = child_new(sa, sa->conn->children);

		c->spi_in = c->spi_out = spis[i] = 1000000 + i;
	}
	ib_inside(&b, text, sizeof(text));
	ib_delete_esp(&b, spis, MANY);
	assert_int_equal(ike_payloads_parse(b.first, text, b.w.len, &p), 0);
	n->hook = note_answer;
	answered = 0;
	info_on_request(sa,
			&(struct ike_in){.h = &(struct ike_header){.exchange = IKE_INFORMATIONAL},
					 .p = &p,
					 .local = &sa->local,
					 .remote = &sa->remote,
					 .now = n->now});
	assert_in_range(answered, 4 * MANY, 4 * MANY + 200);
	assert_int_equal(sa->child_count, 1);
	n->hook = NULL;
	net_free(n);
}

/* ---- half-open IKE SAs ---- */

/* Of the branch's IKE_AUTH requests, only those of b's own IKE SA get through. */
static bool only_honest_auth(struct net *n, unsigned from, struct datagram *d)
{
	const struct tunnel_conn *c = tunnel_find_conn(n->peer[BRANCH].tunnel, "b");

	return from != BRANCH || d->esp || d->p[18] != IKE_AUTH ||
	       (c->sa && get_be64(d->p) == c->sa->spi_i);
}

/*
 * Initiates as connection b from the branch's address with another octet at this place;
 * only_honest_auth() drops the IKE_AUTH request.
 */
static void call_with(struct net *n, unsigned place, uint8_t octet)
{
	uint8_t *b = &n->peer[BRANCH].address.addr.b[place], honest = *b;

	*b = octet;
	call_again(n, "b");
	net_run(n, 10 * MSEC);
	*b = honest;
}

/* From this host of the branch's network of IPv4. */
static void call_from(struct net *n, uint8_t host)
{
	call_with(n, 3, host);
}

/* A gateway with 40 places for half-open IKE SAs, and a branch that is peer b. */
static void prepare(struct net *n)
{
	n->peer[GW].tunnel->ike->set.half_open_max = 40;
	gateway(n, &fleet, 1, &for_all, 1);
	callers(n, &b_peer, all_secrets, 1);
	n->hook = only_honest_auth;
}

/* The same after `calls` attempts of initiators that never send IKE_AUTH. */
static struct net *flooded(unsigned calls)
{
	struct net *n = quiet_net();

	prepare(n);
	for (unsigned i = 0; i < calls; i++)
		call_from(n, (uint8_t)(20 + i / 4 % 50));
	return n;
}
/*
 * Addresses that return cookies but never send IKE_AUTH take all places again and again: a peer
 * that sends IKE_AUTH at once is let in all the same.
 */
static void places_are_made_free(void **state)
{
	struct net *n = flooded(250);
	struct ike *gw = n->peer[GW].tunnel->ike;

	(void)state;
	assert_int_equal(gw->half_open, 40);
	tunnel_child_up(child_of(n, BRANCH, "b"), n->now);
	for (unsigned i = 0; i < 250 && !is_up(n, "b"); i++)
		call_from(n, (uint8_t)(20 + i / 4 % 50));
	assert_true(is_up(n, "b"));
	assert_in_range(gw->half_open, 38, 40);
	net_free(n);
}

/*
 * One network takes all places again and again, while an honest peer of another network needs some
 * time for its next message: its place is kept.
 */
static void one_network_takes_from_itself(void **state)
{
	struct net *n = flooded(0);
	uint8_t *octet = &n->peer[BRANCH].address.addr.b[2], honest = *octet;

	(void)state;
	tunnel_child_up(child_of(n, BRANCH, "b"), n->now);
	net_run(n, 2 * MSEC); /* only its IKE_SA_INIT request arrives */
	net_drop_queued(n);
	assert_int_equal(n->peer[GW].tunnel->ike->half_open, 1);
	for (unsigned i = 0; i < 150; i++) {
		*octet = honest + 1;
		call_from(n, (uint8_t)(20 + i / 4 % 50));
		*octet = honest;
	}
	assert_int_equal(n->peer[GW].tunnel->ike->half_open, 40);
	net_run(n, 2 * SEC);
	assert_true(is_up(n, "b"));
	net_free(n);
}

static struct net *prepared_six(void)
{
	struct options o = options_default();
	struct net *n;

	o.start = START_NONE;
	o.dpd = 5 * SEC;
	o.six = true;
	/* The honest call is not sent again while the others come. */
	o.set.retransmit.timeout = 2 * SEC;
	n = net_new(&o);
	prepare(n);
	return n;
}

/* An outsider has all addresses of an IPv6 /64: together they get what one address of IPv4 gets. */
static void addresses_of_one_site_count_together(void **state)
{
	struct net *n = prepared_six();
	struct ike *gw = n->peer[GW].tunnel->ike;

	(void)state;
	for (unsigned i = 0; i < 60; i++)
		call_with(n, 8 + i % 8, (uint8_t)(20 + i));
	assert_int_equal(gw->half_open, gw->set.half_open_per_address);
	for (unsigned i = 0; i < 5; i++)
		call_with(n, 7, 9); /* another /64 */
	assert_int_equal(gw->half_open, gw->set.half_open_per_address + 5);
	net_free(n);
}

/* A /56 of IPv6 is a network: with all its sites it takes places from itself alone. */
static void one_network_of_ipv6_takes_from_itself(void **state)
{
	struct net *n = prepared_six();
	struct ike *gw = n->peer[GW].tunnel->ike;
	const struct addr *a = &n->peer[BRANCH].address.addr;
	uint8_t *octet = &n->peer[BRANCH].address.addr.b[6], honest = *octet;

	(void)state;
	tunnel_child_up(child_of(n, BRANCH, "b"), n->now);
	net_run(n, 2 * MSEC); /* only its IKE_SA_INIT request arrives */
	net_drop_queued(n);
	assert_int_equal(half_open_from(gw, a), 1);
	for (unsigned i = 0; i < 150; i++) {
		*octet = honest + 1;
		call_with(n, 7, (uint8_t)(20 + i));
		*octet = honest;
	}
	assert_int_equal(gw->half_open, 40);
	assert_int_equal(half_open_from(gw, a), 1);
	net_run(n, 2 * SEC);
	assert_true(is_up(n, "b"));
	net_free(n);
}

/* When half of the places are taken, a half-open IKE SA is kept for 5 s instead of 30 s. */
static void places_are_had_for_shorter(void **state)
{
	struct net *n = flooded(30);
	struct ike *gw = n->peer[GW].tunnel->ike;

	(void)state;
	assert_int_equal(gw->half_open, 30);
	n->cut[BRANCH] = true;
	net_run(n, 6 * SEC);
	assert_int_equal(gw->half_open, 19);
	net_run(n, 25 * SEC);
	assert_int_equal(gw->half_open, 0);
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ike_sas_are_limited),
		cmocka_unit_test(rekeys_of_ike_sas_are_limited),
		cmocka_unit_test(a_recovery_has_room),
		cmocka_unit_test(children_and_lines_are_limited),
		cmocka_unit_test(lines_of_recoveries_are_limited),
		cmocka_unit_test(guesses_are_limited),
		cmocka_unit_test(a_long_delete_is_answered),
		cmocka_unit_test(places_are_made_free),
		cmocka_unit_test(one_network_takes_from_itself),
		cmocka_unit_test(addresses_of_one_site_count_together),
		cmocka_unit_test(one_network_of_ipv6_takes_from_itself),
		cmocka_unit_test(places_are_had_for_shorter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
