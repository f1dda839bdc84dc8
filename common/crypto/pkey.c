/* pkey.c - see pkey.h. SPDX-License-Identifier: ISC */
#include "crypto/pkey.h"
#include "crypto/pkey_ossl.h"
#include "xalloc.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>

struct pkey {
	EVP_PKEY *p;
	OSSL_LIB_CTX *lib; /* of a key on a token; NULL: the default one */
	unsigned refs;
	enum pkey_type type;
	bool is_private;
	uint8_t *spki;
	size_t spki_len;
};

static const struct curve {
	const char *name; /* of libcrypto */
	enum pkey_type type;
	unsigned bytes; /* of the order */
} curves[] = {
	{"prime256v1", PKEY_P256, 32}, {"secp384r1", PKEY_P384, 48}, {"secp521r1", PKEY_P521, 66}};

static const struct curve *curve_of(enum pkey_type type)
{
	for (size_t i = 0; i < ARRAY_SIZE(curves); i++) {
		if (curves[i].type == type)
			return &curves[i];
	}
	return NULL;
}

/*
 * Only curves by name: parameters that a peer makes up could be weak, or slow. The provider of a
 * token does not say how they are written.
 */
static bool ec_type(EVP_PKEY *p, bool on_token, enum pkey_type *ret)
{
	char name[32];

	if (EVP_PKEY_get_group_name(p, name, sizeof(name), NULL) != 1)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(curves); i++) {
		if (strcmp(curves[i].name, name) == 0) {
			int given_as_numbers = 1;

			*ret = curves[i].type;
			return on_token ||
			       (EVP_PKEY_get_int_param(
					p, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
					&given_as_numbers) == 1 &&
				!given_as_numbers);
		}
	}
	return false;
}

static bool type_of(EVP_PKEY *p, bool on_token, enum pkey_type *ret)
{
	int bits;

	switch (EVP_PKEY_get_base_id(p)) {
	case EVP_PKEY_RSA:
		bits = EVP_PKEY_get_bits(p);
		*ret = PKEY_RSA;
		return bits >= PKEY_RSA_MIN && bits <= PKEY_RSA_MAX;
	case EVP_PKEY_EC: return ec_type(p, on_token, ret);
	case EVP_PKEY_ED25519: *ret = PKEY_ED25519; return true;
	default: return false;
	}
}

static struct pkey *adopt(EVP_PKEY *p, bool is_private, OSSL_LIB_CTX *lib)
{
	enum pkey_type type;
	unsigned char *spki = NULL;
	struct pkey *k;
	int len;

	if (!type_of(p, lib != NULL, &type) || (len = i2d_PUBKEY(p, &spki)) <= 0 ||
	    EVP_PKEY_up_ref(p) != 1) {
		ERR_clear_error();
		return NULL;
	}
	k = xzalloc(sizeof(*k));
	k->p = p;
	k->lib = lib;
	k->refs = 1;
	k->type = type;
	k->is_private = is_private;
	k->spki = xmemdup(spki, (size_t)len);
	k->spki_len = (size_t)len;
	OPENSSL_free(spki);
	return k;
}

struct pkey *pkey_adopt(EVP_PKEY *p, bool is_private)
{
	return adopt(p, is_private, NULL);
}

struct pkey *pkey_adopt_token(EVP_PKEY *p, OSSL_LIB_CTX *lib)
{
	return adopt(p, true, lib);
}

struct pkey *pkey_from_spki(struct chunk der)
{
	const unsigned char *at = der.p;
	EVP_PKEY *p = d2i_PUBKEY(NULL, &at, (long)der.len);
	struct pkey *k = p && at == der.p + der.len ? pkey_adopt(p, false) : NULL;

	EVP_PKEY_free(p);
	ERR_clear_error();
	return k;
}

/* Constant, but for the references to it. */
static struct pkey *counted(const struct pkey *k)
{
	return (struct pkey *)k;
}

struct pkey *pkey_ref(const struct pkey *k)
{
	counted(k)->refs++;
	return counted(k);
}

void pkey_unref(const struct pkey *k)
{
	if (!k || --counted(k)->refs > 0)
		return;
	EVP_PKEY_free(k->p); /* clears the private numbers */
	free(k->spki);
	free(counted(k));
}

EVP_PKEY *pkey_evp(const struct pkey *k)
{
	return k->p;
}

enum pkey_type pkey_type(const struct pkey *k)
{
	return k->type;
}

bool pkey_same(const struct pkey *a, const struct pkey *b)
{
	return a->spki_len == b->spki_len && memcmp(a->spki, b->spki, a->spki_len) == 0;
}

bool pkey_is_private(const struct pkey *k)
{
	return k->is_private;
}

struct chunk pkey_spki(const struct pkey *k)
{
	return (struct chunk){k->spki, k->spki_len};
}

bool pkey_fits(const struct pkey *k, enum sig_form form)
{
	switch (form) {
	case SIG_RSA_PKCS1:
	case SIG_RSA_PSS: return k->type == PKEY_RSA;
	case SIG_ECDSA:
	case SIG_ECDSA_RAW: return curve_of(k->type) != NULL;
	case SIG_ED25519: return k->type == PKEY_ED25519;
	}
	return false;
}

/* ---- r and s of ECDSA ---- */

/* r | s as a DER sequence, to be freed by OPENSSL_free; its length, or -EINVAL. */
static int raw_to_der(const struct pkey *k, struct chunk raw, unsigned char **ret)
{
	size_t half = curve_of(k->type)->bytes;
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r, *s;
	int len = -EINVAL;

	*ret = NULL;
	if (sig && raw.len == 2 * half) {
		r = BN_bin2bn(raw.p, (int)half, NULL);
		s = BN_bin2bn(raw.p + half, (int)half, NULL);
		if (r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
			len = i2d_ECDSA_SIG(sig, ret);
		} else {
			BN_free(r);
			BN_free(s);
		}
	}
	ECDSA_SIG_free(sig);
	return len > 0 ? len : -EINVAL;
}

/* Replaces a DER sequence of len bytes in `out` by r | s; the new length, or -EINVAL. */
static int der_to_raw(const struct pkey *k, uint8_t *out, size_t len)
{
	int half = (int)curve_of(k->type)->bytes, r = -EINVAL;
	const unsigned char *at = out;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)len);

	if (sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, half) == half &&
	    BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + half, half) == half)
		r = 2 * half;
	ECDSA_SIG_free(sig);
	return r;
}

/* ---- signatures ---- */

static uint8_t *join(const struct chunk *parts, size_t n, size_t *ret_len)
{
	size_t len = 0, at = 0;
	uint8_t *all;

	for (size_t i = 0; i < n; i++)
		len += parts[i].len;
	all = xzalloc(len + 1);
	for (size_t i = 0; i < n; i++) {
		if (parts[i].len)
			memcpy(all + at, parts[i].p, parts[i].len);
		at += parts[i].len;
	}
	*ret_len = len;
	return all;
}

static bool begin(const struct pkey *k, struct sig_scheme s, EVP_MD_CTX *c, bool sign)
{
	static const char *const names[] = {"SHA1", "SHA256", "SHA384", "SHA512"};
	const char *md = s.form == SIG_ED25519 ? NULL : names[s.hash];
	EVP_PKEY_CTX *options; /* belongs to c */

	if (!c || !pkey_fits(k, s.form) ||
	    (sign ? EVP_DigestSignInit_ex(c, &options, md, k->lib, NULL, k->p, NULL)
		  : EVP_DigestVerifyInit_ex(c, &options, md, k->lib, NULL, k->p, NULL)) != 1)
		return false;
	return s.form != SIG_RSA_PSS ||
	       (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
		EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1);
}

int pkey_sign(const struct pkey *k, struct sig_scheme s, const struct chunk *parts, size_t n,
	      uint8_t *out)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	size_t len = SIGNATURE_MAX, all_len;
	uint8_t *all = join(parts, n, &all_len);
	int r = -EINVAL;

	if (k->is_private && begin(k, s, c, true) &&
	    EVP_DigestSign(c, out, &len, all, all_len) == 1)
		r = s.form == SIG_ECDSA_RAW ? der_to_raw(k, out, len) : (int)len;
	ERR_clear_error();
	EVP_MD_CTX_free(c);
	free(all);
	return r;
}

bool pkey_verify(const struct pkey *k, struct sig_scheme s, const struct chunk *parts, size_t n,
		 struct chunk signature)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	size_t all_len;
	uint8_t *all = join(parts, n, &all_len);
	unsigned char *der = NULL;
	int len = (int)signature.len;
	bool right = false;

	if (signature.len <= SIGNATURE_MAX && begin(k, s, c, false)) {
		if (s.form == SIG_ECDSA_RAW)
			len = raw_to_der(k, signature, &der);
		right = len > 0 && EVP_DigestVerify(c, der ? der : signature.p, (size_t)len, all,
						    all_len) == 1;
	}
	ERR_clear_error();
	OPENSSL_free(der);
	EVP_MD_CTX_free(c);
	free(all);
	return right;
}
