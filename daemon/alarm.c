/* alarm.c - see alarm.h. SPDX-License-Identifier: ISC */
#include "alarm.h"

#include <sys/timerfd.h>
#include <unistd.h>

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct alarm *a = ctx;
	uint64_t times;

	(void)what;
	/* It fails if the alarm was set again since: the old deadline does not ring. */
	if (read(fd, &times, sizeof(times)) != sizeof(times))
		return;
	a->set = NSEC_NEVER;
	a->ring(a->ctx);
}

int alarm_init(struct alarm *a, struct event_base *base, int priority, void (*ring)(void *ctx),
	       void *ctx)
{
	int r;

	*a = (struct alarm){.set = NSEC_NEVER, .ring = ring, .ctx = ctx};
	a->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (a->fd < 0) {
		*a = (struct alarm){0};
		return -errno;
	}
	a->event = event_new(base, a->fd, EV_READ | EV_PERSIST, on_readable, a);
	if (!a->event || event_priority_set(a->event, priority) < 0 ||
	    event_add(a->event, NULL) < 0) {
		r = -ENOMEM;
		alarm_fini(a);
		return r;
	}
	return 0;
}

void alarm_fini(struct alarm *a)
{
	if (!a->ring)
		return;
	if (a->event)
		event_free(a->event);
	close(a->fd);
	*a = (struct alarm){0};
}

void alarm_set(struct alarm *a, nsec_t at)
{
	struct itimerspec t = {0};

	if (at == a->set)
		return;
	a->set = at;
	/* A value of zero would disarm the timer; 1 ns is as long past as 0. */
	if (at != NSEC_NEVER) {
		t.it_value.tv_sec = (time_t)(at / NSEC_PER_SEC);
		t.it_value.tv_nsec = (long)max_u64(at % NSEC_PER_SEC, 1);
	}
	(void)timerfd_settime(a->fd, TFD_TIMER_ABSTIME, &t, NULL);
}
