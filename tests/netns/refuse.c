/*
 * refuse.c - simulates a kernel that begins to refuse trains or super-packets, or mangles trains.
 * It is to be preloaded into mendipd. SPDX-License-Identifier: ISC
 *
 * Environment variables:
 *
 * - REFUSE_TRAINS=N: from the Nth on, sends with UDP_SEGMENT fail with EIO, as on a device that has
 *   lost its checksum offload
 * - MANGLE_TRAINS=1: in a send with UDP_SEGMENT, a copy of the first segment replaces the second
 *   one, without an error, as with kernels 7.0.0 to 7.1.4
 * - KERNEL=RELEASE: the release that uname() returns
 * - REFUSE_RUNS=N: from the Nth on, writes of GSO packets to TUN fail with EINVAL
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#define TUN_MAJOR 10
#define TUN_MINOR 200

/* Counts a call; returns true from the Nth on, where N is the value of the environment variable. */
static int refuses(const char *variable, unsigned *calls)
{
	const char *n = getenv(variable);

	return n && ++*calls >= (unsigned)atoi(n);
}

static int has_segments(const struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR((struct msghdr *)m, c)) {
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_SEGMENT)
			return 1;
	}
	return 0;
}

/*
 * Returns a copy of the message in which the first segment replaces the second; or the message
 * itself if it has less than two segments or not one buffer.
 */
static const struct msghdr *mangled(const struct msghdr *m)
{
	static unsigned char copy[65536];
	static struct iovec iov;
	static struct msghdr changed;
	unsigned short size;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR((struct msghdr *)m, c)) {
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_SEGMENT)
			memcpy(&size, CMSG_DATA(c), sizeof(size));
	}
	if (m->msg_iovlen != 1 || m->msg_iov->iov_len < 2u * size)
		return m;
	memcpy(copy, m->msg_iov->iov_base, m->msg_iov->iov_len);
	memcpy(copy + size, copy, size);
	iov = (struct iovec){copy, m->msg_iov->iov_len};
	changed = *m;
	changed.msg_iov = &iov;
	return &changed;
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	static ssize_t (*real)(int, const struct msghdr *, int);
	static unsigned calls;

	if (!real)
		real = dlsym(RTLD_NEXT, "sendmsg");
	if (has_segments(m) && refuses("REFUSE_TRAINS", &calls)) {
		errno = EIO;
		return -1;
	}
	if (has_segments(m) && getenv("MANGLE_TRAINS"))
		return real(fd, mangled(m), flags);
	return real(fd, m, flags);
}

int uname(struct utsname *u)
{
	static int (*real)(struct utsname *);
	const char *release = getenv("KERNEL");
	int r;

	if (!real)
		real = dlsym(RTLD_NEXT, "uname");
	r = real(u);
	if (r == 0 && release)
		snprintf(u->release, sizeof(u->release), "%s", release);
	return r;
}

ssize_t write(int fd, const void *p, size_t len)
{
	static ssize_t (*real)(int, const void *, size_t);
	static unsigned calls;
	struct stat st;

	if (!real)
		real = dlsym(RTLD_NEXT, "write");
	/* The second byte of a virtio-net header is the GSO type. */
	if (len > 10 && ((const unsigned char *)p)[1] && fstat(fd, &st) == 0 &&
	    st.st_rdev == makedev(TUN_MAJOR, TUN_MINOR) && refuses("REFUSE_RUNS", &calls)) {
		errno = EINVAL;
		return -1;
	}
	return real(fd, p, len);
}
