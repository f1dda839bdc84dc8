# Measurements: tests/bench/run builds and runs them, and no figure makes it fail. test_report.py tests its arithmetic.
SCRIPT_TESTS += tests/bench/test_report.py
EXTRA_DIST += tests/bench/run tests/bench/backports.py tests/bench/contenders.py tests/bench/measures.py \
	tests/bench/picture.py tests/bench/report.py tests/bench/sniffer.py tests/bench/test_report.py
EXTRA_PROGRAMS += tests/bench/esp_bench tests/bench/null_tunnel
tests_bench_esp_bench_SOURCES = tests/bench/esp_bench.c
tests_bench_esp_bench_CPPFLAGS = $(INCLUDES_ESP) $(CRYPTO_CFLAGS)
tests_bench_esp_bench_LDADD = libesp.a libcommon.a $(CRYPTO_LIBS)
tests_bench_null_tunnel_SOURCES = tests/bench/null_tunnel.c daemon/tun.c daemon/udp.c \
	daemon/udp_name.c daemon/udp_open.c
tests_bench_null_tunnel_CPPFLAGS = $(INCLUDES_DAEMON) $(NL_CFLAGS) $(CRYPTO_CFLAGS)
tests_bench_null_tunnel_LDADD = libesp.a libcommon.a $(NL_LIBS) $(CRYPTO_LIBS)

# The comparison of cures for a switchover: tests/bench/cures builds and runs it. test_cures.py runs its short form.
SCRIPT_TESTS += tests/bench/test_cures.py
EXTRA_DIST += tests/bench/cures tests/bench/cures_report.py tests/bench/cures_strongswan.py tests/bench/test_cures.py
EXTRA_PROGRAMS += tests/bench/cures_sim
tests_bench_cures_sim_SOURCES = tests/bench/cures_sim.c tests/bench/cures_cell.c tests/bench/cures_cell.h \
	tests/bench/cures_world.c tests/bench/cures_world.h tests/bench/cures_branch.c tests/bench/cures_conf.c \
	tests/bench/cures_gateway.c tests/bench/cures_recorder.c tests/bench/cures_wire.c tests/seeded.h tests/one_conn.h
tests_bench_cures_sim_CPPFLAGS = $(INCLUDES_TUNNEL) -I$(srcdir)/tests $(CRYPTO_CFLAGS)
tests_bench_cures_sim_LDADD = libtunnel.a libike.a libesp.a libcommon.a $(CRYPTO_LIBS) -lm
check-all: tests/bench/cures_sim

# Floods against a gateway whose tunnel is under load; tests/netns/test_floods.py is the short form.
EXTRA_DIST += tests/bench/floods tests/bench/built.py

# Many connections that come up at once.
EXTRA_DIST += tests/bench/connections
