/* pkey_ossl.h - keys as libcrypto has them; private to common/crypto. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_PKEY_OSSL_H
#define MENDIP_PKEY_OSSL_H

#include "crypto/pkey.h"

#include <openssl/evp.h>

/* Takes a reference of its own to p. NULL as in pkey_from_spki. */
struct pkey *pkey_adopt(EVP_PKEY *p, bool is_private);
/* It belongs to k. */
EVP_PKEY *pkey_evp(const struct pkey *k);
/* The same for a private key on a token; lib is its library context, and stays. */
struct pkey *pkey_adopt_token(EVP_PKEY *p, OSSL_LIB_CTX *lib);

#endif
