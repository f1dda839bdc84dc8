/*
 * pool.h - addresses that peers get (RFC 7296 2.19), from the pools of the configuration; within
 * tunnel/. SPDX-License-Identifier: ISC
 *
 * An identity has one address per pool on all its IKE SAs together, and gets the same one again as
 * long as nobody else needs it. An address never belongs to two identities of which both have IKE
 * SAs.
 */
#ifndef MENDIP_POOL_H
#define MENDIP_POOL_H

#include "tunnel.h"

/* See struct ike_ops. */
uint16_t tunnel_config_assign(void *ctx, struct ike_sa *sa, const struct cp_config *asked,
			      struct cp_config *ret);
/* The IKE SA, which has ended, has no addresses of ours any more. */
void pool_release(struct tunnel *t, const struct ike_sa *sa);
/*
 * The IKE SA that was read has those of its addresses that are leased to its peer. False: one of
 * them is not.
 */
bool pool_retake(struct tunnel *t, const struct ike_sa *sa);
/* An upper bound of the bytes that pools_save writes. */
size_t pools_room(const struct tunnel *t);
/* Writes and reads all leases; those that are read are idle. -EBADMSG: malformed. */
void pools_save(const struct tunnel *t, struct writer *w);
int pools_load(struct tunnel *t, struct reader *r) MUST_CHECK;
void pools_free(struct tunnel *t);
/* See tunnel_check. */
const char *pools_check(const struct tunnel *t);

#endif
