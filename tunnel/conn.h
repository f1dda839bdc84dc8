/*
 * conn.h - connections to peers, and what happens to them when their IKE SAs come and go; within
 * tunnel/. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_CONN_H
#define MENDIP_CONN_H

#include "tunnel.h"

/* ---- conn.c: made, found, ended ---- */
/* Makes a connection without children; takes a reference to conf. */
struct tunnel_conn *conn_new(struct tunnel *t, const struct conn_conf *conf);
/*
 * The connection that a peer's IKE SA belongs to, or NULL. For a new peer of %any or of a pattern
 * one is made.
 */
struct tunnel_conn *conn_of_peer(struct tunnel *t, const struct ike_sa *sa);
/* Frees it with all its children, and without a word to the peer. */
void conn_remove(struct tunnel_conn *c);
/*
 * Takes all its IKE SAs from the connection; with `end` they are deleted, and the peer is told.
 */
void conn_disown(struct tunnel_conn *c, bool end, nsec_t now);
/* The connection is dynamic, and no SA of its peer is left. */
bool conn_is_over(const struct tunnel_conn *c);
/* Has a connection that is over removed by its `retry`: the callers may still be using it. */
void conn_free_if_dynamic(struct tunnel_conn *c);

/* ---- tunnel.c: from the configuration ---- */
/* Makes it with its configured children and their traps; those to be started are wanted. */
struct tunnel_conn *conn_configured(struct tunnel *t, const struct conn_conf *conf);
/* The connection of this configuration that is not dynamic, or NULL. */
struct tunnel_conn *conn_static(const struct tunnel *t, const struct conn_conf *conf);
/* Deletes its SAs, so that the peer is told, and removes it. */
void conn_end(struct tunnel_conn *c, nsec_t now);

/* ---- conn.c: questions; tell.c: the peer ---- */
/* Whether an IKE SA may be initiated: to a configured address, or to where the peer was heard. */
bool conn_can_call(const struct tunnel_conn *c);
/* One of its children is to be kept up. */
bool conn_wanted(const struct tunnel_conn *c);
/* The peer's identity; before it is authenticated, the configured one. Never NULL. */
const struct ident *conn_peer(const struct tunnel_conn *c);
/*
 * The child has an SA on this IKE SA that admits all that s admits (s NULL: any), and that is not
 * waiting until the peer is known to have it.
 */
bool conn_uses_child(const struct tunnel_child *k, const struct ike_sa *sa,
		     const struct tunnel_sa *s);

/* ---- assigned.c: what the peer has assigned ---- */
/* It has assigned this; NULL: nothing any more. */
void conn_assigned(struct tunnel_conn *c, const struct cp_config *config);
/* The IKE SA is up: what was assigned on it applies from now on. */
void conn_assigned_up(struct tunnel_conn *c, const struct ike_sa *sa);
/* Withdraws it if no IKE SA is left, and nothing is being recovered. */
void conn_assigned_look(struct tunnel_conn *c);
/*
 * The selectors of a child's configuration with addresses for "dynamic", as far as they are known
 * before the IKE SA; perhaps none. The caller frees them.
 */
struct ts_list *conn_selectors(const struct conn_conf *conf, const struct ts_list *from, bool local)
	__attribute__((returns_nonnull));

/* ---- conn.c: connecting, and connecting again (rung 4) ---- */
/*
 * Initiates an IKE SA that belongs to the connection. beside: another one to the same peer stays.
 * NULL: none can be initiated.
 */
struct ike_sa *conn_initiate(struct tunnel_conn *c, bool beside, nsec_t now);
/* Initiates an IKE SA unless there is one, and asks for what the children lack. */
void conn_connect(struct tunnel_conn *c, nsec_t now);
/* conn_connect, if conn_wanted or conn_is_mending. */
void conn_mend(struct tunnel_conn *c, nsec_t now);
/*
 * Asks for a CHILD SA of the child from `at` on, unless one is there or asked for. It is asked for
 * on the connection's IKE SA, or on a new one if there is none. first: as for ike_child_create.
 */
void conn_ask(struct tunnel_child *k, const struct ts *first, nsec_t at, nsec_t now);
/*
 * Asks on a new IKE SA, from `at` on, for the CHILD SAs of the child that it lacks: one if the
 * child is wanted, and one in place of each SA that needs a successor. A member of a cluster that
 * took over may know none of those.
 */
void conn_ask_missing_on(struct tunnel_child *k, struct ike_sa *sa, nsec_t at);
/*
 * No longer waits for children that were asked for, or liveness checks, on this IKE SA. A child
 * that is asked for on c->sa, too, is waited for there.
 */
void conn_unask(struct tunnel_conn *c, const struct ike_sa *sa);
/*
 * No IKE SA could be made, or the last one is gone: if the connection is wanted and has an address
 * to initiate to, the next attempt comes after conn_backoff.
 */
void conn_retry_later(struct tunnel_conn *c, const char *why, nsec_t now);
/* The wait after so many failures in a row: 1, 2, 4, ... s, at most a minute, half of it random. */
nsec_t conn_backoff(const struct tunnel_conn *c, unsigned failures);
/* Deletes the IKE SA if the connection does not use it and it has no children. */
void conn_drop_spare(struct tunnel_conn *c, struct ike_sa *sa, nsec_t now);
/*
 * host.c: the peer did not answer in time. If it was asked to follow to another address of ours
 * (RFC 4555), a new IKE SA is made beside, as rung 3 does; false: it was not.
 */
bool host_move_late(struct tunnel_conn *c, const struct ike_sa *sa, nsec_t now);
/* See struct ike_ops. */
void conn_on_ike_event(struct tunnel *t, struct ike_sa *sa, enum ike_sa_event e,
		       struct ike_sa *other, const char *why, nsec_t now);

#endif
