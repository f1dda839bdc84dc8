/* limits.h - what one peer, or one who guesses, may take. SPDX-License-Identifier: ISC */
#ifndef MENDIP_IKE_LIMITS_H
#define MENDIP_IKE_LIMITS_H

#include "sa/ike_sa.h"

/* Once the engine has its first cookie secrets. */
void limits_init(struct ike *ike);
/* A line that the peer of this IKE SA has caused: see ike_peer_lines. */
#define log_peer(sa, now, level, ...)                                                      \
	log_limited((sa)->ike->log, ike_peer_lines((sa)->ike, &(sa)->peer_id), now, level, \
		    __VA_ARGS__)
/* Whether this address may try a secret. */
bool limit_may_guess(struct ike *ike, const struct addr *a, nsec_t now);
/* It had a wrong one. */
void limit_guessed(struct ike *ike, const struct addr *a, nsec_t now);
/* False: the peer has so many that it may not even rekey one. */
bool limit_may_rekey(const struct ike_sa *sa);
/* The peer has a new IKE SA: its oldest ones beyond what it may have end. */
void limit_sas(struct ike_sa *newest, nsec_t now);

#endif
