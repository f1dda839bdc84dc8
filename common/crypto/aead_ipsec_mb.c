/*
 * aead_ipsec_mb.c - the AEAD back end for machines with instructions for AES and carry-less
 * multiplication, where it is faster than OpenSSL. SPDX-License-Identifier: ISC
 */
#include "crypto/ipsec_mb.h"
#include "xalloc.h"

#include <openssl/crypto.h>

#define ICV_LEN 16

static IMB_MGR *mgr;
/*
 * The library's ChaCha20-Poly1305 needs wide vectors: with SSE alone OpenSSL's is a third faster.
 */
static bool chacha_wins;

struct mb_key {
	struct aead_key base;
	uint8_t salt[4];
	void *raw; /* the allocation that holds `gcm` */
	struct gcm_key_data *gcm;
	uint8_t chacha[32];
	void (*gcm_seal)(const struct gcm_key_data *, struct gcm_context_data *, uint8_t *,
			 const uint8_t *, uint64_t, const uint8_t *, const uint8_t *, uint64_t,
			 uint8_t *, uint64_t);
	void (*gcm_open)(const struct gcm_key_data *, struct gcm_context_data *, uint8_t *,
			 const uint8_t *, uint64_t, const uint8_t *, const uint8_t *, uint64_t,
			 uint8_t *, uint64_t);
};

bool aead_ipsec_mb_init(void)
{
	IMB_ARCH arch = IMB_ARCH_NONE;

	mgr = alloc_mb_mgr(0);
	if (!mgr)
		return false;
	init_mb_mgr_auto(mgr, &arch);
	/* Older machines gain nothing by it. */
	if (imb_get_errno(mgr) != 0 || arch < IMB_ARCH_SSE) {
		aead_ipsec_mb_fini();
		return false;
	}
	chacha_wins = arch == IMB_ARCH_AVX2 || arch == IMB_ARCH_AVX512;
	return true;
}

void aead_ipsec_mb_fini(void)
{
	if (mgr)
		free_mb_mgr(mgr);
	mgr = NULL;
}

static void key_free(struct aead_key *key)
{
	struct mb_key *k = container_of(key, struct mb_key, base);

	if (k->raw)
		secret_free(k->raw, sizeof(struct gcm_key_data) + 64);
	secret_free(k, sizeof(*k));
}

static void expand_gcm(struct mb_key *k, const uint8_t *enc)
{
	k->raw = xzalloc(sizeof(struct gcm_key_data) + 64);
	k->gcm = (void *)(((uintptr_t)k->raw + 63) & ~(uintptr_t)63);
	switch (k->base.suite->key_bits) {
	case 128:
		k->gcm_seal = mgr->gcm128_enc;
		k->gcm_open = mgr->gcm128_dec;
		IMB_AES128_GCM_PRE(mgr, enc, k->gcm);
		break;
	case 192:
		k->gcm_seal = mgr->gcm192_enc;
		k->gcm_open = mgr->gcm192_dec;
		IMB_AES192_GCM_PRE(mgr, enc, k->gcm);
		break;
	default:
		k->gcm_seal = mgr->gcm256_enc;
		k->gcm_open = mgr->gcm256_dec;
		IMB_AES256_GCM_PRE(mgr, enc, k->gcm);
		break;
	}
}

static struct aead_key *key_new(const struct suite *suite, const uint8_t *enc, const uint8_t *integ)
{
	struct mb_key *k;

	if (suite->encr == ENCR_AES_CBC)
		return ipsec_mb_cbc_key_new(mgr, suite, enc, integ);
	if (suite->encr != ENCR_AES_GCM_16 &&
	    !(suite->encr == ENCR_CHACHA20_POLY1305 && chacha_wins))
		return NULL;
	k = xzalloc(sizeof(*k));
	k->base = (struct aead_key){.backend = &aead_ipsec_mb, .suite = suite};
	memcpy(k->salt, enc + suite->enc_keylen - suite->salt_len, suite->salt_len);
	if (suite->encr == ENCR_AES_GCM_16)
		expand_gcm(k, enc);
	else
		memcpy(k->chacha, enc, sizeof(k->chacha));
	return &k->base;
}

static void nonce_of(const struct aead_op *op, const struct mb_key *k, uint8_t nonce[12])
{
	memcpy(nonce, k->salt, 4);
	memcpy(nonce + 4, op->iv, 8);
}

static void run_chacha(const struct aead_op *op, const struct mb_key *k, const uint8_t nonce[12],
		       bool seal, uint8_t *tag)
{
	struct chacha20_poly1305_context_data ctx;

	IMB_CHACHA20_POLY1305_INIT(mgr, k->chacha, &ctx, nonce, op->aad, op->aad_len);
	if (seal) {
		IMB_CHACHA20_POLY1305_ENC_UPDATE(mgr, k->chacha, &ctx, op->dst, op->src, op->len);
		IMB_CHACHA20_POLY1305_ENC_FINALIZE(mgr, &ctx, tag, ICV_LEN);
	} else {
		IMB_CHACHA20_POLY1305_DEC_UPDATE(mgr, k->chacha, &ctx, op->dst, op->src, op->len);
		IMB_CHACHA20_POLY1305_DEC_FINALIZE(mgr, &ctx, tag, ICV_LEN);
	}
	OPENSSL_cleanse(&ctx, sizeof(ctx));
}

/* The caller cleanses ctx: once per batch, not per packet. */
static void run_one(const struct aead_op *op, struct gcm_context_data *ctx, bool seal, uint8_t *tag)
{
	const struct mb_key *k = container_of(op->key, struct mb_key, base);
	uint8_t nonce[12];

	nonce_of(op, k, nonce);
	if (!k->gcm)
		run_chacha(op, k, nonce, seal, tag);
	else if (seal)
		k->gcm_seal(k->gcm, ctx, op->dst, op->src, op->len, nonce, op->aad, op->aad_len,
			    tag, ICV_LEN);
	else
		k->gcm_open(k->gcm, ctx, op->dst, op->src, op->len, nonce, op->aad, op->aad_len,
			    tag, ICV_LEN);
}

static void seal_many(struct aead_op *op, unsigned n)
{
	struct gcm_context_data ctx;

	for (unsigned i = 0; i < n; i++) {
		run_one(&op[i], &ctx, true, op[i].icv);
		op[i].ok = true;
	}
	OPENSSL_cleanse(&ctx, sizeof(ctx));
}

static void open_many(struct aead_op *op, unsigned n)
{
	struct gcm_context_data ctx;
	uint8_t tag[ICV_LEN];

	for (unsigned i = 0; i < n; i++) {
		run_one(&op[i], &ctx, false, tag);
		/* The library does not compare the ICV, and leaves the plaintext if it is wrong. */
		op[i].ok = CRYPTO_memcmp(tag, op[i].icv, ICV_LEN) == 0;
		if (!op[i].ok)
			memset(op[i].dst, 0, op[i].len);
	}
	OPENSSL_cleanse(tag, sizeof(tag));
	OPENSSL_cleanse(&ctx, sizeof(ctx));
}

const struct aead_backend aead_ipsec_mb = {.name = "ipsec-mb",
					   .key_new = key_new,
					   .key_free = key_free,
					   .seal = seal_many,
					   .open = open_many};
