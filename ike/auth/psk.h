/* psk.h - pre-shared keys (RFC 7296 2.15). SPDX-License-Identifier: ISC */
#ifndef MENDIP_PSK_H
#define MENDIP_PSK_H

#include "auth/ident.h"

#define PSK_MAX_IDS 8
/* A pre-shared key and whom it is for; without ids it is for anyone. */
struct psk {
	struct ident ids[PSK_MAX_IDS];
	uint8_t id_count;
	uint8_t *secret;
	size_t len;
};

/* All keys of one reading of the configuration; shared by reference count. */
struct psk_store {
	struct psk *v;
	unsigned count, refs;
};

/* The key that fits the two identities best, or NULL. */
const struct psk *psk_find(const struct psk_store *s, const struct ident *local,
			   const struct ident *remote);
/* The same secret, whatever it is for; two that are not there are the same. */
bool psk_same(const struct psk *a, const struct psk *b);
/* With one reference. */
struct psk_store *psk_store_new(void);
struct psk_store *psk_store_ref(struct psk_store *s);
/* Cleanses and frees all keys with the last reference; takes NULL. */
void psk_store_unref(struct psk_store *s);

#endif
