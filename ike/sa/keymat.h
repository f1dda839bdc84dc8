/*
 * keymat.h - key material (RFC 7296 2.13 to 2.18). SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_KEYMAT_H
#define MENDIP_KEYMAT_H

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/kex.h"
#include "wire/ike_types.h"

/*
 * The SK_* keys; wipe with secret_wipe after use. SK_d, SK_pi and SK_pr have hash_len(prf) bytes,
 * the others the key lengths of the suite.
 */
struct ike_keys {
	uint8_t sk_d[HASH_MAX_LEN], sk_pi[HASH_MAX_LEN], sk_pr[HASH_MAX_LEN];
	uint8_t sk_ai[SUITE_MAX_KEY], sk_ar[SUITE_MAX_KEY];
	uint8_t sk_ei[SUITE_MAX_KEY], sk_er[SUITE_MAX_KEY];
};

/*
 * Keys of a CHILD SA: _i from the exchange's initiator to its responder, _r back. Wipe with
 * secret_wipe after use.
 */
struct child_keys {
	uint8_t enc_i[SUITE_MAX_KEY], integ_i[SUITE_MAX_KEY];
	uint8_t enc_r[SUITE_MAX_KEY], integ_r[SUITE_MAX_KEY];
};

/*
 * The shared secrets of the key exchanges of one SA, one after the other: SK(0), which is g^ir, and
 * those of additional ones (RFC 9370). Wipe with secret_wipe after use.
 */
struct kex_secrets {
	uint16_t first, len; /* bytes of SK(0), and of all */
	uint8_t b[(1 + ADDKE_MAX) * KEX_MAX_SECRET];
};

/* Appends one secret, of at most KEX_MAX_SECRET bytes; there are at most 1 + ADDKE_MAX. */
void kex_secrets_add(struct kex_secrets *s, struct chunk secret);

/*
 * Writes SKEYSEED = prf(Ni | Nr, g^ir) to out, hash_len(prf) bytes (2.14). Here and below nonces
 * have at most IKE_NONCE_MAX bytes each, and `secret` is g^ir, of at most KEX_MAX_SECRET.
 */
void keymat_skeyseed(enum hash_alg prf, struct chunk ni, struct chunk nr, struct chunk secret,
		     uint8_t *out);
/*
 * Writes SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr) to out, hash_len(prf) bytes, for the keys
 * after an additional key exchange in IKE_INTERMEDIATE (RFC 9370 2.2.2).
 */
void keymat_next_skeyseed(enum hash_alg prf, const uint8_t *sk_d, struct chunk secret,
			  struct chunk ni, struct chunk nr, uint8_t *out);
/*
 * Writes SKEYSEED = prf(SK_d (old), SK(0) | Ni | Nr | SK(1) | ...) to out, hash_len(old_prf) bytes,
 * by the old SA's PRF (2.18; RFC 9370 2.2.4).
 */
void keymat_rekey_skeyseed(enum hash_alg old_prf, const uint8_t *old_sk_d,
			   const struct kex_secrets *secrets, struct chunk ni, struct chunk nr,
			   uint8_t *out);
/* Derives all SK_* = prf+(SKEYSEED, Ni | Nr | SPIi | SPIr) (2.14). -EINVAL if libcrypto fails. */
int keymat_ike(enum hash_alg prf, const struct suite *suite, struct chunk skeyseed, struct chunk ni,
	       struct chunk nr, uint64_t spi_i, uint64_t spi_r, struct ike_keys *ret) MUST_CHECK;
/*
 * Replaces SK_d, SK_pi and SK_pr by prf+(PPK, ...) of them (RFC 8784 3). -EINVAL, with *keys
 * changed in part, if libcrypto fails.
 */
int keymat_ppk(enum hash_alg prf, struct chunk ppk, struct ike_keys *keys) MUST_CHECK;
/*
 * Derives the keys of a CHILD SA, KEYMAT = prf+(SK_d, [SK(0)] | Ni | Nr | [SK(1) | ...]) (2.17; RFC
 * 9370 2.2.4); without PFS there are no secrets. -EINVAL if libcrypto fails.
 */
int keymat_child(enum hash_alg prf, const struct suite *suite, const uint8_t *sk_d,
		 const struct kex_secrets *secrets, struct chunk ni, struct chunk nr,
		 struct child_keys *ret) MUST_CHECK;
#endif
