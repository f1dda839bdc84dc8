/* unix_socket.c - see unix_socket.h. SPDX-License-Identifier: ISC */
#include "unix_socket.h"

#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 16

/* Why nobody can be connected to, as an errno: ECONNREFUSED if nobody listens. 0: someone does. */
static int connect_error(const struct sockaddr_un *sun)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), e;

	if (fd < 0)
		return errno;
	e = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) < 0 ? errno : 0;
	close(fd);
	return e == EAGAIN ? 0 : e; /* it listens, and its queue is full */
}

/* Removes a socket if nobody listens on it. Returns 0, or -errno with the reason. */
static int remove_left(const struct sockaddr_un *sun, char *why)
{
	const char *path = sun->sun_path;
	int e = connect_error(sun);

	if (e == ENOENT) /* its process has just removed it */
		return 0;
	if (e == ECONNREFUSED) {
		if (unlink(path) == 0 || errno == ENOENT)
			return 0;
		e = errno;
		snprintf(why, UNIX_SOCKET_WHY,
			 "%s: is left by another process, and cannot be removed: %s: remove it",
			 path, strerror(e));
	} else if (e == 0) {
		e = EADDRINUSE;
		snprintf(why, UNIX_SOCKET_WHY,
			 "%s: another process is listening there: is another mendipd running?",
			 path);
	} else {
		snprintf(why, UNIX_SOCKET_WHY,
			 "%s: cannot find out whether a process listens there: %s%s", path,
			 strerror(e),
			 e == EACCES || e == EPROTOTYPE ? ": remove it if none does" : "");
	}
	return -e;
}

/* Removes a socket that a crashed daemon left, and nothing else. Returns as remove_left. */
static int make_way(const struct sockaddr_un *sun, char *why)
{
	struct stat st;

	if (lstat(sun->sun_path, &st) < 0)
		return 0; /* or bind() will report why not */
	if (S_ISSOCK(st.st_mode))
		return remove_left(sun, why);
	snprintf(why, UNIX_SOCKET_WHY,
		 "%s: exists and is not a socket: move it away, or set another path",
		 sun->sun_path);
	return -EADDRINUSE;
}

/* Lets the members of the group in. The daemon is a member itself (privileges.c), or could not. */
static bool let_in(const char *path, const char *group, struct log *log)
{
	const struct group *g = getgrnam(group);

	if (!g) {
		log_info(log,
			 "%s: there is no group %s: only root and the daemon's own user can use it",
			 path, group);
		return false;
	}
	if (fchownat(AT_FDCWD, path, (uid_t)-1, g->gr_gid, AT_SYMLINK_NOFOLLOW) == 0 &&
	    chmod(path, 0660) == 0)
		return true;
	log_warn(log,
		 "%s: cannot be given to the group %s: %s: make the daemon's user a member of it",
		 path, group, strerror(errno));
	return false;
}

/* A descriptor or -errno. Nobody else can connect before let_in has set the group. */
static int bind_to(const struct sockaddr_un *sun)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), e = 0;
	mode_t mask = umask(0177);

	if (fd < 0 || bind(fd, (const struct sockaddr *)sun, sizeof(*sun)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		e = -errno;
	umask(mask);
	if (e == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return e;
}

int unix_socket_listen(const char *path, const char *group, bool *ret_has_group, struct log *log,
		       char *why)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	bool has_group;
	int fd;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	fd = make_way(&sun, why);
	if (fd < 0)
		return fd;
	fd = bind_to(&sun);
	if (fd < 0) {
		snprintf(why, UNIX_SOCKET_WHY, "%s: %s%s", path, strerror(-fd),
			 fd == -ENOENT	 ? ": make its folder"
			 : fd == -EACCES ? ": let the daemon's user write to its folder"
					 : "");
		return fd;
	}
	has_group = let_in(path, group, log);
	if (ret_has_group)
		*ret_has_group = has_group;
	return fd;
}
