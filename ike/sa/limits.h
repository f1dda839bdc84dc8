/* limits.h - limits on what a peer, or somebody who guesses secrets, may take.
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_IKE_LIMITS_H
#define MENDIP_IKE_LIMITS_H

#include "sa/ike_sa.h"
#include "sa/trace.h"

/* Derives limit_key from the cookie secrets, which must be set. */
void limits_init(struct ike *ike);
/* Logs a line that the peer of this IKE SA has caused; see ike_peer_lines and ike_trace. */
#define log_peer(sa, now, level, ...)                                                     \
	(trace_is_asked(sa)                                                               \
		 ? log_asked((sa)->ike->log, log_peer_limit(sa), now, level, __VA_ARGS__) \
		 : log_limited((sa)->ike->log, log_peer_limit(sa), now, level, __VA_ARGS__))
#define log_peer_limit(sa) ike_peer_lines((sa)->ike, &(sa)->peer_id)
/* Whether this address may try to authenticate; takes nothing from its allowance. */
bool limit_may_guess(struct ike *ike, const struct addr *a, nsec_t now);
/* Counts a failed IKE_AUTH from this address. */
void limit_guessed(struct ike *ike, const struct addr *a, nsec_t now);
/* Whether the peer may rekey this IKE SA; false: it has twice peer_sas others. */
bool limit_may_rekey(const struct ike_sa *sa);
/* The peer has a new IKE SA: ends its oldest other ones beyond peer_sas, without a message. */
void limit_sas(struct ike_sa *newest, nsec_t now);

#endif
