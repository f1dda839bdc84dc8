/* base64.c - see base64.h. SPDX-License-Identifier: ISC */
#include "crypto/base64.h"

#include <errno.h>
#include <limits.h>

#include <openssl/evp.h>

int base64_decode(uint8_t *out, const char *text, size_t len)
{
	int n;

	if (len == 0 || len % 4 || len > INT_MAX)
		return -EINVAL;
	/* EVP_DecodeBlock decodes the padding to zero bytes, and counts them. */
	n = EVP_DecodeBlock(out, (const unsigned char *)text, (int)len);
	if (n < 0)
		return -EINVAL;
	return n - (text[len - 1] == '=') - (text[len - 2] == '=');
}
