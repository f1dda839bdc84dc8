/*
 * checksum.h - the Internet checksum (RFC 1071), alone and fused with a copy.
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_CHECKSUM_H
#define MENDIP_CHECKSUM_H

#include <endian.h>

#include "base.h"

/*
 * The one's complement sum of 16-bit words in network byte order over len bytes, folded, not
 * inverted; an odd last byte counts as the high half of a word. sum is a start value, such as the
 * result for an even number of bytes before these. p may have any alignment.
 */
uint16_t csum(const uint8_t *p, size_t len, uint32_t sum);
/* As csum, and copies the bytes to dst, which does not overlap them. */
uint16_t csum_copy(uint8_t *dst, const uint8_t *p, size_t len, uint32_t sum);
/* Folds a sum of such words from 32 bits to 16. */
static inline uint16_t csum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/*
 * The same sum in parts. A part is not folded yet, and is in the byte order of memory. Parts that
 * begin at even offsets may be added up in any order; csum_end turns the total into what csum
 * gives. csum_words takes a multiple of 4 bytes, as headers have.
 */
static inline uint64_t csum_words(const uint8_t *p, size_t len)
{
	uint64_t sum = 0;
	uint32_t w;

	for (; len >= 4; p += 4, len -= 4) {
		memcpy(&w, p, 4);
		sum += w;
	}
	return sum;
}

/* The part of the number n, as it would stand in 32 bits of a header. */
static inline uint64_t csum_number(uint32_t n)
{
	return htobe32(n);
}

/* The part of any number of bytes, which are also copied to dst. */
uint64_t csum_copy_part(uint8_t *dst, const uint8_t *p, size_t len);

static inline uint16_t csum_end(uint64_t part)
{
	part = (part & UINT32_MAX) + (part >> 32);
	part = (part & UINT32_MAX) + (part >> 32);
	return be16toh(csum_fold((uint32_t)part));
}

#endif
