/*
 * token_provider.h - a provider of OpenSSL that stands in for pkcs11-provider and a token: its keys
 * sign, and nobody gets their private numbers. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_TESTS_TOKEN_PROVIDER_H
#define MENDIP_TESTS_TOKEN_PROVIDER_H

#include <openssl/core.h>

#define TOKEN_PIN "a pin of tests"

/* Of a library that is loaded as a module, its OSSL_provider_init. */
OSSL_provider_init_fn token_provider_init;
/* Makes it known as TOKEN_PROVIDER; it is loaded when a key is asked for. */
void token_provider_add(OSSL_LIB_CTX *lib);
/*
 * From now on "pkcs11:token=t;object=NAME" leads to this key, which lasts as long as the process;
 * one that is added twice is there twice.
 */
void token_provider_key(const char *name, EVP_PKEY *key);
/* How often the token was given a PIN, and how often it has signed. */
extern unsigned token_provider_pins, token_provider_signatures;
/* A key that is there, but does not sign, as one that wants its PIN each time. */
extern const EVP_PKEY *token_provider_refuses;

#endif
