/* resolved.c - see resolved.h. SPDX-License-Identifier: ISC */
#include "resolved.h"
#include "xalloc.h"

#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <time.h>

#define SERVICE	     "org.freedesktop.resolve1"
#define MESSAGES_MAX 64 /* that are handled before other events of the loop */
#define CALLS	     3	/* that tell all about a device */
#define RETRY_MAX    60 /* seconds */
#define REVERT_USEC  500000
#define OWNER_CHANGED                                                               \
	"type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus'," \
	"interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" SERVICE "'"

/* A device, as long as the daemon runs once it had servers. */
struct link {
	SLIST_ENTRY(link) next;
	struct resolved *resolved;
	uint16_t device;
	char name[IF_NAMESIZE];
	struct dns_set wanted; /* its domains are owned */
	bool stale;	       /* is to be told */
	bool given;	       /* systemd-resolved may have been told something */
	bool found;	       /* it may, but only by the process before us */
	sd_bus_slot *calls[CALLS];
	unsigned open;	     /* calls without an answer */
	unsigned done;	     /* calls that have succeeded */
	sd_bus_error failed; /* the first one that has not */
	bool told;	     /* those tell of servers, and do not take them back */
	struct event *retry; /* pending: the last attempt has failed */
	unsigned failures;   /* in a row */
	char error[80];	     /* the last one that was logged; "": none since the last success */
};

struct resolved {
	struct event_base *base;
	int priority;
	struct log *log;
	sd_bus *bus; /* NULL: not connected */
	sd_bus_slot *owner;
	struct event *readable, *timer, *retry; /* retry: of the bus; nothing is told before */
	short waits_for;			/* of `readable` */
	SLIST_HEAD(, link) links;
	unsigned failures; /* of the bus, in a row */
	bool stale;	   /* one of the links is, or was */
	bool lost_logged;  /* that there is no bus */
};

/* ---- the loop ---- */

static void set_timer(struct event *timer, uint64_t usec)
{
	const struct timeval tv = {.tv_sec = (time_t)(usec / 1000000),
				   .tv_usec = (suseconds_t)(usec % 1000000)};

	evtimer_add(timer, &tv);
}

static void retry_later(struct event *retry, unsigned *failures)
{
	uint64_t wait = *failures < 6 ? 1ULL << *failures : RETRY_MAX;

	if (evtimer_pending(retry, NULL))
		return;
	++*failures;
	set_timer(retry, wait * 1000000);
}

static uint64_t usec_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void on_bus(evutil_socket_t fd, short what, void *ctx);

/* Waits for what the bus waits for now. */
static void wait_for_bus(struct resolved *r)
{
	int events = sd_bus_get_events(r->bus), fd = sd_bus_get_fd(r->bus);
	short what =
		(short)((events > 0 && events & POLLOUT ? EV_WRITE : 0) | EV_READ | EV_PERSIST);
	uint64_t until, now = usec_now();

	if (what != r->waits_for) {
		event_del(r->readable);
		event_assign(r->readable, r->base, fd, what, on_bus, r);
		event_priority_set(r->readable, r->priority);
		event_add(r->readable, NULL);
		r->waits_for = what;
	}
	if (sd_bus_get_timeout(r->bus, &until) >= 0 && until != UINT64_MAX)
		set_timer(r->timer, until > now ? until - now : 0);
	else
		evtimer_del(r->timer);
}

/* ---- the connection ---- */

static void calls_forget(struct link *l)
{
	for (unsigned i = 0; i < CALLS; i++)
		l->calls[i] = sd_bus_slot_unref(l->calls[i]);
	sd_bus_error_free(&l->failed);
	l->open = l->done = 0;
}

static void disconnect(struct resolved *r)
{
	struct link *l;

	SLIST_FOREACH(l, &r->links, next)
	calls_forget(l);
	event_del(r->readable);
	evtimer_del(r->timer);
	r->waits_for = 0;
	r->owner = sd_bus_slot_unref(r->owner);
	r->bus = sd_bus_close_unref(r->bus);
}

/* What was given may be gone, together with whom it was given to. */
static void all_stale(struct resolved *r)
{
	struct link *l;

	SLIST_FOREACH(l, &r->links, next)
	l->stale |= l->given || l->wanted.server_count;
	r->stale = true;
}

/* Without a bus, the process before us has told nothing. True: others are to be told something. */
static bool needs_bus(struct resolved *r)
{
	struct link *l;
	bool needed = false;

	SLIST_FOREACH(l, &r->links, next)
	{
		l->given &= !l->found;
		l->found = false;
		needed |= l->given || l->wanted.server_count;
	}
	return needed;
}

static void bus_lost(struct resolved *r, int error)
{
	bool needed = needs_bus(r);

	if (needed && !r->lost_logged)
		log_warn(r->log,
			 "DNS servers of the peer: no connection to D-Bus: %s; trying again",
			 strerror(-error));
	r->lost_logged |= needed;
	if (r->bus)
		disconnect(r);
	if (!needed)
		return;
	all_stale(r);
	retry_later(r->retry, &r->failures);
}

/* systemd-resolved was started: it knows nothing yet. */
static int on_owner_changed(sd_bus_message *m, void *ctx, sd_bus_error *error)
{
	struct resolved *r = ctx;
	const char *name, *old, *new;
	struct link *l;

	(void)error;
	if (sd_bus_message_read(m, "sss", &name, &old, &new) < 0 || !*new)
		return 0;
	all_stale(r);
	r->failures = 0;
	SLIST_FOREACH(l, &r->links, next)
	{
		l->failures = 0;
		evtimer_del(l->retry);
	}
	return 0;
}

/* True: there is a connection, or it is being made. */
static bool connect_bus(struct resolved *r)
{
	int e;

	if (r->bus)
		return true;
	e = sd_bus_open_system(&r->bus);
	if (e >= 0)
		e = sd_bus_add_match_async(r->bus, &r->owner, OWNER_CHANGED, on_owner_changed, NULL,
					   r);
	if (e < 0)
		bus_lost(r, e);
	return e >= 0;
}

/* ---- calls ---- */

/* What systemd-resolved has been told, for the log. */
static void tell_success(const struct link *l)
{
	char text[512], a[ADDR_STRLEN];
	size_t n = 0;

	if (l->found || l->stale) /* stale: that is not wanted any more */
		return;
	if (!l->wanted.server_count) {
		log_info(l->resolved->log, "%s: systemd-resolved has no DNS servers of it any more",
			 l->name);
		return;
	}
	for (unsigned i = 0; i < l->wanted.server_count && n < sizeof(text); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " %s",
				      addr_format(&l->wanted.server[i], a));
	for (unsigned i = 0; i < l->wanted.domain_count && n < sizeof(text); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s %s", i ? "" : " for",
				      l->wanted.domain[i]);
	log_info(l->resolved->log, "%s: systemd-resolved has the DNS servers%s", l->name, text);
}

static bool is_not_running(const char *name)
{
	return strcmp(name, SD_BUS_ERROR_SERVICE_UNKNOWN) == 0 ||
	       strcmp(name, SD_BUS_ERROR_NAME_HAS_NO_OWNER) == 0;
}

static const char *reason(const char *name, const char *message)
{
	if (strcmp(name, SD_BUS_ERROR_ACCESS_DENIED) == 0 ||
	    strcmp(name, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED) == 0)
		return "systemd-resolved does not let us: see mendipd(8), DNS";
	if (is_not_running(name))
		return "systemd-resolved does not run";
	return message ? message : name;
}

static int call_new(const struct link *l, int ifindex, const char *method, sd_bus_message **ret)
{
	int e = sd_bus_message_new_method_call(l->resolved->bus, ret, SERVICE,
					       "/org/freedesktop/resolve1", SERVICE ".Manager",
					       method);

	if (e >= 0)
		e = sd_bus_message_append(*ret, "i", ifindex);
	return e;
}

/* With some of its settings only, servers might be asked for names that they are not for. */
static void take_back_part(const struct link *l)
{
	int ifindex = (int)if_nametoindex(l->name);
	sd_bus_message *m = NULL;

	if (ifindex && call_new(l, ifindex, "RevertLink", &m) >= 0 &&
	    sd_bus_message_set_expect_reply(m, false) >= 0)
		(void)sd_bus_send(l->resolved->bus, m, NULL);
	sd_bus_message_unref(m);
}

static void link_failed(struct link *l)
{
	const char *name = l->failed.name;

	/* When systemd-resolved starts, it remembers what it was told. */
	if (l->found) {
		l->given = l->found = is_not_running(name);
		return;
	}
	/* A device that is gone has nothing to be taken back from. */
	if (!l->told && strcmp(name, SERVICE ".NoSuchLink") == 0) {
		l->given = false;
		return;
	}
	if (l->told && l->done)
		take_back_part(l);
	if (strcmp(l->error, name) != 0)
		log_warn(l->resolved->log,
			 "%s: the DNS servers of the peer cannot be %s: %s; trying again", l->name,
			 l->told ? "used" : "taken back", reason(name, l->failed.message));
	snprintf(l->error, sizeof(l->error), "%s", name);
	l->stale = l->resolved->stale = true;
	retry_later(l->retry, &l->failures);
}

static void link_succeeded(struct link *l)
{
	tell_success(l);
	l->failures = l->resolved->failures = 0;
	l->resolved->lost_logged = false;
	l->error[0] = '\0';
	l->given = l->told;
	l->found = false;
}

static int on_answer(sd_bus_message *m, void *ctx, sd_bus_error *error)
{
	struct link *l = ctx;
	const sd_bus_error *e = sd_bus_message_get_error(m);

	(void)error;
	if (!e)
		l->done++;
	else if (!l->failed.name)
		sd_bus_error_copy(&l->failed, e);
	if (l->open && --l->open == 0) {
		if (l->failed.name)
			link_failed(l);
		else
			link_succeeded(l);
		calls_forget(l);
	}
	return 0;
}

static int append_servers(sd_bus_message *m, const struct dns_set *s)
{
	int e = sd_bus_message_open_container(m, 'a', "(iay)");

	for (unsigned i = 0; e >= 0 && i < s->server_count; i++) {
		const struct addr *a = &s->server[i];

		e = sd_bus_message_open_container(m, 'r', "iay");
		if (e >= 0)
			e = sd_bus_message_append(m, "i",
						  a->family == FAMILY_IPV4 ? AF_INET : AF_INET6);
		if (e >= 0)
			e = sd_bus_message_append_array(m, 'y', a->b, addr_len(a->family));
		if (e >= 0)
			e = sd_bus_message_close_container(m);
	}
	return e < 0 ? e : sd_bus_message_close_container(m);
}

static int append_domains(sd_bus_message *m, const struct dns_set *s)
{
	int e = sd_bus_message_open_container(m, 'a', "(sb)");

	for (unsigned i = 0; e >= 0 && i < s->domain_count; i++) {
		bool only_route = s->domain[i][0] == '~';

		e = sd_bus_message_append(m, "(sb)", s->domain[i] + only_route, (int)only_route);
	}
	return e < 0 ? e : sd_bus_message_close_container(m);
}

static int append_default(sd_bus_message *m, const struct dns_set *s)
{
	return sd_bus_message_append(m, "b", (int)s->all);
}

static int append_nothing(sd_bus_message *m, const struct dns_set *s)
{
	(void)m, (void)s;
	return 0;
}

/* append: adds the arguments after the first one, which is the index of the device. */
static int call(struct link *l, int ifindex, const char *method,
		int (*append)(sd_bus_message *m, const struct dns_set *s))
{
	sd_bus *bus = l->resolved->bus;
	sd_bus_message *m = NULL;
	int e = call_new(l, ifindex, method, &m);

	if (e >= 0) /* what it was told is not a reason to start it */
		e = sd_bus_message_set_auto_start(m, l->told);
	if (e >= 0)
		e = append(m, &l->wanted);
	if (e >= 0)
		e = sd_bus_call_async(bus, &l->calls[l->open], m, on_answer, l, 0);
	if (e >= 0)
		l->open++;
	sd_bus_message_unref(m);
	return e;
}

/* Answers to earlier calls are of no interest any more; systemd-resolved keeps their order. */
static int tell_link(struct link *l)
{
	int ifindex = (int)if_nametoindex(l->name), e = 0;

	calls_forget(l);
	l->stale = false;
	l->told = l->wanted.server_count > 0;
	/* Whoever makes the device again calls resolved_tell_again. */
	if (!ifindex || (!l->told && !l->given)) {
		l->given = false;
		return 0;
	}
	l->given = true;
	if (!l->told)
		return call(l, ifindex, "RevertLink", append_nothing);
	l->found = false;
	/* Servers come last, so that they are asked for no other names before. */
	e = call(l, ifindex, "SetLinkDefaultRoute", append_default);
	if (e >= 0)
		e = call(l, ifindex, "SetLinkDomains", append_domains);
	if (e >= 0)
		e = call(l, ifindex, "SetLinkDNS", append_servers);
	return e;
}

/* Tells what is stale, but nothing whose last attempt has failed and that is to be tried again
 * later.
 */
static void tell_stale(struct resolved *r)
{
	struct link *l;
	int e = 0;

	if (!r->stale || evtimer_pending(r->retry, NULL))
		return;
	r->stale = false;
	SLIST_FOREACH(l, &r->links, next)
	{
		if (!l->stale || evtimer_pending(l->retry, NULL))
			continue;
		if (!connect_bus(r))
			return;
		e = tell_link(l);
		if (e < 0)
			break;
	}
	if (e < 0)
		bus_lost(r, e);
	else if (r->bus)
		wait_for_bus(r);
}

static void on_bus(evutil_socket_t fd, short what, void *ctx)
{
	struct resolved *r = ctx;
	int e = 1;

	(void)fd, (void)what;
	for (unsigned i = 0; e > 0 && i < MESSAGES_MAX; i++)
		e = sd_bus_process(r->bus, NULL);
	if (e >= 0 && sd_bus_is_open(r->bus) <= 0)
		e = -ECONNRESET;
	if (e < 0) {
		bus_lost(r, e);
		return;
	}
	tell_stale(r);
	if (!r->bus)
		return;
	wait_for_bus(r);
	if (e > 0) /* more messages have been read than were handled */
		event_active(r->readable, EV_READ, 0);
}

static void on_retry(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	tell_stale(ctx);
}

static void on_link_retry(evutil_socket_t fd, short what, void *ctx)
{
	struct link *l = ctx;

	(void)fd, (void)what;
	l->resolved->stale = true;
	tell_stale(l->resolved);
}

/* ---- for the daemon ---- */

struct resolved *resolved_new(struct event_base *base, int priority, struct log *log)
{
	struct resolved *r = xzalloc(sizeof(*r));

	r->base = base;
	r->priority = priority;
	r->log = log;
	SLIST_INIT(&r->links);
	r->readable = event_new(base, -1, EV_READ, on_bus, r);
	r->timer = evtimer_new(base, on_bus, r);
	r->retry = evtimer_new(base, on_retry, r);
	if (!r->readable || !r->timer || !r->retry)
		abort();
	event_priority_set(r->timer, priority);
	event_priority_set(r->retry, priority);
	return r;
}

static void set_wanted(struct link *l, const struct dns_set *s)
{
	for (unsigned i = 0; i < l->wanted.domain_count; i++)
		free((char *)l->wanted.domain[i]);
	l->wanted = *s;
	for (unsigned i = 0; i < s->domain_count; i++)
		l->wanted.domain[i] = xstrdup(s->domain[i]);
}

static struct link *link_of(struct resolved *r, uint16_t device)
{
	struct link *l;

	SLIST_FOREACH(l, &r->links, next)
	{
		if (l->device == device)
			return l;
	}
	l = xzalloc(sizeof(*l));
	l->resolved = r;
	l->device = device;
	l->retry = evtimer_new(r->base, on_link_retry, l);
	if (!l->retry)
		abort();
	event_priority_set(l->retry, r->priority);
	SLIST_INSERT_HEAD(&r->links, l, next);
	return l;
}

void resolved_tell(struct resolved *r, uint16_t device, const char *name, const struct dns_set *s)
{
	struct link *l = link_of(r, device);

	snprintf(l->name, sizeof(l->name), "%s", name);
	set_wanted(l, s);
	l->stale = r->stale = true;
}

void resolved_found(struct resolved *r, uint16_t device, const char *name)
{
	struct link *l = link_of(r, device);

	snprintf(l->name, sizeof(l->name), "%s", name);
	l->found = !l->wanted.server_count && !l->given;
	l->given = l->stale = r->stale = true;
}

void resolved_tell_again(struct resolved *r)
{
	all_stale(r);
}

void resolved_settle(struct resolved *r)
{
	tell_stale(r);
}

static bool waits_for_answers(const struct resolved *r)
{
	const struct link *l;

	SLIST_FOREACH(l, &r->links, next)
	{
		if (l->open)
			return true;
	}
	return false;
}

/*
 * systemd-resolved asks polkit about us only while we are connected: the connection stays until it
 * has answered.
 */
static void revert_all(struct resolved *r)
{
	const struct dns_set none = {0};
	uint64_t until = usec_now() + REVERT_USEC, now;
	struct link *l;
	int e = 0;

	SLIST_FOREACH(l, &r->links, next)
	{
		/* Or it is being taken back already. */
		if (!l->given || (!l->wanted.server_count && !l->stale))
			continue;
		set_wanted(l, &none);
		if (tell_link(l) < 0)
			return;
	}
	while (e >= 0 && waits_for_answers(r) && (now = usec_now()) < until) {
		e = sd_bus_process(r->bus, NULL);
		if (e == 0)
			e = sd_bus_wait(r->bus, until - now);
	}
}

void resolved_free(struct resolved *r, bool revert)
{
	struct link *l;

	if (!r)
		return;
	if (revert && r->bus)
		revert_all(r);
	if (r->bus)
		disconnect(r);
	while ((l = SLIST_FIRST(&r->links))) {
		SLIST_REMOVE_HEAD(&r->links, next);
		set_wanted(l, &(const struct dns_set){0});
		event_free(l->retry);
		free(l);
	}
	event_free(r->readable);
	event_free(r->timer);
	event_free(r->retry);
	free(r);
}
