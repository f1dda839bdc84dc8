/* net.c - see net.h. SPDX-License-Identifier: ISC */
#include "net.h"
#include "netlink.h"
#include "source.h"
#include "udp_name.h"
#include "xalloc.h"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#define THROWS_MAX 4096 /* more specific routes of the main table that are followed at most */

/* A prefix that SAs or traps route to. */
struct route_use {
	LIST_ENTRY(route_use) link;
	struct prefix to;
	struct source source;  /* by their local selectors; without a user, net_settle ends it */
	struct addr in_kernel; /* the source that the route has */
};

struct net {
	struct netlink *netlink;
	struct log *log;
	struct net_options o;
	int ifindex;
	LIST_HEAD(, route_use) uses;
	struct prefix *throws;
	unsigned throw_count;
	struct own_addresses own;
	bool own_stale;	   /* they may have changed */
	bool behind;	   /* see net_is_behind */
	bool told;	   /* that it is, until a net_follow has listed all */
	bool left;	   /* net_leave was called: routes stay as they are */
	bool throws_stale; /* prefixes in `uses` have changed */
	bool unused;	   /* some of `uses` has no user: net_settle removes its routes */
};

/* ---- rules ---- */

static const struct netlink_rule rules[] = {
	{.priority = 5149, .table = NETLINK_TABLE_MAIN, .mark = NET_MARK},
	{.priority = 5150, .table = NET_TABLE},
	{.priority = 5151, .table = NET_TABLE_BLOCK},
	{.priority = 5152, .table = NETLINK_TABLE_MAIN, .suppress_defaults = true},
	{.priority = 5153, .table = NET_TABLE_ALL},
	{.priority = 5154, .table = NET_TABLE_NOTHING},
};

/* Adds or deletes all rules. Returns how many were added, or an error of libnl. */
static int rules_change(struct net *n, bool add)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	int made = 0;

	for (size_t i = 0; i < ARRAY_SIZE(families) * ARRAY_SIZE(rules); i++) {
		struct netlink_rule rule = rules[i % ARRAY_SIZE(rules)];
		int r = 0;

		rule.family = families[i / ARRAY_SIZE(rules)];
		if (add)
			r = netlink_rule_add(n->netlink, &rule);
		else
			netlink_rule_delete(n->netlink, &rule);
		if (r < 0 && rule.family == AF_INET) /* a kernel without IPv6 is no error */
			return r;
		made += r > 0;
	}
	return made;
}

/* ---- routes ---- */

static bool is_default(const struct net *n, const struct prefix *p)
{
	return p->len == 0 && n->o.local_first;
}

static struct netlink_route device_route(const struct net *n, const struct route_use *u)
{
	return (struct netlink_route){.to = u->to,
				      .table = is_default(n, &u->to) ? NET_TABLE_ALL : NET_TABLE,
				      .type = RTN_UNICAST,
				      .ifindex = n->ifindex,
				      .source = u->in_kernel};
}

static struct netlink_route block_route(const struct net *n, const struct prefix *to)
{
	return (struct netlink_route){.to = *to,
				      .table = is_default(n, to) ? NET_TABLE_NOTHING
								 : NET_TABLE_BLOCK,
				      .type = RTN_UNREACHABLE};
}

static void tell_failure(struct net *n, const struct prefix *to, int r)
{
	char text[ADDR_STRLEN];

	log_warn(n->log, "route to %s/%u cannot be made: %s", addr_format(&to->addr, text), to->len,
		 netlink_error(r));
}

/* Adds the unreachable route, then the one to the device. Returns how many of them were missing. */
static unsigned routes_make(struct net *n, const struct route_use *u)
{
	const struct netlink_route block = block_route(n, &u->to), device = device_route(n, u);
	unsigned missing = 0;
	int r;

	if (n->o.block) {
		r = netlink_route_add(n->netlink, &block);
		missing += r > 0;
	}
	if (!n->ifindex) /* the device is gone: only the unreachable route remains */
		return missing;
	r = netlink_route_add(n->netlink, &device);
	if (r < 0)
		tell_failure(n, &u->to, r);
	return missing + (r > 0);
}

/* The process before us has left the route to the device, perhaps with another source. */
static void route_take_over(struct net *n, const struct route_use *u)
{
	const struct netlink_route device = device_route(n, u);
	int r = netlink_route_replace(n->netlink, &device);

	if (r < 0)
		tell_failure(n, &u->to, r);
}

static void routes_unmake(struct net *n, const struct route_use *u)
{
	const struct netlink_route block = block_route(n, &u->to), device = device_route(n, u);

	netlink_route_delete(n->netlink, &device);
	netlink_route_delete(n->netlink, &block);
}

/* ---- the source of our own packets ---- */

/* The routes stay as they are until net_follow is called again. */
static void not_listed(struct net *n, const char *what)
{
	if (!n->told)
		log_warn(n->log, "cannot list the %s of the kernel: routes stay as they are", what);
	n->told = n->behind = true;
}

static void found_own(void *ctx, const struct addr *a)
{
	own_addresses_add(ctx, a);
}

/* The addresses of this host. The kernel lists them all, so it is asked after changes only. */
static const struct own_addresses *own_addresses(struct net *n)
{
	struct own_addresses found = {0};

	if (!n->own_stale)
		return &n->own;
	n->own_stale = false;
	if (!netlink_each_address(n->netlink, found_own, &found)) {
		not_listed(n, "addresses");
		own_addresses_free(&found);
		return &n->own;
	}
	own_addresses_sort(&found);
	own_addresses_free(&n->own);
	n->own = found;
	return &n->own;
}

/* Gives the route in the kernel the source that was found for it. */
static void put_source(struct net *n, struct route_use *u)
{
	const struct addr source = u->source.addr, was = u->in_kernel;
	char text[ADDR_STRLEN], from[ADDR_STRLEN];
	struct netlink_route device;
	int r;

	if (addr_eq(&source, &was) || !n->ifindex)
		return;
	u->in_kernel = source;
	device = device_route(n, u);
	r = netlink_route_replace(n->netlink, &device);
	if (r < 0)
		u->in_kernel = was; /* maybe tentative; we are notified at its end */
	else
		log_info(n->log, "route to %s/%u: source address of local packets is now %s",
			 addr_format(&u->to.addr, text), u->to.len,
			 source.family ? addr_format(&source, from) : "the kernel's choice");
}

/* Addresses of this host may have been added or removed. */
static void update_sources(struct net *n)
{
	struct route_use *u;

	n->own_stale = true;
	LIST_FOREACH (u, &n->uses, link) {
		if (!source_has_users(&u->source))
			continue;
		source_update(&u->source, own_addresses(n));
		put_source(n, u);
	}
}

/* ---- more specific routes of the main table ---- */

static bool contains(const struct prefix *outer, const struct prefix *inner)
{
	struct addr masked;

	if (outer->addr.family != inner->addr.family || outer->len > inner->len)
		return false;
	masked = addr_masked(&inner->addr, outer->len);
	return addr_eq(&masked, &outer->addr);
}

static bool same_prefix(const struct prefix *a, const struct prefix *b)
{
	return a->len == b->len && addr_eq(&a->addr, &b->addr);
}

/* Whether p is within the prefix of a tunnel, but is not itself the prefix of one. */
static bool is_closer(const struct net *n, const struct prefix *p)
{
	const struct route_use *u;
	bool within = false;

	LIST_FOREACH (u, &n->uses, link) {
		if (same_prefix(&u->to, p))
			return false;
		within |= !is_default(n, &u->to) && contains(&u->to, p);
	}
	return within;
}

struct throw_search {
	struct net *net;
	struct prefix *found;
	unsigned count, left_out;
};

static void look_at_route(void *ctx, const struct netlink_route *r)
{
	struct throw_search *s = ctx;

	if (r->ifindex == s->net->ifindex || r->type == RTN_THROW || !is_closer(s->net, &r->to))
		return;
	if (s->count == THROWS_MAX)
		s->left_out++;
	else
		s->found[s->count++] = r->to;
}

static bool has_prefix(const struct prefix *v, unsigned count, const struct prefix *p)
{
	for (unsigned i = 0; i < count; i++) {
		if (same_prefix(&v[i], p))
			return true;
	}
	return false;
}

/* In both tables: a packet that the first one throws must not be unreachable by the second. */
static void throw_change(struct net *n, const struct prefix *to, bool add)
{
	static const uint32_t tables[] = {NET_TABLE, NET_TABLE_BLOCK};

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		const struct netlink_route route = {
			.to = *to, .table = tables[i], .type = RTN_THROW};
		int r = 0;

		if (!add)
			netlink_route_delete(n->netlink, &route);
		else
			r = netlink_route_replace(n->netlink, &route);
		if (r < 0)
			tell_failure(n, to, r);
	}
}

/* Removes a throw route to this prefix, of ours or of a crashed process: the route of the tunnel
 * could not be added beside it. */
static void unthrow(struct net *n, const struct prefix *to)
{
	throw_change(n, to, false);
	for (unsigned i = 0; i < n->throw_count; i++) {
		if (same_prefix(&n->throws[i], to)) {
			n->throws[i] = n->throws[--n->throw_count];
			return;
		}
	}
}

/* Changes only routes that differ, as packets are using the others. Takes ownership of `to`. */
static void replace_throws(struct net *n, struct prefix *to, unsigned count)
{
	for (unsigned i = 0; i < n->throw_count; i++) {
		if (!has_prefix(to, count, &n->throws[i]))
			throw_change(n, &n->throws[i], false);
	}
	for (unsigned i = 0; i < count; i++) {
		if (!has_prefix(n->throws, n->throw_count, &to[i]))
			throw_change(n, &to[i], true);
	}
	free(n->throws);
	n->throws = xreallocarray(to, count ? count : 1, sizeof(*to));
	n->throw_count = count;
}

static void update_throws(struct net *n)
{
	struct throw_search s = {.net = n};

	n->throws_stale = false;
	if (!n->o.local_first || !n->o.routes)
		return;
	s.found = xreallocarray(NULL, THROWS_MAX, sizeof(*s.found));
	if (!netlink_each_route(n->netlink, FAMILY_IPV4, NETLINK_TABLE_MAIN, look_at_route, &s) ||
	    !netlink_each_route(n->netlink, FAMILY_IPV6, NETLINK_TABLE_MAIN, look_at_route, &s)) {
		not_listed(n, "routes");
		free(s.found);
		return;
	}
	if (s.left_out)
		log_warn(n->log,
			 "%u routes of the main table lie within those of tunnels: %u of "
			 "them are not followed",
			 s.count + s.left_out, s.left_out);
	replace_throws(n, s.found, s.count);
}

/* ---- users ---- */

static struct route_use *find_use(const struct net *n, const struct prefix *to)
{
	struct route_use *u;

	LIST_FOREACH (u, &n->uses, link) {
		if (same_prefix(&u->to, to))
			return u;
	}
	return NULL;
}

static void use_new(struct net *n, const struct prefix *to, const struct ts_list *local)
{
	struct route_use *u = xzalloc(sizeof(*u));

	u->to = *to;
	source_init(&u->source, to->addr.family);
	source_add(&u->source, own_addresses(n), local);
	u->in_kernel = u->source.addr;
	LIST_INSERT_HEAD(&n->uses, u, link);
	unthrow(n, to);
	if (routes_make(n, u) == 0 && n->ifindex)
		route_take_over(n, u);
	n->throws_stale = true;
}

static void use_add(struct net *n, const struct prefix *to, const struct ts_list *local)
{
	struct route_use *u = find_use(n, to);

	if (!u) {
		use_new(n, to, local);
		return;
	}
	source_add(&u->source, own_addresses(n), local);
	put_source(n, u);
}

static void use_free(struct route_use *u)
{
	LIST_REMOVE(u, link);
	source_free(&u->source);
	free(u);
}

static void use_drop(struct net *n, const struct prefix *to, const struct ts_list *local)
{
	struct route_use *u = find_use(n, to);

	if (!u)
		return;
	if (source_drop(&u->source, own_addresses(n), local))
		n->unused = true;
	else
		put_source(n, u);
}

static void drop_unused(struct net *n)
{
	struct route_use *u, *next;

	n->unused = false;
	for (u = LIST_FIRST(&n->uses); u; u = next) {
		next = LIST_NEXT(u, link);
		if (source_has_users(&u->source))
			continue;
		routes_unmake(n, u);
		use_free(u);
		n->throws_stale = true;
	}
}

void net_route(struct net *n, const struct ts_list *local, const struct ts_list *remote, bool add)
{
	struct prefix p[PREFIX_MAX];

	if (!n->o.routes || n->left)
		return;
	for (unsigned i = 0; i < remote->count; i++) {
		unsigned count =
			range_prefixes(&remote->ts[i].lo, &remote->ts[i].hi, p, PREFIX_MAX);

		for (unsigned k = 0; k < count; k++) {
			if (add)
				use_add(n, &p[k], local);
			else
				use_drop(n, &p[k], local);
		}
	}
}

void net_settle(struct net *n)
{
	if (n->unused)
		drop_unused(n);
	if (n->throws_stale)
		update_throws(n);
}

/* ---- as a whole ---- */

struct net *net_new(const struct net_options *o, struct log *log, int *ret_error)
{
	struct net *n = xzalloc(sizeof(*n));
	int r = 0;

	n->log = log;
	n->o = *o;
	n->ifindex = (int)if_nametoindex(o->tun);
	n->own_stale = true;
	LIST_INIT(&n->uses);
	n->netlink = netlink_new(&r);
	if (n->netlink && o->routes)
		r = rules_change(n, true);
	if (n->netlink && r >= 0)
		return n;
	log_error(log, "routing rules cannot be made: %s", netlink_error(r));
	*ret_error = -EIO;
	netlink_free(n->netlink);
	free(n);
	return NULL;
}

void net_leave(struct net *n)
{
	n->left = true;
}

void net_free(struct net *n)
{
	struct route_use *u;

	if (!n)
		return;
	while ((u = LIST_FIRST(&n->uses)))
		use_free(u);
	n->throw_count = 0;
	if (n->o.routes && !n->left) {
		net_sweep(n);
		(void)rules_change(n, false);
	}
	netlink_free(n->netlink);
	own_addresses_free(&n->own);
	free(n->throws);
	free(n);
}

static void sweep_route(void *ctx, const struct netlink_route *r)
{
	struct net *n = ctx;

	if (r->table != NET_TABLE && r->table != NET_TABLE_BLOCK && r->table != NET_TABLE_ALL &&
	    r->table != NET_TABLE_NOTHING)
		return;
	if (r->type == RTN_THROW ? has_prefix(n->throws, n->throw_count, &r->to)
				 : find_use(n, &r->to) != NULL)
		return;
	netlink_route_delete(n->netlink, r);
}

void net_sweep(struct net *n)
{
	if (!n->o.routes)
		return;
	(void)netlink_each_route(n->netlink, FAMILY_IPV4, 0, sweep_route, n);
	(void)netlink_each_route(n->netlink, FAMILY_IPV6, 0, sweep_route, n);
}

int net_fd(const struct net *n)
{
	return netlink_fd(n->netlink);
}

void net_repair(struct net *n)
{
	struct route_use *u;
	unsigned routes = 0;
	int missing;

	if (!n->o.routes)
		return;
	missing = rules_change(n, true);
	if (missing > 0)
		log_warn(n->log,
			 "%d of our routing rules were gone: made again; does another "
			 "program remove rules that it does not know?",
			 missing);
	n->ifindex = (int)if_nametoindex(n->o.tun);
	for (unsigned i = 0; i < n->throw_count; i++)
		throw_change(n, &n->throws[i], true);
	LIST_FOREACH (u, &n->uses, link) {
		if (source_has_users(&u->source)) /* net_settle removes the others */
			routes += routes_make(n, u);
	}
	if (routes)
		log_warn(n->log, "%u of our routes were removed and are made again", routes);
}

unsigned net_changed(struct net *n)
{
	unsigned c = netlink_read(n->netlink), changed = 0;

	n->own_stale |= (c & (NETLINK_ADDRESSES | NETLINK_LINKS)) != 0;
	if (c & (NETLINK_RULES | NETLINK_GONE | NETLINK_LINKS))
		net_repair(n);
	if (c & NETLINK_LINKS)
		changed |= NET_CHANGED_DEVICE;
	if (c & (NETLINK_ROUTES | NETLINK_LINKS | NETLINK_ADDRESSES))
		changed |= NET_CHANGED_ADDRESSES;
	return changed;
}

void net_follow(struct net *n)
{
	if (!n->o.routes)
		return;
	n->behind = false;
	/* The kernel may have removed routes together with their source address. */
	update_sources(n);
	net_repair(n);
	update_throws(n);
	n->told = n->behind;
}

bool net_is_behind(const struct net *n)
{
	return n->behind;
}

void net_address(struct net *n, int ifindex, const struct addr *a, bool add)
{
	char text[ADDR_STRLEN];
	int r;

	if (n->left)
		return;
	r = netlink_address_change(n->netlink, ifindex, a, add);
	if (r < 0)
		log_error(n->log, "address %s cannot be added: %s", addr_format(a, text),
			  netlink_error(r));
	update_sources(n);
}

/*
 * An address is ours if a socket can be bound to it: of any scope, or by a route of type local. Not
 * so an address of IPv6 that may be another host's too, as is still being found out.
 */
bool net_has_address(const struct addr *a)
{
	const struct endpoint e = {.addr = *a};
	struct udp_name name;
	bool gone;
	int fd = socket(udp_family_of(a->family)->af, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return true;
	udp_name_set(&name, &e);
	gone = bind(fd, &name.any, name.len) < 0 && errno == EADDRNOTAVAIL;
	close(fd);
	return !gone;
}
