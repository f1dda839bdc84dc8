/*
 * inner.h - what the data path has to know of an inner packet. SPDX-License-Identifier: ISC
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
	uint64_t upper; /* proto, ports_known and the ports in one word, to compare by */
	uint32_t len;	/* total length as its header says; what follows is TFC padding */
	uint16_t l4;	/* where the upper layer begins; 0: not in this packet (later fragments) */
	uint16_t sport; /* of TCP, UDP, SCTP, DCCP, UDP-Lite; type and code of ICMP, and type of a
			 * Mobility Header, in both (RFC 4301 4.4.1.1) */
	uint16_t dport;
	uint8_t proto;	  /* upper-layer protocol, behind IPv6 extension headers */
	uint8_t tos;	  /* TOS or traffic class */
	bool df;	  /* IPv4 DF; always for IPv6 */
	bool ports_known; /* false for later fragments and protocols without ports */
	bool fragment;	  /* any, the first one too */
	bool bare;	  /* no IPv4 options, no IPv6 extension headers */
	bool plain;	  /* TCP or UDP, bare, no fragment, with its ports: see inner_next */
};

/*
 * Reads the headers of the packet in p[0..len). -EINVAL when it is no IPv4 or IPv6 packet, or is
 * cut short; *ret untouched then.
 */
int inner_parse(const uint8_t *p, uint32_t len, struct inner *ret) MUST_CHECK;

/* The selectors (local side or remote side of a child) admit this address and upper layer. */
static inline bool inner_match(const struct ts *t, const struct addr *a, const struct inner *in,
			       uint16_t port)
{
	if (in->ports_known)
		return ts_match(t, a, in->proto, port);
	/* Opaque ports (RFC 4301 4.4.1.1) are only in selectors that take any. */
	return t->port_lo == 0 && t->port_hi == UINT16_MAX && ts_match(t, a, in->proto, 0);
}

/* Equal in all that selectors look at. */
static inline bool inner_same_flow(const struct inner *a, const struct inner *b)
{
	return a->upper == b->upper && addr_eq(&a->src, &b->src) && addr_eq(&a->dst, &b->dst);
}

/* The headers of a TCP or UDP packet say what they said in the packet of *in, which had neither
 * options nor extension headers and was no fragment. */
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
 * The next packet of a flow without parsing it: true when inner_parse would say of p[0..len) what
 * *in says of another packet, but for length, TOS and DF, which are then set to p's own. False, and
 * *in unchanged, for everything that is not so simple.
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

/* ECN of the outer header on the way in (RFC 6040 4.2): changes the inner packet's field and IPv4
 * checksum; false when the packet is to be dropped (CE on a not-ECT packet). */
bool inner_ecn_decap(uint8_t *p, uint8_t outer_tos);

#endif
