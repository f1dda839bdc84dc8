/* advise.c - see advise.h. SPDX-License-Identifier: ISC */
#include "advise.h"
#include "history.h"

#define HISTORY_MIN 65536ULL
#define HISTORY_MAX (1ULL << 32)
#define INTERVALS_OF_DATA \
	100 /* packets that `interval` should span, so that a short silence is no hint */

static uint64_t between(uint64_t v, uint64_t lo, uint64_t hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

int advise(const struct advice_in *in, struct advice *ret)
{
	struct advice a = {0};
	uint64_t millis = in->sync_interval / NSEC_PER_MSEC;

	if (in->rate == 0 || in->tunnels == 0 || millis == 0 || millis > UINT64_MAX / in->rate)
		return -EINVAL;
	a.lost_each = (millis * in->rate + 999) / 1000;
	if (a.lost_each > UINT64_MAX / in->tunnels || a.lost_each > HISTORY_MAX)
		return -EINVAL;
	a.lost_all = a.lost_each * in->tunnels;
	a.outage = in->sync_interval;
	/* A quarter more, as a sync may be late; rounded up to whole blocks. */
	a.history_packets = between(a.lost_each + a.lost_each / 4, HISTORY_MIN, HISTORY_MAX);
	a.history_packets += -a.history_packets % HISTORY_BLOCK;
	a.memory_each = a.history_packets * sizeof(struct near_entry) +
			HISTORY_LIFETIME_MAX * sizeof(struct life_entry);
	a.packets = 64;
	a.interval = between(INTERVALS_OF_DATA * NSEC_PER_SEC / in->rate, NSEC_PER_SEC,
			     3600 * NSEC_PER_SEC);
	*ret = a;
	return 0;
}
