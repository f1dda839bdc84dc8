/*
 * traffic.c - where packets of a child find their SAs, and what the engine asks of these packets
 * (struct ike_ops). SPDX-License-Identifier: ISC
 */
#include "child.h"

struct esp_sa *tunnel_sa_esp(const struct tunnel_sa *s)
{
	return sad_find(&s->child->conn->tunnel->path->sad, s->spi);
}

struct spd *tunnel_child_spd(const struct tunnel_child *k)
{
	return &k->conn->tunnel->path->devices[k->device].spd;
}

nsec_t tunnel_last_inbound(void *ctx, const struct ike_sa *sa)
{
	const struct child_sa *c;
	nsec_t last = 0;

	(void)ctx;
	for (c = ike_first_child(sa); c; c = ike_next_child(c)) {
		const struct tunnel_sa *s = child_sa_owner(c);
		const struct esp_sa *e = s ? tunnel_sa_esp(s) : NULL;

		if (e && e->in.last_fresh > last)
			last = e->in.last_fresh;
	}
	return last;
}

bool tunnel_keep_mapping(void *ctx, const struct ike_sa *sa)
{
	struct tunnel *t = ctx;
	const struct child_sa *c;

	for (c = ike_first_child(sa); c; c = ike_next_child(c)) {
		struct tunnel_sa *s = child_sa_owner(c);
		struct esp_sa *e = s && s->active ? tunnel_sa_esp(s) : NULL;
		uint64_t before = e ? e->out.packets : 0;

		if (!e)
			continue;
		if (before == s->mapping_out)
			t->ops.dummy(t->ops.ctx, e);
		/* The dummy is no packet that the peer leaves unanswered (hint_silent_due). */
		if (s->silent_out == before)
			s->silent_out = e->out.packets;
		s->mapping_out = e->out.packets;
		return true;
	}
	return false;
}
