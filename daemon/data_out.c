/* data_out.c - TUN to UDP. SPDX-License-Identifier: ISC */
#include "daemon.h"
#include "packet/icmp.h"
#include "xalloc.h"

#define TRAIN_MAX 65507 /* bytes of UDP payload */
/* Half of the smallest anti-replay window that RFC 4303 3.4.3 allows, which some peers use. */
#define OVERTAKEN_MAX 16

/* ---- trains ---- */

static void wait_for(struct daemon *d, const struct udp_socket *full)
{
	d->out.full = (unsigned)(full - d->udp);
	event_add(d->out.writable[d->out.full], NULL);
}

/* Other trains may go out, but this one waits for another socket than those before it. */
static void wait_for_another(struct daemon *d, const struct udp_socket *full)
{
	event_del(d->out.writable[d->out.full]);
	wait_for(d, full);
}

/*
 * The socket is full: nothing more joins any train, and their packets are sealed now, as the keys
 * that they refer to may be gone when the socket is writable.
 */
static void park(struct daemon *d, const struct udp_socket *full)
{
	for (unsigned i = 0; i < TRAINS; i++) {
		struct train_slot *s = &d->out.slot[i];

		if (s->train.count && !s->sealed)
			esp_train_finish(d->tunnel->path, &s->train);
		s->sealed = s->train.count > 0;
	}
	d->io.tx_parked++;
	d->out.parked = true;
	devices_read(d, false);
	wait_for(d, full);
}

static void slot_empty(struct train_slot *s)
{
	s->sealed = false;
	s->sent = 0;
	esp_train_reset(&s->train);
}

/* There is no socket for the train: its port or its family is not open. */
static bool slot_drop(struct daemon *d, struct train_slot *s)
{
	d->io.tx_errors += s->train.count;
	slot_empty(s);
	return true;
}

/* Sends the train and empties it. False: the socket is full, and what is not sent yet stays. */
static bool slot_send(struct daemon *d, struct train_slot *s)
{
	struct esp_train *t = &s->train;
	struct udp_train u = {.local = &t->dest.local,
			      .remote = &t->dest.remote,
			      .tos = t->dest.tos,
			      .df = t->dest.df,
			      .seg = t->seg};
	struct udp_socket *socket;
	uint64_t refused;
	nsec_t now;
	uint32_t sent;
	int error;

	if (t->count == 0)
		return true;
	socket = data_esp_socket(d, &t->dest);
	if (!socket)
		return slot_drop(d, s);
	if (!s->sealed)
		esp_train_finish(d->tunnel->path, t);
	s->sealed = true;
	u.p = t->base + s->sent;
	u.len = t->len - s->sent;
	now = daemon_now();
	refused = socket->refused;
	sent = udp_send_train(socket, &u, now, &error, &d->io.tx_errors);
	s->sent += sent;
	d->io.tx_refused += socket->refused - refused;
	d->io.tx_sends++;
	d->io.tx_bytes += sent;
	d->io.tx_datagrams += (sent + t->seg - 1) / t->seg;
	if (error == -EMSGSIZE && bucket_take(&d->mtu_bucket, now))
		mtu_look(d, &t->dest.local, &t->dest.remote);
	if (error == -EAGAIN) {
		if (!d->out.parked)
			park(d, socket);
		else if (socket != &d->udp[d->out.full])
			wait_for_another(d, socket);
		return false;
	}
	slot_empty(s);
	return true;
}

static struct train_slot *oldest(struct daemon *d)
{
	struct train_slot *best = NULL;

	for (unsigned i = 0; i < TRAINS; i++) {
		struct train_slot *s = &d->out.slot[i];

		if (s->train.count && (!best || s->order < best->order))
			best = s;
	}
	return best;
}

/* Sends all trains in the order in which they were begun. False: the socket is full. */
static bool send_all(struct daemon *d)
{
	struct train_slot *s;

	while ((s = oldest(d))) {
		if (!slot_send(d, s))
			return false;
	}
	return true;
}

static bool same_place(const struct esp_dest *a, const struct esp_dest *b)
{
	return endpoint_eq(&a->remote, &b->remote) && endpoint_eq(&a->local, &b->local);
}

/*
 * Returns the train that the rest of `out` joins; NULL if another must be sent first and the socket
 * is full. Trains are per destination and DSCP, so that the packets of a flow stay in order. The
 * sequence numbers of an SA are then spread over several trains, so a train is sent before more
 * than OVERTAKEN_MAX packets to its destination overtake it.
 */
static struct train_slot *slot_for(struct daemon *d, const struct esp_out *out)
{
	uint64_t sealed = d->out.sealed + out->plan.count - out->at;
	struct train_slot *empty = NULL, *mine = NULL;

	for (unsigned i = 0; i < TRAINS; i++) {
		struct train_slot *s = &d->out.slot[i];
		const struct esp_dest *has = &s->train.dest;

		if (s->train.count && same_place(has, &out->dest)) {
			if (has->tos >> 2 == out->dest.tos >> 2)
				mine = s;
			else if (sealed - s->order > OVERTAKEN_MAX && !slot_send(d, s))
				return NULL;
		}
		if (s->train.count == 0)
			empty = s;
	}
	if (mine && mine->train.dest.tos == out->dest.tos && mine->train.dest.df == out->dest.df)
		return mine;
	/* Another ECN field or DF needs a new train, sent after the present one. */
	if (!mine)
		mine = empty ? empty : oldest(d);
	return slot_send(d, mine) ? mine : NULL;
}

/* Seals the rest of `out`. False: the socket is full; a later call continues at out->at. */
static bool seal(struct daemon *d, struct esp_out *out, nsec_t now)
{
	for (;;) {
		struct train_slot *s = slot_for(d, out);
		enum esp_step step;
		unsigned before;

		if (!s)
			return false;
		before = s->train.count;
		if (before == 0)
			s->order = d->out.sealed;
		step = esp_seal(d->tunnel->path, out, &s->train, now);
		d->out.sealed += s->train.count - before;
		if (step == ESP_DONE)
			return true;
		if (!slot_send(d, s))
			return false;
	}
}

/* ---- packets ---- */

/* Tells the sender that its packet does not fit (RFC 4301 8.2.1), up to a limit per second. */
static void too_big(struct daemon *d, const struct esp_out *out, nsec_t now)
{
	struct pkt_super s;

	pkt_super_init(&s, d->in.super_buffer + TUN_HEADROOM, TUN_PACKET_MAX, 0);
	/* The buffer of the receive side is free: it holds no packet between turns. */
	s.len = icmp_too_big(s.base, ICMP_MAX, out->pkt, out->inner, out->mtu);
	s.count = 1;
	/* The bucket is charged only if there is an error to send. */
	if (s.len && bucket_take(&d->icmp_bucket, now))
		device_write(d->devices.all[out->device], &s);
}

/* Routes and seals `out` from out->at on; the segments before that are sent already. */
static void route(struct daemon *d, struct esp_out *out, nsec_t now)
{
	uint32_t at = out->at;

	d->out.pending = false;
	switch (esp_route(d->tunnel->path, out, now)) {
	case ESP_ROUTE_SEAL:
		out->at = at;
		d->out.pending = !seal(d, out, now);
		break;
	case ESP_ROUTE_NO_SA: tunnel_acquire(d->tunnel, out->policy, out->inner, now); break;
	case ESP_ROUTE_TOO_BIG: too_big(d, out, now); break;
	case ESP_ROUTE_DISCARD: break;
	}
}

/* Sends parked trains as far as the socket has room; reads TUN again when all are sent. */
static void unpark(struct daemon *d)
{
	if (!send_all(d))
		return;
	/* Routed again, as its SA may have been replaced meanwhile: a rekey loses no packet. */
	if (d->out.pending)
		route(d, &d->out.out, daemon_now());
	if (d->out.pending || !send_all(d))
		return;
	d->out.parked = false;
	event_del(d->out.writable[d->out.full]);
	devices_read(d, true);
}

static void serve(struct device *v)
{
	struct daemon *d = v->daemon;
	nsec_t now = daemon_now();
	uint64_t before;
	int r;

	for (uint32_t spent = 0; spent < TURN_BUDGET && !d->out.parked;) {
		r = tun_read(&v->tun, d->out.buffer, &d->out.out);
		if (r == -EIO)
			device_lost(v);
		if (r == 0 || r == -EIO)
			break;
		spent++;
		if (r < 0)
			continue;
		before = d->out.sealed;
		route(d, &d->out.out, now);
		spent += (uint32_t)max_u64(d->out.out.len >> 14, (d->out.sealed - before) / 16);
	}
	if (!d->out.parked)
		send_all(d);
}

void data_on_tun(evutil_socket_t fd, short what, void *ctx)
{
	struct device *v = ctx;

	(void)fd;
	(void)what;
	serve(v);
	daemon_turn(v->daemon);
}

void data_on_writable(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	unpark(ctx);
	daemon_turn(ctx);
}

/* ---- beginning and end ---- */

int data_out_init(struct daemon *d)
{
	struct data_out *o = &d->out;

	o->buffer = xzalloc(TUN_BUFFER);
	o->trains = xzalloc((size_t)TRAINS * ESP_BUFFER_MAX);
	for (unsigned i = 0; i < TRAINS; i++)
		esp_train_init(&o->slot[i].train, o->trains + (size_t)i * ESP_BUFFER_MAX,
			       TRAIN_MAX);
	bucket_init(&d->icmp_bucket, 100, 100);
	bucket_init(&d->mtu_bucket, 50, 50);
	return 0;
}

void data_out_fini(struct daemon *d)
{
	struct data_out *o = &d->out;

	/* They held inner packets. */
	secret_free(o->buffer, o->buffer ? TUN_BUFFER : 0);
	secret_free(o->trains, o->trains ? (size_t)TRAINS * ESP_BUFFER_MAX : 0);
}
