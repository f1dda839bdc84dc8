/*
 * t_cluster.c - RFC 6311 as a peer of a cluster, and negotiation that depends on the peer's
 * configuration (doc/recovery.md 5). SPDX-License-Identifier: ISC
 *
 * The gateway stands for a cluster: the test builds its sync requests, as a member that has taken
 * over would send them.
 */
#include "conn.h"
#include "recovery.h"
#include "one_conn.h"
#include "peers.h"
#include "task/exchanges.h"

/* ---- RFC 6311 ---- */

struct cluster {
	struct net *n;
	struct ike_sa *gw, *branch;
	bool divided; /* the requests of the member come in two fragments */
	struct {
		uint32_t nonce, p1, p2;
		unsigned count;
	} answer;
};

/*
 * Reads the branch's responses on the wire: they have message ID 0, which the gateway's engine
 * drops.
 */
static bool watch(struct net *n, unsigned from, struct datagram *d)
{
	struct cluster *c = n->hook_ctx;
	struct ike_payloads outer = {0}, inner = {0};
	const struct ike_notify_view *v;
	struct ike_header h;
	uint8_t text[512];
	size_t len;

	if (from != BRANCH || d->esp || ike_header_parse(d->p, d->len, &h) < 0 || h.message_id ||
	    h.exchange != IKE_INFORMATIONAL)
		return true;
	assert_true(h.flags & IKE_FLAG_RESPONSE);
	assert_int_equal(
		ike_payloads_parse(h.next, d->p + IKE_HEADER_LEN, d->len - IKE_HEADER_LEN, &outer),
		0);
	assert_int_equal(sk_open(c->gw, d->p, d->len, &outer, text, &len), 0);
	assert_int_equal(ike_payloads_parse(outer.sk_next, text, len, &inner), 0);
	v = ike_find_notify(&inner, NOTIFY_IKEV2_MESSAGE_ID_SYNC);
	if (!v)
		return true; /* the response to an ordinary request with ID 0 */
	assert_int_equal(v->data.len, 12);
	c->answer.nonce = get_be32(v->data.p);
	c->answer.p1 = get_be32(v->data.p + 4);
	c->answer.p2 = get_be32(v->data.p + 8);
	c->answer.count++;
	return true;
}

static void begin(struct cluster *c, bool announced)
{
	struct options o = options_default();

	*c = (struct cluster){.n = net_new(&o)};
	c->n->peer[BRANCH].conf->ha_peer = true;
	c->n->peer[GW].conf->ha_peer = announced;
	net_until(c->n, net_is_up, 10 * SEC, "the tunnel comes up");
	net_run(c->n, SEC);
	c->gw = peer_conn(c->n, GW)->sa;
	c->branch = peer_conn(c->n, BRANCH)->sa;
	c->n->hook = watch;
	c->n->hook_ctx = c;
}

/*
 * The sync request of the member that took over; without IPSEC_REPLAY_COUNTER_SYNC if delta is 0.
 */
static void sync_request(struct cluster *c, uint32_t nonce, uint32_t m1, uint32_t m2,
			 uint32_t delta)
{
	struct ike_header h = {.spi_i = c->gw->spi_i,
			       .spi_r = c->gw->spi_r,
			       .exchange = IKE_INFORMATIONAL,
			       .flags = c->gw->initiator ? IKE_FLAG_INITIATOR : 0};
	uint8_t data[12], leap[4], inside[128], msg[512];
	struct ike_builder b;

	put_be32(data, nonce);
	put_be32(data + 4, m1);
	put_be32(data + 8, m2);
	put_be32(leap, delta);
	ib_inside(&b, inside, sizeof(inside));
	ib_notify(&b, PROTOCOL_NONE, (struct chunk){0}, NOTIFY_IKEV2_MESSAGE_ID_SYNC,
		  (struct chunk){data, sizeof(data)});
	if (delta)
		ib_notify(&b, PROTOCOL_NONE, (struct chunk){0}, NOTIFY_IPSEC_REPLAY_COUNTER_SYNC,
			  (struct chunk){leap, sizeof(leap)});
	for (uint16_t i = 0; i < (c->divided ? 2 : 1); i++) {
		struct fragment_head f = {.exchange = h.exchange,
					  .next = i ? PAYLOAD_NONE : PAYLOAD_NOTIFY,
					  .number = i + 1u,
					  .total = c->divided ? 2 : 0};
		struct chunk text = {inside, b.w.len};

		if (c->divided) /* 20 bytes, and the rest */
			text = i ? (struct chunk){inside + 20, b.w.len - 20}
				 : (struct chunk){inside, 20};
		net_inject(c->n, BRANCH, false, msg,
			   (uint32_t)skf_seal(c->gw, &h, &f, text, msg, sizeof(msg)));
	}
	net_run(c->n, 10 * MSEC);
}

static void answered(const struct cluster *c, unsigned count, uint32_t nonce, uint32_t p1,
		     uint32_t p2)
{
	assert_int_equal(c->answer.count, count);
	assert_int_equal(c->answer.nonce, nonce);
	assert_int_equal(c->answer.p1, p1);
	assert_int_equal(c->answer.p2, p2);
}

/*
 * A sync moves message IDs and replay counters; the same request again gets the same response and
 * moves nothing; M1 must rise.
 */
static void moves_and_rises(bool divided)
{
	struct cluster c;
	uint32_t next, expected;
	uint64_t number;

	begin(&c, true);
	c.divided = divided;
	assert_true(c.branch->ha_peer);
	next = c.branch->window.next_id;
	expected = c.branch->window.expected_id;
	number = peer_sa(c.n, BRANCH, 0)->out.number;
	sync_request(&c, 7, expected + 5, next + 3, 1000);
	answered(&c, 1, 7, next + 3, expected + 5);
	assert_int_equal(c.branch->window.next_id, next + 3);
	assert_int_equal(c.branch->window.expected_id, expected + 5);
	assert_int_equal(peer_sa(c.n, BRANCH, 0)->out.number, number + 1000);
	/* the same request again: no counter moves twice */
	sync_request(&c, 7, expected + 5, next + 3, 1000);
	answered(&c, 2, 7, next + 3, expected + 5);
	assert_int_equal(peer_sa(c.n, BRANCH, 0)->out.number, number + 1000);
	/* a request with an older M1, or the same M1 and another nonce, is a replay */
	sync_request(&c, 8, expected + 4, next + 9, 1000);
	sync_request(&c, 9, expected + 5, next + 9, 1000);
	assert_int_equal(c.answer.count, 2);
	assert_int_equal(c.branch->window.next_id, next + 3);
	/* the next failover */
	sync_request(&c, 10, expected + 6, next, 0);
	answered(&c, 3, 10, next + 3, expected + 6);
	net_free(c.n);
}

static void sync_moves_and_rises(void **state)
{
	(void)state;
	moves_and_rises(false);
}

/* A sync in fragments (RFC 7383), whose message ID is 0 as well. */
static void sync_in_fragments(void **state)
{
	(void)state;
	moves_and_rises(true);
}

/*
 * A sync whose M1 is lower than the branch expects is ignored: requests of before the takeover are
 * not accepted again.
 */
static void sync_below_what_was_seen(void **state)
{
	struct cluster c;
	uint32_t expected;

	(void)state;
	begin(&c, true);
	for (unsigned i = 0; i < 3; i++) {
		ike_liveness(c.gw, 0, c.n->now);
		net_run(c.n, 10 * MSEC);
	}
	expected = c.branch->window.expected_id;
	assert_true(expected >= 3);
	sync_request(&c, 7, expected - 1, c.branch->window.next_id, 1000);
	assert_int_equal(c.answer.count, 0);
	assert_int_equal(c.branch->window.expected_id, expected);
	net_free(c.n);
}

/*
 * Both sides rekey the IKE SA at once, the branch's request is lost, and the member that takes over
 * knows of neither rekey: the branch's rekey continues, and the IKE SA that the dead member's rekey
 * made is dropped.
 */
static void sync_in_a_collision(void **state)
{
	struct cluster c;

	(void)state;
	begin(&c, true);
	c.n->cut_ike[BRANCH] = c.n->now + 100 * MSEC;
	ike_sa_rekey(c.branch, c.n->now);
	net_run(c.n, 10 * MSEC);
	ike_sa_rekey(c.gw, c.n->now);
	net_run(c.n, 100 * MSEC);
	assert_non_null(rekey_ike_rival(c.branch->outstanding));
	assert_int_equal(peer_ike_sas(c.n, BRANCH), 2);
	task_free(exchange_done(c.gw));
	sync_request(&c, 7, c.branch->window.expected_id, c.branch->window.next_id - 1, 0);
	assert_int_equal(c.answer.count, 1);
	net_run(c.n, 60 * SEC);
	assert_true(peer_conn(c.n, BRANCH)->sa->spi_i == peer_conn(c.n, GW)->sa->spi_i);
	assert_int_equal(peer_ike_sas(c.n, BRANCH), 1);
	assert_int_equal(peer_ike_sas(c.n, GW), 1);
	assert_true(net_is_up(c.n));
	net_free(c.n);
}

/* A sync that moves the message ID too far is refused; the leap of a replay counter is limited. */
static void sync_is_bounded(void **state)
{
	struct cluster c;
	uint32_t next, expected;
	uint64_t number;

	(void)state;
	begin(&c, true);
	next = c.branch->window.next_id;
	expected = c.branch->window.expected_id;
	sync_request(&c, 1, expected, next + 70000, 5);
	assert_int_equal(c.answer.count, 0);
	assert_int_equal(c.branch->window.next_id, next);
	number = peer_sa(c.n, BRANCH, 0)->out.number;
	sync_request(&c, 2, expected, next, UINT32_MAX);
	assert_int_equal(c.answer.count, 1);
	assert_int_equal(peer_sa(c.n, BRANCH, 0)->out.number, number + ESP_LEAP_MAX);
	net_free(c.n);
}

/* A sync from a peer that did not announce support for it is ignored. */
static void sync_needs_announcement(void **state)
{
	struct cluster c;
	uint32_t next;

	(void)state;
	begin(&c, false);
	assert_false(c.branch->ha_peer);
	next = c.branch->window.next_id;
	sync_request(&c, 1, c.branch->window.expected_id + 5, next + 3, 9);
	assert_int_equal(c.answer.count, 0);
	assert_int_equal(c.branch->window.next_id, next);
	net_free(c.n);
}

/* The branch's outstanding rekey is sent again under the new message ID, and succeeds. */
static void pending_rekey_goes_again(void **state)
{
	struct cluster c;
	uint32_t next;

	(void)state;
	begin(&c, true);
	c.n->rate[GW] = 1000;
	net_run(c.n, 3 * SEC);
	c.n->cut[BRANCH] = true;
	gw_rewind(c.n, 0, 1500, false);
	net_run(c.n, 400 * MSEC);
	assert_non_null(c.branch->outstanding);
	next = c.branch->window.next_id;
	c.n->cut[BRANCH] = false;
	/* The member that takes over uses the message IDs of its own sync request. */
	c.gw->window.next_id = c.branch->window.expected_id + 2;
	c.gw->window.expected_id = next + 4;
	sync_request(&c, 3, c.branch->window.expected_id + 2, next + 4, 100);
	answered(&c, 1, 3, next + 4, c.gw->window.next_id);
	net_run(c.n, SEC);
	assert_string_equal(last_record(c.n, 0)->outcome, "recovered");
	assert_int_equal(last_record(c.n, 0)->rung, 1);
	assert_true(last_record(c.n, 0)->sync != 0);
	assert_int_equal(last_record(c.n, 0)->lost, 0);
	net_free(c.n);
}

/* A sync without a recovery under way leaves a record of its own. */
static void sync_leaves_a_record(void **state)
{
	struct cluster c;

	(void)state;
	begin(&c, true);
	sync_request(&c, 3, c.branch->window.expected_id + 1, c.branch->window.next_id, 0);
	assert_int_equal(last_record(c.n, 0)->criterion, CRITERION_SYNC);
	assert_true(last_record(c.n, 0)->sync != 0);
	net_free(c.n);
}

/*
 * A cluster that changes over all the time: the syncs are one record with a count, and the record
 * of the recovery is kept.
 */
static void syncs_do_not_push_records_out(void **state)
{
	static const char anew[] = "message IDs agreed on anew";
	struct cluster c;

	(void)state;
	begin(&c, true);
	c.n->rate[GW] = 1000;
	net_run(c.n, 3 * SEC);
	gw_rewind(c.n, 0, 1500, false);
	net_run(c.n, SEC);
	assert_int_equal(peer_records(c.n, BRANCH, "recovered"), 1);
	for (uint32_t i = 1; i <= 20; i++) {
		sync_request(&c, i, c.branch->window.expected_id + 1, c.branch->window.next_id, 0);
		assert_int_equal(c.answer.count, i);
	}
	assert_int_equal(peer_records(c.n, BRANCH, "recovered"), 1);
	assert_int_equal(peer_records(c.n, BRANCH, anew), 1);
	assert_string_equal(last_record(c.n, 0)->outcome, anew);
	assert_int_equal(last_record(c.n, 0)->count, 20);
	assert_true(c.n->now - last_record(c.n, 0)->sync <= 10 * MSEC); /* the newest of them */
	net_free(c.n);
}

/* ---- negotiation with the peer's proposals ---- */

static const char both[] = "aes128gcm16-x25519,aes128gcm16";

/*
 * Each side rekeys once with the proposals that it has: CREATE_CHILD_SA succeeds, with the expected
 * suite.
 */
static void rekeys_fit(const char *branch, const char *gw, const char *expected)
{
	struct options o = options_default();
	char suite[96];
	struct net *n;

	o.esp = branch;
	o.esp_gw = gw;
	n = net_new(&o);
	net_until(n, net_is_up, 10 * SEC, "the tunnel comes up");
	for (unsigned i = 0; i < 2; i++) {
		tunnel_child_rekey(peer_child(n, i, 0), n->now);
		net_run(n, SEC);
		assert_int_equal(peer_child(n, i, 0)->rekeys, i + 1);
		assert_int_equal(peer_child_sas(n, BRANCH), 1);
		assert_int_equal(peer_ike_sas(n, BRANCH), 1);
		assert_string_equal(choice_format(&peer_child(n, BRANCH, 0)->current->ike->choice,
						  suite, sizeof(suite)),
				    expected);
	}
	net_free(n);
}

static void pfs_on_one_side(void **state)
{
	(void)state;
	rekeys_fit(both, "aes128gcm16", "aes128gcm16-noesn");
	rekeys_fit("aes128gcm16", both, "aes128gcm16-noesn");
	rekeys_fit(both, "aes128gcm16-x25519", "aes128gcm16-x25519-noesn");
	rekeys_fit("aes128gcm16-x25519", both, "aes128gcm16-x25519-noesn");
	rekeys_fit(both, both, "aes128gcm16-x25519-noesn");
	/* the gateway chooses the second proposal, whose key exchange it does not want */
	rekeys_fit("aes256gcm16-x25519,aes128gcm16", "aes128gcm16", "aes128gcm16-noesn");
}

/*
 * The gateway has two connections for any peer, with different IKE proposals: a peer with the
 * second one's proposals gets that connection.
 */
static void second_connection_is_reached(void **state)
{
	struct options o = options_default();
	struct net *n = net_new(&o);
	struct conn_conf *first = n->peer[GW].conf, *second;
	struct conn_set set = {.count = 2};
	struct options other = o;
	struct net *m;

	(void)state;
	other.ike = "aes128-sha256-x25519";
	m = net_new(&other);
	second = m->peer[GW].conf;
	conn_ref(second);
	net_free(m);
	free(second->name);
	second->name = strdup("second");
	set.v = (const struct conn_conf *[]){first, second};
	set.secrets = one_secret("a secret that both have");
	/* a branch with the proposals of the second connection, and a gateway that has both */
	other.ike_gw = NULL;
	m = net_new(&other);
	tunnel_configure(m->peer[GW].tunnel, &set, NULL, m->now);
	psk_store_unref(set.secrets);
	net_until(m, net_is_up, 10 * SEC, "the second connection answers");
	assert_string_equal(peer_conn(m, GW)->conf->name, "second");
	net_free(m);
	conn_unref(second);
	net_free(n);
}

/*
 * replay_window = 0: every authentic packet is delivered, also under a used number, and no rekey is
 * induced.
 */
static void without_protection(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.window = 0;
	o.esp = "aes128gcm16-x25519";
	n = net_new(&o);
	net_until(n, net_is_up, 10 * SEC, "the tunnel comes up");
	n->rate[GW] = 1000;
	net_run(n, 3 * SEC);
	gw_rewind(n, 0, 2000, false);
	net_run(n, 3 * SEC);
	assert_int_equal(peer_child(n, BRANCH, 0)->recoveries, 0);
	assert_in_range(n->peer[BRANCH].delivered, n->peer[GW].sent - 2, n->peer[GW].sent);
	net_free(n);
}

/*
 * A connection for any peer initiates to where its peer was last heard, and demands the peer's
 * earlier identity; it cannot when a NAT has translated the peer's port.
 */
static void calls_back_the_same_peer(void **state)
{
	struct options o = options_default();
	struct ident branch;
	struct tunnel_conn *c;
	struct net *n;

	(void)state;
	o.gw_any = true;
	n = net_new(&o);
	net_until(n, net_is_up, 10 * SEC, "the tunnel comes up");
	c = peer_conn(n, GW);
	assert_int_equal(ident_parse("branch.example", &branch), 0);
	c->sa->remote.port = 31000;
	assert_false(conn_can_call(c));
	c->sa->remote.port = IKE_PORT_NATT;
	assert_true(conn_can_call(c));
	recovery_climb(peer_child(n, GW, 0)->current, CRITERION_PROOF, "test", n->now);
	net_run(n, 5 * SEC);
	assert_true(c->sa->initiator);
	assert_int_equal(c->sa->state, IKE_STATE_ESTABLISHED);
	assert_true(ident_eq(&c->sa->wanted_id, &branch));
	assert_int_equal(peer_ike_sas(n, GW), 1);
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sync_moves_and_rises),
		cmocka_unit_test(sync_in_fragments),
		cmocka_unit_test(sync_is_bounded),
		cmocka_unit_test(sync_below_what_was_seen),
		cmocka_unit_test(sync_in_a_collision),
		cmocka_unit_test(sync_needs_announcement),
		cmocka_unit_test(pending_rekey_goes_again),
		cmocka_unit_test(sync_leaves_a_record),
		cmocka_unit_test(syncs_do_not_push_records_out),
		cmocka_unit_test(pfs_on_one_side),
		cmocka_unit_test(second_connection_is_reached),
		cmocka_unit_test(without_protection),
		cmocka_unit_test(calls_back_the_same_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
