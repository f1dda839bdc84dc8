/*
 * inner.h - what the data path needs of the headers of an inner packet. SPDX-License-Identifier:
 * ISC
 */
#ifndef MENDIP_INNER_H
#define MENDIP_INNER_H

#include "addr.h"
#include "wire.h"

#define PROTO_ICMP     1
#define PROTO_IPV4     4
#define PROTO_TCP      6
#define PROTO_UDP      17
#define PROTO_DCCP     33
#define PROTO_IPV6     41
#define PROTO_ICMPV6   58
#define PROTO_SCTP     132
#define PROTO_MOBILITY 135
#define PROTO_UDPLITE  136
#define PROTO_NONE     59 /* no next header: a dummy packet (RFC 4303 2.6) */

struct inner {
	struct addr src, dst;
	uint64_t upper; /* proto, ports_known and the ports in one word, for comparison */
	uint32_t len;	/* total length by its header; what follows is TFC padding */
	uint16_t l4;	/* where the upper layer begins; 0: not in this packet (later fragments) */
	uint16_t sport; /* of TCP, UDP, SCTP, DCCP, UDP-Lite; type and code of ICMP, and type of a
			 * Mobility Header, in both (RFC 4301 4.4.1.1) */
	uint16_t dport;
	uint8_t proto;	  /* upper-layer protocol, behind IPv6 extension headers */
	uint8_t tos;	  /* TOS or traffic class */
	bool df;	  /* IPv4 DF; always true for IPv6 */
	bool ports_known; /* false for later fragments and protocols without ports */
	bool fragment;	  /* any fragment, the first one too */
	bool bare;	  /* no IPv4 options, no IPv6 extension headers */
	bool plain;	  /* TCP or UDP, bare, no fragment, with its ports: see inner_next */
};

/*
 * Reads the headers of the packet in p[0..len). -EINVAL if it is not an IPv4 or IPv6 packet, or is
 * cut short; *ret is then unchanged.
 */
int inner_parse(const uint8_t *p, uint32_t len, struct inner *ret) MUST_CHECK;

/*
 * True if t, a selector of the local or remote side of a child, admits this address and the upper
 * layer of `in`. port is the one of that side.
 */
static inline bool inner_match(const struct ts *t, const struct addr *a, const struct inner *in,
			       uint16_t port)
{
	if (in->ports_known)
		return ts_match(t, a, in->proto, port);
	/* Ports that are not seen are matched by "any" and OPAQUE (RFC 4301 4.4.1.1, 7). */
	return (ts_any_port(t) || ts_is_opaque(t)) && t->family == a->family &&
	       (t->proto == 0 || t->proto == in->proto) && addr_within(a, &t->lo, &t->hi);
}

/* True if both are equal in all that selectors look at. */
static inline bool inner_same_flow(const struct inner *a, const struct inner *b)
{
	return a->upper == b->upper && addr_eq(&a->src, &b->src) && addr_eq(&a->dst, &b->dst);
}

/*
 * True if the headers at p have the addresses, protocol and ports of *in, which is `plain`, and
 * neither options, extension headers nor a fragment. in->l4 + 4 bytes must be there.
 */
static inline bool inner_same_headers(const uint8_t *p, const struct inner *in)
{
	uint32_t ports = (uint32_t)in->upper;

	if (in->src.family == FAMILY_IPV4)
		return p[0] == 0x45 && p[9] == in->proto && (get_be16(p + 6) & 0x3fff) == 0 &&
		       memcmp(p + 12, in->src.b, 4) == 0 && memcmp(p + 16, in->dst.b, 4) == 0 &&
		       get_be32(p + 20) == ports;
	return p[0] >> 4 == 6 && p[6] == in->proto && memcmp(p + 8, in->src.b, 16) == 0 &&
	       memcmp(p + 24, in->dst.b, 16) == 0 && get_be32(p + 40) == ports;
}

/*
 * The next packet of a flow, without parsing it: true if inner_parse of p[0..len) would give what
 * is in *in, except length, TOS and DF, which are then set to those of p. False, with *in
 * unchanged, if this cannot be told without parsing.
 */
static inline bool inner_next(const uint8_t *p, uint32_t len, struct inner *in)
{
	bool v4 = in->src.family == FAMILY_IPV4;
	uint32_t total;

	if (!in->plain || len < in->l4 + 4u || !inner_same_headers(p, in))
		return false;
	total = v4 ? get_be16(p + 2) : 40u + get_be16(p + 4);
	if (total > len || total < in->l4 + 4u)
		return false;
	in->len = total;
	in->tos = v4 ? p[1] : (uint8_t)(p[0] << 4 | p[1] >> 4);
	in->df = !v4 || p[6] & 0x40;
	return true;
}

/*
 * Takes the ECN field of the outer header over into the inner packet at p (RFC 6040 4.2): changes
 * its ECN field and its IPv4 checksum. False if the packet is to be dropped (CE on a Not-ECT
 * packet).
 */
bool inner_ecn_decap(uint8_t *p, uint8_t outer_tos);

#endif
