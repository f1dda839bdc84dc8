/*
 * control.h - the control socket: one JSON object per line, both ways. SPDX-License-Identifier: ISC
 *
 *   {"command": "status", "args": ["net"]}
 *   {"ok": true, "result": {...}}  or  {"ok": false, "error": "one line"}
 *   after "events", lines {"event": {...}} follow until the client disconnects
 */
#ifndef MENDIP_CONTROL_H
#define MENDIP_CONTROL_H

#include "daemon.h"

/*
 * Makes two sockets (control_socket.h) and listens: one for all commands, and, with VIEW_SUFFIX at
 * the end of its path, one for those that only show. 0, or -errno with the reason in the log, and
 * *ret NULL.
 */
int control_new(struct daemon *d, struct control **ret) MUST_CHECK;
/* Disconnects all clients and removes the sockets. Accepts NULL. */
void control_free(struct control *c);
/* Sends one line to all clients that asked for events. c and child may be NULL. */
void control_event(struct control *c, enum tunnel_event_kind kind, const char *conn,
		   const char *child, const char *text);

#endif
