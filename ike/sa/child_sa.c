/* child_sa.c - makes, finds and ends CHILD SAs. SPDX-License-Identifier: ISC */
#include "sa/exchange.h"
#include "xalloc.h"

#define REKEY_AGAIN (60 * NSEC_PER_SEC) /* after a rekey that failed */
/* The peer should have deleted the old one by then. */
#define CLEANUP_REPLACED (30 * NSEC_PER_SEC)

struct child_sa *child_new(struct ike_sa *sa, const struct child_conf *conf)
{
	struct child_sa *c = xzalloc(sizeof(*c));

	c->ike_sa = sa;
	c->conf = conf;
	c->rekey.due = sa->ike->timers->child_rekey;
	c->expire.due = sa->ike->timers->child_expire;
	c->cleanup.due = sa->ike->timers->child_cleanup;
	LIST_INSERT_HEAD(&sa->children, c, link);
	sa->child_count++;
	return c;
}

void child_arm(struct child_sa *c, nsec_t now)
{
	struct ike *ike = c->ike_sa->ike;

	c->created = now;
	if (c->conf->rekey_time)
		deadline_set(&ike->deadlines, &c->rekey,
			     now + rng_jittered(ike->rng, c->conf->rekey_time));
	if (c->conf->life_time)
		deadline_set(&ike->deadlines, &c->expire, now + c->conf->life_time);
}

struct child_sa *child_by_spi_out(const struct ike_sa *sa, uint32_t spi)
{
	struct child_sa *c;

	LIST_FOREACH (c, &sa->children, link) {
		if (c->spi_out == spi)
			return c;
	}
	return NULL;
}

static void task_forget(struct ike_task *t, const struct child_sa *c)
{
	if (t->child == c)
		t->child = NULL;
	if (t->kind->rival_gone)
		t->kind->rival_gone(t, c, false);
}

void child_free(struct child_sa *c)
{
	struct deadline_heap *h = &c->ike_sa->ike->deadlines;

	deadline_clear(h, &c->rekey);
	deadline_clear(h, &c->expire);
	deadline_clear(h, &c->cleanup);
	free(c->local);
	free(c->remote);
	free(c);
}

void child_unlink(struct child_sa *c)
{
	LIST_REMOVE(c, link);
	c->ike_sa->child_count--;
}

/*
 * Whether c was to replace an SA that stays, and that neither another SA nor a successor of c
 * replaces.
 */
static bool leaves_nothing_instead(const struct child_sa *c)
{
	const struct child_sa *old = c->replaces, *o;

	if (!old || !old->successor || old->state == CHILD_STATE_DELETING)
		return false;
	LIST_FOREACH (o, &c->ike_sa->children, link) {
		if (o != c && (o->replaces == old || o->replaces == c) && !o->voided)
			return false;
	}
	return true;
}

void child_kill(struct child_sa *c, const char *why, nsec_t now)
{
	struct ike_sa *sa = c->ike_sa;
	struct ike *ike = sa->ike;
	struct child_sa *o;
	struct ike_task *t;

	if (leaves_nothing_instead(c))
		child_kept(c->replaces, c, now);
	TAILQ_FOREACH (t, &sa->tasks, link)
		task_forget(t, c);
	if (sa->outstanding)
		task_forget(sa->outstanding, c);
	child_unlink(c);
	/* Its successor replaces what it was to replace. */
	LIST_FOREACH (o, &sa->children, link) {
		if (o->replaces == c)
			o->replaces = o->voided ? NULL : c->replaces;
	}
	ike->ops.child_event(ike->ops.ctx, c, CHILD_EVENT_DOWN, why, now);
	child_free(c);
}

void child_not_replaced(struct child_sa *c, nsec_t now)
{
	child_set_state(c, CHILD_STATE_INSTALLED);
	if (c->conf->rekey_time)
		deadline_set(&c->ike_sa->ike->deadlines, &c->rekey, now + REKEY_AGAIN);
}

void child_kept(struct child_sa *old, const struct child_sa *gone, nsec_t now)
{
	struct ike_task *t = old->ike_sa->outstanding;

	old->successor = false;
	deadline_clear(&old->ike_sa->ike->deadlines, &old->cleanup);
	if (old->state == CHILD_STATE_REKEYED)
		child_not_replaced(old, now);
	if (t && t->kind->rival_gone)
		t->kind->rival_gone(t, gone, true);
}

/* ---- what replaces what ---- */

struct child_sa *child_named(const struct ike_sa *sa, const struct ike_notify_view *rekey_sa)
{
	if (!rekey_sa || rekey_sa->protocol != PROTOCOL_ESP || rekey_sa->spi.len != 4)
		return NULL;
	return child_by_spi_out(sa, get_be32(rekey_sa->spi.p));
}

struct child_sa *child_replacing(const struct child_sa *c)
{
	struct child_sa *made, *newest = NULL;

	LIST_FOREACH (made, &c->ike_sa->children, link) {
		if (made->replaces == c && (!newest || made->created > newest->created))
			newest = made;
	}
	return newest;
}

bool child_has_selectors(const struct child_sa *a, const struct ts_list *local,
			 const struct ts_list *remote)
{
	return ts_list_within(a->local, local) && ts_list_within(local, a->local) &&
	       ts_list_within(a->remote, remote) && ts_list_within(remote, a->remote);
}

void child_replaced_by_peer(struct child_sa *old, nsec_t now)
{
	struct deadline_heap *h = &old->ike_sa->ike->deadlines;

	old->successor = true;
	if (old->state == CHILD_STATE_INSTALLED)
		child_set_state(old, CHILD_STATE_REKEYED);
	deadline_clear(h, &old->rekey);
	deadline_set(h, &old->cleanup, now + CLEANUP_REPLACED);
}
