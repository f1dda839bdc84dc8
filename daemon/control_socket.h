/*
 * control_socket.h - the two sockets of mendipd, each for those who have its right.
 * SPDX-License-Identifier: ISC
 *
 * The kernel decides who may connect, by owner, group and mode of the socket: the daemon's own user
 * and root, and the members of its group, supplementary groups included. So a stranger never gets
 * as far as the daemon, and nothing has to be looked up when a client comes.
 */
#ifndef MENDIP_CONTROL_SOCKET_H
#define MENDIP_CONTROL_SOCKET_H

#include <stdbool.h>

#include <event2/listener.h>

#include "base.h"
#include "log.h"

/* What the clients of a socket may do; who may change may also view. */
enum right { RIGHT_VIEW = 1, RIGHT_CHANGE };

struct control_socket {
	char *path;
	bool has_group; /* it was given to its group; else only our user and root can connect */
	struct evconnlistener *listener;
};

/*
 * Makes the socket at path, for the members of group (mode 0660), and listens; cb gets ctx. 0, or
 * -errno with the reason in the log; *s is then as control_socket_close leaves it.
 */
int control_socket_open(struct control_socket *s, struct event_base *base, const char *path,
			const char *group, evconnlistener_cb cb, void *ctx,
			struct log *log) MUST_CHECK;
/* Closes and removes the socket. It may be zeroed: then there is nothing to do. */
void control_socket_close(struct control_socket *s);

#endif
