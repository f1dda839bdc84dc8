/* cert.h - X.509 certificates (RFC 5280), as IKEv2 uses them (RFC 4945). SPDX-License-Identifier:
 * ISC */
#ifndef MENDIP_CERT_H
#define MENDIP_CERT_H

#include "crypto/pkey.h"

#define CERT_MAX     8192 /* bytes of one from a peer */
#define CERT_KEY_ID  20
#define CERT_NO_TIME INT64_MIN /* an end that is not given or cannot be read */

/* A certificate; constant and reference-counted. */
struct cert;

/* The kinds of subjectAltName that an identity can be. */
enum cert_name { CERT_NAME_DNS, CERT_NAME_EMAIL, CERT_NAME_IP };

/*
 * Reads a certificate in DER that fills `der` exactly. NULL: malformed, or with a key that
 * pkey_from_spki does not take. To be freed by cert_unref.
 */
struct cert *cert_from_der(struct chunk der);
struct cert *cert_ref(const struct cert *c);
/* Takes NULL. */
void cert_unref(const struct cert *c);
/* What these return is valid as long as the certificate. */
struct chunk cert_der(const struct cert *c);
const struct pkey *cert_key(const struct cert *c);
/* The subject's Name in DER; it may have no components. */
struct chunk cert_subject(const struct cert *c);
struct chunk cert_issuer(const struct cert *c);
/* Seconds since 1970. */
int64_t cert_not_before(const struct cert *c);
int64_t cert_not_after(const struct cert *c);
bool cert_same(const struct cert *a, const struct cert *b);
/* Writes the SHA-1 of its SubjectPublicKeyInfo, which CERTREQ names a CA by (RFC 7296 3.7). */
void cert_key_id(const struct cert *c, uint8_t out[CERT_KEY_ID]);
/*
 * Whether a subjectAltName is exactly this: a domain name without regard to case, an e-mail address
 * whose domain is, or an address of 4 or 16 bytes. A "*" in a certificate is not a pattern.
 */
bool cert_has_name(const struct cert *c, enum cert_name kind, struct chunk name);
/*
 * Whether its owner may authenticate by it: keyUsage, if present, has digitalSignature or
 * nonRepudiation, and extendedKeyUsage, if present, one of serverAuth, clientAuth, ipsecIKE,
 * ikeIntermediate and any (RFC 4945 5.1.3). False with a static text in *ret_why.
 */
bool cert_may_sign(const struct cert *c, const char **ret_why);
/*
 * Whether a server of TLS may have it: extendedKeyUsage, if present, has serverAuth or any. False
 * with a static text in *ret_why.
 */
bool cert_may_serve_tls(const struct cert *c, const char **ret_why);

#endif
