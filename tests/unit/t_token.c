/* t_token.c - private keys on a token (RFC 7512), with a provider that stands in for one.
 * SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "crypto/token.h"
#include "crypto/token_ossl.h"
#include "pki.h"
#include "token_provider.h"
#include <stdio.h>
#include <unistd.h>

#define URI "pkcs11:token=t;object="

static void expect_refusal(const char *uri, const char *pin, const char *want)
{
	char why[CRED_WHY_MAX] = "";
	bool absent;
	const struct pkey *k = token_key(uri, pin, why, &absent);

	if (absent != (strcmp(want, "no token has such a private key") == 0 &&
		       !strstr(why, "the PIN is wrong")))
		fail_msg("%s: it %s there later: %s", uri, absent ? "may be" : "is not", why);
	if (k || !strstr(why, want) || (pin && *pin && strstr(why, pin)))
		fail_msg("%s: %s", uri, k ? "it is taken" : why);
}

static struct pkey *load(const char *uri)
{
	char why[CRED_WHY_MAX] = "";
	bool absent;
	struct pkey *k = token_key(uri, TOKEN_PIN, why, &absent);

	if (!k)
		fail_msg("%s: %s", uri, why);
	return k;
}

static const struct {
	const char *name;
	enum pki_kind kind;
	enum pkey_type type;
} known[] = {{"rsa", PKI_RSA, PKEY_RSA},    {"rsa3", PKI_RSA_3072, PKEY_RSA},
	     {"p256", PKI_P256, PKEY_P256}, {"p384", PKI_P384, PKEY_P384},
	     {"p521", PKI_P521, PKEY_P521}, {"ed25519", PKI_ED25519, PKEY_ED25519}};
static struct pki *made[ARRAY_SIZE(known)];

/* What was said before there was a provider. */
static char without[CRED_WHY_MAX];

/* No module is found at first, whatever this system has installed. */
static int make_token(void **state)
{
	static const struct {
		const char *name;
		enum pki_kind kind;
	} bad[] = {{"weak", PKI_RSA_1024}, {"odd", PKI_SECP256K1}};

	bool absent;

	(void)state;
	setenv("OPENSSL_MODULES", "/nonexistent", 1);
	setenv("OPENSSL_CONF", "/dev/null", 1);
	assert_null(token_key(URI "p256", TOKEN_PIN, without, &absent));
	assert_false(absent);
	token_provider_add(token_lib());
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		made[i] = pki_make(&(struct pki_spec){.kind = known[i].kind,
						      .subject = "O=Example,CN=gw",
						      .san = "DNS:a.example"});
		token_provider_key(known[i].name, made[i]->key);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		token_provider_key(bad[i].name, pki_make(&(struct pki_spec){.kind = bad[i].kind,
									    .subject = "CN=bad"})
							->key);
	token_provider_key("two", made[2]->key);
	token_provider_key("two", made[3]->key);
	return 0;
}

/* The other cases show that nothing has to be started anew once there is one. */
static void nothing_is_installed(void **state)
{
	(void)state;
	assert_non_null(strstr(without, "install the package pkcs11-provider"));
}

static void which_are_uris(void **state)
{
	(void)state;
	assert_true(token_is_uri("pkcs11:token=gw"));
	assert_true(token_is_uri("PKCS11:"));
	assert_false(token_is_uri("pkcs11.pem"));
	assert_false(token_is_uri("/etc/pkcs11:gw"));
}

static void signs(const struct pkey *k, const struct pkey *public, struct sig_scheme s)
{
	const struct chunk parts[] = {{(const uint8_t *)"what is", 7},
				      {(const uint8_t *)"signed", 6}};
	unsigned before = token_provider_signatures;
	uint8_t out[SIGNATURE_MAX];
	int len = pkey_sign(k, s, parts, 2, out);

	if (!pkey_fits(k, s.form)) {
		assert_int_equal(len, -EINVAL);
		return;
	}
	assert_true(len > 0);
	assert_int_equal(token_provider_signatures, before + 1);
	assert_true(pkey_verify(public, s, parts, 2, (struct chunk){out, (size_t)len}));
	out[len / 2] ^= 1;
	assert_false(pkey_verify(public, s, parts, 2, (struct chunk){out, (size_t)len}));
}

/* Each kind of key signs in each form that fits it, with each hash. */
static void each_key_signs(void **state)
{
	static const enum hash_alg hashes[] = {HASH_SHA256, HASH_SHA384, HASH_SHA512};
	char uri[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		struct pkey *k, *public, *other = pki_private(made[i]);

		snprintf(uri, sizeof(uri), URI "%s", known[i].name);
		k = load(uri);
		public = pkey_from_spki(pkey_spki(k));
		assert_true(pkey_is_private(k));
		assert_int_equal(pkey_type(k), known[i].type);
		assert_true(pkey_same(k, other));
		assert_non_null(public);
		for (enum sig_form form = SIG_RSA_PKCS1; form <= SIG_ED25519; form++) {
			for (size_t h = 0; h < ARRAY_SIZE(hashes); h++)
				signs(k, public, (struct sig_scheme){form, hashes[h]});
		}
		pkey_unref(k);
		pkey_unref(public);
		pkey_unref(other);
	}
}

static void the_pin_is_given_once(void **state)
{
	unsigned before = token_provider_pins;

	(void)state;
	pkey_unref(load(URI "p256"));
	assert_int_equal(token_provider_pins, before + 1);
	expect_refusal(URI "p256", "a wrong one", "the PIN is wrong");
	assert_int_equal(token_provider_pins, before + 2);
	expect_refusal(URI "p256", NULL, "the token needs its PIN");
	assert_int_equal(token_provider_pins, before + 2);
}

/* Otherwise every token would count a wrong one, and would be locked after some starts. */
static void the_pin_is_for_one_token(void **state)
{
	static const char *const open[] = {
		"pkcs11:object=p256",	      "pkcs11:",	 "pkcs11:token=;object=p256",
		"pkcs11:object=token=t;id=1", "pkcs11:tokens=t", "pkcs11:object=p256?token=t"};
	unsigned before = token_provider_pins;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(open); i++)
		expect_refusal(open[i], TOKEN_PIN, "by token, serial or slot-id");
	assert_int_equal(token_provider_pins, before);
	expect_refusal("pkcs11:object=p256", NULL, "no token has such a private key");
	expect_refusal("PKCS11:object=x;serial=1", TOKEN_PIN, "no token has such a private key");
	expect_refusal("pkcs11:slot-id=1?x=y", TOKEN_PIN, "no token has such a private key");
}

static void it_signs_when_it_is_loaded(void **state)
{
	unsigned before = token_provider_signatures;

	(void)state;
	pkey_unref(load(URI "p256"));
	assert_int_equal(token_provider_signatures, before + 1);
	token_provider_refuses = made[0]->key;
	expect_refusal(URI "rsa", TOKEN_PIN, "CKA_ALWAYS_AUTHENTICATE");
	token_provider_refuses = NULL;
}

/* As libcrypto does by itself with a name that has no authority. */
static void no_file_is_taken_for_a_token(void **state)
{
	char *pem = pki_pem(made[2], false, true), *was = getcwd(NULL, 0);
	char folder[] = "/tmp/t_token.XXXXXX";
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	f = fopen("pkcs11:token=file", "w");
	assert_non_null(f);
	fputs(pem, f);
	fclose(f);
	expect_refusal("pkcs11:token=file", NULL, "no token has such a private key");
	unlink("pkcs11:token=file");
	assert_int_equal(chdir(was), 0);
	assert_int_equal(rmdir(folder), 0);
	free(pem);
	free(was);
}

static void the_uri_names_one_key(void **state)
{
	(void)state;
	expect_refusal(URI "none", TOKEN_PIN, "no token has such a private key");
	expect_refusal(URI "two", TOKEN_PIN, "several private keys");
	expect_refusal(URI "weak", TOKEN_PIN, "a key of another kind");
	expect_refusal(URI "odd", TOKEN_PIN, "a key of another kind");
	expect_refusal("pkcs11:token=other", TOKEN_PIN, "no token has such a private key");
	expect_refusal(URI "p256?pin-value=1234", NULL, "does not belong into the URI");
	expect_refusal(URI "p256?PIN-source=/x", NULL, "does not belong into the URI");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_installed),
		cmocka_unit_test(which_are_uris),
		cmocka_unit_test(each_key_signs),
		cmocka_unit_test(the_pin_is_given_once),
		cmocka_unit_test(the_uri_names_one_key),
		cmocka_unit_test(the_pin_is_for_one_token),
		cmocka_unit_test(it_signs_when_it_is_loaded),
		cmocka_unit_test(no_file_is_taken_for_a_token),
	};

	return cmocka_run_group_tests(tests, make_token, NULL);
}
