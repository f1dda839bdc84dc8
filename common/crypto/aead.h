/*
 * aead.h - authenticated encryption, in batches. SPDX-License-Identifier: ISC
 *
 * One interface for combined-mode ciphers and for encrypt-then-MAC (RFC 4303 3.4.4.1), so that the
 * data path and the SK payload need not tell them apart. A key is used for one direction of one SA,
 * and by one thread.
 */
#ifndef MENDIP_AEAD_H
#define MENDIP_AEAD_H

#include "crypto/suite.h"

struct aead_key;

enum aead_choice { AEAD_AUTO, AEAD_OPENSSL, AEAD_IPSEC_MB };

/*
 * Chooses the back end for keys made from now on. To be called, if at all, before there are any
 * keys; without it OpenSSL is used. intel-ipsec-mb is used only if it gives the same results as
 * OpenSSL with each suite. err, of size bytes, is empty or says why intel-ipsec-mb is not used.
 *
 * AEAD_AUTO always gives 0, and sets err only if the self-test failed. AEAD_IPSEC_MB gives -ENOTSUP
 * if the library cannot be used, and -EIO if the self-test failed.
 */
int aead_init(enum aead_choice choice, char *err, size_t size) MUST_CHECK;
/* Goes back to OpenSSL. No key may be left. */
void aead_fini(void);

/*
 * A key for the suite: enc holds suite->enc_keylen bytes (salt last), integ suite->integ_keylen.
 * Both are copied; the caller cleanses its own. NULL if suite is NULL or no back end has it.
 */
struct aead_key *aead_key_new(const struct suite *suite, const uint8_t *enc, const uint8_t *integ);
/* Cleanses and frees; takes NULL. */
void aead_key_free(struct aead_key *key);
const struct suite *aead_key_suite(const struct aead_key *key);

/*
 * One packet. Combined modes authenticate aad and the ciphertext; the high half of an extended
 * sequence number is in aad. Encrypt-then-MAC authenticates aad, iv, the ciphertext and, with
 * tail_len 4, the tail, which is that high half (RFC 4303 2.2.1).
 *
 * Sealing encrypts len bytes from src to dst and writes the ICV to icv. Opening decrypts len bytes
 * from src to dst and compares the ICV with icv, which must be writable all the same. src and dst
 * are equal or do not overlap. ok tells whether it succeeded; if not, the content of dst is lost,
 * and that of src too if it is the same.
 */
struct aead_op {
	struct aead_key *key;
	const uint8_t *aad, *iv, *src;
	uint8_t *dst, *icv;
	uint32_t len; /* a multiple of the block size for AES-CBC */
	uint16_t aad_len;
	uint8_t tail_len; /* 0 or 4 */
	bool ok;
	uint8_t tail[4];
};

void aead_seal_many(struct aead_op *op, unsigned n);
void aead_open_many(struct aead_op *op, unsigned n);
/*
 * The back end for keys made from now on: "openssl", or "ipsec-mb", which leaves to OpenSSL what
 * OpenSSL does faster.
 */
const char *aead_in_use(void);
/* The back end of this key, by the same names. */
const char *aead_backend_name(const struct aead_key *key);

#endif
