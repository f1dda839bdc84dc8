/*
 * cures_recorder.c - an attacker without keys that records ESP packets and re-sends them.
 * SPDX-License-Identifier: ISC
 *
 * It keeps the same number of packets of each active branch from before the switchover, spread
 * evenly over all packets sent, and from right after it. It re-sends the former within 200 ms from
 * 5 ms after the switchover on, the latter within 50 ms from 30 ms after it on, and all of them
 * once more at the end.
 */
#include "cures_world.h"
#include "xalloc.h"

#define KEPT	    4096 /* packets of all branches, before and after the switchover */
#define OF_EACH_MAX 64	 /* packets of one branch, before and after the switchover */
#define PASSES	    3

struct kept {
	struct branch *b;
	uint32_t len;
	uint8_t p[ESP_LEN_MAX];
};

/* Re-sends packets [from, to) of `kept`, one after the other within `length` from `start` on. */
struct pass {
	nsec_t start, length;
	uint32_t from, to, next;
};

struct recorder {
	struct kept *kept;
	uint32_t count, room, of_each;
	uint64_t before; /* packets of one branch before the switchover */
	bool after;
	struct pass pass[PASSES];
	uint64_t resent;
};

struct recorder *recorder_new(uint32_t active, uint64_t before)
{
	struct recorder *r = xzalloc(sizeof(*r));

	r->of_each = (uint32_t)max_u64(1, min_u64(OF_EACH_MAX, KEPT / active) / 2);
	r->before = max_u64(before, 1);
	r->room = (r->of_each + 1) * active * 2;
	r->kept = xzalloc(r->room * sizeof(*r->kept));
	return r;
}

/*
 * Whether to keep the packet just sent to the branch: before the switchover, one of those spread
 * evenly; after it, one of the first.
 */
static bool wants(const struct recorder *r, const struct branch *b)
{
	if (r->after)
		return b->sent - b->mark <= r->of_each;
	return b->sent * r->of_each / r->before != (b->sent - 1) * r->of_each / r->before;
}

void recorder_sees(struct recorder *r, struct branch *b, const uint8_t *p, uint32_t len)
{
	struct kept *k;

	if (r->count == r->room || len > ESP_LEN_MAX || !wants(r, b))
		return;
	k = &r->kept[r->count++];
	k->b = b;
	k->len = len;
	memcpy(k->p, p, len);
}

void recorder_begin(struct recorder *r, nsec_t now)
{
	r->after = true;
	r->pass[0] = (struct pass){
		.start = now + 5 * MSEC, .length = 200 * MSEC, .to = r->count, .next = 0};
	r->pass[1] = (struct pass){.start = now + 30 * MSEC,
				   .length = 50 * MSEC,
				   .from = r->count,
				   .to = r->room,
				   .next = r->count};
}

void recorder_again(struct recorder *r, nsec_t now)
{
	r->pass[2] = (struct pass){.start = now, .length = 200 * MSEC, .to = r->count};
}

static nsec_t pass_next(const struct recorder *r, const struct pass *p)
{
	uint32_t to = (uint32_t)min_u64(p->to, r->count);

	if (p->next >= to)
		return NSEC_NEVER;
	return p->start + p->length * (p->next - p->from) / (to - p->from);
}

nsec_t recorder_next(const struct recorder *r)
{
	nsec_t t = NSEC_NEVER;

	for (unsigned i = 0; i < PASSES; i++)
		t = min_u64(t, pass_next(r, &r->pass[i]));
	return t;
}

void recorder_turn(struct recorder *r, struct world *w)
{
	for (unsigned i = 0; i < PASSES; i++) {
		struct pass *p = &r->pass[i];

		while (pass_next(r, p) <= w->now) {
			const struct kept *k = &r->kept[p->next++];

			r->resent++;
			branch_esp(k->b, k->p, k->len);
		}
	}
}

uint64_t recorder_resent(const struct recorder *r)
{
	return r->resent;
}
