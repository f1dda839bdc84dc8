/*
 * mschap.h - the computations of MS-CHAPv2 (RFC 2759) and its keys (RFC 3079).
 * SPDX-License-Identifier: ISC
 *
 * All of it rests on MD4 and DES, and falls to whoever can try 2^56 keys: it is used only inside an
 * IKE SA whose responder has authenticated by other means.
 */
#ifndef MENDIP_MSCHAP_H
#define MENDIP_MSCHAP_H

#include "base.h"
#include "wire.h"

#define MSCHAP_CHALLENGE    16
#define MSCHAP_RESPONSE	    24
#define MSCHAP_PROOF	    20 /* the authenticator response, in bytes */
#define MSCHAP_MSK	    64
#define MSCHAP_PASSWORD_MAX 256 /* units of UTF-16 */

/* What one authentication is about. Nothing in it is owned. */
struct mschap {
	uint8_t auth_challenge[MSCHAP_CHALLENGE]; /* the authenticator's */
	uint8_t peer_challenge[MSCHAP_CHALLENGE]; /* ours */
	struct chunk user;			  /* a domain and "\" before it are left out */
	struct chunk password;			  /* in UTF-8 */
};

/* Whether the password is UTF-8 of at most MSCHAP_PASSWORD_MAX units of UTF-16, and not empty. */
bool mschap_is_password(struct chunk password);
/*
 * Computes the NT-Response that answers the challenge (RFC 2759 8.1), the authenticator response
 * that its receiver must give (8.7), and the MSK: MasterReceiveKey and MasterSendKey of the
 * authenticator, each of 128 bits (RFC 3079 3.4), and zeros. -EINVAL: no such password; -ENOTSUP:
 * there is no MD4 or DES (crypto/legacy.h). Wipe proof and msk after use.
 */
int mschap_compute(const struct mschap *m, uint8_t response[MSCHAP_RESPONSE],
		   uint8_t proof[MSCHAP_PROOF], uint8_t msk[MSCHAP_MSK]) MUST_CHECK;

#endif
