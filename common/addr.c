/* addr.c - see addr.h. SPDX-License-Identifier: ISC */
#include "addr.h"
#include "xalloc.h"

#include <arpa/inet.h>
#include <stdio.h>

int addr_parse(const char *s, struct addr *ret)
{
	struct addr a = {0};

	if (inet_pton(AF_INET, s, a.b) == 1)
		a.family = FAMILY_IPV4;
	else if (inet_pton(AF_INET6, s, a.b) == 1)
		a.family = FAMILY_IPV6;
	else
		return -EINVAL;
	*ret = a;
	return 0;
}

const char *addr_format(const struct addr *a, char *s)
{
	if (a->family != FAMILY_IPV4 && a->family != FAMILY_IPV6)
		return strcpy(s, "%any");
	return inet_ntop(a->family == FAMILY_IPV4 ? AF_INET : AF_INET6, a->b, s, ADDR_STRLEN);
}

bool addr_is_any(const struct addr *a)
{
	return a->family == FAMILY_NONE || (a->w[0] == 0 && a->w[1] == 0);
}

bool addr_is_loopback(const struct addr *a)
{
	static const struct addr six = {.family = FAMILY_IPV6, .b = {[15] = 1}};

	return a->family == FAMILY_IPV4 ? a->b[0] == 127 : addr_eq(a, &six);
}

bool addr_is_no_host(const struct addr *a)
{
	if (a->family == FAMILY_IPV4)
		return a->b[0] == 0 || a->b[0] >= 224;
	return addr_is_any(a) || a->b[0] == 0xff;
}

const char *endpoint_format(const struct endpoint *e, char *s)
{
	char a[ADDR_STRLEN];
	bool v6 = e->addr.family == FAMILY_IPV6;

	snprintf(s, ENDPOINT_STRLEN, "%s%s%s:%u", v6 ? "[" : "", addr_format(&e->addr, a),
		 v6 ? "]" : "", e->port);
	return s;
}

/* The address with all bits after the first len set. */
static struct addr addr_last(const struct addr *a, uint8_t len)
{
	struct addr r = addr_masked(a, len);

	for (unsigned i = len; i < addr_len(a->family) * 8; i++)
		r.b[i / 8] |= (uint8_t)(0x80 >> (i % 8));
	return r;
}

static int parse_uint(const char *s, unsigned max, unsigned *ret)
{
	char *end;
	unsigned long v;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	v = strtoul(s, &end, 10);
	if (errno || *end || v > max)
		return -EINVAL;
	*ret = (unsigned)v;
	return 0;
}

/* The address of len bytes at s; that of IPv6 is in brackets, as its own colons end no address. */
static int parse_host(const char *s, size_t len, struct addr *ret)
{
	bool six = len >= 2 && s[0] == '[' && s[len - 1] == ']';
	char text[ADDR_STRLEN];

	if (six) {
		s++;
		len -= 2;
	}
	if (len >= sizeof(text))
		return -EINVAL;
	memcpy(text, s, len);
	text[len] = '\0';
	return addr_parse(text, ret) == 0 && (ret->family == FAMILY_IPV6) == six ? 0 : -EINVAL;
}

int endpoint_parse(const char *s, struct endpoint *ret)
{
	const char *colon = strrchr(s, ':');
	struct endpoint e = {0};
	unsigned port;

	if (!colon || parse_host(s, (size_t)(colon - s), &e.addr) < 0 || strlen(colon + 1) > 5 ||
	    parse_uint(colon + 1, UINT16_MAX, &port) < 0)
		return -EINVAL;
	e.port = (uint16_t)port;
	*ret = e;
	return 0;
}

static const struct {
	const char *name;
	uint8_t proto;
} protocols[] = {{"", 0},	  {"any", 0},	     {"icmp", 1},   {"igmp", 2},
		 {"ipip", 4},	  {"tcp", 6},	     {"udp", 17},   {"dccp", 33},
		 {"ipv6", 41},	  {"gre", 47},	     {"esp", 50},   {"ah", 51},
		 {"icmpv6", 58},  {"ipv6-icmp", 58}, {"ospf", 89},  {"pim", 103},
		 {"vrrp", 112},	  {"l2tp", 115},     {"sctp", 132}, {"mobility-header", 135},
		 {"udplite", 136}};

static int parse_proto(const char *s, uint8_t *ret)
{
	unsigned v;

	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		if (strcmp(s, protocols[i].name) == 0) {
			*ret = protocols[i].proto;
			return 0;
		}
	}
	if (parse_uint(s, 255, &v) < 0)
		return -EINVAL;
	*ret = (uint8_t)v;
	return 0;
}

static bool is_icmp(uint8_t proto)
{
	return proto == 1 || proto == 58;
}

/*
 * Parses a port; for ICMP, "type", "type/code", or both in one number from 256 on. *lo and *hi: all
 * that it names. Changes s.
 */
static int parse_port(char *s, uint8_t proto, uint16_t *lo, uint16_t *hi)
{
	char *slash = is_icmp(proto) ? strchr(s, '/') : NULL;
	unsigned v, code;

	if (slash)
		*slash = '\0';
	if (parse_uint(s, slash ? 255 : UINT16_MAX, &v) < 0)
		return -EINVAL;
	if (slash) {
		if (parse_uint(slash + 1, 255, &code) < 0)
			return -EINVAL;
		v = v << 8 | code;
	} else if (is_icmp(proto) && v < 256) {
		*lo = (uint16_t)(v << 8);
		*hi = (uint16_t)(v << 8 | 255);
		return 0;
	}
	*lo = *hi = (uint16_t)v;
	return 0;
}

/* Parses "port" or "lo-hi"; changes s. */
static int parse_ports(char *s, struct ts *t)
{
	char *dash = strchr(s, '-');
	uint16_t other;

	if (dash)
		*dash = '\0';
	if (parse_port(s, t->proto, &t->port_lo, &t->port_hi) < 0 ||
	    (dash && parse_port(dash + 1, t->proto, &other, &t->port_hi) < 0))
		return -EINVAL;
	return t->port_lo <= t->port_hi ? 0 : -EINVAL;
}

/* Parses "proto", "proto/port", "proto/lo-hi", "proto/any" or "proto/opaque"; changes s. */
static int parse_proto_port(char *s, struct ts *t)
{
	char *slash = strchr(s, '/');

	if (slash)
		*slash++ = '\0';
	if (parse_proto(s, &t->proto) < 0 || (!slash && !*s))
		return -EINVAL;
	if (!slash || strcmp(slash, "any") == 0)
		return 0;
	if (strcmp(slash, "opaque") == 0) {
		t->port_lo = UINT16_MAX;
		t->port_hi = 0;
		return 0;
	}
	return parse_ports(slash, t);
}

/* Parses "addr", "addr/len" or "addr-addr"; changes s. */
static int parse_range(char *s, struct ts *t)
{
	char *slash = strchr(s, '/'), *dash = strchr(s, '-');
	unsigned len;

	if (slash)
		*slash = '\0';
	else if (dash)
		*dash = '\0';
	if (addr_parse(s, &t->lo) < 0)
		return -EINVAL;
	t->family = t->lo.family;
	t->hi = t->lo;
	if (slash) {
		if (parse_uint(slash + 1, (unsigned)addr_len(t->family) * 8, &len) < 0)
			return -EINVAL;
		t->hi = addr_last(&t->lo, (uint8_t)len);
		t->lo = addr_masked(&t->lo, (uint8_t)len);
	} else if (dash) {
		if (addr_parse(dash + 1, &t->hi) < 0 || t->hi.family != t->family ||
		    addr_cmp(&t->lo, &t->hi) > 0)
			return -EINVAL;
	}
	return 0;
}

int ts_parse(const char *s, struct ts *ret)
{
	struct ts t = {.port_hi = UINT16_MAX};
	char buf[TS_STRLEN], *open;
	size_t len = strlen(s);

	if (len >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, s, len + 1);
	open = strchr(buf, '[');
	if (open) {
		if (buf[len - 1] != ']')
			return -EINVAL;
		buf[len - 1] = '\0';
		*open = '\0';
		if (parse_proto_port(open + 1, &t) < 0)
			return -EINVAL;
	}
	if (strcmp(buf, "dynamic") != 0 && parse_range(buf, &t) < 0)
		return -EINVAL;
	*ret = t;
	return 0;
}

/* The length of the prefix that equals [lo, hi], or -1 if none does. */
static int range_is_prefix(const struct addr *lo, const struct addr *hi)
{
	for (int len = 0; len <= (int)addr_len(lo->family) * 8; len++) {
		struct addr first = addr_masked(lo, (uint8_t)len),
			    last = addr_last(lo, (uint8_t)len);

		if (addr_cmp(&first, lo) == 0 && addr_cmp(&last, hi) == 0)
			return len;
	}
	return -1;
}

/* "/port" or "/lo-hi", in the form that parse_ports reads; "" for any. */
static void format_ports(const struct ts *t, char *s, size_t size)
{
	unsigned lo = t->port_lo, hi = t->port_hi;

	if (ts_any_port(t))
		snprintf(s, size, "%s", "");
	else if (ts_is_opaque(t))
		snprintf(s, size, "/opaque");
	else if (!is_icmp(t->proto))
		snprintf(s, size, lo == hi ? "/%u" : "/%u-%u", lo, hi);
	else if ((lo & 255) == 0 && (hi & 255) == 255)
		snprintf(s, size, lo >> 8 == hi >> 8 ? "/%u" : "/%u-%u", lo >> 8, hi >> 8);
	else if (lo == hi)
		snprintf(s, size, "/%u/%u", lo >> 8, lo & 255);
	else
		snprintf(s, size, "/%u/%u-%u/%u", lo >> 8, lo & 255, hi >> 8, hi & 255);
}

const char *ts_format(const struct ts *t, char *s)
{
	char lo[ADDR_STRLEN], hi[ADDR_STRLEN], range[2 * ADDR_STRLEN + 2], ports[24] = "";
	int len = ts_is_dynamic(t) ? -1 : range_is_prefix(&t->lo, &t->hi);

	addr_format(&t->lo, lo);
	if (ts_is_dynamic(t))
		snprintf(range, sizeof(range), "dynamic");
	else if (len >= 0)
		snprintf(range, sizeof(range), "%s/%d", lo, len);
	else
		snprintf(range, sizeof(range), "%s-%s", lo, addr_format(&t->hi, hi));
	format_ports(t, ports, sizeof(ports));
	if (t->proto || *ports)
		snprintf(s, TS_STRLEN, "%s[%u%s]", range, t->proto, ports);
	else
		snprintf(s, TS_STRLEN, "%s", range);
	return s;
}

const char *ts_list_format(const struct ts_list *l, char *s, size_t size)
{
	size_t at = 0;

	if (size)
		s[0] = '\0';
	for (unsigned i = 0; i < l->count && at < size; i++) {
		char one[TS_STRLEN];
		int n = snprintf(s + at, size - at, "%s%s", i ? "," : "",
				 ts_format(&l->ts[i], one));

		at += n > 0 ? (size_t)n : 0;
	}
	return s;
}

bool ts_list_dynamic(const struct ts_list *l)
{
	for (unsigned i = 0; i < l->count; i++) {
		if (ts_is_dynamic(&l->ts[i]))
			return true;
	}
	return false;
}

bool ts_eq(const struct ts *a, const struct ts *b)
{
	return a->family == b->family && a->proto == b->proto && a->port_lo == b->port_lo &&
	       a->port_hi == b->port_hi && addr_cmp(&a->lo, &b->lo) == 0 &&
	       addr_cmp(&a->hi, &b->hi) == 0;
}

bool ts_list_within(const struct ts_list *inner, const struct ts_list *outer)
{
	for (unsigned i = 0; i < inner->count; i++) {
		bool ok = false;

		for (unsigned j = 0; j < outer->count && !ok; j++)
			ok = ts_contains(&outer->ts[j], &inner->ts[i]);
		if (!ok)
			return false;
	}
	return inner->count > 0;
}

bool ts_list_eq(const struct ts_list *a, const struct ts_list *b)
{
	if (a->count != b->count)
		return false;
	for (unsigned i = 0; i < a->count; i++) {
		if (!ts_eq(&a->ts[i], &b->ts[i]))
			return false;
	}
	return true;
}

static bool contains_ports(const struct ts *outer, const struct ts *inner)
{
	if (ts_is_opaque(inner))
		return ts_is_opaque(outer) || ts_any_port(outer);
	return outer->port_lo <= inner->port_lo && outer->port_hi >= inner->port_hi;
}

bool ts_contains(const struct ts *outer, const struct ts *inner)
{
	return outer->family == inner->family &&
	       (outer->proto == 0 || outer->proto == inner->proto) &&
	       contains_ports(outer, inner) && addr_cmp(&outer->lo, &inner->lo) <= 0 &&
	       addr_cmp(&outer->hi, &inner->hi) >= 0;
}

/* OPAQUE has in common with others only what "any" includes of it. */
static bool common_ports(const struct ts *a, const struct ts *b, struct ts *ret)
{
	if (ts_is_opaque(a) || ts_is_opaque(b)) {
		ret->port_lo = UINT16_MAX;
		ret->port_hi = 0;
		return contains_ports(a, ret) && contains_ports(b, ret);
	}
	ret->port_lo = a->port_lo > b->port_lo ? a->port_lo : b->port_lo;
	ret->port_hi = a->port_hi < b->port_hi ? a->port_hi : b->port_hi;
	return ret->port_lo <= ret->port_hi;
}

bool ts_intersect(const struct ts *a, const struct ts *b, struct ts *ret)
{
	struct ts t = {.family = a->family};

	if (a->family != b->family || (a->proto && b->proto && a->proto != b->proto))
		return false;
	t.proto = a->proto ? a->proto : b->proto;
	if (!common_ports(a, b, &t))
		return false;
	t.lo = addr_cmp(&a->lo, &b->lo) > 0 ? a->lo : b->lo;
	t.hi = addr_cmp(&a->hi, &b->hi) < 0 ? a->hi : b->hi;
	if (addr_cmp(&t.lo, &t.hi) > 0)
		return false;
	*ret = t;
	return true;
}

/* Adds t unless another contains it; removes those that t contains. */
static void ts_list_add(struct ts_list *l, const struct ts *t)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < l->count; i++) {
		if (ts_contains(&l->ts[i], t))
			return;
	}
	for (unsigned i = 0; i < l->count; i++) {
		if (!ts_contains(t, &l->ts[i]))
			l->ts[kept++] = l->ts[i];
	}
	if (kept < TS_MAX)
		l->ts[kept++] = *t;
	l->count = (uint8_t)kept;
}

bool ts_narrow(const struct ts_list *offer, const struct ts_list *policy, struct ts_list *ret)
{
	struct ts_list l;
	struct ts t;

	l.count = 0;
	for (unsigned i = 0; i < offer->count; i++) {
		for (unsigned j = 0; j < policy->count; j++) {
			if (ts_intersect(&offer->ts[i], &policy->ts[j], &t))
				ts_list_add(&l, &t);
		}
	}
	if (l.count == 0)
		return false;
	ts_list_copy(ret, &l);
	return true;
}

struct ts ts_host(const struct addr *a, uint8_t proto, uint16_t port)
{
	return (struct ts){.family = a->family,
			   .proto = proto,
			   .port_lo = port,
			   .port_hi = port,
			   .lo = *a,
			   .hi = *a};
}

/* Moves to the next prefix of length len; false if there is none. */
static bool addr_next(struct addr *a, uint8_t len)
{
	unsigned bit = len ? (unsigned)len - 1 : 0;
	unsigned carry;

	if (len == 0)
		return false;
	carry = 0x80u >> (bit % 8);
	for (int i = (int)(bit / 8); i >= 0; i--) {
		carry += a->b[i];
		a->b[i] = (uint8_t)carry;
		carry >>= 8;
		if (!carry)
			return true;
	}
	return false;
}

unsigned range_prefixes(const struct addr *lo, const struct addr *hi, struct prefix *out,
			unsigned max)
{
	uint8_t bits = (uint8_t)(addr_len(lo->family) * 8);
	struct addr at = *lo;
	unsigned n = 0;

	for (;;) {
		uint8_t len = bits;

		while (len > 0) {
			struct addr first = addr_masked(&at, len - 1),
				    last = addr_last(&at, len - 1);

			if (addr_cmp(&first, &at) != 0 || addr_cmp(&last, hi) > 0)
				break;
			len--;
		}
		if (n == max)
			return 0;
		out[n++] = (struct prefix){.addr = at, .len = len};
		struct addr last = addr_last(&at, len);
		if (addr_cmp(&last, hi) >= 0 || !addr_next(&at, len))
			return n;
	}
}

struct ts_list *ts_list_dup(const struct ts_list *l)
{
	return xmemdup(l, offsetof(struct ts_list, ts) + l->count * sizeof(l->ts[0]));
}
