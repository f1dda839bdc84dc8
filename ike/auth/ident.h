/* ident.h - identities (RFC 7296 3.5). SPDX-License-Identifier: ISC */
#ifndef MENDIP_IDENT_H
#define MENDIP_IDENT_H

#include "wire/ike_types.h"
#include "wire.h"

#define IDENT_MAX    256
#define IDENT_STRLEN (IDENT_MAX * 2 + 16)

struct ident {
	uint8_t type; /* enum id_type; ID_NONE: any */
	bool pattern; /* the configuration's "*...": never one that came from a peer */
	uint16_t len;
	uint8_t data[IDENT_MAX];
};

/*
 * Reads an identity as swanctl.conf writes it: an address, a domain name (also with @ before it),
 * user@domain,
 * "@#hex" for a key ID, "%any". A domain or user@domain may begin with "*" as a pattern.
 * -EINVAL when it is none of these or too long.
 */
int ident_parse(const char *s, struct ident *ret) MUST_CHECK;
/*
 * What a peer says of itself: never a pattern, whatever it looks like. -EINVAL for a type or length
 * that we do not take, and for a name with octets that no name has (RFC 7296 3.5).
 */
int ident_from_wire(uint8_t type, struct chunk data, struct ident *ret) MUST_CHECK;
/* s holds IDENT_STRLEN bytes; octets that do not print come as '?'. */
const char *ident_format(const struct ident *id, char *s);
/* The same name, whatever the case; a name and a pattern are never equal. */
bool ident_eq(const struct ident *a, const struct ident *b);
/* 0: id does not fit the pattern; otherwise how well: 1 for %any, more for wildcards, most for
 * equal. */
unsigned ident_match(const struct ident *pattern, const struct ident *id);
bool ident_is_pattern(const struct ident *id);

#endif
