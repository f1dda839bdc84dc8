/*
 * backup.h - connections that carry the traffic of another one while that is down or its peer does
 * not answer (the option backup); within tunnel/. SPDX-License-Identifier: ISC
 *
 * Both are up: what decides is the order of their policies. A packet goes out on an SA of the
 * primary, and on one of its backup when the primary has none, or is demoted. Where neither has one
 * the packet starts the primary, and the backup when the primary is demoted, or this child of it.
 */
#ifndef MENDIP_BACKUP_H
#define MENDIP_BACKUP_H

#include "tunnel.h"

/*
 * The order (struct spd_policy) of a policy of the child; n: greater than before for each that is
 * made later.
 */
uint64_t backup_order(const struct tunnel_child *k, uint64_t n);
/* The configuration changes: from now on no connection is another one's backup ... */
void backups_forget(struct tunnel *t);
/* ... until the connections are there again. kept: their configurations; names: their index. */
void backups_configure(struct tunnel *t, const struct conn_set *kept,
		       const struct conn_names *names);
/* See struct ike_ops: it has a backup, or is one, or the peer has another address. */
bool tunnel_has_other_way(void *ctx, const struct ike_sa *sa);
/* The peer has not answered on the connection's IKE SA in time. */
void backup_late(struct tunnel_conn *c, nsec_t now);
/* It has answered, or the IKE SA was rekeyed. */
void backup_answered(struct tunnel_conn *c, const struct ike_sa *sa);
/* No IKE SA can be made: all addresses were called in vain, or none can be called. */
void backup_in_vain(struct tunnel_conn *c, nsec_t now);
/* The connection was up, and no IKE SA is left that is. */
void backup_lost(struct tunnel_conn *c, nsec_t now);
/* Its IKE SA is up: the connection has its traffic at once, or after `failback` if it was down. */
void backup_up(struct tunnel_conn *c, nsec_t now);
/* The peer refuses the child: its packets go by the backup, and it is asked for again. */
void backup_child_refused(struct tunnel_child *k);
/*
 * The child has no CHILD SA any more, or was put down: its packets go by the backup. But a child
 * that its next packet brings up keeps its packets while the backup is down.
 */
void backup_child_lost(struct tunnel_child *k);
/* It has a CHILD SA in use: the child has its traffic. */
void backup_child_up(struct tunnel_child *k);
/* Writes for the next process that the connection is demoted, why, and until when. */
void backup_save(const struct tunnel_conn *c, struct writer *w);
/* Reads it, before backups_configure. False: the bytes are not what backup_save writes. */
bool backup_load(struct tunnel *t, const struct conn_set *conns, const struct conn_names *names,
		 struct reader *r);
/* When a connection's `trusted` is due: it has been up for long enough. */
deadline_due backup_trusted;
/* An invariant that does not hold, or NULL; for tunnel_check. */
const char *backup_check(const struct tunnel_conn *c);

#endif
