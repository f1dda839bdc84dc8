/*
 * t_tun.c - the TUN device on kernels that lack offloads, refuse super-packets, or lose the device.
 * SPDX-License-Identifier: ISC
 *
 * The linker replaces open, close, ioctl, read and write, and three calls of libnl, by a simulated
 * kernel (--wrap).
 */
#include "esp_fixture.h"
#include "packet/checksum.h"
#include "tun.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define TUN_FD	    777
#define CSUM	    TUN_F_CSUM
#define TSO	    (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)
#define USO	    (TSO | TUN_F_USO4 | TUN_F_USO6)
#define PACKETS_MAX 256

/* ---- the simulated kernel ---- */

static struct {
	/* what it supports */
	unsigned offloads; /* TUN_F_* that TUNSETOFFLOAD accepts */
	bool none_at_all;  /* TUNSETOFFLOAD fails even for 0 */
	bool no_vnet;
	int open_error, attach_error, link_error;
	unsigned refuses; /* super-packets of these kinds: bits by enum pkt_gso */
	int write_error;
	int cut; /* bytes that each write leaves out */
	unsigned interrupt;
	/* the device, as its last user left it */
	unsigned set;
	int header_size, flags;
	uint32_t mtu;
	bool up;
	unsigned closed;
	/* what was written: GSO type, length, bytes */
	uint8_t type[PACKETS_MAX], b[PACKETS_MAX][2048];
	uint32_t len[PACKETS_MAX];
	unsigned written, writes;
	/* what is read */
	const uint8_t *packet;
	int packet_len; /* or a negative errno */
} kernel;

static void kernel_init(void)
{
	memset(&kernel, 0, sizeof(kernel));
	kernel.offloads = USO;
	kernel.set = USO;
	kernel.header_size = 12;
}

static int refuse(int error)
{
	errno = error;
	return -1;
}

int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	assert_string_equal(path, "/dev/net/tun");
	assert_int_equal(flags, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	return kernel.open_error ? refuse(kernel.open_error) : TUN_FD;
}

int __wrap_close(int fd);
int __wrap_close(int fd)
{
	assert_int_equal(fd, TUN_FD);
	kernel.closed++;
	return 0;
}

static int attach(const struct ifreq *ifr)
{
	if (kernel.attach_error)
		return refuse(kernel.attach_error);
	if (kernel.no_vnet && (ifr->ifr_flags & IFF_VNET_HDR))
		return refuse(EINVAL);
	assert_string_equal(ifr->ifr_name, "tun9");
	kernel.flags = ifr->ifr_flags;
	return 0;
}

/* As in Linux, unknown flags, and USO4 without USO6 or the reverse, are refused. */
static int set_offload(unsigned flags)
{
	unsigned uso = flags & (TUN_F_USO4 | TUN_F_USO6);

	if (kernel.none_at_all || (flags & ~kernel.offloads) ||
	    (uso && uso != (TUN_F_USO4 | TUN_F_USO6)) || (flags && !(flags & CSUM)))
		return refuse(EINVAL);
	kernel.set = flags;
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	unsigned long arg;

	assert_int_equal(fd, TUN_FD);
	va_start(ap, request);
	arg = va_arg(ap, unsigned long);
	va_end(ap);
	switch (request) {
	case TUNSETIFF: return attach((const struct ifreq *)arg);
	case TUNSETOFFLOAD: return set_offload((unsigned)arg);
	case TUNSETVNETHDRSZ: kernel.header_size = *(const int *)arg; return 0;
	default: return refuse(ENOTTY);
	}
}

int __wrap_nl_connect(struct nl_sock *s, int protocol);
int __wrap_nl_connect(struct nl_sock *s, int protocol)
{
	(void)s;
	(void)protocol;
	return kernel.link_error;
}

int __wrap_rtnl_link_get_kernel(struct nl_sock *s, int index, const char *name,
				struct rtnl_link **ret);
int __wrap_rtnl_link_get_kernel(struct nl_sock *s, int index, const char *name,
				struct rtnl_link **ret)
{
	(void)s;
	(void)index;
	assert_string_equal(name, "tun9");
	*ret = rtnl_link_alloc();
	return 0;
}

int __wrap_rtnl_link_change(struct nl_sock *s, struct rtnl_link *old, struct rtnl_link *new,
			    int flags);
int __wrap_rtnl_link_change(struct nl_sock *s, struct rtnl_link *old, struct rtnl_link *new,
			    int flags)
{
	(void)s;
	(void)old;
	(void)flags;
	kernel.mtu = rtnl_link_get_mtu(new);
	if (rtnl_link_get_flags(new) & IFF_UP)
		kernel.up = true;
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

ssize_t __wrap_read(int fd, void *buf, size_t n);
ssize_t __wrap_read(int fd, void *buf, size_t n)
{
	assert_int_equal(fd, TUN_FD);
	if (interrupted())
		return -1;
	if (kernel.packet_len < 0)
		return refuse(-kernel.packet_len);
	assert_true((size_t)kernel.packet_len <= n);
	memcpy(buf, kernel.packet, (size_t)kernel.packet_len);
	return kernel.packet_len;
}

/* GSO types, with their values in struct virtio_net_hdr. */
static enum pkt_gso gso_of(uint8_t type)
{
	return type == 1   ? PKT_GSO_TCP4
	       : type == 4 ? PKT_GSO_TCP6
	       : type == 5 ? PKT_GSO_UDP
			   : PKT_GSO_NONE;
}

ssize_t __wrap_write(int fd, const void *buf, size_t n);
ssize_t __wrap_write(int fd, const void *buf, size_t n)
{
	unsigned head = kernel.flags & IFF_VNET_HDR ? (unsigned)kernel.header_size : 0;
	const uint8_t *p = buf;
	uint8_t type = head ? p[1] : 0;

	assert_int_equal(fd, TUN_FD);
	kernel.writes++;
	if (interrupted())
		return -1;
	if (kernel.write_error)
		return refuse(kernel.write_error);
	if (type && (kernel.refuses >> gso_of(type) & 1))
		return refuse(EINVAL);
	assert_true(kernel.written < PACKETS_MAX && n - head <= sizeof(kernel.b[0]));
	kernel.type[kernel.written] = type;
	kernel.len[kernel.written] = (uint32_t)n - head;
	memcpy(kernel.b[kernel.written++], p + head, n - head);
	if (kernel.cut)
		errno = EINVAL; /* left by an earlier call; says nothing about this one */
	return (ssize_t)n - kernel.cut;
}

/* ---- helpers ---- */

static char logged[512];
static struct tun_counters counters; /* of the device opened last */

static void keep(void *ctx, enum log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	snprintf(logged, sizeof(logged), "%s", line);
}

static int open_tun(struct tun *t, bool offload)
{
	struct log log;

	*logged = 0;
	log_init(&log, LOG_LEVEL_DEBUG, keep, NULL);
	counters = (struct tun_counters){0};
	*t = (struct tun){.name = "tun9", .device = 3, .counters = &counters};
	return tun_open(t, 1400, offload, &log);
}

static const char *offloads(const struct tun *t)
{
	static char buf[64];

	return tun_offloads(t, buf, sizeof(buf));
}

/* Makes packet `index` of a TCP flow, with 100 bytes of payload; returns its length. */
static uint32_t tcp_packet(bool v6, uint32_t index, uint8_t *p)
{
	uint32_t l3 = v6 ? 40 : 20, len = l3 + 20 + 100, l4_len = len - l3;
	uint8_t *q = p + l3;
	uint32_t pseudo;

	memset(p, 0, len);
	if (v6) {
		p[0] = 0x60;
		put_be16(p + 4, (uint16_t)l4_len);
		p[6] = PROTO_TCP;
		p[8] = p[24] = 0xfd;
		p[25] = 1;
	} else {
		p[0] = 0x45;
		put_be16(p + 2, (uint16_t)len);
		put_be16(p + 4, (uint16_t)(77 + index));
		p[6] = 0x40;
		p[9] = PROTO_TCP;
		p[12] = p[16] = 10;
		p[17] = 1;
		put_be16(p + 10, (uint16_t)~csum(p, 20, 0));
	}
	put_be32(q + 4, index * 100);
	q[12] = 0x50;
	q[13] = 0x10;
	memset(q + 20, (int)(index + 1), 100);
	pseudo = csum(v6 ? p + 8 : p + 12, v6 ? 32 : 8, PROTO_TCP + l4_len);
	put_be16(q + 16, (uint16_t)~csum(q, l4_len, pseudo));
	return len;
}

/* A device, and a buffer for what is written to it. */
struct room {
	struct tun t;
	struct pkt_super super;
	uint8_t b[TUN_BUFFER];
};

static struct room *room_open(bool offload)
{
	struct room *r = malloc(sizeof(*r));

	assert_int_equal(open_tun(&r->t, offload), 0);
	pkt_super_init(&r->super, r->b + TUN_HEADROOM, TUN_PACKET_MAX, r->t.accept);
	return r;
}

static struct room *room_new(bool offload)
{
	kernel_init();
	return room_open(offload);
}

static void room_free(struct room *r)
{
	tun_close(&r->t);
	free(r);
}

/* Adds a flow's packets as the data loop does, and writes super-packets that are full. */
static void add_run(struct room *r, bool v6, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint8_t p[200];
		uint32_t len = tcp_packet(v6, i, p);
		struct inner in;

		assert_int_equal(inner_parse(p, len, &in), 0);
		if (!pkt_super_add(&r->super, p, &in)) {
			tun_write(&r->t, &r->super);
			assert_true(pkt_super_add(&r->super, p, &in));
		}
	}
}

/* Writes `count` packets of the flow to the device. */
static void write_run(struct room *r, bool v6, unsigned count)
{
	kernel.written = kernel.writes = 0;
	add_run(r, v6, count);
	tun_write(&r->t, &r->super);
	assert_int_equal(r->super.len, 0);
}

/* Asserts that the device got the `count` packets one by one, unchanged. */
static void assert_singly(bool v6, unsigned count)
{
	assert_int_equal(kernel.written, count);
	for (unsigned i = 0; i < count; i++) {
		uint8_t p[200];
		uint32_t len = tcp_packet(v6, i, p);

		assert_int_equal(kernel.type[i], 0);
		assert_int_equal(kernel.len[i], len);
		assert_memory_equal(kernel.b[i], p, len);
	}
}

/* ---- opening ---- */

/* The device gets the largest set of offloads that the kernel accepts. */
static void test_offloads(void **state)
{
	static const struct {
		unsigned has, set;
		const char *text;
	} steps[] = {{USO, USO, "csum tso4 tso6 uso"},
		     {USO & ~TUN_F_USO6, TSO, "csum tso4 tso6"},
		     {TSO, TSO, "csum tso4 tso6"},
		     {TSO & ~TUN_F_TSO6, CSUM, "csum"},
		     {CSUM, CSUM, "csum"},
		     {0, 0, "none"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct tun t;

		kernel_init();
		kernel.offloads = steps[i].has;
		assert_int_equal(open_tun(&t, true), 0);
		assert_true(t.vnet);
		assert_int_equal(kernel.flags, IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);
		assert_int_equal(kernel.set, steps[i].set);
		assert_string_equal(offloads(&t), steps[i].text);
		assert_true(kernel.up);
		assert_int_equal(kernel.mtu, 1400);
		tun_close(&t);
		assert_int_equal(kernel.closed, 1);
	}
}

/* A persistent device keeps the settings of its last user; they must be reset. */
static void test_persistent(void **state)
{
	struct tun t;

	(void)state;
	kernel_init();
	assert_int_equal(open_tun(&t, false), 0);
	assert_false(t.vnet);
	assert_int_equal(kernel.flags, IFF_TUN | IFF_NO_PI);
	assert_int_equal(kernel.set, 0);
	assert_string_equal(offloads(&t), "none");
	tun_close(&t);
	kernel_init();
	kernel.no_vnet = true;
	assert_int_equal(open_tun(&t, true), 0);
	assert_false(t.vnet);
	assert_int_equal(kernel.set, 0);
	tun_close(&t);
	kernel_init();
	assert_int_equal(open_tun(&t, true), 0);
	assert_int_equal(kernel.header_size, VNET_HEADER_LEN);
	tun_close(&t);
}

/* If not even "no offloads" can be set, the device is used, and the log has a warning. */
static void test_offloads_fixed(void **state)
{
	struct tun t;

	(void)state;
	kernel_init();
	kernel.none_at_all = true;
	assert_int_equal(open_tun(&t, true), 0);
	assert_non_null(strstr(logged, "offloads of its last user"));
	assert_string_equal(offloads(&t), "none");
	tun_close(&t);
}

/* Errors while opening are logged with their likely cause. */
static void test_open_refused(void **state)
{
	struct tun t;

	(void)state;
	kernel_init();
	kernel.open_error = ENOENT;
	assert_int_equal(open_tun(&t, true), -ENOENT);
	assert_non_null(strstr(logged, "is the tun module loaded?"));
	tun_close(&t); /* does nothing */
	assert_int_equal(kernel.closed, 0);
	kernel_init();
	kernel.attach_error = EBUSY;
	assert_int_equal(open_tun(&t, true), -EBUSY);
	assert_non_null(strstr(logged, "another process has it"));
	assert_int_equal(kernel.closed, 1);
	kernel_init();
	kernel.attach_error = EPERM;
	assert_int_equal(open_tun(&t, false), -EPERM);
	assert_non_null(strstr(logged, "needs CAP_NET_ADMIN"));
	assert_int_equal(kernel.closed, 1);
	kernel_init();
	kernel.link_error = -NLE_NOMEM;
	assert_int_equal(open_tun(&t, true), -EIO);
	assert_non_null(strstr(logged, "cannot be brought up"));
	assert_int_equal(kernel.closed, 1);
}

/* The MTU can be changed later. */
static void test_mtu(void **state)
{
	struct room *r = room_new(true);

	(void)state;
	kernel.up = false; /* if its owner has taken the device down, it stays down */
	assert_int_equal(tun_set_mtu(&r->t, 1280), 0);
	assert_int_equal(kernel.mtu, 1280);
	assert_false(kernel.up);
	kernel.link_error = -NLE_NOMEM;
	assert_int_equal(tun_set_mtu(&r->t, 1400), -EIO);
	room_free(r);
}

/* ---- reading ---- */

static int read_bytes(struct room *r, const void *p, int len, struct esp_out *out)
{
	kernel.packet = p;
	kernel.packet_len = len;
	return tun_read(&r->t, r->b, out);
}

/* A packet is read with its offload header, and without one. */
static void test_read(void **state)
{
	uint8_t p[VNET_HEADER_LEN + 200] = {0};
	int len = (int)tcp_packet(false, 0, p + VNET_HEADER_LEN);
	struct room *r = room_new(true);
	struct esp_out out;

	(void)state;
	p[0] = 1; /* NEEDS_CSUM */
	p[1] = 1; /* TCPV4 */
	p[4] = 50;
	p[6] = 20;
	p[8] = 16;
	assert_int_equal(read_bytes(r, p, VNET_HEADER_LEN + len, &out), 1);
	assert_int_equal(out.len, len);
	assert_memory_equal(out.pkt, p + VNET_HEADER_LEN, (size_t)len);
	assert_int_equal(out.off.gso, PKT_GSO_TCP4);
	assert_int_equal(out.off.gso_size, 50);
	assert_int_equal(out.off.csum_start, 20);
	room_free(r);
	r = room_new(false);
	assert_int_equal(read_bytes(r, p + VNET_HEADER_LEN, len, &out), 1);
	assert_int_equal(out.len, len);
	assert_memory_equal(out.pkt, p + VNET_HEADER_LEN, (size_t)len);
	assert_int_equal(out.off.gso, PKT_GSO_NONE);
	assert_true(counters.read == 1 && counters.bad_headers == 0);
	room_free(r);
}

/* A packet that is too short, or has an invalid offload header, is dropped and counted. */
static void test_read_bad(void **state)
{
	uint8_t p[VNET_HEADER_LEN + 1] = {0};
	struct room *r = room_new(true);
	struct esp_out out;

	(void)state;
	for (int len = 0; len <= VNET_HEADER_LEN; len++)
		assert_int_equal(read_bytes(r, p, len, &out), -EBADMSG);
	assert_true(counters.bad_headers == VNET_HEADER_LEN + 1);
	assert_int_equal(read_bytes(r, p, VNET_HEADER_LEN + 1, &out), 1);
	p[1] = 3; /* UFO */
	assert_int_equal(read_bytes(r, p, VNET_HEADER_LEN + 1, &out), -EBADMSG);
	assert_true(counters.bad_headers == VNET_HEADER_LEN + 2);
	room_free(r);
	r = room_new(false);
	assert_int_equal(read_bytes(r, p, 0, &out), -EBADMSG);
	assert_int_equal(read_bytes(r, p, 1, &out), 1);
	room_free(r);
}

/* A packet of TUN_PACKET_MAX bytes ends exactly at the end of the buffer. */
static void test_read_longest(void **state)
{
	static const uint8_t p[VNET_HEADER_LEN + TUN_PACKET_MAX];
	struct room *r = room_new(true);
	struct esp_out out;

	(void)state;
	assert_int_equal(read_bytes(r, p, sizeof(p), &out), 1);
	assert_int_equal(out.len, TUN_PACKET_MAX);
	assert_ptr_equal(out.pkt + out.len, r->b + TUN_BUFFER);
	room_free(r);
}

/*
 * EINVAL is one packet that the kernel could not describe and has dropped (tun_put_user): the
 * device is still usable. After EBADFD and the like it is not.
 */
static void test_read_errors(void **state)
{
	static const int nothing[] = {EAGAIN, EINTR}, one[] = {EINVAL, ENOMEM, ENOBUFS},
			 gone[] = {EBADFD, EIO, EBADF, ENODEV, EFAULT};
	struct room *r = room_new(true);
	struct esp_out out;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(nothing); i++)
		assert_int_equal(read_bytes(r, NULL, -nothing[i], &out), 0);
	assert_true(counters.read == 0 && counters.bad_headers == 0);
	for (size_t i = 0; i < ARRAY_SIZE(one); i++)
		assert_int_equal(read_bytes(r, NULL, -one[i], &out), -EBADMSG);
	assert_true(counters.bad_headers == ARRAY_SIZE(one));
	for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
		assert_int_equal(read_bytes(r, NULL, -gone[i], &out), -EIO);
	room_free(r);
}

/* ---- writing ---- */

/* With offloads, ten packets are one super-packet; without, they are written singly. */
static void test_write(void **state)
{
	struct room *r = room_new(true);

	(void)state;
	tun_write(&r->t, &r->super); /* empty: nothing is written */
	assert_int_equal(kernel.writes, 0);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		write_run(r, v6, 10);
		assert_int_equal(kernel.written, 1);
		assert_int_equal(kernel.type[0], v6 ? 4 : 1);
		assert_int_equal(kernel.len[0], (v6 ? 60 : 40) + 1000);
		write_run(r, v6, 1);
		assert_singly(v6, 1);
	}
	assert_true(counters.written == 4 && counters.write_errors == 0);
	room_free(r);
	r = room_new(false);
	write_run(r, false, 10);
	assert_singly(false, 10);
	room_free(r);
}

/* When a super-packet is refused, its packets are written singly, unchanged. That kind is then not
 * used for a while.
 */
static void test_refused_run(void **state)
{
	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct room *r = room_new(true);
		unsigned rest;

		kernel.refuses = 1u << (v6 ? PKT_GSO_TCP6 : PKT_GSO_TCP4);
		write_run(r, v6, 10);
		assert_singly(v6, 10);
		assert_int_equal(kernel.writes, 11);
		assert_true(counters.refused_runs == 1 && counters.write_errors == 0);
		assert_string_equal(offloads(&r->t), v6 ? "csum tso4 uso" : "csum tso6 uso");
		write_run(r, v6, 10); /* not tried as one */
		assert_singly(v6, 10);
		assert_int_equal(kernel.writes, 10);
		write_run(r, !v6, 10); /* the other kind is still used */
		assert_int_equal(kernel.written, 1);
		kernel.refuses = 0;
		for (rest = 0; rest < 100000; rest++) {
			write_run(r, v6, 10);
			if (kernel.written == 1)
				break;
			assert_singly(v6, 10);
		}
		assert_in_range(rest, 100, 5000); /* times 10 packets */
		assert_string_equal(offloads(&r->t), "csum tso4 tso6 uso");
		assert_true(counters.refused_runs == 1);
		room_free(r);
	}
}

/* If a kind is always refused, it is tried only now and then, and no packet is lost. */
static void test_refused_for_ever(void **state)
{
	struct room *r = room_new(true);

	(void)state;
	kernel.refuses = 1u << PKT_GSO_TCP4;
	for (unsigned i = 0; i < 10000; i++) {
		write_run(r, false, 10);
		assert_singly(false, 10);
	}
	assert_in_range(counters.refused_runs, 2, 20);
	assert_true(counters.write_errors == 0);
	room_free(r);
}

/* When a kind is tried again, offloads that the kernel does not have stay off. */
static void test_offered_only(void **state)
{
	struct room *r;

	(void)state;
	kernel_init();
	kernel.offloads = TSO;
	r = room_open(true);
	kernel.refuses = 1u << PKT_GSO_TCP4;
	write_run(r, false, 10);
	kernel.refuses = 0;
	for (unsigned i = 0; i < 10000; i++)
		write_run(r, false, 10);
	assert_string_equal(offloads(&r->t), "csum tso4 tso6");
	room_free(r);
}

/* A full queue or lack of memory is no refusal. Each packet or super-packet that fails is counted
 * once. */
static void test_write_errors(void **state)
{
	static const int errors[] = {EAGAIN, ENOBUFS, ENOMEM, EIO, EBADFD};
	struct room *r = room_new(true);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		kernel.write_error = errors[i];
		write_run(r, false, 10);
		assert_int_equal(kernel.writes, 1);
		assert_true(counters.write_errors == i + 1);
	}
	kernel.write_error = EINVAL;
	write_run(r, false, 1); /* a single packet cannot be split */
	assert_int_equal(kernel.writes, 1);
	assert_true(counters.write_errors == ARRAY_SIZE(errors) + 1);
	assert_true(counters.refused_runs == 0 && counters.written == 0);
	write_run(r, false, 10); /* the super-packet is refused, and so is each of its packets */
	assert_true(counters.write_errors == ARRAY_SIZE(errors) + 11);
	assert_true(counters.refused_runs == 1);
	r->super.len = 100; /* not a packet: cannot be split either */
	r->super.off.gso = PKT_GSO_TCP4;
	memset(r->super.base, 0xff, 100);
	tun_write(&r->t, &r->super);
	assert_true(counters.write_errors == ARRAY_SIZE(errors) + 12);
	room_free(r);
}

/* A short write is a failure, whatever the stale errno says; the packets are not written again. */
static void test_short_write(void **state)
{
	struct room *r = room_new(true);

	(void)state;
	kernel.cut = 1;
	write_run(r, false, 10);
	assert_int_equal(kernel.writes, 1);
	assert_true(counters.write_errors == 1 && counters.refused_runs == 0 &&
		    counters.written == 0);
	room_free(r);
}

/* EINTR is tried again. */
static void test_interrupted(void **state)
{
	struct room *r = room_new(true);

	(void)state;
	kernel.interrupt = 3;
	write_run(r, false, 10);
	assert_int_equal(kernel.written, 1);
	assert_true(counters.write_errors == 0);
	room_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offloads),
		cmocka_unit_test(test_persistent),
		cmocka_unit_test(test_offloads_fixed),
		cmocka_unit_test(test_open_refused),
		cmocka_unit_test(test_mtu),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_read_bad),
		cmocka_unit_test(test_read_longest),
		cmocka_unit_test(test_read_errors),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_refused_run),
		cmocka_unit_test(test_refused_for_ever),
		cmocka_unit_test(test_offered_only),
		cmocka_unit_test(test_write_errors),
		cmocka_unit_test(test_short_write),
		cmocka_unit_test(test_interrupted),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
