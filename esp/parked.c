/* parked.c - see parked.h. SPDX-License-Identifier: ISC */
#include "parked.h"
#include "xalloc.h"

void parked_fini(struct parked *p)
{
	free(p->v);
	*p = (struct parked){0};
}

void parked_add(struct parked *p, struct sa_ref sa, bool early, const struct endpoint *from,
		uint8_t tos, const uint8_t *bytes, uint32_t len)
{
	struct parked_packet *k;

	if (len > PARKED_BYTES)
		return;
	if (!p->v)
		p->v = xzalloc(PARKED_MAX * sizeof(*p->v));
	k = &p->v[p->next];
	p->next = (p->next + 1) % PARKED_MAX;
	k->sa = sa;
	k->early = early;
	k->due = false;
	k->from = *from;
	k->tos = tos;
	k->len = (uint16_t)len;
	memcpy(k->bytes, bytes, len);
}

bool parked_due(struct parked *p, struct sa_ref sa)
{
	bool any = false;

	for (uint32_t i = 0; p->v && i < PARKED_MAX; i++) {
		struct parked_packet *k = &p->v[i];

		if (k->sa.gen == sa.gen && k->sa.index == sa.index && sa.gen)
			any = k->due = true;
	}
	return any;
}

struct parked_packet *parked_take(struct parked *p)
{
	for (uint32_t i = 0; p->v && i < PARKED_MAX; i++) {
		struct parked_packet *k = &p->v[(p->next + i) % PARKED_MAX];

		if (k->sa.gen && k->due) {
			k->sa.gen = 0;
			return k;
		}
	}
	return NULL;
}
