/* tls_client.c - see tls_client.h. SPDX-License-Identifier: ISC */
#include "crypto/tls_client.h"
#include "crypto/cert_ossl.h"
#include "crypto/pkey_ossl.h"
#include "xalloc.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>

#define HANDSHAKE_MOST 65536 /* bytes of one handshake message */
/* Ephemeral keys, and authenticated encryption or HMAC with SHA-1 or more. */
#define CIPHERS_1_2 "DEFAULT:!kRSA:!aNULL:!eNULL:!PSK:!SRP:!DSS"

struct tls_client {
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in, *out; /* of ssl */
	tls_admit *admit;
	void *admit_ctx;
	bool complete, refused;
	char why[TLS_WHY_MAX];
};

/* ---- the server's certificates ---- */

/* As the project has them; those that it does not take are left out, but for the server's own. */
static bool to_chain(X509_STORE_CTX *x, struct cert_chain *ret)
{
	STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(x);

	for (int i = 0; i < sk_X509_num(sent) && ret->count < CHAIN_MAX; i++) {
		X509 *one = sk_X509_value(sent, i);
		struct cert *c = X509_up_ref(one) == 1 ? cert_adopt(one) : NULL;

		if (c)
			ret->v[ret->count++] = c;
		else if (i == 0)
			return false;
	}
	return ret->count > 0;
}

static int on_certificates(X509_STORE_CTX *x, void *arg)
{
	struct tls_client *t = arg;
	char why[TRUST_WHY_MAX] = "malformed, or with a key of another kind";
	struct cert_chain chain = {0};
	bool good = to_chain(x, &chain) && t->admit(t->admit_ctx, &chain, why);

	if (!good) {
		snprintf(t->why, sizeof(t->why), "its certificate: %s", why);
		X509_STORE_CTX_set_error(x, X509_V_ERR_CERT_UNTRUSTED);
	}
	cert_chain_fini(&chain);
	return good;
}

/* ---- the handshake ---- */

static bool set_rules(SSL_CTX *c)
{
	/*
	 * strongSwan does not announce secure renegotiation (RFC 5746). What that guards against,
	 * data of another before our handshake, has no meaning here: there is no data.
	 */
	SSL_CTX_set_options(c, SSL_OP_LEGACY_SERVER_CONNECT);
	SSL_CTX_set_options(c, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_cert_list(c, HANDSHAKE_MOST);
	SSL_CTX_set_security_level(c, 2);
	return SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_cipher_list(c, CIPHERS_1_2) == 1;
}

static bool set_ours(SSL_CTX *c, const struct pkey *key, const struct cert_chain *ours)
{
	bool good = SSL_CTX_use_certificate(c, cert_x509(ours->v[0])) == 1 &&
		    SSL_CTX_use_PrivateKey(c, pkey_evp(key)) == 1 &&
		    SSL_CTX_check_private_key(c) == 1;

	for (unsigned i = 1; good && i < ours->count; i++)
		good = SSL_CTX_add1_chain_cert(c, cert_x509(ours->v[i])) == 1;
	return good;
}

static bool set_bios(struct tls_client *t)
{
	t->ssl = SSL_new(t->ctx);
	t->in = BIO_new(BIO_s_mem());
	t->out = BIO_new(BIO_s_mem());
	if (!t->ssl || !t->in || !t->out) {
		BIO_free(t->in);
		BIO_free(t->out);
		return false;
	}
	SSL_set_bio(t->ssl, t->in, t->out);
	SSL_set_connect_state(t->ssl);
	return true;
}

struct tls_client *tls_client_new(const struct pkey *key, const struct cert_chain *ours,
				  tls_admit *admit, void *ctx)
{
	struct tls_client *t = xzalloc(sizeof(*t));
	bool good;

	t->admit = admit;
	t->admit_ctx = ctx;
	t->ctx = SSL_CTX_new(TLS_client_method());
	good = t->ctx && ours->count && set_rules(t->ctx) && set_ours(t->ctx, key, ours);
	if (good) {
		SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
		SSL_CTX_set_cert_verify_callback(t->ctx, on_certificates, t);
		good = set_bios(t);
	}
	ERR_clear_error();
	if (good)
		return t;
	tls_client_free(t);
	return NULL;
}

void tls_client_free(struct tls_client *t)
{
	if (!t)
		return;
	SSL_free(t->ssl); /* with its BIOs */
	SSL_CTX_free(t->ctx);
	free(t);
}

/* Passes bytes of the server to libssl, and forgets the last output. */
static void give(struct tls_client *t, struct chunk in)
{
	(void)BIO_reset(t->out);
	ERR_clear_error();
	if (in.len && BIO_write(t->in, in.p, (int)in.len) != (int)in.len)
		abort(); /* out of memory */
}

static void say(struct tls_client *t)
{
	unsigned long error = ERR_peek_error();
	const char *reason = ERR_reason_error_string(error);

	if (!*t->why) {
		snprintf(t->why, sizeof(t->why), "%s", reason ? reason : "it broke the protocol");
		t->refused = ERR_GET_LIB(error) == ERR_LIB_SSL &&
			     ERR_GET_REASON(error) >= SSL_AD_REASON_OFFSET;
	}
	ERR_clear_error();
}

enum tls_step tls_client_step(struct tls_client *t, struct chunk in)
{
	int r;

	give(t, in);
	r = SSL_do_handshake(t->ssl);
	t->complete = r == 1;
	if (t->complete)
		return TLS_STEP_DONE;
	if (SSL_get_error(t->ssl, r) == SSL_ERROR_WANT_READ)
		return TLS_STEP_MORE;
	say(t);
	return TLS_STEP_FAILED;
}

struct chunk tls_client_output(const struct tls_client *t)
{
	char *p;
	long len = BIO_get_mem_data(t->out, &p);

	return (struct chunk){(const uint8_t *)p, (size_t)len};
}

int tls_client_read(struct tls_client *t, struct chunk in, uint8_t *out, size_t cap)
{
	int r;

	give(t, in);
	r = SSL_read(t->ssl, out, (int)cap);
	if (r > 0)
		return r;
	if (SSL_get_error(t->ssl, r) == SSL_ERROR_WANT_READ)
		return 0;
	say(t);
	return -EPROTO;
}

bool tls_client_is_1_3(const struct tls_client *t)
{
	return SSL_version(t->ssl) == TLS1_3_VERSION;
}

int tls_client_export(struct tls_client *t, const char *label, struct chunk context, uint8_t *out,
		      size_t len)
{
	int r = 0;

	if (t->complete)
		r = SSL_export_keying_material(t->ssl, out, len, label, strlen(label), context.p,
					       context.len, context.p != NULL);
	ERR_clear_error();
	return r == 1 ? 0 : -EINVAL;
}

const char *tls_client_why(const struct tls_client *t)
{
	return t->why;
}

bool tls_client_is_refused(const struct tls_client *t)
{
	return t->refused;
}
