/* udp_name.c - see udp_name.h. SPDX-License-Identifier: ISC */
#include "udp_name.h"

const struct udp_family *udp_family_of(uint8_t family)
{
	static const struct udp_family v4 = {.af = AF_INET,
					     .level = IPPROTO_IP,
					     .pktinfo = IP_PKTINFO,
					     .tos = IP_TOS,
					     .report_pktinfo = IP_PKTINFO,
					     .report_tos = IP_RECVTOS,
					     .mtu_discover = IP_MTU_DISCOVER,
					     .mtu = IP_MTU};
	static const struct udp_family v6 = {.af = AF_INET6,
					     .level = IPPROTO_IPV6,
					     .pktinfo = IPV6_PKTINFO,
					     .tos = IPV6_TCLASS,
					     .report_pktinfo = IPV6_RECVPKTINFO,
					     .report_tos = IPV6_RECVTCLASS,
					     .mtu_discover = IPV6_MTU_DISCOVER,
					     .mtu = IPV6_MTU};

	return family == FAMILY_IPV6 ? &v6 : &v4;
}

_Static_assert(IP_PMTUDISC_DO == IPV6_PMTUDISC_DO && IP_PMTUDISC_DONT == IPV6_PMTUDISC_DONT &&
		       IP_PMTUDISC_WANT == IPV6_PMTUDISC_WANT,
	       "mtu_discover takes the same values in both families");

void udp_name_set(struct udp_name *n, const struct endpoint *e)
{
	if (e->addr.family == FAMILY_IPV6) {
		n->len = sizeof(n->v6);
		n->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(e->port)};
		memcpy(&n->v6.sin6_addr, e->addr.b, 16);
	} else {
		n->len = sizeof(n->v4);
		n->v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(e->port)};
		memcpy(&n->v4.sin_addr, e->addr.b, 4);
	}
}

struct endpoint udp_name_endpoint(const struct udp_name *n)
{
	struct endpoint e = {0};

	if (n->any.sa_family == AF_INET) {
		e.port = ntohs(n->v4.sin_port);
		e.addr = addr_from_bytes(FAMILY_IPV4, (const uint8_t *)&n->v4.sin_addr);
	} else if (n->any.sa_family == AF_INET6) {
		e.port = ntohs(n->v6.sin6_port);
		e.addr = addr_from_bytes(FAMILY_IPV6, (const uint8_t *)&n->v6.sin6_addr);
	}
	return e;
}

/* ---- control messages ---- */

_Static_assert(CMSG_SPACE(sizeof(struct in6_pktinfo)) + 2 * CMSG_SPACE(sizeof(int)) <=
		       UDP_CONTROL_LEN,
	       "room for address, TOS and size of datagrams");

static size_t put(uint8_t *at, int level, int type, const void *data, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)(void *)at;

	memset(at, 0, CMSG_SPACE(len));
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
	return CMSG_SPACE(len);
}

size_t udp_control_write(uint8_t *control, uint8_t family, const struct endpoint *local,
			 uint8_t tos)
{
	const struct udp_family *f = udp_family_of(family);
	struct in6_pktinfo v6 = {0};
	struct in_pktinfo v4 = {0};
	int value = tos;
	size_t len = put(control, f->level, f->tos, &value, sizeof(value));

	if (local->addr.family != family || addr_is_any(&local->addr))
		return len;
	if (family == FAMILY_IPV6) {
		memcpy(&v6.ipi6_addr, local->addr.b, 16);
		return len + put(control + len, f->level, f->pktinfo, &v6, sizeof(v6));
	}
	memcpy(&v4.ipi_spec_dst, local->addr.b, 4);
	return len + put(control + len, f->level, f->pktinfo, &v4, sizeof(v4));
}

void udp_control_read(struct msghdr *m, uint8_t family, struct addr *local, uint8_t *tos)
{
	const struct udp_family *f = udp_family_of(family);
	struct in6_pktinfo v6;
	struct in_pktinfo v4;
	int class;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != f->level)
			continue;
		if (c->cmsg_type == f->pktinfo && family == FAMILY_IPV6) {
			memcpy(&v6, CMSG_DATA(c), sizeof(v6));
			addr_set(local, FAMILY_IPV6, (const uint8_t *)&v6.ipi6_addr);
		} else if (c->cmsg_type == f->pktinfo) {
			memcpy(&v4, CMSG_DATA(c), sizeof(v4));
			addr_set(local, FAMILY_IPV4, (const uint8_t *)&v4.ipi_addr);
		} else if (c->cmsg_type == f->tos && family == FAMILY_IPV6) {
			memcpy(&class, CMSG_DATA(c), sizeof(class));
			*tos = (uint8_t) class;
		} else if (c->cmsg_type == f->tos) {
			*tos = *CMSG_DATA(c);
		}
	}
}
