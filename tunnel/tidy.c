/*
 * tidy.c - of what came up twice, one goes (doc/recovery.md 5). SPDX-License-Identifier: ISC
 *
 * Calls or requests of both sides that cross, or an answer that was lost for long, can leave two
 * IKE SAs of a connection, or two CHILD SAs with the same selectors, or one at the peer that we do
 * not have. They serve, but both are rekeyed for ever, and nobody expects them. When nothing is
 * being mended, one side deletes one of two: the side that made the IKE SA; the other, if that has
 * not happened by then, later. So they do not take one each, which would leave none.
 */
#include "tunnel.h"

#define OURS   (10 * NSEC_PER_SEC)
#define THEIRS (30 * NSEC_PER_SEC)
#define LOOK   NSEC_PER_SEC

static bool is_live(const struct tun_sa *s)
{
	return s->active && !s->retired && !s->ending && s->ike &&
	       s->ike->state != CHILD_STATE_DELETING;
}

static bool are_twins(const struct tun_sa *a, const struct tun_sa *b)
{
	return a != b && is_live(a) && is_live(b) && tun_sa_covers(a, b) && tun_sa_covers(b, a);
}

struct tun_sa *tun_sa_twin(const struct tun_sa *s)
{
	struct tun_sa *o;

	LIST_FOREACH (o, &s->child->sas, link) {
		if (are_twins(s, o))
			return o;
	}
	return NULL;
}

/* Neither side is about to change it, and the peer has it. */
static bool is_settled(const struct tun_sa *s)
{
	return s->ike->state == CHILD_STATE_INSTALLED && !s->ike->successor && s->ike->confirmed &&
	       s->ike->ike_sa->state == IKE_STATE_ESTABLISHED &&
	       s->recovery.state == RECOVERY_IDLE && s->check == CRITERION_NONE;
}

/* Whether we are the side that is to act first: both see the same two IKE SAs. */
static bool is_our_turn(const struct tun_sa *a, const struct tun_sa *b)
{
	const struct ike_sa *x = a->ike->ike_sa, *y = b->ike->ike_sa;

	return (x->spi_i > y->spi_i ? x : y)->initiator;
}

/* Those go together that are not on the IKE SA in use, so that one IKE SA is left. */
static bool is_better(const struct tun_sa *a, const struct tun_sa *b)
{
	const struct ike_sa *main = a->child->conn->sa;

	if (a->ike->ike_sa != b->ike->ike_sa)
		return a->ike->ike_sa == main || b->ike->ike_sa != main;
	return a->installed > b->installed;
}

/* Ends one of each two; true when there are some left of which neither may go yet. */
static bool tidy_child(struct tun_child *k, nsec_t since, nsec_t now)
{
	struct tun_sa *s, *twin, *gone;
	bool left = false;

	LIST_FOREACH (s, &k->sas, link) {
		twin = tun_sa_twin(s);
		if (!twin)
			continue;
		if (!is_settled(s) || !is_settled(twin) ||
		    (!is_our_turn(s, twin) && now - since < THEIRS)) {
			left = true;
			continue;
		}
		gone = is_better(s, twin) ? twin : s;
		log_info(k->conn->tunnel->log, "%s/%s: SPI %08x is there twice: it goes",
			 k->conn->conf->name, k->conf->name, gone->spi);
		ike_child_delete(gone->ike, now);
		tun_sa_retire(gone, gone == s ? twin : s, now);
	}
	return left;
}

/* The IKE SAs of the connection without children go; the one in use is one with children. */
static void tidy_ike(struct tun_conn *c, nsec_t now)
{
	struct ike_sa *sa, *tmp;

	HASH_ITER (hh, c->tunnel->ike->sas, sa, tmp) {
		if (sa->owner == c && c->sa && LIST_EMPTY(&c->sa->children) &&
		    !LIST_EMPTY(&sa->children) && sa->state == IKE_STATE_ESTABLISHED)
			c->sa = sa;
	}
	HASH_ITER (hh, c->tunnel->ike->sas, sa, tmp)
		conn_drop_spare(c, sa, now);
}

void conn_tidy_later(struct tun_conn *c, nsec_t now)
{
	if (deadline_is_set(&c->tidy))
		return;
	c->untidy_since = now;
	deadline_set(&c->tunnel->deadlines, &c->tidy, now + OURS);
}

void conn_tidy(struct tun_conn *c, nsec_t now)
{
	struct tun_child *k;
	bool left = c->beside || conn_is_mending(c);

	if (!left) {
		LIST_FOREACH (k, &c->children, link)
			left |= tidy_child(k, c->untidy_since, now);
		tidy_ike(c, now);
	}
	if (left)
		deadline_set(&c->tunnel->deadlines, &c->tidy, now + LOOK);
}
