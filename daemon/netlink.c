/* netlink.c - see netlink.h. SPDX-License-Identifier: ISC */
#include "netlink.h"
#include "xalloc.h"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/handlers.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/route.h>
#include <sys/socket.h>

#define READS_MAX 64

struct netlink {
	struct nl_sock *ask, *hear;
	unsigned changes;
};

static int af_of(uint8_t family)
{
	return family == FAMILY_IPV4 ? AF_INET : AF_INET6;
}

/* ---- notifications ---- */

static unsigned route_change(const struct nlmsghdr *h)
{
	const struct rtmsg *m = nlmsg_data(h);

	if (m->rtm_table == RT_TABLE_MAIN)
		return NETLINK_ROUTES;
	return h->nlmsg_type == RTM_DELROUTE && m->rtm_table != RT_TABLE_LOCAL ? NETLINK_GONE : 0;
}

/* Ignores our own changes. */
static int on_message(struct nl_msg *msg, void *ctx)
{
	struct netlink *n = ctx;
	const struct nlmsghdr *h = nlmsg_hdr(msg);

	if (h->nlmsg_pid == nl_socket_get_local_port(n->ask))
		return NL_OK;
	switch (h->nlmsg_type) {
	case RTM_DELRULE: n->changes |= NETLINK_RULES; break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE: n->changes |= route_change(h); break;
	case RTM_NEWLINK:
	case RTM_DELLINK: n->changes |= NETLINK_LINKS; break;
	case RTM_NEWADDR:
	case RTM_DELADDR: n->changes |= NETLINK_ADDRESSES; break;
	default: break;
	}
	return NL_OK;
}

unsigned netlink_read(struct netlink *n)
{
	int r = 0;

	n->changes = 0;
	/* Limited, as changes may never end; what is left wakes the loop again. */
	for (unsigned i = 0; i < READS_MAX && r >= 0; i++)
		r = nl_recvmsgs_default(n->hear);
	if (r < 0 && r != -NLE_AGAIN)
		n->changes = NETLINK_RULES | NETLINK_ROUTES | NETLINK_GONE | NETLINK_LINKS |
			     NETLINK_ADDRESSES;
	return n->changes;
}

int netlink_fd(const struct netlink *n)
{
	return nl_socket_get_fd(n->hear);
}

static int listen_to_changes(struct netlink *n)
{
	int r;

	nl_socket_disable_seq_check(n->hear);
	nl_socket_modify_cb(n->hear, NL_CB_VALID, NL_CB_CUSTOM, on_message, n);
	r = nl_connect(n->hear, NETLINK_ROUTE);
	if (r == 0)
		r = nl_socket_add_memberships(n->hear, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR,
					      RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
					      RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE,
					      RTNLGRP_IPV6_RULE, 0);
	if (r == 0)
		r = nl_socket_set_nonblocking(n->hear);
	if (r == 0)
		(void)nl_socket_set_buffer_size(n->hear, 1 << 20, 0);
	return r;
}

struct netlink *netlink_new(int *ret_error)
{
	struct netlink *n = xzalloc(sizeof(*n));
	int r;

	n->ask = nl_socket_alloc();
	n->hear = nl_socket_alloc();
	if (!n->ask || !n->hear)
		abort();
	r = nl_connect(n->ask, NETLINK_ROUTE);
	if (r == 0)
		r = listen_to_changes(n);
	if (r == 0)
		return n;
	*ret_error = r;
	netlink_free(n);
	return NULL;
}

void netlink_free(struct netlink *n)
{
	if (!n)
		return;
	nl_socket_free(n->ask);
	nl_socket_free(n->hear);
	free(n);
}

const char *netlink_error(int r)
{
	return nl_geterror(r);
}

/* ---- requests ---- */

static struct nl_msg *new_message(int type, int flags, void *header, size_t len)
{
	struct nl_msg *m = nlmsg_alloc_simple(type, flags);

	if (!m || nlmsg_append(m, header, len, NLMSG_ALIGNTO) < 0)
		abort();
	return m;
}

static void put(struct nl_msg *m, int type, const void *p, int len)
{
	if (nla_put(m, type, len, p) < 0)
		abort();
}

static void put_u32(struct nl_msg *m, int type, uint32_t v)
{
	put(m, type, &v, sizeof(v));
}

static struct nl_msg *rule_message(const struct netlink_rule *r, int type, int flags)
{
	struct fib_rule_hdr h = {
		.family = r->family, .action = FR_ACT_TO_TBL, .table = RT_TABLE_UNSPEC};
	struct nl_msg *m = new_message(type, flags, &h, sizeof(h));

	put_u32(m, FRA_PRIORITY, r->priority);
	put_u32(m, FRA_TABLE, r->table);
	if (r->mark) {
		put_u32(m, FRA_FWMARK, r->mark);
		put_u32(m, FRA_FWMASK, UINT32_MAX);
	}
	if (r->suppress_defaults)
		put_u32(m, FRA_SUPPRESS_PREFIXLEN, 0);
	return m;
}

static int made(int r)
{
	return r == -NLE_EXIST ? 0 : r < 0 ? r : 1;
}

int netlink_rule_add(struct netlink *n, const struct netlink_rule *r)
{
	return made(nl_send_sync(n->ask, rule_message(r, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL)));
}

void netlink_rule_delete(struct netlink *n, const struct netlink_rule *r)
{
	(void)nl_send_sync(n->ask, rule_message(r, RTM_DELRULE, 0));
}

static struct nl_msg *route_message(const struct netlink_route *r, int type, int flags)
{
	bool v4 = r->to.addr.family == FAMILY_IPV4;
	struct rtmsg h = {.rtm_family = (uint8_t)af_of(r->to.addr.family),
			  .rtm_dst_len = (uint8_t)r->to.len,
			  .rtm_protocol = RTPROT_STATIC,
			  .rtm_scope = v4 && r->ifindex ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
			  .rtm_type = r->type};
	struct nl_msg *m = new_message(type, flags, &h, sizeof(h));

	put(m, RTA_DST, r->to.addr.b, (int)addr_len(r->to.addr.family));
	put_u32(m, RTA_TABLE, r->table);
	if (r->ifindex)
		put_u32(m, RTA_OIF, (uint32_t)r->ifindex);
	if (r->source.family && r->source.family == r->to.addr.family)
		put(m, RTA_PREFSRC, r->source.b, (int)addr_len(r->source.family));
	return m;
}

int netlink_route_add(struct netlink *n, const struct netlink_route *r)
{
	return made(
		nl_send_sync(n->ask, route_message(r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL)));
}

int netlink_route_replace(struct netlink *n, const struct netlink_route *r)
{
	return made(
		nl_send_sync(n->ask, route_message(r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE)));
}

void netlink_route_delete(struct netlink *n, const struct netlink_route *r)
{
	(void)nl_send_sync(n->ask, route_message(r, RTM_DELROUTE, 0));
}

int netlink_address_change(struct netlink *n, int ifindex, const struct addr *a, bool add)
{
	struct ifaddrmsg h = {.ifa_family = (uint8_t)af_of(a->family),
			      .ifa_prefixlen = (uint8_t)(addr_len(a->family) * 8),
			      .ifa_flags = a->family == FAMILY_IPV6 ? IFA_F_NODAD : 0,
			      .ifa_index = (uint32_t)ifindex};
	struct nl_msg *m = new_message(add ? RTM_NEWADDR : RTM_DELADDR,
				       add ? NLM_F_CREATE | NLM_F_EXCL : 0, &h, sizeof(h));
	int r;

	put(m, IFA_LOCAL, a->b, (int)addr_len(a->family));
	put(m, IFA_ADDRESS, a->b, (int)addr_len(a->family));
	r = made(nl_send_sync(n->ask, m));
	return add && r < 0 ? r : 0;
}

/* ---- lists ---- */

static struct addr from_nl(const struct nl_addr *a, uint8_t family)
{
	/* A default route's destination may have no bytes. */
	static const uint8_t none[16];

	return addr_from_bytes(family, nl_addr_get_len(a) ? nl_addr_get_binary_addr(a) : none);
}

struct route_list {
	struct netlink_route *v;
	unsigned count, space;
	uint8_t family;
};

static int on_route(struct nl_msg *msg, void *ctx)
{
	struct route_list *l = ctx;
	struct rtnl_route *route = NULL;
	struct rtnl_nexthop *hop;
	struct nl_addr *dst;

	if (rtnl_route_parse(nlmsg_hdr(msg), &route) < 0)
		return NL_SKIP;
	dst = rtnl_route_get_dst(route);
	/* A kernel without IPv6 answers with the routes of other families. */
	if (dst && nl_addr_get_family(dst) == af_of(l->family)) {
		if (l->count == l->space) {
			l->space = l->space ? 2 * l->space : 64;
			l->v = xreallocarray(l->v, l->space, sizeof(*l->v));
		}
		hop = rtnl_route_nexthop_n(route, 0);
		l->v[l->count++] = (struct netlink_route){
			.to = {from_nl(dst, l->family), (uint8_t)nl_addr_get_prefixlen(dst)},
			.table = rtnl_route_get_table(route),
			.type = rtnl_route_get_type(route),
			.ifindex = hop ? rtnl_route_nh_get_ifindex(hop) : 0};
	}
	rtnl_route_put(route);
	return NL_OK;
}

/*
 * Only with this the kernel (since 4.20) lists one table alone, where asked to. It is not left on,
 * as libnl's own requests for lists have a shorter header than it then accepts.
 */
static void be_strict(struct netlink *n, int on)
{
	(void)setsockopt(nl_socket_get_fd(n->ask), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on,
			 sizeof(on));
}

static int list_routes(struct netlink *n, struct nl_cb *cb, uint32_t table, struct route_list *l)
{
	struct rtmsg h = {.rtm_family = (uint8_t)af_of(l->family)};
	struct nl_msg *m = new_message(RTM_GETROUTE, NLM_F_DUMP, &h, sizeof(h));
	int r;

	l->count = 0;
	if (table)
		put_u32(m, RTA_TABLE, table);
	r = nl_send_auto(n->ask, m);
	nlmsg_free(m);
	return r < 0 ? r : nl_recvmsgs(n->ask, cb);
}

#define LISTS_MAX 5

bool netlink_each_route(struct netlink *n, uint8_t family, uint32_t table,
			void (*fn)(void *ctx, const struct netlink_route *r), void *ctx)
{
	struct route_list l = {.family = family};
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int r = -NLE_DUMP_INTR;

	if (!cb)
		abort();
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_route, &l);
	be_strict(n, 1);
	/* Again, if the routes changed while they were listed. */
	for (unsigned i = 0; i < LISTS_MAX && r == -NLE_DUMP_INTR; i++)
		r = list_routes(n, cb, table, &l);
	be_strict(n, 0);
	nl_cb_put(cb);
	if (r == -NLE_OBJ_NOTFOUND) /* there is no table before its first route */
		r = 0;
	for (unsigned i = 0; r >= 0 && i < l.count; i++) {
		if (!table || l.v[i].table == table) /* a kernel before 4.20 lists all */
			fn(ctx, &l.v[i]);
	}
	free(l.v);
	return r >= 0;
}

struct each_address {
	void (*fn)(void *ctx, const struct addr *a);
	void *ctx;
};

static void on_address(struct nl_object *o, void *ctx)
{
	struct each_address *e = ctx;
	struct rtnl_addr *entry = (struct rtnl_addr *)o;
	struct nl_addr *a = rtnl_addr_get_local(entry);
	struct addr found;

	if (!a || rtnl_addr_get_scope(entry) >= RT_SCOPE_LINK ||
	    (nl_addr_get_family(a) != AF_INET && nl_addr_get_family(a) != AF_INET6))
		return;
	found = from_nl(a, nl_addr_get_family(a) == AF_INET ? FAMILY_IPV4 : FAMILY_IPV6);
	e->fn(e->ctx, &found);
}

bool netlink_each_address(struct netlink *n, void (*fn)(void *ctx, const struct addr *a), void *ctx)
{
	struct each_address e = {fn, ctx};
	struct nl_cache *cache;

	if (rtnl_addr_alloc_cache(n->ask, &cache) < 0)
		return false;
	nl_cache_foreach(cache, on_address, &e);
	nl_cache_free(cache);
	return true;
}
