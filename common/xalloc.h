/*
 * xalloc.h - memory allocation that aborts the process when it fails. SPDX-License-Identifier: ISC
 *
 * Memory is allocated when SAs, messages and configuration come and go, not for each packet. What
 * an outsider can make grow is limited elsewhere, so the daemon does not try to go on without
 * memory: it aborts, and the service manager restarts it.
 */
#ifndef MENDIP_XALLOC_H
#define MENDIP_XALLOC_H

#include "base.h"

/*
 * All of these return memory for free(), or for secret_free() if it holds keys. Only xzalloc zeroes
 * it.
 */
void *xzalloc(size_t size) __attribute__((returns_nonnull, malloc));
void *xreallocarray(void *p, size_t n, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((returns_nonnull));
void *xmemdup(const void *p, size_t len) __attribute__((returns_nonnull));
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2) __attribute__((returns_nonnull));

/* Overwrites len bytes in a way that the compiler cannot leave out; takes NULL. */
void secret_wipe(void *p, size_t len);
/* Cleanses len bytes and frees p; takes NULL. */
void secret_free(void *p, size_t len);

#endif
