/*
 * fragments.h - puts a message together from its fragments (RFC 7383 2.6). It knows no SA: the
 * caller verifies each fragment before it is stored, and says how much may be.
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_IKE_FRAGMENTS_H
#define MENDIP_IKE_FRAGMENTS_H

#include "wire.h"

/* The fragments of one message; all zero: none. */
struct fragments {
	uint32_t id;	  /* message ID */
	uint8_t exchange; /* enum ike_exchange */
	uint8_t first;	  /* type of the first payload; known with number 1 */
	uint16_t total, count;
	size_t len;	/* of all that are here, in bytes */
	size_t longest; /* of the datagrams they came in */
	struct fragment_part {
		uint8_t *p; /* owned, wiped */
		uint16_t len;
		bool here;
	} * part; /* `total` of them; owned, NULL: none */
};

/* What the header and SKF of a message say, or are to say, of a fragment. */
struct fragment_head {
	uint32_t id;
	uint8_t exchange;
	uint8_t next; /* type of the first payload inside; counts in number 1 */
	uint16_t number, total;
	size_t datagram; /* bytes of the one that it came in */
};

/*
 * Whether this fragment may be stored, if it is authentic: its numbers are valid, and it is new. Of
 * a message with a higher ID than the one that is incomplete it is; and of the same message it is
 * also if that was divided into more fragments than before (2.5.2).
 */
bool fragments_want(const struct fragments *f, const struct fragment_head *h);

enum fragment_result {
	FRAGMENT_STORED,   /* others are missing */
	FRAGMENT_COMPLETE, /* fragments_join gives the message */
	FRAGMENT_TOO_LONG, /* the message has more than `limit` bytes: all were forgotten */
};
/*
 * Stores an authentic fragment that fragments_want let pass; copies text. Forgets those of an older
 * message, and those of the same one divided otherwise.
 */
enum fragment_result fragments_add(struct fragments *f, const struct fragment_head *h,
				   struct chunk text, size_t limit);
/* Writes the payloads of a complete message to out, which has room for f->len bytes. */
void fragments_join(const struct fragments *f, uint8_t *out);
/* Wipes and frees all; there is no fragment then. */
void fragments_clear(struct fragments *f);

#endif
