/* psk.c - finds pre-shared keys; AUTH by them (RFC 7296 2.15). SPDX-License-Identifier: ISC */
#include "auth/authenticator.h"
#include "auth/mschap.h"
#include "xalloc.h"

/*
 * How well the key fits the identity; 0: not at all. While the peer is unknown id is the pattern of
 * its connection: a key with an identity that fits the pattern counts 1.
 */
static unsigned best_id(const struct psk *k, const struct ident *id)
{
	unsigned best = 0;

	for (unsigned i = 0; i < k->id_count; i++) {
		unsigned m = ident_match(&k->ids[i], id);

		if (m == 0 && ident_is_pattern(id))
			m = ident_match(id, &k->ids[i]) != 0;
		best = m > best ? m : best;
	}
	return best;
}

const struct psk *psk_find(const struct psk_store *s, const struct ident *local,
			   const struct ident *remote)
{
	const struct psk *best = NULL;
	unsigned best_score = 0;

	for (unsigned i = 0; i < s->count; i++) {
		const struct psk *k = &s->v[i];
		/*
		 * The peer's identity decides; ours counts only among keys that fit that equally
		 * well.
		 */
		unsigned fit = best_id(k, remote);
		unsigned score = k->id_count == 0 ? 1 : fit ? fit * 2048 + best_id(k, local) : 0;

		if (score > best_score) {
			best_score = score;
			best = k;
		}
	}
	return best;
}

bool psk_same(const struct psk *a, const struct psk *b)
{
	return a && b ? a->len == b->len && crypto_equal(a->secret, b->secret, a->len) : a == b;
}

const struct ppk *ppk_find(const struct psk_store *s, const char *id)
{
	for (unsigned i = 0; i < s->ppk_count; i++) {
		if (strcmp(s->ppks[i].id, id) == 0)
			return &s->ppks[i];
	}
	return NULL;
}

bool ppk_same(const struct ppk *a, const struct ppk *b)
{
	return a && b ? a->len == b->len && crypto_equal(a->secret, b->secret, a->len) : a == b;
}

const struct eap_secret *eap_secret_find(const struct psk_store *s, const char *id)
{
	for (unsigned i = 0; i < s->eap_count; i++) {
		if (s->eaps[i].id && strcmp(s->eaps[i].id, id) == 0)
			return &s->eaps[i];
	}
	return NULL;
}

bool eap_secret_is_valid(const struct eap_secret *s)
{
	return mschap_is_password((struct chunk){s->secret, s->len});
}

struct psk_store *psk_store_new(void)
{
	struct psk_store *s = xzalloc(sizeof(*s));

	s->refs = 1;
	return s;
}

struct psk_store *psk_store_ref(struct psk_store *s)
{
	s->refs++;
	return s;
}

void psk_store_unref(struct psk_store *s)
{
	if (!s || --s->refs > 0)
		return;
	for (unsigned i = 0; i < s->count; i++)
		secret_free(s->v[i].secret, s->v[i].len);
	for (unsigned i = 0; i < s->ppk_count; i++)
		secret_free(s->ppks[i].secret, s->ppks[i].len);
	for (unsigned i = 0; i < s->eap_count; i++) {
		secret_free(s->eaps[i].secret, s->eaps[i].len);
		free(s->eaps[i].id);
	}
	free(s->v);
	free(s->ppks);
	free(s->eaps);
	free(s);
}

/* ---- the method: prf(prf(secret, "Key Pad for IKEv2"), octets) ---- */

size_t auth_make_by_secret(const struct auth_octets *o, struct chunk secret, uint8_t *out)
{
	static const char pad[] = "Key Pad for IKEv2";
	const struct chunk pad_chunk = {(const uint8_t *)pad, sizeof(pad) - 1};
	uint8_t key[HASH_MAX_LEN], maced_id[HASH_MAX_LEN];
	struct chunk octets[AUTH_PARTS];
	size_t len = hash_len(o->prf);

	auth_parts(o, maced_id, octets);
	prf_compute(o->prf, secret, &pad_chunk, 1, key);
	prf_compute(o->prf, (struct chunk){key, len}, octets, AUTH_PARTS, out);
	secret_wipe(key, sizeof(key));
	secret_wipe(maced_id, sizeof(maced_id));
	return len;
}

bool auth_is_by_secret(const struct auth_octets *o, struct chunk secret, struct chunk data)
{
	uint8_t want[HASH_MAX_LEN];
	size_t len = auth_make_by_secret(o, secret, want);
	bool right = data.len == len && crypto_equal(want, data.p, data.len);

	secret_wipe(want, sizeof(want));
	return right;
}

static int psk_make(const struct auth_octets *o, const struct auth_identities *i, uint8_t *out)
{
	const struct psk *psk = psk_find(i->psks, i->local, i->remote);

	if (!psk)
		return -ENOKEY;
	return (int)auth_make_by_secret(o, (struct chunk){psk->secret, psk->len}, out);
}

static bool psk_verify(const struct auth_octets *o, const struct auth_identities *i,
		       struct chunk data)
{
	const struct psk *psk = psk_find(i->psks, i->local, i->remote);

	return psk && auth_is_by_secret(o, (struct chunk){psk->secret, psk->len}, data);
}

const struct authenticator auth_psk = {
	.method = AUTH_METHOD_PSK,
	.kind = AUTH_KIND_PSK,
	.make = psk_make,
	.verify = psk_verify,
};
