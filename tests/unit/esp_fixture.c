/* esp_fixture.c - see esp_fixture.h. SPDX-License-Identifier: ISC */
#include "esp_fixture.h"
#include "packet/checksum.h"
#include "xalloc.h"

#define DEFAULT_SEED 20240229ULL

uint64_t fixture_seed(void)
{
	static uint64_t seed;
	const char *s = getenv("MENDIP_SEED");

	if (seed)
		return seed;
	seed = s ? strtoull(s, NULL, 0) : DEFAULT_SEED;
	if (seed == 0)
		seed = DEFAULT_SEED;
	printf("# MENDIP_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

/* splitmix64 */
uint64_t fixture_u64(struct fixture_rng *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static void fixture_fill(struct rng *rng, void *p, size_t len)
{
	struct fixture_rng *r = container_of(rng, struct fixture_rng, rng);
	uint8_t *b = p;

	while (len--)
		*b++ = (uint8_t)(fixture_u64(r) >> 56);
}

void fixture_fastest(void)
{
	char err[200];

	assert_int_equal(aead_init(AEAD_AUTO, err, sizeof(err)), 0);
}

void fixture_rng_init(struct fixture_rng *r, uint64_t salt)
{
	*r = (struct fixture_rng){.rng.fill = fixture_fill, .state = fixture_seed() ^ salt << 32};
	r->state = fixture_u64(r);
}

uint64_t fixture_below(struct fixture_rng *r, uint64_t bound)
{
	return bound ? fixture_u64(r) % bound : 0;
}

bool fixture_chance(struct fixture_rng *r, unsigned percent)
{
	return fixture_below(r, 100) < percent;
}

struct fixture_opt fixture_opt(struct fixture_opt o)
{
	static const struct detector_config detect = {
		.mode = DETECT_PROOF, .proof_packets = 1, .packets = 64, .interval = NSEC_PER_SEC};

	o.window = o.window ? o.window : 1024;
	o.verify_rate = o.verify_rate ? o.verify_rate : 20000;
	o.history_packets = o.history_packets ? o.history_packets : 2 << 20;
	o.cap = o.cap ? o.cap : 256 << 20;
	if (o.detect.proof_packets == 0)
		o.detect = detect;
	return o;
}

static const struct suite *suite_named(const char *name)
{
	const struct suite *s;
	size_t n;

	s = suite_table(&n);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(s[i].name, name) == 0)
			return &s[i];
	}
	fail_msg("no suite %s", name);
	return NULL;
}

static void one_selector(struct ts_list *l, const char *s)
{
	*l = (struct ts_list){.count = 1};
	assert_int_equal(ts_parse(s, &l->ts[0]), 0);
}

/* Makes an SA of the side's reserved SPI, and the SA of its policy. */
static void install_sa(struct fixture *l, unsigned side)
{
	const struct fixture_opt *o = &l->opt;
	unsigned other = !side;
	struct ts_list *gw = &l->selectors[side][GW], *me = &l->selectors[side][ME];
	struct esp_sa_params sp = {
		.spi_out = l->spi[other],
		.suite = suite_named(o->suite ? o->suite : "aes128gcm16"),
		.esn = o->esn,
		.enc_in = l->keys[2 * side],
		.integ_in = l->keys[2 * side + 1],
		.enc_out = l->keys[2 * other],
		.integ_out = l->keys[2 * other + 1],
		.local = side == GW ? gw : me,
		.remote = side == GW ? me : gw,
		.local_ep = l->ep[side],
		.remote_ep = l->ep[other],
		.replay_window = o->unprotected ? 0 : o->window,
		.history_packets = o->history_packets,
		.verify_rate = o->verify_rate,
		.detect = o->detect,
		.bridge = !o->no_bridge,
		.life = o->life,
		.mtu = o->mtu,
		.owner = l,
	};

	one_selector(gw, o->ts_gw ? o->ts_gw : "10.1.0.0/16");
	one_selector(me, o->ts_me ? o->ts_me : "10.2.0.0/16");
	l->policy[side].local = sp.local;
	l->policy[side].remote = sp.remote;
	assert_int_equal(sad_install(&l->path[side]->sad, l->spi[side], &sp, l->now), 0);
	l->policy[side].sa = sad_ref(fixture_sa(l, side));
}

static void install(struct fixture *l, unsigned side)
{
	install_sa(l, side);
	assert_int_equal(spd_add(&l->path[side]->devices[0].spd, &l->policy[side]), 0);
}

struct fixture *fixture_new(const struct fixture_opt *opt)
{
	struct fixture *l = xzalloc(sizeof(*l));

	l->opt = *opt;
	l->now = NSEC_PER_SEC;
	fixture_rng_init(&l->rng, opt->salt);
	rng_fill(&l->rng.rng, l->keys, sizeof(l->keys));
	for (unsigned side = 0; side < 2; side++) {
		l->path[side] = esp_path_new(opt->cap, &l->rng.rng);
		l->spi[side] = sad_reserve(&l->path[side]->sad);
		assert_int_equal(addr_parse(side ? "192.0.2.1" : "198.51.100.1", &l->ep[side].addr),
				 0);
		l->ep[side].port = 4500;
	}
	install(l, GW);
	install(l, ME);
	return l;
}

void fixture_free(struct fixture *l)
{
	esp_path_free(l->path[GW]);
	esp_path_free(l->path[ME]);
	free(l);
}

void fixture_rekey_gw(struct fixture *l)
{
	uint32_t old = l->spi[GW];

	l->old_spi = l->spi[ME];
	rng_fill(&l->rng.rng, l->keys, sizeof(l->keys));
	for (unsigned side = 0; side < 2; side++)
		l->spi[side] = sad_reserve(&l->path[side]->sad);
	install_sa(l, GW);
	sad_release(&l->path[GW]->sad, old);
}

void fixture_rekey_me(struct fixture *l, nsec_t drain)
{
	struct sad *sad = &l->path[ME]->sad;

	install_sa(l, ME);
	esp_installed(l->path[ME], sad_ref(fixture_sa(l, ME)));
	sad_retire(sad, sad_find(sad, l->old_spi), l->now + drain);
}

struct esp_sa *fixture_sa(struct fixture *l, unsigned side)
{
	return sad_find(&l->path[side]->sad, l->spi[side]);
}

uint32_t fixture_events(struct fixture *l, unsigned side)
{
	uint32_t all = 0, one;

	while (sad_take_dirty(&l->path[side]->sad, &one))
		all |= one;
	return all;
}

static void set_checksum(uint8_t *p)
{
	put_be16(p + 10, 0);
	put_be16(p + 10, (uint16_t)~csum(p, 20, 0));
}

void fixture_inner(const struct fixture *l, unsigned side, uint8_t *p, uint32_t len, uint8_t tos)
{
	const struct spd_policy *pol = &l->policy[side];

	memset(p, 0xa5, len);
	memset(p, 0, 28);
	p[0] = 0x45;
	p[1] = tos;
	put_be16(p + 2, (uint16_t)len);
	p[6] = 0x40;
	p[8] = 64;
	p[9] = PROTO_UDP;
	memcpy(p + 12, pol->local->ts[0].lo.b, 4);
	memcpy(p + 16, pol->remote->ts[0].lo.b, 4);
	p[15] = p[19] = 7;
	put_be16(p + 20, 4660);
	put_be16(p + 22, 53);
	put_be16(p + 24, (uint16_t)(len - 20));
	set_checksum(p);
}

void fixture_inner6(unsigned side, uint8_t *p, uint32_t len, uint8_t tos)
{
	memset(p, 0x5a, len);
	memset(p, 0, 48);
	p[0] = (uint8_t)(0x60 | tos >> 4);
	p[1] = (uint8_t)(tos << 4);
	put_be16(p + 4, (uint16_t)(len - 40));
	p[6] = PROTO_UDP;
	p[7] = 64;
	p[8] = p[24] = 0xfd;
	p[9] = side == GW ? 1 : 2;
	p[25] = side == GW ? 2 : 1;
	put_be16(p + 40, 4660);
	put_be16(p + 42, 53);
}

bool fixture_seal(struct fixture *l, unsigned side, const uint8_t *inner, uint32_t len,
		  struct fixture_pkt *ret)
{
	struct esp_out o = {.pkt = inner, .len = len};
	struct esp_train *t = &l->train;

	esp_train_init(t, l->out, sizeof(l->out));
	if (esp_route(l->path[side], &o, l->now) != ESP_ROUTE_SEAL)
		return false;
	assert_int_equal(esp_seal(l->path[side], &o, t, l->now), ESP_DONE);
	esp_train_finish(l->path[side], t);
	if (t->count == 0)
		return false;
	assert_int_equal(t->count, 1);
	assert_true(t->len <= sizeof(ret->b));
	ret->len = t->len;
	memcpy(ret->b, t->base, t->len);
	return true;
}

void fixture_seal_text(struct fixture *l, unsigned side, uint64_t number, const uint8_t *iv,
		       const uint8_t *text, uint32_t len, struct fixture_pkt *ret)
{
	struct esp_out_sa *o = &fixture_sa(l, side)->out;
	uint32_t at = ESP_HEADER_LEN + o->suite->iv_len;
	uint8_t aad[ESP_AAD_MAX], *p = ret->b;
	struct aead_op op = {.key = o->key,
			     .iv = p + ESP_HEADER_LEN,
			     .src = p + at,
			     .dst = p + at,
			     .icv = p + at + len,
			     .len = len};

	put_be32(p, o->spi);
	put_be32(p + 4, (uint32_t)number);
	if (iv)
		memcpy(p + 8, iv, o->suite->iv_len);
	else if (o->suite->combined)
		put_be64(p + 8, ++o->iv_counter ^ o->iv_mask);
	else
		rng_fill(&l->rng.rng, p + 8, o->suite->iv_len);
	memcpy(p + at, text, len);
	esp_frame_aad(o->suite, o->esn, p, number, aad, &op);
	aead_seal_many(&op, 1);
	assert_true(op.ok);
	ret->len = at + len + o->suite->icv_len;
}

void fixture_seal_number(struct fixture *l, unsigned side, uint64_t number, const uint8_t *iv,
			 struct fixture_pkt *ret)
{
	const struct suite *s = fixture_sa(l, side)->out.suite;
	struct esp_layout lay;
	uint8_t inner[FIXTURE_INNER_LEN], frame[FIXTURE_PKT_MAX];

	fixture_inner(l, side, inner, sizeof(inner), 0);
	esp_frame_write(s, frame, 0, 0, sizeof(inner), PROTO_IPV4, &lay);
	memcpy(frame + lay.text, inner, sizeof(inner));
	fixture_seal_text(l, side, number, iv, frame + lay.text, lay.text_len, ret);
}

struct fixture_pkt fixture_next(struct fixture *l, unsigned side)
{
	uint8_t inner[FIXTURE_INNER_LEN];
	struct fixture_pkt p;

	fixture_inner(l, side, inner, sizeof(inner), 0);
	assert_true(fixture_seal(l, side, inner, sizeof(inner), &p));
	return p;
}

static void take_super(struct fixture *l, struct pkt_super *s, struct fixture_result *r)
{
	if (s->len == 0)
		return;
	r->delivered++;
	r->last_len = s->len;
	memcpy(r->last, s->base, min_u64(s->len, sizeof(r->last)));
	if (l->sink)
		l->sink(l->sink_ctx, s->base, s->len);
	pkt_super_reset(s);
}

void fixture_open(struct fixture *l, unsigned side, const uint8_t *b, uint32_t len, uint16_t seg,
		  const struct endpoint *from, uint8_t tos, struct fixture_result *r)
{
	struct esp_path *path = l->path[side];
	struct esp_in in = {.base = l->in, .len = len, .seg = seg, .tos = tos};
	struct pkt_super s = {.base = l->super, .cap = sizeof(l->super)};
	uint64_t datagrams = seg ? (len + seg - 1u) / seg : len > 0, verdicts = 0;
	uint64_t waited = path->waited;
	struct fixture_result was = {0};

	in.from = from ? *from : l->ep[!side];
	memcpy(l->in, b, len);
	memcpy(was.v, path->verdicts, sizeof(was.v));
	memcpy(was.drops, path->drops, sizeof(was.drops));
	while (esp_open(path, &in, &s, l->now) == ESP_FULL)
		take_super(l, &s, r);
	take_super(l, &s, r);
	for (unsigned i = 0; i < VERDICT_COUNT; i++) {
		verdicts += path->verdicts[i] - was.v[i];
		r->v[i] += path->verdicts[i] - was.v[i];
	}
	for (unsigned i = 0; i < ESP_DROP_COUNT; i++)
		r->drops[i] += path->drops[i] - was.drops[i];
	/* each datagram has one verdict, and each parked packet that was opened another one */
	assert_int_equal(verdicts, datagrams + path->waited - waited);
}

enum verdict fixture_verdict(struct fixture *l, unsigned side, const struct fixture_pkt *p)
{
	struct fixture_result r = {0};
	enum verdict v = VERDICT_MALFORMED;

	fixture_open(l, side, p->b, p->len, 0, NULL, 0, &r);
	while (r.v[v] == 0)
		v++;
	return v;
}

/* Hashes 8 bytes at a time: a history is large, and some tests hash it for each packet. */
static void mix(uint64_t *h, const void *p, size_t len)
{
	const uint8_t *b = p;

	for (; len;) {
		uint64_t word = 0;
		size_t n = min_u64(len, sizeof(word));

		memcpy(&word, b, n);
		*h = (*h ^ word) * 0x9e3779b97f4a7c15ULL;
		*h ^= *h >> 29;
		b += n;
		len -= n;
	}
}

#define MIX(h, field) mix(h, &(field), sizeof(field))

/* Everything that decides an answer: what is remembered, and how far back. */
static void mix_history(uint64_t *h, const struct history *y)
{
	MIX(h, y->top);
	MIX(h, y->floor);
	MIX(h, y->blocks);
	for (uint32_t i = y->first; i < y->first + y->blocks; i++) {
		MIX(h, y->ring[i].index);
		mix(h, y->ring[i].v, HISTORY_BLOCK * sizeof(*y->ring[i].v));
	}
	MIX(h, y->life_step);
	MIX(h, y->life_phase);
	MIX(h, y->life_count);
	for (uint32_t i = 0; i < y->life_count; i++) {
		MIX(h, y->life[i].number);
		MIX(h, y->life[i].tag);
		MIX(h, y->life[i].iv);
	}
}

static void mix_bridge(uint64_t *h, const struct bridge *b)
{
	MIX(h, b->open);
	MIX(h, b->closed);
	if (!b->open)
		return;
	MIX(h, b->window.top);
	mix(h, b->window.ring, b->window.words * sizeof(*b->window.ring));
}

static void mix_evidence(uint64_t *h, const struct esp_sa *sa)
{
	const struct esp_in_sa *in = &sa->in;

	MIX(h, in->detector.state);
	MIX(h, in->detector.criterion);
	MIX(h, in->detector.proofs);
	MIX(h, in->detector.pattern);
	MIX(h, in->detector.first_evidence);
	MIX(h, in->detector.memory);
	MIX(h, in->exposed);
	MIX(h, in->nonce_reuses);
	MIX(h, in->awaited);
	MIX(h, in->missed);
	MIX(h, in->before_evidence);
	MIX(h, in->rewound_top);
	MIX(h, sa->events);
}

uint64_t fixture_fingerprint(const struct esp_sa *sa, bool with_evidence)
{
	const struct esp_in_sa *in = &sa->in;
	enum esp_in_phase phase = in->phase;
	uint64_t h = 0xcbf29ce484222325ULL;

	MIX(&h, in->window.top);
	mix(&h, in->window.ring, in->window.words * sizeof(*in->window.ring));
	mix_history(&h, &in->history);
	mix_bridge(&h, &in->bridge);
	MIX(&h, in->bridged);
	mix(&h, in->peer.addr.b, sizeof(in->peer.addr.b));
	MIX(&h, in->peer.port);
	mix(&h, in->moved_to.addr.b, sizeof(in->moved_to.addr.b));
	MIX(&h, in->moved_to.port);
	MIX(&h, in->packets);
	MIX(&h, in->bytes);
	MIX(&h, in->last_fresh);
	MIX(&h, phase);
	MIX(&h, in->drain_until);
	MIX(&h, sa->out.number);
	MIX(&h, sa->out.iv_counter);
	mix(&h, sa->out.dest.remote.addr.b, sizeof(sa->out.dest.remote.addr.b));
	if (with_evidence)
		mix_evidence(&h, sa);
	return h;
}
