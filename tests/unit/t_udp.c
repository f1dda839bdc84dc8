/*
 * t_udp.c - sending trains through kernels that refuse them, have a full socket, or accept a part.
 * SPDX-License-Identifier: ISC
 *
 * The linker replaces sendmsg, sendmmsg and setsockopt by a simulated kernel (--wrap), which lists
 * the datagrams on the wire: each datagram of a train is sent once, in order, or counted as lost.
 */
#include "esp_fixture.h"
#include "udp.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#define WIRE_MAX 4096
#define OUTER	 28u

/* ---- the simulated kernel ---- */

struct sent {
	const uint8_t *p;
	uint32_t len;
	uint8_t to, tos;
	bool df;
};

static struct {
	uint32_t mtu[256];  /* path MTU by the last byte of the destination; 0: no limit */
	int refuses[256];   /* errno for trains of any size; 0: accepted */
	int dead[256];	    /* errno for everything */
	int too_long;	    /* errno for trains of datagrams that are too long */
	unsigned room;	    /* sends accepted until the socket is full */
	int full;	    /* errno of a full socket */
	unsigned interrupt; /* the next calls that fail with EINTR */
	int stale;	    /* errno of an earlier packet, which the next call returns */
	bool option_fails;
	/* what was seen */
	int discover; /* IP_MTU_DISCOVER */
	unsigned sendmsg, sendmmsg, setsockopt;
	struct sent wire[WIRE_MAX];
	unsigned sent;
	uint32_t local;
	unsigned from; /* control messages that set the source address */
} kernel;

static void kernel_init(void)
{
	memset(&kernel, 0, sizeof(kernel));
	kernel.room = UINT32_MAX;
	kernel.full = EAGAIN;
	kernel.too_long = EMSGSIZE;
	kernel.discover = IP_PMTUDISC_DONT;
}

static unsigned calls(void)
{
	return kernel.sendmsg + kernel.sendmmsg + kernel.setsockopt;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	(void)fd;
	assert_int_equal(level, IPPROTO_IP);
	assert_int_equal(name, IP_MTU_DISCOVER);
	assert_int_equal(len, sizeof(int));
	kernel.setsockopt++;
	if (kernel.option_fails) {
		errno = EPERM;
		return -1;
	}
	memcpy(&kernel.discover, value, sizeof(int));
	return 0;
}

/* Reads the control messages; returns the segment size, or 0 if there is none. */
static uint16_t read_control(struct msghdr *m, struct sent *s)
{
	uint16_t seg = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct in_pktinfo info;
		int tos;

		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_SEGMENT) {
			assert_int_equal(c->cmsg_len, CMSG_LEN(sizeof(seg)));
			memcpy(&seg, CMSG_DATA(c), sizeof(seg));
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
			memcpy(&tos, CMSG_DATA(c), sizeof(tos));
			s->tos = (uint8_t)tos;
		} else {
			assert_int_equal(c->cmsg_type, IP_PKTINFO);
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			kernel.local = ntohl(info.ipi_spec_dst.s_addr);
			kernel.from++;
		}
	}
	return seg;
}

/* As in Linux, the path MTU limits every train, but a single datagram only with DF. */
static int refusal(uint8_t to, uint16_t seg, uint32_t len)
{
	uint32_t mtu = kernel.mtu[to];

	if (kernel.dead[to])
		return kernel.dead[to];
	if (seg && kernel.refuses[to])
		return kernel.refuses[to];
	if (seg && mtu && seg + OUTER > mtu)
		return kernel.too_long;
	if (!seg && mtu && len + OUTER > mtu && kernel.discover == IP_PMTUDISC_DO)
		return EMSGSIZE;
	return 0;
}

static int transmit(struct msghdr *m)
{
	struct sockaddr_in sin;
	struct sent s = {.df = kernel.discover == IP_PMTUDISC_DO};
	uint16_t seg = read_control(m, &s);
	uint32_t len = (uint32_t)m->msg_iov->iov_len;
	int error;

	assert_int_equal(m->msg_iovlen, 1);
	assert_int_equal(m->msg_namelen, sizeof(sin));
	memcpy(&sin, m->msg_name, sizeof(sin));
	s.to = (uint8_t)ntohl(sin.sin_addr.s_addr);
	assert_true(seg == 0 || (len > seg && (len + seg - 1) / seg <= 64));
	error = kernel.room ? refusal(s.to, seg, len) : kernel.full;
	if (error)
		return error;
	kernel.room--;
	for (uint32_t at = 0; at < len; at += s.len) {
		s.p = (const uint8_t *)m->msg_iov->iov_base + at;
		s.len = (uint32_t)min_u64(seg ? seg : len, len - at);
		assert_true(kernel.sent < WIRE_MAX);
		kernel.wire[kernel.sent++] = s;
	}
	return 0;
}

static bool interrupted(void)
{
	if (kernel.interrupt == 0)
		return false;
	kernel.interrupt--;
	errno = EINTR;
	return true;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	struct msghdr copy = *m;
	int error;

	(void)fd;
	assert_int_equal(flags, MSG_DONTWAIT);
	kernel.sendmsg++;
	if (interrupted())
		return -1;
	error = transmit(&copy);
	errno = error;
	return error ? -1 : (ssize_t)m->msg_iov->iov_len;
}

int __wrap_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	(void)fd;
	assert_int_equal(flags, MSG_DONTWAIT);
	assert_in_range(n, 1, 64);
	kernel.sendmmsg++;
	if (interrupted())
		return -1;
	if (kernel.stale) {
		errno = kernel.stale;
		kernel.stale = 0;
		return -1;
	}
	for (unsigned i = 0; i < n; i++) {
		int error = transmit(&m[i].msg_hdr);

		if (error && i == 0) {
			errno = error;
			return -1;
		}
		if (error)
			return (int)i;
	}
	return (int)n;
}

/* ---- trains ---- */

static uint8_t sealed[65536];
static struct endpoint local, remote;

/* Makes a train to 198.51.100.to, from 192.0.2.1. */
static struct udp_train train(uint8_t to, uint16_t seg, uint32_t len, bool df)
{
	const uint8_t here[4] = {192, 0, 2, 1}, there[4] = {198, 51, 100, to};

	local = (struct endpoint){.addr = addr_from_bytes(FAMILY_IPV4, here), .port = 4500};
	remote = (struct endpoint){.addr = addr_from_bytes(FAMILY_IPV4, there), .port = 4500};
	return (struct udp_train){
		.local = &local, .remote = &remote, .df = df, .p = sealed, .len = len, .seg = seg};
}

struct result {
	uint32_t bytes;
	int error;
	uint64_t failed;
};

static struct result send_train(struct udp_socket *s, const struct udp_train *t, nsec_t now)
{
	struct result r = {.error = 1};

	r.bytes = udp_send_train(s, t, now, &r.error, &r.failed);
	return r;
}

static void assert_result(struct result r, uint32_t bytes, int error, uint64_t failed)
{
	assert_int_equal(r.bytes, bytes);
	assert_int_equal(r.error, error);
	assert_int_equal(r.failed, failed);
}

/* Asserts that the wire has exactly the bytes from `from` to `to`, in datagrams of seg bytes. */
static void assert_wire(uint32_t from, uint32_t to, uint16_t seg)
{
	uint32_t at = from;

	for (unsigned i = 0; i < kernel.sent; i++) {
		assert_ptr_equal(kernel.wire[i].p, sealed + at);
		assert_int_equal(kernel.wire[i].len, min_u64(seg, to - at));
		at += kernel.wire[i].len;
	}
	assert_int_equal(at, to);
	kernel.sent = 0;
}

static struct udp_socket new_socket(void)
{
	kernel_init();
	return (struct udp_socket){.fd = 99, .family = FAMILY_IPV4, .port = 4500, .segment = true};
}

#define NOW (1000 * NSEC_PER_SEC)

/* ---- tests ---- */

/*
 * A raw socket sends packets singly. The error of an earlier one costs none, but that of a packet
 * which is too long is its own.
 */
static void test_raw(void **state)
{
	struct udp_socket s = new_socket();
	struct udp_train t = train(7, 1000, 3500, true);

	(void)state;
	s.raw = true;
	kernel.stale = EMSGSIZE;
	assert_result(send_train(&s, &t, NOW), 3500, 0, 0);
	assert_wire(0, 3500, 1000);
	assert_int_equal(kernel.sendmsg, 0);
	kernel.mtu[7] = 900;
	assert_result(send_train(&s, &t, NOW), 3500, -EMSGSIZE, 3);
	assert_int_equal(kernel.sent, 1); /* the last one, of 500 bytes */
}

/* A train or a single datagram is one system call, with the right source address, TOS and
 * length. */
static void test_one_call(void **state)
{
	struct udp_socket s = new_socket();
	struct udp_train t = train(7, 1000, 3500, false);

	(void)state;
	t.tos = 0xb9;
	assert_result(send_train(&s, &t, NOW), 3500, 0, 0);
	assert_int_equal(calls(), 1);
	assert_int_equal(kernel.local, 0xc0000201);
	assert_int_equal(kernel.wire[0].tos, 0xb9);
	assert_int_equal(kernel.wire[0].to, 7);
	assert_wire(0, 3500, 1000);
	t = train(7, 1000, 1000, false);
	assert_result(send_train(&s, &t, NOW), 1000, 0, 0);
	assert_int_equal(calls(), 2);
	assert_wire(0, 1000, 1000);
	assert_int_equal(kernel.from, 2);
	local.addr = (struct addr){0}; /* no source address: the system chooses */
	assert_result(send_train(&s, &t, NOW), 1000, 0, 0);
	assert_int_equal(kernel.from, 2);
	assert_true(s.refused == 0);
}

/* DF is set with IP_PMTUDISC_DO (RFC 4301 8.1), as IP_PMTUDISC_WANT does not set it on trains of
 * more than one packet. The option is set only when DF changes. */
static void test_df(void **state)
{
	struct udp_socket s = new_socket();
	struct udp_train with = train(7, 1000, 3000, true), without = with;

	(void)state;
	without.df = false;
	for (unsigned i = 0; i < 3; i++) {
		send_train(&s, &with, NOW);
		assert_int_equal(kernel.setsockopt, 1);
		assert_int_equal(kernel.discover, IP_PMTUDISC_DO);
	}
	for (unsigned i = 0; i < 3; i++) {
		send_train(&s, &without, NOW);
		assert_int_equal(kernel.setsockopt, 2);
		assert_int_equal(kernel.discover, IP_PMTUDISC_DONT);
	}
	kernel.option_fails = true; /* after a failure the option is tried again */
	send_train(&s, &with, NOW);
	kernel.option_fails = false;
	send_train(&s, &with, NOW);
	assert_int_equal(kernel.discover, IP_PMTUDISC_DO);
}

/* With DF, datagrams that are too long for the path are lost, and EMSGSIZE is reported. */
static void test_too_long_for_the_path(void **state)
{
	struct udp_socket s = new_socket();
	struct udp_train t = train(7, 1000, 2200, true);

	(void)state;
	kernel.mtu[7] = 900;
	assert_result(send_train(&s, &t, NOW), 2200, -EMSGSIZE, 2);
	assert_int_equal(kernel.sent, 1); /* the short last datagram */
	assert_ptr_equal(kernel.wire[0].p, sealed + 2000);
	kernel.sent = 0;
	t = train(7, 1000, 1000, true);
	assert_result(send_train(&s, &t, NOW), 1000, -EMSGSIZE, 1);
	t = train(7, 1000, 2200, false); /* without DF: sent one by one, so that they may be
					  * fragmented */
	assert_result(send_train(&s, &t, NOW), 2200, 0, 0);
	assert_wire(0, 2200, 1000);
}

/* Without UDP segmentation offload, a train is sent with sendmmsg. */
static void test_without_segmentation(void **state)
{
	struct udp_socket s = new_socket();
	struct udp_train t = train(7, 100, 6350, false);

	(void)state;
	s.segment = false;
	assert_result(send_train(&s, &t, NOW), 6350, 0, 0);
	assert_int_equal(kernel.sendmmsg, 1);
	assert_int_equal(kernel.sendmsg, 0);
	assert_wire(0, 6350, 100);
	t = train(7, 100, 65500, false); /* more than one sendmmsg can take */
	assert_result(send_train(&s, &t, NOW), 65500, 0, 0);
	assert_wire(0, 65500, 100);
	assert_true(s.refused == 0);
}

/* A refused train is sent as single datagrams. For 10 s, trains to that destination are not tried
 * again. */
static void refused_train(int error, bool too_long)
{
	struct udp_socket s = new_socket();
	struct udp_train t = train(7, 1000, 3500, false);
	nsec_t now = NOW;

	kernel.mtu[7] = too_long ? 900 : 0;
	kernel.too_long = error;
	kernel.refuses[7] = too_long ? 0 : error;
	assert_result(send_train(&s, &t, now), 3500, error == EIO ? 0 : -EMSGSIZE, 0);
	assert_wire(0, 3500, 1000);
	assert_int_equal(kernel.sendmsg, 1);
	for (; now < NOW + 10 * NSEC_PER_SEC; now += NSEC_PER_SEC) {
		assert_result(send_train(&s, &t, now), 3500, 0, 0);
		assert_wire(0, 3500, 1000);
	}
	assert_int_equal(kernel.sendmsg, 1);
	assert_int_equal(kernel.sendmmsg, 11);
	assert_true(s.refused == 1);
	send_train(&s, &t, now); /* refused once more */
	send_train(&s, &t, now);
	assert_int_equal(kernel.sendmsg, 2);
	kernel.refuses[7] = 0;
	kernel.mtu[7] = 0;
	kernel.sent = 0;
	assert_result(send_train(&s, &t, now + 10 * NSEC_PER_SEC), 3500, 0, 0);
	assert_int_equal(kernel.sendmsg, 3);
	assert_int_equal(kernel.sendmmsg, 13);
	assert_wire(0, 3500, 1000);
}

/* With each errno by which kernels refuse trains. */
static void test_refused_trains(void **state)
{
	(void)state;
	refused_train(EIO, false);
	refused_train(EMSGSIZE, true);
	refused_train(EINVAL, true);
}

/* A destination that refuses trains does not affect other destinations. */
static void test_refusals_are_by_destination(void **state)
{
	struct udp_socket s = new_socket();
	struct udp_train t = train(7, 1000, 4000, false);

	(void)state;
	kernel.refuses[7] = EIO;
	send_train(&s, &t, NOW);
	for (unsigned to = 0; to < 256; to++) {
		t = train((uint8_t)to, 1000, 4000, false);
		kernel.sent = kernel.sendmsg = kernel.sendmmsg = 0;
		assert_result(send_train(&s, &t, NOW), 4000, 0, 0);
		assert_int_equal(kernel.sendmsg, to != 7);
		assert_int_equal(kernel.sendmmsg, to == 7);
	}
	assert_true(s.refused == 1);
}

/* After a refusal for size, trains of shorter datagrams are still sent; after EIO, no train is. */
static void test_refusals_are_by_size(void **state)
{
	struct udp_socket s = new_socket();
	struct udp_train t = train(7, 1400, 4000, false);

	(void)state;
	kernel.mtu[7] = 1000;
	send_train(&s, &t, NOW);
	t.seg = 972;
	kernel.sendmmsg = 0;
	assert_result(send_train(&s, &t, NOW), 4000, 0, 0);
	assert_int_equal(kernel.sendmmsg, 0);
	t.seg = 973; /* not yet known to be too long */
	assert_result(send_train(&s, &t, NOW), 4000, -EMSGSIZE, 0);
	assert_int_equal(kernel.sendmmsg, 1);
	kernel.sendmsg = 0;
	t.seg = 1200;
	assert_result(send_train(&s, &t, NOW), 4000, 0, 0);
	assert_int_equal(kernel.sendmsg, 0);
	kernel.refuses[8] = EIO;
	t = train(8, 1400, 4000, false);
	send_train(&s, &t, NOW);
	t.seg = 100;
	kernel.sendmsg = 0;
	assert_result(send_train(&s, &t, NOW), 4000, 0, 0);
	assert_int_equal(kernel.sendmsg, 0);
}

/* Refusals are correct with more refusing destinations than can be remembered, and no byte is
 * lost. */
static void test_many_refusals(void **state)
{
	struct udp_socket s = new_socket();

	(void)state;
	for (unsigned to = 0; to < 256; to++)
		kernel.refuses[to] = to % 2 ? EIO : 0;
	for (unsigned i = 0; i < 1024; i++) {
		struct udp_train t = train((uint8_t)(i * 37), 1000, 4000, false);

		kernel.sendmmsg = 0;
		assert_result(send_train(&s, &t, NOW + i), 4000, 0, 0);
		assert_int_equal(kernel.sendmmsg, kernel.refuses[(uint8_t)(i * 37)] ? 1 : 0);
		assert_wire(0, 4000, 1000);
	}
}

/* If the socket is full, nothing was sent, or, with single datagrams, a part; the caller continues
 * after it. */
static void test_full(void **state)
{
	struct udp_socket s = new_socket();
	struct udp_train t = train(7, 1000, 3500, false);

	(void)state;
	kernel.room = 0;
	assert_result(send_train(&s, &t, NOW), 0, -EAGAIN, 0);
	assert_int_equal(kernel.sendmmsg, 0); /* a full socket is no refusal */
	s.segment = false;
	assert_result(send_train(&s, &t, NOW), 0, -EAGAIN, 0);
	kernel.room = 2;
	assert_result(send_train(&s, &t, NOW), 2000, -EAGAIN, 0);
	t.p += 2000;
	t.len -= 2000;
	assert_result(send_train(&s, &t, NOW), 0, -EAGAIN, 0);
	kernel.room = 2;
	assert_result(send_train(&s, &t, NOW), 1500, 0, 0);
	assert_wire(0, 3500, 1000);
}

/*
 * With ENOBUFS the socket still polls as writable. It counts as full a few times in a row; then
 * trains are lost until a send succeeds.
 */
static void test_no_memory(void **state)
{
	struct udp_socket s = new_socket();
	struct udp_train t = train(7, 1000, 3000, false);
	struct result r;
	unsigned tries = 0;

	(void)state;
	kernel.room = 0;
	kernel.full = ENOBUFS;
	do {
		r = send_train(&s, &t, NOW);
		assert_true(++tries < 100);
	} while (r.error == -EAGAIN);
	assert_true(tries > 1);
	assert_result(r, 3000, -ENOBUFS, 3);
	for (unsigned i = 0; i < 10; i++) /* while it lasts, each train is lost at the first try */
		assert_result(send_train(&s, &t, NOW), 3000, -ENOBUFS, 3);
	kernel.room = 3;
	assert_result(send_train(&s, &t, NOW), 3000, 0, 0);
	assert_wire(0, 3000, 1000);
	assert_result(send_train(&s, &t, NOW), 0, -EAGAIN, 0); /* counts as full again */
}

/* Any successful send, of a train or of a datagram, starts the count of ENOBUFS again. */
static void test_no_memory_now_and_then(void **state)
{
	struct udp_socket s = new_socket();
	struct udp_train t = train(7, 1000, 3000, false);

	(void)state;
	kernel.full = ENOBUFS;
	for (unsigned i = 0; i < 100; i++) {
		t.len = i % 2 ? 3000 : 1000;
		kernel.room = 0;
		assert_result(send_train(&s, &t, NOW), 0, -EAGAIN, 0);
		kernel.room = 1;
		assert_result(send_train(&s, &t, NOW), t.len, 0, 0);
		kernel.sent = 0;
	}
	assert_true(s.refused == 0);
}

/* ENOBUFS for trains only: after some tries, single datagrams are sent. */
static void test_no_memory_for_trains(void **state)
{
	struct udp_socket s = new_socket();
	struct udp_train t = train(7, 1000, 3000, false);
	unsigned tries = 0;

	(void)state;
	kernel.refuses[7] = ENOBUFS;
	while (send_train(&s, &t, NOW).error == -EAGAIN)
		assert_true(++tries < 100);
	assert_wire(0, 3000, 1000);
	kernel.sendmsg = 0;
	assert_result(send_train(&s, &t, NOW), 3000, 0, 0);
	assert_int_equal(kernel.sendmsg, 0);
	assert_true(s.refused == 1);
}

/* EINTR is tried again. */
static void test_interrupted(void **state)
{
	struct udp_socket s = new_socket();
	struct udp_train t = train(7, 1000, 3000, false);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		s.segment = i == 0;
		kernel.interrupt = 3;
		assert_result(send_train(&s, &t, NOW), 3000, 0, 0);
		assert_wire(0, 3000, 1000);
	}
}

/* An unreachable destination costs one system call; each datagram counts as failed, and no refusal
 * is remembered. */
static void test_unreachable(void **state)
{
	static const int errors[] = {ENETUNREACH, EHOSTUNREACH, EPERM, ENETDOWN};
	struct udp_socket s = new_socket();
	struct udp_train t = train(7, 1000, 3500, true);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		kernel.dead[7] = errors[i];
		kernel.sendmsg = 0;
		assert_result(send_train(&s, &t, NOW), 3500, -errors[i], 4);
		assert_int_equal(kernel.sendmsg, 1);
		assert_int_equal(kernel.sendmmsg, 0);
	}
	s.segment = false;
	assert_result(send_train(&s, &t, NOW), 3500, -ENETDOWN, 4);
	s.segment = true;
	kernel.dead[7] = 0;
	assert_result(send_train(&s, &t, NOW), 3500, 0, 0);
	assert_wire(0, 3500, 1000);
	assert_true(s.refused == 0);
}

/* Sends the whole train, in as many calls as it takes; datagrams not on the wire must be counted as
 * failed. */
static void send_through(struct udp_socket *s, struct udp_train *t, nsec_t now,
			 struct fixture_rng *r)
{
	uint32_t count = (t->len + t->seg - 1) / t->seg, len = t->len;
	const uint8_t *last = NULL;
	uint64_t failed = 0;
	int error;

	kernel.sent = 0;
	while (t->len) {
		uint32_t sent = udp_send_train(s, t, now, &error, &failed);

		assert_true(sent == t->len || (error == -EAGAIN && sent < t->len));
		assert_true(sent % t->seg == 0 || sent == t->len);
		t->p += sent;
		t->len -= sent;
		kernel.room = 1 + (uint32_t)fixture_below(r, 40);
	}
	for (unsigned i = 0; i < kernel.sent; i++) {
		const struct sent *w = &kernel.wire[i];

		assert_true(last == NULL || w->p > last);
		assert_int_equal((w->p - sealed) % t->seg, 0);
		assert_int_equal(w->len, min_u64(t->seg, len - (uint32_t)(w->p - sealed)));
		assert_int_equal(w->df, t->df);
		last = w->p;
	}
	assert_int_equal(kernel.sent + failed, count);
}

/* With random refusals, limits and full sockets, no byte is sent twice or out of order, and each
 * datagram is sent or counted. */
static void test_any_kernel(void **state)
{
	static const int refusals[] = {0, 0, EIO, EINVAL, EMSGSIZE};
	struct udp_socket s = new_socket();
	struct fixture_rng r;
	nsec_t now = NOW;

	(void)state;
	fixture_rng_init(&r, 4500);
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t to = (uint8_t)fixture_below(&r, 8);
		uint16_t seg = (uint16_t)(1 + fixture_below(&r, 1400));
		uint32_t len = (uint32_t)min_u64(1 + fixture_below(&r, 64 * seg), 65507);
		struct udp_train t = train(to, seg, len, fixture_chance(&r, 50));

		if (fixture_chance(&r, 20)) {
			kernel.mtu[to] =
				fixture_chance(&r, 50) ? 0 : (uint32_t)fixture_below(&r, 1500);
			kernel.refuses[to] = refusals[fixture_below(&r, ARRAY_SIZE(refusals))];
			kernel.too_long = fixture_chance(&r, 50) ? EMSGSIZE : EINVAL;
			kernel.full = fixture_chance(&r, 90) ? EAGAIN : ENOBUFS;
			now += fixture_below(&r, 4) * NSEC_PER_SEC;
		}
		kernel.interrupt = fixture_chance(&r, 5);
		send_through(&s, &t, now, &r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_call),
		cmocka_unit_test(test_raw),
		cmocka_unit_test(test_df),
		cmocka_unit_test(test_too_long_for_the_path),
		cmocka_unit_test(test_without_segmentation),
		cmocka_unit_test(test_refused_trains),
		cmocka_unit_test(test_refusals_are_by_destination),
		cmocka_unit_test(test_refusals_are_by_size),
		cmocka_unit_test(test_many_refusals),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_no_memory_now_and_then),
		cmocka_unit_test(test_no_memory_for_trains),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_any_kernel),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
