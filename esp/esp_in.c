/*
 * esp_in.c - inbound packets: look up, open, judge and commit. SPDX-License-Identifier: ISC
 *
 * doc/recovery.md 1, in three passes over a batch: (1) the SA, the candidate numbers and the
 * history tell what is worth opening; (2) AEAD over all of it, then over older candidates; (3) in
 * order of arrival: the window is asked again, the one verdict is given, and only then does any
 * state change.
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
	/*
	 * A parked packet was counted when it came, and is counted again only if it is delivered.
	 */
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

/* Whether a number that is neither new nor remembered is worth opening (doc/recovery.md 3, 4). */
static bool asks(const struct esp_in_sa *in, uint64_t number)
{
	if (in->exposed || in->phase == ESP_IN_RETIRED)
		return false;
	return detector_asks(&in->detect, history_reaches(&in->history, number));
}

/* Whether the SA may deliver by its bridge (doc/recovery.md 7): only if detection is by proof. */
static bool may_bridge(const struct esp_in_sa *in, nsec_t now)
{
	return in->bridge_on && !in->exposed && !is_drained(in, now) &&
	       (in->detect.mode == DETECT_PROOF || in->detect.mode == DETECT_BOTH);
}

/* What the history and the detector know of the number. */
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

/* Whether the bridge is not open yet, and a packet with a known number would open it. */
static bool may_open_bridge(const struct esp_in_sa *in, nsec_t now)
{
	return !in->bridge.open && !in->bridge.closed && may_bridge(in, now);
}

/* Notes how far a packet of this batch with a known number will have moved the bridge. */
static void note_ahead(struct esp_path *path, const struct esp_sa *sa, uint64_t number)
{
	struct sa_ref ref = sad_ref(sa);

	if (path->ahead_sa.gen != ref.gen || path->ahead_sa.index != ref.index)
		path->ahead = 0;
	path->ahead_sa = ref;
	path->ahead = max_u64(path->ahead, number + sa->in.bridge.size);
}

/*
 * Whether the open bridge asks for this number, which was not received. Its window limits how many
 * it asks for, so they cost no budget.
 */
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

/* Parks a packet whose number was never received, if the bridge may yet open. */
static void park(struct esp_path *path, const struct esp_in *in, const struct esp_slot *s,
		 const struct esp_sa *sa, nsec_t now)
{
	if (may_open_bridge(&sa->in, now))
		parked_add(&path->parked, s->sa, false, &in->from, in->tos, in->base + s->at,
			   s->len);
}

/*
 * Whether a packet with an old number is worth opening, by what is known of it. If not, it is
 * settled.
 */
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

/* Looks an older candidate up. True if the packet is known to be a replay of it, and so settled. */
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

/*
 * Sets the candidate numbers of a packet under ESN. That of a sender that began again is one only
 * if it is in the head.
 */
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
 * Settles a packet with an SPI that has no SA. If the SPI is reserved, only the peer knows it, and
 * the response of the peer that installs the SA is still to come: the packet waits for that.
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

/*
 * Pass 2 for packets that did not open: tries the k-th older candidate, which a rewound sender may
 * have meant (doc/recovery.md 1).
 */
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

/* Parks packets with an older candidate that was never received, for the bridge to ask for it. */
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

/* Prefetches the SAs of the next batch all together, as many SAs do not fit the cache. */
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
	/*
	 * A packet that may open a bridge ends the batch: those behind it are looked at afterwards.
	 */
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

/* The verdict on an authentic packet that is not new, by what the history knows of its number. */
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

/* Counts one FRESH or BRIDGED packet against the SA's lifetime. */
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

/* Notes a delivery: the figures of loss start again, unless there is evidence to be dealt with. */
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

	/* Without protection it may be a replay: it is delivered, but changes nothing. */
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
	/*
	 * If the authentication key is exposed, anyone may have sent this packet: it does not show
	 * that the peer is alive, nor its address.
	 */
	if (in->exposed)
		return;
	if (in->awaited)
		sad_raise(&path->sad, sa, ESP_EVENT_FIRST_FRESH);
	in->awaited = false;
	in->last_fresh = now;
	/* Only behind a NAT may a peer move, and what comes from there is in UDP (RFC 7296 2.23).
	 */
	if (from->port && !endpoint_eq(from, &in->peer)) {
		in->moved_to = *from;
		sad_raise(&path->sad, sa, ESP_EVENT_MOVED);
	}
}

/*
 * Whether the packet repeats a nonce (doc/recovery.md 2): the authentication key of GCM can then be
 * computed from the two packets.
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

/* Tells the detector of a number that was used twice, as an authentic packet shows. */
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
 * Whether an open bridge has passed this known number: the packet is a replay of one that it
 * delivered, or of a third lap. The two look alike, so the packet is no proof, and counts as not
 * verified and not as lost.
 */
static bool is_behind_bridge(const struct esp_in_sa *in, uint64_t number)
{
	return in->bridge.open && bridge_is_behind(&in->bridge, number);
}

/*
 * Whether a proof that needs several packets is incomplete. Until it is complete, every packet that
 * was bridged with a known number is remembered, and a replay of it is REPLAYED; so a REWOUND
 * packet is new, even behind the bridge.
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
	/*
	 * A sender that goes on counts up. What a recorder replays is not above the highest number
	 * seen.
	 */
	if (is_drained(in, now) && !was_exposed && s->number > in->rewound_top)
		sad_raise(&path->sad, sa, ESP_EVENT_RETIRED_HEARD);
	in->rewound_top = max_u64(in->rewound_top, s->number);
}

/*
 * Moves only the bridge, neither window nor address. It shows that the peer is alive
 * (doc/recovery.md 1).
 */
static void commit_bridged(struct esp_path *path, struct esp_sa *sa, const struct esp_slot *s,
			   nsec_t now)
{
	struct esp_in_sa *in = &sa->in;
	bool known = s->known == HISTORY_OTHER;

	if (!in->bridge.open)
		path->late_due |= parked_due(&path->parked, s->sa);
	/* A parked packet was counted as not verified when it came. */
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

static bool selected(const struct ts_list *l, const struct addr *a, const struct inner *inner,
		     uint16_t port)
{
	for (unsigned i = 0; i < l->count; i++) {
		if (inner_match(&l->ts[i], a, inner, port))
			return true;
	}
	return false;
}

/*
 * Reads the inner packet's headers into sa->in.admitted, if the selectors admit it. A flow that was
 * admitted once always is: the selectors of an SA never change.
 */
static enum esp_drop admit(struct esp_sa *sa, const uint8_t *p, uint32_t len, enum family family)
{
	struct inner *inner = &sa->in.admitted, found;

	if (inner_next(p, len, inner))
		return inner->src.family == family ? ESP_DROP_COUNT : ESP_DROP_BAD_INNER;
	if (inner_parse(p, len, &found) < 0 || found.src.family != family)
		return ESP_DROP_BAD_INNER;
	if (!inner_same_flow(inner, &found) &&
	    (!selected(sa->remote, &found.src, &found, found.sport) ||
	     !selected(sa->local, &found.dst, &found, found.dport)))
		return ESP_DROP_SELECTORS;
	*inner = found;
	return ESP_DROP_COUNT;
}

/*
 * Why the authentic packet in `text` is not to be delivered. ESP_DROP_COUNT: it is to be delivered,
 * and sa->in.admitted has its headers.
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

/*
 * Adds the packet to super. False if super is for another device, or does not take it: it has to be
 * written first.
 */
static bool add(const struct esp_path *path, uint16_t device, struct pkt_super *super,
		const uint8_t *text, const struct inner *inner)
{
	if (super->len == 0) {
		super->device = device;
		super->accept = path->devices[device].accept;
	}
	return super->device == device && pkt_super_add(super, text, inner);
}

/* Delivers or drops the packet. False if super has to be written first. */
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

/*
 * Pass 3 for one datagram. False, before anything is committed, if super has to be written first.
 */
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
		/* Under ESN, an old number whose older candidates were not opened ends here. */
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

/* Makes the next parked packet that is due `late`; false if there is none. */
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
		/*
		 * A batch ends with the packet that opens a bridge: the parked packets come next.
		 */
		if (path->late_due && next_late(path))
			fill_batch(path, &path->late, now);
		else if (in->at < in->len)
			fill_batch(path, in, now);
		else
			return ESP_DONE;
	}
}
