# Tests of parts of the daemon's event loop; system calls are wrapped by the linker.
check_PROGRAMS += tests/unit/t_alarm
tests_unit_t_alarm_SOURCES = tests/unit/t_alarm.c daemon/alarm.c daemon/alarm.h
tests_unit_t_alarm_CPPFLAGS = $(TEST_CPPFLAGS) $(EVENT_CFLAGS)
tests_unit_t_alarm_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=timerfd_settime
tests_unit_t_alarm_LDADD = libtests.a $(EVENT_LIBS) $(CMOCKA_LIBS)
