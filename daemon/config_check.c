/*
 * config_check.c - checks of a connection and of a child that concern several options.
 * SPDX-License-Identifier: ISC
 */
#include "config_option.h"
#include "spd.h"

/* ---- a child ---- */

/* Whether the selector of one side has one of its family on the other. */
static bool has_partner(const struct ts *t, const struct ts_list *others)
{
	for (unsigned i = 0; i < others->count; i++) {
		if (ts_is_dynamic(t) || ts_is_dynamic(&others->ts[i]) ||
		    others->ts[i].family == t->family)
			return true;
	}
	return false;
}

/* Selectors of a family that the other side has not select nothing. */
static int check_partners(struct conf_reader *r, config_setting_t *g, const char *name,
			  const struct ts_list *l, const char *other, const struct ts_list *others)
{
	char text[TS_STRLEN];
	unsigned alone = 0, last = 0;

	for (unsigned i = 0; i < l->count; i++) {
		if (!has_partner(&l->ts[i], others)) {
			alone++;
			last = i;
		}
	}
	if (!alone)
		return 0;
	if (alone == l->count)
		return conf_fail(r, g,
				 "local_ts and remote_ts are of different families: no packet has "
				 "an IPv4 address on one side and an IPv6 address on the other");
	conf_doubt(r, config_setting_get_member(g, name),
		   "%s selects nothing, as %s has nothing of its family",
		   ts_format(&l->ts[last], text), other);
	return 0;
}

int conf_check_child(struct conf_reader *r, config_setting_t *g, const struct child_conf *c)
{
	config_setting_t *s = config_setting_get_member(g, "switchover");
	char err[OPTION_ERR];

	if (c->life_time && c->rekey_time && c->life_time <= c->rekey_time)
		return conf_fail(r, g, "life_time must be above rekey_time");
	if ((c->life_bytes && c->rekey_bytes >= c->life_bytes) ||
	    (c->life_packets && c->rekey_packets >= c->life_packets))
		return conf_fail(
			r, g,
			"rekey_bytes and rekey_packets must be below life_bytes and life_packets");
	if (check_partners(r, g, "local_ts", c->local_ts, "remote_ts", c->remote_ts) < 0 ||
	    check_partners(r, g, "remote_ts", c->remote_ts, "local_ts", c->local_ts) < 0)
		return -EINVAL;
	if (spd_pairs(c->local_ts, c->remote_ts) > SPD_PAIRS_MAX)
		return conf_fail(r, g,
				 "local_ts and remote_ts make more than %d pairs of networks: "
				 "spread them over several children",
				 SPD_PAIRS_MAX);
	if (tunnel_options_check(c->options, c->rekey_time, err) < 0)
		return conf_fail(r, s ? s : g, "%s", err);
	return 0;
}

/* ---- a connection ---- */

/* How far the addresses are from being able to talk to each other. */
enum reach { REACH_NO_FAMILY, REACH_NO_LOOPBACK, REACH };

static enum reach reach_of(const struct addr *a, const struct endpoint *v, unsigned count)
{
	enum reach best = REACH_NO_FAMILY;

	for (unsigned i = 0; i < count; i++) {
		if (v[i].addr.family != a->family)
			continue;
		if (addr_is_loopback(&v[i].addr) == addr_is_loopback(a))
			return REACH;
		best = REACH_NO_LOOPBACK;
	}
	return best;
}

/* The addresses of one side of a connection. */
struct side {
	const char *option;
	const struct endpoint *v;
	unsigned count;
};

/* Each address of the side needs one of the other. */
static int check_reach(struct conf_reader *r, config_setting_t *g, const struct side *side,
		       const struct side *other)
{
	char text[ADDR_STRLEN];

	for (unsigned i = 0; i < side->count; i++) {
		enum reach reach = reach_of(&side->v[i].addr, other->v, other->count);

		addr_format(&side->v[i].addr, text);
		if (reach == REACH_NO_FAMILY)
			return conf_fail(r, g, "%s has %s, but %s has no address of that family",
					 side->option, text, other->option);
		if (reach == REACH_NO_LOOPBACK)
			return conf_fail(r, g,
					 "%s has %s, which no address of %s reaches: loopback "
					 "addresses are for the host itself",
					 side->option, text, other->option);
	}
	return 0;
}

/* The same address and port on both sides. */
static int check_itself(struct conf_reader *r, config_setting_t *g, const struct conn_conf *c)
{
	char text[ADDR_STRLEN];

	for (unsigned i = 0; i < c->remote_count; i++) {
		for (unsigned k = 0; k < c->local_count; k++) {
			if (endpoint_eq(&c->remote[i], &c->local[k]))
				return conf_fail(r, g,
						 "%s is in local_addrs and in remote_addrs: the "
						 "connection would call itself",
						 addr_format(&c->remote[i].addr, text));
		}
	}
	return 0;
}

/* Each of the peer's addresses needs one of ours from which it can be reached, and the other way.
 */
static int check_addresses(struct conf_reader *r, config_setting_t *g, const struct conn_conf *c)
{
	const struct side local = {"local_addrs", c->local, c->local_count};
	const struct side remote = {"remote_addrs", c->remote, c->remote_count};

	if (c->local_count && check_reach(r, g, &remote, &local) < 0)
		return -EINVAL;
	if (!c->remote_any && !c->names && check_reach(r, g, &local, &remote) < 0)
		return -EINVAL;
	return check_itself(r, g, c);
}

/* A child that is to be started, of a connection that calls nobody. */
static void doubt_start(struct conf_reader *r, config_setting_t *g, const struct conn_conf *c)
{
	config_setting_t *all = config_setting_get_member(g, "children");

	for (unsigned i = 0; i < c->child_count; i++) {
		config_setting_t *s = config_setting_get_elem(all, i);

		if (c->children[i].start_action == START_START && c->remote_any &&
		    !c->remote_count && !c->names)
			conf_doubt(
				r, config_setting_get_member(s, "start_action"),
				"\"start\" calls nobody, as remote_addrs has \"%%any\" alone: add "
				"the address of the peer, or write \"none\" and let the peer call");
	}
}

/*
 * Whether one of the addresses of local_addrs is of this host, as all of 127.0.0.0/8 is; or may be,
 * when the addresses of the host cannot be known.
 */
static bool may_have_own(struct conf_reader *r, const struct conn_conf *c)
{
	for (unsigned i = 0; i < c->local_count; i++) {
		if (addr_is_loopback(&c->local[i].addr) || conf_is_own(r, &c->local[i].addr) != 0)
			return true;
	}
	return false;
}

/* No error, as an address may come later: by DHCP, or from another host of a cluster. */
static void doubt_local(struct conf_reader *r, config_setting_t *g, const struct conn_conf *c)
{
	if (c->local_count && !may_have_own(r, c))
		conf_doubt(r, config_setting_get_member(g, "local_addrs"),
			   "this host has none of these addresses, and reaches no peer before it "
			   "has one: write its own, or leave the option out");
}

int conf_check_conn(struct conf_reader *r, config_setting_t *g, const struct conn_conf *c)
{
	if ((c->local_port == IKE_PORT) != (c->remote_port == IKE_PORT))
		return conf_fail(r, g,
				 "local_port %u with remote_port %u: either both are 500 or "
				 "neither, as IKE on other ports has another form (RFC 3948)",
				 c->local_port, c->remote_port);
	if (c->vip_count && c->pool_count)
		return conf_fail(r, g,
				 "vips and pools: a connection is assigned addresses, or assigns "
				 "them");
	if (c->dns != DNS_NONE && !c->vip_count)
		return conf_fail(r, g, "dns needs vips: without, the peer assigns nothing");
	if (c->dns == DNS_NONE && c->dns_domains.count)
		return conf_fail(r, g, "dns_domains needs dns = \"resolved\"");
	doubt_start(r, g, c);
	doubt_local(r, g, c);
	return check_addresses(r, g, c);
}
