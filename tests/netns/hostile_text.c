/* hostile_text.c - invalid and unusual chains of IKE payloads. SPDX-License-Identifier: ISC */
#include "hostile.h"

#define DELETES_MAX 4000 /* SPIs in one message of IKE_MAX_MESSAGE bytes */

static const uint16_t groups[] = {0, 2, 14, 15, 16, 19, 20, 21, 31, 35};
static const uint16_t notifies[] = {
#define X(id, nr) nr,
	FOREACH_NOTIFY(X)
#undef X
};

/* ---- payloads ---- */

/* Returns an SPI of one of the IKE SA's CHILD SAs, or a random one. */
static uint32_t some_spi(struct hostile *h, const struct ike_sa *sa)
{
	unsigned skip = (unsigned)draw(h, sa->child_count + 1);
	const struct child_sa *c;

	LIST_FOREACH (c, &sa->children, link) {
		if (skip-- == 0)
			return one_in(h, 4) ? c->spi_out : c->spi_in;
	}
	return (uint32_t)draw(h, UINT32_MAX);
}

static void random_bytes(struct hostile *h, struct ike_builder *b, size_t len)
{
	uint8_t *p = wr_space(&b->w, len);

	if (p)
		rng_fill(&h->rng.rng, p, len);
}

static void write_transforms(struct hostile *h, struct ike_builder *b, unsigned count)
{
	static const uint16_t ids[] = {0, 1, 5, 6, 12, 14, 20, 28, 31};

	for (unsigned i = 0; i < count; i++) {
		bool bits = one_in(h, 2);

		wr_u8(&b->w, i + 1 < count ? 3 : (uint8_t)(3 * one_in(h, 20)));
		wr_u8(&b->w, 0);
		wr_be16(&b->w, (uint16_t)((bits ? 12 : 8) + (one_in(h, 30) ? draw(h, 9) : 0)));
		wr_u8(&b->w, (uint8_t)(one_in(h, 8) ? draw(h, 256) : 1 + draw(h, 5)));
		wr_u8(&b->w, 0);
		wr_be16(&b->w,
			one_in(h, 8) ? (uint16_t)draw(h, 65536) : ids[draw(h, ARRAY_SIZE(ids))]);
		if (bits) {
			wr_be16(&b->w, one_in(h, 10) ? (uint16_t)draw(h, 65536) : 0x800e);
			wr_be16(&b->w, (uint16_t)(64 * draw(h, 6)));
		}
	}
}

static void write_sa(struct hostile *h, struct ike_builder *b, const struct ike_sa *sa)
{
	unsigned proposals = 1 + (unsigned)draw(h, one_in(h, 10) ? 60 : 4);
	uint8_t spi[4];

	if (one_in(h, 2)) { /* proposals that the gateway accepts */
		put_be32(spi, one_in(h, 4) ? some_spi(h, sa) : (uint32_t)draw(h, UINT32_MAX));
		proposals_write(b, &h->peer.conf->children->proposals, (struct chunk){spi, 4},
				PROPOSAL_KEX);
		return;
	}
	ib_open(b, PAYLOAD_SA);
	for (unsigned i = 0; i < proposals; i++) {
		unsigned transforms = (unsigned)draw(h, one_in(h, 10) ? 60 : 6);
		uint8_t spi_len = one_in(h, 10) ? (uint8_t)draw(h, 256) : one_in(h, 3) ? 8 : 4;
		size_t at = b->w.len;

		wr_u8(&b->w, i + 1 < proposals ? 2 : 0);
		wr_u8(&b->w, 0);
		wr_be16(&b->w, 0);
		wr_u8(&b->w, (uint8_t)(one_in(h, 10) ? draw(h, 256) : i + 1));
		wr_u8(&b->w, (uint8_t)(one_in(h, 8) ? draw(h, 256) : 1 + 2 * draw(h, 2)));
		wr_u8(&b->w, spi_len);
		wr_u8(&b->w, (uint8_t)transforms);
		random_bytes(h, b, spi_len);
		write_transforms(h, b, transforms);
		wr_patch_len16(&b->w, at + 2, at);
	}
	ib_close(b);
}

void hostile_selectors(struct hostile *h, struct ts_list *l, bool near)
{
	const struct child_conf *k = h->peer.conf->children;

	ts_list_copy(l, near ? k->local_ts : k->remote_ts);
	if (one_in(h, 3))
		return;
	l->count = (uint8_t)(1 + draw(h, one_in(h, 6) ? TS_MAX : 2));
	for (unsigned i = 0; i < l->count; i++) {
		struct ts *t = &l->ts[i];

		*t = near ? k->local_ts->ts[0] : k->remote_ts->ts[0];
		t->lo.b[2] = (uint8_t)draw(h, 256);
		t->hi.b[2] = (uint8_t)(t->lo.b[2] + draw(h, 256u - t->lo.b[2]));
		t->lo.b[3] = (uint8_t)draw(h, 256);
		if (one_in(h, h->greedy ? 100 : 8)) /* may be the honest peer's net */
			t->lo.b[1] = (uint8_t)draw(h, 5);
		if (one_in(h, 4))
			t->proto = (uint8_t)draw(h, 256);
		if (one_in(h, 3)) {
			t->port_lo = (uint16_t)draw(h, 65536);
			t->port_hi = (uint16_t)draw(h, 65536);
		}
	}
}

static void write_ts(struct hostile *h, struct ike_builder *b, uint8_t type)
{
	unsigned count = (unsigned)draw(h, one_in(h, 10) ? 256 : 4);
	struct ts_list l;

	if (!one_in(h, 3)) {
		hostile_selectors(h, &l, type == PAYLOAD_TSI);
		ib_ts(b, type, &l);
		return;
	}
	ib_open(b, type);
	wr_u8(&b->w, (uint8_t)(one_in(h, 10) ? draw(h, 256) : count));
	wr_u8(&b->w, 0);
	wr_be16(&b->w, 0);
	for (unsigned i = 0; i < count; i++) {
		bool six = one_in(h, 3);

		wr_u8(&b->w, (uint8_t)(one_in(h, 10) ? draw(h, 256) : six ? 8 : 7));
		wr_u8(&b->w, (uint8_t)draw(h, 256));
		wr_be16(&b->w, (uint16_t)(one_in(h, 20) ? draw(h, 65536) : six ? 40 : 16));
		random_bytes(h, b, six ? 36 : 12);
	}
	ib_close(b);
}

static void write_notify(struct hostile *h, struct ike_builder *b, const struct ike_sa *sa)
{
	uint16_t type =
		one_in(h, 6) ? (uint16_t)draw(h, 65536) : notifies[draw(h, ARRAY_SIZE(notifies))];
	size_t spi_len = one_in(h, 3) ? draw(h, 256) : 4 * draw(h, 3), len = draw(h, 40);
	uint8_t spi[256], data[40];

	rng_fill(&h->rng.rng, spi, sizeof(spi));
	rng_fill(&h->rng.rng, data, sizeof(data));
	put_be32(spi, some_spi(h, sa));
	put_be32(data, some_spi(h, sa));
	ib_notify(b, (uint8_t)draw(h, 5), (struct chunk){spi, spi_len}, type,
		  (struct chunk){data, one_in(h, 2) ? 4 : len});
}

static void write_delete(struct hostile *h, struct ike_builder *b, const struct ike_sa *sa)
{
	static uint32_t spis[DELETES_MAX];
	unsigned count = (unsigned)draw(h, one_in(h, 6) ? DELETES_MAX : 6);
	uint8_t size = one_in(h, 8) ? (uint8_t)draw(h, 256) : 4;

	if (one_in(h, 200)) {
		ib_delete_ike(b);
		return;
	}
	for (unsigned i = 0; i < count; i++)
		spis[i] = one_in(h, 3) ? some_spi(h, sa) : (uint32_t)draw(h, UINT32_MAX);
	if (!one_in(h, 6)) {
		ib_delete_esp(b, spis, count);
		return;
	}
	ib_open(b, PAYLOAD_DELETE);
	wr_u8(&b->w, (uint8_t)draw(h, 5));
	wr_u8(&b->w, size);
	wr_be16(&b->w, (uint16_t)(one_in(h, 3) ? draw(h, 65536) : count));
	random_bytes(h, b, min_u64(count, 60) * size);
	ib_close(b);
}

static void write_ke(struct hostile *h, struct ike_builder *b)
{
	uint16_t group = one_in(h, 3) ? groups[draw(h, ARRAY_SIZE(groups))] : 31;
	size_t len = one_in(h, 4) ? draw(h, 600) : 32;
	uint8_t key[600] = {0};

	if (!one_in(h, 6)) /* else zero, for X25519 a point of small order */
		rng_fill(&h->rng.rng, key, sizeof(key));
	ib_ke(b, group, (struct chunk){key, len});
}

static void write_any(struct hostile *h, struct ike_builder *b, uint8_t type, size_t len)
{
	ib_open(b, type);
	if (one_in(h, 3) && !b->w.bad)
		b->w.base[b->start + 1] = (uint8_t)draw(h, 256); /* critical bit, reserved bits */
	random_bytes(h, b, len);
	ib_close(b);
}

static void write_payload(struct hostile *h, struct ike_builder *b, const struct ike_sa *sa)
{
	switch (draw(h, 12)) {
	case 0: write_sa(h, b, sa); break;
	case 1: write_ke(h, b); break;
	case 2: write_any(h, b, PAYLOAD_NONCE, one_in(h, 3) ? draw(h, 300) : 32); break;
	case 3: write_ts(h, b, PAYLOAD_TSI); break;
	case 4: write_ts(h, b, PAYLOAD_TSR); break;
	case 5:
	case 6: write_notify(h, b, sa); break;
	case 7: write_delete(h, b, sa); break;
	case 8: write_any(h, b, (uint8_t)draw(h, 256), draw(h, 100)); break;
	case 9: write_any(h, b, PAYLOAD_SK, draw(h, 100)); break;
	case 10: write_any(h, b, PAYLOAD_CP, draw(h, 100)); break;
	case 11: write_any(h, b, (uint8_t)(PAYLOAD_FIRST + draw(h, 17)), draw(h, 2000)); break;
	}
}

/* ---- whole chains ---- */

/* The payloads of a CREATE_CHILD_SA request in the order of the RFC, some left out. */
static void write_child_request(struct hostile *h, struct ike_builder *b, const struct ike_sa *sa)
{
	uint8_t spi[4];

	if (one_in(h, 2)) {
		put_be32(spi, some_spi(h, sa));
		ib_notify(b, PROTOCOL_ESP, (struct chunk){spi, 4}, NOTIFY_REKEY_SA,
			  (struct chunk){0});
	}
	write_sa(h, b, sa);
	write_any(h, b, PAYLOAD_NONCE, 32);
	if (!one_in(h, 4))
		write_ke(h, b);
	if (!one_in(h, 5)) {
		write_ts(h, b, PAYLOAD_TSI);
		write_ts(h, b, PAYLOAD_TSR);
	}
}

void hostile_chain(struct hostile *h, const struct ike_sa *sa, struct hostile_text *t)
{
	struct ike_builder b;
	unsigned count = (unsigned)draw(h, one_in(h, 10) ? 60 : 5);

	ib_inside(&b, t->b, sizeof(t->b) - 200);
	if (one_in(h, 2))
		write_child_request(h, &b, sa);
	while (count-- && !b.w.bad)
		write_payload(h, &b, sa);
	t->first = b.first;
	t->len = b.w.len;
	if (one_in(h, 4))
		hostile_spoil(h, sa, t);
}

static void flip_bits(struct hostile *h, struct hostile_text *t)
{
	for (unsigned i = 1 + (unsigned)draw(h, 4); i > 0 && t->len; i--)
		t->b[draw(h, t->len)] ^= (uint8_t)(1 << draw(h, 8));
}

/* Changes the length field of one payload. */
static void wrong_length(struct hostile *h, struct hostile_text *t)
{
	size_t at = 0;

	while (at + 4 <= t->len) {
		uint16_t len = get_be16(t->b + at + 2);

		if (one_in(h, 3) || len < 4) {
			put_be16(t->b + at + 2,
				 (uint16_t)(one_in(h, 2) ? draw(h, 65536) : len + draw(h, 9) - 4));
			return;
		}
		at += len;
	}
}

void hostile_spoil(struct hostile *h, const struct ike_sa *sa, struct hostile_text *t)
{
	(void)sa;
	switch (draw(h, 6)) {
	case 0:
	case 1: flip_bits(h, t); break;
	case 2: wrong_length(h, t); break;
	case 3: t->len = draw(h, t->len + 1); break;
	case 4: t->first = (uint8_t)draw(h, 256); break;
	case 5:
		for (size_t more = draw(h, 100); more > 0 && t->len < sizeof(t->b) - 100; more--)
			t->b[t->len++] = (uint8_t)draw(h, 256);
		break;
	}
}
