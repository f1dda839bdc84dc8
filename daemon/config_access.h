/*
 * config_access.h - whether the daemon's user can read what a configuration was read from.
 * SPDX-License-Identifier: ISC
 *
 * Root can read every file, so a configuration that root finds good may still fail when the service
 * starts, or at a reload after the daemon has changed to another user.
 */
#ifndef MENDIP_CONFIG_ACCESS_H
#define MENDIP_CONFIG_ACCESS_H

#include "config.h"

#include <pwd.h>

enum conf_read_kind {
	CONF_READ_FILE,
	CONF_READ_FOLDER, /* its names were listed */
	CONF_READ_MISSING /* it need not exist, but one must be able to see that */
};
/* Adds to c->reads, which is in the order of reading. where: the place that names it, as in error
 * messages, "FILE:LINE: OPTION". */
void conf_reads_add(struct config *c, enum conf_read_kind kind, const char *where,
		    const char *path);
/* Frees c->reads. */
void conf_reads_free(struct config *c);

typedef void conf_say_line(void *ctx, const char *line);
/*
 * To be called by root: says, by one line for each, which of the files this user cannot read, and
 * how to mend that. A child process becomes the user, with all groups as at a login, and opens
 * them; say is called there. False if one cannot be read, or if the child cannot become the user.
 */
bool conf_can_read(const struct config *c, const struct passwd *pw, conf_say_line *say, void *ctx);

#endif
