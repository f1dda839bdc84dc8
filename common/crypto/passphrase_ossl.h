/* passphrase_ossl.h - gives a password or PIN to libcrypto when it asks for one; private to
 * common/crypto. SPDX-License-Identifier: ISC */
#ifndef MENDIP_PASSPHRASE_OSSL_H
#define MENDIP_PASSPHRASE_OSSL_H

#include "base.h"

#include <openssl/ui.h>

struct passphrase {
	const char *text; /* NULL: none is known */
	bool asked;	  /* libcrypto has asked for it */
};

/* Its data is a struct passphrase. To be freed by UI_destroy_method; NULL: libcrypto fails. */
UI_METHOD *passphrase_ui(void);

#endif
