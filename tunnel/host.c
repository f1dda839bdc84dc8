/*
 * host.c - what a connection does when addresses, devices or routes of this host change.
 * SPDX-License-Identifier: ISC
 */
#include "conn.h"

/* Several things change together: addresses come before the routes that make them useful. */
#define SETTLE (100 * NSEC_PER_MSEC)

/* Earlier failures do not count any more. */
static void call_soon(struct tunnel_conn *c, nsec_t now)
{
	c->failures = c->beside_failures = 0;
	c->not_before = 0;
	if (conn_wanted(c) && conn_can_call(c))
		deadline_set(&c->tunnel->deadlines, &c->retry, now + SETTLE);
}

static bool has_left(const struct ike_sa *sa, bool (*is_ours)(const struct addr *a))
{
	return sa && !addr_is_any(&ike_sa_local(sa)->addr) && ike_sa_local(sa)->addr.family &&
	       !is_ours(&ike_sa_local(sa)->addr);
}

static void leave(struct tunnel_conn *c, struct ike_sa *sa, nsec_t now)
{
	char a[ADDR_STRLEN];

	log_warn(c->tunnel->log, "%s: our address %s was removed: making a new IKE SA",
		 c->conf->name, addr_format(&ike_sa_local(sa)->addr, a));
	ike_sa_drop(sa, "our address was removed", now);
}

void tunnel_host_changed(struct tunnel *t, bool (*is_ours)(const struct addr *a), nsec_t now)
{
	struct tunnel_conn *c, *next;

	t->now = now;
	for (c = LIST_FIRST(&t->conns); c; c = next) {
		next = LIST_NEXT(c, link);
		/* A peer that we cannot call has to call us; or the address comes back. */
		if (c->dynamic || !conn_can_call(c))
			continue;
		if (has_left(c->beside, is_ours))
			leave(c, c->beside, now);
		if (has_left(c->sa, is_ours)) {
			/* The connection may have another IKE SA, which takes its place. */
			while (has_left(c->sa, is_ours))
				leave(c, c->sa, now);
			call_soon(c, now);
		} else if (c->sa && ike_sa_state(c->sa) == IKE_STATE_INIT_SENT &&
			   now - ike_sa_request_since(c->sa) >= SETTLE * 3) {
			/* Its next retransmission may be far away. */
			ike_sa_drop(
				c->sa,
				"trying again, as addresses or routes of this host have changed",
				now);
			call_soon(c, now);
		} else if (!c->sa) {
			call_soon(c, now);
		}
	}
}
