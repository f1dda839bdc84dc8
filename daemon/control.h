/*
 * control.h - the control socket: one JSON object a line each way. SPDX-License-Identifier: ISC
 *
 *   {"command": "status", "args": ["net"]}
 *   {"ok": true, "result": {...}}  or  {"ok": false, "error": "one line"}
 *   "events": {"event": {...}} lines follow until the client goes
 */
#ifndef MENDIP_CONTROL_H
#define MENDIP_CONTROL_H

#include "daemon.h"

/* Makes the socket (mode 0660) and listens. NULL with a logged reason. */
struct control *control_new(struct daemon *d);
void control_free(struct control *c);
/* The next command that waits, if there is one. Takes NULL. */
void control_serve(struct control *c);
/* One line to all clients that asked for events. */
void control_event(struct control *c, enum tunnel_event_kind kind, const char *conn,
		   const char *child, const char *text);

#endif
