/* net.c - see net.h. SPDX-License-Identifier: ISC */
#include "net.h"
#include "xalloc.h"

#include <linux/fib_rules.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/route.h>
#include <netlink/route/rule.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#define TABLE_MAIN 254

struct route_use {
	LIST_ENTRY(route_use) link;
	struct prefix to;
	unsigned uses;
};

struct net {
	struct nl_sock *sock;
	struct log *log;
	int ifindex;
	LIST_HEAD(, route_use) routes;
};

static int rule_change(struct net *n, int family, uint32_t prio, uint32_t mark, uint32_t table,
		       bool add)
{
	struct rtnl_rule *rule = rtnl_rule_alloc();
	int r;

	rtnl_rule_set_family(rule, family);
	rtnl_rule_set_prio(rule, prio);
	rtnl_rule_set_table(rule, table);
	rtnl_rule_set_action(rule, FR_ACT_TO_TBL);
	if (mark) {
		rtnl_rule_set_mark(rule, mark);
		rtnl_rule_set_mask(rule, UINT32_MAX);
	}
	r = add ? rtnl_rule_add(n->sock, rule, NLM_F_CREATE | NLM_F_EXCL)
		: rtnl_rule_delete(n->sock, rule, 0);
	rtnl_rule_put(rule);
	return r == -NLE_EXIST ? 0 : r;
}

static int rules_change(struct net *n, bool add)
{
	static const int families[] = {AF_INET, AF_INET6};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		int a = rule_change(n, families[i], NET_RULE_MARKED, NET_MARK, TABLE_MAIN, add);
		int b = rule_change(n, families[i], NET_RULE_TABLE, 0, NET_TABLE, add);

		/* A kernel without IPv6 is no error. */
		if (families[i] == AF_INET && (a < 0 || b < 0))
			r = a < 0 ? a : b;
	}
	return r;
}

struct net *net_new(const char *tun, struct log *log, int *ret_error)
{
	struct net *n = xzalloc(sizeof(*n));
	int r;

	n->log = log;
	LIST_INIT(&n->routes);
	n->sock = nl_socket_alloc();
	n->ifindex = (int)if_nametoindex(tun);
	r = nl_connect(n->sock, NETLINK_ROUTE);
	if (r == 0)
		r = rules_change(n, true);
	if (r < 0) {
		log_error(log, "routing rules cannot be made: %s", nl_geterror(r));
		*ret_error = -EIO;
		nl_socket_free(n->sock);
		free(n);
		return NULL;
	}
	return n;
}

void net_free(struct net *n)
{
	struct route_use *u;

	if (!n)
		return;
	/* The routes go with the device. */
	while ((u = LIST_FIRST(&n->routes))) {
		LIST_REMOVE(u, link);
		free(u);
	}
	rules_change(n, false);
	nl_socket_free(n->sock);
	free(n);
}

static struct nl_addr *to_nl(const struct addr *a, unsigned len)
{
	struct nl_addr *n = nl_addr_build(a->family == FAMILY_IPV4 ? AF_INET : AF_INET6, a->b,
					  addr_len(a->family));

	nl_addr_set_prefixlen(n, (int)len);
	return n;
}

struct source_search {
	const struct ts_list *local;
	uint8_t family;
	struct addr found;
};

static void look_at_address(struct nl_object *o, void *ctx)
{
	struct source_search *s = ctx;
	struct nl_addr *a = rtnl_addr_get_local((struct rtnl_addr *)o);
	struct addr addr;

	if (!a || s->found.family)
		return;
	if (nl_addr_get_family(a) != (s->family == FAMILY_IPV4 ? AF_INET : AF_INET6) ||
	    rtnl_addr_get_scope((struct rtnl_addr *)o) >= RT_SCOPE_LINK)
		return;
	addr = addr_from_bytes(s->family, nl_addr_get_binary_addr(a));
	for (unsigned i = 0; i < s->local->count; i++) {
		const struct ts *t = &s->local->ts[i];

		if (t->family == addr.family && addr_cmp(&t->lo, &addr) <= 0 &&
		    addr_cmp(&t->hi, &addr) >= 0)
			s->found = addr;
	}
}

/* An address of this host within local_ts, so that its own packets are selected; family 0: none. */
static struct addr find_source(struct net *n, const struct ts_list *local, uint8_t family)
{
	struct source_search s = {.local = local, .family = family};
	struct nl_cache *cache;

	if (rtnl_addr_alloc_cache(n->sock, &cache) < 0)
		return s.found;
	nl_cache_foreach(cache, look_at_address, &s);
	nl_cache_free(cache);
	return s.found;
}

static void route_change(struct net *n, const struct prefix *to, const struct addr *src, bool add)
{
	struct rtnl_route *route = rtnl_route_alloc();
	struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
	struct nl_addr *dst = to_nl(&to->addr, to->len), *from = NULL;
	char text[ADDR_STRLEN];
	int r;

	rtnl_route_set_family(route, (uint8_t)nl_addr_get_family(dst));
	rtnl_route_set_dst(route, dst);
	rtnl_route_set_table(route, NET_TABLE);
	rtnl_route_set_scope(route,
			     to->addr.family == FAMILY_IPV4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
	rtnl_route_set_protocol(route, RTPROT_STATIC);
	rtnl_route_nh_set_ifindex(hop, n->ifindex);
	rtnl_route_add_nexthop(route, hop);
	if (src && src->family == to->addr.family) {
		from = to_nl(src, (unsigned)addr_len(src->family) * 8);
		rtnl_route_set_pref_src(route, from);
	}
	r = add ? rtnl_route_add(n->sock, route, NLM_F_CREATE | NLM_F_REPLACE)
		: rtnl_route_delete(n->sock, route, 0);
	if (r < 0 && r != -NLE_OBJ_NOTFOUND && r != -NLE_NODEV)
		log_warn(n->log, "route to %s/%u cannot be %s: %s", addr_format(&to->addr, text),
			 to->len, add ? "added" : "removed", nl_geterror(r));
	nl_addr_put(dst);
	nl_addr_put(from);
	rtnl_route_put(route);
}

static void use_prefix(struct net *n, const struct prefix *to, const struct ts_list *local,
		       bool add)
{
	struct route_use *u;
	struct addr src;

	LIST_FOREACH (u, &n->routes, link) {
		if (u->to.len == to->len && addr_cmp(&u->to.addr, &to->addr) == 0)
			break;
	}
	if (add && u) {
		u->uses++;
	} else if (add) {
		u = xzalloc(sizeof(*u));
		u->to = *to;
		u->uses = 1;
		LIST_INSERT_HEAD(&n->routes, u, link);
		src = find_source(n, local, to->addr.family);
		route_change(n, to, src.family ? &src : NULL, true);
	} else if (u && --u->uses == 0) {
		route_change(n, to, NULL, false);
		LIST_REMOVE(u, link);
		free(u);
	}
}

void net_route(struct net *n, const struct ts_list *local, const struct ts_list *remote, bool add)
{
	struct prefix p[PREFIX_MAX];

	for (unsigned i = 0; i < remote->count; i++) {
		unsigned count =
			range_prefixes(&remote->ts[i].lo, &remote->ts[i].hi, p, PREFIX_MAX);

		for (unsigned k = 0; k < count; k++)
			use_prefix(n, &p[k], local, add);
	}
}
