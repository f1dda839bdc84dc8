/*
 * state.c - the states of IKE SAs and CHILD SAs: their names, and their only writer.
 * SPDX-License-Identifier: ISC
 *
 * A change that no exchange can bring about is made all the same, as the engine acts by the new
 * state; it is logged once, and ike_check reports it to the tests.
 */
#include "sa/ike_sa.h"

const char *ike_state_name(enum ike_state s)
{
	static const char *const names[] = {
#define X(id, text) text,
		FOREACH_IKE_STATE(X)
#undef X
	};
	return names[s];
}

const char *child_state_name(enum child_state s)
{
	static const char *const names[] = {
#define X(id, text) text,
		FOREACH_CHILD_STATE(X)
#undef X
	};
	return names[s];
}

const char *sa_label(const struct ike_sa *sa)
{
	return sa->conn ? sa->conn->name : "?";
}

/* ---- changes ---- */

#define S(state)  (1u << IKE_STATE_##state)
#define CS(state) (1u << CHILD_STATE_##state)

/*
 * The states from which each state may be entered. INIT_SENT is also the state of an IKE SA that
 * was just made as responder, by a rekey, or from saved bytes.
 */
static const uint32_t ike_from[] = {
	[IKE_STATE_INIT_SENT] = S(INIT_SENT),
	[IKE_STATE_AUTH_SENT] = S(INIT_SENT),
	[IKE_STATE_HALF_OPEN] = S(INIT_SENT),
	[IKE_STATE_ESTABLISHED] = S(INIT_SENT) | S(AUTH_SENT) | S(HALF_OPEN),
	[IKE_STATE_REKEYED] = S(ESTABLISHED) | S(REKEYED),
	[IKE_STATE_DELETING] = S(ESTABLISHED) | S(REKEYED) | S(DELETING),
	[IKE_STATE_DEAD] = S(INIT_SENT) | S(AUTH_SENT) | S(HALF_OPEN) | S(ESTABLISHED) |
			   S(REKEYED) | S(DELETING),
};

static const uint32_t child_from[] = {
	/* From the others: a rekey failed, or the SA that it made is void or has ended. */
	[CHILD_STATE_INSTALLED] = CS(INSTALLED) | CS(REKEYING) | CS(REKEYED),
	[CHILD_STATE_REKEYING] = CS(INSTALLED) | CS(REKEYING),
	[CHILD_STATE_REKEYED] = CS(INSTALLED) | CS(REKEYING) | CS(REKEYED),
	[CHILD_STATE_DELETING] = CS(INSTALLED) | CS(REKEYING) | CS(REKEYED) | CS(DELETING),
};

/* Logged once, as somebody who can bring it about could do so again and again. */
static bool is_first(struct ike *ike)
{
	bool first = !ike->wrong_state;

	ike->wrong_state = true;
	return first;
}

void sa_set_state(struct ike_sa *sa, enum ike_state to)
{
	if (!(ike_from[to] & 1u << sa->state) && is_first(sa->ike))
		log_error(sa->ike->log, "%s: IKE SA %016llx went from %s to %s", sa_label(sa),
			  (unsigned long long)sa->our_spi, ike_state_name(sa->state),
			  ike_state_name(to));
	sa->state = to;
}

void sa_set_rekeyed(struct ike_sa *sa)
{
	if (sa->state != IKE_STATE_DELETING)
		sa_set_state(sa, IKE_STATE_REKEYED);
}

void child_set_state(struct child_sa *c, enum child_state to)
{
	if (!(child_from[to] & 1u << c->state) && is_first(c->ike_sa->ike))
		log_error(c->ike_sa->ike->log, "%s: CHILD SA %08x went from %s to %s",
			  sa_label(c->ike_sa), c->spi_in, child_state_name(c->state),
			  child_state_name(to));
	c->state = to;
}
