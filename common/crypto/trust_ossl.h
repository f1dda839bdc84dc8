/* trust_ossl.h - CRLs as libcrypto has them; private to common/crypto. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_TRUST_OSSL_H
#define MENDIP_TRUST_OSSL_H

#include "crypto/trust.h"

#include <openssl/x509.h>

/* Takes over x, also if it fails. NULL: malformed. */
struct crl *crl_adopt(X509_CRL *x);

#endif
