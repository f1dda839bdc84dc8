/* ctl_client.c - see ctl_client.h. SPDX-License-Identifier: ISC */
#include "ctl_client.h"
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Says what to do about it; the kernel, not the daemon, refuses those who have no right. */
static void explain(const char *path, int error)
{
	struct stat st;
	const struct group *g = stat(path, &st) == 0 ? getgrgid(st.st_gid) : NULL;
	const char *group = g && st.st_mode & S_IRGRP ? g->gr_name : NULL;

	fprintf(stderr, "mendipctl: %s: %s", path, strerror(error));
	if (error == ENOENT || error == ECONNREFUSED)
		fputs(": is mendipd running?\n", stderr);
	else if (error == EACCES && group)
		fprintf(stderr,
			": join the group %s (usermod -aG %s NAME, then log in again), or be "
			"root\n",
			group, group);
	else
		fprintf(stderr, "%s\n", error == EACCES ? ": be root" : "");
}

static int connect_to(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd, error;

	if (strlen(path) >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	error = errno;
	close(fd);
	return -error;
}

int ctl_open(struct ctl *c, bool quiet)
{
	char view[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	bool fits = snprintf(view, sizeof(view), "%s" VIEW_SUFFIX, c->socket) < (int)sizeof(view);
	const char *path = c->socket;
	int fd = connect_to(path);

	/* Who may not use that one may perhaps view. */
	if (fd == -EACCES && fits) {
		path = view;
		fd = connect_to(path);
	}
	if (fd < 0) {
		if (!quiet)
			explain(path, -fd);
		return fd;
	}
	c->in = fdopen(fd, "r");
	c->out = fdopen(dup(fd), "w");
	return c->in && c->out ? 0 : -ENOMEM;
}

void ctl_close(struct ctl *c)
{
	if (c->in)
		fclose(c->in);
	if (c->out)
		fclose(c->out);
	c->in = c->out = NULL;
}

void ctl_wait_for_daemon(struct ctl *c)
{
	fprintf(stderr, "mendipctl: mendipd has ended: waiting for it to start again\n");
	do {
		ctl_close(c);
		sleep(1);
	} while (ctl_open(c, true) < 0);
}

json_t *ctl_read(struct ctl *c)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t n = getline(&line, &size, c->in);
	json_t *o = n > 0 ? json_loadb(line, (size_t)n, 0, NULL) : NULL;

	free(line);
	return o;
}

json_t *ctl_ask(struct ctl *c, const char *command, char **argv, int argc, bool *ret_gone)
{
	json_t *args = json_array(), *request, *answer, *result = NULL;

	for (int i = 0; i < argc; i++) {
		json_t *a = json_string(argv[i]); /* NULL if it is not UTF-8 */

		json_array_append_new(args, a ? a : json_null());
	}
	request = json_pack("{s:s,s:o}", "command", command, "args", args);
	json_dumpf(request, c->out, JSON_COMPACT);
	json_decref(request);
	fputc('\n', c->out);
	fflush(c->out);
	answer = ctl_read(c);
	*ret_gone = !answer;
	if (answer && !json_is_true(json_object_get(answer, "ok")))
		fprintf(stderr, "mendipctl: %s\n",
			json_string_value(json_object_get(answer, "error")));
	else if (answer)
		result = json_incref(json_object_get(answer, "result"));
	json_decref(answer);
	return result;
}
