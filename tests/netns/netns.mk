PRIVILEGED_TESTS += tests/netns/test_devices.py
EXTRA_DIST += tests/netns/test_devices.py
PRIVILEGED_TESTS += tests/netns/test_tunnel.py tests/netns/test_offload.py tests/netns/test_switchover.py \
	tests/netns/test_control.py tests/netns/test_config.py tests/netns/test_service.py tests/netns/test_quickstart.py \
	tests/netns/test_host.py tests/netns/test_kills.py tests/netns/test_floods.py
EXTRA_DIST += tests/netns/daemons.py tests/netns/traffic.py tests/netns/refuse.c tests/netns/test_tunnel.py \
	tests/netns/test_offload.py tests/netns/test_switchover.py tests/netns/test_control.py tests/netns/test_config.py \
	tests/netns/test_service.py tests/netns/test_quickstart.py tests/netns/test_host.py tests/netns/test_kills.py \
	tests/netns/floods.py tests/netns/test_floods.py

# Programs of these scripts: peers that are an IKE engine and no daemon.
LIVE_PEER = tests/netns/live_peer.c tests/netns/live_peer.h daemon/udp.c tests/seeded.h
EXTRA_PROGRAMS += tests/netns/caller
tests_netns_caller_SOURCES = tests/netns/caller.c $(LIVE_PEER)
tests_netns_caller_CPPFLAGS = $(ROOM_DAEMON) -I$(srcdir)/tests -I$(srcdir)/tests/netns $(CRYPTO_CFLAGS) $(NL_CFLAGS)
tests_netns_caller_LDADD = libike.a libcommon.a $(CRYPTO_LIBS)
check-all: tests/netns/caller
EXTRA_PROGRAMS += tests/netns/flood
tests_netns_flood_SOURCES = tests/netns/flood.c
check-all: tests/netns/flood
