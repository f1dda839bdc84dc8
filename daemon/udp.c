/* udp.c - see udp.h. SPDX-License-Identifier: ISC */
#include "udp.h"
#include "udp_name.h"
#include "wire.h"

#include <netinet/udp.h>

#define BATCH	  64 /* datagrams per system call */
#define TRY_AGAIN (10 * NSEC_PER_SEC)
#define PATIENCE  16 /* ENOBUFS in a row */

/* What the kernel combined, if it did (UDP_GRO). */
static void read_segment(struct msghdr *m, struct udp_datagram *d)
{
	int seg;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO)
			continue;
		memcpy(&seg, CMSG_DATA(c), sizeof(seg));
		if (seg > 0 && (uint32_t)seg < d->len)
			d->seg = (uint16_t)seg;
	}
}

/*
 * Empties the queue of ICMP errors of a raw socket, which keeps it readable. The kernel has taken
 * what they say of the path; anyone can have sent them, so nothing else is done. Limited, as more
 * may come.
 */
static void drain_errors(struct udp_socket *s)
{
	int error = errno;

	for (unsigned i = 0; i < BATCH; i++) {
		struct msghdr m = {0};

		if (recvmsg(s->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			break;
	}
	errno = error;
}

/* A raw socket of IPv4 gives the IP header too, one of IPv6 does not. */
static void skip_header(struct udp_datagram *d)
{
	uint32_t header = d->len ? (d->p[0] & 15u) * 4 : 0;

	header = (uint32_t)min_u64(header, d->len);
	d->p += header;
	d->len -= header;
}

int udp_receive(struct udp_socket *s, struct udp_datagram *d, unsigned n)
{
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];
	struct udp_name from[BATCH];
	uint8_t control[BATCH][UDP_CONTROL_LEN] __attribute__((aligned(8)));
	int got;

	if (n > BATCH)
		n = BATCH;
	for (unsigned i = 0; i < n; i++) {
		iov[i] = (struct iovec){.iov_base = d[i].p, .iov_len = d[i].cap};
		m[i].msg_hdr = (struct msghdr){.msg_name = &from[i].any,
					       .msg_namelen = sizeof(from[i].v6),
					       .msg_iov = &iov[i],
					       .msg_iovlen = 1,
					       .msg_control = control[i],
					       .msg_controllen = UDP_CONTROL_LEN};
	}
	got = recvmmsg(s->fd, m, n, MSG_DONTWAIT, NULL);
	if (s->raw && got <= 0)
		drain_errors(s);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR || s->raw ? 0 : -errno;
	for (int i = 0; i < got; i++) {
		d[i].len = m[i].msg_len;
		if (s->raw && s->family == FAMILY_IPV4)
			skip_header(&d[i]);
		d[i].seg = (uint16_t)min_u64(d[i].len, UINT16_MAX);
		d[i].tos = 0;
		d[i].remote = udp_name_endpoint(&from[i]);
		d[i].local = (struct endpoint){.port = s->port};
		d[i].truncated = m[i].msg_hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC);
		/* A truncated control message is shorter than its type. */
		if (d[i].truncated)
			continue;
		udp_control_read(&m[i].msg_hdr, s->family, &d[i].local.addr, &d[i].tos);
		read_segment(&m[i].msg_hdr, &d[i]);
	}
	return got;
}

/* Where a message goes and comes from; what its msghdr refers to. */
struct message_place {
	struct udp_name to;
	uint8_t control[UDP_CONTROL_LEN] __attribute__((aligned(8)));
};

static void address(struct msghdr *m, struct message_place *p, const struct udp_socket *s,
		    const struct endpoint *local, const struct endpoint *remote, uint8_t tos)
{
	udp_name_set(&p->to, remote);
	m->msg_name = &p->to.any;
	m->msg_namelen = p->to.len;
	m->msg_control = p->control;
	m->msg_controllen = udp_control_write(p->control, s->family, local, tos);
}

int udp_send(struct udp_socket *s, const struct endpoint *local, const struct endpoint *remote,
	     uint8_t tos, const uint8_t *head, size_t head_len, const uint8_t *body, size_t len)
{
	struct iovec iov[2] = {{(void *)head, head_len}, {(void *)body, len}};
	struct msghdr m = {.msg_iov = head_len ? iov : iov + 1, .msg_iovlen = head_len ? 2 : 1};
	struct message_place place;

	address(&m, &place, s, local, remote, tos);
	if (sendmsg(s->fd, &m, MSG_DONTWAIT) >= 0)
		return 0;
	/* As in send_singly. */
	return s->raw && sendmsg(s->fd, &m, MSG_DONTWAIT) >= 0 ? 0 : -errno;
}

/* What the msghdr of one message refers to. */
struct message_parts {
	struct iovec iov[2];
	struct message_place place;
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
		address(h, &e[i].place, s, &m[i].local, &m[i].remote, 0);
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
 * trains that are longer as a whole than the MTU. DONT: datagrams may be fragmented here and, with
 * IPv4, on the way.
 */
static void set_df(struct udp_socket *s, bool df)
{
	const struct udp_family *f = udp_family_of(s->family);
	const int value = df ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT;

	if (s->df != df && setsockopt(s->fd, f->level, f->mtu_discover, &value, sizeof(value)) == 0)
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
	uint8_t control[UDP_CONTROL_LEN + CMSG_SPACE(sizeof(seg))] __attribute__((aligned(8)));
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
	const uint8_t *b = remote->addr.b;
	uint32_t x = get_be32(b) ^ get_be32(b + 4) ^ get_be32(b + 8) ^ get_be32(b + 12);

	return &s->refusal[(x * 2654435761u >> 16) % UDP_REFUSALS];
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
	return now >= r->until || !addr_eq(&r->addr, &t->remote->addr) || t->seg < r->seg;
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

	r->addr = t->remote->addr;
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
	uint32_t done = 0, tried = UINT32_MAX;
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
		/* It may be the error of an earlier packet, by ICMP: once more tells. */
		if (s->raw && tried != done) {
			tried = done;
			continue;
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
	struct msghdr common = {0};
	struct message_place place;
	int r;

	*ret_error = 0;
	set_df(s, t->df);
	address(&common, &place, s, t->local, t->remote, t->tos);
	if (!s->raw && goes_whole(s, t, now)) {
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
