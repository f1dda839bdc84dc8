/* ctl_client.c - see ctl_client.h. SPDX-License-Identifier: ISC */
#include "ctl_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char *what_to_do(int error)
{
	return error == ENOENT || error == ECONNREFUSED ? ": is mendipd running?"
	       : error == EACCES ? ": run as root, or as a member of its group"
				 : "";
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
	int fd = connect_to(c->socket);

	if (fd < 0) {
		if (!quiet)
			fprintf(stderr, "mendipctl: %s: %s%s\n", c->socket, strerror(-fd),
				what_to_do(-fd));
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
