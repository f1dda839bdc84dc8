/*
 * hash.h - digests, HMAC, the PRF and prf+. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_HASH_H
#define MENDIP_HASH_H

#include "base.h"
#include "wire.h"
#include "crypto/suite.h"

enum hash_alg { HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512 };

#define HASH_MAX_LEN 64

/* The length of a digest in bytes. */
size_t hash_len(enum hash_alg alg);
/* Writes the digest over the parts, in order, to out[hash_len]. Aborts if memory runs out. */
void hash_compute(enum hash_alg alg, const struct chunk *parts, size_t n, uint8_t *out);

/* Sets *ret to the hash of a PRF transform ID; false if it is not supported. */
bool prf_hash(uint16_t prf, enum hash_alg *ret);
/* Writes prf(key, parts...) (RFC 7296 2.13) to out[hash_len]. The key may have any length. */
void prf_compute(enum hash_alg alg, struct chunk key, const struct chunk *parts, size_t n,
		 uint8_t *out);
/*
 * Writes len bytes of prf+(key, seed) (RFC 7296 2.13, the same as HKDF-Expand of RFC 5869). -EINVAL
 * if len is more than 255 digests, or libcrypto fails.
 */
int prf_plus(enum hash_alg alg, struct chunk key, struct chunk seed, uint8_t *out,
	     size_t len) MUST_CHECK;

/*
 * A key that is kept for many MACs. hmac_key_new copies it and never returns NULL; hmac_key_free
 * takes NULL.
 */
struct hmac_key;
struct hmac_key *hmac_key_new(enum hash_alg alg, const uint8_t *key, size_t len);
void hmac_key_free(struct hmac_key *k);
/* Writes the MAC over the parts, in order, to out[hash_len]. */
void hmac_compute(struct hmac_key *k, const struct chunk *parts, size_t n, uint8_t *out);

/* Compares in constant time; true if equal. */
bool crypto_equal(const void *a, const void *b, size_t len);

#endif
