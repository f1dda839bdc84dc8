/* control_peers.c - see control_peers.h. SPDX-License-Identifier: ISC */
#include "control_peers.h"
#include "../exchange/peers.h"
#include "xalloc.h"

struct control_peers {
	struct net *n;
	void (*event)(void *ctx, enum tunnel_event_kind kind, const char *conn, const char *child,
		      const char *text);
	void *ctx;
};

static struct control_peers *under_test; /* the context of tunnel_ops is the peer */

static void on_event(void *ctx, enum tunnel_event_kind kind, const struct tunnel_conn *conn,
		     const struct tunnel_child *child, const char *text)
{
	struct control_peers *p = under_test;

	(void)ctx;
	p->event(p->ctx, kind, conn->conf->name, child ? child->conf->name : NULL, text);
}

static void rewind_all(struct net *n)
{
	for (unsigned c = 0; c < n->o.children; c++) {
		for (unsigned i = 0; i < 20; i++)
			net_packet(n, GW, c);
		net_run(n, 10 * MSEC);
		gw_rewind(n, c, 10, false);
		net_packet(n, GW, c);
		net_packet(n, GW, c);
	}
	net_run(n, SEC);
}

struct control_peers *control_peers_new(unsigned children, bool up, bool rewound, bool alone,
					void (*event)(void *ctx, enum tunnel_event_kind kind,
						      const char *conn, const char *child,
						      const char *text),
					void *ctx)
{
	struct control_peers *p = xzalloc(sizeof(*p));
	struct options o = options_default();

	o.seed = 1;
	o.children = children;
	o.start = up ? START_START : START_TRAP;
	p->n = net_new(&o);
	p->event = event;
	p->ctx = ctx;
	under_test = p;
	if (up) {
		net_until(p->n, net_is_up, 10 * SEC, "up");
		net_run(p->n, SEC);
	}
	if (up && rewound)
		rewind_all(p->n);
	p->n->cut[GW] = alone;
	p->n->peer[BRANCH].tunnel->ops.event = on_event;
	return p;
}

void control_peers_free(struct control_peers *p)
{
	net_free(p->n);
	free(p);
}

struct tunnel *control_peers_tunnel(struct control_peers *p)
{
	return p->n->peer[BRANCH].tunnel;
}

void control_peers_configure(struct control_peers *p, conn_same *same)
{
	peer_configure(p->n, BRANCH, p->n->peer[BRANCH].conf, same);
}

nsec_t control_peers_now(const struct control_peers *p)
{
	return p->n->now;
}

void control_peers_run(struct control_peers *p, nsec_t time)
{
	for (unsigned c = 0; c < p->n->o.children; c++) {
		net_packet(p->n, BRANCH, c);
		net_packet(p->n, GW, c);
	}
	net_run(p->n, time);
}
