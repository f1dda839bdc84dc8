/*
 * parked.h - packets that came too early (doc/recovery.md 7). SPDX-License-Identifier: ISC
 *
 * The first packets of a rewound sender may carry numbers that the first lap never received. They
 * prove nothing, and are not opened before the bridge is open. A peer may also send on a new SA
 * before its response has arrived, which installs the SA: the SPI is known then, the keys are not.
 * Both wait here, as they came, and are looked at once more when the bridge opens, or the SA is
 * installed. A new packet takes the place of the oldest.
 */
#ifndef MENDIP_PARKED_H
#define MENDIP_PARKED_H

#include "spd.h"

#define PARKED_MAX   64
#define PARKED_BYTES 2048 /* longer packets are not kept */

struct parked_packet {
	struct sa_ref sa; /* gen 0: empty */
	bool early;	  /* it waits for the SA, not for its bridge */
	bool due;	  /* what it waits for has come */
	struct endpoint from;
	uint16_t len;
	uint8_t tos;
	uint8_t bytes[PARKED_BYTES]; /* the whole ESP packet */
};

struct parked {
	struct parked_packet *v; /* allocated with the first packet */
	uint32_t next;
};

void parked_fini(struct parked *p);
/* Keeps a copy of the packet if it is not longer than PARKED_BYTES. early: it waits for the SA. */
void parked_add(struct parked *p, struct sa_ref sa, bool early, const struct endpoint *from,
		uint8_t tos, const uint8_t *bytes, uint32_t len);
/* Makes due what waits for the SA, or for its bridge. True if there is any. */
bool parked_due(struct parked *p, struct sa_ref sa);
/*
 * Removes and returns the oldest packet that is due, or NULL. It stays valid until the next
 * parked_add; the caller may change its bytes.
 */
struct parked_packet *parked_take(struct parked *p);

#endif
