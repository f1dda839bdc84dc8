/* unix_socket.h - listens on a Unix socket, for those whom its owner, group and mode let in.
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_UNIX_SOCKET_H
#define MENDIP_UNIX_SOCKET_H

#include "base.h"
#include "log.h"

#define UNIX_SOCKET_WHY 400

/*
 * Makes the socket at path, for the members of group (mode 0660), in place of one that a crashed
 * daemon has left, and listens. *ret_has_group, unless NULL: whether it was given to the group;
 * else only our user and root can connect, and the log says why. Returns the descriptor, which does
 * not block, or -errno with the reason in why (UNIX_SOCKET_WHY bytes): path, what is in the way,
 * what to do.
 */
int unix_socket_listen(const char *path, const char *group, bool *ret_has_group, struct log *log,
		       char *why) MUST_CHECK;

#endif
