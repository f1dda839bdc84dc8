/*
 * aead_ipsec_mb_cbc.c - AES-CBC with HMAC, many packets at a time. SPDX-License-Identifier: ISC
 *
 * CBC encryption and SHA are chains: one packet cannot be spread over a vector, but many packets
 * can, side by side. With only a few packets OpenSSL is faster, so it gets those.
 */
#include "crypto/ipsec_mb.h"
#include "xalloc.h"

#include <openssl/crypto.h>

#define WORTH_IT      8	 /* packets per batch; with fewer, OpenSSL is faster */
#define AT_ONCE	      64 /* jobs in the queue; the library has room for 256 */
#define SHA_BLOCK_MAX 128
#define SHA_STATE_MAX 64

struct cbc_key {
	struct aead_key base;
	IMB_MGR *mgr;		 /* of the library; outlives the key */
	struct aead_key *single; /* for a few packets: OpenSSL's key */
	IMB_HASH_ALG hash;
	uint8_t inner[SHA_STATE_MAX] __attribute__((aligned(16))); /* HMAC states after the key */
	uint8_t outer[SHA_STATE_MAX] __attribute__((aligned(16)));
	uint32_t encrypt[15 * 4] __attribute__((aligned(16)));
	uint32_t decrypt[15 * 4] __attribute__((aligned(16)));
};

/*
 * The received ICV, and the computed one. While a job runs, the high half of the number stands in
 * the place of the ICV.
 */
struct tag {
	uint8_t came[SUITE_MAX_ICV], computed[SUITE_MAX_ICV];
};

static const struct aead_backend backend;

static struct cbc_key *key_of(const struct aead_op *op)
{
	return container_of(op->key, struct cbc_key, base);
}

static void key_free(struct aead_key *key)
{
	struct cbc_key *k = container_of(key, struct cbc_key, base);

	if (k->single)
		aead_openssl.key_free(k->single);
	secret_free(k, sizeof(*k));
}

/* ---- keys ---- */

static void one_block(IMB_MGR *mgr, const struct suite *s, const uint8_t *block, uint8_t *state)
{
	switch (s->integ) {
	case INTEG_HMAC_SHA1_96: IMB_SHA1_ONE_BLOCK(mgr, block, state); break;
	case INTEG_HMAC_SHA2_384_192: IMB_SHA384_ONE_BLOCK(mgr, block, state); break;
	case INTEG_HMAC_SHA2_512_256: IMB_SHA512_ONE_BLOCK(mgr, block, state); break;
	default: IMB_SHA256_ONE_BLOCK(mgr, block, state); break;
	}
}

static IMB_HASH_ALG hash_of(const struct suite *s)
{
	switch (s->integ) {
	case INTEG_HMAC_SHA1_96: return IMB_AUTH_HMAC_SHA_1;
	case INTEG_HMAC_SHA2_384_192: return IMB_AUTH_HMAC_SHA_384;
	case INTEG_HMAC_SHA2_512_256: return IMB_AUTH_HMAC_SHA_512;
	default: return IMB_AUTH_HMAC_SHA_256;
	}
}

/* Computes the inner and the outer state of HMAC (RFC 2104 2) after the block of the key. */
static void expand_hmac(struct cbc_key *k, const uint8_t *integ)
{
	const struct suite *s = k->base.suite;
	/* The blocks of SHA-1 and SHA-256 have 64 bytes. */
	size_t size = s->integ_keylen <= 32 ? 64 : SHA_BLOCK_MAX;
	uint8_t block[SHA_BLOCK_MAX] = {0};

	k->hash = hash_of(s);
	memcpy(block, integ, s->integ_keylen);
	for (size_t i = 0; i < size; i++)
		block[i] ^= 0x36;
	one_block(k->mgr, s, block, k->inner);
	for (size_t i = 0; i < size; i++)
		block[i] ^= 0x36 ^ 0x5c;
	one_block(k->mgr, s, block, k->outer);
	OPENSSL_cleanse(block, sizeof(block));
}

static void expand_aes(struct cbc_key *k, const uint8_t *enc)
{
	IMB_MGR *mgr = k->mgr;

	switch (k->base.suite->key_bits) {
	case 128: IMB_AES_KEYEXP_128(mgr, enc, k->encrypt, k->decrypt); break;
	case 192: IMB_AES_KEYEXP_192(mgr, enc, k->encrypt, k->decrypt); break;
	default: IMB_AES_KEYEXP_256(mgr, enc, k->encrypt, k->decrypt); break;
	}
}

struct aead_key *ipsec_mb_cbc_key_new(IMB_MGR *mgr, const struct suite *suite, const uint8_t *enc,
				      const uint8_t *integ)
{
	struct cbc_key *k = xzalloc(sizeof(*k));

	k->base = (struct aead_key){.backend = &backend, .suite = suite};
	k->mgr = mgr;
	k->single = aead_openssl.key_new(suite, enc, integ);
	if (!k->single) {
		key_free(&k->base);
		return NULL;
	}
	expand_aes(k, enc);
	expand_hmac(k, integ);
	return &k->base;
}

/* ---- jobs ---- */

/*
 * The library hashes contiguous bytes only: header, IV, ciphertext and, instead of the ICV, the
 * tail.
 */
static bool in_one_run(const struct aead_op *op)
{
	const struct suite *s = op->key->suite;

	return op->aad + op->aad_len == op->iv && op->iv + s->iv_len == op->src &&
	       op->icv == op->src + op->len && op->len && op->len % s->block == 0;
}

static void fill_job(IMB_JOB *job, struct aead_op *op, bool seal, struct tag *tag)
{
	const struct cbc_key *k = key_of(op);
	const struct suite *s = op->key->suite;
	uint32_t before = (uint32_t)(op->src - op->aad);

	job->enc_keys = k->encrypt;
	job->dec_keys = k->decrypt;
	job->key_len_in_bytes = s->key_bits / 8;
	job->src = op->aad;
	job->dst = op->dst;
	job->cipher_start_src_offset_in_bytes = before;
	job->msg_len_to_cipher_in_bytes = op->len;
	job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_hash_in_bytes = before + op->len + op->tail_len;
	job->iv = op->iv;
	job->iv_len_in_bytes = s->iv_len;
	job->auth_tag_output = tag->computed;
	job->auth_tag_output_len_in_bytes = s->icv_len;
	job->u.HMAC._hashed_auth_key_xor_ipad = k->inner;
	job->u.HMAC._hashed_auth_key_xor_opad = k->outer;
	job->cipher_mode = IMB_CIPHER_CBC;
	job->cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
	job->chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
	job->hash_alg = k->hash;
	job->user_data = op;
}

static void done(const IMB_JOB *job)
{
	if (job)
		((struct aead_op *)job->user_data)->ok = job->status == IMB_STATUS_COMPLETED;
}

/* Runs at most AT_ONCE ops; ok then tells whether the library completed the job. */
static void run_jobs(struct aead_op *op, unsigned n, bool seal, struct tag *tag)
{
	IMB_MGR *mgr = key_of(op)->mgr;
	IMB_JOB *job;

	for (unsigned i = 0; i < n; i++) {
		op[i].ok = false;
		memcpy(tag[i].came, op[i].icv, op[i].key->suite->icv_len);
		memcpy(op[i].icv, op[i].tail, op[i].tail_len);
		fill_job(IMB_GET_NEXT_JOB(mgr), &op[i], seal, &tag[i]);
		done(IMB_SUBMIT_JOB(mgr));
	}
	while ((job = IMB_FLUSH_JOB(mgr)))
		done(job);
}

static void seal_jobs(struct aead_op *op, unsigned n)
{
	struct tag tag[AT_ONCE];

	run_jobs(op, n, true, tag);
	for (unsigned i = 0; i < n; i++) {
		/* A job that the library refused has no ICV. */
		if (op[i].ok)
			memcpy(op[i].icv, tag[i].computed, op[i].key->suite->icv_len);
		else
			memset(op[i].icv, 0, op[i].key->suite->icv_len);
	}
}

static void open_jobs(struct aead_op *op, unsigned n)
{
	struct tag tag[AT_ONCE];

	run_jobs(op, n, false, tag);
	for (unsigned i = 0; i < n; i++) {
		size_t len = op[i].key->suite->icv_len;

		memcpy(op[i].icv, tag[i].came, len);
		op[i].ok = op[i].ok && CRYPTO_memcmp(tag[i].came, tag[i].computed, len) == 0;
		/* The library decrypts even if the ICV is wrong. */
		if (!op[i].ok)
			memset(op[i].dst, 0, op[i].len);
	}
	OPENSSL_cleanse(tag, sizeof(tag));
}

static void run_single(struct aead_op *op, bool seal)
{
	struct aead_op single = *op;

	single.key = key_of(op)->single;
	if (seal)
		aead_openssl.seal(&single, 1);
	else
		aead_openssl.open(&single, 1);
	op->ok = single.ok;
}

/* The number of ops, from the first on, that can be jobs together. */
static unsigned batch(const struct aead_op *op, unsigned n, bool seal)
{
	unsigned i = 0;

	while (i < n && i < AT_ONCE && in_one_run(&op[i]) && (!seal || op[i].src == op[i].dst))
		i++;
	return i;
}

static void run_many(struct aead_op *op, unsigned n, bool seal)
{
	for (unsigned i = 0, run; i < n; i += run) {
		run = batch(op + i, n - i, seal);
		if (run < WORTH_IT) {
			run = 1;
			run_single(&op[i], seal);
		} else if (seal) {
			seal_jobs(op + i, run);
		} else {
			open_jobs(op + i, run);
		}
	}
}

static void seal_many(struct aead_op *op, unsigned n)
{
	run_many(op, n, true);
}

static void open_many(struct aead_op *op, unsigned n)
{
	run_many(op, n, false);
}

static const struct aead_backend backend = {.name = "ipsec-mb",
					    .key_new = NULL, /* by aead_ipsec_mb */
					    .key_free = key_free,
					    .seal = seal_many,
					    .open = open_many};
