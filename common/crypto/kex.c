/* kex.c - see kex.h. SPDX-License-Identifier: ISC */
#include "crypto/kex.h"
#include "xalloc.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/dh.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>

enum kind { KIND_MODP, KIND_ECP, KIND_RAW, KIND_KEM };

static const struct group {
	uint16_t id;
	enum kind kind;
	uint16_t public_len, answer_len; /* of the initiator, and of the responder */
	const char *name, *ossl;
} groups[] = {
	{GROUP_MODP_2048, KIND_MODP, 256, 256, "modp2048", "modp_2048"},
	{GROUP_MODP_3072, KIND_MODP, 384, 384, "modp3072", "modp_3072"},
	{GROUP_MODP_4096, KIND_MODP, 512, 512, "modp4096", "modp_4096"},
	{GROUP_MODP_6144, KIND_MODP, 768, 768, "modp6144", "modp_6144"},
	{GROUP_MODP_8192, KIND_MODP, 1024, 1024, "modp8192", "modp_8192"},
	{GROUP_ECP_256, KIND_ECP, 64, 64, "ecp256", "P-256"},
	{GROUP_ECP_384, KIND_ECP, 96, 96, "ecp384", "P-384"},
	{GROUP_ECP_521, KIND_ECP, 132, 132, "ecp521", "P-521"},
	{GROUP_ECP_256_BP, KIND_ECP, 64, 64, "ecp256bp", "brainpoolP256r1"},
	{GROUP_ECP_384_BP, KIND_ECP, 96, 96, "ecp384bp", "brainpoolP384r1"},
	{GROUP_ECP_512_BP, KIND_ECP, 128, 128, "ecp512bp", "brainpoolP512r1"},
	{GROUP_X25519, KIND_RAW, 32, 32, "x25519", "X25519"},
	{GROUP_X448, KIND_RAW, 56, 56, "x448", "X448"},
	{GROUP_ML_KEM_512, KIND_KEM, 800, 768, "mlkem512", "ML-KEM-512"},
	{GROUP_ML_KEM_768, KIND_KEM, 1184, 1088, "mlkem768", "ML-KEM-768"},
	{GROUP_ML_KEM_1024, KIND_KEM, 1568, 1568, "mlkem1024", "ML-KEM-1024"},
};

struct kex {
	const struct group *group;
	EVP_PKEY *key; /* NULL: the half of a responder with a KEM */
	uint16_t public_len;
	uint8_t pub[KEX_MAX_PUBLIC];
};

static const struct group *find(uint16_t id)
{
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		if (groups[i].id == id)
			return &groups[i];
	}
	return NULL;
}

const char *kex_name(uint16_t group)
{
	const struct group *g = find(group);

	return g ? g->name : NULL;
}

size_t kex_public_len(uint16_t group)
{
	const struct group *g = find(group);

	return g ? g->public_len : 0;
}

bool kex_is_kem(uint16_t group)
{
	const struct group *g = find(group);

	return g && g->kind == KIND_KEM;
}

const char *kex_library(void)
{
	return OpenSSL_version(OPENSSL_VERSION_STRING);
}

static const char *type_of(const struct group *g)
{
	return g->kind == KIND_MODP ? "DH" : g->kind == KIND_ECP ? "EC" : g->ossl;
}

static int curve_nid(const struct group *g)
{
	int nist = EC_curve_nist2nid(g->ossl);

	return nist != NID_undef ? nist : OBJ_sn2nid(g->ossl);
}

static bool has_curve(const struct group *g)
{
	EC_GROUP *curve = EC_GROUP_new_by_curve_name(curve_nid(g));

	EC_GROUP_free(curve);
	return curve != NULL;
}

static bool has_kem(const struct group *g)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, g->ossl, NULL);

	EVP_PKEY_CTX_free(c);
	return c != NULL;
}

bool kex_available(uint16_t group)
{
	static signed char known[ARRAY_SIZE(groups)]; /* 0: not asked yet; -1: no; 1: yes */
	const struct group *g = find(group);

	if (!g || (g->kind != KIND_ECP && g->kind != KIND_KEM))
		return g != NULL;
	if (!known[g - groups]) {
		known[g - groups] = (g->kind == KIND_KEM ? has_kem(g) : has_curve(g)) ? 1 : -1;
		ERR_clear_error();
	}
	return known[g - groups] > 0;
}

/* A key of the group from the parameters in b; NULL if libcrypto finds them invalid. */
static EVP_PKEY *key_from(const struct group *g, OSSL_PARAM_BLD *b, int selection)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(b);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, type_of(g), NULL);
	EVP_PKEY *key = NULL;

	if (params && c && EVP_PKEY_fromdata_init(c) == 1 &&
	    EVP_PKEY_fromdata(c, &key, selection, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(c);
	OSSL_PARAM_free(params);
	return key;
}

/* The peer's public value as a key. */
static EVP_PKEY *public_key(const struct group *g, struct chunk pub)
{
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	uint8_t point[1 + KEX_MAX_PUBLIC];
	EVP_PKEY *key = NULL;
	BIGNUM *bn = NULL;
	bool ok = b != NULL;

	if (ok && g->kind != KIND_RAW)
		ok = OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, g->ossl, 0) ==
		     1;
	if (ok && g->kind == KIND_MODP) {
		bn = BN_bin2bn(pub.p, (int)pub.len, NULL);
		ok = bn && OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PUB_KEY, bn) == 1;
	} else if (ok && g->kind == KIND_ECP) {
		point[0] = 4; /* uncompressed */
		memcpy(point + 1, pub.p, pub.len);
		ok = OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point,
						      pub.len + 1) == 1;
	} else if (ok) {
		ok = OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, pub.p, pub.len) ==
		     1;
	}
	if (ok)
		key = key_from(g, b, EVP_PKEY_PUBLIC_KEY);
	OSSL_PARAM_BLD_free(b);
	BN_free(bn);
	return key;
}

static bool read_public(struct kex *k)
{
	const struct group *g = k->group;
	uint8_t point[1 + KEX_MAX_PUBLIC];
	BIGNUM *bn = NULL;
	size_t len;
	bool ok;

	switch (g->kind) {
	case KIND_MODP:
		ok = EVP_PKEY_get_bn_param(k->key, OSSL_PKEY_PARAM_PUB_KEY, &bn) == 1 &&
		     BN_bn2binpad(bn, k->pub, g->public_len) == g->public_len;
		BN_free(bn);
		return ok;
	case KIND_ECP:
		ok = EVP_PKEY_get_octet_string_param(k->key, OSSL_PKEY_PARAM_PUB_KEY, point,
						     sizeof(point), &len) == 1 &&
		     len == g->public_len + 1u && point[0] == 4;
		if (ok)
			memcpy(k->pub, point + 1, g->public_len);
		return ok;
	case KIND_RAW:
	case KIND_KEM:
		len = g->public_len;
		return EVP_PKEY_get_raw_public_key(k->key, k->pub, &len) == 1 &&
		       len == g->public_len;
	}
	return false;
}

static EVP_PKEY *generate(const struct group *g)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, type_of(g), NULL);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)g->ossl, 0),
		OSSL_PARAM_construct_end()};
	EVP_PKEY *key = NULL;

	if (c && EVP_PKEY_keygen_init(c) == 1 &&
	    (g->kind == KIND_RAW || g->kind == KIND_KEM ||
	     EVP_PKEY_CTX_set_params(c, params) == 1) &&
	    EVP_PKEY_generate(c, &key) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(c);
	return key;
}

static struct kex *adopt(const struct group *g, EVP_PKEY *key)
{
	struct kex *k;

	if (!key)
		return NULL;
	k = xzalloc(sizeof(*k));
	k->group = g;
	k->key = key;
	k->public_len = g->public_len;
	if (!read_public(k)) {
		kex_free(k);
		return NULL;
	}
	return k;
}

struct kex *kex_new(uint16_t group)
{
	const struct group *g = find(group);

	return g ? adopt(g, generate(g)) : NULL;
}

/* A new number: the prime of a MODP group. */
static BIGNUM *prime_of(const struct group *g)
{
	switch (g->id) {
	case GROUP_MODP_2048: return BN_get_rfc3526_prime_2048(NULL);
	case GROUP_MODP_3072: return BN_get_rfc3526_prime_3072(NULL);
	case GROUP_MODP_4096: return BN_get_rfc3526_prime_4096(NULL);
	case GROUP_MODP_6144: return BN_get_rfc3526_prime_6144(NULL);
	default: return BN_get_rfc3526_prime_8192(NULL);
	}
}

/* Adds the public value of a private EC or DH key, which libcrypto does not compute by itself. */
static bool push_public(const struct group *g, OSSL_PARAM_BLD *b, const BIGNUM *priv, BIGNUM **pub,
			uint8_t *point)
{
	BN_CTX *bc = BN_CTX_new();
	bool ok = false;

	if (g->kind == KIND_ECP) {
		EC_GROUP *eg = EC_GROUP_new_by_curve_name(curve_nid(g));
		EC_POINT *p = EC_POINT_new(eg);

		ok = EC_POINT_mul(eg, p, priv, NULL, NULL, bc) == 1 &&
		     EC_POINT_point2oct(eg, p, POINT_CONVERSION_UNCOMPRESSED, point,
					g->public_len + 1u, bc) == g->public_len + 1u &&
		     OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point,
						      g->public_len + 1u) == 1;
		EC_POINT_free(p);
		EC_GROUP_free(eg);
	} else {
		BIGNUM *prime = prime_of(g);
		BIGNUM *two = BN_new();

		*pub = BN_new();
		ok = BN_set_word(two, 2) == 1 && BN_mod_exp(*pub, two, priv, prime, bc) == 1 &&
		     OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PUB_KEY, *pub) == 1;
		BN_free(two);
		BN_free(prime);
	}
	BN_CTX_free(bc);
	return ok;
}

struct kex *kex_from_private(uint16_t group, const uint8_t *priv, size_t len)
{
	const struct group *g = find(group);
	uint8_t point[1 + KEX_MAX_PUBLIC];
	EVP_PKEY *key = NULL;
	OSSL_PARAM_BLD *b;
	BIGNUM *bn, *pub = NULL;

	if (!g || g->kind == KIND_KEM)
		return NULL;
	if (g->kind == KIND_RAW)
		return adopt(g, EVP_PKEY_new_raw_private_key_ex(NULL, g->ossl, NULL, priv, len));
	b = OSSL_PARAM_BLD_new();
	bn = BN_secure_new();
	if (b && bn && BN_bin2bn(priv, (int)len, bn) &&
	    OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, g->ossl, 0) == 1 &&
	    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PRIV_KEY, bn) == 1 &&
	    push_public(g, b, bn, &pub, point))
		key = key_from(g, b, EVP_PKEY_KEYPAIR);
	OSSL_PARAM_BLD_free(b);
	BN_clear_free(bn);
	BN_free(pub);
	return adopt(g, key);
}

void kex_free(struct kex *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->key);
	secret_free(k, sizeof(*k));
}

uint16_t kex_group(const struct kex *k)
{
	return k->group->id;
}

struct chunk kex_public(const struct kex *k)
{
	return (struct chunk){k->pub, k->public_len};
}

/*
 * Checks the peer's value by RFC 6989: EVP_PKEY_public_check_quick does 2.1 for MODP (1 < y < p -
 * 1) and 2.3 for ECP.
 */
static bool public_valid(const struct group *g, EVP_PKEY *key)
{
	EVP_PKEY_CTX *c;
	bool ok;

	if (g->kind == KIND_RAW)
		return true;
	c = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	ok = c && EVP_PKEY_public_check_quick(c) == 1;
	EVP_PKEY_CTX_free(c);
	return ok;
}

/* Makes a shared secret and the ciphertext that tells it to the owner of the key `peer`. */
static struct kex *encapsulate(const struct group *g, struct chunk peer, uint8_t *secret,
			       size_t *ret_len)
{
	EVP_PKEY *key = EVP_PKEY_new_raw_public_key_ex(NULL, g->ossl, NULL, peer.p, peer.len);
	EVP_PKEY_CTX *c = key ? EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL) : NULL;
	struct kex *k = xzalloc(sizeof(*k));
	size_t len = sizeof(k->pub);

	k->group = g;
	*ret_len = KEX_MAX_SECRET;
	if (c && EVP_PKEY_encapsulate_init(c, NULL) == 1 &&
	    EVP_PKEY_encapsulate(c, k->pub, &len, secret, ret_len) == 1 && len == g->answer_len) {
		k->public_len = (uint16_t)len;
	} else {
		kex_free(k);
		k = NULL;
	}
	ERR_clear_error();
	EVP_PKEY_CTX_free(c);
	EVP_PKEY_free(key);
	return k;
}

static int decapsulate(const struct kex *k, struct chunk ciphertext, uint8_t *secret,
		       size_t *ret_len)
{
	EVP_PKEY_CTX *c = k->key ? EVP_PKEY_CTX_new_from_pkey(NULL, k->key, NULL) : NULL;
	size_t len = KEX_MAX_SECRET;
	int r = -EINVAL;

	if (c && ciphertext.len == k->group->answer_len &&
	    EVP_PKEY_decapsulate_init(c, NULL) == 1 &&
	    EVP_PKEY_decapsulate(c, secret, &len, ciphertext.p, ciphertext.len) == 1) {
		*ret_len = len;
		r = 0;
	}
	ERR_clear_error();
	EVP_PKEY_CTX_free(c);
	return r;
}

struct kex *kex_respond(uint16_t group, struct chunk peer, uint8_t *secret, size_t *ret_len)
{
	const struct group *g = find(group);
	struct kex *k;

	if (!g || peer.len != g->public_len)
		return NULL;
	if (g->kind == KIND_KEM)
		return encapsulate(g, peer, secret, ret_len);
	k = kex_new(group);
	if (k && kex_derive(k, peer, secret, ret_len) < 0) {
		kex_free(k);
		k = NULL;
	}
	return k;
}

int kex_derive(const struct kex *k, struct chunk peer, uint8_t *secret, size_t *ret_len)
{
	const struct group *g = k->group;
	size_t len = KEX_MAX_SECRET;
	EVP_PKEY_CTX *c = NULL;
	EVP_PKEY *key;
	int r = -EINVAL;

	if (g->kind == KIND_KEM)
		return decapsulate(k, peer, secret, ret_len);
	if (peer.len != g->public_len)
		return -EINVAL;
	key = public_key(g, peer);
	if (key && public_valid(g, key))
		c = EVP_PKEY_CTX_new_from_pkey(NULL, k->key, NULL);
	if (c && EVP_PKEY_derive_init(c) == 1 &&
	    (g->kind != KIND_MODP || EVP_PKEY_CTX_set_dh_pad(c, 1) == 1) &&
	    EVP_PKEY_derive_set_peer(c, key) == 1 && EVP_PKEY_derive(c, secret, &len) == 1) {
		*ret_len = len;
		r = 0;
	}
	ERR_clear_error();
	EVP_PKEY_CTX_free(c);
	EVP_PKEY_free(key);
	return r;
}
