/* refusal.h - the last refusals of proposals. SPDX-License-Identifier: ISC */
#ifndef MENDIP_REFUSAL_H
#define MENDIP_REFUSAL_H

#include "tunnel.h"

/* Takes NULL. */
void refusal_free(struct tunnel_refusal *r);
/* `refused` of struct ike_ops; ctx: the tunnel. */
void tunnel_on_refusal(void *ctx, struct ike_sa *sa, const struct ike_refusal *r, nsec_t now);

#endif
