/* t_config_token.c - keys on a token in mendip.conf, with a provider that stands in for one.
 * SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config.h"
#include "crypto/token.h"
#include "crypto/token_ossl.h"
#include "pki.h"
#include "token_provider.h"
#include "xalloc.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define URI "pkcs11:token=t;object="

static struct pki *gw;
static char folder[] = "/tmp/t_config_token.XXXXXX";

static void write_file(const char *name, const char *text, mode_t mode)
{
	char path[sizeof(folder) + 16];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
}

static struct config *try(const char *local, char *err, bool *ret_may_pass)
{
	char path[sizeof(folder) + 16],
		*text = xasprintf(
			"connections: { gw: { remote_addrs = \"192.0.2.2\"; local: { auth = "
			"\"pubkey\"; certs = \"gw.pem\"; %s }; remote: { id = \"b.example\"; "
			"}; children: { net: { local_ts = \"10.1.0.0/16\"; remote_ts = "
			"\"10.2.0.0/16\"; }; }; }; }; secrets: { ike: { secret = \"x\"; }; };",
			local);
	struct config *c;

	write_file("mendip.conf", text, 0600);
	free(text);
	snprintf(path, sizeof(path), "%s/mendip.conf", folder);
	c = conf_load(path, err, ret_may_pass);
	return c;
}

static void named_in_a_configuration(void **state)
{
	static const struct {
		const char *local, *error;
		bool may_pass;
	} cases[] = {
		{"key = \"" URI "p256\"; password = \"pin\";", NULL, false},
		{"key = \"pkcs11:token=other\"; password = \"pin\";", "no token has such", true},
		{"key = \"" URI "p256\"; password = \"wrong\";", "the PIN is wrong", false},
		{"key = \"" URI "p256\";", "the token needs its PIN", false},
		{"key = \"" URI "p384\"; password = \"pin\";", "none of the certificates is that",
		 false},
		{"key = \"" URI "p256\"; password = \"open\";", "others can read", false},
		{"key = \"" URI "p256\"; password = \"gone\";", "cannot be read", false},
	};
	static const char *const files[] = {"gw.pem", "pin", "wrong", "open", "mendip.conf"};
	char *pem = pki_pem(gw, true, false), path[sizeof(folder) + 16];

	(void)state;
	assert_non_null(mkdtemp(folder));
	write_file("gw.pem", pem, 0644);
	write_file("pin", TOKEN_PIN "\nnot this", 0600);
	write_file("wrong", "another", 0600);
	write_file("open", TOKEN_PIN, 0644);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char err[CONFIG_ERR] = "";
		bool may_pass;
		struct config *c = try(cases[i].local, err, &may_pass);

		if (!!c != !cases[i].error || (!c && !strstr(err, cases[i].error)))
			fail_msg("%s: %s", cases[i].local, c ? "it is taken" : err);
		assert_null(strstr(err, TOKEN_PIN));
		assert_int_equal(may_pass, cases[i].may_pass);
		if (!c)
			continue;
		assert_int_equal(c->conns.v[0]->local_id.type, ID_DN);
		conf_free(c);
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(folder), 0);
	free(pem);
}

static int make_token(void **state)
{
	const struct pki_spec spec = {.kind = PKI_P256, .subject = "O=Example,CN=gw"};

	(void)state;
	setenv("OPENSSL_CONF", "/dev/null", 1);
	gw = pki_make(&spec);
	token_provider_add(token_lib());
	token_provider_key("p256", gw->key);
	token_provider_key("p384", pki_ca(PKI_P384, "CN=other", NULL)->key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(named_in_a_configuration)};

	return cmocka_run_group_tests(tests, make_token, NULL);
}
