/* source.c - see source.h. SPDX-License-Identifier: ISC */
#include "source.h"
#include "xalloc.h"

struct source_user {
	SLIST_ENTRY(source_user) link;
	struct ts_list *local; /* owned */
	unsigned uses;
};

/* ---- the addresses of this host ---- */

void own_addresses_add(struct own_addresses *own, const struct addr *a)
{
	if (own->count == own->size) {
		own->size = own->size ? 2 * own->size : 16;
		own->v = xreallocarray(own->v, own->size, sizeof(*own->v));
	}
	own->v[own->count++] = *a;
}

static int compare(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

void own_addresses_sort(struct own_addresses *own)
{
	if (own->count)
		qsort(own->v, own->count, sizeof(*own->v), compare);
}

void own_addresses_free(struct own_addresses *own)
{
	free(own->v);
	*own = (struct own_addresses){0};
}

static bool is_within(const struct addr *a, const struct ts *t)
{
	return a->family == t->family && addr_within(a, &t->lo, &t->hi);
}

/* The lowest address of this host within t, or NULL. */
static const struct addr *lowest_within(const struct own_addresses *own, const struct ts *t)
{
	unsigned from = 0, to = own->count;

	while (from < to) {
		unsigned middle = from + (to - from) / 2;

		if (addr_cmp(&own->v[middle], &t->lo) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from < own->count && is_within(&own->v[from], t) ? &own->v[from] : NULL;
}

static bool is_own(const struct own_addresses *own, const struct addr *a)
{
	return own->count && bsearch(a, own->v, own->count, sizeof(*a), compare);
}

/* ---- the best of them ---- */

/* Orders selectors by how many addresses they have: negative, 0 or positive. */
static int size_cmp(const struct ts *a, const struct ts *b)
{
	const struct ts *const t[] = {a, b};
	uint64_t high[2], low[2];

	for (int i = 0; i < 2; i++) {
		uint64_t lo = be64toh(t[i]->lo.w[1]), hi = be64toh(t[i]->hi.w[1]);

		high[i] = be64toh(t[i]->hi.w[0]) - be64toh(t[i]->lo.w[0]) - (hi < lo);
		low[i] = hi - lo;
	}
	if (high[0] != high[1])
		return high[0] < high[1] ? -1 : 1;
	return (low[0] > low[1]) - (low[0] < low[1]);
}

/* Whether a, which is within t, is to be the source instead of the one found so far. */
static bool is_better(const struct source *s, const struct addr *was, const struct addr *a,
		      const struct ts *t)
{
	int more = s->addr.family ? size_cmp(t, &s->within) : -1;

	if (more != 0 || addr_eq(&s->addr, was))
		return more < 0;
	return addr_eq(a, was) || addr_cmp(a, &s->addr) < 0;
}

/* `was` is the source before, if it is still an address of this host, and else has family 0. */
static void consider(struct source *s, const struct own_addresses *own, const struct addr *was,
		     const struct ts_list *local)
{
	for (unsigned i = 0; i < local->count; i++) {
		const struct ts *t = &local->ts[i];
		const struct addr *a;

		if (t->family != s->family)
			continue;
		a = is_within(was, t) ? was : lowest_within(own, t);
		if (!a || !is_better(s, was, a, t))
			continue;
		s->addr = *a;
		s->within = *t;
	}
}

static struct addr still_own(const struct source *s, const struct own_addresses *own)
{
	return is_own(own, &s->addr) ? s->addr : (struct addr){0};
}

void source_update(struct source *s, const struct own_addresses *own)
{
	const struct addr was = still_own(s, own);
	const struct source_user *u;

	s->addr = (struct addr){0};
	SLIST_FOREACH(u, &s->users, link)
	{
		consider(s, own, &was, u->local);
	}
}

/* ---- users ---- */

void source_init(struct source *s, uint8_t family)
{
	*s = (struct source){.family = family};
	SLIST_INIT(&s->users);
}

bool source_has_users(const struct source *s)
{
	return !SLIST_EMPTY(&s->users);
}

static struct source_user *find_user(const struct source *s, const struct ts_list *local)
{
	struct source_user *u;

	SLIST_FOREACH(u, &s->users, link)
	{
		if (ts_list_eq(u->local, local))
			return u;
	}
	return NULL;
}

void source_add(struct source *s, const struct own_addresses *own, const struct ts_list *local)
{
	const struct addr was = still_own(s, own);
	struct source_user *u = find_user(s, local);

	if (u) {
		u->uses++;
		return;
	}
	if (!source_has_users(s))
		s->addr = (struct addr){0}; /* see source_drop */
	u = xzalloc(sizeof(*u));
	u->local = ts_list_dup(local);
	u->uses = 1;
	SLIST_INSERT_HEAD(&s->users, u, link);
	consider(s, own, &was, u->local);
}

static bool has_selector(const struct ts_list *l, const struct ts *t)
{
	for (unsigned i = 0; i < l->count; i++) {
		if (ts_eq(&l->ts[i], t))
			return true;
	}
	return false;
}

static void user_free(struct source *s, struct source_user *u)
{
	SLIST_REMOVE(&s->users, u, source_user, link);
	free(u->local);
	free(u);
}

bool source_drop(struct source *s, const struct own_addresses *own, const struct ts_list *local)
{
	struct source_user *u = find_user(s, local);

	if (!u || --u->uses > 0)
		return false;
	user_free(s, u);
	if (!source_has_users(s))
		return true; /* its address stays as the one to be kept, if a user comes back */
	if (s->addr.family && has_selector(local, &s->within))
		source_update(s, own);
	return false;
}

void source_free(struct source *s)
{
	struct source_user *u;

	while ((u = SLIST_FIRST(&s->users)))
		user_free(s, u);
}
