/*
 * segment.h - cuts a super-packet of TUN into the packets that a device without offloads would have
 * got. SPDX-License-Identifier: ISC
 *
 * A plan is made once per super-packet; each segment is then written directly to its place, with
 * its payload copied and summed in one pass.
 */
#ifndef MENDIP_SEGMENT_H
#define MENDIP_SEGMENT_H

#include "packet/inner.h"
#include "packet/offload.h"

struct seg_plan {
	const uint8_t *pkt;
	uint32_t len;	    /* of the whole IP packet, without what follows it */
	uint32_t count;	    /* number of segments, at least 1 */
	uint32_t seg_len;   /* of the first, and of each but the last */
	uint32_t pseudo;    /* sum of addresses and protocol */
	uint16_t size;	    /* payload of each but the last; 0: not cut */
	uint16_t hdr_len;   /* bytes before the payload */
	uint16_t l3_len;    /* bytes before the TCP or UDP header */
	uint16_t csum_from; /* not cut: where the sum begins; 0: nothing to complete */
	uint16_t csum_at;   /* not cut: where the checksum goes */
	enum pkt_gso gso;
};

/*
 * Plans how to cut the packet at pkt, whose headers are in `in`. The plan refers to pkt. -EINVAL if
 * `off` does not fit the packet: a checksum in the wrong place or of a fragment; and, for a packet
 * that is to be cut, another protocol, headers that are cut short, a fragment, a UDP length that is
 * not the datagram's, options or extension headers in front of a checksum that is not left to us,
 * or more than 65,535 segments.
 */
int seg_plan(const uint8_t *pkt, const struct inner *in, const struct pkt_offload *off,
	     struct seg_plan *ret) MUST_CHECK;
/* The length of segment i, i < count, in bytes. */
uint32_t seg_len(const struct seg_plan *p, uint32_t i);
/*
 * Writes segment i, seg_len bytes, to dst. Lengths, checksums, IP IDs and TCP numbers are the
 * segment's own; PSH and FIN are on the last one only, CWR on the first only.
 */
void seg_write(const struct seg_plan *p, uint32_t i, uint8_t *dst);

#endif
