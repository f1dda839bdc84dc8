/*
 * check.c - what must hold between two calls of the engine, for tests: no state waits for something
 * that is not under way. SPDX-License-Identifier: ISC
 */
#include "task/exchanges.h"

static bool is_about(const struct ike_task *t, const struct task_kind *kind,
		     const struct child_sa *c)
{
	return t && t->kind == kind && t->child == c;
}

/* The number of requests of this kind for the CHILD SA, waiting or outstanding. */
static unsigned count_tasks(const struct child_sa *c, const struct task_kind *kind)
{
	unsigned count = is_about(c->ike_sa->outstanding, kind, c);
	const struct ike_task *t;

	TAILQ_FOREACH (t, &c->ike_sa->tasks, link)
		count += is_about(t, kind, c);
	return count;
}

static const char *check_child(const struct child_sa *c)
{
	if (count_tasks(c, &task_child_rekey) > 1 || count_tasks(c, &task_child_delete) > 1)
		return "the same is asked for twice for one CHILD SA";
	switch (c->state) {
	case CHILD_STATE_INSTALLED: return NULL;
	case CHILD_STATE_REKEYING:
		return count_tasks(c, &task_child_rekey) ? NULL
							 : "REKEYING, and no rekey is under way";
	case CHILD_STATE_REKEYED:
		if (!c->successor)
			return "REKEYED without a successor";
		return deadline_is_set(&c->cleanup) || count_tasks(c, &task_child_delete)
			       ? NULL
			       : "REKEYED, and nothing ends it";
	case CHILD_STATE_DELETING:
		return count_tasks(c, &task_child_delete) ? NULL
							  : "DELETING, and no DELETE is under way";
	}
	return "a CHILD SA in no state";
}

/*
 * An IKE SA that the peer made by a rekey which collided with ours is the rival of our task until
 * that is decided.
 */
static bool is_decided(const struct ike_sa *sa)
{
	const struct ike_sa *of = sa->rival_of;

	if (sa->state != IKE_STATE_ESTABLISHED || !sa->unresolved)
		return true;
	return of && rekey_ike_rival(of->outstanding) == sa;
}

/*
 * The handshake, which holds secrets, exists from IKE_SA_INIT until IKE_AUTH is over, and no
 * longer.
 */
static bool has_handshake_in_time(const struct ike_sa *sa)
{
	return (sa->handshake != NULL) ==
	       (sa->state == IKE_STATE_INIT_SENT || sa->state == IKE_STATE_AUTH_SENT ||
		sa->state == IKE_STATE_HALF_OPEN);
}

/* A peer that has to show a certificate or a key has done so, and any other has not. */
static bool has_proof(const struct ike_sa *sa)
{
	return sa->state != IKE_STATE_ESTABLISHED ||
	       (sa->proof != NULL) == (sa->conn->auth.remote == AUTH_KIND_PUBKEY);
}

static const char *check_ike_sa(const struct ike_sa *sa)
{
	const struct child_sa *c;
	const struct ike_task *t;

	if (!has_handshake_in_time(sa))
		return "a handshake that is missing, or was not wiped";
	if (!has_proof(sa))
		return "an established IKE SA whose peer did not authenticate as it has to";
	if (!is_decided(sa))
		return "an IKE SA that waits for the end of a collision that nobody knows of";
	if ((sa->state == IKE_STATE_HALF_OPEN || sa->state == IKE_STATE_AUTH_SENT ||
	     sa->state == IKE_STATE_REKEYED) &&
	    !deadline_is_set(&sa->expire))
		return "an IKE SA that waits for the peer, and nothing ends it";
	if ((sa->window.request_parts.part != NULL) != deadline_is_set(&sa->window.reassembly))
		return "fragments of a request that nothing ends, or the other way round";
	if (sa->window.response_parts.part && !sa->outstanding)
		return "fragments of a response, and no request is outstanding";
	if ((sa->followups != NULL) != deadline_is_set(&sa->followup))
		return "additional key exchanges that nothing ends";
	if (sa->outstanding && sa->window.request.count && !deadline_is_set(&sa->window.retransmit))
		return "a request that is outstanding and not sent again";
	TAILQ_FOREACH (t, &sa->tasks, link) {
		if (sa->state == IKE_STATE_ESTABLISHED && !sa->outstanding &&
		    !deadline_is_set(&t->wait) && !task_is_held(t))
			return "a request that waits for nothing and is not sent";
	}
	LIST_FOREACH (c, &sa->children, link) {
		const char *wrong = check_child(c);

		if (wrong)
			return wrong;
	}
	return NULL;
}

const char *ike_check(const struct ike *ike)
{
	const struct ike_sa *sa;

	if (ike->wrong_state)
		return "an SA went from one state to another that does not follow it";
	for (sa = ike->sas; sa; sa = sa->hh.next) {
		const char *wrong = check_ike_sa(sa);

		if (wrong)
			return wrong;
	}
	return NULL;
}
