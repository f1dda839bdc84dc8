/* hostile_esp.c - ESP packets with valid keys and any content. SPDX-License-Identifier: ISC */
#include "hostile.h"
#include "frame.h"

#define INNER_MAX 1500
#define IPV4	  20

/* ---- inner packets ---- */

/* Makes a packet that the traffic selectors admit: from the peer's net to the gateway's. */
static size_t good_inner(struct hostile *h, uint8_t *p)
{
	const struct child_conf *k = h->peer.conf->children;
	size_t len = IPV4 + 8 + draw(h, 200);

	rng_fill(&h->rng.rng, p, len);
	memset(p, 0, IPV4);
	p[0] = 0x45;
	put_be16(p + 2, (uint16_t)len);
	p[8] = 64;
	p[9] = one_in(h, 2) ? 17 : 6;
	memcpy(p + 12, k->local_ts->ts[0].lo.b, 4);
	memcpy(p + 16, k->remote_ts->ts[0].lo.b, 4);
	p[15] = 1;
	p[19] = 1;
	put_be16(p + 24, (uint16_t)(len - IPV4));
	return len;
}

static size_t inner(struct hostile *h, uint8_t *p)
{
	size_t len = good_inner(h, p);

	switch (draw(h, 10)) {
	case 0: p[0] = (uint8_t)draw(h, 256); break;
	case 1: put_be16(p + 2, (uint16_t)draw(h, 65536)); break;
	case 2: len = draw(h, len + 1); break;
	case 3: /* addresses outside the traffic selectors */
		p[13] = (uint8_t)draw(h, 4);
		p[17] = (uint8_t)draw(h, 4);
		break;
	case 4: put_be16(p + 6, (uint16_t)draw(h, 65536)); break; /* fragments */
	case 5:
		len = draw(h, INNER_MAX);
		rng_fill(&h->rng.rng, p, len);
		break;
	case 6: p[0] = 0x60 | (uint8_t)draw(h, 16); break; /* as IPv6 */
	case 7: p[32] = (uint8_t)draw(h, 256); break;	   /* TCP's data offset */
	default: break;
	}
	return len;
}

/* ---- ESP ---- */

/* Mostly the next number; rarely the last one again, a lower or higher one, or UINT32_MAX. */
static uint64_t number(struct hostile *h, struct live_child *c)
{
	switch (draw(h, 40)) {
	case 0: return max_u64(c->number, 1);
	case 1: return c->number - min_u64(c->number, draw(h, 3000)) + 1;
	case 2: return c->number += draw(h, 100000);
	case 3:
		if (one_in(h, 100))
			return c->number = UINT32_MAX;
	/* fallthrough */
	default: return ++c->number;
	}
}

/* Appends padding, pad length and next header to the payload; returns the whole length. */
static size_t trailer(struct hostile *h, const struct suite *s, uint8_t *text, size_t len)
{
	size_t total = (len + 2 + s->block - 1) / s->block * s->block, pad = total - len - 2;
	unsigned more = (unsigned)draw(h, one_in(h, 10) ? 60 : 1);

	pad += more * s->block;
	total += more * s->block;
	for (size_t i = 0; i < pad; i++)
		text[len + i] = (uint8_t)(one_in(h, 40) ? draw(h, 256) : i + 1);
	text[total - 2] = (uint8_t)(one_in(h, 20) ? draw(h, 256) : pad);
	text[total - 1] = (uint8_t)(one_in(h, 10)   ? draw(h, 256)
				    : one_in(h, 10) ? 59
				    : one_in(h, 10) ? 41
						    : 4);
	return total;
}

size_t hostile_packet(struct hostile *h, struct live_child *c, uint8_t *out, size_t cap)
{
	const struct suite *s = c->suite;
	uint8_t *text = out + ESP_HEADER_LEN + s->iv_len, aad[ESP_AAD_MAX];
	uint64_t nr = number(h, c);
	struct aead_op op = {.key = c->seal};

	if (cap < ESP_HEADER_LEN + s->iv_len + INNER_MAX + 60u * s->block + 260 + s->icv_len)
		return 0;
	put_be32(out, c->spi);
	put_be32(out + 4, (uint32_t)nr);
	put_be64(out + ESP_HEADER_LEN, ++c->iv);
	op.iv = out + ESP_HEADER_LEN;
	op.src = op.dst = text;
	op.len = (uint32_t)trailer(h, s, text, inner(h, text));
	op.icv = text + op.len;
	esp_frame_aad(s, c->esn, out, nr, aad, &op);
	aead_seal_many(&op, 1);
	if (one_in(h, 30))
		op.icv[0] ^= 1;
	return ESP_HEADER_LEN + s->iv_len + op.len + s->icv_len;
}
