/* fragments.c - see fragments.h. SPDX-License-Identifier: ISC */
#include "sa/fragments.h"
#include "wire/ike_types.h"
#include "xalloc.h"

bool fragments_want(const struct fragments *f, const struct fragment_head *h)
{
	if (h->number == 0 || h->number > h->total || h->total > IKE_MAX_FRAGMENTS)
		return false;
	if (!f->part || h->id > f->id)
		return true;
	if (h->id < f->id || h->exchange != f->exchange || h->total < f->total)
		return false;
	return h->total > f->total || !f->part[h->number - 1].here;
}

enum fragment_result fragments_add(struct fragments *f, const struct fragment_head *h,
				   struct chunk text, size_t limit)
{
	struct fragment_part *part;

	if (f->part && (f->id != h->id || f->total != h->total))
		fragments_clear(f);
	if (f->len + text.len > limit) {
		fragments_clear(f);
		return FRAGMENT_TOO_LONG;
	}
	if (!f->part) {
		f->id = h->id;
		f->exchange = h->exchange;
		f->total = h->total;
		f->part = xzalloc(h->total * sizeof(*f->part));
	}
	part = &f->part[h->number - 1];
	part->p = text.len ? xmemdup(text.p, text.len) : NULL;
	part->len = (uint16_t)text.len;
	part->here = true;
	if (h->number == 1)
		f->first = h->next;
	f->len += text.len;
	f->longest = max_u64(f->longest, h->datagram);
	f->count++;
	return f->count == f->total ? FRAGMENT_COMPLETE : FRAGMENT_STORED;
}

void fragments_join(const struct fragments *f, uint8_t *out)
{
	for (unsigned i = 0; i < f->total; i++) {
		if (f->part[i].len)
			memcpy(out, f->part[i].p, f->part[i].len);
		out += f->part[i].len;
	}
}

void fragments_clear(struct fragments *f)
{
	for (unsigned i = 0; f->part && i < f->total; i++)
		secret_free(f->part[i].p, f->part[i].len);
	free(f->part);
	*f = (struct fragments){0};
}
