/*
 * t_ppk.c - post-quantum pre-shared keys (RFC 8784) between two whole peers: who uses one, who goes
 * on without, who is refused. SPDX-License-Identifier: ISC
 */
#include "one_conn.h"
#include "peers.h"
#include "task/exchanges.h"
#include "crypto/hash.h"

/* The keys of one side: its options, and the post-quantum keys of its `secrets`. */
struct side {
	const char *id; /* ppk_id; NULL: none */
	bool required;
	const char *keys[2][2]; /* identity and secret */
};

#define KEY                                               \
	{                                                 \
		{                                         \
			"quantum", "a key that both have" \
		}                                         \
	}
#define OTHERS                                           \
	{                                                \
		{                                        \
			"else", "a key for another peer" \
		}                                        \
	}
#define BOTH                                             \
	{                                                \
		{"quantum", "a key that both have"},     \
		{                                        \
			"else", "a key for another peer" \
		}                                        \
	}
#define CHANGED                                                      \
	{                                                            \
		{                                                    \
			"quantum", "a key that one side has changed" \
		}                                                    \
	}

static void configure(struct net *n, unsigned i, const struct side *s, conn_same *same)
{
	struct conn_conf *conf = peer_conf(n, i);
	struct conn_set set = one_conn(conf, "a secret that both have");
	struct psk_store *store = set.secrets;

	conf->ppk_id = s->id ? xstrdup(s->id) : NULL;
	conf->ppk_required = s->required;
	for (unsigned k = 0; k < 2 && s->keys[k][0]; k++) {
		const char *secret = s->keys[k][1];
		struct ppk *p;

		store->ppks = xreallocarray(store->ppks, k + 1, sizeof(*store->ppks));
		p = &store->ppks[store->ppk_count++];
		*p = (struct ppk){.len = strlen(secret), .secret = xmemdup(secret, strlen(secret))};
		strcpy(p->id, s->keys[k][0]);
	}
	tunnel_configure(n->peer[i].tunnel, &set, same, n->now);
	conn_unref(n->peer[i].conf);
	n->peer[i].conf = conf;
	conn_set_fini(&set);
}

/* Two peers with these keys; the branch has called. */
static struct net *called(const struct side *branch, const struct side *gw)
{
	struct options o = options_default();
	struct net *n;

	o.start = START_NONE;
	n = net_new(&o);
	configure(n, BRANCH, branch, NULL);
	configure(n, GW, gw, NULL);
	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_run(n, 2 * SEC);
	return n;
}

/* Both sides have an IKE SA with this post-quantum key ("": none), and traffic passes. */
static void assert_uses(struct net *n, const char *id)
{
	assert_true(net_is_up(n));
	assert_string_equal(ike_sa_ppk_id(peer_conn(n, BRANCH)->sa), id);
	assert_string_equal(ike_sa_ppk_id(peer_conn(n, GW)->sa), id);
	assert_memory_equal(&peer_conn(n, BRANCH)->sa->keys, &peer_conn(n, GW)->sa->keys,
			    sizeof(struct ike_keys));
	net_traffic(n, 0);
}

/* Who uses a key, by what both sides are configured with. "no": the IKE SA is refused. */
static void who_uses_one(void **state)
{
	static const struct {
		struct side branch, gw;
		const char *used;
	} rows[] = {
		{{"quantum", true, KEY}, {"quantum", true, KEY}, "quantum"},
		{{"quantum", false, KEY}, {"quantum", true, KEY}, "quantum"},
		{{"quantum", true, KEY}, {"quantum", false, KEY}, "quantum"},
		{{"quantum", false, KEY}, {"quantum", false, KEY}, "quantum"},
		{{"quantum", true, KEY}, {PPK_ANY, true, KEY}, "quantum"},
		/* one side has none */
		{{"quantum", false, KEY}, {0}, ""},
		{{"quantum", true, KEY}, {0}, "no"},
		{{0}, {"quantum", false, KEY}, ""},
		{{0}, {"quantum", true, KEY}, "no"},
		{{0}, {0}, ""},
		/* the gateway has keys, but not this one */
		{{"quantum", false, KEY}, {"else", false, OTHERS}, ""},
		{{"quantum", false, KEY}, {PPK_ANY, false, OTHERS}, ""},
		{{"quantum", true, KEY}, {"else", false, OTHERS}, "no"},
		{{"quantum", false, KEY}, {"else", true, OTHERS}, "no"},
		/* it has it, but for another connection */
		{{"quantum", false, KEY}, {"else", false, BOTH}, ""},
		{{"quantum", true, KEY}, {NULL, false, KEY}, "no"},
		/* two keys of one name: that is a wrong secret */
		{{"quantum", false, KEY}, {"quantum", false, CHANGED}, "no"},
		/* a caller must name one */
		{{PPK_ANY, false, KEY}, {"quantum", false, KEY}, ""},
		{{PPK_ANY, true, KEY}, {"quantum", false, KEY}, "no"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct net *n = called(&rows[i].branch, &rows[i].gw);

		if (strcmp(rows[i].used, "no") != 0) {
			assert_uses(n, rows[i].used);
		} else if (net_is_up(n)) {
			fail_msg("row %zu is let in", i);
		} else {
			assert_int_equal(peer_child_sas(n, GW), 0);
		}
		net_free(n);
	}
}

/* Changes the N(USE_PPK) of one side to another status notify, which nobody knows. */
static bool strip_use(struct net *n, unsigned from, struct datagram *d)
{
	static const uint8_t use[] = {0, 0, 0x40, 0x33};
	uint8_t *at = memmem(d->p, d->len, use, sizeof(use));

	if (from == *(unsigned *)n->hook_ctx && d->p[18] == IKE_SA_INIT && at)
		at[3] = 0xff;
	return true;
}

/*
 * Somebody on the path removes N(USE_PPK) from a message of IKE_SA_INIT. AUTH covers that message:
 * the IKE SA is refused, and is not made without the key.
 */
static void notify_is_not_stripped(void **state)
{
	static const struct side with = {"quantum", false, KEY};

	(void)state;
	for (unsigned from = 0; from < 2; from++) {
		struct options o = options_default();
		struct net *n;

		o.start = START_NONE;
		n = net_new(&o);
		configure(n, BRANCH, &with, NULL);
		configure(n, GW, &with, NULL);
		n->hook = strip_use;
		n->hook_ctx = &from;
		tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
		net_run(n, 2 * SEC);
		assert_false(net_is_up(n));
		assert_true(net_logged(n, "authentication"));
		n->hook = NULL;
		net_run(n, 30 * SEC);
		assert_uses(n, "quantum");
		net_free(n);
	}
}

/*
 * A responder that leaves out N(PPK_IDENTITY) goes on without the key, which a caller that requires
 * one refuses: here the gateway has the key when it answers IKE_SA_INIT, and no longer at IKE_AUTH.
 */
static void a_responder_cannot_leave_it_out(void **state)
{
	(void)state;
	for (unsigned required = 0; required < 2; required++) {
		const struct side with = {"quantum", required, KEY};
		struct net *n = called(&with, &with);
		struct ike_sa *sa = peer_conn(n, BRANCH)->sa;
		const struct ike_payloads without = {0};

		assert_uses(n, "quantum");
		sa_begin_handshake(sa);
		sa->handshake->no_ppk_keys = xmemdup(&sa->keys, sizeof(sa->keys));
		sa->handshake->no_ppk_keys->sk_d[0] ^= 1;
		assert_int_equal(ppk_on_response(sa, &without), !required);
		assert_string_equal(ike_sa_ppk_id(sa), required ? "quantum" : "");
		assert_true((sa->handshake->no_ppk_keys != NULL) == required);
		sa_end_handshake(sa);
		net_free(n);
	}
}

/* Every SA that comes of it inherits the key: rekeys from both sides, and a restart. */
static void rekeys_inherit(void **state)
{
	static const struct side with = {"quantum", true, KEY};
	struct net *n = called(&with, &with);

	(void)state;
	assert_uses(n, "quantum");
	for (unsigned i = 0; i < 2; i++) {
		ike_sa_rekey(peer_conn(n, i)->sa, n->now);
		net_run(n, SEC);
		assert_int_equal(peer_ike_sas(n, BRANCH), 1);
		assert_uses(n, "quantum");
		tunnel_child_rekey(peer_child(n, i, 0), n->now);
		net_run(n, SEC);
		assert_uses(n, "quantum");
	}
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(peer_restart(n, i), 1);
		assert_uses(n, "quantum");
	}
	net_free(n);
}

static void reload_notices(void **state)
{
	static const struct side with = {"quantum", false, KEY},
				 changed = {"quantum", false, CHANGED},
				 more = {"quantum", false, BOTH};
	struct net *n = called(&with, &with);
	uint64_t spi;

	(void)state;
	assert_uses(n, "quantum");
	spi = peer_conn(n, BRANCH)->sa->spi_i;
	configure(n, GW, &more, always_same);
	net_run(n, SEC);
	assert_uses(n, "quantum");
	assert_true(peer_conn(n, BRANCH)->sa->spi_i == spi);
	configure(n, GW, &changed, always_same);
	net_run(n, SEC);
	assert_false(net_is_up(n));
	net_free(n);
}

/*
 * The keys are those of RFC 8784 3, by an independent computation: prf+(PPK, SK_d'), of which one
 * block is taken, is prf(PPK, SK_d' | 0x01).
 */
static void keys_are_mixed(void **state)
{
	static const enum hash_alg prfs[] = {HASH_SHA256, HASH_SHA384, HASH_SHA512};
	static const uint8_t ppk[] = "a post-quantum key", one = 1;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(prfs); i++) {
		struct ike_keys with, without;
		uint8_t *const pairs[][2] = {{with.sk_d, without.sk_d},
					     {with.sk_pi, without.sk_pi},
					     {with.sk_pr, without.sk_pr}};

		for (size_t k = 0; k < sizeof(without); k++)
			((uint8_t *)&without)[k] = (uint8_t)(k * 7 + i);
		with = without;
		assert_int_equal(keymat_ppk(prfs[i], (struct chunk){ppk, sizeof(ppk)}, &with), 0);
		for (size_t k = 0; k < 3; k++) {
			const struct chunk parts[] = {{pairs[k][1], hash_len(prfs[i])}, {&one, 1}};
			uint8_t want[HASH_MAX_LEN];

			prf_compute(prfs[i], (struct chunk){ppk, sizeof(ppk)}, parts, 2, want);
			assert_memory_equal(pairs[k][0], want, hash_len(prfs[i]));
		}
		assert_memory_equal(with.sk_ei, without.sk_ei, sizeof(with.sk_ei));
		assert_memory_equal(with.sk_ar, without.sk_ar, sizeof(with.sk_ar));
	}
}

/* Messages are lost, doubled, late and out of order. */
static void lost_and_doubled(void **state)
{
	static const struct side with = {"quantum", true, KEY};

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct options o = options_default();
		struct net *n;

		o.start = START_NONE;
		o.seed = seed;
		n = net_new(&o);
		configure(n, BRANCH, &with, NULL);
		configure(n, GW, &with, NULL);
		n->loss = 300;
		n->dup = 300;
		n->reorder = 300;
		n->jitter = 300 * MSEC;
		tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
		net_until(n, net_is_up, 120 * SEC, "up");
		n->loss = n->dup = n->reorder = 0;
		net_run(n, 10 * SEC);
		assert_uses(n, "quantum");
		net_free(n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_mixed),
		cmocka_unit_test(who_uses_one),
		cmocka_unit_test(notify_is_not_stripped),
		cmocka_unit_test(a_responder_cannot_leave_it_out),
		cmocka_unit_test(rekeys_inherit),
		cmocka_unit_test(reload_notices),
		cmocka_unit_test(lost_and_doubled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
