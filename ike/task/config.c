/*
 * config.c - addresses and more that the peer assigns to us, or we to it, in IKE_AUTH (RFC 7296
 * 2.19), and selectors that are "dynamic": such an address, or else the IKE SA's own.
 * SPDX-License-Identifier: ISC
 *
 *   HDR, SK {..., CP(CFG_REQUEST), SAi2, TSi, TSr}  -->
 *                               <--  HDR, SK {..., CP(CFG_REPLY), SAr2, TSi, TSr}
 *                               <--  HDR, SK {..., N(INTERNAL_ADDRESS_FAILURE)}  (no CHILD SA)
 *
 * Nothing is read from any other message: a CFG_SET, or a CFG_REPLY that was not asked for, changes
 * nothing.
 */
#include "task/exchanges.h"
#include "xalloc.h"

#define ASK_AGAIN (10 * NSEC_PER_SEC)

void config_write_request(struct ike_builder *b, const struct ike_sa *sa)
{
	struct cp_config c = {.addr_count = sa->conn->vip_count};

	if (!c.addr_count)
		return;
	memcpy(c.addr, sa->conn->vips, sizeof(c.addr));
	cp_write(b, CP_REQUEST, &c);
}

void config_read_reply(struct ike_sa *sa, const struct ike_payloads *p)
{
	struct cp_config c;
	uint8_t type;

	if (!sa->conn->vip_count || !p->cp.p || cp_parse(p->cp, &type, &c) < 0 ||
	    type != CP_REPLY || !c.addr_count)
		return;
	sa->config = xmemdup(&c, sizeof(c));
}

bool config_lacks_address(const struct ike_sa *sa, const struct child_conf *conf)
{
	return sa->conn->vip_count && !sa->config && ts_list_dynamic(conf->local_ts);
}

void config_give_up(struct ike_sa *sa, nsec_t now)
{
	if (!sa->conn->vip_count || sa->config)
		return;
	log_warn(sa->ike->log, "%s: the peer assigned no address: asking again in %u s",
		 sa_label(sa), (unsigned)(ASK_AGAIN / NSEC_PER_SEC));
	deadline_set(&sa->ike->deadlines, &sa->expire, now + ASK_AGAIN);
}

uint16_t config_assign(struct ike_sa *sa, const struct ike_payloads *p)
{
	struct cp_config asked, given;
	uint16_t error;
	uint8_t type;

	/* Where we have nothing to assign, the request is ignored (3.15.4). */
	if (!sa->conn->pool_count || !p->cp.p)
		return 0;
	if (cp_parse(p->cp, &type, &asked) < 0)
		return NOTIFY_INVALID_SYNTAX;
	if (type != CP_REQUEST || !asked.addr_count)
		return 0;
	error = sa->ike->ops.config_assign(sa->ike->ops.ctx, sa, &asked, &given);
	if (!error)
		sa->config = xmemdup(&given, sizeof(given));
	return error;
}

void config_write_reply(struct ike_builder *b, const struct ike_sa *sa)
{
	if (sa->config)
		cp_write(b, CP_REPLY, sa->config);
}

/* ---- dynamic selectors ---- */

static void add_range(struct ts_list *l, const struct ts *like, const struct addr *lo,
		      const struct addr *hi)
{
	struct ts t = *like;

	if (l->count == TS_MAX || lo->family == FAMILY_NONE)
		return;
	t.family = lo->family;
	t.lo = *lo;
	t.hi = *hi;
	l->ts[l->count++] = t;
}

/* Adds what takes the place of a dynamic selector. */
static void add_dynamic(struct ts_list *l, const struct ts *t, const struct ike_sa *sa, bool local)
{
	const struct conn_conf *conn = sa->conn;
	const struct addr *outer = local ? &sa->local.addr : &sa->remote.addr;

	if (local && conn->vip_count && !sa->config) {
		/* Not known yet: the peer narrows it to the address that it assigns (2.19). */
		for (unsigned i = 0; i < conn->vip_count; i++) {
			struct addr lo = {.family = conn->vips[i].family}, hi = lo;

			memset(hi.b, 0xff, addr_len(hi.family));
			add_range(l, t, &lo, &hi);
		}
	} else if (sa->config && (local ? conn->vip_count : conn->pool_count)) {
		for (unsigned i = 0; i < sa->config->addr_count; i++)
			add_range(l, t, &sa->config->addr[i], &sa->config->addr[i]);
	} else {
		add_range(l, t, outer, outer);
	}
}

void config_resolve(const struct ike_sa *sa, const struct ts_list *conf, bool local,
		    struct ts_list *ret)
{
	ret->count = 0;
	for (unsigned i = 0; i < conf->count && ret->count < TS_MAX; i++) {
		if (ts_is_dynamic(&conf->ts[i]))
			add_dynamic(ret, &conf->ts[i], sa, local);
		else
			ret->ts[ret->count++] = conf->ts[i];
	}
}

void config_resolve_task(struct child_task *t)
{
	const struct ike_sa *sa = t->task.ike_sa;
	const struct child_sa *old = t->task.child;
	struct ts_list l;

	if (t->local)
		return;
	if (old) {
		/* Its own copy, as the old one may end before the answer comes. */
		t->local = ts_list_dup(old->local);
		t->remote = ts_list_dup(old->remote);
		return;
	}
	if (!ts_list_dynamic(t->conf->local_ts) && !ts_list_dynamic(t->conf->remote_ts))
		return;
	config_resolve(sa, t->conf->local_ts, true, &l);
	t->local = ts_list_dup(&l);
	config_resolve(sa, t->conf->remote_ts, false, &l);
	t->remote = ts_list_dup(&l);
}

bool config_narrow(const struct ike_sa *sa, const struct child_conf *conf, struct ts_list *local)
{
	struct ts_list own, narrowed;

	if (!ts_list_dynamic(conf->local_ts))
		return true;
	if (config_lacks_address(sa, conf))
		return false;
	config_resolve(sa, conf->local_ts, true, &own);
	if (!ts_narrow(local, &own, &narrowed))
		return false;
	ts_list_copy(local, &narrowed);
	return true;
}
