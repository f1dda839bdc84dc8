/* hash.c - see hash.h. SPDX-License-Identifier: ISC */
#include "crypto/hash.h"
#include "xalloc.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

static const char *const names[] = {"SHA1", "SHA256", "SHA384", "SHA512"};

struct hmac_key {
	EVP_MAC_CTX *ctx;
};

size_t hash_len(enum hash_alg alg)
{
	static const uint8_t len[] = {20, 32, 48, 64};

	return len[alg];
}

/* libcrypto fails here only if it runs out of memory: the algorithms are built in. */
static void must(bool ok)
{
	if (!ok)
		abort();
}

/*
 * Fetched once: with EVP_sha256() and the like, libcrypto looks the algorithm up at each use, which
 * takes longer than the hash of a cookie.
 */
static const EVP_MD *md_of(enum hash_alg alg)
{
	static EVP_MD *fetched[ARRAY_SIZE(names)];

	if (!fetched[alg])
		fetched[alg] = EVP_MD_fetch(NULL, names[alg], NULL);
	must(fetched[alg] != NULL);
	return fetched[alg];
}

void hash_compute(enum hash_alg alg, const struct chunk *parts, size_t n, uint8_t *out)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok = c && EVP_DigestInit_ex(c, md_of(alg), NULL) == 1;

	for (size_t i = 0; ok && i < n; i++)
		ok = EVP_DigestUpdate(c, parts[i].p, parts[i].len) == 1;
	must(ok && EVP_DigestFinal_ex(c, out, NULL) == 1);
	EVP_MD_CTX_free(c);
}

bool prf_hash(uint16_t prf, enum hash_alg *ret)
{
	switch (prf) {
	case PRF_HMAC_SHA1: *ret = HASH_SHA1; return true;
	case PRF_HMAC_SHA2_256: *ret = HASH_SHA256; return true;
	case PRF_HMAC_SHA2_384: *ret = HASH_SHA384; return true;
	case PRF_HMAC_SHA2_512: *ret = HASH_SHA512; return true;
	default: return false;
	}
}

struct hmac_key *hmac_key_new(enum hash_alg alg, const uint8_t *key, size_t len)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)names[alg], 0),
		OSSL_PARAM_construct_end()};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	struct hmac_key *k = xzalloc(sizeof(*k));

	must(mac);
	k->ctx = EVP_MAC_CTX_new(mac);
	EVP_MAC_free(mac);
	/* A NULL key means "the key set before" to libcrypto, so an empty one needs an address. */
	must(k->ctx && EVP_MAC_init(k->ctx, len ? key : (const uint8_t *)"", len, params) == 1);
	return k;
}

void hmac_key_free(struct hmac_key *k)
{
	if (!k)
		return;
	EVP_MAC_CTX_free(k->ctx);
	free(k);
}

void hmac_compute(struct hmac_key *k, const struct chunk *parts, size_t n, uint8_t *out)
{
	size_t len;

	must(EVP_MAC_init(k->ctx, NULL, 0, NULL) == 1);
	for (size_t i = 0; i < n; i++) {
		if (parts[i].len)
			must(EVP_MAC_update(k->ctx, parts[i].p, parts[i].len) == 1);
	}
	must(EVP_MAC_final(k->ctx, out, &len, HASH_MAX_LEN) == 1);
}

void prf_compute(enum hash_alg alg, struct chunk key, const struct chunk *parts, size_t n,
		 uint8_t *out)
{
	struct hmac_key *k = hmac_key_new(alg, key.p, key.len);

	hmac_compute(k, parts, n, out);
	hmac_key_free(k);
}

int prf_plus(enum hash_alg alg, struct chunk key, struct chunk seed, uint8_t *out, size_t len)
{
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)names[alg], 0),
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key.p, key.len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)seed.p, seed.len),
		OSSL_PARAM_construct_end()};
	EVP_KDF *kdf;
	EVP_KDF_CTX *c;
	int ok;

	if (len > 255 * hash_len(alg))
		return -EINVAL;
	kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	must(kdf);
	c = EVP_KDF_CTX_new(kdf);
	EVP_KDF_free(kdf);
	must(c);
	ok = EVP_KDF_derive(c, out, len, params);
	EVP_KDF_CTX_free(c);
	return ok == 1 ? 0 : -EINVAL;
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}
