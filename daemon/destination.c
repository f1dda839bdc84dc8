/* destination.c - see destination.h. SPDX-License-Identifier: ISC */
#include "destination.h"

#define SCOPE_LINK   2
#define SCOPE_SITE   5
#define SCOPE_GLOBAL 14

/* Rule 9 looks at no more: what follows is chosen by a host, not by its network. */
#define PREFIX_BITS_MAX 64

/* An address as IPv6, which the policy table is written for (RFC 6724 3.2). */
static struct addr as_ipv6(const struct addr *a)
{
	uint8_t b[16] = {[10] = 0xff, [11] = 0xff};

	if (a->family == FAMILY_IPV6)
		return *a;
	memcpy(b + 12, a->b, 4);
	return addr_from_bytes(FAMILY_IPV6, b);
}

struct policy {
	uint8_t prefix[16], len, precedence, label;
};

static const struct policy *policy_of(const struct addr *a)
{
	/* The longest prefix first. */
	static const struct policy table[] = {
		{{[15] = 1}, 128, 50, 0},		 /* ::1 */
		{{[10] = 0xff, [11] = 0xff}, 96, 35, 4}, /* IPv4 */
		{{0}, 96, 1, 3},			 /* IPv4-compatible */
		{{0x20, 0x01}, 32, 5, 5},		 /* Teredo */
		{{0x20, 0x02}, 16, 30, 2},		 /* 6to4 */
		{{0x3f, 0xfe}, 16, 1, 12},		 /* 6bone */
		{{0xfe, 0xc0}, 10, 1, 11},		 /* site-local */
		{{0xfc}, 7, 3, 13},			 /* unique local */
		{{0}, 0, 40, 1},
	};
	const struct addr v6 = as_ipv6(a);
	size_t i = 0;

	for (; i + 1 < ARRAY_SIZE(table); i++) {
		struct addr want = addr_from_bytes(FAMILY_IPV6, table[i].prefix);
		struct addr have = addr_masked(&v6, table[i].len);

		if (addr_eq(&want, &have))
			break;
	}
	return &table[i];
}

static unsigned scope_of(const struct addr *a)
{
	if (addr_is_loopback(a) || addr_is_link_local(a))
		return SCOPE_LINK;
	if (a->family == FAMILY_IPV4)
		return a->b[0] == 169 && a->b[1] == 254 ? SCOPE_LINK : SCOPE_GLOBAL;
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0xc0 ? SCOPE_SITE : SCOPE_GLOBAL;
}

static unsigned common_bits(const struct addr *a, const struct addr *b)
{
	unsigned n = 0;

	while (n < PREFIX_BITS_MAX && !((a->b[n / 8] ^ b->b[n / 8]) & (0x80 >> n % 8)))
		n++;
	return n;
}

/* Greater than 0 if a is to be tried before b, less if after it, 0 if the rules do not tell. */
static int compare(const struct destination *a, const struct destination *b)
{
	const struct policy *pa = policy_of(&a->addr), *pb = policy_of(&b->addr);
	bool usable_a = a->source.family, usable_b = b->source.family;
	int r;

	if (a->rank != b->rank)
		return b->rank - a->rank;
	if (usable_a != usable_b) /* rule 1 */
		return usable_a - usable_b;
	r = (scope_of(&a->addr) == scope_of(&a->source)) -
	    (scope_of(&b->addr) == scope_of(&b->source)); /* rule 2 */
	if (usable_a && r != 0)
		return r;
	r = (pa->label == policy_of(&a->source)->label) -
	    (pb->label == policy_of(&b->source)->label); /* rule 5 */
	if (usable_a && r != 0)
		return r;
	if (pa->precedence != pb->precedence) /* rule 6 */
		return pa->precedence - pb->precedence;
	r = (int)scope_of(&b->addr) - (int)scope_of(&a->addr); /* rule 8 */
	if (r != 0)
		return r;
	if (!usable_a || a->addr.family != FAMILY_IPV6 || b->addr.family != FAMILY_IPV6)
		return 0;
	return (int)common_bits(&a->addr, &a->source) -
	       (int)common_bits(&b->addr, &b->source); /* rule 9 */
}

void destinations_sort(struct destination *d, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		struct destination x = d[i];
		unsigned k = i;

		for (; k > 0 && compare(&x, &d[k - 1]) > 0; k--)
			d[k] = d[k - 1];
		d[k] = x;
	}
}
