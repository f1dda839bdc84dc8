/* task.c - tasks: found, freed, retried, ended; which of them a restart waits for.
 * SPDX-License-Identifier: ISC */
#include "sa/exchange.h"
#include "xalloc.h"

struct ike_task *task_waiting(const struct ike_sa *sa, const struct task_kind *kind)
{
	struct ike_task *t;

	TAILQ_FOREACH (t, &sa->tasks, link) {
		if (t->kind == kind)
			return t;
	}
	return NULL;
}

bool task_is_under_way(const struct ike_sa *sa, const struct task_kind *kind)
{
	return (sa->outstanding && sa->outstanding->kind == kind) || task_waiting(sa, kind);
}

static void reset(struct ike_task *t)
{
	if (t->kind->reset)
		t->kind->reset(t);
}

void task_free(struct ike_task *t)
{
	deadline_clear(&t->ike_sa->ike->deadlines, &t->wait);
	reset(t);
	if (t->kind->release)
		t->kind->release(t);
	secret_free(t, t->kind->size);
}

void task_retry(struct ike_task *t, nsec_t at)
{
	struct ike_sa *sa = t->ike_sa;

	reset(t);
	TAILQ_INSERT_HEAD(&sa->tasks, t, link);
	deadline_set(&sa->ike->deadlines, &t->wait, at);
}

bool task_can_wait(const struct ike_task *t)
{
	return t->kind->can_wait && t->kind->can_wait(t);
}

bool task_has_not_begun(const struct ike_task *t)
{
	return !t->late || deadline_is_set(&t->wait);
}

bool task_is_held(const struct ike_task *t)
{
	return t->ike_sa->ike->held && task_can_wait(t);
}

struct ike_task *exchange_done(struct ike_sa *sa)
{
	struct ike_task *t = sa->outstanding;

	sa->outstanding = NULL;
	sent_clear(&sa->window.request);
	fragments_clear(&sa->window.response_parts);
	sa->window.hurried = false;
	deadline_clear(&sa->ike->deadlines, &sa->window.retransmit);
	deadline_clear(&sa->ike->deadlines, &sa->window.late);
	return t;
}
