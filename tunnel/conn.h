/*
 * conn.h - connections to peers: their IKE SAs, and what becomes of them when these come and go;
 * within tunnel/. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_CONN_H
#define MENDIP_CONN_H

#include "tunnel.h"

/* ---- conn.c: made, found, ended ---- */
/* Without children yet; takes a reference to conf. */
struct tunnel_conn *conn_new(struct tunnel *t, struct conn_conf *conf);
/* The one that an IKE SA of a peer belongs to; made for a new peer of a %any connection. */
struct tunnel_conn *conn_of_peer(struct tunnel *t, const struct ike_sa *sa);
/* Frees it with all its children, and without a word to the peer. */
void conn_remove(struct tunnel_conn *c);
/*
 * No IKE SA belongs to the connection any more; with `end` they are deleted, and the peer is told.
 */
void conn_disown(struct tunnel_conn *c, bool end, nsec_t now);
/* It was made for a peer of %any, and nothing is left of that peer. */
bool conn_is_over(const struct tunnel_conn *c);
/* Has a connection that is over removed in the next turn, when nobody uses it. */
void conn_free_if_dynamic(struct tunnel_conn *c);

/* ---- tunnel.c: from the configuration ---- */
/* With its configured children and their traps; those to be started are wanted. */
struct tunnel_conn *conn_configured(struct tunnel *t, struct conn_conf *conf);
/* The configuration of that name, or NULL. */
struct conn_conf *conn_conf_named(struct conn_conf **conns, unsigned count, const char *name);
/* There is a connection of this configuration that was not made for a peer of %any. */
bool conn_has_static(const struct tunnel *t, const struct conn_conf *conf);
/* Deletes its SAs, so that the peer is told, and removes it. */
void conn_end(struct tunnel_conn *c, nsec_t now);

/* ---- conn.c: asked about ---- */
/* Whether an IKE SA may be initiated: to a configured address, or to where the peer was heard. */
bool conn_can_call(const struct tunnel_conn *c);
/* One of its children is to be kept up. */
bool conn_wanted(const struct tunnel_conn *c);
/* Who the peer is, or is to be: never NULL. */
const struct ident *conn_peer(const struct tunnel_conn *c);
/*
 * The child has an SA on this IKE SA that admits all that s admits (s NULL: any), and which does
 * not wait until the peer is known to have it.
 */
bool conn_uses_child(const struct tunnel_child *k, const struct ike_sa *sa,
		     const struct tunnel_sa *s);

/* ---- conn.c: up, and up again (rung 4) ---- */
/*
 * Initiates an IKE SA, which belongs to the connection then; beside: another one to the same peer
 * stays. NULL: it cannot be initiated.
 */
struct ike_sa *conn_initiate(struct tunnel_conn *c, bool beside, nsec_t now);
/* Initiates one unless one is there, and asks for what the children lack. */
void conn_connect(struct tunnel_conn *c, nsec_t now);
/* conn_connect, if anything of it is wanted or being recovered. */
void conn_mend(struct tunnel_conn *c, nsec_t now);
/*
 * Asks for a CHILD SA of the child from `at` on, unless one is there or asked for: on the IKE SA
 * that there is or is coming, otherwise on a new one. first: as for ike_child_create.
 */
void conn_ask(struct tunnel_child *k, const struct ts *first, nsec_t at, nsec_t now);
/*
 * Asks on a new IKE SA, from `at` on, for what it does not have of the child: what is wanted, and
 * each SA that it is to replace. A member that took over may know none of them.
 */
void conn_ask_missing_on(struct tunnel_child *k, struct ike_sa *sa, nsec_t at);
/* Nothing that was asked for, or checked, on this IKE SA is waited for any more. */
void conn_unask(struct tunnel_conn *c, const struct ike_sa *sa);
/* An attempt failed: the next one comes after conn_backoff. */
void conn_retry_later(struct tunnel_conn *c, const char *why, nsec_t now);
/* 1, 2, 4, ... s after so many failures in a row, at most a minute; half of it is random. */
nsec_t conn_backoff(const struct tunnel_conn *c, unsigned failures);
/* Deletes the IKE SA if the connection does not use it and it has no children. */
void conn_drop_spare(struct tunnel_conn *c, struct ike_sa *sa, nsec_t now);
/* See struct ike_ops. */
void conn_on_ike_event(struct tunnel *t, struct ike_sa *sa, enum ike_sa_event e,
		       struct ike_sa *other, const char *why, nsec_t now);

#endif
