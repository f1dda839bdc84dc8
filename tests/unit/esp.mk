# esp.mk - tests of esp/ and common/; included by the top Makefile.am.

ESP_FIXTURE = tests/unit/esp_fixture.c tests/unit/esp_fixture.h
REF_MODEL = tests/unit/ref_model.c tests/unit/ref_model.h
ESP_RUN = $(ESP_FIXTURE) $(REF_MODEL) tests/unit/esp_run.c tests/unit/esp_run.h

check_PROGRAMS += tests/unit/t_window
tests_unit_t_window_SOURCES = tests/unit/t_window.c $(ESP_FIXTURE) $(REF_MODEL)
tests_unit_t_window_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_window_LDADD = $(ESP_TEST_LIBS)

check_PROGRAMS += tests/unit/t_history
tests_unit_t_history_SOURCES = tests/unit/t_history.c $(ESP_FIXTURE) $(REF_MODEL)
tests_unit_t_history_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_history_LDADD = $(ESP_TEST_LIBS)

check_PROGRAMS += tests/unit/t_detector
tests_unit_t_detector_SOURCES = tests/unit/t_detector.c $(ESP_FIXTURE) $(REF_MODEL)
tests_unit_t_detector_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_detector_LDADD = $(ESP_TEST_LIBS)

check_PROGRAMS += tests/unit/t_esp
tests_unit_t_esp_SOURCES = tests/unit/t_esp.c $(ESP_FIXTURE)
tests_unit_t_esp_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_esp_LDADD = $(ESP_TEST_LIBS)

check_PROGRAMS += tests/unit/t_esp_sa
tests_unit_t_esp_sa_SOURCES = tests/unit/t_esp_sa.c $(ESP_FIXTURE)
tests_unit_t_esp_sa_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_esp_sa_LDADD = $(ESP_TEST_LIBS)

check_PROGRAMS += tests/unit/t_bridge
tests_unit_t_bridge_SOURCES = tests/unit/t_bridge.c $(ESP_RUN)
tests_unit_t_bridge_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_bridge_LDADD = $(ESP_TEST_LIBS)

check_PROGRAMS += tests/unit/t_adversary
tests_unit_t_adversary_SOURCES = tests/unit/t_adversary.c $(ESP_RUN)
tests_unit_t_adversary_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_adversary_LDADD = $(ESP_TEST_LIBS)

check_PROGRAMS += tests/unit/t_fault
tests_unit_t_fault_SOURCES = tests/unit/t_fault.c $(ESP_RUN)
tests_unit_t_fault_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_fault_LDADD = $(ESP_TEST_LIBS)

check_PROGRAMS += tests/unit/t_common
tests_unit_t_common_SOURCES = tests/unit/t_common.c $(ESP_FIXTURE)
tests_unit_t_common_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_common_LDADD = $(ESP_TEST_LIBS)

check_PROGRAMS += tests/unit/t_spd
tests_unit_t_spd_SOURCES = tests/unit/t_spd.c $(ESP_FIXTURE)
tests_unit_t_spd_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_spd_LDADD = $(ESP_TEST_LIBS)

check_PROGRAMS += tests/unit/t_train
tests_unit_t_train_SOURCES = tests/unit/t_train.c $(ESP_FIXTURE)
tests_unit_t_train_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_train_LDADD = $(ESP_TEST_LIBS)

check_PROGRAMS += tests/unit/t_addr
tests_unit_t_addr_SOURCES = tests/unit/t_addr.c $(ESP_FIXTURE)
tests_unit_t_addr_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_addr_LDADD = $(ESP_TEST_LIBS)

check_PROGRAMS += tests/unit/t_packet
tests_unit_t_packet_SOURCES = tests/unit/t_packet.c $(ESP_FIXTURE)
tests_unit_t_packet_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_packet_LDADD = $(ESP_TEST_LIBS)

# Includes checksum.c, to test also the implementations that this machine does not choose.
check_PROGRAMS += tests/unit/t_checksum
tests_unit_t_checksum_SOURCES = tests/unit/t_checksum.c $(ESP_FIXTURE)
tests_unit_t_checksum_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_checksum_LDADD = $(ESP_TEST_LIBS)

check_PROGRAMS += tests/unit/t_flow
tests_unit_t_flow_SOURCES = tests/unit/t_flow.c $(ESP_FIXTURE)
tests_unit_t_flow_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_flow_LDADD = $(ESP_TEST_LIBS)

# Packets coalesced and segmented; see coalesce_fixture.h and ref_coalesce.h.
check_PROGRAMS += tests/unit/t_coalesce
tests_unit_t_coalesce_SOURCES = tests/unit/t_coalesce.c tests/unit/coalesce_fixture.c tests/unit/coalesce_fixture.h \
	tests/unit/ref_coalesce.c tests/unit/ref_coalesce.h $(ESP_FIXTURE)
tests_unit_t_coalesce_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_coalesce_LDADD = $(ESP_TEST_LIBS)

check_PROGRAMS += tests/unit/t_segment
tests_unit_t_segment_SOURCES = tests/unit/t_segment.c $(ESP_FIXTURE)
tests_unit_t_segment_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_segment_LDADD = $(ESP_TEST_LIBS)

check_PROGRAMS += tests/unit/t_inner
tests_unit_t_inner_SOURCES = tests/unit/t_inner.c $(ESP_FIXTURE)
tests_unit_t_inner_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_inner_LDADD = $(ESP_TEST_LIBS)
