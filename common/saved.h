/*
 * saved.h - addresses, selectors and strings in the bytes that one process leaves to the next.
 * SPDX-License-Identifier: ISC
 *
 * Saving makes the writer bad if it runs out of room (wire.h). Loading does not trust its input: it
 * gives -EBADMSG if that is truncated or malformed, and *ret may then be set in part.
 */
#ifndef MENDIP_SAVED_H
#define MENDIP_SAVED_H

#include "addr.h"
#include "wire.h"

void endpoint_save(const struct endpoint *e, struct writer *w);
int endpoint_load(struct reader *r, struct endpoint *ret) MUST_CHECK;
void ts_list_save(const struct ts_list *l, struct writer *w);
/* -EBADMSG also if there is no selector, or one with a range of addresses or ports that is empty.
 */
int ts_list_load(struct reader *r, struct ts_list *ret) MUST_CHECK;
/* Writes a length byte and the string. Makes w bad if it is longer than 255 bytes. */
void text_save(const char *s, struct writer *w);
/* ret holds SAVED_TEXT bytes; the string in it is NUL-terminated. */
int text_load(struct reader *r, char *ret) MUST_CHECK;
#define SAVED_TEXT 256

#endif
