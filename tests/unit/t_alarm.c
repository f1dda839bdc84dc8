/* t_alarm.c - the timer of the event loop. SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/timerfd.h>
#include <time.h>

#include "alarm.h"

static unsigned set_calls, rings;
static struct event_base *base;
static struct alarm alarm_;

int __real_timerfd_settime(int fd, int flags, const struct itimerspec *t, struct itimerspec *old);
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *t, struct itimerspec *old);

int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *t, struct itimerspec *old)
{
	set_calls++;
	return __real_timerfd_settime(fd, flags, t, old);
}

static nsec_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (nsec_t)t.tv_sec * NSEC_PER_SEC + (nsec_t)t.tv_nsec;
}

static void ring(void *ctx)
{
	assert_ptr_equal(ctx, &alarm_);
	rings++;
}

static int begin(void **state)
{
	(void)state;
	set_calls = rings = 0;
	base = event_base_new();
	return !base || event_base_priority_init(base, 2) < 0 ||
	       alarm_init(&alarm_, base, 0, ring, &alarm_) < 0;
}

static int end(void **state)
{
	(void)state;
	alarm_fini(&alarm_);
	event_base_free(base);
	return 0;
}

/* The alarm rings once, not before its time. */
static void test_rings(void **state)
{
	nsec_t at = now() + 30 * NSEC_PER_MSEC;

	(void)state;
	alarm_set(&alarm_, at);
	event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(rings, 1);
	assert_true(now() >= at);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(rings, 1);
}

/* A time in the past rings at once. */
static void test_past(void **state)
{
	(void)state;
	alarm_set(&alarm_, 1);
	event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(rings, 1);
	/* the same time again, after it rang, is in the past too */
	alarm_set(&alarm_, 1);
	event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(rings, 2);
	alarm_set(&alarm_, 0);
	event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(rings, 3);
}

/* An alarm set to NSEC_NEVER does not ring. */
static void test_never(void **state)
{
	(void)state;
	alarm_set(&alarm_, 1);
	alarm_set(&alarm_, NSEC_NEVER);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(rings, 0);
}

/* Setting the same time again makes no system call. */
static void test_cost(void **state)
{
	nsec_t at = now() + NSEC_PER_SEC * 100;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		alarm_set(&alarm_, at);
	assert_int_equal(set_calls, 1);
	alarm_set(&alarm_, at + 1);
	assert_int_equal(set_calls, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rings, begin, end),
		cmocka_unit_test_setup_teardown(test_past, begin, end),
		cmocka_unit_test_setup_teardown(test_never, begin, end),
		cmocka_unit_test_setup_teardown(test_cost, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
