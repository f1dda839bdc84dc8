/*
 * receive.c - finds the IKE SA of a received message, verifies it, and passes it to its exchange
 * (RFC 7296 2.1 to 2.5, 2.21). SPDX-License-Identifier: ISC
 */
#include "sa/limits.h"
#include "task/exchanges.h"
#include "wire/rules.h"
#include "xalloc.h"

static void count(struct ike *ike, enum ike_counter c)
{
	ike->counters[c]++;
}

/*
 * Answers a later major version than ours (2.5), at a limited rate. IKEv1 and older are not
 * answered.
 */
static void answer_version(struct ike *ike, const struct ike_in *in)
{
	struct ike_header h = *in->h;
	uint8_t msg[64];
	struct ike_builder b;

	count(ike, IKE_COUNT_VERSION);
	if (h.version >> 4 < IKE_MAJOR_VERSION)
		init_on_old_version(ike, &h);
	if (h.version >> 4 <= IKE_MAJOR_VERSION || (h.flags & IKE_FLAG_RESPONSE) ||
	    !bucket_take(&ike->version_bucket, in->now))
		return;
	h.flags = IKE_FLAG_RESPONSE | ((h.flags & IKE_FLAG_INITIATOR) ? 0 : IKE_FLAG_INITIATOR);
	ib_message(&b, msg, sizeof(msg), &h);
	ib_notify(&b, PROTOCOL_NONE, (struct chunk){0}, NOTIFY_INVALID_MAJOR_VERSION,
		  (struct chunk){0});
	(void)ike->ops.send(ike->ops.ctx, in->local, in->remote, msg, ib_finish(&b));
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
	(void)ike->ops.send(ike->ops.ctx, in->local, in->remote, msg, ib_finish(&b));
}

static void receive_init(struct ike *ike, const struct ike_in *in)
{
	const struct ike_header *h = in->h;
	bool response = h->flags & IKE_FLAG_RESPONSE;
	struct ike_sa *sa;

	if (h->message_id != 0 || (in->p->present & (PL(SK) | PL(SKF))) || h->spi_i == 0 ||
	    !(h->flags & IKE_FLAG_INITIATOR) == !response || (!response && h->spi_r)) {
		count(ike, IKE_COUNT_UNEXPECTED);
		return;
	}
	if (in->p->unknown_critical) {
		if (response)
			init_on_bad_response(ike, in);
		else
			answer_critical_plain(ike, in);
		return;
	}
	if (!rules_allow(IKE_SA_INIT, response, in->p)) {
		count(ike, IKE_COUNT_UNEXPECTED);
		if (response)
			init_on_bad_response(ike, in);
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
	trace_received(sa, in, true);
	task_init.on_response(sa, in);
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

/*
 * An authentic request whose ID we have answered (2.3). The last one, if it is the same again, gets
 * the same response. A different one under an old ID shows that the peer's state went back
 * (doc/recovery.md 5).
 */
static void receive_old(struct ike_sa *sa, const struct ike_in *in)
{
	struct ike *ike = sa->ike;
	uint32_t id = in->h->message_id;
	enum request_known known = request_compare(&sa->window, id, in->text);

	if (known == REQUEST_SAME && id + 1 == sa->window.expected_id &&
	    sa->window.response.count) {
		exchange_respond_again(sa, in->local, in->remote, in->now);
		return;
	}
	count(ike, IKE_COUNT_OLD_MESSAGE);
	if (known != REQUEST_DIFFERENT)
		return;
	log_peer(sa, in->now, LOG_LEVEL_WARNING,
		 "%s: the peer used message ID %u again: its IKE state went back", sa_label(sa),
		 id);
	ike->ops.ike_event(ike->ops.ctx, sa, IKE_EVENT_WENT_BACK, NULL, "message ID used again",
			   in->now);
}

static void handle_request(struct ike_sa *sa, const struct ike_in *in)
{
	switch (in->h->exchange) {
	case IKE_AUTH: auth_on_request(sa, in); break;
	case IKE_INTERMEDIATE: intermediate_on_request(sa, in); break;
	case IKE_FOLLOWUP_KE: followup_on_request(sa, in); break;
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

/* A rekey of the IKE SA needs KE; a CHILD SA needs both TS payloads. */
static bool create_child_complete(const struct ike_payloads *p)
{
	const uint32_t ts = PL(TSI) | PL(TSR);

	return (p->present & ts) == ts || ((p->present & ts) == 0 && (p->present & PL(KE)));
}

static bool may_request(const struct ike_sa *sa, uint8_t exchange)
{
	if (sa->state == IKE_STATE_HALF_OPEN)
		return exchange == (intermediate_left(sa) ? IKE_INTERMEDIATE : IKE_AUTH);
	return sa->established && exchange != IKE_AUTH && exchange != IKE_INTERMEDIATE;
}

/*
 * A new authentic message shows that the peer is alive (2.4), and where it is (2.23); under MOBIKE
 * only its requests to move do (RFC 4555 3.8).
 */
static void heard(struct ike_sa *sa, const struct ike_in *in)
{
	sa->last_heard = in->now;
	if (sa->established && sa->peer_natted && !sa->mobike &&
	    !endpoint_eq(&sa->remote, in->remote))
		ike_peer_moved(sa, in->remote, in->now);
}

/* The message deletes the CHILD SA that its sender receives on with this SPI. */
static bool deletes(const struct ike_payloads *p, uint32_t spi)
{
	for (unsigned i = 0; i < p->delete_count; i++) {
		const struct ike_delete_view *d = &p->del[i];

		for (unsigned k = 0; d->protocol == PROTOCOL_ESP && k < d->count; k++) {
			if (get_be32(d->spis.p + 4 * k) == spi)
				return true;
		}
	}
	return false;
}

/*
 * With a window of 1, a new request shows that the peer has our last response, and so the CHILD SA
 * that we made by it. Not confirmed are: an SA whose collision with a rekey of ours is undecided; a
 * void one, as the response that made it may have gone to another member of the peer's cluster; one
 * that replaced the SA which this request rekeys, as the peer surely does not have it; and one that
 * this request deletes, as the peer did not want what we made.
 */
static void confirm_children(struct ike_sa *sa, const struct ike_in *in)
{
	const struct child_task *t = child_task_of_const(sa->outstanding);
	const struct child_sa *asked = child_named(sa, ike_find_notify(in->p, NOTIFY_REKEY_SA));
	struct child_sa *c, *next;

	for (c = LIST_FIRST(&sa->children); c; c = next) {
		next = LIST_NEXT(c, link);
		if (!c->confirmed && !(t && t->rival == c) && !c->voided &&
		    !(asked && c->replaces == asked) && !deletes(in->p, c->spi_out))
			ike_child_heard(c, in->now);
	}
}

/* Whether a request with a new message ID may be handled now; if not, that is counted. */
static bool is_due(const struct ike_sa *sa, const struct ike_in *in)
{
	/*
	 * An address may have several half-open IKE SAs before the first guess fails. The request
	 * is dropped and not refused, so that an honest peer at that address gets through by a
	 * retransmission.
	 */
	if (sa->state == IKE_STATE_HALF_OPEN &&
	    !limit_may_guess(sa->ike, &sa->remote.addr, in->now)) {
		count(sa->ike, IKE_COUNT_GUESS_LIMIT);
		return false;
	}
	if (!may_request(sa, in->h->exchange)) {
		count(sa->ike, IKE_COUNT_UNEXPECTED);
		return false;
	}
	if (in->h->message_id > sa->window.expected_id) {
		count(sa->ike, IKE_COUNT_OLD_MESSAGE);
		return false;
	}
	return true;
}

static void receive_request(struct ike_sa *sa, const struct ike_in *in, bool well_formed)
{
	if (well_formed && sync_is_request(sa, in)) {
		sync_on_request(sa, in);
		return;
	}
	/*
	 * Before the state is checked: the response to IKE_AUTH, too, may have to be sent again
	 * (2.1).
	 */
	if (in->h->message_id < sa->window.expected_id) {
		receive_old(sa, in);
		return;
	}
	if (!is_due(sa, in))
		return;
	sa->window.expected_id++;
	sa->window.request_longest = in->longest;
	request_remember(&sa->window, in->h->message_id, in->text);
	request_parts_clear(&sa->window, &sa->ike->deadlines);
	heard(sa, in);
	confirm_children(sa, in);
	if (well_formed && in->p->unknown_critical) {
		respond_notify(sa, in->h, NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD,
			       (struct chunk){&in->p->unknown_critical, 1}, in->local, in->remote,
			       in->now);
	} else if (!well_formed || !rules_allow(in->h->exchange, false, in->p) ||
		   (in->h->exchange == IKE_CREATE_CHILD_SA && !create_child_complete(in->p))) {
		count(sa->ike, IKE_COUNT_UNEXPECTED);
		respond_notify(sa, in->h, NOTIFY_INVALID_SYNTAX, (struct chunk){0}, in->local,
			       in->remote, in->now);
		if (in->h->exchange == IKE_INTERMEDIATE)
			intermediate_refused(sa, in);
	} else {
		handle_request(sa, in);
	}
	if (sa->mute)
		sa_kill(sa, "a response is too large for a message", in->now);
}

static bool response_complete(const struct ike_sa *sa, const struct ike_payloads *p)
{
	uint8_t exchange = sa->window.exchange;

	return p->unknown_critical == 0 && rules_allow(exchange, true, p) &&
	       (ike_find_error(p) || exchange != IKE_CREATE_CHILD_SA || create_child_complete(p));
}

static void receive_response(struct ike_sa *sa, const struct ike_in *in, bool well_formed)
{
	struct ike *ike = sa->ike;
	bool tell;

	if (!exchange_awaits(sa, in->h)) {
		count(ike, IKE_COUNT_OLD_MESSAGE);
		return;
	}
	heard(sa, in);
	/*
	 * A response that breaks the rules ends the IKE SA, as INVALID_SYNTAX does by 2.21.3: the
	 * two sides no longer agree. The peer would send the same to each retransmission.
	 */
	if (!well_formed || in->h->exchange != sa->window.exchange ||
	    !response_complete(sa, in->p)) {
		count(ike, IKE_COUNT_UNEXPECTED);
		info_farewell(sa, in->now);
		sa_fail(sa, IKE_PROBLEM_UNUSABLE, "a response is not valid in its exchange",
			in->now);
		return;
	}
	tell = sa->watch_answer;
	sa->watch_answer = false;
	sa->outstanding->kind->on_response(sa, in);
	mobike_answered(sa, in);
	if (tell && sa->state != IKE_STATE_DEAD)
		ike->ops.ike_event(ike->ops.ctx, sa, IKE_EVENT_ANSWERED, NULL, "answered", in->now);
}

/*
 * A message without SK, outside IKE_SA_INIT: anyone can send it, so it is a hint at most (2.21.4).
 */
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

static bool has_more_than_sk(const struct ike_payloads *outer)
{
	return (outer->present & ~(PL(SK) | PL(SKF))) != 0;
}

/* The payloads of a protected message, of which in->text and in->first tell. */
static void receive_inside(struct ike_sa *sa, const struct ike_in *outer)
{
	struct ike_payloads inside;
	struct ike_in in = *outer;
	bool well_formed = ike_payloads_parse(in.first, in.text.p, in.text.len, &inside) == 0 &&
			   !(inside.present & (PL(SK) | PL(SKF)));

	/* What is outside SK would have to be in IntAuth (RFC 9242 3.3.1); nobody sends that. */
	if (in.h->exchange == IKE_INTERMEDIATE && has_more_than_sk(in.p))
		well_formed = false;
	in.p = &inside;
	trace_received(sa, &in, well_formed);
	if (in.h->flags & IKE_FLAG_RESPONSE)
		receive_response(sa, &in, well_formed);
	else
		receive_request(sa, &in, well_formed);
}

/* A message in SK. */
static void receive_whole(struct ike_sa *sa, struct ike_in *in)
{
	uint8_t text[IKE_MAX_MESSAGE];
	size_t len;
	int r;

	r = in->raw_len > sizeof(text) ? -EBADMSG
				       : sk_open(sa, in->raw, in->raw_len, in->p, text, &len);
	if (r == -EBADMSG) {
		count(sa->ike, IKE_COUNT_AUTH_FAILED);
		return;
	}
	in->text = (struct chunk){text, len};
	in->first = r < 0 ? PAYLOAD_SK : in->p->sk_next; /* malformed: no payload follows */
	receive_inside(sa, in);
	secret_wipe(text, len);
}

/* A part of a message, in SKF (RFC 7383). */
static void receive_fragment(struct ike_sa *sa, struct ike_in *in)
{
	uint8_t text[IKE_MAX_MESSAGE];

	switch (reassemble(sa, in, text)) {
	case REASSEMBLY_NOTHING: return;
	case REASSEMBLY_AGAIN: exchange_respond_again(sa, in->local, in->remote, in->now); return;
	case REASSEMBLY_DONE:
		receive_inside(sa, in);
		secret_wipe(text, in->text.len);
		return;
	}
}

static void receive_protected(struct ike *ike, struct ike_in *in)
{
	struct ike_sa *sa;

	if (!(in->p->present & (PL(SK) | PL(SKF)))) {
		receive_unprotected(ike, in);
		return;
	}
	sa = owner_of(ike, in->h);
	if (!sa) {
		count(ike, IKE_COUNT_UNKNOWN_SPI);
		return;
	}
	if (in->p->present & PL(SKF))
		receive_fragment(sa, in);
	else
		receive_whole(sa, in);
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
