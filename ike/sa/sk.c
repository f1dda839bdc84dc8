/* sk.c - the encrypted payload (RFC 7296 3.14, RFC 5282). SPDX-License-Identifier: ISC */
#include "sa/exchange.h"

/*
 *   header 28 | SK header 4 | IV | payloads, padding, pad length 1 | ICV
 *   in both kinds of suites the authenticated part begins at the header
 */
int sk_open(struct ike_sa *sa, const uint8_t *msg, size_t len, const struct ike_payloads *outer,
	    uint8_t *out, size_t *ret_len)
{
	const struct suite *s = sa->choice.suite;
	const uint8_t *sk = outer->sk.p;
	size_t fixed = (size_t)s->iv_len + s->icv_len, text, pad;
	struct aead_op op = {.key = sa->open};

	/* The parser has checked that SK is the last payload. */
	if (!sa->open || outer->sk.len < fixed + 1 ||
	    (outer->sk.len - fixed) % (s->combined ? 1 : s->block))
		return -EBADMSG;
	text = outer->sk.len - fixed;
	op.aad = msg;
	op.aad_len = (uint16_t)(sk - msg);
	op.iv = sk;
	op.src = sk + s->iv_len;
	op.dst = out;
	op.len = (uint32_t)text;
	op.icv = (uint8_t *)msg + len - s->icv_len;
	aead_open_many(&op, 1);
	if (!op.ok)
		return -EBADMSG;
	pad = out[text - 1];
	if (pad + 1 > text)
		return -EBADMSG;
	*ret_len = text - 1 - pad;
	return 0;
}

size_t sk_seal(struct ike_sa *sa, const struct ike_header *h, const struct ike_builder *inside,
	       uint8_t *out, size_t cap)
{
	const struct suite *s = sa->choice.suite;
	size_t block = s->combined ? 1 : s->block;
	size_t text = (inside->w.len + 1 + block - 1) / block * block,
	       pad = text - inside->w.len - 1;
	struct aead_op op = {.key = sa->seal};
	struct ike_builder b;
	uint8_t *iv, *body;

	if (inside->w.bad)
		return 0;
	ib_message(&b, out, cap, h);
	ib_open(&b, PAYLOAD_SK);
	op.aad_len = (uint16_t)b.w.len;
	iv = wr_space(&b.w, s->iv_len);
	body = wr_space(&b.w, text);
	op.icv = wr_space(&b.w, s->icv_len);
	ib_close(&b);
	if (ib_finish(&b) == 0)
		return 0;
	out[IKE_HEADER_LEN] = inside->first;
	if (s->combined)
		put_be64(iv, ++sa->iv_counter ^ sa->iv_mask);
	else
		rng_fill(sa->ike->rng, iv, s->iv_len);
	memcpy(body, inside->w.base, inside->w.len);
	memset(body + inside->w.len, 0, pad);
	body[text - 1] = (uint8_t)pad;
	op.aad = out;
	op.iv = iv;
	op.src = op.dst = body;
	op.len = (uint32_t)text;
	aead_seal_many(&op, 1);
	return op.ok ? b.w.len : 0;
}
