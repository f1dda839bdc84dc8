/* ctl_bundle.c - see ctl_bundle.h. SPDX-License-Identifier: ISC */
#include "ctl_bundle.h"

#include "base.h"
#include "show.h"
#include "show_text.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECTION_MAX (4u << 20) /* bytes of a program's output; the rest is left out */

extern char **environ;

static void section(FILE *f, const char *title)
{
	fprintf(f, "\n==== %s ====\n", title);
}

/* ---- what the daemon says ---- */

static json_t *ask(struct ctl *c, const char *command, char **argv, int argc)
{
	bool gone;

	return c->in ? ctl_ask(c, command, argv, argc, &gone) : NULL;
}

static void write_json(struct ctl *c, const char *command, FILE *f)
{
	json_t *o = ask(c, command, NULL, 0);

	section(f, command);
	if (o)
		json_dumpf(o, f, JSON_INDENT(1));
	fputs(o ? "\n" : "no answer\n", f);
	json_decref(o);
}

/* Of each connection that the status has; one answer is about all of its peers. */
static void write_diagnoses(struct ctl *c, const json_t *status, FILE *f)
{
	json_t *names = show_names(status), *children;
	const char *key;

	section(f, "diagnose");
	if (!status)
		fputs("no answer\n", f);
	json_object_foreach(names, key, children)
	{
		char *name = (char *)key;
		json_t *o = ask(c, "diagnose", &name, 1);

		if (o)
			show_diagnosis(f, o);
		json_decref(o);
	}
	json_decref(names);
}

static void write_metrics(struct ctl *c, FILE *f)
{
	json_t *o = ask(c, "metrics", NULL, 0);

	section(f, "metrics");
	if (o)
		fputs(json_string_value(json_object_get(o, "text")), f);
	else
		fputs("no answer\n", f);
	json_decref(o);
}

/* ---- what programs say ---- */

static void copy_output(int fd, FILE *f)
{
	char buf[4096];
	size_t sum = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		if (sum < SECTION_MAX)
			fwrite(buf, 1, (size_t)n, f);
		sum += (size_t)n;
	}
	if (sum >= SECTION_MAX)
		fputs("\n[the rest is left out]\n", f);
}

/* Starts it with both of its outputs in the pipe; 0 or an errno. */
static int start(char *const argv[], int to, pid_t *ret)
{
	posix_spawn_file_actions_t a;
	int r;

	posix_spawn_file_actions_init(&a);
	posix_spawn_file_actions_addopen(&a, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&a, to, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&a, to, STDERR_FILENO);
	r = posix_spawnp(ret, argv[0], &a, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&a);
	return r;
}

static void write_program(const char *title, const char *const argv[], FILE *f)
{
	int fds[2], status = 0, r;
	pid_t pid;

	section(f, title);
	fflush(f);
	if (pipe2(fds, O_CLOEXEC) < 0) {
		fprintf(f, "[%s]\n", strerror(errno));
		return;
	}
	r = start((char *const *)argv, fds[1], &pid);
	close(fds[1]);
	if (r == 0) {
		copy_output(fds[0], f);
		waitpid(pid, &status, 0);
	}
	close(fds[0]);
	if (r)
		fprintf(f, "[%s: %s]\n", argv[0], strerror(r));
	else if (status)
		fprintf(f, "[%s: exit status %d]\n", argv[2],
			WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* What hangs must not keep the rest from being written. */
#define PROGRAM(...)                               \
	{                                          \
		"timeout", "10", __VA_ARGS__, NULL \
	}

static const struct {
	const char *title, *argv[12];
} programs[] = {
	{"system", PROGRAM("uname", "-a")},
	{"distribution", PROGRAM("cat", "/etc/os-release")},
	{"service", PROGRAM("systemctl", "status", "--no-pager", "--lines=0", "mendipd")},
	{"links", PROGRAM("ip", "-details", "link")},
	{"addresses", PROGRAM("ip", "address")},
	{"rules", PROGRAM("ip", "rule")},
	{"rules of IPv6", PROGRAM("ip", "-6", "rule")},
	{"routes", PROGRAM("ip", "route", "show", "table", "all")},
	{"routes of IPv6", PROGRAM("ip", "-6", "route", "show", "table", "all")},
	{"sockets", PROGRAM("ss", "--udp", "--all", "--numeric")},
	{"firewall", PROGRAM("nft", "list", "ruleset")},
	{"log", PROGRAM("journalctl", "--no-pager", "--quiet", "--lines=2000", "--output=short-iso",
			"--unit=mendipd")},
};

static void write_head(FILE *f)
{
	time_t now = time(NULL);
	char when[32];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &tm);
	fprintf(f,
		"mendipctl " PACKAGE_VERSION ", %s\n"
		"This has names, addresses and routes of the host and its peers, and no secrets or "
		"keys.\nRead it before you give it to somebody.\n",
		when);
}

void ctl_bundle(struct ctl *c, int error, const char *config, FILE *f)
{
	const char *const options[] = PROGRAM("mendipd", "--dump-config", "-c", config);
	json_t *status = ask(c, "status", NULL, 0);

	write_head(f);
	section(f, "tunnels");
	if (status)
		show_all(f, status);
	else
		fprintf(f, "the daemon cannot be asked: %s\n",
			error ? strerror(-error) : "no answer");
	write_diagnoses(c, status, f);
	json_decref(status);
	write_json(c, "status", f);
	write_json(c, "switchover", f);
	write_metrics(c, f);
	write_program("configuration", options, f);
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		write_program(programs[i].title, programs[i].argv, f);
}
