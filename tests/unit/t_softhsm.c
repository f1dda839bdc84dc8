/* t_softhsm.c - private keys on a token (RFC 7512): pkcs11-provider and SoftHSM, where this system
 * has them; otherwise what the user is told. SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "crypto/token.h"
#include "crypto/token_ossl.h"
#include "pki.h"
#include "xalloc.h"

#include <openssl/provider.h>
#include <stdio.h>
#include <unistd.h>

static const struct {
	const char *name;
	enum pki_kind kind;
} known[] = {{"rsa", PKI_RSA}, {"p256", PKI_P256}, {"p384", PKI_P384}, {"p521", PKI_P521}};
static struct pki *made[ARRAY_SIZE(known)];
static bool has_provider;
static char folder[] = "/tmp/t_softhsm.XXXXXX";

static void in_folder(const char *command)
{
	char *text =
		xasprintf("cd %s && { %s; } >log 2>&1 || { cat log; false; }", folder, command);

	assert_int_equal(system(text), 0);
	free(text);
}

static void write_file(const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", folder, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	free(path);
}

/* Where nothing may be missing: Debian has both packages from 13 on. */
static bool must_have_provider(void)
{
	return getenv("MENDIP_REQUIRE_ALL") &&
	       system("grep -q '^VERSION_ID=\"12\"' /etc/os-release") != 0;
}

static int make_token(void **state)
{
	char *conf, *path;

	(void)state;
	assert_non_null(mkdtemp(folder));
	conf = xasprintf("directories.tokendir = %s/tokens\nlog.level = ERROR\n", folder);
	path = xasprintf("%s/softhsm2.conf", folder);
	write_file("softhsm2.conf", conf);
	setenv("SOFTHSM2_CONF", path, 1);
	setenv("PKCS11_PROVIDER_MODULE", "/usr/lib/softhsm/libsofthsm2.so", 1);
	free(conf);
	free(path);
	if (system("command -v softhsm2-util >/dev/null") != 0)
		return must_have_provider() ? -1 : 0;
	in_folder("mkdir tokens; softhsm2-util --init-token --free --label mendip --pin 1234 "
		  "--so-pin 5678");
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		char *pem, *command;

		made[i] = pki_make(&(struct pki_spec){.kind = known[i].kind, .subject = "CN=gw"});
		pem = pki_pem(made[i], false, true);
		write_file("key.pem", pem);
		command = xasprintf(
			"softhsm2-util --import key.pem --token mendip --label %s --id 0%zu "
			"--pin 1234",
			known[i].name, i + 1);
		in_folder(command);
		free(command);
		free(pem);
	}
	/* The module looks for tokens when it is loaded. */
	has_provider = OSSL_PROVIDER_load(token_lib(), TOKEN_PROVIDER) != NULL;
	return has_provider || !must_have_provider() ? 0 : -1;
}

static int remove_token(void **state)
{
	char *text = xasprintf("rm -r %s", folder);
	int r = system(text);

	(void)state;
	free(text);
	return r;
}

static void expect_refusal(const char *uri, const char *pin, const char *want)
{
	char why[CRED_WHY_MAX] = "";
	bool absent;
	const struct pkey *k = token_key(uri, pin, why, &absent);

	if (k || !strstr(why, want))
		fail_msg("%s: %s", uri, k ? "it is taken" : why);
}

static void signs(const struct pkey *k, const struct pkey *public, struct sig_scheme s)
{
	const struct chunk part = {(const uint8_t *)"what is signed", 14};
	uint8_t out[SIGNATURE_MAX];
	int len;

	if (!pkey_fits(k, s.form))
		return;
	len = pkey_sign(k, s, &part, 1, out);
	assert_true(len > 0);
	assert_true(pkey_verify(public, s, &part, 1, (struct chunk){out, (size_t)len}));
}

static void keys_sign(void **state)
{
	static const enum hash_alg hashes[] = {HASH_SHA256, HASH_SHA384, HASH_SHA512};
	char uri[64], why[CRED_WHY_MAX] = "";
	bool absent;

	(void)state;
	if (!has_provider) {
		expect_refusal("pkcs11:token=mendip;object=rsa", "1234",
			       "install the package pkcs11-provider");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		struct pkey *k, *public = pki_private(made[i]);

		snprintf(uri, sizeof(uri), "pkcs11:token=mendip;object=%s", known[i].name);
		k = token_key(uri, "1234", why, &absent);
		if (!k)
			fail_msg("%s: %s", uri, why);
		assert_true(pkey_same(k, public));
		for (enum sig_form form = SIG_RSA_PKCS1; form <= SIG_ED25519; form++) {
			for (size_t h = 0; h < ARRAY_SIZE(hashes); h++)
				signs(k, public, (struct sig_scheme){form, hashes[h]});
		}
		pkey_unref(k);
		pkey_unref(public);
	}
}

static void what_is_wrong_is_told(void **state)
{
	(void)state;
	if (!has_provider) {
		expect_refusal("pkcs11:", NULL, "install the package pkcs11-provider");
		return;
	}
	expect_refusal("pkcs11:token=mendip", "1234", "several private keys");
	expect_refusal("pkcs11:token=other;object=rsa", "1234", "no token has such a private key");
	expect_refusal("pkcs11:token=mendip;object=other", "1234",
		       "no token has such a private key");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_sign),
		cmocka_unit_test(what_is_wrong_is_told),
	};

	return cmocka_run_group_tests(tests, make_token, remove_token);
}
