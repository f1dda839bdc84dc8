/*
 * eap_mschapv2.c - EAP-MSCHAPv2 (draft-kamath-pppext-eap-mschapv2) as the peer.
 * SPDX-License-Identifier: ISC
 *
 *   challenge  -->                     our answer is made once: the server gets one response
 *              <--  response, with a challenge of ours
 *   success, with the proof that the server knows the password  -->
 *              <--  success
 *
 * A packet is its OpCode, an identifier that the response repeats, its length, and data.
 */
#include "auth/eap_method.h"
#include "auth/mschap.h"
#include "crypto/hash.h"
#include "crypto/legacy.h"
#include "xalloc.h"

#include <stdio.h>

#define EAP_MSCHAPV2 26

enum op_code { OP_CHALLENGE = 1, OP_RESPONSE = 2, OP_SUCCESS = 3, OP_FAILURE = 4 };

struct mschapv2 {
	uint8_t *password; /* owned */
	size_t password_len;
	bool answered;
	uint8_t proof[MSCHAP_PROOF];
	uint8_t msk[MSCHAP_MSK];
};

static void *begin(struct eap *e, const struct eap_setup *s, const char **ret_why)
{
	struct mschapv2 *m;

	(void)e;
	*ret_why = "no password for eap_id: give one in secrets, in a group eap...";
	if (!s->password.len)
		return NULL;
	*ret_why = "libcrypto's legacy provider, which has MD4 and DES, cannot be loaded";
	if (!legacy_is_available())
		return NULL;
	m = xzalloc(sizeof(*m));
	m->password = xmemdup(s->password.p, s->password.len);
	m->password_len = s->password.len;
	return m;
}

static void end(void *state)
{
	struct mschapv2 *m = state;

	secret_free(m->password, m->password_len);
	secret_free(m, sizeof(*m));
}

/* ---- challenge and response ---- */

static void write_response(const struct eap *e, uint8_t id, const struct mschap *c,
			   const uint8_t *response, struct writer *out)
{
	static const uint8_t reserved[8];
	size_t from = out->len;

	wr_u8(out, OP_RESPONSE);
	wr_u8(out, id);
	wr_be16(out, 0);
	wr_u8(out, MSCHAP_CHALLENGE + sizeof(reserved) + MSCHAP_RESPONSE + 1);
	wr_bytes(out, c->peer_challenge, MSCHAP_CHALLENGE);
	wr_bytes(out, reserved, sizeof(reserved));
	wr_bytes(out, response, MSCHAP_RESPONSE);
	wr_u8(out, 0); /* flags */
	wr_bytes(out, e->identity.p, e->identity.len);
	wr_patch_len16(out, from + 2, from);
}

static bool on_challenge(struct eap *e, uint8_t id, struct reader *r, struct writer *out)
{
	struct mschapv2 *m = e->state;
	struct mschap c = {.user = e->identity, .password = {m->password, m->password_len}};
	uint8_t response[MSCHAP_RESPONSE];
	uint8_t size = rd_u8(r);
	const uint8_t *challenge = rd_bytes(r, MSCHAP_CHALLENGE);

	if (m->answered)
		return eap_refuse(e, "the server sends a second challenge of MS-CHAPv2");
	if (r->bad || size != MSCHAP_CHALLENGE)
		return eap_refuse(e, "the challenge of the server is malformed");
	memcpy(c.auth_challenge, challenge, MSCHAP_CHALLENGE);
	rng_fill(e->rng, c.peer_challenge, MSCHAP_CHALLENGE);
	if (mschap_compute(&c, response, m->proof, m->msk) < 0)
		return eap_refuse(e, "the password is no UTF-8, or libcrypto has no MD4 and DES");
	m->answered = true;
	write_response(e, id, &c, response, out);
	return true;
}

/* ---- the server's verdict ---- */

/* "S=" and 40 hexadecimal digits; what follows is text for the user. */
static bool read_proof(struct reader *r, uint8_t proof[MSCHAP_PROOF])
{
	bool good = rd_u8(r) == 'S';

	good &= rd_u8(r) == '=';
	for (unsigned i = 0; i < MSCHAP_PROOF; i++) {
		int hi = hex_digit((char)rd_u8(r)), lo = hex_digit((char)rd_u8(r));

		good &= hi >= 0 && lo >= 0;
		proof[i] = (uint8_t)((unsigned)hi << 4 | ((unsigned)lo & 15));
	}
	return good && !r->bad;
}

static bool on_success(struct eap *e, struct reader *r, struct writer *out)
{
	struct mschapv2 *m = e->state;
	uint8_t proof[MSCHAP_PROOF];

	if (!m->answered || e->done)
		return eap_refuse(e, "the server says success before it has our response");
	if (!read_proof(r, proof) || !crypto_equal(proof, m->proof, sizeof(proof)))
		return eap_refuse(e, "the server does not show that it knows the password");
	e->done = true;
	memcpy(e->msk, m->msk, sizeof(e->msk));
	wr_u8(out, OP_SUCCESS);
	return true;
}

/* RFC 2759 6 */
static const char *meaning(unsigned error)
{
	switch (error) {
	case 646: return "not at this time of day";
	case 647: return "the account is disabled";
	case 648: return "the password has expired, and changing it is not supported";
	case 649: return "the account may not dial in";
	case 691: return "name or password is wrong";
	case 709: return "the password could not be changed";
	default: return "unknown error";
	}
}

/* "E=691 R=1 C=... V=3 M=text": the number, and the text. */
static unsigned read_failure(struct chunk text, char *message, size_t size)
{
	unsigned error = 0;
	size_t at = 2;

	*message = '\0';
	if (text.len < at || memcmp(text.p, "E=", at) != 0)
		return 0;
	for (; at < text.len && text.p[at] >= '0' && text.p[at] <= '9' && error < 100000; at++)
		error = error * 10 + text.p[at] - '0';
	for (; at + 3 <= text.len; at++) {
		if (memcmp(text.p + at, " M=", 3) == 0) {
			eap_print((struct chunk){text.p + at + 3, text.len - at - 3}, message,
				  size);
			break;
		}
	}
	return error;
}

/* We answer, as the server waits for that, and its EAP-Failure follows. There is no second try. */
static bool on_failure(struct eap *e, struct reader *r, struct writer *out)
{
	struct mschapv2 *m = e->state;
	char message[120];
	unsigned error;

	if (!m->answered || e->done)
		return eap_refuse(e, "the server says failure before it has our response");
	error = read_failure(rd_rest(r), message, sizeof(message));
	eap_refused(e, "the server refuses us: E=%u, %s%s%s%s", error, meaning(error),
		    *message ? " (\"" : "", message, *message ? "\")" : "");
	wr_u8(out, OP_FAILURE);
	return true;
}

static bool on_request(struct eap *e, struct chunk data, struct writer *out)
{
	struct reader r;
	uint8_t op, id;
	uint16_t len;

	rd_init(&r, data.p, data.len);
	op = rd_u8(&r);
	id = rd_u8(&r);
	len = rd_be16(&r);
	/* Some servers send a length that is too small; what counts is that of the packet. */
	if (r.bad || len > data.len)
		return eap_refuse(e, "a packet of MS-CHAPv2 has a wrong length");
	switch (op) {
	case OP_CHALLENGE: return on_challenge(e, id, &r, out);
	case OP_SUCCESS: return on_success(e, &r, out);
	case OP_FAILURE: return on_failure(e, &r, out);
	default: return eap_refuse(e, "the server sends OpCode %u of MS-CHAPv2", op);
	}
}

const struct eap_method eap_method_mschapv2 = {
	.type = EAP_MSCHAPV2,
	.name = "eap-mschapv2",
	.begin = begin,
	.request = on_request,
	.end = end,
};
