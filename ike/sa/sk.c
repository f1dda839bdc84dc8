/*
 * sk.c - the encrypted payload (RFC 7296 3.14, RFC 5282), and the one of fragments (RFC 7383 2.5).
 * SPDX-License-Identifier: ISC
 */
#include "sa/exchange.h"

#define ID_AT 20 /* of the message ID in the header */

/* Each IKE_INTERMEDIATE exchange changes the keys; its own messages have those before. */
static bool uses_earlier(const struct ike_sa *sa, uint32_t id)
{
	const struct handshake *hs = sa->handshake;

	return hs && hs->earlier_open && hs->earlier_id == id;
}

/*
 *   header 28 | SK header 4, or SKF header 8 | IV | payloads, padding, pad length 1 | ICV
 *   in both kinds of suites the authenticated part begins at the header
 */
int sk_open(struct ike_sa *sa, const uint8_t *msg, size_t len, const struct ike_payloads *outer,
	    uint8_t *out, size_t *ret_len)
{
	const struct suite *s = sa->choice.suite;
	const uint8_t *sk = outer->sk.p;
	size_t fixed = (size_t)s->iv_len + s->icv_len, text, pad;
	struct aead_op op = {.key = uses_earlier(sa, get_be32(msg + ID_AT))
					    ? sa->handshake->earlier_open
					    : sa->open};

	/* The parser has checked that SK is the last payload. */
	if (!op.key || outer->sk.len < fixed + 1 ||
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
	*ret_len = 0;
	if (pad + 1 > text)
		return -EPROTO;
	*ret_len = text - 1 - pad;
	return 0;
}

/* The payloads with padding and pad length. */
static size_t padded(const struct suite *s, size_t len)
{
	size_t block = s->combined ? 1 : s->block;

	return (len + 1 + block - 1) / block * block;
}

size_t sk_len(const struct ike_sa *sa, size_t len)
{
	const struct suite *s = sa->choice.suite;

	return IKE_HEADER_LEN + 4u + s->iv_len + padded(s, len) + s->icv_len;
}

size_t skf_room(const struct ike_sa *sa, size_t cap)
{
	const struct suite *s = sa->choice.suite;
	size_t around = IKE_HEADER_LEN + IKE_SKF_LEN + s->iv_len + s->icv_len;
	size_t text = cap > around ? cap - around : 0;

	text -= s->combined ? 0 : text % s->block;
	return text ? text - 1 : 0;
}

size_t skf_seal(struct ike_sa *sa, const struct ike_header *h, const struct fragment_head *f,
		struct chunk inside, uint8_t *out, size_t cap)
{
	const struct suite *s = sa->choice.suite;
	size_t text = padded(s, inside.len);
	struct aead_op op = {.key = uses_earlier(sa, h->message_id) ? sa->handshake->earlier_seal
								    : sa->seal};
	struct ike_builder b;
	uint8_t *iv, *body;

	ib_message(&b, out, cap, h);
	ib_open(&b, f->total ? PAYLOAD_SKF : PAYLOAD_SK);
	if (f->total) {
		wr_be16(&b.w, f->number);
		wr_be16(&b.w, f->total);
	}
	op.aad_len = (uint16_t)b.w.len;
	iv = wr_space(&b.w, s->iv_len);
	body = wr_space(&b.w, text);
	op.icv = wr_space(&b.w, s->icv_len);
	ib_close(&b);
	if (ib_finish(&b) == 0)
		return 0;
	out[IKE_HEADER_LEN] = f->next;
	if (s->combined)
		put_be64(iv, ++sa->iv_counter ^ sa->iv_mask);
	else
		rng_fill(sa->ike->rng, iv, s->iv_len);
	if (inside.len)
		memcpy(body, inside.p, inside.len);
	memset(body + inside.len, 0, text - inside.len);
	body[text - 1] = (uint8_t)(text - inside.len - 1);
	op.aad = out;
	op.iv = iv;
	op.src = op.dst = body;
	op.len = (uint32_t)text;
	aead_seal_many(&op, 1);
	return op.ok ? b.w.len : 0;
}

size_t sk_seal(struct ike_sa *sa, const struct ike_header *h, const struct ike_builder *inside,
	       uint8_t *out, size_t cap)
{
	const struct fragment_head whole = {.next = inside->first};

	return inside->w.bad ? 0
			     : skf_seal(sa, h, &whole,
					(struct chunk){inside->w.base, inside->w.len}, out, cap);
}
