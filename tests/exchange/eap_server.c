/* eap_server.c - see eap_server.h. SPDX-License-Identifier: ISC */
#include "eap_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

enum {
	REQUEST = 1,
	SUCCESS = 3,
	FAILURE = 4,
	IDENTITY = 1,
	NOTIFICATION = 2,
	NAK = 3,
	MD5 = 4,
	TLS = 13,
	MSCHAPV2 = 26,
	EXPANDED = 254
};

/* The steps of a conversation. */
enum {
	BEGIN,
	ASKED_IDENTITY,
	ASKED_OTHER,
	BEGUN,
	CHALLENGED,
	PROVED,
	REFUSED,
	TLS_GOES_ON,
	TLS_DONE,
	OVER
};

static size_t packet(struct eap_server *s, uint8_t code, uint8_t type, struct chunk data,
		     uint8_t *out)
{
	struct writer w;

	s->packets++;
	wr_init(&w, out, 66000);
	wr_u8(&w, code);
	wr_u8(&w, ++s->id);
	wr_be16(&w, 0);
	if (code == REQUEST)
		wr_u8(&w, type);
	wr_bytes(&w, data.p, data.len);
	put_be16(out + 2, (uint16_t)w.len);
	if (s->deed == EAP_LONG_LENGTH)
		out[3]++;
	if (s->deed == EAP_SHORT_LENGTH)
		out[3]--;
	return w.len;
}

static struct chunk text(const char *t)
{
	return (struct chunk){(const uint8_t *)t, strlen(t)};
}

static size_t end(struct eap_server *s, bool success, uint8_t *out)
{
	s->step = OVER;
	s->ended = true;
	if (s->deed == EAP_FAILURE_LAST)
		success = false;
	return packet(s, success ? SUCCESS : FAILURE, 0,
		      s->deed == EAP_SUCCESS_WITH_DATA ? text("x") : (struct chunk){0}, out);
}

/* ---- MS-CHAPv2 ---- */

static size_t chap_packet(struct eap_server *s, uint8_t op, struct chunk data, uint8_t *out)
{
	uint8_t b[512];
	struct writer w;

	wr_init(&w, b, sizeof(b));
	wr_u8(&w, op);
	wr_u8(&w, 77);
	wr_be16(&w, (uint16_t)(4 + data.len + (s->deed == EAP_LONG_MS_LENGTH)));
	wr_bytes(&w, data.p, data.len);
	return packet(s, REQUEST, MSCHAPV2, (struct chunk){b, w.len}, out);
}

static size_t challenge(struct eap_server *s, uint8_t *out)
{
	uint8_t b[1 + MSCHAP_CHALLENGE + 4] = {MSCHAP_CHALLENGE};

	for (unsigned i = 0; i < MSCHAP_CHALLENGE; i++)
		b[1 + i] = s->chap.auth_challenge[i] = (uint8_t)(i * 7 + s->packets);
	if (s->deed == EAP_SMALL_CHALLENGE)
		b[0] = 8;
	memcpy(b + 1 + MSCHAP_CHALLENGE, "test", 4);
	s->step = CHALLENGED;
	return chap_packet(s, 1, (struct chunk){b, sizeof(b)}, out);
}

/* Whether the peer's response is right; sets proof and msk. */
static bool response_is_right(struct eap_server *s, struct chunk data)
{
	uint8_t want[MSCHAP_RESPONSE];

	if (data.len < 54 || data.p[0] != 2 || data.p[1] != 77 || data.p[4] != 49 ||
	    get_be16(data.p + 2) != data.len)
		return false;
	memcpy(s->chap.peer_challenge, data.p + 5, MSCHAP_CHALLENGE);
	s->chap.user = (struct chunk){data.p + 54, data.len - 54};
	s->chap.password = text(s->password);
	assert_int_equal(mschap_compute(&s->chap, want, s->proof, s->msk), 0);
	return memcmp(want, data.p + 29, sizeof(want)) == 0;
}

static size_t prove(struct eap_server *s, uint8_t *out)
{
	char t[80] = "S=";

	for (unsigned i = 0; i < MSCHAP_PROOF; i++)
		sprintf(t + 2 + 2 * i, "%02X", s->proof[i]);
	strcat(t, " M=welcome");
	if (s->deed == EAP_WRONG_PROOF)
		t[20] = t[20] == '0' ? '1' : '0';
	if (s->deed == EAP_SHORT_PROOF)
		t[40] = '\0';
	s->step = PROVED;
	return chap_packet(s, 3, text(t), out);
}

static size_t refuse(struct eap_server *s, uint8_t *out)
{
	const char *t = s->deed == EAP_EXPIRED ? "E=648 R=0 C=00 V=3 M=expired"
					       : "E=691 R=1 C=00112233445566778899aabbccddeeff V=3 "
						 "M=go away\033[2J\n";

	s->step = REFUSED;
	return chap_packet(s, 4, text(t), out);
}

static size_t chap_next(struct eap_server *s, struct chunk data, uint8_t *out)
{
	switch (s->step) {
	case BEGUN: return challenge(s, out);
	case CHALLENGED:
		if (s->deed == EAP_CHALLENGES_AGAIN)
			return challenge(s, out);
		if (!response_is_right(s, data) || s->deed == EAP_REFUSES || s->deed == EAP_EXPIRED)
			return refuse(s, out);
		return prove(s, out);
	case PROVED: s->accepts = data.len == 1 && data.p[0] == 3; return end(s, s->accepts, out);
	default: return end(s, false, out);
	}
}

/* ---- TLS ---- */

static void on_tls(const SSL *ssl, int where, int value)
{
	struct eap_server *s = SSL_get_app_data(ssl);

	if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT)
		s->alert = (unsigned)value & 0xff;
}

static void tls_begin(struct eap_server *s)
{
	s->ctx = SSL_CTX_new(TLS_server_method());
	assert_non_null(s->ctx);
	assert_int_equal(SSL_CTX_set_min_proto_version(s->ctx, s->version), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(s->ctx, s->version), 1);
	assert_int_equal(SSL_CTX_use_certificate(s->ctx, s->leaf->x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(s->ctx, s->leaf->key), 1);
	assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(s->ctx), s->ca->x), 1);
	X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(s->ctx), PKI_NOW);
	SSL_CTX_set_verify(s->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_session_id_context(s->ctx, (const uint8_t *)"t", 1);
	s->ssl = SSL_new(s->ctx);
	s->in = BIO_new(BIO_s_mem());
	s->out = BIO_new(BIO_s_mem());
	SSL_set_bio(s->ssl, s->in, s->out);
	SSL_set_accept_state(s->ssl);
	SSL_set_app_data(s->ssl, s);
	SSL_set_info_callback(s->ssl, on_tls);
}

static void take_output(struct eap_server *s)
{
	int n = BIO_read(s->out, s->flight, sizeof(s->flight));

	s->flight_len = n > 0 ? (size_t)n : 0;
	s->flight_at = 0;
}

static void export_msk(struct eap_server *s)
{
	static const uint8_t type = TLS;
	bool v13 = s->version == TLS1_3_VERSION;
	const char *label = v13 ? "EXPORTER_EAP_TLS_Key_Material" : "client EAP encryption";
	uint8_t keys[128];

	assert_int_equal(SSL_export_keying_material(s->ssl, keys, sizeof(keys), label,
						    strlen(label), v13 ? &type : NULL, v13, v13),
			 1);
	memcpy(s->msk, keys, sizeof(s->msk));
}

/* The next fragment of the flight. */
static size_t tls_send(struct eap_server *s, uint8_t *out)
{
	size_t most = s->fragment ? s->fragment : 1000, left = s->flight_len - s->flight_at;
	size_t n = left < most ? left : most, total = s->flight_len;
	bool first = s->flight_at == 0 && n < left, more = n < left;
	static uint8_t b[66000];
	struct writer w;
	uint8_t flags = (uint8_t)((first ? 0x80 : 0) | (more ? 0x40 : 0));

	s->fragments += more;
	if (s->deed == EAP_FRAGMENT_WITHOUT_LENGTH)
		flags &= 0x7f;
	if (s->deed == EAP_FRAGMENT_EMPTY && !first && more)
		n = 0;
	if (s->deed == EAP_TOTAL_CHANGES && !first && more)
		flags |= 0x80, total++;
	if (s->deed == EAP_TOTAL_TOO_SMALL)
		total--;
	if (s->deed == EAP_TOTAL_TOO_LARGE)
		total++;
	if (s->deed == EAP_TOTAL_HUGE)
		total = 0xfffffff0;
	wr_init(&w, b, sizeof(b));
	wr_u8(&w, flags);
	if (flags & 0x80)
		wr_be32(&w, (uint32_t)total);
	wr_bytes(&w, s->flight + s->flight_at, n);
	s->flight_at += n;
	return packet(s, REQUEST, TLS, (struct chunk){b, w.len}, out);
}

static size_t tls_request(struct eap_server *s, uint8_t flags, uint8_t *out)
{
	return packet(s, REQUEST, TLS, (struct chunk){&flags, 1}, out);
}

/* The handshake is over: with TLS 1.3 the commitment, which the peer answers by an empty packet. */
static size_t tls_finish(struct eap_server *s, uint8_t *out)
{
	static const uint8_t zeros[2], one = 1;

	s->accepts = true;
	export_msk(s);
	s->step = TLS_DONE;
	if (s->version == TLS1_3_VERSION && s->deed != EAP_NO_COMMITMENT)
		assert_true(SSL_write(s->ssl, s->deed == EAP_WRONG_COMMITMENT ? &one : zeros,
				      s->deed == EAP_LONG_COMMITMENT ? 2 : 1) > 0);
	if (s->deed == EAP_NO_COMMITMENT)
		return end(s, true, out);
	take_output(s);
	return tls_send(s, out);
}

static size_t tls_next(struct eap_server *s, struct chunk data, uint8_t *out)
{
	struct reader r;
	uint8_t flags;

	if (s->step == BEGUN) {
		tls_begin(s);
		s->step = TLS_GOES_ON;
		return tls_request(s, s->deed == EAP_NO_START ? 0 : 0x20, out);
	}
	if (s->deed == EAP_STARTS_TWICE)
		return tls_request(s, 0x20, out);
	rd_init(&r, data.p, data.len);
	flags = rd_u8(&r);
	if (flags & 0x80)
		rd_be32(&r);
	BIO_write(s->in, r.p, (int)r.left);
	if (flags & 0x40)
		return s->deed == EAP_DOES_NOT_WAIT
			       ? packet(s, REQUEST, TLS, (struct chunk){(uint8_t[]){0, 1}, 2}, out)
			       : tls_request(s, 0, out);
	if (s->flight_at < s->flight_len)
		return tls_send(s, out);
	if (s->step == TLS_DONE)
		return s->deed == EAP_GOES_ON ? (s->step = OVER, tls_request(s, 0, out))
					      : end(s, true, out);
	if (SSL_do_handshake(s->ssl) == 1)
		return tls_finish(s, out);
	take_output(s);
	return s->flight_len ? tls_send(s, out) : end(s, false, out);
}

/* ---- the conversation ---- */

void eap_server_reset(struct eap_server *s)
{
	SSL_free(s->ssl);
	SSL_CTX_free(s->ctx);
	s->ssl = NULL;
	s->ctx = NULL;
	s->step = BEGIN;
	s->packets = s->fragments = 0;
	s->flight_len = s->flight_at = 0;
	s->accepts = s->ended = false;
	s->alert = 0;
	s->identity[0] = '\0';
}

static size_t begin_method(struct eap_server *s, uint8_t *out)
{
	s->step = BEGUN;
	return s->kind == AUTH_KIND_EAP_TLS ? tls_next(s, (struct chunk){0}, out)
					    : chap_next(s, (struct chunk){0}, out);
}

/* What comes before the method; 0: nothing more. */
static size_t preface(struct eap_server *s, struct chunk p, uint8_t *out)
{
	static const uint8_t vendor[] = {0, 1, 2, 0, 0, 0, 9};

	if (p.len >= 5 && p.p[4] == IDENTITY) {
		memcpy(s->identity, p.p + 5, p.len - 5);
		s->identity[p.len - 5] = '\0';
	}
	if (s->deed == EAP_SUCCESS_FIRST)
		return end(s, true, out);
	if (s->step == BEGIN || s->deed == EAP_IDENTITY_FOR_EVER) {
		s->step = ASKED_IDENTITY;
		if (s->asks_identity || s->deed == EAP_IDENTITY_FOR_EVER)
			return packet(s, REQUEST, IDENTITY, text("who is there?"), out);
	}
	if (s->step == ASKED_IDENTITY) {
		s->step = ASKED_OTHER;
		if (s->deed == EAP_MD5 || s->deed == EAP_MD5_ONLY)
			return packet(s, REQUEST, MD5, text("\002xy"), out);
		if (s->deed == EAP_EXPANDED_FIRST)
			return packet(s, REQUEST, EXPANDED, (struct chunk){vendor, sizeof(vendor)},
				      out);
		if (s->deed == EAP_NOTIFIES)
			return packet(s, REQUEST, NOTIFICATION, text("mind\033[1m the gap"), out);
	}
	if (s->deed == EAP_MD5_ONLY)
		return end(s, false, out);
	/* The Nak names our type. */
	if (s->deed == EAP_MD5)
		assert_true(p.len == 6 && p.p[4] == NAK &&
			    p.p[5] == (s->kind == AUTH_KIND_EAP_TLS ? TLS : MSCHAPV2));
	if (s->deed == EAP_EXPANDED_FIRST)
		assert_true(p.len == 20 && p.p[4] == EXPANDED && p.p[11] == NAK &&
			    p.p[19] == (s->kind == AUTH_KIND_EAP_TLS ? TLS : MSCHAPV2));
	return begin_method(s, out);
}

size_t eap_server_next(struct eap_server *s, struct chunk p, uint8_t *out)
{
	struct chunk data = {p.p + 5, p.len >= 5 ? p.len - 5 : 0};

	if (s->step == OVER)
		return 0;
	if (p.len) { /* what the peer sends is well-formed */
		assert_true(p.len >= 5 && get_be16(p.p + 2) == p.len && p.p[0] == 2);
		assert_int_equal(p.p[1], s->id);
	}
	if (s->step < BEGUN)
		return preface(s, p, out);
	if (s->deed == EAP_SUCCESS_EARLY)
		return end(s, true, out);
	if (s->deed == EAP_IDENTITY_WITHIN)
		return packet(s, REQUEST, IDENTITY, text("again?"), out);
	if (s->deed == EAP_MD5_WITHIN)
		return packet(s, REQUEST, MD5, text("\002xy"), out);
	if (s->deed == EAP_REFLECTS || s->deed == EAP_SENDS_BACK) {
		memcpy(out, p.p, p.len);
		if (s->deed == EAP_REFLECTS)
			out[0] = REQUEST;
		return p.len;
	}
	return s->kind == AUTH_KIND_EAP_TLS ? tls_next(s, data, out) : chap_next(s, data, out);
}
