/*
 * t_segment.c - which offload headers segmentation accepts or refuses for a packet, and over which
 * addresses it computes checksums. How super-packets are segmented is tested in t_packet.c.
 * SPDX-License-Identifier: ISC
 */
#include "esp_fixture.h"
#include "packet/segment.h"

#define TCP	 6
#define UDP	 17
#define SIZE	 100 /* payload of a segment */
#define PAYLOAD	 250
#define TRAILING 7

/* A packet to be segmented or completed, as the kernel would hand it out. */
struct made {
	uint8_t b[600];
	uint32_t len, l4, hdr, proto;
	uint8_t to[16]; /* destination in the pseudo-header */
	struct pkt_offload off;
};

static uint32_t slow_sum(const uint8_t *p, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : p[i] * 256u;
	while (sum > 65535)
		sum = sum % 65536 + sum / 65536;
	return sum;
}

/* Sum of the pseudo-header (RFC 9293 3.1, RFC 768, RFC 8200 8.1). */
static uint32_t slow_pseudo(const struct made *m, uint32_t l4_len)
{
	bool v6 = m->b[0] >> 4 == 6;
	uint32_t n = v6 ? 16 : 4;

	return slow_sum(m->to, n, slow_sum(m->b + (v6 ? 8 : 12), n, m->proto + l4_len));
}

static void put_l4(struct made *m)
{
	uint8_t *q = m->b + m->l4;

	put_be16(q, 4000);
	put_be16(q + 2, 5000);
	if (m->proto == UDP) {
		put_be16(q + 4, (uint16_t)(m->len - m->l4));
	} else {
		put_be32(q + 4, 0xffffff80);
		q[12] = 0x50;
		q[13] = 0x10;
	}
	for (uint32_t i = m->hdr; i < m->len; i++)
		m->b[i] = (uint8_t)(i * 37 + 5);
}

/* Makes a packet; extra: n bytes of IPv4 options, or an IPv6 extension header of this type. */
static struct made make(bool v6, uint32_t proto, const uint8_t *extra, uint32_t n, uint8_t type)
{
	struct made m = {.l4 = (v6 ? 40 : 20) + n, .proto = proto};
	uint8_t *p = m.b;

	m.hdr = m.l4 + (proto == UDP ? 8 : 20);
	m.len = m.hdr + PAYLOAD;
	if (n)
		memcpy(p + m.l4 - n, extra, n);
	if (v6) {
		p[0] = 0x60;
		put_be16(p + 4, (uint16_t)(m.len - 40));
		p[6] = n ? type : (uint8_t)proto;
		if (n)
			p[40] = (uint8_t)proto;
		p[8] = 0xfd;
		p[24] = 0xfe;
		memcpy(m.to, p + 24, 16);
	} else {
		p[0] = (uint8_t)(0x45 + n / 4);
		put_be16(p + 2, (uint16_t)m.len);
		p[8] = 64;
		p[9] = (uint8_t)proto;
		p[12] = p[16] = 10;
		p[19] = 9;
		memcpy(m.to, p + 16, 4);
		put_be16(p + 10, (uint16_t)~slow_sum(p, m.l4, 0));
	}
	put_l4(&m);
	m.off = (struct pkt_offload){.gso = proto == UDP ? PKT_GSO_UDP
					    : v6	 ? PKT_GSO_TCP6
							 : PKT_GSO_TCP4,
				     .gso_size = SIZE,
				     .needs_csum = true,
				     .csum_start = (uint16_t)m.l4,
				     .csum_offset = proto == UDP ? 6 : 16};
	return m;
}

/* Writes the sum of the pseudo-header, as the kernel does with NEEDS_CSUM. */
static void put_pseudo(struct made *m)
{
	put_be16(m->b + m->l4 + m->off.csum_offset, (uint16_t)slow_pseudo(m, m->len - m->l4));
}

static struct made make_plain(bool v6, uint32_t proto)
{
	struct made m = make(v6, proto, NULL, 0, 0);

	put_pseudo(&m);
	return m;
}

static int plan(const struct made *m, uint32_t trailing, struct seg_plan *ret)
{
	struct inner in;

	assert_int_equal(inner_parse(m->b, m->len + trailing, &in), 0);
	return seg_plan(m->b, &in, &m->off, ret);
}

static void assert_refused(const char *what, const struct made *m)
{
	struct seg_plan p;

	if (plan(m, 0, &p) != -EINVAL)
		fail_msg("taken: %s", what);
}

/* Asserts that the packet, segmented or whole, has correct checksums and its payload. */
static void assert_right(const struct made *m, uint32_t trailing)
{
	uint32_t payload = 0, count = m->off.gso == PKT_GSO_NONE ? 1 : (PAYLOAD + SIZE - 1) / SIZE;
	struct seg_plan p;

	assert_int_equal(plan(m, trailing, &p), 0);
	assert_int_equal(p.count, count);
	for (uint32_t i = 0; i < count; i++) {
		uint8_t seg[sizeof(m->b)];
		uint32_t len = seg_len(&p, i), l4_len = len - m->l4;
		struct inner in;

		seg_write(&p, i, seg);
		assert_int_equal(inner_parse(seg, len, &in), 0);
		assert_int_equal(in.len, len);
		assert_int_equal(slow_sum(seg + m->l4, l4_len, slow_pseudo(m, l4_len)), 65535);
		assert_memory_equal(seg + m->hdr, m->b + m->hdr + payload, len - m->hdr);
		payload += len - m->hdr;
	}
	assert_int_equal(payload, PAYLOAD);
}

/* Asserts that a packet without offloads is not changed. */
static void assert_untouched(const struct made *m)
{
	uint8_t out[sizeof(m->b)];
	struct seg_plan p;

	assert_int_equal(plan(m, 0, &p), 0);
	assert_int_equal(p.count, 1);
	assert_int_equal(seg_len(&p, 0), m->len);
	seg_write(&p, 0, out);
	assert_memory_equal(out, m->b, m->len);
}

static void assert_right_cut_and_whole(struct made m)
{
	assert_right(&m, 0);
	m.off.gso = PKT_GSO_NONE;
	assert_right(&m, 0);
}

/* With a routing header, the pseudo-header has the final destination (RFC 8200 8.1), which only the
 * kernel needs to know. */
static void test_routing_header(void **state)
{
	static const uint8_t types[] = {0, 2, 3, 4};
	uint8_t header[24] = {0};

	(void)state;
	header[1] = 2;
	header[3] = 1; /* segments left */
	header[8] = 0xfc;
	header[23] = 1;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		for (unsigned udp = 0; udp < 2; udp++) {
			struct made m;

			header[2] = types[i];
			m = make(true, udp ? UDP : TCP, header, sizeof(header), 43);
			memcpy(m.to, header + 8, 16);
			put_pseudo(&m);
			assert_right_cut_and_whole(m);
		}
	}
}

/* Options and extension headers are accepted if the kernel has summed the pseudo-header. */
static void test_options(void **state)
{
	static const uint8_t nops[8] = {1, 1, 1, 1, 1, 1, 1, 1}, pad[8] = {0, 0, 1, 4};

	(void)state;
	for (unsigned udp = 0; udp < 2; udp++) {
		struct made four = make(false, udp ? UDP : TCP, nops, 8, 0);
		struct made six = make(true, udp ? UDP : TCP, pad, 8, 60);

		put_pseudo(&four);
		put_pseudo(&six);
		assert_right_cut_and_whole(four);
		assert_right_cut_and_whole(six);
		/* nobody has said which address is in the pseudo-header */
		four.off.needs_csum = six.off.needs_csum = false;
		assert_refused("IPv4 options without NEEDS_CSUM", &four);
		assert_refused("an extension header without NEEDS_CSUM", &six);
	}
}

/* Without NEEDS_CSUM, the checksum of each segment is computed from scratch. */
static void test_gso_without_needs_csum(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct made m = make_plain(kind & 1, kind & 2 ? UDP : TCP);

		m.off.needs_csum = false;
		m.off.csum_start = m.off.csum_offset = 0;
		put_be16(m.b + m.l4 + (kind & 2 ? 6 : 16), 0x1234);
		assert_right(&m, 0);
	}
}

/* A checksum at any other place than that of TCP or UDP is refused. */
static void test_checksum_elsewhere(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		uint32_t proto = kind & 2 ? UDP : TCP, right = kind & 2 ? 6 : 16;

		for (uint32_t offset = 0; offset < 40; offset++) {
			struct made m = make_plain(kind & 1, proto);

			if (offset == right)
				continue;
			m.off.csum_offset = (uint16_t)offset;
			assert_refused("GSO with another checksum field", &m);
			m.off.gso = PKT_GSO_NONE;
			assert_refused("another checksum field", &m);
		}
		for (int by = -4; by <= 4; by += 2) {
			struct made m = make_plain(kind & 1, proto);

			if (by == 0)
				continue;
			m.off.csum_start = (uint16_t)((int)m.l4 + by);
			m.off.csum_offset = (uint16_t)((int)right - by);
			assert_refused("GSO with a sum that begins elsewhere", &m);
		}
	}
}

/* For another tunnel's packet, the checksum may be that of its inner packet. */
static void test_checksum_of_a_tunneled_packet(void **state)
{
	struct made m = make_plain(false, UDP);
	uint32_t from = m.hdr + 30, at = from + 16;
	uint8_t out[sizeof(m.b)];
	struct seg_plan p;

	(void)state;
	m.off = (struct pkt_offload){
		.needs_csum = true, .csum_start = (uint16_t)from, .csum_offset = 16};
	assert_int_equal(plan(&m, 0, &p), 0);
	seg_write(&p, 0, out);
	assert_memory_equal(out, m.b, at);
	assert_memory_equal(out + at + 2, m.b + at + 2, m.len - at - 2);
	/* the field contained the start value */
	assert_int_equal(get_be16(out + at), 65535 - slow_sum(m.b + from, m.len - from, 0));
}

/* A fragment has no checksum of its own: only a packet without offloads is accepted. */
static void test_checksum_of_a_fragment(void **state)
{
	static const uint8_t first[8] = {0, 0, 0, 1};
	struct made four = make_plain(false, UDP), six = make(true, UDP, first, 8, 44);

	(void)state;
	four.b[6] = 0x20;
	put_pseudo(&six);
	assert_refused("GSO with the first fragment", &four);
	assert_refused("GSO with the first fragment", &six);
	four.off.gso = six.off.gso = PKT_GSO_NONE;
	assert_refused("NEEDS_CSUM with the first fragment", &four);
	assert_refused("NEEDS_CSUM with the first fragment", &six);
	four.off.needs_csum = six.off.needs_csum = false;
	assert_untouched(&four);
	assert_untouched(&six);
}

/* A UDP length that does not match the IP length is refused for segmentation. */
static void test_udp_length(void **state)
{
	static const int off_by[] = {-(8 + PAYLOAD), -PAYLOAD, -1, 1, 1000};

	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		for (size_t i = 0; i < ARRAY_SIZE(off_by); i++) {
			struct made m = make_plain(v6, UDP);
			int len = 8 + PAYLOAD + off_by[i];

			put_be16(m.b + m.l4 + 4, (uint16_t)len);
			assert_refused("GSO with another UDP length", &m);
		}
	}
}

/* Bytes after the end of the IP packet are neither sent nor summed. */
static void test_trailing_bytes(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct made m = make_plain(kind & 1, kind & 2 ? UDP : TCP);

		memset(m.b + m.len, 0xa5, TRAILING);
		assert_right(&m, TRAILING);
		m.off.gso = PKT_GSO_NONE;
		assert_right(&m, TRAILING);
	}
}

/* A wrong IPv4 checksum is kept in a whole packet; segments get a new one, as in the kernel. */
static void test_bad_ip_checksum(void **state)
{
	struct made m = make_plain(false, TCP);
	struct seg_plan p;
	uint8_t out[sizeof(m.b)];

	(void)state;
	m.b[10] ^= 0x55;
	assert_right(&m, 0);
	assert_int_equal(plan(&m, 0, &p), 0);
	seg_write(&p, 1, out);
	assert_int_equal(slow_sum(out, 20, 0), 65535);
	m.off.gso = PKT_GSO_NONE;
	assert_right(&m, 0);
	assert_int_equal(plan(&m, 0, &p), 0);
	seg_write(&p, 0, out);
	assert_memory_equal(out, m.b, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routing_header),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_gso_without_needs_csum),
		cmocka_unit_test(test_checksum_elsewhere),
		cmocka_unit_test(test_checksum_of_a_tunneled_packet),
		cmocka_unit_test(test_checksum_of_a_fragment),
		cmocka_unit_test(test_udp_length),
		cmocka_unit_test(test_trailing_bytes),
		cmocka_unit_test(test_bad_ip_checksum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
