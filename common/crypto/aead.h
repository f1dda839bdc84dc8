/*
 * aead.h - protecting bytes, in batches. SPDX-License-Identifier: ISC
 *
 * One interface for combined-mode ciphers and for encrypt-then-MAC (RFC 4303 3.4.4.1), so that the
 * data path and the SK payload know no difference. A key belongs to one direction of one SA and to
 * one thread.
 */
#ifndef MENDIP_AEAD_H
#define MENDIP_AEAD_H

#include "crypto/suite.h"

struct aead_key;

enum aead_choice { AEAD_AUTO, AEAD_OPENSSL, AEAD_IPSEC_MB };

/*
 * Chooses what keys made from now on use; to be called before there are any, if at all (OpenSSL
 * then). intel-ipsec-mb is tried against OpenSSL with each suite first. With AEAD_AUTO always 0,
 * and err tells of a self-test that failed; with AEAD_IPSEC_MB -ENOTSUP or -EIO, with err.
 */
int aead_init(enum aead_choice choice, char *err, size_t size) MUST_CHECK;
/* Back to OpenSSL; there are no keys any more. */
void aead_fini(void);

/*
 * A key for the suite: enc holds suite->enc_keylen bytes (salt last), integ suite->integ_keylen.
 * Copies what it needs; the caller cleanses its own. NULL when libcrypto refuses.
 */
struct aead_key *aead_key_new(const struct suite *suite, const uint8_t *enc, const uint8_t *integ);
/* Cleanses and frees; takes NULL. */
void aead_key_free(struct aead_key *key);
const struct suite *aead_key_suite(const struct aead_key *key);

/*
 * One packet. What is authenticated: aad, then (encrypt-then-MAC only) iv, ciphertext and, with
 * tail_len 4, the tail: the high half of an extended sequence number (RFC 4303 2.2.1). Combined
 * modes have that number within aad.
 *
 * seal: src of len bytes to dst of len bytes, ICV to icv. open: the same, icv is read; ok tells
 * whether it held. src and dst are equal or do not overlap. When an open fails, dst has lost its
 * content, and src too if it is the same.
 */
struct aead_op {
	struct aead_key *key;
	const uint8_t *aad, *iv, *src;
	uint8_t *dst, *icv;
	uint32_t len; /* a multiple of the cipher's block for AES-CBC */
	uint16_t aad_len;
	uint8_t tail_len; /* 0 or 4 */
	bool ok;
	uint8_t tail[4];
};

void aead_seal_many(struct aead_op *op, unsigned n);
void aead_open_many(struct aead_op *op, unsigned n);
/* What keys made from now on use where it wins: "openssl" or "ipsec-mb". */
const char *aead_in_use(void);
/* What this key uses; the same names. */
const char *aead_backend_name(const struct aead_key *key);

#endif
