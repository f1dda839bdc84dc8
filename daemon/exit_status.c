/* exit_status.c - see exit_status.h. SPDX-License-Identifier: ISC */
#include "exit_status.h"

#include <errno.h>

enum exit_status exit_status_of_start(int error)
{
	switch (-error) {
	case EPERM:
	case EACCES: return EXIT_NO_RIGHT;
	case EADDRINUSE: /* a port, or the control socket */
	case EPROTOTYPE: /* a socket of another kind in its place */
	case EBUSY:	 /* a TUN device that another process has */
	case EINVAL:	 /* a device of that name that is no TUN device */
	case EEXIST:
	case ENOENT: /* /dev/net/tun, a folder, a user */
	case ENODEV:
	case ENXIO:
	case ENOTTY:
	case ENOTDIR:
	case ENOTSUP: return EXIT_UNAVAILABLE; /* crypto_backend */
	default: return EXIT_FAILED;
	}
}

bool exit_status_may_pass(enum exit_status status)
{
	return status == EXIT_FAILED;
}
