/*
 * limits.c - what one authenticated peer may take, and how fast somebody may guess secrets
 * (RFC 8019). SPDX-License-Identifier: ISC
 *
 * Two peers, or addresses, may share a slot: then they share what it allows.
 */
#include "ike_sa.h"
#include "crypto/hash.h"

#define GUESS_BURST 10
#define LINES_BURST 300

static unsigned slot_of(const struct ike *ike, const void *p, size_t len)
{
	const struct chunk parts[] = {{(const uint8_t *)&ike->limit_key, sizeof(ike->limit_key)},
				      {p, len}};
	uint8_t d[HASH_MAX_LEN];

	hash_compute(HASH_SHA256, parts, ARRAY_SIZE(parts), d);
	return get_be16(d) % LIMIT_SLOTS;
}

struct log_limit *limit_lines(struct ike *ike, const struct ident *id)
{
	struct log_limit *l = &ike->peer_lines[slot_of(ike, id->data, id->len)];

	if (!l->bucket.burst)
		bucket_init(&l->bucket, ike->set.peer_log_rate, LINES_BURST);
	return l;
}

/* Of IPv6 the part that a site has: whoever has one address of it has all. */
static struct bucket *guesses_of(struct ike *ike, const struct addr *a)
{
	size_t len = a->family == FAMILY_IPV4 ? 4 : 8;
	struct bucket *b = &ike->guesses[slot_of(ike, a->b, len)];

	if (!b->burst)
		bucket_init(b, ike->set.guess_rate, GUESS_BURST);
	return b;
}

bool limit_may_guess(struct ike *ike, const struct addr *a, nsec_t now)
{
	return bucket_has(guesses_of(ike, a), now);
}

void limit_guessed(struct ike *ike, const struct addr *a, nsec_t now)
{
	ike->counters[IKE_COUNT_GUESS]++;
	(void)bucket_take(guesses_of(ike, a), now);
}

static bool same_peer(const struct ike_sa *a, const struct ike_sa *b)
{
	return a->state != IKE_STATE_DEAD && a->established &&
	       strcmp(a->conn->name, b->conn->name) == 0 && ident_eq(&a->peer_id, &b->peer_id) &&
	       ident_eq(&a->conn->local_id, &b->conn->local_id);
}

void limit_sas(struct ike_sa *newest, nsec_t now)
{
	struct ike *ike = newest->ike;
	struct ike_sa *sa, *oldest;
	unsigned count;

	do {
		oldest = NULL;
		count = 0;
		for (sa = ike->sas; sa; sa = sa->hh.next) {
			if (sa == newest || !same_peer(sa, newest))
				continue;
			count++;
			if (!oldest || sa->established < oldest->established)
				oldest = sa;
		}
		if (count < ike->set.peer_sas)
			return;
		ike->counters[IKE_COUNT_PEER_LIMIT]++;
		log_peer(newest, now, LOG_LEVEL_WARNING,
			 "%s: the peer has %u IKE SAs already: the oldest one ends",
			 sa_label(newest), count);
		sa_kill(oldest, "too many IKE SAs of this peer", now);
	} while (count > ike->set.peer_sas);
}
