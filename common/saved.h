/*
 * saved.h - addresses and selectors in the bytes that one process leaves to the next.
 * SPDX-License-Identifier: ISC
 *
 * A reader or writer that ran out of room is bad (wire.h). What was loaded is checked as if anybody
 * had written it; after -EBADMSG *ret may hold a part.
 */
#ifndef MENDIP_SAVED_H
#define MENDIP_SAVED_H

#include "addr.h"
#include "wire.h"

void endpoint_save(const struct endpoint *e, struct writer *w);
int endpoint_load(struct reader *r, struct endpoint *ret) MUST_CHECK;
void ts_list_save(const struct ts_list *l, struct writer *w);
/* One selector at least. */
int ts_list_load(struct reader *r, struct ts_list *ret) MUST_CHECK;
/* A string of at most 255 bytes, and its length before it. */
void text_save(const char *s, struct writer *w);
/* NUL-terminated in ret[256]. */
int text_load(struct reader *r, char *ret) MUST_CHECK;
#define SAVED_TEXT 256

#endif
