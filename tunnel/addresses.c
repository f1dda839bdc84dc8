/* addresses.c - which address of its peer a connection calls; see addresses.h.
 * SPDX-License-Identifier: ISC */
#include "addresses.h"
#include "beside.h"
#include "conn.h"
#include "problem.h"

/* How long an address has to answer IKE_SA_INIT in the first pass; twice as long in each further.
 */
#define CALL_WAIT   NSEC_PER_SEC
#define CALL_DOUBLE 3
#define BUSY_LOOK   (10 * NSEC_PER_SEC) /* something is being mended: it is not the time to go */

const struct endpoint *addresses_next(const struct tunnel_conn *c)
{
	return conn_remote(c->conf, c->next_remote % conn_remote_count(c->conf));
}

void addresses_called(struct tunnel_conn *c, bool beside, nsec_t now)
{
	unsigned passes = beside ? c->beside_failures : c->failures;

	/* On the way back nothing is lost meanwhile, and there is one pass only. */
	if (c->going_back)
		passes = CALL_DOUBLE;
	if (conn_remote_count(c->conf) > 1 && !c->dynamic)
		deadline_set(&c->tunnel->deadlines, &c->call,
			     now + (CALL_WAIT << min_u64(passes, CALL_DOUBLE)));
}

void addresses_call_due(struct deadline *d, nsec_t now)
{
	struct tunnel_conn *c = container_of(d, struct tunnel_conn, call);
	struct ike_sa *sa = c->beside ? c->beside : c->sa;

	if (sa && ike_sa_is_initiator(sa) && ike_sa_state(sa) == IKE_STATE_INIT_SENT &&
	    conn_remote_count(c->conf) > 1) {
		if (c->called + 1 >= conn_remote_count(c->conf))
			problem_no_address_answers(c, sa, now);
		ike_sa_drop(sa, "no answer from this address", now);
	}
}

bool addresses_failed(struct tunnel_conn *c)
{
	c->next_remote++;
	if (++c->called < conn_remote_count(c->conf))
		return true;
	c->called = 0;
	return false;
}

void addresses_anew(struct tunnel_conn *c)
{
	c->next_remote = c->called = 0;
}

/* The place of its address among those of the peer, or their number: it is none of them. */
static unsigned index_of(const struct tunnel_conn *c, const struct ike_sa *sa)
{
	unsigned count = conn_remote_count(c->conf), i = 0;

	while (i < count && !addr_eq(&conn_remote(c->conf, i)->addr, &ike_sa_remote(sa)->addr))
		i++;
	return i;
}

void addresses_anew_at(struct tunnel_conn *c, const struct ike_sa *sa)
{
	unsigned i = index_of(c, sa);

	addresses_anew(c);
	if (i < conn_remote_count(c->conf))
		c->next_remote = i;
}

void addresses_late(struct tunnel_conn *c, const struct ike_sa *sa, nsec_t now)
{
	char a[ENDPOINT_STRLEN];

	if (sa != c->sa || addresses_silent(c) || conn_remote_count(c->conf) < 2)
		return;
	log_warn(c->tunnel->log,
		 "%s: the peer does not answer at %s: calling its addresses one after the other",
		 c->conf->name, endpoint_format(ike_sa_remote(sa), a));
	c->silent = sa;
	conn_beside_later(c, now);
}

void addresses_answered(struct tunnel_conn *c, const struct ike_sa *sa, nsec_t now)
{
	if (c->silent != sa)
		return;
	c->silent = NULL;
	addresses_anew(c);
	conn_maybe_take_over(c, now);
}

bool addresses_silent(const struct tunnel_conn *c)
{
	return c->silent && c->silent == c->sa;
}

/* ---- back to a more preferred address ---- */

/* Addresses of one host name have one preference, which need not be 0. */
static bool may_go_back(const struct tunnel_conn *c)
{
	return conn_established(c) && !c->dynamic && c->conf->failback &&
	       conn_remote_count(c->conf) > 1 && c->preference > conn_remote_preference(c->conf, 0);
}

bool addresses_going_back(const struct tunnel_conn *c)
{
	return c->going_back && c->beside;
}

static void later(struct tunnel_conn *c, nsec_t wait, nsec_t now)
{
	c->going_back = false;
	/* Thousands of tunnels do not go back at once. */
	deadline_set(&c->tunnel->deadlines, &c->failback,
		     now + wait + rng_below(c->tunnel->rng, wait / 10 + 1));
}

void addresses_look(struct tunnel_conn *c, nsec_t now)
{
	unsigned at = conn_established(c) ? index_of(c, c->sa) : conn_remote_count(c->conf);

	/* Where its name leads elsewhere by now, the address has the preference that it had. */
	if (at < conn_remote_count(c->conf))
		c->preference = conn_remote_preference(c->conf, at);
	if (!may_go_back(c)) {
		deadline_clear(&c->tunnel->deadlines, &c->failback);
		c->going_back = false;
	} else if (!deadline_is_set(&c->failback) && !addresses_going_back(c)) {
		later(c, c->conf->failback, now);
	}
}

void addresses_failback(struct deadline *d, nsec_t now)
{
	struct tunnel_conn *c = container_of(d, struct tunnel_conn, failback);
	char a[ENDPOINT_STRLEN], b[ENDPOINT_STRLEN];
	struct tunnel_child *k;

	if (!may_go_back(c))
		return;
	if (c->beside || conn_is_mending(c)) {
		later(c, BUSY_LOOK, now);
		return;
	}
	if (!c->going_back)
		addresses_anew(c);
	log_debug(c->tunnel->log, "%s: calling %s, which is preferred to %s", c->conf->name,
		  endpoint_format(addresses_next(c), a), endpoint_format(ike_sa_remote(c->sa), b));
	c->going_back = true;
	c->beside = conn_initiate(c, true, now);
	if (!c->beside) {
		later(c, c->conf->failback, now);
		return;
	}
	LIST_FOREACH (k, &c->children, link)
		conn_ask_missing_on(k, c->beside, now);
}

void addresses_failback_failed(struct tunnel_conn *c, nsec_t now)
{
	c->next_remote++;
	if (may_go_back(c) && c->next_remote < conn_remote_count(c->conf) &&
	    conn_remote_preference(c->conf, c->next_remote) < c->preference)
		deadline_set(&c->tunnel->deadlines, &c->failback, now);
	/* Otherwise addresses_look sets the next time. */
}

const char *addresses_check(const struct tunnel_conn *c)
{
	if (addresses_silent(c) && !ike_sa_watches_answer(c->sa))
		return "a peer counts as silent, and nobody waits for its answer";
	if (may_go_back(c) && !deadline_is_set(&c->failback) && !addresses_going_back(c))
		return "a more preferred address of the peer is never called again";
	return NULL;
}
