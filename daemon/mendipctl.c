/* mendipctl.c - the control tool; see mendipctl(8). SPDX-License-Identifier: ISC */
#include "advise.h"
#include "ctl_wait.h"
#include "config.h"
#include "options.h"
#include "show.h"
#include "xalloc.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_DONE, EXIT_FAILED, EXIT_USAGE };

struct ctl {
	const char *socket;
	bool json;
	FILE *in, *out;
};

static const char usage_text[] =
	"usage: mendipctl [-s SOCKET] [--json] COMMAND\n"
	"  status [CHILD]              connections, SAs and counters\n"
	"  diagnose NAME               how far a connection or child comes, and what is wrong\n"
	"  up NAME | down NAME | rekey NAME [--timeout TIME] [--no-wait]\n"
	"                              a child, or all of a connection; waits until it is done\n"
	"  switchover [CHILD]          detector, gate, options and last recoveries\n"
	"  switchover set CHILD OPTION=VALUE ...\n"
	"  switchover reset CHILD      end back-off and quiet; ask again for what is confirmed\n"
	"  watch                       a live view, once a second, until interrupted\n"
	"  events                      what happens, as it happens, until interrupted\n"
	"  metrics                     OpenMetrics text\n"
	"  reload | log LEVEL | version\n"
	"  advise --sync-interval TIME --rate PPS [--tunnels N]\n"
	"                              what a switchover costs, and which options fit; needs no "
	"daemon\n";

static int usage(void)
{
	fputs(usage_text, stderr);
	return EXIT_USAGE;
}

static int open_socket(struct ctl *c)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(c->socket) >= sizeof(sun.sun_path)) {
		fprintf(stderr, "mendipctl: %s: not a usable socket path\n", c->socket);
		return -1;
	}
	strcpy(sun.sun_path, c->socket);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		fprintf(stderr, "mendipctl: %s: %s%s\n", c->socket, strerror(errno),
			errno == ENOENT || errno == ECONNREFUSED ? ": is mendipd running?"
			: errno == EACCES ? ": run as root, or as a member of its group"
					  : "");
		close(fd);
		return -1;
	}
	c->in = fdopen(fd, "r");
	c->out = fdopen(dup(fd), "w");
	return c->in && c->out ? 0 : -1;
}

static json_t *read_line(struct ctl *c)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t n = getline(&line, &size, c->in);
	json_t *o = n > 0 ? json_loadb(line, (size_t)n, 0, NULL) : NULL;

	free(line);
	return o;
}

/* The result of a command, or NULL with one line on stderr. */
static json_t *ask(struct ctl *c, const char *name, char **argv, int argc)
{
	json_t *args = json_array(), *request, *answer, *result = NULL;

	for (int i = 0; i < argc; i++) {
		json_t *a = json_string(argv[i]); /* NULL if it is not UTF-8 */

		json_array_append_new(args, a ? a : json_null());
	}
	request = json_pack("{s:s,s:o}", "command", name, "args", args);
	json_dumpf(request, c->out, JSON_COMPACT);
	json_decref(request);
	fputc('\n', c->out);
	fflush(c->out);
	answer = read_line(c);
	if (!answer)
		fprintf(stderr, "mendipctl: the daemon closed the connection\n");
	else if (!json_is_true(json_object_get(answer, "ok")))
		fprintf(stderr, "mendipctl: %s\n",
			json_string_value(json_object_get(answer, "error")));
	else
		result = json_incref(json_object_get(answer, "result"));
	json_decref(answer);
	return result;
}

static void print_json(const json_t *o)
{
	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
}

static void print_result(const struct ctl *c, const char *name, const json_t *o)
{
	if (c->json)
		print_json(o);
	else if (strcmp(name, "status") == 0)
		show_status(stdout, o);
	else if (strcmp(name, "diagnose") == 0)
		show_diagnosis(stdout, o);
	else if (strcmp(name, "switchover") == 0)
		show_switchover(stdout, o);
	else if (strcmp(name, "metrics") == 0)
		fputs(json_string_value(json_object_get(o, "text")), stdout);
	else if (strcmp(name, "version") == 0)
		printf("mendipd %s\n", json_string_value(json_object_get(o, "version")));
}

static int simple(struct ctl *c, const char *name, char **argv, int argc)
{
	json_t *o = ask(c, name, argv, argc);
	bool failed;

	if (!o)
		return EXIT_FAILED;
	print_result(c, name, o);
	failed = strcmp(name, "diagnose") == 0 && diagnosis_failed(o);
	json_decref(o);
	return failed ? EXIT_FAILED : EXIT_DONE;
}

#define WAIT_TIME (30 * NSEC_PER_SEC)

static nsec_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (nsec_t)t.tv_sec * NSEC_PER_SEC + (nsec_t)t.tv_nsec;
}

/* Looks until the command has ended, or its time has; returns the last status, owned, or NULL. */
static json_t *watch_outcome(struct ctl *c, const char *command, char **name, const json_t *before,
			     nsec_t timeout, enum outcome *ret)
{
	const struct timespec pause = {.tv_nsec = 100 * NSEC_PER_MSEC};
	nsec_t since = now(), passed;
	json_t *status;

	while (true) {
		passed = now() - since;
		status = ask(c, "status", name, 1);
		if (!status)
			return NULL;
		*ret = look_at_outcome(command, before, status, (double)passed / NSEC_PER_SEC);
		if (*ret != OUTCOME_OPEN || passed >= timeout)
			break;
		json_decref(status);
		nanosleep(&pause, NULL);
	}
	if (c->json)
		print_json(status);
	else
		show_outcome(stdout, command, before, status, (double)passed / NSEC_PER_SEC);
	return status;
}

/* up, down and rekey: returns when it is known how that ended. */
static int run_to_the_end(struct ctl *c, const char *command, char **name, nsec_t timeout)
{
	json_t *before = ask(c, "status", name, 1), *o = before ? ask(c, command, name, 1) : NULL;
	enum outcome end = OUTCOME_OPEN;

	if (o)
		json_decref(watch_outcome(c, command, name, before, timeout, &end));
	json_decref(o);
	json_decref(before);
	return end == OUTCOME_DONE ? EXIT_DONE : EXIT_FAILED;
}

/* NAME [--timeout TIME] [--no-wait], in any order. */
static int run_and_wait(struct ctl *c, int argc, char **argv)
{
	static const struct option options[] = {{"timeout", required_argument, NULL, 't'},
						{"no-wait", no_argument, NULL, 'n'},
						{NULL, 0, NULL, 0}};
	nsec_t timeout = WAIT_TIME;
	bool wait = true;
	int o;

	optind = 0;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'n')
			wait = false;
		else if (o != 't' || parse_time(optarg, &timeout) < 0)
			return usage();
	}
	if (optind != argc - 1)
		return usage();
	if (open_socket(c) < 0)
		return EXIT_FAILED;
	return wait ? run_to_the_end(c, argv[0], argv + optind, timeout)
		    : simple(c, argv[0], argv + optind, 1);
}

static int events(struct ctl *c)
{
	json_t *o = ask(c, "events", NULL, 0);

	if (!o)
		return EXIT_FAILED;
	json_decref(o);
	while ((o = read_line(c))) {
		if (c->json)
			json_dumpf(json_object_get(o, "event"), stdout, JSON_COMPACT);
		else
			show_event(stdout, o);
		if (c->json)
			putchar('\n');
		fflush(stdout);
		json_decref(o);
	}
	fprintf(stderr, "mendipctl: the daemon ended\n");
	return EXIT_FAILED;
}

static int watch(struct ctl *c)
{
	json_t *before = NULL;

	for (;;) {
		json_t *status = ask(c, "status", NULL, 0),
		       *sw = status ? ask(c, "switchover", NULL, 0) : NULL;

		if (!sw) {
			json_decref(status);
			json_decref(before);
			return EXIT_FAILED;
		}
		if (c->json) {
			json_t *both = json_pack("{s:O,s:O}", "status", status, "switchover", sw);

			json_dumpf(both, stdout, JSON_COMPACT);
			putchar('\n');
			json_decref(both);
		} else {
			if (isatty(STDOUT_FILENO))
				fputs("\033[H\033[2J", stdout);
			show_watch(stdout, status, sw, before, 1.0);
		}
		fflush(stdout);
		json_decref(sw);
		json_decref(before);
		before = status;
		sleep(1);
	}
}

static void print_advice(const struct advice_in *in, const struct advice *a)
{
	char sync[32], outage[32], interval[32];

	printf("A switchover with syncs %s apart, %llu packets/s in each of %llu tunnels, without "
	       "recovery:\n"
	       "  packets lost      up to %llu in each tunnel, %llu in all\n"
	       "  outage            %s while traffic keeps its rate; on a tunnel that goes quiet, "
	       "until the next rekey\n"
	       "With detect = \"proof\":\n"
	       "  proof             the first packet with a number that was received before\n"
	       "  packets lost      none: the bridge delivers until the rekey\n"
	       "Options that fit:\n"
	       "  switchover: { detect = \"proof\"; history_packets = \"%llu\"; };\n"
	       "  (for peers whose rewinds the history may not reach: detect = \"both\"; packets = "
	       "%u; interval = \"%s\";)\n"
	       "  daemon: { history_memory = \"%lluM\"; };\n",
	       format_time(in->sync_interval, sync), (unsigned long long)in->rate,
	       (unsigned long long)in->tunnels, (unsigned long long)a->lost_each,
	       (unsigned long long)a->lost_all, format_time(a->outage, outage),
	       (unsigned long long)a->history_packets, a->packets,
	       format_time(a->interval, interval),
	       (unsigned long long)((a->memory_each * in->tunnels * 5 / 4 >> 20) + 1));
}

static json_t *advice_json(const struct advice *a)
{
	return json_pack("{s:I,s:I,s:f,s:I,s:i,s:f,s:I}", "lost_each", (json_int_t)a->lost_each,
			 "lost_all", (json_int_t)a->lost_all, "outage",
			 (double)a->outage / NSEC_PER_SEC, "history_packets",
			 (json_int_t)a->history_packets, "packets", (int)a->packets, "interval",
			 (double)a->interval / NSEC_PER_SEC, "memory_each",
			 (json_int_t)a->memory_each);
}

static int run_advise(const struct ctl *c, int argc, char **argv)
{
	static const struct option options[] = {{"sync-interval", required_argument, NULL, 's'},
						{"rate", required_argument, NULL, 'r'},
						{"tunnels", required_argument, NULL, 't'},
						{NULL, 0, NULL, 0}};
	struct advice_in in = {.tunnels = 1};
	struct advice a;
	json_t *j;
	int o, bad = 0;

	optind = 0;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 's': bad |= parse_time(optarg, &in.sync_interval); break;
		case 'r': bad |= parse_size(optarg, true, &in.rate); break;
		case 't': bad |= parse_size(optarg, true, &in.tunnels); break;
		default: return usage();
		}
	}
	if (bad || optind != argc || !in.sync_interval || !in.rate)
		return usage();
	if (advise(&in, &a) < 0) {
		fprintf(stderr, "mendipctl: more than 2^32 packets in a sync interval, or a value "
				"of zero\n");
		return EXIT_FAILED;
	}
	if (!c->json) {
		print_advice(&in, &a);
		return EXIT_DONE;
	}
	j = advice_json(&a);
	print_json(j);
	json_decref(j);
	return EXIT_DONE;
}

static const struct {
	const char *name;
	int min, max;
} commands[] = {
	{"diagnose", 1, 1}, {"status", 0, 1},  {"switchover", 0, 64}, {"reload", 0, 0},
	{"log", 1, 1},	    {"version", 0, 0}, {"metrics", 0, 0},     {"events", 0, 0},
	{"watch", 0, 0},    {"fault", 1, 8},
};

static int run(struct ctl *c, int argc, char **argv)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, argv[0]) != 0)
			continue;
		if (argc - 1 < commands[i].min || argc - 1 > commands[i].max)
			return usage();
		if (open_socket(c) < 0)
			return EXIT_FAILED;
		if (strcmp(argv[0], "events") == 0)
			return events(c);
		if (strcmp(argv[0], "watch") == 0)
			return watch(c);
		return simple(c, argv[0], argv + 1, argc - 1);
	}
	fprintf(stderr, "mendipctl: unknown command \"%s\"\n", argv[0]);
	return usage();
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"socket", required_argument, NULL, 's'},
						{"json", no_argument, NULL, 'j'},
						{"version", no_argument, NULL, 'V'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	struct ctl c = {.socket = getenv("MENDIP_SOCKET") ? getenv("MENDIP_SOCKET") : CONTROL_PATH};
	int o;

	while ((o = getopt_long(argc, argv, "+s:jVh", options, NULL)) != -1) {
		switch (o) {
		case 's': c.socket = optarg; break;
		case 'j': c.json = true; break;
		case 'V': puts("mendipctl " PACKAGE_VERSION); return EXIT_DONE;
		case 'h': fputs(usage_text, stdout); return EXIT_DONE;
		default: return usage();
		}
	}
	if (optind == argc)
		return usage();
	if (strcmp(argv[optind], "advise") == 0)
		return run_advise(&c, argc - optind, argv + optind);
	if (waits_for(argv[optind]))
		return run_and_wait(&c, argc - optind, argv + optind);
	return run(&c, argc - optind, argv + optind);
}
