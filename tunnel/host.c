/*
 * host.c - what a connection does when addresses, devices or routes of this host change.
 * SPDX-License-Identifier: ISC
 */
#include "addresses.h"
#include "conn.h"

/* Several things change together: addresses come before the routes that make them useful. */
#define SETTLE (100 * NSEC_PER_MSEC)

/* Earlier failures do not count any more. */
static void call_soon(struct tunnel_conn *c, nsec_t now)
{
	c->failures = c->beside_failures = 0;
	c->not_before = 0;
	addresses_anew(c);
	if (conn_wanted(c) && conn_can_call(c))
		deadline_set(&c->tunnel->deadlines, &c->retry, now + SETTLE);
}

static bool has_left(const struct ike_sa *sa, bool (*is_ours)(const struct addr *a))
{
	return sa && !addr_is_any(&ike_sa_local(sa)->addr) && ike_sa_local(sa)->addr.family &&
	       !is_ours(&ike_sa_local(sa)->addr);
}

static void tell_left(const struct tunnel_conn *c, const struct ike_sa *sa, const char *what)
{
	char a[ADDR_STRLEN];

	log_warn(c->tunnel->log, "%s: %s is no address of this host any more, or never was: %s",
		 c->conf->name, addr_format(&ike_sa_local(sa)->addr, a), what);
}

static void leave(struct tunnel_conn *c, struct ike_sa *sa, nsec_t now)
{
	tell_left(c, sa, "making a new IKE SA");
	ike_sa_drop(sa, "this host does not have our address", now);
}

/*
 * Where a connection can go on from: the first of its configured addresses of the peer's family
 * that we still have, or whatever the system chooses, which we have to know if there may be no NAT;
 * false: none.
 */
static bool other_local(const struct tunnel_ops *ops, const struct ike_sa *sa,
			bool (*is_ours)(const struct addr *a), struct endpoint *ret)
{
	const struct conn_conf *c = ike_sa_conn(sa);
	const struct addr *remote = &ike_sa_remote(sa)->addr;

	*ret = (struct endpoint){.port = ike_sa_local(sa)->port};
	for (unsigned i = 0; i < c->local_count; i++) {
		const struct addr *a = &c->local[i].addr;

		if (a->family != remote->family || (!addr_is_any(a) && !is_ours(a)))
			continue;
		ret->addr = c->local[i].addr;
		return true;
	}
	if (c->local_count == 0 && c->encap != ENCAP_YES && ops->source)
		(void)ops->source(ops->ctx, remote, &ret->addr);
	return c->local_count == 0;
}

/* With MOBIKE the IKE SA goes on from another address of ours. */
static bool moves(struct tunnel_conn *c, bool (*is_ours)(const struct addr *a), nsec_t now)
{
	struct endpoint local;

	if (!ike_sa_can_move(c->sa) || !other_local(&c->tunnel->ops, c->sa, is_ours, &local))
		return false;
	tell_left(c, c->sa, "moving to another one");
	c->move_late = false;
	return ike_sa_move(c->sa, &local, ike_sa_remote(c->sa), now);
}

bool host_move_late(struct tunnel_conn *c, const struct ike_sa *sa, nsec_t now)
{
	if (sa != c->sa || !ike_sa_is_moving(sa))
		return false;
	if (!c->move_late)
		log_warn(c->tunnel->log,
			 "%s: the peer does not follow to our address yet: making a new IKE SA "
			 "beside",
			 c->conf->name);
	c->move_late = true;
	deadline_set(&c->tunnel->deadlines, &c->rung3, now);
	return true;
}

/* A peer that we cannot call has to call us, or the address comes back. */
static void conn_host_changed(struct tunnel_conn *c, bool (*is_ours)(const struct addr *a),
			      nsec_t now)
{
	if (has_left(c->beside, is_ours))
		leave(c, c->beside, now);
	if (has_left(c->sa, is_ours)) {
		if (moves(c, is_ours, now))
			return;
		/* The connection may have another IKE SA, which takes its place. */
		while (has_left(c->sa, is_ours))
			leave(c, c->sa, now);
		call_soon(c, now);
	} else if (c->sa && ike_sa_is_moving(c->sa)) {
		/* A route may have come only now; changes come in numbers. */
		if (now - ike_sa_last_sent(c->sa) >= SETTLE * 3)
			ike_send_now(c->sa, IKE_LATE_PROOF, now);
	} else if (c->sa && ike_sa_state(c->sa) == IKE_STATE_INIT_SENT &&
		   now - ike_sa_request_since(c->sa) >= SETTLE * 3) {
		/* Its next retransmission may be far away. */
		ike_sa_drop(c->sa, "trying again, as addresses or routes of this host have changed",
			    now);
		call_soon(c, now);
	} else if (!c->sa) {
		call_soon(c, now);
	}
}

void tunnel_host_changed(struct tunnel *t, bool (*is_ours)(const struct addr *a), nsec_t now)
{
	struct tunnel_conn *c, *next;

	t->now = now;
	for (c = LIST_FIRST(&t->conns); c; c = next) {
		next = LIST_NEXT(c, link);
		if (!c->dynamic && conn_can_call(c))
			conn_host_changed(c, is_ours, now);
	}
}
