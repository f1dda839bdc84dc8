/*
 * only.c - lets a test program run a single case. SPDX-License-Identifier: ISC
 *
 * `tests/unit/t_gate NAME` runs the cases whose name matches; * and ? stand for any characters. It
 * is linked into every test program, whose main() does not have to know of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A reference to this symbol makes the linker take this file from its library. */
int tests_only;

/* A path is not the name of a case: t_scenarios also accepts files. */
__attribute__((constructor)) static void take_name(int argc, char **argv)
{
	if (argc == 2 && !strpbrk(argv[1], "/."))
		cmocka_set_test_filter(argv[1]);
}
