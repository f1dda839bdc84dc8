/*
 * psk.h - pre-shared keys (RFC 7296 2.15), post-quantum ones (RFC 8784), and passwords of EAP.
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_PSK_H
#define MENDIP_PSK_H

#include "auth/ident.h"

#define PSK_MAX_IDS 8
/* A pre-shared key and the identities that it is for; without ids it is for anyone. */
struct psk {
	struct ident ids[PSK_MAX_IDS];
	uint8_t id_count;
	uint8_t *secret; /* len bytes, owned */
	size_t len;
};

#define PPK_ID_MAX 64
#define PPK_ANY	   "%any" /* of a connection: any post-quantum key, as responder */
/* A post-quantum pre-shared key, and the identity by which both sides know it. */
struct ppk {
	char id[PPK_ID_MAX + 1];
	uint8_t *secret; /* len bytes, owned */
	size_t len;
};

#define EAP_ID_MAX 253 /* bytes of our identity for EAP */
/* A password by which we authenticate with EAP, and the identity that it belongs to. */
struct eap_secret {
	char *id;	 /* owned */
	uint8_t *secret; /* len bytes, owned */
	size_t len;
};

/* All keys of one version of the configuration; reference-counted. */
struct psk_store {
	struct psk *v;
	unsigned count, refs;
	struct ppk *ppks;
	unsigned ppk_count;
	struct eap_secret *eaps;
	unsigned eap_count;
};

/*
 * The key that fits the two identities best, the remote one first, or NULL. It belongs to the
 * store. `remote` may be a pattern while the peer is unknown.
 */
const struct psk *psk_find(const struct psk_store *s, const struct ident *local,
			   const struct ident *remote);
/* Whether both have the same secret, whatever their ids; two NULLs are the same. */
bool psk_same(const struct psk *a, const struct psk *b);
/* The post-quantum key with this identity, or NULL. It belongs to the store. */
const struct ppk *ppk_find(const struct psk_store *s, const char *id);
/* Whether both have the same secret; two NULLs are the same. */
bool ppk_same(const struct ppk *a, const struct ppk *b);
/* The password of this identity, or NULL. It belongs to the store. */
const struct eap_secret *eap_secret_find(const struct psk_store *s, const char *id);
/* Whether it can be a password: UTF-8, not empty, at most 256 characters of UTF-16. */
bool eap_secret_is_valid(const struct eap_secret *s);

/* An empty store with one reference. */
struct psk_store *psk_store_new(void);
struct psk_store *psk_store_ref(struct psk_store *s);
/* Drops a reference; with the last one wipes and frees all keys. Takes NULL. */
void psk_store_unref(struct psk_store *s);

#endif
