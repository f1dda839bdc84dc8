/* aead.c - see aead.h: which back end does what. SPDX-License-Identifier: ISC */
#include "crypto/aead_backend.h"

#include <stdio.h>

/* Set once by aead_init, before there are keys; what libraries hold for the process is like this.
 */
static bool use_ipsec_mb;

static struct aead_key *new_by(const struct aead_backend *b, const struct suite *suite,
			       const uint8_t *enc, const uint8_t *integ)
{
	return b->key_new(suite, enc, integ);
}

struct aead_key *aead_key_new(const struct suite *suite, const uint8_t *enc, const uint8_t *integ)
{
	struct aead_key *k = NULL;

	if (!suite)
		return NULL;
#ifdef HAVE_IPSEC_MB
	if (use_ipsec_mb)
		k = new_by(&aead_ipsec_mb, suite, enc, integ);
#endif
	return k ? k : new_by(&aead_openssl, suite, enc, integ);
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

const char *aead_backend_name(const struct aead_key *k)
{
	return k->backend->name;
}

/* The ops from i on that one back end can do together. */
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

#define TEST_MAX 1500

struct trial {
	struct aead_key *key[2]; /* the one on trial, OpenSSL's */
	uint8_t packet[2][16 + 16 + TEST_MAX + 64];
	struct aead_op op[2];
};

static void lay_out(struct trial *t, const struct suite *s, uint32_t len)
{
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *p = t->packet[i];

		for (uint32_t n = 0; n < sizeof(t->packet[i]); n++)
			p[n] = (uint8_t)(n * 7 + len);
		t->op[i] = (struct aead_op){.key = t->key[i],
					    .aad = p,
					    .aad_len = 8,
					    .iv = p + 8,
					    .src = p + 8 + s->iv_len,
					    .dst = p + 8 + s->iv_len,
					    .len = len / s->block * s->block,
					    .tail_len = s->combined ? 0 : 4,
					    .tail = {1, 2, 3, 4}};
		t->op[i].icv = t->op[i].dst + t->op[i].len;
	}
}

/* The same bytes from both; each opens what the other sealed, and not what was changed. */
static bool agree(struct trial *t, const struct suite *s, uint32_t len)
{
	lay_out(t, s, len);
	for (unsigned i = 0; i < 2; i++)
		aead_seal_many(&t->op[i], 1);
	if (!t->op[0].ok || !t->op[1].ok ||
	    memcmp(t->packet[0], t->packet[1], sizeof(t->packet[0])) != 0)
		return false;
	t->op[0].icv[0] ^= 1;
	aead_open_many(&t->op[0], 1);
	if (t->op[0].ok)
		return false;
	memcpy(t->packet[0], t->packet[1], sizeof(t->packet[0]));
	aead_open_many(&t->op[0], 1);
	aead_open_many(&t->op[1], 1);
	return t->op[0].ok && t->op[1].ok &&
	       memcmp(t->packet[0], t->packet[1], sizeof(t->packet[0])) == 0;
}

static bool test_suite(const struct suite *s)
{
	static const uint32_t lengths[] = {16, 32, 48, 64, 100, 256, 1024, 1404, 1500};
	uint8_t key[SUITE_MAX_KEY];
	struct trial t = {0};
	bool good = true;

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i * 31 + 5);
	t.key[0] = aead_ipsec_mb.key_new(s, key, key);
	if (!t.key[0])
		return true; /* left to OpenSSL */
	t.key[1] = aead_openssl.key_new(s, key, key);
	for (size_t i = 0; good && i < ARRAY_SIZE(lengths); i++)
		good = t.key[1] && agree(&t, s, lengths[i]);
	aead_key_free(t.key[0]);
	aead_key_free(t.key[1]);
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
	/* Without it everything works, slower; a failed self-test is worth a line in the log. */
	if (r == -ENOTSUP && choice == AEAD_AUTO)
		err[0] = '\0';
	return choice == AEAD_AUTO ? 0 : r;
}
