/*
 * hostile.c - a hostile peer with valid credentials, for SECONDS seconds.
 * SPDX-License-Identifier: ISC
 *
 * usage: hostile GATEWAY LOCAL REMOTE SECRET NEAR_TS FAR_TS SECONDS RATE SEED
 *
 * An IKE engine authenticates and does what a peer may do, but far too often, so that rekeys and
 * deletions collide; some of its messages are spoiled before they are protected. Besides, this
 * program sends requests that the engine does not make, with valid and with invalid message IDs,
 * and ESP packets with any content. When the gateway deletes the IKE SAs, the engine initiates
 * others.
 *
 * Prints how often each act was done, as JSON. The same seed gives the same random decisions, but
 * the gateway's answers and the timing differ from run to run.
 */
#include "hostile.h"
#include "task/exchanges.h"

#include <stdio.h>
#include <stdlib.h>

#define MSEC	     NSEC_PER_MSEC
#define ANSWER_TIME  (50 * MSEC)
#define UNANSWERED   6 /* requests in a row, after which the IKE SA is given up */
#define CALLS_MAX    12
#define KEYS_MAX     600 /* CHILD SAs whose keys are kept, deleted ones included */
#define SPOILED	     300 /* per mille of the engine's messages that are spoiled */
#define DATAGRAM_MAX 4096

/*
 * The acts, with their weights in the wild phase and in the greedy one. In the latter, IKE SAs stay
 * up and fill with CHILD SAs.
 */
#define FOREACH_ACT(X)          \
	X(create, 8, 60)        \
	X(rekey, 8, 10)         \
	X(rekey_all, 1, 0)      \
	X(rekey_ike, 1, 1)      \
	X(end_child, 4, 1)      \
	X(liveness, 2, 1)       \
	X(ask, 40, 0)           \
	X(ask_old, 1, 0)        \
	X(ask_ahead, 2, 2)      \
	X(answer_unasked, 3, 0) \
	X(send_again, 8, 8)     \
	X(esp, 60, 40)          \
	X(call, 1, 2)           \
	X(end_call, 1, 0)
#define PHASE (5 * NSEC_PER_SEC) /* duration of either phase */

/* ---- messages ---- */

static void keep(struct hostile *h, bool esp, const uint8_t *p, size_t len)
{
	unsigned i = h->next_old++ % HOSTILE_OLD;

	if (len > sizeof(h->old[0].b))
		return;
	h->old[i].esp = esp;
	h->old[i].len = len;
	memcpy(h->old[i].b, p, len);
}

/* Protects the text as sk_seal does, but with a Pad Length that is sometimes wrong. */
static size_t seal(struct hostile *h, struct ike_sa *sa, const struct ike_header *hdr,
		   const struct hostile_text *t, uint8_t *out, size_t cap)
{
	struct aead_op op = {.key = sa->seal};
	struct ike_builder b;
	uint8_t *iv, *body;

	ib_message(&b, out, cap, hdr);
	ib_open(&b, PAYLOAD_SK);
	op.aad_len = (uint16_t)b.w.len;
	iv = wr_space(&b.w, 8);
	body = wr_space(&b.w, t->len + 1);
	op.icv = wr_space(&b.w, sa->choice.suite->icv_len);
	ib_close(&b);
	if (!sa->seal || !sa->choice.suite->combined || ib_finish(&b) == 0)
		return 0;
	out[IKE_HEADER_LEN] = t->first;
	put_be64(iv, ++sa->iv_counter ^ sa->iv_mask);
	memcpy(body, t->b, t->len);
	body[t->len] = (uint8_t)(one_in(h, 30) ? draw(h, 256) : 0);
	op.aad = out;
	op.iv = iv;
	op.src = op.dst = body;
	op.len = (uint32_t)t->len + 1;
	aead_seal_many(&op, 1);
	return b.w.len;
}

static void send_text(struct hostile *h, struct ike_sa *sa, const struct ike_header *hdr,
		      const struct hostile_text *t)
{
	static uint8_t msg[IKE_MAX_MESSAGE + 200];
	size_t len = seal(h, sa, hdr, t, msg, sizeof(msg));

	if (!len)
		return;
	if (one_in(h, 60)) /* changes version, exchange type, flags or message ID after sealing */
		msg[17 + draw(h, 7)] ^= (uint8_t)(1 << draw(h, 8));
	keep(h, false, msg, len);
	live_send(&h->peer, sa->local.port == IKE_PORT ? LIVE_PLAIN : LIVE_NATT, msg, len);
}

static struct ike_sa *sa_of(struct hostile *h, uint64_t spi_i, uint64_t spi_r)
{
	struct ike_sa *sa;

	for (sa = h->peer.ike->sas; sa; sa = sa->hh.next) {
		if (sa->spi_i == spi_i && sa->spi_r == spi_r)
			return sa;
	}
	return NULL;
}

/* Decrypts a message that the engine has protected. */
static bool open_own(struct ike_sa *sa, const uint8_t *msg, size_t len, struct hostile_text *t)
{
	const uint8_t *key = sa->initiator ? sa->keys.sk_ei : sa->keys.sk_er;
	const struct suite *s = sa->choice.suite;
	struct aead_op op = {.aad = msg, .aad_len = IKE_HEADER_LEN + 4};
	size_t around = op.aad_len + 8u + s->icv_len;

	if (!s->combined || len <= around || len - around > sizeof(t->b))
		return false;
	op.key = aead_key_new(s, key, NULL);
	op.iv = msg + op.aad_len;
	op.src = op.iv + 8;
	op.dst = t->b;
	op.len = (uint32_t)(len - around);
	op.icv = (uint8_t *)msg + len - s->icv_len;
	aead_open_many(&op, 1);
	aead_key_free(op.key);
	t->first = msg[IKE_HEADER_LEN];
	t->len = op.len - 1;
	return op.ok;
}

/*
 * Spoils some of the engine's messages; fewer of IKE_AUTH, as the gateway ignores a peer for a
 * while after a failed authentication.
 */
static bool on_send(struct live_peer *p, const struct endpoint *local,
		    const struct endpoint *remote, const uint8_t *msg, size_t len)
{
	struct hostile *h = container_of(p, struct hostile, peer);
	static struct hostile_text t;
	struct ike_header hdr;
	struct ike_sa *sa;

	(void)local, (void)remote;
	if (len < IKE_HEADER_LEN || ike_header_parse(msg, len, &hdr) < 0)
		return true;
	keep(h, false, msg, len);
	if (h->greedy || hdr.exchange == IKE_SA_INIT || draw(h, 1000) >= SPOILED ||
	    (hdr.exchange == IKE_AUTH && !one_in(h, 20)))
		return true;
	sa = sa_of(h, hdr.spi_i, hdr.spi_r);
	if (!sa || !open_own(sa, msg, len, &t))
		return true;
	hostile_spoil(h, sa, &t);
	if (one_in(h, 10))
		hdr.exchange = (uint8_t)(IKE_SA_INIT + draw(h, 10));
	send_text(h, sa, &hdr, &t);
	return false;
}

/* ---- requests of which the engine does not know ---- */

static struct hostile_asked *asked_of(struct hostile *h, uint64_t spi)
{
	struct hostile_asked *free_one = NULL;

	for (unsigned i = 0; i < HOSTILE_ASKED; i++) {
		struct hostile_asked *a = &h->asked[i];

		if (a->spi == spi)
			return a;
		if (!a->spi || !sa_find(h->peer.ike, a->spi))
			free_one = a;
	}
	if (free_one)
		*free_one = (struct hostile_asked){.spi = spi};
	return free_one;
}

static void on_receive(struct live_peer *p, const uint8_t *msg, size_t len)
{
	struct hostile *h = container_of(p, struct hostile, peer);
	struct hostile_asked *a;
	struct ike_header hdr;
	struct ike_sa *sa;

	if (ike_header_parse(msg, len, &hdr) < 0 || !(hdr.flags & IKE_FLAG_RESPONSE))
		return;
	sa = sa_of(h, hdr.spi_i, hdr.spi_r);
	a = sa ? asked_of(h, sa->our_spi) : NULL;
	if (!a || !a->waiting || a->id != hdr.message_id || sa->outstanding)
		return;
	a->waiting = false;
	a->unanswered = 0;
	sa->window.next_id = a->id + 1;
}

static struct ike_header request(const struct hostile *h, const struct ike_sa *sa, uint32_t id)
{
	(void)h;
	return (struct ike_header){.spi_i = sa->spi_i,
				   .spi_r = sa->spi_r,
				   .exchange = IKE_CREATE_CHILD_SA,
				   .flags = sa->initiator ? IKE_FLAG_INITIATOR : 0,
				   .message_id = id};
}

static uint8_t some_exchange(struct hostile *h)
{
	return one_in(h, 12)  ? (uint8_t)draw(h, 256)
	       : one_in(h, 3) ? IKE_INFORMATIONAL
			      : IKE_CREATE_CHILD_SA;
}

static void send_chain(struct hostile *h, struct ike_sa *sa, uint32_t id, uint8_t flags)
{
	static struct hostile_text t;
	struct ike_header hdr = request(h, sa, id);

	hdr.exchange = some_exchange(h);
	hdr.flags |= flags;
	hostile_chain(h, sa, &t);
	send_text(h, sa, &hdr, &t);
}

/* ---- the acts ---- */

static struct child_sa *some_child(struct hostile *h, const struct ike_sa *sa)
{
	unsigned skip = (unsigned)draw(h, sa->child_count + 1);
	struct child_sa *c;

	LIST_FOREACH (c, &sa->children, link) {
		if (skip-- == 0)
			return c;
	}
	return NULL;
}

static void act_create(struct hostile *h, struct ike_sa *sa, nsec_t now)
{
	struct ts_list near, far;

	hostile_selectors(h, &near, true);
	hostile_selectors(h, &far, false);
	(void)!ike_child_create_like(sa, h->peer.conf->children, &near, &far, now);
}

static void act_rekey(struct hostile *h, struct ike_sa *sa, nsec_t now)
{
	struct child_sa *c = some_child(h, sa);

	if (c)
		ike_child_rekey(c, 0, now);
}

static void act_rekey_all(struct hostile *h, struct ike_sa *sa, nsec_t now)
{
	struct child_sa *c;

	(void)h;
	LIST_FOREACH (c, &sa->children, link)
		ike_child_rekey(c, 0, now);
	ike_sa_rekey(sa, now);
}

static void act_rekey_ike(struct hostile *h, struct ike_sa *sa, nsec_t now)
{
	(void)h;
	ike_sa_rekey(sa, now);
}

static void act_end_child(struct hostile *h, struct ike_sa *sa, nsec_t now)
{
	struct child_sa *c = some_child(h, sa);

	if (!c)
		return;
	if (one_in(h, 4))
		ike_child_drop(c, "forgotten", now);
	else
		ike_child_delete(c, now);
}

static void act_liveness(struct hostile *h, struct ike_sa *sa, nsec_t now)
{
	(void)h;
	ike_liveness(sa, 0, now);
}

/*
 * Sends a request, one at a time because the gateway's window is 1. When it is not answered, the
 * next request has the same message ID and other content.
 */
static void act_ask(struct hostile *h, struct ike_sa *sa, nsec_t now)
{
	struct hostile_asked *a = asked_of(h, sa->our_spi);

	if (!a || sa->outstanding || (a->waiting && now - a->since < ANSWER_TIME))
		return;
	if (a->waiting && ++a->unanswered >= UNANSWERED) {
		a->waiting = false;
		ike_sa_drop(sa, "no answer to what nobody should ask", now);
		return;
	}
	a->waiting = true;
	a->since = now;
	a->id = sa->window.next_id;
	send_chain(h, sa, a->id, 0);
}

static void act_ask_old(struct hostile *h, struct ike_sa *sa, nsec_t now)
{
	(void)now;
	send_chain(h, sa, sa->window.next_id - (uint32_t)draw(h, 12), 0);
}

static void act_ask_ahead(struct hostile *h, struct ike_sa *sa, nsec_t now)
{
	(void)now;
	send_chain(h, sa, sa->window.next_id + 1 + (uint32_t)draw(h, one_in(h, 2) ? UINT32_MAX : 3),
		   0);
}

static void act_answer_unasked(struct hostile *h, struct ike_sa *sa, nsec_t now)
{
	(void)now;
	send_chain(h, sa, sa->window.expected_id + (uint32_t)draw(h, 3) - 1, IKE_FLAG_RESPONSE);
}

static void act_send_again(struct hostile *h, struct ike_sa *sa, nsec_t now)
{
	unsigned i = (unsigned)draw(h, HOSTILE_OLD);

	(void)sa, (void)now;
	if (!h->old[i].len)
		return;
	if (h->old[i].esp)
		live_send_esp(&h->peer, h->old[i].b, h->old[i].len);
	else
		live_send(&h->peer, LIVE_NATT, h->old[i].b, h->old[i].len);
}

static void act_esp(struct hostile *h, struct ike_sa *sa, nsec_t now)
{
	unsigned skip = (unsigned)draw(h, min_u64(h->peer.child_count, one_in(h, 8) ? 600 : 20));
	uint8_t packet[DATAGRAM_MAX];
	struct live_child *c;
	size_t len;

	(void)sa, (void)now;
	LIST_FOREACH (c, &h->peer.children, link) {
		if (skip-- == 0)
			break;
	}
	len = c ? hostile_packet(h, c, packet, sizeof(packet)) : 0;
	if (!len)
		return;
	if (one_in(h, 10))
		keep(h, true, packet, len);
	live_send_esp(&h->peer, packet, len);
}

static void act_call(struct hostile *h, struct ike_sa *sa, nsec_t now)
{
	(void)sa, (void)now;
	if (HASH_COUNT(h->peer.ike->sas) < CALLS_MAX)
		(void)live_call(&h->peer, one_in(h, 8) ? false : true);
}

static void act_end_call(struct hostile *h, struct ike_sa *sa, nsec_t now)
{
	if (!one_in(h, 5))
		return;
	if (one_in(h, 2))
		ike_sa_drop(sa, "forgotten", now);
	else
		ike_sa_delete(sa, now);
}

/* ---- the main loop ---- */

static const struct act {
	const char *name;
	unsigned weight[2]; /* wild, greedy */
	void (*run)(struct hostile *h, struct ike_sa *sa, nsec_t now);
} acts[] = {
#define X(name, wild, greedy) {#name, {wild, greedy}, act_##name},
	FOREACH_ACT(X)
#undef X
};

static struct ike_sa *some_sa(struct hostile *h)
{
	unsigned skip = (unsigned)draw(h, HASH_COUNT(h->peer.ike->sas) + 1);
	struct ike_sa *sa, *found = NULL;

	for (sa = h->peer.ike->sas; sa; sa = sa->hh.next) {
		if (sa->state != IKE_STATE_ESTABLISHED)
			continue;
		found = sa;
		if (skip-- == 0)
			break;
	}
	return found;
}

static unsigned one_act(struct hostile *h, struct ike_sa *sa, nsec_t now)
{
	unsigned sum = 0, at, i = 0;

	for (unsigned k = 0; k < ARRAY_SIZE(acts); k++)
		sum += acts[k].weight[h->greedy];
	for (at = (unsigned)draw(h, sum); at >= acts[i].weight[h->greedy]; i++)
		at -= acts[i].weight[h->greedy];
	acts[i].run(h, sa, now);
	return i;
}

/* Frees keys of deleted CHILD SAs when there are more than KEYS_MAX; until then they are used. */
static void forget_some(struct hostile *h)
{
	struct live_child *c, *next;

	for (c = LIST_FIRST(&h->peer.children); c && h->peer.child_count > KEYS_MAX; c = next) {
		next = LIST_NEXT(c, link);
		if (!c->ike)
			live_forget(&h->peer, c);
	}
}

static void run(struct hostile *h, nsec_t until, unsigned rate)
{
	uint64_t done[ARRAY_SIZE(acts)] = {0};
	nsec_t began = live_now(), now = began, next = now, called = 0;

	while (now < until) {
		struct ike_sa *sa = some_sa(h);

		h->greedy = (now - began) / PHASE % 2;
		if (sa) {
			done[one_act(h, sa, now)]++;
		} else if (now - called > NSEC_PER_SEC) {
			called = now;
			(void)live_call(&h->peer, false);
		}
		forget_some(h);
		next = max_u64(next + NSEC_PER_SEC / rate, now - 100 * MSEC);
		live_run(&h->peer, min_u64(next, until));
		now = live_now();
	}
	printf("{\"ups\": %u, \"downs\": %u", h->peer.ups, h->peer.downs);
	for (unsigned i = 0; i < ARRAY_SIZE(acts); i++)
		printf(", \"%s\": %llu", acts[i].name, (unsigned long long)done[i]);
	printf("}\n");
}

int main(int argc, char **argv)
{
	static struct hostile h;
	struct live_who who;
	uint64_t seed;

	if (argc != 10 || atoi(argv[8]) < 1) {
		fprintf(stderr, "usage: hostile GATEWAY LOCAL REMOTE SECRET NEAR_TS FAR_TS SECONDS "
				"RATE SEED\n");
		return 2;
	}
	who = (struct live_who){.gateway = argv[1],
				.local = argv[2],
				.remote = argv[3],
				.secret = argv[4],
				.near_ts = argv[5],
				.far_ts = argv[6]};
	seed = strtoull(argv[9], NULL, 0);
	seeded_init(&h.rng, seed);
	if (live_open(&h.peer, &who, seed + 1) < 0)
		return 1;
	h.peer.on_send = on_send;
	h.peer.on_receive = on_receive;
	run(&h, live_now() + (nsec_t)atoi(argv[7]) * NSEC_PER_SEC, (unsigned)atoi(argv[8]));
	live_close(&h.peer);
	return 0;
}
