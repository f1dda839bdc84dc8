/* data.c - the sockets of both data loops. SPDX-License-Identifier: ISC */
#include "daemon.h"

#include <unistd.h>

static void close_sockets(struct daemon *d)
{
	for (unsigned i = 0; i < UDP_SOCKETS; i++)
		udp_close(&d->udp[i]);
}

/* Takes over the sockets of the process before us; packets may wait in them. False: not complete.
 */
static bool adopt_sockets(struct daemon *d)
{
	const struct udp_offloads none = {false, false};

	for (unsigned i = 0; i < UDP_SOCKETS; i++) {
		int fd = kept_fd(d->kept, kept_udp_name(i));
		uint16_t port = i == UDP_IKE ? IKE_PORT : IKE_PORT_NATT;

		if (fd >= 0 &&
		    udp_adopt(&d->udp[i], fd, port, i == UDP_ESP ? d->udp_offloads : none) == 0)
			continue;
		if (fd >= 0)
			close(fd);
		close_sockets(d);
		return false;
	}
	return true;
}

static int open_sockets(struct daemon *d)
{
	const struct udp_offloads none = {false, false};
	int r = udp_open(&d->udp[UDP_IKE], IKE_PORT, false, none, &d->log);

	if (r == 0)
		r = udp_open(&d->udp[UDP_ESP], IKE_PORT_NATT, true, d->udp_offloads, &d->log);
	if (r == 0)
		r = udp_open(&d->udp[UDP_IKE_NATT], IKE_PORT_NATT, true, none, &d->log);
	if (r == 0 && udp_steer(&d->udp[UDP_ESP]) < 0)
		log_warn(&d->log,
			 "port %u: the kernel cannot separate IKE from ESP: both share a queue",
			 IKE_PORT_NATT);
	return r;
}

int data_init(struct daemon *d)
{
	int r;

	for (unsigned i = 0; i < UDP_SOCKETS; i++)
		d->udp[i].fd = -1;
	r = adopt_sockets(d) ? 0 : open_sockets(d);
	if (r == 0)
		r = data_in_init(d);
	if (r == 0)
		r = data_out_init(d);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < UDP_SOCKETS; i++) {
		d->udp_event[i] =
			event_new(d->base, d->udp[i].fd, EV_READ | EV_PERSIST, data_on_udp, d);
		if (!d->udp_event[i])
			return -ENOMEM;
		event_priority_set(d->udp_event[i],
				   i == UDP_ESP ? PRIORITY_DATA : PRIORITY_CONTROL);
		event_add(d->udp_event[i], NULL);
	}
	return 0;
}

void data_fini(struct daemon *d)
{
	for (unsigned i = 0; i < UDP_SOCKETS; i++) {
		if (d->udp_event[i])
			event_free(d->udp_event[i]);
	}
	close_sockets(d);
	data_out_fini(d);
	data_in_fini(d);
}
