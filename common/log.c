/* log.c - see log.h. SPDX-License-Identifier: ISC */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_MAX_LEN 1000

static const char *const level_names[] = {"error", "warning", "info", "debug"};

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

int log_level_parse(const char *s, enum log_level *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (strcmp(s, level_names[i]) == 0) {
			*ret = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

void log_init(struct log *l, enum log_level level,
	      void (*sink)(void *ctx, enum log_level level, const char *line), void *ctx)
{
	*l = (struct log){.level = level, .sink = sink, .ctx = ctx};
	bucket_init(&l->outsider.bucket, 5, 20);
}

static void emit(struct log *l, enum log_level level, const char *fmt, va_list ap)
{
	char line[LINE_MAX_LEN];

	vsnprintf(line, sizeof(line), fmt, ap);
	for (char *c = line; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
	l->sink(l->ctx, level, line);
}

void log_line(struct log *l, enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (!l || !l->sink || level > l->level)
		return;
	va_start(ap, fmt);
	emit(l, level, fmt, ap);
	va_end(ap);
}

static void emit_text(struct log *l, enum log_level level, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void emit_text(struct log *l, enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(l, level, fmt, ap);
	va_end(ap);
}

static void emit_limited(struct log *l, struct log_limit *limit, nsec_t now, enum log_level level,
			 const char *fmt, va_list ap)
{
	if (!bucket_take(&limit->bucket, now)) {
		limit->suppressed++;
		return;
	}
	if (limit->suppressed)
		emit_text(l, level, "%llu similar lines suppressed",
			  (unsigned long long)limit->suppressed);
	limit->suppressed = 0;
	emit(l, level, fmt, ap);
}

void log_limited(struct log *l, struct log_limit *limit, nsec_t now, enum log_level level,
		 const char *fmt, ...)
{
	va_list ap;

	if (!l || !l->sink || level > l->level)
		return;
	va_start(ap, fmt);
	emit_limited(l, limit, now, level, fmt, ap);
	va_end(ap);
}

void log_asked(struct log *l, struct log_limit *limit, nsec_t now, enum log_level level,
	       const char *fmt, ...)
{
	va_list ap;

	if (!l || !l->sink)
		return;
	va_start(ap, fmt);
	emit_limited(l, limit, now, level, fmt, ap);
	va_end(ap);
}
