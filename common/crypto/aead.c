/* aead.c - chooses the back end of each key; see aead.h. SPDX-License-Identifier: ISC */
#include "crypto/aead_backend.h"

#include <stdio.h>

/* Set by aead_init before there are keys. One for the process, as is the state of the libraries. */
static bool use_ipsec_mb;

struct aead_key *aead_key_new(const struct suite *suite, const uint8_t *enc, const uint8_t *integ)
{
	struct aead_key *k = NULL;

	if (!suite)
		return NULL;
#ifdef HAVE_IPSEC_MB
	if (use_ipsec_mb)
		k = aead_ipsec_mb.key_new(suite, enc, integ);
#endif
	return k ? k : aead_openssl.key_new(suite, enc, integ);
}

void aead_key_free(struct aead_key *k)
{
	if (k)
		k->backend->key_free(k);
}

const struct suite *aead_key_suite(const struct aead_key *k)
{
	return k->suite;
}

const char *aead_in_use(void)
{
	return use_ipsec_mb ? "ipsec-mb" : "openssl";
}

const char *aead_backend_name(const struct aead_key *k)
{
	return k->backend->name;
}

/* The number of ops from i on that have keys of one back end. */
static unsigned same_backend(const struct aead_op *op, unsigned i, unsigned n)
{
	unsigned end = i + 1;

	while (end < n && op[end].key->backend == op[i].key->backend)
		end++;
	return end - i;
}

void aead_seal_many(struct aead_op *op, unsigned n)
{
	for (unsigned i = 0, run; i < n; i += run) {
		run = same_backend(op, i, n);
		op[i].key->backend->seal(op + i, run);
	}
}

void aead_open_many(struct aead_op *op, unsigned n)
{
	for (unsigned i = 0, run; i < n; i += run) {
		run = same_backend(op, i, n);
		op[i].key->backend->open(op + i, run);
	}
}

/* ---- choice and self-test ---- */

#ifdef HAVE_IPSEC_MB

#define TEST_MAX     1500
#define TEST_AAD_MAX 12

static const uint32_t test_lengths[] = {16, 32, 48, 64, 100, 256, 1024, 1404, TEST_MAX};
#define TEST_BATCH ARRAY_SIZE(test_lengths)

struct trial {
	struct aead_key *key;
	struct aead_op op[TEST_BATCH];
	uint8_t packet[TEST_BATCH][TEST_AAD_MAX + SUITE_MAX_IV + TEST_MAX + SUITE_MAX_ICV];
	uint8_t elsewhere[TEST_BATCH][TEST_MAX];
};

static void lay_out(struct trial *t, const struct suite *s)
{
	for (size_t i = 0; i < TEST_BATCH; i++) {
		uint8_t *p = t->packet[i];
		/* With extended numbers the AAD of combined modes is 12 bytes (RFC 4106 5). */
		uint16_t aad_len = s->combined && i % 2 ? TEST_AAD_MAX : 8;

		for (size_t n = 0; n < sizeof(t->packet[i]); n++)
			p[n] = (uint8_t)(n * 7 + i);
		t->op[i] = (struct aead_op){.key = t->key,
					    .aad = p,
					    .aad_len = aad_len,
					    .iv = p + aad_len,
					    .src = p + aad_len + s->iv_len,
					    .dst = p + aad_len + s->iv_len,
					    .len = test_lengths[i] / s->block * s->block,
					    .tail_len = s->combined ? 0 : 4,
					    .tail = {1, 2, 3, 4}};
		t->op[i].icv = t->op[i].dst + t->op[i].len;
	}
}

static bool all_ok(const struct trial *t)
{
	for (size_t i = 0; i < TEST_BATCH; i++) {
		if (!t->op[i].ok)
			return false;
	}
	return true;
}

/* Opens into another buffer, as is done with old numbers; the ciphertext must be kept. */
static bool opens_elsewhere(struct trial *t)
{
	static struct trial copy;

	copy = *t;
	for (size_t i = 0; i < TEST_BATCH; i++)
		copy.op[i].dst = copy.elsewhere[i];
	aead_open_many(copy.op, TEST_BATCH);
	for (size_t i = 0; i < TEST_BATCH; i++) {
		/* The bytes that lay_out wrote: src still points into the packet of t. */
		for (size_t n = 0; n < copy.op[i].len; n++) {
			size_t at = (size_t)(copy.op[i].src - t->packet[i]) + n;

			if (copy.elsewhere[i][n] != (uint8_t)(at * 7 + i))
				return false;
		}
	}
	return all_ok(&copy);
}

/* Both seal to the same bytes; `tried` opens what `known` sealed, and refuses a changed ICV. */
static bool agree(struct trial *tried, struct trial *known, const struct suite *s)
{
	struct trial *both[] = {tried, known};

	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		lay_out(both[i], s);
		aead_seal_many(both[i]->op, TEST_BATCH);
		if (!all_ok(both[i]))
			return false;
	}
	if (memcmp(tried->packet, known->packet, sizeof(known->packet)) != 0)
		return false;
	if (!opens_elsewhere(tried))
		return false;
	for (size_t i = 0; i < TEST_BATCH; i += 3)
		tried->op[i].icv[(i * 5) % s->icv_len] ^= 1;
	aead_open_many(tried->op, TEST_BATCH);
	for (size_t i = 0; i < TEST_BATCH; i++) {
		if (tried->op[i].ok != (i % 3 != 0))
			return false;
	}
	memcpy(tried->packet, known->packet, sizeof(known->packet));
	aead_open_many(tried->op, TEST_BATCH);
	aead_open_many(known->op, TEST_BATCH);
	return all_ok(tried) && all_ok(known) &&
	       memcmp(tried->packet, known->packet, sizeof(known->packet)) == 0;
}

static bool test_suite(const struct suite *s)
{
	static struct trial tried, known;
	uint8_t key[SUITE_MAX_KEY];
	bool good;

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i * 31 + 5);
	tried.key = aead_ipsec_mb.key_new(s, key, key);
	if (!tried.key)
		return true; /* left to OpenSSL */
	known.key = aead_openssl.key_new(s, key, key);
	good = known.key && agree(&tried, &known, s);
	aead_key_free(tried.key);
	aead_key_free(known.key);
	return good;
}

static int init_ipsec_mb(char *err, size_t size)
{
	const struct suite *s;
	size_t count;

	if (!aead_ipsec_mb_init()) {
		snprintf(err, size, "intel-ipsec-mb cannot be used on this machine");
		return -ENOTSUP;
	}
	s = suite_table(&count);
	for (size_t i = 0; i < count; i++) {
		if (!test_suite(&s[i])) {
			snprintf(err, size, "intel-ipsec-mb failed its self-test with %s",
				 s[i].name);
			return -EIO;
		}
	}
	use_ipsec_mb = true;
	return 0;
}

void aead_fini(void)
{
	use_ipsec_mb = false;
	aead_ipsec_mb_fini();
}

#else

static int init_ipsec_mb(char *err, size_t size)
{
	snprintf(err, size, "built without intel-ipsec-mb");
	return -ENOTSUP;
}

void aead_fini(void)
{
}

#endif

int aead_init(enum aead_choice choice, char *err, size_t size)
{
	int r;

	aead_fini();
	err[0] = '\0';
	if (choice == AEAD_OPENSSL)
		return 0;
	r = init_ipsec_mb(err, size);
	/*
	 * It is no error if the library cannot be used: OpenSSL is only slower. A failed self-test
	 * is worth a line in the log.
	 */
	if (r == -ENOTSUP && choice == AEAD_AUTO)
		err[0] = '\0';
	return choice == AEAD_AUTO ? 0 : r;
}
