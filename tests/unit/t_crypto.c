/* t_crypto.c - test vectors of RFCs that are included here, and properties of the wrappers.
 * SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "crypto/aead.h"
#include "crypto/base64.h"
#include "crypto/hash.h"
#include "crypto/kex.h"
#include "crypto/random.h"

static size_t unhex(const char *s, uint8_t *out)
{
	size_t n = strlen(s) / 2;

	for (size_t i = 0; i < n; i++) {
		unsigned v;

		assert_int_equal(sscanf(s + 2 * i, "%2x", &v), 1);
		out[i] = (uint8_t)v;
	}
	return n;
}

static void assert_hex(const uint8_t *p, const char *want)
{
	uint8_t b[1024];

	assert_memory_equal(p, b, unhex(want, b));
}

/* RFC 4231 test case 2: a key shorter than the digest. */
static void hmac_rfc4231(void **state)
{
	static const struct {
		enum hash_alg alg;
		const char *mac;
	} v[] = {
		{HASH_SHA256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		{HASH_SHA384,
		 "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c7"
		 "8b3239ecfab21649"},
		{HASH_SHA512,
		 "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a"
		 "6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
	};
	const struct chunk key = {(const uint8_t *)"Jefe", 4};
	const struct chunk msg[2] = {{(const uint8_t *)"what do ya want ", 16},
				     {(const uint8_t *)"for nothing?", 12}};
	uint8_t out[HASH_MAX_LEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		prf_compute(v[i].alg, key, msg, 2, out);
		assert_hex(out, v[i].mac);
	}
}

/* RFC 5869 A.1: HKDF-Expand is prf+; at most 255 blocks. */
static void prf_plus_rfc5869(void **state)
{
	uint8_t prk[32], info[10], out[42];
	static uint8_t large[255 * 32 + 1];

	(void)state;
	unhex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5", prk);
	unhex("f0f1f2f3f4f5f6f7f8f9", info);
	assert_int_equal(
		prf_plus(HASH_SHA256, (struct chunk){prk, 32}, (struct chunk){info, 10}, out, 42),
		0);
	assert_hex(out, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5"
			"b887185865");
	assert_int_equal(prf_plus(HASH_SHA256, (struct chunk){prk, 32}, (struct chunk){info, 10},
				  large, 255 * 32),
			 0);
	assert_int_not_equal(prf_plus(HASH_SHA256, (struct chunk){prk, 32},
				      (struct chunk){info, 10}, large, 255 * 32 + 1),
			     0);
}

/* RFC 7634 A: the ESP packet of ChaCha20-Poly1305. */
static void chacha_rfc7634(void **state)
{
	uint8_t key[36], aad[8], iv[8], text[96], out[96], icv[16];
	size_t len = unhex("45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec100007362"
			   "708090a0b0c0d0e0f"
			   "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323"
			   "3343536370102"
			   "0204",
			   text);
	struct aead_op op = {.aad = aad,
			     .aad_len = 8,
			     .iv = iv,
			     .src = text,
			     .dst = out,
			     .icv = icv,
			     .len = (uint32_t)len};

	(void)state;
	unhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3", key);
	unhex("0102030400000005", aad);
	unhex("1011121314151617", iv);
	op.key = aead_key_new(suite_find(ENCR_CHACHA20_POLY1305, 0, 0), key, NULL);
	aead_seal_many(&op, 1);
	assert_true(op.ok);
	assert_hex(out, "24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c614ee8099d5"
			"2844eb61aa95dfab4c02"
			"f72aa71e7c4c4f64c9befe2facc638e8f3cbec163fac469b502773f6fb94e664da9165b828"
			"29f641e0");
	assert_hex(icv, "76aaa8266b7fb0f7b11b369907e1ad43");
	aead_key_free(op.key);
}

/* RFC 7748 6.1: Bob's key, Alice's public value. */
static void x25519_rfc7748(void **state)
{
	uint8_t b[32], alice[32], secret[KEX_MAX_SECRET];
	size_t len;
	struct kex *kb;

	(void)state;
	unhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb", b);
	unhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a", alice);
	kb = kex_from_private(GROUP_X25519, b, 32);
	assert_hex(kex_public(kb).p,
		   "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
	assert_int_equal(kex_derive(kb, (struct chunk){alice, 32}, secret, &len), 0);
	assert_hex(secret, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
	kex_free(kb);
}

/* RFC 5903 8.1. */
static void ecp256_rfc5903(void **state)
{
	uint8_t i[32], r[32], secret[KEX_MAX_SECRET];
	size_t len;
	struct kex *ki, *kr;

	(void)state;
	unhex("c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433", i);
	unhex("c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53", r);
	ki = kex_from_private(GROUP_ECP_256, i, 32);
	kr = kex_from_private(GROUP_ECP_256, r, 32);
	assert_hex(kex_public(ki).p,
		   "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180"
		   "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3");
	assert_int_equal(kex_derive(ki, kex_public(kr), secret, &len), 0);
	assert_int_equal(len, 32);
	assert_hex(secret, "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de");
	kex_free(ki);
	kex_free(kr);
}

/* RFC 7027 A.1, with the curve of RFC 6954. */
static void ecp256bp_rfc7027(void **state)
{
	uint8_t a[32], b[32], secret[KEX_MAX_SECRET];
	size_t len;
	struct kex *ka, *kb;

	(void)state;
	unhex("81db1ee100150ff2ea338d708271be38300cb54241d79950f77b063039804f1d", a);
	unhex("55e40bc41e37e3e2ad25c3c6654511ffa8474a91a0032087593852d3e7d76bd3", b);
	ka = kex_from_private(GROUP_ECP_256_BP, a, 32);
	kb = kex_from_private(GROUP_ECP_256_BP, b, 32);
	assert_hex(kex_public(ka).p,
		   "44106e913f92bc02a1705d9953a8414db95e1aaa49e81d9e85f929a8e3100be5"
		   "8ab4846f11caccb73ce49cbdd120f5a900a69fd32c272223f789ef10eb089bdc");
	assert_int_equal(kex_derive(ka, kex_public(kb), secret, &len), 0);
	assert_int_equal(len, 32);
	assert_hex(secret, "89afc39d41d3b327814b80940b042590f96556ec91e6ae7939bce31f3a18bf2b");
	kex_free(ka);
	kex_free(kb);
}

static const uint16_t all_groups[] = {
	GROUP_MODP_2048,  GROUP_MODP_3072, GROUP_MODP_4096, GROUP_MODP_6144,  GROUP_MODP_8192,
	GROUP_ECP_256,	  GROUP_ECP_384,   GROUP_ECP_521,   GROUP_ECP_256_BP, GROUP_ECP_384_BP,
	GROUP_ECP_512_BP, GROUP_X25519,	   GROUP_X448};

/* Both sides of every group derive the same secret. */
static void groups_agree(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all_groups); i++) {
		struct kex *a = kex_new(all_groups[i]), *b = kex_new(all_groups[i]);
		uint8_t sa[KEX_MAX_SECRET], sb[KEX_MAX_SECRET];
		size_t la, lb;

		assert_true(kex_available(all_groups[i]));
		assert_int_equal(kex_public(a).len, kex_public_len(all_groups[i]));
		assert_int_equal(kex_derive(a, kex_public(b), sa, &la), 0);
		assert_int_equal(kex_derive(b, kex_public(a), sb, &lb), 0);
		assert_int_equal(la, lb);
		assert_memory_equal(sa, sb, la);
		kex_free(a);
		kex_free(b);
	}
	assert_null(kex_new(2));
	assert_false(kex_available(2));
}

static const uint16_t kems[] = {GROUP_ML_KEM_512, GROUP_ML_KEM_768, GROUP_ML_KEM_1024};

/*
 * ML-KEM: the responder's ciphertext tells the initiator the secret; one that is for another key,
 * or was changed, tells another one (implicit rejection, FIPS 203 6.3); wrong lengths are refused.
 */
static void kems_agree(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kems); i++) {
		uint8_t sa[KEX_MAX_SECRET], sb[KEX_MAX_SECRET], bad[KEX_MAX_PUBLIC + 1];
		struct kex *a, *b, *other;
		size_t la, lb;

		assert_true(kex_is_kem(kems[i]));
		if (!kex_available(kems[i])) {
			assert_null(kex_new(kems[i]));
			assert_null(kex_respond(
				kems[i], (struct chunk){bad, kex_public_len(kems[i])}, sb, &lb));
			print_message("# SKIP %s: this is OpenSSL %s\n", kex_name(kems[i]),
				      kex_library());
			continue;
		}
		a = kex_new(kems[i]);
		other = kex_new(kems[i]);
		assert_int_equal(kex_public(a).len, kex_public_len(kems[i]));
		b = kex_respond(kems[i], kex_public(a), sb, &lb);
		assert_non_null(b);
		assert_int_equal(kex_derive(a, kex_public(b), sa, &la), 0);
		assert_int_equal(la, 32);
		assert_int_equal(lb, 32);
		assert_memory_equal(sa, sb, 32);
		assert_int_equal(kex_derive(other, kex_public(b), sa, &la), 0);
		assert_memory_not_equal(sa, sb, 32);
		memcpy(bad, kex_public(b).p, kex_public(b).len);
		bad[7] ^= 1;
		assert_int_equal(kex_derive(a, (struct chunk){bad, kex_public(b).len}, sa, &la), 0);
		assert_memory_not_equal(sa, sb, 32);
		for (int d = -1; d <= 1; d += 2) {
			assert_int_not_equal(
				kex_derive(
					a,
					(struct chunk){bad, (size_t)((int)kex_public(b).len + d)},
					sa, &la),
				0);
			assert_null(kex_respond(
				kems[i], (struct chunk){bad, (size_t)((int)kex_public(a).len + d)},
				sb, &lb));
		}
		memset(bad, 0xff, sizeof(bad)); /* coefficients beyond the modulus, FIPS 203 7.2 */
		assert_null(kex_respond(kems[i], (struct chunk){bad, kex_public(a).len}, sb, &lb));
		/* a responder's half has no key */
		assert_int_not_equal(kex_derive(b, kex_public(b), sa, &la), 0);
		kex_free(a);
		kex_free(b);
		kex_free(other);
	}
}

/* The responder's half of every group. */
static void responders_agree(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all_groups); i++) {
		uint8_t sa[KEX_MAX_SECRET], sb[KEX_MAX_SECRET], bad[KEX_MAX_PUBLIC] = {0};
		struct kex *a = kex_new(all_groups[i]), *b;
		size_t la, lb;

		assert_false(kex_is_kem(all_groups[i]));
		assert_true(kex_available(all_groups[i]));
		b = kex_respond(all_groups[i], kex_public(a), sb, &lb);
		assert_non_null(b);
		assert_int_equal(kex_derive(a, kex_public(b), sa, &la), 0);
		assert_int_equal(la, lb);
		assert_memory_equal(sa, sb, la);
		assert_null(kex_respond(all_groups[i], (struct chunk){bad, kex_public(a).len}, sb,
					&lb));
		assert_null(kex_respond(all_groups[i], (struct chunk){bad, kex_public(a).len - 1},
					sb, &lb));
		kex_free(a);
		kex_free(b);
	}
}

/* Invalid public values are refused (RFC 6989). */
static void bad_public_values(void **state)
{
	uint8_t bad[KEX_MAX_PUBLIC + 1], secret[KEX_MAX_SECRET];
	size_t len;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all_groups); i++) {
		struct kex *k = kex_new(all_groups[i]);
		size_t n = kex_public_len(all_groups[i]);

		memset(bad, 0, sizeof(bad));
		assert_int_not_equal(kex_derive(k, (struct chunk){bad, n}, secret, &len), 0);
		assert_int_not_equal(kex_derive(k, (struct chunk){bad, n - 1}, secret, &len), 0);
		assert_int_not_equal(kex_derive(k, (struct chunk){bad, n + 1}, secret, &len), 0);
		assert_int_not_equal(kex_derive(k, (struct chunk){bad, 0}, secret, &len), 0);
		bad[n - 1] = 1; /* 1 for MODP; not on the curve for ECP */
		if (all_groups[i] != GROUP_X25519 && all_groups[i] != GROUP_X448)
			assert_int_not_equal(kex_derive(k, (struct chunk){bad, n}, secret, &len),
					     0);
		memset(bad, 0xff, sizeof(bad)); /* larger than every prime */
		if (all_groups[i] != GROUP_X25519 && all_groups[i] != GROUP_X448)
			assert_int_not_equal(kex_derive(k, (struct chunk){bad, n}, secret, &len),
					     0);
		kex_free(k);
	}
}

struct sealed {
	uint8_t enc[SUITE_MAX_KEY], integ[SUITE_MAX_KEY], aad[12], iv[16], text[256], cipher[256],
		icv[32];
	struct aead_key *key;
};

static struct aead_op sealed_op(struct sealed *s)
{
	return (struct aead_op){.key = s->key,
				.aad = s->aad,
				.aad_len = 12,
				.iv = s->iv,
				.src = s->text,
				.dst = s->cipher,
				.icv = s->icv,
				.len = 256,
				.tail_len = aead_key_suite(s->key)->combined ? 0 : 4,
				.tail = {1, 2, 3, 4}};
}

static bool opens(struct sealed *s, struct aead_op op)
{
	uint8_t out[256];

	op.src = s->cipher;
	op.dst = out;
	aead_open_many(&op, 1);
	if (op.ok)
		assert_memory_equal(out, s->text, 256);
	return op.ok;
}

/* Under every suite, a change of ICV, AAD, IV, ciphertext or ESN high half is detected. */
static void every_suite_refuses(void **state)
{
	size_t count;
	const struct suite *t = suite_table(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		struct sealed s;
		struct aead_op op;

		rng_fill(&rng_system, &s, sizeof(s));
		s.key = aead_key_new(&t[i], s.enc, s.integ);
		assert_non_null(s.key);
		op = sealed_op(&s);
		aead_seal_many(&op, 1);
		assert_true(op.ok && opens(&s, op));
		s.icv[t[i].icv_len - 1] ^= 1;
		assert_false(opens(&s, op));
		s.icv[t[i].icv_len - 1] ^= 1;
		s.aad[11] ^= 1;
		assert_false(opens(&s, op));
		s.aad[11] ^= 1;
		s.iv[t[i].iv_len - 1] ^= 1;
		assert_false(opens(&s, op));
		s.iv[t[i].iv_len - 1] ^= 1;
		s.cipher[255] ^= 1;
		assert_false(opens(&s, op));
		s.cipher[255] ^= 1;
		if (op.tail_len) {
			op.tail[3] ^= 1;
			assert_false(opens(&s, op));
			op.tail[3] ^= 1;
		}
		assert_true(opens(&s, op));
		aead_key_free(s.key);
	}
}

/* A batch with different keys and suites gives the same results as single operations, also in
 * place. */
static void batches(void **state)
{
	enum { N = 64 };
	static struct sealed s[N];
	struct aead_op op[N];
	size_t count;
	const struct suite *t = suite_table(&count);

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		rng_fill(&rng_system, &s[i], sizeof(s[i]));
		s[i].key = aead_key_new(&t[i % count], s[i].enc, s[i].integ);
		op[i] = sealed_op(&s[i]);
		if (i % 2) {
			memcpy(s[i].cipher, s[i].text, 256);
			op[i].src = s[i].cipher;
		}
	}
	aead_seal_many(op, N);
	s[13].icv[0] ^= 1;
	for (unsigned i = 0; i < N; i++)
		op[i].src = op[i].dst = s[i].cipher;
	aead_open_many(op, N);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(op[i].ok, i != 13);
		if (op[i].ok)
			assert_memory_equal(s[i].cipher, s[i].text, 256);
		aead_key_free(s[i].key);
	}
}

/* suite_find returns only valid combinations of transforms. */
static void suites_are_found(void **state)
{
	(void)state;
	assert_string_equal(suite_find(ENCR_AES_GCM_16, 256, 0)->name, "aes256gcm16");
	assert_null(suite_find(ENCR_AES_GCM_16, 0, 0));
	assert_null(suite_find(ENCR_AES_GCM_16, 128, INTEG_HMAC_SHA2_256_128));
	assert_null(suite_find(ENCR_AES_CBC, 128, INTEG_NONE));
	assert_null(suite_find(3, 0, 0));
}

/* The vectors of RFC 4648 10, and invalid texts. */
static void base64_rfc4648(void **state)
{
	static const struct {
		const char *text, *bytes; /* NULL: refused */
	} cases[] = {
		{"Zg==", "f"},	      {"Zm8=", "fo"},	     {"Zm9v", "foo"},
		{"Zm9vYg==", "foob"}, {"Zm9vYmE=", "fooba"}, {"Zm9vYmFy", "foobar"},
		{"", NULL},	      {"Zg", NULL},	     {"Zm9vY", NULL},
		{"Zm9*", NULL},
	};
	uint8_t out[BASE64_ROOM(8)];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *want = cases[i].bytes;
		int n = base64_decode(out, cases[i].text, strlen(cases[i].text));

		assert_int_equal(n, want ? (int)strlen(want) : -EINVAL);
		if (want)
			assert_memory_equal(out, want, strlen(want));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hmac_rfc4231),	       cmocka_unit_test(prf_plus_rfc5869),
		cmocka_unit_test(chacha_rfc7634),      cmocka_unit_test(x25519_rfc7748),
		cmocka_unit_test(ecp256_rfc5903),      cmocka_unit_test(ecp256bp_rfc7027),
		cmocka_unit_test(groups_agree),	       cmocka_unit_test(kems_agree),
		cmocka_unit_test(responders_agree),    cmocka_unit_test(bad_public_values),
		cmocka_unit_test(every_suite_refuses), cmocka_unit_test(batches),
		cmocka_unit_test(suites_are_found),    cmocka_unit_test(base64_rfc4648),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
