/*
 * options.h - what is configured for a child beyond IKE: detection, gate, history.
 * SPDX-License-Identifier: ISC
 */
#ifndef MENDIP_OPTIONS_H
#define MENDIP_OPTIONS_H

#include "detector.h"

struct tunnel_options {
	struct detector_config detect;
	uint32_t max_rekeys; /* 1 to 16, within `per` */
	nsec_t per, quiet;   /* quiet: how long evidence is then ignored */
	nsec_t jitter;
	uint64_t history_packets;
	uint32_t verify_rate;
	nsec_t older_sa_grace, retired_time;
	bool bridge; /* deliver what a rewound sender seals until the rekey (doc/recovery.md 7) */
	nsec_t silent_rekey; /* rekey when only we have sent for this long; 0: never */
};

#define OPTION_ERR 160

void tunnel_options_default(struct tunnel_options *o);
/*
 * Sets the option `name` of the switchover group from text ("64", "1s", "2M", "proof"). On -EINVAL
 * err (OPTION_ERR bytes) says what is wrong and what would be right; o is untouched.
 */
int tunnel_options_set(struct tunnel_options *o, const char *name, const char *value,
		       char *err) MUST_CHECK;
bool tunnel_options_equal(const struct tunnel_options *a, const struct tunnel_options *b);
/* Why the option of that name was removed, and what to do; NULL: none of that name was. */
const char *tunnel_options_gone(const char *name);
/* Checks options against each other. rekey_time: the child's, 0 for never. -EINVAL with err. */
int tunnel_options_check(const struct tunnel_options *o, nsec_t rekey_time, char *err) MUST_CHECK;
/* Calls each(ctx, name, value) for all options in the order of the manual. */
void tunnel_options_each(const struct tunnel_options *o,
			 void (*each)(void *ctx, const char *name, const char *value), void *ctx);

/* "1s", "100ms", "4h", "2m", "1d", or a number of seconds. -EINVAL otherwise, or above 10 years. */
int parse_time(const char *s, nsec_t *ret) MUST_CHECK;
/* "256M", "64K", "2G", "1000": powers of 1,024, or of 1,000 when decimal is set. */
int parse_size(const char *s, bool decimal, uint64_t *ret) MUST_CHECK;
/* The shortest exact form, into s of 32 bytes. */
const char *format_time(nsec_t t, char *s);

#endif
