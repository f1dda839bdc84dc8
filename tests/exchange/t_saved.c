/*
 * t_saved.c - peers do not notice a restart of the daemon: what one process saves and the next one
 * loads. SPDX-License-Identifier: ISC
 */
#include "peers.h"
#include "xalloc.h"

static void expect_none_lost(struct net *n)
{
	assert_int_equal(net_lost(n, GW, CHILDREN), 0);
	assert_int_equal(net_lost(n, BRANCH, CHILDREN), 0);
	assert_int_equal(n->peer[BRANCH].delivered_twice + n->peer[GW].delivered_twice, 0);
}

static bool is_quiet(struct net *n)
{
	return n->queue.count == 0;
}

static void stop_traffic(struct net *n)
{
	n->rate[BRANCH] = n->rate[GW] = 0;
	net_until(n, is_quiet, SEC, "the wire is empty");
}

/* ---- nonces: each (SPI, IV) at most once, ESP and IKE ---- */

#define SEEN_MAX 65536 /* a power of two */

struct seen {
	uint64_t v[SEEN_MAX];
	unsigned count, ike, twice;
};

static bool nonce_hook(struct net *n, unsigned from, struct datagram *d)
{
	struct seen *s = n->hook_ctx;
	uint64_t key, at;

	/*
	 * In an IKE message the IV follows the headers of the message and of its SK or SKF payload,
	 * with GCM as used here.
	 */
	if (d->esp ? d->len < 16
		   : d->len < 44 || (d->p[16] != PAYLOAD_SK && d->p[16] != PAYLOAD_SKF))
		return true;
	key = d->esp ? get_be64(d->p + 8) ^ (uint64_t)get_be32(d->p) << 17
		     : get_be64(d->p + (d->p[16] == PAYLOAD_SK ? 32 : 36)) ^ get_be64(d->p) << 1 ^
			       from;
	key = key * 0x9e3779b97f4a7c15u | 1;
	s->ike += !d->esp;
	for (at = key >> 40; s->v[at % SEEN_MAX]; at++) {
		if (s->v[at % SEEN_MAX] == key)
			s->twice++;
	}
	s->v[at % SEEN_MAX] = key;
	s->count++;
	assert_true(s->count < SEEN_MAX / 2);
	return true;
}

/* ---- no packet is lost ---- */

static unsigned conns_of(const struct net *n, unsigned i, bool dynamic)
{
	const struct tunnel_conn *c;
	unsigned count = 0;

	LIST_FOREACH (c, &n->peer[i].tunnel->conns, link)
		count += c->dynamic == dynamic;
	return count;
}

static void one_round(const struct options *o)
{
	struct seen *seen = xzalloc(sizeof(*seen));
	struct net *n = net_up(o);
	uint64_t ike = peer_conn(n, BRANCH)->sa->our_spi;

	n->hook = nonce_hook;
	n->hook_ctx = seen;
	n->rate[BRANCH] = n->rate[GW] = 1000;
	net_run(n, 700 * MSEC);
	for (unsigned i = 0; i < 6; i++) {
		struct esp_sa *sa = peer_sa(n, i % 2, 0);
		uint32_t spi = sa->spi;
		uint64_t number = sa->out.number, top = sa->in.window.top;
		unsigned fixed = conns_of(n, i % 2, false), dynamic = conns_of(n, i % 2, true);

		assert_int_equal(peer_restart(n, i % 2), 1);
		sa = peer_sa(n, i % 2, 0);
		assert_int_equal(sa->spi, spi);
		assert_int_equal(sa->out.number, number + ESP_SAVED_LEAP);
		assert_int_equal(sa->in.window.top, top);
		assert_int_equal(conns_of(n, i % 2, false), fixed);
		assert_int_equal(conns_of(n, i % 2, true), dynamic);
		ike_liveness(peer_conn(n, i % 2)->sa, 0, n->now);
		net_run(n, 700 * MSEC);
		assert_true(net_is_up(n));
	}
	stop_traffic(n);
	expect_none_lost(n);
	assert_int_equal(peer_conn(n, BRANCH)->sa->our_spi, ike);
	assert_in_range(seen->count, 7000, SEEN_MAX);
	assert_true(seen->ike >= 12);
	assert_int_equal(seen->twice, 0);
	net_free(n);
	free(seen);
}

static void nothing_is_lost(void **state)
{
	static const char *const esp[] = {"aes128gcm16-esn", "aes256-sha256-noesn",
					  "chacha20poly1305-x25519-noesn"};

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		struct options o = options_default();

		o.seed = 60 + i;
		o.esp = esp[i % 3];
		o.children = 1 + i % 3;
		o.branch_answers = i >= 3;
		/* With a pattern and an address, the gateway has two connections. */
		o.gw_any = i < 3 && i % 2;
		o.gw_calls = o.gw_any;
		one_round(&o);
	}
}

/*
 * Timers continue: rekeys of CHILD SAs and of the IKE SA come when they would have come without
 * restarts.
 */
static void rekeys_go_on(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.rekey = 60 * SEC;
	o.ike_rekey = 100 * SEC;
	n = net_up(&o);
	n->rate[BRANCH] = n->rate[GW] = 50;
	for (unsigned i = 0; i < 30; i++) {
		net_run(n, 20 * SEC + 300 * MSEC);
		assert_int_equal(peer_restart(n, i % 2), 1);
	}
	net_run(n, SEC);
	assert_true(net_is_up(n));
	stop_traffic(n);
	expect_none_lost(n);
	/* 600 s: each side rekeys every 54 to 60 s, with its own jitter. */
	assert_in_range(tunnel_sa_esp(peer_child(n, BRANCH, 0)->current)->in.packets, 1, 61 * 50);
	net_free(n);
}

/* The new process knows the packets that the old process recorded in the history. */
static void nothing_is_delivered_twice(void **state)
{
	struct options o = options_default();
	struct net *n = net_up(&o);
	uint64_t before;

	(void)state;
	n->rate[GW] = 1000;
	net_run(n, 5 * SEC);
	assert_int_equal(peer_restart(n, BRANCH), 1);
	stop_traffic(n);
	before = peer_sa(n, BRANCH, 0)->in.packets;
	assert_int_equal(
		history_lookup(&peer_sa(n, BRANCH, 0)->in.history, 2000, 1, &(uint32_t){0}),
		HISTORY_OTHER);
	gw_rewind(n, 0, 4000, false);
	n->rate[GW] = 1000;
	net_run(n, 5 * SEC);
	stop_traffic(n);
	/* A rewind to numbers that the old process received is proven, and costs no packet. */
	assert_int_equal(peer_recoveries(n, BRANCH), 1);
	assert_int_equal(last_record(n, 0)->criterion, CRITERION_PROOF);
	expect_none_lost(n);
	assert_true(before > 4900);
	net_free(n);
}

/*
 * A standby that is minutes behind sends on an SA that was replaced before the restart: the new
 * process recognizes this.
 */
static void replaced_sas_are_remembered(void **state)
{
	struct options o = options_default();
	struct net *n = net_up(&o);

	(void)state;
	n->rate[GW] = 200;
	net_run(n, 2 * SEC);
	stop_traffic(n);
	gw_keep(n, 0);
	tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
	net_run(n, 30 * SEC);
	assert_int_equal(peer_restart(n, BRANCH), 1);
	net_run(n, 60 * SEC);
	ike_child_drop(peer_child(n, GW, 0)->current->ike, "a standby never had it", n->now);
	gw_take_over(n, 0);
	n->rate[GW] = 200;
	net_run(n, 20 * SEC);
	assert_non_null(last_record(n, 0));
	assert_int_equal(last_record(n, 0)->criterion, CRITERION_OLDER_SA);
	net_free(n);
}

/* ---- what cannot continue ---- */

/*
 * The response to a rekey does not arrive: the old process waits for 2 s, and the new process makes
 * the tunnel again.
 */
static void what_is_under_way_is_made_anew(void **state)
{
	struct options o = options_default();
	struct net *n = net_up(&o);
	uint64_t ike = peer_conn(n, BRANCH)->sa->our_spi;
	nsec_t since;

	(void)state;
	n->cut_ike[GW] = n->now + 8 * SEC;
	tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
	net_run(n, 10 * MSEC);
	since = n->now;
	assert_int_equal(peer_restart(n, BRANCH), 0);
	assert_in_range(n->now - since, 2 * SEC, 2 * SEC + 10 * MSEC);
	net_run(n, 15 * SEC);
	assert_true(net_is_up(n));
	assert_true(peer_conn(n, BRANCH)->sa->our_spi != ike);
	assert_int_equal(peer_ike_sas(n, GW), 1);
	net_free(n);
}

/*
 * Three requests are queued, each of which takes 0.8 s. The old process waits only for the first
 * one and the DELETE that is part of it; the new process begins the other two.
 */
static void what_has_not_begun_is_held(void **state)
{
	struct options o = options_default();
	struct net *n;
	uint64_t ike;
	uint32_t spi;
	nsec_t since;

	(void)state;
	o.delay = 400 * MSEC;
	o.children = 2;
	n = net_up(&o);
	net_run(n, 5 * SEC);
	n->rate[BRANCH] = n->rate[GW] = 500;
	ike = peer_conn(n, BRANCH)->sa->our_spi;
	spi = peer_sa(n, BRANCH, 1)->spi;
	since = n->now;
	tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
	net_run(n, MSEC);
	tunnel_child_rekey(peer_child(n, BRANCH, 1), n->now);
	ike_sa_rekey(peer_conn(n, BRANCH)->sa, n->now);
	assert_int_equal(peer_restart(n, BRANCH), 1);
	assert_in_range(n->now - since, 1600 * MSEC, 1700 * MSEC);
	assert_int_equal(peer_conn(n, BRANCH)->sa->our_spi, ike);
	assert_int_equal(peer_sa(n, BRANCH, 1)->spi, spi);
	net_run(n, 10 * SEC);
	assert_true(peer_conn(n, BRANCH)->sa->our_spi != ike);
	assert_true(peer_sa(n, BRANCH, 1)->spi != spi);
	stop_traffic(n);
	expect_none_lost(n);
	net_free(n);
}

/* Restarts the branch after `change`: its IKE SA ends, and the tunnel is made again. */
static void ends_at_a_restart(void (*change)(struct net *n))
{
	struct options o = options_default();
	struct net *n = net_up(&o);
	uint64_t ike = peer_conn(n, BRANCH)->sa->our_spi;
	uint8_t *room = xreallocarray(NULL, 1, SAVED_ROOM);
	unsigned conns;
	struct chunk saved = peer_save(n, BRANCH, room, SAVED_ROOM, &conns);

	change(n);
	assert_int_equal(peer_load(n, BRANCH, saved), 0);
	net_until(n, net_is_up, 5 * SEC, "the tunnel is made again");
	assert_int_equal(peer_ike_sas(n, GW), 1);
	assert_true(peer_conn(n, BRANCH)->sa->our_spi != ike);
	free(room);
	net_free(n);
}

static void another_lifetime(struct net *n)
{
	n->o.ike_rekey = 3 * 3600 * SEC;
}

/* The configuration of the connection has changed at the restart. */
static void what_has_changed_ends(void **state)
{
	(void)state;
	ends_at_a_restart(another_lifetime);
}

static void another_secret(struct net *n)
{
	n->o.psk_branch = n->o.psk_gw = "another secret";
	peer_configure(n, GW, n->peer[GW].conf, NULL);
}

/* The secret of the peer has changed at the restart, on both sides. */
static void changed_secret_ends(void **state)
{
	(void)state;
	ends_at_a_restart(another_secret);
}

/* A message that went out in several datagrams is saved and loaded with all of them. */
static void messages_keep_their_parts(void **state)
{
	uint8_t bytes[] = {1, 2, 3}, more[] = {4}, room[64];
	struct sent_part parts[] = {{bytes, sizeof(bytes)}, {more, sizeof(more)}};
	const struct sent_message two = {.part = parts, .count = ARRAY_SIZE(parts)};
	struct sent_message again = {0};
	struct writer w;
	struct reader r;

	(void)state;
	wr_init(&w, room, sizeof(room));
	sent_save(&two, &w);
	rd_init(&r, room, w.len);
	sent_load(&again, &r);
	assert_true(rd_done(&r));
	assert_int_equal(again.count, 2);
	for (unsigned i = 0; i < again.count; i++) {
		assert_int_equal(again.part[i].len, parts[i].len);
		assert_memory_equal(again.part[i].p, parts[i].p, parts[i].len);
	}
	sent_set(&again, more, sizeof(more));
	assert_int_equal(again.count, 1);
	rd_init(&r, room, w.len - 1);
	sent_clear(&again);
	sent_load(&again, &r);
	assert_true(r.bad);
	assert_int_equal(again.count, 1);
	sent_clear(&again);
}

/* Whatever the saved bytes are, the worst result is that the tunnel is made again. */
static void any_bytes_are_survived(void **state)
{
	struct options o = options_default();
	uint8_t *room = xreallocarray(NULL, 1, SAVED_ROOM), *copy;
	struct seeded rng;
	struct chunk saved;
	struct net *n;
	unsigned conns;

	(void)state;
	seeded_init(&rng, 99);
	o.children = 2;
	n = net_up(&o);
	n->rate[GW] = 500;
	net_run(n, 2 * SEC);
	tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
	net_run(n, SEC);
	stop_traffic(n);
	saved = peer_save(n, BRANCH, room, SAVED_ROOM, &conns);
	copy = xmemdup(saved.p, saved.len);
	for (unsigned i = 0; i < 1500; i++) {
		size_t len = i % 3 ? saved.len : rng_below(&rng.rng, saved.len);
		/*
		 * Mostly in the first part, with its counts and lengths, and not in the entries of
		 * a history.
		 */
		size_t at = rng_below(&rng.rng, i % 2 ? 1200 : saved.len);

		memcpy(room, copy, saved.len);
		if (i % 3)
			room[at] ^= (uint8_t)(1 + rng_below(&rng.rng, 255));
		(void)peer_load(n, BRANCH, (struct chunk){room, len});
		tunnel_turn(n->peer[BRANCH].tunnel, n->now);
		assert_null(tunnel_check(n->peer[BRANCH].tunnel));
	}
	net_drop_queued(n);
	assert_int_equal(peer_load(n, BRANCH, (struct chunk){copy, 3}), -EBADMSG);
	net_until(n, net_is_up, 200 * SEC, "the tunnel is made anew");
	free(copy);
	free(room);
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost),
		cmocka_unit_test(rekeys_go_on),
		cmocka_unit_test(nothing_is_delivered_twice),
		cmocka_unit_test(replaced_sas_are_remembered),
		cmocka_unit_test(what_is_under_way_is_made_anew),
		cmocka_unit_test(what_has_not_begun_is_held),
		cmocka_unit_test(what_has_changed_ends),
		cmocka_unit_test(messages_keep_their_parts),
		cmocka_unit_test(changed_secret_ends),
		cmocka_unit_test(any_bytes_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
