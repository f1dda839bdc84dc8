/* detector.c - see detector.h. SPDX-License-Identifier: ISC */
#include "detector.h"
#include "xalloc.h"

struct detector_memory {
	struct detector_pairs rewound, stale; /* apart: hints never push out proofs */
	struct window distinct;		      /* of STALE numbers */
	/*
	 * By the number's low bits, the newest stays: a rewound sender's consecutive numbers all
	 * find a place, and a recorder has more of them than the ring holds.
	 */
	struct detector_pair seen[DETECTOR_SEEN];
};

static const char *const mode_names[] = {
#define X(id, text) text,
	FOREACH_DETECT_MODE(X)
#undef X
};

static const char *const criterion_names[] = {
#define X(id, text) text,
	FOREACH_CRITERION(X)
#undef X
};

const char *detect_mode_name(enum detect_mode m)
{
	return mode_names[m];
}

int detect_mode_parse(const char *s, enum detect_mode *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(mode_names); i++) {
		if (strcmp(s, mode_names[i]) == 0) {
			*ret = (enum detect_mode)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *criterion_name(enum criterion c)
{
	return criterion_names[c];
}

const char *detector_state_name(enum detector_state s)
{
	static const char *const names[] = {"calm", "suspect", "confirmed"};

	return names[s];
}

void detector_init(struct detector *d)
{
	*d = (struct detector){0};
}

void detector_fini(struct detector *d)
{
	if (d->memory)
		window_fini(&d->memory->distinct);
	free(d->memory);
	d->memory = NULL;
}

static struct detector_memory *memory_of(struct detector *d)
{
	if (!d->memory) {
		d->memory = xzalloc(sizeof(*d->memory));
		window_init(&d->memory->distinct, DETECTOR_STALE_WINDOW);
	}
	return d->memory;
}

static bool is_pair(const struct detector_pair *p, uint64_t number, uint32_t tag)
{
	return p->used && p->number == number && p->tag == tag;
}

static bool pair_known(const struct detector_pairs *p, uint64_t number, uint32_t tag)
{
	for (unsigned i = 0; i < DETECTOR_PAIRS; i++) {
		if (is_pair(&p->v[i], number, tag))
			return true;
	}
	return false;
}

static void pair_add(struct detector_pairs *p, uint64_t number, uint32_t tag)
{
	p->v[p->next] = (struct detector_pair){.number = number, .tag = tag, .used = true};
	p->next = (p->next + 1) % DETECTOR_PAIRS;
}

static struct detector_pair *seen_place(struct detector_memory *m, uint64_t number)
{
	return &m->seen[number % DETECTOR_SEEN];
}

bool detector_knows(const struct detector *d, uint64_t number, uint32_t tag)
{
	return d->memory && (is_pair(seen_place(d->memory, number), number, tag) ||
			     pair_known(&d->memory->rewound, number, tag) ||
			     pair_known(&d->memory->stale, number, tag));
}

bool detector_asks(const struct detector_config *cfg, bool reaches)
{
	switch (cfg->mode) {
	case DETECT_OFF:
	case DETECT_PROOF: return false;
	case DETECT_PATTERN: return true;
	case DETECT_BOTH: return !reaches;
	}
	return false;
}

static void note_evidence(struct detector *d, nsec_t now, uint64_t number)
{
	if (d->state == DETECTOR_CALM)
		d->state = DETECTOR_SUSPECT;
	if (d->first_evidence == 0) {
		d->first_evidence = now;
		d->first_number = number;
	}
}

static bool is_proof(enum criterion c)
{
	return c == CRITERION_PROOF || c == CRITERION_NONCE_REUSE;
}

/* Confirms, or lets a proof take over from a pattern. */
static bool confirm(struct detector *d, enum criterion c)
{
	if (d->state == DETECTOR_CONFIRMED && (is_proof(d->criterion) || !is_proof(c)))
		return false;
	d->state = DETECTOR_CONFIRMED;
	d->criterion = c;
	return true;
}

/* One more distinct packet without a FRESH one in between: the rule as published. */
static bool pattern_step(struct detector *d, const struct detector_config *cfg, nsec_t now)
{
	if (d->pattern++ == 0)
		d->pattern_since = now;
	if (d->pattern >= cfg->packets)
		return confirm(d, CRITERION_COUNT);
	if (d->pattern >= DETECTOR_TIME_MIN && now - d->pattern_since >= cfg->interval)
		return confirm(d, CRITERION_TIME);
	return false;
}

bool detector_rewound(struct detector *d, const struct detector_config *cfg, nsec_t now,
		      uint64_t number, uint32_t tag, bool nonce_reused)
{
	pair_add(&memory_of(d)->rewound, number, tag);
	*seen_place(d->memory, number) =
		(struct detector_pair){.number = number, .tag = tag, .used = true};
	if (cfg->mode == DETECT_OFF)
		return false;
	note_evidence(d, now, number);
	d->proofs++;
	if (nonce_reused)
		return confirm(d, CRITERION_NONCE_REUSE);
	if (cfg->mode == DETECT_PATTERN)
		return pattern_step(d, cfg, now);
	return d->proofs >= cfg->proof_packets && confirm(d, CRITERION_PROOF);
}

/*
 * Numbers left of the small window count once and restart it there: one packet that an attacker
 * withheld and released must not blind us to the lower numbers that follow.
 */
static bool stale_is_distinct(struct window *w, uint64_t number)
{
	switch (window_place(w, number)) {
	case WINDOW_TAKEN: return false;
	case WINDOW_LEFT:
		window_fini(w);
		window_init(w, DETECTOR_STALE_WINDOW);
		break;
	case WINDOW_RIGHT:
	case WINDOW_FREE: break;
	}
	window_commit(w, number);
	return true;
}

bool detector_stale(struct detector *d, const struct detector_config *cfg, nsec_t now,
		    uint64_t number, uint32_t tag)
{
	struct detector_memory *m = memory_of(d);

	if (!stale_is_distinct(&m->distinct, number))
		return false;
	pair_add(&m->stale, number, tag);
	note_evidence(d, now, number);
	return pattern_step(d, cfg, now);
}

void detector_fresh(struct detector *d)
{
	d->pattern = 0;
	if (d->state == DETECTOR_CALM || is_proof(d->criterion))
		return;
	if (d->proofs == 0) {
		detector_reset(d);
	} else {
		d->state = DETECTOR_SUSPECT;
		d->criterion = CRITERION_NONE;
	}
}

void detector_reset(struct detector *d)
{
	d->state = DETECTOR_CALM;
	d->criterion = CRITERION_NONE;
	d->proofs = d->pattern = 0;
	d->first_evidence = d->pattern_since = 0;
	d->first_number = 0;
}
