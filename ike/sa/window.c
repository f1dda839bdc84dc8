/* window.c - see window.h. SPDX-License-Identifier: ISC */
#include "sa/window.h"
#include "crypto/hash.h"
#include "xalloc.h"

static void digest(struct chunk text, uint8_t out[16])
{
	uint8_t d[HASH_MAX_LEN];

	hash_compute(HASH_SHA256, &text, 1, d);
	memcpy(out, d, 16);
}

void request_remember(struct ike_window *w, uint32_t id, struct chunk text)
{
	unsigned slot = id % REMEMBERED_REQUESTS;

	w->remembered[slot].id = id;
	w->remembered[slot].used = true;
	digest(text, w->remembered[slot].digest);
	w->head_len = (uint8_t)min_u64(text.len, REQUEST_HEAD);
	digest((struct chunk){text.p, w->head_len}, w->head);
}

bool request_is_remembered(const struct ike_window *w, uint32_t id)
{
	unsigned slot = id % REMEMBERED_REQUESTS;

	return w->remembered[slot].used && w->remembered[slot].id == id;
}

enum request_known request_compare(const struct ike_window *w, uint32_t id, struct chunk text)
{
	uint8_t d[16];

	if (!request_is_remembered(w, id))
		return REQUEST_FORGOTTEN;
	digest(text, d);
	return crypto_equal(d, w->remembered[id % REMEMBERED_REQUESTS].digest, sizeof(d))
		       ? REQUEST_SAME
		       : REQUEST_DIFFERENT;
}

bool request_begins_alike(const struct ike_window *w, struct chunk start)
{
	uint8_t d[16];

	if (start.len < w->head_len)
		return false;
	digest((struct chunk){start.p, w->head_len}, d);
	return crypto_equal(d, w->head, sizeof(d));
}

void request_parts_clear(struct ike_window *w, struct deadline_heap *h)
{
	fragments_clear(&w->request_parts);
	deadline_clear(h, &w->reassembly);
}

void sent_add(struct sent_message *m, const uint8_t *p, size_t len)
{
	m->part = xreallocarray(m->part, m->count + 1, sizeof(*m->part));
	m->part[m->count].p = xmemdup(p, len);
	m->part[m->count++].len = (uint16_t)len;
}

void sent_set(struct sent_message *m, const uint8_t *p, size_t len)
{
	sent_clear(m);
	sent_add(m, p, len);
}

void sent_clear(struct sent_message *m)
{
	for (unsigned i = 0; i < m->count; i++)
		free(m->part[i].p);
	free(m->part);
	secret_free(m->text, m->text_len);
	*m = (struct sent_message){0};
}

void sent_save(const struct sent_message *m, struct writer *w)
{
	wr_u8(w, (uint8_t)m->count);
	for (unsigned i = 0; i < m->count; i++) {
		wr_be16(w, m->part[i].len);
		wr_bytes(w, m->part[i].p, m->part[i].len);
	}
}

void sent_load(struct sent_message *m, struct reader *r)
{
	unsigned count = rd_u8(r);

	for (unsigned i = 0; i < count; i++) {
		uint16_t len = rd_be16(r);
		const uint8_t *p = rd_bytes(r, len);

		if (!p)
			return;
		sent_add(m, p, len);
	}
}
