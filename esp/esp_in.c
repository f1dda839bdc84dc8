/*
 * esp_in.c - the way in: what could it be, open, judge and commit. SPDX-License-Identifier: ISC
 *
 * doc/recovery.md 1, evaluated in three passes over a batch: (1) SA, number candidates and history
 * say what is worth opening; (2) AEAD over all, then over older candidates; (3) in order of
 * arrival: the window is asked again, the one verdict is given, and only then does anything move.
 */
#include "esp_path.h"

static void count(struct esp_path *path, struct esp_sa *sa, enum verdict v)
{
	path->verdicts[v]++;
	if (sa)
		sa->in.verdicts[v]++;
}

static void settle_early(struct esp_path *path, struct esp_slot *s, struct esp_sa *sa,
			 enum verdict v)
{
	s->settled = true;
	/* What is looked at again has its verdict, unless the bridge takes it now. */
	if (!path->is_late)
		count(path, sa, v);
}

static uint32_t iv_digest(const uint8_t *iv)
{
	return get_be32(iv) ^ get_be32(iv + 4);
}

static void hint_no_sa(struct esp_path *path, const struct endpoint *from, nsec_t now)
{
	if (!bucket_take(&path->no_sa_bucket, now))
		return;
	path->no_sa_from = *from;
	path->no_sa_hint = true;
}

static bool is_drained(const struct esp_in_sa *in, nsec_t now)
{
	return in->phase == ESP_IN_RETIRED && now >= in->drain_until;
}

static bool is_new(const struct esp_in_sa *in, uint64_t number)
{
	return in->unprotected || window_is_new(window_place(&in->window, number));
}

/* Whether a not-new number that was not received is worth opening (doc/recovery.md 3, 4). */
static bool asks(const struct esp_in_sa *in, uint64_t number)
{
	if (in->exposed || in->phase == ESP_IN_RETIRED)
		return false;
	return detector_asks(&in->detect, history_reaches(&in->history, number));
}

/* Whether the SA may deliver by its bridge (doc/recovery.md 7): what proves a rewind is asked for.
 */
static bool may_bridge(const struct esp_in_sa *in, nsec_t now)
{
	return in->bridge_on && !in->exposed && !is_drained(in, now) &&
	       (in->detect.mode == DETECT_PROOF || in->detect.mode == DETECT_BOTH);
}

/* The history and the detector's memory together. */
static enum history_answer remembered(const struct esp_in_sa *in, uint64_t number, uint32_t tag,
				      uint32_t *ret_iv)
{
	if (detector_knows(&in->detector, number, tag))
		return HISTORY_SAME;
	return history_lookup(&in->history, number, tag, ret_iv);
}

static void plan_open(struct esp_path *path, struct esp_in *in, struct esp_slot *s,
		      const struct esp_sa *sa, bool scratch, unsigned *nop)
{
	uint8_t *p = in->base + s->at;
	struct aead_op *op = &path->op[*nop];

	s->scratch = scratch;
	s->op = (int8_t)*nop;
	*op = (struct aead_op){.key = sa->in.key,
			       .iv = p + s->lay.iv,
			       .src = p + s->lay.text,
			       .dst = (scratch ? path->scratch + s->at : p) + s->lay.text,
			       .icv = p + s->lay.icv,
			       .len = s->lay.text_len};
	esp_frame_aad(sa->in.suite, sa->in.esn, p, s->number, path->aad[*nop], op);
	(*nop)++;
}

/* The number was received with another tag: if it opens, the bridge opens, and asks for more. */
static bool may_open_bridge(const struct esp_in_sa *in, nsec_t now)
{
	return !in->bridge.open && !in->bridge.closed && may_bridge(in, now);
}

/* Packets of this batch with known numbers go before: the bridge will have moved so far. */
static void note_ahead(struct esp_path *path, const struct esp_sa *sa, uint64_t number)
{
	struct sa_ref ref = sad_ref(sa);

	if (path->ahead_sa.gen != ref.gen || path->ahead_sa.index != ref.index)
		path->ahead = 0;
	path->ahead_sa = ref;
	path->ahead = max_u64(path->ahead, number + sa->in.bridge.size);
}

/* What the open bridge asks for is bounded by its window, and costs no budget. */
static bool bridge_asks(const struct esp_path *path, const struct esp_sa *sa, uint64_t number,
			nsec_t now)
{
	const struct esp_in_sa *in = &sa->in;
	struct sa_ref ref = sad_ref(sa);

	if (!in->bridge.open || !may_bridge(in, now))
		return false;
	if (number > in->bridge.window.top)
		return path->ahead_sa.gen == ref.gen && path->ahead_sa.index == ref.index &&
		       number <= path->ahead;
	return bridge_admits(&in->bridge, number, false);
}

/* A number that was never received, and a bridge that may yet open: the packet waits for that. */
static void park(struct esp_path *path, const struct esp_in *in, const struct esp_slot *s,
		 const struct esp_sa *sa, nsec_t now)
{
	if (may_open_bridge(&sa->in, now))
		parked_add(&path->parked, s->sa, false, &in->from, in->tos, in->base + s->at,
			   s->len);
}

/* An old number: look up first, open second. */
static bool worth_opening(struct esp_path *path, const struct esp_in *from, struct esp_slot *s,
			  struct esp_sa *sa, nsec_t now)
{
	struct esp_in_sa *in = &sa->in;
	enum history_answer known;
	uint32_t iv;

	known = remembered(in, s->number, s->tag, &iv);
	switch (known) {
	case HISTORY_SAME: settle_early(path, s, sa, VERDICT_REPLAYED); return false;
	case HISTORY_OTHER:
		path->ends_batch = may_open_bridge(in, now);
		note_ahead(path, sa, s->number);
		return true;
	case HISTORY_ABSENT:
		if (bridge_asks(path, sa, s->number, now))
			return true;
		break;
	case HISTORY_UNKNOWN: break;
	}
	if (asks(in, s->number) && bucket_take(&in->verify, now))
		return true;
	if (known == HISTORY_ABSENT)
		park(path, from, s, sa, now);
	in->unverified += !path->is_late;
	settle_early(path, s, sa, VERDICT_UNVERIFIED);
	return false;
}

/* A number may hide an older one of a rewound sender: is it known to be a replay of that? */
static bool is_older_replay(struct esp_path *path, struct esp_slot *s, struct esp_older *o,
			    struct esp_sa *sa, nsec_t now)
{
	uint32_t iv;

	if (o->number == 0)
		return false;
	switch (remembered(&sa->in, o->number, s->tag, &iv)) {
	case HISTORY_SAME: settle_early(path, s, sa, VERDICT_REPLAYED); return true;
	case HISTORY_OTHER:
		o->asked = true;
		note_ahead(path, sa, o->number);
		path->ends_batch |= may_open_bridge(&sa->in, now);
		return false;
	case HISTORY_ABSENT:
		o->asked = bridge_asks(path, sa, o->number, now);
		o->absent = true;
		return false;
	case HISTORY_UNKNOWN: return false;
	}
	return false;
}

/* The numbers that a packet may have under ESN; those of a new beginning where they are known. */
static void guess(struct esp_slot *s, const struct esp_in_sa *in, uint32_t low)
{
	struct esn_guess g = window_guess(&in->window, low);
	uint64_t anew = window_anew(&in->window, low, g);

	if (anew >= in->history.head_end)
		anew = 0;
	s->number = g.number;
	s->has_older = g.second || anew;
	if (!s->has_older)
		return;
	s->older[0] = (struct esp_older){.number = g.second};
	s->older[1] = (struct esp_older){.number = anew};
}

/*
 * An SPI without an SA. Where it is reserved it is one of ours, which nobody but the peer knows,
 * and the peer's answer will come with what installs it: the packet waits for that.
 */
static void no_sa(struct esp_path *path, const struct esp_in *in, struct esp_slot *s,
		  const struct esp_sa *reserved, nsec_t now)
{
	if (!reserved)
		hint_no_sa(path, &in->from, now);
	else if (!path->is_late)
		parked_add(&path->parked, sad_ref(reserved), true, &in->from, in->tos,
			   in->base + s->at, s->len);
	settle_early(path, s, NULL, VERDICT_NO_SA);
}

/* Pass 1 for one datagram. */
static void prepare(struct esp_path *path, struct esp_in *in, struct esp_slot *s, nsec_t now,
		    unsigned *nop)
{
	const uint8_t *p = in->base + s->at;
	struct esp_sa *sa;
	uint32_t low;

	if (s->len < ESP_HEADER_LEN) {
		settle_early(path, s, NULL, VERDICT_MALFORMED);
		return;
	}
	sa = sad_find(&path->sad, get_be32(p));
	if (!sa || !sa->in.key) {
		no_sa(path, in, s, sa, now);
		return;
	}
	low = get_be32(p + 4);
	s->sa = sad_ref(sa);
	s->number = low;
	if (sa->in.esn)
		guess(s, &sa->in, low);
	if (!esp_frame_split(sa->in.suite, s->len, &s->lay) || s->number == 0) {
		settle_early(path, s, sa, VERDICT_MALFORMED);
		return;
	}
	s->tag = get_be32(p + s->lay.icv);
	s->iv = iv_digest(p + s->lay.iv);
	history_warm(&sa->in.history, s->number);
	if (s->has_older) {
		path->has_older = true;
		if (is_older_replay(path, s, &s->older[0], sa, now) ||
		    is_older_replay(path, s, &s->older[1], sa, now))
			return;
	}
	if (is_new(&sa->in, s->number))
		plan_open(path, in, s, sa, s->has_older, nop);
	else if (worth_opening(path, in, s, sa, now))
		plan_open(path, in, s, sa, true, nop);
}

/* Pass 2 for those that did not open: a rewound sender meant another candidate (doc/recovery.md
 * 1), the k-th. */
static void open_older(struct esp_path *path, struct esp_in *in, unsigned k, nsec_t now)
{
	struct esp_slot *tried[ESP_BATCH];
	unsigned nop = 0;

	for (uint32_t i = 0; i < path->slot_count; i++) {
		struct esp_slot *s = &path->slot[i];
		const struct esp_older *o = &s->older[k];
		struct esp_sa *sa;

		if (s->settled || s->opened || !s->has_older || o->number == 0)
			continue;
		sa = sad_get(&path->sad, s->sa);
		if (!o->asked && !(asks(&sa->in, o->number) && bucket_take(&sa->in.second, now)))
			continue;
		s->number = o->number;
		s->tried_older = true;
		tried[nop] = s;
		plan_open(path, in, s, sa, true, &nop);
	}
	aead_open_many(path->op, nop);
	for (unsigned i = 0; i < nop; i++)
		tried[i]->opened = path->op[i].ok;
}

/* What may have an older number that was never received waits for a bridge that asks for it. */
static void park_older(struct esp_path *path, const struct esp_in *in, nsec_t now)
{
	for (uint32_t i = 0; i < path->slot_count; i++) {
		const struct esp_slot *s = &path->slot[i];

		if (s->settled || s->opened || !s->has_older)
			continue;
		if ((s->older[0].absent && !s->older[0].asked) ||
		    (s->older[1].absent && !s->older[1].asked))
			park(path, in, s, sad_get(&path->sad, s->sa), now);
	}
}

/* Many SAs do not fit the cache: what is going to be touched is asked for all together. */
static void warm(const struct esp_path *path, const struct esp_in *in)
{
	uint32_t at = in->at, last = 0;

	for (unsigned n = 0; n < ESP_BATCH && at + 4 <= in->len; n++, at += in->seg) {
		uint32_t spi = get_be32(in->base + at);
		const struct esp_sa *sa = spi == last ? NULL : sad_find(&path->sad, spi);

		last = spi;
		if (sa)
			esp_sa_warm_in(sa);
		if (in->seg == 0)
			break;
	}
}

/* Passes 1 and 2 over the next datagrams. */
static void fill_batch(struct esp_path *path, struct esp_in *in, nsec_t now)
{
	unsigned nop = 0;

	path->slot_count = path->slot_next = 0;
	path->ends_batch = path->has_older = false;
	path->ahead_sa = (struct sa_ref){0};
	warm(path, in);
	/* What opens a bridge is dealt with before those behind it are looked at. */
	while (in->at < in->len && path->slot_count < ESP_BATCH && !path->ends_batch) {
		struct esp_slot *s = &path->slot[path->slot_count++];
		uint32_t left = in->len - in->at;

		memset(s, 0, offsetof(struct esp_slot, older));
		s->at = in->at;
		s->op = -1;
		s->len = in->seg && in->seg < left ? in->seg : left;
		in->at += s->len;
		prepare(path, in, s, now, &nop);
	}
	aead_open_many(path->op, nop);
	for (uint32_t i = 0; i < path->slot_count; i++) {
		struct esp_slot *s = &path->slot[i];

		s->opened = s->op >= 0 && path->op[s->op].ok;
	}
	if (!path->has_older)
		return;
	for (unsigned k = 0; k < ESP_OLDER; k++)
		open_older(path, in, k, now);
	park_older(path, in, now);
}

/* What an authentic packet that is not new is, by what the history says of its number. */
static enum verdict judge_old(const struct esp_in_sa *in, const struct esp_slot *s,
			      enum history_answer known, uint32_t iv, nsec_t now)
{
	bool other = known == HISTORY_OTHER, reused = other && in->suite->combined && iv == s->iv;

	if (known == HISTORY_SAME)
		return VERDICT_REPLAYED;
	if (history_reaches(&in->history, s->number) && !reused && may_bridge(in, now) &&
	    bridge_admits(&in->bridge, s->number, other))
		return VERDICT_BRIDGED;
	return other ? VERDICT_REWOUND : VERDICT_STALE;
}

/* Pass 3: the verdict on an authentic packet, and what the history knows of its number. */
static enum verdict judge(const struct esp_sa *sa, struct esp_slot *s, nsec_t now)
{
	if (!s->tried_older && is_new(&sa->in, s->number))
		return VERDICT_FRESH;
	s->known = remembered(&sa->in, s->number, s->tag, &s->known_iv);
	return judge_old(&sa->in, s, s->known, s->known_iv, now);
}

/* Counts one delivered packet against the SA's lifetime. */
static void age(struct esp_path *path, struct esp_sa *sa, uint32_t len)
{
	const struct esp_lifetime *l = &sa->life;
	uint64_t bytes = sa->in.bytes + len;

	sa->in.packets++;
	if (sa->in.packets == l->soft_packets ||
	    (l->soft_bytes && sa->in.bytes < l->soft_bytes && bytes >= l->soft_bytes))
		sad_raise(&path->sad, sa, ESP_EVENT_SOFT_LIFETIME);
	if (sa->in.packets == l->hard_packets ||
	    (l->hard_bytes && sa->in.bytes < l->hard_bytes && bytes >= l->hard_bytes))
		sad_raise(&path->sad, sa, ESP_EVENT_HARD_LIFETIME);
	sa->in.bytes = bytes;
}

/* A packet is delivered: figures of loss begin anew, unless there is evidence to be dealt with. */
static void note_delivery(struct esp_in_sa *in, nsec_t now)
{
	if (in->detector.first_evidence == 0)
		in->missed = in->unverified = 0;
	else if (in->after_evidence == 0)
		in->after_evidence = now;
}

static void commit_fresh(struct esp_path *path, struct esp_sa *sa, const struct esp_slot *s,
			 const struct endpoint *from, nsec_t now)
{
	struct esp_in_sa *in = &sa->in;

	/* Without protection it may be a replay: that is delivered, and means nothing beside. */
	if (in->unprotected && !window_is_new(window_place(&in->window, s->number)))
		return;
	window_commit(&in->window, s->number);
	history_record(&in->history, s->number, s->tag, s->iv);
	detector_fresh(&in->detector);
	note_delivery(in, now);
	age(path, sa, s->lay.text_len);
	if (in->phase == ESP_IN_RETIRED) {
		if (is_drained(in, now) && !in->exposed)
			sad_raise(&path->sad, sa, ESP_EVENT_RETIRED_HEARD);
		return;
	}
	/* Behind an exposed authentication key anyone may stand: it shows neither life nor place.
	 */
	if (in->exposed)
		return;
	if (in->awaited)
		sad_raise(&path->sad, sa, ESP_EVENT_FIRST_FRESH);
	in->awaited = false;
	in->last_fresh = now;
	if (!endpoint_eq(from, &in->peer)) {
		in->moved_to = *from;
		sad_raise(&path->sad, sa, ESP_EVENT_MOVED);
	}
}

/* A repeated nonce (doc/recovery.md 2): under GCM the authentication key can be worked out from it.
 */
static bool nonce_reused(struct esp_path *path, struct esp_sa *sa, const struct esp_slot *s)
{
	struct esp_in_sa *in = &sa->in;

	if (!in->suite->combined || s->iv != s->known_iv)
		return false;
	if (in->nonce_reuses++ == 0)
		sad_raise(&path->sad, sa, ESP_EVENT_NONCE_REUSE);
	bridge_close(&in->bridge);
	if (in->suite->encr == ENCR_AES_GCM_16)
		in->exposed = true;
	return true;
}

/* A number used twice, shown by an authentic packet: tells the detector. */
static void weigh_rewound(struct esp_path *path, struct esp_sa *sa, const struct esp_slot *s,
			  bool reused, bool live, nsec_t now)
{
	static const struct detector_config remember_only = {.mode = DETECT_OFF};
	struct esp_in_sa *in = &sa->in;
	bool first = in->detector.first_evidence == 0;
	enum evidence e = detector_rewound(&in->detector, live ? &in->detect : &remember_only, now,
					   s->number, s->tag, reused);

	if (first && in->detector.first_evidence)
		in->before_evidence = in->last_fresh;
	if (e == EVIDENCE_CONFIRMS)
		sad_raise(&path->sad, sa, ESP_EVENT_SWITCHOVER);
}

/*
 * What an open bridge does not admit although its number is known: a packet that it has delivered,
 * once more, or a third lap. The two look alike: it is no proof and no figure, but may be a loss.
 */
static bool is_behind_bridge(const struct esp_in_sa *in, uint64_t number)
{
	return in->bridge.open && bridge_is_behind(&in->bridge, number);
}

/*
 * A proof of several packets is not whole yet: each that was bridged is still known and would read
 * as REPLAYED, so what reads as REWOUND is new, also behind the bridge.
 */
static bool proof_is_begun(const struct esp_in_sa *in)
{
	return in->detector.state == DETECTOR_SUSPECT && in->detector.proofs > 0;
}

static void commit_rewound(struct esp_path *path, struct esp_sa *sa, const struct esp_slot *s,
			   nsec_t now)
{
	struct esp_in_sa *in = &sa->in;
	bool was_exposed = in->exposed;
	bool reused = nonce_reused(path, sa, s);

	bool live = in->phase == ESP_IN_LIVE && !was_exposed;
	bool behind = !reused && is_behind_bridge(in, s->number);

	if (behind)
		in->unverified++;
	else
		in->missed++;
	if (behind && live)
		sad_raise(&path->sad, sa, ESP_EVENT_THIRD_LAP);
	weigh_rewound(path, sa, s, reused, live && (!behind || proof_is_begun(in)), now);
	/* A sender that goes on counts up; what a recorder has of it does not go beyond what we
	 * saw. */
	if (is_drained(in, now) && !was_exposed && s->number > in->rewound_top)
		sad_raise(&path->sad, sa, ESP_EVENT_RETIRED_HEARD);
	in->rewound_top = max_u64(in->rewound_top, s->number);
}

/* Moves nothing but the bridge: no window, no address. It is a sign of life (doc/recovery.md 1). */
static void commit_bridged(struct esp_path *path, struct esp_sa *sa, const struct esp_slot *s,
			   nsec_t now)
{
	struct esp_in_sa *in = &sa->in;
	bool known = s->known == HISTORY_OTHER;

	if (!in->bridge.open)
		path->late_due |= parked_due(&path->parked, s->sa);
	/* It was counted as not verified when it came. */
	if (path->is_late)
		in->unverified -= in->unverified > 0;
	bridge_commit(&in->bridge, s->number, known);
	if (known) {
		weigh_rewound(path, sa, s, false, in->phase == ESP_IN_LIVE, now);
		in->rewound_top = max_u64(in->rewound_top, s->number);
	}
	in->bridged++;
	note_delivery(in, now);
	in->last_fresh = now;
	age(path, sa, s->lay.text_len);
}

static void commit_stale(struct esp_path *path, struct esp_sa *sa, const struct esp_slot *s,
			 nsec_t now)
{
	struct esp_in_sa *in = &sa->in;
	bool first = in->detector.first_evidence == 0;
	enum evidence e;

	if (in->phase != ESP_IN_LIVE || !asks(in, s->number))
		return;
	e = detector_stale(&in->detector, &in->detect, now, s->number, s->tag);
	in->missed += e != EVIDENCE_NONE;
	if (first && in->detector.first_evidence)
		in->before_evidence = in->last_fresh;
	if (e == EVIDENCE_CONFIRMS)
		sad_raise(&path->sad, sa, ESP_EVENT_SWITCHOVER);
}

static bool selected(const struct ts_list *l, const struct addr *a, const struct inner *in,
		     uint16_t port)
{
	for (unsigned i = 0; i < l->count; i++) {
		if (inner_match(&l->ts[i], a, in, port))
			return true;
	}
	return false;
}

/*
 * Reads the inner packet's headers into sa->in.admitted, if the selectors admit it. What was
 * admitted once always is: an SA's selectors never change.
 */
static enum esp_drop admit(struct esp_sa *sa, const uint8_t *p, uint32_t len, enum family family)
{
	struct inner *in = &sa->in.admitted, found;

	if (inner_next(p, len, in))
		return in->src.family == family ? ESP_DROP_COUNT : ESP_DROP_BAD_INNER;
	if (inner_parse(p, len, &found) < 0 || found.src.family != family)
		return ESP_DROP_BAD_INNER;
	if (!inner_same_flow(in, &found) &&
	    (!selected(sa->remote, &found.src, &found, found.sport) ||
	     !selected(sa->local, &found.dst, &found, found.dport)))
		return ESP_DROP_SELECTORS;
	*in = found;
	return ESP_DROP_COUNT;
}

/*
 * What keeps the authentic packet in `text` from delivery; ESP_DROP_COUNT: nothing does, and
 * sa->in.admitted has its headers.
 */
static enum esp_drop refuse(struct esp_sa *sa, uint8_t *text, uint32_t len, uint8_t tos, nsec_t now)
{
	enum esp_drop why;
	uint32_t payload;
	uint8_t next;

	if (!esp_trailer_read(text, len, &payload, &next))
		return ESP_DROP_BAD_TRAILER;
	if (next == PROTO_NONE)
		return ESP_DROP_DUMMY;
	if (next != PROTO_IPV4 && next != PROTO_IPV6)
		return ESP_DROP_BAD_TRAILER;
	if (sa->in.phase == ESP_IN_RETIRED && now >= sa->in.deliver_until)
		return ESP_DROP_RETIRED;
	if (sa->in.exposed && sa->in.phase == ESP_IN_RETIRED)
		return ESP_DROP_EXPOSED;
	why = admit(sa, text, payload, next == PROTO_IPV4 ? FAMILY_IPV4 : FAMILY_IPV6);
	if (why != ESP_DROP_COUNT)
		return why;
	return inner_ecn_decap(text, tos) ? ESP_DROP_COUNT : ESP_DROP_ECN;
}

/* Adds to what goes to the device; what goes to another one is written first. */
static bool add(const struct esp_path *path, uint16_t device, struct pkt_super *super,
		const uint8_t *text, const struct inner *inner)
{
	if (super->len == 0) {
		super->device = device;
		super->accept = path->devices[device].accept;
	}
	return super->device == device && pkt_super_add(super, text, inner);
}

/* False: super holds what this does not continue, and has to be written first. */
static bool deliver(struct esp_path *path, struct esp_in *in, struct esp_sa *sa,
		    const struct esp_slot *s, struct pkt_super *super, nsec_t now)
{
	uint8_t *text = (s->scratch ? path->scratch : in->base) + s->at + s->lay.text;
	const struct inner *inner = &sa->in.admitted;
	enum esp_drop why = refuse(sa, text, s->lay.text_len, in->tos, now);

	if (why == ESP_DROP_COUNT && inner->len > super->cap)
		why = ESP_DROP_TOO_BIG;
	if (why == ESP_DROP_COUNT)
		return add(path, sa->in.device, super, text, inner);
	path->drops[why]++;
	return true;
}

static bool delivers(enum verdict v)
{
	return v == VERDICT_FRESH || v == VERDICT_BRIDGED;
}

/* Pass 3 for one datagram. False: nothing has happened yet, super has to be written first. */
static bool settle(struct esp_path *path, struct esp_in *in, struct esp_slot *s,
		   struct pkt_super *super, nsec_t now)
{
	struct esp_sa *sa = sad_get(&path->sad, s->sa);
	enum verdict v = VERDICT_AUTH_FAILED;

	if (s->settled || !sa)
		return true;
	if (s->opened)
		v = judge(sa, s, now);
	if (path->is_late && v != VERDICT_BRIDGED && !(path->is_early && v == VERDICT_FRESH))
		return true;
	if (delivers(v) && (pkt_super_closed(super) || !deliver(path, in, sa, s, super, now)))
		return false;
	count(path, sa, v);
	path->waited += path->is_late;
	switch (v) {
	case VERDICT_FRESH: commit_fresh(path, sa, s, &in->from, now); break;
	case VERDICT_BRIDGED: commit_bridged(path, sa, s, now); break;
	case VERDICT_REWOUND: commit_rewound(path, sa, s, now); break;
	case VERDICT_STALE: commit_stale(path, sa, s, now); break;
	case VERDICT_AUTH_FAILED:
		/* Under ESN an old number that is not opened looks like this. */
		sa->in.unverified += s->has_older && !s->tried_older;
		break;
	case VERDICT_REPLAYED:
	case VERDICT_MALFORMED:
	case VERDICT_NO_SA:
	case VERDICT_UNVERIFIED:
	case VERDICT_COUNT: break;
	}
	return true;
}

/* The next parked packet that is due. */
static bool next_late(struct esp_path *path)
{
	struct parked_packet *k = parked_take(&path->parked);

	path->is_late = path->late_due = k != NULL;
	if (!k)
		return false;
	path->is_early = k->early;
	path->late =
		(struct esp_in){.base = k->bytes, .len = k->len, .from = k->from, .tos = k->tos};
	return true;
}

void esp_installed(struct esp_path *path, struct sa_ref sa)
{
	path->late_due |= parked_due(&path->parked, sa);
}

enum esp_step esp_open(struct esp_path *path, struct esp_in *in, struct pkt_super *super,
		       nsec_t now)
{
	for (;;) {
		struct esp_in *from = path->is_late ? &path->late : in;

		while (path->slot_next < path->slot_count) {
			if (!settle(path, from, &path->slot[path->slot_next], super, now))
				return ESP_FULL;
			path->slot_next++;
		}
		/* A batch ends with the packet that opens a bridge: those that waited come next. */
		if (path->late_due && next_late(path))
			fill_batch(path, &path->late, now);
		else if (in->at < in->len)
			fill_batch(path, in, now);
		else
			return ESP_DONE;
	}
}
