/*
 * t_eap.c - IKE_AUTH with EAP between two whole peers (RFC 7296 2.16). SPDX-License-Identifier: ISC
 *
 * The engine offers no EAP to its peers. The gateway here is the engine with another handler of
 * IKE_AUTH requests, which the linker puts in place of auth_on_request: it lets a server of EAP
 * speak, and hands the last request to the engine, together with what the first one asked for, with
 * the MSK as pre-shared key. All else is the engine's: windows, fragments, retransmissions.
 */
#include "eap_server.h"
#include "one_conn.h"
#include "peers.h"
#include "task/auth_task.h"
#include "wire/rules.h"

#define SECRET	 "a secret that both have" /* that of peers.c */
#define PASSWORD "clientPass"

/* What the gateway itself does wrong. */
enum deed {
	HONEST,
	NO_AUTH,    /* in the first response */
	WRONG_AUTH, /* there */
	NO_EAP,	    /* there */
	AUTH_AND_NO_EAP_LATER,
	AUTH_WITHIN,  /* AUTH beside EAP, later */
	REFUSES_LAST, /* AUTHENTICATION_FAILED in the last response */
	WRONG_LAST_AUTH,
	OLD_LAST_AUTH, /* by its own secret, not the MSK */
	EAP_LAST,      /* EAP in place of AUTH */
	OTHER_ID_LAST,
	STAYS_SILENT, /* after the first response */
	/* in place of EAP-Failure */
	REFUSES_FOR_FAILURE,
	SILENT_FOR_FAILURE,
	DEEDS
};

static struct gateway {
	struct eap_server server;
	enum deed deed;
	uint8_t first[IKE_MAX_MESSAGE]; /* the payloads of the first request */
	size_t first_len;
	uint8_t first_type;
	unsigned answers; /* requests with EAP that it has got, all together */
	unsigned calls;
	bool without_eap; /* the engine's own handler is used */
} gw;

static struct pki *root, *other_root, *server_leaf, *peer_leaf, *misnamed;

/* ---- the gateway ---- */

void __real_auth_on_request(struct ike_sa *sa, const struct ike_in *in);
void __wrap_auth_on_request(struct ike_sa *sa, const struct ike_in *in);
bool __real_rules_allow(uint8_t exchange, bool response, const struct ike_payloads *p);
bool __wrap_rules_allow(uint8_t exchange, bool response, const struct ike_payloads *p);

bool __wrap_rules_allow(uint8_t exchange, bool response, const struct ike_payloads *p)
{
	if (!gw.without_eap && exchange == IKE_AUTH && !response &&
	    p->present & (PL(EAP) | PL(AUTH)))
		return true;
	return __real_rules_allow(exchange, response, p);
}

static void write_auth(struct ike_builder *b, const struct ike_sa *sa, struct chunk secret)
{
	uint8_t id[IDENT_MAX + 4];
	struct auth_octets o = auth_octets_of(
		sa, &sa->keys, false, (struct chunk){id, auth_id_body(&sa->conn->local_id, id)});
	struct auth_data auth = {.method = AUTH_METHOD_PSK};

	auth.len = auth_make_by_secret(&o, secret, auth.b);
	auth_write(b, &auth);
}

static struct chunk chunk_of(const char *s)
{
	return (struct chunk){(const uint8_t *)s, strlen(s)};
}

static void respond(struct ike_sa *sa, const struct ike_in *in, const char *secret,
		    struct chunk packet)
{
	static uint8_t buf[IKE_MAX_MESSAGE];
	struct ike_builder b;

	ib_inside(&b, buf, sizeof(buf));
	if (secret) {
		ib_id(&b, PAYLOAD_IDR, sa->conn->local_id.type,
		      (struct chunk){sa->conn->local_id.data, sa->conn->local_id.len});
		write_auth(&b, sa, chunk_of(secret));
	}
	if (packet.len)
		ib_payload(&b, PAYLOAD_EAP, packet);
	exchange_respond(sa, in->h, &b, in->local, in->remote, in->now);
}

static void on_first(struct ike_sa *sa, const struct ike_in *in)
{
	static uint8_t packet[66000];
	size_t len;

	gw.calls++;
	/* A gateway that waits longer than ours does. */
	deadline_set(&sa->ike->deadlines, &sa->expire, in->now + 300 * SEC);
	memcpy(gw.first, in->text.p, in->text.len);
	gw.first_len = in->text.len;
	gw.first_type = in->first;
	eap_server_reset(&gw.server);
	len = eap_server_next(&gw.server, (struct chunk){0}, packet);
	respond(sa, in,
		gw.deed == NO_AUTH	? NULL
		: gw.deed == WRONG_AUTH ? "another secret"
					: SECRET,
		(struct chunk){packet, gw.deed == NO_EAP ? 0 : len});
}

static void on_eap(struct ike_sa *sa, const struct ike_in *in)
{
	static uint8_t packet[66000];
	size_t len;

	gw.answers++;
	if (gw.deed == STAYS_SILENT)
		return;
	len = eap_server_next(&gw.server, in->p->eap, packet);
	if (gw.deed == SILENT_FOR_FAILURE && gw.server.ended)
		return;
	if (gw.deed == REFUSES_FOR_FAILURE && gw.server.ended) {
		respond_notify(sa, in->h, NOTIFY_AUTHENTICATION_FAILED, (struct chunk){0},
			       in->local, in->remote, in->now);
		return;
	}
	respond(sa, in, gw.deed == AUTH_WITHIN || gw.deed == AUTH_AND_NO_EAP_LATER ? SECRET : NULL,
		(struct chunk){packet, gw.deed == AUTH_AND_NO_EAP_LATER ? 0 : len});
}

/* The engine goes on: with this secret in place of its own. */
static void set_secret(struct ike_sa *sa, struct chunk secret)
{
	struct psk *k = &sa->ike->conns.secrets->v[0];

	secret_free(k->secret, k->len);
	k->secret = xmemdup(secret.p, secret.len);
	k->len = secret.len;
}

/* The last response is wrong, and the gateway does not have the IKE SA. */
static bool last_is_wrong(struct ike_sa *sa, const struct ike_in *in)
{
	static const uint8_t success[] = {3, 1, 0, 4};
	uint8_t buf[2048];
	struct ike_builder b;

	ib_inside(&b, buf, sizeof(buf));
	switch (gw.deed) {
	case REFUSES_LAST:
		respond_notify(sa, in->h, NOTIFY_AUTHENTICATION_FAILED, (struct chunk){0},
			       in->local, in->remote, in->now);
		return true;
	case WRONG_LAST_AUTH: write_auth(&b, sa, chunk_of("made up")); break;
	case OLD_LAST_AUTH: write_auth(&b, sa, chunk_of(SECRET)); break;
	case OTHER_ID_LAST:
		ib_id(&b, PAYLOAD_IDR, ID_FQDN, chunk_of("else.example"));
		write_auth(&b, sa, (struct chunk){gw.server.msk, EAP_MSK});
		break;
	case EAP_LAST: ib_payload(&b, PAYLOAD_EAP, (struct chunk){success, 4}); break;
	default: return false;
	}
	exchange_respond(sa, in->h, &b, in->local, in->remote, in->now);
	return true;
}

static void on_last(struct ike_sa *sa, const struct ike_in *in)
{
	struct ike_payloads all;
	struct ike_in merged = *in;

	assert_true(gw.server.accepts);
	if (last_is_wrong(sa, in))
		return;
	assert_int_equal(ike_payloads_parse(gw.first_type, gw.first, gw.first_len, &all), 0);
	assert_false(all.present & PL(AUTH));
	all.present |= PL(AUTH);
	all.auth = in->p->auth;
	for (unsigned i = 0; i < in->p->notify_count; i++)
		all.notify[all.notify_count++] = in->p->notify[i];
	merged.p = &all;
	set_secret(sa, (struct chunk){gw.server.msk, EAP_MSK});
	__real_auth_on_request(sa, &merged);
}

void __wrap_auth_on_request(struct ike_sa *sa, const struct ike_in *in)
{
	if (gw.without_eap)
		__real_auth_on_request(sa, in);
	else if (in->p->present & PL(IDI))
		on_first(sa, in);
	else if (in->p->present & PL(EAP))
		on_eap(sa, in);
	else
		on_last(sa, in);
}

/* ---- both sides ---- */

static int make_pki(void **state)
{
	(void)state;
	root = pki_ca(PKI_P256, "CN=Root", NULL);
	other_root = pki_ca(PKI_P256, "CN=Other", NULL);
	misnamed = pki_make(&(struct pki_spec){.kind = PKI_P256,
					       .subject = "O=Example,CN=bbb",
					       .san = "DNS:bbb.example.net",
					       .issuer = root});
	server_leaf = pki_make(&(struct pki_spec){.kind = PKI_P256,
						  .subject = "O=Example,CN=aaa",
						  .san = "DNS:gw.example.net",
						  .issuer = root});
	peer_leaf = pki_make(&(struct pki_spec){.kind = PKI_RSA_3072,
						.subject = "O=Example,CN=branch",
						.san = "DNS:branch.example",
						.issuer = root});
	return 0;
}

static const struct method {
	enum auth_kind kind;
	int version;
} methods[] = {{AUTH_KIND_EAP_MSCHAPV2, 0},
	       {AUTH_KIND_EAP_TLS, TLS1_2_VERSION},
	       {AUTH_KIND_EAP_TLS, TLS1_3_VERSION}};

static struct cred_store *credentials(const struct conn_conf *conf)
{
	struct cred_store *store = cred_store_new();
	struct conn_creds *c = cred_store_add(store, conf->name);
	struct trust *t = trust_new();
	struct cert *ca = pki_cert(root);

	trust_add(t, ca, false);
	cert_unref(ca);
	c->peer = t;
	c->key = pki_private(peer_leaf);
	c->chain.v[c->chain.count++] = pki_cert(peer_leaf);
	cred_store_complete(store);
	return store;
}

/* The branch's configuration from now on, of which conf has all but the method; takes it over. */
static void configure(struct net *n, struct conn_conf *conf, enum auth_kind kind,
		      const char *password, conn_same *same)
{
	struct conn_set set = one_conn(conf, SECRET);
	struct psk_store *s = set.secrets;

	conf->auth.local = kind;
	free(conf->auth.eap_id);
	conf->auth.eap_id = xstrdup("EXAMPLE\\User");
	s->eaps = xzalloc(sizeof(*s->eaps));
	s->eap_count = 1;
	s->eaps[0] = (struct eap_secret){.id = xstrdup("EXAMPLE\\User"),
					 .secret = xmemdup(password, strlen(password)),
					 .len = strlen(password)};
	s->ppks = xzalloc(sizeof(*s->ppks));
	s->ppk_count = 1;
	s->ppks[0] = (struct ppk){.id = "quantum", .secret = xmemdup("0123456789", 10), .len = 10};
	set.creds = credentials(conf);
	tunnel_configure(n->peer[BRANCH].tunnel, &set, same, n->now);
	conn_unref(n->peer[BRANCH].conf);
	n->peer[BRANCH].conf = conf;
	conn_set_fini(&set);
}

/* Two peers; the branch does not call yet. */
static struct net *made(const struct options *with, const struct method *m)
{
	struct options o = with ? *with : options_default();
	struct net *n;

	o.start = START_NONE;
	gw = (struct gateway){.server = {.kind = m->kind,
					 .version = m->version,
					 .password = PASSWORD,
					 .leaf = server_leaf,
					 .ca = root,
					 .asks_identity = true}};
	n = net_new(&o);
	n->wall = PKI_NOW;
	configure(n, peer_conf(n, BRANCH), m->kind, PASSWORD, NULL);
	return n;
}

static void call(struct net *n, nsec_t time)
{
	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_run(n, time);
}

static void done(struct net *n)
{
	eap_server_reset(&gw.server);
	net_free(n);
}

static void assert_works(struct net *n)
{
	if (!net_is_up(n))
		net_fail(n, "not up");
	assert_memory_equal(&peer_conn(n, BRANCH)->sa->keys, &peer_conn(n, GW)->sa->keys,
			    sizeof(struct ike_keys));
	assert_string_equal(gw.server.identity, "EXAMPLE\\User");
	net_traffic(n, 0);
}

/* ---- what is to work ---- */

/* Up, rekeys of both SAs from both sides, a restart of the branch. */
static void each_method(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		struct net *n = made(NULL, &methods[i]);

		call(n, 2 * SEC);
		assert_works(n);
		assert_null(peer_conn(n, BRANCH)->sa->handshake);
		for (unsigned side = 0; side < 2; side++) {
			ike_sa_rekey(peer_conn(n, side)->sa, n->now);
			net_run(n, SEC);
			tunnel_child_rekey(peer_child(n, side, 0), n->now);
			net_run(n, SEC);
			assert_works(n);
		}
		assert_int_equal(gw.calls, 1);
		assert_int_equal(peer_restart(n, BRANCH), 1);
		assert_works(n);
		done(n);
	}
}

/* ---- with the other parts of IKE_AUTH ---- */

/* The branch, with what else is set in its configuration, is up after a call. */
static struct net *up_with(const struct options *o, void (*more)(struct net *n), size_t method)
{
	struct net *n = made(o, &methods[method]);

	if (more)
		more(n);
	call(n, 3 * SEC);
	assert_works(n);
	return n;
}

/* No CHILD SA is in IKE_AUTH. */
static void childless(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.childless[0] = o.childless[1] = CHILDLESS_FORCE;
	n = up_with(&o, NULL, 1);
	/* IKE_SA_INIT, IKE_AUTH as often as EAP wants, CREATE_CHILD_SA */
	assert_int_equal(ike_sa_next_id(peer_conn(n, BRANCH)->sa), 1 + 1 + gw.answers + 1 + 1);
	done(n);
}

/* AUTH by the MSK covers IKE_INTERMEDIATE, too. */
static void additional_key_exchanges(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.ike = "aes128gcm16-prfsha256-x25519-ke1_ecp256-ke2_ecp384";
	n = up_with(&o, NULL, 0);
	assert_int_not_equal(choice_addke(&peer_conn(n, GW)->sa->choice, 1), GROUP_NONE);
	done(n);
}

static void fragmented(void **state)
{
	(void)state;
	for (size_t i = 1; i < ARRAY_SIZE(methods); i++) {
		struct options o = options_default();
		struct net *n;

		o.fragment_size = 300;
		n = up_with(&o, NULL, i);
		for (unsigned side = 0; side < 2; side++)
			assert_true(ike_counters(n->peer[side].tunnel->ike)[IKE_COUNT_REASSEMBLED] >
				    0);
		done(n);
	}
}

static void mobike(void **state)
{
	struct net *n = up_with(NULL, NULL, 0);

	(void)state;
	assert_true(ike_sa_has_mobike(peer_conn(n, BRANCH)->sa));
	assert_true(ike_sa_has_mobike(peer_conn(n, GW)->sa));
	done(n);
}

static struct addr address(const char *s)
{
	struct addr a;

	assert_int_equal(addr_parse(s, &a), 0);
	return a;
}

static void with_address(struct net *n)
{
	struct conn_conf *b = n->peer[BRANCH].conf, *g = n->peer[GW].conf;

	b->vips[0] = address("0.0.0.0");
	b->vip_count = 1;
	assert_int_equal(ts_parse("dynamic", &b->children[0].local_ts->ts[0]), 0);
	g->pools = xzalloc(sizeof(*g->pools));
	g->pool_count = 1;
	g->pools[0].name = xstrdup("road");
	g->pools[0].lo = address("10.1.0.1");
	g->pools[0].hi = address("10.1.0.9");
	assert_int_equal(ts_parse("dynamic", &g->children[0].remote_ts->ts[0]), 0);
}

/* An address is asked for in the first request, and assigned in the last response. */
static void assigned_address(void **state)
{
	struct net *n = up_with(NULL, with_address, 0);
	struct addr a = address("10.1.0.1");

	(void)state;
	assert_int_equal(n->peer[BRANCH].addresses, 1);
	assert_true(addr_eq(&n->peer[BRANCH].address_given, &a));
	done(n);
}

static void with_ppk(struct net *n)
{
	n->peer[BRANCH].conf->ppk_id = xstrdup("quantum");
}

/* The gateway does not have the post-quantum key, and need not. */
static void optional_post_quantum_key(void **state)
{
	struct net *n = up_with(NULL, with_ppk, 0);

	(void)state;
	assert_string_equal(ike_sa_ppk_id(peer_conn(n, BRANCH)->sa), "");
	done(n);
}

/* The gateway does not have it, and we do not call without: it does not get to EAP. */
static void required_post_quantum_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		struct net *n = made(NULL, &methods[i]);

		with_ppk(n);
		n->peer[BRANCH].conf->ppk_required = true;
		call(n, 3 * SEC);
		assert_false(net_is_up(n));
		assert_true(net_logged(n, "ppk_required is set, and one side has no"));
		assert_int_equal(gw.calls, 0);
		done(n);
	}
}

/* Both have a post-quantum key: the first AUTH is without it, those by the MSK with it (RFC 8784).
 */
static void post_quantum_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		struct net *n = made(NULL, &methods[i]);
		struct conn_conf *conf = peer_conf(n, GW);
		struct conn_set set = one_conn(conf, SECRET);

		conf->ppk_id = xstrdup("quantum");
		conf->ppk_required = true;
		set.secrets->ppks = xzalloc(sizeof(*set.secrets->ppks));
		set.secrets->ppk_count = 1;
		set.secrets->ppks[0] = (struct ppk){
			.id = "quantum", .secret = xmemdup("0123456789", 10), .len = 10};
		tunnel_configure(n->peer[GW].tunnel, &set, NULL, n->now);
		conn_unref(conf);
		conn_set_fini(&set);
		conf = peer_conf(n, BRANCH);
		conf->ppk_id = xstrdup("quantum");
		conf->ppk_required = true;
		configure(n, conf, methods[i].kind, PASSWORD, NULL);
		call(n, 2 * SEC);
		assert_works(n);
		assert_string_equal(ike_sa_ppk_id(peer_conn(n, BRANCH)->sa), "quantum");
		assert_string_equal(ike_sa_ppk_id(peer_conn(n, GW)->sa), "quantum");
		done(n);
	}
}

/* ---- what the wire does ---- */

/* The nth datagram of IKE_AUTH from this side. */
static struct {
	unsigned from, nth, seen, what;
} aim;

static bool spoil(struct net *n, unsigned from, struct datagram *d)
{
	n->dup = n->reorder = 0;
	if (d->esp || d->p[18] != IKE_AUTH || from != aim.from || aim.seen++ != aim.nth)
		return true;
	n->dup = aim.what == 1 ? 1000 : 0;
	n->reorder = aim.what == 2 ? 1000 : 0;
	return aim.what != 0;
}

/* Each message is lost, doubled, or so late that it was sent again. */
static void each_message(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		for (unsigned k = 0; k < 3 * 2 * 7; k++) {
			struct options o = options_default();
			struct net *n;

			o.delay = 200 * MSEC;
			n = made(&o, &methods[i]);
			aim.what = k % 3;
			aim.from = k / 3 % 2;
			aim.nth = k / 6;
			aim.seen = 0;
			n->hook = spoil;
			call(n, 15 * SEC);
			n->hook = NULL;
			n->dup = n->reorder = 0;
			assert_true(aim.seen > aim.nth || aim.nth > 3);
			assert_works(n);
			assert_int_equal(gw.calls, 1);
			done(n);
		}
	}
}

static void lost_and_doubled(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct options o = options_default();
		struct net *n;

		o.seed = seed;
		o.fragment_size = seed % 2 ? 400 : 0;
		n = made(&o, &methods[seed % ARRAY_SIZE(methods)]);
		n->loss = n->dup = n->reorder = 200;
		n->jitter = 300 * MSEC;
		tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
		net_until(n, net_is_up, 240 * SEC, "up");
		n->loss = n->dup = n->reorder = 0;
		net_run(n, 10 * SEC);
		assert_works(n);
		done(n);
	}
}

/* ---- what is to be refused ---- */

/* What the gateway does wrong, what is said, and how much of EAP it has got for it. */
static void dishonest_gateways(void **state)
{
	static const struct {
		enum deed deed;
		const char *said;
		unsigned answers; /* for each call; 99: whatever */
	} rows[] = {
		{NO_AUTH, "the peer must authenticate itself before", 0},
		{WRONG_AUTH, "the peer's authentication failed", 0},
		{NO_EAP, "the peer does not ask for it", 0},
		{AUTH_AND_NO_EAP_LATER, "the peer does not ask for it", 1},
		{AUTH_WITHIN, "AUTH before EAP is over", 1},
		{REFUSES_LAST, "AUTHENTICATION_FAILED", 99},
		{WRONG_LAST_AUTH, "not by the key that EAP has given", 99},
		{OLD_LAST_AUTH, "not by the key that EAP has given", 99},
		{OTHER_ID_LAST, "not by the key that EAP has given", 99},
		{EAP_LAST, "the peer refused IKE_AUTH", 99},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (size_t m = 0; m < ARRAY_SIZE(methods); m++) {
			struct net *n = made(NULL, &methods[m]);

			gw.deed = rows[i].deed;
			call(n, 5 * SEC);
			if (net_is_up(n) || peer_child_sas(n, BRANCH) ||
			    !net_logged(n, rows[i].said))
				net_fail(n, "row %zu, method %zu: not said: %s", i, m,
					 rows[i].said);
			assert_true(rows[i].answers == 99 ||
				    gw.answers == gw.calls * rows[i].answers);
			assert_true(gw.calls > 0);
			/* Another call comes, and is let in. */
			gw.deed = HONEST;
			net_run(n, 60 * SEC);
			assert_works(n);
			done(n);
		}
	}
}

/* Servers of EAP that are not honest, behind an honest gateway; t_eap_peer has more of them. */
static void dishonest_servers(void **state)
{
	static const struct {
		enum eap_deed deed;
		const char *said;
	} rows[] = {
		{EAP_SUCCESS_FIRST, "says success before"},
		{EAP_SUCCESS_EARLY, "says success before"},
		{EAP_FAILURE_LAST, "refuses us by EAP-Failure"},
		{EAP_SENDS_BACK, "with code 2"},
		{EAP_LONG_LENGTH, "wrong length"},
		{EAP_IDENTITY_FOR_EVER, "more than 100"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (size_t m = 0; m < ARRAY_SIZE(methods); m++) {
			struct net *n = made(NULL, &methods[m]);

			gw.server.deed = rows[i].deed;
			call(n, 3 * SEC);
			if (net_is_up(n) || peer_child_sas(n, BRANCH) ||
			    !net_logged(n, rows[i].said))
				net_fail(n, "row %zu, method %zu: not said: %s", i, m,
					 rows[i].said);
			assert_true(gw.answers <= gw.calls * EAP_ROUNDS);
			done(n);
		}
	}
}

/* The server refuses us, or we refuse it: the problem says which. */
static void who_refuses(void **state)
{
	static const struct {
		size_t method;
		enum eap_deed deed;
		bool other_leaf, other_ca;
		enum ike_problem what;
	} rows[] = {
		{0, EAP_REFUSES, false, false, IKE_PROBLEM_NOT_LET_IN},
		{0, EAP_MD5_ONLY, false, false, IKE_PROBLEM_NOT_LET_IN},
		{0, EAP_FAILURE_LAST, false, false, IKE_PROBLEM_NOT_LET_IN},
		{0, EAP_WRONG_PROOF, false, false, IKE_PROBLEM_NOT_TRUSTED},
		{0, EAP_SUCCESS_EARLY, false, false, IKE_PROBLEM_NOT_TRUSTED},
		{0, EAP_IDENTITY_FOR_EVER, false, false, IKE_PROBLEM_NOT_TRUSTED},
		{1, EAP_HONEST, true, false, IKE_PROBLEM_NOT_TRUSTED},
		{2, EAP_HONEST, true, false, IKE_PROBLEM_NOT_TRUSTED},
		{1, EAP_HONEST, false, true, IKE_PROBLEM_NOT_LET_IN},
		{2, EAP_HONEST, false, true, IKE_PROBLEM_NOT_LET_IN},
		{2, EAP_NO_COMMITMENT, false, false, IKE_PROBLEM_NOT_TRUSTED},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct net *n = made(NULL, &methods[rows[i].method]);

		gw.server.deed = rows[i].deed;
		if (rows[i].other_leaf)
			gw.server.leaf = misnamed;
		if (rows[i].other_ca)
			gw.server.ca = other_root;
		call(n, 3 * SEC);
		if (net_is_up(n) || peer_conn(n, BRANCH)->problem->what != rows[i].what)
			net_fail(n, "row %zu: problem %u", i, peer_conn(n, BRANCH)->problem->what);
		done(n);
	}
}

/* What EAP has said remains the reason, whatever the gateway does in place of EAP-Failure. */
static void reason_is_kept(void **state)
{
	static const struct {
		size_t method;
		enum deed deed;
		enum ike_problem what;
		const char *said;
	} rows[] = {
		{0, REFUSES_FOR_FAILURE, IKE_PROBLEM_NOT_LET_IN, "E=691"},
		{0, SILENT_FOR_FAILURE, IKE_PROBLEM_NOT_LET_IN, "E=691"},
		{1, REFUSES_FOR_FAILURE, IKE_PROBLEM_NOT_TRUSTED, "does not have the peer's id"},
		{2, SILENT_FOR_FAILURE, IKE_PROBLEM_NOT_TRUSTED, "does not have the peer's id"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct net *n = made(NULL, &methods[rows[i].method]);

		gw.deed = rows[i].deed;
		gw.server.deed = EAP_REFUSES; /* of MS-CHAPv2 only */
		gw.server.leaf = misnamed;
		call(n, 33 * SEC);
		if (!net_logged(n, rows[i].said) ||
		    peer_conn(n, BRANCH)->problem->what != rows[i].what)
			net_fail(n, "row %zu: problem %u", i, peer_conn(n, BRANCH)->problem->what);
		done(n);
	}
}

static void wrong_password_until_a_reload(void **state)
{
	struct net *n = made(NULL, &methods[0]);

	(void)state;
	configure(n, peer_conf(n, BRANCH), AUTH_KIND_EAP_MSCHAPV2, "guess", NULL);
	call(n, 3 * SEC);
	assert_false(net_is_up(n));
	assert_true(net_logged(n, "E=691, name or password is wrong"));
	assert_int_equal(peer_conn(n, BRANCH)->problem->what, IKE_PROBLEM_NOT_LET_IN);
	configure(n, peer_conf(n, BRANCH), AUTH_KIND_EAP_MSCHAPV2, PASSWORD, always_same);
	net_run(n, 60 * SEC);
	assert_works(n);
	/* The password of the next call: this IKE SA stays. */
	configure(n, peer_conf(n, BRANCH), AUTH_KIND_EAP_MSCHAPV2, "guess", always_same);
	net_run(n, 5 * SEC);
	assert_works(n);
	assert_int_equal(peer_ike_sas(n, BRANCH), 1);
	done(n);
}

/* A reload while EAP is under way: it goes on with what it began with. */
static void reload_within(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		struct options o = options_default();
		struct net *n;

		o.delay = 100 * MSEC;
		n = made(&o, &methods[i]);
		call(n, 750 * MSEC);
		assert_false(net_is_up(n));
		assert_true(gw.answers > 0);
		configure(n, peer_conf(n, BRANCH), methods[i].kind, "guess", always_same);
		net_run(n, 3 * SEC);
		assert_works(n);
		done(n);
	}
}

/* ---- time ---- */

/* A gateway that stays silent within EAP is told soon, and given up after half_open_timeout. */
static void silence_within(void **state)
{
	struct net *n = made(NULL, &methods[0]);

	(void)state;
	gw.deed = STAYS_SILENT;
	call(n, 29 * SEC);
	assert_int_equal(gw.calls, 1);
	assert_int_equal(peer_conn(n, BRANCH)->problem->what, IKE_PROBLEM_NO_ANSWER_TO_AUTH);
	assert_int_equal(peer_conn(n, BRANCH)->problem->count, 1);
	assert_false(net_logged(n, " gone: "));
	net_run(n, 3 * SEC);
	assert_true(net_logged(n, " gone: no response to IKE_AUTH"));
	done(n);
}

/* One that answers slowly is waited for, but for two minutes in all. */
static void slow_for_ever(void **state)
{
	struct net *n = made(NULL, &methods[0]);
	const struct ike_sa *sa;
	uint64_t spi;

	(void)state;
	gw.server.deed = EAP_IDENTITY_FOR_EVER;
	n->fate[0] = (struct ike_fate){.from = GW,
				       .exchange = IKE_AUTH,
				       .response = true,
				       .count = 100000,
				       .copies = 1,
				       .later = 20 * SEC};
	call(n, 130 * SEC);
	assert_true(gw.answers >= 4 && gw.answers <= 6);
	assert_false(net_logged(n, "more than"));
	sa = peer_conn(n, BRANCH)->sa;
	assert_non_null(sa);
	spi = sa->spi_i;
	net_run(n, 25 * SEC);
	sa = peer_conn(n, BRANCH)->sa;
	assert_true(!sa || sa->spi_i != spi);
	done(n);
}

/* ---- recovery ---- */

static uint64_t silent_spi;

static bool drop_of_silent(struct net *n, unsigned from, struct datagram *d)
{
	(void)n;
	return d->esp || from != GW || get_be64(d->p) != silent_spi;
}

/*
 * The gateway's ESP goes back, and its IKE does not answer: the new IKE SA beside the old one (rung
 * 3) comes up by EAP, and no packet is lost meanwhile.
 */
static void a_new_ike_sa_for_a_recovery(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		struct net *n = made(NULL, &methods[i]);

		call(n, 2 * SEC);
		assert_works(n);
		n->rate[GW] = 1000;
		net_run(n, 3 * SEC);
		silent_spi = peer_conn(n, BRANCH)->sa->spi_i;
		n->hook = drop_of_silent;
		gw_rewind(n, 0, 2000, false);
		net_run(n, 10 * SEC);
		assert_non_null(last_record(n, 0));
		assert_int_equal(last_record(n, 0)->rung, 3);
		assert_int_equal(gw.calls, 2);
		assert_int_equal(net_lost(n, GW, 0), 0);
		n->rate[GW] = 0;
		n->hook = NULL;
		net_run(n, SEC);
		assert_works(n);
		done(n);
	}
}

/* ---- roles ---- */

/* The gateway calls a branch that has EAP, by which it only calls itself. */
static void only_when_we_call(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.gw_calls = true;
	n = made(&o, &methods[0]);
	gw.without_eap = true;
	tunnel_child_up(peer_child(n, GW, 0), n->now);
	net_run(n, 3 * SEC);
	assert_false(net_is_up(n));
	assert_int_equal(peer_child_sas(n, BRANCH), 0);
	assert_true(net_logged(n, "we authenticate only when we call"));
	done(n);
}

/* A gateway that asks for EAP where the branch has a secret is refused, and told why. */
static void eap_where_none_is_wanted(void **state)
{
	struct net *n = made(NULL, &methods[0]);
	struct conn_conf *conf = peer_conf(n, BRANCH);

	(void)state;
	gw.deed = NO_AUTH;
	configure(n, conf, AUTH_KIND_PSK, PASSWORD, NULL);
	call(n, 3 * SEC);
	assert_false(net_is_up(n));
	assert_true(net_logged(n, "it wants EAP, and local.auth does not say so"));
	assert_int_equal(gw.answers, 0);
	done(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_method),
		cmocka_unit_test(childless),
		cmocka_unit_test(additional_key_exchanges),
		cmocka_unit_test(fragmented),
		cmocka_unit_test(mobike),
		cmocka_unit_test(assigned_address),
		cmocka_unit_test(optional_post_quantum_key),
		cmocka_unit_test(required_post_quantum_key),
		cmocka_unit_test(post_quantum_key),
		cmocka_unit_test(each_message),
		cmocka_unit_test(lost_and_doubled),
		cmocka_unit_test(dishonest_gateways),
		cmocka_unit_test(dishonest_servers),
		cmocka_unit_test(who_refuses),
		cmocka_unit_test(reason_is_kept),
		cmocka_unit_test(wrong_password_until_a_reload),
		cmocka_unit_test(reload_within),
		cmocka_unit_test(silence_within),
		cmocka_unit_test(slow_for_ever),
		cmocka_unit_test(a_new_ike_sa_for_a_recovery),
		cmocka_unit_test(only_when_we_call),
		cmocka_unit_test(eap_where_none_is_wanted),
	};

	return cmocka_run_group_tests(tests, make_pki, NULL);
}
