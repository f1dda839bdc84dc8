/* udp.c - see udp.h. SPDX-License-Identifier: ISC */
#include "udp.h"
#include "net.h"
#include "wire.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH	    64 /* datagrams per system call */
#define CONTROL_LEN 128
#define TRY_AGAIN   (10 * NSEC_PER_SEC)
#define PATIENCE    16 /* ENOBUFS in a row */

static int set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

/*
 * Bytes. The receive buffer holds packets while we do something else: 20 ms at 6 Gbit/s. The send
 * buffer adds delay on a slow device, so it holds no more than a turn of the loop can produce. It
 * is no error if the kernel grants less.
 */
#define RECEIVE_BUFFER (16 << 20)
#define SEND_BUFFER    (4 << 20)

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

int udp_open(struct udp_socket *s, uint16_t port, bool group, struct udp_offloads offloads,
	     struct log *log)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r;

	if (fd < 0)
		return -errno;
	if ((group && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0) ||
	    set_option(fd, SOL_SOCKET, SO_MARK, NET_MARK) < 0 ||
	    set_option(fd, IPPROTO_IP, IP_PKTINFO, 1) < 0 ||
	    set_option(fd, IPPROTO_IP, IP_RECVTOS, 1) < 0 ||
	    set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT) < 0 ||
	    bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0) {
		r = -errno;
		log_error(log, "UDP port %u: %s%s", port, strerror(errno),
			  errno == EADDRINUSE ? ": is another IKE daemon running?"
			  : errno == EPERM    ? ": needs CAP_NET_ADMIN"
			  : errno == EACCES   ? ": needs CAP_NET_BIND_SERVICE"
					      : "");
		close(fd);
		return r;
	}
	set_buffers(fd);
	*s = (struct udp_socket){.fd = fd, .port = port};
	set_offloads(s, offloads);
	return 0;
}

int udp_adopt(struct udp_socket *s, int fd, uint16_t port, struct udp_offloads offloads)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin), type_len = sizeof(int);
	int type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) < 0 || type != SOCK_DGRAM ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) < 0 || sin.sin_family != AF_INET ||
	    sin.sin_port != htons(port))
		return -EINVAL;
	*s = (struct udp_socket){.fd = fd, .port = port};
	/* As in udp_open: s->df is false. */
	(void)set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
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

void udp_close(struct udp_socket *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static struct endpoint from_sin(const struct sockaddr_in *sin)
{
	struct endpoint e = {.port = ntohs(sin->sin_port)};

	e.addr = addr_from_bytes(FAMILY_IPV4, (const uint8_t *)&sin->sin_addr);
	return e;
}

_Static_assert(CMSG_SPACE(sizeof(struct in_pktinfo)) + 2 * CMSG_SPACE(sizeof(int)) <= CONTROL_LEN,
	       "room for address, TOS and size of datagrams");

static void read_control(struct msghdr *m, struct udp_datagram *d)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			int seg;

			memcpy(&seg, CMSG_DATA(c), sizeof(seg));
			if (seg > 0 && (uint32_t)seg < d->len)
				d->seg = (uint16_t)seg;
		}
		if (c->cmsg_level != IPPROTO_IP)
			continue;
		if (c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			d->local.addr =
				addr_from_bytes(FAMILY_IPV4, (const uint8_t *)&info.ipi_addr);
		} else if (c->cmsg_type == IP_TOS) {
			d->tos = *CMSG_DATA(c);
		}
	}
}

int udp_receive(struct udp_socket *s, struct udp_datagram *d, unsigned n)
{
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_in from[BATCH];
	uint8_t control[BATCH][CONTROL_LEN] __attribute__((aligned(8)));
	int got;

	if (n > BATCH)
		n = BATCH;
	for (unsigned i = 0; i < n; i++) {
		iov[i] = (struct iovec){.iov_base = d[i].p, .iov_len = d[i].cap};
		m[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
					       .msg_namelen = sizeof(from[i]),
					       .msg_iov = &iov[i],
					       .msg_iovlen = 1,
					       .msg_control = control[i],
					       .msg_controllen = CONTROL_LEN};
	}
	got = recvmmsg(s->fd, m, n, MSG_DONTWAIT, NULL);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (int i = 0; i < got; i++) {
		d[i].len = m[i].msg_len;
		d[i].seg = (uint16_t)min_u64(m[i].msg_len, UINT16_MAX);
		d[i].tos = 0;
		d[i].remote = from_sin(&from[i]);
		d[i].local = (struct endpoint){.port = s->port};
		d[i].truncated = m[i].msg_hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC);
		/* A truncated control message is shorter than its type. */
		if (!d[i].truncated)
			read_control(&m[i].msg_hdr, &d[i]);
	}
	return got;
}

/* Destination, source address and TOS of a message; returns the control length. */
static void address(struct msghdr *m, struct sockaddr_in *sin, uint8_t *control,
		    const struct endpoint *local, const struct endpoint *remote, uint8_t tos)
{
	struct in_pktinfo info = {0};
	struct cmsghdr *c;
	int value = tos;

	*sin = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(remote->port)};
	memcpy(&sin->sin_addr, remote->addr.b, 4);
	m->msg_name = sin;
	m->msg_namelen = sizeof(*sin);
	m->msg_control = control;
	m->msg_controllen = CMSG_SPACE(sizeof(info)) + CMSG_SPACE(sizeof(value));
	memset(control, 0, m->msg_controllen);
	c = CMSG_FIRSTHDR(m);
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_TOS;
	c->cmsg_len = CMSG_LEN(sizeof(value));
	memcpy(CMSG_DATA(c), &value, sizeof(value));
	if (local->addr.family != FAMILY_IPV4 || addr_is_any(&local->addr)) {
		m->msg_controllen = CMSG_SPACE(sizeof(value));
		return;
	}
	memcpy(&info.ipi_spec_dst, local->addr.b, 4);
	c = CMSG_NXTHDR(m, c);
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
}

int udp_send(struct udp_socket *s, const struct endpoint *local, const struct endpoint *remote,
	     uint8_t tos, const uint8_t *head, size_t head_len, const uint8_t *body, size_t len)
{
	struct iovec iov[2] = {{(void *)head, head_len}, {(void *)body, len}};
	struct msghdr m = {.msg_iov = head_len ? iov : iov + 1, .msg_iovlen = head_len ? 2 : 1};
	uint8_t control[CONTROL_LEN] __attribute__((aligned(8)));
	struct sockaddr_in sin;

	address(&m, &sin, control, local, remote, tos);
	return sendmsg(s->fd, &m, MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* What the msghdr of one message refers to. */
struct message_parts {
	struct iovec iov[2];
	struct sockaddr_in sin;
	uint8_t control[CONTROL_LEN] __attribute__((aligned(8)));
};

void udp_send_each(struct udp_socket *s, struct udp_message *m, unsigned n)
{
	struct mmsghdr v[UDP_MESSAGES];
	struct message_parts e[UDP_MESSAGES];
	unsigned done = 0;

	for (unsigned i = 0; i < n; i++) {
		struct msghdr *h = &v[i].msg_hdr;

		e[i].iov[0] = (struct iovec){(void *)m[i].head, m[i].head_len};
		e[i].iov[1] = (struct iovec){(void *)m[i].body, m[i].len};
		*h = (struct msghdr){.msg_iov = m[i].head_len ? e[i].iov : e[i].iov + 1,
				     .msg_iovlen = m[i].head_len ? 2 : 1};
		address(h, &e[i].sin, e[i].control, &m[i].local, &m[i].remote, 0);
		m[i].error = 0;
	}
	while (done < n) {
		int sent = sendmmsg(s->fd, v + done, n - done, MSG_DONTWAIT);

		if (sent > 0)
			done += (unsigned)sent;
		else if (errno != EINTR) /* it is the first one's, which is lost */
			m[done++].error = -errno;
	}
}

static unsigned fill(struct mmsghdr *m, struct iovec *iov, const struct msghdr *common,
		     const uint8_t *p, uint32_t len, uint16_t seg)
{
	unsigned n = 0;

	for (; len > 0 && n < BATCH; n++) {
		uint32_t size = len < seg ? len : seg;

		iov[n] = (struct iovec){(void *)p, size};
		m[n].msg_hdr = *common;
		m[n].msg_hdr.msg_iov = &iov[n];
		m[n].msg_hdr.msg_iovlen = 1;
		p += size;
		len -= size;
	}
	return n;
}

/*
 * RFC 4301 8.1: DF as in the inner packet. DO: the kernel learns the path's MTU from ICMP and
 * refuses longer datagrams (EMSGSIZE). WANT would fragment these here, and would not set DF on
 * trains that are longer as a whole than the MTU. DONT: datagrams may be fragmented here and on the
 * way.
 */
static void set_df(struct udp_socket *s, bool df)
{
	if (s->df != df && set_option(s->fd, IPPROTO_IP, IP_MTU_DISCOVER,
				      df ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT) == 0)
		s->df = df;
}

/*
 * Returns the error of a failed send; -EAGAIN: the socket is full. ENOBUFS means that the kernel
 * has no memory: the socket stays writable then, and waiting for that would spin. So the first
 * PATIENCE of them in a row count as "full", and all others, until a send succeeds, as a loss.
 */
static int send_error(struct udp_socket *s)
{
	if (errno == ENOBUFS && s->starved < PATIENCE) {
		s->starved++;
		return -EAGAIN;
	}
	return -errno;
}

/* Sends the whole train at once. 0, or -errno: none of it was sent. -EAGAIN: the socket is full. */
static int send_whole(struct udp_socket *s, const struct msghdr *common, const uint8_t *p,
		      uint32_t len, uint16_t seg)
{
	uint8_t control[CONTROL_LEN + CMSG_SPACE(sizeof(seg))] __attribute__((aligned(8)));
	struct iovec iov = {(void *)p, len};
	struct msghdr m = *common;
	struct cmsghdr *c;

	m.msg_iov = &iov;
	m.msg_iovlen = 1;
	if (len > seg) {
		memcpy(control, common->msg_control, common->msg_controllen);
		c = (struct cmsghdr *)(void *)(control + common->msg_controllen);
		memset(c, 0, CMSG_SPACE(sizeof(seg)));
		c->cmsg_level = SOL_UDP;
		c->cmsg_type = UDP_SEGMENT;
		c->cmsg_len = CMSG_LEN(sizeof(seg));
		memcpy(CMSG_DATA(c), &seg, sizeof(seg));
		m.msg_control = control;
		m.msg_controllen = common->msg_controllen + CMSG_SPACE(sizeof(seg));
	}
	while (sendmsg(s->fd, &m, MSG_DONTWAIT) < 0) {
		if (errno != EINTR)
			return send_error(s);
	}
	s->starved = 0;
	return 0;
}

/* ---- destinations whose trains are refused ---- */

/* The slot for its address. Two addresses may share a slot: trains are then tried more often. */
static struct udp_refusal *refusal_of(struct udp_socket *s, const struct endpoint *remote)
{
	return &s->refusal[(get_be32(remote->addr.b) * 2654435761u >> 16) % UDP_REFUSALS];
}

static bool goes_whole(struct udp_socket *s, const struct udp_train *t, nsec_t now)
{
	const struct udp_refusal *r;

	if (t->len <= t->seg)
		return true;
	if (!s->segment)
		return false;
	if (now >= s->refused_until)
		return true;
	r = refusal_of(s, t->remote);
	return now >= r->until || memcmp(r->addr, t->remote->addr.b, 4) != 0 || t->seg < r->seg;
}

/* Errors that the datagrams may not have one by one. ENOBUFS: no memory for the whole train. */
static bool is_refusal(int error)
{
	return error == -EIO || error == -EMSGSIZE || error == -EINVAL || error == -ENOBUFS;
}

/*
 * Remembers a refusal. A device that cannot send trains (EIO) cannot with any size. A path that is
 * too narrow (EMSGSIZE, EINVAL in older kernels) is so for all trains with datagrams of this length
 * or more, with DF or without; a lack of memory (ENOBUFS) is treated the same. An earlier refusal
 * for this address was for longer datagrams, or this train would not have been tried.
 */
static void remember(struct udp_socket *s, const struct udp_train *t, int error, nsec_t now)
{
	struct udp_refusal *r = refusal_of(s, t->remote);

	memcpy(r->addr, t->remote->addr.b, 4);
	r->seg = error == -EIO ? 0 : t->seg;
	r->until = s->refused_until = now + TRY_AGAIN;
	s->refused++;
}

/* ---- sending ---- */

static uint32_t send_singly(struct udp_socket *s, const struct msghdr *common,
			    const struct udp_train *t, int *ret_error, uint64_t *ret_failed)
{
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];
	uint32_t done = 0;
	int error;

	while (done < t->len) {
		unsigned n = fill(m, iov, common, t->p + done, t->len - done, t->seg);
		int sent = sendmmsg(s->fd, m, n, MSG_DONTWAIT);

		if (sent > 0) {
			s->starved = 0;
			for (int i = 0; i < sent; i++)
				done += (uint32_t)iov[i].iov_len;
			continue;
		}
		if (errno == EINTR)
			continue;
		error = send_error(s);
		if (error == -EAGAIN) {
			*ret_error = error;
			return done;
		}
		/* The error is that of the first datagram, which is lost. */
		(*ret_failed)++;
		*ret_error = error;
		done += (uint32_t)iov[0].iov_len;
	}
	return done;
}

uint32_t udp_send_train(struct udp_socket *s, const struct udp_train *t, nsec_t now, int *ret_error,
			uint64_t *ret_failed)
{
	uint8_t control[CONTROL_LEN] __attribute__((aligned(8)));
	struct msghdr common = {0};
	struct sockaddr_in sin;
	int r;

	*ret_error = 0;
	set_df(s, t->df);
	address(&common, &sin, control, t->local, t->remote, t->tos);
	if (goes_whole(s, t, now)) {
		r = send_whole(s, &common, t->p, t->len, t->seg);
		if (r == 0)
			return t->len;
		*ret_error = r;
		if (r == -EAGAIN)
			return 0;
		if (t->len <= t->seg || !is_refusal(r)) {
			*ret_failed += (t->len + t->seg - 1u) / t->seg;
			return t->len;
		}
		remember(s, t, r, now);
		*ret_error = r == -EMSGSIZE || r == -EINVAL ? -EMSGSIZE : 0;
	}
	return send_singly(s, &common, t, ret_error, ret_failed);
}

uint32_t udp_path_mtu(const struct endpoint *local, const struct endpoint *remote)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(remote->port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), mtu = 0;
	socklen_t len = sizeof(mtu);

	if (fd < 0)
		return 0;
	memcpy(&sin.sin_addr, remote->addr.b, 4);
	(void)set_option(fd, SOL_SOCKET, SO_MARK, NET_MARK);
	(void)set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_WANT);
	if (local->addr.family == FAMILY_IPV4 && !addr_is_any(&local->addr)) {
		struct sockaddr_in from = {.sin_family = AF_INET};

		memcpy(&from.sin_addr, local->addr.b, 4);
		(void)bind(fd, (struct sockaddr *)&from, sizeof(from));
	}
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0 ||
	    getsockopt(fd, IPPROTO_IP, IP_MTU, &mtu, &len) < 0)
		mtu = 0;
	close(fd);
	return mtu > 0 ? (uint32_t)mtu : 0;
}
