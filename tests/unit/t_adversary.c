/*
 * t_adversary.c - keyless adversaries (doc/recovery.md 6) against one path and its detector.
 * SPDX-License-Identifier: ISC
 *
 * No adversary confirms a switchover under `proof`; while it is active, a true rewind is confirmed
 * in time.
 */
#include "esp_run.h"

#define MILLION 1000000

static struct fixture_opt mode(enum detect_mode m)
{
	struct fixture_opt o = FIXTURE_OPT();

	o.detect.mode = m;
	return o;
}

/*
 * A true rewind while the adversary is active: it must be confirmed by proof, and all packets but
 * `lost` be delivered.
 */
static void rewind_in_full(struct run *run, uint64_t number, uint64_t count, uint64_t lost)
{
	assert_int_equal(run->switchovers, 0);
	run_bridged_rewind(run, number, count, lost);
	assert_int_equal(run->switchovers, 1);
	assert_string_equal(criterion_name(run->why), "proof");
	if (!run->name)
		return;
	printf("#     back to %llu: %llu packets, all delivered but %llu\n",
	       (unsigned long long)number, (unsigned long long)count, (unsigned long long)lost);
}

/* Opens the bridge with a rewind by 100, and drops the evidence. */
static void open_bridge(struct run *run)
{
	run_set_number(run, fixture_sa(run->l, GW)->out.number - 99);
	run_send(run, 200);
	assert_true(fixture_sa(run->l, ME)->in.bridge.open);
	assert_int_equal(run->switchovers, 1);
	run_reset(run);
	run->switchovers = 0;
}

/* Replays the recorded packet 64 times. */
static void noise_one(struct run *run)
{
	for (unsigned i = 0; i < 64; i++)
		run_play(run, &run->tape, run->tape.count - 1, 1);
}

static void one_packet(enum detect_mode m, uint64_t later, bool open, const char *name)
{
	struct fixture_opt o = mode(m);
	struct run run;
	uint8_t batch[64 * 128];
	uint32_t seg;

	run_init(&run, name, &o);
	run_send(&run, 900);
	if (open)
		open_bridge(&run);
	run_send(&run, open ? 0 : 100);
	run.record = true;
	run_send(&run, 1); /* number 1,001 */
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
	if (m == DETECT_PATTERN)
		run_rewind(&run, 1001 + later - 500, 64);
	else
		rewind_in_full(&run, 1001 + later - (open ? later - 10 : 500), later + 300, 0);
	run_fini(&run);
}

/* One recorded packet is replayed a million times, left of the window or within it; then the sender
 * rewinds. */
static void test_one_packet_a_million_times(void **state)
{
	(void)state;
	one_packet(DETECT_PROOF, 10, false, "one packet a million times, in the window");
	one_packet(DETECT_PROOF, 20000, false, "one packet a million times, long past");
	one_packet(DETECT_PROOF, 20000, true, "the same, the bridge open before");
	one_packet(DETECT_PATTERN, 10, false, "the same in the window, pattern");
	one_packet(DETECT_PATTERN, 20000, false, "the same long past, pattern");
	one_packet(DETECT_BOTH, 20000, false, "the same long past, both");
	one_packet(DETECT_BOTH, 20000, true, "the same long past, both, the bridge open before");
}

static size_t played;

/* Replays the next 64 packets of the recording. */
static void noise_recording(struct run *run)
{
	run_play(run, &run->tape, played, 64);
	played = (played + 64) % (run->tape.count - 64);
}

static void recording(enum detect_mode m, bool open, const char *name)
{
	struct fixture_opt o = mode(m);
	struct run run;

	run_init(&run, name, &o);
	run.record = true;
	if (open) {
		run_send(&run, 2000);
		open_bridge(&run);
	}
	run_send(&run, 60000 - fixture_sa(run.l, GW)->out.number);
	run.record = false;
	for (unsigned k = 0; k < 3; k++) {
		run_play(&run, &run.tape, 0, run.tape.count);
		run.l->now += 10 * NSEC_PER_SEC;
	}
	run_assert_calm(&run);
	played = 0;
	run.noise = noise_recording;
	rewind_in_full(&run, 30001, 35000, 0);
	run_fini(&run);
}

/* A recording of all traffic is replayed three times while the sender is silent, and again while it
 * rewinds. */
static void test_recording_while_silent(void **state)
{
	(void)state;
	recording(DETECT_PROOF, false, "a minute's recording, silence");
	recording(DETECT_PROOF, true, "the same, the bridge open before");
	recording(DETECT_BOTH, false, "a minute's recording, silence, both");
	recording(DETECT_BOTH, true, "the same, both, the bridge open before");
}

/* Withholds every tenth packet. */
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
	struct fixture_opt o = mode(DETECT_PROOF);
	struct run run;

	if (small) {
		o.window = 64;
		o.history_packets = 4096;
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
	/* the rewound sender uses numbers that are 2 mod 10, which the first lap delivered, long
	 * before those released */
	rewind_in_full(&run, 20002 + later - 3000, 3200, 0);
	run_play(&run, &run.held, 0, run.held.count); /* and after the rewind, all withheld
						       * packets */
	run_fini(&run);
}

/* Withheld packets are released in and beyond the window, before, during and
after a rewind. */
static void test_withhold_and_release(void **state)
{
	(void)state;
	withhold(100, false, "withheld, released within the window");
	withhold(5000, false, "withheld, released after the window");
	withhold(100, true, "withheld, released after a window of 64");
	withhold(100000, true, "withheld, released many laps of all rings later");
}

static uint64_t released;

/* Releases withheld packets whose numbers are `ahead` to `ahead` + 7 from the sender's next
 * number. */
static void release_around(struct run *run, int64_t ahead)
{
	uint64_t next = fixture_sa(run->l, GW)->out.number + 1;

	for (size_t i = 0; i < run->held.count; i++) {
		uint64_t n = get_be32(tape_at(&run->held, i) + 4);
		uint64_t before = run->delivered;

		if (n < next + (uint64_t)ahead || n >= next + (uint64_t)ahead + 8)
			continue;
		run_play(run, &run->held, i, 1);
		released += run->delivered - before;
	}
}

static void noise_ahead(struct run *run)
{
	release_around(run, 0);
}

static void noise_behind(struct run *run)
{
	release_around(run, -8);
}

static void noise_far_ahead(struct run *run)
{
	release_around(run, 500);
}

/*
 * Withheld packets of the first lap are released into an open bridge. Of two packets with a number
 * that the first lap did not deliver, the first to arrive is delivered, and the other one is not.
 */
static void release_into_bridge(void (*noise)(struct run *), bool takes, const char *name)
{
	struct fixture_opt o = mode(DETECT_PROOF);
	struct run run;

	run_init(&run, name, &o);
	run.pass = pass_nine_of_ten;
	run_send(&run, 20000);
	run.pass = NULL;
	run_send(&run, 5000);
	run_set_number(&run, 10000);
	run_send(&run, 2); /* opens the bridge */
	run_reset(&run);
	run.switchovers = 0;
	run.noise = noise;
	released = 0;
	run_set_number(&run, 10002);
	for (unsigned i = 0; i < 1000; i++) {
		noise(&run);
		run_send(&run, 8);
	}
	printf("#     %llu withheld packets took a place in the bridge\n",
	       (unsigned long long)released);
	assert_int_equal(released > 0, takes);
	run_send(&run, 600); /* beyond all that was released ahead */
	run_assert_came(&run, run.sealed - 8600, run.sealed, released);
	run_fini(&run);
}

/* Released just behind the sender, just before it, and 500 numbers ahead. */
static void test_release_into_an_open_bridge(void **state)
{
	(void)state;
	release_into_bridge(noise_behind, false, "withheld, released behind a rewound sender");
	release_into_bridge(noise_ahead, true, "withheld, released before a rewound sender");
	release_into_bridge(noise_far_ahead, true, "the same, 500 ahead");
}

/* The adversary withholds packets of the second lap, and releases them twice. */
static void test_withhold_the_second_lap(void **state)
{
	struct fixture_opt o = mode(DETECT_PROOF);
	struct run run;
	uint64_t lost;

	(void)state;
	run_init(&run, "packets of the second lap withheld, released twice", &o);
	run_send(&run, 20000);
	run.pass = pass_nine_of_ten;
	run_set_number(&run, 10001);
	run_send(&run, 5000);
	run.pass = NULL;
	/* packets at most the window's size behind still have an empty place in the bridge; older
	 * ones are lost */
	run_play(&run, &run.held, 0, run.held.count);
	run_play(&run, &run.held, 0, run.held.count);
	lost = (5000 - 1024) / 10;
	assert_in_range(run.sealed - run.delivered, lost - 1, lost + 1);
	run_send(&run, 6000);
	run_play(&run, &run.held, 0, run.held.count);
	assert_in_range(run.sealed - run.delivered, lost - 1, lost + 1);
	run_fini(&run);
}

/* Withholds every packet. Their numbers stay right of the window, so that each is FRESH when
 * released. */
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

/* Withheld packets, FRESH when released, reset the detector now and then: neither the replays
 * between them nor they confirm anything, and a rewind is still confirmed. */
static void fresh_let_through(enum detect_mode m, uint64_t back, const char *name)
{
	struct fixture_opt o = mode(m);
	struct run run;

	run_init(&run, name, &o);
	run.record = true;
	run_send(&run, 50000);
	run.record = false;
	run.pass = pass_none;
	run_send(&run, 1000);
	run.pass = NULL;
	/* one FRESH packet per 60 replays */
	for (played = 0; played < 100; played++) {
		run_play(&run, &run.held, played, 1);
		run_play(&run, &run.tape, played * 100, 60);
		run.l->now += NSEC_PER_SEC;
	}
	run_assert_calm(&run);
	run.noise = noise_fresh_now_and_then;
	rewind_in_full(&run, 50000 - back, back + 600, 0);
	run_fini(&run);
}

/* Rewinds within the window and beyond it, under `proof` and `both`. */
static void test_fresh_let_through(void **state)
{
	(void)state;
	fresh_let_through(DETECT_PROOF, 500, "a FRESH one let through now and then");
	fresh_let_through(DETECT_PROOF, 20000, "the same, rewind beyond the window");
	fresh_let_through(DETECT_BOTH, 20000, "the same, both");
}

/* Forged packets with any number change nothing: neither the SA's state nor its counters. */
static void forge_in_vain(struct run *run, uint64_t number_below, size_t count)
{
	const struct esp_sa *sa = fixture_sa(run->l, ME);
	uint64_t before = fixture_fingerprint(sa, true), missed = sa->in.missed;
	uint64_t bridged = sa->in.bridged;

	run_forge(run, number_below, count);
	assert_true(fixture_fingerprint(sa, true) == before);
	assert_true(sa->in.missed == missed && sa->in.bridged == bridged);
}

static void noise_forged(struct run *run)
{
	forge_in_vain(run, UINT32_MAX - 1, 20);
	forge_in_vain(run, 60000, 20);
}

static void forged_anywhere(enum detect_mode m, bool open, const char *name)
{
	struct fixture_opt o = mode(m);
	struct run run;

	run_init(&run, name, &o);
	run_send(&run, 10000);
	if (open)
		open_bridge(&run);
	run_send(&run, 60000 - fixture_sa(run.l, GW)->out.number);
	forge_in_vain(&run, UINT32_MAX - 1, 50000);
	forge_in_vain(&run, 60000, 50000);
	forge_in_vain(&run, 2000000, 20000);
	run_assert_calm(&run);
	run.noise = noise_forged;
	if (m == DETECT_PATTERN)
		run_rewind(&run, 50000, 64);
	else
		rewind_in_full(&run, 50000, 10500, 0);
	run_fini(&run);
}

/* Forged packets with any number, before and during a rewind. */
static void test_forged_anywhere(void **state)
{
	(void)state;
	forged_anywhere(DETECT_PROOF, false, "forged at any number");
	forged_anywhere(DETECT_PROOF, true, "the same, the bridge open before");
	forged_anywhere(DETECT_PATTERN, false, "the same, pattern");
	forged_anywhere(DETECT_BOTH, false, "the same, both");
	forged_anywhere(DETECT_BOTH, true, "the same, both, the bridge open before");
}

/* 1,000 forged packets at one instant, enough to use up verify_rate. */
static void noise_flood_forged(struct run *run)
{
	run_forge(run, 99000, 1000);
}

static void noise_flood_replays(struct run *run)
{
	run_play(run, &run->tape, fixture_below(&run->l->rng, run->tape.count - 1000), 1000);
}

/* Replays of the last 50,000 packets only: under `both`, older ones are hints. */
static void noise_flood_late_replays(struct run *run)
{
	run_play(run, &run->tape, 50000 + fixture_below(&run->l->rng, 49000), 1000);
}

static void flood(void (*noise)(struct run *), enum detect_mode m, uint64_t back, const char *name)
{
	struct fixture_opt o = mode(m);
	struct run run;

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
	if (back > o.history_packets)
		run_rewind(&run, 100001 - back, 48);
	else
		rewind_in_full(&run, 100001 - back, min_u64(back, 2000) + 100, 0);
	run_fini(&run);
}

/* A flood of forged packets or replays, with verify_rate = 100, does not
hide a rewind. */
static void test_floods_during_a_rewind(void **state)
{
	(void)state;
	flood(noise_flood_forged, DETECT_BOTH, 1000, "forged old numbers, rewind in the window");
	flood(noise_flood_forged, DETECT_BOTH, 50000, "flood of forged old numbers, beyond it");
	flood(noise_flood_forged, DETECT_BOTH, 99000, "flood of forged old numbers, far beyond");
	flood(noise_flood_replays, DETECT_PROOF, 1000, "flood of replays, rewind in the window");
	flood(noise_flood_replays, DETECT_PROOF, 50000, "flood of replays, rewind beyond");
	flood(noise_flood_late_replays, DETECT_BOTH, 1000, "the same, both, in the window");
	flood(noise_flood_late_replays, DETECT_BOTH, 50000, "the same, both, beyond");
}

static bool pass_all_but_kth(struct run *run, uint64_t number, const uint8_t *pkt, uint32_t len)
{
	(void)run;
	(void)pkt;
	(void)len;
	return number % 8 != 5;
}

/* Dropping every 8th number hides no rewind within reach: the other numbers are all remembered. */
static void test_every_kth_dropped(void **state)
{
	struct fixture_opt o = mode(DETECT_PROOF);
	struct run run;

	(void)state;
	run_init(&run, "every k-th number dropped", &o);
	run.pass = pass_all_but_kth;
	run_send(&run, 40000);
	run.pass = NULL;
	run_assert_calm(&run);
	rewind_in_full(&run, 10005, 30000, 0); /* the first number was not received: the packet is
						* parked */
	run_fini(&run);
}

/*
 * Beyond reach, an adversary that drops every k-th number hits the lifetime entries with a chance
 * of 1 in k, as their phase is secret (k is 8 here, so that it happens). All 64 rewinds must be
 * confirmed, most of them within one step.
 */
static void test_every_kth_dropped_beyond_reach(void **state)
{
	enum { SAS = 64, STEP = 16 };
	unsigned within = 0;

	(void)state;
	for (unsigned i = 0; i < SAS; i++) {
		struct fixture_opt o = mode(DETECT_PROOF);
		struct run run;

		o.salt = 1000 + i;
		o.history_packets = 1024;
		run_init(&run, i ? NULL : "the same beyond reach, 64 SAs (this is the first)", &o);
		run.pass = pass_all_but_kth;
		run_send(&run, 40000); /* the step of the lifetime entries is now 16 */
		run_assert_calm(&run);
		within += run_rewind(&run, 10000, 30000) <= STEP;
		run_fini(&run);
	}
	printf("# every k-th number dropped: %u of %u SAs told within a step\n", within, SAS);
	assert_in_range(within, SAS / 8 * 5, SAS);
}

static void noise_poison(struct run *run)
{
	run_play(run, &run->held, 990, 1);
	run_play(run, &run->held, played++ % 900, 1);
}

/* Under `both`, beyond the reach of the history, released packets with high numbers do not delay
 * the confirmation. */
static void test_distinctness_poisoned(void **state)
{
	struct fixture_opt o = mode(DETECT_BOTH);
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
	/* the adversary's own hints may confirm sooner, but must not delay it */
	run_rewind(&run, 5000, 64 + 32);
	run_fini(&run);
}

/* Records `count` packets of a rewound sender, all BRIDGED. */
static void record_bridged(struct run *run, uint64_t count)
{
	run_send(run, 4500 + count);
	run->record = true;
	run_set_number(run, 4001);
	run_send(run, count);
	run->record = false;
	assert_int_equal(run->r.v[VERDICT_BRIDGED], count);
	assert_int_equal(run->delivered, run->sealed);
	assert_int_equal(run->switchovers, 1);
}

/* Replays of BRIDGED packets are no new evidence; when the sender continues, it is confirmed, and
 * nothing is lost. */
static void bridged_replayed(uint64_t count, const char *name)
{
	struct fixture_opt o = mode(DETECT_PROOF);
	struct run run;

	run_init(&run, name, &o);
	record_bridged(&run, count);
	run_reset(&run);
	run.switchovers = 0;
	for (unsigned i = 0; i < 50; i++) {
		run_play(&run, &run.tape, 0, run.tape.count);
		run.l->now += NSEC_PER_SEC;
	}
	run_assert_calm(&run);
	rewind_in_full(&run, 4001 + count, 700, 0);
	run_fini(&run);
}

/* With 1, 64 and 1,000 BRIDGED packets, fewer than the detector remembers. */
static void test_bridged_replayed(void **state)
{
	(void)state;
	bridged_replayed(1, "one BRIDGED packet replayed");
	bridged_replayed(64, "64 BRIDGED packets replayed");
	/* at 10,000 packets/s, a recorder gets hundreds of packets per round trip */
	bridged_replayed(1000, "1,000 BRIDGED packets replayed");
}

/* More packets than the detector remembers: their places in the bridge are taken, or left of it. */
static void test_very_many_bridged_replayed(void **state)
{
	(void)state;
	bridged_replayed(5000, "5,000 BRIDGED packets replayed");
}

/* Replays of BRIDGED packets are not counted in `missed`. */
static void test_replays_are_no_loss(void **state)
{
	struct fixture_opt o = mode(DETECT_PROOF);
	struct run run;

	(void)state;
	run_init(&run, "BRIDGED packets replayed while CONFIRMED", &o);
	record_bridged(&run, 5000);
	run_play(&run, &run.tape, 0, run.tape.count);
	assert_int_equal(run.switchovers, 1);
	assert_int_equal(fixture_sa(run.l, ME)->in.bridged, 5000);
	assert_int_equal(fixture_sa(run.l, ME)->in.missed, 0);
	run_fini(&run);
}

/* Without a bridge, replays of REWOUND packets confirm nothing after the evidence is dropped. */
static void rewound_replayed(uint64_t count, const char *name)
{
	struct fixture_opt o = mode(DETECT_PROOF);
	struct run run;

	o.no_bridge = true;
	run_init(&run, name, &o);
	run_send(&run, 5000);
	run.record = true;
	run_set_number(&run, 5000 - count + 1);
	run_send(&run, count);
	run.record = false;
	assert_int_equal(run.r.v[VERDICT_REWOUND], count);
	assert_int_equal(run.switchovers, 1);
	for (unsigned i = 0; i < 50; i++) {
		run_reset(&run);
		run.switchovers = 0;
		run_play(&run, &run.tape, 0, run.tape.count);
		run_assert_calm(&run);
		run.l->now += NSEC_PER_SEC;
	}
	run_rewind(&run, 4990, 1);
	run_fini(&run);
}

/* With 1, 64 and 1,000 REWOUND packets. */
static void test_rewound_replayed(void **state)
{
	(void)state;
	rewound_replayed(1, "one REWOUND packet replayed, no bridge");
	rewound_replayed(64, "64 REWOUND packets replayed, no bridge");
	rewound_replayed(1000, "1,000 REWOUND packets replayed, no bridge");
}

/* On a RETIRED SA after its drain, replays must not look like a gateway that still uses it. */
static void retired_replayed(uint64_t count, bool no_bridge, const char *name)
{
	struct fixture_opt o = mode(DETECT_PROOF);
	struct run run;
	unsigned heard = 0;

	o.no_bridge = no_bridge;
	o.window = 8192; /* all recorded numbers are within the window */
	run_init(&run, name, &o);
	run_send(&run, 4500 + count);
	run.record = true;
	run_set_number(&run, 4001);
	run_send(&run, count);
	sad_retire(&run.l->path[ME]->sad, fixture_sa(run.l, ME), run.l->now + 5 * NSEC_PER_SEC);
	if (!no_bridge)
		run_send(&run, 100); /* within the drain, packets are still BRIDGED */
	assert_int_equal(run.r.v[VERDICT_BRIDGED], no_bridge ? 0 : run.tape.count);
	run.l->now += 5 * NSEC_PER_SEC;
	fixture_events(run.l, ME);
	for (unsigned k = 0; k < 20; k++) {
		for (size_t i = 0; i < run.tape.count; i++)
			fixture_open(run.l, ME, tape_at(&run.tape, i), run.tape.seg, 0, NULL, 0,
				     &run.r);
		heard += !!(fixture_events(run.l, ME) & ESP_EVENT_RETIRED_HEARD);
		run.l->now += NSEC_PER_SEC;
	}
	run_fini(&run);
	assert_int_equal(heard, 0);
}

/* With REWOUND packets, in the end more than the detector remembers. */
static void test_rewound_replayed_on_retired(void **state)
{
	(void)state;
	retired_replayed(64, true, "64 REWOUND packets replayed on a RETIRED SA");
	retired_replayed(1000, true, "1,000 REWOUND packets replayed on a RETIRED SA");
	retired_replayed(5000, true, "more of them than are remembered");
}

/* The same with BRIDGED packets. */
static void test_bridged_replayed_on_retired(void **state)
{
	(void)state;
	retired_replayed(64, false, "64 BRIDGED packets replayed on a RETIRED SA");
	retired_replayed(1000, false, "1,000 BRIDGED packets replayed on a RETIRED SA");
	retired_replayed(5000, false, "more of them than are remembered");
}

/*
 * Three recorded packets are replayed in turn on a RETIRED SA, one packet per second: they may be
 * taken for the peer's traffic at most three times.
 */
static void test_recording_on_retired(void **state)
{
	struct fixture_opt o = mode(DETECT_PROOF);
	struct run run;
	unsigned heard = 0;

	(void)state;
	run_init(&run, "one old packet a second on a RETIRED SA", &o);
	run.record = true;
	run_send(&run, 20000);
	sad_retire(&run.l->path[ME]->sad, fixture_sa(run.l, ME), run.l->now + 5 * NSEC_PER_SEC);
	run.l->now += 5 * NSEC_PER_SEC;
	fixture_events(run.l, ME);
	for (unsigned i = 0; i < 55; i++) {
		fixture_open(run.l, ME, tape_at(&run.tape, 3000 + i % 3), run.tape.seg, 0, NULL, 0,
			     &run.r);
		heard += !!(fixture_events(run.l, ME) & ESP_EVENT_RETIRED_HEARD);
		run.l->now += NSEC_PER_SEC;
	}
	run_fini(&run);
	printf("#     the RETIRED SA was heard %u times\n", heard);
	assert_in_range(heard, 0, 3);
}

static void noise_epoch(struct run *run)
{
	run_play(run, &run->tape, fixture_below(&run->l->rng, run->tape.count), 1);
}

/* Packets of the previous ESN epoch are right of the window by their low numbers, and look new at
 * first: they are neither FRESH nor REWOUND, and a rewind is still confirmed. */
static void test_previous_epoch(void **state)
{
	static const struct {
		const char *name;
		uint64_t to;
	} t[] = {
		{"packets of the previous ESN epoch, rewind by 1", (1ULL << 32) + 99},
		{"the same, rewind in the window over 2^32", (1ULL << 32) - 700},
		{"the same, rewind beyond it over 2^32", (1ULL << 32) - 5000},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct fixture_opt o = mode(DETECT_PROOF);
		struct run run;

		o.esn = true;
		run_init(&run, t[i].name, &o);
		run.record = true;
		run_send(&run, 60000);
		run.record = false;
		run_set_number(&run, (1ULL << 32) - 20000);
		run_send(&run, 20100); /* up to 2^32 + 99 */
		assert_true(fixture_sa(run.l, ME)->in.window.top == (1ULL << 32) + 99);
		assert_int_equal(run.r.v[VERDICT_FRESH], 80100);
		run_play(&run, &run.tape, 0, run.tape.count);
		run_play(&run, &run.tape, 0, run.tape.count);
		assert_int_equal(run.r.v[VERDICT_FRESH], 80100);
		assert_int_equal(run.r.v[VERDICT_REWOUND], 0);
		run_assert_calm(&run);
		run.noise = noise_epoch;
		rewind_in_full(&run, t[i].to, 6000, 0);
		run_fini(&run);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_packet_a_million_times),
		cmocka_unit_test(test_recording_while_silent),
		cmocka_unit_test(test_withhold_and_release),
		cmocka_unit_test(test_release_into_an_open_bridge),
		cmocka_unit_test(test_withhold_the_second_lap),
		cmocka_unit_test(test_fresh_let_through),
		cmocka_unit_test(test_forged_anywhere),
		cmocka_unit_test(test_floods_during_a_rewind),
		cmocka_unit_test(test_every_kth_dropped),
		cmocka_unit_test(test_every_kth_dropped_beyond_reach),
		cmocka_unit_test(test_distinctness_poisoned),
		cmocka_unit_test(test_rewound_replayed),
		cmocka_unit_test(test_bridged_replayed),
		cmocka_unit_test(test_very_many_bridged_replayed),
		cmocka_unit_test(test_replays_are_no_loss),
		cmocka_unit_test(test_rewound_replayed_on_retired),
		cmocka_unit_test(test_bridged_replayed_on_retired),
		cmocka_unit_test(test_recording_on_retired),
		cmocka_unit_test(test_previous_epoch),
	};

	fixture_seed();
	fixture_fastest();
	run_print_header();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
