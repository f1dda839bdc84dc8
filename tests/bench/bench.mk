# Figures, never pass or fail on time: tests/bench/run builds and runs all of it. Only its arithmetic is a test.
SCRIPT_TESTS += tests/bench/test_report.py
EXTRA_DIST += tests/bench/run tests/bench/backports.py tests/bench/contenders.py tests/bench/measures.py \
	tests/bench/picture.py tests/bench/report.py tests/bench/sniffer.py tests/bench/test_report.py
EXTRA_PROGRAMS += tests/bench/esp_bench tests/bench/null_tunnel
tests_bench_esp_bench_SOURCES = tests/bench/esp_bench.c
tests_bench_esp_bench_CPPFLAGS = $(ROOM_ESP) $(CRYPTO_CFLAGS)
tests_bench_esp_bench_LDADD = libesp.a libcommon.a $(CRYPTO_LIBS)
tests_bench_null_tunnel_SOURCES = tests/bench/null_tunnel.c daemon/tun.c daemon/udp.c
tests_bench_null_tunnel_CPPFLAGS = $(ROOM_DAEMON) $(NL_CFLAGS) $(CRYPTO_CFLAGS)
tests_bench_null_tunnel_LDADD = libesp.a libcommon.a $(NL_LIBS) $(CRYPTO_LIBS)
