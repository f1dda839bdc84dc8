/* saved.c - see saved.h. SPDX-License-Identifier: ISC */
#include "saved.h"

static void addr_save(const struct addr *a, struct writer *w)
{
	wr_u8(w, a->family);
	wr_bytes(w, a->b, sizeof(a->b));
}

static int addr_load(struct reader *r, struct addr *ret)
{
	uint8_t family = rd_u8(r);
	const uint8_t *b = rd_bytes(r, sizeof(ret->b));

	*ret = (struct addr){0};
	if (family == FAMILY_NONE)
		return r->bad ? -EBADMSG : 0;
	if (!b || (family != FAMILY_IPV4 && family != FAMILY_IPV6))
		return -EBADMSG;
	addr_set(ret, family, b);
	return 0;
}

void endpoint_save(const struct endpoint *e, struct writer *w)
{
	addr_save(&e->addr, w);
	wr_be16(w, e->port);
}

int endpoint_load(struct reader *r, struct endpoint *ret)
{
	int e = addr_load(r, &ret->addr);

	ret->port = rd_be16(r);
	return e < 0 || r->bad ? -EBADMSG : 0;
}

void ts_list_save(const struct ts_list *l, struct writer *w)
{
	wr_u8(w, l->count);
	for (unsigned i = 0; i < l->count; i++) {
		const struct ts *t = &l->ts[i];

		wr_u8(w, t->proto);
		wr_be16(w, t->port_lo);
		wr_be16(w, t->port_hi);
		addr_save(&t->lo, w);
		addr_save(&t->hi, w);
	}
}

int ts_list_load(struct reader *r, struct ts_list *ret)
{
	ret->count = rd_u8(r);
	if (ret->count == 0)
		return -EBADMSG;
	for (unsigned i = 0; i < ret->count; i++) {
		struct ts *t = &ret->ts[i];

		t->proto = rd_u8(r);
		t->port_lo = rd_be16(r);
		t->port_hi = rd_be16(r);
		if (addr_load(r, &t->lo) < 0 || addr_load(r, &t->hi) < 0 ||
		    t->lo.family == FAMILY_NONE || t->lo.family != t->hi.family ||
		    addr_cmp(&t->lo, &t->hi) > 0 || (t->port_lo > t->port_hi && !ts_is_opaque(t)))
			return -EBADMSG;
		t->family = t->lo.family;
	}
	return r->bad ? -EBADMSG : 0;
}

void text_save(const char *s, struct writer *w)
{
	size_t len = strlen(s);

	if (len >= SAVED_TEXT)
		w->bad = true;
	wr_u8(w, (uint8_t)len);
	wr_bytes(w, s, len);
}

int text_load(struct reader *r, char *ret)
{
	uint8_t len = rd_u8(r);
	const uint8_t *p = rd_bytes(r, len);

	if (!p || memchr(p, 0, len))
		return -EBADMSG;
	memcpy(ret, p, len);
	ret[len] = '\0';
	return 0;
}
