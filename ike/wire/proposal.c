/* proposal.c - see proposal.h. SPDX-License-Identifier: ISC */
#include "wire/proposal.h"
#include "crypto/kex.h"

#include <stdio.h>

#define ATTR_KEY_LENGTH 0x800e /* TV format, type 14 */

static const struct word {
	const char *name;
	struct transform t;
} words[] = {
	{"aes128gcm16", {TRANSFORM_ENCR, ENCR_AES_GCM_16, 128}},
	{"aes192gcm16", {TRANSFORM_ENCR, ENCR_AES_GCM_16, 192}},
	{"aes256gcm16", {TRANSFORM_ENCR, ENCR_AES_GCM_16, 256}},
	{"aes128gcm128", {TRANSFORM_ENCR, ENCR_AES_GCM_16, 128}},
	{"aes256gcm128", {TRANSFORM_ENCR, ENCR_AES_GCM_16, 256}},
	{"chacha20poly1305", {TRANSFORM_ENCR, ENCR_CHACHA20_POLY1305, 0}},
	{"aes128", {TRANSFORM_ENCR, ENCR_AES_CBC, 128}},
	{"aes192", {TRANSFORM_ENCR, ENCR_AES_CBC, 192}},
	{"aes256", {TRANSFORM_ENCR, ENCR_AES_CBC, 256}},
	{"prfsha256", {TRANSFORM_PRF, PRF_HMAC_SHA2_256, 0}},
	{"prfsha384", {TRANSFORM_PRF, PRF_HMAC_SHA2_384, 0}},
	{"prfsha512", {TRANSFORM_PRF, PRF_HMAC_SHA2_512, 0}},
	{"sha256", {TRANSFORM_INTEG, INTEG_HMAC_SHA2_256_128, 0}},
	{"sha384", {TRANSFORM_INTEG, INTEG_HMAC_SHA2_384_192, 0}},
	{"sha512", {TRANSFORM_INTEG, INTEG_HMAC_SHA2_512_256, 0}},
	{"sha2_256", {TRANSFORM_INTEG, INTEG_HMAC_SHA2_256_128, 0}},
	{"sha2_384", {TRANSFORM_INTEG, INTEG_HMAC_SHA2_384_192, 0}},
	{"sha2_512", {TRANSFORM_INTEG, INTEG_HMAC_SHA2_512_256, 0}},
	{"modp2048", {TRANSFORM_KE, GROUP_MODP_2048, 0}},
	{"modp3072", {TRANSFORM_KE, GROUP_MODP_3072, 0}},
	{"modp4096", {TRANSFORM_KE, GROUP_MODP_4096, 0}},
	{"ecp256", {TRANSFORM_KE, GROUP_ECP_256, 0}},
	{"ecp384", {TRANSFORM_KE, GROUP_ECP_384, 0}},
	{"ecp521", {TRANSFORM_KE, GROUP_ECP_521, 0}},
	{"x25519", {TRANSFORM_KE, GROUP_X25519, 0}},
	{"curve25519", {TRANSFORM_KE, GROUP_X25519, 0}},
	{"esn", {TRANSFORM_ESN, ESN_YES, 0}},
	{"noesn", {TRANSFORM_ESN, ESN_NO, 0}},
};

static bool add(struct proposal *p, struct transform t)
{
	if (p->count == PROPOSAL_TRANSFORMS)
		return false;
	p->t[p->count++] = t;
	return true;
}

static unsigned count_type(const struct proposal *p, uint8_t type)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->count; i++)
		n += p->t[i].type == type;
	return n;
}

static bool is_combined(const struct transform *t)
{
	return t->id == ENCR_AES_GCM_16 || t->id == ENCR_CHACHA20_POLY1305;
}

/* swanctl: an integrity algorithm in an IKE proposal without a PRF names the PRF too. */
static void derive_prf(struct proposal *p)
{
	unsigned n = p->count;

	for (unsigned i = 0; i < n; i++) {
		uint16_t id = p->t[i].id;

		if (p->t[i].type != TRANSFORM_INTEG)
			continue;
		add(p, (struct transform){TRANSFORM_PRF,
					  id == INTEG_HMAC_SHA2_256_128	  ? PRF_HMAC_SHA2_256
					  : id == INTEG_HMAC_SHA2_384_192 ? PRF_HMAC_SHA2_384
									  : PRF_HMAC_SHA2_512,
					  0});
	}
}

/* What is wrong with a proposal, or NULL if it is complete. */
static const char *incomplete(const struct proposal *p)
{
	unsigned combined = 0, encr = count_type(p, TRANSFORM_ENCR);

	for (unsigned i = 0; i < p->count; i++)
		combined += p->t[i].type == TRANSFORM_ENCR && is_combined(&p->t[i]);
	if (encr == 0)
		return "names no encryption algorithm";
	if (combined != 0 && combined != encr)
		return "mixes AEAD and other ciphers: write two proposals";
	if (combined && count_type(p, TRANSFORM_INTEG))
		return "has an integrity algorithm beside an AEAD cipher: write prfsha... for the "
		       "PRF";
	if (!combined && !count_type(p, TRANSFORM_INTEG))
		return "needs an integrity algorithm, such as sha256";
	if (p->protocol == PROTOCOL_IKE && !count_type(p, TRANSFORM_PRF))
		return "needs a PRF, such as prfsha256";
	if (p->protocol == PROTOCOL_IKE && !count_type(p, TRANSFORM_KE))
		return "needs a key exchange, such as x25519";
	if (p->protocol == PROTOCOL_IKE && count_type(p, TRANSFORM_ESN))
		return "has esn, which is for ESP";
	if (p->protocol == PROTOCOL_ESP && count_type(p, TRANSFORM_PRF))
		return "has a PRF, which is for IKE";
	return NULL;
}

int proposal_parse_text(const char *s, uint8_t protocol, struct proposal *ret, char *err)
{
	struct proposal p = {.protocol = protocol};
	const char *why;

	while (*s) {
		size_t len = strcspn(s, "-");
		const struct word *w = NULL;

		for (size_t i = 0; i < ARRAY_SIZE(words) && !w; i++) {
			if (strlen(words[i].name) == len && memcmp(words[i].name, s, len) == 0)
				w = &words[i];
		}
		if (!w || !add(&p, w->t)) {
			snprintf(err, 128, "\"%.*s\" is not an algorithm that Mendip supports",
				 (int)(len > 40 ? 40 : len), s);
			return -EINVAL;
		}
		s += len;
		if (*s == '-')
			s++;
	}
	if (protocol == PROTOCOL_IKE && !count_type(&p, TRANSFORM_PRF))
		derive_prf(&p);
	if (protocol == PROTOCOL_ESP && !count_type(&p, TRANSFORM_ESN))
		add(&p, (struct transform){TRANSFORM_ESN, ESN_NO, 0});
	why = incomplete(&p);
	if (why) {
		snprintf(err, 128, "the proposal %s", why);
		return -EINVAL;
	}
	*ret = p;
	return 0;
}

static const char *word_of(const struct transform *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const struct transform *w = &words[i].t;

		if (w->type == t->type && w->id == t->id && w->key_bits == t->key_bits)
			return words[i].name;
	}
	return "?";
}

const char *proposal_format(const struct proposal *p, char *s, size_t size)
{
	size_t at = 0;

	if (size)
		*s = '\0';
	for (unsigned i = 0; i < p->count && at < size; i++) {
		int n = snprintf(s + at, size - at, "%s%s", i ? "-" : "", word_of(&p->t[i]));

		at += n > 0 ? (size_t)n : 0;
	}
	return s;
}

const char *choice_format(const struct proposal_choice *c, char *s, size_t size)
{
	const struct transform prf = {TRANSFORM_PRF, c->prf, 0};
	const char *group = c->group ? kex_name(c->group) : NULL;

	snprintf(s, size, "%s%s%s%s%s%s", c->suite ? c->suite->name : "?", c->prf ? "-" : "",
		 c->prf ? word_of(&prf) : "", group ? "-" : "", group ? group : "",
		 c->protocol == PROTOCOL_ESP ? (c->esn ? "-esn" : "-noesn") : "");
	return s;
}

/* Reads the attributes of a transform; *unknown is set by any but the key length. */
static void parse_attributes(struct reader *r, struct transform *t, bool *unknown)
{
	while (!r->bad && r->left) {
		uint16_t type = rd_be16(r), value = rd_be16(r);

		if (type == ATTR_KEY_LENGTH) {
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
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const struct transform *w = &words[i].t;

		if (w->type == t->type && w->id == t->id && w->key_bits == t->key_bits)
			return true;
	}
	return false;
}

static bool has_transform(const struct proposal *p, const struct transform *t)
{
	for (unsigned i = 0; i < p->count; i++) {
		if (p->t[i].type == t->type && p->t[i].id == t->id &&
		    p->t[i].key_bits == t->key_bits)
			return true;
	}
	return false;
}

/*
 * A proposal being read, the types of its transforms that we do not know, and those of them that
 * may be NONE.
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
	if (t.type < TRANSFORM_ENCR || t.type > TRANSFORM_ESN) {
		set_type(read->foreign, t.type);
		if (t.id == 0)
			set_type(read->optional, t.type);
		return 0;
	}
	/* A transform that we do not know is not chosen (RFC 7296 3.3.6). */
	if (!unknown && is_known(&t) && !has_transform(read->p, &t))
		add(read->p, t);
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
		wr_be16(w, ATTR_KEY_LENGTH);
		wr_be16(w, t->key_bits);
	}
}

static void write_proposal(struct writer *w, const struct proposal *p, uint8_t number,
			   struct chunk spi, bool with_ke, bool last)
{
	size_t start = w->len;
	unsigned n = p->count - (with_ke ? 0 : count_type(p, TRANSFORM_KE)), done = 0;

	wr_u8(w, last ? 0 : 2);
	wr_u8(w, 0);
	wr_be16(w, 0);
	wr_u8(w, number);
	wr_u8(w, p->protocol);
	wr_u8(w, (uint8_t)spi.len);
	wr_u8(w, (uint8_t)n);
	wr_bytes(w, spi.p, spi.len);
	for (unsigned i = 0; i < p->count; i++) {
		if (with_ke || p->t[i].type != TRANSFORM_KE)
			write_transform(w, &p->t[i], ++done == n);
	}
	wr_patch_len16(w, start + 2, start);
}

/* Whether they have the same algorithms, apart from key exchanges. */
static bool same_without_kex(const struct proposal *a, const struct proposal *b)
{
	for (unsigned i = 0; i < a->count; i++) {
		if (a->t[i].type != TRANSFORM_KE && !has_transform(b, &a->t[i]))
			return false;
	}
	return a->count - count_type(a, TRANSFORM_KE) == b->count - count_type(b, TRANSFORM_KE);
}

/*
 * Whether the offer contains the i-th proposal; with PROPOSAL_KEX_CUT not if it repeats an earlier
 * one.
 */
static bool is_offered(const struct proposal_list *l, unsigned i, enum proposal_kex kex)
{
	if (kex == PROPOSAL_KEX_NONE)
		return count_type(&l->p[i], TRANSFORM_KE) == 0;
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
		if (is_offered(l, i, kex))
			last = i;
	}
	ib_open(b, PAYLOAD_SA);
	for (unsigned i = 0; i < l->count; i++) {
		if (is_offered(l, i, kex))
			write_proposal(&b->w, &l->p[i], ++number, spi, kex == PROPOSAL_KEX,
				       i == last);
	}
	ib_close(b);
}

void choice_write(struct ike_builder *b, const struct proposal_choice *c, struct chunk spi)
{
	struct proposal p = {.protocol = c->protocol};

	add(&p, (struct transform){TRANSFORM_ENCR, c->suite->encr, c->suite->key_bits});
	if (c->protocol == PROTOCOL_IKE)
		add(&p, (struct transform){TRANSFORM_PRF, c->prf, 0});
	if (c->suite->integ)
		add(&p, (struct transform){TRANSFORM_INTEG, c->suite->integ, 0});
	if (c->group)
		add(&p, (struct transform){TRANSFORM_KE, c->group, 0});
	if (c->protocol == PROTOCOL_ESP)
		add(&p, (struct transform){TRANSFORM_ESN, c->esn, 0});
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
	bool a_none = count_type(a, type) == 0, b_none = count_type(b, type) == 0;

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

static uint64_t spi_number(const struct proposal *p)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < p->spi_len; i++)
		v = v << 8 | p->spi[i];
	return v;
}

static bool match(const struct proposal *ours, const struct proposal *theirs, bool with_ke,
		  uint16_t want_group, struct proposal_choice *ret)
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
			if (match(&ours->p[i], &p, with_ke, want, ret))
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
	for (unsigned i = 0; i < ours->count; i++) {
		if (match(&ours->p[i], &p, true, 0, &again))
			return true;
	}
	return false;
}

uint16_t proposals_first_group(const struct proposal_list *l)
{
	for (unsigned i = 0; i < l->count; i++) {
		for (unsigned j = 0; j < l->p[i].count; j++) {
			if (l->p[i].t[j].type == TRANSFORM_KE)
				return l->p[i].t[j].id;
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

bool proposals_without_group(const struct proposal_list *l)
{
	for (unsigned i = 0; i < l->count; i++) {
		if (count_type(&l->p[i], TRANSFORM_KE) == 0)
			return true;
	}
	return false;
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
		if (count_type(p, TRANSFORM_ESN) == 0)
			return false;
	}
	return true;
}
