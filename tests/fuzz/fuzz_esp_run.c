/*
 * fuzz_esp_run.c - actions of a sender, a network and a recorder on the packets of one tunnel, as a
 * small program; every verdict and every delivery is compared with a slow model (esp_model.h).
 * SPDX-License-Identifier: ISC
 *
 * The input is three bytes that choose the tunnel (see options), then operations of two bytes, a
 * code and an argument (see the functions op_...). Sealed packets are kept on the tape; packets
 * that are to arrive are collected in the hand, and arrive as one train.
 */
#include "fuzz.h"
#include "esp_fixture.h"
#include "esp_model.h"
#include "xalloc.h"

#define TAPE	   3000 /* packets sealed in one run at most */
#define ARRIVALS   3900 /* fewer than the model remembers */
#define INNER_MAX  1000
#define NUMBER_MAX (UINT64_MAX - (1ULL << 33)) /* the reference model does not wrap around */
#define DRAIN	   (5 * NSEC_PER_SEC)

struct taped {
	struct model_packet m;
	uint8_t *b;
	const struct taped *of; /* in the hand: the packet on the tape of which it is a copy */
};

struct program {
	struct fixture *l;
	struct model *model;
	struct esp_sa_params params; /* the parameters that the model uses */
	struct taped tape[TAPE];
	uint32_t inner_len[TAPE]; /* by id of the packet; ids begin with 1 */
	bool came[TAPE];
	unsigned taped, arrived;
	struct taped hand[ESP_BATCH];
	unsigned in_hand;
	unsigned sa;  /* the newest SA, on which the gateway sends */
	bool pending; /* the branch has only reserved its SPI */
	unsigned next_expected;
	struct model_result expected;
};

/* ---- the tunnel ---- */

static struct fixture_opt options(const uint8_t *b)
{
	static const uint32_t windows[] = {1024, 32, 33, 64, 100, 4096, 65536, 0};
	static const uint64_t histories[] = {2 << 20, 1024, 2048, 1 << 16};
	struct fixture_opt o = {.esn = b[1] & 1,
				.no_bridge = b[1] & 2,
				.window = windows[b[1] >> 2 & 7],
				.history_packets = histories[b[2] & 3],
				.salt = 1};
	size_t count;
	const struct suite *s = suite_table(&count);

	o.suite = s[b[0] % count].name;
	o.detect = (struct detector_config){.mode = (enum detect_mode)(b[1] >> 6 & 3),
					    .proof_packets = 1 + (b[2] >> 2 & 1),
					    .packets = 16,
					    .interval = NSEC_PER_SEC};
	/* Without replay protection there is no ESN. */
	o.unprotected = o.window == 0;
	o.esn &= !o.unprotected;
	o.window = o.unprotected ? WINDOW_MIN : o.window;
	return fixture_opt(o);
}

/* The number from which the sender begins; several choices are close to 2^32. */
static uint64_t first_number(uint8_t b, bool esn)
{
	static const uint64_t numbers[] = {0,
					   20000,
					   (1ULL << 31) - 40,
					   (1ULL << 32) - 40,
					   (1ULL << 32) + 100,
					   (1ULL << 33) + 5,
					   (1ULL << 40) - 1,
					   UINT32_MAX - 3};
	uint64_t n = numbers[b >> 5 & 7];

	return esn ? n : min_u64(n, UINT32_MAX - 3);
}

static void add_to_model(struct program *p)
{
	model_add(p->model, &p->params, p->l->spi[ME]);
}

/* A delivered inner packet must be the next one of the model, byte for byte. */
static void on_inner(void *ctx, const uint8_t *inner, uint32_t len)
{
	struct program *p = ctx;
	uint8_t want[INNER_MAX];
	uint32_t id = get_be32(inner + len - 4);

	hold(p->next_expected < p->expected.count &&
	     p->expected.delivered[p->next_expected++] == id);
	hold(id >= 1 && id < TAPE && len == p->inner_len[id]);
	hold(p->l->opt.unprotected || !p->came[id]);
	p->came[id] = true;
	fixture_inner(p->l, GW, want, len, 0);
	put_be32(want + len - 4, id);
	hold(memcmp(inner, want, len) == 0);
}

/* Opens trains with the fastest implementation, which opens several packets at once. */
static void choose_backend(void)
{
	static bool chosen;
	char err[256];

	if (!chosen)
		hold(aead_init(AEAD_AUTO, err, sizeof(err)) == 0 && *err == '\0');
	chosen = true;
}

static struct program *program_new(const uint8_t *b)
{
	struct program *p = xzalloc(sizeof(*p));
	struct fixture_opt o = options(b);

	choose_backend();
	p->l = fixture_new(&o);
	p->l->sink = on_inner;
	p->l->sink_ctx = p;
	p->params = (struct esp_sa_params){.suite = fixture_sa(p->l, ME)->in.suite,
					   .esn = o.esn,
					   .bridge = !o.no_bridge,
					   .replay_window = o.unprotected ? 0 : o.window,
					   .history_packets = o.history_packets,
					   .detect = o.detect};
	p->model = model_new();
	add_to_model(p);
	model_install(p->model, 0);
	fixture_sa(p->l, GW)->out.number = first_number(b[2], o.esn);
	return p;
}

static void program_free(struct program *p)
{
	for (unsigned i = 0; i < p->taped; i++)
		free(p->tape[i].b);
	for (unsigned i = 0; i < p->in_hand; i++)
		free(p->hand[i].b);
	model_free(p->model);
	fixture_free(p->l);
	free(p);
}

/* ---- arrival ---- */

/* Model and code have the same state. */
static void compare_state(struct program *p)
{
	for (unsigned i = 0; i < p->model->count; i++) {
		const struct model_sa *m = &p->model->sa[i];
		const struct esp_in_sa *in = &sad_find(&p->l->path[ME]->sad, m->spi)->in;

		if (!m->keyed)
			continue;
		hold(in->window.top == m->window.top);
		hold(in->history.floor == m->floor && in->history.head_end == m->head_end);
		hold(in->exposed == m->exposed && in->bridge.open == m->bridge_open);
		hold(in->bridge.closed == m->bridge_closed);
		hold(!m->bridge_open || in->bridge.window.top == m->bridge.top);
	}
}

/* Each packet has the verdict that the model expects; if not, prints both. */
static void compare_verdicts(const struct program *p, const struct fixture_result *r,
			     uint64_t waited)
{
	const struct model_result *e = &p->expected;

	if (memcmp(r->v, e->v, sizeof(r->v)) == 0 && waited == e->waited &&
	    p->next_expected == e->count && r->delivered == e->count)
		return;
	for (unsigned i = 0; i < VERDICT_COUNT; i++)
		fprintf(stderr, "%-12s %llu, the model: %llu\n", verdict_name((enum verdict)i),
			(unsigned long long)r->v[i], (unsigned long long)e->v[i]);
	fprintf(stderr, "waited       %llu, the model: %llu\n", (unsigned long long)waited,
		(unsigned long long)e->waited);
	fprintf(stderr, "delivered    %llu, the model: %u\n", (unsigned long long)r->delivered,
		e->count);
	abort();
}

/* Whether no packet may have changed any state. */
static bool is_nothing(const struct model_result *r)
{
	return !r->v[VERDICT_FRESH] && !r->v[VERDICT_BRIDGED] && !r->v[VERDICT_REWOUND] &&
	       !r->v[VERDICT_STALE];
}

static uint64_t fingerprint(const struct program *p)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < p->model->count; i++) {
		const struct model_sa *m = &p->model->sa[i];

		if (m->keyed)
			sum = sum * 31 +
			      fixture_fingerprint(sad_find(&p->l->path[ME]->sad, m->spi), true);
	}
	return sum;
}

/* The packets in the hand arrive, in one receive. */
static void flush(struct program *p)
{
	struct model_packet m[ESP_BATCH];
	struct fixture_result r = {0};
	uint64_t waited = p->l->path[ME]->waited, before = fingerprint(p);
	uint8_t *bytes = xzalloc(ESP_BUFFER_MAX);
	uint32_t len = 0;

	for (unsigned i = 0; i < p->in_hand; i++) {
		m[i] = p->hand[i].m;
		memcpy(bytes + len, p->hand[i].b, m[i].len);
		len += m[i].len;
		free(p->hand[i].b);
	}
	model_receive(p->model, m, p->in_hand, p->l->now, &p->expected);
	p->next_expected = 0;
	fixture_open(p->l, ME, bytes, len, p->in_hand ? (uint16_t)m[0].len : 0, NULL, 0, &r);
	compare_verdicts(p, &r, p->l->path[ME]->waited - waited);
	compare_state(p);
	hold(!is_nothing(&p->expected) || fingerprint(p) == before);
	p->arrived += p->in_hand;
	p->in_hand = 0;
	free(bytes);
}

static bool fits_hand(const struct program *p, uint32_t len)
{
	uint32_t first = p->hand[0].m.len, last = p->hand[p->in_hand - 1].m.len;

	/* All of one length, except a shorter last one, as UDP_GRO delivers them. */
	return p->in_hand < ESP_BATCH && len <= first && last == first &&
	       (p->in_hand + 1) * first <= ESP_BUFFER_MAX;
}

/*
 * Adds a copy to the hand; if it cannot be in one train with the packets there, those arrive first.
 */
static void take_in_hand(struct program *p, const struct taped *t)
{
	if (p->arrived + p->in_hand >= ARRIVALS)
		return;
	if (p->in_hand && !fits_hand(p, t->m.len))
		flush(p);
	p->hand[p->in_hand++] = (struct taped){.m = t->m, .b = xmemdup(t->b, t->m.len), .of = t};
}

/* ---- the sender ---- */

static struct model_packet describe(const struct program *p, const uint8_t *b, uint32_t len,
				    uint64_t number)
{
	const struct suite *s = p->params.suite;

	return (struct model_packet){.spi = get_be32(b),
				     .low = get_be32(b + 4),
				     .len = len,
				     .tag = get_be32(b + len - s->icv_len),
				     .iv = get_be32(b + 8) ^ get_be32(b + 12),
				     .number = number,
				     .sa = p->sa,
				     .authentic = true};
}

static void tape_train(struct program *p, uint64_t first, bool dummy, uint32_t id, bool arrives)
{
	const struct esp_train *t = &p->l->train;

	for (uint32_t at = 0; at < t->len; at += t->seg) {
		uint32_t len = t->len - at < t->seg ? t->len - at : t->seg;
		struct taped *one = &p->tape[p->taped++];

		one->m = describe(p, t->base + at, len, first);
		one->m.id = dummy ? 0 : id++;
		one->b = xmemdup(t->base + at, len);
		/* numbers count up by one, and are in the packet */
		hold(one->m.low == (uint32_t)first++ && one->m.spi == p->l->spi[ME]);
		if (arrives)
			take_in_hand(p, one);
	}
}

/* Seals up to 16 packets as one train; the last one may be shorter. */
static void op_seal(struct program *p, uint8_t arg, bool arrives)
{
	static const uint32_t lens[] = {48, 52, 100, 1000};
	struct fixture *l = p->l;
	uint32_t len = lens[arg >> 4 & 3], id = p->taped + 1;
	unsigned count = 1 + (arg & 15);
	uint64_t before = fixture_sa(l, GW)->out.number,
		 left = p->params.esn ? count : UINT32_MAX - before;
	uint8_t inner[INNER_MAX];
	struct esp_out o = {.pkt = inner};

	if (p->taped + count >= TAPE || before > NUMBER_MAX)
		return;
	esp_train_init(&l->train, l->out, sizeof(l->out));
	for (unsigned i = 0; i < count; i++) {
		o.len = i && i == count - 1 && arg & 64 ? 48 : len;
		fixture_inner(l, GW, inner, o.len, 0);
		put_be32(inner + o.len - 4, id + i);
		p->inner_len[id + i] = o.len;
		hold(esp_route(l->path[GW], &o, l->now) == ESP_ROUTE_SEAL);
		hold(esp_seal(l->path[GW], &o, &l->train, l->now) == ESP_DONE);
	}
	esp_train_finish(l->path[GW], &l->train);
	hold(l->train.count == min_u64(count, left));
	tape_train(p, before + 1, false, id, arrives);
}

static void op_dummy(struct program *p)
{
	struct fixture *l = p->l;
	struct esp_sa *sa = fixture_sa(l, GW);
	uint64_t before = sa->out.number;

	if (p->taped + 1 >= TAPE || before > NUMBER_MAX)
		return;
	esp_train_init(&l->train, l->out, sizeof(l->out));
	hold(esp_seal_dummy(l->path[GW], sa, &l->train, l->now) == ESP_DONE);
	esp_train_finish(l->path[GW], &l->train);
	tape_train(p, before + 1, true, 0, true);
}

/* A distance: small ones, ones close to the window's size, and powers of two. */
static uint64_t distance(const struct program *p, uint8_t arg)
{
	uint64_t w = p->l->opt.window;

	switch (arg >> 6) {
	case 0: return arg & 63;
	case 1: return w + (arg & 63) - 32;
	case 2: return (1ULL << (arg & 31)) + (arg >> 5 & 1);
	default: return 1ULL << (arg & 63);
	}
}

static void op_skip(struct program *p, uint8_t arg)
{
	struct esp_out_sa *out = &fixture_sa(p->l, GW)->out;
	uint64_t most = p->params.esn ? NUMBER_MAX : UINT32_MAX;

	/* No train crosses a jump: the subspace of a number is determined once per batch. */
	flush(p);
	out->number += min_u64(most - min_u64(most, out->number), distance(p, arg));
}

static void op_rewind(struct program *p, uint8_t arg, bool nonces)
{
	struct esp_out_sa *out = &fixture_sa(p->l, GW)->out;
	uint64_t by = min_u64(distance(p, arg), out->number);

	out->number -= by;
	if (nonces)
		out->iv_counter -= min_u64(by, out->iv_counter);
}

/* Begins again with number 1, as a standby that was told of no number. */
static void op_anew(struct program *p)
{
	fixture_sa(p->l, GW)->out.number = 0;
}

static void op_rekey(struct program *p)
{
	if (p->model->count == MODEL_SAS || p->pending)
		return;
	flush(p);
	fixture_rekey_gw(p->l);
	add_to_model(p);
	p->sa++;
	p->pending = true;
}

static void op_install(struct program *p)
{
	if (!p->pending)
		return;
	flush(p);
	fixture_rekey_me(p->l, DRAIN);
	model_install(p->model, p->sa);
	model_retire(p->model, p->sa - 1, p->l->now + DRAIN);
	p->pending = false;
}

/* ---- the network, and a recorder in it ---- */

static const struct taped *taped_back(const struct program *p, uint8_t arg)
{
	/* The last 192 one by one, then every 40th older one. */
	unsigned back = arg < 192 ? arg : 192 + (arg - 192u) * 40;

	return back < p->taped ? &p->tape[p->taped - 1 - back] : NULL;
}

static void op_replay(struct program *p, uint8_t arg)
{
	const struct taped *t = taped_back(p, arg);

	if (t)
		take_in_hand(p, t);
}

/* Replays up to 16 consecutive packets of the tape, the newest last. */
static void op_replay_run(struct program *p, uint8_t arg)
{
	unsigned from = (unsigned)(arg >> 4) * 16 + 15;

	for (unsigned k = 0; k <= (arg & 15u); k++)
		op_replay(p, (uint8_t)(from - k));
}

/* Changes one bit of the last packet in the hand. */
static void op_corrupt(struct program *p, uint8_t arg)
{
	struct taped *t = p->in_hand ? &p->hand[p->in_hand - 1] : NULL;
	struct model_packet was;
	uint32_t at;

	if (!t || t->m.len < ESP_HEADER_LEN + 8)
		return;
	was = t->m;
	/* A bit of header and IV, or of the rest, counted from the end. */
	at = arg & 128 ? t->m.len - 1 - (arg >> 3 & 15) * 3u % t->m.len : arg >> 3;
	t->b[at] ^= (uint8_t)(1u << (arg & 7));
	t->m = describe(p, t->b, t->m.len, was.number);
	t->m.id = was.id;
	t->m.sa = was.sa;
	t->m.authentic = memcmp(t->b, t->of->b, t->m.len) == 0; /* a bit may be changed back */
}

/* Truncates the last packet in the hand. */
static void op_truncate(struct program *p, uint8_t arg)
{
	struct taped *t = p->in_hand ? &p->hand[p->in_hand - 1] : NULL;
	uint8_t b[32] = {0};
	uint32_t id;

	if (!t || arg >= t->m.len)
		return;
	memcpy(b, t->b, min_u64(arg, 16));
	id = t->m.id;
	t->m = describe(p, arg < p->params.suite->icv_len + 16u ? b : t->b,
			arg < p->params.suite->icv_len + 16u ? sizeof(b) : arg, t->m.number);
	t->m.len = arg ? arg : 1;
	t->m.id = id;
	t->m.authentic = false;
	/* A shorter packet ends its train; alone it is a train of its own. */
	flush(p);
}

static void swap(struct taped *a, struct taped *b)
{
	struct taped t = *a;

	*a = *b;
	*b = t;
}

/* Two packets in the hand change places, or their order is reversed; a shorter last one stays. */
static void op_reorder(struct program *p, uint8_t arg)
{
	unsigned n = p->in_hand;

	if (n && p->hand[n - 1].m.len < p->hand[0].m.len)
		n--;
	if (n < 2)
		return;
	if (arg < 240) {
		swap(&p->hand[arg % n], &p->hand[(arg >> 4) % n]);
		return;
	}
	for (unsigned i = 0; i < n / 2; i++)
		swap(&p->hand[i], &p->hand[n - 1 - i]);
}

static void op_time(struct program *p, uint8_t arg)
{
	flush(p);
	p->l->now += (1 + (arg & 15)) * 500 * NSEC_PER_MSEC;
	if (arg & 16)
		esp_sa_forget_evidence(fixture_sa(p->l, ME));
}

static void run_op(struct program *p, uint8_t code, uint8_t arg)
{
	switch (code & 15) {
	case 0:
	case 1: op_seal(p, arg, true); break;
	case 2: op_seal(p, arg, false); break;
	case 3: op_skip(p, arg); break;
	case 4: op_rewind(p, arg, false); break;
	case 5: op_rewind(p, arg, true); break;
	case 6: op_replay(p, arg); break;
	case 7: op_replay_run(p, arg); break;
	case 8: op_corrupt(p, arg); break;
	case 9: op_truncate(p, arg); break;
	case 10: op_reorder(p, arg); break;
	case 11: op_time(p, arg); break;
	case 12: op_rekey(p); break;
	case 13: op_install(p); break;
	case 14: op_dummy(p); break;
	case 15: op_anew(p); break;
	}
	/* With half of the codes, the packets in the hand arrive. */
	if (code & 16)
		flush(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct program *p;

	if (size < 3)
		return 0;
	p = program_new(data);
	for (size_t at = 3; at + 2 <= size; at += 2)
		run_op(p, data[at], data[at + 1]);
	flush(p);
	program_free(p);
	return 0;
}
