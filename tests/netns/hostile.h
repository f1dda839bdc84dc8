/*
 * hostile.h - a peer that has its key and means no good: what it writes. SPDX-License-Identifier:
 * ISC
 */
#ifndef MENDIP_HOSTILE_H
#define MENDIP_HOSTILE_H

#include "live_peer.h"

#define HOSTILE_OLD   16
#define HOSTILE_ASKED 32

/* A request of its own on an IKE SA, which the engine knows nothing of. */
struct hostile_asked {
	uint64_t spi; /* ours, of the IKE SA; 0: free */
	uint32_t id;
	nsec_t since;
	unsigned unanswered; /* in a row */
	bool waiting;
};

struct hostile {
	struct live_peer peer;
	struct seeded rng; /* of what it does: apart from that of its keys */
	bool greedy;	   /* it wants much at the moment; else it is wild */
	struct hostile_asked asked[HOSTILE_ASKED];
	struct {
		bool esp;
		size_t len;
		uint8_t b[2048];
	} old[HOSTILE_OLD]; /* datagrams that it may send again */
	unsigned next_old;
};

/* The inside of an SK payload: a chain whose first payload is of this type. */
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
/* Payloads of every kind, well-formed and not, for an IKE SA. */
void hostile_chain(struct hostile *h, const struct ike_sa *sa, struct hostile_text *t);
/* What the engine wrote, with something in it changed. */
void hostile_spoil(struct hostile *h, const struct ike_sa *sa, struct hostile_text *t);
/* A selector list that the gateway may grant, or not. */
void hostile_selectors(struct hostile *h, struct ts_list *l, bool near);

/* ---- hostile_esp.c ---- */
/* An ESP packet in the right keys; what is in it, and its number, may be anything. Its length. */
size_t hostile_packet(struct hostile *h, struct live_child *c, uint8_t *out, size_t cap);

#endif
