/*
 * coalesce_fixture.h - sequences of packets that pass through coalesce.h, a virtio-net header and
 * segment.h.
 * SPDX-License-Identifier: ISC
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
	uint32_t nr; /* number of the sequence, for messages */
	uint32_t count, used;
	struct ref_packet pkt[SEQUENCE_MAX];
	uint32_t pad[SEQUENCE_MAX];		/* bytes of TFC padding after each */
	uint32_t runs[SEQUENCE_MAX], run_count; /* set by seq_check */
	uint8_t arena[ARENA];
};

/* The header fields of the next packet of a flow. */
struct flow {
	bool v6, udp;
	uint8_t tos, ttl, flags3, options; /* options: bytes of TCP options */
	uint16_t sport, dport, id, window;
	uint32_t host, label, seq, ack;
};

enum kind { TCP4, TCP6, UDP4, UDP6 };

/* A device that accepts all offloads. */
extern const struct ref_device everything;

struct flow flow_of(enum kind kind);
uint32_t flow_header_len(const struct flow *f);

struct sequence *seq_new(void);
/* Whether a packet of len bytes can be added. */
bool seq_room(const struct sequence *s, uint32_t len);
/* Adds the next packet of the flow, with correct checksums. */
uint8_t *seq_emit(struct sequence *s, struct flow *f, uint32_t payload, uint8_t flags);
/* The last packet. It may be changed until the next one is made, and must then be decoded or
 * mended. */
uint8_t *seq_last(struct sequence *s);
/* Decodes the last packet, trusting its length fields. */
void seq_decode_last(struct sequence *s);
/* Decodes the last packet, and corrects its checksums. */
void seq_mend_last(struct sequence *s);
/* Adds to the last packet 8 bytes of IPv4 options, or an IPv6 extension header of this type. */
void seq_insert_extra(struct sequence *s, uint8_t type);
void seq_swap(struct sequence *s, uint32_t i, uint32_t k);

/*
 * Sends the whole sequence through. Fails unless it comes out unchanged, in the runs that the
 * reference expects. Adds to alone[REF_COUNT], if not NULL, the rules that were the only one
 * against a packet.
 */
void seq_check(struct sequence *s, const struct ref_device *d, uint64_t *alone);

#endif
