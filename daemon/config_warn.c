/* config_warn.c - says what is allowed but doubtful. SPDX-License-Identifier: ISC */
#include "config.h"

void conf_warn(const struct config *c, conf_say *say, void *ctx)
{
	for (unsigned i = 0; i < c->doubt_count; i++)
		say(ctx, c->doubts[i].place, c->doubts[i].text);
}
