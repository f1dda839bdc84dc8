/* ike_saved.h - which requests a restart waits for; see ike_hold. SPDX-License-Identifier: ISC */
#ifndef MENDIP_IKE_SAVED_H
#define MENDIP_IKE_SAVED_H

#include "sa/ike_sa.h"

struct ike_task;

/* A task_kind's can_wait: the deadline that it came from comes again. */
bool task_has_not_begun(const struct ike_task *t);
/* ike_hold keeps it back. */
bool task_is_held(const struct ike_task *t);

#endif
