/*
 * pki.h - makes keys, certificates and CRLs for tests, by libcrypto. SPDX-License-Identifier: ISC
 *
 * What these return lasts until the process ends, but for what struct cert and the like hold, which
 * the caller frees.
 */
#ifndef MENDIP_TESTS_PKI_H
#define MENDIP_TESTS_PKI_H

#include <openssl/x509.h>

#include "crypto/trust.h"

#define PKI_NOW	 1767225600LL /* 2026-01-01 */
#define PKI_YEAR (365 * 86400LL)

/* Kinds of keys; those from PKI_BAD_KEYS on are refused. */
enum pki_kind {
	PKI_RSA,
	PKI_RSA_3072,
	PKI_P256,
	PKI_P384,
	PKI_P521,
	PKI_ED25519,
	PKI_BAD_KEYS,
	PKI_RSA_1024 = PKI_BAD_KEYS,
	PKI_P256_EXPLICIT,
	PKI_SECP256K1,
	PKI_ED448,
};

struct pki_spec {
	enum pki_kind kind;
	const char *subject;		      /* "O=Example,CN=gw"; NULL: none */
	const char *san;		      /* as in openssl.cnf: "DNS:gw.example"; NULL: none */
	const char *basic, *usage, *purposes; /* likewise */
	const char *crl_at;		      /* crlDistributionPoints */
	const char *critical_oid;	      /* a critical extension that nobody knows */
	int64_t from, until;		      /* 0: a year before and after PKI_NOW */
	bool sha1;
	const struct pki *issuer; /* NULL: itself */
	const struct pki *key_of; /* has the same key as that one; NULL: a new key */
};

struct pki {
	EVP_PKEY *key;
	X509 *x;
};

struct pki *pki_make(const struct pki_spec *spec);
/* A CA of this kind with this name. */
struct pki *pki_ca(enum pki_kind kind, const char *subject, const struct pki *issuer);
/* A CRL of the issuer that lists one certificate, or none (NULL). until: its nextUpdate. */
X509_CRL *pki_crl(const struct pki *issuer, const struct pki *revoked, int64_t until);

/* As the project has them, with a reference; NULL: it refuses them. */
struct cert *pki_cert(const struct pki *p);
struct pkey *pki_private(const struct pki *p);
/* As PEM: the certificate, the key, both, or a CRL; to be freed. */
char *pki_pem(const struct pki *p, bool cert, bool key);
char *pki_crl_pem(X509_CRL *crl);

#endif
