/*
 * t_problems.c - what keeps a tunnel down: each kind of failure leads to its problem, at the right
 * side, with what to do, one line in the log, and to its end once the tunnel is up.
 * SPDX-License-Identifier: ISC
 */
#include "peers.h"
#include "problem.h"

/* What one side is expected to know; text: a part of it. NULL: nothing. */
struct known {
	bool child; /* of the child; otherwise of the connection */
	enum ike_problem what;
	const char *text;
};

static const struct tunnel_problem *problem_at(struct net *n, unsigned side, bool child)
{
	struct tunnel_conn *c = LIST_FIRST(&n->peer[side].tunnel->conns);

	if (!c)
		return tunnel_problem_of(n->peer[side].tunnel, n->peer[side].conf);
	return child ? peer_child(n, side, 0)->problem : c->problem;
}

static void assert_known(struct net *n, const char *name, unsigned side, const struct known *k)
{
	const struct tunnel_problem *p = problem_at(n, side, k->child);

	if (!k->text) {
		if (p && !p->over)
			net_fail(n, "%s: side %u: %s: %s", name, side, ike_problem_name(p->what),
				 p->text);
		return;
	}
	if (!p)
		net_fail(n, "%s: side %u knows of no problem", name, side);
	if (p->what != k->what || !strstr(p->text, k->text))
		net_fail(n, "%s: side %u: %s: %s", name, side, ike_problem_name(p->what), p->text);
	assert_int_equal(p->over, 0);
	assert_in_range(p->since, 1, p->at);
	assert_in_range(p->at, p->since, n->now);
	assert_non_null(problem_advice(p->what));
}

/* ---- what is wrong ---- */

static void wrong_secret(struct options *o)
{
	o->psk_branch = "a secret of nobody else";
}

static void wrong_secret_both_call(struct options *o)
{
	wrong_secret(o);
	o->gw_calls = true;
}

static void no_ike_proposal(struct options *o)
{
	o->ike = "aes256gcm16-prfsha384-x25519";
	o->ike_gw = "aes256-sha512-modp4096";
}

static void no_esp_proposal(struct options *o)
{
	o->esp = "aes128gcm16-noesn";
	o->esp_gw = "aes256-sha512-noesn";
}

static void other_selectors(struct net *n)
{
	struct child_conf *k = &n->peer[GW].conf->children[0];

	assert_int_equal(ts_parse("10.77.0.0/24", &k->local_ts->ts[0]), 0);
}

static void other_identity(struct net *n)
{
	assert_int_equal(ident_parse("gw2.example.net", &n->peer[GW].conf->local_id), 0);
}

static void unknown_to_the_gateway(struct net *n)
{
	assert_int_equal(ident_parse("branch7.example", &n->peer[GW].conf->remote_id), 0);
}

static void gateway_is_away(struct net *n)
{
	n->cut[GW] = true;
}

static void no_answer_to_auth(struct net *n)
{
	n->fate[0] = (struct ike_fate){
		.from = GW, .exchange = IKE_AUTH, .response = true, .count = 1000, .copies = 0};
}

static void no_name(struct net *n)
{
	tunnel_unresolved(n->peer[BRANCH].tunnel, n->peer[BRANCH].conf, "gw.example.net: nxdomain",
			  n->now);
}

#define NOT                    \
	{                      \
		false, 0, NULL \
	}

/*
 * Each fault, with what the branch, which calls, and the gateway know of it 40 s later. The first
 * two columns set it up, before or after the two peers exist.
 */
static const struct {
	const char *name;
	void (*options)(struct options *o);
	void (*change)(struct net *n);
	struct known branch, gw;
} faults[] = {
	{"the gateway is away",
	 NULL,
	 gateway_is_away,
	 {false, IKE_PROBLEM_NO_ANSWER, "no response to IKE_SA_INIT"},
	 NOT},
	{"another secret",
	 wrong_secret,
	 NULL,
	 {false, IKE_PROBLEM_NOT_LET_IN, "AUTHENTICATION_FAILED"},
	 {false, IKE_PROBLEM_NOT_TRUSTED, "called us: "}},
	{"another secret, known addresses",
	 wrong_secret_both_call,
	 NULL,
	 {false, IKE_PROBLEM_NOT_LET_IN, "AUTHENTICATION_FAILED"},
	 {false, IKE_PROBLEM_NOT_TRUSTED, "called us: "}},
	{"another identity of the gateway",
	 NULL,
	 other_identity,
	 {false, IKE_PROBLEM_NOT_TRUSTED, "the peer's authentication failed: "},
	 NOT},
	{"an identity that the gateway does not know",
	 NULL,
	 unknown_to_the_gateway,
	 {false, IKE_PROBLEM_NOT_LET_IN, "AUTHENTICATION_FAILED"},
	 {false, IKE_PROBLEM_NOT_TRUSTED, "called us: "}},
	{"no common IKE proposal",
	 no_ike_proposal,
	 NULL,
	 {false, IKE_PROBLEM_PROPOSALS, "we offered aes256gcm16"},
	 {false, IKE_PROBLEM_PROPOSALS, "we have aes256-sha512"}},
	{"no common ESP proposal",
	 no_esp_proposal,
	 NULL,
	 {true, IKE_PROBLEM_PROPOSALS, "we offered aes128gcm16"},
	 {true, IKE_PROBLEM_PROPOSALS, "we have aes256-sha512"}},
	{"other selectors",
	 NULL,
	 other_selectors,
	 {true, IKE_PROBLEM_SELECTORS, "we asked for 10.1.0.0/24 === 10.2.0.0/24"},
	 {false, IKE_PROBLEM_SELECTORS, "the peer asks for 10.2.0.0/24 === 10.1.0.0/24"}},
	{"IKE_AUTH is not answered",
	 NULL,
	 no_answer_to_auth,
	 {false, IKE_PROBLEM_NO_ANSWER_TO_AUTH, "no response to IKE_AUTH"},
	 NOT},
};

static void each_fault_is_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		struct options o = options_default();
		struct net *n;

		if (faults[i].options)
			faults[i].options(&o);
		n = net_new(&o);
		if (faults[i].change)
			faults[i].change(n);
		net_run(n, 100 * SEC);
		assert_known(n, faults[i].name, BRANCH, &faults[i].branch);
		assert_known(n, faults[i].name, GW, &faults[i].gw);
		net_free(n);
	}
}

/* The branch calls, with the default options, and nobody is there. */
static struct net *without_gateway(void)
{
	struct options o = options_default();
	struct net *n = net_new(&o);

	gateway_is_away(n);
	return n;
}

/* One line is logged while it lasts, and another one an hour later; then it is over. */
static void told_once_and_over(void **state)
{
	const struct tunnel_problem *p;
	nsec_t told;
	struct net *n;

	(void)state;
	n = without_gateway();
	net_run(n, 600 * SEC);
	p = peer_conn(n, BRANCH)->problem;
	assert_true(p->count > 3);
	assert_true(net_logged(n, "gw: no-answer: 192.0.2."));
	assert_true(net_logged(n, "no response to IKE_SA_INIT: see whether the peer runs"));
	told = p->told;
	assert_in_range(told, p->since, p->since + 10 * SEC);
	net_run(n, 3600 * SEC);
	assert_true(p->told >= told + 3600 * SEC);
	n->cut[GW] = false;
	net_until(n, net_is_up, 120 * SEC, "up");
	assert_true(p->over >= p->at);
	net_free(n);
}

static bool branch_has_problem(struct net *n)
{
	return peer_conn(n, BRANCH)->problem != NULL;
}

static void what_ends_a_tunnel(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.dpd = 5 * SEC;
	n = net_up(&o);
	assert_null(peer_conn(n, BRANCH)->problem);
	gateway_is_away(n);
	net_until(n, branch_has_problem, 200 * SEC, "a problem");
	assert_known(n, "silent", BRANCH,
		     &(struct known){false, IKE_PROBLEM_SILENT, "no response to our request"});
	net_free(n);
	n = net_up(&o);
	ike_sa_delete(peer_conn(n, GW)->sa, n->now);
	net_run(n, 5 * MSEC);
	assert_known(n, "deleted", BRANCH,
		     &(struct known){false, IKE_PROBLEM_DELETED, "deleted by the peer"});
	net_free(n);
}

/* Refused from the begin of a call on, or once it was sent: then nobody has answered it. */
static void what_is_not_sent(void **state)
{
	struct net *n;

	(void)state;
	n = without_gateway();
	n->refuses[BRANCH] = 300 * SEC;
	net_run(n, 14 * SEC); /* long before the end of the call */
	assert_known(
		n, "not sent", BRANCH,
		&(struct known){false, IKE_PROBLEM_NOT_SENT, "this host refuses to send to it: "});
	net_free(n);
	n = without_gateway();
	net_run(n, 100 * MSEC);
	n->refuses[BRANCH] = 300 * SEC;
	net_until(n, branch_has_problem, 200 * SEC, "a problem");
	assert_known(n, "sent once", BRANCH,
		     &(struct known){false, IKE_PROBLEM_NO_ANSWER, "no response to IKE_SA_INIT"});
	net_free(n);
	n = without_gateway();
	n->refuses[BRANCH] = n->now + 100 * MSEC;
	net_until(n, branch_has_problem, 200 * SEC, "a problem");
	assert_known(n, "sent later", BRANCH,
		     &(struct known){false, IKE_PROBLEM_NO_ANSWER, "no response to IKE_SA_INIT"});
	net_free(n);
}

static bool call_has_ended(struct net *n)
{
	return !peer_conn(n, BRANCH)->sa;
}

/* A call goes on for two minutes: that nobody answers is known much earlier, and since when. */
static void silence_is_told_before_the_end(void **state)
{
	const struct tunnel_problem *p;
	struct net *n;

	(void)state;
	n = without_gateway();
	net_run(n, 4 * SEC);
	assert_null(peer_conn(n, BRANCH)->problem);
	net_run(n, 10 * SEC);
	p = peer_conn(n, BRANCH)->problem;
	assert_known(n, "silence", BRANCH,
		     &(struct known){false, IKE_PROBLEM_NO_ANSWER, "no response to IKE_SA_INIT"});
	assert_true(problem_is_current(peer_conn(n, BRANCH), NULL));
	assert_int_equal(p->count, 1);
	assert_in_range(p->since, 1, p->at - 4 * SEC);
	assert_non_null(peer_conn(n, BRANCH)->sa);
	/* Its end is told as well. */
	net_until(n, call_has_ended, 300 * SEC, "the end of the call");
	assert_int_equal(peer_conn(n, BRANCH)->problem->count, 2);
	n->cut[GW] = false;
	net_until(n, net_is_up, 60 * SEC, "up");
	assert_true(peer_conn(n, BRANCH)->problem->over > 0);
	net_free(n);
}

/* Calls that end before the gateway answers, for whatever reason; the first alone is no problem. */
static void no_end_without_a_reason(void **state)
{
	struct net *n;

	(void)state;
	n = without_gateway();
	net_run(n, MSEC);
	for (unsigned i = 0; i < 2; i++) {
		assert_null(peer_conn(n, BRANCH)->problem);
		assert_non_null(peer_conn(n, BRANCH)->sa);
		ike_sa_drop(peer_conn(n, BRANCH)->sa, "end by a test", n->now);
		net_run(n, 2 * SEC);
	}
	assert_known(n, "ended", BRANCH,
		     &(struct known){false, IKE_PROBLEM_ENDED, "end by a test"});
	net_free(n);
}

static void names_that_lead_nowhere(void **state)
{
	struct options o = options_default();
	struct net *n = net_up(&o);

	(void)state;
	/* While the tunnel is up, that is no problem of it. */
	no_name(n);
	assert_null(peer_conn(n, BRANCH)->problem);
	net_free(n);
	n = net_new(&o);
	/* Nor where an address is known, by another name for one. */
	no_name(n);
	assert_null(peer_conn(n, BRANCH)->problem);
	n->peer[BRANCH].conf->remote_count = 0;
	no_name(n);
	assert_known(n, "no name", BRANCH,
		     &(struct known){false, IKE_PROBLEM_NO_NAME, "gw.example.net: nxdomain"});
	net_free(n);
}

/* Whoever calls with a wrong secret is no problem of a tunnel that is up. */
static void callers_do_not_hide_it(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.gw_calls = true;
	n = net_up(&o);
	n->o.psk_branch = "a secret of nobody else";
	assert_true(peer_load(n, BRANCH, (struct chunk){0}) < 0);
	net_run(n, 5 * SEC);
	assert_null(peer_conn(n, GW)->problem);
	net_free(n);
}

/* What is refused on an IKE SA that stays up does not keep the connection down. */
static void up_is_not_down(void **state)
{
	struct options o = options_default();
	char err[PROPOSAL_ERR];
	struct net *n;

	(void)state;
	n = net_up(&o);
	proposals_free(&n->peer[GW].conf->proposals);
	assert_int_equal(proposals_add_text(&n->peer[GW].conf->proposals, "aes256-sha384-ecp384",
					    PROTOCOL_IKE, err),
			 0);
	ike_sa_rekey(peer_conn(n, BRANCH)->sa, n->now);
	net_run(n, SEC);
	assert_int_equal(peer_conn(n, BRANCH)->problem->what, IKE_PROBLEM_PROPOSALS);
	assert_false(problem_is_current(peer_conn(n, BRANCH), NULL));
	assert_false(problem_is_current(peer_conn(n, GW), NULL));
	net_free(n);
}

/* Neither of two addresses answers: that is known after one pass over them. */
static void no_address_answers(void **state)
{
	struct options o = options_default();
	const struct tunnel_problem *p;
	struct conn_conf *conf;
	struct net *n;

	(void)state;
	o.start = START_NONE;
	n = net_new(&o);
	gateway_is_away(n);
	conf = peer_conf(n, BRANCH);
	conf->remote[1] = conf->remote[0];
	conf->remote[1].addr.b[3] ^= 0x40;
	conf->remote_count = 2;
	conf->children[0].start_action = START_START;
	peer_configure(n, BRANCH, conf, NULL);
	conn_unref(n->peer[BRANCH].conf);
	n->peer[BRANCH].conf = conf;
	net_run(n, 10 * SEC);
	p = peer_conn(n, BRANCH)->problem;
	assert_non_null(p);
	assert_int_equal(p->what, IKE_PROBLEM_NO_ANSWER);
	assert_non_null(strstr(p->text, "from any of 2 addresses"));
	assert_true(problem_is_current(peer_conn(n, BRANCH), NULL));
	net_free(n);
}

/* The peer ends a tunnel that nobody here keeps up. */
static void an_end_that_nobody_minds(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.start = START_TRAP;
	n = net_new(&o);
	net_packet(n, BRANCH, 0);
	net_until(n, net_is_up, 10 * SEC, "up");
	ike_sa_delete(peer_conn(n, GW)->sa, n->now);
	net_run(n, SEC);
	assert_null(peer_conn(n, BRANCH)->problem);
	net_free(n);
}

/* A peer that causes one problem after the other does not fill the log. */
static void peers_do_not_fill_the_log(void **state)
{
	struct options o = options_default();
	struct tunnel_conn *c;
	unsigned before;
	struct net *n;

	(void)state;
	n = net_up(&o);
	c = peer_conn(n, GW);
	before = n->log_next;
	for (unsigned i = 0; i < 10000; i++)
		tunnel_on_problem(n->peer[GW].tunnel, c->sa, NULL,
				  i % 2 ? IKE_PROBLEM_SELECTORS : IKE_PROBLEM_PROPOSALS, "text",
				  n->now);
	assert_in_range(n->log_next - before, 1, 400);
	net_free(n);
}

/* A reload forgets what was wrong with a configuration that is gone. */
static void forgotten_with_its_configuration(void **state)
{
	struct options o = options_default();
	struct conn_conf *conf;
	struct net *n;

	(void)state;
	wrong_secret(&o);
	n = net_new(&o);
	net_run(n, 10 * SEC);
	assert_non_null(tunnel_problem_of(n->peer[GW].tunnel, n->peer[GW].conf));
	conf = peer_conf(n, GW);
	peer_configure(n, GW, conf, NULL);
	assert_null(SLIST_FIRST(&n->peer[GW].tunnel->problems));
	conn_unref(conf);
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_is_known),
		cmocka_unit_test(told_once_and_over),
		cmocka_unit_test(what_ends_a_tunnel),
		cmocka_unit_test(silence_is_told_before_the_end),
		cmocka_unit_test(what_is_not_sent),
		cmocka_unit_test(no_end_without_a_reason),
		cmocka_unit_test(names_that_lead_nowhere),
		cmocka_unit_test(callers_do_not_hide_it),
		cmocka_unit_test(up_is_not_down),
		cmocka_unit_test(no_address_answers),
		cmocka_unit_test(an_end_that_nobody_minds),
		cmocka_unit_test(peers_do_not_fill_the_log),
		cmocka_unit_test(forgotten_with_its_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
