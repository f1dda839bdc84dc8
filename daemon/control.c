/* control.c - see control.h. SPDX-License-Identifier: ISC */
#include "control.h"
#include "fault.h"
#include "status.h"
#include "xalloc.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX  32
#define BREAK_USEC   200000 /* no accept for so long after one failed */
#define LINE_MAX_LEN 65536
#define BACKLOG_MAX  (4u << 20) /* bytes that a client may leave unread */
#define IDLE_SECONDS 60

struct client {
	LIST_ENTRY(client) link;
	struct control *control;
	struct bufferevent *bev;
	uid_t uid;
	uint64_t served; /* control->served at its last command, or when it connected */
	bool events;
	bool ended;   /* it sent EOF; its requests are still answered */
	bool dropped; /* to be freed by the reaper, as callers up the stack may use it */
};

struct control {
	struct daemon *daemon;
	struct evconnlistener *listener;
	char *path;
	LIST_HEAD(, client) clients;
	unsigned count;
	uint64_t served;	/* commands so far */
	struct log_limit lines; /* about clients that cannot be accepted */
	struct event *reaper;
	struct event *pump;  /* runs the next command, after data */
	struct event *again; /* accepts clients again */
};

static void client_free(struct client *c)
{
	LIST_REMOVE(c, link);
	c->control->count--;
	bufferevent_free(c->bev);
	free(c);
}

static void drop(struct client *c)
{
	c->dropped = true;
	event_active(c->control->reaper, EV_TIMEOUT, 0);
}

static void on_reap(evutil_socket_t fd, short what, void *ctx)
{
	struct control *control = ctx;
	struct client *c, *next;

	(void)fd;
	(void)what;
	for (c = LIST_FIRST(&control->clients); c; c = next) {
		next = LIST_NEXT(c, link);
		if (c->dropped)
			client_free(c);
	}
}

static bool is_behind(const struct client *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev)) > BACKLOG_MAX;
}

static void send_json(struct client *c, json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);

	json_decref(o);
	if (text)
		evbuffer_add_printf(bufferevent_get_output(c->bev), "%s\n", text);
	free(text);
}

/* The error becomes one printable line, whatever it quotes of the request. */
static json_t *failure(const char *why)
{
	char text[CONFIG_ERR];

	snprintf(text, sizeof(text), "%s", why);
	conf_make_printable(text);
	return json_pack("{s:b,s:s}", "ok", 0, "error", text);
}

static json_t *success(json_t *result)
{
	return json_pack("{s:b,s:o}", "ok", 1, "result", result ? result : json_object());
}

/* ---- commands: each takes the arguments and returns the answer ---- */

static const char *arg(const json_t *args, size_t i)
{
	return json_string_value(json_array_get(args, i));
}

static json_t *do_status(struct daemon *d, const json_t *args)
{
	json_t *o = status_json(d, arg(args, 0));

	return o ? success(o) : failure("no such child or connection: mendipctl status lists them");
}

static json_t *do_diagnose(struct daemon *d, const json_t *args)
{
	json_t *o = arg(args, 0) ? diagnose_json(d, arg(args, 0)) : NULL;

	return o ? success(o) : failure("no such child or connection: mendipctl status lists them");
}

static json_t *no_child(void)
{
	return failure("no such child or connection: mendipctl status lists them");
}

static json_t *ambiguous(void)
{
	return failure("several connections have a child of this name: write CONNECTION/CHILD");
}

/* Calls fn for each child of the name, which may be that of a connection; returns their number. */
static unsigned each_named(struct daemon *d, const char *name,
			   void (*fn)(struct tunnel_child *k, nsec_t now))
{
	struct tunnel_conn *c;
	struct tunnel_child *k;
	unsigned count = 0;

	LIST_FOREACH (c, &d->tunnel->conns, link) {
		LIST_FOREACH (k, &c->children, link) {
			if (!name || !status_is_named(c, k, name))
				continue;
			fn(k, daemon_now());
			count++;
		}
	}
	return count;
}

/* Of a name without a slash that is a child's in several connections, it is not known which. */
static bool is_ambiguous(const struct daemon *d, const char *name)
{
	const struct tunnel_conn *c, *found = NULL;
	const struct tunnel_child *k;

	if (!name || strchr(name, '/') || tunnel_find_conn(d->tunnel, name))
		return false;
	LIST_FOREACH (c, &d->tunnel->conns, link) {
		LIST_FOREACH (k, &c->children, link) {
			if (strcmp(k->conf->name, name) != 0)
				continue;
			if (found && found->conf != c->conf)
				return true;
			found = c;
		}
	}
	return false;
}

static json_t *do_up(struct daemon *d, const json_t *args)
{
	const char *name = arg(args, 0);
	struct tunnel_child *k = name ? tunnel_find_child(d->tunnel, name) : NULL;
	struct tunnel_conn *c = k ? k->conn : name ? tunnel_find_conn(d->tunnel, name) : NULL;

	if (is_ambiguous(d, name))
		return ambiguous();
	if (c && conn_remote_count(c->conf) == 0 && !c->sa && !c->conf->names)
		return failure("this connection only responds (remote_addrs is %any): initiate it "
			       "from the other side");
	return each_named(d, name, tunnel_child_up) ? success(NULL) : no_child();
}

static json_t *do_down(struct daemon *d, const json_t *args)
{
	if (is_ambiguous(d, arg(args, 0)))
		return ambiguous();
	return each_named(d, arg(args, 0), tunnel_child_down) ? success(NULL) : no_child();
}

static void rekey(struct tunnel_child *k, nsec_t now)
{
	(void)tunnel_child_rekey(k, now);
}

static json_t *do_rekey(struct daemon *d, const json_t *args)
{
	const struct tunnel_child *k =
		arg(args, 0) ? tunnel_find_child(d->tunnel, arg(args, 0)) : NULL;

	if (is_ambiguous(d, arg(args, 0)))
		return ambiguous();
	if (k && (!k->current || !k->current->ike))
		return failure("the child is not up");
	return each_named(d, arg(args, 0), rekey) ? success(NULL) : no_child();
}

static json_t *do_reload(struct daemon *d, const json_t *args)
{
	(void)args;
	return daemon_reload(d) ? success(NULL) : failure(d->reload_error);
}

static json_t *do_log(struct daemon *d, const json_t *args)
{
	enum log_level level;

	if (!arg(args, 0) || log_level_parse(arg(args, 0), &level) < 0)
		return failure("the level must be error, warning, info or debug");
	if (json_array_size(args) < 2) {
		d->log.level = level;
		return success(NULL);
	}
	if (level != LOG_LEVEL_DEBUG && level != LOG_LEVEL_INFO)
		return failure("of one connection the level is debug or info");
	if (!arg(args, 1) || ike_trace(d->tunnel->ike, arg(args, 1), level == LOG_LEVEL_DEBUG) < 0)
		return failure("no such connection");
	return success(NULL);
}

static json_t *do_version(struct daemon *d, const json_t *args)
{
	(void)d;
	(void)args;
	return success(json_pack("{s:s}", "version", PACKAGE_VERSION));
}

static json_t *set_options(struct daemon *d, const json_t *args)
{
	struct tunnel_child *c = arg(args, 1) ? tunnel_find_child(d->tunnel, arg(args, 1)) : NULL;
	struct tunnel_options o;
	char err[OPTION_ERR], name[64];

	if (!c)
		return no_child();
	if (!arg(args, 2))
		return failure("give at least one OPTION=VALUE");
	o = c->options; /* a copy: all options are set, or none */
	for (size_t i = 2; i < json_array_size(args); i++) {
		const char *text = arg(args, i), *eq = text ? strchr(text, '=') : NULL;

		if (!eq || (size_t)(eq - text) >= sizeof(name)) {
			snprintf(err, sizeof(err), "\"%.60s\" is not OPTION=VALUE",
				 text ? text : "");
		} else {
			memcpy(name, text, (size_t)(eq - text));
			name[eq - text] = '\0';
			if (tunnel_options_set(&o, name, eq + 1, err) == 0)
				continue;
		}
		return failure(err);
	}
	return tunnel_child_apply(c, &o, err, daemon_now()) < 0 ? failure(err) : success(NULL);
}

/* switchover reset CHILD */
static json_t *reset_gate(struct daemon *d, const json_t *args)
{
	struct tunnel_child *c = arg(args, 1) ? tunnel_find_child(d->tunnel, arg(args, 1)) : NULL;

	if (!c)
		return no_child();
	tunnel_child_reset(c, daemon_now());
	return success(NULL);
}

static json_t *do_switchover(struct daemon *d, const json_t *args)
{
	json_t *o;

	if (arg(args, 0) && strcmp(arg(args, 0), "set") == 0)
		return set_options(d, args);
	if (arg(args, 0) && strcmp(arg(args, 0), "reset") == 0)
		return reset_gate(d, args);
	o = switchover_json(d, arg(args, 0));
	return o ? success(o) : no_child();
}

static json_t *do_metrics(struct daemon *d, const json_t *args)
{
	char *text = metrics_text(d);
	json_t *o = success(json_pack("{s:s}", "text", text));

	(void)args;
	free(text);
	return o;
}

#ifdef MENDIP_FAULTS
static json_t *do_fault(struct daemon *d, const json_t *args)
{
	const char *why = fault_run(d, args);

	return why ? failure(why) : success(NULL);
}
#endif

static const struct {
	const char *name;
	json_t *(*run)(struct daemon *d, const json_t *args);
} commands[] = {
	{"status", do_status},	 {"up", do_up},
	{"down", do_down},	 {"rekey", do_rekey},
	{"reload", do_reload},	 {"log", do_log},
	{"version", do_version}, {"switchover", do_switchover},
	{"metrics", do_metrics}, {"diagnose", do_diagnose},
#ifdef MENDIP_FAULTS
	{"fault", do_fault},
#endif
};

static json_t *run(struct client *c, const char *name, const json_t *args)
{
	if (strcmp(name, "events") == 0) {
		bufferevent_set_timeouts(c->bev, NULL, NULL);
		c->events = true;
		return success(NULL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return commands[i].run(c->control->daemon, args);
	}
	return failure("unknown command");
}

static void handle_line(struct client *c, const char *line, size_t len)
{
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const char *name = json_string_value(json_object_get(o, "command"));
	const json_t *args = json_object_get(o, "args");
	json_t *answer;

	if (!name || (args && !json_is_array(args)))
		answer = failure("not a request: {\"command\": NAME, \"args\": [...]}");
	else
		answer = run(c, name, args);
	send_json(c, answer ? answer : failure("no memory for the answer"));
	json_decref(o);
	daemon_turn(c->control->daemon);
}

/* A client that does not read its answers is not served until on_write. */
static bool has_line(struct client *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);

	if (c->dropped || is_behind(c))
		return false;
	if (evbuffer_search_eol(in, NULL, NULL, EVBUFFER_EOL_LF).pos >= 0)
		return true;
	if (evbuffer_get_length(in) > LINE_MAX_LEN)
		drop(c);
	return false;
}

/*
 * Reads ahead as much as one line may be long. With a watermark libevent would report the full
 * buffer again and again, as the pump drains it outside of the read callback.
 */
static void read_on(struct client *c)
{
	if (c->ended)
		return;
	if (evbuffer_get_length(bufferevent_get_input(c->bev)) > LINE_MAX_LEN)
		bufferevent_disable(c->bev, EV_READ);
	else
		bufferevent_enable(c->bev, EV_READ);
}

/* Of the clients with a waiting command, the one that was served least recently. */
static struct client *next_client(struct control *control)
{
	struct client *c, *next = NULL;

	LIST_FOREACH (c, &control->clients, link) {
		if (has_line(c) && (!next || c->served < next->served))
			next = c;
	}
	return next;
}

static void end_if_done(struct client *c)
{
	if (c->ended && !has_line(c) && evbuffer_get_length(bufferevent_get_output(c->bev)) == 0)
		drop(c);
}

/* event_active() would run it again in the same turn. */
static void serve_later(struct control *control)
{
	static const struct timeval now;

	event_add(control->pump, &now);
}

void control_serve(struct control *control)
{
	struct client *c = control ? next_client(control) : NULL;
	size_t len;
	char *line;

	if (!c)
		return;
	c->served = ++control->served;
	line = evbuffer_readln(bufferevent_get_input(c->bev), &len, EVBUFFER_EOL_LF);
	handle_line(c, line, len);
	free(line);
	read_on(c);
	end_if_done(c);
	if (next_client(control))
		serve_later(control);
}

/*
 * One command per turn of the loop: packets must not wait until all commands of a client that sends
 * many, or expensive ones, are done.
 */
static void on_pump(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	control_serve(ctx);
}

static void on_read(struct bufferevent *bev, void *ctx)
{
	struct client *c = ctx;

	(void)bev;
	read_on(c);
	if (has_line(c))
		serve_later(c->control);
}

static void on_write(struct bufferevent *bev, void *ctx)
{
	on_read(bev, ctx);
	end_if_done(ctx);
}

static void on_client_event(struct bufferevent *bev, short what, void *ctx)
{
	struct client *c = ctx;

	(void)bev;
	if (what & (BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT))
		drop(c);
	if (what & BEV_EVENT_EOF) {
		c->ended = true;
		end_if_done(c);
	}
}

static uid_t uid_of(evutil_socket_t fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 ? (uid_t)-1 : who.uid;
}

/*
 * All places are taken: disconnects the client whose last command is the oldest. Only a new client
 * of root displaces one of root, so other users cannot lock root out. False: there is none to
 * disconnect.
 */
static bool make_room(struct control *control, uid_t uid)
{
	struct client *c, *oldest = NULL;

	LIST_FOREACH (c, &control->clients, link) {
		if (c->dropped || (c->uid == 0 && uid != 0))
			continue;
		/* Clients of root go last. */
		if (!oldest || (oldest->uid == 0 && c->uid != 0) ||
		    ((oldest->uid == 0) == (c->uid == 0) && c->served <= oldest->served))
			oldest = c;
	}
	if (!oldest)
		return false;
	client_free(oldest);
	return true;
}

static void on_again(evutil_socket_t fd, short what, void *ctx)
{
	struct control *control = ctx;

	(void)fd;
	(void)what;
	evconnlistener_enable(control->listener);
}

/* Usually no descriptor is left: the waiting client would wake the loop again and again. */
static void on_accept_error(struct evconnlistener *l, void *ctx)
{
	const struct timeval wait = {.tv_usec = BREAK_USEC};
	struct control *control = ctx;
	struct daemon *d = control->daemon;

	log_limited(&d->log, &control->lines, daemon_now(), LOG_LEVEL_WARNING,
		    "control socket: cannot accept a client: %s", strerror(errno));
	evconnlistener_disable(l);
	evtimer_add(control->again, &wait);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len,
		      void *ctx)
{
	const struct timeval idle = {.tv_sec = IDLE_SECONDS};
	struct control *control = ctx;
	struct client *c;

	(void)l;
	(void)sa;
	(void)len;
	if (control->count >= CLIENTS_MAX && !make_room(control, uid_of(fd))) {
		close(fd);
		return;
	}
	c = xzalloc(sizeof(*c));
	c->control = control;
	c->uid = uid_of(fd);
	c->served = control->served;
	c->bev = bufferevent_socket_new(control->daemon->base, fd, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_priority_set(c->bev, PRIORITY_CONTROL);
	bufferevent_setcb(c->bev, on_read, on_write, on_client_event, c);
	bufferevent_set_timeouts(c->bev, &idle, &idle);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	LIST_INSERT_HEAD(&control->clients, c, link);
	control->count++;
}

void control_event(struct control *control, enum tunnel_event_kind kind, const char *conn,
		   const char *child, const char *text)
{
	static const char *const kinds[] = {"connection", "child", "evidence", "recovery",
					    "security"};
	struct client *c, *next;
	struct timespec ts;

	if (!control)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	for (c = LIST_FIRST(&control->clients); c; c = next) {
		next = LIST_NEXT(c, link);
		if (!c->events || c->dropped)
			continue;
		/* A client that does not read its events is disconnected. */
		if (is_behind(c)) {
			drop(c);
			continue;
		}
		send_json(c,
			  json_pack("{s:{s:f,s:s,s:s,s:s?,s:s}}", "event", "time",
				    (double)ts.tv_sec + (double)ts.tv_nsec / 1e9, "kind",
				    kinds[kind], "connection", conn, "child", child, "text", text));
	}
}

/* Removes a socket that a crashed daemon left, and nothing else. False with *ret_why (static). */
static bool path_is_free(const struct sockaddr_un *sun, const char **ret_why)
{
	struct stat st;
	int fd, r;

	if (lstat(sun->sun_path, &st) < 0)
		return true; /* or bind() will report why not */
	*ret_why = "exists and is not a socket";
	if (!S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = fd >= 0 && connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	*ret_why = "another mendipd is listening";
	return r == ECONNREFUSED && unlink(sun->sun_path) == 0;
}

struct control *control_new(struct daemon *d)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct control *c;
	const char *why;
	mode_t mask;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", d->config->fixed.control);
	if (!path_is_free(&sun, &why)) {
		log_error(&d->log, "%s: %s", sun.sun_path, why);
		return NULL;
	}
	c = xzalloc(sizeof(*c));
	c->daemon = d;
	bucket_init(&c->lines.bucket, 1, 5);
	LIST_INIT(&c->clients);
	mask = umask(0117);
	c->listener = evconnlistener_new_bind(d->base, on_accept, c,
					      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 16,
					      (struct sockaddr *)&sun, sizeof(sun));
	umask(mask);
	if (!c->listener) {
		log_error(&d->log, "%s: %s: does its folder exist?", sun.sun_path, strerror(errno));
		free(c);
		return NULL;
	}
	c->path = xstrdup(sun.sun_path);
	evconnlistener_set_error_cb(c->listener, on_accept_error);
	c->reaper = event_new(d->base, -1, 0, on_reap, c);
	c->pump = evtimer_new(d->base, on_pump, c);
	c->again = evtimer_new(d->base, on_again, c);
	if (!c->reaper || !c->pump || !c->again)
		abort(); /* no memory */
	event_priority_set(c->reaper, PRIORITY_CONTROL);
	event_priority_set(c->pump, PRIORITY_DATA);
	event_priority_set(c->again, PRIORITY_CONTROL);
	return c;
}

void control_free(struct control *c)
{
	struct client *cl;

	if (!c)
		return;
	while ((cl = LIST_FIRST(&c->clients)))
		client_free(cl);
	event_free(c->reaper);
	event_free(c->pump);
	event_free(c->again);
	evconnlistener_free(c->listener);
	unlink(c->path);
	free(c->path);
	free(c);
}
