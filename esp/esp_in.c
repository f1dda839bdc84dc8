/*
 * esp_in.c - the way in: what could it be, open, judge and commit. SPDX-License-Identifier: ISC
 *
 * RECOVERY 1, evaluated in three passes over a batch: (1) SA, number candidates and history say
 * what is worth opening; (2) AEAD over all, then over second candidates; (3) in order of arrival:
 * the window is asked again, the one verdict is given, and only then does anything move.
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

/* Whether a not-new number that the history does not know is worth opening (RECOVERY 3, 4). */
static bool asks(const struct esp_in_sa *in, uint64_t number)
{
	if (in->exposed || in->phase == ESP_IN_RETIRED)
		return false;
	return detector_asks(&in->detect,
			     in->detect.mode == DETECT_BOTH &&
				     history_reaches(&in->history, number, in->window.top));
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

/* An old number: look up first, open second. */
static bool worth_opening(struct esp_path *path, struct esp_slot *s, struct esp_sa *sa, nsec_t now)
{
	uint32_t iv;

	switch (remembered(&sa->in, s->number, s->tag, &iv)) {
	case HISTORY_SAME: settle_early(path, s, sa, VERDICT_REPLAYED); return false;
	case HISTORY_OTHER: return true;
	case HISTORY_UNKNOWN: break;
	}
	if (asks(&sa->in, s->number) && bucket_take(&sa->in.verify, now))
		return true;
	settle_early(path, s, sa, VERDICT_UNVERIFIED);
	return false;
}

/* A new number may hide an old one of a rewound sender: is it known to be a replay of that? */
static bool second_is_replay(struct esp_path *path, struct esp_slot *s, struct esp_sa *sa)
{
	enum history_answer a;
	uint32_t iv;

	if (s->second == 0)
		return false;
	a = remembered(&sa->in, s->second, s->tag, &iv);
	s->second_known = a == HISTORY_OTHER;
	if (a != HISTORY_SAME)
		return false;
	settle_early(path, s, sa, VERDICT_REPLAYED);
	return true;
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
		hint_no_sa(path, &in->from, now);
		settle_early(path, s, NULL, VERDICT_NO_SA);
		return;
	}
	low = get_be32(p + 4);
	s->sa = sad_ref(sa);
	s->number = low;
	if (sa->in.esn) {
		struct esn_guess g = window_guess(&sa->in.window, low);

		s->number = g.number;
		s->second = g.second;
	}
	if (!esp_frame_split(sa->in.suite, s->len, &s->lay) || s->number == 0) {
		settle_early(path, s, sa, VERDICT_MALFORMED);
		return;
	}
	s->tag = get_be32(p + s->lay.icv);
	s->iv = iv_digest(p + s->lay.iv);
	history_warm(&sa->in.history, s->number);
	if (window_is_new(window_place(&sa->in.window, s->number))) {
		if (!second_is_replay(path, s, sa))
			plan_open(path, in, s, sa, s->second != 0, nop);
	} else if (worth_opening(path, s, sa, now)) {
		plan_open(path, in, s, sa, true, nop);
	}
}

/* Pass 2 for those that did not open: a rewound sender meant the other candidate (RECOVERY 1). */
static void open_seconds(struct esp_path *path, struct esp_in *in, nsec_t now)
{
	struct esp_slot *tried[ESP_BATCH];
	unsigned nop = 0;

	for (uint32_t i = 0; i < path->slot_count; i++) {
		struct esp_slot *s = &path->slot[i];
		struct esp_sa *sa;

		if (s->settled || s->opened || s->second == 0)
			continue;
		sa = sad_get(&path->sad, s->sa);
		if (!s->second_known &&
		    !(asks(&sa->in, s->second) && bucket_take(&sa->in.second, now)))
			continue;
		s->number = s->second;
		s->tried_second = true;
		tried[nop] = s;
		plan_open(path, in, s, sa, true, &nop);
	}
	aead_open_many(path->op, nop);
	for (unsigned i = 0; i < nop; i++)
		tried[i]->opened = path->op[i].ok;
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
	warm(path, in);
	while (in->at < in->len && path->slot_count < ESP_BATCH) {
		struct esp_slot *s = &path->slot[path->slot_count++];
		uint32_t left = in->len - in->at;

		*s = (struct esp_slot){.at = in->at, .op = -1};
		s->len = in->seg && in->seg < left ? in->seg : left;
		in->at += s->len;
		prepare(path, in, s, now, &nop);
	}
	aead_open_many(path->op, nop);
	for (uint32_t i = 0; i < path->slot_count; i++) {
		struct esp_slot *s = &path->slot[i];

		s->opened = s->op >= 0 && path->op[s->op].ok;
	}
	open_seconds(path, in, now);
}

/* Pass 3: the verdict on an authentic packet. *ret_iv: the remembered IV digest with REWOUND. */
static enum verdict judge(const struct esp_sa *sa, const struct esp_slot *s, uint32_t *ret_iv)
{
	if (!s->tried_second && window_is_new(window_place(&sa->in.window, s->number)))
		return VERDICT_FRESH;
	switch (remembered(&sa->in, s->number, s->tag, ret_iv)) {
	case HISTORY_SAME: return VERDICT_REPLAYED;
	case HISTORY_OTHER: return VERDICT_REWOUND;
	case HISTORY_UNKNOWN: break;
	}
	return VERDICT_STALE;
}

/* Counts one FRESH packet against the SA's lifetime. */
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

static void commit_fresh(struct esp_path *path, struct esp_sa *sa, const struct esp_slot *s,
			 const struct endpoint *from, nsec_t now)
{
	struct esp_in_sa *in = &sa->in;

	window_commit(&in->window, s->number);
	history_record(&in->history, s->number, s->tag, s->iv);
	detector_fresh(&in->detector);
	in->last_heard = now;
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
	if (in->last_fresh == 0)
		sad_raise(&path->sad, sa, ESP_EVENT_FIRST_FRESH);
	in->last_fresh = now;
	if (!endpoint_eq(from, &in->peer)) {
		in->moved_to = *from;
		sad_raise(&path->sad, sa, ESP_EVENT_MOVED);
	}
}

/* A repeated nonce (RECOVERY 2): under GCM the authentication key can be worked out from it. */
static bool nonce_reused(struct esp_path *path, struct esp_sa *sa, const struct esp_slot *s,
			 uint32_t remembered_iv)
{
	if (!sa->in.suite->combined || s->iv != remembered_iv)
		return false;
	if (sa->in.nonce_reuses++ == 0)
		sad_raise(&path->sad, sa, ESP_EVENT_NONCE_REUSE);
	return true;
}

static void commit_rewound(struct esp_path *path, struct esp_sa *sa, const struct esp_slot *s,
			   uint32_t remembered_iv, nsec_t now)
{
	static const struct detector_config remember_only = {.mode = DETECT_OFF};
	struct esp_in_sa *in = &sa->in;
	bool was_exposed = in->exposed;
	bool reused = nonce_reused(path, sa, s, remembered_iv);
	bool live = in->phase == ESP_IN_LIVE && !was_exposed;

	if (reused && in->suite->encr == ENCR_AES_GCM_16)
		in->exposed = true;
	in->last_heard = now;
	if (detector_rewound(&in->detector, live ? &in->detect : &remember_only, now, s->number,
			     s->tag, reused))
		sad_raise(&path->sad, sa, ESP_EVENT_SWITCHOVER);
	/* A sender that goes on counts up; what a recorder has of it does not go beyond what we
	 * saw. */
	if (is_drained(in, now) && !was_exposed && s->number > in->rewound_top)
		sad_raise(&path->sad, sa, ESP_EVENT_RETIRED_HEARD);
	in->rewound_top = max_u64(in->rewound_top, s->number);
}

static void commit_stale(struct esp_path *path, struct esp_sa *sa, const struct esp_slot *s,
			 nsec_t now)
{
	struct esp_in_sa *in = &sa->in;

	in->last_heard = now;
	if (in->phase == ESP_IN_LIVE && asks(in, s->number) &&
	    detector_stale(&in->detector, &in->detect, now, s->number, s->tag))
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
	if (is_drained(&sa->in, now))
		return ESP_DROP_RETIRED;
	if (sa->in.exposed && sa->in.succeeded)
		return ESP_DROP_EXPOSED;
	why = admit(sa, text, payload, next == PROTO_IPV4 ? FAMILY_IPV4 : FAMILY_IPV6);
	if (why != ESP_DROP_COUNT)
		return why;
	return inner_ecn_decap(text, tos) ? ESP_DROP_COUNT : ESP_DROP_ECN;
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
		return pkt_super_add(super, text, inner);
	path->drops[why]++;
	return true;
}

/* Pass 3 for one datagram. False: nothing has happened yet, super has to be written first. */
static bool settle(struct esp_path *path, struct esp_in *in, const struct esp_slot *s,
		   struct pkt_super *super, nsec_t now)
{
	struct esp_sa *sa = sad_get(&path->sad, s->sa);
	enum verdict v = VERDICT_AUTH_FAILED;
	uint32_t iv = 0;

	if (s->settled || !sa)
		return true;
	if (s->opened)
		v = judge(sa, s, &iv);
	if (v == VERDICT_FRESH &&
	    (pkt_super_closed(super) || !deliver(path, in, sa, s, super, now)))
		return false;
	count(path, sa, v);
	switch (v) {
	case VERDICT_FRESH: commit_fresh(path, sa, s, &in->from, now); break;
	case VERDICT_REWOUND: commit_rewound(path, sa, s, iv, now); break;
	case VERDICT_STALE: commit_stale(path, sa, s, now); break;
	case VERDICT_AUTH_FAILED:
	case VERDICT_REPLAYED:
	case VERDICT_MALFORMED:
	case VERDICT_NO_SA:
	case VERDICT_UNVERIFIED:
	case VERDICT_COUNT: break;
	}
	return true;
}

enum esp_step esp_open(struct esp_path *path, struct esp_in *in, struct pkt_super *super,
		       nsec_t now)
{
	for (;;) {
		while (path->slot_next < path->slot_count) {
			if (!settle(path, in, &path->slot[path->slot_next], super, now))
				return ESP_FULL;
			path->slot_next++;
		}
		if (in->at >= in->len)
			return ESP_DONE;
		fill_batch(path, in, now);
	}
}
