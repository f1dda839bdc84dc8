/* metrics_socket.h - the sockets on which the metrics are served. SPDX-License-Identifier: ISC */
#ifndef MENDIP_METRICS_SOCKET_H
#define MENDIP_METRICS_SOCKET_H

#include "kept.h"
#include "listen_at.h"
#include "log.h"

#define METRICS_NAME_LEN 120

/*
 * Whether fd listens where only this host can connect: a port of a loopback address, or a Unix
 * socket. name (METRICS_NAME_LEN bytes) gets where it listens.
 */
bool metrics_socket_is_local(int fd, char *name);
/*
 * Listens there; a Unix socket is for the members of group. kept: the socket that the process
 * before us has left for that, or -1; it is used if it is the same port, and otherwise closed.
 * Returns the descriptor, which does not block, or -errno with a line in the log.
 */
int metrics_socket_open(const struct listen_at *l, const char *group, int kept, struct log *log);

#endif
