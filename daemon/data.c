/*
 * data.c - the sockets of both data loops: which there are, and which one a message takes.
 * SPDX-License-Identifier: ISC
 *
 * Each family has port 500 for IKE, and for each port with UDP encapsulation one socket for ESP and
 * one for IKE, which share it; and a raw socket for ESP without UDP. That one is opened at the
 * start, when we may, and hears nothing before a connection needs it: so CAP_NET_RAW is not kept.
 */
#include "daemon.h"

#include <unistd.h>

static const struct udp_offloads no_offloads = {false, false};

static struct udp_socket *next_place(struct daemon *d)
{
	struct udp_socket *s = &d->udp[d->udp_count];

	*s = (struct udp_socket){.fd = -1};
	return s;
}

/* Closes the sockets from the index on. */
static void close_from(struct daemon *d, unsigned from)
{
	while (d->udp_count > from) {
		struct udp_socket *s = &d->udp[--d->udp_count];

		if (d->udp_event[d->udp_count])
			event_free(d->udp_event[d->udp_count]);
		if (d->out.writable[d->udp_count])
			event_free(d->out.writable[d->udp_count]);
		d->udp_event[d->udp_count] = d->out.writable[d->udp_count] = NULL;
		udp_close(s);
	}
}

/* Takes over a socket of the process before us; packets may wait in it. False: there is none. */
static bool adopt(struct daemon *d, enum udp_use use, uint8_t family, uint16_t port)
{
	struct udp_socket *s = next_place(d);
	char name[KEPT_NAME_LEN];
	int fd = kept_fd(d->kept, kept_udp_name(use, family, port, name));

	if (fd < 0)
		return false;
	if ((use == UDP_RAW ? raw_adopt(s, fd, family)
			    : udp_adopt(s, fd, family, port,
					use == UDP_ESP ? d->udp_offloads : no_offloads)) < 0) {
		close(fd);
		return false;
	}
	s->use = use;
	d->udp_count++;
	return true;
}

static int open_one(struct daemon *d, enum udp_use use, uint8_t family, uint16_t port)
{
	struct udp_socket *s = next_place(d);
	int r = use == UDP_RAW ? raw_open(s, family)
			       : udp_open(s, family, port, use != UDP_IKE,
					  use == UDP_ESP ? d->udp_offloads : no_offloads, &d->log);

	if (r < 0)
		return r;
	s->use = use;
	d->udp_count++;
	return 0;
}

static int open_ike(struct daemon *d, uint8_t family)
{
	if (adopt(d, UDP_IKE, family, IKE_PORT))
		return 0;
	return open_one(d, UDP_IKE, family, IKE_PORT);
}

/* Both sockets or none: they are steered by the order in which they were bound. */
static int open_pair(struct daemon *d, uint8_t family, uint16_t port)
{
	unsigned first = d->udp_count;
	int r;

	if (adopt(d, UDP_ESP, family, port) && adopt(d, UDP_IKE_NATT, family, port))
		return 0;
	close_from(d, first);
	r = open_one(d, UDP_ESP, family, port);
	if (r == 0)
		r = open_one(d, UDP_IKE_NATT, family, port);
	if (r < 0)
		close_from(d, first);
	else if (udp_steer(&d->udp[first]) < 0)
		log_warn(&d->log,
			 "port %u: the kernel cannot separate IKE from ESP: both share a queue",
			 port);
	return r;
}

static bool has_port(const struct daemon *d, uint16_t port)
{
	for (unsigned i = 0; i < d->udp_count; i++) {
		if (d->udp[i].port == port)
			return true;
	}
	return false;
}

/* In both families, as far as the kernel has them. */
static int open_port(struct daemon *d, uint16_t port)
{
	int r;

	if (d->udp_count + 4 > UDP_SOCKETS) {
		log_error(&d->log, "local_port %u: more than %d ports have been opened", port,
			  UDP_PORTS_MAX);
		return -ENOSPC;
	}
	r = open_pair(d, FAMILY_IPV4, port);
	if (r == 0)
		r = open_pair(d, FAMILY_IPV6, port);
	return r == -EAFNOSUPPORT ? 0 : r;
}

/* Both families that the kernel has, or none. */
static void open_raw(struct daemon *d)
{
	unsigned first = d->udp_count;
	int r = 0;

	for (uint8_t family = FAMILY_IPV4; r == 0 && family <= FAMILY_IPV6; family += 2) {
		if (!adopt(d, UDP_RAW, family, 0))
			r = open_one(d, UDP_RAW, family, 0);
		if (r == -EAFNOSUPPORT && family == FAMILY_IPV6)
			r = 0;
	}
	if (r == 0)
		return;
	close_from(d, first);
	d->raw_error = r;
	tunnel_only_udp(d->tunnel);
}

/* A kernel without IPv6 has none of these sockets. */
static int open_family(struct daemon *d, uint8_t family)
{
	int r = open_ike(d, family);

	if (r == 0)
		r = open_pair(d, family, IKE_PORT_NATT);
	return r == -EAFNOSUPPORT && family == FAMILY_IPV6 ? 0 : r;
}

/* Makes the events of the sockets from the index on. */
static int watch_from(struct daemon *d, unsigned from)
{
	for (unsigned i = from; i < d->udp_count; i++) {
		bool data = data_is_for_esp(&d->udp[i]);
		int fd = d->udp[i].fd;

		d->udp_event[i] = event_new(d->base, fd, EV_READ | EV_PERSIST, data_on_udp, d);
		if (data)
			d->out.writable[i] =
				event_new(d->base, fd, EV_WRITE | EV_PERSIST, data_on_writable, d);
		if (!d->udp_event[i] || (data && !d->out.writable[i]))
			return -ENOMEM;
		event_priority_set(d->udp_event[i], data ? PRIORITY_DATA : PRIORITY_CONTROL);
		if (data)
			event_priority_set(d->out.writable[i], PRIORITY_DATA);
		event_add(d->udp_event[i], NULL);
	}
	return 0;
}

struct udp_socket *data_esp_socket(struct daemon *d, const struct esp_dest *dest)
{
	return data_socket(d, dest->remote.port ? UDP_ESP : UDP_RAW, &dest->local, &dest->remote);
}

int data_open_ports(struct daemon *d, const struct conn_set *conns)
{
	unsigned first = d->udp_count;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < conns->count; i++) {
		uint16_t port = (uint16_t)conns->v[i]->local_port;

		if (!has_port(d, port))
			r = open_port(d, port);
	}
	if (r == 0)
		r = watch_from(d, first);
	if (r < 0)
		close_from(d, first);
	return r;
}

struct udp_socket *data_socket(struct daemon *d, enum udp_use use, const struct endpoint *local,
			       const struct endpoint *remote)
{
	for (unsigned i = 0; i < d->udp_count; i++) {
		struct udp_socket *s = &d->udp[i];

		if (s->use == use && s->family == remote->addr.family && s->port == local->port)
			return s;
	}
	return NULL;
}

static bool needs_raw(const struct conn_set *conns)
{
	for (unsigned i = 0; i < conns->count; i++) {
		if (conns->v[i]->encap != ENCAP_YES)
			return true;
	}
	return false;
}

void data_hear_raw(struct daemon *d, const struct conn_set *conns)
{
	bool needed = needs_raw(conns);
	int r = needed ? d->raw_error : 0;

	for (unsigned i = 0; r == 0 && i < d->udp_count; i++) {
		if (d->udp[i].use == UDP_RAW)
			r = raw_hear(&d->udp[i], needed);
	}
	if (r < 0)
		log_warn(&d->log,
			 "ESP without UDP is not possible: raw sockets: %s%s: connections with "
			 "encap = \"no\" do not come up, and those with \"auto\" use UDP",
			 strerror(-r), r == -EPERM ? ": needs CAP_NET_RAW" : "");
}

int data_init(struct daemon *d)
{
	int r = open_family(d, FAMILY_IPV4);

	if (r == 0)
		r = open_family(d, FAMILY_IPV6);
	if (r == 0)
		open_raw(d);
	if (r == 0)
		r = data_in_init(d);
	if (r == 0)
		r = data_out_init(d);
	return r < 0 ? r : watch_from(d, 0);
}

void data_fini(struct daemon *d)
{
	close_from(d, 0);
	data_out_fini(d);
	data_in_fini(d);
}
