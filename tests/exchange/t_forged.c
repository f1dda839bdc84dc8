/*
 * t_forged.c - IKE messages of each exchange that somebody without the keys changes, makes up or
 * sends again (doc/threat-model.md). SPDX-License-Identifier: ISC
 */
#include "peers.h"
#include "task/exchanges.h"

#define STEP	  3   /* every so many bytes of a message are changed, one in each run */
#define TAKEN	  128 /* messages that are recorded */
#define CHILD_UP  0
#define CHILD_NEW 1

static struct addr present; /* of the branch, for is_present */

static bool is_present(const struct addr *a)
{
	return addr_eq(a, &present);
}

static void begins(struct net *n)
{
	for (unsigned c = 0; c < 2; c++)
		tunnel_child_up(peer_child(n, BRANCH, c), n->now);
}

static void asks_for_a_child(struct net *n)
{
	tunnel_child_up(peer_child(n, BRANCH, CHILD_NEW), n->now);
}

static void rekeys_the_child(struct net *n)
{
	assert_true(tunnel_child_rekey(peer_child(n, BRANCH, CHILD_UP), n->now));
}

static void rekeys_the_ike_sa(struct net *n)
{
	ike_sa_rekey(peer_conn(n, BRANCH)->sa, n->now);
}

static void deletes_a_child(struct net *n)
{
	tunnel_child_down(peer_child(n, BRANCH, CHILD_NEW), n->now);
}

static void asks_whether_it_lives(struct net *n)
{
	ike_liveness(peer_conn(n, BRANCH)->sa, 0, n->now);
}

static void moves(struct net *n)
{
	n->peer[BRANCH].address.addr.b[3] ^= 0x40;
	present = n->peer[BRANCH].address.addr;
	tunnel_host_changed(n->peer[BRANCH].tunnel, is_present, n->now);
}

/* What the branch does, and the exchange of it whose messages are disturbed. */
static const struct row {
	const char *what;
	uint8_t exchange;
	void (*act)(struct net *n);
	bool first;    /* it is what brings the tunnel up */
	bool replaces; /* the IKE SA */
} rows[] = {
	{"IKE_SA_INIT", IKE_SA_INIT, begins, true, false},
	{"IKE_INTERMEDIATE", IKE_INTERMEDIATE, begins, true, false},
	{"IKE_AUTH", IKE_AUTH, begins, true, false},
	{"new child", IKE_CREATE_CHILD_SA, asks_for_a_child, false, false},
	{"rekey of a child", IKE_CREATE_CHILD_SA, rekeys_the_child, false, false},
	{"rekey of the IKE SA", IKE_CREATE_CHILD_SA, rekeys_the_ike_sa, false, true},
	{"IKE_FOLLOWUP_KE", IKE_FOLLOWUP_KE, rekeys_the_child, false, false},
	{"delete", IKE_INFORMATIONAL, deletes_a_child, false, false},
	{"liveness", IKE_INFORMATIONAL, asks_whether_it_lives, false, false},
	{"move", IKE_INFORMATIONAL, moves, false, false},
};

static struct net *ready(const struct row *r)
{
	struct options o = options_default();
	struct net *n;

	o.start = START_NONE;
	o.children = 2;
	o.ike = "aes128-sha256-x25519-ke1_ecp256";
	o.esp = "aes128gcm16-x25519-ke1_ecp256-noesn";
	n = net_new(&o);
	if (r->first)
		return n;
	begins(n);
	net_until(n, net_is_up, 10 * SEC, "up");
	if (r->act == asks_for_a_child)
		deletes_a_child(n);
	net_run(n, SEC);
	return n;
}

/* Both sides agree on what there was to be, whatever else was on the wire. */
static void as_it_should_be(struct net *n, const struct row *r, uint64_t spi)
{
	if (r->act == deletes_a_child) {
		assert_int_equal(peer_child_sas(n, BRANCH), 1);
		assert_int_equal(peer_child_sas(n, GW), 1);
		asks_for_a_child(n);
		net_run(n, SEC);
	}
	if (!net_agrees(n) || peer_ike_sas(n, GW) != 1)
		net_fail(n, "%s: the sides do not agree", r->what);
	if (!r->first)
		assert_int_equal(ike_sa_spi_i(peer_conn(n, BRANCH)->sa) != spi, r->replaces);
	assert_int_equal(ike_sa_choice(peer_conn(n, GW)->sa)->group, GROUP_X25519);
	assert_true(addr_eq(&peer_conn(n, GW)->sa->remote.addr, &n->peer[BRANCH].address.addr));
	net_traffic(n, 0);
	net_traffic(n, 1);
}

static uint64_t refused(struct net *n, unsigned side)
{
	const uint64_t *c = ike_counters(n->peer[side].tunnel->ike);

	return c[IKE_COUNT_AUTH_FAILED] + c[IKE_COUNT_MALFORMED] + c[IKE_COUNT_VERSION] +
	       c[IKE_COUNT_UNKNOWN_SPI] + c[IKE_COUNT_UNEXPECTED] + c[IKE_COUNT_OLD_MESSAGE];
}

/* ---- one byte of a message is changed on the way ---- */

struct change {
	uint8_t exchange;
	bool response;
	uint32_t at;  /* the byte */
	uint32_t len; /* of the message that was changed; 0: none was */
};

static bool change_one(struct net *n, unsigned from, struct datagram *d)
{
	static uint8_t copy[2048];
	struct change *c = n->hook_ctx;

	(void)from;
	if (d->esp || c->len || d->p[18] != c->exchange ||
	    !!(d->p[19] & IKE_FLAG_RESPONSE) != c->response || c->at >= d->len)
		return true;
	c->len = d->len;
	/* The sender keeps its own copy, which it sends again. */
	assert_true(d->len <= sizeof(copy));
	memcpy(copy, d->p, d->len);
	d->p = copy;
	copy[c->at] ^= (uint8_t)(1 << c->at % 8);
	return true;
}

/* Returns whether the message has a byte `at`. */
static bool changed(const struct row *r, bool response, uint32_t at)
{
	struct change c = {.exchange = r->exchange, .response = response, .at = at};
	struct net *n = ready(r);
	uint64_t spi = r->first ? 0 : ike_sa_spi_i(peer_conn(n, BRANCH)->sa);
	uint64_t before = refused(n, !response);

	n->hook = change_one;
	n->hook_ctx = &c;
	r->act(n);
	net_run(n, r->first ? 100 * SEC : 20 * SEC);
	if (c.len) {
		as_it_should_be(n, r, spi);
		if (r->exchange != IKE_SA_INIT)
			assert_true(refused(n, !response) > before);
	}
	net_free(n);
	return c.len;
}

/*
 * Somebody on the path changes one bit of the first copy of a message: it is refused, and the
 * exchange goes on with the copy that is sent again. A changed IKE_SA_INIT may be taken at first,
 * as nothing protects it, and is noticed in IKE_AUTH: the branch begins again.
 */
static void changed_on_the_path(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (unsigned response = 0; response < 2; response++) {
			uint32_t at = i % STEP;

			while (changed(&rows[i], response, at))
				at += STEP;
			if (at < IKE_HEADER_LEN + STEP)
				fail_msg("%s: no message was changed", rows[i].what);
		}
	}
}

/* ---- messages that are made up ---- */

static void put_forged(struct net *n, unsigned to, uint8_t exchange, bool response, uint32_t id)
{
	const struct ike_sa *sa = ike_first_sa(n->peer[to].tunnel->ike);
	uint8_t flags = (response ? IKE_FLAG_RESPONSE : 0) |
			(ike_sa_is_initiator(sa) ? 0 : IKE_FLAG_INITIATOR);
	/* The payload's header, and IV, text and ICV of AES-CBC with SHA-256. */
	uint8_t m[IKE_HEADER_LEN + 4 + 16 + 48 + 16];

	memset(m, 0x5a, sizeof(m));
	put_be64(m, ike_sa_spi_i(sa));
	put_be64(m + 8, ike_sa_spi_r(sa));
	m[16] = PAYLOAD_SK;
	m[17] = 0x20;
	m[18] = exchange;
	m[19] = flags;
	put_be32(m + 20, id);
	put_be32(m + 24, sizeof(m));
	m[28] = PAYLOAD_DELETE;
	m[29] = 0;
	put_be16(m + 30, sizeof(m) - IKE_HEADER_LEN);
	net_inject(n, to, false, m, sizeof(m));
}

/*
 * An outsider who knows the SPIs and the next message IDs, as both are in clear, sends requests and
 * responses of every exchange, also while one is outstanding: none is answered, none changes
 * anything, and each is counted.
 */
static void made_up(void **state)
{
	static const uint8_t exchanges[] = {IKE_INTERMEDIATE, IKE_AUTH, IKE_CREATE_CHILD_SA,
					    IKE_FOLLOWUP_KE, IKE_INFORMATIONAL};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct net *n;
		uint64_t spi, sent[2], before[2];

		/* There are no SPIs and keys before IKE_SA_INIT is over. */
		if (rows[i].exchange == IKE_SA_INIT)
			continue;
		n = ready(&rows[i]);
		spi = rows[i].first ? 0 : ike_sa_spi_i(peer_conn(n, BRANCH)->sa);
		rows[i].act(n);
		net_run(n, MSEC / 2 + (rows[i].exchange == IKE_INTERMEDIATE ? 2 * MSEC : 0) +
				   (rows[i].exchange == IKE_AUTH ? 4 * MSEC : 0));
		for (unsigned to = 0; to < 2; to++) {
			sent[to] = n->peer[to].ike_sent;
			before[to] = refused(n, to);
		}
		for (unsigned k = 0; k < 2 * ARRAY_SIZE(exchanges); k++) {
			for (unsigned to = 0; to < 2; to++) {
				for (uint32_t id = 0; id < 12; id++)
					put_forged(n, to, exchanges[k / 2], k % 2, id);
			}
		}
		for (unsigned to = 0; to < 2; to++) {
			if (n->peer[to].ike_sent != sent[to])
				net_fail(n, "%s: answered by %u", rows[i].what, to);
			assert_true(refused(n, to) > before[to]);
		}
		net_run(n, 20 * SEC);
		as_it_should_be(n, &rows[i], spi);
		net_free(n);
	}
}

/* A response to the branch's IKE_SA_INIT, with one notify of two bytes. */
static void put_demand(struct net *n, uint16_t notify, uint16_t data)
{
	uint8_t m[IKE_HEADER_LEN + 10] = {0};

	put_be64(m, ike_sa_spi_i(ike_first_sa(n->peer[BRANCH].tunnel->ike)));
	m[16] = PAYLOAD_NOTIFY;
	m[17] = 0x20;
	m[18] = IKE_SA_INIT;
	m[19] = IKE_FLAG_RESPONSE;
	put_be32(m + 24, sizeof(m));
	put_be16(m + 30, sizeof(m) - IKE_HEADER_LEN);
	put_be16(m + 34, notify);
	put_be16(m + 36, data);
	net_inject(n, BRANCH, false, m, sizeof(m));
}

/*
 * Somebody answers each IKE_SA_INIT with another cookie, or asks for another group in turn: the
 * branch follows a few times, and comes up when the gateway is heard.
 */
static void demands_without_end(void **state)
{
	(void)state;
	for (unsigned groups = 0; groups < 2; groups++) {
		struct options o = options_default();
		struct net *n;
		uint64_t sent;

		o.start = START_NONE;
		o.ike = "aes128-sha256-x25519-ecp256";
		n = net_new(&o);
		n->cut[GW] = true;
		tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
		net_run(n, MSEC / 2);
		sent = n->peer[BRANCH].ike_sent;
		for (unsigned i = 0; i < 1000; i++)
			put_demand(n, groups ? NOTIFY_INVALID_KE_PAYLOAD : NOTIFY_COOKIE,
				   groups ? (i % 2 ? GROUP_X25519 : GROUP_ECP_256) : (uint16_t)i);
		assert_in_range(n->peer[BRANCH].ike_sent - sent, 1, 10);
		n->cut[GW] = false;
		net_until(n, net_is_up, 100 * SEC, "up after the demands");
		net_traffic(n, 0);
		net_free(n);
	}
}

/* ---- messages that were recorded ---- */

struct tape {
	struct {
		unsigned to;
		uint32_t len;
		uint8_t *p;
	} m[TAKEN];
	unsigned count;
	bool stopped;
};

static bool record(struct net *n, unsigned from, struct datagram *d)
{
	struct tape *t = n->hook_ctx;

	if (!d->esp && !t->stopped && t->count < TAKEN) {
		t->m[t->count].to = !from;
		t->m[t->count].len = d->len;
		t->m[t->count].p = xmemdup(d->p, d->len);
		t->count++;
	}
	return true;
}

/*
 * All messages of all exchanges are sent again, three times over, forwards and backwards: no SA
 * comes or goes, and nothing moves.
 */
static void recorded_and_sent_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct tape t = {.count = 0};
		struct net *n = ready(&rows[i]);
		uint64_t spi;

		n->hook = record;
		n->hook_ctx = &t;
		rows[i].act(n);
		net_run(n, 5 * SEC);
		spi = ike_sa_spi_i(peer_conn(n, BRANCH)->sa);
		if (t.count < 2)
			net_fail(n, "%s: %u messages", rows[i].what, t.count);
		t.stopped = true;
		for (unsigned k = 0; k < 3 * t.count; k++) {
			unsigned at = k / t.count == 1 ? t.count - 1 - k % t.count : k % t.count;

			net_inject(n, t.m[at].to, false, t.m[at].p, t.m[at].len);
			net_run(n, MSEC);
			assert_true(ike_sa_spi_i(peer_conn(n, BRANCH)->sa) == spi);
		}
		net_run(n, 40 * SEC);
		as_it_should_be(n, &(struct row){.what = rows[i].what, .act = rows[i].act}, spi);
		for (unsigned k = 0; k < t.count; k++)
			free(t.m[k].p);
		net_free(n);
	}
}

/*
 * A copy of IKE_SA_INIT that was on its way while the IKE SA came up takes no place among those
 * that are half-open, and costs no key exchange; under load every second attempt has such a copy.
 */
static void copy_of_init_comes_late(void **state)
{
	struct tape t = {.count = 0};
	struct net *n = ready(&rows[0]);
	const struct ike *gw = n->peer[GW].tunnel->ike;
	uint64_t sent;

	(void)state;
	n->hook = record;
	n->hook_ctx = &t;
	begins(n);
	net_run(n, SEC);
	assert_true(net_is_up(n));
	t.stopped = true;
	assert_int_equal(t.m[0].p[18], IKE_SA_INIT);
	sent = n->peer[GW].ike_sent;
	net_inject(n, GW, false, t.m[0].p, t.m[0].len);
	assert_int_equal(gw->half_open, 0);
	assert_int_equal(n->peer[GW].ike_sent, sent);
	assert_int_equal(gw->counters[IKE_COUNT_UNEXPECTED], 1);
	/* Much later it is no copy on its way: it is answered as any other, and leads nowhere. */
	net_run(n, 60 * SEC);
	net_inject(n, GW, false, t.m[0].p, t.m[0].len);
	assert_int_equal(gw->half_open, 1);
	net_run(n, 40 * SEC);
	as_it_should_be(n, &rows[0], 0);
	for (unsigned k = 0; k < t.count; k++)
		free(t.m[k].p);
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changed_on_the_path),
		cmocka_unit_test(made_up),
		cmocka_unit_test(demands_without_end),
		cmocka_unit_test(recorded_and_sent_again),
		cmocka_unit_test(copy_of_init_comes_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
