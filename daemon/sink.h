/* sink.h - log lines to stderr, whoever reads there or does not. SPDX-License-Identifier: ISC */
#ifndef MENDIP_SINK_H
#define MENDIP_SINK_H

#include "log.h"

struct sink {
	int fd;
	bool journal; /* lines begin with <N>, for journald, instead of time and level */
	bool is_socket;
	uint64_t lost; /* lines since the last one that could be written */
};

void sink_init(struct sink *s, int fd);
/* Writes the line, or drops it where that would wait; a later one tells how many were dropped. */
void sink_line(struct sink *s, enum log_level level, const char *line);

#endif
