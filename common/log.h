/*
 * log.h - one line per event. SPDX-License-Identifier: ISC
 *
 * Code without I/O of its own gets a struct log from its owner, whose sink writes the line. Control
 * characters in a line, newlines included, are written as '?', whatever an outsider put into a
 * name.
 */
#ifndef MENDIP_LOG_H
#define MENDIP_LOG_H

#include "base.h"
#include "bucket.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Limits the lines that have one cause, and counts those that were left out. */
struct log_limit {
	struct bucket bucket;
	uint64_t suppressed; /* lines left out since the last one that passed */
};

struct log {
	enum log_level level; /* lines above it are dropped before they are formatted */
	/* line: without a newline; valid during the call */
	void (*sink)(void *ctx, enum log_level level, const char *line);
	void *ctx;
	struct log_limit outsider; /* lines that anyone can cause */
};

const char *log_level_name(enum log_level level);
/* Sets *ret to the level of that name; -EINVAL if the name is unknown. */
int log_level_parse(const char *s, enum log_level *ret) MUST_CHECK;
/* ctx is passed to sink, and must stay valid as long as l is used. */
void log_init(struct log *l, enum log_level level,
	      void (*sink)(void *ctx, enum log_level level, const char *line), void *ctx);
/* Writes a line, cut to 999 bytes. A NULL log drops everything. */
void log_line(struct log *l, enum log_level level, const char *fmt, ...) PRINTF_LIKE(3, 4);
/*
 * As log_line, but drops lines beyond the limit, whose bucket the caller has initialised; their
 * number is logged before the next line that passes. For lines that somebody can cause at will.
 */
void log_limited(struct log *l, struct log_limit *limit, nsec_t now, enum log_level level,
		 const char *fmt, ...) PRINTF_LIKE(5, 6);

/* As log_limited, of a line that somebody has asked for: it passes whatever the level of the log.
 */
void log_asked(struct log *l, struct log_limit *limit, nsec_t now, enum log_level level,
	       const char *fmt, ...) PRINTF_LIKE(5, 6);

/*
 * For lines that an unauthenticated outsider can cause: at most 5 per second, with a burst of 20.
 */
#define log_outsider(l, now, level, ...) log_limited(l, &(l)->outsider, now, level, __VA_ARGS__)
#define log_error(l, ...)		 log_line(l, LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(l, ...)		 log_line(l, LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(l, ...)		 log_line(l, LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(l, ...)		 log_line(l, LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
