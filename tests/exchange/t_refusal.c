/*
 * t_refusal.c - NO_PROPOSAL_CHOSEN: log and owner learn what was offered, in each exchange and
 * role. SPDX-License-Identifier: ISC
 */
#include "peers.h"

static void assert_told(struct net *n, const struct tunnel_refusal *r, const char *exchange,
			bool by_peer, const char *text)
{
	if (!r)
		net_fail(n, "no refusal is kept");
	assert_string_equal(r->exchange, exchange);
	assert_int_equal(r->by_peer, by_peer);
	assert_string_equal(r->text, text);
	assert_in_range(r->at, 1, n->now);
}

static void no_ike_proposal(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.ike = "aes256gcm16-prfsha384-x25519-ecp256,aes128-sha256-modp2048";
	o.ike_gw = "aes256-sha512-modp4096";
	o.gw_calls = true;
	n = net_new(&o);
	net_run(n, 30 * SEC);
	assert_told(n, peer_conn(n, BRANCH)->refusal, "IKE_SA_INIT", true,
		    "we offered aes256gcm16-prfsha384-x25519-ecp256, "
		    "aes128-sha256-modp2048-prfsha256");
	assert_told(n, peer_conn(n, GW)->refusal, "IKE_SA_INIT", false,
		    "the peer offers aes256gcm16-prfsha384-x25519-ecp256, "
		    "aes128-sha256-modp2048-prfsha256; we have aes256-sha512-modp4096-prfsha512");
	assert_null(n->peer[GW].tunnel->refusal);
	assert_null(peer_child(n, BRANCH, 0)->refusal);
	assert_true(net_logged(
		n, "gw: the peer refused IKE_SA_INIT with NO_PROPOSAL_CHOSEN: we offered "
		   "aes256gcm16"));
	assert_true(net_logged(n, "branch: IKE_SA_INIT from 192.0.2.10:500 refused: no proposal in "
				  "common: the peer offers "
				  "aes256gcm16"));
	net_free(n);
}

/* A connection that only responds has no peer yet: the tunnel keeps its last refusal. */
static void no_ike_proposal_of_anyone(void **state)
{
	struct options o = options_default();
	const struct tunnel_refusal *r;
	struct net *n;

	(void)state;
	o.ike = "aes256gcm16-prfsha384-x25519";
	o.ike_gw = "aes256-sha512-modp4096";
	n = net_new(&o);
	net_run(n, 30 * SEC);
	r = n->peer[GW].tunnel->refusal;
	assert_told(n, r, "IKE_SA_INIT", false,
		    "the peer offers aes256gcm16-prfsha384-x25519; we have "
		    "aes256-sha512-modp4096-prfsha512");
	assert_string_equal(r->conn, "branch");
	net_free(n);
}

static void no_esp_proposal(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.esp = "aes128gcm16-x25519-noesn,aes128gcm16-noesn";
	o.esp_gw = "aes256-sha512-ecp384-esn";
	n = net_new(&o);
	net_run(n, 2 * SEC);
	/* IKE_AUTH says nothing of key exchanges */
	assert_told(n, peer_child(n, BRANCH, 0)->refusal, "IKE_AUTH", true,
		    "we offered aes128gcm16-noesn");
	assert_told(n, peer_child(n, GW, 0)->refusal, "IKE_AUTH", false,
		    "the peer offers aes128gcm16-noesn; we have aes256-sha512-esn");
	assert_null(peer_conn(n, BRANCH)->refusal);
	net_run(n, 20 * SEC);
	/* then the child is asked for again by CREATE_CHILD_SA, at last without a key exchange */
	assert_string_equal(peer_child(n, BRANCH, 0)->refusal->exchange, "CREATE_CHILD_SA");
	assert_string_equal(peer_child(n, BRANCH, 0)->refusal->text,
			    "we offered aes128gcm16-noesn");
	assert_told(n, peer_child(n, GW, 0)->refusal, "CREATE_CHILD_SA", false,
		    "the peer offers aes128gcm16-noesn; we have aes256-sha512-ecp384-esn");
	assert_true(net_logged(n, "gw/net0: the peer refused CREATE_CHILD_SA"));
	assert_true(net_logged(n, "branch/net0: CREATE_CHILD_SA of the peer refused"));
	net_free(n);
}

/* After the tunnel is up the gateway is given other proposals: rekeys are refused. */
static void no_proposal_for_rekeys(void **state)
{
	struct options o = options_default();
	struct conn_conf *conf;
	char err[PROPOSAL_ERR];
	struct net *n;

	(void)state;
	o.ike = "aes128-sha256-ecp256";
	o.esp = "aes128gcm16-ecp256-noesn";
	n = net_up(&o);
	conf = n->peer[GW].conf;
	proposals_free(&conf->proposals);
	proposals_free(&conf->children[0].proposals);
	assert_int_equal(
		proposals_add_text(&conf->proposals, "aes256-sha384-ecp384", PROTOCOL_IKE, err), 0);
	assert_int_equal(proposals_add_text(&conf->children[0].proposals, "aes256gcm16-noesn",
					    PROTOCOL_ESP, err),
			 0);
	ike_sa_rekey(peer_conn(n, BRANCH)->sa, n->now);
	net_run(n, SEC);
	assert_told(n, peer_conn(n, BRANCH)->refusal, "CREATE_CHILD_SA", true,
		    "we offered aes128-sha256-ecp256-prfsha256");
	assert_told(n, peer_conn(n, GW)->refusal, "CREATE_CHILD_SA", false,
		    "the peer offers aes128-sha256-ecp256-prfsha256; we have "
		    "aes256-sha384-ecp384-prfsha384");
	tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
	net_run(n, 20 * MSEC);
	assert_told(n, peer_child(n, BRANCH, 0)->refusal, "CREATE_CHILD_SA", true,
		    "we offered aes128gcm16-ecp256-noesn");
	assert_told(n, peer_child(n, GW, 0)->refusal, "CREATE_CHILD_SA", false,
		    "the peer offers aes128gcm16-ecp256-noesn; we have aes256gcm16-noesn");
	net_free(n);
}

/* What fits tells nothing. */
static void nothing_is_told(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.ike = o.esp = "default";
	o.ike_gw = "aes128-sha256-modp2048";
	o.esp_gw = "aes128-sha256-noesn";
	n = net_up(&o);
	tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
	net_run(n, 5 * SEC);
	assert_int_equal(peer_child(n, BRANCH, 0)->rekeys, 1);
	for (unsigned i = 0; i < 2; i++) {
		assert_null(peer_conn(n, i)->refusal);
		assert_null(peer_child(n, i, 0)->refusal);
		assert_null(n->peer[i].tunnel->refusal);
	}
	net_free(n);
}

/*
 * Whoever calls again and again, with as much as a message holds: one refusal is kept, its text is
 * short, and the lines of the log are limited.
 */
static void callers_are_limited(void **state)
{
	static uint8_t m[IKE_MAX_MESSAGE], value[32] = {9};
	static struct proposal p = {.protocol = PROTOCOL_IKE};
	struct proposal_list l = {.count = 1, .p = &p};
	struct options o = options_default();
	unsigned lines = 0;
	struct net *n;

	(void)state;
	o.start = START_NONE;
	o.set.cookie_threshold = 1000;
	o.set.half_open_per_address = 2000;
	n = net_new(&o);
	for (unsigned i = 0; i < PROPOSAL_TRANSFORMS; i++)
		proposal_add(&p, (struct transform){TRANSFORM_ENCR, (uint16_t)(2000 + i), 256});
	for (unsigned i = 1; i <= 200; i++) {
		struct ike_header h = {
			.spi_i = i, .exchange = IKE_SA_INIT, .flags = IKE_FLAG_INITIATOR};
		struct ike_builder b;

		ib_message(&b, m, sizeof(m), &h);
		proposals_write(&b, &l, (struct chunk){0}, PROPOSAL_KEX);
		ib_ke(&b, GROUP_X25519, (struct chunk){value, sizeof(value)});
		value[0] = (uint8_t)i;
		ib_payload(&b, PAYLOAD_NONCE, (struct chunk){value, sizeof(value)});
		net_inject(n, GW, false, m, (uint32_t)ib_finish(&b));
	}
	assert_non_null(n->peer[GW].tunnel->refusal);
	assert_in_range(strlen(n->peer[GW].tunnel->refusal->text), 300, REFUSAL_STRLEN - 1);
	assert_non_null(strstr(n->peer[GW].tunnel->refusal->text, "-encr(2003/256)-"));
	assert_non_null(strstr(n->peer[GW].tunnel->refusal->text, "...; we have aes256gcm16"));
	for (unsigned i = 0; i < LOG_LINES; i++)
		lines += strstr(n->log[i], "no proposal in common") != NULL;
	assert_in_range(lines, 1, 25);
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_ike_proposal), cmocka_unit_test(no_ike_proposal_of_anyone),
		cmocka_unit_test(no_esp_proposal), cmocka_unit_test(no_proposal_for_rekeys),
		cmocka_unit_test(nothing_is_told), cmocka_unit_test(callers_are_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
