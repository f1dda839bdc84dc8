/*
 * t_packet.c - super-packets: segmented, sealed, opened and coalesced, with the same bytes that a
 * kernel without offloads would have delivered.
 * SPDX-License-Identifier: ISC
 *
 * A test makes the packets of a flow one by one, with slow code, and the super-packet that TUN
 * would read for them. What arrives at the other end must be those packets.
 */
#include "esp_fixture.h"
#include "packet/checksum.h"
#include "packet/icmp.h"

#define PSH 0x08
#define ACK 0x10
#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define URG 0x20
#define ECE 0x40
#define CWR 0x80
#define ALL (PKT_ACCEPT_CSUM | PKT_ACCEPT_TSO4 | PKT_ACCEPT_TSO6 | PKT_ACCEPT_USO)

/* ---- the slow reference ---- */

struct shape {
	bool v6, udp, df;
	uint8_t tos, ttl, flags; /* flags: of the super-packet */
	uint8_t ip_extra;    /* bytes of IPv4 options or IPv6 extension headers; multiple of 8 */
	uint8_t tcp_options; /* bytes, multiple of 4 */
	uint16_t mss, id, window;
	uint32_t payload, seq;
};

struct packets {
	uint8_t *b; /* one after another */
	uint32_t count, len, room;
	uint32_t at[66000];
};

static uint8_t payload_byte(uint32_t i)
{
	return (uint8_t)(i * 131 + (i >> 8) * 17 + 3);
}

static uint16_t slow_sum(const uint8_t *p, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint32_t l3_len(const struct shape *s)
{
	return (s->v6 ? 40u : 20u) + s->ip_extra;
}

static uint32_t header_len(const struct shape *s)
{
	return l3_len(s) + (s->udp ? 8u : 20u + s->tcp_options);
}

static void put_ip(const struct shape *s, uint8_t *p, uint32_t len, uint32_t index)
{
	uint8_t proto = s->udp ? 17 : 6;

	memset(p, 0, l3_len(s));
	if (s->v6) {
		p[0] = (uint8_t)(0x60 | s->tos >> 4);
		p[1] = (uint8_t)(s->tos << 4 | 0x0a);
		p[2] = 0xbc;
		put_be16(p + 4, (uint16_t)(len - 40));
		p[6] = s->ip_extra ? 60 : proto;
		p[7] = s->ttl;
		p[8] = 0xfd;
		p[9] = 1;
		p[23] = 1;
		p[24] = 0xfd;
		p[25] = 2;
		p[39] = 2;
		if (s->ip_extra) {
			p[40] = proto;
			p[41] = (uint8_t)(s->ip_extra / 8 - 1);
			p[42] = 1; /* PadN */
			p[43] = (uint8_t)(s->ip_extra - 4);
		}
		return;
	}
	p[0] = (uint8_t)(0x45 + s->ip_extra / 4);
	p[1] = s->tos;
	put_be16(p + 2, (uint16_t)len);
	put_be16(p + 4, (uint16_t)(s->id + index));
	p[6] = s->df ? 0x40 : 0;
	p[8] = s->ttl;
	p[9] = proto;
	memcpy(p + 12, (uint8_t[]){10, 1, 0, 1, 10, 2, 0, 1}, 8);
	memset(p + 20, 1, s->ip_extra); /* NOP */
	put_be16(p + 10, (uint16_t)~slow_sum(p, 20u + s->ip_extra, 0));
}

static uint32_t slow_pseudo(const struct shape *s, const uint8_t *p, uint32_t l4_len)
{
	uint32_t proto = s->udp ? 17 : 6;

	return s->v6 ? slow_sum(p + 8, 32, proto + l4_len) : slow_sum(p + 12, 8, proto + l4_len);
}

/* Writes the TCP or UDP header except its checksum; returns the offset of the checksum. */
static uint32_t put_l4(const struct shape *s, uint8_t *p, uint32_t len, uint32_t offset,
		       uint8_t flags)
{
	uint8_t *q = p + l3_len(s);

	put_be16(q, 4000);
	put_be16(q + 2, 5000);
	if (s->udp) {
		put_be16(q + 4, (uint16_t)(len - l3_len(s)));
		put_be16(q + 6, 0);
		return l3_len(s) + 6;
	}
	put_be32(q + 4, s->seq + offset);
	put_be32(q + 8, 0x01020304);
	q[12] = (uint8_t)((20 + s->tcp_options) / 4 << 4);
	q[13] = flags;
	put_be16(q + 14, s->window);
	put_be16(q + 16, 0);
	put_be16(q + 18, 0);
	for (uint32_t i = 0; i < s->tcp_options; i++)
		q[20 + i] = (uint8_t)(i % 12 == 0 ? 8 : i % 12 == 1 ? 10 : i);
	return l3_len(s) + 16;
}

static void set_sum(const struct shape *s, uint8_t *p, uint32_t len, uint32_t at)
{
	uint32_t l4_len = len - l3_len(s);
	uint16_t sum = (uint16_t)~slow_sum(p + l3_len(s), l4_len, slow_pseudo(s, p, l4_len));

	put_be16(p + at, sum == 0 && s->udp ? 0xffff : sum);
}

static struct packets *packets_new(void)
{
	struct packets *o = calloc(1, sizeof(*o));

	assert_non_null(o);
	o->room = 8u << 20;
	o->b = malloc(o->room);
	assert_non_null(o->b);
	return o;
}

static void packets_free(struct packets *o)
{
	free(o->b);
	free(o);
}

static void add(struct packets *o, const uint8_t *p, uint32_t len)
{
	assert_true(o->len + len <= o->room && o->count + 1 < ARRAY_SIZE(o->at));
	memcpy(o->b + o->len, p, len);
	o->len += len;
	o->at[++o->count] = o->len;
}

static void assert_same(const struct packets *a, const struct packets *b)
{
	assert_int_equal(a->count, b->count);
	for (uint32_t i = 0; i <= a->count; i++)
		assert_int_equal(a->at[i], b->at[i]);
	assert_memory_equal(a->b, b->b, a->len);
}

/* Adds the packets of the flow, as a kernel without offloads would send them. */
static void slow_packets(const struct shape *s, struct packets *o)
{
	uint32_t hdr = header_len(s), index = 0, offset = 0;

	do {
		uint32_t n = (uint32_t)min_u64(s->mss, s->payload - offset), at;
		bool last = offset + n == s->payload;
		uint8_t flags = s->flags, p[70000];

		if (!last)
			flags &= (uint8_t) ~(PSH | FIN);
		if (offset)
			flags &= (uint8_t)~CWR;
		put_ip(s, p, hdr + n, index);
		at = put_l4(s, p, hdr + n, offset, flags);
		for (uint32_t i = 0; i < n; i++)
			p[hdr + i] = payload_byte(offset + i);
		set_sum(s, p, hdr + n, at);
		add(o, p, hdr + n);
		offset += n;
		index++;
	} while (offset < s->payload);
}

/* Makes the super-packet that TUN would read for the same flow; returns its length. */
static uint32_t super_packet(const struct shape *s, uint8_t *p, struct pkt_offload *off)
{
	uint32_t hdr = header_len(s), len = hdr + s->payload, at;

	put_ip(s, p, len, 0);
	at = put_l4(s, p, len, 0, s->flags);
	for (uint32_t i = 0; i < s->payload; i++)
		p[hdr + i] = payload_byte(i);
	put_be16(p + at, (uint16_t)slow_pseudo(s, p, len - l3_len(s)));
	*off = (struct pkt_offload){.needs_csum = true,
				    .csum_start = (uint16_t)l3_len(s),
				    .csum_offset = (uint16_t)(at - l3_len(s))};
	if (s->payload > s->mss) {
		off->gso = s->udp ? PKT_GSO_UDP : s->v6 ? PKT_GSO_TCP6 : PKT_GSO_TCP4;
		off->gso_size = s->mss;
	}
	return len;
}

static struct shape random_shape(struct fixture_rng *r)
{
	struct shape s = {.v6 = fixture_chance(r, 50),
			  .udp = fixture_chance(r, 40),
			  .df = fixture_chance(r, 50),
			  .tos = (uint8_t)(fixture_below(r, 256) & ~3u),
			  .ttl = (uint8_t)(1 + fixture_below(r, 255)),
			  .id = (uint16_t)fixture_u64(r),
			  .window = (uint16_t)fixture_u64(r),
			  .seq = (uint32_t)fixture_u64(r)};
	static const uint8_t flags[] = {
		ACK, ACK | PSH, ACK | FIN | PSH, ACK | CWR | ECE, ACK | CWR | PSH, ACK | ECE};
	uint32_t max;

	s.flags = flags[fixture_below(r, ARRAY_SIZE(flags))];
	s.ip_extra = fixture_chance(r, 20) ? (uint8_t)(8 * (1 + fixture_below(r, 4))) : 0;
	s.tcp_options = fixture_chance(r, 60) ? (uint8_t)(4 * fixture_below(r, 11)) : 0;
	s.mss = (uint16_t)(1 + fixture_below(r, fixture_chance(r, 20) ? 60 : 1440));
	max = (uint32_t)min_u64(65535 - header_len(&s), s.udp ? 64u * s.mss : 65535);
	s.payload = 1 + (uint32_t)fixture_below(r, max);
	switch (fixture_below(r, 4)) { /* exact multiples of mss, or less than one segment */
	case 0: s.payload = (uint32_t)max_u64(s.payload / s.mss, 1) * s.mss; break;
	case 1: s.payload = 1 + (uint32_t)fixture_below(r, min_u64(s.mss, max)); break;
	default: break;
	}
	return s;
}

/* ---- segmentation ---- */

static void cut(const uint8_t *pkt, uint32_t len, const struct pkt_offload *off, struct packets *o)
{
	struct seg_plan plan;
	struct inner in;
	uint8_t p[70000];

	assert_int_equal(inner_parse(pkt, len, &in), 0);
	assert_int_equal(seg_plan(pkt, &in, off, &plan), 0);
	for (uint32_t i = 0; i < plan.count; i++) {
		seg_write(&plan, i, p);
		add(o, p, seg_len(&plan, i));
	}
}

/* Asserts the length of the first segment, which esp_route checks, also if it is the only one. */
static void assert_first_len(const uint8_t *super, uint32_t len, const struct pkt_offload *off,
			     uint32_t want)
{
	struct seg_plan plan;
	struct inner in;

	assert_int_equal(inner_parse(super, len, &in), 0);
	assert_int_equal(seg_plan(super, &in, off, &plan), 0);
	assert_int_equal(plan.seg_len, want);
}

static void check_cut(const struct shape *s)
{
	struct packets *want = packets_new(), *got = packets_new();
	struct pkt_offload off;
	uint8_t super[66000];
	uint32_t len = super_packet(s, super, &off);

	slow_packets(s, want);
	cut(super, len, &off, got);
	assert_same(want, got);
	assert_first_len(super, len, &off, want->at[1] - want->at[0]);
	packets_free(want);
	packets_free(got);
}

/* Super-packets are segmented correctly for segment sizes from 1 to 1460. */
static void test_every_mss(void **state)
{
	(void)state;
	for (uint32_t mss = 1; mss <= 1460; mss += mss < 40 ? 1 : 7) {
		for (unsigned kind = 0; kind < 4; kind++) {
			struct shape s = {.v6 = kind & 1,
					  .udp = kind & 2,
					  .df = true,
					  .ttl = 64,
					  .flags = ACK | PSH | FIN,
					  .mss = (uint16_t)mss,
					  .id = 65530,
					  .seq = UINT32_MAX - 5000};

			s.payload = s.udp ? 64 * mss : 65535 - header_len(&s);
			s.payload = (uint32_t)min_u64(s.payload, 65535 - header_len(&s));
			if (mss < 8)
				s.payload = (uint32_t)min_u64(s.payload, 5000);
			check_cut(&s);
		}
	}
}

/* Random super-packets are segmented into the packets of the reference. */
static void test_random_shapes(void **state)
{
	struct fixture_rng r;

	(void)state;
	fixture_rng_init(&r, 300);
	for (unsigned i = 0; i < 1500; i++) {
		struct shape s = random_shape(&r);

		check_cut(&s);
	}
}

/* A UDP checksum of 0 is sent as 0xffff (RFC 768), for a single packet and for segments. */
static void test_udp_sum_of_zero(void **state)
{
	(void)state;
	for (unsigned gso = 0; gso < 2; gso++) {
		struct shape s = {.udp = true, .ttl = 64, .mss = 100, .payload = gso ? 200 : 100};
		struct packets *o = packets_new();
		struct pkt_offload off;
		uint8_t p[400];
		uint32_t len = super_packet(&s, p, &off), hdr = header_len(&s);
		uint16_t sum;

		/* adds the first packet's checksum to its payload, so that the checksum becomes
		 * 0 */
		cut(p, len, &off, o);
		sum = get_be16(o->b + hdr - 2);
		put_be16(p + hdr, slow_sum(p + hdr, 2, sum));
		packets_free(o);
		o = packets_new();
		cut(p, len, &off, o);
		assert_int_equal(get_be16(o->b + hdr - 2), 0xffff);
		packets_free(o);
	}
}

static int plan_result(const uint8_t *p, uint32_t len, const struct pkt_offload *off)
{
	struct seg_plan plan;
	struct inner in;

	assert_int_equal(inner_parse(p, len, &in), 0);
	return seg_plan(p, &in, off, &plan);
}

/* Offload headers that do not match their packet are refused. */
static void test_refused(void **state)
{
	struct shape s = {.ttl = 64, .flags = ACK, .mss = 100, .payload = 1000, .df = true};
	struct pkt_offload good, o;
	uint8_t p[2000], q[2000];
	uint32_t len = super_packet(&s, p, &good);

	(void)state;
	assert_int_equal(plan_result(p, len, &good), 0);
	for (unsigned i = 0; i < 9; i++) {
		o = good;
		memcpy(q, p, len);
		switch (i) {
		case 0: o.gso_size = 0; break;
		case 1: o.gso = PKT_GSO_TCP6; break;
		case 2: o.gso = PKT_GSO_UDP; break;
		case 3: o.csum_start = 24; break;
		case 4: q[6] = 0x20; break; /* fragment */
		case 5: q[9] = 17; break;
		case 6: q[32] = 0x40; break;			  /* a TCP header of 16 bytes */
		case 7: q[32] = 0xf0, put_be16(q + 2, 60); break; /* longer than the packet */
		case 8:
			o = (struct pkt_offload){
				.needs_csum = true, .csum_start = 19, .csum_offset = 6};
		}
		if (plan_result(q, len, &o) != -EINVAL)
			fail_msg("case %u was taken", i);
	}
	o = (struct pkt_offload){
		.needs_csum = true, .csum_start = (uint16_t)(len - 1), .csum_offset = 0};
	assert_int_equal(plan_result(p, len, &o), -EINVAL);
}

/* The virtio_net_hdr is read and written; invalid ones are refused. */
static void test_vnet_header(void **state)
{
	static const struct {
		uint8_t flags, type;
		uint16_t gso_size, start, offset;
		int result;
	} t[] = {
		{0, 0, 0, 0, 0, 0},
		{1, 0, 0, 20, 16, 0},
		{1, 1, 1000, 20, 16, 0},
		{1, 4, 1000, 40, 16, 0},
		{1, 5, 1000, 20, 6, 0},
		{1, 0x81, 1000, 20, 16, 0}, /* with ECN */
		{1, 1, 0, 20, 16, -EINVAL},
		{1, 2, 1000, 20, 16, -EINVAL},
		{1, 3, 1000, 20, 6, -EINVAL}, /* UFO, which was not requested */
		{1, 6, 1000, 20, 6, -EINVAL},
		{1, 0, 0, 90, 10, -EINVAL}, /* the checksum ends behind the packet */
		{1, 0, 0, 65535, 65535, -EINVAL},
		{0, 0, 0, 65535, 65535, 0}, /* no checksum requested: not checked */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct pkt_offload o;
		uint8_t h[VNET_HEADER_LEN] = {t[i].flags, t[i].type, 0xff, 0xff},
			w[VNET_HEADER_LEN];

		memcpy(h + 4, &t[i].gso_size, 2);
		memcpy(h + 6, &t[i].start, 2);
		memcpy(h + 8, &t[i].offset, 2);
		assert_int_equal(vnet_read(h, 101, &o), t[i].result);
		if (t[i].result)
			continue;
		vnet_write(w, &o, 0xffff);
		if (o.gso == PKT_GSO_NONE)
			h[2] = h[3] = 0; /* hdr_len has no meaning then */
		h[1] &= 0x7f;
		if (t[i].flags)
			assert_memory_equal(w, h, sizeof(w));
	}
}

/* ---- from TUN to TUN ---- */

/* Adds the packets that the receiver's TUN would get. */
static void take(struct pkt_super *s, struct packets *o)
{
	if (s->len == 0)
		return;
	pkt_super_finish(s);
	cut(s->base, s->len, &s->off, o);
	pkt_super_reset(s);
}

static void open_train(struct fixture *l, struct pkt_super *s, struct packets *o)
{
	struct esp_in in = {.base = l->in,
			    .len = l->train.len,
			    .seg = l->train.seg,
			    .from = l->ep[GW],
			    .tos = l->train.dest.tos};

	esp_train_finish(l->path[GW], &l->train);
	memcpy(l->in, l->out, l->train.len);
	while (esp_open(l->path[ME], &in, s, l->now) == ESP_FULL)
		take(s, o);
	esp_train_reset(&l->train);
}

static void check_way(struct fixture *l, const struct shape *s, uint8_t accept, uint32_t *writes)
{
	struct packets *want = packets_new(), *got = packets_new();
	struct pkt_super super;
	struct esp_out out = {0};
	static uint8_t pkt[66000];

	out.pkt = pkt;
	out.len = super_packet(s, pkt, &out.off);
	slow_packets(s, want);
	pkt_super_init(&super, l->super, sizeof(l->super), accept);
	esp_train_init(&l->train, l->out, 65507);
	assert_int_equal(esp_route(l->path[GW], &out, l->now), ESP_ROUTE_SEAL);
	while (esp_seal(l->path[GW], &out, &l->train, l->now) == ESP_FULL) {
		open_train(l, &super, got);
		*writes += super.len != 0;
		take(&super, got);
	}
	open_train(l, &super, got);
	*writes += super.len != 0;
	take(&super, got);
	assert_same(want, got);
	packets_free(want);
	packets_free(got);
}

/* Super-packets that are sealed, opened and coalesced again are the same packets, whatever the
 * receiver's device accepts. */
static void test_the_whole_way(void **state)
{
	static const char *const suites[] = {"aes128gcm16", "aes256-sha512", "chacha20poly1305"};
	struct fixture_rng r;

	(void)state;
	fixture_rng_init(&r, 301);
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned v6 = 0; v6 < 2; v6++) {
			struct fixture_opt o =
				FIXTURE_OPT(.suite = suites[i], .esn = v6, .window = 4096);
			uint32_t writes = 0;
			struct fixture *l;

			o.ts_gw = v6 ? "fd01::/16" : "10.1.0.0/16";
			o.ts_me = v6 ? "fd02::/16" : "10.2.0.0/16";
			l = fixture_new(&o);
			for (unsigned k = 0; k < 150; k++) {
				struct shape s = random_shape(&r);

				s.v6 = v6;
				if (s.payload / s.mss > 3000)
					s.mss = 100;
				check_way(l, &s,
					  k % 3	  ? ALL
					  : k % 2 ? PKT_ACCEPT_CSUM
						  : 0,
					  &writes);
			}
			assert_int_equal(l->path[ME]->verdicts[VERDICT_FRESH],
					 fixture_sa(l, GW)->out.number);
			fixture_free(l);
		}
	}
}

/* A train of one flow becomes a single write to TUN. */
static void test_runs_are_long(void **state)
{
	struct fixture_opt o = FIXTURE_OPT(.window = 4096);
	struct fixture *l = fixture_new(&o);

	(void)state;
	for (unsigned udp = 0; udp < 2; udp++) {
		struct shape s = {
			.udp = udp, .ttl = 64, .flags = ACK, .mss = 1400, .tcp_options = 12};
		uint32_t writes = 0;

		s.payload = 40 * 1400 + 7;
		check_way(l, &s, ALL, &writes);
		assert_int_equal(writes, 1);
	}
	fixture_free(l);
}

/* ---- coalescing ---- */

static struct inner parsed(const uint8_t *p, uint32_t len)
{
	struct inner in;

	assert_int_equal(inner_parse(p, len, &in), 0);
	return in;
}

static const struct shape two_tcp = {.ttl = 64,
				     .flags = ACK,
				     .mss = 100,
				     .payload = 200,
				     .tcp_options = 12,
				     .df = true,
				     .id = 9};

/* XORs x to byte `at` of the second packet, with mend corrects its checksums, and tells whether the
 * packet is still coalesced with the first one. */
static bool merges(struct shape s, uint32_t at, uint8_t x, bool mend)
{
	struct packets *o = packets_new();
	static uint8_t base[66000];
	struct pkt_super super;
	struct inner in;
	uint32_t len;
	uint8_t *p;
	bool merged;

	pkt_super_init(&super, base, sizeof(base), ALL);
	slow_packets(&s, o);
	in = parsed(o->b, o->at[1]);
	assert_true(pkt_super_add(&super, o->b, &in));
	p = o->b + o->at[1];
	len = o->at[2] - o->at[1];
	p[at] ^= x;
	if (mend && !s.v6) {
		put_be16(p + 10, 0);
		put_be16(p + 10, (uint16_t)~slow_sum(p, 20, 0));
	}
	if (mend) {
		uint32_t sum_at = l3_len(&s) + (s.udp ? 6 : 16);

		put_be16(p + sum_at, 0);
		set_sum(&s, p, len, sum_at);
	}
	in = parsed(p, len);
	merged = pkt_super_add(&super, p, &in);
	if (!merged) { /* it is written alone and unchanged */
		pkt_super_reset(&super);
		assert_true(pkt_super_add(&super, p, &in));
		pkt_super_finish(&super);
		assert_int_equal(super.len, len);
		assert_memory_equal(super.base, p, len);
		assert_int_equal(super.off.gso, PKT_GSO_NONE);
		assert_int_equal(super.off.valid_csum, mend);
	}
	packets_free(o);
	return merged;
}

/* A packet that differs from the one before in any of these fields is not coalesced with it. */
static void test_what_ends_a_run(void **state)
{
	struct shape six = two_tcp, udp = two_tcp;

	(void)state;
	six.v6 = true;
	udp.udp = true;
	udp.tcp_options = 0;
	assert_true(merges(two_tcp, 0, 0, true));
	assert_true(merges(six, 0, 0, true));
	assert_true(merges(udp, 0, 0, true));
	assert_true(merges(two_tcp, 33, PSH, true));
	/* TOS, ID, DF, TTL, addresses */
	static const uint8_t v4[] = {1, 5, 6, 8, 15, 19};

	for (size_t i = 0; i < ARRAY_SIZE(v4); i++) {
		assert_false(merges(two_tcp, v4[i], v4[i] == 6 ? 0x40 : 4, true));
		assert_false(merges(udp, v4[i], v4[i] == 6 ? 0x40 : 4, true));
	}
	/* traffic class, flow label, hop limit, addresses */
	static const uint8_t v6[] = {1, 2, 3, 7, 23, 39};

	for (size_t i = 0; i < ARRAY_SIZE(v6); i++)
		assert_false(merges(six, v6[i], 0x10, true));
	/* ports, sequence number, acknowledgement, window, urgent pointer, options */
	static const uint8_t tcp[] = {20, 22, 24, 27, 28, 31, 34, 38, 40, 51};

	for (size_t i = 0; i < ARRAY_SIZE(tcp); i++)
		assert_false(merges(two_tcp, tcp[i], 1, true));
	static const uint8_t flags[] = {FIN, SYN, RST, ACK, URG, ECE, CWR};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		assert_false(merges(two_tcp, 33, flags[i], true));
	assert_false(merges(two_tcp, 32, 1, true)); /* reserved bit */
	/* wrong checksum: payload of TCP and of UDP, and the checksum itself */
	assert_false(merges(two_tcp, 60, 1, false));
	assert_false(merges(udp, 60, 1, false));
	assert_false(merges(two_tcp, 36, 1, false));
}

/* Whether the first packet of s may be the first one of a super-packet. */
static bool begins(struct shape s, uint8_t accept)
{
	struct packets *o = packets_new();
	static uint8_t base[66000];
	struct pkt_super super;
	struct inner in;
	bool open;

	pkt_super_init(&super, base, sizeof(base), accept);
	slow_packets(&s, o);
	in = parsed(o->b, o->at[1]);
	assert_true(pkt_super_add(&super, o->b, &in));
	open = super.open;
	packets_free(o);
	return open;
}

/* Packets with these flags, options, or for devices that do not accept them begin no super-
 * packet. */
static void test_what_begins_no_run(void **state)
{
	static const uint8_t flags[] = {FIN, SYN, RST, URG, CWR};
	struct shape s = two_tcp;

	(void)state;
	s.payload = 100;
	assert_true(begins(s, ALL));
	assert_false(begins(s, ALL & ~PKT_ACCEPT_TSO4));
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		s.flags = ACK | flags[i];
		assert_false(begins(s, ALL));
	}
	s.flags = ACK | PSH;
	assert_false(begins(s, ALL));
	s.flags = ACK;
	s.ip_extra = 8;
	assert_false(begins(s, ALL));
	s.v6 = true;
	assert_false(begins(s, ALL));
	s.ip_extra = 0;
	assert_true(begins(s, ALL));
	assert_false(begins(s, ALL & ~PKT_ACCEPT_TSO6));
	s.payload = 0;
	assert_false(begins(s, ALL)); /* a pure ACK */
	s.payload = 100;
	s.udp = true;
	assert_true(begins(s, ALL));
	assert_false(begins(s, ALL & ~PKT_ACCEPT_USO));
}

/* Random packets of several flows, some with wrong checksums, come out unchanged and in order. */
static void test_random_order(void **state)
{
	struct packets *all = packets_new(), *got = packets_new();
	static uint8_t base[66000];
	struct pkt_super super;
	struct fixture_rng r;
	uint32_t writes = 0;

	(void)state;
	fixture_rng_init(&r, 302);
	for (unsigned i = 0; i < 400; i++) {
		struct shape s = random_shape(&r);
		struct packets *one = packets_new();
		uint32_t n;

		s.mss = (uint16_t)max_u64(s.mss, 20);
		s.payload = (uint32_t)min_u64(s.payload, s.mss * 40u);
		slow_packets(&s, one);
		n = one->count;
		for (uint32_t k = 0; k < n; k++) {
			uint8_t *p = one->b + one->at[k];
			uint32_t len = one->at[k + 1] - one->at[k];

			if (fixture_chance(&r, 3))
				p[len - 1] ^= 0x55;
			if (!fixture_chance(&r, 3))
				add(all, p, len);
		}
		packets_free(one);
	}
	pkt_super_init(&super, base, sizeof(base), ALL);
	for (uint32_t k = 0; k < all->count; k++) {
		const uint8_t *p = all->b + all->at[k];
		struct inner in = parsed(p, all->at[k + 1] - all->at[k]);

		if (!pkt_super_add(&super, p, &in)) {
			writes++;
			take(&super, got);
			assert_true(pkt_super_add(&super, p, &in));
		}
	}
	take(&super, got);
	assert_same(all, got);
	printf("# %u packets in %u writes\n", all->count, writes + 1);
	assert_true(writes < all->count / 2);
	packets_free(all);
	packets_free(got);
}

/* ---- checksum ---- */

/* csum and csum_copy give the same sums as the slow reference. */
static void test_checksum(void **state)
{
	static uint8_t b[4096 + 64], to[4096 + 64];
	struct fixture_rng r;

	(void)state;
	fixture_rng_init(&r, 303);
	for (uint32_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)fixture_u64(&r);
	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t from = (uint32_t)fixture_below(&r, 64);
		uint32_t len = (uint32_t)fixture_below(&r, i % 2 ? 200 : 4096);
		uint32_t start = (uint32_t)fixture_below(&r, 0x20000);
		uint16_t want = slow_sum(b + from, len, start);

		assert_int_equal(csum(b + from, len, start), want);
		assert_int_equal(csum_copy(to + from / 2, b + from, len, start), want);
		assert_memory_equal(to + from / 2, b + from, len);
	}
	memset(b, 0xff, sizeof(b));
	assert_int_equal(csum(b, 4096, 0xffff), 0xffff);
}

/* ---- ICMP ---- */

/* ICMP and ICMPv6 errors have the right MTU, checksum and length, and are sent only where
 * allowed. */
static void test_too_big(void **state)
{
	struct shape s = {.ttl = 64, .flags = ACK, .mss = 1400, .payload = 1400, .df = true};
	uint8_t p[2000], e[ICMP_MAX];
	struct pkt_offload off;
	uint32_t len = super_packet(&s, p, &off), n;
	struct inner in = parsed(p, len), back;

	(void)state;
	n = icmp_too_big(e, sizeof(e), p, &in, 1300);
	assert_int_equal(n, 576);
	back = parsed(e, n);
	assert_int_equal(back.proto, PROTO_ICMP);
	assert_memory_equal(e + 16, p + 12, 4);
	assert_int_equal(e[20], 3);
	assert_int_equal(e[21], 4);
	assert_int_equal(get_be16(e + 26), 1300);
	assert_int_equal(slow_sum(e, 20, 0), 0xffff);
	assert_int_equal(slow_sum(e + 20, n - 20, 0), 0xffff);
	assert_memory_equal(e + 28, p, n - 28);
	/* none about ICMP errors or multicast packets */
	p[9] = 1;
	p[20] = 3;
	in = parsed(p, len);
	assert_int_equal(icmp_too_big(e, sizeof(e), p, &in, 1300), 0);
	p[20] = 8;
	in = parsed(p, len);
	assert_int_equal(icmp_too_big(e, sizeof(e), p, &in, 1300), 576);
	p[16] = 224;
	assert_int_equal(icmp_too_big(e, sizeof(e), p, &in, 1300), 0);

	s.v6 = true;
	len = super_packet(&s, p, &off);
	in = parsed(p, len);
	n = icmp_too_big(e, sizeof(e), p, &in, 1300);
	assert_int_equal(n, 1280);
	assert_int_equal(e[40], 2);
	assert_int_equal(get_be32(e + 44), 1300);
	assert_int_equal(slow_sum(e + 40, n - 40, slow_sum(e + 8, 32, 58 + n - 40)), 0xffff);
	assert_int_equal(icmp_too_big(e, sizeof(e), p, &in, 500), 1280);
	assert_int_equal(get_be32(e + 44), 1280); /* never less (RFC 8200 5) */
	p[8] = 0xff;
	assert_int_equal(icmp_too_big(e, sizeof(e), p, &in, 1300), 0);
	p[8] = 0xfd;
	p[6] = PROTO_ICMPV6;
	for (unsigned type = 0; type < 256; type++) { /* RFC 4443 2.4 (e.1), (e.2) */
		p[40] = (uint8_t)type;
		in = parsed(p, len);
		assert_int_equal(icmp_too_big(e, sizeof(e), p, &in, 1300),
				 type >= 128 && type != 137 ? 1280 : 0);
	}
}

/* A payload shorter than the given segment size is one packet. */
static void test_shorter_than_its_segments(void **state)
{
	static const struct shape shapes[] = {
		{.ttl = 64, .flags = ACK, .mss = 1448, .payload = 100, .df = true},
		{.ttl = 64, .flags = ACK, .mss = 1448, .payload = 1448, .v6 = true},
		{.ttl = 64, .udp = true, .mss = 1472, .payload = 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		const struct shape *s = &shapes[i];
		struct packets *want = packets_new(), *got = packets_new();
		struct pkt_offload off;
		uint8_t super[2000];
		uint32_t len = super_packet(s, super, &off);

		off.gso = s->udp ? PKT_GSO_UDP : s->v6 ? PKT_GSO_TCP6 : PKT_GSO_TCP4;
		off.gso_size = s->mss;
		slow_packets(s, want);
		cut(super, len, &off, got);
		assert_same(want, got);
		assert_first_len(super, len, &off, len);
		packets_free(want);
		packets_free(got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checksum),
		cmocka_unit_test(test_vnet_header),
		cmocka_unit_test(test_shorter_than_its_segments),
		cmocka_unit_test(test_every_mss),
		cmocka_unit_test(test_random_shapes),
		cmocka_unit_test(test_udp_sum_of_zero),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_the_whole_way),
		cmocka_unit_test(test_runs_are_long),
		cmocka_unit_test(test_what_ends_a_run),
		cmocka_unit_test(test_what_begins_no_run),
		cmocka_unit_test(test_random_order),
		cmocka_unit_test(test_too_big),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
