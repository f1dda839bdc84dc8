/* token.c - see token.h. SPDX-License-Identifier: ISC */
#include "crypto/token.h"
#include "crypto/passphrase_ossl.h"
#include "crypto/pkey_ossl.h"
#include "crypto/token_ossl.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <stdio.h>
#include <strings.h>

#define SCHEME	   "pkcs11:"
#define ERRORS_MAX 64 /* objects that cannot be read, before the rest is given up */

/* A PKCS#11 module is initialised once in a process, so all keys share this. */
static OSSL_LIB_CTX *lib;

OSSL_LIB_CTX *token_lib(void)
{
	if (!lib) {
		lib = OSSL_LIB_CTX_new();
		if (!lib)
			abort();
		/* openssl.cnf may name the module; if it cannot be read, there are defaults. */
		(void)OSSL_LIB_CTX_load_config(lib, NULL);
		ERR_clear_error();
	}
	return lib;
}

bool token_is_uri(const char *name)
{
	return strncasecmp(name, SCHEME, strlen(SCHEME)) == 0;
}

/* The provider of OpenSSL itself writes and compares public keys. */
static bool has_provider(const char *name)
{
	return OSSL_PROVIDER_available(token_lib(), name) || OSSL_PROVIDER_load(token_lib(), name);
}

/* The private key if there is one only, or NULL; *ret_count: how many there are. */
static EVP_PKEY *only_key(OSSL_STORE_CTX *store, unsigned *ret_count)
{
	EVP_PKEY *p = NULL;
	unsigned errors = 0;

	*ret_count = 0;
	while (!OSSL_STORE_eof(store) && errors < ERRORS_MAX && *ret_count < 2) {
		OSSL_STORE_INFO *info = OSSL_STORE_load(store);

		if (!info) {
			errors++;
			continue;
		}
		if (OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY) {
			EVP_PKEY_free(p);
			p = OSSL_STORE_INFO_get1_PKEY(info);
			++*ret_count;
		}
		OSSL_STORE_INFO_free(info);
	}
	if (*ret_count == 1)
		return p;
	EVP_PKEY_free(p);
	return NULL;
}

static const char *why_none(unsigned count, const struct passphrase *pin)
{
	if (count > 1)
		return "the URI names several private keys: say which one by object or id";
	if (!pin->asked)
		return "no token has such a private key";
	return pin->text
		       ? "no token has such a private key, or the PIN is wrong; several wrong ones "
			 "lock the token"
		       : "the token needs its PIN: name the file that has it in password";
}

static struct pkey *load(const char *uri, struct passphrase *pin, const char **ret_why,
			 bool *ret_absent)
{
	UI_METHOD *ui = passphrase_ui();
	OSSL_STORE_CTX *store =
		ui ? OSSL_STORE_open_ex(uri, token_lib(), NULL, ui, pin, NULL, NULL, NULL) : NULL;
	struct pkey *k = NULL;
	unsigned count = 0;
	EVP_PKEY *p = NULL;

	if (store && OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY) == 1)
		p = only_key(store, &count);
	*ret_why = why_none(count, pin);
	*ret_absent = count == 0 && !pin->asked;
	if (p) {
		k = pkey_adopt_token(p, token_lib());
		*ret_why = "a key of another kind: RSA of 2048 to 8192 bits, ECDSA P-256, P-384 "
			   "and P-521, and Ed25519 are supported";
	}
	EVP_PKEY_free(p);
	OSSL_STORE_close(store);
	UI_destroy_method(ui);
	return k;
}

struct pkey *token_key(const char *uri, const char *pin, char *why, bool *ret_absent)
{
	struct passphrase p = {.text = pin};
	struct pkey *k = NULL;
	const char *wrong;

	*ret_absent = false;
	if (strcasestr(uri, "pin-value") || strcasestr(uri, "pin-source"))
		wrong = "the PIN does not belong into the URI: write it into a file, and name that "
			"in password";
	else if (!has_provider("default") || !has_provider(TOKEN_PROVIDER))
		wrong = "OpenSSL has no provider for PKCS#11: install the package pkcs11-provider";
	else
		k = load(uri, &p, &wrong, ret_absent);
	ERR_clear_error();
	if (!k)
		snprintf(why, CRED_WHY_MAX, "%s", wrong);
	return k;
}
