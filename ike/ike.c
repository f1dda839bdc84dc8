/*
 * ike.c - the engine as a whole, and what its timers do; see ike.h.
 * SPDX-License-Identifier: ISC
 */
#include "sa/half_open.h"
#include "sa/limits.h"
#include "task/exchanges.h"
#include "xalloc.h"

#define HINT_RATE    1 /* liveness checks per second that outsiders can cause, over all SAs */
#define VERSION_RATE 5 /* INVALID_MAJOR_VERSION responses per second */

static const char *const result_names[] = {
#define X(id, text) text,
	FOREACH_IKE_RESULT(X)
#undef X
};

const char *ike_result_name(enum ike_result r)
{
	return result_names[r];
}

const char *ike_problem_name(enum ike_problem p)
{
	static const char *const names[] = {
#define X(id, text) text,
		FOREACH_IKE_PROBLEM(X)
#undef X
	};

	return names[p];
}

const char *ike_counter_name(enum ike_counter c)
{
	static const char *const names[] = {
#define X(id, name, text) name,
		FOREACH_IKE_COUNTER(X)
#undef X
	};
	return names[c];
}

/* ---- what is done at the deadlines of SAs ---- */

/* Starts a liveness check if nothing was received for dpd_delay, by IKE or ESP (2.4). */
static void due_dpd(struct deadline *d, nsec_t now)
{
	struct ike_sa *sa = container_of(d, struct ike_sa, dpd);
	nsec_t heard_at = max_u64(sa->last_heard, sa->ike->ops.last_inbound(sa->ike->ops.ctx, sa));
	nsec_t due = heard_at + sa->conn->dpd_delay;

	if (sa->state != IKE_STATE_ESTABLISHED)
		return;
	if (due > now) {
		deadline_set(&sa->ike->deadlines, &sa->dpd, due);
		return;
	}
	deadline_set(&sa->ike->deadlines, &sa->dpd, now + sa->conn->dpd_delay);
	ike_liveness(sa, sa->ike->ops.has_other_way(sa->ike->ops.ctx, sa) ? IKE_LATE_HINT : 0, now);
}

static void due_rekey(struct deadline *d, nsec_t now)
{
	ike_sa_rekey(container_of(d, struct ike_sa, rekey), now);
}

static void due_expire(struct deadline *d, nsec_t now)
{
	struct ike_sa *sa = container_of(d, struct ike_sa, expire);

	if (sa->deleted_by_peer) {
		sa_kill(sa, "deleted by the peer", now);
		return;
	}
	switch (sa->state) {
	case IKE_STATE_HALF_OPEN: sa_kill(sa, "half-open for too long", now); break;
	case IKE_STATE_REKEYED: sa_kill(sa, "replaced", now); break;
	case IKE_STATE_ESTABLISHED: ike_sa_delete(sa, now); break;
	case IKE_STATE_AUTH_SENT: exchange_unanswered(sa, now); break;
	case IKE_STATE_INIT_SENT:
	case IKE_STATE_DELETING:
	case IKE_STATE_DEAD: break;
	}
}

static void due_keepalive(struct deadline *d, nsec_t now)
{
	static const uint8_t keepalive = 0xff;
	struct ike_sa *sa = container_of(d, struct ike_sa, keepalive);

	/*
	 * Checked every half keepalive time, so that no silence is longer than the whole of it.
	 * keep_mapping sends an authenticated ESP packet, as the NAT may have made another mapping
	 * and the peer follows only authenticated packets. Without a CHILD SA the one byte of RFC
	 * 3948 2.3 is sent; the daemon recognizes it and adds no non-ESP marker.
	 */
	if (now - sa->last_sent >= sa->ike->set.keepalive / 2 &&
	    !sa->ike->ops.keep_mapping(sa->ike->ops.ctx, sa))
		send_message(sa, &sa->local, &sa->remote, &keepalive, 1, now);
	deadline_set(&sa->ike->deadlines, &sa->keepalive, now + sa->ike->set.keepalive / 2);
}

static void due_child_rekey(struct deadline *d, nsec_t now)
{
	ike_child_rekey(container_of(d, struct child_sa, rekey), 0, now);
}

static void due_child_expire(struct deadline *d, nsec_t now)
{
	struct child_sa *c = container_of(d, struct child_sa, expire);

	log_warn(c->ike_sa->ike->log, "%s: child %s reached its life_time", sa_label(c->ike_sa),
		 c->conf->name);
	ike_child_delete(c, now);
}

static const struct sa_timers timers = {
	.dpd = due_dpd,
	.rekey = due_rekey,
	.expire = due_expire,
	.keepalive = due_keepalive,
	.followup = followup_late,
	.child_rekey = due_child_rekey,
	.child_expire = due_child_expire,
	.child_cleanup = child_cleanup,
};

/* ---- the engine ---- */

void ike_settings_default(struct ike_settings *s)
{
	*s = (struct ike_settings){
		.half_open_max = 1000,
		.half_open_per_address = 10,
		.cookie_threshold = 30,
		.sa_max = 100000,
		.children_max = 256,
		.peer_sas = 8,
		.peer_children = 256,
		.peer_routes = 1024,
		.peer_log_rate = 10,
		.guess_rate = 1,
		.half_open_timeout = 30 * NSEC_PER_SEC,
		.retransmit = {.timeout = 500 * NSEC_PER_MSEC, .base = 1900, .tries = 7},
		.keepalive = 20 * NSEC_PER_SEC,
	};
}

struct ike *ike_new(const struct ike_ops *ops, const struct ike_settings *settings, struct rng *rng,
		    struct log *log)
{
	struct ike *ike = xzalloc(sizeof(*ike));

	ike->ops = *ops;
	ike->set = *settings;
	ike->rng = rng;
	ike->log = log;
	deadlines_init(&ike->deadlines);
	ike->timers = &timers;
	rng_fill(rng, ike->cookie_secret, sizeof(ike->cookie_secret));
	limits_init(ike);
	bucket_init(&ike->version_bucket, VERSION_RATE, VERSION_RATE);
	bucket_init(&ike->hint_bucket, HINT_RATE, HINT_RATE);
	trace_init(ike);
	return ike;
}

void ike_free(struct ike *ike, nsec_t now)
{
	struct ike_sa *sa, *tmp;

	if (!ike)
		return;
	HASH_ITER (hh, ike->sas, sa, tmp)
		sa_kill(sa, "shutting down", now);
	sa_reap(ike);
	trace_free(ike);
	conn_set_fini(&ike->conns);
	deadlines_fini(&ike->deadlines);
	secret_free(ike, sizeof(*ike));
}

/* The connection that replaces `was`; NULL: it is not configured any more. */
static const struct conn_conf *conn_now(const struct ike *ike, const struct conn_conf *was,
					conn_same *same)
{
	const struct conn_conf *c = conn_set_find(&ike->conns, was->name);

	if (c && (c == was || (same && same(was, c))))
		return c;
	return NULL;
}

/* Half-open IKE SAs go on with the connections that are configured now. */
static void update_half_open(struct ike *ike, conn_same *same, nsec_t now)
{
	struct ike_sa *sa, *tmp;

	HASH_ITER (hh, ike->sas, sa, tmp) {
		const struct conn_conf *c;

		if (sa->state != IKE_STATE_HALF_OPEN)
			continue;
		c = conn_now(ike, sa->conn, same);
		if (!c) {
			sa_kill(sa, "its connection was removed from the configuration", now);
			continue;
		}
		conn_ref(c);
		conn_unref(sa->conn);
		sa->conn = c;
	}
	sa_reap(ike);
}

void ike_set_conns(struct ike *ike, const struct conn_set *conns, conn_same *same, nsec_t now)
{
	struct conn_set before = ike->conns;

	ike->conns = conn_set_copy(conns);
	conn_set_fini(&before);
	update_half_open(ike, same, now);
}

const struct psk_store *ike_secrets(const struct ike *ike)
{
	return ike->conns.secrets;
}

void ike_only_udp(struct ike *ike)
{
	ike->only_udp = true;
}

const struct conn_set *ike_conns(const struct ike *ike)
{
	return &ike->conns;
}

const struct cred_store *ike_credentials(const struct ike *ike)
{
	return ike->conns.creds;
}

void ike_hold(struct ike *ike)
{
	ike->held = true;
}

const uint64_t *ike_counters(const struct ike *ike)
{
	return ike->counters;
}

void ike_count(struct ike *ike, enum ike_counter c)
{
	ike->counters[c]++;
}

void ike_set_settings(struct ike *ike, const struct ike_settings *settings)
{
	ike->set = *settings;
}

/* ---- time ---- */

nsec_t ike_next_deadline(const struct ike *ike)
{
	return deadline_next(&ike->deadlines);
}

void ike_tick(struct ike *ike, nsec_t now)
{
	deadlines_run(&ike->deadlines, now);
	sa_reap(ike);
}
