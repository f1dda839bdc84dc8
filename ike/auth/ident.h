/* ident.h - identities (RFC 7296 3.5). SPDX-License-Identifier: ISC */
#ifndef MENDIP_IDENT_H
#define MENDIP_IDENT_H

#include "wire/ike_types.h"
#include "wire.h"

#define IDENT_MAX    512 /* bytes of data */
#define IDENT_STRLEN (IDENT_MAX * 3 + 16)

struct ident {
	uint8_t type; /* enum id_type; ID_NONE: any */
	/* "*..." or "CN=*" of the configuration; never set in an identity from a peer */
	bool pattern;
	uint16_t len;
	uint8_t data[IDENT_MAX];
};

/*
 * Reads an identity as swanctl.conf writes it: an address, a domain name (also with @ before it),
 * user@domain, "@#hex" for a key ID, "%any"; with "=" in it a distinguished name (auth/dn.h). As
 * patterns, a domain or user@domain may begin with "*", and a value in a distinguished name may be
 * "*". -EINVAL, with *ret unchanged: empty, longer than IDENT_MAX, malformed hex or distinguished
 * name, or a name with a space or control character.
 */
int ident_parse(const char *s, struct ident *ret) MUST_CHECK;
/*
 * Reads the identity in an ID payload (RFC 7296 3.5); it is never a pattern, whatever it looks
 * like. -EINVAL, with *ret unchanged: a type or length that we do not take, or a name with a space
 * or control character.
 */
int ident_from_wire(uint8_t type, struct chunk data, struct ident *ret) MUST_CHECK;
/*
 * Writes id as text into s, which has IDENT_STRLEN bytes, and returns s. Octets of a name that do
 * not print are written as '?'. What does not fit, of the longest distinguished names, is cut.
 */
const char *ident_format(const struct ident *id, char *s);
/*
 * Whether both are the same; names are compared without regard to case, distinguished names as
 * dn_match does. A pattern never equals a name.
 */
bool ident_eq(const struct ident *a, const struct ident *b);
/*
 * Makes the key of id for hash tables: two identities are equal, as ident_eq says, if all bytes of
 * their keys are. It is not an identity itself.
 */
void ident_key(const struct ident *id, struct ident *ret);
/*
 * How well id fits the pattern: 0 not at all, 1 for %any, more for a longer wildcard, most when
 * they are equal.
 */
unsigned ident_match(const struct ident *pattern, const struct ident *id);
/* Whether it is %any or has a "*" that stands for anything. */
bool ident_is_pattern(const struct ident *id);

#endif
