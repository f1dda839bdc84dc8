/* ctl_wait.c - see ctl_wait.h. SPDX-License-Identifier: ISC */
#include "ctl_wait.h"

#include "show_text.h"

#include <stdbool.h>
#include <string.h>

/* The child of a connection as it was in an earlier result of status. */
static const json_t *earlier(const json_t *before, const json_t *conn, const json_t *child)
{
	return show_find_child(before, show_str(conn, "name"), show_str(conn, "peer"),
			       show_str(child, "name"));
}

/* A problem that came up since the command; NULL: none has. */
static const json_t *new_problem(const json_t *o, double elapsed)
{
	const json_t *e = json_object_get(o, "last_error");

	return json_is_true(json_object_get(e, "current")) &&
			       json_number_value(json_object_get(e, "age")) < elapsed
		       ? e
		       : NULL;
}

static const json_t *problem_of(const json_t *conn, const json_t *child, double elapsed)
{
	const json_t *e = new_problem(child, elapsed);

	return e ? e : new_problem(conn, elapsed);
}

static enum outcome look_at_child(const char *command, const json_t *was, const json_t *conn,
				  const json_t *child, double elapsed)
{
	const char *state = show_str(child, "state");
	bool up = strcmp(state, "up") == 0;
	json_int_t rekeys = json_integer_value(json_object_get(child, "rekeys"));

	if (strcmp(command, "down") == 0)
		return strcmp(state, "down") == 0 || strcmp(state, "trapped") == 0 ? OUTCOME_DONE
										   : OUTCOME_OPEN;
	if (problem_of(conn, child, elapsed))
		return OUTCOME_FAILED;
	if (strcmp(command, "up") == 0)
		return up ? OUTCOME_DONE : OUTCOME_OPEN;
	if (!up) /* there was nothing to rekey, or it is gone */
		return OUTCOME_FAILED;
	return rekeys > json_integer_value(json_object_get(was, "rekeys")) ? OUTCOME_DONE
									   : OUTCOME_OPEN;
}

enum outcome look_at_outcome(const char *command, const json_t *before, const json_t *now,
			     double elapsed)
{
	enum outcome all = OUTCOME_DONE;
	const json_t *c, *k;
	size_t i, j;

	json_array_foreach(json_object_get(now, "connections"), i, c)
	{
		json_array_foreach(json_object_get(c, "children"), j, k)
		{
			enum outcome o =
				look_at_child(command, earlier(before, c, k), c, k, elapsed);

			if (o == OUTCOME_FAILED)
				return o;
			if (o == OUTCOME_OPEN)
				all = o;
		}
	}
	return all;
}

static void show_child(FILE *f, const char *command, const json_t *was, const json_t *conn,
		       const json_t *child, double elapsed)
{
	const json_t *e = problem_of(conn, child, elapsed);
	enum outcome o = look_at_child(command, was, conn, child, elapsed);
	const char *end = o == OUTCOME_DONE && strcmp(command, "rekey") == 0
				  ? "rekeyed"
				  : show_str(child, "state");

	if (o == OUTCOME_FAILED && e) {
		show_line(f, 0, "%s/%s: %s, %s: %s", show_str(conn, "name"),
			  show_str(child, "name"), end, show_str(e, "kind"), show_str(e, "text"));
		show_line(f, 2, "What to do: %s.", show_str(e, "advice"));
		return;
	}
	fprintf(f, "%s/%s: %s%s\n", show_str(conn, "name"), show_str(child, "name"), end,
		o == OUTCOME_OPEN ? ", still under way" : "");
}

void show_outcome(FILE *f, const char *command, const json_t *before, const json_t *now,
		  double elapsed)
{
	const json_t *c, *k;
	size_t i, j;

	json_array_foreach(json_object_get(now, "connections"), i, c)
	{
		json_array_foreach(json_object_get(c, "children"), j, k)
			show_child(f, command, earlier(before, c, k), c, k, elapsed);
	}
}
