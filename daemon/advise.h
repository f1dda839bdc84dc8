/* advise.h - what a switchover costs without recovery, and which thresholds fit.
 * SPDX-License-Identifier: ISC */
#ifndef MENDIP_ADVISE_H
#define MENDIP_ADVISE_H

#include "base.h"

struct advice_in {
	nsec_t sync_interval; /* between two syncs of the gateway pair; in whole milliseconds */
	uint64_t rate;	      /* packets per second in each tunnel */
	uint64_t tunnels;
};

struct advice {
	uint64_t lost_each;	  /* packets per tunnel, worst case: sync_interval x rate */
	uint64_t lost_all;	  /* packets, in all tunnels */
	nsec_t outage;		  /* until the sequence numbers have caught up at this rate */
	uint64_t history_packets; /* to cover a rewind of lost_each; a multiple of HISTORY_BLOCK */
	uint32_t packets;     /* for detection by pattern: well above the effect of reordering */
	nsec_t interval;      /* for detection by pattern */
	uint64_t memory_each; /* bytes of history per tunnel */
};

/*
 * Returns 0 and fills *ret. -EINVAL when a value is zero, the interval is below 1 ms, a product
 * would overflow, or more than 2^32 packets pass in an interval.
 */
int advise(const struct advice_in *in, struct advice *ret) MUST_CHECK;

#endif
