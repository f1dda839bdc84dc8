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

#define SCHEME "pkcs11:"
/* Otherwise libcrypto would first look for a file of that name. */
#define ONLY_PROVIDER "provider=" TOKEN_PROVIDER
#define ERRORS_MAX    64 /* objects that cannot be read, before the rest is given up */

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

/*
 * The private key if there is one only, or NULL; *ret_count: how many there are. What cannot be
 * read once the PIN was asked for ends it: the next attempt could give the token a wrong one again.
 */
static EVP_PKEY *only_key(OSSL_STORE_CTX *store, const struct passphrase *pin, unsigned *ret_count)
{
	EVP_PKEY *p = NULL;
	unsigned errors = 0;

	*ret_count = 0;
	while (!OSSL_STORE_eof(store) && errors < ERRORS_MAX && *ret_count < 2) {
		OSSL_STORE_INFO *info = OSSL_STORE_load(store);

		if (!info) {
			if (pin->asked)
				break;
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

/* A key may be found and yet refuse: that is to be known before a peer calls. */
static bool can_sign(const struct pkey *k)
{
	static const enum sig_form forms[] = {SIG_RSA_PKCS1, SIG_RSA_PSS, SIG_ECDSA, SIG_ED25519};
	const struct chunk part = {(const uint8_t *)"trial", 5};
	uint8_t out[SIGNATURE_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		const struct sig_scheme s = {forms[i], HASH_SHA256};

		if (pkey_fits(k, s.form) && pkey_sign(k, s, &part, 1, out) > 0)
			return true;
	}
	return false;
}

static struct pkey *load(const char *uri, struct passphrase *pin, const char **ret_why,
			 bool *ret_absent)
{
	UI_METHOD *ui = passphrase_ui();
	OSSL_STORE_CTX *store =
		ui ? OSSL_STORE_open_ex(uri, token_lib(), ONLY_PROVIDER, ui, pin, NULL, NULL, NULL)
		   : NULL;
	struct pkey *k = NULL;
	unsigned count = 0;
	EVP_PKEY *p = NULL;

	if (store && OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY) == 1)
		p = only_key(store, pin, &count);
	*ret_why = why_none(count, pin);
	*ret_absent = count == 0 && !pin->asked;
	if (p) {
		k = pkey_adopt_token(p, token_lib());
		*ret_why = "a key of another kind: RSA of 2048 to 8192 bits, ECDSA P-256, P-384 "
			   "and P-521, and Ed25519 are supported";
	}
	if (k && !can_sign(k)) {
		pkey_unref(k);
		k = NULL;
		*ret_why = "it does not sign: does it want its PIN for each signature "
			   "(CKA_ALWAYS_AUTHENTICATE)? See mendipd(8), TOKENS";
	}
	EVP_PKEY_free(p);
	OSSL_STORE_close(store);
	UI_destroy_method(ui);
	return k;
}

/* Whether the path of the URI, which ends at "?", has the attribute, and not empty. */
static bool has_attribute(const char *uri, const char *name)
{
	const char *at = uri + strlen(SCHEME), *end = at + strcspn(at, "?");
	size_t len = strlen(name);

	for (; at < end; at += strcspn(at, ";?") + 1) {
		if (strncmp(at, name, len) == 0 && at[len] == '=' && !strchr(";?", at[len + 1]))
			return true;
	}
	return false;
}

static bool names_token(const char *uri)
{
	return has_attribute(uri, "token") || has_attribute(uri, "serial") ||
	       has_attribute(uri, "slot-id");
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
	else if (pin && !names_token(uri))
		wrong = "the PIN would be given to each token that is there: name its own in the "
			"URI, "
			"by token, serial or slot-id";
	else if (!has_provider("default") || !has_provider(TOKEN_PROVIDER))
		wrong = "OpenSSL has no provider for PKCS#11: install the package pkcs11-provider";
	else
		k = load(uri, &p, &wrong, ret_absent);
	ERR_clear_error();
	if (!k)
		snprintf(why, CRED_WHY_MAX, "%s", wrong);
	return k;
}
