/* ctl_metrics.h - prints the metrics, or puts them into a file. SPDX-License-Identifier: ISC */
#ifndef MENDIP_CTL_METRICS_H
#define MENDIP_CTL_METRICS_H

#include <stdbool.h>

struct metrics_output {
	bool classic;	  /* the text format 0.0.4, not OpenMetrics */
	const char *path; /* NULL: standard output */
};

/* "openmetrics" or "prometheus", into ret->classic. False: it is neither. */
bool metrics_format_parse(const char *name, struct metrics_output *ret);
/*
 * Writes the metrics, of which text is OpenMetrics. A file is replaced as a whole, readable for
 * all: whoever reads it meanwhile reads the old one or the new one. 0, or -errno with a line on
 * stderr; the old file is there then.
 */
int metrics_write(const struct metrics_output *to, const char *text);

#endif
