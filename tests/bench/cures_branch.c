/* cures_branch.c - a branch: a peer that counts what it receives. SPDX-License-Identifier: ISC */
#include "cures_world.h"
#include "xalloc.h"

#define BRANCH_HISTORY (32u << 20)

void branch_turn(struct branch *b)
{
	nsec_t next = tunnel_next_deadline(b->tunnel);

	if (next <= b->w->now) {
		tunnel_turn(b->tunnel, b->w->now);
		next = tunnel_next_deadline(b->tunnel);
	}
	if (next != (deadline_is_set(&b->timer) ? b->timer.at : NSEC_NEVER))
		deadline_set(&b->w->timers, &b->timer, next);
}

/* No certificates here. */
static int64_t op_wall_clock(void *ctx)
{
	(void)ctx;
	return 0;
}

static int branch_send(void *ctx, const struct endpoint *local, const struct endpoint *remote,
		       const uint8_t *p, size_t len)
{
	struct branch *b = ctx;
	struct endpoint from = b->address;

	from.port = local->port;
	transmit(b->w, TO_GATEWAY, false, &from, remote, b->w->now, p, len);
	return 0;
}

static void account(struct branch *b, uint64_t serial)
{
	uint64_t word = serial / 64, bit = 1ULL << (serial % 64);

	if (word >= b->seen_words) {
		uint64_t words = word * 2 + 16;

		b->seen = xreallocarray(b->seen, words, sizeof(*b->seen));
		memset(b->seen + b->seen_words, 0, (words - b->seen_words) * sizeof(*b->seen));
		b->seen_words = words;
	}
	if (b->seen[word] & bit) {
		b->twice++;
		return;
	}
	b->seen[word] |= bit;
	b->last_at = b->w->now;
	b->in_a_row = serial == b->last + 1 ? b->in_a_row + 1 : 1;
	if (serial != b->last + 1)
		b->flows_since = b->w->now;
	b->last = max_u64(b->last, serial);
	b->delivered += serial > b->mark;
}

void branch_esp(struct branch *b, const uint8_t *p, uint32_t len)
{
	uint8_t buf[ESP_LEN_MAX], out[2048];
	struct esp_in in = {.base = buf, .len = len, .seg = (uint16_t)len};
	struct pkt_super super;
	enum esp_step step;

	in.from = b->w->gw.address;
	in.from.port = IKE_PORT_NATT;
	memcpy(buf, p, len);
	pkt_super_init(&super, out, sizeof(out), 0);
	do {
		step = esp_open(b->tunnel->path, &in, &super, b->w->now);
		if (super.len)
			account(b, get_be64(out + SERIAL_AT));
		pkt_super_reset(&super);
	} while (step == ESP_FULL);
	branch_turn(b);
}

void branch_ike(struct branch *b, const struct datagram *d)
{
	struct endpoint local = b->address;

	local.port = d->dest.port;
	tunnel_receive_ike(b->tunnel, &local, &d->from, d->p, d->len, b->w->now);
	branch_turn(b);
}

struct tunnel_child *branch_child(const struct branch *b)
{
	return tunnel_find_child(b->tunnel, "net");
}

struct esp_sa *branch_sa(const struct branch *b)
{
	struct tunnel_child *k = branch_child(b);

	return k && k->current ? tunnel_sa_esp(k->current) : NULL;
}

struct esp_sa *branch_gateway_sa(const struct branch *b)
{
	const struct esp_sa *sa = branch_sa(b);

	return sa ? sad_find(&b->w->gw.tunnel->path->sad, sa->out.spi) : NULL;
}

static void branch_dummy(void *ctx, struct esp_sa *sa)
{
	struct branch *b = ctx;
	struct endpoint from = b->address;
	uint8_t buf[256];
	struct esp_train t;

	from.port = IKE_PORT_NATT;
	esp_train_init(&t, buf, sizeof(buf));
	esp_seal_dummy(b->tunnel->path, sa, &t, b->w->now);
	esp_train_finish(b->tunnel->path, &t);
	transmit(b->w, TO_GATEWAY, true, &from, &t.dest.remote, b->w->now, t.base, t.len);
}

static void branch_event(void *ctx, enum tunnel_event_kind kind, const struct tunnel_conn *conn,
			 const struct tunnel_child *child, const char *text)
{
	struct branch *b = ctx;

	(void)conn, (void)child;
	b->ike_up += kind == TUNNEL_EVENT_CONN && strstr(text, "established") != NULL;
}

static void ignore_config(void *ctx, const struct conn_conf *conf, uint16_t device,
			  const struct cp_config *config, bool add)
{
	(void)ctx, (void)conf, (void)device, (void)config, (void)add;
}

static void branch_due(struct deadline *d, nsec_t now)
{
	(void)now;
	branch_turn(container_of(d, struct branch, timer));
}

void branch_init(struct world *w, uint32_t i, uint32_t window, const struct ike_settings *set)
{
	struct branch *b = &w->branches[i];
	const struct tunnel_ops ops = {.ctx = b,
				       .send = branch_send,
				       .wall_clock = op_wall_clock,
				       .dummy = branch_dummy,
				       .route = world_no_route,
				       .config = ignore_config,
				       .event = branch_event};

	b->w = w;
	b->index = i;
	b->address = host_endpoint(i + 1);
	b->timer.due = branch_due;
	seeded_init(&b->rng, w->seed * 1000003 + i);
	b->tunnel = tunnel_new(&ops, set, BRANCH_HISTORY, &b->rng.rng, &w->log);
	b->conf = conf_of_branch(i, &w->gw.address, window);
}
