/* expiry.h - tells before certificates and CRLs end. SPDX-License-Identifier: ISC */
#ifndef MENDIP_EXPIRY_H
#define MENDIP_EXPIRY_H

#include "expiry_text.h"
#include "ike.h"

/* Called with one line about one certificate or CRL; peer: whose it is, or NULL: configured. */
typedef void expiry_tell(void *ctx, const struct ident *peer, const char *line);

/*
 * Calls tell for what has ended or ends soon: our certificates, CAs and certificates of peers in
 * the credentials, each once, CRLs in the last tenth of their time, and the certificates by which
 * the peers of ike's SAs have authenticated. now: seconds since 1970. creds and ike may be NULL.
 */
void expiry_look(const struct cred_store *creds, const struct ike *ike, int64_t now,
		 expiry_tell *tell, void *ctx);
enum expiry_kind { EXPIRY_OWN, EXPIRY_CA, EXPIRY_PEER, EXPIRY_CRL, EXPIRY_KINDS };
/* "own", "ca", "peer" or "crl". */
const char *expiry_kind_name(enum expiry_kind kind);
/* Called with the end of a connection's certificates or CRLs, in seconds since 1970. */
typedef void expiry_end(void *ctx, const char *conn, enum expiry_kind kind, int64_t end);
/*
 * Calls tell_end for each connection at most once per kind, with the earliest end: of our own
 * chain, of CAs, of the certificates that the peer may have, and the next update of CRLs. A kind
 * without an end is left out. creds may be NULL.
 */
void expiry_ends(const struct cred_store *creds, expiry_end *tell_end, void *ctx);
/* The certificate's subject as text, in s, which has IDENT_STRLEN bytes; "?" for one without. */
const char *expiry_subject(const struct cert *c, char *s);

#endif
