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

#include "auth/credentials.h"
#include "auth/psk.h"
#include "crypto/hash.h"

/* A signature, and before it the length and the longest name of its algorithm (RFC 7427 3). */
#define AUTH_DATA_MAX (1 + 255 + SIGNATURE_MAX)

/*
 * The octets that one side signs, InitiatorSignedOctets or ResponderSignedOctets of RFC 7296 2.15:
 * message | nonce | prf(sk_p, id) | intauth. Nothing in it is owned.
 */
struct auth_octets {
	enum hash_alg prf;
	struct chunk message; /* its IKE_SA_INIT message */
	struct chunk nonce;   /* the other side's */
	const uint8_t *sk_p;  /* its SK_pi or SK_pr, hash_len(prf) bytes */
	struct chunk id;      /* the body of its ID payload */
	struct chunk intauth; /* RFC 9242 3.3.1; empty: there was no IKE_INTERMEDIATE exchange */
};

/* The parts of the octets, in order; maced_id has HASH_MAX_LEN bytes, which are written. */
#define AUTH_PARTS 4
void auth_parts(const struct auth_octets *o, uint8_t *maced_id, struct chunk parts[AUTH_PARTS]);

/* The two identities, and where a method finds the secrets for them; none is owned. */
struct auth_identities {
	const struct psk_store *psks;
	const struct ident *local, *remote;
	/* Of signatures: our private key, and the peer's public one, which belongs to `remote`. */
	const struct pkey *ours, *theirs;
	uint32_t hashes; /* that the peer announced, as bits 1 << enum signature_hash; 0: none */
	bool announced;	 /* we announced ours to the peer */
	bool rsa_pss;	 /* we sign by RSASSA-PSS where the peer supports RFC 7427 */
	bool rsa_sha1;	 /* RSA with SHA-1 is admitted, for peers without RFC 7427 */
};

struct authenticator {
	uint8_t method;	     /* the number in the AUTH payload */
	enum auth_kind kind; /* what a connection must ask for */
	/*
	 * Writes our AUTH data to out, which has AUTH_DATA_MAX bytes. Returns its length; -ENOKEY:
	 * there is no secret for these identities; -EPROTONOSUPPORT: none that the peer can verify.
	 */
	int (*make)(const struct auth_octets *o, const struct auth_identities *i, uint8_t *out);
	/* Whether who made this data has the secret; false, too, if we have none for it. */
	bool (*verify)(const struct auth_octets *o, const struct auth_identities *i,
		       struct chunk data) MUST_CHECK;
};

/*
 * The AUTH data by a shared secret, such as a pre-shared key or the MSK of EAP (RFC 7296 2.15,
 * 2.16): writes hash_len(prf) bytes to out and returns that length.
 */
size_t auth_make_by_secret(const struct auth_octets *o, struct chunk secret, uint8_t *out);
/* Whether the data is that; compares in constant time. */
bool auth_is_by_secret(const struct auth_octets *o, struct chunk secret, struct chunk data);

extern const struct authenticator auth_psk;
extern const struct authenticator auth_signature; /* RFC 7427 */
/* Before RFC 7427: RSA, and ECDSA with P-256, P-384 and P-521 (RFC 4754). */
extern const struct authenticator auth_rsa, auth_ecdsa_256, auth_ecdsa_384, auth_ecdsa_521;

/* The method with this number; NULL: we do not have it. */
const struct authenticator *authenticator_of(uint8_t method);
/*
 * The method by which we authenticate: of signatures that of RFC 7427 if the peer announced any
 * hash, otherwise the one for our key. NULL: there is none, as for Ed25519.
 */
const struct authenticator *authenticator_ours(enum auth_kind kind,
					       const struct auth_identities *i);

#endif
