/*
 * held.h - routes for peers of connections that only respond, before these peers come; within
 * tunnel/. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_HELD_H
#define MENDIP_HELD_H

#include "tunnel.h"

/* held.c: routes for the peers of connections that only answer, before they come. */
/* Anyone may call, or who fits a pattern, and there is nobody that we could call. */
bool conn_only_answers(const struct conn_conf *conf);
/* The routes of those of these connections that only answer are held, in place of what was. */
void held_configure(struct tunnel *t, struct conn_conf **conns, unsigned count);
/* Drops all routes of the list. */
void held_release(struct tunnel *t, struct held_list *list);

#endif
