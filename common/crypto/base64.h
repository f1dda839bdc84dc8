/*
 * base64.h - base64 text to bytes. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_BASE64_H
#define MENDIP_BASE64_H

#include "base.h"

/* The size of a buffer for the bytes that len characters decode to. */
#define BASE64_ROOM(len) ((len) / 4 * 3 + 1)

/*
 * Decodes len characters of text (RFC 4648 4, padded, one line) to out, which holds
 * BASE64_ROOM(len) bytes. Returns the number of bytes. -EINVAL if text is empty or not base64; out
 * may then be written in part.
 */
int base64_decode(uint8_t *out, const char *text, size_t len) MUST_CHECK;

#endif
