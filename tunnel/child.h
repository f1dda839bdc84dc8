/*
 * child.h - children of connections, and the engine's reports of their CHILD SAs; within tunnel/.
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_CHILD_H
#define MENDIP_CHILD_H

#include "tunnel.h"

/* ---- child.c; traffic.c: the SPD ---- */
/* The connection's child of this configuration, or NULL. */
struct tunnel_child *conn_child_of(struct tunnel_conn *c, const struct child_conf *conf);
/* The same; makes it if it is not there yet. */
struct tunnel_child *tunnel_child_of(struct tunnel_conn *c, const struct child_conf *conf);
/* Frees it with its SAs, without a word to the peer. */
void tunnel_child_remove(struct tunnel_child *k);
/* The SPD of its device. */
struct spd *tunnel_child_spd(const struct tunnel_child *k);
/*
 * An SA of the child has ended for this reason. If it was the last one, close_action or dpd_action
 * says what follows: whether the child is wanted, and whether packets bring it up.
 */
void tunnel_child_ended(struct tunnel_child *k, enum child_end end);
/* on: packets for the child bring it up; otherwise they no longer do. */
void tunnel_child_trap(struct tunnel_child *k, bool on);

/* ---- admit.c, child_events.c and traffic.c: see struct ike_ops ---- */
uint16_t tunnel_child_admit(void *ctx, struct ike_sa *sa, const struct child_conf *conf,
			    const struct ts_list *local, const struct ts_list *remote, bool ours,
			    const struct child_sa *old, nsec_t now);
int tunnel_child_install(void *ctx, struct child_sa *c, const struct child_keys *keys,
			 struct child_sa *replaces, nsec_t now);
void tunnel_child_event(void *ctx, struct child_sa *c, enum child_event e, const char *why,
			nsec_t now);
void tunnel_child_result(void *ctx, struct ike_sa *sa, const struct child_conf *conf,
			 struct child_sa *child, enum ike_result r, uint16_t notify, nsec_t now);
nsec_t tunnel_last_inbound(void *ctx, const struct ike_sa *sa);
bool tunnel_keep_mapping(void *ctx, const struct ike_sa *sa);

/* ---- tell.c: log lines and events of a child ---- */
/* Writes one line to the log, unless the peer has caused too many of this kind. */
void tunnel_log(struct tunnel_child *c, enum tunnel_event_kind kind, enum log_level level,
		const char *fmt, ...) PRINTF_LIKE(4, 5);
/* The same, and tells the owner of the tunnel in any case. */
void tunnel_event(struct tunnel_child *c, enum tunnel_event_kind kind, enum log_level level,
		  const char *fmt, ...) PRINTF_LIKE(4, 5);

#endif
