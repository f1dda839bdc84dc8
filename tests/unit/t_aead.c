/* t_aead.c - the two AEAD back ends give the same results. SPDX-License-Identifier: ISC */
#include "esp_fixture.h"

#define BATCH	 70 /* more than the back end queues at a time */
#define TEXT_MAX 1600
#define ROUNDS	 60

static struct fixture_rng rng;

static uint32_t below(uint32_t n)
{
	return (uint32_t)fixture_below(&rng, n);
}

#ifdef HAVE_IPSEC_MB

/* A packet, the same for both back ends. */
struct packet {
	uint8_t aad[12]; /* AAD that is not directly before the IV */
	uint8_t bytes[8 + SUITE_MAX_IV + TEXT_MAX + SUITE_MAX_ICV];
	uint8_t out[TEXT_MAX], plain[TEXT_MAX];
};

struct side {
	struct aead_key *key[2];
	struct packet packet[BATCH];
	struct aead_op op[BATCH];
};

static struct side mb, ossl;

static void lay_out(struct side *s, const struct suite *suite, unsigned i, uint32_t len, bool apart,
		    unsigned which)
{
	struct packet *p = &s->packet[i];
	uint8_t *iv = p->bytes + 8, *text = iv + suite->iv_len;

	s->op[i] = (struct aead_op){.key = s->key[which],
				    .aad = apart ? p->aad : p->bytes,
				    .aad_len = apart ? 12 : 8,
				    .iv = iv,
				    .src = text,
				    .dst = text,
				    .icv = text + len,
				    .len = len,
				    .tail_len = !suite->combined && i % 3 ? 4 : 0,
				    .tail = {9, 8, 7, (uint8_t)i}};
}

static void make(const struct suite *suite, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint32_t len = (below(TEXT_MAX) + 16) / suite->block * suite->block;
		bool apart = below(8) == 0;
		unsigned which = below(2);

		if (len > TEXT_MAX)
			len = TEXT_MAX;
		rng_fill(&rng.rng, (uint8_t *)&mb.packet[i], sizeof(mb.packet[i]));
		memcpy(mb.packet[i].plain, mb.packet[i].bytes + 8 + suite->iv_len, len);
		ossl.packet[i] = mb.packet[i];
		lay_out(&mb, suite, i, len, apart, which);
		lay_out(&ossl, suite, i, len, apart, which);
	}
}

/* Opens some packets to another place, and changes some. */
static void disturb(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint32_t at = 8 + below(mb.op[i].len);
		unsigned what = below(6);

		if (below(2)) {
			mb.op[i].dst = mb.packet[i].out;
			ossl.op[i].dst = ossl.packet[i].out;
		}
		if (what == 0) {
			mb.packet[i].bytes[at] ^= 1;
			ossl.packet[i].bytes[at] ^= 1;
		} else if (what == 1) {
			mb.op[i].icv[below(16)] ^= 0x80;
			memcpy(ossl.op[i].icv, mb.op[i].icv, 16);
		} else if (what == 2) {
			mb.op[i].tail[0] ^= 1;
			ossl.op[i].tail[0] ^= 1;
		}
	}
}

static void compare_opened(const struct suite *suite, unsigned n, unsigned *ret_bad)
{
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(mb.op[i].ok, ossl.op[i].ok);
		assert_memory_equal(mb.op[i].icv, ossl.op[i].icv, suite->icv_len);
		*ret_bad += !mb.op[i].ok;
		if (mb.op[i].ok)
			assert_memory_equal(mb.op[i].dst, ossl.op[i].dst, mb.op[i].len);
		else /* the plaintext of a packet with wrong ICV must not be readable */
			assert_memory_not_equal(mb.op[i].dst, mb.packet[i].plain, 16);
	}
}

static void make_keys(struct side *s, const struct suite *suite, const char *name)
{
	for (uint8_t i = 0; i < 2; i++) {
		uint8_t key[2 * SUITE_MAX_KEY];

		memset(key, 0x11 * (i + 1), sizeof(key));
		s->key[i] = aead_key_new(suite, key, key + SUITE_MAX_KEY);
		assert_non_null(s->key[i]);
		assert_string_equal(aead_backend_name(s->key[i]), name);
	}
}

static void free_keys(struct side *s)
{
	aead_key_free(s->key[0]);
	aead_key_free(s->key[1]);
}

static void one_suite(const struct suite *suite)
{
	char err[128];
	unsigned bad = 0, all = 0;

	make_keys(&ossl, suite, "openssl");
	assert_int_equal(aead_init(AEAD_IPSEC_MB, err, sizeof(err)), 0);
	make_keys(&mb, suite, "ipsec-mb");
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned n = 1 + below(BATCH);

		make(suite, n);
		aead_seal_many(mb.op, n);
		aead_seal_many(ossl.op, n);
		for (unsigned i = 0; i < n; i++) {
			assert_true(mb.op[i].ok && ossl.op[i].ok);
			assert_memory_equal(mb.packet[i].bytes, ossl.packet[i].bytes,
					    sizeof(mb.packet[i].bytes));
		}
		disturb(n);
		aead_open_many(mb.op, n);
		aead_open_many(ossl.op, n);
		compare_opened(suite, n, &bad);
		all += n;
	}
	assert_in_range(bad, all / 10, all / 2);
	free_keys(&mb);
	aead_fini();
	free_keys(&ossl);
}

/* Random batches of every suite, sealed and opened by both back ends. */
static void back_ends_agree(void **state)
{
	size_t count;
	const struct suite *s = suite_table(&count);

	(void)state;
	for (size_t i = 0; i < count; i++)
		one_suite(&s[i]);
	print_message("# %zu suites: ipsec-mb and OpenSSL give the same bytes\n", count);
}

#endif

/* aead_init chooses the back end of new keys. */
static void choice_is_kept(void **state)
{
	const struct suite *s = suite_find(ENCR_AES_GCM_16, 128, INTEG_NONE);
	const uint8_t key[SUITE_MAX_KEY] = {0};
	struct aead_key *k;
	char err[128];

	(void)state;
	assert_int_equal(aead_init(AEAD_OPENSSL, err, sizeof(err)), 0);
	k = aead_key_new(s, key, key);
	assert_string_equal(aead_backend_name(k), "openssl");
	aead_key_free(k);
#ifdef HAVE_IPSEC_MB
	assert_int_equal(aead_init(AEAD_AUTO, err, sizeof(err)), 0);
	assert_string_equal(err, "");
	k = aead_key_new(s, key, key);
	assert_string_equal(aead_backend_name(k), "ipsec-mb");
	aead_key_free(k);
	aead_fini();
#else
	assert_int_equal(aead_init(AEAD_AUTO, err, sizeof(err)), 0);
	assert_int_equal(aead_init(AEAD_IPSEC_MB, err, sizeof(err)), -ENOTSUP);
	assert_string_not_equal(err, "");
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifdef HAVE_IPSEC_MB
		cmocka_unit_test(back_ends_agree),
#endif
		cmocka_unit_test(choice_is_kept),
	};

	fixture_rng_init(&rng, 7);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
