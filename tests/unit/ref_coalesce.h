/*
 * ref_coalesce.h - which packets TUN may be given as one, said slowly: the rules of coalesce.h, one
 * by one, over decoded fields. Shares no code with common/packet. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_REF_COALESCE_H
#define MENDIP_REF_COALESCE_H

#include "base.h"

/* Why a packet does not continue the run before it. */
enum ref_rule {
	/* it is in no run at all */
	REF_FRAGMENT,
	REF_OPTIONS, /* IPv4 options, IPv6 extension headers */
	REF_PROTOCOL,
	REF_SHORT_HEADER, /* TCP or UDP header incomplete, or its length wrong */
	REF_NO_OFFLOAD,	  /* the device does not take runs of this kind */
	REF_EMPTY,	  /* a pure ACK, a datagram without payload */
	REF_FLAGS,	  /* anything but ACK, PSH, ECE */
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
	/* it differs from those before it */
	REF_FAMILY,
	REF_OTHER_PROTOCOL,
	REF_ADDRESSES,
	REF_PORTS,
	REF_TOS,
	REF_TTL,
	REF_DF, /* and the reserved bit beside it */
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

/* A packet decoded. It has exactly len bytes. */
struct ref_packet {
	const uint8_t *p;
	uint32_t len;
	bool v6, fragment, options;
	uint32_t proto, tos, ttl, flags3, id, label; /* flags3: reserved, DF, MF */
	uint32_t l4, header, payload;		     /* header: where the payload begins */
	bool l4_whole;
	uint32_t sport, dport, seq, ack, window, flags, urgent;
	uint32_t ip_sum, ip_sum_want, l4_sum, l4_sum_want; /* as they are, and as they are sent */
};

void ref_decode(const uint8_t *p, uint32_t len, struct ref_packet *ret);
/* Writes IP and TCP or UDP checksums as a sender does. */
void ref_mend(uint8_t *p, uint32_t len);
/* The device may be told that the checksum was verified. */
bool ref_verified(const struct ref_packet *p);
/*
 * All the rules that keep `next` out of the run of count packets at first, as a set of 1 << rule;
 * 0: it continues. count 0: only whether it may begin one.
 */
uint64_t ref_broken(const struct ref_device *d, const struct ref_packet *first, uint32_t count,
		    const struct ref_packet *next);

#endif
