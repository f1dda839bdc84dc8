/* live_peer.c - see live_peer.h. SPDX-License-Identifier: ISC */
#include "live_peer.h"
#include "one_conn.h"
#include "task/exchanges.h"
#include "xalloc.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MARKER	  4
#define RECEIVES  16
#define DATAGRAM  65536
#define SPI_FIRST 4096

nsec_t live_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (nsec_t)t.tv_sec * NSEC_PER_SEC + (nsec_t)t.tv_nsec + 1;
}

/* ---- the engine's operations ---- */

void live_send(struct live_peer *p, unsigned socket, const uint8_t *msg, size_t len)
{
	static const uint8_t marker[MARKER];
	struct endpoint local = {.port = socket == LIVE_PLAIN ? IKE_PORT : IKE_PORT_NATT};
	struct endpoint remote = {.addr = p->gateway.addr, .port = local.port};

	(void)udp_send(&p->udp[socket], &local, &remote, 0, marker,
		       socket == LIVE_PLAIN ? 0 : MARKER, msg, len);
}

void live_send_esp(struct live_peer *p, const uint8_t *packet, size_t len)
{
	struct endpoint local = {.port = IKE_PORT_NATT};
	struct endpoint remote = {.addr = p->gateway.addr, .port = IKE_PORT_NATT};

	(void)udp_send(&p->udp[LIVE_NATT], &local, &remote, 0, NULL, 0, packet, len);
}

/* No certificates here. */
static int64_t op_wall_clock(void *ctx)
{
	(void)ctx;
	return 0;
}

static int op_send(void *ctx, const struct endpoint *local, const struct endpoint *remote,
		   const uint8_t *msg, size_t len)
{
	static const uint8_t marker[MARKER];
	struct live_peer *p = ctx;
	bool natt = local->port != IKE_PORT;

	if (p->on_send && !p->on_send(p, local, remote, msg, len))
		return 0;
	(void)udp_send(&p->udp[natt ? LIVE_NATT : LIVE_PLAIN], local, remote, 0, marker,
		       natt && len > 1 ? MARKER : 0, msg, len);
	return 0;
}

static uint32_t op_spi_reserve(void *ctx)
{
	struct live_peer *p = ctx;

	return p->next_spi++;
}

static void op_spi_release(void *ctx, uint32_t spi)
{
	(void)ctx, (void)spi;
}

static int op_child_install(void *ctx, struct child_sa *c, const struct child_keys *keys,
			    struct child_sa *replaces, nsec_t now)
{
	struct live_peer *p = ctx;
	struct live_child *k = xzalloc(sizeof(*k));

	(void)replaces, (void)now;
	*k = (struct live_child){
		.ike = c,
		.spi = c->spi_out,
		.suite = c->choice.suite,
		.esn = c->choice.esn,
		.seal = aead_key_new(c->choice.suite, c->initiator ? keys->enc_i : keys->enc_r,
				     c->initiator ? keys->integ_i : keys->integ_r)};
	c->owner = k;
	LIST_INSERT_HEAD(&p->children, k, link);
	p->child_count++;
	return 0;
}

static void op_child_event(void *ctx, struct child_sa *c, enum child_event e, const char *why,
			   nsec_t now)
{
	struct live_child *k = c->owner;

	(void)ctx, (void)why, (void)now;
	if (e == CHILD_EVENT_DOWN && k)
		k->ike = NULL;
}

static uint16_t op_child_admit(void *ctx, struct ike_sa *sa, const struct child_conf *conf,
			       const struct ts_list *local, const struct ts_list *remote, bool ours,
			       const struct child_sa *old, nsec_t now)
{
	(void)ctx, (void)sa, (void)conf, (void)local, (void)remote, (void)ours, (void)old,
		(void)now;
	return 0;
}

static void op_child_result(void *ctx, struct ike_sa *sa, const struct child_conf *conf,
			    struct child_sa *child, enum ike_result r, uint16_t notify, nsec_t now)
{
	(void)ctx, (void)sa, (void)conf, (void)child, (void)r, (void)notify, (void)now;
}

static void op_ike_event(void *ctx, struct ike_sa *sa, enum ike_sa_event e, struct ike_sa *other,
			 const char *why, nsec_t now)
{
	struct live_peer *p = ctx;

	(void)sa, (void)other, (void)why, (void)now;
	p->ups += e == IKE_EVENT_UP;
	p->downs += e == IKE_EVENT_DOWN;
}

static void op_refused(void *ctx, struct ike_sa *sa, const struct ike_refusal *r, nsec_t now)
{
	(void)ctx, (void)sa, (void)r, (void)now;
}

static void op_synced(void *ctx, struct ike_sa *sa, uint64_t delta, nsec_t now)
{
	(void)ctx, (void)sa, (void)delta, (void)now;
}

static bool op_keep_mapping(void *ctx, const struct ike_sa *sa)
{
	(void)ctx, (void)sa;
	return true;
}

static void op_problem(void *ctx, struct ike_sa *sa, const struct child_conf *child,
		       enum ike_problem p, const char *text, nsec_t now)
{
	(void)ctx, (void)sa, (void)child, (void)p, (void)text, (void)now;
}

static bool op_has_other_way(void *ctx, const struct ike_sa *sa)
{
	(void)ctx, (void)sa;
	return false;
}

static nsec_t op_last_inbound(void *ctx, const struct ike_sa *sa)
{
	(void)ctx, (void)sa;
	return 0;
}

/* ---- the configuration ---- */

static void no_line(void *ctx, enum log_level level, const char *line)
{
	(void)ctx;
	if (getenv("MENDIP_PEER_LOG"))
		fprintf(stderr, "%s: %s\n", log_level_name(level), line);
}

static int proposal_of(struct proposal_list *l, uint8_t protocol, const char *text)
{
	char err[PROPOSAL_ERR];

	return proposals_add_text(l, text, protocol, err);
}

static struct conn_conf *conf_new(const struct live_who *w, const struct endpoint *gateway)
{
	struct conn_conf *c = xzalloc(sizeof(*c));
	struct child_conf *k = xzalloc(sizeof(*k));

	c->refs = 1;
	c->name = xstrdup("gw");
	c->children = k;
	c->child_count = 1;
	c->local_port = c->remote_port = IKE_PORT;
	c->remote[c->remote_count++] = *gateway;
	c->remote_any = true;
	k->name = xstrdup("net");
	k->local_ts = xzalloc(sizeof(*k->local_ts));
	k->remote_ts = xzalloc(sizeof(*k->remote_ts));
	k->local_ts->count = k->remote_ts->count = 1;
	k->replay_window = 1024;
	if (ident_parse(w->local, &c->local_id) < 0 || ident_parse(w->remote, &c->remote_id) < 0 ||
	    ts_parse(w->near_ts, &k->local_ts->ts[0]) < 0 ||
	    ts_parse(w->far_ts, &k->remote_ts->ts[0]) < 0 ||
	    proposal_of(&c->proposals, PROTOCOL_IKE, "aes128gcm16-prfsha256-x25519") < 0 ||
	    proposal_of(&k->proposals, PROTOCOL_ESP, "aes128gcm16-x25519-esn-noesn") < 0) {
		conn_unref(c);
		return NULL;
	}
	return c;
}

int live_open(struct live_peer *p, const struct live_who *who, uint64_t seed)
{
	const struct ike_ops ops = {.ctx = p,
				    .send = op_send,
				    .wall_clock = op_wall_clock,
				    .spi_reserve = op_spi_reserve,
				    .spi_release = op_spi_release,
				    .child_install = op_child_install,
				    .child_event = op_child_event,
				    .child_admit = op_child_admit,
				    .child_result = op_child_result,
				    .refused = op_refused,
				    .problem = op_problem,
				    .ike_event = op_ike_event,
				    .synced = op_synced,
				    .keep_mapping = op_keep_mapping,
				    .last_inbound = op_last_inbound,
				    .has_other_way = op_has_other_way};
	const struct udp_offloads none = {false, false};
	struct ike_settings set;
	struct conn_set conns;

	p->gateway.port = IKE_PORT;
	p->next_spi = SPI_FIRST;
	LIST_INIT(&p->children);
	seeded_init(&p->rng, seed);
	log_init(&p->log, LOG_LEVEL_DEBUG, no_line, p);
	ike_settings_default(&set);
	if (addr_parse(who->gateway, &p->gateway.addr) < 0 ||
	    !(p->conf = conf_new(who, &p->gateway)) ||
	    udp_open(&p->udp[LIVE_PLAIN], FAMILY_IPV4, IKE_PORT, false, none, &p->log) < 0 ||
	    udp_open(&p->udp[LIVE_NATT], FAMILY_IPV4, IKE_PORT_NATT, false, none, &p->log) < 0) {
		fprintf(stderr, "no peer: an argument cannot be read, or no socket be had\n");
		return -1;
	}
	p->ike = ike_new(&ops, &set, &p->rng.rng, &p->log);
	conns = one_conn(p->conf, who->secret);
	ike_set_conns(p->ike, &conns, NULL, live_now());
	conn_set_fini(&conns);
	return 0;
}

void live_forget(struct live_peer *p, struct live_child *c)
{
	LIST_REMOVE(c, link);
	p->child_count--;
	aead_key_free(c->seal);
	free(c);
}

void live_close(struct live_peer *p)
{
	struct live_child *c;

	ike_free(p->ike, live_now());
	while ((c = LIST_FIRST(&p->children)))
		live_forget(p, c);
	conn_unref(p->conf);
	for (unsigned i = 0; i < ARRAY_SIZE(p->udp); i++)
		udp_close(&p->udp[i]);
}

struct ike_sa *live_call(struct live_peer *p, bool beside)
{
	struct endpoint local = {.port = IKE_PORT};
	struct ike_sa *sa =
		ike_initiate(p->ike, p->conf, &local, &p->gateway, NULL, beside, live_now());

	if (sa && !ike_child_create(sa, p->conf->children, NULL, live_now()))
		return NULL;
	return sa;
}

/* ---- time and messages ---- */

static void take(struct live_peer *p, unsigned socket, const struct udp_datagram *g, nsec_t now)
{
	const uint8_t *msg = g->p;
	size_t len = g->len;

	if (socket == LIVE_NATT) {
		if (len < MARKER || get_be32(msg) != 0)
			return; /* ESP is ignored */
		msg += MARKER;
		len -= MARKER;
	}
	if (p->on_receive)
		p->on_receive(p, msg, len);
	ike_receive(p->ike, &g->local, &g->remote, msg, len, now);
}

static void receive(struct live_peer *p, unsigned socket)
{
	static uint8_t buffer[RECEIVES][DATAGRAM];
	struct udp_datagram g[RECEIVES];
	int n;

	for (unsigned i = 0; i < RECEIVES; i++)
		g[i] = (struct udp_datagram){.p = buffer[i], .cap = DATAGRAM};
	n = udp_receive(&p->udp[socket], g, RECEIVES);
	for (int i = 0; i < n; i++)
		take(p, socket, &g[i], live_now());
}

void live_run(struct live_peer *p, nsec_t until)
{
	struct pollfd f[] = {{.fd = p->udp[LIVE_PLAIN].fd, .events = POLLIN},
			     {.fd = p->udp[LIVE_NATT].fd, .events = POLLIN}};
	nsec_t now = live_now();

	do {
		nsec_t next = min_u64(until, ike_next_deadline(p->ike)), wait;
		struct timespec t;

		wait = next > now ? next - now : 0;
		t = (struct timespec){.tv_sec = (time_t)(wait / NSEC_PER_SEC),
				      .tv_nsec = (long)(wait % NSEC_PER_SEC)};
		if (ppoll(f, ARRAY_SIZE(f), &t, NULL) > 0) {
			for (unsigned i = 0; i < ARRAY_SIZE(f); i++) {
				if (f[i].revents)
					receive(p, i);
			}
		}
		now = live_now();
		ike_tick(p->ike, now);
	} while (now < until);
}
