/* icmp.h - tells a sender that its packet is too big. SPDX-License-Identifier: ISC */
#ifndef MENDIP_ICMP_H
#define MENDIP_ICMP_H

#include "packet/inner.h"

#define ICMP_MAX 1280 /* the largest error; IPv4's are at most 576 (RFC 1812 4.3.2.3) */

/*
 * Writes to dst, of cap bytes, the ICMP error for the packet at pkt, whose headers are in `in`:
 * Fragmentation Needed (RFC 792, RFC 1191) or Packet Too Big (RFC 4443 3.2) with this MTU in bytes
 * (for IPv6 at least 1280). Its source is the packet's destination. Returns its length, or 0 if it
 * does not fit or must not be sent: for ICMP errors, later fragments, and senders that are not a
 * single host (RFC 1122 3.2.2, RFC 4443 2.4).
 */
uint32_t icmp_too_big(uint8_t *dst, uint32_t cap, const uint8_t *pkt, const struct inner *in,
		      uint32_t mtu);

#endif
