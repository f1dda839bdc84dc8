/*
 * one_conn.h - a configuration with one connection, and one secret for every peer.
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_TESTS_ONE_CONN_H
#define MENDIP_TESTS_ONE_CONN_H

#include <string.h>

#include "sa/ike_config.h"
#include "xalloc.h"

/* Returned with one reference. */
static inline struct psk_store *one_secret(const char *secret)
{
	struct psk_store *s = psk_store_new();

	s->v = xzalloc(sizeof(*s->v));
	s->count = 1;
	s->v[0].len = strlen(secret);
	s->v[0].secret = xmemdup(secret, s->v[0].len);
	return s;
}

/* Takes one more reference to conf; free with conn_set_fini. */
static inline struct conn_set one_conn(const struct conn_conf *conf, const char *secret)
{
	struct conn_set s = {.v = xreallocarray(NULL, 1, sizeof(conf)), .count = 1};

	s.v[0] = conn_ref(conf);
	s.secrets = one_secret(secret);
	return s;
}

#endif
