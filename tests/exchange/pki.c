/* pki.c - see pki.h. SPDX-License-Identifier: ISC */
#include "pki.h"
#include "crypto/cert_ossl.h"
#include "crypto/pkey_ossl.h"
#include "xalloc.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

/* A failure here is one of the test. */
static void must(bool ok)
{
	if (!ok)
		abort();
}

/* What lasts until the process ends is in here, so that it is no leak to AddressSanitizer. */
static const void **kept;

static void keep(const void *p)
{
	static unsigned count;

	kept = xreallocarray(kept, count + 1, sizeof(*kept));
	kept[count++] = p;
}

static EVP_PKEY *new_key(enum pki_kind kind)
{
	EVP_PKEY_CTX *c;
	EVP_PKEY *k = NULL;

	switch (kind) {
	case PKI_RSA: return EVP_RSA_gen(2048);
	case PKI_RSA_3072: return EVP_RSA_gen(3072);
	case PKI_RSA_1024: return EVP_RSA_gen(1024);
	case PKI_P256: return EVP_EC_gen("P-256");
	case PKI_P384: return EVP_EC_gen("P-384");
	case PKI_P521: return EVP_EC_gen("P-521");
	case PKI_SECP256K1: return EVP_EC_gen("secp256k1");
	case PKI_ED25519: return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	case PKI_ED448: return EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
	case PKI_P256_EXPLICIT: break;
	}
	c = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	must(EVP_PKEY_keygen_init(c) == 1 &&
	     EVP_PKEY_CTX_set_ec_paramgen_curve_nid(c, NID_X9_62_prime256v1) == 1 &&
	     EVP_PKEY_CTX_set_ec_param_enc(c, OPENSSL_EC_EXPLICIT_CURVE) == 1 &&
	     EVP_PKEY_generate(c, &k) == 1);
	EVP_PKEY_CTX_free(c);
	return k;
}

static void set_name(X509_NAME *name, const char *subject)
{
	char copy[400], *save = NULL;

	strncpy(copy, subject ? subject : "", sizeof(copy) - 1);
	copy[sizeof(copy) - 1] = '\0';
	for (char *s = strtok_r(copy, ",", &save); s; s = strtok_r(NULL, ",", &save)) {
		char *value = strchr(s, '=');

		*value++ = '\0';
		must(X509_NAME_add_entry_by_txt(name, s, MBSTRING_UTF8,
						(const unsigned char *)value, -1, -1, 0) == 1);
	}
}

static void extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	if (!value)
		return;
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	must(e && X509_add_ext(x, e, -1) == 1);
	X509_EXTENSION_free(e);
}

static void extend_unknown(X509 *x, const char *oid)
{
	ASN1_OCTET_STRING *data = ASN1_OCTET_STRING_new();
	ASN1_OBJECT *type;
	X509_EXTENSION *e;

	if (oid) {
		type = OBJ_txt2obj(oid, 1);
		must(ASN1_OCTET_STRING_set(data, (const unsigned char *)"\x05\x00", 2) == 1);
		e = X509_EXTENSION_create_by_OBJ(NULL, type, 1, data);
		must(e && X509_add_ext(x, e, -1) == 1);
		X509_EXTENSION_free(e);
		ASN1_OBJECT_free(type);
	}
	ASN1_OCTET_STRING_free(data);
}

static const EVP_MD *hash_for(EVP_PKEY *signer, bool sha1)
{
	int id = EVP_PKEY_get_base_id(signer);

	if (id == EVP_PKEY_ED25519 || id == EVP_PKEY_ED448)
		return NULL;
	return sha1 ? EVP_sha1() : EVP_sha256();
}

struct pki *pki_make(const struct pki_spec *s)
{
	static long serial = 1;
	struct pki *p = xzalloc(sizeof(*p));
	EVP_PKEY *signer;

	p->key = s->key_of ? s->key_of->key : new_key(s->kind);
	p->x = X509_new();
	signer = s->issuer ? s->issuer->key : p->key;
	must(X509_set_version(p->x, 2) == 1 &&
	     ASN1_INTEGER_set(X509_get_serialNumber(p->x), serial++) == 1 &&
	     ASN1_TIME_set(X509_getm_notBefore(p->x), s->from ? s->from : PKI_NOW - PKI_YEAR) &&
	     ASN1_TIME_set(X509_getm_notAfter(p->x), s->until ? s->until : PKI_NOW + PKI_YEAR) &&
	     X509_set_pubkey(p->x, p->key) == 1);
	set_name(X509_get_subject_name(p->x), s->subject);
	X509_set_issuer_name(p->x, X509_get_subject_name(s->issuer ? s->issuer->x : p->x));
	extend(p->x, p->x, NID_basic_constraints, s->basic);
	extend(p->x, p->x, NID_key_usage, s->usage);
	extend(p->x, p->x, NID_ext_key_usage, s->purposes);
	extend(p->x, p->x, NID_subject_alt_name, s->san);
	extend(p->x, p->x, NID_crl_distribution_points, s->crl_at);
	extend_unknown(p->x, s->critical_oid);
	must(X509_sign(p->x, signer, hash_for(signer, s->sha1)) > 0);
	keep(p);
	return p;
}

struct pki *pki_ca(enum pki_kind kind, const char *subject, const struct pki *issuer)
{
	return pki_make(&(struct pki_spec){.kind = kind,
					   .subject = subject,
					   .basic = "critical,CA:TRUE",
					   .usage = "critical,keyCertSign,cRLSign",
					   .issuer = issuer});
}

X509_CRL *pki_crl(const struct pki *issuer, const struct pki *revoked, int64_t until)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *t = ASN1_TIME_set(NULL, PKI_NOW - 86400);
	X509_REVOKED *entry;

	must(X509_CRL_set_version(crl, 1) == 1 &&
	     X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->x)) == 1 &&
	     X509_CRL_set1_lastUpdate(crl, t) == 1);
	if (revoked) {
		entry = X509_REVOKED_new();
		must(X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked->x)) == 1 &&
		     X509_REVOKED_set_revocationDate(entry, t) == 1 &&
		     X509_CRL_add0_revoked(crl, entry) == 1);
	}
	must(ASN1_TIME_set(t, until) && X509_CRL_set1_nextUpdate(crl, t) == 1 &&
	     X509_CRL_sort(crl) == 1 &&
	     X509_CRL_sign(crl, issuer->key, hash_for(issuer->key, false)) > 0);
	ASN1_TIME_free(t);
	keep(crl);
	return crl;
}

struct cert *pki_cert(const struct pki *p)
{
	unsigned char *der = NULL;
	int len = i2d_X509(p->x, &der);
	struct cert *c = cert_from_der((struct chunk){der, (size_t)len});

	OPENSSL_free(der);
	return c;
}

struct pkey *pki_private(const struct pki *p)
{
	return pkey_adopt(p->key, true);
}

static char *text_of(BIO *bio)
{
	char *p, *text;
	long len = BIO_get_mem_data(bio, &p);

	text = xzalloc((size_t)len + 1);
	memcpy(text, p, (size_t)len);
	BIO_free(bio);
	return text;
}

char *pki_pem(const struct pki *p, bool cert, bool key)
{
	BIO *bio = BIO_new(BIO_s_mem());

	must(!cert || PEM_write_bio_X509(bio, p->x) == 1);
	must(!key || PEM_write_bio_PrivateKey(bio, p->key, NULL, NULL, 0, NULL, NULL) == 1);
	return text_of(bio);
}

char *pki_crl_pem(X509_CRL *crl)
{
	BIO *bio = BIO_new(BIO_s_mem());

	must(PEM_write_bio_X509_CRL(bio, crl) == 1);
	return text_of(bio);
}
