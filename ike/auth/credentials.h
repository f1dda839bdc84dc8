/*
 * credentials.h - what connections authenticate by besides pre-shared keys: keys and certificates.
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_CREDENTIALS_H
#define MENDIP_CREDENTIALS_H

#include "auth/ident.h"
#include "crypto/trust.h"

/* How one side of a connection authenticates; by EAP (auth/eap.h) only we do, and when we call. */
enum auth_kind { AUTH_KIND_PSK, AUTH_KIND_PUBKEY, AUTH_KIND_EAP_MSCHAPV2, AUTH_KIND_EAP_TLS };

static inline bool auth_kind_is_eap(enum auth_kind k)
{
	return k == AUTH_KIND_EAP_MSCHAPV2 || k == AUTH_KIND_EAP_TLS;
}

#define PUBKEYS_MAX 4

/* The credentials of one connection; all pointers hold references. */
struct conn_creds {
	char *conn;		  /* its name; owned */
	const struct pkey *key;	  /* our private key; NULL: we have none */
	struct cert_chain chain;  /* our certificates; empty: the peer knows our key */
	const struct trust *peer; /* what makes the peer's certificate trusted; NULL: nothing */
	const struct pkey *pubkeys[PUBKEYS_MAX]; /* public keys that the peer may have */
	unsigned pubkey_count;
	uint8_t digest[32]; /* of what lets the peer in: `peer` and `pubkeys` */
};

/*
 * Those of all connections of one version of the configuration; constant once it is complete, and
 * reference-counted.
 */
struct cred_store {
	struct conn_creds *v;
	unsigned count, refs;
};

/* An empty store with one reference. */
struct cred_store *cred_store_new(void);
struct cred_store *cred_store_ref(struct cred_store *s);
/* Drops a reference; with the last one wipes the keys and frees all. Takes NULL. */
void cred_store_unref(struct cred_store *s);
/* Adds credentials for a connection that has none yet, to be filled in; valid until the next. */
struct conn_creds *cred_store_add(struct cred_store *s, const char *conn);
/* To be called once, after the last was added: computes the digests, and sorts for cred_find. */
void cred_store_complete(struct cred_store *s);
/* Those of a connection, or NULL; s may be NULL. They belong to the store. */
const struct conn_creds *cred_find(const struct cred_store *s, const char *conn);

/* What a peer has authenticated by: kept as long as its IKE SA. Constant and reference-counted. */
struct peer_proof {
	unsigned refs;
	struct cert_chain chain; /* with which it was trusted; empty: the key is configured */
	const struct pkey *key;
};

struct peer_proof *proof_ref(struct peer_proof *p);
/* Takes NULL. */
void proof_unref(struct peer_proof *p);
/* A proof by a key that is configured, or by the first certificate of a chain; copies both. */
struct peer_proof *proof_new(const struct pkey *key, const struct cert_chain *chain);

/*
 * Whether the certificate says that its owner has the identity (RFC 4945 3.1): it is a
 * subjectAltName, or for a distinguished name the subject. Never for a key ID.
 */
bool cert_confirms(const struct cert *c, const struct ident *id);
/*
 * Whether a certificate chain is good for a peer with this identity: may be used for
 * authentication, confirms the identity, and is trusted. when: as in trust_verify. 0, or
 * -EKEYREJECTED with the reason in `why` (TRUST_WHY_MAX bytes).
 */
int chain_admits(const struct conn_creds *c, const struct cert_chain *chain, const struct ident *id,
		 enum revocation r, int64_t when, char *why) MUST_CHECK;
/* The configured certificate that confirms the identity, or NULL: for a peer that sends none. */
const struct cert *creds_pinned(const struct conn_creds *c, const struct ident *id);
/* The configured public key that is the same as k, or NULL. */
const struct pkey *creds_pubkey(const struct conn_creds *c, const struct pkey *k);
/*
 * Whether a peer that authenticated by this proof would still be let in by these credentials,
 * whatever the time is; `why` as above. c may be NULL: there are none.
 */
bool proof_holds(const struct peer_proof *p, const struct conn_creds *c, const struct ident *id,
		 enum revocation r, char *why);

#endif
