/* esp_sa.c - see esp_sa.h. SPDX-License-Identifier: ISC */
#include "esp_sa.h"
#include "xalloc.h"

#define GEN_MAX ((1u << (32 - SAD_INDEX_BITS)) - 1)

void sad_init(struct sad *s, uint64_t history_cap, struct rng *rng)
{
	*s = (struct sad){.rng = rng};
	history_budget_init(&s->history, history_cap);
	s->gen = 1 + (uint32_t)rng_below(rng, GEN_MAX);
}

static void in_fini(struct esp_in_sa *in)
{
	if (!in->key)
		return;
	aead_key_free(in->key);
	window_fini(&in->window);
	history_fini(&in->history);
	bridge_fini(&in->bridge);
	detector_fini(&in->detector);
	in->key = NULL;
}

static void out_fini(struct esp_out_sa *out)
{
	aead_key_free(out->key);
	out->key = NULL;
}

static void dirty_remove(struct sad *s, struct esp_sa *sa)
{
	for (struct esp_sa **p = &s->dirty; *p; p = &(*p)->next_dirty) {
		if (*p == sa) {
			*p = sa->next_dirty;
			break;
		}
	}
	sa->dirty = false;
}

static void slot_free(struct sad *s, struct esp_sa *sa)
{
	if (sa->dirty)
		dirty_remove(s, sa);
	in_fini(&sa->in);
	out_fini(&sa->out);
	free(sa->local);
	free(sa->remote);
	free(sa);
}

void sad_fini(struct sad *s)
{
	for (uint32_t i = 0; i < s->slot_count; i++) {
		if (s->slots[i])
			slot_free(s, s->slots[i]);
	}
	free(s->slots);
	free(s->free_list);
	*s = (struct sad){0};
}

/* Makes twice as many slots. The new ones are free; the lowest is the last in the free list. */
static void slots_grow(struct sad *s)
{
	uint32_t old = s->slot_count, count = old ? old * 2 : 16;

	s->slots = xreallocarray(s->slots, count, sizeof(*s->slots));
	memset(s->slots + old, 0, (count - old) * sizeof(*s->slots));
	s->free_list = xreallocarray(s->free_list, count, sizeof(uint32_t));
	for (uint32_t i = count; i > old; i--)
		s->free_list[s->free_count++] = i - 1;
	s->slot_count = count;
}

static bool free_index(struct sad *s, uint32_t *ret)
{
	if (s->free_count == 0 && s->slot_count > SAD_INDEX_MASK)
		return false;
	if (s->free_count == 0)
		slots_grow(s);
	*ret = s->free_list[--s->free_count];
	return true;
}

static void slot_make(struct sad *s, uint32_t index, uint32_t gen)
{
	struct esp_sa *sa = xzalloc(sizeof(*sa));

	sa->index = index;
	sa->gen = gen;
	sa->spi = gen << SAD_INDEX_BITS | index;
	s->slots[index] = sa;
	s->used++;
}

uint32_t sad_reserve(struct sad *s)
{
	uint32_t index;

	if (!free_index(s, &index))
		return 0;
	slot_make(s, index, s->gen);
	/* Generations start at 1, which keeps SPIs out of the reserved range 0 to 255. */
	s->gen = s->gen == GEN_MAX ? 1 : s->gen + 1;
	return s->slots[index]->spi;
}

int sad_reserve_spi(struct sad *s, uint32_t spi)
{
	uint32_t index = spi & SAD_INDEX_MASK, at;

	while (index >= s->slot_count)
		slots_grow(s);
	if (s->slots[index] || spi >> SAD_INDEX_BITS == 0)
		return -EEXIST;
	/* The lowest indexes are at the end, where the search is short if there are few SAs. */
	for (at = s->free_count; s->free_list[at - 1] != index;)
		at--;
	memmove(&s->free_list[at - 1], &s->free_list[at],
		(s->free_count - at) * sizeof(*s->free_list));
	s->free_count--;
	slot_make(s, index, spi >> SAD_INDEX_BITS);
	return 0;
}

void sad_release(struct sad *s, uint32_t spi)
{
	struct esp_sa *sa = sad_find(s, spi);

	if (!sa)
		return;
	s->slots[sa->index] = NULL;
	s->free_list[s->free_count++] = sa->index;
	s->used--;
	slot_free(s, sa);
}

static int in_init(struct sad *s, struct esp_sa *sa, const struct esp_sa_params *p)
{
	struct history_config h = {.window = p->replay_window, .packets = p->history_packets};
	struct esp_in_sa *in = &sa->in;

	in->key = aead_key_new(p->suite, p->enc_in, p->integ_in);
	if (!in->key)
		return -EINVAL;
	in->suite = p->suite;
	in->esn = p->esn;
	in->detect = p->detect;
	in->peer = p->remote_ep;
	in->awaited = true;
	in->unprotected = p->replay_window == 0;
	window_init(&in->window, (uint32_t)max_u64(p->replay_window, WINDOW_MIN));
	bridge_init(&in->bridge, p->replay_window);
	history_init(&in->history, &h, &s->history, s->rng);
	detector_init(&in->detector);
	esp_sa_set_detect(sa, &p->detect, p->verify_rate, p->bridge);
	return 0;
}

static int out_init(struct sad *s, struct esp_sa *sa, const struct esp_sa_params *p)
{
	struct esp_out_sa *out = &sa->out;

	out->key = aead_key_new(p->suite, p->enc_out, p->integ_out);
	if (!out->key)
		return -EINVAL;
	out->suite = p->suite;
	out->esn = p->esn;
	out->spi = p->spi_out;
	out->iv_mask = rng_u64(s->rng);
	out->dest.local = p->local_ep;
	out->dest.remote = p->remote_ep;
	out->mtu = p->mtu;
	return 0;
}

int sad_install(struct sad *s, uint32_t spi, const struct esp_sa_params *p, nsec_t now)
{
	struct esp_sa *sa = sad_find(s, spi);

	(void)now;
	if (!sa || sa->in.key)
		return -ENOENT;
	/* Extended numbers are inferred from the window (RFC 4303 A2). */
	if (p->esn && p->replay_window == 0)
		return -EINVAL;
	if (in_init(s, sa, p) < 0 || out_init(s, sa, p) < 0) {
		in_fini(&sa->in);
		return -EINVAL;
	}
	sa->owner = p->owner;
	sa->in.device = p->device;
	sa->life = p->life;
	sa->local = ts_list_dup(p->local);
	sa->remote = ts_list_dup(p->remote);
	return 0;
}

void sad_retire(struct sad *s, struct esp_sa *sa, nsec_t drain_until)
{
	(void)s;
	out_fini(&sa->out);
	sa->in.phase = ESP_IN_RETIRED;
	sa->in.drain_until = sa->in.deliver_until = drain_until;
	history_retire(&sa->in.history);
}

void sad_raise(struct sad *s, struct esp_sa *sa, uint32_t event)
{
	sa->events |= event;
	if (sa->dirty)
		return;
	sa->dirty = true;
	sa->next_dirty = s->dirty;
	s->dirty = sa;
}

struct esp_sa *sad_take_dirty(struct sad *s, uint32_t *ret_events)
{
	struct esp_sa *sa = s->dirty;

	if (!sa)
		return NULL;
	s->dirty = sa->next_dirty;
	sa->dirty = false;
	*ret_events = sa->events;
	sa->events = 0;
	return sa;
}

void esp_sa_set_detect(struct esp_sa *sa, const struct detector_config *cfg, uint32_t verify_rate,
		       bool bridge)
{
	sa->in.detect = *cfg;
	sa->in.bridge_on = bridge;
	bucket_init(&sa->in.verify, verify_rate, verify_rate);
	bucket_init(&sa->in.second, verify_rate, verify_rate);
}

void esp_sa_await_fresh(struct esp_sa *sa)
{
	sa->in.awaited = true;
}

void esp_sa_forget_evidence(struct esp_sa *sa)
{
	struct esp_in_sa *in = &sa->in;

	detector_reset(&in->detector);
	in->missed = in->unverified = in->bridged = 0;
	in->before_evidence = in->after_evidence = 0;
}
