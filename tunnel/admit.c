/*
 * admit.c - the limits of an authenticated peer: a number of CHILD SAs, and no selectors that
 * another peer uses. SPDX-License-Identifier: ISC
 *
 * Where a connection is for several peers (a pattern, or anyone), they share its selectors, and
 * each asks for the part that is its own. Only an SA of another peer shows that a part is not.
 */
#include "child.h"
#include "conn.h"

static bool overlap(const struct ts_list *a, const struct ts_list *b)
{
	struct ts_list both;

	return ts_narrow(a, b, &both);
}

static bool is_live(const struct tunnel_sa *s)
{
	return !s->retired && !s->ending;
}

/*
 * The remote selectors of conf are a part of those of s, as of a default route, and s belongs to a
 * connection for one peer: the operator has given that part to the peers of conf. More specific
 * selectors go first.
 */
static bool is_carved_out(const struct tunnel_sa *s, const struct child_conf *conf)
{
	return !ident_is_pattern(&s->child->conn->conf->remote_id) &&
	       ts_list_within(conf->remote_ts, s->remote) &&
	       !ts_list_within(s->remote, conf->remote_ts);
}

/* A live SA of another peer that overlaps these selectors; NULL: there is none. */
static const struct tunnel_sa *holder(const struct tunnel *t, const struct ident *peer,
				      const struct child_conf *conf, const struct ts_list *local,
				      const struct ts_list *remote)
{
	const struct tunnel_conn *c;
	const struct tunnel_child *k;
	const struct tunnel_sa *s;

	LIST_FOREACH (c, &t->conns, link) {
		if (ident_eq(conn_peer(c), peer))
			continue;
		LIST_FOREACH (k, &c->children, link) {
			/* SAs on different devices take nothing from each other. */
			if (!child_conf_same_device(k->conf, conf))
				continue;
			LIST_FOREACH (s, &k->sas, link) {
				if (is_live(s) && overlap(s->remote, remote) &&
				    overlap(s->local, local) && !is_carved_out(s, conf))
					return s;
			}
		}
	}
	return NULL;
}

struct taken {
	unsigned children, routes;
};

static void take(struct taken *t, const struct tunnel_sa *s)
{
	t->children++;
	t->routes += s->remote->count;
}

/*
 * Whether the peer, with one more SA in place of `old`, would exceed the limits: those of one peer
 * on this IKE SA, or twice those on all, as a recovery makes each SA anew on another IKE SA. They
 * are not below what is configured.
 */
static bool has_enough(const struct tunnel_conn *c, const struct ike_sa *sa,
		       const struct ts_list *more, const struct child_sa *old)
{
	const struct ike_settings *set = ike_settings_of(c->tunnel->ike);
	const struct conn_conf *conf = c->conf;
	uint64_t children = max_u64(set->peer_children, conf->child_count);
	uint64_t routes = max_u64(set->peer_routes, conf->routes);
	struct taken here = {0}, in_all = {0};
	const struct tunnel_child *k;
	const struct tunnel_sa *s;

	LIST_FOREACH (k, &c->children, link) {
		LIST_FOREACH (s, &k->sas, link) {
			if (!is_live(s) || (old && s->ike == old))
				continue;
			take(&in_all, s);
			if (s->ike && child_sa_ike(s->ike) == sa)
				take(&here, s);
		}
	}
	return here.children >= children || in_all.children >= 2 * children ||
	       here.routes + more->count > routes || in_all.routes + more->count > 2 * routes;
}

/* Why there can be no CHILD SA with encap = "no"; NULL: there can. */
static const char *raw_is_impossible(const struct tunnel *t, const struct ike_sa *sa)
{
	if (ike_sa_conn(sa)->encap != ENCAP_NO)
		return NULL;
	if (t->only_udp)
		return "we cannot send ESP without UDP, as CAP_NET_RAW is missing";
	return ike_sa_in_udp(sa) ? "there is a NAT on the way, or one side says so" : NULL;
}

uint16_t tunnel_child_admit(void *ctx, struct ike_sa *sa, const struct child_conf *conf,
			    const struct ts_list *local, const struct ts_list *remote, bool ours,
			    const struct child_sa *old, nsec_t now)
{
	struct tunnel *t = ctx;
	const struct tunnel_conn *c = ike_sa_owner(sa);
	const struct tunnel_sa *other;
	const char *why = raw_is_impossible(t, sa);
	char peer[IDENT_STRLEN], who[IDENT_STRLEN];

	if (why) {
		log_limited(t->log, ike_peer_lines(t->ike, ike_sa_peer_id(sa)), now,
			    LOG_LEVEL_WARNING, "%s/%s: encap = \"no\", but %s: no CHILD SA",
			    ike_sa_conn(sa)->name, conf->name, why);
		return NOTIFY_NO_PROPOSAL_CHOSEN;
	}
	/* The peer has these selectors already. */
	if (old && ts_list_within(local, child_sa_local(old)) &&
	    ts_list_within(remote, child_sa_remote(old)) &&
	    remote->count <= child_sa_remote(old)->count)
		return 0;
	if (c && !ours && has_enough(c, sa, remote, old)) {
		ike_count(t->ike, IKE_COUNT_PEER_LIMIT);
		log_limited(t->log, ike_peer_lines(t->ike, ike_sa_peer_id(sa)), now,
			    LOG_LEVEL_WARNING,
			    "%s: %.100s has the maximum number of CHILD SAs or selectors: refused",
			    c->conf->name, ident_format(ike_sa_peer_id(sa), peer));
		return NOTIFY_NO_ADDITIONAL_SAS;
	}
	/* For a peer with a connection of its own the operator decides. */
	if (!ident_is_pattern(&ike_sa_conn(sa)->remote_id))
		return 0;
	other = holder(t, ike_sa_peer_id(sa), conf, local, remote);
	if (!other)
		return 0;
	ike_count(t->ike, IKE_COUNT_PEER_LIMIT);
	log_limited(t->log, ike_peer_lines(t->ike, ike_sa_peer_id(sa)), now, LOG_LEVEL_WARNING,
		    "%s: %.100s asks for selectors that %.100s uses: refused",
		    ike_sa_conn(sa)->name, ident_format(ike_sa_peer_id(sa), peer),
		    ident_format(conn_peer(other->child->conn), who));
	return NOTIFY_TS_UNACCEPTABLE;
}
