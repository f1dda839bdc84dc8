/* coalesce_fixture.c - see coalesce_fixture.h. SPDX-License-Identifier: ISC */
#include "coalesce_fixture.h"
#include "packet/coalesce.h"
#include "packet/segment.h"
#include "xalloc.h"

#define WRITE_MAX 65600

const struct ref_device everything = {
	.csum = true, .tso4 = true, .tso6 = true, .uso = true, .cap = 2 * 65535};

struct flow flow_of(enum kind kind)
{
	return (struct flow){.v6 = kind == TCP6 || kind == UDP6,
			     .udp = kind == UDP4 || kind == UDP6,
			     .tos = 0x28,
			     .ttl = 64,
			     .flags3 = 2,
			     .options = 12,
			     .sport = 4000,
			     .dport = 5000,
			     .id = 0xfffe,
			     .window = 1000,
			     .host = 1,
			     .label = 0xabcde,
			     .seq = UINT32_MAX - 150,
			     .ack = 77};
}

struct sequence *seq_new(void)
{
	return xzalloc(sizeof(struct sequence));
}

void seq_swap(struct sequence *s, uint32_t i, uint32_t k)
{
	struct ref_packet r = s->pkt[i];
	uint32_t pad = s->pad[i];

	s->pkt[i] = s->pkt[k];
	s->pkt[k] = r;
	s->pad[i] = s->pad[k];
	s->pad[k] = pad;
}

/* ---- making packets ---- */

uint32_t flow_header_len(const struct flow *f)
{
	return (f->v6 ? 40u : 20u) + (f->udp ? 8u : 20u + f->options);
}

static void put_ip(const struct flow *f, uint8_t *p, uint32_t len)
{
	if (f->v6) {
		put_be32(p, 6u << 28 | (uint32_t)f->tos << 20 | f->label);
		put_be16(p + 4, (uint16_t)(len - 40));
		p[6] = f->udp ? 17 : 6;
		p[7] = f->ttl;
		put_be32(p + 8, 0xfd010000);
		put_be32(p + 20, f->host);
		put_be32(p + 24, 0xfd020000);
		put_be32(p + 36, f->host + 9);
		return;
	}
	p[0] = 0x45;
	p[1] = f->tos;
	put_be16(p + 2, (uint16_t)len);
	put_be16(p + 4, f->id);
	p[6] = (uint8_t)(f->flags3 << 5);
	p[8] = f->ttl;
	p[9] = f->udp ? 17 : 6;
	put_be32(p + 12, 0x0a010000 + f->host);
	put_be32(p + 16, 0x0a020000 + f->host);
}

static void put_l4(const struct flow *f, uint8_t *q, uint32_t len, uint8_t flags)
{
	put_be16(q, f->sport);
	put_be16(q + 2, f->dport);
	if (f->udp) {
		put_be16(q + 4, (uint16_t)len);
		return;
	}
	put_be32(q + 4, f->seq);
	put_be32(q + 8, f->ack);
	q[12] = (uint8_t)((20 + f->options) / 4 << 4);
	q[13] = flags;
	put_be16(q + 14, f->window);
	for (uint32_t i = 0; i < f->options; i++)
		q[20 + i] = (uint8_t)(1 + i * 7);
}

void seq_decode_last(struct sequence *s)
{
	struct ref_packet *r = &s->pkt[s->count - 1];
	const uint8_t *p = r->p;

	ref_decode(p, p[0] >> 4 == 6 ? 40u + get_be16(p + 4) : get_be16(p + 2), r);
}

uint8_t *seq_last(struct sequence *s)
{
	return s->arena + (s->pkt[s->count - 1].p - s->arena);
}

void seq_mend_last(struct sequence *s)
{
	seq_decode_last(s);
	ref_mend(seq_last(s), s->pkt[s->count - 1].len);
	seq_decode_last(s);
}

bool seq_room(const struct sequence *s, uint32_t len)
{
	return s->count < SEQUENCE_MAX && s->used + len <= ARENA;
}

uint8_t *seq_emit(struct sequence *s, struct flow *f, uint32_t payload, uint8_t flags)
{
	uint32_t hdr = flow_header_len(f), len = hdr + payload;
	uint8_t *p = s->arena + s->used;

	assert_true(seq_room(s, len));
	memset(p, 0, hdr);
	put_ip(f, p, len);
	put_l4(f, p + (f->v6 ? 40 : 20), len - (f->v6 ? 40 : 20), flags);
	for (uint32_t i = 0; i < payload; i++)
		p[hdr + i] = (uint8_t)(i * 131 + s->count * 29 + 3);
	s->used += len;
	s->pad[s->count] = 0;
	s->pkt[s->count++].p = p;
	seq_mend_last(s);
	f->seq += payload;
	f->id++;
	return p;
}

/* Inserts n bytes at `at` into the IP header of the last packet. */
static void insert(struct sequence *s, uint32_t at, const uint8_t *bytes, uint32_t n)
{
	uint8_t *p = seq_last(s);
	uint32_t len = s->pkt[s->count - 1].len;

	memmove(p + at + n, p + at, len - at);
	memcpy(p + at, bytes, n);
	if (p[0] >> 4 == 6) {
		put_be16(p + 4, (uint16_t)(get_be16(p + 4) + n));
	} else {
		put_be16(p + 2, (uint16_t)(len + n));
		p[0] = (uint8_t)(p[0] + n / 4);
	}
	s->used += n;
}

void seq_insert_extra(struct sequence *s, uint8_t type)
{
	uint8_t *p = seq_last(s), extra[8] = {p[6], 0, 1, 4};

	if (p[0] >> 4 == 4) {
		insert(s, 20, (const uint8_t[]){1, 1, 1, 1, 1, 1, 1, 0}, 8);
	} else {
		if (type == 44) /* the only fragment */
			extra[2] = extra[3] = 0;
		insert(s, 40, extra, 8);
		p[6] = type;
	}
	seq_mend_last(s);
}

/* ---- what the reference expects, and what happens ---- */

static void reference_runs(struct sequence *s, const struct ref_device *d, uint64_t *broken)
{
	uint32_t first = 0;

	s->run_count = 0;
	for (uint32_t i = 0; i < s->count; i++) {
		broken[i] = ref_broken(d, s->pkt + first, i - first, s->pkt + i);
		if (i > first && broken[i] == 0) {
			s->runs[s->run_count - 1]++;
			continue;
		}
		first = i;
		s->runs[s->run_count++] = 1;
	}
}

struct feed {
	const struct sequence *s;
	const struct ref_device *d;
	const uint64_t *broken;
	struct pkt_super super;
	uint32_t done, run; /* packets and runs written so far */
};

static const char *rules_of(uint64_t broken)
{
	static char text[512];
	size_t n = 0;

	text[0] = 0;
	for (unsigned i = 0; i < REF_COUNT; i++) {
		if (broken >> i & 1 && n < sizeof(text))
			n += (size_t)snprintf(text + n, sizeof(text) - n, " [%s]",
					      ref_rule_name(i));
	}
	return text;
}

/* Asserts that the header of a write is correct. */
static void check_header(const struct feed *f, const uint8_t *h, uint32_t count)
{
	const struct ref_packet *r = f->s->pkt + f->done;
	uint8_t want[VNET_HEADER_LEN] = {0};
	uint16_t fields[4] = {0};

	if (count == 1) {
		want[0] = f->d->csum && ref_verified(r) ? 2 : 0; /* DATA_VALID */
	} else {
		want[0] = 1; /* NEEDS_CSUM */
		want[1] = r->proto == 17 ? 5 : r->v6 ? 4 : 1;
		fields[0] = (uint16_t)r->header;
		fields[1] = (uint16_t)r->payload;
		fields[2] = (uint16_t)r->l4;
		fields[3] = r->proto == 17 ? 6 : 16;
	}
	memcpy(want + 2, fields, 8);
	if (memcmp(want, h, sizeof(want)) != 0)
		fail_msg("sequence %u, packet %u, a run of %u: flags %u, type %u; expected %u, %u",
			 f->s->nr, f->done, count, h[0], h[1], want[0], want[1]);
}

/* Segments a write as the kernel would: this must give the packets of the run. */
static void check_write(struct feed *f, const uint8_t *h, const uint8_t *p, uint32_t len)
{
	static uint8_t seg[WRITE_MAX];
	struct pkt_offload off;
	struct seg_plan plan;
	struct inner in;

	assert_int_equal(vnet_read(h, len, &off), 0);
	assert_int_equal(inner_parse(p, len, &in), 0);
	assert_int_equal(in.len, len);
	assert_int_equal(seg_plan(p, &in, &off, &plan), 0);
	assert_true(f->run < f->s->run_count);
	if (plan.count != f->s->runs[f->run]) {
		uint32_t end = f->done + (uint32_t)min_u64(plan.count, f->s->runs[f->run]);

		fail_msg("sequence %u: a run of %u instead of %u packets; the one after packet %u "
			 "breaks:%s",
			 f->s->nr, plan.count, f->s->runs[f->run], end - 1,
			 end < f->s->count ? rules_of(f->broken[end]) : "");
	}
	check_header(f, h, plan.count);
	for (uint32_t i = 0; i < plan.count; i++) {
		const struct ref_packet *r = &f->s->pkt[f->done++];

		assert_int_equal(seg_len(&plan, i), r->len);
		seg_write(&plan, i, seg);
		if (memcmp(seg, r->p, r->len) != 0)
			fail_msg("sequence %u: packet %u came out another one", f->s->nr,
				 f->done - 1);
	}
	f->run++;
}

static void take(struct feed *f)
{
	uint8_t header[VNET_HEADER_LEN];

	if (f->super.len == 0)
		return;
	assert_true(f->super.len <= f->d->cap);
	pkt_super_finish(&f->super);
	vnet_write(header, &f->super.off, f->super.hdr_len);
	check_write(f, header, f->super.base, f->super.len);
	pkt_super_reset(&f->super);
}

static void feed_one(struct feed *f, uint32_t i)
{
	const struct ref_packet *r = &f->s->pkt[i];
	struct inner in;
	bool closed = pkt_super_closed(&f->super);

	assert_int_equal(inner_parse(r->p, r->len + f->s->pad[i], &in), 0);
	assert_int_equal(in.len, r->len);
	if (pkt_super_add(&f->super, r->p, &in)) {
		assert_false(closed);
		return;
	}
	take(f);
	assert_true(pkt_super_add(&f->super, r->p, &in));
}

static uint8_t accepted(const struct ref_device *d)
{
	return (uint8_t)((d->csum ? PKT_ACCEPT_CSUM : 0) | (d->tso4 ? PKT_ACCEPT_TSO4 : 0) |
			 (d->tso6 ? PKT_ACCEPT_TSO6 : 0) | (d->uso ? PKT_ACCEPT_USO : 0));
}

void seq_check(struct sequence *s, const struct ref_device *d, uint64_t *alone)
{
	uint64_t broken[SEQUENCE_MAX];
	struct feed f = {.s = s, .d = d, .broken = broken};
	uint8_t *base = xzalloc(d->cap); /* of exact size, so that a write behind it is detected */

	reference_runs(s, d, broken);
	pkt_super_init(&f.super, base, d->cap, accepted(d));
	for (uint32_t i = 0; i < s->count; i++)
		feed_one(&f, i);
	take(&f);
	assert_int_equal(f.done, s->count);
	assert_int_equal(f.run, s->run_count);
	free(base);
	for (uint32_t i = 0; alone && i < s->count; i++) {
		if (broken[i] && (broken[i] & (broken[i] - 1)) == 0)
			alone[__builtin_ctzll(broken[i])]++;
	}
}
