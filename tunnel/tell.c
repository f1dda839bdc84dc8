/* tell.c - whose a child is; log lines and events of it. SPDX-License-Identifier: ISC */
#include "child.h"
#include "conn.h"

#include <stdarg.h>
#include <stdio.h>

const struct ident *conn_peer(const struct tunnel_conn *c)
{
	return c->peer_id.type != ID_NONE ? &c->peer_id : &c->conf->remote_id;
}

/* The peer may make and end SAs at will: that must not hide the other lines. */
void tunnel_log(struct tunnel_child *c, enum tunnel_event_kind kind, enum log_level level,
		const char *fmt, ...)
{
	struct tunnel *t = c->conn->tunnel;
	const struct ident *peer = conn_peer(c->conn);
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* When the tunnel ends there is no engine any more. */
	if (!t->ike)
		log_line(t->log, level, "%s/%s: %s", c->conn->conf->name, c->conf->name, text);
	else
		log_limited(t->log,
			    kind == TUNNEL_EVENT_CHILD ? ike_peer_lines(t->ike, peer)
						       : ike_recovery_lines(t->ike, peer),
			    t->now, level, "%s/%s: %s", c->conn->conf->name, c->conf->name, text);
}

void tunnel_event(struct tunnel_child *c, enum tunnel_event_kind kind, enum log_level level,
		  const char *fmt, ...)
{
	struct tunnel *t = c->conn->tunnel;
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tunnel_log(c, kind, level, "%s", text);
	t->ops.event(t->ops.ctx, kind, c->conn, c, text);
}
