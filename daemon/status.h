/* status.h - what the daemon knows, as JSON (mendipctl(8) documents the fields).
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_STATUS_H
#define MENDIP_STATUS_H

#include "daemon.h"

#include <jansson.h>

/* name: a child or connection, or NULL for all. NULL result: there is no such. */
json_t *status_json(struct daemon *d, const char *name);
json_t *switchover_json(struct daemon *d, const char *name);
/* Counters of what passes between the daemon and the kernel: the i-th one's name, with its value in
 * *ret; NULL behind the last. */
const char *status_io(const struct daemon *d, unsigned i, uint64_t *ret);
/* metrics.c: OpenMetrics text; the caller frees. */
char *metrics_text(struct daemon *d);

#endif
