/*
 * ike_saved.c - writes IKE SAs and CHILD SAs for the next process, and reads them.
 * SPDX-License-Identifier: ISC
 *
 * Only settled SAs are written, so there is no pending request, collision or response in them.
 * Times are those of CLOCK_MONOTONIC, which both processes share.
 */
#include "sa/exchange.h"
#include "sa/paths.h"
#include "saved.h"
#include "xalloc.h"

#define SAVED_LEAP 64 /* IVs of SK payloads that the next process skips */

static bool child_is_settled(const struct child_sa *c)
{
	return (c->state == CHILD_STATE_INSTALLED || c->state == CHILD_STATE_REKEYING) &&
	       !c->successor && !c->replaces && !c->voided && c->confirmed;
}

bool ike_sa_is_settled(const struct ike_sa *sa)
{
	const struct ike_task *t;
	const struct child_sa *c;

	if (sa->state != IKE_STATE_ESTABLISHED || sa->outstanding || sa->unresolved ||
	    sa->rival_of || sa->followups)
		return false;
	TAILQ_FOREACH (t, &sa->tasks, link) {
		if (!task_can_wait(t))
			return false;
	}
	LIST_FOREACH (c, &sa->children, link) {
		if (!child_is_settled(c))
			return false;
	}
	return true;
}

/* NSEC_NEVER: not set. */
static nsec_t when(const struct deadline *d)
{
	return deadline_is_set(d) ? d->at : NSEC_NEVER;
}

/*
 * When the SA (c, or sa if c is NULL) is to be rekeyed; 0: now. The time of a waiting rekey,
 * otherwise that of the deadline.
 */
static nsec_t rekey_at(const struct ike_sa *sa, const struct child_sa *c)
{
	const struct ike_task *t;

	TAILQ_FOREACH (t, &sa->tasks, link) {
		if (c ? t->kind->rekeys == REKEYS_CHILD_SA && t->child == c
		      : t->kind->rekeys == REKEYS_IKE_SA)
			return deadline_is_set(&t->wait) ? t->wait.at : 0;
	}
	return when(c ? &c->rekey : &sa->rekey);
}

/* ---- parts ---- */

static void choice_save(const struct proposal_choice *c, struct writer *w)
{
	wr_u8(w, c->protocol);
	wr_be16(w, c->suite->encr);
	wr_be16(w, c->suite->key_bits);
	wr_be16(w, c->suite->integ);
	wr_be16(w, c->prf);
	wr_be16(w, c->group);
	wr_u8(w, c->esn);
	for (unsigned i = 0; i < ADDKE_MAX; i++)
		wr_be16(w, c->addke[i]);
}

static int choice_load(struct reader *r, struct proposal_choice *ret)
{
	uint16_t encr, key_bits, integ;

	*ret = (struct proposal_choice){.protocol = rd_u8(r)};
	encr = rd_be16(r);
	key_bits = rd_be16(r);
	integ = rd_be16(r);
	ret->prf = rd_be16(r);
	ret->group = rd_be16(r);
	ret->esn = rd_u8(r);
	for (unsigned i = 0; i < ADDKE_MAX; i++)
		ret->addke[i] = rd_be16(r);
	ret->suite = suite_find(encr, key_bits, integ);
	return r->bad || !ret->suite ? -EBADMSG : 0;
}

static void ident_save(const struct ident *id, struct writer *w)
{
	wr_u8(w, id->type);
	wr_be16(w, id->len);
	wr_bytes(w, id->data, id->len);
}

/* Checked as what it is, an identity from a peer. */
static int ident_load(struct reader *r, struct ident *ret)
{
	uint8_t type = rd_u8(r);
	uint16_t len = rd_be16(r);
	const uint8_t *p = rd_bytes(r, len);

	return p ? ident_from_wire(type, (struct chunk){p, len}, ret) : -EBADMSG;
}

/* The certificates, or the key alone; 0xff: a pre-shared key. */
static void proof_save(const struct peer_proof *p, struct writer *w)
{
	struct chunk key;

	wr_u8(w, p ? (uint8_t)p->chain.count : 0xff);
	for (unsigned i = 0; p && i < p->chain.count; i++) {
		struct chunk der = cert_der(p->chain.v[i]);

		wr_be32(w, (uint32_t)der.len);
		wr_bytes(w, der.p, der.len);
	}
	if (!p || p->chain.count)
		return;
	key = pkey_spki(p->key);
	wr_be32(w, (uint32_t)key.len);
	wr_bytes(w, key.p, key.len);
}

static struct chunk bytes_load(struct reader *r)
{
	struct chunk c = {.len = rd_be32(r)};

	c.p = rd_bytes(r, c.len);
	return r->bad ? (struct chunk){0} : c;
}

static int proof_load(struct reader *r, struct peer_proof **ret)
{
	uint8_t count = rd_u8(r);
	struct cert_chain chain = {0};
	struct pkey *key = NULL;
	const struct cert *c;

	if (r->bad || (count > CHAIN_MAX && count != 0xff))
		return -EBADMSG;
	if (count == 0xff)
		return 0;
	if (count == 0)
		key = pkey_from_spki(bytes_load(r));
	while (chain.count < count && (c = cert_from_der(bytes_load(r))))
		chain.v[chain.count++] = c;
	if (chain.count == count && (count || key))
		*ret = proof_new(key ? key : cert_key(chain.v[0]), count ? &chain : NULL);
	pkey_unref(key);
	cert_chain_fini(&chain);
	return *ret ? 0 : -EBADMSG;
}

static void window_save(const struct ike_sa *sa, struct writer *w)
{
	wr_be32(w, sa->window.next_id);
	wr_be32(w, sa->window.expected_id);
	sent_save(&sa->window.response, w);
	for (unsigned i = 0; i < REMEMBERED_REQUESTS; i++) {
		wr_be32(w, sa->window.remembered[i].id);
		wr_u8(w, sa->window.remembered[i].used);
		wr_bytes(w, sa->window.remembered[i].digest,
			 sizeof(sa->window.remembered[i].digest));
	}
	wr_u8(w, sa->window.head_len);
	wr_bytes(w, sa->window.head, sizeof(sa->window.head));
}

static int window_load(struct reader *r, struct ike_sa *sa)
{
	const uint8_t *head;

	sa->window.next_id = rd_be32(r);
	sa->window.expected_id = rd_be32(r);
	sent_load(&sa->window.response, r);
	for (unsigned i = 0; i < REMEMBERED_REQUESTS; i++) {
		const uint8_t *d;

		sa->window.remembered[i].id = rd_be32(r);
		sa->window.remembered[i].used = rd_u8(r);
		d = rd_bytes(r, sizeof(sa->window.remembered[i].digest));
		if (d)
			memcpy(sa->window.remembered[i].digest, d,
			       sizeof(sa->window.remembered[i].digest));
	}
	sa->window.head_len = rd_u8(r);
	head = rd_bytes(r, sizeof(sa->window.head));
	if (head)
		memcpy(sa->window.head, head, sizeof(sa->window.head));
	return r->bad ? -EBADMSG : 0;
}

static void times_save(const struct ike_sa *sa, struct writer *w)
{
	const nsec_t t[] = {sa->established,   sa->last_heard, sa->last_sent,
			    sa->began,	       sa->called,     rekey_at(sa, NULL),
			    when(&sa->expire), when(&sa->dpd), when(&sa->keepalive)};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		wr_be64(w, t[i]);
}

static void times_load(struct reader *r, struct ike_sa *sa)
{
	struct deadline_heap *h = &sa->ike->deadlines;

	sa->established = rd_be64(r);
	sa->last_heard = rd_be64(r);
	sa->last_sent = rd_be64(r);
	sa->began = rd_be64(r);
	sa->called = rd_be64(r);
	deadline_set(h, &sa->rekey, rd_be64(r));
	deadline_set(h, &sa->expire, rd_be64(r));
	deadline_set(h, &sa->dpd, rd_be64(r));
	deadline_set(h, &sa->keepalive, rd_be64(r));
}

/* ---- what was assigned ---- */

static void addrs_save(const struct addr *v, uint8_t count, struct writer *w)
{
	wr_u8(w, count);
	for (unsigned i = 0; i < count; i++) {
		const struct endpoint e = {.addr = v[i]};

		endpoint_save(&e, w);
	}
}

static int addrs_load(struct reader *r, struct addr *v, uint8_t *count, unsigned max)
{
	struct endpoint e;

	*count = rd_u8(r);
	if (*count > max)
		return -EBADMSG;
	for (unsigned i = 0; i < *count; i++) {
		if (endpoint_load(r, &e) < 0 || e.addr.family == FAMILY_NONE)
			return -EBADMSG;
		v[i] = e.addr;
	}
	return 0;
}

static void config_save(const struct cp_config *c, struct writer *w)
{
	wr_u8(w, c != NULL);
	if (!c)
		return;
	addrs_save(c->addr, c->addr_count, w);
	addrs_save(c->dns, c->dns_count, w);
	wr_u8(w, c->subnet_count);
	for (unsigned i = 0; i < c->subnet_count; i++) {
		addrs_save(&c->subnet[i].addr, 1, w);
		wr_u8(w, c->subnet[i].len);
	}
}

static int config_load(struct reader *r, struct cp_config **ret)
{
	struct cp_config c = {0};
	uint8_t one;

	if (!rd_u8(r))
		return 0;
	if (addrs_load(r, c.addr, &c.addr_count, CP_ADDRS) < 0 ||
	    addrs_load(r, c.dns, &c.dns_count, CP_DNS) < 0)
		return -EBADMSG;
	c.subnet_count = rd_u8(r);
	for (unsigned i = 0; i < c.subnet_count; i++) {
		if (i == CP_SUBNETS || addrs_load(r, &c.subnet[i].addr, &one, 1) < 0 || one != 1)
			return -EBADMSG;
		c.subnet[i].len = rd_u8(r);
	}
	*ret = xmemdup(&c, sizeof(c));
	return 0;
}

/* ---- an IKE SA ---- */

enum {
	WE_NATTED = 1,
	PEER_NATTED = 2,
	HA_PEER = 4,
	SYNCED = 8,
	INITIATOR = 16,
	FRAGMENTS = 32,
	MOBIKE = 64,
	CALLED = 128,
	CLAIMS_NAT = 256,
};

void ike_sa_save(const struct ike_sa *sa, struct writer *w)
{
	wr_be16(w, (uint16_t)((sa->initiator ? INITIATOR : 0) | (sa->we_natted ? WE_NATTED : 0) |
			      (sa->peer_natted ? PEER_NATTED : 0) | (sa->ha_peer ? HA_PEER : 0) |
			      (sa->synced ? SYNCED : 0) | (sa->fragments ? FRAGMENTS : 0) |
			      (sa->mobike ? MOBIKE : 0) | (sa->original_initiator ? CALLED : 0) |
			      (sa->claims_nat ? CLAIMS_NAT : 0)));
	wr_be64(w, sa->spi_i);
	wr_be64(w, sa->spi_r);
	endpoint_save(&sa->local, w);
	endpoint_save(&sa->remote, w);
	ident_save(&sa->peer_id, w);
	proof_save(sa->proof, w);
	wr_be16(w, sa->fragment_size);
	wr_be32(w, sa->sync_m1);
	wr_bytes(w, sa->sync_nonce, sizeof(sa->sync_nonce));
	choice_save(&sa->choice, w);
	wr_bytes(w, sa->ppk_id, sizeof(sa->ppk_id));
	wr_bytes(w, &sa->keys, sizeof(sa->keys));
	wr_be64(w, sa->iv_counter);
	wr_be64(w, sa->iv_mask);
	paths_save(sa, w);
	config_save(sa->config, w);
	window_save(sa, w);
	times_save(sa, w);
}

/* Reads the rest of the SA; its flags, SPIs and endpoints are set. */
static int fill(struct ike_sa *sa, struct reader *r)
{
	const uint8_t *p;

	if (ident_load(r, &sa->peer_id) < 0 || proof_load(r, &sa->proof) < 0)
		return -EBADMSG;
	sa->fragment_size = rd_be16(r);
	if (sa->fragment_size && sa->fragment_size < FRAGMENT_SIZE_MIN)
		return -EBADMSG;
	sa->sync_m1 = rd_be32(r);
	p = rd_bytes(r, sizeof(sa->sync_nonce));
	if (p)
		memcpy(sa->sync_nonce, p, sizeof(sa->sync_nonce));
	if (choice_load(r, &sa->choice) < 0 || !prf_hash(sa->choice.prf, &sa->prf))
		return -EBADMSG;
	p = rd_bytes(r, sizeof(sa->ppk_id));
	if (p)
		memcpy(sa->ppk_id, p, sizeof(sa->ppk_id) - 1); /* the last byte stays NUL */
	p = rd_bytes(r, sizeof(sa->keys));
	if (p)
		memcpy(&sa->keys, p, sizeof(sa->keys));
	sa->iv_counter = rd_be64(r) + SAVED_LEAP;
	sa->iv_mask = rd_be64(r);
	paths_load(sa, r);
	if (config_load(r, &sa->config) < 0 || window_load(r, sa) < 0)
		return -EBADMSG;
	times_load(r, sa);
	return r->bad || sa_set_keys(sa) < 0 ? -EBADMSG : 0;
}

struct ike_sa *ike_sa_load(struct ike *ike, const struct conn_conf *conn, struct reader *r,
			   nsec_t now)
{
	uint16_t flags = rd_be16(r);
	uint64_t spi_i = rd_be64(r), spi_r = rd_be64(r), ours = flags & INITIATOR ? spi_i : spi_r;
	struct endpoint local, remote;
	struct ike_sa *sa;

	if (endpoint_load(r, &local) < 0 || endpoint_load(r, &remote) < 0 || ours == 0 ||
	    sa_find(ike, ours))
		return NULL;
	sa = sa_new(ike, conn, flags & INITIATOR, &local, &remote);
	sa_set_spi(sa, ours);
	sa->spi_i = spi_i;
	sa->spi_r = spi_r;
	sa->we_natted = flags & WE_NATTED;
	sa->peer_natted = flags & PEER_NATTED;
	sa->ha_peer = flags & HA_PEER;
	sa->synced = flags & SYNCED;
	sa->fragments = flags & FRAGMENTS;
	sa->mobike = flags & MOBIKE;
	sa->original_initiator = flags & CALLED;
	sa->claims_nat = flags & CLAIMS_NAT;
	if (fill(sa, r) < 0) {
		sa_kill(sa, "the saved IKE SA cannot be read", now);
		return NULL;
	}
	sa_set_state(sa, IKE_STATE_ESTABLISHED);
	return sa;
}

/* ---- a CHILD SA ---- */

void child_sa_save(const struct child_sa *c, struct writer *w)
{
	wr_be32(w, c->spi_in);
	wr_be32(w, c->spi_out);
	choice_save(&c->choice, w);
	wr_u8(w, c->initiator);
	ts_list_save(c->local, w);
	ts_list_save(c->remote, w);
	wr_be64(w, c->created);
	wr_be64(w, rekey_at(c->ike_sa, c));
	wr_be64(w, when(&c->expire));
}

struct child_sa *child_sa_load(struct ike_sa *sa, const struct child_conf *conf, struct reader *r)
{
	struct deadline_heap *h = &sa->ike->deadlines;
	struct child_sa *c = child_new(sa, conf);
	struct ts_list local, remote;

	c->spi_in = rd_be32(r);
	c->spi_out = rd_be32(r);
	if (choice_load(r, &c->choice) < 0)
		goto bad;
	c->initiator = rd_u8(r);
	if (ts_list_load(r, &local) < 0 || ts_list_load(r, &remote) < 0)
		goto bad;
	c->local = ts_list_dup(&local);
	c->remote = ts_list_dup(&remote);
	c->created = rd_be64(r);
	deadline_set(h, &c->rekey, rd_be64(r));
	deadline_set(h, &c->expire, rd_be64(r));
	child_set_state(c, CHILD_STATE_INSTALLED);
	c->confirmed = true;
	if (!r->bad)
		return c;
bad:
	child_unlink(c);
	child_free(c);
	return NULL;
}
