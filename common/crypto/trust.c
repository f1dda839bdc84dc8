/* trust.c - see trust.h. SPDX-License-Identifier: ISC */
#include "crypto/trust.h"
#include "crypto/cert_ossl.h"
#include "crypto/trust_ossl.h"
#include "xalloc.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>

#define STRENGTH 2 /* libcrypto's name for 112 bits: no SHA-1, no RSA below 2048 bits */

struct crl {
	X509_CRL *x;
	unsigned refs;
	uint8_t *issuer, *der;
	size_t issuer_len, der_len;
};

struct anchor {
	const struct cert *cert;
	bool pinned;
};

struct trust {
	unsigned refs;
	X509_STORE *store;
	struct anchor *v;
	unsigned count;
	const struct crl **crls;
	unsigned crl_count;
};

void cert_chain_fini(struct cert_chain *c)
{
	for (unsigned i = 0; i < c->count; i++)
		cert_unref(c->v[i]);
	c->count = 0;
}

struct cert_chain cert_chain_copy(const struct cert_chain *c)
{
	struct cert_chain copy = {.count = c->count};

	for (unsigned i = 0; i < c->count; i++)
		copy.v[i] = cert_ref(c->v[i]);
	return copy;
}

/* ---- CRLs ---- */

/*
 * Whether it lists all that is revoked: not a delta CRL, nor one for some reasons or for other
 * issuers only, which libcrypto would take for the whole or leave out without a word.
 */
static bool is_complete(const X509_CRL *x)
{
	ISSUING_DIST_POINT *idp =
		X509_CRL_get_ext_d2i(x, NID_issuing_distribution_point, NULL, NULL);
	bool partial = idp && (idp->onlysomereasons || idp->indirectCRL > 0);

	ISSUING_DIST_POINT_free(idp);
	return !partial && X509_CRL_get_ext_by_NID(x, NID_delta_crl, -1) < 0;
}

struct crl *crl_adopt(X509_CRL *x)
{
	unsigned char *der = NULL, *issuer = NULL;
	int len = i2d_X509_CRL(x, &der);
	int issuer_len = i2d_X509_NAME(X509_CRL_get_issuer(x), &issuer);
	struct crl *c = NULL;

	if (len > 0 && issuer_len > 0 && is_complete(x)) {
		c = xzalloc(sizeof(*c));
		c->x = x;
		c->refs = 1;
		c->der = xmemdup(der, (size_t)len);
		c->der_len = (size_t)len;
		c->issuer = xmemdup(issuer, (size_t)issuer_len);
		c->issuer_len = (size_t)issuer_len;
	} else {
		X509_CRL_free(x);
	}
	OPENSSL_free(der);
	OPENSSL_free(issuer);
	ERR_clear_error();
	return c;
}

/* Constant, but for the references to it. */
struct crl *crl_ref(const struct crl *c)
{
	((struct crl *)c)->refs++;
	return (struct crl *)c;
}

void crl_unref(const struct crl *c)
{
	struct crl *mine = (struct crl *)c;

	if (!c || --mine->refs > 0)
		return;
	X509_CRL_free(mine->x);
	free(mine->der);
	free(mine->issuer);
	free(mine);
}

int64_t crl_last_update(const struct crl *c)
{
	return cert_time(X509_CRL_get0_lastUpdate(c->x));
}

int64_t crl_next_update(const struct crl *c)
{
	return cert_time(X509_CRL_get0_nextUpdate(c->x));
}

struct chunk crl_issuer(const struct crl *c)
{
	return (struct chunk){c->issuer, c->issuer_len};
}

/* ---- the set ---- */

/* libcrypto fails here only if it runs out of memory. */
static void must(bool ok)
{
	if (!ok)
		abort();
}

struct trust *trust_new(void)
{
	struct trust *t = xzalloc(sizeof(*t));

	t->refs = 1;
	t->store = X509_STORE_new();
	must(t->store != NULL);
	return t;
}

struct trust *trust_ref(const struct trust *t)
{
	((struct trust *)t)->refs++;
	return (struct trust *)t;
}

void trust_unref(const struct trust *t)
{
	struct trust *mine = (struct trust *)t;

	if (!t || --mine->refs > 0)
		return;
	for (unsigned i = 0; i < mine->count; i++)
		cert_unref(mine->v[i].cert);
	for (unsigned i = 0; i < mine->crl_count; i++)
		crl_unref(mine->crls[i]);
	X509_STORE_free(mine->store);
	free(mine->v);
	free(mine->crls);
	free(mine);
}

void trust_add(struct trust *t, const struct cert *c, bool pinned)
{
	for (unsigned i = 0; i < t->count; i++) {
		if (cert_same(t->v[i].cert, c))
			return;
	}
	t->v = xreallocarray(t->v, t->count + 1, sizeof(*t->v));
	t->v[t->count++] = (struct anchor){.cert = cert_ref(c), .pinned = pinned};
	must(X509_STORE_add_cert(t->store, cert_x509(c)) == 1);
}

void trust_add_crl(struct trust *t, const struct crl *c)
{
	t->crls = xreallocarray(t->crls, t->crl_count + 1, sizeof(*t->crls));
	t->crls[t->crl_count++] = crl_ref(c);
	must(X509_STORE_add_crl(t->store, c->x) == 1);
}

const struct cert *trust_anchor(const struct trust *t, unsigned i)
{
	return i < t->count ? t->v[i].cert : NULL;
}

bool trust_is_pinned(const struct trust *t, unsigned i)
{
	return t->v[i].pinned;
}

const struct crl *trust_crl(const struct trust *t, unsigned i)
{
	return i < t->crl_count ? t->crls[i] : NULL;
}

void trust_digest(const struct trust *t, uint8_t out[32])
{
	unsigned n = t->count + t->crl_count;
	struct chunk *parts = xzalloc((n + t->count + 1) * sizeof(*parts));
	static const uint8_t kinds[2] = {0, 1}; /* pinned or not, as a byte to hash */

	for (unsigned i = 0; i < t->count; i++) {
		parts[2 * i] = (struct chunk){&kinds[t->v[i].pinned], 1};
		parts[2 * i + 1] = cert_der(t->v[i].cert);
	}
	for (unsigned i = 0; i < t->crl_count; i++)
		parts[2 * t->count + i] = (struct chunk){t->crls[i]->der, t->crls[i]->der_len};
	hash_compute(HASH_SHA256, parts, n + t->count, out);
	free(parts);
}

/* ---- paths ---- */

struct check {
	const struct trust *trust;
	enum revocation revocation;
};

/* A trust anchor needs no CRL, as it is trusted because it is configured. NULL: x is none. */
static const struct anchor *is_anchor(const struct trust *t, const X509 *x)
{
	for (unsigned i = 0; i < t->count; i++) {
		if (X509_cmp(cert_x509(t->v[i].cert), x) == 0)
			return &t->v[i];
	}
	return NULL;
}

/* Whether a CA that is configured, too, has signed this CRL. */
static bool is_signed(const struct trust *t, X509_CRL *crl)
{
	for (unsigned i = 0; i < t->count; i++) {
		X509 *ca = cert_x509(t->v[i].cert);

		if (!t->v[i].pinned &&
		    X509_NAME_cmp(X509_get_subject_name(ca), X509_CRL_get_issuer(crl)) == 0 &&
		    X509_CRL_verify(crl, X509_get0_pubkey(ca)) == 1)
			return true;
	}
	return false;
}

/*
 * Whether the CA above this anchor has revoked it. libcrypto's path ends at the anchor, so that it
 * does not find the CRL.
 */
static bool is_listed(const struct trust *t, X509 *anchor)
{
	for (unsigned i = 0; i < t->crl_count; i++) {
		X509_CRL *crl = t->crls[i]->x;
		X509_REVOKED *entry;

		if (X509_NAME_cmp(X509_get_issuer_name(anchor), X509_CRL_get_issuer(crl)) == 0 &&
		    X509_CRL_get0_by_cert(crl, &entry, anchor) == 1 && is_signed(t, crl))
			return true;
	}
	return false;
}

/* What libcrypto does not ask of the anchor at the end of the path; why: see trust_verify. */
static bool is_good_anchor(const struct trust *t, X509_STORE_CTX *x, char *why)
{
	STACK_OF(X509) *path = X509_STORE_CTX_get0_chain(x);
	int n = sk_X509_num(path);
	X509 *last = sk_X509_value(path, n - 1);
	const struct anchor *a = is_anchor(t, last);

	/* A pinned certificate is trusted itself, and makes no others trusted. */
	if (a && a->pinned && n > 1)
		return false;
	if (!a || !is_listed(t, last))
		return true;
	snprintf(why, TRUST_WHY_MAX, "certificate revoked%s", n > 1 ? " (a CA above it)" : "");
	return false;
}

/* Whether a certificate for which there is no CRL, or only one that is out of date, will do. */
static bool may_lack_crl(const struct check *c, const X509 *x)
{
	switch (c->revocation) {
	case REVOCATION_RELAXED: return true;
	case REVOCATION_IFURI:
		return X509_get_ext_by_NID(x, NID_crl_distribution_points, -1) < 0 &&
		       X509_get_ext_by_NID(x, NID_info_access, -1) < 0;
	case REVOCATION_STRICT: return false;
	}
	return false;
}

static int on_error(int ok, X509_STORE_CTX *x)
{
	const struct check *c = X509_STORE_CTX_get_app_data(x);
	const X509 *current;

	if (ok)
		return 1;
	current = X509_STORE_CTX_get_current_cert(x);
	switch (X509_STORE_CTX_get_error(x)) {
	case X509_V_ERR_UNABLE_TO_GET_CRL:
	case X509_V_ERR_CRL_HAS_EXPIRED:
	case X509_V_ERR_CRL_NOT_YET_VALID:
	case X509_V_ERR_DIFFERENT_CRL_SCOPE:
		return is_anchor(c->trust, current) != NULL || may_lack_crl(c, current);
	case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
	case X509_V_ERR_KEYUSAGE_NO_CRL_SIGN:
	case X509_V_ERR_CRL_SIGNATURE_FAILURE:
		/* The CA above a trust anchor, which signed this CRL, need not be known. */
		return is_anchor(c->trust, current) != NULL;
	default: return 0;
	}
}

static void say(X509_STORE_CTX *x, char *why)
{
	int e = X509_STORE_CTX_get_error(x), depth = X509_STORE_CTX_get_error_depth(x);

	snprintf(why, TRUST_WHY_MAX, "%s%s",
		 e == X509_V_OK ? "it cannot be checked" : X509_verify_cert_error_string(e),
		 depth > 0 ? " (a CA above it)" : "");
}

static void set_rules(X509_STORE_CTX *x, const struct check *c, int64_t when)
{
	X509_VERIFY_PARAM *p = X509_STORE_CTX_get0_param(x);
	unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST;

	if (c->trust->crl_count || c->revocation != REVOCATION_RELAXED)
		flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
	if (when == CERT_NO_TIME)
		flags |= X509_V_FLAG_NO_CHECK_TIME;
	else
		X509_VERIFY_PARAM_set_time(p, (time_t)when);
	X509_VERIFY_PARAM_set_flags(p, flags);
	X509_VERIFY_PARAM_set_depth(p, CHAIN_MAX);
	X509_VERIFY_PARAM_set_auth_level(p, STRENGTH);
}

int trust_verify(const struct trust *t, const struct cert_chain *chain, enum revocation r,
		 int64_t when, char *why)
{
	struct check check = {.trust = t, .revocation = r};
	X509_STORE_CTX *x = X509_STORE_CTX_new();
	STACK_OF(X509) *others = sk_X509_new_null();
	bool good = false;

	must(x && others);
	for (unsigned i = 1; i < chain->count; i++)
		must(sk_X509_push(others, cert_x509(chain->v[i])) > 0);
	snprintf(why, TRUST_WHY_MAX, "no CA issued it");
	if (chain->count && X509_STORE_CTX_init(x, t->store, cert_x509(chain->v[0]), others) == 1) {
		set_rules(x, &check, when);
		X509_STORE_CTX_set_app_data(x, &check);
		X509_STORE_CTX_set_verify_cb(x, on_error);
		good = X509_verify_cert(x) == 1;
		if (!good)
			say(x, why);
		else
			good = is_good_anchor(t, x, why);
	}
	X509_STORE_CTX_free(x);
	sk_X509_free(others);
	ERR_clear_error();
	return good ? 0 : -EKEYREJECTED;
}
