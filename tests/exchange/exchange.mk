PEERS = tests/exchange/peers.c tests/exchange/peers.h tests/exchange/wire_queue.h tests/seeded.h tests/one_conn.h
SCENARIO = tests/exchange/scenario.c tests/exchange/scenario.h tests/exchange/scenario_run.h \
	tests/exchange/scenario_setup.c tests/exchange/scenario_act.c tests/exchange/scenario_attack.c \
	tests/exchange/scenario_expect.c tests/exchange/scenario_report.c $(PEERS)

check_PROGRAMS += tests/exchange/t_seeds tests/exchange/t_ike tests/exchange/t_lives tests/exchange/t_cluster \
	tests/exchange/t_hostile tests/exchange/t_limits tests/exchange/t_saved tests/exchange/t_reload \
	tests/exchange/t_children tests/exchange/t_fragments tests/exchange/t_outer \
	tests/exchange/t_mobike tests/exchange/t_assigned tests/exchange/t_addresses tests/exchange/t_backup \
	tests/exchange/t_backup_runs
tests_exchange_t_assigned_SOURCES = tests/exchange/t_assigned.c $(PEERS)
tests_exchange_t_assigned_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_assigned_LDADD = $(TUNNEL_TEST_LIBS)
tests_exchange_t_children_SOURCES = tests/exchange/t_children.c $(PEERS)
tests_exchange_t_children_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_children_LDADD = $(TUNNEL_TEST_LIBS)
check_PROGRAMS += tests/exchange/t_ppk tests/exchange/t_addke
tests_exchange_t_addke_SOURCES = tests/exchange/t_addke.c $(PEERS)
tests_exchange_t_addke_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_addke_LDADD = $(TUNNEL_TEST_LIBS)
tests_exchange_t_ppk_SOURCES = tests/exchange/t_ppk.c $(PEERS)
tests_exchange_t_ppk_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_ppk_LDADD = $(TUNNEL_TEST_LIBS)
PARTIES = tests/exchange/parties.c tests/exchange/parties.h $(PEERS)
check_PROGRAMS += tests/exchange/t_certs
tests_exchange_t_certs_SOURCES = tests/exchange/t_certs.c $(PKI) $(PEERS)
tests_exchange_t_certs_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_certs_LDADD = $(TUNNEL_TEST_LIBS)
tests_exchange_t_limits_SOURCES = tests/exchange/t_limits.c $(PARTIES)
tests_exchange_t_limits_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_limits_LDADD = $(TUNNEL_TEST_LIBS)
tests_exchange_t_hostile_SOURCES = tests/exchange/t_hostile.c $(PARTIES)
tests_exchange_t_hostile_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_hostile_LDADD = $(TUNNEL_TEST_LIBS)
tests_exchange_t_fragments_SOURCES = tests/exchange/t_fragments.c $(PEERS)
tests_exchange_t_fragments_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_fragments_LDADD = $(TUNNEL_TEST_LIBS)
tests_exchange_t_cluster_SOURCES = tests/exchange/t_cluster.c $(PEERS)
tests_exchange_t_cluster_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_cluster_LDADD = $(TUNNEL_TEST_LIBS)
tests_exchange_t_outer_SOURCES = tests/exchange/t_outer.c $(PEERS)
tests_exchange_t_outer_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_outer_LDADD = $(TUNNEL_TEST_LIBS)
tests_exchange_t_reload_SOURCES = tests/exchange/t_reload.c $(PEERS)
tests_exchange_t_reload_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_reload_LDADD = $(TUNNEL_TEST_LIBS)
TWO_GATEWAYS = tests/exchange/two_gateways.c tests/exchange/two_gateways.h tests/exchange/parties.c tests/exchange/parties.h \
	$(PEERS)
tests_exchange_t_backup_SOURCES = tests/exchange/t_backup.c $(TWO_GATEWAYS)
tests_exchange_t_backup_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_backup_LDADD = $(TUNNEL_TEST_LIBS)
tests_exchange_t_backup_runs_SOURCES = tests/exchange/t_backup_runs.c $(TWO_GATEWAYS)
tests_exchange_t_backup_runs_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_backup_runs_LDADD = $(TUNNEL_TEST_LIBS)
tests_exchange_t_addresses_SOURCES = tests/exchange/t_addresses.c $(PEERS)
tests_exchange_t_addresses_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_addresses_LDADD = $(TUNNEL_TEST_LIBS)
tests_exchange_t_mobike_SOURCES = tests/exchange/t_mobike.c $(PEERS)
tests_exchange_t_mobike_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_mobike_LDADD = $(TUNNEL_TEST_LIBS)
tests_exchange_t_saved_SOURCES = tests/exchange/t_saved.c $(PEERS)
tests_exchange_t_saved_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_saved_LDADD = $(TUNNEL_TEST_LIBS)
check_PROGRAMS += tests/exchange/t_problems tests/exchange/t_totals tests/exchange/t_refusal tests/exchange/t_vendors
tests_exchange_t_problems_SOURCES = tests/exchange/t_problems.c $(PEERS)
tests_exchange_t_problems_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_problems_LDADD = $(TUNNEL_TEST_LIBS)
tests_exchange_t_totals_SOURCES = tests/exchange/t_totals.c $(PEERS)
tests_exchange_t_totals_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_totals_LDADD = $(TUNNEL_TEST_LIBS)
tests_exchange_t_refusal_SOURCES = tests/exchange/t_refusal.c $(PEERS)
tests_exchange_t_refusal_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_refusal_LDADD = $(TUNNEL_TEST_LIBS)
tests_exchange_t_vendors_SOURCES = tests/exchange/t_vendors.c $(PEERS)
tests_exchange_t_vendors_CPPFLAGS = $(TEST_CPPFLAGS) -DVENDORS='"$(srcdir)/tests/exchange/vendors.txt"'
tests_exchange_t_vendors_LDADD = $(TUNNEL_TEST_LIBS)
EXTRA_DIST += tests/exchange/vendors.txt
tests_exchange_t_lives_SOURCES = tests/exchange/t_lives.c $(PEERS)
tests_exchange_t_lives_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_lives_LDADD = $(TUNNEL_TEST_LIBS)
tests_exchange_t_ike_SOURCES = tests/exchange/t_ike.c $(PEERS)
tests_exchange_t_ike_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_ike_LDADD = $(TUNNEL_TEST_LIBS)
check_PROGRAMS += tests/exchange/t_answers
tests_exchange_t_answers_SOURCES = tests/exchange/t_answers.c $(PEERS)
tests_exchange_t_answers_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_answers_LDADD = $(TUNNEL_TEST_LIBS)
check_PROGRAMS += tests/exchange/t_unique
tests_exchange_t_unique_SOURCES = tests/exchange/t_unique.c $(PEERS)
tests_exchange_t_unique_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_unique_LDADD = $(TUNNEL_TEST_LIBS)
if FAULTS
check_PROGRAMS += tests/exchange/t_recovery tests/exchange/t_scenarios tests/exchange/t_runs
LONG_TESTS += tests/exchange/test_more_runs.py
endif
tests_exchange_t_seeds_SOURCES = tests/exchange/t_seeds.c $(PEERS)
tests_exchange_t_seeds_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_seeds_LDADD = $(TUNNEL_TEST_LIBS)
tests_exchange_t_recovery_SOURCES = tests/exchange/t_recovery.c $(PEERS)
tests_exchange_t_recovery_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_recovery_LDADD = $(TUNNEL_TEST_LIBS)
tests_exchange_t_scenarios_SOURCES = tests/exchange/t_scenarios.c $(SCENARIO)
tests_exchange_t_scenarios_CPPFLAGS = $(TEST_CPPFLAGS) -DSCENARIO_DIR='"$(srcdir)/tests/exchange/scenarios"'
tests_exchange_t_scenarios_LDADD = $(TUNNEL_TEST_LIBS)
EXTRA_DIST += tests/exchange/scenarios
EXTRA_DIST += tests/exchange/test_more_runs.py
tests_exchange_t_runs_SOURCES = tests/exchange/t_runs.c tests/exchange/draw.c tests/exchange/draw.h $(SCENARIO)
tests_exchange_t_runs_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_runs_LDADD = $(TUNNEL_TEST_LIBS)

# A million random runs (SOAK_RUNS) in two processes, from seed SOAK_FROM on; runs that fail are kept in soak-failures/.
SOAK_RUNS = 1000000
SOAK_FROM = 1
soak: tests/exchange/t_runs
	@mkdir -p soak-failures; half=$$(($(SOAK_RUNS) / 2)); export MENDIP_KEEP=soak-failures; \
	MENDIP_FROM=$(SOAK_FROM) MENDIP_RUNS=$$half tests/exchange/t_runs & first=$$!; \
	MENDIP_FROM=$$(($(SOAK_FROM) + half)) MENDIP_RUNS=$$(($(SOAK_RUNS) - half)) tests/exchange/t_runs; \
	second=$$?; wait $$first && test $$second -eq 0
check_PROGRAMS += tests/exchange/t_forged
tests_exchange_t_forged_SOURCES = tests/exchange/t_forged.c $(PEERS)
tests_exchange_t_forged_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_forged_LDADD = $(TUNNEL_TEST_LIBS)
# Its gateway has a handler of its own for IKE_AUTH.
check_PROGRAMS += tests/exchange/t_eap
tests_exchange_t_eap_SOURCES = tests/exchange/t_eap.c $(EAP_SERVER) $(PEERS)
tests_exchange_t_eap_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_eap_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=auth_on_request,--wrap=rules_allow
tests_exchange_t_eap_LDADD = $(TUNNEL_TEST_LIBS)
check_PROGRAMS += tests/exchange/t_trace
tests_exchange_t_trace_SOURCES = tests/exchange/t_trace.c $(PEERS)
tests_exchange_t_trace_CPPFLAGS = $(TEST_CPPFLAGS)
tests_exchange_t_trace_LDADD = $(TUNNEL_TEST_LIBS)
