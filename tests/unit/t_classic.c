/* t_classic.c - OpenMetrics text becomes Prometheus's text format 0.0.4.
 * SPDX-License-Identifier: ISC */
#include "classic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void becomes(const char *text, const char *wanted)
{
	char *got = metrics_classic(text);

	assert_string_equal(got, wanted);
	free(got);
}

/* A counter is named as its sample; an info is a gauge; a unit and the end are left out. */
static void families(void **state)
{
	(void)state;
	becomes("# TYPE m_packets counter\n# HELP m_packets packets by what: a info; b counter\n"
		"# UNIT m_packets packets\nm_packets_total{what=\"a\"} 1\n"
		"# TYPE m_build info\n# HELP m_build it has a counter\nm_build_info{v=\"1\"} 1\n"
		"# TYPE m_up gauge\n# HELP m_up is up\nm_up{c=\"# EOF counter\"} 0\n"
		"# TYPE m_s histogram\n# HELP m_s how long\n# UNIT m_s s\n"
		"m_s_bucket{le=\"+Inf\"} 1\nm_s_count 1\nm_s_sum 0.5\n# EOF\n",
		"# TYPE m_packets_total counter\n"
		"# HELP m_packets_total packets by what: a info; b counter\n"
		"m_packets_total{what=\"a\"} 1\n"
		"# TYPE m_build_info gauge\n# HELP m_build_info it has a counter\n"
		"m_build_info{v=\"1\"} 1\n"
		"# TYPE m_up gauge\n# HELP m_up is up\nm_up{c=\"# EOF counter\"} 0\n"
		"# TYPE m_s histogram\n# HELP m_s how long\n"
		"m_s_bucket{le=\"+Inf\"} 1\nm_s_count 1\nm_s_sum 0.5\n");
}

/* An answer that is cut, or of another version, ends nothing. */
static void cut_texts(void **state)
{
	(void)state;
	becomes("", "");
	becomes("# TYPE", "");
	becomes("# TYPE m", "# TYPE m\n");
	becomes("# HELP ", "# HELP \n");
	becomes("# TYPE m\nm 1\n", "# TYPE m\nm 1\n");
	becomes("m 1", "m 1\n");
	becomes("\n\n", "\n\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(families),
		cmocka_unit_test(cut_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
