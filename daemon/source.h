/*
 * source.h - the address from which this host's own packets go through a tunnel's route.
 * SPDX-License-Identifier: ISC
 *
 * Several children may route to the same prefix, such as a trap and the CHILD SA that it brought
 * up, each with local selectors of its own. Equal ones are kept once, with a count.
 */
#ifndef MENDIP_SOURCE_H
#define MENDIP_SOURCE_H

#include <sys/queue.h>

#include "addr.h"

struct netlink;
struct source_user;
SLIST_HEAD(source_users, source_user);

/* Adds a copy of the selectors. True: there were no equal ones, so source_find may differ. */
bool source_add(struct source_users *users, const struct ts_list *local);
/* Takes back one call of source_add. True: they were the last equal ones. */
bool source_drop(struct source_users *users, const struct ts_list *local);
void source_free(struct source_users *users);
/*
 * An address of this host within one of the selectors, so that the host's own packets match it; if
 * several are, one within the narrowest selector: an assigned address before any other one that a
 * trap for a `dynamic` selector would take. Family 0: there is none.
 */
struct addr source_find(const struct source_users *users, struct netlink *netlink, uint8_t family);

#endif
