/* tidy.h - ends one of two SAs that do the same; within tunnel/. SPDX-License-Identifier: ISC */
#ifndef MENDIP_TIDY_H
#define MENDIP_TIDY_H

#include "tunnel.h"

/* Another live SA of the child with the same selectors; NULL: there is none. */
struct tunnel_sa *tunnel_sa_twin(const struct tunnel_sa *s);
/* There are two IKE SAs of the connection that do the same, and its `unique` is not "never". */
bool conn_has_spare(const struct tunnel_conn *c);
/* There are two SAs that do the same: one of them is to be ended later. */
void conn_tidy_later(struct tunnel_conn *c, nsec_t now);
/* conn_tidy_later, if conn_has_spare. Call it after whatever may have left a spare one. */
void conn_tidy_spare(struct tunnel_conn *c, nsec_t now);
/* When a connection's `tidy` is due: ends one of two if it may go yet, or looks again later. */
deadline_due conn_tidy;

#endif
