/*
 * t_fragments.c - IKE messages in fragments between two whole peers (RFC 7383): which messages are
 * divided and how, each fragment lost, doubled and late in every exchange, retransmissions, and
 * what a hostile peer with keys may do. SPDX-License-Identifier: ISC
 */
#include "peers.h"
#include "task/exchanges.h"

#define IP_UDP_MARKER 32 /* bytes around an IKE message in an IPv4 datagram */

static uint64_t counter(struct net *n, unsigned i, enum ike_counter c)
{
	return ike_counters(n->peer[i].tunnel->ike)[c];
}

/* All messages are divided. */
static struct options forced(void)
{
	struct options o = options_default();

	o.fragmentation = FRAGMENTATION_FORCE;
	return o;
}

static bool is_protected(const struct datagram *d)
{
	return !d->esp && d->len > IKE_HEADER_LEN && d->p[18] != IKE_SA_INIT;
}

static bool is_fragment(const struct datagram *d)
{
	return is_protected(d) && d->p[16] == PAYLOAD_SKF;
}

static unsigned number_of(const struct datagram *d)
{
	return get_be16(d->p + 32);
}

/* ---- which messages are divided, and how ---- */

struct watch {
	unsigned fragments, whole; /* datagrams with SKF, and with SK */
	unsigned longest, longest_whole;
};

static bool watch_hook(struct net *n, unsigned from, struct datagram *d)
{
	struct watch *w = n->hook_ctx;

	(void)from;
	if (!is_protected(d))
		return true;
	w->longest = (unsigned)max_u64(w->longest, d->len);
	if (is_fragment(d)) {
		w->fragments++;
		/* Number 1 alone names the first payload (2.5). */
		assert_true(number_of(d) == 1 || d->p[IKE_HEADER_LEN] == PAYLOAD_NONE);
		return true;
	}
	w->whole++;
	w->longest_whole = (unsigned)max_u64(w->longest_whole, d->len);
	return true;
}

/* The exchanges of an IKE SA: up, rekeys of both SAs, a check, a deletion and a new child. */
static void every_exchange(struct net *n, nsec_t each)
{
	tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
	net_run(n, each);
	ike_sa_rekey(peer_conn(n, GW)->sa, n->now);
	net_run(n, each);
	ike_liveness(peer_conn(n, BRANCH)->sa, 0, n->now);
	net_run(n, each);
	tunnel_child_down(peer_child(n, BRANCH, 0), n->now);
	net_run(n, each);
	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_run(n, each);
}

/* With every suite, whose IVs, padding and ICVs differ. */
static void all_that_can_be_is_divided(void **state)
{
	size_t count;
	const struct suite *t = suite_table(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		struct options o = forced();
		struct watch w = {0};
		char ike[128];
		struct net *n;

		snprintf(ike, sizeof(ike), "%s-prfsha256-x25519", t[i].name);
		o.ike = ike;
		n = net_new(&o);
		n->hook = watch_hook;
		n->hook_ctx = &w;
		net_until(n, net_is_up, 10 * SEC, "up");
		every_exchange(n, SEC);
		assert_true(net_agrees(n));
		net_traffic(n, 0);
		assert_true(w.fragments >= 24);
		/* Two responses that are empty, and the check with its own. */
		assert_in_range(w.whole, 1, 8);
		assert_int_equal(w.longest_whole, sk_len(peer_conn(n, GW)->sa, 0));
		for (unsigned k = 0; k < 2; k++) {
			assert_true(counter(n, k, IKE_COUNT_REASSEMBLED) >= 5);
			assert_int_equal(counter(n, k, IKE_COUNT_FRAGMENT_DROPPED), 0);
			assert_int_equal(counter(n, k, IKE_COUNT_UNEXPECTED), 0);
		}
		net_free(n);
	}
}

/* No datagram is longer than fragment_size, and what is shorter is not divided. */
static void sizes_are_kept(void **state)
{
	static const unsigned sizes[] = {256, 257, 263, 272, 300, 576, 1280};
	size_t count;
	const struct suite *t = suite_table(&count);

	(void)state;
	for (size_t i = 0; i < count * ARRAY_SIZE(sizes); i++) {
		struct options o = options_default();
		struct watch w = {0};
		char ike[128];
		struct net *n;

		snprintf(ike, sizeof(ike), "%s-prfsha512-ecp521", t[i % count].name);
		o.ike = ike;
		o.fragment_size = sizes[i / count];
		n = net_new(&o);
		n->hook = watch_hook;
		n->hook_ctx = &w;
		net_until(n, net_is_up, 10 * SEC, "up");
		every_exchange(n, SEC);
		assert_true(net_agrees(n));
		assert_true(w.longest + IP_UDP_MARKER <= o.fragment_size);
		/* IKE_AUTH has some 300 bytes, and the rekey of the IKE SA with ecp521 some 360. */
		assert_int_equal(w.fragments > 0, o.fragment_size < 576 - 200);
		assert_true(w.whole > 0);
		net_free(n);
	}
}

/* What skf_room says fits into a message of that size, and one byte more does not. */
static void room_is_exact(void **state)
{
	size_t count;
	const struct suite *t = suite_table(&count);
	static uint8_t text[400], msg[500];

	(void)state;
	for (size_t i = 0; i < count; i++) {
		struct options o = options_default();
		const struct fragment_head f = {.number = 1, .total = 2};
		struct ike_header h = {.exchange = IKE_INFORMATIONAL};
		char ike[128];
		struct ike_sa *sa;
		struct net *n;

		snprintf(ike, sizeof(ike), "%s-prfsha256-x25519", t[i].name);
		o.ike = ike;
		n = net_up(&o);
		sa = peer_conn(n, GW)->sa;
		for (size_t cap = 200; cap < 240; cap++) {
			size_t room = skf_room(sa, cap);

			assert_true(skf_seal(sa, &h, &f, (struct chunk){text, room}, msg,
					     sizeof(msg)) <= cap);
			assert_true(skf_seal(sa, &h, &f, (struct chunk){text, room + 1}, msg,
					     sizeof(msg)) > cap);
		}
		net_free(n);
	}
}

/* Nothing is divided unless both sides have announced it. */
static void both_sides_agree(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct options o = forced();
		struct watch w = {0};
		struct net *n;

		o.start = START_NONE;
		n = net_new(&o);
		n->hook = watch_hook;
		n->hook_ctx = &w;
		for (unsigned k = 0; k < 2; k++) {
			if (i >> k & 1)
				n->peer[k].conf->fragmentation = FRAGMENTATION_NO;
		}
		tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
		net_until(n, net_is_up, 10 * SEC, "up");
		every_exchange(n, SEC);
		assert_int_equal(w.fragments > 0, i == 0);
		for (unsigned k = 0; k < 2; k++)
			assert_int_equal(ike_sa_fragments(peer_conn(n, k)->sa), i == 0);
		net_traffic(n, 0);
		net_free(n);
	}
}

/* ---- each fragment lost, doubled and late ---- */

enum fate { LOST, DOUBLED, LATE, LATE_BY_FAR, FATES };

struct meddler {
	enum fate fate;
	unsigned at, seen; /* the fragment that it happens to, of those that were sent */
	struct datagram held;
	uint8_t bytes[2048];
};

static bool meddle(struct net *n, unsigned from, struct datagram *d)
{
	struct meddler *m = n->hook_ctx;
	unsigned nr;

	(void)from;
	if (!is_fragment(d))
		return true;
	nr = m->seen++;
	if (nr == m->at) {
		m->held = *d;
		m->held.p = memcpy(m->bytes, d->p, d->len);
		if (m->fate == DOUBLED)
			net_release(n, &m->held);
		return m->fate == DOUBLED;
	}
	if (nr == m->at + (m->fate == LATE ? 1 : 9) && m->fate >= LATE)
		net_release(n, &m->held);
	return true;
}

/* Runs every exchange; something happens to one fragment. Returns how many there were. */
static unsigned run_with(const struct options *o, enum fate fate, unsigned at)
{
	struct meddler m = {.fate = fate, .at = at};
	struct net *n = net_new(o);

	n->hook = meddle;
	n->hook_ctx = &m;
	net_until(n, net_is_up, 30 * SEC, "up");
	every_exchange(n, 10 * SEC);
	assert_true(net_agrees(n));
	net_traffic(n, 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(peer_conn(n, i)->failures, 0);
	net_free(n);
	return m.seen;
}

static void each_fragment(void **state)
{
	struct options o = forced();
	unsigned count;

	(void)state;
	for (unsigned small = 0; small < 2; small++) {
		o.fragment_size = small ? 256 : 0;
		count = run_with(&o, DOUBLED, UINT32_MAX - 16);
		assert_true(count >= 24);
		for (unsigned at = 0; at < count; at++) {
			for (unsigned fate = 0; fate < FATES; fate++)
				(void)run_with(&o, fate, at);
		}
	}
}

/* The same under random loss, on a wire that reorders as well. */
static void on_a_bad_wire(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 40; seed++) {
		struct options o = forced();
		struct net *n;

		o.seed = seed;
		o.fragment_size = seed % 2 ? 256 : 0;
		n = net_new(&o);
		n->loss = 150;
		n->dup = 100;
		n->reorder = 200;
		n->jitter = 5 * MSEC;
		net_until(n, net_is_up, 200 * SEC, "up");
		every_exchange(n, 30 * SEC);
		n->loss = n->dup = n->reorder = 0;
		net_until(n, net_is_up, 200 * SEC, "up at the end");
		net_run(n, 60 * SEC);
		assert_true(net_agrees(n));
		net_traffic(n, 0);
		net_free(n);
	}
}

/* ---- retransmissions ---- */

#define TAPE 8

/* The datagrams of the branch's last request, and what the gateway says after that. */
struct tape {
	struct {
		uint8_t b[512];
		uint32_t len;
	} d[TAPE];
	unsigned count;
	bool stopped;
	unsigned answers; /* datagrams of the gateway, since it was stopped */
};

static bool record(struct net *n, unsigned from, struct datagram *d)
{
	struct tape *t = n->hook_ctx;

	if (!is_protected(d))
		return true;
	if (from == GW) {
		t->answers += t->stopped;
	} else if (!t->stopped) {
		if (d->p[16] != PAYLOAD_SKF || number_of(d) == 1)
			t->count = 0;
		assert_true(t->count < TAPE && d->len <= sizeof(t->d[0].b));
		memcpy(t->d[t->count].b, d->p, d->len);
		t->d[t->count++].len = d->len;
	}
	return true;
}

static void replay(struct net *n, const struct tape *t, unsigned i)
{
	net_inject(n, GW, false, t->d[i].b, t->d[i].len);
}

/* The branch has sent a rekey of its child in fragments, which the gateway has answered. */
static struct net *with_a_rekey(struct tape *t)
{
	struct options o = forced();
	struct net *n = net_up(&o);

	*t = (struct tape){.count = 0};
	n->hook = record;
	n->hook_ctx = t;
	n->peer[BRANCH].tunnel->ike->held = false;
	tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
	tunnel_turn(n->peer[BRANCH].tunnel, n->now);
	t->stopped = true;
	n->cut[GW] = true; /* so that the branch sends nothing else */
	net_run(n, 100 * MSEC);
	n->cut[GW] = false;
	assert_int_equal(t->count, 2);
	t->answers = 0;
	return n;
}

/* RFC 7383 2.6.1: of a request that is sent again, number 1 alone is answered, by all fragments. */
static void number_one_is_answered_again(void **state)
{
	static struct tape t;
	struct net *n = with_a_rekey(&t);
	uint64_t again = counter(n, GW, IKE_COUNT_RETRANSMITTED);
	uint32_t expected = peer_conn(n, GW)->sa->window.expected_id;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		replay(n, &t, 1);
	assert_int_equal(t.answers, 0);
	assert_null(peer_conn(n, GW)->sa->window.request_parts.part);
	for (unsigned i = 1; i <= 3; i++) {
		replay(n, &t, 0);
		assert_int_equal(t.answers, 2 * i);
	}
	assert_int_equal(counter(n, GW, IKE_COUNT_RETRANSMITTED), again + 3);
	assert_null(peer_conn(n, GW)->sa->window.request_parts.part);
	assert_int_equal(peer_conn(n, GW)->sa->window.expected_id, expected);
	assert_int_equal(counter(n, GW, IKE_COUNT_REASSEMBLED), 2); /* IKE_AUTH and this one */
	net_free(n);
}

/* A message for the other side, sealed by the keys of this one. */
static void forge(struct net *n, unsigned to, const struct ike_header *h,
		  const struct fragment_head *f, struct chunk text)
{
	static uint8_t msg[IKE_MAX_MESSAGE];
	size_t len = skf_seal(peer_conn(n, !to)->sa, h, f, text, msg, sizeof(msg));

	assert_true(len > 0);
	net_inject(n, to, false, msg, (uint32_t)len);
}

static struct ike_header header(struct net *n, uint8_t exchange, uint32_t id)
{
	const struct ike_sa *sa = peer_conn(n, BRANCH)->sa;

	return (struct ike_header){.spi_i = sa->spi_i,
				   .spi_r = sa->spi_r,
				   .exchange = exchange,
				   .flags = IKE_FLAG_INITIATOR,
				   .message_id = id};
}

/* One fragment of a request of the branch's, with this text. */
static void request_part(struct net *n, uint32_t id, unsigned number, unsigned total,
			 struct chunk text)
{
	struct ike_header h = header(n, IKE_INFORMATIONAL, id);
	struct fragment_head f = {.id = id,
				  .exchange = IKE_INFORMATIONAL,
				  .next = number == 1 ? PAYLOAD_NOTIFY : PAYLOAD_NONE,
				  .number = (uint16_t)number,
				  .total = (uint16_t)total};

	forge(n, GW, &h, &f, text);
}

#define NOTE_LEN 308

/* A notify of unknown type, with this byte in its data. */
static struct chunk note(uint8_t what)
{
	static uint8_t text[NOTE_LEN];
	struct ike_builder b;
	uint8_t data[300];

	memset(data, what, sizeof(data));
	ib_inside(&b, text, sizeof(text));
	ib_notify(&b, PROTOCOL_NONE, (struct chunk){0}, 40000, (struct chunk){data, sizeof(data)});
	assert_false(b.w.bad);
	return (struct chunk){text, b.w.len};
}

/* Sends the request in this many parts. */
static void send_parts(struct net *n, uint32_t id, unsigned total, struct chunk text)
{
	size_t part = (text.len + total - 1) / total;

	for (unsigned i = 0; i < total; i++)
		request_part(n, id, i + 1, total,
			     (struct chunk){text.p + i * part, min_u64(part, text.len - i * part)});
}

static struct net *quiet_net(void)
{
	struct options o = options_default();
	struct net *n;

	o.dpd = NSEC_NEVER;
	n = net_up(&o);
	net_run(n, SEC);
	return n;
}

/* The same, also when another process has taken over the IKE SA meanwhile. */
static void answered_again_after_a_restart(void **state)
{
	struct options o = forced();
	struct net *n = net_up(&o);
	struct ike_sa *gw = peer_conn(n, GW)->sa;
	uint32_t id;
	struct watch w = {0};
	uint64_t sent;

	(void)state;
	net_run(n, SEC);
	id = gw->window.expected_id;
	send_parts(n, id, 2, note(1));
	assert_int_equal(peer_restart(n, GW), 1);
	gw = peer_conn(n, GW)->sa;
	assert_int_equal(gw->window.expected_id, id + 1);
	sent = n->peer[GW].ike_sent;
	request_part(n, id, 1, 2, (struct chunk){note(1).p, 200});
	assert_int_equal(n->peer[GW].ike_sent, sent + 1);
	peer_conn(n, BRANCH)->sa->window.next_id = id + 1;
	n->hook = watch_hook;
	n->hook_ctx = &w;
	ike_sa_rekey(gw, n->now);
	net_run(n, 5 * SEC);
	assert_int_equal(peer_ike_sas(n, GW), 1);
	assert_true(w.fragments >= 4); /* as agreed by the process before */
	/* The successor of the IKE SA has it from its predecessor. */
	w.fragments = 0;
	tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
	net_run(n, 5 * SEC);
	assert_true(w.fragments >= 4);
	net_free(n);
}

/* A request that is sent again in other parts is the same one; with another text it is not. */
static void divided_otherwise(void **state)
{
	struct net *n = quiet_net();
	struct ike_sa *gw = peer_conn(n, GW)->sa;
	uint32_t id = gw->window.expected_id;
	uint64_t sent = n->peer[GW].ike_sent;

	(void)state;
	send_parts(n, id, 2, note(1));
	assert_int_equal(gw->window.expected_id, id + 1);
	assert_int_equal(n->peer[GW].ike_sent, sent + 1);
	send_parts(n, id, 3, note(1)); /* smaller ones: number 1 tells */
	assert_int_equal(n->peer[GW].ike_sent, sent + 2);
	send_parts(n, id, 8, note(1)); /* so small that number 1 does not: the whole tells */
	assert_int_equal(n->peer[GW].ike_sent, sent + 3);
	assert_int_equal(counter(n, GW, IKE_COUNT_OLD_MESSAGE), 0);
	assert_false(net_logged(n, "went back"));
	for (unsigned total = 1; total < 4; total++) {
		send_parts(n, id, total, note(2));
		assert_int_equal(counter(n, GW, IKE_COUNT_OLD_MESSAGE), total);
	}
	assert_int_equal(n->peer[GW].ike_sent, sent + 3);
	assert_true(net_logged(n, "went back"));
	assert_null(gw->window.request_parts.part);
	net_free(n);
}

/* So is one of the requests before the last one. */
static void went_back_by_two(void **state)
{
	struct net *n = quiet_net();
	struct ike_sa *gw = peer_conn(n, GW)->sa;
	uint32_t id = gw->window.expected_id;

	(void)state;
	send_parts(n, id, 2, note(1));
	send_parts(n, id + 1, 2, note(2));
	assert_int_equal(gw->window.expected_id, id + 2);
	send_parts(n, id, 2, note(1)); /* a recording */
	assert_false(net_logged(n, "went back"));
	send_parts(n, id, 2, note(3));
	assert_true(net_logged(n, "went back"));
	net_free(n);
}

/* ---- smaller fragments where larger ones are lost (2.5.2) ---- */

struct narrow {
	unsigned mtu; /* of the path from these sides: bits */
	unsigned sides;
	unsigned dropped;
};

static bool narrow_path(struct net *n, unsigned from, struct datagram *d)
{
	struct narrow *w = n->hook_ctx;

	if (!is_protected(d) || !(w->sides >> from & 1) || d->len + IP_UDP_MARKER <= w->mtu)
		return true;
	w->dropped++;
	return false;
}

#define SELECTORS 16 /* of either side */

/* Selectors that make every message about a child longer than 576 bytes. */
static void many_selectors(struct net *n)
{
	for (unsigned i = 0; i < 2; i++) {
		struct child_conf *c = &n->peer[i].conf->children[0];

		for (unsigned k = 1; k < SELECTORS; k++) {
			char a[32], b[32];

			snprintf(a, sizeof(a), "10.1.%u.0/24", 100 + 2 * k);
			snprintf(b, sizeof(b), "10.2.%u.0/24", 100 + 2 * k);
			assert_int_equal(ts_parse(i == BRANCH ? a : b, &c->local_ts->ts[k]), 0);
			assert_int_equal(ts_parse(i == BRANCH ? b : a, &c->remote_ts->ts[k]), 0);
		}
		c->local_ts->count = c->remote_ts->count = SELECTORS;
	}
}

/* So that a request of the branch's is longer than what the gateway answers. */
#define EIGHT_PROPOSALS                                                            \
	"aes128gcm16-esn-noesn,aes256gcm16-esn-noesn,aes128-sha256-esn-noesn,"     \
	"aes128-sha384-esn-noesn,aes128-sha512-esn-noesn,aes256-sha256-esn-noesn," \
	"aes256-sha384-esn-noesn,aes256-sha512-esn-noesn"

static void smaller_after_silence(void **state)
{
	static const struct {
		unsigned size, mtu, sides;
		unsigned becomes; /* the size of the branch */
	} cases[] = {
		{1280, 576, 1 << BRANCH, 576}, /* the request, which was whole */
		/* The response: the branch cannot tell, and the gateway does as the branch. */
		{1280, 576, 1 << GW, 576},
		{1280, 576, 3, 576},	      /* both */
		{700, 600, 1 << BRANCH, 576}, /* it was divided before */
		{9000, 1000, 3, 576},	      /* 1,280 would not divide it */
		{9000, 1280, 3, 9000},	      /* nothing is lost */
		{1280, 1280, 3, 1280},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct options o = options_default();
		struct narrow w = {.mtu = cases[i].mtu, .sides = cases[i].sides};
		struct net *n;

		o.start = START_NONE;
		o.esp = EIGHT_PROPOSALS;
		o.fragment_size = cases[i].size;
		n = net_new(&o);
		many_selectors(n);
		n->peer[BRANCH].conf->ha_peer = true;
		n->hook = narrow_path;
		n->hook_ctx = &w;
		tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
		net_until(n, net_is_up, 25 * SEC, "up by the first call");
		assert_int_equal(peer_conn(n, BRANCH)->failures, 0);
		/* Twice, in one datagram or two; a response that was sent thrice is dropped twice.
		 */
		assert_int_equal(w.dropped, cases[i].mtu == 1280   ? 0
					    : cases[i].size == 700 ? 4
								   : 2);
		assert_int_equal(ike_sa_fragment_size(peer_conn(n, BRANCH)->sa), cases[i].becomes);
		assert_int_equal(ike_sa_fragment_size(peer_conn(n, GW)->sa), cases[i].size);
		/* What was learned stays: nothing is lost any more, also on the successor. */
		w.dropped = 0;
		ike_sa_rekey(peer_conn(n, BRANCH)->sa, n->now);
		net_run(n, SEC);
		tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
		net_run(n, SEC);
		assert_int_equal(w.dropped, 0);
		assert_true(net_agrees(n));
		assert_int_equal(ike_sa_fragment_size(peer_conn(n, BRANCH)->sa), cases[i].becomes);
		/* The gateway's own requests learn it, and then its responses have it too. */
		tunnel_child_rekey(peer_child(n, GW, 0), n->now);
		net_run(n, 20 * SEC);
		assert_true(net_agrees(n));
		assert_int_equal(ike_sa_fragment_size(peer_conn(n, GW)->sa),
				 cases[i].mtu < 1280 && cases[i].sides >> GW & 1 ? 576
										 : cases[i].size);
		w.dropped = 0;
		tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
		net_run(n, SEC);
		assert_int_equal(w.dropped, 0);
		net_free(n);
	}
}

/* Responds to the last request by 700 bytes; returns in how many datagrams. */
static unsigned long_response(struct net *n)
{
	struct ike_sa *gw = peer_conn(n, GW)->sa;
	struct ike_header h = header(n, IKE_INFORMATIONAL, gw->window.expected_id - 1);
	uint64_t sent = n->peer[GW].ike_sent;
	static const uint8_t data[700];
	uint8_t text[800];
	struct ike_builder b;

	ib_inside(&b, text, sizeof(text));
	ib_notify(&b, PROTOCOL_NONE, (struct chunk){0}, 40000, (struct chunk){data, sizeof(data)});
	exchange_respond(gw, &h, &b, &gw->local, &gw->remote, n->now);
	return (unsigned)(n->peer[GW].ike_sent - sent);
}

static unsigned again(struct net *n)
{
	struct ike_sa *gw = peer_conn(n, GW)->sa;
	uint64_t sent = n->peer[GW].ike_sent;

	exchange_respond_again(gw, &gw->local, &gw->remote, n->now);
	return (unsigned)(n->peer[GW].ike_sent - sent);
}

/*
 * A recorded request in the name of another host: that gets the whole response only a few times.
 * The peer itself gets it as often as it asks.
 */
static void others_get_few_answers(void **state)
{
	static struct tape t;
	struct net *n = with_a_rekey(&t);
	const struct endpoint address = n->peer[BRANCH].address;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		n->peer[BRANCH].address.addr.b[2] = (uint8_t)i;
		replay(n, &t, 0);
	}
	n->peer[BRANCH].address = address;
	assert_true(t.answers >= 2 && t.answers <= 2 * 12);
	t.answers = 0;
	for (unsigned i = 0; i < 100; i++)
		replay(n, &t, 0);
	assert_int_equal(t.answers, 200);
	net_free(n);
}

/*
 * A response whose request comes again and again is divided, too. As anyone can send it again,
 * other messages stay as they are.
 */
static void a_response_is_divided(void **state)
{
	struct net *n = quiet_net();

	(void)state;
	assert_int_equal(long_response(n), 1);
	assert_int_equal(again(n), 1);
	assert_int_equal(again(n), 2);
	assert_int_equal(again(n), 2);
	assert_int_equal(ike_sa_fragment_size(peer_conn(n, GW)->sa), 1280);
	assert_int_equal(long_response(n), 1);
	net_free(n);
}

/* A response has no longer fragments than its request had, but none shorter than 576 bytes. */
static void hints_have_a_floor(void **state)
{
	struct net *n = quiet_net();
	uint32_t id = peer_conn(n, GW)->sa->window.expected_id;
	struct ike_header h = header(n, IKE_INFORMATIONAL, id + 1);
	const struct fragment_head whole = {.next = PAYLOAD_NOTIFY};

	(void)state;
	send_parts(n, id, 4, note(1));
	assert_int_equal(long_response(n), 2);
	forge(n, GW, &h, &whole, note(2));
	assert_int_equal(long_response(n), 1);
	net_free(n);
}

/*
 * What goes out again goes out as it was, or in more fragments than before (2.5.2), each encrypted
 * with an IV of its own.
 */
struct totals {
	uint32_t id[2];
	unsigned total[2], divided;
	unsigned count;
	struct {
		uint64_t iv;
		uint32_t len;
		uint8_t bytes[2048];
	} sent[64];
};

static void iv_is_new(struct totals *t, const struct datagram *d)
{
	uint64_t iv = get_be64(d->p + (is_fragment(d) ? 36 : 32));

	for (unsigned i = 0; i < t->count; i++) {
		if (t->sent[i].iv != iv)
			continue;
		assert_int_equal(t->sent[i].len, d->len);
		assert_memory_equal(t->sent[i].bytes, d->p, d->len);
		return;
	}
	assert_true(t->count < ARRAY_SIZE(t->sent) && d->len <= sizeof(t->sent[0].bytes));
	t->sent[t->count].iv = iv;
	t->sent[t->count].len = d->len;
	memcpy(t->sent[t->count++].bytes, d->p, d->len);
}

static bool totals_rise(struct net *n, unsigned from, struct datagram *d)
{
	struct totals *t = n->hook_ctx;
	unsigned total;

	if (!is_protected(d) || d->p[18] != IKE_AUTH)
		return true;
	iv_is_new(t, d);
	total = is_fragment(d) ? get_be16(d->p + 34) : 0;
	if (t->id[from] == get_be32(d->p + 20)) {
		assert_true(total >= t->total[from]);
		t->divided += total > t->total[from];
	}
	t->id[from] = get_be32(d->p + 20);
	t->total[from] = total;
	return false;
}

static void more_fragments_each_time(void **state)
{
	struct options o = options_default();
	static struct totals t;
	struct net *n;

	(void)state;
	o.start = START_NONE;
	o.fragment_size = 2000;
	o.ike = "aes128gcm16-prfsha256-x25519";
	t = (struct totals){.id = {9, 9}};
	n = net_new(&o);
	many_selectors(n);
	n->hook = totals_rise;
	n->hook_ctx = &t;
	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_run(n, 29 * SEC);
	assert_int_equal(t.divided, 1); /* 1,280 would not divide it, 576 does */
	assert_int_equal(t.total[BRANCH], 2);
	assert_int_equal(t.count, 3);
	net_free(n);
}

/* ---- what a peer with keys may do ---- */

static void has_no_parts(struct net *n)
{
	assert_null(peer_conn(n, GW)->sa->window.request_parts.part);
}

/* Wrong numbers, and message IDs outside the window, are dropped before they are opened. */
static void dropped_unopened(void **state)
{
	struct net *n = quiet_net();
	struct ike_sa *gw = peer_conn(n, GW)->sa;
	uint32_t id = gw->window.expected_id;
	uint64_t sent = n->peer[GW].ike_sent;

	(void)state;
	request_part(n, id, 0, 2, note(1));
	request_part(n, id, 3, 2, note(1));
	request_part(n, id, 1, 0xffff, note(1));
	request_part(n, id, 1, IKE_MAX_FRAGMENTS + 1, note(1));
	request_part(n, id + 1, 1, 1, note(1));
	request_part(n, id + 1000, 1, 2, note(1));
	request_part(n, id - 1, 2, 2, note(1));
	request_part(n, id - REMEMBERED_REQUESTS - 1, 1, 1, note(1));
	assert_int_equal(counter(n, GW, IKE_COUNT_FRAGMENT_DROPPED), 8);
	assert_int_equal(counter(n, GW, IKE_COUNT_FRAGMENTS), 0);
	has_no_parts(n);
	assert_int_equal(n->peer[GW].ike_sent, sent);
	assert_int_equal(gw->window.expected_id, id);
	net_free(n);
}

/* A fragment with any bit changed is not stored, and does not replace what is. */
static void forged_ones_are_not_stored(void **state)
{
	struct net *n = quiet_net();
	struct ike_sa *gw = peer_conn(n, GW)->sa;
	uint32_t id = gw->window.expected_id;
	struct ike_header h = header(n, IKE_INFORMATIONAL, id);
	struct fragment_head f = {.id = id, .exchange = IKE_INFORMATIONAL, .number = 2, .total = 2};
	struct chunk text = note(1);
	uint8_t msg[512];
	size_t len;

	(void)state;
	request_part(n, id, 1, 2, (struct chunk){text.p, 200});
	text = (struct chunk){text.p + 200, text.len - 200};
	len = skf_seal(peer_conn(n, BRANCH)->sa, &h, &f, text, msg, sizeof(msg));
	for (unsigned i = 0; i < len * 8; i++) {
		msg[i / 8] ^= (uint8_t)(1u << i % 8);
		net_inject(n, GW, false, msg, (uint32_t)len);
		msg[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(gw->window.request_parts.count, 1);
		assert_int_equal(gw->window.request_parts.total, 2);
	}
	assert_int_equal(gw->window.expected_id, id);
	net_inject(n, GW, false, msg, (uint32_t)len);
	assert_int_equal(gw->window.expected_id, id + 1);
	has_no_parts(n);
	net_free(n);
}

/* What is incomplete is forgotten after 30 s without another fragment, and counted. */
static void incomplete_ones_are_forgotten(void **state)
{
	struct net *n = quiet_net();
	struct ike_sa *gw = peer_conn(n, GW)->sa;
	uint32_t id = gw->window.expected_id;
	struct chunk text = note(1);

	(void)state;
	request_part(n, id, 1, 3, (struct chunk){text.p, 100});
	net_run(n, 29 * SEC);
	request_part(n, id, 2, 3, (struct chunk){text.p + 100, 100});
	net_run(n, 29 * SEC);
	assert_int_equal(gw->window.request_parts.count, 2);
	net_run(n, 2 * SEC);
	has_no_parts(n);
	assert_int_equal(counter(n, GW, IKE_COUNT_FRAGMENT_TIMEOUT), 1);
	request_part(n, id, 3, 3, (struct chunk){text.p + 200, text.len - 200});
	assert_int_equal(gw->window.expected_id, id);
	net_free(n);
}

/* A whole message, or a later one, ends what was incomplete; an old one does not. */
static void one_message_at_a_time(void **state)
{
	struct net *n = quiet_net();
	struct ike_sa *gw = peer_conn(n, GW)->sa;
	uint32_t id = gw->window.expected_id;
	struct ike_header h = header(n, IKE_INFORMATIONAL, id);
	const struct fragment_head whole = {.next = PAYLOAD_NOTIFY};
	struct chunk text = note(1);

	(void)state;
	request_part(n, id, 1, 2, (struct chunk){text.p, 100});
	forge(n, GW, &h, &whole, text);
	assert_int_equal(gw->window.expected_id, id + 1);
	has_no_parts(n);
	request_part(n, id, 2, 2, (struct chunk){text.p + 100, text.len - 100});
	has_no_parts(n);
	/* A recording of an old request comes between the fragments of a new one. */
	request_part(n, id + 1, 1, 2, (struct chunk){text.p, 100});
	send_parts(n, id, 3, note(3));
	assert_int_equal(gw->window.request_parts.id, id + 1);
	request_part(n, id + 1, 2, 2, (struct chunk){text.p + 100, text.len - 100});
	assert_int_equal(gw->window.expected_id, id + 2);
	assert_false(net_logged(n, "went back"));
	/* The other way round: the new one goes on. */
	request_part(n, id + 1, 1, 2, note(2));
	assert_int_equal(gw->window.request_parts.id, id + 1);
	send_parts(n, id + 2, 2, note(4));
	assert_int_equal(gw->window.expected_id, id + 3);
	has_no_parts(n);
	net_free(n);
}

/* One fragment that is all, and ones that are empty, are as good as others. */
static void odd_fragments(void **state)
{
	struct net *n = quiet_net();
	struct ike_sa *gw = peer_conn(n, GW)->sa;
	uint32_t id = gw->window.expected_id;
	struct ike_header h = header(n, IKE_INFORMATIONAL, id + 2);
	struct fragment_head none = {
		.id = id + 2, .exchange = IKE_INFORMATIONAL, .number = 1, .total = 1};
	uint64_t unexpected = counter(n, GW, IKE_COUNT_UNEXPECTED);

	(void)state;
	request_part(n, id, 1, 1, note(1));
	assert_int_equal(gw->window.expected_id, id + 1);
	request_part(n, id + 1, 2, 3, (struct chunk){0});
	request_part(n, id + 1, 3, 3, note(2));
	request_part(n, id + 1, 1, 3, (struct chunk){0});
	assert_int_equal(gw->window.expected_id, id + 2);
	forge(n, GW, &h, &none, (struct chunk){0}); /* an empty message */
	assert_int_equal(gw->window.expected_id, id + 3);
	assert_int_equal(counter(n, GW, IKE_COUNT_UNEXPECTED), unexpected);
	/* A message that is malformed as a whole is answered as one in SK is. */
	request_part(n, id + 3, 1, 2, (struct chunk){note(1).p, 8});
	request_part(n, id + 3, 2, 2, (struct chunk){0});
	assert_int_equal(gw->window.expected_id, id + 4);
	assert_int_equal(counter(n, GW, IKE_COUNT_UNEXPECTED), unexpected + 1);
	net_free(n);
}

/* Fragments in fragments, SKF inside SK, and SKF where it was not agreed on. */
static void out_of_place(void **state)
{
	struct net *n = quiet_net();
	struct ike_sa *gw = peer_conn(n, GW)->sa;
	uint32_t id = gw->window.expected_id;
	static const uint8_t skf[] = {0, 0, 0, 12, 0, 1, 0, 1, 1, 2, 3, 4};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct ike_header h = header(n, IKE_INFORMATIONAL, id + i);
		struct fragment_head f = {.id = id + i,
					  .exchange = IKE_INFORMATIONAL,
					  .next = PAYLOAD_SKF,
					  .number = 1,
					  .total = (uint16_t)i};
		uint64_t before = counter(n, GW, IKE_COUNT_UNEXPECTED);

		forge(n, GW, &h, &f, (struct chunk){skf, sizeof(skf)});
		assert_int_equal(counter(n, GW, IKE_COUNT_UNEXPECTED), before + 1);
		assert_int_equal(gw->window.expected_id, id + i + 1);
	}
	gw->fragments = false;
	send_parts(n, id + 2, 2, note(1));
	assert_int_equal(gw->window.expected_id, id + 2);
	assert_int_equal(counter(n, GW, IKE_COUNT_FRAGMENT_DROPPED), 2);
	net_free(n);
}

/* An established peer may fill 64 KiB, and no more. */
static void a_message_has_a_limit(void **state)
{
	static uint8_t text[IKE_MAX_MESSAGE];
	struct net *n = quiet_net();
	struct ike_sa *gw = peer_conn(n, GW)->sa;
	uint32_t id = gw->window.expected_id;

	(void)state;
	for (unsigned i = 1; i < 255; i++) {
		request_part(n, id, i, 255, (struct chunk){text, 1000});
		assert_true(gw->window.request_parts.len <= IKE_MAX_MESSAGE);
	}
	assert_true(net_logged(n, "too long"));
	assert_true(counter(n, GW, IKE_COUNT_FRAGMENT_DROPPED) >= 3);
	assert_int_equal(gw->window.expected_id, id);
	net_run(n, 31 * SEC);
	has_no_parts(n);
	net_free(n);
}

/* ---- a peer that is not authenticated ---- */

static bool no_auth(struct net *n, unsigned from, struct datagram *d)
{
	(void)n;
	return from != BRANCH || d->esp || d->p[18] != IKE_AUTH;
}

/* The gateway's half-open IKE SA; the branch has its keys. */
static struct ike_sa *half_open(struct net *n, struct options *o)
{
	struct ike_sa *sa;

	(void)o;
	n->hook = no_auth;
	tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
	net_run(n, 500 * MSEC);
	sa = n->peer[GW].tunnel->ike->sas;
	assert_non_null(sa);
	assert_int_equal(sa->state, IKE_STATE_HALF_OPEN);
	return sa;
}

static void auth_part(struct net *n, unsigned number, unsigned total, struct chunk text)
{
	struct ike_header h = header(n, IKE_AUTH, 1);
	struct fragment_head f = {.id = 1,
				  .exchange = IKE_AUTH,
				  .next = PAYLOAD_IDI,
				  .number = (uint16_t)number,
				  .total = (uint16_t)total};

	forge(n, GW, &h, &f, text);
}

static void half_open_peers_have_less(void **state)
{
	static uint8_t text[1024];
	struct options o = options_default();
	struct net *n;
	struct ike_sa *sa;
	size_t most = 0;

	(void)state;
	o.start = START_NONE;
	n = net_new(&o);
	sa = half_open(n, &o);
	for (unsigned round = 2; round < 4; round++) {
		for (unsigned i = 1; i < 60 * round; i++) {
			auth_part(n, i, 60 * round, (struct chunk){text, sizeof(text)});
			most = max_u64(most, sa->window.request_parts.len);
		}
	}
	assert_int_equal(most, IKE_MAX_UNKNOWN);
	assert_true(net_logged(n, "too long"));
	/* All of it goes with the half-open IKE SA. */
	n->cut[BRANCH] = true;
	net_run(n, 31 * SEC);
	assert_int_equal(n->peer[GW].tunnel->ike->half_open, 0);
	net_free(n);
}

/* IKE_AUTH whose last fragment is lost for longer than the half-open IKE SA lives. */
static bool never_the_last(struct net *n, unsigned from, struct datagram *d)
{
	(void)n;
	return from != BRANCH || !is_fragment(d) || number_of(d) < get_be16(d->p + 34);
}

static void half_a_message_lets_nobody_in(void **state)
{
	struct options o = forced();
	struct net *n;

	(void)state;
	n = net_new(&o);
	n->hook = never_the_last;
	net_run(n, 29 * SEC);
	assert_int_equal(n->peer[GW].tunnel->ike->half_open, 1);
	assert_int_equal(counter(n, GW, IKE_COUNT_REASSEMBLED), 0);
	assert_int_equal(peer_child_sas(n, GW), 0);
	n->hook = NULL;
	net_until(n, net_is_up, 60 * SEC, "up when all of it comes");
	net_free(n);
}

/* ---- long messages ---- */

#define MANY 16365

static unsigned answered;

static bool note_answer(struct net *n, unsigned from, struct datagram *d)
{
	(void)n;
	if (from == GW)
		answered += d->len;
	return true;
}

/*
 * A peer deletes MANY CHILD SAs by one message. The response, which names as many, has 64 KiB: in
 * fragments it comes; in one datagram it is too long, which ends the IKE SA and says so.
 */
static void a_very_long_response(void **state)
{
	static uint8_t text[IKE_MAX_MESSAGE];
	static uint32_t spis[MANY];

	(void)state;
	for (unsigned divided = 0; divided < 2; divided++) {
		struct net *n = quiet_net();
		struct ike_sa *sa = peer_conn(n, GW)->sa;
		struct ike_header h = header(n, IKE_INFORMATIONAL, sa->window.expected_id);
		struct ike_builder b;
		size_t part = 1000;
		uint16_t total;

		for (unsigned i = 0; i < MANY; i++) {
			struct child_sa *c = child_new(sa, sa->conn->children);

			c->spi_in = c->spi_out = spis[i] = 1000000 + i;
		}
		if (!divided)
			n->peer[GW].conf->fragmentation = FRAGMENTATION_NO;
		ib_inside(&b, text, sizeof(text));
		ib_delete_esp(&b, spis, MANY);
		assert_false(b.w.bad);
		total = (uint16_t)((b.w.len + part - 1) / part);
		n->hook = note_answer;
		answered = 0;
		for (uint16_t i = 0; i < total; i++) {
			struct fragment_head f = {.id = h.message_id,
						  .exchange = IKE_INFORMATIONAL,
						  .next = i ? PAYLOAD_NONE : PAYLOAD_DELETE,
						  .number = (uint16_t)(i + 1),
						  .total = total};

			forge(n, GW, &h, &f,
			      (struct chunk){text + i * part, min_u64(part, b.w.len - i * part)});
		}
		n->hook = NULL;
		assert_int_equal(peer_ike_sas(n, GW), divided);
		if (divided) {
			assert_in_range(answered, 4 * MANY, 5 * MANY);
			assert_int_equal(sa->child_count, 1);
		} else {
			assert_in_range(answered, 60, 120); /* INVALID_SYNTAX */
			assert_true(net_logged(n, "too large for a message"));
		}
		net_free(n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_can_be_is_divided),
		cmocka_unit_test(sizes_are_kept),
		cmocka_unit_test(room_is_exact),
		cmocka_unit_test(both_sides_agree),
		cmocka_unit_test(each_fragment),
		cmocka_unit_test(on_a_bad_wire),
		cmocka_unit_test(number_one_is_answered_again),
		cmocka_unit_test(answered_again_after_a_restart),
		cmocka_unit_test(divided_otherwise),
		cmocka_unit_test(went_back_by_two),
		cmocka_unit_test(smaller_after_silence),
		cmocka_unit_test(a_response_is_divided),
		cmocka_unit_test(others_get_few_answers),
		cmocka_unit_test(hints_have_a_floor),
		cmocka_unit_test(more_fragments_each_time),
		cmocka_unit_test(dropped_unopened),
		cmocka_unit_test(forged_ones_are_not_stored),
		cmocka_unit_test(incomplete_ones_are_forgotten),
		cmocka_unit_test(one_message_at_a_time),
		cmocka_unit_test(odd_fragments),
		cmocka_unit_test(out_of_place),
		cmocka_unit_test(a_message_has_a_limit),
		cmocka_unit_test(half_open_peers_have_less),
		cmocka_unit_test(half_a_message_lets_nobody_in),
		cmocka_unit_test(a_very_long_response),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
