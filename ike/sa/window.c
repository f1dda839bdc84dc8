/* window.c - see window.h. SPDX-License-Identifier: ISC */
#include "sa/window.h"
#include "xalloc.h"

static void sent_add(struct sent_message *m, const uint8_t *p, size_t len)
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
