/*
 * t_scenarios.c - each file of tests/exchange/scenarios is one case (see scenario.h).
 * SPDX-License-Identifier: ISC
 *
 * With paths as arguments, runs these files instead, and prints what happened.
 */
#include "crypto/aead.h"
#include "scenario.h"
#include "xalloc.h"

#include <glob.h>
#include <stdlib.h>

#ifndef SCENARIO_DIR
#define SCENARIO_DIR "tests/exchange/scenarios"
#endif

static void one_file(void **state)
{
	const char *path = *state;
	char *text = scenario_read(path), why[SCENARIO_WHY];
	bool ok;

	if (!text)
		fail_msg("%s cannot be read", path);
	ok = scenario_run(path, text, true, why);
	free(text);
	if (!ok)
		fail_msg("%s", why);
}

static char *case_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *name = xstrdup(slash ? slash + 1 : path), *dot = strrchr(name, '.');

	if (dot)
		*dot = '\0';
	return name;
}

int main(int argc, char **argv)
{
	struct CMUnitTest *tests;
	glob_t g = {0};
	size_t count = (size_t)argc - 1;
	char **paths = argv + 1, err[200];
	int r;

	/* The scenarios seal many packets: with the fastest implementation. */
	if (aead_init(AEAD_AUTO, err, sizeof(err)) < 0)
		abort();

	if (count == 0 || !strpbrk(argv[1], "/.")) { /* a case name, see only.c */
		if (glob(SCENARIO_DIR "/*.txt", 0, NULL, &g) != 0) {
			fprintf(stderr, "no scenario in %s\n", SCENARIO_DIR);
			return 1;
		}
		count = g.gl_pathc;
		paths = g.gl_pathv;
	}
	tests = xzalloc(count * sizeof(*tests));
	for (size_t i = 0; i < count; i++)
		tests[i] = (struct CMUnitTest){.name = case_name(paths[i]),
					       .test_func = one_file,
					       .initial_state = paths[i]};
	r = _cmocka_run_group_tests("scenarios", tests, count, NULL, NULL);
	for (size_t i = 0; i < count; i++)
		free((char *)tests[i].name);
	free(tests);
	globfree(&g);
	return r;
}
