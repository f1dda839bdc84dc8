/*
 * fuzz.h - what each fuzz target defines and may use. SPDX-License-Identifier: ISC
 *
 * Each target is one file with LLVMFuzzerTestOneInput. It is linked with driver.c as an ordinary
 * test with its corpus, and with libFuzzer by --enable-fuzzers. An invariant that does not hold
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

/* Copies the input as a NUL-terminated string of at most max bytes, up to its first NUL. */
static inline void as_string(const uint8_t *data, size_t size, char *out, size_t max)
{
	size_t n = size < max - 1 ? size : max - 1;

	memcpy(out, data, n);
	out[n] = '\0';
}

#endif
