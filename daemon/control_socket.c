/* control_socket.c - see control_socket.h. SPDX-License-Identifier: ISC */
#include "control_socket.h"
#include "xalloc.h"

#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

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

int control_socket_open(struct control_socket *s, struct event_base *base, const char *path,
			const char *group, evconnlistener_cb cb, void *ctx, struct log *log)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	const char *why;
	mode_t mask;
	int error;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	if (!path_is_free(&sun, &why)) {
		log_error(log, "%s: %s", path, why);
		return -EADDRINUSE;
	}
	/* Nobody else can connect before let_in has set the group. */
	mask = umask(0177);
	s->listener = evconnlistener_new_bind(base, cb, ctx,
					      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 16,
					      (struct sockaddr *)&sun, sizeof(sun));
	error = errno;
	umask(mask);
	if (!s->listener) {
		log_error(log, "%s: %s%s", path, strerror(error),
			  error == ENOENT   ? ": make its folder"
			  : error == EACCES ? ": let the daemon's user write to its folder"
					    : "");
		return error ? -error : -EIO;
	}
	s->path = xstrdup(path);
	s->has_group = let_in(path, group, log);
	return 0;
}

void control_socket_close(struct control_socket *s)
{
	if (!s->listener)
		return;
	evconnlistener_free(s->listener);
	unlink(s->path);
	free(s->path);
	s->listener = NULL;
	s->path = NULL;
}
