/* index.h - IKE SAs by the peer's address, half-open ones by the initiator's SPI too.
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_IKE_INDEX_H
#define MENDIP_IKE_INDEX_H

#include "sa/ike_sa.h"

/* An entry of struct ike's `half`. */
struct half_key {
	uint64_t spi_i;
	struct addr addr;
};
struct ike_half {
	struct half_key key;
	struct ike_sa *sa;
	UT_hash_handle hh; /* in the order in which they came */
};

/* The half-open IKE SA with this SPIi whose peer is at this address, on any port, or NULL. */
struct ike_sa *half_find(struct ike *ike, uint64_t spi_i, const struct endpoint *remote);
/* Counts and indexes a half-open IKE SA, whose SPIi and remote endpoint are set. */
void half_add(struct ike_sa *sa);
/* Undoes half_add; does nothing if the SA was not added. */
void half_remove(struct ike_sa *sa);
/*
 * What limits count as one source: an address of IPv4, or the /64 of one of IPv6, as one host has
 * all addresses in it.
 */
struct addr addr_site(const struct addr *a);
/* The number of half-open IKE SAs whose peer is at this site. */
unsigned half_open_from(const struct ike *ike, const struct addr *a);
/* All IKE SAs by the peer's address: to be removed before the address changes and added after. */
void addr_index_add(struct ike_sa *sa);
void addr_index_remove(struct ike_sa *sa);
/* The first one, or NULL; the next ones follow by address_link. */
struct ike_sa *addr_index_first(const struct ike *ike, const struct addr *a);

#endif
