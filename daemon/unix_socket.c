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

/* Removes a socket that a crashed daemon left, and nothing else. False with *ret_why (static). */
static bool path_is_free(const struct sockaddr_un *sun, const char **ret_why)
{
	struct stat st;
	int fd, r;

	if (lstat(sun->sun_path, &st) < 0)
		return true; /* or bind() will report why not */
	*ret_why = "exists and is not a socket";
	if (!S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = fd >= 0 && connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	*ret_why = "another mendipd is listening";
	return r == ECONNREFUSED && unlink(sun->sun_path) == 0;
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

int unix_socket_listen(const char *path, const char *group, bool *ret_has_group, struct log *log)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	const char *why;
	int fd;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	if (!path_is_free(&sun, &why)) {
		log_error(log, "%s: %s", path, why);
		return -EADDRINUSE;
	}
	fd = bind_to(&sun);
	if (fd < 0)
		log_error(log, "%s: %s%s", path, strerror(-fd),
			  fd == -ENOENT	  ? ": make its folder"
			  : fd == -EACCES ? ": let the daemon's user write to its folder"
					  : "");
	else
		*ret_has_group = let_in(path, group, log);
	return fd;
}
