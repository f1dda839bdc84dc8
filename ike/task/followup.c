/*
 * followup.c - IKE_FOLLOWUP_KE: additional key exchanges after CREATE_CHILD_SA (RFC 9370 2.2.4).
 * SPDX-License-Identifier: ISC
 *
 *   (CREATE_CHILD_SA)  <--  HDR, SK {SA, Nr, KEr, ..., N(ADDITIONAL_KEY_EXCHANGE)}
 *   HDR, SK {KEi(1), N(ADDITIONAL_KEY_EXCHANGE)}  -->
 *                      <--  HDR, SK {KEr(1), N(ADDITIONAL_KEY_EXCHANGE)}
 *   HDR, SK {KEi(n), N(ADDITIONAL_KEY_EXCHANGE)}  -->
 *                      <--  HDR, SK {KEr(n)}
 *
 * The notify is the responder's, which finds its state by it. The new SA is made when the last
 * exchange is over, on both sides: so whatever happens before, there is no SA that only one side
 * has, and a collision of two rekeys is noted when the peer's SA is made, as without additional key
 * exchanges.
 */
#include "sa/limits.h"
#include "task/exchanges.h"
#include "xalloc.h"

#define FOLLOWUP_WAIT (30 * NSEC_PER_SEC) /* for the next request of the peer */

/* ---- initiator ---- */

static bool take_answer(struct followups *f, const struct ike_in *in)
{
	uint8_t secret[KEX_MAX_SECRET];
	size_t len;
	bool good = in->p->ke.group == kex_group(f->kex) &&
		    kex_derive(f->kex, in->p->ke.data, secret, &len) == 0;

	if (good)
		kex_secrets_add(&f->secrets, (struct chunk){secret, len});
	secret_wipe(secret, sizeof(secret));
	f->done++;
	return good;
}

/* The peer's N(ADDITIONAL_KEY_EXCHANGE), which the next request has to have. */
static bool take_link(struct followups *f, const struct ike_in *in)
{
	const struct ike_notify_view *n = ike_find_notify(in->p, NOTIFY_ADDITIONAL_KEY_EXCHANGE);

	if (!n || n->data.len > LINK_MAX)
		return false;
	f->link_len = (uint8_t)n->data.len;
	memcpy(f->link, n->data.p, n->data.len);
	return true;
}

static void write_link(struct ike_builder *b, const struct followups *f)
{
	ib_notify(b, PROTOCOL_NONE, (struct chunk){0}, NOTIFY_ADDITIONAL_KEY_EXCHANGE,
		  (struct chunk){f->link, f->link_len});
}

static void send_next(struct ike_sa *sa, const struct followups *f, nsec_t now)
{
	uint8_t buf[IKE_MAX_MESSAGE];
	struct ike_builder b;

	ib_inside(&b, buf, sizeof(buf));
	ib_ke(&b, kex_group(f->kex), kex_public(f->kex));
	write_link(&b, f);
	exchange_send_request(sa, IKE_FOLLOWUP_KE, &b, now);
}

enum followup_step followup_next(struct ike_sa *sa, struct ike_task *t, struct followups **ret,
				 const struct ike_in *in, const struct proposal_choice *choice,
				 struct chunk first)
{
	struct followups *f = *ret;

	if (!f) {
		f = *ret = xzalloc(sizeof(*f));
		f->choice = *choice;
		nonce_set(&f->nr, in->p->nonce);
		kex_secrets_add(&f->secrets, first);
	} else if (!take_answer(f, in)) {
		return FOLLOWUP_BAD;
	}
	if (!choice_addke(&f->choice, f->done))
		return FOLLOWUP_NONE;
	kex_free(f->kex);
	f->kex = kex_new(choice_addke(&f->choice, f->done));
	if (!f->kex || !take_link(f, in))
		return FOLLOWUP_BAD;
	sa->outstanding = t;
	send_next(sa, f, in->now);
	return FOLLOWUP_SENT;
}

/* ---- responder ---- */

static void new_link(struct ike_sa *sa, struct followups *f, nsec_t now)
{
	f->link_len = LINK_LEN;
	rng_fill(sa->ike->rng, f->link, LINK_LEN);
	deadline_set(&sa->ike->deadlines, &sa->followup, now + FOLLOWUP_WAIT);
}

void followup_expect(struct ike_sa *sa, struct followups *f, struct ike_builder *b, nsec_t now)
{
	followups_drop(sa);
	sa->followups = f;
	new_link(sa, f, now);
	write_link(b, f);
}

void followup_late(struct deadline *d, nsec_t now)
{
	struct ike_sa *sa = container_of(d, struct ike_sa, followup);

	log_peer(sa, now, LOG_LEVEL_INFO,
		 "%s: the peer does not go on with its additional key exchanges", sa_label(sa));
	followups_drop(sa);
}

static bool is_linked(const struct followups *f, const struct ike_in *in)
{
	const struct ike_notify_view *n = ike_find_notify(in->p, NOTIFY_ADDITIONAL_KEY_EXCHANGE);

	return f && n && n->data.len == f->link_len &&
	       crypto_equal(n->data.p, f->link, f->link_len);
}

/* Our half of the next key exchange, whose secret is added; NULL: the peer's value is not valid. */
static struct kex *take_request(struct followups *f, const struct ike_in *in)
{
	uint16_t group = choice_addke(&f->choice, f->done);
	uint8_t secret[KEX_MAX_SECRET];
	struct kex *kex = NULL;
	size_t len;

	if (in->p->ke.group == group)
		kex = kex_respond(group, in->p->ke.data, secret, &len);
	if (kex) {
		kex_secrets_add(&f->secrets, (struct chunk){secret, len});
		f->done++;
	}
	secret_wipe(secret, sizeof(secret));
	return kex;
}

/* more: the exchange that is to follow; NULL: this was the last one. */
static void respond(struct ike_sa *sa, const struct ike_in *in, const struct kex *kex,
		    const struct followups *more)
{
	uint8_t buf[IKE_MAX_MESSAGE];
	struct ike_builder b;

	ib_inside(&b, buf, sizeof(buf));
	ib_ke(&b, kex_group(kex), kex_public(kex));
	if (more)
		write_link(&b, more);
	exchange_respond(sa, in->h, &b, in->local, in->remote, in->now);
}

static void refuse(struct ike_sa *sa, const struct ike_in *in, uint16_t error)
{
	log_peer(sa, in->now, LOG_LEVEL_INFO, "%s: IKE_FOLLOWUP_KE of the peer refused: %s",
		 sa_label(sa), ike_notify_name(error));
	respond_notify(sa, in->h, error, (struct chunk){0}, in->local, in->remote, in->now);
}

/* The last key exchange is over: makes the SA and responds. */
static void finish(struct ike_sa *sa, const struct ike_in *in, const struct kex *kex)
{
	struct followups *f = followups_take(sa);
	struct ike_sa *made = NULL;
	uint16_t error = f->rekeys_ike ? rekey_ike_followed_up(sa, f, &made, in->now)
				       : child_followed_up(sa, f, in->now);

	if (error)
		refuse(sa, in, error);
	else
		respond(sa, in, kex, NULL);
	if (made)
		rekey_ike_responded(sa, f, made, in->now);
	followups_free(sa->ike, f);
}

void followup_on_request(struct ike_sa *sa, const struct ike_in *in)
{
	struct followups *f = sa->followups;
	struct kex *kex;

	if (!is_linked(f, in)) {
		refuse(sa, in, NOTIFY_STATE_NOT_FOUND);
		return;
	}
	kex = take_request(f, in);
	if (!kex) {
		followups_drop(sa);
		refuse(sa, in, NOTIFY_INVALID_SYNTAX);
		return;
	}
	if (choice_addke(&f->choice, f->done)) {
		new_link(sa, f, in->now);
		respond(sa, in, kex, f);
	} else {
		finish(sa, in, kex);
	}
	kex_free(kex);
}
