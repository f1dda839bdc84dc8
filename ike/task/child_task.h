/* child_task.h - a request of ours for a CHILD SA, by IKE_AUTH or CREATE_CHILD_SA.
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_IKE_CHILD_TASK_H
#define MENDIP_IKE_CHILD_TASK_H

#include "sa/exchange.h"
#include "sa/followups.h"

/*
 * The task of task_child_create, task_child_rekey and task_auth. task.child: the SA that a rekey
 * replaces.
 */
struct child_task {
	struct ike_task task;
	const struct child_conf *conf; /* NULL, in task_auth: no CHILD SA is asked for */
	/* selectors of its own, owned; NULL: those of conf, or of a rekey that was not sent yet */
	struct ts_list *local, *remote;
	struct ts first_ts[2]; /* of the packet that caused it: local, remote */
	bool has_first;
	bool no_kex;	/* after NO_PROPOSAL_CHOSEN: the request has no key exchange */
	bool cancelled; /* the CHILD SA that it makes is deleted at once */
	uint8_t tries;	/* retries after TEMPORARY_FAILURE */
	uint16_t group; /* asked for by INVALID_KE_PAYLOAD; 0: our first group */
	/* of the attempt that is under way */
	struct kex *kex;
	struct nonce nonce;
	uint32_t spi;		     /* inbound, reserved; 0: none, or the CHILD SA has it */
	struct followups *followups; /* owned; NULL: no response to CREATE_CHILD_SA yet */
	/* the peer's exchange for the same thing, answered while ours was outstanding (2.8.1) */
	bool collided;
	struct nonce rival_nonce; /* the lower nonce of its exchange */
	struct child_sa *rival;	  /* the SA that it made; NULL: that has ended */
};

/* What a row of struct task_kind says of such a request. */
#define CHILD_TASK                                                                         \
	.size = sizeof(struct child_task), .makes_child = true, .reset = child_task_reset, \
	.release = child_task_release, .rival_gone = child_task_rival_gone

/* The whole task; NULL for NULL and for a task that asks for no CHILD SA. */
struct child_task *child_task_of(struct ike_task *t);
/* The same, read only. */
const struct child_task *child_task_of_const(const struct ike_task *t);
/* See struct task_kind. */
void child_task_reset(struct ike_task *t);
void child_task_release(struct ike_task *t);
void child_task_rival_gone(struct ike_task *t, const struct child_sa *c, bool is_void);
/*
 * The selectors that it asks for, which belong to t or its conf; for a rekey from when it is sent
 * (config_resolve_task).
 */
const struct ts_list *child_task_local(const struct child_task *t);
const struct ts_list *child_task_remote(const struct child_task *t);

#endif
