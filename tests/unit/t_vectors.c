/*
 * t_vectors.c - published test vectors, run through the project's own wrappers. The environment
 * variable MENDIP_VECTORS has their folder.
 * SPDX-License-Identifier: ISC
 */
#include "vectors_json.h"

#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/kex.h"
#include "crypto/pkey.h"
#include "wire/ike_wire.h"
#include "sa/keymat.h"

static const uint8_t zeros[SUITE_MAX_KEY];

static bool is_valid(const json_t *t)
{
	return strcmp(vec_str(t, "result"), "valid") == 0;
}

static bool is_acceptable(const json_t *t)
{
	return strcmp(vec_str(t, "result"), "acceptable") == 0;
}

/* Calls f for each case of a Wycheproof file; counts the cases for which f returns true: it was
 * run. */
static unsigned each_case(const char *name, bool (*f)(const json_t *group, const json_t *test))
{
	json_t *file = wycheproof_load(name);
	const json_t *g, *t;
	unsigned n = 0;
	size_t i, j;

	json_array_foreach(json_object_get(file, "testGroups"), i, g)
	{
		json_array_foreach(json_object_get(g, "tests"), j, t) n += f(g, t);
	}
	json_decref(file);
	return n;
}

static long long number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

/* ---- AEAD: the 12-byte nonce is salt and explicit IV ---- */

static struct aead_key *aead_case(uint16_t encr, const json_t *t, struct chunk key, struct chunk iv)
{
	const struct suite *s =
		suite_find(encr, encr == ENCR_AES_GCM_16 ? (uint16_t)(key.len * 8) : 0, INTEG_NONE);
	uint8_t enc[SUITE_MAX_KEY];

	(void)t;
	if (!s)
		return NULL;
	memcpy(enc, key.p, key.len);
	memcpy(enc + key.len, iv.p, 4);
	return aead_key_new(s, enc, NULL);
}

static void aead_both_ways(struct aead_key *k, const json_t *t, struct chunk iv)
{
	struct chunk aad = vec_hex(t, "aad"), msg = vec_hex(t, "msg"), ct = vec_hex(t, "ct"),
		     tag = vec_hex(t, "tag");
	static uint8_t out[VECTOR_MAX];
	uint8_t icv[16];
	struct aead_op op = {.key = k,
			     .aad = aad.p,
			     .aad_len = (uint16_t)aad.len,
			     .iv = iv.p + 4,
			     .src = ct.p,
			     .dst = out,
			     .len = (uint32_t)ct.len,
			     .icv = (uint8_t *)tag.p};

	aead_open_many(&op, 1);
	assert_int_equal(op.ok, is_valid(t));
	if (!op.ok)
		return;
	assert_memory_equal(out, msg.p, msg.len);
	op.src = msg.p;
	op.icv = icv;
	aead_seal_many(&op, 1);
	assert_true(op.ok);
	assert_memory_equal(out, ct.p, ct.len);
	assert_memory_equal(icv, tag.p, 16);
}

static bool aead_any(uint16_t encr, const json_t *g, const json_t *t)
{
	struct chunk key = vec_hex(t, "key"), iv = vec_hex(t, "iv");
	struct aead_key *k;

	if (number(g, "ivSize") != 96 || number(g, "tagSize") != 128)
		return false;
	k = aead_case(encr, t, key, iv);
	if (!k)
		return false;
	aead_both_ways(k, t, iv);
	aead_key_free(k);
	return true;
}

static bool gcm_case(const json_t *g, const json_t *t)
{
	return aead_any(ENCR_AES_GCM_16, g, t);
}

static bool chacha_case(const json_t *g, const json_t *t)
{
	return aead_any(ENCR_CHACHA20_POLY1305, g, t);
}

/* Encrypts a valid case of CBC, with PKCS#5 padding, and compares the ciphertext. */
static bool cbc_case(const json_t *g, const json_t *t)
{
	struct chunk key = vec_hex(t, "key"), iv = vec_hex(t, "iv"), msg = vec_hex(t, "msg"),
		     ct = vec_hex(t, "ct");
	const struct suite *s =
		suite_find(ENCR_AES_CBC, (uint16_t)(key.len * 8), INTEG_HMAC_SHA2_256_128);
	static uint8_t text[VECTOR_MAX], out[VECTOR_MAX];
	uint8_t pad = (uint8_t)(16 - msg.len % 16), icv[SUITE_MAX_ICV];
	struct aead_op op = {.iv = iv.p, .src = text, .dst = out, .icv = icv, .aad = text};

	(void)g;
	if (!is_valid(t) || !s)
		return false;
	memcpy(text, msg.p, msg.len);
	memset(text + msg.len, pad, pad);
	op.len = (uint32_t)(msg.len + pad);
	op.key = aead_key_new(s, key.p, zeros);
	aead_seal_many(&op, 1);
	aead_key_free(op.key);
	assert_true(op.ok);
	assert_int_equal(op.len, ct.len);
	assert_memory_equal(out, ct.p, ct.len);
	return true;
}

static void wycheproof_ciphers(void **state)
{
	(void)state;
	vec_need();
	vec_report("Wycheproof AES-GCM", each_case("aes_gcm", gcm_case));
	vec_report("Wycheproof ChaCha20-Poly1305", each_case("chacha20_poly1305", chacha_case));
	vec_report("Wycheproof AES-CBC", each_case("aes_cbc_pkcs5", cbc_case));
}

/* ---- HMAC ---- */

static bool hmac_case_of(enum hash_alg alg, const json_t *t)
{
	struct chunk key = vec_hex(t, "key"), msg = vec_hex(t, "msg"), tag = vec_hex(t, "tag");
	uint8_t out[HASH_MAX_LEN];

	prf_compute(alg, key, &msg, 1, out);
	assert_int_equal(crypto_equal(out, tag.p, tag.len), is_valid(t));
	return true;
}

#define HMAC_CASE(alg)                                           \
	static bool hmac_##alg(const json_t *g, const json_t *t) \
	{                                                        \
		(void)g;                                         \
		return hmac_case_of(HASH_##alg, t);              \
	}
HMAC_CASE(SHA1)
HMAC_CASE(SHA256)
HMAC_CASE(SHA384)
HMAC_CASE(SHA512)

static void wycheproof_hmac(void **state)
{
	(void)state;
	vec_need();
	vec_report("Wycheproof HMAC-SHA1", each_case("hmac_sha1", hmac_SHA1));
	vec_report("Wycheproof HMAC-SHA256", each_case("hmac_sha256", hmac_SHA256));
	vec_report("Wycheproof HMAC-SHA384", each_case("hmac_sha384", hmac_SHA384));
	vec_report("Wycheproof HMAC-SHA512", each_case("hmac_sha512", hmac_SHA512));
}

/* ---- key exchange ---- */

static bool raw_case(uint16_t group, const json_t *t)
{
	struct chunk priv = vec_hex(t, "private"), pub = vec_hex(t, "public"),
		     shared = vec_hex(t, "shared");
	struct kex *k = kex_from_private(group, priv.p, priv.len);
	uint8_t secret[KEX_MAX_SECRET];
	size_t len = 0;
	int r;

	assert_non_null(k);
	r = kex_derive(k, pub, secret, &len);
	/* a shared secret of all zeros must be refused (RFC 7748 6.1, RFC 8031) */
	if (memcmp(shared.p, zeros, shared.len) == 0) {
		assert_int_not_equal(r, 0);
	} else {
		assert_true(r == 0 || is_acceptable(t));
		if (r == 0)
			assert_memory_equal(secret, shared.p, shared.len);
	}
	kex_free(k);
	return true;
}

static bool x25519_case(const json_t *g, const json_t *t)
{
	(void)g;
	return raw_case(GROUP_X25519, t);
}

static bool x448_case(const json_t *g, const json_t *t)
{
	(void)g;
	return raw_case(GROUP_X448, t);
}

static uint16_t ec_group(const json_t *g)
{
	const char *c = vec_str(g, "curve");

	return strcmp(c, "secp256r1") == 0   ? GROUP_ECP_256
	       : strcmp(c, "secp384r1") == 0 ? GROUP_ECP_384
					     : GROUP_ECP_521;
}

/* Only uncompressed points are used: without the leading 4, they are what a KE payload contains. */
static bool ecpoint_case(const json_t *g, const json_t *t)
{
	struct chunk priv = vec_hex(t, "private"), pub = vec_hex(t, "public"),
		     shared = vec_hex(t, "shared");
	struct kex *k = kex_from_private(ec_group(g), priv.p, priv.len);
	uint8_t secret[KEX_MAX_SECRET];
	struct chunk point = {pub.p + 1, pub.len ? pub.len - 1 : 0};
	size_t len = 0;
	int r;

	assert_non_null(k);
	r = pub.len && pub.p[0] == 4 ? kex_derive(k, point, secret, &len) : -1;
	if (is_valid(t)) {
		assert_int_equal(r, 0);
		assert_int_equal(len, shared.len);
		assert_memory_equal(secret, shared.p, len);
	} else if (!is_acceptable(t)) {
		assert_int_not_equal(r, 0);
	}
	kex_free(k);
	return true;
}

static void wycheproof_kex(void **state)
{
	(void)state;
	vec_need();
	vec_report("Wycheproof X25519", each_case("x25519", x25519_case));
	vec_report("Wycheproof X448", each_case("x448", x448_case));
	vec_report("Wycheproof ECDH P-256 points",
		   each_case("ecdh_secp256r1_ecpoint", ecpoint_case));
	vec_report("Wycheproof ECDH P-384 points",
		   each_case("ecdh_secp384r1_ecpoint", ecpoint_case));
	vec_report("Wycheproof ECDH P-521 points",
		   each_case("ecdh_secp521r1_ecpoint", ecpoint_case));
	printf("# not covered: Ed448, X448, ML-KEM, AES-GMAC: no wrapper of ours yet\n");
}

/* ---- signatures ---- */

static bool signature_any(const json_t *g, const json_t *t, enum sig_form form)
{
	struct chunk spki = vec_hex(g, "publicKeyDer"), msg = vec_hex(t, "msg"),
		     sig = vec_hex(t, "sig");
	const char *sha = vec_str(g, "sha");
	struct sig_scheme s = {form, strcmp(sha, "SHA-384") == 0   ? HASH_SHA384
				     : strcmp(sha, "SHA-512") == 0 ? HASH_SHA512
								   : HASH_SHA256};
	struct pkey *k = pkey_from_spki(spki);
	bool good;

	assert_non_null(k);
	good = pkey_verify(k, s, &msg, 1, sig);
	if (!is_acceptable(t) && good != is_valid(t))
		fail_msg("case %lld: %s", number(t, "tcId"), vec_str(t, "comment"));
	pkey_unref(k);
	return true;
}

static bool pkcs1_case(const json_t *g, const json_t *t)
{
	return signature_any(g, t, SIG_RSA_PKCS1);
}

static bool pss_case(const json_t *g, const json_t *t)
{
	return signature_any(g, t, SIG_RSA_PSS);
}

static bool ecdsa_case(const json_t *g, const json_t *t)
{
	return signature_any(g, t, SIG_ECDSA);
}

static bool ecdsa_raw_case(const json_t *g, const json_t *t)
{
	return signature_any(g, t, SIG_ECDSA_RAW);
}

static bool ed25519_case(const json_t *g, const json_t *t)
{
	return signature_any(g, t, SIG_ED25519);
}

static void wycheproof_signatures(void **state)
{
	static const struct {
		const char *name;
		bool (*f)(const json_t *group, const json_t *test);
	} files[] = {
		{"rsa_signature_2048_sha256", pkcs1_case},
		{"rsa_signature_2048_sha384", pkcs1_case},
		{"rsa_signature_2048_sha512", pkcs1_case},
		{"rsa_signature_3072_sha256", pkcs1_case},
		{"rsa_signature_4096_sha256", pkcs1_case},
		{"rsa_signature_4096_sha512", pkcs1_case},
		{"rsa_pss_2048_sha256_mgf1_32", pss_case},
		{"rsa_pss_2048_sha384_mgf1_48", pss_case},
		{"rsa_pss_3072_sha256_mgf1_32", pss_case},
		{"rsa_pss_4096_sha512_mgf1_64", pss_case},
		{"ecdsa_secp256r1_sha256", ecdsa_case},
		{"ecdsa_secp384r1_sha384", ecdsa_case},
		{"ecdsa_secp521r1_sha512", ecdsa_case},
		{"ecdsa_secp256r1_sha256_p1363", ecdsa_raw_case},
		{"ecdsa_secp384r1_sha384_p1363", ecdsa_raw_case},
		{"ed25519", ed25519_case},
	};

	(void)state;
	vec_need();
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		vec_report(files[i].name, each_case(files[i].name, files[i].f));
}

/* ---- ESP packets, byte by byte ---- */

struct esp_case {
	const struct suite *suite;
	uint8_t enc[SUITE_MAX_KEY];
	struct chunk integ, packet;
	uint64_t number;
	bool esn;
};

/* Opens the packet, then seals its text again: it must become the same packet. */
static void esp_both_ways(const struct esp_case *c, uint8_t *text, uint32_t *ret_len)
{
	struct aead_key *k = aead_key_new(c->suite, c->enc, c->integ.len ? c->integ.p : zeros);
	uint8_t aad[ESP_AAD_MAX], icv[SUITE_MAX_ICV];
	static uint8_t again[VECTOR_MAX];
	struct esp_layout lay = {0};
	struct aead_op op = {.key = k};
	const uint8_t *p = c->packet.p;

	assert_true(esp_frame_split(c->suite, (uint32_t)c->packet.len, &lay));
	op.iv = p + lay.iv;
	op.src = p + lay.text;
	op.dst = text;
	op.len = lay.text_len;
	op.icv = (uint8_t *)p + lay.icv;
	esp_frame_aad(c->suite, c->esn, p, c->number, aad, &op);
	aead_open_many(&op, 1);
	assert_true(op.ok);
	op.src = text;
	op.dst = again;
	op.icv = icv;
	aead_seal_many(&op, 1);
	assert_memory_equal(again, p + lay.text, lay.text_len);
	assert_memory_equal(icv, p + lay.icv, c->suite->icv_len);
	aead_key_free(k);
	*ret_len = lay.text_len;
}

/* The packets of RFC 3602 have no ICV: only their ciphertext is compared. */
static void cbc_without_icv(const json_t *o)
{
	struct chunk key = vec_hex(o, "key"), iv = vec_hex(o, "iv"),
		     text = vec_hex(o, "plaintext_with_trailer"), packet = vec_hex(o, "packet");
	uint8_t out[512], icv[SUITE_MAX_ICV];
	struct aead_op op = {.iv = iv.p,
			     .src = text.p,
			     .dst = out,
			     .icv = icv,
			     .aad = out,
			     .len = (uint32_t)text.len};

	op.key = aead_key_new(suite_find(ENCR_AES_CBC, 128, INTEG_HMAC_SHA2_256_128), key.p, zeros);
	aead_seal_many(&op, 1);
	assert_true(op.ok);
	assert_memory_equal(out, packet.p + 8 + 16, text.len);
	aead_key_free(op.key);
}

static void rfc_packet(const json_t *o)
{
	struct chunk key = vec_hex(o, "key"), salt = vec_hex(o, "salt"),
		     want = vec_hex(o, "plaintext_with_trailer"), low = vec_hex(o, "seq"),
		     high = vec_hex(o, "esn_hi");
	bool gcm = strcmp(vec_str(o, "alg"), "AES-GCM-16") == 0;
	struct esp_case c = {.esn = json_is_true(json_object_get(o, "esn")),
			     .packet = vec_hex(o, "packet")};
	static uint8_t text[VECTOR_MAX];
	uint32_t len;

	if (strncmp(vec_str(o, "alg"), "AES-CBC", 7) == 0) {
		cbc_without_icv(o);
		return;
	}
	c.suite = suite_find(gcm ? ENCR_AES_GCM_16 : ENCR_CHACHA20_POLY1305,
			     gcm ? (uint16_t)(key.len * 8) : 0, 0);
	memcpy(c.enc, key.p, key.len);
	memcpy(c.enc + key.len, salt.p, 4);
	c.number = get_be32(low.p) | (high.len ? (uint64_t)get_be32(high.p) << 32 : 0);
	esp_both_ways(&c, text, &len);
	assert_int_equal(len, want.len);
	assert_memory_equal(text, want.p, len);
}

static void outer_packet(const json_t *o)
{
	struct chunk key = vec_hex(o, "key"), salt = vec_hex(o, "salt"),
		     outer = vec_hex(o, "outer_packet"), inner = vec_hex(o, "inner_packet");
	size_t header = outer.p[0] >> 4 == 4 ? 20 : 40;
	struct esp_case c = {.integ = vec_hex(o, "auth_key"),
			     .packet = {outer.p + header, outer.len - header}};
	uint16_t integ = c.integ.len == 0    ? INTEG_NONE
			 : c.integ.len == 32 ? INTEG_HMAC_SHA2_256_128
			 : c.integ.len == 48 ? INTEG_HMAC_SHA2_384_192
					     : INTEG_HMAC_SHA2_512_256;
	static uint8_t text[VECTOR_MAX];
	uint32_t len, payload;
	uint8_t next;

	c.suite =
		suite_find(integ ? ENCR_AES_CBC : ENCR_AES_GCM_16, (uint16_t)(key.len * 8), integ);
	assert_non_null(c.suite);
	memcpy(c.enc, key.p, key.len);
	memcpy(c.enc + key.len, salt.p, salt.len);
	c.number = get_be32(c.packet.p + 4);
	esp_both_ways(&c, text, &len);
	assert_true(esp_trailer_read(text, len, &payload, &next));
	assert_int_equal(payload, inner.len);
	assert_memory_equal(text, inner.p, payload);
	assert_int_equal(next, inner.p[0] >> 4 == 4 ? 4 : 41);
}

static unsigned each(const char *path, void (*f)(const json_t *o))
{
	json_t *a = vec_load(path);
	const json_t *o;
	size_t i;

	json_array_foreach(a, i, o) f(o);
	i = json_array_size(a);
	json_decref(a);
	return (unsigned)i;
}

static void esp_packets(void **state)
{
	(void)state;
	vec_need();
	vec_report("ESP packets of drafts and RFCs", each("esp/rfc_esp_packets.json", rfc_packet));
	vec_report("whole outer ESP packets", each("esp/outer_esp_packets.json", outer_packet));
}

/* ---- IKEv2: key derivation and one SK message ---- */

static enum hash_alg alg_of(const char *name)
{
	size_t n = strlen(name);

	return strcmp(name + n - 3, "256") == 0	  ? HASH_SHA256
	       : strcmp(name + n - 3, "384") == 0 ? HASH_SHA384
	       : strcmp(name + n - 3, "512") == 0 ? HASH_SHA512
						  : HASH_SHA1;
}

static void nist_case(const json_t *o)
{
	enum hash_alg alg = alg_of(vec_str(o, "prf"));
	struct chunk key = vec_hex(o, "key"), salt = vec_hex(o, "salt"), want = vec_hex(o, "out");
	uint8_t out[2048];

	/* prf: SKEYSEED = prf(salt, key); prf+: with seed `salt` */
	if (strcmp(vec_str(o, "kind"), "prf") == 0)
		prf_compute(alg, salt, &key, 1, out);
	else
		assert_int_equal(prf_plus(alg, key, salt, out, want.len), 0);
	assert_memory_equal(out, want.p, want.len);
}

static struct chunk join(uint8_t *buf, const struct chunk *parts, unsigned n)
{
	size_t len = 0;

	for (unsigned i = 0; i < n; i++) {
		if (parts[i].len)
			memcpy(buf + len, parts[i].p, parts[i].len);
		len += parts[i].len;
	}
	return (struct chunk){buf, len};
}

static void check_prf_plus(enum hash_alg alg, struct chunk key, struct chunk seed,
			   struct chunk want)
{
	static uint8_t out[VECTOR_MAX];

	assert_int_equal(prf_plus(alg, key, seed, out, want.len), 0);
	assert_memory_equal(out, want.p, want.len);
}

/* Asserts that the SK_* keys of keymat_ike are the beginning of the published stream. */
static void check_keymat(enum hash_alg alg, const json_t *o, struct chunk skeyseed, struct chunk ni,
			 struct chunk nr)
{
	const struct suite *s = suite_find(ENCR_AES_GCM_16, 128, 0);
	struct chunk dkm = vec_hex(o, "dkm"), i = vec_hex(o, "spi_i"), r = vec_hex(o, "spi_r"),
		     child = vec_hex(o, "dkm_child");
	static const struct kex_secrets no_secrets;
	struct child_keys ck;
	struct ike_keys k;

	if (dkm.len < 2 * hash_len(alg) + 40 || child.len < 40)
		return; /* too short for these keys; checked as a stream only */
	assert_int_equal(keymat_ike(alg, s, skeyseed, ni, nr, get_be64(i.p), get_be64(r.p), &k), 0);
	assert_memory_equal(k.sk_d, dkm.p, hash_len(alg));
	assert_memory_equal(k.sk_ei, dkm.p + hash_len(alg), 20);
	assert_memory_equal(k.sk_er, dkm.p + hash_len(alg) + 20, 20);
	assert_memory_equal(k.sk_pi, dkm.p + hash_len(alg) + 40, hash_len(alg));
	assert_int_equal(keymat_child(alg, s, k.sk_d, &no_secrets, ni, nr, &ck), 0);
	assert_memory_equal(ck.enc_i, child.p, 20);
	assert_memory_equal(ck.enc_r, child.p + 20, 20);
}

static void full_case(const json_t *o)
{
	enum hash_alg alg = strcmp(vec_str(o, "prf"), "HMAC-SHA-1") == 0
				    ? HASH_SHA1
				    : alg_of(vec_str(o, "prf"));
	struct chunk ni = vec_hex(o, "ni"), nr = vec_hex(o, "nr"), gir = vec_hex(o, "gir"),
		     gir_new = vec_hex(o, "gir_new"), want = vec_hex(o, "skeyseed"),
		     dkm = vec_hex(o, "dkm"), rekey = vec_hex(o, "skeyseed_rekey");
	uint8_t skeyseed[HASH_MAX_LEN], out[HASH_MAX_LEN];
	static uint8_t seed[VECTOR_MAX];
	struct chunk key = {skeyseed, hash_len(alg)}, sk_d = {dkm.p, hash_len(alg)};
	struct chunk parts[4] = {ni, nr, vec_hex(o, "spi_i"), vec_hex(o, "spi_r")};
	struct chunk pfs[3] = {gir_new, ni, nr};
	struct kex_secrets secrets = {0};

	keymat_skeyseed(alg, ni, nr, gir, skeyseed);
	assert_int_equal(want.len, hash_len(alg));
	assert_memory_equal(skeyseed, want.p, want.len);
	check_prf_plus(alg, key, join(seed, parts, 4), dkm);
	check_prf_plus(alg, sk_d, join(seed, parts, 2), vec_hex(o, "dkm_child"));
	check_prf_plus(alg, sk_d, join(seed, pfs, 3), vec_hex(o, "dkm_child_pfs"));
	kex_secrets_add(&secrets, gir_new);
	keymat_rekey_skeyseed(alg, dkm.p, &secrets, ni, nr, out);
	assert_memory_equal(out, rekey.p, rekey.len);
	keymat_next_skeyseed(alg, dkm.p, gir_new, ni, nr, out); /* the same function */
	assert_memory_equal(out, rekey.p, rekey.len);
	check_keymat(alg, o, key, ni, nr);
}

/* Opens an SK message (RFC 7634 B), and parses its payloads. */
static void sk_case(const json_t *o)
{
	struct chunk key = vec_hex(o, "key"), salt = vec_hex(o, "salt"),
		     msg = vec_hex(o, "message"), want = vec_hex(o, "plaintext_with_pad");
	const struct suite *s = suite_find(ENCR_CHACHA20_POLY1305, 0, 0);
	struct ike_payloads outer, inner;
	struct ike_header h;
	uint8_t enc[36], text[256];
	struct aead_op op = {.aad = msg.p, .dst = text};

	assert_int_equal(ike_header_parse(msg.p, msg.len, &h), 0);
	assert_int_equal(ike_payloads_parse(h.next, msg.p + 28, msg.len - 28, &outer), 0);
	memcpy(enc, key.p, 32);
	memcpy(enc + 32, salt.p, 4);
	op.key = aead_key_new(s, enc, NULL);
	op.aad_len = (uint16_t)(outer.sk.p - msg.p);
	op.iv = outer.sk.p;
	op.src = outer.sk.p + 8;
	op.len = (uint32_t)(outer.sk.len - 24);
	op.icv = (uint8_t *)msg.p + msg.len - 16;
	assert_int_equal(op.aad_len, number(o, "aad_len"));
	aead_open_many(&op, 1);
	assert_true(op.ok);
	assert_memory_equal(text, want.p, want.len);
	assert_int_equal(
		ike_payloads_parse(outer.sk_next, text, op.len - 1 - text[op.len - 1], &inner), 0);
	assert_int_equal(inner.notify_count, 1);
	aead_key_free(op.key);
}

static void ike_derivations(void **state)
{
	(void)state;
	vec_need();
	vec_report("NIST prf and prf+", each("kdf/nist_kdf.json", nist_case));
	vec_report("complete IKEv2 derivations", each("kdf/full_kdf.json", full_case));
	vec_report("IKEv2 SK message", each("esp/ikev2_sk_message.json", sk_case));
}

/* Runs the tests again with the back end that the daemon would choose. */
static int choose_best(void **state)
{
	char err[256];

	(void)state;
	return aead_init(AEAD_AUTO, err, sizeof(err));
}

static int choose_openssl(void **state)
{
	(void)state;
	aead_fini();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wycheproof_ciphers),	 cmocka_unit_test(wycheproof_hmac),
		cmocka_unit_test(wycheproof_kex),	 cmocka_unit_test(esp_packets),
		cmocka_unit_test(wycheproof_signatures), cmocka_unit_test(ike_derivations),
	};
	const struct CMUnitTest again[] = {
		{"wycheproof_ciphers_best_back_end", wycheproof_ciphers, NULL, NULL, NULL},
		{"esp_packets_best_back_end", esp_packets, NULL, NULL, NULL},
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	return failed + cmocka_run_group_tests(again, choose_best, choose_openssl);
}
