PEERS = tests/exchange/peers.c tests/exchange/peers.h

check_PROGRAMS += tests/exchange/t_seeds tests/exchange/t_ike tests/exchange/t_lives
tests_exchange_t_lives_SOURCES = tests/exchange/t_lives.c $(PEERS)
tests_exchange_t_lives_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_lives_LDADD = $(TUNNEL_TEST_LIBS)
tests_exchange_t_ike_SOURCES = tests/exchange/t_ike.c $(PEERS)
tests_exchange_t_ike_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_ike_LDADD = $(TUNNEL_TEST_LIBS)
if FAULTS
check_PROGRAMS += tests/exchange/t_recovery
endif
tests_exchange_t_seeds_SOURCES = tests/exchange/t_seeds.c $(PEERS)
tests_exchange_t_seeds_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_seeds_LDADD = $(TUNNEL_TEST_LIBS)
tests_exchange_t_recovery_SOURCES = tests/exchange/t_recovery.c $(PEERS)
tests_exchange_t_recovery_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_recovery_LDADD = $(TUNNEL_TEST_LIBS)
