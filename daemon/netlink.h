/*
 * netlink.h - what we ask of the kernel's routing, and what it tells (rtnetlink(7)).
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_NETLINK_H
#define MENDIP_NETLINK_H

#include "addr.h"

struct netlink;

#define NETLINK_TABLE_MAIN 254

struct netlink_rule {
	uint8_t family; /* AF_ */
	uint32_t priority, table;
	uint32_t mark;		/* only packets with it; 0: all */
	bool suppress_defaults; /* a route of length 0 found there does not count */
};

struct netlink_route {
	struct prefix to;
	uint32_t table;
	uint8_t type; /* RTN_UNICAST, RTN_UNREACHABLE, RTN_THROW */
	int ifindex;
	struct addr source; /* family 0: the kernel's choice */
};

/* What has changed, by others than us. */
enum netlink_change {
	NETLINK_RULES = 1,	/* a rule went */
	NETLINK_ROUTES = 2,	/* the main table has changed */
	NETLINK_GONE = 4,	/* a route went from another table, which may be ours */
	NETLINK_LINKS = 8,	/* a device came, went, went up or down */
	NETLINK_ADDRESSES = 16, /* an address came or went */
};

/* NULL with -errno in *ret_error. */
struct netlink *netlink_new(int *ret_error);
void netlink_free(struct netlink *n);
/* For the loop: readable when something has changed. */
int netlink_fd(const struct netlink *n);
/* Bits of enum netlink_change. All of them where the kernel had to leave some out. */
unsigned netlink_read(struct netlink *n);

/* 1: made now; 0: it was there; or an error of libnl (negative; netlink_error has its text). */
int netlink_rule_add(struct netlink *n, const struct netlink_rule *r) MUST_CHECK;
void netlink_rule_delete(struct netlink *n, const struct netlink_rule *r);
int netlink_route_add(struct netlink *n, const struct netlink_route *r) MUST_CHECK;
/* Also where there is one to the same prefix. */
int netlink_route_replace(struct netlink *n, const struct netlink_route *r) MUST_CHECK;
/* What is not there is no error. */
void netlink_route_delete(struct netlink *n, const struct netlink_route *r);
const char *netlink_error(int r);

/* Calls fn for each route of the family's tables, or each address of this host. False: the kernel
 * did not tell. */
bool netlink_each_route(struct netlink *n, uint8_t family,
			void (*fn)(void *ctx, const struct netlink_route *r), void *ctx);
void netlink_each_address(struct netlink *n, void (*fn)(void *ctx, const struct addr *a),
			  void *ctx);

#endif
