/* resolve.c - host names in remote_addrs, asked without blocking the loop. SPDX-License-Identifier:
 * ISC */
#include "daemon.h"
#include "xalloc.h"

#include <event2/dns.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>

#define REFRESH_SECONDS 300
#define RETRY_SECONDS	10
#define SOON		(2 * NSEC_PER_SEC) /* what fails again and again asks no more often */

struct resolver {
	struct daemon *daemon;
	struct evdns_base *dns;
	struct event *timer;
	nsec_t asked;
	unsigned open;		  /* lookups that have no answer yet */
	struct timespec files[2]; /* when those below were written, as they were read */
};

/* What libevent's resolver reads once, when it is made. */
static const char *const file_names[] = {"/etc/resolv.conf", "/etc/hosts"};

/* DHCP may have written them since. */
static bool files_have_changed(struct resolver *r)
{
	bool changed = false;

	for (size_t i = 0; i < ARRAY_SIZE(file_names); i++) {
		struct stat st = {0};

		(void)stat(file_names[i], &st);
		changed |= st.st_mtim.tv_sec != r->files[i].tv_sec ||
			   st.st_mtim.tv_nsec != r->files[i].tv_nsec;
		r->files[i] = st.st_mtim;
	}
	return changed;
}

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
	l->resolver->open--;
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
	r->open++;
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

static bool has_names(const struct tun_conn *c)
{
	return c->conf->remote_names && !c->dynamic;
}

/* An answer that comes at once may end connections: what is asked for is known before. */
static void ask_all(struct resolver *r)
{
	struct conn_conf **confs = NULL;
	struct tun_conn *c;
	unsigned count = 0;

	LIST_FOREACH (c, &r->daemon->tunnel->conns, link) {
		if (!has_names(c))
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

void resolver_refresh(struct resolver *r)
{
	const struct timeval next = {.tv_sec = REFRESH_SECONDS}, retry = {.tv_sec = RETRY_SECONDS};
	struct tun_conn *c;
	bool any = false, all_up = true;

	LIST_FOREACH (c, &r->daemon->tunnel->conns, link) {
		if (!has_names(c))
			continue;
		any = true;
		all_up &= conn_established(c) != NULL;
	}
	if (!any)
		return;
	r->asked = daemon_now();
	/* With answers on their way it cannot go: the files stay changed until they have come. */
	if (r->open == 0 && files_have_changed(r) && r->dns) {
		evdns_base_free(r->dns, 0);
		r->dns = NULL;
	}
	if (!r->dns)
		r->dns = evdns_base_new(r->daemon->base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
								 EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (!r->dns) {
		log_error(&r->daemon->log, "no resolver: is /etc/resolv.conf readable?");
		evtimer_add(r->timer, &retry);
		return;
	}
	evtimer_add(r->timer, all_up ? &next : &retry);
	ask_all(r);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	resolver_refresh(ctx);
}

void resolver_soon(struct resolver *r)
{
	nsec_t now = daemon_now(), due;
	struct timeval wait;

	if (!r)
		return;
	due = max_u64(now, r->asked + SOON) - now;
	wait = (struct timeval){.tv_sec = (time_t)(due / NSEC_PER_SEC),
				.tv_usec = (suseconds_t)(due % NSEC_PER_SEC / NSEC_PER_USEC)};
	evtimer_add(r->timer, &wait);
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
