/* expiry_text.h - when a certificate ends, in words. SPDX-License-Identifier: ISC */
#ifndef MENDIP_EXPIRY_TEXT_H
#define MENDIP_EXPIRY_TEXT_H

#include "base.h"

#define EXPIRY_WARNING \
	(30 * 86400) /* seconds before its end, from which on a certificate is told */
#define EXPIRY_STRLEN 64

/*
 * "ends in 10 days", "ended 5 hours ago". left: seconds to its end; negative: it has ended. Returns
 * s, which has EXPIRY_STRLEN bytes.
 */
const char *expiry_words(int64_t left, char *s);

#endif
