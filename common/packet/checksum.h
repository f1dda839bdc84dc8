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
 * inverted; an odd last byte counts as the high half of a word. sum is a start value, such as what
 * an earlier call gave for an even number of bytes before these. Any alignment.
 */
uint16_t csum(const uint8_t *p, size_t len, uint32_t sum);
/* The same, and copies the bytes to dst, which does not overlap them. */
uint16_t csum_copy(uint8_t *dst, const uint8_t *p, size_t len, uint32_t sum);
/* Takes 32 bits of such sums to 16. */
static inline uint16_t csum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/*
 * The same in parts. A part is a sum that is not folded yet, in the byte order of memory; parts
 * that begin at an even place are added up in any order, and csum_end makes of them what csum
 * gives. Here len is a multiple of 4, as that of headers.
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

/* A number, as it would stand in 32 bits of a header. */
static inline uint64_t csum_number(uint32_t n)
{
	return htobe32(n);
}

/* Any number of bytes, copied to dst on the way. */
uint64_t csum_copy_part(uint8_t *dst, const uint8_t *p, size_t len);

static inline uint16_t csum_end(uint64_t part)
{
	part = (part & UINT32_MAX) + (part >> 32);
	part = (part & UINT32_MAX) + (part >> 32);
	return be16toh(csum_fold((uint32_t)part));
}

#endif
