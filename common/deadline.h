/*
 * deadline.h - an intrusive heap of deadlines. SPDX-License-Identifier: ISC
 *
 * The owner embeds a struct deadline in its object, gives it the function to be called when it is
 * due, and finds the object by container_of. Setting, clearing and taking are O(log n). The heap
 * grows only in deadline_set.
 */
#ifndef MENDIP_DEADLINE_H
#define MENDIP_DEADLINE_H

#include "base.h"

struct deadline;
/* Called when d is due; d is not set then, and may be set again or freed. now: of deadlines_run. */
typedef void deadline_due(struct deadline *d, nsec_t now);

struct deadline {
	nsec_t at;
	uint32_t place;	   /* index in the heap + 1; 0: not set */
	deadline_due *due; /* the owner's; never NULL when it is set */
};

struct deadline_heap {
	struct deadline **v;
	uint32_t count, cap;
};

void deadlines_init(struct deadline_heap *h);
/* Frees the heap, not the owners' objects. */
void deadlines_fini(struct deadline_heap *h);
/* (Re)sets d to `at`; NSEC_NEVER clears it. Out of memory ends the process: see xalloc.h. */
void deadline_set(struct deadline_heap *h, struct deadline *d, nsec_t at);
void deadline_clear(struct deadline_heap *h, struct deadline *d);
static inline bool deadline_is_set(const struct deadline *d)
{
	return d->place != 0;
}
/* The least of all, or NSEC_NEVER. */
nsec_t deadline_next(const struct deadline_heap *h);
/*
 * Calls what is due at now, the earliest first, one after the other until none is: what is set to
 * now or earlier meanwhile is called too.
 */
void deadlines_run(struct deadline_heap *h, nsec_t now);

#endif
