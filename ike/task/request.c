/* request.c - queues what the engine's owner requests. SPDX-License-Identifier: ISC */
#include "sa/half_open.h"
#include "sa/limits.h"
#include "task/exchanges.h"
#include "xalloc.h"

/* Requests waiting on one IKE SA, besides those for each child of the connection. */
#define TASKS_MAX 512
#define RECENTLY  (2 * NSEC_PER_SEC)
#define VOID_KEPT (20 * NSEC_PER_SEC)

static struct ike_task *queue(struct ike_sa *sa, const struct task_kind *kind, bool front,
			      nsec_t now)
{
	struct ike_task *t = task_add(sa, kind, front);

	deadline_set(&sa->ike->deadlines, &t->wait, now);
	return t;
}

static unsigned tasks_waiting(const struct ike_sa *sa)
{
	const struct ike_task *t;
	unsigned n = 0;

	TAILQ_FOREACH (t, &sa->tasks, link)
		n++;
	return n;
}

struct ike_sa *ike_initiate(struct ike *ike, const struct conn_conf *conn,
			    const struct endpoint *local, const struct endpoint *remote,
			    const struct ident *peer, bool beside, nsec_t now)
{
	struct ike_sa *sa;

	if (proposals_first_group(&conn->proposals) == GROUP_NONE ||
	    HASH_COUNT(ike->sas) >= ike->set.sa_max)
		return NULL;
	sa = sa_new(ike, conn, true, local, remote);
	sa->began = now;
	sa->original_initiator = true;
	sa_set_state(sa, IKE_STATE_INIT_SENT);
	sa->beside = beside;
	if (peer)
		sa->wanted_id = *peer;
	sa_begin_handshake(sa);
	queue(sa, &task_init, false, now);
	task_add(sa, &task_auth, false);
	log_info(ike->log, "%s: connecting%s", sa_label(sa),
		 beside ? " beside the old IKE SA" : "");
	return sa;
}

void ike_begin_with_child(struct ike_sa *sa)
{
	if (sa->handshake)
		sa->handshake->needs_child = true;
}

bool ike_child_create(struct ike_sa *sa, const struct child_conf *conf, const struct ts *first,
		      nsec_t at)
{
	struct child_task *t;

	if (sa->state == IKE_STATE_DEAD || sa->state == IKE_STATE_DELETING ||
	    tasks_waiting(sa) >= TASKS_MAX + sa->conn->child_count)
		return false;
	t = child_task_of(queue(sa, &task_child_create, false, at));
	t->conf = conf;
	t->has_first = first != NULL;
	if (first)
		memcpy(t->first_ts, first, sizeof(t->first_ts));
	return true;
}

static bool asks_for(const struct ike_task *task, const struct child_conf *conf,
		     const struct ts_list *local, const struct ts_list *remote)
{
	const struct child_task *t = child_task_of_const(task);

	return t && t->conf == conf && task->kind != &task_child_rekey && t->local &&
	       ts_list_eq(t->local, local) && ts_list_eq(t->remote, remote);
}

bool ike_child_create_like(struct ike_sa *sa, const struct child_conf *conf,
			   const struct ts_list *local, const struct ts_list *remote, nsec_t at)
{
	struct child_task *made;
	struct ike_task *t;

	if (asks_for(sa->outstanding, conf, local, remote))
		return true;
	TAILQ_FOREACH (t, &sa->tasks, link) {
		if (asks_for(t, conf, local, remote))
			return true;
	}
	if (!ike_child_create(sa, conf, NULL, at))
		return false;
	made = child_task_of(TAILQ_LAST(&sa->tasks, task_list));
	made->local = ts_list_dup(local);
	made->remote = ts_list_dup(remote);
	return true;
}

static bool makes_child(const struct ike_task *t, const struct child_conf *conf)
{
	const struct child_task *c = child_task_of_const(t);

	return c && c->conf == conf;
}

bool ike_child_is_asked(const struct ike_sa *sa, const struct child_conf *conf)
{
	const struct ike_task *t;

	TAILQ_FOREACH (t, &sa->tasks, link) {
		/* A rekey whose SA has ended is not sent any more. */
		if (makes_child(t, conf) && (t->kind != &task_child_rekey || t->child))
			return true;
	}
	return sa->outstanding && makes_child(sa->outstanding, conf);
}

bool ike_child_rekey_is_out(const struct ike_sa *sa, const struct child_conf *conf)
{
	const struct ike_task *t = sa->outstanding;

	return t && t->kind == &task_child_rekey && !t->child && makes_child(t, conf);
}

void ike_child_cancel(struct ike_sa *sa, const struct child_conf *conf)
{
	struct ike_task *t, *next;

	for (t = TAILQ_FIRST(&sa->tasks); t; t = next) {
		next = TAILQ_NEXT(t, link);
		if (!makes_child(t, conf) || t->kind == &task_auth)
			continue;
		TAILQ_REMOVE(&sa->tasks, t, link);
		task_free(t);
	}
	if (sa->outstanding && makes_child(sa->outstanding, conf))
		child_task_of(sa->outstanding)->cancelled = true;
}

void ike_child_rekey(struct child_sa *c, nsec_t late, nsec_t now)
{
	struct child_task *t;

	if (c->successor || c->state != CHILD_STATE_INSTALLED)
		return;
	child_set_state(c, CHILD_STATE_REKEYING);
	t = child_task_of(queue(c->ike_sa, &task_child_rekey, late != 0, now));
	t->task.child = c;
	t->task.late = late;
	t->conf = c->conf;
}

void ike_child_replace(struct child_sa *c, nsec_t late, nsec_t now)
{
	struct child_task *t = child_task_of(queue(c->ike_sa, &task_child_create, true, now));

	t->conf = c->conf;
	t->task.late = late;
	t->local = ts_list_dup(c->local);
	t->remote = ts_list_dup(c->remote);
	child_kill(c, "the peer does not know it", now);
}

void ike_child_void(struct child_sa *old, struct child_sa *made, nsec_t now)
{
	child_kept(old, made, now);
	made->voided = true;
	deadline_set(&made->ike_sa->ike->deadlines, &made->cleanup, now + VOID_KEPT);
	old->ike_sa->ike->ops.child_event(old->ike_sa->ike->ops.ctx, old, CHILD_EVENT_KEPT,
					  "the peer never used its rekey", now);
}

void ike_child_delete(struct child_sa *c, nsec_t now)
{
	if (c->state == CHILD_STATE_DELETING)
		return;
	child_set_state(c, CHILD_STATE_DELETING);
	queue(c->ike_sa, &task_child_delete, false, now)->child = c;
	c->ike_sa->ike->ops.child_event(c->ike_sa->ike->ops.ctx, c, CHILD_EVENT_GOING, NULL, now);
}

void ike_child_drop(struct child_sa *c, const char *why, nsec_t now)
{
	child_kill(c, why, now);
}

void ike_sa_rekey(struct ike_sa *sa, nsec_t now)
{
	if (sa->state == IKE_STATE_ESTABLISHED && !sa->unresolved &&
	    !task_is_under_way(sa, &task_ike_rekey))
		queue(sa, &task_ike_rekey, false, now);
}

void ike_sa_delete(struct ike_sa *sa, nsec_t now)
{
	if (sa->state == IKE_STATE_DELETING || sa->state == IKE_STATE_DEAD)
		return;
	if (!sa->established) {
		sa_kill(sa, "deleted before it was established", now);
		return;
	}
	sa_set_state(sa, IKE_STATE_DELETING);
	queue(sa, &task_ike_delete, true, now);
}

void ike_sa_drop(struct ike_sa *sa, const char *why, nsec_t now)
{
	sa_kill(sa, why, now);
}

void ike_liveness(struct ike_sa *sa, nsec_t late, nsec_t now)
{
	struct ike_task *t;

	if (sa->state != IKE_STATE_ESTABLISHED)
		return;
	if (late)
		sa->watch_answer = true;
	/* Any outstanding request serves as the check. */
	if (sa->outstanding) {
		if (late)
			ike_hurry(sa, late, now);
		return;
	}
	t = task_waiting(sa, &task_liveness);
	if (!t)
		queue(sa, &task_liveness, true, now)->late = late;
	else if (late && (!t->late || late < t->late))
		t->late = late;
}

bool ike_peer_moved(struct ike_sa *sa, const struct endpoint *remote, nsec_t now)
{
	char a[ENDPOINT_STRLEN], b[ENDPOINT_STRLEN];

	/* 2.23: the side that is behind a NAT does not follow, the other one does. */
	if (!sa->peer_natted || sa->we_natted || remote->addr.family != sa->remote.addr.family)
		return false;
	log_peer(sa, now, LOG_LEVEL_INFO, "%s: the peer moved from %s to %s", sa_label(sa),
		 endpoint_format(&sa->remote, a), endpoint_format(remote, b));
	sa_set_remote(sa, remote);
	sa->ike->ops.ike_event(sa->ike->ops.ctx, sa, IKE_EVENT_MOVED, NULL, "moved", now);
	return true;
}

void ike_outsider_hint(struct ike *ike, const struct endpoint *remote, nsec_t now)
{
	struct ike_sa *sa = addr_index_first(ike, &remote->addr);

	for (; sa; sa = LIST_NEXT(sa, address_link)) {
		/* A peer that was heard just now has not lost its state. */
		if (sa->state != IKE_STATE_ESTABLISHED || now - sa->last_heard < RECENTLY)
			continue;
		if (bucket_take(&ike->hint_bucket, now))
			ike_liveness(sa, 0, now);
		return;
	}
}

void ike_child_heard(struct child_sa *c, nsec_t now)
{
	struct ike *ike = c->ike_sa->ike;

	if (c->confirmed)
		return;
	c->confirmed = true;
	/* Nothing moves to an SA that is being deleted, or that lost against another one. */
	if (c->successor || c->state == CHILD_STATE_DELETING)
		return;
	if (c->voided)
		deadline_clear(&ike->deadlines, &c->cleanup);
	ike->ops.child_event(ike->ops.ctx, c, CHILD_EVENT_CONFIRMED, "heard", now);
}

#ifdef MENDIP_FAULTS
void ike_fault_message_ids(struct ike_sa *sa, uint32_t back)
{
	sa->window.next_id -= back < sa->window.next_id ? back : sa->window.next_id;
	sa->window.expected_id -= back < sa->window.expected_id ? back : sa->window.expected_id;
}

void ike_fault_forget_child(struct child_sa *c, nsec_t now)
{
	child_kill(c, "forgotten by a fault", now);
}

void ike_fault_rekey_spi(struct child_sa *c)
{
	c->fault_spi = 1;
}

void ike_fault_forget_sa(struct ike_sa *sa, nsec_t now)
{
	sa_kill(sa, "forgotten by a fault", now);
}
#endif
