/*
 * null_tunnel.c - TUN to UDP and back without any cryptography, through the same files as mendipd:
 * what the machine would allow if ESP cost nothing. SPDX-License-Identifier: ISC
 *
 * usage: null_tunnel DEVICE MTU REMOTE
 *
 * A packet travels with as many bytes around it as ESP with AES-GCM has, so that trains have the
 * same sizes.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "tun.h"
#include "udp.h"
#include "xalloc.h"

#define BEFORE	  16 /* SPI, number, IV */
#define AFTER	  18 /* trailer and ICV */
#define RECEIVES  16
#define TRAIN_MAX 65507

struct null_tunnel {
	struct tun tun;
	struct udp_socket udp;
	struct endpoint remote, any;
	struct log log;
	uint8_t *buffer, *train, *received, *super_buffer;
	uint32_t len, count;
	uint16_t seg;
	struct pkt_super super;
	uint64_t failed;
};

static uint32_t frame_len(uint32_t len)
{
	return (BEFORE + len + AFTER + 3) / 4 * 4;
}

static void send_train(struct null_tunnel *n)
{
	struct udp_train t = {.local = &n->any,
			      .remote = &n->remote,
			      .p = n->train,
			      .len = n->len,
			      .seg = n->seg};
	int error = -EAGAIN;

	while (t.len > 0) {
		uint32_t sent = udp_send_train(&n->udp, &t, 0, &error, &n->failed);
		struct pollfd room = {.fd = n->udp.fd, .events = POLLOUT};

		t.p += sent;
		t.len -= sent;
		if (t.len > 0)
			poll(&room, 1, -1);
	}
	n->len = n->count = 0;
}

static void add(struct null_tunnel *n, const struct seg_plan *plan, uint32_t i)
{
	uint32_t size = frame_len(seg_len(plan, i));

	if (n->count && (n->count == ESP_BATCH || size > n->seg || n->len + size > TRAIN_MAX ||
			 n->len % n->seg))
		send_train(n);
	if (n->count == 0)
		n->seg = (uint16_t)size;
	memset(n->train + n->len, 1, BEFORE);
	seg_write(plan, i, n->train + n->len + BEFORE);
	n->len += size;
	n->count++;
}

static void serve_tun(struct null_tunnel *n)
{
	struct esp_out out;
	struct inner in;
	struct seg_plan plan;

	for (unsigned turns = 0; turns < 16 && tun_read(&n->tun, n->buffer, &out) == 1; turns++) {
		if (inner_parse(out.pkt, out.len, &in) < 0 ||
		    seg_plan(out.pkt, &in, &out.off, &plan) < 0)
			continue;
		for (uint32_t i = 0; i < plan.count; i++)
			add(n, &plan, i);
	}
	if (n->count)
		send_train(n);
}

static void deliver(struct null_tunnel *n, const uint8_t *p, uint32_t len)
{
	struct inner in;

	if (len < BEFORE + AFTER || inner_parse(p + BEFORE, len - BEFORE, &in) < 0)
		return;
	if (!pkt_super_add(&n->super, p + BEFORE, &in)) {
		tun_write(&n->tun, &n->super);
		(void)pkt_super_add(&n->super, p + BEFORE, &in);
	}
}

static void serve_udp(struct null_tunnel *n)
{
	struct udp_datagram g[RECEIVES];
	int got;

	for (unsigned i = 0; i < RECEIVES; i++) {
		g[i].p = n->received + (size_t)i * TUN_PACKET_MAX;
		g[i].cap = TUN_PACKET_MAX;
	}
	got = udp_receive(&n->udp, g, RECEIVES);
	for (int i = 0; i < got; i++) {
		for (uint32_t at = 0; at < g[i].len; at += g[i].seg)
			deliver(n, g[i].p + at, (uint32_t)min_u64(g[i].seg, g[i].len - at));
	}
	tun_write(&n->tun, &n->super);
}

static void to_stderr(void *ctx, enum log_level level, const char *text)
{
	(void)ctx;
	(void)level;
	fprintf(stderr, "null_tunnel: %s\n", text);
}

int main(int argc, char **argv)
{
	struct null_tunnel n = {.log = {.level = LOG_LEVEL_INFO, .sink = to_stderr}};

	if (argc != 4 || addr_parse(argv[3], &n.remote.addr) < 0) {
		fprintf(stderr, "usage: null_tunnel DEVICE MTU REMOTE\n");
		return 2;
	}
	n.remote.port = 4500;
	n.buffer = xzalloc(TUN_BUFFER);
	n.train = xzalloc(ESP_BUFFER_MAX);
	n.received = xzalloc((size_t)RECEIVES * TUN_PACKET_MAX);
	n.super_buffer = xzalloc(TUN_BUFFER);
	if (tun_open(&n.tun, argv[1], (uint32_t)atoi(argv[2]), true, &n.log) < 0 ||
	    udp_open(&n.udp, 4500, false, true, &n.log) < 0)
		return 1;
	pkt_super_init(&n.super, n.super_buffer + TUN_HEADROOM, TUN_PACKET_MAX, n.tun.accept);
	for (;;) {
		struct pollfd f[] = {{.fd = n.tun.fd, .events = POLLIN},
				     {.fd = n.udp.fd, .events = POLLIN}};

		poll(f, ARRAY_SIZE(f), -1);
		if (f[1].revents)
			serve_udp(&n);
		if (f[0].revents)
			serve_tun(&n);
	}
}
