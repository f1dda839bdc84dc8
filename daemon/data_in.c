/* data_in.c - UDP to TUN. SPDX-License-Identifier: ISC */
#include "control.h"
#include "xalloc.h"

enum kind { KIND_SHORT, KIND_KEEPALIVE, KIND_IKE, KIND_ESP };

/* RFC 3948 2: on port 4500 a datagram is a keepalive, a marker followed by IKE, or ESP. */
static enum kind kind_of(const uint8_t *p, uint32_t len)
{
	if (len == 1 && p[0] == 0xff)
		return KIND_KEEPALIVE;
	if (len < MARKER_LEN)
		return KIND_SHORT;
	return get_be32(p) == 0 ? KIND_IKE : KIND_ESP;
}

/* Writes the combined packets to their device and resets them. */
static void deliver(struct daemon *d)
{
	device_write(d->devices.all[d->in.super.device], &d->in.super);
}

static void receive_esp(struct daemon *d, const struct udp_datagram *g, uint32_t at, uint32_t len,
			nsec_t now)
{
	struct esp_in in = {
		.base = g->p + at, .len = len, .seg = g->seg, .from = g->remote, .tos = g->tos};

	while (esp_open(d->tunnel->path, &in, &d->in.super, now) == ESP_FULL)
		deliver(d);
}

static void receive_other(struct daemon *d, struct udp_datagram *g, enum kind kind, uint32_t at,
			  uint32_t len, nsec_t now)
{
	switch (kind) {
	case KIND_SHORT: d->io.rx_short++; break;
	case KIND_KEEPALIVE: d->io.rx_keepalives++; break;
	case KIND_IKE:
		tunnel_receive_ike(d->tunnel, &g->local, &g->remote, g->p + at + MARKER_LEN,
				   len - MARKER_LEN, now);
		break;
	case KIND_ESP: break;
	}
}

/* One receive may hold datagrams of all kinds; adjacent ones with ESP are passed on together. */
static void demux(struct daemon *d, struct udp_datagram *g, nsec_t now)
{
	uint32_t esp_from = 0, at = 0;

	while (at < g->len) {
		uint32_t len = (uint32_t)min_u64(g->seg, g->len - at);
		enum kind kind = kind_of(g->p + at, len);

		if (kind != KIND_ESP) {
			if (esp_from < at)
				receive_esp(d, g, esp_from, at - esp_from, now);
			receive_other(d, g, kind, at, len, now);
			esp_from = at + len;
		}
		at += len;
	}
	if (esp_from < g->len)
		receive_esp(d, g, esp_from, g->len - esp_from, now);
}

/* Port 500 carries only IKE. */
static void receive_ike(struct daemon *d, struct udp_datagram *g, nsec_t now)
{
	for (uint32_t at = 0; at < g->len; at += g->seg)
		tunnel_receive_ike(d->tunnel, &g->local, &g->remote, g->p + at,
				   min_u64(g->seg, g->len - at), now);
}

static void receive(struct daemon *d, struct udp_datagram *g, enum udp_use use, nsec_t now)
{
	d->io.rx_receives++;
	d->io.rx_bytes += g->len;
	if (g->truncated || g->seg == 0) {
		d->io.rx_truncated += g->truncated;
		d->io.rx_short += !g->truncated;
		return;
	}
	d->io.rx_datagrams += (g->len + g->seg - 1u) / g->seg;
	/* It has a meaning only with the device that it came from, which endpoints do not have. */
	if (addr_is_link_local(&g->remote.addr)) {
		d->io.rx_link_local++;
		return;
	}
	switch (use) {
	case UDP_IKE: receive_ike(d, g, now); break;
	case UDP_ESP:
	case UDP_IKE_NATT: demux(d, g, now); break;
	case UDP_RAW: receive_esp(d, g, 0, g->len, now); break;
	}
}

void data_late(struct daemon *d, nsec_t now)
{
	struct esp_in none = {0};

	if (!d->tunnel->path->late_due)
		return;
	while (esp_open(d->tunnel->path, &none, &d->in.super, now) == ESP_FULL)
		deliver(d);
	deliver(d);
}

/* Serves one batch from the socket. Returns the number of receives, at least 1. */
static unsigned serve(struct daemon *d, unsigned which)
{
	struct udp_datagram g[RX_BATCH];
	nsec_t now;
	int n;

	for (unsigned i = 0; i < RX_BATCH; i++) {
		g[i].p = d->in.buffer + (size_t)i * RX_BUFFER;
		g[i].cap = RX_BUFFER;
	}
	n = udp_receive(&d->udp[which], g, RX_BATCH);
	if (n < 0)
		d->io.rx_errors++;
	now = daemon_now();
	data_gather(d, &d->udp[which]);
	for (int i = 0; i < n; i++)
		receive(d, &g[i], d->udp[which].use, now);
	data_release(d);
	/* No packet is held until the next turn. */
	deliver(d);
	return n > 0 ? (unsigned)n : 1;
}

/*
 * IKE goes before data and commands, and a flood of it would starve them. So after every RX_BATCH
 * receives of IKE, in one turn or several, its socket waits for a round of all that has the lower
 * priority.
 */
static void take_turns(struct daemon *d, unsigned which, unsigned served)
{
	bool full = (d->in.ike_served += served) >= RX_BATCH;

	if (full)
		d->in.ike_served = 0;
	event_priority_set(d->udp_event[which], full ? PRIORITY_DATA : PRIORITY_CONTROL);
}

void data_on_udp(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;
	unsigned which = 0, served;

	(void)what;
	while (which + 1 < d->udp_count && d->udp[which].fd != fd)
		which++;
	served = serve(d, which);
	if (!data_is_for_esp(&d->udp[which]))
		take_turns(d, which, served);
	daemon_turn(d);
}

int data_in_init(struct daemon *d)
{
	struct data_in *in = &d->in;

	in->buffer = xzalloc((size_t)RX_BATCH * RX_BUFFER);
	in->super_buffer = xzalloc(TUN_BUFFER);
	pkt_super_init(&in->super, in->super_buffer + TUN_HEADROOM, TUN_PACKET_MAX, 0);
	return 0;
}

void data_in_fini(struct daemon *d)
{
	/* They held inner packets. */
	secret_free(d->in.buffer, d->in.buffer ? (size_t)RX_BATCH * RX_BUFFER : 0);
	secret_free(d->in.super_buffer, d->in.super_buffer ? TUN_BUFFER : 0);
}
