/*
 * signature.c - AUTH by signatures (RFC 7427, RFC 8420), and the older methods (RFC 7296 2.15, RFC
 * 4754). SPDX-License-Identifier: ISC
 */
#include "auth/authenticator.h"

/*
 * The AlgorithmIdentifiers that AUTH data of RFC 7427 may begin with, as its appendix A writes
 * them; each is compared byte for byte. The first one of a scheme is the one that we send. There
 * is none with SHA-1.
 */
#define OID_RSA(last)	0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last
#define OID_ECDSA(last) 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, last
#define SHA2(last) \
	0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, last, 0x05, 0x00
#define PSS_HASHES(last) 0xa0, 0x0f, SHA2(last), 0xa1, 0x1c, 0x30, 0x1a, OID_RSA(0x08), SHA2(last)
#define PSS(last, salt)                                                                          \
	{                                                                                        \
		0x30, 0x41, OID_RSA(0x0a), 0x30, 0x34, PSS_HASHES(last), 0xa2, 0x03, 0x02, 0x01, \
			salt                                                                     \
	}
/* With the trailerField, which is the default and should be left out, but appendix A has it. */
#define PSS_TRAILER(last, salt)                                                                  \
	{                                                                                        \
		0x30, 0x46, OID_RSA(0x0a), 0x30, 0x39, PSS_HASHES(last), 0xa2, 0x03, 0x02, 0x01, \
			salt, 0xa3, 0x03, 0x02, 0x01, 0x01                                       \
	}

static const struct algorithm {
	struct sig_scheme scheme;
	enum signature_hash hash;
	uint8_t len;
	uint8_t der[80];
} algorithms[] = {
	{{SIG_RSA_PKCS1, HASH_SHA256},
	 SIGNATURE_HASH_SHA2_256,
	 15,
	 {0x30, 0x0d, OID_RSA(0x0b), 0x05, 0x00}},
	{{SIG_RSA_PKCS1, HASH_SHA384},
	 SIGNATURE_HASH_SHA2_384,
	 15,
	 {0x30, 0x0d, OID_RSA(0x0c), 0x05, 0x00}},
	{{SIG_RSA_PKCS1, HASH_SHA512},
	 SIGNATURE_HASH_SHA2_512,
	 15,
	 {0x30, 0x0d, OID_RSA(0x0d), 0x05, 0x00}},
	{{SIG_RSA_PSS, HASH_SHA256}, SIGNATURE_HASH_SHA2_256, 67, PSS(0x01, 32)},
	{{SIG_RSA_PSS, HASH_SHA384}, SIGNATURE_HASH_SHA2_384, 67, PSS(0x02, 48)},
	{{SIG_RSA_PSS, HASH_SHA512}, SIGNATURE_HASH_SHA2_512, 67, PSS(0x03, 64)},
	{{SIG_RSA_PSS, HASH_SHA256}, SIGNATURE_HASH_SHA2_256, 72, PSS_TRAILER(0x01, 32)},
	{{SIG_RSA_PSS, HASH_SHA384}, SIGNATURE_HASH_SHA2_384, 72, PSS_TRAILER(0x02, 48)},
	{{SIG_RSA_PSS, HASH_SHA512}, SIGNATURE_HASH_SHA2_512, 72, PSS_TRAILER(0x03, 64)},
	{{SIG_ECDSA, HASH_SHA256}, SIGNATURE_HASH_SHA2_256, 12, {0x30, 0x0a, OID_ECDSA(0x02)}},
	{{SIG_ECDSA, HASH_SHA384}, SIGNATURE_HASH_SHA2_384, 12, {0x30, 0x0a, OID_ECDSA(0x03)}},
	{{SIG_ECDSA, HASH_SHA512}, SIGNATURE_HASH_SHA2_512, 12, {0x30, 0x0a, OID_ECDSA(0x04)}},
	{{SIG_ED25519, HASH_SHA512},
	 SIGNATURE_HASH_IDENTITY,
	 7,
	 {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70}},
};

/* ---- RFC 7427: length, AlgorithmIdentifier, signature ---- */

/* The hash that is as strong as the key; a peer that does not have it gets the next one. */
static enum hash_alg hash_for(const struct pkey *k)
{
	switch (pkey_type(k)) {
	case PKEY_P384: return HASH_SHA384;
	case PKEY_P521:
	case PKEY_ED25519: return HASH_SHA512;
	case PKEY_RSA:
	case PKEY_P256: break;
	}
	return HASH_SHA256;
}

/* How we sign; NULL: the peer announced no hash that we have for our key. */
static const struct algorithm *choose(const struct auth_identities *i)
{
	const struct algorithm *best = NULL;
	enum hash_alg wanted = hash_for(i->ours);

	for (size_t k = 0; k < ARRAY_SIZE(algorithms); k++) {
		const struct algorithm *a = &algorithms[k];

		if (!pkey_fits(i->ours, a->scheme.form) || !(i->hashes & 1u << a->hash) ||
		    (pkey_type(i->ours) == PKEY_RSA &&
		     (a->scheme.form == SIG_RSA_PSS) != i->rsa_pss))
			continue;
		if (!best || (a->scheme.hash == wanted && best->scheme.hash != wanted))
			best = a;
	}
	return best;
}

/* Signs the octets; the length, or -EINVAL. */
static int sign(const struct auth_octets *o, const struct pkey *k, struct sig_scheme s,
		uint8_t *out)
{
	uint8_t maced_id[HASH_MAX_LEN];
	struct chunk parts[AUTH_PARTS];

	auth_parts(o, maced_id, parts);
	return pkey_sign(k, s, parts, AUTH_PARTS, out);
}

static bool is_signed(const struct auth_octets *o, const struct pkey *k, struct sig_scheme s,
		      struct chunk signature)
{
	uint8_t maced_id[HASH_MAX_LEN];
	struct chunk parts[AUTH_PARTS];

	if (!k || !pkey_fits(k, s.form))
		return false;
	auth_parts(o, maced_id, parts);
	return pkey_verify(k, s, parts, AUTH_PARTS, signature);
}

static int signature_make(const struct auth_octets *o, const struct auth_identities *i,
			  uint8_t *out)
{
	const struct algorithm *a = choose(i);
	int len;

	if (!a)
		return -EPROTONOSUPPORT;
	out[0] = a->len;
	memcpy(out + 1, a->der, a->len);
	len = sign(o, i->ours, a->scheme, out + 1 + a->len);
	return len < 0 ? -ENOKEY : 1 + a->len + len;
}

static const struct algorithm *find(struct chunk der)
{
	for (size_t k = 0; k < ARRAY_SIZE(algorithms); k++) {
		if (algorithms[k].len == der.len && memcmp(algorithms[k].der, der.p, der.len) == 0)
			return &algorithms[k];
	}
	return NULL;
}

static bool signature_verify(const struct auth_octets *o, const struct auth_identities *i,
			     struct chunk data)
{
	const struct algorithm *a;
	struct chunk name;
	struct reader r;

	rd_init(&r, data.p, data.len);
	name.len = rd_u8(&r);
	name.p = rd_bytes(&r, name.len);
	if (r.bad || !i->announced)
		return false;
	a = find(name);
	return a && is_signed(o, i->theirs, a->scheme, rd_rest(&r));
}

const struct authenticator auth_signature = {
	.method = AUTH_METHOD_SIGNATURE,
	.kind = AUTH_KIND_PUBKEY,
	.make = signature_make,
	.verify = signature_verify,
};

/* ---- RSA as in RFC 7296 2.15: the signature names its hash itself (RFC 8017 9.2) ---- */

static int rsa_make(const struct auth_octets *o, const struct auth_identities *i, uint8_t *out)
{
	int len;

	if (!i->rsa_sha1)
		return -EPROTONOSUPPORT;
	len = sign(o, i->ours, (struct sig_scheme){SIG_RSA_PKCS1, HASH_SHA1}, out);
	return len < 0 ? -ENOKEY : len;
}

/* A peer that announced hashes has no reason for this method. */
static bool rsa_verify(const struct auth_octets *o, const struct auth_identities *i,
		       struct chunk data)
{
	static const enum hash_alg hashes[] = {HASH_SHA256, HASH_SHA384, HASH_SHA512, HASH_SHA1};

	if (i->hashes && i->announced)
		return false;
	for (size_t k = 0; k < ARRAY_SIZE(hashes); k++) {
		if ((hashes[k] != HASH_SHA1 || i->rsa_sha1) &&
		    is_signed(o, i->theirs, (struct sig_scheme){SIG_RSA_PKCS1, hashes[k]}, data))
			return true;
	}
	return false;
}

const struct authenticator auth_rsa = {
	.method = AUTH_METHOD_RSA,
	.kind = AUTH_KIND_PUBKEY,
	.make = rsa_make,
	.verify = rsa_verify,
};

/* ---- ECDSA as in RFC 4754: curve and hash belong to the method ---- */

static int ecdsa_make(const struct auth_octets *o, const struct auth_identities *i, uint8_t *out,
		      enum hash_alg hash)
{
	int len = sign(o, i->ours, (struct sig_scheme){SIG_ECDSA_RAW, hash}, out);

	return len < 0 ? -ENOKEY : len;
}

static bool ecdsa_verify(const struct auth_octets *o, const struct auth_identities *i,
			 struct chunk data, enum pkey_type curve, enum hash_alg hash)
{
	return i->theirs && pkey_type(i->theirs) == curve &&
	       is_signed(o, i->theirs, (struct sig_scheme){SIG_ECDSA_RAW, hash}, data);
}

#define ECDSA_METHOD(bits, curve, hash)                                                       \
	static int ecdsa_##bits##_make(const struct auth_octets *o,                           \
				       const struct auth_identities *i, uint8_t *out)         \
	{                                                                                     \
		return ecdsa_make(o, i, out, hash);                                           \
	}                                                                                     \
	static bool ecdsa_##bits##_verify(const struct auth_octets *o,                        \
					  const struct auth_identities *i, struct chunk data) \
	{                                                                                     \
		return ecdsa_verify(o, i, data, curve, hash);                                 \
	}                                                                                     \
	const struct authenticator auth_ecdsa_##bits = {                                      \
		.method = AUTH_METHOD_ECDSA_##bits,                                           \
		.kind = AUTH_KIND_PUBKEY,                                                     \
		.make = ecdsa_##bits##_make,                                                  \
		.verify = ecdsa_##bits##_verify,                                              \
	}

ECDSA_METHOD(256, PKEY_P256, HASH_SHA256);
ECDSA_METHOD(384, PKEY_P384, HASH_SHA384);
ECDSA_METHOD(521, PKEY_P521, HASH_SHA512);
