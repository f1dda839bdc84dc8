/* peers.c - see peers.h. SPDX-License-Identifier: ISC */
#include "peers.h"
#include "one_conn.h"
#include "xalloc.h"

#include <stdlib.h>

#define HISTORY_CAP (64u << 20)
#define INNER_LEN   60
#define INNER_COUNT 28	   /* offset of the count in an inner packet */
#define TURNS_MAX   200000 /* without the clock moving */

static bool chance(struct net *n, unsigned per_mille)
{
	return per_mille && rng_below(&n->rng.rng, 1000) < per_mille;
}

uint64_t number_from_env(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s ? strtoull(s, NULL, 0) : otherwise;
}

uint64_t seed_from_env(uint64_t otherwise)
{
	return number_from_env("MENDIP_SEED", otherwise);
}

struct options options_default(void)
{
	struct options o = {
		.seed = seed_from_env(1), .children = 1, .start = START_START, .window = 1024};

	tunnel_options_default(&o.sw);
	ike_settings_default(&o.set);
	o.ike_rekey = o.rekey = 3600 * SEC;
	o.dpd = 30 * SEC;
	o.delay = MSEC;
	return o;
}

/* ---- log ---- */

static void log_sink(void *ctx, enum log_level level, const char *line)
{
	struct peer *p = ctx;
	struct net *n = p->net;

	(void)level;
	snprintf(n->log[n->log_next++ % LOG_LINES], sizeof(n->log[0]), "%10.6f %s %.600s",
		 (double)(n->now - SEC) / SEC, p->index == BRANCH ? "branch" : "gw    ", line);
}

void net_print_log(const struct net *n)
{
	unsigned from = n->log_next > LOG_LINES ? n->log_next - LOG_LINES : 0;

	for (unsigned i = from; i < n->log_next; i++)
		print_error("  %s\n", n->log[i % LOG_LINES]);
}

bool net_logged(const struct net *n, const char *text)
{
	for (unsigned i = 0; i < LOG_LINES; i++) {
		if (strstr(n->log[i], text))
			return true;
	}
	return false;
}

void net_fail(struct net *n, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	n->has_failed = true;
	if (n->failed)
		n->failed(n, text);
	net_print_log(n);
	fail_msg("seed %llu at %.6f s: %s", (unsigned long long)n->o.seed,
		 (double)(n->now - SEC) / SEC, text);
	abort();
}

/* ---- the invariant ---- */

static void receive_late(struct peer *me);

static void turn(struct peer *p)
{
	const char *broken;

	receive_late(p);
	tunnel_turn(p->tunnel, p->net->now);
	broken = tunnel_check(p->tunnel);
	if (broken)
		net_fail(p->net, "invariant of doc/recovery.md 5, %s: %s",
			 p->index == BRANCH ? "branch" : "gw", broken);
}

/* ---- the wire ---- */

uint64_t net_wire_sum;

/*
 * Adds header, length and arrival time of a datagram to the checksum, and nothing behind the
 * header, which depends on random keys.
 */
static void note(const struct datagram *d)
{
	uint8_t header[IKE_HEADER_LEN] = {0};

	memcpy(header, d->p, min_u64(d->len, d->esp ? 8 : sizeof(header)));
	net_wire_sum = (net_wire_sum ^ d->at ^ (uint64_t)d->len << 48) * 0x100000001b3ULL;
	for (size_t i = 0; i < sizeof(header); i++)
		net_wire_sum = (net_wire_sum ^ header[i]) * 0x100000001b3ULL; /* FNV-1a */
}

static void enqueue(struct net *n, unsigned from, struct datagram *d, nsec_t at)
{
	d->at = at;
	d->order = n->order++;
	d->to = (uint8_t)!from;
	if (d->counted)
		n->peer[from].flow[d->child].in_flight++;
	note(d);
	wire_push(&n->queue, d);
	d->counted = false; /* a second copy is not counted */
}

static bool is_cut(const struct net *n, unsigned from, const struct datagram *d)
{
	return n->cut[from] || n->now < (d->esp ? n->cut_esp : n->cut_ike)[from];
}

/* The fate of this datagram, which is used up a bit more; NULL: none was set for it. */
static const struct ike_fate *fate_of(struct net *n, unsigned from, const struct datagram *d)
{
	if (d->esp || d->len < IKE_HEADER_LEN)
		return NULL;
	for (unsigned i = 0; i < IKE_FATES; i++) {
		struct ike_fate *f = &n->fate[i];

		if (!f->count || f->from != from || (f->exchange && f->exchange != d->p[18]) ||
		    f->response != ((d->p[19] & IKE_FLAG_RESPONSE) != 0))
			continue;
		f->count--;
		return f;
	}
	return NULL;
}

static void transmit(struct net *n, unsigned from, struct datagram *d)
{
	struct peer *p = &n->peer[from];
	nsec_t at = n->now + n->o.delay + rng_below(&n->rng.rng, n->jitter + 1);
	const struct ike_fate *f = fate_of(n, from, d);

	if (p->seen_as.port)
		d->from = p->seen_as;
	d->to = (uint8_t)!from;
	if (is_cut(n, from, d) || (n->hook && !n->hook(n, from, d)) || chance(n, n->loss)) {
		p->path_lost += d->counted;
		p->flow[d->child].path_lost += d->counted;
		return;
	}
	if (f && f->copies == 0)
		return;
	if (f && f->copies == 1)
		at += f->later;
	if (chance(n, n->reorder))
		at += 3 * n->o.delay;
	enqueue(n, from, d, at);
	if (f && f->copies == 2)
		enqueue(n, from, d, at + f->later);
	if (chance(n, n->dup))
		enqueue(n, from, d, at + rng_below(&n->rng.rng, 4 * n->o.delay));
}

/* Where a peer sends from: the address of its SA if that is its other one. */
static struct endpoint from_here(const struct peer *me, const struct endpoint *local)
{
	struct endpoint e = {.addr = me->address.addr, .port = local->port};

	if (me->also.family && addr_eq(&me->also, &local->addr))
		e.addr = me->also;
	return e;
}

static int op_send(void *ctx, const struct endpoint *local, const struct endpoint *remote,
		   const uint8_t *p, size_t len)
{
	struct peer *me = ctx;
	struct datagram d = {.from = from_here(me, local),
			     .dest = *remote,
			     .p = (uint8_t *)p,
			     .len = (uint32_t)len};

	me->ike_sent++;
	if (me->net->now < me->net->refuses[me->index])
		return -EPERM;
	transmit(me->net, me->index, &d);
	return 0;
}

static int64_t op_wall_clock(void *ctx)
{
	const struct peer *me = ctx;

	return me->net->wall + (int64_t)(me->net->now / SEC);
}

/* Sends a train; child: the child of its inner packets, or CHILDREN if they are not counted. */
static void send_train(struct peer *me, struct esp_train *t, unsigned child)
{
	esp_train_finish(me->tunnel->path, t);
	for (uint32_t at = 0; at < t->len; at += t->seg) {
		struct datagram d = {.from = from_here(me, &t->dest.local),
				     .dest = t->dest.remote,
				     .p = t->base + at,
				     .esp = true,
				     .counted = child < CHILDREN,
				     .child = (uint8_t)(child % CHILDREN)};

		d.len = t->len - at < t->seg ? t->len - at : t->seg;
		transmit(me->net, me->index, &d);
	}
}

static void op_dummy(void *ctx, struct esp_sa *sa)
{
	struct peer *me = ctx;
	uint8_t buf[256];
	struct esp_train t;

	me->dummies++;
	esp_train_init(&t, buf, sizeof(buf));
	esp_seal_dummy(me->tunnel->path, sa, &t, me->net->now);
	send_train(me, &t, CHILDREN);
}

/* No packet of these tests comes from the device. */
static uint16_t op_device(void *ctx, const char *name)
{
	(void)ctx, (void)name;
	return 1;
}

static bool op_source(void *ctx, const struct addr *remote, struct addr *ret)
{
	const struct peer *me = ctx;

	*ret = me->address.addr;
	return remote->family == ret->family;
}

static void op_route(void *ctx, uint16_t device, const struct ts_list *local,
		     const struct ts_list *remote, bool add)
{
	struct peer *p = ctx;

	(void)device, (void)local, (void)remote;
	p->routes += add ? 1 : -1;
	assert_true(p->routes >= 0);
}

/* What the peer has assigned: counted as the daemon does. */
static void op_config(void *ctx, const struct conn_conf *conf, uint16_t device,
		      const struct cp_config *config, bool add)
{
	struct peer *p = ctx;

	(void)device;
	assert_int_not_equal(conf->vip_count, 0);
	for (unsigned i = 0; i < config->addr_count; i++) {
		p->addresses += add ? 1 : -1;
		if (add)
			p->address_given = config->addr[i];
	}
	p->dns = add ? config->dns_count : p->dns;
	assert_true(p->addresses >= 0);
}

static void op_event(void *ctx, enum tunnel_event_kind kind, const struct tunnel_conn *conn,
		     const struct tunnel_child *child, const char *text)
{
	struct peer *me = ctx;

	(void)conn, (void)child, (void)text;
	me->security_events += kind == TUNNEL_EVENT_SECURITY;
}

/* ---- inner packets ---- */

static void inner_build(uint8_t *p, unsigned from, unsigned child, uint64_t count)
{
	memset(p, 0, INNER_LEN);
	p[0] = 0x45;
	put_be16(p + 2, INNER_LEN);
	p[8] = 64;
	p[9] = PROTO_UDP;
	memcpy(p + 12, (const uint8_t[]){10, from == BRANCH ? 1 : 2, (uint8_t)child, 1}, 4);
	memcpy(p + 16, (const uint8_t[]){10, from == BRANCH ? 2 : 1, (uint8_t)child, 1}, 4);
	put_be16(p + 20, 1000);
	put_be16(p + 22, 2000);
	/* Makes each packet unique: repeated nonces would otherwise give identical ESP packets. */
	put_be64(p + INNER_COUNT, count);
}

void net_packet(struct net *n, unsigned i, unsigned c)
{
	struct peer *me = &n->peer[i];
	uint8_t inner[INNER_LEN], buf[512];
	struct esp_out out;
	struct esp_train t;

	me->flow[c].sent++;
	inner_build(inner, i, c, ++me->sent);
	esp_out_init(&out, inner, INNER_LEN, 0);
	switch (esp_route(me->tunnel->path, &out, n->now)) {
	case ESP_ROUTE_SEAL:
		esp_train_init(&t, buf, sizeof(buf));
		esp_seal(me->tunnel->path, &out, &t, n->now);
		send_train(me, &t, c);
		break;
	case ESP_ROUTE_NO_SA: tunnel_acquire(me->tunnel, out.policy, out.inner, n->now); break;
	case ESP_ROUTE_TOO_BIG:
	case ESP_ROUTE_DISCARD: break;
	}
}

/* Whether the other peer's packet with this count was delivered before. */
static bool got_before(struct peer *me, uint64_t count)
{
	uint64_t word = count / 64, bit = 1ULL << count % 64;

	if (word >= me->got_words) {
		uint64_t words = max_u64(1024, 2 * word);

		me->got = xreallocarray(me->got, words, sizeof(*me->got));
		memset(me->got + me->got_words, 0, (words - me->got_words) * sizeof(*me->got));
		me->got_words = words;
	}
	if (me->got[word] & bit)
		return true;
	me->got[word] |= bit;
	return false;
}

static void take(struct peer *me, const uint8_t *inner, uint32_t len)
{
	struct net *n = me->net;
	struct flow *f = &n->peer[!me->index].flow[inner[14] % CHILDREN];

	assert_int_equal(len, INNER_LEN);
	me->delivered++;
	if (got_before(me, get_be64(inner + INNER_COUNT)))
		me->delivered_twice++;
	else
		f->delivered++;
	if (me->last_delivery && n->now - me->last_delivery > me->longest_gap)
		me->longest_gap = n->now - me->last_delivery;
	me->last_delivery = n->now;
}

static void open_esp(struct peer *me, struct esp_in *in)
{
	uint8_t out[2048];
	struct pkt_super super = {.base = out, .cap = sizeof(out)};
	enum esp_step step;

	do {
		step = esp_open(me->tunnel->path, in, &super, me->net->now);
		if (super.len)
			take(me, out, super.len);
		pkt_super_reset(&super);
	} while (step == ESP_FULL);
}

static void receive_esp(struct peer *me, const struct datagram *d)
{
	struct esp_in in = {.base = d->p, .len = d->len, .seg = (uint16_t)d->len, .from = d->from};

	open_esp(me, &in);
}

/* Opens packets that arrived before their SA was made. */
static void receive_late(struct peer *me)
{
	struct esp_in none = {0};

	if (me->tunnel->path->late_due)
		open_esp(me, &none);
}

static void deliver(struct net *n, struct datagram *d)
{
	struct peer *me = &n->peer[d->to];
	const struct endpoint local = from_here(me, &d->dest);

	if (d->counted)
		n->peer[!d->to].flow[d->child].in_flight--;
	if (d->esp)
		receive_esp(me, d);
	else if (!(d->len == 1 && d->p[0] == 0xff))
		tunnel_receive_ike(me->tunnel, &local, &d->from, d->p, d->len, n->now);
	turn(me);
}

void net_traffic(struct net *n, unsigned c)
{
	uint64_t b = n->peer[BRANCH].delivered, g = n->peer[GW].delivered;

	net_packet(n, BRANCH, c);
	net_packet(n, GW, c);
	net_run(n, SEC);
	if (n->peer[BRANCH].delivered != b + 1 || n->peer[GW].delivered != g + 1)
		net_fail(n, "no traffic in child %u", c);
}

void net_inject(struct net *n, unsigned to, bool esp, const uint8_t *p, uint32_t len)
{
	struct datagram d = {
		.to = (uint8_t)to, .esp = esp, .from = n->peer[!to].address, .len = len};

	d.from.port = d.dest.port = IKE_PORT_NATT;
	d.p = xmemdup(p, len);
	deliver(n, &d);
	free(d.p);
}

void net_release(struct net *n, struct datagram *d)
{
	unsigned from = !d->to;

	if (d->counted) {
		n->peer[from].path_lost--;
		n->peer[from].flow[d->child].path_lost--;
	}
	enqueue(n, from, d, n->now);
}

void net_drop_queued(struct net *n)
{
	uint8_t bytes[WIRE_SLOT];
	struct datagram d;

	while (n->queue.count) {
		wire_pop(&n->queue, &d, bytes);
		if (d.counted) {
			n->peer[!d.to].path_lost++;
			n->peer[!d.to].flow[d.child].path_lost++;
			n->peer[!d.to].flow[d.child].in_flight--;
		}
		wire_done(&d);
	}
}

/* ---- time ---- */

static nsec_t next_event(const struct net *n)
{
	nsec_t t = wire_next(&n->queue);

	for (unsigned i = 0; i < 2; i++) {
		t = min_u64(t, tunnel_next_deadline(n->peer[i].tunnel));
		if (n->rate[i])
			t = min_u64(t, n->next_packet[i]);
	}
	return max_u64(t, n->now);
}

static void step(struct net *n)
{
	uint8_t bytes[WIRE_SLOT];
	struct datagram d;
	bool sends[2];

	for (unsigned i = 0; i < 2; i++) {
		sends[i] = n->rate[i] && n->next_packet[i] <= n->now;
		if (sends[i]) {
			struct peer *p = &n->peer[i];

			n->next_packet[i] = n->now + SEC / n->rate[i];
			net_packet(n, i, p->next_inner++ % n->o.children);
		}
	}
	while (wire_next(&n->queue) <= n->now) {
		wire_pop(&n->queue, &d, bytes);
		deliver(n, &d);
		wire_done(&d);
	}
	for (unsigned i = 0; i < 2; i++) {
		/* deliver() has called turn(). */
		if (sends[i] || tunnel_next_deadline(n->peer[i].tunnel) <= n->now)
			turn(&n->peer[i]);
	}
}

static void move_clock(struct net *n, nsec_t to)
{
	n->turns_at_now = n->now == to ? n->turns_at_now + 1 : 0;
	n->now = to;
	if (n->turns_at_now > TURNS_MAX)
		net_fail(n, "the same instant for ever: a deadline is due and does not go");
}

void net_run(struct net *n, nsec_t time)
{
	nsec_t end = n->now + time;

	for (;;) {
		nsec_t next = next_event(n);

		if (next > end)
			break;
		move_clock(n, next);
		step(n);
	}
	n->now = end;
	step(n);
	for (unsigned i = 0; i < 2; i++)
		turn(&n->peer[i]);
}

void net_until(struct net *n, bool (*cond)(struct net *n), nsec_t limit, const char *what)
{
	nsec_t end = n->now + limit;

	while (!cond(n) && n->now < end) {
		move_clock(n, min_u64(next_event(n), end));
		step(n);
	}
	if (!cond(n))
		net_fail(n, "not within %.1f s: %s", (double)limit / SEC, what);
}

/* ---- configuration ---- */

static void proposals(struct proposal_list *l, uint8_t protocol, const char *text)
{
	char *copy = xstrdup(text), err[PROPOSAL_ERR], *save = NULL;

	for (char *s = strtok_r(copy, ",", &save); s; s = strtok_r(NULL, ",", &save)) {
		if (proposals_add_text(l, s, protocol, err) < 0)
			fail_msg("%s: %s", s, err);
	}
	free(copy);
}

static bool gw_starts(const struct options *o)
{
	return o->branch_answers || o->wide;
}

static void child_build(const struct options *o, struct child_conf *c, unsigned side, unsigned i)
{
	bool wide = o->wide && side == BRANCH;
	char ts[64], name[16];

	snprintf(name, sizeof(name), "net%u", i);
	c->name = xstrdup(name);
	c->local_ts = xzalloc(sizeof(*c->local_ts));
	c->remote_ts = xzalloc(sizeof(*c->remote_ts));
	snprintf(ts, sizeof(ts), wide ? "10.%u.0.0/16" : "10.%u.%u.0/24", side == BRANCH ? 1 : 2,
		 i);
	assert_int_equal(ts_parse(ts, &c->local_ts->ts[0]), 0);
	snprintf(ts, sizeof(ts), wide ? "10.%u.0.0/16" : "10.%u.%u.0/24", side == BRANCH ? 2 : 1,
		 i);
	assert_int_equal(ts_parse(ts, &c->remote_ts->ts[0]), 0);
	c->local_ts->count = c->remote_ts->count = 1;
	proposals(&c->proposals, PROTOCOL_ESP,
		  side == GW && o->esp_gw ? o->esp_gw
		  : o->esp		  ? o->esp
					  : "aes128gcm16-x25519-esn-noesn");
	c->rekey_time = o->rekey;
	c->life_time = o->rekey + o->rekey / 10;
	if (gw_starts(o))
		c->start_action = side == GW ? o->start : START_NONE;
	else
		c->start_action = side == BRANCH || o->gw_starts ? o->start : START_NONE;
	if (side == BRANCH) {
		c->close_action = o->close;
		c->dpd_action = o->dead;
	}
	c->replay_window = o->window;
	c->options = xmemdup(&o->sw, sizeof(o->sw));
}

struct conn_conf *peer_conf(struct net *n, unsigned i)
{
	const struct options *o = &n->o;
	struct peer *p = &n->peer[i];
	struct conn_conf *c = xzalloc(sizeof(*c));
	bool calls;

	c->refs = 1;
	c->name = xstrdup(p->index == BRANCH ? "gw" : "branch");
	assert_int_equal(
		ident_parse(p->index == BRANCH ? "branch.example" : "gw.example.net", &c->local_id),
		0);
	assert_int_equal(ident_parse(p->index == BRANCH ? "gw.example.net"
				     : o->gw_any	? "*.example"
							: "branch.example",
				     &c->remote_id),
			 0);
	calls = p->index == BRANCH ? !o->branch_answers : o->gw_calls || gw_starts(o);
	c->mobike = true;
	c->remote_any = !calls || (p->index == GW && o->gw_any);
	c->local_port = c->remote_port = IKE_PORT;
	c->encap = o->encap;
	if (calls)
		c->remote[c->remote_count++] = p->net->peer[!p->index].address;
	proposals(&c->proposals, PROTOCOL_IKE,
		  p->index == GW && o->ike_gw ? o->ike_gw
		  : o->ike		      ? o->ike
					      : "aes256gcm16-prfsha384-x25519");
	c->rekey_time = o->ike_rekey;
	c->life_time = o->ike_rekey + o->ike_rekey / 10;
	c->childless = o->childless[i];
	c->dpd_delay = p->index == GW && o->gw_dpd ? o->gw_dpd : o->dpd;
	if (c->dpd_delay == NSEC_NEVER)
		c->dpd_delay = 0;
	c->fragmentation = o->fragmentation;
	c->fragment_size = o->fragment_size;
	c->unique = o->unique;
	c->child_count = o->wide && p->index == BRANCH ? 1 : o->children;
	c->children = xzalloc(c->child_count * sizeof(*c->children));
	for (unsigned m = 0; m < c->child_count; m++)
		child_build(o, &c->children[m], p->index, m);
	return c;
}

/* The connection, and the secret that the options name; free with conn_set_fini. */
static struct conn_set peer_set(const struct net *n, unsigned i, const struct conn_conf *conf)
{
	const char *psk = i == BRANCH ? n->o.psk_branch : n->o.psk_gw;

	return one_conn(conf, psk ? psk : "a secret that both have");
}

void peer_configure(struct net *n, unsigned i, const struct conn_conf *conf, conn_same *same)
{
	struct conn_set set = peer_set(n, i, conf);

	tunnel_configure(n->peer[i].tunnel, &set, same, n->now);
	conn_set_fini(&set);
}

void peer_configure_with(struct net *n, unsigned i, const struct conn_conf *conf,
			 struct cred_store *creds, conn_same *same)
{
	struct conn_set set = peer_set(n, i, conf);

	set.creds = creds;
	tunnel_configure(n->peer[i].tunnel, &set, same, n->now);
	conn_set_fini(&set);
}

bool always_same(const struct conn_conf *a, const struct conn_conf *b)
{
	(void)a, (void)b;
	return true;
}

static struct tunnel *peer_tunnel(struct peer *p)
{
	const struct tunnel_ops ops = {.ctx = p,
				       .send = op_send,
				       .wall_clock = op_wall_clock,
				       .dummy = op_dummy,
				       .device = op_device,
				       .route = op_route,
				       .source = op_source,
				       .config = op_config,
				       .event = op_event};

	return tunnel_new(&ops, &p->net->o.set, HISTORY_CAP, &p->rng.rng, &p->log);
}

/* Whatever routes it asked for, it has withdrawn by its end. */
static void tunnel_end(struct peer *p)
{
	tunnel_free(p->tunnel);
	assert_int_equal(p->routes, 0);
	assert_int_equal(p->addresses, 0);
}

static void peer_init(struct net *n, unsigned i)
{
	struct peer *p = &n->peer[i];

	p->net = n;
	p->index = i;
	seeded_init(&p->rng, n->o.seed * 2 + i + 77);
	log_init(&p->log, LOG_LEVEL_DEBUG, log_sink, p);
	p->tunnel = peer_tunnel(p);
	p->conf = peer_conf(n, i);
	peer_configure(n, i, p->conf, NULL);
}

/* ---- a new process ---- */

static void digest(const struct conn_conf *conf, const struct psk_store *secrets,
		   const struct ident *peer, uint8_t *out)
{
	const struct psk *psk = psk_find(secrets, &conf->local_id, peer);

	memset(out, 0, 32);
	put_be64(out, conf->rekey_time);
	memcpy(out + 8, psk->secret, min_u64(psk->len, 24));
}

struct chunk peer_save(struct net *n, unsigned i, uint8_t *room, size_t size, unsigned *ret_conns)
{
	struct peer *p = &n->peer[i];
	nsec_t since = n->now;
	struct writer w;

	ike_hold(p->tunnel->ike);
	while (!tunnel_is_settled(p->tunnel) && n->now - since < 2 * SEC)
		net_run(n, MSEC);
	tunnel_end_unsettled(p->tunnel, n->now);
	wr_init(&w, room, size);
	*ret_conns = tunnel_save(p->tunnel, digest, &w);
	assert_false(w.bad);
	return (struct chunk){room, w.len};
}

int peer_load(struct net *n, unsigned i, struct chunk saved)
{
	return peer_load_with(n, i, saved, peer_conf(n, i), NULL);
}

int peer_load_set(struct net *n, unsigned i, struct chunk saved, const struct conn_set *set)
{
	struct peer *p = &n->peer[i];
	struct reader r;
	int loaded;

	tunnel_end(p);
	p->tunnel = peer_tunnel(p);
	rd_init(&r, saved.p, saved.len);
	loaded = tunnel_load(p->tunnel, set, digest, &r, n->now);
	tunnel_configure(p->tunnel, set, always_same, n->now);
	return loaded;
}

int peer_load_with(struct net *n, unsigned i, struct chunk saved, struct conn_conf *conf,
		   struct cred_store *creds)
{
	struct peer *p = &n->peer[i];
	struct conn_set set = peer_set(n, i, conf);
	int loaded;

	set.creds = creds;
	conn_unref(p->conf);
	p->conf = conf;
	if (n->conf_made)
		n->conf_made(n, i);
	loaded = peer_load_set(n, i, saved, &set);
	conn_set_fini(&set);
	return loaded;
}

int peer_restart(struct net *n, unsigned i)
{
	uint8_t *room = xreallocarray(NULL, 1, SAVED_ROOM);
	unsigned conns;
	struct chunk saved = peer_save(n, i, room, SAVED_ROOM, &conns);
	int loaded = peer_load(n, i, saved);

	free(room);
	assert_int_equal(loaded, conns);
	return loaded;
}

static const char *outer_address(const struct options *o, unsigned i)
{
	if (o->six)
		return i == BRANCH ? "2001:db8:1::10" : "2001:db8:1::1";
	return i == BRANCH ? "192.0.2.10" : "192.0.2.1";
}

struct net *net_new(const struct options *o)
{
	struct net *n = xzalloc(sizeof(*n));

	assert_in_range(o->children, 1, CHILDREN);
	n->o = *o;
	n->now = SEC;
	seeded_init(&n->rng, o->seed);
	for (unsigned i = 0; i < 2; i++) {
		n->peer[i].address.port = IKE_PORT;
		assert_int_equal(addr_parse(outer_address(o, i), &n->peer[i].address.addr), 0);
	}
	peer_init(n, GW);
	peer_init(n, BRANCH);
	return n;
}

static void peer_fini(struct peer *p)
{
	tunnel_end(p);
	conn_unref(p->conf);
	free(p->got);
}

void net_free(struct net *n)
{
	uint64_t twice = n->peer[BRANCH].delivered_twice + n->peer[GW].delivered_twice;

	if (twice && !n->o.twice_allowed && !n->has_failed)
		net_fail(n, "%llu packets were delivered twice", (unsigned long long)twice);
	for (unsigned i = 0; i < 2; i++)
		peer_fini(&n->peer[i]);
	for (unsigned c = 0; c < CHILDREN; c++) {
		free(n->kept[c].local);
		free(n->kept[c].remote);
	}
	wire_fini(&n->queue);
	free(n);
}

struct net *net_up(const struct options *o)
{
	struct net *n = net_new(o);

	net_until(n, net_is_up, 20 * SEC, "the tunnel comes up");
	return n;
}

/* ---- state ---- */

struct tunnel_conn *peer_conn(struct net *n, unsigned i)
{
	struct tunnel_conn *c, *best = NULL;

	LIST_FOREACH (c, &n->peer[i].tunnel->conns, link) {
		if (c->sa || !best)
			best = c;
	}
	return best;
}

struct tunnel_child *peer_child(struct net *n, unsigned i, unsigned c)
{
	struct tunnel_conn *conn = peer_conn(n, i);
	struct tunnel_child *k;
	char name[16];

	snprintf(name, sizeof(name), "net%u", n->o.wide && i == BRANCH ? 0 : c);
	if (!conn)
		return NULL;
	LIST_FOREACH (k, &conn->children, link) {
		if (strcmp(k->conf->name, name) == 0)
			return k;
	}
	return NULL;
}

/* SAs of the one wide child are distinguished by their traffic selectors. */
static bool serves(const struct net *n, const struct tunnel_sa *s, unsigned c)
{
	return s->ike && s->active && !s->retired && (!n->o.wide || s->local->ts[0].lo.b[2] == c);
}

struct esp_sa *peer_sa(struct net *n, unsigned i, unsigned c)
{
	struct tunnel_child *k = peer_child(n, i, c);
	struct tunnel_sa *s;

	if (!k || !n->o.wide || i != BRANCH)
		return k && k->current ? tunnel_sa_esp(k->current) : NULL;
	LIST_FOREACH (s, &k->sas, link) {
		if (serves(n, s, c))
			return tunnel_sa_esp(s);
	}
	return NULL;
}

bool net_is_up(struct net *n)
{
	for (unsigned c = 0; c < n->o.children; c++) {
		if (!peer_sa(n, BRANCH, c) || !peer_sa(n, GW, c))
			return false;
	}
	return true;
}

unsigned peer_ike_sas(struct net *n, unsigned i)
{
	return HASH_COUNT(n->peer[i].tunnel->ike->sas);
}

unsigned peer_child_sas(struct net *n, unsigned i)
{
	struct ike_sa *sa, *tmp;
	unsigned count = 0;

	HASH_ITER (hh, n->peer[i].tunnel->ike->sas, sa, tmp)
		count += sa->child_count;
	return count;
}

void gw_rewind(struct net *n, unsigned c, uint64_t by, bool nonces)
{
	struct esp_sa *sa = peer_sa(n, GW, c);

	assert_non_null(sa);
	by = min_u64(by, sa->out.number);
	sa->out.number -= by;
	if (nonces)
		sa->out.iv_counter -= min_u64(by, sa->out.iv_counter);
}

const struct recovery_record *last_record(struct net *n, unsigned c)
{
	const struct tunnel_child *k = peer_child(n, BRANCH, c);

	static const struct recovery_record none;

	return !k->records ? &none
			   : &k->records[(k->record_next + RECORDS_KEPT - 1) % RECORDS_KEPT];
}

bool net_agrees(struct net *n)
{
	if (!net_is_up(n) || peer_ike_sas(n, BRANCH) != 1 || peer_ike_sas(n, GW) != 1 ||
	    peer_child_sas(n, BRANCH) != n->o.children || peer_child_sas(n, GW) != n->o.children)
		return false;
	for (unsigned c = 0; c < n->o.children; c++) {
		const struct esp_sa *b = peer_sa(n, BRANCH, c), *g = peer_sa(n, GW, c);

		if (b->spi != g->out.spi || g->spi != b->out.spi)
			return false;
	}
	return peer_conn(n, BRANCH)->sa->spi_i == peer_conn(n, GW)->sa->spi_i;
}

uint64_t net_lost(const struct net *n, unsigned i, unsigned c)
{
	int64_t lost = 0;

	for (unsigned k = 0; k < CHILDREN; k++) {
		const struct flow *f = &n->peer[i].flow[k];

		if (c == CHILDREN || c == k)
			lost += (int64_t)(f->sent - f->delivered - f->path_lost) - f->in_flight;
	}
	return lost > 0 ? (uint64_t)lost : 0;
}

#define ALL_CHILDREN (8 * CHILDREN) /* including those of connections that are ending */

static unsigned all_children(const struct net *n, unsigned i, struct tunnel_child **ret)
{
	struct tunnel_conn *conn;
	struct tunnel_child *k;
	unsigned count = 0;

	LIST_FOREACH (conn, &n->peer[i].tunnel->conns, link) {
		LIST_FOREACH (k, &conn->children, link) {
			if (count < ALL_CHILDREN)
				ret[count++] = k;
		}
	}
	return count;
}

unsigned peer_confirmed(struct net *n, unsigned i)
{
	struct tunnel_child *all[ALL_CHILDREN];
	unsigned count = all_children(n, i, all), confirmed = 0;
	struct tunnel_sa *s;

	for (unsigned c = 0; c < count; c++) {
		LIST_FOREACH (s, &all[c]->sas, link) {
			const struct esp_sa *sa = tunnel_sa_esp(s);

			confirmed += sa && s->ike && !s->retired &&
				     sa->in.detector.state == DETECTOR_CONFIRMED;
		}
	}
	return confirmed;
}

bool peer_is_busy(struct net *n, unsigned i)
{
	struct ike_sa *sa, *tmp;

	HASH_ITER (hh, n->peer[i].tunnel->ike->sas, sa, tmp) {
		if (sa->outstanding || !TAILQ_EMPTY(&sa->tasks))
			return true;
	}
	return false;
}

uint64_t peer_recoveries(struct net *n, unsigned i)
{
	struct tunnel_child *all[ALL_CHILDREN];
	unsigned count = all_children(n, i, all);
	uint64_t sum = 0;

	for (unsigned c = 0; c < count; c++)
		sum += all[c]->recoveries;
	return sum;
}

uint64_t peer_rekeys(struct net *n, unsigned i)
{
	struct tunnel_child *all[ALL_CHILDREN];
	unsigned count = all_children(n, i, all);
	uint64_t sum = 0;

	for (unsigned c = 0; c < count; c++)
		sum += all[c]->rekeys;
	return sum;
}

unsigned peer_tidied(struct net *n, unsigned i)
{
	struct tunnel_conn *conn;
	unsigned sum = 0;

	LIST_FOREACH (conn, &n->peer[i].tunnel->conns, link)
		sum += conn->tidied;
	return sum;
}

unsigned peer_records(struct net *n, unsigned i, const char *outcome)
{
	struct tunnel_child *all[ALL_CHILDREN];
	unsigned count = all_children(n, i, all), found = 0;

	for (unsigned c = 0; c < count; c++) {
		for (unsigned r = 0; all[c]->records && r < RECORDS_KEPT; r++)
			found += all[c]->records[r].id &&
				 strcmp(all[c]->records[r].outcome, outcome) == 0;
	}
	return found;
}

uint64_t peer_gate_answers(struct net *n, unsigned i, enum gate_answer a)
{
	struct tunnel_child *all[ALL_CHILDREN];
	unsigned count = all_children(n, i, all);
	uint64_t sum = 0;

	for (unsigned c = 0; c < count; c++)
		sum += all[c]->gate.answers[a];
	return sum;
}

/* ---- an older copy of an SA ---- */

void gw_keep(struct net *n, unsigned c)
{
	struct sad *sad = &n->peer[GW].tunnel->path->sad;
	struct esp_sa *now = peer_sa(n, GW, c), *copy;
	struct tunnel_child *k = peer_child(n, GW, c);
	struct kept *kept = &n->kept[c];

	assert_non_null(now);
	copy = sad_find(sad, sad_reserve(sad));
	assert_non_null(copy);
	copy->out = now->out;
	now->out.key = NULL;
	free(kept->local);
	free(kept->remote);
	kept->local = ts_list_dup(k->current->local);
	kept->remote = ts_list_dup(k->current->remote);
	kept->policy = (struct spd_policy){
		.sa = sad_ref(copy), .owner = k, .local = kept->local, .remote = kept->remote};
}

void gw_take_over(struct net *n, unsigned c)
{
	struct tunnel *t = n->peer[GW].tunnel;
	struct kept *kept = &n->kept[c];

	assert_true(kept->policy.sa.gen);
	kept->policy.order = ++t->policy_order;
	assert_int_equal(spd_add(&t->path->devices[0].spd, &kept->policy), 0);
}
