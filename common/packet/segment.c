/* segment.c - see segment.h. SPDX-License-Identifier: ISC */
#include "packet/segment.h"
#include "packet/checksum.h"
#include "packet/headers.h"
#include "wire.h"

static bool is_v4(const struct seg_plan *p)
{
	return p->pkt[0] >> 4 == 4;
}

/*
 * The sum of the pseudo header without the length, which all segments share (RFC 9293 3.1, RFC 8200
 * 8.1). With a routing header the destination in it is the final one, which only the kernel knows:
 * it has left the sum with the length of the whole in the checksum field.
 */
static uint32_t pseudo_sum(const uint8_t *pkt, const struct inner *in,
			   const struct pkt_offload *off)
{
	uint32_t l4_len = in->len - in->l4;

	if (!in->bare)
		return csum_fold(get_be16(pkt + off->csum_start + off->csum_offset) +
				 (uint32_t)(uint16_t)~l4_len);
	return in->src.family == FAMILY_IPV4 ? csum(pkt + 12, 8, in->proto)
					     : csum(pkt + 8, 32, in->proto);
}

/* The offset of the checksum in the upper-layer header; 0: not known here. */
static uint32_t sum_field(uint8_t proto)
{
	return proto == PROTO_TCP ? TCP_SUM : proto == PROTO_UDP ? UDP_SUM : 0;
}

/* Plans a packet that stays whole; its checksum may have been left to us. */
static int plan_whole(const uint8_t *pkt, const struct inner *in, const struct pkt_offload *off,
		      struct seg_plan *ret)
{
	uint32_t from = 0, at = 0, field;

	if (off->needs_csum) {
		from = off->csum_start;
		at = from + off->csum_offset;
		if (at + 2 > in->len || from < 20 || in->l4 == 0 || from < in->l4)
			return -EINVAL;
		if (in->fragment) /* the sum covers the whole packet, which is not here */
			return -EINVAL;
		/*
		 * The upper layer may carry another packet, as in a tunnel, whose checksum it is.
		 */
		field = sum_field(in->proto);
		if (from == in->l4 && field && off->csum_offset != field)
			return -EINVAL;
	}
	*ret = (struct seg_plan){.pkt = pkt,
				 .len = in->len,
				 .count = 1,
				 .seg_len = in->len,
				 .csum_from = (uint16_t)from,
				 .csum_at = (uint16_t)at};
	return 0;
}

static bool gso_fits(const struct inner *in, enum pkt_gso gso)
{
	bool v4 = in->src.family == FAMILY_IPV4;

	switch (gso) {
	case PKT_GSO_TCP4: return v4 && in->proto == PROTO_TCP;
	case PKT_GSO_TCP6: return !v4 && in->proto == PROTO_TCP;
	case PKT_GSO_UDP: return in->proto == PROTO_UDP;
	case PKT_GSO_NONE: break;
	}
	return false;
}

/* The bytes before the payload; 0 if the header is cut short, or the UDP length is wrong. */
static uint32_t header_len(const uint8_t *pkt, const struct inner *in)
{
	const uint8_t *l4 = pkt + in->l4;
	uint32_t left = in->len - in->l4, hdr = 8;

	/* The bytes behind a shorter datagram would become its payload. */
	if (in->proto == PROTO_UDP)
		return left >= hdr && get_be16(l4 + UDP_LEN) == left ? in->l4 + hdr : 0;
	hdr = left >= 20 ? (l4[12] >> 4) * 4u : 0;
	return hdr >= 20 && hdr <= left ? in->l4 + hdr : 0;
}

int seg_plan(const uint8_t *pkt, const struct inner *in, const struct pkt_offload *off,
	     struct seg_plan *ret)
{
	struct seg_plan p = {.pkt = pkt, .len = in->len, .gso = off->gso};
	uint32_t hdr, payload;

	if (off->gso == PKT_GSO_NONE)
		return plan_whole(pkt, in, off, ret);
	if (!gso_fits(in, off->gso) || in->l4 == 0 || in->fragment || off->gso_size == 0)
		return -EINVAL;
	if (!in->bare && !off->needs_csum) /* the addresses of the pseudo header are not known */
		return -EINVAL;
	hdr = header_len(pkt, in);
	if (hdr == 0)
		return -EINVAL;
	if (off->needs_csum &&
	    (off->csum_start != in->l4 || off->csum_offset != sum_field(in->proto)))
		return -EINVAL;
	payload = in->len - hdr;
	p.hdr_len = (uint16_t)hdr;
	p.l3_len = in->l4;
	p.size = off->gso_size;
	p.count = payload ? (payload + off->gso_size - 1) / off->gso_size : 1;
	p.seg_len = p.count > 1 ? hdr + off->gso_size : in->len;
	p.pseudo = pseudo_sum(pkt, in, off);
	if (p.count > UINT16_MAX)
		return -EINVAL;
	*ret = p;
	return 0;
}

uint32_t seg_len(const struct seg_plan *p, uint32_t i)
{
	return i + 1 < p->count ? p->seg_len : p->len - i * p->size;
}

static void write_whole(const struct seg_plan *p, uint8_t *dst)
{
	uint16_t sum;

	if (!p->csum_from) {
		memcpy(dst, p->pkt, p->len);
		return;
	}
	memcpy(dst, p->pkt, p->csum_from);
	/* The field holds the sum of the pseudo header, which is so included. */
	sum = (uint16_t)~csum_copy(dst + p->csum_from, p->pkt + p->csum_from, p->len - p->csum_from,
				   0);
	/* RFC 768: 0 means that there is none. For TCP 0xffff is as good as 0. */
	put_be16(dst + p->csum_at, sum ? sum : 0xffff);
}

static void set_l3(const struct seg_plan *p, uint32_t i, uint32_t len, uint8_t *dst)
{
	if (!is_v4(p)) {
		put_be16(dst + 4, (uint16_t)(len - 40));
		return;
	}
	put_be16(dst + 2, (uint16_t)len);
	put_be16(dst + 4, (uint16_t)(get_be16(dst + 4) + i));
	put_be16(dst + IPV4_SUM, 0);
	put_be16(dst + IPV4_SUM, (uint16_t)~csum_end(csum_words(dst, (dst[0] & 15u) * 4)));
}

static void set_tcp(const struct seg_plan *p, uint32_t i, uint8_t *tcp)
{
	put_be32(tcp + TCP_SEQ, get_be32(tcp + TCP_SEQ) + i * p->size);
	if (i + 1 < p->count)
		tcp[TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (i > 0)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
}

void seg_write(const struct seg_plan *p, uint32_t i, uint8_t *dst)
{
	uint32_t len = seg_len(p, i), l4_len = len - p->l3_len, field;
	uint8_t *l4 = dst + p->l3_len;
	uint16_t sum;
	uint64_t part;

	if (p->gso == PKT_GSO_NONE) {
		write_whole(p, dst);
		return;
	}
	memcpy(dst, p->pkt, p->hdr_len);
	set_l3(p, i, len, dst);
	field = p->gso == PKT_GSO_UDP ? UDP_SUM : TCP_SUM;
	if (p->gso == PKT_GSO_UDP)
		put_be16(l4 + UDP_LEN, (uint16_t)l4_len);
	else
		set_tcp(p, i, l4);
	put_be16(l4 + field, 0);
	part = csum_copy_part(dst + p->hdr_len, p->pkt + p->hdr_len + i * p->size,
			      len - p->hdr_len);
	part += csum_words(l4, (size_t)p->hdr_len - p->l3_len) + csum_number(p->pseudo + l4_len);
	sum = (uint16_t)~csum_end(part);
	put_be16(l4 + field, p->gso == PKT_GSO_UDP && sum == 0 ? 0xffff : sum);
}
