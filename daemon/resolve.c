/* resolve.c - resolves host names in remote_addrs without blocking the loop.
 * SPDX-License-Identifier: ISC */
#include "daemon.h"
#include "destination.h"
#include "xalloc.h"

#include <event2/dns.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/queue.h>
#include <sys/stat.h>

#define REFRESH (300 * NSEC_PER_SEC) /* at most, where the TTL is longer or unknown */
#define SOON	(2 * NSEC_PER_SEC)   /* the shortest pause between queries */
#define RETRY	(10 * NSEC_PER_SEC)  /* the same, once a connection is down for LONG */
#define LONG	(120 * NSEC_PER_SEC) /* that a connection is down */
#define EACH	(NSEC_PER_SEC / 25)  /* pause per connection that is asked for, if longer */
/* log_limited allows one line per second; on a clock slower by this factor, one per 10 s. */
#define SLOWER 10

struct resolver {
	struct daemon *daemon;
	struct evdns_base *dns;
	struct evdns_base *hosts; /* without name servers; knows /etc/hosts */
	struct event *timer;
	nsec_t due;		     /* of the timer */
	nsec_t asked;		     /* the last time */
	nsec_t all_due;		     /* when all names are asked for again, as the first TTL ends */
	nsec_t pace;		     /* the least time from an answer to all_due */
	nsec_t down_since;	     /* since then a connection is not up; 0: all are */
	LIST_HEAD(, lookup) lookups; /* that have no complete answer yet */
	struct log_limit lines;
	struct timespec files[2]; /* modification times of file_names when they were read */
};

static void set_timer(struct resolver *r, nsec_t due, nsec_t now)
{
	nsec_t wait = due > now ? due - now : 0;
	const struct timeval tv = {.tv_sec = (time_t)(wait / NSEC_PER_SEC),
				   .tv_usec = (suseconds_t)(wait % NSEC_PER_SEC / NSEC_PER_USEC)};

	r->due = due;
	evtimer_add(r->timer, &tv);
}

/* The files that libevent's resolver reads once, when it is made. */
static const char *const file_names[] = {"/etc/resolv.conf", "/etc/hosts"};

/* A DHCP client, for example, may have written them since. */
static bool files_have_changed(struct resolver *r, bool remember)
{
	bool changed = false;

	for (size_t i = 0; i < ARRAY_SIZE(file_names); i++) {
		struct stat st = {0};

		(void)stat(file_names[i], &st);
		changed |= st.st_mtim.tv_sec != r->files[i].tv_sec ||
			   st.st_mtim.tv_nsec != r->files[i].tv_nsec;
		if (remember)
			r->files[i] = st.st_mtim;
	}
	return changed;
}

#define FOUND_MAX (2 * CONN_MAX_ADDRS) /* answers that are looked at, in all */

/* One name of a connection. */
struct name_lookup {
	struct lookup *lookup;
	bool found; /* an address */
	int error;  /* of the last answer without one */
};

/* A look-up of the names of one connection; collects the answers until the last one is there. */
struct lookup {
	LIST_ENTRY(lookup) link;
	struct resolver *resolver;
	const struct conn_conf *conn; /* with a reference, as a reload may replace it meanwhile */
	struct name_lookup names[HOST_NAMES_MAX];
	struct destination found[FOUND_MAX]; /* rank: the place of the name */
	unsigned count, open;
};

/* The address of ours that we would call it from; false: there is no way to it. */
static bool find_source(const struct conn_conf *c, const struct addr *remote, struct addr *ret)
{
	for (unsigned i = 0; i < c->local_count; i++) {
		if (c->local[i].addr.family != remote->family)
			continue;
		*ret = c->local[i].addr;
		return net_has_address(ret);
	}
	return udp_source(remote, ret);
}

/*
 * Orders what was found, the names as in the file and their addresses by RFC 6724. Addresses that
 * cannot be reached are left out, if others can. Returns their number.
 */
static unsigned arrange(struct lookup *l, struct endpoint *ret, uint8_t *ret_name_of)
{
	unsigned n = 0;
	bool any = false; /* can be reached */

	for (unsigned i = 0; i < l->count; i++) {
		struct destination *d = &l->found[i];

		if (!find_source(l->conn, &d->addr, &d->source))
			d->source.family = FAMILY_NONE;
		any |= d->source.family != FAMILY_NONE;
	}
	destinations_sort(l->found, l->count);
	for (unsigned i = 0; i < l->count && n < CONN_MAX_ADDRS; i++) {
		if (any && !l->found[i].source.family)
			continue;
		ret[n].addr = l->found[i].addr;
		ret_name_of[n] = l->found[i].rank;
		ret[n++].port = (uint16_t)l->conn->remote_port;
	}
	return n;
}

/* A name without addresses of one family is no error if it has some of the other. */
static void tell_failures(const struct lookup *l)
{
	struct resolver *r = l->resolver;
	char text[400];

	for (unsigned i = 0; i < l->conn->names->count; i++) {
		const struct name_lookup *n = &l->names[i];

		if (n->found || !n->error || n->error == DNS_ERR_CANCEL ||
		    n->error == DNS_ERR_SHUTDOWN)
			continue;
		snprintf(text, sizeof(text), "%.250s cannot be resolved: %s",
			 l->conn->names->name[i], evdns_err_to_string(n->error));
		if (conn_remote_count(l->conn) > 0)
			log_limited(&r->daemon->log, &r->lines, daemon_now() / SLOWER,
				    LOG_LEVEL_WARNING, "%s: %s", l->conn->name, text);
		else
			tunnel_unresolved(r->daemon->tunnel, l->conn, text, daemon_now());
	}
}

static void finish(struct lookup *l)
{
	struct resolver *r = l->resolver;
	struct daemon *d = r->daemon;
	struct endpoint found[CONN_MAX_ADDRS];
	uint8_t name_of[CONN_MAX_ADDRS];
	unsigned count;

	LIST_REMOVE(l, link);
	if (r->all_due < r->due)
		set_timer(r, r->all_due, daemon_now());
	tell_failures(l);
	count = arrange(l, found, name_of);
	if (count)
		tunnel_resolved(d->tunnel, l->conn, found, name_of, count, daemon_now());
	daemon_turn(d);
	conn_unref(l->conn);
	free(l);
}

/* Whether an address of this family could be called from local_addrs. */
static bool wants_family(const struct conn_conf *c, uint8_t family)
{
	for (unsigned i = 0; i < c->local_count; i++) {
		if (c->local[i].addr.family == family)
			return true;
	}
	return c->local_count == 0;
}

/* b: the address, in network byte order. */
static void found(struct name_lookup *n, uint8_t family, const void *b)
{
	struct lookup *l = n->lookup;
	struct addr a = addr_from_bytes(family, b);

	n->found = true;
	if (l->count == FOUND_MAX || addr_is_link_local(&a) || !wants_family(l->conn, family))
		return;
	l->found[l->count].addr = a;
	l->found[l->count++].rank = (uint8_t)(n - l->names);
}

static void answered(struct lookup *l)
{
	if (--l->open == 0)
		finish(l);
}

/* Called before ask_hosts returns; with an error, as cancelled, if /etc/hosts lacks the name. */
static void on_hosts(int error, struct evutil_addrinfo *list, void *ctx)
{
	for (struct evutil_addrinfo *a = error ? NULL : list; a; a = a->ai_next) {
		const void *name = a->ai_addr;

		if (a->ai_family == AF_INET)
			found(ctx, FAMILY_IPV4, &((const struct sockaddr_in *)name)->sin_addr);
		if (a->ai_family == AF_INET6)
			found(ctx, FAMILY_IPV6, &((const struct sockaddr_in6 *)name)->sin6_addr);
	}
	if (list)
		evutil_freeaddrinfo(list);
}

/* True if /etc/hosts has the name. */
static bool ask_hosts(struct name_lookup *n, const char *name)
{
	const struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
	struct evdns_getaddrinfo_request *open;

	open = evdns_getaddrinfo(n->lookup->resolver->hosts, name, NULL, &hints, on_hosts, n);
	if (open)
		evdns_getaddrinfo_cancel(open);
	return n->found;
}

static void on_dns(int error, char type, int count, int ttl, void *addresses, void *ctx)
{
	struct name_lookup *n = ctx;
	struct lookup *l = n->lookup;
	struct resolver *r = l->resolver;
	uint8_t family = type == DNS_IPv6_AAAA ? FAMILY_IPV6 : FAMILY_IPV4;
	nsec_t now = daemon_now();

	if (error)
		n->error = error;
	for (int i = 0; !error && (type == DNS_IPv4_A || type == DNS_IPv6_AAAA) && i < count; i++)
		found(n, family, (const uint8_t *)addresses + addr_len(family) * (size_t)i);
	if (!error && ttl >= 0)
		r->all_due =
			min_u64(r->all_due, now + max_u64((nsec_t)ttl * NSEC_PER_SEC, r->pace));
	answered(l);
}

/* Asks for A and AAAA, as far as local_addrs has the family. */
static void ask_dns(struct name_lookup *n, const char *name)
{
	struct lookup *l = n->lookup;
	struct evdns_base *dns = l->resolver->dns;

	l->open += 2;
	if (!wants_family(l->conn, FAMILY_IPV4))
		answered(l);
	else if (!evdns_base_resolve_ipv4(dns, name, 0, on_dns, n))
		on_dns(DNS_ERR_UNKNOWN, 0, 0, 0, NULL, n);
	if (!wants_family(l->conn, FAMILY_IPV6))
		answered(l);
	else if (!evdns_base_resolve_ipv6(dns, name, 0, on_dns, n))
		on_dns(DNS_ERR_UNKNOWN, 0, 0, 0, NULL, n);
}

static void look_up(struct resolver *r, const struct conn_conf *conn)
{
	struct lookup *l = xzalloc(sizeof(*l));

	l->resolver = r;
	LIST_INSERT_HEAD(&r->lookups, l, link);
	l->conn = conn_ref(conn);
	l->open = 1; /* our own, so that immediate answers do not free l */
	for (unsigned i = 0; i < conn->names->count; i++) {
		const char *name = conn->names->name[i];

		l->names[i].lookup = l;
		if (!ask_hosts(&l->names[i], name))
			ask_dns(&l->names[i], name);
	}
	answered(l);
}

static bool has_names(const struct tunnel_conn *c)
{
	return c->conf->names && !c->dynamic;
}

static bool is_open(const struct resolver *r, const struct conn_conf *conn)
{
	const struct lookup *l;

	LIST_FOREACH (l, &r->lookups, link) {
		if (l->conn == conn)
			return true;
	}
	return false;
}

/*
 * Starts look-ups for the connections that are not up, or for all. Collects them first, as an
 * immediate answer may end connections.
 */
static void ask(struct resolver *r, bool all)
{
	const struct conn_conf **confs = NULL;
	struct tunnel_conn *c;
	unsigned count = 0;

	LIST_FOREACH (c, &r->daemon->tunnel->conns, link) {
		if (!has_names(c) || is_open(r, c->conf) || (!all && conn_established(c)))
			continue;
		confs = xreallocarray(confs, count + 1, sizeof(*confs));
		confs[count++] = conn_ref(c->conf);
	}
	for (unsigned i = 0; i < count; i++) {
		look_up(r, confs[i]);
		conn_unref(confs[i]);
	}
	free(confs);
}

static void forget_files(struct resolver *r)
{
	if (r->dns)
		evdns_base_free(r->dns, 0);
	if (r->hosts)
		evdns_base_free(r->hosts, 0);
	r->dns = r->hosts = NULL;
}

/*
 * Makes libevent's resolver, again if its files have changed. False: nothing can be asked at the
 * moment.
 */
static bool is_ready(struct resolver *r)
{
	/* It cannot be made again while look-ups are open; they end, as no new ones are started. */
	if (!LIST_EMPTY(&r->lookups))
		return !files_have_changed(r, false);
	if (files_have_changed(r, true))
		forget_files(r);
	if (!r->dns) {
		r->dns = evdns_base_new(r->daemon->base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
								 EVDNS_BASE_DISABLE_WHEN_INACTIVE);
		r->hosts = evdns_base_new(r->daemon->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
		if (r->hosts)
			(void)evdns_base_load_hosts(r->hosts, file_names[1]);
	}
	if (!r->dns || !r->hosts) {
		forget_files(r);
		log_limited(&r->daemon->log, &r->lines, daemon_now() / SLOWER, LOG_LEVEL_ERROR,
			    "names cannot be resolved: is /etc/resolv.conf readable?");
	}
	return r->dns != NULL;
}

/* The number of connections with host names; *ret_down: of those that are not up. */
static unsigned count_names(const struct resolver *r, unsigned *ret_down)
{
	const struct tunnel_conn *c;
	unsigned count = 0;

	*ret_down = 0;
	LIST_FOREACH (c, &r->daemon->tunnel->conns, link) {
		if (!has_names(c))
			continue;
		count++;
		*ret_down += !conn_established(c);
	}
	return count;
}

static nsec_t pause_of(const struct resolver *r, unsigned down, nsec_t now)
{
	if (down == 0)
		return REFRESH;
	return max_u64(now - r->down_since < LONG ? SOON : RETRY, down * EACH);
}

static void refresh(struct resolver *r, bool all)
{
	nsec_t now = daemon_now(), due;
	unsigned down, count = count_names(r, &down);

	if (count == 0)
		return;
	if (down == 0)
		r->down_since = 0;
	else if (r->down_since == 0)
		r->down_since = now;
	r->asked = now;
	r->pace = max_u64(SOON, count * EACH);
	all |= now >= r->all_due;
	due = now + pause_of(r, down, now);
	set_timer(r, all ? due : min_u64(due, r->all_due), now);
	if (!is_ready(r))
		return;
	if (all)
		r->all_due = now + REFRESH;
	ask(r, all);
}

void resolver_refresh(struct resolver *r)
{
	refresh(r, true);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	refresh(ctx, false);
}

void resolver_soon(struct resolver *r)
{
	nsec_t now = daemon_now(), due;

	if (!r)
		return;
	due = max_u64(now, r->asked + SOON);
	if (!evtimer_pending(r->timer, NULL) || due < r->due)
		set_timer(r, due, now);
}

struct resolver *resolver_new(struct daemon *d)
{
	struct resolver *r = xzalloc(sizeof(*r));

	r->daemon = d;
	r->timer = evtimer_new(d->base, on_timer, r);
	LIST_INIT(&r->lookups);
	bucket_init(&r->lines.bucket, 1, 5);
	return r;
}

void resolver_free(struct resolver *r)
{
	if (!r)
		return;
	forget_files(r);
	event_free(r->timer);
	free(r);
}
