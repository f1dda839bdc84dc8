/*
 * only.c - a test program runs the case that is named behind it. SPDX-License-Identifier: ISC
 *
 * `tests/unit/t_gate NAME`; * and ? stand for any characters. Linked into every test program, whose
 * main() need not know of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* What makes the linker take this file from its library. */
int tests_only;

/* A path is no name: t_scenarios takes files, too. */
__attribute__((constructor)) static void take_name(int argc, char **argv)
{
	if (argc == 2 && !strpbrk(argv[1], "/."))
		cmocka_set_test_filter(argv[1]);
}
