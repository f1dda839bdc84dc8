/* config_own.c - the addresses of this host. SPDX-License-Identifier: ISC */
#include "config_read.h"

#include <ifaddrs.h>
#include <netinet/in.h>

static bool is_same(const struct sockaddr *s, const struct addr *a)
{
	if (s && s->sa_family == AF_INET && a->family == FAMILY_IPV4)
		return memcmp(&((const struct sockaddr_in *)(const void *)s)->sin_addr, a->b, 4) ==
		       0;
	if (s && s->sa_family == AF_INET6 && a->family == FAMILY_IPV6)
		return memcmp(&((const struct sockaddr_in6 *)(const void *)s)->sin6_addr, a->b,
			      16) == 0;
	return false;
}

int conf_is_own(struct conf_reader *r, const struct addr *a)
{
	const struct ifaddrs *i;

	if (!r->own && getifaddrs(&r->own) < 0)
		return -errno;
	for (i = r->own; i; i = i->ifa_next) {
		if (is_same(i->ifa_addr, a))
			return 1;
	}
	return 0;
}
