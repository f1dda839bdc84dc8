/* icmp.c - see icmp.h. SPDX-License-Identifier: ISC */
#include "packet/icmp.h"
#include "packet/checksum.h"
#include "packet/headers.h"
#include "wire.h"

#define IPV4_LEN   20
#define IPV6_LEN   40
#define ICMP_LEN   8
#define IPV4_QUOTE (576 - IPV4_LEN - ICMP_LEN)
#define IPV6_QUOTE (1280 - IPV6_LEN - ICMP_LEN)

static bool may_answer_v4(const uint8_t *p, const struct inner *in)
{
	/* Multicast, broadcast, 0.0.0.0/8, loopback */
	if (p[12] == 0 || p[12] == 127 || p[12] >= 224 || p[16] >= 224)
		return false;
	if (in->l4 == 0)
		return false;
	if (in->proto != PROTO_ICMP)
		return true;
	if (in->len <= in->l4)
		return false;
	/* echo, timestamp and their replies are not errors */
	return p[in->l4] == 0 || p[in->l4] == 8 || p[in->l4] == 13 || p[in->l4] == 14;
}

static bool may_answer_v6(const uint8_t *p, const struct inner *in)
{
	static const uint8_t unspecified[16], redirect = 137;

	if (p[8] == 0xff || memcmp(p + 8, unspecified, 16) == 0 || in->l4 == 0)
		return false;
	if (in->proto != PROTO_ICMPV6)
		return true;
	/* Types below 128 are errors. A Packet Too Big may be sent for a multicast destination. */
	return in->len > in->l4 && p[in->l4] >= 128 && p[in->l4] != redirect;
}

static uint32_t too_big_v4(uint8_t *dst, uint32_t cap, const uint8_t *pkt, const struct inner *in,
			   uint32_t mtu)
{
	uint32_t quote = (uint32_t)min_u64(in->len, IPV4_QUOTE), len = IPV4_LEN + ICMP_LEN + quote;
	uint8_t *icmp = dst + IPV4_LEN;

	if (len > cap)
		return 0;
	memset(dst, 0, IPV4_LEN + ICMP_LEN);
	dst[0] = 0x45;
	dst[1] = 0xc0; /* internetwork control */
	put_be16(dst + 2, (uint16_t)len);
	dst[8] = 64;
	dst[9] = PROTO_ICMP;
	memcpy(dst + 12, pkt + 16, 4);
	memcpy(dst + 16, pkt + 12, 4);
	put_be16(dst + 10, (uint16_t)~csum(dst, IPV4_LEN, 0));
	icmp[0] = 3;
	icmp[1] = 4;
	put_be16(icmp + 6, (uint16_t)mtu);
	memcpy(icmp + ICMP_LEN, pkt, quote);
	put_be16(icmp + 2, (uint16_t)~csum(icmp, ICMP_LEN + quote, 0));
	return len;
}

static uint32_t too_big_v6(uint8_t *dst, uint32_t cap, const uint8_t *pkt, const struct inner *in,
			   uint32_t mtu)
{
	uint32_t quote = (uint32_t)min_u64(in->len, IPV6_QUOTE), body = ICMP_LEN + quote;
	uint8_t *icmp = dst + IPV6_LEN;

	if (IPV6_LEN + body > cap)
		return 0;
	memset(dst, 0, IPV6_LEN + ICMP_LEN);
	dst[0] = 0x60;
	put_be16(dst + 4, (uint16_t)body);
	dst[6] = PROTO_ICMPV6;
	dst[7] = 64;
	memcpy(dst + 8, pkt + 24, 16);
	memcpy(dst + 24, pkt + 8, 16);
	icmp[0] = 2;
	put_be32(icmp + 4, (uint32_t)max_u64(mtu, IPV6_MTU_MIN));
	memcpy(icmp + ICMP_LEN, pkt, quote);
	put_be16(icmp + 2, (uint16_t)~csum(icmp, body, csum(dst + 8, 32, PROTO_ICMPV6 + body)));
	return IPV6_LEN + body;
}

uint32_t icmp_too_big(uint8_t *dst, uint32_t cap, const uint8_t *pkt, const struct inner *in,
		      uint32_t mtu)
{
	if (in->src.family == FAMILY_IPV4)
		return may_answer_v4(pkt, in) ? too_big_v4(dst, cap, pkt, in, mtu) : 0;
	return may_answer_v6(pkt, in) ? too_big_v6(dst, cap, pkt, in, mtu) : 0;
}
