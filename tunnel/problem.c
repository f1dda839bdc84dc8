/*
 * problem.c - keeps what went wrong last with each connection and child, for the status and the
 * log. SPDX-License-Identifier: ISC
 *
 * There is one place for each, whoever causes how many: what outsiders cause cannot grow.
 */
#include "child.h"
#include "conn.h"
#include "problem.h"
#include "xalloc.h"

#include <stdio.h>

#define TELL_AGAIN (3600 * NSEC_PER_SEC) /* a line in the log about what stays wrong */

/* Of a connection that only responds and has no peer. */
struct conf_problem {
	SLIST_ENTRY(conf_problem) link;
	const struct conn_conf *conf; /* a reference */
	struct tunnel_problem *problem;
};

/* How far it came, and what the operator can do. */
static const struct {
	enum problem_stage stage;
	const char *advice;
} kinds[IKE_PROBLEMS] = {
	[IKE_PROBLEM_NO_NAME] = {PROBLEM_AT_NAME,
				 "check the name in remote_addrs, and the name servers in "
				 "/etc/resolv.conf"},
	[IKE_PROBLEM_NO_ROUTE] = {PROBLEM_AT_ROUTE,
				  "give this host a route to the peer, or correct remote_addrs"},
	[IKE_PROBLEM_NOT_SENT] =
		{PROBLEM_AT_ROUTE,
		 "see whether local_addrs is right, and which packet filter or route of this host "
		 "forbids it"},
	[IKE_PROBLEM_NO_ANSWER] =
		{PROBLEM_AT_ANSWER,
		 "see whether the peer runs and expects this connection, and whether "
		 "a firewall drops UDP on ports 500 and 4500"},
	[IKE_PROBLEM_INIT_REFUSED] = {PROBLEM_AT_ANSWER, "see the peer's log"},
	[IKE_PROBLEM_UNUSABLE] = {PROBLEM_AT_ANSWER,
				  "see whether something else than an IKEv2 gateway answers there"},
	[IKE_PROBLEM_PROPOSALS] = {PROBLEM_AT_PROPOSALS, "give both sides a proposal in common"},
	[IKE_PROBLEM_NO_ANSWER_TO_AUTH] =
		{PROBLEM_AT_AUTHENTICATION,
		 "see the peer's log; a firewall may drop UDP port 4500, or "
		 "long datagrams (fragment_size)"},
	[IKE_PROBLEM_NOT_LET_IN] =
		{PROBLEM_AT_AUTHENTICATION,
		 "compare local.id, and the secret or certificate, with what the "
		 "peer expects of us"},
	[IKE_PROBLEM_NOT_TRUSTED] = {PROBLEM_AT_AUTHENTICATION,
				     "compare remote.id, and the secret or CA, with what the peer "
				     "shows"},
	[IKE_PROBLEM_NO_CREDENTIAL] = {PROBLEM_AT_AUTHENTICATION,
				       "correct this connection's local group or secrets"},
	[IKE_PROBLEM_SELECTORS] =
		{PROBLEM_AT_SELECTORS,
		 "make local_ts and remote_ts here what remote_ts and local_ts are "
		 "there"},
	[IKE_PROBLEM_REFUSED] = {PROBLEM_AT_AUTHENTICATION, "see the peer's log"},
	[IKE_PROBLEM_SILENT] = {PROBLEM_AT_ANSWER,
				"see whether the peer still runs, and the way to it"},
	[IKE_PROBLEM_DELETED] = {PROBLEM_AT_ANSWER, "see the peer's log for why it ended this"},
	[IKE_PROBLEM_ENDED] = {PROBLEM_AT_ANSWER, "see the log, with mendipctl log debug"},
};

static const char *const stages[] = {
#define X(id, text) text,
	FOREACH_PROBLEM_STAGE(X)
#undef X
};

const char *problem_stage_name(enum problem_stage s)
{
	return stages[s];
}

enum problem_stage problem_stage(const struct tunnel_problem *p)
{
	return p->child ? PROBLEM_AT_SELECTORS : kinds[p->what].stage;
}

const char *problem_advice(enum ike_problem what)
{
	return kinds[what].advice;
}

void problem_free(struct tunnel_problem *p)
{
	free(p);
}

void problem_over(struct tunnel_problem *p, nsec_t now)
{
	if (p && !p->over)
		p->over = now;
}

bool problem_is_current(const struct tunnel_conn *c, const struct tunnel_child *k)
{
	const struct tunnel_problem *p = k ? k->problem : c->problem;

	if (!p || p->over || p->caller)
		return false;
	return k ? tunnel_child_is_wanted(k) && !k->current
		 : conn_wanted(c) && !conn_established(c);
}

/* Returns whether it is to be told: it is new, or has lasted. */
static bool keep(struct tunnel_problem **place, enum ike_problem what, const char *text, nsec_t now)
{
	struct tunnel_problem *p = *place;
	bool same = p && !p->over && p->what == what;

	if (!p)
		p = *place = xzalloc(sizeof(*p));
	if (!same)
		*p = (struct tunnel_problem){.what = what, .since = now};
	p->caller = false;
	p->at = now;
	p->count++;
	snprintf(p->text, sizeof(p->text), "%s", text);
	if (same && now - p->told < TELL_AGAIN)
		return false;
	p->told = now;
	return true;
}

/* The peer may cause one after the other: that must not hide the other lines. */
void problem_note(struct tunnel_conn *c, struct tunnel_child *k, enum ike_problem what,
		  const char *text, nsec_t now)
{
	struct tunnel_problem **place = k ? &k->problem : &c->problem;
	struct tunnel *t = c->tunnel;
	bool told = keep(place, what, text, now);

	(*place)->child = k != NULL;
	if (told && t->ike)
		log_limited(t->log, ike_peer_lines(t->ike, conn_peer(c)), now, LOG_LEVEL_WARNING,
			    "%s%s%s: %s: %s: %s", c->conf->name, k ? "/" : "",
			    k ? k->conf->name : "", ike_problem_name(what), (*place)->text,
			    problem_advice(what));
}

/* ---- of configurations without a connection ---- */

static struct conf_problem *find(const struct tunnel *t, const struct conn_conf *conf)
{
	struct conf_problem *i;

	SLIST_FOREACH(i, &t->problems, link)
	{
		if (i->conf == conf)
			return i;
	}
	return NULL;
}

/* What anyone can cause is logged where it is caused, under a limit. */
static void problem_of_conf(struct tunnel *t, const struct conn_conf *conf, enum ike_problem what,
			    const char *text, nsec_t now)
{
	struct conf_problem *i = find(t, conf);

	if (!i) {
		i = xzalloc(sizeof(*i));
		i->conf = conn_ref(conf);
		SLIST_INSERT_HEAD(&t->problems, i, link);
	}
	(void)keep(&i->problem, what, text, now);
	i->problem->caller = true;
}

void problem_of_conf_over(struct tunnel *t, const struct conn_conf *conf, nsec_t now)
{
	const struct conf_problem *i = find(t, conf);

	if (i)
		problem_over(i->problem, now);
}

const struct tunnel_problem *tunnel_problem_of(const struct tunnel *t, const struct conn_conf *conf)
{
	const struct conf_problem *i = find(t, conf);

	return i ? i->problem : NULL;
}

static void forget(struct tunnel *t, struct conf_problem *i)
{
	SLIST_REMOVE(&t->problems, i, conf_problem, link);
	conn_unref(i->conf);
	problem_free(i->problem);
	free(i);
}

void problems_configure(struct tunnel *t, const struct conn_set *conns)
{
	struct conf_problem *i, *next;

	for (i = SLIST_FIRST(&t->problems); i; i = next) {
		bool stays = false;

		next = SLIST_NEXT(i, link);
		for (unsigned k = 0; k < conns->count && !stays; k++)
			stays = conns->v[k] == i->conf;
		if (!stays)
			forget(t, i);
	}
}

void problems_free(struct tunnel *t)
{
	while (!SLIST_EMPTY(&t->problems))
		forget(t, SLIST_FIRST(&t->problems));
}

/* ---- what this host lacks ---- */

/* With local_addrs, rules by source may lead elsewhere than what is asked here. */
static bool has_way(const struct tunnel_conn *c, const struct addr *remote)
{
	const struct tunnel_ops *ops = &c->tunnel->ops;
	struct addr from;

	return !ops->source || c->conf->local_count > 0 || ops->source(ops->ctx, remote, &from);
}

bool problem_has_any_way(const struct tunnel_conn *c, const struct addr *remote)
{
	for (unsigned i = 0; i < conn_remote_count(c->conf); i++) {
		if (has_way(c, &conn_remote(c->conf, i)->addr))
			return true;
	}
	return has_way(c, remote);
}

static void over_if(struct tunnel_conn *c, enum ike_problem what, nsec_t now)
{
	if (c->problem && c->problem->what == what)
		problem_over(c->problem, now);
}

bool problem_look_for_way(struct tunnel_conn *c, const struct addr *remote, nsec_t now)
{
	char a[ADDR_STRLEN], line[PROBLEM_STRLEN];

	if (conn_established(c) || problem_has_any_way(c, remote)) {
		over_if(c, IKE_PROBLEM_NO_ROUTE, now);
		return true;
	}
	snprintf(line, sizeof(line), "no route to %s", addr_format(remote, a));
	problem_note(c, NULL, IKE_PROBLEM_NO_ROUTE, line, now);
	return false;
}

/* Of several names, or after an address was known, others may lead to the peer. */
void tunnel_unresolved(struct tunnel *t, const struct conn_conf *conf, const char *text, nsec_t now)
{
	struct tunnel_conn *c = conn_static(t, conf);

	if (c && !conn_established(c) && conn_remote_count(conf) == 0)
		problem_note(c, NULL, IKE_PROBLEM_NO_NAME, text, now);
}

void problem_resolved(struct tunnel_conn *c, nsec_t now)
{
	over_if(c, IKE_PROBLEM_NO_NAME, now);
}

void problem_no_address_answers(struct tunnel_conn *c, const struct ike_sa *sa, nsec_t now)
{
	char at[ENDPOINT_STRLEN], line[PROBLEM_STRLEN];

	if (conn_established(c) || !problem_look_for_way(c, &ike_sa_remote(sa)->addr, now))
		return;
	snprintf(line, sizeof(line),
		 "no response to IKE_SA_INIT from any of %u addresses, the last %s",
		 conn_remote_count(c->conf), endpoint_format(ike_sa_remote(sa), at));
	problem_note(c, NULL, IKE_PROBLEM_NO_ANSWER, line, now);
}

/* One end alone, such as a restart of the peer, is nothing to tell. */
void problem_of_end(struct tunnel_conn *c, const char *why, nsec_t now)
{
	if (c->failures > 1 && conn_wanted(c) && !problem_is_current(c, NULL))
		problem_note(c, NULL, IKE_PROBLEM_ENDED, why, now);
}

/* ---- what the engine tells ---- */

/* What a caller does wrong is no problem of a connection that is up. */
void problem_of_caller(struct tunnel *t, const struct conn_conf *conf, const struct endpoint *from,
		       enum ike_problem what, const char *text, nsec_t now)
{
	struct tunnel_conn *c = conn_static(t, conf);
	char at[ENDPOINT_STRLEN], line[PROBLEM_STRLEN];

	snprintf(line, sizeof(line), "%s called us: %s", endpoint_format(from, at), text);
	if (!c) {
		problem_of_conf(t, conf, what, line, now);
	} else if (!problem_is_current(c, NULL) && !conn_established(c)) {
		(void)keep(&c->problem, what, line, now);
		c->problem->caller = true;
	}
}

/* An end that nobody here minds is no problem. */
static bool is_minded(const struct tunnel_conn *c, enum ike_problem what)
{
	return what != IKE_PROBLEM_DELETED || conn_wanted(c);
}

void tunnel_on_problem(void *ctx, struct ike_sa *sa, const struct child_conf *child,
		       enum ike_problem what, const char *text, nsec_t now)
{
	struct tunnel *t = ctx;
	struct tunnel_conn *c = ike_sa_owner(sa);
	char at[ENDPOINT_STRLEN], line[PROBLEM_STRLEN];

	if (!c) {
		problem_of_caller(t, ike_sa_conn(sa), ike_sa_remote(sa), what, text, now);
		return;
	}
	/* One of several IKE SAs is none that the connection lacks. */
	if (!child && ((sa != c->sa && conn_established(c)) || !is_minded(c, what)))
		return;
	if ((what == IKE_PROBLEM_NO_ANSWER || what == IKE_PROBLEM_NOT_SENT) &&
	    !problem_look_for_way(c, &ike_sa_remote(sa)->addr, now))
		return;
	snprintf(line, sizeof(line), "%s: %s", endpoint_format(ike_sa_remote(sa), at), text);
	problem_note(c, child ? tunnel_child_of(c, child) : NULL, what, child ? text : line, now);
	/* It has been so since the request that it is about. */
	if (!child && c->problem->count == 1 && ike_sa_is_asking(sa))
		c->problem->since = min_u64(c->problem->since, ike_sa_request_since(sa));
}
