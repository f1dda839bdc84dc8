check_PROGRAMS += tests/unit/t_gate tests/unit/t_options tests/unit/t_ike_wire tests/unit/t_reassembly tests/unit/t_auth
tests_unit_t_ike_wire_SOURCES = tests/unit/t_ike_wire.c
tests_unit_t_ike_wire_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_ike_wire_LDADD = $(IKE_TEST_LIBS)
check_PROGRAMS += tests/unit/t_proposal
tests_unit_t_proposal_SOURCES = tests/unit/t_proposal.c
tests_unit_t_proposal_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_proposal_LDADD = $(IKE_TEST_LIBS)
tests_unit_t_reassembly_SOURCES = tests/unit/t_reassembly.c tests/seeded.h
tests_unit_t_reassembly_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_reassembly_LDADD = $(IKE_TEST_LIBS)
tests_unit_t_auth_SOURCES = tests/unit/t_auth.c
tests_unit_t_auth_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_auth_LDADD = $(IKE_TEST_LIBS)
tests_unit_t_gate_SOURCES = tests/unit/t_gate.c
tests_unit_t_gate_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_gate_LDADD = $(TUNNEL_TEST_LIBS)
tests_unit_t_options_SOURCES = tests/unit/t_options.c
tests_unit_t_options_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_options_LDADD = libdaemon.a $(TUNNEL_TEST_LIBS)
check_PROGRAMS += tests/unit/t_config
tests_unit_t_config_SOURCES = tests/unit/t_config.c $(PKI)
tests_unit_t_config_CPPFLAGS = $(TEST_CPPFLAGS) $(CONFIG_CFLAGS)
tests_unit_t_config_LDADD = libdaemon.a $(TUNNEL_TEST_LIBS) $(CONFIG_LIBS)

# Files of mendipd that make system calls, each linked with a simulated kernel of the test.
check_PROGRAMS += tests/unit/t_mtu
tests_unit_t_mtu_SOURCES = tests/unit/t_mtu.c daemon/mtu.c $(ESP_FIXTURE)
tests_unit_t_mtu_CPPFLAGS = $(TEST_CPPFLAGS) $(EVENT_CFLAGS)
tests_unit_t_mtu_LDADD = $(ESP_TEST_LIBS) $(EVENT_LIBS)
check_PROGRAMS += tests/unit/t_udp
tests_unit_t_udp_SOURCES = tests/unit/t_udp.c daemon/udp.c daemon/udp_name.c $(ESP_FIXTURE)
tests_unit_t_udp_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_udp_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=sendmsg,--wrap=sendmmsg,--wrap=setsockopt
tests_unit_t_udp_LDADD = $(ESP_TEST_LIBS)
check_PROGRAMS += tests/unit/t_udp_in
tests_unit_t_udp_in_SOURCES = tests/unit/t_udp_in.c daemon/udp.c daemon/udp_name.c daemon/udp_open.c $(ESP_FIXTURE)
tests_unit_t_udp_in_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_udp_in_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=setsockopt,--wrap=recvmmsg,--wrap=getsockopt
tests_unit_t_udp_in_LDADD = $(ESP_TEST_LIBS)
check_PROGRAMS += tests/unit/t_tun
tests_unit_t_tun_SOURCES = tests/unit/t_tun.c daemon/tun.c $(ESP_FIXTURE)
tests_unit_t_tun_CPPFLAGS = $(TEST_CPPFLAGS) $(NL_CFLAGS)
tests_unit_t_tun_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=open,--wrap=close,--wrap=ioctl,--wrap=read,--wrap=write \
	-Wl,--wrap=nl_connect,--wrap=rtnl_link_get_kernel,--wrap=rtnl_link_change
tests_unit_t_tun_LDADD = $(ESP_TEST_LIBS) $(NL_LIBS)
check_PROGRAMS += tests/unit/t_destination
tests_unit_t_destination_SOURCES = tests/unit/t_destination.c daemon/destination.c
tests_unit_t_destination_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_destination_LDADD = $(ESP_TEST_LIBS)
check_PROGRAMS += tests/unit/t_expiry
tests_unit_t_expiry_SOURCES = tests/unit/t_expiry.c $(PKI)
tests_unit_t_expiry_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_expiry_LDADD = libdaemon.a $(TUNNEL_TEST_LIBS) $(CONFIG_LIBS)
check_PROGRAMS += tests/unit/t_source
tests_unit_t_source_SOURCES = tests/unit/t_source.c daemon/source.c
tests_unit_t_source_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_source_LDADD = $(ESP_TEST_LIBS)
check_PROGRAMS += tests/unit/t_dns
tests_unit_t_dns_SOURCES = tests/unit/t_dns.c daemon/dns.c
tests_unit_t_dns_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_dns_LDADD = $(IKE_TEST_LIBS)
