/* source.c - see source.h. SPDX-License-Identifier: ISC */
#include "source.h"
#include "netlink.h"
#include "xalloc.h"

struct source_user {
	SLIST_ENTRY(source_user) link;
	struct ts_list *local; /* owned */
	unsigned uses;
};

static struct source_user *find_user(const struct source_users *users, const struct ts_list *local)
{
	struct source_user *u;

	SLIST_FOREACH(u, users, link)
	{
		if (ts_list_eq(u->local, local))
			return u;
	}
	return NULL;
}

static void user_free(struct source_users *users, struct source_user *u)
{
	SLIST_REMOVE(users, u, source_user, link);
	free(u->local);
	free(u);
}

bool source_add(struct source_users *users, const struct ts_list *local)
{
	struct source_user *u = find_user(users, local);

	if (u) {
		u->uses++;
		return false;
	}
	u = xzalloc(sizeof(*u));
	u->local = ts_list_dup(local);
	u->uses = 1;
	SLIST_INSERT_HEAD(users, u, link);
	return true;
}

bool source_drop(struct source_users *users, const struct ts_list *local)
{
	struct source_user *u = find_user(users, local);

	if (!u || --u->uses > 0)
		return false;
	user_free(users, u);
	return true;
}

void source_free(struct source_users *users)
{
	struct source_user *u;

	while ((u = SLIST_FIRST(users)))
		user_free(users, u);
}

struct source_search {
	const struct source_users *users;
	const struct ts *within; /* the selector that `found` is in */
	struct addr found;
	uint8_t family;
};

static bool is_within(const struct addr *a, const struct ts *t)
{
	return t->family == a->family && addr_cmp(&t->lo, a) <= 0 && addr_cmp(&t->hi, a) >= 0;
}

static bool is_narrower(const struct ts *a, const struct ts *b)
{
	return is_within(&a->lo, b) && is_within(&a->hi, b) &&
	       !(addr_eq(&a->lo, &b->lo) && addr_eq(&a->hi, &b->hi));
}

static void look_at_address(void *ctx, const struct addr *a)
{
	struct source_search *s = ctx;
	const struct source_user *u;

	if (a->family != s->family)
		return;
	SLIST_FOREACH(u, s->users, link)
	{
		for (unsigned i = 0; i < u->local->count; i++) {
			const struct ts *t = &u->local->ts[i];

			if (!is_within(a, t) || (s->within && !is_narrower(t, s->within)))
				continue;
			s->found = *a;
			s->within = t;
		}
	}
}

struct addr source_find(const struct source_users *users, struct netlink *netlink, uint8_t family)
{
	struct source_search s = {.users = users, .family = family};

	netlink_each_address(netlink, look_at_address, &s);
	return s.found;
}
