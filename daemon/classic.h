/* classic.h - metrics in Prometheus's text format 0.0.4, made from OpenMetrics text.
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_CLASSIC_H
#define MENDIP_CLASSIC_H

/*
 * The same samples in the older format, which node_exporter's textfile collector reads. It knows no
 * units, no infos and no end, and a counter is named there as its sample is. text: OpenMetrics as
 * metrics_text writes it. The caller frees the result.
 */
char *metrics_classic(const char *text);

#endif
