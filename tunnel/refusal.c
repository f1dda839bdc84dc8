/* refusal.c - keeps why proposals were refused, for the status. SPDX-License-Identifier: ISC */
#include "child.h"
#include "conn.h"
#include "problem.h"
#include "refusal.h"
#include "xalloc.h"

#include <stdio.h>

void refusal_free(struct tunnel_refusal *r)
{
	if (r)
		free(r->conn);
	free(r);
}

/* One place for each, whoever causes how many. */
static void keep(struct tunnel_refusal **place, const struct ike_refusal *r, const char *conn,
		 nsec_t now)
{
	if (!*place)
		*place = xzalloc(sizeof(**place));
	(*place)->at = now;
	(*place)->exchange = r->exchange;
	(*place)->by_peer = r->by_peer;
	free((*place)->conn);
	(*place)->conn = conn ? xstrdup(conn) : NULL;
	snprintf((*place)->text, sizeof((*place)->text), "%s", r->text);
}

void tunnel_on_refusal(void *ctx, struct ike_sa *sa, const struct ike_refusal *r, nsec_t now)
{
	struct tunnel *t = ctx;
	struct tunnel_conn *owner = sa ? ike_sa_owner(sa) : NULL;
	/* None: its connection only responds, and the peer has none yet. */
	struct tunnel_conn *c = owner ? owner : conn_static(t, r->conn);
	struct tunnel_child *k = c && r->child ? tunnel_child_of(c, r->child) : NULL;

	if (k)
		keep(&k->refusal, r, NULL, now);
	else if (c)
		keep(&c->refusal, r, NULL, now);
	else
		keep(&t->refusal, r, r->conn->name, now);
	if (sa)
		tunnel_on_problem(t, sa, r->child, IKE_PROBLEM_PROPOSALS, r->text, now);
	else
		problem_of_caller(t, r->conn, r->remote, IKE_PROBLEM_PROPOSALS, r->text, now);
}
