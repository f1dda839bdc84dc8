/* t_cert.c - keys, signatures, certificates, trust, and their files. SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/authenticator.h"
#include "crypto/cred_parse.h"
#include "crypto/trust_ossl.h"
#include "pki.h"
#include "xalloc.h"

#include <openssl/pkcs12.h>
#include <openssl/pem.h>
#include <stdio.h>

#define ALL_HASHES 0x3c /* SHA2-256, -384, -512, Identity */

static struct chunk text(const char *s)
{
	return (struct chunk){(const uint8_t *)s, strlen(s)};
}

/* ---- AUTH by signatures ---- */

static uint8_t sk_p[HASH_MAX_LEN] = {7};

static struct auth_octets octets(void)
{
	return (struct auth_octets){.prf = HASH_SHA256,
				    .message = text("IKE_SA_INIT"),
				    .nonce = text("a nonce"),
				    .sk_p = sk_p,
				    .id = text("id")};
}

static struct pkey *key_of(enum pki_kind kind)
{
	static struct pki *made[PKI_BAD_KEYS];

	if (!made[kind])
		made[kind] = pki_make(&(struct pki_spec){.kind = kind, .subject = "CN=a"});
	return pki_private(made[kind]);
}

static const struct {
	enum pki_kind kind;
	bool pss;
	uint32_t hashes;
	uint8_t method;
	const char *begins; /* of the AUTH data: length and AlgorithmIdentifier */
	size_t begins_len;
} methods[] = {
	{PKI_RSA, false, ALL_HASHES, 14,
	 "\x0f\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00", 16},
	{PKI_RSA, false, 1 << 4, 14,
	 "\x0f\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d\x05\x00", 16},
	{PKI_RSA_3072, true, ALL_HASHES, 14,
	 "\x43\x30\x41\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x34\xa0\x0f\x30\x0d\x06\x09"
	 "\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7"
	 "\x0d\x01\x01\x08\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\xa2\x03\x02"
	 "\x01\x20",
	 68},
	{PKI_RSA, true, 1 << 3, 14, "\x43\x30\x41", 3},
	{PKI_P256, false, ALL_HASHES, 14, "\x0c\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02",
	 13},
	{PKI_P384, false, ALL_HASHES, 14, "\x0c\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03",
	 13},
	{PKI_P521, false, ALL_HASHES, 14, "\x0c\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04",
	 13},
	{PKI_P521, false, 1 << 2, 14, "\x0c\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02", 13},
	{PKI_ED25519, false, ALL_HASHES, 14, "\x07\x30\x05\x06\x03\x2b\x65\x70", 8},
	{PKI_P256, false, 0, 9, "", 0},
	{PKI_P384, false, 0, 10, "", 0},
	{PKI_P521, false, 0, 11, "", 0},
};

static const struct authenticator *make(size_t m, const struct pkey *key, uint8_t *out,
					int *ret_len)
{
	struct auth_octets o = octets();
	struct auth_identities i = {
		.ours = key, .hashes = methods[m].hashes, .rsa_pss = methods[m].pss};
	const struct authenticator *a = authenticator_ours(AUTH_KIND_PUBKEY, &i);

	*ret_len = a->make(&o, &i, out);
	return a;
}

static bool verify(const struct authenticator *a, const struct pkey *theirs, struct chunk data)
{
	struct auth_octets o = octets();
	struct auth_identities i = {.theirs = theirs, .announced = true};

	return a->verify(&o, &i, data);
}

/* Each key by each method: made, verified, and refused if anything is changed. */
static void each_method_makes_and_verifies(void **state)
{
	(void)state;
	for (size_t m = 0; m < ARRAY_SIZE(methods); m++) {
		struct pkey *key = key_of(methods[m].kind);
		const struct authenticator *a;
		uint8_t auth[AUTH_DATA_MAX];
		int len;

		a = make(m, key, auth, &len);
		assert_int_equal(a->method, methods[m].method);
		assert_true(len > (int)methods[m].begins_len);
		assert_memory_equal(auth, methods[m].begins, methods[m].begins_len);
		assert_true(verify(a, key, (struct chunk){auth, (size_t)len}));
		for (size_t at = 0; at < (size_t)len; at += at < 90 ? 1 : 17) {
			auth[at] ^= 1;
			assert_false(verify(a, key, (struct chunk){auth, (size_t)len}));
			auth[at] ^= 1;
			assert_false(verify(a, key, (struct chunk){auth, at}));
		}
		assert_false(verify(a, NULL, (struct chunk){auth, (size_t)len}));
		for (enum pki_kind k = 0; k < PKI_BAD_KEYS; k++) {
			struct pkey *other = key_of(k);

			if (k != methods[m].kind)
				assert_false(verify(a, other, (struct chunk){auth, (size_t)len}));
			pkey_unref(other);
		}
		pkey_unref(key);
	}
}

/* The methods of RFC 4754 have one curve and one hash each: a key of another curve is refused. */
static void curve_of_another_method(void **state)
{
	struct pkey *key = key_of(PKI_P384);
	struct auth_octets o = octets();
	struct auth_identities i = {.ours = key, .theirs = key};
	uint8_t auth[AUTH_DATA_MAX];
	int len = auth_ecdsa_256.make(&o, &i, auth);

	(void)state;
	assert_true(len > 0);
	assert_false(auth_ecdsa_256.verify(&o, &i, (struct chunk){auth, (size_t)len}));
	pkey_unref(key);
}

/* What is signed covers message, nonce, id and SK_p. */
static void signature_covers_all(void **state)
{
	struct pkey *key = key_of(PKI_ED25519);
	struct auth_octets o = octets(), other;
	struct auth_identities i = {
		.ours = key, .theirs = key, .hashes = ALL_HASHES, .announced = true};
	uint8_t auth[AUTH_DATA_MAX], other_sk[HASH_MAX_LEN] = {8};
	struct chunk data = {auth, (size_t)auth_signature.make(&o, &i, auth)};

	(void)state;
	assert_true(auth_signature.verify(&o, &i, data));
	other = o;
	other.message = text("IKE_SA_INIt");
	assert_false(auth_signature.verify(&other, &i, data));
	other = o;
	other.nonce = text("a noncf");
	assert_false(auth_signature.verify(&other, &i, data));
	other = o;
	other.id = text("ie");
	assert_false(auth_signature.verify(&other, &i, data));
	other = o;
	other.sk_p = other_sk;
	assert_false(auth_signature.verify(&other, &i, data));
	i.announced = false; /* RFC 7427 4: only with both sides' notifies */
	assert_false(auth_signature.verify(&o, &i, data));
	pkey_unref(key);
}

/* A key whose hash the peer did not announce does not sign; Ed25519 needs RFC 8420. */
static void unannounced_hashes_are_not_used(void **state)
{
	struct pkey *rsa = key_of(PKI_RSA), *ed = key_of(PKI_ED25519);
	struct auth_octets o = octets();
	struct auth_identities i = {.ours = ed, .hashes = 1 << 2};
	uint8_t auth[AUTH_DATA_MAX];

	(void)state;
	assert_int_equal(auth_signature.make(&o, &i, auth), -EPROTONOSUPPORT);
	i.hashes = 0;
	assert_null(authenticator_ours(AUTH_KIND_PUBKEY, &i));
	i.ours = rsa;
	i.hashes = 1 << 1 | 1 << 5; /* SHA-1 and Identity */
	assert_int_equal(auth_signature.make(&o, &i, auth), -EPROTONOSUPPORT);
	pkey_unref(rsa);
	pkey_unref(ed);
}

/* The AlgorithmIdentifiers of SHA-1 in RFC 7427 A.1.1 and A.3.1 are refused. */
static void sha1_is_refused_in_rfc7427(void **state)
{
	static const char rsa[] =
		"\x0f\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05\x05\x00";
	struct pkey *key = key_of(PKI_RSA);
	struct auth_octets o = octets();
	uint8_t auth[AUTH_DATA_MAX], maced[HASH_MAX_LEN];
	struct chunk parts[AUTH_PARTS];
	int len;

	(void)state;
	auth_parts(&o, maced, parts);
	memcpy(auth, rsa, 16);
	len = pkey_sign(key, (struct sig_scheme){SIG_RSA_PKCS1, HASH_SHA1}, parts, AUTH_PARTS,
			auth + 16);
	assert_true(len > 0);
	assert_false(verify(&auth_signature, key, (struct chunk){auth, 16 + (size_t)len}));
	pkey_unref(key);
}

/* Method 1: with SHA-1 only where that is admitted; SHA-2 is recognized by what is signed. */
static void old_rsa_method(void **state)
{
	static const enum hash_alg hashes[] = {HASH_SHA256, HASH_SHA384, HASH_SHA512};
	struct pkey *key = key_of(PKI_RSA);
	struct auth_octets o = octets();
	struct auth_identities i = {.ours = key, .theirs = key};
	uint8_t auth[AUTH_DATA_MAX], maced[HASH_MAX_LEN];
	struct chunk parts[AUTH_PARTS], data = {auth, 256};

	(void)state;
	assert_ptr_equal(authenticator_ours(AUTH_KIND_PUBKEY, &i), &auth_rsa);
	assert_int_equal(auth_rsa.make(&o, &i, auth), -EPROTONOSUPPORT);
	i.rsa_sha1 = true;
	assert_int_equal(auth_rsa.make(&o, &i, auth), 256);
	assert_true(auth_rsa.verify(&o, &i, data));
	i.rsa_sha1 = false;
	assert_false(auth_rsa.verify(&o, &i, data));
	for (size_t k = 0; k < ARRAY_SIZE(hashes); k++) {
		auth_parts(&o, maced, parts);
		assert_int_equal(pkey_sign(key, (struct sig_scheme){SIG_RSA_PKCS1, hashes[k]},
					   parts, AUTH_PARTS, auth),
				 256);
		i.hashes = 0;
		i.announced = true;
		assert_true(auth_rsa.verify(&o, &i, data));
		i.hashes = ALL_HASHES; /* both know RFC 7427: this would be a downgrade */
		assert_false(auth_rsa.verify(&o, &i, data));
	}
	pkey_unref(key);
}

/* ---- keys and certificates ---- */

static void weak_and_odd_keys_are_refused(void **state)
{
	(void)state;
	for (enum pki_kind k = 0; k <= PKI_ED448; k++) {
		struct pki *p = pki_make(&(struct pki_spec){.kind = k, .subject = "CN=a"});
		struct cert *c = pki_cert(p);
		unsigned char *der = NULL;
		int len = i2d_PUBKEY(p->key, &der);
		struct pkey *key = pkey_from_spki((struct chunk){der, (size_t)len});

		if ((c != NULL) != (k < PKI_BAD_KEYS) || (key != NULL) != (k < PKI_BAD_KEYS))
			fail_msg("kind %d", k);
		OPENSSL_free(der);
		cert_unref(c);
		pkey_unref(key);
	}
}

static void names_of_certificates(void **state)
{
	struct pki *p = pki_make(&(struct pki_spec){
		.kind = PKI_P256,
		.subject = "C=CH,O=Example,CN=gw",
		.san = "DNS:gw.example,DNS:*.wild.example,email:ike@Example.com,IP:192.0.2.1,"
		       "IP:2001:db8::1"});
	static const struct {
		const char *id;
		bool confirmed;
	} ids[] = {
		{"gw.example", true},
		{"GW.Example", true},
		{"a.wild.example", false},
		{"w.example", false},
		{"gw.example.net", false},
		{"ike@example.COM", true},
		{"IKE@example.com", false},
		{"192.0.2.1", true},
		{"192.0.2.2", false},
		{"2001:db8::1", true},
		{"C=CH, O=Example, CN=gw", true},
		{"c=ch, o=EXAMPLE,  CN = gw", true},
		{"CN=gw, O=Example, C=CH", false},
		{"O=Example, CN=gw", false},
		{"C=CH, O=Example, CN=*", false},
		{"gw", false},
		{"@#6777", false},
	};
	struct cert *c = pki_cert(p);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		struct ident id;

		assert_int_equal(ident_parse(ids[i].id, &id), 0);
		if (cert_confirms(c, &id) != ids[i].confirmed)
			fail_msg("%s", ids[i].id);
	}
	cert_unref(c);
}

/* A name with a NUL in the certificate is no prefix of the identity. */
static void nul_in_a_name(void **state)
{
	struct pki *p = pki_make(
		&(struct pki_spec){.kind = PKI_P256, .subject = "CN=a", .san = "DNS:gw.example"});
	struct cert *c = pki_cert(p);

	(void)state;
	assert_true(cert_has_name(c, CERT_NAME_DNS, text("gw.example")));
	assert_false(cert_has_name(c, CERT_NAME_DNS,
				   (struct chunk){(const uint8_t *)"gw.example\0", 11}));
	assert_false(cert_has_name(c, CERT_NAME_DNS, (struct chunk){0}));
	cert_unref(c);
}

static void purposes_of_certificates(void **state)
{
	static const struct {
		const char *usage, *purposes;
		bool good, serves;
	} cases[] = {
		{NULL, NULL, true, true},
		{"digitalSignature", NULL, true, true},
		{"nonRepudiation", NULL, true, true},
		{"keyEncipherment", NULL, false, true},
		{"keyCertSign,cRLSign", NULL, false, true},
		{NULL, "serverAuth", true, true},
		{NULL, "clientAuth", true, false},
		{NULL, "clientAuth,serverAuth", true, true},
		{NULL, "1.3.6.1.5.5.7.3.17", true, false},
		{NULL, "1.3.6.1.5.5.8.2.2", true, false},
		{NULL, "anyExtendedKeyUsage", true, true},
		{NULL, "codeSigning", false, false},
		{NULL, "emailProtection,OCSPSigning", false, false},
		{NULL, "codeSigning,clientAuth", true, false},
		{"keyEncipherment", "serverAuth", false, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pki *p = pki_make(&(struct pki_spec){.kind = PKI_P256,
							    .subject = "CN=a",
							    .usage = cases[i].usage,
							    .purposes = cases[i].purposes});
		struct cert *c = pki_cert(p);
		const char *why;

		if (cert_may_sign(c, &why) != cases[i].good ||
		    cert_may_serve_tls(c, &why) != cases[i].serves)
			fail_msg("case %zu", i);
		cert_unref(c);
	}
}

/* ---- trust ---- */

static struct pki *root, *middle, *other_root;

static int make_cas(void **state)
{
	(void)state;
	root = pki_ca(PKI_P256, "CN=Root", NULL);
	other_root = pki_ca(PKI_P256, "CN=Other", NULL);
	middle = pki_ca(PKI_P256, "CN=Middle", root);
	return 0;
}

static void add_crl(struct trust *t, X509_CRL *x)
{
	struct crl *c = crl_adopt(x);

	trust_add_crl(t, c);
	crl_unref(c);
}

static void add(struct trust *t, const struct pki *p, bool pinned)
{
	struct cert *c = pki_cert(p);

	trust_add(t, c, pinned);
	cert_unref(c);
}

static struct trust *trusting(const struct pki *ca)
{
	struct trust *t = trust_new();

	add(t, ca, false);
	return t;
}

/* Verifies a certificate with an intermediate one, or without (NULL); frees nothing. */
static int check(const struct trust *t, const struct pki *leaf, const struct pki *with,
		 enum revocation r, int64_t when)
{
	struct cert_chain chain = {.count = with ? 2 : 1};
	char why[TRUST_WHY_MAX] = "";
	int e;

	chain.v[0] = pki_cert(leaf);
	if (with)
		chain.v[1] = pki_cert(with);
	e = trust_verify(t, &chain, r, when, why);
	assert_true(e == 0 || (e == -EKEYREJECTED && *why));
	cert_chain_fini(&chain);
	return e;
}

static struct pki *leaf_of(const struct pki *issuer)
{
	return pki_make(&(struct pki_spec){
		.kind = PKI_P256, .subject = "CN=leaf", .basic = "CA:FALSE", .issuer = issuer});
}

static void paths_to_anchors(void **state)
{
	struct trust *t = trusting(root), *of_middle = trusting(middle),
		     *other = trusting(other_root);
	struct pki *leaf = leaf_of(root), *below = leaf_of(middle);

	(void)state;
	assert_int_equal(check(t, leaf, NULL, REVOCATION_RELAXED, PKI_NOW), 0);
	assert_int_not_equal(check(other, leaf, NULL, REVOCATION_RELAXED, PKI_NOW), 0);
	assert_int_not_equal(check(t, below, NULL, REVOCATION_RELAXED, PKI_NOW), 0);
	assert_int_equal(check(t, below, middle, REVOCATION_RELAXED, PKI_NOW), 0);
	assert_int_equal(check(of_middle, below, NULL, REVOCATION_RELAXED, PKI_NOW), 0);
	assert_int_not_equal(check(of_middle, leaf, NULL, REVOCATION_RELAXED, PKI_NOW), 0);
	/* A certificate that is no CA issued another one. */
	assert_int_not_equal(check(t, leaf_of(leaf), leaf, REVOCATION_RELAXED, PKI_NOW), 0);
	/* A self-signed one that nobody configured. */
	assert_int_not_equal(check(t, other_root, NULL, REVOCATION_RELAXED, PKI_NOW), 0);
	trust_unref(t);
	trust_unref(of_middle);
	trust_unref(other);
}

static void validity_needs_the_time(void **state)
{
	struct trust *t = trusting(root);
	struct pki *leaf = pki_make(&(struct pki_spec){.kind = PKI_P256,
						       .subject = "CN=leaf",
						       .from = PKI_NOW,
						       .until = PKI_NOW + 1000,
						       .issuer = root});

	(void)state;
	assert_int_equal(check(t, leaf, NULL, REVOCATION_RELAXED, PKI_NOW + 1), 0);
	assert_int_not_equal(check(t, leaf, NULL, REVOCATION_RELAXED, PKI_NOW - 10), 0);
	assert_int_not_equal(check(t, leaf, NULL, REVOCATION_RELAXED, PKI_NOW + 1001), 0);
	assert_int_equal(check(t, leaf, NULL, REVOCATION_RELAXED, CERT_NO_TIME), 0);
	/* The CA has expired, too. */
	assert_int_not_equal(
		check(t, leaf_of(root), NULL, REVOCATION_RELAXED, PKI_NOW + 2 * PKI_YEAR), 0);
	trust_unref(t);
}

static void weak_certificates_are_refused(void **state)
{
	struct trust *t = trusting(root);
	struct pki_spec s = {.kind = PKI_P256, .subject = "CN=leaf", .issuer = root, .sha1 = true};

	(void)state;
	assert_int_not_equal(check(t, pki_make(&s), NULL, REVOCATION_RELAXED, PKI_NOW), 0);
	s.sha1 = false;
	s.critical_oid = "1.2.3.4.5";
	assert_int_not_equal(check(t, pki_make(&s), NULL, REVOCATION_RELAXED, PKI_NOW), 0);
	trust_unref(t);
}

static void path_length_is_kept(void **state)
{
	struct pki *narrow = pki_make(&(struct pki_spec){.kind = PKI_P256,
							 .subject = "CN=Narrow",
							 .basic = "critical,CA:TRUE,pathlen:0",
							 .usage = "keyCertSign"});
	struct pki *sub = pki_ca(PKI_P256, "CN=Sub", narrow);
	struct trust *t = trusting(narrow);

	(void)state;
	assert_int_equal(check(t, leaf_of(narrow), NULL, REVOCATION_RELAXED, PKI_NOW), 0);
	assert_int_not_equal(check(t, leaf_of(sub), sub, REVOCATION_RELAXED, PKI_NOW), 0);
	trust_unref(t);
}

static void revocation_by_crls(void **state)
{
	struct pki *good = leaf_of(root), *bad = leaf_of(root), *below = leaf_of(middle);
	struct pki *tells = pki_make(&(struct pki_spec){.kind = PKI_P256,
							.subject = "CN=tells",
							.crl_at = "URI:http://crl.example/a",
							.issuer = root});
	struct trust *none = trusting(root), *fresh = trusting(root), *stale = trusting(root);

	(void)state;
	add_crl(fresh, pki_crl(root, bad, PKI_NOW + 86400));
	add_crl(stale, pki_crl(root, bad, PKI_NOW - 3600));
	assert_int_equal(check(none, bad, NULL, REVOCATION_RELAXED, PKI_NOW), 0);
	assert_int_not_equal(check(none, good, NULL, REVOCATION_STRICT, PKI_NOW), 0);
	assert_int_equal(check(none, good, NULL, REVOCATION_IFURI, PKI_NOW), 0);
	assert_int_not_equal(check(none, tells, NULL, REVOCATION_IFURI, PKI_NOW), 0);
	for (enum revocation r = REVOCATION_RELAXED; r <= REVOCATION_STRICT; r++) {
		assert_int_equal(check(fresh, good, NULL, r, PKI_NOW), 0);
		assert_int_equal(check(fresh, tells, NULL, r, PKI_NOW), 0);
		assert_int_not_equal(check(fresh, bad, NULL, r, PKI_NOW), 0);
		assert_int_not_equal(check(stale, bad, NULL, r, PKI_NOW), 0);
		assert_int_not_equal(check(fresh, bad, NULL, r, CERT_NO_TIME), 0);
		/* The intermediate CA has no CRL, but the one above it has. */
		assert_int_equal(check(fresh, below, middle, r, PKI_NOW) != 0,
				 r == REVOCATION_STRICT);
	}
	assert_int_equal(check(stale, good, NULL, REVOCATION_RELAXED, PKI_NOW), 0);
	assert_int_not_equal(check(stale, good, NULL, REVOCATION_STRICT, PKI_NOW), 0);
	trust_unref(none);
	trust_unref(fresh);
	trust_unref(stale);
}

/* A CA below another, configured itself: the CRL of the other one, of which it is no subject to. */
static void crl_above_an_anchor(void **state)
{
	struct trust *t = trusting(middle);
	struct pki *leaf = leaf_of(middle);

	(void)state;
	add_crl(t, pki_crl(middle, NULL, PKI_NOW + 86400));
	add_crl(t, pki_crl(root, NULL, PKI_NOW + 86400));
	assert_int_equal(check(t, leaf, NULL, REVOCATION_STRICT, PKI_NOW), 0);
	trust_unref(t);
}

/* It is configured itself, and the CA above it, which is configured too, has revoked it. */
static void an_anchor_can_be_revoked(void **state)
{
	struct trust *t = trusting(middle);
	struct pki *leaf = leaf_of(middle), *forger = pki_ca(PKI_P256, "CN=Root", NULL);

	(void)state;
	add(t, root, false);
	add_crl(t, pki_crl(root, leaf_of(root), PKI_NOW + 86400));
	add_crl(t, pki_crl(forger, middle, PKI_NOW + 86400));
	assert_int_equal(check(t, leaf, NULL, REVOCATION_RELAXED, PKI_NOW), 0);
	add_crl(t, pki_crl(root, middle, PKI_NOW + 86400));
	assert_int_not_equal(check(t, leaf, NULL, REVOCATION_RELAXED, PKI_NOW), 0);
	assert_int_not_equal(check(t, leaf, middle, REVOCATION_RELAXED, PKI_NOW), 0);
	assert_int_equal(check(t, leaf_of(root), NULL, REVOCATION_RELAXED, PKI_NOW), 0);
	trust_unref(t);
	/* The same for a certificate that is trusted itself. */
	t = trusting(root);
	leaf = leaf_of(root);
	add(t, leaf, true);
	assert_int_equal(check(t, leaf, NULL, REVOCATION_RELAXED, PKI_NOW), 0);
	add_crl(t, pki_crl(root, leaf, PKI_NOW + 86400));
	assert_int_not_equal(check(t, leaf, NULL, REVOCATION_RELAXED, PKI_NOW), 0);
	trust_unref(t);
}

static void forged_crl_revokes_nothing_quietly(void **state)
{
	struct pki *leaf = leaf_of(root);
	/* The name of the root, and another key. */
	struct pki *forger = pki_ca(PKI_P256, "CN=Root", NULL);
	struct trust *t = trusting(root);

	(void)state;
	add_crl(t, pki_crl(forger, NULL, PKI_NOW + 86400));
	assert_int_not_equal(check(t, leaf, NULL, REVOCATION_STRICT, PKI_NOW), 0);
	trust_unref(t);
}

static void pinned_certificates(void **state)
{
	/* As "openssl req -x509" makes it: self-signed, and a CA. */
	struct pki *own = pki_make(&(struct pki_spec){
		.kind = PKI_P256, .subject = "CN=self", .basic = "critical,CA:TRUE"});
	struct pki *leaf = leaf_of(root);
	struct trust *t = trust_new();

	(void)state;
	add(t, own, true);
	add(t, leaf, true);
	assert_int_equal(check(t, own, NULL, REVOCATION_STRICT, PKI_NOW), 0);
	assert_int_equal(check(t, leaf, NULL, REVOCATION_STRICT, PKI_NOW), 0);
	assert_int_not_equal(check(t, own, NULL, REVOCATION_RELAXED, PKI_NOW + 2 * PKI_YEAR), 0);
	/* It is trusted itself, and does not make others trusted. */
	assert_int_not_equal(check(t, leaf_of(own), NULL, REVOCATION_RELAXED, PKI_NOW), 0);
	assert_int_not_equal(check(t, leaf_of(root), NULL, REVOCATION_RELAXED, PKI_NOW), 0);
	trust_unref(t);
}

/* Two CAs that issued each other, and a chain as long as it may be. */
static void loops_and_long_chains_end(void **state)
{
	struct pki *a = pki_ca(PKI_P256, "CN=A", NULL), *b = pki_ca(PKI_P256, "CN=B", a), *again,
		   *leaf;
	struct cert_chain chain = {0};
	struct trust *t = trusting(root);
	char why[TRUST_WHY_MAX];
	struct pki *last = root;

	(void)state;
	again = pki_make(&(struct pki_spec){.subject = "CN=A",
					    .basic = "critical,CA:TRUE",
					    .usage = "keyCertSign",
					    .issuer = b,
					    .key_of = a});
	leaf = leaf_of(b);
	chain.v[chain.count++] = pki_cert(leaf);
	for (; chain.count < CHAIN_MAX; chain.count++)
		chain.v[chain.count] = pki_cert(chain.count % 2 ? b : again);
	assert_int_equal(trust_verify(t, &chain, REVOCATION_RELAXED, PKI_NOW, why), -EKEYREJECTED);
	cert_chain_fini(&chain);
	chain.count = CHAIN_MAX;
	for (unsigned i = CHAIN_MAX; i-- > 0;) {
		char name[16];

		snprintf(name, sizeof(name), "CN=%u", i);
		last = pki_ca(PKI_P256, name, last);
		chain.v[i] = pki_cert(last);
	}
	assert_int_equal(trust_verify(t, &chain, REVOCATION_RELAXED, PKI_NOW, why), 0);
	cert_chain_fini(&chain);
	trust_unref(t);
}

static void digest_tells_what_changed(void **state)
{
	struct trust *a = trusting(root), *b = trusting(root);
	uint8_t x[32], y[32];

	(void)state;
	trust_digest(a, x);
	trust_digest(b, y);
	assert_memory_equal(x, y, 32);
	add(b, middle, false);
	trust_digest(b, y);
	assert_memory_not_equal(x, y, 32);
	add_crl(a, pki_crl(root, NULL, PKI_NOW + 1));
	trust_digest(a, y);
	assert_memory_not_equal(x, y, 32);
	trust_unref(a);
	trust_unref(b);
}

/* ---- files ---- */

static int parse(const void *p, size_t len, const char *password, struct cred_items *i)
{
	char why[CRED_WHY_MAX] = "";
	int e = cred_parse((struct chunk){p, len}, password, i, why);

	assert_true(e == 0 || *why);
	return e;
}

static void files_of_each_format(void **state)
{
	struct pki *p = leaf_of(root);
	char *pem = pki_pem(p, true, true), *ca = pki_pem(root, true, false),
	     *crl = pki_crl_pem(pki_crl(root, NULL, PKI_NOW)),
	     *all = xasprintf("%s%s%s", pem, ca, crl);
	struct cert *c = pki_cert(p);
	struct pkey *key = pki_private(p);
	unsigned char *der = NULL;
	struct cred_items i;
	int len;

	(void)state;
	assert_int_equal(parse(all, strlen(all), NULL, &i), 0);
	assert_int_equal(i.cert_count, 2);
	assert_int_equal(i.crl_count, 1);
	assert_int_equal(i.key_count, 1);
	assert_true(pkey_is_private(i.keys[0]) && pkey_same(i.keys[0], key));
	assert_true(cert_same(i.certs[0], c));
	assert_int_equal(crl_next_update(i.crls[0]), PKI_NOW);
	cred_items_free(&i);
	assert_int_equal(parse(cert_der(c).p, cert_der(c).len, NULL, &i), 0);
	assert_int_equal(i.cert_count, 1);
	cred_items_free(&i);
	len = i2d_PrivateKey(p->key, &der);
	assert_int_equal(parse(der, (size_t)len, NULL, &i), 0);
	assert_int_equal(i.key_count, 1);
	assert_true(pkey_is_private(i.keys[0]));
	cred_items_free(&i);
	OPENSSL_free(der);
	assert_int_equal(parse(pkey_spki(key).p, pkey_spki(key).len, NULL, &i), 0);
	assert_int_equal(i.key_count, 1);
	assert_false(pkey_is_private(i.keys[0]));
	cred_items_free(&i);
	assert_int_equal(parse("hello", 5, NULL, &i), -EINVAL);
	/* Text around the objects is no error; an object that cannot be read is. */
	free(all);
	all = xasprintf("a CA:\n%sits subject is ...\n", ca);
	assert_int_equal(parse(all, strlen(all), NULL, &i), 0);
	cred_items_free(&i);
	free(all);
	all = xasprintf("%s-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", ca);
	assert_int_equal(parse(all, strlen(all), NULL, &i), -EINVAL);
	assert_int_equal(parse("", 0, NULL, &i), -EINVAL);
	cert_unref(c);
	pkey_unref(key);
	free(pem);
	free(ca);
	free(crl);
	free(all);
}

static void files_with_passwords(void **state)
{
	struct pki *p = leaf_of(root);
	STACK_OF(X509) *others = sk_X509_new_null();
	unsigned char *der = NULL;
	BIO *bio = BIO_new(BIO_s_mem());
	struct cred_items i;
	PKCS12 *p12;
	char *pem;
	long len;

	(void)state;
	assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, p->key, EVP_aes_256_cbc(), "right", 5,
						       NULL, NULL),
			 1);
	len = BIO_get_mem_data(bio, &pem);
	assert_int_equal(parse(pem, (size_t)len, "right", &i), 0);
	assert_int_equal(i.key_count, 1);
	cred_items_free(&i);
	assert_int_equal(parse(pem, (size_t)len, "wrong", &i), -EINVAL);
	assert_int_equal(parse(pem, (size_t)len, NULL, &i), -EINVAL);
	BIO_free(bio);
	sk_X509_push(others, middle->x);
	p12 = PKCS12_create("right", "gw", p->key, p->x, others, 0, 0, 0, 0, 0);
	len = i2d_PKCS12(p12, &der);
	assert_int_equal(parse(der, (size_t)len, "right", &i), 0);
	assert_int_equal(i.key_count, 1);
	assert_int_equal(i.cert_count, 2);
	cred_items_free(&i);
	assert_int_equal(parse(der, (size_t)len, "wrong", &i), -EINVAL);
	OPENSSL_free(der);
	PKCS12_free(p12);
	sk_X509_free(others);
}

/* Truncated and changed certificates are refused or read, and nothing is read beyond their end. */
static void broken_certificates(void **state)
{
	struct cert *c = pki_cert(leaf_of(root)), *broken;
	struct chunk der = cert_der(c);

	(void)state;
	for (size_t len = 0; len < der.len; len++) {
		uint8_t *copy = xmemdup(der.p, len + 1);

		assert_null(cert_from_der((struct chunk){copy, len}));
		free(copy);
	}
	for (size_t at = 0; at < der.len; at++) {
		uint8_t *copy = xmemdup(der.p, der.len);

		copy[at] ^= 0x41;
		broken = cert_from_der((struct chunk){copy, der.len});
		if (broken)
			assert_false(cert_same(broken, c));
		cert_unref(broken);
		free(copy);
	}
	cert_unref(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_method_makes_and_verifies),
		cmocka_unit_test(curve_of_another_method),
		cmocka_unit_test(signature_covers_all),
		cmocka_unit_test(unannounced_hashes_are_not_used),
		cmocka_unit_test(sha1_is_refused_in_rfc7427),
		cmocka_unit_test(old_rsa_method),
		cmocka_unit_test(weak_and_odd_keys_are_refused),
		cmocka_unit_test(names_of_certificates),
		cmocka_unit_test(nul_in_a_name),
		cmocka_unit_test(purposes_of_certificates),
		cmocka_unit_test(paths_to_anchors),
		cmocka_unit_test(validity_needs_the_time),
		cmocka_unit_test(weak_certificates_are_refused),
		cmocka_unit_test(path_length_is_kept),
		cmocka_unit_test(revocation_by_crls),
		cmocka_unit_test(crl_above_an_anchor),
		cmocka_unit_test(an_anchor_can_be_revoked),
		cmocka_unit_test(forged_crl_revokes_nothing_quietly),
		cmocka_unit_test(pinned_certificates),
		cmocka_unit_test(loops_and_long_chains_end),
		cmocka_unit_test(digest_tells_what_changed),
		cmocka_unit_test(files_of_each_format),
		cmocka_unit_test(files_with_passwords),
		cmocka_unit_test(broken_certificates),
	};

	return cmocka_run_group_tests(tests, make_cas, NULL);
}
