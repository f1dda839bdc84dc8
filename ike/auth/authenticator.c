/* authenticator.c - see authenticator.h. SPDX-License-Identifier: ISC */
#include "auth/authenticator.h"

static const struct authenticator *const all[] = {
	&auth_psk, &auth_signature, &auth_rsa, &auth_ecdsa_256, &auth_ecdsa_384, &auth_ecdsa_521};

const struct authenticator *authenticator_of(uint8_t method)
{
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (all[i]->method == method)
			return all[i];
	}
	return NULL;
}

const struct authenticator *authenticator_ours(enum auth_kind kind, const struct auth_identities *i)
{
	if (kind == AUTH_KIND_PSK)
		return &auth_psk;
	if (kind != AUTH_KIND_PUBKEY)
		return NULL;
	if (i->hashes)
		return &auth_signature;
	switch (pkey_type(i->ours)) {
	case PKEY_RSA: return &auth_rsa;
	case PKEY_P256: return &auth_ecdsa_256;
	case PKEY_P384: return &auth_ecdsa_384;
	case PKEY_P521: return &auth_ecdsa_521;
	case PKEY_ED25519: break;
	}
	return NULL;
}

void auth_parts(const struct auth_octets *o, uint8_t *maced_id, struct chunk parts[AUTH_PARTS])
{
	size_t len = hash_len(o->prf);

	prf_compute(o->prf, (struct chunk){o->sk_p, len}, &o->id, 1, maced_id);
	parts[0] = o->message;
	parts[1] = o->nonce;
	parts[2] = (struct chunk){maced_id, len};
	parts[3] = o->intauth;
}
