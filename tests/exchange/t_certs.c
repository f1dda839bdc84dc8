/*
 * t_certs.c - IKE_AUTH by certificates, raw public keys and pre-shared keys, mixed: two peers, and
 * everything that is to be refused. SPDX-License-Identifier: ISC
 */
#include "peers.h"
#include "pki.h"
#include "crypto/trust_ossl.h"
#include "xalloc.h"

#include <stdlib.h>

#define BRANCH_SAN "DNS:branch.example"
#define GW_SAN	   "DNS:gw.example.net"

/* What one side has; NULL or 0: nothing. */
struct side {
	enum auth_kind local, remote; /* how it authenticates, and how the peer has to */
	const struct pki *leaf, *middle,
		*key;	      /* key: if it is not that of the leaf, or without one */
	const struct pki *ca; /* trusted */
	const struct pki *pinned;
	const struct pki *pubkey; /* of the peer */
	X509_CRL *crl;
	enum revocation revocation;
	bool rsa_pss, rsa_sha1;
	const char *local_id, *remote_id;
};

static struct pki *root, *other_root, *middle;
static struct pki *leaves[2];

static struct pki *leaf(enum pki_kind kind, unsigned i)
{
	return pki_make(&(struct pki_spec){.kind = kind,
					   .subject = i == BRANCH ? "O=Example,CN=branch"
								  : "O=Example,CN=gw",
					   .san = i == BRANCH ? BRANCH_SAN : GW_SAN,
					   .issuer = root});
}

static int make_pki(void **state)
{
	(void)state;
	root = pki_ca(PKI_P256, "CN=Root", NULL);
	other_root = pki_ca(PKI_P256, "CN=Other", NULL);
	middle = pki_ca(PKI_P256, "CN=Middle", root);
	leaves[BRANCH] = leaf(PKI_P256, BRANCH);
	leaves[GW] = leaf(PKI_P256, GW);
	return 0;
}

/* Both sides with certificates of the same CA. */
static void both_certs(struct side s[2])
{
	for (unsigned i = 0; i < 2; i++)
		s[i] = (struct side){.local = AUTH_KIND_PUBKEY,
				     .remote = AUTH_KIND_PUBKEY,
				     .leaf = leaves[i],
				     .ca = root};
}

/* ---- configuration ---- */

static void anchor(struct trust *t, const struct pki *p, bool pinned)
{
	struct cert *c = p ? pki_cert(p) : NULL;

	if (c)
		trust_add(t, c, pinned);
	cert_unref(c);
}

static void set_trust(const struct side *s, struct conn_creds *c)
{
	struct trust *t = trust_new();

	anchor(t, s->ca, false);
	anchor(t, s->pinned, true);
	if (s->crl) {
		struct crl *crl = crl_adopt(X509_CRL_dup(s->crl));

		trust_add_crl(t, crl);
		crl_unref(crl);
	}
	if (s->ca || s->pinned)
		c->peer = trust_ref(t);
	trust_unref(t);
	if (s->pubkey)
		c->pubkeys[c->pubkey_count++] = pki_private(s->pubkey);
}

static struct cred_store *creds(const struct side *s, const char *conn)
{
	struct cred_store *store = cred_store_new();
	struct conn_creds *c = cred_store_add(store, conn);
	const struct pki *key = s->key ? s->key : s->leaf;

	if (key)
		c->key = pki_private(key);
	if (s->leaf)
		c->chain.v[c->chain.count++] = pki_cert(s->leaf);
	if (s->middle)
		c->chain.v[c->chain.count++] = pki_cert(s->middle);
	set_trust(s, c);
	cred_store_complete(store);
	return store;
}

static void set_id(struct ident *id, const char *text)
{
	if (text)
		assert_int_equal(ident_parse(text, id), 0);
}

/* The connection of peer i with what this side has. */
static struct conn_conf *conf_with(struct net *n, unsigned i, const struct side *s)
{
	struct conn_conf *c = peer_conf(n, i);

	c->auth.local = s->local;
	c->auth.remote = s->remote;
	c->auth.revocation = s->revocation;
	c->auth.rsa_pss = s->rsa_pss;
	c->auth.rsa_sha1 = s->rsa_sha1;
	set_id(&c->local_id, s->local_id);
	set_id(&c->remote_id, s->remote_id);
	return c;
}

/* Gives peer i these credentials; same: its connection stays if they still hold. */
static void configure(struct net *n, unsigned i, const struct side *s, conn_same *same)
{
	struct conn_conf *c = conf_with(n, i, s);

	peer_configure_with(n, i, c, creds(s, c->name), same);
	conn_unref(c);
}

/* A new process of peer i with these credentials; returns the number of connections that go on. */
static int restart_with(struct net *n, unsigned i, const struct side *s)
{
	uint8_t *room = xzalloc(SAVED_ROOM);
	unsigned saved;
	struct chunk c = peer_save(n, i, room, SAVED_ROOM, &saved);
	struct conn_conf *conf = conf_with(n, i, s);
	int loaded;

	assert_int_equal(saved, 1);
	loaded = peer_load_with(n, i, c, conf, creds(s, conf->name));
	free(room);
	return loaded;
}

static struct net *begin_with(const struct options *o, const struct side s[2])
{
	struct net *n;
	struct options begin = *o;

	/* No call before the credentials are there. */
	begin.start = START_NONE;
	n = net_new(&begin);
	n->o.start = o->start;
	n->wall = PKI_NOW;
	configure(n, GW, &s[GW], NULL);
	configure(n, BRANCH, &s[BRANCH], NULL);
	return n;
}

static struct net *begin(const struct side s[2])
{
	struct options o = options_default();

	return begin_with(&o, s);
}

/* Whether the peer of i has authenticated by a key or certificate. */
static bool has_proof(struct net *n, unsigned i)
{
	struct ike_sa *sa = ike_first_sa(n->peer[i].tunnel->ike);

	return sa && ike_sa_proof(sa);
}

static void check_up(const struct side s[2], const char *what)
{
	struct net *n = begin(s);

	net_until(n, net_is_up, 20 * SEC, what);
	assert_int_equal(has_proof(n, BRANCH), s[BRANCH].remote == AUTH_KIND_PUBKEY);
	assert_int_equal(has_proof(n, GW), s[GW].remote == AUTH_KIND_PUBKEY);
	assert_true(net_agrees(n));
	net_free(n);
}

/*
 * Peer i lets the other one not in, and its log says why. The gateway may be up if the branch
 * refuses: it has sent its response.
 */
static void check_refused_by(unsigned i, const struct side s[2], const char *why)
{
	struct net *n = begin(s);

	net_run(n, 10 * SEC);
	if (net_is_up(n) || peer_child_sas(n, i) || peer_child_sas(n, BRANCH))
		net_fail(n, "let in: %s", why);
	if (!net_logged(n, why))
		net_fail(n, "the log does not say: %s", why);
	/* It counts as a guess, of which an address has few (threat-model.md). */
	if (i == GW && !ike_counters(n->peer[GW].tunnel->ike)[IKE_COUNT_GUESS])
		net_fail(n, "not counted as a guess: %s", why);
	net_free(n);
}

static void check_refused(const struct side s[2], const char *why)
{
	check_refused_by(GW, s, why);
}

/* ---- what is let in ---- */

static void each_kind_of_key(void **state)
{
	(void)state;
	for (enum pki_kind k = 0; k < PKI_BAD_KEYS; k++) {
		struct side s[2];

		both_certs(s);
		s[BRANCH].leaf = leaf(k, BRANCH);
		s[GW].leaf = leaf((k + 1) % PKI_BAD_KEYS, GW);
		s[BRANCH].rsa_pss = k == PKI_RSA_3072;
		check_up(s, "up with each kind of key");
	}
}

static void intermediate_ca(void **state)
{
	struct side s[2];

	(void)state;
	both_certs(s);
	s[BRANCH].leaf = pki_make(&(struct pki_spec){
		.kind = PKI_P256, .subject = "CN=b", .san = BRANCH_SAN, .issuer = middle});
	s[BRANCH].middle = middle;
	check_up(s, "up with an intermediate CA");
	s[BRANCH].middle = NULL;
	check_refused(s, "unable to get");
}

static void distinguished_names(void **state)
{
	struct side s[2];

	(void)state;
	both_certs(s);
	s[BRANCH].local_id = "O=Example, CN=branch";
	s[GW].remote_id = "O=example, CN=*";
	s[GW].local_id = "o=EXAMPLE,cn=gw";
	s[BRANCH].remote_id = "O=Example, CN=gw";
	check_up(s, "up with distinguished names");
	s[GW].remote_id = "O=Another, CN=*";
	check_refused(s, "authentication of \"O=Example, CN=branch\" failed");
}

/* A secret one way and a certificate the other. */
static void mixed_methods(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct side s[2] = {{0}};

		s[i] = (struct side){.local = AUTH_KIND_PUBKEY, .leaf = leaves[i]};
		s[!i] = (struct side){.remote = AUTH_KIND_PUBKEY, .ca = root};
		check_up(s, "up with a secret one way and a certificate the other");
	}
}

static void raw_public_keys(void **state)
{
	struct side s[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		s[i] = (struct side){.local = AUTH_KIND_PUBKEY,
				     .remote = AUTH_KIND_PUBKEY,
				     .key = leaves[i],
				     .pubkey = leaves[!i]};
	check_up(s, "up with raw public keys");
	/* The peer shows a certificate, whose key is the configured one. */
	s[BRANCH].leaf = leaves[BRANCH];
	check_up(s, "up with a certificate whose key is configured");
	s[BRANCH].leaf = NULL;
	s[GW].pubkey = root;
	check_refused(s, "its public key is not configured");
}

static void pinned_certificate_is_not_sent(void **state)
{
	struct side s[2];

	(void)state;
	both_certs(s);
	s[BRANCH].leaf = NULL;
	s[BRANCH].key = leaves[BRANCH];
	s[GW].ca = NULL;
	s[GW].pinned = leaves[BRANCH];
	check_up(s, "up with a certificate that only the gateway has");
	s[GW].remote_id = "%any";
	s[BRANCH].local_id = "else.example";
	check_refused(s, "it sends no certificate");
}

/* ---- what is refused, each with its reason ---- */

static struct pki *branch_with(struct pki_spec s)
{
	if (!s.san)
		s.san = BRANCH_SAN;
	if (!s.issuer)
		s.issuer = root;
	s.kind = PKI_P256;
	s.subject = "O=Example,CN=branch";
	return pki_make(&s);
}

static void refuse_branch(struct pki *with, const char *why)
{
	struct side s[2];

	both_certs(s);
	s[BRANCH].leaf = with;
	check_refused(s, why);
}

static void wrong_certificates(void **state)
{
	(void)state;
	refuse_branch(branch_with((struct pki_spec){.issuer = other_root}), "unable to get");
	refuse_branch(branch_with((struct pki_spec){.until = PKI_NOW - 60}), "has expired");
	refuse_branch(branch_with((struct pki_spec){.from = PKI_NOW + 3600}), "not yet valid");
	refuse_branch(branch_with((struct pki_spec){.san = "DNS:other.example"}),
		      "does not have the peer's id");
	refuse_branch(branch_with((struct pki_spec){.san = "DNS:*.example"}),
		      "does not have the peer's id");
	refuse_branch(branch_with((struct pki_spec){.usage = "keyEncipherment"}), "keyUsage");
	refuse_branch(branch_with((struct pki_spec){.purposes = "codeSigning"}),
		      "extendedKeyUsage");
	refuse_branch(branch_with((struct pki_spec){.sha1 = true}), "weak");
}

/* More than CERT_MAX bytes, in a message that is not too long. */
static void large_certificate(void **state)
{
	char san[CERT_MAX + 400] = BRANCH_SAN;
	size_t at = strlen(san);

	(void)state;
	while (at + 40 < sizeof(san))
		at += (size_t)snprintf(san + at, sizeof(san) - at, ",DNS:%030zu.example", at);
	refuse_branch(branch_with((struct pki_spec){.san = san}), "its certificate is malformed");
}

/* Somebody without any certificate guesses as often as it may, and then is not answered. */
static void guesses_are_limited(void **state)
{
	struct side s[2];
	struct net *n;

	(void)state;
	both_certs(s);
	s[BRANCH].leaf = branch_with((struct pki_spec){.issuer = other_root});
	n = begin(s);
	for (unsigned i = 0; i < 60; i++) {
		net_run(n, SEC / 10);
		configure(n, BRANCH, &s[BRANCH], NULL); /* calls at once again */
	}
	assert_true(ike_counters(n->peer[GW].tunnel->ike)[IKE_COUNT_GUESS] <= 17);
	assert_true(ike_counters(n->peer[GW].tunnel->ike)[IKE_COUNT_GUESS_LIMIT] > 10);
	net_free(n);
}

static void revoked_certificate(void **state)
{
	struct side s[2];

	(void)state;
	both_certs(s);
	s[GW].crl = pki_crl(root, leaves[BRANCH], PKI_NOW + 86400);
	check_refused(s, "revoked");
	s[GW].crl = pki_crl(root, NULL, PKI_NOW + 86400);
	s[GW].revocation = REVOCATION_STRICT;
	check_up(s, "up with a CRL that does not list it");
	s[GW].crl = NULL;
	check_refused(s, "CRL");
}

/* The key is not that of the certificate. */
static void stolen_certificate(void **state)
{
	struct side s[2];

	(void)state;
	both_certs(s);
	s[BRANCH].key = leaf(PKI_P256, BRANCH);
	check_refused(s, "its signature is not by the key of its certificate");
	both_certs(s);
	s[GW].key = leaf(PKI_P256, GW);
	check_refused_by(BRANCH, s, "its signature is not by the key of its certificate");
}

/* A connection by certificates is not open to the secret, nor the other way round. */
static void other_method_is_refused(void **state)
{
	struct side s[2];

	(void)state;
	both_certs(s);
	s[BRANCH].local = AUTH_KIND_PSK;
	check_refused(s, "its AUTH has method 2");
	both_certs(s);
	s[GW].remote = AUTH_KIND_PSK;
	check_refused(s, "its AUTH has method 14");
	both_certs(s);
	s[GW].local = AUTH_KIND_PSK;
	check_refused_by(BRANCH, s, "its AUTH has method 2");
}

/* The peer has a certificate of ours. */
static void own_certificate_is_refused(void **state)
{
	struct side s[2];
	struct pki *both = branch_with((struct pki_spec){.san = BRANCH_SAN "," GW_SAN});

	(void)state;
	both_certs(s);
	s[BRANCH].leaf = s[GW].leaf = both;
	check_refused(s, "its signature is not by the key");
}

/* ---- RFC 7427 and the methods before it ---- */

static uint8_t hash_sent; /* in place of SHA2-256 in IKE_SA_INIT; 0: the notify is another */

/* On the wire, changes the type of the notify, or its first hash. */
static bool spoil_hashes(struct net *n, unsigned from, struct datagram *d)
{
	(void)n, (void)from;
	for (uint32_t i = 0; !d->esp && i + 8 < d->len; i++) {
		static const uint8_t notify[] = {0x00, 0x00, 0x40, 0x2f, 0x00, 0x02};

		if (d->p[18] == IKE_SA_INIT && memcmp(d->p + i, notify, sizeof(notify)) == 0) {
			if (hash_sent)
				d->p[i + 5] = hash_sent;
			else
				d->p[i + 3] = 0xff;
		}
	}
	return true;
}

/* Somebody on the path removes the announcement: AUTH covers it, so nobody is let in. */
static void downgrade_is_noticed(void **state)
{
	static const uint8_t changes[] = {0, 1, 7};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		struct side s[2];
		struct net *n;

		both_certs(s);
		s[BRANCH].rsa_sha1 = s[GW].rsa_sha1 = true;
		if (i == 0)
			s[BRANCH].leaf = leaf(PKI_RSA, BRANCH);
		hash_sent = changes[i];
		n = begin(s);
		n->hook = spoil_hashes;
		net_run(n, 10 * SEC);
		assert_false(net_is_up(n));
		assert_int_equal(peer_child_sas(n, GW), 0);
		net_free(n);
	}
}

/* ---- loss, and what lasts ---- */

/* Each message is lost, repeated and late, as with secrets. */
static void lossy_wire(void **state)
{
	struct side s[2];

	(void)state;
	both_certs(s);
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct options o = options_default();
		struct net *n;

		o.seed = seed;
		n = begin_with(&o, s);
		n->loss = 300;
		n->dup = 300;
		n->reorder = 300;
		n->jitter = 50 * MSEC;
		net_until(n, net_is_up, 300 * SEC, "up on a bad wire");
		net_free(n);
	}
}

static bool is_down(struct net *n)
{
	return !peer_ike_sas(n, GW) && !net_is_up(n);
}

/* A reload that takes away what let the peer in ends its IKE SA; one that renews does not. */
static void reload_revokes(void **state)
{
	struct side s[2], now;
	struct net *n;
	uint64_t spi;

	(void)state;
	both_certs(s);
	n = begin(s);
	net_until(n, net_is_up, 20 * SEC, "up");
	spi = ike_sa_spi_i(ike_first_sa(n->peer[GW].tunnel->ike));
	now = s[GW];
	now.crl = pki_crl(root, NULL, PKI_NOW + 86400);
	configure(n, GW, &now, always_same);
	net_run(n, SEC);
	assert_int_equal(ike_sa_spi_i(ike_first_sa(n->peer[GW].tunnel->ike)), spi);
	now.leaf = leaf(PKI_P384, GW); /* our own is renewed */
	configure(n, GW, &now, always_same);
	net_run(n, SEC);
	assert_int_equal(ike_sa_spi_i(ike_first_sa(n->peer[GW].tunnel->ike)), spi);
	now.crl = pki_crl(root, leaves[BRANCH], PKI_NOW + 86400);
	configure(n, GW, &now, always_same);
	net_until(n, is_down, 2 * SEC, "ended when the certificate was revoked");
	assert_true(net_logged(n, "not trusted any more"));
	net_free(n);
	n = begin(s);
	net_until(n, net_is_up, 20 * SEC, "up");
	now = s[GW];
	now.ca = other_root;
	configure(n, GW, &now, always_same);
	net_until(n, is_down, 2 * SEC, "ended when the CA was removed");
	net_free(n);
}

/* A new process goes on with the peer's certificates, and asks again whether they are trusted. */
static void restart_keeps_the_proof(void **state)
{
	struct side s[2], now;
	struct net *n;

	(void)state;
	both_certs(s);
	s[BRANCH].leaf = pki_make(&(struct pki_spec){
		.kind = PKI_P256, .subject = "CN=b", .san = BRANCH_SAN, .issuer = middle});
	s[BRANCH].middle = middle;
	for (unsigned revoked = 0; revoked < 2; revoked++) {
		n = begin(s);
		net_until(n, net_is_up, 20 * SEC, "up");
		now = s[GW];
		if (revoked)
			now.ca = other_root;
		assert_int_equal(restart_with(n, GW, &now), revoked ? 0 : 1);
		assert_true(has_proof(n, GW)); /* the one that has to go waits for its DELETE */
		if (!revoked) {
			now.ca = other_root;
			configure(n, GW, &now, always_same);
		}
		net_until(n, is_down, 2 * SEC, "ended when the CA was removed");
		net_free(n);
	}
}

/* After rekeys of the IKE SA, too: the proof goes with it. */
static void rekeyed_sa_is_revoked(void **state)
{
	struct side s[2], now;
	struct net *n;

	(void)state;
	both_certs(s);
	n = begin(s);
	net_until(n, net_is_up, 20 * SEC, "up");
	ike_sa_rekey(ike_first_sa(n->peer[BRANCH].tunnel->ike), n->now);
	net_run(n, 2 * SEC);
	assert_true(has_proof(n, GW) && has_proof(n, BRANCH));
	now = s[GW];
	now.ca = other_root;
	configure(n, GW, &now, always_same);
	net_until(n, is_down, 2 * SEC, "ended when the CA was removed");
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_of_key),
		cmocka_unit_test(intermediate_ca),
		cmocka_unit_test(distinguished_names),
		cmocka_unit_test(mixed_methods),
		cmocka_unit_test(raw_public_keys),
		cmocka_unit_test(pinned_certificate_is_not_sent),
		cmocka_unit_test(wrong_certificates),
		cmocka_unit_test(large_certificate),
		cmocka_unit_test(guesses_are_limited),
		cmocka_unit_test(restart_keeps_the_proof),
		cmocka_unit_test(revoked_certificate),
		cmocka_unit_test(stolen_certificate),
		cmocka_unit_test(other_method_is_refused),
		cmocka_unit_test(own_certificate_is_refused),
		cmocka_unit_test(downgrade_is_noticed),
		cmocka_unit_test(lossy_wire),
		cmocka_unit_test(reload_revokes),
		cmocka_unit_test(rekeyed_sa_is_revoked),
	};

	return cmocka_run_group_tests(tests, make_pki, NULL);
}
