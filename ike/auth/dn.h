/*
 * dn.h - distinguished names: X.501 Names in DER, as in certificates and in ID_DER_ASN1_DN.
 * SPDX-License-Identifier: ISC
 *
 * The text form is that of swanctl.conf: "C=CH, O=Example, CN=gw", in the order of the certificate,
 * which is the reverse of RFC 4514; its escapes and "+" are those of RFC 4514.
 */
#ifndef MENDIP_DN_H
#define MENDIP_DN_H

#include "wire.h"

#define DN_MAX_PARTS 32 /* attributes in one name */

/*
 * Whether der is exactly one Name, with 1 to DN_MAX_PARTS attributes, and no control characters in
 * those that are text.
 */
bool dn_is_valid(struct chunk der);
/*
 * Writes the Name that the text stands for to w. A value of "*" is written as such. -EINVAL: not a
 * name, or w ran out of room.
 */
int dn_parse(const char *text, struct writer *w) MUST_CHECK;
/* Writes a valid name as text into s, of size bytes, cut where it does not fit. All of it prints.
 */
void dn_format(struct chunk der, char *s, size_t size);
/*
 * Compares two valid names attribute by attribute, in order. Text is compared without regard to
 * case, to which kind of string it is, and to how much space is between words (RFC 5280 7.1). 0:
 * they differ; otherwise 1 and the number of attributes compared. is_pattern: a value "*" in a fits
 * any value, and does not count.
 */
unsigned dn_match(struct chunk a, struct chunk b, bool is_pattern);
/*
 * Writes what is the same for valid names that dn_match finds to be equal, and different for all
 * others, to w. It is no longer than the name, and not a name itself.
 */
void dn_key(struct chunk der, struct writer *w);
/* Whether a valid name has a value that is "*". */
bool dn_has_wildcard(struct chunk der);

#endif
