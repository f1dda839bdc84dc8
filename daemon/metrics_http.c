/* metrics_http.c - see metrics_http.h. SPDX-License-Identifier: ISC */
#include "metrics_http.h"
#include "classic.h"
#include "metrics_socket.h"
#include "status.h"
#include "xalloc.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACTIVATED    "metrics" /* FileDescriptorName in mendipd-metrics.socket */
#define SOCKETS_MAX  8
#define CLIENTS_MAX  8
#define LIFE_SECONDS 10 /* of a connection; it is that of one request */
#define HEADERS_MAX  8192
#define TEXT_AGE     NSEC_PER_SEC

#define PATH	     "/metrics"
#define OPENMETRICS  "application/openmetrics-text"
static const char *const content_types[] = {
	OPENMETRICS "; version=1.0.0; charset=utf-8",
	"text/plain; version=0.0.4; charset=utf-8",
};

/* The metrics at one time; answers that are being sent share it. */
struct text {
	unsigned users;
	nsec_t made;
	char *p;
	size_t len;
};

struct client {
	LIST_ENTRY(client) link;
	struct metrics_http *server;
	struct bufferevent *bev; /* evhttp's; the reference is ours */
	struct event *end;
};

struct metrics_http {
	struct daemon *daemon;
	struct evhttp *evhttp;
	struct evconnlistener *listeners[SOCKETS_MAX];
	unsigned count;
	int own;    /* a socket of metrics_listen, which is one of those; -1: none */
	char *path; /* of `own`, if that is a Unix socket; owned */
	LIST_HEAD(, client) clients; /* the newest first */
	unsigned clients_count;
	struct event *next, *tick; /* let the next client in */
	struct text *texts[2];	   /* the last OpenMetrics and classic text; NULL: none yet */
};

/* ---- the text ---- */

static void text_unref(struct text *t)
{
	if (!t || --t->users)
		return;
	free(t->p);
	free(t);
}

static void on_sent(const void *p, size_t len, void *ctx)
{
	(void)p, (void)len;
	text_unref(ctx);
}

/* The text in one of both formats, which is made at most once per TEXT_AGE. */
static struct text *text_of(struct metrics_http *h, bool classic)
{
	struct text *t = h->texts[classic];
	nsec_t now = daemon_now();

	if (t && now - t->made < TEXT_AGE)
		return t;
	text_unref(t);
	t = xzalloc(sizeof(*t));
	t->users = 1;
	t->p = classic ? metrics_classic(text_of(h, false)->p) : metrics_text(h->daemon);
	t->made = classic ? h->texts[false]->made : now;
	t->len = strlen(t->p);
	h->texts[classic] = t;
	return t;
}

/* ---- requests ---- */

static bool takes_openmetrics(struct evhttp_request *req)
{
	const char *accept = evhttp_find_header(evhttp_request_get_input_headers(req), "Accept");

	return accept && strcasestr(accept, OPENMETRICS);
}

static bool is_for_metrics(const struct evhttp_request *req)
{
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req));

	return path && strcmp(path, PATH) == 0;
}

static void answer(struct evhttp_request *req, struct text *t)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
	struct evbuffer *body = NULL;
	char length[32];

	if (evhttp_request_get_command(req) == EVHTTP_REQ_HEAD) {
		snprintf(length, sizeof(length), "%zu", t->len);
		evhttp_add_header(headers, "Content-Length", length);
	} else {
		body = evbuffer_new();
		if (!body || evbuffer_add_reference(body, t->p, t->len, on_sent, t) < 0)
			abort(); /* no memory */
		t->users++;
	}
	evhttp_send_reply(req, HTTP_OK, "OK", body);
	if (body)
		evbuffer_free(body);
}

static void on_request(struct evhttp_request *req, void *ctx)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
	bool classic = !takes_openmetrics(req);

	if (!is_for_metrics(req)) {
		evhttp_send_error(req, HTTP_NOTFOUND, "the metrics are at " PATH);
		return;
	}
	/* A connection that stayed would be in the way of others. */
	evhttp_add_header(headers, "Connection", "close");
	evhttp_add_header(headers, "Content-Type", content_types[classic]);
	answer(req, text_of(ctx, classic));
}

/* ---- connections ---- */

static void listen_on(struct metrics_http *h, bool on)
{
	for (unsigned i = 0; i < h->count; i++) {
		if (on)
			evconnlistener_enable(h->listeners[i]);
		else
			evconnlistener_disable(h->listeners[i]);
	}
}

/* evhttp sees the end of the connection, and frees it. */
static void cut(const struct client *c)
{
	shutdown(bufferevent_getfd(c->bev), SHUT_RDWR);
}

static void on_end(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	cut(ctx);
}

/* Closes the connection, unless evhttp still has it. */
static void client_free(struct client *c)
{
	LIST_REMOVE(c, link);
	c->server->clients_count--;
	event_free(c->end);
	bufferevent_decref(c->bev);
	free(c);
}

/* evhttp tells nobody that it has freed a connection; but then its buffers have no callbacks. */
static bool is_over(const struct client *c)
{
	bufferevent_event_cb on_event = NULL;

	bufferevent_getcb(c->bev, NULL, NULL, &on_event, NULL);
	return !on_event;
}

static void sweep(struct metrics_http *h)
{
	struct client *c, *next;

	for (c = LIST_FIRST(&h->clients); c; c = next) {
		next = LIST_NEXT(c, link);
		if (is_over(c))
			client_free(c);
	}
}

static void let_in(evutil_socket_t fd, short what, void *ctx)
{
	struct metrics_http *h = ctx;

	(void)fd, (void)what;
	sweep(h);
	if (h->clients_count < CLIENTS_MAX)
		listen_on(h, true);
}

static const struct client *oldest(const struct metrics_http *h)
{
	const struct client *c, *last = NULL;

	LIST_FOREACH (c, &h->clients, link)
		last = c;
	return last;
}

static struct client *client_new(struct metrics_http *h, struct event_base *base)
{
	const struct timeval life = {.tv_sec = LIFE_SECONDS};
	struct client *c = xzalloc(sizeof(*c));

	c->server = h;
	c->bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	c->end = evtimer_new(base, on_end, c);
	if (!c->bev || !c->end)
		abort(); /* no memory */
	bufferevent_incref(c->bev);
	bufferevent_priority_set(c->bev, PRIORITY_CONTROL);
	bufferevent_setwatermark(c->bev, EV_READ, 0, 2 * HEADERS_MAX);
	event_priority_set(c->end, PRIORITY_CONTROL);
	event_add(c->end, &life);
	LIST_INSERT_HEAD(&h->clients, c, link);
	h->clients_count++;
	return c;
}

/*
 * evhttp has a new connection, and asks for its buffers. One is accepted per turn of the loop, and
 * the next one after data. Whoever takes the last place ends the oldest connection, so that idle
 * ones keep nobody out.
 */
static struct bufferevent *on_connection(struct event_base *base, void *ctx)
{
	static const struct timeval now;
	struct metrics_http *h = ctx;
	struct client *c = client_new(h, base);

	listen_on(h, false);
	if (h->clients_count == CLIENTS_MAX)
		cut(oldest(h));
	event_add(h->next, &now);
	return c->bev;
}

/* Usually no descriptor is left: the waiting client would wake the loop again and again until the
 * next tick. */
static void on_accept_error(struct evconnlistener *l, void *evhttps)
{
	(void)evhttps;
	evconnlistener_disable(l);
}

/* ---- start and end ---- */

static bool serve_on(struct metrics_http *h, int fd)
{
	char name[METRICS_NAME_LEN];
	bool local = metrics_socket_is_local(fd, name);
	struct evconnlistener *l;

	if (h->count == SOCKETS_MAX || !local) {
		log_error(&h->daemon->log,
			  "metrics: not served at %s: at most %d ports of loopback addresses or "
			  "Unix sockets: change ListenStream of mendipd-metrics.socket",
			  name, SOCKETS_MAX);
		close(fd);
		return false;
	}
	evutil_make_socket_nonblocking(fd);
	/* It listens already, with the backlog of who opened it: 0 leaves that. */
	l = evconnlistener_new(h->daemon->base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE, 0, fd);
	if (!l || !evhttp_bind_listener(h->evhttp, l))
		abort(); /* no memory */
	evconnlistener_set_error_cb(l, on_accept_error);
	h->listeners[h->count++] = l;
	log_info(&h->daemon->log, "metrics are served at %s", name);
	return true;
}

static void open_own(struct metrics_http *h, int kept)
{
	const struct config_fixed *f = &h->daemon->config->fixed;
	struct listen_at at;
	int fd;

	if (!f->metrics_listen || listen_at_parse(f->metrics_listen, &at) < 0) {
		if (kept >= 0)
			close(kept);
		return;
	}
	fd = metrics_socket_open(&at, f->view_group, kept, &h->daemon->log);
	if (fd < 0 || !serve_on(h, fd))
		return;
	h->own = fd;
	h->path = at.path ? xstrdup(at.path) : NULL;
}

static void open_sockets(struct metrics_http *h)
{
	struct kept_fds *kept = h->daemon->kept;
	int fd;

	while ((fd = kept_fd(kept, ACTIVATED)) >= 0)
		serve_on(h, fd);
	open_own(h, kept_fd(kept, METRICS_OWN));
}

static void set_limits(struct metrics_http *h)
{
	evhttp_set_bevcb(h->evhttp, on_connection, h);
	evhttp_set_gencb(h->evhttp, on_request, h);
	evhttp_set_allowed_methods(h->evhttp, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(h->evhttp, HEADERS_MAX);
	evhttp_set_max_body_size(h->evhttp, 0);
	evhttp_set_timeout(h->evhttp, LIFE_SECONDS);
}

struct metrics_http *metrics_http_new(struct daemon *d)
{
	const struct timeval second = {.tv_sec = 1};
	struct metrics_http *h = xzalloc(sizeof(*h));

	h->daemon = d;
	h->own = -1;
	LIST_INIT(&h->clients);
	h->evhttp = evhttp_new(d->base);
	h->next = evtimer_new(d->base, let_in, h);
	h->tick = event_new(d->base, -1, EV_PERSIST, let_in, h);
	if (!h->evhttp || !h->next || !h->tick)
		abort(); /* no memory */
	event_priority_set(h->next, PRIORITY_DATA);
	event_priority_set(h->tick, PRIORITY_CONTROL);
	set_limits(h);
	open_sockets(h);
	if (h->count) {
		event_add(h->tick, &second);
		return h;
	}
	metrics_http_free(h);
	return NULL;
}

int metrics_http_own(const struct metrics_http *h)
{
	return h && !h->path ? h->own : -1;
}

void metrics_http_free(struct metrics_http *h)
{
	struct client *c;

	if (!h)
		return;
	evhttp_free(h->evhttp);
	while ((c = LIST_FIRST(&h->clients)))
		client_free(c);
	event_free(h->next);
	event_free(h->tick);
	if (h->own >= 0 && h->path)
		unlink(h->path);
	free(h->path);
	text_unref(h->texts[false]);
	text_unref(h->texts[true]);
	free(h);
}
