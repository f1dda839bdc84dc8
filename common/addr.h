/*
 * addr.h - addresses, endpoints and traffic selectors. SPDX-License-Identifier: ISC
 *
 * An address is 16 bytes whatever its family, IPv4 in the first four and the rest zero, so that
 * addresses compare and hash as plain bytes. What is done for every packet is inline here.
 */
#ifndef MENDIP_ADDR_H
#define MENDIP_ADDR_H

#include <endian.h>

#include "base.h"

enum family { FAMILY_NONE = 0, FAMILY_IPV4 = 4, FAMILY_IPV6 = 6 };

struct addr {
	union {
		uint8_t b[16];
		uint64_t w[2]; /* the same in words, for speed */
	};
	uint8_t family;	 /* enum family */
	uint8_t zero[7]; /* no padding: addresses are hash keys */
};

struct endpoint {
	struct addr addr;
	uint16_t port; /* host byte order */
};

#define ADDR_STRLEN	46
#define ENDPOINT_STRLEN 56
#define TS_STRLEN	128

static inline size_t addr_len(uint8_t family)
{
	return family == FAMILY_IPV4 ? 4 : 16;
}

/* By whole words and in its place: what is stored in pieces is slow to load again. */
static inline void addr_set(struct addr *a, uint8_t family, const uint8_t *b)
{
	uint32_t v4;

	a->family = family;
	memset(a->zero, 0, sizeof(a->zero));
	if (family == FAMILY_IPV4) {
		memcpy(&v4, b, 4);
		a->w[0] = le64toh(le32toh(v4));
		a->w[1] = 0;
	} else {
		memcpy(&a->w[0], b, 8);
		memcpy(&a->w[1], b + 8, 8);
	}
}

static inline struct addr addr_from_bytes(uint8_t family, const uint8_t *b)
{
	struct addr a;

	addr_set(&a, family, b);
	return a;
}

static inline bool addr_eq(const struct addr *a, const struct addr *b)
{
	return a->w[0] == b->w[0] && a->w[1] == b->w[1] && a->family == b->family;
}

/* Orders by family, then as numbers: negative, 0 or positive. */
static inline int addr_cmp(const struct addr *a, const struct addr *b)
{
	unsigned i = a->w[0] == b->w[0];
	uint64_t x = be64toh(a->w[i]), y = be64toh(b->w[i]);

	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return (x > y) - (x < y);
}

/* lo <= a <= hi, all of one family. */
static inline bool addr_within(const struct addr *a, const struct addr *lo, const struct addr *hi)
{
	uint64_t x = be64toh(a->w[0]), l = be64toh(lo->w[0]), h = be64toh(hi->w[0]);

	return (l < x || (l == x && be64toh(lo->w[1]) <= be64toh(a->w[1]))) &&
	       (x < h || (x == h && be64toh(a->w[1]) <= be64toh(hi->w[1])));
}

/* The first len bits of the address, the rest zero. */
static inline struct addr addr_masked(const struct addr *a, uint8_t len)
{
	struct addr r = {.family = a->family};

	if (len > 64) {
		r.w[0] = a->w[0];
		r.w[1] = a->w[1] & htobe64(~0ULL << (128 - len));
	} else if (len > 0) {
		r.w[0] = a->w[0] & htobe64(~0ULL << (64 - len));
	}
	return r;
}

/* -EINVAL when s is no numeric address; *ret untouched then. */
int addr_parse(const char *s, struct addr *ret) MUST_CHECK;
/* s holds ADDR_STRLEN bytes; returned for convenience. */
const char *addr_format(const struct addr *a, char *s);
bool addr_is_any(const struct addr *a);

static inline bool endpoint_eq(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && addr_eq(&a->addr, &b->addr);
}

const char *endpoint_format(const struct endpoint *e, char *s);

/*
 * A traffic selector (RFC 7296 3.13.1): an address range, one protocol or any (0), a port range.
 * For ICMP the "ports" are type and code as there: type in the high, code in the low byte.
 */
struct ts {
	uint8_t family;
	uint8_t proto;
	uint16_t port_lo, port_hi;
	struct addr lo, hi;
};

#define TS_MAX 16 /* selectors of one side of one child */

struct ts_list {
	uint8_t count;
	struct ts ts[TS_MAX];
};

/*
 * Reads "10.1.0.0/16", "10.1.0.1", "10.0.0.1-10.0.0.9", each optionally followed by "[proto]" or
 * "[proto/port]" or "[proto/lo-hi]" as in swanctl.conf (proto by number or tcp, udp, icmp,
 * icmpv6). -EINVAL otherwise.
 */
int ts_parse(const char *s, struct ts *ret) MUST_CHECK;
/* The same form, with a prefix where the range is one. s holds TS_STRLEN bytes. */
const char *ts_format(const struct ts *t, char *s);
/* Comma-separated, cut to size. */
const char *ts_list_format(const struct ts_list *l, char *s, size_t size);
bool ts_eq(const struct ts *a, const struct ts *b);
bool ts_list_eq(const struct ts_list *a, const struct ts_list *b);
/* Each selector of `inner`, which has one at least, is contained in one of `outer`. */
bool ts_list_within(const struct ts_list *inner, const struct ts_list *outer);
/*
 * A copy as long as its count asks, for free(): what is kept for each SA is seldom more than one
 * selector. It is never to be copied as a whole.
 */
struct ts_list *ts_list_dup(const struct ts_list *l) __attribute__((returns_nonnull));
/* Everything of `inner` is within `outer`. */
bool ts_contains(const struct ts *outer, const struct ts *inner);
/* The common part; false when there is none. */
bool ts_intersect(const struct ts *a, const struct ts *b, struct ts *ret);
/*
 * Narrowing (RFC 7296 2.9): all intersections of `offer` with `policy`, without those contained in
 * another. False when nothing is left. At most TS_MAX are kept.
 */
bool ts_narrow(const struct ts_list *offer, const struct ts_list *policy, struct ts_list *ret);
/* True when an address with this protocol and port (type/code for ICMP) is selected. */
static inline bool ts_match(const struct ts *t, const struct addr *a, uint8_t proto, uint16_t port)
{
	return t->family == a->family && (t->proto == 0 || t->proto == proto) &&
	       t->port_lo <= port && t->port_hi >= port && addr_within(a, &t->lo, &t->hi);
}

/* The selector of one packet's side, for the first-packet selectors of 2.9. */
struct ts ts_host(const struct addr *a, uint8_t proto, uint16_t port);

/* A prefix: a network in CIDR form. */
struct prefix {
	struct addr addr;
	uint8_t len;
};

#define PREFIX_MAX 254 /* an IPv6 range falls into at most this many */

/* Falls the address range [lo, hi] into prefixes; returns their number, 0 when out has no room. */
unsigned range_prefixes(const struct addr *lo, const struct addr *hi, struct prefix *out,
			unsigned max);

#endif
