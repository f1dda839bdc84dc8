/* cred_parse.h - certificates, keys and CRLs in the formats of files. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_CRED_PARSE_H
#define MENDIP_CRED_PARSE_H

#include "crypto/trust.h"

#define CRED_WHY_MAX 200

/* What one file holds, in its order; each with a reference. */
struct cred_items {
	const struct cert **certs;
	const struct crl **crls;
	const struct pkey **keys; /* private and public ones */
	unsigned cert_count, crl_count, key_count;
};

/*
 * Reads PEM, with any number of objects, DER, or a PKCS#12 container. password: for what is
 * encrypted, or NULL. Free *ret with cred_items_free. -EINVAL with the reason in `why`
 * (CRED_WHY_MAX bytes): nothing in it can be read, something is malformed or has a key that
 * pkey_from_spki does not take, or the password is missing or wrong; *ret is empty then.
 */
int cred_parse(struct chunk content, const char *password, struct cred_items *ret,
	       char *why) MUST_CHECK;
/* Drops the references. */
void cred_items_free(struct cred_items *i);

#endif
