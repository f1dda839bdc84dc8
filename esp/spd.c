/* spd.c - see spd.h. SPDX-License-Identifier: ISC */
#include "spd.h"
#include "xalloc.h"

struct spd_tuple {
	uint8_t family, local_len, remote_len;
	uint32_t uses;
};

/* What a selector requires of the upper layer. */
struct upper {
	uint8_t proto;
	uint16_t port_lo, port_hi;
};

/*
 * One pair of prefixes out of one pair of selectors of a policy. It holds all that is compared, so
 * that a look-up touches no policy that does not match.
 */
struct spd_entry {
	struct spd_entry *next;
	struct spd_policy *policy;
	struct addr local, remote; /* masked */
	struct upper local_upper, remote_upper;
	uint8_t local_len, remote_len;
	uint16_t weight; /* specificity */
};

void spd_init(struct spd *s)
{
	*s = (struct spd){0};
}

void spd_fini(struct spd *s)
{
	for (uint32_t i = 0; i < s->bucket_count; i++) {
		while (s->buckets[i]) {
			struct spd_entry *e = s->buckets[i];

			s->buckets[i] = e->next;
			free(e);
		}
	}
	free(s->buckets);
	free(s->tuples);
	spd_init(s);
}

ALWAYS_INLINE uint64_t hash_words(uint64_t h, const struct addr *a)
{
	h = (h ^ a->w[0]) * 0x9e3779b97f4a7c15ULL;
	return (h ^ h >> 29 ^ a->w[1]) * 0xbf58476d1ce4e5b9ULL >> 32;
}

ALWAYS_INLINE uint32_t hash_pair(const struct addr *l, const struct addr *r, uint8_t llen,
				 uint8_t rlen)
{
	uint64_t h = hash_words((uint64_t)llen << 8 | rlen, l);

	return (uint32_t)hash_words(h << 8 | l->family, r);
}

static struct spd_entry **bucket_of(const struct spd *s, uint32_t hash)
{
	return &s->buckets[hash & (s->bucket_count - 1)];
}

static void grow(struct spd *s)
{
	uint32_t old = s->bucket_count;
	struct spd_entry **was = s->buckets;

	if (s->entry_count < old)
		return;
	s->bucket_count = old ? old * 2 : 16;
	s->buckets = xzalloc(s->bucket_count * sizeof(struct spd_entry *));
	for (uint32_t i = 0; i < old; i++) {
		while (was[i]) {
			struct spd_entry *e = was[i], **to;

			was[i] = e->next;
			to = bucket_of(
				s, hash_pair(&e->local, &e->remote, e->local_len, e->remote_len));
			e->next = *to;
			*to = e;
		}
	}
	free(was);
}

static void tuple_use(struct spd *s, uint8_t family, uint8_t llen, uint8_t rlen)
{
	for (uint32_t i = 0; i < s->tuple_count; i++) {
		struct spd_tuple *t = &s->tuples[i];

		if (t->family == family && t->local_len == llen && t->remote_len == rlen) {
			t->uses++;
			return;
		}
	}
	s->tuples = xreallocarray(s->tuples, s->tuple_count + 1, sizeof(struct spd_tuple));
	s->tuples[s->tuple_count++] = (struct spd_tuple){
		.family = family, .local_len = llen, .remote_len = rlen, .uses = 1};
}

static void tuple_drop(struct spd *s, const struct spd_entry *e)
{
	for (uint32_t i = 0; i < s->tuple_count; i++) {
		struct spd_tuple *t = &s->tuples[i];

		if (t->family == e->local.family && t->local_len == e->local_len &&
		    t->remote_len == e->remote_len) {
			if (--t->uses == 0)
				*t = s->tuples[--s->tuple_count];
			return;
		}
	}
}

static uint16_t weigh(const struct ts *t, uint8_t len)
{
	return (uint16_t)(len * 4 + (t->proto ? 2 : 0) +
			  (t->port_lo != 0 || t->port_hi != UINT16_MAX ? 1 : 0));
}

static struct upper upper_of(const struct ts *t)
{
	return (struct upper){.proto = t->proto, .port_lo = t->port_lo, .port_hi = t->port_hi};
}

/* As inner_match, for an address that is known to be within the prefix. */
static bool upper_match(const struct upper *u, const struct inner *in, uint16_t port)
{
	if (u->proto != 0 && u->proto != in->proto)
		return false;
	if (in->ports_known)
		return u->port_lo <= port && port <= u->port_hi;
	return (u->port_lo == 0 && u->port_hi == UINT16_MAX) ||
	       (u->port_lo == UINT16_MAX && u->port_hi == 0);
}

static void entry_add(struct spd *s, struct spd_policy *p, uint8_t li, uint8_t ri,
		      const struct prefix *l, const struct prefix *r)
{
	struct spd_entry *e = xzalloc(sizeof(*e)), **to;

	*e = (struct spd_entry){
		.policy = p,
		.local = l->addr,
		.remote = r->addr,
		.local_len = l->len,
		.remote_len = r->len,
		.local_upper = upper_of(&p->local->ts[li]),
		.remote_upper = upper_of(&p->remote->ts[ri]),
		.weight = (uint16_t)(weigh(&p->local->ts[li], l->len) +
				     weigh(&p->remote->ts[ri], r->len)),
	};
	grow(s);
	tuple_use(s, l->addr.family, l->len, r->len);
	to = bucket_of(s, hash_pair(&e->local, &e->remote, e->local_len, e->remote_len));
	e->next = *to;
	*to = e;
	s->entry_count++;
}

static unsigned count_pairs(const struct ts *l, const struct ts *r)
{
	struct prefix p[PREFIX_MAX];

	return l->family == r->family ? range_prefixes(&l->lo, &l->hi, p, PREFIX_MAX) *
						range_prefixes(&r->lo, &r->hi, p, PREFIX_MAX)
				      : 0;
}

unsigned spd_pairs(const struct ts_list *local, const struct ts_list *remote)
{
	unsigned pairs = 0;

	for (unsigned i = 0; i < local->count; i++) {
		for (unsigned j = 0; j < remote->count && pairs <= SPD_PAIRS_MAX; j++)
			pairs += count_pairs(&local->ts[i], &remote->ts[j]);
	}
	return pairs;
}

static void add_pairs(struct spd *s, struct spd_policy *p, uint8_t li, uint8_t ri)
{
	const struct ts *lt = &p->local->ts[li], *rt = &p->remote->ts[ri];
	struct prefix l[PREFIX_MAX], r[PREFIX_MAX];
	unsigned nl, nr;

	if (lt->family != rt->family)
		return;
	nl = range_prefixes(&lt->lo, &lt->hi, l, PREFIX_MAX);
	nr = range_prefixes(&rt->lo, &rt->hi, r, PREFIX_MAX);
	for (unsigned i = 0; i < nl; i++) {
		for (unsigned j = 0; j < nr; j++)
			entry_add(s, p, li, ri, &l[i], &r[j]);
	}
}

int spd_add(struct spd *s, struct spd_policy *p)
{
	s->generation++;
	if (spd_pairs(p->local, p->remote) > SPD_PAIRS_MAX)
		return -E2BIG;
	for (uint8_t i = 0; i < p->local->count; i++) {
		for (uint8_t j = 0; j < p->remote->count; j++)
			add_pairs(s, p, i, j);
	}
	return 0;
}

static void remove_at(struct spd *s, uint32_t hash, const struct spd_policy *p)
{
	for (struct spd_entry **at = bucket_of(s, hash); *at;) {
		struct spd_entry *e = *at;

		if (e->policy != p) {
			at = &e->next;
			continue;
		}
		*at = e->next;
		tuple_drop(s, e);
		s->entry_count--;
		free(e);
	}
}

static void remove_pairs(struct spd *s, const struct ts *lt, const struct ts *rt,
			 const struct spd_policy *p)
{
	struct prefix l[PREFIX_MAX], r[PREFIX_MAX];
	unsigned nl, nr;

	if (lt->family != rt->family)
		return;
	nl = range_prefixes(&lt->lo, &lt->hi, l, PREFIX_MAX);
	nr = range_prefixes(&rt->lo, &rt->hi, r, PREFIX_MAX);
	for (unsigned i = 0; i < nl; i++) {
		for (unsigned j = 0; j < nr; j++)
			remove_at(s, hash_pair(&l[i].addr, &r[j].addr, l[i].len, r[j].len), p);
	}
}

void spd_remove(struct spd *s, struct spd_policy *p)
{
	s->generation++;
	if (s->bucket_count == 0)
		return;
	for (uint8_t i = 0; i < p->local->count; i++) {
		for (uint8_t j = 0; j < p->remote->count; j++)
			remove_pairs(s, &p->local->ts[i], &p->remote->ts[j], p);
	}
}

static bool better(const struct spd_entry *a, const struct spd_entry *b)
{
	bool sa_a = a->policy->sa.gen != 0, sa_b = b->policy->sa.gen != 0;

	if (a->weight != b->weight)
		return a->weight > b->weight;
	if (sa_a != sa_b)
		return sa_a;
	return a->policy->order > b->policy->order;
}

struct spd_policy *spd_lookup(const struct spd *s, const struct inner *in)
{
	const struct spd_entry *best = NULL;

	for (uint32_t i = 0; i < s->tuple_count; i++) {
		const struct spd_tuple *t = &s->tuples[i];
		struct addr l, r;

		if (t->family != in->src.family)
			continue;
		l = addr_masked(&in->src, t->local_len);
		r = addr_masked(&in->dst, t->remote_len);
		for (const struct spd_entry *e =
			     *bucket_of(s, hash_pair(&l, &r, t->local_len, t->remote_len));
		     e; e = e->next) {
			if (e->local_len == t->local_len && e->remote_len == t->remote_len &&
			    addr_eq(&e->local, &l) && addr_eq(&e->remote, &r) &&
			    upper_match(&e->local_upper, in, in->sport) &&
			    upper_match(&e->remote_upper, in, in->dport) &&
			    (!best || better(e, best)))
				best = e;
		}
	}
	return best ? best->policy : NULL;
}
