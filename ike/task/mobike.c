/*
 * mobike.c - moves an IKE SA and its CHILD SAs to other addresses (RFC 4555).
 * SPDX-License-Identifier: ISC
 *
 * The original initiator chooses the addresses, and moves by a request from the new ones:
 *
 *   HDR, SK {N(UPDATE_SA_ADDRESSES), N(NATD_S), N(NATD_D)}  -->
 *                                      <--  HDR, SK {N(NATD_S), N(NATD_D)}
 *
 * The other side sends ESP there once it knows that the peer receives there (3.7):
 *
 *                                      <--  HDR, SK {N(COOKIE2)}
 *   HDR, SK {N(COOKIE2)}               -->
 */
#include "sa/limits.h"
#include "sa/paths.h"
#include "task/exchanges.h"

#include <stdio.h>

#define COOKIE2_LEN 16 /* ours */
#define COOKIE2_MIN 8  /* 4.2.5 */
#define COOKIE2_MAX 64
/* How long an update may be unanswered: the owner is told then, and can make a new IKE SA. */
#define MOVE_LATE IKE_LATE_PROOF

static void notify(struct ike_builder *b, uint16_t type, struct chunk data)
{
	ib_notify(b, PROTOCOL_NONE, (struct chunk){0}, type, data);
}

/* ---- IKE_AUTH: support, and further addresses (3.1, 3.4) ---- */

void mobike_write_supported(struct ike_builder *b, const struct ike_sa *sa)
{
	const struct conn_conf *c = sa->conn;

	if (!c->mobike)
		return;
	notify(b, NOTIFY_MOBIKE_SUPPORTED, (struct chunk){0});
	for (unsigned i = 0; i < c->local_count; i++) {
		const struct addr *a = &c->local[i].addr;

		if (!addr_is_any(a) && addr_cmp(a, &sa->local.addr) != 0)
			notify(b,
			       a->family == FAMILY_IPV4 ? NOTIFY_ADDITIONAL_IP4_ADDRESS
							: NOTIFY_ADDITIONAL_IP6_ADDRESS,
			       (struct chunk){a->b, addr_len(a->family)});
	}
}

static bool has_addresses(const struct ike_payloads *p)
{
	return ike_find_notify(p, NOTIFY_ADDITIONAL_IP4_ADDRESS) ||
	       ike_find_notify(p, NOTIFY_ADDITIONAL_IP6_ADDRESS) ||
	       ike_find_notify(p, NOTIFY_NO_ADDITIONAL_ADDRESSES);
}

void mobike_read_supported(struct ike_sa *sa, const struct ike_payloads *p)
{
	sa->mobike = sa->conn->mobike && ike_find_notify(p, NOTIFY_MOBIKE_SUPPORTED);
	if (sa->mobike)
		paths_read(sa, p);
}

/* ---- the original initiator moves (3.5) ---- */

/* The task of task_mobike_update. */
struct update_task {
	struct ike_task task;
	struct endpoint local, remote; /* from where to where it was sent */
};

static void send_update(struct ike_sa *sa, struct ike_task *t, nsec_t now)
{
	struct update_task *u = container_of(t, struct update_task, task);
	uint8_t buf[256];
	struct ike_builder b;

	u->local = sa->local;
	u->remote = sa->remote;
	ib_inside(&b, buf, sizeof(buf));
	notify(&b, NOTIFY_UPDATE_SA_ADDRESSES, (struct chunk){0});
	nat_write(&b, sa, &sa->local, &sa->remote);
	exchange_send_request(sa, IKE_INFORMATIONAL, &b, now);
}

/* Asks for an update or a check, in a moment; one that waits is enough. */
static void queue(struct ike_sa *sa, const struct task_kind *kind, nsec_t now)
{
	struct ike_task *t;

	if (task_waiting(sa, kind))
		return;
	t = task_add(sa, kind, true);
	t->late = MOVE_LATE;
	deadline_set(&sa->ike->deadlines, &t->wait, now);
}

bool ike_sa_is_moving(const struct ike_sa *sa)
{
	return task_is_under_way(sa, &task_mobike_update);
}

bool mobike_is_checking(const struct ike_sa *sa)
{
	return task_is_under_way(sa, &task_mobike_check);
}

void mobike_inherit(struct ike_sa *sa, const struct ike_sa *old, nsec_t now)
{
	sa->mobike = old->mobike;
	sa->original_initiator = old->original_initiator;
	sa->peer_addr_count = old->peer_addr_count;
	memcpy(sa->peer_addrs, old->peer_addrs, sizeof(sa->peer_addrs));
	/* What waits moves over as all tasks do; what is outstanding is sent again. */
	if (ike_sa_is_moving(old) && !task_waiting(old, &task_mobike_update))
		queue(sa, &task_mobike_update, now);
	if (mobike_is_checking(old) && !task_waiting(old, &task_mobike_check))
		queue(sa, &task_mobike_check, now);
}

static void tell_moved(struct ike_sa *sa, nsec_t now)
{
	sa->ike->ops.ike_event(sa->ike->ops.ctx, sa, IKE_EVENT_MOVED, NULL, "moved", now);
}

bool ike_sa_move(struct ike_sa *sa, const struct endpoint *local, const struct endpoint *remote,
		 nsec_t now)
{
	char a[ENDPOINT_STRLEN];

	if (!paths_are_ours(sa))
		return false;
	sa->local = *local;
	sa_set_remote(sa, remote);
	sa->mapped_known = false;
	log_peer(sa, now, LOG_LEVEL_INFO,
		 "%s: sending from our present address to %s, and asking the peer to follow",
		 sa_label(sa), endpoint_format(remote, a));
	/* At once: what goes by the old addresses does not arrive. */
	queue(sa, &task_mobike_update, now);
	tell_moved(sa, now);
	/* What is outstanding goes on from the new address, and the update follows it. */
	ike_send_now(sa, MOVE_LATE, now);
	return true;
}

/* Whether there is a NAT by the new addresses; behind one its mapping is to be kept. */
static void look_for_nat(struct ike_sa *sa, const struct ike_in *in)
{
	if (!ike_find_notify(in->p, NOTIFY_NAT_DETECTION_SOURCE_IP))
		return;
	nat_read(sa, in->p, in->h->spi_i, in->h->spi_r, in->local, in->remote);
	sa_keep_mapping(sa, in->now);
}

static void on_updated(struct ike_sa *sa, const struct ike_in *in)
{
	struct ike_task *t = exchange_done(sa);
	struct update_task *u = container_of(t, struct update_task, task);
	const struct ike_notify_view *error = ike_find_error(in->p);
	bool stale = !endpoint_eq(&u->remote, &sa->remote) || !endpoint_eq(&u->local, &sa->local);
	char why[96];

	task_free(t);
	if (stale) {
		/* We have moved again since: another update follows, and only that one counts. */
		queue(sa, &task_mobike_update, in->now);
		return;
	}
	if (error) {
		snprintf(why, sizeof(why), "the peer refused our new address: %s",
			 ike_notify_name(error->type));
		sa_kill(sa, why, in->now);
		return;
	}
	sa->local = *in->local;
	look_for_nat(sa, in);
	log_peer(sa, in->now, LOG_LEVEL_INFO, "%s: the peer follows to our present address",
		 sa_label(sa));
	tell_moved(sa, in->now);
}

const struct task_kind task_mobike_update = {
	.exchange = IKE_INFORMATIONAL,
	.states = 1 << IKE_STATE_ESTABLISHED,
	.send = send_update,
	.on_response = on_updated,
	.size = sizeof(struct update_task),
};

void mobike_answered(struct ike_sa *sa, const struct ike_in *in)
{
	if (paths_are_ours(sa) && paths_tried_others(sa) && paths_have_other(sa, in->remote))
		ike_sa_move(sa, in->local, in->remote, in->now);
}

/* ---- the other side follows ---- */

/* The task of task_mobike_check. */
struct check_task {
	struct ike_task task;
	struct endpoint local, remote; /* that are checked */
	uint8_t cookie[COOKIE2_LEN];
};

static void send_check(struct ike_sa *sa, struct ike_task *t, nsec_t now)
{
	struct check_task *k = container_of(t, struct check_task, task);
	uint8_t buf[128];
	struct ike_builder b;

	k->local = sa->local;
	k->remote = sa->remote;
	rng_fill(sa->ike->rng, k->cookie, sizeof(k->cookie));
	ib_inside(&b, buf, sizeof(buf));
	notify(&b, NOTIFY_COOKIE2, (struct chunk){k->cookie, sizeof(k->cookie)});
	exchange_send_request(sa, IKE_INFORMATIONAL, &b, now);
}

static void on_checked(struct ike_sa *sa, const struct ike_in *in)
{
	struct check_task *k = container_of(exchange_done(sa), struct check_task, task);
	const struct ike_notify_view *cookie = ike_find_notify(in->p, NOTIFY_COOKIE2);
	bool right = cookie && cookie->data.len == sizeof(k->cookie) &&
		     memcmp(cookie->data.p, k->cookie, sizeof(k->cookie)) == 0;
	bool current = endpoint_eq(&k->remote, &sa->remote) && endpoint_eq(&k->local, &sa->local);

	task_free(&k->task);
	if (!right) /* 3.7: the IKE SA must be closed */
		sa_kill(sa, "the peer answered the check of its address without the cookie",
			in->now);
	else if (current) /* or it moved again, and another check follows */
		tell_moved(sa, in->now);
}

const struct task_kind task_mobike_check = {
	.exchange = IKE_INFORMATIONAL,
	.states = 1 << IKE_STATE_ESTABLISHED,
	.send = send_check,
	.on_response = on_checked,
	.size = sizeof(struct check_task),
};

/* Whether the addresses that the peer saw are those of the datagram: no NAT is in between (3.9). */
static bool no_nat(const struct ike_notify_view *n, const struct ike_in *in)
{
	size_t len = addr_len(in->remote->addr.family);
	struct reader r;
	const uint8_t *from, *to;
	uint16_t from_port, to_port;

	rd_init(&r, n->data.p, n->data.len);
	from = rd_bytes(&r, len);
	to = rd_bytes(&r, len);
	from_port = rd_be16(&r);
	to_port = rd_be16(&r);
	return rd_done(&r) && memcmp(from, in->remote->addr.b, len) == 0 &&
	       memcmp(to, in->local->addr.b, len) == 0 && from_port == in->remote->port &&
	       to_port == in->local->port;
}

/* Whether our configuration admits the addresses that the request came by. */
static bool is_acceptable(const struct ike_sa *sa, const struct ike_in *in)
{
	const struct conn_conf *c = sa->conn;

	return c->local_count == 0 || endpoints_have(c->local, c->local_count, &in->local->addr);
}

static void follow(struct ike_sa *sa, const struct ike_in *in)
{
	char a[ENDPOINT_STRLEN], b[ENDPOINT_STRLEN];
	bool in_udp = ike_sa_in_udp(sa);

	look_for_nat(sa, in);
	if (endpoint_eq(&sa->remote, in->remote) && endpoint_eq(&sa->local, in->local)) {
		if (ike_sa_in_udp(sa) != in_udp)
			tell_moved(sa, in->now);
		return;
	}
	log_peer(sa, in->now, LOG_LEVEL_INFO, "%s: the peer moves from %s to %s", sa_label(sa),
		 endpoint_format(&sa->remote, a), endpoint_format(in->remote, b));
	sa->local = *in->local;
	sa_set_remote(sa, in->remote);
	queue(sa, &task_mobike_check, in->now);
}

uint16_t mobike_refuses(const struct ike_in *in)
{
	const struct ike_notify_view *nats = ike_find_notify(in->p, NOTIFY_NO_NATS_ALLOWED);

	return nats && !no_nat(nats, in) ? NOTIFY_UNEXPECTED_NAT_DETECTED : 0;
}

void mobike_on_request(struct ike_sa *sa, const struct ike_in *in, struct ike_builder *b)
{
	const struct ike_notify_view *cookie = ike_find_notify(in->p, NOTIFY_COOKIE2);
	bool update = !sa->original_initiator && ike_find_notify(in->p, NOTIFY_UPDATE_SA_ADDRESSES);
	uint16_t error;

	if (!sa->mobike)
		return;
	error = mobike_refuses(in);
	if (!error && update && !is_acceptable(sa, in))
		error = NOTIFY_UNACCEPTABLE_ADDRESSES;
	if (error)
		notify(b, error, (struct chunk){0});
	else if (update)
		follow(sa, in);
	if (!error && has_addresses(in->p))
		paths_read(sa, in->p);
	if (!error && ike_find_notify(in->p, NOTIFY_NAT_DETECTION_SOURCE_IP))
		nat_write(b, sa, in->local, in->remote);
	if (cookie && cookie->data.len >= COOKIE2_MIN && cookie->data.len <= COOKIE2_MAX)
		notify(b, NOTIFY_COOKIE2, cookie->data);
}

/* ---- a NAT's mapping that changes (3.8) ---- */

void mobike_write_liveness(struct ike_builder *b, struct ike_sa *sa)
{
	if (sa->mobike && sa->original_initiator && sa->we_natted)
		nat_write(b, sa, &sa->local, &sa->remote);
}

void mobike_on_alive(struct ike_sa *sa, const struct ike_in *in)
{
	const struct ike_notify_view *n =
		ike_find_notify(in->p, NOTIFY_NAT_DETECTION_DESTINATION_IP);
	bool known = sa->mapped_known;

	if (!sa->mobike || !sa->original_initiator || !n || n->data.len != sizeof(sa->mapped))
		return;
	if (known && memcmp(sa->mapped, n->data.p, sizeof(sa->mapped)) != 0)
		ike_sa_move(sa, &sa->local, &sa->remote, in->now);
	memcpy(sa->mapped, n->data.p, sizeof(sa->mapped));
	sa->mapped_known = true;
}
