/* udp_offload.c - see udp_offload.h. SPDX-License-Identifier: ISC */
#include "udp_offload.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#define SEGMENT	 1200
#define SEGMENTS 8
#define WAIT_MS	 200

bool offload_is_known_bad(const char *release)
{
	unsigned major, minor, patch = 0;

	if (sscanf(release, "%u.%u.%u", &major, &minor, &patch) < 2 || major != 7)
		return false;
	return minor == 0 || (minor == 1 && patch <= 4);
}

static int loopback_socket(struct sockaddr_in *ret)
{
	socklen_t len = sizeof(*ret);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	*ret = (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (fd >= 0 && (bind(fd, (struct sockaddr *)ret, sizeof(*ret)) < 0 ||
			getsockname(fd, (struct sockaddr *)ret, &len) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Segments of equal size and different content. */
static void fill(uint8_t *p)
{
	for (unsigned i = 0; i < SEGMENT * SEGMENTS; i++)
		p[i] = (uint8_t)(i / SEGMENT * 31 + i % SEGMENT * 7);
}

static bool send_train(int fd, const struct sockaddr_in *to, uint8_t *p)
{
	uint8_t control[CMSG_SPACE(sizeof(uint16_t))] __attribute__((aligned(8))) = {0};
	struct iovec iov = {p, SEGMENT * SEGMENTS};
	struct msghdr m = {.msg_name = (void *)to,
			   .msg_namelen = sizeof(*to),
			   .msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	const uint16_t size = SEGMENT;
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(c), &size, sizeof(size));
	return sendmsg(fd, &m, MSG_DONTWAIT) == SEGMENT * SEGMENTS;
}

/* True if all segments arrive in order, each in a datagram of its own. */
static bool receive_train(int fd, const uint8_t *sent)
{
	uint8_t got[SEGMENT + 1];

	for (unsigned i = 0; i < SEGMENTS; i++) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (poll(&p, 1, WAIT_MS) != 1 || recv(fd, got, sizeof(got), 0) != SEGMENT ||
		    memcmp(got, sent + (size_t)i * SEGMENT, SEGMENT) != 0)
			return false;
	}
	return true;
}

bool offload_train_arrives(void)
{
	uint8_t train[SEGMENT * SEGMENTS];
	struct sockaddr_in from, to;
	int tx = loopback_socket(&from), rx = loopback_socket(&to);
	bool arrives = true;

	fill(train);
	if (tx >= 0 && rx >= 0 && send_train(tx, &to, train))
		arrives = receive_train(rx, train);
	if (tx >= 0)
		close(tx);
	if (rx >= 0)
		close(rx);
	return arrives;
}

/* Why UDP_SEGMENT must not be used; NULL: it may be. */
static const char *objection(void)
{
	struct utsname u;

	if (uname(&u) == 0 && offload_is_known_bad(u.release))
		return "kernels 7.0.0 to 7.1.4 mangle trains";
	return offload_train_arrives() ? NULL
				       : "UDP_SEGMENT over the loopback device arrived corrupted";
}

struct udp_offloads offload_decide(const struct offload_config *c, const char **ret_why)
{
	struct udp_offloads o = {.segment = c->udp_segment != OFFLOAD_OFF,
				 .gro = c->udp_gro != OFFLOAD_OFF};

	*ret_why = c->udp_segment == OFFLOAD_AUTO ? objection() : NULL;
	o.segment &= !*ret_why;
	return o;
}
