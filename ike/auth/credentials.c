/* credentials.c - see credentials.h. SPDX-License-Identifier: ISC */
#include "auth/credentials.h"
#include "crypto/hash.h"
#include "xalloc.h"

#include <stdio.h>

/* ---- the store ---- */

struct cred_store *cred_store_new(void)
{
	struct cred_store *s = xzalloc(sizeof(*s));

	s->refs = 1;
	return s;
}

struct cred_store *cred_store_ref(struct cred_store *s)
{
	s->refs++;
	return s;
}

static void creds_fini(struct conn_creds *c)
{
	free(c->conn);
	pkey_unref(c->key);
	cert_chain_fini(&c->chain);
	trust_unref(c->peer);
	for (unsigned i = 0; i < c->pubkey_count; i++)
		pkey_unref(c->pubkeys[i]);
}

void cred_store_unref(struct cred_store *s)
{
	if (!s || --s->refs > 0)
		return;
	for (unsigned i = 0; i < s->count; i++)
		creds_fini(&s->v[i]);
	free(s->v);
	free(s);
}

struct conn_creds *cred_store_add(struct cred_store *s, const char *conn)
{
	struct conn_creds *c;

	s->v = xreallocarray(s->v, s->count + 1, sizeof(*s->v));
	c = &s->v[s->count++];
	*c = (struct conn_creds){.conn = xstrdup(conn)};
	return c;
}

static void set_digest(struct conn_creds *c)
{
	uint8_t trusted[32] = {0}, d[HASH_MAX_LEN];
	struct chunk parts[1 + PUBKEYS_MAX] = {{trusted, sizeof(trusted)}};

	if (c->peer)
		trust_digest(c->peer, trusted);
	for (unsigned i = 0; i < c->pubkey_count; i++)
		parts[1 + i] = pkey_spki(c->pubkeys[i]);
	hash_compute(HASH_SHA256, parts, 1 + c->pubkey_count, d);
	memcpy(c->digest, d, sizeof(c->digest));
}

static int compare(const void *a, const void *b)
{
	const struct conn_creds *x = a, *y = b;

	return strcmp(x->conn, y->conn);
}

void cred_store_complete(struct cred_store *s)
{
	for (unsigned i = 0; i < s->count; i++)
		set_digest(&s->v[i]);
	if (s->count)
		qsort(s->v, s->count, sizeof(*s->v), compare);
}

const struct conn_creds *cred_find(const struct cred_store *s, const char *conn)
{
	const struct conn_creds key = {.conn = (char *)conn};

	return s && s->count ? bsearch(&key, s->v, s->count, sizeof(*s->v), compare) : NULL;
}

/* ---- proofs ---- */

struct peer_proof *proof_ref(struct peer_proof *p)
{
	p->refs++;
	return p;
}

void proof_unref(struct peer_proof *p)
{
	if (!p || --p->refs > 0)
		return;
	cert_chain_fini(&p->chain);
	pkey_unref(p->key);
	free(p);
}

struct peer_proof *proof_new(const struct pkey *key, const struct cert_chain *chain)
{
	struct peer_proof *p = xzalloc(sizeof(*p));

	p->refs = 1;
	if (chain)
		p->chain = cert_chain_copy(chain);
	p->key = pkey_ref(key);
	return p;
}

/* ---- who is let in ---- */

static struct chunk data_of(const struct ident *id)
{
	return (struct chunk){id->data, id->len};
}

bool cert_confirms(const struct cert *c, const struct ident *id)
{
	struct ident subject;

	switch (id->type) {
	case ID_FQDN: return cert_has_name(c, CERT_NAME_DNS, data_of(id));
	case ID_RFC822: return cert_has_name(c, CERT_NAME_EMAIL, data_of(id));
	case ID_IPV4:
	case ID_IPV6: return cert_has_name(c, CERT_NAME_IP, data_of(id));
	case ID_DN:
		return ident_from_wire(ID_DN, cert_subject(c), &subject) == 0 &&
		       ident_eq(&subject, id);
	default: return false;
	}
}

int chain_admits(const struct conn_creds *c, const struct cert_chain *chain, const struct ident *id,
		 enum revocation r, int64_t when, char *why)
{
	const char *not_for_ike;

	snprintf(why, TRUST_WHY_MAX, "no CA is configured for this peer");
	if (!c || !c->peer || !chain->count)
		return -EKEYREJECTED;
	snprintf(why, TRUST_WHY_MAX, "it does not have the peer's id as subjectAltName or subject");
	if (!cert_confirms(chain->v[0], id))
		return -EKEYREJECTED;
	if (!cert_may_sign(chain->v[0], &not_for_ike)) {
		snprintf(why, TRUST_WHY_MAX, "%s", not_for_ike);
		return -EKEYREJECTED;
	}
	return trust_verify(c->peer, chain, r, when, why);
}

const struct cert *creds_pinned(const struct conn_creds *c, const struct ident *id)
{
	const struct cert *a;

	for (unsigned i = 0; c->peer && (a = trust_anchor(c->peer, i)); i++) {
		if (trust_is_pinned(c->peer, i) && cert_confirms(a, id))
			return a;
	}
	return NULL;
}

const struct pkey *creds_pubkey(const struct conn_creds *c, const struct pkey *k)
{
	for (unsigned i = 0; i < c->pubkey_count; i++) {
		if (pkey_same(c->pubkeys[i], k))
			return c->pubkeys[i];
	}
	return NULL;
}

bool proof_holds(const struct peer_proof *p, const struct conn_creds *c, const struct ident *id,
		 enum revocation r, char *why)
{
	if (c && creds_pubkey(c, p->key))
		return true;
	if (p->chain.count)
		return chain_admits(c, &p->chain, id, r, CERT_NO_TIME, why) == 0;
	snprintf(why, TRUST_WHY_MAX, "its public key is not configured any more");
	return false;
}
