/* ident.c - see ident.h. SPDX-License-Identifier: ISC */
#include "auth/ident.h"
#include "auth/dn.h"
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

static struct chunk bytes_of(const struct ident *id)
{
	return (struct chunk){id->data, id->len};
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

/* "MUST NOT contain any terminators" (RFC 7296 3.5): a NUL would hide what follows it. */
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

static int parse_dn(const char *s, struct ident *id)
{
	struct writer w;

	wr_init(&w, id->data, IDENT_MAX);
	if (dn_parse(s, &w) < 0)
		return -EINVAL;
	id->type = ID_DN;
	id->len = (uint16_t)w.len;
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
	else if (strchr(s, '='))
		r = parse_dn(s, &id);
	else
		r = set(&id, strchr(s, '@') ? ID_RFC822 : ID_FQDN, s, strlen(s));
	if (r < 0 || (is_name(&id) && has_controls(&id)))
		return -EINVAL;
	id.pattern = (is_name(&id) && id.data[0] == '*') ||
		     (id.type == ID_DN && dn_has_wildcard(bytes_of(&id)));
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
	case ID_DN:
		if (!dn_is_valid(data))
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
	case ID_DN: dn_format(bytes_of(id), s, IDENT_STRLEN); return s;
	default:
		for (unsigned i = 0; i < id->len; i++)
			s[at++] = isprint(id->data[i]) ? (char)id->data[i] : '?';
		s[at] = '\0';
		return s;
	}
}

/* Names contain no NUL: see has_controls. */
static bool same_name(const uint8_t *a, const uint8_t *b, size_t len)
{
	return strncasecmp((const char *)a, (const char *)b, len) == 0;
}

bool ident_eq(const struct ident *a, const struct ident *b)
{
	if (a->type == ID_DN && b->type == ID_DN)
		return a->pattern == b->pattern && dn_match(bytes_of(a), bytes_of(b), false);
	return a->type == b->type && a->len == b->len && a->pattern == b->pattern &&
	       (is_name(a) ? same_name(a->data, b->data, a->len)
			   : memcmp(a->data, b->data, a->len) == 0);
}

void ident_key(const struct ident *id, struct ident *ret)
{
	struct writer w;

	*ret = (struct ident){.type = id->type, .pattern = id->pattern, .len = id->len};
	if (id->type == ID_DN) {
		wr_init(&w, ret->data, sizeof(ret->data));
		dn_key(bytes_of(id), &w);
		ret->len = (uint16_t)w.len;
		return;
	}
	for (unsigned i = 0; i < id->len; i++)
		ret->data[i] = is_name(id) ? (uint8_t)tolower(id->data[i]) : id->data[i];
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
	if (id->type == ID_DN) {
		unsigned same = dn_match(bytes_of(pattern), bytes_of(id), true);

		return same ? 1 + same : 0;
	}
	tail = pattern->len - 1u;
	if (id->len < tail || !same_name(pattern->data + 1, id->data + id->len - tail, tail))
		return 0;
	return 2 + (unsigned)tail;
}
