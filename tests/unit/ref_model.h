/*
 * ref_model.h - slow and simple models with which the code is compared.
 * SPDX-License-Identifier: ISC
 *
 * A set of 64-bit numbers that keeps them all, the anti-replay window of RFC 4303 3.4.3, the
 * meaning of an ESN's low half, and the switchover rule as published.
 */
#ifndef MENDIP_REF_MODEL_H
#define MENDIP_REF_MODEL_H

#include "base.h"
#include "window.h"

/* All numbers ever added: pages of a bitmap, in a hash table. */
struct refset {
	struct refset_page {
		uint64_t id; /* number / 4096 + 1; 0: empty slot */
		uint64_t bits[64];
	} * v;
	uint32_t count, cap;
};

void refset_init(struct refset *s);
void refset_fini(struct refset *s);
void refset_add(struct refset *s, uint64_t n);
bool refset_has(const struct refset *s, uint64_t n);

/* The anti-replay window: a size, a top, and all numbers that were committed. */
struct refwindow {
	uint64_t top;
	uint32_t size;
	struct refset taken;
};

void refwindow_init(struct refwindow *w, uint32_t size);
void refwindow_fini(struct refwindow *w);
enum window_place refwindow_place(const struct refwindow *w, uint64_t n);
void refwindow_commit(struct refwindow *w, uint64_t n);

/*
 * RFC 4303 A2.2 in one sentence: the number is the only one with this low half among the 2^32
 * numbers from the window's bottom on. If it is right of the window, a rewound sender may have
 * meant the number 2^32 below (doc/recovery.md 1).
 */
struct esn_guess ref_guess(uint64_t top, uint32_t size, uint32_t low);

/* The published rule: counts every packet that the window drops, until one is accepted. */
struct published {
	uint32_t packets;
	nsec_t interval, since;
	uint64_t drops;
	uint64_t confirmed; /* how often the rule confirmed */
};

void published_drop(struct published *p, nsec_t now);
void published_accept(struct published *p);

#endif
