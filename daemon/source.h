/*
 * source.h - the address from which this host's own packets go through a tunnel's route.
 * SPDX-License-Identifier: ISC
 *
 * Several children may route to the same prefix, such as a trap and the CHILD SA that it brought
 * up, each with local selectors of its own. Equal ones are kept once, with a count.
 *
 * The source is an address of this host within one of the selectors, so that the host's own packets
 * match it. If there are several, it is one within the selector with the fewest addresses: an
 * assigned address before any other one that a trap for a `dynamic` selector would take. Among
 * equals it stays what it is, or else is the lowest.
 *
 * A thousand children may have a thousand addresses of this host: a new selector is compared with
 * the source alone, not with all others again.
 */
#ifndef MENDIP_SOURCE_H
#define MENDIP_SOURCE_H

#include <sys/queue.h>

#include "addr.h"

/* The addresses of this host, in the order of addr_cmp. All zeros: none. */
struct own_addresses {
	struct addr *v; /* owned */
	unsigned count, size;
};

/* Adds one at the end, in any order; then own_addresses_sort is to be called. */
void own_addresses_add(struct own_addresses *own, const struct addr *a);
void own_addresses_sort(struct own_addresses *own);
void own_addresses_free(struct own_addresses *own);

struct source_user;

struct source {
	SLIST_HEAD(, source_user) users;
	struct addr addr; /* family 0: no address of this host is within a selector */
	struct ts within; /* the selector that it is in */
	uint8_t family;	  /* enum family: which selectors count */
};

void source_init(struct source *s, uint8_t family);
/* Adds a copy of the selectors, and updates s->addr. */
void source_add(struct source *s, const struct own_addresses *own, const struct ts_list *local);
/*
 * Takes back one call of source_add, and updates s->addr; does nothing if there was none. True: it
 * was the last one. s->addr is then as before, and is kept if a selector that it is within comes.
 */
bool source_drop(struct source *s, const struct own_addresses *own, const struct ts_list *local);
/* Updates s->addr after the addresses of this host have changed. */
void source_update(struct source *s, const struct own_addresses *own);
bool source_has_users(const struct source *s);
void source_free(struct source *s);

#endif
