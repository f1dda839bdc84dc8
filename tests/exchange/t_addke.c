/*
 * t_addke.c - additional key exchanges (RFC 9242, RFC 9370) between two whole peers:
 * IKE_INTERMEDIATE before IKE_AUTH, IKE_FOLLOWUP_KE after CREATE_CHILD_SA. SPDX-License-Identifier:
 * ISC
 */
#include "peers.h"
#include "sa/followups.h"
#include "task/exchanges.h"
#include "crypto/aead.h"

#define IKE_TWO "aes128gcm16-prfsha256-x25519-ke1_ecp256-ke3_ecp384"
#define ESP_TWO "aes128gcm16-x25519-ke1_ecp384-ke2_ecp256-noesn"

static void assert_same_keys(struct net *n)
{
	assert_memory_equal(&peer_conn(n, BRANCH)->sa->keys, &peer_conn(n, GW)->sa->keys,
			    sizeof(struct ike_keys));
}

static struct options options_with(const char *ike, const char *esp)
{
	struct options o = options_default();

	o.ike = ike;
	o.esp = esp;
	return o;
}

/* The key exchanges of an SA's choice, as the status shows them. */
static const char *kex_of(const struct proposal_choice *c)
{
	static char text[128];

	return choice_format_kex(c, text, sizeof(text));
}

/* ---- what is agreed on ---- */

/* One to six of them, of every group; all SAs have them after rekeys from both sides, too. */
static void one_to_six(void **state)
{
	static const char *const words[] = {"ecp256", "modp2048", "ecp384", "modp3072",
					    "ecp521", "modp4096", "x25519"};
	char ike[256] = "aes256-sha384-x25519", esp[256] = "aes128gcm16-x25519";

	(void)state;
	for (unsigned k = 1; k <= 6; k++) {
		struct options o;
		struct net *n;
		size_t at = strlen(ike);

		snprintf(ike + at, sizeof(ike) - at, "-ke%u_%s", k, words[k - 1]);
		at = strlen(esp);
		snprintf(esp + at, sizeof(esp) - at, "-ke%u_%s", 8 - k, words[k - 1]);
		o = options_with(ike, esp);
		n = net_up(&o);
		assert_int_equal(ike_sa_next_id(peer_conn(n, BRANCH)->sa), 2 + k);
		assert_int_equal(choice_addke(&peer_conn(n, GW)->sa->choice, k), GROUP_NONE);
		assert_int_not_equal(choice_addke(&peer_conn(n, GW)->sa->choice, k - 1),
				     GROUP_NONE);
		assert_same_keys(n);
		net_traffic(n, 0);
		for (unsigned i = 0; i < 2; i++) {
			ike_sa_rekey(peer_conn(n, i)->sa, n->now);
			net_run(n, SEC);
			assert_int_equal(peer_ike_sas(n, BRANCH), 1);
			assert_int_equal(peer_ike_sas(n, GW), 1);
			assert_int_not_equal(choice_addke(&peer_conn(n, i)->sa->choice, k - 1),
					     GROUP_NONE);
			assert_same_keys(n);
			tunnel_child_rekey(peer_child(n, i, 0), n->now);
			net_run(n, SEC);
			assert_int_equal(peer_child(n, i, 0)->rekeys, i + 1);
			assert_int_not_equal(
				choice_addke(&peer_child(n, i, 0)->current->ike->choice, k - 1),
				GROUP_NONE);
			assert_true(net_agrees(n));
			net_traffic(n, 0);
		}
		net_free(n);
	}
}

/* NULL: no IKE SA. */
static const struct {
	const char *branch, *gw, *agreed;
} rows[] = {
	{"x25519-ke1_ecp256", "x25519-ke1_ecp256", "x25519 + ecp256"},
	{"x25519-ke1_ecp256", "x25519", NULL},
	{"x25519", "x25519-ke1_ecp256", NULL},
	{"x25519-ke1_ecp256-ke1_none", "x25519", "x25519"},
	{"x25519", "x25519-ke1_ecp256-ke1_none", "x25519"},
	{"x25519-ke1_ecp256-ke1_none", "x25519-ke1_ecp256-ke1_none", "x25519 + ecp256"},
	{"x25519-ke1_none", "x25519", "x25519"},
	{"x25519-ke1_ecp256-ke1_ecp384", "x25519-ke1_ecp384", "x25519 + ecp384"},
	{"x25519-ke1_ecp256", "x25519-ke2_ecp256", NULL},
	{"x25519-ke1_ecp256-ke1_none-ke2_ecp384", "x25519-ke2_ecp384", "x25519 + ecp384"},
	/* each method is used once, RFC 9370 2.2.1 */
	{"x25519-ke1_x25519", "x25519-ke1_x25519", NULL},
	{"x25519-ke1_ecp256-ke2_ecp256-ke2_ecp384", "x25519-ke1_ecp256-ke2_ecp256-ke2_ecp384",
	 "x25519 + ecp256 + ecp384"},
};

static void what_is_agreed_on(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct options o = options_default();
		char branch[160], gw[160];
		struct net *n;

		snprintf(branch, sizeof(branch), "aes128-sha256-%s", rows[i].branch);
		snprintf(gw, sizeof(gw), "aes128-sha256-%s", rows[i].gw);
		o.ike = branch;
		o.ike_gw = gw;
		n = net_new(&o);
		net_run(n, 3 * SEC);
		if (net_is_up(n) != (rows[i].agreed != NULL))
			fail_msg("row %zu: %s", i, rows[i].branch);
		if (rows[i].agreed) {
			assert_string_equal(kex_of(&peer_conn(n, BRANCH)->sa->choice),
					    rows[i].agreed);
			assert_string_equal(kex_of(&peer_conn(n, GW)->sa->choice), rows[i].agreed);
			assert_true(net_logged(n, rows[i].agreed));
			net_traffic(n, 0);
		}
		net_free(n);
	}
}

/* ML-KEM beside a classic group, in IKE SAs and CHILD SAs, with rekeys from both sides. */
static void ml_kem(void **state)
{
	static const char *const sizes[] = {"mlkem512", "mlkem768", "mlkem1024"};

	(void)state;
	if (!kex_available(GROUP_ML_KEM_768)) {
		struct proposal p;
		char err[PROPOSAL_ERR];

		print_message("# this is OpenSSL %s: ML-KEM is refused\n", kex_library());
		for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
			char text[96];

			snprintf(text, sizeof(text), "aes256gcm16-prfsha384-x25519-ke1_%s",
				 sizes[i]);
			assert_true(proposal_parse_text(text, PROTOCOL_IKE, &p, err) < 0);
			assert_non_null(strstr(err, "needs OpenSSL 3.5"));
		}
		return;
	}
	for (unsigned k = 0; k < 3; k++) {
		char ike[128], esp[128], both[128];
		struct options o;
		struct net *n;

		snprintf(ike, sizeof(ike), "aes256gcm16-prfsha384-x25519-ke1_%s", sizes[k]);
		snprintf(esp, sizeof(esp), "aes128gcm16-ecp256-ke1_%s-ke2_x25519-noesn",
			 sizes[2 - k]);
		snprintf(both, sizeof(both), "x25519 + %s", sizes[k]);
		o = options_with(ike, esp);
		n = net_up(&o);
		for (unsigned i = 0; i < 2; i++) {
			assert_string_equal(kex_of(&peer_conn(n, i)->sa->choice), both);
			ike_sa_rekey(peer_conn(n, i)->sa, n->now);
			net_run(n, SEC);
			tunnel_child_rekey(peer_child(n, i, 0), n->now);
			net_run(n, SEC);
			assert_int_equal(peer_child(n, i, 0)->rekeys, i + 1);
			assert_same_keys(n);
			assert_true(net_agrees(n));
			net_traffic(n, 0);
		}
		net_free(n);
	}
}

/* By default with ML-KEM where libcrypto has it, and with a peer that knows nothing of it without.
 */
static void by_default(void **state)
{
	const char *hybrid = kex_available(GROUP_ML_KEM_768) ? "x25519 + mlkem768" : "x25519";
	static const char *const peers[] = {"default", "aes256gcm16-prfsha384-x25519"};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(peers) * 2; i++) {
		struct options o = options_default();
		struct net *n;

		o.ike = i % 2 ? peers[i / 2] : "default";
		o.ike_gw = i % 2 ? "default" : peers[i / 2];
		n = net_up(&o);
		assert_string_equal(kex_of(&peer_conn(n, GW)->sa->choice),
				    i / 2 ? "x25519" : hybrid);
		ike_sa_rekey(peer_conn(n, BRANCH)->sa, n->now);
		net_run(n, SEC);
		assert_string_equal(kex_of(&peer_conn(n, GW)->sa->choice),
				    i / 2 ? "x25519" : hybrid);
		net_traffic(n, 0);
		net_free(n);
	}
	print_message("# the default proposals agree on %s\n", hybrid);
}

/* The same in CREATE_CHILD_SA. */
static void what_a_child_agrees_on(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct options o = options_default();
		char branch[160], gw[160];
		struct net *n;

		snprintf(branch, sizeof(branch), "aes128gcm16-%s-noesn", rows[i].branch);
		snprintf(gw, sizeof(gw), "aes128gcm16-%s-noesn", rows[i].gw);
		o.esp = branch;
		o.esp_gw = gw;
		n = net_up(&o);
		tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
		net_run(n, SEC);
		if (rows[i].agreed)
			assert_string_equal(kex_of(&peer_child(n, GW, 0)->current->ike->choice),
					    rows[i].agreed);
		else
			assert_true(net_logged(n, "NO_PROPOSAL_CHOSEN"));
		net_free(n);
	}
}

/* Cookies and another first group come before: the additional ones are as they would be without. */
static void after_cookie_and_other_group(void **state)
{
	struct options o = options_default();
	struct net *n;

	(void)state;
	o.ike = "aes128-sha256-ecp256-x25519-ke1_modp2048-ke2_ecp384";
	o.ike_gw = "aes128-sha256-x25519-ke1_modp2048-ke2_ecp384";
	o.set.cookie_threshold = 0;
	n = net_up(&o);
	assert_string_equal(kex_of(&peer_conn(n, BRANCH)->sa->choice),
			    "x25519 + modp2048 + ecp384");
	assert_same_keys(n);
	net_traffic(n, 0);
	net_free(n);
}

/* ---- a man in the middle ---- */

static bool strip_support(struct net *n, unsigned from, struct datagram *d)
{
	static const uint8_t support[] = {0, 0, 0x40, 0x36};
	uint8_t *at = memmem(d->p, d->len, support, sizeof(support));

	if (!d->esp && from == *(unsigned *)n->hook_ctx && d->p[18] == IKE_SA_INIT && at)
		at[3] = 0xff; /* another status notify, which nobody knows */
	return true;
}

/*
 * Somebody on the path removes N(INTERMEDIATE_EXCHANGE_SUPPORTED): with additional key exchanges
 * that are optional, both sides go on without, until AUTH, which covers IKE_SA_INIT, shows it.
 */
static void downgrade_is_noticed(void **state)
{
	static const char *const ike[] = {"aes128-sha256-x25519-ke1_ecp256",
					  "aes128-sha256-x25519-ke1_ecp256-ke1_none"};

	(void)state;
	for (unsigned from = 0; from < 2; from++) {
		for (size_t i = 0; i < ARRAY_SIZE(ike); i++) {
			struct options o = options_with(ike[i], NULL);
			struct net *n = net_new(&o);

			n->hook = strip_support;
			n->hook_ctx = &from;
			net_run(n, 60 * SEC);
			assert_int_equal(peer_child_sas(n, BRANCH), 0);
			assert_int_equal(peer_child_sas(n, GW), 0);
			n->hook = NULL;
			net_until(n, net_is_up, 60 * SEC, "up");
			assert_string_equal(kex_of(&peer_conn(n, GW)->sa->choice),
					    "x25519 + ecp256");
			net_free(n);
		}
	}
}

/* ---- the octets of AUTH, and the keys, by an independent computation ---- */

struct observed {
	unsigned messages;
	uint8_t intauth[2][HASH_MAX_LEN];
	struct ike_keys before; /* of the branch, when a request goes out */
	bool checked_auth, checked_keys;
};

/* The payloads inside SK, decrypted with this key; aes128gcm16: IV 8, ICV 16 bytes. */
static size_t decrypt(const struct datagram *d, const uint8_t *sk_e, uint8_t *out)
{
	const struct suite *s = suite_find(ENCR_AES_GCM_16, 128, 0);
	struct aead_key *k = aead_key_new(s, sk_e, NULL);
	struct aead_op op = {.key = k,
			     .aad = d->p,
			     .aad_len = 32,
			     .iv = d->p + 32,
			     .src = d->p + 40,
			     .dst = out,
			     .len = d->len - 40 - 16,
			     .icv = d->p + d->len - 16};

	aead_open_many(&op, 1);
	assert_true(op.ok);
	aead_key_free(k);
	return op.len - 1 - out[op.len - 1];
}

/* IntAuth_*n = prf(SK_p, IntAuth_*(n-1) | A | P), RFC 9242 3.3.1. */
static void observe_message(struct observed *o, const struct datagram *d, bool request,
			    const struct ike_keys *k)
{
	uint8_t text[2048], a[32];
	size_t len = decrypt(d, request ? k->sk_ei : k->sk_er, text);
	uint8_t *own = o->intauth[request ? 0 : 1];
	const struct chunk parts[] = {{own, o->messages >= 2 ? 32 : 0}, {a, 32}, {text, len}};

	memcpy(a, d->p, 32);
	put_be32(a + 24, (uint32_t)(32 + len));
	put_be16(a + 30, (uint16_t)(4 + len));
	prf_compute(HASH_SHA256, (struct chunk){request ? k->sk_pi : k->sk_pr, 32}, parts, 3, own);
	o->messages++;
}

/* SK_d(n) is the first block of prf+(SKEYSEED(n), Ni | Nr | SPIi | SPIr), RFC 9370 2.2.2. */
static void check_keys(struct observed *o, const struct ike_sa *branch, const struct ike_sa *gw,
		       const struct datagram *d)
{
	const struct handshake *hs = branch->handshake;
	uint8_t text[2048], secret[KEX_MAX_SECRET], seed[32], want[32], spis[16];
	static const uint8_t one = 1;
	size_t len, text_len = decrypt(d, gw->keys.sk_er, text);
	struct chunk ni = nonce_chunk(&hs->ni), nr = nonce_chunk(&hs->nr);

	assert_int_equal(kex_derive(hs->kex, (struct chunk){text + 8, text_len - 8}, secret, &len),
			 0);
	{
		const struct chunk parts[] = {{secret, len}, ni, nr};

		prf_compute(HASH_SHA256, (struct chunk){gw->keys.sk_d, 32}, parts, 3, seed);
	}
	put_be64(spis, branch->spi_i);
	put_be64(spis + 8, branch->spi_r);
	{
		const struct chunk parts[] = {ni, nr, {spis, 16}, {&one, 1}};

		prf_compute(HASH_SHA256, (struct chunk){seed, 32}, parts, 4, want);
	}
	memcpy(o->before.sk_d, want, 32); /* what the branch must have when it goes on */
}

static bool observe(struct net *n, unsigned from, struct datagram *d)
{
	struct observed *o = n->hook_ctx;
	struct ike_sa *branch = n->peer[BRANCH].tunnel->ike->sas,
		      *gw = n->peer[GW].tunnel->ike->sas;

	if (d->esp || !branch || !gw || branch->state == IKE_STATE_ESTABLISHED)
		return true;
	if (d->p[18] == IKE_INTERMEDIATE && from == BRANCH) {
		if (o->messages) {
			assert_memory_equal(branch->keys.sk_d, o->before.sk_d, 32);
			o->checked_keys = true;
		}
		observe_message(o, d, true, &branch->keys);
	} else if (d->p[18] == IKE_INTERMEDIATE) {
		observe_message(o, d, false, &gw->keys);
		check_keys(o, branch, gw, d);
	} else if (d->p[18] == IKE_AUTH && from == BRANCH) {
		const struct handshake *hs = branch->handshake;

		assert_int_equal(hs->intauth_len, 68);
		assert_memory_equal(hs->intauth, o->intauth[0], 32);
		assert_memory_equal(hs->intauth + 32, o->intauth[1], 32);
		assert_memory_equal(hs->intauth + 64, d->p + 20, 4);
		assert_memory_equal(branch->keys.sk_d, o->before.sk_d, 32);
		o->checked_auth = true;
	}
	return true;
}

static void octets_and_keys(void **state)
{
	struct options o = options_with(IKE_TWO, NULL);
	struct observed seen = {0};
	struct net *n = net_new(&o);

	(void)state;
	n->hook = observe;
	n->hook_ctx = &seen;
	net_until(n, net_is_up, 5 * SEC, "up");
	assert_int_equal(seen.messages, 4);
	assert_true(seen.checked_auth && seen.checked_keys);
	net_free(n);
}

/* SKEYSEED and KEYMAT of rekeys, RFC 9370 2.2.4. */
static void keys_of_rekeys(void **state)
{
	static const uint8_t one = 1, sk_d[32] = {7}, b[] = "SK(0)SK(1)!SK(2)!!NiNi+NrNr";
	const struct chunk sk0 = {b, 5}, sk1 = {b + 5, 6}, sk2 = {b + 11, 7}, ni = {b + 18, 5},
			   nr = {b + 23, 4}, key = {sk_d, 32};
	const struct chunk seed[] = {sk0, ni, nr, sk1, sk2};
	const struct chunk keymat[] = {sk0, ni, nr, sk1, sk2, {&one, 1}};
	const struct suite *s = suite_find(ENCR_AES_GCM_16, 128, 0);
	struct kex_secrets secrets = {0};
	struct child_keys keys;
	uint8_t got[32], want[32];

	(void)state;
	kex_secrets_add(&secrets, sk0);
	kex_secrets_add(&secrets, sk1);
	kex_secrets_add(&secrets, sk2);
	keymat_rekey_skeyseed(HASH_SHA256, sk_d, &secrets, ni, nr, got);
	prf_compute(HASH_SHA256, key, seed, 5, want);
	assert_memory_equal(got, want, 32);
	assert_int_equal(keymat_child(HASH_SHA256, s, sk_d, &secrets, ni, nr, &keys), 0);
	prf_compute(HASH_SHA256, key, keymat, 6, want);
	assert_memory_equal(keys.enc_i, want, 20);
	assert_memory_equal(keys.enc_r, want + 20, 12);
}

/* ---- messages that are lost, doubled, late ---- */

struct trouble {
	uint8_t exchange;
	unsigned from, which; /* the which-th message of this exchange by this side, from 0 on */
	enum { LOST, DOUBLED, LATE, FORMS } form;
	unsigned seen;
	struct datagram late;
	uint8_t bytes[4096];
	bool hit;
};

static bool trouble_hook(struct net *n, unsigned from, struct datagram *d)
{
	struct trouble *t = n->hook_ctx;

	if (d->esp || d->p[18] != t->exchange || from != t->from || t->seen++ != t->which)
		return true;
	t->hit = true;
	if (t->form == LOST)
		return false;
	/* A second copy comes later, after what follows it. */
	memcpy(t->bytes, d->p, d->len);
	t->late = *d;
	t->late.p = t->bytes;
	return t->form == DOUBLED;
}

/* Runs until the trouble is over, and asserts that both sides agree. */
static void ride_out(struct net *n, struct trouble *t)
{
	net_run(n, t->form == LATE ? 5 * SEC : 300 * MSEC);
	if (t->late.p)
		net_release(n, &t->late);
	net_run(n, 20 * SEC);
	n->hook = NULL;
	assert_true(t->hit);
	assert_true(net_agrees(n));
	assert_same_keys(n);
	net_traffic(n, 0);
}

/* Each of the first `count` datagrams of IKE_INTERMEDIATE from either side has each trouble. */
static void trouble_intermediates(enum fragmentation fragmentation, unsigned count)
{
	for (unsigned i = 0; i < 2 * count * FORMS; i++) {
		struct options o = options_with(IKE_TWO, NULL);
		struct trouble t = {.exchange = IKE_INTERMEDIATE,
				    .from = i & 1,
				    .which = (i >> 1) % count,
				    .form = i / (2 * count)};
		struct net *n;

		o.fragmentation = fragmentation;
		n = net_new(&o);
		n->hook = trouble_hook;
		n->hook_ctx = &t;
		ride_out(n, &t);
		net_free(n);
	}
}

/* The keys of a message are those of its exchange, also when it is sent again in smaller fragments.
 */
static void intermediates_in_fragments(void **state)
{
	(void)state;
	trouble_intermediates(FRAGMENTATION_FORCE, 4);
}

static bool narrow_path(struct net *n, unsigned from, struct datagram *d)
{
	(void)n;
	return d->esp || from != GW || d->p[18] != IKE_INTERMEDIATE || d->len <= 576;
}

/* A response that is too long for the path is divided when its request comes again. */
static void long_response_is_divided(void **state)
{
	struct options o = options_with("aes128-sha256-x25519-ke1_modp4096-ke2_modp3072", NULL);
	struct net *n;

	(void)state;
	o.fragment_size = 1280;
	n = net_new(&o);
	n->hook = narrow_path;
	net_until(n, net_is_up, 25 * SEC, "up");
	assert_same_keys(n);
	net_free(n);
}

/* A man in the middle who has the keys of the first exchange, and changes what is in it. */
static void auth_covers_them(void **state)
{
	(void)state;
	for (unsigned side = 0; side < 2; side++) {
		struct options o = options_with(IKE_TWO, NULL);
		struct net *n = net_new(&o);

		net_run(n, 3 * MSEC); /* IKE_SA_INIT, and the first IKE_INTERMEDIATE request */
		while (n->peer[side].tunnel->ike->sas &&
		       n->peer[side].tunnel->ike->sas->handshake &&
		       !n->peer[side].tunnel->ike->sas->handshake->addke_done)
			net_run(n, MSEC / 4);
		n->peer[side].tunnel->ike->sas->handshake->intauth[5] ^= 1;
		net_run(n, 500 * MSEC);
		assert_false(net_is_up(n));
		assert_true(net_logged(n, "authentication"));
		net_free(n);
	}
}

static void each_intermediate_message(void **state)
{
	(void)state;
	trouble_intermediates(options_default().fragmentation, 2);
}

static void each_followup_message(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * 2 * 2 * 2 * FORMS; i++) {
		struct options o = options_with(IKE_TWO, ESP_TWO);
		struct trouble t = {.exchange = IKE_FOLLOWUP_KE,
				    .from = i & 1,
				    .which = i >> 1 & 1,
				    .form = i / 16};
		unsigned side = i >> 2 & 1;
		struct net *n = net_up(&o);

		n->hook = trouble_hook;
		n->hook_ctx = &t;
		if (i >> 3 & 1)
			ike_sa_rekey(peer_conn(n, side)->sa, n->now);
		else
			tunnel_child_rekey(peer_child(n, side, 0), n->now);
		ride_out(n, &t);
		net_free(n);
	}
}

/* Loss, copies and disorder of everything, while both sides rekey. */
static void bad_network(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct options o = options_with(IKE_TWO, ESP_TWO);
		struct net *n;

		o.seed = seed;
		n = net_new(&o);
		n->loss = n->dup = n->reorder = 200;
		n->jitter = 200 * MSEC;
		net_until(n, net_is_up, 200 * SEC, "up");
		for (unsigned i = 0; i < 4; i++) {
			struct tunnel_conn *c = peer_conn(n, i & 1);
			struct tunnel_child *k = peer_child(n, i >> 1, 0);

			if (c && c->sa)
				ike_sa_rekey(c->sa, n->now);
			net_run(n, seed * 37 % 400 * MSEC);
			tunnel_child_rekey(k, n->now);
			net_run(n, 5 * SEC);
		}
		n->loss = n->dup = n->reorder = 0;
		net_run(n, 200 * SEC);
		assert_true(net_is_up(n));
		assert_true(net_agrees(n));
		net_traffic(n, 0);
		net_free(n);
	}
}

/* ---- collisions ---- */

static bool hold_back(struct net *n, unsigned from, struct datagram *d)
{
	(void)d;
	n->o.delay = ((const nsec_t *)n->hook_ctx)[from];
	return true;
}

/* Both sides rekey the same SA, with messages that cross in every order. */
static void rekeys_collide(void **state)
{
	static const nsec_t delays[] = {1 * MSEC, 3 * MSEC, 20 * MSEC, 70 * MSEC, 700 * MSEC},
			    gaps[] = {0, 1 * MSEC, 2 * MSEC, 4 * MSEC, 30 * MSEC, 100 * MSEC};

	(void)state;
	for (unsigned i = 0; i < 2 * 5 * 5 * 6; i++) {
		nsec_t delay[2] = {delays[i / 2 % 5], delays[i / 10 % 5]};
		struct options o = options_with(IKE_TWO, ESP_TWO);
		struct net *n;

		o.seed = i + 1;
		n = net_up(&o);
		n->hook = hold_back;
		n->hook_ctx = delay;
		for (unsigned side = 0; side < 2; side++) {
			if (i & 1)
				ike_sa_rekey(peer_conn(n, side)->sa, n->now);
			else
				tunnel_child_rekey(peer_child(n, side, 0), n->now);
			net_run(n, gaps[i / 50]);
		}
		net_run(n, 40 * SEC);
		n->hook = NULL;
		n->o.delay = MSEC;
		net_run(n, SEC);
		assert_int_equal(peer_ike_sas(n, BRANCH), 1);
		assert_int_equal(peer_ike_sas(n, GW), 1);
		assert_int_equal(peer_child_sas(n, BRANCH), 1);
		assert_true(net_agrees(n));
		net_traffic(n, 0);
		net_free(n);
	}
}

/* ---- hostile peers ---- */

/* Sends `b` to the gateway as the branch's next request on its IKE SA. */
static void request(struct net *n, struct ike_sa *sa, uint8_t exchange, struct ike_builder *b)
{
	const struct ike_header h = {.spi_i = sa->spi_i,
				     .spi_r = sa->spi_r,
				     .exchange = exchange,
				     .flags = sa->initiator ? IKE_FLAG_INITIATOR : 0,
				     .message_id = sa->window.next_id++};
	uint8_t msg[4096];
	size_t len = sk_seal(sa, &h, b, msg, sizeof(msg));

	assert_true(len > 0);
	net_inject(n, GW, false, msg, (uint32_t)len);
}

static bool no_requests(struct net *n, unsigned from, struct datagram *d)
{
	uint8_t exchange = *(uint8_t *)n->hook_ctx;

	return d->esp || from != BRANCH || d->p[18] != exchange;
}

/* A branch whose IKE_INTERMEDIATE requests are lost: the half-open SA is the test's. */
static struct net *half_open(struct options *o)
{
	static uint8_t exchange = IKE_INTERMEDIATE;
	struct net *n;

	*o = options_with(IKE_TWO, NULL);
	n = net_new(o);
	n->hook = no_requests;
	n->hook_ctx = &exchange;
	net_run(n, 100 * MSEC);
	assert_int_equal(n->peer[GW].tunnel->ike->half_open, 1);
	assert_int_equal(n->peer[BRANCH].tunnel->ike->sas->state, IKE_STATE_AUTH_SENT);
	n->peer[BRANCH].tunnel->ike->sas->window.next_id--; /* as if it were not asked yet */
	return n;
}

/* An IKE_INTERMEDIATE that is not valid ends the half-open IKE SA, and costs a guess. */
static void invalid_intermediates(void **state)
{
	static const uint8_t zeros[97];

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct options o;
		struct net *n = half_open(&o);
		struct ike *gw = n->peer[GW].tunnel->ike;
		uint64_t guesses = gw->counters[IKE_COUNT_GUESS];
		struct ike_builder b;
		uint8_t buf[512];

		ib_inside(&b, buf, sizeof(buf));
		switch (i) {
		case 0: ib_ke(&b, GROUP_ECP_384, (struct chunk){zeros, 96}); break; /* not now */
		case 1: ib_ke(&b, GROUP_ECP_256, (struct chunk){zeros, 64}); break; /* no point */
		case 2: ib_ke(&b, GROUP_ECP_256, (struct chunk){zeros, 63}); break; /* short */
		case 3: ib_payload(&b, PAYLOAD_NONCE, (struct chunk){zeros, 32}); break;
		case 4:
			ib_ke(&b, GROUP_ECP_256, (struct chunk){zeros, 64});
			b.w.base[2] = 0xff; /* longer than the message */
			break;
		}
		request(n, n->peer[BRANCH].tunnel->ike->sas, IKE_INTERMEDIATE, &b);
		assert_int_equal(gw->half_open, 0);
		assert_int_equal(gw->counters[IKE_COUNT_GUESS], guesses + 1);
		net_free(n);
	}
}

/* IKE_AUTH before they are over, and other exchanges, are dropped; the half-open SA ends in time.
 */
static void nothing_else_before(void **state)
{
	static const uint8_t exchanges[] = {IKE_AUTH, IKE_CREATE_CHILD_SA, IKE_INFORMATIONAL,
					    IKE_FOLLOWUP_KE};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(exchanges); i++) {
		struct options o;
		struct net *n = half_open(&o);
		struct ike *gw = n->peer[GW].tunnel->ike;
		uint64_t unexpected = gw->counters[IKE_COUNT_UNEXPECTED];
		struct ike_builder b;
		uint8_t buf[512];

		ib_inside(&b, buf, sizeof(buf));
		ib_id(&b, PAYLOAD_IDI, ID_FQDN, (struct chunk){(const uint8_t *)"a", 1});
		request(n, n->peer[BRANCH].tunnel->ike->sas, exchanges[i], &b);
		assert_int_equal(gw->counters[IKE_COUNT_UNEXPECTED], unexpected + 1);
		assert_int_equal(gw->half_open, 1);
		n->cut[BRANCH] = true;
		net_run(n, 31 * SEC);
		assert_int_equal(gw->half_open, 0);
		net_free(n);
	}
}

/* Not one more than were agreed on, and none once the peer is authenticated. */
static void not_one_more(void **state)
{
	struct options o = options_with(IKE_TWO, NULL);
	struct net *n = net_up(&o);
	struct ike *gw = n->peer[GW].tunnel->ike;
	uint64_t unexpected = gw->counters[IKE_COUNT_UNEXPECTED];
	struct kex *kex = kex_new(GROUP_ECP_256);
	struct ike_keys keys = peer_conn(n, GW)->sa->keys;
	struct ike_builder b;
	uint8_t buf[512];

	(void)state;
	ib_inside(&b, buf, sizeof(buf));
	ib_ke(&b, GROUP_ECP_256, kex_public(kex));
	request(n, peer_conn(n, BRANCH)->sa, IKE_INTERMEDIATE, &b);
	peer_conn(n, BRANCH)->sa->window.next_id--;
	assert_int_equal(gw->counters[IKE_COUNT_UNEXPECTED], unexpected + 1);
	assert_memory_equal(&peer_conn(n, GW)->sa->keys, &keys, sizeof(keys));
	net_traffic(n, 0);
	kex_free(kex);
	net_free(n);
}

/* IKE_FOLLOWUP_KE without, or with another's, N(ADDITIONAL_KEY_EXCHANGE). */
static void unknown_followups(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		static uint8_t exchange = IKE_FOLLOWUP_KE;
		static const uint8_t other[LINK_LEN] = {1};
		struct options o = options_with(IKE_TWO, ESP_TWO);
		struct net *n = net_up(&o);
		struct ike_sa *sa = peer_conn(n, BRANCH)->sa;
		struct kex *kex = kex_new(GROUP_ECP_384);
		struct ike_builder b;
		uint8_t buf[512];

		if (i >= 2) { /* there is something to follow */
			n->hook = no_requests;
			n->hook_ctx = &exchange;
			tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
			net_run(n, 100 * MSEC);
			assert_non_null(peer_conn(n, GW)->sa->followups);
			sa->window.next_id--;
		}
		ib_inside(&b, buf, sizeof(buf));
		ib_ke(&b, GROUP_ECP_384, kex_public(kex));
		if (i & 1)
			ib_notify(&b, PROTOCOL_NONE, (struct chunk){0},
				  NOTIFY_ADDITIONAL_KEY_EXCHANGE,
				  (struct chunk){other, sizeof(other)});
		request(n, sa, IKE_FOLLOWUP_KE, &b);
		assert_true(net_logged(n, "IKE_FOLLOWUP_KE of the peer refused: STATE_NOT_FOUND"));
		/* It is tried again, from the beginning. */
		n->hook = NULL;
		net_run(n, 30 * SEC);
		assert_null(peer_conn(n, GW)->sa->followups);
		assert_true(net_agrees(n));
		net_traffic(n, 0);
		kex_free(kex);
		net_free(n);
	}
}

/* A peer that does not go on: what was begun is given up, with its SPI, and found again later. */
static void abandoned_followups(void **state)
{
	static uint8_t exchange = IKE_FOLLOWUP_KE;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct options o = options_with(IKE_TWO, ESP_TWO);
		struct net *n;

		o.set.retransmit =
			(struct retransmission){.timeout = 20 * SEC, .base = 1800, .tries = 5};
		n = net_up(&o);
		n->hook = no_requests;
		n->hook_ctx = &exchange;
		if (i)
			ike_sa_rekey(peer_conn(n, BRANCH)->sa, n->now);
		else
			tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
		net_run(n, 10 * SEC);
		assert_non_null(peer_conn(n, GW)->sa->followups);
		net_run(n, 21 * SEC);
		assert_null(peer_conn(n, GW)->sa->followups);
		n->hook = NULL;
		net_run(n, 120 * SEC); /* STATE_NOT_FOUND, and again from the beginning */
		assert_true(net_logged(n, "STATE_NOT_FOUND"));
		assert_true(net_agrees(n));
		assert_int_equal(peer_ike_sas(n, GW), 1);
		net_traffic(n, 0);
		net_free(n);
	}
}

/* The old one ends while its rekey has begun: nothing is made for it. */
static void ended_meanwhile(void **state)
{
	static uint8_t exchange = IKE_FOLLOWUP_KE;
	struct options o = options_with(IKE_TWO, ESP_TWO);
	struct net *n = net_up(&o);

	(void)state;
	n->hook = no_requests;
	n->hook_ctx = &exchange;
	tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
	net_run(n, 100 * MSEC);
	assert_non_null(peer_conn(n, GW)->sa->followups);
	ike_child_drop(peer_child(n, GW, 0)->current->ike, "a test", n->now);
	n->hook = NULL;
	net_run(n, 30 * SEC);
	assert_true(net_logged(n, "CHILD_SA_NOT_FOUND"));
	assert_true(net_agrees(n));
	net_traffic(n, 0);
	net_free(n);
}

static struct told {
	unsigned times;
	struct ike_keys last;
} told[2];

static void tell_branch(void *ctx, const struct ike_sa *sa, const struct ike_keys *keys)
{
	(void)ctx, (void)sa;
	told[BRANCH].times++;
	told[BRANCH].last = *keys;
}

static void tell_gw(void *ctx, const struct ike_sa *sa, const struct ike_keys *keys)
{
	(void)ctx, (void)sa;
	told[GW].times++;
	told[GW].last = *keys;
}

/* key_log gets the keys again after each key exchange; the last ones are those that are used. */
static void keys_are_told(void **state)
{
	struct options o = options_with(IKE_TWO, ESP_TWO);
	struct net *n = net_new(&o);

	(void)state;
	memset(told, 0, sizeof(told));
	n->peer[BRANCH].tunnel->ike->ops.keys = tell_branch;
	n->peer[GW].tunnel->ike->ops.keys = tell_gw;
	net_run(n, SEC);
	assert_true(net_agrees(n));
	for (unsigned i = 0; i < 2; i++) {
		const struct ike_keys *k = &peer_conn(n, i)->sa->keys;

		assert_int_equal(told[i].times, 3);
		assert_memory_equal(told[i].last.sk_ei, k->sk_ei, sizeof(k->sk_ei));
		assert_memory_equal(told[i].last.sk_er, k->sk_er, sizeof(k->sk_er));
	}
	net_free(n);
}

/* A restart goes on with what was agreed on; one that finds a rekey begun gives that up. */
static void over_a_restart(void **state)
{
	struct options o = options_with(IKE_TWO, ESP_TWO);
	struct net *n = net_up(&o);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(peer_restart(n, i), 1);
		assert_string_equal(kex_of(&peer_conn(n, i)->sa->choice),
				    "x25519 + ecp256 + ecp384");
		ike_sa_rekey(peer_conn(n, i)->sa, n->now);
		tunnel_child_rekey(peer_child(n, i, 0), n->now);
		net_run(n, 5 * SEC);
		assert_true(net_agrees(n));
		net_traffic(n, 0);
	}
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(octets_and_keys),
		cmocka_unit_test(keys_of_rekeys),
		cmocka_unit_test(one_to_six),
		cmocka_unit_test(ml_kem),
		cmocka_unit_test(by_default),
		cmocka_unit_test(what_is_agreed_on),
		cmocka_unit_test(what_a_child_agrees_on),
		cmocka_unit_test(after_cookie_and_other_group),
		cmocka_unit_test(downgrade_is_noticed),
		cmocka_unit_test(each_intermediate_message),
		cmocka_unit_test(intermediates_in_fragments),
		cmocka_unit_test(long_response_is_divided),
		cmocka_unit_test(auth_covers_them),
		cmocka_unit_test(each_followup_message),
		cmocka_unit_test(bad_network),
		cmocka_unit_test(rekeys_collide),
		cmocka_unit_test(invalid_intermediates),
		cmocka_unit_test(nothing_else_before),
		cmocka_unit_test(not_one_more),
		cmocka_unit_test(unknown_followups),
		cmocka_unit_test(abandoned_followups),
		cmocka_unit_test(ended_meanwhile),
		cmocka_unit_test(keys_are_told),
		cmocka_unit_test(over_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
