/* inner.c - see inner.h. SPDX-License-Identifier: ISC */
#include "packet/inner.h"
#include "packet/checksum.h"
#include "wire.h"

#define MAX_EXTENSIONS 8

static bool has_ports(uint8_t proto)
{
	return proto == PROTO_TCP || proto == PROTO_UDP || proto == 132 || proto == 33 ||
	       proto == 136;
}

/* p is the upper layer's header in a packet that has left bytes of it. */
static void read_ports(const uint8_t *p, uint32_t left, struct inner *in)
{
	if (has_ports(in->proto) && left >= 4) {
		in->sport = get_be16(p);
		in->dport = get_be16(p + 2);
		in->ports_known = true;
	} else if ((in->proto == PROTO_ICMP || in->proto == PROTO_ICMPV6) && left >= 2) {
		in->sport = in->dport = get_be16(p);
		in->ports_known = true;
	}
}

static int parse_ipv4(const uint8_t *p, uint32_t len, struct inner *in)
{
	uint32_t ihl, frag;

	if (len < 20)
		return -EINVAL;
	ihl = (p[0] & 15u) * 4;
	in->len = get_be16(p + 2);
	if (ihl < 20 || in->len < ihl || in->len > len)
		return -EINVAL;
	frag = get_be16(p + 6);
	in->src = addr_from_bytes(FAMILY_IPV4, p + 12);
	in->dst = addr_from_bytes(FAMILY_IPV4, p + 16);
	in->tos = p[1];
	in->df = frag & 0x4000;
	in->proto = p[9];
	in->fragment = frag & 0x3fff; /* an offset, or more to follow */
	in->bare = ihl == 20;
	if ((frag & 0x1fff) == 0) {
		in->l4 = (uint16_t)ihl;
		read_ports(p + ihl, in->len - ihl, in);
	}
	return 0;
}

/* Goes over one extension header; false when next is no extension or the packet ends. */
static bool skip_extension(const uint8_t *p, uint32_t len, uint32_t *at, uint8_t *next,
			   bool *fragment, bool *later_fragment)
{
	uint32_t size;

	switch (*next) {
	case 0:	  /* hop-by-hop options */
	case 43:  /* routing */
	case 60:  /* destination options */
	case 135: /* mobility */
	case 44:  /* fragment */
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

static int parse_ipv6(const uint8_t *p, uint32_t len, struct inner *in)
{
	uint32_t at = 40;
	bool later = false;
	uint8_t next;

	if (len < 40)
		return -EINVAL;
	in->len = 40u + get_be16(p + 4);
	if (in->len > len)
		return -EINVAL;
	in->src = addr_from_bytes(FAMILY_IPV6, p + 8);
	in->dst = addr_from_bytes(FAMILY_IPV6, p + 24);
	in->tos = (uint8_t)(p[0] << 4 | p[1] >> 4);
	in->df = true;
	next = p[6];
	for (unsigned i = 0; i < MAX_EXTENSIONS; i++) {
		if (!skip_extension(p, in->len, &at, &next, &in->fragment, &later))
			break;
	}
	in->proto = next;
	in->bare = at == 40;
	if (!later) {
		in->l4 = (uint16_t)at;
		read_ports(p + at, in->len - at, in);
	}
	return 0;
}

int inner_parse(const uint8_t *p, uint32_t len, struct inner *ret)
{
	struct inner in = {0};
	int r = -EINVAL;

	if (len > 0 && p[0] >> 4 == 4)
		r = parse_ipv4(p, len, &in);
	else if (len > 0 && p[0] >> 4 == 6)
		r = parse_ipv6(p, len, &in);
	if (r == 0)
		*ret = in;
	return r;
}

bool inner_match(const struct ts *t, const struct addr *a, const struct inner *in, uint16_t port)
{
	if (in->ports_known)
		return ts_match(t, a, in->proto, port);
	/* Opaque ports (RFC 4301 4.4.1.1) are only in selectors that take any. */
	return t->port_lo == 0 && t->port_hi == UINT16_MAX && ts_match(t, a, in->proto, 0);
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
