/*
 * authenticator.h - the AUTH payload by method: made, and verified (RFC 7296 2.15, 3.8).
 * SPDX-License-Identifier: ISC
 *
 * A method says what AUTH data shows that its sender has a secret; which octets it covers is the
 * same for all of them. Another method is a file with its struct authenticator, a row in
 * authenticator.c, its credentials in struct auth_identities, and room in AUTH_DATA_MAX.
 */
#ifndef MENDIP_AUTHENTICATOR_H
#define MENDIP_AUTHENTICATOR_H

#include "auth/psk.h"
#include "crypto/hash.h"

#define AUTH_DATA_MAX HASH_MAX_LEN

/*
 * What one side signs, InitiatorSignedOctets or ResponderSignedOctets of RFC 7296 2.15:
 * message | nonce | prf(sk_p, id).
 */
struct auth_octets {
	enum hash_alg prf;
	struct chunk message; /* its IKE_SA_INIT message */
	struct chunk nonce;   /* the other side's */
	const uint8_t *sk_p;  /* its SK_p, as long as the PRF's output */
	struct chunk id;      /* the body of its ID payload */
};

/* Where a method finds its secrets, and for whom. */
struct auth_identities {
	const struct psk_store *psks;
	const struct ident *local, *remote;
};

struct authenticator {
	uint8_t method; /* of the AUTH payload */
	/* Writes our AUTH data to out (AUTH_DATA_MAX bytes). Its length; -ENOKEY: there is no
	 * secret. */
	int (*make)(const struct auth_octets *o, const struct auth_identities *i, uint8_t *out);
	/* Whether who made this data has the secret; false, too, if we have none for it. */
	bool (*verify)(const struct auth_octets *o, const struct auth_identities *i,
		       struct chunk data) MUST_CHECK;
};

extern const struct authenticator auth_psk;

/* The one for the number in an AUTH payload, or NULL: we have no such method. */
const struct authenticator *authenticator_of(uint8_t method);

#endif
