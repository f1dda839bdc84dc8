/*
 * t_ike_wire.c - parsing IKEv2 messages and choosing proposals: what is rejected as a whole, and
 * what is ignored (RFC 7296 2.5, 3).
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/cp.h"
#include "wire/proposal.h"
#include "crypto/kex.h"

#include <stdio.h>

static const struct chunk nothing;

struct msg {
	uint8_t b[2048];
	size_t len;
	uint8_t first;
};

static const struct chunk nonce = {(const uint8_t *)"0123456789abcdef0123456789abcdef", 32};

/* Makes a message with a nonce, KE, a notify and a vendor ID. */
static struct msg sample(void)
{
	struct ike_builder b;
	struct msg m;

	ib_inside(&b, m.b, sizeof(m.b));
	ib_payload(&b, PAYLOAD_NONCE, nonce);
	ib_ke(&b, 31, nonce);
	ib_notify(&b, PROTOCOL_ESP, (struct chunk){(const uint8_t *)"spi!", 4}, NOTIFY_REKEY_SA,
		  nothing);
	ib_payload(&b, PAYLOAD_VENDOR, nonce);
	m.first = b.first;
	m.len = b.w.len;
	assert_false(b.w.bad);
	return m;
}

static int parse(const struct msg *m, struct ike_payloads *p)
{
	return ike_payloads_parse(m->first, m->b, m->len, p);
}

/* A correct message is parsed. */
static void whole(void **state)
{
	struct msg m = sample();
	struct ike_payloads p;

	(void)state;
	assert_int_equal(parse(&m, &p), 0);
	assert_int_equal(p.present, PL(NONCE) | PL(KE) | PL(NOTIFY) | PL(VENDOR));
	assert_int_equal(p.ke.group, 31);
	assert_int_equal(p.ke.data.len, 32);
	assert_memory_equal(p.nonce.p, nonce.p, 32);
	assert_non_null(ike_find_notify(&p, NOTIFY_REKEY_SA));
	assert_null(ike_find_error(&p));
}

/* Every wrong length is rejected: a message cut anywhere or one byte too long, and each length
 * field changed. */
static void lengths(void **state)
{
	struct msg m = sample(), c;
	struct ike_payloads p;
	size_t at = 0;

	(void)state;
	for (c = m, c.len = 0; c.len < m.len; c.len++)
		assert_int_equal(parse(&c, &p), -EBADMSG);
	c = m;
	c.b[c.len++] = 0;
	assert_int_equal(parse(&c, &p), -EBADMSG);
	while (at < m.len) {
		uint16_t length = get_be16(m.b + at + 2);

		for (int d = -3; d <= 3; d++) {
			c = m;
			put_be16(c.b + at + 2, (uint16_t)(length + d));
			if (d)
				assert_int_equal(parse(&c, &p), -EBADMSG);
		}
		at += length;
	}
	assert_int_equal(at, m.len);
}

/* The IKE header is parsed; a message of any other length than the header says is rejected. */
static void header(void **state)
{
	struct ike_header h = {
		.spi_i = 1, .exchange = IKE_SA_INIT, .flags = IKE_FLAG_INITIATOR, .message_id = 7};
	struct ike_builder b;
	uint8_t m[256];
	size_t len;

	(void)state;
	ib_message(&b, m, sizeof(m), &h);
	ib_payload(&b, PAYLOAD_NONCE, nonce);
	len = ib_finish(&b);
	assert_int_equal(ike_header_parse(m, len, &h), 0);
	assert_int_equal(h.message_id, 7);
	assert_int_equal(h.length, len);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(ike_header_parse(m, n, &h), -EBADMSG);
	assert_int_equal(ike_header_parse(m, len + 1, &h), -EBADMSG);
}

/* A payload that must not be repeated is rejected when it is; others may be repeated. */
static void repeated(void **state)
{
	static const struct {
		uint8_t type;
		int result;
	} t[] = {{PAYLOAD_NONCE, -EBADMSG}, {PAYLOAD_KE, -EBADMSG},   {PAYLOAD_SA, -EBADMSG},
		 {PAYLOAD_TSI, -EBADMSG},   {PAYLOAD_TSR, -EBADMSG},  {PAYLOAD_IDI, -EBADMSG},
		 {PAYLOAD_IDR, -EBADMSG},   {PAYLOAD_AUTH, -EBADMSG}, {PAYLOAD_EAP, -EBADMSG},
		 {PAYLOAD_VENDOR, 0},	    {PAYLOAD_CERTREQ, 0},     {PAYLOAD_CERT, 0}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct ike_payloads p;
		struct ike_builder b;
		uint8_t m[256];

		ib_inside(&b, m, sizeof(m));
		ib_payload(&b, t[i].type, nonce);
		ib_payload(&b, t[i].type, nonce);
		assert_int_equal(ike_payloads_parse(b.first, m, b.w.len, &p), t[i].result);
	}
}

/* Of CERT and CERTREQ payloads the first ones are kept, whatever their number; each needs its
 * encoding. */
static void certificates(void **state)
{
	struct ike_payloads p;
	struct ike_builder b;
	uint8_t m[2048];

	(void)state;
	ib_inside(&b, m, sizeof(m));
	for (unsigned i = 0; i < 3 * IKE_MAX_CERTS; i++) {
		ib_cert(&b, PAYLOAD_CERT, CERT_X509, (struct chunk){nonce.p, i % 8});
		ib_cert(&b, PAYLOAD_CERTREQ, CERT_RAW_KEY, nonce);
	}
	assert_int_equal(ike_payloads_parse(b.first, m, b.w.len, &p), 0);
	assert_int_equal(p.cert_count, IKE_MAX_CERTS);
	assert_int_equal(p.certreq_count, IKE_MAX_CERTS);
	for (unsigned i = 0; i < IKE_MAX_CERTS; i++) {
		assert_int_equal(p.cert[i].encoding, CERT_X509);
		assert_int_equal(p.cert[i].data.len, i % 8);
		assert_int_equal(p.certreq[i].encoding, CERT_RAW_KEY);
		assert_int_equal(p.certreq[i].data.len, nonce.len);
	}
	ib_inside(&b, m, sizeof(m));
	ib_payload(&b, PAYLOAD_CERT, nothing);
	assert_int_equal(ike_payloads_parse(b.first, m, b.w.len, &p), -EBADMSG);
}

/* Reserved bits, the order, unknown non-critical payloads and unknown notifies are ignored. */
static void ignored(void **state)
{
	struct ike_payloads p;
	struct ike_builder b;
	uint8_t m[512];

	(void)state;
	ib_inside(&b, m, sizeof(m));
	ib_notify(&b, 99, nothing, 50000, nonce);
	ib_payload(&b, 200, nonce);
	ib_payload(&b, PAYLOAD_VENDOR, nonce);
	ib_payload(&b, PAYLOAD_NONCE, nonce);
	ib_ke(&b, 31, nonce);
	m[1] |= 0x7f;
	assert_int_equal(ike_payloads_parse(b.first, m, b.w.len, &p), 0);
	assert_int_equal(p.unknown_critical, 0);
	assert_true(p.present & PL(NONCE) && p.present & PL(KE));
	assert_null(ike_find_error(&p));
	/* the critical bit of a payload that we know is ignored (3.2) */
	m[1] |= 0x80;
	assert_int_equal(ike_payloads_parse(b.first, m, b.w.len, &p), 0);
	assert_int_equal(p.unknown_critical, 0);
	m[get_be16(m + 2) + 1] |= 0x80;
	assert_int_equal(ike_payloads_parse(b.first, m, b.w.len, &p), 0);
	assert_int_equal(p.unknown_critical, 200);
}

/* Nonces of 16 to 256 bytes are accepted, others are not (RFC 7296 3.9). */
static void nonce_sizes(void **state)
{
	static uint8_t big[300];

	(void)state;
	for (size_t n = 0; n < sizeof(big); n++) {
		struct ike_payloads p;
		struct ike_builder b;
		uint8_t m[512];

		ib_inside(&b, m, sizeof(m));
		ib_payload(&b, PAYLOAD_NONCE, (struct chunk){big, n});
		assert_int_equal(ike_payloads_parse(b.first, m, b.w.len, &p),
				 n >= 16 && n <= 256 ? 0 : -EBADMSG);
	}
}

/* A DELETE payload with wrong SPI size or number of SPIs is rejected. */
static void deletes(void **state)
{
	uint32_t spis[3] = {1, 2, 3};
	struct ike_payloads p;
	struct ike_builder b;
	uint8_t m[256];

	(void)state;
	ib_inside(&b, m, sizeof(m));
	ib_delete_esp(&b, spis, 3);
	assert_int_equal(ike_payloads_parse(b.first, m, b.w.len, &p), 0);
	assert_int_equal(p.del[0].count, 3);
	for (unsigned field = 5; field < 8; field++) { /* SPI size, number of SPIs */
		uint8_t was = m[field];

		m[field]++;
		assert_int_equal(ike_payloads_parse(b.first, m, b.w.len, &p), -EBADMSG);
		m[field] = was;
	}
	m[4] = PROTOCOL_IKE; /* the IKE SA has no SPIs here */
	assert_int_equal(ike_payloads_parse(b.first, m, b.w.len, &p), -EBADMSG);
}

/* A payload has up to 255 selectors, and all of them are read. */
static void selectors_as_many_as_there_can_be(void **state)
{
	struct ts_list l = {.count = TS_MAX}, got;
	uint8_t m[IKE_MAX_MESSAGE];
	struct ike_payloads p;
	struct ike_builder b;

	(void)state;
	for (unsigned i = 0; i < TS_MAX; i++) {
		char s[32];

		snprintf(s, sizeof(s), "10.%u.0.0/17[%u/%u]", i, i, 2 * i);
		assert_int_equal(ts_parse(s, &l.ts[i]), 0);
	}
	ib_inside(&b, m, sizeof(m));
	ib_ts(&b, PAYLOAD_TSI, &l);
	assert_int_equal(ike_payloads_parse(b.first, m, b.w.len, &p), 0);
	assert_int_equal(ike_ts_parse(p.tsi, &got), 0);
	assert_true(ts_list_eq(&got, &l));
}

/* A request with all that we ask for, and a reply, survive writing and parsing. */
static void configuration(void **state)
{
	struct cp_config c = {.addr_count = 2}, got;
	struct ike_payloads p;
	struct ike_builder b;
	uint8_t m[512], type;

	(void)state;
	c.addr[0].family = FAMILY_IPV4;
	c.addr[1].family = FAMILY_IPV6;
	ib_inside(&b, m, sizeof(m));
	cp_write(&b, CP_REQUEST, &c);
	assert_int_equal(ike_payloads_parse(b.first, m, b.w.len, &p), 0);
	assert_int_equal(cp_parse(p.cp, &type, &got), 0);
	assert_int_equal(type, CP_REQUEST);
	assert_memory_equal(&got, &c, sizeof(c));
	assert_int_equal(addr_parse("10.3.0.7", &c.addr[0]), 0);
	assert_int_equal(addr_parse("fd00::7", &c.addr[1]), 0);
	assert_int_equal(addr_parse("10.3.0.53", &c.dns[c.dns_count++]), 0);
	assert_int_equal(addr_parse("fd00::53", &c.dns[c.dns_count++]), 0);
	c.subnet_count = 2;
	assert_int_equal(addr_parse("10.64.0.0", &c.subnet[0].addr), 0);
	c.subnet[0].len = 10;
	assert_int_equal(addr_parse("fd00:1::", &c.subnet[1].addr), 0);
	c.subnet[1].len = 32;
	ib_inside(&b, m, sizeof(m));
	cp_write(&b, CP_REPLY, &c);
	assert_int_equal(ike_payloads_parse(b.first, m, b.w.len, &p), 0);
	assert_int_equal(cp_parse(p.cp, &type, &got), 0);
	assert_int_equal(type, CP_REPLY);
	assert_memory_equal(&got, &c, sizeof(c));
	for (size_t n = 0; n < 4; n++)
		assert_int_equal(cp_parse((struct chunk){p.cp.p, n}, &type, &got), -EBADMSG);
	assert_int_equal(cp_parse((struct chunk){p.cp.p, p.cp.len - 1}, &type, &got), -EBADMSG);
}

/* What a hostile peer may send: thousands of attributes, odd lengths, addresses that no host has.
 */
static void hostile_configuration(void **state)
{
	static const struct {
		uint16_t type, len;
		uint8_t v[17];
	} odd[] = {
		{1, 4, {0, 0, 0, 1}},
		{1, 4, {127, 0, 0, 1}},
		{1, 4, {224, 0, 0, 1}},
		{1, 4, {255, 255, 255, 255}},
		{1, 3, {10, 0, 0}},
		{1, 5, {10, 0, 0, 1, 1}},
		{1, 0, {0}},
		{8, 16, {0xff, 2}},
		{8, 17, {0}},
		{8, 15, {0xfd}},
		{3, 0, {0}},
		{3, 16, {0xfd}},
		{10, 4, {10, 0, 0, 1}},
		{13, 8, {10, 0, 0, 0, 255, 0, 255, 0}},
		{13, 4, {10}},
		{15, 17, {[0] = 0xfd, [16] = 129}},
		{25, 5, {'a', '.', 'b'}},
		{0x7fff, 17, {1}},
	};
	uint8_t m[IKE_MAX_MESSAGE], type;
	struct cp_config got;
	struct writer w;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		wr_init(&w, m, sizeof(m));
		wr_be32(&w, CP_REPLY << 24);
		wr_be16(&w, odd[i].type);
		wr_be16(&w, odd[i].len);
		wr_bytes(&w, odd[i].v, odd[i].len);
		assert_int_equal(cp_parse((struct chunk){m, w.len}, &type, &got), 0);
		assert_int_equal(got.addr_count + got.dns_count + got.subnet_count, 0);
		assert_int_equal(cp_parse((struct chunk){m, w.len - 1}, &type, &got), -EBADMSG);
	}
	wr_init(&w, m, sizeof(m));
	wr_be32(&w, CP_REQUEST << 24);
	for (unsigned i = 0; i < 1000; i++) {
		wr_be16(&w, i % 2 ? 1 : 3);
		wr_be16(&w, 4);
		wr_be32(&w, 0x0a000001 + i);
	}
	assert_int_equal(cp_parse((struct chunk){m, w.len}, &type, &got), 0);
	assert_int_equal(got.addr_count, CP_ADDRS);
	assert_int_equal(got.dns_count, CP_DNS);
}

/* Traffic selectors survive writing and parsing; malformed ones are rejected. */
static void selectors(void **state)
{
	struct ts_list l = {.count = 2}, got;
	struct ike_payloads p;
	struct ike_builder b;
	uint8_t m[256], *body;
	size_t len;

	(void)state;
	assert_int_equal(ts_parse("10.1.0.0/16", &l.ts[0]), 0);
	assert_int_equal(ts_parse("fd01::/16", &l.ts[1]), 0);
	ib_inside(&b, m, sizeof(m));
	ib_ts(&b, PAYLOAD_TSI, &l);
	assert_int_equal(ike_payloads_parse(b.first, m, b.w.len, &p), 0);
	assert_int_equal(ike_ts_parse(p.tsi, &got), 0);
	assert_true(ts_list_eq(&got, &l));
	body = m + 4;
	len = p.tsi.len;
	for (size_t n = 0; n < len; n++)
		assert_int_equal(ike_ts_parse((struct chunk){body, n}, &got), -EBADMSG);
	body[0] = 3; /* more selectors than there are */
	assert_int_equal(ike_ts_parse(p.tsi, &got), -EBADMSG);
	body[0] = 1; /* bytes are left over */
	assert_int_equal(ike_ts_parse(p.tsi, &got), -EBADMSG);
	body[0] = 2;
	body[4] = 99; /* a selector of unknown type is skipped */
	assert_int_equal(ike_ts_parse(p.tsi, &got), 0);
	assert_int_equal(got.count, 1);
	body[4] = 7;
	put_be16(body + 8, 65535); /* OPAQUE, and then an empty range of ports */
	put_be16(body + 10, 0);
	assert_int_equal(ike_ts_parse(p.tsi, &got), 0);
	assert_int_equal(got.count, 2);
	assert_true(ts_is_opaque(&got.ts[0]));
	put_be16(body + 10, 1);
	assert_int_equal(ike_ts_parse(p.tsi, &got), 0);
	assert_int_equal(got.count, 1);
	body[4 + 8 + 4] = 9; /* the end address is before the start address */
	assert_int_equal(ike_ts_parse(p.tsi, &got), -EBADMSG);
}

/* ---- proposals ---- */

/* Lists that cases make; they are freed at the end. */
static struct proposal_list lists[64];
static unsigned list_count;

static struct proposal_list *new_list(void)
{
	assert_true(list_count < ARRAY_SIZE(lists));
	return &lists[list_count++];
}

static int free_lists(void **state)
{
	(void)state;
	while (list_count)
		proposals_free(&lists[--list_count]);
	return 0;
}

/* The list of one proposal, or of the default ones. It shares its proposals with `lists`. */
static struct proposal_list text(const char *s, uint8_t protocol)
{
	struct proposal_list *l = new_list();
	char err[PROPOSAL_ERR];

	if (proposals_add_text(l, s, protocol, err) < 0)
		fail_msg("%s: %s", s, err);
	return *l;
}

/* Writes the body of an SA payload that offers l; returns its length. */
static size_t offer(const struct proposal_list *l, uint8_t *m, size_t cap)
{
	struct ike_builder b;
	uint8_t buf[2048];

	ib_inside(&b, buf, sizeof(buf));
	proposals_write(&b, l, (struct chunk){(const uint8_t *)"spi!", 4}, PROPOSAL_KEX);
	assert_false(b.w.bad);
	assert_true(b.w.len - 4 <= cap);
	memcpy(m, buf + 4, b.w.len - 4);
	return b.w.len - 4;
}

static bool choose(const struct proposal_list *ours, const uint8_t *m, size_t len,
		   struct proposal_choice *c)
{
	struct proposal_offer theirs;

	assert_int_equal(proposals_parse((struct chunk){m, len}, &theirs), 0);
	return proposals_choose(ours, &theirs, true, 0, c);
}

/* An SA payload with any wrong length or count is rejected. */
static void proposal_lengths(void **state)
{
	struct proposal_list l = text("aes128gcm16-x25519-esn-noesn", PROTOCOL_ESP);
	struct proposal_offer got;
	uint8_t m[512], c[512];
	size_t len = offer(&l, m, sizeof(m));

	(void)state;
	assert_int_equal(proposals_parse((struct chunk){m, len}, &got), 0);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(proposals_parse((struct chunk){m, n}, &got), -EBADMSG);
	/* proposal length, SPI size, number of transforms, length of the first transform */
	static const uint8_t field[] = {3, 6, 7, 8 + 4 + 3};

	for (size_t i = 0; i < ARRAY_SIZE(field); i++) {
		for (int d = -3; d <= 3; d++) {
			memcpy(c, m, len);
			c[field[i]] = (uint8_t)(c[field[i]] + d);
			if (d)
				assert_int_equal(proposals_parse((struct chunk){c, len}, &got),
						 -EBADMSG);
		}
	}
}

/* An unknown transform makes its own proposal unacceptable, but not the others. */
static void unknown_transforms(void **state)
{
	struct proposal_list ours = text("aes128gcm16-x25519-noesn", PROTOCOL_ESP);
	struct proposal p[2] = {ours.p[0], ours.p[0]};
	struct proposal_list two = {.count = 2, .p = p};
	struct proposal_choice c;
	uint8_t m[1024];
	size_t len, first;

	(void)state;
	len = offer(&two, m, sizeof(m));
	first = get_be16(m + 2);
	assert_true(choose(&ours, m, len, &c));
	assert_int_equal(c.number, 1);
	m[8 + 4 + 4] = 77; /* type of the first transform of the first proposal */
	assert_true(choose(&ours, m, len, &c));
	assert_int_equal(c.number, 2);
	put_be16(m + first + 8 + 4 + 6, 0x7777); /* the second proposal has an unknown cipher */
	assert_false(choose(&ours, m, len, &c));
}

/* The body of an SA payload, written by hand. */
struct sa_body {
	uint8_t b[16384];
	size_t len, proposal;
	uint8_t number;
};

/* Begins the next proposal, for ESP. */
static void next_proposal(struct sa_body *s)
{
	if (s->number)
		s->b[s->proposal] = 2;
	s->proposal = s->len;
	memset(s->b + s->len, 0, 12);
	s->b[s->len + 4] = ++s->number;
	s->b[s->len + 5] = PROTOCOL_ESP;
	s->b[s->len + 6] = 4;
	memcpy(s->b + s->len + 8, "spi!", 4);
	s->len += 12;
	put_be16(s->b + s->proposal + 2, 12);
}

/* Adds a transform; key_bits 0: without the attribute. */
static void next_transform(struct sa_body *s, uint8_t type, uint16_t id, uint16_t key_bits)
{
	uint8_t *t = s->b + s->len, *p = s->b + s->proposal;
	uint16_t len = key_bits ? 12 : 8;

	for (size_t at = s->proposal + 12; at < s->len; at += get_be16(s->b + at + 2))
		s->b[at] = 3;
	memset(t, 0, len);
	put_be16(t + 2, len);
	t[4] = type;
	put_be16(t + 6, id);
	if (key_bits) {
		put_be16(t + 8, 0x800e);
		put_be16(t + 10, key_bits);
	}
	p[7]++;
	s->len += len;
	put_be16(p + 2, (uint16_t)(s->len - s->proposal));
}

/* Adds a two-byte attribute to the last transform. */
static void next_attribute(struct sa_body *s, uint16_t type, uint16_t value)
{
	size_t at = s->proposal + 12, next = at;

	while (next < s->len) {
		at = next;
		next += get_be16(s->b + at + 2);
	}
	put_be16(s->b + s->len, type);
	put_be16(s->b + s->len + 2, value);
	s->len += 4;
	put_be16(s->b + at + 2, (uint16_t)(s->len - at));
	put_be16(s->b + s->proposal + 2, (uint16_t)(s->len - s->proposal));
}

static void gcm_proposal(struct sa_body *s, uint16_t key_bits)
{
	next_proposal(s);
	next_transform(s, TRANSFORM_ENCR, ENCR_AES_GCM_16, key_bits);
	next_transform(s, TRANSFORM_KE, GROUP_X25519, 0);
	next_transform(s, TRANSFORM_ESN, ESN_NO, 0);
}

/* A transform with an unknown attribute is not chosen. */
static void unknown_attributes(void **state)
{
	/* the second one has a length field, which is 0 */
	static const uint16_t attributes[][2] = {{0x8000 | 99, 5}, {99, 0}};
	struct proposal_list ours = text("aes256gcm16-x25519-noesn", PROTOCOL_ESP);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
		for (unsigned with = 0; with < 3; with++) {
			struct sa_body s = {0};
			struct proposal_choice c;

			next_proposal(&s);
			next_transform(&s, TRANSFORM_KE, GROUP_X25519, 0);
			if (with == 1)
				next_attribute(&s, attributes[i][0], attributes[i][1]);
			next_transform(&s, TRANSFORM_ESN, ESN_NO, 0);
			next_transform(&s, TRANSFORM_ENCR, ENCR_AES_GCM_16, 256);
			if (with == 2)
				next_attribute(&s, attributes[i][0], attributes[i][1]);
			assert_int_equal(choose(&ours, s.b, s.len, &c), with == 0);
			/* the same transform without the attribute is chosen */
			next_transform(&s, TRANSFORM_ENCR, ENCR_AES_GCM_16, 256);
			next_transform(&s, TRANSFORM_KE, GROUP_X25519, 0);
			assert_true(choose(&ours, s.b, s.len, &c));
		}
	}
}

/* All proposals of a message are read, up to 255: only the last one is acceptable here. */
static void many_proposals(void **state)
{
	static const uint8_t counts[] = {1, 16, 17, 40, 255};
	struct proposal_list ours = text("aes256gcm16-x25519-noesn", PROTOCOL_ESP);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		struct sa_body s = {0};
		struct proposal_choice c;
		struct proposal_offer o;

		while (s.number + 1 < counts[i])
			gcm_proposal(&s, 128);
		assert_false(s.number && choose(&ours, s.b, s.len, &c));
		gcm_proposal(&s, 256);
		assert_int_equal(proposals_parse((struct chunk){s.b, s.len}, &o), 0);
		assert_int_equal(o.count, counts[i]);
		assert_true(choose(&ours, s.b, s.len, &c));
		assert_int_equal(c.number, counts[i]);
		assert_int_equal(c.suite->key_bits, 256);
		assert_int_equal(c.group, GROUP_X25519);
		assert_int_equal(c.spi, 0x73706921);
	}
}

/* A proposal may have many unknown transforms, and known ones after them are still found. */
static void many_transforms(void **state)
{
	static const unsigned counts[] = {30, 33, 60, 200};
	struct proposal_list ours = text("aes256gcm16-x25519-noesn", PROTOCOL_ESP);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		struct sa_body s = {0};
		struct proposal_choice c;

		next_proposal(&s);
		for (unsigned k = 0; k + 3 < counts[i]; k++) {
			if (k % 3 == 0)
				next_transform(&s, TRANSFORM_ENCR, ENCR_AES_GCM_16,
					       (uint16_t)(8 + k));
			else if (k % 3 == 1)
				next_transform(&s, TRANSFORM_KE, (uint16_t)(2000 + k), 0);
			else
				next_transform(&s, TRANSFORM_INTEG, (uint16_t)(3000 + k), 0);
		}
		next_transform(&s, TRANSFORM_INTEG, INTEG_NONE, 0);
		assert_false(choose(&ours, s.b, s.len, &c));
		next_transform(&s, TRANSFORM_KE, GROUP_X25519, 0);
		next_transform(&s, TRANSFORM_ESN, ESN_NO, 0);
		next_transform(&s, TRANSFORM_ENCR, ENCR_AES_GCM_16, 256);
		assert_int_equal(s.b[7], counts[i] + 1);
		assert_true(choose(&ours, s.b, s.len, &c));
		assert_int_equal(c.suite->key_bits, 256);
		assert_int_equal(c.group, GROUP_X25519);
	}
}

/* Known transforms that are repeated do not hide different ones after them. */
static void repeated_transforms(void **state)
{
	struct proposal_list ours = text("aes256gcm16-x25519-noesn", PROTOCOL_ESP);
	struct sa_body s = {0};
	struct proposal_choice c;

	(void)state;
	next_proposal(&s);
	for (unsigned k = 0; k < 50; k++)
		next_transform(&s, TRANSFORM_ENCR, ENCR_AES_GCM_16, 128);
	for (unsigned k = 0; k < 50; k++)
		next_transform(&s, TRANSFORM_KE, GROUP_MODP_2048, 0);
	next_transform(&s, TRANSFORM_ENCR, ENCR_AES_GCM_16, 256);
	next_transform(&s, TRANSFORM_KE, GROUP_X25519, 0);
	next_transform(&s, TRANSFORM_ESN, ESN_NO, 0);
	assert_true(choose(&ours, s.b, s.len, &c));
	assert_int_equal(c.suite->key_bits, 256);
	assert_int_equal(c.group, GROUP_X25519);
}

/* A transform type that we do not know, such as further key exchanges (RFC 9370), is acceptable if
 * it offers NONE. */
static void types_that_may_be_none(void **state)
{
	struct proposal_list ours = text("aes256gcm16-x25519-noesn", PROTOCOL_ESP);

	(void)state;
	for (unsigned type = 6; type <= 13; type++) {
		for (unsigned how = 0; how < 4; how++) {
			static const struct {
				bool none, other, fits;
			} t[] = {{true, false, true},
				 {true, true, true},
				 {false, true, false},
				 {false, false, true}};
			struct sa_body s = {0};
			struct proposal_choice c;

			gcm_proposal(&s, 256);
			if (t[how].other)
				next_transform(&s, (uint8_t)type, 1023, 0);
			if (t[how].none)
				next_transform(&s, (uint8_t)type, 0, 0);
			assert_int_equal(choose(&ours, s.b, s.len, &c), t[how].fits);
			gcm_proposal(&s, 256);
			assert_true(choose(&ours, s.b, s.len, &c));
			assert_int_equal(c.number, t[how].fits ? 1 : 2);
		}
	}
}

/* Additional key exchanges in the text of a proposal, and on the wire and back. */
static void additional_key_exchanges(void **state)
{
	static const char *const good[] = {
		"aes128gcm16-x25519-ke1_ecp256-noesn",
		"aes128gcm16-x25519-ke1_ecp256-ke1_none-ke7_modp4096-noesn"};
	static const char *const bad[] = {
		"aes128gcm16-ke1_ecp256-noesn",	  "aes128gcm16-x25519-ke0_ecp256-noesn",
		"aes128gcm16-x25519-ke8_ecp256",  "aes128gcm16-x25519-ke1_aes128",
		"aes128gcm16-x25519-ke1_",	  "aes128gcm16-x25519-none",
		"aes128gcm16-x25519-ke1_esn",	  "aes128gcm16-mlkem768-noesn",
		"aes128gcm16-x25519-ke1_modp1024"};
	struct proposal p;
	char err[PROPOSAL_ERR], s[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct proposal_list l = text(good[i], PROTOCOL_ESP);
		struct proposal_choice c;
		uint8_t m[512];
		size_t len = offer(&l, m, sizeof(m));

		assert_string_equal(proposal_format(&l.p[0], s, sizeof(s)), good[i]);
		assert_string_equal(
			offer_format(&(struct proposal_offer){{m, len}, 1, false}, s, sizeof(s)),
			good[i]);
		assert_string_equal(proposals_format(&l, PROPOSAL_KEX_CUT, s, sizeof(s)),
				    "aes128gcm16-noesn");
		assert_true(choose(&l, m, len, &c));
		assert_int_equal(c.addke[0], GROUP_ECP_256);
		assert_int_equal(c.addke[6], i ? GROUP_MODP_4096 : GROUP_NONE);
		assert_string_equal(choice_format_kex(&c, s, sizeof(s)),
				    i ? "x25519 + ecp256 + modp4096" : "x25519 + ecp256");
		assert_string_equal(choice_format(&c, s, sizeof(s)),
				    i ? "aes128gcm16-x25519-ke1_ecp256-ke7_modp4096-noesn"
				      : "aes128gcm16-x25519-ke1_ecp256-noesn");
		assert_true(proposals_have_addke(&l));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (proposal_parse_text(bad[i], PROTOCOL_ESP, &p, err) == 0)
			fail_msg("%s is taken", bad[i]);
	}
	if (!kex_available(GROUP_ML_KEM_768)) {
		assert_int_equal(proposal_parse_text("aes128gcm16-x25519-ke1_mlkem768",
						     PROTOCOL_ESP, &p, err),
				 -EINVAL);
		assert_non_null(strstr(err, "mlkem768 needs OpenSSL 3.5; this is "));
	}
}

/* What does not fit into a proposal could have been required: the proposal is not acceptable. */
static void too_many_transforms(void **state)
{
	struct proposal_list ours = text("aes256gcm16-x25519-noesn", PROTOCOL_ESP);
	static const uint16_t groups[] = {14, 15, 16, 17, 18, 19, 20, 21, 31, 32};

	(void)state;
	for (unsigned types = 1; types <= 7; types++) {
		struct sa_body s = {0};
		struct proposal_choice c;

		gcm_proposal(&s, 256);
		for (unsigned t = 0; t < types; t++) {
			for (size_t g = 0; g < ARRAY_SIZE(groups); g++)
				next_transform(&s, (uint8_t)(6 + t), groups[g], 0);
			next_transform(&s, (uint8_t)(6 + t), 0, 0);
		}
		assert_int_equal(choose(&ours, s.b, s.len, &c),
				 types * 11 + 3 <= PROPOSAL_TRANSFORMS);
	}
}

/* NONE must be offered for each unknown type: one type's NONE does not stand for another type. */
static void none_of_another_type(void **state)
{
	struct proposal_list ours = text("aes256gcm16-x25519-noesn", PROTOCOL_ESP);
	struct sa_body s = {0};
	struct proposal_choice c;

	(void)state;
	gcm_proposal(&s, 256);
	for (unsigned type = 6; type <= 12; type++)
		next_transform(&s, (uint8_t)type, 0, 0);
	assert_true(choose(&ours, s.b, s.len, &c));
	next_transform(&s, 9, 36, 0);
	assert_true(choose(&ours, s.b, s.len, &c));
	next_transform(&s, 241, 36, 0);
	assert_false(choose(&ours, s.b, s.len, &c));
}

/* ---- which proposals are offered ---- */

static struct proposal_list three(void)
{
	static const char *const texts[] = {"aes128gcm16-x25519", "aes256gcm16",
					    "aes128gcm16-ecp256-modp2048", "aes128gcm16"};
	struct proposal_list *l = new_list();
	char err[PROPOSAL_ERR];

	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(proposals_add_text(l, texts[i], PROTOCOL_ESP, err), 0);
	return *l;
}

/* Writes the offer, reads it again, and compares it with the texts, in order. */
static void assert_offered(const struct proposal_list *l, enum proposal_kex kex,
			   const char *const *want, unsigned count)
{
	struct ike_builder b;
	struct proposal_offer o;
	struct proposal p;
	uint8_t m[2048];
	char s[128];
	size_t at = 0;

	ib_inside(&b, m, sizeof(m));
	proposals_write(&b, l, (struct chunk){(const uint8_t *)"spi!", 4}, kex);
	assert_false(b.w.bad);
	assert_int_equal(proposals_parse((struct chunk){m + 4, b.w.len - 4}, &o), 0);
	assert_int_equal(o.count, count);
	for (unsigned i = 0; i < count; i++) {
		assert_true(proposals_next(&o, &at, &p));
		assert_string_equal(proposal_format(&p, s, sizeof(s)), want[i]);
		assert_int_equal(p.number, i + 1); /* numbered from 1 (RFC 7296 3.3.1) */
		assert_int_equal(p.spi_len, 4);
		assert_memory_equal(p.spi, "spi!", 4);
	}
	assert_false(proposals_next(&o, &at, &p));
}

/* Without key exchanges, proposals that become equal are offered once. */
static void what_is_offered(void **state)
{
	static const char *const all[] = {"aes128gcm16-x25519-noesn", "aes256gcm16-noesn",
					  "aes128gcm16-ecp256-modp2048-noesn", "aes128gcm16-noesn"};
	/* in IKE_AUTH: without key exchanges, three of them are equal */
	static const char *const cut[] = {"aes128gcm16-noesn", "aes256gcm16-noesn"};
	/* the retry with a peer that has no PFS */
	static const char *const none[] = {"aes256gcm16-noesn", "aes128gcm16-noesn"};
	struct proposal_list l = three();

	(void)state;
	assert_offered(&l, PROPOSAL_KEX, all, 4);
	assert_offered(&l, PROPOSAL_KEX_CUT, cut, 2);
	assert_offered(&l, PROPOSAL_KEX_NONE, none, 2);
	assert_true(proposals_without_group(&l));
	l.count = 1;
	assert_offered(&l, PROPOSAL_KEX_CUT, cut, 1);
	assert_false(proposals_without_group(&l));
}

/* A list with and without PFS agrees with a peer that has only one of them. */
static void with_and_without_pfs(void **state)
{
	struct proposal_list l = three(), other = text("aes128gcm16-noesn", PROTOCOL_ESP);
	struct proposal_choice c;
	uint8_t m[512];
	size_t len = offer(&other, m, sizeof(m));

	(void)state;
	assert_true(choose(&l, m, len, &c));
	assert_int_equal(c.group, GROUP_NONE);
	assert_true(proposals_admit(&l, &c));
	other = text("aes128gcm16-ecp256-noesn", PROTOCOL_ESP);
	len = offer(&other, m, sizeof(m));
	assert_true(choose(&l, m, len, &c));
	assert_int_equal(c.group, GROUP_ECP_256);
	/* the reverse: the peer offers both, we have one */
	len = offer(&l, m, sizeof(m));
	other = text("aes128gcm16-noesn", PROTOCOL_ESP);
	assert_true(choose(&other, m, len, &c));
	assert_int_equal(c.number, 4);
	assert_int_equal(c.group, GROUP_NONE);
	other = text("aes128gcm16-modp2048-noesn", PROTOCOL_ESP);
	assert_true(choose(&other, m, len, &c));
	assert_int_equal(c.number, 3);
}

/* Of the transforms offered, a known one is chosen; the key length is part of the algorithm. */
static void alternatives(void **state)
{
	struct proposal_list ours = text("aes256gcm16-x25519-noesn", PROTOCOL_ESP);
	struct proposal_list theirs = text("aes128gcm16-aes256gcm16-x25519-noesn", PROTOCOL_ESP);
	struct proposal_choice c;
	uint8_t m[512];
	size_t len = offer(&theirs, m, sizeof(m));

	(void)state;
	assert_true(choose(&ours, m, len, &c));
	assert_int_equal(c.suite->key_bits, 256);
	theirs = text("aes128gcm16-x25519-noesn", PROTOCOL_ESP);
	len = offer(&theirs, m, sizeof(m));
	assert_false(choose(&ours, m, len, &c));
	/* a peer that requires ESN does not get an SA without it */
	theirs = text("aes256gcm16-x25519-esn", PROTOCOL_ESP);
	len = offer(&theirs, m, sizeof(m));
	assert_false(choose(&ours, m, len, &c));
}

/* Invalid proposal texts, such as a combined-mode cipher with another one (3.3), are rejected. */
static void mixed_text(void **state)
{
	static const char *const bad[] = {"aes128-x25519", "sha256", "aes128gcm16-nonsense", "",
					  "aes128gcm16-aes128-sha256"};
	char err[PROPOSAL_ERR];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct proposal p;

		err[0] = 0;
		if (proposal_parse_text(bad[i], PROTOCOL_ESP, &p, err) == 0)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_true(err[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),
		cmocka_unit_test(lengths),
		cmocka_unit_test(header),
		cmocka_unit_test(repeated),
		cmocka_unit_test(certificates),
		cmocka_unit_test(ignored),
		cmocka_unit_test(nonce_sizes),
		cmocka_unit_test(deletes),
		cmocka_unit_test(selectors),
		cmocka_unit_test(configuration),
		cmocka_unit_test(hostile_configuration),
		cmocka_unit_test(selectors_as_many_as_there_can_be),
		cmocka_unit_test(proposal_lengths),
		cmocka_unit_test(unknown_transforms),
		cmocka_unit_test(unknown_attributes),
		cmocka_unit_test(many_proposals),
		cmocka_unit_test(many_transforms),
		cmocka_unit_test(repeated_transforms),
		cmocka_unit_test(types_that_may_be_none),
		cmocka_unit_test(none_of_another_type),
		cmocka_unit_test(additional_key_exchanges),
		cmocka_unit_test(too_many_transforms),
		cmocka_unit_test(what_is_offered),
		cmocka_unit_test(with_and_without_pfs),
		cmocka_unit_test(alternatives),
		cmocka_unit_test(mixed_text),
	};

	return cmocka_run_group_tests(tests, NULL, free_lists);
}
