/* xalloc.c - see xalloc.h. SPDX-License-Identifier: ISC */
#include "xalloc.h"

#include <stdarg.h>
#include <stdio.h>

void *xzalloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	if (!p)
		abort();
	return p;
}

void *xreallocarray(void *p, size_t n, size_t size)
{
	p = reallocarray(p, n ? n : 1, size);
	if (!p)
		abort();
	return p;
}

char *xstrdup(const char *s)
{
	return xmemdup(s, strlen(s) + 1);
}

void *xmemdup(const void *p, size_t len)
{
	void *r = xzalloc(len);

	if (len)
		memcpy(r, p, len);
	return r;
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();
	return s;
}

void secret_wipe(void *p, size_t len)
{
	if (p)
		explicit_bzero(p, len);
}

void secret_free(void *p, size_t len)
{
	secret_wipe(p, len);
	free(p);
}
