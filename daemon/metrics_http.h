/*
 * metrics_http.h - serves the metrics to Prometheus: GET or HEAD of /metrics over HTTP (mendipd(8),
 * WATCHING). SPDX-License-Identifier: ISC
 *
 * Whoever can connect is hostile. Each answer ends its connection, which lives for seconds at most
 * and of which there are few; the text is made once a second at most, and shared. So neither many
 * clients nor slow ones take memory or time from the data path.
 */
#ifndef MENDIP_METRICS_HTTP_H
#define MENDIP_METRICS_HTTP_H

#include "daemon.h"

struct metrics_http;

/*
 * Listens on the sockets called "metrics" that systemd has passed, and where metrics_listen says.
 * NULL: nobody asked for it, or no socket could be used. The log says why; tunnels do without.
 * d->kept must still be there.
 */
struct metrics_http *metrics_http_new(struct daemon *d);
/* Disconnects all clients. Accepts NULL. */
void metrics_http_free(struct metrics_http *h);
/*
 * The port of metrics_listen, for the next process, as no unit of systemd keeps it; -1: there is
 * none, or it is a Unix socket, which the next process makes anew. Accepts NULL.
 */
int metrics_http_own(const struct metrics_http *h);

/* The name under which that is left with systemd. */
#define METRICS_OWN "metrics-own"

#endif
