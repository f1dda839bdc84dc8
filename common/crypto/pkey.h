/*
 * pkey.h - public and private keys, and signatures by them: RSA, ECDSA and Ed25519.
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_PKEY_H
#define MENDIP_PKEY_H

#include "crypto/hash.h"

enum pkey_type { PKEY_RSA, PKEY_P256, PKEY_P384, PKEY_P521, PKEY_ED25519 };

/* RSA keys of other sizes are refused; a hostile one must not cost more time than these. */
#define PKEY_RSA_MIN  2048
#define PKEY_RSA_MAX  8192
#define SIGNATURE_MAX (PKEY_RSA_MAX / 8) /* bytes */

/* How octets are signed. PSS has a salt as long as the digest, and MGF1 with the same hash. */
enum sig_form {
	SIG_RSA_PKCS1, /* RSASSA-PKCS1-v1_5 */
	SIG_RSA_PSS,
	SIG_ECDSA,     /* a DER SEQUENCE of r and s (RFC 7427) */
	SIG_ECDSA_RAW, /* r | s, each as long as the order of the curve (RFC 4754) */
	SIG_ED25519,   /* the hash is not used */
};

struct sig_scheme {
	enum sig_form form;
	enum hash_alg hash;
};

/* A key, private or only public; constant and reference-counted. */
struct pkey;

/*
 * Reads a SubjectPublicKeyInfo in DER that fills `der` exactly. NULL: malformed, a key of another
 * type, RSA of another size, or an elliptic curve that is written as its parameters. To be freed by
 * pkey_unref.
 */
struct pkey *pkey_from_spki(struct chunk der);
struct pkey *pkey_ref(const struct pkey *k);
/* Drops a reference; the last one wipes and frees it. Takes NULL. */
void pkey_unref(const struct pkey *k);
enum pkey_type pkey_type(const struct pkey *k);
/* Whether both have the same public key. */
bool pkey_same(const struct pkey *a, const struct pkey *b);
bool pkey_is_private(const struct pkey *k);
/* Its SubjectPublicKeyInfo in DER, valid as long as the key. */
struct chunk pkey_spki(const struct pkey *k);
/* Whether the key makes signatures of this form. */
bool pkey_fits(const struct pkey *k, enum sig_form form);

/*
 * Signs the parts, in order, with a private key that fits the scheme. Writes to out, which has
 * SIGNATURE_MAX bytes, and returns the length; -EINVAL: it does not fit, or libcrypto fails.
 */
int pkey_sign(const struct pkey *k, struct sig_scheme s, const struct chunk *parts, size_t n,
	      uint8_t *out) MUST_CHECK;
/* Whether it is the signature of the parts by this key; false, too, if the scheme does not fit. */
bool pkey_verify(const struct pkey *k, struct sig_scheme s, const struct chunk *parts, size_t n,
		 struct chunk signature) MUST_CHECK;

#endif
