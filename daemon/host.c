/*
 * host.c - reacts to changes on this host by other programs: repairs our routes and devices,
 * follows the others. SPDX-License-Identifier: ISC
 */
#include "assigned.h"
#include "daemon.h"

#define SETTLE_USEC 200000

/* The kernel removed the routes when the device went down; they are made again. */
static void raise_device(struct daemon *d)
{
	struct tun *t = &d->devices.all[0]->tun;
	int r = tun_raise(t);

	if (r <= 0)
		return;
	log_warn(&d->log, "the TUN device %s was down: brought up again", t->name);
	assigned_repair(d); /* before the routes, whose source they are */
	net_repair(d->net);
}

/* Changes come in bursts, on some hosts all the time: those within 200 ms are handled together. */
static void follow_soon(struct daemon *d)
{
	static const struct timeval settle = {.tv_usec = SETTLE_USEC};

	if (!evtimer_pending(d->net_settled, NULL))
		evtimer_add(d->net_settled, &settle);
}

void host_settle(struct daemon *d)
{
	net_settle(d->net);
	if (net_is_behind(d->net))
		follow_soon(d);
}

static void on_net(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;
	unsigned changed = net_changed(d->net);

	(void)fd;
	(void)what;
	if (changed & NET_CHANGED_DEVICE)
		raise_device(d);
	if (changed & NET_CHANGED_ADDRESSES)
		follow_soon(d);
	daemon_turn(d);
}

static void on_settled(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;

	(void)fd;
	(void)what;
	net_follow(d->net);
	tunnel_host_changed(d->tunnel, net_has_address, daemon_now());
	resolver_soon(d->resolver);
	daemon_turn(d);
}

int host_init(struct daemon *d)
{
	const struct config *c = d->config;
	const struct net_options o = {.tun = d->devices.all[0]->tun.name,
				      .routes = c->fixed.install_routes,
				      .block = c->fixed.leak_block,
				      .local_first = c->fixed.local_routes_first};
	int r = 0;

	d->net = net_new(&o, &d->log, &r);
	if (!d->net)
		return r;
	d->net_readable = event_new(d->base, net_fd(d->net), EV_READ | EV_PERSIST, on_net, d);
	d->net_settled = evtimer_new(d->base, on_settled, d);
	if (!d->net_readable || !d->net_settled)
		return -ENOMEM;
	event_priority_set(d->net_readable, PRIORITY_CONTROL);
	event_priority_set(d->net_settled, PRIORITY_DATA);
	event_add(d->net_readable, NULL);
	return 0;
}

void host_fini(struct daemon *d)
{
	if (d->net_readable)
		event_free(d->net_readable);
	if (d->net_settled)
		event_free(d->net_settled);
	net_free(d->net);
}
