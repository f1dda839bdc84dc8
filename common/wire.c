/* wire.c - see wire.h. SPDX-License-Identifier: ISC */
#include "wire.h"

void rd_init(struct reader *r, const void *p, size_t len)
{
	*r = (struct reader){.p = p, .left = len};
}

const uint8_t *rd_bytes(struct reader *r, size_t len)
{
	const uint8_t *p = r->p;

	if (r->bad || len > r->left) {
		r->bad = true;
		return NULL;
	}
	r->p += len;
	r->left -= len;
	return p;
}

uint8_t rd_u8(struct reader *r)
{
	const uint8_t *p = rd_bytes(r, 1);

	return p ? *p : 0;
}

uint16_t rd_be16(struct reader *r)
{
	const uint8_t *p = rd_bytes(r, 2);

	return p ? get_be16(p) : 0;
}

uint32_t rd_be32(struct reader *r)
{
	const uint8_t *p = rd_bytes(r, 4);

	return p ? get_be32(p) : 0;
}

uint64_t rd_be64(struct reader *r)
{
	const uint8_t *p = rd_bytes(r, 8);

	return p ? get_be64(p) : 0;
}

struct chunk rd_rest(struct reader *r)
{
	struct chunk c = {.p = r->p, .len = r->bad ? 0 : r->left};

	r->p += c.len;
	r->left -= c.len;
	return c;
}

struct reader rd_part(struct reader *r, size_t len)
{
	const uint8_t *p = rd_bytes(r, len);

	return (struct reader){.p = p, .left = p ? len : 0, .bad = p == NULL};
}

bool rd_done(const struct reader *r)
{
	return !r->bad && r->left == 0;
}

void wr_init(struct writer *w, void *base, size_t cap)
{
	*w = (struct writer){.base = base, .cap = cap};
}

uint8_t *wr_space(struct writer *w, size_t len)
{
	uint8_t *p;

	if (w->bad || len > w->cap - w->len) {
		w->bad = true;
		return NULL;
	}
	p = w->base + w->len;
	w->len += len;
	return p;
}

void wr_u8(struct writer *w, uint8_t v)
{
	uint8_t *p = wr_space(w, 1);

	if (p)
		*p = v;
}

void wr_be16(struct writer *w, uint16_t v)
{
	uint8_t *p = wr_space(w, 2);

	if (p)
		put_be16(p, v);
}

void wr_be32(struct writer *w, uint32_t v)
{
	uint8_t *p = wr_space(w, 4);

	if (p)
		put_be32(p, v);
}

void wr_be64(struct writer *w, uint64_t v)
{
	uint8_t *p = wr_space(w, 8);

	if (p)
		put_be64(p, v);
}

void wr_bytes(struct writer *w, const void *src, size_t len)
{
	uint8_t *p;

	if (len == 0)
		return;
	p = wr_space(w, len);
	if (p)
		memcpy(p, src, len);
}

void wr_patch_len16(struct writer *w, size_t at, size_t from)
{
	if (w->bad)
		return;
	if (w->len - from > UINT16_MAX) {
		w->bad = true;
		return;
	}
	put_be16(w->base + at, (uint16_t)(w->len - from));
}
