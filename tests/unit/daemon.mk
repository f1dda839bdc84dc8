check_PROGRAMS += tests/unit/t_gate tests/unit/t_options
tests_unit_t_gate_SOURCES = tests/unit/t_gate.c
tests_unit_t_gate_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_gate_LDADD = $(TUNNEL_TEST_LIBS)
tests_unit_t_options_SOURCES = tests/unit/t_options.c
tests_unit_t_options_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_options_LDADD = libdaemon.a $(TUNNEL_TEST_LIBS)
