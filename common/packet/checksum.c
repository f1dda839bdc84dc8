/*
 * checksum.c - see checksum.h. SPDX-License-Identifier: ISC
 *
 * A one's complement sum depends neither on the width of its words nor, up to a byte swap of the
 * result, on their byte order (RFC 1071 2): 64-bit lanes are split into halves of 32 bits, added up
 * without carries, and folded once at the end. The loop is written with vector types and compiled
 * for each instruction set; gcc -O2 does not vectorise it by itself.
 */
#include "packet/checksum.h"

/* Sums, and with dst copies, the bytes that are less than a vector. */
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

/*
 * Defines a sum, in the byte order of memory, with vectors of `width` bytes; dst NULL means no
 * copy. Packets are much too short to overflow a lane. It is a macro because gcc takes a vector
 * that is wider than the target of its function apart before it inlines that.
 */
#define DEFINE_SUM(name, width, attributes)                                                   \
	attributes static uint64_t name(uint8_t *dst, const uint8_t *p, size_t len)           \
	{                                                                                     \
		typedef uint64_t lanes __attribute__((vector_size(width)));                   \
		typedef lanes bytes __attribute__((aligned(1), may_alias));                   \
		lanes a = {0}, b = {0}, c = {0}, d = {0};                                     \
		const lanes low = a + UINT32_MAX;                                             \
		uint64_t s = 0;                                                               \
                                                                                              \
		for (; len >= 2 * (width); p += 2 * (width), len -= 2 * (width)) {            \
			const lanes v = *(const bytes *)p, w = *(const bytes *)(p + (width)); \
                                                                                              \
			if (dst) {                                                            \
				*(bytes *)dst = v;                                            \
				*(bytes *)(dst + (width)) = w;                                \
				dst += 2 * (width);                                           \
			}                                                                     \
			a += v & low;                                                         \
			b += v >> 32;                                                         \
			c += w & low;                                                         \
			d += w >> 32;                                                         \
		}                                                                             \
		for (; len >= (width); p += (width), len -= (width)) {                        \
			const lanes v = *(const bytes *)p;                                    \
                                                                                              \
			if (dst) {                                                            \
				*(bytes *)dst = v;                                            \
				dst += (width);                                               \
			}                                                                     \
			a += v & low;                                                         \
			b += v >> 32;                                                         \
		}                                                                             \
		a += b;                                                                       \
		c += d;                                                                       \
		a += c;                                                                       \
		for (unsigned i = 0; i < (width) / 8; i++)                                    \
			s += a[i];                                                            \
		return s + sum_rest(dst, p, len);                                             \
	}

#ifdef __x86_64__
DEFINE_SUM(sum_avx512, 64, __attribute__((target("avx512f"))))
DEFINE_SUM(sum_avx2, 32, __attribute__((target("avx2"))))
#endif
DEFINE_SUM(sum_plain, 16, )

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

/* Adds the start value, which is a sum as csum gives it. */
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
