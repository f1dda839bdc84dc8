/*
 * addr.h - addresses, endpoints and traffic selectors. SPDX-License-Identifier: ISC
 *
 * An address is 16 bytes whatever its family, IPv4 in the first four and the rest zero, so that
 * addresses compare and hash as plain bytes. Functions that are called for every packet are inline.
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
	uint8_t zero[7]; /* instead of padding: addresses are hash keys */
};

struct endpoint {
	struct addr addr;
	uint16_t port; /* host byte order */
};

/* Buffer sizes for the functions that format, with the NUL. */
#define ADDR_STRLEN	46
#define ENDPOINT_STRLEN 56
#define TS_STRLEN	128

static inline size_t addr_len(uint8_t family)
{
	return family == FAMILY_IPV4 ? 4 : 16;
}

/*
 * Sets *a from addr_len(family) bytes at b. Writes whole words, as a word that was stored in pieces
 * is slow to load again.
 */
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

/* lo <= a <= hi; all three must be of one family. */
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

/* -EINVAL if s is not a numeric address; *ret is then unchanged. */
int addr_parse(const char *s, struct addr *ret) MUST_CHECK;
/* s holds ADDR_STRLEN bytes, and is returned. */
const char *addr_format(const struct addr *a, char *s);
/* True for no address and for the address that is all zeros. */
bool addr_is_any(const struct addr *a);
/* Whether it leads to this host alone: 127.0.0.0/8 or ::1. */
bool addr_is_loopback(const struct addr *a);
/*
 * Whether no host can have it as its own: 0.0.0.0/8, 224.0.0.0/4 and 240.0.0.0/4 with the broadcast
 * address; :: and ff00::/8. False for a loopback address.
 */
bool addr_is_no_host(const struct addr *a);
/* fe80::/10 (RFC 4291 2.5.6): means nothing without the link. IPv4's is an address like others. */
static inline bool addr_is_link_local(const struct addr *a)
{
	return a->family == FAMILY_IPV6 && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

static inline bool endpoint_eq(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && addr_eq(&a->addr, &b->addr);
}

/* s holds ENDPOINT_STRLEN bytes, and is returned. */
const char *endpoint_format(const struct endpoint *e, char *s);
/*
 * Reads an endpoint as endpoint_format writes it: "192.0.2.1:4500", "[2001:db8::1]:4500". -EINVAL
 * for what is none; *ret is then unchanged. The address of IPv6 may be any text of it, and the port
 * may begin with zeros.
 */
int endpoint_parse(const char *s, struct endpoint *ret) MUST_CHECK;

/*
 * A traffic selector (RFC 7296 3.13.1): an address range, one protocol or any (0), a port range.
 * For ICMP the "ports" are type and code as there: type in the high, code in the low byte. Ports
 * 65535 to 0 are OPAQUE: the selector is for packets that do not show their ports, as later
 * fragments (RFC 4301 4.4.1.1); "any", 0 to 65535, is for those too. In a configuration the family
 * may be FAMILY_NONE: "dynamic", an address that is known when the IKE SA is; it matches nothing.
 */
struct ts {
	uint8_t family;
	uint8_t proto;
	uint16_t port_lo, port_hi;
	struct addr lo, hi;
};

#define TS_MAX 255 /* selectors of one side of one child: as many as a TS payload can have */

struct ts_list {
	uint8_t count;
	struct ts ts[TS_MAX];
};

/*
 * Reads "10.1.0.0/16", "10.1.0.1", "10.0.0.1-10.0.0.9", "dynamic", each optionally followed by
 * "[proto]",
 * "[proto/port]", "[proto/lo-hi]", "[proto/any]" or "[proto/opaque]" as in swanctl.conf: proto by
 * number or name, or empty for any. For ICMP a port below 256 is a type with all its codes, and a
 * greater one type * 256 + code; besides, "type/code" is read. -EINVAL if s has no such form; *ret
 * is then unchanged.
 */
int ts_parse(const char *s, struct ts *ret) MUST_CHECK;
/*
 * Writes the same form, as a prefix if the range is one. s holds TS_STRLEN bytes, and is returned.
 */
const char *ts_format(const struct ts *t, char *s);
/* Comma-separated, cut to size bytes; returns s. */
const char *ts_list_format(const struct ts_list *l, char *s, size_t size);
bool ts_eq(const struct ts *a, const struct ts *b);
bool ts_list_eq(const struct ts_list *a, const struct ts_list *b);
/* True if each selector of `inner` is contained in one of `outer`, and `inner` has at least one. */
bool ts_list_within(const struct ts_list *inner, const struct ts_list *outer);
/*
 * A copy with room for l->count selectors only, for free(), as an SA seldom has more than one.
 * Never copy the struct as a whole.
 */
struct ts_list *ts_list_dup(const struct ts_list *l) __attribute__((returns_nonnull));
/* Copies the used part; `to` has space for all. */
static inline void ts_list_copy(struct ts_list *to, const struct ts_list *from)
{
	memcpy(to, from, offsetof(struct ts_list, ts) + from->count * sizeof(from->ts[0]));
}
/* True if everything that `inner` selects is selected by `outer`. */
bool ts_contains(const struct ts *outer, const struct ts *inner);
/* Sets *ret to the common part; false, with *ret unchanged, if there is none. */
bool ts_intersect(const struct ts *a, const struct ts *b, struct ts *ret);
/*
 * Narrowing (RFC 7296 2.9): sets *ret to all intersections of `offer` with `policy`, without those
 * contained in another, and at most TS_MAX. False, with *ret unchanged, if there is none.
 */
bool ts_narrow(const struct ts_list *offer, const struct ts_list *policy, struct ts_list *ret);
static inline bool ts_is_dynamic(const struct ts *t)
{
	return t->family == FAMILY_NONE;
}
/* Whether one of them is. */
bool ts_list_dynamic(const struct ts_list *l);

/* Whether it is for all ports, and for packets without. */
static inline bool ts_any_port(const struct ts *t)
{
	return t->port_lo == 0 && t->port_hi == UINT16_MAX;
}

/* Whether it is only for packets that do not show their ports. */
static inline bool ts_is_opaque(const struct ts *t)
{
	return t->port_lo == UINT16_MAX && t->port_hi == 0;
}

/* True if t selects this address with this protocol and port (type and code for ICMP). */
static inline bool ts_match(const struct ts *t, const struct addr *a, uint8_t proto, uint16_t port)
{
	return t->family == a->family && (t->proto == 0 || t->proto == proto) &&
	       t->port_lo <= port && t->port_hi >= port && addr_within(a, &t->lo, &t->hi);
}

/* The selector for one side of one packet, which goes first in a request (RFC 7296 2.9). */
struct ts ts_host(const struct addr *a, uint8_t proto, uint16_t port);

/* A prefix: a network in CIDR form. */
struct prefix {
	struct addr addr;
	uint8_t len;
};

#define PREFIX_MAX 254 /* an IPv6 range is split into at most this many */

/*
 * Splits the address range [lo, hi] into prefixes; returns their number, or 0 if it is more than
 * max.
 */
unsigned range_prefixes(const struct addr *lo, const struct addr *hi, struct prefix *out,
			unsigned max);

#endif
