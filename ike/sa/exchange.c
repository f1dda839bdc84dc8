/*
 * exchange.c - our requests one at a time, their retransmission, and cached responses
 * (RFC 7296 2.1 to 2.4). SPDX-License-Identifier: ISC
 */
#include "sa/exchange.h"
#include "sa/limits.h"
#include "sa/paths.h"
#include "sa/trace.h"
#include "xalloc.h"

#include <assert.h>
#include <stdio.h>

/* doc/recovery.md 5: sent at 0, 0.5, 1.5, 3.5 and 5.5 s, then twice more, 4 and 8 s later. */
static const uint32_t hurried_ms[] = {500, 1000, 2000, 2000};
#define HURRIED_AFTER_MS  4000
#define HURRIED_TRIES	  (ARRAY_SIZE(hurried_ms) + 3)

#define PATIENCE	  (5 * NSEC_PER_SEC) /* for the answer to a call */

#define SENDS_OF_ONE_SIZE 2 /* without an answer; then smaller fragments are tried */

/* Responses sent again to where the peer is not known to be, which it may be: per second, at once.
 */
#define ELSEWHERE_RATE	1
#define ELSEWHERE_BURST 10

#define WAIT_MAX	(3600 * NSEC_PER_SEC) /* between two sendings, whatever the options say */

static void task_due(struct deadline *d, nsec_t now)
{
	exchange_run(container_of(d, struct ike_task, wait)->ike_sa, now);
}

struct ike_task *task_add(struct ike_sa *sa, const struct task_kind *kind, bool front)
{
	struct ike_task *t = xzalloc(kind->size);

	assert(kind->size >= sizeof(*t));
	t->ike_sa = sa;
	t->kind = kind;
	t->wait.due = task_due;
	if (front)
		TAILQ_INSERT_HEAD(&sa->tasks, t, link);
	else
		TAILQ_INSERT_TAIL(&sa->tasks, t, link);
	return t;
}

/* Whether the task may be sent in the state of the IKE SA. */
static bool may_send(const struct ike_sa *sa, const struct ike_task *t)
{
	return t->kind->states & 1u << sa->state;
}

void exchange_run(struct ike_sa *sa, nsec_t now)
{
	struct ike_task *t, *next;

	for (t = TAILQ_FIRST(&sa->tasks); t && !sa->outstanding; t = next) {
		next = TAILQ_NEXT(t, link);
		if (deadline_is_set(&t->wait) || task_is_held(t) || !may_send(sa, t))
			continue;
		TAILQ_REMOVE(&sa->tasks, t, link);
		sa->outstanding = t;
		t->kind->send(sa, t, now);
		/* A task that found nothing to do has ended itself; the list may have changed. */
		next = TAILQ_FIRST(&sa->tasks);
	}
}

int send_message(struct ike_sa *sa, const struct endpoint *local, const struct endpoint *remote,
		 const uint8_t *p, size_t len, nsec_t now)
{
	sa->last_sent = now;
	return sa->ike->ops.send(sa->ike->ops.ctx, local, remote, p, len);
}

int sent_again(struct ike_sa *sa, const struct sent_message *m, const struct endpoint *local,
	       const struct endpoint *remote, nsec_t now)
{
	int r = 0;

	for (unsigned i = 0; i < m->count; i++) {
		int one = send_message(sa, local, remote, m->part[i].p, m->part[i].len, now);

		r = r ? r : one;
	}
	return r;
}

/* t +-20 %. */
static nsec_t vary(struct ike *ike, nsec_t t)
{
	return t * 4 / 5 + rng_below(ike->rng, t * 2 / 5 + 1);
}

/* What the connection says, and where it says nothing, what holds for all. */
static struct retransmission retransmission_of(const struct ike_sa *sa)
{
	const struct retransmission *own = &sa->conn->retransmit, *all = &sa->ike->set.retransmit;

	return (struct retransmission){
		.timeout = own->timeout ? own->timeout : all->timeout,
		.base = own->base ? own->base : all->base,
		.tries = own->tries ? own->tries : all->tries,
	};
}

/* How long to wait after the sends-th sending. */
static nsec_t next_wait(const struct ike_sa *sa)
{
	const struct retransmission r = retransmission_of(sa);
	nsec_t t;

	if (sa->window.hurried) {
		if (sa->window.sends <= ARRAY_SIZE(hurried_ms))
			return hurried_ms[sa->window.sends - 1] * NSEC_PER_MSEC;
		return HURRIED_AFTER_MS * NSEC_PER_MSEC *
		       (sa->window.sends - ARRAY_SIZE(hurried_ms));
	}
	t = r.timeout;
	for (unsigned i = 1; i < sa->window.sends + sa->window.slow; i++)
		t = min_u64(t / 1000 * r.base, WAIT_MAX);
	return t;
}

/* All sendings had their time without a response. */
static bool given_up(const struct ike_sa *sa)
{
	return sa->window.sends >
	       (sa->window.hurried ? HURRIED_TRIES - 1 : retransmission_of(sa).tries);
}

/* Whether long datagrams may be why the message was sent in vain so often (RFC 7383 2.5.2). */
static bool should_divide(unsigned sends)
{
	return sends > 0 && sends % SENDS_OF_ONE_SIZE == 0;
}

/* What is found out here about the path holds for the messages to come, too. */
static void divide_request(struct ike_sa *sa, nsec_t now)
{
	struct sent_message *m = &sa->window.request;

	if (!should_divide(sa->window.sends) || !message_divide(sa, m))
		return;
	log_peer(sa, now, LOG_LEVEL_INFO,
		 "%s: no answer to a message in datagrams of up to %u bytes: up to %u from now on",
		 sa_label(sa), message_size(sa), m->size);
	sa->fragment_size = (uint16_t)m->size;
}

static void send_outstanding(struct ike_sa *sa, nsec_t now)
{
	struct endpoint to;
	nsec_t wait;
	int r;

	divide_request(sa, now);
	sa->window.sends++;
	to = paths_destination(sa);
	if (sa->window.sends > 1)
		trace_sent_again(sa, &to, now);
	r = sent_again(sa, &sa->window.request, &sa->local, &to, now);
	/* Nobody can answer what was never on the wire. */
	if (sa->window.sends == 1 || sa->window.refused)
		sa->window.refused = -r;
	wait = next_wait(sa);
	deadline_set(&sa->ike->deadlines, &sa->window.retransmit, now + vary(sa->ike, wait));
}

/* Sets the time for the response, unless an earlier one is set. */
static void set_late(struct ike_sa *sa, nsec_t late, nsec_t now)
{
	if (!deadline_is_set(&sa->window.late) || sa->window.late.at > now + late)
		deadline_set(&sa->ike->deadlines, &sa->window.late, now + late);
}

/* The request of the outstanding task has been made: sends it for the first time. */
static void begin_request(struct ike_sa *sa, nsec_t now)
{
	sa->window.sends = 0;
	sa->window.told = false;
	sa->window.request_since = now;
	sa->window.hurried = sa->outstanding->late != 0;
	if (sa->window.hurried)
		set_late(sa, sa->outstanding->late, now);
	send_outstanding(sa, now);
}

void exchange_send_plain(struct ike_sa *sa, const uint8_t *p, size_t len, nsec_t now)
{
	sa->window.exchange = IKE_SA_INIT;
	sent_set(&sa->window.request, p, len);
	trace_sent_plain(sa, p, len, &sa->remote, now);
	begin_request(sa, now);
}

/* The payloads, before they are encrypted. */
static struct chunk written(const struct ike_builder *b)
{
	return (struct chunk){b->w.base, b->w.len};
}

void exchange_send_request(struct ike_sa *sa, uint8_t exchange, struct ike_builder *inside,
			   nsec_t now)
{
	struct ike_header h = {.spi_i = sa->spi_i,
			       .spi_r = sa->spi_r,
			       .exchange = exchange,
			       .flags = sa->initiator ? IKE_FLAG_INITIATOR : 0,
			       .message_id = sa->window.next_id};

	/* RFC 7296 2.2: an IKE SA ends before its message IDs do. */
	if (sa->window.next_id == UINT32_MAX) {
		sa_kill(sa, "message IDs used up", now);
		return;
	}
	if (message_make(sa, &h, inside, message_size(sa), &sa->window.request) < 0) {
		sa_kill(sa, "a request is too large for a message", now);
		return;
	}
	sa->window.exchange = exchange;
	sa->window.next_id++;
	trace_sent(sa, &h, inside->first, written(inside), &sa->remote, now);
	begin_request(sa, now);
}

bool exchange_awaits(const struct ike_sa *sa, const struct ike_header *h)
{
	return sa->outstanding && sa->window.request.count &&
	       h->message_id + 1 == sa->window.next_id;
}

#define SILENCE_STRLEN 128

/* What the silence to the outstanding request of a call shows; text says it. */
static enum ike_problem read_silence(const struct ike_sa *sa, char text[SILENCE_STRLEN])
{
	if (sa->window.refused) {
		snprintf(text, SILENCE_STRLEN, "this host refuses to send to it: %s",
			 strerror(sa->window.refused));
		return IKE_PROBLEM_NOT_SENT;
	}
	snprintf(text, SILENCE_STRLEN, "no response to %s", ike_exchange_name(sa->window.exchange));
	return sa->window.exchange == IKE_SA_INIT ? IKE_PROBLEM_NO_ANSWER
						  : IKE_PROBLEM_NO_ANSWER_TO_AUTH;
}

/* Whether the outstanding request has failed by more than silence. */
static bool is_refused(const struct ike_sa *sa)
{
	const struct task_kind *kind = sa->outstanding ? sa->outstanding->kind : NULL;

	return kind && kind->is_refused && kind->is_refused(sa);
}

void exchange_unanswered(struct ike_sa *sa, nsec_t now)
{
	char text[SILENCE_STRLEN];
	enum ike_problem what;

	sa->unanswered = true;
	if (is_refused(sa)) {
		sa->outstanding->kind->end_refused(sa, now);
	} else if (sa->established) {
		sa_fail(sa, IKE_PROBLEM_SILENT, "no response to our request", now);
	} else {
		what = read_silence(sa, text);
		sa_fail(sa, what, text, now);
	}
}

/*
 * A call that nobody answers goes on for long: its owner learns of that before its end. Silence on
 * an IKE SA that is up is what liveness is for.
 */
static void tell_silence(struct ike_sa *sa, nsec_t now)
{
	char text[SILENCE_STRLEN];
	enum ike_problem what;

	if (sa->window.told || sa->established || is_refused(sa) ||
	    now - sa->window.request_since < PATIENCE)
		return;
	sa->window.told = true;
	what = read_silence(sa, text);
	sa->ike->ops.problem(sa->ike->ops.ctx, sa, NULL, what, text, now);
}

void exchange_timeout(struct deadline *d, nsec_t now)
{
	struct ike_sa *sa = container_of(d, struct ike_sa, window.retransmit);
	struct ike *ike = sa->ike;

	if (!sa->outstanding || !sa->window.request.count)
		return;
	if (given_up(sa) ||
	    (sa->state == IKE_STATE_INIT_SENT && is_refused(sa) && sa->window.sends > 1)) {
		exchange_unanswered(sa, now);
		return;
	}
	tell_silence(sa, now);
	ike->counters[IKE_COUNT_RETRANSMITS]++;
	send_outstanding(sa, now);
}

void exchange_late(struct deadline *d, nsec_t now)
{
	struct ike_sa *sa = container_of(d, struct ike_sa, window.late);
	struct ike *ike = sa->ike;
	char why[64];

	if (!sa->outstanding)
		return;
	snprintf(why, sizeof(why), "no answer within %.1f s",
		 (double)sa->outstanding->late / NSEC_PER_SEC);
	ike->ops.ike_event(ike->ops.ctx, sa, IKE_EVENT_LATE, NULL, why, now);
}

bool ike_hurry(struct ike_sa *sa, nsec_t late, nsec_t now)
{
	if (!sa->outstanding || !sa->window.request.count)
		return false;
	sa->watch_answer = true;
	if (!sa->outstanding->late || late < sa->outstanding->late) {
		sa->outstanding->late = late;
		set_late(sa, late, now);
	}
	if (sa->window.hurried)
		return true;
	sa->window.hurried = true;
	sa->window.sends = 0;
	send_outstanding(sa, now);
	return true;
}

void ike_send_now(struct ike_sa *sa, nsec_t late, nsec_t now)
{
	bool hurried = sa->window.hurried;

	if (!ike_hurry(sa, late, now) || !hurried)
		return;
	sa->window.sends = 0;
	send_outstanding(sa, now);
}

void exchange_respond(struct ike_sa *sa, const struct ike_header *req, struct ike_builder *inside,
		      const struct endpoint *local, const struct endpoint *remote, nsec_t now)
{
	struct ike_header h = {.spi_i = sa->spi_i,
			       .spi_r = sa->spi_r,
			       .exchange = req->exchange,
			       .flags =
				       IKE_FLAG_RESPONSE | (sa->initiator ? IKE_FLAG_INITIATOR : 0),
			       .message_id = req->message_id};

	sa->window.repeats = 0;
	if (message_make(sa, &h, inside, response_size(sa), &sa->window.response) < 0) {
		log_error(sa->ike->log, "%s: a response is too large for a message", sa_label(sa));
		/* A notify alone always fits: this goes no deeper. */
		if (!sa->mute) {
			sa->mute = true;
			respond_notify(sa, req, NOTIFY_INVALID_SYNTAX, (struct chunk){0}, local,
				       remote, now);
		}
		return;
	}
	trace_sent(sa, &h, inside->first, written(inside), remote, now);
	sent_again(sa, &sa->window.response, local, remote, now);
}

/*
 * Anyone can send a recorded request again in the name of another host, which would get the whole
 * response, and that may be much longer.
 */
static bool may_repeat_to(struct ike_sa *sa, const struct endpoint *remote, nsec_t now)
{
	struct bucket *b = &sa->window.elsewhere;

	if (endpoint_eq(remote, &sa->remote))
		return true;
	if (!b->burst)
		bucket_init(b, ELSEWHERE_RATE, ELSEWHERE_BURST);
	return bucket_take(b, now);
}

void exchange_respond_again(struct ike_sa *sa, const struct endpoint *local,
			    const struct endpoint *remote, nsec_t now)
{
	if (!may_repeat_to(sa, remote, now)) {
		sa->ike->counters[IKE_COUNT_OLD_MESSAGE]++;
		return;
	}
	sa->ike->counters[IKE_COUNT_RETRANSMITTED]++;
	/*
	 * Anyone can have sent the same request again, so this is no reason for smaller messages
	 * from now on.
	 */
	if (should_divide(++sa->window.repeats))
		(void)message_divide(sa, &sa->window.response);
	sent_again(sa, &sa->window.response, local, remote, now);
}

void respond_notify(struct ike_sa *sa, const struct ike_header *req, uint16_t type,
		    struct chunk data, const struct endpoint *local, const struct endpoint *remote,
		    nsec_t now)
{
	uint8_t buf[256];
	struct ike_builder b;

	ib_inside(&b, buf, sizeof(buf));
	ib_notify(&b, PROTOCOL_NONE, (struct chunk){0}, type, data);
	exchange_respond(sa, req, &b, local, remote, now);
}
