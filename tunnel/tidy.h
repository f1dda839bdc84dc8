/* tidy.h - of what came up twice, one goes; within tunnel/. SPDX-License-Identifier: ISC */
#ifndef MENDIP_TIDY_H
#define MENDIP_TIDY_H

#include "tunnel.h"

/* Another live SA of the child with the same selectors; NULL: there is none. */
struct tunnel_sa *tunnel_sa_twin(const struct tunnel_sa *s);
/* There are two IKE SAs of the connection, one of them without children. */
bool conn_has_spare(const struct tunnel_conn *c);
/* Something came up twice: later it is decided which one goes. */
void conn_tidy_later(struct tunnel_conn *c, nsec_t now);
/* conn_tidy_later, if conn_has_spare; to be called after whatever may have left a spare one. */
void conn_tidy_spare(struct tunnel_conn *c, nsec_t now);
/* Of a connection's `tidy`: ends one of two, if it may go yet, or looks again later. */
deadline_due conn_tidy;

#endif
