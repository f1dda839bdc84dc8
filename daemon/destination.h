/*
 * destination.h - which of a peer's addresses is tried first (RFC 6724 6). SPDX-License-Identifier:
 * ISC
 */
#ifndef MENDIP_DESTINATION_H
#define MENDIP_DESTINATION_H

#include "addr.h"

struct destination {
	struct addr addr;
	struct addr source; /* from which it would be reached; family 0: there is no way to it */
	uint8_t rank;	    /* lower ones come first, whatever the rules say */
};

/*
 * Orders n of them, the best one first, by rules 1, 2, 5, 6, 8 and 9; those that are equal keep
 * their order. The policy table is that of section 2.1.
 */
void destinations_sort(struct destination *d, unsigned n);

#endif
