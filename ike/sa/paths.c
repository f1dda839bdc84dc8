/* paths.c - see paths.h. SPDX-License-Identifier: ISC */
#include "sa/paths.h"

/* So many sendings of a request go to the address in use before others are tried. */
#define SENDS_BEFORE_OTHERS 2

bool paths_are_ours(const struct ike_sa *sa)
{
	return sa->mobike && sa->original_initiator && sa->state == IKE_STATE_ESTABLISHED;
}

bool ike_sa_in_udp(const struct ike_sa *sa)
{
	return sa->claims_nat || sa->we_natted || sa->peer_natted;
}

/* The i-th address where the peer may be; false: there are no more. */
static bool address(const struct ike_sa *sa, unsigned i, struct endpoint *ret)
{
	unsigned configured = conn_remote_count(sa->conn);

	*ret = sa->remote;
	if (i < configured)
		ret->addr = conn_remote(sa->conn, i)->addr;
	else if (i - configured < sa->peer_addr_count)
		ret->addr = sa->peer_addrs[i - configured];
	else
		return false;
	return true;
}

static bool is_other(const struct ike_sa *sa, const struct endpoint *e)
{
	return e->addr.family == sa->remote.addr.family &&
	       addr_cmp(&e->addr, &sa->remote.addr) != 0;
}

bool paths_tried_others(const struct ike_sa *sa)
{
	return sa->window.sends > SENDS_BEFORE_OTHERS;
}

bool paths_have_other(const struct ike_sa *sa, const struct endpoint *e)
{
	struct endpoint other;

	for (unsigned i = 0; address(sa, i, &other); i++) {
		if (is_other(sa, &other) && endpoint_eq(&other, e))
			return true;
	}
	return false;
}

struct endpoint paths_destination(const struct ike_sa *sa)
{
	unsigned n = 0, turn;
	struct endpoint e;

	if (!paths_are_ours(sa) || sa->window.sends <= SENDS_BEFORE_OTHERS)
		return sa->remote;
	for (unsigned i = 0; address(sa, i, &e); i++)
		n += is_other(sa, &e);
	/* The address in use keeps its turn. */
	turn = (sa->window.sends - SENDS_BEFORE_OTHERS) % (n + 1);
	for (unsigned i = 0; turn && address(sa, i, &e); i++) {
		if (is_other(sa, &e) && --turn == 0)
			return e;
	}
	return sa->remote;
}

void paths_read(struct ike_sa *sa, const struct ike_payloads *p)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->notify_count; i++) {
		const struct ike_notify_view *v = &p->notify[i];
		bool v4 = v->type == NOTIFY_ADDITIONAL_IP4_ADDRESS;
		struct addr a = {.family = v4 ? FAMILY_IPV4 : FAMILY_IPV6};

		if ((!v4 && v->type != NOTIFY_ADDITIONAL_IP6_ADDRESS) ||
		    v->data.len != addr_len(a.family) || n == ARRAY_SIZE(sa->peer_addrs))
			continue;
		memcpy(a.b, v->data.p, v->data.len);
		if (!addr_is_any(&a))
			sa->peer_addrs[n++] = a;
	}
	sa->peer_addr_count = (uint8_t)n;
}

void paths_save(const struct ike_sa *sa, struct writer *w)
{
	wr_u8(w, sa->peer_addr_count);
	for (unsigned i = 0; i < sa->peer_addr_count; i++) {
		wr_u8(w, (uint8_t)sa->peer_addrs[i].family);
		wr_bytes(w, sa->peer_addrs[i].b, addr_len(sa->peer_addrs[i].family));
	}
}

void paths_load(struct ike_sa *sa, struct reader *r)
{
	unsigned n = rd_u8(r);

	r->bad |= n > ARRAY_SIZE(sa->peer_addrs);
	for (unsigned i = 0; i < n && !r->bad; i++) {
		struct addr *a = &sa->peer_addrs[i];
		const uint8_t *p;

		a->family = rd_u8(r);
		r->bad |= a->family != FAMILY_IPV4 && a->family != FAMILY_IPV6;
		p = r->bad ? NULL : rd_bytes(r, addr_len(a->family));
		if (p)
			memcpy(a->b, p, addr_len(a->family));
	}
	sa->peer_addr_count = (uint8_t)(r->bad ? 0 : n);
}
