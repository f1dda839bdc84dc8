/*
 * coalesce.h - putting packets of one flow back together for TUN, as a device with receive offload
 * does. SPDX-License-Identifier: ISC
 *
 * One run is open at a time: the packets of a train come one after another. What does not continue
 * the run ends it, so packets are never reordered and nothing waits for what may not come. A
 * super-packet is only made of packets that segment.h would cut it into again, byte for byte; their
 * checksums are verified while they are copied.
 */
#ifndef MENDIP_COALESCE_H
#define MENDIP_COALESCE_H

#include "packet/inner.h"
#include "packet/offload.h"

/* What TUN takes from us. */
enum pkt_accept {
	PKT_ACCEPT_CSUM = 1 << 0, /* checksums that are verified or left to the kernel */
	PKT_ACCEPT_TSO4 = 1 << 1,
	PKT_ACCEPT_TSO6 = 1 << 2,
	PKT_ACCEPT_USO = 1 << 3,
};

/* One write to TUN: a packet, or several of one flow. */
struct pkt_super {
	uint8_t *base;		/* the caller's, cap bytes */
	uint32_t cap, len;	/* len 0: empty */
	uint8_t accept;		/* set of enum pkt_accept */
	uint16_t device;	/* the caller's: where it goes to */
	struct pkt_offload off; /* set by pkt_super_finish */
	/* the run */
	bool open; /* more may follow */
	uint8_t proto;
	uint16_t l4, hdr_len, count, size; /* size: payload of each but the last */
	uint32_t next_seq;
};

void pkt_super_init(struct pkt_super *s, uint8_t *base, uint32_t cap, uint8_t accept);
/*
 * Adds the packet `in` at pkt. False: it does not continue what is there, which is unchanged; then
 * finish, write and reset it, and add again, which succeeds for packets of up to cap bytes.
 */
bool pkt_super_add(struct pkt_super *s, const uint8_t *pkt, const struct inner *in);
/* Nothing that comes can continue what is there: it may as well be written now. */
static inline bool pkt_super_closed(const struct pkt_super *s)
{
	return s->len && !s->open;
}

/* Makes headers and `off` fit what was added; to be called once before the write. */
void pkt_super_finish(struct pkt_super *s);
void pkt_super_reset(struct pkt_super *s);

#endif
