/*
 * exit_status.h - how mendipd ends (mendipd(8), EXIT STATUS). SPDX-License-Identifier: ISC
 *
 * The statuses above 1 are for what does not get better by itself: after those the unit does not
 * start mendipd again. Their numbers are those of sysexits.h.
 */
#ifndef MENDIP_EXIT_STATUS_H
#define MENDIP_EXIT_STATUS_H

#include <stdbool.h>

enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1, /* may pass: no memory, descriptors or process, or no token */
	EXIT_USAGE = 2,
	/* Something that the start needs is taken, missing or another thing. */
	EXIT_UNAVAILABLE = 69,
	/* A capability, or the right to a file, is missing. */
	EXIT_NO_RIGHT = 77,
	/* The configuration cannot be loaded. */
	EXIT_CONFIG = 78
};

/* The status after a start that failed with this -errno. */
enum exit_status exit_status_of_start(int error);
/* Whether a later start may succeed although nobody has mended anything. */
bool exit_status_may_pass(enum exit_status status);

#endif
