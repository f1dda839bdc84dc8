/*
 * rekey_ike.c - CREATE_CHILD_SA that rekeys the IKE SA (RFC 7296 1.3.2, 2.8.2, 2.18, 2.25).
 * SPDX-License-Identifier: ISC
 *
 *   HDR, SK {SA, Ni, KEi}  -->
 *               <--  HDR, SK {SA, Nr, KEr}
 */
#include "sa/limits.h"
#include "task/exchanges.h"
#include "xalloc.h"

#define RETRY_AFTER    (5 * NSEC_PER_SEC)
#define REPLACED_LIMIT (30 * NSEC_PER_SEC) /* for the peer's DELETE of the SA that was replaced */

/* The task of task_ike_rekey. */
struct rekey_ike_task {
	struct ike_task task;
	uint16_t group; /* asked for by INVALID_KE_PAYLOAD; 0: that of the old IKE SA */
	/* of the attempt that is under way */
	struct kex *kex;
	struct nonce nonce;
	uint64_t spi;		     /* ours of the new IKE SA */
	struct followups *followups; /* owned; NULL: no response to CREATE_CHILD_SA yet */
	/* the peer's rekey of the same IKE SA, answered while ours was outstanding (2.8.2) */
	bool collided;
	struct nonce rival_nonce; /* the lower nonce of its exchange */
	struct ike_sa *rival;	  /* the IKE SA that it made; NULL: that has ended */
};

/* The whole task; NULL for NULL and for another kind of task. */
static struct rekey_ike_task *rekey_of(struct ike_task *t)
{
	return t && t->kind == &task_ike_rekey ? container_of(t, struct rekey_ike_task, task)
					       : NULL;
}

struct ike_sa *rekey_ike_rival(const struct ike_task *t)
{
	return t && t->kind == &task_ike_rekey
		       ? container_of(t, const struct rekey_ike_task, task)->rival
		       : NULL;
}

static void reset(struct ike_task *task)
{
	struct rekey_ike_task *t = rekey_of(task);

	kex_free(t->kex);
	t->kex = NULL;
	followups_free(task->ike_sa->ike, t->followups);
	t->followups = NULL;
	t->collided = false;
	if (t->rival)
		t->rival->rival_of = NULL;
	t->rival = NULL;
}

static void rival_ike_gone(struct ike_task *task, const struct ike_sa *rival)
{
	struct rekey_ike_task *t = rekey_of(task);

	if (t->rival == rival)
		t->rival = NULL;
}

/*
 * What a rekey offers and takes: the PRF stays. RFC 7296 2.18 allows another one, and then takes
 * the old one for SKEYSEED alone; strongSwan takes it for all keys, and the new IKE SA would be of
 * no use. Owned by the caller.
 */
static struct proposal_list rekey_proposals(const struct ike_sa *sa)
{
	return proposals_with_prf(&sa->conn->proposals, sa->choice.prf);
}

static void rekey_ike_send(struct ike_sa *sa, struct ike_task *task, nsec_t now)
{
	struct rekey_ike_task *t = rekey_of(task);
	uint16_t group = t->group ? t->group : sa->choice.group;
	uint8_t buf[IKE_MAX_MESSAGE], spi[8];
	struct proposal_list offer = rekey_proposals(sa);
	struct ike_builder b;

	t->spi = sa_new_spi(sa->ike);
	t->kex = kex_new(group);
	t->nonce.len = IKE_NONCE_LEN;
	rng_fill(sa->ike->rng, t->nonce.b, IKE_NONCE_LEN);
	put_be64(spi, t->spi);
	ib_inside(&b, buf, sizeof(buf));
	proposals_write(&b, &offer, (struct chunk){spi, 8}, PROPOSAL_KEX);
	proposals_free(&offer);
	ib_payload(&b, PAYLOAD_NONCE, nonce_chunk(&t->nonce));
	ib_ke(&b, group, kex_public(t->kex));
	exchange_send_request(sa, IKE_CREATE_CHILD_SA, &b, now);
}

/* The successor has the same peer at the same place, which also moves while it is being made. */
static void inherit_path(struct ike_sa *sa, const struct ike_sa *old, nsec_t now)
{
	sa->local = old->local;
	sa_set_remote(sa, &old->remote);
	sa->we_natted = old->we_natted;
	sa->peer_natted = old->peer_natted;
	sa->claims_nat = old->claims_nat;
	mobike_inherit(sa, old, now);
}

/* Makes the new IKE SA, with its keys. NULL: the keys cannot be made. */
static struct ike_sa *successor(struct ike_sa *old, bool initiator, uint64_t our_spi,
				const struct followups *f, const struct nonce *ni, nsec_t now)
{
	struct ike_sa *sa = sa_new(old->ike, old->conn, initiator, &old->local, &old->remote);
	const struct proposal_choice *choice = &f->choice;
	const struct nonce *nr = &f->nr;
	uint64_t peer_spi = choice->spi;
	uint8_t skeyseed[HASH_MAX_LEN];

	sa_set_spi(sa, our_spi);
	sa->spi_i = initiator ? sa->our_spi : peer_spi;
	sa->spi_r = initiator ? peer_spi : sa->our_spi;
	sa->choice = *choice;
	sa->peer_id = old->peer_id;
	memcpy(sa->ppk_id, old->ppk_id, sizeof(sa->ppk_id));
	sa->proof = old->proof ? proof_ref(old->proof) : NULL;
	sa->began = old->began;
	sa->called = old->called;
	sa->ha_peer = old->ha_peer;
	sa->fragments = old->fragments;
	sa->fragment_size = old->fragment_size;
	inherit_path(sa, old, now);
	sa->owner = old->owner;
	keymat_rekey_skeyseed(old->prf, old->keys.sk_d, &f->secrets, nonce_chunk(ni),
			      nonce_chunk(nr), skeyseed);
	if (!prf_hash(choice->prf, &sa->prf) ||
	    keymat_ike(sa->prf, choice->suite, (struct chunk){skeyseed, hash_len(old->prf)},
		       nonce_chunk(ni), nonce_chunk(nr), sa->spi_i, sa->spi_r, &sa->keys) < 0 ||
	    sa_set_keys(sa) < 0) {
		sa_kill(sa, "no keys", now);
		sa = NULL;
	}
	if (sa)
		sa_tell_keys(sa);
	secret_wipe(skeyseed, sizeof(skeyseed));
	return sa;
}

/*
 * Moves the children, and the waiting tasks that do not stay, to the successor, and ends the rekey.
 */
static void hand_over(struct ike_sa *from, struct ike_sa *to, nsec_t now)
{
	struct child_sa *c;
	struct ike_task *t, *next;

	/* Either side may have moved since the new one was made. */
	inherit_path(to, from, now);
	if (from->config) {
		free(to->config);
		to->config = from->config;
		from->config = NULL;
	}
	followups_drop(from);
	while ((c = LIST_FIRST(&from->children))) {
		LIST_REMOVE(c, link);
		from->child_count--;
		c->ike_sa = to;
		LIST_INSERT_HEAD(&to->children, c, link);
		to->child_count++;
	}
	for (t = TAILQ_FIRST(&from->tasks); t; t = next) {
		next = TAILQ_NEXT(t, link);
		if (t->kind->stays)
			continue;
		TAILQ_REMOVE(&from->tasks, t, link);
		t->ike_sa = to;
		TAILQ_INSERT_TAIL(&to->tasks, t, link);
	}
	sa_set_rekeyed(from);
	to->unresolved = false;
	to->rival_of = NULL;
	/* IKE_EVENT_ANSWERED is still to come: then by a response on the successor. */
	if (from->watch_answer && !from->outstanding) {
		from->watch_answer = false;
		to->watch_answer = true;
	}
	deadline_clear(&from->ike->deadlines, &from->rekey);
	deadline_clear(&from->ike->deadlines, &from->dpd);
	from->ike->ops.ike_event(from->ike->ops.ctx, from, IKE_EVENT_REKEYED, to, "rekeyed", now);
	/* Its deletion was asked for during its rekey: so the successor is deleted. */
	if (from->state == IKE_STATE_DELETING)
		ike_sa_delete(to, now);
	exchange_run(to, now);
}

/* ---- responder ---- */

static bool busy_with_children(const struct ike_sa *sa)
{
	const struct ike_task *t = sa->outstanding;

	return t && (t->kind == &task_child_create || t->kind == &task_child_rekey ||
		     t->kind == &task_child_delete);
}

/* Whether the peer may rekey it now (2.25.2). */
static bool may_be_rekeyed(const struct ike_sa *sa)
{
	const struct rekey_ike_task *ours = rekey_of(sa->outstanding);

	return sa->state == IKE_STATE_ESTABLISHED && !sa->unresolved && !busy_with_children(sa) &&
	       !(ours && ours->collided) && HASH_COUNT(sa->ike->sas) < sa->ike->set.sa_max &&
	       limit_may_rekey(sa);
}

uint16_t rekey_ike_followed_up(struct ike_sa *sa, struct followups *f, struct ike_sa **ret_made,
			       nsec_t now)
{
	if (!may_be_rekeyed(sa))
		return NOTIFY_TEMPORARY_FAILURE;
	*ret_made = successor(sa, false, f->ike_spi, f, &f->ni, now);
	return *ret_made ? 0 : NOTIFY_INVALID_SYNTAX;
}

void rekey_ike_responded(struct ike_sa *sa, struct followups *f, struct ike_sa *made, nsec_t now)
{
	struct rekey_ike_task *t = rekey_of(sa->outstanding);

	made->unresolved = t != NULL;
	sa_establish(made, "rekeyed by the peer", now);
	if (made->unresolved) {
		t->collided = true;
		t->rival = made;
		made->rival_of = sa;
		t->rival_nonce = nonce_cmp(&f->ni, &f->nr) < 0 ? f->ni : f->nr;
		return;
	}
	hand_over(sa, made, now);
	deadline_set(&sa->ike->deadlines, &sa->expire, now + REPLACED_LIMIT);
}

/* Our half of the key exchange, and all that the new IKE SA is made of; NULL: it is not valid. */
static struct kex *begin_rekey(struct ike_sa *sa, const struct ike_in *in, struct followups *f)
{
	uint8_t secret[KEX_MAX_SECRET];
	size_t len;
	struct kex *kex = kex_respond(f->choice.group, in->p->ke.data, secret, &len);

	f->rekeys_ike = true;
	f->ike_spi = sa_new_spi(sa->ike);
	nonce_set(&f->ni, in->p->nonce);
	f->nr.len = IKE_NONCE_LEN;
	rng_fill(sa->ike->rng, f->nr.b, f->nr.len);
	if (kex)
		kex_secrets_add(&f->secrets, (struct chunk){secret, len});
	secret_wipe(secret, sizeof(secret));
	return kex;
}

/*
 * Makes the new IKE SA and responds; with additional key exchanges, it is made when they are over.
 * The children move to it unless our own rekey collides with this one.
 */
static void accept(struct ike_sa *sa, const struct ike_in *in, const struct proposal_choice *choice)
{
	struct followups *f = xzalloc(sizeof(*f));
	bool more = choice_addke(choice, 0) != GROUP_NONE;
	uint8_t buf[IKE_MAX_MESSAGE], spi[8];
	struct ike_sa *made = NULL;
	struct ike_builder b;
	struct kex *kex;

	f->choice = *choice;
	kex = begin_rekey(sa, in, f);
	if (kex && !more)
		made = successor(sa, false, f->ike_spi, f, &f->ni, in->now);
	if (!kex || (!more && !made)) {
		kex_free(kex);
		followups_free(sa->ike, f);
		respond_notify(sa, in->h, NOTIFY_INVALID_SYNTAX, (struct chunk){0}, in->local,
			       in->remote, in->now);
		return;
	}
	put_be64(spi, f->ike_spi);
	ib_inside(&b, buf, sizeof(buf));
	choice_write(&b, choice, (struct chunk){spi, 8});
	ib_payload(&b, PAYLOAD_NONCE, nonce_chunk(&f->nr));
	ib_ke(&b, choice->group, kex_public(kex));
	kex_free(kex);
	if (more)
		followup_expect(sa, f, &b, in->now);
	exchange_respond(sa, in->h, &b, in->local, in->remote, in->now);
	if (more)
		return;
	rekey_ike_responded(sa, f, made, in->now);
	followups_free(made->ike, f);
}

/* Prefers the PRF of the IKE SA. A peer that offers only others gets one of those. */
static bool choose(const struct ike_sa *sa, const struct proposal_offer *offer, uint16_t group,
		   struct proposal_choice *ret)
{
	struct proposal_list same_prf = rekey_proposals(sa);
	bool found = proposals_choose(&same_prf, offer, true, group, ret) ||
		     proposals_choose(&sa->conn->proposals, offer, true, group, ret);

	proposals_free(&same_prf);
	return found && ret->spi != 0;
}

void rekey_ike_on_request(struct ike_sa *sa, const struct ike_in *in)
{
	struct proposal_offer offer;
	struct proposal_choice choice;
	uint8_t group[2];
	uint16_t error = 0;

	if (!may_be_rekeyed(sa))
		error = NOTIFY_TEMPORARY_FAILURE;
	else if (proposals_parse(in->p->sa, &offer) < 0)
		error = NOTIFY_INVALID_SYNTAX;
	else if (!choose(sa, &offer, in->p->ke.group, &choice))
		error = NOTIFY_NO_PROPOSAL_CHOSEN;
	if (error == NOTIFY_NO_PROPOSAL_CHOSEN)
		refusal_of_peer(sa, "CREATE_CHILD_SA", NULL, PROPOSAL_KEX, in->p->sa, in->now);
	if (error) {
		respond_notify(sa, in->h, error, (struct chunk){0}, in->local, in->remote, in->now);
	} else if (choice.group != in->p->ke.group) {
		put_be16(group, choice.group);
		respond_notify(sa, in->h, NOTIFY_INVALID_KE_PAYLOAD, (struct chunk){group, 2},
			       in->local, in->remote, in->now);
	} else {
		accept(sa, in, &choice);
	}
}

/* ---- initiator ---- */

/* The peer is told, unless it has told us. */
static void delete_sa(struct ike_sa *sa, nsec_t now)
{
	if (sa->deleted_by_peer) {
		sa_kill(sa, "replaced", now);
		return;
	}
	sa_set_state(sa, IKE_STATE_DELETING);
	task_add(sa, &task_ike_delete, true);
	exchange_run(sa, now);
}

/*
 * Our new IKE SA exists, and if the rekeys collided perhaps theirs: the one that the lowest of the
 * four nonces made is deleted by the side that asked for it (2.8.2).
 */
static void settle(struct ike_sa *sa, struct rekey_ike_task *t, struct ike_sa *made,
		   const struct nonce *nr, nsec_t now)
{
	const struct nonce *ours = nonce_cmp(&t->nonce, nr) < 0 ? &t->nonce : nr;

	sa_establish(made, "rekeyed", now);
	if (t->collided && nonce_cmp(ours, &t->rival_nonce) < 0 && t->rival) {
		hand_over(sa, t->rival, now);
		deadline_set(&sa->ike->deadlines, &sa->expire, now + REPLACED_LIMIT);
		delete_sa(made, now);
		return;
	}
	hand_over(sa, made, now);
	/* The peer deletes its own, if it ever learnt that it was made. */
	if (t->rival) {
		sa_set_rekeyed(t->rival);
		deadline_set(&sa->ike->deadlines, &t->rival->expire, now + REPLACED_LIMIT);
	}
	delete_sa(sa, now);
}

/* Our rekey made nothing: what the peer's made stays. */
static void lost(struct ike_sa *sa, struct rekey_ike_task *t, nsec_t now)
{
	if (!t->rival)
		return;
	hand_over(sa, t->rival, now);
	deadline_set(&sa->ike->deadlines, &sa->expire, now + REPLACED_LIMIT);
}

/* The old IKE SA ends: what the peer made stays (2.25.2). */
static void sa_gone(struct ike_task *task, nsec_t now)
{
	struct rekey_ike_task *t = rekey_of(task);

	lost(task->ike_sa, t, now);
	t->rival = NULL;
}

/* Whether the answer is part of what we offered; *ret is then the choice. */
static bool was_offered(const struct ike_sa *sa, const struct proposal_offer *answer,
			uint16_t group, struct proposal_choice *ret)
{
	struct proposal_list ours = rekey_proposals(sa);
	bool found = proposals_choose(&ours, answer, true, group, ret);

	proposals_free(&ours);
	return found;
}

/* The response to CREATE_CHILD_SA: checks it, and begins the additional key exchanges. */
static enum followup_step take_first(struct ike_sa *sa, struct rekey_ike_task *t,
				     const struct ike_in *in)
{
	enum followup_step step = FOLLOWUP_BAD;
	uint8_t secret[KEX_MAX_SECRET];
	struct proposal_offer answer;
	struct proposal_choice choice;
	size_t len;

	if (proposals_parse(in->p->sa, &answer) < 0 || answer.count != 1 ||
	    !was_offered(sa, &answer, in->p->ke.group, &choice) ||
	    choice.group != kex_group(t->kex) || in->p->ke.group != choice.group || choice.spi == 0)
		return FOLLOWUP_BAD;
	if (kex_derive(t->kex, in->p->ke.data, secret, &len) == 0)
		step = followup_next(sa, &t->task, &t->followups, in, &choice,
				     (struct chunk){secret, len});
	secret_wipe(secret, sizeof(secret));
	return step;
}

/* FOLLOWUP_NONE: it is made, and the collision, if there was one, decided. */
static enum followup_step complete(struct ike_sa *sa, struct rekey_ike_task *t,
				   const struct ike_in *in)
{
	enum followup_step step = t->followups ? followup_next(sa, &t->task, &t->followups, in,
							       NULL, (struct chunk){0})
					       : take_first(sa, t, in);
	struct ike_sa *made;

	if (step != FOLLOWUP_NONE)
		return step;
	made = successor(sa, true, t->spi, t->followups, &t->nonce, in->now);
	if (!made)
		return FOLLOWUP_BAD;
	if (t->rival)
		t->rival->rival_of = NULL;
	settle(sa, t, made, &t->followups->nr, in->now);
	return FOLLOWUP_NONE;
}

static bool asks_for_group(struct ike_sa *sa, struct rekey_ike_task *t,
			   const struct ike_notify_view *e)
{
	uint16_t group = e->data.len == 2 ? get_be16(e->data.p) : 0;

	if (e->type != NOTIFY_INVALID_KE_PAYLOAD || t->group ||
	    !proposals_have_group(&sa->conn->proposals, group))
		return false;
	t->group = group;
	return true;
}

static void tell_refusal(struct ike_sa *sa, nsec_t now)
{
	struct proposal_list ours = rekey_proposals(sa);

	refusal_by_peer(sa, "CREATE_CHILD_SA", NULL, &ours, PROPOSAL_KEX, now);
	proposals_free(&ours);
}

static void rekey_ike_on_response(struct ike_sa *sa, const struct ike_in *in)
{
	const struct ike_notify_view *e = ike_find_error(in->p);
	struct rekey_ike_task *t = rekey_of(exchange_done(sa));
	enum followup_step step = e ? FOLLOWUP_BAD : complete(sa, t, in);

	if (step == FOLLOWUP_SENT)
		return;
	if (step == FOLLOWUP_NONE) {
		task_free(&t->task);
		return;
	}
	if (t->rival) /* the collision is decided now */
		t->rival->rival_of = NULL;
	if (t->collided) {
		lost(sa, t, in->now);
	} else if (sa->deleted_by_peer) {
		sa_kill(sa, "deleted by the peer", in->now);
	} else if (e && asks_for_group(sa, t, e)) {
		task_retry(&t->task, in->now);
		return;
	} else if (e &&
		   (e->type == NOTIFY_TEMPORARY_FAILURE || e->type == NOTIFY_STATE_NOT_FOUND)) {
		/* The peer is rekeying the IKE SA or one of its children, which ends soon. */
		task_retry(&t->task, in->now + rng_jittered(sa->ike->rng, RETRY_AFTER));
		return;
	} else {
		if (e && e->type == NOTIFY_NO_PROPOSAL_CHOSEN)
			tell_refusal(sa, in->now);
		log_peer(sa, in->now, LOG_LEVEL_WARNING, "%s: rekey of the IKE SA failed: %s",
			 sa_label(sa),
			 e ? ike_notify_name(e->type) : "the response does not match our offer");
		deadline_set(&sa->ike->deadlines, &sa->rekey, in->now + 60 * NSEC_PER_SEC);
	}
	task_free(&t->task);
}

const struct task_kind task_ike_rekey = {
	.exchange = IKE_CREATE_CHILD_SA,
	.states = 1 << IKE_STATE_ESTABLISHED,
	.stays = true,
	.rekeys = REKEYS_IKE_SA,
	.can_wait = task_has_not_begun,
	.send = rekey_ike_send,
	.on_response = rekey_ike_on_response,
	.size = sizeof(struct rekey_ike_task),
	.reset = reset,
	.rival_ike_gone = rival_ike_gone,
	.sa_gone = sa_gone,
};
