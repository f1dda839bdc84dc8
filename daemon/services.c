/*
 * services.c - what main.c does for the files below it, and the clock. SPDX-License-Identifier: ISC
 *
 * main.c uses all other files, and several of them need something of it: they call it by the table
 * that it has put into struct daemon, so that no two files depend on each other.
 */
#include "daemon.h"

#include <time.h>

nsec_t daemon_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (nsec_t)ts.tv_sec * NSEC_PER_SEC + (nsec_t)ts.tv_nsec + 1;
}

void daemon_turn(struct daemon *d)
{
	d->services->turn(d);
}

bool daemon_reload(struct daemon *d)
{
	return d->services->reload(d);
}

void daemon_close(struct daemon *d)
{
	d->services->close(d);
}
