/*
 * tls_client.h - the client of one TLS handshake (1.2 or 1.3), for EAP-TLS: bytes in, bytes out.
 * SPDX-License-Identifier: ISC
 *
 * Both sides authenticate by certificates. There is no session resumption, renegotiation, or early
 * data.
 */
#ifndef MENDIP_TLS_CLIENT_H
#define MENDIP_TLS_CLIENT_H

#include "crypto/trust.h"

#define TLS_WHY_MAX (TRUST_WHY_MAX + 40)

struct tls_client;

/*
 * Whether the server may have this chain of certificates, its own first; false with the reason in
 * `why` (TRUST_WHY_MAX bytes).
 */
typedef bool tls_admit(void *ctx, const struct cert_chain *chain, char *why);

enum tls_step {
	TLS_STEP_MORE,	 /* the handshake goes on with more bytes of the server */
	TLS_STEP_DONE,	 /* it is complete: the server is authenticated */
	TLS_STEP_FAILED, /* tls_client_why; the output may hold an alert for the server */
};

/*
 * key: our private key; ours: its certificate and those above it, not empty; tls_client takes
 * references. NULL: they do not fit each other, or libssl fails.
 */
struct tls_client *tls_client_new(const struct pkey *key, const struct cert_chain *ours,
				  tls_admit *admit, void *ctx);
/* Wipes its keys. Takes NULL. */
void tls_client_free(struct tls_client *t);
/* Goes on with what the server has sent; at first with nothing. Replaces the output. */
enum tls_step tls_client_step(struct tls_client *t, struct chunk in);
/* What is to be sent to the server; valid until the next step. */
struct chunk tls_client_output(const struct tls_client *t);
/*
 * After the handshake: reads application data of the server from its bytes. Returns the number of
 * bytes written to out (at most cap), 0 if there are none yet; -EPROTO: it broke the protocol.
 * Replaces the output.
 */
int tls_client_read(struct tls_client *t, struct chunk in, uint8_t *out, size_t cap) MUST_CHECK;
/* Whether TLS 1.3 was agreed on. */
bool tls_client_is_1_3(const struct tls_client *t);
/*
 * Writes len bytes of keying material (RFC 5705, RFC 8446 7.5) to out. context: p NULL for none.
 * -EINVAL: the handshake is not complete.
 */
int tls_client_export(struct tls_client *t, const char *label, struct chunk context, uint8_t *out,
		      size_t len) MUST_CHECK;
/* Why the last step failed; printable. */
const char *tls_client_why(const struct tls_client *t);
/* It failed by an alert of the server. */
bool tls_client_is_refused(const struct tls_client *t);

#endif
