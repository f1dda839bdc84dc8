/* mendipctl.c - the control tool; see mendipctl(8). SPDX-License-Identifier: ISC */
#include "advise.h"
#include "config.h"
#include "ctl_bundle.h"
#include "ctl_client.h"
#include "ctl_complete.h"
#include "ctl_import.h"
#include "ctl_metrics.h"
#include "ctl_wait.h"
#include "options.h"
#include "show.h"
#include "show_text.h"
#include "xalloc.h"

#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define WAIT_TIME (30 * NSEC_PER_SEC) /* for the end of up, down and rekey */

enum { EXIT_DONE, EXIT_FAILED, EXIT_USAGE };

/* The command line. */
struct call {
	struct ctl ctl;
	bool json, no_wait, all;
	nsec_t timeout;
	const char *output;
	struct advice_in advice;
	struct metrics_output metrics;
	const struct command *command;
	char **argv; /* its arguments */
	int argc;
};

static void print_command(FILE *f, const struct command *c)
{
	if (c->help) /* fault and complete are in mendipctl(8) alone */
		fprintf(f, "  %s %s\n      %s\n", c->name, c->args, c->help);
}

static int usage_of(const struct command *c)
{
	fprintf(stderr, "usage: mendipctl\n");
	print_command(stderr, c);
	return EXIT_USAGE;
}

/* ---- the commands ---- */

static json_t *ask(struct call *c, const char *command, int argc)
{
	bool gone;
	json_t *o = ctl_ask(&c->ctl, command, c->argv, argc, &gone);

	if (gone)
		fprintf(stderr, "mendipctl: the daemon closed the connection\n");
	return o;
}

static void print_json(const json_t *o)
{
	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
}

static void print_line(const json_t *o)
{
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
}

/* https://no-color.org: not where NO_COLOR has a value. */
static bool wants_colour(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

static void print_status(const struct call *c, const json_t *o)
{
	if (c->all || c->argc > 0)
		show_all(stdout, o);
	else
		show_status(stdout, o, wants_colour());
}

static void print_result(const struct call *c, const json_t *o)
{
	const char *name = c->command->name;

	if (c->json)
		print_json(o);
	else if (strcmp(name, "status") == 0)
		print_status(c, o);
	else if (strcmp(name, "diagnose") == 0)
		show_diagnosis(stdout, o);
	else if (strcmp(name, "switchover") == 0)
		show_switchover(stdout, o);
	else if (strcmp(name, "version") == 0)
		printf("mendipd %s\n", json_string_value(json_object_get(o, "version")));
}

static int ask_and_print(struct call *c)
{
	bool failed;
	json_t *o;

	if (ctl_open(&c->ctl, false) < 0)
		return EXIT_FAILED;
	o = ask(c, c->command->name, c->argc);
	if (!o)
		return EXIT_FAILED;
	print_result(c, o);
	failed = strcmp(c->command->name, "diagnose") == 0 && diagnosis_failed(o);
	json_decref(o);
	return failed ? EXIT_FAILED : EXIT_DONE;
}

/* Behind set and reset there is at least a child. */
static int run_switchover(struct call *c)
{
	bool word = c->argc == 1 &&
		    (strcmp(c->argv[0], "set") == 0 || strcmp(c->argv[0], "reset") == 0);

	return word ? usage_of(c->command) : ask_and_print(c);
}

/* With a file, that has the metrics and not their JSON. */
static int run_metrics(struct call *c)
{
	json_t *o;
	int e = 0;

	if (ctl_open(&c->ctl, false) < 0)
		return EXIT_FAILED;
	o = ask(c, c->command->name, 0);
	if (!o)
		return EXIT_FAILED;
	if (c->json && !c->metrics.path)
		print_json(o);
	else
		e = metrics_write(&c->metrics, json_string_value(json_object_get(o, "text")));
	json_decref(o);
	return e < 0 ? EXIT_FAILED : EXIT_DONE;
}

static nsec_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (nsec_t)t.tv_sec * NSEC_PER_SEC + (nsec_t)t.tv_nsec;
}

/* Looks until the command has ended, or its time has; returns the last status, owned, or NULL. */
static json_t *watch_outcome(struct call *c, const json_t *before, enum outcome *ret)
{
	const struct timespec pause = {.tv_nsec = 100 * NSEC_PER_MSEC};
	const char *command = c->command->name;
	nsec_t since = now(), passed;
	json_t *status;

	while (true) {
		passed = now() - since;
		status = ask(c, "status", 1);
		if (!status)
			return NULL;
		*ret = look_at_outcome(command, before, status, (double)passed / NSEC_PER_SEC);
		if (*ret != OUTCOME_OPEN || passed >= c->timeout)
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
static int run_to_the_end(struct call *c)
{
	enum outcome end = OUTCOME_OPEN;
	json_t *before, *o = NULL;

	if (c->no_wait)
		return ask_and_print(c);
	if (ctl_open(&c->ctl, false) < 0)
		return EXIT_FAILED;
	before = ask(c, "status", 1);
	if (before)
		o = ask(c, c->command->name, 1);
	if (o)
		json_decref(watch_outcome(c, before, &end));
	json_decref(o);
	json_decref(before);
	return end == OUTCOME_DONE ? EXIT_DONE : EXIT_FAILED;
}

/* Whether what was printed has been taken: nobody may read any more. */
static bool is_read(void)
{
	return fflush(stdout) == 0 && !ferror(stdout);
}

/* They go on when the daemon restarts. */
static int run_events(struct call *c)
{
	json_t *o = NULL;
	bool gone = false;

	if (ctl_open(&c->ctl, false) < 0)
		return EXIT_FAILED;
	while (is_read()) {
		json_decref(o);
		o = ctl_ask(&c->ctl, "events", NULL, 0, &gone);
		if (!o && !gone)
			return EXIT_FAILED;
		json_decref(o);
		while (is_read() && (o = ctl_read(&c->ctl))) {
			if (c->json)
				print_line(json_object_get(o, "event"));
			else
				show_event(stdout, o);
			json_decref(o);
		}
		o = NULL;
		if (is_read())
			ctl_wait_for_daemon(&c->ctl);
	}
	return EXIT_DONE;
}

static void print_watch(const struct call *c, json_t *status, json_t *sw, const json_t *before)
{
	json_t *both;

	if (c->json) {
		both = json_pack("{s:O,s:O}", "status", status, "switchover", sw);
		print_line(both);
		json_decref(both);
		return;
	}
	if (isatty(STDOUT_FILENO))
		fputs("\033[H\033[2J", stdout);
	show_watch(stdout, status, sw, before, 1.0);
}

static int run_watch(struct call *c)
{
	json_t *before = NULL, *status, *sw;
	bool gone;

	if (ctl_open(&c->ctl, false) < 0)
		return EXIT_FAILED;
	while (is_read()) {
		status = ctl_ask(&c->ctl, "status", NULL, 0, &gone);
		sw = status ? ctl_ask(&c->ctl, "switchover", NULL, 0, &gone) : NULL;
		if (sw) {
			print_watch(c, status, sw, before);
			json_decref(sw);
			json_decref(before);
			before = status;
			fflush(stdout);
			sleep(1);
			continue;
		}
		json_decref(status);
		if (!gone)
			break;
		/* Rates would be those of two processes. */
		json_decref(before);
		before = NULL;
		ctl_wait_for_daemon(&c->ctl);
	}
	json_decref(before);
	return EXIT_DONE;
}

/* Also of a daemon that does not run: that is then what it says. */
static int run_bundle(struct call *c)
{
	int error = ctl_open(&c->ctl, false);

	ctl_bundle(&c->ctl, error, c->argc ? c->argv[0] : SYSCONFDIR "/mendip/mendip.conf", stdout);
	return EXIT_DONE;
}

/* "TITLE  text", with further lines below the text. The text is freed. */
static void print_item(const char *title, char *text)
{
	printf("  %-16s  ", title);
	show_wrapped(stdout, 20, text);
	free(text);
}

static void print_advice(const struct advice_in *in, const struct advice *a)
{
	char sync[32], outage[32], interval[32];

	show_line(stdout, 0,
		  "A switchover with syncs %s apart, %llu packets/s in each of %llu tunnels, "
		  "without recovery:",
		  format_time(in->sync_interval, sync), (unsigned long long)in->rate,
		  (unsigned long long)in->tunnels);
	print_item("packets lost",
		   xasprintf("up to %llu in each tunnel, %llu in all",
			     (unsigned long long)a->lost_each, (unsigned long long)a->lost_all));
	print_item("outage", xasprintf("%s while traffic keeps its rate; on a tunnel that goes "
				       "quiet, until the next rekey",
				       format_time(a->outage, outage)));
	puts("With detect = \"proof\":\n"
	     "  proof             the first packet with a number that was received before\n"
	     "  packets lost      none: the bridge delivers until the rekey\n"
	     "Options that fit:");
	printf("  switchover: { detect = \"proof\"; history_packets = \"%llu\"; };\n",
	       (unsigned long long)a->history_packets);
	printf("  daemon: { history_memory = \"%lluM\"; };\n",
	       (unsigned long long)((a->memory_each * in->tunnels * 5 / 4 >> 20) + 1));
	puts("In place of detect = \"proof\", for peers whose rewinds the history may not reach:");
	printf("  detect = \"both\"; packets = %u; interval = \"%s\";\n", a->packets,
	       format_time(a->interval, interval));
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

static int run_advise(struct call *c)
{
	struct advice a;
	json_t *j;

	if (!c->advice.sync_interval || !c->advice.rate) {
		fprintf(stderr, "mendipctl: advise needs --sync-interval TIME and --rate PPS\n");
		return EXIT_USAGE;
	}
	if (advise(&c->advice, &a) < 0) {
		fprintf(stderr, "mendipctl: more than 2^32 packets in a sync interval, or a value "
				"of zero\n");
		return EXIT_FAILED;
	}
	if (!c->json) {
		print_advice(&c->advice, &a);
		return EXIT_DONE;
	}
	j = advice_json(&a);
	print_json(j);
	json_decref(j);
	return EXIT_DONE;
}

static int run_import(struct call *c)
{
	return ctl_import(c->argv[0], c->output);
}

/* ---- the command line ---- */

static int run_help(struct call *c);
static int run_complete(struct call *c);

static const struct command commands[] = {
	{"status", 0, 1, "a", ask_and_print, "[NAME] [--all]",
	 "a line for each tunnel; all of a connection or child, or of everything"},
	{"diagnose", 1, 1, "", ask_and_print, "NAME",
	 "how far a connection or child comes, and what is wrong"},
	{"up", 1, 1, "tn", run_to_the_end, "NAME [--timeout TIME] [--no-wait]",
	 "bring up a child, or all of a connection, and keep it up"},
	{"down", 1, 1, "tn", run_to_the_end, "NAME [--timeout TIME] [--no-wait]",
	 "end it; it stays down until up"},
	{"rekey", 1, 1, "tn", run_to_the_end, "NAME [--timeout TIME] [--no-wait]", "rekey it"},
	{"switchover", 0, 64, "", run_switchover,
	 "[CHILD] | set CHILD OPTION=VALUE ... | reset CHILD",
	 "detector, gate, options and last recoveries; tune them; end back-off and quiet"},
	{"watch", 0, 0, "", run_watch, "", "a live view, once a second, until interrupted"},
	{"events", 0, 0, "", run_events, "", "what happens, as it happens, until interrupted"},
	{"metrics", 0, 0, "fo", run_metrics, "[--format FORMAT] [--output FILE]",
	 "all metrics; FORMAT is openmetrics or, for node_exporter, prometheus"},
	{"reload", 0, 0, "", ask_and_print, "", "read the configuration again"},
	{"log", 1, 2, "", ask_and_print, "LEVEL [CONNECTION]",
	 "error, warning, info or debug; debug of one connection, info ends that"},
	{"bundle", 0, 1, "", run_bundle, "[CONFIGURATION]",
	 "all that somebody who helps has to see, without secrets, as one text"},
	{"version", 0, 0, "", ask_and_print, "", "that of the daemon"},
	{"advise", 0, 0, "iru", run_advise, "--sync-interval TIME --rate PPS [--tunnels N]",
	 "what a switchover costs, and which options fit; needs no daemon"},
	{"import", 1, 1, "o", run_import, "FILE [--output FILE]",
	 "make a mendip.conf of strongSwan's swanctl.conf; needs no daemon"},
	{"help", 0, 1, "", run_help, "[COMMAND]", "this, or one command of it"},
	{"fault", 1, 8, "", ask_and_print, NULL, NULL},
	{"complete", 1, 512, "", run_complete, NULL, NULL}, /* for shells: -- WORD ... */
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static void print_usage(FILE *f)
{
	fputs("usage: mendipctl [-s SOCKET] [--json] COMMAND\n"
	      "  -s, --socket SOCKET  the daemon's control socket; without it the one that the "
	      "variable\n"
	      "                       MENDIP_SOCKET names, or " CONTROL_PATH "\n"
	      "  -j, --json           the answer as JSON\n"
	      "  -V, --version        mendipctl's own version\n"
	      "  -h, --help           this\n"
	      "commands:\n",
	      f);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		print_command(f, &commands[i]);
}

static int usage(void)
{
	print_usage(stderr);
	return EXIT_USAGE;
}

static int unknown(const char *name)
{
	fprintf(stderr, "mendipctl: unknown command \"%s\": mendipctl help lists them\n", name);
	return EXIT_USAGE;
}

static int run_help(struct call *c)
{
	const struct command *of = c->argc ? find_command(c->argv[0]) : NULL;

	if (c->argc && !of)
		return unknown(c->argv[0]);
	if (of)
		print_command(stdout, of);
	else
		print_usage(stdout);
	return EXIT_DONE;
}

static const struct option options[] = {{"socket", required_argument, NULL, 's'},
					{"json", no_argument, NULL, 'j'},
					{"version", no_argument, NULL, 'V'},
					{"help", no_argument, NULL, 'h'},
					{"all", no_argument, NULL, 'a'},
					{"timeout", required_argument, NULL, 't'},
					{"no-wait", no_argument, NULL, 'n'},
					{"format", required_argument, NULL, 'f'},
					{"output", required_argument, NULL, 'o'},
					{"sync-interval", required_argument, NULL, 'i'},
					{"rate", required_argument, NULL, 'r'},
					{"tunnels", required_argument, NULL, 'u'},
					{NULL, 0, NULL, 0}};

static int run_complete(struct call *c)
{
	const struct grammar g = {.commands = commands,
				  .count = ARRAY_SIZE(commands),
				  .options = options,
				  .general = "sjVh",
				  .socket = c->ctl.socket};

	complete(stdout, &g, c->argv, c->argc);
	return EXIT_DONE;
}

static const char *option_name(int letter)
{
	const struct option *o = options;

	while (o->name && o->val != letter)
		o++;
	return o->name ? o->name : "";
}

/* Takes the value of an option that only some commands have; false: it is not one. */
static bool take_value(struct call *c, int letter, const char *value)
{
	switch (letter) {
	case 't': return parse_time(value, &c->timeout) == 0;
	case 'f': return metrics_format_parse(value, &c->metrics);
	case 'o': c->output = c->metrics.path = value; return true;
	case 'i': return parse_time(value, &c->advice.sync_interval) == 0;
	case 'r': return parse_size(value, true, &c->advice.rate) == 0;
	case 'u': return parse_size(value, true, &c->advice.tunnels) == 0;
	case 'a': c->all = true; return true;
	default: c->no_wait = true; return true;
	}
}

/*
 * The letters of the options that only some commands have, as they were given, are put into own.
 * False: there is nothing more to do, and *ret_status is that of the process.
 */
static bool read_options(struct call *c, int argc, char **argv, char *own, size_t size,
			 int *ret_status)
{
	size_t count = 0;
	int o;

	*ret_status = EXIT_DONE;
	while ((o = getopt_long(argc, argv, "s:jVh", options, NULL)) != -1) {
		switch (o) {
		case 's': c->ctl.socket = optarg; continue;
		case 'j': c->json = true; continue;
		case 'V': puts("mendipctl " PACKAGE_VERSION); return false;
		case 'h': print_usage(stdout); return false;
		case '?': *ret_status = EXIT_USAGE; return false;
		}
		if (!take_value(c, o, optarg)) {
			fprintf(stderr, "mendipctl: --%s: \"%s\" is not a value for it%s\n",
				option_name(o), optarg,
				o == 'f' ? ": write openmetrics or prometheus" : "");
			*ret_status = EXIT_USAGE;
			return false;
		}
		if (count + 1 < size)
			own[count++] = (char)o;
	}
	own[count] = '\0';
	return true;
}

static int run(struct call *c, const char *own)
{
	const struct command *command = c->command;

	for (; *own; own++) {
		if (strchr(command->options, *own))
			continue;
		fprintf(stderr, "mendipctl: %s has no option --%s\n", command->name,
			option_name(*own));
		return EXIT_USAGE;
	}
	if (c->argc >= command->min && c->argc <= command->max)
		return command->run(c);
	return usage_of(command);
}

int main(int argc, char **argv)
{
	const char *socket = getenv("MENDIP_SOCKET");
	struct call c = {.ctl.socket = socket ? socket : CONTROL_PATH,
			 .timeout = WAIT_TIME,
			 .advice.tunnels = 1};
	char own[16];
	int r;

	if (!read_options(&c, argc, argv, own, sizeof(own), &r))
		return r;
	if (optind == argc)
		return usage();
	c.command = find_command(argv[optind]);
	c.argv = argv + optind + 1;
	c.argc = argc - optind - 1;
	if (!c.command)
		return unknown(argv[optind]);
	signal(SIGPIPE, SIG_IGN); /* the daemon's end, or whoever reads, may go */
	r = run(&c, own);
	if (!is_read() && errno != EPIPE) {
		fprintf(stderr, "mendipctl: cannot write: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	return r;
}
