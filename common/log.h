/*
 * log.h - one line an event. SPDX-License-Identifier: ISC
 *
 * The pure rooms know no place where lines go: their owner gives them a struct log with a sink.
 * Lines hold no newline and no control character, whatever an outsider put into a name.
 */
#ifndef MENDIP_LOG_H
#define MENDIP_LOG_H

#include "base.h"
#include "bucket.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* What is still allowed of lines with one cause, and how many were left out. */
struct log_limit {
	struct bucket bucket;
	uint64_t suppressed; /* since the last one that passed */
};

struct log {
	enum log_level level; /* lines above it are dropped before they are formatted */
	void (*sink)(void *ctx, enum log_level level, const char *line);
	void *ctx;
	struct log_limit outsider; /* lines that anyone can cause */
};

const char *log_level_name(enum log_level level);
/* -EINVAL for an unknown name. */
int log_level_parse(const char *s, enum log_level *ret) MUST_CHECK;
void log_init(struct log *l, enum log_level level,
	      void (*sink)(void *ctx, enum log_level level, const char *line), void *ctx);
/* NULL is a log that drops everything. Lines are cut at 1,000 bytes. */
void log_line(struct log *l, enum log_level level, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* For lines that somebody can cause at will: as many as the limit allows. */
void log_limited(struct log *l, struct log_limit *limit, nsec_t now, enum log_level level,
		 const char *fmt, ...) PRINTF_LIKE(5, 6);

/* What an unauthenticated outsider causes: at most 5 lines a second with a burst of 20. */
#define log_outsider(l, now, level, ...) log_limited(l, &(l)->outsider, now, level, __VA_ARGS__)
#define log_error(l, ...)		 log_line(l, LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(l, ...)		 log_line(l, LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(l, ...)		 log_line(l, LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(l, ...)		 log_line(l, LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
