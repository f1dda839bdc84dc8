/* vectors_json.h - reads published test vectors, for t_vectors.c. SPDX-License-Identifier: ISC */
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

/* The bytes of a hexadecimal member; empty if it is missing or null. They are overwritten by the
 * 32nd call after this one. */
struct chunk vec_hex(const json_t *o, const char *key);
const char *vec_str(const json_t *o, const char *key);
/* Loads DIR/path, where MENDIP_VECTORS is DIR; the test fails if it cannot be read. The caller
 * decrefs the result. */
json_t *vec_load(const char *path);
/* The same for a file of the Wycheproof archive, which is unpacked first. */
json_t *wycheproof_load(const char *name);
/* Unpacks the archive at the first call; the files are removed at exit. */
void wycheproof_unpack(void);
/* Skips the test, with a message, if there are no vectors. */
void vec_need(void);
/* Prints how many cases of this kind were run, and fails if there were none. */
void vec_report(const char *kind, unsigned cases);

#endif
