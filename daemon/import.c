/* import.c - see import.h. SPDX-License-Identifier: ISC */
#include "import.h"
#include "config.h"
#include "import_option.h"
#include "swanctl.h"
#include "xalloc.h"

#include <stdio.h>

#define REFUSED_MAX 500 /* parts that mendipd would refuse */

/* ---- sections ---- */

/* Begins the group of a section, which can be left out by itself. */
static unsigned begin_part(struct import_lines *l, const struct import_node *all,
			   struct import_node *section, const char *path)
{
	unsigned before = import_part_begin(l, false, path);

	import_open(l, section, import_group_name(l, section, all));
	return before;
}

static void end_part(struct import_lines *l, const struct import_node *section, unsigned before)
{
	import_close(l, section);
	import_part_end(l, before);
}

/* ---- addresses ---- */

/* Addresses and, for the peer, host names. */
static void add_addresses(struct import_lines *l, const struct import_node *conn, const char *name,
			  const char *path)
{
	static const char *const any[] = {"%any",      "%any4", "%any6", "0.0.0.0",
					  "0.0.0.0/0", "::",	"::/0",	 NULL};
	const struct import_node *n = import_get(conn, name);
	bool ours = strcmp(name, "local_addrs") == 0;
	const char *at = n ? n->value : "%any";
	unsigned before;
	struct ts t;
	struct addr a;
	char *item;

	if (!n && ours)
		return;
	before = import_begin_list(l, n ? n : conn, !ours, name);
	while ((item = import_next_item(&at))) {
		if (conf_is_one_of(item, any)) {
			import_add_item(l, n ? n : conn, "%any");
		} else if (!ours && addr_parse(item, &a) < 0 && ts_parse(item, &t) == 0) {
			import_say(l, n,
				   "%.150s.%s: of \"%.60s\" only its addresses may call; here "
				   "every address may, as \"%%any\"",
				   path, name, item);
			import_add_item(l, n, "%any");
		} else {
			import_add_item(l, n ? n : conn, item);
		}
		free(item);
	}
	import_end_list(l, n ? n : conn, before);
}

/* ---- children ---- */

static void add_selectors(struct import_lines *l, const struct import_node *child, const char *name)
{
	const struct import_node *n = import_get(child, name);

	if (n)
		import_add_list(l, n, true, name);
	else
		import_line(l, child, false, "%s = [ \"dynamic\" ];", name);
}

static void add_start(struct import_lines *l, const struct import_node *child, const char *path)
{
	const struct import_node *n = import_get(child, "start_action");
	bool both =
		n && (strcmp(n->value, "trap|start") == 0 || strcmp(n->value, "start|trap") == 0);

	if (both)
		import_say(l, n,
			   "%.150s.start_action: \"start\", as it is brought up again whenever it "
			   "has ended",
			   path);
	if (n)
		import_add_text(l, n, true, "start_action", both ? "start" : n->value);
}

static void add_child(struct import_lines *l, const struct import_node *all,
		      struct import_node *child, const char *conn_path)
{
	char path[200];
	unsigned before;
	const struct import_node *mode = import_find(child, "mode");

	snprintf(path, sizeof(path), "%.100s.children.%.60s", conn_path, child->name);
	before = begin_part(l, all, child, path);
	add_selectors(l, child, "local_ts");
	add_selectors(l, child, "remote_ts");
	import_add_child_options(l, child);
	add_start(l, child, path);
	import_say_rest(l, child, path);
	if ((mode && mode->value && !import_is_usual(mode)) ||
	    (import_find(child, "ah_proposals") && !import_find(child, "esp_proposals"))) {
		import_leave_out(
			l, child,
			"%.150s: it is left out, as it would be another child without that", path);
	}
	end_part(l, child, before);
}

/* ---- connections ---- */

static void add_words(struct import_lines *l, const struct import_node *conn, const char *path)
{
	const struct import_node *n = import_get(conn, "encap");

	/* "no" is what "auto" is here; without the option ESP is always in UDP. */
	if (n)
		import_add_text(l, n, true, "encap", import_is_yes(n->value) ? "yes" : "auto");
	n = import_get(conn, "fragmentation");
	if (n && strcmp(n->value, "accept") == 0)
		import_say(l, n,
			   "%.150s.fragmentation: \"accept\" is not carried over: messages that "
			   "are long are divided, too",
			   path);
	else if (n)
		import_add_text(l, n, true, "fragmentation", import_switch(n->value));
	n = import_get(conn, "unique");
	if (n && import_is_no(n->value))
		import_say(
			l, n,
			"%.150s.unique: \"no\" is not carried over: of two IKE SAs with the same "
			"identities one stays, as with \"replace\"",
			path);
	else if (n)
		import_add_text(l, n, true, "unique", n->value);
}

static void add_children(struct import_lines *l, struct import_node *conn, const char *path)
{
	struct import_node *all = import_find(conn, "children");

	if (!all || all->value) {
		import_leave_out(l, conn, "%.150s: it has no children, so it is left out", path);
		return;
	}
	all->seen = true;
	import_open(l, all, "children");
	for (struct import_node *n = all->first; n; n = n->next) {
		if (n->value)
			import_say(l, n, "%.150s.children.%.60s: is no section", path, n->name);
		else
			add_child(l, all, n, path);
	}
	import_close(l, all);
}

static void add_conn(struct import_lines *l, const struct import_node *all,
		     struct import_node *conn)
{
	char path[100];
	const struct import_node *version = import_get(conn, "version");
	unsigned before;

	snprintf(path, sizeof(path), "connections.%.60s", conn->name);
	before = begin_part(l, all, conn, path);
	if (version && strcmp(version->value, "1") == 0) {
		import_leave_out(l, version, "%s.version: it is for IKEv1, so it is left out",
				 path);
	}
	add_addresses(l, conn, "local_addrs", path);
	add_addresses(l, conn, "remote_addrs", path);
	import_add_sides(l, conn, path);
	import_add_conn_options(l, conn);
	add_words(l, conn, path);
	add_children(l, conn, path);
	import_say_rest(l, conn, path);
	end_part(l, conn, before);
}

/* ---- secrets and pools ---- */

/* The identities of a secret: id, and id... with any suffix. */
static void add_ids(struct import_lines *l, const struct import_node *section, bool as_identity)
{
	unsigned count = 0;

	for (struct import_node *n = section->first; n; n = n->next) {
		char name[16];

		if (!n->value || strncmp(n->name, "id", 2) != 0)
			continue;
		n->seen = true;
		snprintf(name, sizeof(name), count ? "id%u" : "id", count);
		count++;
		if (as_identity)
			import_add_identity(l, n, name);
		else
			import_add_text(l, n, false, name, n->value);
	}
}

static void add_secret(struct import_lines *l, const struct import_node *all,
		       struct import_node *section)
{
	const char *without = swanctl_secret_without(section->name);
	struct import_node *secret = import_get(section, "secret");
	char path[100];
	unsigned before;

	snprintf(path, sizeof(path), "secrets.%.60s", section->name);
	if (without) {
		import_say(l, section, "%s: %s", path, without);
		return;
	}
	before = begin_part(l, all, section, path);
	add_ids(l, section, strncmp(section->name, "ike", 3) == 0);
	if (secret)
		import_add_text(l, secret, false, "secret", secret->value);
	import_say_rest(l, section, path);
	end_part(l, section, before);
}

static void add_pool(struct import_lines *l, const struct import_node *all,
		     struct import_node *section)
{
	const struct import_node *n;
	char path[100];
	unsigned before;

	snprintf(path, sizeof(path), "pools.%.60s", section->name);
	before = begin_part(l, all, section, path);
	n = import_get(section, "addrs");
	if (n)
		import_add_text(l, n, false, "addrs", n->value);
	n = import_get(section, "dns");
	if (n)
		import_add_list(l, n, false, "dns");
	/* If both are there, the other one is among the rest that is said. */
	n = import_get(section, import_find(section, "subnet") ? "subnet" : "split_include");
	if (n)
		import_add_list(l, n, false, "subnets");
	import_say_rest(l, section, path);
	end_part(l, section, before);
}

/* ---- all of it ---- */

/* Calls f for each section of a group of the file, with the lines of the group around. */
static void add_group(struct import_lines *l, struct import_tree *t, const char *name,
		      void (*f)(struct import_lines *l, const struct import_node *all,
				struct import_node *section))
{
	struct import_node *all = import_find(&t->root, name);

	if (!all)
		return;
	all->seen = true;
	if (all->value) {
		import_say(l, all, "%s: is no section", name);
		return;
	}
	import_open(l, NULL, name);
	for (struct import_node *n = all->first; n; n = n->next) {
		if (n->value)
			import_say(l, n, "%s.%.60s: is no section", name, n->name);
		else
			f(l, all, n);
	}
	import_close(l, NULL);
}

/* CAs and CRLs stay where swanctl has them. */
static void add_folders(struct import_lines *l)
{
	static const char *const names[][2] = {{"ca_folder", "x509ca"}, {"crl_folder", "x509crl"}};

	if (!l->certificates)
		return;
	import_open(l, NULL, "daemon");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char *folder = import_file_in(l, names[i][1], "");

		folder[strlen(folder) - 1] = '\0';
		import_add_text(l, NULL, false, names[i][0], folder);
		free(folder);
	}
	import_close(l, NULL);
}

/* Authorities have no counterpart; sections that only others refer to are no loss. */
static void say_others(struct import_lines *l, struct import_tree *t)
{
	for (struct import_node *n = t->root.first; n; n = n->next) {
		const char *without = swanctl_without(n->name);

		if (!n->seen && !without)
			import_say(l, n, "%.60s: is no section that is known here", n->name);
		for (const struct import_node *a = n->first; a && !n->seen && without; a = a->next)
			import_say(l, a, "%.60s.%.60s: %s", n->name, a->name, without);
	}
}

/* The sentence without a place in the text that is made here, which nobody sees; for free(). */
static char *without_place(const char *why, const char *name)
{
	const char *at = strstr(why, name);

	if (!at)
		return xstrdup(why);
	return xasprintf("%.*sanother%s", (int)(at - why), why,
			 at + strlen(name) + strspn(at + strlen(name), ":0123456789"));
}

/* Leaves out what mendipd would refuse, part by part. */
static char *checked(struct import_lines *l, char *err)
{
	static const char name[] = "mendip.conf";

	for (unsigned i = 0; i < REFUSED_MAX; i++) {
		char *text = import_text(l, false), why[CONFIG_ERR], *end, *said;
		struct config *c = conf_load_text(name, text, why);
		unsigned long line;

		if (c) {
			conf_free(c);
			secret_free(text, strlen(text));
			return import_text(l, true);
		}
		secret_free(text, strlen(text));
		line = strncmp(why, name, strlen(name)) == 0
			       ? strtoul(why + strlen(name) + 1, &end, 10)
			       : 0;
		said = line ? without_place(*end ? end + 2 : end, name) : NULL;
		if (!line || !import_refuse(l, (unsigned)line, said)) {
			free(said);
			snprintf(err, IMPORT_ERR, "%.300s", why);
			return NULL;
		}
		free(said);
	}
	snprintf(err, IMPORT_ERR, "more than %d parts cannot be carried over", REFUSED_MAX);
	return NULL;
}

char *import_convert(struct import_tree *t, const struct import_ops *ops, unsigned *ret_said,
		     char *err)
{
	struct import_lines l = {.ops = ops, .pools = import_find(&t->root, "pools")};
	char *text;

	import_lines_init(&l);
	import_line(&l, NULL, false, "# Made by mendipctl import of a swanctl.conf.");
	add_group(&l, t, "pools", add_pool);
	add_group(&l, t, "connections", add_conn);
	add_group(&l, t, "secrets", add_secret);
	add_folders(&l);
	say_others(&l, t);
	text = checked(&l, err);
	import_say_all(&l);
	*ret_said = l.said;
	import_lines_free(&l);
	return text;
}
