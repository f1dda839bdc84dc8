# The two data loops, linked with a simulated kernel: see data_fixture.h.
DATA_FIXTURE = tests/unit/data_fixture.c tests/unit/data_fixture.h daemon/data.c daemon/data_send.c daemon/data_in.c daemon/data_out.c daemon/device.c \
	$(ESP_FIXTURE)

check_PROGRAMS += tests/unit/t_data_out
tests_unit_t_data_out_SOURCES = tests/unit/t_data_out.c $(DATA_FIXTURE)
tests_unit_t_data_out_CPPFLAGS = $(TEST_CPPFLAGS) $(EVENT_CFLAGS)
tests_unit_t_data_out_LDADD = $(ESP_TEST_LIBS) $(EVENT_LIBS)

check_PROGRAMS += tests/unit/t_data_in
tests_unit_t_data_in_SOURCES = tests/unit/t_data_in.c $(DATA_FIXTURE)
tests_unit_t_data_in_CPPFLAGS = $(TEST_CPPFLAGS) $(EVENT_CFLAGS)
tests_unit_t_data_in_LDADD = $(ESP_TEST_LIBS) $(EVENT_LIBS)

check_PROGRAMS += tests/unit/t_device
tests_unit_t_device_SOURCES = tests/unit/t_device.c $(DATA_FIXTURE)
tests_unit_t_device_CPPFLAGS = $(TEST_CPPFLAGS) $(EVENT_CFLAGS)
tests_unit_t_device_LDADD = $(ESP_TEST_LIBS) $(EVENT_LIBS)

check_PROGRAMS += tests/unit/t_data_random
tests_unit_t_data_random_SOURCES = tests/unit/t_data_random.c $(DATA_FIXTURE)
tests_unit_t_data_random_CPPFLAGS = $(TEST_CPPFLAGS) $(EVENT_CFLAGS)
tests_unit_t_data_random_LDADD = $(ESP_TEST_LIBS) $(EVENT_LIBS)
