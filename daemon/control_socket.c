/* control_socket.c - see control_socket.h. SPDX-License-Identifier: ISC */
#include "control_socket.h"
#include "unix_socket.h"
#include "xalloc.h"

#include <unistd.h>

int control_socket_open(struct control_socket *s, struct event_base *base, const char *path,
			const char *group, evconnlistener_cb cb, void *ctx, struct log *log)
{
	char why[UNIX_SOCKET_WHY];
	int fd = unix_socket_listen(path, group, &s->has_group, log, why);

	if (fd < 0) {
		log_error(log, "%s", why);
		return fd;
	}
	s->listener = evconnlistener_new(base, cb, ctx, LEV_OPT_CLOSE_ON_FREE, 0, fd);
	if (!s->listener)
		abort(); /* no memory */
	s->path = xstrdup(path);
	return 0;
}

void control_socket_close(struct control_socket *s)
{
	if (!s->listener)
		return;
	evconnlistener_free(s->listener);
	unlink(s->path);
	free(s->path);
	s->listener = NULL;
	s->path = NULL;
}
