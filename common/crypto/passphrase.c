/* passphrase.c - see passphrase_ossl.h. SPDX-License-Identifier: ISC */
#include "crypto/passphrase_ossl.h"

#include <string.h>

static int give(char *buf, int size, int rwflag, void *ctx)
{
	struct passphrase *p = ctx;
	size_t len = p->text ? strlen(p->text) : 0;

	(void)rwflag;
	p->asked = true;
	if (!p->text || len >= (size_t)size)
		return -1;
	memcpy(buf, p->text, len + 1);
	return (int)len;
}

UI_METHOD *passphrase_ui(void)
{
	return UI_UTIL_wrap_read_pem_callback(give, 0);
}
