/*
 * checksum.h - the Internet checksum (RFC 1071), alone and fused with a copy.
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_CHECKSUM_H
#define MENDIP_CHECKSUM_H

#include "base.h"

/*
 * The one's complement sum of 16-bit words in network byte order over len bytes, folded, not
 * inverted; an odd last byte counts as the high half of a word. sum is a start value, such as what
 * an earlier call gave for an even number of bytes before these. Any alignment.
 */
uint16_t csum(const uint8_t *p, size_t len, uint32_t sum);
/* The same, and copies the bytes to dst, which does not overlap them. */
uint16_t csum_copy(uint8_t *dst, const uint8_t *p, size_t len, uint32_t sum);
/* Takes 32 bits of such sums to 16. */
uint16_t csum_fold(uint32_t sum);

#endif
