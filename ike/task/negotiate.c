/*
 * negotiate.c - what IKE_AUTH and CREATE_CHILD_SA share: proposals, selectors, keys of CHILD SAs
 * (RFC 7296 2.7, 2.9, 2.17). SPDX-License-Identifier: ISC
 */
#include "task/exchanges.h"
#include "xalloc.h"

/* Reads the selectors of our side and the peer's: TSi is the side of whoever sent the request. */
bool child_read_ts(const struct ike_payloads *p, bool we_asked, struct ts_list *local,
		   struct ts_list *remote)
{
	return ike_ts_parse(we_asked ? p->tsi : p->tsr, local) == 0 &&
	       ike_ts_parse(we_asked ? p->tsr : p->tsi, remote) == 0;
}

/*
 * 2.9: the first selector of an offer may be that of a packet. Moves the narrowed one that contains
 * it to the front.
 */
static void prefer_first(struct ts_list *narrowed, const struct ts_list *offer)
{
	for (unsigned i = 1; offer->count > 1 && i < narrowed->count; i++) {
		if (ts_contains(&narrowed->ts[i], &offer->ts[0])) {
			struct ts t = narrowed->ts[i];

			narrowed->ts[i] = narrowed->ts[0];
			narrowed->ts[0] = t;
			return;
		}
	}
}

/* With what of our configuration an offer for one side has something in common. */
static bool narrow_side(const struct ike_sa *sa, const struct ts_list *offer,
			const struct ts_list *conf, bool local, struct ts_list *ret)
{
	struct ts_list own;

	if (!ts_list_dynamic(conf))
		return ts_narrow(offer, conf, ret);
	config_resolve(sa, conf, local, &own);
	return ts_narrow(offer, &own, ret);
}

static bool narrow(const struct ike_sa *sa, const struct child_conf *conf,
		   const struct ts_list *local, const struct ts_list *remote, struct child_offer *o)
{
	/* A dynamic side without an address would stand for any address of the family. */
	if (config_lacks_address(sa, conf) ||
	    !narrow_side(sa, local, conf->local_ts, true, &o->local) ||
	    !narrow_side(sa, remote, conf->remote_ts, false, &o->remote))
		return false;
	prefer_first(&o->local, local);
	prefer_first(&o->remote, remote);
	return true;
}

/*
 * The SA that replaces `old` must not have narrower selectors (2.9.2): traffic that the old one
 * carries would be left without an SA.
 */
static bool keeps_all(const struct child_offer *o, const struct child_sa *old)
{
	return ts_list_within(old->local, &o->local) && ts_list_within(old->remote, &o->remote);
}

static uint16_t choose(const struct child_conf *conf, const struct proposal_offer *offer,
		       bool with_ke, uint16_t group, struct child_offer *o)
{
	o->conf = conf;
	if (!proposals_choose(&conf->proposals, offer, with_ke, group, &o->choice) ||
	    o->choice.spi < 256)
		return NOTIFY_NO_PROPOSAL_CHOSEN;
	if (with_ke && o->choice.group != GROUP_NONE && o->choice.group != group)
		return NOTIFY_INVALID_KE_PAYLOAD;
	return 0;
}

uint16_t child_admit(struct ike_sa *sa, const struct child_offer *o, bool ours,
		     const struct child_sa *old, nsec_t now)
{
	struct ike *ike = sa->ike;

	return ike->ops.child_admit(ike->ops.ctx, sa, o->conf, &o->local, &o->remote, ours, old,
				    now);
}

uint16_t child_negotiate(struct ike_sa *sa, const struct ike_payloads *p, bool with_ke,
			 const struct child_sa *old, struct child_offer *ret, nsec_t now)
{
	struct ts_list local, remote;
	struct proposal_offer offer;
	uint16_t error = NOTIFY_TS_UNACCEPTABLE;

	ret->lost = false;
	if (!child_read_ts(p, false, &local, &remote) || proposals_parse(p->sa, &offer) < 0)
		return NOTIFY_INVALID_SYNTAX;
	for (unsigned i = 0; i < sa->conn->child_count; i++) {
		const struct child_conf *conf = old ? old->conf : &sa->conn->children[i];

		if (narrow(sa, conf, &local, &remote, ret)) {
			uint16_t e = choose(conf, &offer, with_ke, p->ke.group, ret);

			if (e == 0 && old && !keeps_all(ret, old))
				e = NOTIFY_TS_UNACCEPTABLE;
			if (e == 0)
				e = child_admit(sa, ret, false, old, now);
			if (e == 0)
				return 0;
			error = e;
		}
		if (old)
			break;
	}
	return error;
}

/*
 * The response may narrow what we offered, but not go beyond it: the peer would get what it is not
 * meant to have, or what belongs to another peer.
 */
static bool is_within_offer(const struct child_task *t, const struct child_offer *o)
{
	return ts_list_within(&o->local, child_task_local(t)) &&
	       ts_list_within(&o->remote, child_task_remote(t));
}

uint16_t child_check_answer(struct ike_sa *sa, const struct ike_payloads *p, bool with_ke,
			    const struct child_task *t, struct child_offer *ret, nsec_t now)
{
	const struct child_conf *conf = t->conf;
	struct proposal_offer answer;
	uint16_t group = with_ke && t->kex ? kex_group(t->kex) : GROUP_NONE;

	ret->conf = conf;
	ret->lost = false;
	if (!child_read_ts(p, true, &ret->local, &ret->remote) ||
	    proposals_parse(p->sa, &answer) < 0)
		return NOTIFY_INVALID_SYNTAX;
	if (answer.count != 1 ||
	    !proposals_choose(&conf->proposals, &answer, with_ke, group, &ret->choice) ||
	    ret->choice.spi < 256)
		return NOTIFY_NO_PROPOSAL_CHOSEN;
	/*
	 * The peer may choose the group of our KE payload, or no key exchange if we offered that.
	 */
	if (with_ke && ret->choice.group != GROUP_NONE && ret->choice.group != group)
		return NOTIFY_NO_PROPOSAL_CHOSEN;
	if (with_ke && p->ke.group != ret->choice.group)
		return NOTIFY_INVALID_SYNTAX;
	if (!is_within_offer(t, ret) || !config_narrow(sa, conf, &ret->local))
		return NOTIFY_TS_UNACCEPTABLE;
	if (t->task.child && !keeps_all(ret, t->task.child))
		return NOTIFY_SINGLE_PAIR_REQUIRED;
	return child_admit(sa, ret, true, t->task.child, now);
}

struct child_sa *child_install(struct ike_sa *sa, const struct child_offer *o, uint32_t spi_in,
			       bool initiator, const struct kex_secrets *secrets,
			       const struct nonce *ni, const struct nonce *nr,
			       struct child_sa *replaces, nsec_t now)
{
	struct ike *ike = sa->ike;
	struct child_keys keys;
	struct child_sa *c = child_new(sa, o->conf);
	int r;

	c->spi_in = spi_in;
	c->spi_out = (uint32_t)o->choice.spi;
	c->choice = o->choice;
	c->local = ts_list_dup(&o->local);
	c->remote = ts_list_dup(&o->remote);
	c->initiator = c->confirmed = initiator;
	c->replaces = replaces;
	c->successor = o->lost;
	r = keymat_child(sa->prf, o->choice.suite, sa->keys.sk_d, secrets, nonce_chunk(ni),
			 nonce_chunk(nr), &keys);
	if (r == 0)
		r = ike->ops.child_install(ike->ops.ctx, c, &keys, replaces, now);
	secret_wipe(&keys, sizeof(keys));
	if (r < 0) {
		child_unlink(c);
		child_free(c);
		ike->ops.spi_release(ike->ops.ctx, spi_in);
		return NULL;
	}
	child_arm(c, now);
	ike->ops.child_event(ike->ops.ctx, c, CHILD_EVENT_UP, NULL, now);
	return c;
}

void child_write_ts(struct ike_builder *b, const struct ts_list *tsi, const struct ts_list *tsr)
{
	ib_ts(b, PAYLOAD_TSI, tsi);
	ib_ts(b, PAYLOAD_TSR, tsr);
}

/* The selector of the packet, if there is one, then the configured ones (2.9). */
static void with_first(const struct ts_list *conf, const struct ts *first, bool has,
		       struct ts_list *ret)
{
	ret->count = 0;
	if (has)
		ret->ts[ret->count++] = *first;
	for (unsigned i = 0; i < conf->count && ret->count < TS_MAX; i++)
		ret->ts[ret->count++] = conf->ts[i];
}

void child_write_offer(struct ike_builder *b, const struct child_task *t, uint32_t spi,
		       bool with_ke, struct chunk nonce)
{
	struct ts_list local, remote;
	uint8_t spi_bytes[4];

	put_be32(spi_bytes, spi);
	proposals_write(b, &t->conf->proposals, (struct chunk){spi_bytes, 4},
			!with_ke    ? PROPOSAL_KEX_CUT
			: t->no_kex ? PROPOSAL_KEX_NONE
				    : PROPOSAL_KEX);
	if (nonce.len)
		ib_payload(b, PAYLOAD_NONCE, nonce);
	if (with_ke && t->kex)
		ib_ke(b, kex_group(t->kex), kex_public(t->kex));
	with_first(child_task_local(t), &t->first_ts[0], t->has_first, &local);
	with_first(child_task_remote(t), &t->first_ts[1], t->has_first, &remote);
	child_write_ts(b, &local, &remote);
}
