/* offload.c - see offload.h. SPDX-License-Identifier: ISC */
#include "packet/offload.h"

#include <linux/virtio_net.h>

_Static_assert(sizeof(struct virtio_net_hdr) == VNET_HEADER_LEN,
	       "the size that TUN has by default");

/* Since kernel 6.2; older headers do not have it. */
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

static int gso_read(uint8_t type, enum pkt_gso *ret)
{
	/* The ECN bit is not needed: the TCP flags tell whether a flow uses ECN. */
	switch (type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE: *ret = PKT_GSO_NONE; return 0;
	case VIRTIO_NET_HDR_GSO_TCPV4: *ret = PKT_GSO_TCP4; return 0;
	case VIRTIO_NET_HDR_GSO_TCPV6: *ret = PKT_GSO_TCP6; return 0;
	case VIRTIO_NET_HDR_GSO_UDP_L4: *ret = PKT_GSO_UDP; return 0;
	default: return -EINVAL;
	}
}

int vnet_read(const uint8_t header[VNET_HEADER_LEN], uint32_t len, struct pkt_offload *ret)
{
	struct pkt_offload o = {0};
	struct virtio_net_hdr h;

	memcpy(&h, header, sizeof(h));
	if (gso_read(h.gso_type, &o.gso) < 0)
		return -EINVAL;
	/* The fields are in the host's byte order. */
	if (o.gso != PKT_GSO_NONE) {
		o.gso_size = h.gso_size;
		if (o.gso_size == 0)
			return -EINVAL;
	}
	if (h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		o.needs_csum = true;
		o.csum_start = h.csum_start;
		o.csum_offset = h.csum_offset;
		if ((uint32_t)o.csum_start + o.csum_offset + 2 > len)
			return -EINVAL;
	}
	*ret = o;
	return 0;
}

void vnet_write(uint8_t header[VNET_HEADER_LEN], const struct pkt_offload *o, uint16_t hdr_len)
{
	static const uint8_t types[] = {
		[PKT_GSO_NONE] = VIRTIO_NET_HDR_GSO_NONE,
		[PKT_GSO_TCP4] = VIRTIO_NET_HDR_GSO_TCPV4,
		[PKT_GSO_TCP6] = VIRTIO_NET_HDR_GSO_TCPV6,
		[PKT_GSO_UDP] = VIRTIO_NET_HDR_GSO_UDP_L4,
	};
	struct virtio_net_hdr h = {.gso_type = types[o->gso]};

	if (o->gso != PKT_GSO_NONE) {
		h.gso_size = o->gso_size;
		h.hdr_len = hdr_len;
	}
	if (o->needs_csum) {
		h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h.csum_start = o->csum_start;
		h.csum_offset = o->csum_offset;
	} else if (o->valid_csum) {
		h.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	}
	memcpy(header, &h, sizeof(h));
}
