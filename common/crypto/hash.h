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

/* Bytes of a digest. */
size_t hash_len(enum hash_alg alg);
/* The digest over the parts in order; out holds hash_len bytes. Never fails for these algorithms.
 */
void hash_compute(enum hash_alg alg, const struct chunk *parts, size_t n, uint8_t *out);

/* The hash of a PRF transform; false for one that we do not have. SHA-1 is here for vectors only.
 */
bool prf_hash(uint16_t prf, enum hash_alg *ret);
/* prf(key, parts...) (RFC 7296 2.13); out holds hash_len bytes. Keys of any length. */
void prf_compute(enum hash_alg alg, struct chunk key, const struct chunk *parts, size_t n,
		 uint8_t *out);
/* prf+(key, seed) of len bytes (RFC 7296 2.13, which is RFC 5869's expand); len <= 255 digests. */
int prf_plus(enum hash_alg alg, struct chunk key, struct chunk seed, uint8_t *out,
	     size_t len) MUST_CHECK;

/* A key kept for many MACs. */
struct hmac_key;
struct hmac_key *hmac_key_new(enum hash_alg alg, const uint8_t *key, size_t len);
void hmac_key_free(struct hmac_key *k);
/* out holds hash_len bytes. */
void hmac_compute(struct hmac_key *k, const struct chunk *parts, size_t n, uint8_t *out);

/* Comparison in constant time. */
bool crypto_equal(const void *a, const void *b, size_t len);

#endif
