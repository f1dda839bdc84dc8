/* inner.c - see inner.h. SPDX-License-Identifier: ISC */
#include "packet/inner.h"
#include "packet/checksum.h"
#include "wire.h"

#define MAX_EXTENSIONS 8

static bool has_ports(uint8_t proto)
{
	const uint64_t low = 1ULL << PROTO_TCP | 1ULL << PROTO_UDP | 1ULL << PROTO_DCCP;

	return proto < 64 ? low >> proto & 1 : proto == PROTO_SCTP || proto == PROTO_UDPLITE;
}

/* p is the upper-layer header, of which `left` bytes are in the packet. */
static void read_ports(const uint8_t *p, uint32_t left, struct inner *in)
{
	if (has_ports(in->proto) && left >= 4) {
		in->sport = get_be16(p);
		in->dport = get_be16(p + 2);
		in->ports_known = true;
	} else if ((in->proto == PROTO_ICMP || in->proto == PROTO_ICMPV6) && left >= 2) {
		in->sport = in->dport = get_be16(p);
		in->ports_known = true;
	} else if (in->proto == PROTO_MOBILITY && left >= 3) {
		in->sport = in->dport = (uint16_t)(p[2] << 8);
		in->ports_known = true;
	}
}

/* Clears the fields that not every packet sets. */
static void clear(struct inner *in)
{
	in->l4 = in->sport = in->dport = 0;
	in->ports_known = false;
}

static int parse_ipv4(const uint8_t *p, uint32_t len, struct inner *ret)
{
	uint32_t ihl, frag, total;

	if (len < 20)
		return -EINVAL;
	ihl = (p[0] & 15u) * 4;
	total = get_be16(p + 2);
	if (ihl < 20 || total < ihl || total > len)
		return -EINVAL;
	frag = get_be16(p + 6);
	clear(ret);
	addr_set(&ret->src, FAMILY_IPV4, p + 12);
	addr_set(&ret->dst, FAMILY_IPV4, p + 16);
	ret->len = total;
	ret->tos = p[1];
	ret->df = frag & 0x4000;
	ret->proto = p[9];
	ret->fragment = frag & 0x3fff; /* an offset, or more to follow */
	ret->bare = ihl == 20;
	if ((frag & 0x1fff) == 0) {
		ret->l4 = (uint16_t)ihl;
		read_ports(p + ihl, total - ihl, ret);
	}
	return 0;
}

/*
 * Skips one extension header; false if there is none, if the packet ends, or after the header of a
 * later fragment.
 */
static bool skip_extension(const uint8_t *p, uint32_t len, uint32_t *at, uint8_t *next,
			   bool *fragment, bool *later_fragment)
{
	uint32_t size;

	switch (*next) {
	case 0:	 /* hop-by-hop options */
	case 43: /* routing */
	case 60: /* destination options */
	case 44: /* fragment */
	case 51: /* AH */ break;
	default: return false;
	}
	if (*at + 8 > len)
		return false;
	size = *next == 44 ? 8 : *next == 51 ? (p[*at + 1] + 2u) * 4 : (p[*at + 1] + 1u) * 8;
	if (*at + size > len)
		return false;
	*fragment |= *next == 44;
	if (*next == 44 && (get_be16(p + *at + 2) & 0xfff8))
		*later_fragment = true;
	*next = p[*at];
	*at += size;
	return !*later_fragment;
}

static int parse_ipv6(const uint8_t *p, uint32_t len, struct inner *ret)
{
	uint32_t at = 40, total;
	bool later = false, fragment = false;
	uint8_t next;

	if (len < 40)
		return -EINVAL;
	total = 40u + get_be16(p + 4);
	if (total > len)
		return -EINVAL;
	next = p[6];
	for (unsigned i = 0; i < MAX_EXTENSIONS; i++) {
		if (!skip_extension(p, total, &at, &next, &fragment, &later))
			break;
	}
	clear(ret);
	addr_set(&ret->src, FAMILY_IPV6, p + 8);
	addr_set(&ret->dst, FAMILY_IPV6, p + 24);
	ret->len = total;
	ret->tos = (uint8_t)(p[0] << 4 | p[1] >> 4);
	ret->df = true;
	ret->proto = next;
	ret->fragment = fragment;
	ret->bare = at == 40;
	if (!later) {
		ret->l4 = (uint16_t)at;
		read_ports(p + at, total - at, ret);
	}
	return 0;
}

int inner_parse(const uint8_t *p, uint32_t len, struct inner *ret)
{
	int r;

	if (len == 0)
		return -EINVAL;
	switch (p[0] >> 4) {
	case 4: r = parse_ipv4(p, len, ret); break;
	case 6: r = parse_ipv6(p, len, ret); break;
	default: return -EINVAL;
	}
	if (r < 0)
		return r;
	ret->upper = (uint64_t)ret->proto << 40 | (uint64_t)ret->ports_known << 32 |
		     (uint64_t)ret->sport << 16 | ret->dport;
	ret->plain = ret->bare && !ret->fragment && ret->ports_known &&
		     (ret->proto == PROTO_TCP || ret->proto == PROTO_UDP);
	return 0;
}

static void set_ecn(uint8_t *p, uint8_t ecn)
{
	uint16_t old, sum;

	if (p[0] >> 4 == 6) {
		p[1] = (uint8_t)((p[1] & 0xcf) | ecn << 4);
		return;
	}
	/* RFC 1624: HC' = ~(~HC + ~m + m') over the word that holds version, IHL and TOS. */
	old = get_be16(p);
	p[1] = (uint8_t)((p[1] & 0xfc) | ecn);
	sum = get_be16(p + 10);
	sum = csum_fold((uint16_t)~sum + (uint32_t)(uint16_t)~old + get_be16(p));
	put_be16(p + 10, (uint16_t)~sum);
}

bool inner_ecn_decap(uint8_t *p, uint8_t outer_tos)
{
	enum { NOT_ECT = 0, ECT1 = 1, ECT0 = 2, CE = 3 };
	uint8_t outer = outer_tos & 3;
	uint8_t inner = (p[0] >> 4 == 6 ? p[1] >> 4 : p[1]) & 3;

	if (inner == NOT_ECT)
		return outer != CE;
	if (inner != CE && (outer == CE || (inner == ECT0 && outer == ECT1)))
		set_ecn(p, outer);
	return true;
}
