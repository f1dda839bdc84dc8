/*
 * t_answers.c - authentic responses that cannot be accepted: each ends its request at once, with a
 * reason, and what the peer has made by it is deleted there. SPDX-License-Identifier: ISC
 */
#include "peers.h"
#include "task/exchanges.h"
#include "xalloc.h"

/* ---- a gateway that answers with something else ---- */

enum change {
	WIDER,	      /* TSr goes beyond what was asked for */
	NARROWER,     /* TSr is a half of it */
	OTHER_CIPHER, /* SA names a cipher that was not offered */
	BAD_TS,	      /* TSi ends in the middle of a selector */
	NO_TS,	      /* TSr is missing */
	CUT,	      /* the last payload is longer than the message */
	EXCHANGE,     /* the header names another exchange */
	PADDING,      /* the padding is longer than the text */
};

/* How the gateway's next `left` responses of this exchange are changed. */
static struct {
	uint8_t exchange;
	enum change change;
	unsigned left, changed;
} lie;

static struct ike_sa *sa_with(struct net *n, unsigned side, uint64_t spi_i)
{
	struct ike_sa *sa;

	for (sa = n->peer[side].tunnel->ike->sas; sa; sa = sa->hh.next) {
		if (sa->spi_i == spi_i)
			return sa;
	}
	return NULL;
}

/* Writes one payload of the response, changed. */
static void write_payload(struct ike_builder *b, uint8_t type, const uint8_t *p, size_t len)
{
	uint8_t body[2000];

	assert_true(len <= sizeof(body));
	memcpy(body, p, len);
	if (type == PAYLOAD_TSR && lie.change == NO_TS)
		return;
	if (type == PAYLOAD_TSR && lie.change == WIDER) {
		memcpy(body + 12, (const uint8_t[]){10, 0, 0, 0}, 4);
		memcpy(body + 16, (const uint8_t[]){10, 255, 255, 255}, 4);
	}
	if (type == PAYLOAD_TSR && lie.change == NARROWER)
		body[19] = 127;
	/* Proposal header 8, SPI 4, transform header 4, type, reserved, ID. */
	if (type == PAYLOAD_SA && lie.change == OTHER_CIPHER)
		put_be16(body + 18, ENCR_AES_CBC);
	if (type == PAYLOAD_TSI && lie.change == BAD_TS)
		len -= 3;
	ib_payload(b, type, (struct chunk){body, len});
}

static void change_inside(struct ike_builder *b, uint8_t first, const uint8_t *p, size_t len)
{
	uint8_t type = first;
	size_t at = 0;

	while (at < len) {
		size_t body = get_be16(p + at + 2);

		write_payload(b, type, p + at + 4, body - 4);
		type = p[at];
		at += body;
	}
	if (lie.change == CUT)
		put_be16(b->w.base + b->start + 2, 60000);
}

/* Makes the number of padding bytes, the last one of the text, wrong: seals it by hand. */
static size_t seal_with_bad_padding(struct ike_sa *sa, const struct ike_header *h, uint8_t *out)
{
	struct ike_builder b;
	struct aead_op op = {.key = sa->seal, .aad = out, .aad_len = IKE_HEADER_LEN + 4};

	ib_message(&b, out, 200, h);
	ib_open(&b, PAYLOAD_SK);
	op.iv = wr_space(&b.w, sa->choice.suite->iv_len);
	put_be64((uint8_t *)op.iv, ++sa->iv_counter ^ sa->iv_mask);
	op.src = op.dst = wr_space(&b.w, op.len = 1);
	*op.dst = 200;
	op.icv = wr_space(&b.w, sa->choice.suite->icv_len);
	ib_close(&b);
	assert_true(ib_finish(&b) > 0);
	aead_seal_many(&op, 1);
	return b.w.len;
}

static bool lying_gateway(struct net *n, unsigned from, struct datagram *d)
{
	static uint8_t out[IKE_MAX_MESSAGE];
	uint8_t text[IKE_MAX_MESSAGE], inside[IKE_MAX_MESSAGE];
	struct ike_header h;
	struct ike_payloads outer;
	struct ike_builder b;
	struct ike_sa *gw;
	size_t len;

	if (from != GW || d->esp || ike_header_parse(d->p, d->len, &h) < 0 || !lie.left ||
	    h.exchange != lie.exchange || !(h.flags & IKE_FLAG_RESPONSE))
		return true;
	lie.left--;
	lie.changed++;
	assert_int_equal(
		ike_payloads_parse(h.next, d->p + IKE_HEADER_LEN, d->len - IKE_HEADER_LEN, &outer),
		0);
	assert_int_equal(sk_open(sa_with(n, BRANCH, h.spi_i), d->p, d->len, &outer, text, &len), 0);
	gw = sa_with(n, GW, h.spi_i);
	ib_inside(&b, inside, sizeof(inside));
	change_inside(&b, outer.sk_next, text, len);
	if (lie.change == EXCHANGE)
		h.exchange = IKE_INFORMATIONAL;
	d->p = out;
	d->len = (uint32_t)(lie.change == PADDING ? seal_with_bad_padding(gw, &h, out)
						  : sk_seal(gw, &h, &b, out, sizeof(out)));
	return true;
}

/* The gateway lies from now on; for ever, as one that sends the same to each retransmission. */
static void begin_to_lie(struct net *n, uint8_t exchange, enum change change, unsigned left)
{
	lie.exchange = exchange;
	lie.change = change;
	lie.left = left;
	lie.changed = 0;
	n->hook = lying_gateway;
}

static unsigned established(const struct net *n)
{
	const struct ike_sa *sa;
	unsigned count = 0;

	for (sa = n->peer[BRANCH].tunnel->ike->sas; sa; sa = sa->hh.next)
		count += sa->state == IKE_STATE_ESTABLISHED;
	return count;
}

/* No CHILD SA of one side is unknown to the other. */
static bool both_have_the_same(struct net *n)
{
	struct ike_sa *sa, *other;
	struct child_sa *c, *o;

	for (unsigned i = 0; i < 2; i++) {
		for (sa = n->peer[i].tunnel->ike->sas; sa; sa = sa->hh.next) {
			other = sa_with(n, !i, sa->spi_i);
			if (!other)
				return false;
			LIST_FOREACH (c, &sa->children, link) {
				LIST_FOREACH (o, &other->children, link) {
					if (o->spi_in == c->spi_out)
						break;
				}
				if (!o)
					return false;
			}
		}
	}
	return true;
}

/* ---- the cases ---- */

/*
 * IKE_AUTH is answered with a CHILD SA that we do not want: the IKE SA stays, and the peer is told
 * to delete the CHILD SA, on which it would send into nothing.
 */
static void unwanted_child_of_ike_auth(void **state)
{
	static const enum change changes[] = {WIDER, OTHER_CIPHER, BAD_TS, NO_TS};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(changes); i++) {
		struct options o = options_default();
		struct net *n = net_new(&o);

		begin_to_lie(n, IKE_AUTH, changes[i], 1);
		net_run(n, 500 * MSEC);
		assert_int_equal(lie.changed, 1);
		assert_int_equal(peer_ike_sas(n, BRANCH), 1);
		assert_int_equal(peer_child_sas(n, BRANCH), 0);
		assert_int_equal(peer_child_sas(n, GW), 0);
		net_run(n, 20 * SEC);
		assert_true(net_agrees(n));
		net_free(n);
	}
}

/* The same for the rekey of a CHILD SA: the old one stays in use on both sides. */
static void unwanted_child_of_a_rekey(void **state)
{
	static const enum change changes[] = {WIDER, NARROWER, OTHER_CIPHER, BAD_TS};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(changes); i++) {
		struct options o = options_default();
		struct net *n = net_up(&o);
		uint32_t spi = peer_child(n, BRANCH, 0)->current->spi;

		begin_to_lie(n, IKE_CREATE_CHILD_SA, changes[i], 1);
		tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
		net_run(n, 100 * MSEC);
		assert_int_equal(lie.changed, 1);
		assert_true(both_have_the_same(n));
		assert_int_equal(peer_child(n, BRANCH, 0)->current->spi, spi);
		net_packet(n, BRANCH, 0);
		net_packet(n, GW, 0);
		net_run(n, 20 * SEC);
		assert_int_equal(n->peer[BRANCH].delivered + n->peer[GW].delivered, 2);
		assert_true(net_agrees(n));
		net_free(n);
	}
}

/*
 * A rekey of the peer's that asks for a half of what the CHILD SA carries is refused, and we rekey
 * it ourselves with all of it.
 */
static void narrowed_rekey_of_the_peer(void **state)
{
	struct options o = options_default();
	struct net *n = net_up(&o);
	struct child_sa *b = peer_child(n, BRANCH, 0)->current->ike;

	(void)state;
	b->local->ts[0].hi.b[3] = 127;
	tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
	net_run(n, 10 * MSEC);
	b = peer_child(n, BRANCH, 0)->current->ike;
	b->local->ts[0].hi.b[3] = 255;
	net_run(n, 20 * SEC);
	assert_true(net_logged(n, "with other selectors is refused"));
	assert_true(net_agrees(n));
	assert_int_equal(peer_child(n, GW, 0)->current->remote->ts[0].hi.b[3], 255);
	net_packet(n, BRANCH, 0);
	net_packet(n, GW, 0);
	net_run(n, SEC);
	assert_int_equal(n->peer[BRANCH].delivered + n->peer[GW].delivered, 2);
	net_free(n);
}

static int install_fails(void *ctx, struct child_sa *c, const struct child_keys *keys,
			 struct child_sa *replaces, nsec_t now)
{
	(void)ctx, (void)c, (void)keys, (void)replaces, (void)now;
	return -ENOMEM;
}

/* What we cannot install ourselves is deleted at the peer, too. */
static void what_cannot_be_installed_is_deleted(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct options o = options_default();
		struct net *n = i ? net_up(&o) : net_new(&o);
		struct ike_ops *ops = &n->peer[BRANCH].tunnel->ike->ops;
		const struct ike_ops right = *ops;

		ops->child_install = install_fails;
		if (i)
			tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
		net_run(n, 200 * MSEC);
		assert_true(both_have_the_same(n));
		assert_int_equal(peer_child_sas(n, GW), i);
		*ops = right;
		net_run(n, 20 * SEC);
		assert_true(net_agrees(n));
		net_free(n);
	}
}

/*
 * A response that is authentic and malformed, and that is the same again at each retransmission:
 * the request ends with the first one, and a new IKE SA is made. The peer forgets the old one.
 */
static void malformed_answers_are_not_waited_out(void **state)
{
	static const enum change changes[] = {CUT, EXCHANGE, PADDING, NO_TS};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(changes); i++) {
		struct options o = options_default();
		struct net *n = net_up(&o);
		uint64_t spi = peer_conn(n, BRANCH)->sa->spi_i;

		begin_to_lie(n, IKE_CREATE_CHILD_SA, changes[i], 1000);
		tunnel_child_rekey(peer_child(n, BRANCH, 0), n->now);
		net_run(n, 50 * MSEC);
		assert_int_equal(lie.changed, 1);
		assert_null(sa_with(n, BRANCH, spi));
		assert_null(sa_with(n, GW, spi));
		assert_true(net_logged(n, "a response is not valid in its exchange"));
		net_run(n, 3 * SEC);
		assert_true(net_agrees(n));
		net_free(n);
	}
}

/* A connection's own retransmit_* decide how often, and for how long, a request is sent. */
static void own_retransmission(void **state)
{
	struct options o = options_default();
	struct net *n = net_new(&o);
	uint64_t sent;

	(void)state;
	n->peer[BRANCH].conf->retransmit =
		(struct retransmission){.timeout = SEC, .base = 1000, .tries = 3};
	net_until(n, net_is_up, 5 * SEC, "up");
	n->cut[GW] = true;
	sent = n->peer[BRANCH].ike_sent;
	ike_liveness(peer_conn(n, BRANCH)->sa, 0, n->now);
	net_run(n, 700 * MSEC);
	assert_int_equal(n->peer[BRANCH].ike_sent, sent + 1);
	net_run(n, 2 * SEC + 400 * MSEC); /* four waits of 0.8 to 1.2 s each */
	assert_int_equal(established(n), 1);
	assert_in_range(n->peer[BRANCH].ike_sent, sent + 3, sent + 4);
	net_run(n, 2 * SEC);
	assert_int_equal(established(n), 0);
	net_free(n);
}

static bool bad_group(struct net *n, unsigned from, struct datagram *d)
{
	struct ike_payloads p;

	(void)n;
	if (from == GW && !d->esp && d->p[18] == IKE_SA_INIT &&
	    ike_payloads_parse(d->p[16], d->p + IKE_HEADER_LEN, d->len - IKE_HEADER_LEN, &p) == 0)
		memset((uint8_t *)p.ke.data.p, 0, p.ke.data.len); /* no point of the curve */
	return true;
}

/*
 * A response to IKE_SA_INIT that cannot be accepted. Anyone can send one, so it does not end the
 * wait; but the request is sent once more and not for a minute and a half, and the log says why.
 */
static void unusable_init_shortens_the_wait(void **state)
{
	struct options o = options_default();
	struct net *n = net_new(&o);

	(void)state;
	n->hook = bad_group;
	net_run(n, 10 * SEC);
	assert_true(net_logged(n, "the response to IKE_SA_INIT cannot be accepted"));
	n->hook = NULL;
	net_until(n, net_is_up, 30 * SEC, "up");
	net_free(n);
}

/*
 * An offer or a response with a transform of type 6 to 12 (RFC 9370) whose only value is NONE is as
 * good as one without, in every exchange and in both roles.
 */
static void additional_exchange_none(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct options o = options_default();
		struct net *n;

		o.start = START_NONE;
		n = net_new(&o);
		for (unsigned t = 6; t <= 12; t++) {
			struct proposal *ike = &n->peer[i].conf->proposals.p[0];
			struct proposal *esp = &n->peer[i].conf->children[0].proposals.p[0];

			ike->t[ike->count++] = (struct transform){.type = (uint8_t)t};
			esp->t[esp->count++] = (struct transform){.type = (uint8_t)t};
		}
		tunnel_child_up(peer_child(n, BRANCH, 0), n->now);
		net_until(n, net_is_up, 5 * SEC, "up");
		tunnel_child_rekey(peer_child(n, i, 0), n->now);
		net_run(n, SEC);
		assert_int_equal(peer_child(n, i, 0)->rekeys, 1);
		ike_sa_rekey(peer_conn(n, i)->sa, n->now);
		net_run(n, SEC);
		assert_true(net_agrees(n));
		assert_ptr_not_equal(peer_conn(n, i)->sa->called, peer_conn(n, i)->sa->established);
		net_free(n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unwanted_child_of_ike_auth),
		cmocka_unit_test(unwanted_child_of_a_rekey),
		cmocka_unit_test(narrowed_rekey_of_the_peer),
		cmocka_unit_test(what_cannot_be_installed_is_deleted),
		cmocka_unit_test(malformed_answers_are_not_waited_out),
		cmocka_unit_test(own_retransmission),
		cmocka_unit_test(unusable_init_shortens_the_wait),
		cmocka_unit_test(additional_exchange_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
