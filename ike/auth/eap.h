/*
 * eap.h - the peer's side of one EAP conversation (RFC 3748), by which we authenticate to a gateway
 * (RFC 7296 2.16): EAP-MSCHAPv2 and EAP-TLS. SPDX-License-Identifier: ISC
 *
 * It knows no IKE SA: packets of the server in, our responses out. Begin it only when the gateway
 * is authenticated. The methods give a key, the MSK, and they authenticate the server too: success
 * without that is none.
 */
#ifndef MENDIP_EAP_H
#define MENDIP_EAP_H

#include "auth/credentials.h"
#include "auth/psk.h"
#include "crypto/random.h"

#define EAP_MSK	    64
#define EAP_OUT_MAX 1280 /* bytes of a packet of ours */
#define EAP_WHY_MAX 320
#define EAP_ROUNDS  100 /* requests of the server in one conversation */

/* What it needs of the configuration; eap_new copies it or takes references. */
struct eap_setup {
	enum auth_kind kind;   /* AUTH_KIND_EAP_... */
	struct chunk identity; /* at most EAP_ID_MAX bytes */
	struct rng *rng;       /* must outlive it */
	/* EAP-MSCHAPv2 */
	struct chunk password; /* in UTF-8 */
	/* EAP-TLS */
	const struct conn_creds *creds; /* our key and chain, and what makes the server trusted */
	const struct ident *server;	/* the identity that its certificate must have */
	enum revocation revocation;
	int64_t when; /* seconds since 1970, for validity */
};

enum eap_result {
	EAP_RESPONDS, /* our packet is to be sent */
	EAP_SUCCEEDS, /* each side has accepted the other: eap_msk */
	EAP_FAILS,    /* it is over: eap_why */
};

struct eap;
/* NULL with static text in *ret_why: the credentials cannot be used. */
struct eap *eap_new(const struct eap_setup *s, const char **ret_why);
/* Wipes its keys. Takes NULL. */
void eap_free(struct eap *e);
/*
 * Handles a packet of the server, the body of an EAP payload (RFC 7296 3.16). With EAP_RESPONDS our
 * packet is in `out`, which has EAP_OUT_MAX bytes. Not to be called after EAP_SUCCEEDS or
 * EAP_FAILS.
 */
enum eap_result eap_receive(struct eap *e, struct chunk packet, struct writer *out);
/* EAP_MSK bytes, after EAP_SUCCEEDS; they belong to e. */
const uint8_t *eap_msk(const struct eap *e);
/*
 * Why it failed: printable ASCII; empty: it has not. That may be there before EAP_FAILS, while the
 * server is told, or has still to say its EAP-Failure.
 */
const char *eap_why(const struct eap *e);
/* With eap_why: the server refuses us; otherwise we refuse it. */
bool eap_is_refused(const struct eap *e);
/* The text of the notification that the last packet was, in printable ASCII; NULL: it was none. */
const char *eap_notice(const struct eap *e);

#endif
