/*
 * child_respond.c - responds to CREATE_CHILD_SA requests for CHILD SAs, new ones and rekeys (RFC
 * 7296 1.3.1, 1.3.3, 2.8.1, 2.25). SPDX-License-Identifier: ISC
 */
#include "sa/limits.h"
#include "task/exchanges.h"
#include "xalloc.h"

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

/*
 * Whether our outstanding request is for the same: a rekey of the same SA, or a new SA with the
 * same selectors.
 */
static bool collides(const struct child_task *t, const struct child_sa *old,
		     const struct child_sa *made)
{
	if (!t || t->task.child != old)
		return false;
	if (old)
		return t->task.kind == &task_child_rekey;
	return t->task.kind == &task_child_create && t->conf == made->conf &&
	       child_has_selectors(made, child_task_local(t), child_task_remote(t));
}

/* Notes what decides between our outstanding request and the peer's (2.8.1). */
static void note_collision(struct ike_sa *sa, const struct child_sa *old, struct child_sa *made,
			   const struct nonce *ni, const struct nonce *nr)
{
	struct child_task *t = child_task_of(sa->outstanding);

	if (!collides(t, old, made))
		return;
	t->collided = true;
	t->rival = made;
	t->rival_nonce = nonce_cmp(ni, nr) < 0 ? *ni : *nr;
}

/* All that is known: makes the CHILD SA. False: it was refused. */
static bool make(struct ike_sa *sa, struct followups *f, struct child_sa *old, nsec_t now)
{
	struct child_sa *earlier = old ? child_replacing(old) : NULL;
	struct child_sa *c = child_install(sa, &f->offer, f->spi_in, false, &f->secrets, &f->ni,
					   &f->nr, old, now);

	f->spi_in = 0; /* it has it, or it is released */
	if (!c)
		return false;
	/* The peer asks again, so it does not know what its first request made. */
	if (earlier && !earlier->confirmed)
		ike_child_void(old, earlier, now);
	note_collision(sa, old, c, &f->ni, &f->nr);
	if (old)
		child_replaced_by_peer(old, now);
	return true;
}

/* What the response and the CHILD SA are made of. Returns 0, or the error notify to send. */
static uint16_t begin_child(struct ike_sa *sa, const struct ike_in *in, const struct child_sa *old,
			    struct followups *f, struct kex **ret_kex)
{
	struct ike *ike = sa->ike;
	uint16_t group = f->choice.group;
	uint8_t secret[KEX_MAX_SECRET];
	size_t len = 0;

	nonce_set(&f->ni, in->p->nonce);
	f->nr.len = IKE_NONCE_LEN;
	rng_fill(ike->rng, f->nr.b, f->nr.len);
	*ret_kex = group ? kex_respond(group, in->p->ke.data, secret, &len) : NULL;
	if (group && !*ret_kex)
		return NOTIFY_INVALID_SYNTAX;
	kex_secrets_add(&f->secrets, (struct chunk){secret, len});
	secret_wipe(secret, sizeof(secret));
	f->old_spi = old ? old->spi_in : 0;
	f->spi_in = ike->ops.spi_reserve(ike->ops.ctx);
	return f->spi_in ? 0 : NOTIFY_NO_ADDITIONAL_SAS;
}

/* Makes the CHILD SA and responds; with additional key exchanges, it is made when they are over. */
static void accept(struct ike_sa *sa, const struct ike_in *in, struct child_sa *old,
		   const struct child_offer *o)
{
	struct followups *f = xzalloc(sizeof(*f));
	bool more = choice_addke(&o->choice, 0) != GROUP_NONE;
	uint8_t buf[IKE_MAX_MESSAGE], spi[4];
	struct kex *kex = NULL;
	struct ike_builder b;
	uint16_t error;

	f->offer = *o;
	f->choice = o->choice;
	error = begin_child(sa, in, old, f, &kex);
	put_be32(spi, f->spi_in);
	if (!error && !more && !make(sa, f, old, in->now))
		error = NOTIFY_NO_ADDITIONAL_SAS;
	if (error) {
		kex_free(kex);
		followups_free(sa->ike, f);
		refuse(sa, in, error);
		return;
	}
	ib_inside(&b, buf, sizeof(buf));
	choice_write(&b, &o->choice, (struct chunk){spi, 4});
	ib_payload(&b, PAYLOAD_NONCE, nonce_chunk(&f->nr));
	if (kex)
		ib_ke(&b, o->choice.group, kex_public(kex));
	child_write_ts(&b, &o->remote, &o->local);
	kex_free(kex);
	if (more)
		followup_expect(sa, f, &b, in->now);
	else
		followups_free(sa->ike, f);
	exchange_respond(sa, in->h, &b, in->local, in->remote, in->now);
}

/*
 * Whether the peer may rekey this SA now: 0, or the notify to send if not (2.25). A peer that asks
 * again, and has not used what its first rekey made, gets another SA. NULL: there is no such SA.
 */
static uint16_t rekey_error(const struct child_sa *old)
{
	const struct child_sa *made = old ? child_replacing(old) : NULL;

	if (!old)
		return NOTIFY_CHILD_SA_NOT_FOUND;
	if (old->state == CHILD_STATE_DELETING ||
	    (old->state == CHILD_STATE_REKEYED && (!made || made->confirmed)))
		return NOTIFY_TEMPORARY_FAILURE;
	return 0;
}

/* The limit is not below what is configured, unless there are to be none. */
static uint64_t children_max(const struct ike_sa *sa)
{
	unsigned max = sa->ike->set.children_max;

	return max ? max_u64(max, sa->conn->child_count) : 0;
}

/*
 * The peer's rekey of this SA was refused because of its selectors, as it would leave out traffic
 * that the SA carries: we rekey it with all of them, but once, as the peer may do the same again.
 */
static void rekey_instead(struct child_sa *old, nsec_t now)
{
	if (old->rekeyed_instead)
		return;
	old->rekeyed_instead = true;
	log_peer(old->ike_sa, now, LOG_LEVEL_WARNING,
		 "%s: child %s: a rekey of the peer's with other selectors is refused: we rekey it",
		 sa_label(old->ike_sa), old->conf->name);
	ike_child_rekey(old, 0, now);
}

/* During a rekey the old and the new one both exist. */
static bool has_enough_children(const struct ike_sa *sa, const struct child_sa *old)
{
	return sa->child_count >= children_max(sa) * (old ? 2 : 1);
}

/* The IKE SA is being deleted or rekeyed (2.25.2), or a test has set `busy`. */
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

	/* ESP goes to where the peer has moved only when it has answered from there. */
	if (is_busy(sa) || mobike_is_checking(sa)) {
		refuse(sa, in, NOTIFY_TEMPORARY_FAILURE);
		return;
	}
	if (n) {
		old = child_named(sa, n);
		error = rekey_error(old);
	}
	if (error == NOTIFY_CHILD_SA_NOT_FOUND) {
		refuse_not_found(sa, in, n->spi);
		return;
	}
	if (!error && has_enough_children(sa, old))
		error = NOTIFY_NO_ADDITIONAL_SAS;
	if (!error)
		error = child_negotiate(sa, in->p, true, old, &o, in->now);
	if (old && error == NOTIFY_TS_UNACCEPTABLE)
		rekey_instead(old, in->now);
	if (error == NOTIFY_INVALID_KE_PAYLOAD)
		refuse_group(sa, in, o.choice.group);
	else if (error)
		refuse(sa, in, error);
	else
		accept(sa, in, old, &o);
	if (!old && error == NOTIFY_TS_UNACCEPTABLE)
		refusal_of_selectors(sa, in->p, in->now);
	if (error == NOTIFY_NO_PROPOSAL_CHOSEN)
		refusal_of_peer(sa, "CREATE_CHILD_SA", o.conf, PROPOSAL_KEX, in->p->sa, in->now);
}

static struct child_sa *child_by_spi_in(const struct ike_sa *sa, uint32_t spi)
{
	struct child_sa *c;

	LIST_FOREACH (c, &sa->children, link) {
		if (c->spi_in == spi)
			return c;
	}
	return NULL;
}

/* All is looked at again that may have changed since the response to CREATE_CHILD_SA. */
uint16_t child_followed_up(struct ike_sa *sa, struct followups *f, nsec_t now)
{
	struct child_sa *old = f->old_spi ? child_by_spi_in(sa, f->old_spi) : NULL;
	uint16_t error = f->old_spi ? rekey_error(old) : 0;

	if (!error && is_busy(sa))
		error = NOTIFY_TEMPORARY_FAILURE;
	if (!error && has_enough_children(sa, old))
		error = NOTIFY_NO_ADDITIONAL_SAS;
	if (!error)
		error = child_admit(sa, &f->offer, false, old, now);
	if (!error && !make(sa, f, old, now))
		error = NOTIFY_NO_ADDITIONAL_SAS;
	return error;
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
		 "%s: child %s: the peer never used its rekey: discarding it", sa_label(c->ike_sa),
		 c->conf->name);
	ike_child_void(c, made, now);
}
