/* aead_openssl.c - the AEAD back end that is always available. SPDX-License-Identifier: ISC */
#include "crypto/aead_backend.h"
#include "crypto/hash.h"
#include "xalloc.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

/*
 * A cipher context gets its key once: to set only a nonce costs half of what a new key does.
 * OpenSSL ties the direction to the key, so each direction has a context of its own, made when
 * first used. Mostly that is one, as the key of an SA works in one direction only.
 */
struct openssl_key {
	struct aead_key base;
	EVP_CIPHER_CTX *seal, *open;
	struct hmac_key *mac;
	uint8_t salt[4];
	uint8_t enc[SUITE_MAX_KEY];
};

static const EVP_CIPHER *cipher_of(const struct suite *s)
{
	switch (s->encr) {
	case ENCR_AES_GCM_16:
		return s->key_bits == 128   ? EVP_aes_128_gcm()
		       : s->key_bits == 192 ? EVP_aes_192_gcm()
					    : EVP_aes_256_gcm();
	case ENCR_AES_CBC:
		return s->key_bits == 128   ? EVP_aes_128_cbc()
		       : s->key_bits == 192 ? EVP_aes_192_cbc()
					    : EVP_aes_256_cbc();
	case ENCR_CHACHA20_POLY1305: return EVP_chacha20_poly1305();
	default: return NULL;
	}
}

static enum hash_alg mac_hash(const struct suite *s)
{
	switch (s->integ) {
	case INTEG_HMAC_SHA1_96: return HASH_SHA1;
	case INTEG_HMAC_SHA2_384_192: return HASH_SHA384;
	case INTEG_HMAC_SHA2_512_256: return HASH_SHA512;
	default: return HASH_SHA256;
	}
}

static EVP_CIPHER_CTX *context_new(const struct openssl_key *k, int encrypt)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();

	if (!c ||
	    EVP_CipherInit_ex(c, cipher_of(k->base.suite), NULL, k->enc, NULL, encrypt) != 1) {
		EVP_CIPHER_CTX_free(c);
		return NULL;
	}
	/* Combined modes have no padding; with this flag OpenSSL would set it again per nonce. */
	if (!k->base.suite->combined)
		EVP_CIPHER_CTX_set_padding(c, 0);
	return c;
}

static struct openssl_key *key_of(const struct aead_op *op)
{
	return container_of(op->key, struct openssl_key, base);
}

static void key_free(struct aead_key *key)
{
	struct openssl_key *k = container_of(key, struct openssl_key, base);

	EVP_CIPHER_CTX_free(k->seal);
	EVP_CIPHER_CTX_free(k->open);
	hmac_key_free(k->mac);
	secret_free(k, sizeof(*k));
}

static struct aead_key *key_new(const struct suite *suite, const uint8_t *enc, const uint8_t *integ)
{
	struct openssl_key *k;

	if (!cipher_of(suite))
		return NULL;
	k = xzalloc(sizeof(*k));
	k->base = (struct aead_key){.backend = &aead_openssl, .suite = suite};
	memcpy(k->enc, enc, suite->enc_keylen);
	memcpy(k->salt, enc + suite->enc_keylen - suite->salt_len, suite->salt_len);
	if (!suite->combined) {
		k->mac = hmac_key_new(mac_hash(suite), integ, suite->integ_keylen);
		if (!k->mac) {
			key_free(&k->base);
			return NULL;
		}
	}
	return &k->base;
}

static void nonce_of(const struct aead_op *op, uint8_t *nonce)
{
	memcpy(nonce, key_of(op)->salt, 4);
	memcpy(nonce + 4, op->iv, 8);
}

static bool combined_seal(struct aead_op *op, EVP_CIPHER_CTX *c)
{
	uint8_t nonce[12];
	int n;

	nonce_of(op, nonce);
	return EVP_CipherInit_ex(c, NULL, NULL, NULL, nonce, 1) == 1 &&
	       EVP_CipherUpdate(c, NULL, &n, op->aad, op->aad_len) == 1 &&
	       EVP_CipherUpdate(c, op->dst, &n, op->src, (int)op->len) == 1 &&
	       EVP_CipherFinal_ex(c, op->dst + op->len, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, op->key->suite->icv_len, op->icv) == 1;
}

static bool combined_open(struct aead_op *op, EVP_CIPHER_CTX *c)
{
	uint8_t nonce[12];
	int n;

	nonce_of(op, nonce);
	return EVP_CipherInit_ex(c, NULL, NULL, NULL, nonce, 0) == 1 &&
	       EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, op->key->suite->icv_len, op->icv) ==
		       1 &&
	       EVP_CipherUpdate(c, NULL, &n, op->aad, op->aad_len) == 1 &&
	       EVP_CipherUpdate(c, op->dst, &n, op->src, (int)op->len) == 1 &&
	       EVP_CipherFinal_ex(c, op->dst + op->len, &n) == 1;
}

static void cbc_mac(const struct aead_op *op, const uint8_t *ciphertext, uint8_t *out)
{
	const struct chunk parts[] = {{op->aad, op->aad_len},
				      {op->iv, op->key->suite->iv_len},
				      {ciphertext, op->len},
				      {op->tail, op->tail_len}};

	hmac_compute(key_of(op)->mac, parts, ARRAY_SIZE(parts), out);
}

static bool cbc_run(struct aead_op *op, EVP_CIPHER_CTX *c, int encrypt)
{
	int n;

	return EVP_CipherInit_ex(c, NULL, NULL, NULL, op->iv, encrypt) == 1 &&
	       EVP_CipherUpdate(c, op->dst, &n, op->src, (int)op->len) == 1;
}

static bool cbc_seal(struct aead_op *op, EVP_CIPHER_CTX *c)
{
	uint8_t mac[HASH_MAX_LEN];

	if (op->len % op->key->suite->block || !cbc_run(op, c, 1))
		return false;
	cbc_mac(op, op->dst, mac);
	memcpy(op->icv, mac, op->key->suite->icv_len);
	return true;
}

static bool cbc_open(struct aead_op *op, EVP_CIPHER_CTX *c)
{
	uint8_t mac[HASH_MAX_LEN];

	if (op->len % op->key->suite->block)
		return false;
	cbc_mac(op, op->src, mac);
	return CRYPTO_memcmp(mac, op->icv, op->key->suite->icv_len) == 0 && cbc_run(op, c, 0);
}

static void seal_many(struct aead_op *op, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct openssl_key *k = key_of(&op[i]);

		if (!k->seal)
			k->seal = context_new(k, 1);
		op[i].ok = k->seal && (k->base.suite->combined ? combined_seal(&op[i], k->seal)
							       : cbc_seal(&op[i], k->seal));
	}
}

static void open_many(struct aead_op *op, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct openssl_key *k = key_of(&op[i]);

		if (!k->open)
			k->open = context_new(k, 0);
		op[i].ok = k->open && (k->base.suite->combined ? combined_open(&op[i], k->open)
							       : cbc_open(&op[i], k->open));
	}
}

const struct aead_backend aead_openssl = {.name = "openssl",
					  .key_new = key_new,
					  .key_free = key_free,
					  .seal = seal_many,
					  .open = open_many};
