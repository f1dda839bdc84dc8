/*
 * check.c - the invariant of doc/recovery.md 5, for tests: what is to be recovered from has a
 * request or a deadline, and what it waits for is under way. SPDX-License-Identifier: ISC
 */
#include "addresses.h"
#include "backup.h"
#include "conn.h"
#include "pool.h"
#include "recovery.h"
#include "tidy.h"
#include "tunnel_sa.h"

/* No request is in progress for this long. */
#define PENDING_MAX (5 * 60 * NSEC_PER_SEC)

/* The IKE SA exists, and is the connection's. */
static bool is_ours(const struct tunnel_conn *c, const struct ike_sa *wanted)
{
	const struct ike_sa *sa;

	for (sa = ike_first_sa(c->tunnel->ike); sa; sa = ike_next_sa(sa)) {
		if (sa == wanted)
			return ike_sa_owner(sa) == c;
	}
	return false;
}

/* An SA without a recovery has nothing to be recovered from. */
static const char *check_idle(const struct tunnel_sa *s)
{
	const struct esp_sa *sa;

	if (s->retired || s->ending || !s->ike || s->child->options.detect.mode == DETECT_OFF)
		return NULL;
	sa = tunnel_sa_esp(s);
	if (!sa)
		return NULL;
	if (sa->in.exposed)
		return "its key is exposed, and nothing leads on";
	return sa->in.detector.state == DETECTOR_CONFIRMED ? "CONFIRMED, and nothing leads on"
							   : NULL;
}

static const char *check_kept(const struct tunnel_sa *s, nsec_t now)
{
	const struct esp_sa *sa = tunnel_sa_esp(s);

	if (s->ike || (s->recovery.state != RECOVERY_RUNNING && !s->overtaken_until))
		return "kept without an IKE SA, and nothing leads on";
	if (sa && s->end.at > now && (sa->in.exposed || s->expires <= now))
		return "kept beyond its lifetime, or with an exposed key";
	return NULL;
}

static const char *check_recovery(const struct tunnel_sa *s, nsec_t now)
{
	if (!deadline_is_set(&s->recovery.timer))
		return "a recovery without a deadline";
	if (s->recovery.state == RECOVERY_RUNNING && !s->recovery.record.id)
		return "a recovery without a record";
	if (s->recovery.state == RECOVERY_PENDING &&
	    now - s->recovery.record.confirmed > PENDING_MAX)
		return "in-progress for minutes";
	return recovery_is_stuck(s, now) ? "a ladder on which nothing is under way" : NULL;
}

/* The SA that has taken its place is being deleted; after that this one is, too (end_orphans). */
static bool substitute_is_going(const struct tunnel_sa *s)
{
	const struct tunnel_sa *o;

	LIST_FOREACH (o, &s->child->sas, link) {
		if (o != s && !o->retired && o->ike &&
		    child_sa_state(o->ike) == CHILD_STATE_DELETING && o->active &&
		    tunnel_sa_covers(o, s))
			return true;
	}
	return false;
}

static const char *check_sa(const struct tunnel_sa *s, nsec_t now)
{
	const char *wrong = s->kept ? check_kept(s, now) : NULL;

	if (wrong)
		return wrong;
	if (s->check != CRITERION_NONE &&
	    !(is_ours(s->child->conn, s->check_on) && ike_sa_watches_answer(s->check_on)))
		return "a liveness check that nobody will answer";
	if (s->retired && s->ike && child_sa_state(s->ike) == CHILD_STATE_INSTALLED &&
	    !tunnel_sa_substitute(s) && !substitute_is_going(s) &&
	    ike_sa_owner(child_sa_ike(s->ike)))
		return "RETIRED, and nothing has taken its place";
	if (tunnel_sa_waits(s) && !s->replaces && !deadline_is_set(&s->move) &&
	    !tunnel_sa_substitute(s))
		return "up, and nothing is sent on it";
	if (!deadline_is_set(&s->child->conn->tidy) && tunnel_sa_twin(s))
		return "an SA is there twice, and nothing ends one";
	return s->recovery.state == RECOVERY_IDLE ? check_idle(s) : check_recovery(s, now);
}

/* The loser of a collision, or one of two, carries nothing while it is being deleted. */
static bool sends_on_what_goes(const struct tunnel_child *k)
{
	const struct tunnel_sa *s = k->current;

	return s && s->ike && child_sa_state(s->ike) == CHILD_STATE_DELETING &&
	       tunnel_sa_substitute(s);
}

static const char *check_child(const struct tunnel_child *k)
{
	const struct tunnel_sa *s;
	const char *wrong = NULL;

	if (sends_on_what_goes(k))
		return "packets go out on an SA that is being deleted, and there is another one";

	if (k->asked_on && !is_ours(k->conn, k->asked_on))
		return "a child is asked for on an IKE SA that is gone";
	if (k->asked_on && !ike_child_is_asked(k->asked_on, k->conf))
		return "nobody asks for the child";
	LIST_FOREACH (s, &k->sas, link)
		wrong = wrong ? wrong : check_sa(s, k->conn->tunnel->now);
	return wrong;
}

/* One of the connection's IKE SAs is established. */
static bool has_established(const struct tunnel_conn *c)
{
	const struct ike_sa *sa;

	for (sa = ike_first_sa(c->tunnel->ike); sa; sa = ike_next_sa(sa)) {
		if (ike_sa_owner(sa) == c && ike_sa_state(sa) == IKE_STATE_ESTABLISHED)
			return true;
	}
	return false;
}

/* Two connections are configured by one name. */
static bool is_twice(const struct tunnel_conn *c)
{
	const struct tunnel_conn *o;

	LIST_FOREACH (o, &c->tunnel->conns, link) {
		if (o != c && !o->dynamic && !c->dynamic &&
		    strcmp(o->conf->name, c->conf->name) == 0)
			return true;
	}
	return false;
}

/* Calls fail in a row, and status would not say why. An orderly end counts as one failure. */
static bool is_down_for_no_reason(const struct tunnel_conn *c)
{
	return c->failures > 1 && !c->called && !c->sa && conn_wanted(c) &&
	       !problem_is_current(c, NULL);
}

/* The IKE SAs that the connection names exist, and are its own. */
static const char *check_conn(const struct tunnel_conn *c)
{
	const char *wrong;

	if (is_twice(c))
		return "a connection is there twice";
	if (!deadline_is_set(&c->tidy) && conn_has_spare(c))
		return "an IKE SA too many, and nothing ends one";
	if (!c->sa && has_established(c))
		return "an IKE SA is there, and nobody asks on it";
	if (c->crossing && !c->beside)
		return "a call that crosses none";
	if ((c->sa && !is_ours(c, c->sa)) || (c->beside && !is_ours(c, c->beside)) ||
	    (c->crossing && !is_ours(c, c->crossing)))
		return "a connection names an IKE SA that is not its own";
	if (c->silent && !is_ours(c, c->silent))
		return "an IKE SA counts as silent that is not its own";
	if (is_down_for_no_reason(c))
		return "calls fail, and nothing says why";
	wrong = addresses_check(c);
	return wrong ? wrong : backup_check(c);
}

const char *tunnel_check(const struct tunnel *t)
{
	const struct tunnel_conn *c;
	const struct tunnel_child *k;
	const char *wrong = ike_check(t->ike);

	wrong = wrong ? wrong : pools_check(t);
	LIST_FOREACH (c, &t->conns, link) {
		wrong = wrong ? wrong : check_conn(c);
		LIST_FOREACH (k, &c->children, link)
			wrong = wrong ? wrong : check_child(k);
	}
	return wrong;
}
