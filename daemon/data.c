/* data.c - the two data loops: UDP to TUN and TUN to UDP (DESIGN 2). SPDX-License-Identifier: ISC
 */
#include "daemon.h"
#include "fault.h"
#include "xalloc.h"

#include <unistd.h>

#define MARKER_LEN 4 /* non-ESP marker (RFC 3948 2.2) */

enum { UDP_IKE, UDP_ESP, UDP_IKE_NATT };

static const uint8_t marker[MARKER_LEN];

/* ---- in ---- */

static void write_tun(struct daemon *d, struct esp_super *super)
{
	if (write(d->tun_fd, super->base, super->len) == (ssize_t)super->len)
		d->io.tun_written++;
	else
		d->io.tun_write_errors++;
	super->len = 0;
}

static void receive_esp(struct daemon *d, struct udp_datagram *g, nsec_t now)
{
	struct esp_in in = {.base = g->p,
			    .len = g->len,
			    .seg = (uint16_t)g->len,
			    .from = g->remote,
			    .tos = g->tos};
	struct esp_super super = {.base = d->tun_buffer, .cap = TUN_BUFFER};
	enum esp_step step;

	do {
		step = esp_open(d->tunnel->path, &in, &super, now);
		if (super.len)
			write_tun(d, &super);
	} while (step == ESP_FULL);
}

/* RFC 3948 2: on port 4500 a datagram is a keepalive, IKE behind a marker, or ESP. */
static void demux(struct daemon *d, struct udp_datagram *g, bool natt, nsec_t now)
{
	d->io.rx_datagrams++;
	d->io.rx_bytes += g->len;
	if (g->truncated) {
		d->io.rx_truncated++;
	} else if (!natt) {
		tunnel_receive_ike(d->tunnel, &g->local, &g->remote, g->p, g->len, now);
	} else if (g->len == 1 && g->p[0] == 0xff) {
		d->io.rx_keepalives++;
	} else if (g->len < MARKER_LEN) {
		d->io.rx_short++;
	} else if (memcmp(g->p, marker, MARKER_LEN) == 0) {
		tunnel_receive_ike(d->tunnel, &g->local, &g->remote, g->p + MARKER_LEN,
				   g->len - MARKER_LEN, now);
	} else {
		receive_esp(d, g, now);
	}
}

static void on_udp(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;
	struct udp_datagram g[RX_BATCH];
	unsigned which = fd == d->udp[UDP_IKE].fd   ? UDP_IKE
			 : fd == d->udp[UDP_ESP].fd ? UDP_ESP
						    : UDP_IKE_NATT;
	nsec_t now;
	int n;

	(void)what;
	for (unsigned i = 0; i < RX_BATCH; i++) {
		g[i].p = d->rx_buffer + (size_t)i * RX_BUFFER;
		g[i].cap = RX_BUFFER;
	}
	n = udp_receive(&d->udp[which], g, RX_BATCH);
	if (n < 0)
		d->io.rx_errors++;
	now = daemon_now();
	for (int i = 0; i < n; i++)
		demux(d, &g[i], which != UDP_IKE, now);
	daemon_turn(d);
}

/* ---- out ---- */

/* Sends what is in the train; on EAGAIN it stays, parked, and TUN is not read until it has gone. */
static void train_send(struct daemon *d)
{
	struct esp_train *t = &d->train;
	const struct esp_dest *to = &t->dest;
	uint32_t sent;
	int error;

	if (!d->parked) {
		if (t->count == 0)
			return;
		esp_train_finish(d->tunnel->path, t);
		d->parked_at = 0;
	}
	sent = udp_send_train(&d->udp[UDP_ESP], &to->local, &to->remote, to->tos,
			      t->base + d->parked_at, t->len - d->parked_at, t->seg, &error,
			      &d->io.tx_errors);
	d->parked_at += sent;
	d->io.tx_bytes += sent;
	d->io.tx_datagrams += (sent + t->seg - 1) / t->seg;
	if (error == -EAGAIN) {
		if (!d->parked) {
			d->io.tx_parked++;
			event_del(d->tun_event);
			event_add(d->udp_writable, NULL);
		}
		d->parked = true;
		return;
	}
	if (d->parked) {
		d->parked = false;
		event_del(d->udp_writable);
		event_add(d->tun_event, NULL);
	}
	esp_train_reset(t);
}

static void on_udp_writable(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	train_send(ctx);
}

static void send_packet(struct daemon *d, struct esp_out *out, nsec_t now)
{
	switch (esp_route(d->tunnel->path, out, now)) {
	case ESP_ROUTE_SEAL:
		while (esp_seal(d->tunnel->path, out, &d->train, now) == ESP_FULL) {
			train_send(d);
			if (d->parked)
				return; /* the packet is lost, as on any full queue */
		}
		break;
	case ESP_ROUTE_NO_SA: tunnel_acquire(d->tunnel, out->policy, &out->inner, now); break;
	case ESP_ROUTE_TOO_BIG:
	case ESP_ROUTE_DISCARD: break;
	}
}

static void on_tun(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;
	nsec_t now = daemon_now();

	(void)what;
	for (unsigned i = 0; i < TUN_READS && !d->parked; i++) {
		ssize_t n = read(fd, d->tun_buffer, TUN_BUFFER);
		struct esp_out out = {.pkt = d->tun_buffer, .len = n > 0 ? (uint32_t)n : 0};

		if (n <= 0)
			break;
		d->io.tun_read++;
		send_packet(d, &out, now);
	}
	train_send(d);
	daemon_turn(d);
}

void data_send_dummy(struct daemon *d, struct esp_sa *sa)
{
	if (!sa || d->parked)
		return;
	train_send(d);
	if (d->parked)
		return;
	(void)esp_seal_dummy(d->tunnel->path, sa, &d->train, daemon_now());
	train_send(d);
}

static void send_now(struct daemon *d, const struct endpoint *local, const struct endpoint *remote,
		     const uint8_t *p, size_t len)
{
	/* From port 4500 on everything but the keepalive carries the marker. */
	bool natt = local->port != IKE_PORT;
	bool bare = !natt || (len == 1 && p[0] == 0xff);
	int r = udp_send(&d->udp[natt ? UDP_IKE_NATT : UDP_IKE], local, remote, 0, marker,
			 bare ? 0 : MARKER_LEN, p, len);

	if (r < 0) {
		d->io.tx_errors++;
		log_debug(&d->log, "IKE message cannot be sent: %s", strerror(-r));
	}
}

void data_send_ike(struct daemon *d, const struct endpoint *local, const struct endpoint *remote,
		   const uint8_t *p, size_t len)
{
	if (!fault_takes_message(d, local, remote, p, len))
		send_now(d, local, remote, p, len);
}

#ifdef MENDIP_FAULTS
void data_send_delayed(struct daemon *d, const struct endpoint *local,
		       const struct endpoint *remote, const uint8_t *p, size_t len)
{
	send_now(d, local, remote, p, len);
}
#endif

/* ---- beginning and end ---- */

static int open_sockets(struct daemon *d)
{
	int r = udp_open(&d->udp[UDP_IKE], IKE_PORT, false, &d->log);

	if (r == 0)
		r = udp_open(&d->udp[UDP_ESP], IKE_PORT_NATT, true, &d->log);
	if (r == 0)
		r = udp_open(&d->udp[UDP_IKE_NATT], IKE_PORT_NATT, true, &d->log);
	if (r == 0 && udp_steer(&d->udp[UDP_ESP]) < 0)
		log_warn(&d->log, "no steering on port %u: IKE shares a queue with ESP",
			 IKE_PORT_NATT);
	return r;
}

int data_init(struct daemon *d)
{
	int r;

	for (unsigned i = 0; i < ARRAY_SIZE(d->udp); i++)
		d->udp[i].fd = -1;
	r = open_sockets(d);
	if (r < 0)
		return r;
	d->rx_buffer = xzalloc((size_t)RX_BATCH * RX_BUFFER);
	d->tun_buffer = xzalloc(TUN_BUFFER);
	d->train_buffer = xzalloc(ESP_BUFFER_MAX);
	esp_train_init(&d->train, d->train_buffer, ESP_BUFFER_MAX - 28);
	for (unsigned i = 0; i < ARRAY_SIZE(d->udp); i++) {
		d->udp_event[i] = event_new(d->base, d->udp[i].fd, EV_READ | EV_PERSIST, on_udp, d);
		event_priority_set(d->udp_event[i],
				   i == UDP_ESP ? PRIORITY_DATA : PRIORITY_CONTROL);
		event_add(d->udp_event[i], NULL);
	}
	d->udp_writable =
		event_new(d->base, d->udp[UDP_ESP].fd, EV_WRITE | EV_PERSIST, on_udp_writable, d);
	d->tun_event = event_new(d->base, d->tun_fd, EV_READ | EV_PERSIST, on_tun, d);
	event_priority_set(d->udp_writable, PRIORITY_DATA);
	event_priority_set(d->tun_event, PRIORITY_DATA);
	event_add(d->tun_event, NULL);
	return 0;
}

void data_fini(struct daemon *d)
{
	for (unsigned i = 0; i < ARRAY_SIZE(d->udp); i++) {
		if (d->udp_event[i])
			event_free(d->udp_event[i]);
		udp_close(&d->udp[i]);
	}
	if (d->udp_writable)
		event_free(d->udp_writable);
	if (d->tun_event)
		event_free(d->tun_event);
	/* Inner packets were here. */
	secret_free(d->rx_buffer, d->rx_buffer ? (size_t)RX_BATCH * RX_BUFFER : 0);
	secret_free(d->tun_buffer, d->tun_buffer ? TUN_BUFFER : 0);
	secret_free(d->train_buffer, d->train_buffer ? ESP_BUFFER_MAX : 0);
}
