/* ike_wire.c - reads IKEv2 messages; see ike_wire.h. SPDX-License-Identifier: ISC */
#include "wire/ike_wire.h"

#include <stdio.h>

const char *ike_exchange_name(uint8_t exchange)
{
	switch (exchange) {
#define X(id, nr, name) \
	case nr: return name;
		FOREACH_EXCHANGE(X)
#undef X
	default: return "an unknown exchange";
	}
}

const char *ike_notify_format(uint16_t type, char *buf)
{
	switch (type) {
#define X(id, nr) \
	case nr: return #id;
		FOREACH_NOTIFY(X)
#undef X
	default: snprintf(buf, NOTIFY_NAME_LEN, "notify %u", type); return buf;
	}
}

int ike_header_parse(const uint8_t *p, size_t len, struct ike_header *ret)
{
	struct ike_header h;
	struct reader r;

	rd_init(&r, p, len);
	h.spi_i = rd_be64(&r);
	h.spi_r = rd_be64(&r);
	h.next = rd_u8(&r);
	h.version = rd_u8(&r);
	h.exchange = rd_u8(&r);
	h.flags = rd_u8(&r);
	h.message_id = rd_be32(&r);
	h.length = rd_be32(&r);
	if (r.bad || h.length != len)
		return -EBADMSG;
	*ret = h;
	return 0;
}

static int parse_notify(struct reader *r, struct ike_payloads *p)
{
	struct ike_notify_view n;
	uint8_t spi_size;

	n.protocol = rd_u8(r);
	spi_size = rd_u8(r);
	n.type = rd_be16(r);
	n.spi = (struct chunk){rd_bytes(r, spi_size), spi_size};
	n.data = rd_rest(r);
	if (r->bad)
		return -EBADMSG;
	/*
	 * The first ones are kept, as errors come first; no peer is known to send more than that.
	 */
	if (p->notify_count < IKE_MAX_NOTIFIES)
		p->notify[p->notify_count++] = n;
	return 0;
}

static int parse_delete(struct reader *r, struct ike_payloads *p)
{
	struct ike_delete_view d;

	d.protocol = rd_u8(r);
	d.spi_size = rd_u8(r);
	d.count = rd_be16(r);
	d.spis = rd_rest(r);
	if (r->bad || d.spis.len != (size_t)d.count * d.spi_size)
		return -EBADMSG;
	if (d.protocol == PROTOCOL_IKE ? d.spi_size != 0 : d.spi_size != 4)
		return -EBADMSG;
	if (p->delete_count == IKE_MAX_DELETES)
		return -EBADMSG;
	p->del[p->delete_count++] = d;
	return 0;
}

/* The first ones are kept: that of the peer itself comes first (3.6). */
static int parse_cert(struct reader *r, struct ike_cert_view *v, uint8_t *count)
{
	struct ike_cert_view c = {.encoding = rd_u8(r)};

	c.data = rd_rest(r);
	if (r->bad)
		return -EBADMSG;
	if (*count < IKE_MAX_CERTS)
		v[(*count)++] = c;
	return 0;
}

static int parse_id(struct reader *r, struct chunk body, uint8_t *type, struct chunk *whole,
		    struct chunk *data)
{
	*whole = body;
	*type = rd_u8(r);
	rd_bytes(r, 3);
	*data = rd_rest(r);
	return r->bad ? -EBADMSG : 0;
}

/* A payload that may come once only. */
static int parse_single(uint8_t type, struct chunk body, struct ike_payloads *p)
{
	struct reader r;

	rd_init(&r, body.p, body.len);
	switch (type) {
	case PAYLOAD_SA: p->sa = body; return body.len ? 0 : -EBADMSG;
	case PAYLOAD_KE:
		p->ke.group = rd_be16(&r);
		rd_be16(&r);
		p->ke.data = rd_rest(&r);
		return r.bad || p->ke.data.len == 0 ? -EBADMSG : 0;
	case PAYLOAD_IDI: return parse_id(&r, body, &p->idi.type, &p->idi.body, &p->idi.data);
	case PAYLOAD_IDR: return parse_id(&r, body, &p->idr.type, &p->idr.body, &p->idr.data);
	case PAYLOAD_AUTH:
		p->auth.method = rd_u8(&r);
		rd_bytes(&r, 3);
		p->auth.data = rd_rest(&r);
		return r.bad ? -EBADMSG : 0;
	case PAYLOAD_NONCE:
		p->nonce = body;
		return body.len < IKE_NONCE_MIN || body.len > IKE_NONCE_MAX ? -EBADMSG : 0;
	case PAYLOAD_TSI: p->tsi = body; return 0;
	case PAYLOAD_TSR: p->tsr = body; return 0;
	case PAYLOAD_EAP: p->eap = body; return body.len < 4 ? -EBADMSG : 0;
	case PAYLOAD_CP:
		if (!p->cp.p)
			p->cp = body;
		return body.len < 4 ? -EBADMSG : 0;
	default: return 0;
	}
}

#define REPEATABLE (PL(CERT) | PL(CERTREQ) | PL(NOTIFY) | PL(DELETE) | PL(VENDOR) | PL(CP))

static int parse_payload(uint8_t type, struct chunk body, struct ike_payloads *p)
{
	uint32_t bit = 1u << (type - PAYLOAD_FIRST);
	struct reader r;

	if ((p->present & bit) && !(bit & REPEATABLE))
		return -EBADMSG;
	p->present |= bit;
	rd_init(&r, body.p, body.len);
	if (type == PAYLOAD_NOTIFY)
		return parse_notify(&r, p);
	if (type == PAYLOAD_DELETE)
		return parse_delete(&r, p);
	if (type == PAYLOAD_CERT)
		return parse_cert(&r, p->cert, &p->cert_count);
	if (type == PAYLOAD_CERTREQ)
		return parse_cert(&r, p->certreq, &p->certreq_count);
	return parse_single(type, body, p);
}

/* SK, or SKF, which has two numbers before the IV. */
static int parse_protected(uint8_t type, struct chunk body, struct ike_payloads *p)
{
	struct reader r;

	rd_init(&r, body.p, body.len);
	if (type == PAYLOAD_SKF) {
		p->fragment = rd_be16(&r);
		p->fragments = rd_be16(&r);
	}
	p->present |= type == PAYLOAD_SKF ? PL(SKF) : PL(SK);
	p->sk = rd_rest(&r);
	return r.bad ? -EBADMSG : 0;
}

static bool is_known(uint8_t type)
{
	return type >= PAYLOAD_FIRST && type <= PAYLOAD_LAST &&
	       (PAYLOADS_KNOWN & 1u << (type - PAYLOAD_FIRST));
}

int ike_payloads_parse(uint8_t first, const uint8_t *p, size_t len, struct ike_payloads *ret)
{
	struct reader r;
	uint8_t type = first;

	memset(ret, 0, sizeof(*ret));
	rd_init(&r, p, len);
	while (type != PAYLOAD_NONE) {
		uint8_t next = rd_u8(&r);
		bool critical = rd_u8(&r) & 0x80;
		uint16_t length = rd_be16(&r);
		struct chunk body = {.len = length >= 4 ? length - 4u : 0};

		body.p = rd_bytes(&r, body.len);
		if (r.bad || length < 4)
			return -EBADMSG;
		if (type == PAYLOAD_SK || type == PAYLOAD_SKF) {
			/*
			 * It is the last payload; its next field is the type of the first one
			 * inside (RFC 7296 3.14).
			 */
			if (parse_protected(type, body, ret) < 0)
				return -EBADMSG;
			ret->sk_next = next;
			break;
		}
		if (!is_known(type)) {
			if (critical && !ret->unknown_critical)
				ret->unknown_critical = type;
		} else if (parse_payload(type, body, ret) < 0) {
			return -EBADMSG;
		}
		type = next;
	}
	return rd_done(&r) ? 0 : -EBADMSG;
}

const struct ike_notify_view *ike_find_notify(const struct ike_payloads *p, uint16_t type)
{
	for (unsigned i = 0; i < p->notify_count; i++) {
		if (p->notify[i].type == type)
			return &p->notify[i];
	}
	return NULL;
}

const struct ike_notify_view *ike_find_error(const struct ike_payloads *p)
{
	for (unsigned i = 0; i < p->notify_count; i++) {
		if (p->notify[i].type < NOTIFY_STATUS)
			return &p->notify[i];
	}
	return NULL;
}

#define TS_IPV4_RANGE 7
#define TS_IPV6_RANGE 8

static int parse_ts(struct reader *r, struct ts_list *l)
{
	uint8_t type = rd_u8(r), family;
	struct reader part;
	struct ts t = {0};
	uint16_t length;

	t.proto = rd_u8(r);
	length = rd_be16(r);
	part = rd_part(r, length >= 4 ? length - 4u : 0);
	if (r->bad || length < 4)
		return -EBADMSG;
	if (type != TS_IPV4_RANGE && type != TS_IPV6_RANGE)
		return 0;
	family = type == TS_IPV4_RANGE ? FAMILY_IPV4 : FAMILY_IPV6;
	t.family = family;
	t.port_lo = rd_be16(&part);
	t.port_hi = rd_be16(&part);
	if (part.bad || part.left != 2 * addr_len(family))
		return -EBADMSG;
	t.lo = addr_from_bytes(family, part.p);
	t.hi = addr_from_bytes(family, part.p + addr_len(family));
	if (addr_cmp(&t.lo, &t.hi) > 0)
		return -EBADMSG;
	/* A reversed range is empty, unless it is OPAQUE (3.13.1). */
	if ((t.port_lo <= t.port_hi || ts_is_opaque(&t)) && l->count < TS_MAX)
		l->ts[l->count++] = t;
	return 0;
}

int ike_ts_parse(struct chunk body, struct ts_list *ret)
{
	struct ts_list l;
	struct reader r;
	uint8_t count;

	l.count = 0;
	rd_init(&r, body.p, body.len);
	count = rd_u8(&r);
	rd_bytes(&r, 3);
	for (unsigned i = 0; i < count; i++) {
		if (parse_ts(&r, &l) < 0)
			return -EBADMSG;
	}
	if (!rd_done(&r))
		return -EBADMSG;
	ts_list_copy(ret, &l);
	return 0;
}
