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
 * group that it is in. Those of the user are as at a login, and as systemd sets them (User=).
 */
static int take_groups(const struct passwd *pw, const struct config_fixed *c)
{
	const char *const ours[] = {c->view_group, c->admin_group};
	gid_t *list = xreallocarray(NULL, NGROUPS_MAX, sizeof(*list));
	int count = NGROUPS_MAX - (int)ARRAY_SIZE(ours), r;

	if (pw)
		r = getgrouplist(pw->pw_name, pw->pw_gid, list, &count);
	else
		r = count = getgroups(count, list);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(ours); i++) {
		const struct group *g = getgrnam(ours[i]);

		if (g)
			list[count++] = g->gr_gid;
	}
	if (r >= 0)
		r = setgroups((size_t)count, list);
	free(list);
	return r < 0 ? -EPERM : 0;
}

/*
 * Keeps CAP_NET_ADMIN, and CAP_NET_BIND_SERVICE if we have it: a container may have given only the
 * first, and open its ports to all. Returns whether the bounding set can be cut down, too.
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

/* CAP_NET_RAW has done its part: the raw sockets are open (data.c). */
int privileges_drop(const struct config_fixed *c, char *err, size_t size)
{
	bool root = getuid() == 0, bounds = choose_capabilities();
	const struct passwd *pw = NULL;
	int r;

	if (c->user && root) {
		pw = getpwnam(c->user);
		if (!pw) {
			snprintf(err, size, "daemon.user: there is no user \"%s\"", c->user);
			return -ENOENT;
		}
	}
	/* Root may lack the right, as in some containers: control_socket.c then says what that
	 * means.
	 */
	r = root ? take_groups(pw, c) : 0;
	if (pw && r == 0)
		r = capng_change_id((int)pw->pw_uid, (int)pw->pw_gid, CAPNG_CLEAR_BOUNDING);
	else if (!pw)
		/* Without CAP_SETPCAP the bounding set stays as the service manager made it. */
		r = capng_apply(bounds ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS);
	if (r < 0) {
		snprintf(err, size,
			 "privileges cannot be dropped (libcap-ng: %d): start as root, or with "
			 "CAP_NET_ADMIN",
			 r);
		return -EPERM;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
		snprintf(err, size, "prctl: %s", strerror(errno));
		return -errno;
	}
	return 0;
}
