/* proposal.c - see proposal.h. SPDX-License-Identifier: ISC */
#include "crypto/kex.h"
#include "wire/words.h"
#include "xalloc.h"

bool proposal_add(struct proposal *p, struct transform t)
{
	if (p->count == PROPOSAL_TRANSFORMS)
		return false;
	p->t[p->count++] = t;
	return true;
}

unsigned proposal_count_type(const struct proposal *p, uint8_t type)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->count; i++)
		n += p->t[i].type == type;
	return n;
}

bool transform_is_addke(uint8_t type)
{
	return type >= TRANSFORM_ADDKE1 && type <= TRANSFORM_ADDKE7;
}

bool transform_is_kex(uint8_t type)
{
	return type == TRANSFORM_KE || transform_is_addke(type);
}

static unsigned count_kex(const struct proposal *p)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->count; i++)
		n += transform_is_kex(p->t[i].type);
	return n;
}

uint16_t choice_addke(const struct proposal_choice *c, unsigned n)
{
	for (unsigned i = 0; i < ADDKE_MAX; i++) {
		if (c->addke[i] && n-- == 0)
			return c->addke[i];
	}
	return GROUP_NONE;
}

bool proposal_has(const struct proposal *p, const struct transform *t)
{
	for (unsigned i = 0; i < p->count; i++) {
		if (p->t[i].type == t->type && p->t[i].id == t->id &&
		    p->t[i].key_bits == t->key_bits)
			return true;
	}
	return false;
}

void proposal_remove_type(struct proposal *p, uint8_t type)
{
	uint8_t kept = 0;

	for (unsigned i = 0; i < p->count; i++) {
		if (p->t[i].type != type)
			p->t[kept++] = p->t[i];
	}
	p->count = kept;
}

/* ---- reading ---- */

/* Reads the attributes of a transform; *unknown is set by any but the key length. */
static void parse_attributes(struct reader *r, struct transform *t, bool *unknown)
{
	while (!r->bad && r->left) {
		uint16_t type = rd_be16(r), value = rd_be16(r);

		if (type == PROPOSAL_KEY_LENGTH) {
			t->key_bits = value;
		} else {
			*unknown = true;
			if (!(type & 0x8000))
				rd_bytes(r, value);
		}
	}
}

/* Whether it is one of the algorithms that we have, or the explicit NONE of its type. */
static bool is_known(const struct transform *t)
{
	if (t->id == 0 && t->key_bits == 0)
		return true;
	if (transform_is_kex(t->type) &&
	    (!kex_available(t->id) || (kex_is_kem(t->id) && t->type == TRANSFORM_KE)))
		return false;
	return word_of(t) != NULL;
}

/*
 * A proposal being read, the types that must be known to be left out or chosen: those that we do
 * not know, and additional key exchanges; and those of them with a transform that we know, or with
 * NONE.
 */
struct proposal_read {
	struct proposal *p;
	uint32_t foreign[8], optional[8]; /* sets of types */
};

static void set_type(uint32_t set[8], uint8_t type)
{
	set[type / 32] |= 1u << (type % 32);
}

static int parse_transform(struct reader *r, struct proposal_read *read, bool last)
{
	struct transform t = {0};
	struct reader part;
	bool unknown = false;
	uint16_t length;
	uint8_t more = rd_u8(r);

	rd_u8(r);
	length = rd_be16(r);
	part = rd_part(r, length >= 4 ? length - 4u : 0);
	t.type = rd_u8(&part);
	rd_u8(&part);
	t.id = rd_be16(&part);
	parse_attributes(&part, &t, &unknown);
	if (r->bad || part.bad || more != (last ? 0 : 3))
		return -EBADMSG;
	if (t.type < TRANSFORM_ENCR || t.type > TRANSFORM_ADDKE7) {
		set_type(read->foreign, t.type);
		if (t.id == 0)
			set_type(read->optional, t.type);
		return 0;
	}
	if (transform_is_addke(t.type))
		set_type(read->foreign, t.type);
	/* A transform that we do not know is not chosen (RFC 7296 3.3.6). */
	if (unknown || !is_known(&t))
		return 0;
	set_type(read->optional, t.type);
	if (!proposal_has(read->p, &t) && !proposal_add(read->p, t))
		read->p->unknown = true; /* what does not fit could be all of its type */
	return 0;
}

static int parse_proposal(struct reader *r, struct proposal *p, bool *last)
{
	struct proposal_read read = {.p = p};
	struct reader part;
	uint16_t length;
	uint8_t transforms, more = rd_u8(r);
	const uint8_t *spi;

	rd_u8(r);
	length = rd_be16(r);
	part = rd_part(r, length >= 4 ? length - 4u : 0);
	p->number = rd_u8(&part);
	p->protocol = rd_u8(&part);
	p->spi_len = rd_u8(&part);
	transforms = rd_u8(&part);
	spi = rd_bytes(&part, p->spi_len);
	if (r->bad || part.bad || (more != 0 && more != 2))
		return -EBADMSG;
	if (p->spi_len <= sizeof(p->spi))
		memcpy(p->spi, spi, p->spi_len);
	else
		p->unknown = true;
	*last = more == 0;
	for (unsigned i = 0; i < transforms; i++) {
		if (parse_transform(&part, &read, i + 1u == transforms) < 0)
			return -EBADMSG;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(read.foreign); i++)
		p->unknown |= (read.foreign[i] & ~read.optional[i]) != 0;
	return rd_done(&part) ? 0 : -EBADMSG;
}

int proposals_parse(struct chunk body, struct proposal_offer *ret)
{
	struct reader r;
	bool last = false;

	*ret = (struct proposal_offer){.body = body};
	rd_init(&r, body.p, body.len);
	while (!last) {
		struct proposal p = {0};

		if (parse_proposal(&r, &p, &last) < 0)
			return -EBADMSG;
		ret->count++;
	}
	return rd_done(&r) ? 0 : -EBADMSG;
}

bool proposals_next(const struct proposal_offer *o, size_t *at, struct proposal *ret)
{
	struct reader r;
	bool last;

	if (*at >= o->body.len)
		return false;
	rd_init(&r, o->body.p + *at, o->body.len - *at);
	*ret = (struct proposal){0};
	if (parse_proposal(&r, ret, &last) < 0)
		return false;
	*at = o->body.len - r.left;
	return true;
}

static void write_transform(struct writer *w, const struct transform *t, bool last)
{
	wr_u8(w, last ? 0 : 3);
	wr_u8(w, 0);
	wr_be16(w, t->key_bits ? 12 : 8);
	wr_u8(w, t->type);
	wr_u8(w, 0);
	wr_be16(w, t->id);
	if (t->key_bits) {
		wr_be16(w, PROPOSAL_KEY_LENGTH);
		wr_be16(w, t->key_bits);
	}
}

static void write_proposal(struct writer *w, const struct proposal *p, uint8_t number,
			   struct chunk spi, bool with_ke, bool last)
{
	size_t start = w->len;
	unsigned n = p->count - (with_ke ? 0 : count_kex(p)), done = 0;

	wr_u8(w, last ? 0 : 2);
	wr_u8(w, 0);
	wr_be16(w, 0);
	wr_u8(w, number);
	wr_u8(w, p->protocol);
	wr_u8(w, (uint8_t)spi.len);
	wr_u8(w, (uint8_t)n);
	wr_bytes(w, spi.p, spi.len);
	for (unsigned i = 0; i < p->count; i++) {
		if (with_ke || !transform_is_kex(p->t[i].type))
			write_transform(w, &p->t[i], ++done == n);
	}
	wr_patch_len16(w, start + 2, start);
}

/* Whether they have the same algorithms, apart from key exchanges. */
static bool same_without_kex(const struct proposal *a, const struct proposal *b)
{
	for (unsigned i = 0; i < a->count; i++) {
		if (!transform_is_kex(a->t[i].type) && !proposal_has(b, &a->t[i]))
			return false;
	}
	return a->count - count_kex(a) == b->count - count_kex(b);
}

bool proposals_offered(const struct proposal_list *l, unsigned i, enum proposal_kex kex)
{
	if (kex == PROPOSAL_KEX_NONE)
		return proposal_count_type(&l->p[i], TRANSFORM_KE) == 0;
	for (unsigned k = 0; kex == PROPOSAL_KEX_CUT && k < i; k++) {
		if (same_without_kex(&l->p[k], &l->p[i]))
			return false;
	}
	return true;
}

void proposals_write(struct ike_builder *b, const struct proposal_list *l, struct chunk spi,
		     enum proposal_kex kex)
{
	unsigned last = 0;
	uint8_t number = 0;

	for (unsigned i = 0; i < l->count; i++) {
		if (proposals_offered(l, i, kex))
			last = i;
	}
	ib_open(b, PAYLOAD_SA);
	for (unsigned i = 0; i < l->count; i++) {
		if (proposals_offered(l, i, kex))
			write_proposal(&b->w, &l->p[i], ++number, spi, kex == PROPOSAL_KEX,
				       i == last);
	}
	ib_close(b);
}

void choice_write(struct ike_builder *b, const struct proposal_choice *c, struct chunk spi)
{
	struct proposal p = {.protocol = c->protocol};

	proposal_add(&p, (struct transform){TRANSFORM_ENCR, c->suite->encr, c->suite->key_bits});
	if (c->protocol == PROTOCOL_IKE)
		proposal_add(&p, (struct transform){TRANSFORM_PRF, c->prf, 0});
	if (c->suite->integ)
		proposal_add(&p, (struct transform){TRANSFORM_INTEG, c->suite->integ, 0});
	if (c->group)
		proposal_add(&p, (struct transform){TRANSFORM_KE, c->group, 0});
	if (c->protocol == PROTOCOL_ESP)
		proposal_add(&p, (struct transform){TRANSFORM_ESN, c->esn, 0});
	for (unsigned i = 0; i < ADDKE_MAX; i++) {
		if (c->addke[i])
			proposal_add(&p, (struct transform){(uint8_t)(TRANSFORM_ADDKE1 + i),
							    c->addke[i], 0});
	}
	ib_open(b, PAYLOAD_SA);
	write_proposal(&b->w, &p, c->number, spi, true, true);
	ib_close(b);
}

/*
 * Finds the first transform of the type that both have. If neither has one of that type, that is
 * NONE.
 */
static bool common(const struct proposal *a, const struct proposal *b, uint8_t type, uint16_t want,
		   struct transform *ret)
{
	bool a_none = proposal_count_type(a, type) == 0, b_none = proposal_count_type(b, type) == 0;

	for (unsigned i = 0; i < a->count; i++) {
		for (unsigned j = 0; j < b->count; j++) {
			if (a->t[i].type == type && b->t[j].type == type &&
			    a->t[i].id == b->t[j].id && a->t[i].key_bits == b->t[j].key_bits &&
			    (!want || a->t[i].id == want)) {
				*ret = a->t[i];
				return true;
			}
		}
	}
	*ret = (struct transform){.type = type};
	if (a_none && b_none)
		return true;
	/* An explicit NONE (0) is the same as no transform of the type. */
	for (unsigned i = 0; i < (a_none ? b : a)->count; i++) {
		const struct transform *t = &(a_none ? b : a)->t[i];

		if ((a_none || b_none) && t->type == type && t->id == 0)
			return true;
	}
	return false;
}

/* NONE is the same as no transform of the type. */
static bool admits_none(const struct proposal *p, uint8_t type)
{
	const struct transform none = {.type = type};

	return proposal_count_type(p, type) == 0 || proposal_has(p, &none);
}

/*
 * Whether an earlier key exchange of the choice has this group: each method is done once (RFC 9370
 * 2.2.1).
 */
static bool is_done(const struct proposal_choice *c, uint16_t group)
{
	bool found = c->group == group;

	for (unsigned i = 0; i < ADDKE_MAX; i++)
		found |= c->addke[i] == group;
	return found;
}

/* Chooses one additional key exchange, or none, in our order; false: both would not be content. */
static bool choose_addke(const struct proposal *ours, const struct proposal *theirs, unsigned n,
			 bool allowed, struct proposal_choice *c)
{
	uint8_t type = (uint8_t)(TRANSFORM_ADDKE1 + n);
	bool none = admits_none(ours, type) && admits_none(theirs, type);

	for (unsigned i = 0; allowed && i < ours->count; i++) {
		const struct transform *t = &ours->t[i];

		if (t->type != type)
			continue;
		if (t->id == 0 && none)
			return true;
		if (t->id && proposal_has(theirs, t) && !is_done(c, t->id)) {
			c->addke[n] = t->id;
			return true;
		}
	}
	return none;
}

static uint64_t spi_number(const struct proposal *p)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < p->spi_len; i++)
		v = v << 8 | p->spi[i];
	return v;
}

static bool match(const struct proposal *ours, const struct proposal *theirs, bool with_ke,
		  bool with_addke, uint16_t want_group, struct proposal_choice *ret)
{
	struct transform encr, prf = {0}, integ, ke = {0}, esn = {0};
	struct proposal_choice c = {.number = theirs->number, .protocol = theirs->protocol};
	bool ike = ours->protocol == PROTOCOL_IKE;

	if (theirs->unknown || theirs->protocol != ours->protocol ||
	    !common(ours, theirs, TRANSFORM_ENCR, 0, &encr) ||
	    !common(ours, theirs, TRANSFORM_INTEG, 0, &integ))
		return false;
	if (ike && (!common(ours, theirs, TRANSFORM_PRF, 0, &prf) || prf.id == 0))
		return false;
	if (with_ke && !common(ours, theirs, TRANSFORM_KE, want_group, &ke))
		return false;
	if (!ike && !common(ours, theirs, TRANSFORM_ESN, 0, &esn))
		return false;
	if (with_ke && want_group && ke.id != want_group)
		return false;
	c.suite = suite_find(encr.id, encr.key_bits, integ.id);
	c.prf = prf.id;
	c.group = ke.id;
	c.esn = esn.id == ESN_YES;
	c.spi = spi_number(theirs);
	for (unsigned n = 0; with_ke && n < ADDKE_MAX; n++) {
		if (!choose_addke(ours, theirs, n, with_addke && c.group, &c))
			return false;
	}
	*ret = c;
	return c.suite != NULL;
}

/* Chooses the first of ours that any of theirs fits, and the first of theirs that fits it. */
static bool choose(const struct proposal_list *ours, const struct proposal_offer *theirs,
		   bool with_ke, uint16_t want, struct proposal_choice *ret)
{
	unsigned best = ours->count;
	struct proposal p;
	size_t at = 0;

	while (best > 0 && proposals_next(theirs, &at, &p)) {
		for (unsigned i = 0; i < best; i++) {
			if (match(&ours->p[i], &p, with_ke, !theirs->no_addke, want, ret))
				best = i;
		}
	}
	return best < ours->count;
}

bool proposals_choose(const struct proposal_list *ours, const struct proposal_offer *theirs,
		      bool with_ke, uint16_t ke_group, struct proposal_choice *ret)
{
	if (with_ke && ke_group && choose(ours, theirs, true, ke_group, ret))
		return true;
	return choose(ours, theirs, with_ke, 0, ret);
}

static void add_transform(struct proposal *p, uint8_t type, uint16_t id, uint16_t key_bits)
{
	if (id)
		p->t[p->count++] = (struct transform){.type = type, .id = id, .key_bits = key_bits};
}

bool proposals_admit(const struct proposal_list *ours, const struct proposal_choice *c)
{
	struct proposal p = {.protocol = c->protocol};
	struct proposal_choice again;

	add_transform(&p, TRANSFORM_ENCR, c->suite->encr, c->suite->key_bits);
	add_transform(&p, TRANSFORM_INTEG, c->suite->integ, 0);
	add_transform(&p, TRANSFORM_PRF, c->prf, 0);
	add_transform(&p, TRANSFORM_KE, c->group, 0);
	for (unsigned n = 0; n < ADDKE_MAX; n++)
		add_transform(&p, (uint8_t)(TRANSFORM_ADDKE1 + n), c->addke[n], 0);
	for (unsigned i = 0; i < ours->count; i++) {
		if (match(&ours->p[i], &p, true, true, 0, &again))
			return true;
	}
	return false;
}

uint16_t proposals_first_group(const struct proposal_list *l)
{
	for (unsigned i = 0; i < l->count; i++) {
		for (unsigned j = 0; j < l->p[i].count; j++) {
			const struct transform *t = &l->p[i].t[j];

			if (t->type == TRANSFORM_KE && kex_public_len(t->id) > 0)
				return t->id;
		}
	}
	return GROUP_NONE;
}

bool proposals_have_group(const struct proposal_list *l, uint16_t group)
{
	for (unsigned i = 0; i < l->count; i++) {
		for (unsigned j = 0; j < l->p[i].count; j++) {
			if (l->p[i].t[j].type == TRANSFORM_KE && l->p[i].t[j].id == group)
				return true;
		}
	}
	return false;
}

bool proposals_have_addke(const struct proposal_list *l)
{
	for (unsigned i = 0; i < l->count; i++) {
		for (unsigned j = 0; j < l->p[i].count; j++) {
			if (transform_is_addke(l->p[i].t[j].type) && l->p[i].t[j].id)
				return true;
		}
	}
	return false;
}

bool proposals_without_group(const struct proposal_list *l)
{
	for (unsigned i = 0; i < l->count; i++) {
		if (proposal_count_type(&l->p[i], TRANSFORM_KE) == 0)
			return true;
	}
	return false;
}

/* False: it has none. */
static bool keep_prf(struct proposal *p, uint16_t prf)
{
	const struct transform wanted = {.type = TRANSFORM_PRF, .id = prf};

	if (!proposal_has(p, &wanted))
		return false;
	proposal_remove_type(p, TRANSFORM_PRF);
	return proposal_add(p, wanted);
}

struct proposal_list proposals_with_prf(const struct proposal_list *l, uint16_t prf)
{
	struct proposal_list r = {.p = xreallocarray(NULL, l->count + 1u, sizeof(*r.p))};

	for (unsigned i = 0; i < l->count; i++) {
		r.p[r.count] = l->p[i];
		if (keep_prf(&r.p[r.count], prf))
			r.count++;
	}
	if (r.count == 0) {
		memcpy(r.p, l->p, l->count * sizeof(*r.p));
		r.count = l->count;
	}
	return r;
}

bool proposals_drop_esn(struct proposal_list *l)
{
	for (unsigned i = 0; i < l->count; i++) {
		struct proposal *p = &l->p[i];
		uint8_t kept = 0;

		for (unsigned k = 0; k < p->count; k++) {
			if (p->t[k].type != TRANSFORM_ESN || p->t[k].id != ESN_YES)
				p->t[kept++] = p->t[k];
		}
		p->count = kept;
		if (proposal_count_type(p, TRANSFORM_ESN) == 0)
			return false;
	}
	return true;
}
