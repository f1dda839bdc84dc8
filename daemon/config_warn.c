/* config_warn.c - what is allowed but should not be done. SPDX-License-Identifier: ISC */
#include "config.h"

#include <stdio.h>

struct warner {
	conf_say *say;
	void *ctx;
};

/* The line "CONNECTION[/CHILD]: OPTION: TEXT". */
static void warn(const struct warner *w, const struct conn_conf *conn, const struct child_conf *k,
		 const char *option, const char *text)
{
	char line[CONFIG_ERR];

	snprintf(line, sizeof(line), "%.100s%s%.100s: %s: %s", conn->name, k ? "/" : "",
		 k ? k->name : "", option, text);
	w->say(w->ctx, line);
}

static void warn_weak(const struct warner *w, const struct conn_conf *conn,
		      const struct child_conf *k, const char *option, const struct proposal_list *l)
{
	char why[PROPOSAL_ERR];

	if (proposals_weakness(l, why))
		warn(w, conn, k, option, why);
}

static void warn_child(const struct warner *w, const struct conn_conf *conn,
		       const struct child_conf *k)
{
	warn_weak(w, conn, k, "esp_proposals", &k->proposals);
	if (k->replay_window == 0)
		warn(w, conn, k, "replay_window = 0",
		     "an attacker can replay recorded packets; remove the option");
}

void conf_warn(const struct config *c, conf_say *say, void *ctx)
{
	const struct warner w = {say, ctx};

	for (unsigned i = 0; i < c->conns.count; i++) {
		const struct conn_conf *conn = c->conns.v[i];

		warn_weak(&w, conn, NULL, "proposals", &conn->proposals);
		for (unsigned k = 0; k < conn->child_count; k++)
			warn_child(&w, conn, &conn->children[k]);
	}
}
