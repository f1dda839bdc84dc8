/*
 * suite.h - the algorithms, and a table of suites, one row each. SPDX-License-Identifier: ISC
 *
 * Transform IDs are those of the IANA registry "IKEv2 Parameters".
 */
#ifndef MENDIP_SUITE_H
#define MENDIP_SUITE_H

#include "base.h"

enum encr_id {
	ENCR_NULL_ = 11,
	ENCR_AES_CBC = 12,
	ENCR_AES_GCM_16 = 20,
	ENCR_CHACHA20_POLY1305 = 28,
};

enum prf_id {
	PRF_HMAC_SHA1 = 2,
	PRF_HMAC_SHA2_256 = 5,
	PRF_HMAC_SHA2_384 = 6,
	PRF_HMAC_SHA2_512 = 7
};

enum integ_id {
	INTEG_NONE = 0,
	INTEG_HMAC_SHA1_96 = 2,
	INTEG_HMAC_SHA2_256_128 = 12,
	INTEG_HMAC_SHA2_384_192 = 13,
	INTEG_HMAC_SHA2_512_256 = 14,
};

enum group_id {
	GROUP_NONE = 0,
	GROUP_MODP_2048 = 14,
	GROUP_MODP_3072 = 15,
	GROUP_MODP_4096 = 16,
	GROUP_MODP_6144 = 17,
	GROUP_MODP_8192 = 18,
	GROUP_ECP_256 = 19,
	GROUP_ECP_384 = 20,
	GROUP_ECP_521 = 21,
	GROUP_ECP_256_BP = 28, /* brainpool (RFC 6954) */
	GROUP_ECP_384_BP = 29,
	GROUP_ECP_512_BP = 30,
	GROUP_X25519 = 31,
	GROUP_X448 = 32,
	GROUP_ML_KEM_512 = 35,
	GROUP_ML_KEM_768 = 36,
	GROUP_ML_KEM_1024 = 37,
};

#define ESN_NO	0
#define ESN_YES 1

/* How one SA protects its packets: a combined-mode cipher, or a cipher and an integrity algorithm.
 */
struct suite {
	uint16_t encr, key_bits, integ;
	bool combined;	    /* AEAD (RFC 5282): no separate integrity key */
	uint8_t enc_keylen; /* bytes of key material, salt included */
	uint8_t salt_len;   /* the salt is the last bytes of these */
	uint8_t integ_keylen;
	uint8_t iv_len, icv_len;
	uint8_t block;	  /* the ciphertext is a multiple of this (4 for the stream ciphers, RFC
			     4303 2.4) */
	const char *name; /* as in proposals: "aes128gcm16", "aes256-sha384" */
};

/* The row for (encr, key_bits, integ), or NULL. key_bits is 0 for ciphers with one key size. */
const struct suite *suite_find(uint16_t encr, uint16_t key_bits, uint16_t integ);
/* All rows, for the self-test of aead_init, tests and benches. */
const struct suite *suite_table(size_t *ret_count);

#define SUITE_MAX_KEY 64
#define SUITE_MAX_ICV 32
#define SUITE_MAX_IV  16

#endif
