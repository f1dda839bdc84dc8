/* checksum.c - see checksum.h. SPDX-License-Identifier: ISC
 *
 * A one's complement sum does not mind the width of its words nor, up to a swap of the result,
 * their byte order (RFC 1071 2): 64-bit lanes are split in halves of 32 bits, added up without
 * carries to care for, and folded once at the end. The loop is written with vector types and
 * compiled for what the machine has; gcc -O2 does not vectorise it by itself.
 */
#include "packet/checksum.h"

#define BLOCK 64

/* What a vector of 64 bytes is made of depends on the target of the function it is used in. */
typedef uint64_t lanes __attribute__((vector_size(BLOCK)));

/* What is left of a block. */
ALWAYS_INLINE uint64_t sum_rest(uint8_t *dst, const uint8_t *p, size_t len)
{
	uint64_t s = 0, w;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&w, p, 8);
		s += (w & UINT32_MAX) + (w >> 32);
		if (dst) {
			memcpy(dst, &w, 8);
			dst += 8;
		}
	}
	if (len == 0)
		return s;
	w = 0;
	memcpy(&w, p, len);
	if (dst)
		memcpy(dst, p, len);
	return s + (w & UINT32_MAX) + (w >> 32);
}

/* In host byte order; dst NULL: no copy. 2^31 blocks would be needed to overflow a lane. */
ALWAYS_INLINE uint64_t sum_blocks(uint8_t *dst, const uint8_t *p, size_t len)
{
	const lanes low = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX,
			   UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
	lanes a = {0}, b = {0}, v;
	uint64_t s = 0;

	for (; len >= BLOCK; p += BLOCK, len -= BLOCK) {
		memcpy(&v, p, BLOCK);
		if (dst) {
			memcpy(dst, &v, BLOCK);
			dst += BLOCK;
		}
		a += v & low;
		b += v >> 32;
	}
	a += b;
	for (unsigned i = 0; i < BLOCK / 8; i++)
		s += a[i];
	return s + sum_rest(dst, p, len);
}

#ifdef __x86_64__
__attribute__((target("avx512f"))) static uint64_t sum_avx512(uint8_t *dst, const uint8_t *p,
							      size_t len)
{
	return dst ? sum_blocks(dst, p, len) : sum_blocks(NULL, p, len);
}

__attribute__((target("avx2"))) static uint64_t sum_avx2(uint8_t *dst, const uint8_t *p, size_t len)
{
	return dst ? sum_blocks(dst, p, len) : sum_blocks(NULL, p, len);
}
#endif

static uint64_t sum_plain(uint8_t *dst, const uint8_t *p, size_t len)
{
	return dst ? sum_blocks(dst, p, len) : sum_blocks(NULL, p, len);
}

static uint64_t sum_any(uint8_t *dst, const uint8_t *p, size_t len)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx512f"))
		return sum_avx512(dst, p, len);
	if (__builtin_cpu_supports("avx2"))
		return sum_avx2(dst, p, len);
#endif
	return sum_plain(dst, p, len);
}

uint64_t csum_copy_part(uint8_t *dst, const uint8_t *p, size_t len)
{
	return sum_any(dst, p, len);
}

/* The start value is in network byte order, and so is the result. */
static uint16_t finish(uint64_t part, uint32_t start)
{
	return csum_fold((uint32_t)csum_end(part) + csum_fold(start));
}

uint16_t csum(const uint8_t *p, size_t len, uint32_t sum)
{
	return finish(sum_any(NULL, p, len), sum);
}

uint16_t csum_copy(uint8_t *dst, const uint8_t *p, size_t len, uint32_t sum)
{
	return finish(sum_any(dst, p, len), sum);
}
