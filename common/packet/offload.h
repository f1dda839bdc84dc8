/*
 * offload.h - the virtio-net header (IFF_VNET_HDR) in front of each packet from or to a TUN device.
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_OFFLOAD_H
#define MENDIP_OFFLOAD_H

#include "base.h"

#define VNET_HEADER_LEN 10

enum pkt_gso {
	PKT_GSO_NONE,
	PKT_GSO_TCP4,
	PKT_GSO_TCP6,
	PKT_GSO_UDP, /* USO: UDP datagrams of gso_size bytes, either family */
};

/*
 * In host byte order. hdr_len of the wire form is left out, as it is not trusted. With needs_csum
 * the field at csum_start + csum_offset holds the sum of the pseudo header, not the checksum.
 */
struct pkt_offload {
	enum pkt_gso gso;
	bool needs_csum;
	bool valid_csum; /* to TUN: the checksum was verified */
	uint16_t gso_size, csum_start, csum_offset;
};

/*
 * Reads the header in front of a packet of len bytes. -EINVAL for a GSO type that was not asked
 * for, for GSO with gso_size 0, and for a checksum outside of the packet; *ret is then unchanged.
 */
int vnet_read(const uint8_t header[VNET_HEADER_LEN], uint32_t len,
	      struct pkt_offload *ret) MUST_CHECK;
/* hdr_len: bytes of the packet before its payload; used only with gso. */
void vnet_write(uint8_t header[VNET_HEADER_LEN], const struct pkt_offload *o, uint16_t hdr_len);

#endif
