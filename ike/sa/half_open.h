/* half_open.h - what outsiders can make grow, and cookies (RFC 7296 2.6, RFC 8019).
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_IKE_HALF_OPEN_H
#define MENDIP_IKE_HALF_OPEN_H

#include "sa/ike_sa.h"

struct ike_sa *half_find(struct ike *ike, uint64_t spi_i, const struct endpoint *remote);
void half_add(struct ike_sa *sa);
/*
 * Where all places are taken, the oldest one goes: of the /24 or /64 that the call comes from, if
 * that has an eighth of them, else of all.
 */
void half_make_room(struct ike *ike, const struct addr *from, nsec_t now);
/* How long it may be half-open: less when many are (RFC 8019 4.1). */
nsec_t half_open_time(const struct ike *ike);
void half_remove(struct ike_sa *sa);
unsigned half_open_from(const struct ike *ike, const struct addr *a);
/* A list of SAs with the peer's address. */
void addr_index_add(struct ike_sa *sa);
void addr_index_remove(struct ike_sa *sa);
struct ike_sa *addr_index_first(const struct ike *ike, const struct addr *a);
void cookie_make(struct ike *ike, struct chunk ni, const struct endpoint *remote, uint64_t spi_i,
		 uint8_t version, uint8_t *out);
bool cookie_valid(struct ike *ike, struct chunk cookie, struct chunk ni,
		  const struct endpoint *remote, uint64_t spi_i, nsec_t now);
#define COOKIE_LEN 33

#endif
