/*
 * authenticator.h - makes and verifies AUTH payloads, by method (RFC 7296 2.15, 3.8).
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
 * The octets that one side signs, InitiatorSignedOctets or ResponderSignedOctets of RFC 7296 2.15:
 * message | nonce | prf(sk_p, id). Nothing in it is owned.
 */
struct auth_octets {
	enum hash_alg prf;
	struct chunk message; /* its IKE_SA_INIT message */
	struct chunk nonce;   /* the other side's */
	const uint8_t *sk_p;  /* its SK_pi or SK_pr, hash_len(prf) bytes */
	struct chunk id;      /* the body of its ID payload */
};

/* Where a method finds its secrets, and the two identities that they are for; none is owned. */
struct auth_identities {
	const struct psk_store *psks;
	const struct ident *local, *remote;
};

struct authenticator {
	uint8_t method; /* the number in the AUTH payload */
	/*
	 * Writes our AUTH data to out, which has AUTH_DATA_MAX bytes. Returns its length; -ENOKEY:
	 * there is no secret for these identities.
	 */
	int (*make)(const struct auth_octets *o, const struct auth_identities *i, uint8_t *out);
	/* Whether who made this data has the secret; false, too, if we have none for it. */
	bool (*verify)(const struct auth_octets *o, const struct auth_identities *i,
		       struct chunk data) MUST_CHECK;
};

extern const struct authenticator auth_psk;

/* The method with this number; NULL: we do not have it. */
const struct authenticator *authenticator_of(uint8_t method);

#endif
