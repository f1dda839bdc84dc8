/*
 * netlink.h - requests to the kernel's routing, and its notifications (rtnetlink(7)).
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_NETLINK_H
#define MENDIP_NETLINK_H

#include "addr.h"

struct netlink;

#define NETLINK_TABLE_MAIN 254

struct netlink_rule {
	uint8_t family; /* AF_INET or AF_INET6 */
	uint32_t priority, table;
	uint32_t mark;		/* only packets with this mark; 0: all */
	bool suppress_defaults; /* ignore default routes of the table */
};

struct netlink_route {
	struct prefix to;
	uint32_t table;
	uint8_t type;	    /* RTN_UNICAST, RTN_UNREACHABLE, RTN_THROW */
	int ifindex;	    /* 0: none */
	struct addr source; /* family 0: the kernel's choice */
};

/* Changes by other programs or the kernel, not by us. */
enum netlink_change {
	NETLINK_RULES = 1,	/* a rule was removed */
	NETLINK_ROUTES = 2,	/* the main table has changed */
	NETLINK_GONE = 4,	/* a route was removed from another table, which may be ours */
	NETLINK_LINKS = 8,	/* a device was added, removed, or went up or down */
	NETLINK_ADDRESSES = 16, /* an address was added or removed */
};

/* NULL with an error of libnl in *ret_error. */
struct netlink *netlink_new(int *ret_error);
/* Accepts NULL. */
void netlink_free(struct netlink *n);
/* A descriptor for the loop: readable after a change; then netlink_read is to be called. */
int netlink_fd(const struct netlink *n);
/* Returns bits of enum netlink_change; all of them after the kernel has dropped notifications. */
unsigned netlink_read(struct netlink *n);

/* The functions that add return 1 when it was made, 0 when it existed, or a negative error of
 * libnl. */
int netlink_rule_add(struct netlink *n, const struct netlink_rule *r) MUST_CHECK;
void netlink_rule_delete(struct netlink *n, const struct netlink_rule *r);
int netlink_route_add(struct netlink *n, const struct netlink_route *r) MUST_CHECK;
/* Replaces a route to the same prefix, if there is one. */
int netlink_route_replace(struct netlink *n, const struct netlink_route *r) MUST_CHECK;
/* It is no error if the route does not exist. */
void netlink_route_delete(struct netlink *n, const struct netlink_route *r);
/* Adds the address to the device, or removes it. A negative error of libnl if it could not be
 * added. */
int netlink_address_change(struct netlink *n, int ifindex, const struct addr *a, bool add);
/* The text of an error of libnl (static). */
const char *netlink_error(int r);

/*
 * Calls fn for each route of the family (FAMILY_IPV4 or FAMILY_IPV6) in this table, 0: in all. fn
 * may change routes. False: the kernel did not list them.
 */
bool netlink_each_route(struct netlink *n, uint8_t family, uint32_t table,
			void (*fn)(void *ctx, const struct netlink_route *r), void *ctx);
/* Calls fn for each address of this host whose scope is wider than a link. */
bool netlink_each_address(struct netlink *n, void (*fn)(void *ctx, const struct addr *a),
			  void *ctx);

#endif
