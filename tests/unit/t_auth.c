/* t_auth.c - the AUTH payload of each method: made by one side, verified by the other.
 * SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/authenticator.h"
#include "xalloc.h"

#define SECRET "correct horse battery staple"

/* Two sides that share a secret. */
struct sides {
	struct psk_store *ours, *theirs;
	struct ident we, they;
	uint8_t sk_p[HASH_MAX_LEN];
	struct auth_octets octets; /* of ours */
};

static struct psk_store *store_with(const char *secret, const struct ident *for_whom)
{
	struct psk_store *s = psk_store_new();

	s->v = xzalloc(sizeof(*s->v));
	s->count = 1;
	s->v[0].secret = xmemdup((const uint8_t *)secret, strlen(secret));
	s->v[0].len = strlen(secret);
	s->v[0].ids[0] = *for_whom;
	s->v[0].id_count = 1;
	return s;
}

static struct chunk text(const char *s)
{
	return (struct chunk){(const uint8_t *)s, strlen(s)};
}

static void begin(struct sides *s)
{
	memset(s, 0, sizeof(*s));
	assert_int_equal(ident_parse("branch.example", &s->we), 0);
	assert_int_equal(ident_parse("gw.example", &s->they), 0);
	s->ours = store_with(SECRET, &s->they);
	s->theirs = store_with(SECRET, &s->we);
	memset(s->sk_p, 7, sizeof(s->sk_p));
	s->octets = (struct auth_octets){.prf = HASH_SHA256,
					 .message = text("IKE_SA_INIT"),
					 .nonce = text("a nonce"),
					 .sk_p = s->sk_p,
					 .id = text("id")};
}

static void end(struct sides *s)
{
	psk_store_unref(s->ours);
	psk_store_unref(s->theirs);
}

static int make(const struct sides *s, uint8_t *out)
{
	struct auth_identities i = {.psks = s->ours, .local = &s->we, .remote = &s->they};

	return auth_psk.make(&s->octets, &i, out);
}

/* Verifies as the other side. */
static bool verify(const struct sides *s, const struct auth_octets *o, struct chunk data)
{
	struct auth_identities i = {.psks = s->theirs, .local = &s->they, .remote = &s->we};

	return auth_psk.verify(o, &i, data);
}

/* authenticator_of finds each method under its number. */
static void test_methods(void **state)
{
	(void)state;
	assert_ptr_equal(authenticator_of(2), &auth_psk);
	for (unsigned m = 0; m < 256; m++) {
		const struct authenticator *a = authenticator_of((uint8_t)m);

		assert_true(!a || (a->method == m && a->make && a->verify));
	}
	assert_null(authenticator_of(0));
	assert_null(authenticator_of(3)); /* DSS */
}

/* AUTH data of each PRF is verified, and has its length. */
static void test_made_is_verified(void **state)
{
	static const enum hash_alg prfs[] = {HASH_SHA256, HASH_SHA384, HASH_SHA512};

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(prfs); k++) {
		struct sides s;
		uint8_t auth[AUTH_DATA_MAX];
		int len;

		begin(&s);
		s.octets.prf = prfs[k];
		len = make(&s, auth);
		assert_int_equal(len, hash_len(prfs[k]));
		assert_true(verify(&s, &s.octets, (struct chunk){auth, (size_t)len}));
		end(&s);
	}
}

/* AUTH is refused if any bit of it, its length, or anything that it covers is changed. */
static void test_anything_else_is_refused(void **state)
{
	struct sides s;
	uint8_t auth[AUTH_DATA_MAX + 1] = {0}, sk_p[HASH_MAX_LEN];
	struct auth_octets o;
	size_t len;

	(void)state;
	begin(&s);
	len = (size_t)make(&s, auth);
	memcpy(sk_p, s.sk_p, sizeof(sk_p));
	sk_p[len - 1] ^= 1;
	for (unsigned k = 0; k < 4; k++) {
		o = s.octets;
		switch (k) {
		case 0: o.message = text("IKE_SA_INIt"); break;
		case 1: o.nonce = text("another"); break;
		case 2: o.id = text("ie"); break;
		default: o.sk_p = sk_p; break;
		}
		assert_false(verify(&s, &o, (struct chunk){auth, len}));
	}
	for (size_t bit = 0; bit < len * 8; bit++) {
		auth[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(verify(&s, &s.octets, (struct chunk){auth, len}));
		auth[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t l = 0; l <= len + 1; l++) {
		if (l != len)
			assert_false(verify(&s, &s.octets, (struct chunk){auth, l}));
	}
	end(&s);
}

/* AUTH made with another secret is refused. */
static void test_another_secret(void **state)
{
	struct sides s;
	uint8_t auth[AUTH_DATA_MAX];
	int len;

	(void)state;
	begin(&s);
	len = make(&s, auth);
	psk_store_unref(s.theirs);
	s.theirs = store_with(SECRET " ", &s.we);
	assert_false(verify(&s, &s.octets, (struct chunk){auth, (size_t)len}));
	end(&s);
}

/* Without a secret for the peer, AUTH can be neither made nor verified. */
static void test_no_secret(void **state)
{
	struct sides s;
	uint8_t auth[AUTH_DATA_MAX] = {0};

	(void)state;
	begin(&s);
	assert_int_equal(ident_parse("somebody.example", &s.we), 0);
	assert_int_equal(ident_parse("else.example", &s.they), 0);
	assert_int_equal(make(&s, auth), -ENOKEY);
	assert_false(verify(&s, &s.octets, (struct chunk){auth, 32}));
	end(&s);
}

/* RFC 7296 3.5: addresses have their family's length; types that we do not know are refused. */
static void test_identities_on_the_wire(void **state)
{
	static const struct {
		uint8_t type;
		size_t len;
		bool good;
	} table[] = {
		{ID_IPV4, 4, true},   {ID_IPV4, 3, false},	{ID_IPV4, 16, false},
		{ID_IPV6, 16, true},  {ID_IPV6, 4, false},	{ID_FQDN, 4, true},
		{ID_RFC822, 4, true}, {ID_KEY_ID, 4, true},	{0, 4, false},
		{9, 4, false},	      {ID_KEY_ID, 1000, false},
	};
	static uint8_t bytes[1000];

	(void)state;
	memset(bytes, 'a', sizeof(bytes));
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct ident id;
		int r = ident_from_wire(table[i].type, (struct chunk){bytes, table[i].len}, &id);

		assert_int_equal(r, table[i].good ? 0 : -EINVAL);
		if (r == 0)
			assert_true(id.type == table[i].type && id.len == table[i].len);
	}
}

/* All pairs: they are equal exactly if their keys for hash tables are. */
static void test_keys(void **state)
{
	static const char *const ids[] = {
		"gw.example",	     "GW.Example",   "gw.example2",  "ike@gw.example",
		"IKE@gw.EXAMPLE",    "@#67772e6578", "@#47572e6578", "192.0.2.1",
		"192.0.2.2",	     "2001:db8::1",  "O=a, CN=gw",   "o=A,cn=GW",
		"O=a+CN=gw",	     "CN=gw, O=a",   "O=a, CN=g w",  "O=a, CN=#13026777",
		"O=a, CN=#04026777", "*.example",    "%any",	     "O=a, CN=*",
	};
	struct ident a, b, x, y;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ids) * ARRAY_SIZE(ids); i++) {
		assert_int_equal(ident_parse(ids[i / ARRAY_SIZE(ids)], &a), 0);
		assert_int_equal(ident_parse(ids[i % ARRAY_SIZE(ids)], &b), 0);
		ident_key(&a, &x);
		ident_key(&b, &y);
		if ((memcmp(&x, &y, sizeof(x)) == 0) != ident_eq(&a, &b))
			fail_msg("%s, %s", ids[i / ARRAY_SIZE(ids)], ids[i % ARRAY_SIZE(ids)]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_made_is_verified),
		cmocka_unit_test(test_anything_else_is_refused),
		cmocka_unit_test(test_another_secret),
		cmocka_unit_test(test_no_secret),
		cmocka_unit_test(test_identities_on_the_wire),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
