/* cred_parse.c - see cred_parse.h. SPDX-License-Identifier: ISC */
#include "crypto/cred_parse.h"
#include "crypto/cert_ossl.h"
#include "crypto/passphrase_ossl.h"
#include "crypto/pkey_ossl.h"
#include "crypto/trust_ossl.h"
#include "xalloc.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/store.h>
#include <stdio.h>

#define ERRORS_MAX 64 /* objects that cannot be read, before the rest is given up */

static bool take_cert(struct cred_items *to, X509 *x)
{
	struct cert *c = x ? cert_adopt(x) : NULL;

	if (!c)
		return false;
	to->certs = xreallocarray(to->certs, to->cert_count + 1, sizeof(*to->certs));
	to->certs[to->cert_count++] = c;
	return true;
}

static bool take_crl(struct cred_items *to, X509_CRL *x)
{
	struct crl *c = x ? crl_adopt(x) : NULL;

	if (!c)
		return false;
	to->crls = xreallocarray(to->crls, to->crl_count + 1, sizeof(*to->crls));
	to->crls[to->crl_count++] = c;
	return true;
}

static bool take_key(struct cred_items *to, EVP_PKEY *p, bool is_private)
{
	struct pkey *k = p ? pkey_adopt(p, is_private) : NULL;

	EVP_PKEY_free(p);
	if (!k)
		return false;
	to->keys = xreallocarray(to->keys, to->key_count + 1, sizeof(*to->keys));
	to->keys[to->key_count++] = k;
	return true;
}

static bool take(struct cred_items *to, OSSL_STORE_INFO *info, const char **ret_why)
{
	*ret_why = "a certificate with a key of another kind: RSA of 2048 to 8192 bits, ECDSA "
		   "P-256, P-384 and P-521, and Ed25519 are supported";
	switch (OSSL_STORE_INFO_get_type(info)) {
	case OSSL_STORE_INFO_CERT: return take_cert(to, OSSL_STORE_INFO_get1_CERT(info));
	case OSSL_STORE_INFO_CRL:
		*ret_why = "a malformed CRL";
		return take_crl(to, OSSL_STORE_INFO_get1_CRL(info));
	case OSSL_STORE_INFO_PKEY:
	case OSSL_STORE_INFO_PUBKEY: break;
	default: return true; /* such as the parameters of an elliptic curve */
	}
	*ret_why = "a key of another kind: RSA of 2048 to 8192 bits, ECDSA P-256, P-384 and P-521, "
		   "and Ed25519 are supported";
	return OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY
		       ? take_key(to, OSSL_STORE_INFO_get1_PKEY(info), true)
		       : take_key(to, OSSL_STORE_INFO_get1_PUBKEY(info), false);
}

/* The number of objects in PEM; 0: none. */
static unsigned count_pem(struct chunk content)
{
	static const char begin[] = "-----BEGIN ";
	const uint8_t *at = content.p, *end = content.p + content.len;
	unsigned count = 0;

	while ((at = memmem(at, (size_t)(end - at), begin, strlen(begin)))) {
		count++;
		at += strlen(begin);
	}
	return count;
}

/* libcrypto skips what it cannot read: a CRL that is cut short must not go unnoticed. */
static const char *read_all(OSSL_STORE_CTX *store, struct chunk content, struct cred_items *to,
			    struct passphrase *pw)
{
	const char *why = NULL, *unreadable = NULL;
	unsigned errors = 0, objects = 0, pem = count_pem(content);

	while (!why && !OSSL_STORE_eof(store) && errors < ERRORS_MAX) {
		OSSL_STORE_INFO *info = OSSL_STORE_load(store);

		if (info) {
			const char *what;

			objects++;
			why = take(to, info, &what) ? NULL : what;
			OSSL_STORE_INFO_free(info);
		} else if (!OSSL_STORE_eof(store)) {
			errors++;
		}
	}
	if (errors || (pem && objects != pem))
		unreadable = "an object in it is malformed, or neither certificate, key nor CRL";
	if (!why && pw->asked && to->key_count == 0)
		return pw->text ? "the password is wrong"
				: "it is encrypted: name the file with its password in password";
	return why ? why : unreadable;
}

int cred_parse(struct chunk content, const char *password, struct cred_items *ret, char *why)
{
	struct passphrase pw = {.text = password};
	UI_METHOD *ui = passphrase_ui();
	BIO *bio = BIO_new_mem_buf(content.p, (int)content.len);
	OSSL_STORE_CTX *store =
		bio && ui ? OSSL_STORE_attach(bio, "file", NULL, NULL, ui, &pw, NULL, NULL, NULL)
			  : NULL;
	const char *wrong = "it is malformed, or of an unknown format";

	*ret = (struct cred_items){0};
	if (store)
		wrong = read_all(store, content, ret, &pw);
	if (!wrong && !ret->cert_count && !ret->crl_count && !ret->key_count)
		wrong = "it holds neither certificate, key nor CRL";
	OSSL_STORE_close(store);
	BIO_free(bio);
	UI_destroy_method(ui);
	ERR_clear_error();
	if (!wrong)
		return 0;
	snprintf(why, CRED_WHY_MAX, "%s", wrong);
	cred_items_free(ret);
	return -EINVAL;
}

void cred_items_free(struct cred_items *i)
{
	for (unsigned k = 0; k < i->cert_count; k++)
		cert_unref(i->certs[k]);
	for (unsigned k = 0; k < i->crl_count; k++)
		crl_unref(i->crls[k]);
	for (unsigned k = 0; k < i->key_count; k++)
		pkey_unref(i->keys[k]);
	free(i->certs);
	free(i->crls);
	free(i->keys);
	*i = (struct cred_items){0};
}
