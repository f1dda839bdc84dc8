/* control.c - see control.h. SPDX-License-Identifier: ISC */
#include "control.h"
#include "control_socket.h"
#include "fault.h"
#include "status.h"
#include "xalloc.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdio.h>
#include <sys/socket.h>
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
	enum right right;
	uid_t uid;
	uint64_t served; /* control->served at its last command, or when it connected */
	bool events;
	bool ended;   /* it sent EOF; its requests are still answered */
	bool dropped; /* to be freed by the reaper, as callers up the stack may use it */
};

struct control {
	struct daemon *daemon;
	struct control_socket change, view;
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

/* Whether a configured connection, or a child of it, has this name. */
static bool is_configured(const struct conn_conf *c, const char *name)
{
	for (unsigned i = 0; i < c->child_count; i++) {
		if (status_is_named(c, &c->children[i], name))
			return true;
	}
	return false;
}

/* Why a connection or child of this name has nothing that a command could act on. */
static json_t *no_child(const struct daemon *d, const char *name)
{
	const struct conn_set *set = ike_conns(d->tunnel->ike);

	if (name && tunnel_find_conn(d->tunnel, name))
		return failure("its peer has made no child yet: see mendipctl status");
	for (unsigned i = 0; name && i < set->count; i++) {
		if (is_configured(set->v[i], name))
			return failure(tunnel_find_conn(d->tunnel, set->v[i]->name)
					       ? "its peer has not made this child yet"
					       : "it waits to be called, and no such peer has "
						 "called yet");
	}
	return failure("no such child or connection: mendipctl status lists them");
}

/* As no_child, for a command that does not take a connection. */
static json_t *not_a_child(const struct daemon *d, const char *name)
{
	if (name && tunnel_find_conn(d->tunnel, name))
		return failure("this is a connection: name one of its children");
	return no_child(d, name);
}

static json_t *do_status(struct daemon *d, const json_t *args)
{
	json_t *o = status_json(d, arg(args, 0));

	return o ? success(o) : no_child(d, arg(args, 0));
}

static json_t *do_diagnose(struct daemon *d, const json_t *args)
{
	json_t *o = arg(args, 0) ? diagnose_json(d, arg(args, 0)) : NULL;

	return o ? success(o) : no_child(d, arg(args, 0));
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
			if (!name || !status_is_named(c->conf, k->conf, name))
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
	return each_named(d, name, tunnel_child_up) ? success(NULL) : no_child(d, arg(args, 0));
}

static json_t *do_down(struct daemon *d, const json_t *args)
{
	if (is_ambiguous(d, arg(args, 0)))
		return ambiguous();
	return each_named(d, arg(args, 0), tunnel_child_down) ? success(NULL)
							      : no_child(d, arg(args, 0));
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
	return each_named(d, arg(args, 0), rekey) ? success(NULL) : no_child(d, arg(args, 0));
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

	if (is_ambiguous(d, arg(args, 1)))
		return ambiguous();
	if (!c)
		return not_a_child(d, arg(args, 1));
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

	if (is_ambiguous(d, arg(args, 1)))
		return ambiguous();
	if (!c)
		return not_a_child(d, arg(args, 1));
	tunnel_child_reset(c, daemon_now());
	return success(NULL);
}

static json_t *do_switchover(struct daemon *d, const json_t *args)
{
	json_t *o = switchover_json(d, arg(args, 0));

	return o ? success(o) : no_child(d, arg(args, 0));
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

static json_t *do_commands(struct daemon *d, const json_t *args);

/*
 * Each command, with the right that it needs. word: its first argument, for a command that does
 * something else with it; such a row stands before the one without.
 */
static const struct command {
	const char *name, *word;
	enum right right;
	json_t *(*run)(struct daemon *d, const json_t *args);
} commands[] = {
	{"status", NULL, RIGHT_VIEW, do_status},
	{"diagnose", NULL, RIGHT_VIEW, do_diagnose},
	{"metrics", NULL, RIGHT_VIEW, do_metrics},
	{"version", NULL, RIGHT_VIEW, do_version},
	{"commands", NULL, RIGHT_VIEW, do_commands},
	{"events", NULL, RIGHT_VIEW, NULL}, /* see run() */
	{"up", NULL, RIGHT_CHANGE, do_up},
	{"down", NULL, RIGHT_CHANGE, do_down},
	{"rekey", NULL, RIGHT_CHANGE, do_rekey},
	{"reload", NULL, RIGHT_CHANGE, do_reload},
	{"log", NULL, RIGHT_CHANGE, do_log},
	{"switchover", "set", RIGHT_CHANGE, set_options},
	{"switchover", "reset", RIGHT_CHANGE, reset_gate},
	{"switchover", NULL, RIGHT_VIEW, do_switchover},
#ifdef MENDIP_FAULTS
	{"fault", NULL, RIGHT_CHANGE, do_fault},
#endif
};

static const char *right_name(enum right right)
{
	return right == RIGHT_VIEW ? "view" : "change";
}

/* The commands themselves, with their rights: what a client can offer its user. */
static json_t *do_commands(struct daemon *d, const json_t *args)
{
	json_t *list = json_array();

	(void)d;
	(void)args;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *k = &commands[i];

		json_array_append_new(list, json_pack("{s:s,s:s?,s:s}", "name", k->name, "argument",
						      k->word, "right", right_name(k->right)));
	}
	return success(json_pack("{s:o}", "commands", list));
}

static const struct command *find_command(const char *name, const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *k = &commands[i];

		if (strcmp(k->name, name) == 0 &&
		    (!k->word || (word && strcmp(k->word, word) == 0)))
			return k;
	}
	return NULL;
}

/* Says how to get the right to change. */
static json_t *may_only_view(const struct control *control)
{
	const char *group = control->daemon->config->fixed.admin_group;
	char text[CONFIG_ERR];

	if (control->change.has_group)
		snprintf(text, sizeof(text),
			 "you may view, but not change: join the group %s (usermod -aG %s NAME, "
			 "then log in again), or be root",
			 group, group);
	else
		snprintf(text, sizeof(text),
			 "you may view, but not change: be root, as mendipd could not give the "
			 "group %s its socket: its log says why",
			 group);
	return failure(text);
}

static json_t *run(struct client *c, const char *name, const json_t *args)
{
	const struct command *k = find_command(name, arg(args, 0));

	if (!k)
		return failure("unknown command");
	if (k->right > c->right)
		return may_only_view(c->control);
	if (k->run)
		return k->run(c->control->daemon, args);
	bufferevent_set_timeouts(c->bev, NULL, NULL);
	c->events = true;
	return success(NULL);
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

/*
 * One command per turn of the loop: packets must not wait until all commands of a client that sends
 * many, or expensive ones, are done.
 */
static void on_pump(evutil_socket_t fd, short what, void *ctx)
{
	struct control *control = ctx;
	struct client *c = next_client(control);
	size_t len;
	char *line;

	(void)fd;
	(void)what;
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

/* Who has more rights is not kept out by those who have less. */
static unsigned rank(enum right right, uid_t uid)
{
	return uid == 0 ? 3 : right == RIGHT_CHANGE ? 2 : 1;
}

/*
 * All places are taken: disconnects, of the clients with the lowest rank, the one whose last
 * command is the oldest. False: all have a higher rank than the new client.
 */
static bool make_room(struct control *control, unsigned new_rank)
{
	struct client *c, *found = NULL;
	unsigned found_rank = new_rank, r;

	LIST_FOREACH (c, &control->clients, link) {
		r = rank(c->right, c->uid);
		if (c->dropped || r > found_rank)
			continue;
		if (!found || r < found_rank || c->served <= found->served)
			found = c;
		found_rank = r;
	}
	if (!found)
		return false;
	client_free(found);
	return true;
}

/* Lets the next client in. */
static void on_again(evutil_socket_t fd, short what, void *ctx)
{
	struct control *control = ctx;

	(void)fd;
	(void)what;
	evconnlistener_enable(control->change.listener);
	evconnlistener_enable(control->view.listener);
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

static void accept_client(struct control *control, enum right right, evutil_socket_t fd)
{
	const struct timeval idle = {.tv_sec = IDLE_SECONDS};
	uid_t uid = uid_of(fd);
	struct client *c;

	if (control->count >= CLIENTS_MAX && !make_room(control, rank(right, uid))) {
		close(fd);
		return;
	}
	c = xzalloc(sizeof(*c));
	c->control = control;
	c->right = right;
	c->uid = uid;
	c->served = control->served;
	c->bev = bufferevent_socket_new(control->daemon->base, fd, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_priority_set(c->bev, PRIORITY_CONTROL);
	bufferevent_setcb(c->bev, on_read, on_write, on_client_event, c);
	bufferevent_set_timeouts(c->bev, &idle, &idle);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	LIST_INSERT_HEAD(&control->clients, c, link);
	control->count++;
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len,
		      void *ctx)
{
	static const struct timeval now;
	struct control *control = ctx;

	(void)sa;
	(void)len;
	/* One a turn of the loop: who connects again and again must not keep packets waiting. */
	evconnlistener_disable(control->change.listener);
	evconnlistener_disable(control->view.listener);
	evtimer_add(control->again, &now);
	accept_client(control, l == control->view.listener ? RIGHT_VIEW : RIGHT_CHANGE, fd);
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

/* The socket for those who may only view is beside the other one. 0 or -errno. */
static int open_sockets(struct control *c)
{
	struct daemon *d = c->daemon;
	const struct config_fixed *f = &d->config->fixed;
	char *view = xasprintf("%s" VIEW_SUFFIX, f->control);
	int r = control_socket_open(&c->change, d->base, f->control, f->admin_group, on_accept, c,
				    &d->log);

	if (r == 0)
		r = control_socket_open(&c->view, d->base, view, f->view_group, on_accept, c,
					&d->log);
	free(view);
	if (r < 0) {
		control_socket_close(&c->change);
		return r;
	}
	evconnlistener_set_error_cb(c->change.listener, on_accept_error);
	evconnlistener_set_error_cb(c->view.listener, on_accept_error);
	return 0;
}

int control_new(struct daemon *d, struct control **ret)
{
	struct control *c = xzalloc(sizeof(*c));
	int r;

	*ret = NULL;
	c->daemon = d;
	bucket_init(&c->lines.bucket, 1, 5);
	LIST_INIT(&c->clients);
	r = open_sockets(c);
	if (r < 0) {
		free(c);
		return r;
	}
	c->reaper = event_new(d->base, -1, 0, on_reap, c);
	c->pump = evtimer_new(d->base, on_pump, c);
	c->again = evtimer_new(d->base, on_again, c);
	if (!c->reaper || !c->pump || !c->again)
		abort(); /* no memory */
	event_priority_set(c->reaper, PRIORITY_CONTROL);
	event_priority_set(c->pump, PRIORITY_DATA);
	event_priority_set(c->again, PRIORITY_DATA);
	*ret = c;
	return 0;
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
	control_socket_close(&c->change);
	control_socket_close(&c->view);
	free(c);
}
