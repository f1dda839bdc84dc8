/*
 * diagnose.c - walks from a connection's name to its traffic, step by step, and says where it ends.
 * SPDX-License-Identifier: ISC
 */
#include "addresses.h"
#include "problem.h"
#include "status.h"

#include <stdio.h>

#define QUIET	(60 * NSEC_PER_SEC) /* in which an SA that we send on should have a packet */
#define PATIENT (5 * NSEC_PER_SEC)  /* for an answer */
#define RECENT	(300 * NSEC_PER_SEC)

/* The walk through one connection, or one child of it. */
struct walk {
	struct daemon *daemon;
	const struct conn_conf *conf;
	const struct tunnel_conn *conn;	  /* NULL: it waits for any peer, and has none */
	const struct tunnel_child *child; /* NULL: the connection has none */
	nsec_t now;
	json_t *steps;
	bool ended; /* a step failed, or is not known yet: those behind it are not reached */
	bool failed;
};

/* All texts are ASCII: what a peer has said is printed so (ident_format). */
static void step(struct walk *w, enum problem_stage s, const char *result, const char *text,
		 const char *advice)
{
	json_array_append_new(w->steps,
			      json_pack("{s:s, s:s, s:s*, s:s*}", "stage", problem_stage_name(s),
					"result", result, "text", text, "advice", advice));
}

static void good(struct walk *w, enum problem_stage s, const char *text)
{
	step(w, s, "ok", text, NULL);
}

/* What is under way, or waits for somebody, is no failure. */
static void open_end(struct walk *w, enum problem_stage s, const char *text)
{
	w->ended = true;
	step(w, s, "waiting", text, NULL);
}

static void bad(struct walk *w, enum problem_stage s, const char *text, const char *advice)
{
	w->ended = w->failed = true;
	step(w, s, "failed", text, advice);
}

static bool is_established(const struct walk *w)
{
	return w->conn && w->conn->sa && ike_sa_state(w->conn->sa) == IKE_STATE_ESTABLISHED;
}

/* The last problem of the connection, if it is not over; NULL: there is none. */
static const struct tunnel_problem *last_problem(const struct walk *w)
{
	const struct tunnel_problem *p =
		w->conn ? w->conn->problem : tunnel_problem_of(w->daemon->tunnel, w->conf);

	return p && !p->over ? p : NULL;
}

/* The same of one that is not up. */
static const struct tunnel_problem *problem_of(const struct walk *w)
{
	return is_established(w) ? NULL : last_problem(w);
}

/*
 * Ends the walk at this step if its problem is there. What nobody here waits for, such as a caller
 * who was not let in some time ago, is told, and is no failure.
 */
static bool ends_at(struct walk *w, const struct tunnel_problem *p, enum problem_stage s)
{
	bool current = w->conn && problem_is_current(w->conn, p && p->child ? w->child : NULL);

	if (!p || problem_stage(p) != s)
		return false;
	if (current || w->now - p->at < RECENT)
		bad(w, s, p->text, problem_advice(p->what));
	else
		open_end(w, s, p->text);
	return true;
}

static void look_at_name(struct walk *w)
{
	const char *name = w->conf->names ? w->conf->names->name[0] : NULL;
	char text[400], a[ADDR_STRLEN];

	if (conn_remote_count(w->conf) == 0 && w->conf->names) {
		if (!ends_at(w, problem_of(w), PROBLEM_AT_NAME))
			open_end(w, PROBLEM_AT_NAME, "the name in remote_addrs is being asked for");
		return;
	}
	if (conn_remote_count(w->conf) == 0) {
		good(w, PROBLEM_AT_NAME, "remote_addrs is %any: the peer has to call");
		return;
	}
	snprintf(text, sizeof(text), "%s%.200s%s%s%s", name ? "" : "remote_addrs has ",
		 name ? name : "", name ? " leads to " : "",
		 addr_format(&conn_remote(w->conf, 0)->addr, a),
		 conn_remote_count(w->conf) > 1 ? " and others" : "");
	good(w, PROBLEM_AT_NAME, text);
}

/* The address at which the peer is, or is called next; false: none is known. */
static bool find_remote(const struct walk *w, struct addr *ret)
{
	if (w->conn && w->conn->sa)
		*ret = ike_sa_remote(w->conn->sa)->addr;
	else if (w->conn && conn_remote_count(w->conf))
		*ret = addresses_next(w->conn)->addr;
	else
		return false;
	return true;
}

static bool was_not_sent(const struct walk *w)
{
	const struct tunnel_problem *p = problem_of(w);

	return p && p->what == IKE_PROBLEM_NOT_SENT;
}

static void look_at_route(struct walk *w)
{
	char text[2 * ADDR_STRLEN + 60], a[ADDR_STRLEN], b[ADDR_STRLEN];
	const struct tunnel_ops *ops = &w->daemon->tunnel->ops;
	struct addr remote, from = {0};

	if (!find_remote(w, &remote)) {
		good(w, PROBLEM_AT_ROUTE, "to be known when the peer calls");
		return;
	}
	if (was_not_sent(w) && ends_at(w, problem_of(w), PROBLEM_AT_ROUTE))
		return;
	addr_format(&remote, a);
	if (w->conf->local_count || is_established(w)) {
		snprintf(text, sizeof(text), "to %s", a);
		good(w, PROBLEM_AT_ROUTE, text);
		return;
	}
	if (ops->source && !ops->source(ops->ctx, &remote, &from)) {
		if (problem_has_any_way(w->conn, &remote)) {
			good(w, PROBLEM_AT_ROUTE, "to another one of its addresses");
			return;
		}
		snprintf(text, sizeof(text), "no route to %s", a);
		bad(w, PROBLEM_AT_ROUTE, text, problem_advice(IKE_PROBLEM_NO_ROUTE));
		return;
	}
	snprintf(text, sizeof(text), "to %s, from %s", a, addr_format(&from, b));
	good(w, PROBLEM_AT_ROUTE, text);
}

static void wait_for_answer(struct walk *w, const struct ike_sa *sa)
{
	nsec_t since = ike_sa_request_since(sa);
	char text[ENDPOINT_STRLEN + 80], to[ENDPOINT_STRLEN];

	snprintf(text, sizeof(text), "no answer to IKE_SA_INIT from %s for %.0f s",
		 endpoint_format(ike_sa_remote(sa), to), (double)(w->now - since) / NSEC_PER_SEC);
	if (w->now - since < PATIENT)
		open_end(w, PROBLEM_AT_ANSWER, text);
	else
		bad(w, PROBLEM_AT_ANSWER, text, problem_advice(IKE_PROBLEM_NO_ANSWER));
}

/* How long the peer has not been heard, or that it has answered. */
static void look_at_answer(struct walk *w)
{
	const struct ike_sa *sa = w->conn ? w->conn->sa : NULL;
	char text[120];
	nsec_t heard;

	if (sa && ike_sa_established(sa)) {
		heard = ike_sa_last_heard(sa);
		snprintf(text, sizeof(text), "IKE was heard %.0f s ago",
			 (double)(w->now - heard) / NSEC_PER_SEC);
		good(w, PROBLEM_AT_ANSWER, text);
		return;
	}
	if (ends_at(w, problem_of(w), PROBLEM_AT_ANSWER))
		return;
	if ((problem_of(w) && problem_stage(problem_of(w)) > PROBLEM_AT_ANSWER) ||
	    (sa && ike_sa_choice(sa)->suite))
		good(w, PROBLEM_AT_ANSWER, w->conn ? "the peer answers" : "a peer has called");
	else if (!w->conn || !conn_remote_count(w->conf))
		open_end(w, PROBLEM_AT_ANSWER, "no peer has called yet");
	else if (!sa)
		open_end(w, PROBLEM_AT_ANSWER, "the peer was not called: mendipctl up calls it");
	else
		wait_for_answer(w, sa);
}

static void look_at_proposals(struct walk *w)
{
	const struct ike_sa *sa = w->conn ? w->conn->sa : NULL;
	char text[192];

	if (!is_established(w) && ends_at(w, problem_of(w), PROBLEM_AT_PROPOSALS))
		return;
	if (sa && ike_sa_choice(sa)->suite)
		good(w, PROBLEM_AT_PROPOSALS, choice_format(ike_sa_choice(sa), text, sizeof(text)));
	else
		good(w, PROBLEM_AT_PROPOSALS, "there is a proposal in common");
}

static void look_at_authentication(struct walk *w)
{
	char text[IDENT_STRLEN + 40], id[IDENT_STRLEN];

	if (is_established(w)) {
		snprintf(text, sizeof(text), "the peer is %s",
			 ident_format(ike_sa_peer_id(w->conn->sa), id));
		good(w, PROBLEM_AT_AUTHENTICATION, text);
	} else if (!ends_at(w, problem_of(w), PROBLEM_AT_AUTHENTICATION)) {
		open_end(w, PROBLEM_AT_AUTHENTICATION, "IKE_AUTH is under way");
	}
}

static void look_at_selectors(struct walk *w)
{
	const struct tunnel_child *k = w->child;
	const struct tunnel_problem *p = k && k->problem && !k->problem->over ? k->problem : NULL;
	char text[520], l[256], r[256];

	if (k && k->current) {
		snprintf(text, sizeof(text), "%s === %s",
			 ts_list_format(k->current->policy.local, l, sizeof(l)),
			 ts_list_format(k->current->policy.remote, r, sizeof(r)));
		good(w, PROBLEM_AT_SELECTORS, text);
	} else if (p) {
		(void)ends_at(w, p, PROBLEM_AT_SELECTORS);
	} else if (!ends_at(w, last_problem(w), PROBLEM_AT_SELECTORS)) {
		open_end(
			w, PROBLEM_AT_SELECTORS,
			!k	      ? "the peer has asked for no CHILD SA"
			: k->asked_on ? "the CHILD SA was asked for; the answer has to come"
			: tunnel_child_is_wanted(k)
				? "the CHILD SA is asked for as soon as the peer is called"
			: tunnel_child_is_trapped(k) ? "a packet for it brings the CHILD SA up"
			: k->demoted
				? "it stays down, and its packets go by the backup, until "
				  "mendipctl up"
				: "it stays down, and its packets are dropped, until mendipctl up");
	}
}

static void look_at_traffic(struct walk *w)
{
	const struct esp_sa *sa = tunnel_sa_esp(w->child->current);
	char text[200];

	if (!sa)
		return;
	snprintf(text, sizeof(text), "%llu packets in, %llu out",
		 (unsigned long long)sa->in.packets, (unsigned long long)sa->out.packets);
	if (sa->in.packets || !sa->out.packets || w->now - w->child->current->installed < QUIET)
		good(w, PROBLEM_AT_TRAFFIC, text);
	else /* traffic of one way is no failure */
		step(w, PROBLEM_AT_TRAFFIC, "waiting", text,
		     "nothing comes back on this SA: if something should, see whether the peer's "
		     "side "
		     "routes into the tunnel, and whether a firewall drops ESP");
}

/* In the order of enum problem_stage. */
static void (*const looks[PROBLEM_STAGES])(struct walk *w) = {
	[PROBLEM_AT_NAME] = look_at_name,
	[PROBLEM_AT_ROUTE] = look_at_route,
	[PROBLEM_AT_ANSWER] = look_at_answer,
	[PROBLEM_AT_PROPOSALS] = look_at_proposals,
	[PROBLEM_AT_AUTHENTICATION] = look_at_authentication,
	[PROBLEM_AT_SELECTORS] = look_at_selectors,
	[PROBLEM_AT_TRAFFIC] = look_at_traffic,
};

static json_t *walk(struct walk *w)
{
	w->now = daemon_now();
	w->steps = json_array();
	for (int s = 0; s < PROBLEM_STAGES; s++) {
		if (w->ended)
			step(w, (enum problem_stage)s, "not-reached", NULL, NULL);
		else
			looks[s](w);
	}
	return json_pack("{s:s, s:s?, s:s, s:o}", "connection", w->conf->name, "child",
			 w->child ? w->child->conf->name : NULL, "result",
			 w->failed  ? "failed"
			 : w->ended ? "waiting"
				    : "ok",
			 "steps", w->steps);
}

static void walk_conn(struct daemon *d, const struct tunnel_conn *c, const char *name,
		      json_t *walks)
{
	const struct tunnel_child *k;
	bool any = false;

	LIST_FOREACH (k, &c->children, link) {
		struct walk w = {.daemon = d, .conf = c->conf, .conn = c, .child = k};

		if (status_is_named(c->conf, k->conf, name))
			json_array_append_new(walks, walk(&w));
		any = true;
	}
	if (!any && strcmp(name, c->conf->name) == 0)
		json_array_append_new(
			walks, walk(&(struct walk){.daemon = d, .conf = c->conf, .conn = c}));
}

json_t *diagnose_json(struct daemon *d, const char *name)
{
	const struct conn_conf *conf = conn_set_find(ike_conns(d->tunnel->ike), name);
	json_t *walks = json_array();
	struct tunnel_conn *c;

	LIST_FOREACH (c, &d->tunnel->conns, link)
		walk_conn(d, c, name, walks);
	if (json_array_size(walks) == 0 && conf)
		json_array_append_new(walks, walk(&(struct walk){.daemon = d, .conf = conf}));
	if (json_array_size(walks) == 0) {
		json_decref(walks);
		return NULL;
	}
	return json_pack("{s:o}", "walks", walks);
}
