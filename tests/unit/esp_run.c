/* esp_run.c - see esp_run.h. SPDX-License-Identifier: ISC */
#include "esp_run.h"
#include "xalloc.h"

#define TAPE_START 1024

void tape_add(struct tape *t, const uint8_t *pkt, uint32_t seg)
{
	if (t->count == t->cap) {
		t->cap = t->cap ? t->cap * 2 : TAPE_START;
		t->b = xreallocarray(t->b, t->cap, seg);
	}
	t->seg = seg;
	memcpy(t->b + t->count++ * seg, pkt, seg);
}

void tape_fini(struct tape *t)
{
	free(t->b);
	*t = (struct tape){0};
}

uint8_t *tape_at(const struct tape *t, size_t i)
{
	return t->b + i * t->seg;
}

/* Counts a delivery; the last bytes of the packet are its index in the order of sealing. */
static void note_delivery(void *ctx, const uint8_t *inner, uint32_t len)
{
	struct run *run = ctx;
	uint32_t i = get_be32(inner + len - 4);

	if (run->bit_identical)
		return;
	if (i >= run->sealed)
		fail_msg("delivered what nobody sealed");
	if (run->came[i]++ == 0)
		run->delivered++;
	else
		run->twice++;
}

/* Writes the next packet's index into its plaintext. */
static void number_plaintext(struct run *run, uint8_t *inner, uint32_t len)
{
	if (run->bit_identical)
		return;
	if (run->sealed == run->came_size) {
		uint64_t size = run->came_size ? run->came_size * 2 : 4096;

		run->came = xreallocarray(run->came, size, 1);
		memset(run->came + run->came_size, 0, size - run->came_size);
		run->came_size = size;
	}
	put_be32(inner + len - 4, (uint32_t)run->sealed++);
}

void run_init(struct run *run, const char *name, const struct fixture_opt *opt)
{
	*run = (struct run){.name = name, .l = fixture_new(opt), .esn = opt->esn};
	run->l->sink = note_delivery;
	run->l->sink_ctx = run;
	refwindow_init(&run->window, opt->window);
	run->published.packets = opt->detect.packets;
	run->published.interval = opt->detect.interval;
}

void run_print_header(void)
{
	printf("# %-56s %8s %8s %7s %7s %7s %7s %7s %5s  %s\n", "run", "fresh", "replayed",
	       "bridged", "rewound", "stale", "unverif", "forged", "twice",
	       "outcome; the rule as published");
}

void run_fini(struct run *run)
{
	const uint64_t *v = run->r.v;
	char outcome[64] = "not confirmed";

	if (run->switchovers)
		snprintf(outcome, sizeof(outcome), "%u x confirmed, last by %s", run->switchovers,
			 criterion_name(run->why));
	if (run->name)
		printf("# %-56s %8llu %8llu %7llu %7llu %7llu %7llu %7llu %5llu  %s; "
		       "published %llu x\n",
		       run->name, (unsigned long long)v[VERDICT_FRESH],
		       (unsigned long long)v[VERDICT_REPLAYED],
		       (unsigned long long)v[VERDICT_BRIDGED],
		       (unsigned long long)v[VERDICT_REWOUND], (unsigned long long)v[VERDICT_STALE],
		       (unsigned long long)v[VERDICT_UNVERIFIED],
		       (unsigned long long)v[VERDICT_AUTH_FAILED], (unsigned long long)run->twice,
		       outcome, (unsigned long long)run->published.confirmed);
	assert_int_equal(run->twice, 0);
	refwindow_fini(&run->window);
	tape_fini(&run->tape);
	tape_fini(&run->held);
	free(run->came);
	fixture_free(run->l);
}

static void note_events(struct run *run)
{
	const struct detector *d = &fixture_sa(run->l, ME)->in.detector;

	if (!(fixture_events(run->l, ME) & ESP_EVENT_SWITCHOVER))
		return;
	assert_int_equal(d->state, DETECTOR_CONFIRMED);
	run->switchovers++;
	run->why = d->criterion;
}

/* Tells the model of the published rule, which knows only the window. Not done with ESN. */
static void tell_published(struct run *run, const uint8_t *pkt, bool authentic)
{
	uint32_t n = get_be32(pkt + 4);

	if (run->esn || n == 0)
		return;
	if (!window_is_new(refwindow_place(&run->window, n))) {
		published_drop(&run->published, run->l->now);
	} else if (authentic) {
		refwindow_commit(&run->window, n);
		published_accept(&run->published);
	}
}

static void deliver_all(struct run *run, const uint8_t *b, uint32_t seg, size_t count,
			bool authentic)
{
	while (count) {
		uint32_t n = (uint32_t)min_u64(count, run->batch ? run->batch : ESP_BATCH);

		for (uint32_t i = 0; i < n; i++)
			tell_published(run, b + i * seg, authentic);
		fixture_open(run->l, ME, b, n * seg, (uint16_t)seg, NULL, 0, &run->r);
		note_events(run);
		b += n * seg;
		count -= n;
	}
}

void run_deliver(struct run *run, const uint8_t *b, uint32_t seg, size_t count)
{
	deliver_all(run, b, seg, count, true);
}

void run_play(struct run *run, const struct tape *t, size_t from, size_t count)
{
	run_deliver(run, tape_at(t, from), t->seg, count);
}

/* Seals n <= 64 packets into the train. */
static void fill_train(struct run *run, unsigned n)
{
	struct fixture *l = run->l;
	uint8_t inner[FIXTURE_INNER_LEN];
	struct esp_out o = {.pkt = inner, .len = sizeof(inner)};

	fixture_inner(l, GW, inner, sizeof(inner), 0);
	esp_train_init(&l->train, l->out, sizeof(l->out));
	assert_int_equal(esp_route(l->path[GW], &o, l->now), ESP_ROUTE_SEAL);
	for (; n > 0; n--, o.at = 0) {
		number_plaintext(run, inner, sizeof(inner));
		assert_int_equal(esp_seal(l->path[GW], &o, &l->train, l->now), ESP_DONE);
	}
	esp_train_finish(l->path[GW], &l->train);
}

/* Shuffles n packets of seg bytes, each within its group of run->reorder. */
static void shuffle(struct run *run, uint8_t *b, uint32_t seg, unsigned n)
{
	uint8_t swap[FIXTURE_PKT_MAX];

	for (unsigned i = 0; i < n; i++) {
		unsigned group = i - i % run->reorder;
		unsigned k = i + (unsigned)fixture_below(&run->l->rng,
							 min_u64(n, group + run->reorder) - i);

		memcpy(swap, b + i * seg, seg);
		memmove(b + i * seg, b + k * seg, seg);
		memcpy(b + k * seg, swap, seg);
	}
}

void run_send(struct run *run, uint64_t count)
{
	struct fixture *l = run->l;

	while (count) {
		unsigned n = (unsigned)min_u64(count, ESP_BATCH), kept = 0;
		uint64_t first = fixture_sa(l, GW)->out.number + 1;
		uint32_t seg;

		fill_train(run, n);
		assert_int_equal(l->train.count, n);
		seg = l->train.seg;
		for (unsigned i = 0; i < n; i++, run->seen++) {
			uint8_t *p = l->out + i * seg;

			if (run->record)
				tape_add(&run->tape, p, seg);
			if (!run->pass || run->pass(run, first + i, p, seg))
				memmove(l->out + kept++ * seg, p, seg);
		}
		l->now += n * RUN_PACKET_TIME;
		if (run->reorder)
			shuffle(run, l->out, seg, kept);
		deliver_all(run, l->out, seg, kept, true);
		count -= n;
	}
}

void run_forge(struct run *run, uint64_t number_below, size_t count)
{
	struct fixture *l = run->l;
	uint8_t pkt[128];
	uint32_t len = esp_frame_len(fixture_sa(l, GW)->out.suite, FIXTURE_INNER_LEN);

	while (count--) {
		rng_fill(&l->rng.rng, pkt, len);
		put_be32(pkt, l->spi[ME]);
		put_be32(pkt + 4, (uint32_t)(1 + fixture_below(&l->rng, number_below)));
		deliver_all(run, pkt, len, 1, false);
	}
}

void run_set_number(struct run *run, uint64_t number)
{
	fixture_sa(run->l, GW)->out.number = number - 1;
}

void run_assert_calm(const struct run *run)
{
	if (run->switchovers)
		fail_msg("%s: induced by %s", run->name, criterion_name(run->why));
}

uint64_t run_rewind(struct run *run, uint64_t number, uint64_t limit)
{
	unsigned before = run->switchovers;
	uint64_t n = 0;

	run_set_number(run, number);
	while (n < limit && run->switchovers == before) {
		if (run->noise)
			run->noise(run);
		/* an adversary can cause hints, but no proof */
		if (run->switchovers != before)
			assert_true(run->why == CRITERION_COUNT || run->why == CRITERION_TIME);
		run_send(run, 1);
		n++;
	}
	if (run->switchovers == before)
		fail_msg("%s: back to %llu, not confirmed within %llu packets", run->name,
			 (unsigned long long)number, (unsigned long long)limit);
	if (!run->name)
		return n;
	printf("#     back to %llu: confirmed by %s after %llu packets (at most %llu)\n",
	       (unsigned long long)number, criterion_name(run->why), (unsigned long long)n,
	       (unsigned long long)limit);
	return n;
}

void run_assert_came(const struct run *run, uint64_t from, uint64_t to, uint64_t lost)
{
	uint64_t missing = 0, first = 0;

	for (uint64_t i = from; i < to; i++) {
		if (run->came[i])
			continue;
		if (missing++ == 0)
			first = i - from;
	}
	if (missing != lost)
		fail_msg("%s: %llu of %llu packets are lost, not %llu; the first is packet %llu",
			 run->name, (unsigned long long)missing, (unsigned long long)(to - from),
			 (unsigned long long)lost, (unsigned long long)first);
}

void run_bridged_rewind(struct run *run, uint64_t number, uint64_t count, uint64_t lost)
{
	uint64_t from = run->sealed, at_once = run->noise ? 8 : count;

	run_set_number(run, number);
	for (uint64_t sent = 0; sent < count; sent += at_once) {
		if (run->noise)
			run->noise(run);
		run_send(run, min_u64(at_once, count - sent));
	}
	run_assert_came(run, from, from + count, lost);
	assert_int_equal(run->twice, 0);
}

void run_reset(struct run *run)
{
	esp_sa_forget_evidence(fixture_sa(run->l, ME));
}
