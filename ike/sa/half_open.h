/* half_open.h - half-open IKE SAs, the index by address, and cookies (RFC 7296 2.6, RFC 8019).
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_IKE_HALF_OPEN_H
#define MENDIP_IKE_HALF_OPEN_H

#include "sa/ike_sa.h"

/* The half-open IKE SA with this SPIi whose peer is at this address, on any port, or NULL. */
struct ike_sa *half_find(struct ike *ike, uint64_t spi_i, const struct endpoint *remote);
/* Counts and indexes a half-open IKE SA, whose SPIi and remote endpoint are set. */
void half_add(struct ike_sa *sa);
/*
 * If there are half_open_max half-open IKE SAs, ends the oldest one: of the /24 or /64 that `from`
 * is in, if that has an eighth of them or more, otherwise of all.
 */
void half_make_room(struct ike *ike, const struct addr *from, nsec_t now);
/* How long a new IKE SA may be half-open, in nanoseconds: less when many are (RFC 8019 4.1). */
nsec_t half_open_time(const struct ike *ike);
/* Undoes half_add; does nothing if the SA was not added. */
void half_remove(struct ike_sa *sa);
/* The number of half-open IKE SAs whose peer is at this address. */
unsigned half_open_from(const struct ike *ike, const struct addr *a);
/* All IKE SAs by the peer's address: to be removed before the address changes and added after. */
void addr_index_add(struct ike_sa *sa);
void addr_index_remove(struct ike_sa *sa);
/* The first one, or NULL; the next ones follow by address_link. */
struct ike_sa *addr_index_first(const struct ike *ike, const struct addr *a);
/*
 * Writes the cookie for this nonce, address and SPIi to out, COOKIE_LEN bytes (2.6). version: of
 * the cookie secret.
 */
void cookie_make(struct ike *ike, struct chunk ni, const struct endpoint *remote, uint64_t spi_i,
		 uint8_t version, uint8_t *out);
/*
 * Whether we made the cookie for this nonce, address and SPIi, by the current secret or the one
 * before. Makes a new secret every 60 s.
 */
bool cookie_valid(struct ike *ike, struct chunk cookie, struct chunk ni,
		  const struct endpoint *remote, uint64_t spi_i, nsec_t now);
#define COOKIE_LEN 33

#endif
