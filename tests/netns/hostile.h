/*
 * hostile.h - a hostile peer with valid credentials: state, messages and packets.
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_HOSTILE_H
#define MENDIP_HOSTILE_H

#include "live_peer.h"

#define HOSTILE_OLD   16
#define HOSTILE_ASKED 32

/* A request on an IKE SA that this program sends, and of which the engine does not know. */
struct hostile_asked {
	uint64_t spi; /* local SPI of the IKE SA; 0: unused entry */
	uint32_t id;
	nsec_t since;
	unsigned unanswered; /* requests in a row */
	bool waiting;
};

struct hostile {
	struct live_peer peer;
	struct seeded rng; /* decides what the peer does; peer.rng makes its keys */
	bool greedy;	   /* phase: it creates many CHILD SAs; else it sends malformed messages */
	struct hostile_asked asked[HOSTILE_ASKED];
	struct {
		bool esp;
		size_t len;
		uint8_t b[2048];
	} old[HOSTILE_OLD]; /* datagrams for retransmission */
	unsigned next_old;
};

/* The content of an SK payload: a chain of payloads, the first of this type. */
struct hostile_text {
	uint8_t first;
	size_t len;
	uint8_t b[IKE_MAX_MESSAGE];
};

static inline uint64_t draw(struct hostile *h, uint64_t below)
{
	return below ? rng_below(&h->rng.rng, below) : 0;
}

static inline bool one_in(struct hostile *h, unsigned n)
{
	return draw(h, n) == 0;
}

/* ---- hostile_text.c ---- */
/* Makes a chain of payloads of all types, well-formed and malformed, for an IKE SA. */
void hostile_chain(struct hostile *h, const struct ike_sa *sa, struct hostile_text *t);
/* Changes something in a chain, such as one that the engine wrote. */
void hostile_spoil(struct hostile *h, const struct ike_sa *sa, struct hostile_text *t);
/* Makes a list of traffic selectors, which the gateway may grant or not. */
void hostile_selectors(struct hostile *h, struct ts_list *l, bool near);

/* ---- hostile_esp.c ---- */
/* Makes an ESP packet with valid keys and any content and sequence number; returns its length. */
size_t hostile_packet(struct hostile *h, struct live_child *c, uint8_t *out, size_t cap);

#endif
