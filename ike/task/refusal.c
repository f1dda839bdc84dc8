/*
 * refusal.c - tells why NO_PROPOSAL_CHOSEN was sent or received: in the log, and to the owner.
 * SPDX-License-Identifier: ISC
 *
 * Who runs one side sees what to change only with the proposals of both. The peer's are known when
 * it asks; when it refuses, only ours are.
 */
#include "sa/limits.h"
#include "task/exchanges.h"

#include <stdio.h>

/* With PROPOSALS_STRLEN for ours, a line of the log has room for both. */
#define THEIRS_STRLEN 400

static void tell(struct ike *ike, struct ike_sa *sa, const struct ike_refusal *r, nsec_t now)
{
	ike->ops.refused(ike->ops.ctx, sa, r, now);
}

void refusal_by_peer(struct ike_sa *sa, const char *exchange, const struct child_conf *child,
		     const struct proposal_list *offered, enum proposal_kex kex, nsec_t now)
{
	char ours[PROPOSALS_STRLEN], text[REFUSAL_STRLEN];
	struct ike_refusal r = {.exchange = exchange,
				.by_peer = true,
				.conn = sa->conn,
				.child = child,
				.text = text};

	snprintf(text, sizeof(text), "we offered %s",
		 proposals_format(offered, kex, ours, sizeof(ours)));
	log_peer(sa, now, LOG_LEVEL_WARNING,
		 "%s%s%s: the peer refused %s with NO_PROPOSAL_CHOSEN: %s", sa_label(sa),
		 child ? "/" : "", child ? child->name : "", exchange, text);
	tell(sa->ike, sa, &r, now);
}

/* What the peer offers and what we have, in text[REFUSAL_STRLEN]. */
static void both_sides(const struct proposal_list *l, enum proposal_kex kex, struct chunk theirs,
		       char *text)
{
	char ours[PROPOSALS_STRLEN], offered[THEIRS_STRLEN];
	struct proposal_offer o;

	if (proposals_parse(theirs, &o) < 0)
		o = (struct proposal_offer){0};
	snprintf(text, REFUSAL_STRLEN, "the peer offers %s; we have %s",
		 offer_format(&o, offered, sizeof(offered)),
		 proposals_format(l, kex, ours, sizeof(ours)));
}

void refusal_of_peer(struct ike_sa *sa, const char *exchange, const struct child_conf *child,
		     enum proposal_kex kex, struct chunk theirs, nsec_t now)
{
	char text[REFUSAL_STRLEN];
	struct ike_refusal r = {
		.exchange = exchange, .conn = sa->conn, .child = child, .text = text};

	both_sides(child ? &child->proposals : &sa->conn->proposals, kex, theirs, text);
	log_peer(sa, now, LOG_LEVEL_WARNING,
		 "%s%s%s: %s of the peer refused with NO_PROPOSAL_CHOSEN: %s", sa_label(sa),
		 child ? "/" : "", child ? child->name : "", exchange, text);
	tell(sa->ike, sa, &r, now);
}

void refusal_of_caller(struct ike *ike, const struct conn_conf *conn, struct chunk theirs,
		       nsec_t now)
{
	char text[REFUSAL_STRLEN];
	struct ike_refusal r = {.exchange = "IKE_SA_INIT", .conn = conn, .text = text};

	both_sides(&conn->proposals, PROPOSAL_KEX, theirs, text);
	log_outsider(ike->log, now, LOG_LEVEL_WARNING,
		     "%s: IKE_SA_INIT refused: no proposal in common: %s", conn->name, text);
	tell(ike, NULL, &r, now);
}
