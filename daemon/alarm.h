/* alarm.h - one timer at a time, to the nanosecond. SPDX-License-Identifier: ISC */
#ifndef MENDIP_ALARM_H
#define MENDIP_ALARM_H

#include <event2/event.h>

#include "base.h"

/*
 * libevent's own timers are late by up to 2 ms, or cost a system call each turn of the loop where
 * they are asked to be precise. This one costs a system call only when the time changes.
 */
struct alarm {
	int fd;
	nsec_t set; /* for when; NSEC_NEVER: not */
	struct event *event;
	void (*ring)(void *ctx);
	void *ctx;
};

/* Calls ring(ctx) from the loop at the time that is set. 0 or -errno. */
int alarm_init(struct alarm *a, struct event_base *base, int priority, void (*ring)(void *ctx),
	       void *ctx) MUST_CHECK;
/* Takes one that alarm_init never saw too, if it is zero. */
void alarm_fini(struct alarm *a);
/* Rings once when CLOCK_MONOTONIC reaches `at`, at once if it has; NSEC_NEVER: not at all. */
void alarm_set(struct alarm *a, nsec_t at);

#endif
