/* suite.c - see suite.h. SPDX-License-Identifier: ISC */
#include "crypto/suite.h"

#define GCM(bits)                                                                                  \
	{                                                                                          \
		.encr = ENCR_AES_GCM_16, .key_bits = bits, .combined = true,                       \
		.enc_keylen = bits / 8 + 4, .salt_len = 4, .iv_len = 8, .icv_len = 16, .block = 4, \
		.name = "aes" #bits "gcm16"                                                        \
	}

#define CBC_WITH(bits, integ_id, hash, keylen, icv)                                                \
	{                                                                                          \
		.encr = ENCR_AES_CBC, .key_bits = bits, .integ = integ_id, .enc_keylen = bits / 8, \
		.integ_keylen = keylen, .iv_len = 16, .icv_len = icv / 8, .block = 16,             \
		.name = "aes" #bits "-sha" #hash                                                   \
	}
#define CBC(bits, hash, keylen, icv) \
	CBC_WITH(bits, INTEG_HMAC_SHA2_##hash##_##icv, hash, keylen, icv)
#define CBC_SHA1(bits) CBC_WITH(bits, INTEG_HMAC_SHA1_96, 1, 20, 96)

static const struct suite table[] = {
	GCM(128),
	GCM(192),
	GCM(256),
	{.encr = ENCR_CHACHA20_POLY1305,
	 .combined = true,
	 .enc_keylen = 36,
	 .salt_len = 4,
	 .iv_len = 8,
	 .icv_len = 16,
	 .block = 4,
	 .name = "chacha20poly1305"},
	CBC(128, 256, 32, 128),
	CBC(128, 384, 48, 192),
	CBC(128, 512, 64, 256),
	CBC(192, 256, 32, 128),
	CBC(192, 384, 48, 192),
	CBC(192, 512, 64, 256),
	CBC(256, 256, 32, 128),
	CBC(256, 384, 48, 192),
	CBC(256, 512, 64, 256),
	CBC_SHA1(128),
	CBC_SHA1(192),
	CBC_SHA1(256),
};

const struct suite *suite_find(uint16_t encr, uint16_t key_bits, uint16_t integ)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (table[i].encr == encr && table[i].key_bits == key_bits &&
		    table[i].integ == integ)
			return &table[i];
	}
	return NULL;
}

const struct suite *suite_table(size_t *ret_count)
{
	*ret_count = ARRAY_SIZE(table);
	return table;
}
