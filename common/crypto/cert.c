/* cert.c - see cert.h. SPDX-License-Identifier: ISC */
#include "crypto/cert.h"
#include "crypto/cert_ossl.h"
#include "crypto/pkey_ossl.h"
#include "xalloc.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>
#include <strings.h>

struct cert {
	X509 *x;
	unsigned refs;
	struct pkey *key;
	uint8_t *der, *subject, *issuer;
	size_t der_len, subject_len, issuer_len;
};

/* A copy of what libcrypto wrote, which is freed. NULL: it failed. */
static uint8_t *own(unsigned char *der, int len, size_t *ret_len)
{
	uint8_t *copy = len > 0 ? xmemdup(der, (size_t)len) : NULL;

	*ret_len = len > 0 ? (size_t)len : 0;
	OPENSSL_free(der);
	return copy;
}

static bool copy_parts(struct cert *c)
{
	unsigned char *der = NULL, *subject = NULL, *issuer = NULL;
	int der_len = i2d_X509(c->x, &der);
	int subject_len = i2d_X509_NAME(X509_get_subject_name(c->x), &subject);
	int issuer_len = i2d_X509_NAME(X509_get_issuer_name(c->x), &issuer);

	c->der = own(der, der_len, &c->der_len);
	c->subject = own(subject, subject_len, &c->subject_len);
	c->issuer = own(issuer, issuer_len, &c->issuer_len);
	return c->der && c->subject && c->issuer;
}

struct cert *cert_adopt(X509 *x)
{
	EVP_PKEY *p = X509_get0_pubkey(x);
	struct cert *c = xzalloc(sizeof(*c));

	c->x = x;
	c->refs = 1;
	c->key = p ? pkey_adopt(p, false) : NULL;
	if (!c->key || !copy_parts(c)) {
		cert_unref(c);
		c = NULL;
	}
	ERR_clear_error();
	return c;
}

struct cert *cert_from_der(struct chunk der)
{
	const unsigned char *at = der.p;
	X509 *x = d2i_X509(NULL, &at, (long)der.len);

	if (x && at == der.p + der.len)
		return cert_adopt(x);
	X509_free(x);
	ERR_clear_error();
	return NULL;
}

/* Constant, but for the references to it. */
static struct cert *counted(const struct cert *c)
{
	return (struct cert *)c;
}

struct cert *cert_ref(const struct cert *c)
{
	counted(c)->refs++;
	return counted(c);
}

void cert_unref(const struct cert *c)
{
	if (!c || --counted(c)->refs > 0)
		return;
	X509_free(c->x);
	pkey_unref(c->key);
	free(c->der);
	free(c->subject);
	free(c->issuer);
	free(counted(c));
}

X509 *cert_x509(const struct cert *c)
{
	return c->x;
}

struct chunk cert_der(const struct cert *c)
{
	return (struct chunk){c->der, c->der_len};
}

const struct pkey *cert_key(const struct cert *c)
{
	return c->key;
}

struct chunk cert_subject(const struct cert *c)
{
	return (struct chunk){c->subject, c->subject_len};
}

struct chunk cert_issuer(const struct cert *c)
{
	return (struct chunk){c->issuer, c->issuer_len};
}

int64_t cert_time(const ASN1_TIME *t)
{
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int days, seconds;
	int64_t r = CERT_NO_TIME;

	if (t && epoch && ASN1_TIME_diff(&days, &seconds, epoch, t) == 1)
		r = (int64_t)days * 86400 + seconds;
	ASN1_TIME_free(epoch);
	return r;
}

int64_t cert_not_before(const struct cert *c)
{
	return cert_time(X509_get0_notBefore(c->x));
}

int64_t cert_not_after(const struct cert *c)
{
	return cert_time(X509_get0_notAfter(c->x));
}

bool cert_same(const struct cert *a, const struct cert *b)
{
	return a->der_len == b->der_len && memcmp(a->der, b->der, a->der_len) == 0;
}

void cert_key_id(const struct cert *c, uint8_t out[CERT_KEY_ID])
{
	struct chunk spki = pkey_spki(c->key);

	hash_compute(HASH_SHA1, &spki, 1, out);
}

/* ---- subjectAltName ---- */

static bool same_email(struct chunk a, struct chunk b)
{
	const uint8_t *at = memrchr(a.p, '@', a.len);
	size_t local = at ? (size_t)(at - a.p) : 0;

	return at && a.len == b.len && memcmp(a.p, b.p, local) == 0 &&
	       strncasecmp((const char *)a.p + local, (const char *)b.p + local, a.len - local) ==
		       0;
}

static bool same_name(enum cert_name kind, struct chunk a, struct chunk b)
{
	if (a.len == 0 || a.len != b.len || memchr(a.p, 0, kind == CERT_NAME_IP ? 0 : a.len))
		return false;
	switch (kind) {
	case CERT_NAME_DNS: return strncasecmp((const char *)a.p, (const char *)b.p, a.len) == 0;
	case CERT_NAME_EMAIL: return same_email(a, b);
	case CERT_NAME_IP: return memcmp(a.p, b.p, a.len) == 0;
	}
	return false;
}

bool cert_has_name(const struct cert *c, enum cert_name kind, struct chunk name)
{
	static const int types[] = {GEN_DNS, GEN_EMAIL, GEN_IPADD};
	GENERAL_NAMES *all = X509_get_ext_d2i(c->x, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; !found && i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
		const ASN1_STRING *s = g->type == types[kind] ? g->d.ia5 : NULL;

		if (s)
			found = same_name(kind, name,
					  (struct chunk){ASN1_STRING_get0_data(s),
							 (size_t)ASN1_STRING_length(s)});
	}
	GENERAL_NAMES_free(all);
	ERR_clear_error();
	return found;
}

/* ---- what it may be used for ---- */

/* Those of a server of TLS come first. */
static const char *const purposes[] = {"2.5.29.37.0",	     /* any */
				       "1.3.6.1.5.5.7.3.1",  /* serverAuth */
				       "1.3.6.1.5.5.7.3.2",  /* clientAuth */
				       "1.3.6.1.5.5.7.3.17", /* ipsecIKE */
				       "1.3.6.1.5.5.8.2.2"}; /* ikeIntermediate */
#define TLS_SERVER_PURPOSES 2

/* Whether extendedKeyUsage, if present, has one of the first `count` purposes. */
static bool has_purpose(const struct cert *c, size_t count)
{
	EXTENDED_KEY_USAGE *all;
	bool found = false;
	int critical = -1;
	char oid[64];

	if (!(X509_get_extension_flags(c->x) & EXFLAG_XKUSAGE))
		return true;
	all = X509_get_ext_d2i(c->x, NID_ext_key_usage, &critical, NULL);
	for (int i = 0; !found && i < sk_ASN1_OBJECT_num(all); i++) {
		OBJ_obj2txt(oid, sizeof(oid), sk_ASN1_OBJECT_value(all, i), 1);
		for (size_t k = 0; k < count; k++)
			found |= strcmp(oid, purposes[k]) == 0;
	}
	sk_ASN1_OBJECT_pop_free(all, ASN1_OBJECT_free);
	ERR_clear_error();
	return found;
}

bool cert_may_sign(const struct cert *c, const char **ret_why)
{
	uint32_t flags = X509_get_extension_flags(c->x);

	*ret_why = "an extension is malformed";
	if (flags & EXFLAG_INVALID)
		return false;
	*ret_why = "its keyUsage has neither digitalSignature nor nonRepudiation";
	if ((flags & EXFLAG_KUSAGE) &&
	    !(X509_get_key_usage(c->x) & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)))
		return false;
	*ret_why = "its extendedKeyUsage has none of serverAuth, clientAuth, ipsecIKE, "
		   "ikeIntermediate and any";
	return has_purpose(c, ARRAY_SIZE(purposes));
}

bool cert_may_serve_tls(const struct cert *c, const char **ret_why)
{
	*ret_why = "its extendedKeyUsage has neither serverAuth nor any";
	return has_purpose(c, TLS_SERVER_PURPOSES);
}
