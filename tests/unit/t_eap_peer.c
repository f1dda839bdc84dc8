/*
 * t_eap_peer.c - the peer's side of EAP against servers that are honest, and that are not.
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "eap_server.h"
#include "sa/ike_config.h"
#include "seeded.h"
#include "xalloc.h"

#define PASSWORD "clientPass"

static struct pki *root, *server_leaf, *peer_leaf, *other_root, *foreign, *misnamed, *middle,
	*below, *user;

static struct pki *leaf_for(const char *purposes, const char *san, const struct pki *issuer)
{
	return pki_make(&(struct pki_spec){.kind = PKI_P256,
					   .subject = "O=Example,CN=x",
					   .san = san,
					   .purposes = purposes,
					   .issuer = issuer});
}

static struct pki *leaf(const char *san, const struct pki *issuer)
{
	return leaf_for(NULL, san, issuer);
}

static int make_pki(void **state)
{
	(void)state;
	root = pki_ca(PKI_P256, "CN=Root", NULL);
	other_root = pki_ca(PKI_P256, "CN=Other", NULL);
	middle = pki_ca(PKI_RSA_3072, "CN=Middle", root);
	server_leaf = leaf("DNS:aaa.example", root);
	misnamed = leaf("DNS:bbb.example", root);
	foreign = leaf("DNS:aaa.example", other_root);
	user = leaf_for("clientAuth,1.3.6.1.5.5.7.3.17", "DNS:aaa.example", root);
	peer_leaf = leaf("DNS:branch.example", root);
	below = pki_make(&(struct pki_spec){.kind = PKI_RSA_3072,
					    .subject = "O=Example,CN=y",
					    .san = "DNS:branch.example",
					    .issuer = middle});
	return 0;
}

#define TYPE_TLS  13
#define FLAG_MORE 0x40

/* A peer, and what it needs. */
struct side {
	struct seeded rng;
	struct conn_creds creds;
	struct ident server;
	struct eap *eap;
	uint8_t out[EAP_OUT_MAX];
	size_t len;
	unsigned responses;
	unsigned more; /* of them, fragments that are not the last */
};

static struct eap_server honest(enum auth_kind kind, int version)
{
	return (struct eap_server){.kind = kind,
				   .password = PASSWORD,
				   .version = version,
				   .leaf = server_leaf,
				   .ca = root,
				   .asks_identity = true};
}

static void begin(struct side *p, enum auth_kind kind, const char *password, const struct pki *ours,
		  const struct pki *above)
{
	struct trust *t = trust_new();
	struct cert *ca = pki_cert(root);
	struct eap_setup setup = {.kind = kind,
				  .identity = {(const uint8_t *)"User", 4},
				  .password = {(const uint8_t *)password, strlen(password)},
				  .creds = &p->creds,
				  .server = &p->server,
				  .when = PKI_NOW};
	const char *why;

	memset(p, 0, sizeof(*p));
	seeded_init(&p->rng, 7);
	setup.rng = &p->rng.rng;
	trust_add(t, ca, false);
	cert_unref(ca);
	p->creds.peer = t;
	p->creds.key = pki_private(ours);
	p->creds.chain.v[p->creds.chain.count++] = pki_cert(ours);
	if (above)
		p->creds.chain.v[p->creds.chain.count++] = pki_cert(above);
	assert_int_equal(ident_parse("aaa.example", &p->server), 0);
	p->eap = eap_new(&setup, &why);
	assert_non_null(p->eap);
}

static void finish(struct side *p)
{
	eap_free(p->eap);
	trust_unref(p->creds.peer);
	pkey_unref(p->creds.key);
	cert_chain_fini(&p->creds.chain);
}

/* The peer gets a packet, in memory of exactly its size. */
static enum eap_result give(struct side *p, const uint8_t *packet, size_t len)
{
	uint8_t *exact = xmemdup(packet, len);
	enum eap_result r;
	struct writer w;

	wr_init(&w, p->out, sizeof(p->out));
	r = eap_receive(p->eap, (struct chunk){exact, len}, &w);
	p->len = r == EAP_RESPONDS ? w.len : 0;
	p->responses += r == EAP_RESPONDS;
	p->more += p->len > 5 && p->out[4] == TYPE_TLS && p->out[5] & FLAG_MORE;
	free(exact);
	return r;
}

/* Runs a conversation to its end. */
static enum eap_result converse(struct side *p, struct eap_server *s)
{
	static uint8_t packet[66000];
	enum eap_result r = EAP_RESPONDS;

	eap_server_reset(s);
	while (r == EAP_RESPONDS) {
		size_t len = eap_server_next(s, (struct chunk){p->out, p->len}, packet);

		assert_true(len > 0);
		r = give(p, packet, len);
	}
	return r;
}

static void assert_let_in(struct eap_server *s, const struct pki *ours, const struct pki *above)
{
	struct side p;

	begin(&p, s->kind, PASSWORD, ours, above);
	if (converse(&p, s) != EAP_SUCCEEDS)
		fail_msg("%s", eap_why(p.eap));
	assert_true(s->accepts);
	assert_memory_equal(eap_msk(p.eap), s->msk, EAP_MSK);
	if (s->asks_identity)
		assert_string_equal(s->identity, "User");
	finish(&p);
	eap_server_reset(s);
}

static void each_method(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct eap_server s = honest(AUTH_KIND_EAP_MSCHAPV2, 0);

	(void)state;
	assert_let_in(&s, peer_leaf, NULL);
	s.asks_identity = false;
	assert_let_in(&s, peer_leaf, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		s = honest(AUTH_KIND_EAP_TLS, versions[i]);
		assert_let_in(&s, peer_leaf, NULL);
		s.asks_identity = false;
		assert_let_in(&s, peer_leaf, NULL);
	}
}

/* Flights in fragments, both ways: ours has two certificates with large keys. */
static void fragments(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	static const size_t sizes[] = {60, 100, 999};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
			struct eap_server s = honest(AUTH_KIND_EAP_TLS, versions[i]);
			struct side p;

			s.fragment = sizes[k];
			assert_let_in(&s, below, middle);
			begin(&p, s.kind, "", below, middle);
			assert_int_equal(converse(&p, &s), EAP_SUCCEEDS);
			assert_true(sizes[k] > 100 || s.fragments > 5);
			/* identity, hello, fragments, ACKs; two certificates are more than one
			 * packet */
			assert_true(p.responses >= s.fragments + 4);
			finish(&p);
			eap_server_reset(&s);
		}
	}
}

/* What a server does wrong, the methods to which it belongs, and what is said. */
static const struct {
	enum eap_deed deed;
	bool chap, tls12, tls13;
	const char *why;	 /* "": for several reasons */
	unsigned responses_most; /* at most so many of ours; 0: whatever */
} deeds[] = {
	{EAP_SUCCESS_FIRST, true, true, true, "success before", 0},
	{EAP_SUCCESS_EARLY, true, true, true, "success before", 3},
	{EAP_SUCCESS_WITH_DATA, true, true, true, "success before", 0},
	{EAP_FAILURE_LAST, true, true, true, "EAP-Failure", 0},
	{EAP_WRONG_PROOF, true, false, false, "knows the password", 2},
	{EAP_SHORT_PROOF, true, false, false, "knows the password", 2},
	{EAP_REFLECTS, true, true, true, "", 0},
	{EAP_SENDS_BACK, true, true, true, "with code 2", 2},
	{EAP_CHALLENGES_AGAIN, true, false, false, "second challenge", 2},
	{EAP_SMALL_CHALLENGE, true, false, false, "malformed", 1},
	{EAP_REFUSES, true, false, false,
	 "the server refuses us: E=691, name or password is wrong (\"go away?[2J?\")", 3},
	{EAP_EXPIRED, true, false, false, "changing it is not supported", 3},
	{EAP_LONG_LENGTH, true, true, true, "wrong length", 0},
	{EAP_SHORT_LENGTH, true, true, true, "wrong length", 0},
	{EAP_LONG_MS_LENGTH, true, false, false, "wrong length", 1},
	{EAP_IDENTITY_FOR_EVER, true, true, true, "more than 100", EAP_ROUNDS},
	{EAP_IDENTITY_WITHIN, true, true, true, "identity within", 2},
	{EAP_MD5_ONLY, true, true, true, "wants EAP type 4", 2},
	{EAP_MD5_WITHIN, true, true, true, "EAP type 4 within", 2},
	{EAP_STARTS_TWICE, false, true, true, "begins again", 2},
	{EAP_NO_START, false, true, true, "does not begin", 1},
	{EAP_NO_COMMITMENT, false, false, true, "RFC 9190", 0},
	{EAP_WRONG_COMMITMENT, false, false, true, "application data", 0},
	{EAP_LONG_COMMITMENT, false, false, true, "application data", 0},
	{EAP_GOES_ON, false, true, true, "do not fit", 0},
	{EAP_FRAGMENT_WITHOUT_LENGTH, false, true, true, "do not fit", 2},
	{EAP_FRAGMENT_EMPTY, false, true, true, "do not fit", 0},
	{EAP_TOTAL_CHANGES, false, true, true, "do not fit", 0},
	{EAP_TOTAL_TOO_SMALL, false, true, true, "do not fit", 0},
	{EAP_TOTAL_TOO_LARGE, false, true, true, "do not fit", 0},
	{EAP_TOTAL_HUGE, false, true, true, "do not fit", 2},
	{EAP_DOES_NOT_WAIT, false, true, true, "does not wait", 0},
};

static void try_deed(size_t i, enum auth_kind kind, int version)
{
	struct eap_server s = honest(kind, version);
	struct side p;
	enum eap_result r;

	s.deed = deeds[i].deed;
	s.fragment = 100;
	begin(&p, kind, PASSWORD, below, middle);
	r = converse(&p, &s);
	if (r != EAP_FAILS || !strstr(eap_why(p.eap), deeds[i].why))
		fail_msg("deed %u, kind %u, version %x: result %u, \"%s\" is not in \"%s\"",
			 deeds[i].deed, kind, (unsigned)version, r, deeds[i].why, eap_why(p.eap));
	/* The ClientHello of newer libraries is more than one fragment. */
	if (deeds[i].responses_most && p.responses - p.more > deeds[i].responses_most)
		fail_msg("deed %u, kind %u: %u responses", deeds[i].deed, kind, p.responses);
	finish(&p);
	eap_server_reset(&s);
}

static void dishonest_servers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(deeds); i++) {
		if (deeds[i].chap)
			try_deed(i, AUTH_KIND_EAP_MSCHAPV2, 0);
		if (deeds[i].tls12)
			try_deed(i, AUTH_KIND_EAP_TLS, TLS1_2_VERSION);
		if (deeds[i].tls13)
			try_deed(i, AUTH_KIND_EAP_TLS, TLS1_3_VERSION);
	}
}

/* A server that first wants another method takes ours after the Nak; notifications are told. */
static void other_requests(void **state)
{
	static const enum eap_deed harmless[] = {EAP_MD5, EAP_EXPANDED_FIRST, EAP_NOTIFIES};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++) {
		struct eap_server s = honest(AUTH_KIND_EAP_MSCHAPV2, 0);

		s.deed = harmless[i];
		assert_let_in(&s, peer_leaf, NULL);
		s = honest(AUTH_KIND_EAP_TLS, TLS1_3_VERSION);
		s.deed = harmless[i];
		assert_let_in(&s, peer_leaf, NULL);
	}
}

static void notification_is_printable(void **state)
{
	static const uint8_t notification[] = {1, 9, 0, 12, 2, 'a', 27, '[', '2', 'J', 0xc3, 0xbc};
	static const uint8_t identity[] = {1, 9, 0, 5, 1};
	struct side p;

	(void)state;
	begin(&p, AUTH_KIND_EAP_MSCHAPV2, PASSWORD, peer_leaf, NULL);
	assert_null(eap_notice(p.eap));
	assert_int_equal(give(&p, notification, sizeof(notification)), EAP_RESPONDS);
	assert_string_equal(eap_notice(p.eap), "a?[2J??");
	assert_int_equal(p.len, 5);
	assert_int_equal(give(&p, identity, sizeof(identity)), EAP_RESPONDS);
	assert_null(eap_notice(p.eap));
	finish(&p);
}

static void wrong_password(void **state)
{
	struct eap_server s = honest(AUTH_KIND_EAP_MSCHAPV2, 0);
	struct side p;

	(void)state;
	begin(&p, s.kind, "guess", peer_leaf, NULL);
	assert_int_equal(converse(&p, &s), EAP_FAILS);
	assert_non_null(strstr(eap_why(p.eap), "E=691"));
	assert_true(eap_is_refused(p.eap));
	assert_false(s.accepts);
	finish(&p);
}

static void purposes_of_the_server(void **state)
{
	static const char *const purposes[] = {"serverAuth", "clientAuth,serverAuth",
					       "anyExtendedKeyUsage"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(purposes); i++) {
		struct eap_server s = honest(AUTH_KIND_EAP_TLS, TLS1_3_VERSION);

		s.leaf = leaf_for(purposes[i], "DNS:aaa.example", root);
		assert_let_in(&s, peer_leaf, NULL);
	}
}

/* The certificate of the server must be of our CA, for servers, have its name, and be valid. */
static void wrong_certificates(void **state)
{
	const struct {
		const struct pki *leaf;
		int64_t later;
		const char *why;
	} rows[] = {{misnamed, 0, "does not have the peer's id"},
		    {foreign, 0, "unable to get"},
		    {user, 0, "neither serverAuth nor any"},
		    {server_leaf, 2 * PKI_YEAR, "expired"}};
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
		struct eap_server s = honest(AUTH_KIND_EAP_TLS, versions[i % 2]);
		struct side p;
		const char *why;

		s.leaf = rows[i / 2].leaf;
		begin(&p, s.kind, "", peer_leaf, NULL);
		if (rows[i / 2].later) {
			struct eap_setup again = {.kind = s.kind,
						  .identity = {(const uint8_t *)"User", 4},
						  .creds = &p.creds,
						  .server = &p.server,
						  .when = PKI_NOW + rows[i / 2].later};

			eap_free(p.eap);
			p.eap = eap_new(&again, &why);
		}
		assert_int_equal(converse(&p, &s), EAP_FAILS);
		if (!strstr(eap_why(p.eap), rows[i / 2].why))
			fail_msg("row %zu: %s", i / 2, eap_why(p.eap));
		assert_false(s.accepts);
		assert_false(eap_is_refused(p.eap));
		/* The server is told, and its EAP-Failure awaited. */
		assert_int_equal(s.alert, SSL_AD_BAD_CERTIFICATE);
		assert_true(s.ended);
		finish(&p);
		eap_server_reset(&s);
	}
}

/*
 * The server refuses our certificate: TLS 1.2 says so within the handshake, 1.3 after it. Its alert
 * is answered (RFC 5216 2.1.3), and remains the reason when EAP-Failure follows.
 */
static void refused_by_the_server(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		struct eap_server s = honest(AUTH_KIND_EAP_TLS, versions[i]);
		struct side p;

		s.ca = other_root;
		begin(&p, s.kind, "", peer_leaf, NULL);
		assert_int_equal(converse(&p, &s), EAP_FAILS);
		assert_non_null(strstr(eap_why(p.eap), "alert unknown ca"));
		assert_true(eap_is_refused(p.eap));
		assert_false(s.accepts);
		assert_true(s.ended);
		finish(&p);
		eap_server_reset(&s);
	}
}

/* Packets cut at each length, and each octet changed, of a conversation: no harm, no success. */
static void cut_and_changed(void **state)
{
	static uint8_t packet[66000];

	(void)state;
	for (unsigned change = 0; change < 2; change++) {
		for (size_t at = 0; at < 60; at++) {
			struct eap_server s = honest(AUTH_KIND_EAP_MSCHAPV2, 0);
			enum eap_result r = EAP_RESPONDS;
			struct side p;
			unsigned n = 0;

			begin(&p, s.kind, PASSWORD, peer_leaf, NULL);
			/* The third packet has the proof, and a text behind it that nobody checks.
			 */
			while (r == EAP_RESPONDS && n < 3) {
				size_t len =
					eap_server_next(&s, (struct chunk){p.out, p.len}, packet);

				n++;
				if (n == 3 && at >= 51)
					break;
				if (n == 3 && change && at != 1 && at != 6 && at != 7 && at != 8)
					packet[at] ^= 0x40;
				else if (n == 3 && !change)
					len = at;
				else if (n == 3)
					break;
				r = give(&p, packet, len);
				if (n == 3 && r != EAP_FAILS)
					fail_msg("octet %zu, change %u: %u", at, change, r);
			}
			finish(&p);
		}
	}
}

/* Without eap_id: octets that do not print are in it as they are. */
static void name_as_identity(void **state)
{
	struct conn_conf c = {0};
	char id[IDENT_STRLEN];

	(void)state;
	assert_int_equal(ident_parse("us\xc3\xa9r@b.example", &c.local_id), 0);
	assert_string_equal(conn_eap_id(&c, id), "us\xc3\xa9r@b.example");
}

static void what_cannot_begin(void **state)
{
	struct side p;
	const char *why;
	struct eap_setup setup = {.kind = AUTH_KIND_EAP_MSCHAPV2};

	(void)state;
	begin(&p, AUTH_KIND_EAP_TLS, "", peer_leaf, NULL);
	assert_null(eap_new(&setup, &why));
	assert_non_null(strstr(why, "set eap_id"));
	setup.identity = (struct chunk){(const uint8_t *)"x", EAP_ID_MAX + 1};
	assert_null(eap_new(&setup, &why));
	setup.identity.len = 1;
	assert_null(eap_new(&setup, &why));
	assert_non_null(strstr(why, "no password"));
	setup.kind = AUTH_KIND_PSK;
	assert_null(eap_new(&setup, &why));
	setup.kind = AUTH_KIND_EAP_TLS;
	assert_null(eap_new(&setup, &why));
	assert_non_null(strstr(why, "needs local.key"));
	setup.creds = &p.creds;
	setup.server = &p.server;
	pkey_unref(p.creds.key);
	p.creds.key = pki_private(server_leaf);
	assert_null(eap_new(&setup, &why));
	assert_non_null(strstr(why, "libssl does not take"));
	finish(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_method),
		cmocka_unit_test(fragments),
		cmocka_unit_test(dishonest_servers),
		cmocka_unit_test(other_requests),
		cmocka_unit_test(notification_is_printable),
		cmocka_unit_test(wrong_password),
		cmocka_unit_test(purposes_of_the_server),
		cmocka_unit_test(wrong_certificates),
		cmocka_unit_test(refused_by_the_server),
		cmocka_unit_test(cut_and_changed),
		cmocka_unit_test(name_as_identity),
		cmocka_unit_test(what_cannot_begin),
	};

	return cmocka_run_group_tests(tests, make_pki, NULL);
}
