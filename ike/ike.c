/*
 * ike.c - the engine: what comes in goes to its exchange, what is due is done; see ike.h.
 * SPDX-License-Identifier: ISC
 */
#include "ike_sa.h"
#include "rules.h"
#include "xalloc.h"

#define TASKS_MAX    512 /* waiting on one IKE SA */
#define HINT_RATE    1	 /* liveness checks a second that outsiders can cause, on all SAs */
#define VERSION_RATE 5
#define RECENTLY     (2 * NSEC_PER_SEC)

static const char *const result_names[] = {
#define X(id, text) text,
	FOREACH_IKE_RESULT(X)
#undef X
};

const char *ike_result_name(enum ike_result r)
{
	return result_names[r];
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

const char *ike_counter_text(enum ike_counter c)
{
	static const char *const texts[] = {
#define X(id, name, text) text,
		FOREACH_IKE_COUNTER(X)
#undef X
	};
	return texts[c];
}

void ike_settings_default(struct ike_settings *s)
{
	*s = (struct ike_settings){
		.half_open_max = 1000,
		.half_open_per_address = 10,
		.cookie_threshold = 30,
		.sa_max = 100000,
		.children_max = 256,
		.half_open_timeout = 30 * NSEC_PER_SEC,
		.retransmit_timeout = 2 * NSEC_PER_SEC,
		.retransmit_tries = 5,
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
	rng_fill(rng, ike->cookie_secret, sizeof(ike->cookie_secret));
	bucket_init(&ike->version_bucket, VERSION_RATE, VERSION_RATE);
	bucket_init(&ike->hint_bucket, HINT_RATE, HINT_RATE);
	return ike;
}

void ike_free(struct ike *ike)
{
	struct ike_sa *sa, *tmp;

	if (!ike)
		return;
	HASH_ITER (hh, ike->sas, sa, tmp)
		sa_kill(sa, "shutting down", 0);
	sa_reap(ike);
	ike_set_conns(ike, NULL, 0);
	deadlines_fini(&ike->deadlines);
	secret_free(ike, sizeof(*ike));
}

void ike_set_conns(struct ike *ike, struct conn_conf **conns, unsigned count)
{
	struct conn_conf **mine = count ? xreallocarray(NULL, count, sizeof(*mine)) : NULL;

	for (unsigned i = 0; i < count; i++)
		mine[i] = conn_ref(conns[i]);
	for (unsigned i = 0; i < ike->conn_count; i++)
		conn_unref(ike->conns[i]);
	free(ike->conns);
	ike->conns = mine;
	ike->conn_count = count;
}

const uint64_t *ike_counters(const struct ike *ike)
{
	return ike->counters;
}

/* ---- receiving ---- */

static void count(struct ike *ike, enum ike_counter c)
{
	ike->counters[c]++;
}

/* A later major version than ours (2.5). IKEv1 and older are dropped in silence. */
static void answer_version(struct ike *ike, const struct ike_in *in)
{
	struct ike_header h = *in->h;
	uint8_t msg[64];
	struct ike_builder b;

	count(ike, IKE_COUNT_VERSION);
	if (h.version >> 4 <= IKE_MAJOR_VERSION || (h.flags & IKE_FLAG_RESPONSE) ||
	    !bucket_take(&ike->version_bucket, in->now))
		return;
	h.flags = IKE_FLAG_RESPONSE | ((h.flags & IKE_FLAG_INITIATOR) ? 0 : IKE_FLAG_INITIATOR);
	ib_message(&b, msg, sizeof(msg), &h);
	ib_notify(&b, PROTOCOL_NONE, (struct chunk){0}, NOTIFY_INVALID_MAJOR_VERSION,
		  (struct chunk){0});
	ike->ops.send(ike->ops.ctx, in->local, in->remote, msg, ib_finish(&b));
}

static void answer_critical_plain(struct ike *ike, const struct ike_in *in)
{
	struct ike_header h = *in->h;
	uint8_t msg[64];
	struct ike_builder b;

	h.flags = IKE_FLAG_RESPONSE;
	ib_message(&b, msg, sizeof(msg), &h);
	ib_notify(&b, PROTOCOL_NONE, (struct chunk){0}, NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD,
		  (struct chunk){&in->p->unknown_critical, 1});
	ike->ops.send(ike->ops.ctx, in->local, in->remote, msg, ib_finish(&b));
}

static void receive_init(struct ike *ike, const struct ike_in *in)
{
	const struct ike_header *h = in->h;
	bool response = h->flags & IKE_FLAG_RESPONSE;
	struct ike_sa *sa;

	if (h->message_id != 0 || (in->p->present & PL(SK)) || h->spi_i == 0 ||
	    !(h->flags & IKE_FLAG_INITIATOR) == !response || (!response && h->spi_r)) {
		count(ike, IKE_COUNT_UNEXPECTED);
		return;
	}
	if (in->p->unknown_critical) {
		if (!response)
			answer_critical_plain(ike, in);
		return;
	}
	if (!rules_allow(IKE_SA_INIT, response, in->p)) {
		count(ike, IKE_COUNT_UNEXPECTED);
		return;
	}
	if (!response) {
		init_on_request(ike, in);
		return;
	}
	sa = sa_find(ike, h->spi_i);
	if (!sa || sa->state != IKE_STATE_INIT_SENT || !sa->outstanding) {
		count(ike, IKE_COUNT_UNKNOWN_SPI);
		return;
	}
	init_on_response(sa, in);
}

/* The SA that a protected message belongs to. */
static struct ike_sa *owner_of(struct ike *ike, const struct ike_header *h)
{
	bool from_initiator = h->flags & IKE_FLAG_INITIATOR;
	struct ike_sa *sa = sa_find(ike, from_initiator ? h->spi_r : h->spi_i);

	if (!sa || sa->initiator == from_initiator || sa->spi_i != h->spi_i ||
	    sa->spi_r != h->spi_r)
		return NULL;
	return sa;
}

static void digest(const uint8_t *p, size_t len, uint8_t out[16])
{
	const struct chunk part = {p, len};
	uint8_t d[HASH_MAX_LEN];

	hash_compute(HASH_SHA256, &part, 1, d);
	memcpy(out, d, 16);
}

/*
 * A genuine request whose ID we have answered (2.3): the last one again gets the same bytes; one
 * that says something else under an old ID shows that the peer's state went back (RECOVERY 5).
 */
static void receive_old(struct ike_sa *sa, const struct ike_in *in, const uint8_t *text, size_t len)
{
	struct ike *ike = sa->ike;
	unsigned slot = in->h->message_id % REMEMBERED_REQUESTS;
	uint8_t d[16];

	digest(text, len, d);
	if (!sa->remembered[slot].used || sa->remembered[slot].id != in->h->message_id) {
		count(ike, IKE_COUNT_OLD_MESSAGE);
		return;
	}
	if (!crypto_equal(d, sa->remembered[slot].digest, sizeof(d))) {
		count(ike, IKE_COUNT_OLD_MESSAGE);
		log_warn(ike->log, "%s: the peer used message ID %u again: its IKE state went back",
			 sa_label(sa), in->h->message_id);
		ike->ops.ike_event(ike->ops.ctx, sa, IKE_EVENT_WENT_BACK, NULL,
				   "message ID used again", in->now);
		return;
	}
	if (in->h->message_id + 1 != sa->expected_id || !sa->response) {
		count(ike, IKE_COUNT_OLD_MESSAGE);
		return;
	}
	count(ike, IKE_COUNT_RETRANSMITTED);
	send_message(sa, in->local, in->remote, sa->response, sa->response_len, in->now);
}

static void handle_request(struct ike_sa *sa, const struct ike_in *in)
{
	switch (in->h->exchange) {
	case IKE_AUTH: auth_on_request(sa, in); break;
	case IKE_CREATE_CHILD_SA:
		if (in->p->present & PL(TSI))
			child_on_request(sa, in);
		else
			rekey_ike_on_request(sa, in);
		break;
	case IKE_INFORMATIONAL: info_on_request(sa, in); break;
	default: break;
	}
}

/* KE is a must for the IKE SA's rekey, both selectors for a child's. */
static bool create_child_complete(const struct ike_payloads *p)
{
	const uint32_t ts = PL(TSI) | PL(TSR);

	return (p->present & ts) == ts || ((p->present & ts) == 0 && (p->present & PL(KE)));
}

static bool may_request(const struct ike_sa *sa, uint8_t exchange)
{
	return sa->state == IKE_STATE_HALF_OPEN ? exchange == IKE_AUTH
						: sa->established && exchange != IKE_AUTH;
}

/* A fresh message shows that the peer lives, and where (2.23, 2.4). */
static void heard(struct ike_sa *sa, const struct ike_in *in)
{
	sa->last_heard = in->now;
	if (sa->established && sa->peer_natted && !endpoint_eq(&sa->remote, in->remote))
		ike_peer_moved(sa, in->remote, in->now);
}

/*
 * With windows of 1, a new request shows that the peer has our last response, and so what we made
 * by it. What collides with a rekey of ours is not decided yet.
 */
static void confirm_children(struct ike_sa *sa, nsec_t now)
{
	const struct ike_task *t = sa->outstanding;
	struct child_sa *c, *next;

	for (c = LIST_FIRST(&sa->children); c; c = next) {
		next = LIST_NEXT(c, link);
		if (!(t && t->rival == c))
			ike_child_heard(c, now);
	}
}

static void receive_request(struct ike_sa *sa, const struct ike_in *in, const uint8_t *text,
			    size_t len, bool well_formed)
{
	unsigned slot = in->h->message_id % REMEMBERED_REQUESTS;

	if (!may_request(sa, in->h->exchange)) {
		count(sa->ike, IKE_COUNT_UNEXPECTED);
		return;
	}
	if (in->h->message_id < sa->expected_id) {
		receive_old(sa, in, text, len);
		return;
	}
	if (in->h->message_id > sa->expected_id) {
		count(sa->ike, IKE_COUNT_OLD_MESSAGE);
		return;
	}
	sa->expected_id++;
	sa->remembered[slot].id = in->h->message_id;
	sa->remembered[slot].used = true;
	digest(text, len, sa->remembered[slot].digest);
	heard(sa, in);
	confirm_children(sa, in->now);
	if (well_formed && in->p->unknown_critical) {
		respond_notify(sa, in->h, NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD,
			       (struct chunk){&in->p->unknown_critical, 1}, in->local, in->remote,
			       in->now);
	} else if (!well_formed || !rules_allow(in->h->exchange, false, in->p) ||
		   (in->h->exchange == IKE_CREATE_CHILD_SA && !create_child_complete(in->p))) {
		count(sa->ike, IKE_COUNT_UNEXPECTED);
		respond_notify(sa, in->h, NOTIFY_INVALID_SYNTAX, (struct chunk){0}, in->local,
			       in->remote, in->now);
	} else {
		handle_request(sa, in);
	}
}

static uint8_t exchange_of(enum task_kind k)
{
	switch (k) {
	case TASK_INIT: return IKE_SA_INIT;
	case TASK_AUTH: return IKE_AUTH;
	case TASK_CHILD_CREATE:
	case TASK_CHILD_REKEY:
	case TASK_IKE_REKEY: return IKE_CREATE_CHILD_SA;
	case TASK_CHILD_DELETE:
	case TASK_IKE_DELETE:
	case TASK_LIVENESS: return IKE_INFORMATIONAL;
	}
	return 0;
}

static void handle_response(struct ike_sa *sa, const struct ike_in *in)
{
	switch (in->h->exchange) {
	case IKE_AUTH: auth_on_response(sa, in); break;
	case IKE_CREATE_CHILD_SA:
		if (sa->outstanding->kind == TASK_IKE_REKEY)
			rekey_ike_on_response(sa, in);
		else
			child_on_response(sa, in);
		break;
	case IKE_INFORMATIONAL: info_on_response(sa, in); break;
	default: break;
	}
}

static bool response_complete(const struct ike_sa *sa, const struct ike_payloads *p)
{
	return p->unknown_critical == 0 &&
	       rules_allow(exchange_of(sa->outstanding->kind), true, p) &&
	       (ike_find_error(p) || exchange_of(sa->outstanding->kind) != IKE_CREATE_CHILD_SA ||
		create_child_complete(p));
}

static void receive_response(struct ike_sa *sa, const struct ike_in *in, bool well_formed)
{
	struct ike *ike = sa->ike;
	bool tell;

	if (!sa->outstanding || !sa->request || in->h->message_id + 1 != sa->next_id ||
	    in->h->exchange != exchange_of(sa->outstanding->kind)) {
		count(ike, IKE_COUNT_OLD_MESSAGE);
		return;
	}
	heard(sa, in);
	/* 2.21.3: an answer that makes no sense ends the IKE SA; both sides no longer agree on it.
	 */
	if (!well_formed || !response_complete(sa, in->p)) {
		count(ike, IKE_COUNT_UNEXPECTED);
		sa_kill(sa, "a response that breaks the rules of its exchange", in->now);
		return;
	}
	tell = sa->watch_answer;
	sa->watch_answer = false;
	handle_response(sa, in);
	if (tell && sa->state != IKE_STATE_DEAD)
		ike->ops.ike_event(ike->ops.ctx, sa, IKE_EVENT_ANSWERED, NULL, "answered", in->now);
}

/* No SK payload outside IKE_SA_INIT: at most a hint from anyone (2.21.4). */
static void receive_unprotected(struct ike *ike, const struct ike_in *in)
{
	if (!ike_find_notify(in->p, NOTIFY_INVALID_SPI) &&
	    !ike_find_notify(in->p, NOTIFY_INVALID_IKE_SPI)) {
		count(ike, IKE_COUNT_UNEXPECTED);
		return;
	}
	count(ike, IKE_COUNT_UNPROTECTED);
	ike_outsider_hint(ike, in->remote, in->now);
}

static void receive_protected(struct ike *ike, struct ike_in *in)
{
	static const struct ike_payloads empty;
	struct ike_sa *sa;
	struct ike_payloads inner = empty;
	uint8_t text[IKE_MAX_MESSAGE];
	bool well_formed;
	size_t len;

	if (!(in->p->present & PL(SK))) {
		receive_unprotected(ike, in);
		return;
	}
	sa = owner_of(ike, in->h);
	if (!sa) {
		count(ike, IKE_COUNT_UNKNOWN_SPI);
		return;
	}
	if (in->raw_len > sizeof(text) ||
	    sk_open(sa, in->raw, in->raw_len, in->p, text, &len) < 0) {
		count(ike, IKE_COUNT_AUTH_FAILED);
		return;
	}
	well_formed = ike_payloads_parse(in->p->sk_next, text, len, &inner) == 0 &&
		      !(inner.present & PL(SK));
	in->p = &inner;
	if (in->h->flags & IKE_FLAG_RESPONSE)
		receive_response(sa, in, well_formed);
	else
		receive_request(sa, in, text, len, well_formed);
	secret_wipe(text, len);
	exchange_run(sa, in->now);
}

void ike_receive(struct ike *ike, const struct endpoint *local, const struct endpoint *remote,
		 const uint8_t *p, size_t len, nsec_t now)
{
	struct ike_header h;
	struct ike_payloads outer;
	struct ike_in in = {.h = &h,
			    .p = &outer,
			    .raw = p,
			    .raw_len = len,
			    .local = local,
			    .remote = remote,
			    .now = now};

	if (ike_header_parse(p, len, &h) < 0) {
		count(ike, IKE_COUNT_MALFORMED);
		return;
	}
	if (h.version >> 4 != IKE_MAJOR_VERSION) {
		answer_version(ike, &in);
		return;
	}
	if (ike_payloads_parse(h.next, p + IKE_HEADER_LEN, len - IKE_HEADER_LEN, &outer) < 0) {
		count(ike, IKE_COUNT_MALFORMED);
		return;
	}
	if (h.exchange == IKE_SA_INIT)
		receive_init(ike, &in);
	else
		receive_protected(ike, &in);
	sa_reap(ike);
}

/* ---- time ---- */

nsec_t ike_next_deadline(const struct ike *ike)
{
	return deadline_next(&ike->deadlines);
}

/* Nothing heard for dpd_delay, by IKE or ESP: ask (2.4). */
static void due_dpd(struct ike_sa *sa, nsec_t now)
{
	nsec_t heard_at = max_u64(sa->last_heard, sa->ike->ops.last_inbound(sa->ike->ops.ctx, sa));
	nsec_t due = heard_at + sa->conn->dpd_delay;

	if (sa->state != IKE_STATE_ESTABLISHED)
		return;
	if (due > now) {
		deadline_set(&sa->ike->deadlines, &sa->dpd, due);
		return;
	}
	deadline_set(&sa->ike->deadlines, &sa->dpd, now + sa->conn->dpd_delay);
	ike_liveness(sa, false, now);
}

static void due_expire(struct ike_sa *sa, nsec_t now)
{
	switch (sa->state) {
	case IKE_STATE_HALF_OPEN: sa_kill(sa, "half-open for too long", now); break;
	case IKE_STATE_REKEYED: sa_kill(sa, "replaced", now); break;
	case IKE_STATE_ESTABLISHED: ike_sa_delete(sa, now); break;
	case IKE_STATE_INIT_SENT:
	case IKE_STATE_AUTH_SENT:
	case IKE_STATE_DELETING:
	case IKE_STATE_DEAD: break;
	}
}

static void due_keepalive(struct ike_sa *sa, nsec_t now)
{
	static const uint8_t keepalive = 0xff;

	/* RFC 3948 2.3; the daemon knows a single byte for what it is and adds no marker. */
	if (now - sa->last_sent >= sa->ike->set.keepalive)
		send_message(sa, &sa->local, &sa->remote, &keepalive, 1, now);
	deadline_set(&sa->ike->deadlines, &sa->keepalive, now + sa->ike->set.keepalive);
}

static void due_child(struct deadline *d, nsec_t now)
{
	struct child_sa *c;

	switch (d->kind) {
	case DL_CHILD_REKEY:
		ike_child_rekey(container_of(d, struct child_sa, rekey), false, now);
		break;
	case DL_CHILD_EXPIRE:
		c = container_of(d, struct child_sa, expire);
		log_warn(c->ike_sa->ike->log, "%s: child %s reached its life_time",
			 sa_label(c->ike_sa), c->conf->name);
		ike_child_delete(c, now);
		break;
	case DL_CHILD_CLEANUP:
		/* The peer replaced it and never deleted it. */
		ike_child_delete(container_of(d, struct child_sa, cleanup), now);
		break;
	default: break;
	}
}

static void due(struct deadline *d, nsec_t now)
{
	switch ((enum ike_deadline)d->kind) {
	case DL_RETRANSMIT:
		exchange_timeout(container_of(d, struct ike_sa, retransmit), now);
		break;
	case DL_DPD: due_dpd(container_of(d, struct ike_sa, dpd), now); break;
	case DL_REKEY: ike_sa_rekey(container_of(d, struct ike_sa, rekey), now); break;
	case DL_EXPIRE: due_expire(container_of(d, struct ike_sa, expire), now); break;
	case DL_KEEPALIVE: due_keepalive(container_of(d, struct ike_sa, keepalive), now); break;
	case DL_TASK: exchange_run(container_of(d, struct ike_task, wait)->ike_sa, now); break;
	case DL_CHILD_REKEY:
	case DL_CHILD_EXPIRE:
	case DL_CHILD_CLEANUP: due_child(d, now); break;
	}
}

void ike_tick(struct ike *ike, nsec_t now)
{
	struct deadline *d;

	while ((d = deadline_pop(&ike->deadlines, now)))
		due(d, now);
	sa_reap(ike);
}

/* ---- requests of our owner: they only queue ---- */

static struct ike_task *queue(struct ike_sa *sa, enum task_kind kind, bool front, nsec_t now)
{
	struct ike_task *t = task_add(sa, kind, front);

	deadline_set(&sa->ike->deadlines, &t->wait, now);
	return t;
}

static unsigned tasks_waiting(const struct ike_sa *sa)
{
	const struct ike_task *t;
	unsigned n = 0;

	TAILQ_FOREACH (t, &sa->tasks, link)
		n++;
	return n;
}

struct ike_sa *ike_initiate(struct ike *ike, struct conn_conf *conn, const struct endpoint *local,
			    const struct endpoint *remote, struct child_conf *const *children,
			    unsigned count, bool beside, nsec_t now)
{
	struct ike_sa *sa;

	if (proposals_first_group(&conn->proposals) == GROUP_NONE ||
	    HASH_COUNT(ike->sas) >= ike->set.sa_max)
		return NULL;
	sa = sa_new(ike, conn, true, local, remote);
	sa->state = IKE_STATE_INIT_SENT;
	sa->beside = beside;
	queue(sa, TASK_INIT, false, now);
	task_add(sa, TASK_AUTH, false);
	for (unsigned i = 0; i < count; i++)
		task_add(sa, TASK_CHILD_CREATE, false)->conf = children[i];
	log_info(ike->log, "%s: connecting%s", sa_label(sa),
		 beside ? " beside the old IKE SA" : "");
	return sa;
}

void ike_child_create(struct ike_sa *sa, struct child_conf *conf, const struct ts *first,
		      nsec_t now)
{
	struct ike_task *t;

	if (sa->state == IKE_STATE_DEAD || tasks_waiting(sa) >= TASKS_MAX)
		return;
	t = queue(sa, TASK_CHILD_CREATE, false, now);
	t->conf = conf;
	t->has_first = first != NULL;
	if (first)
		memcpy(t->first_ts, first, sizeof(t->first_ts));
}

void ike_child_rekey(struct child_sa *c, bool hurry, nsec_t now)
{
	struct ike_task *t;

	if (c->successor || c->state != CHILD_STATE_INSTALLED)
		return;
	c->state = CHILD_STATE_REKEYING;
	t = queue(c->ike_sa, TASK_CHILD_REKEY, hurry, now);
	t->child = c;
	t->conf = c->conf;
	t->hurry = hurry;
}

void ike_child_delete(struct child_sa *c, nsec_t now)
{
	struct ike_task *t;

	if (c->state == CHILD_STATE_DELETING)
		return;
	c->state = CHILD_STATE_DELETING;
	t = queue(c->ike_sa, TASK_CHILD_DELETE, false, now);
	t->child = c;
	t->conf = c->conf;
}

void ike_child_drop(struct child_sa *c, const char *why, nsec_t now)
{
	child_kill(c, why, now);
}

void ike_sa_rekey(struct ike_sa *sa, nsec_t now)
{
	struct ike_task *t;

	if (sa->state != IKE_STATE_ESTABLISHED || sa->unresolved ||
	    (sa->outstanding && sa->outstanding->kind == TASK_IKE_REKEY))
		return;
	TAILQ_FOREACH (t, &sa->tasks, link) {
		if (t->kind == TASK_IKE_REKEY)
			return;
	}
	queue(sa, TASK_IKE_REKEY, false, now);
}

void ike_sa_delete(struct ike_sa *sa, nsec_t now)
{
	if (sa->state == IKE_STATE_DELETING || sa->state == IKE_STATE_DEAD)
		return;
	if (!sa->established) {
		sa_kill(sa, "ended before it was up", now);
		return;
	}
	sa->state = IKE_STATE_DELETING;
	queue(sa, TASK_IKE_DELETE, true, now);
}

void ike_sa_drop(struct ike_sa *sa, const char *why, nsec_t now)
{
	sa_kill(sa, why, now);
}

void ike_liveness(struct ike_sa *sa, bool hurry, nsec_t now)
{
	struct ike_task *t;

	if (sa->state != IKE_STATE_ESTABLISHED)
		return;
	if (hurry)
		sa->watch_answer = true;
	/* Any outstanding request asks the same question. */
	if (sa->outstanding) {
		if (hurry)
			ike_hurry(sa, now);
		return;
	}
	TAILQ_FOREACH (t, &sa->tasks, link) {
		if (t->kind == TASK_LIVENESS)
			return;
	}
	queue(sa, TASK_LIVENESS, true, now)->hurry = hurry;
}

bool ike_peer_moved(struct ike_sa *sa, const struct endpoint *remote, nsec_t now)
{
	char a[ENDPOINT_STRLEN], b[ENDPOINT_STRLEN];

	(void)now;
	/* 2.23: who is behind a NAT does not follow, who is not does. */
	if (!sa->peer_natted || sa->we_natted || remote->addr.family != sa->remote.addr.family)
		return false;
	log_info(sa->ike->log, "%s: the peer moved from %s to %s", sa_label(sa),
		 endpoint_format(&sa->remote, a), endpoint_format(remote, b));
	sa_set_remote(sa, remote);
	return true;
}

void ike_outsider_hint(struct ike *ike, const struct endpoint *remote, nsec_t now)
{
	struct ike_sa *sa = addr_index_first(ike, &remote->addr);

	for (; sa; sa = LIST_NEXT(sa, address_link)) {
		/* Somebody who was heard just now has not lost its state. */
		if (sa->state != IKE_STATE_ESTABLISHED || now - sa->last_heard < RECENTLY)
			continue;
		if (bucket_take(&ike->hint_bucket, now))
			ike_liveness(sa, false, now);
		return;
	}
}

void ike_child_heard(struct child_sa *c, nsec_t now)
{
	struct ike *ike = c->ike_sa->ike;

	if (c->confirmed)
		return;
	c->confirmed = true;
	ike->ops.child_event(ike->ops.ctx, c, CHILD_EVENT_CONFIRMED, "heard", now);
}

#ifdef MENDIP_FAULTS
void ike_fault_message_ids(struct ike_sa *sa, uint32_t back)
{
	sa->next_id -= back < sa->next_id ? back : sa->next_id;
	sa->expected_id -= back < sa->expected_id ? back : sa->expected_id;
}

void ike_fault_forget_child(struct child_sa *c)
{
	child_kill(c, "forgotten by a fault", 0);
}

void ike_fault_forget_sa(struct ike_sa *sa)
{
	sa_kill(sa, "forgotten by a fault", 0);
}
#endif
