/*
 * wire.h - bounded reading and writing of network byte order. SPDX-License-Identifier: ISC
 *
 * Once a call runs out of room, the reader or writer stays bad: callers make all their calls and
 * check once at the end. A bad reader returns zeros and NULL, a bad writer writes nothing, so
 * neither leaves its buffer. Neither owns memory.
 */
#ifndef MENDIP_WIRE_H
#define MENDIP_WIRE_H

#include "base.h"

static inline uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t get_be32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static inline uint64_t get_be64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

static inline void put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put_be32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put_be64(uint8_t *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof(v));
}

/* A view of bytes that somebody else owns. */
struct chunk {
	const uint8_t *p;
	size_t len;
};

struct reader {
	const uint8_t *p;
	size_t left;
	bool bad;
};

void rd_init(struct reader *r, const void *p, size_t len);
uint8_t rd_u8(struct reader *r);
uint16_t rd_be16(struct reader *r);
uint32_t rd_be32(struct reader *r);
uint64_t rd_be64(struct reader *r);
/* The next len bytes in the buffer; NULL, and r is bad, if there are fewer. */
const uint8_t *rd_bytes(struct reader *r, size_t len);
/* All that is left; empty if r is bad. Never makes r bad. */
struct chunk rd_rest(struct reader *r);
/* A reader of the next len bytes, which r skips. If there are fewer, both are bad. */
struct reader rd_part(struct reader *r, size_t len);
/* True if r is not bad and nothing is left. */
bool rd_done(const struct reader *r);

struct writer {
	uint8_t *base;
	size_t len, cap;
	bool bad;
};

void wr_init(struct writer *w, void *base, size_t cap);
void wr_u8(struct writer *w, uint8_t v);
void wr_be16(struct writer *w, uint16_t v);
void wr_be32(struct writer *w, uint32_t v);
void wr_be64(struct writer *w, uint64_t v);
void wr_bytes(struct writer *w, const void *src, size_t len);
/* Room for len bytes, which the caller fills; NULL, and w is bad, if there is not enough. */
uint8_t *wr_space(struct writer *w, size_t len);
/*
 * Writes the number of bytes from offset `from` to the end as 16 bits at offset `at`, over what is
 * there. Makes w bad if it is more than 65,535.
 */
void wr_patch_len16(struct writer *w, size_t at, size_t from);

/* The value of the hexadecimal digit c, or -1 if it is none. */
static inline int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

#endif
