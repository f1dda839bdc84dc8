/* sink.h - writes log lines to stderr without ever blocking. SPDX-License-Identifier: ISC */
#ifndef MENDIP_SINK_H
#define MENDIP_SINK_H

#include "log.h"

struct sink {
	int fd;
	bool journal; /* lines begin with <N> for journald, not with time and level */
	bool is_socket;
	uint64_t lost; /* lines dropped since the last one that could be written */
};

/* fd must stay open. A descriptor that this may open instead of fd is never closed. */
void sink_init(struct sink *s, int fd);
/* Writes the line (without a newline), or drops it if that would block; a later line says how many
 * were dropped. */
void sink_line(struct sink *s, enum log_level level, const char *line);

#endif
