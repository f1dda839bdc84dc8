/* cert_ossl.h - certificates as libcrypto has them; private to common/crypto.
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_CERT_OSSL_H
#define MENDIP_CERT_OSSL_H

#include "crypto/cert.h"

#include <openssl/x509.h>

/* Takes over x, also if it fails. NULL as in cert_from_der. */
struct cert *cert_adopt(X509 *x);
X509 *cert_x509(const struct cert *c);
/* The seconds since 1970; CERT_NO_TIME: NULL, or malformed. */
int64_t cert_time(const ASN1_TIME *t);

#endif
