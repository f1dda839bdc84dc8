/*
 * t_adversary.c - keyless adversaries (RECOVERY 6) against one path and its detector.
 * SPDX-License-Identifier: ISC
 *
 * Each induces nothing under `proof`, and while it is active a true rewind is confirmed in time.
 */
#include "esp_run.h"

#define MILLION 1000000

static struct lab_opt mode(enum detect_mode m)
{
	struct lab_opt o = LAB_OPT();

	o.detect.mode = m;
	return o;
}

static const enum detect_mode modes[] = {DETECT_PROOF, DETECT_PATTERN, DETECT_BOTH};

/* The first recorded packet 64 times. */
static void noise_one(struct run *run)
{
	for (unsigned i = 0; i < 64; i++)
		run_play(run, &run->tape, run->tape.count - 1, 1);
}

static void one_packet(enum detect_mode m, uint64_t later, const char *name)
{
	struct lab_opt o = mode(m);
	struct run run;
	uint8_t batch[64 * 128];
	uint32_t seg;

	run_init(&run, name, &o);
	run_send(&run, 1000);
	run.record = true;
	run_send(&run, 1);
	run.record = false;
	run_send(&run, later);
	seg = run.tape.seg;
	for (unsigned i = 0; i < 64; i++)
		memcpy(batch + i * seg, run.tape.b, seg);
	for (unsigned i = 0; i < MILLION / 64; i++) {
		run_deliver(&run, batch, seg, 64);
		run.l->now += NSEC_PER_MSEC;
	}
	run_assert_calm(&run);
	run.noise = noise_one;
	run_rewind(&run, 1001 + later - 500, m == DETECT_PATTERN ? 64 : 1);
	run_fini(&run);
}

static void test_one_packet_a_million_times(void **state)
{
	(void)state;
	one_packet(DETECT_PROOF, 10, "one packet a million times, in the window");
	one_packet(DETECT_PROOF, 100000, "one packet a million times, long past");
	one_packet(DETECT_PATTERN, 10, "the same in the window, pattern");
	one_packet(DETECT_PATTERN, 100000, "the same long past, pattern");
	one_packet(DETECT_BOTH, 100000, "the same long past, both");
}

static size_t played;

/* The recording goes on while the sender counts again. */
static void noise_recording(struct run *run)
{
	run_play(run, &run->tape, played, 64);
	played = (played + 64) % (run->tape.count - 64);
}

static void test_recording_while_silent(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i += 2) {
		struct lab_opt o = mode(modes[i]);
		struct run run;

		run_init(&run,
			 i ? "a minute's recording, silence, both"
			   : "a minute's recording, silence",
			 &o);
		run.record = true;
		run_send(&run, 60000);
		run.record = false;
		for (unsigned k = 0; k < 3; k++) {
			run_play(&run, &run.tape, 0, run.tape.count);
			run.l->now += 10 * NSEC_PER_SEC;
		}
		run_assert_calm(&run);
		played = 0;
		run.noise = noise_recording;
		run_rewind(&run, 30000, 32);
		run_fini(&run);
	}
}

/* Every tenth packet is kept back. */
static bool pass_nine_of_ten(struct run *run, uint64_t number, const uint8_t *pkt, uint32_t len)
{
	(void)number;
	if (run->seen % 10)
		return true;
	tape_add(&run->held, pkt, len);
	return false;
}

static void noise_release(struct run *run)
{
	if (played < run->held.count)
		run_play(run, &run->held, played++, 1);
}

static void withhold(uint64_t later, bool small, const char *name)
{
	struct lab_opt o = mode(DETECT_PROOF);
	struct run run;

	if (small) {
		o.window = 64;
		o.history_packets = 4096;
		o.sample = 8;
	}
	run_init(&run, name, &o);
	run.pass = pass_nine_of_ten;
	run_send(&run, 20000);
	run.pass = NULL;
	run_send(&run, later);
	run_play(&run, &run.held, 0, 1000);
	run_assert_calm(&run);
	played = 1000;
	run.noise = noise_release;
	/* the nine of ten that came are remembered as ever; a tenth of the samples is missing */
	run_rewind(&run, 20000 + later - 3000, 4 * o.sample);
	run_fini(&run);
}

static void test_withhold_and_release(void **state)
{
	(void)state;
	withhold(100, false, "withheld, released within the window");
	withhold(5000, false, "withheld, released after the window");
	withhold(100, true, "withheld, released after a window of 64");
	withhold(100000, true, "withheld, released many laps of all rings later");
}

/* A FRESH packet now and then: withheld before, so that it is right of the window. */
static bool pass_none(struct run *run, uint64_t number, const uint8_t *pkt, uint32_t len)
{
	(void)number;
	tape_add(&run->held, pkt, len);
	return false;
}

static void noise_fresh_now_and_then(struct run *run)
{
	if (run->seen % 4 == 0 && played < run->held.count)
		run_play(run, &run->held, played++, 1);
}

/* Numbers that nobody uses until they are let through: the sender is 1,000 ahead and then back. */
static void fresh_let_through(enum detect_mode m, uint64_t back, uint64_t limit, const char *name)
{
	struct lab_opt o = mode(m);
	struct run run;

	run_init(&run, name, &o);
	run.record = true;
	run_send(&run, 50000);
	run.record = false;
	run.pass = pass_none;
	run_send(&run, 1000);
	run.pass = NULL;
	/* replays in between, and a FRESH one now and then */
	for (played = 0; played < 100; played++) {
		run_play(&run, &run.held, played, 1);
		run_play(&run, &run.tape, played * 100, 60);
		run.l->now += NSEC_PER_SEC;
	}
	run_assert_calm(&run);
	run.noise = noise_fresh_now_and_then;
	run_rewind(&run, 50000 - back, limit);
	run_fini(&run);
}

static void test_fresh_let_through(void **state)
{
	(void)state;
	fresh_let_through(DETECT_PROOF, 500, 1, "a FRESH one let through now and then");
	fresh_let_through(DETECT_PROOF, 20000, 32, "the same, rewind beyond the window");
	fresh_let_through(DETECT_BOTH, 20000, 32, "the same, both");
}

static void noise_forged(struct run *run)
{
	run_forge(run, UINT32_MAX - 1, 20);
	run_forge(run, 100000, 20);
}

static void test_forged_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		static const char *const names[] = {"forged at any number", "the same, pattern",
						    "the same, both"};
		struct lab_opt o = mode(modes[i]);
		uint64_t before;
		struct run run;

		run_init(&run, names[i], &o);
		run_send(&run, 100000);
		before = lab_fingerprint(lab_sa(run.l, ME), true);
		run_forge(&run, UINT32_MAX - 1, 50000);
		run_forge(&run, 100000, 50000);
		run_forge(&run, 2000000, 20000);
		run_assert_calm(&run);
		assert_true(lab_fingerprint(lab_sa(run.l, ME), true) == before);
		run.noise = noise_forged;
		run_rewind(&run, 70000, modes[i] == DETECT_PATTERN ? 64 : 32);
		run_fini(&run);
	}
}

/* 1,000 packets at one instant for each of the sender's: any budget is spent. */
static void noise_flood_forged(struct run *run)
{
	run_forge(run, 99000, 1000);
}

static void noise_flood_replays(struct run *run)
{
	run_play(run, &run->tape, lab_below(&run->l->rng, run->tape.count - 1000), 1000);
}

static void flood(void (*noise)(struct run *), uint64_t back, uint64_t limit, const char *name)
{
	struct lab_opt o = mode(DETECT_PROOF);
	struct run run;

	o.detect.mode = DETECT_BOTH;
	o.history_packets = 1 << 16;
	o.verify_rate = 100;
	run_init(&run, name, &o);
	run.record = true;
	run_send(&run, 100000);
	run.record = false;
	for (unsigned i = 0; i < 20; i++)
		noise(&run);
	run_assert_calm(&run);
	run.noise = noise;
	run_rewind(&run, 100001 - back, limit);
	run_fini(&run);
}

static void test_floods_during_a_rewind(void **state)
{
	(void)state;
	flood(noise_flood_forged, 1000, 1, "flood of forged old numbers, rewind in the window");
	flood(noise_flood_forged, 50000, 32, "flood of forged old numbers, rewind beyond");
	flood(noise_flood_forged, 99000, 48, "flood of forged old numbers, rewind far beyond");
	flood(noise_flood_replays, 1000, 1, "flood of replays, rewind in the window");
	flood(noise_flood_replays, 50000, 32, "flood of replays, rewind beyond");
}

static bool pass_all_but_kth(struct run *run, uint64_t number, const uint8_t *pkt, uint32_t len)
{
	(void)run;
	(void)pkt;
	(void)len;
	return number % 8 != 5;
}

/*
 * The dropper knows k but not the phase: it blinds the recent ring with a chance of one in k (8
 * here, so that it shows). All SAs are to be told in the end, most within k packets.
 */
static void test_every_kth_dropped(void **state)
{
	enum { SAS = 64 };
	unsigned within = 0;

	(void)state;
	for (unsigned i = 0; i < SAS; i++) {
		struct lab_opt o = mode(DETECT_PROOF);
		struct run run;

		o.salt = 1000 + i;
		o.sample = 8;
		run_init(&run, i ? NULL : "every k-th number dropped, 64 SAs (this is the first)",
			 &o);
		run.pass = pass_all_but_kth;
		run_send(&run, 40000); /* the lifetime ring's step is 16 then */
		run_assert_calm(&run);
		within += run_rewind(&run, 10000, 30000) <= 8;
		run_fini(&run);
	}
	printf("# every k-th number dropped: %u of %u SAs told within k packets\n", within, SAS);
	assert_in_range(within, SAS / 8 * 5, SAS);
}

static void noise_poison(struct run *run)
{
	run_play(run, &run->held, 990, 1);
	run_play(run, &run->held, played++ % 900, 1);
}

/* `both`, beyond what the history reaches: withheld packets with high numbers come first. */
static void test_distinctness_poisoned(void **state)
{
	struct lab_opt o = mode(DETECT_BOTH);
	struct run run;

	(void)state;
	o.history_packets = 4096;
	run_init(&run, "distinctness window poisoned, both", &o);
	run.pass = pass_nine_of_ten;
	run_send(&run, 1000000);
	run.pass = NULL;
	run_send(&run, 10000);
	run_play(&run, &run.held, 98000, 1);
	run_assert_calm(&run);
	played = 0;
	run.noise = noise_poison;
	/* the adversary's own hints may bring it about sooner; they must not put it off */
	run_rewind(&run, 5000, 64 + 32);
	run_fini(&run);
}

/* A recording of `count` packets of a rewound sender, all of them REWOUND. */
static void record_rewound(struct run *run, uint64_t count)
{
	run_send(run, 5000);
	run->record = true;
	run->generation++;
	run_set_number(run, 5000 - count + 1);
	run_send(run, count);
	run->record = false;
	assert_int_equal(run->r.v[VERDICT_REWOUND], count);
	assert_int_equal(run->switchovers, 1);
	run_reset(run);
	run->switchovers = 0;
}

static void rewound_replayed(uint64_t count, const char *name)
{
	struct lab_opt o = mode(DETECT_PROOF);
	struct run run;

	run_init(&run, name, &o);
	record_rewound(&run, count);
	for (unsigned i = 0; i < 50; i++) {
		run_play(&run, &run.tape, 0, run.tape.count);
		run_reset(&run);
		run.l->now += NSEC_PER_SEC;
	}
	run_assert_calm(&run);
	run_rewind(&run, 4990, 1);
	run_fini(&run);
}

static void test_rewound_replayed(void **state)
{
	(void)state;
	rewound_replayed(1, "one REWOUND packet replayed");
	rewound_replayed(64, "64 REWOUND packets replayed");
}

/* A round trip at 10,000 packets a second leaves a recorder with hundreds of them. */
static void test_many_rewound_replayed(void **state)
{
	(void)state;
	rewound_replayed(1000, "1,000 REWOUND packets replayed");
}

/* The SA was replaced and has drained; nothing that a recorder plays shows a gateway that still
 * uses it. */
static void retired_replayed(uint64_t count, const char *name)
{
	struct lab_opt o = mode(DETECT_PROOF);
	struct run run;
	unsigned heard = 0;

	o.window = 8192; /* each REWOUND packet is one that the recorder can use */
	run_init(&run, name, &o);
	record_rewound(&run, count);
	sad_retire(&run.l->path[ME]->sad, lab_sa(run.l, ME), run.l->now + 5 * NSEC_PER_SEC);
	run.l->now += 5 * NSEC_PER_SEC;
	for (unsigned k = 0; k < 20; k++) {
		struct lab_result r = {0};

		for (size_t i = 0; i < run.tape.count; i++)
			lab_open(run.l, ME, tape_at(&run.tape, i), run.tape.seg, 0, NULL, 0, &r);
		heard += !!(lab_events(run.l, ME) & ESP_EVENT_RETIRED_HEARD);
		run.r.v[VERDICT_REWOUND] += r.v[VERDICT_REWOUND];
		run.l->now += NSEC_PER_SEC;
	}
	run_fini(&run);
	assert_int_equal(heard, 0);
}

static void test_rewound_replayed_on_retired(void **state)
{
	(void)state;
	retired_replayed(64, "64 REWOUND packets replayed on a RETIRED SA");
}

static void test_many_rewound_replayed_on_retired(void **state)
{
	(void)state;
	retired_replayed(1000, "1,000 REWOUND packets replayed on a RETIRED SA");
	retired_replayed(5000, "more of them than are remembered");
}

/*
 * Any recording of the old traffic, most of whose numbers only the recorder remembers, on a RETIRED
 * SA with the newest idle. One pass of it may be taken for a peer's; played for ever it must not
 * be.
 */
static void test_recording_on_retired(void **state)
{
	struct lab_opt o = mode(DETECT_PROOF);
	struct run run;
	unsigned heard = 0;

	(void)state;
	run_init(&run, "one old packet a second on a RETIRED SA", &o);
	run.record = true;
	run_send(&run, 20000);
	sad_retire(&run.l->path[ME]->sad, lab_sa(run.l, ME), run.l->now + 5 * NSEC_PER_SEC);
	run.l->now += 5 * NSEC_PER_SEC;
	lab_events(run.l, ME);
	for (unsigned i = 0; i < 55; i++) {
		lab_open(run.l, ME, tape_at(&run.tape, 3000 + i % 3), run.tape.seg, 0, NULL, 0,
			 &run.r);
		heard += !!(lab_events(run.l, ME) & ESP_EVENT_RETIRED_HEARD);
		run.l->now += NSEC_PER_SEC;
	}
	run_fini(&run);
	printf("#     the RETIRED SA was heard %u times\n", heard);
	assert_in_range(heard, 0, 3);
}

static void noise_epoch(struct run *run)
{
	run_play(run, &run->tape, lab_below(&run->l->rng, run->tape.count), 1);
}

/* The low numbers of the epoch before, right of the window of this one: each looks new at first. */
static void test_previous_epoch(void **state)
{
	static const struct {
		const char *name;
		uint64_t to, limit;
	} t[] = {
		{"packets of the previous ESN epoch, rewind by 1", (1ULL << 32) + 99, 1},
		{"the same, rewind in the window over 2^32", (1ULL << 32) - 700, 1},
		{"the same, rewind beyond it over 2^32", (1ULL << 32) - 5000, 32},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct lab_opt o = mode(DETECT_PROOF);
		struct run run;

		o.esn = true;
		run_init(&run, t[i].name, &o);
		run.record = true;
		run_send(&run, 60000);
		run.record = false;
		run_set_number(&run, (1ULL << 32) - 20000);
		run_send(&run, 20100); /* to 2^32 + 99 */
		assert_true(lab_sa(run.l, ME)->in.window.top == (1ULL << 32) + 99);
		assert_int_equal(run.r.v[VERDICT_FRESH], 80100);
		run_play(&run, &run.tape, 0, run.tape.count);
		run_play(&run, &run.tape, 0, run.tape.count);
		assert_int_equal(run.r.v[VERDICT_FRESH], 80100);
		assert_int_equal(run.r.v[VERDICT_REWOUND], 0);
		run_assert_calm(&run);
		run.noise = noise_epoch;
		run_rewind(&run, t[i].to, t[i].limit);
		run_fini(&run);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_packet_a_million_times),
		cmocka_unit_test(test_recording_while_silent),
		cmocka_unit_test(test_withhold_and_release),
		cmocka_unit_test(test_fresh_let_through),
		cmocka_unit_test(test_forged_anywhere),
		cmocka_unit_test(test_floods_during_a_rewind),
		cmocka_unit_test(test_every_kth_dropped),
		cmocka_unit_test(test_distinctness_poisoned),
		cmocka_unit_test(test_rewound_replayed),
		cmocka_unit_test(test_many_rewound_replayed),
		cmocka_unit_test(test_rewound_replayed_on_retired),
		cmocka_unit_test(test_many_rewound_replayed_on_retired),
		cmocka_unit_test(test_recording_on_retired),
		cmocka_unit_test(test_previous_epoch),
	};

	lab_seed();
	run_print_header();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
