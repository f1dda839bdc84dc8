/*
 * ref_coalesce.h - a slow reference for coalesce.h: which packets may be written to TUN as one,
 * rule by rule, over decoded fields. Shares no code with common/packet.
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_REF_COALESCE_H
#define MENDIP_REF_COALESCE_H

#include "base.h"

/* Why a packet does not continue the run before it. */
enum ref_rule {
	/* it cannot be in a run */
	REF_FRAGMENT,
	REF_OPTIONS, /* IPv4 options, IPv6 extension headers */
	REF_PROTOCOL,
	REF_SHORT_HEADER, /* TCP or UDP header incomplete, or its length wrong */
	REF_NO_OFFLOAD,	  /* the device does not accept runs of this kind */
	REF_EMPTY,	  /* pure ACK, or datagram without payload */
	REF_FLAGS,	  /* flags other than ACK, PSH, ECE */
	REF_NO_SUM,	  /* UDP without checksum */
	REF_IP_SUM,
	REF_L4_SUM,
	/* the run before it has ended */
	REF_AFTER_ALONE,
	REF_AFTER_PSH,
	REF_AFTER_SHORT,
	REF_FULL_64,
	REF_FULL_65535,
	REF_FULL_CAP,
	/* it differs from the packet before */
	REF_FAMILY,
	REF_OTHER_PROTOCOL,
	REF_ADDRESSES,
	REF_PORTS,
	REF_TOS,
	REF_TTL,
	REF_DF, /* or the reserved bit */
	REF_LABEL,
	REF_ID,
	REF_HEADER_LEN,
	REF_SEQUENCE,
	REF_ACK_NUMBER,
	REF_WINDOW,
	REF_ECE,
	REF_URGENT,
	REF_TCP_OPTIONS,
	REF_LONGER,
	REF_COUNT
};

const char *ref_rule_name(enum ref_rule rule);

struct ref_device {
	bool csum, tso4, tso6, uso;
	uint32_t cap;
};

/* A decoded packet of exactly len bytes. */
struct ref_packet {
	const uint8_t *p;
	uint32_t len;
	bool v6, fragment, options;
	uint32_t proto, tos, ttl, flags3, id, label; /* flags3: reserved, DF, MF */
	uint32_t l4, header, payload;		     /* header: length of all headers */
	bool l4_whole;
	uint32_t sport, dport, seq, ack, window, flags, urgent;
	uint32_t ip_sum, ip_sum_want, l4_sum, l4_sum_want; /* found in the packet, and correct */
};

void ref_decode(const uint8_t *p, uint32_t len, struct ref_packet *ret);
/* Writes correct IP and TCP or UDP checksums. */
void ref_mend(uint8_t *p, uint32_t len);
/* Whether the device may be told that the checksum was verified. */
bool ref_verified(const struct ref_packet *p);
/*
 * Returns the rules that keep `next` out of the run of `count` packets at `first`, as bits 1 <<
 * rule; 0: it continues the run. With count 0, says only whether it may begin a run.
 */
uint64_t ref_broken(const struct ref_device *d, const struct ref_packet *first, uint32_t count,
		    const struct ref_packet *next);

#endif
