/*
 * limits.c - limits on what one authenticated peer may take, and on how fast secrets may be guessed
 * (RFC 8019). SPDX-License-Identifier: ISC
 *
 * Two peers may share a slot for log lines, and with it the limit.
 */
#include "sa/half_open.h"
#include "sa/limits.h"
#include "crypto/hash.h"

#define GUESS_BURST 10
/* After this an empty bucket of guesses is full again, as guess_rate is at least 1. */
#define GUESS_REFILL (GUESS_BURST * NSEC_PER_SEC)
#define LINES_BURST  300
/* The recovery of a peer with 256 CHILD SAs writes some ten lines for each of them. */
#define RECOVERY_LINES_BURST 3000

void limits_init(struct ike *ike)
{
	const struct chunk secrets = {ike->cookie_secret[0], sizeof(ike->cookie_secret)};
	uint8_t d[HASH_MAX_LEN];

	hash_compute(HASH_SHA256, &secrets, 1, d);
	memcpy(&ike->limit_key, d, sizeof(ike->limit_key));
}

/* Writes a keyed SHA-256 of p to d; each row uses 16 bits of it. */
static void hash_of(const struct ike *ike, const void *p, size_t len, uint8_t *d)
{
	const struct chunk parts[] = {{(const uint8_t *)&ike->limit_key, sizeof(ike->limit_key)},
				      {p, len}};

	hash_compute(HASH_SHA256, parts, ARRAY_SIZE(parts), d);
}

static struct log_limit *lines_of(struct ike *ike, struct log_limit *table, uint64_t burst,
				  const struct ident *id)
{
	uint8_t d[HASH_MAX_LEN];
	struct log_limit *l;

	hash_of(ike, id->data, id->len, d);
	l = &table[get_be16(d) % LIMIT_SLOTS];
	if (!l->bucket.burst)
		bucket_init(&l->bucket, ike->set.peer_log_rate, burst);
	l->bucket.rate = ike->set.peer_log_rate; /* a reload may have changed it */
	return l;
}

struct log_limit *ike_peer_lines(struct ike *ike, const struct ident *id)
{
	return lines_of(ike, ike->peer_lines, LINES_BURST, id);
}

struct log_limit *ike_recovery_lines(struct ike *ike, const struct ident *id)
{
	return lines_of(ike, ike->recovery_lines, RECOVERY_LINES_BURST, id);
}

/* The buckets of an address's site, one in each row. */
static void guesses_of(struct ike *ike, const struct addr *a, struct bucket *ret[LIMIT_ROWS])
{
	struct addr site = addr_site(a);
	uint8_t d[HASH_MAX_LEN];

	hash_of(ike, &site, sizeof(site), d);
	for (unsigned i = 0; i < LIMIT_ROWS; i++) {
		struct bucket *b = &ike->guesses[i][get_be16(d + 2 * i) % LIMIT_COLUMNS];

		if (!b->burst)
			bucket_init(b, ike->set.guess_rate, GUESS_BURST);
		b->rate = ike->set.guess_rate;
		ret[i] = b;
	}
}

/*
 * Another address may share a bucket in one row, but hardly in all rows: one bucket that has a
 * token is enough.
 */
bool limit_may_guess(struct ike *ike, const struct addr *a, nsec_t now)
{
	struct bucket *b[LIMIT_ROWS];
	bool may = false;

	/* Each message of a flood comes here: most of the time there is nothing to look up. */
	if (now >= ike->guesses_until)
		return true;
	guesses_of(ike, a, b);
	for (unsigned i = 0; i < LIMIT_ROWS; i++)
		may |= bucket_has(b[i], now);
	return may;
}

void limit_guessed(struct ike *ike, const struct addr *a, nsec_t now)
{
	struct bucket *b[LIMIT_ROWS];

	ike->counters[IKE_COUNT_GUESS]++;
	ike->guesses_until = now + GUESS_REFILL;
	guesses_of(ike, a, b);
	for (unsigned i = 0; i < LIMIT_ROWS; i++)
		(void)bucket_take(b[i], now);
}

static bool same_peer(const struct ike_sa *a, const struct ike_sa *b)
{
	return a->state != IKE_STATE_DEAD && a->established &&
	       strcmp(a->conn->name, b->conn->name) == 0 && ident_eq(&a->peer_id, &b->peer_id) &&
	       ident_eq(&a->conn->local_id, &b->conn->local_id);
}

/*
 * The number of the peer's established IKE SAs besides this one; *ret_oldest: the one established
 * first.
 */
static unsigned count_others(const struct ike_sa *sa, struct ike_sa **ret_oldest)
{
	struct ike_sa *o;
	unsigned count = 0;

	*ret_oldest = NULL;
	for (o = sa->ike->sas; o; o = o->hh.next) {
		if (o == sa || !same_peer(o, sa))
			continue;
		count++;
		if (!*ret_oldest || o->established < (*ret_oldest)->established)
			*ret_oldest = o;
	}
	return count;
}

/* A rekeyed IKE SA stays until the peer deletes it, so the limit is twice peer_sas here. */
bool limit_may_rekey(const struct ike_sa *sa)
{
	struct ike_sa *oldest;

	return count_others(sa, &oldest) < 2 * sa->ike->set.peer_sas;
}

void limit_sas(struct ike_sa *newest, nsec_t now)
{
	struct ike *ike = newest->ike;
	struct ike_sa *oldest;
	unsigned count;

	while ((count = count_others(newest, &oldest)) >= ike->set.peer_sas) {
		ike->counters[IKE_COUNT_PEER_LIMIT]++;
		log_peer(newest, now, LOG_LEVEL_WARNING,
			 "%s: the peer has %u IKE SAs already: the oldest one ends",
			 sa_label(newest), count);
		sa_kill(oldest, "too many IKE SAs of this peer", now);
	}
}
