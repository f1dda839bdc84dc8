/* legacy.c - see legacy.h. SPDX-License-Identifier: ISC */
#include "crypto/legacy.h"
#include "xalloc.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

/* The algorithms, once they are loaded; they last until the process ends. */
static struct {
	OSSL_LIB_CTX *lib;
	EVP_MD *md4;
	EVP_CIPHER *des;
} legacy;

/* A failure leaves nothing: the provider may be there at the next call. */
static bool load(void)
{
	legacy.lib = OSSL_LIB_CTX_new();
	if (legacy.lib && OSSL_PROVIDER_load(legacy.lib, "legacy")) {
		legacy.md4 = EVP_MD_fetch(legacy.lib, "MD4", NULL);
		legacy.des = EVP_CIPHER_fetch(legacy.lib, "DES-ECB", NULL);
	}
	ERR_clear_error();
	if (legacy.md4 && legacy.des)
		return true;
	EVP_MD_free(legacy.md4);
	EVP_CIPHER_free(legacy.des);
	OSSL_LIB_CTX_free(legacy.lib);
	memset(&legacy, 0, sizeof(legacy));
	return false;
}

bool legacy_is_available(void)
{
	return legacy.lib || load();
}

int legacy_md4(struct chunk data, uint8_t out[MD4_LEN])
{
	bool good = legacy_is_available() &&
		    EVP_Digest(data.p, data.len, out, NULL, legacy.md4, NULL) == 1;

	ERR_clear_error();
	return good ? 0 : -ENOTSUP;
}

/* Spreads 56 bits over 8 octets, whose lowest bits are for parity, which DES does not look at. */
static void spread(const uint8_t key[DES_KEY_LEN], uint8_t out[DES_BLOCK])
{
	uint64_t bits = 0;

	for (unsigned i = 0; i < DES_KEY_LEN; i++)
		bits = bits << 8 | key[i];
	for (unsigned i = 0; i < DES_BLOCK; i++)
		out[i] = (uint8_t)(bits >> (49 - 7 * i) << 1);
}

int legacy_des(const uint8_t key[DES_KEY_LEN], const uint8_t in[DES_BLOCK], uint8_t out[DES_BLOCK])
{
	uint8_t with_parity[DES_BLOCK];
	EVP_CIPHER_CTX *c;
	bool good;
	int len;

	if (!legacy_is_available())
		return -ENOTSUP;
	spread(key, with_parity);
	c = EVP_CIPHER_CTX_new();
	good = c && EVP_EncryptInit_ex2(c, legacy.des, with_parity, NULL, NULL) == 1 &&
	       EVP_CIPHER_CTX_set_padding(c, 0) == 1 &&
	       EVP_EncryptUpdate(c, out, &len, in, DES_BLOCK) == 1 && len == DES_BLOCK;
	EVP_CIPHER_CTX_free(c);
	secret_wipe(with_parity, sizeof(with_parity));
	ERR_clear_error();
	return good ? 0 : -ENOTSUP;
}
