/*
 * assigned.c - what the peer has assigned to a connection of ours (RFC 7296 2.19): told to the
 * owner of the tunnel while it applies. SPDX-License-Identifier: ISC
 */
#include "beside.h"
#include "child.h"
#include "conn.h"
#include "xalloc.h"

static void tell(struct tunnel_conn *c, const struct cp_config *config, bool add)
{
	const struct tunnel_child *k = LIST_FIRST(&c->children);

	c->tunnel->ops.config(c->tunnel->ops.ctx, c->conf, k ? k->device : 0, config, add);
}

void conn_assigned(struct tunnel_conn *c, const struct cp_config *config)
{
	struct cp_config *before = c->assigned;

	if (before && config && cp_eq(before, config))
		return;
	c->assigned = config ? xmemdup(config, sizeof(*config)) : NULL;
	/* What is in both is never gone: the callee counts. */
	if (config)
		tell(c, config, true);
	if (before)
		tell(c, before, false);
	free(before);
}

void conn_assigned_up(struct tunnel_conn *c, const struct ike_sa *sa)
{
	if (c->conf->vip_count && ike_sa_config(sa))
		conn_assigned(c, ike_sa_config(sa));
}

void conn_assigned_look(struct tunnel_conn *c)
{
	if (c->assigned && !c->sa && !c->beside && (!conn_is_mending(c) || c->tunnel->closing))
		conn_assigned(c, NULL);
}

/*
 * For the SPD before the IKE SA is there: "dynamic" is any address of the families that the
 * connection asks for, or one that it is configured with; without any, the selector is left out.
 */
static void add_addr(struct ts_list *l, const struct ts *like, const struct addr *lo,
		     const struct addr *hi)
{
	struct ts t = *like;

	if (l->count == TS_MAX)
		return;
	t.family = lo->family;
	t.lo = *lo;
	t.hi = *hi;
	l->ts[l->count++] = t;
}

static void add_dynamic(struct ts_list *l, const struct ts *t, const struct conn_conf *conf,
			bool local)
{
	unsigned count = local ? conf->local_count : conn_remote_count(conf);

	for (unsigned i = 0; local && i < conf->vip_count; i++) {
		struct addr lo = {.family = conf->vips[i].family}, hi = lo;

		memset(hi.b, 0xff, addr_len(hi.family));
		add_addr(l, t, &lo, &hi);
	}
	for (unsigned i = 0; !(local && conf->vip_count) && i < count; i++) {
		const struct addr *a = local ? &conf->local[i].addr : &conn_remote(conf, i)->addr;

		add_addr(l, t, a, a);
	}
}

struct ts_list *conn_selectors(const struct conn_conf *conf, const struct ts_list *from, bool local)
{
	struct ts_list l;

	l.count = 0;
	for (unsigned i = 0; i < from->count && l.count < TS_MAX; i++) {
		if (ts_is_dynamic(&from->ts[i]))
			add_dynamic(&l, &from->ts[i], conf, local);
		else
			l.ts[l.count++] = from->ts[i];
	}
	return ts_list_dup(&l);
}
