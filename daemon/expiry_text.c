/* expiry_text.c - see expiry_text.h. SPDX-License-Identifier: ISC */
#include "expiry_text.h"

#include <stdio.h>

#define HOUR 3600
#define DAY  86400

const char *expiry_words(int64_t left, char *s)
{
	const char *begin = left < 0 ? "ended" : "ends in", *end = left < 0 ? " ago" : "";
	long long t = left < 0 ? -left : left;

	if (t < HOUR)
		snprintf(s, EXPIRY_STRLEN, "%s less than an hour%s", begin, end);
	else if (t < 2 * DAY)
		snprintf(s, EXPIRY_STRLEN, "%s %lld hour%s%s", begin, t / HOUR,
			 t < 2 * HOUR ? "" : "s", end);
	else
		snprintf(s, EXPIRY_STRLEN, "%s %lld days%s", begin, t / DAY, end);
	return s;
}
