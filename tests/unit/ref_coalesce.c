/* ref_coalesce.c - see ref_coalesce.h. SPDX-License-Identifier: ISC */
#include "ref_coalesce.h"

#define BROKEN(rule) (1ULL << (rule))

/* With these rules broken, there are no fields to compare. */
#define BROKEN_FORM                                                          \
	(BROKEN(REF_FRAGMENT) | BROKEN(REF_OPTIONS) | BROKEN(REF_PROTOCOL) | \
	 BROKEN(REF_SHORT_HEADER))

const char *ref_rule_name(enum ref_rule rule)
{
	static const char *const names[REF_COUNT] = {
		[REF_FRAGMENT] = "a fragment goes alone",
		[REF_OPTIONS] = "IP options and extension headers go alone",
		[REF_PROTOCOL] = "only TCP and UDP",
		[REF_SHORT_HEADER] = "headers are whole, lengths right",
		[REF_NO_OFFLOAD] = "only what the device takes",
		[REF_EMPTY] = "no payload goes alone",
		[REF_FLAGS] = "only ACK, PSH, ECE",
		[REF_NO_SUM] = "UDP has a checksum",
		[REF_IP_SUM] = "the IPv4 checksum is right",
		[REF_L4_SUM] = "the checksum is right",
		[REF_AFTER_ALONE] = "nothing is added to what goes alone",
		[REF_AFTER_PSH] = "PSH ends a run",
		[REF_AFTER_SHORT] = "a short one ends a run",
		[REF_FULL_64] = "64 datagrams",
		[REF_FULL_65535] = "65535 bytes",
		[REF_FULL_CAP] = "the buffer",
		[REF_FAMILY] = "same family",
		[REF_OTHER_PROTOCOL] = "same protocol",
		[REF_ADDRESSES] = "same addresses",
		[REF_PORTS] = "same ports",
		[REF_TOS] = "same TOS",
		[REF_TTL] = "same TTL",
		[REF_DF] = "same DF",
		[REF_LABEL] = "same flow label",
		[REF_ID] = "IDs count up",
		[REF_HEADER_LEN] = "same header length",
		[REF_SEQUENCE] = "contiguous numbers",
		[REF_ACK_NUMBER] = "same acknowledgement",
		[REF_WINDOW] = "same window",
		[REF_ECE] = "same ECE",
		[REF_URGENT] = "same urgent pointer",
		[REF_TCP_OPTIONS] = "same TCP options",
		[REF_LONGER] = "none longer than the first",
	};

	return names[rule];
}

static uint32_t number(const uint8_t *p, uint32_t bytes)
{
	uint32_t n = 0;

	while (bytes--)
		n = n << 8 | *p++;
	return n;
}

/* Sum of the 16-bit words from `from` to `to`; an odd last byte is padded with 0. */
static uint64_t words(const uint8_t *p, uint32_t from, uint32_t to)
{
	uint64_t sum = 0;

	for (uint32_t i = from; i < to; i += 2)
		sum += i + 1 < to ? number(p + i, 2) : p[i] * 256u;
	return sum;
}

/* One's complement arithmetic is arithmetic modulo 65535; a checksum of 65535 is not sent. */
static uint32_t checksum(uint64_t sum)
{
	return (uint32_t)((65535 - sum % 65535) % 65535);
}

static void decode_ip(struct ref_packet *r)
{
	const uint8_t *p = r->p;

	r->v6 = p[0] / 16 == 6;
	if (r->v6) {
		r->tos = number(p, 2) / 16 % 256;
		r->label = number(p, 4) % (1u << 20);
		r->proto = p[6];
		r->ttl = p[7];
		r->l4 = 40;
		r->fragment = r->proto == 44;
		r->options = r->proto == 0 || r->proto == 43 || r->proto == 51 || r->proto == 60;
		return;
	}
	r->tos = p[1];
	r->id = number(p + 4, 2);
	r->flags3 = p[6] / 32;
	r->ttl = p[8];
	r->proto = p[9];
	r->l4 = p[0] % 16 * 4u;
	r->fragment = (p[6] & 0x20) || number(p + 6, 2) % 8192 != 0;
	r->options = r->l4 > 20;
	r->ip_sum = number(p + 10, 2);
	r->ip_sum_want = checksum(words(p, 0, 10) + words(p, 12, r->l4));
}

static void decode_tcp(struct ref_packet *r)
{
	const uint8_t *q = r->p + r->l4;

	if (r->len < r->l4 + 20)
		return;
	r->header = r->l4 + q[12] / 16 * 4u;
	r->l4_whole = r->header >= r->l4 + 20 && r->header <= r->len;
	r->seq = number(q + 4, 4);
	r->ack = number(q + 8, 4);
	r->flags = number(q + 12, 2) % 4096;
	r->window = number(q + 14, 2);
	r->l4_sum = number(q + 16, 2);
	r->urgent = number(q + 18, 2);
}

static void decode_udp(struct ref_packet *r)
{
	const uint8_t *q = r->p + r->l4;

	if (r->len < r->l4 + 8)
		return;
	r->header = r->l4 + 8;
	r->l4_whole = number(q + 4, 2) == r->len - r->l4;
	r->l4_sum = number(q + 6, 2);
}

void ref_decode(const uint8_t *p, uint32_t len, struct ref_packet *ret)
{
	struct ref_packet r = {.p = p, .len = len};
	uint32_t field;
	uint64_t sum;

	decode_ip(&r);
	if (!r.fragment && r.proto == 6)
		decode_tcp(&r);
	else if (!r.fragment && r.proto == 17)
		decode_udp(&r);
	if (r.header) { /* so there is a checksum */
		field = r.l4 + (r.proto == 6 ? 16 : 6);
		sum = words(p, r.v6 ? 8 : 12, r.v6 ? 40 : 20) + r.proto + (len - r.l4);
		sum += words(p, r.l4, field) + words(p, field + 2, len);
		r.l4_sum_want = checksum(sum);
		if (r.proto == 17 && r.l4_sum_want == 0)
			r.l4_sum_want = 65535; /* RFC 768 */
		r.sport = number(p + r.l4, 2);
		r.dport = number(p + r.l4 + 2, 2);
	}
	if (r.l4_whole)
		r.payload = len - r.header;
	*ret = r;
}

void ref_mend(uint8_t *p, uint32_t len)
{
	struct ref_packet r;
	uint32_t field;

	ref_decode(p, len, &r);
	if (!r.v6) {
		p[10] = (uint8_t)(r.ip_sum_want / 256);
		p[11] = (uint8_t)(r.ip_sum_want % 256);
	}
	if (!r.header)
		return;
	field = r.l4 + (r.proto == 6 ? 16 : 6);
	p[field] = (uint8_t)(r.l4_sum_want / 256);
	p[field + 1] = (uint8_t)(r.l4_sum_want % 256);
}

/* 0 and 65535 are equal modulo 65535; only for UDP, 0 has another meaning. */
static bool right(const struct ref_packet *p)
{
	if (p->proto == 17)
		return p->l4_sum == p->l4_sum_want;
	return p->l4_sum % 65535 == p->l4_sum_want;
}

bool ref_verified(const struct ref_packet *p)
{
	if (p->fragment || p->options || !p->header || (p->proto == 17 && !p->l4_whole))
		return false;
	return right(p);
}

static uint64_t broken_alone(const struct ref_device *d, const struct ref_packet *p)
{
	bool tcp = p->proto == 6, udp = p->proto == 17;
	uint64_t set = 0;

	if (p->fragment)
		return BROKEN(REF_FRAGMENT);
	if (p->options)
		return BROKEN(REF_OPTIONS);
	if (!tcp && !udp)
		return BROKEN(REF_PROTOCOL);
	if (!p->l4_whole)
		return BROKEN(REF_SHORT_HEADER);
	if (udp ? !d->uso : p->v6 ? !d->tso6 : !d->tso4)
		set |= BROKEN(REF_NO_OFFLOAD);
	if (p->payload == 0)
		set |= BROKEN(REF_EMPTY);
	if (tcp && (p->flags & ~0x48u) != 0x10)
		set |= BROKEN(REF_FLAGS);
	if (udp && p->l4_sum == 0)
		set |= BROKEN(REF_NO_SUM);
	else if (p->l4_sum != p->l4_sum_want)
		set |= BROKEN(REF_L4_SUM);
	if (!p->v6 && p->ip_sum != p->ip_sum_want)
		set |= BROKEN(REF_IP_SUM);
	return set;
}

static uint64_t broken_room(const struct ref_device *d, const struct ref_packet *first,
			    uint32_t count, const struct ref_packet *next)
{
	const struct ref_packet *last = first + count - 1;
	uint32_t len = first->header + next->payload;
	uint64_t set = 0;

	for (uint32_t i = 0; i < count; i++)
		len += first[i].payload;
	if (len > 65535)
		set |= BROKEN(REF_FULL_65535);
	if (len > d->cap)
		set |= BROKEN(REF_FULL_CAP);
	if (first->proto == 17 && count >= 64)
		set |= BROKEN(REF_FULL_64);
	if (last->payload < first->payload)
		set |= BROKEN(REF_AFTER_SHORT);
	if (last->proto == 6 && (last->flags & 0x08))
		set |= BROKEN(REF_AFTER_PSH);
	if (next->payload > first->payload)
		set |= BROKEN(REF_LONGER);
	return set;
}

static uint64_t broken_ip(const struct ref_packet *last, const struct ref_packet *next)
{
	uint32_t from = last->v6 ? 8 : 12, to = last->v6 ? 40 : 20;
	uint64_t set = 0;

	for (uint32_t i = from; i < to; i++) {
		if (last->p[i] != next->p[i])
			set |= BROKEN(REF_ADDRESSES);
	}
	if (last->tos != next->tos)
		set |= BROKEN(REF_TOS);
	if (last->ttl != next->ttl)
		set |= BROKEN(REF_TTL);
	if (last->flags3 != next->flags3)
		set |= BROKEN(REF_DF);
	if (last->label != next->label)
		set |= BROKEN(REF_LABEL);
	if (!last->v6 && (last->id + 1) % 65536 != next->id)
		set |= BROKEN(REF_ID);
	return set;
}

static uint64_t broken_tcp(const struct ref_packet *last, const struct ref_packet *next)
{
	uint64_t set = 0;

	/* wraps at 2^32 */
	if (last->seq + last->payload != next->seq)
		set |= BROKEN(REF_SEQUENCE);
	if (last->ack != next->ack)
		set |= BROKEN(REF_ACK_NUMBER);
	if (last->window != next->window)
		set |= BROKEN(REF_WINDOW);
	if ((last->flags & 0x40) != (next->flags & 0x40))
		set |= BROKEN(REF_ECE);
	if (last->urgent != next->urgent)
		set |= BROKEN(REF_URGENT);
	if (last->header != next->header)
		return set | BROKEN(REF_HEADER_LEN);
	for (uint32_t i = last->l4 + 20; i < last->header; i++) {
		if (last->p[i] != next->p[i])
			set |= BROKEN(REF_TCP_OPTIONS);
	}
	return set;
}

uint64_t ref_broken(const struct ref_device *d, const struct ref_packet *first, uint32_t count,
		    const struct ref_packet *next)
{
	const struct ref_packet *last = first + count - 1;
	uint64_t set = broken_alone(d, next);

	if (count == 0 || set & BROKEN_FORM)
		return set;
	if (broken_alone(d, first))
		return set | BROKEN(REF_AFTER_ALONE);
	if (last->v6 != next->v6)
		return set | BROKEN(REF_FAMILY);
	if (last->proto != next->proto)
		return set | BROKEN(REF_OTHER_PROTOCOL);
	if (last->sport != next->sport || last->dport != next->dport)
		set |= BROKEN(REF_PORTS);
	set |= broken_room(d, first, count, next) | broken_ip(last, next);
	return last->proto == 6 ? set | broken_tcp(last, next) : set;
}
