/* alarm.h - a timer with nanosecond resolution and one deadline. SPDX-License-Identifier: ISC */
#ifndef MENDIP_ALARM_H
#define MENDIP_ALARM_H

#include <event2/event.h>

#include "base.h"

/*
 * libevent's own timers are late by up to 2 ms or, with the precise timer, cost a system call in
 * each turn of the loop. This one costs a system call only when the deadline changes.
 */
struct alarm {
	int fd;
	nsec_t set; /* the deadline; NSEC_NEVER: none */
	struct event *event;
	void (*ring)(void *ctx);
	void *ctx;
};

/* The loop will call ring(ctx) at the time that alarm_set sets; none is set yet. 0 or -errno. */
int alarm_init(struct alarm *a, struct event_base *base, int priority, void (*ring)(void *ctx),
	       void *ctx) MUST_CHECK;
/* Also accepts a zeroed struct that alarm_init was never called on. */
void alarm_fini(struct alarm *a);
/* Rings once when CLOCK_MONOTONIC reaches `at`, at once if that has passed; NSEC_NEVER: never. */
void alarm_set(struct alarm *a, nsec_t at);

#endif
