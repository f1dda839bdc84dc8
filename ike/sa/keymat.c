/* keymat.c - see keymat.h. SPDX-License-Identifier: ISC */
#include "sa/keymat.h"
#include "xalloc.h"

#define SEED_MAX (2 * IKE_NONCE_MAX + 2 * IKE_SPI_LEN + (1 + ADDKE_MAX) * KEX_MAX_SECRET)

void kex_secrets_add(struct kex_secrets *s, struct chunk secret)
{
	if (s->len + secret.len > sizeof(s->b))
		abort();
	memcpy(s->b + s->len, secret.p, secret.len);
	if (s->len == 0)
		s->first = (uint16_t)secret.len;
	s->len = (uint16_t)(s->len + secret.len);
}

static struct chunk first_of(const struct kex_secrets *s)
{
	return (struct chunk){s->b, s->first};
}

static struct chunk others_of(const struct kex_secrets *s)
{
	return (struct chunk){s->b + s->first, s->len - s->first};
}

void keymat_skeyseed(enum hash_alg prf, struct chunk ni, struct chunk nr, struct chunk secret,
		     uint8_t *out)
{
	uint8_t key[2 * IKE_NONCE_MAX];

	memcpy(key, ni.p, ni.len);
	memcpy(key + ni.len, nr.p, nr.len);
	prf_compute(prf, (struct chunk){key, ni.len + nr.len}, &secret, 1, out);
}

void keymat_next_skeyseed(enum hash_alg prf, const uint8_t *sk_d, struct chunk secret,
			  struct chunk ni, struct chunk nr, uint8_t *out)
{
	const struct chunk parts[] = {secret, ni, nr};

	prf_compute(prf, (struct chunk){sk_d, hash_len(prf)}, parts, 3, out);
}

void keymat_rekey_skeyseed(enum hash_alg old_prf, const uint8_t *old_sk_d,
			   const struct kex_secrets *secrets, struct chunk ni, struct chunk nr,
			   uint8_t *out)
{
	const struct chunk parts[] = {first_of(secrets), ni, nr, others_of(secrets)};

	prf_compute(old_prf, (struct chunk){old_sk_d, hash_len(old_prf)}, parts, 4, out);
}

static void take(uint8_t *to, const uint8_t **from, size_t len)
{
	memcpy(to, *from, len);
	*from += len;
}

int keymat_ike(enum hash_alg prf, const struct suite *suite, struct chunk skeyseed, struct chunk ni,
	       struct chunk nr, uint64_t spi_i, uint64_t spi_r, struct ike_keys *ret)
{
	size_t plen = hash_len(prf);
	size_t len = 3 * plen + 2u * suite->integ_keylen + 2u * suite->enc_keylen;
	uint8_t seed[SEED_MAX], out[3 * HASH_MAX_LEN + 4 * SUITE_MAX_KEY];
	const uint8_t *at = out;
	struct writer w;
	int r;

	wr_init(&w, seed, sizeof(seed));
	wr_bytes(&w, ni.p, ni.len);
	wr_bytes(&w, nr.p, nr.len);
	wr_be64(&w, spi_i);
	wr_be64(&w, spi_r);
	r = prf_plus(prf, skeyseed, (struct chunk){seed, w.len}, out, len);
	if (r == 0) {
		take(ret->sk_d, &at, plen);
		take(ret->sk_ai, &at, suite->integ_keylen);
		take(ret->sk_ar, &at, suite->integ_keylen);
		take(ret->sk_ei, &at, suite->enc_keylen);
		take(ret->sk_er, &at, suite->enc_keylen);
		take(ret->sk_pi, &at, plen);
		take(ret->sk_pr, &at, plen);
	}
	secret_wipe(out, sizeof(out));
	return r;
}

int keymat_ppk(enum hash_alg prf, struct chunk ppk, struct ike_keys *keys)
{
	uint8_t *const v[] = {keys->sk_d, keys->sk_pi, keys->sk_pr};
	uint8_t without[HASH_MAX_LEN];
	size_t len = hash_len(prf);
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(v); i++) {
		memcpy(without, v[i], len);
		r = prf_plus(prf, ppk, (struct chunk){without, len}, v[i], len);
	}
	secret_wipe(without, sizeof(without));
	return r;
}

int keymat_child(enum hash_alg prf, const struct suite *suite, const uint8_t *sk_d,
		 const struct kex_secrets *secrets, struct chunk ni, struct chunk nr,
		 struct child_keys *ret)
{
	size_t len = 2u * suite->integ_keylen + 2u * suite->enc_keylen;
	uint8_t seed[SEED_MAX], out[4 * SUITE_MAX_KEY];
	const uint8_t *at = out;
	struct writer w;
	int r;

	wr_init(&w, seed, sizeof(seed));
	wr_bytes(&w, secrets->b, secrets->first);
	wr_bytes(&w, ni.p, ni.len);
	wr_bytes(&w, nr.p, nr.len);
	wr_bytes(&w, others_of(secrets).p, others_of(secrets).len);
	r = prf_plus(prf, (struct chunk){sk_d, hash_len(prf)}, (struct chunk){seed, w.len}, out,
		     len);
	if (r == 0) {
		take(ret->enc_i, &at, suite->enc_keylen);
		take(ret->integ_i, &at, suite->integ_keylen);
		take(ret->enc_r, &at, suite->enc_keylen);
		take(ret->integ_r, &at, suite->integ_keylen);
	}
	secret_wipe(out, sizeof(out));
	secret_wipe(seed, sizeof(seed));
	return r;
}
