/*
 * reassembly.c - the messages of a peer that come in fragments (RFC 7383 2.6).
 * SPDX-License-Identifier: ISC
 *
 * One message in each direction is put together at a time: the next request, and the response to
 * ours. A fragment is opened only if it can be part of one.
 */
#include "sa/exchange.h"
#include "sa/limits.h"

/* Without another fragment; a peer that is there has sent again by then. */
#define REASSEMBLY_TIME (30 * NSEC_PER_SEC)

/*
 * Whether a fragment of a request with this ID may come. Of an old one, which is sent again, number
 * 1 alone counts (2.6.1), unless that shows that it is another one, or was too short to tell.
 */
static bool request_is_due(const struct ike_sa *sa, const struct ike_in *in)
{
	const struct ike_window *w = &sa->window;
	uint32_t id = in->h->message_id;

	if (id >= w->expected_id)
		return id == w->expected_id;
	/* RFC 6311: a cluster's new member uses message ID 0. */
	if (!request_is_remembered(w, id) && !(sa->ha_peer && id == 0))
		return false;
	return in->p->fragment == 1 || (w->request_parts.part && w->request_parts.id == id);
}

static bool is_due(const struct ike_sa *sa, const struct ike_in *in, const struct fragment_head *f)
{
	bool response = in->h->flags & IKE_FLAG_RESPONSE;

	return sa->fragments && (response ? exchange_awaits(sa, in->h) : request_is_due(sa, in)) &&
	       fragments_want(response ? &sa->window.response_parts : &sa->window.request_parts, f);
}

/* The first fragment of the last request, which has been answered. */
static bool is_again(const struct ike_sa *sa, const struct ike_in *in, struct chunk text)
{
	const struct ike_window *w = &sa->window;
	uint32_t id = in->h->message_id;

	return !(in->h->flags & IKE_FLAG_RESPONSE) && in->p->fragment == 1 &&
	       id + 1 == w->expected_id && w->response.count && request_is_remembered(w, id) &&
	       request_begins_alike(w, text);
}

static void tell_too_long(struct ike_sa *sa, nsec_t now)
{
	if (sa->established)
		log_peer(sa, now, LOG_LEVEL_WARNING,
			 "%s: a message in fragments that is too long was dropped", sa_label(sa));
	else
		log_outsider(sa->ike->log, now, LOG_LEVEL_WARNING,
			     "%s: a message in fragments that is too long was dropped",
			     sa_label(sa));
}

/* Stores the fragment, which is authentic and due; true: its message is complete, and in text. */
static bool store(struct ike_sa *sa, struct ike_in *in, const struct fragment_head *f, size_t len,
		  uint8_t *text)
{
	struct ike_window *w = &sa->window;
	bool response = in->h->flags & IKE_FLAG_RESPONSE;
	struct fragments *parts = response ? &w->response_parts : &w->request_parts;
	size_t limit = sa->established ? IKE_MAX_MESSAGE : IKE_MAX_UNKNOWN;
	bool complete = false;

	switch (fragments_add(parts, f, (struct chunk){text, len}, limit)) {
	case FRAGMENT_STORED:
		if (!response)
			deadline_set(&sa->ike->deadlines, &w->reassembly,
				     in->now + REASSEMBLY_TIME);
		return false;
	case FRAGMENT_TOO_LONG:
		sa->ike->counters[IKE_COUNT_FRAGMENT_DROPPED]++;
		tell_too_long(sa, in->now);
		break;
	case FRAGMENT_COMPLETE:
		sa->ike->counters[IKE_COUNT_REASSEMBLED]++;
		fragments_join(parts, text);
		in->text = (struct chunk){text, parts->len};
		in->first = parts->first;
		in->longest = parts->longest;
		complete = true;
		break;
	}
	if (response)
		fragments_clear(parts);
	else
		request_parts_clear(w, &sa->ike->deadlines);
	return complete;
}

enum reassembly reassemble(struct ike_sa *sa, struct ike_in *in, uint8_t *text)
{
	const struct fragment_head f = {.id = in->h->message_id,
					.exchange = in->h->exchange,
					.next = in->p->sk_next,
					.number = in->p->fragment,
					.total = in->p->fragments,
					.datagram = in->raw_len};
	size_t len;

	if (!is_due(sa, in, &f)) {
		sa->ike->counters[IKE_COUNT_FRAGMENT_DROPPED]++;
		return REASSEMBLY_NOTHING;
	}
	if (in->raw_len > IKE_MAX_MESSAGE ||
	    sk_open(sa, in->raw, in->raw_len, in->p, text, &len) < 0) {
		sa->ike->counters[IKE_COUNT_AUTH_FAILED]++;
		return REASSEMBLY_NOTHING;
	}
	sa->ike->counters[IKE_COUNT_FRAGMENTS]++;
	if (is_again(sa, in, (struct chunk){text, len}))
		return REASSEMBLY_AGAIN;
	return store(sa, in, &f, len, text) ? REASSEMBLY_DONE : REASSEMBLY_NOTHING;
}

void reassembly_timeout(struct deadline *d, nsec_t now)
{
	struct ike_sa *sa = container_of(d, struct ike_sa, window.reassembly);

	(void)now;
	sa->ike->counters[IKE_COUNT_FRAGMENT_TIMEOUT]++;
	fragments_clear(&sa->window.request_parts);
}
