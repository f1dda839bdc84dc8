/* t_data_out.c - the loop from TUN to UDP, with a simulated kernel. SPDX-License-Identifier: ISC */
#include "data_fixture.h"
#include "xalloc.h"

#define TO(...) (&(struct shape){__VA_ARGS__})

static bool reads_tun(void)
{
	return event_pending(dl->d.devices.all[0]->readable, EV_READ, NULL) && !dl->d.out.parked;
}

/* Asserts that the peers deliver these packets, in this order. */
static void assert_delivered(const struct records *want)
{
	struct records got = {0};

	dl_open_wire(&got);
	assert_records(&got, want);
	records_clear(&got);
	dl_assert_numbers();
}

/* Queues a packet in TUN, and expects it at the peer. */
static void put(struct records *want, const struct shape *s)
{
	dl_tun(s);
	dl_expect(want, s, 0);
}

static void put_super(struct records *want, const struct shape *s, uint16_t mss)
{
	dl_tun_super(s, mss);
	dl_expect(want, s, mss);
}

static void script(const struct answer *a, unsigned n)
{
	dl->script = a;
	dl->script_len = n;
}
#define SCRIPT(...)                                  \
	script((const struct answer[]){__VA_ARGS__}, \
	       sizeof((const struct answer[]){__VA_ARGS__}) / sizeof(struct answer))

/* ---- which packets form a train ---- */

/* One packet is sent alone, and counted. */
static void test_single(void **state)
{
	struct records want = {0};

	(void)state;
	put(&want, TO(.flow = 1, .payload = 100));
	dl_loop();
	assert_int_equal(dl->sends, 1);
	assert_int_equal(dl->wire.n, 1);
	assert_int_equal(dl->wire.v[0].len, dl->wire.v[0].seg); /* nothing to segment */
	assert_int_equal(dl->d.io.tx_sends, 1);
	assert_int_equal(dl->d.io.tx_datagrams, 1);
	assert_int_equal(dl->d.io.tx_bytes, dl->wire.v[0].len);
	assert_delivered(&want);
	records_clear(&want);
}

/* Alternating packets to eight destinations fill eight trains. */
static void test_eight_destinations(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3 * TRAINS; i++)
		dl_tun(TO(.peer = i % TRAINS, .flow = 1, .at = i, .payload = 200));
	dl_loop();
	assert_int_equal(dl->sends, TRAINS);
	for (unsigned i = 0; i < TRAINS; i++) {
		assert_int_equal(dl_sent_by(i), 3);
		assert_true(endpoint_eq(&dl->wire.v[3 * i].remote, &dl->there[i]));
	}
	dl_assert_numbers();
}

/* With all trains in use, the oldest is sent to make one free. */
static void test_ninth_destination(void **state)
{
	(void)state;
	for (unsigned i = 0; i < TRAINS; i++)
		dl_tun(TO(.peer = i, .flow = 1, .payload = 200));
	dl_tun(TO(.peer = 0, .flow = 1, .at = 1, .payload = 200));
	dl_tun(TO(.peer = TRAINS, .flow = 1, .payload = 200));
	dl_tun(TO(.peer = 0, .flow = 1, .at = 2, .payload = 200));
	dl_loop();
	/* the ninth destination takes the first train's slot, then the first destination the second
	 * one's */
	assert_int_equal(dl->sends, TRAINS + 2);
	assert_int_equal(dl_sent_by(0), 2);
	for (unsigned i = 0; i < TRAINS; i++)
		assert_true(endpoint_eq(&dl->wire.v[i + 1].remote, &dl->there[i]));
	assert_true(endpoint_eq(&dl->wire.v[TRAINS + 1].remote, &dl->there[TRAINS]));
	assert_true(endpoint_eq(&dl->wire.v[TRAINS + 2].remote, &dl->there[0]));
	dl_assert_numbers();
}

/* Each traffic class of a destination has a train of its own. */
static void test_classes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 6; i++)
		dl_tun(TO(.flow = i % 2, .tos = i % 2 ? 0xb8 : 0, .at = i, .payload = 200));
	dl_loop();
	assert_int_equal(dl->sends, 2);
	assert_int_equal(dl_sent_by(0), 3);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(dl->wire.v[i].tos, i < 3 ? 0 : 0xb8);
	dl_assert_numbers();
}

/*
 * Trains of several classes of one SA fill at the same time. The packets that wait in the first
 * train must not fall out of the peer's anti-replay window.
 */
static void test_classes_and_the_window(void **state)
{
	struct records got = {0};

	(void)state;
	dl_tun(TO(.flow = 1, .payload = 100));
	for (uint8_t n = 1; n < TRAINS - 1; n++)
		dl_tun_super(
			TO(.flow = n, .tcp = true, .tos = (uint8_t)(n << 2), .payload = 60 * 48),
			48);
	dl_tun(TO(.flow = 1, .at = 100, .payload = 100));
	dl_turn();
	dl_open_wire(&got); /* each must be FRESH */
	assert_int_equal(got.n, 2 + (TRAINS - 2) * 60);
	dl_assert_numbers();
	records_clear(&got);
}

/*
 * Classes with few packets beside one with many share one SA's numbers: what waits in a train must
 * not fall out of the peer's anti-replay window.
 */
static void test_classes_and_windows(void **state)
{
	struct shape bulk = {.tcp = true, .flow = 1, .payload = 40 * 100};
	struct records got = {0};

	(void)state;
	for (unsigned i = 0; i < 4; i++, bulk.at += bulk.payload) {
		dl_tun_super(&bulk, 100);
		dl_tun(TO(.flow = 2, .tos = 0xb8, .at = i, .payload = 100));
	}
	for (unsigned i = 0; i < 50; i++)
		dl_tun(TO(.flow = 3 + i % 2, .tos = i % 2 ? 0x48 : 0x28, .at = i, .payload = 300));
	dl_loop();
	/* dl_open_wire requires that each packet is FRESH */
	dl_open_wire(&got);
	assert_int_equal(got.n, 4 * 41 + 50);
	/* still not one send per packet */
	assert_in_range(dl->sends, 8, 8 + 50 / 6);
	dl_assert_numbers();
	records_clear(&got);
}

/* All trains belong to classes of one destination, and all must be sent before a ninth class. */
static void test_nine_classes(void **state)
{
	struct records got = {0};

	(void)state;
	for (unsigned i = 0; i < TRAINS; i++)
		dl_tun(TO(.flow = 1, .tos = (uint8_t)(i << 2), .at = i, .payload = 100));
	dl_tun_super(TO(.tcp = true, .flow = 2, .tos = TRAINS << 2, .payload = 40 * 100), 100);
	dl_loop();
	assert_int_equal(dl->sends, TRAINS + 1);
	dl_open_wire(&got);
	assert_int_equal(got.n, TRAINS + 40);
	records_clear(&got);
}

/* When TOS, DF or size change within a flow, its packets go to another train, but stay in order. */
static void test_one_flow_in_order(void **state)
{
	static const struct {
		uint8_t tos;
		bool df;
		uint16_t payload;
		unsigned send; /* index of the send */
	} steps[] = {
		{0x02, false, 500, 0}, {0x02, false, 500, 0}, {0x03, false, 500, 1}, /* ECN mark */
		{0x02, false, 500, 2}, {0x02, true, 500, 3},			     /* DF */
		{0x02, true, 300, 3},  {0x02, true, 300, 4}, /* after a shorter packet */
		{0x02, true, 600, 5},  {0x02, true, 400, 5},  {0x02, false, 600, 6},
	};
	struct records want = {0};

	(void)state;
	/* two SAs with the same peer, the second one with DF */
	dl_sa(1)->out.dest = dl_sa(0)->out.dest;
	dl_sa(1)->out.dest.df = true;
	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++)
		put(&want, TO(.peer = steps[i].df, .flow = 9, .at = 7000 * i, .tos = steps[i].tos,
			      .df = steps[i].df, .payload = steps[i].payload));
	dl_loop();
	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
		assert_int_equal(dl->wire.v[i].send, steps[i].send);
		assert_int_equal(dl->wire.v[i].tos, steps[i].tos);
		assert_int_equal(dl->wire.v[i].df, steps[i].df);
	}
	assert_delivered(&want);
	records_clear(&want);
}

/* A train has at most 64 packets and 65,507 bytes; the rest goes into the next one. */
static void test_size_of_trains(void **state)
{
	struct records want = {0};

	(void)state;
	put_super(&want, TO(.tcp = true, .flow = 1, .payload = 130 * 100), 100);
	dl_loop();
	assert_int_equal(dl->sends, 3);
	assert_int_equal(dl_sent_by(0), 64);
	assert_int_equal(dl_sent_by(1), 64);
	assert_int_equal(dl_sent_by(2), 2);
	put_super(&want, TO(.tcp = true, .flow = 1, .payload = 65495, .push = true), 1360);
	dl_loop();
	/* 45 packets of 1,400 bytes before ESP */
	assert_int_equal(dl->sends, 5);
	assert_int_equal(dl_sent_by(3), 65507 / (1400 + 2 + 2 + GCM_ADDS));
	assert_int_equal(dl_sent_by(4), (65495 + 1359) / 1360 - dl_sent_by(3));
	assert_delivered(&want);
	records_clear(&want);
}

/* A single datagram may be as long as a train; one byte more is dropped. */
static void test_longest(void **state)
{
	struct records want = {0};
	uint32_t most = 65507 - GCM_ADDS - 2 - 28;

	(void)state;
	most -= (most + 28 + 2) % 4;
	put(&want, TO(.flow = 1, .payload = most));
	dl_tun(TO(.flow = 1, .payload = most + 1));
	put(&want, TO(.flow = 1, .payload = 10));
	dl_loop();
	assert_delivered(&want);
	assert_true(dl->tunnel.path->drops[ESP_DROP_TOO_BIG] == 1);
	records_clear(&want);
}

/* ---- a full socket ---- */

/* When the socket is full, trains are parked, and TUN is not read until they have been sent. */
static void test_parked(void **state)
{
	struct records want = {0};

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		put(&want, TO(.flow = 1, .at = i, .payload = 200));
	SCRIPT(FULL, FULL, {.take = 3, .error = -EAGAIN}, FULL, {.take = 6, .error = -EAGAIN});
	dl_turn();
	put(&want, TO(.flow = 1, .at = 10, .payload = 200));
	for (unsigned i = 1; i <= 5; i++, dl_turn()) {
		assert_int_equal(dl->sends, i);
		assert_int_equal(dl->tun_reads, 10);
		assert_false(reads_tun());
	}
	assert_true(reads_tun());
	dl_turn();
	assert_int_equal(dl->tun_reads, 11);
	assert_int_equal(dl->d.io.tx_parked, 1);
	assert_int_equal(dl->d.io.tx_datagrams, 11);
	assert_int_equal(dl_sent_by(2), 3);
	assert_int_equal(dl_sent_by(4), 6);
	assert_int_equal(dl_sent_by(5), 1);
	assert_delivered(&want);
	records_clear(&want);
}

/* Parked trains are sealed already: they are sent even after their SAs were deleted. */
static void test_parked_is_sealed(void **state)
{
	struct records got = {0}, want = {0};

	(void)state;
	for (unsigned i = 0; i < 3 * TRAINS; i++)
		dl_tun(TO(.peer = i % TRAINS, .flow = 1, .at = i, .payload = 200));
	for (unsigned i = 0; i < 3 * TRAINS; i++)
		dl_expect(
			&want,
			TO(.peer = i / 3, .flow = 1, .at = i / 3 + i % 3 * TRAINS, .payload = 200),
			0);
	SCRIPT(FULL);
	dl_turn();
	assert_true(dl->d.out.parked);
	for (unsigned i = 0; i < TRAINS; i++) {
		assert_int_equal(dl->d.out.slot[i].train.nop, 0);
		sad_release(&dl->tunnel.path->sad, dl->spi[i]);
	}
	dl_loop();
	dl_open_wire(&got);
	assert_records(&got, &want);
	records_clear(&got);
	records_clear(&want);
}

/* A super-packet continues with the segment at which the socket was full. */
static void test_half_sealed(void **state)
{
	struct records want = {0};

	(void)state;
	put_super(&want, TO(.tcp = true, .flow = 1, .payload = 200 * 100), 100);
	put(&want, TO(.tcp = true, .flow = 1, .at = 20000, .payload = 50));
	SCRIPT(ALL_GO, {.take = 10, .error = -EAGAIN}, FULL, ALL_GO, FULL);
	dl_turn();
	assert_true(dl->d.out.pending);
	assert_int_equal(dl_sa(0)->out.number, 128); /* no number is taken before its packet is
						      * sealed */
	dl_turn();
	assert_int_equal(dl_sa(0)->out.number, 128);
	dl_turn();
	assert_true(dl->d.out.pending);
	assert_int_equal(dl_sa(0)->out.number, 192);
	assert_int_equal(dl->tun_reads, 1);
	dl_loop();
	assert_true(reads_tun());
	assert_false(dl->d.out.pending);
	assert_delivered(&want);
	records_clear(&want);
}

/* A packet whose train must wait for another one is neither sealed nor lost. */
static void test_parked_before_its_train(void **state)
{
	struct records want = {0};

	(void)state;
	put(&want, TO(.flow = 1, .tos = 1, .payload = 200));
	put(&want, TO(.flow = 1, .tos = 2, .payload = 200));
	put(&want, TO(.flow = 1, .tos = 3, .payload = 200));
	SCRIPT(FULL);
	dl_turn();
	assert_int_equal(dl->tun_reads, 2);
	assert_int_equal(dl_sa(0)->out.number, 1);
	dl_loop();
	assert_delivered(&want);
	records_clear(&want);
}

static void half_sealed(struct records *want, struct shape *rest)
{
	struct shape s = {.tcp = true, .flow = 1, .payload = 100 * 100};

	dl_tun_super(&s, 100);
	s.payload = 64 * 100;
	dl_expect(want, &s, 100);
	*rest = s;
	rest->at = s.payload;
	rest->id = 64;
	rest->payload = 36 * 100;
	SCRIPT(FULL);
	dl_turn();
	assert_true(dl->d.out.pending);
}

/* The SA is deleted while a train is parked: what is sealed is sent, the rest is dropped. */
static void test_deleted_while_parked(void **state)
{
	struct records want = {0}, got = {0};
	struct shape rest;

	(void)state;
	half_sealed(&want, &rest);
	sad_release(&dl->tunnel.path->sad, dl->spi[0]);
	dl_loop();
	assert_true(reads_tun());
	assert_false(dl->d.out.pending);
	assert_true(dl->tunnel.path->drops[ESP_DROP_NO_SA_YET] == 1);
	dl_open_wire(&got);
	assert_records(&got, &want);
	records_clear(&got);
	records_clear(&want);
}

/* The SA is rekeyed while a train is parked: nothing is lost. */
static void test_rekeyed_while_parked(void **state)
{
	struct records want = {0}, got = {0};
	struct shape rest;

	(void)state;
	half_sealed(&want, &rest);
	dl_expect(&want, &rest, 100);
	dl_retire(0);
	dl_install(0, NULL);
	dl_loop();
	assert_true(reads_tun());
	dl_open_wire(&got);
	assert_records(&got, &want);
	assert_int_equal(dl_sa(0)->out.number, 36);
	records_clear(&got);
	records_clear(&want);
}

/* Events of an SA that was used while trains were parked are handled without waiting for a
 * packet. */
static void test_events_after_parking(void **state)
{
	const struct esp_lifetime life = {.soft_packets = 130};
	unsigned turns;

	(void)state;
	dl_install(0, &life);
	dl_tun_super(TO(.tcp = true, .flow = 1, .payload = 150 * 100), 100);
	SCRIPT(ALL_GO, FULL);
	dl_turn();
	assert_int_equal(dl_sa(0)->events, 0);
	turns = dl->turns;
	dl_loop();
	assert_int_equal(dl_sa(0)->events, ESP_EVENT_SOFT_LIFETIME);
	assert_true(dl->turns > turns);
}

/* ---- sends that fail ---- */

/* Lost datagrams are counted; all others are delivered. */
static void test_errors(void **state)
{
	struct records got = {0}, want = {0};
	struct shape s = {.flow = 1, .payload = 200};

	(void)state;
	for (; s.at < 20; s.at++) {
		dl_tun(&s);
		if (s.at < 5 || s.at >= 8)
			dl_expect(&want, &s, 0);
	}
	/* three datagrams are lost, before and after the socket was full */
	SCRIPT({.take = 5, .error = -EAGAIN}, {.take = 2, .lost = 2, .error = -EAGAIN},
	       {.take = 99, .lost = 1});
	dl_loop();
	dl_loop();
	dl_loop();
	assert_true(reads_tun());
	assert_true(dl->d.io.tx_errors == 3);
	assert_int_equal(dl->looks, 0);
	dl_open_wire(&got);
	assert_records(&got, &want);
	dl_assert_numbers();
	records_clear(&got);
	records_clear(&want);
}

/* EMSGSIZE makes the daemon look up the path MTU once. */
static void test_too_long_for_the_path(void **state)
{
	struct records got = {0}, want = {0};

	(void)state;
	put(&want, TO(.peer = 3, .flow = 1, .payload = 1300));
	SCRIPT({.take = 1, .lost = 1, .error = -EMSGSIZE});
	dl_loop();
	assert_int_equal(dl->looks, 1);
	assert_true(endpoint_eq(&dl->looked_at, &dl->there[3]));
	assert_true(dl->d.io.tx_errors == 1);
	assert_false(dl->d.out.parked);
	put(&want, TO(.peer = 3, .flow = 1, .payload = 100));
	dl_loop();
	dl_open_wire(&got);
	assert_int_equal(got.n, 1);
	assert_record(&got.v[0], want.v[1].b, want.v[1].len);
	assert_int_equal(dl->looks, 1);
	records_clear(&got);
	records_clear(&want);
}

static struct answer always_too_long(void)
{
	return (struct answer){.take = 1, .lost = 1, .error = -EMSGSIZE};
}

/* If every packet is refused with EMSGSIZE, the path MTU is looked up at a bounded rate. */
static void test_looks_are_bounded(void **state)
{
	(void)state;
	dl->say = always_too_long;
	for (unsigned i = 0; i < 500; i++) {
		dl_tun(TO(.peer = i % 2, .flow = 1, .at = i, .payload = 1300));
		dl_loop();
	}
	assert_int_equal(dl->d.io.tx_errors, 500);
	assert_in_range(dl->looks, 10, 100);
}

/* ---- packets that are not sent ---- */

/* A packet with DF that exceeds the MTU is answered with ICMP "fragmentation needed". */
static void test_too_big(void **state)
{
	struct record *r;

	(void)state;
	dl_sa(0)->out.mtu = 1000;
	dl_tun(TO(.flow = 1, .df = true, .payload = 1000));
	dl_tun(TO(.flow = 1, .payload = 1000)); /* without DF: it may be fragmented outside */
	dl_loop();
	assert_int_equal(dl->wire.n, 1);
	assert_int_equal(dl->tun_out.n, 1);
	r = &dl->tun_out.v[0];
	assert_int_equal(r->b[9], PROTO_ICMP);
	assert_int_equal(r->b[20], 3);
	assert_int_equal(r->b[21], 4);
	assert_int_equal(get_be16(r->b + 26), 1000);
	assert_memory_equal(r->b + 28, dl->tun_in.v[0].b, 28);
	assert_int_equal(r->off.gso, PKT_GSO_NONE);
	assert_false(r->off.needs_csum);
}

static void many_too_big(unsigned n, bool answerable)
{
	for (; n > 0; n--) {
		struct record *r;

		dl_tun(TO(.flow = 1, .df = true, .payload = 1000));
		r = &dl->tun_in.v[dl->tun_in.n - 1];
		/* no error is sent about an ICMP error (RFC 1122 3.2.2) */
		r->b[9] = answerable ? PROTO_UDP : PROTO_ICMP;
		r->b[20] = 3;
	}
	dl_loop();
}

/* At most 100 ICMP errors are sent per second; packets that get none do not count. */
static void test_too_big_is_bounded(void **state)
{
	(void)state;
	dl_sa(0)->out.mtu = 1000;
	many_too_big(300, false);
	assert_int_equal(dl->tun_out.n, 0);
	many_too_big(300, true);
	assert_int_equal(dl->tun_out.n, 100);
	dl->now += NSEC_PER_SEC / 10;
	many_too_big(300, true);
	assert_int_equal(dl->tun_out.n, 110);
	assert_int_equal(dl->wire.n, 0);
}

/* A packet for a policy without an SA triggers an acquire for that policy. */
static void test_trap(void **state)
{
	(void)state;
	sad_release(&dl->tunnel.path->sad, dl->spi[4]);
	dl_tun(TO(.peer = 4, .flow = 1, .payload = 100));
	dl_tun(TO(.peer = 5, .flow = 1, .payload = 100));
	dl_loop();
	assert_int_equal(dl->acquired, 1);
	assert_ptr_equal(dl->sprung, &dl->policy[4]);
	assert_int_equal(dl->wire.n, 1);
}

/* ---- turns of the event loop ---- */

static void one_turn(void)
{
	dl_turn();
	assert_int_equal(dl->turns, 1);
	dl->turns = 0;
}

/* A turn reads TURN_BUDGET packets at most. */
static void test_budget_of_packets(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++)
		dl_tun(TO(.flow = 1, .at = i, .payload = 200));
	one_turn();
	assert_int_equal(dl->tun_reads, TURN_BUDGET);
	assert_int_equal(dl->wire.n, TURN_BUDGET); /* all that was read is also sent */
	dl_loop();
	assert_int_equal(dl->wire.n, 200);
}

/* A turn reads 16 super-packets of 65,000 bytes at most. */
static void test_budget_of_bytes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 40; i++)
		dl_tun_super(TO(.tcp = true, .flow = 1, .payload = 65000), 1360);
	one_turn();
	assert_int_equal(dl->tun_reads, 16);
}

/* A turn also ends early when super-packets have many small segments. */
static void test_budget_of_segments(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 40; i++)
		dl_tun_super(TO(.tcp = true, .flow = 1, .payload = 65000), 48);
	one_turn();
	assert_in_range(dl->wire.n, 1, 16 * TURN_BUDGET + (65000 + 47) / 48);
}

/* A malformed packet from TUN is skipped. */
static void test_bad_reads(void **state)
{
	struct records want = {0};

	(void)state;
	put(&want, TO(.flow = 1, .payload = 200));
	dl->tun_in.v[0].result = -EBADMSG;
	put(&want, TO(.flow = 1, .payload = 200));
	dl_loop();
	assert_int_equal(dl->wire.n, 1);
	assert_int_equal(dl->opens, 1);
	records_clear(&want);
}

/* ---- the dummy packet after a rekey ---- */

static void assert_dummy(unsigned peer)
{
	uint64_t before = dl->peer->drops[ESP_DROP_DUMMY];
	struct pkt_super s = {0};
	struct esp_in in = {.from = dl->here};
	struct record *r;

	assert_true(dl->alone.n > 0);
	r = &dl->alone.v[dl->alone.n - 1];
	assert_int_equal(r->socket, UDP_IKE_NATT);
	assert_int_equal(r->tos, 0);
	assert_true(endpoint_eq(&r->remote, &dl->there[peer]));
	assert_true(endpoint_eq(&r->local, &dl->here));
	in.base = r->b;
	in.len = r->len;
	assert_int_equal(esp_open(dl->peer, &in, &s, dl->now), ESP_DONE);
	assert_true(dl->peer->drops[ESP_DROP_DUMMY] == before + 1);
}

/* data_send_dummy sends one dummy packet on a live SA, and nothing without one. */
static void test_dummy(void **state)
{
	(void)state;
	data_send_dummy(&dl->d, NULL);
	assert_int_equal(dl->alone.n, 0);

	data_send_dummy(&dl->d, dl_sa(2));
	assert_dummy(2);
	assert_int_equal(dl_sa(2)->out.number, 1);
	dl_retire(2);
	data_send_dummy(&dl->d, dl_sa(2));
	assert_int_equal(dl->alone.n, 1);
	dl->send_alone_result = -EAGAIN;
	data_send_dummy(&dl->d, dl_sa(3));
	assert_true(dl->d.io.tx_errors == 1);
	assert_false(dl->d.out.parked);
}

/* A dummy packet is sent at once even if data is parked, and does not change that. */
static void test_dummy_while_parked(void **state)
{
	struct records want = {0}, got = {0};
	struct shape rest;

	(void)state;
	half_sealed(&want, &rest);
	dl_expect(&want, &rest, 100);
	dl_retire(0);
	dl_install(0, NULL);
	data_send_dummy(&dl->d, dl_sa(0));
	assert_dummy(0);
	assert_true(dl->d.out.parked);
	dl_loop();
	dl_open_wire(&got);
	assert_records(&got, &want);
	records_clear(&got);
	records_clear(&want);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, dl_begin, dl_end)
	const struct CMUnitTest tests[] = {
		CASE(test_single),
		CASE(test_eight_destinations),
		CASE(test_ninth_destination),
		CASE(test_classes_and_the_window),
		CASE(test_classes),
		CASE(test_classes_and_windows),
		CASE(test_nine_classes),
		CASE(test_one_flow_in_order),
		CASE(test_size_of_trains),
		CASE(test_longest),
		CASE(test_parked),
		CASE(test_parked_is_sealed),
		CASE(test_half_sealed),
		CASE(test_parked_before_its_train),
		CASE(test_deleted_while_parked),
		CASE(test_rekeyed_while_parked),
		CASE(test_events_after_parking),
		CASE(test_errors),
		CASE(test_too_long_for_the_path),
		CASE(test_looks_are_bounded),
		CASE(test_too_big),
		CASE(test_too_big_is_bounded),
		CASE(test_trap),
		CASE(test_budget_of_packets),
		CASE(test_budget_of_bytes),
		CASE(test_budget_of_segments),
		CASE(test_bad_reads),
		CASE(test_dummy),
		CASE(test_dummy_while_parked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
