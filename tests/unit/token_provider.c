/* token_provider.c - see token_provider.h. SPDX-License-Identifier: ISC */
#include "token_provider.h"
#include "crypto/token_ossl.h"
#include "xalloc.h"

#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>

#define OBJECTS_MAX 16
#define URI_START   "pkcs11:token=t;object="

unsigned token_provider_pins, token_provider_signatures;
const EVP_PKEY *token_provider_refuses;

static struct {
	const char *name;
	EVP_PKEY *key;
} objects[OBJECTS_MAX];
static unsigned object_count;

void token_provider_key(const char *name, EVP_PKEY *key)
{
	if (object_count == OBJECTS_MAX)
		abort();
	objects[object_count].name = name;
	objects[object_count++].key = key;
}

/* libcrypto's tables have functions of one type. */
#define FN(id, f)                       \
	{                               \
		id, (void (*)(void))(f) \
	}

/* ---- keys: one is an EVP_PKEY of the default library context ---- */

static void key_free(void *key)
{
	EVP_PKEY_free(key);
}

/* Takes over what the store has handed out. */
static void *key_load(const void *reference, size_t size)
{
	EVP_PKEY *key;

	if (size != sizeof(key))
		return NULL;
	memcpy(&key, reference, sizeof(key));
	return EVP_PKEY_up_ref(key) == 1 ? key : NULL;
}

static int key_has(const void *key, int selection)
{
	(void)key, (void)selection;
	return 1;
}

static const OSSL_PARAM *key_known(void *ctx)
{
	static const OSSL_PARAM known[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
		OSSL_PARAM_END};

	(void)ctx;
	return known;
}

static int key_get(void *key, OSSL_PARAM params[])
{
	for (OSSL_PARAM *p = params; p->key; p++) {
		OSSL_PARAM one[] = {*p, OSSL_PARAM_END};

		if (!OSSL_PARAM_locate_const(key_known(NULL), p->key))
			continue;
		(void)EVP_PKEY_get_params(key, one);
		p->return_size = one[0].return_size;
	}
	return 1;
}

static int key_export(void *key, int selection, OSSL_CALLBACK *give, void *ctx)
{
	OSSL_PARAM *params = NULL;
	int r;

	if (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ||
	    EVP_PKEY_todata(key, EVP_PKEY_PUBLIC_KEY, &params) != 1)
		return 0;
	r = give(params, ctx);
	OSSL_PARAM_free(params);
	return r;
}

static const OSSL_PARAM *key_export_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0), OSSL_PARAM_END};

	return selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ? NULL : types;
}

static const char *ec_signature(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

#define KEY_FUNCTIONS                                                                          \
	FN(OSSL_FUNC_KEYMGMT_FREE, key_free), FN(OSSL_FUNC_KEYMGMT_LOAD, key_load),            \
		FN(OSSL_FUNC_KEYMGMT_HAS, key_has), FN(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get), \
		FN(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_known),                              \
		FN(OSSL_FUNC_KEYMGMT_EXPORT, key_export),                                      \
		FN(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, key_export_types)

static const OSSL_DISPATCH key_functions[] = {KEY_FUNCTIONS, {0, NULL}};
static const OSSL_DISPATCH ec_functions[] = {
	KEY_FUNCTIONS, FN(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, ec_signature), {0, NULL}};

static const OSSL_ALGORITHM keys[] = {
	{"RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=pkcs11", key_functions, ""},
	{"EC:id-ecPublicKey:1.2.840.10045.2.1", "provider=pkcs11", ec_functions, ""},
	{"ED25519:1.3.101.112", "provider=pkcs11", key_functions, ""},
	{NULL, NULL, NULL, NULL}};

/* ---- signatures ---- */

struct signer {
	EVP_MD_CTX *md;
	EVP_PKEY_CTX *options; /* belongs to md */
	const EVP_PKEY *key;
};

static void *signer_new(void *ctx, const char *query)
{
	struct signer *s = xzalloc(sizeof(*s));

	(void)ctx, (void)query;
	s->md = EVP_MD_CTX_new();
	return s;
}

static void signer_free(void *ctx)
{
	struct signer *s = ctx;

	EVP_MD_CTX_free(s->md);
	free(s);
}

static int sign_init(void *ctx, const char *md, void *key, const OSSL_PARAM params[])
{
	struct signer *s = ctx;

	s->key = key;
	return EVP_DigestSignInit_ex(s->md, &s->options, md, NULL, NULL, key, params);
}

static int sign(void *ctx, uint8_t *out, size_t *ret_len, size_t size, const uint8_t *data,
		size_t len)
{
	struct signer *s = ctx;

	*ret_len = size;
	if (out && s->key == token_provider_refuses)
		return 0;
	token_provider_signatures += out != NULL;
	return EVP_DigestSign(s->md, out, ret_len, data, len);
}

static int signer_set(void *ctx, const OSSL_PARAM params[])
{
	struct signer *s = ctx;

	return !params || EVP_PKEY_CTX_set_params(s->options, params);
}

static const OSSL_PARAM *signer_known(void *ctx, void *provider)
{
	static const OSSL_PARAM known[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0), OSSL_PARAM_END};

	(void)ctx, (void)provider;
	return known;
}

static const OSSL_DISPATCH signer_functions[] = {
	FN(OSSL_FUNC_SIGNATURE_NEWCTX, signer_new),
	FN(OSSL_FUNC_SIGNATURE_FREECTX, signer_free),
	FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, sign_init),
	FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, sign),
	FN(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signer_set),
	FN(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signer_known),
	{0, NULL}};

static const OSSL_ALGORITHM signatures[] = {
	{"RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=pkcs11", signer_functions, ""},
	{"ECDSA", "provider=pkcs11", signer_functions, ""},
	{"ED25519:1.3.101.112", "provider=pkcs11", signer_functions, ""},
	{NULL, NULL, NULL, NULL}};

/* ---- the store ---- */

struct store {
	char *name;
	unsigned next; /* of the objects */
	bool ended;
};

static void *store_open(void *ctx, const char *uri)
{
	struct store *s;

	(void)ctx;
	if (strncmp(uri, URI_START, strlen(URI_START)) != 0)
		return NULL;
	s = xzalloc(sizeof(*s));
	s->name = xstrdup(uri + strlen(URI_START));
	return s;
}

static bool is_unlocked(OSSL_PASSPHRASE_CALLBACK *ask, void *ctx)
{
	char pin[64];
	size_t len;

	if (ask(pin, sizeof(pin), &len, NULL, ctx) != 1)
		return false;
	token_provider_pins++;
	return len == strlen(TOKEN_PIN) && memcmp(pin, TOKEN_PIN, len) == 0;
}

static const char *type_name(const EVP_PKEY *key)
{
	return EVP_PKEY_is_a(key, "RSA") ? "RSA" : EVP_PKEY_is_a(key, "EC") ? "EC" : "ED25519";
}

static int give_object(EVP_PKEY *key, OSSL_CALLBACK *give, void *ctx)
{
	int type = OSSL_OBJECT_PKEY;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &type),
		OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE,
						 (char *)(uintptr_t)type_name(key), 0),
		OSSL_PARAM_construct_octet_string(OSSL_OBJECT_PARAM_REFERENCE, &key, sizeof(key)),
		OSSL_PARAM_construct_end()};

	return give(params, ctx);
}

/* The token is looked at, and asks for its PIN, whatever the name. */
static int store_load(void *ctx, OSSL_CALLBACK *give, void *give_ctx, OSSL_PASSPHRASE_CALLBACK *ask,
		      void *ask_ctx)
{
	struct store *s = ctx;

	if (!s->next && !is_unlocked(ask, ask_ctx))
		return 0; /* it would ask again */
	while (s->next < object_count) {
		unsigned at = s->next++;

		if (strcmp(objects[at].name, s->name) == 0)
			return give_object(objects[at].key, give, give_ctx);
	}
	s->ended = true;
	return 0;
}

/* libcrypto passes the properties by which it has found us. */
static int store_set(void *ctx, const OSSL_PARAM params[])
{
	(void)ctx, (void)params;
	return 1;
}

static int store_eof(void *ctx)
{
	return ((const struct store *)ctx)->ended;
}

static int store_close(void *ctx)
{
	free(((struct store *)ctx)->name);
	free(ctx);
	return 1;
}

static const OSSL_DISPATCH store_functions[] = {
	FN(OSSL_FUNC_STORE_OPEN, store_open),	FN(OSSL_FUNC_STORE_SET_CTX_PARAMS, store_set),
	FN(OSSL_FUNC_STORE_LOAD, store_load),	FN(OSSL_FUNC_STORE_EOF, store_eof),
	FN(OSSL_FUNC_STORE_CLOSE, store_close), {0, NULL}};
static const OSSL_ALGORITHM stores[] = {{"pkcs11", "provider=pkcs11", store_functions, ""},
					{NULL, NULL, NULL, NULL}};

/* ---- the provider ---- */

static const OSSL_ALGORITHM *query(void *ctx, int operation, int *ret_no_store)
{
	(void)ctx;
	*ret_no_store = 0;
	switch (operation) {
	case OSSL_OP_KEYMGMT: return keys;
	case OSSL_OP_SIGNATURE: return signatures;
	case OSSL_OP_STORE: return stores;
	default: return NULL;
	}
}

int token_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
			const OSSL_DISPATCH **out, void **ret_ctx)
{
	static const OSSL_DISPATCH functions[] = {FN(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
						  {0, NULL}};

	(void)handle, (void)in;
	*out = functions;
	*ret_ctx = objects; /* not NULL */
	return 1;
}

void token_provider_add(OSSL_LIB_CTX *lib)
{
	if (OSSL_PROVIDER_add_builtin(lib, TOKEN_PROVIDER, token_provider_init) != 1)
		abort();
}
