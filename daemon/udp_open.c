/* udp_open.c - opens the sockets of udp.h, and asks the kernel about paths.
 * SPDX-License-Identifier: ISC */
#include "net.h"
#include "udp.h"
#include "udp_name.h"

#include <linux/filter.h>
#include <netinet/udp.h>
#include <unistd.h>

/*
 * Bytes. The receive buffer holds packets while we do something else: 20 ms at 6 Gbit/s. The send
 * buffer adds delay on a slow device, so it holds no more than a turn of the loop can produce. It
 * is no error if the kernel grants less.
 */
#define RECEIVE_BUFFER (16 << 20)
#define SEND_BUFFER    (4 << 20)

static int set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

static void set_buffers(int fd)
{
	if (set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER) < 0)
		(void)set_option(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
	if (set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER) < 0)
		(void)set_option(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER);
}

/* Only newer kernels have these; without them datagrams are received and sent one by one. */
static void set_offloads(struct udp_socket *s, struct udp_offloads o)
{
	s->segment = o.segment && set_option(s->fd, SOL_UDP, UDP_SEGMENT, 0) == 0;
	s->group_receive = o.gro && set_option(s->fd, SOL_UDP, UDP_GRO, 1) == 0;
}

#define PREFER_PUBLIC 2 /* IPV6_PREFER_SRC_PUBLIC; linux/in6.h cannot be included here */

/*
 * Where the kernel chooses the source: not one of the temporary addresses of RFC 8981, which change
 * daily, and with which the tunnel would have to move. Kernels without IPv6 privacy refuse it.
 */
static void prefer_lasting_source(int fd, uint8_t family)
{
	if (family == FAMILY_IPV6)
		(void)set_option(fd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, PREFER_PUBLIC);
}

/* Mark, what is reported of each datagram, source, and no DF. */
static int set_common(int fd, uint8_t family)
{
	const struct udp_family *f = udp_family_of(family);

	prefer_lasting_source(fd, family);
	return set_option(fd, SOL_SOCKET, SO_MARK, NET_MARK) < 0 ||
			       set_option(fd, f->level, f->report_pktinfo, 1) < 0 ||
			       set_option(fd, f->level, f->report_tos, 1) < 0 ||
			       set_option(fd, f->level, f->mtu_discover, IP_PMTUDISC_DONT) < 0
		       ? -1
		       : 0;
}

/* A socket for IPv6 takes no IPv4, which has sockets of its own. */
static int bind_port(int fd, uint8_t family, uint16_t port)
{
	const struct endpoint any = {.addr.family = family, .port = port};
	struct udp_name name;

	udp_name_set(&name, &any);
	if (family == FAMILY_IPV6 && set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) < 0)
		return -1;
	return bind(fd, &name.any, name.len);
}

int udp_open(struct udp_socket *s, uint8_t family, uint16_t port, bool group,
	     struct udp_offloads offloads, struct log *log)
{
	int fd = socket(udp_family_of(family)->af, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r;

	if (fd < 0)
		return -errno;
	if ((group && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0) ||
	    set_common(fd, family) < 0 || bind_port(fd, family, port) < 0) {
		r = -errno;
		log_error(log, "UDP port %u%s: %s%s", port, family == FAMILY_IPV6 ? " of IPv6" : "",
			  strerror(errno),
			  errno == EADDRINUSE ? ": is another IKE daemon running?"
			  : errno == EPERM    ? ": needs CAP_NET_ADMIN"
			  : errno == EACCES   ? ": needs CAP_NET_BIND_SERVICE"
					      : "");
		close(fd);
		return r;
	}
	set_buffers(fd);
	*s = (struct udp_socket){.fd = fd, .family = family, .port = port};
	set_offloads(s, offloads);
	return 0;
}

/* Whether fd is a datagram socket that is bound to this port of the family. */
static bool is_bound(int fd, uint8_t family, uint16_t port)
{
	struct udp_name name = {.len = sizeof(name.v6)};
	socklen_t type_len = sizeof(int);
	struct endpoint e;
	int type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) < 0 || type != SOCK_DGRAM ||
	    getsockname(fd, &name.any, &name.len) < 0)
		return false;
	e = udp_name_endpoint(&name);
	return e.addr.family == family && e.port == port;
}

int udp_adopt(struct udp_socket *s, int fd, uint8_t family, uint16_t port,
	      struct udp_offloads offloads)
{
	const struct udp_family *f = udp_family_of(family);

	if (!is_bound(fd, family, port))
		return -EINVAL;
	*s = (struct udp_socket){.fd = fd, .family = family, .port = port};
	/* As in udp_open: s->df is false. */
	(void)set_option(fd, f->level, f->mtu_discover, IP_PMTUDISC_DONT);
	(void)set_option(fd, SOL_UDP, UDP_GRO, 0);
	set_offloads(s, offloads);
	return 0;
}

int udp_steer(struct udp_socket *s)
{
	/* The program returns the index of the socket, in the order of bind(). */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = {.len = ARRAY_SIZE(code), .filter = code};

	return setsockopt(s->fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &prog, sizeof(prog)) < 0
		       ? -errno
		       : 0;
}

/* ---- ESP without UDP ---- */

/*
 * Without it, Linux takes no path MTU from the ICMP that comes for a raw socket of IPv6 that is not
 * connected. The price: each such ICMP is an error that one call returns (udp.c: send_singly,
 * drain_errors).
 */
static int set_errors(int fd, uint8_t family)
{
	return family == FAMILY_IPV6 ? set_option(fd, IPPROTO_IPV6, IPV6_RECVERR, 1) : 0;
}

int raw_open(struct udp_socket *s, uint8_t family)
{
	int fd = socket(udp_family_of(family)->af, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			IPPROTO_ESP),
	    r = 0;

	if (fd < 0)
		return -errno;
	*s = (struct udp_socket){.fd = fd, .family = family, .raw = true};
	/* Before the options: nothing may be queued that arrived without them. */
	if (raw_hear(s, false) < 0 || set_common(fd, family) < 0 || set_errors(fd, family) < 0)
		r = -errno;
	if (r < 0)
		udp_close(s);
	else
		set_buffers(fd);
	return r;
}

int raw_adopt(struct udp_socket *s, int fd, uint8_t family)
{
	const struct udp_family *f = udp_family_of(family);
	int type = 0, af = 0, protocol = 0;
	socklen_t len = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_RAW ||
	    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &af, &len) < 0 || af != f->af ||
	    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) < 0 || protocol != IPPROTO_ESP)
		return -EINVAL;
	*s = (struct udp_socket){.fd = fd, .family = family, .raw = true};
	(void)set_option(fd, f->level, f->mtu_discover, IP_PMTUDISC_DONT);
	return 0;
}

/*
 * Only packets that hold SPI and number, and whose SPI can be one of ours (RFC 4303 2.1). The IP
 * header is before them with IPv4, and not with IPv6.
 */
int raw_hear(struct udp_socket *s, bool on)
{
	const struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	const struct sock_filter esp[] = {
		s->family == FAMILY_IPV4
			? (struct sock_filter)BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0)
			: (struct sock_filter)BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_IND, 4), /* beyond the end: dropped */
		BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 256, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog prog = {.len = on ? ARRAY_SIZE(esp) : ARRAY_SIZE(nothing),
					.filter = (struct sock_filter *)(on ? esp : nothing)};

	return setsockopt(s->fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ? -errno
											: 0;
}

void udp_close(struct udp_socket *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

/* ---- paths ---- */

/*
 * A socket connected to remote, from local unless that has no address, by the route that our
 * datagrams take; -1: there is none. The port does not matter: nothing is sent.
 */
static int connect_to(const struct endpoint *local, const struct endpoint *remote)
{
	const struct udp_family *f = udp_family_of(remote->addr.family);
	struct endpoint from = {.addr = local->addr}, to = {.addr = remote->addr, .port = 500};
	int fd = socket(f->af, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct udp_name name;

	if (fd < 0)
		return -1;
	(void)set_option(fd, SOL_SOCKET, SO_MARK, NET_MARK);
	prefer_lasting_source(fd, remote->addr.family);
	(void)set_option(fd, f->level, f->mtu_discover, IP_PMTUDISC_WANT);
	if (local->addr.family == remote->addr.family && !addr_is_any(&local->addr)) {
		udp_name_set(&name, &from);
		(void)bind(fd, &name.any, name.len);
	}
	udp_name_set(&name, &to);
	if (connect(fd, &name.any, name.len) == 0)
		return fd;
	close(fd);
	return -1;
}

uint32_t udp_path_mtu(const struct endpoint *local, const struct endpoint *remote)
{
	const struct udp_family *f = udp_family_of(remote->addr.family);
	int fd = connect_to(local, remote), mtu = 0;
	socklen_t len = sizeof(mtu);

	if (fd < 0)
		return 0;
	if (getsockopt(fd, f->level, f->mtu, &mtu, &len) < 0)
		mtu = 0;
	close(fd);
	return mtu > 0 ? (uint32_t)mtu : 0;
}

bool udp_source(const struct addr *remote, struct addr *ret)
{
	const struct endpoint any = {0}, to = {.addr = *remote};
	struct udp_name name = {.len = sizeof(name.v6)};
	int fd = connect_to(&any, &to);
	struct endpoint e = {0};

	if (fd < 0)
		return false;
	if (getsockname(fd, &name.any, &name.len) == 0)
		e = udp_name_endpoint(&name);
	close(fd);
	if (e.addr.family != remote->family || addr_is_any(&e.addr))
		return false;
	*ret = e.addr;
	return true;
}
