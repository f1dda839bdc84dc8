/*
 * base64.h - base64 text to bytes. SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_BASE64_H
#define MENDIP_BASE64_H

#include "base.h"

/* Bytes that out must hold for text of len characters: at least what they decode to. */
#define BASE64_ROOM(len) ((len) / 4 * 3 + 1)

/*
 * Decodes text of len characters (RFC 4648 4, padded, one line). Returns the number of bytes, or
 * -EINVAL; out may hold part of them then.
 */
int base64_decode(uint8_t *out, const char *text, size_t len) MUST_CHECK;

#endif
