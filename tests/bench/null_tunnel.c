/*
 * null_tunnel.c - forwards packets between TUN and UDP with the same source files as mendipd, but
 * without ESP: the rate that would be possible if ESP took no time. SPDX-License-Identifier: ISC
 *
 * usage: null_tunnel DEVICE MTU REMOTE [openssl|ipsec-mb]
 *
 * Each packet gets as many bytes around it as ESP with AES-GCM adds, so that trains have the same
 * sizes. With a back end, packets are also sealed and opened, with AES-128-GCM and a fixed key, to
 * measure the cost of the cipher alone. There are no SAs, sequence numbers, replay windows or
 * traffic selectors.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tun.h"
#include "udp.h"
#include "xalloc.h"
#include "crypto/aead.h"

#define AAD	  8  /* SPI and sequence number */
#define BEFORE	  16 /* AAD and IV */
#define ICV	  16
#define AFTER	  (2 + ICV) /* trailer and ICV */
#define RECEIVES  16
#define TRAIN_MAX 65507

struct null_tunnel {
	struct tun tun;
	struct tun_counters counters;
	struct udp_socket udp;
	struct endpoint remote, any;
	struct log log;
	uint8_t *buffer, *train, *received, *super_buffer;
	uint32_t len, count;
	uint16_t seg;
	struct pkt_super super;
	uint64_t failed, number;
	struct aead_key *key; /* NULL: no cryptography */
	struct aead_op op[ESP_BATCH];
};

static uint32_t frame_len(uint32_t len)
{
	return (BEFORE + len + AFTER + 3) / 4 * 4;
}

/* Sets the i-th AEAD operation for a packet of `size` bytes at p. */
static void prepare(struct null_tunnel *n, uint32_t i, uint8_t *p, uint32_t size)
{
	n->op[i] = (struct aead_op){.key = n->key,
				    .aad = p,
				    .aad_len = AAD,
				    .iv = p + AAD,
				    .src = p + BEFORE,
				    .dst = p + BEFORE,
				    .icv = p + size - ICV,
				    .len = size - BEFORE - ICV};
}

static nsec_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (nsec_t)t.tv_sec * NSEC_PER_SEC + (nsec_t)t.tv_nsec;
}

static void send_train(struct null_tunnel *n)
{
	struct udp_train t = {.local = &n->any,
			      .remote = &n->remote,
			      .p = n->train,
			      .len = n->len,
			      .seg = n->seg};
	int error = -EAGAIN;

	if (n->key)
		aead_seal_many(n->op, n->count);
	while (t.len > 0) {
		uint32_t sent = udp_send_train(&n->udp, &t, now(), &error, &n->failed);
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
	uint8_t *p;

	if (n->count && (n->count == ESP_BATCH || size > n->seg || n->len + size > TRAIN_MAX ||
			 n->len % n->seg))
		send_train(n);
	if (n->count == 0)
		n->seg = (uint16_t)size;
	p = n->train + n->len;
	memset(p, 1, AAD);
	put_be64(p + AAD, n->number++);
	seg_write(plan, i, p + BEFORE);
	if (n->key)
		prepare(n, n->count, p, size);
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

	if (inner_parse(p + BEFORE, len - BEFORE, &in) < 0)
		return;
	if (!pkt_super_add(&n->super, p + BEFORE, &in)) {
		tun_write(&n->tun, &n->super);
		(void)pkt_super_add(&n->super, p + BEFORE, &in);
	}
}

/* Opens and delivers up to ESP_BATCH datagrams of g from *at on, in order, and advances *at. */
static void open_batch(struct null_tunnel *n, const struct udp_datagram *g, uint32_t *at)
{
	uint8_t *from[ESP_BATCH];
	uint32_t len[ESP_BATCH], count = 0;

	for (; *at < g->len && count < ESP_BATCH; *at += g->seg) {
		from[count] = g->p + *at;
		len[count] = (uint32_t)min_u64(g->seg, g->len - *at);
		if (len[count] < BEFORE + AFTER)
			continue;
		prepare(n, count, from[count], len[count]);
		count++;
	}
	if (n->key)
		aead_open_many(n->op, count);
	for (uint32_t i = 0; i < count; i++) {
		if (!n->key || n->op[i].ok)
			deliver(n, from[i], len[i]);
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
		for (uint32_t at = 0; at < g[i].len;)
			open_batch(n, &g[i], &at);
	}
	tun_write(&n->tun, &n->super);
}

static void to_stderr(void *ctx, enum log_level level, const char *text)
{
	(void)ctx;
	(void)level;
	fprintf(stderr, "null_tunnel: %s\n", text);
}

/* Both ends have the same key; each counts its IVs from a random start. */
static int choose_cipher(struct null_tunnel *n, const char *backend)
{
	const struct suite *suite = suite_find(ENCR_AES_GCM_16, 128, INTEG_NONE);
	const uint8_t secret[SUITE_MAX_KEY] = {1, 2, 3};
	enum aead_choice choice = strcmp(backend, "openssl") ? AEAD_IPSEC_MB : AEAD_OPENSSL;
	char err[256];

	if (aead_init(choice, err, sizeof(err)) < 0) {
		fprintf(stderr, "null_tunnel: %s\n", err);
		return -1;
	}
	n->key = aead_key_new(suite, secret, secret);
	rng_system.fill(&rng_system, &n->number, sizeof(n->number));
	return n->key && strcmp(aead_backend_name(n->key), backend) == 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
	static struct null_tunnel n = {.log = {.level = LOG_LEVEL_INFO, .sink = to_stderr}};

	if (argc < 4 || argc > 5 || addr_parse(argv[3], &n.remote.addr) < 0) {
		fprintf(stderr, "usage: null_tunnel DEVICE MTU REMOTE [openssl|ipsec-mb]\n");
		return 2;
	}
	if (argc == 5 && choose_cipher(&n, argv[4]) < 0)
		return 1;
	n.remote.port = 4500;
	n.buffer = xzalloc(TUN_BUFFER);
	n.train = xzalloc(ESP_BUFFER_MAX);
	n.received = xzalloc((size_t)RECEIVES * TUN_PACKET_MAX);
	n.super_buffer = xzalloc(TUN_BUFFER);
	snprintf(n.tun.name, sizeof(n.tun.name), "%s", argv[1]);
	n.tun.counters = &n.counters;
	if (tun_open(&n.tun, (uint32_t)atoi(argv[2]), true, &n.log) < 0 ||
	    udp_open(&n.udp, FAMILY_IPV4, 4500, false, (struct udp_offloads){true, true}, &n.log) <
		    0)
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
