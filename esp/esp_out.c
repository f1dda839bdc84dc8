/* esp_out.c - outbound packets: route, number, frame, seal. SPDX-License-Identifier: ISC */
#include "esp_path.h"
#include "packet/headers.h"

/* Numbers left when a rekey is asked for: 2^28 packets are some minutes at the fastest. */
#define SEQ_RESERVE (1ULL << 28)

static enum esp_route discard(struct esp_path *path, enum esp_drop why)
{
	path->drops[why]++;
	return ESP_ROUTE_DISCARD;
}

/*
 * Sets path->flow to the headers and the policy of the packet; NULL if there is none. The packets
 * of a flow come in trains, so the next one of the same flow is recognised by a few words of its
 * header.
 */
static struct spd_policy *find_policy(struct esp_path *path, const struct esp_out *out)
{
	const struct spd *spd = &path->devices[out->device].spd;
	struct spd_flow *f = &path->flow;

	if (f->policy && path->flow_device == out->device && f->generation == spd->generation &&
	    inner_next(out->pkt, out->len, &f->inner))
		return f->policy;
	f->policy = NULL;
	path->flow_device = out->device;
	if (inner_parse(out->pkt, out->len, &f->inner) < 0) {
		path->drops[ESP_DROP_BAD_INNER]++;
		return NULL;
	}
	f->policy = spd_lookup(spd, &f->inner);
	f->generation = spd->generation;
	if (!f->policy)
		path->drops[ESP_DROP_NO_POLICY]++;
	return f->policy;
}

/* The largest packet with DF that the SA takes, whole or in pieces. */
static uint32_t mtu_of(const struct esp_out_sa *o, const struct inner *in)
{
	uint32_t least = in->src.family == FAMILY_IPV4 ? IPV4_MTU_MIN : IPV6_MTU_MIN;

	return o->mtu > least ? o->mtu : least;
}

enum esp_route esp_route(struct esp_path *path, struct esp_out *out, nsec_t now)
{
	struct spd_policy *p;
	struct esp_sa *sa;
	bool whole;

	(void)now;
	p = find_policy(path, out);
	if (!p)
		return ESP_ROUTE_DISCARD;
	out->inner = &path->flow.inner;
	if (seg_plan(out->pkt, out->inner, &out->off, &out->plan) < 0)
		return discard(path, ESP_DROP_OFFLOAD);
	sa = sad_get(&path->sad, p->sa);
	if (!sa || !sa->out.key) {
		path->drops[ESP_DROP_NO_SA_YET]++;
		out->policy = p;
		return ESP_ROUTE_NO_SA;
	}
	esp_sa_warm_out(sa);
	whole = sa->out.mtu == 0 || out->plan.seg_len <= sa->out.mtu;
	if (!whole && out->inner->df && out->plan.seg_len > mtu_of(&sa->out, out->inner)) {
		path->drops[ESP_DROP_TOO_BIG]++;
		out->mtu = mtu_of(&sa->out, out->inner);
		return ESP_ROUTE_TOO_BIG;
	}
	out->sa = sad_ref(sa);
	out->dest = sa->out.dest;
	/* RFC 4301 8.1; for a packet within the smallest MTU that does not fit, RFC 4213 3.2.2. */
	out->dest.df = out->inner->df && whole && !sa->out.narrow;
	out->dest.tos = out->inner->tos; /* with its ECN field: normal mode of RFC 6040 4.1 */
	out->next = out->inner->src.family == FAMILY_IPV4 ? PROTO_IPV4 : PROTO_IPV6;
	out->at = 0;
	return ESP_ROUTE_SEAL;
}

static uint64_t last_number(const struct esp_out_sa *o)
{
	return o->esn ? UINT64_MAX : UINT32_MAX;
}

/* The next number, or 0 when none may be used any more. They never wrap (RFC 4303 3.3.3). */
static uint64_t take_number(struct esp_path *path, struct esp_sa *sa, uint32_t len)
{
	struct esp_out_sa *o = &sa->out;
	const struct esp_lifetime *l = &sa->life;
	uint64_t bytes = o->bytes + len;

	if (o->number == last_number(o) || o->iv_counter == UINT64_MAX ||
	    (l->hard_packets && o->packets >= l->hard_packets) ||
	    (l->hard_bytes && bytes > l->hard_bytes)) {
		sad_raise(&path->sad, sa, ESP_EVENT_HARD_LIFETIME);
		path->drops[ESP_DROP_EXHAUSTED]++;
		return 0;
	}
#ifdef MENDIP_FAULTS
	if (o->fault_two) {
		uint64_t turn = o->fault_other;

		o->fault_other = o->number;
		o->number = turn;
	}
#endif
	o->number++;
	o->packets++;
	if (o->number == last_number(o) - SEQ_RESERVE)
		sad_raise(&path->sad, sa, ESP_EVENT_SEQ_HIGH);
	if (o->packets == l->soft_packets ||
	    (l->soft_bytes && o->bytes < l->soft_bytes && bytes >= l->soft_bytes))
		sad_raise(&path->sad, sa, ESP_EVENT_SOFT_LIFETIME);
	o->bytes = bytes;
	return o->number;
}

uint64_t esp_leap(struct esp_sa *sa, uint64_t by)
{
	struct esp_out_sa *o = &sa->out;
	uint64_t end = o->key ? last_number(o) - SEQ_RESERVE - 1 : 0;
	uint64_t room = o->number < end ? end - o->number : 0;

	by = min_u64(min_u64(by, ESP_LEAP_MAX), room);
	o->number += by;
	return by;
}

/*
 * The IV of a counter-based mode is a counter of its own (RFC 4106 3.1 asks only that it never
 * repeats), so that a nonce is not repeated even where a sequence number is set back. The IV for
 * CBC must be unpredictable (RFC 3602 3).
 */
static void write_iv(struct esp_path *path, struct esp_out_sa *o, uint8_t *iv)
{
	o->iv_counter++;
	if (o->suite->combined) {
		put_be64(iv, o->iv_counter ^ o->iv_mask);
		return;
	}
	if (path->iv_left < o->suite->iv_len) {
		rng_fill(path->rng, path->iv_pool, sizeof(path->iv_pool));
		path->iv_left = sizeof(path->iv_pool);
	}
	path->iv_left -= o->suite->iv_len;
	memcpy(iv, path->iv_pool + path->iv_left, o->suite->iv_len);
}

static bool dest_eq(const struct esp_dest *a, const struct esp_dest *b)
{
	return a->tos == b->tos && a->df == b->df && endpoint_eq(&a->remote, &b->remote) &&
	       endpoint_eq(&a->local, &b->local);
}

static bool train_goes_to(const struct esp_train *t, const struct esp_dest *dest)
{
	return t->count == 0 || dest_eq(&t->dest, dest);
}

/* Whether a packet of len bytes can follow in the train. */
static bool train_takes(const struct esp_train *t, uint32_t len)
{
	if (t->count == 0)
		return true;
	return !t->closed && t->count < ESP_BATCH && len <= t->seg && t->cap - t->len >= len;
}

static void train_append(struct esp_train *t, const struct esp_dest *dest, uint32_t len)
{
	if (t->count++ == 0) {
		t->seg = (uint16_t)len;
		t->dest = *dest;
	}
	t->closed = len < t->seg;
	t->len += len;
}

/* What one ESP packet holds. */
struct content {
	const struct seg_plan *plan; /* NULL: nothing */
	uint32_t segment, len;
	uint8_t next;
};

static enum esp_step seal_one(struct esp_path *path, struct esp_sa *sa, const struct content *c,
			      const struct esp_dest *dest, struct esp_train *t)
{
	struct esp_out_sa *o = &sa->out;
	uint32_t size = esp_frame_len(o->suite, c->len);
	uint8_t *p = t->base + t->len;
	struct esp_layout lay;
	struct aead_op *op;
	uint64_t number;

	if (!train_takes(t, size))
		return ESP_FULL;
	if (size > t->cap || size > UINT16_MAX) {
		path->drops[ESP_DROP_TOO_BIG]++;
		return ESP_DONE;
	}
	number = take_number(path, sa, c->len);
	if (number == 0)
		return ESP_DONE;
	esp_frame_write(o->suite, p, o->spi, (uint32_t)number, c->len, c->next, &lay);
	if (c->plan)
		seg_write(c->plan, c->segment, p + lay.text);
	write_iv(path, o, p + lay.iv);
	op = &t->op[t->nop];
	*op = (struct aead_op){.key = o->key,
			       .iv = p + lay.iv,
			       .src = p + lay.text,
			       .dst = p + lay.text,
			       .icv = p + lay.icv,
			       .len = lay.text_len};
	esp_frame_aad(o->suite, o->esn, p, number, t->aad[t->nop], op);
	t->nop++;
	train_append(t, dest, size);
	return ESP_DONE;
}

enum esp_step esp_seal(struct esp_path *path, struct esp_out *out, struct esp_train *train,
		       nsec_t now)
{
	struct esp_sa *sa = sad_get(&path->sad, out->sa);
	struct content c = {.plan = &out->plan};

	(void)now;
	if (!sa || !sa->out.key) {
		path->drops[ESP_DROP_NO_SA_YET]++;
		return ESP_DONE;
	}
	if (!train_goes_to(train, &out->dest))
		return ESP_FULL;
	c.next = out->next;
	for (; out->at < out->plan.count; out->at++) {
		c.segment = out->at;
		c.len = seg_len(&out->plan, out->at);
		if (seal_one(path, sa, &c, &out->dest, train) == ESP_FULL)
			return ESP_FULL;
	}
	return ESP_DONE;
}

enum esp_step esp_seal_dummy(struct esp_path *path, struct esp_sa *sa, struct esp_train *train,
			     nsec_t now)
{
	const struct content c = {.next = PROTO_NONE};
	struct esp_dest dest = sa->out.dest;

	(void)now;
	if (!sa->out.key)
		return ESP_DONE;
	return train_goes_to(train, &dest) ? seal_one(path, sa, &c, &dest, train) : ESP_FULL;
}

void esp_train_finish(struct esp_path *path, struct esp_train *train)
{
	aead_seal_many(train->op, train->nop);
	for (unsigned i = 0; i < train->nop; i++) {
		/* What the cipher refused must not be sent in clear. */
		if (!train->op[i].ok) {
			path->drops[ESP_DROP_CRYPTO]++;
			memset(train->op[i].dst, 0, train->op[i].len);
		}
	}
	train->nop = 0;
}

void esp_train_init(struct esp_train *train, uint8_t *base, uint32_t cap)
{
	*train = (struct esp_train){.base = base, .cap = cap};
}

void esp_train_reset(struct esp_train *train)
{
	train->len = 0;
	train->seg = train->count = train->nop = 0;
	train->closed = false;
}
