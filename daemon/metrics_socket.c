/* metrics_socket.c - see metrics_socket.h. SPDX-License-Identifier: ISC */
#include "metrics_socket.h"
#include "udp_name.h"
#include "unix_socket.h"

#include <stdio.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define BACKLOG 16

/* A socket address of either kind. */
union name {
	struct sockaddr any;
	struct sockaddr_un un;
	struct sockaddr_storage all;
};

static void format(const struct listen_at *l, char *name)
{
	char at[ENDPOINT_STRLEN];

	snprintf(name, METRICS_NAME_LEN, "%s%.100s", l->path ? "unix:" : "",
		 l->path ? l->path : endpoint_format(&l->at, at));
}

/* Where fd listens. l->path is within *n; family 0 and no path: elsewhere. */
static void place_of(int fd, union name *n, struct listen_at *l)
{
	struct udp_name u;
	socklen_t len = sizeof(*n) - 1; /* the path of a Unix socket may have no end */

	*l = (struct listen_at){0};
	memset(n, 0, sizeof(*n));
	if (getsockname(fd, &n->any, &len) < 0)
		return;
	if (n->any.sa_family == AF_UNIX) {
		l->path = n->un.sun_path;
		return;
	}
	memcpy(&u.v6, n, sizeof(u.v6));
	u.len = len;
	l->at = udp_name_endpoint(&u);
}

bool metrics_socket_is_local(int fd, char *name)
{
	struct listen_at l;
	union name n;

	place_of(fd, &n, &l);
	format(&l, name);
	return sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0 &&
	       (l.path || addr_is_loopback(&l.at.addr));
}

static bool is_same(int fd, const struct listen_at *wanted)
{
	struct listen_at l;
	union name n;

	place_of(fd, &n, &l);
	/* The folder of a Unix socket may be gone, and its group be another one. */
	return !wanted->path && endpoint_eq(&wanted->at, &l.at);
}

/* A descriptor or -errno. */
static int listen_on_port(const struct endpoint *at)
{
	bool six = at->addr.family == FAMILY_IPV6;
	int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct udp_name n;
	int on = 1, e;

	udp_name_set(&n, at);
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    bind(fd, &n.any, n.len) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	e = -errno;
	if (fd >= 0)
		close(fd);
	return e;
}

int metrics_socket_open(const struct listen_at *l, const char *group, int kept, struct log *log)
{
	char name[METRICS_NAME_LEN], why[UNIX_SOCKET_WHY];
	int fd;

	if (kept >= 0 && is_same(kept, l))
		return kept;
	if (kept >= 0)
		close(kept);
	if (l->path) {
		fd = unix_socket_listen(l->path, group, NULL, log, why);
	} else {
		fd = listen_on_port(&l->at);
		format(l, name);
		snprintf(why, sizeof(why), "%s: %s", name, strerror(-fd));
	}
	if (fd < 0)
		log_error(log, "metrics_listen: the metrics are not served: %s", why);
	return fd;
}
