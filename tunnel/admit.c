/*
 * admit.c - what an authenticated peer may have: so many CHILD SAs, and none of what another peer
 * has. SPDX-License-Identifier: ISC
 *
 * Where a connection is for several peers (a pattern, or anyone), they share its selectors, and
 * each asks for the part that is its own. Only what is in use by another one shows that it is not.
 */
#include "tunnel.h"

static bool overlap(const struct ts_list *a, const struct ts_list *b)
{
	struct ts_list both;

	return ts_narrow(a, b, &both);
}

static bool lives(const struct tun_sa *s)
{
	return !s->retired && !s->ending;
}

/* A live SA of somebody else that has any of it; NULL: there is none. */
static const struct tun_sa *holder(const struct tunnel *t, const struct ident *peer,
				   const struct ts_list *local, const struct ts_list *remote)
{
	const struct tun_conn *c;
	const struct tun_child *k;
	const struct tun_sa *s;

	LIST_FOREACH (c, &t->conns, link) {
		if (ident_eq(conn_peer(c), peer))
			continue;
		LIST_FOREACH (k, &c->children, link) {
			LIST_FOREACH (s, &k->sas, link) {
				if (lives(s) && overlap(s->remote, remote) &&
				    overlap(s->local, local))
					return s;
			}
		}
	}
	return NULL;
}

/* With one more it would have more than a peer may. */
static bool has_enough(const struct tun_conn *c, const struct ts_list *more)
{
	const struct ike_settings *set = &c->tunnel->ike->set;
	unsigned children = 0, routes = more->count;
	const struct tun_child *k;
	const struct tun_sa *s;

	LIST_FOREACH (k, &c->children, link) {
		LIST_FOREACH (s, &k->sas, link) {
			children += lives(s);
			routes += lives(s) ? s->remote->count : 0;
		}
	}
	return children >= set->peer_children || routes > set->peer_routes;
}

uint16_t tun_child_admit(void *ctx, struct ike_sa *sa, const struct ts_list *local,
			 const struct ts_list *remote, bool rekeys, nsec_t now)
{
	struct tunnel *t = ctx;
	const struct tun_conn *c = sa->owner;
	const struct tun_sa *other;
	char peer[IDENT_STRLEN], who[IDENT_STRLEN];

	if (c && !rekeys && has_enough(c, remote)) {
		t->ike->counters[IKE_COUNT_PEER_LIMIT]++;
		log_peer(sa, now, LOG_LEVEL_WARNING, "%s: %.100s has as many CHILD SAs as it may",
			 c->conf->name, ident_format(&sa->peer_id, peer));
		return NOTIFY_NO_ADDITIONAL_SAS;
	}
	/* What a peer with a connection of its own gets is the operator's to say. */
	if (!ident_is_pattern(&sa->conn->remote_id))
		return 0;
	other = holder(t, &sa->peer_id, local, remote);
	if (!other)
		return 0;
	t->ike->counters[IKE_COUNT_PEER_LIMIT]++;
	log_peer(sa, now, LOG_LEVEL_WARNING, "%s: %.100s asks for what %.100s has: refused",
		 sa->conn->name, ident_format(&sa->peer_id, peer),
		 ident_format(conn_peer(other->child->conn), who));
	return NOTIFY_TS_UNACCEPTABLE;
}
