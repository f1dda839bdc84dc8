/*
 * auth.c - IKE_AUTH (RFC 7296 1.2, 2.15). SPDX-License-Identifier: ISC
 *
 *   HDR, SK {IDi, [CERT,] [N(INITIAL_CONTACT)], [CERTREQ,] [IDr,] AUTH, SAi2, TSi, TSr}  -->
 *                               <--  HDR, SK {IDr, [CERT,] AUTH, SAr2, TSi, TSr}
 *                               <--  HDR, SK {IDr, [CERT,] AUTH, N(error)}     (no CHILD SA)
 *
 * With EAP for the initiator there is more of it: eap_auth.c.
 */
#include "sa/half_open.h"
#include "sa/limits.h"
#include "task/auth_task.h"
#include "xalloc.h"

#include <stdio.h>

/* The first CHILD SA has no key exchange of its own. */
static const struct kex_secrets no_pfs;

size_t auth_id_body(const struct ident *id, uint8_t out[IDENT_MAX + 4])
{
	out[0] = id->type;
	out[1] = out[2] = out[3] = 0;
	memcpy(out + 4, id->data, id->len);
	return 4u + id->len;
}

struct auth_octets auth_octets_of(const struct ike_sa *sa, const struct ike_keys *keys,
				  bool initiator, struct chunk id)
{
	const struct handshake *hs = sa->handshake;

	return (struct auth_octets){
		.prf = sa->prf,
		.message = initiator ? (struct chunk){hs->request, hs->request_len}
				     : (struct chunk){hs->response, hs->response_len},
		.nonce = nonce_chunk(initiator ? &hs->nr : &hs->ni),
		.sk_p = initiator ? keys->sk_pi : keys->sk_pr,
		.id = id,
		.intauth = {hs->intauth, hs->intauth_len},
	};
}

static struct auth_identities identities(const struct ike_sa *sa, const struct ident *remote)
{
	const struct conn_creds *c = cred_find(sa->ike->conns.creds, sa->conn->name);

	return (struct auth_identities){.psks = sa->ike->conns.secrets,
					.local = &sa->conn->local_id,
					.remote = remote,
					.ours = c ? c->key : NULL,
					.hashes = sa->handshake->peer_hashes,
					.announced = sa->handshake->announced,
					.rsa_pss = sa->conn->auth.rsa_pss,
					.rsa_sha1 = sa->conn->auth.rsa_sha1};
}

/* Makes our AUTH by these keys. 0, or as authenticator.make. */
static int make_auth(const struct ike_sa *sa, const struct ike_keys *keys,
		     const struct ident *remote, struct auth_data *ret)
{
	enum auth_kind kind = sa->conn->auth.local;
	uint8_t id[IDENT_MAX + 4];
	struct auth_octets o = auth_octets_of(
		sa, keys, sa->initiator, (struct chunk){id, auth_id_body(&sa->conn->local_id, id)});
	struct auth_identities i = identities(sa, remote);
	const struct authenticator *a;
	int len;

	if (kind == AUTH_KIND_PUBKEY && !i.ours)
		return -ENOKEY;
	a = authenticator_ours(kind, &i);
	len = a ? a->make(&o, &i, ret->b) : -EPROTONOSUPPORT;
	if (len < 0)
		return len;
	ret->method = a->method;
	ret->len = (size_t)len;
	return 0;
}

/* Why make_auth failed, and what helps. */
static const char *why_no_auth(const struct ike_sa *sa, int error)
{
	if (sa->conn->auth.local == AUTH_KIND_PSK)
		return "no secret for this peer: give one in secrets";
	if (auth_kind_is_eap(sa->conn->auth.local))
		return "by EAP (local.auth) we authenticate only when we call";
	if (error == -ENOKEY)
		return "no private key for this connection, or it cannot sign: see local.key";
	if (sa->handshake->peer_hashes)
		return "the peer supports no hash by which our key could sign (RFC 7427)";
	return "the peer does not support RFC 7427: our key needs it, as an RSA key without it "
	       "signs with SHA-1 (rsa_sha1)";
}

/* Whether one of the keys that the peer may have made its AUTH; then *ret is the proof. */
static bool is_signed(const struct auth_octets *o, struct auth_identities *i,
		      const struct authenticator *a, struct chunk data,
		      struct peer_proof *const *keys, unsigned count, struct peer_proof **ret)
{
	for (unsigned k = 0; k < count && !*ret; k++) {
		i->theirs = keys[k]->key;
		/* With our own key, our own message may have come back to us. */
		if ((!i->ours || !pkey_same(i->theirs, i->ours)) && a->verify(o, i, data))
			*ret = proof_ref(keys[k]);
	}
	return *ret != NULL;
}

/*
 * Whether the peer made its AUTH as the connection asks; with a key or certificate, *ret is the
 * proof, which has a reference. False with the reason in `why` (TRUST_WHY_MAX bytes).
 */
static bool auth_is_right(const struct ike_sa *sa, const struct ident *peer, struct chunk id_body,
			  const struct ike_payloads *p, struct peer_proof **ret, char *why)
{
	const struct authenticator *a = authenticator_of(p->auth.method);
	struct chunk data = ppk_auth_data(sa, p);
	struct auth_octets o = auth_octets_of(sa, &sa->keys, !sa->initiator, id_body);
	struct auth_identities i = identities(sa, peer);
	struct peer_proof *keys[PUBKEYS_MAX];
	unsigned count;
	bool right;

	snprintf(why, TRUST_WHY_MAX, "its AUTH has method %u, which remote.auth does not admit",
		 p->auth.method);
	if (!a || a->kind != sa->conn->auth.remote)
		return false;
	if (a->kind == AUTH_KIND_PSK) {
		snprintf(why, TRUST_WHY_MAX, "%s",
			 psk_find(i.psks, i.local, i.remote)
				 ? "it does not have the secret that we have for it"
				 : "we have no secret for it");
		return a->verify(&o, &i, data);
	}
	count = certs_candidates(sa, peer, p, keys, why);
	if (count)
		snprintf(why, TRUST_WHY_MAX,
			 "its signature is not by the key of its certificate, or by an algorithm "
			 "that is not admitted");
	right = is_signed(&o, &i, a, data, keys, count, ret);
	for (unsigned k = 0; k < count; k++)
		proof_unref(keys[k]);
	return right;
}

/*
 * The identity that the peer must have: that given to ike_initiate, otherwise the one of the
 * connection.
 */
static const struct ident *expected(const struct ike_sa *sa)
{
	return sa->wanted_id.type != ID_NONE ? &sa->wanted_id : &sa->conn->remote_id;
}

void auth_write(struct ike_builder *b, const struct auth_data *a)
{
	ib_open(b, PAYLOAD_AUTH);
	wr_u8(&b->w, a->method);
	wr_u8(&b->w, 0);
	wr_be16(&b->w, 0);
	wr_bytes(&b->w, a->b, a->len);
	ib_close(b);
}

/*
 * Whether another IKE SA of this connection with the same address is ESTABLISHED: then this is no
 * initial contact.
 */
static bool has_sibling(const struct ike_sa *sa)
{
	const struct ike_sa *other = addr_index_first(sa->ike, &sa->remote.addr);

	for (; other; other = LIST_NEXT(other, address_link)) {
		if (other != sa && other->established && other->conn == sa->conn &&
		    other->state == IKE_STATE_ESTABLISHED)
			return true;
	}
	return false;
}

/* IKE_AUTH makes the first CHILD SA: this task takes over what the waiting one asks for. */
static void take_over(struct child_task *t, struct child_task *waiting)
{
	struct ike_sa *sa = t->task.ike_sa;

	TAILQ_REMOVE(&sa->tasks, &waiting->task, link);
	t->conf = waiting->conf;
	t->has_first = waiting->has_first;
	memcpy(t->first_ts, waiting->first_ts, sizeof(t->first_ts));
	t->local = waiting->local;
	t->remote = waiting->remote;
	waiting->local = waiting->remote = NULL;
	task_free(&waiting->task);
	t->spi = sa->ike->ops.spi_reserve(sa->ike->ops.ctx);
	config_resolve_task(t);
}

static const char no_ppk[] = "ppk_required is set, and one side has no post-quantum key for it";

/* The AUTH payload, and the one for a peer without the post-quantum key. NULL, or why not. */
static const char *make_auths(struct ike_sa *sa, struct auth_data *auth,
			      struct auth_data *no_ppk_auth)
{
	int e;

	if (!ppk_begin(sa))
		return no_ppk;
	e = make_auth(sa, &sa->keys, expected(sa), auth);
	if (e == 0 && ppk_is_optional(sa))
		e = make_auth(sa, sa->handshake->no_ppk_keys, expected(sa), no_ppk_auth);
	return e < 0 ? why_no_auth(sa, e) : NULL;
}

/* With EAP only the last request has AUTH, and the keys change there. False: the IKE SA has ended.
 */
static bool prepare_auth(struct ike_sa *sa, const struct child_task *child, struct auth_data *auth,
			 struct auth_data *no_ppk_auth, nsec_t now)
{
	const char *wrong = childless_wrong(sa, child != NULL);

	if (wrong) {
		sa_fail(sa, IKE_PROBLEM_REFUSED, wrong, now);
		return false;
	}
	if (ppk_is_missing(sa))
		wrong = no_ppk;
	else if (!eap_auth_is_chosen(sa))
		wrong = make_auths(sa, auth, no_ppk_auth);
	if (wrong)
		sa_fail(sa, IKE_PROBLEM_NO_CREDENTIAL, wrong, now);
	return !wrong;
}

static void write_id(struct ike_builder *b, uint8_t payload, const struct ident *id)
{
	ib_id(b, payload, id->type, (struct chunk){id->data, id->len});
}

static void auth_send(struct ike_sa *sa, struct ike_task *task, nsec_t now)
{
	struct child_task *t = child_task_of(task);
	struct child_task *child =
		childless_chosen(sa) ? NULL : child_task_of(task_waiting(sa, &task_child_create));
	uint8_t buf[IKE_MAX_MESSAGE];
	struct asked_cas asked = {0};
	struct auth_data auth, no_ppk_auth = {0};
	struct ike_builder b;

	if (!prepare_auth(sa, child, &auth, &no_ppk_auth, now))
		return;
	certreq_add(&asked, sa->ike, sa->conn);
	ib_inside(&b, buf, sizeof(buf));
	write_id(&b, PAYLOAD_IDI, &sa->conn->local_id);
	certs_write(&b, sa, sa->handshake->asks_raw);
	if (!sa->beside && !has_sibling(sa))
		ib_notify(&b, PROTOCOL_NONE, (struct chunk){0}, NOTIFY_INITIAL_CONTACT,
			  (struct chunk){0});
	certreq_write(&b, &asked);
	if (!ident_is_pattern(expected(sa)))
		write_id(&b, PAYLOAD_IDR, expected(sa));
	if (!eap_auth_is_chosen(sa)) {
		auth_write(&b, &auth);
		ppk_write(&b, sa, (struct chunk){no_ppk_auth.b, no_ppk_auth.len});
	}
	sync_write_supported(&b, sa);
	mobike_write_supported(&b, sa);
	config_write_request(&b, sa);
	if (child) {
		take_over(t, child);
		child_write_offer(&b, t, t->spi, false, (struct chunk){0});
	}
	exchange_send_request(sa, IKE_AUTH, &b, now);
}

/*
 * Whether the peer has the identity that is expected; false with the reason in `why`. A peer with
 * ours is our own message reflected, which a secret for all peers would authenticate.
 */
static bool is_expected(const struct ike_sa *sa, const struct ident *id, char *why)
{
	char theirs[IDENT_STRLEN], wanted[IDENT_STRLEN];

	ident_format(id, theirs);
	if (ident_eq(id, &sa->conn->local_id))
		snprintf(why, TRUST_WHY_MAX, "it has our identity, \"%.80s\"", theirs);
	else if (!ident_match(expected(sa), id))
		snprintf(why, TRUST_WHY_MAX, "it is \"%.80s\", where \"%.80s\" is expected", theirs,
			 ident_format(expected(sa), wanted));
	else
		return true;
	return false;
}

/*
 * Whether the peer's identity and AUTH are right; sets peer_id, proof and ha_peer then. False with
 * the reason in `why` (TRUST_WHY_MAX bytes).
 */
static bool verify_peer(struct ike_sa *sa, const struct ike_payloads *p, char *why)
{
	struct chunk body = sa->initiator ? p->idr.body : p->idi.body;
	struct chunk data = sa->initiator ? p->idr.data : p->idi.data;
	uint8_t type = sa->initiator ? p->idr.type : p->idi.type;
	struct peer_proof *proof = NULL;
	struct ident id;

	snprintf(why, TRUST_WHY_MAX, "its identity cannot be read");
	if (ident_from_wire(type, data, &id) < 0 || !is_expected(sa, &id, why) ||
	    !auth_is_right(sa, &id, body, p, &proof, why))
		return false;
	sa->peer_id = id;
	sa->proof = proof;
	sync_read_supported(sa, p);
	mobike_read_supported(sa, p);
	return true;
}

/* For the log: who the peer is, and by which key exchanges. */
static void how_established(const struct ike_sa *sa, char *s, size_t size)
{
	char id[IDENT_STRLEN], kex[128];

	snprintf(s, size, "peer %.100s, %s", ident_format(&sa->peer_id, id),
		 choice_format_kex(&sa->choice, kex, sizeof(kex)));
}

static void fail_child(struct ike_sa *sa, struct child_task *t, bool by_peer, uint16_t error,
		       nsec_t now)
{
	struct ike *ike = sa->ike;

	log_warn(ike->log, "%s: child %s failed: %s", sa_label(sa), t->conf->name,
		 ike_notify_name(error));
	refusal_of_child(sa, t, by_peer, error, now);
	ike->ops.child_result(ike->ops.ctx, sa, t->conf, NULL, IKE_RESULT_REFUSED, error, now);
}

static void answer_child(struct ike_sa *sa, struct child_task *t, const struct ike_in *in)
{
	struct child_offer o = {0};
	const struct ike_notify_view *error = ike_find_error(in->p);
	uint16_t e = error ? error->type : 0;
	uint32_t spi = t->spi;
	struct child_sa *c = NULL;

	if (!t->conf)
		return;
	if (!e)
		e = child_check_answer(sa, in->p, false, t, &o, in->now);
	if (error && e == NOTIFY_NO_PROPOSAL_CHOSEN)
		refusal_by_peer(sa, "IKE_AUTH", t->conf, &t->conf->proposals, PROPOSAL_KEX_CUT,
				in->now);
	if (!e) {
		c = child_install(sa, &o, spi, true, &no_pfs, &sa->handshake->ni,
				  &sa->handshake->nr, NULL, in->now);
		t->spi = 0;
	}
	/* An answer with SA has made one, whatever else it says. */
	if (!c && (!error || in->p->present & PL(SA)))
		child_unwanted(sa, spi);
	if (c && t->cancelled)
		ike_child_delete(c, in->now);
	else if (c)
		sa->ike->ops.child_result(sa->ike->ops.ctx, sa, t->conf, c, IKE_RESULT_OK, 0,
					  in->now);
	else
		fail_child(sa, t, error != NULL, e ? e : NOTIFY_NO_PROPOSAL_CHOSEN, in->now);
}

void auth_refused(struct ike_sa *sa, const struct ike_in *in)
{
	const struct ike_notify_view *error = ike_find_error(in->p);
	const struct child_task *first = child_task_of(sa->outstanding);
	char why[100];

	if (error && error->type == NOTIFY_NO_PROPOSAL_CHOSEN && first->conf)
		refusal_by_peer(sa, "IKE_AUTH", first->conf, &first->conf->proposals,
				PROPOSAL_KEX_CUT, in->now);
	snprintf(why, sizeof(why), "the peer refused IKE_AUTH: %s",
		 error ? ike_notify_name(error->type)
		 : in->p->present & PL(EAP) && !eap_auth_is_chosen(sa)
			 ? "it wants EAP, and local.auth does not say so"
			 : "no AUTH payload");
	sa_fail(sa,
		error && error->type == NOTIFY_AUTHENTICATION_FAILED ? IKE_PROBLEM_NOT_LET_IN
								     : IKE_PROBLEM_REFUSED,
		why, in->now);
}

void auth_complete(struct ike_sa *sa, const struct ike_in *in)
{
	struct ike_task *t = exchange_done(sa);
	char how[TRUST_WHY_MAX + 60];

	how_established(sa, how, sizeof(how));
	config_read_reply(sa, in->p);
	sa_establish(sa, how, in->now);
	config_give_up(sa, in->now);
	answer_child(sa, child_task_of(t), in);
	sa_end_handshake(sa);
	task_free(t);
}

bool auth_takes_ppk(struct ike_sa *sa, const struct ike_in *in)
{
	bool right = ppk_on_response(sa, in->p);

	if (!right)
		sa_fail(sa, IKE_PROBLEM_NOT_TRUSTED,
			"ppk_required is set, and the peer does not have this post-quantum key",
			in->now);
	return right;
}

bool auth_takes_peer(struct ike_sa *sa, const struct ike_in *in)
{
	char why[TRUST_WHY_MAX + 60], reason[TRUST_WHY_MAX];
	bool right = verify_peer(sa, in->p, reason);

	if (!right) {
		snprintf(why, sizeof(why), "the peer's authentication failed: %s", reason);
		sa_fail(sa, IKE_PROBLEM_NOT_TRUSTED, why, in->now);
	}
	return right;
}

static void auth_on_response(struct ike_sa *sa, const struct ike_in *in)
{
	if (eap_auth_is_chosen(sa)) {
		eap_auth_on_response(sa, in);
		return;
	}
	if (!(in->p->present & PL(AUTH))) {
		auth_refused(sa, in);
		return;
	}
	if (auth_takes_ppk(sa, in) && auth_takes_peer(sa, in))
		auth_complete(sa, in);
}

/* Whether this connection admits what was agreed on before the peer was known. */
static bool conn_admits(const struct conn_conf *c, const struct ike_sa *sa)
{
	return (c->local_count == 0 || endpoints_have(c->local, c->local_count, &sa->local.addr)) &&
	       proposals_admit(&c->proposals, &sa->choice);
}

/*
 * Changes to the connection, of those for these addresses, that fits the identity of the peer best.
 */
static void choose_conn(struct ike_sa *sa, const struct ike_payloads *p)
{
	const struct authenticator *method = authenticator_of(p->auth.method);
	const struct conn_conf *best = NULL;
	unsigned best_fit = 0;
	struct ident id, ours;
	bool named =
		(p->present & PL(IDR)) && ident_from_wire(p->idr.type, p->idr.data, &ours) == 0;

	if (ident_from_wire(p->idi.type, p->idi.data, &id) < 0)
		return;
	for (unsigned i = 0; i < sa->ike->conns.count; i++) {
		const struct conn_conf *c = sa->ike->conns.v[i];
		unsigned fit = ident_match(&c->remote_id, &id) * 4;

		if (!c->remote_any && !conn_has_remote(c, &sa->remote.addr))
			continue;
		if (auth_kind_is_eap(c->auth.local)) /* with it we only call */
			continue;
		if (fit && !conn_admits(c, sa))
			continue;
		if (fit && named)
			fit += ident_eq(&c->local_id, &ours) ? 2 : 0;
		/* The same identities, by a secret and by a certificate, are two connections. */
		if (fit && method)
			fit += method->kind == c->auth.remote;
		if (fit > best_fit) {
			best_fit = fit;
			best = c;
		}
	}
	if (best && best != sa->conn) {
		conn_unref(sa->conn);
		sa->conn = conn_ref(best);
	}
}

/* Another authenticated IKE SA with the same identities on both sides. */
static bool is_with_same_peer(const struct ike_sa *sa, const struct ike_sa *other)
{
	return other != sa && other->established && ident_eq(&other->peer_id, &sa->peer_id) &&
	       ident_eq(&other->conn->local_id, &sa->conn->local_id);
}

/*
 * The other one came up after the call of this one had begun: when the peer wrote its IKE_AUTH, it
 * may not have had the other one.
 */
static bool have_crossed(const struct ike_sa *sa, const struct ike_sa *other)
{
	return other->called >= sa->began;
}

/* INITIAL_CONTACT: the peer has no other IKE SA with us (2.4). */
static void forget_others(struct ike_sa *sa, nsec_t now)
{
	struct ike_sa *other, *tmp;

	HASH_ITER (hh, sa->ike->sas, other, tmp) {
		if (!is_with_same_peer(sa, other))
			continue;
		/* The peer may not have known of it when it wrote this: a check shows whether it
		 * does. */
		if (have_crossed(sa, other)) {
			ike_liveness(other, 0, now);
			continue;
		}
		other->deleted_by_peer = true;
		sa_kill(other, "the peer sent INITIAL_CONTACT", now);
	}
}

/*
 * unique = "keep": the IKE SA of this connection that is there already, which is checked: if its
 * peer has lost it, the next call is let in. One whose call crossed this one does not count, as
 * both sides would refuse each other's: tunnel/tidy.c ends one of the two. NULL: there is none.
 */
static struct ike_sa *kept_instead(struct ike_sa *sa, nsec_t now)
{
	struct ike_sa *other;

	for (other = sa->ike->sas; other; other = other->hh.next) {
		if (!is_with_same_peer(sa, other) || have_crossed(sa, other) ||
		    other->state != IKE_STATE_ESTABLISHED ||
		    strcmp(other->conn->name, sa->conn->name) != 0)
			continue;
		ike_liveness(other, 0, now);
		return other;
	}
	return NULL;
}

/* Applies the connection's rule to other IKE SAs with this peer. False: this one is refused. */
static bool settle_uniqueness(struct ike_sa *sa, const struct ike_in *in)
{
	if (sa->conn->unique == UNIQUE_NEVER)
		return true;
	if (ike_find_notify(in->p, NOTIFY_INITIAL_CONTACT))
		forget_others(sa, in->now);
	else if (sa->conn->unique == UNIQUE_KEEP && kept_instead(sa, in->now))
		return false;
	return true;
}

static struct child_sa *accept_child(struct ike_sa *sa, const struct ike_in *in, uint16_t *error,
				     struct child_offer *o)
{
	struct ike *ike = sa->ike;
	struct child_sa *c;
	uint32_t spi;

	*error = child_negotiate(sa, in->p, false, NULL, o, in->now);
	if (*error)
		return NULL;
	spi = ike->ops.spi_reserve(ike->ops.ctx);
	c = spi ? child_install(sa, o, spi, false, &no_pfs, &sa->handshake->ni, &sa->handshake->nr,
				NULL, in->now)
		: NULL;
	if (!c)
		*error = NOTIFY_NO_ADDITIONAL_SAS;
	else
		c->confirmed = true; /* a peer without our response has no IKE SA to rekey it on */
	return c;
}

static void respond(struct ike_sa *sa, const struct ike_in *in, const struct auth_data *auth)
{
	uint8_t buf[IKE_MAX_MESSAGE], spi[4];
	const uint32_t wanted = PL(SA) | PL(TSI) | PL(TSR);
	struct child_sa *c = NULL;
	struct child_offer o = {0};
	struct ike_builder b;
	uint16_t error = config_assign(sa, in->p);

	if (!error && (in->p->present & wanted) == wanted)
		c = accept_child(sa, in, &error, &o);
	ib_inside(&b, buf, sizeof(buf));
	write_id(&b, PAYLOAD_IDR, &sa->conn->local_id);
	certs_write(&b, sa, certreq_asks_raw(in->p));
	auth_write(&b, auth);
	ppk_write(&b, sa, (struct chunk){0});
	sync_write_supported(&b, sa);
	if (sa->mobike)
		mobike_write_supported(&b, sa);
	config_write_reply(&b, sa);
	if (c) {
		put_be32(spi, c->spi_in);
		choice_write(&b, &c->choice, (struct chunk){spi, 4});
		child_write_ts(&b, c->remote, c->local);
	} else if (error) {
		log_peer(sa, in->now, LOG_LEVEL_WARNING, "%s: no child from IKE_AUTH: %s",
			 sa_label(sa), ike_notify_name(error));
		if (error == NOTIFY_TS_UNACCEPTABLE)
			refusal_of_selectors(sa, in->p, in->now);
		if (error == NOTIFY_NO_PROPOSAL_CHOSEN)
			refusal_of_peer(sa, "IKE_AUTH", o.conf, PROPOSAL_KEX_CUT, in->p->sa,
					in->now);
		ib_notify(&b, PROTOCOL_NONE, (struct chunk){0}, error, (struct chunk){0});
	}
	exchange_respond(sa, in->h, &b, in->local, in->remote, in->now);
}

static void refuse(struct ike_sa *sa, const struct ike_in *in, enum ike_problem p, const char *why)
{
	respond_notify(sa, in->h, NOTIFY_AUTHENTICATION_FAILED, (struct chunk){0}, in->local,
		       in->remote, in->now);
	sa_fail(sa, p, why, in->now);
}

/* The peer has not shown who it is: one more guess from its address. */
static void refuse_guess(struct ike_sa *sa, const struct ike_in *in, const char *why)
{
	char id[IDENT_STRLEN], text[TRUST_WHY_MAX + 140];
	struct ident who;

	limit_guessed(sa->ike, &sa->remote.addr, in->now);
	if (ident_from_wire(in->p->idi.type, in->p->idi.data, &who) == 0)
		snprintf(text, sizeof(text), "authentication of \"%.100s\" failed: %s",
			 ident_format(&who, id), why);
	else
		snprintf(text, sizeof(text), "authentication failed: %s", why);
	log_outsider(sa->ike->log, in->now, LOG_LEVEL_WARNING, "%s: %s", sa_label(sa), text);
	refuse(sa, in, IKE_PROBLEM_NOT_TRUSTED, text);
}

/* The same with the reasons that a responder may have besides. */
static bool peer_is_right(struct ike_sa *sa, const struct ike_payloads *p, char *why)
{
	if (!(p->present & PL(AUTH)))
		snprintf(why, TRUST_WHY_MAX, "no AUTH payload: EAP is not supported");
	else if (!ppk_on_request(sa, p))
		snprintf(why, TRUST_WHY_MAX, "both sides need the same post-quantum key (ppk_id)");
	else
		return verify_peer(sa, p, why);
	return false;
}

void auth_on_request(struct ike_sa *sa, const struct ike_in *in)
{
	char why[TRUST_WHY_MAX];
	struct auth_data auth;
	int e;

	sa_tell_keys(sa);
	choose_conn(sa, in->p);
	if (!peer_is_right(sa, in->p, why)) {
		refuse_guess(sa, in, why);
		return;
	}
	if (sa->mobike && mobike_refuses(in)) {
		respond_notify(sa, in->h, NOTIFY_UNEXPECTED_NAT_DETECTED, (struct chunk){0},
			       in->local, in->remote, in->now);
		sa_fail(sa, IKE_PROBLEM_REFUSED, "the peer allows no NAT, and one is on the way",
			in->now);
		return;
	}
	e = make_auth(sa, &sa->keys, &sa->peer_id, &auth);
	if (e < 0) {
		refuse(sa, in, IKE_PROBLEM_NO_CREDENTIAL, why_no_auth(sa, e));
		return;
	}
	if (childless_refused(sa, in))
		return;
	if (!settle_uniqueness(sa, in)) {
		refuse(sa, in, IKE_PROBLEM_REFUSED,
		       "the peer has an IKE SA already, and unique is \"keep\"");
		return;
	}
	half_remove(sa);
	deadline_clear(&sa->ike->deadlines, &sa->expire);
	/*
	 * The authenticated peer now sends from here: from port 4500 if NAT traversal changed it
	 * (2.23).
	 */
	sa_set_remote(sa, in->remote);
	sa->local = *in->local;
	limit_sas(sa, in->now);
	/* Before the response: a CHILD SA can be installed only when the owner knows the IKE SA. */
	how_established(sa, why, sizeof(why));
	sa_establish(sa, why, in->now);
	config_give_up(sa, in->now);
	respond(sa, in, &auth);
	sa_end_handshake(sa);
}

const struct task_kind task_auth = {
	.exchange = IKE_AUTH,
	.states = 1 << IKE_STATE_AUTH_SENT,
	.send = auth_send,
	.on_response = auth_on_response,
	.is_refused = eap_auth_is_refused,
	.end_refused = eap_auth_end,
	CHILD_TASK,
};
