/* cures_cell.c - see cures_cell.h. SPDX-License-Identifier: ISC */
#include "cures_cell.h"
#include "xalloc.h"

#include <math.h>

#define LOOK	 (50 * MSEC)
#define IKE_CALM (700 * MSEC) /* longer than the first retransmission timeout */
#define DRAIN	 (20 * MSEC)
#define LIST_MAX 16

const struct cure cures[CURES] = {
	{"none", WINDOW_USUAL, CURE_BRANCH, "off", NULL, NULL, "off", 300 * MSEC},
	{"wide", WINDOW_WIDE, CURE_BRANCH, "off", NULL, NULL, "off", 300 * MSEC},
	{"unprotected", 0, CURE_BRANCH, "off", NULL, NULL, "off", 300 * MSEC},
	{"gateway", WINDOW_USUAL, CURE_GATEWAY_REKEYS, "off", NULL, NULL, "off", 300 * MSEC},
	{"count", WINDOW_USUAL, CURE_BRANCH, "pattern", "64", "86400s", "off", 300 * MSEC},
	{"time", WINDOW_USUAL, CURE_BRANCH, "pattern", "1000000", "1s", "off", 1300 * MSEC},
	{"proof", WINDOW_USUAL, CURE_BRANCH, "proof", NULL, NULL, "off", 300 * MSEC},
	{"bridge", WINDOW_USUAL, CURE_BRANCH, "proof", NULL, NULL, "on", 300 * MSEC},
};

/* ---- options ---- */

static bool has_bridge(void)
{
	struct tunnel_options o;
	char err[OPTION_ERR];

	tunnel_options_default(&o);
	return tunnel_options_set(&o, "bridge", "on", err) == 0;
}

bool cure_available(const struct cure *c)
{
	return strcmp(c->bridge, "on") != 0 || has_bridge();
}

static void set(struct tunnel_options *o, const char *name, const char *value)
{
	char err[OPTION_ERR];

	if (value && tunnel_options_set(o, name, value, err) < 0)
		die("%s", err);
}

void cure_apply(const struct world *w, const struct cure *c)
{
	struct tunnel_options o;
	char err[OPTION_ERR];

	tunnel_options_default(&o);
	set(&o, "detect", c->detect);
	set(&o, "packets", c->packets);
	set(&o, "interval", c->interval);
	if (has_bridge())
		set(&o, "bridge", c->bridge);
	for (uint32_t i = 0; i < w->count; i++) {
		if (tunnel_child_apply(branch_child(&w->branches[i]), &o, err, w->now) < 0)
			die("%s: %s", c->name, err);
	}
}

/* ---- the switchover ---- */

/* Returns how many of the first `ticks` packets were for the branch. */
static uint64_t share(uint64_t ticks, uint32_t index, uint32_t active)
{
	return (ticks + active - 1 - index) / active;
}

/*
 * Sets the sequence number of each SA of the gateway back to that of `age` seconds ago, but not its
 * IVs. Returns the sum by which they went back.
 */
static uint64_t rewind_all(struct world *w, double age)
{
	uint64_t ticks = (uint64_t)llround(age * ORIGINAL_RATE), all = 0;

	for (uint32_t i = 0; i < w->count; i++) {
		struct branch *b = &w->branches[i];
		struct esp_sa *sa = branch_gateway_sa(b);
		uint64_t by = 0;

		if (i < w->active)
			by = share(w->ticks, i, w->active) - share(w->ticks - ticks, i, w->active);
		if (!sa || sa->out.number < 2 * by)
			die("tunnel %u has not sent enough", i);
		sa->out.number -= by;
		all += by;
		b->mark = b->sent;
		b->delivered = b->in_a_row = 0;
		b->flows_since = 0;
		b->rekeys_before = branch_child(b)->rekeys;
		b->ike_up = 0;
	}
	w->switched = w->now;
	w->gw.cpu = 0;
	return all;
}

static void gateway_rekeys_all(struct world *w)
{
	gateway_enter(&w->gw);
	for (uint32_t i = 0; i < w->count; i++) {
		const struct esp_sa *sa = branch_gateway_sa(&w->branches[i]);

		if (sa)
			tunnel_child_rekey(((struct tunnel_sa *)sa->owner)->child, w->gw.began);
	}
	gateway_leave(&w->gw);
}

/* Whether the branch has received three packets in a row, the last one recently. */
static bool flows(const struct world *w, const struct branch *b)
{
	nsec_t apart = SEC * w->active / w->rate;

	return b->last > b->mark && b->in_a_row >= 3 && w->now - b->last_at <= apart + 3 * MSEC;
}

static bool settled(const struct world *w, const struct cure *c)
{
	nsec_t last = max_u64(w->gw.last_ike, w->gw.busy_until);

	if (w->now - w->switched < c->at_least || w->gw.in_count)
		return false;
	if (last > w->switched && (last > w->now || w->now - last < IKE_CALM))
		return false;
	for (uint32_t i = 0; i < w->active; i++) {
		if (!flows(w, &w->branches[i]))
			return false;
	}
	return true;
}

/* ---- results ---- */

/* Returns how many packets the gateway must send until its number is new to the branch. */
static uint64_t still_old(const struct branch *b)
{
	const struct esp_sa *in = branch_sa(b), *out = branch_gateway_sa(b);

	return in && out && in->in.window.top > out->out.number
		       ? in->in.window.top - out->out.number
		       : 0;
}

static void of_branch(const struct world *w, const struct branch *b, bool is_well, nsec_t end,
		      struct result *r)
{
	uint64_t lost = b->sent - b->mark - min_u64(b->delivered, b->sent - b->mark);
	uint64_t left = is_well ? 0 : still_old(b);
	double at = 0;

	r->within += lost;
	r->lost += lost + left;
	r->worst = max_u64(r->worst, lost + left);
	if (!is_well)
		at = (double)(end - w->switched) / SEC + (double)left * w->active / w->rate;
	else if (lost)
		at = (double)(b->flows_since - w->switched) / SEC;
	r->last_s = at > r->last_s ? at : r->last_s;
	r->ended &= is_well;
}

static uint32_t peak_requests(const struct gateway *g)
{
	uint64_t sum = 0, most = 0;

	for (uint32_t i = 0; i < g->bins; i++) {
		sum += g->requests[i];
		if (i >= REQUEST_BINS)
			sum -= g->requests[i - REQUEST_BINS];
		most = max_u64(most, sum);
	}
	return (uint32_t)most;
}

static void totals(const struct world *w, struct result *r)
{
	for (uint32_t i = 0; i < w->count; i++) {
		const struct branch *b = &w->branches[i];

		r->rekeys += branch_child(b)->rekeys - b->rekeys_before;
		r->ike_up += b->ike_up;
		r->twice += b->twice;
	}
	r->peak = peak_requests(&w->gw);
	r->cpu_s = (double)w->gw.cpu / SEC;
}

struct result cure_measure(struct world *w, const struct cure *c, double age, double limit_s)
{
	struct result r = {.ended = true, .rewound = rewind_all(w, age)};
	nsec_t limit = w->now + (nsec_t)(limit_s * SEC), end;
	bool *well = xzalloc(w->active);

	if (w->recorder)
		recorder_begin(w->recorder, w->now);
	if (c->kind == CURE_GATEWAY_REKEYS)
		gateway_rekeys_all(w);
	while (!settled(w, c) && w->now < limit)
		world_run(w, min_u64(LOOK, limit - w->now));
	if (w->recorder) {
		recorder_again(w->recorder, w->now);
		world_run(w, 250 * MSEC);
	}
	for (uint32_t i = 0; i < w->active; i++)
		well[i] = flows(w, &w->branches[i]);
	end = w->now;
	world_silence(w);
	world_run(w, DRAIN);
	for (uint32_t i = 0; i < w->active; i++)
		of_branch(w, &w->branches[i], well[i], end, &r);
	totals(w, &r);
	r.ran_s = (double)(end - w->switched) / SEC;
	free(well);
	return r;
}
