/*
 * half_open.c - limits what outsiders can allocate: half-open IKE SAs, in all and by address;
 * cookies. SPDX-License-Identifier: ISC
 */
#include "sa/half_open.h"
#include "crypto/hash.h"

#define COOKIE_SECRET_LIFE (60 * NSEC_PER_SEC)
#define BUSY_TIME	   (5 * NSEC_PER_SEC) /* see half_open_time */

nsec_t half_open_time(const struct ike *ike)
{
	return ike->half_open < ike->set.half_open_max / 2
		       ? ike->set.half_open_timeout
		       : min_u64(BUSY_TIME, ike->set.half_open_timeout);
}

/* RFC 8019 4.2: somebody who has one address of such a network may well have them all. */
#define PREFIX_IPV4  24
#define PREFIX_IPV6  56
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

/* What follows a leading N(COOKIE); *ret_type: the type of its first payload. */
static struct chunk after_cookie(struct chunk msg, uint8_t *ret_type)
{
	const uint8_t *notify = msg.p + IKE_HEADER_LEN;
	size_t skip = IKE_HEADER_LEN;

	*ret_type = msg.p[16];
	if (*ret_type == PAYLOAD_NOTIFY && msg.len >= IKE_HEADER_LEN + 8 &&
	    get_be16(notify + 6) == NOTIFY_COOKIE) {
		*ret_type = notify[0];
		skip += min_u64(get_be16(notify + 2), msg.len - skip);
	}
	return (struct chunk){msg.p + skip, msg.len - skip};
}

bool init_same_but_cookie(struct chunk a, struct chunk b)
{
	uint8_t type_a, type_b;
	struct chunk rest_a = after_cookie(a, &type_a), rest_b = after_cookie(b, &type_b);

	return memcmp(a.p, b.p, 16) == 0 && type_a == type_b &&
	       memcmp(a.p + 17, b.p + 17, 7) == 0 && rest_a.len == rest_b.len &&
	       memcmp(rest_a.p, rest_b.p, rest_a.len) == 0;
}

bool init_is_late_copy(const struct ike *ike, uint64_t spi_i, const struct addr *from, nsec_t now)
{
	const struct ike_sa *sa = addr_index_first(ike, from);

	for (; sa; sa = LIST_NEXT(sa, address_link)) {
		if (!sa->initiator && sa->spi_i == spi_i && sa->state == IKE_STATE_ESTABLISHED &&
		    now < sa->established + ike->set.half_open_timeout)
			return true;
	}
	return false;
}
