/* mschap.c - see mschap.h. SPDX-License-Identifier: ISC */
#include "auth/mschap.h"
#include "crypto/hash.h"
#include "crypto/legacy.h"
#include "xalloc.h"

#define SHA1_LEN   20
#define MASTER_LEN 16

/* ---- the password, in UTF-16 with the low octet first ---- */

/* Reads one character of UTF-8; r is bad if it is none. */
static uint32_t read_character(struct reader *r)
{
	static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
	uint8_t first = rd_u8(r);
	unsigned more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
	uint32_t c = more ? first & (0x3fu >> more) : first;

	r->bad |= first >= 0xf8 || (first >= 0x80 && first < 0xc0);
	for (unsigned i = 0; i < more; i++) {
		uint8_t next = rd_u8(r);

		r->bad |= (next & 0xc0) != 0x80;
		c = c << 6 | (next & 0x3f);
	}
	r->bad |= c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000);
	return c;
}

static void write_unit(struct writer *w, uint32_t unit)
{
	wr_u8(w, (uint8_t)unit);
	wr_u8(w, (uint8_t)(unit >> 8));
}

/* Writes the password as UTF-16; false: it is no UTF-8, empty, or too long. */
static bool to_utf16(struct chunk password, struct writer *w)
{
	struct reader r;

	rd_init(&r, password.p, password.len);
	while (r.left && !r.bad && !w->bad) {
		uint32_t c = read_character(&r);

		if (c >= 0x10000) {
			write_unit(w, 0xd800 + ((c - 0x10000) >> 10));
			c = 0xdc00 + (c & 0x3ff);
		}
		write_unit(w, c);
	}
	return !r.bad && !w->bad && w->len > 0;
}

bool mschap_is_password(struct chunk password)
{
	uint8_t text[2 * MSCHAP_PASSWORD_MAX];
	struct writer w;
	bool good;

	wr_init(&w, text, sizeof(text));
	good = to_utf16(password, &w);
	secret_wipe(text, sizeof(text));
	return good;
}

/* NtPasswordHash (RFC 2759 8.3), with the zeros behind it that ChallengeResponse wants. */
static int password_hash(struct chunk password, uint8_t hash[3 * DES_KEY_LEN])
{
	uint8_t text[2 * MSCHAP_PASSWORD_MAX];
	struct writer w;
	int r;

	wr_init(&w, text, sizeof(text));
	memset(hash, 0, 3 * DES_KEY_LEN);
	r = to_utf16(password, &w) ? legacy_md4((struct chunk){text, w.len}, hash) : -EINVAL;
	secret_wipe(text, sizeof(text));
	return r;
}

/* ---- RFC 2759 ---- */

static struct chunk chunk_of(const char *s)
{
	return (struct chunk){(const uint8_t *)s, strlen(s)};
}

static struct chunk without_domain(struct chunk user)
{
	for (size_t i = user.len; i > 0; i--) {
		if (user.p[i - 1] == '\\')
			return (struct chunk){user.p + i, user.len - i};
	}
	return user;
}

/* ChallengeHash (8.2): 8 octets, of the 20 that are written. */
static void challenge_hash(const struct mschap *m, uint8_t out[SHA1_LEN])
{
	const struct chunk parts[] = {{m->peer_challenge, MSCHAP_CHALLENGE},
				      {m->auth_challenge, MSCHAP_CHALLENGE},
				      without_domain(m->user)};

	hash_compute(HASH_SHA1, parts, ARRAY_SIZE(parts), out);
}

/* ChallengeResponse (8.5). */
static int challenge_response(const uint8_t challenge[DES_BLOCK],
			      const uint8_t hash[3 * DES_KEY_LEN], uint8_t out[MSCHAP_RESPONSE])
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < 3; i++)
		r = legacy_des(hash + i * DES_KEY_LEN, challenge, out + i * DES_BLOCK);
	return r;
}

/* GenerateAuthenticatorResponse (8.7), as octets and not as hexadecimal. */
static void authenticator_response(const uint8_t hash_hash[MD4_LEN],
				   const uint8_t response[MSCHAP_RESPONSE],
				   const uint8_t challenge[DES_BLOCK], uint8_t out[MSCHAP_PROOF])
{
	uint8_t first[SHA1_LEN];
	const struct chunk inner[] = {{hash_hash, MD4_LEN},
				      {response, MSCHAP_RESPONSE},
				      chunk_of("Magic server to client signing constant")};
	const struct chunk outer[] = {{first, sizeof(first)},
				      {challenge, DES_BLOCK},
				      chunk_of("Pad to make it do more than one iteration")};

	hash_compute(HASH_SHA1, inner, ARRAY_SIZE(inner), first);
	hash_compute(HASH_SHA1, outer, ARRAY_SIZE(outer), out);
	secret_wipe(first, sizeof(first));
}

/* ---- RFC 3079 ---- */

/* GetAsymmetricStartKey (3.4) with 128 bits. */
static void start_key(const uint8_t master[SHA1_LEN], const char *magic, uint8_t *out)
{
	uint8_t zeros[40] = {0}, f2[40], d[SHA1_LEN];
	const struct chunk parts[] = {
		{master, MASTER_LEN}, {zeros, sizeof(zeros)}, chunk_of(magic), {f2, sizeof(f2)}};

	memset(f2, 0xf2, sizeof(f2));
	hash_compute(HASH_SHA1, parts, ARRAY_SIZE(parts), d);
	memcpy(out, d, MASTER_LEN);
	secret_wipe(d, sizeof(d));
}

static void derive_msk(const uint8_t hash_hash[MD4_LEN], const uint8_t response[MSCHAP_RESPONSE],
		       uint8_t msk[MSCHAP_MSK])
{
	uint8_t master[SHA1_LEN]; /* of which MASTER_LEN octets count */
	const struct chunk parts[] = {{hash_hash, MD4_LEN},
				      {response, MSCHAP_RESPONSE},
				      chunk_of("This is the MPPE Master Key")};

	hash_compute(HASH_SHA1, parts, ARRAY_SIZE(parts), master);
	memset(msk, 0, MSCHAP_MSK);
	start_key(master,
		  "On the client side, this is the send key; on the server side, it is the "
		  "receive key.",
		  msk);
	start_key(master,
		  "On the client side, this is the receive key; on the server side, it is the "
		  "send key.",
		  msk + MASTER_LEN);
	secret_wipe(master, sizeof(master));
}

int mschap_compute(const struct mschap *m, uint8_t response[MSCHAP_RESPONSE],
		   uint8_t proof[MSCHAP_PROOF], uint8_t msk[MSCHAP_MSK])
{
	uint8_t hash[3 * DES_KEY_LEN], hash_hash[MD4_LEN], challenge[SHA1_LEN];
	int r = password_hash(m->password, hash);

	challenge_hash(m, challenge);
	if (r == 0)
		r = legacy_md4((struct chunk){hash, MD4_LEN}, hash_hash);
	if (r == 0)
		r = challenge_response(challenge, hash, response);
	if (r == 0) {
		authenticator_response(hash_hash, response, challenge, proof);
		derive_msk(hash_hash, response, msk);
	}
	secret_wipe(hash, sizeof(hash));
	secret_wipe(hash_hash, sizeof(hash_hash));
	return r;
}
