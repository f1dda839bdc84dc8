/* ike_saved.h - SAs in bytes, for the process that goes on with them. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_IKE_SAVED_H
#define MENDIP_IKE_SAVED_H

#include "sa/ike_sa.h"
#include "saved.h"

struct ike_task;

/* A task_kind's can_wait: the deadline that it came from comes again. */
bool task_has_not_begun(const struct ike_task *t);
/* ike_hold keeps it back. */
bool task_is_held(const struct ike_task *t);
/* Nothing is under way on it, from either side: ike_sa_save writes all there is. */
bool ike_sa_is_settled(const struct ike_sa *sa);
/* The IKE SA, and a CHILD SA of it; keys are among the bytes. */
void ike_sa_save(const struct ike_sa *sa, struct writer *w);
void child_sa_save(const struct child_sa *c, struct writer *w);
/*
 * An established IKE SA without owner and children; nothing is told of it. NULL: that is none. Its
 * next IVs are some further on, should any have been used after it was written.
 */
struct ike_sa *ike_sa_load(struct ike *ike, struct conn_conf *conn, struct reader *r, nsec_t now);
/* A CHILD SA of it without owner; it is not installed. NULL: that is none. */
struct child_sa *child_sa_load(struct ike_sa *sa, struct child_conf *conf, struct reader *r);

#endif
