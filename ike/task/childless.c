/*
 * childless.c - IKE SAs that begin without a CHILD SA (RFC 6023). SPDX-License-Identifier: ISC
 *
 *   HDR(A,0), SAi1, KEi, Ni, ...  -->
 *        <--  HDR(A,B), SAr1, KEr, Nr, ..., N(CHILDLESS_IKEV2_SUPPORTED)
 *   HDR, SK {IDi, [IDr,] AUTH}  -->
 *        <--  HDR, SK {IDr, AUTH}
 *
 * All CHILD SAs are then made by CREATE_CHILD_SA, with a key exchange of their own.
 */
#include "task/exchanges.h"

void childless_write_supported(struct ike_builder *b, const struct ike_sa *sa)
{
	if (sa->conn->childless != CHILDLESS_NEVER)
		ib_notify(b, PROTOCOL_NONE, (struct chunk){0}, NOTIFY_CHILDLESS_IKEV2_SUPPORTED,
			  (struct chunk){0});
}

void childless_read_supported(struct ike_sa *sa, const struct ike_payloads *p)
{
	sa->handshake->childless = ike_find_notify(p, NOTIFY_CHILDLESS_IKEV2_SUPPORTED) != NULL;
}

bool childless_chosen(const struct ike_sa *sa)
{
	const struct handshake *hs = sa->handshake;

	return hs->childless && (sa->conn->childless == CHILDLESS_FORCE ||
				 (sa->conn->childless == CHILDLESS_PREFER && !hs->needs_child));
}

const char *childless_wrong(const struct ike_sa *sa, bool with_child)
{
	enum childless rule = sa->conn->childless;

	if (with_child && rule == CHILDLESS_FORCE)
		return sa->initiator ? "the peer supports no IKE SA without a CHILD SA "
				       "(childless = force)"
				     : "the peer asks for a CHILD SA in IKE_AUTH "
				       "(childless = force)";
	if (with_child)
		return NULL;
	/* RFC 6023 3: an initiator omits the child only if the responder announced support. */
	if (sa->initiator && !sa->handshake->childless)
		return "the peer supports no IKE SA without a CHILD SA, and none is asked for";
	return !sa->initiator && rule == CHILDLESS_NEVER
		       ? "an IKE SA without a CHILD SA is not allowed (childless = never)"
		       : NULL;
}

bool childless_refused(struct ike_sa *sa, const struct ike_in *in)
{
	const char *wrong = childless_wrong(sa, in->p->present & PL(SA));

	if (!wrong)
		return false;
	respond_notify(sa, in->h, NOTIFY_INVALID_SYNTAX, (struct chunk){0}, in->local, in->remote,
		       in->now);
	sa_fail(sa, IKE_PROBLEM_REFUSED, wrong, in->now);
	return true;
}
