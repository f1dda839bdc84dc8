/*
 * fuzz_cert.c - certificates, distinguished names, raw public keys and files of credentials, as a
 * peer or a file may have them. SPDX-License-Identifier: ISC
 */
#include "fuzz.h"
#include "auth/authenticator.h"
#include "auth/credentials.h"
#include "crypto/cred_parse.h"
#include "xalloc.h"

#define NOW 1767225600LL

static void name(struct chunk der)
{
	struct ident id, again, key, key_again;
	char text[IDENT_STRLEN];

	if (ident_from_wire(ID_DN, der, &id) < 0)
		return;
	hold(!id.pattern && ident_eq(&id, &id) && ident_match(&id, &id) > 0);
	/* What is written is the same name, unless a "*" in it would now be a pattern. */
	if (ident_parse(ident_format(&id, text), &again) == 0)
		hold(again.pattern || ident_eq(&id, &again));
	else
		again = id;
	ident_key(&id, &key);
	ident_key(&again, &key_again);
	hold(key.len <= id.len);
	hold((memcmp(&key, &key_again, sizeof(key)) == 0) == ident_eq(&id, &again));
	for (const char *p = text; *p; p++)
		hold(*p >= ' ' && *p < 0x7f);
}

static void key(struct chunk der)
{
	const struct auth_octets octets = {.sk_p = (const uint8_t[HASH_MAX_LEN]){0},
					   .prf = HASH_SHA256};
	struct pkey *k = pkey_from_spki(der);
	struct auth_identities i = {.theirs = k, .announced = true};

	if (!k)
		return;
	hold(!pkey_is_private(k) && pkey_same(k, k));
	for (unsigned m = 0; m < 256; m++) {
		const struct authenticator *a = authenticator_of((uint8_t)m);

		if (a && a->kind == AUTH_KIND_PUBKEY)
			hold(!a->verify(&octets, &i, der));
	}
	pkey_unref(k);
}

static void certificate(struct chunk der)
{
	struct cert *c = cert_from_der(der), *again;
	struct cert_chain chain = {.count = 1, .v = {c}};
	struct conn_creds creds = {0};
	char why[TRUST_WHY_MAX];
	const char *text;
	struct ident id;

	if (!c)
		return;
	name(cert_subject(c));
	name(cert_issuer(c));
	hold(cert_not_after(c) != 0 || cert_not_before(c) != 1);
	again = cert_from_der(cert_der(c));
	hold(again && cert_same(c, again));
	(void)cert_may_sign(c, &text);
	hold(ident_parse("gw.example", &id) == 0);
	(void)cert_confirms(c, &id);
	/* Nothing is trusted with no CA, and itself only by its own key. */
	hold(chain_admits(&creds, &chain, &id, REVOCATION_RELAXED, NOW, why) < 0);
	if (ident_from_wire(ID_DN, cert_subject(c), &id) == 0) {
		struct trust *t = trust_new();

		trust_add(t, c, true);
		creds.peer = t;
		hold(chain_admits(&creds, &chain, &id, REVOCATION_STRICT, NOW, why) == 0 || *why);
		trust_unref(t);
	}
	cert_unref(again);
	cert_unref(c);
}

static void file(struct chunk content)
{
	struct cred_items items;
	char why[CRED_WHY_MAX];

	if (cred_parse(content, "a password", &items, why) < 0) {
		hold(items.cert_count == 0 && items.crl_count == 0 && items.key_count == 0);
		hold(strlen(why) > 0);
	}
	cred_items_free(&items);
}

/* Inputs that begin with 0 are files: reading them takes much longer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct chunk all = {data, size};

	if (size && data[0] == 0) {
		file((struct chunk){data + 1, size - 1});
		return 0;
	}
	name(all);
	key(all);
	certificate(all);
	return 0;
}
