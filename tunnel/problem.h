/* problem.h - what went wrong last with a connection or a child. SPDX-License-Identifier: ISC */
#ifndef MENDIP_PROBLEM_H
#define MENDIP_PROBLEM_H

#include "tunnel.h"

/* Takes NULL. */
void problem_free(struct tunnel_problem *p);
/* What is wrong has been mended: the connection, or the child, is up. NULL: nothing was. */
void problem_over(struct tunnel_problem *p, nsec_t now);
/* A peer of this configuration, which waits for any, is up. */
void problem_of_conf_over(struct tunnel *t, const struct conn_conf *conf, nsec_t now);
/* Notes it for the connection, or for its child if that is not NULL, and logs it if it is new. */
void problem_note(struct tunnel_conn *c, struct tunnel_child *k, enum ike_problem what,
		  const char *text, nsec_t now);
/* Whether there is a way to the peer at any of its addresses, or to this one. */
bool problem_has_any_way(const struct tunnel_conn *c, const struct addr *remote);
/* Whether this host has a route to the peer; otherwise that is noted. */
bool problem_look_for_way(struct tunnel_conn *c, const struct addr *remote, nsec_t now);
/* Forgets those of configurations without a connection that are not in the set. */
void problems_configure(struct tunnel *t, const struct conn_set *conns);
void problems_free(struct tunnel *t);

/* The connection's names lead to addresses. */
void problem_resolved(struct tunnel_conn *c, nsec_t now);
/* None of several addresses has answered; sa: the last call. */
void problem_no_address_answers(struct tunnel_conn *c, const struct ike_sa *sa, nsec_t now);

/* A call has ended again, and nobody else says why. */
void problem_of_end(struct tunnel_conn *c, const char *why, nsec_t now);

/* `problem` of struct ike_ops; ctx: the tunnel. */
void tunnel_on_problem(void *ctx, struct ike_sa *sa, const struct child_conf *child,
		       enum ike_problem what, const char *text, nsec_t now);
/* What somebody at this address did, who wanted to use this configuration and was not let in. */
void problem_of_caller(struct tunnel *t, const struct conn_conf *conf, const struct endpoint *from,
		       enum ike_problem what, const char *text, nsec_t now);

#endif
