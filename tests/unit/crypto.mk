VECTORS_JSON = tests/unit/vectors_json.c tests/unit/vectors_json.h
check_PROGRAMS += tests/unit/t_vectors tests/unit/t_crypto
tests_unit_t_vectors_SOURCES = tests/unit/t_vectors.c $(VECTORS_JSON)
tests_unit_t_vectors_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_vectors_LDADD = libike.a $(ESP_TEST_LIBS) libesp.a libcommon.a $(JANSSON_LIBS) $(CRYPTO_LIBS)
tests_unit_t_crypto_SOURCES = tests/unit/t_crypto.c
tests_unit_t_crypto_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_t_crypto_LDADD = $(ESP_TEST_LIBS)
