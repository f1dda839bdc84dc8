/*
 * import.h - makes a mendip.conf of a swanctl.conf. SPDX-License-Identifier: ISC
 *
 * What cannot be carried over is left out and said. Where more peers would be let in without it,
 * the connection is left out; but any address may call where swanctl.conf has a network, as who
 * calls still has to authenticate. What is written passes mendipd --check: it is read as mendipd
 * reads it, and what that refuses is left out, too.
 */
#ifndef MENDIP_IMPORT_H
#define MENDIP_IMPORT_H

#include "import_text.h"

struct import_ops {
	void *ctx;
	/* Something is not carried over, and why; the text has no line end and no secret. */
	void (*say)(void *ctx, const char *file, unsigned line, const char *text);
	/*
	 * The name of the file with the private key that belongs to the certificate or public key
	 * in the file `cert`, for free(); NULL if it is not known.
	 */
	char *(*find_key)(void *ctx, const char *cert);
	const char *folder; /* where swanctl has x509, x509ca, pubkey and so on */
};

/*
 * The text of a mendip.conf with what import_add and import_resolve have read; for secret_free, as
 * it holds secrets. *ret_said: how often `say` was called. NULL with err (IMPORT_ERR bytes): more
 * than 500 parts of it would be refused.
 */
char *import_convert(struct import_tree *t, const struct import_ops *ops, unsigned *ret_said,
		     char *err);

#endif
