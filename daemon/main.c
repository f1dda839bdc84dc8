/* main.c - mendipd: start, loop, end; see mendipd(8). SPDX-License-Identifier: ISC */
#include "assigned.h"
#include "config_access.h"
#include "control.h"
#include "daemon.h"
#include "exit_status.h"
#include "expiry.h"
#include "fault.h"
#include "metrics_http.h"
#include "resolved.h"
#include "xalloc.h"

#include <getopt.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#define CLOSE_LIMIT  (2 * NSEC_PER_SEC)
#define HANDING_LOOK (5 * NSEC_PER_MSEC)

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif
/* What the unit uses: ExecStart= and User= in etc/mendipd.service.in. */
#define UNIT_CONFIG SYSCONFDIR "/mendip/mendip.conf"
#define UNIT_USER   "mendip"

static void log_sink(void *ctx, enum log_level level, const char *line)
{
	struct daemon *d = ctx;

	sink_line(&d->sink, level, line);
}

/* ---- operations for the tunnel (struct tunnel_ops) ---- */

static int op_send(void *ctx, const struct endpoint *local, const struct endpoint *remote,
		   const uint8_t *p, size_t len)
{
	return data_send_ike(ctx, local, remote, p, len);
}

static int64_t op_wall_clock(void *ctx)
{
	(void)ctx;
	return (int64_t)time(NULL);
}

static void op_dummy(void *ctx, struct esp_sa *sa)
{
	data_send_dummy(ctx, sa);
}

static uint16_t op_device(void *ctx, const char *name)
{
	return device_index(ctx, name);
}

static void op_route(void *ctx, uint16_t device, const struct ts_list *local,
		     const struct ts_list *remote, bool add)
{
	struct daemon *d = ctx;

	device_use(d, device, add);
	if (device == 0) /* routes to other devices are left to other programs */
		net_route(d->net, local, remote, add);
}

static bool op_source(void *ctx, const struct addr *remote, struct addr *ret)
{
	(void)ctx;
	return udp_source(remote, ret);
}

static void op_ike_keys(void *ctx, const struct ike_sa *sa, const struct ike_keys *keys)
{
	struct daemon *d = ctx;

	key_log_ike(&d->key_log, sa, keys, &d->log);
}

static void op_child_keys(void *ctx, const struct tunnel_sa *s)
{
	struct daemon *d = ctx;

	key_log_child(&d->key_log, s, &d->log);
}

static void op_config(void *ctx, const struct conn_conf *conf, uint16_t device,
		      const struct cp_config *config, bool add)
{
	assigned_change(ctx, conf, device, config, add);
}

static void op_event(void *ctx, enum tunnel_event_kind kind, const struct tunnel_conn *conn,
		     const struct tunnel_child *child, const char *text)
{
	struct daemon *d = ctx;

	if (kind == TUNNEL_EVENT_CHILD && child && !LIST_EMPTY(&child->sas)) {
		const struct esp_sa *sa = tunnel_sa_esp(LIST_FIRST(&child->sas));

		if (sa && sa->out.key && sa->out.mtu == 0)
			mtu_look(d, &sa->out.dest.local, &sa->out.dest.remote);
	}
	/* It failed or ended: its host name may have another address now. */
	if (kind == TUNNEL_EVENT_CONN && conn->conf->names && !conn->sa)
		resolver_soon(d->resolver);
	control_event(d->control, kind, conn->conf->name, child ? child->conf->name : NULL, text);
}

/* ---- the loop ---- */

static void turn(struct daemon *d)
{
	nsec_t now = daemon_now(), next;

	if (d->handed)
		return;
	data_late(d, now);
	tunnel_turn(d->tunnel, now);
	host_settle(d);
	assigned_settle(d);
	devices_settle(d);
	resolved_settle(d->resolved);
	if (d->handing_since && !d->closing_since) {
		d->handed = handover_try(d, now);
		if (d->handed)
			event_base_loopbreak(d->base);
		/* If it failed, daemon_close has called daemon_turn already. */
		if (d->handed || d->closing_since)
			return;
	}
	if (d->closing_since &&
	    (tunnel_close(d->tunnel, now) || now - d->closing_since >= CLOSE_LIMIT))
		event_base_loopbreak(d->base);
	next = tunnel_next_deadline(d->tunnel);
	if (d->closing_since)
		next = min_u64(next, d->closing_since + CLOSE_LIMIT);
	else if (d->handing_since)
		next = min_u64(next, now + HANDING_LOOK);
	alarm_set(&d->alarm, next);
}

static void on_alarm(void *ctx)
{
	daemon_turn(ctx);
}

static void on_watchdog(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
	sd_notify(0, "WATCHDOG=1");
}

/* If the next process could not start, the peers would not be told of the end. */
static bool next_can_start(struct daemon *d)
{
	char err[CONFIG_ERR] = "";
	struct config *next = conf_load(d->config_path, err, NULL);

	if (!next)
		log_error(&d->log, "the configuration cannot be loaded, so the tunnels end: %s",
			  err);
	conf_free(next);
	return next != NULL;
}

static void hand_over(struct daemon *d)
{
	if (d->closing_since || d->handing_since)
		return;
	if (!next_can_start(d)) {
		daemon_close(d);
		return;
	}
	sd_notify(0, "STOPPING=1");
	log_info(&d->log, "ending for a restart: the tunnels stay up");
	d->handing_since = daemon_now();
	ike_hold(d->tunnel->ike);
	daemon_turn(d);
}

static void close_down(struct daemon *d)
{
	if (d->closing_since)
		return;
	sd_notify(0, "STOPPING=1");
	log_info(&d->log, "ending: telling the peers");
	d->closing_since = daemon_now();
	tunnel_close(d->tunnel, d->closing_since);
	daemon_turn(d);
}

/* Keeps the options that take effect only at a start, and logs those that have changed. */
static void keep_fixed(struct daemon *d, struct config *new)
{
	char names[256];

	conf_keep_fixed(d->config, new, names, sizeof(names));
	if (*names)
		log_warn(&d->log, "reload: these options take effect only after a restart: %s",
			 names);
}

static void say_in_log(void *ctx, const char *place, const char *text)
{
	struct log *log = ctx;

	log_warn(log, "%s: %s", place, text);
}

static bool open_ports(struct daemon *d, const struct config *c)
{
	int r = data_open_ports(d, &c->conns);

	if (r < 0)
		snprintf(d->reload_error, sizeof(d->reload_error),
			 "a local_port cannot be opened: %s", strerror(-r));
	return r == 0;
}

/* A line of expiry_look. */
static void warn_of_end(void *ctx, const struct ident *peer, const char *line)
{
	struct daemon *d = ctx;

	if (peer)
		log_limited(&d->log, ike_peer_lines(d->tunnel->ike, peer), daemon_now(),
			    LOG_LEVEL_WARNING, "%s", line);
	else
		log_warn(&d->log, "%s", line);
}

static void look_for_ends(struct daemon *d)
{
	expiry_look(d->config->conns.creds, d->tunnel->ike, op_wall_clock(d), warn_of_end, d);
}

static void on_expiry_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	look_for_ends(ctx);
}

/* The new configuration with the fixed options of the present one. NULL with d->reload_error. */
static struct config *load_again(struct daemon *d)
{
	struct config *c = conf_load(d->config_path, d->reload_error, NULL);

	if (!c)
		return NULL;
	keep_fixed(d, c);
	/* The shared device keeps its name, which a child may use in the new configuration. */
	if (conf_check_devices(c, d->reload_error) == 0 && open_ports(d, c))
		return c;
	conf_free(c);
	return NULL;
}

static bool reload(struct daemon *d)
{
	nsec_t now = daemon_now();
	struct config *new;

	/* systemd's protocol for Type=notify-reload; harmless where nobody listens. */
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
		   (unsigned long long)(now / NSEC_PER_USEC));
	new = load_again(d);
	if (!new) {
		d->reload_failures++;
		log_error(&d->log, "reload: nothing changed: %s", d->reload_error);
		sd_notify(0, "READY=1");
		return false;
	}
	ike_set_settings(d->tunnel->ike, &new->ike);
	data_hear_raw(d, &new->conns);
	devices_make(d, new);
	tunnel_configure(d->tunnel, &new->conns, conf_conn_same, now);
	devices_prune(d);
	history_budget_set(&d->tunnel->path->sad.history, new->history_memory);
	conf_warn(new, say_in_log, &d->log);
	d->log.level = new->log;
	conf_free(d->config);
	d->config = new;
	d->reloads++;
	d->reload_error[0] = '\0';
	look_for_ends(d);
	resolver_refresh(d->resolver);
	log_info(&d->log, "reload: %u connections", new->conns.count);
	daemon_turn(d);
	sd_notify(0, "READY=1");
	return true;
}

/* SIGTERM or SIGINT during a handover ends it: the tunnels end. */
static void on_signal(evutil_socket_t sig, short what, void *ctx)
{
	struct daemon *d = ctx;

	(void)what;
	if (sig == SIGHUP)
		daemon_reload(d);
	else if (sig == SIGUSR2 || (sig == SIGTERM && !d->handing_since && !d->closing_since &&
				    handover_is_restart(d)))
		hand_over(d);
	else
		daemon_close(d);
}

/* ---- start and end, in order ---- */

static int start_loop(struct daemon *d)
{
	static const int sigs[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR2};
	struct event_config *cfg = event_config_new();
	uint64_t watchdog;
	int r;

	signal(SIGPIPE, SIG_IGN);
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NO_CACHE_TIME);
	d->base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	if (!d->base || event_base_priority_init(d->base, PRIORITIES) < 0)
		return -ENOMEM;
	r = alarm_init(&d->alarm, d->base, PRIORITY_CONTROL, on_alarm, d);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++) {
		d->signals[i] = evsignal_new(d->base, sigs[i], on_signal, d);
		event_priority_set(d->signals[i], PRIORITY_CONTROL);
		event_add(d->signals[i], NULL);
	}
	d->expiry_timer = event_new(d->base, -1, EV_PERSIST, on_expiry_timer, d);
	event_priority_set(d->expiry_timer, PRIORITY_CONTROL);
	event_add(d->expiry_timer, &(struct timeval){.tv_sec = 86400});
	if (sd_watchdog_enabled(0, &watchdog) > 0) {
		struct timeval tv = {.tv_sec = (time_t)(watchdog / 2 / 1000000),
				     .tv_usec = (suseconds_t)(watchdog / 2 % 1000000)};

		d->watchdog = event_new(d->base, -1, EV_PERSIST, on_watchdog, d);
		event_priority_set(d->watchdog, PRIORITY_CONTROL);
		event_add(d->watchdog, &tv);
	}
	return 0;
}

/* Starts the data path: devices, sockets and MTU. */
static int start_data(struct daemon *d)
{
	const struct config *c = d->config;
	char offloads[64];
	int r = devices_init(d);

	if (r < 0)
		return r;
	d->udp_offloads = offload_decide(&c->fixed.offload, &d->segment_why);
	if (d->segment_why)
		log_warn(&d->log, "UDP_SEGMENT is not used: %s", d->segment_why);
	/* Ports before routes: if another daemon has the ports, its routes stay untouched. */
	r = data_init(d);
	if (r == 0)
		r = data_open_ports(d, &c->conns);
	if (r == 0)
		data_hear_raw(d, &c->conns);
	if (r == 0)
		r = mtu_init(d);
	if (r < 0)
		return r;
	log_info(&d->log, "offloads of %s: %s; of UDP:%s%s; cryptography: %s", c->fixed.tun,
		 tun_offloads(&d->devices.all[0]->tun, offloads, sizeof(offloads)),
		 d->udp[UDP_ESP].segment ? " segment" : "",
		 d->udp[UDP_ESP].group_receive ? " gro" : "", aead_in_use());
	return 0;
}

/* Before privileges are dropped: the folder may be root's alone. */
static int start_key_log(struct daemon *d)
{
	const char *folder = d->config->fixed.key_log;
	char err[256];
	int r;

	if (!folder)
		return 0;
	r = key_log_open(&d->key_log, folder, d->config->fixed.user, err, sizeof(err));
	if (r < 0)
		log_error(&d->log, "%s", err);
	else
		log_warn(&d->log,
			 "key_log: keys are written to %s: whoever reads them reads the traffic; "
			 "remove "
			 "the option when you are done",
			 folder);
	return r;
}

static int start(struct daemon *d)
{
	const struct tunnel_ops ops = {.ctx = d,
				       .send = op_send,
				       .wall_clock = op_wall_clock,
				       .dummy = op_dummy,
				       .device = op_device,
				       .route = op_route,
				       .config = op_config,
				       .source = op_source,
				       .event = op_event,
				       .ike_keys = op_ike_keys,
				       .child_keys = op_child_keys};
	const struct config *c = d->config;
	char err[256];
	int r = start_loop(d);

	if (r < 0)
		return r;
	r = aead_init(c->fixed.crypto, err, sizeof(err));
	if (*err)
		log_error(&d->log, "crypto_backend: %s", err);
	if (r < 0)
		return r;
	d->tunnel = tunnel_new(&ops, &c->ike, c->history_memory, &rng_system, &d->log);
	r = start_data(d);
	if (r == 0)
		r = host_init(d);
	if (r == 0)
		r = start_key_log(d);
	if (r < 0)
		return r;
	r = privileges_drop(&c->fixed, err, sizeof(err));
	if (r < 0) {
		log_error(&d->log, "%s", err);
		return r;
	}
	r = control_new(d, &d->control);
	if (r < 0)
		return r;
	d->metrics_http = metrics_http_new(d);
	d->resolver = resolver_new(d);
	d->resolved = resolved_new(d->base, PRIORITY_DATA, &d->log);
	d->started = daemon_now();
	d->started_at = op_wall_clock(d);
	conf_warn(c, say_in_log, &d->log);
	if (geteuid() == 0)
		log_warn(&d->log, "running as root: set daemon.user to run as another user");
	devices_make(d, d->config);
	handover_load(d);
	kept_free(d->kept);
	d->kept = NULL;
	tunnel_configure(d->tunnel, &c->conns, conf_conn_same, d->started);
	host_settle(d); /* before the sweep, which needs the throw routes */
	net_sweep(d->net);
	assigned_take_back(d);
	resolver_refresh(d->resolver);
	look_for_ends(d);
	return 0;
}

/* failed: the start failed; routes and rules, which block, stay for the next start. */
static void stop(struct daemon *d, bool failed)
{
	resolver_free(d->resolver);
	d->resolver = NULL; /* connections that end below must not use it */
	kept_free(d->kept);
	if (d->net && failed)
		net_leave(d->net);
	tunnel_free(d->tunnel);
	assigned_free(d, !failed && !d->handed);
	aead_fini();
	control_free(d->control);
	metrics_http_free(d->metrics_http);
	data_fini(d);
	host_fini(d);
	devices_fini(d);
	mtu_fini(d);
	for (size_t i = 0; i < ARRAY_SIZE(d->signals); i++) {
		if (d->signals[i])
			event_free(d->signals[i]);
	}
	if (d->watchdog)
		event_free(d->watchdog);
	if (d->expiry_timer)
		event_free(d->expiry_timer);
	alarm_fini(&d->alarm);
	if (d->base)
		event_base_free(d->base);
	key_log_close(&d->key_log);
	conf_free(d->config);
}

static void say_on_stderr(void *ctx, const char *place, const char *text)
{
	unsigned *count = ctx;

	fprintf(stderr, "mendipd: %s: warning: %s\n", place, text);
	++*count;
}

static void say_error(void *ctx, const char *line)
{
	(void)ctx;
	fprintf(stderr, "mendipd: %s\n", line);
}

/*
 * Root reads all files, also those that the daemon's user cannot read. user: the option --user, or
 * NULL: then it is that of the configuration or, for the configuration of the unit, the unit's, if
 * it exists.
 */
static bool user_can_read(const struct config *c, const char *path, const char *user)
{
	const char *name = user ? user : c->fixed.user;
	const struct passwd *pw;

	if (geteuid() != 0)
		return true;
	if (!name && strcmp(path, UNIT_CONFIG) == 0 && getpwnam(UNIT_USER))
		name = UNIT_USER;
	if (!name)
		return true;
	pw = getpwnam(name);
	if (!pw)
		fprintf(stderr, "mendipd: %s: there is no user \"%s\"\n", path, name);
	return pw && (pw->pw_uid == 0 || conf_can_read(c, pw, say_error, NULL));
}

/* dump: print the options in effect instead of a summary. user: as for user_can_read. */
static int check(const char *path, bool dump, const char *user)
{
	char err[CONFIG_ERR] = "", *text;
	bool failed = false, readable = true;
	unsigned warnings = 0;
	struct config *c = conf_load(path, err, NULL);

	if (!c) {
		fprintf(stderr, "mendipd: %s\n", err);
		return 1;
	}
	if (dump) {
		text = conf_dump(c);
		fputs(text, stdout);
		free(text);
		failed = fflush(stdout) != 0 || ferror(stdout);
	} else {
		conf_warn(c, say_on_stderr, &warnings);
		readable = user_can_read(c, path, user);
		if (readable && warnings)
			printf("%s: %u connections, no errors, %u warnings\n", path, c->conns.count,
			       warnings);
		else if (readable)
			printf("%s: %u connections, no errors\n", path, c->conns.count);
	}
	conf_free(c);
	if (failed)
		fprintf(stderr, "mendipd: standard output: %s\n", strerror(errno));
	return failed || !readable;
}

static void usage(FILE *f)
{
	fputs("usage: mendipd [-c FILE] [-f] [--check [--user NAME] | --dump-config]\n"
	      "  -c, --config FILE  configuration (" UNIT_CONFIG ")\n"
	      "      --user NAME    with --check as root: the user that is to read the files\n"
	      "  -f, --foreground   stay in the foreground; always so, kept for scripts\n"
	      "      --check        check the configuration and end: 0 good, 1 bad\n"
	      "      --dump-config  print all options with their values, but no secrets, and end\n"
	      "  -V, --version\n"
	      "  -h, --help         see mendipd(8) and mendip.conf(5)\n",
	      f);
}

/* The last line of the log. error: -errno of the start; 0 if the line before it says it all. */
static void say_not_started(struct daemon *d, enum exit_status status, int error)
{
	log_error(&d->log, "not started (exit status %d%s%s): %s", (int)status, error ? ", " : "",
		  error ? strerror(-error) : "",
		  exit_status_may_pass(status) ? "that may pass: another start can succeed"
					       : "mend that, then start mendipd again");
}

/* False: it cannot be loaded, and the log says why. */
static bool load_first(struct daemon *d, enum exit_status *ret_status)
{
	char err[CONFIG_ERR] = "";
	bool may_pass;

	d->config = conf_load(d->config_path, err, &may_pass);
	if (d->config) {
		d->log.level = d->config->log;
		return true;
	}
	log_error(&d->log, "%s", err);
	*ret_status = may_pass ? EXIT_FAILED : EXIT_CONFIG;
	say_not_started(d, *ret_status, 0);
	return false;
}

static int run(const char *path)
{
	static const struct daemon_services services = {turn, reload, close_down};
	struct daemon *d = xzalloc(sizeof(*d));
	enum exit_status status = EXIT_DONE;
	int r;

	d->services = &services;
	d->config_path = path;
	key_log_init(&d->key_log);
	sink_init(&d->sink, STDERR_FILENO);
	d->kept = kept_take();
	log_init(&d->log, LOG_LEVEL_ERROR, log_sink, d); /* until the file says what is logged */
	if (!load_first(d, &status)) {
		kept_free(d->kept);
		free(d);
		return (int)status;
	}
	bucket_init(&d->send_lines.bucket, 1, 5);
#ifdef MENDIP_FAULTS
	fault_init(d, data_send_now);
#endif
	r = start(d);
	if (r == 0) {
		log_info(&d->log,
			 "mendipd " PACKAGE_VERSION " ready: %u connections, TUN device %s",
			 d->config->conns.count, d->config->fixed.tun);
		sd_notify(0, "READY=1");
		daemon_turn(d);
		event_base_dispatch(d->base);
		log_info(&d->log, "ended");
		/* After a handover the tunnels that are freed now have not ended: log nothing about
		 * them. */
		if (d->handed)
			d->log.level = LOG_LEVEL_ERROR;
	} else {
		status = exit_status_of_start(r);
		say_not_started(d, status, r);
	}
#ifdef MENDIP_FAULTS
	fault_fini(d);
#endif
	stop(d, r < 0);
	free(d);
	return (int)status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'}, {"foreground", no_argument, NULL, 'f'},
		{"check", no_argument, NULL, 'C'},	  {"dump-config", no_argument, NULL, 'D'},
		{"user", required_argument, NULL, 'u'},	  {"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},	  {NULL, 0, NULL, 0}};
	const char *path = UNIT_CONFIG, *user = NULL;
	bool only_check = false, dump = false;
	int o;

	while ((o = getopt_long(argc, argv, "c:fVh", options, NULL)) != -1) {
		switch (o) {
		case 'c': path = optarg; break;
		case 'f': break;
		case 'C': only_check = true; break;
		case 'D': dump = true; break;
		case 'u': user = optarg; break;
		case 'V': puts("mendipd " PACKAGE_VERSION); return 0;
		case 'h': usage(stdout); return 0;
		default: usage(stderr); return EXIT_USAGE;
		}
	}
	if (optind != argc || (user && !only_check)) {
		usage(stderr);
		return EXIT_USAGE;
	}
	return only_check || dump ? check(path, dump, user) : run(path);
}
