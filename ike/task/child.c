/*
 * child.c - CREATE_CHILD_SA for CHILD SAs: new ones and rekeys (RFC 7296 1.3.1, 1.3.3, 2.8, 2.25).
 * SPDX-License-Identifier: ISC
 *
 *   HDR, SK {[N(REKEY_SA),] SA, Ni, [KEi,] TSi, TSr}  -->
 *                                          <--  HDR, SK {SA, Nr, [KEr,] TSi, TSr}
 *
 * A simultaneous rekey (2.8.1) makes two new SAs; the one that the lowest of the four nonces
 * belongs to is deleted by who asked for it, and the old one by who asked for the other.
 */
#include "sa/ike_saved.h"
#include "sa/limits.h"
#include "task/exchanges.h"
#include "xalloc.h"

#define TEMPORARY_TRIES	  3 /* after 1, 2 and 4 s */
#define UNCONFIRMED_LIMIT (10 * NSEC_PER_SEC)
#define UNCONFIRMED_LOOK  (500 * NSEC_PER_MSEC)
/* The peer should have deleted the old one by then. */
#define CLEANUP_REPLACED (30 * NSEC_PER_SEC)

static void tell(struct ike_sa *sa, const struct ike_task *t, struct child_sa *c, enum ike_result r,
		 uint16_t notify, nsec_t now)
{
	sa->ike->ops.child_result(sa->ike->ops.ctx, sa, t->conf, c, r, notify, now);
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

void child_cleanup(struct deadline *d, nsec_t now)
{
	struct child_sa *c = container_of(d, struct child_sa, cleanup);
	struct child_sa *made = c->successor ? child_replacing(c) : NULL;

	if (!made || made->confirmed) {
		ike_child_delete(c, now);
		return;
	}
	log_peer(c->ike_sa, now, LOG_LEVEL_WARNING,
		 "%s: child %s: the peer never used its rekey: it is void", sa_label(c->ike_sa),
		 c->conf->name);
	ike_child_void(c, made, now);
}

/* A rekey of ours came to nothing: the old one is what it was, or what the peer's made of it. */
static void keep_old(struct ike_task *t, nsec_t now)
{
	struct child_sa *c = t->child;

	if (!c || c->state != CHILD_STATE_REKEYING)
		return;
	if (c->successor)
		child_set_state(c, CHILD_STATE_REKEYED);
	else
		child_not_replaced(c, now);
}

/*
 * A CHILD SA of the IKE SA, but not that one, which admits all of this and is there to stay; a
 * confirmed one, where there is any. NULL: none.
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

/* A rekey whose old SA went or was replaced before we asked has nothing to do. */
static bool pointless(struct ike_sa *sa, struct ike_task *t, nsec_t now)
{
	if (t->kind != &task_child_rekey)
		return false;
	if (t->child && !t->child->successor && t->child->state != CHILD_STATE_DELETING)
		return false;
	t = exchange_done(sa);
	keep_old(t, now);
	tell(sa, t, t->child, t->child ? IKE_RESULT_SUPERSEDED : IKE_RESULT_GONE, 0, now);
	task_free(t);
	return true;
}

static const struct ts_list *asked_local(const struct ike_task *t)
{
	return t->local ? t->local : &t->conf->local_ts;
}

static const struct ts_list *asked_remote(const struct ike_task *t)
{
	return t->remote ? t->remote : &t->conf->remote_ts;
}

/* What the peer has brought up of what we are about to ask for, or NULL. */
static const struct child_sa *asked_covered(const struct ike_sa *sa, const struct ike_task *t)
{
	return t->kind == &task_child_create
		       ? child_covering(sa, t->conf, NULL, asked_local(t), asked_remote(t))
		       : NULL;
}

static bool already_there(struct ike_sa *sa, struct ike_task *t, nsec_t now)
{
	const struct child_sa *c = asked_covered(sa, t);

	if (!c || !c->confirmed)
		return false;
	t = exchange_done(sa);
	tell(sa, t, NULL, IKE_RESULT_SUPERSEDED, 0, now);
	task_free(t);
	return true;
}

/*
 * One that we made as responder, whose initiator may not have our response yet: a rekey now would
 * get CHILD_SA_NOT_FOUND, and another one beside it would leave two where one should be.
 */
static bool too_early(struct ike_sa *sa, struct ike_task *t, nsec_t now)
{
	const struct child_sa *c = t->child ? t->child : asked_covered(sa, t);

	if (!c || c->confirmed || now - c->created >= UNCONFIRMED_LIMIT)
		return false;
	task_retry(exchange_done(sa), now + UNCONFIRMED_LOOK);
	return true;
}

/* Key exchange of the request: what the old one had or the peer asked for, or our first; none: no
 * PFS. */
static void prepare_kex(struct ike_task *t)
{
	uint16_t group = t->group ? t->group : proposals_first_group(&t->conf->proposals);

	t->kex = group && !t->no_kex ? kex_new(group) : NULL;
}

static void child_send(struct ike_sa *sa, struct ike_task *t, nsec_t now)
{
	struct ike *ike = sa->ike;
	uint8_t buf[IKE_MAX_MESSAGE], spi[4];
	struct ike_builder b;

	if (pointless(sa, t, now) || already_there(sa, t, now) || too_early(sa, t, now))
		return;
	t->spi = ike->ops.spi_reserve(ike->ops.ctx);
	if (!t->spi) {
		t = exchange_done(sa);
		keep_old(t, now);
		tell(sa, t, t->child, IKE_RESULT_REFUSED, NOTIFY_NO_ADDITIONAL_SAS, now);
		task_free(t);
		return;
	}
	prepare_kex(t);
	t->nonce.len = IKE_NONCE_LEN;
	rng_fill(ike->rng, t->nonce.b, IKE_NONCE_LEN);
	ib_inside(&b, buf, sizeof(buf));
	if (t->child) {
		child_set_state(t->child, CHILD_STATE_REKEYING);
		put_be32(spi, t->child->spi_in);
#ifdef MENDIP_FAULTS
		put_be32(spi, t->child->spi_in ^ t->child->fault_spi);
#endif
		ib_notify(&b, PROTOCOL_ESP, (struct chunk){spi, 4}, NOTIFY_REKEY_SA,
			  (struct chunk){0});
	}
	child_write_offer(&b, t, t->spi, true, nonce_chunk(&t->nonce), t->child);
	exchange_send_request(sa, IKE_CREATE_CHILD_SA, &b, now);
}

/* ---- responder ---- */

static void refuse(struct ike_sa *sa, const struct ike_in *in, uint16_t error)
{
	log_peer(sa, in->now, LOG_LEVEL_INFO, "%s: CREATE_CHILD_SA of the peer refused: %s",
		 sa_label(sa), ike_notify_name(error));
	respond_notify(sa, in->h, error, (struct chunk){0}, in->local, in->remote, in->now);
}

static void refuse_not_found(struct ike_sa *sa, const struct ike_in *in, struct chunk spi)
{
	uint8_t buf[128];
	struct ike_builder b;

	ib_inside(&b, buf, sizeof(buf));
	ib_notify(&b, PROTOCOL_ESP, spi, NOTIFY_CHILD_SA_NOT_FOUND, (struct chunk){0});
	exchange_respond(sa, in->h, &b, in->local, in->remote, in->now);
}

static void refuse_group(struct ike_sa *sa, const struct ike_in *in, uint16_t group)
{
	uint8_t g[2];

	put_be16(g, group);
	respond_notify(sa, in->h, NOTIFY_INVALID_KE_PAYLOAD, (struct chunk){g, 2}, in->local,
		       in->remote, in->now);
}

/* Whether both admit the same. */
static bool same_selectors(const struct child_sa *a, const struct ts_list *local,
			   const struct ts_list *remote)
{
	return ts_list_within(a->local, local) && ts_list_within(local, a->local) &&
	       ts_list_within(a->remote, remote) && ts_list_within(remote, a->remote);
}

/* What we have asked for and not got yet is the same: a rekey of that SA, or what it admits. */
static bool collides(const struct ike_task *t, const struct child_sa *old,
		     const struct child_sa *made)
{
	if (!t || t->child != old)
		return false;
	if (old)
		return t->kind == &task_child_rekey;
	return t->kind == &task_child_create && t->conf == made->conf &&
	       same_selectors(made, asked_local(t), asked_remote(t));
}

/* Notes what decides between our request, which is outstanding, and the peer's (2.8.1). */
static void note_collision(struct ike_sa *sa, const struct child_sa *old, struct child_sa *made,
			   const struct nonce *ni, const struct nonce *nr)
{
	struct ike_task *t = sa->outstanding;

	if (!collides(t, old, made))
		return;
	t->collided = true;
	t->rival = made;
	t->rival_nonce = nonce_cmp(ni, nr) < 0 ? *ni : *nr;
}

static void replaced_by_peer(struct child_sa *old, nsec_t now)
{
	struct deadline_heap *h = &old->ike_sa->ike->deadlines;

	old->successor = true;
	if (old->state == CHILD_STATE_INSTALLED)
		child_set_state(old, CHILD_STATE_REKEYED);
	deadline_clear(h, &old->rekey);
	deadline_set(h, &old->cleanup, now + CLEANUP_REPLACED);
}

static void accept(struct ike_sa *sa, const struct ike_in *in, struct child_sa *old,
		   const struct child_offer *o)
{
	struct child_sa *earlier = old ? child_replacing(old) : NULL;
	struct ike *ike = sa->ike;
	uint8_t buf[IKE_MAX_MESSAGE], secret[KEX_MAX_SECRET], spi[4];
	struct nonce ni, nr = {.len = IKE_NONCE_LEN};
	struct kex *kex = o->choice.group ? kex_new(o->choice.group) : NULL;
	struct child_sa *c = NULL;
	struct ike_builder b;
	uint32_t spi_in;
	size_t len = 0;

	nonce_set(&ni, in->p->nonce);
	rng_fill(ike->rng, nr.b, nr.len);
	if (o->choice.group && (!kex || kex_derive(kex, in->p->ke.data, secret, &len) < 0)) {
		kex_free(kex);
		refuse(sa, in, NOTIFY_INVALID_SYNTAX);
		return;
	}
	spi_in = ike->ops.spi_reserve(ike->ops.ctx);
	if (spi_in)
		c = child_install(sa, o, spi_in, false, (struct chunk){secret, len}, &ni, &nr, old,
				  in->now);
	secret_wipe(secret, sizeof(secret));
	if (!c) {
		kex_free(kex);
		refuse(sa, in, NOTIFY_NO_ADDITIONAL_SAS);
		return;
	}
	put_be32(spi, spi_in);
	ib_inside(&b, buf, sizeof(buf));
	choice_write(&b, &c->choice, (struct chunk){spi, 4});
	ib_payload(&b, PAYLOAD_NONCE, nonce_chunk(&nr));
	if (kex)
		ib_ke(&b, o->choice.group, kex_public(kex));
	child_write_ts(&b, c->remote, c->local);
	kex_free(kex);
	/* It asks once more: of what it asked for first it does not know. */
	if (earlier && !earlier->confirmed)
		ike_child_void(old, earlier, in->now);
	note_collision(sa, old, c, &ni, &nr);
	if (old)
		replaced_by_peer(old, in->now);
	exchange_respond(sa, in->h, &b, in->local, in->remote, in->now);
}

struct child_sa *child_named(const struct ike_sa *sa, const struct ike_notify_view *rekey_sa)
{
	if (!rekey_sa || rekey_sa->protocol != PROTOCOL_ESP || rekey_sa->spi.len != 4)
		return NULL;
	return child_by_spi_out(sa, get_be32(rekey_sa->spi.p));
}

/*
 * The SA that REKEY_SA names; *ret_error: the answer when it cannot be rekeyed now (2.25). A peer
 * that has not used what it made of it, and asks once more, gets another one.
 */
static struct child_sa *rekey_target(struct ike_sa *sa, const struct ike_notify_view *n,
				     uint16_t *ret_error)
{
	struct child_sa *old = child_named(sa, n);
	const struct child_sa *made = old ? child_replacing(old) : NULL;

	*ret_error = 0;
	if (!old)
		*ret_error = NOTIFY_CHILD_SA_NOT_FOUND;
	else if (old->state == CHILD_STATE_DELETING ||
		 (old->state == CHILD_STATE_REKEYED && (!made || made->confirmed)))
		*ret_error = NOTIFY_TEMPORARY_FAILURE;
	return old;
}

/* The IKE SA is going, or being rekeyed (2.25.2), or its owner says so. */
static bool is_busy(const struct ike_sa *sa)
{
	return sa->busy || sa->state != IKE_STATE_ESTABLISHED || sa->unresolved ||
	       (sa->outstanding && sa->outstanding->kind == &task_ike_rekey);
}

void child_on_request(struct ike_sa *sa, const struct ike_in *in)
{
	const struct ike_notify_view *n = ike_find_notify(in->p, NOTIFY_REKEY_SA);
	struct child_sa *old = NULL;
	struct child_offer o;
	uint16_t error = 0;

	if (is_busy(sa)) {
		refuse(sa, in, NOTIFY_TEMPORARY_FAILURE);
		return;
	}
	if (n)
		old = rekey_target(sa, n, &error);
	if (error == NOTIFY_CHILD_SA_NOT_FOUND) {
		refuse_not_found(sa, in, n->spi);
		return;
	}
	/* A rekey has the old one and the new one side by side for a while. */
	if (!error && sa->child_count >= sa->ike->set.children_max * (old ? 2 : 1))
		error = NOTIFY_NO_ADDITIONAL_SAS;
	if (!error)
		error = child_negotiate(sa, in->p, true, old, &o, in->now);
	if (error == NOTIFY_INVALID_KE_PAYLOAD)
		refuse_group(sa, in, o.choice.group);
	else if (error)
		refuse(sa, in, error);
	else
		accept(sa, in, old, &o);
}

/* ---- initiator ---- */

static void delete_later(struct child_sa *c)
{
	struct ike_task *t = task_add(c->ike_sa, &task_child_delete, true);

	t->child = c;
	t->conf = c->conf;
	if (c->state != CHILD_STATE_REKEYED)
		child_set_state(c, CHILD_STATE_DELETING);
}

/*
 * Two rekeys of one SA, or two requests for one SA. Of the second kind the peer may have ended its
 * own since, and with it the collision: there is no old one that either side would have replaced.
 */
static bool has_collided(const struct ike_task *t)
{
	return t->collided && (t->kind == &task_child_rekey || t->rival);
}

/* One of the two goes. The answers to two requests for one SA may differ: then both stay. */
static bool one_goes(const struct ike_task *t, const struct child_sa *made)
{
	return has_collided(t) && (t->kind == &task_child_rekey ||
				   same_selectors(t->rival, made->local, made->remote));
}

/* Two new SAs where one is to be: decides which one lives (2.8.1). True when theirs does. */
static bool we_lose(const struct ike_task *t, const struct nonce *nr)
{
	const struct nonce *ours = nonce_cmp(&t->nonce, nr) < 0 ? &t->nonce : nr;

	return nonce_cmp(ours, &t->rival_nonce) < 0;
}

/* Marks the old one replaced and has it deleted. */
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

static void settle_rekey(struct ike_sa *sa, struct ike_task *t, struct child_sa *made,
			 const struct nonce *nr, nsec_t now)
{
	if (one_goes(t, made) && we_lose(t, nr)) {
		/* Theirs stays; ours, the redundant one, is ours to delete. The peer deletes the
		 * old. */
		struct child_sa *winner = t->rival;

		made->successor = true;
		delete_later(made);
		/* Unless its lifetime has ended meanwhile: then our DELETE goes out all the same.
		 */
		if (t->child && t->child->state != CHILD_STATE_DELETING)
			child_set_state(t->child, CHILD_STATE_REKEYED);
		tell(sa, t, winner ? winner : made, IKE_RESULT_OK, 0, now);
		return;
	}
	if (t->child)
		retire_old(sa, t->child);
	/* Where only we saw that they collide, the peer does not delete it: then we do, later. */
	if (one_goes(t, made) && t->rival) {
		replaced_by_peer(t->rival, now);
		made->replaces = t->rival;
	}
	sa->ike->ops.child_event(sa->ike->ops.ctx, made, CHILD_EVENT_CONFIRMED, "rekeyed", now);
	tell(sa, t, made, IKE_RESULT_OK, 0, now);
}

void child_unwanted(struct ike_sa *sa, uint32_t spi, struct child_conf *conf)
{
	struct ike_task *t = task_add(sa, &task_child_delete, false);

	t->delete_spi = spi;
	t->conf = conf;
}

static void complete(struct ike_sa *sa, struct ike_task *t, const struct ike_in *in)
{
	uint8_t secret[KEX_MAX_SECRET];
	struct child_offer o;
	struct child_sa *made;
	struct nonce nr;
	size_t len = 0;
	uint16_t error = child_check_answer(sa, in->p, true, t, &o, in->now);

	if (!error && t->kex && o.choice.group &&
	    kex_derive(t->kex, in->p->ke.data, secret, &len) < 0)
		error = NOTIFY_INVALID_SYNTAX;
	if (error) {
		log_peer(sa, in->now, LOG_LEVEL_WARNING,
			 "%s: child %s: the answer does not fit what we offered: %s", sa_label(sa),
			 t->conf->name, ike_notify_name(error));
		child_unwanted(sa, t->spi, t->conf);
		keep_old(t, in->now);
		tell(sa, t, t->child, IKE_RESULT_REFUSED, error, in->now);
		return;
	}
	nonce_set(&nr, in->p->nonce);
	made = child_install(sa, &o, t->spi, true, (struct chunk){secret, len}, &t->nonce, &nr,
			     t->child, in->now);
	secret_wipe(secret, sizeof(secret));
	if (!made) {
		child_unwanted(sa, t->spi, t->conf);
		t->spi = 0;
		keep_old(t, in->now);
		tell(sa, t, t->child, IKE_RESULT_REFUSED, NOTIFY_NO_ADDITIONAL_SAS, in->now);
		return;
	}
	t->spi = 0;
	settle_rekey(sa, t, made, &nr, in->now);
	if (t->cancelled)
		ike_child_delete(made, in->now);
}

/* INVALID_KE_PAYLOAD: once more with the group asked for, if we have it. True: under way. */
static bool retry_group(struct ike_sa *sa, struct ike_task *t, const struct ike_notify_view *n,
			nsec_t now)
{
	uint16_t group = n->data.len == 2 ? get_be16(n->data.p) : 0;

	(void)sa;
	if (t->group || !proposals_have_group(&t->conf->proposals, group))
		return false;
	t->group = group;
	task_retry(t, now);
	return true;
}

/*
 * NO_PROPOSAL_CHOSEN to a key exchange: once more with our proposals that have none, if there are
 * any. IKE_AUTH cannot tell whether the peer wants one. True: under way.
 */
static bool retry_without_kex(struct ike_task *t, nsec_t now)
{
	if (!t->kex || !proposals_without_group(&t->conf->proposals))
		return false;
	t->no_kex = true;
	task_retry(t, now);
	return true;
}

/* CHILD_SA_NOT_FOUND (2.25): what we have is not there any more; make another, without REKEY_SA. */
static void not_found(struct ike_sa *sa, struct ike_task *t, nsec_t now)
{
	struct child_sa *old = t->child;
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
	ike_child_replace(old, t->late, now);
}

/* What the peer may answer otherwise another time. True: the task was put back. */
static bool retried(struct ike_sa *sa, struct ike_task *t, const struct ike_notify_view *n,
		    nsec_t now)
{
	if (n->type == NOTIFY_INVALID_KE_PAYLOAD)
		return retry_group(sa, t, n, now);
	if (n->type == NOTIFY_NO_PROPOSAL_CHOSEN)
		return retry_without_kex(t, now);
	if (n->type != NOTIFY_TEMPORARY_FAILURE || t->tries >= TEMPORARY_TRIES)
		return false;
	task_retry(t, now + (NSEC_PER_SEC << t->tries++));
	return true;
}

/* True when the task was put back and is not to be freed. */
static bool failed(struct ike_sa *sa, struct ike_task *t, const struct ike_notify_view *n,
		   nsec_t now)
{
	bool rekey = t->kind == &task_child_rekey;
	bool not_there = rekey && n->type == NOTIFY_CHILD_SA_NOT_FOUND;
	bool superseded = has_collided(t) || (rekey && (!t->child || t->child->successor));

	/* While it waits to be tried again the old one is still being rekeyed. */
	if (!not_there && !superseded && retried(sa, t, n, now))
		return true;
	keep_old(t, now);
	if (not_there) {
		not_found(sa, t, now);
		return false;
	}
	if (superseded) {
		tell(sa, t, t->child, IKE_RESULT_SUPERSEDED, n->type, now);
		return false;
	}
	log_peer(sa, now, LOG_LEVEL_WARNING, "%s: child %s: the peer refused CREATE_CHILD_SA: %s",
		 sa_label(sa), t->conf->name, ike_notify_name(n->type));
	tell(sa, t, t->child,
	     n->type == NOTIFY_TEMPORARY_FAILURE ? IKE_RESULT_TEMPORARY : IKE_RESULT_REFUSED,
	     n->type, now);
	return false;
}

static void child_on_response(struct ike_sa *sa, const struct ike_in *in)
{
	const struct ike_notify_view *error = ike_find_error(in->p);
	struct ike_task *t = exchange_done(sa);

	if (error && failed(sa, t, error, in->now))
		return;
	if (!error)
		complete(sa, t, in);
	task_free(t);
}

const struct task_kind task_child_create = {
	.exchange = IKE_CREATE_CHILD_SA,
	.states = 1 << IKE_STATE_ESTABLISHED,
	.can_wait = task_has_not_begun,
	.send = child_send,
	.on_response = child_on_response,
};
const struct task_kind task_child_rekey = {
	.exchange = IKE_CREATE_CHILD_SA,
	.rekeys = REKEYS_CHILD_SA,
	.states = 1 << IKE_STATE_ESTABLISHED,
	.can_wait = task_has_not_begun,
	.send = child_send,
	.on_response = child_on_response,
};
