/*
 * index.c - finds IKE SAs by the peer's address, and half-open ones by the initiator's SPI too.
 * SPDX-License-Identifier: ISC
 */
#include "sa/index.h"
#include "xalloc.h"

struct ike_addr {
	struct addr addr;
	struct ike_sa_list sas;
	UT_hash_handle hh;
};

/* A site with half-open IKE SAs. */
struct ike_site {
	struct addr addr;
	unsigned half_open;
	UT_hash_handle hh;
};

struct addr addr_site(const struct addr *a)
{
	return addr_masked(a, a->family == FAMILY_IPV6 ? 64 : 32);
}

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

static struct ike_site *site_find(const struct ike *ike, const struct addr *a)
{
	struct addr site = addr_site(a);
	struct ike_site *e;

	HASH_FIND(hh, ike->sites, &site, sizeof(site), e);
	return e;
}

unsigned half_open_from(const struct ike *ike, const struct addr *a)
{
	const struct ike_site *e = site_find(ike, a);

	return e ? e->half_open : 0;
}

static void site_add(struct ike *ike, const struct addr *a)
{
	struct ike_site *e = site_find(ike, a);

	if (!e) {
		e = xzalloc(sizeof(*e));
		e->addr = addr_site(a);
		HASH_ADD(hh, ike->sites, addr, sizeof(e->addr), e);
	}
	e->half_open++;
}

static void site_remove(struct ike *ike, const struct addr *a)
{
	struct ike_site *e = site_find(ike, a);

	if (!e || --e->half_open > 0)
		return;
	HASH_DELETE(hh, ike->sites, e);
	free(e);
}

void half_add(struct ike_sa *sa)
{
	struct ike_half *h = xzalloc(sizeof(*h));

	half_key(&h->key, sa->spi_i, &sa->remote.addr);
	h->sa = sa;
	HASH_ADD(hh, sa->ike->half, key, sizeof(h->key), h);
	sa->ike->half_open++;
	site_add(sa->ike, &sa->remote.addr);
}

void half_remove(struct ike_sa *sa)
{
	struct half_key k;
	struct ike_half *h;

	half_key(&k, sa->spi_i, &sa->remote.addr);
	HASH_FIND(hh, sa->ike->half, &k, sizeof(k), h);
	if (!h)
		return;
	HASH_DELETE(hh, sa->ike->half, h);
	free(h);
	sa->ike->half_open--;
	site_remove(sa->ike, &sa->remote.addr);
}
