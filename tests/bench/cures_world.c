/* cures_world.c - see cures_world.h. SPDX-License-Identifier: ISC */
#include "cures_world.h"
#include "xalloc.h"

#include <stdarg.h>
#include <stdio.h>

#define INNER_LEN 60
#define UP_LIMIT  (10 * SEC)

void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("cures_sim: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

/* ---- addresses ---- */

struct endpoint host_endpoint(uint32_t host)
{
	uint8_t a[4] = {198, 18, (uint8_t)(host >> 8), (uint8_t)host};

	return (struct endpoint){.addr = addr_from_bytes(FAMILY_IPV4, a), .port = IKE_PORT};
}

void world_no_route(void *ctx, uint16_t device, const struct ts_list *local,
		    const struct ts_list *remote, bool add)
{
	(void)ctx, (void)device, (void)local, (void)remote, (void)add;
}

/* ---- traffic ---- */

static nsec_t traffic_next(const struct world *w)
{
	return w->sending ? w->traffic_from + (w->ticks - w->ticks_from) * SEC / w->rate
			  : NSEC_NEVER;
}

static void inner_build(uint8_t p[INNER_LEN], uint32_t index, uint64_t serial)
{
	memset(p, 0, INNER_LEN);
	p[0] = 0x45;
	put_be16(p + 2, INNER_LEN);
	p[8] = 64;
	p[9] = PROTO_UDP;
	memcpy(p + 12, (const uint8_t[]){10, 2, 0, 1}, 4);
	inner_address(index, p + 16);
	put_be16(p + 20, 1000);
	put_be16(p + 22, 2000);
	put_be16(p + 24, INNER_LEN - 20);
	put_be64(p + SERIAL_AT, serial);
}

/* Sends one packet from the gateway's net to the next active branch. */
static void traffic_turn(struct world *w)
{
	struct branch *b = &w->branches[w->ticks++ % w->active];
	struct gateway *g = &w->gw;
	struct endpoint from = g->address;
	uint8_t inner[INNER_LEN];
	struct esp_out out;

	inner_build(inner, b->index, ++b->sent);
	esp_out_init(&out, inner, INNER_LEN, 0);
	if (esp_route(g->tunnel->path, &out, w->now) != ESP_ROUTE_SEAL)
		return;
	esp_train_reset(&w->train);
	esp_seal(g->tunnel->path, &out, &w->train, w->now);
	esp_train_finish(g->tunnel->path, &w->train);
	if (w->train.len == 0)
		return;
	from.port = IKE_PORT_NATT;
	transmit(w, b->index, true, &from, &w->train.dest.remote, w->now, w->train.base,
		 w->train.len);
	if (w->recorder)
		recorder_sees(w->recorder, b, w->train.base, w->train.len);
}

void world_traffic(struct world *w, uint32_t active, uint32_t rate)
{
	w->active = active;
	w->rate = rate;
	w->sending = true;
	w->traffic_from = w->now;
	w->ticks_from = w->ticks;
}

void world_silence(struct world *w)
{
	w->sending = false;
}

/* ---- time ---- */

static void deliver(struct world *w, struct datagram *d)
{
	if (d->to == TO_GATEWAY && !d->esp) {
		/* A keepalive, of one byte, is ignored. */
		if (d->len > 1)
			gateway_ike(&w->gw, d);
		else
			free(d);
		return;
	}
	if (d->to == TO_GATEWAY)
		gateway_esp(&w->gw, d);
	else if (d->to < w->count && d->esp)
		branch_esp(&w->branches[d->to], d->p, d->len);
	else if (d->to < w->count)
		branch_ike(&w->branches[d->to], d);
	free(d);
}

static nsec_t next_event(const struct world *w)
{
	nsec_t t = w->wire.count ? w->wire.v[0]->at : NSEC_NEVER;

	t = min_u64(t, deadline_next(&w->timers));
	t = min_u64(t, gateway_next(&w->gw));
	t = min_u64(t, traffic_next(w));
	if (w->recorder)
		t = min_u64(t, recorder_next(w->recorder));
	return max_u64(t, w->now);
}

static void step(struct world *w)
{
	while (w->wire.count && w->wire.v[0]->at <= w->now)
		deliver(w, wire_take(&w->wire));
	if (gateway_next(&w->gw) <= w->now)
		gateway_turn(&w->gw);
	deadlines_run(&w->timers, w->now);
	if (w->recorder && recorder_next(w->recorder) <= w->now)
		recorder_turn(w->recorder, w);
	if (traffic_next(w) <= w->now)
		traffic_turn(w);
}

void world_run(struct world *w, nsec_t time)
{
	nsec_t end = w->now + time, next;

	while ((next = next_event(w)) <= end) {
		w->now = next;
		step(w);
	}
	w->now = end;
}

void world_run_ticks(struct world *w, uint64_t ticks)
{
	uint64_t end = w->ticks + ticks;

	while (w->ticks < end) {
		w->now = next_event(w);
		step(w);
	}
}

/* ---- start ---- */

static void to_stderr(void *ctx, enum log_level level, const char *line)
{
	(void)ctx, (void)level;
	fprintf(stderr, "cures_sim: %s\n", line);
}

struct world *world_new(uint32_t count, uint32_t window, uint64_t seed)
{
	struct world *w = xzalloc(sizeof(*w));
	struct ike_settings set;

	w->now = SEC;
	w->seed = seed;
	w->count = count;
	log_init(&w->log, LOG_LEVEL_ERROR, to_stderr, w);
	deadlines_init(&w->timers);
	esp_train_init(&w->train, w->train_buf, sizeof(w->train_buf));
	ike_settings_default(&set);
	set.keepalive = 86400 * SEC;
	w->branches = xzalloc(count * sizeof(*w->branches));
	gateway_init(w, window, &set);
	for (uint32_t i = 0; i < count; i++)
		branch_init(w, i, window, &set);
	return w;
}

void world_bring_up(struct world *w)
{
	for (uint32_t i = 0; i < w->count; i++) {
		struct branch *b = &w->branches[i];
		nsec_t end = w->now + UP_LIMIT;

		conf_use(b->tunnel, b->conf, w->now);
		branch_turn(b);
		while (!branch_gateway_sa(b) && w->now < end) {
			w->now = next_event(w);
			step(w);
		}
		if (!branch_gateway_sa(b))
			die("tunnel %u of %u does not come up", i, w->count);
	}
	world_run(w, SEC);
}

void world_reseed(struct world *w, uint64_t seed)
{
	seeded_init(&w->gw.rng, seed * 7 + 5);
	for (uint32_t i = 0; i < w->count; i++)
		seeded_init(&w->branches[i].rng, seed * 1000003 + i);
}
