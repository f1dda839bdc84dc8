/* coalesce.c - see coalesce.h. SPDX-License-Identifier: ISC */
#include "packet/coalesce.h"
#include "packet/checksum.h"
#include "packet/headers.h"
#include "wire.h"

#define SUPER_MAX 65535
#define UDP_COUNT 64 /* the kernel refuses more (UDP_MAX_SEGMENTS) */

void pkt_super_init(struct pkt_super *s, uint8_t *base, uint32_t cap, uint8_t accept)
{
	*s = (struct pkt_super){.base = base, .cap = cap, .accept = accept};
}

void pkt_super_reset(struct pkt_super *s)
{
	pkt_super_init(s, s->base, s->cap, s->accept);
}

static bool is_v4(const uint8_t *p)
{
	return p[0] >> 4 == 4;
}

/* The part (checksum.h) of the pseudo header: addresses, protocol and upper-layer length. */
static inline uint64_t pseudo_sum(const uint8_t *p, uint8_t proto, uint32_t l4_len)
{
	return csum_number(proto + l4_len) +
	       (is_v4(p) ? csum_words(p + 12, 8) : csum_words(p + 8, 32));
}

/*
 * True if the IPv4 checksum is right, and the one that segmentation would write. 0xffff is as good
 * as 0 to a receiver, and some routers write it (RFC 1624 3), but segmentation would write 0.
 */
static inline bool ipv4_sum_reproducible(const uint8_t *p)
{
	return csum_end(csum_words(p, 20)) == 0xffff && get_be16(p + IPV4_SUM) != 0xffff;
}

/* The bytes before the payload if the packet may be part of a run; 0 if it goes alone. */
static uint32_t mergeable(const struct pkt_super *s, const uint8_t *p, const struct inner *in)
{
	const uint8_t *l4 = p + in->l4;
	uint32_t left = in->len - in->l4, hdr;

	if (!in->bare || in->fragment || (is_v4(p) && !ipv4_sum_reproducible(p)))
		return 0;
	if (in->proto == PROTO_UDP)
		return (s->accept & PKT_ACCEPT_USO) && left > 8 && get_be16(l4 + UDP_LEN) == left &&
				       get_be16(l4 + UDP_SUM)
			       ? in->l4 + 8u
			       : 0;
	if (in->proto != PROTO_TCP || left < 20 ||
	    !(s->accept & (is_v4(p) ? PKT_ACCEPT_TSO4 : PKT_ACCEPT_TSO6)))
		return 0;
	hdr = (l4[12] >> 4) * 4u;
	/*
	 * Only ACK, PSH and ECE; packets with SYN, FIN, RST, URG, CWR or a reserved bit go alone.
	 */
	if (hdr < 20 || left <= hdr || (l4[12] & 0x0f) ||
	    (l4[TCP_FLAGS] & ~(TCP_PSH | TCP_ECE)) != TCP_ACK ||
	    get_be16(l4 + TCP_SUM) == 0xffff) /* segmentation would write 0 */
		return 0;
	return in->l4 + hdr;
}

/*
 * Copies the packet; true if it has a checksum, and that is right. False for packets with options
 * or extension headers: with a routing header (RFC 8200 8.1) or a home address (RFC 6275) the
 * addresses of the pseudo header are not those of the IP header.
 */
static bool copy_verified(uint8_t *dst, const uint8_t *p, const struct inner *in)
{
	uint32_t l4_len = in->len - in->l4;
	bool tcp = in->proto == PROTO_TCP && l4_len >= 20;
	bool udp = in->proto == PROTO_UDP && l4_len >= 8 &&
		   get_be16(p + in->l4 + UDP_LEN) == l4_len && get_be16(p + in->l4 + UDP_SUM);

	if (!in->bare || in->fragment || !(tcp || udp)) {
		memcpy(dst, p, in->len);
		return false;
	}
	memcpy(dst, p, in->l4);
	return csum_end(csum_copy_part(dst + in->l4, p + in->l4, l4_len) +
			pseudo_sum(p, in->proto, l4_len)) == 0xffff;
}

static bool ends_run(const uint8_t *l4, uint8_t proto)
{
	return proto == PROTO_TCP && (l4[TCP_FLAGS] & TCP_PSH);
}

static void begin(struct pkt_super *s, const uint8_t *p, const struct inner *in)
{
	uint32_t hdr = mergeable(s, p, in);
	bool right = copy_verified(s->base, p, in);

	s->len = in->len;
	s->count = 1;
	s->off.valid_csum = right && (s->accept & PKT_ACCEPT_CSUM);
	if (!right || hdr == 0)
		return;
	s->proto = in->proto;
	s->l4 = in->l4;
	s->hdr_len = (uint16_t)hdr;
	s->size = (uint16_t)(in->len - hdr);
	s->open = !ends_run(p + in->l4, in->proto);
	if (in->proto == PROTO_TCP)
		s->next_seq = get_be32(p + in->l4 + TCP_SEQ) + s->size;
}

/*
 * True if the IP headers differ only in length and checksum, and the IPv4 ID has been counted up.
 */
static bool same_l3(const struct pkt_super *s, const uint8_t *p)
{
	const uint8_t *q = s->base;

	if (!is_v4(p)) /* version, class, flow label; next header, hop limit, addresses */
		return memcmp(p, q, 4) == 0 && memcmp(p + 6, q + 6, 34) == 0;
	return memcmp(p, q, 2) == 0 && get_be16(p + 4) == (uint16_t)(get_be16(q + 4) + s->count) &&
	       memcmp(p + 6, q + 6, 4) == 0 && memcmp(p + 12, q + 12, 8) == 0;
}

static bool same_l4(const struct pkt_super *s, const uint8_t *p)
{
	const uint8_t *l4 = p + s->l4, *q = s->base + s->l4;

	if (memcmp(l4, q, 4) != 0) /* ports */
		return false;
	if (s->proto == PROTO_UDP)
		return s->count < UDP_COUNT;
	return get_be32(l4 + TCP_SEQ) == s->next_seq && memcmp(l4 + 8, q + 8, 5) == 0 &&
	       ((l4[TCP_FLAGS] ^ q[TCP_FLAGS]) & ~TCP_PSH) == 0 &&
	       memcmp(l4 + 14, q + 14, 2) == 0 &&
	       memcmp(l4 + 18, q + 18, s->hdr_len - s->l4 - 18u) == 0;
}

static bool continues(const struct pkt_super *s, const uint8_t *p, const struct inner *in)
{
	uint32_t limit = (uint32_t)min_u64(s->cap, SUPER_MAX);

	return s->open && in->proto == s->proto && is_v4(p) == is_v4(s->base) &&
	       in->len > s->hdr_len && in->len - s->hdr_len <= s->size &&
	       s->len + in->len - s->hdr_len <= limit && mergeable(s, p, in) == s->hdr_len &&
	       same_l3(s, p) && same_l4(s, p);
}

bool pkt_super_add(struct pkt_super *s, const uint8_t *p, const struct inner *in)
{
	uint32_t payload;
	uint64_t sum;

	if (s->len == 0) {
		if (in->len <= s->cap)
			begin(s, p, in);
		return true;
	}
	if (!continues(s, p, in))
		return false;
	payload = in->len - s->hdr_len;
	sum = csum_words(p + in->l4, (size_t)s->hdr_len - s->l4) +
	      pseudo_sum(p, in->proto, in->len - in->l4) +
	      csum_copy_part(s->base + s->len, p + s->hdr_len, payload);
	/*
	 * A packet with a wrong checksum goes alone, unchanged; what was written behind the end of
	 * the run does not count.
	 */
	if (csum_end(sum) != 0xffff)
		return false;
	s->len += payload;
	s->count++;
	s->next_seq += payload;
	if (ends_run(p + s->l4, s->proto)) {
		s->base[s->l4 + TCP_FLAGS] |= TCP_PSH;
		s->open = false;
	}
	if (payload < s->size)
		s->open = false;
	return true;
}

static void set_l3(struct pkt_super *s)
{
	uint8_t *p = s->base;

	if (!is_v4(p)) {
		put_be16(p + 4, (uint16_t)(s->len - 40));
		return;
	}
	put_be16(p + 2, (uint16_t)s->len);
	put_be16(p + IPV4_SUM, 0);
	put_be16(p + IPV4_SUM, (uint16_t)~csum(p, 20, 0));
}

void pkt_super_finish(struct pkt_super *s)
{
	uint8_t *l4 = s->base + s->l4;
	uint32_t field = s->proto == PROTO_UDP ? UDP_SUM : TCP_SUM;

	if (s->count < 2)
		return;
	set_l3(s);
	if (s->proto == PROTO_UDP)
		put_be16(l4 + UDP_LEN, (uint16_t)(s->len - s->l4));
	/* The field holds the sum of the pseudo header; the kernel adds the rest if it must. */
	put_be16(l4 + field, csum_end(pseudo_sum(s->base, s->proto, s->len - s->l4)));
	s->off = (struct pkt_offload){.gso = s->proto == PROTO_UDP ? PKT_GSO_UDP
					     : is_v4(s->base)	   ? PKT_GSO_TCP4
								   : PKT_GSO_TCP6,
				      .gso_size = s->size,
				      .needs_csum = true,
				      .csum_start = s->l4,
				      .csum_offset = (uint16_t)field};
}
