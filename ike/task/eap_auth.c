/*
 * eap_auth.c - IKE_AUTH in which we, as initiator, authenticate by EAP (RFC 7296 2.16).
 * SPDX-License-Identifier: ISC
 *
 *   HDR, SK {IDi, [CERTREQ,] [IDr,] SAi2, TSi, TSr}  -->
 *                               <--  HDR, SK {IDr, [CERT,] AUTH, EAP}
 *   HDR, SK {EAP}  -->
 *                               <--  HDR, SK {EAP}          (as often as the method wants)
 *                               <--  HDR, SK {EAP (success)}
 *   HDR, SK {AUTH}  -->
 *                               <--  HDR, SK {AUTH, SAr2, TSi, TSr}
 *
 * The first AUTH is by a key or secret of the peer's own, and is verified before anything of EAP is
 * answered. The others are by the MSK, which EAP has given to both sides. With a post-quantum key
 * only those have it (RFC 8784 3). The task of IKE_AUTH stays outstanding all the time.
 */
#include "sa/limits.h"
#include "task/auth_task.h"
#include "xalloc.h"

#include <stdio.h>

#define WAITS_MOST 4 /* for all responses together, in times that one may take */

bool eap_auth_is_chosen(const struct ike_sa *sa)
{
	return sa->initiator && auth_kind_is_eap(sa->conn->auth.local);
}

static void fail(struct ike_sa *sa, enum ike_problem p, const char *reason, nsec_t now)
{
	char why[EAP_WHY_MAX + 40];

	snprintf(why, sizeof(why), "authentication by EAP failed: %s", reason);
	sa_fail(sa, p, why, now);
}

bool eap_auth_is_refused(const struct ike_sa *sa)
{
	const struct eap_run *run = sa->handshake->eap;

	return run && *eap_why(run->eap);
}

void eap_auth_end(struct ike_sa *sa, nsec_t now)
{
	const struct eap *eap = sa->handshake->eap->eap;

	fail(sa, eap_is_refused(eap) ? IKE_PROBLEM_NOT_LET_IN : IKE_PROBLEM_NOT_TRUSTED,
	     eap_why(eap), now);
}

/* The task goes on with another request. */
static void send_next(struct ike_sa *sa, struct ike_builder *b, nsec_t now)
{
	nsec_t until = now + sa->ike->set.half_open_timeout;

	sa->outstanding = exchange_done(sa);
	deadline_set(&sa->ike->deadlines, &sa->expire, min_u64(until, sa->handshake->eap->until));
	exchange_send_request(sa, IKE_AUTH, b, now);
}

/* ---- EAP ---- */

/* The identity that the certificate of the server of EAP-TLS must have. */
static const struct ident *server_of(const struct ike_sa *sa, struct ident *buf)
{
	const char *aaa = sa->conn->auth.aaa_id;

	return aaa && ident_parse(aaa, buf) == 0 ? buf : &sa->peer_id;
}

static struct eap *make_eap(const struct ike_sa *sa, const char **ret_why)
{
	const struct conn_conf *c = sa->conn;
	const struct eap_secret *s = conn_eap_secret(c, sa->ike->conns.secrets);
	char buf[IDENT_STRLEN];
	const char *id = conn_eap_id(c, buf);
	struct ident server;
	const struct eap_setup setup = {
		.kind = c->auth.local,
		.identity = {(const uint8_t *)id, strlen(id)},
		.rng = sa->ike->rng,
		.password = {s ? s->secret : NULL, s ? s->len : 0},
		.creds = cred_find(sa->ike->conns.creds, c->name),
		.server = server_of(sa, &server),
		.revocation = c->auth.revocation,
		.when = sa->ike->ops.wall_clock(sa->ike->ops.ctx),
	};

	return eap_new(&setup, ret_why);
}

/* The first response: the peer must have authenticated itself. False: the IKE SA has ended. */
static bool begin(struct ike_sa *sa, const struct ike_in *in)
{
	const char *wrong = NULL;
	struct eap_run *run;
	struct eap *eap;

	if (!(in->p->present & PL(AUTH)) || !(in->p->present & PL(IDR))) {
		fail(sa, IKE_PROBLEM_NOT_TRUSTED,
		     "the peer must authenticate itself before, and has not", in->now);
		return false;
	}
	if (!auth_takes_peer(sa, in))
		return false;
	eap = make_eap(sa, &wrong);
	if (!eap) {
		fail(sa, IKE_PROBLEM_NO_CREDENTIAL, wrong, in->now);
		return false;
	}
	run = sa->handshake->eap = xzalloc(sizeof(*run));
	run->eap = eap;
	run->until = in->now + WAITS_MOST * sa->ike->set.half_open_timeout;
	run->idr_len = in->p->idr.body.len; /* fits, as it is an identity */
	memcpy(run->idr, in->p->idr.body.p, run->idr_len);
	return true;
}

static void send_packet(struct ike_sa *sa, const struct writer *packet, nsec_t now)
{
	uint8_t buf[EAP_OUT_MAX + 4];
	struct ike_builder b;

	ib_inside(&b, buf, sizeof(buf));
	ib_payload(&b, PAYLOAD_EAP, (struct chunk){packet->base, packet->len});
	send_next(sa, &b, now);
}

/* ---- AUTH by the MSK ---- */

static void make_auth_by_msk(const struct ike_sa *sa, const struct ike_keys *keys,
			     struct auth_data *ret)
{
	uint8_t id[IDENT_MAX + 4];
	struct auth_octets o = auth_octets_of(
		sa, keys, true, (struct chunk){id, auth_id_body(&sa->conn->local_id, id)});

	ret->method = AUTH_METHOD_PSK;
	ret->len = auth_make_by_secret(
		&o, (struct chunk){eap_msk(sa->handshake->eap->eap), EAP_MSK}, ret->b);
}

static void send_auth(struct ike_sa *sa, nsec_t now)
{
	struct auth_data auth, no_ppk_auth = {0};
	uint8_t buf[2048];
	struct ike_builder b;

	if (!ppk_begin(sa)) {
		sa_fail(sa, IKE_PROBLEM_NO_CREDENTIAL,
			"ppk_required is set, and one side has no post-quantum key for it", now);
		return;
	}
	sa->handshake->eap->succeeded = true;
	make_auth_by_msk(sa, &sa->keys, &auth);
	if (ppk_is_optional(sa))
		make_auth_by_msk(sa, sa->handshake->no_ppk_keys, &no_ppk_auth);
	ib_inside(&b, buf, sizeof(buf));
	auth_write(&b, &auth);
	ppk_write(&b, sa, (struct chunk){no_ppk_auth.b, no_ppk_auth.len});
	send_next(sa, &b, now);
}

static bool second_auth_is_right(const struct ike_sa *sa, const struct ike_payloads *p)
{
	const struct eap_run *run = sa->handshake->eap;
	struct chunk idr = {run->idr, run->idr_len};
	struct auth_octets o = auth_octets_of(sa, &sa->keys, false, idr);

	if ((p->present & PL(IDR)) &&
	    (p->idr.body.len != idr.len || memcmp(p->idr.body.p, idr.p, idr.len) != 0))
		return false;
	return p->auth.method == AUTH_METHOD_PSK &&
	       auth_is_by_secret(&o, (struct chunk){eap_msk(run->eap), EAP_MSK}, p->auth.data);
}

/* The last response. The peer may say there what it supports, or has said so in the first one. */
static void conclude(struct ike_sa *sa, const struct ike_in *in)
{
	bool ha_peer = sa->ha_peer, mobike = sa->mobike;

	if (!(in->p->present & PL(AUTH))) {
		auth_refused(sa, in);
		return;
	}
	if (!auth_takes_ppk(sa, in))
		return;
	if (!second_auth_is_right(sa, in->p)) {
		fail(sa, IKE_PROBLEM_NOT_TRUSTED,
		     "the peer's AUTH is not by the key that EAP has given", in->now);
		return;
	}
	sync_read_supported(sa, in->p);
	mobike_read_supported(sa, in->p);
	sa->ha_peer |= ha_peer;
	sa->mobike |= mobike;
	auth_complete(sa, in);
}

/* ---- each response ---- */

static void converse(struct ike_sa *sa, const struct ike_in *in)
{
	struct eap *eap = sa->handshake->eap->eap;
	uint8_t packet[EAP_OUT_MAX];
	enum eap_result r;
	struct writer w;

	wr_init(&w, packet, sizeof(packet));
	r = eap_receive(eap, in->p->eap, &w);
	if (eap_notice(eap))
		log_peer(sa, in->now, LOG_LEVEL_INFO, "%s: the server of EAP says: \"%s\"",
			 sa_label(sa), eap_notice(eap));
	switch (r) {
	case EAP_RESPONDS: send_packet(sa, &w, in->now); break;
	case EAP_SUCCEEDS: send_auth(sa, in->now); break;
	case EAP_FAILS: eap_auth_end(sa, in->now); break;
	}
	secret_wipe(packet, sizeof(packet));
}

void eap_auth_on_response(struct ike_sa *sa, const struct ike_in *in)
{
	const struct eap_run *run = sa->handshake->eap;

	if (run && run->succeeded) {
		conclude(sa, in);
		return;
	}
	if (!(in->p->present & PL(EAP))) {
		if (in->p->present & PL(AUTH))
			fail(sa, IKE_PROBLEM_NOT_TRUSTED, "the peer does not ask for it", in->now);
		else if (eap_auth_is_refused(sa))
			eap_auth_end(sa, in->now);
		else
			auth_refused(sa, in);
		return;
	}
	if (run && in->p->present & PL(AUTH)) {
		fail(sa, IKE_PROBLEM_NOT_TRUSTED, "the peer sends AUTH before EAP is over",
		     in->now);
		return;
	}
	if (run || begin(sa, in))
		converse(sa, in);
}
