/*
 * backup.h - connections that carry the traffic of another one while that is down or its peer does
 * not answer (the option backup); within tunnel/. SPDX-License-Identifier: ISC
 *
 * Both are up: what decides is the order of their policies. A packet goes out on an SA of the
 * primary, and on one of its backup when the primary has none, or is demoted.
 */
#ifndef MENDIP_BACKUP_H
#define MENDIP_BACKUP_H

#include "tunnel.h"

/*
 * The order (struct spd_policy) of a policy of the connection; n: greater than before for each that
 * is made later.
 */
uint64_t backup_order(const struct tunnel_conn *c, uint64_t n);
/* The configuration changes: from now on no connection is another one's backup ... */
void backups_forget(struct tunnel *t);
/* ... until the connections are there again. kept: their configurations; names: their index. */
void backups_configure(struct tunnel *t, const struct conn_set *kept,
		       const struct conn_names *names);
/* The peer has not answered on this IKE SA in time. */
void backup_late(struct tunnel_conn *c, const struct ike_sa *sa);
/* It has answered, or the IKE SA was rekeyed. */
void backup_answered(struct tunnel_conn *c, const struct ike_sa *sa);
/* No IKE SA of the connection is left. */
void backup_lost(struct tunnel_conn *c);
/* One has come up: at once, or after `failback` if there was none, the connection has its traffic.
 */
void backup_up(struct tunnel_conn *c, nsec_t now);
/* When a connection's `trusted` is due: it has been up for long enough. */
deadline_due backup_trusted;
/* An invariant that does not hold, or NULL; for tunnel_check. */
const char *backup_check(const struct tunnel_conn *c);

#endif
