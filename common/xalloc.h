/*
 * xalloc.h - memory that is there or the process ends. SPDX-License-Identifier: ISC
 *
 * Allocations happen when SAs, messages and configuration come and go, never for a packet. What an
 * outsider can make grow has limits of its own, so running out of memory is not a state to work
 * on in: abort, and let the service manager start afresh.
 */
#ifndef MENDIP_XALLOC_H
#define MENDIP_XALLOC_H

#include "base.h"

/* Zeroed. Free with free(), or secret_free() where keys are in it. */
void *xzalloc(size_t size) __attribute__((returns_nonnull, malloc));
void *xreallocarray(void *p, size_t n, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((returns_nonnull));
void *xmemdup(const void *p, size_t len) __attribute__((returns_nonnull));
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2) __attribute__((returns_nonnull));

/* Cleanses len bytes in a way that no compiler leaves out. */
void secret_wipe(void *p, size_t len);
/* Cleanses and frees; takes NULL. */
void secret_free(void *p, size_t len);

#endif
