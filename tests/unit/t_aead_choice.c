/*
 * t_aead_choice.c - the choice of the AEAD back end: one that this machine cannot run, or that
 * gives wrong results, is not used.
 * SPDX-License-Identifier: ISC
 *
 * The real library is used, and spoilt by wrapping two of its functions.
 */
#include "esp_fixture.h"

#include "crypto/aead.h"
#include "crypto/ipsec_mb.h"

static enum { SOUND, NARROW, NO_MEMORY, TOO_OLD, BAD_SEAL, BAD_OPEN, BAD_TAG } spoil;

IMB_MGR *__real_alloc_mb_mgr(uint64_t flags);
IMB_MGR *__wrap_alloc_mb_mgr(uint64_t flags);
void __real_init_mb_mgr_auto(IMB_MGR *mgr, IMB_ARCH *arch);
void __wrap_init_mb_mgr_auto(IMB_MGR *mgr, IMB_ARCH *arch);

IMB_MGR *__wrap_alloc_mb_mgr(uint64_t flags)
{
	return spoil == NO_MEMORY ? NULL : __real_alloc_mb_mgr(flags);
}

static aes_gcm_enc_dec_t sound_seal, sound_open;

/* Gives one wrong bit in the last byte, in long packets only. */
static void bad_seal(const struct gcm_key_data *k, struct gcm_context_data *c, uint8_t *out,
		     const uint8_t *in, uint64_t len, const uint8_t *iv, const uint8_t *aad,
		     uint64_t aad_len, uint8_t *tag, uint64_t tag_len)
{
	sound_seal(k, c, out, in, len, iv, aad, aad_len, tag, tag_len);
	if (len > 1000)
		out[len - 1] ^= 0x80;
}

static void bad_open(const struct gcm_key_data *k, struct gcm_context_data *c, uint8_t *out,
		     const uint8_t *in, uint64_t len, const uint8_t *iv, const uint8_t *aad,
		     uint64_t aad_len, uint8_t *tag, uint64_t tag_len)
{
	sound_open(k, c, out, in, len, iv, aad, aad_len, tag, tag_len);
	if (len > 1000)
		out[0] ^= 1;
}

static void bad_tag(const struct gcm_key_data *k, struct gcm_context_data *c, uint8_t *out,
		    const uint8_t *in, uint64_t len, const uint8_t *iv, const uint8_t *aad,
		    uint64_t aad_len, uint8_t *tag, uint64_t tag_len)
{
	sound_seal(k, c, out, in, len, iv, aad, aad_len, tag, tag_len);
	tag[tag_len - 1] ^= 1;
}

void __wrap_init_mb_mgr_auto(IMB_MGR *mgr, IMB_ARCH *arch)
{
	__real_init_mb_mgr_auto(mgr, arch);
	sound_seal = mgr->gcm256_enc;
	sound_open = mgr->gcm256_dec;
	switch (spoil) {
	case NARROW: *arch = IMB_ARCH_SSE; break;
	case TOO_OLD: *arch = (IMB_ARCH)(IMB_ARCH_SSE - 1); break;
	case BAD_SEAL: mgr->gcm256_enc = bad_seal; break;
	case BAD_OPEN: mgr->gcm256_dec = bad_open; break;
	case BAD_TAG: mgr->gcm256_enc = bad_tag; break;
	case SOUND:
	case NO_MEMORY: break;
	}
}

static const char *backend_now(uint16_t encr, uint16_t bits, uint16_t integ)
{
	static const uint8_t secret[2 * SUITE_MAX_KEY] = {1};
	struct aead_key *k = aead_key_new(suite_find(encr, bits, integ), secret, secret);
	const char *name;

	assert_non_null(k);
	name = aead_backend_name(k);
	aead_key_free(k);
	return name;
}

static void all_are(const char *name)
{
	assert_string_equal(backend_now(ENCR_AES_GCM_16, 128, INTEG_NONE), name);
	assert_string_equal(backend_now(ENCR_AES_GCM_16, 256, INTEG_NONE), name);
	assert_string_equal(backend_now(ENCR_CHACHA20_POLY1305, 0, INTEG_NONE), name);
	assert_string_equal(backend_now(ENCR_AES_CBC, 128, INTEG_HMAC_SHA2_256_128), name);
}

static int end(void **state)
{
	(void)state;
	aead_fini();
	return 0;
}

/* The library works: it is used for all suites, unless OpenSSL is chosen. */
static void test_sound(void **state)
{
	char err[256] = "?";

	(void)state;
	spoil = SOUND;
	assert_int_equal(aead_init(AEAD_AUTO, err, sizeof(err)), 0);
	assert_string_equal(err, "");
	all_are("ipsec-mb");
	assert_int_equal(aead_init(AEAD_OPENSSL, err, sizeof(err)), 0);
	all_are("openssl");
	assert_int_equal(aead_init(AEAD_IPSEC_MB, err, sizeof(err)), 0);
	all_are("ipsec-mb");
	aead_fini();
	assert_string_equal(aead_in_use(), "openssl");
	all_are("openssl");
}

/* Each suite uses the faster back end: without wide vectors, ChaCha20 is slower in the library. */
static void test_narrow(void **state)
{
	char err[256] = "?";

	(void)state;
	spoil = NARROW;
	assert_int_equal(aead_init(AEAD_AUTO, err, sizeof(err)), 0);
	assert_string_equal(err, "");
	assert_string_equal(aead_in_use(), "ipsec-mb");
	assert_string_equal(backend_now(ENCR_AES_GCM_16, 128, INTEG_NONE), "ipsec-mb");
	assert_string_equal(backend_now(ENCR_CHACHA20_POLY1305, 0, INTEG_NONE), "openssl");
	assert_string_equal(backend_now(ENCR_AES_CBC, 128, INTEG_HMAC_SHA2_256_128), "ipsec-mb");
}

/* A library that cannot be used causes a message only if it was asked for by name. */
static void check_unusable(void)
{
	char err[256] = "?";

	assert_int_equal(aead_init(AEAD_AUTO, err, sizeof(err)), 0);
	assert_string_equal(err, "");
	all_are("openssl");
	assert_int_equal(aead_init(AEAD_IPSEC_MB, err, sizeof(err)), -ENOTSUP);
	assert_non_null(strstr(err, "cannot be used"));
	all_are("openssl");
}

/* Without memory, or on an old processor, OpenSSL is used. */
static void test_unusable(void **state)
{
	(void)state;
	spoil = NO_MEMORY;
	check_unusable();
	spoil = TOO_OLD;
	check_unusable();
}

/* A library that gives wrong results is not used, and the error says for which suite. */
static void test_wrong(void **state)
{
	char err[256];

	(void)state;
	for (spoil = BAD_SEAL; spoil <= BAD_TAG; spoil++) {
		err[0] = '\0';
		assert_int_equal(aead_init(AEAD_AUTO, err, sizeof(err)), 0);
		assert_non_null(strstr(err, "aes256gcm16"));
		all_are("openssl");
		assert_int_equal(aead_init(AEAD_IPSEC_MB, err, sizeof(err)), -EIO);
		assert_non_null(strstr(err, "self-test"));
		all_are("openssl");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_sound, end),
		cmocka_unit_test_teardown(test_narrow, end),
		cmocka_unit_test_teardown(test_unusable, end),
		cmocka_unit_test_teardown(test_wrong, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
