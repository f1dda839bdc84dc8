/* vectors_json.h - reading published vectors; within t_vectors. SPDX-License-Identifier: ISC */
#ifndef MENDIP_VECTORS_JSON_H
#define MENDIP_VECTORS_JSON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>

#include "wire.h"

#define VECTOR_MAX 131072

/* Bytes of a hexadecimal member; empty when it is missing or null. Static buffers, one for each of
 * 16 calls. */
struct chunk vec_hex(const json_t *o, const char *key);
const char *vec_str(const json_t *o, const char *key);
/* DIR/path of MENDIP_VECTORS; the test fails when it cannot be read. Caller decrefs. */
json_t *vec_load(const char *path);
/* The same of an unpacked wycheproof file. */
json_t *wycheproof_load(const char *name);
/* Unpacks the archive once; removed at exit. */
void wycheproof_unpack(void);
/* Skips the test, saying why, when there are no vectors. */
void vec_need(void);
/* Prints how many cases of a kind ran, and fails when none did. */
void vec_report(const char *kind, unsigned cases);

#endif
