/* icmp.h - telling a sender that its packet is too big. SPDX-License-Identifier: ISC */
#ifndef MENDIP_ICMP_H
#define MENDIP_ICMP_H

#include "packet/inner.h"

#define ICMP_MAX 1280 /* the largest error; IPv4's stay at 576 (RFC 1812 4.3.2.3) */

/*
 * Writes to dst of cap bytes the ICMP error for the packet `in` at pkt: Fragmentation Needed (RFC
 * 792, RFC 1191) or Packet Too Big (RFC 4443 3.2) with this MTU, as from the packet's destination.
 * Its length; 0 where none may be sent: for ICMP errors, later fragments, and senders that are no
 * single host (RFC 1122 3.2.2, RFC 4443 2.4).
 */
uint32_t icmp_too_big(uint8_t *dst, uint32_t cap, const uint8_t *pkt, const struct inner *in,
		      uint32_t mtu);

#endif
