/*
 * intermediate.c - IKE_INTERMEDIATE with additional key exchanges (RFC 9242, RFC 9370 2.2.2).
 * SPDX-License-Identifier: ISC
 *
 *   HDR(A,B), SK {KEi(n)}  -->
 *                <--  HDR(A,B), SK {KEr(n)}
 *
 * One exchange for each additional key exchange that IKE_SA_INIT agreed on, before IKE_AUTH. Each
 * is protected by the keys before it, and gives the keys after it. AUTH covers all these messages.
 */
#include "sa/half_open.h"
#include "sa/limits.h"
#include "task/exchanges.h"
#include "xalloc.h"

#include <stdio.h>

unsigned intermediate_left(const struct ike_sa *sa)
{
	unsigned n = sa->handshake->addke_done;

	while (choice_addke(&sa->choice, n))
		n++;
	return n - sa->handshake->addke_done;
}

/*
 * Adds a message to IntAuth (RFC 9242 3.3.1): its header and the one of SK, with the lengths that
 * they would have without IV, padding and ICV, and the payloads inside, `first` being the type of
 * the first one. So it does not matter whether the message was fragmented (3.3.2).
 */
static void intauth_add(struct ike_sa *sa, bool from_initiator, const struct ike_header *h,
			uint8_t first, struct chunk inside)
{
	struct handshake *hs = sa->handshake;
	size_t len = hash_len(sa->prf);
	uint8_t *own = from_initiator ? hs->intauth : hs->intauth + len;
	uint8_t head[IKE_HEADER_LEN + 4];
	const struct chunk parts[] = {
		{own, hs->addke_done ? len : 0}, {head, sizeof(head)}, inside};
	struct ike_builder b;

	ib_message(&b, head, sizeof(head), h);
	ib_open(&b, PAYLOAD_SK);
	head[IKE_HEADER_LEN] = first;
	put_be16(head + IKE_HEADER_LEN + 2, (uint16_t)(4 + inside.len));
	put_be32(head + 24, (uint32_t)(sizeof(head) + inside.len));
	prf_compute(sa->prf, (struct chunk){from_initiator ? sa->keys.sk_pi : sa->keys.sk_pr, len},
		    parts, ARRAY_SIZE(parts), own);
	put_be32(hs->intauth + 2 * len, h->message_id + 1);
	hs->intauth_len = (uint8_t)(2 * len + 4);
}

/* Changes to the keys after the exchange with this ID, which gave this secret (RFC 9370 2.2.2). */
static int next_keys(struct ike_sa *sa, uint32_t id, struct chunk secret)
{
	struct handshake *hs = sa->handshake;
	struct chunk ni = nonce_chunk(&hs->ni), nr = nonce_chunk(&hs->nr);
	uint8_t skeyseed[HASH_MAX_LEN];
	int r;

	keymat_next_skeyseed(sa->prf, sa->keys.sk_d, secret, ni, nr, skeyseed);
	r = keymat_ike(sa->prf, sa->choice.suite, (struct chunk){skeyseed, hash_len(sa->prf)}, ni,
		       nr, sa->spi_i, sa->spi_r, &sa->keys);
	secret_wipe(skeyseed, sizeof(skeyseed));
	aead_key_free(hs->earlier_open);
	aead_key_free(hs->earlier_seal);
	hs->earlier_open = sa->open;
	hs->earlier_seal = sa->seal;
	hs->earlier_id = id;
	sa->seal = sa->open = NULL;
	hs->addke_done++;
	if (r == 0)
		r = sa_set_keys(sa);
	if (r == 0)
		sa_tell_keys(sa);
	return r;
}

/* ---- initiator ---- */

static void intermediate_send(struct ike_sa *sa, struct ike_task *t, nsec_t now)
{
	struct handshake *hs = sa->handshake;
	const struct ike_header h = {.spi_i = sa->spi_i,
				     .spi_r = sa->spi_r,
				     .exchange = IKE_INTERMEDIATE,
				     .flags = IKE_FLAG_INITIATOR,
				     .message_id = sa->window.next_id};
	uint16_t group = choice_addke(&sa->choice, hs->addke_done);
	uint8_t buf[IKE_MAX_MESSAGE];
	struct ike_builder b;

	(void)t;
	kex_free(hs->kex);
	hs->kex = kex_new(group);
	if (!hs->kex) {
		sa_fail(sa, IKE_PROBLEM_UNUSABLE, "no key for an additional key exchange", now);
		return;
	}
	ib_inside(&b, buf, sizeof(buf));
	ib_ke(&b, group, kex_public(hs->kex));
	intauth_add(sa, true, &h, b.first, (struct chunk){buf, b.w.len});
	exchange_send_request(sa, IKE_INTERMEDIATE, &b, now);
}

static void intermediate_on_response(struct ike_sa *sa, const struct ike_in *in)
{
	const struct ike_notify_view *error = ike_find_error(in->p);
	struct handshake *hs = sa->handshake;
	uint8_t secret[KEX_MAX_SECRET];
	char why[160];
	size_t len;
	int r;

	if (error) {
		snprintf(why, sizeof(why), "the peer refused IKE_INTERMEDIATE: %s",
			 ike_notify_name(error->type));
		sa_fail(sa, IKE_PROBLEM_REFUSED, why, in->now);
		return;
	}
	r = in->p->ke.group == kex_group(hs->kex) ? 0 : -EINVAL;
	if (r == 0)
		r = kex_derive(hs->kex, in->p->ke.data, secret, &len);
	if (r == 0) {
		intauth_add(sa, false, in->h, in->first, in->text);
		r = next_keys(sa, in->h->message_id, (struct chunk){secret, len});
	}
	secret_wipe(secret, sizeof(secret));
	if (r < 0) {
		sa_fail(sa, IKE_PROBLEM_UNUSABLE,
			"an additional key exchange value that is not valid", in->now);
		return;
	}
	task_free(exchange_done(sa));
	if (intermediate_left(sa))
		task_add(sa, &task_intermediate, true);
}

/* ---- responder ---- */

void intermediate_refused(struct ike_sa *sa, const struct ike_in *in)
{
	limit_guessed(sa->ike, &in->remote->addr, in->now);
	log_outsider(sa->ike->log, in->now, LOG_LEVEL_WARNING,
		     "%s: IKE_INTERMEDIATE that is not valid", sa_label(sa));
	sa_kill(sa, "an IKE_INTERMEDIATE exchange that is not valid", in->now);
}

static void respond(struct ike_sa *sa, const struct ike_in *in, const struct kex *kex)
{
	struct ike_header h = *in->h;
	uint8_t buf[IKE_MAX_MESSAGE];
	struct ike_builder b;

	h.flags = IKE_FLAG_RESPONSE;
	ib_inside(&b, buf, sizeof(buf));
	ib_ke(&b, kex_group(kex), kex_public(kex));
	intauth_add(sa, true, in->h, in->first, in->text);
	intauth_add(sa, false, &h, b.first, (struct chunk){buf, b.w.len});
	exchange_respond(sa, in->h, &b, in->local, in->remote, in->now);
}

void intermediate_on_request(struct ike_sa *sa, const struct ike_in *in)
{
	uint16_t group = choice_addke(&sa->choice, sa->handshake->addke_done);
	uint8_t secret[KEX_MAX_SECRET];
	struct kex *kex = NULL;
	size_t len;

	if (in->p->ke.group == group)
		kex = kex_respond(group, in->p->ke.data, secret, &len);
	if (!kex) {
		respond_notify(sa, in->h, NOTIFY_INVALID_SYNTAX, (struct chunk){0}, in->local,
			       in->remote, in->now);
		intermediate_refused(sa, in);
		return;
	}
	respond(sa, in, kex);
	kex_free(kex);
	if (next_keys(sa, in->h->message_id, (struct chunk){secret, len}) < 0)
		sa_kill(sa, "no keys", in->now);
	secret_wipe(secret, sizeof(secret));
}

const struct task_kind task_intermediate = {
	.exchange = IKE_INTERMEDIATE,
	.states = 1 << IKE_STATE_AUTH_SENT,
	.send = intermediate_send,
	.on_response = intermediate_on_response,
	.size = sizeof(struct ike_task),
};
