/* pool.c - see pool.h. SPDX-License-Identifier: ISC */
#include "pool.h"
#include "conn.h"
#include "saved.h"
#include "xalloc.h"

/* Leases of one pool that nobody uses; beyond that the oldest is forgotten. */
#define IDLE_MAX 65536

/* What one takes at most where it is saved: a pool without its leases, and a lease. */
#define POOL_ROOM  (2 + SAVED_TEXT)
#define LEASE_ROOM (32 + IDENT_MAX)

struct lease {
	UT_hash_handle by_addr, by_holder;
	TAILQ_ENTRY(lease) idle; /* while it has no users */
	struct addr addr;
	struct ident holder; /* as a key: however it is spelled, it is one identity */
	unsigned users;	     /* IKE SAs */
};
TAILQ_HEAD(lease_list, lease);

struct pool {
	UT_hash_handle hh;
	char *name;
	struct lease *by_addr, *by_holder;
	struct lease_list idle; /* the one that was released first is the first */
	unsigned idle_count;
	struct addr next; /* no address from here on was given yet; family 0: all were */
};

static struct pool *pool_find(const struct tunnel *t, const char *name)
{
	struct pool *p;

	HASH_FIND_STR(t->pools, name, p);
	return p;
}

static struct pool *pool_of(struct tunnel *t, const char *name)
{
	struct pool *p = pool_find(t, name);

	if (p)
		return p;
	p = xzalloc(sizeof(*p));
	p->name = xstrdup(name);
	TAILQ_INIT(&p->idle);
	HASH_ADD_KEYPTR(hh, t->pools, p->name, strlen(p->name), p);
	return p;
}

static struct lease *lease_at(const struct pool *p, const struct addr *a)
{
	struct lease *l;

	HASH_FIND(by_addr, p->by_addr, a, sizeof(*a), l);
	return l;
}

static struct lease *lease_of(const struct pool *p, const struct ident *holder)
{
	struct lease *l;

	HASH_FIND(by_holder, p->by_holder, holder, sizeof(*holder), l);
	return l;
}

static void lease_free(struct pool *p, struct lease *l)
{
	if (!l->users) {
		TAILQ_REMOVE(&p->idle, l, idle);
		p->idle_count--;
	}
	HASH_DELETE(by_addr, p->by_addr, l);
	HASH_DELETE(by_holder, p->by_holder, l);
	free(l);
}

/* A lease without users. */
static struct lease *lease_new(struct pool *p, const struct addr *a, const struct ident *holder)
{
	struct lease *l = xzalloc(sizeof(*l));

	l->addr = *a;
	l->holder = *holder;
	HASH_ADD(by_addr, p->by_addr, addr, sizeof(l->addr), l);
	HASH_ADD(by_holder, p->by_holder, holder, sizeof(l->holder), l);
	TAILQ_INSERT_TAIL(&p->idle, l, idle);
	p->idle_count++;
	return l;
}

static void lease_use(struct pool *p, struct lease *l)
{
	if (l->users++)
		return;
	TAILQ_REMOVE(&p->idle, l, idle);
	p->idle_count--;
}

/* An IKE SA does not use it any more. */
static void lease_release(struct pool *p, struct lease *l)
{
	if (!l->users || --l->users)
		return;
	TAILQ_INSERT_TAIL(&p->idle, l, idle);
	if (++p->idle_count > IDLE_MAX)
		lease_free(p, TAILQ_FIRST(&p->idle));
}

static bool is_in(const struct pool_conf *conf, const struct addr *a)
{
	return a->family == conf->lo.family && addr_within(a, &conf->lo, &conf->hi);
}

/* The next address; family 0 after the last one of the pool. */
static struct addr after(const struct pool_conf *conf, struct addr a)
{
	if (addr_cmp(&a, &conf->hi) >= 0)
		return (struct addr){0};
	for (unsigned i = (unsigned)addr_len(a.family); i-- > 0;) {
		if (++a.b[i])
			break;
	}
	return a;
}

/* An address that was never given; family 0: there is none. */
static struct addr fresh(struct pool *p, const struct pool_conf *conf)
{
	struct addr a = is_in(conf, &p->next) ? p->next : conf->lo;

	/* Leases may have been read, or forgotten, and a reload may have changed the pool. */
	while (a.family != FAMILY_NONE && lease_at(p, &a))
		a = after(conf, a);
	p->next = a.family ? after(conf, a) : a;
	return a;
}

/* The lease of the identity: its own, or a new one on an address that nobody has. NULL: none. */
static struct lease *lease_for(struct pool *p, const struct pool_conf *conf,
			       const struct ident *holder, const struct addr *asked)
{
	struct lease *l = lease_of(p, holder), *had;
	struct addr a = {0};

	if (l && (l->users || is_in(conf, &l->addr)))
		return l;
	if (l)
		lease_free(p, l); /* the pool has changed */
	if (is_in(conf, asked) && !lease_at(p, asked))
		a = *asked;
	if (a.family == FAMILY_NONE)
		a = fresh(p, conf);
	if (a.family != FAMILY_NONE)
		return lease_new(p, &a, holder);
	TAILQ_FOREACH (had, &p->idle, idle) {
		if (!is_in(conf, &had->addr))
			continue;
		a = had->addr;
		lease_free(p, had);
		return lease_new(p, &a, holder);
	}
	return NULL;
}

/* What goes with an address of this pool. */
static void add_with(struct cp_config *c, const struct pool_conf *conf)
{
	for (unsigned i = 0; i < conf->with.dns_count && c->dns_count < CP_DNS; i++)
		c->dns[c->dns_count++] = conf->with.dns[i];
	for (unsigned i = 0; i < conf->with.subnet_count && c->subnet_count < CP_SUBNETS; i++)
		c->subnet[c->subnet_count++] = conf->with.subnet[i];
}

/* Gives what one attribute asks for. */
static bool give(struct tunnel *t, const struct conn_conf *conn, const struct ident *holder,
		 const struct addr *asked, struct cp_config *c)
{
	for (unsigned i = 0; i < conn->pool_count; i++) {
		struct pool *p;
		struct lease *l;

		if (conn->pools[i].lo.family != asked->family)
			continue;
		p = pool_of(t, conn->pools[i].name);
		l = lease_for(p, &conn->pools[i], holder, asked);
		/* One address per pool. */
		if (!l || cp_has(c, &l->addr))
			continue;
		lease_use(p, l);
		c->addr[c->addr_count++] = l->addr;
		add_with(c, &conn->pools[i]);
		return true;
	}
	return false;
}

uint16_t tunnel_config_assign(void *ctx, struct ike_sa *sa, const struct cp_config *asked,
			      struct cp_config *ret)
{
	const struct ident *id = ike_sa_peer_id(sa);
	struct tunnel *t = ctx;
	char text[IDENT_STRLEN];
	struct ident holder;

	*ret = (struct cp_config){0};
	ident_key(id, &holder);
	for (unsigned i = 0; i < asked->addr_count; i++)
		(void)give(t, ike_sa_conn(sa), &holder, &asked->addr[i], ret);
	if (ret->addr_count)
		return 0;
	log_limited(t->log, ike_peer_lines(t->ike, id), t->now, LOG_LEVEL_WARNING,
		    "%s: no address is free for %.100s", ike_sa_conn(sa)->name,
		    ident_format(id, text));
	return NOTIFY_INTERNAL_ADDRESS_FAILURE;
}

/* The pool of the connection that has this address leased to this identity, or NULL. */
static struct pool *leasing(const struct tunnel *t, const struct ike_sa *sa, const struct addr *a,
			    struct lease **ret)
{
	const struct conn_conf *conn = ike_sa_conn(sa);
	struct ident holder;

	ident_key(ike_sa_peer_id(sa), &holder);
	for (unsigned i = 0; i < conn->pool_count; i++) {
		struct pool *p = pool_find(t, conn->pools[i].name);
		struct lease *l = p ? lease_of(p, &holder) : NULL;

		if (l && addr_eq(&l->addr, a)) {
			*ret = l;
			return p;
		}
	}
	return NULL;
}

void pool_release(struct tunnel *t, const struct ike_sa *sa)
{
	const struct cp_config *c = ike_sa_config(sa);

	for (unsigned i = 0; c && i < c->addr_count; i++) {
		struct lease *l;
		struct pool *p = leasing(t, sa, &c->addr[i], &l);

		if (p)
			lease_release(p, l);
	}
}

bool pool_retake(struct tunnel *t, const struct ike_sa *sa)
{
	const struct cp_config *c = ike_sa_config(sa);
	bool all = true;

	for (unsigned i = 0; c && ike_sa_conn(sa)->pool_count && i < c->addr_count; i++) {
		struct lease *l;
		struct pool *p = leasing(t, sa, &c->addr[i], &l);

		if (p)
			lease_use(p, l);
		else
			all = false;
	}
	return all;
}

/* The number of IKE SAs that have this address of this pool. */
static unsigned users_of(const struct tunnel *t, const struct pool *p, const struct lease *l)
{
	const struct ike_sa *sa;
	unsigned users = 0;
	struct lease *has;

	for (sa = ike_first_sa(t->ike); sa; sa = ike_next_sa(sa)) {
		const struct cp_config *c = ike_sa_config(sa);

		if (c && cp_has(c, &l->addr) && leasing(t, sa, &l->addr, &has) == p && has == l)
			users++;
	}
	return users;
}

const char *pools_check(const struct tunnel *t)
{
	const struct pool *p;
	const struct lease *l;

	for (p = t->pools; p; p = p->hh.next) {
		for (l = p->by_addr; l; l = l->by_addr.next) {
			if (l->users != users_of(t, p, l))
				return "an address is in use by more or fewer than have it";
		}
	}
	return NULL;
}

/* ---- for the next process ---- */

size_t pools_room(const struct tunnel *t)
{
	size_t room = 1;

	for (const struct pool *p = t->pools; p; p = p->hh.next)
		room += POOL_ROOM + HASH_CNT(by_addr, p->by_addr) * LEASE_ROOM;
	return room;
}

void pools_save(const struct tunnel *t, struct writer *w)
{
	const struct pool *p;
	const struct lease *l;

	for (p = t->pools; p; p = p->hh.next) {
		wr_u8(w, 'p');
		text_save(p->name, w);
		for (l = p->by_addr; l; l = l->by_addr.next) {
			const struct endpoint e = {.addr = l->addr};

			wr_u8(w, 'l');
			endpoint_save(&e, w);
			wr_u8(w, l->holder.type);
			wr_be16(w, l->holder.len);
			wr_bytes(w, l->holder.data, l->holder.len);
		}
		wr_u8(w, '.');
	}
	wr_u8(w, '.');
}

static int lease_load(struct pool *p, struct reader *r)
{
	struct ident holder = {0};
	struct endpoint e;
	const uint8_t *data;

	if (endpoint_load(r, &e) < 0)
		return -EBADMSG;
	holder.type = rd_u8(r);
	holder.len = rd_be16(r);
	data = rd_bytes(r, holder.len);
	if (r->bad || holder.len > IDENT_MAX || e.addr.family == FAMILY_NONE)
		return -EBADMSG;
	memcpy(holder.data, data, holder.len);
	if (lease_at(p, &e.addr) || lease_of(p, &holder))
		return -EBADMSG;
	(void)lease_new(p, &e.addr, &holder);
	return 0;
}

int pools_load(struct tunnel *t, struct reader *r)
{
	char name[SAVED_TEXT];
	uint8_t what;

	while (rd_u8(r) == 'p') {
		struct pool *p;

		if (text_load(r, name) < 0)
			return -EBADMSG;
		p = pool_of(t, name);
		while ((what = rd_u8(r)) == 'l') {
			if (lease_load(p, r) < 0)
				return -EBADMSG;
		}
		if (what != '.')
			return -EBADMSG;
	}
	return r->bad ? -EBADMSG : 0;
}

void pools_free(struct tunnel *t)
{
	struct pool *p, *tmp;

	HASH_ITER (hh, t->pools, p, tmp) {
		struct lease *l, *next;

		HASH_ITER (by_addr, p->by_addr, l, next)
			lease_free(p, l);
		HASH_DELETE(hh, t->pools, p);
		free(p->name);
		free(p);
	}
}
