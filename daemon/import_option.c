/* import_option.c - see import_option.h. SPDX-License-Identifier: ISC */
#include "import_option.h"
#include "config_option.h"
#include "swanctl.h"
#include "xalloc.h"

#include <ctype.h>
#include <stdio.h>

/* ---- values ---- */

/* The text in double quotes, as libconfig reads it; for secret_free. */
static char *quoted(const char *v)
{
	char *text = NULL;
	size_t size = 0;
	struct conf_out out = {.f = conf_open_text(&text, &size)};

	conf_print_text(&out, v);
	conf_close_text(out.f);
	return text;
}

void import_add_text(struct import_lines *l, const struct import_node *n, bool alone,
		     const char *name, const char *v)
{
	char *text = quoted(v);

	import_line(l, n, alone, "%s = %s;", name, text);
	secret_free(text, strlen(text));
}

/* The next item of a list with commas, without spaces around it, for free(); NULL: there is none.
 */
char *import_next_item(const char **at)
{
	size_t len;
	const char *from;

	*at += strspn(*at, ", \t\n");
	from = *at;
	len = strcspn(from, ",");
	*at += len;
	while (len && isspace((unsigned char)from[len - 1]))
		len--;
	return len ? xasprintf("%.*s", (int)len, from) : NULL;
}

/* Begins a list, each item of which has a line, so that one alone can be refused. */
unsigned import_begin_list(struct import_lines *l, const struct import_node *n, bool needed,
			   const char *name)
{
	unsigned before = import_part_begin(l, needed, NULL);

	import_line(l, n, false, "%s = [", name);
	l->v[l->count - 1].place = LIST_BEGIN;
	l->depth++;
	return before;
}

void import_add_item(struct import_lines *l, const struct import_node *n, const char *v)
{
	char *text = quoted(v);

	import_line(l, n, true, "%s", text);
	l->v[l->count - 1].place = LIST_ITEM;
	free(text);
}

void import_end_list(struct import_lines *l, const struct import_node *n, unsigned before)
{
	l->depth--;
	import_line(l, n, false, "];");
	l->v[l->count - 1].place = LIST_END;
	import_part_end(l, before);
}

bool import_is_yes(const char *v)
{
	static const char *const words[] = {"yes", "true", "enabled", "1", NULL};

	return conf_is_one_of(v, words);
}

bool import_is_no(const char *v)
{
	static const char *const words[] = {"no", "false", "disabled", "0", NULL};

	return conf_is_one_of(v, words);
}

const char *import_switch(const char *v)
{
	return import_is_yes(v) ? "yes" : import_is_no(v) ? "no" : v;
}

/* ---- options with the same meaning ---- */

enum how { AS_TEXT, AS_NUMBER, AS_VOLUME, AS_SWITCH, AS_LIST, AS_POOLS };

struct same {
	const char *name;
	enum how how;
};

static const struct same of_conn[] = {
	{"local_port", AS_NUMBER},   {"remote_port", AS_NUMBER}, {"proposals", AS_LIST},
	{"vips", AS_LIST},	     {"pools", AS_POOLS},	 {"mobike", AS_SWITCH},
	{"dpd_delay", AS_TEXT},	     {"childless", AS_TEXT},	 {"ppk_id", AS_TEXT},
	{"ppk_required", AS_SWITCH}, {"rekey_time", AS_TEXT},	 {"over_time", AS_TEXT},
};

static const struct same of_child[] = {
	{"esp_proposals", AS_LIST},  {"rekey_time", AS_TEXT},	   {"life_time", AS_TEXT},
	{"rekey_bytes", AS_VOLUME},  {"life_bytes", AS_VOLUME},	   {"rekey_packets", AS_VOLUME},
	{"life_packets", AS_VOLUME}, {"replay_window", AS_NUMBER}, {"close_action", AS_TEXT},
	{"dpd_action", AS_TEXT},
};

/* The member of the section, which is looked at now. */
struct import_node *import_get(const struct import_node *section, const char *name)
{
	struct import_node *n = import_find(section, name);

	if (n)
		n->seen = true;
	return n && n->value ? n : NULL;
}

static void add_number(struct import_lines *l, const struct import_node *n, const char *name)
{
	size_t len = strlen(n->value);

	if (len > 0 && len < 10 && strspn(n->value, "0123456789") == len)
		import_line(l, n, true, "%s = %lu;", name, strtoul(n->value, NULL, 10));
	else
		import_add_text(l, n, true, name, n->value);
}

/* swanctl.conf writes k, m and g small, too. */
static void add_volume(struct import_lines *l, const struct import_node *n, const char *name)
{
	char *v = xstrdup(n->value);

	for (char *p = v; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	import_add_text(l, n, true, name, v);
	free(v);
}

/* named: the sections whose names the items are, which may have others here; NULL: there are none.
 */
static void add_items(struct import_lines *l, const struct import_node *n, bool needed,
		      const char *name, const struct import_node *named)
{
	unsigned before = import_begin_list(l, n, needed, name);
	const char *at = n->value;
	char *item;

	while ((item = import_next_item(&at))) {
		const struct import_node *of = named ? import_find(named, item) : NULL;

		import_add_item(l, n, of && of->given ? of->given : item);
		free(item);
	}
	import_end_list(l, n, before);
}

void import_add_list(struct import_lines *l, const struct import_node *n, bool needed,
		     const char *name)
{
	add_items(l, n, needed, name, NULL);
}

static void add_same(struct import_lines *l, const struct import_node *section,
		     const struct same *v, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct import_node *n = import_get(section, v[i].name);

		if (!n)
			continue;
		switch (v[i].how) {
		case AS_TEXT: import_add_text(l, n, true, v[i].name, n->value); break;
		case AS_NUMBER: add_number(l, n, v[i].name); break;
		case AS_VOLUME: add_volume(l, n, v[i].name); break;
		case AS_LIST: import_add_list(l, n, false, v[i].name); break;
		case AS_POOLS: add_items(l, n, false, v[i].name, l->pools); break;
		case AS_SWITCH:
			/* Without ppk_required it would be less safe than it was. */
			import_add_text(l, n, strcmp(v[i].name, "ppk_required") != 0, v[i].name,
					import_switch(n->value));
			break;
		}
	}
}

void import_add_conn_options(struct import_lines *l, const struct import_node *conn)
{
	add_same(l, conn, of_conn, ARRAY_SIZE(of_conn));
}

void import_add_child_options(struct import_lines *l, const struct import_node *child)
{
	add_same(l, child, of_child, ARRAY_SIZE(of_child));
}

/* ---- options without counterpart ---- */

/* What needs no word: Mendip does just that. */
static const struct {
	const char *name, *value;
} usual[] = {
	{"version", "2"},	 {"version", "0"},
	{"aggressive", "no"},	 {"pull", "yes"},
	{"mediation", "no"},	 {"send_certreq", "yes"},
	{"send_cert", "always"}, {"send_cert", "ifasked"},
	{"keyingtries", "0"},	 {"reauth_time", "0"},
	{"reauth_time", "0s"},	 {"round", "0"},
	{"round", "1"},		 {"mode", "tunnel"},
	{"policies", "yes"},	 {"ipcomp", "no"},
	{"hostaccess", "no"},	 {"sha256_96", "no"},
	{"copy_df", "yes"},	 {"copy_ecn", "yes"},
	{"copy_dscp", "out"},	 {"hw_offload", "no"},
	{"tfc_padding", "0"},	 {"inactivity", "0"},
	{"inactivity", "0s"},	 {"policies_fwd_out", "no"},
	{"per_cpu_sas", "no"},	 {"dscp", "000000"},
	{"reqid", "0"},		 {"priority", "0"},
	{"unique", "replace"},
};

bool import_is_usual(const struct import_node *n)
{
	const char *word = import_switch(n->value);

	for (size_t i = 0; i < ARRAY_SIZE(usual); i++) {
		if (strcmp(usual[i].name, n->name) == 0 &&
		    (strcmp(usual[i].value, n->value) == 0 || strcmp(usual[i].value, word) == 0))
			return true;
	}
	return false;
}

/* Says what of the section nobody has looked at. */
void import_say_rest(struct import_lines *l, const struct import_node *section, const char *path)
{
	for (const struct import_node *n = section->first; n; n = n->next) {
		const char *without = swanctl_without(n->name);

		if (n->seen || (n->value && import_is_usual(n)))
			continue;
		if (without)
			import_say(l, n, "%.150s.%.60s: %s", path, n->name, without);
		else
			import_say(l, n, "%.150s.%.60s: is no %s that is known here", path, n->name,
				   n->value ? "option" : "section");
	}
}

/* ---- names ---- */

/* The name with letters, digits, - and _ alone, and a letter first; for free(). */
static char *plain_name(const char *of)
{
	char *name = xasprintf("%s%s", isalpha((unsigned char)*of) ? "" : "c", of);

	for (char *p = name; *p; p++) {
		if (!isascii((unsigned char)*p) || (!isalnum((unsigned char)*p) && *p != '-'))
			*p = '_';
	}
	return name;
}

/* Whether another one of the section has the name, by itself or as one that it was given. */
static bool is_taken(const struct import_node *section, const struct import_node *n,
		     const char *name)
{
	for (const struct import_node *s = section->first; s; s = s->next) {
		if (s != n &&
		    (strcmp(s->name, name) == 0 || (s->given && strcmp(s->given, name) == 0)))
			return true;
	}
	return false;
}

const char *import_group_name(struct import_lines *l, struct import_node *n,
			      const struct import_node *section)
{
	unsigned number = 1;
	char *plain = plain_name(n->name);

	n->given = xstrdup(plain);
	/* Those before it are counted, so that each of many in one line finds a name at once. */
	for (const struct import_node *s = section->first; s != n; s = s->next)
		number++;
	while (strcmp(n->given, n->name) != 0 && is_taken(section, n, n->given)) {
		free(n->given);
		n->given = xasprintf("%s_%u", plain, number++);
	}
	free(plain);
	if (strcmp(n->given, n->name) != 0)
		import_say(l, n,
			   "the name \"%.60s\" becomes %.60s: a name here begins with a letter, "
			   "and has letters, digits, - and _",
			   n->name, n->given);
	return n->given;
}
