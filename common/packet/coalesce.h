/*
 * coalesce.h - merges packets of one flow for TUN, as a device with receive offload does.
 * SPDX-License-Identifier: ISC
 *
 * One run is open at a time: the packets of a train arrive one after another. A packet that does
 * not continue the run ends it, so packets are never reordered and never wait for others. Packets
 * are merged only if segment.h would cut the super-packet into the same packets again, byte for
 * byte; their checksums are verified while they are copied.
 */
#ifndef MENDIP_COALESCE_H
#define MENDIP_COALESCE_H

#include "packet/inner.h"
#include "packet/offload.h"

/* What the TUN device accepts. */
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
	uint16_t device;	/* for the caller: where it goes to */
	struct pkt_offload off; /* set by pkt_super_finish */
	/* the run: */
	bool open; /* more packets may follow */
	uint8_t proto;
	uint16_t l4, hdr_len, count, size; /* size: payload of each but the last */
	uint32_t next_seq;
};

/* accept: a set of enum pkt_accept. */
void pkt_super_init(struct pkt_super *s, uint8_t *base, uint32_t cap, uint8_t accept);
/*
 * Adds the packet at pkt, whose headers are in `in`. False if it does not continue the run, which
 * is unchanged: finish, write and reset s, and add the packet again. An empty s takes every packet,
 * but stays empty for one that is longer than cap.
 */
bool pkt_super_add(struct pkt_super *s, const uint8_t *pkt, const struct inner *in);
/* True if no packet can continue what is there: it can be written now. */
static inline bool pkt_super_closed(const struct pkt_super *s)
{
	return s->len && !s->open;
}

/* Sets the headers and `off` to fit what was added. Call it once before the write. */
void pkt_super_finish(struct pkt_super *s);
/* Empties s, and keeps base, cap and accept. */
void pkt_super_reset(struct pkt_super *s);

#endif
