/*
 * t_mschap.c - MS-CHAPv2 against the examples of RFC 2759 9.2 and RFC 3079 3.5.3, and passwords
 * beyond ASCII. SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/mschap.h"
#include "crypto/legacy.h"

static struct chunk text(const char *s)
{
	return (struct chunk){(const uint8_t *)s, strlen(s)};
}

/* RFC 2759 9.2 */
static struct mschap example(void)
{
	return (struct mschap){.auth_challenge = {0x5b, 0x5d, 0x7c, 0x7d, 0x7b, 0x3f, 0x2f, 0x3e,
						  0x3c, 0x2c, 0x60, 0x21, 0x32, 0x26, 0x26, 0x28},
			       .peer_challenge = {0x21, 0x40, 0x23, 0x24, 0x25, 0x5e, 0x26, 0x2a,
						  0x28, 0x29, 0x5f, 0x2b, 0x3a, 0x33, 0x7c, 0x7e},
			       .user = text("User"),
			       .password = text("clientPass")};
}

static const uint8_t want_response[] = {0x82, 0x30, 0x9e, 0xcd, 0x8d, 0x70, 0x8b, 0x5e,
					0xa0, 0x8f, 0xaa, 0x39, 0x81, 0xcd, 0x83, 0x54,
					0x42, 0x33, 0x11, 0x4a, 0x3d, 0x85, 0xd6, 0xdf};
static const uint8_t want_proof[] = {0x40, 0x7a, 0x55, 0x89, 0x11, 0x5f, 0xd0, 0xd6, 0x20, 0x9f,
				     0x51, 0x0f, 0xe9, 0xc0, 0x45, 0x66, 0x93, 0x2c, 0xda, 0x56};

static void rfc_2759(void **state)
{
	uint8_t response[MSCHAP_RESPONSE], proof[MSCHAP_PROOF], msk[MSCHAP_MSK];
	struct mschap m = example();

	(void)state;
	assert_int_equal(mschap_compute(&m, response, proof, msk), 0);
	assert_memory_equal(response, want_response, sizeof(response));
	assert_memory_equal(proof, want_proof, sizeof(proof));
	/* A domain is not part of the name. */
	m.user = text("SOME\\Domain\\User");
	assert_int_equal(mschap_compute(&m, response, proof, msk), 0);
	assert_memory_equal(response, want_response, sizeof(response));
	m.user = text("user");
	assert_int_equal(mschap_compute(&m, response, proof, msk), 0);
	assert_memory_not_equal(response, want_response, sizeof(response));
}

/*
 * RFC 3079 3.5.3 has the SendStartKey128 of a server: its MasterSendKey. The receive key has no
 * example there.
 */
static void rfc_3079(void **state)
{
	static const uint8_t send_key[] = {0x8b, 0x7c, 0xdc, 0x14, 0x9b, 0x99, 0x3a, 0x1b,
					   0xa1, 0x18, 0xcb, 0x15, 0x3f, 0x56, 0xdc, 0xcb};
	static const uint8_t zeros[32];
	uint8_t response[MSCHAP_RESPONSE], proof[MSCHAP_PROOF], msk[MSCHAP_MSK];
	struct mschap m = example();

	(void)state;
	assert_int_equal(mschap_compute(&m, response, proof, msk), 0);
	assert_memory_equal(msk + 16, send_key, sizeof(send_key));
	assert_memory_not_equal(msk, send_key, sizeof(send_key));
	assert_memory_equal(msk + 32, zeros, sizeof(zeros));
}

/* The provider that is installed while mendipd runs is found at the next look. */
static void provider_that_comes_later(void **state)
{
	bool there;

	(void)state;
	assert_int_equal(setenv("OPENSSL_MODULES", "/nowhere", 1), 0);
	there = legacy_is_available();
	assert_int_equal(unsetenv("OPENSSL_MODULES"), 0);
	if (there)
		skip(); /* libcrypto has it built in */
	assert_true(legacy_is_available());
}

/* MD4 by the examples of RFC 1320 A.5, DES by one that any bit of key and block changes. */
static void md4_and_des(void **state)
{
	static const uint8_t abc[] = {0xa4, 0x48, 0x01, 0x7a, 0xaf, 0x21, 0xd8, 0x52,
				      0x5f, 0xc1, 0x0a, 0xe8, 0x7a, 0xa6, 0x72, 0x9d};
	uint8_t d[MD4_LEN], key[DES_KEY_LEN] = {0}, block[DES_BLOCK] = {0}, one[DES_BLOCK],
			    other[DES_BLOCK];

	(void)state;
	assert_true(legacy_is_available());
	assert_int_equal(legacy_md4(text("abc"), d), 0);
	assert_memory_equal(d, abc, sizeof(abc));
	assert_int_equal(legacy_des(key, block, one), 0);
	for (unsigned bit = 0; bit < 8 * DES_KEY_LEN; bit++) {
		key[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(legacy_des(key, block, other), 0);
		assert_memory_not_equal(one, other, sizeof(one));
		key[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void passwords(void **state)
{
	/* "Schlüssel" in UTF-8, and as its NtPasswordHash sees it: the same in UTF-16. */
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{"", false},
		{"a", true},
		{"Schl\xc3\xbcssel", true},
		{"\xf0\x9f\x94\x91", true},  /* beyond the first 65,536 characters */
		{"Schl\xfcssel", false},     /* ISO 8859-1 */
		{"\xc3", false},	     /* cut */
		{"\xc0\xaf", false},	     /* longer than it need be */
		{"\xed\xa0\x80", false},     /* a surrogate */
		{"\xf4\x90\x80\x80", false}, /* beyond Unicode */
		{"\xff\xff", false},
		{"\x80", false},
	};
	char longest[MSCHAP_PASSWORD_MAX + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (mschap_is_password(text(rows[i].text)) != rows[i].good)
			fail_msg("row %zu", i);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_false(mschap_is_password(text(longest)));
	longest[MSCHAP_PASSWORD_MAX] = '\0';
	assert_true(mschap_is_password(text(longest)));
}

/* A character beyond ASCII is one unit: U+00FC is fc 00. */
static void password_in_utf16(void **state)
{
	static const uint8_t utf16[] = {0xfc, 0, 0x3d, 0xd8, 0x11, 0xdd};
	uint8_t hash[MD4_LEN], key[DES_KEY_LEN], block[DES_BLOCK], want[DES_BLOCK];
	uint8_t response[MSCHAP_RESPONSE], proof[MSCHAP_PROOF], msk[MSCHAP_MSK];
	/* ChallengeHash of the example (RFC 2759 9.2) */
	static const uint8_t challenge[] = {0xd0, 0x2e, 0x43, 0x86, 0xbc, 0xe9, 0x12, 0x26};
	struct mschap m = example();

	(void)state;
	m.password = text("\xc3\xbc\xf0\x9f\x94\x91");
	assert_int_equal(mschap_compute(&m, response, proof, msk), 0);
	assert_int_equal(legacy_md4((struct chunk){utf16, sizeof(utf16)}, hash), 0);
	memcpy(key, hash, sizeof(key));
	memcpy(block, challenge, sizeof(block));
	assert_int_equal(legacy_des(key, block, want), 0);
	assert_memory_equal(response, want, sizeof(want));
	m.password = text("\xfc");
	assert_int_equal(mschap_compute(&m, response, proof, msk), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(provider_that_comes_later),
		cmocka_unit_test(md4_and_des),
		cmocka_unit_test(rfc_2759),
		cmocka_unit_test(rfc_3079),
		cmocka_unit_test(passwords),
		cmocka_unit_test(password_in_utf16),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
