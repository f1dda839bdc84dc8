/* expiry.h - tells before certificates and CRLs end. SPDX-License-Identifier: ISC */
#ifndef MENDIP_EXPIRY_H
#define MENDIP_EXPIRY_H

#include "ike.h"

#define EXPIRY_WARNING \
	(30 * 86400) /* seconds before its end, from which on a certificate is told */

/* Called with one line about one certificate or CRL; peer: whose it is, or NULL: configured. */
typedef void expiry_tell(void *ctx, const struct ident *peer, const char *line);

/*
 * Calls tell for what has ended or ends soon: our certificates, CAs and certificates of peers in
 * the credentials, each once, CRLs in the last tenth of their time, and the certificates by which
 * the peers of ike's SAs have authenticated. now: seconds since 1970. creds and ike may be NULL.
 */
void expiry_look(const struct cred_store *creds, const struct ike *ike, int64_t now,
		 expiry_tell *tell, void *ctx);
/* The certificate's subject as text, in s, which has IDENT_STRLEN bytes; "?" for one without. */
const char *expiry_subject(const struct cert *c, char *s);

#endif
