/* eap.c - see eap.h: packets, identity, notifications, Nak. SPDX-License-Identifier: ISC */
#include "auth/eap_method.h"
#include "xalloc.h"

#include <stdarg.h>
#include <stdio.h>

enum eap_code { EAP_REQUEST = 1, EAP_RESPONSE = 2, EAP_SUCCESS = 3, EAP_FAILURE = 4 };

enum eap_type {
	EAP_IDENTITY = 1,
	EAP_NOTIFICATION = 2,
	EAP_NAK = 3,
	EAP_EXPANDED = 254,
};

static void lose(struct eap *e, bool by_server, const char *fmt, va_list ap)
{
	e->lost = true;
	if (*e->why)
		return;
	e->by_server = by_server;
	vsnprintf(e->why, sizeof(e->why), fmt, ap);
}

bool eap_refuse(struct eap *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	lose(e, false, fmt, ap);
	va_end(ap);
	return false;
}

bool eap_refused(struct eap *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	lose(e, true, fmt, ap);
	va_end(ap);
	return false;
}

void eap_print(struct chunk text, char *out, size_t size)
{
	size_t n = min_u64(text.len, size - 1);

	for (size_t i = 0; i < n; i++)
		out[i] = (char)(text.p[i] >= ' ' && text.p[i] < 0x7f ? text.p[i] : '?');
	out[n] = '\0';
}

static const struct eap_method *method_of(enum auth_kind kind)
{
	switch (kind) {
	case AUTH_KIND_EAP_MSCHAPV2: return &eap_method_mschapv2;
	case AUTH_KIND_EAP_TLS: return &eap_method_tls;
	case AUTH_KIND_PSK:
	case AUTH_KIND_PUBKEY: break;
	}
	return NULL;
}

struct eap *eap_new(const struct eap_setup *s, const char **ret_why)
{
	const struct eap_method *m = method_of(s->kind);
	struct eap *e;

	*ret_why = "the identity is empty or too long for EAP: set eap_id";
	if (!m || s->identity.len == 0 || s->identity.len > EAP_ID_MAX)
		return NULL;
	e = xzalloc(sizeof(*e));
	e->method = m;
	e->rng = s->rng;
	e->identity = (struct chunk){xmemdup(s->identity.p, s->identity.len), s->identity.len};
	e->state = m->begin(e, s, ret_why);
	if (e->state)
		return e;
	eap_free(e);
	return NULL;
}

void eap_free(struct eap *e)
{
	if (!e)
		return;
	if (e->state)
		e->method->end(e->state);
	free((uint8_t *)e->identity.p);
	secret_free(e, sizeof(*e));
}

const uint8_t *eap_msk(const struct eap *e)
{
	return e->msk;
}

const char *eap_why(const struct eap *e)
{
	return e->why;
}

bool eap_is_refused(const struct eap *e)
{
	return e->by_server;
}

const char *eap_notice(const struct eap *e)
{
	return *e->notice ? e->notice : NULL;
}

/* ---- requests that no method handles ---- */

static bool identify(struct eap *e, struct writer *out)
{
	if (e->begun)
		return eap_refuse(e, "the server asks for the identity within %s", e->method->name);
	wr_bytes(out, e->identity.p, e->identity.len);
	return true;
}

/*
 * RFC 3748 5.3: we want our method. A server that has no such method answers by EAP-Failure: then
 * this is why.
 */
static bool decline(struct eap *e, uint8_t type, struct writer *out)
{
	static const uint8_t expanded[] = {0, 0, 0};

	if (e->begun || type == EAP_NAK || type == 0)
		return eap_refuse(e, "the server sends EAP type %u within %s", type,
				  e->method->name);
	e->by_server = true;
	snprintf(e->why, sizeof(e->why), "the server wants EAP type %u, and local.auth says %s",
		 type, e->method->name);
	out->base[out->len - 1] = type == EAP_EXPANDED ? EAP_EXPANDED : EAP_NAK;
	if (type == EAP_EXPANDED) { /* 5.3.2: type Nak of the IETF, and ours, which is too */
		wr_bytes(out, expanded, sizeof(expanded));
		wr_be32(out, EAP_NAK);
		wr_u8(out, EAP_EXPANDED);
		wr_bytes(out, expanded, sizeof(expanded));
		wr_be32(out, e->method->type);
	} else {
		wr_u8(out, e->method->type);
	}
	return true;
}

/* Writes the response behind its type, which is that of the request. */
static bool answer(struct eap *e, uint8_t type, struct chunk data, struct writer *out)
{
	if (type == e->method->type) {
		if (!e->begun)
			e->why[0] = '\0'; /* another type was asked for before */
		e->begun = true;
		return e->method->request(e, data, out);
	}
	switch (type) {
	case EAP_IDENTITY: return identify(e, out);
	case EAP_NOTIFICATION: eap_print(data, e->notice, sizeof(e->notice)); return true;
	default: return decline(e, type, out);
	}
}

static enum eap_result respond(struct eap *e, uint8_t id, struct reader *r, struct writer *out)
{
	uint8_t type = rd_u8(r);

	if (r->bad) {
		eap_refuse(e, "an EAP request of the server has no type");
		return EAP_FAILS;
	}
	if (++e->rounds > EAP_ROUNDS) {
		eap_refuse(e, "the server has sent more than %d EAP requests", EAP_ROUNDS);
		return EAP_FAILS;
	}
	wr_u8(out, EAP_RESPONSE);
	wr_u8(out, id);
	wr_be16(out, 0);
	wr_u8(out, type);
	if (!answer(e, type, rd_rest(r), out))
		return EAP_FAILS;
	if (out->bad) {
		eap_refuse(e, "our EAP response is too long");
		return EAP_FAILS;
	}
	put_be16(out->base + 2, (uint16_t)out->len);
	return EAP_RESPONDS;
}

/* Success or failure, which have no data (RFC 3748 4.2). */
static enum eap_result conclude(struct eap *e, bool success, bool has_data)
{
	if (success && e->done && !e->lost && !has_data)
		return EAP_SUCCEEDS;
	if (success && !e->lost)
		e->why[0] = '\0';
	if (success)
		eap_refuse(e, "the server says success before %s is over%s%s", e->method->name,
			   e->missing ? ": " : "", e->missing ? e->missing : "");
	else
		eap_refused(e, "the server refuses us by EAP-Failure in %s", e->method->name);
	return EAP_FAILS;
}

enum eap_result eap_receive(struct eap *e, struct chunk packet, struct writer *out)
{
	struct reader r;
	uint8_t code, id;
	uint16_t len;

	e->notice[0] = '\0';
	rd_init(&r, packet.p, packet.len);
	code = rd_u8(&r);
	id = rd_u8(&r);
	len = rd_be16(&r);
	if (r.bad || len != packet.len) {
		eap_refuse(e, "an EAP packet of the server has a wrong length");
		return EAP_FAILS;
	}
	if (code == EAP_SUCCESS || code == EAP_FAILURE)
		return conclude(e, code == EAP_SUCCESS, r.left > 0);
	/* What failed is over; the server was told. */
	if (code == EAP_REQUEST && !e->lost)
		return respond(e, id, &r, out);
	eap_refuse(e, "the server sends an EAP packet with code %u", code);
	return EAP_FAILS;
}
