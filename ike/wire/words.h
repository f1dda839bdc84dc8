/*
 * words.h - the words for algorithms in proposals, those of swanctl.conf(5).
 * SPDX-License-Identifier: ISC
 *
 * For proposal.c, proposal_text.c and tests.
 */
#ifndef MENDIP_WORDS_H
#define MENDIP_WORDS_H

#include "wire/proposal.h"

struct word {
	const char *name;
	struct transform t;
	const char *note; /* see below; NULL: none */
};

/*
 * The algorithm that we have by this word, of len bytes, or NULL. Its note says why it should not
 * be used where the peer can do better.
 */
const struct word *word_find(const char *s, size_t len);
/*
 * The same for a word that is never taken; its note completes the sentence `"WORD" ...`: why, and
 * what is to be written instead.
 */
const struct word *word_refused(const char *s, size_t len);
/* The word for an algorithm that we have; NULL: we have no such algorithm. */
const struct word *word_of(const struct transform *t);

#define TRANSFORM_STRLEN 32
/* Writes the word for a transform, also for one that is never taken, or type and number, to buf. */
const char *transform_format(const struct transform *t, char buf[TRANSFORM_STRLEN]);

#endif
