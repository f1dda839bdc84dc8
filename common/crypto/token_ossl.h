/* token_ossl.h - the provider for tokens; private to common/crypto and its tests.
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_TOKEN_OSSL_H
#define MENDIP_TOKEN_OSSL_H

#include <openssl/types.h>

#define TOKEN_PROVIDER "pkcs11"

/* The library context of keys on tokens, which is made at the first call and stays. */
OSSL_LIB_CTX *token_lib(void);

#endif
