/* ident.c - see ident.h. SPDX-License-Identifier: ISC */
#include "auth/ident.h"
#include "addr.h"
#include "xalloc.h"
#include "crypto/hash.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

static bool is_name(const struct ident *id)
{
	return id->type == ID_FQDN || id->type == ID_RFC822;
}

static int set(struct ident *id, uint8_t type, const void *p, size_t len)
{
	if (len == 0 || len > IDENT_MAX)
		return -EINVAL;
	id->type = type;
	id->len = (uint16_t)len;
	memcpy(id->data, p, len);
	return 0;
}

/* "MUST NOT contain any terminators" (RFC 7296 3.5); what follows a NUL would not be seen. */
static bool has_controls(const struct ident *id)
{
	for (unsigned i = 0; i < id->len; i++) {
		if (id->data[i] <= ' ' || id->data[i] == 0x7f)
			return true;
	}
	return false;
}

static int parse_hex(const char *s, struct ident *id)
{
	size_t len = strlen(s);

	if (len == 0 || len % 2 || len / 2 > IDENT_MAX)
		return -EINVAL;
	for (size_t i = 0; i < len; i += 2) {
		int hi = hex_digit(s[i]), lo = hex_digit(s[i + 1]);

		if (hi < 0 || lo < 0)
			return -EINVAL;
		id->data[i / 2] = (uint8_t)(hi << 4 | lo);
	}
	id->type = ID_KEY_ID;
	id->len = (uint16_t)(len / 2);
	return 0;
}

int ident_parse(const char *s, struct ident *ret)
{
	struct ident id = {0};
	struct addr a;
	int r;

	if (strcmp(s, "%any") == 0)
		r = 0;
	else if (strncmp(s, "@#", 2) == 0)
		r = parse_hex(s + 2, &id);
	else if (addr_parse(s, &a) == 0)
		r = set(&id, a.family == FAMILY_IPV4 ? ID_IPV4 : ID_IPV6, a.b, addr_len(a.family));
	else if (*s == '@')
		r = set(&id, ID_FQDN, s + 1, strlen(s + 1));
	else
		r = set(&id, strchr(s, '@') ? ID_RFC822 : ID_FQDN, s, strlen(s));
	if (r < 0 || (is_name(&id) && has_controls(&id)))
		return -EINVAL;
	id.pattern = is_name(&id) && id.data[0] == '*';
	*ret = id;
	return 0;
}

int ident_from_wire(uint8_t type, struct chunk data, struct ident *ret)
{
	struct ident id = {0};

	switch (type) {
	case ID_IPV4:
		if (data.len != 4)
			return -EINVAL;
		break;
	case ID_IPV6:
		if (data.len != 16)
			return -EINVAL;
		break;
	case ID_FQDN:
	case ID_RFC822:
	case ID_KEY_ID: break;
	default: return -EINVAL;
	}
	if (set(&id, type, data.p, data.len) < 0 || (is_name(&id) && has_controls(&id)))
		return -EINVAL;
	*ret = id;
	return 0;
}

const char *ident_format(const struct ident *id, char *s)
{
	struct addr a;
	size_t at = 0;

	switch (id->type) {
	case ID_IPV4:
	case ID_IPV6:
		a = addr_from_bytes(id->type == ID_IPV4 ? FAMILY_IPV4 : FAMILY_IPV6, id->data);
		return addr_format(&a, s);
	case ID_KEY_ID:
		at = (size_t)snprintf(s, IDENT_STRLEN, "@#");
		for (unsigned i = 0; i < id->len; i++)
			at += (size_t)snprintf(s + at, IDENT_STRLEN - at, "%02x", id->data[i]);
		return s;
	case ID_NONE: return strcpy(s, "%any");
	default:
		for (unsigned i = 0; i < id->len; i++)
			s[at++] = isprint(id->data[i]) ? (char)id->data[i] : '?';
		s[at] = '\0';
		return s;
	}
}

/* Names hold no NUL: see ident_from_wire. */
static bool same_name(const uint8_t *a, const uint8_t *b, size_t len)
{
	return strncasecmp((const char *)a, (const char *)b, len) == 0;
}

bool ident_eq(const struct ident *a, const struct ident *b)
{
	return a->type == b->type && a->len == b->len && a->pattern == b->pattern &&
	       (is_name(a) ? same_name(a->data, b->data, a->len)
			   : memcmp(a->data, b->data, a->len) == 0);
}

bool ident_is_pattern(const struct ident *id)
{
	return id->type == ID_NONE || id->pattern;
}

unsigned ident_match(const struct ident *pattern, const struct ident *id)
{
	size_t tail;

	if (pattern->type == ID_NONE)
		return 1;
	if (ident_eq(pattern, id))
		return 1000;
	if (!pattern->pattern || pattern->type != id->type)
		return 0;
	tail = pattern->len - 1u;
	if (id->len < tail || !same_name(pattern->data + 1, id->data + id->len - tail, tail))
		return 0;
	return 2 + (unsigned)tail;
}

/* How well the key is for this identity; of a peer that is not known yet only the pattern is. */
static unsigned best_id(const struct psk *k, const struct ident *id)
{
	unsigned best = 0;

	for (unsigned i = 0; i < k->id_count; i++) {
		unsigned m = ident_match(&k->ids[i], id);

		if (m == 0 && ident_is_pattern(id))
			m = ident_match(id, &k->ids[i]) != 0;

		best = m > best ? m : best;
	}
	return best;
}

const struct psk *psk_find(const struct psk_store *s, const struct ident *local,
			   const struct ident *remote)
{
	const struct psk *best = NULL;
	unsigned best_score = 0;

	for (unsigned i = 0; i < s->count; i++) {
		const struct psk *k = &s->v[i];
		/* Who the peer is decides; our own name only among keys that fit it equally well.
		 */
		unsigned fit = best_id(k, remote);
		unsigned score = k->id_count == 0 ? 1 : fit ? fit * 2048 + best_id(k, local) : 0;

		if (score > best_score) {
			best_score = score;
			best = k;
		}
	}
	return best;
}

bool psk_same(const struct psk *a, const struct psk *b)
{
	return a && b ? a->len == b->len && crypto_equal(a->secret, b->secret, a->len) : a == b;
}

struct psk_store *psk_store_new(void)
{
	struct psk_store *s = xzalloc(sizeof(*s));

	s->refs = 1;
	return s;
}

struct psk_store *psk_store_ref(struct psk_store *s)
{
	s->refs++;
	return s;
}

void psk_store_unref(struct psk_store *s)
{
	if (!s || --s->refs > 0)
		return;
	for (unsigned i = 0; i < s->count; i++)
		secret_free(s->v[i].secret, s->v[i].len);
	free(s->v);
	free(s);
}
