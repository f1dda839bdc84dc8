/* t_data_in.c - the loop from UDP to TUN, with a simulated kernel. SPDX-License-Identifier: ISC */
#include "data_fixture.h"

#define TO_US(...)   (&(struct shape){.from_peer = true, __VA_ARGS__})
#define BAD_CHECKSUM 0x5a /* XORed to a payload byte by add_wrong */
#define PAYLOAD	     200
#define DATAGRAM_MAX 2048

/* ---- one receive, datagram by datagram ---- */

/* Datagrams back to back, all as long as the first; the last may be shorter. */
struct receive {
	uint8_t b[RX_BUFFER];
	uint32_t len, seg;
};

static void add(struct receive *r, const uint8_t *p, uint32_t len)
{
	if (r->seg == 0)
		r->seg = len;
	assert_true(r->len % r->seg == 0 && len <= r->seg && r->len + len <= sizeof(r->b));
	memcpy(r->b + r->len, p, len);
	r->len += len;
}

static void add_esp(struct receive *r, const struct shape *s)
{
	uint8_t esp[PACKET_MAX];

	add(r, esp, dl_seal(s, esp));
}

/* Adds an IKE message after a non-ESP marker, len bytes with it. */
static void add_ike(struct receive *r, uint8_t mark, uint32_t len)
{
	uint8_t ike[DATAGRAM_MAX];

	memset(ike, 0, MARKER_LEN);
	memset(ike + MARKER_LEN, mark, len - MARKER_LEN);
	add(r, ike, len);
}

static void arrive(unsigned which, unsigned peer, const struct receive *r)
{
	dl_arrive(which, peer, r->b, r->len, (uint16_t)r->seg);
}

/* Collects all that was written to TUN, segmented into the packets that a device without offloads
 * would show. */
static void written(struct records *ret)
{
	for (size_t i = 0; i < dl->tun_out.n; i++) {
		const struct record *r = &dl->tun_out.v[i];
		uint8_t p[PACKET_MAX];
		struct seg_plan plan;
		struct inner in;

		assert_int_equal(inner_parse(r->b, r->len, &in), 0);
		assert_int_equal(in.len, r->len);
		assert_int_equal(seg_plan(r->b, &in, &r->off, &plan), 0);
		for (uint32_t k = 0; k < plan.count; k++) {
			seg_write(&plan, k, p);
			records_add(ret, p, seg_len(&plan, k));
		}
	}
}

static void assert_written(const struct records *want)
{
	struct records got = {0};

	written(&got);
	assert_records(&got, want);
	records_clear(&got);
}

/* ---- ESP, IKE or keepalive (RFC 3948 2) ---- */

/* An ESP packet, an IKE message and a keepalive are told apart. */
static void test_one_of_each(void **state)
{
	struct records want = {0};
	struct receive r = {0};
	uint8_t keepalive = 0xff;

	(void)state;
	dl_expect(&want, TO_US(.flow = 1, .payload = PAYLOAD), 0);
	add_esp(&r, TO_US(.flow = 1, .payload = PAYLOAD));
	arrive(UDP_ESP, 0, &r);
	r = (struct receive){0};
	add_ike(&r, 0x77, 100);
	arrive(UDP_IKE_NATT, 3, &r);
	dl_arrive(UDP_ESP, 0, &keepalive, 1, 1);
	dl_loop();
	assert_written(&want);
	assert_int_equal(dl->ike_in.n, 1);
	assert_record(&dl->ike_in.v[0], r.b + MARKER_LEN, 100 - MARKER_LEN);
	assert_true(endpoint_eq(&dl->ike_in.v[0].remote, &dl->there[3]));
	assert_true(endpoint_eq(&dl->ike_in.v[0].local, &dl->here));
	assert_true(dl->d.io.rx_keepalives == 1);
	assert_true(dl->d.io.rx_datagrams == 3);
	assert_true(dl->d.io.rx_receives == 3);
	assert_true(dl->d.io.rx_short == 0);
	records_clear(&want);
}

/*
 * Every sequence of ESP and IKE in one receive of up to six datagrams, then a shorter datagram of
 * each kind, on each socket with ESP.
 */
static void mix(unsigned which, unsigned count, unsigned kinds, unsigned tail)
{
	static uint16_t id;
	struct records want = {0};
	struct receive r = {0};
	uint32_t ike = 0, seg = PAYLOAD + 28 + 2 + 2 + GCM_ADDS;
	uint8_t last[] = {0xff, 0, 0};

	seg -= seg % 4; /* the padding of the ESP packet */
	for (unsigned i = 0; i < count; i++, id++) {
		struct shape s = {.from_peer = true, .flow = 1, .id = id, .payload = PAYLOAD};

		if (kinds >> i & 1) {
			add_ike(&r, (uint8_t)(i + 1), seg);
			ike++;
		} else {
			add_esp(&r, &s);
			dl_expect(&want, &s, 0);
		}
		assert_int_equal(r.seg, seg);
	}
	if (tail == 1) /* keepalive */
		add(&r, last, 1);
	else if (tail == 2) /* too short to be anything */
		add(&r, last, 3);
	else if (tail == 3)
		add_ike(&r, 99, 60), ike++;
	arrive(which, 0, &r);
	dl_loop();
	assert_written(&want);
	assert_int_equal(dl->ike_in.n, ike);
	for (unsigned i = 0, n = 0; i < count; i++) {
		if (kinds >> i & 1)
			assert_int_equal(dl->ike_in.v[n++].b[0], i + 1);
	}
	/* nothing else was taken for ESP */
	assert_true(dl->tunnel.path->verdicts[VERDICT_NO_SA] == 0);
	assert_true(dl->d.io.rx_keepalives == (tail == 1));
	assert_true(dl->d.io.rx_short == (tail == 2));
	assert_true(dl->d.io.rx_datagrams == count + (tail > 0));
	memset(&dl->d.io, 0, sizeof(dl->d.io));
	records_clear(&want);
	records_clear(&dl->ike_in);
	dl_forget();
}

/* Every sequence, with every kind of last datagram. */
static void test_every_mixture(void **state)
{
	(void)state;
	for (unsigned count = 1; count <= 6; count++) {
		for (unsigned kinds = 0; kinds < 1u << count; kinds++) {
			for (unsigned tail = 0; tail < 4; tail++) {
				mix(UDP_ESP, count, kinds, tail);
				mix(UDP_IKE_NATT, count, kinds, tail);
			}
		}
	}
}

/* The last datagram of a receive may be a shorter ESP packet, or be cut off. */
static void test_short_last_one(void **state)
{
	struct records want = {0};
	struct receive r = {0};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct shape s = {.from_peer = true, .flow = 1, .payload = i < 2 ? PAYLOAD : 20};

		add_esp(&r, &s);
		dl_expect(&want, &s, 0);
	}
	arrive(UDP_ESP, 0, &r);
	dl_loop();
	assert_written(&want);
	assert_true(dl->tunnel.path->verdicts[VERDICT_FRESH] == 3);
	/* the last packet is cut off */
	r = (struct receive){0};
	add_esp(&r, TO_US(.flow = 1, .payload = PAYLOAD));
	add_esp(&r, TO_US(.flow = 1, .payload = PAYLOAD));
	r.len -= 30;
	arrive(UDP_ESP, 0, &r);
	dl_loop();
	assert_true(dl->tunnel.path->verdicts[VERDICT_FRESH] == 4);
	records_clear(&want);
}

/* Datagrams of less than 4 bytes are counted as short or keepalive. */
static void test_less_than_a_marker(void **state)
{
	static const uint8_t zeros[8], ones[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	(void)state;
	for (uint32_t len = 0; len < 4; len++) {
		dl_arrive(UDP_ESP, 0, zeros, len, (uint16_t)len);
		dl_arrive(UDP_ESP, 0, ones, len, (uint16_t)len);
	}
	dl_loop();
	assert_true(dl->d.io.rx_keepalives == 1);
	assert_true(dl->d.io.rx_short == 7);
	assert_int_equal(dl->ike_in.n, 0);
	assert_true(dl->tunnel.path->verdicts[VERDICT_MALFORMED] == 0);
	/* 4 bytes are a marker with an empty message, or a malformed ESP packet */
	dl_arrive(UDP_ESP, 0, zeros, 4, 4);
	dl_arrive(UDP_ESP, 0, ones, 4, 4);
	dl_loop();
	assert_int_equal(dl->ike_in.n, 1);
	assert_int_equal(dl->ike_in.v[0].len, 0);
	assert_true(dl->tunnel.path->verdicts[VERDICT_MALFORMED] == 1);
	assert_int_equal(dl->tun_out.n, 0);
}

/* Port 500 has neither marker nor ESP nor keepalives: every datagram is an IKE message. */
static void test_port_500(void **state)
{
	struct receive r = {0};
	uint8_t esp[PACKET_MAX], byte = 0xff;
	uint32_t len = dl_seal(TO_US(.flow = 1, .payload = PAYLOAD), esp);

	(void)state;
	dl_arrive(UDP_IKE, 0, esp, len, (uint16_t)len);
	add_ike(&r, 5, 80);
	arrive(UDP_IKE, 0, &r);
	dl_arrive(UDP_IKE, 0, &byte, 1, 1);
	dl_loop();
	assert_int_equal(dl->ike_in.n, 3);
	assert_record(&dl->ike_in.v[0], esp, len);
	assert_record(&dl->ike_in.v[1], r.b, 80);
	assert_record(&dl->ike_in.v[2], &byte, 1);
	assert_int_equal(dl->tun_out.n, 0);
	assert_true(dl->d.io.rx_keepalives == 0);
}

/* A receive that the kernel truncated is dropped whole, including its complete datagrams. */
static void test_truncated(void **state)
{
	struct receive r = {0};
	struct records want = {0};

	(void)state;
	add_esp(&r, TO_US(.flow = 1, .payload = PAYLOAD));
	add_esp(&r, TO_US(.flow = 1, .id = 1, .payload = PAYLOAD));
	dl_arrive(UDP_ESP, 0, r.b, r.len, (uint16_t)r.seg)->truncated = true;
	dl_arrive(UDP_IKE, 0, r.b, r.len, (uint16_t)r.len)->truncated = true;
	dl_loop();
	assert_true(dl->d.io.rx_truncated == 2);
	assert_true(dl->d.io.rx_datagrams == 0);
	assert_int_equal(dl->tun_out.n, 0);
	assert_int_equal(dl->ike_in.n, 0);
	/* the same packets, received again, are FRESH */
	arrive(UDP_ESP, 0, &r);
	dl_loop();
	dl_expect(&want, TO_US(.flow = 1, .payload = PAYLOAD), 0);
	dl_expect(&want, TO_US(.flow = 1, .id = 1, .payload = PAYLOAD), 0);
	assert_written(&want);
	records_clear(&want);
}

/* A failed receive is counted as an error. */
static void test_receive_fails(void **state)
{
	(void)state;
	dl_arrive(UDP_ESP, 0, (const uint8_t *)"", 0, 0)->result = -ENOMEM;
	dl_loop();
	assert_true(dl->d.io.rx_errors == 1);
	assert_true(dl->d.io.rx_receives == 0);
}

/* ---- into TUN ---- */

/* Each number is repeated within a receive and in the next one, but delivered once. */
static void test_twice(void **state)
{
	struct records want = {0};
	struct receive r = {0};
	uint8_t esp[2][PACKET_MAX];
	uint32_t len = 0;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct shape s = {.from_peer = true, .flow = 1, .id = (uint16_t)i, .payload = 300};

		len = dl_seal(&s, esp[i]);
		dl_expect(&want, &s, 0);
	}
	for (unsigned i = 0; i < 8; i++)
		add(&r, esp[i % 3 == 1], len);
	arrive(UDP_ESP, 0, &r);
	arrive(UDP_IKE_NATT, 0, &r);
	dl_loop();
	assert_written(&want);
	assert_true(dl->tunnel.path->verdicts[VERDICT_FRESH] == 2);
	assert_true(dl->tunnel.path->verdicts[VERDICT_REPLAYED] == 14);
	records_clear(&want);
}

/* A TCP stream is written to TUN once per receive; nothing is held back until the next turn. */
static void test_runs(void **state)
{
	struct shape s = {.from_peer = true, .tcp = true, .flow = 1, .payload = 500};
	struct records want = {0};

	(void)state;
	for (unsigned turn = 1; turn <= 3; turn++) {
		struct receive r = {0};

		for (unsigned i = 0; i < 20; i++, s.id++, s.at += s.payload) {
			add_esp(&r, &s);
			dl_expect(&want, &s, 0);
		}
		arrive(UDP_ESP, 0, &r);
		dl_turn();
		assert_int_equal(dl->tun_out.n, turn);
		assert_int_equal(dl->tun_out.v[turn - 1].off.gso, PKT_GSO_TCP4);
		assert_int_equal(dl->tun_out.v[turn - 1].len, 40 + 20 * 500);
		assert_int_equal(dl->d.in.super.len, 0);
	}
	assert_written(&want);
	records_clear(&want);
}

/* Receives of one turn continue the same super-packet, until it is full. */
static void test_runs_of_a_turn(void **state)
{
	struct shape s = {.from_peer = true, .tcp = true, .flow = 1, .payload = 1300};
	struct records want = {0};

	(void)state;
	for (unsigned turn = 0; turn < 4; turn++) {
		struct receive r = {0};

		for (unsigned i = 0; i < 40; i++, s.id++, s.at += s.payload) {
			add_esp(&r, &s);
			dl_expect(&want, &s, 0);
		}
		arrive(UDP_ESP, 0, &r);
	}
	dl_turn();
	assert_written(&want);
	assert_int_equal(dl->tun_out.n, (160 + 49) / 50); /* 50 segments of 1,300 bytes fit in
							   * 65,535 */
	records_clear(&want);
}

/* Packets of two peers alternate within a turn, and IKE messages within a receive: all are
 * delivered. */
static void test_two_peers(void **state)
{
	struct shape s[2] = {
		{.from_peer = true, .tcp = true, .flow = 1, .payload = 400},
		{.from_peer = true, .tcp = true, .flow = 1, .payload = 400, .peer = 1}};
	struct records want = {0};

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		struct shape *p = &s[i % 2];
		struct receive r = {0};

		for (unsigned k = 0; k < 3; k++, p->id++, p->at += p->payload) {
			if (k == 1)
				add_ike(&r, 1, r.seg);
			add_esp(&r, p);
			dl_expect(&want, p, 0);
		}
		arrive(UDP_ESP, i % 2, &r);
	}
	dl_turn();
	assert_written(&want);
	assert_int_equal(dl->tun_out.n, 10);
	assert_int_equal(dl->ike_in.n, 10);
	assert_true(dl->tunnel.path->verdicts[VERDICT_FRESH] == 30);
	records_clear(&want);
}

/* Seals a packet with a wrong checksum. */
static void add_wrong(struct receive *r, struct records *want, const struct shape *s)
{
	static struct esp_train t;
	uint8_t inner[PACKET_MAX], esp[PACKET_MAX];
	struct esp_out o;

	esp_out_init(&o, inner, dl_packet(s, inner), (uint16_t)s->peer);
	inner[o.len - 1] ^= BAD_CHECKSUM;
	esp_train_init(&t, esp, sizeof(esp));
	assert_int_equal(esp_route(dl->peer, &o, dl->now), ESP_ROUTE_SEAL);
	assert_int_equal(esp_seal(dl->peer, &o, &t, dl->now), ESP_DONE);
	esp_train_finish(dl->peer, &t);
	add(r, esp, t.len);
	records_add(want, inner, o.len);
}

/* A wrong inner checksum is left for the receiver to detect: the packet is written unchanged, by
 * itself, and not marked as valid. */
static void test_wrong_checksum(void **state)
{
	struct shape s = {.from_peer = true, .tcp = true, .flow = 1, .payload = 400};
	struct records want = {0};
	struct receive r = {0};

	(void)state;
	for (unsigned i = 0; i < 9; i++, s.id++, s.at += s.payload) {
		if (i == 4) {
			add_wrong(&r, &want, &s);
		} else {
			add_esp(&r, &s);
			dl_expect(&want, &s, 0);
		}
	}
	arrive(UDP_ESP, 0, &r);
	dl_loop();
	assert_int_equal(dl->tun_out.n, 3);
	assert_int_equal(dl->tun_out.v[1].off.gso, PKT_GSO_NONE);
	assert_false(dl->tun_out.v[1].off.valid_csum);
	assert_false(dl->tun_out.v[1].off.needs_csum);
	assert_int_equal(dl->tun_out.v[0].off.gso, PKT_GSO_TCP4);
	assert_int_equal(dl->tun_out.v[2].off.gso, PKT_GSO_TCP4);
	assert_written(&want);
	records_clear(&want);
}

/* ---- fairness under floods ---- */

static unsigned turns_left, flood_socket, flood_size;

/* After each receive from flood_socket, queues flood_size more messages for it. */
static void flood(unsigned which)
{
	static const uint8_t message[64] = {0, 0, 0, 0, 1};

	if (which != flood_socket)
		return;
	for (unsigned i = 0; i < flood_size; i++)
		dl_arrive(which, 0, message, sizeof(message), sizeof(message));
	if (--turns_left == 0)
		event_base_loopbreak(dl->d.base);
}

static struct event *command;
static unsigned commands;

/* A command, or whatever else has the priority of data, and then the next one. */
static void on_command(evutil_socket_t fd, short what, void *ctx)
{
	static const struct timeval now;

	(void)fd, (void)what, (void)ctx;
	commands++;
	evtimer_add(command, &now);
}

/* During an endless flood of IKE messages, data goes out and in, and commands are served. */
static void served_in_a_flood(unsigned which, unsigned size)
{
	static const struct timeval now;
	struct receive r = {0};

	commands = 0;
	command = evtimer_new(dl->d.base, on_command, NULL);
	event_priority_set(command, PRIORITY_DATA);
	evtimer_add(command, &now);
	dl->on_receive = flood;
	flood_socket = which;
	flood_size = size;
	turns_left = 100;
	add_esp(&r, TO_US(.flow = 1, .payload = PAYLOAD));
	arrive(UDP_ESP, 0, &r);
	dl_tun(&(struct shape){.flow = 1, .payload = PAYLOAD});
	flood(which);
	event_base_dispatch(dl->d.base);
	assert_int_equal(turns_left, 0);
	assert_int_equal(dl->tun_out.n, 1);
	assert_int_equal(dl->wire.n, 1);
	assert_in_range(commands, 100 / RX_BATCH, 100);
	event_free(command);
}

/* Each receive is a full batch. */
static void test_flood_of_full_batches(void **state)
{
	(void)state;
	served_in_a_flood(UDP_IKE, RX_BATCH);
}

/* The flood comes to the socket that also receives ESP. */
static void test_flood_on_4500(void **state)
{
	(void)state;
	served_in_a_flood(UDP_IKE_NATT, 2 * RX_BATCH);
}

/* A flood of one message per receive, as fast as it is read. */
static void test_steady_flood(void **state)
{
	(void)state;
	served_in_a_flood(UDP_IKE, 1);
}

/* A parked train is sent during a flood of IKE messages. */
static void test_parked_in_a_flood(void **state)
{
	static const struct answer full = FULL;

	(void)state;
	dl->script = &full;
	dl->script_len = 1;
	dl_tun(&(struct shape){.flow = 2, .payload = PAYLOAD});
	dl_turn();
	assert_true(dl->d.out.parked);
	dl->on_receive = flood;
	flood_socket = UDP_IKE;
	flood_size = RX_BATCH;
	turns_left = 100;
	flood(UDP_IKE);
	event_base_dispatch(dl->d.base);
	assert_false(dl->d.out.parked);
	assert_int_equal(dl->wire.n, 1);
}

/* Endless data with one IKE message: after each receive of ESP more data is queued, and the message
 * must be handled within two of them. */
static void more_data(unsigned which)
{
	uint8_t junk[100] = {1};

	if (which != UDP_ESP)
		return;
	for (unsigned i = 0; i < 2 * RX_BATCH; i++)
		dl_arrive(UDP_ESP, 0, junk, sizeof(junk), sizeof(junk));
	dl_tun(&(struct shape){.flow = 1, .payload = PAYLOAD});
	if (--turns_left == 10) {
		uint8_t message[64] = {0};

		dl_arrive(UDP_IKE_NATT, 0, message, sizeof(message), sizeof(message));
	}
	if (turns_left == 0)
		event_base_loopbreak(dl->d.base);
	assert_true(turns_left >= 8 || dl->ike_in.n == 1);
}

/* IKE messages do not wait for endless data. */
static void test_ike_first(void **state)
{
	(void)state;
	dl->on_receive = more_data;
	turns_left = 50;
	more_data(UDP_ESP);
	event_base_dispatch(dl->d.base);
	assert_int_equal(turns_left, 0);
	assert_int_equal(dl->ike_in.n, 1);
	assert_true(dl->wire.n >= 20);
}

/* ---- answers to IKE messages ---- */

#define RESPONDER_SPI 8 /* offset in the IKE header */

/* Answer `with_state` (from 1) has a responder SPI, as one for which state is kept; 0: none. */
static unsigned with_state;

static uint32_t answer_len(unsigned number)
{
	return 60 + number;
}

/* Answers a message; the answer's first byte is its number, and each has its own length and source
 * address. */
static void answer(void)
{
	unsigned number = (unsigned)dl->ike_in.n;
	uint8_t message[ANSWER_MAX] = {(uint8_t)number};
	const struct record *r = &dl->ike_in.v[dl->ike_in.n - 1];
	struct endpoint local = r->local;

	local.addr.b[3] = (uint8_t)(100 + number);
	message[RESPONDER_SPI] = number == with_state;
	data_send_ike(&dl->d, &local, &r->remote, message, answer_len(number));
}

/* Queues one receive of `count` messages from the peer. */
static void ask(unsigned which, unsigned peer, unsigned count)
{
	struct receive r = {0};

	for (unsigned i = 0; i < count; i++)
		add_ike(&r, 1, 100);
	arrive(which, peer, &r);
}

/* Asserts that the answers were sent in order, in `calls` system calls. */
static void assert_answers(unsigned which, uint32_t count, unsigned calls)
{
	uint32_t head = which == UDP_IKE ? 0 : MARKER_LEN;

	assert_int_equal(dl->sends_each, calls);
	assert_int_equal(dl->alone.n, count);
	for (uint32_t i = 0; i < count; i++) {
		const struct record *r = &dl->alone.v[i];

		assert_int_equal(r->len, head + answer_len(i + 1));
		assert_true(head == 0 || get_be32(r->b) == 0);
		assert_int_equal(r->b[head], i + 1);
		assert_int_equal(r->socket, which);
		assert_int_equal(r->local.addr.b[3], 100 + i + 1);
		assert_true(endpoint_eq(&r->remote, &dl->ike_in.v[i].remote));
	}
}

/* The answers to a batch of messages are sent in one system call. */
static void test_answers_go_together(void **state)
{
	(void)state;
	dl->on_ike = answer;
	for (unsigned i = 0; i < RX_BATCH; i++)
		ask(UDP_IKE, i % PEERS, 1);
	dl_turn();
	assert_answers(UDP_IKE, RX_BATCH, 1);
}

/* On port 4500, each answer follows a non-ESP marker. */
static void test_answers_behind_the_marker(void **state)
{
	(void)state;
	dl->on_ike = answer;
	ask(UDP_IKE_NATT, 1, 3);
	dl_turn();
	assert_answers(UDP_IKE_NATT, 3, 1);
}

/* A receive that the kernel coalesced has more messages than an answer batch: two calls are
 * made. */
static void test_more_answers_than_receives(void **state)
{
	(void)state;
	dl->on_ike = answer;
	ask(UDP_IKE_NATT, 0, RX_BATCH + 3);
	dl_turn();
	assert_answers(UDP_IKE_NATT, RX_BATCH + 3, 2);
}

/* An answer for which state is kept is sent at once, after those that came before it. */
static void test_answers_with_state(void **state)
{
	(void)state;
	dl->on_ike = answer;
	with_state = 2;
	ask(UDP_IKE, 0, 4);
	dl_turn();
	assert_answers(UDP_IKE, 4, 2);
	with_state = 0;
}

/* On the first message, sends something from port 500 as well, as another peer's IKE SA might. */
static void answer_from_500(void)
{
	uint8_t message[40] = {0};

	if (dl->ike_in.n == 1) {
		struct endpoint local = dl->here;

		local.port = IKE_PORT;
		data_send_ike(&dl->d, &local, &dl->there[2], message, sizeof(message));
	}
	answer();
}

/* Messages to another socket are sent first, and each from its own socket. */
static void test_the_other_socket(void **state)
{
	(void)state;
	dl->on_ike = answer_from_500;
	ask(UDP_IKE_NATT, 0, 2);
	dl_turn();
	assert_int_equal(dl->alone.n, 3);
	assert_int_equal(dl->alone.v[0].socket, UDP_IKE);
	assert_int_equal(dl->alone.v[0].len, 40);
	assert_int_equal(dl->alone.v[1].socket, UDP_IKE_NATT);
	assert_int_equal(dl->alone.v[2].socket, UDP_IKE_NATT);
}

/* Outside a receive, messages are sent at once. */
static void test_answers_at_once(void **state)
{
	uint8_t message[40] = {0};

	(void)state;
	dl->on_ike = answer;
	ask(UDP_IKE_NATT, 0, 1);
	dl_turn();
	assert_int_equal(dl->alone.n, 1);
	data_send_ike(&dl->d, &dl->here, &dl->there[2], message, sizeof(message));
	assert_int_equal(dl->alone.n, 2);
}

static void answer_and_prove(void)
{
	answer();
	data_send_dummy(&dl->d, dl_sa(0));
}

/* A dummy packet is sent after the answers that came before it. */
static void test_answers_before_a_dummy(void **state)
{
	(void)state;
	dl->on_ike = answer_and_prove;
	ask(UDP_IKE_NATT, 0, 1);
	dl_turn();
	assert_int_equal(dl->alone.n, 2);
	assert_int_equal(dl->alone.v[0].len, MARKER_LEN + answer_len(1));
	assert_true(get_be32(dl->alone.v[1].b) != 0);
}

/* Answers that cannot be sent are counted as errors. */
static void test_lost_answers(void **state)
{
	(void)state;
	dl->on_ike = answer;
	dl->send_alone_result = -ENETUNREACH;
	ask(UDP_IKE, 0, 3);
	dl_turn();
	assert_answers(UDP_IKE, 0, 1);
	assert_true(dl->d.io.tx_errors == 3);
}

/* daemon_turn is called once after each turn of input or output. */
static void test_a_turn_after_each(void **state)
{
	struct receive r = {0};

	(void)state;
	add_ike(&r, 1, 100);
	arrive(UDP_IKE_NATT, 0, &r);
	dl_turn();
	assert_int_equal(dl->turns, 1);
	dl_tun(&(struct shape){.flow = 1, .payload = PAYLOAD});
	dl_turn();
	assert_int_equal(dl->turns, 2);
}

/* ---- sending IKE messages ---- */

/* From port 4500 a message follows a non-ESP marker, but a keepalive does not; from port 500 there
 * is no marker. */
static void test_send_ike(void **state)
{
	static const uint8_t message[] = {1, 2, 3, 4, 5}, keepalive = 0xff;
	static const uint8_t marked[] = {0, 0, 0, 0, 1, 2, 3, 4, 5};
	struct endpoint from_500 = dl->here;

	(void)state;
	from_500.port = IKE_PORT;
	data_send_ike(&dl->d, &dl->here, &dl->there[2], message, sizeof(message));
	data_send_ike(&dl->d, &dl->here, &dl->there[2], &keepalive, 1);
	data_send_ike(&dl->d, &from_500, &dl->there[2], message, sizeof(message));
	assert_int_equal(dl->alone.n, 3);
	assert_record(&dl->alone.v[0], marked, sizeof(marked));
	assert_record(&dl->alone.v[1], &keepalive, 1);
	assert_record(&dl->alone.v[2], message, sizeof(message));
	assert_int_equal(dl->alone.v[0].socket, UDP_IKE_NATT);
	assert_int_equal(dl->alone.v[1].socket, UDP_IKE_NATT);
	assert_int_equal(dl->alone.v[2].socket, UDP_IKE);
	for (unsigned i = 0; i < 3; i++)
		assert_true(endpoint_eq(&dl->alone.v[i].remote, &dl->there[2]));
	dl->send_alone_result = -ENETUNREACH;
	data_send_ike(&dl->d, &dl->here, &dl->there[2], message, sizeof(message));
	assert_true(dl->d.io.tx_errors == 1);
}

/* Packets that came before their SA are written to TUN when it is installed, without another
 * packet. */
static void test_before_its_sa(void **state)
{
	struct esp_path *path = dl->tunnel.path;
	struct sa_ref sa = sad_ref(dl_sa(0));
	struct records want = {0};

	(void)state;
	for (uint16_t flow = 1; flow <= 2; flow++) {
		const struct shape *s = TO_US(.flow = flow, .payload = PAYLOAD);
		uint8_t esp[PACKET_MAX];
		uint32_t len = dl_seal(s, esp);

		dl_expect(&want, s, 0);
		parked_add(&path->parked, sa, true, &dl->there[0], 0, esp, len);
	}
	data_late(&dl->d, dl->now);
	assert_int_equal(dl->tun_out.n, 0);
	esp_installed(path, sa);
	data_late(&dl->d, dl->now);
	assert_written(&want);
	assert_true(path->verdicts[VERDICT_FRESH] == 2 && path->waited == 2);
	data_late(&dl->d, dl->now);
	assert_int_equal(path->verdicts[VERDICT_FRESH], 2);
	records_clear(&want);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, dl_begin, dl_end)
	const struct CMUnitTest tests[] = {
		CASE(test_one_of_each),
		CASE(test_every_mixture),
		CASE(test_short_last_one),
		CASE(test_less_than_a_marker),
		CASE(test_port_500),
		CASE(test_truncated),
		CASE(test_receive_fails),
		CASE(test_twice),
		CASE(test_runs),
		CASE(test_runs_of_a_turn),
		CASE(test_two_peers),
		CASE(test_wrong_checksum),
		CASE(test_flood_of_full_batches),
		CASE(test_flood_on_4500),
		CASE(test_steady_flood),
		CASE(test_parked_in_a_flood),
		CASE(test_ike_first),
		CASE(test_answers_go_together),
		CASE(test_answers_behind_the_marker),
		CASE(test_more_answers_than_receives),
		CASE(test_answers_with_state),
		CASE(test_the_other_socket),
		CASE(test_answers_at_once),
		CASE(test_answers_before_a_dummy),
		CASE(test_lost_answers),
		CASE(test_a_turn_after_each),
		CASE(test_send_ike),
		CASE(test_before_its_sa),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
