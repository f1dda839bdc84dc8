/* advise.h - what a switchover costs without recovery, and which thresholds fit.
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_ADVISE_H
#define MENDIP_ADVISE_H

#include "base.h"

struct advice_in {
	nsec_t sync_interval; /* of the gateway pair */
	uint64_t rate;	      /* packets a second for each tunnel */
	uint64_t tunnels;
};

struct advice {
	uint64_t lost_each; /* packets, worst case: sync_interval x rate */
	uint64_t lost_all;
	nsec_t outage;		  /* until the numbers have caught up, at this rate */
	uint64_t history_packets; /* that reach a rewind of that size, a power of two */
	uint32_t packets;	  /* for `pattern`: well above what reordering makes */
	nsec_t interval;
	uint64_t memory_each; /* bytes of history for each tunnel */
};

/* -EINVAL when a product would overflow, or a value is zero. */
int advise(const struct advice_in *in, struct advice *ret) MUST_CHECK;

#endif
