/*
 * uml_ptrace.c - ptrace() for user-mode Linux on a processor with more registers than it knows.
 * It is to be preloaded. SPDX-License-Identifier: ISC
 *
 * User-mode Linux runs its processes by ptrace. It saves and restores their registers
 * (NT_X86_XSTATE) in a buffer of a size that it was built with. The kernel accepts a new state only
 * in its full size, which is larger with AVX-512 or AMX: it then refuses with EFAULT, and user-mode
 * Linux does not start. Here, the rest of the state that the process has is added to what is set;
 * the full size is got, and as much passed on as was asked for.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

#define LARGEST 65536 // octets; AMX needs about 11000

typedef long ptrace_function(enum __ptrace_request request, pid_t pid, void *address, void *data);

static _Alignas(64) unsigned char whole[LARGEST]; // user-mode Linux traces in one thread

long ptrace(enum __ptrace_request request, ...)
{
	va_list arguments;

	va_start(arguments, request);
	pid_t pid = va_arg(arguments, pid_t);
	void *address = va_arg(arguments, void *);
	void *data = va_arg(arguments, void *);

	va_end(arguments);
	ptrace_function *next = (ptrace_function *)dlsym(RTLD_NEXT, "ptrace");

	if ((request != PTRACE_GETREGSET && request != PTRACE_SETREGSET) ||
	    address != (void *)NT_X86_XSTATE)
		return next(request, pid, address, data);
	struct iovec *part = data, all = {whole, sizeof(whole)};
	long result = next(PTRACE_GETREGSET, pid, address, &all);

	if (result < 0)
		return result;
	if (part->iov_len > all.iov_len)
		part->iov_len = all.iov_len;
	if (request == PTRACE_GETREGSET) {
		memcpy(part->iov_base, whole, part->iov_len);
		return result;
	}
	memcpy(whole, part->iov_base, part->iov_len);
	return next(PTRACE_SETREGSET, pid, address, &all);
}
