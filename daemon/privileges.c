/* privileges.c - drops all privileges but two capabilities, and root if a user is set.
 * SPDX-License-Identifier: ISC */
#include "daemon.h"

#include <cap-ng.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

/* CAP_NET_RAW has done its part: the raw sockets are open (data.c). */
int privileges_drop(const char *user, char *err, size_t size)
{
	const struct passwd *pw = NULL;
	int r;

	capng_clear(CAPNG_SELECT_BOTH);
	capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_ADMIN,
		      CAP_NET_BIND_SERVICE, -1);
	if (user && getuid() == 0) {
		pw = getpwnam(user);
		if (!pw) {
			snprintf(err, size, "daemon.user: there is no user \"%s\"", user);
			return -ENOENT;
		}
		r = capng_change_id((int)pw->pw_uid, (int)pw->pw_gid,
				    CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING);
	} else {
		/* Without CAP_SETPCAP the bounding set stays as the service manager made it. */
		r = capng_apply(getuid() == 0 ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS);
	}
	if (r < 0) {
		snprintf(err, size,
			 "privileges cannot be dropped (libcap-ng: %d): start as root, or with "
			 "CAP_NET_ADMIN and CAP_NET_BIND_SERVICE",
			 r);
		return -EPERM;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
		snprintf(err, size, "prctl: %s", strerror(errno));
		return -errno;
	}
	return 0;
}
