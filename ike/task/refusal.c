/*
 * refusal.c - tells why an IKE SA or a CHILD SA was refused: in the log, and to the owner.
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
#define TS_TEXT	      256 /* bytes for the selectors of one side; what does not fit is cut */

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

void refusal_of_caller(struct ike *ike, const struct conn_conf *conn, const struct endpoint *remote,
		       struct chunk theirs, nsec_t now)
{
	char text[REFUSAL_STRLEN], at[ENDPOINT_STRLEN];
	struct ike_refusal r = {
		.exchange = "IKE_SA_INIT", .conn = conn, .remote = remote, .text = text};

	both_sides(&conn->proposals, PROPOSAL_KEX, theirs, text);
	log_outsider(ike->log, now, LOG_LEVEL_WARNING,
		     "%s: IKE_SA_INIT from %s refused: no proposal in common: %s", conn->name,
		     endpoint_format(remote, at), text);
	tell(ike, NULL, &r, now);
}

/* "LOCAL === REMOTE", as status writes selectors. */
static const char *pairs(const struct ts_list *local, const struct ts_list *remote, char *s,
			 size_t size)
{
	char l[TS_TEXT], r[TS_TEXT];

	snprintf(s, size, "%s === %s", ts_list_format(local, l, sizeof(l)),
		 ts_list_format(remote, r, sizeof(r)));
	return s;
}

void refusal_of_child(struct ike_sa *sa, const struct child_task *t, bool by_peer, uint16_t error,
		      nsec_t now)
{
	bool selectors = error == NOTIFY_TS_UNACCEPTABLE;
	char ours[2 * TS_TEXT + 8], text[sizeof(ours) + 100];

	if ((error == NOTIFY_NO_PROPOSAL_CHOSEN && by_peer) || error == NOTIFY_TEMPORARY_FAILURE)
		return;
	snprintf(text, sizeof(text), "%s%s; we asked for %s",
		 by_peer ? "the peer answered " : "the peer's answer is not what we asked for: ",
		 ike_notify_name(error),
		 pairs(child_task_local(t), child_task_remote(t), ours, sizeof(ours)));
	sa->ike->ops.problem(sa->ike->ops.ctx, sa, t->conf,
			     selectors ? IKE_PROBLEM_SELECTORS : IKE_PROBLEM_REFUSED, text, now);
}

void refusal_of_selectors(struct ike_sa *sa, const struct ike_payloads *p, nsec_t now)
{
	char theirs[2 * TS_TEXT + 8], text[sizeof(theirs) + 100];
	struct ts_list local, remote;

	if (!child_read_ts(p, false, &local, &remote))
		return;
	snprintf(text, sizeof(text), "the peer asks for %s, and no child has that",
		 pairs(&local, &remote, theirs, sizeof(theirs)));
	sa->ike->ops.problem(sa->ike->ops.ctx, sa, NULL, IKE_PROBLEM_SELECTORS, text, now);
}
