/* words.c - see words.h. SPDX-License-Identifier: ISC */
#include "wire/words.h"

#include <stdio.h>

#define SHA1_NOTE "is old: let the peer offer sha256"

/* The first word of an algorithm is the one that we print. */
static const struct word words[] = {
	{"aes128gcm16", {TRANSFORM_ENCR, ENCR_AES_GCM_16, 128}, NULL},
	{"aes192gcm16", {TRANSFORM_ENCR, ENCR_AES_GCM_16, 192}, NULL},
	{"aes256gcm16", {TRANSFORM_ENCR, ENCR_AES_GCM_16, 256}, NULL},
	{"aes128gcm128", {TRANSFORM_ENCR, ENCR_AES_GCM_16, 128}, NULL},
	{"aes192gcm128", {TRANSFORM_ENCR, ENCR_AES_GCM_16, 192}, NULL},
	{"aes256gcm128", {TRANSFORM_ENCR, ENCR_AES_GCM_16, 256}, NULL},
	{"aes128gcm", {TRANSFORM_ENCR, ENCR_AES_GCM_16, 128}, NULL},
	{"aes192gcm", {TRANSFORM_ENCR, ENCR_AES_GCM_16, 192}, NULL},
	{"aes256gcm", {TRANSFORM_ENCR, ENCR_AES_GCM_16, 256}, NULL},
	{"chacha20poly1305", {TRANSFORM_ENCR, ENCR_CHACHA20_POLY1305, 0}, NULL},
	{"aes128", {TRANSFORM_ENCR, ENCR_AES_CBC, 128}, NULL},
	{"aes192", {TRANSFORM_ENCR, ENCR_AES_CBC, 192}, NULL},
	{"aes256", {TRANSFORM_ENCR, ENCR_AES_CBC, 256}, NULL},
	{"aes", {TRANSFORM_ENCR, ENCR_AES_CBC, 128}, NULL},
	{"prfsha256", {TRANSFORM_PRF, PRF_HMAC_SHA2_256, 0}, NULL},
	{"prfsha384", {TRANSFORM_PRF, PRF_HMAC_SHA2_384, 0}, NULL},
	{"prfsha512", {TRANSFORM_PRF, PRF_HMAC_SHA2_512, 0}, NULL},
	{"prfsha1", {TRANSFORM_PRF, PRF_HMAC_SHA1, 0}, SHA1_NOTE},
	{"sha256", {TRANSFORM_INTEG, INTEG_HMAC_SHA2_256_128, 0}, NULL},
	{"sha384", {TRANSFORM_INTEG, INTEG_HMAC_SHA2_384_192, 0}, NULL},
	{"sha512", {TRANSFORM_INTEG, INTEG_HMAC_SHA2_512_256, 0}, NULL},
	{"sha2_256", {TRANSFORM_INTEG, INTEG_HMAC_SHA2_256_128, 0}, NULL},
	{"sha2_384", {TRANSFORM_INTEG, INTEG_HMAC_SHA2_384_192, 0}, NULL},
	{"sha2_512", {TRANSFORM_INTEG, INTEG_HMAC_SHA2_512_256, 0}, NULL},
	{"sha1", {TRANSFORM_INTEG, INTEG_HMAC_SHA1_96, 0}, SHA1_NOTE},
	{"sha", {TRANSFORM_INTEG, INTEG_HMAC_SHA1_96, 0}, SHA1_NOTE},
	{"modp2048", {TRANSFORM_KE, GROUP_MODP_2048, 0}, NULL},
	{"modp3072", {TRANSFORM_KE, GROUP_MODP_3072, 0}, NULL},
	{"modp4096", {TRANSFORM_KE, GROUP_MODP_4096, 0}, NULL},
	{"modp6144", {TRANSFORM_KE, GROUP_MODP_6144, 0}, NULL},
	{"modp8192", {TRANSFORM_KE, GROUP_MODP_8192, 0}, NULL},
	{"ecp256", {TRANSFORM_KE, GROUP_ECP_256, 0}, NULL},
	{"ecp384", {TRANSFORM_KE, GROUP_ECP_384, 0}, NULL},
	{"ecp521", {TRANSFORM_KE, GROUP_ECP_521, 0}, NULL},
	{"ecp256bp", {TRANSFORM_KE, GROUP_ECP_256_BP, 0}, NULL},
	{"ecp384bp", {TRANSFORM_KE, GROUP_ECP_384_BP, 0}, NULL},
	{"ecp512bp", {TRANSFORM_KE, GROUP_ECP_512_BP, 0}, NULL},
	{"x25519", {TRANSFORM_KE, GROUP_X25519, 0}, NULL},
	{"curve25519", {TRANSFORM_KE, GROUP_X25519, 0}, NULL},
	{"x448", {TRANSFORM_KE, GROUP_X448, 0}, NULL},
	{"curve448", {TRANSFORM_KE, GROUP_X448, 0}, NULL},
	{"mlkem512", {TRANSFORM_KE, GROUP_ML_KEM_512, 0}, NULL},
	{"mlkem768", {TRANSFORM_KE, GROUP_ML_KEM_768, 0}, NULL},
	{"mlkem1024", {TRANSFORM_KE, GROUP_ML_KEM_1024, 0}, NULL},
	{"esn", {TRANSFORM_ESN, ESN_YES, 0}, NULL},
	{"noesn", {TRANSFORM_ESN, ESN_NO, 0}, NULL},
};

/*
 * A received proposal has room for all that we have, and for NONE of each of the five types, beside
 * a few additional key exchanges.
 */
_Static_assert(PROPOSAL_TRANSFORMS >= ARRAY_SIZE(words) + 5, "PROPOSAL_TRANSFORMS is too small");

#define GROUP_INSTEAD  "let the peer offer modp2048, ecp256 or x25519"
#define GROUP_BROKEN   "can be broken: " GROUP_INSTEAD
#define GROUP_ORIGIN   "has parameters of unknown origin (RFC 8247 2.4): " GROUP_INSTEAD
#define SMALL_BLOCK    "repeats its small blocks: let the peer offer aes256gcm16 or aes256"
#define SHORT_ICV      "has a shortened ICV: let the peer offer aes256gcm16 or aes128gcm16"
#define CIPHER_INSTEAD "is not supported: let the peer offer aes256gcm16 or aes256"
#define IN_CLEAR       "does not encrypt: let the peer offer aes256gcm16 or aes256"
#define BROKEN_HASH    "can be broken: let the peer offer sha256"
#define INTEG_INSTEAD  "is not supported: let the peer offer sha256"
#define PRF_INSTEAD    "is not supported: let the peer offer prfsha256"

#define SIZES(before, after, id, why)                                 \
	{before "128" after, {TRANSFORM_ENCR, id, 128}, why},         \
		{before "192" after, {TRANSFORM_ENCR, id, 192}, why}, \
	{                                                             \
		before "256" after, {TRANSFORM_ENCR, id, 256}, why    \
	}

/* Numbers of the IANA registry "Internet Key Exchange Version 2 (IKEv2) Parameters". */
static const struct word refused[] = {
	{"modp768", {TRANSFORM_KE, 1, 0}, GROUP_BROKEN},
	{"modp1024", {TRANSFORM_KE, 2, 0}, GROUP_BROKEN},
	{"modp1536", {TRANSFORM_KE, 5, 0}, GROUP_BROKEN},
	{"modp1024s160", {TRANSFORM_KE, 22, 0}, GROUP_BROKEN},
	{"modp2048s224", {TRANSFORM_KE, 23, 0}, GROUP_ORIGIN},
	{"modp2048s256", {TRANSFORM_KE, 24, 0}, GROUP_ORIGIN},
	{"ecp192", {TRANSFORM_KE, 25, 0}, GROUP_BROKEN},
	{"ecp224", {TRANSFORM_KE, 26, 0}, GROUP_BROKEN},
	{"ecp224bp", {TRANSFORM_KE, 27, 0}, GROUP_BROKEN},
	{"modpnone",
	 {TRANSFORM_KE, 0, 0},
	 "is not needed: write one more proposal without a key exchange"},
	{"des", {TRANSFORM_ENCR, 2, 0}, "can be broken: let the peer offer aes256gcm16 or aes256"},
	{"3des", {TRANSFORM_ENCR, 3, 0}, SMALL_BLOCK},
	{"idea", {TRANSFORM_ENCR, 5, 0}, SMALL_BLOCK},
	{"cast128", {TRANSFORM_ENCR, 6, 128}, SMALL_BLOCK},
	{"cast128", {TRANSFORM_ENCR, 6, 0}, SMALL_BLOCK},
	SIZES("blowfish", "", 7, SMALL_BLOCK),
	{"blowfish", {TRANSFORM_ENCR, 7, 0}, SMALL_BLOCK},
	{"null", {TRANSFORM_ENCR, 11, 0}, IN_CLEAR},
	SIZES("aes", "ctr", 13, CIPHER_INSTEAD),
	SIZES("aes", "ccm8", 14, SHORT_ICV),
	SIZES("aes", "ccm64", 14, SHORT_ICV),
	SIZES("aes", "ccm12", 15, SHORT_ICV),
	SIZES("aes", "ccm96", 15, SHORT_ICV),
	SIZES("aes", "ccm16", 16, CIPHER_INSTEAD),
	SIZES("aes", "ccm128", 16, CIPHER_INSTEAD),
	SIZES("aes", "gcm8", 18, SHORT_ICV),
	SIZES("aes", "gcm64", 18, SHORT_ICV),
	SIZES("aes", "gcm12", 19, SHORT_ICV),
	SIZES("aes", "gcm96", 19, SHORT_ICV),
	SIZES("aes", "gmac", 21, IN_CLEAR),
	SIZES("camellia", "", 23, CIPHER_INSTEAD),
	{"camellia", {TRANSFORM_ENCR, 23, 0}, CIPHER_INSTEAD},
	SIZES("camellia", "ctr", 24, CIPHER_INSTEAD),
	SIZES("camellia", "ccm16", 27, CIPHER_INSTEAD),
	/* These have no numbers of their own in the registry. */
	SIZES("serpent", "", 0xffff, CIPHER_INSTEAD),
	SIZES("twofish", "", 0xffff, CIPHER_INSTEAD),
	{"sha256_96", {TRANSFORM_INTEG, 0xffff, 0}, "is a draft's: let the peer offer sha256"},
	{"sha2_256_96", {TRANSFORM_INTEG, 0xffff, 0}, "is a draft's: let the peer offer sha256"},
	{"md5", {TRANSFORM_INTEG, 1, 0}, BROKEN_HASH},
	{"md5_128", {TRANSFORM_INTEG, 6, 0}, BROKEN_HASH},
	{"sha1_160", {TRANSFORM_INTEG, 7, 0}, INTEG_INSTEAD},
	{"aesxcbc", {TRANSFORM_INTEG, 5, 0}, INTEG_INSTEAD},
	{"aescmac", {TRANSFORM_INTEG, 8, 0}, INTEG_INSTEAD},
	{"prfmd5", {TRANSFORM_PRF, 1, 0}, "can be broken: let the peer offer prfsha256"},
	{"prfaesxcbc", {TRANSFORM_PRF, 4, 0}, PRF_INSTEAD},
	{"prfaescmac", {TRANSFORM_PRF, 8, 0}, PRF_INSTEAD},
};

static const struct word *find(const struct word *v, size_t count, const char *s, size_t len)
{
	for (size_t i = 0; i < count; i++) {
		if (strlen(v[i].name) == len && memcmp(v[i].name, s, len) == 0)
			return &v[i];
	}
	return NULL;
}

/* Additional key exchanges have the words of the first one. */
static const struct word *of(const struct word *v, size_t count, const struct transform *t)
{
	uint8_t type = transform_is_addke(t->type) ? TRANSFORM_KE : t->type;

	for (size_t i = 0; i < count; i++) {
		const struct transform *w = &v[i].t;

		if (w->type == type && w->id == t->id && w->key_bits == t->key_bits)
			return &v[i];
	}
	return NULL;
}

const struct word *word_find(const char *s, size_t len)
{
	return find(words, ARRAY_SIZE(words), s, len);
}

const struct word *word_refused(const char *s, size_t len)
{
	return find(refused, ARRAY_SIZE(refused), s, len);
}

const struct word *word_of(const struct transform *t)
{
	return of(words, ARRAY_SIZE(words), t);
}

/* "ke1_" and the word of the group, or "none". */
static const char *addke_format(const struct transform *t, char buf[TRANSFORM_STRLEN])
{
	const struct transform group = {TRANSFORM_KE, t->id, t->key_bits};
	char word[TRANSFORM_STRLEN];

	if (t->id == GROUP_NONE)
		snprintf(word, sizeof(word), "none");
	else
		transform_format(&group, word);
	snprintf(buf, TRANSFORM_STRLEN, "ke%u_%.*s", t->type - TRANSFORM_ADDKE1 + 1u,
		 TRANSFORM_STRLEN - 8, word);
	return buf;
}

const char *transform_format(const struct transform *t, char buf[TRANSFORM_STRLEN])
{
	static const char *const types[] = {
		[TRANSFORM_ENCR] = "encr", [TRANSFORM_PRF] = "prf", [TRANSFORM_INTEG] = "integ",
		[TRANSFORM_KE] = "group",  [TRANSFORM_ESN] = "esn",
	};
	const struct word *w = word_of(t);

	if (transform_is_addke(t->type))
		return addke_format(t, buf);
	if (!w && t->id != 0xffff)
		w = of(refused, ARRAY_SIZE(refused), t);
	if (w)
		snprintf(buf, TRANSFORM_STRLEN, "%s", w->name);
	else if (t->type < ARRAY_SIZE(types) && types[t->type] && t->key_bits)
		snprintf(buf, TRANSFORM_STRLEN, "%s(%u/%u)", types[t->type], t->id, t->key_bits);
	else if (t->type < ARRAY_SIZE(types) && types[t->type])
		snprintf(buf, TRANSFORM_STRLEN, "%s(%u)", types[t->type], t->id);
	else
		snprintf(buf, TRANSFORM_STRLEN, "type%u(%u)", t->type, t->id);
	return buf;
}
