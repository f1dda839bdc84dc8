/* esp_model.c - see esp_model.h. SPDX-License-Identifier: ISC */
#include "esp_model.h"
#include "xalloc.h"

/*
 * The state of a packet between the first pass and its verdict, in the three passes of
 * doc/architecture.md.
 */
struct look {
	const struct model_packet *p;
	struct model_sa *sa;
	uint64_t number;   /* the candidate that is assumed */
	uint64_t older[2]; /* other candidates; 0: none */
	bool asked[2], absent[2];
	bool settled, opened, by_older;
};

struct batch {
	struct look look[ESP_BATCH];
	unsigned count;
	const struct model_sa *ahead_sa; /* known numbers in this batch will move its bridge */
	uint64_t ahead;			 /* up to this number */
	bool ends, late, early;
};

struct model *model_new(void)
{
	return xzalloc(sizeof(struct model));
}

void model_free(struct model *m)
{
	for (unsigned i = 0; i < m->count; i++) {
		refwindow_fini(&m->sa[i].window);
		refwindow_fini(&m->sa[i].bridge);
	}
	free(m);
}

void model_add(struct model *m, const struct esp_sa_params *params, uint32_t spi)
{
	struct model_sa *s = &m->sa[m->count++];

	s->params = params;
	s->spi = spi;
	refwindow_init(&s->window, (uint32_t)max_u64(params->replay_window, WINDOW_MIN));
	refwindow_init(&s->bridge, 2 * params->replay_window);
	s->floor = 1;
}

static void is_due(struct model *m, const struct model_sa *s)
{
	for (unsigned i = 0; i < PARKED_MAX; i++) {
		if (m->waiting[i].sa == s)
			m->late_due = m->waiting[i].due = true;
	}
}

void model_install(struct model *m, unsigned sa)
{
	m->sa[sa].keyed = true;
	is_due(m, &m->sa[sa]);
}

void model_retire(struct model *m, unsigned sa, nsec_t drain_until)
{
	m->sa[sa].retired = true;
	m->sa[sa].drain_until = drain_until;
}

/* ---- the history ---- */

static const struct model_pair *find(const struct model_list *l, uint64_t number)
{
	for (unsigned i = 0; i < l->count; i++) {
		if (l->v[i].number == number)
			return &l->v[i];
	}
	return NULL;
}

static void add(struct model_list *l, uint64_t number, const struct model_packet *p)
{
	if (l->count == MODEL_RECEIVED)
		abort();
	l->v[l->count++] = (struct model_pair){.number = number, .tag = p->tag, .iv = p->iv};
}

/*
 * Whether the pair is among the last DETECTOR_PAIRS, or, by_place, the newest of those whose number
 * has the same place in the detector's table.
 */
static bool told(const struct model_list *l, uint64_t number, uint32_t tag, bool by_place)
{
	bool newest = by_place;

	for (unsigned k = 1; k <= l->count; k++) {
		const struct model_pair *v = &l->v[l->count - k];
		bool same = v->number == number && v->tag == tag;

		if (same && (k <= DETECTOR_PAIRS || newest))
			return true;
		if (v->number % DETECTOR_SEEN == number % DETECTOR_SEEN)
			newest = false;
	}
	return false;
}

/*
 * The near ring holds whole blocks, two more than history_packets fill. The first blocks that it
 * gives up become the head (doc/recovery.md 2), which is one eighth of its size, and one block.
 */
static void extend(struct model_sa *s, uint64_t number)
{
	uint64_t most = max_u64(s->params->history_packets, s->params->replay_window),
		 blocks = most / HISTORY_BLOCK + 2, index = number / HISTORY_BLOCK,
		 floor = index < blocks ? 0 : (index - blocks + 1) * HISTORY_BLOCK,
		 head = min_u64(HISTORY_HEAD, (blocks / 8 + 1) * HISTORY_BLOCK);

	if (floor / HISTORY_BLOCK <= s->floor / HISTORY_BLOCK)
		return;
	/* Blocks between head and ring were given up earlier: the head does not grow any more. */
	if (s->head_end / HISTORY_BLOCK >= s->floor / HISTORY_BLOCK)
		s->head_end = max_u64(s->head_end, min_u64(floor, head));
	s->floor = floor;
}

static bool reaches(const struct model_sa *s, uint64_t number)
{
	return number >= s->floor || number < s->head_end;
}

static enum history_answer known(const struct model_sa *s, uint64_t number, uint32_t tag,
				 uint32_t *ret_iv)
{
	const struct model_pair *v = find(&s->received, number);

	if (told(&s->rewound, number, tag, true) || told(&s->stale, number, tag, false))
		return HISTORY_SAME;
	if (!v)
		return reaches(s, number) ? HISTORY_ABSENT : HISTORY_UNKNOWN;
	*ret_iv = v->iv;
	return v->tag == tag ? HISTORY_SAME : HISTORY_OTHER;
}

/* ---- the bridge ---- */

static bool may_bridge(const struct model *m, const struct model_sa *s)
{
	enum detect_mode mode = s->params->detect.mode;

	return s->params->bridge && (mode == DETECT_PROOF || mode == DETECT_BOTH) && !s->exposed &&
	       !(s->retired && m->now >= s->drain_until);
}

static bool may_open(const struct model *m, const struct model_sa *s)
{
	return may_bridge(m, s) && !s->bridge_open && !s->bridge_closed;
}

static bool admits(const struct model_sa *s, uint64_t number, bool with_proof)
{
	enum window_place place = refwindow_place(&s->bridge, number);

	if (s->bridge_closed || s->params->replay_window == 0)
		return false;
	if (!s->bridge_open)
		return with_proof;
	return place == WINDOW_FREE || (place == WINDOW_RIGHT && with_proof);
}

static bool bridge_asks(const struct model *m, const struct batch *b, const struct model_sa *s,
			uint64_t number)
{
	if (!s->bridge_open || !may_bridge(m, s))
		return false;
	if (number > s->bridge.top)
		return b->ahead_sa == s && number <= b->ahead;
	return admits(s, number, false);
}

static void note_ahead(struct batch *b, const struct model_sa *s, uint64_t number)
{
	b->ahead = max_u64(b->ahead_sa == s ? b->ahead : 0, number + s->params->replay_window);
	b->ahead_sa = s;
}

static void wait_for(struct model *m, struct model_sa *s, const struct model_packet *p, bool early)
{
	m->waiting[m->next_waiting] = (struct model_waiting){.p = *p, .sa = s, .early = early};
	m->next_waiting = (m->next_waiting + 1) % PARKED_MAX;
}

/* ---- first pass: candidates for the number, and whether to open the packet ---- */

static void verdict(struct model *m, const struct batch *b, struct look *k, enum verdict v)
{
	k->settled = true;
	if (!b->late)
		m->result->v[v]++;
}

static bool is_new(const struct model_sa *s, uint64_t number)
{
	return s->params->replay_window == 0 || window_is_new(refwindow_place(&s->window, number));
}

/* The published rule needs old packets to be opened. */
static bool detector_wants(const struct model_sa *s, uint64_t number)
{
	if (s->exposed || s->retired)
		return false;
	return s->params->detect.mode == DETECT_PATTERN ||
	       (s->params->detect.mode == DETECT_BOTH && !reaches(s, number));
}

static void candidates(struct look *k)
{
	struct model_sa *s = k->sa;
	uint64_t top = s->window.top;
	struct esn_guess g;

	k->number = k->p->low;
	if (!s->params->esn)
		return;
	g = ref_guess(top, s->window.size, k->p->low);
	k->number = g.number;
	k->older[0] = g.second;
	/* The sender may have begun with 1 again, in a later subspace. */
	if (top >> 32 && g.number != k->p->low && g.second != k->p->low && k->p->low < s->head_end)
		k->older[1] = k->p->low;
}

static bool is_older_replay(struct model *m, struct batch *b, struct look *k, unsigned i)
{
	uint32_t iv;

	if (k->older[i] == 0)
		return false;
	switch (known(k->sa, k->older[i], k->p->tag, &iv)) {
	case HISTORY_SAME: verdict(m, b, k, VERDICT_REPLAYED); return true;
	case HISTORY_OTHER:
		k->asked[i] = true;
		note_ahead(b, k->sa, k->older[i]);
		b->ends |= may_open(m, k->sa);
		return false;
	case HISTORY_ABSENT:
		k->absent[i] = true;
		k->asked[i] = bridge_asks(m, b, k->sa, k->older[i]);
		return false;
	case HISTORY_UNKNOWN: return false;
	}
	return false;
}

static bool worth_opening(struct model *m, struct batch *b, struct look *k)
{
	uint32_t iv;
	enum history_answer answer = known(k->sa, k->number, k->p->tag, &iv);

	if (answer == HISTORY_SAME) {
		verdict(m, b, k, VERDICT_REPLAYED);
		return false;
	}
	if (answer == HISTORY_OTHER) {
		b->ends = may_open(m, k->sa);
		note_ahead(b, k->sa, k->number);
		return true;
	}
	if ((answer == HISTORY_ABSENT && bridge_asks(m, b, k->sa, k->number)) ||
	    detector_wants(k->sa, k->number))
		return true;
	if (answer == HISTORY_ABSENT && may_open(m, k->sa))
		wait_for(m, k->sa, k->p, false);
	verdict(m, b, k, VERDICT_UNVERIFIED);
	return false;
}

static void look_at(struct model *m, struct batch *b, struct look *k)
{
	const struct model_packet *p = k->p;
	struct esp_layout lay;

	for (unsigned i = 0; p->len >= ESP_HEADER_LEN && i < m->count; i++)
		k->sa = m->sa[i].spi == p->spi ? &m->sa[i] : k->sa;
	if (!k->sa || !k->sa->keyed) {
		if (k->sa && !b->late)
			wait_for(m, k->sa, p, true);
		verdict(m, b, k, p->len < ESP_HEADER_LEN ? VERDICT_MALFORMED : VERDICT_NO_SA);
		return;
	}
	candidates(k);
	if (k->number == 0 || !esp_frame_split(k->sa->params->suite, p->len, &lay)) {
		verdict(m, b, k, VERDICT_MALFORMED);
		return;
	}
	if (is_older_replay(m, b, k, 0) || is_older_replay(m, b, k, 1))
		return;
	if (is_new(k->sa, k->number) || worth_opening(m, b, k))
		k->opened = p->authentic && &m->sa[p->sa] == k->sa && k->number == p->number;
}

/* ---- second pass: the older candidates for the number ---- */

static void try_older(struct model *m, struct look *k, unsigned i)
{
	if (k->settled || k->opened || k->older[i] == 0 ||
	    !(k->asked[i] || detector_wants(k->sa, k->older[i])))
		return;
	k->number = k->older[i];
	k->by_older = true;
	k->opened = k->p->authentic && &m->sa[k->p->sa] == k->sa && k->number == k->p->number;
}

static void keep_older(struct model *m, struct look *k)
{
	bool waits = (k->absent[0] && !k->asked[0]) || (k->absent[1] && !k->asked[1]);

	if (!k->settled && !k->opened && waits && may_open(m, k->sa))
		wait_for(m, k->sa, k->p, false);
}

/* ---- third pass: the verdict, and the change of state ---- */

static void fresh(struct look *k)
{
	struct model_sa *s = k->sa;

	if (!window_is_new(refwindow_place(&s->window, k->number)))
		return; /* without replay protection: delivered, and changes nothing */
	refwindow_commit(&s->window, k->number);
	add(&s->received, k->number, k->p);
	extend(s, k->number);
}

static void bridged(struct model *m, struct look *k, bool with_proof)
{
	struct model_sa *s = k->sa;

	if (!s->bridge_open)
		is_due(m, s);
	s->bridge_open = true;
	if (with_proof) {
		s->bridge.top = max_u64(s->bridge.top, k->number + s->params->replay_window);
		add(&s->rewound, k->number, k->p);
	}
	refwindow_commit(&s->bridge, k->number);
}

static void rewound(struct look *k, bool reused)
{
	struct model_sa *s = k->sa;

	add(&s->rewound, k->number, k->p);
	if (!reused)
		return;
	s->bridge_closed = true;
	s->exposed |= s->params->suite->encr == ENCR_AES_GCM_16;
}

static enum verdict judge(struct model *m, struct look *k, enum history_answer *answer,
			  bool *reused)
{
	uint32_t iv = 0;

	*reused = false;
	if (!k->opened)
		return VERDICT_AUTH_FAILED;
	if (!k->by_older && is_new(k->sa, k->number))
		return VERDICT_FRESH;
	*answer = known(k->sa, k->number, k->p->tag, &iv);
	if (*answer == HISTORY_SAME)
		return VERDICT_REPLAYED;
	*reused = *answer == HISTORY_OTHER && k->sa->params->suite->combined && iv == k->p->iv;
	if (reaches(k->sa, k->number) && !*reused && may_bridge(m, k->sa) &&
	    admits(k->sa, k->number, *answer == HISTORY_OTHER))
		return VERDICT_BRIDGED;
	return *answer == HISTORY_OTHER ? VERDICT_REWOUND : VERDICT_STALE;
}

static void settle(struct model *m, const struct batch *b, struct look *k)
{
	enum history_answer answer = HISTORY_UNKNOWN;
	bool reused, delivers;
	enum verdict v;

	if (k->settled)
		return;
	v = judge(m, k, &answer, &reused);
	delivers = v == VERDICT_FRESH || v == VERDICT_BRIDGED;
	if (b->late && v != VERDICT_BRIDGED && !(b->early && v == VERDICT_FRESH))
		return;
	m->result->v[v]++;
	m->result->waited += b->late;
	if (delivers && k->p->id &&
	    !(k->sa->retired && (m->now >= k->sa->drain_until || k->sa->exposed)))
		m->result->delivered[m->result->count++] = k->p->id;
	if (v == VERDICT_FRESH)
		fresh(k);
	else if (v == VERDICT_BRIDGED)
		bridged(m, k, answer == HISTORY_OTHER);
	else if (v == VERDICT_REWOUND)
		rewound(k, reused);
	else if (v == VERDICT_STALE && detector_wants(k->sa, k->number))
		add(&k->sa->stale, k->number, k->p);
}

/* Judges packets up to one that may open a bridge, or a full batch; returns their number. */
static unsigned run_batch(struct model *m, struct batch *b, const struct model_packet *p,
			  unsigned count)
{
	while (b->count < count && b->count < ESP_BATCH && !b->ends) {
		struct look *k = &b->look[b->count];

		k->p = &p[b->count++];
		look_at(m, b, k);
	}
	for (unsigned i = 0; i < 2 * b->count; i++)
		try_older(m, &b->look[i % b->count], i / b->count);
	for (unsigned i = 0; i < b->count; i++)
		keep_older(m, &b->look[i]);
	for (unsigned i = 0; i < b->count; i++)
		settle(m, b, &b->look[i]);
	return b->count;
}

/* The oldest of the packets that waited and are due, or NULL. */
static struct model_waiting *next_due(struct model *m)
{
	for (unsigned i = 0; i < PARKED_MAX; i++) {
		struct model_waiting *w = &m->waiting[(m->next_waiting + i) % PARKED_MAX];

		if (w->sa && w->due)
			return w;
	}
	return NULL;
}

void model_receive(struct model *m, const struct model_packet *p, unsigned count, nsec_t now,
		   struct model_result *ret)
{
	*ret = (struct model_result){0};
	m->result = ret;
	m->now = now;
	for (;;) {
		struct model_waiting *w = m->late_due ? next_due(m) : NULL;
		struct batch b = {.late = w != NULL};
		struct model_packet one;
		unsigned done;

		m->late_due = w != NULL;
		if (w) {
			b.early = w->early;
			one = w->p;
			w->sa = NULL;
			run_batch(m, &b, &one, 1);
		} else if (count) {
			done = run_batch(m, &b, p, count);
			p += done;
			count -= done;
		} else {
			return;
		}
	}
}
