/* cures_gateway.c - the gateway, whose work for IKE takes time. SPDX-License-Identifier: ISC */
#include "cures_world.h"
#include "xalloc.h"

#include <time.h>

#define GATEWAY_HISTORY (256u << 20)
#define GATEWAY_HOST	0xffff
#define IKE_RESPONSE	0x20 /* flag in byte 19 of a message */

static uint64_t cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * SEC + (uint64_t)t.tv_nsec;
}

void gateway_enter(struct gateway *g)
{
	g->began = max_u64(g->w->now, g->busy_until);
	g->cpu_began = cpu_now();
}

void gateway_leave(struct gateway *g)
{
	uint64_t took;

	tunnel_turn(g->tunnel, g->began);
	took = cpu_now() - g->cpu_began;
	g->cpu += took;
	g->busy_until = g->began + took;
}

static void count_request(struct gateway *g, const uint8_t *p, size_t len, nsec_t at)
{
	uint64_t bin = (at - g->w->switched) * REQUEST_BINS / SEC;

	g->last_ike = at;
	if (!g->w->switched || len < 20 || p[19] & IKE_RESPONSE)
		return;
	if (bin >= g->bins) {
		g->requests = xreallocarray(g->requests, bin * 2 + 256, sizeof(*g->requests));
		memset(g->requests + g->bins, 0, (bin * 2 + 256 - g->bins) * sizeof(*g->requests));
		g->bins = (uint32_t)bin * 2 + 256;
	}
	g->requests[bin]++;
}

static uint32_t branch_at(const struct addr *a)
{
	return (get_be32(a->b) & 0xffff) - 1;
}

/* No certificates here. */
static int64_t op_wall_clock(void *ctx)
{
	(void)ctx;
	return 0;
}

static int gateway_send(void *ctx, const struct endpoint *local, const struct endpoint *remote,
			const uint8_t *p, size_t len)
{
	struct gateway *g = ctx;
	struct endpoint from = g->address;
	nsec_t at = g->began + (cpu_now() - g->cpu_began);

	from.port = local->port;
	count_request(g, p, len, at);
	transmit(g->w, branch_at(&remote->addr), false, &from, remote, at, p, len);
	return 0;
}

void gateway_ike(struct gateway *g, struct datagram *d)
{
	count_request(g, d->p, d->len, g->w->now);
	if (g->in_head + g->in_count == g->in_room) {
		if (g->in_head > g->in_room / 2) {
			memmove(g->inbox, g->inbox + g->in_head, g->in_count * sizeof(*g->inbox));
			g->in_head = 0;
		} else {
			g->in_room = g->in_room ? g->in_room * 2 : 256;
			g->inbox = xreallocarray(g->inbox, g->in_room, sizeof(*g->inbox));
		}
	}
	g->inbox[g->in_head + g->in_count++] = d;
}

nsec_t gateway_next(const struct gateway *g)
{
	nsec_t at = g->in_count ? 0 : tunnel_next_deadline(g->tunnel);

	return at == NSEC_NEVER ? at : max_u64(at, g->busy_until);
}

void gateway_turn(struct gateway *g)
{
	struct datagram *d;
	struct endpoint local = g->address;

	gateway_enter(g);
	if (g->in_count) {
		d = g->inbox[g->in_head++];
		if (--g->in_count == 0)
			g->in_head = 0;
		local.port = d->dest.port;
		tunnel_receive_ike(g->tunnel, &local, &d->from, d->p, d->len, g->began);
		free(d);
	}
	gateway_leave(g);
}

/*
 * The ESP packets to the gateway are the dummy packets that a branch sends on a new SA, which show
 * the gateway that the branch has it.
 */
void gateway_esp(struct gateway *g, struct datagram *d)
{
	uint8_t out[2048];
	struct esp_in in = {.base = d->p, .len = d->len, .seg = (uint16_t)d->len, .from = d->from};
	struct pkt_super super;

	pkt_super_init(&super, out, sizeof(out), 0);
	gateway_enter(g);
	while (esp_open(g->tunnel->path, &in, &super, g->began) == ESP_FULL)
		pkt_super_reset(&super);
	gateway_leave(g);
}

/* Sends a dummy packet on a new SA; the branch, which sends no traffic, does not need it. */
static void gateway_dummy(void *ctx, struct esp_sa *sa)
{
	struct gateway *g = ctx;
	struct endpoint from = g->address;
	uint8_t buf[256];
	struct esp_train t;

	from.port = IKE_PORT_NATT;
	esp_train_init(&t, buf, sizeof(buf));
	esp_seal_dummy(g->tunnel->path, sa, &t, g->began);
	esp_train_finish(g->tunnel->path, &t);
	transmit(g->w, branch_at(&t.dest.remote.addr), true, &from, &t.dest.remote,
		 g->began + (cpu_now() - g->cpu_began), t.base, t.len);
}

static void ignore_config(void *ctx, const struct conn_conf *conf, uint16_t device,
			  const struct cp_config *config, bool add)
{
	(void)ctx, (void)conf, (void)device, (void)config, (void)add;
}

static void gateway_event(void *ctx, enum tunnel_event_kind kind, const struct tunnel_conn *conn,
			  const struct tunnel_child *child, const char *text)
{
	(void)ctx, (void)kind, (void)conn, (void)child, (void)text;
}

void gateway_init(struct world *w, uint32_t window, const struct ike_settings *set)
{
	struct gateway *g = &w->gw;
	const struct tunnel_ops ops = {.ctx = g,
				       .send = gateway_send,
				       .wall_clock = op_wall_clock,
				       .dummy = gateway_dummy,
				       .route = world_no_route,
				       .config = ignore_config,
				       .event = gateway_event};

	g->w = w;
	g->address = host_endpoint(GATEWAY_HOST);
	seeded_init(&g->rng, w->seed * 3 + 1);
	g->tunnel = tunnel_new(&ops, set, GATEWAY_HISTORY, &g->rng.rng, &w->log);
	g->conf = conf_of_gateway(window);
	conf_use(g->tunnel, g->conf, w->now);
}
