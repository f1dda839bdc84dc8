/*
 * t_data_random.c - random flows through the loop from TUN to UDP, with a kernel that refuses at
 * random.
 * SPDX-License-Identifier: ISC
 *
 * The model is one list per flow: the packets that a device without offloads would have sent, in
 * order. The peers have the smallest anti-replay windows, and must deliver exactly these packets,
 * whatever was refused, sent in part or parked on the way, and whichever SAs were rekeyed
 * meanwhile.
 */
#include "data_fixture.h"

#define SEQUENCES 1000
#define FLOW_MAX  16

struct flow {
	struct shape next;
	uint16_t mss; /* 0: single packets */
	struct records want;
	size_t got;
};

static struct flow flows[FLOW_MAX];
static unsigned flow_count, moods;
static bool lossy;

enum mood { WILLING, STUBBORN, GREEDY };

static uint64_t below(uint64_t n)
{
	return fixture_below(&dl->rng, n);
}

static struct answer kernel(void)
{
	struct answer a = ALL_GO;

	if (moods == WILLING)
		return a;
	if (lossy && below(8) == 0) {
		a.lost = 1 + (unsigned)below(70);
		a.error = below(2) ? -EMSGSIZE : 0;
	}
	if (below(moods == STUBBORN ? 2 : 5) == 0) {
		a.take = (unsigned)(below(3) ? below(64) : 0);
		a.error = -EAGAIN;
	}
	return a;
}

static void new_flow(unsigned i)
{
	static const uint8_t classes[] = {0, 0xb8, 0x48, 0x20};
	struct flow *f = &flows[i];

	*f = (struct flow){.next = {.peer = (unsigned)below(1 + below(PEERS)),
				    .tcp = below(2),
				    .df = below(2),
				    .tos = below(4) ? classes[below(4)] : (uint8_t)(below(64) << 2),
				    .flow = (uint16_t)(1000 + i),
				    .id = (uint16_t)fixture_u64(&dl->rng),
				    .at = (uint32_t)fixture_u64(&dl->rng)}};
	if (f->next.tcp && below(2))
		f->mss = (uint16_t)(48 + below(below(2) ? 100 : 1400));
}

/* Sends the next packet or super-packet of the flow, usually as long as the one before. */
static void send_one(struct flow *f)
{
	struct shape *s = &f->next;
	uint16_t mss = below(10) ? f->mss : 0;
	uint32_t count;

	if (s->payload == 0 || below(6) == 0)
		s->payload = (uint32_t)below(1400);
	if (below(12) == 0)
		s->tos = (uint8_t)((s->tos & ~3u) | below(4));
	if (below(20) == 0)
		s->df = !s->df;
	if (mss) {
		s->payload = (uint32_t)(mss * (1 + below(below(4) ? 20 : 200)) - below(mss));
		if (s->payload > 65000)
			s->payload = 65000;
		dl_tun_super(s, mss);
	} else {
		dl_tun(s);
	}
	dl_expect(&f->want, s, mss);
	count = mss ? (s->payload + mss - 1u) / mss : 1;
	s->id = (uint16_t)(s->id + count);
	s->at += s->payload;
	if (mss)
		s->payload = 0;
}

/* Asserts that the packet is the next one of its flow; lossy: skips those that were lost. */
static void take(const struct record *r)
{
	struct flow *f = &flows[get_be16(r->b + 20) - 1000];

	while (lossy && f->got < f->want.n &&
	       (f->want.v[f->got].len != r->len || memcmp(f->want.v[f->got].b, r->b, r->len) != 0))
		f->got++;
	assert_true(f->got < f->want.n);
	assert_record(r, f->want.v[f->got].b, f->want.v[f->got].len);
	f->got++;
}

static void compare(void)
{
	struct records plain = {0};
	size_t want = 0, lost = 0;

	dl_open_wire(&plain);
	for (size_t i = 0; i < plain.n; i++)
		take(&plain.v[i]);
	for (size_t i = 0; i < dl->wire.n; i++)
		lost += dl->wire.v[i].lost;
	for (unsigned i = 0; i < flow_count; i++) {
		want += flows[i].want.n;
		assert_true(lossy || flows[i].got == flows[i].want.n);
		records_clear(&flows[i].want);
	}
	assert_int_equal(plain.n + lost, want);
	assert_true(lossy || lost == 0);
	records_clear(&plain);
	dl_assert_numbers();
}

static void rekey(unsigned peer)
{
	dl_retire(peer);
	dl_install(peer, NULL);
}

static void sequence(void)
{
	uint64_t errors = dl->d.io.tx_errors, lost = 0;

	flow_count = 1 + (unsigned)below(FLOW_MAX);
	moods = (unsigned)below(3);
	for (unsigned i = 0; i < flow_count; i++)
		new_flow(i);
	for (uint64_t steps = 1 + below(30); steps > 0; steps--) {
		struct flow *f = &flows[below(flow_count)];

		for (uint64_t run = 1 + below(below(2) ? 3 : 20); run > 0; run--)
			send_one(f);
		dl->now += below(NSEC_PER_MSEC);
		if (below(3) == 0)
			dl_turn();
		if (below(30) == 0)
			rekey((unsigned)below(PEERS));
	}
	for (unsigned turns = 0;
	     turns < 10000 && (dl->d.out.parked || dl->tun_in.next < dl->tun_in.n); turns++)
		dl_turn();
	assert_false(dl->d.out.parked || dl->d.out.pending);
	assert_true(dl->tun_in.next == dl->tun_in.n);
	for (size_t i = 0; i < dl->wire.n; i++)
		lost += dl->wire.v[i].lost;
	assert_true(dl->d.io.tx_errors == errors + lost);
	compare();
	dl_forget();
}

static void run(void)
{
	uint64_t parked;

	dl->say = kernel;
	for (unsigned i = 0; i < SEQUENCES; i++)
		sequence();
	/* the kernel did refuse often enough */
	parked = dl->d.io.tx_parked;
	assert_true(parked > SEQUENCES / 2);
	printf("# %u sequences, %llu sends, parked %llu times, %llu datagrams\n", SEQUENCES,
	       (unsigned long long)dl->d.io.tx_sends, (unsigned long long)parked,
	       (unsigned long long)dl->d.io.tx_datagrams);
}

/* A socket that is full at random: nothing is lost. */
static void test_full_sockets(void **state)
{
	(void)state;
	lossy = false;
	run();
}

/* Random losses too: every packet is delivered or counted as lost. */
static void test_losses(void **state)
{
	(void)state;
	lossy = true;
	run();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_full_sockets, dl_begin, dl_end),
		cmocka_unit_test_setup_teardown(test_losses, dl_begin, dl_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
