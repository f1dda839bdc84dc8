/*
 * aead_backend.h - the interface of aead.c to its back ends. SPDX-License-Identifier: ISC
 *
 * For the crypto folder only.
 */
#ifndef MENDIP_AEAD_BACKEND_H
#define MENDIP_AEAD_BACKEND_H

#include "crypto/aead.h"

struct aead_backend {
	const char *name;
	/* NULL if the back end does not have the suite, or refuses the key. */
	struct aead_key *(*key_new)(const struct suite *suite, const uint8_t *enc,
				    const uint8_t *integ);
	void (*key_free)(struct aead_key *key); /* cleanses */
	/* All ops have keys of this back end. */
	void (*seal)(struct aead_op *op, unsigned n);
	void (*open)(struct aead_op *op, unsigned n);
};

/* The first member of each back end's own key. */
struct aead_key {
	const struct aead_backend *backend;
	const struct suite *suite;
};

extern const struct aead_backend aead_openssl;
#ifdef HAVE_IPSEC_MB
extern const struct aead_backend aead_ipsec_mb;
/* Sets the library up for this machine; false if it cannot be used. */
bool aead_ipsec_mb_init(void);
void aead_ipsec_mb_fini(void);
#endif

#endif
