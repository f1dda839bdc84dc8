/*
 * token.h - private keys that stay on a token, such as a smart card or an HSM: by URIs of PKCS#11
 * (RFC 7512) and OpenSSL's provider for it. SPDX-License-Identifier: ISC
 *
 * The provider is loaded with the first key, and stays. It has a library context of its own: what
 * it implements is used for keys on tokens, and for nothing else.
 */
#ifndef MENDIP_TOKEN_H
#define MENDIP_TOKEN_H

#include "crypto/cred_parse.h"

/* Whether it is a URI of a token, and not the name of a file. */
bool token_is_uri(const char *name);
/*
 * The one private key that the URI names; to be freed by pkey_unref. It has signed once, as a
 * trial. pin: that of the token, or NULL. With a PIN the URI has to say which token, by token,
 * serial or slot-id: the provider gives it to each token that fits. Each of them gets it once, as
 * several wrong ones lock most tokens. NULL with the reason in `why` (CRED_WHY_MAX bytes), which
 * has neither the URI nor the PIN: the URI has a PIN in it or names no token, there is no provider,
 * no such key or more than one, the PIN is missing or wrong, pkey_from_spki would not take a key of
 * its kind, or it does not sign. *ret_absent: no token that is there has the key, and none was
 * given the PIN; that may be otherwise later.
 */
struct pkey *token_key(const char *uri, const char *pin, char *why, bool *ret_absent);

#endif
