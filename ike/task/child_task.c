/* child_task.c - see child_task.h. SPDX-License-Identifier: ISC */
#include "task/child_task.h"

struct child_task *child_task_of(struct ike_task *t)
{
	return t && t->kind->makes_child ? container_of(t, struct child_task, task) : NULL;
}

const struct child_task *child_task_of_const(const struct ike_task *t)
{
	return t && t->kind->makes_child ? container_of(t, const struct child_task, task) : NULL;
}

void child_task_reset(struct ike_task *task)
{
	struct child_task *t = child_task_of(task);
	struct ike *ike = task->ike_sa->ike;

	kex_free(t->kex);
	t->kex = NULL;
	followups_free(ike, t->followups);
	t->followups = NULL;
	if (t->spi)
		ike->ops.spi_release(ike->ops.ctx, t->spi);
	t->spi = 0;
	t->collided = false;
	t->rival = NULL;
}

void child_task_release(struct ike_task *task)
{
	struct child_task *t = child_task_of(task);

	free(t->local);
	free(t->remote);
}

void child_task_rival_gone(struct ike_task *task, const struct child_sa *c, bool is_void)
{
	struct child_task *t = child_task_of(task);

	if (t->rival != c)
		return;
	t->rival = NULL;
	/* There is no collision any more. */
	if (is_void)
		t->collided = false;
}

const struct ts_list *child_task_local(const struct child_task *t)
{
	return t->local ? t->local : t->conf->local_ts;
}

const struct ts_list *child_task_remote(const struct child_task *t)
{
	return t->remote ? t->remote : t->conf->remote_ts;
}
