/* status.h - the daemon's state as JSON (mendipctl(8) documents the fields).
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_STATUS_H
#define MENDIP_STATUS_H

#include "daemon.h"

#include <jansson.h>

/* name: CHILD, CONNECTION or CONNECTION/CHILD; NULL: all. Returns a new reference, or NULL if there
 * is no such child. */
json_t *status_json(struct daemon *d, const char *name);
json_t *switchover_json(struct daemon *d, const char *name);
/* Whether the child has the name, in one of these forms. */
bool status_is_named(const struct conn_conf *c, const struct child_conf *k, const char *name);
/* diagnose.c: how far each child of this name comes, or a connection without one; the same. */
json_t *diagnose_json(struct daemon *d, const char *name);
/* The name of the i-th counter of traffic between the daemon and the kernel, with its value in
 * *ret; NULL after the last one. */
const char *status_io(const struct daemon *d, unsigned i, uint64_t *ret);
/* metrics.c: OpenMetrics text; the caller frees it. */
char *metrics_text(struct daemon *d);

#endif
