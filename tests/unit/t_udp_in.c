/*
 * t_udp_in.c - opening UDP sockets, and receiving from them.
 * SPDX-License-Identifier: ISC
 *
 * The linker wraps setsockopt, recvmmsg and getsockopt (--wrap). What a test does not simulate is
 * done by the real kernel, so that datagrams are also sent over the loopback device.
 */
#include "esp_fixture.h"
#include "udp.h"
#include "udp_name.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the simulated kernel ---- */

struct arrival {
	uint32_t len;
	int gro, tos, flags;
	bool has_gro, has_tos; /* that control message is present */
	uint8_t to;	       /* 0: no IP_PKTINFO */
	bool cut;	       /* only the header of the last control message fits */
};

static struct {
	int refuse_level, refuse_name, refuse_error; /* the option that is refused */
	bool marked;
	int discover;
	int path_mtu; /* 0: the real one; -1: none */
	const struct arrival *arrival;
	int arrivals; /* or a negative errno; 0: the real recvmmsg */
	unsigned asked;
} kernel;

int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	if (kernel.refuse_error && level == kernel.refuse_level && name == kernel.refuse_name) {
		errno = kernel.refuse_error;
		return -1;
	}
	if (level == SOL_SOCKET && name == SO_MARK) { /* would need CAP_NET_ADMIN */
		kernel.marked = true;
		return 0;
	}
	if (level == IPPROTO_IP && name == IP_MTU_DISCOVER)
		memcpy(&kernel.discover, value, sizeof(int));
	return __real_setsockopt(fd, level, name, value, len);
}

int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	if (level != IPPROTO_IP || name != IP_MTU || kernel.path_mtu == 0)
		return __real_getsockopt(fd, level, name, value, len);
	if (kernel.path_mtu < 0) {
		errno = ENOTCONN;
		return -1;
	}
	memcpy(value, &kernel.path_mtu, sizeof(int));
	return 0;
}

static void add_control(struct msghdr *m, int level, int type, const void *data, size_t len)
{
	struct cmsghdr *c = (void *)((uint8_t *)m->msg_control + m->msg_controllen);

	*c = (struct cmsghdr){.cmsg_level = level, .cmsg_type = type, .cmsg_len = CMSG_LEN(len)};
	memcpy(CMSG_DATA(c), data, len);
	m->msg_controllen += CMSG_SPACE(len);
}

static void fill_control(struct msghdr *m, const struct arrival *a)
{
	size_t room = m->msg_controllen;
	uint8_t tos = (uint8_t)a->tos;
	struct in_pktinfo info = {.ipi_addr.s_addr = htonl(0xc0000200 | a->to)};

	m->msg_controllen = 0;
	if (a->to)
		add_control(m, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	if (a->has_tos)
		add_control(m, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
	if (a->has_gro)
		add_control(m, SOL_UDP, UDP_GRO, &a->gro, sizeof(a->gro));
	assert_true(m->msg_controllen <= room);
	if (a->cut) {
		CMSG_FIRSTHDR(m)->cmsg_len = CMSG_LEN(0);
		m->msg_controllen = CMSG_LEN(0);
	}
	m->msg_flags = a->flags;
}

int __real_recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *timeout);
int __wrap_recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *timeout);
int __wrap_recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *timeout)
{
	kernel.asked = n;
	if (kernel.arrivals == 0)
		return __real_recvmmsg(fd, m, n, flags, timeout);
	if (kernel.arrivals < 0) {
		errno = -kernel.arrivals;
		return -1;
	}
	assert_in_range(kernel.arrivals, 1, n);
	for (int i = 0; i < kernel.arrivals; i++) {
		struct sockaddr_in sin = {.sin_family = AF_INET,
					  .sin_port = htons((uint16_t)(4500 + i)),
					  .sin_addr.s_addr = htonl(0xc6336407)};

		assert_true(m[i].msg_hdr.msg_namelen >= sizeof(sin));
		memcpy(m[i].msg_hdr.msg_name, &sin, sizeof(sin));
		m[i].msg_len = kernel.arrival[i].len;
		fill_control(&m[i].msg_hdr, &kernel.arrival[i]);
	}
	return kernel.arrivals;
}

/* ---- helpers ---- */

static char logged[256];

static void keep(void *ctx, enum log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	snprintf(logged, sizeof(logged), "%s", line);
}

static uint8_t family = FAMILY_IPV4; /* of the sockets that are opened, and of loopback() */

static int open_socket(struct udp_socket *s, uint16_t port, bool group, bool offload)
{
	struct log log;

	*logged = 0;
	log_init(&log, LOG_LEVEL_DEBUG, keep, NULL);
	return udp_open(s, family, port, group, (struct udp_offloads){offload, offload}, &log);
}

/* The port of a socket opened with port 0. */
static uint16_t port_of(const struct udp_socket *s)
{
	struct udp_name name = {.len = sizeof(name.v6)};

	assert_int_equal(getsockname(s->fd, &name.any, &name.len), 0);
	return udp_name_endpoint(&name).port;
}

static struct endpoint loopback(uint16_t port)
{
	struct endpoint e = {.port = port};

	assert_int_equal(addr_parse(family == FAMILY_IPV6 ? "::1" : "127.0.0.1", &e.addr), 0);
	return e;
}

/* The lowest free descriptor; unchanged if none was leaked. */
static int free_fd(void)
{
	int fd = dup(0);

	assert_true(fd >= 0);
	close(fd);
	return fd;
}

static void reset(void)
{
	memset(&kernel, 0, sizeof(kernel));
}

#define RECEIVES 16

static uint8_t room[RECEIVES][65536];

/* Receives as the daemon does. */
static int receive(struct udp_socket *s, struct udp_datagram *d)
{
	memset(d, 0x5a, RECEIVES * sizeof(*d)); /* every field must be set */
	for (unsigned i = 0; i < RECEIVES; i++) {
		d[i].p = room[i];
		d[i].cap = sizeof(room[i]);
	}
	return udp_receive(s, d, RECEIVES);
}

/* ---- tests ---- */

/* A socket is opened with and without offloads, and closed. */
static void test_open(void **state)
{
	struct udp_socket s;

	(void)state;
	reset();
	assert_int_equal(open_socket(&s, 0, false, true), 0);
	assert_true(s.segment && s.group_receive && kernel.marked);
	assert_int_equal(kernel.discover, IP_PMTUDISC_DONT);
	assert_false(s.df);
	udp_close(&s);
	assert_int_equal(s.fd, -1);
	udp_close(&s);
	assert_int_equal(open_socket(&s, 0, false, false), 0);
	assert_false(s.segment || s.group_receive);
	udp_close(&s);
}

/* A socket without offloads that the kernel lacks is opened all the same; if a required option is
 * refused, opening fails. */
static void test_open_refused(void **state)
{
	static const int needed[][2] = {{SOL_SOCKET, SO_MARK},
					{SOL_SOCKET, SO_REUSEPORT},
					{IPPROTO_IP, IP_PKTINFO},
					{IPPROTO_IP, IP_RECVTOS},
					{IPPROTO_IP, IP_MTU_DISCOVER}};
	struct udp_socket s;

	(void)state;
	reset();
	kernel.refuse_level = SOL_UDP;
	kernel.refuse_name = UDP_SEGMENT;
	kernel.refuse_error = ENOPROTOOPT;
	assert_int_equal(open_socket(&s, 0, false, true), 0);
	assert_true(!s.segment && s.group_receive);
	udp_close(&s);
	kernel.refuse_name = UDP_GRO;
	assert_int_equal(open_socket(&s, 0, false, true), 0);
	assert_true(s.segment && !s.group_receive);
	udp_close(&s);
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		int fd = free_fd();

		kernel.refuse_level = needed[i][0];
		kernel.refuse_name = needed[i][1];
		kernel.refuse_error = EPERM;
		assert_int_equal(open_socket(&s, 0, true, true), -EPERM);
		assert_non_null(strstr(logged, "needs CAP_NET_ADMIN"));
		assert_int_equal(free_fd(), fd);
	}
}

/* A port in use is reported. */
static void test_port_taken(void **state)
{
	struct udp_socket s, t;

	(void)state;
	reset();
	assert_int_equal(open_socket(&s, 0, false, false), 0);
	assert_int_equal(open_socket(&t, port_of(&s), false, false), -EADDRINUSE);
	assert_non_null(strstr(logged, "is another IKE daemon running?"));
	udp_close(&s);
}

/* Receives one simulated datagram. */
static struct udp_datagram received(struct arrival a)
{
	struct udp_socket s = {.fd = -1, .port = 4500};
	struct udp_datagram d[RECEIVES];

	reset();
	kernel.arrival = &a;
	kernel.arrivals = 1;
	assert_int_equal(receive(&s, d), 1);
	return d[0];
}

#define ARRIVAL(...) ((struct arrival){__VA_ARGS__})
#define GRO(value)   .has_gro = true, .gro = (value)
#define TOS(value)   .has_tos = true, .tos = (value)

/* A segment size that is missing, 0 or longer than the datagram is replaced by its length. */
static void test_segment_size(void **state)
{
	(void)state;
	assert_int_equal(received(ARRIVAL(.len = 3000)).seg, 3000); /* no UDP_GRO: one datagram */
	assert_int_equal(received(ARRIVAL(.len = 3000, GRO(1000))).seg, 1000);
	assert_int_equal(received(ARRIVAL(.len = 3000, GRO(2999))).seg, 2999);
	assert_int_equal(received(ARRIVAL(.len = 3000, GRO(1))).seg, 1);
	assert_int_equal(received(ARRIVAL(.len = 3000, GRO(3000))).seg, 3000);
	assert_int_equal(received(ARRIVAL(.len = 3000, GRO(3001))).seg, 3000);
	assert_int_equal(received(ARRIVAL(.len = 3000, GRO(0))).seg, 3000);
	assert_int_equal(received(ARRIVAL(.len = 3000, GRO(INT32_MAX))).seg, 3000);
	assert_int_equal(received(ARRIVAL(.len = 65535, GRO(65534))).seg, 65534);
	assert_int_equal(received(ARRIVAL(.len = 0)).seg, 0);
}

/* Addresses, TOS and segment size are read from the control messages. */
static void test_addresses(void **state)
{
	struct udp_datagram d = received(ARRIVAL(.len = 10, TOS(0xff), .to = 9, GRO(5)));
	const uint8_t here[4] = {192, 0, 2, 9}, there[4] = {198, 51, 100, 7};

	(void)state;
	assert_int_equal(d.len, 10);
	assert_int_equal(d.tos, 0xff);
	assert_int_equal(d.seg, 5);
	assert_int_equal(d.local.port, 4500);
	assert_int_equal(d.remote.port, 4500);
	assert_memory_equal(d.local.addr.b, here, 4);
	assert_memory_equal(d.remote.addr.b, there, 4);
	assert_false(d.truncated);
	d = received(ARRIVAL(.len = 10));
	assert_int_equal(d.tos, 0);
	assert_int_equal(d.local.addr.family, 0);
	assert_int_equal(d.local.port, 4500);
}

/* Truncation is reported, and truncated control messages are ignored. */
static void test_truncated(void **state)
{
	struct udp_datagram d;

	(void)state;
	assert_true(received(ARRIVAL(.len = 10, .flags = MSG_TRUNC)).truncated);
	assert_true(received(ARRIVAL(.len = 10, .flags = MSG_CTRUNC)).truncated);
	assert_false(received(ARRIVAL(.len = 10, .flags = MSG_ERRQUEUE)).truncated);
	d = received(ARRIVAL(.len = 10, .to = 9, .flags = MSG_CTRUNC, .cut = true));
	assert_true(d.truncated);
	assert_int_equal(d.local.addr.family, 0);
	d = received(ARRIVAL(.len = 10, TOS(4), .flags = MSG_CTRUNC, .cut = true));
	assert_int_equal(d.tos, 0);
}

/* One call receives up to 64 datagrams. */
static void test_batch(void **state)
{
	struct udp_socket s = {.fd = -1, .port = 4500};
	struct udp_datagram d[RECEIVES], many[200];
	struct arrival a[RECEIVES];

	(void)state;
	reset();
	for (unsigned i = 0; i < RECEIVES; i++)
		a[i] = ARRIVAL(.len = 100 + i, TOS((int)i), .to = (uint8_t)(1 + i));
	kernel.arrival = a;
	for (int n = 1; n <= RECEIVES; n++) {
		kernel.arrivals = n;
		assert_int_equal(receive(&s, d), n);
		for (int i = 0; i < n; i++) {
			assert_int_equal(d[i].len, 100 + i);
			assert_int_equal(d[i].tos, i);
			assert_int_equal(d[i].remote.port, 4500 + i);
			assert_int_equal(d[i].local.addr.b[3], 1 + i);
		}
	}
	kernel.arrivals = 1;
	for (unsigned i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct udp_datagram){.p = room[0], .cap = 100};
	assert_int_equal(udp_receive(&s, many, 1), 1);
	assert_int_equal(kernel.asked, 1);
	assert_int_equal(udp_receive(&s, many, ARRAY_SIZE(many)), 1);
	assert_int_equal(kernel.asked, 64); /* the most that one call asks for */
}

/* EAGAIN and EINTR are no errors. */
static void test_receive_errors(void **state)
{
	struct udp_socket s = {.fd = -1};
	struct udp_datagram d[RECEIVES];

	(void)state;
	reset();
	kernel.arrivals = -EAGAIN;
	assert_int_equal(receive(&s, d), 0);
	kernel.arrivals = -EINTR;
	assert_int_equal(receive(&s, d), 0);
	kernel.arrivals = -ENOMEM;
	assert_int_equal(receive(&s, d), -ENOMEM);
}

/* Waits until the socket is readable. */
static void wait_readable(const struct udp_socket *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLIN};

	assert_int_equal(poll(&p, 1, 10000), 1);
}

/* Receives the whole train from a real kernel, however it is coalesced. */
static void receive_train(struct udp_socket *s, const struct udp_train *t)
{
	struct udp_datagram d[RECEIVES];
	uint32_t at = 0;

	while (at < t->len) {
		int n;

		wait_readable(s);
		n = receive(s, d);
		assert_true(n > 0);
		for (int i = 0; i < n; i++) {
			for (uint32_t k = 0; k < d[i].len; k += d[i].seg) {
				uint32_t len = (uint32_t)min_u64(d[i].seg, d[i].len - k);

				assert_int_equal(len, min_u64(t->seg, t->len - at));
				assert_memory_equal(d[i].p + k, t->p + at, len);
				at += len;
			}
			assert_int_equal(d[i].tos, t->tos);
			assert_true(addr_eq(&d[i].local.addr, &t->remote->addr));
			assert_true(endpoint_eq(&d[i].remote, t->local));
			assert_false(d[i].truncated);
		}
	}
	assert_int_equal(at, t->len);
}

/* Sends a train over the loopback device, with and without the offloads of this kernel. */
static void test_real_kernel(void **state)
{
	static uint8_t bytes[60000];
	struct udp_socket a, b;
	struct endpoint from, to;
	uint64_t failed = 0;
	struct fixture_rng r;
	int error;

	(void)state;
	reset();
	fixture_rng_init(&r, 1);
	rng_fill(&r.rng, bytes, sizeof(bytes));
	for (unsigned i = 0; i < 8; i++) {
		struct udp_train t = {.p = bytes, .len = 60000, .seg = 1400, .tos = 0x28};

		t.df = i & 4;
		assert_int_equal(open_socket(&a, 0, false, i & 1), 0);
		assert_int_equal(open_socket(&b, 0, false, i & 2), 0);
		from = loopback(port_of(&a));
		to = loopback(port_of(&b));
		t.local = &from;
		t.remote = &to;
		assert_int_equal(udp_send_train(&a, &t, NSEC_PER_SEC, &error, &failed), t.len);
		assert_int_equal(error, 0);
		receive_train(&b, &t);
		udp_close(&a);
		udp_close(&b);
	}
	assert_int_equal(failed, 0);
}

/* Of two sockets of a port, the second gets datagrams with a non-ESP marker (RFC 3948 2.2), the
 * first all others.
 */
static void test_steering(void **state)
{
	static const uint8_t ike[64] = {0, 0, 0, 0, 1}, esp[64] = {0, 0, 1, 0},
			     keepalive[1] = {0xff};
	struct udp_socket first, second, from;
	struct udp_datagram d[RECEIVES];
	struct endpoint any = {0}, to;

	(void)state;
	reset();
	assert_int_equal(open_socket(&first, 0, true, false), 0);
	assert_int_equal(open_socket(&second, port_of(&first), true, false), 0);
	assert_int_equal(udp_steer(&first), 0);
	assert_int_equal(open_socket(&from, 0, false, false), 0);
	to = loopback(port_of(&first));
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(udp_send(&from, &any, &to, 0, NULL, 0, ike, sizeof(ike)), 0);
		wait_readable(&second);
		assert_int_equal(receive(&second, d), 1);
		assert_int_equal(udp_send(&from, &any, &to, 0, NULL, 0, esp, sizeof(esp)), 0);
		wait_readable(&first);
		assert_int_equal(receive(&first, d), 1);
		assert_int_equal(udp_send(&from, &any, &to, 0, NULL, 0, keepalive, 1), 0);
		wait_readable(&first);
		assert_int_equal(receive(&first, d), 1);
		assert_int_equal(receive(&second, d), 0);
		assert_int_equal(receive(&first, d), 0);
	}
	udp_close(&first);
	udp_close(&second);
	udp_close(&from);
}

/* Head and body are sent as one datagram. */
static void test_send(void **state)
{
	struct udp_socket a, b;
	struct udp_datagram d[RECEIVES];
	struct endpoint from, to;

	(void)state;
	reset();
	assert_int_equal(open_socket(&a, 0, false, true), 0);
	assert_int_equal(open_socket(&b, 0, false, true), 0);
	from = loopback(port_of(&a));
	to = loopback(port_of(&b));
	assert_int_equal(udp_send(&a, &from, &to, 0xb8, (const uint8_t *)"head", 4,
				  (const uint8_t *)"body", 4),
			 0);
	wait_readable(&b);
	assert_int_equal(receive(&b, d), 1);
	assert_int_equal(d[0].len, 8);
	assert_memory_equal(d[0].p, "headbody", 8);
	assert_int_equal(d[0].tos, 0xb8);
	assert_int_equal(d[0].remote.port, from.port);
	assert_int_equal(udp_send(&a, &from, &to, 0, NULL, 0, room[0], 65528), -EMSGSIZE);
	udp_close(&a);
	udp_close(&b);
}

/* udp_send_each sends each message to its own destination; one that the kernel refuses does not
 * stop the others. */
static void test_send_each(void **state)
{
	static const char *const words[] = {"first", "second", "third"};
	struct udp_socket a, b[3];
	struct udp_message m[4] = {0};

	(void)state;
	reset();
	assert_int_equal(open_socket(&a, 0, false, true), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(open_socket(&b[i], 0, false, true), 0);
		m[i == 2 ? 3 : i] = (struct udp_message){.local = loopback(port_of(&a)),
							 .remote = loopback(port_of(&b[i])),
							 .head = (const uint8_t *)"head ",
							 .head_len = i == 1 ? 5 : 0,
							 .body = (const uint8_t *)words[i],
							 .len = strlen(words[i])};
	}
	m[1].local.addr.b[3] = 2; /* 127.0.0.2 */
	m[2] = m[0];
	m[2].body = room[0];
	m[2].len = 65528;
	udp_send_each(&a, m, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(m[i].error, i == 2 ? -EMSGSIZE : 0);
	for (unsigned i = 0; i < 3; i++) {
		const char *want = i == 1 ? "head second" : words[i];
		struct udp_datagram d[RECEIVES];

		wait_readable(&b[i]);
		assert_int_equal(receive(&b[i], d), 1);
		assert_int_equal(d[0].len, strlen(want));
		assert_memory_equal(d[0].p, want, strlen(want));
		assert_int_equal(d[0].remote.port, port_of(&a));
		assert_int_equal(d[0].remote.addr.b[3], i == 1 ? 2 : 1);
		udp_close(&b[i]);
	}
	udp_close(&a);
}

/* A raw socket of IPv4 gives packets with their IP header, which goes; one of IPv6 without. */
static void test_raw_header(void **state)
{
	static const struct arrival arrivals[] = {
		{.len = 100}, {.len = 100}, {.len = 10}, {.len = 0}};
	static const uint8_t first[] = {0x45, 0x4f, 0x45, 0x45};
	static const uint32_t header[] = {20, 60, 10, 0};
	struct udp_socket s = {.fd = -1, .family = FAMILY_IPV4, .raw = true};
	struct udp_datagram d[RECEIVES];

	(void)state;
	for (unsigned six = 0; six < 2; six++) {
		reset();
		kernel.arrival = arrivals;
		kernel.arrivals = ARRAY_SIZE(arrivals);
		s.family = six ? FAMILY_IPV6 : FAMILY_IPV4;
		for (unsigned i = 0; i < ARRAY_SIZE(arrivals); i++)
			room[i][0] = first[i];
		assert_int_equal(receive(&s, d), ARRAY_SIZE(arrivals));
		for (unsigned i = 0; i < ARRAY_SIZE(arrivals); i++) {
			uint32_t off = six ? 0 : header[i];

			assert_ptr_equal(d[i].p, room[i] + off);
			assert_int_equal(d[i].len, arrivals[i].len - off);
			assert_int_equal(d[i].seg, d[i].len);
		}
	}
	reset();
}

/*
 * The same over IPv6: trains, traffic class, steering, messages, path MTU. Beside it a socket of
 * IPv4 can have the same port.
 */
static void test_ipv6(void **state)
{
	struct udp_socket six, four;
	struct endpoint here;
	struct addr source;
	socklen_t len = sizeof(int);
	int prefers = 0;

	family = FAMILY_IPV6;
	reset();
	if (open_socket(&six, 0, false, false) < 0)
		skip();
	family = FAMILY_IPV4;
	assert_int_equal(open_socket(&four, port_of(&six), false, false), 0);
	family = FAMILY_IPV6;
	/* Not a temporary address as source (RFC 8981). */
	assert_int_equal(getsockopt(six.fd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &prefers, &len),
			 0);
	assert_true(prefers & 2);
	here = loopback(port_of(&six));
	assert_in_range(udp_path_mtu(&here, &here), 1500, 65536);
	assert_true(udp_source(&here.addr, &source));
	assert_true(addr_eq(&source, &here.addr));
	udp_close(&six);
	udp_close(&four);
	test_real_kernel(state);
	test_steering(state);
	test_send(state);
	family = FAMILY_IPV4;
}

/* A socket is adopted for what it is: neither another port nor another family. */
static void test_adopt(void **state)
{
	const struct udp_offloads none = {false, false};
	struct udp_socket s, again;
	uint16_t port;

	(void)state;
	reset();
	for (family = FAMILY_IPV4; family <= FAMILY_IPV6; family += 2) {
		if (open_socket(&s, 0, false, false) < 0)
			continue;
		port = port_of(&s);
		assert_int_equal(udp_adopt(&again, s.fd, family, port, none), 0);
		assert_int_equal(udp_adopt(&again, s.fd, family, port + 1, none), -EINVAL);
		assert_int_equal(udp_adopt(&again, s.fd, 10 - family, port, none), -EINVAL);
		udp_close(&s);
	}
	family = FAMILY_IPV4;
}

/* udp_path_mtu returns the kernel's path MTU, or 0 if there is none. */
static void test_path_mtu(void **state)
{
	struct endpoint here = loopback(4500), there = loopback(4500), any = {0}, broadcast;
	int fd = free_fd();

	(void)state;
	reset();
	assert_in_range(udp_path_mtu(&here, &there), 1500, 65536); /* MTU of lo */
	assert_true(kernel.marked); /* so that the tunnel's own routes are not used */
	assert_int_not_equal(kernel.discover, IP_PMTUDISC_DONT);
	kernel.path_mtu = 1400;
	assert_int_equal(udp_path_mtu(&any, &there), 1400);
	kernel.path_mtu = -1;
	assert_int_equal(udp_path_mtu(&here, &there), 0);
	kernel.path_mtu = 0;
	broadcast = there;
	memset(broadcast.addr.b, 255, 4);
	assert_int_equal(udp_path_mtu(&any, &broadcast), 0); /* cannot be connected */
	assert_int_equal(free_fd(), fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),	    cmocka_unit_test(test_open_refused),
		cmocka_unit_test(test_port_taken),  cmocka_unit_test(test_segment_size),
		cmocka_unit_test(test_addresses),   cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_batch),	    cmocka_unit_test(test_receive_errors),
		cmocka_unit_test(test_real_kernel), cmocka_unit_test(test_steering),
		cmocka_unit_test(test_send),	    cmocka_unit_test(test_path_mtu),
		cmocka_unit_test(test_send_each),   cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_adopt),	    cmocka_unit_test(test_raw_header),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
