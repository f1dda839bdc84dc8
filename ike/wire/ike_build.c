/* ike_build.c - builds IKEv2 messages; see ike_wire.h. SPDX-License-Identifier: ISC */
#include "wire/ike_wire.h"

void ib_message(struct ike_builder *b, uint8_t *buf, size_t cap, const struct ike_header *h)
{
	*b = (struct ike_builder){.next_at = 16};
	wr_init(&b->w, buf, cap);
	wr_be64(&b->w, h->spi_i);
	wr_be64(&b->w, h->spi_r);
	wr_u8(&b->w, PAYLOAD_NONE);
	wr_u8(&b->w, IKE_VERSION);
	wr_u8(&b->w, h->exchange);
	wr_u8(&b->w, h->flags);
	wr_be32(&b->w, h->message_id);
	wr_be32(&b->w, 0);
}

void ib_inside(struct ike_builder *b, uint8_t *buf, size_t cap)
{
	*b = (struct ike_builder){.next_at = SIZE_MAX};
	wr_init(&b->w, buf, cap);
}

void ib_open(struct ike_builder *b, uint8_t type)
{
	if (b->next_at == SIZE_MAX)
		b->first = type;
	else if (!b->w.bad)
		b->w.base[b->next_at] = type;
	b->start = b->next_at = b->w.len;
	wr_u8(&b->w, PAYLOAD_NONE);
	wr_u8(&b->w, 0);
	wr_be16(&b->w, 0);
}

void ib_close(struct ike_builder *b)
{
	wr_patch_len16(&b->w, b->start + 2, b->start);
}

void ib_payload(struct ike_builder *b, uint8_t type, struct chunk body)
{
	ib_open(b, type);
	wr_bytes(&b->w, body.p, body.len);
	ib_close(b);
}

void ib_ke(struct ike_builder *b, uint16_t group, struct chunk data)
{
	ib_open(b, PAYLOAD_KE);
	wr_be16(&b->w, group);
	wr_be16(&b->w, 0);
	wr_bytes(&b->w, data.p, data.len);
	ib_close(b);
}

void ib_notify(struct ike_builder *b, uint8_t protocol, struct chunk spi, uint16_t type,
	       struct chunk data)
{
	ib_open(b, PAYLOAD_NOTIFY);
	wr_u8(&b->w, protocol);
	wr_u8(&b->w, (uint8_t)spi.len);
	wr_be16(&b->w, type);
	wr_bytes(&b->w, spi.p, spi.len);
	wr_bytes(&b->w, data.p, data.len);
	ib_close(b);
}

void ib_ts(struct ike_builder *b, uint8_t type, const struct ts_list *l)
{
	ib_open(b, type);
	wr_u8(&b->w, l->count);
	wr_u8(&b->w, 0);
	wr_be16(&b->w, 0);
	for (unsigned i = 0; i < l->count; i++) {
		const struct ts *t = &l->ts[i];
		size_t alen = addr_len(t->family);

		wr_u8(&b->w, t->family == FAMILY_IPV4 ? 7 : 8);
		wr_u8(&b->w, t->proto);
		wr_be16(&b->w, (uint16_t)(8 + 2 * alen));
		wr_be16(&b->w, t->port_lo);
		wr_be16(&b->w, t->port_hi);
		wr_bytes(&b->w, t->lo.b, alen);
		wr_bytes(&b->w, t->hi.b, alen);
	}
	ib_close(b);
}

void ib_id(struct ike_builder *b, uint8_t type, uint8_t id_type, struct chunk data)
{
	ib_open(b, type);
	wr_u8(&b->w, id_type);
	wr_u8(&b->w, 0);
	wr_be16(&b->w, 0);
	wr_bytes(&b->w, data.p, data.len);
	ib_close(b);
}

void ib_cert(struct ike_builder *b, uint8_t type, uint8_t encoding, struct chunk data)
{
	ib_open(b, type);
	wr_u8(&b->w, encoding);
	wr_bytes(&b->w, data.p, data.len);
	ib_close(b);
}

void ib_delete_ike(struct ike_builder *b)
{
	ib_open(b, PAYLOAD_DELETE);
	wr_u8(&b->w, PROTOCOL_IKE);
	wr_u8(&b->w, 0);
	wr_be16(&b->w, 0);
	ib_close(b);
}

void ib_delete_esp(struct ike_builder *b, const uint32_t *spis, unsigned n)
{
	ib_open(b, PAYLOAD_DELETE);
	wr_u8(&b->w, PROTOCOL_ESP);
	wr_u8(&b->w, 4);
	wr_be16(&b->w, (uint16_t)n);
	for (unsigned i = 0; i < n; i++)
		wr_be32(&b->w, spis[i]);
	ib_close(b);
}

size_t ib_finish(struct ike_builder *b)
{
	if (b->w.bad)
		return 0;
	put_be32(b->w.base + 24, (uint32_t)b->w.len);
	return b->w.len;
}
