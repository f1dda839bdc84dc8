/*
 * udp_name.h - endpoints as the kernel's socket addresses, and the socket options of each family.
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_UDP_NAME_H
#define MENDIP_UDP_NAME_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "addr.h"

/* The same option has another level and another number in each family. */
struct udp_family {
	int af, level;
	int pktinfo;	    /* type of the control message with the local address */
	int tos;	    /* of the one with TOS, or the traffic class */
	int report_pktinfo; /* options that ask for these two */
	int report_tos;
	int mtu_discover; /* takes IP_PMTUDISC_... in both families */
	int mtu;
};

/* The options of FAMILY_IPV4 or FAMILY_IPV6; static. */
const struct udp_family *udp_family_of(uint8_t family);

struct udp_name {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t len;
};

/* The name of e; an endpoint without address is the wildcard of IPv4. */
void udp_name_set(struct udp_name *n, const struct endpoint *e);
/* The endpoint of a name that the kernel wrote; family 0: neither IPv4 nor IPv6. */
struct endpoint udp_name_endpoint(const struct udp_name *n);

#define UDP_CONTROL_LEN 128 /* for what a receive or send has of control messages */

/*
 * Writes control messages for a datagram with this TOS from `local`; without an address, or with
 * one of another family than `family`, the kernel chooses the source. control holds UDP_CONTROL_LEN
 * bytes, and must be aligned like struct cmsghdr. Returns the length.
 */
size_t udp_control_write(uint8_t *control, uint8_t family, const struct endpoint *local,
			 uint8_t tos);
/* Reads them from a received message: sets *local's address and *tos, as far as they are there. */
void udp_control_read(struct msghdr *m, uint8_t family, struct addr *local, uint8_t *tos);

#endif
