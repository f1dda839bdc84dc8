/* backup.c - connections that stand in for another one; see backup.h. SPDX-License-Identifier: ISC
 */
#include "backup.h"
#include "child.h"
#include "conn.h"
#include "saved.h"

#define RANK_SHIFT 56
#define RANK_MAX   15 /* backups of backups */

/* All that are demoted come behind all others; among either, a primary before its backup. */
uint64_t backup_order(const struct tunnel_child *k, uint64_t n)
{
	const struct tunnel_conn *c = k->conn;
	uint64_t preference = RANK_MAX - c->rank + (c->demoted || k->demoted ? 0 : RANK_MAX + 1);

	return preference << RANK_SHIFT | (n & ((1ULL << RANK_SHIFT) - 1));
}

/* The order of a policy may change only while it is not in the database. */
static void order_anew(struct tunnel_child *k, struct spd_policy *p)
{
	struct spd *spd = tunnel_child_spd(k);
	uint64_t order = backup_order(k, p->order);

	if (order == p->order)
		return;
	spd_remove(spd, p);
	p->order = order;
	/* It was in there before. */
	if (spd_add(spd, p) < 0)
		abort();
}

static void order_child(struct tunnel_child *k)
{
	struct tunnel_sa *s;

	if (k->trapped)
		order_anew(k, &k->trap);
	LIST_FOREACH (s, &k->sas, link) {
		if (s->active)
			order_anew(k, &s->policy);
	}
}

static void order_all(struct tunnel_conn *c)
{
	struct tunnel_child *k;

	LIST_FOREACH (k, &c->children, link)
		order_child(k);
}

/* A packet would start it only when the silent SAs of its primary are gone. */
static void start(struct tunnel_conn *c, nsec_t now)
{
	struct tunnel_child *k;

	LIST_FOREACH (k, &c->children, link) {
		if (k->trapped && k->trap.trap)
			conn_ask(k, NULL, now, now);
	}
}

static void demote(struct tunnel_conn *c, enum demoted how, const char *why, nsec_t now)
{
	struct tunnel_conn *b = c->backup;

	if (!b || c->tunnel->closing || c->demoted >= how)
		return;
	if (!c->demoted)
		log_warn(c->tunnel->log, "%s: %s: its traffic goes by %s, which is %s",
			 c->conf->name, why, b->conf->name,
			 conn_established(b) ? "up" : "not up either");
	c->demoted = how;
	order_all(c);
	start(b, now);
}

static void promote(struct tunnel_conn *c)
{
	deadline_clear(&c->tunnel->deadlines, &c->trusted);
	if (!c->demoted)
		return;
	log_info(c->tunnel->log, "%s: has its traffic again", c->conf->name);
	c->demoted = NOT_DEMOTED;
	order_all(c);
}

/* The operator has put it down, or its close_action says so: until it is up, nobody asks for it. */
static bool is_put_down(const struct tunnel_child *k)
{
	return !k->wanted && !tunnel_child_is_trapped(k);
}

void backup_child_up(struct tunnel_child *k)
{
	const struct tunnel_conn *c = k->conn;

	if (!k->demoted)
		return;
	if (!c->demoted && conn_established(c))
		log_info(c->tunnel->log, "%s/%s: has its traffic again", c->conf->name,
			 k->conf->name);
	k->demoted = false;
	order_child(k);
}

/* Without an IKE SA all of them are down; with a new one each may be taken. */
static void promote_children(struct tunnel_conn *c)
{
	struct tunnel_child *k;

	LIST_FOREACH (k, &c->children, link) {
		if (!is_put_down(k))
			backup_child_up(k);
	}
}

static bool is_silent(const struct tunnel_conn *c)
{
	return c->sa && ike_sa_watches_answer(c->sa);
}

/* The backup cannot have the traffic: its primaries that are up do not wait for `trusted`. */
static void give_back(struct tunnel_conn *b)
{
	struct tunnel_conn *c;

	if (!b->rank)
		return;
	LIST_FOREACH (c, &b->tunnel->conns, link) {
		if (c->backup == b && conn_established(c) && !is_silent(c))
			promote(c);
	}
}

/* A reload, or the configuration of a new process, has taken its backup away. */
static void has_no_backup(struct tunnel_conn *c)
{
	struct tunnel_child *k;

	LIST_FOREACH (k, &c->children, link)
		backup_child_up(k);
	promote(c);
}

/*
 * No packet starts a connection whose backup is up. So it calls its peer at once, or asks for its
 * children; after a failure when it is time to, and without an address when its name has one.
 */
static void start_by_itself(struct tunnel_conn *c, nsec_t now)
{
	if (c->backup && conn_established(c->backup) && conn_wanted(c) &&
	    !deadline_is_set(&c->retry) && (c->sa || conn_can_call(c)))
		deadline_set(&c->tunnel->deadlines, &c->retry, max_u64(now, c->not_before));
}

void backups_forget(struct tunnel *t)
{
	struct tunnel_conn *c;

	LIST_FOREACH (c, &t->conns, link)
		c->backup = NULL;
}

/* The longest chain of primaries that leads to a connection is its rank. */
static bool rank_those_behind(struct tunnel *t, unsigned rank)
{
	struct tunnel_conn *c;
	bool any = false;

	LIST_FOREACH (c, &t->conns, link) {
		if (c->rank != rank || !c->backup)
			continue;
		c->backup->rank = rank + 1;
		any = true;
	}
	return any;
}

void backups_configure(struct tunnel *t, const struct conn_set *kept,
		       const struct conn_names *names)
{
	struct tunnel_conn *c;
	unsigned rank = 0;

	LIST_FOREACH (c, &t->conns, link) {
		int at = c->conf->backup && !c->dynamic ? conn_names_find(names, c->conf->backup)
							: -1;

		c->rank = 0;
		c->backup = at >= 0 ? conn_static(t, kept->v[at]) : NULL;
	}
	while (rank < RANK_MAX && rank_those_behind(t, rank))
		rank++;
	LIST_FOREACH (c, &t->conns, link) {
		if (!c->backup)
			has_no_backup(c);
		order_all(c);
	}
	/* Packets may go by a backup that is up, and not start what waits for them. */
	LIST_FOREACH (c, &t->conns, link)
		start_by_itself(c, t->now);
}

bool tunnel_has_other_way(void *ctx, const struct ike_sa *sa)
{
	const struct tunnel_conn *c = ike_sa_owner(sa);

	(void)ctx;
	return c && !c->dynamic && (c->backup || c->rank || conn_remote_count(c->conf) > 1);
}

void backup_late(struct tunnel_conn *c, nsec_t now)
{
	give_back(c);
	demote(c, DEMOTED_LATE, "the peer does not answer", now);
}

void backup_answered(struct tunnel_conn *c, const struct ike_sa *sa)
{
	if (sa == c->sa && c->demoted == DEMOTED_LATE)
		promote(c);
}

void backup_in_vain(struct tunnel_conn *c, nsec_t now)
{
	promote_children(c);
	demote(c, DEMOTED_IN_VAIN, "calls are in vain", now);
}

void backup_lost(struct tunnel_conn *c, nsec_t now)
{
	deadline_clear(&c->tunnel->deadlines, &c->trusted);
	promote_children(c);
	give_back(c);
	demote(c, DEMOTED_DOWN, "it is down", now);
}

static void start_primaries(const struct tunnel_conn *b, nsec_t now)
{
	struct tunnel_conn *c;

	LIST_FOREACH (c, &b->tunnel->conns, link) {
		if (c->backup == b)
			start_by_itself(c, now);
	}
}

void backup_up(struct tunnel_conn *c, nsec_t now)
{
	if (c->rank)
		start_primaries(c, now);
	if (c->demoted != DEMOTED_DOWN)
		promote(c);
	else if (c->conf->failback && !deadline_is_set(&c->trusted))
		deadline_set(&c->tunnel->deadlines, &c->trusted, now + c->conf->failback);
}

static void demote_child(struct tunnel_child *k)
{
	const struct tunnel_conn *c = k->conn, *b = c->backup;

	if (!b || k->demoted || k->current || c->tunnel->closing)
		return;
	k->demoted = true;
	order_child(k);
	if (!c->demoted)
		log_warn(c->tunnel->log, "%s/%s: it is down: its traffic goes by %s, which is %s",
			 c->conf->name, k->conf->name, b->conf->name,
			 conn_established(b) ? "up" : "not up either");
}

void backup_child_refused(struct tunnel_child *k)
{
	if (conn_established(k->conn))
		demote_child(k);
}

void backup_child_lost(struct tunnel_child *k)
{
	const struct tunnel_conn *c = k->conn;

	if (is_put_down(k) ||
	    (conn_established(c) && (k->wanted || (c->backup && conn_established(c->backup)))))
		demote_child(k);
}

bool tunnel_child_is_wanted(const struct tunnel_child *k)
{
	const struct tunnel_conn *c = k->conn, *b = c->backup;

	/* Where the answer is only late, it decides. */
	return k->wanted ||
	       (tunnel_child_is_trapped(k) &&
		(k->demoted || c->demoted > DEMOTED_LATE || (b && conn_established(b))));
}

void backup_trusted(struct deadline *d, nsec_t now)
{
	struct tunnel_conn *c = container_of(d, struct tunnel_conn, trusted);

	if (is_silent(c))
		deadline_set(&c->tunnel->deadlines, d, now + c->conf->failback);
	else if (conn_established(c)) /* we may be deleting its IKE SA */
		promote(c);
}

void backup_save(const struct tunnel_conn *c, struct writer *w)
{
	wr_u8(w, 'd');
	text_save(c->conf->name, w);
	wr_u8(w, (uint8_t)c->demoted);
	wr_be64(w, deadline_is_set(&c->trusted) ? c->trusted.at : NSEC_NEVER);
}

bool backup_load(struct tunnel *t, const struct conn_set *conns, const struct conn_names *names,
		 struct reader *r)
{
	char name[SAVED_TEXT];
	struct tunnel_conn *c;
	uint8_t how;
	nsec_t trusted;
	int at;

	if (text_load(r, name) < 0)
		return false;
	how = rd_u8(r);
	trusted = rd_be64(r);
	at = conn_names_find(names, name);
	if (r->bad || how < DEMOTED_LATE || how > DEMOTED_DOWN)
		return false;
	if (at < 0 || !conns->v[at]->backup)
		return true;
	c = conn_static(t, conns->v[at]);
	if (!c) {
		c = conn_configured(t, conns->v[at]);
		deadline_set(&t->deadlines, &c->retry, t->now); /* as it is down */
	}
	if (conn_established(c) && how != DEMOTED_DOWN)
		return true;
	/* The answer that one was waited for comes on an IKE SA that is not saved. */
	c->demoted = how == DEMOTED_LATE ? DEMOTED_IN_VAIN : how;
	if (trusted != NSEC_NEVER && conn_established(c))
		deadline_set(&t->deadlines, &c->trusted, trusted);
	return true;
}

static const char *check_child(const struct tunnel_conn *c, const struct tunnel_child *k)
{
	if (k->demoted && !c->backup)
		return "a child without a backup has lost its traffic";
	if (k->demoted && k->current)
		return "a child is up, and has no traffic";
	if (!c->backup || !conn_established(c) || c->tunnel->closing || k->current ||
	    tunnel_child_is_kept(k) || !tunnel_child_is_wanted(k))
		return NULL;
	return k->asked_on || deadline_is_set(&c->retry)
		       ? NULL
		       : "a child that is to come up by itself is not asked for";
}

const char *backup_check(const struct tunnel_conn *c)
{
	const struct tunnel_child *k;
	const char *wrong = NULL;

	LIST_FOREACH (k, &c->children, link)
		wrong = wrong ? wrong : check_child(c, k);
	if (wrong)
		return wrong;
	if (deadline_is_set(&c->trusted) && !(c->sa && ike_sa_established(c->sa)))
		return "a connection that is down is trusted";
	if (c->demoted && !c->backup)
		return "a connection without a backup has lost its traffic";
	if (c->demoted == DEMOTED_DOWN && conn_established(c) && c->conf->failback &&
	    !deadline_is_set(&c->trusted))
		return "a connection is up again, and never gets its traffic back";
	if (c->demoted == DEMOTED_LATE && !is_silent(c))
		return "a connection has lost its traffic, and waits for no answer";
	if (c->demoted == DEMOTED_IN_VAIN && conn_established(c))
		return "a connection is up, and has no traffic";
	return NULL;
}
