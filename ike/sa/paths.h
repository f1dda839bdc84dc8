/* paths.h - the addresses at which a peer may be reached (RFC 4555 3.4, 3.10).
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_IKE_PATHS_H
#define MENDIP_IKE_PATHS_H

#include "sa/ike_sa.h"

/*
 * Where the next sending of the outstanding request goes: at first to the peer's address; if we may
 * choose the addresses, then also to its other ones, in turn.
 */
struct endpoint paths_destination(const struct ike_sa *sa);
/* The last request was sent so often that other addresses of the peer had their turn. */
bool paths_tried_others(const struct ike_sa *sa);
/* Whether e is another address of the peer, as the configuration or the peer says. */
bool paths_have_other(const struct ike_sa *sa, const struct endpoint *e);
/* Whether we may move this IKE SA: ESTABLISHED, with MOBIKE, and first called by us. */
bool paths_are_ours(const struct ike_sa *sa);
/* The peer's further addresses, from the notifies of a message, replace those that we had (3.6). */
void paths_read(struct ike_sa *sa, const struct ike_payloads *p);
/* Writes and reads them for a restart; *r is bad if they cannot be read. */
void paths_save(const struct ike_sa *sa, struct writer *w);
void paths_load(struct ike_sa *sa, struct reader *r);

#endif
