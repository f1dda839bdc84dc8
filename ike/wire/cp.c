/* cp.c - see cp.h. SPDX-License-Identifier: ISC */
#include "wire/cp.h"

enum attribute {
	INTERNAL_IP4_ADDRESS = 1,
	INTERNAL_IP4_DNS = 3,
	INTERNAL_IP6_ADDRESS = 8,
	INTERNAL_IP6_DNS = 10,
	INTERNAL_IP4_SUBNET = 13,
	INTERNAL_IP6_SUBNET = 15,
};

/* Whether packets of a host can have it as their source on the network. */
static bool is_usable(const struct addr *a)
{
	return !addr_is_no_host(a) && !addr_is_loopback(a);
}

static void add_addr(struct addr *v, uint8_t *count, unsigned max, const struct addr *a)
{
	if (*count < max)
		v[(*count)++] = *a;
}

/* family's address at the front of v; all zeros if v is empty. */
static struct addr addr_of(uint8_t family, struct chunk v)
{
	static const uint8_t none[16];

	return addr_from_bytes(family, v.len ? v.p : none);
}

/* Of an IPv4 netmask; -1: it has holes. */
static int mask_len(const uint8_t *p)
{
	uint32_t m = get_be32(p), inverse = ~m;

	return inverse & (inverse + 1) ? -1 : m ? 32 - __builtin_ctz(m) : 0;
}

static void read_address(struct cp_config *c, bool request, uint8_t family, struct chunk v)
{
	size_t len = addr_len(family);
	struct addr a;

	/* IPv6: the address and a prefix length (3.15.1). */
	if (v.len != 0 && v.len != len && !(family == FAMILY_IPV6 && v.len == len + 1))
		return;
	a = addr_of(family, v);
	if (is_usable(&a) || (request && addr_is_any(&a)))
		add_addr(c->addr, &c->addr_count, CP_ADDRS, &a);
}

static void read_dns(struct cp_config *c, uint8_t family, struct chunk v)
{
	struct addr a;

	if (v.len != addr_len(family))
		return;
	a = addr_of(family, v);
	if (is_usable(&a))
		add_addr(c->dns, &c->dns_count, CP_DNS, &a);
}

static void read_subnet(struct cp_config *c, uint8_t family, struct chunk v)
{
	struct prefix *p = &c->subnet[c->subnet_count];
	int len;

	if (c->subnet_count == CP_SUBNETS || v.len != (family == FAMILY_IPV4 ? 8 : 17))
		return;
	len = family == FAMILY_IPV4 ? mask_len(v.p + 4) : v.p[16];
	if (len < 0 || len > (int)addr_len(family) * 8)
		return;
	*p = (struct prefix){.addr = addr_of(family, v), .len = (uint8_t)len};
	p->addr = addr_masked(&p->addr, p->len);
	c->subnet_count++;
}

static void read_attribute(struct cp_config *c, bool request, uint16_t type, struct chunk v)
{
	switch (type) {
	case INTERNAL_IP4_ADDRESS: read_address(c, request, FAMILY_IPV4, v); break;
	case INTERNAL_IP6_ADDRESS: read_address(c, request, FAMILY_IPV6, v); break;
	case INTERNAL_IP4_DNS: read_dns(c, FAMILY_IPV4, v); break;
	case INTERNAL_IP6_DNS: read_dns(c, FAMILY_IPV6, v); break;
	case INTERNAL_IP4_SUBNET: read_subnet(c, FAMILY_IPV4, v); break;
	case INTERNAL_IP6_SUBNET: read_subnet(c, FAMILY_IPV6, v); break;
	default: break;
	}
}

int cp_parse(struct chunk body, uint8_t *ret_type, struct cp_config *ret)
{
	struct reader r;

	*ret = (struct cp_config){0};
	rd_init(&r, body.p, body.len);
	*ret_type = rd_u8(&r);
	rd_bytes(&r, 3);
	while (!r.bad && r.left) {
		uint16_t type = rd_be16(&r) & 0x7fff;
		struct chunk v = {.len = rd_be16(&r)};

		v.p = rd_bytes(&r, v.len);
		if (!r.bad)
			read_attribute(ret, *ret_type == CP_REQUEST, type, v);
	}
	return r.bad ? -EBADMSG : 0;
}

static void write_attribute(struct writer *w, uint16_t type, const void *p, size_t len)
{
	wr_be16(w, type);
	wr_be16(w, (uint16_t)len);
	wr_bytes(w, p, len);
}

static void write_address(struct writer *w, const struct addr *a, bool request)
{
	bool v4 = a->family == FAMILY_IPV4;
	uint8_t b[17];

	if (request && addr_is_any(a)) {
		write_attribute(w, v4 ? INTERNAL_IP4_ADDRESS : INTERNAL_IP6_ADDRESS, NULL, 0);
		return;
	}
	memcpy(b, a->b, 16);
	b[16] = 128;
	write_attribute(w, v4 ? INTERNAL_IP4_ADDRESS : INTERNAL_IP6_ADDRESS, b, v4 ? 4 : 17);
}

static void write_subnet(struct writer *w, const struct prefix *p)
{
	bool v4 = p->addr.family == FAMILY_IPV4;
	uint8_t b[17];

	memcpy(b, p->addr.b, 16);
	b[16] = p->len;
	if (v4)
		put_be32(b + 4, p->len ? UINT32_MAX << (32 - p->len) : 0);
	write_attribute(w, v4 ? INTERNAL_IP4_SUBNET : INTERNAL_IP6_SUBNET, b, v4 ? 8 : 17);
}

static bool has_family(const struct cp_config *c, uint8_t family)
{
	for (unsigned i = 0; i < c->addr_count; i++) {
		if (c->addr[i].family == family)
			return true;
	}
	return false;
}

void cp_write(struct ike_builder *b, uint8_t type, const struct cp_config *c)
{
	bool request = type == CP_REQUEST;
	struct writer *w = &b->w;

	ib_open(b, PAYLOAD_CP);
	wr_u8(w, type);
	wr_u8(w, 0);
	wr_be16(w, 0);
	for (unsigned i = 0; i < c->addr_count; i++)
		write_address(w, &c->addr[i], request);
	for (unsigned i = 0; i < c->dns_count; i++)
		write_attribute(
			w, c->dns[i].family == FAMILY_IPV4 ? INTERNAL_IP4_DNS : INTERNAL_IP6_DNS,
			c->dns[i].b, addr_len(c->dns[i].family));
	for (unsigned i = 0; i < c->subnet_count; i++)
		write_subnet(w, &c->subnet[i]);
	if (request && has_family(c, FAMILY_IPV4)) {
		write_attribute(w, INTERNAL_IP4_DNS, NULL, 0);
		write_attribute(w, INTERNAL_IP4_SUBNET, NULL, 0);
	}
	if (request && has_family(c, FAMILY_IPV6)) {
		write_attribute(w, INTERNAL_IP6_DNS, NULL, 0);
		write_attribute(w, INTERNAL_IP6_SUBNET, NULL, 0);
	}
	ib_close(b);
}

static bool addrs_eq(const struct addr *a, const struct addr *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (!addr_eq(&a[i], &b[i]))
			return false;
	}
	return true;
}

bool cp_eq(const struct cp_config *a, const struct cp_config *b)
{
	if (a->addr_count != b->addr_count || a->dns_count != b->dns_count ||
	    a->subnet_count != b->subnet_count || !addrs_eq(a->addr, b->addr, a->addr_count) ||
	    !addrs_eq(a->dns, b->dns, a->dns_count))
		return false;
	for (unsigned i = 0; i < a->subnet_count; i++) {
		if (!addr_eq(&a->subnet[i].addr, &b->subnet[i].addr) ||
		    a->subnet[i].len != b->subnet[i].len)
			return false;
	}
	return true;
}

bool cp_has(const struct cp_config *c, const struct addr *a)
{
	for (unsigned i = 0; i < c->addr_count; i++) {
		if (addr_eq(&c->addr[i], a))
			return true;
	}
	return false;
}
