/* dn.c - see dn.h. SPDX-License-Identifier: ISC */
#include "auth/dn.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

enum tag {
	TAG_OID = 0x06,
	TAG_UTF8 = 0x0c,
	TAG_PRINTABLE = 0x13,
	TAG_T61 = 0x14,
	TAG_IA5 = 0x16,
	TAG_SEQUENCE = 0x30,
	TAG_SET = 0x31,
};

#define OID_MAX	 16  /* bytes */
#define PART_MAX 512 /* bytes of the text of one value */

/* The first name of an OID is the one that is written. */
static const struct attribute {
	const char *name, *oid;
	uint8_t oid_len;
	uint8_t tag; /* of values that are given as text */
} attributes[] = {
	{"CN", "\x55\x04\x03", 3, TAG_UTF8},
	{"surname", "\x55\x04\x04", 3, TAG_UTF8},
	{"serialNumber", "\x55\x04\x05", 3, TAG_PRINTABLE},
	{"C", "\x55\x04\x06", 3, TAG_PRINTABLE},
	{"L", "\x55\x04\x07", 3, TAG_UTF8},
	{"ST", "\x55\x04\x08", 3, TAG_UTF8},
	{"street", "\x55\x04\x09", 3, TAG_UTF8},
	{"O", "\x55\x04\x0a", 3, TAG_UTF8},
	{"OU", "\x55\x04\x0b", 3, TAG_UTF8},
	{"title", "\x55\x04\x0c", 3, TAG_UTF8},
	{"description", "\x55\x04\x0d", 3, TAG_UTF8},
	{"postalCode", "\x55\x04\x11", 3, TAG_UTF8},
	{"name", "\x55\x04\x29", 3, TAG_UTF8},
	{"givenName", "\x55\x04\x2a", 3, TAG_UTF8},
	{"initials", "\x55\x04\x2b", 3, TAG_UTF8},
	{"dnQualifier", "\x55\x04\x2e", 3, TAG_PRINTABLE},
	{"emailAddress", "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01", 9, TAG_IA5},
	{"E", "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01", 9, TAG_IA5},
	{"UID", "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01", 10, TAG_UTF8},
	{"DC", "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19", 10, TAG_IA5},
};

/* One attribute of a name. */
struct part {
	unsigned rdn; /* the number of its RelativeDistinguishedName, which may have several */
	struct chunk oid;
	uint8_t tag;
	struct chunk value;
};

/* ---- DER ---- */

/* The next element of any tag, in the shortest form (X.690 10.1); r is bad if it is malformed. */
static struct chunk next_any(struct reader *r, uint8_t *ret_tag)
{
	uint8_t tag = rd_u8(r), first = rd_u8(r);
	struct chunk c = {.len = first};

	if (first == 0x81) {
		c.len = rd_u8(r);
		r->bad |= c.len < 0x80;
	} else if (first == 0x82) {
		c.len = rd_be16(r);
		r->bad |= c.len < 0x100;
	} else if (first >= 0x80) {
		r->bad = true;
	}
	r->bad |= (tag & 0x1f) == 0x1f; /* a tag of several bytes */
	c.p = rd_bytes(r, r->bad ? 0 : c.len);
	*ret_tag = tag;
	return r->bad ? (struct chunk){0} : c;
}

static struct reader next_of(struct reader *r, enum tag tag)
{
	struct reader part;
	uint8_t is;
	struct chunk c = next_any(r, &is);

	r->bad |= is != tag;
	rd_init(&part, c.p, r->bad ? 0 : c.len);
	part.bad = r->bad;
	return part;
}

/* Walks over the attributes of a name. */
struct walk {
	struct reader name, set;
	unsigned rdn;
	bool bad;
};

static void walk_begin(struct walk *w, struct chunk der)
{
	struct reader all;

	*w = (struct walk){0};
	rd_init(&all, der.p, der.len);
	w->name = next_of(&all, TAG_SEQUENCE);
	w->bad = !rd_done(&all);
	rd_init(&w->set, NULL, 0);
}

static bool walk_next(struct walk *w, struct part *ret)
{
	struct reader pair;
	uint8_t tag;

	if (w->bad || (w->set.left == 0 && w->name.left == 0))
		return false;
	if (w->set.left == 0) {
		w->set = next_of(&w->name, TAG_SET);
		w->rdn++;
	}
	pair = next_of(&w->set, TAG_SEQUENCE);
	ret->rdn = w->rdn;
	ret->oid = next_any(&pair, &tag);
	ret->value = next_any(&pair, &ret->tag);
	w->bad = w->name.bad || w->set.bad || !rd_done(&pair) || tag != TAG_OID ||
		 ret->oid.len == 0 || ret->oid.len > OID_MAX;
	return !w->bad;
}

static bool is_text(const struct part *p)
{
	return p->tag == TAG_UTF8 || p->tag == TAG_PRINTABLE || p->tag == TAG_IA5 ||
	       p->tag == TAG_T61;
}

static bool has_controls(const struct part *p)
{
	for (size_t i = 0; i < p->value.len; i++) {
		if (p->value.p[i] < ' ' || p->value.p[i] == 0x7f)
			return true;
	}
	return false;
}

static bool oid_is_valid(struct chunk oid)
{
	unsigned digits = 0;

	/* Each number is in base 128, of at most 28 bits here, and without leading zeros. */
	for (size_t i = 0; i < oid.len; i++) {
		if (digits == 0 && oid.p[i] == 0x80)
			return false;
		digits = oid.p[i] & 0x80 ? digits + 1 : 0;
		if (digits == 4)
			return false;
	}
	return digits == 0;
}

bool dn_is_valid(struct chunk der)
{
	unsigned count = 0;
	struct part p;
	struct walk w;

	walk_begin(&w, der);
	while (walk_next(&w, &p)) {
		if (++count > DN_MAX_PARTS || !oid_is_valid(p.oid) ||
		    (is_text(&p) && (p.value.len == 0 || has_controls(&p))))
			return false;
	}
	return !w.bad && count > 0;
}

/* ---- comparison ---- */

/* The next character, with capitals made small and spaces made one; -1 at the end. */
static int next_char(struct reader *r, bool *in_space)
{
	while (r->left && *r->p == ' ' && *in_space)
		rd_u8(r);
	if (!r->left)
		return -1;
	*in_space = *r->p == ' ';
	return tolower(rd_u8(r));
}

/* Spaces at the end do not count. */
static struct reader trimmed(struct chunk c)
{
	struct reader r;

	while (c.len && c.p[c.len - 1] == ' ')
		c.len--;
	rd_init(&r, c.p, c.len);
	return r;
}

static bool same_text(struct chunk a, struct chunk b)
{
	struct reader x = trimmed(a), y = trimmed(b);
	bool x_space = true, y_space = true; /* those at the beginning do not count */
	int c;

	do {
		c = next_char(&x, &x_space);
		if (c != next_char(&y, &y_space))
			return false;
	} while (c >= 0);
	return true;
}

static bool same_bytes(struct chunk a, struct chunk b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static bool same_value(const struct part *a, const struct part *b)
{
	if (is_text(a) && is_text(b))
		return same_text(a->value, b->value);
	return a->tag == b->tag && same_bytes(a->value, b->value);
}

static bool is_wildcard(const struct part *p)
{
	return is_text(p) && p->value.len == 1 && *p->value.p == '*';
}

unsigned dn_match(struct chunk a, struct chunk b, bool is_pattern)
{
	unsigned count = 1;
	struct walk x, y;
	struct part p, q;

	walk_begin(&x, a);
	walk_begin(&y, b);
	while (walk_next(&x, &p)) {
		bool any = is_pattern && is_wildcard(&p);

		if (!walk_next(&y, &q) || p.rdn != q.rdn || !same_bytes(p.oid, q.oid) ||
		    (!any && !same_value(&p, &q)))
			return 0;
		count += !any;
	}
	return walk_next(&y, &q) || x.bad || y.bad ? 0 : count;
}

/* Text as same_text compares it: small letters, and single spaces between words. */
static void put_folded(struct writer *w, struct chunk value)
{
	struct reader r = trimmed(value);
	bool in_space = true;
	uint8_t *len = w->base + w->len;
	int c;

	wr_be16(w, 0);
	while ((c = next_char(&r, &in_space)) >= 0)
		wr_u8(w, (uint8_t)c);
	if (!w->bad)
		put_be16(len, (uint16_t)(w->base + w->len - len - 2));
}

void dn_key(struct chunk der, struct writer *w)
{
	unsigned rdn = 0;
	struct walk walk;
	struct part p;

	walk_begin(&walk, der);
	while (walk_next(&walk, &p)) {
		wr_u8(w, p.rdn != rdn);
		rdn = p.rdn;
		wr_u8(w, (uint8_t)p.oid.len);
		wr_bytes(w, p.oid.p, p.oid.len);
		wr_u8(w, is_text(&p) ? 0 : p.tag);
		if (is_text(&p)) {
			put_folded(w, p.value);
		} else {
			wr_be16(w, (uint16_t)p.value.len);
			wr_bytes(w, p.value.p, p.value.len);
		}
	}
}

bool dn_has_wildcard(struct chunk der)
{
	struct walk w;
	struct part p;

	walk_begin(&w, der);
	while (walk_next(&w, &p)) {
		if (is_wildcard(&p))
			return true;
	}
	return false;
}

/* ---- as text ---- */

static const struct attribute *attribute_of(struct chunk oid)
{
	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
		const struct attribute *a = &attributes[i];

		if (a->oid_len == oid.len && memcmp(a->oid, oid.p, oid.len) == 0)
			return a;
	}
	return NULL;
}

static void put(struct writer *w, const char *text)
{
	wr_bytes(w, text, strlen(text));
}

static void put_oid(struct writer *w, struct chunk oid)
{
	unsigned v = 0, first;
	bool begins = true;
	char text[32];

	for (size_t i = 0; i < oid.len; i++) {
		v = v << 7 | (oid.p[i] & 0x7f);
		if (oid.p[i] & 0x80)
			continue;
		first = v < 80 ? v / 40 : 2;
		if (begins)
			snprintf(text, sizeof(text), "%u.%u", first, v - first * 40);
		else
			snprintf(text, sizeof(text), ".%u", v);
		put(w, text);
		begins = false;
		v = 0;
	}
}

/* Characters that mean something in the text form (RFC 4514 2.4). */
static bool is_special(const struct part *p, size_t i)
{
	uint8_t c = p->value.p[i];

	return strchr("\"+,;<>\\=/", c) || (c == '#' && i == 0) ||
	       (c == ' ' && (i == 0 || i == p->value.len - 1));
}

static void put_value(struct writer *w, const struct part *p)
{
	char text[8];

	if (!is_text(p)) {
		snprintf(text, sizeof(text), "#%02x", p->tag);
		put(w, text);
		/* The length as it was: this is the shortest form. */
		if (p->value.len >= 0x80)
			put(w, p->value.len < 0x100 ? "81" : "82");
		snprintf(text, sizeof(text), p->value.len < 0x100 ? "%02x" : "%04x",
			 (unsigned)p->value.len & 0xffff);
		put(w, text);
	}
	for (size_t i = 0; i < p->value.len; i++) {
		uint8_t c = p->value.p[i];

		if (!is_text(p))
			snprintf(text, sizeof(text), "%02x", c);
		else if (c < ' ' || c >= 0x7f)
			snprintf(text, sizeof(text), "\\%02X", c);
		else
			snprintf(text, sizeof(text), is_special(p, i) ? "\\%c" : "%c", c);
		put(w, text);
	}
}

void dn_format(struct chunk der, char *s, size_t size)
{
	const struct attribute *a;
	unsigned last = 0;
	struct writer w;
	struct walk walk;
	struct part p;

	wr_init(&w, s, size - 1);
	walk_begin(&walk, der);
	while (walk_next(&walk, &p)) {
		put(&w, last == 0 ? "" : p.rdn == last ? "+" : ", ");
		a = attribute_of(p.oid);
		if (a)
			put(&w, a->name);
		else
			put_oid(&w, p.oid);
		put(&w, "=");
		put_value(&w, &p);
		last = p.rdn;
	}
	s[w.len] = '\0';
}

/* ---- from text ---- */

struct text {
	const char *at;
};

static void skip_spaces(struct text *t)
{
	while (*t->at == ' ')
		t->at++;
}

/* An OID in numbers; its length, or 0. */
static size_t parse_oid(const char *s, size_t len, uint8_t *out)
{
	unsigned long v, first = 0;
	unsigned count = 0;
	size_t n = 0;
	char *end;

	while (len && isdigit((unsigned char)*s)) {
		v = strtoul(s, &end, 10);
		if (v >= 1ul << 28 || (size_t)(end - s) > len)
			return 0;
		len -= (size_t)(end - s);
		s = end;
		if (count++ == 0) {
			first = v;
		} else {
			if (count == 2)
				v += first * 40;
			if (first > 2 || n + 4 > OID_MAX || v >= 1ul << 28)
				return 0;
			for (int shift = 21; shift > 0; shift -= 7) {
				if (v >> shift)
					out[n++] = (uint8_t)(0x80 | (v >> shift & 0x7f));
			}
			out[n++] = (uint8_t)(v & 0x7f);
		}
		if (len && *s == '.') {
			s++;
			len--;
		}
	}
	return len == 0 && count > 1 ? n : 0;
}

/* The type of an attribute and the "=" behind it; its length, or 0. *ret_tag: of its values. */
static size_t parse_type(struct text *t, uint8_t *out, uint8_t *ret_tag)
{
	const char *start, *end;
	size_t len;

	skip_spaces(t);
	start = t->at;
	len = strcspn(start, "= ,+");
	end = start + len;
	t->at = end;
	skip_spaces(t);
	if (*t->at++ != '=')
		return 0;
	*ret_tag = TAG_UTF8;
	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
		const struct attribute *a = &attributes[i];

		if (strlen(a->name) == len && strncasecmp(a->name, start, len) == 0) {
			*ret_tag = a->tag;
			memcpy(out, a->oid, a->oid_len);
			return a->oid_len;
		}
	}
	return parse_oid(start, len, out);
}

static bool is_hex_pair(const char *s)
{
	return hex_digit(s[0]) >= 0 && hex_digit(s[1]) >= 0;
}

/* "#" and the DER of a value in hexadecimal. */
static size_t parse_hex_value(struct text *t, uint8_t *out)
{
	size_t n = 0;

	t->at++;
	while (is_hex_pair(t->at) && n < PART_MAX) {
		out[n++] = (uint8_t)(hex_digit(t->at[0]) << 4 | hex_digit(t->at[1]));
		t->at += 2;
	}
	skip_spaces(t);
	return n;
}

/* The text up to the next "," or "+", without escapes and spaces around it; its length. */
static size_t parse_text_value(struct text *t, uint8_t *out)
{
	size_t n = 0, kept = 0; /* bytes without spaces behind them */

	while (*t->at && !strchr(",+", *t->at) && n < PART_MAX) {
		bool escaped = *t->at == '\\';

		if (escaped && is_hex_pair(t->at + 1)) {
			out[n++] = (uint8_t)(hex_digit(t->at[1]) << 4 | hex_digit(t->at[2]));
			t->at += 3;
		} else if (escaped && t->at[1]) {
			out[n++] = (uint8_t)t->at[1];
			t->at += 2;
		} else {
			out[n++] = (uint8_t)*t->at++;
		}
		if (escaped || out[n - 1] != ' ')
			kept = n;
	}
	return kept;
}

/* Writes tag, length in the shortest form, and content. */
static void put_tlv(struct writer *w, uint8_t tag, const void *p, size_t len)
{
	wr_u8(w, tag);
	if (len >= 0x80)
		wr_u8(w, len < 0x100 ? 0x81 : 0x82);
	if (len < 0x100)
		wr_u8(w, (uint8_t)len);
	else
		wr_be16(w, (uint16_t)len);
	wr_bytes(w, p, len);
}

#define NAME_MAX_LEN (2 * PART_MAX)

/* One "TYPE=VALUE", as SEQUENCE, to w. */
static int parse_pair(struct text *t, struct writer *w)
{
	uint8_t oid[OID_MAX], value[PART_MAX], both[PART_MAX + OID_MAX + 8], tag;
	size_t oid_len = parse_type(t, oid, &tag), len;
	struct writer pair;

	if (oid_len == 0)
		return -EINVAL;
	wr_init(&pair, both, sizeof(both));
	put_tlv(&pair, TAG_OID, oid, oid_len);
	skip_spaces(t);
	if (*t->at == '#') {
		len = parse_hex_value(t, value);
		wr_bytes(&pair, value, len);
	} else {
		len = parse_text_value(t, value);
		put_tlv(&pair, tag, value, len);
	}
	if (len == 0 || pair.bad || (*t->at && !strchr(",+", *t->at)))
		return -EINVAL;
	put_tlv(w, TAG_SEQUENCE, both, pair.len);
	return 0;
}

int dn_parse(const char *text, struct writer *w)
{
	uint8_t rdns[NAME_MAX_LEN], pairs[NAME_MAX_LEN];
	struct writer name, set;
	struct text t = {.at = text};
	size_t from = w->len;

	wr_init(&name, rdns, sizeof(rdns));
	do {
		wr_init(&set, pairs, sizeof(pairs));
		do {
			t.at += set.len > 0; /* the "+" */
			if (parse_pair(&t, &set) < 0)
				return -EINVAL;
		} while (*t.at == '+');
		put_tlv(&name, TAG_SET, pairs, set.len);
		if (set.bad)
			return -EINVAL;
	} while (*t.at++ == ',');
	if (name.bad)
		return -EINVAL;
	put_tlv(w, TAG_SEQUENCE, rdns, name.len);
	if (w->bad || !dn_is_valid((struct chunk){w->base + from, w->len - from}))
		return -EINVAL;
	return 0;
}
