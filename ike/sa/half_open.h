/* half_open.h - limits of half-open IKE SAs, and cookies (RFC 7296 2.6, RFC 8019).
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_IKE_HALF_OPEN_H
#define MENDIP_IKE_HALF_OPEN_H

#include "sa/index.h"

/*
 * If there are half_open_max half-open IKE SAs, ends the oldest one: of the /24 or /56 that `from`
 * is in, if that has an eighth of them or more, otherwise of all.
 */
void half_make_room(struct ike *ike, const struct addr *from, nsec_t now);
/* How long a new IKE SA may be half-open, in nanoseconds: less when many are (RFC 8019 4.1). */
nsec_t half_open_time(const struct ike *ike);
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
/*
 * Whether two IKE_SA_INIT requests, which have been read without an error, are the same but for the
 * cookie that either may begin with (2.6).
 */
bool init_same_but_cookie(struct chunk a, struct chunk b);
/*
 * Whether an IKE_SA_INIT request with this SPI, from this address, is a copy of one whose IKE SA
 * has come up meanwhile: its initiator has the response, as it sent IKE_AUTH. Only as long as such
 * a copy can be on its way: later the peer may have lost the IKE SA and drawn the same SPI.
 */
bool init_is_late_copy(const struct ike *ike, uint64_t spi_i, const struct addr *from, nsec_t now);

#endif
