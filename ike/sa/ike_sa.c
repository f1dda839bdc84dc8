/* ike_sa.c - makes, finds and ends IKE SAs. SPDX-License-Identifier: ISC */
#include "sa/exchange.h"
#include "sa/index.h"
#include "sa/limits.h"
#include "sa/followups.h"
#include "xalloc.h"

#include <assert.h>

#include <stdio.h>

int nonce_cmp(const struct nonce *a, const struct nonce *b)
{
	size_t len = a->len < b->len ? a->len : b->len;
	int r = memcmp(a->b, b->b, len);

	return r ? r : (int)a->len - (int)b->len;
}

void nonce_set(struct nonce *n, struct chunk c)
{
	n->len = (uint16_t)c.len;
	memcpy(n->b, c.p, c.len);
}

struct chunk nonce_chunk(const struct nonce *n)
{
	return (struct chunk){n->b, n->len};
}

struct ike_sa *sa_find(struct ike *ike, uint64_t our_spi)
{
	struct ike_sa *sa;

	HASH_FIND(hh, ike->sas, &our_spi, sizeof(our_spi), sa);
	return sa;
}

uint64_t sa_new_spi(struct ike *ike)
{
	uint64_t spi;

	do {
		spi = rng_u64(ike->rng);
	} while (spi == 0 || sa_find(ike, spi));
	return spi;
}

void sa_set_spi(struct ike_sa *sa, uint64_t our_spi)
{
	struct ike *ike = sa->ike;

	HASH_DELETE(hh, ike->sas, sa);
	sa->our_spi = our_spi;
	HASH_ADD(hh, ike->sas, our_spi, sizeof(sa->our_spi), sa);
}

struct ike_sa *sa_new(struct ike *ike, const struct conn_conf *conn, bool initiator,
		      const struct endpoint *local, const struct endpoint *remote)
{
	struct ike_sa *sa = xzalloc(sizeof(*sa));

	sa->ike = ike;
	sa->initiator = initiator;
	sa->conn = conn_ref(conn);
	sa->local = *local;
	sa->remote = *remote;
	sa->our_spi = sa_new_spi(ike);
	*(initiator ? &sa->spi_i : &sa->spi_r) = sa->our_spi;
	sa->iv_mask = rng_u64(ike->rng);
	TAILQ_INIT(&sa->tasks);
	LIST_INIT(&sa->children);
	sa->window.retransmit.due = exchange_timeout;
	sa->window.late.due = exchange_late;
	sa->window.reassembly.due = reassembly_timeout;
	sa->dpd.due = ike->timers->dpd;
	sa->rekey.due = ike->timers->rekey;
	sa->expire.due = ike->timers->expire;
	sa->followup.due = ike->timers->followup;
	sa->keepalive.due = ike->timers->keepalive;
	HASH_ADD(hh, ike->sas, our_spi, sizeof(sa->our_spi), sa);
	addr_index_add(sa);
	return sa;
}

int sa_set_keys(struct ike_sa *sa)
{
	const struct ike_keys *k = &sa->keys;
	struct aead_key *i = aead_key_new(sa->choice.suite, k->sk_ei, k->sk_ai);
	struct aead_key *r = aead_key_new(sa->choice.suite, k->sk_er, k->sk_ar);

	sa->seal = sa->initiator ? i : r;
	sa->open = sa->initiator ? r : i;
	return i && r ? 0 : -EINVAL;
}

void sa_tell_keys(const struct ike_sa *sa)
{
	if (sa->ike->ops.keys)
		sa->ike->ops.keys(sa->ike->ops.ctx, sa, &sa->keys);
}

void sa_begin_handshake(struct ike_sa *sa)
{
	assert(!sa->handshake);
	sa->handshake = xzalloc(sizeof(*sa->handshake));
}

void sa_end_handshake(struct ike_sa *sa)
{
	struct handshake *hs = sa->handshake;

	if (!hs)
		return;
	free(hs->request);
	free(hs->response);
	kex_free(hs->kex);
	aead_key_free(hs->earlier_open);
	aead_key_free(hs->earlier_seal);
	if (hs->no_ppk_keys)
		secret_free(hs->no_ppk_keys, sizeof(*hs->no_ppk_keys));
	if (hs->eap) {
		eap_free(hs->eap->eap);
		free(hs->eap);
	}
	secret_free(hs, sizeof(*hs));
	sa->handshake = NULL;
}

void sa_keep_mapping(struct ike_sa *sa, nsec_t now)
{
	if (sa->we_natted && !deadline_is_set(&sa->keepalive))
		deadline_set(&sa->ike->deadlines, &sa->keepalive, now + sa->ike->set.keepalive / 2);
}

void sa_establish(struct ike_sa *sa, const char *how, nsec_t now)
{
	const struct conn_conf *conn = sa->conn;
	struct deadline_heap *h = &sa->ike->deadlines;

	sa_set_state(sa, IKE_STATE_ESTABLISHED);
	sa->established = sa->last_heard = now;
	if (!sa->called)
		sa->called = now;
	if (conn->rekey_time)
		deadline_set(h, &sa->rekey, now + rng_jittered(sa->ike->rng, conn->rekey_time));
	deadline_set(h, &sa->expire, conn->life_time ? now + conn->life_time : NSEC_NEVER);
	if (conn->dpd_delay)
		deadline_set(h, &sa->dpd, now + conn->dpd_delay);
	sa_keep_mapping(sa, now);
	log_peer(sa, now, LOG_LEVEL_INFO, "%s: IKE SA %016llx_i %016llx_r established, %s%s%s",
		 sa_label(sa), (unsigned long long)sa->spi_i, (unsigned long long)sa->spi_r, how,
		 *sa->ppk_id ? ", with the post-quantum key " : "", sa->ppk_id);
	sa->ike->ops.ike_event(sa->ike->ops.ctx, sa, IKE_EVENT_UP, NULL, how, now);
}

void sa_set_remote(struct ike_sa *sa, const struct endpoint *remote)
{
	bool moves = addr_cmp(&sa->remote.addr, &remote->addr) != 0;

	if (moves)
		addr_index_remove(sa);
	sa->remote = *remote;
	if (moves)
		addr_index_add(sa);
}

static void clear_deadlines(struct ike_sa *sa)
{
	struct deadline_heap *h = &sa->ike->deadlines;

	deadline_clear(h, &sa->window.retransmit);
	deadline_clear(h, &sa->window.late);
	deadline_clear(h, &sa->window.reassembly);
	deadline_clear(h, &sa->dpd);
	deadline_clear(h, &sa->rekey);
	deadline_clear(h, &sa->expire);
	deadline_clear(h, &sa->keepalive);
}

/*
 * Both sides were rekeying an IKE SA. If sa is what the peer's rekey made, the task of ours that
 * collided forgets it. If sa is the old one, and our rekey has no response yet, what the peer made
 * stays (RFC 7296 2.25.2).
 */
static void end_collision(struct ike_sa *sa, nsec_t now)
{
	struct ike_task *theirs = sa->rival_of ? sa->rival_of->outstanding : NULL,
			*t = sa->outstanding;

	if (theirs && theirs->kind->rival_ike_gone)
		theirs->kind->rival_ike_gone(theirs, sa);
	sa->rival_of = NULL;
	if (t && t->kind->sa_gone)
		t->kind->sa_gone(t, now);
}

void sa_kill(struct ike_sa *sa, const char *why, nsec_t now)
{
	struct ike *ike = sa->ike;

	if (sa->state == IKE_STATE_DEAD)
		return;
	end_collision(sa, now);
	if (sa->state == IKE_STATE_HALF_OPEN)
		half_remove(sa);
	sa_set_state(sa, IKE_STATE_DEAD);
	log_peer(sa, now, sa->established ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG,
		 "%s: IKE SA %016llx gone: %s", sa_label(sa), (unsigned long long)sa->our_spi, why);
	while (!LIST_EMPTY(&sa->children))
		child_kill(LIST_FIRST(&sa->children), why, now);
	ike->ops.ike_event(ike->ops.ctx, sa, IKE_EVENT_DOWN, NULL, why, now);
	followups_drop(sa);
	clear_deadlines(sa);
	HASH_DELETE(hh, ike->sas, sa);
	addr_index_remove(sa);
	sa->next_dead = ike->dead;
	ike->dead = sa;
}

void sa_fail(struct ike_sa *sa, enum ike_problem p, const char *why, nsec_t now)
{
	if (sa->state != IKE_STATE_DEAD)
		sa->ike->ops.problem(sa->ike->ops.ctx, sa, NULL, p, why, now);
	sa_kill(sa, why, now);
}

static void sa_free(struct ike_sa *sa)
{
	struct ike_task *t;

	if (sa->outstanding)
		task_free(exchange_done(sa));
	while ((t = TAILQ_FIRST(&sa->tasks))) {
		TAILQ_REMOVE(&sa->tasks, t, link);
		task_free(t);
	}
	sa_end_handshake(sa);
	aead_key_free(sa->seal);
	aead_key_free(sa->open);
	sent_clear(&sa->window.request);
	sent_clear(&sa->window.response);
	fragments_clear(&sa->window.request_parts);
	fragments_clear(&sa->window.response_parts);
	free(sa->config);
	conn_unref(sa->conn);
	proof_unref(sa->proof);
	secret_free(sa, sizeof(*sa));
}

void sa_reap(struct ike *ike)
{
	while (ike->dead) {
		struct ike_sa *sa = ike->dead;

		ike->dead = sa->next_dead;
		sa_free(sa);
	}
}
