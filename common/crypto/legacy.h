/*
 * legacy.h - MD4 and DES, which MS-CHAPv2 (RFC 2759) cannot do without and nothing else may use.
 * SPDX-License-Identifier: ISC
 *
 * libcrypto has them in its legacy provider, a module of its own. It is loaded at the first call
 * that finds it, into a library context of its own: no other part of libcrypto gets these
 * algorithms by it.
 */
#ifndef MENDIP_LEGACY_H
#define MENDIP_LEGACY_H

#include "base.h"
#include "wire.h"

#define MD4_LEN	    16
#define DES_KEY_LEN 7 /* 56 bits, without parity */
#define DES_BLOCK   8

/* Whether the provider can be loaded; the functions below fail if not. */
bool legacy_is_available(void);
/* Writes the MD4 of the data (RFC 1320). -ENOTSUP: see legacy_is_available. */
int legacy_md4(struct chunk data, uint8_t out[MD4_LEN]) MUST_CHECK;
/* Encrypts one block by DES (FIPS 46-3); in and out may be the same. -ENOTSUP as above. */
int legacy_des(const uint8_t key[DES_KEY_LEN], const uint8_t in[DES_BLOCK],
	       uint8_t out[DES_BLOCK]) MUST_CHECK;

#endif
