/*
 * t_lives.c - connections, children and SAs end in every order that a hostile or unlucky peer can
 * cause: no dangling pointer, nothing is forgotten, nothing grows without limit.
 * SPDX-License-Identifier: ISC
 */
#include <malloc.h>

#include "recovery.h"
#include "peers.h"

/* Loses the first `left` IKE messages of peer `from` whose exchange is `exchange`. */
struct loss {
	unsigned from, left;
	uint8_t exchange;
};

static bool loss_hook(struct net *n, unsigned from, struct datagram *d)
{
	struct loss *l = n->hook_ctx;

	if (d->esp || from != l->from || l->left == 0 || d->len < 28 || d->p[18] != l->exchange)
		return true;
	l->left--;
	return false;
}

/*
 * RFC 7296 2.1: a retransmitted request gets the same response again. The gateway's first two
 * IKE_AUTH responses are lost.
 */
static void lost_auth_response(void **state)
{
	struct loss l = {.from = GW, .left = 2, .exchange = IKE_AUTH};
	struct options o = options_default();
	struct net *n = net_new(&o);

	(void)state;
	n->hook = loss_hook;
	n->hook_ctx = &l;
	net_until(n, net_is_up, 8 * SEC, "up by the third answer");
	assert_int_equal(l.left, 0);
	assert_int_equal(peer_ike_sas(n, GW), 1);
	assert_int_equal(ike_counters(n->peer[GW].tunnel->ike)[IKE_COUNT_RETRANSMITTED], 2);
	net_free(n);
}

/*
 * The gateway is silent. The branch gives up the IKE SA only after the last transmission had its
 * full retransmission interval, too.
 */
static void last_sending_is_waited_for(void **state)
{
	struct options o = options_default();
	struct net *n = net_up(&o);
	const struct tunnel_conn *c = peer_conn(n, BRANCH);
	uint64_t spi = c->sa->our_spi;
	nsec_t began = n->now;

	(void)state;
	n->cut[GW] = true;
	ike_liveness(c->sa, 0, n->now);
	while (c->sa && c->sa->our_spi == spi && n->now - began < 200 * SEC)
		net_run(n, SEC);
	/* 2 x (1 + 1.8 + ... + 1.8^5) s, each wait with up to 20 % of jitter */
	assert_in_range((n->now - began) / SEC, 60, 105);
	net_free(n);
}

/*
 * The gateway has lost its CHILD SA and requests a new one; the branch receives no ESP packet on
 * it.
 */
static struct net *gateway_made_another(void)
{
	struct options o = options_default();
	struct net *n = net_up(&o);

	n->cut_esp[GW] = n->now + 60 * SEC;
	ike_child_drop(peer_child(n, GW, 0)->current->ike, "a test", n->now);
	tunnel_child_up(peer_child(n, GW, 0), n->now);
	return n;
}

/*
 * The gateway may not have the branch's response: outbound traffic stays on the older CHILD SA for
 * 10 s, then moves to the new one.
 */
static void answer_that_is_never_used(void **state)
{
	struct net *n = gateway_made_another();
	const struct tunnel_child *k = peer_child(n, BRANCH, 0);
	uint32_t older = k->current->spi;
	nsec_t began = n->now;

	(void)state;
	net_run(n, 5 * SEC);
	assert_int_equal(peer_child_sas(n, BRANCH), 2);
	assert_int_equal(k->current->spi, older);
	while (k->current->spi == older && n->now - began < 60 * SEC)
		net_run(n, 100 * MSEC);
	assert_in_range((n->now - began) / MSEC, 10000, 11000);
	net_free(n);
}

/* When the older CHILD SA ends, outbound traffic moves to the new one at once. */
static void older_goes_while_the_new_one_waits(void **state)
{
	struct net *n = gateway_made_another();
	const struct tunnel_child *k = peer_child(n, BRANCH, 0);
	uint32_t older = k->current->spi;

	(void)state;
	net_run(n, SEC);
	assert_int_equal(k->current->spi, older);
	ike_child_drop(k->current->ike, "a test", n->now);
	assert_non_null(k->current);
	assert_int_not_equal(k->current->spi, older);
	net_free(n);
}

/*
 * The branch is deleting a CHILD SA that the gateway has just rekeyed when the IKE SA is dropped:
 * the rekey does not count, and no CHILD SA is in use.
 */
static void all_go_at_once(void **state)
{
	struct options o = options_default();
	struct net *n = net_up(&o);
	struct tunnel_child *k = peer_child(n, BRANCH, 0);
	struct ike_sa *sa = peer_conn(n, BRANCH)->sa;

	(void)state;
	n->cut_esp[GW] = n->now + 60 * SEC;
	ike_child_rekey(peer_child(n, GW, 0)->current->ike, 0, n->now);
	net_run(n, MSEC + MSEC / 2);
	n->cut_ike[GW] = n->cut_ike[BRANCH] = n->now + 60 * SEC;
	assert_int_equal(sa->child_count, 2);
	ike_child_delete(k->current->ike, n->now);
	ike_sa_drop(sa, "a test", n->now);
	assert_int_equal(k->rekeys, 0);
	assert_null(k->current);
	net_free(n);
}

/* Counts the IKE SAs that the branch's connection uses one after another during `time`. */
static unsigned count_ike_sas(struct net *n, nsec_t time)
{
	const struct tunnel_conn *c = peer_conn(n, BRANCH);
	unsigned count = 0;
	uint64_t last = 0;

	for (nsec_t until = n->now + time; n->now < until; net_run(n, 100 * MSEC)) {
		if (c->sa && c->sa->our_spi != last) {
			last = c->sa->our_spi;
			count++;
		}
	}
	return count;
}

/*
 * The gateway refuses the second child for its key exchange. IKE_AUTH would create it without one,
 * so the branch initiates a new IKE SA now and then while the child is wanted. It must not replace
 * the whole connection without end.
 */
static void refused_child_does_not_renew_all(void **state)
{
	struct options o = options_default();
	struct net *n;
	unsigned count;

	(void)state;
	o.children = 2;
	o.esp = "aes128gcm16-x25519";
	o.esp_gw = "aes128gcm16";
	n = net_new(&o);
	count = count_ike_sas(n, 300 * SEC);
	assert_in_range(count, 1, 6);
	tunnel_child_down(peer_child(n, BRANCH, 1), n->now);
	net_run(n, 60 * SEC);
	assert_int_equal(count_ike_sas(n, 300 * SEC), 1);
	net_free(n);
}

static bool two_ike_sas(struct net *n)
{
	return peer_ike_sas(n, BRANCH) == 2 && peer_ike_sas(n, GW) == 2;
}

/* Both peers initiate at once; two IKE SAs result. */
static struct net *both_called(void)
{
	struct options o = options_default();
	struct net *n;

	o.gw_calls = true;
	o.delay = 10 * MSEC;
	n = net_new(&o);
	tunnel_child_up(peer_child(n, GW, 0), n->now);
	net_until(n, two_ike_sas, 5 * SEC, "two IKE SAs");
	net_run(n, SEC);
	return n;
}

static bool gateway_called(struct net *n)
{
	const struct tunnel_conn *c = peer_conn(n, BRANCH);

	return c->beside && !c->beside->initiator;
}

/*
 * Both peers need a new IKE SA (rung 3), and the gateway initiates it. The branch's first three
 * CREATE_CHILD_SA messages on it, which answer the request for net1, are lost.
 */
static struct net *gateway_makes_a_new_one(struct loss *l)
{
	struct options o = options_default();
	struct net *n;

	*l = (struct loss){.from = BRANCH, .left = 3, .exchange = IKE_CREATE_CHILD_SA};
	o.gw_calls = true;
	o.children = 2;
	o.seed = 3; /* the gateway's random wait is shorter */
	n = net_up(&o);
	net_run(n, SEC);
	n->hook = loss_hook;
	n->hook_ctx = l;
	recovery_climb(peer_child(n, BRANCH, 1)->current, CRITERION_SILENT, "a test", n->now);
	recovery_climb(peer_child(n, GW, 1)->current, CRITERION_SILENT, "a test", n->now);
	net_until(n, gateway_called, 5 * SEC, "the gateway calls");
	return n;
}

/*
 * The older IKE SA, which still has net1, does not end before the branch hears the gateway on the
 * new CHILD SA of net1: no packet is lost.
 */
static void takeover_waits_for_each_child(void **state)
{
	struct loss l;
	struct net *n = gateway_makes_a_new_one(&l);

	(void)state;
	n->rate[BRANCH] = 1000;
	net_run(n, 10 * SEC);
	assert_int_equal(l.left, 0);
	assert_int_equal(net_lost(n, BRANCH, CHILDREN), 0);
	net_free(n);
}

/*
 * The CHILD SA of net0 that the new IKE SA brought needs rung 3 itself before the older IKE SA has
 * ended: another IKE SA is made.
 */
static void needs_another_one_during_the_takeover(void **state)
{
	struct loss l;
	struct net *n = gateway_makes_a_new_one(&l);
	struct ike_sa *made = peer_conn(n, BRANCH)->beside;

	(void)state;
	net_run(n, SEC);
	recovery_climb(LIST_FIRST(&peer_child(n, BRANCH, 0)->sas), CRITERION_SILENT, "a test",
		       n->now);
	net_run(n, 60 * SEC);
	assert_ptr_not_equal(peer_conn(n, BRANCH)->sa, made);
	net_free(n);
}

/* Drops the gateway's INFORMATIONAL requests (DELETE, liveness checks), not its responses. */
static bool no_requests(struct net *n, unsigned from, struct datagram *d)
{
	(void)n;
	return d->esp || from != GW || d->len < 28 || d->p[18] != IKE_INFORMATIONAL ||
	       (d->p[19] & 0x20);
}

/*
 * Before a restart (ike_hold) the branch begins no liveness check, except the one that shows
 * whether the gateway has the new IKE SA: outbound traffic waits for it.
 */
static void held_all_but_what_packets_wait_for(void **state)
{
	struct options o = options_default();
	struct net *n;
	uint32_t older;

	(void)state;
	o.gw_calls = true;
	n = net_up(&o);
	older = peer_child(n, BRANCH, 0)->current->spi;
	n->cut_esp[GW] = n->now + 60 * SEC;
	n->hook = no_requests;
	ike_hold(n->peer[BRANCH].tunnel->ike);
	recovery_climb(peer_child(n, GW, 0)->current, CRITERION_SILENT, "a test", n->now);
	net_run(n, 3 * SEC);
	assert_int_equal(peer_ike_sas(n, BRANCH), 2);
	assert_int_not_equal(peer_child(n, BRANCH, 0)->current->spi, older);
	net_free(n);
}

static struct ike_sa *without_child(struct net *n, unsigned i, const struct child_conf *conf)
{
	struct ike_sa *sa, *tmp;
	const struct child_sa *c;

	HASH_ITER (hh, n->peer[i].tunnel->ike->sas, sa, tmp) {
		LIST_FOREACH (c, &sa->children, link) {
			if (c->conf == conf)
				break;
		}
		if (!c)
			return sa;
	}
	fail_msg("each IKE SA has the child");
	return NULL;
}

/*
 * There are two IKE SAs, one of which has no CHILD SA of net1. Both peers request net1 on that one
 * at the same time, and both receive their responses. The DELETE of the redundant CHILD SA is lost
 * during `cut`.
 */
static struct net *asked_for_at_once(nsec_t cut)
{
	struct options o = options_default();
	struct net *n;

	o.gw_calls = true;
	o.children = 2;
	o.delay = 10 * MSEC;
	n = net_new(&o);
	tunnel_child_up(peer_child(n, GW, 0), n->now);
	net_until(n, two_ike_sas, 5 * SEC, "two IKE SAs");
	net_run(n, SEC);
	n->cut_esp[GW] = n->cut_esp[BRANCH] = n->now + 60 * SEC;
	for (unsigned i = 0; i < 2; i++) {
		struct tunnel_child *k = peer_child(n, i, 1);

		assert_true(ike_child_create(without_child(n, i, k->conf), k->conf, NULL, n->now));
	}
	net_run(n, 15 * MSEC);
	n->cut_ike[GW] = n->cut_ike[BRANCH] = n->now + cut;
	return n;
}

/*
 * On the side that responded to the request for the redundant CHILD SA, outbound traffic does not
 * move to that SA.
 */
static void packets_do_not_move_to_the_loser(void **state)
{
	struct net *n = asked_for_at_once(15 * SEC);

	(void)state;
	for (unsigned i = 0; i < 120; i++) {
		net_run(n, 100 * MSEC);
		for (unsigned p = 0; p < 2; p++) {
			const struct child_sa *c = peer_child(n, p, 1)->current->ike;

			assert_false(c->successor && !c->initiator);
		}
	}
	net_free(n);
}

/*
 * The CHILD SA that lost the collision, on the side that responded to its request; otherwise NULL.
 */
static struct child_sa *loser(struct net *n, unsigned i)
{
	struct tunnel_sa *s;

	LIST_FOREACH (s, &peer_child(n, i, 1)->sas, link) {
		if (s->ike && s->ike->successor && !s->ike->initiator)
			return s->ike;
	}
	return NULL;
}

/*
 * The CHILD SA that won the collision is rekeyed: its successor now replaces the loser. When the
 * successor ends, too, nothing replaces the loser any more.
 */
static void loser_stays_replaced_when_the_winner_is_rekeyed(void **state)
{
	struct net *n = asked_for_at_once(2 * SEC);
	unsigned seen = 0;

	(void)state;
	net_run(n, 2100 * MSEC);
	for (unsigned i = 0; i < 2; i++) {
		struct child_sa *c = loser(n, i);

		if (!c)
			continue;
		seen++;
		ike_child_rekey(peer_child(n, i, 1)->current->ike, 0, n->now);
		net_run(n, 100 * MSEC);
		assert_ptr_equal(loser(n, i), c);
		assert_int_equal(c->state, CHILD_STATE_REKEYED);
		ike_child_drop(peer_child(n, i, 1)->current->ike, "a test", n->now);
		assert_false(c->successor);
		assert_int_equal(c->state, CHILD_STATE_INSTALLED);
	}
	assert_int_equal(seen, 1);
	net_run(n, 60 * SEC);
	net_free(n);
}

/* A reload without the connection ends both of its IKE SAs. */
static void reload_ends_all(void **state)
{
	struct net *n = both_called();

	(void)state;
	tunnel_configure(n->peer[BRANCH].tunnel, &(struct conn_set){0}, NULL, n->now);
	n->rate[GW] = 10;
	net_run(n, SEC);
	assert_int_equal(peer_ike_sas(n, BRANCH), 0);
	assert_true(LIST_EMPTY(&n->peer[BRANCH].tunnel->conns));
	net_run(n, 200 * SEC);
	net_free(n);
}

/* One of the two IKE SAs is redundant, and is deleted together with its last CHILD SA. */
static void spare_ike_sa_goes(void **state)
{
	struct net *n = both_called();
	struct ike_sa *sa;

	(void)state;
	sa = n->peer[BRANCH].tunnel->ike->sas;
	if (sa == peer_conn(n, BRANCH)->sa)
		sa = sa->hh.next;
	assert_int_equal(sa->child_count, 1);
	ike_child_delete(LIST_FIRST(&sa->children), n->now);
	net_run(n, SEC);
	assert_int_equal(peer_ike_sas(n, BRANCH), 1);
	assert_int_equal(peer_ike_sas(n, GW), 1);
	assert_true(net_is_up(n));
	net_free(n);
}

static unsigned conns(struct net *n, unsigned i)
{
	const struct tunnel_conn *c;
	unsigned count = 0;

	LIST_FOREACH (c, &n->peer[i].tunnel->conns, link)
		count++;
	return count;
}

/*
 * When the peer of a %any connection closes its IKE SA, the gateway removes the connection and its
 * RETIRED SAs, at any stage of their retirement.
 */
static void dynamic_connection_goes(void **state)
{
	/*
	 * The RETIRED SA still delivers; its history has been freed, and it has no hard lifetime.
	 */
	static const nsec_t waits[] = {SEC, 100 * SEC};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(waits); i++) {
		struct options o = options_default();
		struct net *n;

		o.gw_any = true;
		o.rekey = i ? 0 : o.rekey;
		n = net_up(&o);
		assert_int_equal(conns(n, GW), 1);
		tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
		net_run(n, waits[i]);
		assert_int_equal(n->peer[GW].tunnel->path->sad.used, 2);
		tunnel_close(n->peer[BRANCH].tunnel, n->now);
		net_run(n, SEC);
		assert_int_equal(peer_ike_sas(n, GW), 0);
		net_run(n, 120 * SEC);
		assert_int_equal(conns(n, GW), 0);
		assert_int_equal(n->peer[GW].tunnel->path->sad.used, 0);
		net_free(n);
	}
}

/*
 * The branch rekeys the IKE SA, its DELETE of the old one is lost, and then it deletes the new one:
 * the gateway keeps neither of them, nor the connection.
 */
static void old_ike_sa_outlives_its_connection(void **state)
{
	struct loss l = {.from = BRANCH, .left = 1000, .exchange = IKE_INFORMATIONAL};
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.gw_any = true;
	n = net_up(&o);
	n->hook = loss_hook;
	n->hook_ctx = &l;
	ike_sa_rekey(peer_conn(n, BRANCH)->sa, n->now);
	net_run(n, SEC);
	assert_int_equal(peer_ike_sas(n, GW), 2);
	n->hook = NULL;
	ike_sa_delete(peer_conn(n, BRANCH)->sa, n->now);
	n->peer[BRANCH].tunnel->closing = true; /* the branch does not initiate again */
	net_run(n, 100 * SEC);
	assert_int_equal(peer_ike_sas(n, GW), 0);
	assert_int_equal(conns(n, GW), 0);
	net_free(n);
}

/* The branch rekeys its CHILD SA every 50 ms: the replaced SAs do not accumulate at the gateway. */
static void rekeys_without_end(void **state)
{
	struct options o = options_default();
	struct net *n = net_up(&o);

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
		net_run(n, 50 * MSEC);
	}
	assert_true(peer_child(n, BRANCH, 0)->rekeys > 150);
	assert_in_range(n->peer[GW].tunnel->path->sad.used, 1, 20);
	/*
	 * The RETIRED SAs that remain can still reveal an older standby, and use hardly any memory.
	 */
	net_run(n, 70 * SEC);
	assert_in_range(n->peer[GW].tunnel->path->sad.used, 1, 17);
	assert_in_range(n->peer[GW].tunnel->path->sad.history.used, 0, 17 * 8192);
	/* They are removed at the end of their lifetime; a routine rekey may have left one more. */
	net_run(n, 4000 * SEC);
	assert_in_range(n->peer[GW].tunnel->path->sad.used, 1, 2);
	net_free(n);
}

/* Creates `count` CHILD SAs between two hosts each, at both ends; host numbers begin at `from`. */
static void host_sas(struct net *n, unsigned from, unsigned count)
{
	struct ts_list local = {.count = 1}, remote = {.count = 1};
	char text[32];

	for (unsigned i = from; i < from + count; i++) {
		snprintf(text, sizeof(text), "10.1.0.%u/32", i);
		assert_int_equal(ts_parse(text, &local.ts[0]), 0);
		snprintf(text, sizeof(text), "10.2.0.%u/32", i);
		assert_int_equal(ts_parse(text, &remote.ts[0]), 0);
		assert_true(ike_child_create_like(peer_conn(n, BRANCH)->sa,
						  peer_child(n, BRANCH, 0)->conf, &local, &remote,
						  n->now));
		net_run(n, 20 * MSEC);
	}
}

/*
 * The memory of a CHILD SA pair that has carried no packet: both directions, policy, traffic
 * selectors, state in IKE.
 */
static void memory_of_an_idle_pair(void **state)
{
	struct options o = options_default();
	struct net *n;
	size_t before, each;

	(void)state;
	o.wide = true;
	n = net_up(&o);
	peer_child(n, GW, 0)->wanted = false;
	ike_child_delete(peer_child(n, BRANCH, 0)->current->ike, n->now);
	net_run(n, 10 * SEC);
	host_sas(n, 1, 8);
	before = mallinfo2().uordblks;
	host_sas(n, 9, 40);
	assert_int_equal(peer_child_sas(n, GW), 48);
	each = (mallinfo2().uordblks - before) / 40 / 2;
	print_message("# a CHILD SA pair that has carried nothing: %zu bytes\n", each);
	/* Sanitizers replace the allocator; mallinfo2() then says nothing. */
	assert_true(each <= 13 * 1024);
	assert_true(each >= 1024 || before == 0);
	net_free(n);
}

/* When a peer rekeys without end, a RETIRED SA that is being recovered from is dropped last. */
static void used_ones_go_last(void **state)
{
	struct options o = options_default();
	struct net *n = net_up(&o);
	struct tunnel_child *k = peer_child(n, BRANCH, 0);
	struct tunnel_sa *first = k->current, *s;
	uint32_t spi = tunnel_sa_esp(first)->spi;
	bool there = false;

	(void)state;
	tunnel_child_rekey(k, n->now);
	net_run(n, 50 * MSEC);
	assert_true(first->retired);
	/* The recovery of the RETIRED SA waits for the first packet on the new SA. */
	first->recovery.state = RECOVERY_AWAITING;
	deadline_set(&n->peer[BRANCH].tunnel->deadlines, &first->recovery.timer,
		     n->now + 1000 * SEC);
	for (unsigned i = 0; i < 40; i++) {
		tunnel_child_rekey(k, n->now);
		net_run(n, 50 * MSEC);
	}
	LIST_FOREACH (s, &k->sas, link)
		there |= tunnel_sa_esp(s) &&
			 tunnel_sa_esp(s)->spi ==
				 spi; /* a new SA may have the address of a freed one */
	assert_true(there);
	net_free(n);
}

/*
 * Twenty SAs of one child are replaced within one second: each of them delivers for the whole drain
 * (5 s), and none is dropped to make place for the others.
 */
static void many_sas_replaced_at_once(void **state)
{
	struct options o = options_default();
	struct net *n;
	struct tunnel_child *k;
	struct tunnel_sa *s;
	unsigned draining = 0;

	(void)state;
	o.wide = true;
	o.children = 1;
	n = net_up(&o);
	k = peer_child(n, BRANCH, 0);
	/* The first CHILD SA covers the selectors of all hosts; it is deleted. */
	peer_child(n, GW, 0)->wanted = false;
	ike_child_delete(k->current->ike, n->now);
	net_run(n, 100 * MSEC);
	host_sas(n, 1, 20);
	LIST_FOREACH (s, &k->sas, link)
		ike_child_rekey(s->ike, 0, n->now);
	net_run(n, SEC);
	LIST_FOREACH (s, &k->sas, link)
		draining += s->retired;
	assert_int_equal(draining, 20);
	assert_int_equal(peer_child_sas(n, BRANCH), 20);
	net_free(n);
}

/*
 * The gateway deletes the CHILD SA before, during or after the branch's rekey of it: in the end
 * there is exactly one CHILD SA.
 */
static void deleted_during_a_rekey(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 30; i++) {
		struct options o = options_default();
		struct net *n;

		o.seed = 500 + i;
		o.delay = 10 * MSEC;
		n = net_up(&o);
		net_run(n, SEC);
		if (i % 2)
			ike_child_rekey(peer_child(n, BRANCH, 0)->current->ike, IKE_LATE_HINT,
					n->now);
		else
			tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
		net_run(n, (i / 2) * 2 * MSEC);
		if (peer_child(n, GW, 0)->current && peer_child(n, GW, 0)->current->ike)
			ike_child_delete(peer_child(n, GW, 0)->current->ike, n->now);
		net_run(n, 40 * SEC);
		if (!net_is_up(n) || peer_child_sas(n, BRANCH) != 1 || peer_child_sas(n, GW) != 1) {
			net_print_log(n);
			fail_msg("case %u: not exactly one child", i);
		}
		net_free(n);
	}
}

/*
 * The gateway answers TEMPORARY_FAILURE for longer than the branch retries: the branch asks again
 * later.
 */
static void busy_for_long(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.children = 2;
	o.start = START_NONE;
	n = net_new(&o);
	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_run(n, SEC);
	peer_conn(n, GW)->sa->busy = true;
	tunnel_child_up(peer_child(n, BRANCH, 1), n->now);
	tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
	net_run(n, 20 * SEC);
	assert_null(peer_child(n, BRANCH, 1)->current);
	peer_conn(n, GW)->sa->busy = false;
	net_run(n, 100 * SEC);
	assert_non_null(peer_child(n, BRANCH, 1)->current);
	assert_int_equal(peer_child(n, BRANCH, 0)->rekeys, 1);
	net_free(n);
}

/* `down` also ends a child that is still being set up, at any point of the exchange. */
static void down_while_it_comes_up(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		struct options o = options_default();
		struct net *n;

		o.children = 2;
		o.start = START_NONE;
		o.delay = 10 * MSEC;
		n = net_new(&o);
		tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
		if (i % 2)
			net_run(n, SEC);
		tunnel_child_up(peer_child(n, BRANCH, 1), n->now);
		net_run(n, (i / 2) * 9 * MSEC);
		tunnel_child_down(peer_child(n, BRANCH, 1), n->now);
		net_run(n, 30 * SEC);
		assert_null(peer_child(n, BRANCH, 1)->current);
		assert_int_equal(peer_child_sas(n, BRANCH), 1);
		assert_int_equal(peer_child_sas(n, GW), 1);
		net_free(n);
	}
}

/*
 * RFC 7296 2.23: when an IKE message arrives from the branch's new NAT port, the gateway also sends
 * ESP to it. Under MOBIKE the branch has to say so: see t_mobike.c.
 */
static void moves_by_ike(void **state)
{
	struct options o = options_default();
	struct net *n;
	struct peer *b;

	(void)state;
	n = net_new(&o);
	b = &n->peer[BRANCH];
	b->seen_as = b->address;
	b->seen_as.port = 2000;
	b->conf->mobike = false;
	net_until(n, net_is_up, 5 * SEC, "up behind a NAT");
	b->seen_as.port = 3000;
	ike_liveness(peer_conn(n, BRANCH)->sa, 0, n->now);
	net_run(n, SEC);
	assert_int_equal(peer_conn(n, GW)->sa->remote.port, 3000);
	assert_int_equal(peer_sa(n, GW, 0)->out.dest.remote.port, 3000);
	net_free(n);
}

static nsec_t sent_at, longest_pause;

static bool note_pause(struct net *n, unsigned from, struct datagram *d)
{
	(void)d;
	if (from != BRANCH)
		return true;
	if (n->now - sent_at > longest_pause)
		longest_pause = n->now - sent_at;
	sent_at = n->now;
	return true;
}

/*
 * Behind a NAT, the branch sends something at least every 20 s, whenever its last packet went out.
 */
static void a_mapping_is_not_left_alone(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.dpd = NSEC_NEVER;
	n = net_new(&o);
	n->peer[BRANCH].seen_as.port = 2000;
	assert_int_equal(addr_parse("198.51.100.1", &n->peer[BRANCH].seen_as.addr), 0);
	net_until(n, net_is_up, 20 * SEC, "up behind a NAT");
	assert_true(peer_conn(n, BRANCH)->sa->we_natted);
	sent_at = n->now;
	longest_pause = 0;
	n->hook = note_pause;
	for (unsigned i = 1; i < 40; i++) {
		net_run(n, i * SEC + 100 * MSEC);
		net_packet(n, BRANCH, 0);
	}
	assert_in_range(longest_pause, 5 * SEC, 20 * SEC + MSEC);
	assert_true(n->peer[BRANCH].dummies > 10);
	net_free(n);
}

/* A rekey response that makes no sense leaves the rekeyed CHILD SA in use, and no half-made one. */
static void foreign_answers(void **state)
{
	struct options o = options_default();
	struct net *n = net_up(&o);
	struct child_conf *conf = &n->peer[GW].conf->children[0];

	(void)state;
	net_run(n, SEC);
	/* The gateway narrows the rekey to traffic selectors that are not within the branch's. */
	assert_int_equal(ts_parse("10.99.0.0/16", &conf->remote_ts->ts[0]), 0);
	tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
	net_run(n, 5 * SEC);
	assert_int_equal(peer_child(n, BRANCH, 0)->current->ike->state, CHILD_STATE_INSTALLED);
	assert_int_equal(ts_parse("10.1.0.0/24", &conf->remote_ts->ts[0]), 0);
	net_run(n, 100 * SEC);
	assert_true(net_is_up(n));
	net_free(n);
}

/* A pre-shared key is never used for an identity that it does not name. */
static void keys_are_for_whom_they_name(void **state)
{
	struct psk_store *s = psk_store_new();
	struct ident gw, bob, carol, any = {0};

	(void)state;
	assert_int_equal(ident_parse("gw.example", &gw), 0);
	assert_int_equal(ident_parse("bob.example", &bob), 0);
	assert_int_equal(ident_parse("carol.example", &carol), 0);
	s->v = calloc(1, sizeof(*s->v));
	s->count = 1;
	s->v[0].secret = calloc(1, 4);
	s->v[0].len = 4;
	s->v[0].ids[0] = gw;
	s->v[0].ids[1] = bob;
	s->v[0].id_count = 2;
	assert_non_null(psk_find(s, &gw, &bob));
	assert_null(psk_find(s, &gw, &carol));
	assert_non_null(psk_find(s, &gw, &any)); /* the identity of the peer is not known yet */
	psk_store_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lost_auth_response),
		cmocka_unit_test(last_sending_is_waited_for),
		cmocka_unit_test(answer_that_is_never_used),
		cmocka_unit_test(older_goes_while_the_new_one_waits),
		cmocka_unit_test(all_go_at_once),
		cmocka_unit_test(held_all_but_what_packets_wait_for),
		cmocka_unit_test(refused_child_does_not_renew_all),
		cmocka_unit_test(packets_do_not_move_to_the_loser),
		cmocka_unit_test(takeover_waits_for_each_child),
		cmocka_unit_test(needs_another_one_during_the_takeover),
		cmocka_unit_test(loser_stays_replaced_when_the_winner_is_rekeyed),
		cmocka_unit_test(reload_ends_all),
		cmocka_unit_test(spare_ike_sa_goes),
		cmocka_unit_test(dynamic_connection_goes),
		cmocka_unit_test(old_ike_sa_outlives_its_connection),
		cmocka_unit_test(rekeys_without_end),
		cmocka_unit_test(memory_of_an_idle_pair),
		cmocka_unit_test(used_ones_go_last),
		cmocka_unit_test(many_sas_replaced_at_once),
		cmocka_unit_test(deleted_during_a_rekey),
		cmocka_unit_test(busy_for_long),
		cmocka_unit_test(down_while_it_comes_up),
		cmocka_unit_test(moves_by_ike),
		cmocka_unit_test(a_mapping_is_not_left_alone),
		cmocka_unit_test(foreign_answers),
		cmocka_unit_test(keys_are_for_whom_they_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
