/* listen_at.c - see listen_at.h. SPDX-License-Identifier: ISC */
#include "listen_at.h"

#include <stdlib.h>

#define UNIX	 "unix:"
#define PATH_LEN 100 /* it must fit into sun_path of a socket address */

bool addr_is_loopback(const struct addr *a)
{
	static const struct addr six = {.b = {[15] = 1}, .family = FAMILY_IPV6};

	return (a->family == FAMILY_IPV4 && a->b[0] == 127) || addr_eq(a, &six);
}

/* Digits only, 1 to 65535; 0: it is none. */
static uint16_t port_of(const char *s)
{
	unsigned long v = strlen(s) <= 5 ? strtoul(s, NULL, 10) : 0;

	return s[strspn(s, "0123456789")] == '\0' && v <= UINT16_MAX ? (uint16_t)v : 0;
}

/* The address of len bytes at s; that of IPv6 is in brackets, as its own colons end no address. */
static int read_addr(const char *s, size_t len, struct addr *ret)
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

int listen_at_parse(const char *text, struct listen_at *ret)
{
	struct listen_at l = {0};
	const char *colon = strrchr(text, ':');

	if (strncmp(text, UNIX, strlen(UNIX)) == 0) {
		l.path = text + strlen(UNIX);
		if (l.path[0] != '/' || strlen(l.path) > PATH_LEN)
			return -EINVAL;
	} else {
		if (!colon || read_addr(text, (size_t)(colon - text), &l.at.addr) < 0 ||
		    !addr_is_loopback(&l.at.addr))
			return -EINVAL;
		l.at.port = port_of(colon + 1);
		if (l.at.port == 0)
			return -EINVAL;
	}
	*ret = l;
	return 0;
}
