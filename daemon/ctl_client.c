/* ctl_client.c - see ctl_client.h. SPDX-License-Identifier: ISC */
#include "ctl_client.h"
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* The group whose members may use the socket; NULL: there is none. Valid up to the next call. */
static const char *group_of(const char *path)
{
	struct stat st;
	const struct group *g;

	if (stat(path, &st) < 0 || !(st.st_mode & S_IRGRP))
		return NULL;
	g = getgrgid(st.st_gid);
	return g ? g->gr_name : NULL;
}

/* Of both sockets: who wants to change has nothing of the right to view. */
static void explain_rights(const char *change, const char *view)
{
	const char *to_view = view ? group_of(view) : NULL, *to_change;

	if (to_view)
		fprintf(stderr, "to view, join the group %s", to_view);
	to_change = group_of(change);
	if (to_change)
		fprintf(stderr, "%s the group %s", to_view ? "; to change," : "join", to_change);
	fprintf(stderr, "%sbe root\n",
		to_view || to_change ? " (usermod -aG GROUP NAME, then log in again), or " : "");
}

/* Says what to do about it; the kernel, not the daemon, refuses those who have no right. view: the
 * other socket, or NULL. */
static void explain(const char *path, const char *view, int error)
{
	fprintf(stderr, "mendipctl: %s: %s", path, strerror(error));
	if (error == EACCES) {
		fputs(": ", stderr);
		explain_rights(path, view);
	} else {
		fputs(error == ENOENT || error == ECONNREFUSED ? ": is mendipd running?\n" : "\n",
		      stderr);
	}
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
	int error = connect_to(c->socket), fd = error;

	/* Who may not use that one may perhaps view; that there is none to view is no news. */
	if (error == -EACCES && fits)
		fd = connect_to(view);
	if (fd < 0) {
		if (!quiet)
			explain(c->socket, fits ? view : NULL, -error);
		return error;
	}
	c->in = fdopen(fd, "r");
	c->out = fdopen(fcntl(fd, F_DUPFD_CLOEXEC, 0), "w");
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
