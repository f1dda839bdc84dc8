/*
 * held.h - routes for peers of connections that only respond, before these peers come; within
 * tunnel/. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_HELD_H
#define MENDIP_HELD_H

#include "tunnel.h"

/* The peer is %any or a pattern, and no address to initiate to is configured. */
bool conn_only_answers(const struct conn_conf *conf);
/* Holds the routes of those of these connections that only respond; drops those held before. */
void held_configure(struct tunnel *t, const struct conn_set *conns);
/* Drops all routes of the list. */
void held_release(struct tunnel *t, struct held_list *list);

#endif
