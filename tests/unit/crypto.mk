VECTORS_JSON = tests/unit/vectors_json.c tests/unit/vectors_json.h
check_PROGRAMS += tests/unit/t_vectors tests/unit/t_crypto tests/unit/t_aead
tests_unit_t_vectors_SOURCES = tests/unit/t_vectors.c $(VECTORS_JSON)
tests_unit_t_vectors_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_vectors_LDADD = libike.a $(ESP_TEST_LIBS) libesp.a libcommon.a $(JANSSON_LIBS) $(CRYPTO_LIBS)
tests_unit_t_crypto_SOURCES = tests/unit/t_crypto.c
tests_unit_t_crypto_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_crypto_LDADD = $(ESP_TEST_LIBS)
tests_unit_t_aead_SOURCES = tests/unit/t_aead.c $(ESP_FIXTURE)
tests_unit_t_aead_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_aead_LDADD = $(ESP_TEST_LIBS)

if IPSEC_MB
check_PROGRAMS += tests/unit/t_aead_choice
tests_unit_t_aead_choice_SOURCES = tests/unit/t_aead_choice.c $(ESP_FIXTURE)
tests_unit_t_aead_choice_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_aead_choice_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=alloc_mb_mgr,--wrap=init_mb_mgr_auto
tests_unit_t_aead_choice_LDADD = $(ESP_TEST_LIBS)
endif
PKI = tests/exchange/pki.c tests/exchange/pki.h
check_PROGRAMS += tests/unit/t_cert
tests_unit_t_cert_SOURCES = tests/unit/t_cert.c $(PKI)
tests_unit_t_cert_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_cert_LDADD = $(IKE_TEST_LIBS)
check_PROGRAMS += tests/unit/t_dn
tests_unit_t_dn_SOURCES = tests/unit/t_dn.c $(PKI)
tests_unit_t_dn_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_dn_LDADD = $(IKE_TEST_LIBS)
check_PROGRAMS += tests/unit/t_mschap
tests_unit_t_mschap_SOURCES = tests/unit/t_mschap.c
tests_unit_t_mschap_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_mschap_LDADD = $(IKE_TEST_LIBS)
EAP_SERVER = tests/exchange/eap_server.c tests/exchange/eap_server.h $(PKI)
check_PROGRAMS += tests/unit/t_eap_peer
tests_unit_t_eap_peer_SOURCES = tests/unit/t_eap_peer.c $(EAP_SERVER)
tests_unit_t_eap_peer_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_eap_peer_LDADD = $(IKE_TEST_LIBS)
