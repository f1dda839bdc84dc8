/* config_unknown.c - what was probably meant by an option that there is not.
 * SPDX-License-Identifier: ISC */
#include "config_option.h"
#include "swanctl.h"
#include "xalloc.h"

#define NAME_MOST 31 /* characters; longer ones are nobody's slip */

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/*
 * How many letters are to be added, removed, replaced or swapped with their neighbour to make b of
 * a; both have at most NAME_MOST.
 */
static unsigned distance(const char *a, const char *b)
{
	unsigned rows[3][NAME_MOST + 1], *above = rows[0], *last = rows[1], *now = rows[2], *t;
	size_t len = strlen(b);

	for (unsigned k = 0; k <= len; k++)
		last[k] = k;
	for (unsigned i = 0; a[i]; i++) {
		now[0] = i + 1;
		for (unsigned k = 0; k < len; k++) {
			unsigned other = last[k] + (a[i] != b[k]);

			now[k + 1] = least(other, least(last[k + 1], now[k]) + 1);
			if (i && k && a[i] == b[k - 1] && a[i - 1] == b[k])
				now[k + 1] = least(now[k + 1], above[k - 1] + 1);
		}
		t = above;
		above = last;
		last = now;
		now = t;
	}
	return last[len];
}

/* The name that is nearest, if a third of its letters is enough to be wrong; or NULL. */
static const char *nearest(const char *name, const char *const *names)
{
	unsigned best = NAME_MOST;
	const char *found = NULL;

	if (strlen(name) > NAME_MOST)
		return NULL;
	for (; *names; names++) {
		unsigned d = strlen(*names) <= NAME_MOST ? distance(name, *names) : NAME_MOST;

		if (d < best && d <= (strlen(*names) + 2) / 3) {
			best = d;
			found = *names;
		}
	}
	return found;
}

static bool has(const struct conf_table *t, const char *name)
{
	for (unsigned i = 0; i < t->count; i++) {
		if (strcmp(t->v[i].name, name) == 0)
			return true;
	}
	return false;
}

struct names {
	const char *v[64];
	unsigned count;
};

static void add_name(void *ctx, const char *name, const char *value)
{
	struct names *n = ctx;

	(void)value;
	if (n->count + 1 < ARRAY_SIZE(n->v))
		n->v[n->count++] = name;
}

/* The names of the options of switchover; the last one is NULL. */
static struct names switchover_names(void)
{
	struct tunnel_options o;
	struct names n = {0};

	tunnel_options_default(&o);
	tunnel_options_each(&o, add_name, &n);
	return n;
}

/* Where an option of that name belongs, as "a child"; NULL: nowhere. */
static const char *place_of_option(const char *name)
{
	static const struct {
		const struct conf_table *table;
		const char *where;
	} places[] = {
		{&conf_daemon_table, "the group daemon"},
		{&conf_conn_table, "a connection"},
		{&conf_local_table, "the group local of a connection"},
		{&conf_remote_table, "the group remote of a connection"},
		{&conf_child_table, "a child (children: { NAME: { ... }; })"},
	};
	struct names n = switchover_names();

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (has(places[i].table, name))
			return places[i].where;
	}
	if (strcmp(name, "secret") == 0)
		return "a group of secrets (secrets: { ike_NAME: { ... }; })";
	return conf_is_one_of(name, n.v) ? "the group switchover" : NULL;
}

int conf_unknown(struct conf_reader *r, config_setting_t *s, const char *const *names)
{
	const char *name = config_setting_name(s), *near = nearest(name, names),
		   *place = place_of_option(name), *without = swanctl_without(name),
		   *instead = ipsec_instead(name);

	if (place)
		return conf_fail(r, s, "stands in the wrong group: it belongs in %s", place);
	if (without)
		return conf_fail(r, s, "is an option of swanctl.conf that Mendip does not have: %s",
				 without);
	if (instead)
		return conf_fail(r, s, "is an option of ipsec.conf: %s", instead);
	if (near)
		return conf_fail(r, s, "unknown option: did you mean \"%s\"?", near);
	if (config_setting_is_group(s) && conf_is_one_of("children", names))
		return conf_fail(r, s,
				 "unknown group: a child stands in children: { %.60s: { ... }; }",
				 name);
	return conf_fail(r, s, "unknown option: see mendip.conf(5)");
}

int conf_known_switchover(struct conf_reader *r, config_setting_t *s)
{
	struct names n = switchover_names();
	const char *name = config_setting_name(s);

	return conf_is_one_of(name, n.v) || tunnel_options_gone(name) ? 0 : conf_unknown(r, s, n.v);
}
