/* ctl_complete.c - see ctl_complete.h. SPDX-License-Identifier: ISC */
#include "ctl_complete.h"

#include "base.h"
#include "ctl_client.h"
#include "options.h"
#include "show_text.h"

#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

#define ANSWER_SECONDS 2

/* The command line so far. */
struct typed {
	FILE *f;
	const struct grammar *g;
	const char *socket;
	const struct command *command; /* NULL: none yet, or none of that name */
	bool named;		       /* there is a word in the place of the command */
	char **args;		       /* those of the command, without options */
	int count;
	const char *begun; /* the word to complete */
};

static void offer(const struct typed *t, const char *word, const char *help)
{
	if (strncmp(word, t->begun, strlen(t->begun)) != 0)
		return;
	fputs(word, t->f);
	if (help)
		fprintf(t->f, "\t%s", help);
	fputc('\n', t->f);
}

/* ---- what the capitals of a command's arguments stand for ---- */

/* The names that the daemon has, as show_names; owned. */
static json_t *ask_names(const struct typed *t)
{
	struct ctl ctl = {.socket = t->socket};
	json_t *status = NULL, *names;
	bool gone;

	alarm(ANSWER_SECONDS);
	if (ctl_open(&ctl, true) == 0)
		status = ctl_ask(&ctl, "status", NULL, 0, &gone);
	ctl_close(&ctl);
	alarm(0);
	names = show_names(status);
	json_decref(status);
	return names;
}

/* The children that several connections have, each as a member; owned. */
static json_t *of_several(json_t *names)
{
	json_t *once = json_object(), *several = json_object(), *children, *none;
	const char *conn, *child;

	json_object_foreach(names, conn, children)
	{
		json_object_foreach(children, child, none)
		{
			json_t *to = json_object_get(once, child) ? several : once;

			json_object_set_new(to, child, json_true());
		}
	}
	json_decref(once);
	return several;
}

/* A name that several connections have needs the connection's before it. */
static void offer_children(const struct typed *t, json_t *names)
{
	json_t *several = of_several(names), *children, *none;
	const char *conn, *child;
	char both[256];

	json_object_foreach(names, conn, children)
	{
		json_object_foreach(children, child, none)
		{
			snprintf(both, sizeof(both), "%s/%s", conn, child);
			offer(t, json_object_get(several, child) ? both : child, "child");
		}
	}
	json_decref(several);
}

static void offer_child(const struct typed *t)
{
	json_t *names = ask_names(t);

	offer_children(t, names);
	json_decref(names);
}

static void offer_connections(const struct typed *t, json_t *names)
{
	const char *conn;
	json_t *children;

	json_object_foreach(names, conn, children)
	{
		offer(t, conn, "connection");
	}
}

static void offer_connection(const struct typed *t)
{
	json_t *names = ask_names(t);

	offer_connections(t, names);
	json_decref(names);
}

static void offer_name(const struct typed *t)
{
	json_t *names = ask_names(t);

	offer_connections(t, names);
	offer_children(t, names);
	json_decref(names);
}

static void offer_command(const struct typed *t)
{
	for (size_t i = 0; i < t->g->count; i++) {
		if (t->g->commands[i].help)
			offer(t, t->g->commands[i].name, t->g->commands[i].help);
	}
}

static void offer_level(const struct typed *t)
{
	static const char *const levels[] = {"error", "warning", "info", "debug"};

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		offer(t, levels[i], NULL);
}

static void offer_one_tunable(void *ctx, const char *name, const char *value)
{
	char word[64];

	(void)value;
	snprintf(word, sizeof(word), "%s=", name);
	offer(ctx, word, NULL);
}

static void offer_tunable(const struct typed *t)
{
	struct tunnel_options o;

	tunnel_options_default(&o);
	tunnel_options_each(&o, offer_one_tunable, (void *)t);
}

static void offer_kind(const struct typed *t, const char *kind)
{
	static const struct {
		const char *kind;
		void (*offer)(const struct typed *t);
	} kinds[] = {{"NAME", offer_name},
		     {"CHILD", offer_child},
		     {"CONNECTION", offer_connection},
		     {"COMMAND", offer_command},
		     {"LEVEL", offer_level},
		     {"OPTION=VALUE", offer_tunable}};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i].kind, kind) == 0)
			kinds[i].offer(t);
	}
}

/* ---- the arguments of a command ---- */

static const struct option *find_option(const struct grammar *g, const char *name, size_t len)
{
	for (const struct option *o = g->options; o->name; o++) {
		if (strlen(o->name) == len && strncmp(o->name, name, len) == 0)
			return o;
	}
	return NULL;
}

/* The next word of an alternative that is no option, without its brackets; NULL at the end. */
static const char *next_place(const struct grammar *g, char **rest, const char *before)
{
	const struct option *o;
	char *word;

	while ((word = strtok_r(NULL, " []", rest))) {
		if (strcmp(word, "...") == 0) {
			*rest = word; /* for ever: what is here stays here */
			return before;
		}
		if (strncmp(word, "--", 2) != 0)
			return word;
		o = find_option(g, word + 2, strlen(word + 2));
		if (o && o->has_arg)
			strtok_r(NULL, " []", rest);
	}
	return NULL;
}

/* Offers what one alternative has in the place behind the arguments that are there, if they fit. */
static void offer_alternative(const struct typed *t, char *alternative)
{
	char *rest = alternative;
	const char *place = NULL;

	for (int i = 0; i <= t->count; i++) {
		place = next_place(t->g, &rest, place);
		if (!place)
			return;
		if (i < t->count && islower((unsigned char)*place) &&
		    strcmp(place, t->args[i]) != 0)
			return;
	}
	if (islower((unsigned char)*place))
		offer(t, place, NULL);
	else
		offer_kind(t, place);
}

static void offer_arguments(const struct typed *t)
{
	char *all = strdup(t->command->args ? t->command->args : ""), *rest = all, *alternative;

	while (all && (alternative = strsep(&rest, "|")))
		offer_alternative(t, alternative);
	free(all);
}

/* ---- the line ---- */

static void offer_options(const struct typed *t)
{
	const char *own = t->command ? t->command->options : "";
	char word[64];

	for (const struct option *o = t->g->options; o->name; o++) {
		if (!strchr(t->g->general, o->val) && !strchr(own, o->val))
			continue;
		snprintf(word, sizeof(word), "--%s", o->name);
		offer(t, word, NULL);
	}
}

/* The option that the word is, if a value follows it as a word of its own. */
static const struct option *wants_value(const struct grammar *g, const char *word)
{
	const struct option *o = NULL;

	if (strncmp(word, "--", 2) == 0)
		o = find_option(g, word + 2, strlen(word + 2));
	else if (word[0] == '-' && word[1] && !word[2])
		for (o = g->options; o->name && o->val != word[1]; o++)
			;
	return o && o->name && o->has_arg ? o : NULL;
}

static void read_word(struct typed *t, char *word)
{
	if (word[0] == '-')
		return;
	if (t->named) {
		t->args[t->count++] = word;
		return;
	}
	t->named = true;
	for (size_t i = 0; i < t->g->count; i++) {
		if (strcmp(t->g->commands[i].name, word) == 0)
			t->command = &t->g->commands[i];
	}
}

void complete(FILE *f, const struct grammar *g, char **words, int count)
{
	struct typed t = {.f = f, .g = g, .socket = g->socket, .args = words};
	const struct option *value_of = NULL;

	if (count == 0)
		return;
	for (int i = 0; i < count - 1; i++) {
		if (value_of && value_of->val == 's')
			t.socket = words[i];
		else if (!value_of)
			read_word(&t, words[i]); /* t.args never overtakes i */
		value_of = value_of ? NULL : wants_value(g, words[i]);
	}
	t.begun = words[count - 1];
	if (value_of)
		return; /* the shell has files */
	if (*t.begun == '-')
		offer_options(&t);
	else if (t.command)
		offer_arguments(&t);
	else if (!t.named)
		offer_command(&t);
}
