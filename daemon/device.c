/* device.c - see device.h. SPDX-License-Identifier: ISC */
#include "assigned.h"
#include "daemon.h"
#include "xalloc.h"

#include <assert.h>
#include <net/if.h>
#include <stdio.h>
#include <unistd.h>

#define RETRY_SECONDS 10 /* each failed attempt is logged */

/* Adds the device to the loop, which calls data_on_tun. */
static int listen_to(struct device *v)
{
	struct daemon *d = v->daemon;

	v->readable = event_new(d->base, v->tun.fd, EV_READ | EV_PERSIST, data_on_tun, v);
	if (!v->readable)
		return -ENOMEM;
	event_priority_set(v->readable, PRIORITY_DATA);
	if (!d->out.parked)
		event_add(v->readable, NULL);
	return 0;
}

static void device_close(struct device *v)
{
	if (v->readable)
		event_free(v->readable);
	v->readable = NULL;
	tun_close(&v->tun);
}

/* The link of the shared device is always up. */
static bool has_link(const struct device *v)
{
	return v->tun.device == 0 || v->users > 0;
}

static void tell_accept(const struct device *v)
{
	v->daemon->tunnel->path->devices[v->tun.device].accept = v->tun.accept;
}

void device_write(struct device *v, struct pkt_super *super)
{
	tun_write(&v->tun, super);
	tell_accept(v);
}

/* Takes over the device from the process before us. False: that left none that can be used. */
static bool adopt(struct device *v, bool offload)
{
	struct daemon *d = v->daemon;
	char name[32];
	int fd = kept_fd(d->kept, kept_tun_name(v->tun.name, name));

	if (fd < 0)
		return false;
	if (tun_adopt(&v->tun, fd, offload, &d->log) < 0) {
		close(fd);
		return false;
	}
	/* Unless one is configured, its MTU stays as it fits the SAs that are taken over. */
	if (tun_raise(&v->tun) >= 0 && (d->config->fixed.mtu ? tun_set_mtu(&v->tun, v->mtu)
							     : tun_get_mtu(&v->tun, &v->mtu)) == 0)
		return true;
	tun_close(&v->tun);
	return false;
}

static int device_open(struct device *v)
{
	struct daemon *d = v->daemon;
	bool offload = d->config->fixed.offload.tun != OFFLOAD_OFF, adopted = adopt(v, offload);
	int r;

	v->found = adopted || if_nametoindex(v->tun.name) != 0;
	r = adopted ? 0 : tun_open(&v->tun, v->mtu, offload, &d->log);
	if (r == 0)
		r = listen_to(v);
	if (r < 0) {
		device_close(v);
		return r;
	}
	v->link = has_link(v);
	/* Its link must not go down before its tunnels are resumed. */
	v->link_unknown = adopted;
	d->devices.stale |= adopted;
	if (!adopted)
		tun_set_link(&v->tun, v->link);
	tell_accept(v);
	return 0;
}

/* It is not configured, has no users, and no inbound SA refers to it. */
static bool is_free(const struct daemon *d, const struct device *v)
{
	const struct sad *sad = &d->tunnel->path->sad;

	if (v->wanted || v->users > 0)
		return false;
	for (uint32_t i = 0; i < sad->slot_count; i++) {
		const struct esp_sa *sa = sad->slots[i];

		if (sa && sa->in.key && sa->in.device == v->tun.device)
			return false;
	}
	return true;
}

static struct device *device_add(struct daemon *d)
{
	struct devices *all = &d->devices;
	struct device *v = xzalloc(sizeof(*v));

	v->daemon = d;
	v->tun.fd = -1;
	v->tun.device = all->count;
	v->tun.counters = &all->counters;
	all->all = xreallocarray(all->all, all->count + 1u, sizeof(struct device *));
	all->all[all->count++] = v;
	return v;
}

static struct device *device_new(struct daemon *d, const char *name)
{
	struct device *v = NULL;

	for (uint16_t i = 1; i < d->devices.count && !v; i++) {
		if (is_free(d, d->devices.all[i]))
			v = d->devices.all[i];
	}
	if (v)
		device_close(v);
	else
		v = device_add(d);
	/* A packet that was read from the old device and waits for the socket is dropped. */
	if (d->out.pending && d->out.out.device == v->tun.device)
		d->out.pending = false;
	v->mtu = d->config->fixed.mtu ? d->config->fixed.mtu : MTU_DEFAULT;
	v->wanted = true;
	snprintf(v->tun.name, sizeof(v->tun.name), "%s", name);
	return v;
}

/* ---- missing devices ---- */

static void again_in(struct daemon *d, time_t seconds)
{
	const struct timeval wait = {.tv_sec = seconds};

	if (!evtimer_pending(d->devices.again, NULL))
		evtimer_add(d->devices.again, &wait);
}

/* False: it cannot be made now. */
static bool make_missing(struct device *v)
{
	struct daemon *d = v->daemon;

	if (device_open(v) < 0)
		return false;
	log_warn(&d->log, "the TUN device %s has been made again", v->tun.name);
	assigned_repair(d); /* before the routes, whose source they are */
	if (v->tun.device == 0)
		net_repair(d->net);
	return true;
}

static void on_again(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;
	bool missing = false;

	(void)fd;
	(void)what;
	for (uint16_t i = 0; i < d->devices.count; i++) {
		struct device *v = d->devices.all[i];

		missing |= v->wanted && !v->readable && !make_missing(v);
	}
	if (missing)
		again_in(d, RETRY_SECONDS);
	daemon_turn(d);
}

void device_lost(struct device *v)
{
	struct daemon *d = v->daemon;
	/* If a program removes it again and again, it is made at most once per second. */
	bool wait = evtimer_pending(d->devices.again, NULL);

	log_warn(&d->log, "the TUN device %s was removed by another program: making it again",
		 v->tun.name);
	device_close(v);
	if (!wait)
		(void)make_missing(v);
	again_in(d, 1);
}

/* ---- the configuration ---- */

static struct device *find(const struct devices *all, const char *name)
{
	/* Index 0 is the shared device. */
	for (uint16_t i = 1; i < all->count; i++) {
		if (strcmp(all->all[i]->tun.name, name) == 0)
			return all->all[i];
	}
	return NULL;
}

static void make(struct daemon *d, const char *name)
{
	struct device *v = find(&d->devices, name);

	if (!v)
		v = device_new(d, name);
	esp_path_devices(d->tunnel->path, d->devices.count);
	if (!v->readable && device_open(v) < 0)
		again_in(d, RETRY_SECONDS);
}

uint16_t device_index(const struct daemon *d, const char *name)
{
	const struct device *v = find(&d->devices, name);

	assert(v);
	return v->tun.device;
}

/* Marks the devices that stay, before a new one takes the index of another. */
static void keep(struct devices *all, const struct config *c)
{
	for (uint16_t i = 1; i < all->count; i++)
		all->all[i]->wanted = false;
	for (unsigned i = 0; i < c->conns.count; i++) {
		const struct conn_conf *conn = c->conns.v[i];

		for (unsigned k = 0; k < conn->child_count; k++) {
			const char *name = conn->children[k].device;
			struct device *v = name ? find(all, name) : NULL;

			if (v)
				v->wanted = true;
		}
	}
}

void devices_make(struct daemon *d, const struct config *c)
{
	keep(&d->devices, c);
	for (unsigned i = 0; i < c->conns.count; i++) {
		const struct conn_conf *conn = c->conns.v[i];

		for (unsigned k = 0; k < conn->child_count; k++) {
			if (conn->children[k].device)
				make(d, conn->children[k].device);
		}
	}
}

void devices_prune(struct daemon *d)
{
	for (uint16_t i = 1; i < d->devices.count; i++) {
		if (!d->devices.all[i]->wanted)
			device_close(d->devices.all[i]);
	}
}

/* ---- links ---- */

void device_use(struct daemon *d, uint16_t index, bool add)
{
	d->devices.all[index]->users += add ? 1u : -1u;
	d->devices.stale = true;
}

void devices_settle(struct daemon *d)
{
	if (!d->devices.stale)
		return;
	d->devices.stale = false;
	for (uint16_t i = 0; i < d->devices.count; i++) {
		struct device *v = d->devices.all[i];

		if (!v->readable || (v->link == has_link(v) && !v->link_unknown))
			continue;
		v->link = has_link(v);
		tun_set_link(&v->tun, v->link);
		if (v->link_unknown) {
			v->link_unknown = false;
			continue;
		}
		log_info(&d->log, "link of %s: %s", v->tun.name, v->link ? "up" : "down");
	}
}

void devices_read(struct daemon *d, bool on)
{
	for (uint16_t i = 0; i < d->devices.count; i++) {
		struct event *e = d->devices.all[i]->readable;

		if (e && on)
			event_add(e, NULL);
		else if (e)
			event_del(e);
	}
}

/* ---- beginning and end ---- */

int devices_init(struct daemon *d)
{
	d->devices.again = evtimer_new(d->base, on_again, d);
	if (!d->devices.again)
		return -ENOMEM;
	event_priority_set(d->devices.again, PRIORITY_CONTROL);
	return device_open(device_new(d, d->config->fixed.tun)); /* the first one: index 0 */
}

void devices_fini(struct daemon *d)
{
	struct devices *all = &d->devices;

	for (uint16_t i = 0; i < all->count; i++) {
		device_close(all->all[i]);
		free(all->all[i]);
	}
	free(all->all);
	if (all->again)
		event_free(all->again);
	*all = (struct devices){0};
}
