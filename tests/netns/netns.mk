EXTRA_DIST += tests/netns/test_rights.py
PRIVILEGED_TESTS += tests/netns/test_rights.py tests/netns/test_screens.py
EXTRA_DIST += tests/netns/test_screens.py tests/netns/answers.py tests/netns/names.py tests/netns/test_devices.py tests/netns/test_outer.py tests/netns/test_assigned.py tests/netns/test_dns.py tests/netns/test_token.py
PRIVILEGED_TESTS += tests/netns/test_assigned.py tests/netns/test_dns.py tests/netns/test_token.py
EXTRA_DIST += tests/netns/test_watching.py tests/netns/prometheus.py tests/netns/dashboard.py tests/netns/mendip.rules.test.yml
PRIVILEGED_TESTS += tests/netns/test_watching.py
PRIVILEGED_TESTS += tests/netns/test_shells.py
EXTRA_DIST += tests/netns/test_shells.py tests/netns/puppet.py
BUSY_TESTS += tests/netns/test_outer.py tests/netns/test_offload.py tests/netns/test_floods.py tests/netns/test_restart.py
PRIVILEGED_TESTS += tests/netns/test_switchover.py tests/netns/test_tunnel.py tests/netns/test_host.py tests/netns/test_control.py \
	tests/netns/test_quickstart.py tests/netns/test_devices.py tests/netns/test_hostile.py tests/netns/test_kills.py \
	tests/netns/test_config.py tests/netns/test_service.py tests/netns/test_certs.py tests/netns/test_problems.py tests/netns/test_metrics.py
EXTRA_DIST += tests/netns/daemons.py tests/netns/pki.py tests/netns/test_certs.py tests/netns/traffic.py tests/netns/refuse.c tests/netns/test_tunnel.py \
	tests/netns/test_offload.py tests/netns/test_switchover.py tests/netns/test_control.py tests/netns/test_config.py \
	tests/netns/test_service.py tests/netns/test_quickstart.py tests/netns/test_host.py tests/netns/test_kills.py \
	tests/netns/floods.py tests/netns/test_floods.py tests/netns/test_hostile.py tests/netns/test_restart.py tests/netns/test_problems.py tests/netns/test_metrics.py

# Programs that these scripts use: a flood, and peers with the IKE engine but without the daemon.
LIVE_PEER = tests/netns/live_peer.c tests/netns/live_peer.h daemon/udp.c daemon/udp_name.c daemon/udp_open.c \
	tests/seeded.h tests/one_conn.h
EXTRA_PROGRAMS += tests/netns/caller
tests_netns_caller_SOURCES = tests/netns/caller.c $(LIVE_PEER)
tests_netns_caller_CPPFLAGS = $(INCLUDES_DAEMON) -I$(srcdir)/tests -I$(srcdir)/tests/netns $(CRYPTO_CFLAGS) $(NL_CFLAGS)
tests_netns_caller_LDADD = libike.a libcommon.a $(CRYPTO_LIBS)
check-all: tests/netns/caller
EXTRA_PROGRAMS += tests/netns/resolve1
tests_netns_resolve1_SOURCES = tests/netns/resolve1.c
tests_netns_resolve1_CPPFLAGS = $(SYSTEMD_CFLAGS)
tests_netns_resolve1_LDADD = $(SYSTEMD_LIBS)
check-all: tests/netns/resolve1
# A module for OpenSSL, in place of pkcs11-provider.
TOKEN_MODULE = $(srcdir)/tests/netns/token_module.c $(srcdir)/tests/unit/token_provider.c $(srcdir)/common/xalloc.c
tests/netns/pkcs11.so: $(TOKEN_MODULE) $(srcdir)/tests/unit/token_provider.h
	$(AM_V_CCLD)$(MKDIR_P) tests/netns && $(CC) $(AM_CFLAGS) $(CFLAGS) $(INCLUDES_COMMON) -I$(srcdir)/tests/unit \
		$(CRYPTO_CFLAGS) -D_GNU_SOURCE -fPIC -shared -o $@ $(TOKEN_MODULE) $(LDFLAGS) $(CRYPTO_LIBS)
check-all: tests/netns/pkcs11.so
MOSTLYCLEANFILES = tests/netns/pkcs11.so
EXTRA_DIST += tests/netns/token_module.c
EXTRA_PROGRAMS += tests/netns/flood
tests_netns_flood_SOURCES = tests/netns/flood.c
check-all: tests/netns/flood
EXTRA_PROGRAMS += tests/netns/hostile
tests_netns_hostile_SOURCES = tests/netns/hostile.c tests/netns/hostile.h tests/netns/hostile_text.c \
	tests/netns/hostile_esp.c $(LIVE_PEER)
tests_netns_hostile_CPPFLAGS = -I$(srcdir)/esp $(tests_netns_caller_CPPFLAGS)
tests_netns_hostile_LDADD = $(tests_netns_caller_LDADD)
check-all: tests/netns/hostile

# soak-hostile runs the hostile peer for half an hour, or SOAK_SECONDS, against this build; one with --enable-sanitizers
# finds most. check-hostile runs test_hostile.py alone, for its default time.
SOAK_SECONDS = 1800
SOAK_SEED = 1
soak-hostile: mendipd mendipctl tests/netns/hostile
	MENDIP_BUILD=. MENDIP_SECONDS=$(SOAK_SECONDS) MENDIP_SEED=$(SOAK_SEED) $(srcdir)/tests/netns/test_hostile.py

check-hostile: mendipd mendipctl tests/netns/hostile
	@$(srcdir)/tests/run --build . $(srcdir)/tests/netns/test_hostile.py

.PHONY: soak-hostile check-hostile
