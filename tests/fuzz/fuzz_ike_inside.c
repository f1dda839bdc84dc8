/*
 * fuzz_ike_inside.c - what a peer that has the keys may put into the SK payload, in every state of
 * an IKE SA. SPDX-License-Identifier: ISC
 *
 * Two whole engines make an IKE SA, up to the state that the first two bytes of the input choose.
 * Then come records: a command, two bytes of length, and that many bytes. A record forges a
 * message, correctly encrypted and authenticated as from the other side; changes an honest message
 * that was held back on the wire; makes a side do something; or lets time pass. At the end the wire
 * works again, and both sides must agree again.
 */
#include "fuzz.h"
#include "task/exchanges.h"
#include "../exchange/peers.h"
#include "xalloc.h"

#define KEPT_MAX  2048
#define SAS	  2 /* IKE SAs that a peer may have */
#define CHILD_SAS 6 /* CHILD SAs that a peer may have */
#define ROUNDS	  24

struct world {
	struct net *n;
	bool withhold; /* IKE messages are only kept, and do not arrive */
	uint8_t from;  /* while the IKE SA is set up: begins to withhold with this exchange */
	bool only_responses;
	struct {
		uint8_t b[KEPT_MAX];
		uint32_t len;
	} kept[2]; /* the last message to each side */
};

/* ---- the wire ---- */

static bool on_wire(struct net *n, unsigned from, struct datagram *d)
{
	struct world *w = n->hook_ctx;
	bool response = d->len > 19 && (d->p[19] & IKE_FLAG_RESPONSE);

	if (d->esp || d->len < IKE_HEADER_LEN || d->len > KEPT_MAX)
		return true;
	w->kept[!from].len = d->len;
	memcpy(w->kept[!from].b, d->p, d->len);
	if (w->from && d->p[18] >= w->from && (response || !w->only_responses))
		w->withhold = true;
	return !w->withhold;
}

/* Returns the which-th IKE SA of the victim that has keys, or NULL. */
static struct ike_sa *keyed_sa(struct net *n, unsigned victim, unsigned which)
{
	struct ike_sa *sa, *found[16];
	unsigned count = 0;

	for (sa = n->peer[victim].tunnel->ike->sas; sa && count < 16; sa = sa->hh.next) {
		if (sa->open)
			found[count++] = sa;
	}
	return count ? found[which % count] : NULL;
}

/* Delivers a message, or a fragment of one, sealed as by the victim's peer. */
static void seal_and_inject(struct world *w, unsigned victim, const struct ike_sa *sa,
			    const struct ike_header *h, const struct fragment_head *f,
			    const uint8_t *text, size_t len)
{
	struct ike_sa peer = {.ike = sa->ike,
			      .initiator = !sa->initiator,
			      .choice = sa->choice,
			      .keys = sa->keys,
			      .iv_counter = w->n->order};
	uint8_t msg[IKE_MAX_MESSAGE];
	size_t total;

	hold(sa_set_keys(&peer) == 0);
	total = skf_seal(&peer, h, f, (struct chunk){text, len}, msg, sizeof(msg));
	aead_key_free(peer.seal);
	aead_key_free(peer.open);
	if (total)
		net_inject(w->n, victim, false, msg, (uint32_t)total);
}

/* ---- forged messages ---- */

/* Replaces "SPI0", "SPI1", ... by SPIs of the first CHILD SAs: outbound, inbound, outbound, ... */
static void fill_spis(const struct ike_sa *sa, uint8_t *p, size_t len)
{
	const struct child_sa *c;

	for (size_t i = 0; i + 4 <= len; i++) {
		unsigned k = p[i + 3] - '0';

		if (memcmp(p + i, "SPI", 3) != 0 || k > 7)
			continue;
		c = LIST_FIRST(&sa->children);
		for (; c && k >= 2; k -= 2)
			c = LIST_NEXT(c, link);
		if (c)
			put_be32(p + i, k ? c->spi_in : c->spi_out);
	}
}

static uint8_t exchange_of(unsigned cmd, uint8_t which)
{
	static const uint8_t exchanges[] = {IKE_AUTH, IKE_CREATE_CHILD_SA, IKE_INFORMATIONAL,
					    IKE_INTERMEDIATE};

	return (cmd >> 4 & 3) == 3 && which & 0x40 ? IKE_FOLLOWUP_KE : exchanges[cmd >> 4 & 3];
}

/*
 * cmd: 4 to the gateway, 8 response, 0x30 exchange, 0xc0 message ID; p: first payload, SA, text.
 * With 0x40 in the SA, it is another exchange. With 0x80, the text begins with the number of a
 * fragment and how many there are.
 */
static void forge(struct world *w, unsigned cmd, const uint8_t *p, size_t len)
{
	static const uint32_t ids[] = {0, UINT32_MAX, 1, 0};
	unsigned victim = cmd & 4 ? GW : BRANCH;
	bool part = len >= 4 && p[1] & 0x80;
	struct ike_sa *sa = len >= 2 ? keyed_sa(w->n, victim, p[1] & 0x3f) : NULL;
	struct fragment_head f = {0};
	size_t at = part ? 4 : 2;
	struct ike_header h;
	uint8_t *text;

	if (!sa)
		return;
	f.next = p[0];
	if (part) {
		f.number = p[2];
		f.total = p[3];
	}
	h = (struct ike_header){.spi_i = sa->spi_i,
				.spi_r = sa->spi_r,
				.exchange = exchange_of(cmd, p[1]),
				.flags = (sa->initiator ? 0 : IKE_FLAG_INITIATOR) |
					 (cmd & 8 ? IKE_FLAG_RESPONSE : 0)};
	h.message_id =
		(cmd & 8 ? sa->window.next_id - 1 : sa->window.expected_id) + ids[cmd >> 6 & 3];
	if (cmd >> 6 == 3) /* as a cluster member that has taken over (RFC 6311) */
		h.message_id = 0;
	text = xzalloc(len);
	memcpy(text, p + at, len - at);
	fill_spis(sa, text, len - at);
	seal_and_inject(w, victim, sa, &h, &f, text, len - at);
	free(text);
}

/* ---- honest messages, changed ---- */

/* Each edit has four bytes: operation and offset (two bytes), value, count. */
static size_t edit(uint8_t *text, size_t len, const uint8_t *p, size_t edits)
{
	for (; edits >= 4; edits -= 4, p += 4) {
		size_t at = (size_t)(p[0] & 15) << 8 | p[1], many = p[3];

		if (len == 0)
			return 0;
		at %= len;
		many = min_u64(many, len - at);
		switch (p[0] >> 4 & 3) {
		case 0: text[at] = p[2]; break;
		case 1: text[at] ^= p[2]; break;
		case 2:
			memmove(text + at, text + at + many, len - at - many);
			len -= many;
			break;
		case 3: /* repeats the bytes */
			if (len + many > KEPT_MAX)
				break;
			memmove(text + at + many, text + at, len - at);
			len += many;
			break;
		}
	}
	return len;
}

/* The SA of the kept message, if the message is protected and the SA has its keys. */
static struct ike_sa *sa_of(struct world *w, unsigned victim, const struct ike_header *h)
{
	struct ike_sa *sa = sa_find(w->n->peer[victim].tunnel->ike,
				    h->flags & IKE_FLAG_INITIATOR ? h->spi_r : h->spi_i);

	return sa && sa->open && sa->spi_i == h->spi_i && sa->spi_r == h->spi_r ? sa : NULL;
}

/*
 * Changes the last message to that side by the edits in p, and delivers it; with 8 in cmd, under
 * the message ID that is expected now.
 */
static void change(struct world *w, unsigned cmd, const uint8_t *p, size_t len)
{
	unsigned victim = cmd & 4 ? GW : BRANCH;
	uint8_t msg[KEPT_MAX], text[2 * KEPT_MAX];
	uint32_t msg_len = w->kept[victim].len;
	struct ike_payloads outer;
	struct fragment_head f = {0};
	struct ike_header h;
	struct ike_sa *sa;
	size_t text_len;

	if (msg_len == 0)
		return;
	memcpy(msg, w->kept[victim].b, msg_len);
	if (ike_header_parse(msg, msg_len, &h) < 0)
		return;
	if (h.exchange == IKE_SA_INIT) {
		msg_len = (uint32_t)edit(msg, msg_len, p, len);
		net_inject(w->n, victim, false, msg, msg_len);
		return;
	}
	sa = sa_of(w, victim, &h);
	if (!sa ||
	    ike_payloads_parse(h.next, msg + IKE_HEADER_LEN, msg_len - IKE_HEADER_LEN, &outer) <
		    0 ||
	    sk_open(sa, msg, msg_len, &outer, text, &text_len) < 0)
		return;
	if (cmd & 8)
		h.message_id = h.flags & IKE_FLAG_RESPONSE ? sa->window.next_id - 1
							   : sa->window.expected_id;
	text_len = edit(text, text_len, p, len);
	f.next = outer.sk_next;
	f.number = outer.fragment;
	f.total = outer.fragments;
	seal_and_inject(w, victim, sa, &h, &f, text, text_len);
}

/* ---- actions of the sides ---- */

static void act(struct world *w, unsigned side, unsigned what)
{
	struct net *n = w->n;
	struct tunnel_conn *conn = peer_conn(n, side);
	struct tunnel_child *k = peer_child(n, side, 0);
	struct ike_sa *sa = conn ? conn->sa : NULL;
	bool up = sa && sa->state == IKE_STATE_ESTABLISHED;

	switch (what % 11) {
	case 0: (void)(k && tunnel_child_rekey(k, n->now)); break;
	case 1:
		if (up)
			ike_sa_rekey(sa, n->now);
		break;
	case 2:
		if (up)
			ike_liveness(sa, 0, n->now);
		break;
	case 3:
		if (k)
			tunnel_child_down(k, n->now);
		break;
	case 4:
		if (k)
			tunnel_child_up(k, n->now);
		break;
	case 5: net_packet(n, side, 0); break;
	case 6:
		if (peer_sa(n, GW, 0))
			gw_rewind(n, 0, 2, false);
		break;
	case 7:
		if (up)
			ike_sa_delete(sa, n->now);
		break;
	case 8:
		if (w->kept[side].len)
			net_inject(n, side, false, w->kept[side].b, w->kept[side].len);
		break;
	case 9: w->withhold = !w->withhold; break;
	case 10: net_drop_queued(n); break;
	}
}

static void run_record(struct world *w, unsigned cmd, const uint8_t *p, size_t len)
{
	unsigned side = cmd & 4 ? GW : BRANCH;

	switch (cmd & 3) {
	case 0: forge(w, cmd, p, len); break;
	case 1: change(w, cmd, p, len); break;
	case 2:
		for (size_t i = 0; i < len && i < 8; i++)
			act(w, side, p[i]);
		break;
	case 3: net_run(w->n, (cmd & 8 ? SEC : 20 * MSEC) * (1 + (cmd >> 4))); break;
	}
}

/* ---- setup ---- */

static void set_up(struct options *o, uint8_t b, bool hybrid)
{
	static const char *const ike[] = {"aes256gcm16-prfsha384-x25519", "aes128-sha256-x25519",
					  "chacha20poly1305-prfsha256-x25519",
					  "aes128gcm16-prfsha256-x25519"};

	*o = options_default();
	o->seed = 1 + b;
	o->ike = ike[b & 3];
	o->esp = b & 4 ? "aes128gcm16-esn-noesn" : NULL;
	if (hybrid) { /* additional key exchanges; ke2 optional */
		o->ike = "aes128gcm16-prfsha256-x25519-ke1_ecp256-ke2_ecp384-ke2_none";
		o->esp = "aes128gcm16-x25519-ke1_ecp256-ke2_ecp384-ke2_none-esn-noesn";
	}
	o->children = b & 8 ? 2 : 1;
	o->gw_calls = b & 16;
	o->branch_answers = b & 32;
	o->gw_any = b & 64 && !o->branch_answers && !o->gw_calls;
	if (b & 128) {
		o->fragmentation = FRAGMENTATION_FORCE;
		o->fragment_size = 256;
	}
	o->dpd = 10 * SEC;
	o->set.peer_sas = SAS;
	o->set.peer_children = CHILD_SAS;
	/*
	 * Packets delivered twice, by a recorder or a rewound sender, are checked by another
	 * target.
	 */
	o->twice_allowed = true;
}

/* What is under way when the records begin: on the branch, the gateway, or both. */
static void begin(struct world *w, unsigned stage)
{
	static const struct {
		uint8_t sides, what; /* of act() */
	} stages[] = {{0, 0}, {1, 0}, {2, 0}, {3, 0}, {1, 1}, {2, 1}, {3, 1},
		      {1, 2}, {2, 2}, {1, 3}, {2, 3}, {1, 7}, {2, 7}, {2, 6}};

	if (stage < 2) {
		w->from = IKE_AUTH;
		w->only_responses = stage == 1;
		net_run(w->n, 300 * MSEC);
		w->from = 0;
		return;
	}
	net_until(w->n, net_is_up, 10 * SEC, "up");
	net_run(w->n, 100 * MSEC);
	stage = (stage - 2) % ARRAY_SIZE(stages);
	w->withhold = stage != 0;
	for (unsigned side = 0; side < 2; side++) {
		if (stages[stage].sides >> side & 1)
			act(w, side, stages[stage].what);
	}
	if (stages[stage].what == 6) {
		for (unsigned i = 0; i < 3; i++)
			net_packet(w->n, GW, 0);
	}
	net_run(w->n, 50 * MSEC);
}

/* ---- invariants ---- */

static void check_parts(const struct ike_sa *sa, const struct fragments *f)
{
	hold(f->total <= IKE_MAX_FRAGMENTS && f->count <= f->total);
	hold(f->len <= (sa->established ? IKE_MAX_MESSAGE : IKE_MAX_UNKNOWN));
	hold(!f->part || f->count < f->total); /* a complete message does not stay */
}

/* No peer may have more than the limits allow. */
static void check_limits(struct net *n)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct tunnel *t = n->peer[i].tunnel;
		struct ike_sa *sa;

		hold(t->ike->half_open <= t->ike->set.half_open_max);
		/* Twice as many while old ones are being replaced, and some half-made ones. */
		hold(peer_ike_sas(n, i) <= 3 * SAS + 4);
		for (sa = t->ike->sas; sa; sa = sa->hh.next) {
			hold(sa->child_count <= 2 * CHILD_SAS);
			check_parts(sa, &sa->window.request_parts);
			check_parts(sa, &sa->window.response_parts);
		}
		/* Live SAs, RETIRED SAs, and reserved SPIs. */
		hold(t->path->sad.used <= 4 * CHILD_SAS + 16 * n->o.children + 8);
	}
}

static uint64_t delivered(const struct net *n)
{
	return min_u64(n->peer[BRANCH].delivered, n->peer[GW].delivered);
}

/*
 * A peer may narrow the selectors that were requested, and a rekey keeps them: packets may then
 * have no SA. Or the peer requests narrower CHILD SAs beside and forgets them, and packets within
 * their selectors are sent on them.
 */
static bool is_narrowed(struct net *n, unsigned side)
{
	const struct tunnel_child *k = peer_child(n, side, 0);
	const struct tunnel_sa *s;

	if (!k)
		return false;
	LIST_FOREACH (s, &k->sas, link) {
		if (s->ike && !s->retired &&
		    !(ts_list_eq(s->local, k->conf->local_ts) &&
		      ts_list_eq(s->remote, k->conf->remote_ts)))
			return true;
	}
	return false;
}

/*
 * Both sides are honest again: packets must arrive both ways, once SAs that only one side knows
 * have been replaced; a narrowed SA is ended first.
 */
static void check_heals(struct world *w)
{
	struct net *n = w->n;
	unsigned caller = n->o.branch_answers ? GW : BRANCH;

	n->hook = NULL;
	for (unsigned round = 0; round < ROUNDS; round++) {
		bool narrowed = is_narrowed(n, BRANCH) || is_narrowed(n, GW);
		uint64_t before = delivered(n);
		struct tunnel_child *k = peer_child(n, caller, 0);

		if (k && !k->current)
			tunnel_child_up(k, n->now);
		net_run(n, round ? 20 * SEC : SEC);
		net_packet(n, BRANCH, 0);
		net_packet(n, GW, 0);
		net_run(n, SEC);
		check_limits(n);
		if (delivered(n) > before)
			return;
		act(w, caller, narrowed ? 7 : 0);
	}
	net_fail(n, "the two sides do not find together again");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = {0};
	struct options o;

	if (size < 2)
		return 0;
	set_up(&o, data[0], data[1] & 64);
	w.n = net_new(&o);
	/* Each side takes the other one for a cluster. */
	w.n->peer[BRANCH].conf->ha_peer = w.n->peer[GW].conf->ha_peer = data[1] & 128;
	w.n->hook = on_wire;
	w.n->hook_ctx = &w;
	begin(&w, data[1] & 15);
	data += 2;
	size -= 2;
	for (unsigned records = 0; size >= 3 && records < 40; records++) {
		size_t len = (size_t)(data[1] << 8 | data[2]);
		unsigned cmd = data[0];

		data += 3;
		size -= 3;
		len = min_u64(len, size);
		run_record(&w, cmd, data, len);
		check_limits(w.n);
		data += len;
		size -= len;
	}
	check_heals(&w);
	net_free(w.n);
	return 0;
}
