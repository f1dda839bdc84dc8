/* privileges.c - drops all privileges but two capabilities, and root if a user is set.
 * SPDX-License-Identifier: ISC */
#include "daemon.h"
#include "xalloc.h"

#include <cap-ng.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

/*
 * The groups of the sockets are among ours: without CAP_CHOWN a process can give a file only to a
 * group that it is in. Those of the user are as at a login, and as systemd sets them (User=). 0 or
 * -errno.
 */
static int take_groups(const struct passwd *pw, const struct config_fixed *c)
{
	const char *const ours[] = {c->view_group, c->admin_group};
	gid_t *list = xreallocarray(NULL, NGROUPS_MAX, sizeof(*list));
	int count = NGROUPS_MAX - (int)ARRAY_SIZE(ours), r;

	if (pw) {
		r = getgrouplist(pw->pw_name, pw->pw_gid, list, &count);
		errno = E2BIG; /* its only error, for which it sets none */
	} else {
		r = count = getgroups(count, list);
	}
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(ours); i++) {
		const struct group *g = getgrnam(ours[i]);

		if (g)
			list[count++] = g->gr_gid;
	}
	if (r >= 0)
		r = setgroups((size_t)count, list);
	r = r < 0 ? -errno : 0;
	free(list);
	return r;
}

/*
 * Keeps CAP_NET_ADMIN, and CAP_NET_BIND_SERVICE if we have it: a container may have given only the
 * first, and open its ports to all. Returns whether the bounding set can be cut down, too:
 * without CAP_SETPCAP it stays as the service manager made it.
 */
static bool choose_capabilities(void)
{
	bool bind, bounds;

	capng_get_caps_process();
	bind = capng_have_capability(CAPNG_PERMITTED, CAP_NET_BIND_SERVICE);
	bounds = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	capng_clear(CAPNG_SELECT_BOTH);
	capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_ADMIN);
	if (bind)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_BIND_SERVICE);
	return bounds;
}

/* As root: becomes the user, with its groups and our capabilities. */
static int become_user(const struct config_fixed *c, bool bounds, char *err, size_t size)
{
	const struct passwd *pw = getpwnam(c->user);
	int r;

	if (!pw) {
		snprintf(err, size, "daemon.user: there is no user \"%s\"", c->user);
		return -ENOENT;
	}
	r = take_groups(pw, c);
	if (r < 0) {
		snprintf(err, size,
			 "daemon.user: the groups of \"%s\" cannot be set: %s: start with "
			 "CAP_SETGID, or remove the option",
			 c->user, strerror(-r));
		return r;
	}
	r = capng_change_id((int)pw->pw_uid, (int)pw->pw_gid,
			    bounds ? CAPNG_CLEAR_BOUNDING : CAPNG_NO_FLAG);
	if (r < 0) {
		snprintf(err, size,
			 "daemon.user: mendipd cannot become \"%s\" (libcap-ng: %d): start with "
			 "CAP_SETUID, CAP_SETGID and CAP_NET_ADMIN, or remove the option",
			 c->user, r);
		return -EPERM;
	}
	return 0;
}

/* Stays the user that it is. */
static int keep_user(const struct config_fixed *c, bool bounds, bool root, char *err, size_t size)
{
	int r;

	/*
	 * Root may lack the right, as in some containers: unix_socket_listen says what that means
	 * for the sockets.
	 */
	if (root)
		(void)take_groups(NULL, c);
	r = capng_apply(bounds ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS);
	if (r < 0) {
		snprintf(err, size,
			 "privileges cannot be dropped (libcap-ng: %d): start as root, or with "
			 "CAP_NET_ADMIN",
			 r);
		return -EPERM;
	}
	return 0;
}

/* CAP_NET_RAW has done its part: the raw sockets are open (data.c). */
int privileges_drop(const struct config_fixed *c, char *err, size_t size)
{
	bool root = getuid() == 0, bounds = choose_capabilities();
	int r = c->user && root ? become_user(c, bounds, err, size)
				: keep_user(c, bounds, root, err, size);

	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
		r = -errno;
		snprintf(err, size, "prctl: %s", strerror(-r));
	}
	return r;
}
