/*
 * fuzz_control.c - requests of clients at the control socket, on a tunnel that works or has faults.
 * SPDX-License-Identifier: ISC
 *
 * The input is a byte that sets the state of the tunnel, then lines. The first of two clients
 * writes them as they are, to a pair of buffers in place of the socket; lines that begin with % are
 * commands to the test (see run_own).
 */
#include "fuzz.h"
#include "../../daemon/control.c" /* for clients without a socket */
#include "config_read.h"
#include "control_peers.h"

#define CLIENTS	  2
#define TURNS_MAX 100000
#define LINES_MAX 60

struct seat {
	struct bufferevent *far; /* the client's end; NULL: it has gone */
	unsigned asked, answered;
	bool events;
};

struct setting {
	struct control_peers *peers;
	struct daemon d;
	struct device device[2], *devices[2]; /* the shared one, and one that is missing */
	struct seat seat[CLIENTS];
	unsigned at; /* the seat that writes now */
};

static struct setting *setting;

/* ---- the functions of the daemon that control.c, status.c and fault.c call ---- */

nsec_t daemon_now(void)
{
	return control_peers_now(setting->peers);
}

void daemon_turn(struct daemon *d)
{
	tunnel_turn(d->tunnel, daemon_now());
	hold(tunnel_check(d->tunnel) == NULL);
}

/* The client whose command runs may change. */
static void check_right(const struct daemon *d)
{
	const struct client *c;

	LIST_FOREACH (c, &d->control->clients, link) {
		if (c->served == d->control->served)
			hold(c->right == RIGHT_CHANGE);
	}
}

/* Every other reload fails. */
bool daemon_reload(struct daemon *d)
{
	check_right(d);
	if ((d->reloads + d->reload_failures) % 2) {
		d->reload_failures++;
		snprintf(d->reload_error, sizeof(d->reload_error), "mendip.conf:1: unknown option");
		return false;
	}
	d->reloads++;
	d->reload_error[0] = '\0';
	control_peers_configure(setting->peers, conf_conn_same);
	daemon_turn(d);
	return true;
}

const char *tun_offloads(const struct tun *t, char *s, size_t size)
{
	(void)t;
	snprintf(s, size, "none");
	return s;
}

#ifdef MENDIP_FAULTS
static int send_nothing(struct daemon *d, const struct endpoint *local,
			const struct endpoint *remote, const uint8_t *p, size_t len)
{
	(void)d, (void)local, (void)remote, (void)p, (void)len;
	return 0;
}
#endif

static void on_event(void *ctx, enum tunnel_event_kind kind, const char *conn, const char *child,
		     const char *text)
{
	struct setting *r = ctx;

	control_event(r->d.control, kind, conn, child, text);
}

static void on_log(void *ctx, enum log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	for (; *line; line++)
		hold((unsigned char)*line >= 0x20 && *line != 0x7f);
}

/* ---- the daemon and its clients ---- */

static void client_of(struct control *control, struct bufferevent *near, enum right right)
{
	struct client *c = xzalloc(sizeof(*c));

	c->control = control;
	c->bev = near;
	c->right = right;
	bufferevent_setcb(c->bev, on_read, on_write, on_client_event, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	LIST_INSERT_HEAD(&control->clients, c, link);
	control->count++;
}

static void sit_down(struct setting *r, struct seat *s)
{
	struct bufferevent *pair[2];

	*s = (struct seat){0};
	hold(bufferevent_pair_new(r->d.base, BEV_OPT_DEFER_CALLBACKS, pair) == 0);
	s->far = pair[1];
	bufferevent_enable(s->far, EV_READ | EV_WRITE);
	/* The second client may only view. */
	client_of(r->d.control, pair[0], s == &r->seat[0] ? RIGHT_CHANGE : RIGHT_VIEW);
}

static struct control *control_without_socket(struct daemon *d)
{
	struct control *c = xzalloc(sizeof(*c));

	c->daemon = d;
	LIST_INIT(&c->clients);
	c->reaper = event_new(d->base, -1, 0, on_reap, c);
	c->pump = evtimer_new(d->base, on_pump, c);
	event_priority_set(c->reaper, PRIORITY_CONTROL);
	event_priority_set(c->pump, PRIORITY_DATA);
	return c;
}

static struct setting *room_new(uint8_t b)
{
	struct setting *r = xzalloc(sizeof(*r));

	setting = r;
	r->peers = control_peers_new(1 + (b & 3), b & 4, b & 8, b & 16, on_event, r);
	r->d.tunnel = control_peers_tunnel(r->peers);
	r->d.config = xzalloc(sizeof(*r->d.config));
	conf_defaults(r->d.config);
	for (unsigned i = 0; i < 2; i++) {
		r->device[i] = (struct device){.wanted = true, .tun = {.name = "any \"name\""}};
		r->devices[i] = &r->device[i];
	}
	r->d.devices = (struct devices){.all = r->devices, .count = 2};
	log_init(&r->d.log, LOG_LEVEL_DEBUG, on_log, r);
	r->d.started = control_peers_now(r->peers);
	r->d.base = event_base_new();
	hold(event_base_priority_init(r->d.base, PRIORITIES) == 0);
#ifdef MENDIP_FAULTS
	fault_init(&r->d, send_nothing);
#endif
	r->d.control = control_without_socket(&r->d);
	for (unsigned i = 0; i < CLIENTS; i++)
		sit_down(r, &r->seat[i]);
	return r;
}

static void room_free(struct setting *r)
{
	struct control *c = r->d.control;
	struct client *cl;

	r->d.control = NULL;
	while ((cl = LIST_FIRST(&c->clients)))
		client_free(cl);
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (r->seat[i].far)
			bufferevent_free(r->seat[i].far);
	}
	event_free(c->reaper);
	event_free(c->pump);
	free(c);
#ifdef MENDIP_FAULTS
	fault_fini(&r->d);
#endif
	event_base_free(r->d.base);
	conf_free(r->d.config);
	control_peers_free(r->peers);
	free(r);
	setting = NULL;
}

/* ---- answers ---- */

/* One printable line. */
static void check_text(const json_t *text)
{
	const char *s = json_string_value(text);

	hold(s && *s);
	for (; *s; s++)
		hold((unsigned char)*s >= 0x20 && *s != 0x7f);
}

static void check_result(const json_t *result)
{
	const char *text = json_string_value(json_object_get(result, "text"));

	hold(json_is_object(result));
	/* Metrics are complete. */
	hold(!text || (strlen(text) > 6 && strcmp(text + strlen(text) - 6, "# EOF\n") == 0));
}

static void check_answer(struct seat *s, const char *line, size_t len)
{
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL), *event;
	const json_t *ok = json_object_get(o, "ok");

	hold(len <= BACKLOG_MAX && o);
	for (size_t i = 0; i < len; i++)
		hold(line[i] >= 0x20 && line[i] < 0x7f);
	event = json_object_get(o, "event");
	if (event) {
		hold(s->events && json_object_size(o) == 1);
		check_text(json_object_get(event, "kind"));
		check_text(json_object_get(event, "text"));
	} else if (json_is_true(ok)) {
		s->answered++;
		hold(json_object_size(o) == 2);
		check_result(json_object_get(o, "result"));
	} else {
		s->answered++;
		hold(json_is_false(ok) && json_object_size(o) == 2);
		check_text(json_object_get(o, "error"));
		/* There is always enough memory. */
		hold(strcmp(json_string_value(json_object_get(o, "error")),
			    "no memory for the answer") != 0);
	}
	json_decref(o);
}

static void read_answers(struct seat *s)
{
	size_t len;
	char *line;

	while (s->far &&
	       (line = evbuffer_readln(bufferevent_get_input(s->far), &len, EVBUFFER_EOL_LF))) {
		check_answer(s, line, len);
		free(line);
	}
}

/* Runs until neither side has anything to do. */
static void run_loop(struct setting *r)
{
	unsigned quiet = 0, turns = 0;

	while (quiet < 2) {
		unsigned before = r->seat[0].answered + r->seat[1].answered;

		hold(++turns < TURNS_MAX);
		event_base_loop(r->d.base, EVLOOP_NONBLOCK);
		for (unsigned i = 0; i < CLIENTS; i++)
			read_answers(&r->seat[i]);
		quiet = before == r->seat[0].answered + r->seat[1].answered ? quiet + 1 : 0;
	}
}

/* ---- the input ---- */

/*
 * Counts the request; a seat that sends "events" may get events. The line is parsed as by
 * control.c.
 */
static void note_request(struct seat *s, const char *line, size_t len)
{
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const char *name = json_string_value(json_object_get(o, "command"));

	s->asked++;
	s->events |= name && strcmp(name, "events") == 0;
	json_decref(o);
}

/*
 * %2: the other client writes; %t: 100 ms pass; %T: 5 s pass; %x: the client goes, another one
 * comes.
 */
static void run_own(struct setting *r, char what)
{
	struct seat *s = &r->seat[r->at];

	switch (what) {
	case '2': r->at = !r->at; break;
	case 't': control_peers_run(r->peers, 100 * NSEC_PER_MSEC); break;
	case 'T': control_peers_run(r->peers, 5 * NSEC_PER_SEC); break;
	case 'x':
		run_loop(r);
		bufferevent_free(s->far);
		s->far = NULL;
		run_loop(r);
		sit_down(r, s);
		break;
	}
}

static void run_line(struct setting *r, const char *line, size_t len)
{
	struct seat *s = &r->seat[r->at];

	if (len >= 2 && line[0] == '%') {
		run_own(r, line[1]);
		return;
	}
	bufferevent_write(s->far, line, len);
	bufferevent_write(s->far, "\n", 1);
	note_request(s, line, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data + 1, *end = (const char *)data + size;
	struct setting *r;

	if (size < 1 || size > LINE_MAX_LEN)
		return 0;
	r = room_new(data[0]);
	for (unsigned lines = 0; p < end && lines < LINES_MAX; lines++) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		size_t len = (size_t)((eol ? eol : end) - p);

		run_line(r, p, len);
		p += len + 1;
	}
	run_loop(r);
	control_peers_run(r->peers, NSEC_PER_SEC);
	run_loop(r);
	/* Each line was answered. */
	for (unsigned i = 0; i < CLIENTS; i++)
		hold(r->seat[i].asked == r->seat[i].answered);
	room_free(r);
	return 0;
}
