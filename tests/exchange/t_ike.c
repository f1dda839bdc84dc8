/*
 * t_ike.c - IKEv2 between two whole peers: algorithms, negotiation, refusals, message IDs, limits,
 * collisions. SPDX-License-Identifier: ISC
 */
#include "peers.h"
#include "sa/half_open.h"
#include "task/exchanges.h"
#include "crypto/kex.h"

/* ---- algorithms ---- */

static void every_suite_and_group(void **state)
{
	static const uint16_t groups[] = {GROUP_MODP_2048,  GROUP_MODP_3072,  GROUP_MODP_4096,
					  GROUP_MODP_6144,  GROUP_MODP_8192,  GROUP_ECP_256,
					  GROUP_ECP_384,    GROUP_ECP_521,    GROUP_ECP_256_BP,
					  GROUP_ECP_384_BP, GROUP_ECP_512_BP, GROUP_X25519,
					  GROUP_X448};
	static const char *const prfs[] = {"prfsha256", "prfsha384", "prfsha512", "prfsha1"};
	const size_t groups_count = ARRAY_SIZE(groups);
	size_t count;
	const struct suite *t = suite_table(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		struct options o = options_default();
		char ike[128], esp[128];
		struct net *n;

		snprintf(ike, sizeof(ike), "%s-%s-%s", t[i].name, prfs[i % 4],
			 kex_name(groups[i % groups_count]));
		snprintf(esp, sizeof(esp), "%s-%s-%s", t[i].name,
			 kex_name(groups[(i + 3) % groups_count]), i % 2 ? "esn" : "noesn");
		o.ike = ike;
		o.esp = esp;
		n = net_up(&o);
		net_traffic(n, 0);
		tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
		net_run(n, SEC);
		assert_int_equal(peer_child(n, BRANCH, 0)->rekeys, 1);
		assert_int_equal(peer_child(n, BRANCH, 0)->current->ike->choice.group,
				 groups[(i + 3) % groups_count]);
		net_traffic(n, 0);
		ike_sa_rekey(peer_conn(n, GW)->sa, n->now);
		net_run(n, SEC);
		assert_int_equal(peer_ike_sas(n, BRANCH), 1);
		net_traffic(n, 0);
		net_free(n);
	}
}

static void proposals_in_common(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.ike = "aes256gcm16-prfsha512-ecp384,aes128-sha256-x25519";
	o.ike_gw = "chacha20poly1305-prfsha256-x25519,aes128-sha256-x25519";
	o.esp = "chacha20poly1305-esn,aes128-sha256-noesn";
	o.esp_gw = "aes256gcm16-esn,aes128-sha256-noesn";
	n = net_up(&o);
	assert_string_equal(peer_conn(n, BRANCH)->sa->choice.suite->name, "aes128-sha256");
	assert_string_equal(peer_child(n, GW, 0)->current->ike->choice.suite->name,
			    "aes128-sha256");
	net_traffic(n, 0);
	net_free(n);
	o.ike_gw = "aes256-sha512-modp4096";
	n = net_new(&o);
	net_run(n, 30 * SEC);
	assert_false(net_is_up(n));
	assert_true(net_logged(n, "NO_PROPOSAL_CHOSEN"));
	assert_int_equal(peer_ike_sas(n, GW), 0);
	net_free(n);
}

static void invalid_ke_everywhere(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	/* the branch begins with groups that the gateway does not have */
	o.ike = "aes128-sha256-ecp256-x25519";
	o.ike_gw = "aes128-sha256-x25519";
	o.esp = "aes128gcm16-ecp384-x25519-noesn";
	o.esp_gw = "aes128gcm16-x25519-noesn";
	n = net_up(&o);
	assert_int_equal(peer_conn(n, BRANCH)->sa->choice.group, GROUP_X25519);
	tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
	net_run(n, SEC);
	assert_int_equal(peer_child(n, BRANCH, 0)->rekeys, 1);
	assert_int_equal(peer_child(n, BRANCH, 0)->current->ike->choice.group, GROUP_X25519);
	net_traffic(n, 0);
	net_free(n);
}

/* ---- identities ---- */

static void authentication(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.psk_gw = "another secret";
	n = net_new(&o);
	net_run(n, 10 * SEC);
	assert_false(net_is_up(n));
	assert_true(net_logged(n, "AUTHENTICATION_FAILED"));
	assert_int_equal(n->peer[GW].tunnel->ike->half_open, 0);
	assert_int_equal(peer_child_sas(n, GW), 0);
	net_free(n);
	o = options_default();
	o.gw_any = true;
	n = net_up(&o);
	net_traffic(n, 0);
	net_free(n);
}

/*
 * The branch loses its IKE SA and initiates a new one: by its INITIAL_CONTACT the gateway deletes
 * the old SAs.
 */
static void initial_contact(void **state)
{
	struct options o = options_default();
	struct net *n = net_up(&o);

	(void)state;
	n->cut[BRANCH] = true;
	ike_sa_drop(peer_conn(n, BRANCH)->sa, "restart", n->now);
	n->cut[BRANCH] = false;
	net_until(n, net_is_up, 10 * SEC, "up again");
	net_run(n, SEC);
	assert_int_equal(peer_ike_sas(n, GW), 1);
	assert_int_equal(peer_child_sas(n, GW), 1);
	assert_true(net_logged(n, "INITIAL_CONTACT"));
	net_traffic(n, 0);
	net_free(n);
}

/* ---- traffic selectors ---- */

static void bad_selectors_leave_the_ike_sa(void **state)
{
	struct options o = options_default();
	struct net *n;
	struct ts_list *ts;

	(void)state;
	o.start = START_NONE;
	n = net_new(&o);
	ts = n->peer[GW].conf->children[0].local_ts;
	assert_int_equal(ts_parse("10.9.0.0/24", &ts->ts[0]), 0);
	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_run(n, 5 * SEC);
	assert_false(net_is_up(n));
	assert_true(net_logged(n, "TS_UNACCEPTABLE"));
	assert_int_equal(peer_ike_sas(n, BRANCH), 1);
	assert_int_equal(peer_ike_sas(n, GW), 1);
	net_free(n);
}

static void narrowing(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.start = START_NONE;
	n = net_new(&o);
	assert_int_equal(
		ts_parse("10.2.0.0/16", &n->peer[BRANCH].conf->children[0].remote_ts->ts[0]), 0);
	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_until(n, net_is_up, 5 * SEC, "up");
	assert_true(ts_list_eq(peer_child(n, BRANCH, 0)->current->policy.remote,
			       n->peer[GW].conf->children[0].local_ts));
	net_traffic(n, 0);
	net_free(n);
}

static void trap(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.start = START_TRAP;
	n = net_new(&o);
	net_run(n, 5 * SEC);
	assert_int_equal(peer_ike_sas(n, BRANCH), 0);
	for (unsigned i = 0; i < 10; i++)
		net_packet(n, BRANCH, 0);
	net_until(n, net_is_up, 5 * SEC, "the first packet brings it up");
	net_run(n, SEC);
	assert_int_equal(peer_child_sas(n, GW), 1);
	net_traffic(n, 0);
	net_free(n);
}

/*
 * A trap sees 1,000 packets/s for a child that the gateway refuses: the branch does not send a
 * request for each of them.
 */
static void trap_refused(void **state)
{
	struct options o = options_default();
	struct net *n;
	struct ts_list *ts;

	(void)state;
	o.start = START_TRAP;
	n = net_new(&o);
	ts = n->peer[GW].conf->children[0].local_ts;
	assert_int_equal(ts_parse("10.9.0.0/24", &ts->ts[0]), 0);
	n->rate[BRANCH] = 1000;
	net_run(n, 60 * SEC);
	assert_in_range(n->peer[BRANCH].ike_sent, 3, 10);
	assert_int_equal(peer_ike_sas(n, GW), 1);
	net_free(n);
	o.psk_gw = "another secret";
	n = net_new(&o);
	n->rate[BRANCH] = 1000;
	net_run(n, 60 * SEC);
	assert_in_range(n->peer[BRANCH].ike_sent, 8, 24);
	net_free(n);
}

/*
 * The gateway wants net1, and the branch initiates an IKE SA with net0 only: the gateway requests
 * net1 on it.
 */
static void wanted_beside_what_comes(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.children = 2;
	o.start = START_NONE;
	o.gw_calls = true;
	n = net_new(&o);
	n->cut[GW] = true;
	tunnel_child_up(peer_child(n, GW, 1), n->now);
	net_run(n, 100 * SEC);
	n->cut[GW] = false;
	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_run(n, 5 * SEC);
	assert_non_null(peer_child(n, BRANCH, 0)->current);
	assert_non_null(peer_child(n, BRANCH, 1)->current);
	assert_non_null(peer_child(n, GW, 1)->current);
	net_free(n);
}

/* ---- message IDs, replays, malformed messages ---- */

struct tape {
	uint8_t p[IKE_MAX_MESSAGE], answer[IKE_MAX_MESSAGE];
	uint32_t len, answer_len;
	unsigned same; /* responses equal to the recorded one, while `take` is false */
	bool take;
};

/* Keeps the branch's last IKE message, and the gateway's response to it. */
static bool tape_hook(struct net *n, unsigned from, struct datagram *d)
{
	struct tape *t = n->hook_ctx;

	if (d->esp)
		return true;
	if (from == BRANCH && t->take) {
		memcpy(t->p, d->p, d->len);
		t->len = d->len;
	} else if (from == GW && !t->take) {
		t->same += d->len == t->answer_len && memcmp(d->p, t->answer, d->len) == 0;
	} else if (from == GW) {
		memcpy(t->answer, d->p, d->len);
		t->answer_len = d->len;
	}
	return true;
}

static void retransmissions_get_the_same_bytes(void **state)
{
	static struct tape t;
	struct options o = options_default();
	struct net *n = net_up(&o);
	uint32_t expected;

	(void)state;
	t = (struct tape){.take = true};
	n->hook = tape_hook;
	n->hook_ctx = &t;
	tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
	net_run(n, SEC); /* the last request is the DELETE of the old one */
	t.take = false;
	expected = peer_conn(n, GW)->sa->window.expected_id;
	for (unsigned i = 0; i < 5; i++)
		net_inject(n, GW, false, t.p, t.len);
	net_run(n, SEC);
	assert_int_equal(t.same, 5);
	assert_int_equal(peer_conn(n, GW)->sa->window.expected_id, expected);
	assert_true(ike_counters(n->peer[GW].tunnel->ike)[IKE_COUNT_RETRANSMITTED] >= 5);
	assert_int_equal(peer_child_sas(n, GW), 1);
	/* a request with any bit changed is not accepted; every seventh bit is tried */
	for (unsigned i = 0; i < t.len * 8; i += 7) {
		t.p[i / 8] ^= (uint8_t)(1u << i % 8);
		net_inject(n, GW, false, t.p, t.len);
		t.p[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	assert_int_equal(peer_conn(n, GW)->sa->window.expected_id, expected);
	assert_int_equal(peer_child_sas(n, GW), 1);
	net_traffic(n, 0);
	net_free(n);
}

/* Notes where the gateway's last IKE message was sent to. */
static bool answer_hook(struct net *n, unsigned from, struct datagram *d)
{
	if (from == GW && !d->esp)
		*(struct endpoint *)n->hook_ctx = d->dest;
	return true;
}

/*
 * RFC 7296 2.11: a response goes to where the request came from; a retransmission may come from
 * another port.
 */
static void answers_go_to_the_asker(void **state)
{
	static struct tape t;
	struct options o = options_default();
	struct net *n = net_up(&o);
	struct endpoint local = n->peer[GW].address, from = n->peer[BRANCH].address, to = {0};

	(void)state;
	t = (struct tape){.take = true};
	n->hook = tape_hook;
	n->hook_ctx = &t;
	ike_liveness(peer_conn(n, BRANCH)->sa, 0, n->now);
	tunnel_turn(n->peer[BRANCH].tunnel, n->now);
	net_drop_queued(n); /* the gateway does not receive it */
	n->hook = answer_hook;
	n->hook_ctx = &to;
	for (uint16_t port = 7000; port < 7003; port++) {
		from.port = port;
		tunnel_receive_ike(n->peer[GW].tunnel, &local, &from, t.p, t.len, n->now);
		assert_int_equal(to.port, port);
	}
	net_free(n);
}

static void put_message(struct net *n, uint8_t version, uint8_t exchange, uint8_t flags,
			uint16_t notify)
{
	struct ike_header h = {.spi_i = peer_conn(n, GW)->sa->spi_i,
			       .spi_r = peer_conn(n, GW)->sa->spi_r,
			       .exchange = exchange,
			       .flags = flags};
	struct ike_builder b;
	uint8_t msg[256];
	size_t len;

	ib_message(&b, msg, sizeof(msg), &h);
	if (notify)
		ib_notify(&b, 0, (struct chunk){0}, notify, (struct chunk){0});
	len = ib_finish(&b);
	msg[17] = version;
	net_inject(n, GW, false, msg, (uint32_t)len);
}

static void versions(void **state)
{
	struct options o = options_default();
	struct net *n = net_up(&o);
	uint64_t before = n->peer[GW].ike_sent;

	(void)state;
	put_message(n, 0x10, 2, 0, 0); /* IKEv1: no answer */
	assert_int_equal(n->peer[GW].ike_sent, before);
	put_message(n, 0x21, IKE_INFORMATIONAL, IKE_FLAG_INITIATOR,
		    0); /* a minor version is ignored */
	for (unsigned i = 0; i < 1000; i++)
		put_message(n, 0x30, IKE_SA_INIT, IKE_FLAG_INITIATOR, 0);
	assert_in_range(n->peer[GW].ike_sent - before, 1, 6);
	net_traffic(n, 0);
	net_free(n);
}

/*
 * Unprotected error notifies cause at most one liveness check per second, and none while the peer
 * has been heard recently: hence the 10 s of silence.
 */
static void outsiders_hints(void **state)
{
	struct options o = options_default();
	struct net *n = net_up(&o);
	uint64_t before;

	(void)state;
	net_run(n, 10 * SEC);
	before = n->peer[GW].ike_sent;
	for (unsigned i = 0; i < 1000; i++)
		put_message(n, 0x20, IKE_INFORMATIONAL, IKE_FLAG_RESPONSE | IKE_FLAG_INITIATOR,
			    i % 2 ? NOTIFY_INVALID_SPI : NOTIFY_INVALID_IKE_SPI);
	net_run(n, 100 * MSEC);
	assert_in_range(n->peer[GW].ike_sent - before, 1, 1);
	assert_int_equal(peer_ike_sas(n, GW), 1);
	net_traffic(n, 0);
	net_free(n);
}

/*
 * A protected request with an unknown payload (critical or not), an unknown notify or a truncated
 * one gets its response, and the IKE SA stays.
 */
static void inside_protection(void **state)
{
	struct options o = options_default();
	struct net *n = net_up(&o);
	struct ike_sa *sa = peer_conn(n, BRANCH)->sa;
	uint8_t inside[64], msg[512];
	struct ike_builder b;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct ike_header h = {.spi_i = sa->spi_i,
				       .spi_r = sa->spi_r,
				       .exchange = IKE_INFORMATIONAL,
				       .flags = IKE_FLAG_INITIATOR,
				       .message_id = sa->window.next_id++};
		uint64_t before = n->peer[GW].ike_sent;

		ib_inside(&b, inside, sizeof(inside));
		ib_payload(&b, i == 2 ? PAYLOAD_NOTIFY : 200,
			   (struct chunk){(const uint8_t *)"a", 1});
		if (i == 0)
			inside[1] = 0x80; /* 0: critical; 1: not critical; 2: a truncated notify */
		else if (i == 1)	  /* an unknown notify is no error, either */
			ib_notify(&b, 0, (struct chunk){0}, 50000, (struct chunk){0});
		net_inject(n, GW, false, msg, (uint32_t)sk_seal(sa, &h, &b, msg, sizeof(msg)));
		assert_int_equal(n->peer[GW].ike_sent, before + 1);
		net_run(n, 100 * MSEC);
	}
	assert_int_equal(peer_ike_sas(n, GW), 1);
	net_traffic(n, 0);
	net_free(n);
}

/* ---- limits ---- */

/* Delivers an IKE_SA_INIT request from this address to the gateway, with or without a cookie. */
static void init_from(struct net *n, const struct endpoint *from, uint64_t spi, struct chunk cookie,
		      struct chunk public)
{
	struct ike_header h = {.exchange = IKE_SA_INIT, .flags = IKE_FLAG_INITIATOR, .spi_i = spi};
	struct endpoint local = n->peer[GW].address;
	uint8_t msg[1024], nonce[32] = {1};
	struct ike_builder b;

	ib_message(&b, msg, sizeof(msg), &h);
	if (cookie.len)
		ib_notify(&b, PROTOCOL_NONE, (struct chunk){0}, NOTIFY_COOKIE, cookie);
	proposals_write(&b, &n->peer[BRANCH].conf->proposals, (struct chunk){0}, PROPOSAL_KEX);
	ib_ke(&b, GROUP_X25519, public);
	ib_payload(&b, PAYLOAD_NONCE, (struct chunk){nonce, 32});
	tunnel_receive_ike(n->peer[GW].tunnel, &local, from, msg, ib_finish(&b), n->now);
}

/* A message that went out in several datagrams goes out again in all of them. */
static void all_datagrams_again(void **state)
{
	uint8_t first[] = {1, 2, 3}, second[] = {4};
	struct sent_part parts[] = {{first, sizeof(first)}, {second, sizeof(second)}};
	const struct sent_message two = {.part = parts, .count = ARRAY_SIZE(parts)};
	struct options o = options_default();
	struct net *n = net_up(&o);
	struct ike_sa *sa = peer_conn(n, GW)->sa;
	uint64_t before = n->peer[GW].ike_sent;

	(void)state;
	sent_again(sa, &two, &sa->local, &sa->remote, n->now);
	assert_int_equal(n->peer[GW].ike_sent, before + 2);
	net_free(n);
}

/* The last IKE message of the gateway. */
static struct {
	uint8_t b[256];
	size_t len;
} said;

static bool note_what_is_said(struct net *n, unsigned from, struct datagram *d)
{
	(void)n;
	if (from == GW && !d->esp && d->len <= sizeof(said.b)) {
		memcpy(said.b, d->p, d->len);
		said.len = d->len;
	}
	return true;
}

/*
 * RFC 7296 2.5: an IKE_SA_INIT request with an unknown critical payload is answered with
 * UNSUPPORTED_CRITICAL_PAYLOAD, which has the number of that payload; such a response is not
 * answered. Neither leaves a half-open IKE SA.
 */
static void critical_in_the_clear(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.start = START_NONE;
	n = net_new(&o);
	n->hook = note_what_is_said;
	for (unsigned response = 0; response < 2; response++) {
		struct ike_header h = {.exchange = IKE_SA_INIT,
				       .flags = response ? IKE_FLAG_RESPONSE : IKE_FLAG_INITIATOR,
				       .spi_i = 7,
				       .spi_r = response};
		uint8_t msg[256];
		struct ike_builder b;
		size_t len;

		ib_message(&b, msg, sizeof(msg), &h);
		ib_payload(&b, 200, (struct chunk){(const uint8_t *)"a", 1});
		len = ib_finish(&b);
		msg[29] = 0x80; /* the critical bit of the first payload */
		said.len = 0;
		tunnel_receive_ike(n->peer[GW].tunnel, &n->peer[GW].address,
				   &n->peer[BRANCH].address, msg, len, n->now);
		net_run(n, 100 * MSEC);
		assert_int_equal(n->peer[GW].tunnel->ike->half_open, 0);
		if (response) {
			assert_int_equal(said.len, 0);
			continue;
		}
		assert_int_equal(said.len, 28 + 8 + 1);
		assert_int_equal(get_be16(said.b + 28 + 6), NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD);
		assert_int_equal(said.b[28 + 8], 200);
	}
	net_free(n);
}

/* A public value that leads to no shared secret (RFC 7748 6.1: all zeros) leaves no IKE SA. */
static void public_value_of_zeros(void **state)
{
	static const uint8_t zeros[32];
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.start = START_NONE;
	n = net_new(&o);
	init_from(n, &n->peer[BRANCH].address, 7, (struct chunk){0}, (struct chunk){zeros, 32});
	net_run(n, 100 * MSEC);
	assert_int_equal(n->peer[GW].tunnel->ike->half_open, 0);
	assert_int_equal(peer_ike_sas(n, GW), 0);
	net_free(n);
}

static void flood_of_inits(void **state)
{
	struct options o = options_default();
	struct net *n = net_up(&o);
	const struct ike *ike = n->peer[GW].tunnel->ike;
	struct kex *kex = kex_new(GROUP_X25519);
	uint8_t no_cookie[COOKIE_LEN] = {1};
	struct endpoint from;

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		from = n->peer[BRANCH].address;
		if (i % 3) {
			from.addr.b[2] = (uint8_t)(i >> 8);
			from.addr.b[3] = (uint8_t)i;
		}
		init_from(n, &from, i + 1, (struct chunk){0}, kex_public(kex));
	}
	assert_int_equal(ike->half_open, o.set.cookie_threshold);
	assert_in_range(half_open_from(ike, &n->peer[BRANCH].address.addr), 1,
			o.set.half_open_per_address / 2);
	assert_true(ike->counters[IKE_COUNT_COOKIE_DEMANDED] > 4000);
	/* A cookie that the gateway did not make is not accepted. */
	no_cookie[0] = ike->cookie_version;
	init_from(n, &from, 77777, (struct chunk){no_cookie, COOKIE_LEN}, kex_public(kex));
	kex_free(kex);
	assert_int_equal(ike->half_open, o.set.cookie_threshold);
	/* An initiator that returns its cookie is let in during the flood: here, the branch. */
	ike_sa_drop(peer_conn(n, BRANCH)->sa, "restart under flood", n->now);
	net_drop_queued(n);
	net_until(n, net_is_up, 5 * SEC, "up under the flood");
	net_run(n, 31 * SEC);
	assert_int_equal(ike->half_open, 0);
	net_traffic(n, 0);
	net_free(n);
}

/*
 * An IKE_SA_INIT request that cannot succeed is dropped for its address or its length, without a
 * response.
 */
static void inits_without_answer(void **state)
{
	static uint8_t msg[IKE_MAX_INIT + 512], vendor[IKE_MAX_INIT];
	struct ike_header h = {.exchange = IKE_SA_INIT, .flags = IKE_FLAG_INITIATOR};
	struct options o = options_default();
	struct net *n = net_up(&o);
	struct peer *gw = &n->peer[GW];
	uint64_t sent = gw->ike_sent;
	uint8_t nonce[32] = {1}, ke[32] = {9};
	struct endpoint from = n->peer[BRANCH].address;
	struct ike_builder b;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		h.spi_i = 7000 + i;
		ib_message(&b, msg, sizeof(msg), &h);
		if (i == 0) /* proposals that cannot be parsed, from an unknown address */
			ib_payload(&b, PAYLOAD_SA, (struct chunk){nonce, 32});
		else
			proposals_write(&b, &n->peer[BRANCH].conf->proposals, (struct chunk){0},
					PROPOSAL_KEX);
		ib_ke(&b, GROUP_X25519, (struct chunk){ke, 32});
		ib_payload(&b, PAYLOAD_NONCE, (struct chunk){nonce, 32});
		if (i == 1) /* longer than what is kept of it until IKE_AUTH */
			ib_payload(&b, PAYLOAD_VENDOR, (struct chunk){vendor, sizeof(vendor)});
		gw->conf->remote_any = i == 1;
		from.addr.b[3] ^= i == 0 ? 0x80 : 0;
		tunnel_receive_ike(gw->tunnel, &gw->address, &from, msg, ib_finish(&b), n->now);
	}
	assert_int_equal(gw->ike_sent, sent);
	assert_int_equal(gw->tunnel->ike->half_open, 0);
	assert_int_equal(gw->tunnel->ike->counters[IKE_COUNT_NO_CONFIG], 1);
	assert_int_equal(gw->tunnel->ike->counters[IKE_COUNT_UNEXPECTED], 1);
	net_free(n);
}

/*
 * The gateway demands a cookie from the first IKE_SA_INIT on, and the branch's first group is
 * wrong, too (RFC 7296 2.6.1).
 */
static void cookie_and_invalid_ke(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.set.cookie_threshold = 0;
	o.ike = "aes128-sha256-ecp256-x25519";
	o.ike_gw = "aes128-sha256-x25519";
	n = net_up(&o);
	assert_true(n->peer[GW].tunnel->ike->counters[IKE_COUNT_COOKIE_DEMANDED] >= 1);
	net_traffic(n, 0);
	net_free(n);
}

/*
 * The response takes longer than the wait for it, and the gateway demands a cookie for the first
 * copy of IKE_SA_INIT but takes the second without one, as its load falls: AUTH covers what the
 * gateway took, and the right secret is not refused.
 */
static void cookie_for_one_copy_only(void **state)
{
	struct options o = options_default();
	const struct tunnel_conn *conn;
	struct ike *gw;
	struct net *n;

	(void)state;
	o.delay = 400 * MSEC;
	o.set.cookie_threshold = 0;
	n = net_new(&o);
	gw = n->peer[GW].tunnel->ike;
	net_run(n, 410 * MSEC);
	assert_int_equal(gw->counters[IKE_COUNT_COOKIE_DEMANDED], 1);
	gw->set.cookie_threshold = 1000;
	net_run(n, 5 * SEC);
	assert_false(net_logged(n, "AUTHENTICATION_FAILED"));
	conn = peer_conn(n, BRANCH);
	assert_true(conn->sa && conn->sa->state == IKE_STATE_ESTABLISHED);
	net_free(n);
}

/*
 * A caller that does otherwise sends the copy with the cookie when the gateway has already taken
 * the one without: that is the same request, gets the same response, and is what AUTH covers.
 */
static void cookie_that_is_not_needed_any_more(void **state)
{
	const struct endpoint from = {.addr = {.family = FAMILY_IPV4, .b = {10, 9, 8, 7}},
				      .port = 500};
	struct options o = options_default();
	struct kex *kex = kex_new(GROUP_X25519);
	uint8_t cookie[COOKIE_LEN] = {0}, nonce[32] = {1};
	const struct ike_sa *half;
	struct net *n;
	struct ike *gw;
	size_t len;

	(void)state;
	o.start = START_NONE;
	o.gw_any = true;
	n = net_new(&o);
	gw = n->peer[GW].tunnel->ike;
	init_from(n, &from, 77777, (struct chunk){0}, kex_public(kex));
	half = half_find(gw, 77777, &from);
	assert_non_null(half);
	len = half->handshake->request_len;
	cookie_make(gw, (struct chunk){nonce, sizeof(nonce)}, &from, 77777, gw->cookie_version,
		    cookie);
	init_from(n, &from, 77777, (struct chunk){cookie, COOKIE_LEN}, kex_public(kex));
	assert_int_equal(gw->half_open, 1);
	assert_int_equal(gw->counters[IKE_COUNT_RETRANSMITTED], 1);
	assert_int_equal(half->handshake->request_len, len + 8 + COOKIE_LEN);
	/* A late copy of the first one is answered, but the caller has signed the last. */
	init_from(n, &from, 77777, (struct chunk){0}, kex_public(kex));
	assert_int_equal(gw->counters[IKE_COUNT_RETRANSMITTED], 2);
	assert_int_equal(half->handshake->request_len, len + 8 + COOKIE_LEN);
	/* Another public value is another request, whatever its cookie. */
	cookie[COOKIE_LEN - 1] ^= 1;
	kex_free(kex);
	kex = kex_new(GROUP_X25519);
	init_from(n, &from, 77777, (struct chunk){cookie, COOKIE_LEN}, kex_public(kex));
	assert_int_equal(gw->counters[IKE_COUNT_RETRANSMITTED], 2);
	kex_free(kex);
	net_free(n);
}

static void children_are_limited(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	/* The gateway's children are parts of the branch's one: that has two, and not four. */
	o.set.children_max = 2;
	o.children = 4;
	o.wide = true;
	o.start = START_NONE;
	n = net_new(&o);
	for (unsigned i = 0; i < 4; i++)
		tunnel_child_up(peer_child(n, GW, i), n->now);
	net_run(n, 5 * SEC);
	assert_int_equal(peer_child_sas(n, BRANCH), 2);
	assert_true(net_logged(n, "NO_ADDITIONAL_SAS"));
	net_free(n);
	/* The limit is not below what is configured. */
	o.wide = false;
	o.start = START_START;
	o.set.peer_children = 1;
	o.set.peer_routes = 1;
	n = net_new(&o);
	n->peer[GW].conf->routes = 4;
	net_until(n, net_is_up, 5 * SEC, "all that are configured");
	assert_int_equal(peer_child_sas(n, GW), 4);
	net_free(n);
}

/* ---- liveness, lifetimes, DELETE ---- */

static void dead_peer(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.dpd = 5 * SEC;
	n = net_up(&o);
	n->cut[GW] = true;
	net_run(n, 120 * SEC);
	assert_true(net_logged(n, "no response to our request"));
	n->cut[GW] = false;
	net_until(n, net_is_up, 130 * SEC, "up when the peer is back");
	net_traffic(n, 0);
	net_free(n);
}

static bool auth_requests_hook(struct net *n, unsigned from, struct datagram *d)
{
	bool is_lost = from == BRANCH && !d->esp && d->len > 18 && d->p[18] == IKE_AUTH;

	*(unsigned *)n->hook_ctx += is_lost;
	return !is_lost;
}

/*
 * The branch's IKE_AUTH requests are lost for as long as the gateway keeps its half-open SA. After
 * that no retransmission can succeed: the branch begins again with IKE_SA_INIT.
 */
static void half_open_at_the_peer(void **state)
{
	struct options o = options_default();
	struct net *n = net_new(&o);
	unsigned lost = 0;

	(void)state;
	n->hook = auth_requests_hook;
	n->hook_ctx = &lost;
	net_run(n, 29 * SEC);
	assert_true(lost >= 5);
	n->hook = NULL;
	net_until(n, net_is_up, 4 * SEC, "a new call soon after that");
	net_traffic(n, 0);
	net_free(n);
}

/* Drops the gateway's messages of this exchange. */
static bool answers_hook(struct net *n, unsigned from, struct datagram *d)
{
	(void)n;
	return d->esp || from != GW || d->len < IKE_HEADER_LEN ||
	       d->p[18] != *(uint8_t *)n->hook_ctx;
}

/*
 * The gateway has the IKE SA, but its IKE_AUTH responses are lost for 50 s: the IKE SA of the
 * branch's next attempt replaces it.
 */
static void answers_to_ike_auth_are_lost(void **state)
{
	struct options o = options_default();
	struct net *n = net_new(&o);
	uint8_t exchange = IKE_AUTH;

	(void)state;
	n->hook = answers_hook;
	n->hook_ctx = &exchange;
	net_run(n, 50 * SEC);
	assert_int_equal(peer_ike_sas(n, BRANCH), 1);
	n->hook = NULL;
	net_until(n, net_is_up, 25 * SEC, "up when answers come");
	net_run(n, 5 * SEC);
	assert_true(net_agrees(n));
	net_traffic(n, 0);
	net_free(n);
}

/*
 * The gateway's half-open SA is as old as the first IKE_SA_INIT request, not as the response that
 * arrives 15 s later: the branch knows that it expires earlier.
 */
static void late_answer_to_init(void **state)
{
	struct options o = options_default();
	struct net *n = net_new(&o);
	uint8_t exchange = IKE_SA_INIT;
	unsigned lost = 0;

	(void)state;
	n->hook = answers_hook;
	n->hook_ctx = &exchange;
	net_run(n, 15 * SEC);
	n->hook = auth_requests_hook;
	n->hook_ctx = &lost;
	net_run(n, 22 * SEC);
	n->hook = NULL;
	net_until(n, net_is_up, 6 * SEC, "a new call soon after that");
	net_traffic(n, 0);
	net_free(n);
}

/*
 * A replayed IKE request is genuine, but no sign of life (RFC 7296 2.4): the gateway gives up the
 * IKE SA.
 */
static void replays_are_no_life(void **state)
{
	static struct tape t;
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.dpd = 5 * SEC;
	n = net_up(&o);
	t = (struct tape){.take = true};
	n->hook = tape_hook;
	n->hook_ctx = &t;
	ike_liveness(peer_conn(n, BRANCH)->sa, 0, n->now);
	net_run(n, SEC);
	t.take = false;
	n->hook = NULL;
	n->cut[BRANCH] = true;
	for (unsigned i = 0; i < 100; i++) {
		net_inject(n, GW, false, t.p, t.len);
		net_run(n, SEC);
	}
	assert_int_equal(peer_ike_sas(n, GW), 0);
	net_free(n);
}

static void lifetimes(void **state)
{
	struct options o = options_default();
	struct net *n;
	uint64_t rekeys;

	(void)state;
	o.rekey = 60 * SEC;
	o.ike_rekey = 200 * SEC;
	n = net_up(&o);
	net_run(n, 600 * SEC);
	rekeys = peer_child(n, BRANCH, 0)->rekeys;
	assert_in_range(rekeys, 9, 22);
	assert_int_equal(peer_child_sas(n, BRANCH), 1);
	assert_int_equal(peer_ike_sas(n, BRANCH), 1);
	net_traffic(n, 0);
	net_free(n);
	o = options_default();
	o.start = START_NONE;
	n = net_new(&o);
	n->peer[BRANCH].conf->children[0].rekey_packets = 100;
	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_until(n, net_is_up, 5 * SEC, "up");
	n->rate[BRANCH] = 100;
	net_run(n, 10 * SEC);
	assert_in_range(peer_child(n, BRANCH, 0)->rekeys, 8, 12);
	net_free(n);
}

static void deletes(void **state)
{
	struct options o = options_default();
	struct net *n = net_up(&o);

	(void)state;
	tunnel_child_down(peer_child(n, BRANCH, 0), n->now);
	net_run(n, SEC);
	assert_int_equal(peer_child_sas(n, GW), 0);
	assert_int_equal(peer_ike_sas(n, GW), 1);
	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_until(n, net_is_up, 5 * SEC, "up again");
	/* Both sides delete the same CHILD SA at once (RFC 7296 1.4.1). */
	ike_child_delete(peer_child(n, BRANCH, 0)->current->ike, n->now);
	ike_child_delete(peer_child(n, GW, 0)->current->ike, n->now);
	net_until(n, net_is_up, 5 * SEC, "what is wanted comes up again");
	net_run(n, 2 * SEC);
	assert_int_equal(peer_child_sas(n, GW), 1);
	ike_sa_delete(peer_conn(n, GW)->sa, n->now);
	net_run(n, 10 * SEC);
	assert_true(net_is_up(n));
	net_traffic(n, 0);
	net_free(n);
}

/* ---- collisions, with messages that cross in each order ---- */

static nsec_t hold_back[2];

/*
 * The exchanges resolved the collision themselves: tidying (tunnel/tidy.c), which would delete a
 * redundant SA 10 s later, had nothing to do.
 */
static bool nothing_to_tidy(struct net *n)
{
	return peer_tidied(n, BRANCH) + peer_tidied(n, GW) == 0;
}

/* Sets the delay of each message by its sender, so that messages cross in every order. */
static bool hold_hook(struct net *n, unsigned from, struct datagram *d)
{
	(void)d;
	n->o.delay = MSEC + hold_back[from];
	return true;
}

static void collisions(void **state)
{
	static const nsec_t delays[] = {0, 5 * MSEC, 50 * MSEC, 700 * MSEC};

	(void)state;
	for (unsigned i = 0; i < 4 * 4 * 3 * 2; i++) {
		struct options o = options_default();
		struct net *n;
		unsigned what = i / 16 % 3;

		o.seed = i + 1;
		n = net_up(&o);
		hold_back[BRANCH] = delays[i % 4];
		hold_back[GW] = delays[i / 4 % 4];
		n->hook = hold_hook;
		for (unsigned k = 0; k < 2; k++) {
			unsigned who = (i / 48 + k) % 2;

			if (what != 1)
				tunnel_child_rekey(peer_child(n, who, 0), n->now);
			if (what != 0)
				ike_sa_rekey(peer_conn(n, who)->sa, n->now);
		}
		net_run(n, 60 * SEC);
		n->hook = NULL;
		n->o.delay = MSEC;
		if (peer_child_sas(n, BRANCH) != 1 || peer_child_sas(n, GW) != 1 ||
		    peer_ike_sas(n, BRANCH) != 1 || peer_ike_sas(n, GW) != 1 ||
		    !nothing_to_tidy(n)) {
			net_print_log(n);
			fail_msg("collision %u: not exactly one pair", i);
		}
		net_traffic(n, 0);
		net_free(n);
	}
}

/*
 * The responder's order of PRFs is not the initiator's, as with the defaults of strongSwan, which
 * derives other keys where a rekey changes the PRF: it stays, whoever rekeys. Who has no other PRF
 * any more gets that.
 */
static void rekeys_keep_the_prf(void **state)
{
	struct options o = options_default();
	struct net *n;
	char err[PROPOSAL_ERR];

	(void)state;
	o.ike = "aes256gcm16-prfsha256-prfsha384-x25519";
	o.ike_gw = "aes256gcm16-prfsha384-prfsha256-x25519";
	n = net_up(&o);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t was = peer_conn(n, i % 2)->sa->our_spi;

		assert_int_equal(peer_conn(n, i % 2)->sa->choice.prf, PRF_HMAC_SHA2_384);
		ike_sa_rekey(peer_conn(n, i % 2)->sa, n->now);
		net_run(n, SEC);
		assert_true(peer_conn(n, i % 2)->sa->our_spi != was);
		net_traffic(n, 0);
	}
	proposals_free(&n->peer[GW].conf->proposals);
	assert_int_equal(proposals_add_text(&n->peer[GW].conf->proposals,
					    "aes256gcm16-prfsha256-x25519", PROTOCOL_IKE, err),
			 0);
	ike_sa_rekey(peer_conn(n, GW)->sa, n->now);
	net_run(n, SEC);
	assert_int_equal(peer_conn(n, BRANCH)->sa->choice.prf, PRF_HMAC_SHA2_256);
	net_traffic(n, 0);
	net_free(n);
}

/* Both sides request the same CHILD SA at once: both end with one and the same. */
static void both_ask_for_the_same(void **state)
{
	static const nsec_t delays[] = {0, 3 * MSEC, 50 * MSEC, 700 * MSEC};

	(void)state;
	for (unsigned i = 0; i < 4 * 4 * 2; i++) {
		struct options o = options_default();
		struct net *n;

		o.seed = i + 1;
		o.children = 2;
		o.start = START_NONE;
		o.gw_calls = true;
		n = net_new(&o);
		tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
		net_run(n, SEC);
		hold_back[BRANCH] = delays[i % 4];
		hold_back[GW] = delays[i / 4 % 4];
		n->hook = hold_hook;
		for (unsigned k = 0; k < 2; k++)
			tunnel_child_up(peer_child(n, (i / 16 + k) % 2, 1), n->now);
		net_run(n, 40 * SEC);
		n->hook = NULL;
		n->o.delay = MSEC;
		/*
		 * With unequal delays, one side may receive its response before the other side's
		 * request: it sees no collision, and only tidying deletes one of the two SAs.
		 */
		if (peer_child_sas(n, BRANCH) != 2 || !net_agrees(n) ||
		    (hold_back[BRANCH] == hold_back[GW] && !nothing_to_tidy(n))) {
			net_print_log(n);
			fail_msg("case %u: not exactly one pair a child", i);
		}
		net_traffic(n, 0);
		net_free(n);
	}
}

/*
 * The branch's response to the gateway's rekey is lost, so the gateway does not have the new CHILD
 * SA yet. The branch's own rekey of that SA waits until the gateway has it; sent at once, it would
 * be answered by CHILD_SA_NOT_FOUND.
 */
static void rekey_of_what_the_peer_lacks(void **state)
{
	struct options o = options_default();
	struct net *n = net_up(&o);
	struct tunnel_sa *made;

	(void)state;
	n->cut_ike[BRANCH] = n->now + 10 * MSEC;
	tunnel_child_rekey(peer_child(n, GW, 0), n->now);
	net_run(n, 11 * MSEC);
	assert_int_equal(peer_child_sas(n, BRANCH), 2);
	assert_int_equal(peer_child_sas(n, GW), 1);
	made = LIST_FIRST(&peer_child(n, BRANCH, 0)->sas);
	assert_false(made->ike->confirmed);
	ike_child_rekey(made->ike, 0, n->now);
	net_run(n, 5 * SEC);
	assert_int_equal(peer_child(n, BRANCH, 0)->rekeys, 2);
	assert_true(net_agrees(n));
	net_traffic(n, 0);
	net_free(n);
}

/*
 * When rekeys of a CHILD SA collide, the new SA whose exchange has the lowest of the four nonces is
 * deleted (RFC 7296 2.8.1); another implementation decides by the same rule.
 */
static void lowest_nonce_loses(void **state)
{
	unsigned lost[2] = {0, 0};

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		struct options o = options_default();
		struct net *n;
		const struct child_task *b, *g;
		bool branch_loses;

		o.seed = 1000 + i;
		o.delay = 10 * MSEC;
		n = net_up(&o);
		net_run(n, SEC);
		tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
		tunnel_child_rekey(peer_child(n, GW, 0), n->now);
		net_run(n, 15 * MSEC); /* both requests have arrived, no answer has */
		b = child_task_of_const(peer_conn(n, BRANCH)->sa->outstanding);
		g = child_task_of_const(peer_conn(n, GW)->sa->outstanding);
		assert_true(b && g && b->collided && g->collided);
		/* rival_nonce is the lower nonce of the other side's exchange. */
		branch_loses = nonce_cmp(&g->rival_nonce, &b->rival_nonce) < 0;
		lost[branch_loses ? BRANCH : GW]++;
		net_run(n, 2 * SEC);
		assert_int_equal(peer_child_sas(n, BRANCH), 1);
		assert_int_equal(peer_child(n, BRANCH, 0)->current->ike->initiator, !branch_loses);
		assert_int_equal(peer_child(n, GW, 0)->current->ike->initiator, branch_loses);
		net_traffic(n, 0);
		net_free(n);
	}
	assert_true(lost[BRANCH] > 0 && lost[GW] > 0);
}

/*
 * The branch requests a CHILD SA for one host while the gateway requests one for the network around
 * it: this is no collision, and the network's CHILD SA stays.
 */
static void narrow_against_wide(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 8; seed++) {
		struct options o = options_default();
		struct ts_list local = {.count = 1}, remote = {.count = 1};
		struct net *n;
		struct tunnel_child *k, *g;
		struct tunnel_sa *s;
		bool wide = false;

		o.seed = seed;
		o.wide = true;
		o.children = 2;
		n = net_up(&o);
		k = peer_child(n, BRANCH, 0);
		g = peer_child(n, GW, 1);
		g->wanted = false;
		ike_child_delete(g->current->ike, n->now);
		net_run(n, SEC);
		assert_int_equal(ts_parse("10.1.1.7/32", &local.ts[0]), 0);
		assert_int_equal(ts_parse("10.2.1.7/32", &remote.ts[0]), 0);
		assert_true(ike_child_create_like(peer_conn(n, BRANCH)->sa, k->conf, &local,
						  &remote, n->now));
		tunnel_child_up(g, n->now);
		net_run(n, 100 * SEC);
		LIST_FOREACH (s, &g->sas, link)
			wide |= s->ike && !s->retired &&
				ts_list_within(g->conf->local_ts, s->local);
		if (!wide) {
			net_print_log(n);
			fail_msg("seed %u: the net's CHILD SA is gone, and nothing brings it back",
				 seed);
		}
		net_free(n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_suite_and_group),
		cmocka_unit_test(proposals_in_common),
		cmocka_unit_test(invalid_ke_everywhere),
		cmocka_unit_test(authentication),
		cmocka_unit_test(initial_contact),
		cmocka_unit_test(bad_selectors_leave_the_ike_sa),
		cmocka_unit_test(narrowing),
		cmocka_unit_test(trap),
		cmocka_unit_test(trap_refused),
		cmocka_unit_test(wanted_beside_what_comes),
		cmocka_unit_test(retransmissions_get_the_same_bytes),
		cmocka_unit_test(answers_go_to_the_asker),
		cmocka_unit_test(versions),
		cmocka_unit_test(outsiders_hints),
		cmocka_unit_test(inside_protection),
		cmocka_unit_test(all_datagrams_again),
		cmocka_unit_test(critical_in_the_clear),
		cmocka_unit_test(public_value_of_zeros),
		cmocka_unit_test(flood_of_inits),
		cmocka_unit_test(inits_without_answer),
		cmocka_unit_test(cookie_and_invalid_ke),
		cmocka_unit_test(cookie_for_one_copy_only),
		cmocka_unit_test(cookie_that_is_not_needed_any_more),
		cmocka_unit_test(children_are_limited),
		cmocka_unit_test(dead_peer),
		cmocka_unit_test(half_open_at_the_peer),
		cmocka_unit_test(answers_to_ike_auth_are_lost),
		cmocka_unit_test(late_answer_to_init),
		cmocka_unit_test(replays_are_no_life),
		cmocka_unit_test(lifetimes),
		cmocka_unit_test(deletes),
		cmocka_unit_test(lowest_nonce_loses),
		cmocka_unit_test(rekey_of_what_the_peer_lacks),
		cmocka_unit_test(rekeys_keep_the_prf),
		cmocka_unit_test(collisions),
		cmocka_unit_test(both_ask_for_the_same),
		cmocka_unit_test(narrow_against_wide),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
