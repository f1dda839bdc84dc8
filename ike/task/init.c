/*
 * init.c - IKE_SA_INIT (RFC 7296 1.2, 2.6, 2.7). SPDX-License-Identifier: ISC
 *
 *   HDR(A,0), [N(COOKIE)], SAi1, KEi, Ni, N(NATD_S), N(NATD_D)  -->
 *        <--  HDR(A,0), N(COOKIE)                     (ask again with it)
 *        <--  HDR(A,0), N(INVALID_KE_PAYLOAD)         (ask again with that group)
 *        <--  HDR(A,B), SAr1, KEr, Nr, N(NATD_S), N(NATD_D)
 */
#include "sa/half_open.h"
#include "sa/limits.h"
#include "sa/trace.h"
#include "task/exchanges.h"
#include "xalloc.h"

#include <stdio.h>

#define AUTH_LEAST	(10 * NSEC_PER_SEC) /* so that IKE_AUTH can be sent several times */
#define INIT_ROUNDS_MAX 5 /* cookies and groups that we follow; more are ignored */

static struct chunk none(void)
{
	return (struct chunk){0};
}

/* Whether either side of the connection authenticates by signatures. */
static bool has_signatures(const struct conn_conf *c)
{
	return c->auth.local == AUTH_KIND_PUBKEY || c->auth.remote == AUTH_KIND_PUBKEY;
}

static void write_intermediate(struct ike_builder *b)
{
	ib_notify(b, PROTOCOL_NONE, none(), NOTIFY_INTERMEDIATE_EXCHANGE_SUPPORTED, none());
}

/* Reads the proposals; additional key exchanges need N(INTERMEDIATE_EXCHANGE_SUPPORTED) of both. */
static int read_proposals(const struct ike_payloads *p, struct proposal_offer *ret)
{
	int r = proposals_parse(p->sa, ret);

	ret->no_addke = !ike_find_notify(p, NOTIFY_INTERMEDIATE_EXCHANGE_SUPPORTED);
	return r;
}

static void init_send(struct ike_sa *sa, struct ike_task *t, nsec_t now)
{
	struct handshake *hs = sa->handshake;
	struct ike_header h = {
		.spi_i = sa->spi_i, .exchange = IKE_SA_INIT, .flags = IKE_FLAG_INITIATOR};
	uint16_t group = hs->group ? hs->group : proposals_first_group(&sa->conn->proposals);
	uint8_t msg[IKE_MAX_MESSAGE];
	struct ike_builder b;
	size_t len;

	(void)t;
	if (!hs->kex || kex_group(hs->kex) != group) {
		kex_free(hs->kex);
		hs->kex = kex_new(group);
	}
	if (!hs->ni.len) {
		hs->ni.len = IKE_NONCE_LEN;
		rng_fill(sa->ike->rng, hs->ni.b, IKE_NONCE_LEN);
	}
	ib_message(&b, msg, sizeof(msg), &h);
	if (hs->cookie_len)
		ib_notify(&b, PROTOCOL_NONE, none(), NOTIFY_COOKIE,
			  (struct chunk){hs->cookie, hs->cookie_len});
	proposals_write(&b, &sa->conn->proposals, none(), PROPOSAL_KEX);
	ib_ke(&b, group, kex_public(hs->kex));
	ib_payload(&b, PAYLOAD_NONCE, nonce_chunk(&hs->ni));
	ppk_write_use(&b, sa);
	if (proposals_have_addke(&sa->conn->proposals))
		write_intermediate(&b);
	nat_write(&b, sa, &sa->local, &sa->remote);
	fragmentation_write(&b, sa);
	if (has_signatures(sa->conn))
		hashes_write(&b, sa);
	len = ib_finish(&b);
	free(hs->request);
	hs->request = xmemdup(msg, len);
	hs->request_len = len;
	sa->window.next_id = 1;
	exchange_send_plain(sa, msg, len, now);
}

static bool init_is_refused(const struct ike_sa *sa)
{
	return sa->handshake->error != 0;
}

static void init_end_refused(struct ike_sa *sa, nsec_t now)
{
	struct handshake *hs = sa->handshake;
	char why[96];

	snprintf(why, sizeof(why),
		 hs->error == NOTIFY_INVALID_MAJOR_VERSION
			 ? "the peer has no IKEv2: it answers in an older version (%s)"
		 : hs->unusable ? "the response to IKE_SA_INIT cannot be accepted: %s"
				: "the peer refused IKE_SA_INIT: %s",
		 ike_notify_name(hs->error));
	if (hs->unusable) {
		sa_fail(sa, IKE_PROBLEM_UNUSABLE, why, now);
	} else if (hs->error == NOTIFY_NO_PROPOSAL_CHOSEN) {
		refusal_by_peer(sa, "IKE_SA_INIT", NULL, &sa->conn->proposals, PROPOSAL_KEX, now);
		sa_kill(sa, why, now);
	} else {
		sa_fail(sa, IKE_PROBLEM_INIT_REFUSED, why, now);
	}
}

/*
 * A response that leads nowhere. Anyone can send one, so it only shortens the wait for a better
 * one; the first reason is kept.
 */
static void unusable(struct ike_sa *sa, uint16_t why)
{
	if (sa->handshake->error)
		return;
	sa->handshake->error = why;
	sa->handshake->unusable = true;
}

void init_on_bad_response(struct ike *ike, const struct ike_in *in)
{
	struct ike_sa *sa = sa_find(ike, in->h->spi_i);

	if (sa && sa->state == IKE_STATE_INIT_SENT && sa->outstanding)
		unusable(sa, in->p->unknown_critical ? NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD
						     : NOTIFY_INVALID_SYNTAX);
}

void init_on_old_version(struct ike *ike, const struct ike_header *h)
{
	struct ike_sa *sa = sa_find(ike, h->spi_i);

	if (sa && sa->state == IKE_STATE_INIT_SENT && sa->outstanding)
		unusable(sa, NOTIFY_INVALID_MAJOR_VERSION);
}

/* Derives SKEYSEED and all SK_*, on either side; ke: the peer's public value. */
static int derive(struct ike_sa *sa, struct chunk ke)
{
	struct handshake *hs = sa->handshake;
	uint8_t secret[KEX_MAX_SECRET], skeyseed[HASH_MAX_LEN];
	struct chunk ni = nonce_chunk(&hs->ni), nr = nonce_chunk(&hs->nr);
	size_t len;
	int r = kex_derive(hs->kex, ke, secret, &len);

	if (r == 0) {
		keymat_skeyseed(sa->prf, ni, nr, (struct chunk){secret, len}, skeyseed);
		r = keymat_ike(sa->prf, sa->choice.suite,
			       (struct chunk){skeyseed, hash_len(sa->prf)}, ni, nr, sa->spi_i,
			       sa->spi_r, &sa->keys);
	}
	if (r == 0)
		r = sa_set_keys(sa);
	/* Of a caller, only when it has shown by SK that it has them too. */
	if (r == 0 && sa->initiator)
		sa_tell_keys(sa);
	secret_wipe(secret, sizeof(secret));
	secret_wipe(skeyseed, sizeof(skeyseed));
	return r;
}

/*
 * A cookie is asked for while several copies of the request are on their way. Under changing load a
 * peer may accept another copy without one; with the cookie, the request would not be what AUTH has
 * to cover then, and the right secret would be refused. So the attempt begins anew, with an SPI
 * that late answers do not have, and with more time for the answer to the first copy.
 */
static void begin_anew(struct ike_sa *sa)
{
	struct handshake *hs = sa->handshake;

	sa_set_spi(sa, sa_new_spi(sa->ike));
	sa->spi_i = sa->our_spi;
	hs->ni.len = 0;
	hs->cookie_len = 0;
	sa->window.slow++;
}

/* COOKIE or INVALID_KE_PAYLOAD: sends the request again as asked. Both may come in turn (2.6.1). */
static bool ask_again(struct ike_sa *sa, const struct ike_in *in)
{
	struct handshake *hs = sa->handshake;
	const struct ike_notify_view *cookie = ike_find_notify(in->p, NOTIFY_COOKIE);
	const struct ike_notify_view *ke = ike_find_notify(in->p, NOTIFY_INVALID_KE_PAYLOAD);
	uint16_t group;

	if (!cookie && !ke)
		return false;
	if (hs->rounds >= INIT_ROUNDS_MAX) {
		/* An outsider may have sent all of them. */
		unusable(sa, cookie ? NOTIFY_COOKIE : NOTIFY_INVALID_KE_PAYLOAD);
		return true;
	}
	if (cookie) {
		if (cookie->data.len == 0 || cookie->data.len > IKE_COOKIE_MAX) {
			unusable(sa, NOTIFY_COOKIE);
			return true;
		}
		memcpy(hs->cookie, cookie->data.p, cookie->data.len);
		hs->cookie_len = (uint8_t)cookie->data.len;
	} else {
		group = ke->data.len == 2 ? get_be16(ke->data.p) : 0;
		if (!proposals_have_group(&sa->conn->proposals, group)) {
			unusable(sa, NOTIFY_INVALID_KE_PAYLOAD);
			return true;
		}
		hs->group = group;
	}
	hs->rounds++;
	if (cookie && sa->window.sends > 1)
		begin_anew(sa);
	init_send(sa, sa->outstanding, in->now);
	return true;
}

static bool is_nonce(const struct nonce *n, struct chunk c)
{
	return n->len == c.len && memcmp(n->b, c.p, c.len) == 0;
}

static void float_port(struct ike_sa *sa)
{
	/*
	 * Where ESP needs no UDP, IKE stays where it is: a firewall may pass port 500 alone. With
	 * MOBIKE a NAT may come later, and IKE goes where its mapping will be (RFC 4555 3.3).
	 */
	if (!ike_sa_in_udp(sa) && (!sa->conn->mobike || sa->conn->encap == ENCAP_NO))
		return;
	/* UDP encapsulation uses port 4500 (2.23, RFC 3948 4); a configured port stays. */
	if (sa->remote.port == IKE_PORT)
		sa->remote.port = IKE_PORT_NATT;
	if (sa->local.port == IKE_PORT)
		sa->local.port = IKE_PORT_NATT;
}

/*
 * When an unanswered IKE_AUTH is given up. A peer that answered IKE_SA_INIT keeps its half-open SA
 * for a limited time, and IKE_AUTH does not reach it later. Or the peer has the IKE SA and its
 * responses are lost: then our next attempt replaces this one.
 */
static nsec_t auth_until(const struct ike_sa *sa, nsec_t now)
{
	return max_u64(sa->window.request_since + sa->ike->set.half_open_timeout, now + AUTH_LEAST);
}

static void init_on_response(struct ike_sa *sa, const struct ike_in *in)
{
	struct handshake *hs = sa->handshake;
	const struct ike_payloads *p = in->p;
	struct proposal_offer answer;
	const struct ike_notify_view *error;

	if (ask_again(sa, in))
		return;
	error = ike_find_error(p);
	if (error) {
		/* Anyone can send this, so it only shortens the wait for a better response. */
		hs->error = error->type;
		hs->unusable = false;
		return;
	}
	if (read_proposals(p, &answer) < 0 || answer.count != 1 || is_nonce(&hs->ni, p->nonce) ||
	    in->h->spi_r == 0) {
		unusable(sa, NOTIFY_INVALID_SYNTAX);
		return;
	}
	if (!proposals_choose(&sa->conn->proposals, &answer, true, p->ke.group, &sa->choice) ||
	    sa->choice.group != p->ke.group || kex_group(hs->kex) != p->ke.group ||
	    !prf_hash(sa->choice.prf, &sa->prf)) {
		unusable(sa, NOTIFY_NO_PROPOSAL_CHOSEN);
		return;
	}
	sa->spi_r = in->h->spi_r;
	nonce_set(&hs->nr, p->nonce);
	ppk_read_use(sa, p);
	nat_read(sa, p, sa->spi_i, sa->spi_r, in->local, in->remote);
	childless_read_supported(sa, p);
	fragmentation_read(sa, p);
	hs->peer_hashes = 0;
	hashes_read(sa, p);
	hs->asks_raw = certreq_asks_raw(p);
	if (derive(sa, p->ke.data) < 0) {
		sa->spi_r = 0;
		unusable(sa, NOTIFY_INVALID_KE_PAYLOAD);
		return;
	}
	free(hs->response);
	hs->response = xmemdup(in->raw, in->raw_len);
	hs->response_len = in->raw_len;
	sa->local.addr = in->local->addr;
	float_port(sa);
	task_free(exchange_done(sa));
	sa->window.slow = 0;
	sa_set_state(sa, IKE_STATE_AUTH_SENT);
	deadline_set(&sa->ike->deadlines, &sa->expire, auth_until(sa, in->now));
	if (intermediate_left(sa))
		task_add(sa, &task_intermediate, true);
	exchange_run(sa, in->now);
}

/* Sends a response without keeping state. */
static void answer_stateless(struct ike *ike, const struct ike_in *in, uint16_t type,
			     struct chunk data)
{
	struct ike_header h = {
		.spi_i = in->h->spi_i, .exchange = IKE_SA_INIT, .flags = IKE_FLAG_RESPONSE};
	uint8_t msg[256];
	struct ike_builder b;

	ib_message(&b, msg, sizeof(msg), &h);
	ib_notify(&b, PROTOCOL_NONE, none(), type, data);
	(void)ike->ops.send(ike->ops.ctx, in->local, in->remote, msg, ib_finish(&b));
}

#define FIT_PROPOSALS 8 /* more than the best fit of addresses */

/* How well a connection fits the addresses; 0: not at all. */
static unsigned conn_fits(const struct conn_conf *c, const struct ike_in *in)
{
	unsigned fit = 1;

	if (c->local_count) {
		if (!endpoints_have(c->local, c->local_count, &in->local->addr))
			return 0;
		fit += 1;
	}
	if (conn_has_remote(c, &in->remote->addr))
		return fit + 2;
	return c->remote_any ? fit : 0;
}

/* Whether any connection is for these addresses: the cheapest check. */
static bool is_expected(const struct ike *ike, const struct ike_in *in)
{
	for (unsigned i = 0; i < ike->conns.count; i++) {
		if (conn_fits(ike->conns.v[i], in))
			return true;
	}
	return false;
}

/*
 * Chooses the connection to answer with among those for these addresses: one that has a proposal in
 * common with the offer, and of several the one that fits best. IKE_AUTH, which shows who the peer
 * is, may choose another one. False: none has a proposal in common; *ret_conn is then the one that
 * fits best.
 */
static bool conn_for(const struct ike *ike, const struct ike_in *in,
		     const struct proposal_offer *offer, const struct conn_conf **ret_conn,
		     struct proposal_choice *ret_choice)
{
	struct proposal_choice c;
	unsigned best_fit = 0;

	*ret_conn = NULL;
	for (unsigned i = 0; i < ike->conns.count; i++) {
		unsigned fit = conn_fits(ike->conns.v[i], in);
		bool common = fit && proposals_choose(&ike->conns.v[i]->proposals, offer, true,
						      in->p->ke.group, &c);

		fit += common ? FIT_PROPOSALS : 0;
		if (fit <= best_fit)
			continue;
		best_fit = fit;
		*ret_conn = ike->conns.v[i];
		if (common)
			*ret_choice = c;
	}
	return best_fit > FIT_PROPOSALS;
}

/*
 * The limits on what outsiders can allocate; false: the request was dropped or answered with a
 * cookie.
 */
static bool admit(struct ike *ike, const struct ike_in *in)
{
	const struct ike_notify_view *cookie = ike_find_notify(in->p, NOTIFY_COOKIE);
	unsigned here = half_open_from(ike, &in->remote->addr);
	uint8_t out[COOKIE_LEN];
	bool valid = cookie_valid(ike, cookie ? cookie->data : none(), in->p->nonce, in->remote,
				  in->h->spi_i, in->now);

	/*
	 * Requests without a cookie get only half of what their address may have, so that nobody
	 * can shut a peer out by forging its address.
	 */
	if (!valid && (ike->half_open >= ike->set.cookie_threshold ||
		       here >= ike->set.half_open_per_address / 2)) {
		cookie_make(ike, in->p->nonce, in->remote, in->h->spi_i, ike->cookie_version, out);
		answer_stateless(ike, in, NOTIFY_COOKIE, (struct chunk){out, sizeof(out)});
		ike->counters[IKE_COUNT_COOKIE_DEMANDED]++;
		return false;
	}
	if (HASH_COUNT(ike->sas) < ike->set.sa_max && here < ike->set.half_open_per_address)
		half_make_room(ike, &in->remote->addr, in->now);
	if (ike->half_open >= ike->set.half_open_max || HASH_COUNT(ike->sas) >= ike->set.sa_max ||
	    here >= ike->set.half_open_per_address) {
		ike->counters[IKE_COUNT_HALF_OPEN_LIMIT]++;
		return false;
	}
	return true;
}

/* Asks for certificates of all peers that this one may be: its identity is not known yet. */
static void ask_certs(struct ike_builder *b, const struct ike *ike, const struct ike_in *in)
{
	struct asked_cas asked = {0};

	for (unsigned i = 0; ike->conns.creds && i < ike->conns.count; i++) {
		if (conn_fits(ike->conns.v[i], in))
			certreq_add(&asked, ike, ike->conns.v[i]);
	}
	certreq_write(b, &asked);
}

static void respond(struct ike_sa *sa, const struct ike_in *in)
{
	struct handshake *hs = sa->handshake;
	struct ike_header h = {.spi_i = sa->spi_i,
			       .spi_r = sa->spi_r,
			       .exchange = IKE_SA_INIT,
			       .flags = IKE_FLAG_RESPONSE};
	uint8_t msg[IKE_MAX_MESSAGE];
	struct ike_builder b;
	size_t len;

	ib_message(&b, msg, sizeof(msg), &h);
	choice_write(&b, &sa->choice, none());
	ib_ke(&b, sa->choice.group, kex_public(hs->kex));
	ib_payload(&b, PAYLOAD_NONCE, nonce_chunk(&hs->nr));
	ppk_write_use(&b, sa);
	if (intermediate_left(sa))
		write_intermediate(&b);
	nat_write(&b, sa, in->local, in->remote);
	childless_write_supported(&b, sa);
	if (sa->fragments)
		fragmentation_write(&b, sa);
	ask_certs(&b, sa->ike, in);
	/* Only a peer that has announced its hashes reads ours (RFC 7427 4). */
	if (hs->peer_hashes && sa->ike->conns.creds && sa->ike->conns.creds->count)
		hashes_write(&b, sa);
	len = ib_finish(&b);
	hs->response = xmemdup(msg, len);
	hs->response_len = len;
	trace_sent_plain(sa, msg, len, in->remote, in->now);
	send_message(sa, in->local, in->remote, msg, len, in->now);
}

static void become_responder(struct ike *ike, const struct ike_in *in, const struct conn_conf *conn,
			     const struct proposal_choice *choice)
{
	struct ike_sa *sa = sa_new(ike, conn, false, in->local, in->remote);
	struct handshake *hs;

	sa->began = in->now;
	sa_set_state(sa, IKE_STATE_HALF_OPEN);
	sa->spi_i = in->h->spi_i;
	sa->choice = *choice;
	trace_received(sa, in, true);
	prf_hash(choice->prf, &sa->prf);
	sa_begin_handshake(sa);
	hs = sa->handshake;
	hs->kex = kex_new(choice->group);
	nonce_set(&hs->ni, in->p->nonce);
	hs->nr.len = IKE_NONCE_LEN;
	rng_fill(ike->rng, hs->nr.b, IKE_NONCE_LEN);
	half_add(sa);
	if (!hs->kex || derive(sa, in->p->ke.data) < 0) {
		sa_kill(sa, "a key exchange value that is not valid", in->now);
		return;
	}
	ppk_read_use(sa, in->p);
	nat_read(sa, in->p, sa->spi_i, 0, in->local, in->remote);
	fragmentation_read(sa, in->p);
	hashes_read(sa, in->p);
	hs->request = xmemdup(in->raw, in->raw_len);
	hs->request_len = in->raw_len;
	sa->window.expected_id = 1;
	deadline_set(&ike->deadlines, &sa->expire, in->now + half_open_time(ike));
	respond(sa, in);
}

/*
 * The same request again gets the same response (2.1); another one with its SPI gets none. If it
 * comes with a cookie now, that was demanded of an earlier copy, and is what the peer's AUTH
 * covers.
 */
static void answer_again(struct ike_sa *half, const struct ike_in *in)
{
	const struct ike_notify_view *cookie = ike_find_notify(in->p, NOTIFY_COOKIE);
	const struct chunk again = {in->raw, in->raw_len};
	struct handshake *hs = half->handshake;

	if (!hs->response ||
	    !init_same_but_cookie((struct chunk){hs->request, hs->request_len}, again))
		return;
	if (cookie && in->raw_len <= IKE_MAX_INIT &&
	    cookie_valid(half->ike, cookie->data, in->p->nonce, in->remote, in->h->spi_i,
			 in->now)) {
		free(hs->request);
		hs->request = xmemdup(in->raw, in->raw_len);
		hs->request_len = in->raw_len;
	}
	half->ike->counters[IKE_COUNT_RETRANSMITTED]++;
	send_message(half, in->local, in->remote, hs->response, hs->response_len, in->now);
}

/*
 * Somebody on the path sends our own IKE_SA_INIT back to us: with its SPI; or, while it is not
 * authenticated, with another SPI and our nonce. Answered, that would lead to an IKE SA with
 * ourselves. Later it leads nowhere: nobody sends an IKE_AUTH for it.
 */
static bool is_reflected(struct ike *ike, const struct ike_in *in)
{
	const struct ike_sa *sa = addr_index_first(ike, &in->remote->addr);

	for (; sa; sa = LIST_NEXT(sa, address_link)) {
		if (sa->initiator && sa->handshake && is_nonce(&sa->handshake->ni, in->p->nonce))
			return true;
	}
	sa = sa_find(ike, in->h->spi_i);
	return sa && sa->initiator;
}

/* Anyone can send this from any address, so cheap checks come first. */
void init_on_request(struct ike *ike, const struct ike_in *in)
{
	struct ike_sa *half = half_find(ike, in->h->spi_i, in->remote);
	struct proposal_offer offer;
	struct proposal_choice choice;
	const struct conn_conf *conn;
	uint8_t group[2];

	if (half) {
		answer_again(half, in);
		return;
	}
	if (is_reflected(ike, in)) {
		ike->counters[IKE_COUNT_REFLECTED]++;
		return;
	}
	if (init_is_late_copy(ike, in->h->spi_i, &in->remote->addr, in->now)) {
		ike->counters[IKE_COUNT_UNEXPECTED]++;
		return;
	}
	if (!is_expected(ike, in)) {
		ike->counters[IKE_COUNT_NO_CONFIG]++;
		log_outsider(
			ike->log, in->now, LOG_LEVEL_INFO,
			"IKE_SA_INIT from an address that is in remote_addrs of no connection");
		return;
	}
	/* The message is kept until IKE_AUTH, which covers it. */
	if (in->raw_len > IKE_MAX_INIT) {
		ike->counters[IKE_COUNT_UNEXPECTED]++;
		return;
	}
	if (!limit_may_guess(ike, &in->remote->addr, in->now)) {
		ike->counters[IKE_COUNT_GUESS_LIMIT]++;
		return;
	}
	if (!admit(ike, in))
		return;
	if (read_proposals(in->p, &offer) < 0) {
		answer_stateless(ike, in, NOTIFY_INVALID_SYNTAX, none());
		return;
	}
	if (!conn_for(ike, in, &offer, &conn, &choice)) {
		refusal_of_caller(ike, conn, in->remote, in->p->sa, in->now);
		answer_stateless(ike, in, NOTIFY_NO_PROPOSAL_CHOSEN, none());
		return;
	}
	if (choice.group != in->p->ke.group) {
		put_be16(group, choice.group);
		answer_stateless(ike, in, NOTIFY_INVALID_KE_PAYLOAD, (struct chunk){group, 2});
		return;
	}
	become_responder(ike, in, conn, &choice);
}

const struct task_kind task_init = {
	.exchange = IKE_SA_INIT,
	.states = 1 << IKE_STATE_INIT_SENT,
	.send = init_send,
	.on_response = init_on_response,
	.is_refused = init_is_refused,
	.end_refused = init_end_refused,
	.size = sizeof(struct ike_task),
};
