/* followups.c - see followups.h. SPDX-License-Identifier: ISC */
#include "sa/followups.h"
#include "xalloc.h"

void followups_free(struct ike *ike, struct followups *f)
{
	if (!f)
		return;
	if (f->spi_in)
		ike->ops.spi_release(ike->ops.ctx, f->spi_in);
	kex_free(f->kex);
	secret_free(f, sizeof(*f));
}

struct followups *followups_take(struct ike_sa *sa)
{
	struct followups *f = sa->followups;

	deadline_clear(&sa->ike->deadlines, &sa->followup);
	sa->followups = NULL;
	return f;
}

void followups_drop(struct ike_sa *sa)
{
	followups_free(sa->ike, followups_take(sa));
}
