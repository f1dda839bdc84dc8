/* listen_at.h - where the metrics are served, as mendip.conf(5) writes it.
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_LISTEN_AT_H
#define MENDIP_LISTEN_AT_H

#include "addr.h"

/* A port of a loopback address, or a Unix socket. */
struct listen_at {
	struct endpoint at;
	const char *path; /* within the text that was read; NULL: it is a port */
};

#define LISTEN_AT_RULE                                                                       \
	"must be a port of a loopback address, as \"127.0.0.1:9500\" or \"[::1]:9500\", or " \
	"\"unix:/PATH\" of at most 100 characters; from elsewhere, metrics are reached by a proxy"

/*
 * Reads "127.0.0.1:9500", "[::1]:9500" or "unix:/run/mendip/metrics". -EINVAL for everything else,
 * also for addresses that others than this host could reach; *ret is then unchanged.
 */
int listen_at_parse(const char *text, struct listen_at *ret) MUST_CHECK;

#endif
