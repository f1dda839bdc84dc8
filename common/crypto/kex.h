/*
 * kex.h - key exchange: MODP, ECP and X25519. SPDX-License-Identifier: ISC
 *
 * Public values are in the form of the KE payload: MODP big-endian, padded to the prime's length
 * (RFC 7296 3.4); ECP x | y (RFC 5903 7); X25519 32 bytes (RFC 8031).
 */
#ifndef MENDIP_KEX_H
#define MENDIP_KEX_H

#include "base.h"
#include "wire.h"
#include "crypto/suite.h"

#define KEX_MAX_PUBLIC 512
#define KEX_MAX_SECRET 512

struct kex;

/* "x25519", "modp2048", "ecp256" as in swanctl.conf; NULL for an unknown group. */
const char *kex_name(uint16_t group);
/* Bytes of a public value; 0 for an unknown group. */
size_t kex_public_len(uint16_t group);

/* A fresh private key; NULL for an unknown group. */
struct kex *kex_new(uint16_t group);
/* A given private key, for test vectors: big-endian number, or 32 bytes for X25519. */
struct kex *kex_from_private(uint16_t group, const uint8_t *priv, size_t len);
void kex_free(struct kex *k);
uint16_t kex_group(const struct kex *k);
/* Our public value, kex_public_len bytes. Lives as long as k. */
struct chunk kex_public(const struct kex *k);
/*
 * The shared secret into secret[KEX_MAX_SECRET]; its length to *ret_len (MODP: padded to the
 * prime). -EINVAL when the peer's value fails the checks of RFC 6989 (range, point on curve), or
 * X25519 yields zeros (RFC 7748 6.1). The caller cleanses secret.
 */
int kex_derive(const struct kex *k, struct chunk peer, uint8_t *secret, size_t *ret_len) MUST_CHECK;

#endif
