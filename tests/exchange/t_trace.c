/*
 * t_trace.c - the debug lines of a connection: each message in words, for whom it was asked, and no
 * secret in them. SPDX-License-Identifier: ISC
 */
#include "peers.h"

#include <errno.h>

static void assert_said(struct net *n, const char *line)
{
	if (!net_logged(n, line))
		net_fail(n, "not in the log: %s", line);
}

/* The branch logs what info passes, and what it is asked for besides. */
static struct net *at_info(const struct options *o, bool traced)
{
	struct net *n = net_new(o);

	n->peer[BRANCH].log.level = n->peer[GW].log.level = LOG_LEVEL_INFO;
	if (traced)
		assert_int_equal(ike_trace(n->peer[BRANCH].tunnel->ike, "gw", true), 0);
	return n;
}

/* What a person wants to see of how a tunnel comes up, is rekeyed, and ends. */
static void each_exchange_in_words(void **state)
{
	static const char *const lines[] = {
		"gw: sent IKE_SA_INIT request 0 to 192.0.2.1:500: SA aes256gcm16-",
		"gw: received IKE_SA_INIT response 0 from 192.0.2.1:500: SA ",
		", KE x25519, N(NAT_DETECTION_SOURCE_IP), N(",
		"gw: sent IKE_AUTH request 1 to 192.0.2.1:4500: IDi branch.example, ",
		", IDr gw.example.net, AUTH by secret, SA ",
		", TSi 10.1.0.0/24, TSr 10.2.0.0/24, N(INITIAL_CONTACT), ",
		"gw: received IKE_AUTH response 1 from 192.0.2.1:4500: IDr gw.example.net, ",
		"gw: sent CREATE_CHILD_SA request 2 to 192.0.2.1:4500: SA ",
		", KE x25519, N(REKEY_SA) ",
		"gw: sent INFORMATIONAL request 3 to 192.0.2.1:4500: DELETE of CHILD SA ",
		"gw: sent INFORMATIONAL request 4 to 192.0.2.1:4500: DELETE of the IKE SA",
		"gw: received INFORMATIONAL response 4 from 192.0.2.1:4500: nothing",
	};
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.psk_branch = o.psk_gw = "what nobody else may know";
	n = at_info(&o, true);
	net_until(n, net_is_up, 10 * SEC, "up");
	tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
	net_run(n, SEC);
	ike_sa_delete(peer_conn(n, BRANCH)->sa, n->now);
	net_run(n, SEC);
	for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
		assert_said(n, lines[i]);
	assert_false(net_logged(n, o.psk_branch));
	/* The gateway was not asked. */
	assert_false(net_logged(n, "received IKE_AUTH request"));
	net_free(n);
}

/* Also where the log has errors alone. */
static void whatever_the_level(void **state)
{
	struct options o = options_default();
	struct net *n = at_info(&o, true);

	(void)state;
	n->peer[BRANCH].log.level = n->peer[GW].log.level = LOG_LEVEL_ERROR;
	net_until(n, net_is_up, 10 * SEC, "up");
	assert_said(n, "gw: received IKE_AUTH response 1");
	assert_said(n, "established, peer gw.example.net, ");
	/* Of the gateway nobody has asked for any. */
	assert_false(net_logged(n, "established, peer branch.example, "));
	net_free(n);
}

static void what_is_sent_again(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	n = at_info(&o, true);
	n->cut[GW] = true;
	net_run(n, 5 * SEC);
	assert_said(n, "gw: sent IKE_SA_INIT request 0 again to 192.0.2.1:500, for the 2. time");
	assert_false(net_logged(n, "for the 1. time"));
	net_free(n);
}

/* Only of connections that there are; on and off; all of them at level debug. */
static void for_whom_it_was_asked(void **state)
{
	struct options o = options_default();
	struct net *n = at_info(&o, false);
	struct ike *ike = n->peer[BRANCH].tunnel->ike;

	(void)state;
	assert_int_equal(ike_trace(ike, "nobody", true), -ENOENT);
	assert_int_equal(ike_trace(ike, "nobody", false), 0);
	assert_int_equal(ike_trace(ike, "gw", true), 0);
	assert_int_equal(ike_trace(ike, "gw", true), 0);
	assert_int_equal(ike_trace(ike, "gw", false), 0);
	net_until(n, net_is_up, 10 * SEC, "up");
	assert_false(net_logged(n, "sent IKE_"));
	n->peer[GW].log.level = LOG_LEVEL_DEBUG;
	tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
	net_run(n, SEC);
	assert_said(n, "received CREATE_CHILD_SA request");
	assert_false(net_logged(n, "sent CREATE_CHILD_SA request"));
	net_free(n);
}

/* Other debug lines of the connection pass, too. */
static void other_lines_of_the_connection(void **state)
{
	struct options o = options_default();

	(void)state;
	for (unsigned traced = 0; traced < 2; traced++) {
		struct net *n = at_info(&o, traced);

		n->cut[GW] = true;
		net_run(n, SEC);
		ike_sa_drop(peer_conn(n, BRANCH)->sa, "end by a test", n->now);
		net_run(n, 1);
		assert_int_equal(net_logged(n, " gone: end by a test"), traced);
		net_free(n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_exchange_in_words),
		cmocka_unit_test(whatever_the_level),
		cmocka_unit_test(what_is_sent_again),
		cmocka_unit_test(for_whom_it_was_asked),
		cmocka_unit_test(other_lines_of_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
