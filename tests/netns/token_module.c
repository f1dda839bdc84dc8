/*
 * token_module.c - token_provider.h as a module that mendipd loads in place of pkcs11-provider: its
 * one key, "pkcs11:token=t;object=key", is in the PEM file that TOKEN_KEY names.
 * SPDX-License-Identifier: ISC
 */
#include "token_provider.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

OSSL_provider_init_fn OSSL_provider_init;

int OSSL_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
		       const OSSL_DISPATCH **out, void **ret_ctx)
{
	const char *path = getenv("TOKEN_KEY");
	FILE *f = path ? fopen(path, "r") : NULL;
	EVP_PKEY *key = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;

	if (f)
		fclose(f);
	if (key)
		token_provider_key("key", key);
	return token_provider_init(handle, in, out, ret_ctx);
}
