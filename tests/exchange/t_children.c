/*
 * t_children.c - how children begin and end, between two whole peers: IKE SAs without a CHILD SA
 * (RFC 6023), and what follows the end of a child (close_action, dpd_action).
 * SPDX-License-Identifier: ISC
 */
#include "peers.h"
#include "task/exchanges.h"

/* One packet of each child each way arrives. */
static void traffic(struct net *n)
{
	for (unsigned c = 0; c < n->o.children; c++)
		net_traffic(n, c);
}

/* ---- childless ---- */

/* What the initiator sent, and which of its messages is lost, doubled or late. */
struct watch {
	unsigned auth, create, count; /* requests by exchange; IKE messages of both sides */
	size_t auth_len;
	unsigned hit; /* the number of the message that is hit; 0: none */
	enum { LOSE, DOUBLE, LATE } how;
};

static bool watch_hook(struct net *n, unsigned from, struct datagram *d)
{
	struct watch *w = n->hook_ctx;

	n->o.delay = MSEC;
	if (d->esp || d->len < IKE_HEADER_LEN)
		return true;
	if (from == BRANCH && d->p[18] == IKE_AUTH) {
		w->auth++;
		w->auth_len = d->len;
	}
	w->create += from == BRANCH && d->p[18] == IKE_CREATE_CHILD_SA;
	if (++w->count != w->hit)
		return true;
	if (w->how == LATE)
		n->o.delay = 3 * SEC;
	if (w->how == DOUBLE)
		net_inject(n, !from, false, d->p, d->len);
	return w->how != LOSE;
}

static struct net *begin(const struct options *o, struct watch *w)
{
	struct net *n = net_new(o);

	n->hook = watch_hook;
	n->hook_ctx = w;
	return n;
}

/* Each rule of either side: whether the tunnel comes up, and by which exchange. */
static void childless_rules(void **state)
{
	static const struct {
		enum childless branch, gw;
		bool up, without;
		const char *text;
	} cases[] = {
		{CHILDLESS_ALLOW, CHILDLESS_ALLOW, true, false, NULL},
		{CHILDLESS_ALLOW, CHILDLESS_PREFER, true, false, NULL},
		{CHILDLESS_ALLOW, CHILDLESS_NEVER, true, false, NULL},
		{CHILDLESS_PREFER, CHILDLESS_ALLOW, true, true, NULL},
		{CHILDLESS_PREFER, CHILDLESS_FORCE, true, true, NULL},
		{CHILDLESS_PREFER, CHILDLESS_NEVER, true, false, NULL},
		{CHILDLESS_FORCE, CHILDLESS_PREFER, true, true, NULL},
		{CHILDLESS_FORCE, CHILDLESS_NEVER, false, false,
		 "the peer supports no IKE SA without"},
		{CHILDLESS_ALLOW, CHILDLESS_FORCE, false, false, "the peer asks for a CHILD SA"},
		{CHILDLESS_NEVER, CHILDLESS_ALLOW, true, false, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct options o = options_default();
		struct watch w = {0};
		struct net *n;

		o.children = 3;
		o.childless[BRANCH] = cases[i].branch;
		o.childless[GW] = cases[i].gw;
		n = begin(&o, &w);
		net_run(n, 5 * SEC);
		if (net_is_up(n) != cases[i].up ||
		    (cases[i].text && !net_logged(n, cases[i].text))) {
			net_print_log(n);
			fail_msg("case %zu", i);
		}
		if (cases[i].up) {
			assert_int_equal(w.auth, 1);
			assert_int_equal(w.create, cases[i].without ? 3 : 2);
			traffic(n);
		} else {
			assert_int_equal(peer_ike_sas(n, GW), n->peer[GW].tunnel->ike->half_open);
			assert_int_equal(peer_child_sas(n, GW), 0);
		}
		net_free(n);
	}
}

/* With `force` a peer that offers a child gets none, also if it has the right secret. */
static void forced_on_a_peer_that_does_not(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.childless[GW] = CHILDLESS_FORCE;
	n = net_new(&o);
	net_run(n, 5 * SEC);
	assert_true(net_logged(n, "INVALID_SYNTAX"));
	assert_int_equal(n->peer[GW].tunnel->ike->half_open, 0);
	net_free(n);
}

/* Nothing is wanted any more when IKE_SA_INIT is answered, and the peer takes no IKE SA without. */
static void nothing_to_ask_for(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.childless[GW] = CHILDLESS_NEVER;
	n = net_new(&o);
	net_run(n, MSEC / 2);
	tunnel_child_down(peer_child(n, BRANCH, 0), n->now);
	net_run(n, SEC);
	assert_int_equal(peer_ike_sas(n, BRANCH), 0);
	/* The gateway was not asked for what it does not take: its IKE SA is half-open. */
	assert_int_equal(peer_ike_sas(n, GW), 1);
	net_run(n, 40 * SEC);
	assert_int_equal(peer_ike_sas(n, GW), 0);
	net_free(n);
}

/* The announcement is turned into a vendor-defined status notify, or the other way round. */
static bool announce_hook(struct net *n, unsigned from, struct datagram *d)
{
	uint16_t to = *(uint16_t *)n->hook_ctx;

	for (uint32_t i = IKE_HEADER_LEN;
	     !d->esp && from == GW && d->p[18] == IKE_SA_INIT && i + 1 < d->len; i++) {
		if (get_be16(d->p + i) == NOTIFY_CHILDLESS_IKEV2_SUPPORTED)
			put_be16(d->p + i, to);
	}
	return true;
}

/*
 * A peer that begins without a child although we have not announced that: childless = never refuses
 * it by the message, not by what was announced. The gateway announces, and changes its mind.
 */
static void nothing_is_let_in_that_may_not(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.childless[BRANCH] = CHILDLESS_FORCE;
	n = net_new(&o);
	net_run(n, 3 * MSEC / 2); /* IKE_SA_INIT is answered */
	n->peer[GW].conf->childless = CHILDLESS_NEVER;
	net_run(n, SEC);
	assert_true(net_logged(n, "childless = never"));
	assert_int_equal(peer_ike_sas(n, GW), n->peer[GW].tunnel->ike->half_open);
	net_free(n);
}

/* A man in the middle who takes the announcement away is noticed by AUTH, which covers it. */
static void announcement_is_covered(void **state)
{
	struct options o = options_default();
	uint16_t other = 40960;
	struct net *n;

	(void)state;
	o.childless[BRANCH] = CHILDLESS_PREFER;
	n = net_new(&o);
	n->hook = announce_hook;
	n->hook_ctx = &other;
	net_run(n, 5 * SEC);
	assert_false(net_is_up(n));
	assert_true(net_logged(n, "authentication"));
	net_free(n);
}

/* The children have forward secrecy, as each has a key exchange of its own. */
static void children_have_pfs(void **state)
{
	struct options o = options_default();
	struct watch w = {0};
	struct net *n;

	(void)state;
	o.childless[BRANCH] = CHILDLESS_PREFER;
	n = begin(&o, &w);
	net_until(n, net_is_up, 5 * SEC, "up");
	assert_true(peer_child(n, BRANCH, 0)->current->ike->choice.group != GROUP_NONE);
	net_free(n);
}

/* Each message of the begin is lost, doubled and late. */
static void each_message_is_hit(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3 * 8; i++) {
		struct options o = options_default();
		struct watch w = {.hit = i / 3 + 1, .how = i % 3};
		struct net *n;

		o.seed = i + 1;
		o.children = 2;
		o.childless[BRANCH] = CHILDLESS_FORCE;
		n = begin(&o, &w);
		net_run(n, 40 * SEC);
		assert_true(w.count >= w.hit);
		if (!net_agrees(n)) {
			net_print_log(n);
			fail_msg("message %u, %d", w.hit, w.how);
		}
		traffic(n);
		net_free(n);
	}
}

/* Rung 3 makes an IKE SA beside the old one; it begins without a child, too. */
static void rung_3_without_a_child(void **state)
{
	(void)state;
	for (unsigned role = 0; role < 2; role++) {
		struct options o = options_default();
		struct net *n;

		o.children = 3;
		o.childless[BRANCH] = o.childless[GW] = CHILDLESS_FORCE;
		o.gw_calls = true;
		o.dpd = 5 * SEC;
		n = net_up(&o);
		n->rate[BRANCH] = n->rate[GW] = 300;
		net_run(n, 2 * SEC);
		for (unsigned c = 0; c < 3; c++)
			gw_rewind(n, c, 500, false);
		n->cut_ike[role ? BRANCH : GW] = n->now + 8 * SEC;
		net_run(n, 60 * SEC);
		n->rate[BRANCH] = n->rate[GW] = 0;
		net_run(n, SEC);
		assert_true(net_agrees(n));
		assert_int_equal(peer_confirmed(n, BRANCH), 0);
		traffic(n);
		net_free(n);
	}
}

/* After a restart, the connection goes on; made anew, it begins without a child again. */
static void childless_after_a_restart(void **state)
{
	struct options o = options_default();
	struct watch w = {0};
	struct net *n;

	(void)state;
	o.childless[BRANCH] = CHILDLESS_PREFER;
	n = net_up(&o);
	assert_int_equal(peer_restart(n, BRANCH), 1);
	traffic(n);
	n->hook = watch_hook;
	n->hook_ctx = &w;
	ike_sa_delete(peer_conn(n, GW)->sa, n->now);
	net_run(n, 10 * SEC);
	assert_true(net_is_up(n));
	assert_int_equal(w.auth, 1);
	assert_int_equal(w.create, 1);
	net_free(n);
}

/* ---- protocols and ports ---- */

static void set_ts(struct net *n, unsigned side, const char *local, const char *remote)
{
	struct child_conf *k = &n->peer[side].conf->children[0];

	assert_int_equal(ts_parse(local, &k->local_ts->ts[0]), 0);
	assert_int_equal(ts_parse(remote, &k->remote_ts->ts[0]), 0);
}

/* Each side restricts protocol and ports, in either role: the SA has what both allow. */
static void protocols_and_ports_are_narrowed(void **state)
{
	static const struct {
		const char *branch[2], *gw[2], *local;
		bool up, flows;
	} cases[] = {
		{{"10.1.0.0/24", "10.2.0.0/24"},
		 {"10.2.0.0/24[udp/1000-2000]", "10.1.0.0/24[udp]"},
		 "10.1.0.0/24[17]",
		 true,
		 true},
		{{"10.1.0.0/24[/500-3000]", "10.2.0.0/24[udp]"},
		 {"10.2.0.0/24", "10.1.0.0/24[udp/1000-4000]"},
		 "10.1.0.0/24[17/1000-3000]",
		 true,
		 true},
		{{"10.1.0.0/24[tcp]", "10.2.0.0/24[tcp]"},
		 {"10.2.0.0/24", "10.1.0.0/24"},
		 "10.1.0.0/24[6]",
		 true,
		 false},
		{{"10.1.0.0/24[tcp]", "10.2.0.0/24[tcp]"},
		 {"10.2.0.0/24[udp]", "10.1.0.0/24[udp]"},
		 NULL,
		 false,
		 false},
		{{"10.1.0.0/24[udp/opaque]", "10.2.0.0/24[udp/opaque]"},
		 {"10.2.0.0/24", "10.1.0.0/24"},
		 "10.1.0.0/24[17/opaque]",
		 true,
		 false},
		{{"10.1.0.0/24[icmp/8]", "10.2.0.0/24[icmp/8]"},
		 {"10.2.0.0/24[icmp/8/0-11/0]", "10.1.0.0/24[icmp]"},
		 "10.1.0.0/24[1/8]",
		 true,
		 false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct options o = options_default();
		char text[256];
		struct net *n;

		o.start = START_NONE;
		n = net_new(&o);
		set_ts(n, BRANCH, cases[i].branch[0], cases[i].branch[1]);
		set_ts(n, GW, cases[i].gw[0], cases[i].gw[1]);
		tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
		net_run(n, 2 * SEC);
		assert_int_equal(net_is_up(n), cases[i].up);
		if (cases[i].up)
			assert_string_equal(
				ts_list_format(peer_child(n, BRANCH, 0)->current->policy.local,
					       text, sizeof(text)),
				cases[i].local);
		if (cases[i].flows)
			traffic(n);
		if (cases[i].up) { /* a rekey asks for the same, and gets it */
			tunnel_child_rekey(peer_child(n, GW, 0), n->now);
			net_run(n, 2 * SEC);
			assert_int_equal(peer_child(n, GW, 0)->rekeys, 1);
		}
		net_free(n);
	}
}

/*
 * The first selectors of the request are those of the packet (RFC 7296 2.9): the gateway, whose
 * child admits one port of two only, puts what admits the packet first.
 */
static void packet_comes_first(void **state)
{
	struct options o = options_default();
	struct ts_list *l;
	struct net *n;

	(void)state;
	o.start = START_TRAP;
	n = net_new(&o);
	l = n->peer[GW].conf->children[0].local_ts;
	l->count = 2;
	assert_int_equal(ts_parse("10.2.0.0/24[udp/1-1999]", &l->ts[0]), 0);
	assert_int_equal(ts_parse("10.2.0.0/24[udp/2000-3000]", &l->ts[1]), 0);
	net_packet(n, BRANCH, 0);
	net_until(n, net_is_up, 5 * SEC, "up");
	assert_int_equal(peer_child(n, BRANCH, 0)->current->policy.remote->count, 2);
	assert_int_equal(peer_child(n, BRANCH, 0)->current->policy.remote->ts[0].port_lo, 2000);
	net_free(n);
}

/* ---- what follows the end of a child ---- */

enum end_by { BY_CHILD_DELETE, BY_IKE_DELETE, BY_SILENCE, BY_COMMAND, ENDS };

static void end_by(struct net *n, enum end_by e)
{
	switch (e) {
	case BY_CHILD_DELETE: ike_child_delete(peer_child(n, GW, 0)->current->ike, n->now); break;
	case BY_IKE_DELETE: ike_sa_delete(peer_conn(n, GW)->sa, n->now); break;
	case BY_SILENCE:
		n->cut[GW] = true;
		net_run(n, 120 * SEC);
		assert_int_equal(peer_child_sas(n, BRANCH), 0);
		n->cut[GW] = false;
		break;
	case BY_COMMAND: tunnel_child_down(peer_child(n, BRANCH, 0), n->now); break;
	case ENDS: break;
	}
}

/* What is left of the branch's child some time after its end. */
enum left { DOWN, TRAPPED, UP };
static const char *const left_names[] = {"down", "trapped", "up"};

static enum left what_is_left(struct net *n)
{
	net_run(n, 70 * SEC);
	if (peer_child(n, BRANCH, 0)->current)
		return UP;
	net_packet(n, BRANCH, 0);
	net_run(n, 5 * SEC);
	return peer_child(n, BRANCH, 0)->current ? TRAPPED : DOWN;
}

/*
 * After each kind of end, what start_action (rows) and the action for that end (columns: auto,
 * none, trap, start) leave of the child.
 */
static void each_end_and_each_action(void **state)
{
	static const enum left want[3][4] = {
		[START_NONE] = {DOWN, DOWN, TRAPPED, UP},
		[START_TRAP] = {TRAPPED, TRAPPED, TRAPPED, UP},
		[START_START] = {UP, DOWN, TRAPPED, UP},
	};

	(void)state;
	for (unsigned i = 0; i < 3 * 4 * ENDS; i++) {
		enum start_action start = i % 3;
		enum end_action action = i / 3 % 4;
		enum end_by by = i / 12;
		struct options o = options_default();
		enum left left;
		struct net *n;

		o.start = start;
		o.dpd = 5 * SEC;
		*(by == BY_SILENCE ? &o.dead : &o.close) = action;
		/* The action for the other end must not be the one that is taken. */
		*(by == BY_SILENCE ? &o.close : &o.dead) =
			action == END_START ? END_NONE : END_START;
		n = net_new(&o);
		if (start == START_NONE) {
			tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
			net_run(n, SEC);
			peer_child(n, BRANCH, 0)->wanted = false; /* as if the peer had made it */
		} else {
			net_packet(n, BRANCH, 0);
		}
		net_until(n, net_is_up, 5 * SEC, "up");
		net_run(n, SEC);
		end_by(n, by);
		left = what_is_left(n);
		/* What the operator has ended stays down. */
		if (left != (by == BY_COMMAND ? DOWN : want[start][action])) {
			net_print_log(n);
			fail_msg("start_action %d, action %d, end %d: %s", start, action, by,
				 left_names[left]);
		}
		tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
		net_until(n, net_is_up, 70 * SEC, "a command brings it up in any case");
		traffic(n);
		net_free(n);
	}
}

/* What a command brought up is kept up, whatever ends it, as long as no action says otherwise. */
static void what_a_command_brought_up(void **state)
{
	(void)state;
	for (unsigned by = 0; by < BY_COMMAND; by++) {
		struct options o = options_default();
		struct net *n;

		o.start = START_NONE;
		o.dpd = 5 * SEC;
		n = net_new(&o);
		tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
		net_until(n, net_is_up, 5 * SEC, "up");
		net_run(n, SEC);
		end_by(n, by);
		assert_int_equal(what_is_left(n), UP);
		net_free(n);
	}
}

/* While nothing is to bring the child up its route stays: its packets do not leave in clear. */
static void closed_is_not_in_clear(void **state)
{
	struct options o = options_default();
	struct net *n;
	int routes;

	(void)state;
	o.close = END_NONE;
	n = net_up(&o);
	net_run(n, SEC);
	routes = n->peer[BRANCH].routes;
	ike_child_delete(peer_child(n, GW, 0)->current->ike, n->now);
	assert_int_equal(what_is_left(n), DOWN);
	assert_true(routes > 0 && n->peer[BRANCH].routes >= 1);
	/* A restart keeps that: the IKE SA is there, and the child is not wanted. */
	assert_int_equal(peer_restart(n, BRANCH), 1);
	assert_int_equal(what_is_left(n), DOWN);
	assert_int_equal(n->peer[BRANCH].routes, 1);
	net_free(n);
}

/* One of two CHILD SAs of the child ends: the other one goes on, and no action is taken. */
static void one_of_two_is_no_end(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.wide = true;
	o.children = 2;
	o.close = END_NONE;
	n = net_new(&o);
	net_run(n, 5 * SEC);
	assert_int_equal(peer_child_sas(n, BRANCH), 2);
	peer_child(n, BRANCH, 0)->wanted = true;
	tunnel_child_down(peer_child(n, GW, 1), n->now);
	net_run(n, 2 * SEC);
	assert_true(peer_child(n, BRANCH, 0)->wanted);
	tunnel_child_down(peer_child(n, GW, 0), n->now);
	net_run(n, 2 * SEC);
	assert_false(peer_child(n, BRANCH, 0)->wanted);
	net_free(n);
}

/* Both sides end the child at once, the branch by a command: it stays down. */
static void command_and_delete_cross(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.close = END_START;
	o.start = START_NONE;
	n = net_new(&o);
	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_until(n, net_is_up, 5 * SEC, "up");
	net_run(n, SEC);
	ike_child_delete(peer_child(n, GW, 0)->current->ike, n->now);
	tunnel_child_down(peer_child(n, BRANCH, 0), n->now);
	assert_int_equal(what_is_left(n), DOWN);
	net_free(n);
}

/*
 * The peer deletes the SA while our rekey of it waits to be sent again: no answer is on its way, so
 * the next packet asks for another SA at once.
 */
static void deleted_before_the_next_try(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.start = START_TRAP;
	o.close = END_TRAP;
	n = net_new(&o);
	net_packet(n, BRANCH, 0);
	net_until(n, net_is_up, 5 * SEC, "up");
	net_run(n, SEC);
	peer_conn(n, GW)->sa->busy = true;
	tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
	net_run(n, 100 * MSEC);
	assert_int_equal(child_sa_state(peer_child(n, BRANCH, 0)->current->ike),
			 CHILD_STATE_REKEYING);
	peer_conn(n, GW)->sa->busy = false;
	ike_child_delete(peer_child(n, GW, 0)->current->ike, n->now);
	net_run(n, 100 * MSEC);
	net_packet(n, BRANCH, 0);
	net_run(n, 100 * MSEC);
	assert_true(net_is_up(n));
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(childless_rules),
		cmocka_unit_test(forced_on_a_peer_that_does_not),
		cmocka_unit_test(nothing_to_ask_for),
		cmocka_unit_test(nothing_is_let_in_that_may_not),
		cmocka_unit_test(announcement_is_covered),
		cmocka_unit_test(children_have_pfs),
		cmocka_unit_test(each_message_is_hit),
		cmocka_unit_test(rung_3_without_a_child),
		cmocka_unit_test(childless_after_a_restart),
		cmocka_unit_test(protocols_and_ports_are_narrowed),
		cmocka_unit_test(packet_comes_first),
		cmocka_unit_test(each_end_and_each_action),
		cmocka_unit_test(what_a_command_brought_up),
		cmocka_unit_test(closed_is_not_in_clear),
		cmocka_unit_test(one_of_two_is_no_end),
		cmocka_unit_test(command_and_delete_cross),
		cmocka_unit_test(deleted_before_the_next_try),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
