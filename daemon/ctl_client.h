/* ctl_client.h - mendipctl's end of the control socket. SPDX-License-Identifier: ISC */
#ifndef MENDIP_CTL_CLIENT_H
#define MENDIP_CTL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct ctl {
	const char *socket; /* its path */
	FILE *in, *out;	    /* NULL: not connected */
};

/*
 * Connects to the socket, or, where the kernel refuses that, to the one beside it for those who may
 * only view. -errno; unless quiet, one line on stderr says why and what to do.
 */
int ctl_open(struct ctl *c, bool quiet);
void ctl_close(struct ctl *c);
/* Connects anew, once a second, until a daemon answers. */
void ctl_wait_for_daemon(struct ctl *c);
/* The next line, owned by the caller; NULL: the daemon has closed the connection. */
json_t *ctl_read(struct ctl *c);
/*
 * The result of a command, owned by the caller. NULL: with *ret_gone, the daemon has closed the
 * connection; otherwise it refuses the command, and one line on stderr says why.
 */
json_t *ctl_ask(struct ctl *c, const char *command, char **argv, int argc, bool *ret_gone);

#endif
