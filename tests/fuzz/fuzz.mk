# Fuzz targets: ordinary tests over their corpora, and libFuzzer programs with --enable-fuzzers.
FUZZ_LIBS = libdaemon.a libtunnel.a libike.a libesp.a libcommon.a $(CRYPTO_LIBS)
FUZZ_DRIVER = tests/fuzz/driver.c tests/fuzz/fuzz.h

check_PROGRAMS += tests/fuzz/fuzz_ike_message
tests_fuzz_fuzz_ike_message_SOURCES = tests/fuzz/fuzz_ike_message.c $(FUZZ_DRIVER)
tests_fuzz_fuzz_ike_message_CPPFLAGS = $(TEST_CPPFLAGS) -DFUZZ_NAME='"ike_message"' \
	-DFUZZ_CORPUS='"$(abs_srcdir)/tests/fuzz/corpus/ike_message"'
tests_fuzz_fuzz_ike_message_LDADD = $(FUZZ_LIBS)
check_PROGRAMS += tests/fuzz/fuzz_ike_engine
tests_fuzz_fuzz_ike_engine_SOURCES = tests/fuzz/fuzz_ike_engine.c tests/exchange/peers.c tests/exchange/peers.h $(FUZZ_DRIVER)
tests_fuzz_fuzz_ike_engine_CPPFLAGS = $(TEST_CPPFLAGS) -DFUZZ_NAME='"ike_engine"' \
	-DFUZZ_CORPUS='"$(abs_srcdir)/tests/fuzz/corpus/ike_engine"'
tests_fuzz_fuzz_ike_engine_LDADD = $(TUNNEL_TEST_LIBS)
check_PROGRAMS += tests/fuzz/fuzz_esp
tests_fuzz_fuzz_esp_SOURCES = tests/fuzz/fuzz_esp.c $(FUZZ_DRIVER)
tests_fuzz_fuzz_esp_CPPFLAGS = $(TEST_CPPFLAGS) -DFUZZ_NAME='"esp"' \
	-DFUZZ_CORPUS='"$(abs_srcdir)/tests/fuzz/corpus/esp"'
tests_fuzz_fuzz_esp_LDADD = $(FUZZ_LIBS)
check_PROGRAMS += tests/fuzz/fuzz_text
tests_fuzz_fuzz_text_SOURCES = tests/fuzz/fuzz_text.c $(FUZZ_DRIVER)
tests_fuzz_fuzz_text_CPPFLAGS = $(TEST_CPPFLAGS) -DFUZZ_NAME='"text"' \
	-DFUZZ_CORPUS='"$(abs_srcdir)/tests/fuzz/corpus/text"'
tests_fuzz_fuzz_text_LDADD = $(FUZZ_LIBS)
check_PROGRAMS += tests/fuzz/fuzz_cert
tests_fuzz_fuzz_cert_SOURCES = tests/fuzz/fuzz_cert.c $(FUZZ_DRIVER)
tests_fuzz_fuzz_cert_CPPFLAGS = $(TEST_CPPFLAGS) -DFUZZ_NAME='"cert"' -DMUTATIONS=5000 \
	-DFUZZ_CORPUS='"$(abs_srcdir)/tests/fuzz/corpus/cert"'
tests_fuzz_fuzz_cert_LDADD = $(FUZZ_LIBS)
check_PROGRAMS += tests/fuzz/fuzz_inner
tests_fuzz_fuzz_inner_SOURCES = tests/fuzz/fuzz_inner.c $(FUZZ_DRIVER)
tests_fuzz_fuzz_inner_CPPFLAGS = $(TEST_CPPFLAGS) -DFUZZ_NAME='"inner"' \
	-DFUZZ_CORPUS='"$(abs_srcdir)/tests/fuzz/corpus/inner"'
tests_fuzz_fuzz_inner_LDADD = $(FUZZ_LIBS)
check_PROGRAMS += tests/fuzz/fuzz_offload
tests_fuzz_fuzz_offload_SOURCES = tests/fuzz/fuzz_offload.c $(FUZZ_DRIVER)
tests_fuzz_fuzz_offload_CPPFLAGS = $(TEST_CPPFLAGS) -DFUZZ_NAME='"offload"' \
	-DFUZZ_CORPUS='"$(abs_srcdir)/tests/fuzz/corpus/offload"'
tests_fuzz_fuzz_offload_LDADD = $(FUZZ_LIBS)
ESP_MODEL = tests/fuzz/esp_model.c tests/fuzz/esp_model.h $(ESP_FIXTURE) $(REF_MODEL)
check_PROGRAMS += tests/fuzz/fuzz_esp_run
tests_fuzz_fuzz_esp_run_SOURCES = tests/fuzz/fuzz_esp_run.c $(ESP_MODEL) $(FUZZ_DRIVER)
tests_fuzz_fuzz_esp_run_CPPFLAGS = $(TEST_CPPFLAGS) -DFUZZ_NAME='"esp_run"' -DMUTATIONS=5000 \
	-DFUZZ_CORPUS='"$(abs_srcdir)/tests/fuzz/corpus/esp_run"'
tests_fuzz_fuzz_esp_run_LDADD = $(ESP_TEST_LIBS)
# The target opens no file outside of its folder, and checks what libconfig is given.
CONFIG_WRAPS = -Wl,--wrap=open,--wrap=config_read_string
check_PROGRAMS += tests/fuzz/fuzz_config
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c $(PKI) $(FUZZ_DRIVER)
tests_fuzz_fuzz_config_CPPFLAGS = $(TEST_CPPFLAGS) $(CONFIG_CFLAGS) -DFUZZ_NAME='"config"' \
	-DMUTATIONS=5000 \
	-DFUZZ_CORPUS='"$(abs_srcdir)/tests/fuzz/corpus/config"'
tests_fuzz_fuzz_config_LDFLAGS = $(AM_LDFLAGS) $(CONFIG_WRAPS)
tests_fuzz_fuzz_config_LDADD = $(FUZZ_LIBS) $(CONFIG_LIBS)
check_PROGRAMS += tests/fuzz/fuzz_import
tests_fuzz_fuzz_import_SOURCES = tests/fuzz/fuzz_import.c $(FUZZ_DRIVER)
tests_fuzz_fuzz_import_CPPFLAGS = $(TEST_CPPFLAGS) -DFUZZ_NAME='"import"' -DMUTATIONS=3000 \
	-DFUZZ_CORPUS='"$(abs_srcdir)/tests/fuzz/corpus/import"'
tests_fuzz_fuzz_import_LDADD = $(FUZZ_LIBS) $(CONFIG_LIBS)
# Each input runs two engines for minutes of virtual time: fewer mutations. The name "inside" keeps the published captures to
# fuzz_ike_message and fuzz_ike_engine (see driver.c).
check_PROGRAMS += tests/fuzz/fuzz_ike_inside
INSIDE = tests/fuzz/fuzz_ike_inside.c tests/exchange/peers.c tests/exchange/peers.h tests/fuzz/fuzz.h
tests_fuzz_fuzz_ike_inside_SOURCES = $(INSIDE) tests/fuzz/driver.c
tests_fuzz_fuzz_ike_inside_CPPFLAGS = $(TEST_CPPFLAGS) -DFUZZ_NAME='"inside"' -DMUTATIONS=2000 \
	-DFUZZ_CORPUS='"$(abs_srcdir)/tests/fuzz/corpus/ike_inside"'
tests_fuzz_fuzz_ike_inside_LDADD = $(TUNNEL_TEST_LIBS)
check_PROGRAMS += tests/fuzz/fuzz_eap
EAP = tests/fuzz/fuzz_eap.c tests/fuzz/fuzz.h $(PKI)
tests_fuzz_fuzz_eap_SOURCES = $(EAP) tests/fuzz/driver.c
tests_fuzz_fuzz_eap_CPPFLAGS = $(TEST_CPPFLAGS) -DFUZZ_NAME='"eap"' -DMUTATIONS=5000 \
	-DFUZZ_CORPUS='"$(abs_srcdir)/tests/fuzz/corpus/eap"'
tests_fuzz_fuzz_eap_LDADD = $(IKE_TEST_LIBS)
check_PROGRAMS += tests/fuzz/fuzz_control
# control.c is missing here, as fuzz_control.c includes it.
CONTROL = tests/fuzz/fuzz_control.c tests/fuzz/control_peers.c tests/fuzz/control_peers.h daemon/control_socket.c daemon/diagnose.c daemon/status.c \
	daemon/metrics.c daemon/unix_socket.c tests/exchange/peers.c tests/exchange/peers.h tests/fuzz/fuzz.h
if FAULTS
CONTROL += daemon/fault.c
endif
CONTROL_CPPFLAGS = $(TEST_CPPFLAGS) $(CONFIG_CFLAGS) $(EVENT_CFLAGS)
CONTROL_LIBS = libdaemon.a $(TUNNEL_TEST_LIBS) $(CONFIG_LIBS) $(EVENT_LIBS) $(JANSSON_LIBS)
tests_fuzz_fuzz_control_SOURCES = $(CONTROL) tests/fuzz/driver.c
tests_fuzz_fuzz_control_CPPFLAGS = $(CONTROL_CPPFLAGS) -DFUZZ_NAME='"control"' -DMUTATIONS=2000 \
	-DFUZZ_CORPUS='"$(abs_srcdir)/tests/fuzz/corpus/control"'
tests_fuzz_fuzz_control_LDADD = $(CONTROL_LIBS)

if FUZZERS
noinst_PROGRAMS = tests/fuzz/lf_ike_message tests/fuzz/lf_ike_engine tests/fuzz/lf_esp tests/fuzz/lf_text \
	tests/fuzz/lf_inner tests/fuzz/lf_offload tests/fuzz/lf_esp_run tests/fuzz/lf_config tests/fuzz/lf_ike_inside \
	tests/fuzz/lf_control tests/fuzz/lf_cert tests/fuzz/lf_eap tests/fuzz/lf_import
tests_fuzz_lf_cert_SOURCES = tests/fuzz/fuzz_cert.c tests/fuzz/fuzz.h
tests_fuzz_lf_cert_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_lf_cert_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_cert_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_cert_LDADD = $(FUZZ_LIBS)
tests_fuzz_lf_eap_SOURCES = $(EAP)
tests_fuzz_lf_eap_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_lf_eap_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_eap_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_eap_LDADD = $(IKE_TEST_LIBS)
tests_fuzz_lf_esp_run_SOURCES = tests/fuzz/fuzz_esp_run.c tests/fuzz/fuzz.h $(ESP_MODEL)
tests_fuzz_lf_esp_run_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_lf_esp_run_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_esp_run_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_esp_run_LDADD = $(ESP_TEST_LIBS)
tests_fuzz_lf_config_SOURCES = tests/fuzz/fuzz_config.c $(PKI) tests/fuzz/fuzz.h
tests_fuzz_lf_config_CPPFLAGS = $(TEST_CPPFLAGS) $(CONFIG_CFLAGS)
tests_fuzz_lf_config_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_config_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer $(CONFIG_WRAPS)
tests_fuzz_lf_config_LDADD = $(FUZZ_LIBS) $(CONFIG_LIBS)
tests_fuzz_lf_import_SOURCES = tests/fuzz/fuzz_import.c tests/fuzz/fuzz.h
tests_fuzz_lf_import_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_lf_import_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_import_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_import_LDADD = $(FUZZ_LIBS) $(CONFIG_LIBS)
tests_fuzz_lf_ike_inside_SOURCES = $(INSIDE)
tests_fuzz_lf_ike_inside_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_lf_ike_inside_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_ike_inside_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_ike_inside_LDADD = $(TUNNEL_TEST_LIBS)
tests_fuzz_lf_control_SOURCES = $(CONTROL)
tests_fuzz_lf_control_CPPFLAGS = $(CONTROL_CPPFLAGS)
tests_fuzz_lf_control_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_control_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_control_LDADD = $(CONTROL_LIBS)
tests_fuzz_lf_offload_SOURCES = tests/fuzz/fuzz_offload.c tests/fuzz/fuzz.h
tests_fuzz_lf_offload_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_lf_offload_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_offload_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_offload_LDADD = $(FUZZ_LIBS)
tests_fuzz_lf_ike_message_SOURCES = tests/fuzz/fuzz_ike_message.c tests/fuzz/fuzz.h
tests_fuzz_lf_ike_message_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_lf_ike_message_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_ike_message_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_ike_message_LDADD = $(FUZZ_LIBS)
tests_fuzz_lf_ike_engine_SOURCES = tests/fuzz/fuzz_ike_engine.c tests/exchange/peers.c tests/exchange/peers.h tests/fuzz/fuzz.h
tests_fuzz_lf_ike_engine_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_lf_ike_engine_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_ike_engine_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_ike_engine_LDADD = $(TUNNEL_TEST_LIBS)
tests_fuzz_lf_esp_SOURCES = tests/fuzz/fuzz_esp.c tests/fuzz/fuzz.h
tests_fuzz_lf_esp_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_lf_esp_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_esp_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_esp_LDADD = $(FUZZ_LIBS)
tests_fuzz_lf_text_SOURCES = tests/fuzz/fuzz_text.c tests/fuzz/fuzz.h
tests_fuzz_lf_text_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_lf_text_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_text_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_text_LDADD = $(FUZZ_LIBS)
tests_fuzz_lf_inner_SOURCES = tests/fuzz/fuzz_inner.c tests/fuzz/fuzz.h
tests_fuzz_lf_inner_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_lf_inner_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_inner_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_lf_inner_LDADD = $(FUZZ_LIBS)

# Runs each target for FUZZ_TIME seconds from its corpus; findings are left in found/ in the build folder.
FUZZ_TIME = 60
FUZZ_RUNS = $(noinst_PROGRAMS:=.run)
fuzz: $(FUZZ_RUNS)
$(FUZZ_RUNS): %.run: %
	@name=`basename $< | sed s/^lf_//`; mkdir -p found/$$name; \
	$< -max_total_time=$(FUZZ_TIME) -max_len=4096 -timeout=10 -artifact_prefix=found/$$name- found/$$name \
		$(srcdir)/tests/fuzz/corpus/$$name >found/$$name.log 2>&1 || \
		{ tail -n 40 found/$$name.log; exit 1; }; \
	echo "fuzz $$name: `grep -a '^Done\|^#.*DONE' found/$$name.log | tail -n 1`"
endif

EXTRA_DIST += tests/fuzz/make-corpus tests/fuzz/corpus
