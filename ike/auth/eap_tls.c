/*
 * eap_tls.c - EAP-TLS as the peer, with TLS 1.2 (RFC 5216) and 1.3 (RFC 9190).
 * SPDX-License-Identifier: ISC
 *
 *   start  -->
 *          <--  ClientHello
 *   fragments of a flight, each answered by an empty packet  -->
 *          <--  fragments of ours, likewise
 *   TLS 1.3: one octet 0 of application data, by which the server says that there is no more  -->
 *          <--  an empty packet
 */
#include "auth/eap_method.h"
#include "crypto/tls_client.h"
#include "xalloc.h"

#include <stdio.h>

#define EAP_TLS	     13
#define FLAG_LENGTH  0x80
#define FLAG_MORE    0x40
#define FLAG_START   0x20
#define FLIGHT_MAX   65536 /* bytes of one flight of the server */
#define FRAGMENT_LEN 1000  /* bytes of ours */
#define EAP_TLS_KEYS 128   /* MSK and EMSK */

struct eap_tls {
	struct tls_client *tls;
	struct conn_creds server; /* what makes the server trusted */
	struct ident server_id;
	enum revocation revocation;
	int64_t when;
	bool started, complete;
	uint8_t *in; /* the flight of the server, in_len of in_total bytes; owned */
	size_t in_len, in_total;
	size_t out_at; /* of the output of tls: what was sent */
};

static bool admit(void *ctx, const struct cert_chain *chain, char *why)
{
	const struct eap_tls *t = ctx;
	const char *not_for_tls;

	/* The same CA may have made the certificates of other users. */
	if (!cert_may_serve_tls(chain->v[0], &not_for_tls)) {
		snprintf(why, TRUST_WHY_MAX, "%s", not_for_tls);
		return false;
	}
	return chain_admits(&t->server, chain, &t->server_id, t->revocation, t->when, why) == 0;
}

static void end(void *state)
{
	struct eap_tls *t = state;

	tls_client_free(t->tls);
	trust_unref(t->server.peer);
	free(t->in);
	free(t);
}

static void *begin(struct eap *e, const struct eap_setup *s, const char **ret_why)
{
	const struct conn_creds *c = s->creds;
	struct eap_tls *t;

	(void)e;
	*ret_why = "eap-tls needs local.key, local.certs, and a CA for the server";
	if (!c || !c->key || !c->chain.count || !c->peer)
		return NULL;
	t = xzalloc(sizeof(*t));
	t->server.peer = trust_ref(c->peer);
	t->server_id = *s->server;
	t->revocation = s->revocation;
	t->when = s->when;
	t->tls = tls_client_new(c->key, &c->chain, admit, t);
	if (t->tls)
		return t;
	*ret_why = "libssl does not take local.key and local.certs";
	end(t);
	return NULL;
}

/* ---- our flight ---- */

static bool has_output(const struct eap_tls *t)
{
	return t->out_at < tls_client_output(t->tls).len;
}

/* Writes the next fragment of our output; without output, an empty packet. */
static void write_fragment(struct eap_tls *t, struct writer *out)
{
	struct chunk all = tls_client_output(t->tls);
	size_t left = all.len - t->out_at, n = min_u64(left, FRAGMENT_LEN);
	bool first = t->out_at == 0 && n < left;

	wr_u8(out, (uint8_t)((first ? FLAG_LENGTH : 0) | (n < left ? FLAG_MORE : 0)));
	if (first)
		wr_be32(out, (uint32_t)all.len);
	wr_bytes(out, all.p + t->out_at, n);
	t->out_at += n;
}

/* ---- a flight of the server ---- */

static int derive(struct eap *e, struct eap_tls *t)
{
	static const uint8_t type = EAP_TLS;
	uint8_t keys[EAP_TLS_KEYS];
	int r;

	if (tls_client_is_1_3(t->tls))
		r = tls_client_export(t->tls, "EXPORTER_EAP_TLS_Key_Material",
				      (struct chunk){&type, 1}, keys, sizeof(keys));
	else
		r = tls_client_export(t->tls, "client EAP encryption", (struct chunk){0}, keys,
				      sizeof(keys));
	if (r == 0)
		memcpy(e->msk, keys, sizeof(e->msk));
	secret_wipe(keys, sizeof(keys));
	return r;
}

/*
 * TLS has failed. Our response has the alert by which the server is told, or it is empty, as it
 * answers the server's alert; then EAP-Failure is due (RFC 5216 2.1.3).
 */
static bool tls_failed(struct eap *e, const struct eap_tls *t)
{
	if (tls_client_is_refused(t->tls))
		eap_refused(e, "TLS with the server: %s", tls_client_why(t->tls));
	else
		eap_refuse(e, "TLS with the server: %s", tls_client_why(t->tls));
	return true;
}

/* The handshake goes on with a whole flight. */
static bool advance(struct eap *e, struct eap_tls *t, struct chunk flight)
{
	switch (tls_client_step(t->tls, flight)) {
	case TLS_STEP_MORE: return true;
	case TLS_STEP_FAILED: return tls_failed(e, t);
	case TLS_STEP_DONE: break;
	}
	t->complete = true;
	if (derive(e, t) < 0)
		return eap_refuse(e, "no keys from TLS");
	/* With TLS 1.3 the server has still to say that it is content (RFC 9190 2.5). */
	e->done = !tls_client_is_1_3(t->tls);
	e->missing = "it does not send what RFC 9190 asks for with TLS 1.3; with TLS 1.2 it can be "
		     "used";
	return true;
}

/* After the handshake: one octet 0, before which there may be tickets. */
static bool take_commitment(struct eap *e, struct eap_tls *t, struct chunk flight)
{
	uint8_t data[8];
	int n;

	if (e->done)
		return eap_refuse(e, "the server goes on after the end of TLS");
	n = tls_client_read(t->tls, flight, data, sizeof(data));
	if (n < 0)
		return tls_failed(e, t);
	if (n > 1 || (n == 1 && data[0] != 0))
		return eap_refuse(e, "the server sends application data in eap-tls");
	e->done = n == 1;
	return true;
}

/* Adds a fragment to the flight; false: it does not fit what the fragments before said. */
static bool add_fragment(struct eap_tls *t, uint8_t flags, struct reader *r)
{
	bool more = flags & FLAG_MORE;
	uint32_t total = flags & FLAG_LENGTH ? rd_be32(r) : 0;
	struct chunk data = rd_rest(r);

	if (r->bad || data.len == 0)
		return false;
	/* All fragments but a single one have a length before them, and none has another one. */
	if (!t->in_total)
		t->in_total = total || more ? total : data.len;
	else if (total && total != t->in_total)
		return false;
	if (t->in_total > FLIGHT_MAX || data.len > t->in_total - t->in_len ||
	    (t->in_len + data.len == t->in_total) == more)
		return false;
	t->in = xreallocarray(t->in, t->in_len + data.len, 1);
	memcpy(t->in + t->in_len, data.p, data.len);
	t->in_len += data.len;
	return true;
}

static bool take_flight(struct eap *e, struct eap_tls *t)
{
	struct chunk flight = {t->in, t->in_len};
	bool good;

	t->out_at = 0; /* what TLS has to say now */
	good = t->complete ? take_commitment(e, t, flight) : advance(e, t, flight);
	t->in_len = t->in_total = 0;
	free(t->in);
	t->in = NULL;
	return good;
}

static bool on_request(struct eap *e, struct chunk data, struct writer *out)
{
	struct eap_tls *t = e->state;
	struct reader r;
	uint8_t flags;
	bool good = true;

	rd_init(&r, data.p, data.len);
	flags = rd_u8(&r);
	if (r.bad || !(flags & FLAG_START) == !t->started)
		return eap_refuse(e, "eap-tls does not begin with its start, or begins again");
	t->started = true;
	if (has_output(t)) {
		if (r.left || flags & (FLAG_LENGTH | FLAG_MORE))
			return eap_refuse(e, "the server does not wait for the end of our flight");
	} else if (flags & FLAG_START) {
		good = advance(e, t, (struct chunk){0});
	} else if (!add_fragment(t, flags, &r)) {
		return eap_refuse(e, "the fragments of the server do not fit together");
	} else if (!(flags & FLAG_MORE)) {
		good = take_flight(e, t);
	}
	if (good)
		write_fragment(t, out);
	return good;
}

const struct eap_method eap_method_tls = {
	.type = EAP_TLS,
	.name = "eap-tls",
	.begin = begin,
	.request = on_request,
	.end = end,
};
