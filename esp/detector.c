/* detector.c - see detector.h. SPDX-License-Identifier: ISC */
#include "detector.h"
#include "xalloc.h"

/*
 * The distinct packets of a pattern under way: a hash table that is exact for as many packets as a
 * pattern may ask for. A new round empties it: places of older rounds are empty.
 */
struct detector_set {
	struct {
		uint64_t number;
		uint32_t tag, round;
	} * v;
	uint32_t size, count, round;
};

#define SET_START 256
#define SET_KEPT  4096 /* a larger table is given back when it is emptied */
#define SET_PROBE 64   /* only a peer that makes collisions needs more; then fewer packets count */

struct detector_memory {
	struct detector_pairs rewound, stale; /* separate, so that hints never push out proofs */
	struct detector_set distinct;	      /* of the pattern since the last FRESH packet */
	/*
	 * Indexed by the low bits of the number; the newest stays. The consecutive numbers of a
	 * rewound sender all find a place, though a recorder may have more of them than `rewound`
	 * holds.
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
		free(d->memory->distinct.v);
	free(d->memory);
	d->memory = NULL;
}

static struct detector_memory *memory_of(struct detector *d)
{
	if (!d->memory)
		d->memory = xzalloc(sizeof(*d->memory));
	return d->memory;
}

/* Enters the pair. False if it is there already, or no place is free near its own. */
static bool set_place(struct detector_set *s, uint64_t number, uint32_t tag)
{
	uint64_t hash = (number ^ (uint64_t)tag << 32) * 0x9e3779b97f4a7c15ULL;

	for (uint32_t i = 0; i < SET_PROBE; i++) {
		uint32_t at = ((uint32_t)(hash >> 32) + i) & (s->size - 1);

		if (s->v[at].round != s->round) {
			s->v[at].number = number;
			s->v[at].tag = tag;
			s->v[at].round = s->round;
			return true;
		}
		if (s->v[at].number == number && s->v[at].tag == tag)
			return false;
	}
	return false;
}

static void set_grow(struct detector_set *s)
{
	struct detector_set n = {.size = s->size ? s->size * 2 : SET_START, .round = 1};

	n.v = xzalloc(n.size * sizeof(*n.v));
	for (uint32_t i = 0; i < s->size; i++) {
		if (s->v[i].round == s->round)
			n.count += set_place(&n, s->v[i].number, s->v[i].tag);
	}
	free(s->v);
	*s = n;
}

/* Adds the pair. True if it was not in the set. */
static bool set_add(struct detector_set *s, uint64_t number, uint32_t tag)
{
	if (s->count * 2 >= s->size)
		set_grow(s);
	if (!set_place(s, number, tag))
		return false;
	s->count++;
	return true;
}

static void set_empty(struct detector_set *s)
{
	s->count = 0;
	s->round++;
	/* A round must not come again while entries of it are there. */
	if (s->size <= SET_KEPT && s->round != 0)
		return;
	free(s->v);
	*s = (struct detector_set){0};
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

/* Confirms, or lets a proof replace a pattern as the criterion. */
static bool confirm(struct detector *d, enum criterion c)
{
	if (d->state == DETECTOR_CONFIRMED &&
	    (criterion_is_proof(d->criterion) || !criterion_is_proof(c)))
		return false;
	d->state = DETECTOR_CONFIRMED;
	d->criterion = c;
	return true;
}

static enum evidence evidence(bool confirms)
{
	return confirms ? EVIDENCE_CONFIRMS : EVIDENCE_NEW;
}

/* Counts one more distinct packet without a FRESH one in between: the rule as published. */
static enum evidence pattern_step(struct detector *d, const struct detector_config *cfg, nsec_t now,
				  uint64_t number, uint32_t tag)
{
	if (!set_add(&d->memory->distinct, number, tag))
		return EVIDENCE_NONE;
	note_evidence(d, now, number);
	if (d->pattern++ == 0)
		d->pattern_since = now;
	if (d->pattern >= cfg->packets)
		return evidence(confirm(d, CRITERION_COUNT));
	if (d->pattern >= DETECTOR_TIME_MIN && now - d->pattern_since >= cfg->interval)
		return evidence(confirm(d, CRITERION_TIME));
	return EVIDENCE_NEW;
}

enum evidence detector_rewound(struct detector *d, const struct detector_config *cfg, nsec_t now,
			       uint64_t number, uint32_t tag, bool nonce_reused)
{
	pair_add(&memory_of(d)->rewound, number, tag);
	*seen_place(d->memory, number) =
		(struct detector_pair){.number = number, .tag = tag, .used = true};
	if (cfg->mode == DETECT_OFF)
		return EVIDENCE_NEW;
	note_evidence(d, now, number);
	d->proofs++;
	if (nonce_reused)
		return evidence(confirm(d, CRITERION_NONCE_REUSE));
	if (cfg->mode == DETECT_PATTERN)
		return pattern_step(d, cfg, now, number, tag);
	return evidence(d->proofs >= cfg->proof_packets && confirm(d, CRITERION_PROOF));
}

enum evidence detector_stale(struct detector *d, const struct detector_config *cfg, nsec_t now,
			     uint64_t number, uint32_t tag)
{
	pair_add(&memory_of(d)->stale, number, tag);
	return pattern_step(d, cfg, now, number, tag);
}

static void forget_pattern(struct detector *d)
{
	if (d->pattern)
		set_empty(&d->memory->distinct);
	d->pattern = 0;
}

void detector_fresh_slow(struct detector *d)
{
	forget_pattern(d);
	if (d->state == DETECTOR_CALM || criterion_is_proof(d->criterion))
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
	forget_pattern(d);
	d->state = DETECTOR_CALM;
	d->criterion = CRITERION_NONE;
	d->proofs = 0;
	d->first_evidence = d->pattern_since = 0;
	d->first_number = 0;
}
