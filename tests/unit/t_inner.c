/*
 * t_inner.c - parsing the headers of inner packets, against a slow reference, and their ECN field.
 * inner_next is tested in t_flow.c.
 * SPDX-License-Identifier: ISC
 */
#include "esp_fixture.h"
#include "packet/inner.h"
#include "xalloc.h"

#define ROOM 400

/* ---- the slow reference ---- */

/* What inner_parse should find out about a packet. */
struct facts {
	bool ok, v6, df, known, fragment, bare;
	uint8_t src[16], dst[16];
	uint32_t len, l4, sport, dport, proto, tos;
};

static uint32_t number(const uint8_t *p, uint32_t bytes)
{
	uint32_t n = 0;

	while (bytes--)
		n = n * 256 + *p++;
	return n;
}

/* RFC 4301 4.4.1.1: ports, or what takes their place. */
static void slow_ports(const uint8_t *p, struct facts *f)
{
	uint32_t left = f->len - f->l4;
	const uint8_t *q = p + f->l4;

	switch (f->proto) {
	case 6:	  /* TCP */
	case 17:  /* UDP */
	case 33:  /* DCCP */
	case 132: /* SCTP */
	case 136: /* UDP-Lite */
		f->known = left > 3;
		if (f->known) {
			f->sport = number(q, 2);
			f->dport = number(q + 2, 2);
		}
		break;
	case 1:
	case 58: /* type and code */
		f->known = left > 1;
		if (f->known)
			f->sport = f->dport = number(q, 2);
		break;
	case 135: /* type of a Mobility Header, as the high byte of a port */
		f->known = left > 2;
		if (f->known)
			f->sport = f->dport = q[2] * 256u;
		break;
	default: break;
	}
}

static void slow_v4(const uint8_t *p, uint32_t len, struct facts *f)
{
	uint32_t header = len < 20 ? 0 : p[0] % 16 * 4u, flags;

	if (header < 20)
		return;
	f->len = number(p + 2, 2);
	if (f->len < header || f->len > len)
		return;
	flags = number(p + 6, 2);
	f->ok = true;
	memcpy(f->src, p + 12, 4);
	memcpy(f->dst, p + 16, 4);
	f->tos = p[1];
	f->proto = p[9];
	f->df = flags / 0x4000 % 2;
	f->fragment = flags / 0x2000 % 2 || flags % 0x2000;
	f->bare = header == 20;
	if (flags % 0x2000 == 0) {
		f->l4 = header;
		slow_ports(p, f);
	}
}

/* Length of the extension header at q, of the given type; 0: it is none (RFC 8200 4, RFC 4302
 * 2.2). */
static uint32_t slow_extension(uint32_t type, const uint8_t *q)
{
	switch (type) {
	case 44: return 8;
	case 51: return 8 + 4u * q[1];
	case 0:
	case 43:
	case 60: return 8 + 8u * q[1];
	default: return 0;
	}
}

static void slow_v6(const uint8_t *p, uint32_t len, struct facts *f)
{
	uint32_t at = 40, offset = 0;

	if (len < 40 || 40 + number(p + 4, 2) > len)
		return;
	f->ok = f->df = true;
	f->len = 40 + number(p + 4, 2);
	f->tos = number(p, 2) / 16 % 256;
	f->proto = p[6];
	memcpy(f->src, p + 8, 16);
	memcpy(f->dst, p + 24, 16);
	/* stops at a header that is cut short, at the ninth one, and in a fragment that is not the
	 * first */
	for (unsigned i = 0; i < 8 && at + 8 <= f->len && offset == 0; i++) {
		uint32_t size = slow_extension(f->proto, p + at);

		if (size == 0 || at + size > f->len)
			break;
		if (f->proto == 44) {
			f->fragment = true;
			offset = number(p + at + 2, 2) / 8;
		}
		f->proto = p[at];
		at += size;
	}
	f->bare = at == 40;
	if (offset == 0) {
		f->l4 = at;
		slow_ports(p, f);
	}
}

static struct facts slow_parse(const uint8_t *p, uint32_t len)
{
	struct facts f = {0};

	if (len && p[0] / 16 == 4)
		slow_v4(p, len, &f);
	f.v6 = len && p[0] / 16 == 6;
	if (f.v6)
		slow_v6(p, len, &f);
	return f;
}

static bool plain(const struct facts *f)
{
	return f->bare && !f->fragment && f->known && (f->proto == 6 || f->proto == 17);
}

/* Asserts that inner_parse agrees with the reference, on a copy of exactly len bytes, so that
 * reading more is detected. */
static struct facts check(const uint8_t *p, uint32_t len)
{
	struct facts f = slow_parse(p, len);
	uint8_t *copy = malloc(len ? len : 1);
	uint32_t addr_len = f.v6 ? 16 : 4;
	struct inner in, untouched;
	int r;

	assert_non_null(copy);
	memcpy(copy, p, len);
	memset(&untouched, 0xa5, sizeof(untouched));
	memcpy(&in, &untouched, sizeof(in));
	r = inner_parse(copy, len, &in);
	free(copy);
	assert_int_equal(r, f.ok ? 0 : -EINVAL);
	if (!f.ok) {
		assert_memory_equal(&in, &untouched, sizeof(in));
		return f;
	}
	assert_int_equal(in.src.family, f.v6 ? FAMILY_IPV6 : FAMILY_IPV4);
	assert_int_equal(in.dst.family, in.src.family);
	assert_memory_equal(in.src.b, f.src, addr_len);
	assert_memory_equal(in.dst.b, f.dst, addr_len);
	assert_int_equal(in.len, f.len);
	assert_int_equal(in.l4, f.l4);
	assert_int_equal(in.proto, f.proto);
	assert_int_equal(in.tos, f.tos);
	assert_int_equal(in.ports_known, f.known);
	assert_int_equal(in.sport, f.sport);
	assert_int_equal(in.dport, f.dport);
	assert_int_equal(in.df, f.df);
	assert_int_equal(in.fragment, f.fragment);
	assert_int_equal(in.bare, f.bare);
	assert_int_equal(in.plain, plain(&f));
	return f;
}

/* ---- making packets ---- */

static uint32_t make_v4(uint8_t *p, uint8_t options, uint8_t proto, uint32_t payload)
{
	uint32_t len = 20u + options + payload;

	for (uint32_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + 1);
	p[0] = (uint8_t)(0x45 + options / 4);
	put_be16(p + 2, (uint16_t)len);
	put_be16(p + 6, 0x4000);
	p[9] = proto;
	return len;
}

static uint32_t make_v6(uint8_t *p, uint8_t proto, uint32_t payload)
{
	for (uint32_t i = 0; i < 40 + payload; i++)
		p[i] = (uint8_t)(i * 11 + 1);
	p[0] = 0x6b;
	put_be16(p + 4, (uint16_t)payload);
	p[6] = proto;
	return 40 + payload;
}

/* Makes an IPv6 packet with extension headers of these types; units: the length field of each. */
static uint32_t make_chain(uint8_t *p, const uint8_t *types, unsigned n, uint8_t units,
			   uint8_t proto, uint32_t payload)
{
	uint32_t at = 40;

	for (unsigned i = 0; i < n; i++) {
		uint8_t *q = p + at;

		memset(q, 0, 8 + 8u * units);
		q[0] = i + 1 < n ? types[i + 1] : proto;
		q[1] = units;
		at += slow_extension(types[i], q);
	}
	for (uint32_t i = 0; i < payload; i++)
		p[at + i] = (uint8_t)(i * 5 + 1);
	memset(p, 0, 40);
	p[0] = 0x60;
	put_be16(p + 4, (uint16_t)(at - 40 + payload));
	p[6] = n ? types[0] : proto;
	p[8] = p[24] = 0xfd;
	return at + payload;
}

/* ---- headers ---- */

static void some_header(struct fixture_rng *r, uint8_t *p, uint32_t len)
{
	static const uint8_t types[] = {0, 43, 44, 51, 60, 135, 6, 17, 58, 1, 132};

	if (fixture_chance(r, 50)) {
		p[0] = fixture_chance(r, 90) ? (uint8_t)(0x40 | (5 + fixture_below(r, 3))) : p[0];
		put_be16(p + 2,
			 (uint16_t)(len + 1 - fixture_below(r, fixture_chance(r, 80) ? 5 : 80)));
		if (fixture_chance(r, 60))
			p[6] &= 0xc0, p[7] = 0;
		p[9] = fixture_chance(r, 80) ? types[fixture_below(r, ARRAY_SIZE(types))] : p[9];
		return;
	}
	p[0] = (uint8_t)(0x60 | (p[0] & 15));
	put_be16(p + 4, (uint16_t)(len - 39 - fixture_below(r, fixture_chance(r, 80) ? 5 : 80)));
	/* plausible types and lengths wherever a chain of extension headers may lead */
	for (uint32_t at = 40; at + 8 < ROOM; at += 8) {
		p[at] = types[fixture_below(r, ARRAY_SIZE(types))];
		p[at + 1] = fixture_chance(r, 80) ? (uint8_t)fixture_below(r, 2) : p[at + 1];
		if (fixture_chance(r, 60))
			p[at + 2] = 0, p[at + 3] &= 7;
	}
	p[6] = types[fixture_below(r, ARRAY_SIZE(types))];
}

/* Random packets, most with plausible headers. */
static void test_random_bytes(void **state)
{
	unsigned ok = 0, bad = 0, deep = 0, later = 0, known = 0;
	struct fixture_rng r;

	(void)state;
	fixture_rng_init(&r, 4291);
	for (unsigned i = 0; i < 200000; i++) {
		uint8_t p[ROOM];
		uint32_t len = (uint32_t)fixture_below(&r, fixture_chance(&r, 50) ? ROOM : 80);
		struct facts f;

		for (unsigned k = 0; k < ROOM; k += 8)
			put_be64(p + k, fixture_u64(&r));
		if (fixture_chance(&r, 95))
			some_header(&r, p, len);
		f = check(p, len);
		ok += f.ok;
		bad += !f.ok;
		deep += f.ok && f.v6 && f.l4 > 56;
		later += f.ok && f.l4 == 0;
		known += f.known;
	}
	print_message("# %u read, %u refused, %u chains, %u later fragments, %u with ports\n", ok,
		      bad, deep, later, known);
	assert_true(ok > 80000 && bad > 10000 && deep > 2000 && later > 10000 && known > 40000);
}

/* Checks the packet cut at every place, and with its length field set to every smaller value. */
static void cut_everywhere(const uint8_t *p, uint32_t len)
{
	assert_true(check(p, len).ok);
	for (uint32_t n = 0; n < len; n++) {
		uint8_t q[ROOM];

		assert_false(check(p, n).ok);
		memcpy(q, p, len);
		if (q[0] >> 4 == 4)
			put_be16(q + 2, (uint16_t)n);
		else
			put_be16(q + 4, (uint16_t)(n < 40 ? 0 : n - 40));
		check(q, n);
		check(q, len);
	}
}

/* Packets that are cut short are rejected, or parsed as far as they go. */
static void test_cut_short(void **state)
{
	static const uint8_t chain[] = {0, 60, 43, 44, 51, 60};
	uint8_t p[ROOM];

	(void)state;
	cut_everywhere(p, make_v4(p, 0, PROTO_TCP, 24));
	cut_everywhere(p, make_v4(p, 40, PROTO_UDP, 12));
	cut_everywhere(p, make_v4(p, 8, PROTO_ICMP, 9));
	cut_everywhere(p, make_v4(p, 0, 99, 9));
	cut_everywhere(p, make_v6(p, PROTO_TCP, 24));
	cut_everywhere(p, make_v6(p, PROTO_ICMPV6, 9));
	cut_everywhere(p, make_chain(p, chain, ARRAY_SIZE(chain), 1, PROTO_UDP, 12));
	cut_everywhere(p, make_chain(p, chain, ARRAY_SIZE(chain), 3, PROTO_TCP, 24));
}

/* Packets of other IP versions, or with a header length below 5, are rejected. */
static void test_no_ip(void **state)
{
	uint8_t p[ROOM];
	uint32_t len = make_v4(p, 0, PROTO_UDP, 40);

	(void)state;
	for (unsigned first = 0; first < 256; first++) {
		bool good;

		p[0] = (uint8_t)first;
		good = check(p, len).ok;
		if (first / 16 == 4)
			assert_int_equal(good, first % 16 >= 5);
		else if (first / 16 != 6)
			assert_false(good);
	}
}

static void assert_upper(const struct facts *f, uint32_t proto, uint32_t l4, uint32_t sport)
{
	assert_true(f->ok);
	assert_int_equal(f->proto, proto);
	assert_int_equal(f->l4, l4);
	assert_int_equal(f->known, sport != 0);
	assert_int_equal(f->sport, sport);
}

/* Chains of extension headers are followed. Payloads begin with 1, 6, 11, 16: ports 262 and
 * 2832. */
static void test_extension_chains(void **state)
{
	static const uint8_t types[] = {0, 43, 60};
	uint8_t p[4096], same[9];
	struct facts f;

	(void)state;
	for (size_t t = 0; t < ARRAY_SIZE(types); t++) {
		memset(same, types[t], sizeof(same));
		for (unsigned n = 0; n <= 9; n++) {
			f = check(p, make_chain(p, same, n, 0, PROTO_TCP, 20));
			/* at most eight headers are followed: the ninth is the upper-layer protocol
			 * then */
			assert_upper(&f, n < 9 ? PROTO_TCP : types[t], 40 + 8 * min_u64(n, 8),
				     n < 9 ? 262 : 0);
			assert_int_equal(f.bare, n == 0);
		}
		f = check(p, make_chain(p, same, 1, 255, PROTO_TCP, 20));
		assert_upper(&f, PROTO_TCP, 40 + 2048, 262);
	}
	same[0] = 51; /* its length is in units of 4 bytes */
	f = check(p, make_chain(p, same, 1, 4, PROTO_UDP, 20));
	assert_upper(&f, PROTO_UDP, 40 + 24, 262);
	same[0] = 44; /* its length field is reserved */
	f = check(p, make_chain(p, same, 1, 4, PROTO_UDP, 20));
	assert_upper(&f, PROTO_UDP, 48, 262);
	/* one byte of the header is missing */
	same[0] = 60;
	(void)make_chain(p, same, 1, 1, PROTO_UDP, 0);
	put_be16(p + 4, 15);
	f = check(p, 55);
	assert_upper(&f, 60, 40, 0);
}

/* A fragment is recognized; ports are known in the first fragment only. */
static void test_fragments(void **state)
{
	static const uint8_t chain[] = {0, 44, 60};
	uint8_t p[ROOM];
	uint32_t len;
	struct facts f;

	(void)state;
	/* flags and offset; later fragments have no upper-layer header */
	for (uint32_t bits = 0; bits < 65536; bits += 1 + bits / 64) {
		len = make_v4(p, 0, PROTO_TCP, 24);
		put_be16(p + 6, (uint16_t)bits);
		f = check(p, len);
		assert_int_equal(f.df, bits >> 14 & 1);
		assert_int_equal(f.fragment, (bits & 0x3fff) != 0);
		assert_upper(&f, PROTO_TCP, bits & 0x1fff ? 0 : 20, bits & 0x1fff ? 0 : 0x8d94);

		len = make_chain(p, chain, 3, 0, PROTO_UDP, 24);
		put_be16(p + 50, (uint16_t)bits);
		f = check(p, len);
		assert_true(f.fragment && f.df && !f.bare);
		if (bits < 8) /* also the only fragment (RFC 6946) */
			assert_upper(&f, PROTO_UDP, 64, 262);
		else
			assert_upper(&f, 60, 0, 0);
	}
}

/* Nothing follows a Mobility Header (RFC 6275 6.1.1); its type stands for the ports. */
static void test_mobility(void **state)
{
	static const uint8_t update[16] = {PROTO_NONE, 1, 5};
	uint8_t p[ROOM], chain = 60;
	struct facts f;
	uint32_t len;

	(void)state;
	len = make_chain(p, &chain, 1, 0, 135, sizeof(update));
	memcpy(p + 48, update, sizeof(update));
	f = check(p, len);
	assert_upper(&f, 135, 48, 0x0500);
	assert_int_equal(f.dport, 0x0500);
}

/* Ports are known from 4 bytes on, type and code of ICMP from 2; other protocols have none. */
static void test_ports(void **state)
{
	static const uint8_t ports[] = {6, 17, 33, 132, 136}, icmp[] = {1, 58};
	uint8_t p[ROOM];

	(void)state;
	for (unsigned proto = 0; proto < 256; proto++) {
		for (uint32_t n = 0; n < 8; n++) {
			bool four = memchr(ports, (int)proto, sizeof(ports));
			bool two = memchr(icmp, (int)proto, sizeof(icmp));
			struct facts f = check(p, make_v4(p, 4, (uint8_t)proto, n));

			assert_int_equal(f.known, (four && n >= 4) || (two && n >= 2) ||
							  (proto == 135 && n >= 3));
			if (f.known && proto != 135) {
				assert_int_equal(f.sport, get_be16(p + 24));
				assert_int_equal(f.dport, get_be16(p + (two ? 24 : 26)));
			}
		}
	}
}

/* TFC padding after the packet is not part of it (RFC 4303 2.7). */
static void test_padding(void **state)
{
	uint8_t p[ROOM];
	uint32_t len;

	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		len = v6 ? make_v6(p, PROTO_TCP, 3) : make_v4(p, 0, PROTO_TCP, 3);
		memset(p + len, 0xff, ROOM - len);
		for (uint32_t n = len; n <= ROOM; n++) {
			struct facts f = check(p, n);

			assert_int_equal(f.len, len);
			assert_false(f.known); /* the fourth byte is padding */
		}
	}
}

/* ---- flows ---- */

static struct inner parsed(const uint8_t *p, uint32_t len)
{
	struct inner in;

	assert_int_equal(inner_parse(p, len, &in), 0);
	return in;
}

static bool same_facts(const struct facts *a, const struct facts *b)
{
	return a->v6 == b->v6 && memcmp(a->src, b->src, 16) == 0 &&
	       memcmp(a->dst, b->dst, 16) == 0 && a->proto == b->proto && a->known == b->known &&
	       a->sport == b->sport && a->dport == b->dport;
}

/* Two packets that differ in one bit are of one flow if no traffic selector could tell them
 * apart. */
static void test_same_flow(void **state)
{
	unsigned same = 0, other = 0;
	uint8_t p[ROOM], q[ROOM];

	(void)state;
	for (unsigned kind = 0; kind < 6; kind++) {
		static const uint8_t protos[] = {PROTO_TCP, PROTO_ICMP, 99};
		uint8_t proto = protos[kind / 2];
		uint32_t len = kind & 1 ? make_v6(p, proto, 24) : make_v4(p, 0, proto, 24);
		struct inner a = parsed(p, len), b;
		struct facts fa = slow_parse(p, len), fb;

		for (uint32_t bit = 0; bit < len * 8; bit++) {
			memcpy(q, p, len);
			q[bit / 8] ^= (uint8_t)(1 << bit % 8);
			fb = check(q, len);
			if (!fb.ok)
				continue;
			b = parsed(q, len);
			assert_int_equal(inner_same_flow(&a, &b), same_facts(&fa, &fb));
			assert_int_equal(inner_same_flow(&b, &a), same_facts(&fa, &fb));
			same += same_facts(&fa, &fb);
			other += !same_facts(&fa, &fb);
		}
	}
	assert_true(same > 500 && other > 500);
}

/* Ports of 0 are not the same as unknown ports. */
static void test_unknown_ports(void **state)
{
	uint8_t p[ROOM];
	uint32_t len = make_v4(p, 0, PROTO_UDP, 24);
	struct inner known, unknown;

	(void)state;
	memset(p + 20, 0, 4);
	known = parsed(p, len);
	put_be16(p + 6, 1);
	unknown = parsed(p, len);
	assert_true(known.ports_known && !unknown.ports_known);
	assert_false(inner_same_flow(&known, &unknown));
	assert_true(inner_same_flow(&unknown, &unknown));
}

/* ---- ECN ---- */

enum { NOT_ECT = 0, ECT_1 = 1, ECT_0 = 2, CE = 3, DROP = 4 };

/* RFC 6040 figure 4; a row is the inner field. Columns: Not-ECT, ECT(1), ECT(0), CE outside. */
static const uint8_t figure_4[4][4] = {
	[NOT_ECT] = {NOT_ECT, NOT_ECT, NOT_ECT, DROP},
	[ECT_1] = {ECT_1, ECT_1, ECT_1, CE},
	[ECT_0] = {ECT_0, ECT_1, ECT_0, CE},
	[CE] = {CE, CE, CE, CE},
};

static uint32_t slow_sum(const uint8_t *p, uint32_t len)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < len; i += 2)
		sum += number(p + i, 2);
	return sum % 65535;
}

/* Asserts that decapsulation with the outer TOS changes nothing in p but the ECN field and the IPv4
 * checksum. */
static void check_ecn(const uint8_t *p, uint32_t len, uint8_t outer)
{
	uint8_t q[ROOM], want[ROOM], at = p[0] >> 4 == 6 ? 4 : 0;
	uint8_t was = p[1] >> at & 3, is = figure_4[was][outer & 3];

	memcpy(q, p, len);
	memcpy(want, p, len);
	assert_int_equal(inner_ecn_decap(q, outer), is != DROP);
	if (is != DROP)
		want[1] = (uint8_t)((want[1] & ~(3 << at)) | is << at);
	if (at == 0) { /* a correct checksum stays correct, a wrong one wrong */
		uint32_t header = (p[0] & 15u) * 4;

		assert_int_equal(slow_sum(q, header), slow_sum(p, header));
		if (want[1] == p[1])
			assert_memory_equal(q + 10, p + 10, 2);
		memcpy(want + 10, q + 10, 2);
	}
	assert_memory_equal(q, want, len);
	/* decapsulating once more changes nothing */
	memcpy(want, q, len);
	assert_int_equal(inner_ecn_decap(q, outer), is != DROP);
	assert_memory_equal(q, want, len);
}

/* All combinations of inner and outer TOS follow RFC 6040. */
static void test_ecn(void **state)
{
	uint8_t p[ROOM];

	(void)state;
	for (unsigned tos = 0; tos < 256; tos++) {
		for (unsigned outer = 0; outer < 256; outer++) {
			uint32_t len = make_v4(p, 8, PROTO_TCP, 20);

			p[1] = (uint8_t)tos;
			put_be16(p + 10, 0);
			put_be16(p + 10, (uint16_t)(65535 - slow_sum(p, 28)));
			assert_int_equal(slow_sum(p, 28), 0);
			check_ecn(p, len, (uint8_t)outer);
			p[10] ^= (uint8_t)(1 + outer); /* a wrong checksum */
			check_ecn(p, len, (uint8_t)outer);

			len = make_v6(p, PROTO_TCP, 20);
			put_be32(p, 6u << 28 | tos << 20 | 0xfabcd);
			check_ecn(p, len, (uint8_t)outer);
		}
	}
}

/* The IPv4 checksum is updated correctly from every value that it can have. */
static void test_ecn_every_checksum(void **state)
{
	uint8_t p[ROOM];
	uint32_t len = make_v4(p, 0, PROTO_TCP, 20);

	(void)state;
	for (uint32_t id = 0; id < 65536; id++) {
		p[1] = 0x28 | ECT_0;
		put_be16(p + 4, (uint16_t)id);
		put_be16(p + 10, 0);
		put_be16(p + 10, (uint16_t)(65535 - slow_sum(p, 20)));
		check_ecn(p, len, CE);
		check_ecn(p, len, ECT_1);
		/* 0xffff is not a checksum that a sender would write */
		assert_true(inner_ecn_decap(p, CE));
		assert_int_not_equal(get_be16(p + 10), 0xffff);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_bytes), cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_no_ip),	     cmocka_unit_test(test_extension_chains),
		cmocka_unit_test(test_fragments),    cmocka_unit_test(test_ports),
		cmocka_unit_test(test_padding),	     cmocka_unit_test(test_same_flow),
		cmocka_unit_test(test_mobility),     cmocka_unit_test(test_unknown_ports),
		cmocka_unit_test(test_ecn),	     cmocka_unit_test(test_ecn_every_checksum),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
