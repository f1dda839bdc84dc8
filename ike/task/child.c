/*
 * child.c - our CREATE_CHILD_SA requests for CHILD SAs, new ones and rekeys (RFC 7296 1.3.1, 1.3.3,
 * 2.8, 2.25). SPDX-License-Identifier: ISC
 *
 *   HDR, SK {[N(REKEY_SA),] SA, Ni, [KEi,] TSi, TSr}  -->
 *                                          <--  HDR, SK {SA, Nr, [KEr,] TSi, TSr}
 *
 * A simultaneous rekey (2.8.1) makes two new SAs. The one made with the lowest of the four nonces
 * is deleted by the side that asked for it, and the old one by the side that asked for the other.
 */
#include "sa/limits.h"
#include "task/exchanges.h"
#include "xalloc.h"

#define TEMPORARY_TRIES	  3 /* after 1, 2 and 4 s */
#define UNCONFIRMED_LIMIT (10 * NSEC_PER_SEC)
#define UNCONFIRMED_LOOK  (500 * NSEC_PER_MSEC)

static void tell(struct ike_sa *sa, const struct child_task *t, struct child_sa *c,
		 enum ike_result r, uint16_t notify, nsec_t now)
{
	sa->ike->ops.child_result(sa->ike->ops.ctx, sa, t->conf, c, r, notify, now);
}

/* Our rekey failed: the old SA is what it was, or REKEYED if the peer replaced it meanwhile. */
static void keep_old(struct child_task *t, nsec_t now)
{
	struct child_sa *c = t->task.child;

	if (!c || c->state != CHILD_STATE_REKEYING)
		return;
	if (c->successor)
		child_set_state(c, CHILD_STATE_REKEYED);
	else
		child_not_replaced(c, now);
}

/*
 * A CHILD SA of the IKE SA, other than `other_than`, that admits all of these selectors and is not
 * being replaced or deleted; a confirmed one if there is any. NULL: none.
 */
static const struct child_sa *child_covering(const struct ike_sa *sa, const struct child_conf *conf,
					     const struct child_sa *other_than,
					     const struct ts_list *local,
					     const struct ts_list *remote)
{
	const struct child_sa *o, *found = NULL;

	LIST_FOREACH (o, &sa->children, link) {
		if (o != other_than && o->conf == conf && !o->successor && !o->voided &&
		    o->state == CHILD_STATE_INSTALLED && ts_list_within(local, o->local) &&
		    ts_list_within(remote, o->remote) && (!found || o->confirmed))
			found = o;
	}
	return found;
}

/* Ends a rekey whose old SA ended or was replaced before the request was sent. */
static bool pointless(struct ike_sa *sa, struct child_task *t, nsec_t now)
{
	if (t->task.kind != &task_child_rekey)
		return false;
	if (t->task.child && !t->task.child->successor &&
	    t->task.child->state != CHILD_STATE_DELETING)
		return false;
	t = child_task_of(exchange_done(sa));
	keep_old(t, now);
	tell(sa, t, t->task.child, t->task.child ? IKE_RESULT_SUPERSEDED : IKE_RESULT_GONE, 0, now);
	task_free(&t->task);
	return true;
}

/* An SA that already has what this task is about to ask for, or NULL. */
static const struct child_sa *asked_covered(const struct ike_sa *sa, const struct child_task *t)
{
	return t->task.kind == &task_child_create
		       ? child_covering(sa, t->conf, NULL, child_task_local(t),
					child_task_remote(t))
		       : NULL;
}

static bool already_there(struct ike_sa *sa, struct child_task *t, nsec_t now)
{
	const struct child_sa *c = asked_covered(sa, t);

	if (!c || !c->confirmed)
		return false;
	t = child_task_of(exchange_done(sa));
	tell(sa, t, NULL, IKE_RESULT_SUPERSEDED, 0, now);
	task_free(&t->task);
	return true;
}

/*
 * Waits if the SA in question was made by us as responder and the peer may not have our response
 * yet: a rekey now would get CHILD_SA_NOT_FOUND, and a new SA besides it would be one too many.
 */
static bool too_early(struct ike_sa *sa, struct child_task *t, nsec_t now)
{
	const struct child_sa *c = t->task.child ? t->task.child : asked_covered(sa, t);

	if (!c || c->confirmed || now - c->created >= UNCONFIRMED_LIMIT)
		return false;
	task_retry(exchange_done(sa), now + UNCONFIRMED_LOOK);
	return true;
}

/*
 * The key exchange of the request: the group that the peer asked for, or our first; none without
 * PFS.
 */
static void prepare_kex(struct child_task *t)
{
	uint16_t group = t->group ? t->group : proposals_first_group(&t->conf->proposals);

	t->kex = group && !t->no_kex ? kex_new(group) : NULL;
}

/* The outstanding request, which is not sent, ends as if the peer had refused it. */
static void refuse_ourselves(struct ike_sa *sa, uint16_t notify, nsec_t now)
{
	struct child_task *t = child_task_of(exchange_done(sa));

	keep_old(t, now);
	tell(sa, t, t->task.child, IKE_RESULT_REFUSED, notify, now);
	task_free(&t->task);
}

static void child_send(struct ike_sa *sa, struct ike_task *task, nsec_t now)
{
	struct child_task *t = child_task_of(task);
	struct ike *ike = sa->ike;
	uint8_t buf[IKE_MAX_MESSAGE], spi[4];
	struct ike_builder b;

	if (pointless(sa, t, now))
		return;
	config_resolve_task(t);
	if (already_there(sa, t, now) || too_early(sa, t, now))
		return;
	if (!t->task.child && config_lacks_address(sa, t->conf)) {
		refuse_ourselves(sa, NOTIFY_INTERNAL_ADDRESS_FAILURE, now);
		return;
	}
	t->spi = ike->ops.spi_reserve(ike->ops.ctx);
	if (!t->spi) {
		refuse_ourselves(sa, NOTIFY_NO_ADDITIONAL_SAS, now);
		return;
	}
	prepare_kex(t);
	t->nonce.len = IKE_NONCE_LEN;
	rng_fill(ike->rng, t->nonce.b, IKE_NONCE_LEN);
	ib_inside(&b, buf, sizeof(buf));
	if (t->task.child) {
		child_set_state(t->task.child, CHILD_STATE_REKEYING);
		put_be32(spi, t->task.child->spi_in);
#ifdef MENDIP_FAULTS
		put_be32(spi, t->task.child->spi_in ^ t->task.child->fault_spi);
#endif
		ib_notify(&b, PROTOCOL_ESP, (struct chunk){spi, 4}, NOTIFY_REKEY_SA,
			  (struct chunk){0});
	}
	child_write_offer(&b, t, t->spi, true, nonce_chunk(&t->nonce));
	exchange_send_request(sa, IKE_CREATE_CHILD_SA, &b, now);
}

/* ---- the response ---- */

static void delete_later(struct child_sa *c)
{
	task_add(c->ike_sa, &task_child_delete, true)->child = c;
	if (c->state != CHILD_STATE_REKEYED)
		child_set_state(c, CHILD_STATE_DELETING);
}

/*
 * Whether the peer has rekeyed the same SA, or asked for the same new one. In the second case the
 * collision is over if the peer has ended its SA since, as neither side replaces an old one.
 */
static bool has_collided(const struct child_task *t)
{
	return t->collided && (t->task.kind == &task_child_rekey || t->rival);
}

/*
 * Whether one of the two new SAs is to be deleted, of which ours has these selectors. If two
 * requests for one new SA got different selectors, both stay.
 */
static bool one_goes(const struct child_task *t, const struct ts_list *local,
		     const struct ts_list *remote)
{
	return has_collided(t) &&
	       (t->task.kind == &task_child_rekey || child_has_selectors(t->rival, local, remote));
}

/* Decides between two new SAs (2.8.1): true if theirs stays. */
static bool we_lose(const struct child_task *t, const struct nonce *nr)
{
	const struct nonce *ours = nonce_cmp(&t->nonce, nr) < 0 ? &t->nonce : nr;

	return nonce_cmp(ours, &t->rival_nonce) < 0;
}

/* Whether the SA that the response makes, by this offer, is the redundant one. */
static bool loses(const struct child_task *t, const struct child_offer *o, const struct nonce *nr)
{
	return one_goes(t, &o->local, &o->remote) && we_lose(t, nr);
}

/* Marks the old SA as replaced and deletes it. */
static void retire_old(struct ike_sa *sa, struct child_sa *old)
{
	struct deadline_heap *h = &sa->ike->deadlines;

	old->successor = true;
	deadline_clear(h, &old->rekey);
	deadline_clear(h, &old->cleanup);
	if (old->state == CHILD_STATE_DELETING) /* its lifetime ended, or its user ended it */
		return;
	delete_later(old);
	child_set_state(old, CHILD_STATE_DELETING);
}

static void settle_rekey(struct ike_sa *sa, struct child_task *t, struct child_sa *made, nsec_t now)
{
	if (made->successor) {
		/* Theirs stays. We delete ours, the redundant one; the peer deletes the old one. */
		struct child_sa *winner = t->rival;

		delete_later(made);
		/* Not if its lifetime has ended meanwhile: then our DELETE is on its way. */
		if (t->task.child && t->task.child->state != CHILD_STATE_DELETING)
			child_set_state(t->task.child, CHILD_STATE_REKEYED);
		tell(sa, t, winner ? winner : made, IKE_RESULT_OK, 0, now);
		return;
	}
	if (t->task.child)
		retire_old(sa, t->task.child);
	/*
	 * If only we saw the collision, the peer does not delete its SA: then child_cleanup does.
	 */
	if (t->rival && one_goes(t, made->local, made->remote)) {
		child_replaced_by_peer(t->rival, now);
		made->replaces = t->rival;
	}
	sa->ike->ops.child_event(sa->ike->ops.ctx, made, CHILD_EVENT_CONFIRMED, "rekeyed", now);
	tell(sa, t, made, IKE_RESULT_OK, 0, now);
}

/*
 * The response to CREATE_CHILD_SA: checks it, and begins the additional key exchanges. Returns 0,
 * or an error notify type that says what is wrong.
 */
static uint16_t take_first(struct ike_sa *sa, struct child_task *t, const struct ike_in *in,
			   enum followup_step *ret_step)
{
	uint8_t secret[KEX_MAX_SECRET];
	struct child_offer o;
	size_t len = 0;
	uint16_t error = child_check_answer(sa, in->p, true, t, &o, in->now);

	if (!error && t->kex && o.choice.group &&
	    kex_derive(t->kex, in->p->ke.data, secret, &len) < 0)
		error = NOTIFY_INVALID_SYNTAX;
	if (!error) {
		*ret_step = followup_next(sa, &t->task, &t->followups, in, &o.choice,
					  (struct chunk){secret, len});
		t->followups->offer = o;
	}
	secret_wipe(secret, sizeof(secret));
	return error;
}

/* The same for a response to IKE_FOLLOWUP_KE. */
static uint16_t take_next(struct ike_sa *sa, struct child_task *t, const struct ike_in *in,
			  enum followup_step *ret_step)
{
	*ret_step = followup_next(sa, &t->task, &t->followups, in, NULL, (struct chunk){0});
	/* Another peer may have taken the selectors meanwhile. */
	return *ret_step == FOLLOWUP_NONE
		       ? child_admit(sa, &t->followups->offer, true, t->task.child, in->now)
		       : 0;
}

/* True: the task is outstanding again, with an additional key exchange. */
static bool complete(struct ike_sa *sa, struct child_task *t, const struct ike_in *in)
{
	enum followup_step step = FOLLOWUP_BAD;
	struct followups *f;
	struct child_sa *made;
	uint16_t error = t->followups ? take_next(sa, t, in, &step) : take_first(sa, t, in, &step);

	if (step == FOLLOWUP_SENT)
		return true;
	if (!error && step == FOLLOWUP_BAD)
		error = NOTIFY_INVALID_SYNTAX;
	if (error) {
		log_peer(sa, in->now, LOG_LEVEL_WARNING,
			 "%s: child %s: the response does not match our offer: %s", sa_label(sa),
			 t->conf->name,
			 error == NOTIFY_SINGLE_PAIR_REQUIRED
				 ? "it narrows the selectors of the SA that it is to replace"
				 : ike_notify_name(error));
		refusal_of_child(sa, t, false, error, in->now);
		child_unwanted(sa, t->spi);
		keep_old(t, in->now);
		/* A peer that narrows a rekey narrows a new SA too: another IKE SA is no remedy. */
		tell(sa, t, t->task.child,
		     error == NOTIFY_SINGLE_PAIR_REQUIRED ? IKE_RESULT_TEMPORARY
							  : IKE_RESULT_REFUSED,
		     error, in->now);
		return false;
	}
	f = t->followups;
	f->offer.lost = loses(t, &f->offer, &f->nr);
	made = child_install(sa, &f->offer, t->spi, true, &f->secrets, &t->nonce, &f->nr,
			     t->task.child, in->now);
	if (!made) {
		child_unwanted(sa, t->spi);
		t->spi = 0;
		keep_old(t, in->now);
		tell(sa, t, t->task.child, IKE_RESULT_REFUSED, NOTIFY_NO_ADDITIONAL_SAS, in->now);
		return false;
	}
	t->spi = 0;
	settle_rekey(sa, t, made, in->now);
	if (t->cancelled)
		ike_child_delete(made, in->now);
	return false;
}

/*
 * INVALID_KE_PAYLOAD: retries once with the group asked for, if we have it. True: the task was put
 * back.
 */
static bool retry_group(struct ike_sa *sa, struct child_task *t, const struct ike_notify_view *n,
			nsec_t now)
{
	uint16_t group = n->data.len == 2 ? get_be16(n->data.p) : 0;

	(void)sa;
	if (t->group || !proposals_have_group(&t->conf->proposals, group))
		return false;
	t->group = group;
	task_retry(&t->task, now);
	return true;
}

/*
 * NO_PROPOSAL_CHOSEN to a request with a key exchange: retries with those of our proposals that
 * have none, as IKE_AUTH cannot show whether the peer wants one. True: the task was put back.
 */
static bool retry_without_kex(struct child_task *t, nsec_t now)
{
	if (!t->kex || !proposals_without_group(&t->conf->proposals))
		return false;
	t->no_kex = true;
	task_retry(&t->task, now);
	return true;
}

/*
 * CHILD_SA_NOT_FOUND (2.25): the peer does not have our SA any more. Makes another one, without
 * REKEY_SA, unless there is one.
 */
static void not_found(struct ike_sa *sa, struct child_task *t, nsec_t now)
{
	struct child_sa *old = t->task.child;
	const struct child_sa *other;

	if (t->collided || !old || old->successor) {
		tell(sa, t, old, IKE_RESULT_SUPERSEDED, NOTIFY_CHILD_SA_NOT_FOUND, now);
		return;
	}
	other = child_covering(sa, old->conf, old, old->local, old->remote);
	if (other && other->confirmed) {
		child_kill(old, "the peer does not know it, and there is another one", now);
		tell(sa, t, NULL, IKE_RESULT_SUPERSEDED, NOTIFY_CHILD_SA_NOT_FOUND, now);
		return;
	}
	tell(sa, t, old, IKE_RESULT_NOT_FOUND, NOTIFY_CHILD_SA_NOT_FOUND, now);
	ike_child_replace(old, t->task.late, now);
}

/* Retries what the peer may answer differently next time. True: the task was put back. */
static bool retried(struct ike_sa *sa, struct child_task *t, const struct ike_notify_view *n,
		    nsec_t now)
{
	if (n->type == NOTIFY_INVALID_KE_PAYLOAD)
		return retry_group(sa, t, n, now);
	if (n->type == NOTIFY_NO_PROPOSAL_CHOSEN)
		return retry_without_kex(t, now);
	/* STATE_NOT_FOUND: the peer has given up what the additional key exchange belongs to. */
	if ((n->type != NOTIFY_TEMPORARY_FAILURE && n->type != NOTIFY_STATE_NOT_FOUND) ||
	    t->tries >= TEMPORARY_TRIES)
		return false;
	task_retry(&t->task, now + (NSEC_PER_SEC << t->tries++));
	return true;
}

/* True when the task was put back and is not to be freed. */
static bool failed(struct ike_sa *sa, struct child_task *t, const struct ike_notify_view *n,
		   nsec_t now)
{
	bool rekey = t->task.kind == &task_child_rekey;
	bool not_there = rekey && n->type == NOTIFY_CHILD_SA_NOT_FOUND;
	bool superseded =
		has_collided(t) || (rekey && (!t->task.child || t->task.child->successor));

	/* While the task waits for the retry, the old SA is still REKEYING. */
	if (!not_there && !superseded && retried(sa, t, n, now))
		return true;
	keep_old(t, now);
	if (not_there) {
		not_found(sa, t, now);
		return false;
	}
	if (superseded) {
		tell(sa, t, t->task.child, IKE_RESULT_SUPERSEDED, n->type, now);
		return false;
	}
	if (n->type == NOTIFY_NO_PROPOSAL_CHOSEN)
		refusal_by_peer(sa, "CREATE_CHILD_SA", t->conf, &t->conf->proposals,
				t->no_kex ? PROPOSAL_KEX_NONE : PROPOSAL_KEX, now);
	refusal_of_child(sa, t, true, n->type, now);
	log_peer(sa, now, LOG_LEVEL_WARNING, "%s: child %s: the peer refused CREATE_CHILD_SA: %s",
		 sa_label(sa), t->conf->name, ike_notify_name(n->type));
	tell(sa, t, t->task.child,
	     n->type == NOTIFY_TEMPORARY_FAILURE ? IKE_RESULT_TEMPORARY : IKE_RESULT_REFUSED,
	     n->type, now);
	return false;
}

static void child_on_response(struct ike_sa *sa, const struct ike_in *in)
{
	const struct ike_notify_view *error = ike_find_error(in->p);
	struct child_task *t = child_task_of(exchange_done(sa));

	if (error && failed(sa, t, error, in->now))
		return;
	if (!error && complete(sa, t, in))
		return;
	task_free(&t->task);
}

const struct task_kind task_child_create = {
	.exchange = IKE_CREATE_CHILD_SA,
	.states = 1 << IKE_STATE_ESTABLISHED,
	.can_wait = task_has_not_begun,
	.send = child_send,
	.on_response = child_on_response,
	CHILD_TASK,
};
const struct task_kind task_child_rekey = {
	.exchange = IKE_CREATE_CHILD_SA,
	.rekeys = REKEYS_CHILD_SA,
	.states = 1 << IKE_STATE_ESTABLISHED,
	.can_wait = task_has_not_begun,
	.send = child_send,
	.on_response = child_on_response,
	CHILD_TASK,
};
