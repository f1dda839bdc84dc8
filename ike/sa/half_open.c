/*
 * half_open.c - limits what outsiders can allocate: half-open IKE SAs, in all and by address;
 * cookies. SPDX-License-Identifier: ISC
 */
#include "sa/half_open.h"
#include "xalloc.h"
#include "crypto/hash.h"

#define COOKIE_SECRET_LIFE (60 * NSEC_PER_SEC)

struct half_key {
	uint64_t spi_i;
	struct addr addr;
};

struct ike_half {
	struct half_key key;
	struct ike_sa *sa;
	UT_hash_handle hh; /* in the order in which they came */
};

struct ike_addr {
	struct addr addr;
	unsigned half_open;
	struct ike_sa_list sas;
	UT_hash_handle hh;
};

static void half_key(struct half_key *k, uint64_t spi_i, const struct addr *a)
{
	memset(k, 0, sizeof(*k));
	k->spi_i = spi_i;
	k->addr = *a;
}

struct ike_sa *half_find(struct ike *ike, uint64_t spi_i, const struct endpoint *remote)
{
	struct half_key k;
	struct ike_half *h;

	half_key(&k, spi_i, &remote->addr);
	HASH_FIND(hh, ike->half, &k, sizeof(k), h);
	return h ? h->sa : NULL;
}

static struct ike_addr *addr_find(const struct ike *ike, const struct addr *a)
{
	struct ike_addr *e;

	HASH_FIND(hh, ike->addrs, a, sizeof(*a), e);
	return e;
}

void addr_index_add(struct ike_sa *sa)
{
	struct ike *ike = sa->ike;
	struct ike_addr *e = addr_find(ike, &sa->remote.addr);

	if (!e) {
		e = xzalloc(sizeof(*e));
		e->addr = sa->remote.addr;
		LIST_INIT(&e->sas);
		HASH_ADD(hh, ike->addrs, addr, sizeof(e->addr), e);
	}
	LIST_INSERT_HEAD(&e->sas, sa, address_link);
}

void addr_index_remove(struct ike_sa *sa)
{
	struct ike_addr *e = addr_find(sa->ike, &sa->remote.addr);

	LIST_REMOVE(sa, address_link);
	if (e && LIST_EMPTY(&e->sas)) {
		HASH_DELETE(hh, sa->ike->addrs, e);
		free(e);
	}
}

struct ike_sa *addr_index_first(const struct ike *ike, const struct addr *a)
{
	struct ike_addr *e = addr_find(ike, a);

	return e ? LIST_FIRST(&e->sas) : NULL;
}

unsigned half_open_from(const struct ike *ike, const struct addr *a)
{
	struct ike_addr *e = addr_find(ike, a);

	return e ? e->half_open : 0;
}

void half_add(struct ike_sa *sa)
{
	struct ike_half *h = xzalloc(sizeof(*h));

	half_key(&h->key, sa->spi_i, &sa->remote.addr);
	h->sa = sa;
	HASH_ADD(hh, sa->ike->half, key, sizeof(h->key), h);
	sa->ike->half_open++;
	addr_find(sa->ike, &sa->remote.addr)->half_open++;
}

void half_remove(struct ike_sa *sa)
{
	struct half_key k;
	struct ike_half *h;
	struct ike_addr *e = addr_find(sa->ike, &sa->remote.addr);

	half_key(&k, sa->spi_i, &sa->remote.addr);
	HASH_FIND(hh, sa->ike->half, &k, sizeof(k), h);
	if (!h)
		return;
	HASH_DELETE(hh, sa->ike->half, h);
	free(h);
	sa->ike->half_open--;
	if (e)
		e->half_open--;
}

#define BUSY_TIME (5 * NSEC_PER_SEC)

nsec_t half_open_time(const struct ike *ike)
{
	return ike->half_open < ike->set.half_open_max / 2
		       ? ike->set.half_open_timeout
		       : min_u64(BUSY_TIME, ike->set.half_open_timeout);
}

/* RFC 8019 4.2: somebody who has one address of such a network may well have them all. */
#define PREFIX_IPV4  24
#define PREFIX_IPV6  64
#define PREFIX_SHARE 8 /* a network that has an eighth of all places loses its own first */

static bool same_prefix(const struct addr *a, const struct addr *b)
{
	uint8_t len = a->family == FAMILY_IPV4 ? PREFIX_IPV4 : PREFIX_IPV6;
	struct addr x = addr_masked(a, len), y = addr_masked(b, len);

	return addr_eq(&x, &y);
}

/* The half-open IKE SA that has to go for one from this address; there is at least one. */
static struct ike_sa *who_goes(const struct ike *ike, const struct addr *from)
{
	struct ike_half *h, *tmp, *first = NULL;
	unsigned count = 0;

	HASH_ITER (hh, ike->half, h, tmp) {
		if (!same_prefix(&h->key.addr, from))
			continue;
		first = first ? first : h;
		count++;
	}
	return count >= max_u64(1, ike->set.half_open_max / PREFIX_SHARE) ? first->sa
									  : ike->half->sa;
}

/*
 * The oldest goes first: a peer that goes on at once has as long as it takes to fill all places,
 * and peers that do not go on keep nobody out. A network that has its share loses its own.
 */
void half_make_room(struct ike *ike, const struct addr *from, nsec_t now)
{
	if (ike->half && ike->half_open >= ike->set.half_open_max)
		sa_kill(who_goes(ike, from), "half-open, evicted by a newer one", now);
}

/* The form that RFC 7296 2.6 proposes: version | hash(Ni | IPi | SPIi | secret). */
void cookie_make(struct ike *ike, struct chunk ni, const struct endpoint *remote, uint64_t spi_i,
		 uint8_t version, uint8_t *out)
{
	const struct chunk parts[] = {
		ni,
		{remote->addr.b, sizeof(remote->addr.b)},
		{(const uint8_t *)&spi_i, sizeof(spi_i)},
		{ike->cookie_secret[version & 1], sizeof(ike->cookie_secret[0])},
	};

	out[0] = version;
	hash_compute(HASH_SHA256, parts, ARRAY_SIZE(parts), out + 1);
}

/* The previous secret stays valid, so that a change does not affect honest peers. */
static void refresh_secret(struct ike *ike, nsec_t now)
{
	if (ike->cookie_since && now - ike->cookie_since < COOKIE_SECRET_LIFE)
		return;
	ike->cookie_version++;
	rng_fill(ike->rng, ike->cookie_secret[ike->cookie_version & 1],
		 sizeof(ike->cookie_secret[0]));
	ike->cookie_since = now;
}

bool cookie_valid(struct ike *ike, struct chunk cookie, struct chunk ni,
		  const struct endpoint *remote, uint64_t spi_i, nsec_t now)
{
	uint8_t want[COOKIE_LEN], version;

	refresh_secret(ike, now);
	if (cookie.len != COOKIE_LEN)
		return false;
	version = cookie.p[0];
	if (version != ike->cookie_version && version != (uint8_t)(ike->cookie_version - 1))
		return false;
	cookie_make(ike, ni, remote, spi_i, version, want);
	return crypto_equal(want, cookie.p, COOKIE_LEN);
}
