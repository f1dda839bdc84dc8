/*
 * fuzz.h - what a fuzz target gives. SPDX-License-Identifier: ISC
 *
 * Each target is one file with LLVMFuzzerTestOneInput. It is linked with driver.c as an ordinary
 * test over its corpus, and with libFuzzer by --enable-fuzzers. An invariant that does not hold
 * ends in abort().
 */
#ifndef MENDIP_FUZZ_H
#define MENDIP_FUZZ_H

#include "base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void hold(bool ok)
{
	if (!ok)
		abort();
}

/* The input as a string of at most max bytes, ended by NUL, without NUL inside. */
static inline void as_string(const uint8_t *data, size_t size, char *out, size_t max)
{
	size_t n = size < max - 1 ? size : max - 1;

	memcpy(out, data, n);
	out[n] = '\0';
}

#endif
