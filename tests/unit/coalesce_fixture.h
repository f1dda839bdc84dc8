/*
 * coalesce_fixture.h - sequences of packets, and what becomes of them on the way through coalesce.h
 * and out of TUN: a virtio-net header and segment.h. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_COALESCE_FIXTURE_H
#define MENDIP_COALESCE_FIXTURE_H

#include "esp_fixture.h"
#include "ref_coalesce.h"

#define SEQUENCE_MAX 200
#define ARENA	     (512u << 10)

#define PSH	     0x08
#define ACK	     0x10
#define ECE	     0x40

struct sequence {
	uint32_t nr; /* told when it fails */
	uint32_t count, used;
	struct ref_packet pkt[SEQUENCE_MAX];
	uint32_t pad[SEQUENCE_MAX];		/* TFC padding behind each */
	uint32_t runs[SEQUENCE_MAX], run_count; /* after seq_check */
	uint8_t arena[ARENA];
};

/* What the next packet of a flow looks like. */
struct flow {
	bool v6, udp;
	uint8_t tos, ttl, flags3, options; /* options: bytes of TCP's */
	uint16_t sport, dport, id, window;
	uint32_t host, label, seq, ack;
};

enum kind { TCP4, TCP6, UDP4, UDP6 };

/* A device that takes all there is. */
extern const struct ref_device everything;

struct flow flow_of(enum kind kind);
uint32_t flow_header_len(const struct flow *f);

struct sequence *seq_new(void);
/* There is room for a packet of len bytes. */
bool seq_room(const struct sequence *s, uint32_t len);
/* The next packet of the flow, with right checksums. */
uint8_t *seq_emit(struct sequence *s, struct flow *f, uint32_t payload, uint8_t flags);
/* The last packet, which may be changed until the next one is made; then one of the next two. */
uint8_t *seq_last(struct sequence *s);
/* Takes the lengths in its header to be right. */
void seq_decode_last(struct sequence *s);
/* The same, and makes its checksums right. */
void seq_mend_last(struct sequence *s);
/* Gives it IPv4 options or an IPv6 extension header of 8 bytes; type: of the latter. */
void seq_insert_extra(struct sequence *s, uint8_t type);
void seq_swap(struct sequence *s, uint32_t i, uint32_t k);

/*
 * Sends the whole sequence through. Fails the test unless it comes out byte for byte, in the runs
 * that the reference makes of it. Adds to alone[REF_COUNT], if any, what was the only rule against
 * a packet.
 */
void seq_check(struct sequence *s, const struct ref_device *d, uint64_t *alone);

#endif
