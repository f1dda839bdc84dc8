/*
 * kex.h - key exchange: MODP, ECP, X25519, X448 and ML-KEM. SPDX-License-Identifier: ISC
 *
 * Public values have the form of the KE payload: MODP big-endian, padded to the length of the prime
 * (RFC 7296 3.4); ECP x | y (RFC 5903 7, RFC 6954 2); X25519 32 and X448 56 bytes (RFC 8031). With
 * ML-KEM (FIPS 203, draft-ietf-ipsecme-ikev2-mlkem) the initiator's is an encapsulation key, the
 * responder's a ciphertext for it.
 */
#ifndef MENDIP_KEX_H
#define MENDIP_KEX_H

#include "base.h"
#include "wire.h"
#include "crypto/suite.h"

#define KEX_MAX_PUBLIC 1568
#define KEX_MAX_SECRET 1024

struct kex;

/* "x25519", "modp2048", "ecp256" as in swanctl.conf; NULL for an unknown group. */
const char *kex_name(uint16_t group);
/* The length of the initiator's public value in bytes; 0 for an unknown group. */
size_t kex_public_len(uint16_t group);
/* Whether it is a KEM, which only additional key exchanges may use: IKE_SA_INIT is not fragmented.
 */
bool kex_is_kem(uint16_t group);
/*
 * Whether libcrypto, as it is now loaded, has the group: ML-KEM came with OpenSSL 3.5, and one that
 * was built for a distribution with fewer curves may lack those of brainpool.
 */
bool kex_available(uint16_t group);
/* The version of libcrypto, static text. */
const char *kex_library(void);

/*
 * Generates a private key, to be freed with kex_free. NULL if the group is unknown or libcrypto
 * fails.
 */
struct kex *kex_new(uint16_t group);
/*
 * As responder: generates our half, whose kex_public is the answer to the initiator's value, and
 * writes the shared secret as kex_derive does. NULL if that value is not valid, or libcrypto fails.
 */
struct kex *kex_respond(uint16_t group, struct chunk peer, uint8_t *secret, size_t *ret_len);
/*
 * As kex_new, from a given private key of len bytes, for test vectors: a big-endian number, or the
 * 32 or 56 bytes of X25519 and X448. NULL for ML-KEM.
 */
struct kex *kex_from_private(uint16_t group, const uint8_t *priv, size_t len);
/* Cleanses and frees; takes NULL. */
void kex_free(struct kex *k);
uint16_t kex_group(const struct kex *k);
/* Our public value, valid as long as k. */
struct chunk kex_public(const struct kex *k);
/*
 * Of a half from kex_new: writes the shared secret to secret[KEX_MAX_SECRET] and its length in
 * bytes to *ret_len (MODP: padded to the prime). -EINVAL if the peer's value has the wrong length
 * or fails the checks of RFC 6989 (range, point on curve), or if X25519 or X448 yields zeros (RFC
 * 7748 6). A ciphertext of ML-KEM that is not for our key gives another secret, which shows later
 * (FIPS 203 6.3). The caller cleanses secret.
 */
int kex_derive(const struct kex *k, struct chunk peer, uint8_t *secret, size_t *ret_len) MUST_CHECK;

#endif
