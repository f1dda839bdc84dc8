/* nat.c - NAT detection (RFC 7296 2.23). SPDX-License-Identifier: ISC */
#include "task/exchanges.h"
#include "crypto/hash.h"

static void nat_hash(uint64_t spi_i, uint64_t spi_r, const struct endpoint *e, uint8_t out[20])
{
	uint8_t spis[16], port[2];
	const struct chunk parts[] = {{spis, 16}, {e->addr.b, addr_len(e->addr.family)}, {port, 2}};

	put_be64(spis, spi_i);
	put_be64(spis + 8, spi_r);
	put_be16(port, e->port);
	hash_compute(HASH_SHA1, parts, ARRAY_SIZE(parts), out);
}

/* Whether ESP is to go in UDP even without a NAT. An address that is not known yet has no hash. */
static bool wants_udp(const struct ike_sa *sa, const struct endpoint *local)
{
	switch (sa->conn->encap) {
	case ENCAP_YES: return true;
	case ENCAP_AUTO: return sa->ike->only_udp || addr_is_any(&local->addr);
	case ENCAP_NO: return false;
	}
	return true;
}

/*
 * A random source hash makes the peer believe us behind a NAT, so that it encapsulates ESP in UDP:
 * then nothing on the way needs to know protocol 50. Other user-space stacks do the same.
 */
void nat_write(struct ike_builder *b, struct ike_sa *sa, const struct endpoint *local,
	       const struct endpoint *remote)
{
	uint8_t src[20], dst[20];

	sa->claims_nat = wants_udp(sa, local);
	if (sa->claims_nat)
		rng_fill(sa->ike->rng, src, sizeof(src));
	else
		nat_hash(sa->spi_i, sa->spi_r, local, src);
	nat_hash(sa->spi_i, sa->spi_r, remote, dst);
	ib_notify(b, PROTOCOL_NONE, (struct chunk){0}, NOTIFY_NAT_DETECTION_SOURCE_IP,
		  (struct chunk){src, sizeof(src)});
	ib_notify(b, PROTOCOL_NONE, (struct chunk){0}, NOTIFY_NAT_DETECTION_DESTINATION_IP,
		  (struct chunk){dst, sizeof(dst)});
}

static bool holds(const struct ike_notify_view *n, const uint8_t want[20])
{
	return n->data.len == 20 && memcmp(n->data.p, want, 20) == 0;
}

void nat_read(struct ike_sa *sa, const struct ike_payloads *p, uint64_t spi_i, uint64_t spi_r,
	      const struct endpoint *local, const struct endpoint *remote)
{
	uint8_t src[20], dst[20];
	bool have_src = false, have_dst = false, src_ok = false, dst_ok = false;

	nat_hash(spi_i, spi_r, remote, src);
	nat_hash(spi_i, spi_r, local, dst);
	/* A multihomed peer sends several source hashes; one that matches is enough. */
	for (unsigned i = 0; i < p->notify_count; i++) {
		const struct ike_notify_view *n = &p->notify[i];

		if (n->type == NOTIFY_NAT_DETECTION_SOURCE_IP) {
			have_src = true;
			src_ok |= holds(n, src);
		} else if (n->type == NOTIFY_NAT_DETECTION_DESTINATION_IP) {
			have_dst = true;
			dst_ok |= holds(n, dst);
		}
	}
	sa->peer_natted = have_src && !src_ok;
	sa->we_natted = have_dst && !dst_ok;
}
