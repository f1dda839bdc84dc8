/* resolve.c - host names in remote_addrs, asked without blocking the loop. SPDX-License-Identifier:
 * ISC */
#include "daemon.h"
#include "xalloc.h"

#include <event2/dns.h>
#include <netinet/in.h>
#include <stdio.h>

#define REFRESH_SECONDS 300
#define RETRY_SECONDS	10

struct resolver {
	struct daemon *daemon;
	struct evdns_base *dns;
	struct event *timer;
};

/* One connection's names being looked up; the answers are collected until the last has come. */
struct lookup {
	struct resolver *resolver;
	struct conn_conf *conn; /* a reference: a reload may replace it meanwhile */
	struct endpoint found[CONN_MAX_ADDRS];
	unsigned count, open;
	bool failed;
};

static void finish(struct lookup *l)
{
	struct daemon *d = l->resolver->daemon;
	const struct timeval retry = {.tv_sec = RETRY_SECONDS};

	if (l->count)
		tunnel_resolved(d->tunnel, l->conn, l->found, l->count, daemon_now());
	else if (l->failed)
		evtimer_add(l->resolver->timer, &retry);
	daemon_turn(d);
	conn_unref(l->conn);
	free(l);
}

static void on_answer(int error, struct evutil_addrinfo *list, void *ctx)
{
	struct lookup *l = ctx;
	struct daemon *d = l->resolver->daemon;

	if (error) {
		l->failed = true;
		if (error != EVUTIL_EAI_CANCEL)
			log_warn(&d->log, "%s: a name in remote_addrs cannot be resolved: %s",
				 l->conn->name, evutil_gai_strerror(error));
	}
	for (struct evutil_addrinfo *a = error ? NULL : list; a && l->count < CONN_MAX_ADDRS;
	     a = a->ai_next) {
		const struct sockaddr_in *sin = (const void *)a->ai_addr;

		if (a->ai_family != AF_INET)
			continue;
		l->found[l->count].addr =
			addr_from_bytes(FAMILY_IPV4, (const uint8_t *)&sin->sin_addr);
		l->found[l->count++].port = IKE_PORT;
	}
	if (list)
		evutil_freeaddrinfo(list);
	if (--l->open == 0)
		finish(l);
}

static void look_up(struct resolver *r, struct conn_conf *conn)
{
	const struct evutil_addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_DGRAM};
	struct lookup *l = xzalloc(sizeof(*l));

	l->resolver = r;
	l->conn = conn_ref(conn);
	l->open = 1; /* ours, so that answers from /etc/hosts, which come at once, do not end it
			early */
	for (char **n = conn->remote_names; *n; n++) {
		l->open++;
		evdns_getaddrinfo(r->dns, *n, NULL, &hints, on_answer, l);
	}
	if (--l->open == 0)
		finish(l);
}

void resolver_refresh(struct resolver *r)
{
	const struct timeval next = {.tv_sec = REFRESH_SECONDS}, retry = {.tv_sec = RETRY_SECONDS};
	struct tun_conn *c, *following;
	bool any = false;

	LIST_FOREACH (c, &r->daemon->tunnel->conns, link)
		any |= c->conf->remote_names != NULL && !c->dynamic;
	if (!any)
		return;
	if (!r->dns)
		r->dns = evdns_base_new(r->daemon->base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
								 EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (!r->dns) {
		log_error(&r->daemon->log, "no resolver: is /etc/resolv.conf readable?");
		evtimer_add(r->timer, &retry);
		return;
	}
	evtimer_add(r->timer, &next);
	/* An answer that comes at once may end a connection, but not the one behind it. */
	for (c = LIST_FIRST(&r->daemon->tunnel->conns); c; c = following) {
		following = LIST_NEXT(c, link);
		if (c->conf->remote_names && !c->dynamic)
			look_up(r, c->conf);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	resolver_refresh(ctx);
}

struct resolver *resolver_new(struct daemon *d)
{
	struct resolver *r = xzalloc(sizeof(*r));

	r->daemon = d;
	r->timer = evtimer_new(d->base, on_timer, r);
	return r;
}

void resolver_free(struct resolver *r)
{
	if (!r)
		return;
	if (r->dns)
		evdns_base_free(r->dns, 0);
	event_free(r->timer);
	free(r);
}
